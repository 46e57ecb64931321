//! Users and sessions: register, sign in, authenticate, sign out.

use super::{BoxOffice, SignedIn, Stop, UNEXPECTED};
use frontrow_domain::{
    command::{Command, Outcome},
    id::UserId,
    user::{Caller, NewUser, Role, Session, User},
};
use sha2::{Digest, Sha256};

impl BoxOffice {
    /// Registers a buyer.
    ///
    /// # Errors
    /// [`EmailTaken`](frontrow_domain::refusal::Refusal::EmailTaken), or what kept the engine from deciding.
    pub async fn register(&self, name: String, email: String, password: String, role: Role) -> Result<User, Stop> {
        let password_hash = self.passwords.hash(password).await?;
        let user_id = UserId(self.ids.uuid(self.clock.now()));
        let caller = if role == Role::Operator { Caller::System } else { Caller::Nobody };
        let user = NewUser { user_id, name, email, password_hash, role };
        match self.run(caller, Command::Register(user), None).await?.value {
            Outcome::Registered(user) => Ok(user),
            _ => Err(UNEXPECTED),
        }
    }

    /// Signs a user in. An unknown address takes as long as a wrong password, and gets the same answer.
    ///
    /// # Errors
    /// [`Stop::WrongCredentials`].
    pub async fn sign_in(&self, email: &str, password: String) -> Result<SignedIn, Stop> {
        let (user, hash) = self.store.credentials(email).await?.unzip();
        let right = self.passwords.verify(password, hash).await?;
        let Some(user) = user.filter(|_| right) else { return Err(Stop::WrongCredentials) };
        let secret = self.ids.secret();
        let secret = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, secret);
        let session = Session {
            secret_hash: Sha256::digest(&secret).into(),
            user_id: user.user_id,
            role: user.role,
            expires_at: self.clock.now().plus(self.session_length),
        };
        match self.run(Caller::Nobody, Command::OpenSession(session), None).await?.value {
            Outcome::SignedIn { expires_at, .. } => Ok(SignedIn { secret, expires_at, user }),
            _ => Err(UNEXPECTED),
        }
    }

    /// Who holds this session secret.
    ///
    /// # Errors
    /// [`Stop::Unauthorized`] where it is unknown or has ended.
    pub async fn authenticate(&self, secret: &str) -> Result<Caller, Stop> {
        let secret_hash: [u8; 32] = Sha256::digest(secret).into();
        let now = self.clock.now();
        let session = if let Some(session) = self.followers.sessions.get(&secret_hash, now) {
            session
        } else {
            let mark = self.followers.sessions.mark(&secret_hash);
            let session = self.store.session(secret_hash).await?.ok_or(Stop::Unauthorized)?;
            self.followers.sessions.put_read(session, now, mark);
            session
        };
        if now >= session.expires_at {
            return Err(Stop::Unauthorized);
        }
        Ok(match session.role {
            Role::Buyer => Caller::Buyer(session.user_id),
            Role::Operator => Caller::Operator(session.user_id),
        })
    }

    /// Ends a session.
    ///
    /// # Errors
    /// What kept the engine from deciding.
    pub async fn sign_out(&self, secret: &str) -> Result<(), Stop> {
        let secret_hash = Sha256::digest(secret).into();
        self.run(Caller::Nobody, Command::CloseSession { secret_hash }, None).await.map(|_| ())
    }

    /// A user.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, Stop> {
        Ok(self.store.user(id).await?)
    }
}
