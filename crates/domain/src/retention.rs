//! Which rows may be removed: rows that are over, and that no rule reads again.
//!
//! The books are not among them: payments, paid reservations, point histories, the audit log and the caps of rooms stay
//! for ever.

use crate::{
    id::Position,
    line::{Room, Token, TokenState},
    sale::{Reservation, ReservationState},
    time::Time,
};

/// A kind of row that is removed some time after it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leftover {
    /// Answers stored under idempotency keys, by when they were given.
    Answer,
    /// Sessions, by when they end.
    Session,
    /// Links to accounts, by when they end.
    Link,
    /// Blocks from lines, by when they end.
    Block,
    /// What is kept of lines beside their rows, by when it was saved last.
    LineRecord,
    /// Guests of lanes, by when the sale of the line was over.
    Guest,
    /// Tokens, by when they ended.
    Token,
    /// Reservations that were never paid, by when they expired or were cancelled.
    Reservation,
}

impl Leftover {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Answer,
        Self::Session,
        Self::Link,
        Self::Block,
        Self::LineRecord,
        Self::Guest,
        Self::Token,
        Self::Reservation,
    ];
}

/// Whether the row of a token that ended before `before` may be removed. `highest` is the highest position with a row
/// in its room.
///
/// Beyond the cursor the rows of ended tokens stay too: a position without a row counts as in flight. So does the
/// highest row, which says up to which position the gaps are resolved.
#[must_use]
pub fn is_token_over(token: &Token, room: &Room, highest: Position, before: Time) -> bool {
    matches!(token.state, TokenState::Ended { at, .. } if at < before)
        && token.id.position <= room.cursor
        && token.id.position < highest
}

/// Whether a reservation that ended unpaid before `before` may be removed.
#[must_use]
pub fn is_reservation_over(reservation: &Reservation, before: Time) -> bool {
    matches!(reservation.state, ReservationState::Expired { at } | ReservationState::Cancelled { at } if at < before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{ConcertId, ReservationId, RoomId, SeatId, TokenId, UserId},
        line::EndReason,
        money::Money,
        time::Span,
    };
    use uuid::Uuid;

    const NOW: Time = Time::from_micros(1_800_000_000_000_000);

    fn room(cursor: i64) -> Room {
        Room { cursor: Position(cursor), ..Room::new(RoomId::HOUSE, 10, NOW) }
    }

    fn ended(position: i64, at: Time) -> Token {
        let id = TokenId { room_id: RoomId::HOUSE, position: Position(position) };
        Token::issued(id, UserId(Uuid::nil()), at).ended(at, EndReason::Left).unwrap()
    }

    #[test]
    fn a_token_is_over_when_the_line_has_passed_it_and_it_ended_long_ago() {
        let before = NOW.minus(Span::from_secs(10));
        let old = before.minus(Span::from_secs(1));
        let highest = Position(9);
        assert!(is_token_over(&ended(5, old), &room(5), highest, before));
        assert!(!is_token_over(&ended(5, before), &room(5), highest, before), "not long enough ago");
        assert!(!is_token_over(&ended(6, old), &room(5), highest, before), "the line has not come so far");
        assert!(!is_token_over(&ended(5, old), &room(5), Position(5), before), "the highest tells what is settled");
        let waiting = Token { state: TokenState::Waiting, ..ended(5, old) };
        assert!(!is_token_over(&waiting, &room(5), highest, before));
    }

    #[test]
    fn only_a_reservation_that_was_never_paid_is_over() {
        let before = NOW;
        let old = NOW.minus(Span::from_secs(1));
        let of = |state| Reservation {
            reservation_id: ReservationId::new(1),
            user_id: UserId(Uuid::nil()),
            concert_id: ConcertId::new(1),
            seat_id: SeatId::new(1),
            seat_number: 1,
            price: Money::new(1),
            state,
            created_at: old,
            expires_at: old,
        };
        let unpaid = |at| [ReservationState::Expired { at }, ReservationState::Cancelled { at }];
        for (earlier, same) in unpaid(old).into_iter().zip(unpaid(before)) {
            assert!(is_reservation_over(&of(earlier), before));
            assert!(!is_reservation_over(&of(same), before));
        }
        let paid = ReservationState::Confirmed { at: old };
        for other in [ReservationState::Pending, paid, ReservationState::Refunded { confirmed_at: old, at: old }] {
            assert!(!is_reservation_over(&of(other), before));
        }
    }
}
