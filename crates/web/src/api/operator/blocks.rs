//! Operators' calls to keep users out of a line.

use super::UserPageQuery;
use crate::edge::{
    auth::{OperatorOnly, SaleReader},
    extract::{JsonBody, OperatorJsonBody, PathId, QueryParams},
    idempotency::IdempotencyKey,
    problem::{HttpResult, Problem, codes},
    reply::{List, json, next_page, page, replayed},
    state::SharedState,
};
use axum::{
    extract::State,
    http::{Method, StatusCode},
    response::Response,
};
use frontrow_domain::{
    command::NewBlock,
    id::{RoomId, UserId},
    line::LineBlock,
    policy::STATUS_REASON_LEN_MAX,
    text::checked_text,
    time::Time,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A user who is to lose the place in a line.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemovalRequest {
    /// The user.
    user_id: UserId,
    /// Why, for the audit log, 1 to 500 characters.
    #[schema(format = "text", min_length = 1, max_length = 500, example = "Joined by a program.")]
    reason: String,
}

/// A user who is to be kept out of a line.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockRequest {
    /// The user.
    user_id: UserId,
    /// Why, for operators alone, 1 to 500 characters.
    #[schema(format = "text", min_length = 1, max_length = 500, example = "Joined by a program.")]
    reason: String,
    /// Until when, in the future; without it until an operator lifts the block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "2099-01-01T00:00:00Z")]
    until: Option<Time>,
}

/// A user who may join a line again.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnblockRequest {
    /// The user.
    user_id: UserId,
}

/// A user who is kept out of a line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LineBlock)]
pub struct BlockShape {
    /// The room.
    room_id: RoomId,
    /// The user.
    user_id: UserId,
    /// Why, for operators alone.
    #[schema(example = "Joined by a program.")]
    reason: String,
    /// The operator; none for the box office itself.
    blocked_by: Option<UserId>,
    /// Since when.
    since: Time,
    /// Until when; none for until an operator lifts it. One that is over keeps nobody out.
    until: Option<Time>,
}

impl From<LineBlock> for BlockShape {
    fn from(LineBlock { user_id, room_id, reason, blocked_by, since, until }: LineBlock) -> Self {
        Self { room_id, user_id, reason, blocked_by, since, until }
    }
}

/// The blocks from a line.
///
/// Each with its reason and its end, by user. Blocks that are over are removed some time later.
#[utoipa::path(get, path = "/api/v1/operator/rooms/{room_id}/blocks", tag = "operator", operation_id = "line_blocks",
    params(("room_id" = RoomId, Path, description = "The room; 0 is the house room"), UserPageQuery),
    responses((status = 200, description = "A page", body = List<BlockShape>)))]
pub(in crate::api) async fn blocks(
    State(app): State<SharedState>,
    _reader: SaleReader,
    PathId(room_id): PathId<RoomId>,
    QueryParams(query): QueryParams<UserPageQuery>,
) -> HttpResult<Response> {
    let page = page(query.limit, query.cursor);
    let rows = app.office.line_blocks(room_id, page).await?;
    let rows = rows.into_iter().map(BlockShape::from).collect();
    Ok(json(&next_page(rows, &page, |row| row.user_id)))
}

/// Removes a user from a line.
///
/// The user's token in the room ends with `end_reason` `removed`, active or not; what it holds falls back as it does
/// after leaving. The user may join again, at the end. A user without a token there stays without: 204.
#[utoipa::path(post, path = "/api/v1/operator/rooms/{room_id}/removals", tag = "operator",
    operation_id = "remove_from_line",
    params(("room_id" = RoomId, Path, description = "The room; 0 is the house room")),
    request_body = RemovalRequest, responses((status = 204, description = "The user has no place in the line")))]
pub(in crate::api) async fn remove(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(room_id): PathId<RoomId>,
    key: IdempotencyKey,
    JsonBody(body): OperatorJsonBody<RemovalRequest>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/rooms/{id}/removals", &[&room_id], &body)?;
    let reason = checked_text("reason", &body.reason, STATUS_REASON_LEN_MAX)?;
    let done = app.office.remove_from_line(caller, (room_id, body.user_id), reason, key).await?;
    Ok(replayed(StatusCode::NO_CONTENT, done.replay))
}

/// Blocks a user from a line.
///
/// The user's token in the room ends with `end_reason` `removed`, and joining again is refused with `line_blocked` until
/// `until`, or until the block is lifted. A block that the user has is replaced.
#[utoipa::path(post, path = "/api/v1/operator/rooms/{room_id}/blocks", tag = "operator",
    operation_id = "block_from_line",
    params(("room_id" = RoomId, Path, description = "The room; 0 is the house room")),
    request_body = BlockRequest, responses((status = 200, description = "The block", body = BlockShape)))]
pub(in crate::api) async fn block(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(room_id): PathId<RoomId>,
    key: IdempotencyKey,
    JsonBody(body): OperatorJsonBody<BlockRequest>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/rooms/{id}/blocks", &[&room_id], &body)?;
    let reason = checked_text("reason", &body.reason, STATUS_REASON_LEN_MAX)?;
    let new = NewBlock { room_id, user_id: body.user_id, reason, until: body.until };
    let done = app.office.block_from_line(caller, new, key).await?;
    let block = done.value.ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
    Ok(replayed(json(&BlockShape::from(block)), done.replay))
}

/// Lifts a user's block from a line.
///
/// The user may join again, at the end. A user who is not blocked stays so: 204.
#[utoipa::path(post, path = "/api/v1/operator/rooms/{room_id}/unblock", tag = "operator",
    operation_id = "unblock_from_line",
    params(("room_id" = RoomId, Path, description = "The room; 0 is the house room")),
    request_body = UnblockRequest, responses((status = 204, description = "The user is not blocked")))]
pub(in crate::api) async fn unblock(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(room_id): PathId<RoomId>,
    key: IdempotencyKey,
    JsonBody(body): OperatorJsonBody<UnblockRequest>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/rooms/{id}/unblock", &[&room_id], &body)?;
    let done = app.office.unblock_from_line(caller, (room_id, body.user_id), key).await?;
    Ok(replayed(StatusCode::NO_CONTENT, done.replay))
}
