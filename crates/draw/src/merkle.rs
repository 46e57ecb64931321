//! The Merkle tree over the entries, as RFC 6962 and RFC 9162 define it.

use crate::hex::{Digest, sha256};

fn inner(left: &Digest, right: &Digest) -> Digest {
    sha256(&[&[1], left.as_ref(), right.as_ref()])
}

/// The root over no leaves.
fn empty_root() -> Digest {
    sha256(&[])
}

/// Takes the leaves one at a time, by ascending number of entry, and keeps as many hashes as their count has bits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RootBuilder {
    count: u64,
    /// The roots of the complete trees that the leaves so far make, from the largest to the smallest: one for each bit
    /// that is set in the count.
    peaks: Vec<Digest>,
}

impl RootBuilder {
    /// Over no leaves yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { count: 0, peaks: Vec::new() }
    }

    /// Adds the next leaf.
    pub fn push(&mut self, leaf: Digest) {
        let mut node = leaf;
        // As a carry goes through the ones at the end of a binary number.
        for _ in 0..self.count.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = inner(&left, &node);
            }
        }
        self.peaks.push(node);
        self.count = self.count.saturating_add(1);
    }

    /// How many leaves it has.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The root over the leaves so far.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.peaks.iter().rev().copied().reduce(|right, left| inner(&left, &right)).unwrap_or_else(empty_root)
    }
}

impl Extend<Digest> for RootBuilder {
    fn extend<T: IntoIterator<Item = Digest>>(&mut self, leaves: T) {
        for leaf in leaves {
            self.push(leaf);
        }
    }
}

/// The root over leaves.
#[must_use]
pub fn merkle_root(leaves: &[Digest]) -> Digest {
    let mut builder = RootBuilder::new();
    builder.extend(leaves.iter().copied());
    builder.root()
}

/// The whole tree, for the paths of many leaves: 64 bytes a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MerkleTree {
    /// From the leaves to the root. A last node without a sibling is the same node one level higher.
    levels: Vec<Vec<Digest>>,
}

impl MerkleTree {
    /// The tree over leaves.
    #[must_use]
    pub fn new(leaves: Vec<Digest>) -> Self {
        let mut levels = Vec::new();
        let mut level = leaves;
        while level.len() > 1 {
            let next = level
                .chunks(2)
                .map(|pair| match pair {
                    [left, right] => inner(left, right),
                    rest => rest.first().copied().unwrap_or_else(empty_root),
                })
                .collect();
            levels.push(std::mem::replace(&mut level, next));
        }
        levels.push(level);
        Self { levels }
    }

    /// The leaves.
    #[must_use]
    pub fn leaves(&self) -> &[Digest] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.levels.last().and_then(|level| level.first()).copied().unwrap_or_else(empty_root)
    }

    /// The siblings on the way from a leaf to the root. None if there is no such leaf; `index` counts from 0.
    #[must_use]
    pub fn path(&self, index: usize) -> Option<Vec<Digest>> {
        self.levels.first()?.get(index)?;
        let siblings = self.levels.iter().enumerate();
        Some(
            siblings
                .filter_map(|(height, level)| level.get(index.unbounded_shr(u32::try_from(height).ok()?) ^ 1))
                .copied()
                .collect(),
        )
    }
}

/// The siblings on the way from one leaf to the root, for [`verify_path`]. None if there is no such leaf; `index` counts
/// from 0. For many leaves make a [`MerkleTree`].
#[must_use]
pub fn merkle_path(leaves: &[Digest], index: usize) -> Option<Vec<Digest>> {
    MerkleTree::new(leaves.to_vec()).path(index)
}

/// Whether `leaf` is number `index`, from 0, of the `count` leaves under `root` (RFC 9162, 2.1.3.2).
#[must_use]
pub fn verify_path(leaf: Digest, index: u64, count: u64, path: &[Digest], root: &Digest) -> bool {
    if index >= count {
        return false;
    }
    // The leaf's node and the last one, in the level that has been reached.
    let (mut at, mut last) = (index, count.saturating_sub(1));
    let mut node = leaf;
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            node = inner(sibling, &node);
            // A last node without a sibling goes up unchanged.
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            node = inner(&node, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && node == *root
}
