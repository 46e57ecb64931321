//! What a new place in line costs a client in work, by how many ask for one.

use crate::time::{Span, Time};

/// Over how long joins are counted.
const WINDOW: Span = Span::from_secs(10);
/// How many such windows a minute has.
const WINDOWS_PER_MINUTE: i64 = 6;

/// When a new place in line asks for work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkPolicy {
    /// Never.
    Off,
    /// While many ask for new places in the room.
    Auto,
    /// Always.
    Always,
}

/// The price of a new place: the highest number that a client may have to try. It tries half of them on average, and one
/// takes one SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkPrice(u32);

impl WorkPrice {
    /// The least that work costs: a third of a second on average on a slow phone, which tries 50,000 numbers a second.
    pub const LEAST: Self = Self(30_000);
    /// The most that it costs: three seconds on average on a slow phone, and six at most.
    pub const MOST: Self = Self(300_000);
    /// From how many joins a minute on a room has which price.
    const BY_JOINS: [(i64, Self); 3] = [(6_000, Self::MOST), (1_200, Self(100_000)), (300, Self::LEAST)];

    /// The highest number that may have to be tried.
    #[must_use]
    pub const fn max_number(self) -> u32 {
        self.0
    }

    /// The price in a room that so many joins a minute come to; none while no work is asked for.
    #[must_use]
    pub fn of(policy: WorkPolicy, joins_per_minute: i64) -> Option<Self> {
        let by_joins = Self::BY_JOINS.into_iter().find(|(from, _)| joins_per_minute >= *from).map(|(_, price)| price);
        match policy {
            WorkPolicy::Off => None,
            WorkPolicy::Auto => by_joins,
            WorkPolicy::Always => Some(by_joins.unwrap_or(Self::LEAST)),
        }
    }
}

/// How many joins come to a room: those of this window of ten seconds, and those of the one before, which counts less the
/// longer ago it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JoinPace {
    /// The number of the window.
    window: i64,
    here: i64,
    before: i64,
}

impl JoinPace {
    /// Counts a join.
    pub fn count(&mut self, now: Time) {
        *self = self.at(now);
        self.here = self.here.saturating_add(1);
    }

    /// Joins a minute.
    #[must_use]
    pub fn per_minute(&self, now: Time) -> i64 {
        let Self { here, before, .. } = self.at(now);
        let left = WINDOW.micros().saturating_sub(now.micros().rem_euclid(WINDOW.micros()));
        let of_before = before.saturating_mul(left).checked_div(WINDOW.micros()).unwrap_or_default();
        here.saturating_add(of_before).saturating_mul(WINDOWS_PER_MINUTE)
    }

    /// Whether nothing is left of what was counted.
    #[must_use]
    pub fn is_over(&self, now: Time) -> bool {
        let Self { here, before, .. } = self.at(now);
        here == 0 && before == 0
    }

    fn at(self, now: Time) -> Self {
        let window = now.micros().div_euclid(WINDOW.micros());
        match window.saturating_sub(self.window) {
            // A clock that goes back counts on in the window that it left.
            ..=0 => self,
            1 => Self { window, here: 0, before: self.here },
            _ => Self { window, here: 0, before: 0 },
        }
    }
}
