//! When each token in a line was last seen: four bytes a position, written and read without a lock.

use arc_swap::{ArcSwap, Guard};
use frontrow_domain::{id::Position, time::Time};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// Positions in a chunk: 64 KiB.
const CHUNK: usize = 16_384;
const MICROS_PER_SECOND: i64 = 1_000_000;

type Chunks = Vec<Option<Arc<[AtomicU32]>>>;

/// Whole seconds since the epoch, by position; chunks without a waiting token are not kept.
#[derive(Debug, Default)]
pub(crate) struct LastSeen {
    chunks: ArcSwap<Chunks>,
}

/// The times, to be compared with one moment.
pub(super) struct Reader {
    chunks: Guard<Arc<Chunks>>,
    since_seconds: u32,
}

fn seconds(at: Time) -> u32 {
    u32::try_from(at.micros() / MICROS_PER_SECOND).unwrap_or(u32::MAX)
}

fn index(position: Position) -> usize {
    usize::try_from(position.0).unwrap_or(0)
}

fn chunk_of(seconds: u32) -> Arc<[AtomicU32]> {
    std::iter::repeat_with(|| AtomicU32::new(seconds)).take(CHUNK).collect()
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
            chunks[at] = Some(chunk_of(seconds(now)));
        }
        Self { chunks: ArcSwap::from_pointee(chunks) }
    }

    /// Notes that a token was seen, and makes its slot if there is none. For the writer alone.
    pub(super) fn cover(&self, position: Position, now: Time) {
        let at = index(position) / CHUNK;
        if self.chunks.load().get(at).is_none_or(Option::is_none) {
            let mut chunks = Chunks::clone(&self.chunks.load());
            chunks.resize(chunks.len().max(at + 1), None);
            chunks[at] = Some(chunk_of(0));
            self.chunks.store(Arc::new(chunks));
        }
        self.note(position, now);
    }

    /// Notes that a token was seen. One store; nothing if it has no slot.
    pub(super) fn note(&self, position: Position, now: Time) {
        if let Some(slot) = slot(&self.chunks.load(), position) {
            slot.store(seconds(now), Ordering::Relaxed);
        }
    }

    /// Notes that a token was seen at a moment that may be before the last time.
    pub(super) fn record_at(&self, position: Position, at: Time) {
        if let Some(slot) = slot(&self.chunks.load(), position) {
            slot.fetch_max(seconds(at), Ordering::Relaxed);
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
    pub(super) fn reader(&self, since: Time) -> Reader {
        Reader { chunks: self.chunks.load(), since_seconds: seconds(since) }
    }
}

impl Reader {
    /// Whether the token was seen. One without a slot is not called unresponsive.
    pub(super) fn is_responsive(&self, position: Position) -> bool {
        slot(&self.chunks, position).is_none_or(|slot| slot.load(Ordering::Relaxed) >= self.since_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_micros(seconds * MICROS_PER_SECOND)
    }

    const FAR: Position = Position(3 * 16_384 + 5);

    #[test]
    fn a_seen_token_is_responsive_until_later() {
        let last_seen = LastSeen::default();
        last_seen.cover(FAR, at(10));
        assert!(last_seen.reader(at(10)).is_responsive(FAR));
        assert!(!last_seen.reader(at(11)).is_responsive(FAR));
        last_seen.note(FAR, at(11));
        last_seen.record_at(FAR, at(9));
        assert!(last_seen.reader(at(11)).is_responsive(FAR));
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
