//! Everything acknowledged is in the books with the same content, and nothing is there that was not acknowledged.

use super::{AuditedAccount, Books, Happened, Index, ReservationLife, Verdict};
use crate::{
    api::{Payment, PointEntry, Reservation},
    history::{Asked, Effect, History, RequestOutcome},
};
use std::collections::{HashMap, HashSet};

pub(super) fn check(history: &History, books: &Books, index: &Index, verdict: &mut Verdict) {
    let reservations: HashMap<i64, &Reservation> =
        books.reservations.iter().map(|row| (row.reservation_id, row)).collect();
    let payments: HashMap<i64, &Payment> = books.payments.iter().map(|row| (row.payment_id, row)).collect();
    for life in index.lives.values() {
        reservation_present(life, &reservations, index, verdict);
    }
    for (buyer, payment) in index.payments.values() {
        payment_present(*buyer, payment, &payments, verdict);
    }
    top_ups_present(history, books, verdict);
    unexplained(history, books, index, verdict);
    payments_match(books, index, &reservations, verdict);
}

fn reservation_present(
    life: &ReservationLife,
    reservations: &HashMap<i64, &Reservation>,
    index: &Index,
    verdict: &mut Verdict,
) {
    let held = &life.held;
    let id = held.reservation_id;
    let Some(row) = reservations.get(&id) else {
        let what = format!("reservation {id} of buyer {} was acknowledged and is not there", life.buyer);
        verdict.note("acknowledged_present", Some(what));
        return;
    };
    let same = (row.seat_id, row.price, &row.user_id, row.created_at, row.expires_at)
        == (held.seat_id, held.price, &held.user_id, held.created_at, held.expires_at);
    let owned = index.user_of.get(&life.buyer).is_none_or(|user| *user == row.user_id);
    verdict.note(
        "acknowledged_present",
        (!(same && owned)).then(|| format!("reservation {id} was acknowledged as {held:?} and is {row:?}")),
    );
    let allowed = allowed_states(life);
    verdict.note(
        "states_follow",
        (!allowed.contains(&row.status.as_str()))
            .then(|| format!("reservation {id} is {}, its history allows {allowed:?}", row.status)),
    );
}

fn allowed_states(life: &ReservationLife) -> Vec<&'static str> {
    let mut allowed = Vec::new();
    match (life.cancelled, life.paid) {
        (Happened::Yes, _) => return vec!["cancelled"],
        (_, Happened::Yes) => {}
        (cancelled, paid) => {
            allowed.extend(["pending", "expired"]);
            if cancelled == Happened::Maybe {
                allowed.push("cancelled");
            }
            if paid == Happened::No {
                return allowed;
            }
        }
    }
    if life.refunded != Happened::Yes {
        allowed.push("confirmed");
    }
    if life.refunded != Happened::No {
        allowed.push("refunded");
    }
    allowed
}

fn payment_present(buyer: usize, payment: &Payment, payments: &HashMap<i64, &Payment>, verdict: &mut Verdict) {
    let id = payment.payment_id;
    let broken = match payments.get(&id) {
        None => Some(format!("payment {id} of buyer {buyer} was acknowledged and is not there")),
        Some(row) => {
            let same = (row.reservation_id, row.amount, &row.user_id)
                == (payment.reservation_id, payment.amount, &payment.user_id);
            (!same).then(|| format!("payment {id} was acknowledged as {payment:?} and is {row:?}"))
        }
    };
    verdict.note("acknowledged_present", broken);
}

fn top_ups_present(history: &History, books: &Books, verdict: &mut Verdict) {
    let entries: HashMap<usize, HashMap<i64, &PointEntry>> = books
        .accounts
        .iter()
        .map(|account| (account.buyer, account.entries.iter().map(|entry| (entry.history_id, entry)).collect()))
        .collect();
    for op in &history.ops {
        let RequestOutcome::Ok(Effect::ToppedUp(entry)) = &op.outcome else { continue };
        let Some(account) = entries.get(&op.buyer) else { continue };
        let found = account.get(&entry.history_id).is_some_and(|found| *found == entry);
        verdict.note(
            "acknowledged_present",
            (!found).then(|| format!("buyer {}: the top-up {entry:?} was acknowledged and is not there", op.buyer)),
        );
    }
}

/// Requests of a buyer whose outcome is unknown: they may explain what else is in the books.
#[derive(Default)]
struct UnresolvedRequests {
    seats: HashSet<i64>,
    paid: HashSet<i64>,
    top_ups: Vec<i64>,
}

fn open_requests(history: &History) -> HashMap<usize, UnresolvedRequests> {
    let mut open: HashMap<usize, UnresolvedRequests> = HashMap::new();
    for op in history.ops.iter().filter(|op| op.outcome == RequestOutcome::Unknown) {
        let mine = open.entry(op.buyer).or_default();
        match &op.asked {
            Asked::Hold { seats, .. } => mine.seats.extend(seats),
            Asked::Pay { reservations, .. } => mine.paid.extend(reservations),
            Asked::TopUp { amount } => mine.top_ups.push(*amount),
            _ => {}
        }
    }
    open
}

fn unexplained(history: &History, books: &Books, index: &Index, verdict: &mut Verdict) {
    let open = open_requests(history);
    for row in books.reservations.iter().filter(|row| row.reservation_id > books.reservations_before) {
        let Some(buyer) = index.buyer_of.get(&row.user_id) else { continue };
        let explained = index.lives.contains_key(&row.reservation_id)
            || open.get(buyer).is_some_and(|open| open.seats.contains(&row.seat_id));
        verdict.note(
            "refused_absent",
            (!explained).then(|| {
                format!(
                    "reservation {} of seat {} is there, but buyer {buyer} was never given it",
                    row.reservation_id, row.seat_id
                )
            }),
        );
    }
    for row in &books.payments {
        let Some(buyer) = index.buyer_of.get(&row.user_id) else { continue };
        let explained = index.payments.contains_key(&row.payment_id)
            || open.get(buyer).is_some_and(|open| open.paid.contains(&row.reservation_id));
        verdict.note(
            "refused_absent",
            (!explained).then(|| {
                format!(
                    "payment {} of {} is there, but buyer {buyer} never got that answer",
                    row.payment_id, row.amount
                )
            }),
        );
    }
    let mut acknowledged: HashMap<usize, HashSet<i64>> = HashMap::new();
    for op in &history.ops {
        if let RequestOutcome::Ok(Effect::ToppedUp(entry)) = &op.outcome {
            acknowledged.entry(op.buyer).or_default().insert(entry.history_id);
        }
    }
    for account in &books.accounts {
        let mut spare = open.get(&account.buyer).map(|open| open.top_ups.clone()).unwrap_or_default();
        for entry in account.entries.iter().filter(|entry| entry.kind == "top_up") {
            let known = acknowledged.get(&account.buyer).is_some_and(|ids| ids.contains(&entry.history_id));
            let matching = spare.iter().position(|amount| *amount == entry.amount);
            let explained = known || matching.map(|at| spare.swap_remove(at)).is_some();
            verdict.note(
                "refused_absent",
                (!explained).then(|| {
                    format!(
                        "buyer {}: a top-up of {} is there that was never acknowledged",
                        account.buyer, entry.amount
                    )
                }),
            );
        }
    }
}

/// Each payment has its reservation, paid once and at its price, one entry of use, and one of refund if it was refunded.
fn payments_match(books: &Books, index: &Index, reservations: &HashMap<i64, &Reservation>, verdict: &mut Verdict) {
    let mut entries: HashMap<(i64, &str), Vec<i64>> = HashMap::new();
    for entry in books.accounts.iter().flat_map(|account: &AuditedAccount| &account.entries) {
        if let Some(payment) = entry.payment_id {
            entries.entry((payment, entry.kind.as_str())).or_default().push(entry.amount);
        }
    }
    let mut paid: HashMap<i64, i64> = HashMap::new();
    for row in &books.payments {
        if !index.buyer_of.contains_key(&row.user_id) {
            continue;
        }
        let id = row.payment_id;
        let reservation = reservations.get(&row.reservation_id);
        let wanted = if row.status == "refunded" { "refunded" } else { "confirmed" };
        let refunds = if row.status == "refunded" { vec![row.amount] } else { Vec::new() };
        let used = entries.get(&(id, "use")).cloned().unwrap_or_default();
        let returned = entries.get(&(id, "refund")).cloned().unwrap_or_default();
        let broken = if let Some(other) = paid.insert(row.reservation_id, id) {
            Some(format!("reservation {} was paid twice: payments {other} and {id}", row.reservation_id))
        } else if reservation.is_some_and(|found| found.price != row.amount) {
            Some(format!("payment {id} is {}, the price of its reservation is another", row.amount))
        } else if let Some(found) = reservation.filter(|found| found.status != wanted) {
            Some(format!("payment {id} is {}, its reservation {}", row.status, found.status))
        } else if used != [row.amount.saturating_neg()] {
            Some(format!("payment {id} of {} has these uses of points: {used:?}", row.amount))
        } else if returned != refunds {
            Some(format!("payment {id} is {} and has these refunds of points: {returned:?}", row.status))
        } else {
            None
        };
        verdict.note("payments_match", broken);
    }
    for row in &books.reservations {
        let ours = row.reservation_id > books.reservations_before && index.buyer_of.contains_key(&row.user_id);
        if ours && (row.status == "confirmed" || row.status == "refunded") {
            let unpaid = !paid.contains_key(&row.reservation_id);
            verdict.note(
                "payments_match",
                unpaid.then(|| format!("reservation {} is {} without a payment", row.reservation_id, row.status)),
            );
        }
    }
}
