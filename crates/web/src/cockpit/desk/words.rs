//! The words of the screen: those that the server writes, and the same as templates for its script, which fills in the
//! figures of later moments.

use super::frame::LookFrame;
use crate::html::{figures, shell::Shell};
use frontrow_domain::{
    line::OpeningOrder,
    time::{Span, Time},
};
use serde_json::{Map, Value, json};

/// The value of a choice of the order, as the forms have it.
pub(in crate::cockpit) const fn opening_name(opening: OpeningOrder) -> &'static str {
    match opening {
        OpeningOrder::Draw => "draw",
        OpeningOrder::FirstCome => "first_come",
    }
}

/// The id of the name of an order.
pub(in crate::cockpit) const fn opening_id(opening: OpeningOrder) -> &'static str {
    match opening {
        OpeningOrder::Draw => "desk-opening-draw",
        OpeningOrder::FirstCome => "desk-opening-first-come",
    }
}

/// The id of what an order means.
pub(in crate::cockpit) const fn effect_id(opening: OpeningOrder) -> &'static str {
    match opening {
        OpeningOrder::Draw => "desk-effect-draw",
        OpeningOrder::FirstCome => "desk-effect-first-come",
    }
}

/// The words that the script is given: its name for each, the text, and the values that are filled in.
const WORDS: &[(&str, &str, &[&str])] = &[
    ("day", "desk-day", &[]),
    ("days", "desk-days", &["n"]),
    ("hours", "desk-hours", &["n"]),
    ("minutes", "desk-minutes", &["n"]),
    ("seconds", "desk-seconds", &["n"]),
    ("live", "desk-live", &[]),
    ("old", "desk-old", &["when"]),
    ("old_seats", "desk-old-seats", &["when"]),
    ("old_line", "desk-old-line", &["when"]),
    ("state_opens", "desk-state-opens", &["clock"]),
    ("state_opens_now", "desk-state-opens-now", &[]),
    ("state_on_sale", "desk-state-on-sale", &["clock"]),
    ("state_few_left", "desk-state-few-left", &["clock"]),
    ("state_all_held", "desk-state-all-held", &["clock"]),
    ("state_sold_out", "desk-state-sold-out", &["clock"]),
    ("state_no_seats", "desk-state-no-seats", &[]),
    ("state_closed", "desk-state-closed", &[]),
    ("state_postponed", "desk-state-postponed", &[]),
    ("state_cancelled", "desk-state-cancelled", &[]),
    ("state_over", "desk-state-over", &[]),
    ("joins", "desk-joins", &["n"]),
    ("offered", "desk-offered", &["n", "missed"]),
    ("told", "desk-told", &["error", "within"]),
    ("idle", "desk-idle", &["n"]),
    ("rate", "desk-rate", &["n"]),
    ("no_rate", "desk-no-rate", &[]),
    ("held", "desk-held", &["held", "free"]),
    ("pace", "desk-pace", &["n"]),
    ("money_held", "desk-money-held", &["sum"]),
    ("unknown", "desk-unknown", &[]),
    ("unknown_paused", "desk-unknown-paused", &[]),
    ("unknown_not_open", "desk-unknown-not-open", &[]),
    ("unknown_closed", "desk-unknown-closed", &[]),
    ("unknown_measuring", "desk-unknown-measuring", &[]),
    ("not_sold_out", "desk-not-sold-out", &[]),
    ("reach", "desk-reach", &["percent"]),
    ("line_empty", "desk-line-empty", &["when"]),
    ("grade", "desk-grade", &["sold", "seats"]),
    ("no_grade", "desk-no-grade", &[]),
    ("clash", "desk-clash", &["value"]),
    ("nothing", "desk-nothing", &[]),
    ("since", "desk-since", &["length"]),
    ("look_none", "desk-look-none", &[]),
    ("look_open", "desk-look-open", &[]),
    ("instance_ok", "desk-instance-ok", &[]),
    ("instance_silent", "desk-instance-silent", &[]),
    ("instance_not_ready", "desk-instance-not-ready", &["code"]),
];

/// What is said about what needs attention: its code, what it is, its values, and what to do.
const LOOKS: &[(&str, &str, &[&str], &str)] = &[
    ("database_away", "desk-look-database-away", &["instance"], "desk-do-database-away"),
    ("redis_away", "desk-look-redis-away", &["instance"], "desk-do-redis-away"),
    ("redis_full", "desk-look-redis-full", &["instance"], "desk-do-redis-full"),
    ("instance_silent", "desk-look-instance-silent", &["instance"], "desk-do-instance-silent"),
    ("not_ready", "desk-look-not-ready", &["instance", "code"], "desk-do-not-ready"),
    ("errors", "desk-look-errors", &["errors", "requests"], "desk-do-errors"),
    ("idle_places", "desk-look-idle-places", &["places", "waiting"], "desk-do-idle-places"),
    ("stuck_holds", "desk-look-stuck-holds", &["holds"], "desk-do-stuck-holds"),
    ("outbox_late", "desk-look-outbox-late", &["consumer"], "desk-do-outbox-late"),
    ("dead_letters", "desk-look-dead-letters", &["n", "consumer"], "desk-do-dead-letters"),
    ("stale_views", "desk-look-stale-views", &["instance", "n"], "desk-do-stale-views"),
    ("clocks_apart", "desk-look-clocks-apart", &["instance", "n"], "desk-do-clocks-apart"),
    ("disk_low", "desk-look-disk-low", &["instance", "free", "total"], "desk-do-disk-low"),
    ("too_few_connections", "desk-look-too-few-connections", &[], "desk-do-too-few-connections"),
];

/// The text of a state of a sale, by the state's name.
pub(super) fn state_template(shell: &Shell, state: &str) -> String {
    let key = format!("state_{state}");
    let found = WORDS.iter().find(|(name, _, _)| *name == key);
    found.map_or_else(String::new, |(_, id, names)| shell.template(id, names))
}

/// The text of the reason why nothing is forecast.
pub(super) fn unknown(shell: &Shell, reason: &str) -> String {
    let key = format!("unknown_{reason}");
    WORDS.iter().find(|(name, _, _)| *name == key).map_or_else(String::new, |(_, id, _)| shell.t(id))
}

/// All words of the script.
pub(super) fn for_script(shell: &Shell) -> Map<String, Value> {
    let words = WORDS.iter().map(|(name, id, values)| ((*name).to_owned(), shell.template(id, values)));
    let looks = LOOKS.iter().flat_map(|(code, what, values, todo)| {
        [(format!("look_{code}"), shell.template(what, values)), (format!("do_{code}"), shell.t(todo))]
    });
    words.chain(looks).map(|(name, text)| (name, text.into())).collect()
}

/// The charts: their curves by the columns of the seconds.
pub(super) fn panels(shell: &Shell) -> Value {
    let curve = |measure: &str, key: &str, label: &str, style: &str, tone: u8| -> Value {
        json!({ "measure": measure, "key": key, "label": shell.t(label), "style": style, "tone": tone })
    };
    let count = |key, label, style, tone| curve("count", key, label, style, tone);
    let level = |key, label, style, tone| curve("level", key, label, style, tone);
    let mut problems = count("problems", "desk-curve-problems", "dashes", 3);
    problems["detail"] = "codes".into();
    let mut errors = count("errors", "desk-curve-errors", "dashes", 3);
    errors["scale"] = "right".into();
    json!([
        { "title": shell.t("desk-chart-line"), "unit": shell.t("desk-unit-second"), "curves": [
            count("joins", "desk-curve-joins", "line", 1),
            count("admitted", "desk-curve-admitted", "area", 2),
            count("missed", "desk-curve-missed", "dots", 3),
        ] },
        { "title": shell.t("desk-chart-sale"), "unit": shell.t("desk-unit-second"), "curves": [
            count("holds", "desk-curve-holds", "line", 5),
            count("sold", "desk-curve-sold", "area", 4),
            problems,
        ] },
        { "title": shell.t("desk-chart-server"), "unit": shell.t("desk-unit-server"), "curves": [
            level("p50", "desk-curve-p50", "line", 1),
            level("p99", "desk-curve-p99", "line", 5),
            errors,
            level("lag", "desk-curve-lag", "dots", 6),
        ] },
    ])
}

/// The words of the charts.
pub(super) fn of_charts(shell: &Shell) -> Value {
    json!({
        "cursor": shell.t("desk-chart-cursor"),
        "newest": shell.t("desk-chart-newest"),
        "table": shell.t("desk-chart-table"),
        "moment": shell.t("desk-chart-moment"),
        "step": shell.template("desk-chart-step", &["seconds"]),
        "empty": shell.t("desk-chart-empty"),
    })
}

/// The hour at the venue, as the page's script writes it too: `20:04`.
pub(super) fn hour(at: Time, zone: &str) -> String {
    figures::local(at, zone).strftime("%H:%M").to_string()
}

/// A length of time as a clock shows it, as the page's script writes it too: `4:12`, `1:04:12`, `2d 01:04:12`.
pub(super) fn clock(shell: &Shell, length: Span) -> String {
    let seconds = length.micros().max(0).saturating_add(999_999) / 1_000_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let seconds = seconds % 60;
    match (days, hours) {
        (0, 0) => format!("{minutes}:{seconds:02}"),
        (0, _) => format!("{hours}:{minutes:02}:{seconds:02}"),
        _ => format!("{days}{} {hours:02}:{minutes:02}:{seconds:02}", shell.t("desk-day")),
    }
}

/// The moment of an entry, seen at `now`: `20:04:02`, with the date unless it is today.
pub(super) fn moment(at: Time, now: Time, zone: &str) -> String {
    let (at, now) = (figures::local(at, zone), figures::local(now, zone));
    at.strftime(if at.date() == now.date() { "%H:%M:%S" } else { "%m-%d %H:%M:%S" }).to_string()
}

/// A text with the values that are named in braces in it.
pub(super) fn filled(shell: &Shell, template: &str, values: &Map<String, Value>) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| {
        let written = match value {
            Value::Number(number) => number.as_i64().map_or_else(|| number.to_string(), |n| shell.number(&n)),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        text.replace(&format!("{{{name}}}"), &written)
    })
}

/// What needs attention, and what to do about it.
pub(super) fn look(shell: &Shell, look: &LookFrame) -> (String, String) {
    let Some((_, what, names, todo)) = LOOKS.iter().find(|(code, ..)| *code == look.code) else {
        return (look.code.to_owned(), String::new());
    };
    (filled(shell, &shell.template(what, names), &look.values), shell.t(todo))
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::{outbox::Consumer, time::Time};
    use frontrow_service::house::{Attention, AttentionKind, AttentionLevel, DiskSpace, RedisTrouble};
    use std::{collections::BTreeSet, time::Duration};

    #[test]
    fn whatever_needs_attention_has_words_for_it_and_each_of_their_values() {
        let instance = || "vm:8080".to_owned();
        let consumer = Consumer::Letters;
        let kinds = [
            AttentionKind::DatabaseAway { instance: instance() },
            AttentionKind::RedisAway { instance: instance(), trouble: RedisTrouble::Unreachable },
            AttentionKind::RedisAway { instance: instance(), trouble: RedisTrouble::Full },
            AttentionKind::InstanceSilent { instance: instance() },
            AttentionKind::NotReady { instance: instance(), code: "no_redis_url".to_owned() },
            AttentionKind::Errors { errors: 5, requests: 9 },
            AttentionKind::IdlePlaces { places: 5, waiting: 9 },
            AttentionKind::StuckHolds { holds: 5 },
            AttentionKind::OutboxLate { consumer },
            AttentionKind::DeadLetters { consumer, letters: 5 },
            AttentionKind::StaleViews { instance: instance(), behind: Duration::from_secs(5) },
            AttentionKind::ClocksApart { instance: instance(), ahead_ms: -6_000 },
            AttentionKind::DiskLow { instance: instance(), space: DiskSpace { free: 1 << 20, total: 1 << 30 } },
            AttentionKind::TooFewConnections,
        ];
        let mut said = BTreeSet::new();
        for kind in kinds {
            let look = LookFrame::from(&Attention { kind, level: AttentionLevel::Bad, since: Time::from_micros(0) });
            let (_, _, names, _) = LOOKS.iter().find(|(code, ..)| *code == look.code).unwrap();
            let values: BTreeSet<_> = look.values.keys().map(String::as_str).collect();
            assert_eq!(values, names.iter().copied().collect(), "{}", look.code);
            said.insert(look.code);
        }
        assert_eq!(said.len(), LOOKS.len(), "and nothing has words that cannot be");
    }
}
