//! How much work a new place costs in each room.

use frontrow_domain::{
    id::RoomId,
    line::{JoinPace, WorkPolicy, WorkPrice},
    time::Time,
};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Of how many rooms joins are counted at once. Beyond that a room counts as quiet.
const ROOMS_MAX: usize = 4_096;

/// The prices of new places, by the joins that this instance sees.
#[derive(Debug)]
pub(super) struct WorkPrices {
    policy: WorkPolicy,
    paces: Mutex<HashMap<RoomId, JoinPace>>,
}

impl WorkPrices {
    pub(super) fn new(policy: WorkPolicy) -> Self {
        Self { policy, paces: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RoomId, JoinPace>> {
        // Every update leaves the counts consistent, so a panic while they were locked does no harm.
        self.paces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a client that asked for a new place.
    pub(super) fn count(&self, room: RoomId, now: Time) {
        if self.policy == WorkPolicy::Off {
            return;
        }
        let mut paces = self.lock();
        if paces.len() >= ROOMS_MAX && !paces.contains_key(&room) {
            paces.retain(|_, pace| !pace.is_over(now));
        }
        if paces.len() < ROOMS_MAX || paces.contains_key(&room) {
            paces.entry(room).or_default().count(now);
        }
    }

    /// The price of a new place now; none while it asks for no work.
    pub(super) fn price(&self, room: RoomId, now: Time) -> Option<WorkPrice> {
        if self.policy == WorkPolicy::Off {
            return None;
        }
        let joins = self.lock().get(&room).map_or(0, |pace| pace.per_minute(now));
        WorkPrice::of(self.policy, joins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_room_has_its_own_price_and_no_more_rooms_are_counted_than_fit() {
        let prices = WorkPrices::new(WorkPolicy::Auto);
        let (now, later) = (Time::from_micros(0), Time::from_micros(60_000_000));
        for _ in 0..50 {
            prices.count(RoomId::new(1), now);
        }
        assert_eq!(prices.price(RoomId::new(1), now), Some(WorkPrice::LEAST));
        assert_eq!(prices.price(RoomId::new(2), now), None);
        for room in 1..=2 * i64::try_from(ROOMS_MAX).unwrap() {
            prices.count(RoomId::new(room), now);
        }
        assert_eq!(prices.lock().len(), ROOMS_MAX);
        prices.count(RoomId::new(1_000_000), later);
        assert_eq!(prices.lock().len(), 1, "rooms without joins make room");
    }
}
