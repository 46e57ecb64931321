//! Whether a record is true.

use super::{DecidedBy, DrawFacts, DrawRecord, ENTRIES_MAX, FORMAT, RULES, RULES_VERSION};
use crate::{
    beacon::{BeaconFault, BeaconSignature, Chain, SCHEME},
    hex::Digest,
    merkle::RootBuilder,
    order,
};

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DrawFault {
    /// Another format.
    #[error("the format is not {FORMAT}")]
    Format,
    /// Rules of another version.
    #[error("the rules have version {0}, and version {RULES_VERSION} is known here")]
    RulesVersion(u32),
    /// The text of the rules was altered.
    #[error("the text of the rules is not the one of version {RULES_VERSION}")]
    Rules,
    /// The secret is not the one that was committed to.
    #[error("the secret does not have the hash that was published before the draw")]
    Secret,
    /// Too many entries.
    #[error("there are more than {ENTRIES_MAX} entries")]
    TooMany,
    /// Entries are missing, or were added.
    #[error("the record says {said} entries and has {found}")]
    Count {
        /// The number that the record says.
        said: u64,
        /// The entries that it has.
        found: u64,
    },
    /// The entries are out of order, or a number stands twice.
    #[error("the number of an entry is not above the one before it: {0}")]
    OutOfOrder(i64),
    /// Entries or leaves were altered.
    #[error("the entries do not have the root that was published before the draw")]
    Root,
    /// Another scheme.
    #[error("the scheme of the chain is not {SCHEME}")]
    Scheme,
    /// The chain has quicknet's name, but not its facts.
    #[error("the chain has the hash of quicknet and another key, genesis or period")]
    Chain,
    /// The chain's key is no key.
    #[error("the public key of the chain is not a valid key")]
    ChainKey,
    /// The randomness could be known when the entries were closed.
    #[error("the round does not come after the entries were closed")]
    RoundTooEarly,
    /// A deadline before there was anything to wait for.
    #[error("the deadline is before the entries were closed")]
    DeadlineTooEarly,
    /// The beacon decided, and its signature is missing.
    #[error("the beacon decided, and the signature of its round is missing")]
    SignatureMissing,
    /// The secret decided alone, beside a signature.
    #[error("the secret decided alone, and there is a signature or a randomness")]
    SignatureUnused,
    /// The signature is not the one of the round.
    #[error("{0}")]
    Signature(BeaconFault),
    /// The randomness is not that of the signature.
    #[error("the randomness is not the SHA-256 of the signature")]
    Randomness,
    /// The seed does not follow from secret, root and randomness.
    #[error("the seed does not follow from the secret, the root and the randomness")]
    Seed,
}

/// One thing that is checked of a record. Each is checked by itself, so that one that fails hides no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrawCheck {
    /// The format is known.
    Format,
    /// The rules are the known ones.
    Rules,
    /// The secret is the one that was committed to.
    Secret,
    /// The entries are as many as said, each once, in order.
    Entries,
    /// The entries are those under the root.
    Root,
    /// The chain is a chain.
    Chain,
    /// The round was in the future when the entries were closed.
    Round,
    /// The signature is the round's, or is left out because the secret decided alone.
    Beacon,
    /// The seed follows from secret, root and randomness.
    Seed,
}

impl DrawCheck {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Format,
        Self::Rules,
        Self::Secret,
        Self::Entries,
        Self::Root,
        Self::Chain,
        Self::Round,
        Self::Beacon,
        Self::Seed,
    ];
}

/// A draw whose record is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedDraw {
    /// The numbers of the entries in the order drawn: the first has rank 1.
    pub order: Vec<i64>,
    /// What the seed was made of.
    pub decided_by: DecidedBy,
}

impl VerifiedDraw {
    /// The rank of an entry, from 1.
    #[must_use]
    pub fn rank_of(&self, entry: i64) -> Option<usize> {
        self.order.iter().position(|drawn| *drawn == entry).map(|index| index.saturating_add(1))
    }
}

impl DrawRecord {
    /// Checks everything, and draws again.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(&self) -> Result<VerifiedDraw, DrawFault> {
        for check in DrawCheck::ALL {
            self.check(check)?;
        }
        let order = order::draw_order(self.facts.seed, self.entries.iter().map(|(entry, _)| *entry));
        Ok(VerifiedDraw { order, decided_by: self.facts.decided_by })
    }

    /// Checks one thing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, check: DrawCheck) -> Result<(), DrawFault> {
        let facts = &self.facts;
        match check {
            DrawCheck::Format => holds(facts.format == FORMAT, DrawFault::Format),
            DrawCheck::Rules => {
                holds(facts.rules_version == RULES_VERSION, DrawFault::RulesVersion(facts.rules_version))?;
                holds(facts.rules == RULES, DrawFault::Rules)
            }
            DrawCheck::Secret => holds(facts.secret.hash() == facts.secret_hash, DrawFault::Secret),
            DrawCheck::Entries => self.check_entries(),
            DrawCheck::Root => {
                let mut builder = RootBuilder::new();
                builder.extend(self.entries.iter().map(|(_, leaf)| *leaf));
                holds(builder.root() == facts.root, DrawFault::Root)
            }
            DrawCheck::Chain => facts.check_chain(),
            DrawCheck::Round => facts.check_round(),
            DrawCheck::Beacon => facts.check_beacon(),
            DrawCheck::Seed => {
                let seed = order::seed(&facts.secret, facts.root, facts.randomness);
                holds(seed == facts.seed, DrawFault::Seed)
            }
        }
    }

    fn check_entries(&self) -> Result<(), DrawFault> {
        let (said, found) = (self.facts.entry_count, self.entries.len());
        holds(found <= ENTRIES_MAX, DrawFault::TooMany)?;
        let found = u64::try_from(found).unwrap_or(u64::MAX);
        holds(said == found, DrawFault::Count { said, found })?;
        let numbers = self.entries.iter().map(|(entry, _)| *entry);
        let late = numbers.clone().zip(numbers.skip(1)).find(|(before, entry)| before >= entry);
        late.map_or(Ok(()), |(_, entry)| Err(DrawFault::OutOfOrder(entry)))
    }
}

impl DrawFacts {
    fn check_chain(&self) -> Result<(), DrawFault> {
        holds(self.scheme == SCHEME, DrawFault::Scheme)?;
        let quicknet = Chain::quicknet();
        holds(self.chain.hash != quicknet.hash || self.chain == quicknet, DrawFault::Chain)?;
        self.chain.check().map_err(|_| DrawFault::ChainKey)
    }

    fn check_round(&self) -> Result<(), DrawFault> {
        let round_micros = self.chain.time_of(self.round).saturating_mul(1_000_000);
        holds(round_micros > self.sealed_at_micros, DrawFault::RoundTooEarly)?;
        holds(self.deadline_micros >= self.sealed_at_micros, DrawFault::DeadlineTooEarly)
    }

    fn check_beacon(&self) -> Result<(), DrawFault> {
        match (self.decided_by, &self.signature) {
            (DecidedBy::SecretAlone, None) => holds(self.randomness.is_none(), DrawFault::SignatureUnused),
            (DecidedBy::SecretAlone, Some(_)) => Err(DrawFault::SignatureUnused),
            (DecidedBy::Beacon, None) => Err(DrawFault::SignatureMissing),
            (DecidedBy::Beacon, Some(signature)) => self.check_signature(signature),
        }
    }

    fn check_signature(&self, signature: &BeaconSignature) -> Result<(), DrawFault> {
        let randomness: Digest = self.chain.verify(self.round, signature.as_ref()).map_err(DrawFault::Signature)?;
        holds(self.randomness == Some(randomness), DrawFault::Randomness)
    }
}

fn holds(is_true: bool, fault: DrawFault) -> Result<(), DrawFault> {
    if is_true { Ok(()) } else { Err(fault) }
}
