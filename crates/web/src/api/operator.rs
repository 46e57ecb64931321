//! Operators' calls.

pub mod accounts;
pub mod books;
pub mod concerts;
pub mod door_list;
pub mod outbox;
pub mod rooms;
pub mod search;
pub mod seats;

use serde::{Deserialize, Deserializer};

#[expect(clippy::option_option, reason = "null and left out are two things")]
/// Distinguishes a null field from an absent one.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
