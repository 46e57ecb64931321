//! A beacon that signs, for tests: a chain of one node.

use crate::beacon::{BeaconRound, BeaconSignature, Chain, SIGNATURE_DOMAIN, message_of};
use crate::hex::{HexBytes, sha256};
use blst::min_sig::SecretKey;
use std::num::NonZeroU32;

/// A chain whose secret key is known.
pub struct TestBeacon {
    key: SecretKey,
    /// The chain that verifies its signatures.
    pub chain: Chain,
}

impl TestBeacon {
    /// The chain of a key that follows from these bytes. None if they make no key.
    #[must_use]
    pub fn new(seed: [u8; 32], genesis_seconds: u64, period_seconds: NonZeroU32) -> Option<Self> {
        let key = SecretKey::key_gen(&seed, &[]).ok()?;
        let public_key = HexBytes::new(key.sk_to_pk().compress());
        let hash = sha256(&[b"frontrow test beacon", public_key.as_ref()]);
        Some(Self { key, chain: Chain { hash, public_key, genesis_seconds, period_seconds } })
    }

    /// The signature of a round.
    #[must_use]
    pub fn sign(&self, round: BeaconRound) -> BeaconSignature {
        HexBytes::new(self.key.sign(message_of(round).as_ref(), SIGNATURE_DOMAIN, &[]).compress())
    }
}

impl std::fmt::Debug for TestBeacon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestBeacon").field("chain", &self.chain).finish_non_exhaustive()
    }
}
