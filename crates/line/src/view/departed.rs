//! The positions that left a line before their turn came, and how many of them there are below any position.

use frontrow_domain::id::Position;
use std::sync::Arc;

/// Positions in a chunk: 4 KiB of bits, cheap to copy when one of them changes.
const CHUNK_BITS: usize = 32_768;
const CHUNK_WORDS: usize = CHUNK_BITS / 64;
/// A block fills one cache line.
const BLOCK_BITS: usize = 512;
const BLOCK_WORDS: usize = BLOCK_BITS / 64;
const CHUNK_BLOCKS: usize = CHUNK_BITS / BLOCK_BITS;

/// A set of positions as a bitmap with ranks. A clone shares all chunks; changing one copies that one.
#[derive(Debug, Clone, Default)]
pub(super) struct Departed {
    /// How many chunks were dropped at the low end.
    dropped: usize,
    /// The chunks after those; none for one without a departed position.
    chunks: Vec<Option<Arc<Chunk>>>,
    /// How many have departed in the chunks before each.
    before: Vec<i64>,
    total: i64,
}

#[derive(Debug, Clone)]
struct Chunk {
    words: [u64; CHUNK_WORDS],
    /// How many have departed in the blocks before each.
    before: [u16; CHUNK_BLOCKS],
    total: u16,
}

impl Chunk {
    const EMPTY: Self = Self { words: [0; CHUNK_WORDS], before: [0; CHUNK_BLOCKS], total: 0 };

    fn contains(&self, bit: usize) -> bool {
        self.words[bit / 64] >> (bit % 64) & 1 == 1
    }

    fn rank(&self, bit: usize) -> i64 {
        let word = bit / 64;
        let block = bit / BLOCK_BITS;
        let whole: u32 = self.words[block * BLOCK_WORDS..word].iter().map(|word| word.count_ones()).sum();
        let part = (self.words[word] & ((1 << (bit % 64)) - 1)).count_ones();
        i64::from(self.before[block]) + i64::from(whole + part)
    }

    fn recount(&mut self) {
        let mut sum = 0_u16;
        for (before, block) in self.before.iter_mut().zip(self.words.chunks_exact(BLOCK_WORDS)) {
            *before = sum;
            for word in block {
                // A word has 64 bits and a chunk 32,768: both fit.
                sum += u16::try_from(word.count_ones()).unwrap_or(64);
            }
        }
        self.total = sum;
    }
}

fn index(position: Position) -> usize {
    usize::try_from(position.0).unwrap_or(0)
}

impl Departed {
    /// The positions from `first` to `last` that are not in `present`, which is ascending.
    pub(super) fn all_but(first: Position, last: Position, present: &[Position]) -> Self {
        let mut departed = Self { dropped: index(first) / CHUNK_BITS, ..Self::default() };
        let mut next = first.0;
        for kept in present.iter().filter(|kept| (first..=last).contains(kept)) {
            departed.fill(next, kept.0);
            next = kept.0 + 1;
        }
        departed.fill(next, last.0 + 1);
        departed.recount_from(0);
        departed
    }

    /// Adds the positions from `from` up to but without `to`. The ranks are wrong until counted again.
    fn fill(&mut self, from: i64, to: i64) {
        let mut at = index(Position(from));
        let end = index(Position(to));
        while at < end {
            let words = &mut self.chunk_mut(at / CHUNK_BITS).words;
            let word = at % CHUNK_BITS / 64;
            let stop = end.min((at / 64 + 1) * 64);
            let upper = if stop.is_multiple_of(64) { u64::MAX } else { (1 << (stop % 64)) - 1 };
            words[word] |= upper & !((1 << (at % 64)) - 1);
            at = stop;
        }
    }

    fn chunk_mut(&mut self, chunk: usize) -> &mut Chunk {
        let at = chunk.saturating_sub(self.dropped);
        if at >= self.chunks.len() {
            self.chunks.resize(at + 1, None);
        }
        Arc::make_mut(self.chunks[at].get_or_insert_with(|| Arc::new(Chunk::EMPTY)))
    }

    fn recount_from(&mut self, first: usize) {
        for chunk in self.chunks.iter_mut().skip(first).flatten() {
            Arc::make_mut(chunk).recount();
        }
        self.sum_from(first);
    }

    fn sum_from(&mut self, first: usize) {
        let mut sum = match first.checked_sub(1) {
            None => 0,
            Some(last) => self.before[last] + total(self.chunks[last].as_ref()),
        };
        self.before.truncate(first);
        for chunk in &self.chunks[first..] {
            self.before.push(sum);
            sum += total(chunk.as_ref());
        }
        self.total = sum;
    }

    /// Adds positions, and removes others.
    pub(super) fn change(&mut self, departed: &[Position], restored: &[Position]) {
        let mut touched: Vec<usize> = Vec::new();
        let changes = departed.iter().map(|at| (at, true)).chain(restored.iter().map(|at| (at, false)));
        for (position, is_gone) in changes {
            let at = index(*position);
            let chunk = at / CHUNK_BITS;
            if chunk < self.dropped || self.contains(*position) == is_gone {
                continue;
            }
            let bit = 1 << (at % 64);
            let words = &mut self.chunk_mut(chunk).words;
            words[at % CHUNK_BITS / 64] ^= bit;
            let touch = chunk - self.dropped;
            if touched.last() != Some(&touch) {
                touched.push(touch);
            }
        }
        touched.sort_unstable();
        touched.dedup();
        for chunk in &touched {
            if let Some(chunk) = &mut self.chunks[*chunk] {
                Arc::make_mut(chunk).recount();
            }
        }
        if let Some(first) = touched.first() {
            self.sum_from((*first).min(self.before.len()));
        }
    }

    /// Whether there are chunks that cover only positions up to `position`.
    pub(super) fn can_drop_to(&self, position: Position) -> bool {
        !self.chunks.is_empty() && (index(position) + 1) / CHUNK_BITS > self.dropped
    }

    /// Drops the chunks that cover only positions up to `position`. Ranks count from there on.
    pub(super) fn drop_to(&mut self, position: Position) {
        let keep_from = (index(position) + 1) / CHUNK_BITS;
        let count = keep_from.saturating_sub(self.dropped);
        if count >= self.chunks.len() {
            *self = Self { dropped: keep_from.max(self.dropped), ..Self::default() };
            return;
        }
        self.chunks.drain(..count);
        self.dropped += count;
        self.before.clear();
        self.sum_from(0);
    }

    /// Whether the position has departed; no for one in a dropped chunk.
    pub(super) fn contains(&self, position: Position) -> bool {
        let at = index(position);
        (at / CHUNK_BITS)
            .checked_sub(self.dropped)
            .and_then(|chunk| self.chunks.get(chunk))
            .and_then(Option::as_ref)
            .is_some_and(|chunk| chunk.contains(at % CHUNK_BITS))
    }

    /// How many positions below `position` have departed, of those not dropped.
    pub(super) fn rank(&self, position: Position) -> i64 {
        let at = index(position);
        let Some(chunk) = (at / CHUNK_BITS).checked_sub(self.dropped) else { return 0 };
        match self.chunks.get(chunk) {
            None => self.total,
            Some(None) => self.before[chunk],
            Some(Some(bits)) => self.before[chunk] + bits.rank(at % CHUNK_BITS),
        }
    }

    /// How many have departed, of those not dropped.
    pub(super) const fn total(&self) -> i64 {
        self.total
    }

    /// The first position from `position` on that has not departed, after at most `steps` words; else the position
    /// reached.
    pub(super) fn next_present(&self, position: Position, steps: &mut usize) -> Position {
        let mut at = index(position);
        while *steps > 0 {
            let chunk = (at / CHUNK_BITS).checked_sub(self.dropped).and_then(|chunk| self.chunks.get(chunk));
            let Some(Some(chunk)) = chunk else { break };
            let present = !chunk.words[at % CHUNK_BITS / 64] >> (at % 64);
            if present != 0 {
                at += usize::try_from(present.trailing_zeros()).unwrap_or(0);
                break;
            }
            at = (at / 64 + 1) * 64;
            *steps -= 1;
        }
        Position(i64::try_from(at).unwrap_or(i64::MAX))
    }
}

fn total(chunk: Option<&Arc<Chunk>>) -> i64 {
    chunk.map_or(0, |chunk| i64::from(chunk.total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const REACH: i64 = 100_000;

    fn assert_same(departed: &Departed, naive: &BTreeSet<i64>, from: i64) {
        for at in (from..REACH).step_by(4_999).chain(naive.range(from..).copied().take(10)) {
            assert_eq!(departed.contains(Position(at)), naive.contains(&at), "{at}");
            let between = departed.rank(Position(at)) - departed.rank(Position(from));
            assert_eq!(between, i64::try_from(naive.range(from..at).count()).unwrap(), "{at}");
            let next = departed.next_present(Position(at), &mut usize::MAX.clone()).0;
            assert!(!naive.contains(&next) && naive.range(at..next).count() == usize::try_from(next - at).unwrap());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn ranks_are_those_of_a_sorted_set(
            steps in prop::collection::vec((prop::collection::vec(1..REACH, 0..50), any::<bool>(), 0..REACH), 1..12),
        ) {
            let (mut departed, mut naive, mut from) = (Departed::default(), BTreeSet::new(), 0);
            for (numbers, drops, drop_to) in steps {
                let leaving: Vec<_> = numbers.iter().copied().filter(|at| *at > from).map(Position).collect();
                let restored: Vec<_> = naive.iter().copied().filter(|at| *at > from).step_by(7).map(Position).collect();
                let kept = departed.clone();
                let before = naive.clone();
                for at in &restored {
                    naive.remove(&at.0);
                }
                naive.extend(leaving.iter().map(|at| at.0));
                let restored: Vec<_> = restored.into_iter().filter(|at| !leaving.contains(at)).collect();
                departed.change(&leaving, &restored);
                assert_same(&kept, &before, from);
                if drops && drop_to > from {
                    from = drop_to;
                    departed.drop_to(Position(drop_to));
                }
                assert_same(&departed, &naive, from);
            }
        }

        #[test]
        fn a_set_from_rows_is_the_complement(present in prop::collection::btree_set(1..REACH, 0..300), first in 1..REACH) {
            let list: Vec<_> = present.iter().copied().map(Position).collect();
            let departed = Departed::all_but(Position(first), Position(REACH - 1), &list);
            let naive = (first..REACH).filter(|at| !present.contains(at)).collect();
            assert_same(&departed, &naive, first);
        }
    }
}
