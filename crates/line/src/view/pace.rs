//! The measured pace of a line.

use frontrow_domain::time::{Span, Time};

/// Fewer departures than this give no mean.
const DEPARTURES_MIN: i64 = 20;
/// How many departures the mean remembers.
const MEMORY: i64 = 64;

/// The smoothed time between two departures from the head of a line.
///
/// Only time with a backlog counts: the clock runs from one departure to the next while other tokens had to stay. A
/// line that was empty, a closed gate and the first rush into a free room say nothing about the pace.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    mean_nanos: i64,
    measured: i64,
    since: Option<Time>,
}

/// Whether tokens have to stay in line for want of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backlog {
    Waiting,
    Empty,
}

impl Pace {
    /// Notes that `count` tokens got their turn at `now`, and the backlog after it.
    pub(super) fn departed(&mut self, count: i64, now: Time, backlog: Backlog) {
        if count > 0
            && let Some(since) = self.since
        {
            let sample = now.since(since).micros().saturating_mul(1_000) / count;
            let step = i128::from(sample - self.mean_nanos) * i128::from(count)
                / i128::from(count + self.measured.min(MEMORY));
            self.mean_nanos += i64::try_from(step).unwrap_or(0);
            self.measured = self.measured.saturating_add(count);
        }
        match backlog {
            Backlog::Empty => self.since = None,
            Backlog::Waiting if count > 0 => self.since = Some(now),
            Backlog::Waiting => {}
        }
    }

    /// The mean time between two departures; none before there were enough.
    pub(super) fn mean(self) -> Option<Span> {
        (self.measured >= DEPARTURES_MIN).then(|| Span::from_micros((self.mean_nanos / 1_000).max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    #[test]
    fn nothing_is_known_before_twenty_departures() {
        let mut pace = Pace::default();
        for i in 0..20 {
            pace.departed(1, at(i * 100), Backlog::Waiting);
            assert_eq!(pace.mean(), None);
        }
        pace.departed(1, at(2_000), Backlog::Waiting);
        assert_eq!(pace.mean(), Some(Span::from_millis(100)));
    }

    #[test]
    fn a_batch_counts_as_many_departures() {
        let mut pace = Pace::default();
        pace.departed(50, at(0), Backlog::Waiting);
        pace.departed(50, at(1_000), Backlog::Waiting);
        assert_eq!(pace.mean(), Some(Span::from_millis(20)));
    }

    #[test]
    fn the_mean_follows_a_change_of_pace() {
        let mut pace = Pace::default();
        let mut now = 0;
        for step in std::iter::repeat_n(100, 100).chain(std::iter::repeat_n(1_000, 600)) {
            now += step;
            pace.departed(1, at(now), Backlog::Waiting);
        }
        let mean = pace.mean().unwrap().millis();
        assert!((990..=1_000).contains(&mean), "{mean}");
    }

    #[test]
    fn time_without_a_backlog_does_not_count() {
        let mut pace = Pace::default();
        for i in 0..30 {
            pace.departed(1, at(i * 100), Backlog::Waiting);
        }
        pace.departed(1, at(3_000), Backlog::Empty);
        pace.departed(1, at(9_000_000), Backlog::Waiting);
        pace.departed(1, at(9_000_100), Backlog::Waiting);
        assert_eq!(pace.mean(), Some(Span::from_millis(100)));
    }
}
