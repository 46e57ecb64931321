//! Concerts and their seats.

use crate::{
    http::{
        Shared,
        auth::PublicRead,
        extract::{Cursor, Limit, PathId, QueryParams},
        limit::LIST_COST,
        problem::{HttpResult, Problem},
        reply::{List, json, next_page, page},
    },
    seatmap::{CompactMap, FullMap, MapForm},
    store::ConcertFilter,
};
use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use frontrow_domain::{
    concert::{Concert, ConcertStatus},
    id::ConcertId,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// Which concerts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ConcertQuery {
    /// Part of the title or of the artist's name.
    #[param(max_length = 100)]
    text: Option<String>,
    /// Part of the venue's name.
    #[param(max_length = 100)]
    venue: Option<String>,
    /// On or after this date at the venue.
    #[param(value_type = Option<String>, format = "date")]
    from: Option<jiff::civil::Date>,
    /// On or before this date at the venue.
    #[param(value_type = Option<String>, format = "date")]
    to: Option<jiff::civil::Date>,
    /// What is to become of it, as of now: one that has ended is `over`.
    #[param(inline)]
    status: Option<ConcertStatus>,
    /// How many at most.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>, format = "cursor")]
    cursor: Option<Cursor<ConcertId>>,
}

/// How to write the seat map.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct MapQuery {
    /// `full` (an object for each seat) or `compact` (blocks with a letter for each seat).
    #[param(inline)]
    form: Option<MapForm>,
}

/// The seat map, in the form that was asked for. It is written by the seat maps themselves; this is its shape.
#[derive(ToSchema)]
#[schema(as = SeatMap)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what the seat maps write")]
pub(super) enum SeatMapBody {
    /// An object for each seat.
    Full(FullMap<'static>),
    /// Blocks with a letter for each seat.
    Compact(CompactMap<'static>),
}

/// Concerts.
///
/// Those that match all of the filters, by number.
#[utoipa::path(get, path = "/api/v1/concerts", tag = "concerts", operation_id = "concerts", security(()),
    params(ConcertQuery), responses((status = 200, description = "A page", body = List<Concert>)))]
pub(super) async fn list(
    State(app): State<Shared>,
    _paid: PublicRead<LIST_COST>,
    QueryParams(query): QueryParams<ConcertQuery>,
) -> HttpResult<Response> {
    for (field, text) in [("text", &query.text), ("venue", &query.venue)] {
        if text.as_ref().is_some_and(|text| text.chars().count() > 100) {
            return Err(Problem::invalid_parameter(field, "must have at most 100 characters"));
        }
    }
    let page = page(query.limit, query.cursor);
    let ConcertQuery { text, venue, from, to, status, .. } = query;
    let now = app.office.clock.now();
    let concerts = app.office.store.concerts(&ConcertFilter { text, venue, from, to, status, now }, page).await?;
    let concerts = concerts.iter().map(|concert| concert.seen_at(now)).collect();
    Ok(json(&next_page(concerts, &page, |concert| concert.concert_id)))
}

/// A concert.
///
/// When and where it takes place, when its sale opens and closes, and what is to become of it.
#[utoipa::path(get, path = "/api/v1/concerts/{concert_id}", tag = "concerts", operation_id = "concert", security(()),
    params(("concert_id" = ConcertId, Path, description = "The concert")),
    responses((status = 200, description = "The concert", body = Concert)))]
pub(super) async fn one(
    State(app): State<Shared>,
    _paid: PublicRead,
    PathId(id): PathId<ConcertId>,
) -> HttpResult<Json<Concert>> {
    let concert = app.office.concert(id).await?;
    Ok(Json(concert.seen_at(app.office.clock.now())))
}

/// The seat map.
///
/// At most a tenth of a second old. Send `If-None-Match` to hear 304 while nothing changed. It is a picture, not a
/// promise: only the hold decides.
#[utoipa::path(get, path = "/api/v1/concerts/{concert_id}/seats", tag = "concerts", operation_id = "seats",
    security(()), params(("concert_id" = ConcertId, Path, description = "The concert"), MapQuery,
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the map that the client has")),
    responses((status = 200, description = "The map, in the form that was asked for",
            body = SeatMapBody),
        (status = 304, description = "Nothing changed")))]
pub(super) async fn seats(
    State(app): State<Shared>,
    _paid: PublicRead,
    PathId(id): PathId<ConcertId>,
    QueryParams(query): QueryParams<MapQuery>,
    headers: HeaderMap,
) -> HttpResult<Response> {
    let map = app.office.seat_map(id, query.form.unwrap_or(MapForm::Full)).await?;
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let unchanged =
        known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == map.etag));
    let (status, body) = if unchanged {
        (StatusCode::NOT_MODIFIED, Body::empty())
    } else {
        (StatusCode::OK, Body::from(map.body.clone()))
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if !unchanged {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(etag) = HeaderValue::from_str(&map.etag) {
        headers.insert(header::ETAG, etag);
    }
    Ok(response)
}
