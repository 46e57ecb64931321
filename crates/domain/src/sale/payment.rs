//! Payments: completed → refunded.

use crate::{
    id::{PaymentId, ReservationId, UserId},
    money::Money,
    time::Time,
};
use serde::{Deserialize, Serialize};

/// The status of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// The points were taken.
    Completed,
    /// The points were given back. Final.
    Refunded,
}

/// A payment for one reservation out of its user's points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Which payment.
    pub payment_id: PaymentId,
    /// The user who paid.
    pub user_id: UserId,
    /// For which reservation.
    pub reservation_id: ReservationId,
    /// How much, the reservation's price.
    pub amount: Money,
    /// Its status.
    pub status: PaymentStatus,
    /// When it was paid.
    pub paid_at: Time,
    /// When it was refunded.
    pub refunded_at: Option<Time>,
    /// When the row was made.
    pub created_at: Time,
}
