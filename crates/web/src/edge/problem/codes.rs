//! Every problem of the API, in one table: the handlers, the docs and the `OpenAPI` document read it.

/// One kind of problem.
#[derive(Debug, PartialEq, Eq)]
pub struct Definition {
    /// The stable code that clients may switch on.
    pub code: &'static str,
    /// The HTTP status it is answered with.
    pub status: u16,
    /// A short title that never changes.
    pub title: &'static str,
    /// Its meaning, and what a client can do.
    pub explanation: &'static str,
}

macro_rules! definitions {
    ($($name:ident: $status:literal $code:literal $title:literal $explanation:literal;)+) => {
        $(#[doc = $title]
        pub static $name: Definition =
            Definition { code: $code, status: $status, title: $title, explanation: $explanation };)+

        /// Every definition, in the order of the documentation.
        pub static ALL: &[&Definition] = &[$(&$name),+];
    };
}

definitions! {
    MALFORMED_JSON: 400 "malformed_json" "The body is not JSON" "The body could not be read as JSON. Correct it and send it again.";
    MALFORMED_REQUEST: 400 "malformed_request" "The request is not HTTP" "The first line or a header could not be read as HTTP/1.1.";
    UNAUTHORIZED: 401 "unauthorized" "Sign in first" "The session token is missing, unknown or has ended. Sign in and send it as `Authorization: Bearer`.";
    INSUFFICIENT_POINTS: 402 "insufficient_points" "The balance is too low" "The balance does not cover the price; nothing was charged. `balance` and `price` say by how much. Top up points and pay with a new Idempotency-Key.";
    FORBIDDEN: 403 "forbidden" "Not allowed" "The caller's role does not allow this.";
    ACCOUNT_LOCKED: 403 "account_locked" "The account is locked" "The password was right, but the account is locked. Ask the box office.";
    DEMO_ACCOUNT: 403 "demo_account" "The demo's accounts are shut" "The account is one of the demo's with its published password, and this server is no demo. An operator of this box office sets another password with `frontrow user password`.";
    OPERATOR_ACCOUNT: 403 "operator_account" "An operator's account" "Operators' accounts are locked, unlocked, reset and erased on the command line alone.";
    RESET_LINK_INVALID: 403 "reset_link_invalid" "The reset link is not valid" "The reset link is unknown, used or over. Ask for another one.";
    WRONG_PASSWORD: 403 "wrong_password" "The password is wrong" "The password that the call asks for once more is not the account's. The session goes on.";
    TOP_UP_NOT_ALLOWED: 403 "top_up_not_allowed" "Points are topped up by the box office" "Only an operator or the service key may top up points here.";
    TOKEN_INVALID: 403 "token_invalid" "The queue token is not valid here" "The queue token is missing, forged, or not one of the caller's for this room. Join the line.";
    TOKEN_OF_ANOTHER_ROOM: 403 "token_of_another_room" "The queue token is for another room" "The queue token belongs to another concert's room. Join this concert's line.";
    TOKEN_WAITING: 403 "token_waiting" "It is not your turn yet" "The token still waits. Ask for its position and activate it when it is offered.";
    TOKEN_NOT_ACTIVATED: 403 "token_not_activated" "Activate the queue token first" "The token has its turn; activate it, then try again.";
    TOKEN_MISSED: 403 "token_missed" "The turn was missed" "The turn was not claimed in time. Activate the token to return to the head of the line; a token that lets too many turns pass ends.";
    TOKEN_ENDED: 403 "token_ended" "The queue token has ended" "The token was spent, left the line, expired or let too many turns pass. Join the line again.";
    TURN_TIME_OVER: 403 "turn_time_over" "The turn's time to hold seats is over" "The turn could hold seats until `until`; a hold made later could end after the token. What is held may be paid until its end. Then join the line again.";
    TOO_MANY_HOLDS: 403 "too_many_holds" "The turn has held seats too often" "One turn may hold seats `limit` times. What is held may be paid until its end. Then join the line again.";
    NOT_FOUND: 404 "not_found" "No such thing" "There is no such thing, or it is another user's: the two cannot be told apart.";
    METHOD_NOT_ALLOWED: 405 "method_not_allowed" "The method is not allowed here" "The path exists, but not with this method; the `Allow` header lists those it has.";
    REQUEST_TIMEOUT: 408 "request_timeout" "The request came too slowly" "The headers or the body did not arrive in time. Nothing was done.";
    TURN_NOT_YET: 409 "turn_not_yet" "It is not your turn yet" "The turn cannot be claimed before it is offered. Go on asking for the position.";
    EMAIL_TAKEN: 409 "email_taken" "The e-mail address has an account" "Sign in, or register with another address.";
    ACCOUNT_CHANGED: 409 "account_changed" "The account has changed meanwhile" "All sessions of the account were ended after its password was checked. Sign in again.";
    BALANCE_LEFT: 409 "balance_left" "The account has points" "An account is erased when its balance is 0; `balance` says how much there is. Spend it, or ask the box office.";
    TICKETS_LEFT: 409 "tickets_left" "The account has tickets" "An account is erased when it has no ticket for a concert to come, nor for one that was postponed or cancelled; reservation `reservation_id` is one. Refund it, or ask the box office.";
    DEBT_LEFT: 409 "debt_left" "The account has an open debt" "An account is erased when it owes nothing; debt `debt_id` of `amount` is open. Ask the box office to collect it or to write it off.";
    SEAT_HELD: 409 "seat_held" "The seat is held" "Somebody holds seat `seat_id` until `held_until`. Choose another one, or try again then.";
    SEAT_HELD_BY_YOU: 409 "seat_held_by_you" "You hold the seat already" "The caller holds seat `seat_id` until `held_until`. Pay for reservation `reservation_id`, or cancel it.";
    SEAT_SOLD: 409 "seat_sold" "The seat is sold" "Seat `seat_id` is sold. Choose another one.";
    SEAT_BLOCKED: 409 "seat_blocked" "The seat is not for sale" "Seat `seat_id` is not for sale. Choose another one.";
    SEAT_COOLING_DOWN: 409 "seat_cooling_down" "The seat is for others first" "The caller gave seat `seat_id` up, or let its hold end, a moment ago, and may hold it again from `until` on, if it is free then. Choose another one.";
    SEAT_IN_USE: 409 "seat_in_use" "The seat is held or sold" "Seat `seat_id` can be neither blocked, freed, changed nor removed while it is held or sold.";
    SEAT_HAS_HISTORY: 409 "seat_has_history" "The seat was held or sold before" "Reservations name seat `seat_id`, so it stays. Block it.";
    SEAT_NUMBER_TAKEN: 409 "seat_number_taken" "The seat number exists" "The concert has a seat with printed number `number` in row `row` of section `section`, or the call names it twice; no seat was added or changed.";
    TOO_MANY_SEATS: 409 "too_many_seats" "Too many seats" "One user may have at most `limit` seats in a concert.";
    SALE_NOT_OPEN: 409 "sale_not_open" "The sale has not opened" "The sale opens at `opens_at`.";
    SALE_OPENED: 409 "sale_opened" "The sale has opened" "The sale opened at `opened_at`: buyers hold seats and wait by the house room's tokens, so the concert stays with it.";
    SALE_CLOSED: 409 "sale_closed" "The sale is closed" "The sale or the concert is over, or an operator closed it.";
    CONCERT_POSTPONED: 409 "concert_postponed" "The concert is postponed" "The sale stands still until the new date is known. Payments may be refunded meanwhile.";
    CONCERT_CANCELLED: 409 "concert_cancelled" "The concert is cancelled" "The concert does not take place; nothing was charged. Payments may be refunded at any time.";
    CONCERT_NOT_CANCELLED: 409 "concert_not_cancelled" "The concert is not cancelled" "All payments of a concert are given back only when it was cancelled before.";
    HOLD_EXPIRED: 409 "hold_expired" "The hold ran out" "The hold ended at `expired_at`, before the payment; nothing was charged. Hold a seat again.";
    RESERVATION_NOT_PENDING: 409 "reservation_not_pending" "The reservation is not pending" "The reservation was paid, cancelled or expired before.";
    ALREADY_REFUNDED: 409 "already_refunded" "The payment was refunded before" "A payment is refunded once.";
    REFUND_TOO_LATE: 409 "refund_too_late" "Refunds have ended" "Refunds for this concert ended at `until`.";
    BALANCE_TOO_LARGE: 409 "balance_too_large" "The balance would be too large" "An account may hold at most `max`; nothing was changed.";
    BALANCE_TOO_LOW: 409 "balance_too_low" "The balance does not cover the debt" "A debt is collected as a whole: the balance is `balance`, the debt `amount`. Nothing was taken.";
    DEBT_SETTLED: 409 "debt_settled" "The debt was settled before" "A debt is settled once.";
    REFERENCE_USED: 409 "reference_used" "The reference was used" "Another top-up, or another adjustment of the same account, carries this reference; nothing was booked.";
    PAYLOAD_TOO_LARGE: 413 "payload_too_large" "The body is too large" "The body is larger than this call takes. Send less at once.";
    URI_TOO_LONG: 414 "uri_too_long" "The address is too long" "The request's path and query are longer than the server takes.";
    UNSUPPORTED_MEDIA_TYPE: 415 "unsupported_media_type" "The body must be JSON" "Send the body with `Content-Type: application/json`.";
    INVALID_FIELD: 422 "invalid_field" "A field is not valid" "A field of the body is missing, unknown, of the wrong type or out of its bounds; `field` names it. For an id in the path, a query parameter or a header the status is 400.";
    MALFORMED: 422 "malformed" "The request contradicts itself" "The request asks for more than one request may, or contradicts itself; `reason` says how.";
    SEVERAL_CONCERTS: 422 "several_concerts" "One request is for one concert" "Send a request for each concert.";
    AMOUNT_OUT_OF_BOUNDS: 422 "amount_out_of_bounds" "The amount is out of bounds" "One top-up or adjustment is from `min` to `max`, and an adjustment is not 0.";
    IDEMPOTENCY_KEY_REUSED: 422 "idempotency_key_reused" "The Idempotency-Key was used before" "The key belongs to another request. A new request needs a new key.";
    RATE_LIMITED: 429 "rate_limited" "Too many requests" "Wait for as long as `Retry-After` says.";
    HEADERS_TOO_LARGE: 431 "headers_too_large" "The headers are too large" "The request has more or larger headers than the server takes.";
    INTERNAL: 500 "internal" "Something went wrong" "A fault of the server. The operator finds it in the log by `request_id`.";
    OVERLOADED: 503 "overloaded" "The server is busy" "Nothing was done. Try again after `Retry-After`, with the same Idempotency-Key.";
    UNAVAILABLE: 503 "unavailable" "The database is away" "Nothing was done. Try again after `Retry-After`, with the same Idempotency-Key.";
    OUTCOME_UNKNOWN: 503 "outcome_unknown" "Nobody knows yet whether it was done" "It may or may not have happened. Send the same request with the same Idempotency-Key: it takes effect once.";
}

/// The definition with this code.
#[must_use]
pub fn find(code: &str) -> Option<&'static Definition> {
    ALL.iter().copied().find(|definition| definition.code == code)
}
