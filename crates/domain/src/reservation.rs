//! Reservations: pending → confirmed | cancelled | expired, and confirmed → refunded.

use crate::{
    id::{ConcertId, ReservationId, SeatId, UserId},
    money::Money,
    refusal::Refusal,
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

impl ReservationStatus {
    /// Whether a reservation with this status has ended: then [`closed_at`](Reservation::closed_at) is set.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        match self {
            Self::Pending | Self::Confirmed => false,
            Self::Cancelled | Self::Expired | Self::Refunded => true,
        }
    }
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
    /// Whether the reservation has its seat at `now`: sold to it, or held before the end of the hold.
    #[must_use]
    pub fn is_live(&self, now: Time) -> bool {
        match self.status {
            ReservationStatus::Confirmed => true,
            ReservationStatus::Pending => now < self.expires_at,
            ReservationStatus::Cancelled | ReservationStatus::Expired | ReservationStatus::Refunded => false,
        }
    }

    /// Whether it is a hold past its end that has not been swept.
    #[must_use]
    pub fn is_overdue(&self, now: Time) -> bool {
        self.status == ReservationStatus::Pending && now >= self.expires_at
    }

    /// The reservation paid at `now` (예약확정).
    ///
    /// # Errors
    /// [`Refusal::HoldExpired`] past the hold's end, [`Refusal::ReservationNotPending`] after any other end.
    pub fn confirmed(mut self, now: Time) -> Result<Self, Refusal> {
        self.check_pending(now)?;
        self.status = ReservationStatus::Confirmed;
        self.confirmed_at = Some(now);
        Ok(self)
    }

    /// The reservation cancelled at `now` (예약취소).
    ///
    /// # Errors
    /// [`Refusal::HoldExpired`] past the hold's end, [`Refusal::ReservationNotPending`] after any other end.
    pub fn cancelled(mut self, now: Time) -> Result<Self, Refusal> {
        self.check_pending(now)?;
        self.status = ReservationStatus::Cancelled;
        self.closed_at = Some(now);
        Ok(self)
    }

    /// The reservation swept: closed at the end of its hold. None unless it is overdue at `now`.
    #[must_use]
    pub fn expired(mut self, now: Time) -> Option<Self> {
        if !self.is_overdue(now) {
            return None;
        }
        self.status = ReservationStatus::Expired;
        self.closed_at = Some(self.expires_at);
        Some(self)
    }

    /// The reservation refunded at `now`. None unless it is confirmed.
    #[must_use]
    pub fn refunded(mut self, now: Time) -> Option<Self> {
        if self.status != ReservationStatus::Confirmed {
            return None;
        }
        self.status = ReservationStatus::Refunded;
        self.closed_at = Some(now);
        Some(self)
    }

    fn check_pending(&self, now: Time) -> Result<(), Refusal> {
        match self.status {
            ReservationStatus::Expired => Err(Refusal::HoldExpired { expired_at: self.expires_at }),
            ReservationStatus::Pending if self.is_overdue(now) => {
                Err(Refusal::HoldExpired { expired_at: self.expires_at })
            }
            ReservationStatus::Pending => Ok(()),
            ReservationStatus::Confirmed | ReservationStatus::Cancelled | ReservationStatus::Refunded => {
                Err(Refusal::ReservationNotPending)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const END: Time = Time::from_micros(300);

    fn pending() -> Reservation {
        Reservation {
            reservation_id: ReservationId::new(1),
            user_id: UserId(Uuid::nil()),
            concert_id: ConcertId::new(1),
            seat_id: SeatId::new(1),
            seat_number: 1,
            price: Money::new(1),
            status: ReservationStatus::Pending,
            created_at: Time::from_micros(0),
            expires_at: END,
            confirmed_at: None,
            closed_at: None,
        }
    }

    #[test]
    fn a_hold_is_confirmed_or_cancelled_before_its_end_and_expires_from_then_on() {
        let before = Time::from_micros(299);
        let confirmed = pending().confirmed(before).unwrap();
        assert_eq!((confirmed.status, confirmed.confirmed_at), (ReservationStatus::Confirmed, Some(before)));
        let cancelled = pending().cancelled(before).unwrap();
        assert_eq!((cancelled.status, cancelled.closed_at), (ReservationStatus::Cancelled, Some(before)));
        assert_eq!(pending().expired(before), None);

        assert_eq!(pending().confirmed(END), Err(Refusal::HoldExpired { expired_at: END }));
        assert_eq!(pending().cancelled(END), Err(Refusal::HoldExpired { expired_at: END }));
        let expired = pending().expired(Time::from_micros(900)).unwrap();
        assert_eq!((expired.status, expired.closed_at), (ReservationStatus::Expired, Some(END)));
    }

    #[test]
    fn every_end_but_a_payment_is_final() {
        let now = Time::from_micros(10);
        let paid = pending().confirmed(now).unwrap();
        let refunded = paid.clone().refunded(now).unwrap();
        assert_eq!((refunded.status, refunded.closed_at), (ReservationStatus::Refunded, Some(now)));
        let expired = pending().expired(END).unwrap();
        assert_eq!(expired.clone().confirmed(now), Err(Refusal::HoldExpired { expired_at: END }));
        let cancelled = pending().cancelled(now).unwrap();
        for row in [&paid, &refunded, &cancelled] {
            assert_eq!(row.clone().confirmed(now), Err(Refusal::ReservationNotPending));
            assert_eq!(row.clone().cancelled(now), Err(Refusal::ReservationNotPending));
        }
        for row in [&paid, &refunded, &cancelled, &expired] {
            assert_eq!(row.clone().expired(END), None);
        }
        for row in [&pending(), &refunded, &cancelled, &expired] {
            assert_eq!(row.clone().refunded(now), None);
        }
    }
}
