//! The door list.

use crate::edge::{auth::SaleReader, door_list, extract::PathId, problem::HttpResult, state::SharedState};
use axum::{extract::State, response::Response};
use frontrow_domain::id::ConcertId;
use utoipa::ToSchema;

/// A door list as CSV.
#[derive(ToSchema)]
#[schema(
    example = "section,row,number,grade,name,reservation_id,payment_id,paid_at\r\nStalls,C,12A,R,Kim Minji,17,9,2027-03-01T11:00:00Z\r\n"
)]
#[expect(dead_code, reason = "describes what the door list writes")]
pub struct DoorList(String);

/// The door list.
///
/// The holders of seats: the sold seats of a concert in their order, as CSV in UTF-8 with a byte order mark and CRLF,
/// for spreadsheets. A cell that a spreadsheet would take for a formula begins with an apostrophe.
#[utoipa::path(get, path = "/api/v1/operator/concerts/{concert_id}/door-list.csv", tag = "operator",
    operation_id = "door_list", params(("concert_id" = ConcertId, Path, description = "The concert")),
    responses((status = 200, description = "The list", content_type = "text/csv",
        body = DoorList)))]
pub(in crate::api) async fn door_list(
    State(app): State<SharedState>,
    _reader: SaleReader,
    PathId(concert_id): PathId<ConcertId>,
) -> HttpResult<Response> {
    door_list::csv(concert_id, app.office.door_list(concert_id).await?).await
}
