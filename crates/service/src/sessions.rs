//! The list of a user's sessions.

use crate::office::{BoxOffice, ServiceError};
use frontrow_domain::{
    command::Command,
    id::{SessionId, UserId},
    refusal::{EntityKind, Refusal},
    time::Time,
    user::{Caller, ClientLabel, Session},
};
use sha2::{Digest, Sha256};

/// How many sessions the list has: the newest.
const LISTED_MAX: u32 = 100;

/// A session as its user sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnSession {
    /// Its id, which is not its secret.
    pub session_id: SessionId,
    /// The program that opened it, as far as that is known.
    pub client: Option<ClientLabel>,
    /// When it was opened.
    pub created_at: Time,
    /// When it ends.
    pub expires_at: Time,
    /// Whether it is the session of this call.
    pub is_current: bool,
}

impl BoxOffice {
    /// The newest sessions of a user, newest first. `secret` is that of the session that asks.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn sessions(&self, user_id: UserId, secret: &str) -> Result<Vec<OwnSession>, ServiceError> {
        let current = SessionId::of(Sha256::digest(secret).into());
        let own = |session: Session| OwnSession {
            session_id: session.id(),
            client: session.client,
            created_at: session.created_at,
            expires_at: session.expires_at,
            is_current: session.id() == current,
        };
        Ok(self.live_sessions(user_id).await?.into_iter().map(own).collect())
    }

    /// Ends one of the caller's own sessions.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], or the engine did not decide.
    pub async fn end_session(&self, caller: Caller, user_id: UserId, id: SessionId) -> Result<(), ServiceError> {
        let sessions = self.live_sessions(user_id).await?;
        let session = sessions.iter().find(|session| session.id() == id);
        let secret_hash = session.ok_or(Refusal::NotFound { what: EntityKind::Session })?.secret_hash;
        self.run(caller, Command::EndSession { secret_hash }).await
    }

    pub(crate) async fn live_sessions(&self, user_id: UserId) -> Result<Vec<Session>, ServiceError> {
        let now = self.now();
        let mut sessions = self.store.sessions(user_id, LISTED_MAX).await?;
        sessions.retain(|session| now < session.expires_at);
        Ok(sessions)
    }
}
