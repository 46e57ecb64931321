//! Passes for the edges of other sites: JSON Web Tokens signed by ECDSA over P-256 with SHA-256 (ES256), which edges
//! verify with the public key and without a call.
//!
//! The private key of a pass is derived from the secret of a token key, so it is kept, shared by the instances, rotated
//! and retired with it.

use super::{Keyring, PreparedKey};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use frontrow_domain::{
    id::{RoomId, UserId},
    line::LaneKind,
};
use hmac::Mac as _;
use p256::ecdsa::{
    Signature, SigningKey, VerifyingKey,
    signature::{Signer as _, Verifier as _},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

/// No pass is longer, in bytes: an issuer of 255 characters and every number at its longest fit twice over.
pub const PASS_LEN_MAX: usize = 2_048;
/// The one algorithm of a pass: no other is ever accepted, whatever a header says.
const ALGORITHM: &str = "ES256";
/// The type in the header of a pass.
const PASS_TYPE: &str = "JWT";
/// Begins the message that a private key is derived by, with its own length: see `Purpose::name`.
const KEY_NAME: &[u8] = b"\x11frontrow pass key";
/// Begins what the pseudonym of a user in a room is the hash of.
const SUBJECT_NAME: &[u8] = b"frontrow pass subject";
/// How many bytes of that hash are the pseudonym.
const SUBJECT_BYTES: usize = 16;
/// What stands before the two coordinates in the DER form of a public key of P-256 (RFC 5480), uncompressed.
const SPKI_HEAD: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
/// The length of a line in PEM (RFC 7468).
const PEM_LINE: usize = 64;

/// The content of a pass. Times are whole seconds since 1970, as JSON Web Tokens have them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassClaims {
    /// The address of the box office.
    pub iss: String,
    /// The room, as `room:7`.
    pub aud: String,
    /// A pseudonym of the user in this room.
    pub sub: String,
    /// The pass's own id.
    pub jti: String,
    /// When it was issued.
    pub iat: i64,
    /// From when it is valid.
    pub nbf: i64,
    /// Until when it is valid.
    pub exp: i64,
    /// The room.
    pub room: i64,
    /// The place in the room's line.
    pub place: i64,
    /// The epoch of the line in which the place was given.
    pub epoch: i64,
    /// The kind of the lane beside the room's line, if the place is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<LaneKind>,
}

/// What the `aud` of a room's passes is.
#[must_use]
pub fn audience(room: RoomId) -> String {
    format!("room:{room}")
}

/// The pseudonym of a user in a room. It is the same in every pass, another in every room, and says nothing of the
/// account: a user's id has 74 random bits, so the hash cannot be undone by trying.
#[must_use]
pub fn subject(room: RoomId, user: UserId) -> String {
    let hash = Sha256::new().chain_update(SUBJECT_NAME).chain_update(room.get().to_be_bytes());
    let hash = hash.chain_update(user.0.as_bytes()).finalize();
    URL_SAFE_NO_PAD.encode(hash.get(..SUBJECT_BYTES).unwrap_or_default())
}

/// Why a text is not a valid pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPass {
    /// Not three parts of base64url, or not the JSON of a pass.
    #[error("the pass has another form")]
    Form,
    /// Signed by another algorithm, or by none.
    #[error("the pass has another algorithm")]
    Algorithm,
    /// Signed with a key that is unknown here, or no longer stored.
    #[error("the pass names an unknown key")]
    UnknownKey,
    /// Forged or altered.
    #[error("the pass is forged or altered")]
    Forged,
}

/// The header of a pass.
#[derive(Serialize, Deserialize)]
struct PassHeader<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

/// The public half of a key that signs passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassKey {
    x: [u8; 32],
    y: [u8; 32],
}

/// A public key as a JSON Web Key (RFC 7517).
#[derive(Debug, Serialize)]
pub struct PassJwk {
    kty: &'static str,
    crv: &'static str,
    x: String,
    y: String,
    kid: String,
    #[serde(rename = "use")]
    purpose: &'static str,
    alg: &'static str,
}

/// Public keys as a JSON Web Key Set.
#[derive(Debug, Serialize)]
pub struct PassKeySet {
    keys: Vec<PassJwk>,
}

impl PassKeySet {
    /// The set of these keys.
    #[must_use]
    pub fn of(keys: &[PassKey]) -> Self {
        Self { keys: keys.iter().map(PassKey::jwk).collect() }
    }
}

impl PassKey {
    /// Its id: the thumbprint of RFC 7638.
    #[must_use]
    pub fn kid(&self) -> String {
        let (x, y) = (URL_SAFE_NO_PAD.encode(self.x), URL_SAFE_NO_PAD.encode(self.y));
        URL_SAFE_NO_PAD.encode(Sha256::digest(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)))
    }

    /// As a JSON Web Key.
    #[must_use]
    pub fn jwk(&self) -> PassJwk {
        PassJwk {
            kty: "EC",
            crv: "P-256",
            x: URL_SAFE_NO_PAD.encode(self.x),
            y: URL_SAFE_NO_PAD.encode(self.y),
            kid: self.kid(),
            purpose: "sig",
            alg: ALGORITHM,
        }
    }

    /// As PEM, the form that `HAProxy` and OpenSSL read.
    #[must_use]
    pub fn pem(&self) -> String {
        let text = STANDARD.encode([&SPKI_HEAD[..], &self.x, &self.y].concat());
        let mut pem = "-----BEGIN PUBLIC KEY-----\n".to_owned();
        for (at, character) in text.chars().enumerate() {
            if at > 0 && at % PEM_LINE == 0 {
                pem.push('\n');
            }
            pem.push(character);
        }
        pem.push_str("\n-----END PUBLIC KEY-----\n");
        pem
    }
}

/// A key that signs passes, with its id.
#[derive(Clone)]
pub(super) struct PassSigner {
    key: SigningKey,
    public: PassKey,
    kid: String,
}

impl PreparedKey {
    fn pass_signer(&self) -> Option<&PassSigner> {
        self.pass.get_or_init(|| self.derive_pass_signer()).as_ref()
    }

    /// A number below the order of the curve is the private key. One try in 2³² fails, so the last counter is never
    /// reached.
    fn derive_pass_signer(&self) -> Option<PassSigner> {
        let key = (0..=u8::MAX).find_map(|counter| {
            let mut mac = self.plain.clone();
            mac.update(KEY_NAME);
            mac.update(&[counter]);
            SigningKey::from_slice(&mac.finalize().into_bytes()).ok()
        })?;
        let point = key.verifying_key().to_sec1_point(false);
        let (x, y) = point.as_bytes().get(1..)?.split_at_checked(32)?;
        let public = PassKey { x: x.try_into().ok()?, y: y.try_into().ok()? };
        let kid = public.kid();
        Some(PassSigner { key, public, kid })
    }
}

impl Keyring {
    /// A pass with this content, signed with the signing key.
    ///
    /// # Errors
    /// [`BadPass::UnknownKey`] if no private key could be derived, which is not to be expected of any secret.
    pub fn sign_pass(&self, claims: &PassClaims) -> Result<String, BadPass> {
        self.sign_claims(PASS_TYPE, claims)
    }

    /// A JSON Web Token of this type and content, signed with the signing key.
    pub(crate) fn sign_claims(&self, typ: &str, claims: &impl Serialize) -> Result<String, BadPass> {
        let ring = self.ring();
        let signer = ring.signing().pass_signer().ok_or(BadPass::UnknownKey)?;
        let header = PassHeader { alg: ALGORITHM, typ, kid: &signer.kid };
        let part = |json: Result<Vec<u8>, _>| json.map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(|_| BadPass::Form);
        let (header, claims) = (part(serde_json::to_vec(&header))?, part(serde_json::to_vec(claims))?);
        let message = format!("{header}.{claims}");
        let signature: Signature = signer.key.sign(message.as_bytes());
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes())))
    }

    /// The content of a pass that one of the keys signed. Its times are not looked at.
    ///
    /// # Errors
    /// It is no pass, no key here signed it, or it was altered.
    pub fn verify_pass(&self, text: &str) -> Result<PassClaims, BadPass> {
        self.verify_claims(PASS_TYPE, text)
    }

    /// The content of a JSON Web Token of this type that one of the keys signed.
    pub(crate) fn verify_claims<T: DeserializeOwned>(&self, typ: &str, text: &str) -> Result<T, BadPass> {
        if text.len() > PASS_LEN_MAX {
            return Err(BadPass::Form);
        }
        let (message, signature) = text.rsplit_once('.').ok_or(BadPass::Form)?;
        let (header, claims) = message.split_once('.').ok_or(BadPass::Form)?;
        let decoded = |part| URL_SAFE_NO_PAD.decode(part).map_err(|_| BadPass::Form);
        let (header, claims, signature) = (decoded(header)?, decoded(claims)?, decoded(signature)?);
        let header: PassHeader<'_> = serde_json::from_slice(&header).map_err(|_| BadPass::Form)?;
        if header.alg != ALGORITHM {
            return Err(BadPass::Algorithm);
        }
        if header.typ != typ {
            return Err(BadPass::Form);
        }
        let ring = self.ring();
        let mut signers = ring.keys().iter().filter_map(PreparedKey::pass_signer);
        let signer = signers.find(|signer| signer.kid == header.kid).ok_or(BadPass::UnknownKey)?;
        let signature = Signature::from_slice(&signature).map_err(|_| BadPass::Forged)?;
        let key: &VerifyingKey = signer.key.verifying_key();
        key.verify(message.as_bytes(), &signature).map_err(|_| BadPass::Forged)?;
        serde_json::from_slice(&claims).map_err(|_| BadPass::Form)
    }

    /// The public keys of passes, the newest first: also one that does not sign yet, and those that do no more but
    /// still verify.
    #[must_use]
    pub fn pass_keys(&self) -> Vec<PassKey> {
        self.ring().keys().iter().filter_map(PreparedKey::pass_signer).map(|signer| signer.public.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use uuid::Uuid;

    fn ring() -> Keyring {
        Keyring::from_secrets(&[(1, [0x11; 32])], 1).unwrap()
    }

    fn claims() -> PassClaims {
        let room = RoomId::new(7);
        PassClaims {
            iss: "https://line.example.com".to_owned(),
            aud: audience(room),
            sub: subject(room, UserId(Uuid::nil())),
            jti: "0193f3c4-5a6b-7c8d-9e0f-112233445566".to_owned(),
            iat: 1_900_000_000,
            nbf: 1_900_000_000,
            exp: 1_900_000_300,
            room: 7,
            place: 42,
            epoch: 1,
            lane: None,
        }
    }

    /// The pass with its header replaced, under the same signature.
    fn with_header(pass: &str, header: &Value) -> String {
        let (_, rest) = pass.split_once('.').unwrap();
        format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
    }

    #[test]
    fn a_pass_says_what_was_signed() {
        let pass = ring().sign_pass(&claims()).unwrap();
        assert!(pass.len() < PASS_LEN_MAX);
        assert_eq!(ring().verify_pass(&pass), Ok(claims()));
        let header = URL_SAFE_NO_PAD.decode(pass.split_once('.').unwrap().0).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        assert_eq!(header, json!({ "alg": "ES256", "typ": "JWT", "kid": ring().pass_keys()[0].kid() }));
    }

    #[test]
    fn the_key_of_passes_never_changes_by_accident() {
        assert_eq!(ring().pass_keys()[0].kid(), KID);
    }

    #[test]
    fn a_forged_or_altered_pass_is_refused() {
        let pass = ring().sign_pass(&claims()).unwrap();
        let other = Keyring::from_secrets(&[(1, [0x22; 32])], 1).unwrap();
        assert_eq!(ring().verify_pass(&other.sign_pass(&claims()).unwrap()), Err(BadPass::UnknownKey));
        let kid = ring().pass_keys()[0].kid();
        for (alg, refused) in [("none", BadPass::Algorithm), ("HS256", BadPass::Algorithm), ("ES256", BadPass::Forged)]
        {
            let header = json!({ "alg": alg, "typ": "JWT", "kid": kid, "more": 1 });
            assert_eq!(ring().verify_pass(&with_header(&pass, &header)), Err(refused), "{alg}");
        }
        let [header, _, signature] = pass.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
        let later = PassClaims { exp: claims().exp + 3_600, ..claims() };
        let later = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&later).unwrap());
        assert_eq!(ring().verify_pass(&format!("{header}.{later}.{signature}")), Err(BadPass::Forged));
        for bad in ["", ".", "..", "a.b.c", &pass[..pass.len() - 2], &format!("{pass}.x"), &"a".repeat(3_000)] {
            assert!(ring().verify_pass(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_rotated_key_still_verifies_and_is_still_published() {
        let old = ring().sign_pass(&claims()).unwrap();
        let both = Keyring::from_secrets(&[(2, [0x22; 32]), (1, [0x11; 32])], 2).unwrap();
        let new = both.sign_pass(&claims()).unwrap();
        assert_eq!((both.verify_pass(&old), both.verify_pass(&new)), (Ok(claims()), Ok(claims())));
        let keys = both.pass_keys();
        assert_eq!((keys.len(), keys[1].kid()), (2, KID.to_owned()));
        let only_new = Keyring::from_secrets(&[(2, [0x22; 32])], 2).unwrap();
        assert_eq!(only_new.verify_pass(&old), Err(BadPass::UnknownKey));
    }

    #[test]
    fn the_public_key_is_written_as_the_standards_say() {
        let key = &ring().pass_keys()[0];
        let jwk = json!(key.jwk());
        assert_eq!((&jwk["kty"], &jwk["crv"], &jwk["alg"]), (&json!("EC"), &json!("P-256"), &json!("ES256")));
        let pem = key.pem();
        let lines: Vec<_> = pem.lines().collect();
        assert_eq!((lines[0], lines[3], lines.len()), ("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----", 4));
        assert_eq!((lines[1].len(), lines[2].len()), (64, 60));
        let der = STANDARD.decode(lines[1..3].concat()).unwrap();
        let x = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap();
        assert_eq!((der.len(), &der[27..59]), (91, &x[..]));
    }

    #[test]
    fn a_subject_is_of_one_user_in_one_room() {
        let (first, second) = (UserId(Uuid::from_u128(1)), UserId(Uuid::from_u128(2)));
        let house = subject(RoomId::HOUSE, first);
        assert_eq!(house, subject(RoomId::HOUSE, first));
        assert_ne!(house, subject(RoomId::new(1), first));
        assert_ne!(house, subject(RoomId::HOUSE, second));
        assert_eq!(house.len(), 22);
    }

    /// The thumbprint of the key that the secret 0x11… gives, computed with another implementation (Python).
    const KID: &str = "M2bV3ui2vn8TIYtKncWNcp0ZdaKy3HpJHOSBBM3IxU4";
}
