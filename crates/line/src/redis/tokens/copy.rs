//! A live token in 26 to 53 bytes: the moment of the copy, which `tokens_put.lua` compares, then state, user, and when
//! it was issued. The counts are left out: only the rules read them. With two bytes more for a waiting token, Redis
//! would take a fifth more for it.

use frontrow_domain::{
    id::{TokenId, UserId},
    line::{Token, TokenState},
    time::{Span, Time},
};
use uuid::Uuid;

/// The fields of a copy after its moment: state, user, and when the token was issued.
type CopyRest = (TokenState, [u8; 16], i64);

/// A copy of a token as it was at `at`. Every token has one; an empty one would remove it from Redis.
pub(super) fn write(token: &Token, at: Time) -> Vec<u8> {
    let issued = token.issued_at.micros().wrapping_sub(at.micros());
    let rest: CopyRest = (token.state, token.user_id.0.into_bytes(), issued);
    postcard::to_extend(&rest, at.micros().to_be_bytes().to_vec()).unwrap_or_default()
}

/// The token that a copy is of; none for bytes that are no copy.
pub(super) fn read(bytes: &[u8], id: TokenId) -> Option<Token> {
    let (moment, rest) = bytes.split_first_chunk()?;
    let at = Time::from_micros(i64::from_be_bytes(*moment));
    let Ok(((state, user, issued), [])) = postcard::take_from_bytes::<CopyRest>(rest) else { return None };
    let token = Token::issued(id, UserId(Uuid::from_bytes(user)), at.plus(Span::from_micros(issued)));
    match state {
        TokenState::Ended { .. } => None,
        state => Some(Token { state, ..token }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::{
        id::{Position, RoomId},
        line::EndReason,
        policy::Policy,
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
                let expected = Token { turns_passed: 0, ..token };
                assert_eq!(read(&write(&token, at), ID), Some(expected));
            }
        }
        assert_eq!(write(&issued, AT).len(), 26);
    }

    /// Other bytes are another format: they need another key.
    #[test]
    fn the_format_of_a_copy_is_pinned() {
        let token = Token::issued(ID, UserId(Uuid::from_u128(42)), AT);
        let active = token.offered(AT, &Policy::default()).unwrap().activated(AT, &Policy::default()).unwrap();
        let copies = [token, active].map(|token| write(&token, AT.plus(Span::from_secs(1))));
        let hex = copies.map(|copy| copy.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}")));
        assert_eq!(hex[0], "0006c00a39220240000000000000000000000000000000002aff887a");
        let expected = "0006c00a392202400480809691c782e0068084c5f0c782e006000000000000000000000000000000002aff887a";
        assert_eq!(hex[1], expected);
    }

    #[test]
    fn what_is_no_copy_is_not_read() {
        let token = Token::issued(ID, UserId(Uuid::from_u128(42)), AT);
        let copy = write(&token, AT);
        for len in 0..copy.len() {
            assert_eq!(read(&copy[..len], ID), None);
        }
        let mut longer = copy;
        longer.push(0);
        assert_eq!(read(&longer, ID), None);
        assert_eq!(read(&write(&token.ended(AT, EndReason::Left).unwrap(), AT), ID), None);
    }
}
