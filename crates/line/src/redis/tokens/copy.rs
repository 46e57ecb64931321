//! A live token in 25 to 49 bytes: the moment of the copy, state, user, and the times that differ from that moment. The
//! counts are left out: only the rules read them.

use super::super::status;
use frontrow_domain::{
    id::{TokenId, UserId},
    queue::{Token, TokenColumns},
    time::Time,
};
use uuid::Uuid;

/// The format, in the high bits of the byte that says which times follow. A copy in another format is not read.
const FORMAT: u8 = 1 << 6;
const FORMAT_BITS: u8 = 0b1100_0000;
/// The token was not issued at the moment of the copy.
const HAS_ISSUED: u8 = 1 << 3;
const HAS_ACTIVATED: u8 = 1 << 4;
const HAS_DEADLINE: u8 = 1 << 5;

/// A copy of a token as it was at `at`.
pub(super) fn write(token: &Token, at: Time) -> Vec<u8> {
    let issued_at = Some(token.issued_at).filter(|issued_at| *issued_at != at);
    let times = [(issued_at, HAS_ISSUED), (token.activated_at(), HAS_ACTIVATED), (token.deadline(), HAS_DEADLINE)];
    let has = times.iter().filter(|(time, _)| time.is_some()).fold(0, |has, (_, flag)| has | flag);
    let mut bytes = at.micros().to_be_bytes().to_vec();
    bytes.push(FORMAT | has | status::number_of(token.status()));
    bytes.extend_from_slice(token.user_id.0.as_bytes());
    for time in times.iter().filter_map(|(time, _)| *time) {
        bytes.extend_from_slice(&time.micros().to_be_bytes());
    }
    bytes
}

/// The token that a copy is of; none for bytes that are no copy.
pub(super) fn read(mut bytes: &[u8], id: TokenId) -> Option<Token> {
    let at = time(&mut bytes)?;
    let (head, mut rest) = bytes.split_first()?;
    if head & FORMAT_BITS != FORMAT {
        return None;
    }
    let user_id = UserId(Uuid::from_bytes(*rest.split_off(..16)?.as_array()?));
    let mut when = |flag| if head & flag == 0 { Some(None) } else { time(&mut rest).map(Some) };
    let issued_at = when(HAS_ISSUED)?.unwrap_or(at);
    let (activated_at, deadline) = (when(HAS_ACTIVATED)?, when(HAS_DEADLINE)?);
    let columns = TokenColumns {
        id,
        user_id,
        status: status::status_of(head & status::BITS)?,
        issued_at,
        activated_at,
        deadline,
        expired_at: None,
        end_reason: None,
        turns_passed: 0,
        holds: 0,
    };
    if rest.is_empty() { columns.try_into().ok() } else { None }
}

fn time(bytes: &mut &[u8]) -> Option<Time> {
    Some(Time::from_micros(i64::from_be_bytes(*bytes.split_off(..8)?.as_array()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::{
        id::{Position, RoomId},
        policy::Policy,
        queue::EndReason,
        time::Span,
    };

    const AT: Time = Time::from_micros(1_900_000_000_000_000);
    const ID: TokenId = TokenId { room_id: RoomId::HOUSE, position: Position(7) };

    #[test]
    fn a_live_token_reads_as_it_was_written() {
        let policy = Policy::default();
        let later = AT.plus(Span::from_secs(9));
        let issued = Token::issued(ID, UserId(Uuid::from_u128(42)), AT);
        let offered = issued.offered(AT, &policy).unwrap();
        let tokens = [
            issued,
            offered,
            offered.activated(later, &policy).unwrap(),
            issued.made_dormant(later, &policy).unwrap(),
            offered.after_deadline(later, &policy),
        ];
        for token in tokens {
            for at in [AT, later] {
                let told = Token { turns_passed: 0, ..token };
                assert_eq!(read(&write(&token, at), ID), Some(told));
            }
        }
        assert_eq!(write(&issued, AT).len(), 25);
    }

    #[test]
    fn what_is_no_copy_is_not_read() {
        let token = Token::issued(ID, UserId(Uuid::from_u128(42)), AT);
        let copy = write(&token, AT);
        for len in 0..copy.len() {
            assert_eq!(read(&copy[..len], ID), None);
        }
        let mut longer = copy.clone();
        longer.push(0);
        assert_eq!(read(&longer, ID), None);
        let mut other_format = copy;
        other_format[8] ^= FORMAT_BITS;
        assert_eq!(read(&other_format, ID), None);
        assert_eq!(read(&write(&token.ended(AT, EndReason::Left).unwrap(), AT), ID), None);
    }
}
