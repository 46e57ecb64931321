//! Points: a balance that is never below zero, and a history that only grows.

use crate::{
    id::{HistoryId, PaymentId, PointId, UserId},
    money::Money,
    refusal::Refusal,
    rules::Rules,
    time::Time,
};
use serde::{Deserialize, Serialize};

/// A user's balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Point {
    /// Which account.
    pub point_id: PointId,
    /// Whose.
    pub user_id: UserId,
    /// The balance: the sum of the history.
    pub amount: Money,
    /// The number of history entries; each entry has the next one.
    pub version: i64,
    /// When it last changed.
    pub last_updated: Time,
    /// When it was opened.
    pub created_at: Time,
}

/// What moved the points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PointKind {
    /// Points were charged (topped up).
    Charge,
    /// Points paid for a reservation.
    Use,
    /// A payment was given back.
    Refund,
}

/// One entry of a user's history. Never changed, never deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PointEntry {
    /// Which entry.
    pub history_id: HistoryId,
    /// Whose.
    pub user_id: UserId,
    /// The change: negative for a use.
    pub amount: Money,
    /// What moved the points.
    #[serde(rename = "type")]
    pub kind: PointKind,
    /// A line for the statement.
    #[cfg_attr(feature = "openapi", schema(example = "charge"))]
    pub description: String,
    /// The balance after it.
    pub balance_after: Money,
    /// Its place in the user's history, from 1, without gaps.
    pub version: i64,
    /// The payment that it belongs to, for a use or a refund.
    pub payment_id: Option<PaymentId>,
    /// The payment provider's reference of a charge; unique for ever.
    pub reference: Option<String>,
    /// When.
    pub created_at: Time,
}

/// The balance after a charge (잔액충전).
///
/// # Errors
/// [`Refusal::AmountOutOfBounds`] or [`Refusal::BalanceTooLarge`].
pub fn charged(balance: Money, amount: Money, rules: &Rules) -> Result<Money, Refusal> {
    if amount < rules.charge_min || amount > rules.charge_max {
        return Err(Refusal::AmountOutOfBounds { min: rules.charge_min, max: rules.charge_max });
    }
    balance
        .checked_add(amount)
        .filter(|sum| *sum <= rules.balance_max)
        .ok_or(Refusal::BalanceTooLarge { max: rules.balance_max })
}

/// The balance after paying `price` (잔액차감).
///
/// # Errors
/// [`Refusal::InsufficientPoints`] where the balance does not cover it.
pub fn deducted(balance: Money, price: Money) -> Result<Money, Refusal> {
    balance.checked_sub(price).filter(|rest| *rest >= Money::ZERO).ok_or(Refusal::InsufficientPoints { balance, price })
}
