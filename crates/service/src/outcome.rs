//! The value that a call answers with, taken from the outcome of its command.

use frontrow_domain::{
    command::{Issue, Outcome},
    id::SeatId,
    line::{Pass, Room, Token},
    outbox::OutboxEvent,
    points::{Debt, PointEntry},
    sale::{Concert, Payment, Reservation},
    time::Time,
    user::User,
};

/// A type that [`BoxOffice::ask`](crate::office::BoxOffice::ask) can answer with.
pub(crate) trait FromOutcome: Sized {
    /// The value of an outcome; none if the outcome is that of another kind of command.
    fn from_outcome(outcome: Outcome) -> Option<Self>;
}

/// For a call that answers nothing but that it was done.
impl FromOutcome for () {
    fn from_outcome(_: Outcome) -> Option<Self> {
        Some(())
    }
}

/// The effect of one advance of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Advance {
    pub(crate) activated: u32,
    pub(crate) offered: u32,
    pub(crate) made_dormant: u32,
    /// Tokens that changed state by their deadline, or ended with their line.
    pub(crate) overdue: u32,
}

/// The result of a correction of a balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjusted {
    /// The history's new entry; none if the balance was 0 and nothing could be taken.
    pub entry: Option<PointEntry>,
    /// The debt, if not all could be taken.
    pub debt: Option<Debt>,
}

/// How many holds were swept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Swept(pub(crate) u32);

/// The events that a worker has claimed; none if another process has the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimedEvents(pub(crate) Option<Vec<OutboxEvent>>);

/// The events whose delivery failed, as they stand after a settlement; none if another process has the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PutOffEvents(pub(crate) Option<Vec<OutboxEvent>>);

/// The part of a cancelled concert that was wound up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WoundUp {
    /// Unpaid seats that were blocked.
    pub(crate) seats: u32,
    /// Payments that were refunded.
    pub(crate) refunds: u32,
}

/// Seats that were added: their ids follow the first one without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddedSeats {
    pub first_seat_id: SeatId,
    pub count: u32,
}

/// How many seats were blocked, freed, changed or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetSeats(pub u32);

macro_rules! from_outcome {
    ($($type:ty: $($pattern:pat_param => $value:expr),+;)+) => {$(
        impl FromOutcome for $type {
            fn from_outcome(outcome: Outcome) -> Option<Self> {
                match outcome {
                    $($pattern => Some($value),)+
                    _ => None,
                }
            }
        }
    )+};
}

from_outcome! {
    User: Outcome::Registered(user) => user, Outcome::User(user) => user;
    Time: Outcome::SignedIn { expires_at, .. } => expires_at, Outcome::LinkIssued { expires_at } => expires_at;
    (Token, Issue): Outcome::Joined { token, issue } => (token, issue);
    Token: Outcome::Token(token) => token, Outcome::TurnPending(token) => token;
    Pass: Outcome::Pass(pass) => pass;
    Advance:
        Outcome::Advanced { activated, offered, made_dormant, overdue } => Self { activated, offered, made_dormant, overdue },
        // A later leader has moved the line.
        Outcome::Superseded { .. } => Self::default();
    Vec<Reservation>: Outcome::Held(reservations) => reservations;
    Reservation: Outcome::Cancelled(reservation) => reservation;
    Swept: Outcome::HoldsExpired(count) => Self(count);
    Vec<Payment>: Outcome::Paid(payments) => payments;
    Payment: Outcome::Refunded(payment) => payment;
    PointEntry: Outcome::ToppedUp(entry) => entry;
    Adjusted: Outcome::Adjusted { entry, debt } => Self { entry, debt };
    Debt: Outcome::Debt(debt) => debt;
    Concert: Outcome::Concert(concert) => concert;
    WoundUp: Outcome::WoundUp { seats, refunds } => Self { seats, refunds };
    AddedSeats: Outcome::SeatsAdded { first_seat_id, count } => Self { first_seat_id, count };
    SetSeats: Outcome::SeatsSet(count) => Self(count);
    Room: Outcome::Room(room) => room;
    ClaimedEvents: Outcome::Claimed(events) => Self(Some(events)), Outcome::LeaseTaken { .. } => Self(None);
    PutOffEvents: Outcome::Settled(events) => Self(Some(events)), Outcome::LeaseTaken { .. } => Self(None);
    OutboxEvent: Outcome::Event(event) => event;
}
