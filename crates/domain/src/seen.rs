//! Seats that were seen taken a moment ago: what one buyer was refused for, the next one need not ask the store about.
//!
//! This only ever refuses. Who gets a seat is decided from its row.

use crate::{
    id::{RoomId, SeatId, TokenId},
    outage::Outages,
    policy::Policy,
    queue::{Token, check_may_use},
    refusal::Refusal,
    time::{Span, Time},
    user::Caller,
};

/// How long a refusal is good for others: as old as a seat map may be, so that nobody is told less than the map shows.
pub const REFUSAL_TTL: Span = Span::from_millis(100);

/// A seat that somebody could not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenTaken {
    seat_id: SeatId,
    room_id: RoomId,
    refusal: Refusal,
}

impl SeenTaken {
    /// What the refusal of a hold with `token` tells about a seat; none where it tells about something else. That it
    /// came so far shows that the seat is sold in the token's room, and that the sale is open.
    #[must_use]
    pub fn of(refusal: &Refusal, token: TokenId) -> Option<Self> {
        match refusal {
            Refusal::SeatHeld { seat_id, .. } | Refusal::SeatSold { seat_id } | Refusal::SeatBlocked { seat_id } => {
                Some(Self { seat_id: *seat_id, room_id: token.room_id, refusal: refusal.clone() })
            }
            _ => None,
        }
    }

    /// Which seat.
    #[must_use]
    pub const fn seat_id(&self) -> SeatId {
        self.seat_id
    }

    /// What a caller hears who asks for this seat alone, `age` after it was seen taken; none where it must be decided
    /// from the rows. Whoever may not hold at all is told so from the rows, not what became of a seat.
    #[must_use]
    pub fn refuses(&self, caller: Caller, token: &Token, age: Span, now: Time, policy: &Policy) -> Option<Refusal> {
        let may_hold = check_may_use(token, caller, self.room_id, now, policy).is_ok()
            && token.check_time_to_hold(now, policy, &Outages::default()).is_ok();
        let is_over = matches!(self.refusal, Refusal::SeatHeld { held_until, .. } if held_until <= now);
        // Who has the seat is told so, from the rows.
        let is_holder =
            matches!(self.refusal, Refusal::SeatHeld { holder: Some(id), .. } if caller.user_id() == Some(id));
        (may_hold && !is_over && !is_holder && age < REFUSAL_TTL).then(|| self.refusal.clone())
    }
}
