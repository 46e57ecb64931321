//! Reservations: pending → confirmed | cancelled | expired, and confirmed → refunded.

use crate::{
    id::{ConcertId, ReservationId, SeatId, UserId},
    money::Money,
    time::Time,
};
use serde::{Deserialize, Serialize};

/// Where a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReservationStatus {
    /// The seat is held until `expires_at`.
    Pending,
    /// Paid: the seat is sold.
    Confirmed,
    /// Given up by its user or an operator.
    Cancelled,
    /// Not paid in time.
    Expired,
    /// Paid, and the points given back.
    Refunded,
}

/// One seat reserved by one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reservation {
    /// Which reservation.
    pub reservation_id: ReservationId,
    /// Whose.
    pub user_id: UserId,
    /// Of which concert.
    pub concert_id: ConcertId,
    /// Which seat.
    pub seat_id: SeatId,
    /// The seat's number in the concert.
    #[cfg_attr(feature = "openapi", schema(example = 17))]
    pub seat_number: i32,
    /// The price at the time of the hold; it cannot change under it.
    pub price: Money,
    /// Where it stands.
    pub status: ReservationStatus,
    /// When the seat was held.
    pub created_at: Time,
    /// When the hold ends unless it is paid.
    pub expires_at: Time,
    /// When it was paid.
    pub confirmed_at: Option<Time>,
    /// When it was cancelled, expired or refunded.
    pub closed_at: Option<Time>,
}

impl Reservation {
    /// Whether the seat is this reservation's at `now`: sold to it, or held and not past the end.
    #[must_use]
    pub fn is_live(&self, now: Time) -> bool {
        match self.status {
            ReservationStatus::Confirmed => true,
            ReservationStatus::Pending => now < self.expires_at,
            ReservationStatus::Cancelled | ReservationStatus::Expired | ReservationStatus::Refunded => false,
        }
    }

    /// Whether it is a hold whose time has run out, though nothing has swept it yet.
    #[must_use]
    pub fn is_overdue(&self, now: Time) -> bool {
        self.status == ReservationStatus::Pending && now >= self.expires_at
    }
}
