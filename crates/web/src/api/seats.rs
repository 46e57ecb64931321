//! Operators' corrections of seats that are neither held nor sold.

use crate::{
    api::operator::{SeatRelease, SetSeats},
    edge::{
        auth::OperatorOnly,
        extract::{JsonBody, LargeJsonBody, PathId},
        idempotency::IdempotencyKey,
        problem::HttpResult,
        reply::{json, replayed},
        state::SharedState,
    },
};
use axum::{extract::State, http::Method, response::Response};
use frontrow_domain::{
    command::{Command, Idempotency, Outcome},
    id::{ConcertId, SeatId},
    money::Money,
    policy::SEATS_PER_OPERATOR_COMMAND_MAX,
    seat::SeatChange,
    text::checked_label,
    user::Caller,
};
use frontrow_service::{
    bounded::list,
    drafts::{LABEL_LEN_MAX, checked_number},
    office::UNEXPECTED,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What changes of each of the seats; what is left out stays.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatPatch {
    /// Which seats, of this concert.
    #[serde(deserialize_with = "list::<SEATS_PER_OPERATOR_COMMAND_MAX, _, _>")]
    #[schema(min_items = 1, max_items = 100_000)]
    seat_ids: Vec<SeatId>,
    /// What each costs; 0 for free seats.
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
}

/// Changes seats.
///
/// Price, section, row, printed number or grade of seats that are neither held nor sold. Holds and purchases keep
/// the price that they were made at.
#[utoipa::path(patch, path = "/api/v1/operator/concerts/{concert_id}/seats", tag = "operator",
    operation_id = "change_seats", params(("concert_id" = ConcertId, Path, description = "The concert")),
    request_body = SeatPatch, responses((status = 200, description = "How many", body = SetSeats)))]
pub(super) async fn change(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(concert_id): PathId<ConcertId>,
    key: IdempotencyKey,
    JsonBody(body): LargeJsonBody<SeatPatch>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::PATCH, "/operator/concerts/{id}/seats", &[&concert_id], &body)?;
    let label =
        |field: &str, text: Option<String>| text.map(|text| checked_label(field, &text, LABEL_LEN_MAX)).transpose();
    let change = SeatChange {
        price: body.price,
        section: label("section", body.section)?,
        row: label("row", body.row)?,
        number: body.number.map(|number| checked_number("number", &number)).transpose()?,
        grade: label("grade", body.grade)?,
    };
    let command = Command::ChangeSeats { concert_id, seat_ids: body.seat_ids, change };
    run(&app, caller, command, key).await
}

/// Removes seats.
///
/// Those that nobody has ever held. A seat that was held or sold before stays: block it.
#[utoipa::path(post, path = "/api/v1/operator/concerts/{concert_id}/seats/remove", tag = "operator",
    operation_id = "remove_seats", params(("concert_id" = ConcertId, Path, description = "The concert")),
    request_body = SeatRelease, responses((status = 200, description = "How many", body = SetSeats)))]
pub(super) async fn remove(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(concert_id): PathId<ConcertId>,
    key: IdempotencyKey,
    JsonBody(body): LargeJsonBody<SeatRelease>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/concerts/{id}/seats/remove", &[&concert_id], &body)?;
    run(&app, caller, Command::RemoveSeats { concert_id, seat_ids: body.seat_ids }, key).await
}

async fn run(app: &SharedState, caller: Caller, command: Command, key: Option<Idempotency>) -> HttpResult<Response> {
    let done = app.office.operate(caller, command, key).await?;
    let Outcome::SeatsSet(count) = done.value else { return Err(UNEXPECTED.into()) };
    Ok(replayed(json(&SetSeats { count }), done.replay))
}
