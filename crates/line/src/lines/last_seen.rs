//! When each token in a line was last seen, whether its client went away then, and whether only this instance knows: four
//! bytes a position, written and read without a lock.

use crate::slots::{SlotReader, Slots};
use frontrow_domain::{
    id::Position,
    line::Silence,
    outage::Outages,
    policy::{AWAY_GRACE, Policy},
    time::Time,
};
use std::sync::atomic::Ordering;

const MICROS_PER_SECOND: i64 = 1_000_000;
/// The seconds of slots count from 2020, and last until 2054.
const FIRST_SECOND: i64 = 1_577_836_800;
/// The lowest bit of a slot: this instance saw the token, and has not published it since.
const UNPUBLISHED: u32 = 1;
/// The bit above it: the token's client went away then. Of two moments the later stands, so a sign of life takes it back.
const AWAY: u32 = 2;
/// How many bits stand below the seconds.
const MARKS: u32 = 2;

/// Four times the whole seconds, [`AWAY`] and [`UNPUBLISHED`], by position; chunks without a waiting token are dropped.
#[derive(Debug, Default)]
pub(crate) struct LastSeen {
    slots: Slots,
    /// When the line was read from its rows: what was known of its tokens then has been put off by earlier outages.
    read_at: Time,
}

/// A token that this instance saw, and what its slot said then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) position: Position,
    slot: u32,
}

/// The last sign of life of a token's client, to be carried to the position where the token goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarriedSign {
    to: Position,
    slot: u32,
}

impl Sighting {
    /// Whether the token's client went away then.
    pub(crate) const fn is_parting(self) -> bool {
        self.slot & AWAY != 0
    }

    /// How many whole seconds before `now` it was.
    pub(crate) fn age_seconds(self, now: Time) -> u32 {
        (slot_at(now) >> MARKS).saturating_sub(self.slot >> MARKS)
    }
}

/// The moments that tell unresponsive tokens from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeardSince {
    /// A token is unresponsive if it was not heard of since then,
    pub unheard: Time,
    /// or if its client went away before then, and was not heard of since.
    pub away: Time,
}

impl HeardSince {
    /// Those of a line at `now`.
    #[must_use]
    pub const fn at(now: Time, policy: &Policy) -> Self {
        Self { unheard: now.minus(policy.dormant_after), away: now.minus(AWAY_GRACE) }
    }

    /// The same moment for all tokens, whether their clients went away or not.
    #[must_use]
    pub const fn any(since: Time) -> Self {
        Self { unheard: since, away: since }
    }
}

/// The times, to be compared with one moment.
pub(super) struct LastSeenReader {
    slots: SlotReader,
    unheard: u32,
    away: u32,
}

/// The slot of a token that was last seen at this moment, and published.
fn slot_at(at: Time) -> u32 {
    let seconds = at.micros().div_euclid(MICROS_PER_SECOND) - FIRST_SECOND;
    u32::try_from(seconds.clamp(0, i64::from(u32::MAX >> MARKS))).unwrap_or(0) << MARKS
}

fn time_of(slot: u32) -> Time {
    Time::from_micros((FIRST_SECOND + i64::from(slot >> MARKS)) * MICROS_PER_SECOND)
}

impl LastSeen {
    /// Slots for these positions, ascending, all seen at `now`.
    pub(crate) fn seen_at(places: &[Position], now: Time) -> Self {
        Self { slots: Slots::with_value(places, slot_at(now)), read_at: now }
    }

    /// Notes that nothing is heard of these tokens until they are seen again; nothing of those without a slot.
    pub(crate) fn silence(&self, positions: &[Position]) {
        let slots = self.slots.read();
        for slot in positions.iter().filter_map(|position| slots.slot(*position)) {
            slot.store(0, Ordering::Relaxed);
        }
    }

    /// Takes over when these tokens were last seen in the line `before`, unless they were seen since this one was read.
    /// The time in which the box office was down makes no token silent: nothing could be heard of it then.
    pub(super) fn keep(&self, before: &Self, positions: impl Iterator<Item = Position>, outages: &Outages) {
        let (slots, old_slots) = (self.slots.read(), before.slots.read());
        let just_read = slot_at(self.read_at);
        let later = outages.iter().filter(|outage| outage.to > before.read_at).copied();
        let later = Outages::new(later.collect());
        for position in positions {
            if let (Some(slot), Some(old)) = (slots.slot(position), old_slots.slot(position)) {
                let old = old.load(Ordering::Relaxed);
                let at = time_of(old);
                let down = later.down_between(at.max(before.read_at), self.read_at);
                let put_off = slot_at(at.plus(down)) | old & (AWAY | UNPUBLISHED);
                let _ = slot.compare_exchange(just_read, put_off, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
    }

    /// Notes that a token began to wait, and makes its slot if there is none.
    pub(super) fn cover(&self, position: Position, now: Time) {
        self.slots.cover(position);
        self.record_known(std::iter::once(position), now);
    }

    /// Notes that this instance saw a token. One store; nothing if it has no slot.
    pub(super) fn note(&self, position: Position, now: Time) {
        if let Some(slot) = self.slots.read().slot(position) {
            slot.store(slot_at(now) | UNPUBLISHED, Ordering::Relaxed);
        }
    }

    /// Notes that the client of a token told this instance that it goes away. One store; nothing if it has no slot.
    pub(super) fn note_parting(&self, position: Position, now: Time) {
        if let Some(slot) = self.slots.read().slot(position) {
            slot.store(slot_at(now) | AWAY | UNPUBLISHED, Ordering::Relaxed);
        }
    }

    /// Notes that the clients of tokens went away at a moment that may be before the last time, as all instances know.
    pub(super) fn record_known_partings(&self, positions: impl Iterator<Item = Position>, at: Time) {
        self.record(positions, slot_at(at) | AWAY);
    }

    /// Notes that tokens were seen at a moment that may be before the last time, as all instances know.
    pub(super) fn record_known(&self, positions: impl Iterator<Item = Position>, at: Time) {
        self.record(positions, slot_at(at));
    }

    fn record(&self, positions: impl Iterator<Item = Position>, seen: u32) {
        let slots = self.slots.read();
        for slot in positions.filter_map(|position| slots.slot(position)) {
            slot.fetch_max(seen, Ordering::Relaxed);
        }
    }

    /// Of these positions, those whose tokens this instance saw since `since` and has not published.
    pub(super) fn unpublished(&self, positions: impl Iterator<Item = Position>, since: Time) -> Vec<Sighting> {
        let (slots, since) = (self.slots.read(), slot_at(since));
        let sighting = |position| {
            let seen = slots.slot(position)?.load(Ordering::Relaxed);
            (seen & UNPUBLISHED != 0 && seen >= since).then_some(Sighting { position, slot: seen })
        };
        positions.filter_map(sighting).collect()
    }

    /// Notes that these tokens were published as seen. One that was seen again meanwhile is still to be published.
    pub(super) fn mark_published(&self, published: &[Sighting]) {
        let slots = self.slots.read();
        for Sighting { position, slot: seen } in published {
            if let Some(slot) = slots.slot(*position) {
                let _ = slot.compare_exchange(*seen, seen & !UNPUBLISHED, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
    }

    /// Takes over which tokens `before` saw since `since` and did not publish. Whose client had gone away is forgotten: a sign of life elsewhere may have been missed.
    pub(crate) fn keep_unpublished_of(&self, before: &Self, since: Time) {
        let (slots, old_slots, since) = (self.slots.read(), before.slots.read(), slot_at(since));
        for (slot, old) in slots.beside(&old_slots) {
            let old = old.load(Ordering::Relaxed);
            if old & (UNPUBLISHED | AWAY) == UNPUBLISHED && old >= since {
                slot.fetch_or(UNPUBLISHED, Ordering::Relaxed);
            }
        }
    }

    /// What is known of the clients of these tokens, each with the position where the token goes on.
    pub(super) fn signs(&self, moves: impl Iterator<Item = (Position, Position)>) -> Vec<CarriedSign> {
        let slots = self.slots.read();
        let sign = |(from, to)| {
            let slot = slots.slot(from)?.load(Ordering::Relaxed);
            Some(CarriedSign { to, slot: slot & !UNPUBLISHED })
        };
        moves.filter_map(sign).collect()
    }

    /// Notes what was known of tokens at the positions where they go on, unless this instance has seen them there.
    pub(super) fn carry_over(&self, signs: &[CarriedSign]) {
        let slots = self.slots.read();
        for CarriedSign { to, slot: sign } in signs {
            if let Some(slot) = slots.slot(*to) {
                let unseen = |seen| (seen & UNPUBLISHED == 0).then_some(*sign);
                let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, unseen);
            }
        }
    }

    /// Drops the chunks that the cursor has passed on its way from `before` to `cursor`, but for those of `returned`,
    /// which is ascending.
    pub(super) fn drop_passed(&self, before: Position, cursor: Position, returned: &[Position]) {
        self.slots.drop_passed(before, cursor, returned);
    }

    /// Compares the times with `since`, to the second.
    pub(super) fn reader(&self, since: HeardSince) -> LastSeenReader {
        LastSeenReader { slots: self.slots.read(), unheard: slot_at(since.unheard), away: slot_at(since.away) }
    }
}

impl LastSeenReader {
    /// Why the token is unresponsive; none if it is not. One without a slot is not called unresponsive.
    pub(super) fn silence(&self, position: Position) -> Option<Silence> {
        let seen = self.slots.slot(position)?.load(Ordering::Relaxed);
        if seen & AWAY != 0 && seen < self.away {
            Some(Silence::Away)
        } else {
            (seen < self.unheard).then_some(Silence::Unheard)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::{outage::Outage, time::Span};

    fn at(seconds: i64) -> Time {
        Time::from_micros((FIRST_SECOND + seconds) * MICROS_PER_SECOND)
    }

    const FAR: Position = Position(3 * 16_384 + 5);

    #[test]
    fn a_seen_token_is_responsive_until_later() {
        let last_seen = LastSeen::default();
        last_seen.cover(FAR, at(10));
        assert!(last_seen.reader(HeardSince::any(at(10))).silence(FAR).is_none());
        assert!(last_seen.reader(HeardSince::any(at(11))).silence(FAR).is_some());
        last_seen.note(FAR, at(11));
        last_seen.record_known(std::iter::once(FAR), at(9));
        assert!(last_seen.reader(HeardSince::any(at(11))).silence(FAR).is_none());
    }

    #[test]
    fn what_this_instance_saw_is_published_once() {
        let last_seen = LastSeen::default();
        last_seen.cover(Position(7), at(10));
        last_seen.cover(FAR, at(10));
        let sightings = |since| last_seen.unpublished([Position(7), Position(8), FAR].into_iter(), at(since));
        let unpublished = |since| sightings(since).iter().map(|seen| seen.position).collect::<Vec<_>>();
        assert_eq!(unpublished(0), [], "all instances know that they began to wait");
        last_seen.note(Position(7), at(20));
        last_seen.note(FAR, at(30));
        assert_eq!(unpublished(20), [Position(7), FAR]);
        assert_eq!(unpublished(21), [FAR], "an old one is not taken for a new one");
        last_seen.mark_published(&sightings(21));
        assert_eq!(unpublished(20), [Position(7)]);
        assert!(last_seen.reader(HeardSince::any(at(30))).silence(FAR).is_none());
        last_seen.record_known(std::iter::once(Position(7)), at(25));
        assert_eq!(unpublished(20), [], "all instances know of a later time");
        last_seen.note(FAR, at(31));
        last_seen.record_known(std::iter::once(FAR), at(30));
        assert_eq!(unpublished(20), [FAR]);
    }

    #[test]
    fn what_is_known_of_an_entry_goes_on_at_its_drawn_place() {
        let last_seen = LastSeen::default();
        for position in 1..=3 {
            last_seen.cover(Position(position), at(10));
        }
        last_seen.note(Position(2), at(50));
        last_seen.note_parting(Position(3), at(60));
        let moves = (1..=3).map(|entry| (Position(entry), Position(10 + entry)));
        let signs = last_seen.signs(moves.chain([(FAR, Position(14))]));
        // The order is drawn, so each token begins to wait at its place.
        for position in 11..=14 {
            last_seen.cover(Position(position), at(70));
        }
        last_seen.note(Position(12), at(71));
        last_seen.carry_over(&signs);
        let silence = |position, unheard, away| {
            last_seen.reader(HeardSince { unheard: at(unheard), away: at(away) }).silence(Position(position))
        };
        assert_eq!(silence(11, 11, 0), Some(Silence::Unheard));
        assert_eq!(silence(12, 71, 0), None, "it was seen at its new place");
        assert_eq!((silence(13, 60, 60), silence(13, 60, 61)), (None, Some(Silence::Away)));
        assert_eq!(silence(14, 70, 0), None, "nothing is known of an entry without a slot: it counts as just seen");
    }

    #[test]
    fn a_token_that_polls_while_its_last_poll_is_published_is_published_again() {
        let last_seen = LastSeen::default();
        last_seen.cover(FAR, at(10));
        last_seen.note(FAR, at(20));
        let published = last_seen.unpublished(std::iter::once(FAR), at(0));
        last_seen.note(FAR, at(21));
        last_seen.mark_published(&published);
        assert_eq!(last_seen.unpublished(std::iter::once(FAR), at(0)).len(), 1);
    }

    #[test]
    fn a_rebuilt_line_knows_what_was_not_published() {
        let places = [Position(1), Position(2), FAR];
        let before = LastSeen::seen_at(&places, at(10));
        before.note(Position(1), at(20));
        before.note(FAR, at(40));
        let rebuilt = LastSeen::seen_at(&places, at(50));
        rebuilt.keep_unpublished_of(&before, at(30));
        let unpublished = rebuilt.unpublished(places.into_iter(), at(30));
        assert_eq!(unpublished.iter().map(|seen| seen.position).collect::<Vec<_>>(), [FAR], "the other is long ago");
        assert!(rebuilt.reader(HeardSince::any(at(50))).silence(Position(1)).is_none());
    }

    #[test]
    fn a_line_that_is_read_again_knows_which_tokens_were_silent_and_counts_no_time_in_which_nothing_was_heard() {
        let places = [1, 2, 3, 4, 5, 6].map(Position);
        let before = LastSeen::seen_at(&places, at(100));
        before.note(Position(2), at(160));
        before.note_parting(Position(3), at(160));
        before.silence(&[Position(4)]);
        let down = Outage { from: at(170), to: at(400), grace: Span::from_secs(230) };
        let again = LastSeen::seen_at(&places, at(405));
        again.keep(&before, places[..4].iter().copied(), &Outages::new(vec![down]));
        // Read a second time, without another outage.
        let before = again;
        let again = LastSeen::seen_at(&places, at(410));
        again.note(Position(6), at(410));
        again.keep(&before, places.into_iter(), &Outages::new(vec![down]));
        let silence =
            |position, now| again.reader(HeardSince::at(at(now), &Policy::default())).silence(Position(position));
        assert_eq!((silence(1, 420), silence(1, 421)), (None, Some(Silence::Unheard)), "heard of 70 seconds before");
        assert_eq!((silence(2, 480), silence(2, 481)), (None, Some(Silence::Unheard)), "10 seconds before");
        assert_eq!((silence(3, 405), silence(3, 406)), (None, Some(Silence::Away)), "it had gone away");
        assert_eq!(silence(4, 410), Some(Silence::Unheard));
        assert_eq!(
            (silence(5, 495), silence(5, 496)),
            (None, Some(Silence::Unheard)),
            "it was new at the first reading"
        );
        assert_eq!((silence(6, 500), silence(6, 501)), (None, Some(Silence::Unheard)), "it was seen meanwhile");
    }

    #[test]
    fn every_loaded_token_counts_as_just_seen() {
        let places = [Position(20_001), Position(40_000), FAR];
        let last_seen = LastSeen::seen_at(&places, at(10));
        for position in places {
            assert!(last_seen.reader(HeardSince::any(at(10))).silence(position).is_none());
            assert!(last_seen.reader(HeardSince::any(at(11))).silence(position).is_some());
        }
        assert!(!last_seen.slots.read().chunks()[0], "no token waits there");
    }

    #[test]
    fn passed_chunks_are_dropped_unless_a_token_waits_there() {
        let last_seen = LastSeen::seen_at(&[Position(1), Position(20_000), Position(40_000), FAR], at(10));
        last_seen.drop_passed(Position(0), FAR, &[Position(20_000)]);
        assert_eq!(last_seen.slots.read().chunks(), [false, true, false, true]);
    }

    #[test]
    fn a_token_whose_client_went_away_is_unresponsive_after_the_grace_and_present_with_the_next_sign_of_life() {
        let (last_seen, policy) = (LastSeen::default(), Policy::default());
        let silence = |now| last_seen.reader(HeardSince::at(at(now), &policy)).silence(FAR);
        last_seen.cover(FAR, at(100));
        last_seen.note_parting(FAR, at(110));
        assert_eq!((silence(110), silence(125), silence(126)), (None, None, Some(Silence::Away)));
        last_seen.note(FAR, at(130));
        assert_eq!((silence(130), silence(220), silence(221)), (None, None, Some(Silence::Unheard)));
    }

    #[test]
    fn of_a_parting_and_a_sign_of_life_at_two_instances_the_later_stands() {
        let (last_seen, policy) = (LastSeen::default(), Policy::default());
        let silence = |now| last_seen.reader(HeardSince::at(at(now), &policy)).silence(FAR);
        last_seen.cover(FAR, at(100));
        last_seen.note(FAR, at(112));
        last_seen.record_known_partings(std::iter::once(FAR), at(110));
        assert_eq!(silence(150), None, "it was heard of after that");
        last_seen.record_known_partings(std::iter::once(FAR), at(113));
        assert_eq!(silence(150), Some(Silence::Away));
        last_seen.record_known(std::iter::once(FAR), at(112));
        assert_eq!(silence(150), Some(Silence::Away), "what is published late is older");
        last_seen.record_known(std::iter::once(FAR), at(114));
        assert_eq!(silence(150), None);
    }

    #[test]
    fn a_parting_is_published_as_one_with_its_age_and_forgotten_by_a_rebuild() {
        let last_seen = LastSeen::default();
        last_seen.cover(FAR, at(100));
        last_seen.note_parting(FAR, at(110));
        let published = last_seen.unpublished(std::iter::once(FAR), at(100));
        assert_eq!(
            published.iter().map(|seen| (seen.is_parting(), seen.age_seconds(at(113)))).collect::<Vec<_>>(),
            [(true, 3)]
        );
        let rebuilt = LastSeen::seen_at(&[FAR], at(120));
        rebuilt.keep_unpublished_of(&last_seen, at(100));
        let policy = Policy::default();
        assert_eq!(rebuilt.reader(HeardSince::at(at(140), &policy)).silence(FAR), None);
        assert_eq!(rebuilt.unpublished(std::iter::once(FAR), at(100)), []);
        last_seen.mark_published(&published);
        assert_eq!(last_seen.unpublished(std::iter::once(FAR), at(100)), []);
    }

    #[test]
    fn a_token_without_a_slot_is_not_unresponsive() {
        let last_seen = LastSeen::default();
        last_seen.note(FAR, at(10));
        assert!(last_seen.reader(HeardSince::any(at(20))).silence(FAR).is_none());
    }
}
