//! Operators' calls for seats that are neither held nor sold.

use super::checked_reason;
use crate::edge::{
    auth::OperatorOnly,
    extract::{JsonBody, LargeJsonBody, PathId},
    idempotency::IdempotencyKey,
    problem::HttpResult,
    reply::{json, replayed},
    state::SharedState,
};
use axum::{
    extract::State,
    http::{Method, StatusCode},
    response::Response,
};
use frontrow_domain::{
    id::{ConcertId, SeatId},
    money::Money,
    policy::{SEATS_PER_OPERATOR_COMMAND_MAX, STATUS_REASON_LEN_MAX},
    sale::{SeatAction, SeatChange},
    text::{checked_label, checked_text},
};
use frontrow_service::{
    bounded::list,
    drafts::{LABEL_LEN_MAX, SeatsDraft, checked_number},
    office::Reply,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Seats that were added: their ids rise by one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AddedSeats)]
pub struct AddedSeatsShape {
    /// The first seat's id.
    first_seat_id: SeatId,
    /// The number of seats.
    #[schema(example = 50)]
    count: u32,
}

/// Seats to take off sale.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatBlock {
    /// The seats.
    #[serde(deserialize_with = "list::<SEATS_PER_OPERATOR_COMMAND_MAX, _, _>")]
    #[schema(min_items = 1, max_items = 100_000)]
    seat_ids: Vec<SeatId>,
    /// The reason, for the audit log.
    #[schema(format = "text", min_length = 1, max_length = 500, example = "Camera position")]
    reason: String,
}

/// Seats to put on sale again.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatRelease {
    /// The seats.
    #[serde(deserialize_with = "list::<SEATS_PER_OPERATOR_COMMAND_MAX, _, _>")]
    #[schema(min_items = 1, max_items = 100_000)]
    seat_ids: Vec<SeatId>,
    /// The reason, for the audit log.
    #[serde(default)]
    #[schema(format = "text", min_length = 1, max_length = 500, example = "The camera moved to the balcony")]
    reason: Option<String>,
}

/// Seats to remove.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatRemoval {
    /// The seats.
    #[serde(deserialize_with = "list::<SEATS_PER_OPERATOR_COMMAND_MAX, _, _>")]
    #[schema(min_items = 1, max_items = 100_000)]
    seat_ids: Vec<SeatId>,
    /// The reason, for the audit log: needed while the seats are on sale.
    #[serde(default)]
    #[schema(format = "text", min_length = 1, max_length = 500, example = "The stage takes their place")]
    reason: Option<String>,
}

/// How many seats were changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SetSeats)]
pub struct SetSeatsShape {
    /// The number of seats.
    #[schema(example = 4)]
    count: u32,
}

/// The changes of each of the seats; omitted fields stay.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 2)]
pub struct SeatPatch {
    /// The seats, all of this concert.
    #[serde(deserialize_with = "list::<SEATS_PER_OPERATOR_COMMAND_MAX, _, _>")]
    #[schema(min_items = 1, max_items = 100_000)]
    seat_ids: Vec<SeatId>,
    /// The price of each; 0 for free seats.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 1_000_000_000_000_i64, example = 120_000)]
    price: Option<Money>,
    /// The block of the hall.
    #[serde(default)]
    #[schema(format = "label", max_length = 40)]
    section: Option<String>,
    /// The row in the section.
    #[serde(default)]
    #[schema(format = "label", max_length = 40)]
    row: Option<String>,
    /// The number in the row as it is printed; for one seat, since section, row and number are unique in a concert.
    #[serde(default)]
    #[schema(format = "text", min_length = 1, max_length = 40, example = "12A")]
    number: Option<String>,
    /// The price grade.
    #[serde(default)]
    #[schema(format = "label", max_length = 40)]
    grade: Option<String>,
    /// The reason, for the audit log: needed to raise the price of seats that are on sale.
    #[serde(default)]
    #[schema(format = "text", min_length = 1, max_length = 500, example = "Printed wrong at first")]
    reason: Option<String>,
}

/// Adds seats.
///
/// By a range of numbers or by a list. The body may be up to 16 MiB.
#[utoipa::path(post, path = "/api/v1/operator/concerts/{concert_id}/seats", tag = "operator", operation_id = "add_seats",
    params(("concert_id" = ConcertId, Path, description = "The concert")),
    request_body = SeatsDraft, responses((status = 201, description = "The new seats", body = AddedSeatsShape)))]
pub(in crate::api) async fn add_seats(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(concert_id): PathId<ConcertId>,
    key: IdempotencyKey,
    JsonBody(body): LargeJsonBody<SeatsDraft>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/concerts/{id}/seats", &[&concert_id], &body)?;
    let Reply { value, replay } = app.office.add_seats(caller, concert_id, body.check()?, key).await?;
    let frontrow_service::AddedSeats { first_seat_id, count } = value;
    Ok(replayed((StatusCode::CREATED, json(&AddedSeatsShape { first_seat_id, count })), replay))
}

/// Takes seats off sale.
///
/// All of them or none: one that is held or sold is `seat_in_use`. The reason is for the audit log.
#[utoipa::path(post, path = "/api/v1/operator/seats/block", tag = "operator", operation_id = "block_seats",
    request_body = SeatBlock, responses((status = 200, description = "How many", body = SetSeatsShape)))]
pub(in crate::api) async fn block_seats(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    key: IdempotencyKey,
    JsonBody(body): LargeJsonBody<SeatBlock>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/seats/block", &[], &body)?;
    let reason = checked_text("reason", &body.reason, STATUS_REASON_LEN_MAX)?;
    Ok(set(app.office.set_seats(caller, (None, body.seat_ids), SeatAction::Block { reason }, key).await?))
}

/// Puts blocked seats on sale again.
///
/// All of them or none. The reason, if one is given, is for the audit log.
#[utoipa::path(post, path = "/api/v1/operator/seats/free", tag = "operator", operation_id = "free_seats",
    request_body = SeatRelease, responses((status = 200, description = "How many", body = SetSeatsShape)))]
pub(in crate::api) async fn free_seats(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    key: IdempotencyKey,
    JsonBody(body): LargeJsonBody<SeatRelease>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/seats/free", &[], &body)?;
    let reason = checked_reason(body.reason.as_deref())?;
    Ok(set(app.office.set_seats(caller, (None, body.seat_ids), SeatAction::Free { reason }, key).await?))
}

/// Changes seats.
///
/// Price, section, row, printed number or grade of seats that are neither held nor sold. Holds and purchases keep
/// the price that they were made at. To raise the price of seats that are on sale needs a reason.
#[utoipa::path(patch, path = "/api/v1/operator/concerts/{concert_id}/seats", tag = "operator",
    operation_id = "change_seats", params(("concert_id" = ConcertId, Path, description = "The concert")),
    request_body = SeatPatch, responses((status = 200, description = "How many", body = SetSeatsShape)))]
pub(in crate::api) async fn change(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(concert_id): PathId<ConcertId>,
    key: IdempotencyKey,
    JsonBody(body): LargeJsonBody<SeatPatch>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::PATCH, "/operator/concerts/{id}/seats", &[&concert_id], &body)?;
    let reason = checked_reason(body.reason.as_deref())?;
    let label =
        |field: &str, text: Option<String>| text.map(|text| checked_label(field, &text, LABEL_LEN_MAX)).transpose();
    let change = SeatChange {
        price: body.price,
        section: label("section", body.section)?,
        row: label("row", body.row)?,
        number: body.number.map(|number| checked_number("number", &number)).transpose()?,
        grade: label("grade", body.grade)?,
    };
    Ok(set(app.office.change_seats(caller, (concert_id, body.seat_ids), (change, reason), key).await?))
}

/// Removes seats.
///
/// Those that were never held. A seat that was held or sold before stays: block it. Seats that are on sale need a
/// reason.
#[utoipa::path(post, path = "/api/v1/operator/concerts/{concert_id}/seats/remove", tag = "operator",
    operation_id = "remove_seats", params(("concert_id" = ConcertId, Path, description = "The concert")),
    request_body = SeatRemoval, responses((status = 200, description = "How many", body = SetSeatsShape)))]
pub(in crate::api) async fn remove(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(concert_id): PathId<ConcertId>,
    key: IdempotencyKey,
    JsonBody(body): LargeJsonBody<SeatRemoval>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/concerts/{id}/seats/remove", &[&concert_id], &body)?;
    let reason = checked_reason(body.reason.as_deref())?;
    Ok(set(app.office.remove_seats(caller, (concert_id, body.seat_ids), reason, key).await?))
}

fn set(Reply { value, replay }: Reply<frontrow_service::SetSeats>) -> Response {
    replayed(json(&SetSeatsShape { count: value.0 }), replay)
}
