//! Users.

use frontrow_domain::{
    id::UserId,
    time::Time,
    user::{Role, User, UserStatus},
};
use serde::Serialize;
use utoipa::ToSchema;

/// A user, without the password.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = User)]
pub(in crate::api) struct UserShape {
    /// The user's id.
    pub(in crate::api) user_id: UserId,
    /// The user's name, 1 to 100 characters.
    #[schema(example = "Kim Minji")]
    name: String,
    /// The user's e-mail address in lower case; unique.
    #[schema(example = "minji@example.com")]
    email: String,
    /// The user's rights.
    role: Role,
    /// Whether the user may sign in.
    status: UserStatus,
    /// When the user proved to read the letters to the e-mail address; null if they have not.
    email_confirmed_at: Option<Time>,
    /// When the user registered.
    created_at: Time,
    /// When anything of the account last changed.
    updated_at: Time,
}

impl From<User> for UserShape {
    fn from(row: User) -> Self {
        Self {
            user_id: row.user_id,
            name: row.name,
            email: row.email,
            role: row.role,
            status: row.status,
            email_confirmed_at: row.email_confirmed_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
