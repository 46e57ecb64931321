//! The answer that is stored under an idempotency key. It is read by every version of the program that may run within
//! the days for which answers are stored: neither the rows of the domain nor the shapes of the API may change it.

use super::Decision;

/// The format that is written: one character, then JSON.
const VERSION: char = '1';

/// The text of an answer; none if it cannot be written.
pub(crate) fn write(decision: &Decision) -> Option<String> {
    serde_json::to_string(decision).ok().map(|json| format!("{VERSION}{json}"))
}

/// The answer of a text; none for a text of another format. Texts from before there was a version have none, and the
/// shape of the first.
pub(crate) fn read(text: &str) -> Option<Decision> {
    let json = text.strip_prefix(VERSION).or_else(|| text.starts_with('{').then_some(text))?;
    serde_json::from_str(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::{Issue, Outcome},
        id::{ConcertId, HistoryId, PaymentId, Position, ReservationId, RoomId, SeatId, TokenId, UserId},
        line::{EndReason, Token, TokenState},
        money::Money,
        points::{PointEntry, PointKind},
        refusal::Refusal,
        sale::{Payment, PaymentStatus, Reservation, ReservationState},
        time::Time,
    };

    const USER: UserId = UserId(uuid::Uuid::nil());
    const AT: Time = Time::from_micros(1);
    const LATER: Time = Time::from_micros(2_000_000);

    fn token(state: TokenState) -> Token {
        let id = TokenId { room_id: RoomId::HOUSE, position: Position(7) };
        Token { state, turns_passed: 1, holds: 2, ..Token::issued(id, USER, AT) }
    }

    fn reservation(state: ReservationState) -> Reservation {
        Reservation {
            reservation_id: ReservationId::new(3),
            user_id: USER,
            concert_id: ConcertId::new(4),
            seat_id: SeatId::new(5),
            seat_number: 6,
            price: Money::new(90_000),
            state,
            created_at: AT,
            expires_at: LATER,
        }
    }

    /// Answers of version 1, as they stand in databases. A change here is a new version, which reads the old one too.
    #[test]
    fn an_answer_of_an_earlier_program_is_read_and_written_as_it_was() {
        let payment = Payment {
            payment_id: PaymentId::new(8),
            user_id: USER,
            reservation_id: ReservationId::new(3),
            amount: Money::new(90_000),
            status: PaymentStatus::Completed,
            paid_at: AT,
            refunded_at: None,
            created_at: AT,
        };
        let entry = PointEntry {
            history_id: HistoryId::new(9),
            user_id: USER,
            amount: Money::new(500),
            kind: PointKind::TopUp,
            description: "top-up".to_owned(),
            balance_after: Money::new(500),
            version: 1,
            payment_id: None,
            reference: Some("pg-1".to_owned()),
            created_at: AT,
        };
        let ended = TokenState::Ended { at: LATER, reason: EndReason::Left, activated_at: Some(AT) };
        let active = TokenState::Active { since: AT, until: LATER, back_until: None };
        let cases: [(Decision, &str); 6] = [
            (
                Ok(Outcome::Joined { token: token(active), issue: Issue::Existing }),
                r#"1{"Ok":{"outcome":"joined","value":{"token":{"id":{"room_id":0,"position":7},"user_id":"00000000-0000-0000-0000-000000000000","status":"active","issued_at":"1970-01-01T00:00:00.000001Z","activated_at":"1970-01-01T00:00:00.000001Z","deadline":"1970-01-01T00:00:02.000000Z","expired_at":null,"end_reason":null,"turns_passed":1,"holds":2},"issue":"existing"}}}"#,
            ),
            (
                Ok(Outcome::Token(token(ended))),
                r#"1{"Ok":{"outcome":"token","value":{"id":{"room_id":0,"position":7},"user_id":"00000000-0000-0000-0000-000000000000","status":"ended","issued_at":"1970-01-01T00:00:00.000001Z","activated_at":"1970-01-01T00:00:00.000001Z","deadline":null,"expired_at":"1970-01-01T00:00:02.000000Z","end_reason":"left","turns_passed":1,"holds":2}}}"#,
            ),
            (
                Ok(Outcome::Held(vec![reservation(ReservationState::Pending)])),
                r#"1{"Ok":{"outcome":"held","value":[{"reservation_id":3,"user_id":"00000000-0000-0000-0000-000000000000","concert_id":4,"seat_id":5,"seat_number":6,"price":90000,"status":"pending","created_at":"1970-01-01T00:00:00.000001Z","expires_at":"1970-01-01T00:00:02.000000Z","confirmed_at":null,"closed_at":null}]}}"#,
            ),
            (
                Ok(Outcome::Paid(vec![payment])),
                r#"1{"Ok":{"outcome":"paid","value":[{"payment_id":8,"user_id":"00000000-0000-0000-0000-000000000000","reservation_id":3,"amount":90000,"status":"completed","paid_at":"1970-01-01T00:00:00.000001Z","refunded_at":null,"created_at":"1970-01-01T00:00:00.000001Z"}]}}"#,
            ),
            (
                Ok(Outcome::ToppedUp(entry)),
                r#"1{"Ok":{"outcome":"topped_up","value":{"history_id":9,"user_id":"00000000-0000-0000-0000-000000000000","amount":500,"type":"top_up","description":"top-up","balance_after":500,"version":1,"payment_id":null,"reference":"pg-1","created_at":"1970-01-01T00:00:00.000001Z"}}}"#,
            ),
            (Err(Refusal::SeatSold { seat_id: SeatId::new(5) }), r#"1{"Err":{"code":"seat_sold","seat_id":5}}"#),
        ];
        for (decision, text) in cases {
            assert_eq!(write(&decision).as_deref(), Some(text));
            assert_eq!(read(text), Some(decision.clone()));
            assert_eq!(read(&text[1..]), Some(decision), "an answer from before there was a version");
        }
    }

    #[test]
    fn an_answer_of_another_format_is_not_read() {
        let cancelled = Ok(Outcome::Cancelled(reservation(ReservationState::Cancelled { at: AT })));
        let text = write(&cancelled).unwrap();
        assert_eq!(read(&text), Some(cancelled));
        let (newer, contradictory) =
            (text.replacen('1', "2", 1), text.replace("cancelled\",\"created", "pending\",\"created"));
        assert_ne!(contradictory, text);
        for unknown in [newer.as_str(), contradictory.as_str(), "", "1", "{}"] {
            assert_eq!(read(unknown), None, "{unknown}");
        }
    }
}
