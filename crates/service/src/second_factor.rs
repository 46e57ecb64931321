//! Second factors: codes of an authenticator app (RFC 6238), recovery codes, and the sign-in whose code is still to come.

use crate::{
    accounts::SessionOpened,
    office::{BoxOffice, ServiceError},
    validate::Password,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use frontrow_domain::{
    command::{Command, FactorConfirmation, FactorStep, Proof},
    id::UserId,
    policy::CODE_PAGE_VALID,
    refusal::{EntityKind, Refusal},
    time::Time,
    user::{
        CODE_STEP_SECONDS, CODE_STEPS_APART, Caller, ClientLabel, ConfirmedFactor, FactorProof, FactorSecret,
        FactorState, ProofKind, RECOVERY_CODES, SecondFactor,
    },
};
use frontrow_signing::{MAC_BYTES, Purpose};
use sha2::{Digest, Sha256};
use totp_rs::{Algorithm, Builder, Secret, Totp};
use uuid::Uuid;

/// How many digits a code of the app has.
pub const CODE_DIGITS: usize = 6;
/// How many random bytes a recovery code has: too many to be guessed from its hash.
const RECOVERY_BYTES: usize = 10;
/// How many characters: base32.
const RECOVERY_LEN: usize = 16;
/// How many characters stand together where a person reads a key or a code.
const GROUP: usize = 4;
/// How many bytes a typed code has at most: a longer text is none.
pub const CODE_LEN_MAX: usize = 64;

/// The second factor of an account, for its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactorStanding {
    /// None, and the owner may be asked to set one up.
    Unset,
    /// None, and the owner does not want to be asked.
    Declined,
    /// A secret waits for the first code.
    Pending {
        /// The secret.
        secret: FactorSecret,
    },
    /// In force.
    On {
        /// Since when.
        since: Time,
        /// How many recovery codes were not used.
        recovery_left: usize,
    },
}

/// New recovery codes, as their owner keeps them: the only copy.
#[derive(Clone, PartialEq, Eq)]
pub struct RecoveryCodes(pub Vec<String>);

impl std::fmt::Debug for RecoveryCodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecoveryCodes")
    }
}

/// A sign-in whose password was right and whose code is still to come. Signed, so that any instance goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CodeTicket {
    user_id: UserId,
    epoch: i64,
}

impl CodeTicket {
    /// The user.
    #[must_use]
    pub const fn user_id(&self) -> UserId {
        self.user_id
    }

    /// The user's sign-in epoch when the password was checked.
    #[must_use]
    pub const fn epoch(&self) -> i64 {
        self.epoch
    }
}

/// How many bytes a ticket has before its signature: user, epoch and end.
const TICKET_BYTES: usize = 16 + 8 + 8;

impl std::fmt::Debug for CodeTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeTicket").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// What a person typed where a code is asked for.
enum TypedCode {
    App(String),
    Recovery([u8; 32]),
    Neither,
}

impl TypedCode {
    /// People type codes with the spaces that they see, and recovery codes in small letters.
    fn read(text: &str) -> Self {
        if text.len() > CODE_LEN_MAX {
            return Self::Neither;
        }
        let bare: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        if bare.len() == CODE_DIGITS && bare.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::App(bare);
        }
        let bare = bare.to_ascii_uppercase();
        if bare.len() == RECOVERY_LEN && bare.is_ascii() { Self::Recovery(recovery_hash(&bare)) } else { Self::Neither }
    }
}

fn recovery_hash(bare: &str) -> [u8; 32] {
    Sha256::digest(bare).into()
}

/// The text in groups, for people to read.
fn grouped(text: &str, between: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let groups: Vec<String> = chars.chunks(GROUP).map(|group| group.iter().collect()).collect();
    groups.join(between)
}

/// The secret as an authenticator app takes it: base32.
#[must_use]
pub fn key_text(secret: FactorSecret) -> String {
    Secret::from(secret.0).to_base32()
}

/// The same in groups of four, to be typed.
#[must_use]
pub fn key_in_groups(secret: FactorSecret) -> String {
    grouped(&key_text(secret), " ")
}

fn totp(secret: FactorSecret) -> Result<Totp, ServiceError> {
    let builder = Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(u8::try_from(CODE_DIGITS).unwrap_or(6))
        .with_skew(u16::try_from(CODE_STEPS_APART).unwrap_or(1))
        .with_step_duration(CODE_STEP_SECONDS.unsigned_abs())
        .with_secret(secret.0);
    builder.build().map_err(|_| ServiceError::Internal("a second factor has no usable secret"))
}

/// The step that a code of the app is right for, about now. Compares in constant time.
fn step_of(secret: FactorSecret, code: &str, now: Time) -> Result<Option<i64>, ServiceError> {
    let seconds = u64::try_from(now.micros() / 1_000_000).unwrap_or(0);
    Ok(totp(secret)?.check(code, seconds).and_then(|step| i64::try_from(step).ok()))
}

impl BoxOffice {
    /// The second factor of an account.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn factor_standing(&self, user_id: UserId) -> Result<FactorStanding, ServiceError> {
        Ok(match self.store.second_factor(user_id).await?.map(|factor| factor.state) {
            None => FactorStanding::Unset,
            Some(FactorState::Declined) => FactorStanding::Declined,
            Some(FactorState::Pending { secret }) => FactorStanding::Pending { secret },
            Some(FactorState::Confirmed(ConfirmedFactor { confirmed_at, recovery, .. })) => {
                FactorStanding::On { since: confirmed_at, recovery_left: recovery.len() }
            }
        })
    }

    /// Gives an account a new secret, which is in force once [`BoxOffice::confirm_factor`] has its first code.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn enrol_factor(&self, caller: Caller, user_id: UserId) -> Result<(), ServiceError> {
        let mut secret = [0; 20];
        for (to, from) in secret.iter_mut().zip(self.ids.secret()) {
            *to = from;
        }
        self.run(caller, Command::ChangeFactor { user_id, step: FactorStep::Enrol { secret: FactorSecret(secret) } })
            .await
    }

    /// Puts the second factor in force by its first code and the password. All other sessions of the user end.
    ///
    /// # Errors
    /// [`ServiceError::WrongPassword`], [`Refusal::SecondFactorWrong`], or the engine did not decide.
    pub async fn confirm_factor(
        &self,
        caller: Caller,
        user_id: UserId,
        password: &Password,
        code: &str,
        session_secret: &str,
    ) -> Result<RecoveryCodes, ServiceError> {
        let result = self.confirmed_factor(caller, user_id, (password, code), session_secret).await;
        self.note_proof(caller, &result);
        result
    }

    async fn confirmed_factor(
        &self,
        caller: Caller,
        user_id: UserId,
        (password, code): (&Password, &str),
        session_secret: &str,
    ) -> Result<RecoveryCodes, ServiceError> {
        let user = self.proved(user_id, password).await?;
        let secret = match self.factor_standing(user_id).await? {
            FactorStanding::Pending { secret } => secret,
            FactorStanding::On { .. } => return Err(Refusal::SecondFactorActive.into()),
            FactorStanding::Unset | FactorStanding::Declined => return Err(Refusal::AccountChanged.into()),
        };
        let TypedCode::App(code) = TypedCode::read(code) else { return Err(Refusal::SecondFactorWrong.into()) };
        let step = step_of(secret, &code, self.now())?.ok_or(Refusal::SecondFactorWrong)?;
        let (codes, recovery) = self.new_recovery_codes();
        let confirmed = FactorConfirmation {
            secret,
            step,
            recovery,
            proof: Proof::Password(user.sign_in_epoch),
            kept_session: Sha256::digest(session_secret).into(),
        };
        let () = self.run(caller, Command::ChangeFactor { user_id, step: FactorStep::Confirm(confirmed) }).await?;
        Ok(codes)
    }

    /// The owner does not want to be asked to set up a second factor.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn decline_factor(&self, caller: Caller, user_id: UserId) -> Result<(), ServiceError> {
        self.run(caller, Command::ChangeFactor { user_id, step: FactorStep::Decline }).await
    }

    /// Replaces the recovery codes.
    ///
    /// # Errors
    /// [`Refusal::SecondFactorWrong`], or the refusal that says why not.
    pub async fn renew_recovery_codes(
        &self,
        caller: Caller,
        user_id: UserId,
        code: &str,
    ) -> Result<RecoveryCodes, ServiceError> {
        let (codes, recovery) = self.new_recovery_codes();
        let step = |proof| FactorStep::RenewCodes { proof, recovery };
        self.change_by_code(caller, user_id, code, step).await.map(|()| codes)
    }

    /// Removes the second factor of a signed-in user, who shows a code.
    ///
    /// # Errors
    /// [`Refusal::SecondFactorWrong`], or the refusal that says why not.
    pub async fn remove_factor(&self, caller: Caller, user_id: UserId, code: &str) -> Result<(), ServiceError> {
        self.change_by_code(caller, user_id, code, |proof| FactorStep::Remove { proof }).await
    }

    /// Removes the second factor of a user who has lost it, on behalf of the box office itself. All sessions end.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], or the engine did not decide.
    pub async fn reset_factor(&self, user_id: UserId) -> Result<(), ServiceError> {
        self.run(Caller::System, Command::ChangeFactor { user_id, step: FactorStep::Reset }).await
    }

    fn new_recovery_codes(&self) -> (RecoveryCodes, Vec<[u8; 32]>) {
        let bare = || Secret::from(self.ids.secret().get(..RECOVERY_BYTES).unwrap_or_default()).to_base32();
        let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| bare()).collect();
        let hashes = codes.iter().map(|code| recovery_hash(code)).collect();
        (RecoveryCodes(codes.iter().map(|code| grouped(code, "-")).collect()), hashes)
    }

    /// Takes a step that the owner proves by a code.
    async fn change_by_code(
        &self,
        caller: Caller,
        user_id: UserId,
        code: &str,
        act: impl FnOnce(FactorProof) -> FactorStep,
    ) -> Result<(), ServiceError> {
        let result = match self.factor_proof(user_id, code).await {
            Ok(Some(proof)) => self.run(caller, Command::ChangeFactor { user_id, step: act(proof) }).await,
            Ok(None) => Err(Refusal::NotFound { what: EntityKind::SecondFactor }.into()),
            Err(stop) => Err(stop),
        };
        self.note_proof(caller, &result);
        result
    }

    /// Counts a wrong password or code of an owner who is signed in: somebody may have taken the session over.
    fn note_proof<T>(&self, caller: Caller, result: &Result<T, ServiceError>) {
        let has_failed = matches!(
            result,
            Err(ServiceError::WrongPassword
                | ServiceError::Refused(Refusal::SecondFactorWrong | Refusal::SecondFactorResting { .. }))
        );
        if let Some(user_id) = caller.user_id().filter(|_| has_failed && caller.may_see_sale()) {
            self.caches.failed_proofs.note(user_id, ProofKind::SecondFactor, 1);
        }
    }

    /// What a typed code proves; none if the account has no second factor. A wrong code of the app is counted.
    ///
    /// # Errors
    /// [`Refusal::SecondFactorWrong`], [`Refusal::SecondFactorResting`], or the code could not be checked.
    pub(crate) async fn factor_proof(&self, user_id: UserId, code: &str) -> Result<Option<FactorProof>, ServiceError> {
        let factor = self.store.second_factor(user_id).await?;
        let Some(confirmed) = factor.as_ref().and_then(SecondFactor::confirmed) else { return Ok(None) };
        match TypedCode::read(code) {
            TypedCode::App(code) => {
                if let Some(step) = step_of(confirmed.secret, &code, self.now())? {
                    return Ok(Some(FactorProof::Code { step }));
                }
                let () = self
                    .run(Caller::System, Command::ChangeFactor { user_id, step: FactorStep::NoteWrongCode })
                    .await?;
                Err(Refusal::SecondFactorWrong.into())
            }
            TypedCode::Recovery(code_hash) => Ok(Some(FactorProof::Recovery { code_hash })),
            TypedCode::Neither => Err(Refusal::SecondFactorWrong.into()),
        }
    }

    /// The ticket of a sign-in that was answered [`Refusal::SecondFactorNeeded`]: the password was right.
    #[must_use]
    pub fn code_ticket(&self, user_id: UserId, epoch: i64) -> String {
        let mut bytes = Vec::with_capacity(TICKET_BYTES + MAC_BYTES);
        bytes.extend(user_id.0.as_bytes());
        bytes.extend(epoch.to_be_bytes());
        bytes.extend(self.now().plus(CODE_PAGE_VALID).micros().to_be_bytes());
        let seal = self.keyring.seal(Purpose::SignIn, &bytes);
        bytes.extend(seal);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a ticket; none if this box office did not sign it, or it is over.
    #[must_use]
    pub fn read_code_ticket(&self, text: &str) -> Option<CodeTicket> {
        let bytes: [u8; TICKET_BYTES + MAC_BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (body, seal) = bytes.split_first_chunk::<TICKET_BYTES>()?;
        let is_sealed = self.keyring.is_sealed(Purpose::SignIn, body, seal.try_into().ok()?);
        let (user, numbers) = body.split_first_chunk::<16>()?;
        let (epoch, until) = numbers.split_first_chunk::<8>()?;
        let until = Time::from_micros(i64::from_be_bytes(until.try_into().ok()?));
        let ticket = CodeTicket { user_id: UserId(Uuid::from_bytes(*user)), epoch: i64::from_be_bytes(*epoch) };
        (is_sealed && self.now() < until).then_some(ticket)
    }

    /// Goes on with a sign-in by its code.
    ///
    /// # Errors
    /// [`Refusal::SecondFactorWrong`], or the refusal that says why not.
    pub async fn sign_in_by_code(
        &self,
        ticket: CodeTicket,
        code: &str,
        client: Option<ClientLabel>,
    ) -> Result<SessionOpened, ServiceError> {
        let user = self.user(ticket.user_id).await?.ok_or(Refusal::AccountChanged)?;
        let watched = user.role.sees_sale().then_some(user.user_id);
        let user = frontrow_domain::user::User { sign_in_epoch: ticket.epoch, ..user };
        let result = match self.factor_proof(user.user_id, code).await {
            Ok(proof) => self.open_session_with(user, proof, client).await,
            Err(stop) => Err(stop),
        };
        self.note_sign_in(watched, &result);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_rfc_6238_and_only_those_of_a_step_around_now_are_right() {
        // The vectors of appendix B for SHA-1, with six digits.
        let secret = FactorSecret(*b"12345678901234567890");
        let at = |seconds: i64| Time::from_micros(seconds * 1_000_000);
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(step_of(secret, code, at(seconds)).unwrap(), Some(seconds / 30), "{seconds}");
            for near in [seconds - 30, seconds + 30] {
                assert_eq!(step_of(secret, code, at(near)).unwrap(), Some(seconds / 30), "{seconds}");
            }
            for far in [seconds - 60, seconds + 60].into_iter().filter(|far| *far >= 0) {
                assert_eq!(step_of(secret, code, at(far)).unwrap(), None, "{seconds}");
            }
        }
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        for text in ["123456", " 123 456 ", "123-456"] {
            assert!(matches!(TypedCode::read(text), TypedCode::App(code) if code == "123456"), "{text}");
        }
        for text in ["ABCD-EFGH-2345-6777", "abcd efgh 2345 6777", "ABCDEFGH23456777"] {
            let expected = recovery_hash("ABCDEFGH23456777");
            assert!(matches!(TypedCode::read(text), TypedCode::Recovery(hash) if hash == expected), "{text}");
        }
        let long = "1".repeat(CODE_LEN_MAX + 1);
        for text in ["", "12345", "1234567", "１２３４５６", "ABCD", "한국어로쓰면안됩니다오", &long] {
            assert!(matches!(TypedCode::read(text), TypedCode::Neither), "{text}");
        }
    }

    #[test]
    fn a_key_is_base32_in_groups_of_four() {
        let secret = FactorSecret(*b"12345678901234567890");
        assert_eq!(key_text(secret), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(key_in_groups(secret), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
    }
}
