//! The words that databases keep enum values as: the same in every store.

use frontrow_domain::{
    concert::{Closing, ConcertStatus},
    payment::PaymentStatus,
    points::{DebtStatus, PointKind},
    queue::{EndReason, Gate, TokenStatus},
    reservation::ReservationStatus,
    seat::SeatStatus,
    user::{Role, UserStatus},
};

/// An enum that is stored as a word.
pub(super) trait Word: Copy + 'static {
    /// The word of this value.
    fn word(self) -> &'static str;
    /// The value of a word.
    fn of_word(word: &str) -> Option<Self>;
}

macro_rules! words {
    ($type:ident: $($variant:ident = $word:literal),+) => {
        impl Word for $type {
            fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            fn of_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

words!(Role: Buyer = "buyer", Operator = "operator");
words!(UserStatus: Active = "active", Locked = "locked", Erased = "erased");
words!(Gate: Open = "open", Paused = "paused");
words!(ConcertStatus:
    Scheduled = "scheduled", Closed = "closed", Postponed = "postponed", Cancelled = "cancelled", Over = "over");
words!(Closing: WithStart = "with_start", Apart = "apart");
words!(SeatStatus: Available = "available", Held = "held", Sold = "sold", Blocked = "blocked");
words!(PaymentStatus: Completed = "completed", Refunded = "refunded");
words!(PointKind: Charge = "charge", Use = "use", Refund = "refund", Adjustment = "adjustment");
words!(DebtStatus: Open = "open", Collected = "collected", Waived = "waived");
words!(EndReason: Paid = "paid", Left = "left", Expired = "expired", Missed = "missed");
words!(TokenStatus:
    Waiting = "waiting", Dormant = "dormant", Offered = "offered", Missed = "missed", Active = "active",
    Ended = "ended");
words!(ReservationStatus:
    Pending = "pending", Confirmed = "confirmed", Cancelled = "cancelled", Expired = "expired",
    Refunded = "refunded");
