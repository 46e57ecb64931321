//! What came of a rehearsal, in words and numbers.

use crate::html::{figures, shell::Shell};
use frontrow_domain::{sale::Concert, time::Span};
use frontrow_service::rehearsal::report::{RehearsalReport, RehearsedSecond, SellOut};
use serde_json::json;

/// A figure with its name.
pub(super) struct OutcomeFact {
    pub(super) name: String,
    pub(super) value: String,
    /// More of it.
    pub(super) detail: Option<String>,
}

/// One minute of the sale, in a table.
pub(super) struct OutcomeMinute {
    pub(super) minute: String,
    pub(super) admitted: String,
    pub(super) sold: String,
    pub(super) waiting: String,
    pub(super) requests: String,
}

/// The result of a rehearsal.
pub(super) struct ShownOutcome {
    /// When it is sold out.
    pub(super) headline: String,
    /// How that is known.
    pub(super) ground: String,
    pub(super) facts: Vec<OutcomeFact>,
    /// Whether other work took much of the machine.
    pub(super) was_disturbed: bool,
    /// Whether every promise was kept.
    pub(super) is_clean: bool,
    pub(super) audit: String,
    pub(super) breaches: Vec<String>,
    pub(super) minutes: Vec<OutcomeMinute>,
    /// The plan and the columns of the charts, as JSON.
    pub(super) plan: String,
    pub(super) columns: String,
}

fn span(micros: u64) -> Span {
    Span::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// To the whole second: the measured moment is no more exact than that.
fn length(shell: &Shell, micros: u64) -> String {
    shell.length(span(micros))
}

fn number(shell: &Shell, number: u64) -> String {
    shell.number(&i64::try_from(number).unwrap_or(i64::MAX))
}

/// A latency: milliseconds with one digit.
fn millis(micros: u64) -> String {
    format!("{}.{} ms", micros / 1_000, micros / 100 % 10)
}

impl ShownOutcome {
    pub(super) fn of(shell: &Shell, concert: &Concert, report: &RehearsalReport) -> Self {
        let (headline, ground) = sell_out_words(shell, concert, report);
        let audit = if report.breaches == 0 {
            shell.t("rehearsal-audit-clean")
        } else {
            shell.t1("rehearsal-audit-broken", "count", i64::try_from(report.breaches).unwrap_or(i64::MAX))
        };
        Self {
            headline,
            ground,
            facts: facts(shell, report),
            was_disturbed: report.was_disturbed(),
            is_clean: report.breaches == 0,
            audit,
            breaches: report.breaches_shown.clone(),
            minutes: report.seconds.chunks(60).zip(1_i64..).map(|(part, at)| minute(shell, at, part)).collect(),
            plan: chart_plan(shell).to_string(),
            columns: columns(&report.seconds).to_string(),
        }
    }
}

fn sell_out_words(shell: &Shell, concert: &Concert, report: &RehearsalReport) -> (String, String) {
    let at = |after: u64| {
        let moment = concert.opens_at.plus(span(after));
        figures::hour(shell.language, &figures::local(moment, &concert.time_zone))
    };
    match report.sold_out {
        SellOut::Measured { after } => (
            shell.t2("rehearsal-sold-out", "hour", at(after), "after", length(shell, after)),
            shell.t("rehearsal-measured"),
        ),
        // A forecast is no more exact than a minute.
        SellOut::Forecast { after } => {
            let minutes = after.div_ceil(60_000_000).saturating_mul(60_000_000);
            let headline = shell.t2("rehearsal-would-sell-out", "hour", at(minutes), "after", length(shell, minutes));
            (headline, shell.t1("rehearsal-forecast", "took", length(shell, report.took)))
        }
        SellOut::Never => (shell.t("rehearsal-never"), shell.t("rehearsal-never-why")),
        SellOut::TooShort => (shell.t("rehearsal-too-short"), shell.t("rehearsal-too-short-why")),
    }
}

fn facts(shell: &Shell, report: &RehearsalReport) -> Vec<OutcomeFact> {
    let number = |count: u64| number(shell, count);
    let of = |some: u64, all: u64| shell.t2("rehearsal-of", "some", number(some), "all", number(all));
    let fact = |id: &str, value: String, detail: Option<String>| OutcomeFact { name: shell.t(id), value, detail };
    let length = |micros: u64| length(shell, micros);
    let percent = |ppm: i64| format!("{} %", ppm / 10_000);
    // Hundredths of the time of one core.
    let core = |cpu: u64| format!("{} %", cpu.saturating_mul(100) / report.took.max(1));
    let mut facts = vec![
        fact("rehearsal-fact-came", of(report.came, report.setup.people.into()), None),
        fact("rehearsal-fact-seats", of(report.sold, report.seats), None),
    ];
    let could = report.could_buy_ppm.map_or_else(|| shell.t("rehearsal-unknown"), percent);
    facts.push(fact(
        "rehearsal-fact-could-buy",
        could,
        Some(shell.t1("rehearsal-bought", "count", number(report.bought))),
    ));
    if report.wait.count > 0 {
        facts.push(fact("rehearsal-fact-wait-half", length(report.wait.p50), None));
        facts.push(fact("rehearsal-fact-wait-most", length(report.wait.p90), None));
        facts.push(fact("rehearsal-fact-wait-99", length(report.wait.p99), None));
        facts.push(fact("rehearsal-fact-wait-longest", length(report.wait.longest), None));
    }
    if report.waiting > 0 {
        let empty = report.line_empty.map(|after| shell.t1("rehearsal-line-empty", "after", length(after)));
        let waiting = u64::try_from(report.waiting).unwrap_or(0);
        facts.push(fact("rehearsal-fact-waiting", number(waiting), empty));
    }
    let a_second = shell.t1("rehearsal-in-all", "count", number(report.requests));
    facts.push(fact("rehearsal-fact-busiest", number(report.busiest), Some(a_second)));
    facts.push(fact("rehearsal-fact-latency-half", millis(report.latency.p50), None));
    facts.push(fact("rehearsal-fact-latency-99", millis(report.latency.p99), None));
    facts.push(fact("rehearsal-fact-errors", number(report.errors), None));
    let crowd = shell.t1("rehearsal-crowd-cpu", "share", core(report.crowd_cpu));
    facts.push(fact("rehearsal-fact-cpu", core(report.server_cpu), Some(crowd)));
    if let Some(other) = report.other_cpu {
        facts.push(fact("rehearsal-fact-other-cpu", core(other), None));
    }
    if let Some(memory) = report.memory {
        facts.push(fact("rehearsal-fact-memory", format!("{} MiB", number(memory >> 20)), None));
    }
    facts
}

fn minute(shell: &Shell, at: i64, part: &[RehearsedSecond]) -> OutcomeMinute {
    let sum = |of: fn(&RehearsedSecond) -> u64| number(shell, part.iter().map(of).sum());
    OutcomeMinute {
        minute: shell.number(&at),
        admitted: sum(|second| second.admitted),
        sold: sum(|second| second.sold),
        waiting: shell.number(&part.last().map_or(0, |second| second.waiting)),
        requests: number(shell, part.iter().map(|second| second.requests).max().unwrap_or(0)),
    }
}

fn chart_plan(shell: &Shell) -> serde_json::Value {
    let curve = |measure: &str, key: &str, id: &str, style: &str, tone: i32| json!({ "measure": measure, "key": key, "label": shell.t(id), "style": style, "tone": tone });
    json!({
        "lang": shell.lang(),
        "panels": [
            { "title": shell.t("rehearsal-chart-line"), "curves": [
                curve("level", "waiting", "rehearsal-waiting", "area", 1),
                curve("level", "active", "rehearsal-active", "dashes", 2),
            ] },
            { "title": shell.t("rehearsal-chart-seats"), "curves": [curve("level", "sold", "rehearsal-sold", "area", 3)] },
            { "title": shell.t("rehearsal-chart-load"), "curves": [curve("count", "requests", "rehearsal-requests", "line", 4)] },
        ],
        "words": {
            "cursor": shell.t("rehearsal-chart-cursor"), "newest": shell.t("rehearsal-chart-newest"),
            "table": shell.t("rehearsal-chart-table"), "moment": shell.t("rehearsal-chart-moment"),
            "step": shell.template("desk-chart-step", &["seconds"]),
            "empty": shell.t("rehearsal-chart-empty"),
        },
    })
}

/// The seats are added up: a curve of what is sold only rises.
fn columns(seconds: &[RehearsedSecond]) -> serde_json::Value {
    let mut sold = 0_u64;
    let sold: Vec<u64> = seconds
        .iter()
        .map(|second| {
            sold = sold.saturating_add(second.sold);
            sold
        })
        .collect();
    let at: Vec<usize> = (1..=seconds.len()).map(|second| second * 1_000).collect();
    json!({
        "at": at,
        "sold": sold,
        "waiting": seconds.iter().map(|second| second.waiting).collect::<Vec<_>>(),
        "active": seconds.iter().map(|second| second.active).collect::<Vec<_>>(),
        "requests": seconds.iter().map(|second| second.requests).collect::<Vec<_>>(),
    })
}
