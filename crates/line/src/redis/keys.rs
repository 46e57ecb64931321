//! The names of keys. Those of a room share a tag, and those of the installation another, so that in a cluster every
//! script finds all its keys on one node.

use frontrow_domain::id::RoomId;
use std::{fmt::Display, sync::Arc};
use uuid::Uuid;

/// The names of one installation's keys. Two installations on one Redis do not meet.
#[derive(Debug, Clone)]
pub struct RedisKeys {
    prefix: Arc<str>,
}

impl RedisKeys {
    /// The names for this installation.
    #[must_use]
    pub fn new(installation: Uuid) -> Self {
        Self { prefix: format!("fr:{}:", installation.simple()).into() }
    }

    /// A key of the whole installation.
    #[must_use]
    pub fn installation_part(&self, part: impl Display) -> String {
        format!("{}{{office}}:{part}", self.prefix)
    }

    /// A key of one room.
    #[must_use]
    pub fn room(&self, room: RoomId, part: impl Display) -> String {
        format!("{}{{r{room}}}:{part}", self.prefix)
    }

    /// A key that need not be near another.
    #[must_use]
    pub fn alone(&self, part: impl Display) -> String {
        format!("{}{part}", self.prefix)
    }
}
