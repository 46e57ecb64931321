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
    sale::SeatPlace,
    text::folded,
};
use frontrow_storage::DoorLine;
use serde::Deserialize;

/// The routes of door lists.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/operator/concerts/{concert_id}/door-list", get(show))
        .route("/operator/concerts/{concert_id}/door-list.csv", get(csv))
}

/// How many lines a part of the list has: as many as are printed at once.
const LINES: u32 = 500;
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

/// Whether a ticket is looked for: by the name, the seat or the number.
fn is_wanted(line: &DoorLine, place: &str, text: &str) -> bool {
    text.is_empty()
        || folded(&line.name).contains(text)
        || folded(place).contains(text)
        || line.reservation_id.to_string() == text
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
    let (wanted, limit) = (folded(&text), usize::try_from(LINES).unwrap_or(usize::MAX));
    let (mut rows, mut place, mut next) = (Vec::new(), after.unwrap_or(0), None);
    while fault.is_none() {
        let lines = app.office.door_lines(id, place, LINES).await?;
        let is_last = lines.len() < limit;
        for line in lines {
            place = line.seat_number;
            let seat = seat_name(&shell, &place_of(&line));
            if !is_wanted(&line, &seat, &wanted) {
                continue;
            }
            if rows.len() == limit {
                next = rows.last().map(|(number, _): &(i32, DoorRow)| *number);
                break;
            }
            let row = DoorRow {
                seat,
                grade: line.label.grade,
                name: line.name,
                reservation: line.reservation_id,
                paid_at: shell.moment(&line.paid_at, &concert.time_zone),
            };
            rows.push((line.seat_number, row));
        }
        if is_last || next.is_some() {
            break;
        }
    }
    let status = if fault.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = DoorListPage {
        nav: ConcertNav { id, here: ConcertPart::DoorList },
        id,
        title: concert.title.clone(),
        when: shell.moment(&concert.starts_at, &concert.time_zone),
        fault,
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        first: after.map(|_| address(id, &text, None)),
        next: next.map(|next| address(id, &text, Some(next))),
        text,
        shell,
    };
    html(&page.shell, status, &page)
}

fn place_of(line: &DoorLine) -> SeatPlace {
    line.label.place()
}

async fn csv(
    State(app): State<SharedState>,
    _shell: CockpitShell,
    PathId(id): PathId<ConcertId>,
) -> HttpResult<Response> {
    door_list::csv(id, app.office.door_list(id).await?).await
}
