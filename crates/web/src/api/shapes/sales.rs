//! What a sale books: reservations, payments, points and debts.

use frontrow_domain::{
    id::{ConcertId, DebtId, HistoryId, PaymentId, ReservationId, SeatId, UserId},
    money::Money,
    points::{Debt, DebtStatus, PointEntry, PointKind},
    sale::{Payment, PaymentStatus, Reservation, ReservationStatus},
    time::Time,
};
use serde::Serialize;
use utoipa::ToSchema;

/// One seat reserved by one user.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Reservation)]
pub(in crate::api) struct ReservationShape {
    /// The reservation's id.
    pub(in crate::api) reservation_id: ReservationId,
    /// The user.
    user_id: UserId,
    /// The concert.
    concert_id: ConcertId,
    /// The seat.
    seat_id: SeatId,
    /// The seat's number in the concert.
    #[schema(example = 17)]
    seat_number: i32,
    /// The price at the time of the hold; it cannot change under it.
    price: Money,
    /// The reservation's status.
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

/// A payment for one reservation out of its user's points.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Payment)]
pub(in crate::api) struct PaymentShape {
    /// The payment's id.
    pub(in crate::api) payment_id: PaymentId,
    /// The user that paid.
    user_id: UserId,
    /// The reservation that was paid for.
    reservation_id: ReservationId,
    /// The amount: the reservation's price.
    amount: Money,
    /// The payment's status.
    status: PaymentStatus,
    /// When it was paid.
    paid_at: Time,
    /// When it was refunded.
    refunded_at: Option<Time>,
    /// When the payment was stored.
    created_at: Time,
}

impl From<Payment> for PaymentShape {
    fn from(row: Payment) -> Self {
        Self {
            payment_id: row.payment_id,
            user_id: row.user_id,
            reservation_id: row.reservation_id,
            amount: row.amount,
            status: row.status,
            paid_at: row.paid_at,
            refunded_at: row.refunded_at,
            created_at: row.created_at,
        }
    }
}

/// One entry of a user's history. Never changed, never deleted.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = PointEntry)]
pub(in crate::api) struct PointEntryShape {
    /// The entry's id.
    pub(in crate::api) history_id: HistoryId,
    /// The user.
    user_id: UserId,
    /// The change: negative for a use, and for an adjustment that takes.
    amount: Money,
    /// The cause of the movement.
    #[serde(rename = "type")]
    kind: PointKind,
    /// A line for the statement.
    #[schema(example = "top-up")]
    description: String,
    /// The balance after it.
    balance_after: Money,
    /// Its place in the user's history, from 1, without gaps.
    version: i64,
    /// The payment that it belongs to, for a use or a refund.
    payment_id: Option<PaymentId>,
    /// The payment provider's reference of a top-up, unique for ever, or what an adjustment was booked under, unique
    /// among the user's.
    reference: Option<String>,
    /// When the points moved.
    created_at: Time,
}

impl From<PointEntry> for PointEntryShape {
    fn from(row: PointEntry) -> Self {
        Self {
            history_id: row.history_id,
            user_id: row.user_id,
            amount: row.amount,
            kind: row.kind,
            description: row.description,
            balance_after: row.balance_after,
            version: row.version,
            payment_id: row.payment_id,
            reference: row.reference,
            created_at: row.created_at,
        }
    }
}

/// The rest of an adjustment that could not be taken, because a balance is never below zero.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Debt)]
pub(in crate::api) struct DebtShape {
    /// The debt's id.
    pub(in crate::api) debt_id: DebtId,
    /// The user that owes it.
    user_id: UserId,
    /// The amount that is owed.
    amount: Money,
    /// Why the points were to be taken.
    #[schema(example = "Chargeback of 2027-03-02")]
    reason: String,
    /// The reference of the adjustment.
    #[schema(example = "chargeback-000017")]
    reference: String,
    /// The debt's status.
    status: DebtStatus,
    /// When it arose.
    created_at: Time,
    /// When it was settled.
    settled_at: Option<Time>,
}

impl From<Debt> for DebtShape {
    fn from(row: Debt) -> Self {
        Self {
            debt_id: row.debt_id,
            user_id: row.user_id,
            amount: row.amount,
            reason: row.reason,
            reference: row.reference,
            status: row.status,
            created_at: row.created_at,
            settled_at: row.settled_at,
        }
    }
}
