//! Outages: when the box office last worked, and what is lengthened after it did not.
//!
//! Every instance notes that the box office works, in the one row of `office`: every ten seconds, and before a batch if
//! that was not noted lately. So nothing was decided long after the last note, and what an outage lengthens was counted
//! as over by no batch. After a failure, and when
//! it starts, an instance locks that row before it decides anything. The first to get it lengthens what was cut short;
//! the others find that the box office works.

use super::{
    connect::{Pool, Session, Statement},
    error,
    rows::time,
};
use crate::store::StoreError;
use frontrow_domain::{
    outage::{OUTAGES_MAX, Outage, Outages},
    rules::Rules,
    time::{Span, Time},
};
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::{Error, Row, types::Type};

/// How often it is noted while batches are decided.
pub(super) const NOTED_EVERY: Duration = Duration::from_millis(2_500);
/// Up to when after a note something may have been decided: what is over by then stays over.
const DECIDED_WITHIN: Span = Span::from_secs(5);
/// How long lengthening may take: some seconds for a hundred thousand tokens.
const LENGTHENING_MAX: Duration = Duration::from_mins(1);
/// What keeps a sale moving would end it.
const UNBOUNDED: &str = "SELECT set_config(name, '60000', true) FROM pg_settings
    WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout')";

const LOCK_OFFICE: Statement = Statement { sql: "SELECT alive_at FROM office FOR NO KEY UPDATE", types: &[] };
const CLOCK: Statement = Statement { sql: "SELECT coalesce($1, clock_micros())", types: &[Type::INT8] };
const NOTE_ALIVE: Statement = Statement {
    sql: "UPDATE office SET alive_at = greatest(alive_at, coalesce($1, clock_micros()))",
    types: &[Type::INT8],
};
/// In the order in which batches lock tokens.
const LENGTHEN_TOKENS: Statement = Statement {
    sql: "WITH live AS MATERIALIZED (
              SELECT room_id, position FROM waiting_token WHERE status = 'active' AND active_until > $1
              UNION ALL
              SELECT room_id, position FROM waiting_token WHERE deadline IS NOT NULL AND deadline > $1
          ), locked AS MATERIALIZED (
              SELECT w.room_id, w.position FROM live JOIN waiting_token AS w USING (room_id, position)
              ORDER BY w.room_id, w.position FOR NO KEY UPDATE OF w
          )
          UPDATE waiting_token AS w SET deadline = w.deadline + $2, active_until = w.active_until + $2
          FROM locked AS k WHERE w.room_id = k.room_id AND w.position = k.position
          AND coalesce(w.active_until, w.deadline) > $1",
    types: &[Type::INT8, Type::INT8],
};
/// A reservation changes under the lock on its seat: the seats come first, in the order in which batches lock them.
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
const KEEP: Statement = Statement {
    sql: "INSERT INTO outage (from_at, to_at, grace) VALUES ($1, $2, $3)",
    types: &[Type::INT8, Type::INT8, Type::INT8],
};
const LATEST: Statement =
    Statement { sql: "SELECT from_at, to_at, grace FROM outage ORDER BY from_at DESC LIMIT $1", types: &[Type::INT8] };

/// Notes that the box office works. Whether it is there.
///
/// # Errors
/// As for every statement.
pub(super) async fn note_alive(session: &Session<'_>, given: Option<i64>) -> Result<u64, Error> {
    session.execute(&NOTE_ALIVE, &[&given]).await
}

/// The latest outages.
///
/// # Errors
/// As for every statement.
pub(super) async fn latest(session: &Session<'_>) -> Result<Outages, Error> {
    let outages = session.query(&LATEST, &[&i64::from(OUTAGES_MAX)]).await?;
    Ok(Outages::new(outages.iter().map(outage).collect::<Result<_, _>>()?))
}

fn outage(row: &Row) -> Result<Outage, Error> {
    Ok(Outage { from: time(row, 0)?, to: time(row, 1)?, grace: Span::from_micros(row.try_get(2)?) })
}

/// Lengthens what was live when the box office last worked, if that is long ago, and notes that it works now: one
/// transaction. The latest outages after it.
///
/// # Errors
/// Nothing was lengthened, except after [`StoreError::Unknown`].
pub(super) async fn resume(pool: &Pool, given: Option<i64>, rules: &Rules) -> Result<Outages, StoreError> {
    let session = pool.get().await?;
    let silent = || StoreError::Unavailable("the database did not answer in time".to_owned());
    let outages = timeout(LENGTHENING_MAX, lengthen(&session, given, rules)).await.map_err(|_| silent())?;
    let outages = outages.map_err(|failure| error::of_work(&failure))?;
    let committed = timeout(pool.answer_timeout(), session.commit()).await;
    committed
        .map_err(|_| StoreError::Unknown("the database did not answer".to_owned()))?
        .map_err(|failure| error::of_commit(&failure))?;
    session.finish();
    Ok(outages)
}

async fn lengthen(session: &Session<'_>, given: Option<i64>, rules: &Rules) -> Result<Outages, Error> {
    session.begin().await?;
    session.batch(UNBOUNDED).await?;
    let alive_at = match session.query_opt(&LOCK_OFFICE, &[]).await? {
        Some(row) => row.try_get::<_, Option<i64>>(0)?.map(Time::from_micros),
        None => None,
    };
    let now = match session.query_opt(&CLOCK, &[&given]).await? {
        Some(row) => time(&row, 0)?,
        None => Time::default(),
    };
    if let Some(outage) = alive_at.and_then(|at| Outage::between(at.plus(DECIDED_WITHIN), now, rules)) {
        let (from, to, grace) = (outage.from.micros(), outage.to.micros(), outage.grace.micros());
        session.execute(&LENGTHEN_TOKENS, &[&from, &grace]).await?;
        session.execute(&LENGTHEN_HOLDS, &[&from, &grace]).await?;
        session.execute(&KEEP, &[&from, &to, &grace]).await?;
    }
    note_alive(session, Some(now.micros())).await?;
    latest(session).await
}
