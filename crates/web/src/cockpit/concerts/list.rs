//! The list of concerts, by start: those to come, or all.

use super::path_of;
use crate::{
    cockpit::shell::CockpitShell,
    edge::{extract::Cursor, problem::HttpResult, state::SharedState},
    html::{
        figures,
        sale_words::SaleWords,
        shell::{HOME_ZONE, html},
    },
};
use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use frontrow_domain::{sale::Concert, time::Time};
use frontrow_service::sale::ConcertOnSale;
use frontrow_storage::{ConcertFilter, ConcertPlace, Page, SeatCounts};

/// How many concerts a page lists.
const LINES: u32 = 50;
/// How many characters of a search are looked for.
const SEARCH_LEN_MAX: usize = 100;

/// A concert in a list.
#[derive(Debug)]
pub(crate) struct ConcertLine {
    pub(crate) path: String,
    pub(crate) title: String,
    pub(crate) venue: String,
    pub(crate) when: String,
    pub(crate) sale: SaleWords,
    pub(crate) sold: String,
    pub(crate) is_being_made: bool,
}

impl ConcertLine {
    pub(crate) fn of(shell: &CockpitShell, on_sale: &ConcertOnSale, now: Time) -> Self {
        let ConcertOnSale { concert, seats, state, .. } = on_sale;
        let Concert { title, venue, starts_at, time_zone, .. } = concert;
        Self {
            path: path_of(concert.concert_id),
            title: title.clone(),
            venue: venue.clone(),
            when: shell.moment(starts_at, time_zone),
            sale: SaleWords::of(shell, *state, now, time_zone),
            sold: sold_of(shell, *seats),
            is_being_made: concert.is_being_made(now),
        }
    }
}

fn sold_of(shell: &CockpitShell, SeatCounts { available, held, sold, blocked }: SeatCounts) -> String {
    let total = available.saturating_add(held).saturating_add(sold).saturating_add(blocked);
    shell.t2("stage-sold-of", "sold", sold, "total", total)
}

#[derive(Template)]
#[template(path = "cockpit/concerts/list.html")]
struct StageListPage {
    shell: CockpitShell,
    q: String,
    /// Whether past concerts are listed too.
    has_past: bool,
    lines: Vec<ConcertLine>,
    next: Option<String>,
}

/// What the page's query asks for. Whatever else it has does not count.
#[derive(Debug, Default)]
struct StageListQuery {
    q: String,
    has_past: bool,
    after: Option<ConcertPlace>,
}

impl StageListQuery {
    fn of(query: &str) -> Self {
        let mut asked = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "q" => asked.q = value.trim().chars().take(SEARCH_LEN_MAX).collect(),
                "past" => asked.has_past = value == "1",
                "after" => {
                    let cursor = serde_json::from_value::<Cursor<ConcertPlace>>(value.into_owned().into());
                    asked.after = cursor.ok().map(|Cursor(place)| place);
                }
                _ => {}
            }
        }
        asked
    }

    fn path(&self, after: &ConcertPlace) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !self.q.is_empty() {
            query.append_pair("q", &self.q);
        }
        if self.has_past {
            query.append_pair("past", "1");
        }
        query.append_pair("after", &Cursor(after).to_string());
        format!("/operator/concerts?{}", query.finish())
    }
}

pub(super) async fn show(
    State(app): State<SharedState>,
    shell: CockpitShell,
    RawQuery(query): RawQuery,
) -> HttpResult<Response> {
    let asked = StageListQuery::of(&query.unwrap_or_default());
    let now = app.office.now();
    // A date at the venue may be that of yesterday here.
    let yesterday = figures::local(now, HOME_ZONE).date().yesterday().ok();
    let filter = ConcertFilter {
        text: Some(asked.q.clone()).filter(|q| !q.is_empty()),
        from: yesterday.filter(|_| !asked.has_past),
        ..ConcertFilter::default()
    };
    let rows = app.office.concerts(filter, Page { after: asked.after, limit: LINES }).await?;
    let is_full = u32::try_from(rows.len()).is_ok_and(|len| len == LINES);
    let next = rows.last().filter(|_| is_full).map(|row| asked.path(&ConcertPlace::of(&row.concert)));
    let lines = rows.iter().map(|row| ConcertLine::of(&shell, row, now)).collect();
    let page = StageListPage { shell, q: asked.q, has_past: asked.has_past, lines, next };
    html(&page.shell, StatusCode::OK, &page)
}
