//! The texts of enum values in every database.

use frontrow_domain::{
    line::{CountedFrom, DrawStatus, EndReason, Gate, LaneEntry, TokenStatus},
    outbox::Consumer,
    points::{DebtStatus, PointKind},
    sale::{AgeRating, Closing, ConcertStatus, PaymentStatus, ReservationStatus, SeatStatus},
    user::{LinkKind, Role, UserStatus},
};

/// An enum that is stored as text.
pub(super) trait EnumText: Copy + 'static {
    /// The text of this value.
    fn word(self) -> &'static str;
    /// The value of a text.
    fn from_text(word: &str) -> Option<Self>;
}

macro_rules! enum_text {
    ($type:ident: $($variant:ident = $word:literal),+) => {
        impl EnumText for $type {
            fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            fn from_text(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

impl EnumText for Consumer {
    fn word(self) -> &'static str {
        self.name()
    }

    fn from_text(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|consumer| consumer.name() == word)
    }
}

enum_text!(Role: Buyer = "buyer", Operator = "operator", Viewer = "viewer");
enum_text!(UserStatus: Active = "active", Locked = "locked", Erased = "erased");
enum_text!(LinkKind: PasswordReset = "password_reset", EmailConfirmation = "email_confirmation");
enum_text!(Gate: Open = "open", Paused = "paused");
enum_text!(LaneEntry: Open = "open", Ended = "ended");
enum_text!(CountedFrom: Start = "start", Later = "later");
enum_text!(ConcertStatus:
    Scheduled = "scheduled", Closed = "closed", Postponed = "postponed", Cancelled = "cancelled", Over = "over");
enum_text!(AgeRating: All = "all", From7 = "7", From12 = "12", From15 = "15", From19 = "19");
enum_text!(Closing: WithStart = "with_start", Apart = "apart");
enum_text!(SeatStatus: Available = "available", Held = "held", Sold = "sold", Blocked = "blocked");
enum_text!(PaymentStatus: Completed = "completed", Refunded = "refunded");
enum_text!(PointKind: TopUp = "top_up", Use = "use", Refund = "refund", Adjustment = "adjustment");
enum_text!(DebtStatus: Open = "open", Collected = "collected", Waived = "waived");
enum_text!(EndReason:
    Paid = "paid", Left = "left", Expired = "expired", Missed = "missed", ConcertOver = "concert_over",
    Drawn = "drawn", Removed = "removed", RoomClosed = "room_closed");
enum_text!(DrawStatus:
    None = "none", Lobby = "lobby", Sealed = "sealed", Placing = "placing", Placed = "placed");
enum_text!(TokenStatus:
    Waiting = "waiting", Dormant = "dormant", Offered = "offered", Missed = "missed", Active = "active",
    Ended = "ended");
enum_text!(ReservationStatus:
    Pending = "pending", Confirmed = "confirmed", Cancelled = "cancelled", Expired = "expired",
    Refunded = "refunded");
