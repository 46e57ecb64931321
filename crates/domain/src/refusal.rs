//! Every reason for which the box office refuses a command.

use crate::{
    id::{DebtId, ReservationId, SeatId, UserId},
    money::Money,
    time::Time,
};
use serde::{Deserialize, Serialize};

macro_rules! refusals {
    ($($(#[$of_variant:meta])* $name:ident $({ $($fields:tt)* })? = $code:literal $replay:ident,)+) => {
        /// A command was understood and refused; nothing changed. Not an error of the service.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
        #[serde(tag = "code")]
        pub enum Refusal {
            $($(#[$of_variant])* #[serde(rename = $code)] $name $({ $($fields)* })?,)+
        }

        /// A [`Refusal`] without its data.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum RefusalKind {
            $(#[doc = concat!("Of [`Refusal::", stringify!($name), "`].")] $name,)+
        }

        impl Refusal {
            /// Its kind.
            #[must_use]
            pub const fn kind(&self) -> RefusalKind {
                match self {
                    $(Self::$name { .. } => RefusalKind::$name,)+
                }
            }
        }

        impl RefusalKind {
            /// The stable code that clients may switch on.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }

            /// Whether a replay of the same idempotency key must get this refusal again, even after changes.
            #[must_use]
            pub const fn is_stored(self) -> bool {
                let replay = match self {
                    $(Self::$name => OnReplay::$replay,)+
                };
                matches!(replay, OnReplay::Stored)
            }
        }
    };
}

/// The end of a sentence about something that lasts until a moment, or until further notice.
fn until_when(until: Option<Time>) -> String {
    until.map_or_else(String::new, |until| format!(" until {until}"))
}

/// The answer to a replay of the same idempotency key.
enum OnReplay {
    /// The refusal again: another command can lift it, and the client was told to do something else. A late duplicate
    /// must not take a seat or money after the client was refused.
    Stored,
    /// A new decision: time or another step of the caller lifts the refusal, and the client then sends the same
    /// request; or the refusal is permanent, and the same request is refused again anyway.
    Passing,
}

impl Refusal {
    /// The stable code that clients may switch on.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.kind().code()
    }

    /// Whether a replay of the same idempotency key must get this refusal again, even after changes.
    #[must_use]
    pub const fn is_stored(&self) -> bool {
        self.kind().is_stored()
    }
}

// The one list of refusals: the sentence of each, its data, its code, and what a replay gets.
refusals! {
    /// The entity does not exist, or belongs to another user: the answer is the same.
    #[error("There is no such {what}.")]
    NotFound {
        /// The kind of entity.
        what: EntityKind,
    } = "not_found" Passing,
    /// The caller's role does not allow it.
    #[error("This needs another role.")]
    Forbidden = "forbidden" Passing,
    /// The e-mail address has an account.
    #[error("There is an account with this e-mail address.")]
    EmailTaken = "email_taken" Passing,
    /// The account is locked. Answered only to a caller that has proved to be its owner.
    #[error("The account is locked.")]
    AccountLocked = "account_locked" Passing,
    /// The password or the sessions of the account changed after the caller's proof of identity.
    #[error("The account has changed meanwhile: sign in again.")]
    AccountChanged = "account_changed" Passing,
    /// The account of an operator or a viewer can be changed only by its owner and on the command line.
    #[error("The account of an operator or a viewer is locked, reset and erased on the command line alone.")]
    OperatorAccount = "operator_account" Passing,
    /// The account has a second factor, and the caller has proved the password alone.
    #[error("The account needs the code of its authenticator app, too.")]
    SecondFactorNeeded = "second_factor_needed" Passing,
    /// The code is wrong, of another time or used, or the recovery code is: the answer is the same.
    #[error("The code is not right.")]
    SecondFactorWrong = "second_factor_wrong" Passing,
    /// Too many wrong codes came: codes of the app are accepted again later, recovery codes now.
    #[error("Too many wrong codes: codes of the app are accepted again from {until} on.")]
    SecondFactorResting {
        /// From when on codes are accepted again.
        until: Time,
    } = "second_factor_resting" Passing,
    /// The account has a second factor already.
    #[error("The account has a second factor: remove it first.")]
    SecondFactorActive = "second_factor_active" Passing,
    /// There is or was an operator: the next one is added by the command line.
    #[error("The box office has or had an operator.")]
    OperatorExists = "operator_exists" Passing,
    /// The reset link is unknown, used or expired, or the account is locked: the answer is the same.
    #[error("The reset link is not valid.")]
    ResetLinkInvalid = "reset_link_invalid" Passing,
    /// The link that confirms an e-mail address is unknown or expired: the answer is the same.
    #[error("The confirmation link is not valid.")]
    ConfirmationLinkInvalid = "confirmation_link_invalid" Passing,
    /// The account has points left, which could no longer be used.
    #[error("The account has a balance of {balance}.")]
    BalanceLeft {
        /// The balance.
        balance: Money,
    } = "balance_left" Passing,
    /// The account has a ticket for a concert that has not begun, or one that may still be refunded.
    #[error("The account has a ticket for a concert to come, or one to refund: reservation {reservation_id}.")]
    TicketsLeft {
        /// The first such reservation.
        reservation_id: ReservationId,
    } = "tickets_left" Passing,
    /// The account owes the box office points: a debt without a name could not be collected.
    #[error("The account owes {amount}: debt {debt_id} is open.")]
    DebtLeft {
        /// The first such debt.
        debt_id: DebtId,
        /// The amount of the debt.
        amount: Money,
    } = "debt_left" Passing,
    /// An operator keeps the user out of this line. The reason is for operators alone.
    #[error("The account is blocked from this line{}.", until_when(*until))]
    LineBlocked {
        /// Until when; none for until an operator lifts it.
        until: Option<Time>,
    } = "line_blocked" Passing,
    /// The queue token is not one of the caller's for this room.
    #[error("The queue token is not valid here.")]
    TokenInvalid = "token_invalid" Passing,
    /// The caller's token waits in another concert's room.
    #[error("The queue token belongs to another concert's room.")]
    TokenOfAnotherRoom = "token_of_another_room" Passing,
    /// The caller's token is still waiting.
    #[error("The queue token is still waiting for its turn.")]
    TokenWaiting = "token_waiting" Passing,
    /// The turn cannot be claimed before it is offered.
    #[error("It is not this token's turn yet.")]
    TurnNotYet = "turn_not_yet" Passing,
    /// The caller's token has its turn, but was not activated.
    #[error("The queue token has its turn: activate it first.")]
    TokenNotActivated = "token_not_activated" Passing,
    /// The caller's token missed its turn; activating it puts it back at the head of the line.
    #[error("The queue token missed its turn: activate it to return to the head of the line.")]
    TokenMissed = "token_missed" Passing,
    /// The caller's token has ended: spent, left or expired.
    #[error("The queue token has ended: join the line again.")]
    TokenEnded = "token_ended" Passing,
    /// The room in front of another site was closed for good.
    #[error("The room is closed.")]
    RoomClosed = "room_closed" Passing,
    /// The pass is forged, over, or of a line that was renewed since: the answer is the same.
    #[error("The pass is not valid.")]
    PassInvalid = "pass_invalid" Passing,
    /// The turn's time to hold seats is over; earlier holds may still be paid.
    #[error("This turn could hold seats until {until}: pay for what is held, or join the line again.")]
    TurnTimeOver {
        /// The end of that time.
        until: Time,
    } = "turn_time_over" Passing,
    /// The turn has held seats as often as one turn may.
    #[error("One turn holds seats {limit} times at most: pay for what is held, or join the line again.")]
    TooManyHolds {
        /// The limit.
        limit: u32,
    } = "too_many_holds" Passing,
    /// The user gave this seat up a moment ago, or let its hold end.
    #[error("You had seat {seat_id} a moment ago: others come first until {until}.")]
    SeatCoolingDown {
        /// The first such seat.
        seat_id: SeatId,
        /// When the user may hold it again.
        until: Time,
    } = "seat_cooling_down" Passing,
    /// The line goes on or is to come: its sale is not over, or one of its tokens lives.
    #[error("The line is not over yet.")]
    LineNotOver = "line_not_over" Passing,
    /// The draw waits for no signature of a beacon: its lobby is not sealed yet, or the time for the signature has passed.
    #[error("The draw waits for no signature of a beacon: not yet, or not any more.")]
    DrawNotWaiting = "draw_not_waiting" Passing,
    /// The signature is not that of the beacon's round.
    #[error("This is not the signature of round {round} of the beacon.")]
    BeaconInvalid {
        /// The round.
        round: u64,
    } = "beacon_invalid" Passing,
    /// The sale has not opened.
    #[error("The sale opens at {opens_at}.")]
    SaleNotOpen {
        /// When it opens.
        opens_at: Time,
    } = "sale_not_open" Passing,
    /// The sale has opened: settings that may change only before it are fixed.
    #[error("The sale opened at {opened_at}.")]
    SaleOpened {
        /// When it opened.
        opened_at: Time,
    } = "sale_opened" Passing,
    /// The sale or the concert is over, or an operator closed it.
    #[error("The sale is closed.")]
    SaleClosed = "sale_closed" Stored,
    /// The concert is postponed, and its sale stands still until the new date is known.
    #[error("The concert is postponed.")]
    ConcertPostponed = "concert_postponed" Passing,
    /// The concert does not take place.
    #[error("The concert is cancelled.")]
    ConcertCancelled = "concert_cancelled" Passing,
    /// All payments of a concert are refunded only after it was cancelled.
    #[error("The concert is not cancelled.")]
    ConcertNotCancelled = "concert_not_cancelled" Passing,
    /// A concert that was stopped goes on sale only with seats.
    #[error("The concert has no seats.")]
    NoSeats = "no_seats" Passing,
    /// A concert that is being made goes on sale once it is said when its sale opens.
    #[error("The concert has no opening.")]
    NoOpening = "no_opening" Passing,
    /// The seat is held by a reservation that is not paid yet.
    #[error("Seat {seat_id} is held.")]
    SeatHeld {
        /// The first such seat.
        seat_id: SeatId,
        /// When the hold ends, unless it is paid before.
        held_until: Time,
        /// The holder, for the cache of refusals only: clients do not get it.
        #[serde(skip)]
        holder: Option<UserId>,
    } = "seat_held" Stored,
    /// The caller already holds the seat.
    #[error("You hold seat {seat_id} already, by reservation {reservation_id}.")]
    SeatHeldByYou {
        /// The first such seat.
        seat_id: SeatId,
        /// The reservation to pay for.
        reservation_id: ReservationId,
        /// When the hold ends, unless it is paid before.
        held_until: Time,
    } = "seat_held_by_you" Stored,
    /// The seat is sold.
    #[error("Seat {seat_id} is sold.")]
    SeatSold {
        /// The first such seat.
        seat_id: SeatId,
    } = "seat_sold" Stored,
    /// The seat is not for sale.
    #[error("Seat {seat_id} is not for sale.")]
    SeatBlocked {
        /// The first such seat.
        seat_id: SeatId,
    } = "seat_blocked" Stored,
    /// The user would have more seats in this concert than allowed.
    #[error("A user may have at most {limit} seats in a concert.")]
    TooManySeats {
        /// The limit.
        limit: u32,
    } = "too_many_seats" Stored,
    /// One request names seats or reservations of several concerts.
    #[error("One request is for one concert.")]
    SeveralConcerts = "several_concerts" Passing,
    /// The hold ran out before the payment; nothing was charged.
    #[error("The hold ended at {expired_at}; nothing was charged.")]
    HoldExpired {
        /// When the hold ended.
        expired_at: Time,
    } = "hold_expired" Passing,
    /// The reservation is no longer pending.
    #[error("The reservation is not pending.")]
    ReservationNotPending = "reservation_not_pending" Passing,
    /// The balance does not cover the price.
    #[error("The price is {price} and the balance is {balance}.")]
    InsufficientPoints {
        /// The user's balance.
        balance: Money,
        /// The price of all the seats.
        price: Money,
    } = "insufficient_points" Stored,
    /// The payment was refunded before.
    #[error("The payment was refunded before.")]
    AlreadyRefunded = "already_refunded" Passing,
    /// Refunds for this concert have ended.
    #[error("Refunds ended at {until}.")]
    RefundTooLate {
        /// The end of the time for refunds.
        until: Time,
    } = "refund_too_late" Passing,
    /// Only an operator or the service key may top up points here.
    #[error("Points are topped up by the box office, not by the user.")]
    TopUpNotAllowed = "top_up_not_allowed" Passing,
    /// The amount is outside the limits of one top-up.
    #[error("One top-up is from {min} to {max}.")]
    AmountOutOfBounds {
        /// The least.
        min: Money,
        /// The most.
        max: Money,
    } = "amount_out_of_bounds" Passing,
    /// The balance would exceed its maximum.
    #[error("A balance may be at most {max}.")]
    BalanceTooLarge {
        /// The most.
        max: Money,
    } = "balance_too_large" Stored,
    /// The balance does not cover the points to be taken.
    #[error("The balance is {balance} and the debt is {amount}.")]
    BalanceTooLow {
        /// The user's balance.
        balance: Money,
        /// The points to be taken.
        amount: Money,
    } = "balance_too_low" Stored,
    /// The debt was settled before.
    #[error("The debt was settled before.")]
    DebtSettled = "debt_settled" Passing,
    /// The external reference was used by another top-up, or by another adjustment of the same account.
    #[error("This reference was used before.")]
    ReferenceUsed = "reference_used" Passing,
    /// The idempotency key was used with another request.
    #[error("The Idempotency-Key was used with another request.")]
    IdempotencyKeyReused = "idempotency_key_reused" Passing,
    /// The concert has a seat with this number in this row of this section.
    #[error("The concert has a seat {number:?} in row {row:?} of section {section:?} already.")]
    SeatNumberTaken {
        /// The block of the hall.
        section: String,
        /// The row in the section.
        row: String,
        /// The first such printed number.
        number: String,
    } = "seat_number_taken" Passing,
    /// The seat was held or sold before: reservations refer to it, so it stays.
    #[error("Seat {seat_id} was held or sold before and cannot be removed: block it.")]
    SeatHasHistory {
        /// The first such seat.
        seat_id: SeatId,
    } = "seat_has_history" Passing,
    /// The seat is held or sold: it can be neither blocked, freed, changed nor removed.
    #[error("Seat {seat_id} is held or sold.")]
    SeatInUse {
        /// The first such seat.
        seat_id: SeatId,
    } = "seat_in_use" Stored,
    /// The row is not the version that the caller's change was based on.
    #[error("It has changed meanwhile: look at it as it is now, and change that.")]
    Changed = "changed_meanwhile" Passing,
    /// An operator's act that hurts buyers has no reason.
    #[error("This hurts buyers: give a reason.")]
    ReasonNeeded = "reason_needed" Passing,
    /// The command is too large, or contradicts itself.
    #[error("{reason}")]
    Malformed {
        /// The fault.
        reason: String,
    } = "malformed" Passing,
}

macro_rules! entity_kinds {
    ($($(#[$of_variant:meta])* $name:ident = $text:literal,)+) => {
        /// A kind of entity that a command names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum EntityKind {
            $($(#[$of_variant])* $name,)+
        }

        impl EntityKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name),+];
        }

        impl std::fmt::Display for EntityKind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $text,)+
                })
            }
        }
    };
}

// The one list of kinds, each with its name in a sentence.
entity_kinds! {
    /// A user.
    User = "user",
    /// A session.
    Session = "session",
    /// A second factor.
    SecondFactor = "second factor",
    /// A concert.
    Concert = "concert",
    /// A waiting room.
    Room = "room",
    /// A queue token.
    Token = "queue token",
    /// A seat.
    Seat = "seat",
    /// A reservation.
    Reservation = "reservation",
    /// A payment.
    Payment = "payment",
    /// The draw of a lobby.
    Draw = "draw",
    /// The report of a line whose tokens were not counted from the first.
    LineReport = "report of the line",
    /// A debt.
    Debt = "debt",
    /// An event of the outbox.
    Event = "event",
    /// An entry of the audit log.
    AuditEntry = "entry of the audit log",
}
