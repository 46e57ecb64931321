//! A bit for each position near the head that was seen since the last publication.

use super::{CHUNK, chunk_of};
use arc_swap::ArcSwap;
use frontrow_domain::id::{Position, RoomId};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

const BITS: i64 = 64;

/// The bits of a line, by chunk.
type Chunks = HashMap<i64, Arc<[AtomicU64]>>;

/// Heartbeats by room. Noting takes no lock; everything else is for one task.
#[derive(Debug, Default)]
pub(super) struct Beats {
    rooms: ArcSwap<HashMap<RoomId, Arc<Chunks>>>,
}

fn bit_of(chunks: &Chunks, position: Position) -> Option<(&AtomicU64, u64)> {
    let place = position.0.rem_euclid(CHUNK);
    let word = chunks.get(&chunk_of(position))?.get(usize::try_from(place / BITS).ok()?)?;
    // Redis calls the highest bit of a byte the first.
    Some((word, 1 << (BITS - 1 - place % BITS)))
}

fn empty_chunk() -> Arc<[AtomicU64]> {
    (0..CHUNK / BITS).map(|_| AtomicU64::new(0)).collect()
}

impl Beats {
    /// Notes a position, if its chunk is kept.
    pub(super) fn note(&self, room: RoomId, position: Position) {
        if let Some(chunks) = self.rooms.load().get(&room)
            && let Some((word, bit)) = bit_of(chunks, position)
            && word.load(Ordering::Relaxed) & bit == 0
        {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Keeps these chunks from now on, and no others.
    pub(super) fn cover(&self, room: RoomId, wanted: &BTreeSet<i64>) {
        let old = self.rooms.load().get(&room).map(Arc::clone).unwrap_or_default();
        if old.len() == wanted.len() && wanted.iter().all(|chunk| old.contains_key(chunk)) {
            return;
        }
        let kept = |chunk: &i64| (*chunk, old.get(chunk).map_or_else(empty_chunk, Arc::clone));
        let chunks: Arc<Chunks> = Arc::new(wanted.iter().map(kept).collect());
        self.rooms.rcu(|rooms| {
            let mut rooms = HashMap::clone(rooms);
            rooms.insert(room, Arc::clone(&chunks));
            rooms
        });
    }

    /// Keeps these rooms, and no others.
    pub(super) fn keep_only(&self, is_stored: impl Fn(&RoomId) -> bool) {
        if self.rooms.load().keys().all(&is_stored) {
            return;
        }
        self.rooms.rcu(|rooms| {
            let kept = rooms.iter().filter(|(room, _)| is_stored(room));
            kept.map(|(room, chunks)| (*room, Arc::clone(chunks))).collect::<HashMap<_, _>>()
        });
    }

    /// Takes the noted bits, by chunk, without chunks that have none.
    pub(super) fn take(&self, room: RoomId) -> Vec<(i64, Vec<u8>)> {
        let Some(chunks) = self.rooms.load().get(&room).map(Arc::clone) else { return Vec::new() };
        let take = |words: &Arc<[AtomicU64]>| -> Vec<u8> {
            words.iter().flat_map(|word| word.swap(0, Ordering::Relaxed).to_be_bytes()).collect()
        };
        let told = chunks.iter().map(|(chunk, words)| (*chunk, take(words)));
        told.filter(|(_, bits)| bits.iter().any(|byte| *byte != 0)).collect()
    }

    /// Puts back bits that could not be published.
    pub(super) fn put_back(&self, room: RoomId, told: &[(i64, Vec<u8>)]) {
        for (chunk, bits) in told {
            for position in super::positions(*chunk, bits) {
                self.note(room, position);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::positions, *};
    use std::collections::BTreeMap;

    const ROOM: RoomId = RoomId::HOUSE;

    fn taken(beats: &Beats) -> Vec<i64> {
        let told: BTreeMap<_, _> = beats.take(ROOM).into_iter().collect();
        told.iter().flat_map(|(chunk, bits)| positions(*chunk, bits)).map(|position| position.0).collect()
    }

    #[test]
    fn places_whose_chunks_are_kept_are_taken_once() {
        let beats = Beats::default();
        beats.note(ROOM, Position(5));
        assert_eq!(taken(&beats), [0_i64; 0], "no room was made");
        beats.cover(ROOM, &BTreeSet::from([0, 1, 8]));
        let places = [1, 63, 64, 16_383, 16_384, 131_072];
        for place in places {
            beats.note(ROOM, Position(place));
        }
        beats.note(ROOM, Position(40_000));
        beats.note(RoomId::new(7), Position(1));
        assert_eq!(taken(&beats), places);
        assert_eq!(taken(&beats), [0_i64; 0]);
    }

    #[test]
    fn what_was_noted_stays_while_the_line_moves_on() {
        let beats = Beats::default();
        beats.cover(ROOM, &BTreeSet::from([0, 1, 6]));
        for place in [10, 20_000, 100_000] {
            beats.note(ROOM, Position(place));
        }
        beats.cover(ROOM, &BTreeSet::from([6, 7, 9]));
        beats.note(ROOM, Position(150_000));
        assert_eq!(taken(&beats), [100_000, 150_000]);
    }

    #[test]
    fn unpublished_bits_are_there_the_next_time() {
        let beats = Beats::default();
        beats.cover(ROOM, &BTreeSet::from([0]));
        beats.note(ROOM, Position(7));
        let told = beats.take(ROOM);
        beats.note(ROOM, Position(8));
        beats.put_back(ROOM, &told);
        assert_eq!(taken(&beats), [7, 8]);
    }
}
