//! The hall of a concert: a drawing and a list to choose seats from, the seats that a buyer holds, and what to do when
//! a seat was refused. Who has no turn yet looks around.

mod list;
mod words;

use self::{
    list::{ListPart, ListView, ListedSection, styles},
    words::HallWords,
};
use crate::{
    edge::{
        auth::{PublicRead, SignedIn},
        extract::{PathId, PathKey as _},
        form::FormFields,
        idempotency::IdempotencyKey,
        limit::{self, Hourly},
        problem::{HttpResult, Problem, codes},
        state::SharedState,
    },
    pages::{
        forms::{fresh_key, key_of},
        shell::{Shell, html},
    },
};
use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::{Method, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use frontrow_domain::{
    id::{ConcertId, ReservationId, SeatId},
    line::TokenStatus,
    money::Money,
    policy::SEATS_PER_COMMAND_MAX,
    refusal::Refusal,
    sale::{Concert, ConcertStatus, ReservationStatus},
    time::Time,
    user::Caller,
};
use frontrow_service::{
    office::ServiceError,
    sale::{SeatOffer, SeatSnapshot, Ticket},
};
use frontrow_storage::{Page, ReservationFilter};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// How many of a buyer's reservations for the concert are read: more than a buyer may have.
const RESERVATIONS_MAX: u32 = 100;

/// The routes of the hall.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/concerts/{concert_id}/seats", get(show))
        .route("/concerts/{concert_id}/holds", post(hold))
        .route("/holds/{reservation_id}/release", post(release))
}

/// Whether a visitor may choose seats now.
#[derive(Debug)]
enum Standing {
    /// The visitor has the turn, with this queue token.
    Turn { token: String },
    /// The visitor looks around; why, and the next step.
    Study { why: String, step: NextStep },
}

/// What a visitor without a turn can do.
#[derive(Debug)]
enum NextStep {
    /// Join the line, by a form with this key.
    Join { key: String },
    /// Go to another page.
    Go { to: String, words: String },
}

/// What a buyer holds here.
#[derive(Debug, Default)]
struct Tray {
    held: Vec<HeldSeat>,
    total: Money,
    /// When the first of the holds ends.
    ends_at: Option<Time>,
    /// Until then, in milliseconds.
    left_ms: i64,
}

#[derive(Debug)]
struct HeldSeat {
    reservation_id: ReservationId,
    place: String,
    mark: String,
    style: &'static str,
    price: Money,
    key: String,
}

/// A grade as the page shows it.
#[derive(Debug, Serialize)]
struct ShownGrade {
    name: String,
    mark: String,
    place: usize,
    style: &'static str,
    #[serde(skip)]
    least: Money,
    #[serde(skip)]
    most: Money,
}

/// What the scripts are told.
#[derive(Serialize)]
struct Said<'a> {
    map: String,
    limit: i64,
    may_choose: bool,
    turn: Option<&'a str>,
    page: String,
    mine: &'a HashSet<SeatId>,
    grades: &'a [ShownGrade],
    words: &'a BTreeMap<&'static str, String>,
}

/// Why a form came back, and what to do.
#[derive(Debug, Default)]
struct Comeback {
    status: StatusCode,
    why: String,
    /// What else is to be known, such as that no other seat was held either.
    more: Option<String>,
    /// Whether seats like the wanted ones were looked for.
    looked: bool,
    offers: Vec<ShownOffer>,
    chosen: Vec<SeatId>,
}

#[derive(Debug)]
struct ShownOffer {
    seats: Vec<SeatId>,
    places: String,
    total: Money,
    side_by_side: bool,
    key: String,
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
    minutes: i64,
    standing: Standing,
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
        matches!(self.standing, Standing::Turn { .. }) && self.left > 0
    }

    fn token(&self) -> &str {
        match &self.standing {
            Standing::Turn { token } => token,
            Standing::Study { .. } => "",
        }
    }

    /// Whether the list has seats, and not only sections.
    fn lists_rows(&self) -> bool {
        self.sections.iter().any(|section| !section.rows.is_empty())
    }

    fn path(&self) -> String {
        path_of(self.concert_id)
    }

    fn prices(&self, grade: &ShownGrade) -> String {
        let least = self.shell.money(&grade.least);
        if grade.least == grade.most { least } else { format!("{least}–{}", self.shell.money(&grade.most)) }
    }
}

fn path_of(concert: ConcertId) -> String {
    format!("/concerts/{concert}/seats")
}

/// A page about to be made.
struct HallVisit {
    shell: Shell,
    app: SharedState,
    concert_id: ConcertId,
    buyer: Option<SignedIn>,
    part: ListPart,
}

/// The hall.
async fn show(
    State(app): State<SharedState>,
    shell: Shell,
    buyer: Result<SignedIn, Problem>,
    _paid: PublicRead,
    PathId(concert_id): PathId<ConcertId>,
    RawQuery(query): RawQuery,
) -> HttpResult<Response> {
    let buyer = match buyer {
        Ok(buyer) => Some(buyer),
        Err(problem) if problem.code() == codes::UNAUTHORIZED.code => None,
        Err(problem) => return Err(problem),
    };
    HallVisit { shell, app, concert_id, buyer, part: part_of(query.as_deref().unwrap_or_default()) }.page(None).await
}

/// The part of the list that a query asks for. What cannot be read asks for nothing.
fn part_of(query: &str) -> ListPart {
    let mut part = ListPart::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "section" => part.section = Some(value.into_owned()),
            "from" => part.from = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    part
}

/// Holds the chosen seats, all or none.
async fn hold(
    State(app): State<SharedState>,
    shell: Shell,
    buyer: SignedIn,
    PathId(concert_id): PathId<ConcertId>,
    fields: FormFields,
) -> HttpResult<Response> {
    let visit = HallVisit { shell, app, concert_id, buyer: Some(buyer), part: ListPart::default() };
    let hall = visit.app.office.hall(concert_id).await?;
    let wish = match Wish::of(&fields, &hall) {
        Ok(wish) => wish,
        Err(fault) => return visit.refuse_form(fault).await,
    };
    let SignedIn { caller, .. } = buyer;
    let key = wish.key.bind(caller, &Method::POST, "/concerts/{id}/holds", &[&concert_id], &wish.seats)?;
    // Operators have no limit.
    if let Caller::Buyer(user) = caller {
        limit::spend(&visit.app, user, Hourly::Holds)?;
    }
    let held = match visit.app.office.verify_token(&wish.token).await {
        Ok(token) => visit.app.office.hold(caller, &token, wish.seats.clone(), key).await,
        Err(ServiceError::Refused(_)) => Err(Refusal::TokenInvalid.into()),
        Err(stop) => Err(stop),
    };
    match held {
        Ok(_) => Ok(Redirect::to(&format!("{}#tray", path_of(concert_id))).into_response()),
        Err(ServiceError::Refused(refusal) | ServiceError::RefusedBefore(refusal)) => {
            visit.refuse(&refusal, &hall, wish.seats).await
        }
        Err(stop) => Err(stop.into()),
    }
}

/// What a form asks for.
#[derive(Debug)]
struct Wish {
    seats: Vec<SeatId>,
    token: String,
    key: IdempotencyKey,
}

/// What is wrong with a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FormFault {
    NoSeat,
    TooManySeats,
    UnknownSeat,
    Broken,
}

impl Wish {
    fn of(fields: &FormFields, hall: &SeatSnapshot) -> Result<Self, FormFault> {
        let key = key_of(fields).map_err(|_| FormFault::Broken)?;
        let token = fields.one("token").map_err(|_| FormFault::Broken)?.to_owned();
        let mut seats = Vec::new();
        for text in fields.all("seat") {
            let seat = SeatId::from_text(text).map_err(|_| FormFault::UnknownSeat)?;
            if seats.contains(&seat) {
                return Err(FormFault::Broken);
            }
            if seats.len() == SEATS_PER_COMMAND_MAX {
                return Err(FormFault::TooManySeats);
            }
            // A token of the house room is good for the seats of other concerts too.
            if hall.order.spot(seat).is_none() {
                return Err(FormFault::UnknownSeat);
            }
            seats.push(seat);
        }
        if seats.is_empty() { Err(FormFault::NoSeat) } else { Ok(Self { seats, token, key }) }
    }
}

/// Gives a held seat up.
async fn release(
    State(app): State<SharedState>,
    SignedIn { caller, .. }: SignedIn,
    PathId(reservation_id): PathId<ReservationId>,
    fields: FormFields,
) -> HttpResult<Response> {
    let key = key_of(&fields)?.bind(caller, &Method::POST, "/holds/{id}/release", &[&reservation_id], &())?;
    let concert_id = app.office.reservation(caller, reservation_id).await?.reservation.concert_id;
    match app.office.cancel_reservation(caller, reservation_id, key).await {
        // If it was over already, the page without it says so.
        Ok(_) | Err(ServiceError::Refused(Refusal::HoldExpired { .. } | Refusal::ReservationNotPending)) => {
            Ok(Redirect::to(&format!("{}#tray", path_of(concert_id))).into_response())
        }
        Err(stop) => Err(stop.into()),
    }
}

impl HallVisit {
    /// The page again, for a form that cannot be read.
    async fn refuse_form(self, fault: FormFault) -> HttpResult<Response> {
        let shell = &self.shell;
        let why = match fault {
            FormFault::NoSeat => shell.t("hall-form-none"),
            FormFault::TooManySeats => shell.t1("hall-form-many", "seats", SEATS_PER_COMMAND_MAX),
            FormFault::UnknownSeat => shell.t("hall-form-seats"),
            FormFault::Broken => shell.t("hall-form-again"),
        };
        self.page(Some(Comeback { status: StatusCode::UNPROCESSABLE_ENTITY, why, ..Comeback::default() })).await
    }

    /// The page again, for a hold that was refused: until when the seat is held, and what is free instead.
    async fn refuse(self, refusal: &Refusal, hall: &SeatSnapshot, chosen: Vec<SeatId>) -> HttpResult<Response> {
        let shell = &self.shell;
        let concert = self.app.office.concert(self.concert_id).await?;
        let words = HallWords::of(shell);
        let place = |seat: &SeatId| {
            let label = hall.order.seat_of(*seat).map(|seat| seat.label.place());
            label.map_or_else(String::new, |place| words.place_of(&place))
        };
        let hour = |at: &Time| shell.exact_hour(at, &concert.time_zone);
        let (why, is_taken) = match refusal {
            Refusal::SeatHeld { seat_id, held_until, .. } => {
                (shell.t2("hall-refused-held", "place", place(seat_id), "when", hour(held_until)), true)
            }
            Refusal::SeatSold { seat_id } => (shell.t1("hall-refused-sold", "place", place(seat_id)), true),
            Refusal::SeatBlocked { seat_id } => (shell.t1("hall-refused-blocked", "place", place(seat_id)), true),
            Refusal::SeatCoolingDown { seat_id, until } => {
                (shell.t2("hall-refused-cooling", "place", place(seat_id), "when", hour(until)), false)
            }
            Refusal::SeatHeldByYou { seat_id, .. } => (shell.t1("hall-refused-mine", "place", place(seat_id)), false),
            Refusal::TooManySeats { limit } => (shell.t1("hall-refused-limit", "seats", i64::from(*limit)), false),
            other => {
                let title = shell.find(&format!("problem-{}", other.code()));
                let text = shell.find(&format!("problem-{}-text", other.code()));
                let words = [title.unwrap_or_else(|| shell.t("problem-other")), text.unwrap_or_default()];
                (words.join(". "), false)
            }
        };
        let offers =
            if is_taken { self.app.office.alternatives(self.concert_id, &chosen).await?.offers } else { Vec::new() };
        let is_of_seat = matches!(
            refusal,
            Refusal::SeatHeld { .. }
                | Refusal::SeatSold { .. }
                | Refusal::SeatBlocked { .. }
                | Refusal::SeatCoolingDown { .. }
                | Refusal::SeatHeldByYou { .. }
        );
        let more = (is_of_seat && chosen.len() > 1).then(|| shell.t("hall-nothing-held"));
        let offers = offers.iter().map(|offer| shown_offer(offer, &words)).collect();
        let status = Problem::from(refusal.clone()).into_response().status();
        self.page(Some(Comeback { status, why, more, looked: is_taken, offers, chosen })).await
    }

    async fn page(self, comeback: Option<Comeback>) -> HttpResult<Response> {
        let office = &self.app.office;
        let concert = office.concert(self.concert_id).await?;
        let concert = concert.seen_at(office.now());
        let hall = office.hall(self.concert_id).await?;
        let words = HallWords::of(&self.shell);
        let limit = i64::from(office.policy().max_seats_per_user);
        let (standing, tickets) = match &self.buyer {
            Some(buyer) => (self.standing(&concert, Some(*buyer)).await?, self.tickets(*buyer).await?),
            None => (self.standing(&concert, None).await?, Vec::new()),
        };
        let names: Vec<_> = hall.order.grades.iter().map(|grade| grade.name.as_str()).collect();
        let styles = styles(&names);
        let tray = self.tray(&tickets, &hall, &words, &styles);
        let mine: HashSet<SeatId> = tickets.iter().map(|ticket| ticket.reservation.seat_id).collect();
        let left = limit.saturating_sub(i64::try_from(mine.len()).unwrap_or(limit));
        let chosen = comeback.as_ref().map_or(&[][..], |comeback| &comeback.chosen);
        let view = ListView {
            concert: self.concert_id,
            hall: &hall,
            shell: &self.shell,
            words: &words,
            styles: &styles,
            mine: &mine,
            chosen,
        };
        let sections = view.sections(&self.part);
        let grades: Vec<_> = hall
            .order
            .grades
            .iter()
            .zip(&styles)
            .enumerate()
            .map(|(place, (grade, style))| ShownGrade {
                name: grade.name.clone(),
                mark: grade.mark.clone(),
                place,
                style,
                least: grade.least,
                most: grade.most,
            })
            .collect();
        let turn = match &standing {
            Standing::Turn { token } => Some(token.as_str()),
            Standing::Study { .. } => None,
        };
        let said = Said {
            map: format!("/api/v1/concerts/{}/seats", self.concert_id),
            limit: left,
            may_choose: turn.is_some() && left > 0,
            turn,
            page: path_of(self.concert_id),
            mine: &mine,
            grades: &grades,
            words: &words.0,
        };
        let said = serde_json::to_string(&said).map_err(Problem::internal)?;
        let minutes = office.policy().hold.millis() / 60_000;
        let status = comeback.as_ref().map_or(StatusCode::OK, |comeback| comeback.status);
        let page = HallPage {
            concert_id: self.concert_id,
            when: self.shell.moment(&concert.starts_at, &concert.time_zone),
            time_zone: concert.time_zone,
            title: concert.title,
            venue: concert.venue,
            limit,
            left,
            minutes,
            standing,
            comeback,
            tray,
            grades,
            sections,
            key: fresh_key(),
            said,
            shell: self.shell,
        };
        html(&page.shell, status, &page)
    }

    /// Whether the visitor may choose. A page that a buyer with a turn opens is a sign of life.
    async fn standing(&self, concert: &Concert, buyer: Option<SignedIn>) -> HttpResult<Standing> {
        let office = &self.app.office;
        let shell = &self.shell;
        let go = |why: &str, to: String, words: &str| Standing::Study {
            why: shell.t(why),
            step: NextStep::Go { to, words: shell.t(words) },
        };
        let about = || format!("/concerts/{}", self.concert_id);
        let join = |why: String| Standing::Study { why, step: NextStep::Join { key: fresh_key() } };
        let tokens = match buyer {
            Some(buyer) => office.live_tokens(buyer.user_id).await?,
            None => Vec::new(),
        };
        // An active token whose time is over is live until it is swept.
        let is_over = |deadline: Option<Time>| deadline.is_some_and(|deadline| deadline <= office.now());
        let place = tokens.into_iter().find(|place| {
            place.token.id.room_id == concert.room_id
                && !(place.line.status == TokenStatus::Active && is_over(place.line.deadline))
        });
        if let Some(place) = place {
            return Ok(match place.line.status {
                TokenStatus::Active => {
                    let token = office.verified(&place.signed).await?;
                    office.position(&token).await;
                    Standing::Turn { token: place.signed }
                }
                TokenStatus::Offered => go("hall-turn", line_of(self.concert_id), "hall-to-place"),
                TokenStatus::Waiting | TokenStatus::Dormant | TokenStatus::Missed | TokenStatus::Ended => {
                    go("hall-waiting", line_of(self.concert_id), "hall-to-place")
                }
            });
        }
        Ok(match concert.status {
            ConcertStatus::Postponed => go("hall-postponed", about(), "hall-to-concert"),
            ConcertStatus::Cancelled => go("hall-cancelled", about(), "hall-to-concert"),
            ConcertStatus::Closed | ConcertStatus::Over => go("hall-closed", about(), "hall-to-concert"),
            ConcertStatus::Scheduled if office.now() >= concert.closes_at => {
                go("hall-closed", about(), "hall-to-concert")
            }
            ConcertStatus::Scheduled if office.now() < concert.opens_at => {
                let when = shell.moment(&concert.opens_at, &concert.time_zone);
                join(shell.t1("hall-opens", "when", when))
            }
            ConcertStatus::Scheduled => join(shell.t("hall-on-sale")),
        })
    }

    /// The seats that the buyer has in this concert: held or paid.
    async fn tickets(&self, buyer: SignedIn) -> HttpResult<Vec<Ticket>> {
        let filter = ReservationFilter { user: Some(buyer.user_id), concert: Some(self.concert_id), status: None };
        let page = Page { after: None, limit: RESERVATIONS_MAX };
        let now = self.app.office.now();
        let mut tickets = self.app.office.reservations(&filter, page).await?;
        tickets.retain(|ticket| ticket.reservation.is_live(now));
        Ok(tickets)
    }

    fn tray(&self, tickets: &[Ticket], hall: &SeatSnapshot, words: &HallWords, styles: &[&'static str]) -> Tray {
        let held = tickets.iter().filter(|ticket| ticket.reservation.status() == ReservationStatus::Pending);
        let mut tray = Tray::default();
        for ticket in held {
            let reservation = &ticket.reservation;
            let grade = hall.order.seat_of(reservation.seat_id).map(|seat| seat.grade);
            let mark = grade.and_then(|grade| hall.order.grades.get(grade)).map(|grade| grade.mark.clone());
            tray.total = tray.total.checked_add(reservation.price).unwrap_or(tray.total);
            tray.ends_at = Some(tray.ends_at.map_or(reservation.expires_at, |at| at.min(reservation.expires_at)));
            tray.held.push(HeldSeat {
                reservation_id: reservation.reservation_id,
                place: words.place_of(&ticket.place),
                mark: mark.unwrap_or_default(),
                style: grade.and_then(|grade| styles.get(grade)).copied().unwrap_or_default(),
                price: reservation.price,
                key: fresh_key(),
            });
        }
        tray.held.sort_by_key(|seat| seat.reservation_id);
        tray.left_ms = tray.ends_at.map_or(0, |at| at.since(self.app.office.now()).millis().max(0));
        tray
    }
}

/// The page of the place in line.
fn line_of(concert: ConcertId) -> String {
    format!("/concerts/{concert}/line")
}

fn shown_offer(offer: &SeatOffer, words: &HallWords) -> ShownOffer {
    let places: Vec<_> = offer.seats.iter().map(|seat| words.place_of(&seat.label.place())).collect();
    ShownOffer {
        seats: offer.seats.iter().map(|seat| seat.seat_id).collect(),
        places: places.join(", "),
        total: offer.total(),
        side_by_side: offer.side_by_side,
        key: fresh_key(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_list_is_read_from_any_query() {
        let part = part_of("section=1%EC%B8%B5+%EA%B0%80&from=30&x=1");
        assert_eq!((part.section.as_deref(), part.from), (Some("1층 가"), 30));
        for odd in ["", "from=-1", "from=99999999999999999999", "from=a", "section"] {
            assert_eq!(part_of(odd).from, 0, "{odd}");
        }
    }
}
