//! The house's secret: committed to before the draw, published after it.

use crate::hex::{BadHex, Digest, HexBytes, sha256};
use std::fmt;

/// The secret of a draw: 32 random bytes. Its `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DrawSecret([u8; 32]);

impl DrawSecret {
    /// A secret of these random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the row that keeps them.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The secret of a text that [`DrawSecret::reveal`] made.
    ///
    /// # Errors
    /// The text is not 64 hexadecimal digits in lower case.
    pub fn from_revealed(text: &str) -> Result<Self, BadHex> {
        text.parse().map(|bytes: HexBytes<32>| Self(*bytes.bytes()))
    }

    /// The secret as hexadecimal digits, to be published after the draw.
    #[must_use]
    pub fn reveal(&self) -> String {
        HexBytes::new(self.0).to_string()
    }

    /// The commitment to the secret, published before the draw.
    #[must_use]
    pub fn hash(&self) -> Digest {
        sha256(&[b"frontrow draw secret\n", self.reveal().as_bytes()])
    }
}

impl fmt::Debug for DrawSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DrawSecret(hidden)")
    }
}
