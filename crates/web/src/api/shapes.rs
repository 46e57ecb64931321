//! What the API says of rows: shapes of their own, so that a row may change without its readers.

use frontrow_domain::{
    id::{ConcertId, ReservationId, SeatId, UserId},
    money::Money,
    reservation::{Reservation, ReservationStatus},
    time::Time,
};
use serde::Serialize;
use utoipa::ToSchema;

/// One seat reserved by one user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reservation)]
pub(super) struct ReservationShape {
    /// Which reservation.
    pub(super) reservation_id: ReservationId,
    /// Whose.
    user_id: UserId,
    /// Of which concert.
    concert_id: ConcertId,
    /// Which seat.
    seat_id: SeatId,
    /// The seat's number in the concert.
    #[schema(example = 17)]
    seat_number: i32,
    /// The price at the time of the hold; it cannot change under it.
    price: Money,
    /// Where it stands.
    status: ReservationStatus,
    /// When the seat was held.
    created_at: Time,
    /// When the hold ends unless it is paid.
    expires_at: Time,
    /// When it was paid.
    confirmed_at: Option<Time>,
    /// When it was cancelled, expired or refunded.
    closed_at: Option<Time>,
}

impl From<Reservation> for ReservationShape {
    fn from(row: Reservation) -> Self {
        Self {
            reservation_id: row.reservation_id,
            user_id: row.user_id,
            concert_id: row.concert_id,
            seat_id: row.seat_id,
            seat_number: row.seat_number,
            price: row.price,
            status: row.status(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            confirmed_at: row.confirmed_at(),
            closed_at: row.closed_at(),
        }
    }
}
