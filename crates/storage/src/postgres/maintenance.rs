//! Writes apart from batches: the check that writing is possible, and the removal of old rows.

use super::{
    connect::{Pool, PooledConnection, Statement},
    error::{self, Cause},
    outage::{self, Pulse},
    read_pool::{TRIES, in_time, no_answer},
};
use crate::StoreError;
use frontrow_domain::{retention::Leftover, time::Time};
use tokio::time::timeout;
use tokio_postgres::{Error, types::Type};

/// Several instances may prune at once: rows that another is removing are skipped. $1 is the time before which the rows
/// were over, $2 the most to remove.
const PRUNE_ANSWERS: Statement = Statement {
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
const PRUNE_LINKS: Statement = Statement {
    sql: "DELETE FROM account_link AS l USING (
              SELECT user_id, kind FROM account_link WHERE expires_at < $1 ORDER BY expires_at LIMIT $2
              FOR UPDATE SKIP LOCKED) AS old
          WHERE l.user_id = old.user_id AND l.kind = old.kind",
    types: &[Type::INT8, Type::INT8],
};
const PRUNE_BLOCKS: Statement = Statement {
    sql: "DELETE FROM line_block AS b USING (
              SELECT user_id, room_id FROM line_block WHERE until < $1 ORDER BY until LIMIT $2
              FOR UPDATE SKIP LOCKED) AS old
          WHERE b.user_id = old.user_id AND b.room_id = old.room_id",
    types: &[Type::INT8, Type::INT8],
};
const PRUNE_RECORDS: Statement = Statement {
    sql: "DELETE FROM line_record WHERE room_id = ANY (ARRAY(
              SELECT room_id FROM line_record WHERE saved_at < $1 ORDER BY saved_at LIMIT $2
              FOR UPDATE SKIP LOCKED))",
    types: &[Type::INT8, Type::INT8],
};
const PRUNE_GUESTS: Statement = Statement {
    sql: "DELETE FROM lane_guest AS g USING (
              SELECT g.user_id, g.room_id FROM room AS r JOIN lane_guest AS g ON g.room_id + 0 = r.room_id
              WHERE r.room_id > 2000000000 AND r.closes_at < $1 LIMIT $2 FOR UPDATE OF g SKIP LOCKED) AS old
          WHERE g.user_id = old.user_id AND g.room_id = old.room_id",
    types: &[Type::INT8, Type::INT8],
};
/// A stretch of each room's line from its first ended token, so that the cost does not grow with the line. Below that
/// one there are only live tokens, no more than the room has turns. The row with the highest position stays: it tells
/// how far the line goes.
const PRUNE_TOKENS: Statement = Statement {
    sql: "DELETE FROM waiting_token WHERE ctid = ANY (ARRAY(
              SELECT old.ctid FROM room AS r
              CROSS JOIN LATERAL (
                  SELECT w.position, w.expired_at FROM waiting_token AS w
                  WHERE w.room_id = r.room_id AND w.position <= r.cursor AND w.status = 'ended'
                  ORDER BY w.position LIMIT 1) AS first
              CROSS JOIN LATERAL (
                  SELECT w.position FROM waiting_token AS w WHERE w.room_id = r.room_id
                  ORDER BY w.position DESC LIMIT 1) AS highest
              CROSS JOIN LATERAL (
                  SELECT w.ctid FROM waiting_token AS w
                  WHERE w.room_id = r.room_id AND w.position >= first.position
                      AND w.position < least(r.cursor + 1, first.position + $2, highest.position)
                      AND w.status = 'ended' AND w.expired_at < $1
                  ORDER BY w.position FOR UPDATE SKIP LOCKED) AS old
              WHERE first.expired_at < $1 LIMIT $2))",
    types: &[Type::INT8, Type::INT8],
};
/// Rows end almost in the order of their ids.
const PRUNE_RESERVATIONS: Statement = Statement {
    sql: "DELETE FROM reservation WHERE closed_at < $1 AND reservation_id = ANY (ARRAY(
              SELECT reservation_id FROM reservation WHERE ended_as = $3 AND ended_as IS NOT NULL
              ORDER BY reservation_id + 0 LIMIT $2 FOR UPDATE SKIP LOCKED))",
    types: &[Type::INT8, Type::INT8, Type::TEXT],
};
/// Writes to the server's write-ahead log without changing a table: only that shows a hanging standby, a full disk or
/// missing rights.
const WRITE: Statement = Statement { sql: "UPDATE office SET created_at = created_at", types: &[] };

/// Commits a note that the box office works; if it must be resumed first, an update without effect.
///
/// # Errors
/// Why writing is impossible. [`StoreError::Contended`] if no connection became free.
pub(super) async fn check_writable(pool: &Pool, pulse: &Pulse, given: Option<i64>) -> Result<(), StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let session = pool.get_if_free().await?;
        match timeout(pool.answer_timeout(), write(&session, pulse, given)).await {
            Ok(Ok(written)) => {
                session.finish();
                return written;
            }
            Ok(Err(failure)) if error::cause(&failure) == Cause::Lost && tries < TRIES => {}
            Ok(Err(failure)) => return Err(error::of_work(&failure)),
            Err(_) => return Err(no_answer(pool)),
        }
    }
}

async fn write(
    session: &PooledConnection<'_>,
    pulse: &Pulse,
    given: Option<i64>,
) -> Result<Result<(), StoreError>, Error> {
    if pulse.works() {
        return Ok(if pulse.note(session, given).await? { Ok(()) } else { Err(outage::outage_pending()) });
    }
    let rows = session.execute(&WRITE, &[]).await?;
    Ok(if rows == 1 { Ok(()) } else { Err(StoreError::Corrupt("the table \"office\" has no row".to_owned())) })
}

/// Removes at most `limit` rows that are over; returns how many.
pub(super) async fn prune(pool: &Pool, what: Leftover, before: Time, limit: u32) -> Result<u64, StoreError> {
    let (before, limit) = (before.micros(), i64::from(limit));
    let session = pool.get().await?;
    let removed = match what {
        Leftover::Answer => in_time(pool, session.execute(&PRUNE_ANSWERS, &[&before, &limit])).await?,
        Leftover::Session => in_time(pool, session.execute(&PRUNE_SESSIONS, &[&before, &limit])).await?,
        Leftover::Link => in_time(pool, session.execute(&PRUNE_LINKS, &[&before, &limit])).await?,
        Leftover::Block => in_time(pool, session.execute(&PRUNE_BLOCKS, &[&before, &limit])).await?,
        Leftover::LineRecord => in_time(pool, session.execute(&PRUNE_RECORDS, &[&before, &limit])).await?,
        Leftover::Guest => in_time(pool, session.execute(&PRUNE_GUESTS, &[&before, &limit])).await?,
        Leftover::Token => in_time(pool, session.execute(&PRUNE_TOKENS, &[&before, &limit])).await?,
        Leftover::Reservation => {
            let mut removed = 0;
            for ended_as in ["expired", "cancelled"] {
                let left = limit.saturating_sub(i64::try_from(removed).unwrap_or(limit));
                let rows = in_time(pool, session.execute(&PRUNE_RESERVATIONS, &[&before, &left, &ended_as])).await?;
                removed = rows.saturating_add(removed);
            }
            removed
        }
    };
    session.finish();
    Ok(removed)
}
