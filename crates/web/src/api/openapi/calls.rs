//! The problems of every call.

use crate::edge::problem::codes::{
    ACCOUNT_CHANGED, ACCOUNT_LOCKED, ALREADY_REFUNDED, AMOUNT_OUT_OF_BOUNDS, BALANCE_LEFT, BALANCE_TOO_LARGE,
    BALANCE_TOO_LOW, CHANGED_MEANWHILE, CONCERT_CANCELLED, CONCERT_NOT_CANCELLED, CONCERT_POSTPONED,
    CONFIRMATION_LINK_INVALID, DEBT_LEFT, DEBT_SETTLED, DEMO_ACCOUNT, Definition, EMAIL_TAKEN, FORBIDDEN, HOLD_EXPIRED,
    IDEMPOTENCY_KEY_REUSED, INSUFFICIENT_POINTS, INTERNAL, INVALID_FIELD, LINE_BLOCKED, MALFORMED, MALFORMED_JSON,
    NO_OPENING, NO_SEATS, NOT_FOUND, OPERATOR_ACCOUNT, OUTCOME_UNKNOWN, OVERLOADED, PAYLOAD_TOO_LARGE, RATE_LIMITED,
    REASON_NEEDED, REFERENCE_USED, REFUND_TOO_LATE, REQUEST_TIMEOUT, RESERVATION_NOT_PENDING, RESET_LINK_INVALID,
    SALE_CLOSED, SALE_NOT_OPEN, SALE_OPENED, SEAT_BLOCKED, SEAT_COOLING_DOWN, SEAT_HAS_HISTORY, SEAT_HELD,
    SEAT_HELD_BY_YOU, SEAT_IN_USE, SEAT_NUMBER_TAKEN, SEAT_SOLD, SECOND_FACTOR_NEEDED, SECOND_FACTOR_RESTING,
    SECOND_FACTOR_WRONG, SEVERAL_CONCERTS, TICKETS_LEFT, TOKEN_ENDED, TOKEN_INVALID, TOKEN_MISSED, TOKEN_NOT_ACTIVATED,
    TOKEN_OF_ANOTHER_ROOM, TOKEN_WAITING, TOO_MANY_HOLDS, TOO_MANY_SEATS, TOO_MANY_STREAMS, TOP_UP_NOT_ALLOWED,
    TURN_NOT_YET, TURN_TIME_OVER, UNAUTHORIZED, UNAVAILABLE, UNSUPPORTED_MEDIA_TYPE, WRONG_PASSWORD,
};

type Problems = &'static [&'static Definition];

/// `invalid_field` in a path, a query or a header, which has another status.
static BAD_PARAMETER: Definition = Definition { status: 400, ..INVALID_FIELD };
/// Problems of every call: any query may have an unknown field.
const ALWAYS: Problems = &[&BAD_PARAMETER, &INTERNAL, &OVERLOADED, &UNAVAILABLE];
/// Problems of calls that need a session; the service key is not one.
const WITH_SESSION: Problems = &[&UNAUTHORIZED, &FORBIDDEN];
/// Problems of calls that take a session or the service key.
const WITH_SESSION_OR_KEY: Problems = &[&UNAUTHORIZED];
/// Problems of calls with a body.
const WITH_BODY: Problems =
    &[&MALFORMED_JSON, &INVALID_FIELD, &PAYLOAD_TOO_LARGE, &UNSUPPORTED_MEDIA_TYPE, &REQUEST_TIMEOUT];
/// Problems of calls that change something and take an idempotency key.
const WITH_KEY: Problems = &[&IDEMPOTENCY_KEY_REUSED, &OUTCOME_UNKNOWN, &RATE_LIMITED];
/// Problems of calls that need an active token.
const WITH_TOKEN: Problems =
    &[&TOKEN_INVALID, &TOKEN_OF_ANOTHER_ROOM, &TOKEN_WAITING, &TOKEN_NOT_ACTIVATED, &TOKEN_MISSED, &TOKEN_ENDED];

/// A call's groups of problems, and problems of its own.
pub(super) struct Call {
    pub(super) id: &'static str,
    parts: &'static [Problems],
    own: Problems,
}

impl Call {
    /// Whether it takes an idempotency key.
    pub(super) fn takes_key(&self) -> bool {
        self.parts.contains(&WITH_KEY)
    }

    /// Its problems, by status and code.
    pub(super) fn problems(&self) -> Vec<&'static Definition> {
        let all = ALWAYS.iter().chain(self.parts.iter().copied().flatten()).chain(self.own);
        let mut problems: Vec<_> = all.copied().collect();
        problems.sort_by_key(|definition| (definition.status, definition.code));
        problems.dedup();
        problems
    }
}

macro_rules! calls {
    ($($id:ident: [$($part:ident),*] [$($own:ident),* $(,)?];)+) => {
        /// Every call with its problems.
        pub(super) static CALLS: &[Call] =
            &[$(Call { id: stringify!($id), parts: &[$($part),*], own: &[$(&$own),*] }),+];
    };
}

calls! {
    register: [WITH_BODY] [EMAIL_TAKEN, RATE_LIMITED, OUTCOME_UNKNOWN];
    sign_in: [WITH_BODY] [
        UNAUTHORIZED, SECOND_FACTOR_NEEDED, SECOND_FACTOR_WRONG, ACCOUNT_LOCKED, DEMO_ACCOUNT, ACCOUNT_CHANGED,
        SECOND_FACTOR_RESTING, RATE_LIMITED, OUTCOME_UNKNOWN,
    ];
    sign_out: [WITH_SESSION] [RATE_LIMITED, OUTCOME_UNKNOWN];
    sign_out_everywhere: [WITH_SESSION] [RATE_LIMITED, OUTCOME_UNKNOWN];
    change_password: [WITH_SESSION, WITH_BODY] [
        WRONG_PASSWORD, ACCOUNT_LOCKED, ACCOUNT_CHANGED, NOT_FOUND, RATE_LIMITED, OUTCOME_UNKNOWN,
    ];
    erase_me: [WITH_SESSION, WITH_BODY] [
        WRONG_PASSWORD, ACCOUNT_LOCKED, OPERATOR_ACCOUNT, ACCOUNT_CHANGED, BALANCE_LEFT, TICKETS_LEFT, DEBT_LEFT,
        NOT_FOUND, RATE_LIMITED, OUTCOME_UNKNOWN,
    ];
    reset_password: [WITH_BODY] [RESET_LINK_INVALID, RATE_LIMITED, OUTCOME_UNKNOWN];
    my_sessions: [WITH_SESSION] [];
    end_session: [WITH_SESSION] [NOT_FOUND, RATE_LIMITED, OUTCOME_UNKNOWN];
    request_password_reset: [WITH_BODY] [RATE_LIMITED];
    request_email_confirmation: [WITH_SESSION] [ACCOUNT_LOCKED, NOT_FOUND, RATE_LIMITED, OUTCOME_UNKNOWN];
    confirm_email: [WITH_BODY] [CONFIRMATION_LINK_INVALID, RATE_LIMITED, OUTCOME_UNKNOWN];
    me: [WITH_SESSION] [];
    issue_token: [WITH_SESSION, WITH_BODY, WITH_KEY] [LINE_BLOCKED, NOT_FOUND, SALE_CLOSED, CONCERT_POSTPONED, CONCERT_CANCELLED];
    my_tokens: [WITH_SESSION] [];
    token: [WITH_SESSION] [NOT_FOUND];
    position: [] [NOT_FOUND];
    line_events: [] [NOT_FOUND, TOO_MANY_STREAMS];
    activate_token: [WITH_SESSION, WITH_KEY] [NOT_FOUND, TURN_NOT_YET, TOKEN_ENDED];
    leave_queue: [WITH_SESSION] [NOT_FOUND, RATE_LIMITED, OUTCOME_UNKNOWN];
    concerts: [] [];
    concert: [] [NOT_FOUND];
    seats: [] [NOT_FOUND];
    alternatives: [] [NOT_FOUND];
    seat_events: [] [NOT_FOUND, TOO_MANY_STREAMS];
    hold: [WITH_SESSION, WITH_BODY, WITH_KEY, WITH_TOKEN] [
        NOT_FOUND, MALFORMED, SEVERAL_CONCERTS, SALE_NOT_OPEN, SALE_CLOSED, CONCERT_POSTPONED, CONCERT_CANCELLED,
        SEAT_HELD, SEAT_HELD_BY_YOU, SEAT_SOLD, SEAT_BLOCKED, SEAT_COOLING_DOWN, TOO_MANY_SEATS, TURN_TIME_OVER,
        TOO_MANY_HOLDS,
    ];
    reservations: [WITH_SESSION] [];
    reservation: [WITH_SESSION] [NOT_FOUND];
    cancel_reservation: [WITH_SESSION, WITH_KEY] [NOT_FOUND, HOLD_EXPIRED, RESERVATION_NOT_PENDING];
    pay: [WITH_SESSION, WITH_BODY, WITH_KEY, WITH_TOKEN] [
        NOT_FOUND, MALFORMED, SEVERAL_CONCERTS, HOLD_EXPIRED, RESERVATION_NOT_PENDING, INSUFFICIENT_POINTS,
        SALE_CLOSED, CONCERT_POSTPONED, CONCERT_CANCELLED,
    ];
    payments: [WITH_SESSION] [];
    payment: [WITH_SESSION] [NOT_FOUND];
    refund: [WITH_SESSION, WITH_KEY] [
        NOT_FOUND, ALREADY_REFUNDED, REFUND_TOO_LATE, BALANCE_TOO_LARGE, REASON_NEEDED,
    ];
    balance: [WITH_SESSION] [];
    history: [WITH_SESSION] [];
    top_up: [WITH_SESSION_OR_KEY, WITH_BODY, WITH_KEY] [
        TOP_UP_NOT_ALLOWED, NOT_FOUND, MALFORMED, AMOUNT_OUT_OF_BOUNDS, BALANCE_TOO_LARGE, REFERENCE_USED,
    ];
    create_concert: [WITH_SESSION, WITH_BODY, WITH_KEY] [MALFORMED];
    update_concert: [WITH_SESSION, WITH_BODY, WITH_KEY] [
        NOT_FOUND, MALFORMED, CONCERT_CANCELLED, SALE_OPENED, NO_SEATS, NO_OPENING, CHANGED_MEANWHILE, REASON_NEEDED,
    ];
    concert_books: [WITH_SESSION] [NOT_FOUND];
    set_poster: [WITH_SESSION, WITH_BODY] [NOT_FOUND, MALFORMED, CHANGED_MEANWHILE, RATE_LIMITED, OUTCOME_UNKNOWN];
    remove_poster: [WITH_SESSION] [NOT_FOUND, CHANGED_MEANWHILE, RATE_LIMITED, OUTCOME_UNKNOWN];
    cancel_concert: [WITH_SESSION, WITH_BODY, WITH_KEY] [NOT_FOUND, CHANGED_MEANWHILE];
    refund_concert: [WITH_SESSION, WITH_KEY] [NOT_FOUND, CONCERT_NOT_CANCELLED, CHANGED_MEANWHILE];
    add_seats: [WITH_SESSION, WITH_BODY, WITH_KEY] [NOT_FOUND, MALFORMED, SEAT_NUMBER_TAKEN, CONCERT_CANCELLED];
    change_seats: [WITH_SESSION, WITH_BODY, WITH_KEY] [
        NOT_FOUND, MALFORMED, SEAT_IN_USE, SEAT_NUMBER_TAKEN, CONCERT_CANCELLED, REASON_NEEDED,
    ];
    remove_seats: [WITH_SESSION, WITH_BODY, WITH_KEY] [
        NOT_FOUND, MALFORMED, SEAT_IN_USE, SEAT_HAS_HISTORY, CONCERT_CANCELLED, REASON_NEEDED,
    ];
    block_seats: [WITH_SESSION, WITH_BODY, WITH_KEY] [NOT_FOUND, MALFORMED, SEAT_IN_USE];
    free_seats: [WITH_SESSION, WITH_BODY, WITH_KEY] [NOT_FOUND, MALFORMED, SEAT_IN_USE, CONCERT_CANCELLED];
    rooms: [WITH_SESSION] [];
    room: [WITH_SESSION] [NOT_FOUND];
    set_room: [WITH_SESSION, WITH_BODY, WITH_KEY] [NOT_FOUND, MALFORMED, CHANGED_MEANWHILE, REASON_NEEDED];
    line_blocks: [WITH_SESSION] [NOT_FOUND];
    remove_from_line: [WITH_SESSION, WITH_BODY, WITH_KEY] [NOT_FOUND, MALFORMED];
    block_from_line: [WITH_SESSION, WITH_BODY, WITH_KEY] [NOT_FOUND, MALFORMED];
    unblock_from_line: [WITH_SESSION, WITH_BODY, WITH_KEY] [NOT_FOUND];
    user_books: [WITH_SESSION] [NOT_FOUND];
    user_history: [WITH_SESSION] [NOT_FOUND];
    adjust: [WITH_SESSION_OR_KEY, WITH_BODY, WITH_KEY] [
        FORBIDDEN, NOT_FOUND, MALFORMED, AMOUNT_OUT_OF_BOUNDS, BALANCE_TOO_LARGE, REFERENCE_USED,
    ];
    find_debts: [WITH_SESSION] [];
    settle_debt: [WITH_SESSION, WITH_BODY, WITH_KEY] [NOT_FOUND, MALFORMED, BALANCE_TOO_LOW, DEBT_SETTLED];
    door_list: [WITH_SESSION] [NOT_FOUND];
    find_users: [WITH_SESSION] [];
    lock_user: [WITH_SESSION, WITH_BODY, WITH_KEY] [OPERATOR_ACCOUNT, NOT_FOUND, REASON_NEEDED];
    unlock_user: [WITH_SESSION, WITH_KEY] [OPERATOR_ACCOUNT, NOT_FOUND];
    issue_reset_link: [WITH_SESSION] [OPERATOR_ACCOUNT, ACCOUNT_LOCKED, NOT_FOUND, OUTCOME_UNKNOWN];
    find_reservations: [WITH_SESSION] [];
    find_payments: [WITH_SESSION] [];
    cancel_for_user: [WITH_SESSION, WITH_BODY, WITH_KEY] [
        NOT_FOUND, HOLD_EXPIRED, RESERVATION_NOT_PENDING, REASON_NEEDED,
    ];
    refund_for_user: [WITH_SESSION, WITH_BODY, WITH_KEY] [
        NOT_FOUND, ALREADY_REFUNDED, BALANCE_TOO_LARGE, REASON_NEEDED,
    ];
    audit: [WITH_SESSION] [];
    audit_feed: [WITH_SESSION] [];
    outbox: [WITH_SESSION] [];
    retry_event: [WITH_SESSION, WITH_KEY] [NOT_FOUND];
}
