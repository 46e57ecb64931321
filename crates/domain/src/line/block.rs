//! Blocks: users whom operators keep out of a line.

use crate::{
    id::{RoomId, UserId},
    time::Time,
};

/// A user who may not join the line of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineBlock {
    /// The user.
    pub user_id: UserId,
    /// The room.
    pub room_id: RoomId,
    /// The reason, for operators alone.
    pub reason: String,
    /// The operator; none for the box office itself.
    pub blocked_by: Option<UserId>,
    /// Since when.
    pub since: Time,
    /// Until when; none for until an operator lifts it.
    pub until: Option<Time>,
}

impl LineBlock {
    /// Whether the block keeps its user out at `now`.
    #[must_use]
    pub fn is_in_force(&self, now: Time) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}
