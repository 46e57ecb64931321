//! Compresses answers by gzip.

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use std::io::Write as _;

/// Compresses an answer that changes often: in half the time, a fifth larger.
#[must_use]
pub fn quickly(body: &[u8]) -> Bytes {
    pack(body, Compression::fast())
}

/// Compresses an answer that does not change.
#[must_use]
pub fn well(body: &[u8]) -> Bytes {
    pack(body, Compression::default())
}

fn pack(body: &[u8], level: Compression) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), level);
    // Writing to memory does not fail.
    encoder.write_all(body).and_then(|()| encoder.finish()).map(Bytes::from).unwrap_or_default()
}
