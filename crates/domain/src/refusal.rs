//! Every reason for which the box office refuses a command.

use crate::{
    id::{DebtId, ReservationId, SeatId, UserId},
    money::Money,
    time::Time,
};
use serde::{Deserialize, Serialize};

/// A command was understood and refused; nothing changed. Not an error of the service.
///
/// The `code` is stable: clients may switch on it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Refusal {
    /// The entity does not exist, or belongs to another user: the answer is the same.
    #[error("There is no such {what}.")]
    NotFound {
        /// The kind of entity.
        what: EntityKind,
    },
    /// The caller's role does not allow it.
    #[error("This needs another role.")]
    Forbidden,
    /// The e-mail address has an account.
    #[error("There is an account with this e-mail address.")]
    EmailTaken,
    /// The account is locked. Told only to a caller that has proved to be its owner.
    #[error("The account is locked.")]
    AccountLocked,
    /// The password or the sessions of the account changed after the caller's proof of identity.
    #[error("The account has changed meanwhile: sign in again.")]
    AccountChanged,
    /// An operator's account can be changed only by its owner and on the command line.
    #[error("An operator's account is locked, reset and erased on the command line alone.")]
    OperatorAccount,
    /// The reset link is unknown, used or expired, or the account is locked: the answer is the same.
    #[error("The reset link is not valid.")]
    ResetLinkInvalid,
    /// The account has points left, which could no longer be used.
    #[error("The account has a balance of {balance}.")]
    BalanceLeft {
        /// The balance.
        balance: Money,
    },
    /// The account has a ticket for a concert that has not begun, or one that may still be refunded.
    #[error("The account has a ticket for a concert to come, or one to refund: reservation {reservation_id}.")]
    TicketsLeft {
        /// The first such reservation.
        reservation_id: ReservationId,
    },
    /// The account owes the box office points: a debt without a name could not be collected.
    #[error("The account owes {amount}: debt {debt_id} is open.")]
    DebtLeft {
        /// The first such debt.
        debt_id: DebtId,
        /// The amount of the debt.
        amount: Money,
    },
    /// The queue token is not one of the caller's for this room.
    #[error("The queue token is not valid here.")]
    TokenInvalid,
    /// The caller's token waits in another concert's room.
    #[error("The queue token belongs to another concert's room.")]
    TokenOfAnotherRoom,
    /// The caller's token is still waiting.
    #[error("The queue token is still waiting for its turn.")]
    TokenWaiting,
    /// The turn cannot be claimed before it is offered.
    #[error("It is not this token's turn yet.")]
    TurnNotYet,
    /// The caller's token has its turn, but was not activated.
    #[error("The queue token has its turn: activate it first.")]
    TokenNotActivated,
    /// The caller's token missed its turn; activating it puts it back at the head of the line.
    #[error("The queue token missed its turn: activate it to return to the head of the line.")]
    TokenMissed,
    /// The caller's token has ended: spent, left or expired.
    #[error("The queue token has ended: join the line again.")]
    TokenEnded,
    /// The turn's time to hold seats is over; earlier holds may still be paid.
    #[error("This turn could hold seats until {until}: pay for what is held, or join the line again.")]
    TurnTimeOver {
        /// The end of that time.
        until: Time,
    },
    /// The turn has held seats as often as one turn may.
    #[error("One turn holds seats {limit} times at most: pay for what is held, or join the line again.")]
    TooManyHolds {
        /// The limit.
        limit: u32,
    },
    /// The user gave this seat up a moment ago, or let its hold end.
    #[error("You had seat {seat_id} a moment ago: others come first until {until}.")]
    SeatCoolingDown {
        /// The first such seat.
        seat_id: SeatId,
        /// When the user may hold it again.
        until: Time,
    },
    /// The sale has not opened.
    #[error("The sale opens at {opens_at}.")]
    SaleNotOpen {
        /// When it opens.
        opens_at: Time,
    },
    /// The sale has opened: settings that may change only before it are fixed.
    #[error("The sale opened at {opened_at}.")]
    SaleOpened {
        /// When it opened.
        opened_at: Time,
    },
    /// The sale or the concert is over, or an operator closed it.
    #[error("The sale is closed.")]
    SaleClosed,
    /// The concert is postponed, and its sale stands still until the new date is known.
    #[error("The concert is postponed.")]
    ConcertPostponed,
    /// The concert does not take place.
    #[error("The concert is cancelled.")]
    ConcertCancelled,
    /// All payments of a concert are refunded only after it was cancelled.
    #[error("The concert is not cancelled.")]
    ConcertNotCancelled,
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
    },
    /// The caller already holds the seat.
    #[error("You hold seat {seat_id} already, by reservation {reservation_id}.")]
    SeatHeldByYou {
        /// The first such seat.
        seat_id: SeatId,
        /// The reservation to pay for.
        reservation_id: ReservationId,
        /// When the hold ends, unless it is paid before.
        held_until: Time,
    },
    /// The seat is sold.
    #[error("Seat {seat_id} is sold.")]
    SeatSold {
        /// The first such seat.
        seat_id: SeatId,
    },
    /// The seat is not for sale.
    #[error("Seat {seat_id} is not for sale.")]
    SeatBlocked {
        /// The first such seat.
        seat_id: SeatId,
    },
    /// The user would have more seats in this concert than allowed.
    #[error("A user may have at most {limit} seats in a concert.")]
    TooManySeats {
        /// The limit.
        limit: u32,
    },
    /// One request names seats or reservations of several concerts.
    #[error("One request is for one concert.")]
    SeveralConcerts,
    /// The hold ran out before the payment; nothing was charged.
    #[error("The hold ended at {expired_at}; nothing was charged.")]
    HoldExpired {
        /// When the hold ended.
        expired_at: Time,
    },
    /// The reservation is no longer pending.
    #[error("The reservation is not pending.")]
    ReservationNotPending,
    /// The balance does not cover the price.
    #[error("The price is {price} and the balance is {balance}.")]
    InsufficientPoints {
        /// The user's balance.
        balance: Money,
        /// The price of all the seats.
        price: Money,
    },
    /// The payment was refunded before.
    #[error("The payment was refunded before.")]
    AlreadyRefunded,
    /// Refunds for this concert have ended.
    #[error("Refunds ended at {until}.")]
    RefundTooLate {
        /// The end of the time for refunds.
        until: Time,
    },
    /// Only an operator or the service key may top up points here.
    #[error("Points are topped up by the box office, not by the user.")]
    TopUpNotAllowed,
    /// The amount is outside the limits of one top-up.
    #[error("One top-up is from {min} to {max}.")]
    AmountOutOfBounds {
        /// The least.
        min: Money,
        /// The most.
        max: Money,
    },
    /// The balance would exceed its maximum.
    #[error("A balance may be at most {max}.")]
    BalanceTooLarge {
        /// The most.
        max: Money,
    },
    /// The balance does not cover the points to be taken.
    #[error("The balance is {balance} and the debt is {amount}.")]
    BalanceTooLow {
        /// The user's balance.
        balance: Money,
        /// The points to be taken.
        amount: Money,
    },
    /// The debt was settled before.
    #[error("The debt was settled before.")]
    DebtSettled,
    /// The external reference was used by another top-up, or by another adjustment of the same account.
    #[error("This reference was used before.")]
    ReferenceUsed,
    /// The idempotency key was used with another request.
    #[error("The Idempotency-Key was used with another request.")]
    IdempotencyKeyReused,
    /// The concert has a seat with this number in this row of this section.
    #[error("The concert has a seat {number:?} in row {row:?} of section {section:?} already.")]
    SeatNumberTaken {
        /// The block of the hall.
        section: String,
        /// The row in the section.
        row: String,
        /// The first such printed number.
        number: String,
    },
    /// The seat was held or sold before: reservations refer to it, so it stays.
    #[error("Seat {seat_id} was held or sold before and cannot be removed: block it.")]
    SeatHasHistory {
        /// The first such seat.
        seat_id: SeatId,
    },
    /// The seat is held or sold: it can be neither blocked, freed, changed nor removed.
    #[error("Seat {seat_id} is held or sold.")]
    SeatInUse {
        /// The first such seat.
        seat_id: SeatId,
    },
    /// The command is too large, or contradicts itself.
    #[error("{reason}")]
    Malformed {
        /// The fault.
        reason: String,
    },
}

/// A kind of entity that a command names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// A user.
    User,
    /// A concert.
    Concert,
    /// A waiting room.
    Room,
    /// A queue token.
    Token,
    /// A seat.
    Seat,
    /// A reservation.
    Reservation,
    /// A payment.
    Payment,
    /// A debt.
    Debt,
}

impl std::fmt::Display for EntityKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Concert => "concert",
            Self::Room => "room",
            Self::Token => "queue token",
            Self::Seat => "seat",
            Self::Reservation => "reservation",
            Self::Payment => "payment",
            Self::Debt => "debt",
        })
    }
}

impl Refusal {
    /// The stable code that clients may switch on.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::Forbidden => "forbidden",
            Self::EmailTaken => "email_taken",
            Self::AccountLocked => "account_locked",
            Self::AccountChanged => "account_changed",
            Self::OperatorAccount => "operator_account",
            Self::ResetLinkInvalid => "reset_link_invalid",
            Self::BalanceLeft { .. } => "balance_left",
            Self::TicketsLeft { .. } => "tickets_left",
            Self::DebtLeft { .. } => "debt_left",
            Self::TokenInvalid => "token_invalid",
            Self::TokenOfAnotherRoom => "token_of_another_room",
            Self::TokenWaiting => "token_waiting",
            Self::TurnNotYet => "turn_not_yet",
            Self::TokenNotActivated => "token_not_activated",
            Self::TokenMissed => "token_missed",
            Self::TokenEnded => "token_ended",
            Self::TurnTimeOver { .. } => "turn_time_over",
            Self::TooManyHolds { .. } => "too_many_holds",
            Self::SeatCoolingDown { .. } => "seat_cooling_down",
            Self::SaleNotOpen { .. } => "sale_not_open",
            Self::SaleOpened { .. } => "sale_opened",
            Self::SaleClosed => "sale_closed",
            Self::ConcertPostponed => "concert_postponed",
            Self::ConcertCancelled => "concert_cancelled",
            Self::ConcertNotCancelled => "concert_not_cancelled",
            Self::SeatHeld { .. } => "seat_held",
            Self::SeatHeldByYou { .. } => "seat_held_by_you",
            Self::SeatSold { .. } => "seat_sold",
            Self::SeatBlocked { .. } => "seat_blocked",
            Self::TooManySeats { .. } => "too_many_seats",
            Self::SeveralConcerts => "several_concerts",
            Self::HoldExpired { .. } => "hold_expired",
            Self::ReservationNotPending => "reservation_not_pending",
            Self::InsufficientPoints { .. } => "insufficient_points",
            Self::AlreadyRefunded => "already_refunded",
            Self::RefundTooLate { .. } => "refund_too_late",
            Self::TopUpNotAllowed => "top_up_not_allowed",
            Self::AmountOutOfBounds { .. } => "amount_out_of_bounds",
            Self::BalanceTooLarge { .. } => "balance_too_large",
            Self::BalanceTooLow { .. } => "balance_too_low",
            Self::DebtSettled => "debt_settled",
            Self::ReferenceUsed => "reference_used",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::SeatNumberTaken { .. } => "seat_number_taken",
            Self::SeatHasHistory { .. } => "seat_has_history",
            Self::SeatInUse { .. } => "seat_in_use",
            Self::Malformed { .. } => "malformed",
        }
    }

    /// Whether a replay of the same idempotency key must get this refusal again, even after changes: true if another
    /// command can lift it and the client was told to do something else. A late duplicate must not take a seat or money
    /// after the client was refused.
    ///
    /// False for a refusal that time or another step of the caller lifts, since the client then sends the same request
    /// again; and for a permanent refusal, since the same request is refused again anyway.
    #[must_use]
    pub const fn is_stored(&self) -> bool {
        match self {
            Self::SaleClosed
            | Self::SeatHeld { .. }
            | Self::SeatHeldByYou { .. }
            | Self::SeatSold { .. }
            | Self::SeatBlocked { .. }
            | Self::SeatInUse { .. }
            | Self::TooManySeats { .. }
            | Self::InsufficientPoints { .. }
            | Self::BalanceTooLarge { .. }
            | Self::BalanceTooLow { .. } => true,
            Self::NotFound { .. }
            | Self::Forbidden
            | Self::EmailTaken
            | Self::AccountLocked
            | Self::AccountChanged
            | Self::OperatorAccount
            | Self::ResetLinkInvalid
            | Self::BalanceLeft { .. }
            | Self::TicketsLeft { .. }
            | Self::DebtLeft { .. }
            | Self::TokenInvalid
            | Self::TokenOfAnotherRoom
            | Self::TokenWaiting
            | Self::TurnNotYet
            | Self::TokenNotActivated
            | Self::TokenMissed
            | Self::TokenEnded
            | Self::TurnTimeOver { .. }
            | Self::TooManyHolds { .. }
            | Self::SeatCoolingDown { .. }
            | Self::SaleNotOpen { .. }
            | Self::ConcertPostponed
            | Self::ConcertCancelled
            | Self::ConcertNotCancelled
            | Self::SeveralConcerts
            | Self::HoldExpired { .. }
            | Self::ReservationNotPending
            | Self::AlreadyRefunded
            | Self::RefundTooLate { .. }
            | Self::TopUpNotAllowed
            | Self::AmountOutOfBounds { .. }
            | Self::DebtSettled
            | Self::ReferenceUsed
            | Self::IdempotencyKeyReused
            | Self::SeatNumberTaken { .. }
            | Self::SeatHasHistory { .. }
            | Self::SaleOpened { .. }
            | Self::Malformed { .. } => false,
        }
    }
}
