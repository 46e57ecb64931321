//! Users and sessions: register, sign in, sign out, me.

use crate::{
    accounts::{checked_email, checked_password},
    catalog::checked_text,
    flow::Stop,
    http::{
        Shared,
        auth::{SessionSecret, SignedIn, Visitor},
        extract::JsonBody,
        limit::SignInEnd,
        problem::{HttpResult, Problem},
    },
};
use axum::{Json, extract::State, http::StatusCode};
use frontrow_domain::{
    refusal::{Refusal, Thing},
    time::Time,
    user::{Role, User},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What it takes to register.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// A name, 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100, example = "Kim Minji")]
    name: String,
    /// An e-mail address. Letters are folded to lower case.
    #[schema(format = "email", max_length = 254, example = "minji@example.com")]
    email: String,
    /// A password of 10 to 200 characters.
    #[schema(format = "password", min_length = 10, max_length = 200, example = "correct horse battery")]
    password: String,
}

/// What it takes to sign in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The e-mail address.
    #[schema(format = "email", max_length = 254, example = "minji@example.com")]
    email: String,
    /// The password.
    #[schema(format = "password", max_length = 200, example = "correct horse battery")]
    password: String,
}

/// A session that has just been opened.
#[derive(Serialize, ToSchema)]
pub struct OpenedSession {
    /// The secret to send as `Authorization: Bearer …`. It is shown this once.
    #[schema(example = "1Zk8rJ0c3v0l6d1m5wq0yZ3x7kq9b2n4s6u8a0c2e4g")]
    session_token: String,
    /// When it ends.
    expires_at: Time,
    /// Who signed in.
    user: User,
}

/// Registers a buyer.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", operation_id = "register", security(()),
    request_body = Registration, responses((status = 201, description = "The new user", body = User)))]
pub(super) async fn register(
    State(app): State<Shared>,
    _visitor: Visitor,
    JsonBody(body): JsonBody<Registration>,
) -> HttpResult<(StatusCode, Json<User>)> {
    let name = checked_text("name", &body.name, 100)?;
    let email = checked_email(&body.email)?;
    let password = checked_password(body.password)?;
    let user = app.office.register(name, email, password, Role::Buyer).await?;
    Ok((StatusCode::CREATED, Json(user)))
}

/// Signs in. An unknown address and a wrong password get the same answer.
#[utoipa::path(post, path = "/api/v1/sessions", tag = "users", operation_id = "sign_in", security(()),
    request_body = Credentials, responses((status = 201, description = "The session", body = OpenedSession)))]
pub(super) async fn sign_in(
    State(app): State<Shared>,
    Visitor(address): Visitor,
    JsonBody(body): JsonBody<Credentials>,
) -> HttpResult<(StatusCode, Json<OpenedSession>)> {
    let email = checked_email(&body.email)?;
    if body.password.chars().count() > 200 {
        return Err(Problem::invalid_field("password", "must have at most 200 characters"));
    }
    let sign_in_try = app.limits.begin_sign_in(&email, address).await?;
    let result = app.office.sign_in(&email, body.password).await;
    let end = match &result {
        Ok(_) => SignInEnd::Right,
        Err(Stop::WrongCredentials) => SignInEnd::Wrong,
        Err(_) => SignInEnd::Undecided,
    };
    app.limits.end_sign_in(sign_in_try, end).await;
    let outcomes = &app.office.metrics;
    if result.is_ok() { &outcomes.sign_ins_ok } else { &outcomes.sign_ins_failed }.inc();
    let signed_in = result?;
    let body =
        OpenedSession { session_token: signed_in.secret, expires_at: signed_in.expires_at, user: signed_in.user };
    Ok((StatusCode::CREATED, Json(body)))
}

/// Signs out: this session ends at once.
#[utoipa::path(delete, path = "/api/v1/sessions/current", tag = "users", operation_id = "sign_out",
    responses((status = 204, description = "Signed out")))]
pub(super) async fn sign_out(
    State(app): State<Shared>,
    _caller: SignedIn,
    SessionSecret(secret): SessionSecret,
) -> HttpResult<StatusCode> {
    app.office.sign_out(&secret).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The signed-in user.
#[utoipa::path(get, path = "/api/v1/users/me", tag = "users", operation_id = "me",
    responses((status = 200, description = "The user", body = User)))]
pub(super) async fn me(State(app): State<Shared>, SignedIn { user_id, .. }: SignedIn) -> HttpResult<Json<User>> {
    let user = app.office.user(user_id).await?;
    Ok(Json(user.ok_or(Refusal::NotFound { what: Thing::User })?))
}
