//! Operators' calls for buyers' accounts: lock, unlock, reset link.

use crate::edge::{
    auth::OperatorOnly,
    extract::PathId,
    idempotency::IdempotencyKey,
    problem::HttpResult,
    reply::{json, replayed},
    state::SharedState,
};
use axum::{
    Json,
    extract::State,
    http::{Method, StatusCode},
    response::Response,
};
use frontrow_domain::{
    command::{Command, Idempotency},
    id::UserId,
    refusal::{EntityKind, Refusal},
    time::Time,
    user::{Caller, User},
};
use serde::Serialize;
use utoipa::ToSchema;

/// A reset link that has just been made.
#[derive(Serialize, ToSchema)]
pub struct IssuedResetLink {
    /// The secret that sets a new password once, with `POST /password-resets`. It is shown this once.
    #[schema(example = "AaIiuvn2SLe61nz2RDqHOZ0pQ4cYw1x8b2K3lqg7nRkzv5m6t9u0yE1hJ3fCdS2a")]
    secret: String,
    /// When it ends.
    expires_at: Time,
}

/// Locks a buyer's account.
///
/// Its sessions end at once, and signing in is refused until it is unlocked.
#[utoipa::path(post, path = "/api/v1/operator/users/{user_id}/lock", tag = "operator", operation_id = "lock_user",
    params(("user_id" = UserId, Path, description = "The user")),
    responses((status = 200, description = "The user", body = User)))]
pub(super) async fn lock(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(user_id): PathId<UserId>,
    key: IdempotencyKey,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/users/{id}/lock", &[&user_id], &())?;
    change(&app, caller, user_id, Command::LockUser { user_id }, key).await
}

/// Unlocks a buyer's account.
///
/// The user may sign in again. The sessions from before stay ended.
#[utoipa::path(post, path = "/api/v1/operator/users/{user_id}/unlock", tag = "operator", operation_id = "unlock_user",
    params(("user_id" = UserId, Path, description = "The user")),
    responses((status = 200, description = "The user", body = User)))]
pub(super) async fn unlock(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(user_id): PathId<UserId>,
    key: IdempotencyKey,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/users/{id}/unlock", &[&user_id], &())?;
    change(&app, caller, user_id, Command::UnlockUser { user_id }, key).await
}

/// Runs the command. Returns the user's present row, also for a replay.
async fn change(
    app: &SharedState,
    caller: Caller,
    user_id: UserId,
    command: Command,
    key: Option<Idempotency>,
) -> HttpResult<Response> {
    let done = app.office.operate(caller, command, key).await?;
    let user = app.office.user(user_id).await?.ok_or(Refusal::NotFound { what: EntityKind::User })?;
    Ok(replayed(json(&user), done.replay))
}

/// Makes a reset link.
///
/// It sets a new password for a buyer's account, once, within 30 minutes. A new one replaces the one before.
#[utoipa::path(post, path = "/api/v1/operator/users/{user_id}/reset-links", tag = "operator",
    operation_id = "issue_reset_link",
    params(("user_id" = UserId, Path, description = "The user")),
    responses((status = 201, description = "The link", body = IssuedResetLink)))]
pub(super) async fn issue_reset_link(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(user_id): PathId<UserId>,
) -> HttpResult<(StatusCode, Json<IssuedResetLink>)> {
    let (secret, expires_at) = app.office.issue_reset_link(caller, user_id).await?;
    Ok((StatusCode::CREATED, Json(IssuedResetLink { secret, expires_at })))
}
