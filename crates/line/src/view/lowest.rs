//! The lowest wait that each waiting token was told, by this instance or by another one: no wait is told that is much
//! longer, unless the room's settings have changed since.

use super::{
    Estimate, Place, Rest, RoomView,
    apply::{self, LinePace, LineSettings},
};
use crate::{positions::ByPosition, slots::Slots};
use frontrow_domain::{
    id::Position,
    line::ToldWait,
    time::{Span, Time},
};
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;

const MICROS_PER_SECOND: i64 = 1_000_000;
/// The low bits of a slot: one more than the seconds, rounded down; 0 for none. Longer waits than these, of twelve days,
/// are not kept.
const SECONDS_BITS: u32 = 20;
const SECONDS_MASK: u32 = (1 << SECONDS_BITS) - 1;

/// By which settings of the room a wait was told: a number that changes with them, and begins anew after four thousand
/// changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SettingsNumber(u32);

impl SettingsNumber {
    /// The number of the settings that follow.
    pub(super) const fn next(self) -> Self {
        Self((self.0 + 1) & (u32::MAX >> SECONDS_BITS))
    }
}

/// The lowest told waits of a line, by position. Positions that the cursor has passed are forgotten.
#[derive(Debug, Default)]
pub(super) struct LowestTold(Slots);

fn seconds_of(slot: u32, settings: SettingsNumber) -> Option<u32> {
    (slot >> SECONDS_BITS == settings.0).then_some(slot & SECONDS_MASK)?.checked_sub(1)
}

impl LowestTold {
    /// The lowest wait that the token was told by these settings. One load.
    fn get(&self, position: Position, settings: SettingsNumber) -> Option<Span> {
        let slots = self.0.read();
        let slot = slots.slot(position)?.load(Ordering::Relaxed);
        seconds_of(slot, settings).map(|seconds| Span::from_secs(seconds.into()))
    }

    /// Notes what the token was told by these settings. A load, and a store if it is the lowest.
    pub(super) fn note(&self, position: Position, told: Span, settings: SettingsNumber) {
        let seconds = told.micros().max(0) / MICROS_PER_SECOND;
        let Some(seconds) = u32::try_from(seconds).ok().filter(|seconds| *seconds < SECONDS_MASK) else { return };
        self.0.cover(position);
        let slots = self.0.read();
        let Some(slot) = slots.slot(position) else { return };
        // Of two answers at once the lower one stays.
        let lower = |slot| {
            let is_lower = seconds_of(slot, settings).is_none_or(|lowest| seconds < lowest);
            is_lower.then_some(settings.0 << SECONDS_BITS | (seconds + 1))
        };
        let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lower);
    }

    /// The lowest wait that each of these tokens was told by these settings, in whole seconds.
    fn of(
        &self,
        positions: impl Iterator<Item = Position>,
        settings: SettingsNumber,
    ) -> impl Iterator<Item = (Position, u32)> {
        let slots = self.0.read();
        positions.filter_map(move |position| {
            let slot = slots.slot(position)?.load(Ordering::Relaxed);
            seconds_of(slot, settings).map(|seconds| (position, seconds))
        })
    }

    /// Forgets the positions that the cursor has passed on its way from `before` to `cursor`, in whole chunks.
    pub(super) fn drop_passed(&self, before: Position, cursor: Position) {
        self.0.drop_passed(before, cursor, &[]);
    }
}

/// The lowest waits that tokens of a line were told, as other instances and records have them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LowestToldWaits {
    /// By these settings, and at this pace.
    settings: LineSettings,
    pace: LinePace,
    /// The waits in seconds: each as its difference from the one before.
    seconds: ByPosition,
}

impl LowestToldWaits {
    pub(super) const fn pace(&self) -> LinePace {
        self.pace
    }

    /// Whether no token was told anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.seconds.is_empty()
    }
}

impl RoomView {
    /// The lowest waits that these tokens, which are ascending, were told. Of tokens that the cursor has passed none is kept.
    pub(crate) fn lowest_told_waits(&self, positions: impl Iterator<Item = Position>) -> LowestToldWaits {
        let beyond = positions.filter(|position| *position > self.room.cursor);
        let mut before = 0;
        let seconds = self.lowest_told.of(beyond, self.settings_number).map(|(position, seconds)| {
            let change = i64::from(seconds) - before;
            before = i64::from(seconds);
            (position, change)
        });
        LowestToldWaits {
            settings: apply::settings(&self.room),
            pace: self.told_pace,
            seconds: ByPosition::of(seconds),
        }
    }

    /// Whether the line is still the one that these waits were told of.
    pub(super) fn is_told_as(&self, told: &LowestToldWaits) -> bool {
        self.is_told_by(told.settings, told.pace)
    }

    /// Notes what tokens were told by another instance, or before a restart; nothing if it was told of another line, or at
    /// another pace than what was told here: waits that go round between instances would else outlive their pace. The waits
    /// may have been lower by the time that has `passed`.
    pub(crate) fn note_lowest_told(&self, told: &LowestToldWaits, passed: Span) {
        if !self.is_told_as(told) || told.pace != self.told_pace {
            return;
        }
        let passed = passed.micros() / MICROS_PER_SECOND;
        let (cursor, tail) = (self.room.cursor, self.tail());
        let mut seconds = 0_i64;
        for (position, change) in told.seconds.iter() {
            seconds = seconds.saturating_add(change);
            if position > cursor && position <= tail {
                let lowest = Span::from_secs(seconds.saturating_sub(passed).max(0));
                self.lowest_told.note(position, lowest, self.settings_number);
            }
        }
    }

    /// The lowest wait that a token was told by the settings that hold.
    #[cfg(test)]
    pub(crate) fn lowest_told(&self, position: Position) -> Option<Span> {
        self.lowest_told.get(position, self.settings_number)
    }

    /// How long the token at `position` is told that it will wait from `now` on: the estimate, but no more than a little
    /// above the lowest wait that it was told ([`ToldWait::bounded_by`]). A token that came back is told the
    /// estimate: it does not stand where it stood.
    #[must_use]
    pub fn told_wait(&self, position: Position, place: &Place, rest: Option<Rest>, now: Time) -> Estimate {
        match self.estimated_wait(place.ahead_in_line(), rest, now) {
            Estimate::Known { p50, p90 } if position > self.room.cursor => {
                let lowest = self.lowest_told.get(position, self.settings_number);
                let ToldWait { p50, p90 } = ToldWait { p50, p90 }.bounded_by(lowest);
                Estimate::Known { p50, p90 }
            }
            estimate => estimate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    const ONE: Position = Position(1);

    fn seconds(seconds: i64) -> Span {
        Span::from_secs(seconds)
    }

    #[test]
    fn the_lowest_wait_of_each_token_is_kept_until_the_settings_change() {
        let (told, first) = (LowestTold::default(), SettingsNumber::default());
        assert_eq!(told.get(ONE, first), None);
        told.note(ONE, Span::from_millis(70_900), first);
        told.note(ONE, seconds(90), first);
        told.note(Position(40_000), Span::ZERO, first);
        assert_eq!(told.get(ONE, first), Some(seconds(70)));
        assert_eq!(told.get(Position(40_000), first), Some(Span::ZERO));
        assert_eq!(told.get(Position(2), first), None);
        let second = first.next();
        assert_eq!(told.get(ONE, second), None);
        told.note(ONE, seconds(500), second);
        assert_eq!(told.get(ONE, second), Some(seconds(500)), "after a change it may be longer");
    }

    #[test]
    fn a_wait_that_is_too_long_to_be_kept_is_not_kept() {
        let (told, settings) = (LowestTold::default(), SettingsNumber::default());
        for days in [13, 40_000] {
            told.note(ONE, seconds(days * 86_400), settings);
            assert_eq!(told.get(ONE, settings), None);
        }
        told.note(ONE, seconds(11 * 86_400), settings);
        assert_eq!(told.get(ONE, settings), Some(seconds(11 * 86_400)));
    }

    #[test]
    fn the_number_of_the_settings_begins_anew_and_is_another_each_time() {
        let mut number = SettingsNumber::default();
        for _ in 0..(1 << (32 - SECONDS_BITS)) - 1 {
            assert_ne!(number.next(), SettingsNumber::default());
            number = number.next();
        }
        assert_eq!(number.next(), SettingsNumber::default());
    }

    #[test]
    fn of_answers_at_once_the_lowest_stays() {
        let (told, settings, next) = (LowestTold::default(), SettingsNumber::default(), AtomicU32::new(400_000));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let (told, next) = (&told, &next);
                scope.spawn(move || {
                    // Given answers to one token from several threads, each lower than those that were taken before it.
                    loop {
                        let lower = next.fetch_sub(1, Ordering::Relaxed);
                        told.note(ONE, seconds(lower.into()), settings);
                        // Then no higher one that was on its way replaces it.
                        assert!(told.get(ONE, settings) <= Some(seconds(lower.into())), "of {lower}");
                        if lower <= 4 {
                            return;
                        }
                    }
                });
            }
        });
    }
}
