//! `/operator`: the concerts, by start.

use super::shell::CockpitShell;
use crate::{
    edge::{problem::HttpResult, state::SharedState},
    html::{sale_words::SaleWords, shell::html},
};
use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use frontrow_domain::time::Time;
use frontrow_service::sale::ShownConcert;

/// A concert as the page lists it.
struct ConcertLine {
    title: String,
    venue: String,
    when: String,
    sale: SaleWords,
}

impl ConcertLine {
    fn of(shell: &CockpitShell, shown: &ShownConcert, now: Time) -> Self {
        let concert = &shown.on_sale.concert;
        Self {
            title: concert.title.clone(),
            venue: concert.venue.clone(),
            when: shell.moment(&concert.starts_at, &concert.time_zone),
            sale: SaleWords::of(shell, shown.on_sale.state, now, &concert.time_zone),
        }
    }
}

#[derive(Template)]
#[template(path = "cockpit/home.html")]
struct HomePage {
    shell: CockpitShell,
    concerts: Vec<ConcertLine>,
}

pub(super) async fn show(State(app): State<SharedState>, shell: CockpitShell) -> HttpResult<Response> {
    let season = app.office.season().await?;
    let now = app.office.now();
    let concerts = season.concerts.iter().map(|shown| ConcertLine::of(&shell, shown, now)).collect();
    let page = HomePage { shell, concerts };
    html(&page.shell, StatusCode::OK, &page)
}
