//! The sessions of a user: the list of them, and their end.

use crate::edge::{
    auth::{SessionSecret, SignedIn},
    extract::PathId,
    problem::HttpResult,
    reply::List,
    state::SharedState,
};
use axum::{Json, extract::State, http::StatusCode};
use frontrow_domain::{id::SessionId, time::Time};
use frontrow_service::sessions::OwnSession;
use serde::Serialize;
use utoipa::ToSchema;

/// A session of the user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionShape {
    /// The session's id. It is not the session token.
    session_id: SessionId,
    /// The program that signed in, as far as it is known; else null.
    #[schema(example = "Chrome · Android")]
    client: Option<String>,
    /// When the user signed in.
    created_at: Time,
    /// When it ends.
    expires_at: Time,
    /// Whether it is the session of this call.
    #[schema(example = true)]
    is_current: bool,
}

impl From<OwnSession> for SessionShape {
    fn from(row: OwnSession) -> Self {
        Self {
            session_id: row.session_id,
            client: row.client.map(|label| label.to_string()),
            created_at: row.created_at,
            expires_at: row.expires_at,
            is_current: row.is_current,
        }
    }
}

/// Lists the sessions of the signed-in user.
///
/// The hundred newest that have not ended, newest first.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "users", operation_id = "my_sessions",
    responses((status = 200, description = "The sessions", body = List<SessionShape>)))]
pub(super) async fn mine(
    State(app): State<SharedState>,
    SignedIn { user_id, .. }: SignedIn,
    SessionSecret(secret): SessionSecret,
) -> HttpResult<Json<List<SessionShape>>> {
    let sessions = app.office.sessions(user_id, &secret).await?;
    Ok(Json(List { items: sessions.into_iter().map(SessionShape::from).collect(), next_cursor: None }))
}

/// Ends one session.
///
/// Any of the user's own, this one too: what it carries is 401 from then on.
#[utoipa::path(delete, path = "/api/v1/sessions/{session_id}", tag = "users", operation_id = "end_session",
    params(("session_id" = SessionId, Path, description = "The session")),
    responses((status = 204, description = "Ended")))]
pub(super) async fn end(
    State(app): State<SharedState>,
    SignedIn { caller, user_id }: SignedIn,
    PathId(session_id): PathId<SessionId>,
) -> HttpResult<StatusCode> {
    app.office.end_session(caller, user_id, session_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Signs out.
///
/// This session ends at once; the user's other sessions go on.
#[utoipa::path(delete, path = "/api/v1/sessions/current", tag = "users", operation_id = "sign_out",
    responses((status = 204, description = "Signed out")))]
pub(super) async fn sign_out(
    State(app): State<SharedState>,
    _caller: SignedIn,
    SessionSecret(secret): SessionSecret,
) -> HttpResult<StatusCode> {
    app.office.sign_out(&secret).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Signs out everywhere.
///
/// All sessions of the user end at once, this one too.
#[utoipa::path(delete, path = "/api/v1/sessions", tag = "users", operation_id = "sign_out_everywhere",
    responses((status = 204, description = "Signed out")))]
pub(super) async fn sign_out_everywhere(
    State(app): State<SharedState>,
    SignedIn { caller, user_id }: SignedIn,
) -> HttpResult<StatusCode> {
    app.office.sign_out_everywhere(caller, user_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
