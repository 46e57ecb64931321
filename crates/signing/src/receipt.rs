//! Receipts of the line: what became of a place, signed as passes are, so that anybody can verify them with the public
//! keys and without a call.

use super::{BadPass, Keyring};
use frontrow_domain::line::LaneKind;
use serde::{Deserialize, Serialize};

/// The type in the header of a receipt: no receipt is taken for a pass.
pub const RECEIPT_TYPE: &str = "frontrow-receipt+jwt";

/// What became of a place in a line. Times are in microseconds since 1970, but `iat`, which is in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptClaims {
    /// The address of the box office.
    pub iss: String,
    /// A pseudonym of the user in this room.
    pub sub: String,
    /// When the receipt was written, in seconds.
    pub iat: i64,
    /// The room.
    pub room: i64,
    /// The kind of the lane beside the room's line, if the place is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<LaneKind>,
    /// When its user joined.
    pub joined_at: i64,
    /// How the places of those who came before the opening were given: `draw` or `first_come`.
    pub opening: String,
    /// The number of the entry in the draw; none without one.
    pub entry: Option<i64>,
    /// How many entries were drawn; none without a draw.
    pub entries: Option<i64>,
    /// The rank that was drawn; none without a draw.
    pub rank: Option<i64>,
    /// The place in the line; none while the order is not drawn.
    pub place: Option<i64>,
    /// How many places there were in front of it when it was given; none while the order is not drawn.
    pub ahead_at_start: Option<i64>,
    /// The status of the token.
    pub status: String,
    /// How many turns it let pass.
    pub turns_passed: u32,
    /// When its turn was claimed.
    pub activated_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// Why it ended.
    pub end_reason: Option<String>,
}

impl Keyring {
    /// A receipt with this content, signed with the signing key.
    ///
    /// # Errors
    /// [`BadPass::UnknownKey`] if no private key could be derived, which is not to be expected of any secret.
    pub fn sign_receipt(&self, claims: &ReceiptClaims) -> Result<String, BadPass> {
        self.sign_claims(RECEIPT_TYPE, claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_signed_by_the_published_key_and_is_no_pass() {
        let ring = Keyring::from_secrets(&[(1, [0x11; 32])], 1).unwrap();
        let claims = ReceiptClaims {
            iss: "https://line.example.com".to_owned(),
            sub: "someone".to_owned(),
            iat: 1_900_000_000,
            room: 7,
            lane: None,
            joined_at: 1_900_000_000_000_000,
            opening: "draw".to_owned(),
            entry: Some(12),
            entries: Some(40),
            rank: Some(3),
            place: Some(43),
            ahead_at_start: Some(2),
            status: "ended".to_owned(),
            turns_passed: 0,
            activated_at: Some(1_900_000_000_000_001),
            ended_at: Some(1_900_000_000_000_002),
            end_reason: Some("paid".to_owned()),
        };
        let receipt = ring.sign_receipt(&claims).unwrap();
        assert_eq!(ring.verify_claims::<ReceiptClaims>(RECEIPT_TYPE, &receipt), Ok(claims));
        assert_eq!(ring.verify_pass(&receipt), Err(BadPass::Form));
    }
}
