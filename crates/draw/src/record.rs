//! The record of a draw: everything that is needed to repeat it, published after it.

mod check;

pub use check::{DrawCheck, DrawFault, VerifiedDraw};

use crate::{
    beacon::{BeaconRound, BeaconSignature, Chain, SCHEME, randomness_of},
    hex::Digest,
    order,
    secret::DrawSecret,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The format of a record.
pub const FORMAT: &str = "frontrow-draw/1";
/// The version of [`RULES`].
pub const RULES_VERSION: u32 = 1;
/// The rules of a draw, as every record repeats them.
pub const RULES: &str = include_str!("rules.txt");
/// The most entries of a record.
pub const ENTRIES_MAX: usize = 2_000_000;
/// The most bytes of a record as a file: an entry with its leaf is about 80.
pub const RECORD_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What the seed was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// The secret and the randomness of the round.
    Beacon,
    /// The secret alone: no signature of the round was given by the deadline.
    SecretAlone,
}

/// A record without its entries. Instants are in microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawFacts {
    /// [`FORMAT`].
    pub format: String,
    /// The room whose entries were drawn.
    pub room: i64,
    /// When the sale opens.
    pub opens_at_micros: i64,
    /// When the entries were closed, and the root and the round were fixed.
    pub sealed_at_micros: i64,
    /// The version of the rules, [`RULES_VERSION`].
    pub rules_version: u32,
    /// The rules, [`RULES`].
    pub rules: String,
    /// The secret.
    #[serde(with = "revealed")]
    pub secret: DrawSecret,
    /// The commitment to the secret.
    pub secret_hash: Digest,
    /// How many entries were drawn.
    pub entry_count: u64,
    /// The root of the tree over the entries.
    pub root: Digest,
    /// The scheme of the chain, [`SCHEME`].
    pub scheme: String,
    /// The chain of the beacon.
    pub chain: Chain,
    /// The round that was to decide.
    pub round: BeaconRound,
    /// Without a signature by then, the secret decides alone; the same as `sealed_at_micros` if no round is waited for.
    pub deadline_micros: i64,
    /// What the seed was made of.
    pub decided_by: DecidedBy,
    /// The signature of the round, if it was given.
    pub signature: Option<BeaconSignature>,
    /// The randomness of the round, if its signature was given.
    pub randomness: Option<Digest>,
    /// What the order follows from.
    pub seed: Digest,
}

/// What is fixed when the entries are closed. Instants are in microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedDraw {
    /// The room whose entries are drawn.
    pub room: i64,
    /// When the sale opens.
    pub opens_at_micros: i64,
    /// When the entries were closed.
    pub sealed_at_micros: i64,
    /// The secret.
    pub secret: DrawSecret,
    /// How many entries there are.
    pub entry_count: u64,
    /// The root of the tree over the entries.
    pub root: Digest,
    /// The chain of the beacon.
    pub chain: Chain,
    /// The round that is to decide. It must come after `sealed_at_micros`.
    pub round: BeaconRound,
    /// Without a signature by then, the secret decides alone; the same as `sealed_at_micros` if no round is waited for.
    pub deadline_micros: i64,
}

impl DrawFacts {
    /// The facts of a draw that was decided by this signature, which [`Chain::verify`] has found to be the round's, or by
    /// the secret alone.
    #[must_use]
    pub fn decided(sealed: &SealedDraw, signature: Option<BeaconSignature>) -> Self {
        let randomness = signature.as_ref().map(randomness_of);
        Self {
            format: FORMAT.to_owned(),
            room: sealed.room,
            opens_at_micros: sealed.opens_at_micros,
            sealed_at_micros: sealed.sealed_at_micros,
            rules_version: RULES_VERSION,
            rules: RULES.to_owned(),
            secret: sealed.secret,
            secret_hash: sealed.secret.hash(),
            entry_count: sealed.entry_count,
            root: sealed.root,
            scheme: SCHEME.to_owned(),
            chain: sealed.chain,
            round: sealed.round,
            deadline_micros: sealed.deadline_micros,
            decided_by: if signature.is_some() { DecidedBy::Beacon } else { DecidedBy::SecretAlone },
            signature,
            randomness,
            seed: order::seed(&sealed.secret, sealed.root, randomness),
        }
    }
}

/// The record of a draw: in JSON the fields of [`DrawFacts`], and `entries` as a list of `[number, leaf]` by ascending
/// number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawRecord {
    /// Everything but the entries.
    #[serde(flatten)]
    pub facts: DrawFacts,
    /// The numbers of the entries, ascending, with their leaves: at most [`ENTRIES_MAX`] are read.
    #[serde(deserialize_with = "bounded")]
    pub entries: Vec<(i64, Digest)>,
}

/// The secret of a record, which is public.
mod revealed {
    use super::{Deserialize as _, Deserializer, DrawSecret, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &DrawSecret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&secret.reveal())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DrawSecret, D::Error> {
        let bytes = crate::hex::HexBytes::deserialize(deserializer)?;
        Ok(DrawSecret::from_bytes(*bytes.bytes()))
    }
}

/// Reads at most so many entries.
struct BoundedEntries {
    max: usize,
}

impl<'de> de::Visitor<'de> for BoundedEntries {
    type Value = Vec<(i64, Digest)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at most {} pairs of a number and a leaf", self.max)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element()? {
            if entries.len() == self.max {
                return Err(de::Error::custom(format_args!("there are more than {} entries", self.max)));
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}

fn bounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(i64, Digest)>, D::Error> {
    deserializer.deserialize_seq(BoundedEntries { max: ENTRIES_MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_beyond_the_bound_are_not_read() {
        let entry = (1_i64, crate::hex::sha256(&[]));
        let read = |count: usize| {
            let json = serde_json::to_string(&vec![entry; count]).unwrap();
            serde_json::Deserializer::from_str(&json).deserialize_seq(BoundedEntries { max: 3 })
        };
        assert_eq!(read(3).unwrap(), vec![entry; 3]);
        let fault = read(4).unwrap_err().to_string();
        assert!(fault.starts_with("there are more than 3 entries"), "{fault}");
    }
}
