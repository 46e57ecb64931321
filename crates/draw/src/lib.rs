//! The draw of the order in which an opening sale lets its entries in, in formulas that anyone can repeat.
//!
//! Before the draw a house publishes the SHA-256 of a secret ([`DrawSecret::hash`]), and when the entries are closed
//! the root of the Merkle tree over them ([`RootBuilder`]) and a round of a drand beacon that comes later
//! ([`Chain::round_after`]). After it the house publishes the secret and the round's signature ([`Chain::verify`]).
//! All three make the seed ([`seed`]), and the seed the order ([`draw_order`]). A [`DrawRecord`] has everything that is
//! needed to repeat it; [`DrawRecord::verify`] does so without a network.
//!
//! The house cannot choose its secret after the entries are known, and neither the house nor anybody who enters knows
//! the round's signature before it is published. `rules.txt` has the formulas, as every record repeats them.
//!
//! Pure: no I/O, no clock, no randomness.

#![warn(missing_docs)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod beacon;
mod entry;
mod hex;
mod merkle;
mod order;
mod proof;
mod record;
mod secret;
pub mod testing;

pub use beacon::{BeaconFault, BeaconRound, BeaconSignature, Chain, ChainKey, SCHEME, randomness_of};
pub use entry::{entry_text, leaf_of};
pub use hex::{BadHex, Digest, HexBytes};
pub use merkle::{MerkleTree, RootBuilder, merkle_path, merkle_root, verify_path};
pub use order::{draw_order, entry_key, seed};
pub use proof::{EntryProof, ProvedEntry};
pub use record::{
    DecidedBy, DrawCheck, DrawFacts, DrawFault, DrawRecord, ENTRIES_MAX, FORMAT, RECORD_BYTES_MAX, RULES,
    RULES_VERSION, SealedDraw, VerifiedDraw,
};
pub use secret::DrawSecret;
