//! How fast active tokens end.

use frontrow_domain::time::{Span, Time};

/// After so long an end counts half and less: the pace of visits changes in minutes, and few ends say little.
const MEMORY: Span = Span::from_secs(30);
/// One end, in millionths.
const ONE_PPM: i128 = 1_000_000;

/// The smoothed number of active tokens that end in [`MEMORY`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Leavings {
    in_memory_ppm: i64,
    at: Time,
}

impl Leavings {
    /// Notes that so many tokens ended at `now`.
    pub(super) fn note(&mut self, count: i64, now: Time) {
        if count > 0 {
            let faded = self.faded(now);
            let added = i64::try_from(i128::from(count).saturating_mul(ONE_PPM)).unwrap_or(i64::MAX);
            (self.in_memory_ppm, self.at) = (faded.saturating_add(added), self.at.max(now));
        }
    }

    /// The ends that count at `now`: all that were, less those that are forgotten since.
    fn faded(&self, now: Time) -> i64 {
        let (memory, passed) = (i128::from(MEMORY.micros()), i128::from(now.since(self.at).micros().max(0)));
        let left = i128::from(self.in_memory_ppm).saturating_mul(memory).checked_div(memory.saturating_add(passed));
        left.and_then(|left| i64::try_from(left).ok()).unwrap_or(0)
    }

    /// How many will end in a span, in millionths.
    pub(super) fn within(&self, span: Span, now: Time) -> i64 {
        let ends = i128::from(self.faded(now)).saturating_mul(i128::from(span.micros().max(0)));
        ends.checked_div(i128::from(MEMORY.micros())).and_then(|ends| i64::try_from(ends).ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_steady_pace_is_known_after_a_while_and_forgotten_when_nobody_leaves() {
        let mut leavings = Leavings { at: at(0), ..Leavings::default() };
        assert_eq!(leavings.within(Span::from_secs(2), at(9)), 0);
        for second in 1..=300 {
            leavings.note(1, at(second));
        }
        let soon = leavings.within(Span::from_secs(2), at(300));
        assert!((1_800_000..2_200_000).contains(&soon), "{soon}");
        assert!(leavings.within(Span::from_secs(2), at(330)) < soon * 6 / 10);
        assert!(leavings.within(Span::from_secs(2), at(3_000)) < 30_000);
    }
}
