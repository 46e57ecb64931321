//! From the seed to the order.

use crate::{
    hex::{Digest, HexBytes},
    secret::DrawSecret,
};
use sha2::{Digest as _, Sha256};

/// The seed of a draw. Without the randomness of a beacon the secret decides alone.
#[must_use]
pub fn seed(secret: &DrawSecret, root: Digest, randomness: Option<Digest>) -> Digest {
    let beacon = randomness.map_or_else(|| "none".to_owned(), |randomness| randomness.to_string());
    let text = format!("frontrow draw seed\nsecret {}\nroot {root}\nbeacon {beacon}", secret.reveal());
    crate::hex::sha256(&[text.as_bytes()])
}

/// The hash of everything before the number of an entry, which all entries of a draw share.
fn begun(seed: Digest) -> Sha256 {
    Sha256::new_with_prefix(format!("frontrow draw order\nseed {seed}\nentry "))
}

fn finish(begun: &Sha256, entry: i64) -> Digest {
    let hash = begun.clone().chain_update(entry.to_string());
    HexBytes::new(hash.finalize().into())
}

/// What an entry is ordered by.
#[must_use]
pub fn entry_key(seed: Digest, entry: i64) -> Digest {
    finish(&begun(seed), entry)
}

/// The numbers of the entries in the order drawn: ascending by [`entry_key`], equal keys by number. The first has
/// rank 1.
#[must_use]
pub fn draw_order(seed: Digest, entries: impl IntoIterator<Item = i64>) -> Vec<i64> {
    let begun = begun(seed);
    let mut keyed: Vec<_> = entries.into_iter().map(|entry| (finish(&begun, entry), entry)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, entry)| entry).collect()
}
