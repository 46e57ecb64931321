//! Operators' calls: concerts, seats, rooms, and finding and undoing what buyers did.

use crate::{
    api::tickets::{Made, Receipt, Ticket, receipt, receipts, ticket, tickets},
    edge::{
        auth::OperatorOnly,
        extract::{Cursor, JsonBody, LargeJsonBody, Limit, OperatorJsonBody, PathId, QueryParams},
        idempotency::IdempotencyKey,
        problem::{HttpResult, Problem},
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
    command::{Command, ConcertChange, Outcome, RoomChange},
    concert::{Concert, ConcertStatus, Fold},
    id::{AuditId, ConcertId, PaymentId, Position, ReservationId, RoomId, SeatId, UserId},
    money::Money,
    payment::PaymentStatus,
    policy::{SEATS_PER_OPERATOR_COMMAND_MAX, STATUS_REASON_LEN_MAX},
    queue::{Gate, Room},
    refusal::{EntityKind, Refusal},
    reservation::ReservationStatus,
    seat::SeatAction,
    text::checked_text,
    time::Time,
    user::User,
    world::AuditEntry,
};
use frontrow_line::view::RoomView;
use frontrow_service::{
    bounded::list,
    drafts::{ConcertDraft, SeatsDraft, checked_zone},
    local,
    office::UNEXPECTED,
};
use frontrow_storage::{PaymentFilter, ReservationFilter, SeatCounts};
use jiff::civil;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What changes of a concert; what is left out stays.
#[expect(clippy::option_option, reason = "null takes something away, leaving it out keeps it")]
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConcertPatch {
    /// What it is called.
    #[serde(default)]
    #[schema(format = "text", min_length = 1, max_length = 200, example = "Midnight Tide: The First Night")]
    title: Option<String>,
    /// Who plays.
    #[serde(default)]
    #[schema(format = "text", min_length = 1, max_length = 200, example = "Midnight Tide")]
    artist: Option<String>,
    /// Where.
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
    /// Only for a start or an end that the venue's clock shows twice: 0 is the first of the two, 1 the second. Send it with
    /// every change of such hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i32>, minimum = 0, maximum = 1, example = 0)]
    fold: Option<Fold>,
    /// What a new seat costs unless it says otherwise. Seats that are there keep their price.
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
    /// `closed` and `postponed` stop the sale, `scheduled` lets it go on. To cancel is a call of its own.
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
pub struct ConcertBooks {
    /// The concert.
    concert: Concert,
    /// Its seats. Of a cancelled concert those that are sold are the payments that have not been given back.
    seats: SeatCounts,
}

/// Seats that were added: their ids rise by one.
#[derive(Debug, Serialize, ToSchema)]
pub struct AddedSeats {
    /// The first seat's id.
    first_seat_id: SeatId,
    /// How many.
    #[schema(example = 50)]
    count: u32,
}

/// Seats to take off sale.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatBlock {
    /// Which seats.
    #[serde(deserialize_with = "list::<SEATS_PER_OPERATOR_COMMAND_MAX, _, _>")]
    #[schema(min_items = 1, max_items = 100_000)]
    seat_ids: Vec<SeatId>,
    /// Why, for the audit log.
    #[schema(format = "text", min_length = 1, max_length = 200, example = "Camera position")]
    reason: String,
}

/// Seats to put on sale again, or to remove.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatRelease {
    /// Which seats.
    #[serde(deserialize_with = "list::<SEATS_PER_OPERATOR_COMMAND_MAX, _, _>")]
    #[schema(min_items = 1, max_items = 100_000)]
    pub(super) seat_ids: Vec<SeatId>,
}

/// How many seats were changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct SetSeats {
    /// How many.
    #[schema(example = 4)]
    pub(super) count: u32,
}

/// What changes of a room; what is left out stays.
#[expect(clippy::option_option, reason = "null takes a setting away, leaving it out keeps it")]
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoomPatch {
    /// How many may be active at once. Lowering it sends nobody away.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000, example = 200)]
    max_active: Option<i64>,
    /// How many turns a minute; null takes the limit away.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1_000_000, example = 600)]
    admit_per_minute: Option<Option<i64>>,
    /// Whether the line moves.
    #[serde(default)]
    gate: Option<Gate>,
    /// What everybody in line is told, 1 to 500 characters; null takes it away.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "text", min_length = 1, max_length = 500, example = "Doors open at 20:00.")]
    message: Option<Option<String>>,
}

#[expect(clippy::option_option, reason = "null and left out are two things")]
/// Tells a null field from an absent one.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A room with its numbers of this moment.
#[derive(Debug, Serialize, ToSchema)]
pub struct LiveRoom {
    /// The settings.
    #[serde(flatten)]
    room: Room,
    /// How many wait.
    #[schema(example = 12_000)]
    waiting: i64,
    /// How many have a turn to claim.
    #[schema(example = 3)]
    offered: i64,
    /// How many are active.
    #[schema(example = 100)]
    active: i64,
    /// The highest position given; 0 before the first.
    #[schema(value_type = i64, minimum = 0, example = 12_150)]
    highest: Position,
}

/// Which users.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct UserQuery {
    /// Part of the name or of the e-mail address.
    #[param(max_length = 100)]
    text: Option<String>,
    /// The user with this id.
    user_id: Option<UserId>,
    /// How many at most.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>, format = "cursor-of-users")]
    cursor: Option<Cursor<UserId>>,
}

/// Which reservations.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ReservationQuery {
    /// Whose.
    user_id: Option<UserId>,
    /// Of which concert.
    concert_id: Option<ConcertId>,
    /// Standing where.
    #[param(inline)]
    status: Option<ReservationStatus>,
    /// How many at most.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>, format = "cursor")]
    cursor: Option<Cursor<ReservationId>>,
}

/// Which payments.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PaymentQuery {
    /// Whose.
    user_id: Option<UserId>,
    /// For a reservation in which concert.
    concert_id: Option<ConcertId>,
    /// For which reservation.
    reservation_id: Option<ReservationId>,
    /// Standing where.
    #[param(inline)]
    status: Option<PaymentStatus>,
    /// How many at most.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>, format = "cursor")]
    cursor: Option<Cursor<PaymentId>>,
}

/// Creates a concert.
///
/// With `own_room_max_active` it has a waiting room of its own, else its buyers use the house room. Seats are added by
/// a call of their own.
#[utoipa::path(post, path = "/api/v1/operator/concerts", tag = "operator", operation_id = "create_concert",
    request_body = ConcertDraft, responses((status = 201, description = "The concert", body = Concert)))]
pub(super) async fn create_concert(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    key: IdempotencyKey,
    JsonBody(body): OperatorJsonBody<ConcertDraft>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/concerts", &[], &body)?;
    let done = app.office.operate(caller, Command::CreateConcert(body.check()?), key).await?;
    let Outcome::Concert(concert) = done.value else { return Err(UNEXPECTED.into()) };
    Ok(replayed((StatusCode::CREATED, json(&concert)), done.replay))
}

/// Changes a concert.
///
/// What is left out stays. `status` closes or postpones the sale and lets it go on.
#[utoipa::path(patch, path = "/api/v1/operator/concerts/{concert_id}", tag = "operator", operation_id = "update_concert",
    params(("concert_id" = ConcertId, Path, description = "The concert")),
    request_body = ConcertPatch, responses((status = 200, description = "The concert", body = Concert)))]
pub(super) async fn update_concert(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(concert_id): PathId<ConcertId>,
    key: IdempotencyKey,
    JsonBody(body): OperatorJsonBody<ConcertPatch>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::PATCH, "/operator/concerts/{id}", &[&concert_id], &body)?;
    let text = |field: &str, text: Option<String>| {
        text.map(|text| checked_text(field, &text, frontrow_service::drafts::NAME_LEN_MAX)).transpose()
    };
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
        own_room_max_active: body.own_room_max_active,
    };
    let done = app.office.operate(caller, Command::UpdateConcert { concert_id, change }, key).await?;
    let Outcome::Concert(concert) = done.value else { return Err(UNEXPECTED.into()) };
    Ok(replayed(json(&concert.seen_at(app.office.clock.now())), done.replay))
}

/// A concert's books.
///
/// The concert, and how many of its seats are in each state.
#[utoipa::path(get, path = "/api/v1/operator/concerts/{concert_id}", tag = "operator", operation_id = "concert_books",
    params(("concert_id" = ConcertId, Path, description = "The concert")),
    responses((status = 200, description = "The concert and its seats", body = ConcertBooks)))]
pub(super) async fn concert(
    State(app): State<SharedState>,
    _operator: OperatorOnly,
    PathId(concert_id): PathId<ConcertId>,
) -> HttpResult<Json<ConcertBooks>> {
    let concert = app.office.store.concert(concert_id).await?.ok_or(Refusal::NotFound { what: EntityKind::Concert })?;
    Ok(Json(books(&app, &concert).await?))
}

async fn books(app: &SharedState, concert: &Concert) -> HttpResult<ConcertBooks> {
    let seats = app.office.store.seat_counts(concert.concert_id).await?;
    Ok(ConcertBooks { concert: concert.seen_at(app.office.clock.now()), seats })
}

/// Cancels a concert.
///
/// For good: nothing of it is held or paid any more, every hold ends, every seat goes off sale, and each buyer may
/// refund at once. Cancelling again changes nothing.
#[utoipa::path(post, path = "/api/v1/operator/concerts/{concert_id}/cancel", tag = "operator",
    operation_id = "cancel_concert", params(("concert_id" = ConcertId, Path, description = "The concert")),
    request_body = Cancelling, responses((status = 200, description = "The concert", body = Concert)))]
pub(super) async fn cancel_concert(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(concert_id): PathId<ConcertId>,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<Cancelling>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/concerts/{id}/cancel", &[&concert_id], &body)?;
    let reason = checked_text("reason", &body.reason, STATUS_REASON_LEN_MAX)?;
    let done = app.office.operate(caller, Command::CancelConcert { concert_id, reason }, key).await?;
    let Outcome::Concert(concert) = done.value else { return Err(UNEXPECTED.into()) };
    Ok(replayed(json(&concert), done.replay))
}

/// Gives every payment of a cancelled concert back.
///
/// Part by part, in the background and over restarts, until none is left. Asking again changes nothing and tells how far
/// it has come.
#[utoipa::path(post, path = "/api/v1/operator/concerts/{concert_id}/refund-all", tag = "operator",
    operation_id = "refund_concert", params(("concert_id" = ConcertId, Path, description = "The concert")),
    responses((status = 202, description = "The concert and its seats", body = ConcertBooks)))]
pub(super) async fn refund_concert(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(concert_id): PathId<ConcertId>,
    key: IdempotencyKey,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/concerts/{id}/refund-all", &[&concert_id], &())?;
    let done = app.office.operate(caller, Command::RefundConcert { concert_id }, key).await?;
    let Outcome::Concert(concert) = done.value else { return Err(UNEXPECTED.into()) };
    Ok(replayed((StatusCode::ACCEPTED, json(&books(&app, &concert).await?)), done.replay))
}

/// Adds seats.
///
/// By a range of numbers or by a list. The body may be up to 16 MiB.
#[utoipa::path(post, path = "/api/v1/operator/concerts/{concert_id}/seats", tag = "operator", operation_id = "add_seats",
    params(("concert_id" = ConcertId, Path, description = "The concert")),
    request_body = SeatsDraft, responses((status = 201, description = "The new seats", body = AddedSeats)))]
pub(super) async fn add_seats(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(concert_id): PathId<ConcertId>,
    key: IdempotencyKey,
    JsonBody(body): LargeJsonBody<SeatsDraft>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/concerts/{id}/seats", &[&concert_id], &body)?;
    let base_price = app.office.concert(concert_id).await?.base_price;
    let seats = body.check(base_price)?;
    let done = app.office.operate(caller, Command::AddSeats { concert_id, seats }, key).await?;
    let Outcome::SeatsAdded { first_seat_id, count } = done.value else { return Err(UNEXPECTED.into()) };
    Ok(replayed((StatusCode::CREATED, json(&AddedSeats { first_seat_id, count })), done.replay))
}

/// Takes seats off sale.
///
/// All of them or none: one that is held or sold is `seat_in_use`. The reason is for the audit log.
#[utoipa::path(post, path = "/api/v1/operator/seats/block", tag = "operator", operation_id = "block_seats",
    request_body = SeatBlock, responses((status = 200, description = "How many", body = SetSeats)))]
pub(super) async fn block_seats(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    key: IdempotencyKey,
    JsonBody(body): LargeJsonBody<SeatBlock>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/seats/block", &[], &body)?;
    let reason = checked_text("reason", &body.reason, 200)?;
    set_seats(&app, caller, body.seat_ids, SeatAction::Block { reason }, key).await
}

/// Puts blocked seats on sale again.
///
/// All of them or none.
#[utoipa::path(post, path = "/api/v1/operator/seats/free", tag = "operator", operation_id = "free_seats",
    request_body = SeatRelease, responses((status = 200, description = "How many", body = SetSeats)))]
pub(super) async fn free_seats(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    key: IdempotencyKey,
    JsonBody(body): LargeJsonBody<SeatRelease>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/seats/free", &[], &body)?;
    set_seats(&app, caller, body.seat_ids, SeatAction::Free, key).await
}

async fn set_seats(
    app: &SharedState,
    caller: frontrow_domain::user::Caller,
    seat_ids: Vec<SeatId>,
    action: SeatAction,
    key: Option<frontrow_domain::command::Idempotency>,
) -> HttpResult<Response> {
    let done = app.office.operate(caller, Command::SetSeats { seat_ids, action }, key).await?;
    let Outcome::SeatsSet(count) = done.value else { return Err(UNEXPECTED.into()) };
    Ok(replayed(json(&SetSeats { count }), done.replay))
}

fn live_room(view: &RoomView, active: i64) -> LiveRoom {
    LiveRoom {
        room: view.room().clone(),
        waiting: view.total_waiting(),
        offered: view.offered(),
        active,
        highest: view.tail(),
    }
}

/// The waiting rooms.
///
/// Each with its settings and its numbers of this moment. The list has one page.
#[utoipa::path(get, path = "/api/v1/operator/rooms", tag = "operator", operation_id = "rooms",
    responses((status = 200, description = "The rooms", body = List<LiveRoom>)))]
pub(super) async fn rooms(State(app): State<SharedState>, _operator: OperatorOnly) -> HttpResult<Response> {
    let mut ids = app.office.queue.rooms();
    ids.sort_unstable();
    let room = |id| Some(live_room(&*app.office.queue.view(id)?, app.office.active_tokens(id)?));
    let items = ids.into_iter().filter_map(room).collect();
    Ok(json(&List { items, next_cursor: None }))
}

/// A waiting room.
///
/// Its settings, and its numbers of this moment.
#[utoipa::path(get, path = "/api/v1/operator/rooms/{room_id}", tag = "operator", operation_id = "room",
    params(("room_id" = RoomId, Path, description = "The room; 0 is the house room")),
    responses((status = 200, description = "The room", body = LiveRoom)))]
pub(super) async fn room(
    State(app): State<SharedState>,
    _operator: OperatorOnly,
    PathId(id): PathId<RoomId>,
) -> HttpResult<Response> {
    let view = app.office.view(id).await?;
    Ok(json(&live_room(&view, app.office.active_tokens(id).unwrap_or_default())))
}

/// Changes a waiting room.
///
/// Its cap, its rate, its gate, its message. What is left out stays.
#[utoipa::path(patch, path = "/api/v1/operator/rooms/{room_id}", tag = "operator", operation_id = "set_room",
    params(("room_id" = RoomId, Path, description = "The room; 0 is the house room")),
    request_body = RoomPatch, responses((status = 200, description = "The room", body = Room)))]
pub(super) async fn set_room(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(room_id): PathId<RoomId>,
    key: IdempotencyKey,
    JsonBody(body): OperatorJsonBody<RoomPatch>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::PATCH, "/operator/rooms/{id}", &[&room_id], &body)?;
    let message = match body.message {
        Some(Some(text)) => Some(Some(checked_text("message", &text, 500)?)),
        other => other,
    };
    let change =
        RoomChange { max_active: body.max_active, admit_per_minute: body.admit_per_minute, gate: body.gate, message };
    let done = app.office.operate(caller, Command::SetRoom { room_id, change }, key).await?;
    let Outcome::Room(room) = done.value else { return Err(UNEXPECTED.into()) };
    Ok(replayed(json(&room), done.replay))
}

/// Finds users.
///
/// Those whose name or e-mail address contains the text, or the one with the id.
#[utoipa::path(get, path = "/api/v1/operator/users", tag = "operator", operation_id = "find_users",
    params(UserQuery), responses((status = 200, description = "A page", body = List<User>)))]
pub(super) async fn users(
    State(app): State<SharedState>,
    _operator: OperatorOnly,
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
        None => app.office.store.users(query.text.as_deref(), page).await?,
    };
    Ok(json(&next_page(rows, &page, |row| row.user_id)))
}

/// Finds reservations.
///
/// Of all users, newest first: those that match all of the filters.
#[utoipa::path(get, path = "/api/v1/operator/reservations", tag = "operator", operation_id = "find_reservations",
    params(ReservationQuery), responses((status = 200, description = "A page", body = List<Ticket>)))]
pub(super) async fn reservations(
    State(app): State<SharedState>,
    _operator: OperatorOnly,
    QueryParams(query): QueryParams<ReservationQuery>,
) -> HttpResult<Response> {
    let page = page(query.limit, query.cursor);
    let filter = ReservationFilter { user: query.user_id, concert: query.concert_id, status: query.status };
    let rows = app.office.reservations(&filter, page).await?;
    let rows = tickets(&app, rows, Made::Before).await?;
    Ok(json(&next_page(rows, &page, Ticket::id)))
}

/// Finds payments.
///
/// Of all users, newest first: those that match all of the filters.
#[utoipa::path(get, path = "/api/v1/operator/payments", tag = "operator", operation_id = "find_payments",
    params(PaymentQuery), responses((status = 200, description = "A page", body = List<Receipt>)))]
pub(super) async fn payments(
    State(app): State<SharedState>,
    _operator: OperatorOnly,
    QueryParams(query): QueryParams<PaymentQuery>,
) -> HttpResult<Response> {
    let page = page(query.limit, query.cursor);
    let filter = PaymentFilter {
        user: query.user_id,
        concert: query.concert_id,
        reservation: query.reservation_id,
        status: query.status,
    };
    let rows = app.office.payments(&filter, page).await?;
    let rows = receipts(&app, rows, Made::Before).await?;
    Ok(json(&next_page(rows, &page, Receipt::id)))
}

/// Cancels a reservation for its user.
///
/// One that is pending: the seat is free at once, for its user too.
#[utoipa::path(delete, path = "/api/v1/operator/reservations/{reservation_id}", tag = "operator",
    operation_id = "cancel_for_user",
    params(("reservation_id" = ReservationId, Path, description = "The reservation")),
    responses((status = 200, description = "The cancelled reservation", body = Ticket)))]
pub(super) async fn cancel(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(id): PathId<ReservationId>,
    key: IdempotencyKey,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::DELETE, "/operator/reservations/{id}", &[&id], &())?;
    let done = app.office.cancel_reservation(caller, id, key).await?;
    Ok(replayed(json(&ticket(&app, done.value, Made::Now).await?), done.replay))
}

/// Gives a payment back to its user.
///
/// At any time, also when the user could not any more.
#[utoipa::path(post, path = "/api/v1/operator/payments/{payment_id}/refund", tag = "operator",
    operation_id = "refund_for_user",
    params(("payment_id" = PaymentId, Path, description = "The payment")),
    responses((status = 200, description = "The refunded payment", body = Receipt)))]
pub(super) async fn refund(
    State(app): State<SharedState>,
    OperatorOnly(caller): OperatorOnly,
    PathId(id): PathId<PaymentId>,
    key: IdempotencyKey,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/operator/payments/{id}/refund", &[&id], &())?;
    let done = app.office.refund(caller, id, key).await?;
    Ok(replayed(json(&receipt(&app, done.value, Made::Now).await?), done.replay))
}

/// The audit log.
///
/// What operators, the service key and the box office itself did, and which accounts were erased, newest first. The log
/// cannot be changed.
#[utoipa::path(get, path = "/api/v1/operator/audit", tag = "operator", operation_id = "audit",
    params(PageQuery<AuditId>), responses((status = 200, description = "A page", body = List<AuditEntry>)))]
pub(super) async fn audit(
    State(app): State<SharedState>,
    _operator: OperatorOnly,
    QueryParams(query): QueryParams<PageQuery<AuditId>>,
) -> HttpResult<Response> {
    let page = page(query.limit, query.cursor);
    let rows = app.office.store.audit(page).await?;
    Ok(json(&next_page(rows, &page, |row| row.audit_id)))
}
