//! The deadlines of holds, for the instance that asks first. A lost deadline costs a late repaint of a map: the store's
//! clock decides whether a hold is over, and the store is searched for holds whose deadline is not here.

use super::keys::RedisKeys;
use frontrow_domain::{
    id::ReservationId,
    sale::{Reservation, ReservationStatus},
    time::Time,
};
use redis::{RedisResult, Script, aio::ConnectionLike};
use std::sync::LazyLock;

/// Deadlines in one command, so that none blocks Redis for long.
const PER_COMMAND: usize = 1_000;

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("holds_take.lua")));

/// Changes of holds: deadlines to add and to remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HoldChanges {
    /// Holds, with the moments at which they end.
    pub due: Vec<(Time, ReservationId)>,
    /// Reservations that hold nothing any more.
    pub over: Vec<ReservationId>,
}

impl HoldChanges {
    /// Adds a reservation as a batch left it. A later batch comes after an earlier one.
    pub fn apply(&mut self, row: &Reservation) {
        if row.status() == ReservationStatus::Pending {
            self.due.push((row.expires_at, row.reservation_id));
        } else {
            self.over.push(row.reservation_id);
        }
    }

    /// Whether nothing is to be published.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.due.is_empty() && self.over.is_empty()
    }
}

fn key(keys: &RedisKeys) -> String {
    keys.installation_part("holds")
}

/// Publishes the changes. A reservation never holds again once it is over, so those that are over come last.
///
/// # Errors
/// Redis could not be reached or refused; a part may have been published. Publishing it again does no harm.
pub async fn publish(connection: &mut impl ConnectionLike, keys: &RedisKeys, changes: &HoldChanges) -> RedisResult<()> {
    let key = key(keys);
    for due in changes.due.chunks(PER_COMMAND) {
        let due: Vec<_> = due.iter().map(|(at, id)| (at.micros(), id.get())).collect();
        redis::cmd("ZADD").arg(&key).arg(due).query_async::<()>(connection).await?;
    }
    for over in changes.over.chunks(PER_COMMAND) {
        let over: Vec<_> = over.iter().map(|id| id.get()).collect();
        redis::cmd("ZREM").arg(&key).arg(over).query_async::<()>(connection).await?;
    }
    Ok(())
}

/// Takes the holds that are over at `now`, the earliest first, at most `limit`. Each one is handed to one caller once.
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
