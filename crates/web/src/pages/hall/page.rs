//! The page of a hall as it is shown, and what its scripts are told.

use super::{
    HallVisit,
    refused::Comeback,
    standing::{NextStep, Standing},
    tray::Tray,
};
use crate::{
    edge::{
        auth::SignedIn,
        problem::{HttpResult, Problem},
    },
    html::{
        forms::fresh_key,
        grade_looks::styles_of,
        hall_words::HallWords,
        paths,
        seat_list::{ListView, ListedSection},
        shell::{Shell, html},
    },
};
use askama::Template;
use axum::{http::StatusCode, response::Response};
use frontrow_domain::{
    id::{ConcertId, SeatId},
    money::Money,
    sale::ReservationStatus,
    time::Time,
};
use frontrow_service::sale::Ticket;
use frontrow_storage::{Page, ReservationFilter};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// How many of a buyer's reservations of one status are read for the concert: more than a buyer may have.
const RESERVATIONS_MAX: u32 = 100;

/// A grade as the legend shows it.
#[derive(Debug)]
struct ShownGrade {
    name: String,
    mark: String,
    style: &'static str,
    lowest: Money,
    highest: Money,
}

/// A grade as the scripts know it: every grade of the hall, also one that is not for sale.
#[derive(Debug, Serialize)]
struct SaidGrade<'a> {
    name: &'a str,
    mark: &'a str,
    place: usize,
    style: &'static str,
}

/// What the scripts are told.
#[derive(Serialize)]
struct Said<'a> {
    map: String,
    concert: ConcertId,
    limit: i64,
    may_choose: bool,
    turn: Option<&'a str>,
    /// The page of the place in line.
    line: Option<&'a str>,
    page: String,
    mine: &'a HashSet<SeatId>,
    /// The seats of a choice that comes back, also those that are not in the list of the page.
    chosen: &'a [SeatId],
    grades: Vec<SaidGrade<'a>>,
    words: BTreeMap<&'static str, String>,
}

#[derive(Template)]
#[template(path = "hall.html")]
struct HallPage {
    shell: Shell,
    concert_id: ConcertId,
    title: String,
    when: String,
    venue: String,
    limit: i64,
    left: i64,
    /// How long a hold lasts.
    hold: String,
    standing: Standing,
    /// How much of the turn is left, in milliseconds.
    turn_left_ms: i64,
    comeback: Option<Comeback>,
    tray: Tray,
    grades: Vec<ShownGrade>,
    sections: Vec<ListedSection>,
    key: String,
    said: String,
    time_zone: String,
}

impl HallPage {
    fn may_choose(&self) -> bool {
        matches!(self.standing, Standing::Turn(_)) && self.left > 0
    }

    fn token(&self) -> &str {
        match &self.standing {
            Standing::Turn(turn) => &turn.token,
            Standing::Study { .. } => "",
        }
    }

    /// When the turn is over, if it is on and that is known.
    fn turn_until(&self) -> Option<Time> {
        match &self.standing {
            Standing::Turn(turn) => turn.until,
            Standing::Study { .. } => None,
        }
    }

    /// Whether the list has seats, and not only sections.
    fn lists_rows(&self) -> bool {
        self.sections.iter().any(|section| !section.rows.is_empty())
    }

    fn path(&self) -> String {
        paths::seats(self.concert_id)
    }

    fn prices(&self, grade: &ShownGrade) -> String {
        let lowest = self.shell.money(&grade.lowest);
        if grade.lowest == grade.highest { lowest } else { format!("{lowest}–{}", self.shell.money(&grade.highest)) }
    }
}

impl HallVisit {
    pub(super) async fn page(self, comeback: Option<Comeback>) -> HttpResult<Response> {
        let office = &self.app.office;
        let view = office.hall_view(self.concert_id).await?;
        let standing = self.standing(&view).await?;
        let tickets = match self.buyer {
            Some(buyer) => self.tickets(buyer).await?,
            None => Vec::new(),
        };
        let (concert, order) = (view.on_sale.concert, &view.seats.order);
        let words = HallWords::of(&self.shell);
        let styles = styles_of(order);
        let limit = i64::from(office.policy().max_seats_per_user);
        let mine: HashSet<SeatId> = tickets.iter().map(|ticket| ticket.reservation.seat_id).collect();
        let left = limit.saturating_sub(i64::try_from(mine.len()).unwrap_or(limit)).max(0);
        let chosen = comeback.as_ref().map_or(&[][..], |comeback| &comeback.chosen);
        let path = paths::seats(self.concert_id);
        let list = ListView {
            path: &path,
            hall: &view.seats,
            overview: &view.overview,
            shell: &self.shell,
            words: &words,
            styles: &styles,
            mine: &mine,
            chosen,
        };
        let sections = list.sections(&self.part);
        let style = |place: usize| styles.get(place).copied().unwrap_or_default();
        let turn = match &standing {
            Standing::Turn(turn) => Some(turn),
            Standing::Study { .. } => None,
        };
        let said = Said {
            map: format!("/api/v1/concerts/{}/seats", self.concert_id),
            concert: self.concert_id,
            limit: left,
            may_choose: turn.is_some() && left > 0,
            turn: turn.map(|turn| turn.token.as_str()),
            line: turn.map(|turn| turn.line.as_str()),
            page: paths::seats(self.concert_id),
            mine: &mine,
            chosen,
            grades: order
                .grades
                .iter()
                .enumerate()
                .map(|(place, grade)| SaidGrade { name: &grade.name, mark: &grade.mark, place, style: style(place) })
                .collect(),
            words: words.for_scripts(&self.shell, left),
        };
        let said = serde_json::to_string(&said).map_err(Problem::internal)?;
        let left_ms = |until: Time| until.since(view.now).millis().max(0);
        let status = comeback.as_ref().map_or(StatusCode::OK, |comeback| comeback.status);
        let page = HallPage {
            concert_id: self.concert_id,
            when: self.shell.moment(&concert.starts_at, &concert.time_zone),
            turn_left_ms: turn.and_then(|turn| turn.until).map_or(0, left_ms),
            tray: Tray::of(&tickets, order, &words, &styles, view.now),
            grades: view
                .overview
                .grades
                .iter()
                .map(|grade| ShownGrade {
                    name: if grade.name.is_empty() { words.word("nograde").to_owned() } else { grade.name.clone() },
                    mark: grade.mark.clone(),
                    style: style(grade.place),
                    lowest: grade.lowest,
                    highest: grade.highest,
                })
                .collect(),
            hold: self.shell.length(office.policy().hold),
            time_zone: concert.time_zone,
            title: concert.title,
            venue: concert.venue,
            limit,
            left,
            standing,
            comeback,
            sections,
            key: fresh_key(),
            said,
            shell: self.shell,
        };
        html(&page.shell, status, &page)
    }

    /// The seats that the buyer has in this concert: held or paid. Each status is read by itself: those that were held
    /// and let go are no seats, and may be many.
    async fn tickets(&self, buyer: SignedIn) -> HttpResult<Vec<Ticket>> {
        let office = &self.app.office;
        let filter = |status: ReservationStatus| ReservationFilter {
            user: Some(buyer.user_id),
            concert: Some(self.concert_id),
            status: Some(status),
        };
        let page = Page { after: None, limit: RESERVATIONS_MAX };
        let (held, paid) = (filter(ReservationStatus::Pending), filter(ReservationStatus::Confirmed));
        let (held, paid) = tokio::try_join!(office.reservations(&held, page), office.reservations(&paid, page))?;
        let now = office.now();
        Ok(held.into_iter().chain(paid).filter(|ticket| ticket.reservation.is_live(now)).collect())
    }
}
