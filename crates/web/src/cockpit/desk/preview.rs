//! What a change of the room would do, in words.

use super::{frame::reason_of, words};
use crate::html::shell::Shell;
use frontrow_domain::{
    line::{Gate, Room},
    time::{Span, Time},
};
use frontrow_service::{house::RoomPreview, operators::RoomOverview};

/// A moment that is farther away is no forecast.
pub(super) const FAR: Span = Span::from_secs(24 * 3_600);

/// When and where it is said.
pub(super) struct Occasion<'a> {
    pub(super) shell: &'a Shell,
    pub(super) zone: &'a str,
    pub(super) now: Time,
}

/// The effect of a change: at once, and on the sale as its measured pace lets expect.
pub(super) fn effect(setting: &Occasion<'_>, preview: &RoomPreview, line: &RoomOverview) -> String {
    let Occasion { shell, zone, now } = setting;
    let (before, after) = (&preview.before, &preview.after);
    let is_of_pace = |room: &Room| (room.max_active, room.admit_per_minute, room.gate);
    if is_of_pace(before) == is_of_pace(after) {
        return shell.t("desk-effect-none");
    }
    let mut said = Vec::new();
    said.extend(at_once(shell, before, after, line));
    let hour = |span: Option<Span>| span.filter(|span| *span < FAR).map(|span| words::hour(now.plus(span), zone));
    match (&preview.as_it_is, &preview.as_changed) {
        // What is said at once says it.
        (_, Err(_)) if after.gate == Gate::Paused || after.max_active <= 0 => {}
        (_, Err(unknown)) => {
            let id = if preview.concert.is_some() { "desk-effect-unknown" } else { "desk-effect-line-unknown" };
            said.push(shell.t1(id, "why", words::unknown(shell, reason_of(*unknown))));
        }
        (as_it_is, Ok(changed)) => {
            let old = as_it_is.as_ref().ok().and_then(|forecast| hour(forecast.sold_out_in));
            let sold_out = match (old, hour(changed.sold_out_in)) {
                (Some(old), Some(new)) if old == new => shell.t1("desk-effect-sold-out-same", "after", new),
                (Some(old), Some(new)) => shell.t2("desk-effect-sold-out", "before", old, "after", new),
                (None, Some(new)) => shell.t1("desk-effect-sold-out-now", "after", new),
                (_, None) => shell.t("desk-effect-not-sold-out"),
            };
            said.extend(preview.concert.is_some().then_some(sold_out));
            if line.waiting > 0 {
                let empty = hour(changed.line_empty_in).map(|when| shell.t1("desk-effect-line", "when", when));
                let never = || preview.concert.is_none().then(|| shell.t("desk-effect-line-stays"));
                said.extend(empty.or_else(never));
            }
        }
    }
    said.join(" ")
}

/// What happens at once, whatever the pace is.
fn at_once(shell: &Shell, before: &Room, after: &Room, line: &RoomOverview) -> Option<String> {
    if after.gate == Gate::Paused || after.max_active <= 0 {
        return Some(shell.t("desk-effect-paused"));
    }
    if after.max_active < line.active {
        return Some(shell.t2("desk-effect-fewer", "n", line.active, "cap", after.max_active));
    }
    let free = |room: &Room| room.max_active.saturating_sub(line.active).max(0);
    let was_free = if before.gate == Gate::Paused { 0 } else { free(before) };
    let more = free(after).saturating_sub(was_free).min(line.waiting);
    (more > 0).then(|| shell.t1("desk-effect-more", "n", more))
}
