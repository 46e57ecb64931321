//! Users and sessions: register, sign in, authenticate, sign out.

use crate::{
    demo,
    letters::LinkSecret,
    office::{BoxOffice, DemoAccounts, ServiceError},
    validate::{Email, Password},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use frontrow_domain::{
    command::{Command, Erasure, NewPassword, PasswordHash, Proof, Worth},
    id::{ReservationId, TokenId, UserId},
    money::Money,
    policy::LIVE_PER_ERASURE_MAX,
    refusal::{EntityKind, Refusal},
    sale::ReservationStatus,
    time::Time,
    user::{Caller, ClientLabel, FactorProof, LetterLanguage, NewUser, ProofKind, Role, Session, User},
};
use frontrow_storage::{Page, ReservationFilter};
use sha2::{Digest, Sha256};

/// The points and tickets under the id of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remains {
    /// The points.
    pub balance: Money,
    /// How many paid tickets there are for concerts to come, or to be refunded.
    pub tickets: usize,
}

/// How many reservations each query of [`BoxOffice::remains`] reads.
const RESERVATIONS_AT_ONCE: u32 = 100;

/// A new session, with the only copy of its secret.
pub struct SessionOpened {
    /// The secret that the client sends from now on: 32 random bytes, base64url.
    pub secret: String,
    /// When it ends.
    pub expires_at: Time,
    /// The signed-in user.
    pub user: User,
}

impl std::fmt::Debug for SessionOpened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (user_id, expires_at) = (&self.user.user_id, &self.expires_at);
        f.debug_struct("SessionOpened")
            .field("user_id", user_id)
            .field("expires_at", expires_at)
            .finish_non_exhaustive()
    }
}

impl BoxOffice {
    /// Registers a buyer, who gets a letter to confirm the address if letters are sent.
    ///
    /// # Errors
    /// [`EmailTaken`](frontrow_domain::refusal::Refusal::EmailTaken), or the engine did not decide.
    pub async fn register_buyer(
        &self,
        name: String,
        email: Email,
        password: Password,
        language: LetterLanguage,
    ) -> Result<User, ServiceError> {
        let user = self.register(name, email, password, Role::Buyer).await?;
        let letter = self.request_email_confirmation(Caller::Buyer(user.user_id), user.user_id, language, None).await;
        if let Err(error) = letter {
            tracing::warn!(user.id = %user.user_id, %error, "a new user gets no letter until they ask for it");
        }
        Ok(user)
    }

    /// Registers a user with this role, without a letter. Operators and viewers are registered on behalf of the box office itself.
    ///
    /// # Errors
    /// [`EmailTaken`](frontrow_domain::refusal::Refusal::EmailTaken), or the engine did not decide.
    pub async fn register(
        &self,
        name: String,
        email: Email,
        password: Password,
        role: Role,
    ) -> Result<User, ServiceError> {
        let caller = if role.sees_sale() { Caller::System } else { Caller::Anonymous };
        let user = self.new_user(name, email, &password, role).await?;
        self.run(caller, Command::Register(user)).await
    }

    /// The row of a user who registers.
    pub(crate) async fn new_user(
        &self,
        name: String,
        email: Email,
        password: &Password,
        role: Role,
    ) -> Result<NewUser, ServiceError> {
        let password_hash = self.passwords.hash(password).await?;
        // New rows never have an older form, so none can appear between this read and the command.
        for older in email.forms().skip(1) {
            if self.store.credentials(older).await?.is_some() {
                return Err(Refusal::EmailTaken.into());
            }
        }
        let email = email.as_str().to_owned();
        let user_id = UserId(self.ids.uuid(self.now()));
        Ok(NewUser { user_id, name, email, password_hash, role })
    }

    /// The account of an address with its password hash, in whatever form its row has the address.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn account(&self, email: &Email) -> Result<Option<(User, String)>, ServiceError> {
        for form in email.forms() {
            let found = self.store.credentials(form).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Signs a user in, whose account [`BoxOffice::account`] has looked up. An unknown address takes as long as a wrong
    /// password, and gets the same answer. `code` is of the authenticator app, or a recovery code; it is ignored if the
    /// account has no second factor.
    ///
    /// # Errors
    /// [`ServiceError::WrongCredentials`]; only after the right password [`ServiceError::DemoAccount`],
    /// [`AccountLocked`](Refusal::AccountLocked), and without the right code
    /// [`SecondFactorNeeded`](Refusal::SecondFactorNeeded), [`SecondFactorWrong`](Refusal::SecondFactorWrong) and
    /// [`SecondFactorResting`](Refusal::SecondFactorResting).
    pub async fn sign_in(
        &self,
        account: Option<(User, String)>,
        password: &Password,
        code: Option<&str>,
        client: Option<ClientLabel>,
    ) -> Result<SessionOpened, ServiceError> {
        let watched = account.as_ref().map(|(user, _)| user).filter(|user| user.role.sees_sale());
        let watched = watched.map(|user| user.user_id);
        let result = self.check_and_open(account, password, code, client).await;
        self.note_sign_in(watched, &result);
        result
    }

    /// Counts a sign-in; `watched` is the account if its sign-ins are in the audit log.
    pub(crate) fn note_sign_in(&self, watched: Option<UserId>, result: &Result<SessionOpened, ServiceError>) {
        // Half a sign-in: the code is still to come.
        if matches!(result, Err(ServiceError::Refused(Refusal::SecondFactorNeeded))) {
            return;
        }
        if result.is_ok() { &self.metrics.sign_ins_ok } else { &self.metrics.sign_ins_failed }.inc();
        let has_failed = matches!(
            result,
            Err(ServiceError::WrongCredentials
                | ServiceError::DemoAccount
                | ServiceError::Refused(
                    Refusal::AccountLocked | Refusal::SecondFactorWrong | Refusal::SecondFactorResting { .. }
                ))
        );
        if let Some(user_id) = watched.filter(|_| has_failed) {
            self.caches.failed_proofs.note(user_id, ProofKind::SignIn, 1);
        }
    }

    async fn check_and_open(
        &self,
        account: Option<(User, String)>,
        password: &Password,
        code: Option<&str>,
        client: Option<ClientLabel>,
    ) -> Result<SessionOpened, ServiceError> {
        let (user, hash) = account.unzip();
        let right = self.passwords.verify(password, hash).await?;
        let Some(user) = user.filter(|_| right) else { return Err(ServiceError::WrongCredentials) };
        if self.demo_accounts == DemoAccounts::Refused && demo::is_sign_in(&user.email, password) {
            tracing::warn!(
                user.id = %user.user_id,
                "a sign-in with the demo's published password was refused: this server runs without --demo"
            );
            return Err(ServiceError::DemoAccount);
        }
        let proof = match code {
            Some(code) => self.factor_proof(user.user_id, code).await?,
            None => None,
        };
        self.open_session_with(user, proof, client).await
    }

    /// Opens a session for a user who has just proved to be this one, by the password or by registering.
    ///
    /// # Errors
    /// The account has changed since, or the engine did not decide.
    pub async fn open_session(&self, user: User, client: Option<ClientLabel>) -> Result<SessionOpened, ServiceError> {
        self.open_session_with(user, None, client).await
    }

    /// The same, with what proves a second factor.
    pub(crate) async fn open_session_with(
        &self,
        user: User,
        proof: Option<FactorProof>,
        client: Option<ClientLabel>,
    ) -> Result<SessionOpened, ServiceError> {
        let secret = URL_SAFE_NO_PAD.encode(self.ids.secret());
        let now = self.now();
        let session = Session {
            secret_hash: Sha256::digest(&secret).into(),
            user_id: user.user_id,
            role: user.role,
            expires_at: now.plus(self.session_length),
            created_at: now,
            client,
        };
        let epoch = user.sign_in_epoch;
        let command = match proof {
            Some(proof) => Command::OpenSessionWithFactor { session, epoch, proof },
            None => Command::OpenSession { session, epoch },
        };
        let expires_at = self.run(Caller::Anonymous, command).await?;
        Ok(SessionOpened { secret, expires_at, user })
    }

    /// The account of a signed-in user, after checking the repeated password.
    pub(crate) async fn proved(&self, user_id: UserId, password: &Password) -> Result<User, ServiceError> {
        let unknown = Refusal::NotFound { what: EntityKind::User };
        let user = self.store.user(user_id).await?.ok_or(unknown.clone())?;
        let (user, hash) = self.store.credentials(&user.email).await?.ok_or(unknown)?;
        if self.passwords.verify(password, Some(hash)).await? { Ok(user) } else { Err(ServiceError::WrongPassword) }
    }

    /// Sets the password of a signed-in user, who repeats the old one. All other sessions end.
    ///
    /// # Errors
    /// [`ServiceError::WrongPassword`], or the engine did not decide.
    pub async fn change_password(
        &self,
        caller: Caller,
        user_id: UserId,
        old: &Password,
        new: &Password,
        session_secret: &str,
    ) -> Result<(), ServiceError> {
        let user = self.proved(user_id, old).await?;
        let password_hash = PasswordHash(self.passwords.hash(new).await?);
        let new = NewPassword {
            user_id,
            password_hash,
            proof: Proof::Password(user.sign_in_epoch),
            kept_session: Some(Sha256::digest(session_secret).into()),
        };
        self.run(caller, Command::SetPassword(new)).await
    }

    /// Whether this is the password of a user.
    ///
    /// # Errors
    /// Too many passwords wait to be hashed, or the store could not be read.
    pub async fn is_password(&self, user_id: UserId, password: &Password) -> Result<bool, ServiceError> {
        match self.proved(user_id, password).await {
            Ok(_) => Ok(true),
            Err(ServiceError::WrongPassword | ServiceError::Refused(_)) => Ok(false),
            Err(stop) => Err(stop),
        }
    }

    /// Sets the password of an account on behalf of the box office itself. All sessions end.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], or the engine did not decide.
    pub async fn set_password(&self, user_id: UserId, password: &Password) -> Result<(), ServiceError> {
        let password_hash = PasswordHash(self.passwords.hash(password).await?);
        let new = NewPassword { user_id, password_hash, proof: Proof::Unneeded, kept_session: None };
        self.run(Caller::System, Command::SetPassword(new)).await
    }

    /// Ends all sessions of a user.
    ///
    /// # Errors
    /// The engine did not decide.
    pub async fn sign_out_everywhere(&self, caller: Caller, user_id: UserId) -> Result<(), ServiceError> {
        self.run(caller, Command::CloseSessions { user_id }).await
    }

    /// Issues a reset link: a secret that sets a new password once, and its expiry. The secret itself is not stored.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn issue_reset_link(&self, caller: Caller, user_id: UserId) -> Result<(String, Time), ServiceError> {
        let secret = self.link_secret(user_id);
        let expires_at = self.run(caller, Command::IssueResetLink { user_id, secret_hash: secret.hash }).await?;
        Ok((secret.expose().to_owned(), expires_at))
    }

    /// Sets a new password with the secret of a reset link. A wrong secret takes as long as a right one.
    ///
    /// # Errors
    /// [`ResetLinkInvalid`](Refusal::ResetLinkInvalid), or the engine did not decide.
    pub async fn redeem_reset_link(&self, secret: &LinkSecret, new: &Password) -> Result<(), ServiceError> {
        let password_hash = PasswordHash(self.passwords.hash(new).await?);
        let command = Command::RedeemResetLink { user_id: secret.user_id, secret_hash: secret.hash, password_hash };
        self.run(Caller::Anonymous, command).await
    }

    /// Erases the account of a signed-in user, who repeats the password.
    ///
    /// # Errors
    /// [`ServiceError::WrongPassword`], or the refusal that says why not.
    pub async fn erase_own(&self, caller: Caller, user_id: UserId, password: &Password) -> Result<(), ServiceError> {
        let user = self.proved(user_id, password).await?;
        self.erase(caller, user_id, Proof::Password(user.sign_in_epoch), Worth::Kept).await
    }

    /// Erases an account: name, address, password and sessions are removed, live tokens and holds end, the books stay.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn erase(&self, caller: Caller, user_id: UserId, proof: Proof, worth: Worth) -> Result<(), ServiceError> {
        self.erase_with(caller, user_id, proof, worth, None).await
    }

    /// Erases an account that has been idle since `before`, and has no points and no tickets.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn erase_idle(&self, user_id: UserId, before: Time) -> Result<(), ServiceError> {
        self.erase_with(Caller::System, user_id, Proof::Unneeded, Worth::Kept, Some(before)).await
    }

    /// Runs the command that erases an account, with its live tokens and reservations.
    async fn erase_with(
        &self,
        caller: Caller,
        user_id: UserId,
        proof: Proof,
        worth: Worth,
        idle_since: Option<Time>,
    ) -> Result<(), ServiceError> {
        let (tokens, reservations) = self.live(user_id).await?;
        let erasure = Erasure { user_id, proof, idle_since, worth, tokens, reservations };
        let () = self.run(caller, Command::EraseUser(erasure)).await?;
        self.end_leftovers(user_id).await;
        Ok(())
    }

    /// The tokens and reservations that an erasure ends or checks, up to the limit of one command. Tickets come before
    /// holds, since one of them is enough to refuse it. [`Self::end_leftovers`] ends the rest.
    async fn live(&self, user_id: UserId) -> Result<(Vec<TokenId>, Vec<ReservationId>), ServiceError> {
        let tokens = self.store.live_tokens(user_id).await?;
        let mut reservations = Vec::new();
        for status in [ReservationStatus::Confirmed, ReservationStatus::Pending] {
            reservations.extend(self.live_reservations(user_id, status).await?);
        }
        reservations.truncate(LIVE_PER_ERASURE_MAX);
        Ok((tokens.iter().map(|token| token.id).take(LIVE_PER_ERASURE_MAX).collect(), reservations))
    }

    /// Runs after an erasure: ends the tokens and holds that the command did not name, because there were too many or
    /// they are newer, and logs remaining points and tickets. The account is erased whether this works or not.
    async fn end_leftovers(&self, user_id: UserId) {
        match self.try_end_leftovers(user_id).await {
            Ok(Remains { balance: Money::ZERO, tickets: 0 }) => {}
            Ok(Remains { balance, tickets }) => {
                tracing::warn!(user.id = %user_id, %balance, tickets, "an account was erased that had points or tickets");
            }
            Err(error) => {
                tracing::warn!(user.id = %user_id, %error, "cannot look up the points and tickets of an erased account");
            }
        }
    }

    async fn try_end_leftovers(&self, user_id: UserId) -> Result<Remains, ServiceError> {
        let tokens = self.store.live_tokens(user_id).await?;
        let leave = tokens.iter().map(|token| Command::LeaveQueue { token: token.id });
        let holds = self.live_reservations(user_id, ReservationStatus::Pending).await?;
        let cancel =
            holds.into_iter().map(|reservation_id| Command::CancelReservation { reservation_id, reason: None });
        for command in leave.chain(cancel) {
            match self.run::<()>(Caller::Buyer(user_id), command).await {
                // A refused command means that the token or hold has ended, or been paid.
                Ok(()) | Err(ServiceError::Refused(_)) => {}
                Err(stop) => return Err(stop),
            }
        }
        self.remains(user_id).await
    }

    /// The points and tickets under the id of an account.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn remains(&self, user_id: UserId) -> Result<Remains, ServiceError> {
        let balance = self.balance_of(user_id).await?;
        let tickets = self.live_reservations(user_id, ReservationStatus::Confirmed).await?.len();
        Ok(Remains { balance, tickets })
    }

    /// The user's reservations in this state for concerts to come or to be refunded.
    async fn live_reservations(
        &self,
        user: UserId,
        status: ReservationStatus,
    ) -> Result<Vec<ReservationId>, ServiceError> {
        let filter = ReservationFilter { user: Some(user), concert: None, status: Some(status) };
        let now = self.now();
        let mut page = Page { after: None, limit: RESERVATIONS_AT_ONCE };
        let mut live = Vec::new();
        loop {
            let rows = self.store.reservations(&filter, page).await?;
            for row in &rows {
                if self.concert(row.concert_id).await?.has_tickets_of_worth(now) {
                    live.push(row.reservation_id);
                }
            }
            match rows.last() {
                Some(last) if rows.len() == RESERVATIONS_AT_ONCE as usize => page.after = Some(last.reservation_id),
                _ => return Ok(live),
            }
        }
    }

    /// The caller of this session secret, if the session is cached.
    #[must_use]
    pub fn remembered(&self, secret: &str) -> Option<Caller> {
        let now = self.now();
        let secret_hash = Sha256::digest(secret).into();
        let session = match self.caches.sessions.get(&secret_hash, now) {
            // While the database does not answer, no sign-out is saved and no role is changed: pages that show what is wrong
            // go on.
            None if self.house.is_database_away() => self.caches.sessions.last_known(&secret_hash),
            cached => cached,
        }?;
        (now < session.expires_at).then(|| session.role.caller(session.user_id))
    }

    /// The caller of this session secret, read from the store; try [`BoxOffice::remembered`] first.
    ///
    /// # Errors
    /// [`ServiceError::Unauthorized`] if it is unknown or has ended.
    pub async fn authenticate(&self, secret: &str) -> Result<Caller, ServiceError> {
        let secret_hash: [u8; 32] = Sha256::digest(secret).into();
        let now = self.now();
        let read = self.caches.sessions.begin_read(&secret_hash);
        let session = self.store.session(secret_hash).await?.ok_or(ServiceError::Unauthorized)?;
        self.caches.sessions.end_read(read, session, now);
        if now >= session.expires_at {
            return Err(ServiceError::Unauthorized);
        }
        Ok(session.role.caller(session.user_id))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The engine did not decide.
    pub async fn sign_out(&self, secret: &str) -> Result<(), ServiceError> {
        let secret_hash = Sha256::digest(secret).into();
        self.run(Caller::Anonymous, Command::CloseSession { secret_hash }).await
    }

    /// A user.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, ServiceError> {
        Ok(self.store.user(id).await?)
    }

    /// The filled share of the queue for password hashes, in per cent.
    #[must_use]
    pub fn password_crowding(&self) -> u32 {
        self.passwords.crowding()
    }

    /// Writes the wrong passwords and codes for accounts of operators and viewers since the last call into the audit
    /// log. A line that cannot be written is tried again by the next call.
    ///
    /// # Errors
    /// The engine did not decide.
    pub async fn write_failed_proofs(&self) -> Result<(), ServiceError> {
        let mut result = Ok(());
        for ((user_id, of), count) in self.caches.failed_proofs.take() {
            let command = Command::NoteFailedProofs { user_id, of, count };
            if let Err(stop) = self.run::<()>(Caller::System, command).await {
                // A removed account needs no line.
                if !matches!(stop, ServiceError::Refused(_)) {
                    self.caches.failed_proofs.note(user_id, of, count);
                    result = Err(stop);
                }
            }
        }
        result
    }
}
