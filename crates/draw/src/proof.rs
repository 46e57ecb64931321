//! The proof of one entry, which a browser can check without the other entries.

use crate::{entry::leaf_of, hex::Digest, order::entry_key, record::DrawFacts};
use serde::{Deserialize, Serialize};

/// The proof of one entry. That its rank follows from its key needs every entry: a `DrawRecord` has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryProof {
    /// The record without its entries.
    pub record: DrawFacts,
    /// The entry.
    pub entry: ProvedEntry,
    /// Its rank in the draw, from 1.
    pub rank: u64,
    /// The place in line that the rank became.
    pub position: i64,
}

/// An entry with what proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvedEntry {
    /// Its number.
    pub number: i64,
    /// Its text, of `entry_text`.
    pub text: String,
    /// The leaf of the text.
    pub leaf: Digest,
    /// The leaf's index among all leaves, from 0.
    pub index: u64,
    /// The siblings on the way from the leaf to the root.
    pub path: Vec<Digest>,
    /// What the entry was ordered by.
    pub key: Digest,
}

impl ProvedEntry {
    /// The entry of this number and text, in a draw of this seed.
    #[must_use]
    pub fn new(seed: Digest, number: i64, text: String, index: u64, path: Vec<Digest>) -> Self {
        Self { number, leaf: leaf_of(&text), text, index, path, key: entry_key(seed, number) }
    }
}
