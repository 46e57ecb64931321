//! The result of a sale, for programs that compare it with more than this crowd can see.

use crate::{
    crowd::CrowdResult,
    history::{Effect, RequestOutcome},
    report,
};
use std::{collections::BTreeMap, time::Instant};

/// The result of a sale.
#[derive(Debug)]
pub struct Sold {
    pub concert_id: i64,
    /// The room that its buyers waited in.
    pub room_id: i64,
    /// The report for people, with every breach.
    pub report: String,
    /// Whether every promise was kept.
    pub is_clean: bool,
    /// How many seats were sold.
    pub seats_sold: u64,
    /// How many seats were held, or free.
    pub seats_left: u64,
    /// The number of visits by their end.
    pub endings: BTreeMap<&'static str, u64>,
    /// Requests that were given up: repeat after repeat brought no definite answer.
    pub given_up: Vec<String>,
    /// Everything that buyers got a positive answer to.
    pub acknowledged: Acknowledged,
}

/// Everything that buyers got a positive answer to.
#[derive(Debug, Default)]
pub struct Acknowledged {
    /// Places in line that were given.
    pub places: Vec<IssuedPlace>,
    /// Reservations: number, user, seat.
    pub reservations: Vec<(i64, String, i64)>,
    /// Payments: number, user, amount in won.
    pub payments: Vec<(i64, String, i64)>,
    /// Top-ups: the entry's number in the history, user, amount in won.
    pub top_ups: Vec<(i64, String, i64)>,
}

/// A place in line that was given.
#[derive(Debug, Clone)]
pub struct IssuedPlace {
    pub user_id: String,
    pub position: i64,
    /// Whether it was given now; else it is the one that the user had.
    pub is_new: bool,
    /// When it was first asked for.
    pub asked: Instant,
    /// When the answer was there.
    pub answered: Instant,
}

/// The part of a result that other programs may use.
pub(crate) fn sold(outcome: &CrowdResult) -> Sold {
    let seats = outcome.seats;
    Sold {
        concert_id: outcome.concert.0,
        room_id: outcome.room_id,
        report: report::text(outcome),
        is_clean: report::is_clean(outcome),
        seats_sold: seats.sold,
        seats_left: seats.held + seats.available,
        endings: outcome.endings.iter().map(|(ending, count)| (ending.name(), *count)).collect(),
        given_up: outcome.history.given_up.clone(),
        acknowledged: acknowledged(outcome),
    }
}

fn acknowledged(outcome: &CrowdResult) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    for op in &outcome.history.ops {
        let RequestOutcome::Ok(effect) = &op.outcome else { continue };
        let user_id = outcome.user_ids.get(op.buyer).cloned().unwrap_or_default();
        match effect {
            Effect::Joined { position, fresh, .. } => {
                let moments = (outcome.mono.instant(op.sent), outcome.mono.instant(op.received));
                if let (Some(asked), Some(answered)) = moments {
                    acknowledged.places.push(IssuedPlace {
                        user_id,
                        position: *position,
                        is_new: *fresh,
                        asked: asked.into_std(),
                        answered: answered.into_std(),
                    });
                }
            }
            Effect::Held(held) => {
                acknowledged
                    .reservations
                    .extend(held.iter().map(|row| (row.reservation_id, user_id.clone(), row.seat_id)));
            }
            Effect::Paid(paid) => {
                acknowledged.payments.extend(paid.iter().map(|row| (row.payment_id, user_id.clone(), row.amount)));
            }
            Effect::ToppedUp(entry) => acknowledged.top_ups.push((entry.history_id, user_id, entry.amount)),
            Effect::Done | Effect::Activated { .. } | Effect::Cancelled(_) | Effect::Refunded(_) => {}
        }
    }
    acknowledged
}
