//! The last quarter of an hour of the whole house, by the second.

use super::figures::SecondFigures;
use crate::metrics::percentile;
use frontrow_domain::{
    id::{ConcertId, RoomId},
    line::SalePace,
    time::{Span, Time},
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use uuid::Uuid;

/// How many seconds are kept.
pub(super) const KEPT: usize = 900;
/// How many of the last seconds an instance shares, so that one exchange that fails loses none of them.
pub(super) const SHARED: usize = 5;
/// How many of the last seconds may still get figures of other instances, by their numbers or late ones.
const OPEN: usize = SHARED + 3;

/// Over how many seconds a forecast measures.
const FORECAST_OVER: i64 = 120;

/// How full a room was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RoomLevel {
    pub(super) active: i64,
    pub(super) waiting: i64,
}

/// What happened in one second of a sale, in the whole house.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HouseSecond {
    /// When the second began.
    pub at: Time,
    /// Tokens that were issued in the room of the sale.
    pub joins: u32,
    /// Turns that were claimed.
    pub admitted: u32,
    /// Turns that were not.
    pub missed: u32,
    /// How many tokens waited at its end, if the room was busy.
    pub waiting: Option<i64>,
    /// How many were active then.
    pub active: Option<i64>,
    /// Seats of the concert that were held.
    pub holds: u32,
    /// Seats of the concert that were paid for.
    pub sold: u32,
    /// Payments for seats of the concert that were given back.
    pub refunds: u32,
    /// Answers that were problems, of the whole box office, by code.
    pub problems: Vec<(Box<str>, u64)>,
    /// Requests of the whole box office.
    pub requests: u64,
    /// Answers of 500 and above.
    pub errors: u64,
    /// Half of the requests were answered within this time; none without requests.
    pub p50: Option<Duration>,
    /// The same of 99 in a hundred.
    pub p99: Option<Duration>,
    /// How far the view of an instance was behind the others, at worst.
    pub lag: Duration,
}

impl HouseSecond {
    fn of(
        (second, figures): (i64, &SecondFigures),
        level: Option<RoomLevel>,
        concert: ConcertId,
        room: RoomId,
    ) -> Self {
        let line = figures.lines.get(&room).copied().unwrap_or_default();
        let sale = figures.sales.get(&concert).copied().unwrap_or_default();
        Self {
            at: Time::from_micros(second.saturating_mul(1_000_000)),
            joins: line.joins,
            admitted: line.admitted,
            missed: line.missed,
            waiting: level.map(|level| level.waiting),
            active: level.map(|level| level.active),
            holds: sale.holds,
            sold: sale.sold,
            refunds: sale.refunds,
            problems: figures.problems.iter().map(|(code, count)| (code.clone(), *count)).collect(),
            requests: figures.requests(),
            errors: figures.errors,
            p50: percentile(&figures.by_time, 50),
            p99: percentile(&figures.by_time, 99),
            lag: Duration::from_millis(figures.lag_ms),
        }
    }
}

/// How fast a sale goes: in the last minute, or since this instance began to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HousePace {
    /// Tokens issued a minute.
    pub joins: i64,
    /// Turns claimed a minute.
    pub admitted: i64,
    /// Seats sold a minute.
    pub sold: i64,
    /// Over how many seconds this was measured; the paces are 0 if it is.
    pub seconds: i64,
}

/// The second that a time is in.
pub(super) const fn second_of(time: Time) -> i64 {
    time.micros().div_euclid(1_000_000)
}

/// The figures of the house: closed seconds as sums, the last ones by instance, since each is given several times.
#[derive(Debug, Default)]
pub(super) struct HouseHistory {
    closed: VecDeque<(i64, SecondFigures)>,
    open: BTreeMap<i64, BTreeMap<Uuid, SecondFigures>>,
    /// How full the busy rooms were at the end of each second, as this instance sees them.
    levels: VecDeque<(i64, BTreeMap<RoomId, RoomLevel>)>,
    /// The first second that this instance counted.
    since: Option<i64>,
}

/// The first second of a span whose last one is `last`.
const fn first_of(last: i64, span: Span) -> i64 {
    last.saturating_sub(span.millis() / 1_000 - 1)
}

fn sum_of(all: &BTreeMap<Uuid, SecondFigures>) -> SecondFigures {
    let mut sum = SecondFigures::default();
    for figures in all.values() {
        sum.add(figures);
    }
    sum
}

impl HouseHistory {
    /// Adds to what happened at this instance in a second.
    pub(super) fn add_own(&mut self, second: i64, figures: &SecondFigures) {
        self.since.get_or_insert(second);
        self.open.entry(second).or_default().entry(Uuid::nil()).or_default().add(figures);
        self.close();
    }

    /// Notes how full the rooms are at the end of a second.
    pub(super) fn note_levels(&mut self, second: i64, levels: BTreeMap<RoomId, RoomLevel>) {
        // A clock that goes back, or stands still.
        while self.levels.back().is_some_and(|(last, _)| *last >= second) {
            self.levels.pop_back();
        }
        self.levels.push_back((second, levels));
        if self.levels.len() > KEPT {
            self.levels.pop_front();
        }
    }

    /// How full a room was at the end of a second; none if this instance did not look then.
    fn level(&self, second: i64, room: RoomId) -> Option<RoomLevel> {
        let at = self.levels.binary_search_by_key(&second, |(second, _)| *second).ok()?;
        let (_, levels) = self.levels.get(at)?;
        Some(levels.get(&room).copied().unwrap_or_default())
    }

    /// Takes what happened at another instance in these seconds, in place of what it gave for them before.
    pub(super) fn put(&mut self, instance: Uuid, seconds: Vec<(i64, SecondFigures)>) {
        let (Some(since), Some((newest, _))) = (self.since, self.open.last_key_value()) else { return };
        let newest = *newest;
        for (second, figures) in seconds {
            let is_closed = self.closed.back().is_some_and(|(closed, _)| second <= *closed);
            // A clock that is far ahead must not close what the others still count.
            if second >= since && !is_closed && second <= newest + 1 {
                self.open.entry(second).or_default().insert(instance, figures);
            }
        }
    }

    /// The last seconds of this instance, oldest first, for the others.
    pub(super) fn own_last(&self) -> Vec<(i64, SecondFigures)> {
        let own = self.open.iter().filter_map(|(second, all)| Some((*second, all.get(&Uuid::nil())?.clone())));
        let mut own: Vec<_> = own.collect();
        own.drain(..own.len().saturating_sub(SHARED));
        own
    }

    fn close(&mut self) {
        while self.open.len() > OPEN {
            let Some((second, all)) = self.open.pop_first() else { return };
            self.closed.push_back((second, sum_of(&all)));
            if self.closed.len() > KEPT {
                self.closed.pop_front();
            }
        }
    }

    /// The seconds from `from` to `to`, oldest first: those in which nothing was counted are missing.
    fn range(&self, from: i64, to: i64) -> impl Iterator<Item = (i64, Cow<'_, SecondFigures>)> {
        let first = self.closed.partition_point(|(second, _)| *second < from);
        let closed = self.closed.range(first..).take_while(move |(second, _)| *second <= to);
        let closed = closed.map(|(second, figures)| (*second, Cow::Borrowed(figures)));
        let open = self.open.range(from.min(to)..=to).filter(move |(second, _)| **second >= from);
        closed.chain(open.map(|(second, all)| (*second, Cow::Owned(sum_of(all)))))
    }

    /// All seconds of a sale up to `last`, oldest first.
    pub(super) fn seconds(&self, last: i64, concert: ConcertId, room: RoomId) -> Vec<HouseSecond> {
        self.last_seconds(KEPT, last, concert, room)
    }

    /// The seconds of a sale up to `last` that an instance may have reported since they were last looked at, oldest
    /// first.
    pub(super) fn fresh_seconds(&self, last: i64, concert: ConcertId, room: RoomId) -> Vec<HouseSecond> {
        self.last_seconds(OPEN, last, concert, room)
    }

    fn last_seconds(&self, count: usize, last: i64, concert: ConcertId, room: RoomId) -> Vec<HouseSecond> {
        let from = last.saturating_sub(i64::try_from(count).unwrap_or(i64::MAX) - 1);
        self.range(from, last)
            .map(|(second, figures)| HouseSecond::of((second, &figures), self.level(second, room), concert, room))
            .collect()
    }

    /// How fast a sale went in the minute up to `last`.
    pub(super) fn pace(&self, last: i64, concert: ConcertId, room: RoomId) -> HousePace {
        let Some(since) = self.since.filter(|since| *since <= last) else { return HousePace::default() };
        let from = last.saturating_sub(59).max(since);
        let seconds = last - from + 1;
        let (joins, admitted, sold) = self.sums((from, last), Some(concert), room);
        let a_minute = |count: i64| (count * 60 + seconds / 2) / seconds;
        HousePace { joins: a_minute(joins), admitted: a_minute(admitted), sold: a_minute(sold), seconds }
    }

    /// Joins, admissions and sold seats of some seconds.
    fn sums(&self, (from, to): (i64, i64), concert: Option<ConcertId>, room: RoomId) -> (i64, i64, i64) {
        self.range(from, to).fold((0, 0, 0), |(joins, admitted, sold), (_, figures)| {
            let line = figures.lines.get(&room).copied().unwrap_or_default();
            let sale = concert.and_then(|concert| figures.sales.get(&concert)).copied().unwrap_or_default();
            (joins + i64::from(line.joins), admitted + i64::from(line.admitted), sold + i64::from(sale.sold))
        })
    }

    /// What a forecast needs of the last two minutes up to `last`, or of the time since this instance began to count,
    /// with the tokens that wait and the seats that are unsold now. Of a line without a concert no seats are counted.
    pub(super) fn measured(
        &self,
        last: i64,
        (concert, room): (Option<ConcertId>, RoomId),
        counts: (i64, i64),
    ) -> SalePace {
        self.measured_over(FORECAST_OVER, last, (concert, room), counts)
    }

    /// The same of all seconds that are kept, without those who wait and what is unsold.
    pub(super) fn measured_as_long_as_kept(&self, last: i64, ids: (Option<ConcertId>, RoomId)) -> SalePace {
        self.measured_over(i64::try_from(KEPT).unwrap_or(i64::MAX), last, ids, (0, 0))
    }

    fn measured_over(
        &self,
        seconds: i64,
        last: i64,
        (concert, room): (Option<ConcertId>, RoomId),
        (waiting, unsold): (i64, i64),
    ) -> SalePace {
        let begin = last.saturating_sub(seconds);
        let first = self.levels.iter().map(|(second, _)| *second).find(|second| *second >= begin);
        let first = first.filter(|first| *first < last);
        let levels = first.and_then(|first| Some((first, self.level(first, room)?, self.level(last, room)?)));
        let Some((first, before, now)) = levels else {
            return SalePace { waiting, unsold, ..SalePace::default() };
        };
        let (joined, admitted, sold) = self.sums((first + 1, last), concert, room);
        SalePace {
            window: Span::from_secs(last - first),
            active_before: before.active,
            active: now.active,
            admitted,
            joined,
            sold,
            waiting,
            unsold,
        }
    }

    /// How many turns were claimed in a room in the `span` up to `last`.
    pub(super) fn admitted(&self, last: i64, span: Span, room: RoomId) -> i64 {
        let admitted = |figures: &SecondFigures| figures.lines.get(&room).map_or(0, |line| i64::from(line.admitted));
        self.range(first_of(last, span), last).map(|(_, figures)| admitted(&figures)).sum()
    }

    /// Requests and errors of the house in the `span` up to `last`.
    pub(super) fn errors(&self, last: i64, span: Span) -> (u64, u64) {
        self.range(first_of(last, span), last)
            .fold((0, 0), |(requests, errors), (_, figures)| (requests + figures.requests(), errors + figures.errors))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::figures::{LineTally, SeatTally},
        *,
    };

    const CONCERT: ConcertId = ConcertId::new(1);

    fn figures(joins: u32, sold: u32) -> SecondFigures {
        SecondFigures {
            lines: BTreeMap::from([(RoomId::HOUSE, LineTally { joins, ..LineTally::default() })]),
            sales: BTreeMap::from([(CONCERT, SeatTally { sold, ..SeatTally::default() })]),
            by_time: vec![1],
            ..SecondFigures::default()
        }
    }

    fn joins(history: &HouseHistory, last: i64) -> Vec<u32> {
        history.seconds(last, CONCERT, RoomId::HOUSE).iter().map(|second| second.joins).collect()
    }

    #[test]
    fn what_an_instance_gives_again_counts_once_and_the_last_of_it() {
        let mut history = HouseHistory::default();
        let other = Uuid::from_u128(1);
        history.put(other, vec![(99, figures(9, 0))]);
        history.add_own(100, &figures(1, 0));
        history.put(other, vec![(99, figures(9, 0)), (100, figures(10, 0))]);
        history.add_own(101, &figures(2, 0));
        history.put(other, vec![(100, figures(11, 0)), (101, figures(20, 0)), (500, figures(7, 0))]);
        assert_eq!(joins(&history, 101), [12, 22], "nothing of before this instance began, and nothing of the future");
        assert_eq!(history.own_last().len(), 2);
        for second in 102..=120 {
            history.add_own(second, &figures(1, 0));
        }
        history.put(other, vec![(100, figures(100, 0)), (119, figures(4, 0))]);
        assert_eq!(joins(&history, 120)[..3], [12, 22, 1], "an old second is closed");
        assert_eq!(joins(&history, 120)[19..], [5, 1]);
        assert_eq!(history.own_last().iter().map(|(second, _)| *second).collect::<Vec<_>>(), [116, 117, 118, 119, 120]);
    }

    #[test]
    fn a_quarter_of_an_hour_is_kept() {
        let mut history = HouseHistory::default();
        (1..=2_000).for_each(|second| history.add_own(second, &figures(1, 1)));
        assert_eq!((joins(&history, 2_000).len(), history.closed.len()), (KEPT, KEPT));
        let fresh = history.fresh_seconds(1_999, CONCERT, RoomId::HOUSE);
        let second = fresh.last().unwrap();
        assert_eq!((second.at, second.sold, second.requests), (Time::from_micros(1_999_000_000), 1, 1));
        assert_eq!((fresh.len(), fresh[0].at), (OPEN, Time::from_micros(1_992_000_000)));
        assert_eq!(history.fresh_seconds(2_000 + 8, CONCERT, RoomId::HOUSE), []);
    }

    #[test]
    fn the_pace_is_that_of_the_last_minute_or_of_the_time_since_the_start() {
        let mut history = HouseHistory::default();
        assert_eq!(history.pace(100, CONCERT, RoomId::HOUSE), HousePace::default());
        (1..=10).for_each(|second| history.add_own(second, &figures(3, 1)));
        let pace = |history: &HouseHistory, last| {
            let HousePace { joins, admitted: _, sold, seconds } = history.pace(last, CONCERT, RoomId::HOUSE);
            (joins, sold, seconds)
        };
        assert_eq!(pace(&history, 10), (180, 60, 10));
        (11..=100).for_each(|second| history.add_own(second, &figures(1, 0)));
        assert_eq!(pace(&history, 65), (65 - 10 + 3 * 5, 5, 60));
        assert_eq!(pace(&history, 100), (60, 0, 60));
        assert_eq!(history.errors(100, Span::from_secs(10)), (10, 0));
    }

    #[test]
    fn a_forecast_measures_between_two_looks_at_the_room() {
        let mut history = HouseHistory::default();
        let none = SalePace { waiting: 5, unsold: 9, ..SalePace::default() };
        let measured = |history: &HouseHistory, last| history.measured(last, (Some(CONCERT), RoomId::HOUSE), (5, 9));
        assert_eq!(measured(&history, 10), none);
        for second in 1..=300 {
            history.add_own(second, &figures(3, 1));
            let level = RoomLevel { active: second, waiting: 1 };
            history.note_levels(second, BTreeMap::from([(RoomId::HOUSE, level)]));
        }
        assert_eq!(measured(&history, 1), none, "one look is no time");
        let pace = measured(&history, 11);
        assert_eq!((pace.window, pace.active_before, pace.active), (Span::from_secs(10), 1, 11));
        assert_eq!((pace.joined, pace.sold, pace.waiting, pace.unsold), (30, 10, 5, 9));
        let pace = measured(&history, 300);
        assert_eq!((pace.window, pace.active_before, pace.joined), (Span::from_secs(120), 180, 360));
        let whole = history.measured_as_long_as_kept(300, (Some(CONCERT), RoomId::HOUSE));
        assert_eq!((whole.window, whole.sold), (Span::from_secs(299), 299));
        assert_eq!(measured(&history, 301), none, "nothing is known of that second");
        history.note_levels(300, BTreeMap::new());
        assert_eq!(measured(&history, 300).active, 0, "the clock stood still, and the room became quiet");
        assert_eq!(history.fresh_seconds(299, CONCERT, RoomId::HOUSE).last().unwrap().active, Some(299));
    }
}
