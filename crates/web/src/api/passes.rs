//! Passes for the edges of other sites.

use crate::edge::{
    auth::{ClientAddress, SignedIn},
    base_url::BaseUrl,
    extract::{JsonBody, PathText},
    kept::{self, Fresh},
    problem::{HttpResult, Problem},
    reply::json,
    state::SharedState,
};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use frontrow_domain::{id::RoomId, time::Time};
use frontrow_service::line::SignedPass;
use frontrow_signing::PassKeySet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where the public keys are.
pub(crate) const KEYS_PATH: &str = "/.well-known/jwks.json";

/// A pass, for its user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pass)]
pub struct PassBody {
    /// The pass: a JSON Web Token signed by ES256, for the edge of the site behind the room.
    #[schema(example = "eyJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJyb29tOjAifQ.c2lnbmF0dXJl")]
    pass: String,
    /// The room.
    room_id: RoomId,
    /// Until when the pass is valid. Ask for another one before that.
    expires_at: Time,
}

/// A pass whose visitor is done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PassEnd {
    /// The pass.
    #[schema(max_length = 2_048, example = "eyJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJyb29tOjAifQ.c2lnbmF0dXJl")]
    pass: String,
}

/// A pass for another site.
///
/// For the user of an active token. The edge of the site verifies it without a call, by the keys of
/// `/.well-known/jwks.json`. It is valid for five minutes at most and never longer than the token; asking for one is a
/// sign of life, and the token lives for as long as the pass.
#[utoipa::path(get, path = "/api/v1/queue/tokens/{token}/pass", tag = "queue", operation_id = "issue_pass",
    params(("token" = String, Path, description = "The token")),
    responses((status = 200, description = "The pass", body = PassBody)))]
pub(super) async fn issue(
    State(app): State<SharedState>,
    SignedIn { caller, .. }: SignedIn,
    base: BaseUrl,
    PathText(token): PathText,
) -> HttpResult<Response> {
    let SignedPass { signed, room_id, until } = app.office.issue_pass(caller, &token, base.as_str()).await?;
    Ok(json(&PassBody { pass: signed, room_id, expires_at: until }))
}

/// The visitor of a pass is done.
///
/// For the site behind the room: the pass itself is the credential. The token ends and its place is free at once; no
/// other pass is given for it. Passes that the visitor still has are valid until they are over, so the site forgets its
/// cookie. Repeated it is done: 204.
#[utoipa::path(post, path = "/api/v1/queue/passes/done", tag = "queue", operation_id = "end_pass",
    security(()), request_body(content = PassEnd, description = "The pass"),
    responses((status = 204, description = "Done")))]
pub(super) async fn end(
    State(app): State<SharedState>,
    ClientAddress(client): ClientAddress,
    JsonBody(PassEnd { pass }): JsonBody<PassEnd>,
) -> HttpResult<StatusCode> {
    app.limits.check_public_read(client, 1)?;
    app.office.end_pass(&pass).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The public keys that passes are verified with, the newest first.
pub(crate) async fn keys(State(app): State<SharedState>, request: HeaderMap) -> HttpResult<Response> {
    let body = serde_json::to_vec(&PassKeySet::of(&app.office.pass_keys())).map_err(Problem::internal)?;
    let etag = kept::tag_of(&body);
    if kept::has(&request, &etag) {
        return Ok(kept::unchanged(Fresh::ForAMinute, &etag));
    }
    Ok(kept::answer("application/jwk-set+json", Fresh::ForAMinute, &etag, kept::form_of(&request, body)))
}
