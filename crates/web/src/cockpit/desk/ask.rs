//! The page that asks again before a change that stops the line, or that needs a reason.

use super::{page::RoomForm, settings::FormPlace, words};
use crate::{
    cockpit::shell::CockpitShell,
    edge::{problem::HttpResult, state::SharedState},
    html::{
        forms::{FormNotice, form_page},
        shell::Shell,
    },
};
use askama::Template;
use axum::response::Response;
use frontrow_domain::{
    command::RoomChange,
    line::{Gate, Room},
    sale::Stops,
};

/// A setting that would change.
struct ChangeLine {
    name: String,
    from: String,
    to: String,
}

#[derive(Template)]
#[template(path = "cockpit/desk_ask.html")]
struct AskPage {
    shell: CockpitShell,
    title: String,
    question: String,
    path: String,
    texts: Vec<String>,
    changes: Vec<ChangeLine>,
    effect: String,
    confirm: String,
    asks_reason: bool,
    form: RoomForm,
    notice: Option<FormNotice>,
}

/// What the page asks about.
pub(super) struct AskedChange<'a> {
    pub(super) place: &'a FormPlace,
    pub(super) change: &'a RoomChange,
    pub(super) form: RoomForm,
    pub(super) notice: Option<FormNotice>,
    /// What is said first, if the change is not quite what was asked for.
    pub(super) lead: Option<String>,
}

/// The page.
pub(super) async fn show(app: &SharedState, shell: CockpitShell, asked: AskedChange<'_>) -> HttpResult<Response> {
    let AskedChange { place, change, form, notice, lead } = asked;
    let room = place.room();
    let preview = place.preview(app, change).await?;
    let is_of_sale = preview.concert.is_some();
    let (question, stopped, confirm) = match change.stops(room) {
        Some(Stops::NoPlaces) => {
            let stopped = if is_of_sale { "desk-stops-zero" } else { "desk-stops-zero-line" };
            ("desk-ask-zero", Some(stopped), "desk-confirm")
        }
        Some(_) => {
            let stopped = if is_of_sale { "desk-stops-paused" } else { "desk-stops-paused-line" };
            ("desk-ask-pause", Some(stopped), "desk-pause")
        }
        None => ("desk-ask-reason", None, "desk-confirm"),
    };
    let stopped = stopped.map(|id| in_line(&shell, id, place));
    // What stops the line says all of it.
    let effect = if stopped.is_some() { String::new() } else { place.effect(&shell, &preview) };
    let page = AskPage {
        title: place.title(&shell),
        question: shell.t(question),
        path: place.path(),
        texts: lead.into_iter().chain(stopped).collect(),
        changes: changes(&shell, room, &preview.after),
        effect,
        confirm: shell.t(confirm),
        asks_reason: change.hurts(room),
        form,
        notice,
        shell,
    };
    form_page(&page.shell, page.notice.as_ref(), &page)
}

/// A text about those inside and those in line.
fn in_line(shell: &Shell, id: &str, place: &FormPlace) -> String {
    let (active, waiting) = place.active_and_waiting();
    shell.t2(id, "active", active, "waiting", waiting)
}

fn changes(shell: &Shell, before: &Room, after: &Room) -> Vec<ChangeLine> {
    let nothing = || shell.t("desk-nothing");
    let number = |value: Option<i64>| value.map_or_else(nothing, |value| shell.number(&value));
    let text = |value: &Option<String>| value.clone().unwrap_or_else(nothing);
    let gate = |gate| shell.t(if gate == Gate::Open { "entry-gate-open" } else { "entry-gate-paused" });
    let opening = |room: &Room| shell.t(words::opening_id(room.draw.opening_order()));
    let lines = [
        ("entry-field-gate", gate(before.gate), gate(after.gate)),
        ("desk-cap", number(Some(before.max_active)), number(Some(after.max_active))),
        ("desk-rate-field", number(before.admit_per_minute), number(after.admit_per_minute)),
        ("desk-opening", opening(before), opening(after)),
        ("entry-field-message", text(&before.message), text(&after.message)),
    ];
    let changed = lines.into_iter().filter(|(_, from, to)| from != to);
    changed.map(|(id, from, to)| ChangeLine { name: shell.t(id), from, to }).collect()
}
