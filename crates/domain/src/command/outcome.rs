//! The results of commands.

use crate::{
    id::SeatId,
    line::{Pass, Room, Token},
    outbox::OutboxEvent,
    points::{Debt, PointEntry},
    sale::{Concert, Payment, Reservation},
    time::Time,
    user::{Role, User},
};
use serde::{Deserialize, Serialize};

/// The result of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "value", rename_all = "snake_case")]
pub enum Outcome {
    /// The user who registered.
    Registered(User),
    /// The user as they now are.
    User(User),
    /// The session is open.
    SignedIn {
        /// When it ends.
        expires_at: Time,
        /// The user's role.
        role: Role,
    },
    /// The token that the caller has in the room, new or from before.
    Joined {
        /// The token.
        token: Token,
        /// Whether it is new.
        issue: Issue,
    },
    /// The token as it now is.
    Token(Token),
    /// The token has its turn, but the room is full at the moment: the client repeats at once and loses nothing.
    TurnPending(Token),
    /// A pass was issued.
    Pass(Pass),
    /// The line moved.
    Advanced {
        /// How many tokens were activated whose claims had found the room full.
        activated: u32,
        /// How many turns were offered.
        offered: u32,
        /// How many unresponsive tokens became dormant.
        made_dormant: u32,
        /// How many tokens changed state by their deadline, or ended with their line.
        overdue: u32,
    },
    /// The line did not move: a later leader has moved it since.
    Superseded {
        /// That leader's fence.
        fence: i64,
    },
    /// The seats are held.
    Held(Vec<Reservation>),
    /// The reservation is cancelled.
    Cancelled(Reservation),
    /// This many holds were swept.
    HoldsExpired(u32),
    /// The reservations are paid.
    Paid(Vec<Payment>),
    /// The payment was refunded.
    Refunded(Payment),
    /// The points were topped up.
    ToppedUp(PointEntry),
    /// The balance was corrected.
    Adjusted {
        /// The new entry in the history; none if no points could be taken.
        entry: Option<PointEntry>,
        /// The debt, if not all could be taken.
        debt: Option<Debt>,
    },
    /// The debt as it now is.
    Debt(Debt),
    /// The concert as it now is.
    Concert(Concert),
    /// A part of a cancelled concert was wound up.
    WoundUp {
        /// How many unpaid seats were blocked.
        seats: u32,
        /// How many payments were refunded.
        refunds: u32,
    },
    /// Seats were added.
    SeatsAdded {
        /// The first seat's id; the others follow without gaps.
        first_seat_id: SeatId,
        /// How many seats.
        count: u32,
    },
    /// The link was issued.
    LinkIssued {
        /// When it ends.
        expires_at: Time,
    },
    /// This many seats were blocked, freed, changed or removed.
    SeatsSet(u32),
    /// The room as it now is.
    Room(Room),
    /// The events to deliver, by id; the lease is the caller's if there are any.
    Claimed(Vec<OutboxEvent>),
    /// The events were settled. These failed, and stand as they now are.
    Settled(Vec<OutboxEvent>),
    /// Nothing was claimed or settled: another process has the lease, or had it since.
    LeaseTaken {
        /// When that lease ends; none if it was left.
        until: Option<Time>,
    },
    /// The event as it now is.
    Event(OutboxEvent),
    /// Done, with nothing to report.
    Done,
}

/// Whether a request for a token made a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Issue {
    /// A new place at the end of the line.
    New,
    /// The user's existing place.
    Existing,
}
