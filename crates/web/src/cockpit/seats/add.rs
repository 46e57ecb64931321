//! Adds seats by ranges or by a file: first it shows what would be added.

use super::SeatsVisit;
use crate::{
    cockpit::{concerts::steps_of, shell::CockpitShell},
    edge::{
        auth::OperatorOnly,
        extract::PathId,
        form::LargeForm,
        kept,
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    html::forms::{FormNotice, form_page, fresh_key, key_of},
};
use askama::Template;
use axum::{
    extract::State,
    http::{Method, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
};
use frontrow_domain::{
    id::ConcertId,
    money::Money,
    policy::SEATS_PER_OPERATOR_COMMAND_MAX,
    refusal::Refusal,
    sale::{NewSeat, SeatPlace},
};
use frontrow_service::{
    drafts::LABEL_LEN_MAX,
    office::ServiceError,
    sale::{HallView, SeatingOrder},
    seat_plan::{PlanFault, PlanFaultKind, read_seats},
};
use std::collections::{BTreeMap, HashSet};
use tokio::task::spawn_blocking;

/// How many characters of a faulty line are shown.
const EXCERPT_LEN_MAX: usize = 120;
/// How long a faulty text may be to come back with its faults, in bytes. A longer one comes from a file, which the operator
/// has.
const RETURNED_LEN_MAX: usize = 1_024 * 1_024;
/// How many seats that exist already are named.
const TAKEN_NAMED_MAX: usize = 5;

/// A fault of the text as the page shows it.
#[derive(Debug)]
struct ShownFault {
    /// Where, and what.
    text: String,
    excerpt: String,
}

/// What would be added of one grade in one section.
#[derive(Debug)]
struct PlannedSeats {
    section: String,
    rows: i64,
    grade: String,
    price: String,
    count: i64,
}

/// What is counted of a grade in a section.
#[derive(Debug)]
struct PlannedPart<'a> {
    rows: HashSet<&'a str>,
    lowest: Money,
    highest: Money,
    count: i64,
}

impl PlannedPart<'_> {
    fn at(price: Money) -> Self {
        Self { rows: HashSet::new(), lowest: price, highest: price, count: 0 }
    }
}

/// What would be added.
#[derive(Debug)]
struct SeatPreview {
    lines: Vec<PlannedSeats>,
    count: i64,
    /// The seats of it that exist already.
    taken: Option<String>,
}

#[derive(Template)]
#[template(path = "cockpit/seats/add.html")]
struct AddPage {
    shell: CockpitShell,
    path: String,
    /// The steps of a concert that is being made.
    steps: Option<String>,
    title: String,
    base_price: String,
    notice: Option<FormNotice>,
    faults: Vec<ShownFault>,
    text: String,
    preview: Option<SeatPreview>,
    /// The tag of the text that the preview shows, or that a file had.
    seen: String,
    key: String,
}

/// The tag of a text of ranges.
fn tag_of(text: &str) -> String {
    kept::tag_of(text.as_bytes()).trim_matches('"').to_owned()
}

/// What is wrong with a list of seats, in words.
pub(in crate::cockpit) fn plan_fault_words(shell: &CockpitShell, kind: &PlanFaultKind) -> String {
    match kind {
        PlanFaultKind::Empty => shell.t("seats-plan-empty"),
        PlanFaultKind::TooMany => shell.t1("seats-plan-too-many", "max", SEATS_PER_OPERATOR_COMMAND_MAX),
        PlanFaultKind::TooLong { max } => shell.t1("seats-plan-too-long", "max", *max),
        PlanFaultKind::FieldCount { columns } => shell.t1("seats-plan-field-count", "columns", *columns),
        PlanFaultKind::Quotes => shell.t("seats-plan-quotes"),
        PlanFaultKind::UnknownColumn => shell.t("seats-plan-unknown-column"),
        PlanFaultKind::NoNumberColumn => shell.t("seats-plan-no-number-column"),
        PlanFaultKind::Label => shell.t1("seats-fault-label", "max", LABEL_LEN_MAX),
        PlanFaultKind::Number => shell.t1("seats-fault-number", "max", LABEL_LEN_MAX),
        PlanFaultKind::Range => shell.t("seats-plan-range"),
        PlanFaultKind::Price => shell.t("seats-fault-price"),
        PlanFaultKind::Twice { first } => shell.t1("seats-plan-twice", "line", *first),
        PlanFaultKind::Json { why } => shell.t1("seats-plan-json", "why", why),
    }
}

/// The form.
pub(super) async fn show(
    State(app): State<SharedState>,
    shell: CockpitShell,
    PathId(concert_id): PathId<ConcertId>,
) -> HttpResult<Response> {
    let visit = SeatsVisit::changing(shell, app, concert_id)?;
    let view = visit.hall().await?;
    visit.add_page(&view, String::new(), (None, String::new()), Vec::new(), None)
}

/// Shows what would be added, or adds what was shown.
pub(super) async fn send(
    State(app): State<SharedState>,
    _: OperatorOnly,
    shell: CockpitShell,
    PathId(concert_id): PathId<ConcertId>,
    form: LargeForm,
) -> HttpResult<Response> {
    let visit = SeatsVisit::changing(shell, app, concert_id)?;
    let view = visit.hall().await?;
    let fields = &form.fields;
    let typed = fields.one_or_none("text")?.unwrap_or_default().to_owned();
    let is_confirmed = fields.one_or_none("step")? == Some("add");
    let seen = fields.one_or_none("seen")?.unwrap_or_default();
    let refused = match form.file("file")?.map(|file| std::str::from_utf8(&file.bytes)) {
        None => Ok(typed),
        // A text that was looked at may be one of an earlier file; another one was typed since.
        Some(_) if !typed.trim().is_empty() && seen != tag_of(&typed) => Err("seats-plan-both"),
        Some(Err(_)) => Err("seats-plan-utf8"),
        Some(Ok(text)) => Ok(text.trim_start_matches('\u{feff}').replace("\r\n", "\n")),
    };
    let text = match refused {
        Ok(text) => text,
        Err(why) => {
            let notice = visit.bad(visit.shell.t(why), StatusCode::UNPROCESSABLE_ENTITY);
            let typed = fields.given("text").to_owned();
            return visit.add_page(&view, typed, (None, String::new()), Vec::new(), Some(notice));
        }
    };
    // A long text takes longer than other requests should wait.
    let (text, seats) = spawn_blocking(move || {
        let seats = read_seats(&text);
        (text, seats)
    })
    .await
    .map_err(Problem::internal)?;
    let seats = match seats {
        Ok(seats) => seats,
        Err(faults) => {
            let notice = visit.bad(visit.shell.t("seats-plan-faulty"), StatusCode::UNPROCESSABLE_ENTITY);
            let faults = faults.iter().map(|fault| visit.fault(fault, &text)).collect();
            // The text of a file is replaced by the next file.
            let seen = form.file("file")?.map(|_| tag_of(&text)).unwrap_or_default();
            let text = if text.len() > RETURNED_LEN_MAX { String::new() } else { text };
            return visit.add_page(&view, text, (None, seen), faults, Some(notice));
        }
    };
    let tag = tag_of(&text);
    // Another text than the one that was looked at is shown first.
    let is_seen = is_confirmed && seen == tag;
    if !is_seen {
        let preview = visit.preview(&view, &seats);
        return visit.add_page(&view, text, (Some(preview), tag), Vec::new(), None);
    }
    let key = key_of(fields)?;
    let caller = visit.shell.caller;
    let key = key.bind(caller, &Method::POST, "/operator/concerts/{id}/seats/add", &[&concert_id], &tag)?;
    let count = seats.len();
    let refusal = match visit.app.office.add_seats(caller, concert_id, seats.clone(), key).await {
        Ok(_) => return Ok(Redirect::to(&format!("{}?did=add&count={count}#did", visit.path())).into_response()),
        Err(ServiceError::Refused(refusal) | ServiceError::RefusedBefore(refusal)) => refusal,
        Err(stop) => return Err(stop.into()),
    };
    let notice = match &refusal {
        Refusal::SeatNumberTaken { section, row, number } => {
            let place = visit.words.place(section, row, number);
            visit.bad(visit.shell.t1("seats-refused-taken", "place", place), StatusCode::CONFLICT)
        }
        _ => FormNotice::of(&visit.shell, refusal.into())?,
    };
    let view = visit.hall().await?;
    let preview = visit.preview(&view, &seats);
    visit.add_page(&view, text, (Some(preview), tag), Vec::new(), Some(notice))
}

impl SeatsVisit {
    fn add_page(
        self,
        view: &HallView,
        text: String,
        (preview, seen): (Option<SeatPreview>, String),
        faults: Vec<ShownFault>,
        notice: Option<FormNotice>,
    ) -> HttpResult<Response> {
        let on_sale = &view.on_sale;
        let is_made = !on_sale.concert.is_being_made(self.app.office.now());
        let page = AddPage {
            path: self.path(),
            steps: (!is_made).then(|| steps_of(self.concert_id)),
            title: view.on_sale.concert.title.clone(),
            base_price: self.shell.money(&view.on_sale.concert.base_price),
            notice,
            faults,
            text,
            preview,
            seen,
            key: fresh_key(),
            shell: self.shell,
        };
        form_page(&page.shell, page.notice.as_ref(), &page)
    }

    fn bad(&self, title: String, status: StatusCode) -> FormNotice {
        FormNotice { status, title, text: self.shell.t("seats-nothing-added"), retry_after: None }
    }

    fn fault(&self, fault: &PlanFault, text: &str) -> ShownFault {
        let what = plan_fault_words(&self.shell, &fault.kind);
        let place = self.shell.t2("seats-plan-place", "line", fault.line, "column", fault.column);
        let line = text.lines().nth(fault.line.saturating_sub(1)).unwrap_or_default();
        let mut excerpt: String = line.chars().take(EXCERPT_LEN_MAX).collect();
        if excerpt.len() < line.len() {
            excerpt.push('…');
        }
        ShownFault { text: format!("{place}: {what}"), excerpt }
    }

    fn preview(&self, view: &HallView, seats: &[NewSeat]) -> SeatPreview {
        let base_price = view.on_sale.concert.base_price;
        let mut parts: BTreeMap<(&str, &str), PlannedPart<'_>> = BTreeMap::new();
        for seat in seats {
            let price = seat.price.unwrap_or(base_price);
            let label = &seat.label;
            let part = parts.entry((&label.section, &label.grade)).or_insert_with(|| PlannedPart::at(price));
            part.rows.insert(&label.row);
            (part.lowest, part.highest) = (part.lowest.min(price), part.highest.max(price));
            part.count += 1;
        }
        let named = |name: &str, word: &str| {
            if name.is_empty() { self.words.word(word).to_owned() } else { name.to_owned() }
        };
        let lines = parts.into_iter().map(|((section, grade), part)| PlannedSeats {
            section: named(section, "hall"),
            rows: i64::try_from(part.rows.len()).unwrap_or(i64::MAX),
            grade: named(grade, "nograde"),
            price: if part.lowest == part.highest {
                self.shell.money(&part.lowest)
            } else {
                format!("{}–{}", self.shell.money(&part.lowest), self.shell.money(&part.highest))
            },
            count: part.count,
        });
        SeatPreview {
            lines: lines.collect(),
            count: i64::try_from(seats.len()).unwrap_or(i64::MAX),
            taken: self.taken(&view.seats.order, seats),
        }
    }

    /// The first of the seats that exist already, and how many there are.
    fn taken(&self, order: &SeatingOrder, seats: &[NewSeat]) -> Option<String> {
        let rows = order.sections.iter().flat_map(|section| &section.rows);
        let known: HashSet<SeatPlace> = rows.flat_map(|row| &row.seats).map(|seat| seat.label.place()).collect();
        let taken: Vec<_> = seats
            .iter()
            .filter_map(|seat| Some(seat.printed()?.place()))
            .filter(|place| known.contains(place))
            .collect();
        let named = taken.iter().take(TAKEN_NAMED_MAX).map(|place| self.words.place_of(place)).collect::<Vec<_>>();
        let named = named.join(self.words.word("list"));
        (!taken.is_empty()).then(|| self.shell.t2("seats-plan-taken", "count", taken.len(), "places", named))
    }
}
