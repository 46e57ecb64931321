//! Remembers immutable facts about rows, so that batches need not look them up again.

use frontrow_domain::{
    reservation::Reservation,
    world::{Saves, World},
};
use std::collections::HashMap;

/// How many rows of a kind are remembered: about 50 MB of each at most.
const KNOWN_MAX: usize = 1_000_000;

/// The concert of each seat, and the seat and concert of each reservation.
#[derive(Debug, Default)]
pub(super) struct SeatIndex {
    seats: HashMap<i64, i64>,
    reservations: HashMap<i64, Reserved>,
}

/// A reservation's seat and concert.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reserved {
    pub(super) seat: i64,
    pub(super) concert: i64,
}

impl SeatIndex {
    pub(super) fn concert(&self, seat: i64) -> Option<i64> {
        self.seats.get(&seat).copied()
    }

    pub(super) fn reserved(&self, reservation: i64) -> Option<Reserved> {
        self.reservations.get(&reservation).copied()
    }

    /// Remembers the seats that a batch has loaded.
    pub(super) fn learn(&mut self, world: &World) {
        if self.seats.len() > KNOWN_MAX {
            self.seats.clear();
        }
        self.seats.extend(world.seats.iter().map(|seat| (seat.seat_id.get(), seat.concert_id.get())));
    }

    /// Remembers new reservations once they are committed.
    pub(super) fn learn_new(&mut self, reservations: &Saves<Reservation>) {
        if self.reservations.len() > KNOWN_MAX {
            self.reservations.clear();
        }
        let known = |row: &Reservation| {
            (row.reservation_id.get(), Reserved { seat: row.seat_id.get(), concert: row.concert_id.get() })
        };
        self.reservations.extend(reservations.inserted.iter().map(known));
    }

    /// Forgets everything: a new primary may have lost rows that were seen here, and may give their ids again.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}
