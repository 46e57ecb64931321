//! When each token in a line was last seen, and whether only this instance knows: four bytes a position, written and
//! read without a lock.

use arc_swap::{ArcSwap, Guard};
use frontrow_domain::{id::Position, time::Time};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// Positions in a chunk: 64 KiB.
const CHUNK: usize = 16_384;
const MICROS_PER_SECOND: i64 = 1_000_000;
/// The seconds of slots count from 2020, and last until 2088.
const FIRST_SECOND: i64 = 1_577_836_800;
/// The lowest bit of a slot: this instance saw the token, and has not published it since.
const UNPUBLISHED: u32 = 1;

type Chunks = Vec<Option<Arc<[AtomicU32]>>>;

/// Twice the whole seconds, and [`UNPUBLISHED`], by position; chunks without a waiting token are dropped.
#[derive(Debug, Default)]
pub(crate) struct LastSeen {
    chunks: ArcSwap<Chunks>,
}

/// A token that this instance saw, and what its slot said then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) position: Position,
    slot: u32,
}

/// The times, to be compared with one moment.
pub(super) struct LastSeenReader {
    chunks: Guard<Arc<Chunks>>,
    since: u32,
}

/// The slot of a token that was last seen at this moment, and published.
fn slot_at(at: Time) -> u32 {
    let seconds = at.micros().div_euclid(MICROS_PER_SECOND) - FIRST_SECOND;
    u32::try_from(seconds.clamp(0, i64::from(u32::MAX >> 1))).unwrap_or(0) << 1
}

fn index(position: Position) -> usize {
    usize::try_from(position.0).unwrap_or(0)
}

fn chunk_of(slot: u32) -> Arc<[AtomicU32]> {
    std::iter::repeat_with(|| AtomicU32::new(slot)).take(CHUNK).collect()
}

fn slot(chunks: &Chunks, position: Position) -> Option<&AtomicU32> {
    let at = index(position);
    chunks.get(at / CHUNK)?.as_ref()?.get(at % CHUNK)
}

impl LastSeen {
    /// Slots for these positions, ascending, all seen at `now`.
    pub(crate) fn seen_at(places: &[Position], now: Time) -> Self {
        let mut chunks = Chunks::new();
        for places in places.chunk_by(|one, other| index(*one) / CHUNK == index(*other) / CHUNK) {
            let at = index(places[0]) / CHUNK;
            chunks.resize(chunks.len().max(at + 1), None);
            chunks[at] = Some(chunk_of(slot_at(now)));
        }
        Self { chunks: ArcSwap::from_pointee(chunks) }
    }

    /// Notes that a token began to wait, and makes its slot if there is none. For the writer alone.
    pub(super) fn cover(&self, position: Position, now: Time) {
        let at = index(position) / CHUNK;
        if self.chunks.load().get(at).is_none_or(Option::is_none) {
            let mut chunks = Chunks::clone(&self.chunks.load());
            chunks.resize(chunks.len().max(at + 1), None);
            chunks[at] = Some(chunk_of(0));
            self.chunks.store(Arc::new(chunks));
        }
        self.record_known(std::iter::once(position), now);
    }

    /// Notes that this instance saw a token. One store; nothing if it has no slot.
    pub(super) fn note(&self, position: Position, now: Time) {
        if let Some(slot) = slot(&self.chunks.load(), position) {
            slot.store(slot_at(now) | UNPUBLISHED, Ordering::Relaxed);
        }
    }

    /// Notes that tokens were seen at a moment that may be before the last time, as all instances know.
    pub(super) fn record_known(&self, positions: impl Iterator<Item = Position>, at: Time) {
        let (chunks, seen) = (self.chunks.load(), slot_at(at));
        for slot in positions.filter_map(|position| slot(&chunks, position)) {
            slot.fetch_max(seen, Ordering::Relaxed);
        }
    }

    /// Of these positions, those whose tokens this instance saw since `since` and has not published.
    pub(super) fn unpublished(&self, positions: impl Iterator<Item = Position>, since: Time) -> Vec<Sighting> {
        let (chunks, since) = (self.chunks.load(), slot_at(since));
        let sighting = |position| {
            let seen = slot(&chunks, position)?.load(Ordering::Relaxed);
            (seen & UNPUBLISHED != 0 && seen >= since).then_some(Sighting { position, slot: seen })
        };
        positions.filter_map(sighting).collect()
    }

    /// Notes that these tokens were published as seen. One that was seen again meanwhile is still to be published.
    pub(super) fn mark_published(&self, published: &[Sighting]) {
        let chunks = self.chunks.load();
        for Sighting { position, slot: seen } in published {
            if let Some(slot) = slot(&chunks, *position) {
                let _ = slot.compare_exchange(*seen, seen & !UNPUBLISHED, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
    }

    /// Takes over which tokens `before` saw since `since` and did not publish.
    pub(crate) fn keep_unpublished_of(&self, before: &Self, since: Time) {
        let (chunks, old_chunks, since) = (self.chunks.load(), before.chunks.load(), slot_at(since));
        for (chunk, old_chunk) in chunks.iter().zip(old_chunks.iter()) {
            let (Some(chunk), Some(old_chunk)) = (chunk, old_chunk) else { continue };
            for (slot, old) in chunk.iter().zip(old_chunk.iter()) {
                let old = old.load(Ordering::Relaxed);
                if old & UNPUBLISHED != 0 && old >= since {
                    slot.fetch_or(UNPUBLISHED, Ordering::Relaxed);
                }
            }
        }
    }

    /// Drops the chunks that the cursor has passed on its way from `before` to `cursor`, but for those of `returned`,
    /// which is ascending. For the writer alone.
    pub(super) fn drop_passed(&self, before: Position, cursor: Position, returned: &[Position]) {
        let passed = (index(cursor) + 1) / CHUNK;
        if passed == (index(before) + 1) / CHUNK {
            return;
        }
        let mut chunks = Chunks::clone(&self.chunks.load());
        for (at, chunk) in chunks.iter_mut().enumerate().take(passed) {
            let next = returned.partition_point(|position| index(*position) < at * CHUNK);
            if returned.get(next).is_none_or(|position| index(*position) >= (at + 1) * CHUNK) {
                *chunk = None;
            }
        }
        self.chunks.store(Arc::new(chunks));
    }

    /// Compares the times with `since`, to the second.
    pub(super) fn reader(&self, since: Time) -> LastSeenReader {
        LastSeenReader { chunks: self.chunks.load(), since: slot_at(since) }
    }
}

impl LastSeenReader {
    /// Whether the token was seen. One without a slot is not called unresponsive.
    pub(super) fn is_responsive(&self, position: Position) -> bool {
        slot(&self.chunks, position).is_none_or(|slot| slot.load(Ordering::Relaxed) >= self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_micros((FIRST_SECOND + seconds) * MICROS_PER_SECOND)
    }

    const FAR: Position = Position(3 * 16_384 + 5);

    #[test]
    fn a_seen_token_is_responsive_until_later() {
        let last_seen = LastSeen::default();
        last_seen.cover(FAR, at(10));
        assert!(last_seen.reader(at(10)).is_responsive(FAR));
        assert!(!last_seen.reader(at(11)).is_responsive(FAR));
        last_seen.note(FAR, at(11));
        last_seen.record_known(std::iter::once(FAR), at(9));
        assert!(last_seen.reader(at(11)).is_responsive(FAR));
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
        assert!(last_seen.reader(at(30)).is_responsive(FAR));
        last_seen.record_known(std::iter::once(Position(7)), at(25));
        assert_eq!(unpublished(20), [], "all instances know of a later time");
        last_seen.note(FAR, at(31));
        last_seen.record_known(std::iter::once(FAR), at(30));
        assert_eq!(unpublished(20), [FAR]);
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
        assert!(rebuilt.reader(at(50)).is_responsive(Position(1)));
    }

    #[test]
    fn every_loaded_token_counts_as_just_seen() {
        let places = [Position(20_001), Position(40_000), FAR];
        let last_seen = LastSeen::seen_at(&places, at(10));
        for position in places {
            assert!(last_seen.reader(at(10)).is_responsive(position));
            assert!(!last_seen.reader(at(11)).is_responsive(position));
        }
        assert!(last_seen.chunks.load()[0].is_none(), "no token waits there");
    }

    #[test]
    fn passed_chunks_are_dropped_unless_a_token_waits_there() {
        let last_seen = LastSeen::seen_at(&[Position(1), Position(20_000), Position(40_000), FAR], at(10));
        last_seen.drop_passed(Position(0), FAR, &[Position(20_000)]);
        let kept: Vec<_> = last_seen.chunks.load().iter().map(Option::is_some).collect();
        assert_eq!(kept, [false, true, false, true]);
    }

    #[test]
    fn a_token_without_a_slot_is_not_unresponsive() {
        let last_seen = LastSeen::default();
        last_seen.note(FAR, at(10));
        assert!(last_seen.reader(at(20)).is_responsive(FAR));
    }
}
