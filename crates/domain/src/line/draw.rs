//! The draw of a lobby: who comes before the opening waits in the lobby, and the order of all of them is drawn at the
//! opening.
//!
//! An entry is the waiting token of somebody in the lobby; its number is its position. Once the lobby is sealed, no
//! token is an entry any more, and as many positions as there were stay reserved behind it. The order is
//! [drawn](frontrow_draw::draw_order) from a secret that was committed to before, the entries, and if the draw has a
//! beacon, a value that did not exist before the lobby was sealed. Each entry's token then ends, and a new token waits
//! at the reserved position of its rank. So tokens that come after the seal wait behind all who were there before.

use super::EntrySet;
use crate::{
    id::{Position, RoomId, TokenId},
    time::{Span, Time},
};
use frontrow_draw::{BeaconRound, BeaconSignature, Chain, Digest, DrawSecret, draw_order, entry_key};
use serde::{Deserialize, Serialize};

/// The order in which the tokens of a line wait that come before its sale opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OpeningOrder {
    /// As they come.
    #[default]
    FirstCome,
    /// As drawn at the opening: they wait in a lobby until then.
    Draw,
}

/// How many entries one command places at most.
pub const ENTRIES_PER_PLACING_MAX: usize = 2_000;

/// How a line begins: in order of coming, or with a draw, and how far that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrawPhase {
    /// No draw: tokens wait in the order of coming.
    #[default]
    None,
    /// The lobby is open: every waiting token is an entry.
    Lobby,
    /// The lobby is closed, and the order is not drawn yet.
    Sealed {
        /// The highest position that was given before the seal. As many positions behind it are reserved.
        last: Position,
    },
    /// The order is drawn, and the entries get their places.
    Placing {
        /// As in [`Self::Sealed`].
        last: Position,
        /// How many entries were drawn.
        entries: i64,
        /// How many of them have their place, or left before they had it.
        placed: i64,
        /// The last of these; 0 before the first.
        placed_entry: Position,
    },
    /// All entries have their places.
    Placed {
        /// As in [`Self::Sealed`].
        last: Position,
        /// How many entries were drawn.
        entries: i64,
    },
}

/// A phase without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DrawStatus {
    /// [`DrawPhase::None`].
    None,
    /// [`DrawPhase::Lobby`].
    Lobby,
    /// [`DrawPhase::Sealed`].
    Sealed,
    /// [`DrawPhase::Placing`].
    Placing,
    /// [`DrawPhase::Placed`].
    Placed,
}

impl DrawPhase {
    /// The phase of these columns of a room's row.
    #[must_use]
    pub const fn of(status: DrawStatus, last: Position, entries: i64, placed: i64, placed_entry: Position) -> Self {
        match status {
            DrawStatus::None => Self::None,
            DrawStatus::Lobby => Self::Lobby,
            DrawStatus::Sealed => Self::Sealed { last },
            DrawStatus::Placing => Self::Placing { last, entries, placed, placed_entry },
            DrawStatus::Placed => Self::Placed { last, entries },
        }
    }

    /// The phase without its data.
    #[must_use]
    pub const fn status(&self) -> DrawStatus {
        match self {
            Self::None => DrawStatus::None,
            Self::Lobby => DrawStatus::Lobby,
            Self::Sealed { .. } => DrawStatus::Sealed,
            Self::Placing { .. } => DrawStatus::Placing,
            Self::Placed { .. } => DrawStatus::Placed,
        }
    }

    /// How many entries were drawn; 0 before.
    #[must_use]
    pub const fn entries(&self) -> i64 {
        match self {
            Self::None | Self::Lobby | Self::Sealed { .. } => 0,
            Self::Placing { entries, .. } | Self::Placed { entries, .. } => *entries,
        }
    }

    /// How many of the entries have their place, or left before they had it.
    #[must_use]
    pub const fn placed(&self) -> i64 {
        match self {
            Self::None | Self::Lobby | Self::Sealed { .. } => 0,
            Self::Placing { placed, .. } => *placed,
            Self::Placed { entries, .. } => *entries,
        }
    }

    /// The last entry that got its place, while the others have none; 0 otherwise.
    #[must_use]
    pub const fn placed_entry(&self) -> Position {
        match self {
            Self::Placing { placed_entry, .. } => *placed_entry,
            Self::None | Self::Lobby | Self::Sealed { .. } | Self::Placed { .. } => Position(0),
        }
    }

    /// The order of tokens that come before the opening.
    #[must_use]
    pub const fn opening_order(&self) -> OpeningOrder {
        match self {
            Self::None => OpeningOrder::FirstCome,
            Self::Lobby | Self::Sealed { .. } | Self::Placing { .. } | Self::Placed { .. } => OpeningOrder::Draw,
        }
    }

    /// The highest position that was given before the lobby was sealed; none before that, and without a draw.
    #[must_use]
    pub const fn last_entry(&self) -> Option<Position> {
        match self {
            Self::None | Self::Lobby => None,
            Self::Sealed { last } | Self::Placing { last, .. } | Self::Placed { last, .. } => Some(*last),
        }
    }

    /// Whether a draw stands between the line and its first turn: its lobby is open, or not all entries have their
    /// places.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        matches!(self, Self::Lobby | Self::Sealed { .. } | Self::Placing { .. })
    }

    /// Whether the waiting token at this position is an entry whose order is not drawn yet.
    #[must_use]
    pub fn is_undrawn(&self, position: Position) -> bool {
        match self {
            Self::Lobby => true,
            Self::Sealed { last } => position <= *last,
            Self::None | Self::Placing { .. } | Self::Placed { .. } => false,
        }
    }

    /// Whether this position is the number of an entry, which is no place in line: also after the draw, and of an entry
    /// that left.
    #[must_use]
    pub fn is_entry_number(&self, position: Position) -> bool {
        matches!(self, Self::Lobby) || self.last_entry().is_some_and(|last| position <= last)
    }

    /// How many positions that get a token are in front of `position`.
    #[must_use]
    pub fn in_front_of(&self, position: Position) -> i64 {
        let before = position.0.saturating_sub(1).max(0);
        match self.reserved() {
            Some(ReservedPositions { used_to, end, .. }) if position > end => {
                before.saturating_sub(end.0).saturating_add(used_to.0.saturating_sub(end.0 / 2))
            }
            Some(ReservedPositions { end, .. }) if position.0 > end.0 / 2 => before.saturating_sub(end.0 / 2),
            _ => before,
        }
    }

    /// Whether a position has no token yet and gets one by the draw.
    #[must_use]
    pub fn awaits_token(&self, position: Position) -> bool {
        self.reserved().is_some_and(|reserved| reserved.placed_to < position && position <= reserved.used_to)
    }

    /// The reserved positions that will get no token, as far as that is known: those behind the last rank. And the
    /// first one that has none yet, though it will.
    #[must_use]
    pub const fn reserved(&self) -> Option<ReservedPositions> {
        let (last, entries, placed) = match *self {
            Self::None | Self::Lobby => return None,
            Self::Sealed { last } => (last, last.0, 0),
            Self::Placing { last, entries, placed, .. } => (last, entries, placed),
            Self::Placed { last, entries } => (last, entries, entries),
        };
        Some(ReservedPositions {
            placed_to: Position(last.0.saturating_add(placed)),
            used_to: Position(last.0.saturating_add(entries)),
            end: Position(last.0.saturating_add(last.0)),
        })
    }
}

/// The positions that a sealed lobby reserved behind its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReservedPositions {
    /// Up to here they have their tokens.
    pub placed_to: Position,
    /// Up to here they have or will have tokens.
    pub used_to: Position,
    /// The last reserved one.
    pub end: Position,
}

/// The beacon of a draw, and how long the draw waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeaconWait {
    /// The chain whose round counts.
    pub chain: Chain,
    /// How long the draw waits for the round's signature, from the moment on at which the entries are fixed. Then the
    /// secret alone decides; at once if it is zero.
    pub patience: Span,
}

/// The entries of a sealed lobby.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedEntries {
    /// When the entries were fixed.
    pub sealed_at: Time,
    /// The entries.
    pub entered: EntrySet,
    /// The root of the Merkle tree of the entries, by number.
    pub root: Digest,
    /// The beacon's round whose value counts: the first one after that.
    pub round: BeaconRound,
}

/// The result of a draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrawResult {
    /// When the order was drawn.
    pub drawn_at: Time,
    /// The signature of the beacon's round; none if the secret alone decided.
    pub signature: Option<BeaconSignature>,
    /// The seed from which the order follows.
    pub seed: Digest,
}

/// The draw of a room's lobby.
#[derive(Clone, PartialEq, Eq)]
pub struct Draw {
    /// The room.
    pub room_id: RoomId,
    /// The secret. It is published after the draw, its hash before.
    pub secret: DrawSecret,
    /// When the hash of the secret was committed to.
    pub begun_at: Time,
    /// The beacon.
    pub beacon: BeaconWait,
    /// The entries, once they are fixed.
    pub sealed: Option<SealedEntries>,
    /// The result, once there is one.
    pub result: Option<DrawResult>,
}

impl std::fmt::Debug for Draw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { room_id, begun_at, result, .. } = self;
        f.debug_struct("Draw")
            .field("room_id", room_id)
            .field("begun_at", begun_at)
            .field("result", result)
            .finish_non_exhaustive()
    }
}

impl Draw {
    /// When the draw waits no longer for its beacon; none before the entries are fixed.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.sealed.as_ref().map(|sealed| sealed.sealed_at.plus(self.beacon.patience))
    }

    /// The first round of the beacon after a moment.
    #[must_use]
    pub fn round_after(&self, at: Time) -> BeaconRound {
        self.beacon.chain.round_after(at.micros().div_euclid(1_000_000))
    }

    /// The entries in their drawn order; none before the draw. A million take about half a second.
    #[must_use]
    pub fn order(&self) -> Option<Vec<Position>> {
        let (sealed, result) = (self.sealed.as_ref()?, self.result.as_ref()?);
        let order = draw_order(result.seed, sealed.entered.iter().map(|position| position.0));
        Some(order.into_iter().map(Position).collect())
    }

    /// Whether these entries are the next ones in the drawn order behind `placed`, the last placed one (0 before the
    /// first): each is in the draw, and the hashes that order them rise from that of the last placed one on. Since the
    /// entries are as many as the ranks, no other order passes.
    #[must_use]
    pub fn are_next(&self, placed: Position, entries: &[Position]) -> bool {
        let (Some(sealed), Some(result)) = (&self.sealed, &self.result) else { return false };
        let key = |entry: &Position| (entry_key(result.seed, entry.0), entry.0);
        let mut before = Some(placed).filter(|entry| entry.0 > 0).map(|entry| key(&entry));
        entries.iter().all(|entry| {
            let this = key(entry);
            let rises = before.as_ref().is_none_or(|before| *before < this);
            before = Some(this);
            rises && sealed.entered.contains(*entry)
        })
    }
}

/// The position of a drawn entry: its rank behind the positions of the lobby. `rank` counts from 1.
#[must_use]
pub const fn drawn_position(last: Position, rank: i64) -> Position {
    Position(last.0.saturating_add(rank))
}

/// The token that an entry gets by the draw.
#[must_use]
pub const fn drawn_token(room_id: RoomId, last: Position, rank: i64) -> TokenId {
    TokenId { room_id, position: drawn_position(last, rank) }
}
