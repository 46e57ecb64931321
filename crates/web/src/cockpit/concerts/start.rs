//! The first concert, by steps: venue and date, seats, room, opening, a look, and on sale. The room comes before the
//! opening: a concert whose sale opens at once can no longer get one of its own.
//!
//! The first step makes the concert, closed and without seats: no buyer can hold anything of it, whatever time passes,
//! until the last step schedules it. What the steps have entered is the concert itself, so a step can be left, and gone
//! on with later, by any operator.

use super::{
    ConcertVisit, check_may_change,
    draft::{SALE, WHAT},
    form::{
        GRADE, NUMBERS, OPENING, PLACES, RATE, ROOM, ROWS, RoomWish, SEAT_PRICE, SECTION, StageFaults, StagePage,
        StageReader, StageSpec, StageStep, group,
    },
    path_of, refused, steps_of,
};
use crate::{
    cockpit::{
        desk::{effect_id, opening_name},
        seats::plan_fault_words,
        shell::CockpitShell,
    },
    edge::{
        auth::OperatorOnly,
        extract::PathId,
        form::FormFields,
        precondition::IfMatch,
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    html::{
        figures,
        forms::{FormNotice, bound_key, form_page, fresh_key},
        paths,
        shell::HOME_ZONE,
    },
};
use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use frontrow_domain::{
    command::{ConcertChange, Idempotency, OwnRoom, RoomChange},
    id::{ConcertId, RoomId},
    policy::{ADMIT_PER_MINUTE_MAX, MAX_ACTIVE_MAX},
    sale::ConcertStatus,
    time::Time,
};
use frontrow_service::{
    office::ServiceError,
    sale::ConcertOnSale,
    seat_plan::{PlanFault, PlanFaultKind, read_seats},
};
use frontrow_storage::{ConcertFilter, Page};

/// The path of the first step.
pub(crate) const PATH: &str = "/operator/start";
/// How many unfinished concerts the first step offers to go on with.
const UNFINISHED_MAX: usize = 5;
/// How many closed concerts to come are searched for them.
const CLOSED_MAX: u32 = 100;

pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route(PATH, get(show_first).post(make))
        .route("/operator/start/{concert_id}", get(go_on))
        .route("/operator/start/{concert_id}/{step}", get(show).post(send))
}

/// What the step of the room asks for, and for a concert that has a room of its own.
static ROOM_SPECS: [&StageSpec; 4] = [&ROOM, &PLACES, &RATE, &OPENING];
static OWN_ROOM_SPECS: [&StageSpec; 3] = [&PLACES, &RATE, &OPENING];

/// What the step of the seats asks for, in the order of a line of a seat plan.
static SEAT_SPECS: [&StageSpec; 5] = [&SECTION, &ROWS, &NUMBERS, &GRADE, &SEAT_PRICE];

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
    let yesterday = figures::local(now, HOME_ZONE).date().yesterday().ok();
    let filter =
        ConcertFilter { status: Some(ConcertStatus::Closed), from: yesterday, now, ..ConcertFilter::default() };
    let closed = app.office.concerts(filter, Page { after: None, limit: CLOSED_MAX }).await?;
    let begun = closed.iter().filter(|row| row.concert.is_being_made(now));
    let link = |ConcertOnSale { concert, .. }: &ConcertOnSale| {
        (steps_of(concert.concert_id), shell.t1("stage-go-on-with", "title", &concert.title))
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
    let begun = unfinished(&app, &shell).await?;
    let mut reader = StageReader::new(&shell, &typed);
    let new = reader.beginning(app.office.now());
    let faults = reader.faults;
    let Some(new) = new else {
        return refused(&first_page(shell, begun, &typed, &faults, None));
    };
    let caller = shell.caller;
    let key = bound_key(&typed, caller, PATH, &[])?;
    match app.office.create_concert(caller, new, key).await {
        Ok(made) => Ok(Redirect::to(&StartStep::Seats.path(made.value.concert_id)).into_response()),
        Err(error) => {
            let notice = FormNotice::of(&shell, error.into())?;
            let page = first_page(shell, begun, &typed, &faults, Some(notice));
            form_page(&page.shell, page.notice.as_ref(), &page)
        }
    }
}

impl ConcertVisit {
    /// Whether a step has been taken.
    fn is_done(&self, step: StartStep) -> bool {
        match step {
            StartStep::Seats => self.total() > 0,
            StartStep::Opening => !self.concert.has_no_opening(),
            // The step after it was taken: it stays with the house room.
            StartStep::Room => !self.is_of_house() || !self.concert.has_no_opening(),
            StartStep::Look => false,
        }
    }

    fn is_of_house(&self) -> bool {
        self.concert.room_id == RoomId::HOUSE
    }

    /// What the step of the room shows: the settings of its own room, or those to begin with.
    fn room_value(&self, name: &str) -> String {
        match (name, self.is_of_house()) {
            ("room", _) => if self.is_done(StartStep::Room) { "house" } else { "own" }.to_owned(),
            ("opening", true) => opening_name(self.usual_opening).to_owned(),
            ("opening", false) => opening_name(self.room.draw.opening_order()).to_owned(),
            ("own_room_max_active", true) => self.cap_to_begin_with().to_string(),
            ("own_room_max_active", false) => self.room.max_active.to_string(),
            (_, true) => String::new(),
            (_, false) => self.room.admit_per_minute.map(|rate| rate.to_string()).unwrap_or_default(),
        }
    }

    fn step_page(&self, step: StartStep, typed: Option<&FormFields>, faults: &StageFaults) -> StagePage {
        let (shell, concert) = (&self.shell, &self.concert);
        let id = concert.concert_id;
        let value = |name: &'static str| match typed {
            Some(typed) => typed.given(name).to_owned(),
            None if step == StartStep::Room => self.room_value(name),
            None => self.shown(name),
        };
        let part = |legend: &str, specs: &[&StageSpec]| vec![group(shell, shell.t(legend), specs, value, faults)];
        let total = self.total();
        let (lead, groups, button) = match step {
            StartStep::Seats => (
                vec![shell.t("stage-seats-lead"), shell.t1("stage-seats-so-far", "count", total)],
                part("stage-part-seats", &SEAT_SPECS),
                shell.t("stage-seats-button"),
            ),
            StartStep::Opening => (
                vec![shell.t1("stage-opening-lead", "zone", &concert.time_zone)],
                part("stage-part-sale", &SALE),
                shell.t("stage-continue"),
            ),
            StartStep::Room => (
                vec![shell.t("stage-room-lead")],
                part("stage-part-room", if self.is_of_house() { &ROOM_SPECS } else { &OWN_ROOM_SPECS }),
                shell.t("stage-continue"),
            ),
            StartStep::Look => (
                self.summary(),
                Vec::new(),
                shell.t(if self.opens_at_once() { "stage-go-at-once" } else { "stage-go" }),
            ),
        };
        let mut links = Vec::new();
        if step == StartStep::Seats {
            links.push((format!("{}/seats/add", path_of(id)), shell.t("stage-seats-file")));
        }
        if step == StartStep::Look {
            links.push((paths::concert_for_operators(id), shell.t("stage-as-buyer")));
            links.push((super::poster::path(id), shell.t("stage-poster")));
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
            hidden: vec![("key", fresh_key()), ("basis", self.version_of(step).micros().to_string())],
            file: None,
            action: step.path(id),
            button,
            links,
            shell: shell.clone(),
        }
    }

    /// The version that a step changes: of its own room, or of the concert.
    fn version_of(&self, step: StartStep) -> Time {
        if step == StartStep::Room && !self.is_of_house() { self.room.updated_at } else { self.concert.updated_at }
    }

    /// A cap for a room that nothing is known of yet: a twentieth of the seats, within what one person can watch.
    fn cap_to_begin_with(&self) -> i64 {
        (self.total() / 20).clamp(10, 200)
    }

    /// Whether its sale is open from the moment at which it is scheduled.
    fn opens_at_once(&self) -> bool {
        !self.concert.has_no_opening() && self.concert.opens_at <= self.now
    }

    /// What buyers will find, and what is missing.
    fn summary(&self) -> Vec<String> {
        let (shell, concert) = (&self.shell, &self.concert);
        let zone = concert.time_zone.as_str();
        let mut lines = vec![
            shell.t2("stage-look-when", "moment", shell.moment(&concert.starts_at, zone), "venue", &concert.venue),
            shell.t1("stage-look-seats", "count", self.total()),
        ];
        lines.push(if concert.has_no_opening() {
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
        if self.opens_at_once() {
            lines.push(shell.t("stage-look-at-once"));
        }
        lines.push(shell.t(if self.is_of_house() { "stage-look-house" } else { "stage-look-own-room" }));
        if !self.is_of_house() && !self.opens_at_once() {
            lines.push(shell.t(effect_id(self.room.draw.opening_order())));
        }
        lines.push(shell.t("stage-look-lead"));
        lines
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
    if !visit.is_being_made {
        return Ok(Redirect::to(&path_of(id)).into_response());
    }
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
    let id = concert_id(&id)?;
    let visit = ConcertVisit::of(shell, &app, id).await?;
    if !visit.is_being_made {
        return Ok(Redirect::to(&path_of(id)).into_response());
    }
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
    // Once it is on sale, its changes are asked for their reason on the pages of the sale.
    if !visit.is_being_made {
        return Ok(Redirect::to(&path_of(id)).into_response());
    }
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

    fn key_of_step(&self, step: StartStep, typed: &FormFields) -> HttpResult<Option<Idempotency>> {
        bound_key(typed, self.shell.caller, "/operator/start/{id}/{step}", &[&self.concert.concert_id, &step.name()])
    }

    /// A range of seats: a line of a seat plan.
    async fn add_seats(&self, app: &SharedState, typed: &FormFields) -> HttpResult<StepOutcome> {
        let mut reader = StageReader::new(&self.shell, typed);
        let [labels @ .., _] = SEAT_SPECS;
        let texts = labels.map(|spec| reader.words(spec).unwrap_or_default());
        let price = reader.money(&SEAT_PRICE).map(|price| price.get().to_string()).unwrap_or_default();
        if !reader.faults.is_empty() {
            return Ok(StepOutcome::Faulty(reader.faults));
        }
        let quoted = |text: &String| format!("\"{}\"", text.replace('"', "\"\""));
        let fields: Vec<_> = texts.iter().map(quoted).chain([price]).collect();
        let seats = match read_seats(&fields.join(",")) {
            Ok(seats) => seats,
            Err(faults) => {
                for PlanFault { column, kind, .. } in &faults {
                    // The line is the only one.
                    let why = match kind {
                        PlanFaultKind::Twice { .. } => self.shell.t("stage-fault-seat-twice"),
                        kind => plan_fault_words(&self.shell, kind),
                    };
                    reader.fault(at_fault(&fields, *column, kind), why);
                }
                return Ok(StepOutcome::Faulty(reader.faults));
            }
        };
        let (id, caller) = (self.concert.concert_id, self.shell.caller);
        let key = self.key_of_step(StartStep::Seats, typed)?;
        self.taken(app.office.add_seats(caller, id, seats, key).await, StartStep::Seats.path(id))
    }

    async fn set_opening(&self, app: &SharedState, typed: &FormFields) -> HttpResult<StepOutcome> {
        let mut reader = StageReader::new(&self.shell, typed);
        let concert = &self.concert;
        let window = reader.window(&concert.time_zone, None, (concert.starts_at, concert.ends_at), app.office.now());
        let Some((opens_at, closes_at)) = window else { return Ok(StepOutcome::Faulty(reader.faults)) };
        let change = ConcertChange { opens_at: Some(opens_at), closes_at: Some(closes_at), ..ConcertChange::default() };
        let (id, key) = (concert.concert_id, self.key_of_step(StartStep::Opening, typed)?);
        let done = app.office.update_concert(self.shell.caller, id, change, basis_of(typed)?, None, key).await;
        self.taken(done, StartStep::Look.path(id))
    }

    async fn set_room(&self, app: &SharedState, typed: &FormFields) -> HttpResult<StepOutcome> {
        let mut reader = StageReader::new(&self.shell, typed);
        // A form that chooses the room was shown while the concert was in the house room.
        let is_choice = self.is_of_house() || !typed.given(ROOM.name).is_empty();
        let wish = if is_choice { reader.room() } else { Some(RoomWish::Own) };
        let rate = reader.whole(&RATE, 1..=ADMIT_PER_MINUTE_MAX);
        let (id, caller) = (self.concert.concert_id, self.shell.caller);
        let next = StartStep::Opening.path(id);
        if wish == Some(RoomWish::House) {
            if rate.is_some() {
                reader.fault(&RATE, self.shell.t("stage-fault-rate-house"));
            }
            let is_right = reader.faults.is_empty();
            return Ok(if is_right { StepOutcome::On(next) } else { StepOutcome::Faulty(reader.faults) });
        }
        let opening = reader.opening();
        let cap = reader.whole(&PLACES, 1..=MAX_ACTIVE_MAX);
        if cap.is_none() {
            reader.fault(&PLACES, self.shell.t1("fault-missing", "field", self.shell.t(PLACES.label)));
        }
        let Some(cap) = cap.filter(|_| reader.faults.is_empty()) else {
            return Ok(StepOutcome::Faulty(reader.faults));
        };
        let (basis, key) = (basis_of(typed)?, self.key_of_step(StartStep::Room, typed)?);
        if is_choice {
            let own_room = Some(OwnRoom { max_active: cap, admit_per_minute: rate, opening });
            let change = ConcertChange { own_room, ..ConcertChange::default() };
            return self.taken(app.office.update_concert(caller, id, change, basis, None, key).await, next);
        }
        let change = RoomChange {
            max_active: Some(cap).filter(|cap| *cap != self.room.max_active),
            admit_per_minute: Some(rate).filter(|rate| *rate != self.room.admit_per_minute),
            opening: opening.filter(|opening| *opening != self.room.draw.opening_order()),
            ..RoomChange::default()
        };
        if change == RoomChange::default() {
            return Ok(StepOutcome::On(next));
        }
        let reason = Some(self.shell.t("stage-preparing-reason"));
        self.taken(app.office.set_room(caller, RoomId::of_concert(id), change, basis, reason, key).await, next)
    }

    async fn put_on_sale(&self, app: &SharedState, typed: &FormFields) -> HttpResult<StepOutcome> {
        let change = ConcertChange { status: Some(ConcertStatus::Scheduled), ..ConcertChange::default() };
        let (id, key) = (self.concert.concert_id, self.key_of_step(StartStep::Look, typed)?);
        let done = app.office.update_concert(self.shell.caller, id, change, basis_of(typed)?, None, key).await;
        self.taken(done, path_of(id))
    }
}

/// The field that is wrong if a line of these fields has a fault at this column. What is about seats as a whole is said
/// beside the numbers.
fn at_fault(fields: &[String], column: usize, kind: &PlanFaultKind) -> &'static StageSpec {
    if !matches!(kind, PlanFaultKind::Label | PlanFaultKind::Number | PlanFaultKind::Range | PlanFaultKind::Price) {
        return &NUMBERS;
    }
    let mut end = 0;
    let found = SEAT_SPECS.iter().zip(fields).find(|(_, field)| {
        end += field.chars().count() + 1;
        column <= end
    });
    found.map_or(&NUMBERS, |(spec, _)| *spec)
}

fn basis_of(typed: &FormFields) -> HttpResult<Option<Time>> {
    Ok(IfMatch::of_form(typed)?.0)
}
