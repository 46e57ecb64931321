//! Seats that were found taken a moment ago: the next buyer is refused from memory, without the store.
//!
//! This only ever refuses. A seat is granted from its row alone.

use crate::{
    id::{RoomId, SeatId, TokenId},
    line::{Token, check_may_use},
    outage::Outages,
    policy::Policy,
    refusal::Refusal,
    time::{Span, Time},
    user::Caller,
};

/// How long a refusal is valid for other callers: as long as a seat map may be old, so that it is no staler than the
/// map.
pub const REFUSAL_TTL: Span = Span::from_millis(100);

/// A seat that a hold found taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenTaken {
    seat_id: SeatId,
    room_id: RoomId,
    refusal: Refusal,
}

impl SeenTaken {
    /// The seat that a refused hold with `token` found taken; none for any other refusal. A hold gets these refusals
    /// only after the checks of room and sale: the seat is sold in the token's room, and the sale is open.
    #[must_use]
    pub fn of(refusal: &Refusal, token: TokenId) -> Option<Self> {
        match refusal {
            Refusal::SeatHeld { seat_id, .. } | Refusal::SeatSold { seat_id } | Refusal::SeatBlocked { seat_id } => {
                Some(Self { seat_id: *seat_id, room_id: token.room_id, refusal: refusal.clone() })
            }
            _ => None,
        }
    }

    /// The seat.
    #[must_use]
    pub const fn seat_id(&self) -> SeatId {
        self.seat_id
    }

    /// The refusal of a hold of this seat alone, `age` after it was found taken; none if the rows must decide. A caller
    /// that may not hold at all is refused from the rows, with its own reason.
    #[must_use]
    pub fn refuses(&self, caller: Caller, token: &Token, age: Span, now: Time, policy: &Policy) -> Option<Refusal> {
        let may_hold = check_may_use(token, caller, self.room_id, now, policy).is_ok()
            && token.check_time_to_hold(now, policy, &Outages::default()).is_ok();
        let is_over = matches!(self.refusal, Refusal::SeatHeld { held_until, .. } if held_until <= now);
        // The holder gets its own refusal, from the rows.
        let is_holder =
            matches!(self.refusal, Refusal::SeatHeld { holder: Some(id), .. } if caller.user_id() == Some(id));
        (may_hold && !is_over && !is_holder && age < REFUSAL_TTL).then(|| self.refusal.clone())
    }
}
