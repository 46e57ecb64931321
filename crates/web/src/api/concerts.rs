//! Concerts and their seats.

use super::shapes::{ConcertShape, DetailsShape, LaneShape, PosterShape};
use crate::edge::{
    auth::{ClientAddress, PublicRead},
    events::{self, EventSource, NextEvent},
    extract::{Cursor, Limit, PathId, PathKey as _, QueryParams},
    kept::{self, Form, Fresh, PACKED_LEN_MIN},
    limit::LIST_COST,
    problem::{HttpResult, Problem},
    reply::{List, next_page, page},
    state::SharedState,
};
use axum::{Json, extract::State, http::HeaderMap, response::Response};
use frontrow_domain::{
    id::{ConcertId, SeatId},
    money::Money,
    policy::SEATS_PER_COMMAND_MAX,
    sale::{ConcertStatus, SeatStatus},
};
use frontrow_service::{
    local,
    sale::{CompactMap, ConcertOnSale, FullMap, HallNews, MapForm, PlacedSeat, SaleStateName, SeatOffer, SeatStream},
};
use frontrow_storage::{ConcertFilter, ConcertPlace};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The concerts to find.
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
    #[serde(default, deserialize_with = "local::de_date_option")]
    #[param(value_type = Option<String>, format = "date")]
    from: Option<jiff::civil::Date>,
    /// On or before this date at the venue.
    #[serde(default, deserialize_with = "local::de_date_option")]
    #[param(value_type = Option<String>, format = "date")]
    to: Option<jiff::civil::Date>,
    /// Its status now: one that has ended is `over`.
    #[param(inline)]
    status: Option<ConcertStatus>,
    /// The most items on the page.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>, format = "cursor-of-concerts")]
    cursor: Option<Cursor<ConcertPlace>>,
}

/// A concert, and what is left of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListedConcert {
    /// The concert.
    #[serde(flatten)]
    concert: ConcertShape,
    /// How many seats are free to hold. It may be a little old, and older while the database cannot count.
    #[schema(minimum = 0, example = 4_000)]
    seats_left: i64,
    /// Whether it has seats and none of them is free or held.
    #[schema(example = false)]
    sold_out: bool,
    /// What a buyer can do with it now, as far as its status, the time and the seats say. It is as old as `seats_left`.
    sale_state: SaleStateName,
}

impl From<ConcertOnSale> for ListedConcert {
    fn from(ConcertOnSale { concert, seats_left, sold_out, state, .. }: ConcertOnSale) -> Self {
        Self { concert: concert.into(), seats_left, sold_out, sale_state: state.name() }
    }
}

/// A concert with all that buyers read of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConcertInFull {
    /// The concert.
    #[serde(flatten)]
    listed: ListedConcert,
    /// What buyers read of it.
    details: DetailsShape,
    /// Its poster.
    poster: Option<PosterShape>,
    /// The lanes beside the line that leads to its seats, shown to every visitor; none if there are none.
    lanes: Vec<LaneShape>,
}

/// The form of the seat map.
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
/// Those that match all of the filters, in the order in which they start.
#[utoipa::path(get, path = "/api/v1/concerts", tag = "concerts", operation_id = "concerts", security(()),
    params(ConcertQuery, ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the page that the client has")),
    responses((status = 200, description = "A page", body = List<ListedConcert>), (status = 304, description = "Nothing changed")))]
pub(super) async fn list(
    State(app): State<SharedState>,
    _paid: PublicRead<LIST_COST>,
    QueryParams(query): QueryParams<ConcertQuery>,
    headers: HeaderMap,
) -> HttpResult<Response> {
    for (field, text) in [("text", &query.text), ("venue", &query.venue)] {
        if text.as_ref().is_some_and(|text| text.chars().count() > 100) {
            return Err(Problem::invalid_parameter(field, "must have at most 100 characters"));
        }
    }
    let page = page(query.limit, query.cursor);
    let ConcertQuery { text, venue, from, to, status, .. } = query;
    let filter = ConcertFilter { text, venue, from, to, status, ..ConcertFilter::default() };
    let concerts = app.office.concerts(filter, page).await?.into_iter().map(ListedConcert::from).collect();
    for_a_second(&headers, &next_page(concerts, &page, |listed: &ListedConcert| listed.concert.place()))
}

/// An answer that is the same for all clients, and that caches may keep for a second.
fn for_a_second(request: &HeaderMap, body: &impl Serialize) -> HttpResult<Response> {
    let body = serde_json::to_vec(body).map_err(Problem::internal)?;
    let etag = kept::tag_of(&body);
    if kept::has(request, &etag) {
        return Ok(kept::unchanged(Fresh::ForASecond, &etag));
    }
    Ok(kept::answer("application/json", Fresh::ForASecond, &etag, kept::form_of(request, body)))
}

/// A concert.
///
/// Its time and venue, the opening and closing of its sale, its status, and what buyers read of it.
#[utoipa::path(get, path = "/api/v1/concerts/{concert_id}", tag = "concerts", operation_id = "concert", security(()),
    params(("concert_id" = ConcertId, Path, description = "The concert"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the concert that the client has")),
    responses((status = 200, description = "The concert", body = ConcertInFull), (status = 304, description = "Nothing changed")))]
pub(super) async fn one(
    State(app): State<SharedState>,
    _paid: PublicRead,
    PathId(id): PathId<ConcertId>,
    headers: HeaderMap,
) -> HttpResult<Response> {
    let on_sale = app.office.concert_on_sale(id).await?;
    let lanes = app.office.lanes_beside(on_sale.concert.room_id).into_iter().map(LaneShape::from).collect();
    let listed = ListedConcert::from(on_sale);
    let profile = app.office.profile(id).await?;
    let poster = profile.poster.map(|mark| PosterShape::of(id, mark));
    for_a_second(&headers, &ConcertInFull { listed, details: profile.details.clone().into(), poster, lanes })
}

/// The seat map.
///
/// At most a tenth of a second old. Send `If-None-Match` to get 304 while nothing changed. It is a picture, not a
/// promise: only the hold decides.
#[utoipa::path(get, path = "/api/v1/concerts/{concert_id}/seats", tag = "concerts", operation_id = "seats",
    security(()), params(("concert_id" = ConcertId, Path, description = "The concert"), MapQuery,
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the map that the client has")),
    responses((status = 200, description = "The map, in the form that was asked for",
            body = SeatMapBody),
        (status = 304, description = "Nothing changed")))]
pub(super) async fn seats(
    State(app): State<SharedState>,
    _paid: PublicRead,
    PathId(id): PathId<ConcertId>,
    QueryParams(query): QueryParams<MapQuery>,
    headers: HeaderMap,
) -> HttpResult<Response> {
    let map = app.office.seat_map(id, query.form.unwrap_or(MapForm::Full)).await?;
    if kept::has(&headers, &map.etag) {
        return Ok(kept::unchanged(Fresh::Never, &map.etag));
    }
    let form = if map.body.len() >= PACKED_LEN_MIN && kept::takes_packed(&headers) {
        Form::Packed(map.packed().await.map_err(Problem::internal)?)
    } else {
        Form::Plain(map.body.clone())
    };
    Ok(kept::answer("application/json", Fresh::Never, &map.etag, form))
}

/// The seats that the caller wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedQuery {
    /// 1 to 20 seats of the concert, with commas between them. One that is named twice counts once.
    #[param(pattern = "^[1-9][0-9]{0,14}(,[1-9][0-9]{0,14}){0,19}$", max_length = 319, example = "7,8")]
    seat_ids: String,
}

/// A seat, where it is and what it costs, with its status now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NamedSeat)]
pub struct NamedSeatShape {
    /// Which seat.
    seat_id: SeatId,
    /// Its place in the order of the concert's seats.
    seat_number: i32,
    /// The block of the hall.
    section: String,
    /// The row in the section.
    row: String,
    /// The number in the row, as it is printed.
    number: String,
    /// The price grade.
    grade: String,
    /// The price.
    price: Money,
    /// Its status.
    status: SeatStatus,
}

impl NamedSeatShape {
    fn of(seat: &PlacedSeat, status: SeatStatus) -> Self {
        let PlacedSeat { seat_id, seat_number, label, price, .. } = seat;
        Self {
            seat_id: *seat_id,
            seat_number: *seat_number,
            section: label.section.clone(),
            row: label.row.clone(),
            number: label.number.clone(),
            grade: label.grade.clone(),
            price: *price,
            status,
        }
    }
}

/// Free seats that may be held instead of the wanted ones: as many, of the same grades.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SeatOffer)]
pub struct SeatOfferShape {
    /// Whether they are neighbours in one row.
    #[schema(example = true)]
    side_by_side: bool,
    /// The price of all of them.
    total: Money,
    /// The seats.
    seats: Vec<NamedSeatShape>,
}

impl From<SeatOffer> for SeatOfferShape {
    fn from(offer: SeatOffer) -> Self {
        let seats = offer.seats.iter().map(|seat| NamedSeatShape::of(seat, SeatStatus::Available)).collect();
        Self { side_by_side: offer.side_by_side, total: offer.total(), seats }
    }
}

/// What is free instead of wanted seats.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alternatives)]
pub struct AlternativesShape {
    /// Of which concert.
    concert_id: ConcertId,
    /// The wanted seats, in the order of the request.
    wanted: Vec<NamedSeatShape>,
    /// At most three, nearest first; none if every wanted seat is free, or nothing like them is.
    offers: Vec<SeatOfferShape>,
}

/// The seats of a query; none unless they are 1 to [`SEATS_PER_COMMAND_MAX`] different ones.
fn seats_in(text: &str) -> Option<Vec<SeatId>> {
    let mut seats = Vec::new();
    for part in text.split(',') {
        let seat = SeatId::from_text(part).ok()?;
        if seats.contains(&seat) {
            continue;
        }
        if seats.len() >= SEATS_PER_COMMAND_MAX {
            return None;
        }
        seats.push(seat);
    }
    Some(seats)
}

/// What is free instead of seats that are taken.
///
/// As many seats of the same grades: side by side in one row if there are such, else the nearest. Buyers who ask about
/// the same seats are offered different ones of the nearest. It is a picture, not a promise: only the hold decides.
#[utoipa::path(get, path = "/api/v1/concerts/{concert_id}/seats/alternatives", tag = "concerts",
    operation_id = "alternatives", security(()),
    params(("concert_id" = ConcertId, Path, description = "The concert"), WantedQuery),
    responses((status = 200, description = "The wanted seats, and what is free instead", body = AlternativesShape)))]
pub(super) async fn alternatives(
    State(app): State<SharedState>,
    _paid: PublicRead,
    PathId(concert_id): PathId<ConcertId>,
    QueryParams(query): QueryParams<WantedQuery>,
) -> HttpResult<Json<AlternativesShape>> {
    let reason = "seats are 1 to 20 ids with commas between them";
    let seats = seats_in(&query.seat_ids).ok_or_else(|| Problem::invalid_parameter("seat_ids", reason))?;
    let found = app.office.alternatives(concert_id, &seats).await?;
    Ok(Json(AlternativesShape {
        concert_id,
        wanted: found.wanted.iter().map(|(seat, status)| NamedSeatShape::of(seat, *status)).collect(),
        offers: found.offers.into_iter().map(SeatOfferShape::from).collect(),
    }))
}

/// Where the stream of seats begins.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SinceQuery {
    /// The `mark` of the map that the client has.
    #[param(max_length = 60)]
    #[param(example = "1801443640250000-5f0e1c2d9a3b7c64-0d1e2f3a4b5c6d7e")]
    since: Option<String>,
}

/// Changes of the seats as a stream.
///
/// Events of `text/event-stream`. `seats` has pairs of a seat's id and its letter as in the compact map: these seats are
/// in these states now. The first comes at once, and says what may have changed since the map with the mark `since`, or
/// since the event of `Last-Event-ID`, which goes first. `reload` says that the map is to be fetched again, after a random
/// part of `within_ms`; then the stream ends. At most four events a second, and fewer if thousands read along.
#[utoipa::path(get, path = "/api/v1/concerts/{concert_id}/seats/events", tag = "concerts", operation_id = "seat_events",
    security(()), params(("concert_id" = ConcertId, Path, description = "The concert"), SinceQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that the client has")),
    responses((status = 200, description = "The events", body = SeatEventText, content_type = "text/event-stream")))]
pub(super) async fn seat_events(
    State(app): State<SharedState>,
    _paid: PublicRead,
    ClientAddress(client): ClientAddress,
    PathId(id): PathId<ConcertId>,
    QueryParams(query): QueryParams<SinceQuery>,
    headers: HeaderMap,
) -> HttpResult<Response> {
    // First: of a client that is refused nothing is read.
    let place = app.streams.enter(client)?;
    let since = events::last_event_id(&headers).or(query.since.as_deref());
    let stream = app.office.seat_stream(id, since).await?;
    Ok(events::answer(place, SeatEvents(stream)))
}

/// Events of `text/event-stream`; the data of `seats` is a list of pairs.
#[derive(ToSchema)]
#[schema(as = SeatEvents, value_type = String, example = "retry: 4213\n\nevent: seats\nid: 1801443640250000-5f0e1c2d9a3b7c64-0d1e2f3a4b5c6d7e\ndata: [[7,\"H\"],[8,\"A\"]]\n\n")]
#[expect(dead_code, reason = "describes what the stream writes")]
pub(super) struct SeatEventText(String);

/// The events of a hall.
struct SeatEvents(SeatStream);

impl EventSource for SeatEvents {
    async fn next(&mut self) -> NextEvent {
        let Some(news) = self.0.next().await else { return NextEvent::End };
        match &*news {
            HallNews::Seats(seats) => {
                NextEvent::Event(seats.sent_as(|seats| events::event("seats", Some(&seats.mark), &seats.body)))
            }
            HallNews::MapOutdated { within_ms } => {
                let data = format!("{{\"within_ms\":{within_ms}}}");
                NextEvent::Last(events::event("reload", None, data.as_bytes()))
            }
        }
    }
}
