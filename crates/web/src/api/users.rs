//! Users: register, sign in, me, passwords, erasure.

use super::shapes::UserShape;
use crate::edge::{
    accounts,
    auth::{SessionSecret, SignedIn, Visitor},
    extract::JsonBody,
    problem::HttpResult,
    state::SharedState,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use frontrow_domain::{
    refusal::{EntityKind, Refusal},
    text::{InvalidField, checked_text},
    time::Time,
};
use frontrow_service::{
    letters::LinkSecret,
    validate::{Email, Password, USER_NAME_LEN_MAX},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The fields of a registration.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// A name, 1 to 100 characters.
    #[schema(format = "text", min_length = 1, max_length = 100, example = "Kim Minji")]
    name: String,
    /// An e-mail address. Letters are folded to lower case.
    #[schema(format = "email", max_length = 254, example = "minji@example.com")]
    email: String,
    /// A password of 10 to 200 characters.
    #[schema(format = "password", min_length = 10, max_length = 200, example = "correct horse battery")]
    password: String,
}

/// How many characters a code has at most: more than any code with its spaces.
const CODE_LEN_MAX: usize = 64;

/// The fields of a sign-in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The e-mail address.
    #[schema(format = "email", max_length = 254, example = "minji@example.com")]
    email: String,
    /// The password.
    #[schema(format = "password", max_length = 200, example = "correct horse battery")]
    password: String,
    /// The code of the authenticator app, or a recovery code, if the account has a second factor. Ignored if it has none.
    #[serde(default)]
    #[schema(max_length = 64, example = "123456")]
    code: Option<String>,
}

/// A session that has just been opened.
#[derive(Serialize, ToSchema)]
pub struct OpenedSession {
    /// The secret to send as `Authorization: Bearer …`. It is shown this once.
    #[schema(example = "1Zk8rJ0c3v0l6d1m5wq0yZ3x7kq9b2n4s6u8a0c2e4g")]
    session_token: String,
    /// When it ends.
    expires_at: Time,
    /// The user that signed in.
    user: UserShape,
}

/// Registers a buyer.
///
/// An e-mail address has one account: a second registration is answered `email_taken`. Registering does not sign in. If
/// the box office sends letters, one comes to confirm the address, in the language of `Accept-Language`.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", operation_id = "register", security(()),
    request_body = RegisterRequest, responses((status = 201, description = "The new user", body = UserShape)))]
pub(super) async fn register(
    State(app): State<SharedState>,
    _visitor: Visitor,
    headers: HeaderMap,
    JsonBody(body): JsonBody<RegisterRequest>,
) -> HttpResult<(StatusCode, Json<UserShape>)> {
    let name = checked_text("name", &body.name, USER_NAME_LEN_MAX)?;
    let email = Email::parse(&body.email)?;
    let password = Password::parse(body.password)?;
    let user = app.office.register_buyer(name, email, password, accounts::letter_language(&headers)).await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}

/// Signs in.
///
/// The answer has the session token that all calls of a signed-in user send as `Authorization: Bearer`. An unknown
/// address and a wrong password get the same answer. An account of an operator or a viewer may have a second factor:
/// after the right password it is answered `second_factor_needed`, and the same call with `code` signs in.
#[utoipa::path(post, path = "/api/v1/sessions", tag = "users", operation_id = "sign_in", security(()),
    request_body = Credentials, responses((status = 201, description = "The session", body = OpenedSession)))]
pub(super) async fn sign_in(
    State(app): State<SharedState>,
    visitor: Visitor,
    headers: HeaderMap,
    JsonBody(body): JsonBody<Credentials>,
) -> HttpResult<(StatusCode, Json<OpenedSession>)> {
    let email = Email::parse_known(&body.email)?;
    let password = Password::parse_given(body.password)?;
    let client = accounts::client_label(&headers);
    if body.code.as_ref().is_some_and(|code| code.chars().count() > CODE_LEN_MAX) {
        return Err(InvalidField::new("code", format!("has at most {CODE_LEN_MAX} characters")).into());
    }
    let signed_in = accounts::sign_in(&app, visitor, &email, &password, body.code.as_deref(), client).await?;
    let body = OpenedSession {
        session_token: signed_in.secret,
        expires_at: signed_in.expires_at,
        user: signed_in.user.into(),
    };
    Ok((StatusCode::CREATED, Json(body)))
}

/// The signed-in user.
///
/// Name, address, role and status of the account that the session belongs to.
#[utoipa::path(get, path = "/api/v1/users/me", tag = "users", operation_id = "me",
    responses((status = 200, description = "The user", body = UserShape)))]
pub(super) async fn me(
    State(app): State<SharedState>,
    SignedIn { user_id, .. }: SignedIn,
) -> HttpResult<Json<UserShape>> {
    let user = app.office.user(user_id).await?;
    Ok(Json(user.ok_or(Refusal::NotFound { what: EntityKind::User })?.into()))
}

/// The fields of a change of password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The password so far.
    #[schema(format = "password", max_length = 200, example = "correct horse battery")]
    old_password: String,
    /// The password from now on, of 10 to 200 characters.
    #[schema(format = "password", min_length = 10, max_length = 200, example = "another horse battery")]
    new_password: String,
}

/// The fields of an erasure.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The account's password, once more.
    #[schema(format = "password", max_length = 200, example = "correct horse battery")]
    password: String,
}

/// The fields of a new password by a reset link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordReset {
    /// The link's secret.
    #[schema(max_length = 100, example = "AaIiuvn2SLe61nz2RDqHOZ0pQ4cYw1x8b2K3lqg7nRkzv5m6t9u0yE1hJ3fCdS2a")]
    secret: String,
    /// The password from now on, of 10 to 200 characters.
    #[schema(format = "password", min_length = 10, max_length = 200, example = "another horse battery")]
    new_password: String,
}

/// A password in another field than `password`.
fn password_in(field: &str, parse: fn(String) -> Result<Password, InvalidField>, text: String) -> HttpResult<Password> {
    Ok(parse(text).map_err(|bad| InvalidField::new(field, bad.reason))?)
}

/// Changes the password.
///
/// All other sessions of the user end; this one goes on. A wrong old password is 403 `wrong_password`.
#[utoipa::path(put, path = "/api/v1/users/me/password", tag = "users", operation_id = "change_password",
    request_body = PasswordChange, responses((status = 204, description = "Changed")))]
pub(super) async fn change_password(
    State(app): State<SharedState>,
    signed_in: SignedIn,
    SessionSecret(secret): SessionSecret,
    visitor: Visitor,
    JsonBody(body): JsonBody<PasswordChange>,
) -> HttpResult<StatusCode> {
    let old = password_in("old_password", Password::parse_given, body.old_password)?;
    let new = password_in("new_password", Password::parse, body.new_password)?;
    accounts::change_password(&app, visitor, signed_in, &secret, &old, &new).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Erases the account.
///
/// Name, e-mail address, password and sessions go, live queue tokens and holds end. The books stay under the user's id.
/// Refused while there are points, or tickets for a concert to come or to refund.
#[utoipa::path(delete, path = "/api/v1/users/me", tag = "users", operation_id = "erase_me",
    request_body = Confirmation, responses((status = 204, description = "Erased")))]
pub(super) async fn erase_me(
    State(app): State<SharedState>,
    signed_in: SignedIn,
    visitor: Visitor,
    JsonBody(body): JsonBody<Confirmation>,
) -> HttpResult<StatusCode> {
    let password = Password::parse_given(body.password)?;
    accounts::erase_own(&app, visitor, signed_in, &password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sets a new password with a reset link.
///
/// Needs no session: the link's secret is good once, within 30 minutes. All sessions of the user end.
#[utoipa::path(post, path = "/api/v1/password-resets", tag = "users", operation_id = "reset_password", security(()),
    request_body = PasswordReset, responses((status = 204, description = "The new password is set")))]
pub(super) async fn reset_password(
    State(app): State<SharedState>,
    _visitor: Visitor,
    JsonBody(body): JsonBody<PasswordReset>,
) -> HttpResult<StatusCode> {
    let new = password_in("new_password", Password::parse, body.new_password)?;
    let secret = LinkSecret::parse(&body.secret).ok_or(Refusal::ResetLinkInvalid)?;
    app.office.redeem_reset_link(&secret, &new).await?;
    Ok(StatusCode::NO_CONTENT)
}
