//! The list of concerts, by start: those to come, or all.

use super::path_of;
use crate::{
    cockpit::{shell::CockpitShell, tables::Narrowing},
    edge::{
        extract::{Cursor, QueryParams},
        problem::HttpResult,
        state::SharedState,
    },
    html::{
        figures,
        sale_words::SaleWords,
        shell::{HOME_ZONE, html},
    },
};
use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use frontrow_domain::{sale::Concert, time::Time};
use frontrow_service::sale::ConcertOnSale;
use frontrow_storage::{ConcertFilter, ConcertPlace, Page, SeatCounts};
use serde::Deserialize;

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
    text: Narrowing,
    /// Whether past concerts are listed too.
    has_past: bool,
    lines: Vec<ConcertLine>,
    next: Option<String>,
}

/// That past concerts are listed too.
#[derive(Debug, Deserialize)]
enum PastToo {
    #[serde(rename = "1")]
    Yes,
}

/// What narrows the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StageListQuery {
    q: Option<String>,
    past: Option<PastToo>,
    after: Option<Cursor<ConcertPlace>>,
}

impl StageListQuery {
    fn path(&self, after: &ConcertPlace) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(q) = &self.q {
            query.append_pair("q", q);
        }
        if self.past.is_some() {
            query.append_pair("past", "1");
        }
        query.append_pair("after", &Cursor(after).to_string());
        format!("/operator/concerts?{}", query.finish())
    }
}

pub(super) async fn show(
    State(app): State<SharedState>,
    shell: CockpitShell,
    QueryParams(query): QueryParams<StageListQuery>,
) -> HttpResult<Response> {
    let field = Narrowing::read(shell.t("stage-search"), "q", query.q.as_deref());
    let is_taken = |text: &str| (text.chars().count() <= SEARCH_LEN_MAX).then(|| text.to_owned());
    let (text, field) = field.taken(&shell, "orders-field-long", is_taken);
    let now = app.office.now();
    // A date at the venue may be that of yesterday here.
    let yesterday = figures::local(now, HOME_ZONE).date().yesterday().ok();
    let filter = ConcertFilter { text, from: yesterday.filter(|_| query.past.is_none()), ..ConcertFilter::default() };
    let page = Page { after: query.after.as_ref().map(|cursor| cursor.0), limit: LINES };
    let rows = if field.fault.is_some() { Vec::new() } else { app.office.concerts(filter, page).await? };
    let is_full = u32::try_from(rows.len()).is_ok_and(|len| len == LINES);
    let next = rows.last().filter(|_| is_full).map(|row| query.path(&ConcertPlace::of(&row.concert)));
    let lines = rows.iter().map(|row| ConcertLine::of(&shell, row, now)).collect();
    let status = if field.fault.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = StageListPage { shell, text: field, has_past: query.past.is_some(), lines, next };
    html(&page.shell, status, &page)
}
