//! Letters to users: asked for through the outbox, and written, with a new link, when they are sent.
//!
//! Until mail is set up no letter is sent and no event is emitted; a demo keeps its letters for everybody to see.

use crate::{
    office::{BoxOffice, ServiceError},
    validate::Email,
};
use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use frontrow_domain::{
    command::Command,
    id::UserId,
    outbox::DeliveryError,
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

/// A letter with a link.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// The use of the link.
    pub kind: LinkKind,
    /// The user's name.
    pub name: String,
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

/// The post: takes letters to their addresses.
#[async_trait]
pub trait Letters: Send + Sync + std::fmt::Debug {
    /// Sends a letter. The same user may get two of a kind: the link in the newest counts.
    ///
    /// # Errors
    /// It was not sent, or may not have been: another one is written later.
    async fn send(&self, letter: Letter) -> Result<(), DeliveryError>;
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
}

#[async_trait]
impl Letters for KeptLetters {
    async fn send(&self, letter: Letter) -> Result<(), DeliveryError> {
        tracing::info!(letter = ?letter.kind, "the demo wrote a letter: it is at /demo/letters");
        let mut letters = self.letters();
        letters.truncate(KEPT_MAX - 1);
        letters.push_front(letter);
        Ok(())
    }
}

/// The user that a link's secret names: so a store knows which row to lock. The nil id, which no user has, if it names
/// none.
pub(crate) fn user_of(secret: &str) -> UserId {
    let user_id = URL_SAFE_NO_PAD.decode(secret).ok().and_then(|bytes| Uuid::from_slice(bytes.get(..16)?).ok());
    UserId(user_id.unwrap_or_default())
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
        self.kept_letters.is_some()
    }

    /// The letters of a demo, newest first; none if this is no demo.
    #[must_use]
    pub fn demo_letters(&self) -> Option<Vec<Letter>> {
        self.kept_letters.as_ref().map(|kept| kept.latest())
    }

    /// Has a letter with a reset link sent to the owner of an address. It returns at once, whether the address has an
    /// account or not, and does nothing if no letters are sent.
    ///
    /// # Errors
    /// [`ServiceError::TooManySignIns`]: too many requests are looked up at this moment.
    pub fn request_password_reset(
        self: &Arc<Self>,
        email: Email,
        language: LetterLanguage,
    ) -> Result<(), ServiceError> {
        if !self.sends_letters() {
            return Ok(());
        }
        let permit = Arc::clone(&self.letter_requests).try_acquire_owned().map_err(|_| ServiceError::TooManySignIns)?;
        let office = Arc::clone(self);
        tokio::spawn(async move {
            let _permit = permit;
            match office.find_and_request(&email, language).await {
                // An operator's or a locked account gets no letter.
                Ok(()) | Err(ServiceError::Refused(_)) => {}
                Err(error) => tracing::warn!(%error, "a request for a reset link is lost: its sender must ask again"),
            }
        });
        Ok(())
    }

    async fn find_and_request(&self, email: &Email, language: LetterLanguage) -> Result<(), ServiceError> {
        let Some((user, _)) = self.account(email).await? else { return Ok(()) };
        let (user_id, letter) = (user.user_id, LinkKind::PasswordReset);
        self.run(Caller::Anonymous, Command::RequestLetter { user_id, letter, language }).await
    }

    /// Has a letter sent to a user by which they confirm their address. Does nothing if it is confirmed, or if no letters
    /// are sent.
    ///
    /// # Errors
    /// The refusal that says why not, or the engine did not decide.
    pub async fn request_email_confirmation(
        &self,
        caller: Caller,
        user_id: UserId,
        language: LetterLanguage,
    ) -> Result<(), ServiceError> {
        if !self.sends_letters() {
            return Ok(());
        }
        let letter = LinkKind::EmailConfirmation;
        self.run(caller, Command::RequestLetter { user_id, letter, language }).await
    }

    /// Confirms an e-mail address with the secret of a letter.
    ///
    /// # Errors
    /// [`ConfirmationLinkInvalid`](frontrow_domain::refusal::Refusal::ConfirmationLinkInvalid), or the engine did not
    /// decide.
    pub async fn confirm_email(&self, secret: &str) -> Result<(), ServiceError> {
        let command = Command::ConfirmEmail { user_id: user_of(secret), secret_hash: Sha256::digest(secret).into() };
        self.run(Caller::Anonymous, command).await
    }

    /// A new secret of a link to this account.
    pub(crate) fn link_secret(&self, user_id: UserId) -> String {
        let mut bytes = user_id.0.as_bytes().to_vec();
        bytes.extend(self.ids.secret());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Issues a link and writes the letter that brings it; none if the user may not have it any more.
    pub(crate) async fn write_letter(
        &self,
        user_id: UserId,
        kind: LinkKind,
        language: LetterLanguage,
    ) -> Result<Option<Letter>, ServiceError> {
        let secret = self.link_secret(user_id);
        let secret_hash = Sha256::digest(&secret).into();
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
        let path = format!("{path}{secret}");
        Ok(Some(Letter { kind, name: user.name, address: user.email, path, language, expires_at }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(number: usize) -> Letter {
        Letter {
            kind: LinkKind::PasswordReset,
            name: "Kim".to_owned(),
            address: "kim@example.com".to_owned(),
            path: format!("{RESET_PATH}{number}"),
            language: LetterLanguage::Korean,
            expires_at: Time::from_micros(1),
        }
    }

    #[tokio::test]
    async fn a_demo_keeps_the_latest_letters_and_shows_no_secret_in_the_log() {
        let kept = KeptLetters::default();
        for number in 0..30 {
            kept.send(letter(number)).await.unwrap();
        }
        let latest = kept.latest();
        assert_eq!((latest.len(), &latest[0], &latest[19]), (KEPT_MAX, &letter(29), &letter(10)));
        let shown = format!("{:?}", letter(7));
        assert!(!shown.contains("reset/") && !shown.contains("kim"), "{shown}");
    }

    #[test]
    fn a_secret_names_its_user_and_nonsense_names_none() {
        let user_id = UserId(Uuid::from_u128(7));
        let mut bytes = user_id.0.as_bytes().to_vec();
        bytes.extend([9; 32]);
        assert_eq!(user_of(&URL_SAFE_NO_PAD.encode(bytes)), user_id);
        for bad in ["", "x", "%%%", "AAAA", "한글"] {
            assert_eq!(user_of(bad), UserId(Uuid::nil()), "{bad}");
        }
    }
}
