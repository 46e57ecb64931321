//! How many of the turns that are offered will be claimed.
//!
//! An unclaimed turn stands for the whole time to claim it, and most claims come within seconds. So a turn counts for what the claims of the line let expect of one of its age: at first nearly a place, and
//! nothing long before its end. New turns are offered for the places that are left, and for those that become free
//! while a claim is on its way. A claim never exceeds the cap, whatever was expected: it waits for a place, and keeps
//! its order.

use super::measures::ImpossibleMeasure;
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// The whole, in millionths.
const ONE_PPM: i64 = 1_000_000;
/// The ages, in milliseconds, between which claims are counted apart.
const AGES_MS: [i64; 7] = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, i64::MAX];
/// After so many turns an old one counts a third: a crowd changes in minutes.
const MEMORY: i64 = 128;
/// What is taken for measured before the first turn: of ten turns nine are claimed, most of them in two seconds.
const FIRST_CLAIMS_PPM: [i64; 7] = [3_000_000, 3_000_000, 2_000_000, 500_000, 250_000, 150_000, 100_000];
/// How often what is expected of the turns that are out is worked out from itself.
const FORESEEN_ROUNDS: u32 = 3;
const FIRST_PASSED_PPM: i64 = 1_000_000;

/// The turns of a line, by how long it took to claim them; old ones count less and less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimRecord {
    /// Turns that were claimed, by their age then, in millionths.
    claimed: [i64; 7],
    /// Turns that were not.
    passed: i64,
    /// The sum of the ages at the claims, in microseconds, each weighted as the claim is.
    delays: i64,
}

/// A [`ClaimRecord`] as plain numbers, to be kept over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimMeasures {
    /// Turns that were claimed, by their age then, in millionths.
    pub claimed: [i64; 7],
    /// Turns that were not, in millionths.
    pub passed: i64,
    /// The sum of the ages at the claims, in microseconds, each weighted as the claim is.
    pub delays: i64,
}

impl From<ClaimRecord> for ClaimMeasures {
    fn from(record: ClaimRecord) -> Self {
        let ClaimRecord { claimed, passed, delays } = record;
        Self { claimed, passed, delays }
    }
}

impl TryFrom<ClaimMeasures> for ClaimRecord {
    type Error = ImpossibleMeasure;

    fn try_from(measures: ClaimMeasures) -> Result<Self, ImpossibleMeasure> {
        let ClaimMeasures { claimed, passed, delays } = measures;
        ImpossibleMeasure::check(&claimed)?;
        ImpossibleMeasure::check(&[passed, delays])?;
        // From no turns at all no share follows.
        if claimed.iter().sum::<i64>().saturating_add(passed) == 0 {
            return Err(ImpossibleMeasure(0));
        }
        Ok(Self { claimed, passed, delays })
    }
}

impl Default for ClaimRecord {
    fn default() -> Self {
        let claims: i64 = FIRST_CLAIMS_PPM.iter().sum();
        Self { claimed: FIRST_CLAIMS_PPM, passed: FIRST_PASSED_PPM, delays: claims.saturating_mul(2) }
    }
}

const fn faded(count: i64) -> i64 {
    count.saturating_sub(count.saturating_div(MEMORY))
}

fn class_of(age: Span) -> usize {
    AGES_MS.partition_point(|bound| *bound <= age.millis())
}

impl ClaimRecord {
    /// Notes a claim of a turn of this age.
    pub fn note_claim(&mut self, age: Span) {
        self.fade();
        if let Some(count) = self.claimed.get_mut(class_of(age)) {
            *count = count.saturating_add(ONE_PPM);
        }
        self.delays = self.delays.saturating_add(age.micros().max(0));
    }

    /// Notes a turn that was not claimed.
    pub fn note_pass(&mut self) {
        self.fade();
        self.passed = self.passed.saturating_add(ONE_PPM);
    }

    /// The record as it will be, as far as can be said, once the turns that are out at these ages are claimed or not: one
    /// that is out for long counts for what is left to expect of it, long before its time is over.
    #[must_use]
    pub fn foreseen(&self, ages: &[Span]) -> Self {
        let mut record = *self;
        // Turns that are out count as far as the record has room: of a fast line it remembers fewer turns than are out,
        // and those that are not claimed would outweigh the claims that came beside them.
        let known = self.claimed.iter().sum::<i64>().saturating_add(self.passed);
        let out = i64::try_from(ages.len()).unwrap_or(i64::MAX).max(1);
        let room = MEMORY.saturating_mul(ONE_PPM).saturating_sub(known).max(0);
        let weight = room.checked_div(out.max(MEMORY)).unwrap_or(0).min(ONE_PPM);
        // What is expected of a turn depends on what is expected of the others.
        for _ in 0..FORESEEN_ROUNDS {
            let expected = record;
            record = *self;
            for age in ages.iter().copied() {
                let (from, chance) = (class_of(age), expected.chance_ppm(age));
                record.passed = record.passed.saturating_add(share_of(weight, ONE_PPM.saturating_sub(chance), ONE_PPM));
                let later: i64 = expected.claimed.iter().skip(from).sum();
                let claims = share_of(weight, chance, ONE_PPM);
                for (count, part) in record.claimed.iter_mut().zip(expected.claimed).skip(from) {
                    *count = count.saturating_add(share_of(claims, part, later));
                }
            }
        }
        record
    }

    fn fade(&mut self) {
        self.claimed = self.claimed.map(faded);
        self.passed = faded(self.passed);
        self.delays = faded(self.delays);
    }

    /// How likely a turn of this age, which is not claimed yet, is claimed at last, in millionths.
    #[must_use]
    pub fn chance_ppm(&self, age: Span) -> i64 {
        let coming: i64 = self.claimed.iter().skip(class_of(age)).sum();
        share_ppm(coming, coming.saturating_add(self.passed))
    }

    /// The mean time from an offer to its claim.
    #[must_use]
    pub fn delay(&self) -> Span {
        let claims: i64 = self.claimed.iter().sum();
        let micros = i128::from(self.delays).saturating_mul(i128::from(ONE_PPM)).checked_div(i128::from(claims));
        Span::from_micros(micros.and_then(|micros| i64::try_from(micros).ok()).unwrap_or(0))
    }
}

/// `part` ÷ `whole` of an amount; 0 of nothing.
fn share_of(amount: i64, part: i64, whole: i64) -> i64 {
    let share = i128::from(amount).saturating_mul(i128::from(part)).checked_div(i128::from(whole));
    share.and_then(|share| i64::try_from(share).ok()).unwrap_or(0)
}

fn share_ppm(part: i64, whole: i64) -> i64 {
    let share = i128::from(part).saturating_mul(i128::from(ONE_PPM)).checked_div(i128::from(whole));
    share.and_then(|share| i64::try_from(share).ok()).unwrap_or(ONE_PPM)
}

/// What the leader of a line expects of its turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnOutlook {
    /// Of how many offered turns it is.
    pub turns: i64,
    /// How many of the offered turns will be claimed, in millionths.
    pub coming_ppm: i64,
    /// The share of new turns that will be claimed, in millionths.
    pub shows_ppm: i64,
    /// How many places become free while a claim is on its way, in millionths.
    pub leaving_ppm: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_turn_counts_less_the_longer_it_is_unclaimed() {
        // Given a line in which two of three turns are claimed, each after a second and a half.
        let mut record = ClaimRecord::default();
        for turn in 0..3_000 {
            if turn % 3 == 0 { record.note_pass() } else { record.note_claim(Span::from_millis(1_500)) }
        }
        let chance = |seconds| record.chance_ppm(Span::from_secs(seconds));
        assert!((640_000..690_000).contains(&chance(0)), "{}", chance(0));
        assert_eq!(chance(1), chance(0), "no claim comes in the first second");
        assert!(chance(2) < 1_000, "{}", chance(2));
        let delay = record.delay().millis();
        assert!((1_450..=1_550).contains(&delay), "{delay}");
    }

    #[test]
    fn at_first_most_turns_are_taken_to_be_claimed_soon() {
        let record = ClaimRecord::default();
        let chances = [0, 2, 8, 60].map(|seconds| record.chance_ppm(Span::from_secs(seconds)));
        assert!(chances[0] >= 900_000 && chances.is_sorted_by(|one, next| one > next), "{chances:?}");
        assert_eq!(record.delay(), Span::from_secs(2));
    }

    proptest! {
        #[test]
        fn a_record_is_the_same_after_it_was_kept(turns in proptest::collection::vec((0..2_u8, 0..100_000_i64), 0..400)) {
            let mut record = ClaimRecord::default();
            for (kind, number) in turns {
                match kind {
                    0 => record.note_pass(),
                    _ => record.note_claim(Span::from_millis(number)),
                }
            }
            prop_assert_eq!(ClaimRecord::try_from(ClaimMeasures::from(record)), Ok(record));
        }

        #[test]
        fn impossible_numbers_are_refused_and_others_are_measured_with(
            numbers in proptest::array::uniform9(any::<i64>()),
            age in 0..100_i64,
        ) {
            let [a, b, c, d, e, f, g, passed, delays] = numbers;
            let measures = ClaimMeasures { claimed: [a, b, c, d, e, f, g], passed, delays };
            let is_possible = numbers.iter().all(|number| (0..=1 << 56).contains(number));
            prop_assert_eq!(ClaimRecord::try_from(measures).is_ok(), is_possible);
            let positive = ClaimMeasures {
                claimed: measures.claimed.map(|number| number & 0xff_ffff_ffff),
                passed: 1 + (passed & 0xff_ffff_ffff),
                delays: delays & 0xff_ffff_ffff,
            };
            let mut record = ClaimRecord::try_from(positive).unwrap();
            record.note_claim(Span::from_secs(age));
            prop_assert!((0..=ONE_PPM).contains(&record.chance_ppm(Span::from_secs(age))));
        }
    }

    #[test]
    fn a_record_of_no_turns_is_refused() {
        let kept = ClaimMeasures::from(ClaimRecord::default());
        let none = ClaimMeasures { claimed: [0; 7], passed: 0, ..kept };
        assert_eq!(ClaimRecord::try_from(none), Err(ImpossibleMeasure(0)));
        assert_eq!(ClaimRecord::try_from(ClaimMeasures { delays: -1, ..kept }), Err(ImpossibleMeasure(-1)));
    }

    #[test]
    fn a_crowd_that_changes_is_known_after_some_turns() {
        let mut record = ClaimRecord::default();
        for _ in 0..10_000 {
            record.note_pass();
        }
        assert!(record.chance_ppm(Span::ZERO) < 1_000);
        for _ in 0..256 {
            record.note_claim(Span::from_secs(3));
        }
        assert!(record.chance_ppm(Span::ZERO) > 800_000, "{}", record.chance_ppm(Span::ZERO));
        assert!(record.chance_ppm(Span::from_secs(5)) < record.chance_ppm(Span::from_secs(3)));
    }
}
