//! How long visits last: how many ended, and the time of all visits in which they did.

use frontrow_domain::{
    line::{ImpossibleMeasure, VisitMeasures, VisitMemory, VisitTable},
    time::{Span, Time},
};
use serde::{Deserialize, Serialize};

/// After so many ends an old one counts a third: visits change with the sale.
const MEMORY: i64 = 256;
/// A room of which more than one part in so many is free is filling: that says nothing of how it is used.
const FILLING_PART: i64 = 4;
const SECOND: Span = Span::from_secs(1);
/// One end, in millionths.
const ONE_PPM: i64 = 1_000_000;

/// The visits of a line. Those that have not ended count with their time so far: a room that has just filled is not taken
/// for one of short visits because the short ones end first.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Visits {
    ends_ppm: i64,
    visit_micros: i64,
    /// The time of all places while nearly all were taken, and that of the visits in them.
    place_micros: i64,
    used_micros: i64,
    /// The same by the age of the visits, to tell waits by.
    table: VisitTable,
    at: Time,
}

/// What is measured of the visits of a line, as plain numbers, to be kept over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VisitSums {
    ends_ppm: i64,
    visit_micros: i64,
    place_micros: i64,
    used_micros: i64,
    by_age: VisitMeasures,
}

impl Visits {
    /// What is measured up to `now`, if so many tokens were active since the last change.
    pub(super) fn sums(&self, now: Time, active: i64) -> VisitSums {
        let Self { ends_ppm, place_micros, used_micros, table, .. } = *self;
        let visit_micros = self.visit_micros_at(now, active);
        VisitSums { ends_ppm, visit_micros, place_micros, used_micros, by_age: table.into() }
    }

    /// Visits that were measured before, and are counted from `at` on: the time between counts for no visit.
    pub(super) fn after(sums: &VisitSums, at: Time) -> Result<Self, ImpossibleMeasure> {
        let VisitSums { ends_ppm, visit_micros, place_micros, used_micros, by_age } = *sums;
        ImpossibleMeasure::check(&[ends_ppm, visit_micros, place_micros, used_micros])?;
        Ok(Self { ends_ppm, visit_micros, place_micros, used_micros, table: by_age.try_into()?, at })
    }

    /// Visits that are counted from `at` on.
    pub(super) fn from(at: Time) -> Self {
        Self { at, ..Self::default() }
    }

    /// The time until `now`, in which so many tokens were active in so many places, and the visits that ended then.
    pub(super) fn pass(&mut self, now: Time, (places, active): (i64, i64), ended: i64) {
        // Only what was before is faded: the ends and the time in which they came count alike.
        for _ in 0..ended.min(MEMORY) {
            self.ends_ppm -= self.ends_ppm / MEMORY;
            self.visit_micros -= self.visit_micros / MEMORY;
            self.place_micros -= self.place_micros / MEMORY;
            self.used_micros -= self.used_micros / MEMORY;
        }
        self.visit_micros = self.visit_micros_at(now, active);
        if active >= places - places / FILLING_PART {
            let since = now.since(self.at).micros().max(0);
            self.place_micros = self.place_micros.saturating_add(since.saturating_mul(places));
            self.used_micros = self.used_micros.saturating_add(since.saturating_mul(active.min(places)));
        }
        self.at = self.at.max(now);
        self.ends_ppm = self.ends_ppm.saturating_add(ended.saturating_mul(ONE_PPM));
    }

    /// The share of the places that is taken once the room has filled, in millionths.
    pub(super) fn used_ppm(&self) -> i64 {
        let used = i128::from(self.used_micros) * i128::from(ONE_PPM);
        let used = used.checked_div(i128::from(self.place_micros));
        used.and_then(|used| i64::try_from(used).ok()).unwrap_or(ONE_PPM)
    }

    /// Notes a visit that ended at this age, in a room of so many places of which so many are taken.
    pub(super) fn note_end(&mut self, now: Time, age: Span, (places, active): (i64, i64)) {
        let memory = self.memory(now, (places, active));
        self.table.note_end(age, memory);
    }

    /// How much is forgotten of the visits before, in a room of so many places of which so many are taken.
    pub(super) fn memory(&self, now: Time, (places, active): (i64, i64)) -> VisitMemory {
        VisitMemory::of(places, self.ends_within(SECOND, now, active))
    }

    /// The visits that ended, by their age.
    pub(super) const fn table(&self) -> &VisitTable {
        &self.table
    }

    /// The time of all visits up to `now`, if so many tokens were active since the last change.
    fn visit_micros_at(&self, now: Time, active: i64) -> i64 {
        let since = now.since(self.at).micros().max(0);
        self.visit_micros.saturating_add(since.saturating_mul(active.max(0)))
    }

    /// How many of the active tokens will end in a span, in millionths.
    pub(super) fn ends_within(&self, span: Span, now: Time, active: i64) -> i64 {
        let ends = i128::from(self.ends_ppm) * i128::from(active.max(0)) * i128::from(span.micros().max(0));
        let ends = ends.checked_div(i128::from(self.visit_micros_at(now, active)));
        ends.and_then(|ends| i64::try_from(ends).ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn the_pace_of_visits_is_known_from_ends_and_time_and_a_silence_counts() {
        // Given ten active tokens, of which one ends each second.
        let mut visits = Visits::from(at(0));
        for second in 1..=2_000 {
            visits.pass(at(second), (10, 10), 1);
        }
        let soon = visits.ends_within(Span::from_secs(2), at(2_000), 10);
        assert!((1_990_000..=2_010_000).contains(&soon), "{soon}");
        // When nobody leaves for four minutes, half as many are expected.
        let later = visits.ends_within(Span::from_secs(2), at(2_256), 10);
        assert!((900_000..=1_100_000).contains(&later), "{later}");
        // A room of twice as many has twice as many ends.
        let twice = visits.ends_within(Span::from_secs(2), at(2_000), 20);
        assert!((2 * soon..=2 * soon + 1).contains(&twice), "{twice} of {soon}");
    }

    #[test]
    fn the_pace_is_the_same_when_many_visits_end_at_once() {
        // Given a room in which one visit ends each second, told once in a hundred or four hundred seconds.
        for together in [100, 400] {
            let mut visits = Visits::from(at(0));
            for time in 1..=50 {
                visits.pass(at(time * together), (1_000, 1_000), together);
            }
            let soon = visits.ends_within(Span::from_secs(2), at(50 * together), 1_000);
            assert!((1_990_000..=2_010_000).contains(&soon), "{together}: {soon}");
        }
    }
}
