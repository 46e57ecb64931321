//! One batch, one transaction, two round trips: load, decide, save. Failed tries are repeated.

use super::{
    batch,
    clock::CLOCK,
    connect::{Pool, PooledConnection},
    error::{self, Cause},
    load_plan::LoadPlan,
    loads::LoadedWorld,
    maintenance,
    outage::{self, Pulse},
    read_pool::rows_of,
    saves::Saved,
    unanswered_commit::Transaction,
};
use crate::{Committed, Decide, StoreError};
use frontrow_domain::{command::Request, id::TokenId, line::Room, outage::Outage, policy::Policy, world::World};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};
use tokio_postgres::Error;

/// How long a batch is retried while the server is down or other transactions are in the way. Long enough for a restart
/// of the server's connections, short enough that the caller still waits.
const TRY_FOR: Duration = Duration::from_secs(5);
const TRIES_MAX: u32 = 10;
/// The first pause between tries, doubled each time.
const PAUSE: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Decides batches, each on its own connection.
#[derive(Debug)]
pub(super) struct Transactor {
    pool: Pool,
    /// Connection for asking whether unanswered commits have ended, and whether the server answers at all.
    watch: Arc<Pool>,
    policy: Policy,
    /// Positions drawn by tries that failed: they stay unassigned. The next batch that commits reports them.
    orphans: Mutex<Vec<TokenId>>,
}

enum FailedAttempt {
    /// A retry may pass, after the rows are loaded and the batch is decided again.
    Again(StoreError),
    Final(StoreError),
}

impl FailedAttempt {
    /// For a failure before the commit was sent.
    fn of_work(failure: &Error) -> Self {
        let store_error = error::of_work(failure);
        if error::is_retryable(failure) { Self::Again(store_error) } else { Self::Final(store_error) }
    }
}

impl Transactor {
    pub(super) fn new(pool: Pool, watch: Pool, policy: Policy) -> Self {
        Self { pool, watch: Arc::new(watch), policy, orphans: Mutex::default() }
    }

    /// Loads, decides, saves and commits a batch. `given` returns the test's time in microseconds, if a test gives one.
    pub(super) async fn transact(
        &self,
        batch: &[Request],
        decide: Decide,
        pulse: &Pulse,
        given: impl Fn() -> Option<i64> + Sync,
    ) -> Result<Committed, StoreError> {
        let started = Instant::now();
        let mut pause = PAUSE;
        let mut tries = 1;
        let plan = LoadPlan::of(batch);
        loop {
            match self.attempt(batch, decide, pulse, &plan, &given).await {
                Ok(mut committed) => {
                    let mut orphans = std::mem::take(&mut *self.orphans.lock().unwrap_or_else(PoisonError::into_inner));
                    if !orphans.is_empty() {
                        committed.changes.unused.append(&mut orphans);
                        committed.changes.unused.sort_unstable();
                    }
                    return Ok(committed);
                }
                Err(FailedAttempt::Again(failure)) if tries < TRIES_MAX && started.elapsed() < TRY_FOR => {
                    tracing::debug!(error = %failure, tries, "retrying a batch");
                    tries += 1;
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Err(FailedAttempt::Again(failure) | FailedAttempt::Final(failure)) => return Err(failure),
            }
        }
    }

    /// Whether the database answers, however busy the lanes and the readers are.
    pub(super) async fn check_answers(&self) -> Result<(), StoreError> {
        rows_of(&self.watch, &CLOCK, &[&None::<i64>]).await.map(|_| ())
    }

    /// Whether the database accepts commits: see [`maintenance::check_writable`].
    pub(super) async fn check_writable(&self, pulse: &Pulse, given: Option<i64>) -> Result<(), StoreError> {
        self.check_not_stalled()?;
        maintenance::check_writable(&self.pool, pulse, given).await
    }

    /// Goes on after a start or a failure: see [`Pulse::resume`].
    pub(super) async fn resume(&self, pulse: &Pulse, given: Option<i64>) -> Result<Option<Outage>, StoreError> {
        self.check_not_stalled()?;
        pulse.resume(&self.pool, given, &self.policy).await
    }

    fn check_not_stalled(&self) -> Result<(), StoreError> {
        if self.pool.is_stalled() {
            let text = "every connection waits for a commit that the database does not answer";
            return Err(StoreError::Unavailable(text.to_owned()));
        }
        Ok(())
    }

    /// Notes that the box office works, if a note is due.
    async fn note(
        &self,
        session: &PooledConnection<'_>,
        pulse: &Pulse,
        given: Option<i64>,
    ) -> Result<(), FailedAttempt> {
        if !pulse.is_due(given) {
            return Ok(());
        }
        let noted = timeout(self.pool.answer_timeout(), pulse.note(session, given)).await;
        if !matches!(noted, Ok(Ok(true))) {
            pulse.is_still_due();
        }
        match noted {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(FailedAttempt::Final(outage::outage_pending())),
            Ok(Err(failure)) => Err(FailedAttempt::of_work(&failure)),
            Err(_) => Err(FailedAttempt::Again(silent())),
        }
    }

    pub(super) fn has_unanswered_commits(&self) -> bool {
        self.pool.stalled() > 0
    }

    /// Closes idle connections and makes no more.
    pub(super) fn close(&self) {
        self.pool.close();
        self.watch.close();
    }

    async fn attempt(
        &self,
        batch: &[Request],
        decide: Decide,
        pulse: &Pulse,
        plan: &LoadPlan,
        given: &(impl Fn() -> Option<i64> + Sync),
    ) -> Result<Committed, FailedAttempt> {
        self.check_not_stalled().map_err(FailedAttempt::Final)?;
        let session = self.pool.get().await.map_err(|failure| match failure {
            StoreError::Unavailable(_) => FailedAttempt::Again(failure),
            other => FailedAttempt::Final(other),
        })?;
        let patience = self.pool.answer_timeout();
        self.note(&session, pulse, given()).await?;
        let outages = pulse.outages();
        let answers = match timeout(patience, batch::load(&session, plan, given()).run()).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(failure)) => return Err(give_up(session, &failure, patience).await),
            Err(_) => return Err(FailedAttempt::Again(silent())),
        };
        let LoadedWorld { mut world, active, alive, transaction } = match LoadedWorld::of(&answers, plan, self.policy) {
            Ok(loaded) => loaded,
            Err(failure) => return Err(give_up(session, &failure, patience).await),
        };
        drop(answers);
        if !pulse.covers(world.now) {
            self.note_orphans(world);
            roll_back(session, patience).await;
            return Err(outlasted(pulse));
        }
        world.outages = outages;
        let answers = decide(&mut world, batch);
        let changes = world.into_changes();
        if changes.is_empty() && alive.is_empty() {
            roll_back(session, patience).await;
            return Ok(Committed { answers, changes });
        }
        let saved = match timeout(patience, batch::save(&session, &changes, &active, &alive).commit()).await {
            Ok(Ok(saved)) => saved,
            Ok(Err(failure)) => {
                self.orphan(positions(&changes));
                return Err(give_up(session, &failure, patience).await);
            }
            Err(_) => {
                self.close_after(session, transaction);
                return Err(FailedAttempt::Final(StoreError::Unknown("the database did not answer".to_owned())));
            }
        };
        match outcome(&saved) {
            Ok(()) => {
                session.finish();
                Ok(Committed { answers, changes })
            }
            // The connection broke, or the pooler's did: the server may still be in the middle of the commit.
            Err(FailedAttempt::Final(StoreError::Unknown(text))) => {
                self.close_after(session, transaction);
                Err(FailedAttempt::Final(StoreError::Unknown(text)))
            }
            Err(failure) => {
                self.orphan(positions(&changes));
                if saved.commit.is_ok() {
                    session.finish();
                }
                Err(failure)
            }
        }
    }

    fn close_after(&self, session: PooledConnection<'_>, transaction: Transaction) {
        let watch = Arc::clone(&self.watch);
        session.close_after(async move { transaction.wait_until_ended(&watch).await });
    }

    fn note_orphans(&self, world: World) {
        self.orphan(world.into_changes().unused);
    }

    fn orphan(&self, mut positions: Vec<TokenId>) {
        self.orphans.lock().unwrap_or_else(PoisonError::into_inner).append(&mut positions);
    }
}

/// The positions that a batch used or drew for nothing.
fn positions(changes: &frontrow_domain::changes::Changes) -> Vec<TokenId> {
    let new = changes.tokens.inserted.iter().map(|token| token.id);
    // Places that a draw gives are given again, if not by this batch.
    let is_drawn = |id: &TokenId| {
        let of_draw = |room: &Room| {
            let held = room.draw.reserved().filter(|_| room.room_id == id.room_id);
            held.zip(room.draw.last_entry()).is_some_and(|(held, last)| last < id.position && id.position <= held.end)
        };
        changes.rooms.iter().any(of_draw)
    };
    changes.unused.iter().copied().chain(new).filter(|id| !is_drawn(id)).collect()
}

/// The failure of a batch that waited for its rows until the last note was too old to decide by.
fn outlasted(pulse: &Pulse) -> FailedAttempt {
    if pulse.works() {
        pulse.is_still_due();
        let text = "a batch waited for its rows for so long that it must note anew that the box office works";
        return FailedAttempt::Again(StoreError::Contended(text.to_owned()));
    }
    FailedAttempt::Final(outage::outage_pending())
}

fn silent() -> StoreError {
    StoreError::Unavailable("the database did not answer in time".to_owned())
}

/// The outcome of a save. The server answers in order: its own error before the commit means that the commit rolled
/// back. If the connection or the pooler's broke before any other failure, the commit may or may not have happened.
fn outcome(saved: &Saved) -> Result<(), FailedAttempt> {
    let failed = saved.changes.iter().find_map(|result| result.as_ref().err());
    match (failed, &saved.commit) {
        (Some(failure), _) if error::is_the_servers(failure) => Err(FailedAttempt::of_work(failure)),
        (Some(failure), _) => Err(FailedAttempt::Final(StoreError::Unknown(error::text(failure)))),
        (None, Err(failure)) => match error::of_commit(failure) {
            unknown @ StoreError::Unknown(_) => Err(FailedAttempt::Final(unknown)),
            _ => Err(FailedAttempt::of_work(failure)),
        },
        (None, Ok(_)) => Ok(()),
    }
}

/// Rolls back a transaction that saved nothing. A connection that does not confirm it in time is closed, which rolls
/// back too.
async fn roll_back(session: PooledConnection<'_>, patience: Duration) {
    if let Ok(Ok(())) = timeout(patience, session.batch("ROLLBACK")).await {
        session.finish();
    }
}

/// Rolls back a failed transaction, or closes its connection if that is lost.
async fn give_up(session: PooledConnection<'_>, failure: &Error, patience: Duration) -> FailedAttempt {
    if error::cause(failure) != Cause::Lost {
        roll_back(session, patience).await;
    }
    FailedAttempt::of_work(failure)
}
