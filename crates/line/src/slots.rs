//! A number for each token of a line, by position: four bytes a position, read and written without a lock.

use arc_swap::{ArcSwap, Guard};
use frontrow_domain::id::Position;
use std::sync::{Arc, atomic::AtomicU32};

/// Positions in a chunk: 64 KiB.
pub(crate) const CHUNK: usize = 16_384;

type Chunks = Vec<Option<Arc<[AtomicU32]>>>;

/// The slots, in chunks; chunks that the cursor has passed are dropped.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    chunks: ArcSwap<Chunks>,
}

/// The slots as they were when they were read: a chunk that is made or dropped later is not seen.
pub(crate) struct SlotReader(Guard<Arc<Chunks>>);

fn index(position: Position) -> usize {
    usize::try_from(position.0).unwrap_or(0)
}

fn chunk_of(value: u32) -> Arc<[AtomicU32]> {
    std::iter::repeat_with(|| AtomicU32::new(value)).take(CHUNK).collect()
}

impl Slots {
    /// Slots for these positions, ascending, all with this value.
    pub(crate) fn with_value(positions: &[Position], value: u32) -> Self {
        let mut chunks = Chunks::new();
        for places in positions.chunk_by(|one, other| index(*one) / CHUNK == index(*other) / CHUNK) {
            let at = index(places[0]) / CHUNK;
            chunks.resize(chunks.len().max(at + 1), None);
            chunks[at] = Some(chunk_of(value));
        }
        Self { chunks: ArcSwap::from_pointee(chunks) }
    }

    pub(crate) fn read(&self) -> SlotReader {
        SlotReader(self.chunks.load())
    }

    /// Makes the slot of a position, with 0, if there is none. Several may make slots at once.
    pub(crate) fn cover(&self, position: Position) {
        let at = index(position) / CHUNK;
        if self.chunks.load().get(at).is_some_and(Option::is_some) {
            return;
        }
        self.chunks.rcu(|chunks| {
            let mut chunks = Chunks::clone(chunks);
            chunks.resize(chunks.len().max(at + 1), None);
            chunks[at].get_or_insert_with(|| chunk_of(0));
            chunks
        });
    }

    /// Drops the chunks that the cursor has passed on its way from `before` to `cursor`, but for those of `kept`, which
    /// is ascending.
    pub(crate) fn drop_passed(&self, before: Position, cursor: Position, kept: &[Position]) {
        let passed = (index(cursor) + 1) / CHUNK;
        if passed == (index(before) + 1) / CHUNK {
            return;
        }
        self.chunks.rcu(|chunks| {
            let mut chunks = Chunks::clone(chunks);
            for (at, chunk) in chunks.iter_mut().enumerate().take(passed) {
                let next = kept.partition_point(|position| index(*position) < at * CHUNK);
                if kept.get(next).is_none_or(|position| index(*position) >= (at + 1) * CHUNK) {
                    *chunk = None;
                }
            }
            chunks
        });
    }
}

impl SlotReader {
    /// The slot of a position, if there is one.
    pub(crate) fn slot(&self, position: Position) -> Option<&AtomicU32> {
        let at = index(position);
        self.0.get(at / CHUNK)?.as_ref()?.get(at % CHUNK)
    }

    /// The slots of the chunks that both have, each beside the other's of the same position.
    pub(crate) fn beside<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'a AtomicU32, &'a AtomicU32)> {
        let chunks = self.0.iter().zip(other.0.iter());
        let both = chunks.filter_map(|(one, other)| Some((one.as_ref()?, other.as_ref()?)));
        both.flat_map(|(one, other)| one.iter().zip(other.iter()))
    }

    /// Which chunks there are.
    #[cfg(test)]
    pub(crate) fn chunks(&self) -> Vec<bool> {
        self.0.iter().map(Option::is_some).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    const FAR: Position = Position(3 * 16_384 + 5);

    #[test]
    fn a_slot_that_is_made_again_keeps_its_value() {
        let slots = Slots::default();
        assert!(slots.read().slot(FAR).is_none());
        slots.cover(FAR);
        slots.read().slot(FAR).unwrap().store(7, Ordering::Relaxed);
        slots.cover(Position(FAR.0 + 1));
        slots.cover(Position(1));
        assert_eq!(slots.read().slot(FAR).unwrap().load(Ordering::Relaxed), 7);
        assert_eq!(slots.read().chunks(), [true, false, false, true]);
    }

    #[test]
    fn passed_chunks_are_dropped_unless_a_kept_position_is_there() {
        let slots = Slots::with_value(&[Position(1), Position(20_000), Position(40_000), FAR], 1);
        slots.drop_passed(Position(0), Position(16_000), &[]);
        assert_eq!(slots.read().chunks(), [true; 4]);
        slots.drop_passed(Position(16_000), FAR, &[Position(20_000)]);
        assert_eq!(slots.read().chunks(), [false, true, false, true]);
    }

    #[test]
    fn slots_that_many_make_at_once_are_all_there() {
        let slots = Slots::default();
        std::thread::scope(|scope| {
            for number in 0..4 {
                let slots = &slots;
                scope.spawn(move || {
                    for chunk in 0..16 {
                        let position = Position(chunk * 16_384 + number);
                        slots.cover(position);
                        slots.read().slot(position).unwrap().store(1, Ordering::Relaxed);
                    }
                });
            }
        });
        let reader = slots.read();
        for position in (0..16).flat_map(|chunk| (0..4).map(move |number| Position(chunk * 16_384 + number))) {
            assert_eq!(reader.slot(position).unwrap().load(Ordering::Relaxed), 1, "{position:?}");
        }
    }
}
