//! What is written apart from batches: a sign that writing is possible, and the removal of what is old.

use super::{
    connect::{Pool, Statement},
    reads::in_time,
};
use crate::store::StoreError;
use frontrow_domain::time::Time;
use tokio_postgres::types::Type;

/// How many rows of a kind one pruning removes at most, so that no lock is held for long.
const PRUNE_MAX: i64 = 5_000;

/// Several instances may prune at once: what another is removing is passed over.
const PRUNE_KEYS: Statement = Statement {
    sql: "DELETE FROM idempotency WHERE key = ANY (ARRAY(
              SELECT key FROM idempotency WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
    types: &[Type::INT8, Type::INT8],
};
const PRUNE_SESSIONS: Statement = Statement {
    sql: "DELETE FROM session WHERE secret_hash = ANY (ARRAY(
              SELECT secret_hash FROM session WHERE expires_at < $1 ORDER BY expires_at LIMIT $2
              FOR UPDATE SKIP LOCKED))",
    types: &[Type::INT8, Type::INT8],
};
/// Writes to the log of the server: a standby, a full disk or a lack of rights shows itself nowhere else. Nothing
/// in the tables changes.
const WRITE: Statement = Statement { sql: "UPDATE office SET created_at = created_at", types: &[] };

/// Commits a change that changes nothing.
///
/// # Errors
/// What stands in the way.
pub(super) async fn check_writable(pool: &Pool) -> Result<(), StoreError> {
    let session = pool.get().await?;
    let rows = in_time(pool, session.execute(&WRITE, &[])).await?;
    session.finish();
    if rows == 1 { Ok(()) } else { Err(StoreError::Corrupt("the table \"office\" has no row".to_owned())) }
}

/// Removes old idempotency keys and ended sessions; returns how many rows went.
///
/// # Errors
/// As for every statement.
pub(super) async fn prune(pool: &Pool, keys_before: Time, sessions_before: Time) -> Result<u64, StoreError> {
    let session = pool.get().await?;
    let mut removed: u64 = 0;
    for (statement, before) in [(&PRUNE_KEYS, keys_before), (&PRUNE_SESSIONS, sessions_before)] {
        let rows = in_time(pool, session.execute(statement, &[&before.micros(), &PRUNE_MAX])).await?;
        removed = removed.saturating_add(rows);
    }
    session.finish();
    Ok(removed)
}
