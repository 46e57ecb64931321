//! Operators' calls to find and undo what buyers did, and the audit log.

use crate::{
    api::shapes::{AuditEntryShape, UserShape},
    api::tickets::{ReceiptShape, TicketShape},
    edge::{
        auth::{OperatorOnly, SaleReader},
        extract::{Cursor, Limit, OptionalJsonBody, PathId, QueryParams},
        idempotency::IdempotencyKey,
        problem::{HttpResult, Problem},
        reply::{List, PageQuery, json, next_page, page, replayed},
        state::SharedState,
    },
};
use axum::{extract::State, http::Method, response::Response};
use frontrow_domain::{
    id::{AuditId, ConcertId, PaymentId, ReservationId, UserId},
    policy::STATUS_REASON_LEN_MAX,
    sale::{PaymentStatus, ReservationStatus},
    text::checked_text,
};
use frontrow_storage::{PaymentFilter, ReservationFilter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The users to find.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct UserQuery {
    /// Part of the name or of the e-mail address.
    #[param(max_length = 100)]
    text: Option<String>,
    /// The user with this id.
    user_id: Option<UserId>,
    /// The most items on the page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>, format = "cursor-of-users")]
    cursor: Option<Cursor<UserId>>,
}

/// The reservations to find.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct ReservationQuery {
    /// The user.
    user_id: Option<UserId>,
    /// The concert.
    concert_id: Option<ConcertId>,
    /// The status to look for.
    #[param(inline)]
    status: Option<ReservationStatus>,
    /// The most items on the page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>, format = "cursor")]
    cursor: Option<Cursor<ReservationId>>,
}

/// The payments to find.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct PaymentQuery {
    /// The user.
    user_id: Option<UserId>,
    /// For a reservation in which concert.
    concert_id: Option<ConcertId>,
    /// The reservation.
    reservation_id: Option<ReservationId>,
    /// The status to look for.
    #[param(inline)]
    status: Option<PaymentStatus>,
    /// The most items on the page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>, format = "cursor")]
    cursor: Option<Cursor<PaymentId>>,
}

/// Finds users.
///
/// Those whose name or e-mail address contains the text, or the one with the id.
#[utoipa::path(get, path = "/api/v1/operator/users", tag = "operator", operation_id = "find_users",
    params(UserQuery), responses((status = 200, description = "A page", body = List<UserShape>)))]
pub(in crate::api) async fn users(
    State(app): State<SharedState>,
    _reader: SaleReader,
    QueryParams(query): QueryParams<UserQuery>,
) -> HttpResult<Response> {
    if query.text.as_ref().is_some_and(|text| text.chars().count() > 100) {
        return Err(Problem::invalid_parameter("text", "must have at most 100 characters"));
    }
    let page = page(query.limit, query.cursor);
    let rows = match query.user_id {
        Some(_) if query.text.is_some() => {
            return Err(Problem::invalid_parameter("user_id", "send either text or user_id"));
        }
        Some(id) => app.office.user(id).await?.into_iter().collect(),
        None => app.office.find_users(query.text.as_deref(), page).await?,
    };
    let rows = rows.into_iter().map(UserShape::from).collect();
    Ok(json(&next_page(rows, &page, |row| row.user_id)))
}

/// Finds reservations.
///
/// Of all users, newest first: those that match all of the filters.
#[utoipa::path(get, path = "/api/v1/operator/reservations", tag = "operator", operation_id = "find_reservations",
    params(ReservationQuery), responses((status = 200, description = "A page", body = List<TicketShape>)))]
pub(in crate::api) async fn reservations(
    State(app): State<SharedState>,
    _reader: SaleReader,
    QueryParams(query): QueryParams<ReservationQuery>,
) -> HttpResult<Response> {
    let page = page(query.limit, query.cursor);
    let filter = ReservationFilter { user: query.user_id, concert: query.concert_id, status: query.status };
    let rows = app.office.reservations(&filter, page).await?.into_iter().map(TicketShape::from).collect();
    Ok(json(&next_page(rows, &page, TicketShape::id)))
}

/// Finds payments.
///
/// Of all users, newest first: those that match all of the filters.
#[utoipa::path(get, path = "/api/v1/operator/payments", tag = "operator", operation_id = "find_payments",
    params(PaymentQuery), responses((status = 200, description = "A page", body = List<ReceiptShape>)))]
pub(in crate::api) async fn payments(
    State(app): State<SharedState>,
    _reader: SaleReader,
    QueryParams(query): QueryParams<PaymentQuery>,
) -> HttpResult<Response> {
    let page = page(query.limit, query.cursor);
    let filter = PaymentFilter {
        user: query.user_id,
        concert: query.concert_id,
        reservation: query.reservation_id,
        status: query.status,
    };
    let rows = app.office.payments(&filter, page).await?.into_iter().map(ReceiptShape::from).collect();
    Ok(json(&next_page(rows, &page, ReceiptShape::id)))
}

/// Why an operator acts against a buyer.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActReason {
    /// For the audit log.
    #[schema(format = "text", min_length = 1, max_length = 500, example = "The buyer is ill.")]
    reason: String,
}

/// The reason in a body, if there is one.
///
/// # Errors
/// 422: it is too long, or has characters that are refused.
pub(in crate::api) fn reason_in(body: Option<ActReason>) -> HttpResult<Option<String>> {
    Ok(body.map(|body| checked_text("reason", &body.reason, STATUS_REASON_LEN_MAX)).transpose()?)
}

/// Cancels a reservation for its user.
///
/// One that is pending: the seat is free at once, for its user too. For another user's reservation the `reason` is needed.
#[utoipa::path(delete, path = "/api/v1/operator/reservations/{reservation_id}", tag = "operator",
    operation_id = "cancel_for_user",
    params(("reservation_id" = ReservationId, Path, description = "The reservation")), request_body = Option<ActReason>,
    responses((status = 200, description = "The cancelled reservation", body = TicketShape)))]
pub(in crate::api) async fn cancel(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(id): PathId<ReservationId>,
    key: IdempotencyKey,
    OptionalJsonBody(body): OptionalJsonBody<ActReason>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::DELETE, "/operator/reservations/{id}", &[&id], &body)?;
    let done = app.office.cancel_reservation(caller, id, reason_in(body)?, key).await?;
    Ok(replayed(json(&TicketShape::from(done.value)), done.replay))
}

/// Gives a payment back to its user.
///
/// At any time, also when the user could not any more. For another user's payment the `reason` is needed.
#[utoipa::path(post, path = "/api/v1/operator/payments/{payment_id}/refund", tag = "operator",
    operation_id = "refund_for_user",
    params(("payment_id" = PaymentId, Path, description = "The payment")), request_body = Option<ActReason>,
    responses((status = 200, description = "The refunded payment", body = ReceiptShape)))]
pub(in crate::api) async fn refund(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(id): PathId<PaymentId>,
    key: IdempotencyKey,
    OptionalJsonBody(body): OptionalJsonBody<ActReason>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/payments/{id}/refund", &[&id], &body)?;
    let reason = reason_in(body)?;
    let done = app.office.refund(caller, id, reason, key).await?;
    Ok(replayed(json(&ReceiptShape::from(done.value)), done.replay))
}

/// The audit log.
///
/// The actions of operators, of the service key and of the box office itself, and erased accounts, newest first. The
/// log cannot be changed.
#[utoipa::path(get, path = "/api/v1/operator/audit", tag = "operator", operation_id = "audit",
    params(PageQuery<AuditId>), responses((status = 200, description = "A page", body = List<AuditEntryShape>)))]
pub(in crate::api) async fn audit(
    State(app): State<SharedState>,
    _reader: SaleReader,
    QueryParams(query): QueryParams<PageQuery<AuditId>>,
) -> HttpResult<Response> {
    let page = page(query.limit, query.cursor);
    let rows = app.office.audit(page).await?;
    let rows = rows.into_iter().map(AuditEntryShape::from).collect();
    Ok(json(&next_page(rows, &page, |row| row.audit_id)))
}
