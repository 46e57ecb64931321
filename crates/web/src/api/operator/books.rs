//! Operators' calls for users' money.

use crate::{
    api::points::{Balance, checked_reference},
    api::shapes::{AdjustedShape, DebtShape, PointEntryShape, UserShape},
    edge::{
        auth::{OperatorOnly, OperatorOrService, SaleReader},
        extract::{Cursor, JsonBody, Limit, OperatorJsonBody, PathId, QueryParams},
        idempotency::IdempotencyKey,
        problem::HttpResult,
        reply::{List, PageQuery, json, next_page, page, replayed},
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
    command::NewAdjustment,
    id::{DebtId, HistoryId, UserId},
    money::Money,
    points::{DebtStatus, Settlement},
    policy::STATUS_REASON_LEN_MAX,
    refusal::{EntityKind, Refusal},
    text::checked_text,
};
use frontrow_storage::DebtFilter;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A user with the balance.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserBooks {
    /// The user.
    user: UserShape,
    /// The balance.
    balance: Balance,
}

/// A correction of a balance.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdjustmentOrder {
    /// How much is given; negative to take. The rest that cannot be taken becomes a debt.
    #[schema(example = -50_000)]
    amount: Money,
    /// Why, for the user's statement and the audit log.
    #[schema(format = "text", min_length = 1, max_length = 500, example = "Chargeback of 2027-03-02")]
    reason: String,
    /// The reference of the booking: once for each user. 1 to 100 visible ASCII characters.
    #[schema(min_length = 1, max_length = 100, pattern = "^[!-~]+$", example = "chargeback-000017")]
    reference: String,
}

/// How a debt is settled.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettlementOrder {
    /// `collect` takes all of it from the balance; `waive` gives it up, or says that it was paid in another way.
    how: Settlement,
    /// The reason, for the audit log.
    #[schema(format = "text", min_length = 1, max_length = 500, example = "Paid at the counter")]
    reason: String,
}

/// The debts to find.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct DebtQuery {
    /// The user.
    user_id: Option<UserId>,
    /// The status to look for.
    #[param(inline)]
    status: Option<DebtStatus>,
    /// The most items on the page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>, format = "cursor")]
    cursor: Option<Cursor<DebtId>>,
}

/// A user.
///
/// With the balance.
#[utoipa::path(get, path = "/api/v1/operator/users/{user_id}", tag = "operator", operation_id = "user_books",
    params(("user_id" = UserId, Path, description = "The user")),
    responses((status = 200, description = "The user", body = UserBooks)))]
pub(in crate::api) async fn user(
    State(app): State<SharedState>,
    _reader: SaleReader,
    PathId(user_id): PathId<UserId>,
) -> HttpResult<Json<UserBooks>> {
    let user = app.office.user(user_id).await?.ok_or(Refusal::NotFound { what: EntityKind::User })?;
    let balance = Balance::of(user_id, app.office.balance(user_id).await?);
    Ok(Json(UserBooks { user: user.into(), balance }))
}

/// A user's point history.
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/operator/users/{user_id}/points/history", tag = "operator",
    operation_id = "user_history",
    params(("user_id" = UserId, Path, description = "The user"), PageQuery<HistoryId>),
    responses((status = 200, description = "A page", body = List<PointEntryShape>)))]
pub(in crate::api) async fn history(
    State(app): State<SharedState>,
    _reader: SaleReader,
    PathId(user_id): PathId<UserId>,
    QueryParams(query): QueryParams<PageQuery<HistoryId>>,
) -> HttpResult<Response> {
    app.office.user(user_id).await?.ok_or(Refusal::NotFound { what: EntityKind::User })?;
    let page = page(query.limit, query.cursor);
    let rows = app.office.history(user_id, page).await?;
    let rows = rows.into_iter().map(PointEntryShape::from).collect();
    Ok(json(&next_page(rows, &page, |row| row.history_id)))
}

/// Corrects a balance.
///
/// With a reason and a reference. A balance is never below zero: what cannot be taken becomes a debt, which the answer
/// shows. Operators and the service key may.
#[utoipa::path(post, path = "/api/v1/operator/users/{user_id}/adjustments", tag = "operator", operation_id = "adjust",
    security(("session" = []), ("service_key" = [])),
    params(("user_id" = UserId, Path, description = "The user")),
    request_body = AdjustmentOrder,
    responses((status = 201, description = "What was booked, and what is owed", body = AdjustedShape)))]
pub(in crate::api) async fn adjust(
    State(app): State<SharedState>,
    OperatorOrService(caller): OperatorOrService,
    PathId(user_id): PathId<UserId>,
    key: IdempotencyKey,
    JsonBody(body): OperatorJsonBody<AdjustmentOrder>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/users/{id}/adjustments", &[&user_id], &body)?;
    let reason = checked_text("reason", &body.reason, STATUS_REASON_LEN_MAX)?;
    let reference = checked_reference(body.reference)?;
    let adjustment = NewAdjustment { user_id, amount: body.amount, reason, reference };
    let done = app.office.adjust(caller, adjustment, key).await?;
    Ok(replayed((StatusCode::CREATED, json(&AdjustedShape::from(done.value))), done.replay))
}

/// Finds debts.
///
/// Of all users, newest first: those that match all of the filters.
#[utoipa::path(get, path = "/api/v1/operator/debts", tag = "operator", operation_id = "find_debts",
    params(DebtQuery), responses((status = 200, description = "A page", body = List<DebtShape>)))]
pub(in crate::api) async fn debts(
    State(app): State<SharedState>,
    _reader: SaleReader,
    QueryParams(query): QueryParams<DebtQuery>,
) -> HttpResult<Response> {
    let page = page(query.limit, query.cursor);
    let rows = app.office.debts(&DebtFilter { user: query.user_id, status: query.status }, page).await?;
    let rows = rows.into_iter().map(DebtShape::from).collect();
    Ok(json(&next_page(rows, &page, |row| row.debt_id)))
}

/// Settles a debt.
///
/// Once: it is collected as a whole or waived.
#[utoipa::path(post, path = "/api/v1/operator/debts/{debt_id}/settle", tag = "operator", operation_id = "settle_debt",
    params(("debt_id" = DebtId, Path, description = "The debt")),
    request_body = SettlementOrder, responses((status = 200, description = "The debt", body = DebtShape)))]
pub(in crate::api) async fn settle(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(debt_id): PathId<DebtId>,
    key: IdempotencyKey,
    JsonBody(body): OperatorJsonBody<SettlementOrder>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/debts/{id}/settle", &[&debt_id], &body)?;
    let reason = checked_text("reason", &body.reason, STATUS_REASON_LEN_MAX)?;
    let done = app.office.settle_debt(caller, debt_id, (body.how, reason), key).await?;
    Ok(replayed(json(&DebtShape::from(done.value)), done.replay))
}
