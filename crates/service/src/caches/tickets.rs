//! The seats of reservations that this process has just committed.

use frontrow_domain::{
    changes::Changes,
    id::{ConcertId, ReservationId, SeatId},
    sale::{Seat, SeatLabel},
};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

/// How many reservations are cached.
const KNOWN_MAX: usize = 20_000;

/// The seats of reservations that this process has just committed, so that answering a hold or a payment reads nothing.
#[derive(Debug, Default)]
pub(crate) struct RecentTickets {
    known: RwLock<HashMap<ReservationId, KnownSeat>>,
}

/// The seat of a reservation.
#[derive(Debug, Clone)]
pub(crate) struct KnownSeat {
    pub(crate) concert_id: ConcertId,
    pub(crate) seat_id: SeatId,
    pub(crate) seat_number: i32,
    pub(crate) label: Arc<SeatLabel>,
}

impl RecentTickets {
    /// Applies a committed batch.
    pub(crate) fn publish(&self, changes: &Changes) {
        if changes.reservations.is_empty() {
            return;
        }
        let seats: HashMap<SeatId, &Seat> = changes.seats.iter().map(|seat| (seat.seat_id, seat)).collect();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() > KNOWN_MAX {
            known.clear();
        }
        for row in changes.reservations.iter() {
            if let Some(seat) = seats.get(&row.seat_id) {
                let label = Arc::clone(&seat.label);
                let Seat { concert_id, seat_id, seat_number, .. } = **seat;
                known.insert(row.reservation_id, KnownSeat { concert_id, seat_id, seat_number, label });
            }
        }
    }

    pub(crate) fn get(&self, id: ReservationId) -> Option<KnownSeat> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Empties the cache.
    pub(crate) fn forget(&self) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
