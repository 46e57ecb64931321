//! What a change of the room would do, in words.

use super::{frame::reason_of, words};
use crate::html::shell::Shell;
use frontrow_domain::{
    line::{Gate, Room},
    time::{Span, Time},
};
use frontrow_service::house::RoomPreview;

/// A moment that is farther away is no forecast.
pub(super) const FAR: Span = Span::from_secs(24 * 3_600);

/// When and where it is said.
pub(super) struct Occasion<'a> {
    pub(super) shell: &'a Shell,
    pub(super) zone: &'a str,
    pub(super) now: Time,
}

/// The effect of a change: at once, and on the sale or the line as its measured pace lets expect, with so many tokens
/// active and waiting now.
pub(super) fn effect(setting: &Occasion<'_>, preview: &RoomPreview, (active, waiting): (i64, i64)) -> String {
    let Occasion { shell, zone, now } = setting;
    let (before, after) = (&preview.before, &preview.after);
    let is_of_pace = |room: &Room| (room.max_active, room.admit_per_minute, room.gate);
    let order = (before.draw != after.draw).then(|| shell.t(words::effect_id(after.draw.opening_order())));
    if is_of_pace(before) == is_of_pace(after) {
        return order.unwrap_or_else(|| shell.t("desk-effect-none"));
    }
    let mut said = Vec::new();
    said.extend(order);
    said.extend(at_once(shell, (before, after), (active, waiting)));
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
            if waiting > 0 {
                let empty = hour(changed.line_empty_in).map(|when| shell.t1("desk-effect-line", "when", when));
                let never = || preview.concert.is_none().then(|| shell.t("desk-effect-line-stays"));
                said.extend(empty.or_else(never));
            }
        }
    }
    said.join(" ")
}

/// What happens at once, whatever the pace is.
fn at_once(shell: &Shell, (before, after): (&Room, &Room), (active, waiting): (i64, i64)) -> Option<String> {
    if after.gate == Gate::Paused || after.max_active <= 0 {
        return Some(shell.t("desk-effect-paused"));
    }
    let places = after.max_active_tokens();
    if places < active {
        return Some(shell.t2("desk-effect-fewer", "n", active, "cap", places));
    }
    let free = |room: &Room| room.max_active_tokens().saturating_sub(active).max(0);
    let was_free = if before.gate == Gate::Paused { 0 } else { free(before) };
    let more = free(after).saturating_sub(was_free).min(waiting);
    (more > 0).then(|| shell.t1("desk-effect-more", "n", more))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::language::Language;
    use frontrow_domain::{
        command::RoomChange,
        id::{ConcertId, RoomId},
        line::{Forecast, ForecastUnknown},
    };

    const MINUTE: i64 = 60;

    fn forecast(sold_out: Option<i64>, line_empty: Option<i64>) -> Forecast {
        let span = |minutes: i64| Span::from_secs(minutes * MINUTE);
        Forecast { sold_out_in: sold_out.map(span), line_empty_in: line_empty.map(span), reach_ppm: None }
    }

    #[test]
    fn a_higher_cap_lets_no_more_in_than_the_rooms_share() {
        // Given 70 inside, and a share of 80 places under a cap of 200.
        let shell = Shell::of_test(Language::English).unwrap();
        let now = Time::from_micros(1_795_964_400_000_000);
        let before = Room { allotment: Some(80), ..Room::new(RoomId::HOUSE, 200, now) };
        let said = |max_active, active| {
            let after = RoomChange { max_active: Some(max_active), ..RoomChange::default() }.applied(&before);
            at_once(&shell, (&before, &after), (active, 50))
        };
        // Then only a cap below the share is felt, and one of 0 stops the line.
        assert_eq!(said(300, 70), None);
        assert_eq!(said(90, 70), None);
        let fewer = "The 70 inside stay; no turns are offered until they’re fewer than 60.";
        assert_eq!(said(60, 70).as_deref(), Some(fewer));
        assert_eq!(said(0, 70).as_deref(), Some("No new turns are offered."));
    }

    #[test]
    fn a_change_of_a_room_without_a_share_says_why_nothing_is_known() {
        // Given a line that rests until its sale opens: it has no share of the budget yet.
        let shell = Shell::of_test(Language::English).unwrap();
        let now = Time::from_micros(1_795_964_400_000_000);
        let before = Room { allotment: Some(0), ..Room::new(RoomId::HOUSE, 200, now) };
        let after = RoomChange { max_active: Some(300), ..RoomChange::default() }.applied(&before);
        let preview = RoomPreview {
            concert: None,
            as_it_is: Err(ForecastUnknown::Paused),
            as_changed: Err(ForecastUnknown::Paused),
            before,
            after,
        };
        let said = effect(&Occasion { shell: &shell, zone: "Asia/Seoul", now }, &preview, (0, 50));
        assert!(said.contains("isn’t known yet"), "{said}");
    }

    #[test]
    fn a_sale_is_said_to_be_sold_out_and_a_line_by_itself_to_be_empty() {
        // Given midnight in Seoul, a room of ten places, and a change that doubles them.
        let shell = Shell::of_test(Language::English).unwrap();
        let now = Time::from_micros(1_795_964_400_000_000);
        let before = Room::new(RoomId::HOUSE, 10, now);
        let after = RoomChange { max_active: Some(20), ..RoomChange::default() }.applied(&before);
        let said = |concert: Option<i64>, (as_it_is, as_changed): (Forecast, Forecast), waiting| {
            let (before, after, concert) = (before.clone(), after.clone(), concert.map(ConcertId::new));
            let preview = RoomPreview { concert, before, after, as_it_is: Ok(as_it_is), as_changed: Ok(as_changed) };
            effect(&Occasion { shell: &shell, zone: "Asia/Seoul", now }, &preview, (10, waiting))
        };
        let (late, soon, never) = (forecast(Some(40), Some(30)), forecast(Some(20), Some(15)), forecast(None, None));
        for (concert, forecasts, waiting, expected) in [
            (Some(3), (late, soon), 50, "Sold out at 00:20 instead of 00:40. The line’s empty at 00:15."),
            (Some(3), (late, late), 50, "Still sold out at 00:40. The line’s empty at 00:30."),
            (Some(3), (never, soon), 50, "Sold out at 00:20. The line’s empty at 00:15."),
            (Some(3), (late, never), 50, "Like this it won’t be sold out today."),
            (Some(3), (late, soon), 0, "Sold out at 00:20 instead of 00:40."),
            (None, (late, soon), 50, "The line’s empty at 00:15."),
            (None, (late, never), 50, "Like this the line won’t be empty today."),
            (None, (late, soon), 0, ""),
        ] {
            let more = if waiting == 0 { "" } else { "10 more can come in soon." };
            let expected = [more, expected].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
            assert_eq!(said(concert, forecasts, waiting), expected);
        }
    }
}
