//! What the keys sign besides queue tokens. All instances have the same keys, so each verifies what another signed.

use super::{Keyring, PreparedKey};
use hmac::Mac as _;
use subtle::ConstantTimeEq;

/// How many bytes a signature has.
pub const MAC_BYTES: usize = 32;

/// The use of a signature: one for another use never verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The link by which the first operator registers.
    FirstOperator,
    /// The challenge that a new place in line asks a client to solve.
    JoinWork,
    /// A wait that stands for such a challenge where no script runs.
    JoinWait,
    /// A sign-in whose password was right and whose code is still to come.
    SignIn,
}

impl Purpose {
    /// Begins the message. A queue token's begins with 20, the length of its own name.
    const fn name(self) -> &'static [u8] {
        match self {
            Self::FirstOperator => b"\x17frontrow first operator",
            Self::JoinWork => b"\x12frontrow join work",
            Self::JoinWait => b"\x12frontrow join wait",
            Self::SignIn => b"\x10frontrow sign-in",
        }
    }
}

impl PreparedKey {
    fn seal(&self, purpose: Purpose, message: &[u8]) -> [u8; MAC_BYTES] {
        let mut mac = self.plain.clone();
        mac.update(purpose.name());
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}

impl Keyring {
    /// The signature of a message by the signing key.
    #[must_use]
    pub fn seal(&self, purpose: Purpose, message: &[u8]) -> [u8; MAC_BYTES] {
        self.ring().signing().seal(purpose, message)
    }

    /// Whether one of the keys made this signature of the message. Each comparison takes constant time.
    #[must_use]
    pub fn is_sealed(&self, purpose: Purpose, message: &[u8], seal: &[u8; MAC_BYTES]) -> bool {
        let ring = self.ring();
        ring.keys().iter().any(|key| bool::from(key.seal(purpose, message).ct_eq(seal)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_of_one_purpose_and_one_message_and_outlives_a_rotation() {
        let old = Keyring::from_secrets(&[(1, [0x11; 32])], 1).unwrap();
        let rotated = Keyring::from_secrets(&[(1, [0x11; 32]), (2, [0x22; 32])], 2).unwrap();
        let other = Keyring::from_secrets(&[(1, [0x33; 32])], 1).unwrap();
        let seal = old.seal(Purpose::SignIn, b"message");
        assert!(old.is_sealed(Purpose::SignIn, b"message", &seal));
        assert!(rotated.is_sealed(Purpose::SignIn, b"message", &seal));
        assert!(!old.is_sealed(Purpose::FirstOperator, b"message", &seal));
        assert!(!old.is_sealed(Purpose::SignIn, b"massage", &seal));
        assert!(!other.is_sealed(Purpose::SignIn, b"message", &seal));
        assert_ne!(rotated.seal(Purpose::SignIn, b"message"), seal);
    }

    #[test]
    fn each_name_says_its_own_length() {
        for purpose in [Purpose::FirstOperator, Purpose::JoinWork, Purpose::JoinWait, Purpose::SignIn] {
            assert_eq!(usize::from(purpose.name()[0]), purpose.name().len() - 1);
        }
    }
}
