//! Reservations: pending → confirmed | cancelled | expired, and confirmed → refunded.

use crate::{
    id::{ConcertId, ReservationId, SeatId, UserId},
    line::ContradictoryColumns,
    money::Money,
    outage::Outage,
    refusal::Refusal,
    time::Time,
};
use serde::{Deserialize, Serialize};

/// The status of a reservation.
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
    /// Whether a reservation with this status has ended.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        match self {
            Self::Pending | Self::Confirmed => false,
            Self::Cancelled | Self::Expired | Self::Refunded => true,
        }
    }
}

/// A reservation's state, with the data of that state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReservationState {
    /// The seat is held until [`expires_at`](Reservation::expires_at).
    Pending,
    /// Paid: the seat is sold.
    Confirmed {
        /// When it was paid.
        at: Time,
    },
    /// Given up by its user or an operator.
    Cancelled {
        /// When it was given up.
        at: Time,
    },
    /// Not paid in time.
    Expired {
        /// When the hold ended.
        at: Time,
    },
    /// Paid, and the points given back.
    Refunded {
        /// When it was paid.
        confirmed_at: Time,
        /// When the points were given back.
        at: Time,
    },
}

impl ReservationState {
    /// The state without its data.
    #[must_use]
    pub const fn status(self) -> ReservationStatus {
        match self {
            Self::Pending => ReservationStatus::Pending,
            Self::Confirmed { .. } => ReservationStatus::Confirmed,
            Self::Cancelled { .. } => ReservationStatus::Cancelled,
            Self::Expired { .. } => ReservationStatus::Expired,
            Self::Refunded { .. } => ReservationStatus::Refunded,
        }
    }

    /// When it was paid.
    #[must_use]
    pub const fn confirmed_at(self) -> Option<Time> {
        match self {
            Self::Confirmed { at } | Self::Refunded { confirmed_at: at, .. } => Some(at),
            Self::Pending | Self::Cancelled { .. } | Self::Expired { .. } => None,
        }
    }

    /// When it was cancelled, expired or refunded.
    #[must_use]
    pub const fn closed_at(self) -> Option<Time> {
        match self {
            Self::Cancelled { at } | Self::Expired { at } | Self::Refunded { at, .. } => Some(at),
            Self::Pending | Self::Confirmed { .. } => None,
        }
    }

    /// The state of a row with these columns.
    ///
    /// # Errors
    /// The columns belong to no state.
    pub const fn from_columns(
        status: ReservationStatus,
        confirmed_at: Option<Time>,
        closed_at: Option<Time>,
    ) -> Result<Self, ContradictoryColumns> {
        match (status, confirmed_at, closed_at) {
            (ReservationStatus::Pending, None, None) => Ok(Self::Pending),
            (ReservationStatus::Confirmed, Some(at), None) => Ok(Self::Confirmed { at }),
            (ReservationStatus::Cancelled, None, Some(at)) => Ok(Self::Cancelled { at }),
            (ReservationStatus::Expired, None, Some(at)) => Ok(Self::Expired { at }),
            (ReservationStatus::Refunded, Some(confirmed_at), Some(at)) => Ok(Self::Refunded { confirmed_at, at }),
            _ => Err(ContradictoryColumns { table: "reservation" }),
        }
    }
}

/// One seat reserved by one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ReservationColumns", into = "ReservationColumns")]
pub struct Reservation {
    /// The reservation.
    pub reservation_id: ReservationId,
    /// The user.
    pub user_id: UserId,
    /// The concert.
    pub concert_id: ConcertId,
    /// The seat.
    pub seat_id: SeatId,
    /// The seat's number in the concert.
    pub seat_number: i32,
    /// The price at the time of the hold; a later change of the seat's price does not change it.
    pub price: Money,
    /// The reservation's state.
    pub state: ReservationState,
    /// When the seat was held.
    pub created_at: Time,
    /// When the hold ends unless it is paid.
    pub expires_at: Time,
}

/// A reservation as the columns of its row: the status, and the data of every state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationColumns {
    /// The reservation.
    pub reservation_id: ReservationId,
    /// The user.
    pub user_id: UserId,
    /// The concert.
    pub concert_id: ConcertId,
    /// The seat.
    pub seat_id: SeatId,
    /// The seat's number in the concert.
    pub seat_number: i32,
    /// The price at the time of the hold.
    pub price: Money,
    /// The state without its data.
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

impl From<Reservation> for ReservationColumns {
    fn from(row: Reservation) -> Self {
        Self {
            reservation_id: row.reservation_id,
            user_id: row.user_id,
            concert_id: row.concert_id,
            seat_id: row.seat_id,
            seat_number: row.seat_number,
            price: row.price,
            status: row.state.status(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            confirmed_at: row.state.confirmed_at(),
            closed_at: row.state.closed_at(),
        }
    }
}

impl TryFrom<ReservationColumns> for Reservation {
    type Error = ContradictoryColumns;

    fn try_from(row: ReservationColumns) -> Result<Self, ContradictoryColumns> {
        Ok(Self {
            reservation_id: row.reservation_id,
            user_id: row.user_id,
            concert_id: row.concert_id,
            seat_id: row.seat_id,
            seat_number: row.seat_number,
            price: row.price,
            state: ReservationState::from_columns(row.status, row.confirmed_at, row.closed_at)?,
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    }
}

impl Reservation {
    /// The hold with its end extended by an outage; none if the outage did not affect it.
    #[must_use]
    pub fn extended_by(self, outage: &Outage) -> Option<Self> {
        let is_affected = self.state == ReservationState::Pending && self.expires_at > outage.from;
        is_affected.then(|| Self { expires_at: self.expires_at.plus(outage.grace), ..self })
    }

    /// The state without its data.
    #[must_use]
    pub const fn status(&self) -> ReservationStatus {
        self.state.status()
    }

    /// When it was paid.
    #[must_use]
    pub const fn confirmed_at(&self) -> Option<Time> {
        self.state.confirmed_at()
    }

    /// When it was cancelled, expired or refunded.
    #[must_use]
    pub const fn closed_at(&self) -> Option<Time> {
        self.state.closed_at()
    }

    /// Whether the reservation has its seat at `now`: sold to it, or held before the end of the hold.
    #[must_use]
    pub fn is_live(&self, now: Time) -> bool {
        match self.state {
            ReservationState::Confirmed { .. } => true,
            ReservationState::Pending => now < self.expires_at,
            ReservationState::Cancelled { .. }
            | ReservationState::Expired { .. }
            | ReservationState::Refunded { .. } => false,
        }
    }

    /// Whether it holds its seat at `now`, unpaid.
    #[must_use]
    pub fn is_held(&self, now: Time) -> bool {
        self.state == ReservationState::Pending && now < self.expires_at
    }

    /// Whether it is a hold past its end that has not been swept.
    #[must_use]
    pub fn is_overdue(&self, now: Time) -> bool {
        self.state == ReservationState::Pending && now >= self.expires_at
    }

    /// The reservation paid at `now` (예약확정).
    ///
    /// # Errors
    /// [`Refusal::HoldExpired`] past the hold's end, [`Refusal::ReservationNotPending`] after any other end.
    pub fn confirmed(mut self, now: Time) -> Result<Self, Refusal> {
        self.check_pending(now)?;
        self.state = ReservationState::Confirmed { at: now };
        Ok(self)
    }

    /// The reservation cancelled at `now` (예약취소).
    ///
    /// # Errors
    /// [`Refusal::HoldExpired`] past the hold's end, [`Refusal::ReservationNotPending`] after any other end.
    pub fn cancelled(mut self, now: Time) -> Result<Self, Refusal> {
        self.check_pending(now)?;
        self.state = ReservationState::Cancelled { at: now };
        Ok(self)
    }

    /// The reservation swept: closed at the end of its hold. None unless it is overdue at `now`.
    #[must_use]
    pub fn expired(mut self, now: Time) -> Option<Self> {
        if !self.is_overdue(now) {
            return None;
        }
        self.state = ReservationState::Expired { at: self.expires_at };
        Some(self)
    }

    /// The reservation refunded at `now`. None unless it is confirmed.
    #[must_use]
    pub fn refunded(mut self, now: Time) -> Option<Self> {
        let ReservationState::Confirmed { at: confirmed_at } = self.state else { return None };
        self.state = ReservationState::Refunded { confirmed_at, at: now };
        Some(self)
    }

    fn check_pending(&self, now: Time) -> Result<(), Refusal> {
        match self.state {
            ReservationState::Expired { .. } => Err(Refusal::HoldExpired { expired_at: self.expires_at }),
            ReservationState::Pending if self.is_overdue(now) => {
                Err(Refusal::HoldExpired { expired_at: self.expires_at })
            }
            ReservationState::Pending => Ok(()),
            ReservationState::Confirmed { .. }
            | ReservationState::Cancelled { .. }
            | ReservationState::Refunded { .. } => Err(Refusal::ReservationNotPending),
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
            state: ReservationState::Pending,
            created_at: Time::from_micros(0),
            expires_at: END,
        }
    }

    #[test]
    fn a_hold_is_confirmed_or_cancelled_before_its_end_and_expires_from_then_on() {
        let before = Time::from_micros(299);
        let confirmed = pending().confirmed(before).unwrap();
        assert_eq!(confirmed.state, ReservationState::Confirmed { at: before });
        let cancelled = pending().cancelled(before).unwrap();
        assert_eq!((cancelled.status(), cancelled.closed_at()), (ReservationStatus::Cancelled, Some(before)));
        assert_eq!(pending().expired(before), None);

        assert_eq!(pending().confirmed(END), Err(Refusal::HoldExpired { expired_at: END }));
        assert_eq!(pending().cancelled(END), Err(Refusal::HoldExpired { expired_at: END }));
        let expired = pending().expired(Time::from_micros(900)).unwrap();
        assert_eq!((expired.status(), expired.closed_at()), (ReservationStatus::Expired, Some(END)));
    }

    #[test]
    fn every_end_but_a_payment_is_final() {
        let now = Time::from_micros(10);
        let paid = pending().confirmed(now).unwrap();
        let refunded = paid.clone().refunded(now).unwrap();
        assert_eq!((refunded.status(), refunded.closed_at()), (ReservationStatus::Refunded, Some(now)));
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
