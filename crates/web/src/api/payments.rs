//! Payments: pay, look up, refund.

use crate::{
    api::tickets::ReceiptShape,
    edge::{
        auth::{QueueToken, SignedIn},
        extract::{JsonBody, PathId, QueryParams},
        idempotency::IdempotencyKey,
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
    id::{PaymentId, ReservationId},
    policy::SEATS_PER_COMMAND_MAX,
};
use frontrow_service::bounded::optional_list;
use frontrow_storage::PaymentFilter;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The reservations to pay: one reservation, or several of one concert, all or nothing.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentRequest {
    /// One reservation. The answer is its payment.
    #[serde(default)]
    reservation_id: Option<ReservationId>,
    /// Several reservations. The answer is a list of payments.
    #[serde(default, deserialize_with = "optional_list::<SEATS_PER_COMMAND_MAX, _, _>")]
    #[schema(min_items = 1, max_items = 20)]
    reservation_ids: Option<Vec<ReservationId>>,
}

/// Pays.
///
/// Out of the caller's points, in one transaction with the sale of the seats and the end of the token: all of it
/// happens, or nothing. One reservation is answered with its payment, a list with a list.
#[utoipa::path(post, path = "/api/v1/payments", tag = "payments", operation_id = "pay",
    params(("Queue-Token" = String, Header, description = "The active token")),
    request_body = PaymentRequest,
    responses((status = 201, description = "The payment; for `reservation_ids` a list", body = ReceiptShape)))]
pub(super) async fn pay(
    State(app): State<SharedState>,
    SignedIn { caller, .. }: SignedIn,
    QueueToken(token): QueueToken,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<PaymentRequest>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/payments", &[], &body)?;
    let (reservation_ids, several) = match (body.reservation_id, body.reservation_ids) {
        (Some(reservation_id), None) => (vec![reservation_id], false),
        (None, Some(reservation_ids)) => (reservation_ids, true),
        _ => return Err(Problem::invalid_field("reservation_id", "send either reservation_id or reservation_ids")),
    };
    let done = app.office.pay(caller, token.id, reservation_ids, key).await?;
    let paid = done.value.into_iter().map(ReceiptShape::from).collect();
    let body = one_or_list(paid, several.into());
    Ok(replayed((StatusCode::CREATED, body), done.replay))
}

/// The caller's payments.
///
/// Newest first, in whatever state they are.
#[utoipa::path(get, path = "/api/v1/payments", tag = "payments", operation_id = "payments",
    params(PageQuery<PaymentId>), responses((status = 200, description = "A page", body = List<ReceiptShape>)))]
pub(super) async fn mine(
    State(app): State<SharedState>,
    SignedIn { user_id, .. }: SignedIn,
    QueryParams(query): QueryParams<PageQuery<PaymentId>>,
) -> HttpResult<Response> {
    let page = page(query.limit, query.cursor);
    let filter = PaymentFilter { user: Some(user_id), ..PaymentFilter::default() };
    let rows = app.office.payments(&filter, page).await?.into_iter().map(ReceiptShape::from).collect();
    Ok(json(&next_page(rows, &page, ReceiptShape::id)))
}

/// A payment.
///
/// One of the caller's. Another user's is answered 404, as if it did not exist.
#[utoipa::path(get, path = "/api/v1/payments/{payment_id}", tag = "payments", operation_id = "payment",
    params(("payment_id" = PaymentId, Path, description = "The payment")),
    responses((status = 200, description = "The payment", body = ReceiptShape)))]
pub(super) async fn one(
    State(app): State<SharedState>,
    SignedIn { caller, .. }: SignedIn,
    PathId(id): PathId<PaymentId>,
) -> HttpResult<Json<ReceiptShape>> {
    Ok(Json(app.office.payment(caller, id).await?.into()))
}

/// Gives a payment back.
///
/// The points return; the seat is available again while the sale is open, and blocked when it is over. Final.
#[utoipa::path(post, path = "/api/v1/payments/{payment_id}/refund", tag = "payments", operation_id = "refund",
    params(("payment_id" = PaymentId, Path, description = "The payment")),
    responses((status = 200, description = "The refunded payment", body = ReceiptShape)))]
pub(super) async fn refund(
    State(app): State<SharedState>,
    SignedIn { caller, .. }: SignedIn,
    PathId(id): PathId<PaymentId>,
    key: IdempotencyKey,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/payments/{id}/refund", &[&id], &())?;
    let done = app.office.refund(caller, id, None, key).await?;
    Ok(replayed(json(&ReceiptShape::from(done.value)), done.replay))
}
