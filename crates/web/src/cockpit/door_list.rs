//! `/operator/concerts/{id}/door-list`: who has which seat, to be searched, printed and kept as a file.

use super::{
    nav::{ConcertNav, ConcertPart},
    shell::CockpitShell,
};
use crate::{
    edge::{
        door_list,
        extract::{PathId, QueryParams},
        problem::HttpResult,
        state::SharedState,
    },
    html::{seat_names::seat_name, shell::html},
};
use askama::Template;
use axum::{Router, extract::State, http::StatusCode, response::Response, routing::get};
use frontrow_domain::{
    id::{ConcertId, ReservationId},
    text::folded,
};
use frontrow_service::door_list::{DoorPart, DoorRest};
use frontrow_storage::DoorLine;
use serde::Deserialize;

/// The routes of door lists.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/operator/concerts/{concert_id}/door-list", get(show))
        .route("/operator/concerts/{concert_id}/door-list.csv", get(csv))
}

/// How many characters of a text are looked for.
const TEXT_LEN_MAX: usize = 100;

/// Which part of the list, and what to look for in the whole of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DoorQuery {
    #[serde(default)]
    q: String,
    after: Option<i32>,
}

/// A ticket as the page lists it.
struct DoorRow {
    seat: String,
    grade: String,
    name: String,
    reservation: ReservationId,
    paid_at: String,
}

#[derive(Template)]
#[template(path = "cockpit/door_list.html")]
struct DoorListPage {
    shell: CockpitShell,
    nav: ConcertNav,
    id: ConcertId,
    title: String,
    when: String,
    text: String,
    fault: Option<String>,
    rows: Vec<DoorRow>,
    /// Where the list begins, from a later part of it.
    first: Option<String>,
    next: Option<String>,
    /// Where to look on, if a part of the list was not looked at.
    unread: Option<String>,
}

/// The address of the part of a list after a seat.
fn address(id: ConcertId, text: &str, after: Option<i32>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(after) = after {
        query.append_pair("after", &after.to_string());
    }
    if !text.is_empty() {
        query.append_pair("q", text);
    }
    format!("/operator/concerts/{id}/door-list?{}", query.finish())
}

/// Whether a ticket is looked for, by the name or the seat.
fn is_wanted(line: &DoorLine, place: &str, text: &str) -> bool {
    text.is_empty() || folded(&line.name).contains(text) || folded(place).contains(text)
}

/// The part of a list in which a text is found, without the ticket of the reservation with that number; and that ticket,
/// for the first part.
async fn find(
    app: &SharedState,
    shell: &CockpitShell,
    id: ConcertId,
    (text, after): (&str, Option<i32>),
) -> HttpResult<(Option<DoorLine>, DoorPart)> {
    let numbered = match text.parse().map(ReservationId::new) {
        Ok(reservation) => app.office.door_line(id, reservation).await?,
        Err(_) => None,
    };
    let number = numbered.as_ref().map(|line| line.reservation_id);
    let wanted = folded(text);
    let is_wanted = |line: &DoorLine| {
        Some(line.reservation_id) != number && is_wanted(line, &seat_name(shell, &line.label.place()), &wanted)
    };
    let part = app.office.door_part(id, after.unwrap_or(0), is_wanted).await?;
    Ok((numbered.filter(|_| after.is_none()), part))
}

async fn show(
    State(app): State<SharedState>,
    shell: CockpitShell,
    PathId(id): PathId<ConcertId>,
    QueryParams(DoorQuery { q, after }): QueryParams<DoorQuery>,
) -> HttpResult<Response> {
    let concert = app.office.concert(id).await?;
    let text = q.trim().to_owned();
    let fault = (text.chars().count() > TEXT_LEN_MAX).then(|| shell.t("orders-field-long"));
    let (numbered, found) = match &fault {
        None => find(&app, &shell, id, (&text, after)).await?,
        Some(_) => (None, DoorPart { lines: Vec::new(), rest: DoorRest::None }),
    };
    let row = |line: DoorLine| DoorRow {
        seat: seat_name(&shell, &line.label.place()),
        grade: line.label.grade,
        name: line.name,
        reservation: line.reservation_id,
        paid_at: shell.moment(&line.paid_at, &concert.time_zone),
    };
    let (next, unread) = match found.rest {
        DoorRest::None => (None, None),
        DoorRest::Found(last) => (Some(last), None),
        DoorRest::Unread(last) => (None, Some(last)),
    };
    let status = if fault.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = DoorListPage {
        nav: ConcertNav { id, here: ConcertPart::DoorList },
        id,
        title: concert.title.clone(),
        when: shell.moment(&concert.starts_at, &concert.time_zone),
        fault,
        rows: numbered.into_iter().chain(found.lines).map(row).collect(),
        first: after.map(|_| address(id, &text, None)),
        next: next.map(|next| address(id, &text, Some(next))),
        unread: unread.map(|last| address(id, &text, Some(last))),
        text,
        shell,
    };
    html(&page.shell, status, &page)
}

async fn csv(
    State(app): State<SharedState>,
    _shell: CockpitShell,
    PathId(id): PathId<ConcertId>,
) -> HttpResult<Response> {
    door_list::csv(id, app.office.door_list(id).await?).await
}
