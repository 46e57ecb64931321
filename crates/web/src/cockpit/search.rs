//! `/operator/search`: one field finds anything.

use super::{
    audit::path_of_entry,
    entries::{EntryParts, UserNames, line_name},
    outbox::events_table,
    people::debts_table,
    shell::CockpitShell,
    tables::{Cell, RowTable},
};
use crate::{
    edge::{extract::QueryParams, problem::HttpResult, state::SharedState},
    html::{
        seat_names::seat_name,
        shell::{HOME_ZONE, html},
    },
};
use askama::Template;
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use frontrow_domain::{
    changes::AuditEntry,
    line::{Token, TokenStatus},
    points::{PointEntry, PointKind},
    sale::{Concert, PaymentStatus, ReservationStatus, SeatStatus},
    user::{Role, User, UserStatus},
};
use frontrow_service::{
    operators::RoomOverview,
    sale::{Receipt, Ticket},
    search::{FOUND_MAX, FoundSeat, FoundThings, SEARCH_LEN_MAX},
};
use serde::Deserialize;

/// The text to look for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchQuery {
    #[serde(default)]
    q: String,
}

#[derive(Template)]
#[template(path = "cockpit/search.html")]
struct SearchPage {
    text: String,
    /// Why the text is not looked for.
    fault: Option<String>,
    tables: Vec<RowTable>,
    /// What is said if more may match than is shown.
    more: Option<String>,
    shell: CockpitShell,
}

/// Finds what a text stands for. If that is one thing, its page follows.
pub(super) async fn show(
    State(app): State<SharedState>,
    shell: CockpitShell,
    QueryParams(SearchQuery { q }): QueryParams<SearchQuery>,
) -> HttpResult<Response> {
    let text = q.trim().to_owned();
    let is_long = text.chars().count() > SEARCH_LEN_MAX;
    let found = if text.is_empty() || is_long { FoundThings::default() } else { app.office.find(&text).await? };
    let names = UserNames::of(&app, found.audit.iter()).await;
    let tables = tables(&shell, &found, &names);
    if found.count() == 1
        && let Some(href) =
            tables.iter().flat_map(|table| table.rows.iter().flatten()).find_map(|cell| cell.href.clone())
    {
        return Ok(Redirect::to(&href).into_response());
    }
    let fault = is_long.then(|| shell.t1("orders-search-long", "most", SEARCH_LEN_MAX));
    let most = usize::try_from(FOUND_MAX).unwrap_or(usize::MAX);
    let is_full = tables.iter().any(|table| table.rows.len() >= most);
    let more = is_full.then(|| shell.t1("orders-search-more", "most", most));
    let page = SearchPage { text, fault, tables, more, shell };
    let status = if page.fault.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    html(&page.shell, status, &page)
}

fn table<T>(
    shell: &CockpitShell,
    caption: &str,
    heads: &[&str],
    rows: &[T],
    row: impl Fn(&T) -> Vec<Cell>,
) -> RowTable {
    RowTable {
        caption: shell.t(caption),
        heads: heads.iter().map(|head| shell.t(head)).collect(),
        rows: rows.iter().map(row).collect(),
        none: String::new(),
    }
}

const TICKET_HEADS: [&str; 5] =
    ["orders-reservation-head", "orders-concert-head", "orders-seat", "orders-state", "orders-sum"];
const RECEIPT_HEADS: [&str; 5] =
    ["orders-payment-head", "orders-concert-head", "orders-seat", "orders-state", "orders-sum"];
const USER_HEADS: [&str; 5] = ["orders-name", "orders-address", "orders-role", "orders-state", "orders-since"];
const CONCERT_HEADS: [&str; 4] =
    ["orders-concert-head", "entry-field-artist", "entry-field-venue", "entry-field-starts"];
const SEAT_HEADS: [&str; 5] =
    ["orders-concert-head", "orders-seat", "orders-state", "orders-reservation-head", "seats-price"];
const BOOKING_HEADS: [&str; 4] = ["orders-reference", "orders-booked-as", "orders-when", "orders-sum"];
const ROOM_HEADS: [&str; 3] = ["orders-room-head", "orders-waiting", "orders-in"];
const TOKEN_HEADS: [&str; 4] = ["orders-place-head", "orders-state", "orders-when", "orders-end-head"];
const ENTRY_HEADS: [&str; 4] = ["orders-entry-head", "orders-done-head", "orders-by-object", "orders-when"];

fn tables(shell: &CockpitShell, found: &FoundThings, names: &UserNames) -> Vec<RowTable> {
    let tables = [
        table(shell, "orders-reservations", &TICKET_HEADS, &found.reservations, |row| ticket(shell, row)),
        table(shell, "orders-payments", &RECEIPT_HEADS, &found.payments, |row| receipt(shell, row)),
        table(shell, "orders-users", &USER_HEADS, &found.users, |row| user(shell, row)),
        table(shell, "orders-concerts", &CONCERT_HEADS, &found.concerts, |row| concert(shell, row)),
        table(shell, "orders-found-seats", &SEAT_HEADS, &found.seats, |row| seat(shell, row)),
        table(shell, "orders-bookings", &BOOKING_HEADS, &found.bookings, |row| booking(shell, row)),
        debts_table(shell, &found.debts),
        events_table(shell, &found.events),
        table(shell, "orders-rooms", &ROOM_HEADS, &found.rooms, |row| room(shell, row)),
        table(shell, "orders-places", &TOKEN_HEADS, &found.tokens, |row| token(shell, row)),
        table(shell, "orders-audit", &ENTRY_HEADS, &found.audit, |row| entry(shell, row, names)),
    ];
    tables.into_iter().filter(|table| !table.rows.is_empty()).collect()
}

pub(super) fn reservation_status(shell: &CockpitShell, status: ReservationStatus) -> String {
    match status {
        ReservationStatus::Pending => shell.t("orders-is-pending"),
        ReservationStatus::Confirmed => shell.t("orders-is-confirmed"),
        ReservationStatus::Cancelled => shell.t("orders-is-cancelled"),
        ReservationStatus::Expired => shell.t("orders-is-expired"),
        ReservationStatus::Refunded => shell.t("orders-is-refunded"),
    }
}

pub(super) fn payment_status(shell: &CockpitShell, status: PaymentStatus) -> String {
    match status {
        PaymentStatus::Completed => shell.t("orders-is-completed"),
        PaymentStatus::Refunded => shell.t("orders-is-refunded"),
    }
}

pub(super) fn user_status(shell: &CockpitShell, status: UserStatus) -> String {
    match status {
        UserStatus::Active => shell.t("orders-is-active"),
        UserStatus::Locked => shell.t("orders-is-locked"),
        UserStatus::Erased => shell.t("orders-is-erased"),
    }
}

pub(super) fn role(shell: &CockpitShell, role: Role) -> String {
    match role {
        Role::Buyer => shell.t("orders-role-buyer"),
        Role::Operator => shell.t("orders-role-operator"),
        Role::Viewer => shell.t("orders-role-viewer"),
    }
}

pub(super) fn token_status(shell: &CockpitShell, status: TokenStatus) -> String {
    match status {
        TokenStatus::Waiting => shell.t("orders-is-waiting"),
        TokenStatus::Offered => shell.t("orders-is-offered"),
        TokenStatus::Active => shell.t("orders-is-in"),
        TokenStatus::Dormant => shell.t("orders-is-dormant"),
        TokenStatus::Missed => shell.t("orders-is-missed"),
        TokenStatus::Ended => shell.t("orders-is-ended"),
    }
}

fn ticket(shell: &CockpitShell, row: &Ticket) -> Vec<Cell> {
    let id = row.reservation.reservation_id;
    vec![
        Cell::link(shell.t1("orders-reservation", "number", id.to_string()), format!("/operator/reservations/{id}")),
        Cell::text(row.title.clone()),
        Cell::text(seat_name(shell, &row.place)),
        Cell::text(reservation_status(shell, row.reservation.status())),
        Cell::figure(shell.money(&row.reservation.price)),
    ]
}

fn receipt(shell: &CockpitShell, row: &Receipt) -> Vec<Cell> {
    let id = row.payment.payment_id;
    vec![
        Cell::link(shell.t1("orders-payment", "number", id.to_string()), format!("/operator/payments/{id}")),
        Cell::text(row.title.clone()),
        Cell::text(seat_name(shell, &row.place)),
        Cell::text(payment_status(shell, row.payment.status)),
        Cell::figure(shell.money(&row.payment.amount)),
    ]
}

pub(super) fn user(shell: &CockpitShell, row: &User) -> Vec<Cell> {
    let name = if row.name.is_empty() { shell.t("orders-user") } else { row.name.clone() };
    vec![
        Cell::link(name, format!("/operator/users/{}", row.user_id)),
        Cell::text(row.email.clone()),
        Cell::text(role(shell, row.role)),
        Cell::text(user_status(shell, row.status)),
        Cell::text(shell.moment(&row.created_at, HOME_ZONE)),
    ]
}

fn concert(shell: &CockpitShell, row: &Concert) -> Vec<Cell> {
    vec![
        Cell::link(row.title.clone(), format!("/operator/concerts/{}", row.concert_id)),
        Cell::text(row.artist.clone()),
        Cell::text(row.venue.clone()),
        Cell::text(shell.moment(&row.starts_at, &row.time_zone)),
    ]
}

fn seat(shell: &CockpitShell, row: &FoundSeat) -> Vec<Cell> {
    let FoundSeat { seat, reservation } = row;
    let status = match seat.status() {
        SeatStatus::Available => shell.t("orders-seat-free"),
        SeatStatus::Held => shell.t("orders-seat-held"),
        SeatStatus::Sold => shell.t("orders-seat-sold"),
        SeatStatus::Blocked => shell.t("orders-seat-blocked"),
    };
    let whose = reservation.map_or_else(Cell::default, |id| {
        Cell::link(shell.t1("orders-reservation", "number", id.to_string()), format!("/operator/reservations/{id}"))
    });
    vec![
        Cell::text(shell.t1("orders-concert", "number", seat.concert_id.to_string())),
        Cell::text(seat_name(shell, &seat.label.place())),
        Cell::text(status),
        whose,
        Cell::figure(shell.money(&seat.price)),
    ]
}

fn booking(shell: &CockpitShell, row: &PointEntry) -> Vec<Cell> {
    let kind = if row.kind == PointKind::TopUp { "entry-top-up" } else { "entry-adjust" };
    vec![
        Cell::link(row.reference.clone().unwrap_or_default(), format!("/operator/users/{}", row.user_id)),
        Cell::text(shell.t(kind)),
        Cell::text(shell.exact_moment(&row.created_at, HOME_ZONE)),
        Cell::figure(shell.money(&row.amount)),
    ]
}

fn room(shell: &CockpitShell, row: &RoomOverview) -> Vec<Cell> {
    let id = row.room.room_id;
    vec![
        Cell::link(line_name(shell, id), format!("/operator/rooms/{id}")),
        Cell::text(shell.t1("orders-n-waiting", "n", row.waiting)),
        Cell::text(shell.t1("orders-n-active", "n", row.active)),
    ]
}

pub(super) fn token(shell: &CockpitShell, row: &Token) -> Vec<Cell> {
    let (room, position) = (row.id.room_id, row.id.position.0);
    vec![
        Cell::link(
            shell.t2("orders-place", "line", line_name(shell, room), "position", position),
            format!("/operator/users/{}", row.user_id),
        ),
        Cell::text(token_status(shell, row.status())),
        Cell::text(shell.exact_moment(&row.issued_at, HOME_ZONE)),
        Cell::text(row.end_reason().map(|reason| end_reason(shell, reason)).unwrap_or_default()),
    ]
}

fn end_reason(shell: &CockpitShell, reason: frontrow_domain::line::EndReason) -> String {
    use frontrow_domain::line::EndReason;
    match reason {
        EndReason::Paid => shell.t("orders-end-paid"),
        EndReason::Left => shell.t("orders-end-left"),
        EndReason::Expired => shell.t("orders-end-expired"),
        EndReason::Missed => shell.t("orders-end-missed"),
        EndReason::Drawn => shell.t("orders-end-drawn"),
        EndReason::ConcertOver => shell.t("orders-end-concert-over"),
        EndReason::Removed => shell.t("orders-end-removed"),
        EndReason::RoomClosed => shell.t("orders-end-room-closed"),
    }
}

fn entry(shell: &CockpitShell, row: &AuditEntry, names: &UserNames) -> Vec<Cell> {
    let EntryParts { act, object, .. } = EntryParts::of(shell, row, &|user| names.get(user), HOME_ZONE);
    vec![
        Cell::link(shell.t1("orders-entry", "number", row.audit_id.to_string()), path_of_entry(row.audit_id)),
        Cell::text(act),
        Cell { text: object.name, href: object.href, ..Cell::default() },
        Cell::text(shell.exact_moment(&row.created_at, HOME_ZONE)),
    ]
}
