//! An entry of the draw as text, and as a leaf of the tree.

use crate::hex::{Digest, sha256};
use uuid::Uuid;

/// The text of an entry, which only its user and the house know. `entered_at` is in microseconds since 1970.
#[must_use]
pub fn entry_text(room: i64, entry: i64, user: Uuid, entered_at: i64) -> String {
    format!("frontrow draw entry\nroom {room}\nentry {entry}\nuser {user}\nentered_at {entered_at}")
}

/// The leaf of an entry's text.
#[must_use]
pub fn leaf_of(text: &str) -> Digest {
    sha256(&[&[0], text.as_bytes()])
}
