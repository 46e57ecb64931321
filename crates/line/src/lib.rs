//! The port to what instances share about the lines. It never decides, it distributes: every token is a row in the
//! store before a client sees it, and all of this can be rebuilt from the rows.

pub mod lines;
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

/// The lines as one instance knows them, and its exchange with the other instances.
///
/// Every queue passes the conformance suite in `tests/conformance`.
#[async_trait]
pub trait Queue: std::fmt::Debug + Send + Sync + 'static {
    /// Rebuilds a room's line from its rows; every token in it counts as just seen.
    async fn rebuild(&self, line: frontrow_storage::Line) -> Result<(), QueueError>;

    /// Loads a room that another process made. A room that is loaded already stays as it is: it has applied the commits
    /// since, and the rows may be older.
    async fn load_missing_room(&self, line: frontrow_storage::Line) -> Result<(), QueueError>;

    /// Loads rooms without live tokens, all at once. Returns the rooms whose views disagree: their rows must be read
    /// whole, and given to [`Queue::rebuild`].
    async fn load_quiet_rooms(&self, lines: Vec<frontrow_storage::Line>) -> Result<Vec<RoomId>, QueueError>;

    /// Applies the changes of a committed batch and publishes them. Called in the order of the commits; never waits.
    fn publish(&self, changes: &Changes);

    /// The present view of the room, from memory: no lock, no call to another machine. None for a room not loaded.
    fn view(&self, room: RoomId) -> Option<Arc<RoomView>>;

    /// The loaded rooms, by number.
    fn rooms(&self) -> Vec<RoomId>;

    /// The rooms with live tokens, as far as this instance knows, by number: the only ones that cost anything while
    /// nothing happens.
    fn busy_rooms(&self) -> Vec<RoomId>;

    /// Notes that the views of these rooms may be old, so that they are soon refreshed from the rows. Does nothing in a
    /// queue that applies every commit.
    fn request_refresh(&self, _rooms: Vec<RoomId>) {}

    /// Records a heartbeat: the token's client polled. No lock.
    fn record_heartbeat(&self, token: TokenId, now: Time);

    /// The unresponsive tokens from the head on, in order: those that wait and were not seen since `since`. The search
    /// ends with `limit` responsive tokens, and looks no further than one advance does: at
    /// [`TOKENS_PER_ADVANCE_MAX`](frontrow_domain::policy::TOKENS_PER_ADVANCE_MAX) positions.
    fn unresponsive(&self, room: RoomId, limit: u32, since: Time) -> Vec<Position>;

    /// Takes reservations whose hold is over at `now`, at most `limit`; each is handed to one caller once.
    async fn take_due_holds(&self, now: Time, limit: u32) -> Result<Vec<ReservationId>, QueueError>;

    /// Adds hold deadlines that were not published, such as those found in the store at start.
    async fn add_hold_deadlines(&self, holds: &[(Time, ReservationId)]) -> Result<(), QueueError>;

    /// Whether this instance leads each room's line for the next `term`, in the order of `rooms`. In one process it
    /// always does. A leader's fence is at least the one given with the room, the highest that its row is known to
    /// have.
    async fn lead(&self, rooms: &[(RoomId, Fence)], term: Span) -> Vec<Leadership>;

    /// The shared copy of a token that this instance's view lacks; none if nothing is shared.
    async fn token(&self, id: TokenId) -> Result<Option<Token>, QueueError>;

    /// Whether the shared queue can be reached.
    ///
    /// # Errors
    /// The shared queue is out of reach; the text says why.
    fn check(&self) -> Result<(), QueueError>;

    /// Whether other instances commit to these lines, too; their commits may come in any order.
    fn sharing(&self) -> Sharing {
        Sharing::Alone
    }

    /// The state of the shared queue; none if nothing is shared.
    fn peer_status(&self) -> Option<PeerStatus> {
        None
    }

    /// Publishes pending changes, and releases leases that others would wait for. Called last, when the server stops.
    async fn shutdown(&self) {}

    /// Announces that commits may be unpublished, so that the other instances read the rows.
    fn announce_gap(&self) {}

    /// Waits until lines may be able to move, at most `longest`; returns their rooms.
    async fn moved(&self, longest: std::time::Duration) -> Vec<RoomId>;
}

/// The state of the shared queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// Why it cannot be used; none while it can.
    pub down: Option<Down>,
    /// How long ago this instance last had all events of the others.
    pub event_lag: std::time::Duration,
    /// How many times this instance has rebuilt a line from its rows.
    pub rebuilds: u64,
}

/// Why the shared queue cannot be used. The log says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Down {
    /// It does not answer, or refuses this instance.
    #[error("it cannot be reached")]
    Unreachable,
    /// It takes no writes.
    #[error("its memory is full")]
    Full,
}

/// Whether an instance leads a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leadership {
    /// It does, under this fence.
    Leader(Fence),
    /// Another instance does, or none.
    Follower,
}

/// The shared queue could not be reached. The text is for the log, never for a client.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the shared queue is unavailable: {0}")]
pub struct QueueError(pub String);
