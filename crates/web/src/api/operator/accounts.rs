//! Operators' calls for buyers' accounts: lock, unlock, reset link.

use crate::api::operator::search::{ActReason, reason_in};
use crate::api::shapes::UserShape;
use crate::edge::{
    auth::OperatorOnly,
    extract::{OptionalJsonBody, PathId},
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
use frontrow_domain::{id::UserId, time::Time};
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
/// Its sessions end at once, and signing in is refused until it is unlocked. The `reason` is needed.
#[utoipa::path(post, path = "/api/v1/operator/users/{user_id}/lock", tag = "operator", operation_id = "lock_user",
    params(("user_id" = UserId, Path, description = "The user")), request_body = Option<ActReason>,
    responses((status = 200, description = "The user", body = UserShape)))]
pub(in crate::api) async fn lock(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(user_id): PathId<UserId>,
    key: IdempotencyKey,
    OptionalJsonBody(body): OptionalJsonBody<ActReason>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/users/{id}/lock", &[&user_id], &body)?;
    let done = app.office.lock_user(caller, user_id, reason_in(body)?, key).await?;
    Ok(replayed(json(&UserShape::from(done.value)), done.replay))
}

/// Unlocks a buyer's account.
///
/// The user may sign in again. The sessions from before stay ended.
#[utoipa::path(post, path = "/api/v1/operator/users/{user_id}/unlock", tag = "operator", operation_id = "unlock_user",
    params(("user_id" = UserId, Path, description = "The user")),
    responses((status = 200, description = "The user", body = UserShape)))]
pub(in crate::api) async fn unlock(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(user_id): PathId<UserId>,
    key: IdempotencyKey,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/users/{id}/unlock", &[&user_id], &())?;
    let done = app.office.unlock_user(caller, user_id, key).await?;
    Ok(replayed(json(&UserShape::from(done.value)), done.replay))
}

/// Makes a reset link.
///
/// It sets a new password for a buyer's account, once, within 30 minutes. A new one replaces the one before.
#[utoipa::path(post, path = "/api/v1/operator/users/{user_id}/reset-links", tag = "operator",
    operation_id = "issue_reset_link",
    params(("user_id" = UserId, Path, description = "The user")),
    responses((status = 201, description = "The link", body = IssuedResetLink)))]
pub(in crate::api) async fn issue_reset_link(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(user_id): PathId<UserId>,
) -> HttpResult<(StatusCode, Json<IssuedResetLink>)> {
    let (secret, expires_at) = app.office.issue_reset_link(caller, user_id).await?;
    Ok((StatusCode::CREATED, Json(IssuedResetLink { secret, expires_at })))
}
