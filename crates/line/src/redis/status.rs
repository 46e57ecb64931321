//! The numbers of token states in copies and events.

use frontrow_domain::queue::TokenStatus;

/// The bits that such a number takes.
pub(super) const BITS: u8 = 0b0000_0111;

pub(super) const fn number_of(status: TokenStatus) -> u8 {
    match status {
        TokenStatus::Waiting => 0,
        TokenStatus::Dormant => 1,
        TokenStatus::Offered => 2,
        TokenStatus::Missed => 3,
        TokenStatus::Active => 4,
        TokenStatus::Ended => 5,
    }
}

pub(super) const fn status_of(number: u8) -> Option<TokenStatus> {
    Some(match number {
        0 => TokenStatus::Waiting,
        1 => TokenStatus::Dormant,
        2 => TokenStatus::Offered,
        3 => TokenStatus::Missed,
        4 => TokenStatus::Active,
        5 => TokenStatus::Ended,
        _ => return None,
    })
}
