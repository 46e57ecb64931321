//! How many of the tokens whose turn comes will come in.
//!
//! The share that is heard of, times the share of turns that is claimed, is not that: a turn that is not claimed is known
//! as such a minute later, and a token that is not heard of a minute and a half later, so that the two shares are of
//! different tokens whenever the crowd changes. Here the tokens that came in are counted beside the heads of the same time.
//!
//! Tokens that hardly waited come in more often than those that waited, and say little of them: at the opening of a sale
//! they are the first that are measured. So a token counts by how long it had waited ([`HeadWeight`]).

use super::measures::{ImpossibleMeasure, part_of};
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// One token, in millionths.
const ONE_PPM: i64 = 1_000_000;
/// After so many heads an old one counts a third, or after twice the places of the room: a room that fills at once knows
/// more heads than claims.
const MEMORY: i64 = 256;
const MEMORY_PER_PLACE: i64 = 2;
/// What is taken for measured before the first turn: of ten nine come in, and half as many are taken for measured.
const FIRST_HEADS_PPM: i64 = 5 * ONE_PPM;
const FIRST_CAME_PPM: i64 = 4_500_000;
/// A token that left the line before its turn counts as this part of a head: of the tokens in front that will leave about half
/// have left already, and are not in front any more.
const LEFT_PPM: i64 = 500_000;
/// At least this share of the tokens in front is taken to come in, in millionths.
const COMES_MIN_PPM: i64 = 100_000;

/// How much tokens count at the head of the line, by how long they had waited when their turn first came. One that had
/// waited for forty seconds or more counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeadWeight(i64);

impl HeadWeight {
    /// A token that counts in full.
    pub const FULL: Self = Self(ONE_PPM);
    /// A token counts in full after a wait of so long. Found by simulated sales: after less, rooms that fill at once tell
    /// too long a wait, and after more, lines of short waits too short a one.
    pub const FULL_WAIT: Span = Span::from_secs(40);

    /// A token whose turn came after so long a wait, in whole seconds: an event says no more of it.
    #[must_use]
    pub fn after(waited: Span) -> Self {
        Self::of_seconds(whole_seconds(waited))
    }

    /// A token that left after so long a wait: it had come half of its way, on average.
    #[must_use]
    pub fn of_leaver(waited: Span) -> Self {
        Self::of_seconds(whole_seconds(waited).saturating_mul(2))
    }

    fn of_seconds(waited: i64) -> Self {
        let full = whole_seconds(Self::FULL_WAIT);
        Self(part_of(ONE_PPM, waited.clamp(0, full), full).unwrap_or(ONE_PPM))
    }

    /// This part of a number of millionths.
    #[must_use]
    pub fn of_ppm(self, ppm: i64) -> i64 {
        part_of(ppm, self.0, ONE_PPM).unwrap_or(0)
    }
}

impl std::ops::AddAssign for HeadWeight {
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }
}

/// What happened at the head of a line in one step, in tokens by their weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeadStep {
    /// Tokens whose turn came for the first time, whether they were offered it or passed over.
    pub heads: HeadWeight,
    /// Tokens that left the line before their turn came.
    pub left: HeadWeight,
    /// Turns that were offered, those of tokens that came back among them.
    pub turns: HeadWeight,
    /// Tokens that came in.
    pub came: HeadWeight,
}

/// The tokens whose turn came, and those that came in; old ones count less and less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadRecord {
    heads: i64,
    turns: i64,
    came: i64,
}

/// A [`HeadRecord`] as plain numbers, to be kept over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadMeasures {
    /// Tokens whose turn came for the first time, in millionths.
    pub heads: i64,
    /// Turns that were offered, in millionths.
    pub turns: i64,
    /// Tokens that came in, in millionths.
    pub came: i64,
}

impl From<HeadRecord> for HeadMeasures {
    fn from(HeadRecord { heads, turns, came }: HeadRecord) -> Self {
        Self { heads, turns, came }
    }
}

impl TryFrom<HeadMeasures> for HeadRecord {
    type Error = ImpossibleMeasure;

    fn try_from(HeadMeasures { heads, turns, came }: HeadMeasures) -> Result<Self, ImpossibleMeasure> {
        ImpossibleMeasure::check(&[heads, turns, came])?;
        // From no heads at all no share follows.
        if heads == 0 { Err(ImpossibleMeasure(0)) } else { Ok(Self { heads, turns, came }) }
    }
}

impl Default for HeadRecord {
    fn default() -> Self {
        Self { heads: FIRST_HEADS_PPM, turns: FIRST_HEADS_PPM, came: FIRST_CAME_PPM }
    }
}

impl HeadRecord {
    /// Notes a step in a room of so many places.
    pub fn note(&mut self, step: HeadStep, places: i64) {
        let memory = MEMORY.max(places.saturating_mul(MEMORY_PER_PLACE));
        let (whole, part) = (step.heads.0.saturating_div(ONE_PPM), step.heads.0 % ONE_PPM);
        let of_memory = |count: i64| count.checked_div(memory).unwrap_or(0);
        let noted = |count: i64, new: i64| {
            let count = (0..whole.min(memory)).fold(count, |count, _| count.saturating_sub(of_memory(count)));
            count.saturating_sub(part_of(of_memory(count), part, ONE_PPM).unwrap_or(0)).saturating_add(new)
        };
        *self = Self {
            heads: noted(self.heads, step.heads.0.saturating_add(step.left.of_ppm(LEFT_PPM))),
            turns: noted(self.turns, step.turns.0),
            came: noted(self.came, step.came.0),
        };
    }

    /// How many tokens come in for each one whose turn comes first, in millionths, if so many of the turns that are out
    /// will be claimed, in millionths and by the weights of their tokens: tokens that come back later count, too. Of turns
    /// that were offered before the record began none counts.
    #[must_use]
    pub fn comes_ppm(&self, coming_ppm: i64) -> i64 {
        let coming_ppm = coming_ppm.clamp(0, self.turns.saturating_sub(self.came).max(0));
        share_ppm(self.came.saturating_add(coming_ppm), self.heads).clamp(COMES_MIN_PPM, ONE_PPM)
    }

    /// How many turns are offered for each token whose turn comes first, in millionths: fewer if many are not heard of,
    /// and more if many let their turns pass and come back.
    #[must_use]
    pub fn turns_ppm(&self) -> i64 {
        share_ppm(self.turns, self.heads)
    }

    /// From how many tokens these shares are known, by their weights.
    #[must_use]
    pub const fn heads(&self) -> i64 {
        self.heads.saturating_div(ONE_PPM)
    }
}

const fn whole_seconds(span: Span) -> i64 {
    span.millis().saturating_div(1_000)
}

fn share_ppm(part: i64, whole: i64) -> i64 {
    part_of(ONE_PPM, part, whole).unwrap_or(ONE_PPM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Tokens that have all waited for long.
    fn step(heads: i64, turns: i64, came: i64) -> HeadStep {
        let [heads, turns, came] = [heads, turns, came].map(|count| HeadWeight(count * ONE_PPM));
        HeadStep { heads, left: HeadWeight::default(), turns, came }
    }

    #[test]
    fn tokens_that_came_in_are_counted_beside_the_heads_of_the_same_time() {
        // Given a line of which every other head is not heard of, and of the others two of three come in.
        let mut record = HeadRecord::default();
        for _ in 0..1_000 {
            record.note(step(6, 3, 2), 20);
        }
        let (comes, turns) = (record.comes_ppm(0), record.turns_ppm());
        assert!((325_000..=342_000).contains(&comes), "{comes}");
        assert!((490_000..=510_000).contains(&turns), "{turns}");
        // When the silent ones are offered their turns, since it is not known yet that they are silent, the share that
        // comes in is the same, long before their turns are over.
        for _ in 0..20 {
            record.note(step(6, 6, 2), 20);
        }
        let comes = record.comes_ppm(0);
        assert!((325_000..=342_000).contains(&comes), "{comes}");
    }

    #[test]
    fn turns_that_are_out_count_for_what_is_expected_of_them() {
        // Given a large room that fills at once.
        let mut record = HeadRecord::default();
        record.note(step(1_000, 1_000, 0), 1_000);
        assert_eq!(record.comes_ppm(0), COMES_MIN_PPM);
        let comes = record.comes_ppm(600 * ONE_PPM);
        assert!((590_000..=620_000).contains(&comes), "{comes}");
        record.note(step(0, 0, 600), 1_000);
        assert_eq!(record.comes_ppm(0), comes, "and the same when they have come");
    }

    #[test]
    fn accounts_that_let_their_turns_pass_make_more_turns_and_no_more_who_come() {
        let mut record = HeadRecord::default();
        for _ in 0..1_000 {
            record.note(step(10, 15, 7), 20);
        }
        assert!((1_480_000..=1_520_000).contains(&record.turns_ppm()), "{}", record.turns_ppm());
        assert!((690_000..=710_000).contains(&record.comes_ppm(0)), "{}", record.comes_ppm(0));
    }

    #[test]
    fn tokens_that_leave_before_their_turn_are_half_gone() {
        let mut record = HeadRecord::default();
        for _ in 0..1_000 {
            record.note(HeadStep { left: HeadWeight(2 * ONE_PPM), ..step(9, 9, 9) }, 20);
        }
        assert!((890_000..=910_000).contains(&record.comes_ppm(0)), "{}", record.comes_ppm(0));
    }

    #[test]
    fn tokens_that_hardly_waited_say_little_of_those_that_wait() {
        // Given a room that fills at once: all come in, after a second at most.
        let mut record = HeadRecord::default();
        let at_once = HeadWeight::after(Span::from_secs(1));
        for _ in 0..500 {
            record.note(HeadStep { heads: at_once, left: HeadWeight::default(), turns: at_once, came: at_once }, 20);
        }
        assert_eq!(record.heads(), 16, "as many as twelve and a half that waited, and those from before the first");
        // When of the tokens behind them every other one comes in, fifty turns show it.
        for _ in 0..25 {
            record.note(step(2, 2, 1), 20);
        }
        assert!((570_000..640_000).contains(&record.comes_ppm(0)), "{}", record.comes_ppm(0));
        let full = [40, 3_600].map(|seconds| HeadWeight::after(Span::from_secs(seconds)));
        assert_eq!(full, [HeadWeight::FULL; 2]);
        assert_eq!(HeadWeight::after(Span::from_secs(-1)), HeadWeight::default());
        let left = [10_000, 10_700].map(|millis| HeadWeight::of_leaver(Span::from_millis(millis)));
        assert_eq!(left, [HeadWeight::after(Span::from_secs(20)); 2], "an event says whole seconds");
    }

    #[test]
    fn turns_from_before_the_record_count_for_nothing() {
        let record = HeadRecord::default();
        assert_eq!(record.comes_ppm(40 * ONE_PPM), ONE_PPM);
        assert_eq!(record.comes_ppm(0), 900_000);
    }

    proptest! {
        #[test]
        fn a_record_is_the_same_after_it_was_kept(
            steps in proptest::collection::vec((0..50_i64, 0..5_i64, 0..60_i64, 0..50_i64), 0..200),
        ) {
            let mut record = HeadRecord::default();
            for (heads, left, turns, came) in steps {
                record.note(HeadStep { left: HeadWeight(left * ONE_PPM), ..step(heads, turns, came) }, 20);
            }
            prop_assert_eq!(HeadRecord::try_from(HeadMeasures::from(record)), Ok(record));
        }

        #[test]
        fn impossible_numbers_are_refused_and_others_are_measured_with(heads: i64, turns: i64, came: i64, coming: i64) {
            let record = HeadRecord::try_from(HeadMeasures { heads, turns, came });
            let is_possible = [heads, turns, came].iter().all(|number| (0..=1 << 56).contains(number)) && heads > 0;
            prop_assert_eq!(record.is_ok(), is_possible);
            let positive = HeadMeasures { heads: 1 + (heads & 0xff_ffff), turns: turns & 0xff_ffff, came: came & 0xff_ffff };
            let mut record = HeadRecord::try_from(positive).unwrap();
            record.note(step(3, 2, 1), 20);
            prop_assert!((COMES_MIN_PPM..=ONE_PPM).contains(&record.comes_ppm(coming)));
        }
    }

    #[test]
    fn a_crowd_that_changes_is_known_after_some_heads() {
        let mut record = HeadRecord::default();
        for _ in 0..10_000 {
            record.note(step(1, 1, 0), 20);
        }
        assert_eq!(record.comes_ppm(0), COMES_MIN_PPM);
        for _ in 0..600 {
            record.note(step(1, 1, 1), 20);
        }
        assert!(record.comes_ppm(0) > 850_000, "{}", record.comes_ppm(0));
        assert!((200..=256).contains(&record.heads()), "{}", record.heads());
    }
}
