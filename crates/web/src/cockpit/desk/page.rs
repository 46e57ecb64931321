//! The page of a sale as the server writes it: everything that its script keeps up to date later.

use super::{
    form::{Act, Consent, RoomFaults, SentForm, Settings},
    frame::{ForecastFrame, LookFrame, ScreenFrame, state_of, version_of},
    preview::Occasion,
    settings::FormView,
    words,
};
use crate::{
    cockpit::{
        entries::EntryWords,
        nav::{ConcertNav, ConcertPart},
        shell::CockpitShell,
    },
    edge::{
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    html::{
        forms::{FormNotice, form_page, fresh_key},
        grade_looks,
        shell::Shell,
    },
};
use askama::Template;
use axum::response::Response;
use frontrow_domain::{
    changes::AuditEntry,
    id::{AuditId, UserId},
    line::{Gate, Room},
    money::Money,
    time::Time,
};
use frontrow_line::view::ToldTally;
use frontrow_service::house::{HouseCoverage, SaleScreen};
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// How many names of operators are looked up for one page.
const NAMES_MAX: usize = 50;

/// The form of the settings, with what was typed.
pub(in crate::cockpit) struct RoomForm {
    pub(in crate::cockpit) key: String,
    pub(in crate::cockpit) sent: SentForm,
    pub(in crate::cockpit) faults: RoomFaults,
}

impl RoomForm {
    /// The form as it is first shown.
    pub(in crate::cockpit) fn fresh(room: &Room) -> Self {
        let settings = Settings::from(room);
        let sent = SentForm {
            act: Act::Apply,
            consent: Consent::NotAsked,
            basis: room.updated_at,
            was: settings.clone(),
            was_gate: room.gate,
            typed: settings,
            reason: String::new(),
        };
        Self::of(sent, RoomFaults::default())
    }

    /// A form that comes back.
    pub(super) fn of(sent: SentForm, faults: RoomFaults) -> Self {
        Self { key: fresh_key(), sent, faults }
    }

    /// The version that it is based on, as the form carries it.
    pub(in crate::cockpit) fn version(&self) -> String {
        version_of(self.sent.basis)
    }
}

/// The figures of the strip, in words.
struct Strip {
    waiting: String,
    joins: String,
    offered: String,
    told: String,
    active: String,
    cap: String,
    idle: String,
    admitted: String,
    rate: String,
    sold: String,
    seats: String,
    held: String,
    pace: String,
    money: String,
    money_held: String,
    forecast: String,
    forecast_more: String,
}

impl Strip {
    fn of(setting: &Occasion<'_>, screen: &SaleScreen) -> Self {
        let (shell, shown, seats) = (setting.shell, &screen.room, screen.seats.counts);
        let number = |value: i64| shell.number(&value);
        let silent = shown.missed.saturating_add(shown.dormant);
        let cap = shown.room.max_active_tokens();
        let (forecast, forecast_more) = forecast(setting, screen);
        Self {
            waiting: number(shown.waiting),
            joins: shell.t1("desk-joins", "n", screen.pace.joins),
            offered: shell.t2("desk-offered", "n", shown.offered, "missed", silent),
            told: told(shell, &shown.told),
            active: number(shown.active),
            cap: number(cap),
            idle: shell.t1("desk-idle", "n", cap.saturating_sub(shown.active).max(0)),
            admitted: number(screen.pace.admitted),
            rate: shown
                .room
                .admit_per_minute
                .map_or_else(|| shell.t("desk-no-rate"), |rate| shell.t1("desk-rate", "n", rate)),
            sold: number(seats.sold),
            seats: number(seats.sold.saturating_add(seats.held).saturating_add(seats.available)),
            held: shell.t2("desk-held", "held", seats.held, "free", seats.available),
            pace: shell.t1("desk-pace", "n", screen.pace.sold),
            money: shell.money(&Money::new(screen.seats.money.sold)),
            money_held: shell.t1("desk-money-held", "sum", shell.money(&Money::new(screen.seats.money.held))),
            forecast,
            forecast_more,
        }
    }
}

/// How near the told waits were to those that came; nothing before some have come.
fn told(shell: &Shell, tally: &ToldTally) -> String {
    match (tally.error_percent, tally.within_percent()) {
        (Some(error), Some(within)) => shell.t2("desk-told", "error", error, "within", count(within)),
        _ => String::new(),
    }
}

fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The forecast: its headline, and what else is known.
fn forecast(Occasion { shell, zone, now }: &Occasion<'_>, screen: &SaleScreen) -> (String, String) {
    let frame = ForecastFrame::of(&screen.forecast, screen.at);
    if let Some(reason) = frame.reason {
        return (shell.t("desk-unknown"), words::unknown(shell, reason));
    }
    let hour = |at: Option<Time>| at.filter(|at| at.since(*now) < super::preview::FAR).map(|at| words::hour(at, zone));
    let is_waiting = screen.room.waiting > 0;
    let reach = frame.reach_percent.filter(|_| is_waiting).map(|percent| shell.t1("desk-reach", "percent", percent));
    let empty = hour(frame.line_empty_at).filter(|_| is_waiting).map(|when| shell.t1("desk-line-empty", "when", when));
    let more: Vec<_> = reach.into_iter().chain(empty).collect();
    (hour(frame.sold_out_at).unwrap_or_else(|| shell.t("desk-not-sold-out")), more.join(" · "))
}

struct GradeLine {
    name: String,
    mark: String,
    look: &'static str,
    count: String,
    rest: String,
    sold: i64,
    seats: i64,
}

struct LookLine {
    level: &'static str,
    what: String,
    todo: String,
    since: String,
    link: Option<String>,
}

struct InstanceLine {
    name: String,
    look: &'static str,
    text: String,
}

/// An entry of the audit log as the page and its script have it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct EntryLine {
    pub(super) id: AuditId,
    /// In milliseconds.
    pub(super) at: i64,
    #[serde(skip)]
    datetime: String,
    when: String,
    pub(super) who: String,
    pub(super) what: String,
    reason: String,
    /// What stands at the mark in the charts; empty if the entry is of the house.
    mark: String,
    /// Whether it is of the sale's room.
    #[serde(skip)]
    pub(super) is_of_room: bool,
}

impl EntryLine {
    /// An entry, as it is shown on the screen of the sale with this concert and room.
    pub(super) fn of(shell: &Shell, screen: &SaleScreen, entry: &AuditEntry, names: &Names) -> Self {
        let zone = &screen.concert.time_zone;
        let name_of = |user: UserId| names.0.get(&user)?.as_deref();
        let EntryWords { who, what, reason, label } = EntryWords::of(shell, entry, &name_of, zone);
        let room = format!("room {}", screen.concert.room_id);
        let concert = format!("concert {}", screen.concert.concert_id);
        let is_of_sale = entry.object == room || entry.object == concert;
        Self {
            id: entry.audit_id,
            at: entry.created_at.micros() / 1_000,
            datetime: entry.created_at.to_string(),
            when: words::moment(entry.created_at, screen.at, zone),
            who,
            what,
            reason,
            mark: if is_of_sale { label } else { String::new() },
            is_of_room: entry.object == room,
        }
    }
}

/// The names of operators; none of one that is not known.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<UserId, Option<String>>);

impl Names {
    /// Learns the names of the actors of some entries, in the time that a part of a screen has. One that cannot be read
    /// stays without.
    pub(super) async fn learn(&mut self, app: &SharedState, entries: &[AuditEntry]) {
        let actors = entries.iter().filter_map(|entry| entry.actor).filter(|actor| !self.0.contains_key(actor));
        let actors: BTreeSet<_> = actors.collect();
        let room = NAMES_MAX.saturating_sub(self.0.len());
        self.0.extend(app.office.names_on_screen(actors.into_iter().take(room).collect()).await);
    }
}

/// The newest entries of the audit log about the sale, oldest first.
pub(super) async fn newest_entries(app: &SharedState, shell: &Shell, screen: &SaleScreen) -> Vec<EntryLine> {
    // The rest of the screen is shown without the database, too.
    let mut entries = app.office.entries_on_screen(screen.concert.concert_id).await;
    entries.reverse();
    let mut names = Names::default();
    names.learn(app, &entries).await;
    entries.iter().map(|entry| EntryLine::of(shell, screen, entry, &names)).collect()
}

#[derive(Template)]
#[template(path = "cockpit/desk.html")]
struct DeskPage {
    shell: CockpitShell,
    nav: ConcertNav,
    title: String,
    venue: String,
    when: String,
    path: String,
    state: String,
    is_paused: bool,
    /// Whether the order of the opening may still change.
    may_reorder: bool,
    is_own_only: bool,
    /// Since when the seats are old, in words.
    old_seats: Option<String>,
    old_line: Option<String>,
    notice: Option<FormNotice>,
    applied: Option<String>,
    strip: Strip,
    grades: Vec<GradeLine>,
    /// None for those who may only look.
    form: Option<RoomForm>,
    message: String,
    preview: String,
    looks: Vec<LookLine>,
    instances: Vec<InstanceLine>,
    /// Newest first.
    entries: Vec<EntryLine>,
    data: String,
}

/// The path of the screen of a sale.
pub(super) fn path_of(screen: &SaleScreen) -> String {
    format!("/operator/concerts/{}/sale", screen.concert.concert_id)
}

fn ready_path(screen: &SaleScreen) -> String {
    format!("/operator/concerts/{}/ready", screen.concert.concert_id)
}

/// What to open about something that needs attention.
fn link_of(code: &str, screen: &SaleScreen) -> Option<String> {
    match code {
        "outbox_late" | "dead_letters" => Some("/operator/outbox".to_owned()),
        "clocks_apart" | "disk_low" | "too_few_connections" => Some(ready_path(screen)),
        _ => None,
    }
}

/// The page.
pub(super) async fn show(
    app: &SharedState,
    shell: CockpitShell,
    screen: &SaleScreen,
    shown: FormView,
) -> HttpResult<Response> {
    let entries = newest_entries(app, &shell, screen).await;
    let concert = &screen.concert;
    let setting = Occasion { shell: &shell, zone: &concert.time_zone, now: screen.at };
    let is_paused = screen.room.room.gate == Gate::Paused;
    let path = path_of(screen);
    let looks: Vec<_> = screen.attention.iter().map(LookFrame::from).collect();
    let old = |words: &str, as_of: Option<Time>| {
        as_of.map(|as_of| shell.t1(words, "when", words::moment(as_of, screen.at, &concert.time_zone)))
    };
    let FormView { form, notice, preview, applied } = shown;
    let page = DeskPage {
        nav: ConcertNav { id: concert.concert_id, here: ConcertPart::Sale },
        title: concert.title.clone(),
        venue: concert.venue.clone(),
        when: shell.moment(&concert.starts_at, &concert.time_zone),
        state: state_words(&shell, screen),
        is_paused,
        may_reorder: screen.room.room.may_reorder(screen.at),
        is_own_only: screen.coverage == HouseCoverage::OwnOnly,
        old_seats: old("desk-old-seats", screen.old_seats()),
        old_line: old("desk-old-line", screen.old_line()),
        strip: Strip::of(&setting, screen),
        grades: grades(&shell, screen),
        form: shell.may_change().then(|| form.unwrap_or_else(|| RoomForm::fresh(&screen.room.room))),
        message: screen.room.room.message.clone().unwrap_or_else(|| shell.t("desk-nothing")),
        preview,
        looks: looks.iter().map(|look| look_line(&shell, screen, look)).collect(),
        instances: instances(&shell, screen),
        entries: entries.into_iter().rev().collect(),
        data: data(&shell, screen, &path)?,
        notice,
        applied,
        path,
        shell,
    };
    form_page(&page.shell, page.notice.as_ref(), &page)
}

/// What the script starts from.
fn data(shell: &Shell, screen: &SaleScreen, path: &str) -> HttpResult<String> {
    let links: BTreeMap<_, _> = ["outbox_late", "dead_letters", "clocks_apart", "disk_low", "too_few_connections"]
        .into_iter()
        .filter_map(|code| Some((code, link_of(code, screen)?)))
        .collect();
    let data = json!({
        "addresses": {
            "events": format!("{path}/events"),
            "history": format!("{path}/history"),
            "preview": format!("{path}/preview"),
        },
        "zone": screen.concert.time_zone,
        "words": words::for_script(shell),
        "links": links,
        "panels": words::panels(shell),
        "chart_words": words::of_charts(shell),
        "screen": ScreenFrame::from(screen),
    });
    serde_json::to_string(&data).map_err(Problem::internal)
}

fn state_words(shell: &Shell, screen: &SaleScreen) -> String {
    let frame = json!(screen.state.name());
    let template = words::state_template(shell, frame.as_str().unwrap_or_default());
    let to_opening = screen.concert.opens_at.since(screen.at);
    let since = screen.at.since(screen.concert.opens_at);
    let clock = words::clock(shell, if to_opening.micros() > 0 { to_opening } else { since });
    template.replace("{clock}", &clock)
}

fn grades(shell: &Shell, screen: &SaleScreen) -> Vec<GradeLine> {
    let names: Vec<_> = screen.seats.grades.iter().map(|grade| grade.name.as_str()).collect();
    let looks = grade_looks::styles(&names);
    let lines = screen.seats.grades.iter().zip(looks).map(|(grade, look)| {
        let counts = grade.counts;
        let seats = counts.sold.saturating_add(counts.held).saturating_add(counts.available);
        GradeLine {
            name: if grade.name.is_empty() { shell.t("desk-no-grade") } else { grade.name.clone() },
            mark: grade.mark.clone(),
            look,
            count: shell.t2("desk-grade", "sold", counts.sold, "seats", seats),
            rest: shell.t2("desk-held", "held", counts.held, "free", counts.available),
            sold: counts.sold,
            seats: seats.max(1),
        }
    });
    lines.collect()
}

fn look_line(shell: &Shell, screen: &SaleScreen, look: &LookFrame) -> LookLine {
    let (what, todo) = words::look(shell, look);
    let since = shell.length(screen.at.since(look.since));
    LookLine {
        level: look.level,
        what,
        todo,
        since: shell.t1("desk-since", "length", since),
        link: link_of(look.code, screen),
    }
}

fn instances(shell: &Shell, screen: &SaleScreen) -> Vec<InstanceLine> {
    let lines = screen.instances.iter().map(|instance| {
        let (state, code) = state_of(instance);
        let (look, text) = match state {
            "silent" => ("bad", shell.t("desk-instance-silent")),
            "not_ready" => ("bad", shell.t1("desk-instance-not-ready", "code", code)),
            _ => ("fine", shell.t("desk-instance-ok")),
        };
        InstanceLine { name: instance.name.clone(), look, text: format!("{} · {text}", instance.version) }
    });
    lines.collect()
}
