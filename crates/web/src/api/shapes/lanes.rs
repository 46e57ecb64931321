//! Lanes beside a line.

use frontrow_domain::{
    id::RoomId,
    line::{LaneEntry, LaneKind, LaneOf, LaneShare},
};
use frontrow_service::line::ShownLane;
use serde::Serialize;
use utoipa::ToSchema;

/// What becomes of the places that a lane or its line does not need.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::api) enum UnusedPlaces {
    /// The other lines of the room have them.
    GoToTheOtherLines,
}

/// A lane beside a line: a line of its own, for accounts on a list of the operators.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Lane)]
pub(in crate::api) struct LaneShape {
    /// Whom it is for.
    kind: LaneKind,
    /// Its part of the room's places and turns while all of the room's lines are in demand, in per cent.
    share_percent: LaneShare,
    /// Whether it takes new tokens.
    entry: LaneEntry,
    /// What becomes of places that it does not need, and of those that the others do not need.
    unused_places: UnusedPlaces,
}

impl From<ShownLane> for LaneShape {
    fn from(ShownLane { kind, share, entry }: ShownLane) -> Self {
        Self { kind, share_percent: share, entry, unused_places: UnusedPlaces::GoToTheOtherLines }
    }
}

/// What makes a room a lane.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = LaneOf)]
pub(in crate::api) struct LaneOfShape {
    /// The room of the general line, whose settings the lane follows.
    room_id: RoomId,
    /// Whom it is for.
    kind: LaneKind,
    /// Its part of the room's places and turns while all of the room's lines are in demand, in per cent.
    share_percent: LaneShare,
    /// Whether it takes new tokens.
    entry: LaneEntry,
}

impl From<LaneOf> for LaneOfShape {
    fn from(LaneOf { room, kind, share, entry }: LaneOf) -> Self {
        Self { room_id: room, kind, share_percent: share, entry }
    }
}
