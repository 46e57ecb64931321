//! Points: balance, history, top-ups.

use super::shapes::PointEntryShape;
use crate::edge::{
    auth::{SignedIn, UserOrService},
    extract::{JsonBody, QueryParams},
    idempotency::IdempotencyKey,
    problem::{HttpResult, Problem},
    reply::{List, PageQuery, json, next_page, page, replayed},
    state::SharedState,
};
use axum::{
    Json,
    extract::State,
    http::{Method, StatusCode},
    response::Response,
};
use frontrow_domain::{
    id::{HistoryId, UserId},
    money::Money,
    points::Point,
    time::Time,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A balance.
#[expect(clippy::struct_field_names, reason = "the field is named as the API's readers know it")]
#[derive(Debug, Serialize, ToSchema)]
pub struct Balance {
    /// The user.
    user_id: UserId,
    /// The balance: the sum of the history.
    balance: Money,
    /// The currency, by its ISO 4217 code. Amounts are whole numbers of its minor unit.
    #[schema(example = "KRW")]
    currency: &'static str,
    /// When it last changed; none before the first movement.
    last_updated: Option<Time>,
}

impl Balance {
    /// The balance of an account, which there may not be yet.
    pub(super) fn of(user_id: UserId, point: Option<Point>) -> Self {
        Self {
            user_id,
            balance: point.map_or(Money::ZERO, |point| point.amount),
            currency: "KRW",
            last_updated: point.map(|point| point.last_updated),
        }
    }
}

/// A reference of 1 to 100 visible ASCII characters.
pub(super) fn checked_reference(reference: String) -> HttpResult<String> {
    let is_well_formed = (1..=100).contains(&reference.len()) && reference.bytes().all(|byte| byte.is_ascii_graphic());
    if is_well_formed {
        return Ok(reference);
    }
    Err(Problem::invalid_field("reference", "must have 1 to 100 visible ASCII characters"))
}

/// A top-up.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopUpRequest {
    /// The amount.
    #[schema(value_type = i64, minimum = 1, maximum = 1_000_000_000_000_i64, example = 50_000)]
    amount: Money,
    /// The user to credit; the caller if it is left out.
    #[serde(default)]
    user_id: Option<UserId>,
    /// The payment provider's reference: unique for ever, 1 to 100 characters. An operator or the service key must send
    /// it; a user who tops up their own account must leave it out.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 100, pattern = "^[!-~]+$", example = "pg-20270301-000017")]
    reference: Option<String>,
}

/// The caller's balance.
///
/// The sum of the history; never negative.
#[utoipa::path(get, path = "/api/v1/points", tag = "points", operation_id = "balance",
    responses((status = 200, description = "The balance", body = Balance)))]
pub(super) async fn balance(
    State(app): State<SharedState>,
    SignedIn { user_id, .. }: SignedIn,
) -> HttpResult<Json<Balance>> {
    Ok(Json(Balance::of(user_id, app.office.balance(user_id).await?)))
}

/// The caller's history.
///
/// The movements of points, newest first. An entry never changes.
#[utoipa::path(get, path = "/api/v1/points/history", tag = "points", operation_id = "history",
    params(PageQuery<HistoryId>), responses((status = 200, description = "A page", body = List<PointEntryShape>)))]
pub(super) async fn history(
    State(app): State<SharedState>,
    SignedIn { user_id, .. }: SignedIn,
    QueryParams(query): QueryParams<PageQuery<HistoryId>>,
) -> HttpResult<Response> {
    let page = page(query.limit, query.cursor);
    let rows = app.office.history(user_id, page).await?;
    let rows = rows.into_iter().map(PointEntryShape::from).collect();
    Ok(json(&next_page(rows, &page, |row| row.history_id)))
}

/// Tops up points.
///
/// If the box office allows it (`--top-up-policy open`), users top up their own account; else an operator or the
/// service key tops up for them, after the payment provider said that the money came.
#[utoipa::path(post, path = "/api/v1/points/top-ups", tag = "points", operation_id = "top_up",
    security(("session" = []), ("service_key" = [])), request_body = TopUpRequest, responses((status = 201, description = "The history's new entry", body = PointEntryShape)))]
pub(super) async fn top_up(
    State(app): State<SharedState>,
    UserOrService(caller): UserOrService,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<TopUpRequest>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/points/top-ups", &[], &body)?;
    let Some(user_id) = body.user_id.or(caller.user_id()) else {
        return Err(Problem::invalid_field("user_id", "say whose account is topped up"));
    };
    let reference = body.reference.map(checked_reference).transpose()?;
    let done = app.office.top_up(caller, user_id, body.amount, reference, key).await?;
    Ok(replayed((StatusCode::CREATED, json(&PointEntryShape::from(done.value))), done.replay))
}
