//! Money: no won is lost or invented, and every history can be added up.

use super::{AuditedAccount, Books, Index, Verdict};
use crate::history::{Asked, Effect, History, RequestOutcome};
use std::collections::HashMap;

pub(super) fn check(history: &History, books: &Books, index: &Index, verdict: &mut Verdict) {
    let bounds = expected(history, index);
    for account in &books.accounts {
        versions(account, verdict);
        let sum: i64 = account.entries.iter().map(|entry| entry.amount).sum();
        let by_entries = account.balance_before.saturating_add(sum);
        verdict.note(
            "money_adds_up",
            (by_entries != account.balance).then(|| {
                format!(
                    "buyer {}: the history adds up to {by_entries}, the balance is {}",
                    account.buyer, account.balance
                )
            }),
        );
        let bound = bounds.get(&account.buyer).copied().unwrap_or_default();
        let low = account.balance_before.saturating_add(bound.low);
        let high = account.balance_before.saturating_add(bound.high);
        verdict.note(
            "money_adds_up",
            (!(low..=high).contains(&account.balance)).then(|| {
                let expected = if low == high { low.to_string() } else { format!("{low} to {high}") };
                format!(
                    "buyer {}: top-ups - payments + refunds make {expected}, the balance is {}",
                    account.buyer, account.balance
                )
            }),
        );
    }
}

/// The balance that follows from the known requests; requests of unknown outcome widen the range.
#[derive(Debug, Clone, Copy, Default)]
struct BalanceRange {
    low: i64,
    high: i64,
}

fn expected(history: &History, index: &Index) -> HashMap<usize, BalanceRange> {
    let mut bounds: HashMap<usize, BalanceRange> = HashMap::new();
    for op in &history.ops {
        let amount = match &op.asked {
            Asked::TopUp { amount } => *amount,
            Asked::Pay { reservations, .. } => reservations
                .iter()
                .filter_map(|id| index.lives.get(id))
                .fold(0_i64, |sum, life| sum.saturating_sub(life.held.price)),
            Asked::Refund { payment } => index.payments.get(payment).map_or(0, |(_, payment)| payment.amount),
            _ => continue,
        };
        let amount = match &op.outcome {
            RequestOutcome::Ok(Effect::ToppedUp(entry)) => entry.amount,
            RequestOutcome::Ok(Effect::Paid(payments)) => {
                payments.iter().fold(0_i64, |sum, payment| sum.saturating_sub(payment.amount))
            }
            _ => amount,
        };
        let bound = bounds.entry(op.buyer).or_default();
        match op.outcome {
            RequestOutcome::Ok(_) => {
                bound.low = bound.low.saturating_add(amount);
                bound.high = bound.high.saturating_add(amount);
            }
            RequestOutcome::Unknown => {
                bound.low = bound.low.saturating_add(amount.min(0));
                bound.high = bound.high.saturating_add(amount.max(0));
            }
            RequestOutcome::Fail { .. } => {}
        }
    }
    bounds
}

fn versions(account: &AuditedAccount, verdict: &mut Verdict) {
    let mut version = account.version_before;
    let mut balance = account.balance_before;
    for entry in &account.entries {
        let follows = entry.version == version.saturating_add(1);
        verdict.note(
            "versions_without_gaps",
            (!follows).then(|| format!("buyer {}: version {version} is followed by {}", account.buyer, entry.version)),
        );
        let adds_up = entry.balance_after == balance.saturating_add(entry.amount);
        verdict.note(
            "money_adds_up",
            (!adds_up).then(|| {
                format!(
                    "buyer {}: entry {} makes {} of {balance} and {}",
                    account.buyer, entry.history_id, entry.balance_after, entry.amount
                )
            }),
        );
        verdict.note(
            "balance_never_negative",
            (entry.balance_after < 0)
                .then(|| format!("buyer {}: the balance was {}", account.buyer, entry.balance_after)),
        );
        version = entry.version;
        balance = entry.balance_after;
    }
}
