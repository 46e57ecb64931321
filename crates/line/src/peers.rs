//! The port to the other instances over the same database. It never decides, it distributes: every token is a row in
//! the store before a client sees it, and all of this can be rebuilt from the rows.

use crate::lines::{CarriedSign, HeardSince, Lines, Rebuild};
use async_trait::async_trait;
use frontrow_domain::{
    changes::Changes,
    id::{Position, ReservationId, RoomId, TokenId},
    line::{Fence, SilentToken, Token},
    policy::Policy,
    time::{Span, Time},
};
use frontrow_storage::{Line, SavedLineRecord, Sharing};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// The port to the other instances. Every change of a line goes through here, in the order of the commits; an
/// implementation applies it to the lines of this process, and lets the other instances know.
///
/// Every implementation passes the conformance suite in `tests/conformance`.
#[async_trait]
pub trait Peers: std::fmt::Debug + Send + Sync + 'static {
    /// The lines that are kept up to date: readers ask them directly.
    fn lines(&self) -> &Arc<Lines>;

    /// Whether other instances commit to these lines, too; then commits may come in any order.
    fn sharing(&self) -> Sharing;

    /// Builds a room's line from its rows. Every token in it counts as just seen; but in a line that is taken up, which was
    /// not loaded, what was kept of it holds on: silent tokens are silent, and its pace is as it was measured.
    async fn rebuild(&self, line: Line, rebuild: Rebuild);

    /// Loads rooms without live tokens, all at once. Returns the rooms whose views disagree: their rows must be read
    /// whole, and given to [`Peers::rebuild`].
    fn load_quiet_rooms(&self, lines: &[Line]) -> Vec<RoomId>;

    /// Applies the changes of a committed batch and publishes them. Called in the order of the commits; never waits.
    fn publish(&self, changes: &Changes);

    /// Announces that commits may be unpublished, so that the other instances read the rows.
    fn announce_gap(&self);

    /// Notes that the views of these rooms may be old, so that they are soon refreshed from the rows.
    fn request_refresh(&self, rooms: Vec<RoomId>);

    /// The unresponsive tokens from the head on, in order: see [`Lines::unresponsive`]. Empty until the heartbeats of
    /// the other instances are known: a token whose client may be polling is not made dormant.
    fn unresponsive(&self, room: RoomId, limit: u32, since: HeardSince) -> Vec<SilentToken>;

    /// What is known of the clients of these tokens, each with the position where the token goes on, for
    /// [`Lines::carry_over`]: a draw gives entries other positions. Nothing of a token whose client may be polling another instance: it counts as just seen
    /// where it goes on.
    fn signs_of_life(&self, room: RoomId, moves: &[(Position, Position)]) -> Vec<CarriedSign>;

    /// What is to be kept at `now` of a line that this instance leads, for an instance that takes the line up; none of
    /// one that it does not lead. See [`SavedLineRecord`].
    fn line_record(&self, room: RoomId, now: Time, policy: &Policy) -> Option<SavedLineRecord>;

    /// Takes reservations whose hold is over at `now`, at most `limit`; each is handed to one caller once.
    ///
    /// # Errors
    /// The deadlines are out of reach.
    async fn take_due_holds(&self, now: Time, limit: u32) -> Result<Vec<ReservationId>, PeersError>;

    /// Adds hold deadlines that were not published, such as those found in the store at start.
    fn add_hold_deadlines(&self, holds: &[(Time, ReservationId)]);

    /// Whether this instance leads each room's line for the next `term`, in the order of `rooms`. A leader's fence is
    /// at least the one given with the room, the highest that its row is known to have.
    async fn lead(&self, rooms: &[(RoomId, Fence)], term: Span) -> Vec<Leadership>;

    /// Leaves a line that this instance cannot move to the others for a while.
    fn leave(&self, room: RoomId);

    /// The shared copy of a token that this instance's view lacks; none if nothing is shared.
    ///
    /// # Errors
    /// The copies are out of reach.
    async fn token(&self, id: TokenId) -> Result<Option<Token>, PeersError>;

    /// Gives the other instances this instance's figures in place of its last ones, and returns theirs as they last gave
    /// them: one round trip, once a second. The figures of `gone` instances are removed for all. Figures end with
    /// [`Peers::shutdown`]; those of an instance that was killed stay as they were. Nothing is kept of them but the last,
    /// and nothing is decided by them.
    ///
    /// # Errors
    /// What instances share is out of reach.
    async fn exchange_figures(&self, own: &[u8], gone: &[Uuid]) -> Result<Vec<PeerFigures>, PeersError>;

    /// The state of what is shared; none if nothing is.
    fn status(&self) -> Option<PeerStatus>;

    /// Publishes pending changes, releases leases that others would wait for, and removes this instance's figures. Called
    /// last, when the server stops.
    async fn shutdown(&self);
}

/// The state of what instances share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// Why it cannot be used; none while it can.
    pub down: Option<Down>,
    /// How long ago this instance last had all events of the others.
    pub event_lag: Duration,
    /// How many times this instance has rebuilt a line from its rows.
    pub rebuilds: u64,
}

/// The figures of another instance, as it last gave them: see [`Peers::exchange_figures`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerFigures {
    /// The instance: new at every start.
    pub instance: Uuid,
    /// What it gave. Another version of the program may write it otherwise.
    pub bytes: Vec<u8>,
}

/// Why the state that instances share cannot be used. The log says more.
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

/// The state that instances share could not be reached. The text is for the log, never for a client.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the exchange with other instances is unavailable: {0}")]
pub struct PeersError(pub String);
