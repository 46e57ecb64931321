//! Operators' calls for concerts.

use super::checked_reason;
use crate::api::shapes::ConcertShape;
use crate::edge::{
    auth::{OperatorOnly, SaleReader},
    extract::{JsonBody, OperatorJsonBody, PathId},
    idempotency::IdempotencyKey,
    precondition::{IfMatch, tagged},
    problem::HttpResult,
    reply::{json, replayed},
    state::SharedState,
};
use axum::{
    extract::State,
    http::{Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use frontrow_domain::{
    command::{ConcertChange, OwnRoom},
    id::ConcertId,
    money::Money,
    policy::STATUS_REASON_LEN_MAX,
    sale::{ConcertStatus, Fold},
    text::checked_text,
    time::Time,
};
use frontrow_service::{
    bounded::given,
    drafts::{ConcertDraft, DetailsDraft, NAME_LEN_MAX, checked_zone},
    local, operators,
};
use frontrow_storage::SeatCounts;
use jiff::civil;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The changes of a concert; omitted fields stay.
#[expect(clippy::option_option, reason = "null takes something away, leaving it out keeps it")]
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConcertPatch {
    /// The concert's title.
    #[serde(default)]
    #[schema(format = "text", min_length = 1, max_length = 200, example = "Midnight Tide: The First Night")]
    title: Option<String>,
    /// The artist.
    #[serde(default)]
    #[schema(format = "text", min_length = 1, max_length = 200, example = "Midnight Tide")]
    artist: Option<String>,
    /// The venue.
    #[serde(default)]
    #[schema(format = "text", min_length = 1, max_length = 200, example = "Hangang Hall, Seoul")]
    venue: Option<String>,
    /// The venue's time zone, by its IANA name.
    #[serde(default)]
    #[schema(format = "time-zone", max_length = 64, example = "Asia/Seoul")]
    time_zone: Option<String>,
    /// The date at the venue.
    #[serde(default, deserialize_with = "local::de_date_option")]
    #[schema(value_type = Option<String>, format = "date", example = "2027-03-01")]
    concert_date: Option<civil::Date>,
    /// When it starts, at the venue. The sale's closing time moves with it unless it was set apart.
    #[serde(default, deserialize_with = "local::de_time_option")]
    #[schema(value_type = Option<String>, format = "time-local", example = "20:00:00")]
    start_time: Option<civil::Time>,
    /// When it ends, at the venue.
    #[serde(default, deserialize_with = "local::de_time_option")]
    #[schema(value_type = Option<String>, format = "time-local", example = "22:30:00")]
    end_time: Option<civil::Time>,
    /// Only for a start or an end that the venue's clock shows twice: 0 is the first of the two, 1 the second. Send it
    /// with every change of such hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i32>, minimum = 0, maximum = 1, example = 0)]
    fold: Option<Fold>,
    /// The price of a new seat without one of its own. Existing seats keep their price.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 1_000_000_000_000_i64, example = 120_000)]
    base_price: Option<Money>,
    /// When the sale opens.
    #[serde(default)]
    opens_at: Option<Time>,
    /// When the sale closes, set apart from the start; null lets it close with the start again.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Time>)]
    closes_at: Option<Option<Time>>,
    /// `closed` and `postponed` stop the sale, `scheduled` lets it go on if the concert has seats and an opening. To
    /// cancel is a call of its own.
    #[serde(default)]
    status: Option<ConcertStatus>,
    /// Why, for the buyers, 1 to 500 characters; null takes it away, as a new status does.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "text", min_length = 1, max_length = 500, example = "The singer is ill.")]
    status_reason: Option<Option<String>>,
    /// Gives a concert of the house room a room of its own with this many active at once, before its sale opens. Those
    /// who wait in the house room go on waiting there for its other concerts.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000, example = 100)]
    own_room_max_active: Option<i64>,
    /// What buyers read of it: those that are left out stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    details: Option<DetailsDraft>,
    /// Why, for the audit log alone, 1 to 500 characters. A change that stops the sale, closes it earlier, or moves a concert
    /// whose sale has been open has it, or a `status_reason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "text", min_length = 1, max_length = 500, example = "The hall asks for it.")]
    reason: Option<String>,
}

/// Why a concert does not take place.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancelling {
    /// For the buyers.
    #[schema(format = "text", min_length = 1, max_length = 500, example = "The singer is ill.")]
    reason: String,
}

/// A concert with what has become of its seats.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConcertBooks)]
pub struct ConcertBooksShape {
    /// The concert.
    concert: ConcertShape,
    /// Its seats. Of a cancelled concert those that are sold are the payments that have not been given back.
    seats: SeatCounts,
}

impl From<operators::ConcertBooks> for ConcertBooksShape {
    fn from(operators::ConcertBooks { concert, seats }: operators::ConcertBooks) -> Self {
        Self { concert: concert.into(), seats }
    }
}

/// Creates a concert.
///
/// With `own_room_max_active` it has a waiting room of its own, else its buyers use the house room. Seats are added by
/// a call of their own.
#[utoipa::path(post, path = "/api/v1/operator/concerts", tag = "operator", operation_id = "create_concert",
    request_body = ConcertDraft, responses((status = 201, description = "The concert", body = ConcertShape)))]
pub(in crate::api) async fn create_concert(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    key: IdempotencyKey,
    JsonBody(body): OperatorJsonBody<ConcertDraft>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/concerts", &[], &body)?;
    let done = app.office.create_concert(caller, body.check()?, key).await?;
    Ok(replayed((StatusCode::CREATED, json(&ConcertShape::from(done.value))), done.replay))
}

/// Changes a concert.
///
/// Omitted fields stay. `status` closes or postpones the sale and lets it go on. With `If-Match`, only the version that
/// it names is changed.
#[utoipa::path(patch, path = "/api/v1/operator/concerts/{concert_id}", tag = "operator", operation_id = "update_concert",
    params(("concert_id" = ConcertId, Path, description = "The concert"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the version to change; `*` or none for any")),
    request_body = ConcertPatch, responses((status = 200, description = "The concert", body = ConcertShape)))]
pub(in crate::api) async fn update_concert(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(concert_id): PathId<ConcertId>,
    key: IdempotencyKey,
    basis: IfMatch,
    JsonBody(body): OperatorJsonBody<ConcertPatch>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::PATCH, "/operator/concerts/{id}", &[&concert_id], &basis.with(&body))?;
    let text =
        |field: &str, text: Option<String>| text.map(|text| checked_text(field, &text, NAME_LEN_MAX)).transpose();
    let reason = checked_reason(body.reason.as_deref())?;
    let status_reason = match body.status_reason {
        Some(Some(reason)) => Some(Some(checked_text("status_reason", &reason, STATUS_REASON_LEN_MAX)?)),
        other => other,
    };
    let change = ConcertChange {
        title: text("title", body.title)?,
        artist: text("artist", body.artist)?,
        venue: text("venue", body.venue)?,
        time_zone: body.time_zone.map(|zone| checked_zone(&zone)).transpose()?,
        concert_date: body.concert_date,
        start_time: body.start_time,
        end_time: body.end_time,
        fold: body.fold,
        base_price: body.base_price,
        opens_at: body.opens_at,
        closes_at: body.closes_at,
        status: body.status,
        status_reason,
        own_room: body.own_room_max_active.map(|max_active| OwnRoom {
            max_active,
            admit_per_minute: None,
            opening: None,
        }),
        details: body.details.map(DetailsDraft::check).transpose()?.unwrap_or_default(),
    };
    let done = app.office.update_concert(caller, concert_id, change, basis.0, reason, key).await?;
    let version = done.value.updated_at;
    Ok(replayed(tagged(json(&ConcertShape::from(done.value)), version), done.replay))
}

/// A concert's books.
///
/// The concert, and how many of its seats are in each state. `ETag` names the version of the concert, for `If-Match`.
#[utoipa::path(get, path = "/api/v1/operator/concerts/{concert_id}", tag = "operator", operation_id = "concert_books",
    params(("concert_id" = ConcertId, Path, description = "The concert")),
    responses((status = 200, description = "The concert and its seats", body = ConcertBooksShape)))]
pub(in crate::api) async fn concert(
    State(app): State<SharedState>,
    _reader: SaleReader,
    PathId(concert_id): PathId<ConcertId>,
) -> HttpResult<Response> {
    let books = app.office.concert_books(concert_id).await?;
    let version = books.concert.updated_at;
    Ok(tagged(json(&ConcertBooksShape::from(books)), version))
}

/// Cancels a concert.
///
/// For good: nothing of it is held or paid any more, every hold ends, every seat goes off sale, and each buyer may
/// refund at once. Cancelling again changes nothing. With `If-Match`, only the version that it names is cancelled.
#[utoipa::path(post, path = "/api/v1/operator/concerts/{concert_id}/cancel", tag = "operator",
    operation_id = "cancel_concert", params(("concert_id" = ConcertId, Path, description = "The concert"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the version to cancel; `*` or none for any")),
    request_body = Cancelling, responses((status = 200, description = "The concert", body = ConcertShape)))]
pub(in crate::api) async fn cancel_concert(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(concert_id): PathId<ConcertId>,
    key: IdempotencyKey,
    basis: IfMatch,
    JsonBody(body): JsonBody<Cancelling>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/concerts/{id}/cancel", &[&concert_id], &basis.with(&body))?;
    let reason = checked_text("reason", &body.reason, STATUS_REASON_LEN_MAX)?;
    let done = app.office.cancel_concert(caller, concert_id, reason, basis.0, key).await?;
    let version = done.value.updated_at;
    Ok(replayed(tagged(json(&ConcertShape::from(done.value)), version), done.replay))
}

/// Gives every payment of a cancelled concert back.
///
/// Part by part, in the background and over restarts, until none is left. Asking again changes nothing and says how far
/// it has come. With `If-Match`, only the version that it names is refunded.
#[utoipa::path(post, path = "/api/v1/operator/concerts/{concert_id}/refund-all", tag = "operator",
    operation_id = "refund_concert", params(("concert_id" = ConcertId, Path, description = "The concert"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` of the version to refund; `*` or none for any")),
    responses((status = 202, description = "The concert and its seats", body = ConcertBooksShape)))]
pub(in crate::api) async fn refund_concert(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(concert_id): PathId<ConcertId>,
    key: IdempotencyKey,
    basis: IfMatch,
) -> HttpResult<Response> {
    let key =
        key.bind(caller, &Method::POST, "/operator/concerts/{id}/refund-all", &[&concert_id], &basis.with(&()))?;
    let done = app.office.refund_concert(caller, concert_id, basis.0, key).await?;
    let version = done.value.concert.updated_at;
    let answer = (StatusCode::ACCEPTED, json(&ConcertBooksShape::from(done.value))).into_response();
    Ok(replayed(tagged(answer, version), done.replay))
}
