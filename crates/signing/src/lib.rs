//! What the keys of a box office sign: queue tokens, passes for other sites ([`PassClaims`]), and a few links.
//!
//! Signed queue tokens: opaque to the client, verified without a lookup.
//!
//! 66 bytes in base64url, 88 characters: version, key id, room, epoch, position, user, time of issue, and a 128-bit MAC
//! over all of them. A token identifies a place in line but does not authenticate the client: alone it can only read
//! the position.

mod keys;
mod line_report;
mod pass;
mod purpose;
mod receipt;

pub use keys::{KeyError, Keyring};
pub use line_report::{LINE_REPORT_TYPE, LaneCounts, LineCounts, LineReportClaims};
pub use pass::{BadPass, PASS_LEN_MAX, PassClaims, PassJwk, PassKey, PassKeySet, audience, subject};
pub use purpose::{MAC_BYTES, Purpose};
pub use receipt::{RECEIPT_TYPE, ReceiptClaims};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use frontrow_domain::{
    id::{Position, RoomId, TokenId, UserId},
    line::Token,
    time::Time,
};
use hmac::{Hmac, KeyInit, Mac};
use pass::PassSigner;
use sha2::Sha256;
use std::sync::OnceLock;
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// The version of the layout, the token's first byte.
const VERSION: u8 = 1;
/// Domain separation: with this prefix, a MAC of another purpose never verifies as a token.
const DOMAIN: &[u8] = b"frontrow queue token";
/// Version and key id, room, epoch, position, user, time of issue.
const BODY_LEN: usize = 2 + 8 + 8 + 8 + 16 + 8;
/// 128 bits of the HMAC: infeasible to guess, and the token stays short.
const MAC_LEN: usize = 16;
const TOKEN_LEN: usize = BODY_LEN + MAC_LEN;
/// 66 bytes are 22 groups of three: no padding and no spare bits, so each token has exactly one encoding.
const TEXT_LEN: usize = TOKEN_LEN / 3 * 4;
/// The block size of SHA-256 in bytes.
const BLOCK_LEN: usize = 64;

/// The content of a valid token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedToken {
    pub id: TokenId,
    /// The epoch of the line that it was issued in.
    pub epoch: i64,
    pub user_id: UserId,
    /// When it was issued.
    pub issued_at: Time,
}

/// Why a string is not a valid token. Clients get the same answer for all of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// Too short or too long.
    #[error("the token has the wrong length")]
    Length,
    /// Not base64url.
    #[error("the token is not base64url")]
    Encoding,
    /// A layout that this server does not know.
    #[error("the token has an unknown version")]
    Version,
    /// Signed with a key that is unknown here, or no longer stored.
    #[error("the token names an unknown key")]
    UnknownKey,
    /// Forged or altered.
    #[error("the token is forged or altered")]
    Forged,
}

/// A key with a prepared HMAC state, so that a token costs two rounds of SHA-256.
#[derive(Clone)]
struct PreparedKey {
    id: u8,
    begun: Hmac<Sha256>,
    /// For everything that is no queue token.
    plain: Hmac<Sha256>,
    /// Signs passes; derived from the secret when it is needed first.
    pass: OnceLock<Option<PassSigner>>,
}

impl PreparedKey {
    fn new(id: u8, secret: [u8; 32]) -> Self {
        // Length-prefixed like the fields, then zeros to the end of a block, so that the cached state covers whole
        // blocks.
        let mut start = [0_u8; BLOCK_LEN];
        start[0] = DOMAIN.len().to_be_bytes()[7];
        start[1..=DOMAIN.len()].copy_from_slice(DOMAIN);
        start[DOMAIN.len() + 1..DOMAIN.len() + 5].copy_from_slice(&[1, VERSION, 1, id]);
        let mut key_block = [0_u8; BLOCK_LEN];
        key_block[..secret.len()].copy_from_slice(&secret);
        // HMAC pads a shorter key with zeros to a block, so this is HMAC with the 32 bytes.
        let plain = Hmac::<Sha256>::new(&key_block.into());
        let mut begun = plain.clone();
        begun.update(&start);
        Self { id, begun, plain, pass: OnceLock::new() }
    }

    fn mac(&self, token: &SignedToken) -> [u8; MAC_LEN] {
        let mut message = [0_u8; BODY_LEN - 2 + 5];
        let mut at = 0;
        let mut field = |bytes: &[u8]| {
            message[at] = bytes.len().to_be_bytes()[7];
            message[at + 1..=at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len() + 1;
        };
        field(&token.id.room_id.get().to_be_bytes());
        field(&token.epoch.to_be_bytes());
        field(&token.id.position.0.to_be_bytes());
        field(token.user_id.0.as_bytes());
        field(&token.issued_at.micros().to_be_bytes());
        let mut mac = self.begun.clone();
        mac.update(&message);
        let whole = mac.finalize().into_bytes();
        let mut short = [0_u8; MAC_LEN];
        short.copy_from_slice(&whole[..MAC_LEN]);
        short
    }

    fn sign(&self, token: &SignedToken) -> String {
        let mut bytes = [0_u8; TOKEN_LEN];
        bytes[0] = VERSION;
        bytes[1] = self.id;
        bytes[2..10].copy_from_slice(&token.id.room_id.get().to_be_bytes());
        bytes[10..18].copy_from_slice(&token.epoch.to_be_bytes());
        bytes[18..26].copy_from_slice(&token.id.position.0.to_be_bytes());
        bytes[26..42].copy_from_slice(token.user_id.0.as_bytes());
        bytes[42..50].copy_from_slice(&token.issued_at.micros().to_be_bytes());
        bytes[BODY_LEN..].copy_from_slice(&self.mac(token));
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

impl Keyring {
    /// Encodes a token for its user, signed with the signing key.
    #[must_use]
    pub fn sign(&self, token: &Token, epoch: i64) -> String {
        let signed = SignedToken { id: token.id, epoch, user_id: token.user_id, issued_at: token.issued_at };
        self.ring().signing().sign(&signed)
    }

    /// Decodes a string that one of the keys signed. Allocates nothing and takes the same time for every MAC.
    ///
    /// # Errors
    /// It is not a token, no key here signed it, or it was altered.
    pub fn verify(&self, text: &str) -> Result<SignedToken, BadToken> {
        if text.len() != TEXT_LEN {
            return Err(BadToken::Length);
        }
        let mut bytes = [0_u8; TOKEN_LEN];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(TOKEN_LEN) => {}
            Ok(_) | Err(_) => return Err(BadToken::Encoding),
        }
        if bytes[0] != VERSION {
            return Err(BadToken::Version);
        }
        let ring = self.ring();
        let key = ring.key(bytes[1]).ok_or(BadToken::UnknownKey)?;
        let token = SignedToken {
            id: TokenId { room_id: RoomId::new(number(&bytes, 2)), position: Position(number(&bytes, 18)) },
            epoch: number(&bytes, 10),
            user_id: UserId(Uuid::from_bytes(part(&bytes, 26))),
            issued_at: Time::from_micros(number(&bytes, 42)),
        };
        let mac: [u8; MAC_LEN] = part(&bytes, BODY_LEN);
        if bool::from(key.mac(&token).ct_eq(&mac)) { Ok(token) } else { Err(BadToken::Forged) }
    }
}

fn part<const N: usize>(bytes: &[u8; TOKEN_LEN], at: usize) -> [u8; N] {
    let mut part = [0_u8; N];
    part.copy_from_slice(&bytes[at..at + N]);
    part
}

fn number(bytes: &[u8; TOKEN_LEN], at: usize) -> i64 {
    i64::from_be_bytes(part(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: UserId = UserId(Uuid::from_u128(0x0193_f3c4_5a6b_7c8d_9e0f_1122_3344_5566));
    const EPOCH: i64 = 3;

    fn token() -> Token {
        let id = TokenId { room_id: RoomId::new(7), position: Position(42) };
        Token::issued(id, USER, Time::from_micros(1_900_000_000_123_456))
    }

    fn ring() -> Keyring {
        Keyring::from_secrets(&[(1, [0x11; 32])], 1).unwrap()
    }

    #[test]
    fn a_token_says_what_was_signed() {
        let token = token();
        let signed = ring().verify(&ring().sign(&token, EPOCH)).unwrap();
        let expected = SignedToken { id: token.id, epoch: EPOCH, user_id: USER, issued_at: token.issued_at };
        assert_eq!(signed, expected);
    }

    #[test]
    fn the_layout_and_the_mac_never_change_by_accident() {
        assert_eq!(ring().sign(&token(), EPOCH), GOLDEN);
    }

    #[test]
    fn the_mac_is_hmac_sha256_over_the_documented_bytes() {
        let mut message = vec![20];
        message.extend(b"frontrow queue token");
        message.extend([1, 1, 1, 1]);
        message.resize(64, 0);
        let numbers: [&[u8]; 5] = [
            &7_i64.to_be_bytes(),
            &EPOCH.to_be_bytes(),
            &42_i64.to_be_bytes(),
            USER.0.as_bytes(),
            &token().issued_at.micros().to_be_bytes(),
        ];
        for field in numbers {
            message.push(u8::try_from(field.len()).unwrap());
            message.extend(field);
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(&[0x11; 32]).unwrap();
        mac.update(&message);
        let expected = mac.finalize().into_bytes();
        let bytes = URL_SAFE_NO_PAD.decode(GOLDEN).unwrap();
        assert_eq!(bytes[BODY_LEN..], expected[..MAC_LEN]);
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let ring = Keyring::from_secrets(&[(0, [0x10; 32]), (1, [0x11; 32]), (3, [0x13; 32])], 1).unwrap();
        let good = URL_SAFE_NO_PAD.decode(ring.sign(&token(), EPOCH)).unwrap();
        for bit in 0..TOKEN_LEN * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(ring.verify(&URL_SAFE_NO_PAD.encode(bad)).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_altered_character_is_refused() {
        let good = ring().sign(&token(), EPOCH);
        for at in 0..good.len() {
            for other in (0..=127_u8).filter(|other| *other != good.as_bytes()[at]) {
                let mut bad = good.clone().into_bytes();
                bad[at] = other;
                assert!(ring().verify(&String::from_utf8(bad).unwrap()).is_err(), "character {at}");
            }
        }
    }

    #[test]
    fn every_other_length_is_refused() {
        let good = ring().sign(&token(), EPOCH);
        for len in 0..good.len() {
            assert_eq!(ring().verify(&good[..len]), Err(BadToken::Length));
        }
        for longer in [format!("{good}A"), format!("{good}="), format!(" {good}"), good.repeat(1_000)] {
            assert_eq!(ring().verify(&longer), Err(BadToken::Length));
        }
    }

    #[test]
    fn the_other_base64_alphabet_is_refused() {
        let all_ones = "_".repeat(TEXT_LEN);
        assert_eq!(ring().verify(&all_ones), Err(BadToken::Version));
        assert_eq!(ring().verify(&"/".repeat(TEXT_LEN)), Err(BadToken::Encoding));
    }

    #[test]
    fn a_mac_is_good_for_one_room_epoch_place_user_and_time() {
        let key = PreparedKey::new(1, [0x11; 32]);
        let signed = SignedToken { id: token().id, epoch: EPOCH, user_id: USER, issued_at: token().issued_at };
        let mac = key.mac(&signed);
        let (room, place) = (signed.id.room_id.get(), signed.id.position.0);
        let swapped = TokenId { room_id: RoomId::new(place), position: Position(room) };
        let others = [
            SignedToken { id: TokenId { room_id: RoomId::new(8), ..signed.id }, ..signed },
            SignedToken { id: TokenId { position: Position(43), ..signed.id }, ..signed },
            SignedToken { id: swapped, ..signed },
            SignedToken { epoch: EPOCH + 1, ..signed },
            SignedToken { user_id: UserId(Uuid::nil()), ..signed },
            SignedToken { issued_at: Time::from_micros(0), ..signed },
        ];
        for other in others {
            assert_ne!(key.mac(&other), mac);
        }
        assert_ne!(PreparedKey::new(2, [0x11; 32]).mac(&signed), mac, "the key's id is signed too");
    }

    #[test]
    fn an_old_key_verifies_until_it_is_taken_away() {
        let old = ring().sign(&token(), EPOCH);
        let both = Keyring::from_secrets(&[(1, [0x11; 32]), (2, [0x22; 32])], 2).unwrap();
        let new = both.sign(&token(), EPOCH);
        assert_ne!(old, new);
        assert!(both.verify(&old).is_ok());
        assert!(both.verify(&new).is_ok());
        assert_eq!(ring().verify(&new), Err(BadToken::UnknownKey));
        let only_new = Keyring::from_secrets(&[(2, [0x22; 32])], 2).unwrap();
        assert_eq!(only_new.verify(&old), Err(BadToken::UnknownKey));
    }

    #[test]
    fn the_same_key_id_with_another_secret_is_refused() {
        let stranger = Keyring::from_secrets(&[(1, [0x99; 32])], 1).unwrap();
        assert_eq!(ring().verify(&stranger.sign(&token(), EPOCH)), Err(BadToken::Forged));
    }

    /// Computed with another implementation of HMAC (Python's).
    const GOLDEN: &str = "AQEAAAAAAAAABwAAAAAAAAADAAAAAAAAACoBk_PEWmt8jZ4PESIzRFVmAAbACjkUokAN7T12Zd503k2kw_o-fONd";
}
