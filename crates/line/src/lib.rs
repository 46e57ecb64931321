//! The port to what instances share about the lines. It never decides, it distributes: every token is a row in the
//! store before anybody sees it here, and all of this can be laid anew from the rows.

pub mod memory;
pub mod redis;
pub mod view;

use async_trait::async_trait;
use frontrow_domain::{
    id::{Position, ReservationId, RoomId, TokenId},
    queue::{Fence, Token},
    time::{Span, Time},
    world::Changes,
};
use frontrow_storage::Sharing;
use std::sync::Arc;
use view::RoomView;

/// What an instance knows of the lines, and what it tells the others.
///
/// Every queue passes the conformance suite in `tests/conformance`.
#[async_trait]
pub trait Queue: std::fmt::Debug + Send + Sync + 'static {
    /// Lays a room anew from its rows, and everybody in it counts as just heard of.
    async fn rebuild(&self, line: frontrow_storage::Line) -> Result<(), QueueError>;

    /// Lays a room that another process made. One that is laid already stays as it is: it has followed the commits
    /// since, and the rows may be older.
    async fn load_missing_room(&self, line: frontrow_storage::Line) -> Result<(), QueueError>;

    /// Lays rooms in which nothing lives, all at once. Returns those of which this instance knows something else: their
    /// lines must be read whole, and laid by [`Queue::rebuild`].
    async fn load_quiet_rooms(&self, lines: Vec<frontrow_storage::Line>) -> Result<Vec<RoomId>, QueueError>;

    /// Takes in what a committed batch changed. Called in the order of the commits; never waits for anybody.
    fn publish(&self, changes: &Changes);

    /// The room as it is now, from memory: no lock, no call to another machine. None for a room not laid.
    fn view(&self, room: RoomId) -> Option<Arc<RoomView>>;

    /// The rooms that have been laid.
    fn rooms(&self) -> Vec<RoomId>;

    /// The rooms in which a token lives, as far as this instance knows, by number: the only ones that cost anything
    /// while nothing happens.
    fn busy_rooms(&self) -> Vec<RoomId>;

    /// Notes that what this instance knows of these rooms may be old, so that it looks at their rows soon. Nothing where
    /// it follows every commit.
    fn request_refresh(&self, _rooms: Vec<RoomId>) {}

    /// Notes that the token's user showed a sign of life. No lock.
    fn record_heartbeat(&self, token: TokenId, now: Time);

    /// Those of the first `limit` waiting tokens that nobody has been heard of since `since`, and others further
    /// back as long as it takes to find `limit` that are awake: the asleep, in order. It looks no further back than one
    /// advance does: at [`TOKENS_PER_ADVANCE_MAX`](frontrow_domain::policy::TOKENS_PER_ADVANCE_MAX) places.
    fn unresponsive(&self, room: RoomId, limit: u32, since: Time) -> Vec<Position>;

    /// Reservations whose hold is over at `now`, each handed to one caller once. At most `limit`.
    async fn take_due_holds(&self, now: Time, limit: u32) -> Result<Vec<ReservationId>, QueueError>;

    /// Puts hold deadlines here that were not published, such as those found in the store at start.
    async fn add_hold_deadlines(&self, holds: &[(Time, ReservationId)]) -> Result<(), QueueError>;

    /// Whether this instance moves each room's line for the next `term`, in their order. In one process it always does.
    /// A leader's number is at least the one that comes with the room, the highest that its row is known to have.
    async fn lead(&self, rooms: &[(RoomId, Fence)], term: Span) -> Vec<Leadership>;

    /// The shared copy of a token that this instance's view does not have; none where nothing is shared.
    async fn token(&self, id: TokenId) -> Result<Option<Token>, QueueError>;

    /// Whether what instances share can be reached.
    ///
    /// # Errors
    /// Why not.
    fn check(&self) -> Result<(), QueueError>;

    /// Whether it hears of what other instances commit, and takes commits in any order.
    fn sharing(&self) -> Sharing {
        Sharing::Alone
    }

    /// How what instances share does; none where nothing is shared.
    fn peer_status(&self) -> Option<PeerStatus> {
        None
    }

    /// Tells the others what they have not been told yet, and gives up what they would wait for. To be called last,
    /// when the server stops.
    async fn shutdown(&self) {}

    /// Tells the others that something may have been committed that nobody told of, so that they read the rows.
    fn announce_gap(&self) {}

    /// Waits until something happened that may let lines move, at most `longest`: the rooms in which it did.
    async fn moved(&self, longest: std::time::Duration) -> Vec<RoomId>;
}

/// How what instances share does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// Why it cannot be used; none while it can.
    pub away: Option<Away>,
    /// How long ago this instance last looked what the others changed.
    pub event_lag: std::time::Duration,
    /// How often this instance has laid its lines anew from the rows.
    pub rebuilds: u64,
}

/// Why what instances share cannot be used. The log says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Away {
    /// It does not answer, or refuses this instance.
    #[error("it cannot be reached")]
    Unreachable,
    /// It takes no writes.
    #[error("its memory is full")]
    Full,
}

/// Whether an instance moves a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leadership {
    /// It does, under this number.
    Leader(Fence),
    /// Another one does.
    Follower,
}

/// What instances share could not be reached. The text is for the log, never for a client.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the shared queue is unavailable: {0}")]
pub struct QueueError(pub String);
