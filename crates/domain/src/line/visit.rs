//! How long visits last, by a life table: how many visits ended at which age, and how long visits were that old.
//!
//! A mean of the ended visits alone would be too short while a room fills, since the short ones end first; and one of all
//! visits hides that a place whose visitor has closed the page without a word is kept until the token has been idle for
//! too long. In a life table a visit that has not ended counts for the ages that it has reached, and for no other.

use super::{
    figure::{figure, fraction, seconds, span},
    measures::ImpossibleMeasure,
};
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// How many classes of age there are: a third of a doubling each, from one second to eleven minutes, and all that is
/// older.
pub const AGE_CLASSES: usize = 30;
/// The ages, in milliseconds, at which the classes end.
const AGES_MS: [i64; AGE_CLASSES] = [
    1_000,
    1_260,
    1_590,
    2_000,
    2_520,
    3_170,
    4_000,
    5_040,
    6_350,
    8_000,
    10_080,
    12_700,
    16_000,
    20_160,
    25_400,
    32_000,
    40_320,
    50_800,
    64_000,
    80_630,
    101_600,
    128_000,
    161_270,
    203_190,
    256_000,
    322_540,
    406_370,
    512_000,
    645_080,
    i64::MAX,
];
/// The class before stands for the time of so many visits where little is measured. With a whole one, visits of which few
/// end early were told longer than they are, and rooms in which silent visitors keep places shorter.
const PRIOR_VISITS: f64 = 0.25;
/// After so many ends an old one counts a third, or after four times the places of the room: visits change with the
/// sale, and a room is measured over some of its visits.
const MEMORY: i64 = 256;
const MEMORY_PER_PLACE: i64 = 4;
/// One end, in millionths.
const ONE_PPM: i64 = 1_000_000;

/// The visits of a room by their age; old ones count less and less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VisitTable {
    /// Visits that ended in each class, in millionths.
    ends: [i64; AGE_CLASSES],
    /// How long visits were in each class, in microseconds.
    micros: [i64; AGE_CLASSES],
}

/// A [`VisitTable`] as plain numbers, to be kept over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitMeasures {
    /// Visits that ended in each class of age, in millionths.
    pub ends: [i64; AGE_CLASSES],
    /// How long visits were in each class, in microseconds.
    pub micros: [i64; AGE_CLASSES],
}

impl From<VisitTable> for VisitMeasures {
    fn from(table: VisitTable) -> Self {
        let VisitTable { ends, micros } = table;
        Self { ends, micros }
    }
}

impl TryFrom<VisitMeasures> for VisitTable {
    type Error = ImpossibleMeasure;

    fn try_from(measures: VisitMeasures) -> Result<Self, ImpossibleMeasure> {
        let VisitMeasures { ends, micros } = measures;
        ImpossibleMeasure::check(&ends)?;
        ImpossibleMeasure::check(&micros)?;
        Ok(Self { ends, micros })
    }
}

/// How much a room has forgotten of what was so long ago, by the visits that ended since.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VisitMemory {
    /// How many ends are remembered.
    ends: i64,
    /// The share that is forgotten in a second.
    per_second: f64,
}

impl VisitMemory {
    /// The memory of a room of so many places in which so many visits end in a second, in millionths.
    #[must_use]
    pub fn of(places: i64, ends_ppm: i64) -> Self {
        let ends = MEMORY.max(places.saturating_mul(MEMORY_PER_PLACE));
        Self { ends, per_second: fraction(ends_ppm.max(0), ONE_PPM) / figure(ends) }
    }

    /// The time that a visit of this age has spent in each class, in microseconds. What was long ago counts as much less
    /// as the ends of that time do: else a visit in the room would make all visits longer than they are.
    fn time_in_classes(self, age: Span) -> impl Iterator<Item = i64> {
        let age = age.micros().max(0);
        let kept = move |at: i64| (-self.per_second * seconds(Span::from_micros(age.saturating_sub(at)))).exp();
        let (mut from, mut kept_from) = (0, kept(0));
        AGES_MS.into_iter().map(move |to| {
            let to = age.min(to.saturating_mul(1_000));
            if to <= from {
                return 0;
            }
            let kept_to = kept(to);
            let time = if self.per_second > 0.0 {
                span((kept_to - kept_from) / self.per_second).micros()
            } else {
                to.saturating_sub(from)
            };
            (from, kept_from) = (to, kept_to);
            time
        })
    }
}

impl VisitTable {
    /// Notes a visit that ended at this age.
    pub fn note_end(&mut self, age: Span, memory: VisitMemory) {
        let faded = |count: &mut i64| *count = count.saturating_sub(count.checked_div(memory.ends).unwrap_or(0));
        self.ends.iter_mut().for_each(faded);
        self.micros.iter_mut().for_each(faded);
        self.note_time(age, memory);
        let class = AGES_MS.partition_point(|bound| *bound <= age.millis());
        if let Some(ends) = self.ends.get_mut(class) {
            *ends = ends.saturating_add(ONE_PPM);
        }
    }

    /// Notes a visit that has reached this age and has not ended.
    pub fn note_time(&mut self, age: Span, memory: VisitMemory) {
        for (sum, time) in self.micros.iter_mut().zip(memory.time_in_classes(age)) {
            *sum = sum.saturating_add(time);
        }
    }

    /// How many ends count.
    #[must_use]
    pub fn ends(&self) -> f64 {
        fraction(self.ends.iter().sum(), ONE_PPM)
    }

    /// The share of the visits of each age that ends in a second, with the age in seconds up to which it holds. Where little
    /// is measured it is nearly that of the age before, and at the youngest age that of all.
    pub(super) fn hazards(&self) -> impl Iterator<Item = (f64, f64)> {
        let all = fraction(self.micros.iter().sum(), ONE_PPM);
        let visit = (all + 0.1) / (self.ends() + 0.01) * PRIOR_VISITS;
        let mut before = 1.0 / visit;
        self.ends.iter().zip(self.micros).zip(AGES_MS).map(move |((ends, micros), to)| {
            let (ends, time) = (fraction(*ends, ONE_PPM), fraction(micros, ONE_PPM));
            before = (ends + before * visit) / (time + visit);
            (seconds(Span::from_millis(to)), before)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The ages, in seconds, at which half of the visits have ended and nine in ten have.
    fn quantiles(table: &VisitTable) -> (f64, f64) {
        let (mut alive, mut from) = (1.0_f64, 0.0);
        let mut found = (f64::MAX, f64::MAX);
        for (to, hazard) in table.hazards() {
            for (share, at) in [(0.5, &mut found.0), (0.1, &mut found.1)] {
                let age = from + (alive / share).ln() / hazard;
                if alive >= share && age <= to {
                    *at = at.min(age);
                }
            }
            alive *= (-hazard * (to - from)).exp();
            from = to;
        }
        found
    }

    #[test]
    fn visits_that_have_not_ended_count_for_the_ages_that_they_have_reached_alone() {
        // Given a room of forty whose visits last forty seconds each, of which half began half a minute ago.
        let mut table = VisitTable::default();
        for _ in 0..60 {
            table.note_end(Span::from_secs(40), VisitMemory::of(40, 0));
        }
        let (half, most) = quantiles(&table);
        assert!((32.0..=42.0).contains(&half) && most < 60.0, "{half}, {most}");
        // When those in the room are counted, it is not taken for one of longer visits.
        for _ in 0..20 {
            table.note_time(Span::from_secs(30), VisitMemory::of(40, 0));
        }
        let (later, _) = quantiles(&table);
        assert!((half..half + 2.0).contains(&later), "{later} after {half}");
    }

    #[test]
    fn those_inside_do_not_make_visits_longer_when_earlier_ones_are_forgotten() {
        // Given a room of forty whose visits last forty seconds each, so that one ends each second.
        let memory = VisitMemory::of(40, ONE_PPM);
        let mut table = VisitTable::default();
        for _ in 0..2_000 {
            table.note_end(Span::from_secs(40), memory);
        }
        // When those in the room are counted, who are of all ages.
        for age in 0..40 {
            table.note_time(Span::from_secs(age), memory);
        }
        let mean = fraction(table.micros.iter().sum(), ONE_PPM) / table.ends();
        assert!((39.0..=41.0).contains(&mean), "{mean}");
    }

    #[test]
    fn places_that_silent_visitors_keep_are_told_from_short_visits() {
        // Given nine visits of five seconds for each that is idle for a minute and a half.
        let mut table = VisitTable::default();
        for number in 0..300 {
            table.note_end(Span::from_secs(if number % 10 == 0 { 98 } else { 5 }), VisitMemory::of(20, 1_400_000));
        }
        let (half, most) = quantiles(&table);
        assert!((4.0..=6.4).contains(&half) && most > 60.0, "{half}, {most}");
    }

    #[test]
    fn visits_that_change_are_known_after_some() {
        let mut table = VisitTable::default();
        for _ in 0..2_000 {
            table.note_end(Span::from_secs(100), VisitMemory::of(10, 100_000));
        }
        for _ in 0..1_000 {
            table.note_end(Span::from_secs(10), VisitMemory::of(10, 1_000_000));
        }
        assert!(quantiles(&table).0 < 13.0, "{:?}", quantiles(&table));
        assert!((250.0..260.0).contains(&table.ends()), "{}", table.ends());
    }

    proptest! {
        #[test]
        fn a_table_is_the_same_after_it_was_kept(
            visits in proptest::collection::vec((0..700_000_i64, 1..2_000_i64), 0..300),
        ) {
            let mut table = VisitTable::default();
            for (age, places) in visits {
                table.note_end(Span::from_millis(age), VisitMemory::of(places, places * 10_000));
            }
            prop_assert_eq!(VisitTable::try_from(VisitMeasures::from(table)), Ok(table));
        }

        #[test]
        fn impossible_numbers_are_refused(at in 0..AGE_CLASSES, number in prop_oneof![..0_i64, (1_i64 << 56) + 1..]) {
            let mut measures = VisitMeasures::from(VisitTable::default());
            measures.ends[at] = number;
            prop_assert_eq!(VisitTable::try_from(measures), Err(ImpossibleMeasure(number)));
            measures.ends[at] = 1;
            measures.micros[at] = number;
            prop_assert_eq!(VisitTable::try_from(measures), Err(ImpossibleMeasure(number)));
            measures.micros[at] = 1 << 56;
            let table = VisitTable::try_from(measures).unwrap();
            prop_assert!(table.hazards().all(|(_, hazard)| hazard.is_finite() && hazard > 0.0));
        }
    }
}
