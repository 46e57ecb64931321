//! Passwords: argon2id with the OWASP parameters, off the async threads and bounded in number.

use crate::validate::Password;
use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier, password_hash::phc};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// How many sign-ins and registrations may wait for a hash before more are refused.
const WAITING_MAX: usize = 512;

/// Hashes and checks passwords.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// How many hashes may run at once.
    at_once: usize,
    /// How long one took at the start.
    took: Duration,
    /// The hash of a fixed text: checked if there is no account, so that the answer takes the same time.
    decoy: Arc<str>,
}

/// Why a password was neither hashed nor checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too many passwords wait already.
    #[error("too many passwords wait to be hashed")]
    Overloaded,
    /// The hash could not be made or read.
    #[error("the password could not be hashed")]
    Failed,
}

fn hasher() -> Argon2<'static> {
    // OWASP's minimum: 19 MiB, two passes, one lane. These are also the crate's defaults, stated so that an update
    // cannot change them unnoticed.
    Params::new(19_456, 2, 1, None).map_or_else(
        |_| Argon2::default(),
        |params| Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params),
    )
}

fn hash_now(password: &str) -> Result<String, PasswordError> {
    hasher().hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(|_| PasswordError::Failed)
}

fn verify_now(password: &str, hash: &str) -> bool {
    phc::PasswordHash::new(hash).is_ok_and(|hash| hasher().verify_password(password.as_bytes(), &hash).is_ok())
}

impl Passwords {
    /// At most half of the cores hash at once, and at least one: a rush of sign-ins must leave room for the sale.
    ///
    /// # Errors
    /// The decoy could not be hashed.
    pub(crate) fn new() -> Result<Self, PasswordError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (at_once, began) = ((cores / 2).max(1), Instant::now());
        let decoy = hash_now("the password that nobody has")?.into();
        Ok(Self {
            running: Arc::new(Semaphore::new(at_once)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            at_once,
            took: began.elapsed(),
            decoy,
        })
    }

    /// How many passwords may be hashed or checked in a minute, by how long the first took.
    #[must_use]
    pub(crate) fn a_minute(&self) -> i64 {
        let each = self.took.as_micros().max(1);
        let minute = Duration::from_mins(1).as_micros() * u128::try_from(self.at_once).unwrap_or(1);
        i64::try_from(minute / each).unwrap_or(i64::MAX)
    }

    /// Hashes a password to a PHC string.
    ///
    /// # Errors
    /// Too many wait, or hashing failed.
    pub(crate) async fn hash(&self, password: &Password) -> Result<String, PasswordError> {
        let password = password.clone();
        self.run(move || hash_now(password.expose())).await?
    }

    /// Whether the password matches the hash. Without a hash it takes as long, and does not match.
    ///
    /// A password typed in other bytes than its normal form is tried as typed too: the hash may be older than the
    /// normalisation of passwords.
    ///
    /// # Errors
    /// Too many wait.
    pub(crate) async fn verify(&self, password: &Password, hash: Option<String>) -> Result<bool, PasswordError> {
        let (password, decoy) = (password.clone(), Arc::clone(&self.decoy));
        self.run(move || {
            let kept = hash.as_deref().unwrap_or(&decoy);
            let right = verify_now(password.expose(), kept)
                || password.expose_typed().is_some_and(|typed| verify_now(typed, kept));
            right && hash.is_some()
        })
        .await
    }

    /// The filled share of the queue for hashes, in per cent.
    #[must_use]
    pub(crate) fn crowding(&self) -> u32 {
        let waiting = WAITING_MAX.saturating_sub(self.waiting.available_permits());
        u32::try_from(100 * waiting / WAITING_MAX).unwrap_or(100)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PasswordError> {
        let _waiting = self.waiting.try_acquire().map_err(|_| PasswordError::Overloaded)?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|_| PasswordError::Failed)?;
        // The permit moves into the work: a client that hangs up must not make room for one hash too many.
        let work = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(running);
            done
        });
        work.await.map_err(|_| PasswordError::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_has_the_owasp_parameters_and_fits_its_password_alone() {
        let hash = hash_now("correct horse battery").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(verify_now("correct horse battery", &hash));
        assert!(!verify_now("correct horse batterz", &hash));
        assert!(!verify_now("anything", "not a hash"));
    }
}
