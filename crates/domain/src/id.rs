//! Typed identifiers: a seat's id cannot be passed as a reservation's.

use crate::line::LaneKind;
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use uuid::Uuid;

/// The largest number an id may have in JSON: 2^53 − 1, which every client can hold exactly.
pub const ID_MAX: i64 = 9_007_199_254_740_991;

/// No concert has a higher number: the rooms of other sites have theirs above it.
pub const CONCERTS_MAX: i64 = 1_000_000_000;

/// No room of another site has a higher number: lanes have theirs above it.
pub const SITES_MAX: i64 = 2_000_000_000;

/// How many numbers are kept for the lanes of each line.
const LANE_NUMBERS: i64 = 16;

macro_rules! numeric_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "openapi", schema(value_type = i64, minimum = 1, maximum = 9_007_199_254_740_991_i64, example = 1))]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// Wraps a number that is known to be an id, such as one read from a store.
            #[must_use]
            pub const fn new(value: i64) -> Self {
                Self(value)
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = &'static str;

            fn try_from(value: i64) -> Result<Self, Self::Error> {
                if (1..=ID_MAX).contains(&value) {
                    Ok(Self(value))
                } else {
                    Err("an id is a whole number from 1 to 9007199254740991")
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::try_from(i64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

numeric_id!(
    /// A concert: one performance, on one date, at one venue.
    ConcertId
);
numeric_id!(
    /// A seat of one concert.
    SeatId
);
numeric_id!(
    /// A reservation of one seat by one user.
    ReservationId
);
numeric_id!(
    /// A payment for one reservation.
    PaymentId
);
numeric_id!(
    /// A user's point account.
    PointId
);
numeric_id!(
    /// One entry of a user's point history.
    HistoryId
);
numeric_id!(
    /// A user's debt.
    DebtId
);
numeric_id!(
    /// One line of the operators' audit log.
    AuditId
);
numeric_id!(
    /// One event of the outbox.
    EventId
);
numeric_id!(
    /// A place in the feed of the audit log.
    FeedNumber
);

/// A user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid", example = "0193f3c4-5a6b-7c8d-9e0f-112233445566"))]
#[serde(transparent)]
pub struct UserId(pub Uuid);

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = Cow::<str>::deserialize(deserializer)?.parse();
        id.map(Self).map_err(|_| serde::de::Error::custom("a user is a UUID"))
    }
}

impl std::fmt::Display for UserId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A session, without its secret: the first half of the secret's SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid", example = "5d41402a-bc4b-2a76-b971-9d911017c592"))]
#[serde(transparent)]
pub struct SessionId(pub Uuid);

impl SessionId {
    /// The id of the session with this hash of its secret.
    #[must_use]
    pub const fn of(secret_hash: [u8; 32]) -> Self {
        let [half @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = secret_hash;
        Self(Uuid::from_bytes(half))
    }
}

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A waiting room: 0 is the house room, one up to [`CONCERTS_MAX`] the room of the concert with that number, one up to
/// [`SITES_MAX`] a room without a concert, in front of another site, and one above that a lane beside the line of one of
/// these, whose number it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = i64, minimum = 0, maximum = 9_007_199_254_740_991_i64, example = 0))]
#[serde(transparent)]
pub struct RoomId(i64);

impl RoomId {
    /// The room that always exists, used by every concert without a room of its own.
    pub const HOUSE: Self = Self(0);

    /// Wraps a number that is known to be a room's.
    #[must_use]
    pub const fn new(value: i64) -> Self {
        Self(value)
    }

    /// The id of the concert's own room, if it has one.
    #[must_use]
    pub const fn of_concert(concert: ConcertId) -> Self {
        Self(concert.0)
    }

    /// The room without a concert of this number, from 1.
    #[must_use]
    pub const fn of_site(number: i64) -> Self {
        Self(CONCERTS_MAX.saturating_add(number))
    }

    /// Whether its line leads to another site and to no concert: a room of a site, or a lane beside its line.
    #[must_use]
    pub const fn is_of_site(self) -> bool {
        self.general().0 > CONCERTS_MAX
    }

    /// The concert whose own room this is, or beside whose line it is a lane; none for the house room and for a room of
    /// another site.
    #[must_use]
    pub const fn concert(self) -> Option<ConcertId> {
        let general = self.general();
        if general.0 == 0 || general.is_of_site() { None } else { Some(ConcertId(general.0)) }
    }

    /// The lane of this kind beside the general line of this room.
    #[must_use]
    pub const fn lane(self, kind: LaneKind) -> Self {
        let first = SITES_MAX.saturating_add(self.general().0.saturating_mul(LANE_NUMBERS));
        Self(first.saturating_add(kind.number()))
    }

    /// Whether it is a lane beside the line of another room.
    #[must_use]
    pub const fn is_lane(self) -> bool {
        self.0 > SITES_MAX
    }

    /// What kind of lane it is, if it is one.
    #[must_use]
    pub const fn lane_kind(self) -> Option<LaneKind> {
        if self.is_lane() {
            LaneKind::of_number(self.0.saturating_sub(SITES_MAX).wrapping_rem(LANE_NUMBERS))
        } else {
            None
        }
    }

    /// The room of the general line, beside which this is a lane; of any other room itself. A token of either is good for
    /// the same sale.
    #[must_use]
    pub const fn general(self) -> Self {
        if self.is_lane() { Self(self.0.saturating_sub(SITES_MAX).wrapping_div(LANE_NUMBERS)) } else { self }
    }

    /// The general line and all lanes that there may be beside it.
    #[must_use]
    pub const fn with_lanes(self) -> [Self; 3] {
        [self.general(), self.lane(LaneKind::Invitation), self.lane(LaneKind::Accessibility)]
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for RoomId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = i64::deserialize(deserializer)?;
        if (0..=ID_MAX).contains(&value) {
            Ok(Self(value))
        } else {
            Err(serde::de::Error::custom("a room is a whole number from 0 to 9007199254740991"))
        }
    }
}

impl std::fmt::Display for RoomId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in a room's line: strictly increasing in the order of issue, gaps allowed, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = i64, minimum = 1, example = 42))]
#[serde(transparent)]
pub struct Position(pub i64);

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A token's room and position. The string that clients get is this, signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TokenId {
    /// The room the token waits in.
    pub room_id: RoomId,
    /// The token's position in the line.
    pub position: Position,
}

impl std::fmt::Display for TokenId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.room_id, self.position)
    }
}
