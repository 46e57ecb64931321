//! Every problem of the API, in one table: the handlers, the docs and the `OpenAPI` document read it.

use frontrow_domain::{
    refusal::{Refusal, RefusalKind},
    time::Time,
};

/// One kind of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Definition {
    /// The stable code that clients may switch on.
    pub code: &'static str,
    /// The HTTP status it is answered with.
    pub status: u16,
    /// A short title that never changes.
    pub title: &'static str,
    /// Its meaning, and what a client can do.
    pub explanation: &'static str,
    /// When the same request is worth sending again.
    pub retry: RetryAfter,
    /// Whether a replay of its idempotency key gets it again.
    pub is_stored: bool,
}

/// When the same request is worth sending again, for `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// Not by waiting alone.
    Never,
    /// After so many seconds.
    Seconds(u64),
    /// At the moment that the refusal names.
    Moment,
}

// A row is `NAME of Refusal: status "title" "explanation";`, or `NAME is "code": …` for a problem that is no refusal.
// `until field` behind the refusal names the moment from which on the same request is worth sending again; `after n` at
// the end says it in seconds.
macro_rules! definitions {
    (@code $variant:ident) => { RefusalKind::$variant.code() };
    (@code $code:literal) => { $code };
    (@is_stored $variant:ident) => { RefusalKind::$variant.is_stored() };
    (@is_stored $code:literal) => { false };
    (@retry) => { RetryAfter::Never };
    (@retry until $moment:ident) => { RetryAfter::Moment };
    (@retry after $seconds:literal) => { RetryAfter::Seconds($seconds) };
    (@moment) => { None };
    (@moment $moment:ident) => { Some(*$moment) };
    ($(
        $name:ident $(of $variant:ident $(until $moment:ident)?)? $(is $code:literal)?:
        $status:literal $title:literal $explanation:literal $(after $seconds:literal)?;
    )+) => {
        $(#[doc = $title]
        pub static $name: Definition = Definition {
            code: definitions!(@code $($variant)? $($code)?),
            status: $status,
            title: $title,
            explanation: $explanation,
            retry: definitions!(@retry $($(until $moment)?)? $(after $seconds)?),
            is_stored: definitions!(@is_stored $($variant)? $($code)?),
        };)+

        /// Every definition, in the order of the documentation.
        pub static ALL: &[&Definition] = &[$(&$name),+];

        /// The definition of a refusal, and the moment from which on the same request is worth sending again.
        pub(super) const fn of(refusal: &Refusal) -> (&'static Definition, Option<Time>) {
            match refusal {
                $($(Refusal::$variant { $($moment,)? .. } => (&$name, definitions!(@moment $($moment)?)),)?)+
            }
        }
    };
}

definitions! {
    MALFORMED_JSON is "malformed_json": 400 "The body is not JSON" "The body could not be read as JSON. Correct it and send it again.";
    MALFORMED_REQUEST is "malformed_request": 400 "The request is not HTTP" "The first line or a header could not be read as HTTP/1.1.";
    UNAUTHORIZED is "unauthorized": 401 "Sign in first" "The session token is missing, unknown or has ended. Sign in and send it as `Authorization: Bearer`.";
    SECOND_FACTOR_NEEDED of SecondFactorNeeded: 401 "A code is needed" "The password was right, and the account has a second factor. Sign in again with `code`: the code that the authenticator app shows, or a recovery code.";
    SECOND_FACTOR_WRONG of SecondFactorWrong: 401 "The code is not right" "The password was right. The code is wrong, too old or used before: each works once. Wait for the next one, or use a recovery code.";
    INSUFFICIENT_POINTS of InsufficientPoints: 402 "The balance is too low" "The balance does not cover the price; nothing was charged. `balance` and `price` say by how much. Top up points and pay with a new Idempotency-Key.";
    FORBIDDEN of Forbidden: 403 "Not allowed" "The caller's role does not allow this.";
    ACCOUNT_LOCKED of AccountLocked: 403 "The account is locked" "The password was right, but the account is locked. Ask the box office.";
    DEMO_ACCOUNT is "demo_account": 403 "The demo's accounts are shut" "The account is one of the demo's with its published password, and this server is no demo. An operator of this box office sets another password with `frontrow user password`.";
    OPERATOR_ACCOUNT of OperatorAccount: 403 "An operator's or a viewer's account" "Accounts of operators and viewers are locked, unlocked, reset and erased on the command line alone.";
    RESET_LINK_INVALID of ResetLinkInvalid: 403 "The reset link is not valid" "The reset link is unknown, used or over. Ask for another one.";
    CONFIRMATION_LINK_INVALID of ConfirmationLinkInvalid: 403 "The confirmation link is not valid" "The confirmation link is unknown, or is over. Sign in and ask for another letter.";
    WRONG_PASSWORD is "wrong_password": 403 "The password is wrong" "The password that the call asks for once more is not the account's. The session goes on.";
    CROSS_SITE is "cross_site": 403 "The request comes from another site" "With the session of a cookie, a request that changes something must come from a page of this server, as `Sec-Fetch-Site` or `Origin` says. Programs send the session token as `Authorization: Bearer`.";
    TOP_UP_NOT_ALLOWED of TopUpNotAllowed: 403 "Points are topped up by the box office" "Only an operator or the service key may top up points here.";
    LINE_BLOCKED of LineBlocked: 403 "The account is blocked from this line" "An operator keeps the account out of this line: until `until`, or for as long as no end is set. Its token there has ended. Ask the box office.";
    TOKEN_INVALID of TokenInvalid: 403 "The queue token is not valid here" "The queue token is missing, forged, or not one of the caller's for this room. Join the line.";
    TOKEN_OF_ANOTHER_ROOM of TokenOfAnotherRoom: 403 "The queue token is for another room" "The queue token belongs to another concert's room. Join this concert's line.";
    TOKEN_WAITING of TokenWaiting: 403 "It is not your turn yet" "The token still waits. Ask for its position and activate it when it is offered.";
    TOKEN_NOT_ACTIVATED of TokenNotActivated: 403 "Activate the queue token first" "The token has its turn; activate it, then try again.";
    TOKEN_MISSED of TokenMissed: 403 "The turn was missed" "The turn was not claimed in time. Activate the token to return to the head of the line; a token that lets too many turns pass ends.";
    PASS_INVALID of PassInvalid: 403 "The pass is not valid" "The pass is forged, over, or of a line that was renewed since.";
    TOKEN_ENDED of TokenEnded: 403 "The queue token has ended" "The token was spent, left the line, expired, let too many turns pass or was removed by an operator. Join the line again.";
    TURN_TIME_OVER of TurnTimeOver: 403 "The turn's time to hold seats is over" "The turn could hold seats until `until`; a hold made later could end after the token. What is held may be paid until its end. Then join the line again.";
    TOO_MANY_HOLDS of TooManyHolds: 403 "The turn has held seats too often" "One turn may hold seats `limit` times. What is held may be paid until its end. Then join the line again.";
    JOIN_WORK_NEEDED is "join_work_needed": 403 "A new place asks for work" "Many join this line. Get a challenge by `GET /queue/challenge`, find its number, and send the same request with it as `altcha`.";
    JOIN_WORK_INVALID is "join_work_invalid": 403 "The work is not good" "The answer to the challenge is wrong, over, used before, or of another account or line. Get another challenge and solve that.";
    JOIN_DENIED is "join_denied": 403 "The place is not given" "The check of this box office has denied a new place in line. Ask the box office if you think that it is wrong.";
    NOT_FOUND of NotFound: 404 "No such thing" "There is no such thing, or it is another user's: the answer does not say which.";
    METHOD_NOT_ALLOWED is "method_not_allowed": 405 "The method is not allowed here" "The path exists, but not with this method; the `Allow` header lists those it has.";
    REQUEST_TIMEOUT is "request_timeout": 408 "The request came too slowly" "The headers or the body did not arrive in time. Nothing was done.";
    TURN_NOT_YET of TurnNotYet: 409 "It is not your turn yet" "The turn cannot be claimed before it is offered. Go on asking for the position." after 2;
    EMAIL_TAKEN of EmailTaken: 409 "The e-mail address has an account" "Sign in, or register with another address.";
    ACCOUNT_CHANGED of AccountChanged: 409 "The account has changed meanwhile" "All sessions of the account were ended after its password was checked. Sign in again.";
    SECOND_FACTOR_ACTIVE of SecondFactorActive: 409 "There is a second factor" "The account has a second factor in force. Remove it before another one is set up.";
    OPERATOR_EXISTS of OperatorExists: 409 "There was an operator" "The link for the first operator works until there has been one. Others are added by `frontrow operator add`.";
    BALANCE_LEFT of BalanceLeft: 409 "The account has points" "An account is erased when its balance is 0; `balance` says how much there is. Spend it, or ask the box office.";
    TICKETS_LEFT of TicketsLeft: 409 "The account has tickets" "An account is erased when it has no ticket for a concert to come, nor for one that was postponed or cancelled; reservation `reservation_id` is one. Refund it, or ask the box office.";
    DEBT_LEFT of DebtLeft: 409 "The account has an open debt" "An account is erased when it owes nothing; debt `debt_id` of `amount` is open. Ask the box office to collect it or to write it off.";
    SEAT_HELD of SeatHeld until held_until: 409 "The seat is held" "Another buyer holds seat `seat_id` until `held_until`. Choose another one, or try again then.";
    SEAT_HELD_BY_YOU of SeatHeldByYou: 409 "You hold the seat already" "The caller holds seat `seat_id` until `held_until`. Pay for reservation `reservation_id`, or cancel it.";
    SEAT_SOLD of SeatSold: 409 "The seat is sold" "Seat `seat_id` is sold. Choose another one.";
    SEAT_BLOCKED of SeatBlocked: 409 "The seat is not for sale" "Seat `seat_id` is not for sale. Choose another one.";
    SEAT_COOLING_DOWN of SeatCoolingDown until until: 409 "The seat is for others first" "The caller gave seat `seat_id` up, or let its hold end, a moment ago, and may hold it again from `until` on, if it is free then. Choose another one.";
    SEAT_IN_USE of SeatInUse: 409 "The seat is held or sold" "Seat `seat_id` can be neither blocked, freed, changed nor removed while it is held or sold.";
    SEAT_HAS_HISTORY of SeatHasHistory: 409 "The seat was held or sold before" "Reservations name seat `seat_id`, so it stays. Block it.";
    SEAT_NUMBER_TAKEN of SeatNumberTaken: 409 "The seat number exists" "The concert has a seat with printed number `number` in row `row` of section `section`, or the call names it twice; no seat was added or changed.";
    TOO_MANY_SEATS of TooManySeats: 409 "Too many seats" "One user may have at most `limit` seats in a concert.";
    LINE_NOT_OVER of LineNotOver: 409 "The line is not over" "The sale of the room has not ended, or a token of its line or of a lane beside it lives. Ask again once the sale is closed and the lines have ended.";
    DRAW_NOT_WAITING of DrawNotWaiting: 409 "The draw waits for no signature" "The lobby is not sealed yet, its entries are still counted, or the `deadline` for the round's signature has passed. Ask for the draw: it says which of these, and before the deadline the `round` whose signature is wanted.";
    BEACON_INVALID of BeaconInvalid: 422 "The signature is not the round's" "The draw waits for the signature of `round` of its beacon's chain; another one decides nothing.";
    SALE_NOT_OPEN of SaleNotOpen until opens_at: 409 "The sale has not opened" "The sale opens at `opens_at`.";
    SALE_OPENED of SaleOpened: 409 "The sale has opened" "The sale opened at `opened_at`. A concert whose buyers hold seats and wait by the house room's tokens stays with it, and the order of a line that has begun to move stays as it is.";
    SALE_CLOSED of SaleClosed: 409 "The sale is closed" "The sale or the concert is over, or an operator closed it.";
    ROOM_CLOSED of RoomClosed: 409 "The room is closed" "The line in front of the other site was closed for good.";
    CONCERT_POSTPONED of ConcertPostponed: 409 "The concert is postponed" "The sale stands still until the new date is known. Payments may be refunded meanwhile.";
    CONCERT_CANCELLED of ConcertCancelled: 409 "The concert is cancelled" "The concert does not take place; nothing was charged. Payments may be refunded at any time.";
    CONCERT_NOT_CANCELLED of ConcertNotCancelled: 409 "The concert is not cancelled" "All payments of a concert are given back only when it was cancelled before.";
    NO_SEATS of NoSeats: 409 "The concert has no seats" "A concert that was closed or postponed goes on sale only with seats. Add them first.";
    NO_OPENING of NoOpening: 409 "The concert has no opening" "A concert that is being made goes on sale once it is known when. Send `opens_at`.";
    HOLD_EXPIRED of HoldExpired: 409 "The hold ran out" "The hold ended at `expired_at`, before the payment; nothing was charged. Hold a seat again.";
    RESERVATION_NOT_PENDING of ReservationNotPending: 409 "The reservation is not pending" "The reservation was paid, cancelled or expired before.";
    ALREADY_REFUNDED of AlreadyRefunded: 409 "The payment was refunded before" "A payment is refunded once.";
    REFUND_TOO_LATE of RefundTooLate: 409 "Refunds have ended" "Refunds for this concert ended at `until`.";
    BALANCE_TOO_LARGE of BalanceTooLarge: 409 "The balance would be too large" "An account may hold at most `max`; nothing was changed.";
    BALANCE_TOO_LOW of BalanceTooLow: 409 "The balance does not cover the debt" "A debt is collected as a whole: the balance is `balance`, the debt `amount`. Nothing was taken.";
    DEBT_SETTLED of DebtSettled: 409 "The debt was settled before" "A debt is settled once.";
    REFERENCE_USED of ReferenceUsed: 409 "The reference was used" "Another top-up, or another adjustment of the same account, carries this reference; nothing was booked.";
    CHANGED_MEANWHILE of Changed: 412 "It has changed meanwhile" "The room or concert is not the version that `If-Match` names; nothing was changed. Read it as it is now, and change that.";
    PAYLOAD_TOO_LARGE is "payload_too_large": 413 "The body is too large" "The body is larger than this call takes. Send less at once.";
    URI_TOO_LONG is "uri_too_long": 414 "The address is too long" "The request's path and query are longer than the server takes.";
    UNSUPPORTED_MEDIA_TYPE is "unsupported_media_type": 415 "The body must be JSON" "Send the body with `Content-Type: application/json`.";
    INVALID_FIELD is "invalid_field": 422 "A field is not valid" "A field of the body is missing, unknown, of the wrong type or out of its bounds; `field` names it. For an id in the path, a query parameter or a header the status is 400.";
    MALFORMED of Malformed: 422 "The request contradicts itself" "The request asks for more than one request may, or contradicts itself; `reason` says how.";
    REASON_NEEDED of ReasonNeeded: 422 "It needs a reason" "An operator's act that hurts buyers has a `reason`, which the audit log keeps. Nothing was changed.";
    SEVERAL_CONCERTS of SeveralConcerts: 422 "One request is for one concert" "Send a request for each concert.";
    AMOUNT_OUT_OF_BOUNDS of AmountOutOfBounds: 422 "The amount is out of bounds" "One top-up or adjustment is from `min` to `max`, and an adjustment is not 0.";
    IDEMPOTENCY_KEY_REUSED of IdempotencyKeyReused: 422 "The Idempotency-Key was used before" "The key belongs to another request. A new request needs a new key.";
    SECOND_FACTOR_RESTING of SecondFactorResting until until: 429 "Too many wrong codes" "Codes of the authenticator app are accepted again from `until` on. A recovery code is accepted now.";
    RATE_LIMITED is "rate_limited": 429 "Too many requests" "Wait for as long as `Retry-After` says." after 1;
    TOO_MANY_JOINS is "too_many_joins": 429 "Too many joins from one address" "Accounts at the client's address, or in its network, have taken as many new places in line as they may for now. Wait for as long as `Retry-After` says, with the same Idempotency-Key. Places that are there stay." after 60;
    HEADERS_TOO_LARGE is "headers_too_large": 431 "The headers are too large" "The request has more or larger headers than the server takes.";
    INTERNAL is "internal": 500 "Something went wrong" "A fault of the server. The operator finds it in the log by `request_id`.";
    OVERLOADED is "overloaded": 503 "The server is busy" "Nothing was done. Try again after `Retry-After`, with the same Idempotency-Key." after 1;
    TOO_MANY_STREAMS is "too_many_streams": 503 "No more streams of events" "The server, or the client's address, has as many streams of events open as it may. Ask without a stream meanwhile; try again after `Retry-After`." after 30;
    JOIN_CHECK_UNAVAILABLE is "join_check_unavailable": 503 "New places cannot be checked now" "The program that checks new places in line gives no answer, and no new place is given without it. Try again after `Retry-After`, with the same Idempotency-Key. Places that are there stay." after 5;
    UNAVAILABLE is "unavailable": 503 "The database is away" "Nothing was done. Try again after `Retry-After`, with the same Idempotency-Key." after 2;
    OUTCOME_UNKNOWN is "outcome_unknown": 503 "It is not known yet whether it was done" "It may or may not have happened. Send the same request with the same Idempotency-Key: it takes effect once." after 1;
}

/// The definition with this code.
#[must_use]
pub fn find(code: &str) -> Option<&'static Definition> {
    ALL.iter().copied().find(|definition| definition.code == code)
}
