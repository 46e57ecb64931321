//! Outages: the database notes when the box office last worked; after an outage, deadlines are lengthened.
//!
//! Every instance notes that the box office works, in the one row of `office`: every two seconds, and before a batch if
//! the last note is old. A batch that waited for its rows until its note is too old is thrown away. So no batch decides
//! anything long after the last note, and none treats as over what an outage lengthens. After a failure, and when it
//! starts, an instance locks that row before it decides anything. The first to get the lock lengthens the deadlines
//! that were cut short; the others find that the box office works, and rebuild their caches.

use super::{
    clock::CLOCK,
    columns::Columns,
    connect::{Pool, PooledConnection, Statement},
    error, read_pool,
};
use crate::StoreError;
use arc_swap::ArcSwap;
use frontrow_domain::{
    outage::{OUTAGES_MAX, Outage, Outages, PAUSE_MIN},
    policy::Policy,
    time::{Span, Time},
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::time::timeout;
use tokio_postgres::{Error, Row, types::Type};

/// The time between notes while batches are decided.
const NOTED_EVERY: Duration = Duration::from_millis(2_500);
/// Above this age of the last note, a batch must take a note of its own before it decides.
const NOTE_AGE_MAX: Duration = Duration::from_secs(4);
/// How long after a note batches may decide: a deadline that passes within this time is not lengthened.
const DECIDED_WITHIN: Span = Span::from_secs(5);
/// The bounds of a batch would end the lengthening of a long line, and the next try would take as long. A transaction
/// can lift its bound but not move it. The client bounds it by minutes; a client that is gone or frozen still ends it.
const UNBOUNDED: &str = "SELECT set_config(name, '0', true) FROM pg_settings
    WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout')";

const LOCK_OFFICE: Statement = Statement { sql: "SELECT alive_at FROM office FOR NO KEY UPDATE", types: &[] };
/// Updates no row after a long silence: a note that was sent before an outage and arrives after it must not hide it.
const NOTE_ALIVE: Statement = Statement {
    sql: "UPDATE office SET alive_at = greatest(alive_at, now.micros)
          FROM (SELECT coalesce($1, clock_micros()) AS micros) AS now
          WHERE alive_at IS NULL OR now.micros - alive_at < $2 RETURNING alive_at",
    types: &[Type::INT8, Type::INT8],
};
/// By the clock after the lengthening, so that the time it took does not count as another outage.
const NOTE_RESUMED: Statement = Statement {
    sql: "UPDATE office SET alive_at = greatest(alive_at, coalesce($1, clock_micros()))",
    types: &[Type::INT8],
};
/// Locks in the order in which batches lock tokens.
const LENGTHEN_TOKENS: Statement = Statement {
    sql: "WITH live AS MATERIALIZED (
              SELECT room_id, position FROM waiting_token WHERE status = 'active' AND active_until > $1
              UNION ALL
              SELECT room_id, position FROM waiting_token WHERE deadline IS NOT NULL AND deadline > $1
          ), locked AS MATERIALIZED (
              SELECT w.room_id, w.position FROM live JOIN waiting_token AS w USING (room_id, position)
              ORDER BY w.room_id, w.position FOR NO KEY UPDATE OF w
          )
          UPDATE waiting_token AS w SET deadline = w.deadline + $2, active_until = w.active_until + $2,
              back_until = w.back_until + $2
          FROM locked AS k WHERE w.room_id = k.room_id AND w.position = k.position
          AND coalesce(w.active_until, w.deadline) > $1",
    types: &[Type::INT8, Type::INT8],
};
/// A reservation changes under the lock on its seat: the seats are locked first, in the order in which batches do.
const LENGTHEN_HOLDS: Statement = Statement {
    sql: "WITH live AS MATERIALIZED (
              SELECT reservation_id, seat_id FROM reservation
              WHERE coalesce(closed_at, -2) = -2 AND expires_at > $1 AND status = 'pending'
          ), locked AS MATERIALIZED (
              SELECT s.seat_id FROM seat AS s JOIN live USING (seat_id) ORDER BY s.seat_id FOR NO KEY UPDATE OF s
          )
          UPDATE reservation AS r SET expires_at = r.expires_at + $2
          FROM live JOIN locked USING (seat_id)
          WHERE r.reservation_id = live.reservation_id AND r.status = 'pending' AND r.expires_at > $1",
    types: &[Type::INT8, Type::INT8],
};
const INSERT: Statement = Statement {
    sql: "INSERT INTO outage (from_at, to_at, grace) VALUES ($1, $2, $3)",
    types: &[Type::INT8, Type::INT8, Type::INT8],
};
const LATEST: Statement =
    Statement { sql: "SELECT from_at, to_at, grace FROM outage ORDER BY from_at DESC LIMIT $1", types: &[Type::INT8] };

/// The latest outages.
pub(super) async fn latest(session: &PooledConnection<'_>) -> Result<Outages, Error> {
    let outages = session.query(&LATEST, &[&i64::from(OUTAGES_MAX)]).await?;
    Ok(Outages::new(outages.iter().map(outage).collect::<Result<_, _>>()?))
}

fn outage(row: &Row) -> Result<Outage, Error> {
    let mut row = Columns::of(row);
    Ok(Outage { from: row.time()?, to: row.time()?, grace: Span::from_micros(row.value()?) })
}

fn time(row: &Row) -> Result<Time, Error> {
    Columns::of(row).time()
}

/// The latest outages, outside a batch.
pub(super) async fn read_latest(pool: &Pool) -> Result<Outages, StoreError> {
    let session = pool.get().await?;
    let outages = read_pool::in_time(pool, latest(&session)).await?;
    session.finish();
    Ok(outages)
}

/// Lengthens what was live when the box office last worked, if that is long ago, and notes that it works now, in one
/// transaction. Returns the latest outages.
async fn resume(pool: &Pool, bound: Duration, given: Option<i64>, policy: &Policy) -> Result<Outages, StoreError> {
    let session = pool.get().await?;
    // Beyond the bound the connection is closed, which rolls back: nothing was committed.
    let outages = timeout(bound, lengthen(&session, pool.answer_timeout(), given, policy)).await.map_err(|_| {
        StoreError::Unavailable("the database did not lengthen in time what an outage has cut short".to_owned())
    })??;
    let committed = timeout(pool.answer_timeout(), session.commit()).await;
    committed
        .map_err(|_| StoreError::Unknown("the database did not answer".to_owned()))?
        .map_err(|failure| error::of_commit(&failure))?;
    session.finish();
    Ok(outages)
}

async fn lengthen(
    session: &PooledConnection<'_>,
    patience: Duration,
    given: Option<i64>,
    policy: &Policy,
) -> Result<Outages, StoreError> {
    in_time(patience, session.begin()).await?;
    in_time(patience, session.batch(UNBOUNDED)).await?;
    // Another instance may hold the row for as long as its lengthening takes.
    let office = of_work(session.query_opt(&LOCK_OFFICE, &[]).await)?.ok_or_else(no_office)?;
    let alive_at = of_work(Columns::of(&office).time_or_none())?;
    let clock = in_time(patience, session.query_opt(&CLOCK, &[&given])).await?.ok_or_else(no_office)?;
    let now = of_work(time(&clock))?;
    if let Some(outage) = alive_at.and_then(|at| Outage::between(at.plus(DECIDED_WITHIN), now, policy)) {
        let (from, to, grace) = (outage.from.micros(), outage.to.micros(), outage.grace.micros());
        of_work(session.execute(&LENGTHEN_TOKENS, &[&from, &grace]).await)?;
        of_work(session.execute(&LENGTHEN_HOLDS, &[&from, &grace]).await)?;
        in_time(patience, session.execute(&INSERT, &[&from, &to, &grace])).await?;
    }
    in_time(patience, session.execute(&NOTE_RESUMED, &[&given])).await?;
    in_time(patience, latest(session)).await
}

fn of_work<T>(answer: Result<T, Error>) -> Result<T, StoreError> {
    answer.map_err(|failure| error::of_work(&failure))
}

async fn in_time<T>(patience: Duration, answer: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
    let silent = |_| StoreError::Unavailable("the database did not answer in time".to_owned());
    of_work(timeout(patience, answer).await.map_err(silent)?)
}

fn no_office() -> StoreError {
    StoreError::Corrupt("the table \"office\" has no row".to_owned())
}

/// This instance's knowledge of whether the box office works.
#[derive(Debug)]
pub(super) struct Pulse {
    standing: AtomicU8,
    /// Time limit for the lengthening.
    bound: Duration,
    notes: Mutex<OutageNotes>,
    outages: ArcSwap<Outages>,
    /// One resume at a time: each holds a connection while it waits for the others.
    resumed: tokio::sync::Mutex<Option<Resumed>>,
}

/// The notes of this instance.
#[derive(Debug, Default)]
struct OutageNotes {
    /// When a batch last began a note; none if the next batch should.
    begun: Option<Moment>,
    /// The last note that the database has taken.
    taken: Option<Note>,
}

#[derive(Debug, Clone, Copy)]
struct Note {
    sent: Moment,
    /// The note's time by the database's clock.
    alive_at: Time,
}

/// A moment of this process, with the test's time at that moment.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Instant,
    given: Option<i64>,
}

impl Moment {
    fn now(given: Option<i64>) -> Self {
        Self { at: Instant::now(), given }
    }

    /// Whether `age` has passed since, by this process's clock or by the test's.
    fn is_older_than(self, age: Duration, given: Option<i64>) -> bool {
        let given = given
            .zip(self.given)
            .map(|(now, then)| Duration::from_micros(now.saturating_sub(then).max(0).unsigned_abs()));
        self.at.elapsed() >= age || given.is_some_and(|passed| passed >= age)
    }
}

#[derive(Debug)]
struct Resumed {
    began: Instant,
    result: Result<(), StoreError>,
}

/// Never resumed: an administrative command, or a server that does not serve yet.
const TOOL: u8 = 0;
const WORKS: u8 = 1;
/// A transaction failed since the last resume.
const FAILED: u8 = 2;

impl Pulse {
    pub(super) fn new(outages: Outages, bound: Duration) -> Self {
        Self {
            standing: AtomicU8::new(TOOL),
            bound,
            notes: Mutex::default(),
            outages: ArcSwap::from_pointee(outages),
            resumed: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn outages(&self) -> Outages {
        Outages::clone(&self.outages.load())
    }

    pub(super) fn works(&self) -> bool {
        self.standing.load(Ordering::SeqCst) == WORKS
    }

    /// Whether this caller should take a note before it decides anything. Of concurrent callers one should, or each if
    /// the last note is old.
    pub(super) fn is_due(&self, given: Option<i64>) -> bool {
        if !self.works() {
            return false;
        }
        let mut notes = self.notes();
        let is_old = |at: Option<Moment>, age| at.is_none_or(|at| at.is_older_than(age, given));
        let is_due = is_old(notes.begun, NOTED_EVERY) || is_old(notes.taken.map(|note| note.sent), NOTE_AGE_MAX);
        if is_due {
            notes.begun = Some(Moment::now(given));
        }
        is_due
    }

    /// The note that was due has not been taken.
    pub(super) fn is_still_due(&self) {
        self.notes().begun = None;
    }

    fn notes(&self) -> MutexGuard<'_, OutageNotes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a batch may decide anything at this time of the database: only soon after the last note.
    pub(super) fn covers(&self, now: Time) -> bool {
        self.notes().taken.is_none_or(|note| now.since(note.alive_at) <= DECIDED_WITHIN)
    }

    /// Notes that the box office works. False if the last note is so old that the box office must be resumed first, or
    /// if another instance has resumed it after an outage unknown here: the caches then show old deadlines.
    pub(super) async fn note(&self, session: &PooledConnection<'_>, given: Option<i64>) -> Result<bool, Error> {
        let sent = Moment::now(given);
        let Some(noted) = session.query_opt(&NOTE_ALIVE, &[&given, &PAUSE_MIN.micros()]).await? else {
            return Ok(false);
        };
        let alive_at = time(&noted)?;
        let (latest, known) = (latest(session).await?, self.outages.load());
        if latest.iter().any(|outage| known.iter().all(|known| known != outage)) {
            return Ok(false);
        }
        self.notes().taken = Some(Note { sent, alive_at });
        Ok(true)
    }

    /// Notes a failure: until a resume, this instance does not note that the box office works.
    pub(super) fn after<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) = &result {
            let _ = self.standing.compare_exchange(WORKS, FAILED, Ordering::SeqCst, Ordering::SeqCst);
        }
        result
    }

    /// Goes on after a start or a failure: see [`Store::resume`](crate::Store::resume).
    ///
    /// # Errors
    /// Nothing was lengthened, except after [`StoreError::Unknown`].
    pub(super) async fn resume(
        &self,
        pool: &Pool,
        given: Option<i64>,
        policy: &Policy,
    ) -> Result<Option<Outage>, StoreError> {
        let asked = Instant::now();
        let mut last = self.resumed.lock().await;
        // A resume that began after this call covers every failure that this caller has seen.
        if let Some(Resumed { began, result }) = &*last
            && *began >= asked
        {
            return result.clone().map(|()| None);
        }
        let began = Instant::now();
        let resumed = resume(pool, self.bound, given, policy).await;
        *last = Some(Resumed { began, result: resumed.as_ref().map(|_| ()).map_err(StoreError::clone) });
        let outages = resumed?;
        self.standing.store(WORKS, Ordering::SeqCst);
        let newest = outages.iter().max_by_key(|outage| outage.to).copied();
        let before = self.outages.swap(Arc::new(outages));
        // Another instance may have lengthened, or this one in a commit whose answer was lost.
        Ok(newest.filter(|newest| before.iter().all(|known| known != newest)))
    }
}

/// The error of a failed note.
pub(super) fn outage_pending() -> StoreError {
    StoreError::Unavailable("the database could not be used for a while: deadlines are put off first".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_stop_before_an_outage_begins() {
        let noted = Time::from_micros(1_800_000_000_000_000);
        let pulse = Pulse::new(Outages::default(), Duration::MAX);
        assert!(pulse.covers(Time::MAX), "a tool notes nothing");
        pulse.notes().taken = Some(Note { sent: Moment::now(None), alive_at: noted });
        let last = noted.plus(DECIDED_WITHIN);
        assert!(pulse.covers(last));
        assert!(!pulse.covers(last.plus(Span::from_micros(1))));
    }
}
