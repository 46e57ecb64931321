//! The page of a concert's seats: the counts, the map and the list, and what was done last.

use super::{
    SeatsVisit,
    choice::SeatChoice,
    counts::{self, CountedGrade},
};
use crate::{
    cockpit::{
        concerts::steps_of,
        nav::{ConcertNav, ConcertPart},
        shell::CockpitShell,
    },
    edge::{
        extract::PathId,
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    html::{
        grade_looks::styles_of,
        seat_list::{ListPart, ListView, ListedSection},
        shell::html,
    },
};
use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use frontrow_domain::id::{ConcertId, SeatId};
use frontrow_storage::SeatCounts;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// A grade as the scripts know it.
#[derive(Debug, Serialize)]
struct SaidSeatGrade<'a> {
    name: &'a str,
    mark: &'a str,
    place: usize,
    style: &'static str,
}

/// What the scripts are told.
#[derive(Serialize)]
struct SaidSeats<'a> {
    map: String,
    about: String,
    concert: ConcertId,
    chosen: &'a [SeatId],
    grades: Vec<SaidSeatGrade<'a>>,
    words: &'a BTreeMap<&'static str, String>,
}

/// A grade of the legend.
#[derive(Debug)]
struct LegendGrade {
    name: String,
    mark: String,
    style: &'static str,
}

#[derive(Template)]
#[template(path = "cockpit/seats/page.html")]
struct SeatsPage {
    shell: CockpitShell,
    nav: ConcertNav,
    path: String,
    title: String,
    when: String,
    venue: String,
    /// The steps of a concert that is being made.
    steps: Option<String>,
    /// What was done last.
    did: Option<String>,
    counts: SeatCounts,
    total: i64,
    counted: Vec<CountedGrade>,
    grades: Vec<LegendGrade>,
    sections: Vec<ListedSection>,
    said: String,
}

impl SeatsPage {
    fn lists_rows(&self) -> bool {
        self.sections.iter().any(|section| !section.rows.is_empty())
    }
}

/// What a query says beside the part of the list: what was done last, and seats to choose.
#[derive(Debug, Default)]
struct SeatsQuery {
    did: Option<(String, i64)>,
    chosen: String,
}

impl SeatsQuery {
    fn of(query: &str) -> Self {
        let (mut act, mut count, mut chosen) = (String::new(), None, String::new());
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "did" => act = value.into_owned(),
                "count" => count = value.parse::<i64>().ok().filter(|count| *count > 0),
                "seats" => chosen = value.into_owned(),
                _ => {}
            }
        }
        Self { did: count.map(|count| (act, count)), chosen }
    }

    fn did(&self, shell: &CockpitShell) -> Option<String> {
        let (act, count) = self.did.as_ref()?;
        Some(match act.as_str() {
            "block" => shell.t1("seats-did-block", "count", *count),
            "free" => shell.t1("seats-did-free", "count", *count),
            "change" => shell.t1("seats-did-change", "count", *count),
            "remove" => shell.t1("seats-did-remove", "count", *count),
            "add" => shell.t1("seats-did-add", "count", *count),
            _ => return None,
        })
    }
}

/// The seats of a concert.
pub(super) async fn show(
    State(app): State<SharedState>,
    shell: CockpitShell,
    PathId(concert_id): PathId<ConcertId>,
    RawQuery(query): RawQuery,
) -> HttpResult<Response> {
    let query = query.unwrap_or_default();
    let visit = SeatsVisit::of(shell, app, concert_id);
    visit.page(&ListPart::of_query(&query), &SeatsQuery::of(&query)).await
}

impl SeatsVisit {
    async fn page(self, part: &ListPart, query: &SeatsQuery) -> HttpResult<Response> {
        let view = self.hall().await?;
        let (concert, order) = (&view.on_sale.concert, &view.seats.order);
        let styles = styles_of(order);
        let style = |place: usize| styles.get(place).copied().unwrap_or_default();
        let chosen = SeatChoice::of_text(&query.chosen, order).unwrap_or_default().seats;
        let list = ListView {
            path: &self.path(),
            hall: &view.seats,
            overview: &view.overview,
            shell: &self.shell,
            words: &self.words,
            styles: &styles,
            mine: &HashSet::new(),
            chosen: &chosen,
        };
        let said = SaidSeats {
            map: format!("/api/v1/concerts/{}/seats", self.concert_id),
            about: format!("{}/about", self.path()),
            concert: self.concert_id,
            chosen: &chosen,
            grades: order
                .grades
                .iter()
                .enumerate()
                .map(|(place, grade)| SaidSeatGrade {
                    name: &grade.name,
                    mark: &grade.mark,
                    place,
                    style: style(place),
                })
                .collect(),
            words: self.words.all(),
        };
        let page = SeatsPage {
            nav: ConcertNav { id: self.concert_id, here: ConcertPart::Seats },
            path: self.path(),
            title: concert.title.clone(),
            when: self.shell.moment(&concert.starts_at, &concert.time_zone),
            venue: concert.venue.clone(),
            steps: concert.is_being_made(self.app.office.now()).then(|| steps_of(self.concert_id)),
            did: query.did(&self.shell),
            counts: view.overview.counts,
            total: counts::total(&view.overview.counts),
            counted: counts::of(&self.shell, &self.words, &view.seats, &styles),
            grades: order
                .grades
                .iter()
                .enumerate()
                .map(|(place, grade)| LegendGrade {
                    name: if grade.name.is_empty() {
                        self.words.word("nograde").to_owned()
                    } else {
                        grade.name.clone()
                    },
                    mark: grade.mark.clone(),
                    style: style(place),
                })
                .collect(),
            sections: list.sections(part),
            said: serde_json::to_string(&said).map_err(Problem::internal)?,
            shell: self.shell,
        };
        html(&page.shell, StatusCode::OK, &page)
    }
}
