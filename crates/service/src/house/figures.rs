//! What happened at this instance, counted by the second: the line and the sale by the observer of commits, requests by
//! the metrics.

use crate::metrics::{Metrics, RequestTotals};
use frontrow_domain::{
    changes::Changes,
    id::{ConcertId, ReservationId, RoomId},
    line::{EndReason, Token, TokenStatus},
    sale::Reservation,
};
use frontrow_line::{Lines, view::RoomView};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many rooms and how many concerts one second has: of more, those in which most happened.
pub(super) const SALES_MAX: usize = 64;
/// How many codes of problems one second has.
const CODES_MAX: usize = 64;

/// What happened in a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineTally {
    /// Tokens that were issued.
    pub(crate) joins: u32,
    /// Turns that were claimed: tokens that became active.
    pub(crate) admitted: u32,
    /// Turns that were not.
    pub(crate) missed: u32,
}

/// What happened in the sale of a concert.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeatTally {
    /// Seats that were held.
    pub(crate) holds: u32,
    /// Seats that were paid for.
    pub(crate) sold: u32,
    /// Payments that were given back.
    pub(crate) refunds: u32,
}

/// What happened in one second, at one instance or in the whole house.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SecondFigures {
    /// By room.
    pub(crate) lines: BTreeMap<RoomId, LineTally>,
    /// By concert.
    pub(crate) sales: BTreeMap<ConcertId, SeatTally>,
    /// Answers that were problems, by code.
    pub(crate) problems: BTreeMap<Box<str>, u64>,
    /// Requests by the time to the head of the answer: see [`crate::metrics::percentile`].
    pub(crate) by_time: Vec<u64>,
    /// Answers of 500 and above.
    pub(crate) errors: u64,
    /// How far the views were behind the other instances, in milliseconds; of several instances, the farthest.
    pub(crate) lag_ms: u64,
}

impl SecondFigures {
    /// Adds what happened elsewhere, or later.
    pub(crate) fn add(&mut self, other: &Self) {
        for (room, tally) in &other.lines {
            let sum = self.lines.entry(*room).or_default();
            sum.joins += tally.joins;
            sum.admitted += tally.admitted;
            sum.missed += tally.missed;
        }
        for (concert, tally) in &other.sales {
            let sum = self.sales.entry(*concert).or_default();
            sum.holds += tally.holds;
            sum.sold += tally.sold;
            sum.refunds += tally.refunds;
        }
        for (code, count) in &other.problems {
            *self.problems.entry(code.clone()).or_default() += count;
        }
        if self.by_time.len() < other.by_time.len() {
            self.by_time.resize(other.by_time.len(), 0);
        }
        for (sum, count) in self.by_time.iter_mut().zip(&other.by_time) {
            *sum += count;
        }
        self.errors += other.errors;
        self.lag_ms = self.lag_ms.max(other.lag_ms);
        self.bound();
    }

    /// How many requests there were.
    pub(crate) fn requests(&self) -> u64 {
        self.by_time.iter().sum()
    }

    /// Drops what is too much.
    fn bound(&mut self) {
        keep_most(&mut self.lines, SALES_MAX, |tally| u64::from(tally.joins + tally.admitted + tally.missed));
        keep_most(&mut self.sales, SALES_MAX, |tally| u64::from(tally.holds + tally.sold + tally.refunds));
        keep_most(&mut self.problems, CODES_MAX, |count| *count);
    }
}

/// Keeps the `most` entries with the greatest weights.
fn keep_most<K: Ord + Clone, V>(map: &mut BTreeMap<K, V>, most: usize, weight: impl Fn(&V) -> u64) {
    if map.len() > most {
        let mut weights: Vec<_> = map.iter().map(|(key, value)| (weight(value), key.clone())).collect();
        weights.sort_unstable_by(|one, other| other.cmp(one));
        for (_, key) in weights.drain(most..) {
            map.remove(&key);
        }
    }
}

/// What the commits of this instance changed since it was last asked. Counting takes one lock a batch, for some
/// additions.
#[derive(Debug, Default)]
pub(crate) struct CommitTallies(Mutex<Tallies>);

#[derive(Debug, Default)]
struct Tallies {
    lines: BTreeMap<RoomId, LineTally>,
    sales: BTreeMap<ConcertId, SeatTally>,
}

impl CommitTallies {
    /// Counts a committed batch. To be called before `lines` show it.
    pub(crate) fn count(&self, changes: &Changes, lines: &Lines) {
        if changes.tokens.is_empty() && changes.reservations.is_empty() && changes.payments.is_empty() {
            return;
        }
        let mut tallies = self.lock();
        let is_of_one_room = |one: &Token, other: &Token| one.id.room_id == other.id.room_id;
        for tokens in changes.tokens.inserted.chunk_by(is_of_one_room) {
            let Some(first) = tokens.first() else { continue };
            let joins = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
            tallies.lines.entry(first.id.room_id).or_default().joins += joins;
        }
        for tokens in changes.tokens.updated.chunk_by(is_of_one_room) {
            let Some(first) = tokens.first() else { continue };
            let view = lines.view(first.id.room_id);
            let tally = tallies.lines.entry(first.id.room_id).or_default();
            for token in tokens {
                tally.admitted += u32::from(was_admitted(token, changes, view.as_deref()));
                tally.missed += u32::from(has_missed(token));
            }
        }
        for reservation in &changes.reservations.inserted {
            tallies.sales.entry(reservation.concert_id).or_default().holds += 1;
        }
        let paid = changes.payments.inserted.iter().filter_map(|row| concert_of(changes, row.reservation_id));
        paid.for_each(|concert| tallies.sales.entry(concert).or_default().sold += 1);
        let refunded = changes.payments.updated.iter().filter_map(|row| concert_of(changes, row.reservation_id));
        refunded.for_each(|concert| tallies.sales.entry(concert).or_default().refunds += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Tallies> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this batch made the token active. A later change of an active token may be decided in the same microsecond by
/// a clock that stands still: then the view shows it as active already.
fn was_admitted(token: &Token, changes: &Changes, before: Option<&RoomView>) -> bool {
    token.activated_at() == Some(changes.now)
        && before.is_none_or(|view| view.place(token.id.position).status() != TokenStatus::Active)
}

/// Whether this batch found that the token did not claim its turn: a missed token changes only by leaving that state.
fn has_missed(token: &Token) -> bool {
    token.status() == TokenStatus::Missed || token.end_reason() == Some(EndReason::Missed)
}

/// The concert of a reservation that is paid or refunded in this batch, and so changed in it.
fn concert_of(changes: &Changes, id: ReservationId) -> Option<ConcertId> {
    let find = |rows: &[Reservation]| {
        let at = rows.binary_search_by_key(&id, |row| row.reservation_id).ok()?;
        Some(rows.get(at)?.concert_id)
    };
    find(&changes.reservations.updated).or_else(|| find(&changes.reservations.inserted))
}

/// Takes the figures of this instance, a second at a time.
#[derive(Debug)]
pub(super) struct FiguresSampler {
    tallies: Arc<CommitTallies>,
    metrics: Arc<Metrics>,
    last: RequestTotals,
}

impl FiguresSampler {
    pub(super) fn new(tallies: Arc<CommitTallies>, metrics: Arc<Metrics>) -> Self {
        let last = metrics.request_totals();
        Self { tallies, metrics, last }
    }

    /// What happened since the last call.
    pub(super) fn take(&mut self, lag_ms: u64) -> SecondFigures {
        let Tallies { lines, sales } = std::mem::take(&mut *self.tallies.lock());
        let now = self.metrics.request_totals();
        let last = std::mem::replace(&mut self.last, now.clone());
        let by_time = now.by_time.iter().zip(last.by_time).map(|(now, last)| now.saturating_sub(last)).collect();
        let before: BTreeMap<_, _> = last.problems.into_iter().collect();
        let problems = now.problems.into_iter().filter_map(|(code, count)| {
            let new = count.saturating_sub(before.get(code).copied().unwrap_or(0));
            (new > 0).then(|| (Box::from(code), new))
        });
        let mut figures = SecondFigures {
            lines,
            sales,
            problems: problems.collect(),
            by_time,
            errors: now.errors.saturating_sub(last.errors),
            lag_ms,
        };
        figures.bound();
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_survive_their_way_to_another_instance() {
        let figures = SecondFigures {
            lines: BTreeMap::from([(RoomId::HOUSE, LineTally { joins: 3, admitted: 2, missed: 1 })]),
            sales: BTreeMap::from([(ConcertId::new(7), SeatTally { holds: 2, sold: 1, refunds: 0 })]),
            problems: BTreeMap::from([("seat_taken".into(), 4)]),
            by_time: vec![0, 5],
            errors: 1,
            lag_ms: 30,
        };
        let text = serde_json::to_string(&figures).unwrap();
        assert_eq!(serde_json::from_str::<SecondFigures>(&text).unwrap(), figures, "{text}");
        let newer = text.replacen('{', "{\"of_a_later_version\":[1],", 1);
        assert_eq!(serde_json::from_str::<SecondFigures>(&newer).unwrap(), figures);
        assert_eq!(serde_json::from_str::<SecondFigures>("{}").unwrap(), SecondFigures::default());
    }

    #[test]
    fn sums_are_sums_but_for_the_lag_and_have_the_busiest_sales() {
        let of = |concert: i64, sold| {
            let sales = BTreeMap::from([(ConcertId::new(concert), SeatTally { sold, ..SeatTally::default() })]);
            SecondFigures { sales, by_time: vec![1], errors: 1, lag_ms: u64::from(sold), ..SecondFigures::default() }
        };
        let mut sum = SecondFigures::default();
        for concert in 1..=100 {
            sum.add(&of(concert, 1));
            sum.add(&of(concert, u32::try_from(concert).unwrap()));
        }
        assert_eq!((sum.requests(), sum.errors, sum.lag_ms, sum.sales.len()), (200, 200, 100, SALES_MAX));
        assert_eq!(sum.sales[&ConcertId::new(99)].sold, 99, "what had little when it came was left out");
        assert!(!sum.sales.contains_key(&ConcertId::new(1)));
    }

    #[test]
    fn a_sampler_takes_what_is_new() {
        let metrics = Arc::new(Metrics::new());
        let quick = std::time::Duration::from_micros(1);
        metrics.request("GET", "/", 200, quick);
        let mut sampler = FiguresSampler::new(Arc::default(), Arc::clone(&metrics));
        metrics.request("GET", "/", 500, quick);
        metrics.refusal("internal");
        let taken = sampler.take(9);
        assert_eq!((taken.requests(), taken.errors, taken.lag_ms), (1, 1, 9));
        assert_eq!(taken.problems, BTreeMap::from([("internal".into(), 1)]));
        assert_eq!(
            sampler.take(0),
            SecondFigures { by_time: taken.by_time.iter().map(|_| 0).collect(), ..SecondFigures::default() }
        );
    }
}
