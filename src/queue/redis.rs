//! The queue of many instances: each has the lines in its own memory and tells the others, over Redis, what it
//! changed. Redis never decides, and losing all of it costs nothing but time.

pub mod link;
mod tls;

use frontrow_domain::id::RoomId;
use uuid::Uuid;

/// The names of what this box office keeps in Redis. What belongs together in a cluster has one tag.
#[derive(Debug, Clone)]
pub struct Keys {
    office: Uuid,
}

impl Keys {
    /// The names of the box office with this id.
    #[must_use]
    pub const fn new(office: Uuid) -> Self {
        Self { office }
    }

    /// The name of something that there is once.
    #[must_use]
    pub fn office(&self, what: &str) -> String {
        format!("fr:{}:{{office}}:{what}", self.office.simple())
    }

    /// The name of something that each room has.
    #[must_use]
    pub fn room(&self, room: RoomId, what: &str) -> String {
        format!("fr:{}:{{r{}}}:{what}", self.office.simple(), room.get())
    }
}
