//! What there is to know of chosen seats: their state and, if they are blocked, why, by whom and since when.

use super::{
    SeatsVisit,
    choice::{self, SeatChoice},
};
use crate::{
    cockpit::shell::CockpitShell,
    edge::{extract::PathId, problem::HttpResult, state::SharedState},
    html::{hall_words::SeatWord, shell::html},
};
use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use frontrow_domain::{
    id::{ConcertId, SeatId},
    sale::SeatStatus,
};
use frontrow_service::{sale::HallView, seat_facts::SeatBlocker};
use std::collections::BTreeMap;

/// Of how many blocked seats the page looks up who blocked them.
const LOOKED_UP_MAX: usize = 2_000;

/// Seats that are alike.
#[derive(Debug)]
struct AlikeSeats {
    state: String,
    look: &'static str,
    count: i64,
    places: String,
    reason: Option<String>,
    /// By whom, and since when.
    since: Option<String>,
}

#[derive(Template)]
#[template(path = "cockpit/seats/about.html")]
struct AboutPage {
    shell: CockpitShell,
    path: String,
    title: String,
    count: usize,
    groups: Vec<AlikeSeats>,
}

/// About the seats that a query names.
pub(super) async fn show(
    State(app): State<SharedState>,
    shell: CockpitShell,
    PathId(concert_id): PathId<ConcertId>,
    RawQuery(query): RawQuery,
) -> HttpResult<Response> {
    let visit = SeatsVisit::of(shell, app, concert_id);
    let view = visit.hall().await?;
    let query = query.unwrap_or_default();
    let seats = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "seats");
    let choice = SeatChoice::of_text(&seats.map(|(_, seats)| seats).unwrap_or_default(), &view.seats.order)?;
    visit.about(&view, &choice).await
}

impl SeatsVisit {
    /// The page about chosen seats.
    pub(super) async fn about(self, view: &HallView, choice: &SeatChoice) -> HttpResult<Response> {
        let (office, order) = (&self.app.office, &view.seats.order);
        let rows = office.seat_rows(self.concert_id, &choice.seats).await?;
        let blocked: Vec<_> =
            rows.iter().filter(|seat| seat.status() == SeatStatus::Blocked).take(LOOKED_UP_MAX).cloned().collect();
        let blockers = office.seat_blockers(self.concert_id, &blocked).await?;
        let mut alike: BTreeMap<(usize, Option<&SeatBlocker>), Vec<SeatId>> = BTreeMap::new();
        for seat in &rows {
            let place = [SeatStatus::Available, SeatStatus::Held, SeatStatus::Sold, SeatStatus::Blocked]
                .iter()
                .position(|status| *status == seat.status())
                .unwrap_or_default();
            alike.entry((place, blockers.get(&seat.seat_id))).or_default().push(seat.seat_id);
        }
        let zone = &view.on_sale.concert.time_zone;
        let groups = alike.into_iter().map(|((place, blocker), seats)| {
            let word = [SeatWord::Free, SeatWord::Held, SeatWord::Sold, SeatWord::Blocked]
                .get(place)
                .copied()
                .unwrap_or(SeatWord::Blocked);
            AlikeSeats {
                state: self.words.word(word.name()).to_owned(),
                look: word.name(),
                count: i64::try_from(seats.len()).unwrap_or(i64::MAX),
                places: choice::in_words(order, &self.words, &seats),
                reason: blocker.map(|blocker| blocker.reason.clone()),
                since: blocker.map(|blocker| {
                    let when = self.shell.exact_moment(&blocker.at, zone);
                    match &blocker.name {
                        Some(name) => self.shell.t2("seats-blocked-by", "name", name, "when", when),
                        None => self.shell.t1("seats-blocked-since", "when", when),
                    }
                }),
            }
        });
        let page = AboutPage {
            path: self.path(),
            title: view.on_sale.concert.title.clone(),
            count: rows.len(),
            groups: groups.collect(),
            shell: self.shell,
        };
        html(&page.shell, StatusCode::OK, &page)
    }
}
