//! What the tokens of a line were told about their waits, kept until their turns come, and how near it was.
//!
//! A sample of the tokens is kept, chosen by position alone, so that every instance keeps the same ones. Writing takes no
//! lock: a told wait is one number, written once.

use frontrow_domain::{
    id::Position,
    line::{ToldHorizon, ToldWait},
    time::{Span, Time},
};
use std::sync::{
    OnceLock,
    atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering},
};

/// How many tokens of a line are kept at most: 56 KiB.
const SLOTS: usize = 1_024;
/// One of so many positions is kept, so that half of the slots suffice for all who wait: few of them share a slot.
const SAMPLE_MAX: i64 = 512;
const HORIZONS: usize = ToldHorizon::ALL.len();
/// The upper bounds of the ratio of told to came, in millionths; one more bucket counts what is above.
pub const RATIO_BOUNDS_PPM: [i64; 11] =
    [250_000, 500_000, 670_000, 800_000, 900_000, 1_000_000, 1_100_000, 1_250_000, 1_500_000, 2_000_000, 4_000_000];
/// One count for each per cent up to `TOLD_ERROR_PERCENT_MAX`.
const ERRORS: usize = 201;

/// A told wait is kept with its moment in quarters of a second, which begin anew after twelve days, its p50 and p90 in
/// seconds, up to a day and a half, and a part of its token's hash.
const QUARTER_MICROS: i64 = 250_000;
const MOMENT_BITS: u32 = 22;
const WAIT_BITS: u32 = 17;
const TAG_BITS: u32 = 8;

/// The told waits of a line. Before the first one it takes no memory.
#[derive(Debug, Default)]
pub(super) struct ToldRecord {
    kept: OnceLock<Box<KeptWaits>>,
    /// What was told before this moment is not judged, in microseconds: the settings were others.
    judged_from: AtomicI64,
}

#[derive(Debug)]
struct KeptWaits {
    slots: Vec<ToldSlot>,
    tallies: [HorizonTally; HORIZONS],
}

/// What one token was told; position 0 for none.
#[derive(Debug, Default)]
struct ToldSlot {
    position: AtomicI64,
    told: [AtomicU64; HORIZONS],
}

#[derive(Debug)]
struct HorizonTally {
    within_p90: AtomicU64,
    ratio_sum_ppm: AtomicU64,
    ratios: [AtomicU64; RATIO_BOUNDS_PPM.len() + 1],
    errors: [AtomicU32; ERRORS],
}

/// The told waits of a horizon that were compared with the waits that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToldTally {
    /// Which waits.
    pub horizon: ToldHorizon,
    /// How many were compared.
    pub judged: u64,
    /// How many of the waits were no longer than the told p90.
    pub within_p90: u64,
    /// The median of how far the told p50 was off, in per cent of the wait that came; none if nothing was compared.
    pub error_percent: Option<i64>,
    /// How many had a ratio of told to came up to each of [`RATIO_BOUNDS_PPM`], and how many a greater one.
    pub ratios: [u64; RATIO_BOUNDS_PPM.len() + 1],
    /// The sum of the ratios, in millionths.
    pub ratio_sum_ppm: u64,
}

impl Default for HorizonTally {
    fn default() -> Self {
        Self {
            within_p90: AtomicU64::default(),
            ratio_sum_ppm: AtomicU64::default(),
            ratios: Default::default(),
            errors: std::array::from_fn(|_| AtomicU32::default()),
        }
    }
}

impl Default for KeptWaits {
    fn default() -> Self {
        Self { slots: (0..SLOTS).map(|_| ToldSlot::default()).collect(), tallies: Default::default() }
    }
}

impl ToldRecord {
    /// Notes what a token that waits beyond the cursor was told at `now`, in a line of so many, if it is of the sample
    /// and was not told of this horizon before. No lock.
    pub(super) fn note(&self, position: Position, told: ToldWait, (waiting, cursor): (i64, Position), now: Time) {
        let stride = stride(waiting);
        if position.0 % stride != 0 || !ToldHorizon::is_judged(told.p50) {
            return;
        }
        let Some(word) = pack(position, told, now) else { return };
        let slot = self.kept.get_or_init(Box::default).slot(position);
        let owner = slot.position.load(Ordering::Acquire);
        if owner != position.0 {
            // The slot of a token that still waits and is of the sample stays with it.
            if owner > cursor.0 && owner % stride == 0 {
                return;
            }
            if slot.position.compare_exchange(owner, position.0, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                return;
            }
            slot.told.iter().for_each(|told| told.store(0, Ordering::Release));
        }
        let horizon = ToldHorizon::of(told.p50);
        for horizon in [Some(ToldHorizon::First), horizon].into_iter().flatten() {
            let told = &slot.told[horizon.index()];
            let before = told.load(Ordering::Acquire);
            if !self.counts(before, position, now) {
                // Of two answers at once either is the first.
                let _ = told.compare_exchange(before, word, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }

    /// Compares what a token was told with its turn, which is offered at `now`.
    pub(super) fn judge(&self, position: Position, now: Time) {
        let Some((kept, slot)) = self.taken(position) else { return };
        for (told, tally) in slot.told.iter().zip(&kept.tallies) {
            let word = told.swap(0, Ordering::AcqRel);
            if self.counts(word, position, now) {
                let (wait, came) = unpack(word, now);
                tally.add(wait, came);
            }
        }
    }

    /// Forgets a token whose turn does not come as it was told: it left, or was not heard of.
    pub(super) fn forget(&self, position: Position) {
        if let Some((_, slot)) = self.taken(position) {
            slot.told.iter().for_each(|told| told.store(0, Ordering::Release));
        }
    }

    /// Nothing told before `now` is judged: an operator has changed how the line moves.
    pub(super) fn restart(&self, now: Time) {
        self.judged_from.fetch_max(now.micros(), Ordering::AcqRel);
    }

    /// The slot of a token, which loses it.
    fn taken(&self, position: Position) -> Option<(&KeptWaits, &ToldSlot)> {
        let kept = self.kept.get()?;
        let slot = kept.slot(position);
        let taken = slot.position.compare_exchange(position.0, 0, Ordering::AcqRel, Ordering::Relaxed);
        taken.ok().map(|_| (&**kept, slot))
    }

    /// Whether this was told to the token, by the settings that hold.
    fn counts(&self, word: u64, position: Position, now: Time) -> bool {
        let since_change = now.micros().saturating_sub(self.judged_from.load(Ordering::Acquire));
        word != 0
            && word & mask(TAG_BITS) == tag(position)
            && quarters_since(word, now).saturating_mul(QUARTER_MICROS)
                <= since_change.saturating_add(QUARTER_MICROS / 2)
    }

    /// What came of all that was told, by horizon.
    pub(super) fn tallies(&self) -> [ToldTally; HORIZONS] {
        let kept = self.kept.get();
        ToldHorizon::ALL.map(|horizon| match kept {
            Some(kept) => kept.tallies[horizon.index()].read(horizon),
            None => ToldTally::none(horizon),
        })
    }
}

impl KeptWaits {
    fn slot(&self, position: Position) -> &ToldSlot {
        let hash = hash(position) >> TAG_BITS;
        &self.slots[usize::try_from(hash).unwrap_or(0) % SLOTS]
    }
}

impl HorizonTally {
    fn add(&self, told: ToldWait, came: Span) {
        let judged = told.judged(came);
        let bucket = RATIO_BOUNDS_PPM.partition_point(|bound| *bound < judged.ratio_ppm);
        self.ratios[bucket].fetch_add(1, Ordering::Relaxed);
        self.ratio_sum_ppm.fetch_add(judged.ratio_ppm.unsigned_abs(), Ordering::Relaxed);
        self.within_p90.fetch_add(u64::from(judged.within_p90), Ordering::Relaxed);
        let error = usize::try_from(judged.error_percent).unwrap_or(0).min(ERRORS - 1);
        self.errors[error].fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self, horizon: ToldHorizon) -> ToldTally {
        let ratios = std::array::from_fn(|bucket| self.ratios[bucket].load(Ordering::Relaxed));
        let mut errors = Vec::with_capacity(ERRORS);
        errors.extend(self.errors.iter().map(|count| u64::from(count.load(Ordering::Relaxed))));
        ToldTally {
            horizon,
            judged: ratios.iter().sum(),
            within_p90: self.within_p90.load(Ordering::Relaxed),
            error_percent: median(&errors),
            ratios,
            ratio_sum_ppm: self.ratio_sum_ppm.load(Ordering::Relaxed),
        }
    }
}

impl ToldTally {
    /// Nothing of a horizon.
    #[must_use]
    pub const fn none(horizon: ToldHorizon) -> Self {
        let ratios = [0; RATIO_BOUNDS_PPM.len() + 1];
        Self { horizon, judged: 0, within_p90: 0, error_percent: None, ratios, ratio_sum_ppm: 0 }
    }

    /// Adds what was compared in another room. The median is of none of them then.
    pub fn add(&mut self, other: &Self) {
        self.judged += other.judged;
        self.within_p90 += other.within_p90;
        self.error_percent = None;
        self.ratio_sum_ppm += other.ratio_sum_ppm;
        for (sum, count) in self.ratios.iter_mut().zip(other.ratios) {
            *sum += count;
        }
    }

    /// How often the wait was no longer than the told p90, in per cent, rounded down; none if nothing was compared.
    #[must_use]
    pub fn within_percent(&self) -> Option<u64> {
        self.within_p90.saturating_mul(100).checked_div(self.judged)
    }
}

/// The place of the middle one of all that are counted.
fn median(counts: &[u64]) -> Option<i64> {
    let all: u64 = counts.iter().sum();
    let mut below = 0;
    let middle = counts.iter().position(|count| {
        below += count;
        below > all / 2
    });
    middle.and_then(|middle| i64::try_from(middle).ok())
}

/// Each position that is a multiple of this is of the sample of a line of so many: a power of two, so that the sample of
/// a longer line is part of that of a shorter one.
fn stride(waiting: i64) -> i64 {
    let part = waiting.max(0) / SAMPLE_MAX;
    i64::try_from(part.unsigned_abs().saturating_add(1).next_power_of_two()).unwrap_or(1)
}

/// A number that looks random (`SplitMix64`).
const fn hash(position: Position) -> u64 {
    let mut mixed = position.0.unsigned_abs().wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

const fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// The part of a token's hash that a told wait carries; never 0, as no told wait is.
const fn tag(position: Position) -> u64 {
    hash(position) & mask(TAG_BITS) | 1
}

/// The nearest quarter of a second.
fn quarter_of(at: Time) -> u64 {
    let quarter = at.micros().saturating_add(QUARTER_MICROS / 2).div_euclid(QUARTER_MICROS);
    quarter.unsigned_abs() & mask(MOMENT_BITS)
}

/// One number for what a token was told; none for a wait that is too long to be kept.
fn pack(position: Position, told: ToldWait, now: Time) -> Option<u64> {
    let seconds = |span: Span| u64::try_from(span.millis() / 1_000).ok().filter(|seconds| *seconds <= mask(WAIT_BITS));
    let waits = seconds(told.p50)? << WAIT_BITS | seconds(told.p90)?;
    Some((quarter_of(now) << (2 * WAIT_BITS) | waits) << TAG_BITS | tag(position))
}

/// How long ago something was told, in quarters of a second.
fn quarters_since(word: u64, now: Time) -> i64 {
    let at = word >> (2 * WAIT_BITS + TAG_BITS);
    i64::try_from(quarter_of(now).wrapping_sub(at) & mask(MOMENT_BITS)).unwrap_or(0)
}

/// What was told, and how long ago.
fn unpack(word: u64, now: Time) -> (ToldWait, Span) {
    let seconds = |shift: u32| Span::from_secs(i64::try_from(word >> shift & mask(WAIT_BITS)).unwrap_or(0));
    let told = ToldWait { p50: seconds(WAIT_BITS + TAG_BITS), p90: seconds(TAG_BITS) };
    (told, Span::from_micros(quarters_since(word, now).saturating_mul(QUARTER_MICROS)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::line::TOLD_ERROR_PERCENT_MAX;

    const START: Time = Time::from_micros(1_900_000_000_000_000);

    fn at(seconds: i64) -> Time {
        START.plus(Span::from_secs(seconds))
    }

    const fn told(p50: i64, p90: i64) -> ToldWait {
        ToldWait { p50: Span::from_secs(p50), p90: Span::from_secs(p90) }
    }

    /// A line of so many, of which no token had its turn.
    const fn line(waiting: i64) -> (i64, Position) {
        (waiting, Position(0))
    }

    /// What was judged of each horizon: its name, how many, within the p90, the median error.
    fn judged(waits: &ToldRecord) -> Vec<(&'static str, u64, u64, Option<i64>)> {
        let tallies = waits.tallies().into_iter().filter(|tally| tally.judged > 0);
        tallies.map(|tally| (tally.horizon.name(), tally.judged, tally.within_p90, tally.error_percent)).collect()
    }

    #[test]
    fn every_error_has_a_count() {
        assert_eq!(i64::try_from(ERRORS), Ok(TOLD_ERROR_PERCENT_MAX + 1));
    }

    #[test]
    fn what_a_token_was_told_at_each_horizon_is_compared_with_its_turn() {
        let waits = ToldRecord::default();
        let token = Position(7);
        waits.note(token, told(900, 1_200), line(20), at(0));
        waits.note(token, told(880, 1_200), line(20), at(30));
        waits.note(token, told(500, 600), line(20), at(300));
        waits.note(token, told(301, 600), line(20), at(400));
        waits.note(token, told(28, 40), line(20), at(960));
        waits.note(token, told(4, 4), line(20), at(995));
        waits.judge(token, at(1_000));
        // 900 of 1000 seconds, 500 of 700, 28 of 40.
        assert_eq!(judged(&waits), [("first", 1, 1, Some(10)), ("10m", 1, 0, Some(28)), ("30s", 1, 1, Some(30))]);
        waits.judge(token, at(1_001));
        assert_eq!(waits.tallies()[0].judged, 1, "a turn is judged once");
    }

    #[test]
    fn a_token_that_left_or_was_not_heard_of_is_not_judged() {
        let waits = ToldRecord::default();
        waits.note(Position(7), told(60, 90), line(20), at(0));
        waits.forget(Position(7));
        waits.judge(Position(7), at(60));
        assert_eq!(judged(&waits), []);
    }

    #[test]
    fn what_was_told_by_other_settings_is_not_judged_and_is_told_anew() {
        let waits = ToldRecord::default();
        waits.note(Position(7), told(60, 90), line(20), at(0));
        waits.note(Position(8), told(60, 90), line(20), at(0));
        waits.restart(at(10));
        waits.note(Position(7), told(40, 50), line(20), at(20));
        waits.judge(Position(7), at(60));
        waits.judge(Position(8), at(60));
        assert_eq!(judged(&waits), [("first", 1, 1, Some(0)), ("1m", 1, 1, Some(0))]);
    }

    #[test]
    fn of_a_long_line_a_part_is_kept_that_is_spread_over_all_of_it() {
        let waits = ToldRecord::default();
        // Given a line that grew to 100,000 while its tokens were told.
        for position in 1..=100_000 {
            waits.note(Position(position), told(60, 90), line(position), at(0));
        }
        for position in 1..=100_000 {
            waits.note(Position(position), told(60, 90), line(100_000), at(1));
        }
        let kept = waits.kept.get().unwrap();
        let positions: Vec<_> = kept.slots.iter().map(|slot| slot.position.load(Ordering::Relaxed)).collect();
        let sampled = positions.iter().filter(|at| **at > 0 && **at % stride(100_000) == 0).count();
        assert!(sampled > 250, "{sampled}");
        let far = positions.iter().filter(|at| **at > 50_000 && **at % stride(100_000) == 0).count();
        assert!((sampled * 2 / 5..=sampled * 3 / 5).contains(&far), "{far} of {sampled}");
    }

    #[test]
    fn a_slot_is_given_on_once_its_token_had_its_turn() {
        let waits = ToldRecord::default();
        waits.note(Position(1), told(60, 90), line(20), at(0));
        let slot = |position| {
            let kept = waits.kept.get().unwrap();
            std::ptr::from_ref(kept.slot(Position(position)))
        };
        let rival = (2..100_000).find(|position| slot(*position) == slot(1)).unwrap();
        waits.note(Position(rival), told(60, 90), line(20), at(0));
        waits.judge(Position(rival), at(60));
        assert_eq!(judged(&waits), [], "the first one is kept");
        waits.note(Position(rival), told(60, 90), (20, Position(1)), at(0));
        waits.judge(Position(rival), at(60));
        assert_eq!(judged(&waits).len(), 2);
    }

    #[test]
    fn tokens_that_share_a_slot_are_never_judged_by_what_another_one_was_told() {
        // Given tokens of one slot, each of which is told another wait and gets its turn after it.
        let waits = ToldRecord::default();
        waits.note(Position(1), told(10, 10), line(20), at(0));
        let slot = |position| std::ptr::from_ref(waits.kept.get().unwrap().slot(Position(position)));
        let mut rivals: Vec<i64> = Vec::new();
        for position in (1..100_000).filter(|position| slot(*position) == slot(1)) {
            if rivals.iter().all(|rival| tag(Position(*rival)) != tag(Position(position))) {
                rivals.push(position);
            }
        }
        assert!(rivals.len() > 40, "{rivals:?}");
        waits.forget(Position(1));
        // When several threads tell them at once, and all have passed the cursor, so that each gives its slot on.
        std::thread::scope(|scope| {
            for thread in 0..4_usize {
                let (waits, rivals) = (&waits, &rivals);
                scope.spawn(move || {
                    for round in 0..100_000_usize {
                        let index = (round * (2 * thread + 1) + thread) % rivals.len();
                        let (position, wait) = (Position(rivals[index]), 10 + i64::try_from(index).unwrap());
                        waits.note(position, told(wait, wait), (20, Position(i64::MAX)), at(0));
                        waits.judge(position, at(wait));
                    }
                });
            }
        });
        let tallies = &waits.kept.get().unwrap().tallies;
        let wrong: u32 =
            tallies.iter().flat_map(|tally| &tally.errors[1..]).map(|one| one.load(Ordering::Relaxed)).sum();
        assert_eq!(wrong, 0);
        assert!(waits.tallies()[0].judged > 1_000);
    }
}
