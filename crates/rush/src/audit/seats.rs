//! Seats: sold once, held by one, all or nothing, and the map agrees with the reservations.

use super::{Books, Happened, Index, Readings, ReservationLife, Verdict};
use crate::history::{Asked, Effect, History, RequestOutcome};
use std::collections::{BTreeMap, HashMap, HashSet};

/// How much later than its end a hold may still be paid, in microseconds: the resolution of the clocks involved.
const CLOCK_SLACK: u64 = 10_000;

pub(super) fn check(history: &History, books: &Books, index: &Index, verdict: &mut Verdict) {
    let mut by_seat: BTreeMap<i64, Vec<(i64, &ReservationLife)>> = BTreeMap::new();
    for (id, life) in &index.lives {
        by_seat.entry(life.held.seat_id).or_default().push((*id, life));
    }
    for (seat_id, lives) in &by_seat {
        sold_once(*seat_id, lives, verdict);
        held_once(*seat_id, lives, verdict);
    }
    hold_times(history, index, verdict);
    all_or_nothing(history, books, index, verdict);
    live_once_in_books(books, verdict);
    if books.settled == Readings::OneMoment {
        seats_add_up(books, verdict);
    }
}

/// The interval in which a seat is certainly sold: from the answer to the payment to the first wish for a refund.
fn sold_once(seat_id: i64, lives: &[(i64, &ReservationLife)], verdict: &mut Verdict) {
    let mut sold: Vec<(u64, u64, i64)> = lives
        .iter()
        .filter(|(_, life)| life.paid == Happened::Yes)
        .map(|(id, life)| (life.pay_received, life.refund_sent, *id))
        .filter(|(from, until, _)| from < until)
        .collect();
    sold.sort_unstable();
    let mut last: Option<(u64, i64)> = None;
    for (from, until, id) in sold {
        let overlap = last.filter(|(end, _)| from < *end).map(|(_, other)| {
            format!("seat {seat_id} was sold with reservation {other} and again with {id} before any refund")
        });
        verdict.note("seat_sold_once", overlap);
        if last.is_none_or(|(end, _)| until > end) {
            last = Some((until, id));
        }
    }
}

/// The interval in which a seat is certainly taken: from the answer to the hold until its buyer wanted out, or it
/// may have run out. It runs out no earlier than counted from the sending.
fn held_once(seat_id: i64, lives: &[(i64, &ReservationLife)], verdict: &mut Verdict) {
    let mut in_order: Vec<_> = lives.iter().collect();
    in_order.sort_unstable_by_key(|(_, life)| life.hold_sent);
    let mut last: Option<(u64, u64, i64)> = None;
    for (id, life) in in_order {
        let clash = last.filter(|(from, until, _)| life.hold_sent > *from && life.hold_received < *until);
        verdict.note(
            "seat_held_once",
            clash.map(|(_, _, other)| {
                format!("seat {seat_id} was taken by reservation {other} when reservation {id} was given out")
            }),
        );
        let until = taken_until(life);
        if last.is_none_or(|(_, end, _)| until > end) {
            last = Some((life.hold_received, until, *id));
        }
    }
}

fn taken_until(life: &ReservationLife) -> u64 {
    let by_time = if life.paid == Happened::Yes { u64::MAX } else { ends_at_least(life) };
    by_time.min(life.cancel_sent).min(life.refund_sent)
}

fn ends_at_least(life: &ReservationLife) -> u64 {
    life.hold_sent.saturating_add(life.held.hold_micros())
}

fn ends_at_most(life: &ReservationLife) -> u64 {
    life.hold_received.saturating_add(life.held.hold_micros())
}

fn hold_times(history: &History, index: &Index, verdict: &mut Verdict) {
    for op in &history.ops {
        let Asked::Pay { reservations, .. } = &op.asked else { continue };
        let lives: Vec<&ReservationLife> = reservations.iter().filter_map(|id| index.lives.get(id)).collect();
        match &op.outcome {
            RequestOutcome::Fail { code, .. } if code == "hold_expired" => {
                let all_alive =
                    lives.len() == reservations.len() && lives.iter().all(|life| op.received < ends_at_least(life));
                verdict.note(
                    "hold_lasts",
                    all_alive
                        .then(|| format!("reservations {reservations:?} were refused as expired before their time")),
                );
            }
            RequestOutcome::Ok(_) => {
                verdict.note("hold_lasts", None);
                let dead = lives.iter().find(|life| op.sent > ends_at_most(life).saturating_add(CLOCK_SLACK));
                verdict.note(
                    "hold_ends",
                    dead.map(|life| {
                        let late = op.sent.saturating_sub(ends_at_most(life)) / 1_000;
                        let id = life.held.reservation_id;
                        format!("reservation {id} was paid, asked for {late} ms after its hold had ended")
                    }),
                );
            }
            _ => {}
        }
    }
}

fn all_or_nothing(history: &History, books: &Books, index: &Index, verdict: &mut Verdict) {
    for op in &history.ops {
        let Asked::Hold { seats, .. } = &op.asked else { continue };
        let wanted: HashSet<i64> = seats.iter().copied().collect();
        match &op.outcome {
            RequestOutcome::Ok(Effect::Held(held)) => {
                let got: HashSet<i64> = held.iter().map(|reservation| reservation.seat_id).collect();
                let wrong = got != wanted || held.len() != seats.len();
                verdict.note(
                    "all_or_nothing",
                    wrong.then(|| format!("buyer {} asked for seats {seats:?} and was given {got:?}", op.buyer)),
                );
            }
            RequestOutcome::Unknown if seats.len() > 1 => {
                // The order of an unknown outcome may be there, but then with all its seats. A buyer's own other
                // orders are known by their numbers.
                let Some(user) = index.user_of.get(&op.buyer) else { continue };
                let found = books
                    .reservations
                    .iter()
                    .filter(|row| row.reservation_id > books.reservations_before && row.user_id == *user)
                    .filter(|row| wanted.contains(&row.seat_id) && !index.lives.contains_key(&row.reservation_id))
                    .count();
                verdict.note(
                    "all_or_nothing",
                    (found % seats.len() != 0)
                        .then(|| format!("buyer {}: of seats {seats:?} only {found} were held", op.buyer)),
                );
            }
            _ => {}
        }
    }
}

fn live_once_in_books(books: &Books, verdict: &mut Verdict) {
    let mut confirmed: HashMap<i64, Vec<i64>> = HashMap::new();
    let mut live: HashMap<i64, Vec<i64>> = HashMap::new();
    for row in &books.reservations {
        if row.status == "confirmed" {
            confirmed.entry(row.seat_id).or_default().push(row.reservation_id);
        }
        if row.status == "confirmed" || row.status == "pending" {
            live.entry(row.seat_id).or_default().push(row.reservation_id);
        }
    }
    for (rule, by_seat, word) in [("seat_sold_once", confirmed, "confirmed"), ("seat_held_once", live, "live")] {
        for (seat_id, ids) in by_seat {
            let twice = ids.len() > 1;
            verdict.note(rule, twice.then(|| format!("seat {seat_id} has several {word} reservations: {ids:?}")));
        }
    }
}

fn seats_add_up(books: &Books, verdict: &mut Verdict) {
    let mut confirmed = HashSet::new();
    let mut pending = HashSet::new();
    for row in &books.reservations {
        match row.status.as_str() {
            "confirmed" => confirmed.insert(row.seat_id),
            "pending" => pending.insert(row.seat_id),
            _ => false,
        };
    }
    for seat in &books.seats {
        let id = seat.seat_id;
        // A pending reservation whose time is over leaves its seat available before anything has swept it.
        let broken = match seat.status.as_str() {
            "sold" => (!confirmed.contains(&id)).then(|| format!("seat {id} is sold without a confirmed reservation")),
            _ if confirmed.contains(&id) => {
                Some(format!("seat {id} is {} though its reservation is confirmed", seat.status))
            }
            "held" => (!pending.contains(&id)).then(|| format!("seat {id} is held without a pending reservation")),
            _ => None,
        };
        verdict.note("seats_add_up", broken);
    }
}
