//! Concerts: their list, each with what can be done about it, and the forms that make and change them.

mod acts;
mod draft;
mod edit;
mod form;
mod list;
mod poster;
mod start;

use crate::{
    cockpit::{
        audit::log_of,
        nav::{ConcertNav, ConcertPart},
        shell::CockpitShell,
        tables::Link,
    },
    edge::{extract::PathId, problem::HttpResult, state::SharedState},
    html::{paths, sale_words::SaleWords, shell::html},
};
use acts::{RefundsAsked, StageAct};
use askama::Template;
use axum::{Router, extract::State, http::StatusCode, response::Response, routing::get};
use form::StagePage;
use frontrow_domain::{
    id::ConcertId,
    line::{OpeningOrder, Room},
    refusal::Refusal,
    sale::{Concert, ConcertDetails, PosterMark},
    time::Time,
};
use frontrow_service::sale::SaleState;
use frontrow_storage::SeatCounts;
pub(super) use list::ConcertLine;
pub(super) use start::PATH as START_PATH;

/// The routes of concerts.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/operator/concerts", get(list::show))
        .route("/operator/concerts/new", get(edit::show_new).post(edit::create))
        .route("/operator/concerts/{concert_id}", get(show))
        .route("/operator/concerts/{concert_id}/edit", get(edit::show).post(edit::update))
        .route("/operator/concerts/{concert_id}/poster", get(poster::show).post(poster::send))
        .route("/operator/concerts/{concert_id}/act", get(acts::to_concert))
        .route("/operator/concerts/{concert_id}/act/{act}", get(acts::show).post(acts::send))
        .merge(start::routes())
}

/// The page of a concert.
pub(super) fn path_of(concert: ConcertId) -> String {
    format!("/operator/concerts/{concert}")
}

/// The page that goes on with the steps of a concert that is being made.
pub(super) fn steps_of(concert: ConcertId) -> String {
    format!("{START_PATH}/{concert}")
}

/// Refuses a change by a viewer.
fn check_may_change(shell: &CockpitShell) -> HttpResult<()> {
    if shell.may_change() { Ok(()) } else { Err(Refusal::Forbidden.into()) }
}

/// A form that came back with what is wrong.
fn refused(page: &StagePage) -> HttpResult<Response> {
    html(&page.shell, StatusCode::UNPROCESSABLE_ENTITY, page)
}

/// A request for a page of a concert: the concert as it stands in the database.
struct ConcertVisit {
    shell: CockpitShell,
    concert: Concert,
    details: ConcertDetails,
    poster: Option<PosterMark>,
    seats: SeatCounts,
    room: Room,
    /// The order of an opening unless another is chosen.
    usual_opening: OpeningOrder,
    /// Whether its steps are not finished.
    is_being_made: bool,
    now: Time,
}

impl ConcertVisit {
    async fn of(shell: CockpitShell, app: &SharedState, id: ConcertId) -> HttpResult<Self> {
        let (books, now) = (app.office.concert_books(id).await?, app.office.now());
        let profile = app.office.profile(id).await?;
        let room = app.office.room(books.concert.room_id).await?.room;
        Ok(Self {
            shell,
            is_being_made: books.concert.is_being_made(now),
            now,
            details: profile.details.clone(),
            poster: profile.poster,
            concert: books.concert,
            seats: books.seats,
            room,
            usual_opening: app.office.policy().opening,
        })
    }

    fn total(&self) -> i64 {
        let SeatCounts { available, held, sold, blocked } = self.seats;
        available.saturating_add(held).saturating_add(sold).saturating_add(blocked)
    }
}

/// A fact about a concert.
#[derive(Debug)]
struct StageFact {
    name: String,
    value: String,
}

#[derive(Template)]
#[template(path = "cockpit/concerts/show.html")]
struct StageShowPage {
    shell: CockpitShell,
    nav: ConcertNav,
    title: String,
    when: String,
    sale: SaleWords,
    status_reason: Option<String>,
    facts: Vec<StageFact>,
    path: String,
    concert_id: ConcertId,
    as_buyer: String,
    is_being_made: bool,
    acts: Vec<(&'static str, String)>,
    log: Link,
}

async fn show(
    State(app): State<SharedState>,
    shell: CockpitShell,
    PathId(id): PathId<ConcertId>,
) -> HttpResult<Response> {
    let visit = ConcertVisit::of(shell, &app, id).await?;
    let now = app.office.now();
    let page = visit.page(now);
    html(&page.shell, StatusCode::OK, &page)
}

impl ConcertVisit {
    fn page(self, now: Time) -> StageShowPage {
        let total = self.total();
        let Self { shell, concert, seats, is_being_made, .. } = self;
        let zone = concert.time_zone.as_str();
        let fact = |name: &str, value: String| StageFact { name: shell.t(name), value };
        let room = match concert.room_id.concert() {
            Some(_) => shell.t("stage-room-own"),
            None => shell.t("stage-room-house"),
        };
        let opening = if concert.has_no_opening() {
            shell.t("stage-opens-unknown")
        } else {
            shell.exact_moment(&concert.opens_at, zone)
        };
        let sold = shell.t2("stage-sold-of", "sold", seats.sold, "total", total);
        let facts = vec![
            fact("stage-number", concert.concert_id.to_string()),
            fact("stage-venue", concert.venue.clone()),
            fact("stage-zone", concert.time_zone.clone()),
            fact("stage-opens", opening),
            fact("stage-closes", shell.exact_moment(&concert.closes_at, zone)),
            fact("stage-seats", sold),
            fact("stage-room", room),
            fact("stage-price", shell.money(&concert.base_price)),
        ];
        let asked = if concert.refund_all_at.is_some() { RefundsAsked::Yes } else { RefundsAsked::No };
        let acts = StageAct::ALL.into_iter().filter(|act| {
            shell.may_change() && act.is_open(concert.status, asked) && (!is_being_made || act.is_of_steps_too())
        });
        StageShowPage {
            nav: ConcertNav { id: concert.concert_id, here: ConcertPart::Concert },
            when: shell.moment(&concert.starts_at, zone),
            sale: SaleWords::of(&shell, SaleState::of(&concert, seats, now), now, zone),
            status_reason: concert.status_reason.clone(),
            facts,
            path: path_of(concert.concert_id),
            concert_id: concert.concert_id,
            as_buyer: paths::concert_for_operators(concert.concert_id),
            is_being_made,
            acts: acts.map(|act| (act.name(), act.title(&shell))).collect(),
            log: log_of(&shell, &format!("concert {}", concert.concert_id)),
            title: concert.title,
            shell,
        }
    }
}
