//! Operators' calls for waiting rooms.

use super::checked_reason;
use crate::api::shapes::RoomShape;
use crate::edge::{
    auth::{OperatorOnly, SaleReader},
    extract::{JsonBody, OperatorJsonBody, PathId},
    idempotency::IdempotencyKey,
    precondition::{IfMatch, tagged},
    problem::HttpResult,
    reply::{List, json, replayed},
    state::SharedState,
};
use axum::{
    extract::State,
    http::{Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use frontrow_domain::{
    command::{NewRoom, RoomChange},
    id::{Position, RoomId},
    line::{Gate, OpeningOrder, RoomSite, RoomWeight, ToldHorizon, TurnUrl},
    policy::{ROOM_NAME_LEN_MAX, STATUS_REASON_LEN_MAX},
    text::checked_text,
    time::Time,
};
use frontrow_line::view::ToldTally;
use frontrow_service::{bounded::given, operators::RoomOverview};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The changes of a room; omitted fields stay.
#[expect(clippy::option_option, reason = "null takes a setting away, leaving it out keeps it")]
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoomPatch {
    /// How many may be active at once. Lowering it ends no active token.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000, example = 200)]
    max_active: Option<i64>,
    /// How many turns a minute; null takes the limit away.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1_000_000, example = 600)]
    admit_per_minute: Option<Option<i64>>,
    /// Whether the line moves.
    #[serde(default)]
    gate: Option<Gate>,
    /// The message to all clients in line, 1 to 500 characters; null removes it.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "text", min_length = 1, max_length = 500, example = "Doors open at 20:00.")]
    message: Option<Option<String>>,
    /// The order of tokens that come before the opening. It may change until the sale opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opening: Option<OpeningOrder>,
    /// The name of the other site, 1 to 100 characters: for a room without a concert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "label", min_length = 1, max_length = 100, example = "Shop")]
    name: Option<String>,
    /// Where a turn leads: for a room without a concert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uri", max_length = 1_000, example = "https://shop.example.com/tickets")]
    turn_url: Option<TurnUrl>,
    /// How much of the house's budget is the room's, beside the other rooms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weight: Option<RoomWeight>,
    /// How many tokens may be active in all rooms together: for the house room, whose number is 0; null takes the limit
    /// away. The rooms in demand share it by weight; none of them gets more than its cap. A line that is paused or has not
    /// opened demands no place for its waiting tokens.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1_000_000, example = 1_000)]
    house_budget: Option<Option<i64>>,
    /// Why, for the audit log, 1 to 500 characters. A change that hurts those in line has one: one that pauses the gate,
    /// lowers the cap or the weight, introduces or lowers the rate or the house's budget, or changes the order of the
    /// opening.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "text", min_length = 1, max_length = 500, example = "The hall's entrance is blocked.")]
    reason: Option<String>,
}

/// A new room without a concert.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoomDraft {
    /// The name of the other site, which visitors see, 1 to 100 characters.
    #[schema(format = "label", min_length = 1, max_length = 100, example = "Shop")]
    name: String,
    /// Where a turn leads: an address over https or on this machine. The visitor brings a pass, or where `{token}` stands
    /// the queue token.
    #[schema(value_type = String, format = "uri", max_length = 1_000, example = "https://shop.example.com/tickets")]
    turn_url: TurnUrl,
    /// How many may be active at once.
    #[schema(minimum = 0, maximum = 1_000_000, example = 200)]
    max_active: i64,
    /// How many turns a minute; none for no limit.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000_000, example = 600)]
    admit_per_minute: Option<i64>,
    /// When the first turns are offered; none for at once.
    #[serde(default)]
    #[schema(example = "2027-02-01T01:00:00Z")]
    opens_at: Option<Time>,
}

/// Why a room is closed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoomClosing {
    /// Why, for the audit log, 1 to 500 characters.
    #[schema(format = "text", min_length = 1, max_length = 500, example = "The sale of the shop is over.")]
    reason: String,
}

/// A room with its numbers of this moment.
#[derive(Debug, Serialize, ToSchema)]
pub struct LiveRoom {
    /// The settings.
    #[serde(flatten)]
    room: RoomShape,
    /// How many wait.
    #[schema(example = 12_000)]
    waiting: i64,
    /// How many have a turn to claim.
    #[schema(example = 3)]
    offered: i64,
    /// How many are active.
    #[schema(example = 100)]
    active: i64,
    /// The highest position given; 0 before the first.
    #[schema(value_type = i64, minimum = 0, example = 12_150)]
    highest: Position,
    /// How near the told waits were to those that came, by the horizon at which they were told: of a sample of the tokens,
    /// as far as the instance that answers told them since its start.
    told_waits: Vec<ToldWaitsBody>,
}

/// The told waits of one horizon, beside the waits that came.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ToldWaits)]
pub struct ToldWaitsBody {
    /// When they were told: `first` for the first wait that a token was told; else the first wait told of at most 10, 5, 2
    /// or 1 minutes or 30 seconds, and more than the next shorter of these.
    horizon: ToldHorizon,
    /// How many were compared with the wait that came.
    #[schema(minimum = 0, example = 340)]
    judged: u64,
    /// Of how many the wait was no longer than the told p90, in per cent; none if nothing was compared.
    #[schema(minimum = 0, maximum = 100, example = 91)]
    within_p90_percent: Option<u64>,
    /// The median of how far the told p50 was off, in per cent of the wait that came, 200 at most; none if nothing was
    /// compared.
    #[schema(minimum = 0, maximum = 200, example = 18)]
    median_error_percent: Option<i64>,
}

impl From<ToldTally> for ToldWaitsBody {
    fn from(tally: ToldTally) -> Self {
        Self {
            horizon: tally.horizon,
            judged: tally.judged,
            within_p90_percent: tally.within_percent(),
            median_error_percent: tally.error_percent,
        }
    }
}

impl From<RoomOverview> for LiveRoom {
    fn from(RoomOverview { room, waiting, offered, active, highest, told }: RoomOverview) -> Self {
        let told_waits = told.into_iter().map(ToldWaitsBody::from).collect();
        Self { room: room.into(), waiting, offered, active, highest, told_waits }
    }
}

/// The waiting rooms.
///
/// Each with its settings and its numbers of this moment. The list has one page.
#[utoipa::path(get, path = "/api/v1/operator/rooms", tag = "operator", operation_id = "rooms",
    responses((status = 200, description = "The rooms", body = List<LiveRoom>)))]
pub(in crate::api) async fn rooms(State(app): State<SharedState>, _reader: SaleReader) -> HttpResult<Response> {
    let items: Vec<LiveRoom> = app.office.rooms().into_iter().map(LiveRoom::from).collect();
    Ok(json(&List { items, next_cursor: None }))
}

/// A waiting room.
///
/// Its settings, and its numbers of this moment. `ETag` names the version of the settings, for `If-Match`.
#[utoipa::path(get, path = "/api/v1/operator/rooms/{room_id}", tag = "operator", operation_id = "room",
    params(("room_id" = RoomId, Path, description = "The room; 0 is the house room")),
    responses((status = 200, description = "The room", body = LiveRoom)))]
pub(in crate::api) async fn room(
    State(app): State<SharedState>,
    _reader: SaleReader,
    PathId(id): PathId<RoomId>,
) -> HttpResult<Response> {
    let room = app.office.room(id).await?;
    let version = room.room.updated_at;
    Ok(tagged(json(&LiveRoom::from(room)), version))
}

/// Changes a waiting room.
///
/// Its cap, its rate, its gate, its message, the order of its opening, its weight; of the house room the house's budget.
/// Omitted fields stay. With `If-Match`, only the version that it names is
/// changed.
#[utoipa::path(patch, path = "/api/v1/operator/rooms/{room_id}", tag = "operator", operation_id = "set_room",
    params(("room_id" = RoomId, Path, description = "The room; 0 is the house room"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the version to change; `*` or none for any")),
    request_body = RoomPatch, responses((status = 200, description = "The room", body = RoomShape)))]
pub(in crate::api) async fn set_room(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(room_id): PathId<RoomId>,
    key: IdempotencyKey,
    basis: IfMatch,
    JsonBody(body): OperatorJsonBody<RoomPatch>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::PATCH, "/operator/rooms/{id}", &[&room_id], &basis.with(&body))?;
    let message = match body.message {
        Some(Some(text)) => Some(Some(checked_text("message", &text, 500)?)),
        other => other,
    };
    let reason = checked_reason(body.reason.as_deref())?;
    let name = body.name.map(|name| checked_text("name", &name, ROOM_NAME_LEN_MAX)).transpose()?;
    let RoomPatch { max_active, admit_per_minute, gate, opening, turn_url, weight, house_budget, .. } = body;
    let change =
        RoomChange { max_active, admit_per_minute, gate, message, opening, name, turn_url, weight, house_budget };
    let done = app.office.set_room(caller, room_id, change, basis.0, reason, key).await?;
    let version = done.value.updated_at;
    Ok(replayed(tagged(json(&RoomShape::from(done.value)), version), done.replay))
}

/// Opens a room without a concert.
///
/// A line in front of another site: visitors join it on the page `/line/{room_id}`, or by `POST /queue/tokens` with
/// `room_id`, and a turn leads to `turn_url`.
#[utoipa::path(post, path = "/api/v1/operator/rooms", tag = "operator", operation_id = "create_room",
    request_body = RoomDraft, responses((status = 201, description = "The room", body = RoomShape)))]
pub(in crate::api) async fn create_room(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    key: IdempotencyKey,
    JsonBody(body): OperatorJsonBody<RoomDraft>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/rooms", &[], &body)?;
    let RoomDraft { name, turn_url, max_active, admit_per_minute, opens_at } = body;
    let site = RoomSite { name: checked_text("name", &name, ROOM_NAME_LEN_MAX)?, turn_url };
    let done = app.office.create_room(caller, NewRoom { site, max_active, admit_per_minute, opens_at }, key).await?;
    Ok(replayed((StatusCode::CREATED, json(&RoomShape::from(done.value))).into_response(), done.replay))
}

/// Closes a room without a concert.
///
/// For good: nobody joins it any more, and the tokens that wait end with `end_reason` `room_closed`. Active tokens stay to
/// their end. Closing it again is closing it.
#[utoipa::path(post, path = "/api/v1/operator/rooms/{room_id}/close", tag = "operator", operation_id = "close_room",
    params(("room_id" = RoomId, Path, description = "The room"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the version to close; `*` or none for any")),
    request_body = RoomClosing, responses((status = 200, description = "The room", body = RoomShape)))]
pub(in crate::api) async fn close_room(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(room_id): PathId<RoomId>,
    key: IdempotencyKey,
    basis: IfMatch,
    JsonBody(body): OperatorJsonBody<RoomClosing>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/rooms/{id}/close", &[&room_id], &basis.with(&body))?;
    let reason = checked_text("reason", &body.reason, STATUS_REASON_LEN_MAX)?;
    let done = app.office.close_room(caller, room_id, basis.0, reason, key).await?;
    let version = done.value.updated_at;
    Ok(replayed(tagged(json(&RoomShape::from(done.value)), version), done.replay))
}
