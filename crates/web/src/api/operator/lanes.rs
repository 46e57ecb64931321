//! Operators' calls for lanes beside a line, and for the accounts that may join them.

use super::{UserPageQuery, checked_reason};
use crate::api::shapes::RoomShape;
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
    response::{IntoResponse as _, Response},
};
use frontrow_domain::{
    command::{Idempotency, LaneStep},
    id::{RoomId, UserId},
    line::{LaneEntry, LaneGuest, LaneKind, LaneShare},
    time::Time,
    user::{Caller, User},
};
use frontrow_service::validate::EMAIL_LEN_MAX;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A lane to open.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LaneDraft {
    /// Whom it is for.
    kind: LaneKind,
    /// Its part of the room's places and turns while all of the room's lines are in demand, in per cent. The lanes of a
    /// line have 50 together at most.
    share_percent: LaneShare,
    /// Why, for the audit log, 1 to 500 characters. A new lane has one, and so has one that is opened again with another
    /// share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "text", min_length = 1, max_length = 500, example = "The sponsor's guests come.")]
    reason: Option<String>,
}

/// The changes of a lane; omitted fields stay.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LanePatch {
    /// Its part of the room's places and turns while all of the room's lines are in demand, in per cent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share_percent: Option<LaneShare>,
    /// Whether it takes new tokens. Once it has ended for them, the accounts on its list join the general line; tokens in
    /// the lane keep their places, and what they do not need is the general line's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry: Option<LaneEntry>,
    /// Why, for the audit log, 1 to 500 characters. A change that takes something from buyers has one: another share, or
    /// the end for new tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "text", min_length = 1, max_length = 500, example = "Fewer guests come than invited.")]
    reason: Option<String>,
}

/// An account for the list of a lane: by its id or by its e-mail address.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GuestRequest {
    /// The user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    /// The account's e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 3, max_length = 254, example = "guest@frontrow.example")]
    email: Option<String>,
}

/// An account that may join a lane.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LaneGuest)]
pub struct GuestShape {
    /// The lane.
    room_id: RoomId,
    /// The user.
    user_id: UserId,
    /// The account's name.
    #[schema(example = "Kim Minji")]
    name: Option<String>,
    /// The account's e-mail address.
    #[schema(example = "guest@frontrow.example")]
    email: Option<String>,
    /// The operator who put the account on the list; none for the box office itself.
    added_by: Option<UserId>,
    /// Since when.
    added_at: Time,
}

impl From<(LaneGuest, Option<User>)> for GuestShape {
    fn from((LaneGuest { room_id, user_id, added_by, added_at }, user): (LaneGuest, Option<User>)) -> Self {
        let (name, email) = user.map(|user| (user.name, user.email)).unzip();
        Self { room_id, user_id, name, email, added_by, added_at }
    }
}

/// Opens a lane beside a line.
///
/// A line of its own, with its own positions and waits, that the accounts on its list join instead of the general line.
/// While all of the room's lines are in demand it has `share_percent` of the places and turns; what it does not need goes
/// to the others, and the other way round. It follows the settings of its room, and has no draw. Every waiting page shows it.
/// A room has one lane of each kind: opening it again sets its share and has it take new tokens.
#[utoipa::path(post, path = "/api/v1/operator/rooms/{room_id}/lanes", tag = "operator", operation_id = "open_lane",
    params(("room_id" = RoomId, Path, description = "The room of the general line; 0 is the house room")),
    request_body = LaneDraft, responses((status = 201, description = "The lane, which is a room", body = RoomShape)))]
pub(in crate::api) async fn open(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(room_id): PathId<RoomId>,
    key: IdempotencyKey,
    JsonBody(body): OperatorJsonBody<LaneDraft>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/rooms/{id}/lanes", &[&room_id], &body)?;
    let LaneDraft { kind, share_percent, reason } = body;
    let reason = checked_reason(reason.as_deref())?;
    let done = app.office.open_lane(caller, (room_id, kind), share_percent, reason, key).await?;
    Ok(replayed((StatusCode::CREATED, json(&RoomShape::from(done.value))).into_response(), done.replay))
}

/// Changes a lane.
///
/// Its share, or whether it takes new tokens. Omitted fields stay.
#[utoipa::path(patch, path = "/api/v1/operator/rooms/{room_id}/lane", tag = "operator", operation_id = "set_lane",
    params(("room_id" = RoomId, Path, description = "The lane")),
    request_body = LanePatch, responses((status = 200, description = "The lane", body = RoomShape)))]
pub(in crate::api) async fn set(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(room_id): PathId<RoomId>,
    key: IdempotencyKey,
    JsonBody(body): OperatorJsonBody<LanePatch>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::PATCH, "/operator/rooms/{id}/lane", &[&room_id], &body)?;
    let LanePatch { share_percent, entry, reason } = body;
    let reason = checked_reason(reason.as_deref())?;
    let done = app.office.set_lane(caller, room_id, (share_percent, entry), reason, key).await?;
    Ok(replayed(json(&RoomShape::from(done.value)), done.replay))
}

/// The accounts on the list of a lane.
///
/// By user. They join the lane in place of the general line.
#[utoipa::path(get, path = "/api/v1/operator/rooms/{room_id}/guests", tag = "operator", operation_id = "lane_guests",
    params(("room_id" = RoomId, Path, description = "The lane"), UserPageQuery),
    responses((status = 200, description = "A page", body = List<GuestShape>)))]
pub(in crate::api) async fn guests(
    State(app): State<SharedState>,
    _reader: SaleReader,
    PathId(room_id): PathId<RoomId>,
    QueryParams(query): QueryParams<UserPageQuery>,
) -> HttpResult<Response> {
    let page = page(query.limit, query.cursor);
    let rows = app.office.lane_guests(room_id, page).await?;
    let rows = rows.into_iter().map(GuestShape::from).collect();
    Ok(json(&next_page(rows, &page, |row| row.user_id)))
}

/// Puts an account on the list of a lane.
///
/// By its id or by its e-mail address. From then on it joins the lane; a place that it has in the general line stays as it
/// is. An account that is on the list stays on it: 204.
#[utoipa::path(post, path = "/api/v1/operator/rooms/{room_id}/guests", tag = "operator", operation_id = "add_lane_guest",
    params(("room_id" = RoomId, Path, description = "The lane")),
    request_body = GuestRequest, responses((status = 204, description = "The account is on the list")))]
pub(in crate::api) async fn add_guest(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(room_id): PathId<RoomId>,
    key: IdempotencyKey,
    JsonBody(body): OperatorJsonBody<GuestRequest>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/rooms/{id}/guests", &[&room_id], &body)?;
    let user_id = user_named(&app, &body).await?;
    change_list(&app, caller, room_id, LaneStep::AddGuest { user_id }, key).await
}

/// Takes an account off the list of a lane.
///
/// A place that it has in the lane stays; to end that, remove the user from the line. An account that is not on the list
/// stays off it: 204.
#[utoipa::path(post, path = "/api/v1/operator/rooms/{room_id}/guests/removals", tag = "operator",
    operation_id = "remove_lane_guest", params(("room_id" = RoomId, Path, description = "The lane")),
    request_body = GuestRequest, responses((status = 204, description = "The account is not on the list")))]
pub(in crate::api) async fn remove_guest(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(room_id): PathId<RoomId>,
    key: IdempotencyKey,
    JsonBody(body): OperatorJsonBody<GuestRequest>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/rooms/{id}/guests/removals", &[&room_id], &body)?;
    let user_id = user_named(&app, &body).await?;
    change_list(&app, caller, room_id, LaneStep::RemoveGuest { user_id }, key).await
}

async fn change_list(
    app: &SharedState,
    caller: Caller,
    lane: RoomId,
    step: LaneStep,
    key: Option<Idempotency>,
) -> HttpResult<Response> {
    let done = app.office.change_guests(caller, lane, step, key).await?;
    Ok(replayed(StatusCode::NO_CONTENT, done.replay))
}

/// The user that a request names.
async fn user_named(app: &SharedState, body: &GuestRequest) -> HttpResult<UserId> {
    match (body.user_id, &body.email) {
        (Some(user), None) => Ok(user),
        (None, Some(email)) if (3..=EMAIL_LEN_MAX).contains(&email.chars().count()) => {
            app.office.user_of_address(email).await?.ok_or_else(|| Problem::new(&codes::NOT_FOUND))
        }
        (None, Some(_)) => Err(Problem::invalid_field("email", format!("must have 3 to {EMAIL_LEN_MAX} characters"))),
        _ => Err(Problem::invalid_field("email", "must be given, or user_id in its place".to_owned())),
    }
}
