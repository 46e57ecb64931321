//! The rows that a room's view is built from.

use frontrow_domain::{
    changes::RoomCounts,
    id::Position,
    line::{Room, Token},
    time::Time,
};

/// The rows that a room's view is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The room.
    pub room: Room,
    /// The highest position.
    pub highest: Position,
    /// The positions of all waiting tokens, ascending.
    pub waiting: Vec<Position>,
    /// Positions below the highest without a row, ascending, whose batch may still commit: drawn within the last
    /// [`COMMIT_VISIBILITY_MAX`](crate::COMMIT_VISIBILITY_MAX), judging by their neighbours. They count as waiting, so
    /// that `ahead` cannot rise when their rows appear.
    pub in_flight: Vec<Position>,
    /// The tokens that are neither waiting nor ended.
    pub others: Vec<Token>,
    /// The store's clock when the rows were read.
    pub now: Time,
}

/// A room with what became of its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomTally {
    /// The room.
    pub room: Room,
    /// Its counts, also of tokens whose rows are removed.
    pub counts: RoomCounts,
}

/// A room's summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSummary {
    /// The room.
    pub room: Room,
    /// The highest position.
    pub highest: Position,
    /// Whether it has a live token.
    pub life: Life,
    /// The store's clock when the rows were read.
    pub now: Time,
}

impl RoomSummary {
    /// The line of a room without live tokens.
    #[must_use]
    pub fn empty_line(self) -> Line {
        let Self { room, highest, now, .. } = self;
        Line { room, highest, waiting: Vec::new(), in_flight: Vec::new(), others: Vec::new(), now }
    }
}

/// Whether a room has a live token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It has a live token. If several instances share the database, also if a token was issued within the last
    /// [`COMMIT_VISIBILITY_MAX`](crate::COMMIT_VISIBILITY_MAX): an earlier position may still get its row.
    Live,
    /// All its tokens have ended.
    Empty,
}
