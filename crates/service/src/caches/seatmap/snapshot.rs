//! The seats of a hall in their order, with the state of each at one moment.

use super::order::{PlacedSeat, SeatingOrder};
use frontrow_domain::sale::SeatStatus;
use std::sync::Arc;

/// The seats of a hall in their order, with the state of each at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatSnapshot {
    pub order: Arc<SeatingOrder>,
    /// By [`PlacedSeat::index`].
    states: Box<[SeatStatus]>,
}

impl SeatSnapshot {
    pub(crate) fn new(order: Arc<SeatingOrder>, states: Box<[SeatStatus]>) -> Self {
        Self { order, states }
    }

    /// The state of a seat of this hall.
    #[must_use]
    pub fn status(&self, seat: &PlacedSeat) -> SeatStatus {
        self.states.get(seat.index).copied().unwrap_or(SeatStatus::Blocked)
    }

    /// Whether a seat is free to hold.
    #[must_use]
    pub fn is_free(&self, seat: &PlacedSeat) -> bool {
        self.status(seat) == SeatStatus::Available
    }
}
