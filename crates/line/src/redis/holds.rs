//! When holds end, for whichever instance looks first. A deadline that is lost costs a late repaint of a map: whether a
//! hold is over is decided from the store's clock, and the store is searched for those that nothing here named.

use super::keys::RedisKeys;
use frontrow_domain::{
    id::ReservationId,
    reservation::{Reservation, ReservationStatus},
    time::Time,
};
use redis::{RedisResult, Script, aio::ConnectionLike};
use std::sync::LazyLock;

/// How many deadlines one command carries, so that none keeps Redis for long.
const PER_COMMAND: usize = 1_000;

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("holds_take.lua")));

/// What changed about the holds of some batches: which ones to watch, and which ones no longer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HoldChanges {
    /// Holds that end at these moments.
    pub due: Vec<(Time, ReservationId)>,
    /// Reservations that hold nothing any more.
    pub over: Vec<ReservationId>,
}

impl HoldChanges {
    /// Takes in a reservation as a batch left it. A later batch comes after an earlier one.
    pub fn apply(&mut self, row: &Reservation) {
        match row.status {
            ReservationStatus::Pending => self.due.push((row.expires_at, row.reservation_id)),
            ReservationStatus::Confirmed
            | ReservationStatus::Cancelled
            | ReservationStatus::Expired
            | ReservationStatus::Refunded => self.over.push(row.reservation_id),
        }
    }

    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.due.is_empty() && self.over.is_empty()
    }
}

fn key(keys: &RedisKeys) -> String {
    keys.installation_part("holds")
}

/// Tells what changed. A reservation never holds again once it is over, so those that are over are told last.
///
/// # Errors
/// Redis could not be reached or refused; some of it may have been told. Telling it again does no harm.
pub async fn publish(connection: &mut impl ConnectionLike, keys: &RedisKeys, changes: &HoldChanges) -> RedisResult<()> {
    let key = key(keys);
    for due in changes.due.chunks(PER_COMMAND) {
        let mut add = redis::cmd("ZADD");
        add.arg(&key);
        for (at, id) in due {
            add.arg(at.micros()).arg(id.get());
        }
        add.query_async::<()>(connection).await?;
    }
    for over in changes.over.chunks(PER_COMMAND) {
        let mut remove = redis::cmd("ZREM");
        remove.arg(&key);
        for id in over {
            remove.arg(id.get());
        }
        remove.query_async::<()>(connection).await?;
    }
    Ok(())
}

/// The holds that are over at `now`, the earliest first, at most `limit`. Each one is handed to one caller once.
///
/// # Errors
/// Redis could not be reached or refused. If the answer was lost on its way, so are the deadlines in it.
pub async fn take_due(
    connection: &mut impl ConnectionLike,
    keys: &RedisKeys,
    now: Time,
    limit: u32,
) -> RedisResult<Vec<ReservationId>> {
    let taken: Vec<i64> = TAKE.key(key(keys)).arg(now.micros()).arg(limit).invoke_async(connection).await?;
    Ok(taken.into_iter().map(ReservationId::new).collect())
}

/// How many deadlines are kept.
///
/// # Errors
/// Redis could not be reached or refused.
pub async fn count(connection: &mut impl ConnectionLike, keys: &RedisKeys) -> RedisResult<u64> {
    redis::cmd("ZCARD").arg(key(keys)).query_async(connection).await
}
