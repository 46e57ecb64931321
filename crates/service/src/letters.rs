//! Letters to users: asked for through the outbox, and written, with a new link, when they are sent.
//!
//! Until mail is set up no letter is sent and no event is emitted; a demo keeps its letters for everybody to see.

use crate::{
    office::{BoxOffice, DemoAccounts, ServiceError},
    validate::Email,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use frontrow_domain::{
    command::{Command, Idempotency},
    id::UserId,
    time::Time,
    user::{Caller, LetterLanguage, LinkKind},
};
use sha2::{Digest, Sha256};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use uuid::Uuid;

/// The page that sets a new password, before the link's secret.
pub const RESET_PATH: &str = "/reset/";
/// The page that confirms an e-mail address, before the link's secret.
pub const CONFIRMATION_PATH: &str = "/confirm/";
/// How many requests of visitors are looked up at once. Beyond it a request is refused.
pub(crate) const REQUESTS_MAX: usize = 64;
/// How many letters a demo keeps.
const KEPT_MAX: usize = 20;

/// How many characters a link's secret has: base64url of the user's id and of 32 random bytes.
const SECRET_LEN: usize = 64;

/// The secret of a link, as its text says. Whether there is such a link is known only when it is looked up.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkSecret {
    /// So a store knows which row to lock.
    pub(crate) user_id: UserId,
    pub(crate) hash: [u8; 32],
    text: String,
}

impl LinkSecret {
    /// The user that it names.
    #[must_use]
    pub const fn user_id(&self) -> UserId {
        self.user_id
    }

    /// Reads a secret; none if the text has not the form of one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|_| text.len() == SECRET_LEN)?;
        let user_id = Uuid::from_slice(bytes.get(..16)?).ok()?;
        Some(Self { user_id: UserId(user_id), hash: Sha256::digest(text).into(), text: text.to_owned() })
    }

    /// The secret as it stands in a path.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Debug for LinkSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LinkSecret").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// A letter with a link. It has no name: anybody may have registered the address, under a name of any text.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// The use of the link.
    pub kind: LinkKind,
    /// The e-mail address.
    pub address: String,
    /// The link, without scheme and host. It contains the secret.
    pub path: String,
    /// The language.
    pub language: LetterLanguage,
    /// When the link ends.
    pub expires_at: Time,
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letter").field("kind", &self.kind).field("language", &self.language).finish_non_exhaustive()
    }
}

/// The post of a demo: it keeps the latest letters in memory.
#[derive(Debug, Default)]
pub struct KeptLetters(Mutex<VecDeque<Letter>>);

impl KeptLetters {
    fn letters(&self) -> MutexGuard<'_, VecDeque<Letter>> {
        // Every change leaves the list whole, so a panic while it was locked does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The letters, newest first.
    #[must_use]
    pub fn latest(&self) -> Vec<Letter> {
        self.letters().iter().cloned().collect()
    }

    /// Adds a letter. The same user may get two of a kind: the link in the newest counts.
    pub(crate) fn keep(&self, letter: Letter) {
        tracing::info!(letter = ?letter.kind, "the demo wrote a letter: it is at /demo/letters");
        let mut letters = self.letters();
        letters.truncate(KEPT_MAX - 1);
        letters.push_front(letter);
    }
}

impl BoxOffice {
    /// Whether letters are sent.
    #[must_use]
    pub const fn sends_letters(&self) -> bool {
        self.letters.is_some()
    }

    /// Whether this is a demo.
    #[must_use]
    pub const fn is_demo(&self) -> bool {
        matches!(self.demo_accounts, DemoAccounts::Open)
    }

    /// The letters of a demo, newest first; none if this is no demo.
    #[must_use]
    pub fn demo_letters(&self) -> Option<Vec<Letter>> {
        self.letters.as_ref().map(|kept| kept.latest())
    }

    /// Has a letter with a reset link sent to the owner of an address. It returns at once, whether the address has an
    /// account or not, and does nothing if no letters are sent. Asked for twice under one key, one letter is sent.
    ///
    /// # Errors
    /// [`ServiceError::TooManySignIns`]: too many requests are looked up at this moment.
    pub fn request_password_reset(
        self: &Arc<Self>,
        email: Email,
        language: LetterLanguage,
        key: Option<Idempotency>,
    ) -> Result<(), ServiceError> {
        if !self.sends_letters() {
            return Ok(());
        }
        let permit = Arc::clone(&self.letter_requests).try_acquire_owned().map_err(|_| ServiceError::TooManySignIns)?;
        let office = Arc::clone(self);
        tokio::spawn(async move {
            let _permit = permit;
            match office.find_and_request(&email, language, key).await {
                // An operator's or a locked account gets no letter.
                Ok(()) | Err(ServiceError::Refused(_)) => {}
                Err(error) => tracing::warn!(%error, "a request for a reset link is lost: its sender must ask again"),
            }
        });
        Ok(())
    }

    async fn find_and_request(
        &self,
        email: &Email,
        language: LetterLanguage,
        key: Option<Idempotency>,
    ) -> Result<(), ServiceError> {
        let Some((user, _)) = self.account(email).await? else { return Ok(()) };
        let (user_id, letter) = (user.user_id, LinkKind::PasswordReset);
        self.request_letter(Caller::Anonymous, Command::RequestLetter { user_id, letter, language }, key).await
    }

    async fn request_letter(
        &self,
        caller: Caller,
        command: Command,
        key: Option<Idempotency>,
    ) -> Result<(), ServiceError> {
        let () = self.ask(caller, command, key).await?.value;
        Ok(())
    }

    /// Has a letter sent to a user by which they confirm their address. Does nothing if it is confirmed, or if no letters
    /// are sent. Asked for twice under one key, one letter is sent.
    ///
    /// # Errors
    /// The refusal that says why not, or the engine did not decide.
    pub async fn request_email_confirmation(
        &self,
        caller: Caller,
        user_id: UserId,
        language: LetterLanguage,
        key: Option<Idempotency>,
    ) -> Result<(), ServiceError> {
        if !self.sends_letters() {
            return Ok(());
        }
        let letter = LinkKind::EmailConfirmation;
        self.request_letter(caller, Command::RequestLetter { user_id, letter, language }, key).await
    }

    /// Whether a link can be used now. Changes nothing.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn is_link_usable(&self, kind: LinkKind, secret: &LinkSecret) -> Result<bool, ServiceError> {
        let Some(link) = self.store.account_link(secret.user_id, kind).await? else { return Ok(false) };
        let user = self.store.user(secret.user_id).await?;
        Ok(user.is_some_and(|user| link.is_usable(&secret.hash, &user, self.now())))
    }

    /// Confirms an e-mail address with the secret of a letter.
    ///
    /// # Errors
    /// [`ConfirmationLinkInvalid`](frontrow_domain::refusal::Refusal::ConfirmationLinkInvalid), or the engine did not
    /// decide.
    pub async fn confirm_email(&self, secret: &LinkSecret) -> Result<(), ServiceError> {
        let command = Command::ConfirmEmail { user_id: secret.user_id, secret_hash: secret.hash };
        self.run(Caller::Anonymous, command).await
    }

    /// A new secret of a link to this account.
    pub(crate) fn link_secret(&self, user_id: UserId) -> LinkSecret {
        let mut bytes = user_id.0.as_bytes().to_vec();
        bytes.extend(self.ids.secret());
        let text = URL_SAFE_NO_PAD.encode(bytes);
        LinkSecret { user_id, hash: Sha256::digest(&text).into(), text }
    }

    /// Issues a link and writes the letter that brings it; none if the user may not have it any more.
    pub(crate) async fn write_letter(
        &self,
        user_id: UserId,
        kind: LinkKind,
        language: LetterLanguage,
    ) -> Result<Option<Letter>, ServiceError> {
        let secret = self.link_secret(user_id);
        let secret_hash = secret.hash;
        let issued = self.run(Caller::System, Command::IssueLetterLink { user_id, letter: kind, secret_hash }).await;
        let expires_at: Time = match issued {
            Err(ServiceError::Refused(_)) => return Ok(None),
            issued => issued?,
        };
        let Some(user) = self.user(user_id).await? else { return Ok(None) };
        let path = match kind {
            LinkKind::PasswordReset => RESET_PATH,
            LinkKind::EmailConfirmation => CONFIRMATION_PATH,
        };
        let path = format!("{path}{}", secret.expose());
        Ok(Some(Letter { kind, address: user.email, path, language, expires_at }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(number: usize) -> Letter {
        Letter {
            kind: LinkKind::PasswordReset,
            address: "kim@example.com".to_owned(),
            path: format!("{RESET_PATH}{number}"),
            language: LetterLanguage::Korean,
            expires_at: Time::from_micros(1),
        }
    }

    #[test]
    fn a_demo_keeps_the_latest_letters_and_shows_no_secret_in_the_log() {
        let kept = KeptLetters::default();
        for number in 0..30 {
            kept.keep(letter(number));
        }
        let latest = kept.latest();
        assert_eq!((latest.len(), &latest[0], &latest[19]), (KEPT_MAX, &letter(29), &letter(10)));
        let shown = format!("{:?}", letter(7));
        assert!(!shown.contains("reset/") && !shown.contains("kim"), "{shown}");
    }

    #[test]
    fn a_secret_has_one_form_and_names_its_user() {
        let user_id = UserId(Uuid::from_u128(7));
        let mut bytes = user_id.0.as_bytes().to_vec();
        bytes.extend([9; 32]);
        let text = URL_SAFE_NO_PAD.encode(&bytes);
        let secret = LinkSecret::parse(&text).unwrap();
        assert_eq!((secret.user_id, secret.expose()), (user_id, text.as_str()));
        assert_eq!(secret.hash, <[u8; 32]>::from(Sha256::digest(&text)));
        assert!(!format!("{secret:?}").contains(&text));
        let (short, long) = (URL_SAFE_NO_PAD.encode(&bytes[1..]), format!("{text}AA"));
        let (padded, slash, huge) = (format!("{text}=="), text.replace('J', "/"), "A".repeat(100_000));
        for bad in ["", "x", "%%%", "AAAA", "한글", &short, &long, &padded, &slash, &huge] {
            assert_eq!(LinkSecret::parse(bad), None, "{bad}");
        }
    }
}
