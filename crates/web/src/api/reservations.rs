//! Reservations: hold, look up, cancel.

use crate::{
    api::tickets::TicketShape,
    edge::{
        auth::{QueueToken, SignedIn},
        extract::{JsonBody, PathId, QueryParams},
        idempotency::IdempotencyKey,
        limit::{self, Hourly},
        problem::{HttpResult, Problem},
        reply::{List, PageQuery, json, next_page, one_or_list, page, replayed},
        state::SharedState,
    },
};
use axum::{
    Json,
    extract::State,
    http::{Method, StatusCode},
    response::Response,
};
use frontrow_domain::{
    id::{ReservationId, SeatId},
    policy::SEATS_PER_COMMAND_MAX,
    user::Caller,
};
use frontrow_service::bounded::optional_list;
use frontrow_storage::ReservationFilter;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which seats to hold: one, or several of one concert, all or nothing.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    /// One seat. The answer is its reservation.
    #[serde(default)]
    seat_id: Option<SeatId>,
    /// Several seats. The answer is a list of reservations.
    #[serde(default, deserialize_with = "optional_list::<SEATS_PER_COMMAND_MAX, _, _>")]
    #[schema(min_items = 1, max_items = 20)]
    seat_ids: Option<Vec<SeatId>>,
}

/// Holds seats.
///
/// For five minutes, all of them or none. Needs an active token of the concert's room in `Queue-Token`. One seat is
/// answered with its reservation, a list of seats with a list.
#[utoipa::path(post, path = "/api/v1/reservations", tag = "reservations", operation_id = "hold",
    params(("Queue-Token" = String, Header, description = "The active token")),
    request_body = HoldRequest,
    responses((status = 201, description = "The reservation; for `seat_ids` a list", body = TicketShape)))]
pub(super) async fn hold(
    State(app): State<SharedState>,
    SignedIn { caller, .. }: SignedIn,
    QueueToken(token): QueueToken,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<HoldRequest>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/reservations", &[], &body)?;
    let (seat_ids, several) = match (body.seat_id, body.seat_ids) {
        (Some(seat_id), None) => (vec![seat_id], false),
        (None, Some(seat_ids)) => (seat_ids, true),
        _ => return Err(Problem::invalid_field("seat_id", "send either seat_id or seat_ids")),
    };
    // Operators have no limit.
    if let Caller::Buyer(user) | Caller::Viewer(user) = caller {
        limit::spend(&app, user, Hourly::Holds)?;
    }
    let done = app.office.hold(caller, &token, seat_ids, key).await?;
    let held = done.value.into_iter().map(TicketShape::from).collect();
    let body = one_or_list(held, several.into());
    Ok(replayed((StatusCode::CREATED, body), done.replay))
}

/// The caller's reservations.
///
/// Newest first, in whatever state they are.
#[utoipa::path(get, path = "/api/v1/reservations", tag = "reservations", operation_id = "reservations",
    params(PageQuery<ReservationId>), responses((status = 200, description = "A page", body = List<TicketShape>)))]
pub(super) async fn mine(
    State(app): State<SharedState>,
    SignedIn { user_id, .. }: SignedIn,
    QueryParams(query): QueryParams<PageQuery<ReservationId>>,
) -> HttpResult<Response> {
    let page = page(query.limit, query.cursor);
    let filter = ReservationFilter { user: Some(user_id), ..ReservationFilter::default() };
    let rows = app.office.reservations(&filter, page).await?.into_iter().map(TicketShape::from).collect();
    Ok(json(&next_page(rows, &page, TicketShape::id)))
}

/// A reservation.
///
/// One of the caller's. Another user's is answered 404, as if it did not exist.
#[utoipa::path(get, path = "/api/v1/reservations/{reservation_id}", tag = "reservations", operation_id = "reservation",
    params(("reservation_id" = ReservationId, Path, description = "The reservation")),
    responses((status = 200, description = "The reservation", body = TicketShape)))]
pub(super) async fn one(
    State(app): State<SharedState>,
    SignedIn { caller, .. }: SignedIn,
    PathId(id): PathId<ReservationId>,
) -> HttpResult<Json<TicketShape>> {
    Ok(Json(app.office.reservation(caller, id).await?.into()))
}

/// Cancels a pending reservation.
///
/// The seat is free at once. Paid ones are refunded instead.
#[utoipa::path(delete, path = "/api/v1/reservations/{reservation_id}", tag = "reservations",
    operation_id = "cancel_reservation",
    params(("reservation_id" = ReservationId, Path, description = "The reservation")),
    responses((status = 200, description = "The cancelled reservation", body = TicketShape)))]
pub(super) async fn cancel(
    State(app): State<SharedState>,
    SignedIn { caller, .. }: SignedIn,
    PathId(id): PathId<ReservationId>,
    key: IdempotencyKey,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::DELETE, "/reservations/{id}", &[&id], &())?;
    let done = app.office.cancel_reservation(caller, id, None, key).await?;
    Ok(replayed(json(&TicketShape::from(done.value)), done.replay))
}
