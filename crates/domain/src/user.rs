//! Users, their roles, their sessions and links, and the callers of commands.

mod client_label;
mod second_factor;

pub use client_label::ClientLabel;
pub use second_factor::{
    CODE_STEP_SECONDS, CODE_STEPS_APART, ConfirmedFactor, FactorProof, FactorSecret, FactorState, RECOVERY_CODES,
    SecondFactor, code_step,
};

use crate::{
    id::{SessionId, UserId},
    policy::{CONFIRMATION_LINK_VALID, RESET_LINK_VALID, SIGN_IN_RECORD_INTERVAL},
    refusal::Refusal,
    time::{Span, Time},
};
use serde::{Deserialize, Serialize};

/// The rights of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Buys tickets.
    Buyer,
    /// Runs the sale.
    Operator,
    /// Sees the sale and changes nothing. Buys as a buyer does.
    Viewer,
}

/// What a password or a code is to prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProofKind {
    /// That the owner of the account signs in.
    SignIn,
    /// That the owner of the account, who is signed in, sets up, changes or removes its second factor.
    SecondFactor,
}

/// Whether a box office has an operator, or had one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OperatorPresence {
    /// There never was one.
    #[default]
    Never,
    /// There was one, and there is none.
    Gone,
    /// There is one.
    Present,
}

impl Role {
    /// The caller that a session of this role is.
    #[must_use]
    pub const fn caller(self, user: UserId) -> Caller {
        match self {
            Self::Buyer => Caller::Buyer(user),
            Self::Operator => Caller::Operator(user),
            Self::Viewer => Caller::Viewer(user),
        }
    }

    /// Whether the role sees the sale and all accounts. Such an account is given by the command line alone, cannot be
    /// reset by a letter, and its sign-ins are in the audit log.
    #[must_use]
    pub const fn sees_sale(self) -> bool {
        matches!(self, Self::Operator | Self::Viewer)
    }
}

/// Whether a user may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    /// Signs in with the password.
    #[default]
    Active,
    /// Is refused until an operator or the command line unlocks the account.
    Locked,
    /// Name, address and password are gone for ever. The id stays, since the books refer to it.
    Erased,
}

/// A user as others may see them: without the password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user's id.
    pub user_id: UserId,
    /// The name they gave, 1 to 100 characters.
    pub name: String,
    /// Their e-mail address in lower case; unique.
    pub email: String,
    /// Their rights.
    pub role: Role,
    /// Whether they may sign in.
    #[serde(default)]
    pub status: UserStatus,
    /// How often all sessions of the user were ended. A proof from before that (a password, a reset link) proves
    /// nothing after it.
    #[serde(skip)]
    pub sign_in_epoch: i64,
    /// When they last signed in, as far as that was noted: at most once in [`SIGN_IN_RECORD_INTERVAL`].
    #[serde(skip)]
    pub signed_in_at: Time,
    /// When they proved that they read the letters to their e-mail address; none if they have not.
    #[serde(default)]
    pub email_confirmed_at: Option<Time>,
    /// When they registered.
    pub created_at: Time,
    /// When anything of this last changed.
    pub updated_at: Time,
}

impl User {
    /// The row of a user who registers at `now`.
    #[must_use]
    pub fn registered(new: &NewUser, now: Time) -> Self {
        Self {
            user_id: new.user_id,
            name: new.name.clone(),
            email: new.email.clone(),
            role: new.role,
            status: UserStatus::Active,
            sign_in_epoch: 0,
            signed_in_at: now,
            email_confirmed_at: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// Refuses unless operators may lock, unlock or reset the account: they may for those of buyers. A stolen operator's
    /// session must not gain, or take, an account of those who run the sale.
    ///
    /// # Errors
    /// [`Refusal::OperatorAccount`].
    pub fn check_is_for_operators(&self) -> Result<(), Refusal> {
        if self.role.sees_sale() { Err(Refusal::OperatorAccount) } else { Ok(()) }
    }

    /// Whether a sign-in at this time is to be recorded.
    #[must_use]
    pub fn has_old_sign_in(&self, now: Time) -> bool {
        now >= self.signed_in_at.plus(SIGN_IN_RECORD_INTERVAL)
    }

    /// Whether this is a buyer's account without a sign-in and without a change since `before`. A locked one is not
    /// idle: its user cannot sign in.
    #[must_use]
    pub fn is_idle_since(&self, before: Time) -> bool {
        // A sign-in that was not recorded came within that time of the recorded one.
        let signed_in_by = self.signed_in_at.plus(SIGN_IN_RECORD_INTERVAL);
        self.role == Role::Buyer
            && self.status == UserStatus::Active
            && signed_in_by <= before
            && self.updated_at < before
    }

    /// The address of an erased account: it is unique, and no mail reaches it.
    #[must_use]
    pub fn erased_email(user_id: UserId) -> String {
        format!("erased-{}@invalid", user_id.0)
    }
}

/// The use of a link, and of the letter that brings it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// Its secret sets a new password, once.
    PasswordReset,
    /// Its secret confirms the e-mail address that it was sent to.
    EmailConfirmation,
}

impl LinkKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::PasswordReset, Self::EmailConfirmation];

    /// How long a link is valid.
    #[must_use]
    pub const fn valid(self) -> Span {
        match self {
            Self::PasswordReset => RESET_LINK_VALID,
            Self::EmailConfirmation => CONFIRMATION_LINK_VALID,
        }
    }
}

/// The language of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum LetterLanguage {
    /// Korean.
    #[default]
    #[serde(rename = "ko")]
    Korean,
    /// English.
    #[serde(rename = "en")]
    English,
}

/// A link to an account: its secret stands for its user.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AccountLink {
    /// The user.
    pub user_id: UserId,
    /// Its use. A user has one link of each kind at most: a new one replaces the old one.
    pub kind: LinkKind,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// The user's [`sign_in_epoch`](User::sign_in_epoch) when it was issued. A reset link is valid only for that epoch,
    /// so its use ends it.
    pub epoch: i64,
    /// When it ends.
    pub expires_at: Time,
}

impl std::fmt::Debug for AccountLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountLink").field("user_id", &self.user_id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl AccountLink {
    /// Whether this is the secret's link. Takes constant time.
    #[must_use]
    pub fn is_of(&self, secret_hash: &[u8; 32]) -> bool {
        self.secret_hash.iter().zip(secret_hash).fold(0, |differing, (one, other)| differing | (one ^ other)) == 0
    }

    /// Whether this is the secret's link, and `user` can use it now.
    #[must_use]
    pub fn is_usable(&self, secret_hash: &[u8; 32], user: &User, now: Time) -> bool {
        let is_for_them = match self.kind {
            LinkKind::PasswordReset => user.status == UserStatus::Active && self.epoch == user.sign_in_epoch,
            LinkKind::EmailConfirmation => user.status != UserStatus::Erased,
        };
        self.is_of(secret_hash) && now < self.expires_at && is_for_them
    }
}

/// A user to register. The password is already hashed, as an argon2id string.
#[derive(Clone, PartialEq, Eq)]
pub struct NewUser {
    /// The id of the new user.
    pub user_id: UserId,
    /// The name.
    pub name: String,
    /// The e-mail address in lower case.
    pub email: String,
    /// The PHC string of the password's hash.
    pub password_hash: String,
    /// The role.
    pub role: Role,
}

impl std::fmt::Debug for NewUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewUser").field("user_id", &self.user_id).field("role", &self.role).finish_non_exhaustive()
    }
}

/// A signed-in session. The client has the secret, the store only its hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// The user.
    pub user_id: UserId,
    /// The user's role.
    pub role: Role,
    /// When it ends.
    pub expires_at: Time,
    /// When it was opened.
    pub created_at: Time,
    /// The program that opened it, as far as that is known.
    pub client: Option<ClientLabel>,
}

impl Session {
    /// Its id, which is not its secret.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        SessionId::of(self.secret_hash)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// The caller of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A client that has not signed in.
    Anonymous,
    /// A signed-in buyer.
    Buyer(UserId),
    /// A signed-in operator.
    Operator(UserId),
    /// A signed-in viewer: of its own rows as free as a buyer, of others' and of the sale's it sees all and changes none.
    Viewer(UserId),
    /// A program that holds the service key.
    Service,
    /// The box office itself: its timers and its command line.
    System,
}

impl Caller {
    /// The signed-in user, if there is one.
    #[must_use]
    pub const fn user_id(self) -> Option<UserId> {
        match self {
            Self::Buyer(user) | Self::Operator(user) | Self::Viewer(user) => Some(user),
            Self::Anonymous | Self::Service | Self::System => None,
        }
    }

    /// Whether the caller may run the sale.
    #[must_use]
    pub const fn is_operator(self) -> bool {
        matches!(self, Self::Operator(_) | Self::System)
    }

    /// Whether the caller may see the sale and all accounts.
    #[must_use]
    pub const fn may_see_sale(self) -> bool {
        matches!(self, Self::Operator(_) | Self::Viewer(_) | Self::System)
    }

    /// Whether the caller may act on rows of `owner`.
    #[must_use]
    pub fn may_act_for(self, owner: UserId) -> bool {
        self.is_operator() || self.user_id() == Some(owner)
    }
}
