//! The public randomness beacon: the rounds of a drand chain, and the signature of a round.

use crate::hex::{Digest, HexBytes, sha256};
use blst::{
    BLST_ERROR,
    min_sig::{PublicKey, Signature},
};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// The one scheme of drand that is read: signatures on G1, keys on G2, no round needs the one before.
pub const SCHEME: &str = "bls-unchained-g1-rfc9380";
/// The domain separation tag of the scheme: its signatures hash to G1.
pub(crate) const SIGNATURE_DOMAIN: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

/// The public key of a chain: a point on G2, compressed. Whether it is one is checked by [`Chain::check`].
pub type ChainKey = HexBytes<96>;
/// The signature of a round: a point on G1, compressed. Whether it is one is checked by [`Chain::verify`].
pub type BeaconSignature = HexBytes<48>;

/// The number of a round, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BeaconRound(pub u64);

/// A drand chain of the scheme [`SCHEME`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// The name of the chain. drand makes it from the chain's first facts; it is not computed here.
    pub hash: Digest,
    /// The key that the rounds are verified with.
    pub public_key: ChainKey,
    /// When round 1 comes, in seconds since 1970.
    pub genesis_seconds: u64,
    /// How long after a round the next one comes.
    pub period_seconds: NonZeroU32,
}

/// Why a signature is not the one of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BeaconFault {
    /// The chain's public key is not a point of its group, or is the point at infinity.
    #[error("the public key of the chain is not a valid key")]
    Key,
    /// Not 48 bytes.
    #[error("the signature is not 48 bytes long")]
    Length,
    /// Not a point of its group, or the point at infinity.
    #[error("the signature is not a point of the group of signatures")]
    Point,
    /// A point, but not what the chain's key signs for this round.
    #[error("the signature is not the one of this round and this chain")]
    Forged,
}

/// The randomness of a round, of its signature's bytes. It proves nothing about the signature.
#[must_use]
pub fn randomness_of(signature: &BeaconSignature) -> Digest {
    sha256(&[signature.as_ref()])
}

/// What a chain signs for a round.
pub(crate) fn message_of(round: BeaconRound) -> Digest {
    sha256(&[&round.0.to_be_bytes()])
}

/// The public key of quicknet, as its nodes publish it.
const QUICKNET_KEY: [u8; 96] = [
    0x83, 0xcf, 0x0f, 0x28, 0x96, 0xad, 0xee, 0x7e, 0xb8, 0xb5, 0xf0, 0x1f, 0xca, 0xd3, 0x91, 0x22, 0x12, 0xc4, 0x37,
    0xe0, 0x07, 0x3e, 0x91, 0x1f, 0xb9, 0x00, 0x22, 0xd3, 0xe7, 0x60, 0x18, 0x3c, 0x8c, 0x4b, 0x45, 0x0b, 0x6a, 0x0a,
    0x6c, 0x3a, 0xc6, 0xa5, 0x77, 0x6a, 0x2d, 0x10, 0x64, 0x51, 0x0d, 0x1f, 0xec, 0x75, 0x8c, 0x92, 0x1c, 0xc2, 0x2b,
    0x0e, 0x17, 0xe6, 0x3a, 0xaf, 0x4b, 0xcb, 0x5e, 0xd6, 0x63, 0x04, 0xde, 0x9c, 0xf8, 0x09, 0xbd, 0x27, 0x4c, 0xa7,
    0x3b, 0xab, 0x4a, 0xf5, 0xa6, 0xe9, 0xc7, 0x6a, 0x4b, 0xc0, 0x9e, 0x76, 0xea, 0xe8, 0x99, 0x1e, 0xf5, 0xec, 0xe4,
    0x5a,
];
const QUICKNET_HASH: [u8; 32] = [
    0x52, 0xdb, 0x9b, 0xa7, 0x0e, 0x0c, 0xc0, 0xf6, 0xea, 0xf7, 0x80, 0x3d, 0xd0, 0x74, 0x47, 0xa1, 0xf5, 0x47, 0x77,
    0x35, 0xfd, 0x3f, 0x66, 0x17, 0x92, 0xba, 0x94, 0x60, 0x0c, 0x84, 0xe9, 0x71,
];
const QUICKNET_GENESIS_SECONDS: u64 = 1_692_803_367;
const QUICKNET_PERIOD_SECONDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(2);

impl Chain {
    /// The chain "quicknet" of the League of Entropy: a round every three seconds since 23 August 2023.
    #[must_use]
    pub const fn quicknet() -> Self {
        Self {
            hash: HexBytes::new(QUICKNET_HASH),
            public_key: HexBytes::new(QUICKNET_KEY),
            genesis_seconds: QUICKNET_GENESIS_SECONDS,
            period_seconds: QUICKNET_PERIOD_SECONDS,
        }
    }

    /// The first round that comes strictly after this second since 1970.
    #[must_use]
    pub fn round_after(&self, unix_seconds: i64) -> BeaconRound {
        let since_genesis = u64::try_from(unix_seconds).ok().and_then(|now| now.checked_sub(self.genesis_seconds));
        BeaconRound(since_genesis.map_or(1, |seconds| {
            let period = std::num::NonZeroU64::from(self.period_seconds);
            (seconds / period).saturating_add(2)
        }))
    }

    /// When a round comes, in seconds since 1970.
    #[must_use]
    pub fn time_of(&self, round: BeaconRound) -> i64 {
        let since_genesis = round.0.saturating_sub(1).saturating_mul(u64::from(self.period_seconds.get()));
        i64::try_from(self.genesis_seconds.saturating_add(since_genesis)).unwrap_or(i64::MAX)
    }

    /// Checks the public key.
    ///
    /// # Errors
    /// [`BeaconFault::Key`].
    pub fn check(&self) -> Result<(), BeaconFault> {
        self.key().map(drop)
    }

    fn key(&self) -> Result<PublicKey, BeaconFault> {
        PublicKey::key_validate(self.public_key.as_ref()).map_err(|_| BeaconFault::Key)
    }

    /// The randomness of a round, if these bytes are its signature. Takes any bytes.
    ///
    /// # Errors
    /// They are not, or the chain's key is none.
    pub fn verify(&self, round: BeaconRound, signature: &[u8]) -> Result<Digest, BeaconFault> {
        let signature: [u8; 48] = signature.try_into().map_err(|_| BeaconFault::Length)?;
        let key = self.key()?;
        let point = Signature::uncompress(&signature).map_err(|_| BeaconFault::Point)?;
        // With the point at infinity refused.
        point.validate(true).map_err(|_| BeaconFault::Point)?;
        // Both points have been checked.
        match point.verify(false, message_of(round).as_ref(), SIGNATURE_DOMAIN, &[], &key, false) {
            BLST_ERROR::BLST_SUCCESS => Ok(randomness_of(&HexBytes::new(signature))),
            _ => Err(BeaconFault::Forged),
        }
    }
}
