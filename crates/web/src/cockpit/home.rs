//! `/operator`: the sales that are open or open soon, then the other concerts to come; without a concert, the way to the
//! first.

use super::{
    concerts::{ConcertLine, START_PATH},
    shell::CockpitShell,
};
use crate::{
    edge::{problem::HttpResult, state::SharedState},
    html::shell::html,
};
use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use frontrow_domain::{
    id::RoomId,
    time::{Span, Time},
};
use frontrow_service::sale::{SaleState, ShownConcert};
use frontrow_storage::{ConcertFilter, Page};
use std::collections::HashMap;

/// A sale that opens within this time is one of those to look at first.
const SOON: Span = Span::from_secs(24 * 3_600);

/// A sale of today.
struct SaleOfToday {
    line: ConcertLine,
    /// How many seconds until it opens, in words; none once it is open.
    opens_in: Option<String>,
    waiting: String,
}

#[derive(Template)]
#[template(path = "cockpit/home.html")]
struct HomePage {
    shell: CockpitShell,
    today: Vec<SaleOfToday>,
    rest: Vec<ConcertLine>,
    start: &'static str,
    /// Whether the box office has no concert at all.
    is_empty: bool,
}

fn is_of_today(shown: &ShownConcert, now: Time) -> bool {
    match shown.on_sale.state {
        SaleState::Opens { at } => at.since(now) <= SOON,
        SaleState::OnSale { .. } | SaleState::FewLeft { .. } | SaleState::AllHeld | SaleState::SoldOut => true,
        SaleState::NoSeats | SaleState::Closed | SaleState::Postponed | SaleState::Cancelled | SaleState::Over => false,
    }
}

pub(super) async fn show(State(app): State<SharedState>, shell: CockpitShell) -> HttpResult<Response> {
    let season = app.office.season().await?;
    let now = app.office.now();
    let waiting: HashMap<RoomId, i64> =
        app.office.rooms().into_iter().map(|room| (room.room.room_id, room.waiting)).collect();
    let (mut today, mut rest) = (Vec::new(), Vec::new());
    for shown in &season.concerts {
        let line = ConcertLine::of(&shell, &shown.on_sale, now);
        if !is_of_today(shown, now) {
            rest.push(line);
            continue;
        }
        let opens_in = match shown.on_sale.state {
            SaleState::Opens { at } => Some(shell.length(at.since(now))),
            _ => None,
        };
        let count = waiting.get(&shown.on_sale.concert.room_id).copied().unwrap_or(0);
        let waiting = shell.t1("stage-waiting", "count", count);
        today.push((shown.on_sale.concert.opens_at, SaleOfToday { line, opens_in, waiting }));
    }
    today.sort_by_key(|(opens_at, _)| *opens_at);
    let is_empty = season.concerts.is_empty() && has_no_concert(&app).await?;
    let today = today.into_iter().map(|(_, sale)| sale).collect();
    let page = HomePage { shell, today, rest, start: START_PATH, is_empty };
    html(&page.shell, StatusCode::OK, &page)
}

async fn has_no_concert(app: &SharedState) -> HttpResult<bool> {
    let first = app.office.concerts(ConcertFilter::default(), Page { after: None, limit: 1 }).await?;
    Ok(first.is_empty())
}
