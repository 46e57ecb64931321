//! Lanes: waiting rooms of their own beside a general line, for accounts on a list.

use super::ContradictoryColumns;
use crate::{
    id::{RoomId, UserId},
    time::Time,
};
use serde::{Deserialize, Serialize};

/// So many per cent of the places at most belong to the lanes of a line together: half of them stay with the line that
/// every account may join.
pub const LANE_SHARES_MAX: i64 = 50;

/// Whom a lane is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LaneKind {
    /// Invited guests.
    Invitation,
    /// Visitors who cannot stand in a line, or need a seat that suits them.
    Accessibility,
}

impl LaneKind {
    /// All kinds, in the order in which a guest of several gets a lane: the one that a guest needs comes first.
    pub const ALL: [Self; 2] = [Self::Accessibility, Self::Invitation];

    /// The kind's part of a room's number.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::Invitation => 1,
            Self::Accessibility => 2,
        }
    }

    /// The kind with this part of a room's number.
    #[must_use]
    pub const fn of_number(number: i64) -> Option<Self> {
        match number {
            1 => Some(Self::Invitation),
            2 => Some(Self::Accessibility),
            _ => None,
        }
    }
}

/// The part of the places that a lane has while it and the other lines are all in demand, in per cent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = i64, minimum = 1, maximum = 50, example = 10))]
#[serde(try_from = "i64", into = "i64")]
pub struct LaneShare(i64);

impl LaneShare {
    /// In per cent.
    #[must_use]
    pub const fn percent(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for LaneShare {
    type Error = &'static str;

    fn try_from(percent: i64) -> Result<Self, Self::Error> {
        if (1..=LANE_SHARES_MAX).contains(&percent) {
            Ok(Self(percent))
        } else {
            Err("a share is from 1 to 50 per cent")
        }
    }
}

impl From<LaneShare> for i64 {
    fn from(share: LaneShare) -> Self {
        share.0
    }
}

/// Whether a lane takes new tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LaneEntry {
    /// Its guests join it.
    Open,
    /// Its guests join the general line. Tokens in the lane keep their places, and what they do not need is the general
    /// line's.
    Ended,
}

/// What makes a room a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneOf {
    /// The room of the general line.
    pub room: RoomId,
    /// Whom it is for.
    pub kind: LaneKind,
    /// Its part of the places.
    pub share: LaneShare,
    /// Whether it takes new tokens.
    pub entry: LaneEntry,
}

impl LaneOf {
    /// The lane of a room's row: a room with the number of a lane has both columns, and any other none.
    ///
    /// # Errors
    /// The columns belong to no lane.
    pub fn of_columns(
        id: RoomId,
        share: Option<i64>,
        entry: Option<LaneEntry>,
    ) -> Result<Option<Self>, ContradictoryColumns> {
        let broken = ContradictoryColumns { table: "room" };
        match (id.lane_kind(), share, entry) {
            (None, None, None) if !id.is_lane() => Ok(None),
            (Some(kind), Some(share), Some(entry)) => {
                let share = share.try_into().map_err(|_| broken)?;
                Ok(Some(Self { room: id.general(), kind, share, entry }))
            }
            _ => Err(broken),
        }
    }
}

/// An account that may join a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneGuest {
    /// The room of the lane.
    pub room_id: RoomId,
    /// The user.
    pub user_id: UserId,
    /// The operator who put the account on the list; none for the box office itself.
    pub added_by: Option<UserId>,
    /// Since when.
    pub added_at: Time,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{CONCERTS_MAX, ConcertId, SITES_MAX};

    #[test]
    fn the_number_of_a_lane_tells_its_line_and_kind_and_no_two_are_the_same() {
        let generals = [0, 1, 2, CONCERTS_MAX, CONCERTS_MAX.saturating_add(1), SITES_MAX].map(RoomId::new);
        let mut seen = std::collections::HashSet::new();
        for general in generals {
            assert!(!general.is_lane() && general.lane_kind().is_none() && general.general() == general);
            for kind in LaneKind::ALL {
                let lane = general.lane(kind);
                assert_eq!((lane.is_lane(), lane.lane_kind(), lane.general()), (true, Some(kind), general));
                assert_eq!((lane.concert(), lane.is_of_site()), (general.concert(), general.is_of_site()));
                assert_eq!(lane.lane(kind), lane, "the lane beside a lane is beside its line");
                assert!(lane.get() <= crate::id::ID_MAX && seen.insert(lane));
            }
        }
        assert_eq!(RoomId::new(7).lane(LaneKind::Invitation).concert(), Some(ConcertId::new(7)));
    }

    #[test]
    fn a_row_is_a_lane_by_its_number_and_has_both_columns_or_none() {
        let lane = RoomId::new(7).lane(LaneKind::Accessibility);
        let read = LaneOf::of_columns(lane, Some(20), Some(LaneEntry::Open)).unwrap().unwrap();
        assert_eq!((read.room, read.kind, read.share.percent()), (RoomId::new(7), LaneKind::Accessibility, 20));
        assert_eq!(LaneOf::of_columns(RoomId::new(7), None, None), Ok(None));
        for (id, share, entry) in [
            (lane, None, None),
            (lane, Some(0), Some(LaneEntry::Open)),
            (lane, Some(51), Some(LaneEntry::Open)),
            (lane, Some(20), None),
            (RoomId::new(7), Some(20), Some(LaneEntry::Open)),
            (RoomId::new(SITES_MAX.saturating_add(3)), None, None),
        ] {
            assert!(LaneOf::of_columns(id, share, entry).is_err(), "{id} {share:?} {entry:?}");
        }
    }
}
