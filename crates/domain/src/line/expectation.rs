//! How many of the turns that are offered will be claimed.
//!
//! An unclaimed turn stands for the whole time to claim it, and most claims come within seconds. So a turn counts for
//! what the claims of the line let expect of one of its age: at first nearly a place, and nothing long before its end.
//! New turns are offered for the places that are left, and for those that become free while a claim is on its way. A
//! claim never exceeds the cap, whatever was expected: it waits for a place, and keeps its order.
//!
//! What is expected comes from a life table of turns, by the product-limit formula of Kaplan and Meier: of the turns that
//! were unclaimed at the beginning of a class of age, the share that is claimed in it. A turn that is out counts for the
//! ages that it has reached, so that a crowd that does not claim is known before the first turn has passed. Turns that
//! are out count in full beside older ones that fade, so a little less is expected than comes: a room is full rather than
//! a place idle, and a claim waits for a second.

use super::measures::{ImpossibleMeasure, part_of};
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// The whole, in millionths.
const ONE_PPM: i64 = 1_000_000;
/// The ages, in milliseconds, between which claims are counted apart.
const AGES_MS: [i64; CLASSES] = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, i64::MAX];
const CLASSES: usize = 7;
/// After so many turns an old one counts a third, or after as many as the room has places: a crowd changes in minutes,
/// and the turns that are out are to be compared with the claims of the same time.
const MEMORY: i64 = 128;
/// What is taken for measured before the first turn: of ten turns nine are claimed, most of them in two seconds.
const FIRST_CLAIMS_PPM: [i64; CLASSES] = [3_000_000, 3_000_000, 2_000_000, 500_000, 250_000, 150_000, 100_000];
const FIRST_PASSED_PPM: i64 = 1_000_000;
/// At least a tenth of a turn is taken to have passed: after many claims the record has forgotten that turns pass, and
/// half of those that are older than any claim would be expected.
const PASSED_MIN_PPM: i64 = 100_000;

/// The turns of a line, by how long it took to claim them; old ones count less and less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimRecord {
    /// Turns that were claimed, by their age then, in millionths.
    claimed: [i64; CLASSES],
    /// Turns that were not.
    passed: i64,
    /// The sum of the ages at the claims, in microseconds, each weighted as the claim is.
    delays: i64,
}

/// A [`ClaimRecord`] as plain numbers, to be kept over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimMeasures {
    /// Turns that were claimed, by their age then, in millionths.
    pub claimed: [i64; CLASSES],
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

fn class_of(age: Span) -> usize {
    AGES_MS.partition_point(|bound| *bound <= age.millis()).min(CLASSES - 1)
}

/// A turn that is out, by its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnAge {
    /// It was offered so long ago and is not claimed.
    Unclaimed(Span),
    /// It was claimed so long after its offer, and waits for a place.
    Claimed(Span),
}

/// How likely turns are claimed at last, by their age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimChances([i64; CLASSES]);

impl ClaimChances {
    /// The chance of a turn that is out, in millionths.
    #[must_use]
    pub fn ppm_of(&self, turn: TurnAge) -> i64 {
        match turn {
            TurnAge::Claimed(_) => ONE_PPM,
            TurnAge::Unclaimed(age) => self.0.get(class_of(age)).copied().unwrap_or(0),
        }
    }

    /// The chance of a turn that is offered now, in millionths.
    #[must_use]
    pub fn ppm_of_new(&self) -> i64 {
        self.ppm_of(TurnAge::Unclaimed(Span::ZERO))
    }
}

impl ClaimRecord {
    /// Notes a claim of a turn of this age, in a room of so many places.
    pub fn note_claim(&mut self, age: Span, places: i64) {
        self.fade(places);
        if let Some(count) = self.claimed.get_mut(class_of(age)) {
            *count = count.saturating_add(ONE_PPM);
        }
        self.delays = self.delays.saturating_add(age.micros().max(0));
    }

    /// Notes a turn that was not claimed, in a room of so many places.
    pub fn note_pass(&mut self, places: i64) {
        self.fade(places);
        self.passed = self.passed.saturating_add(ONE_PPM);
    }

    fn fade(&mut self, places: i64) {
        let memory = MEMORY.max(places);
        let faded = |count: i64| count.saturating_sub(count.checked_div(memory).unwrap_or(0));
        self.claimed = self.claimed.map(faded);
        self.passed = faded(self.passed);
        self.delays = faded(self.delays);
    }

    /// How likely turns are claimed at last while these are out.
    #[must_use]
    pub fn chances(&self, turns: impl IntoIterator<Item = TurnAge>) -> ClaimChances {
        let (mut claimed, mut unclaimed) = (self.claimed, [0; CLASSES]);
        for turn in turns {
            let (counts, age) = match turn {
                TurnAge::Claimed(age) => (&mut claimed, age),
                TurnAge::Unclaimed(age) => (&mut unclaimed, age),
            };
            if let Some(count) = counts.get_mut(class_of(age)) {
                *count = count.saturating_add(ONE_PPM);
            }
        }
        let (mut older, mut never) = (self.passed.max(PASSED_MIN_PPM), ONE_PPM);
        let mut chances = [0; CLASSES];
        for (chance, (claims, out)) in chances.iter_mut().zip(claimed.into_iter().zip(unclaimed)).rev() {
            // Those that are out have been in their class for half of it, on average.
            let at_risk = older.saturating_add(claims).saturating_add(out.saturating_div(2));
            never = part_of(never, at_risk.saturating_sub(claims), at_risk).unwrap_or(never);
            older = older.saturating_add(claims).saturating_add(out);
            *chance = ONE_PPM.saturating_sub(never);
        }
        ClaimChances(chances)
    }

    /// The share of the turns in the record that was claimed, in millionths.
    #[must_use]
    pub fn claimed_ppm(&self) -> i64 {
        let claimed: i64 = self.claimed.iter().sum();
        part_of(ONE_PPM, claimed, claimed.saturating_add(self.passed)).unwrap_or(ONE_PPM)
    }

    /// The mean time from an offer to its claim.
    #[must_use]
    pub fn delay(&self) -> Span {
        let claims: i64 = self.claimed.iter().sum();
        Span::from_micros(part_of(self.delays, ONE_PPM, claims).unwrap_or(0))
    }
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

    const PLACES: i64 = 20;

    fn unclaimed(seconds: i64) -> TurnAge {
        TurnAge::Unclaimed(Span::from_secs(seconds))
    }

    fn chance(record: &ClaimRecord, seconds: i64) -> i64 {
        record.chances([]).ppm_of(unclaimed(seconds))
    }

    #[test]
    fn a_turn_counts_less_the_longer_it_is_unclaimed() {
        // Given a line in which two of three turns are claimed, each after a second and a half.
        let mut record = ClaimRecord::default();
        for turn in 0..3_000 {
            if turn % 3 == 0 { record.note_pass(PLACES) } else { record.note_claim(Span::from_millis(1_500), PLACES) }
        }
        let chance = |seconds| chance(&record, seconds);
        assert!((640_000..690_000).contains(&chance(0)), "{}", chance(0));
        assert!(chance(0).abs_diff(chance(1)) < 10, "no claim comes in the first second");
        assert!(chance(2) < 1_000, "{}", chance(2));
        let delay = record.delay().millis();
        assert!((1_450..=1_550).contains(&delay), "{delay}");
    }

    #[test]
    fn at_first_most_turns_are_taken_to_be_claimed_soon() {
        let record = ClaimRecord::default();
        let chances = [0, 2, 8, 60].map(|seconds| chance(&record, seconds));
        assert!(chances[0] >= 900_000 && chances.is_sorted_by(|one, next| one > next), "{chances:?}");
        assert_eq!(record.delay(), Span::from_secs(2));
    }

    #[test]
    fn turns_that_are_out_show_a_crowd_that_does_not_claim_before_the_first_of_them_has_passed() {
        // Given a room that filled at once: all claimed after three seconds.
        let mut record = ClaimRecord::default();
        for _ in 0..500 {
            record.note_claim(Span::from_secs(3), PLACES);
        }
        assert!(chance(&record, 3) > 950_000, "of turns that are not claimed nothing is known yet");
        // When every other token behind them does not come, twenty seconds after their turns.
        let chances = record.chances([unclaimed(20); 120]);
        assert!((500_000..600_000).contains(&chances.ppm_of_new()), "{chances:?}");
        assert!(chances.ppm_of(unclaimed(20)) < 120_000, "{chances:?}");
    }

    #[test]
    fn a_claim_that_waits_for_a_place_counts_as_a_claim() {
        let record = ClaimRecord::default();
        let waits = TurnAge::Claimed(Span::from_secs(3));
        let (before, after) = (record.chances([]), record.chances([waits; 40]));
        assert_eq!(after.ppm_of(waits), ONE_PPM);
        assert!(after.ppm_of_new() > before.ppm_of_new(), "{after:?}, {before:?}");
    }

    #[test]
    fn a_large_room_remembers_as_many_turns_as_it_has_places() {
        let noted = |places| {
            let mut record = ClaimRecord::default();
            (0..2_000).for_each(|_| record.note_claim(Span::from_secs(3), places));
            (0..128).for_each(|_| record.note_pass(places));
            record.claimed_ppm()
        };
        let (small, large) = (noted(20), noted(1_000));
        assert!((330_000..410_000).contains(&small), "{small}");
        assert!((840_000..900_000).contains(&large), "{large}");
    }

    #[test]
    fn a_turn_that_is_out_counts_for_half_of_the_age_that_it_is_in() {
        // Given sixteen claims of five seconds, and no turn that passed but the tenth that is always taken to have.
        let claimed = [0, 0, 0, 16 * ONE_PPM, 0, 0, 0];
        let kept = ClaimMeasures { claimed, passed: 0, delays: 80 * ONE_PPM };
        let record = ClaimRecord::try_from(kept).unwrap();
        // When eight turns are out for as long, 16 of 20.1 are claimed at that age.
        let chances = record.chances([unclaimed(5); 8]);
        assert_eq!((chances.ppm_of(unclaimed(5)), chances.ppm_of_new()), (796_020, 796_020), "{chances:?}");
        // A class later, all eight were there, and none was claimed: 16 of 24.1.
        assert_eq!(record.chances([unclaimed(9); 8]).ppm_of_new(), 663_901);
    }

    #[test]
    fn after_many_claims_a_turn_that_is_older_than_any_of_them_is_not_expected() {
        let mut record = ClaimRecord::default();
        for _ in 0..5_000 {
            record.note_claim(Span::from_secs(3), PLACES);
        }
        assert!(chance(&record, 20) < 10_000, "{}", chance(&record, 20));
    }

    proptest! {
        #[test]
        fn chances_are_shares_and_fall_with_the_age_at_which_nothing_was_claimed(
            turns in proptest::collection::vec((0..2_u8, 0..70_i64), 0..400),
        ) {
            let turns: Vec<_> = turns
                .into_iter()
                .map(|(kind, age)| if kind == 0 { unclaimed(age) } else { TurnAge::Claimed(Span::from_secs(age)) })
                .collect();
            let chances = ClaimRecord::default().chances(turns);
            let by_age = [0, 1, 2, 4, 8, 16, 32].map(|age| chances.ppm_of(unclaimed(age)));
            prop_assert!(by_age.is_sorted_by(|one, next| one >= next), "{:?}", by_age);
            prop_assert!(by_age.iter().all(|chance| (0..=ONE_PPM).contains(chance)), "{:?}", by_age);
        }

        #[test]
        fn a_record_is_the_same_after_it_was_kept(turns in proptest::collection::vec((0..2_u8, 0..100_000_i64), 0..400)) {
            let mut record = ClaimRecord::default();
            for (kind, number) in turns {
                match kind {
                    0 => record.note_pass(PLACES),
                    _ => record.note_claim(Span::from_millis(number), PLACES),
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
            record.note_claim(Span::from_secs(age), PLACES);
            prop_assert!((0..=ONE_PPM).contains(&chance(&record, age)));
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
            record.note_pass(PLACES);
        }
        assert!(record.chances([]).ppm_of_new() < 1_000);
        for _ in 0..256 {
            record.note_claim(Span::from_secs(3), PLACES);
        }
        assert!(record.chances([]).ppm_of_new() > 800_000, "{}", record.chances([]).ppm_of_new());
        assert!(chance(&record, 5) < chance(&record, 3));
    }
}
