//! Which token may be activated, and which may hold and pay.

use super::{Token, TokenStatus};
use crate::{id::RoomId, policy::Policy, refusal::Refusal, time::Time, user::Caller};

/// Whether the token may be activated now: it has its turn and the room has a free place
/// (활성화가능여부(토큰, 현재활성수, 최대활성수)).
#[must_use]
pub fn may_activate(token: &Token, active: i64, max_active: i64, now: Time) -> bool {
    can_be_activated(token, now) && active < max_active
}

/// Whether the token's state allows activation (활성화가능여부(토큰)).
#[must_use]
pub fn can_be_activated(token: &Token, now: Time) -> bool {
    token.is_offered(now)
}

/// Whether the token, of the room's general line or one of its lanes, lets the caller hold and pay in a room
/// (서비스이용가능여부).
///
/// # Errors
/// [`Refusal::TokenInvalid`] for another user's token, else the refusal that says what is missing.
pub fn check_may_use(
    token: &Token,
    caller: Caller,
    room_id: RoomId,
    now: Time,
    policy: &Policy,
) -> Result<(), Refusal> {
    if Some(token.user_id) != caller.user_id() {
        return Err(Refusal::TokenInvalid);
    }
    if token.id.room_id.general() != room_id {
        return Err(Refusal::TokenOfAnotherRoom);
    }
    match token.after_deadline(now, policy).status() {
        TokenStatus::Active => Ok(()),
        TokenStatus::Waiting | TokenStatus::Dormant => Err(Refusal::TokenWaiting),
        TokenStatus::Offered => Err(Refusal::TokenNotActivated),
        TokenStatus::Missed => Err(Refusal::TokenMissed),
        TokenStatus::Ended => Err(Refusal::TokenEnded),
    }
}
