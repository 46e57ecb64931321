//! The seats of a concert: counted, added, blocked and freed on the map or in the list, changed, removed.

mod about;
mod act;
mod add;
mod ask;
mod choice;
mod counts;
mod page;

use crate::{
    cockpit::shell::CockpitShell,
    edge::{extract::PathId, problem::HttpResult, state::SharedState},
    html::hall_words::{HallWords, NamedWord},
};
pub(super) use add::plan_fault_words;
use axum::{Router, extract::State, response::Redirect, routing::get};
use frontrow_domain::{id::ConcertId, refusal::Refusal};
use frontrow_service::sale::HallView;

/// The routes of a concert's seats.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/operator/concerts/{concert_id}/seats", get(page::show))
        .route("/operator/concerts/{concert_id}/seats/about", get(about::show))
        .route("/operator/concerts/{concert_id}/seats/ask", get(to_seats).post(ask::ask))
        .route("/operator/concerts/{concert_id}/seats/set", get(to_seats).post(act::set))
        .route("/operator/concerts/{concert_id}/seats/add", get(add::show).post(add::send))
}

/// The path of the seats of a concert.
fn path(concert: ConcertId) -> String {
    format!("/operator/concerts/{concert}/seats")
}

/// The words of operators: they know of blocked seats, and that somebody else holds one is no news.
const WORDS: &[NamedWord] = &[
    ("held", "seats-held", &[]),
    ("blocked", "seats-blocked", &[]),
    ("hint", "seats-hint", &[]),
    ("whole", "seats-whole", &["place", "count"]),
    ("more-places", "seats-more-places", &["count"]),
    ("list", "seats-list-comma", &[]),
    ("unchosen", "seats-unchosen", &[]),
    ("chosen", "seats-chosen", &["count", "states", "places"]),
    ("state-count", "seats-state-count", &["state", "count"]),
    ("changed-meanwhile", "seats-changed-meanwhile", &["place", "state"]),
    ("gone-meanwhile", "seats-gone-meanwhile", &[]),
    ("whole-row", "seats-whole-row", &[]),
    ("whole-section", "seats-whole-section", &[]),
];

fn words_of(shell: &CockpitShell) -> HallWords {
    HallWords::of(shell).with(shell, WORDS)
}

/// A request for the seats of a concert.
struct SeatsVisit {
    shell: CockpitShell,
    app: SharedState,
    concert_id: ConcertId,
    words: HallWords,
}

impl SeatsVisit {
    fn of(shell: CockpitShell, app: SharedState, concert_id: ConcertId) -> Self {
        let words = words_of(&shell);
        Self { shell, app, concert_id, words }
    }

    /// For a change.
    ///
    /// # Errors
    /// 403: the visitor may only look.
    fn changing(shell: CockpitShell, app: SharedState, concert_id: ConcertId) -> HttpResult<Self> {
        if shell.may_change() { Ok(Self::of(shell, app, concert_id)) } else { Err(Refusal::Forbidden.into()) }
    }

    async fn hall(&self) -> HttpResult<HallView> {
        Ok(self.app.office.hall_view(self.concert_id).await?)
    }

    fn path(&self) -> String {
        path(self.concert_id)
    }
}

/// The address of a form, opened as a page: by a reload, or by the way back from a sign-in.
async fn to_seats(State(_app): State<SharedState>, PathId(concert_id): PathId<ConcertId>) -> Redirect {
    Redirect::to(&path(concert_id))
}
