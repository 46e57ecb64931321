//! The work that a new place in line may ask a client for: challenges in ALTCHA's form, and the wait that stands for one
//! where no script runs. Both are signed and bound to an account and a room, so that nothing is stored until one is
//! used.

use crate::office::BoxOffice;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use frontrow_domain::{
    id::{RoomId, UserId},
    line::WorkPrice,
    time::{Span, Time},
};
use frontrow_signing::{MAC_BYTES, Purpose};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// How long a challenge can be answered: a slow phone takes seconds, and what was solved in store for the opening is over
/// soon.
pub const WORK_VALID: Span = Span::from_secs(120);
/// How long a client waits that does not solve a challenge: longer than the work takes any phone.
pub const WAIT_FOR_NO_WORK: Span = Span::from_secs(30);
/// How long such a wait is good after its end: as long as a challenge.
const WAIT_VALID: Span = Span::from_secs(120);
/// The longest answer to a challenge, in characters: a right one has fewer than 500.
pub const WORK_LEN_MAX: usize = 1_024;
/// The only algorithm.
const ALGORITHM: &str = "SHA-256";
/// How many bytes of chance a salt has.
const NONCE_BYTES: usize = 16;
/// Room, user, and from when until when it is good.
const WAIT_BYTES: usize = 8 + 16 + 8 + 8;

/// A challenge in ALTCHA's form: the number is wanted whose SHA-256 behind the salt is the challenge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkChallenge {
    /// `SHA-256`.
    pub algorithm: &'static str,
    /// In hexadecimal.
    pub challenge: String,
    /// The highest number that it may be.
    pub maxnumber: u32,
    /// Ends with `&`, so that no digit of the number can be taken for one of a parameter.
    pub salt: String,
    /// In hexadecimal.
    pub signature: String,
}

/// The answer to a challenge. Its sender's word until it is checked.
#[derive(Debug, Deserialize)]
struct WorkAnswer {
    algorithm: String,
    challenge: String,
    number: u32,
    salt: String,
    signature: String,
}

/// Work or a wait that is good. To be used once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkProof {
    /// Stands for it, the same for the same proof.
    pub digest: u128,
    /// Until when it would be good.
    pub until: Time,
}

/// A wait of a client that solves no challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitTicket {
    /// To be sent when the wait is over.
    pub text: String,
    /// How long it still is.
    pub left: Span,
}

impl BoxOffice {
    /// A new challenge for a place of this user in this room.
    #[must_use]
    pub fn work_challenge(&self, user: UserId, room: RoomId, price: WorkPrice) -> WorkChallenge {
        let secret = self.ids.secret();
        let (nonce, chance) = secret.split_at(NONCE_BYTES);
        // The remainder's bias is one in billions.
        let chance = chance.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let number = chance % (u64::from(price.max_number()) + 1);
        let expires = self.now().plus(WORK_VALID).micros().div_euclid(1_000_000);
        let salt = salt_of(&hex(nonce), expires, room, user);
        let challenge = hex(&Sha256::digest(format!("{salt}{number}")));
        let signature = hex(&self.keyring.seal(Purpose::JoinWork, challenge.as_bytes()));
        WorkChallenge { algorithm: ALGORITHM, challenge, maxnumber: price.max_number(), salt, signature }
    }

    /// Checks the answer to a challenge for a place of this user in this room; none if it is not right, or over. Whether
    /// it was used before is not known here.
    #[must_use]
    pub fn check_work(&self, text: &str, user: UserId, room: RoomId) -> Option<WorkProof> {
        if text.len() > WORK_LEN_MAX {
            return None;
        }
        let answer: WorkAnswer = serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()?;
        let (nonce, rest) = answer.salt.split_at_checked(2 * NONCE_BYTES)?;
        let expires: i64 = rest.strip_prefix("?expires=")?.split('&').next()?.parse().ok()?;
        // One text alone says this: nothing can be left out, added or read in another way.
        if answer.salt != salt_of(nonce, expires, room, user) || answer.algorithm != ALGORITHM {
            return None;
        }
        let hash = Sha256::digest(format!("{}{}", answer.salt, answer.number));
        let signature: [u8; MAC_BYTES] = unhex(&answer.signature)?;
        let is_sealed = self.keyring.is_sealed(Purpose::JoinWork, hex(&hash).as_bytes(), &signature);
        let until = Time::from_micros(expires.checked_mul(1_000_000)?);
        (is_sealed && answer.challenge == hex(&hash) && self.now() < until)
            .then(|| WorkProof { digest: digest_of(&hash), until })
    }

    /// The wait of a client that solves no challenge: the one that it has, if that is good, else a new one.
    #[must_use]
    pub fn wait_ticket(&self, given: Option<&str>, user: UserId, room: RoomId) -> WaitTicket {
        let given = given.and_then(|text| Some((text, self.read_wait(text, user, room)?)));
        if let Some((text, (from, _))) = given {
            return WaitTicket { text: text.to_owned(), left: from.since(self.now()) };
        }
        let from = self.now().plus(WAIT_FOR_NO_WORK);
        let mut bytes = Vec::with_capacity(WAIT_BYTES + MAC_BYTES);
        bytes.extend(room.get().to_be_bytes());
        bytes.extend(user.0.as_bytes());
        bytes.extend(from.micros().to_be_bytes());
        bytes.extend(from.plus(WAIT_VALID).micros().to_be_bytes());
        let seal = self.keyring.seal(Purpose::JoinWait, &bytes);
        bytes.extend(seal);
        WaitTicket { text: URL_SAFE_NO_PAD.encode(bytes), left: WAIT_FOR_NO_WORK }
    }

    /// Checks whether a wait is over that stands for the work for a place of this user in this room.
    #[must_use]
    pub fn check_wait(&self, text: &str, user: UserId, room: RoomId) -> Option<WorkProof> {
        let (from, until) = self.read_wait(text, user, room)?;
        (from <= self.now()).then(|| WorkProof { digest: digest_of(&Sha256::digest(text)), until })
    }

    /// From when until when a wait is good; none if it is not this user's for this room, or over.
    fn read_wait(&self, text: &str, user: UserId, room: RoomId) -> Option<(Time, Time)> {
        let bytes: [u8; WAIT_BYTES + MAC_BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (body, seal) = bytes.split_first_chunk::<WAIT_BYTES>()?;
        let is_sealed = self.keyring.is_sealed(Purpose::JoinWait, body, seal.try_into().ok()?);
        let (whose, times) = body.split_first_chunk::<24>()?;
        let is_bound = whose[..8] == room.get().to_be_bytes() && whose[8..] == *user.0.as_bytes();
        let (from, until) = times.split_first_chunk::<8>()?;
        let until = Time::from_micros(i64::from_be_bytes(until.try_into().ok()?));
        let from = Time::from_micros(i64::from_be_bytes(*from));
        (is_sealed && is_bound && self.now() < until).then_some((from, until))
    }
}

/// A salt with its parameters. The last one ends, too: see the advisory GHSA-6gvq-jcmp-8959 of ALTCHA.
fn salt_of(nonce: &str, expires: i64, room: RoomId, user: UserId) -> String {
    format!("{nonce}?expires={expires}&room={}&user={}&", room.get(), user.0)
}

fn digest_of(hash: &[u8]) -> u128 {
    hash.iter().take(16).fold(0_u128, |number, byte| number << 8 | u128::from(*byte))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a text never fails.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes that lower-case hexadecimal digits stand for.
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (to, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *to = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}
