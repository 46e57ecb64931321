//! Bytes that are written as lower-case hexadecimal digits.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr};

/// `N` bytes. As text and in JSON they are `2 * N` hexadecimal digits in lower case, the only form that is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HexBytes<const N: usize>([u8; N]);

/// A value of SHA-256.
pub type Digest = HexBytes<32>;

/// A text is not the hexadecimal form of so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {digits} hexadecimal digits in lower case")]
pub struct BadHex {
    /// How many digits were expected.
    pub digits: usize,
}

impl<const N: usize> HexBytes<N> {
    /// From bytes.
    #[must_use]
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; N] {
        &self.0
    }
}

/// SHA-256 of these parts, one after the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    HexBytes(hash.finalize().into())
}

/// How many bytes are written at once.
const WRITTEN: usize = 32;

fn digit(half: u8) -> u8 {
    // A half of a byte is below 16.
    if half < 10 { b'0'.wrapping_add(half) } else { (b'a' - 10).wrapping_add(half) }
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => digit.checked_sub(b'0'),
        b'a'..=b'f' => digit.checked_sub(b'a' - 10),
        _ => None,
    }
}

impl<const N: usize> fmt::Display for HexBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for bytes in self.0.chunks(WRITTEN) {
            let mut digits = [[0; 2]; WRITTEN];
            for (pair, byte) in digits.iter_mut().zip(bytes) {
                *pair = [digit(byte >> 4), digit(byte & 15)];
            }
            let written = digits.get(..bytes.len()).unwrap_or_default().as_flattened();
            f.write_str(std::str::from_utf8(written).map_err(|_| fmt::Error)?)?;
        }
        Ok(())
    }
}

impl<const N: usize> fmt::Debug for HexBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> FromStr for HexBytes<N> {
    type Err = BadHex;

    fn from_str(text: &str) -> Result<Self, BadHex> {
        let bad = BadHex { digits: N.saturating_mul(2) };
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(bad) };
        if pairs.len() != N {
            return Err(bad);
        }
        let mut bytes = [0; N];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = value(*high).zip(value(*low)).map(|(high, low)| high << 4 | low).ok_or(bad)?;
        }
        Ok(Self(bytes))
    }
}

impl<const N: usize> AsRef<[u8]> for HexBytes<N> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> Serialize for HexBytes<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for HexBytes<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits<const N: usize>;

        impl<const N: usize> de::Visitor<'_> for Digits<N> {
            type Value = HexBytes<N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} hexadecimal digits in lower case", N.saturating_mul(2))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<HexBytes<N>, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Digits)
    }
}
