//! The first concert, by steps: venue and date, seats, room, opening, a look, and on sale. The room comes before the
//! opening: a concert whose sale opens at once can no longer get one of its own.
//!
//! The first step makes the concert, closed and without seats: no buyer can hold anything of it, whatever time passes,
//! until the last step schedules it. What the steps have entered is the concert itself, so a step can be left, and gone
//! on with later, by any operator.

use super::{
    ConcertVisit, check_may_change,
    draft::{SALE, WHAT, shown},
    form::{
        GRADE, NUMBERS, OWN_ROOM, RATE, ROWS, SEAT_PRICE, SECTION, StageFaults, StagePage, StageReader, StageSpec,
        StageStep, group,
    },
    is_being_made, path_of, refused,
};
use crate::{
    cockpit::shell::CockpitShell,
    edge::{
        auth::OperatorOnly,
        extract::PathId,
        form::FormFields,
        precondition::IfMatch,
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    html::{
        forms::{FormNotice, form_page, fresh_key, key_of},
        shell::HOME_ZONE,
    },
};
use axum::{
    Router,
    extract::{Path, State},
    http::{Method, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use frontrow_domain::{
    command::{ConcertChange, RoomChange},
    id::{ConcertId, RoomId},
    policy::{ADMIT_PER_MINUTE_MAX, MAX_ACTIVE_MAX},
    sale::ConcertStatus,
};
use frontrow_service::{concert_import, office::ServiceError, seat_plan};
use frontrow_storage::ConcertFilter;

/// The path of the first step.
pub(crate) const PATH: &str = "/operator/start";
/// How many unfinished concerts the first step offers to go on with.
const UNFINISHED_MAX: usize = 5;

pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route(PATH, get(show_first).post(make))
        .route("/operator/start/{concert_id}", get(go_on))
        .route("/operator/start/{concert_id}/{step}", get(show).post(send))
}

/// A step after the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StartStep {
    Seats,
    Room,
    Opening,
    Look,
}

impl StartStep {
    const ALL: [Self; 4] = [Self::Seats, Self::Room, Self::Opening, Self::Look];

    const fn name(self) -> &'static str {
        match self {
            Self::Seats => "seats",
            Self::Opening => "opening",
            Self::Room => "room",
            Self::Look => "look",
        }
    }

    fn title(self, shell: &CockpitShell) -> String {
        shell.t(match self {
            Self::Seats => "stage-step-seats",
            Self::Opening => "stage-step-opening",
            Self::Room => "stage-step-room",
            Self::Look => "stage-step-look",
        })
    }

    fn path(self, concert: ConcertId) -> String {
        format!("{PATH}/{concert}/{}", self.name())
    }

    fn next(self) -> Self {
        match self {
            Self::Seats => Self::Room,
            Self::Room => Self::Opening,
            Self::Opening | Self::Look => Self::Look,
        }
    }
}

fn first_page(
    shell: CockpitShell,
    unfinished: Vec<(String, String)>,
    typed: &FormFields,
    faults: &StageFaults,
    notice: Option<FormNotice>,
) -> StagePage {
    let value = |name: &'static str| match (name, typed.given(name)) {
        ("time_zone", "") => HOME_ZONE.to_owned(),
        (_, typed) => typed.to_owned(),
    };
    let steps = StartStep::ALL.map(|step| StageStep {
        name: step.title(&shell),
        path: None,
        is_current: false,
        is_done: false,
    });
    let first = StageStep { name: shell.t("stage-step-what"), path: None, is_current: true, is_done: false };
    StagePage {
        title: shell.t("stage-start"),
        back: ("/operator".to_owned(), shell.t("cockpit")),
        steps: std::iter::once(first).chain(steps).collect(),
        lead: vec![shell.t("stage-start-lead")],
        effects: Vec::new(),
        notice,
        stale: Vec::new(),
        groups: vec![group(&shell, shell.t("stage-part-what"), &WHAT, value, faults)],
        hidden: vec![("key", fresh_key())],
        file: None,
        action: PATH.to_owned(),
        button: shell.t("stage-continue"),
        links: unfinished,
        shell,
    }
}

/// The concerts that were begun and are not finished, as links.
async fn unfinished(app: &SharedState, shell: &CockpitShell) -> HttpResult<Vec<(String, String)>> {
    let now = app.office.now();
    let filter = ConcertFilter { status: Some(ConcertStatus::Closed), now, ..ConcertFilter::default() };
    let all = concert_import::concerts(&app.office, &filter).await.map_err(ServiceError::from)?;
    let begun = all.iter().rev().filter(|concert| is_being_made(concert, now));
    let link = |concert: &frontrow_domain::sale::Concert| {
        (format!("{PATH}/{}", concert.concert_id), shell.t1("stage-go-on-with", "title", &concert.title))
    };
    Ok(begun.take(UNFINISHED_MAX).map(link).collect())
}

async fn show_first(State(app): State<SharedState>, shell: CockpitShell) -> HttpResult<Response> {
    check_may_change(&shell)?;
    let begun = unfinished(&app, &shell).await?;
    let page = first_page(shell, begun, &FormFields::default(), &Vec::new(), None);
    form_page(&page.shell, None, &page)
}

async fn make(
    State(app): State<SharedState>,
    _: OperatorOnly,
    shell: CockpitShell,
    typed: FormFields,
) -> HttpResult<Response> {
    check_may_change(&shell)?;
    let mut reader = StageReader::new(&shell, &typed);
    let new = reader.beginning();
    let faults = reader.faults;
    let Some(new) = new else {
        return refused(&first_page(shell, Vec::new(), &typed, &faults, None));
    };
    let caller = shell.caller;
    let key = key_of(&typed)?.bind(caller, &Method::POST, PATH, &[], &new.title)?;
    let made = match app.office.create_concert(caller, new, key).await {
        Ok(done) => done.value,
        Err(error) => {
            let notice = FormNotice::of(&shell, error.into())?;
            let page = first_page(shell, Vec::new(), &typed, &faults, Some(notice));
            return form_page(&page.shell, page.notice.as_ref(), &page);
        }
    };
    // It opens a minute before it starts until it is closed here: nothing of it can be sold meanwhile, it has no seats.
    let change = ConcertChange {
        status: Some(ConcertStatus::Closed),
        status_reason: Some(Some(shell.t("stage-preparing"))),
        ..ConcertChange::default()
    };
    app.office.update_concert(caller, made.concert_id, change, None, None, None).await?;
    Ok(Redirect::to(&StartStep::Seats.path(made.concert_id)).into_response())
}

impl ConcertVisit {
    /// Whether a step has been taken.
    fn is_done(&self, step: StartStep) -> bool {
        match step {
            StartStep::Seats => self.total() > 0,
            StartStep::Opening => !self.has_no_opening(),
            StartStep::Room => self.concert.room_id != RoomId::HOUSE,
            StartStep::Look => false,
        }
    }

    /// Whether the opening is still that of the first step.
    fn has_no_opening(&self) -> bool {
        self.concert.opens_at == self.concert.starts_at.minus(frontrow_domain::time::Span::from_secs(60))
    }

    fn step_page(&self, step: StartStep, typed: Option<&FormFields>, faults: &StageFaults) -> StagePage {
        let (shell, concert) = (&self.shell, &self.concert);
        let id = concert.concert_id;
        let value = |name: &'static str| match typed {
            Some(typed) => typed.given(name).to_owned(),
            None if name == "opens_at" && self.has_no_opening() => String::new(),
            None if name == "own_room_max_active" => self.cap_to_begin_with().to_string(),
            None => shown(concert, &self.details, name),
        };
        let part = |legend: &str, specs: &[&StageSpec]| vec![group(shell, shell.t(legend), specs, value, faults)];
        let total = self.total();
        let (lead, groups, button) = match step {
            StartStep::Seats => (
                vec![shell.t("stage-seats-lead"), shell.t1("stage-seats-so-far", "count", total)],
                part("stage-part-seats", &[&SECTION, &ROWS, &NUMBERS, &GRADE, &SEAT_PRICE]),
                shell.t("stage-seats-button"),
            ),
            StartStep::Opening => (
                vec![shell.t1("stage-opening-lead", "zone", &concert.time_zone)],
                part("stage-part-sale", &SALE),
                shell.t("stage-continue"),
            ),
            StartStep::Room => (
                vec![shell.t("stage-room-lead")],
                part("stage-part-room", &[&OWN_ROOM, &RATE]),
                shell.t("stage-continue"),
            ),
            StartStep::Look => (self.summary(), Vec::new(), shell.t("stage-go")),
        };
        let mut links = Vec::new();
        if step == StartStep::Seats {
            links.push((format!("{}/seats/add", path_of(id)), shell.t("stage-seats-file")));
        }
        if step == StartStep::Look {
            links.push((format!("/concerts/{id}"), shell.t("stage-as-buyer")));
            links.push((format!("{}/edit", path_of(id)), shell.t("stage-edit")));
        } else if self.is_done(step) {
            links.push((step.next().path(id), shell.t("stage-next")));
        }
        let what = StageStep {
            name: shell.t("stage-step-what"),
            path: Some(format!("{}/edit", path_of(id))),
            is_current: false,
            is_done: true,
        };
        let steps = StartStep::ALL.map(|other| StageStep {
            name: other.title(shell),
            path: (other != step).then(|| other.path(id)),
            is_current: other == step,
            is_done: self.is_done(other),
        });
        StagePage {
            title: concert.title.clone(),
            back: (path_of(id), shell.t("stage-about")),
            steps: std::iter::once(what).chain(steps).collect(),
            lead,
            effects: Vec::new(),
            notice: None,
            stale: Vec::new(),
            groups,
            hidden: vec![("key", fresh_key()), ("basis", concert.updated_at.micros().to_string())],
            file: None,
            action: step.path(id),
            button,
            links,
            shell: shell.clone(),
        }
    }

    /// A cap for a room that nothing is known of yet: a twentieth of the seats, within what one person can watch.
    fn cap_to_begin_with(&self) -> i64 {
        (self.total() / 20).clamp(10, 200)
    }

    /// What buyers will find, and what is missing.
    fn summary(&self) -> Vec<String> {
        let (shell, concert) = (&self.shell, &self.concert);
        let zone = concert.time_zone.as_str();
        let mut lines = vec![
            shell.t2("stage-look-when", "moment", shell.moment(&concert.starts_at, zone), "venue", &concert.venue),
            shell.t1("stage-look-seats", "count", self.total()),
        ];
        lines.push(if self.has_no_opening() {
            shell.t("stage-look-no-opening")
        } else {
            shell.t2(
                "stage-look-opens",
                "opens",
                shell.exact_moment(&concert.opens_at, zone),
                "closes",
                shell.exact_moment(&concert.closes_at, zone),
            )
        });
        lines.push(shell.t(if concert.room_id == RoomId::HOUSE { "stage-look-house" } else { "stage-look-own-room" }));
        lines.push(shell.t("stage-look-lead"));
        lines
    }

    fn notice(&self, text: &str) -> FormNotice {
        FormNotice {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            title: self.shell.t("stage-not-yet"),
            text: self.shell.t(text),
            retry_after: None,
        }
    }
}

fn step_of(name: &str) -> HttpResult<StartStep> {
    let found = StartStep::ALL.into_iter().find(|step| step.name() == name);
    found.ok_or_else(|| Problem::new(&crate::edge::problem::codes::NOT_FOUND))
}

fn concert_id(text: &str) -> HttpResult<ConcertId> {
    let id = text.parse::<i64>().ok().and_then(|id| ConcertId::try_from(id).ok());
    id.ok_or_else(|| Problem::new(&crate::edge::problem::codes::NOT_FOUND))
}

/// Goes on with the first step that was not taken.
async fn go_on(
    State(app): State<SharedState>,
    shell: CockpitShell,
    PathId(id): PathId<ConcertId>,
) -> HttpResult<Response> {
    let visit = ConcertVisit::of(shell, &app, id).await?;
    let step = StartStep::ALL.into_iter().find(|step| !visit.is_done(*step)).unwrap_or(StartStep::Look);
    Ok(Redirect::to(&step.path(id)).into_response())
}

async fn show(
    State(app): State<SharedState>,
    shell: CockpitShell,
    Path((id, step)): Path<(String, String)>,
) -> HttpResult<Response> {
    check_may_change(&shell)?;
    let step = step_of(&step)?;
    let visit = ConcertVisit::of(shell, &app, concert_id(&id)?).await?;
    form_page(&visit.shell, None, &visit.step_page(step, None, &Vec::new()))
}

/// How a step went.
enum StepOutcome {
    /// To this page.
    On(String),
    /// It stays, with what is wrong.
    Faulty(StageFaults),
    /// It stays, and a rule says why.
    Refused(FormNotice),
}

async fn send(
    State(app): State<SharedState>,
    _: OperatorOnly,
    shell: CockpitShell,
    Path((id, step)): Path<(String, String)>,
    typed: FormFields,
) -> HttpResult<Response> {
    check_may_change(&shell)?;
    let step = step_of(&step)?;
    let id = concert_id(&id)?;
    let visit = ConcertVisit::of(shell, &app, id).await?;
    let taken = match step {
        StartStep::Seats => visit.add_seats(&app, &typed).await?,
        StartStep::Opening => visit.set_opening(&app, &typed).await?,
        StartStep::Room => visit.set_room(&app, &typed).await?,
        StartStep::Look => visit.put_on_sale(&app, &typed).await?,
    };
    match taken {
        StepOutcome::On(path) => Ok(Redirect::to(&path).into_response()),
        StepOutcome::Faulty(faults) => refused(&visit.step_page(step, Some(&typed), &faults)),
        StepOutcome::Refused(notice) => {
            let visit = ConcertVisit::of(visit.shell, &app, id).await?;
            let mut page = visit.step_page(step, Some(&typed), &Vec::new());
            page.notice = Some(notice);
            form_page(&visit.shell, page.notice.as_ref(), &page)
        }
    }
}

impl ConcertVisit {
    fn taken<T>(&self, done: Result<T, ServiceError>, path: String) -> HttpResult<StepOutcome> {
        match done {
            Ok(_) => Ok(StepOutcome::On(path)),
            Err(error) => Ok(StepOutcome::Refused(FormNotice::of(&self.shell, error.into())?)),
        }
    }

    /// A range of seats: a line of a seat plan.
    async fn add_seats(&self, app: &SharedState, typed: &FormFields) -> HttpResult<StepOutcome> {
        let mut reader = StageReader::new(&self.shell, typed);
        let texts = [&SECTION, &ROWS, &NUMBERS, &GRADE].map(|spec| reader.words(spec).unwrap_or_default());
        let price = reader.money(&SEAT_PRICE).map(|price| price.get().to_string()).unwrap_or_default();
        if !reader.faults.is_empty() {
            return Ok(StepOutcome::Faulty(reader.faults));
        }
        let quoted = |text: &String| format!("\"{}\"", text.replace('"', "\"\""));
        let fields: Vec<_> = texts.iter().map(quoted).chain([price]).collect();
        let Ok(seats) = seat_plan::read_seats(&fields.join(",")) else {
            let why = self.shell.t("stage-fault-ranges");
            reader.fault(&NUMBERS, why);
            return Ok(StepOutcome::Faulty(reader.faults));
        };
        let (id, caller) = (self.concert.concert_id, self.shell.caller);
        let key = key_of(typed)?.bind(caller, &Method::POST, "/operator/start/{id}/seats", &[&id], &fields)?;
        self.taken(app.office.add_seats(caller, id, seats, key).await, StartStep::Seats.path(id))
    }

    async fn set_opening(&self, app: &SharedState, typed: &FormFields) -> HttpResult<StepOutcome> {
        let mut reader = StageReader::new(&self.shell, typed);
        let concert = &self.concert;
        let window = reader.window(&concert.time_zone, None, concert.starts_at);
        let Some((opens_at, closes_at)) = window else { return Ok(StepOutcome::Faulty(reader.faults)) };
        let change = ConcertChange { opens_at: Some(opens_at), closes_at: Some(closes_at), ..ConcertChange::default() };
        let id = concert.concert_id;
        let done = app.office.update_concert(self.shell.caller, id, change, basis_of(typed)?, None, None).await;
        self.taken(done, StartStep::Look.path(id))
    }

    async fn set_room(&self, app: &SharedState, typed: &FormFields) -> HttpResult<StepOutcome> {
        let mut reader = StageReader::new(&self.shell, typed);
        let (cap, rate) = (reader.whole(&OWN_ROOM, 1..=MAX_ACTIVE_MAX), reader.whole(&RATE, 1..=ADMIT_PER_MINUTE_MAX));
        if !reader.faults.is_empty() {
            return Ok(StepOutcome::Faulty(reader.faults));
        }
        let (id, caller) = (self.concert.concert_id, self.shell.caller);
        let is_house = self.concert.room_id == RoomId::HOUSE;
        // Without a number the concert stays with the house room.
        let Some(cap) = cap else { return Ok(StepOutcome::On(StartStep::Opening.path(id))) };
        if is_house {
            let change = ConcertChange { own_room_max_active: Some(cap), ..ConcertChange::default() };
            if let Err(error) = app.office.update_concert(caller, id, change, basis_of(typed)?, None, None).await {
                return Ok(StepOutcome::Refused(FormNotice::of(&self.shell, error.into())?));
            }
        }
        let change = RoomChange {
            max_active: (!is_house).then_some(cap),
            admit_per_minute: Some(rate),
            ..RoomChange::default()
        };
        let reason = Some(self.shell.t("stage-preparing-reason"));
        let done = app.office.set_room(caller, RoomId::of_concert(id), change, None, reason, None).await;
        self.taken(done, StartStep::Opening.path(id))
    }

    async fn put_on_sale(&self, app: &SharedState, typed: &FormFields) -> HttpResult<StepOutcome> {
        if self.total() == 0 {
            return Ok(StepOutcome::Refused(self.notice("stage-needs-seats")));
        }
        if self.has_no_opening() {
            return Ok(StepOutcome::Refused(self.notice("stage-needs-opening")));
        }
        let change = ConcertChange { status: Some(ConcertStatus::Scheduled), ..ConcertChange::default() };
        let id = self.concert.concert_id;
        let done = app.office.update_concert(self.shell.caller, id, change, basis_of(typed)?, None, None).await;
        self.taken(done, path_of(id))
    }
}

fn basis_of(typed: &FormFields) -> HttpResult<Option<frontrow_domain::time::Time>> {
    Ok(IfMatch::of_field(typed.given("basis"))?.0)
}
