//! Points: a balance that is never below zero, and a history that only grows.

use crate::{
    id::{DebtId, HistoryId, PaymentId, PointId, UserId},
    money::Money,
    policy::Policy,
    refusal::Refusal,
    time::Time,
};
use serde::{Deserialize, Serialize};

/// A user's balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// The cause of the movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PointKind {
    /// Points were topped up.
    TopUp,
    /// Points paid for a reservation.
    Use,
    /// A payment was given back.
    Refund,
    /// An operator corrected the balance.
    Adjustment,
}

/// One entry of a user's history. Never changed, never deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointEntry {
    /// Which entry.
    pub history_id: HistoryId,
    /// Whose.
    pub user_id: UserId,
    /// The change: negative for a use, and for an adjustment that takes.
    pub amount: Money,
    /// The cause of the movement.
    #[serde(rename = "type")]
    pub kind: PointKind,
    /// A line for the statement.
    pub description: String,
    /// The balance after it.
    pub balance_after: Money,
    /// Its place in the user's history, from 1, without gaps.
    pub version: i64,
    /// The payment that it belongs to, for a use or a refund.
    pub payment_id: Option<PaymentId>,
    /// The payment provider's reference of a top-up, unique for ever, or what an adjustment was booked under, unique
    /// among the user's.
    pub reference: Option<String>,
    /// When.
    pub created_at: Time,
}

/// The status of a debt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DebtStatus {
    /// The user owes it.
    Open,
    /// It was taken from the balance. Final.
    Collected,
    /// It was given up, or paid in another way. Final.
    Waived,
}

/// The rest of an adjustment that could not be taken, because a balance is never below zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debt {
    /// Which debt.
    pub debt_id: DebtId,
    /// Whose.
    pub user_id: UserId,
    /// How much is owed.
    pub amount: Money,
    /// Why the points were to be taken.
    pub reason: String,
    /// The reference of the adjustment.
    pub reference: String,
    /// Its status.
    pub status: DebtStatus,
    /// When it arose.
    pub created_at: Time,
    /// When it was settled.
    pub settled_at: Option<Time>,
}

/// How an operator settles a debt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Settlement {
    /// All of it is taken from the balance.
    Collect,
    /// It is given up, or was paid in another way.
    Waive,
}

/// The effect of an adjustment on an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adjustment {
    /// The points that move; negative to take.
    pub moved: Money,
    /// The points that become a debt.
    pub owed: Money,
}

/// The effect of an adjustment by `amount`: as many points as the balance has are taken, and the rest becomes a debt.
///
/// # Errors
/// [`Refusal::AmountOutOfBounds`] or [`Refusal::BalanceTooLarge`].
pub fn adjusted(balance: Money, amount: Money, policy: &Policy) -> Result<Adjustment, Refusal> {
    let (min, max) = (policy.top_up_max.negated(), policy.top_up_max);
    if amount == Money::ZERO || amount < min || amount > max {
        return Err(Refusal::AmountOutOfBounds { min, max });
    }
    let too_large = Refusal::BalanceTooLarge { max: policy.balance_max };
    let sum = balance.checked_add(amount).ok_or(too_large.clone())?;
    if amount > Money::ZERO && sum > policy.balance_max {
        return Err(too_large);
    }
    if sum >= Money::ZERO {
        return Ok(Adjustment { moved: amount, owed: Money::ZERO });
    }
    Ok(Adjustment { moved: balance.negated(), owed: sum.negated() })
}

/// The balance after a top-up (잔액충전).
///
/// # Errors
/// [`Refusal::AmountOutOfBounds`] or [`Refusal::BalanceTooLarge`].
pub fn topped_up(balance: Money, amount: Money, policy: &Policy) -> Result<Money, Refusal> {
    if amount < policy.top_up_min || amount > policy.top_up_max {
        return Err(Refusal::AmountOutOfBounds { min: policy.top_up_min, max: policy.top_up_max });
    }
    balance
        .checked_add(amount)
        .filter(|sum| *sum <= policy.balance_max)
        .ok_or(Refusal::BalanceTooLarge { max: policy.balance_max })
}

/// The balance after paying `price` (잔액차감).
///
/// # Errors
/// [`Refusal::InsufficientPoints`] if the balance does not cover it.
pub fn deducted(balance: Money, price: Money) -> Result<Money, Refusal> {
    balance.checked_sub(price).filter(|rest| *rest >= Money::ZERO).ok_or(Refusal::InsufficientPoints { balance, price })
}
