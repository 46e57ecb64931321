//! The result of a sale as text and as JSON.

use crate::{
    audit::RULES,
    clock::{float, millis, seconds},
    crowd::CrowdResult,
    meter::Latencies,
};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::fmt::Write;

/// Breaches of one promise beyond these are only counted.
const BREACHES_SHOWN: usize = 20;

/// Whether every promise was kept.
pub(crate) fn is_clean(outcome: &CrowdResult) -> bool {
    outcome.verdict.breaches.is_empty() && outcome.check.as_ref().is_none_or(|check| check.status == Some(0))
}

pub(crate) fn text(outcome: &CrowdResult) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_text(&mut text, outcome);
    text
}

fn write_text(out: &mut String, outcome: &CrowdResult) -> std::fmt::Result {
    let options = &outcome.options;
    let (id, title) = &outcome.concert;
    writeln!(out, "Concert {id}, {title}")?;
    writeln!(out, "{} buyers, arrivals {}, seed {}", options.buyers, options.arrivals, options.seed)?;
    let took = outcome.took.as_secs_f64();
    let requests: u64 = outcome.measured.seconds.iter().map(|second| second.requests).sum();
    let peak = outcome.measured.seconds.iter().map(|second| second.requests).max().unwrap_or(0);
    writeln!(
        out,
        "Sale: {took:.1} s, {requests} requests, {:.0} a second, {peak} in the busiest",
        float(requests) / took.max(0.001)
    )?;
    let seats = outcome.seats;
    writeln!(
        out,
        "Seats: {} sold, {} held, {} free, {} not for sale",
        seats.sold, seats.held, seats.available, seats.blocked
    )?;

    writeln!(out, "\nVisits")?;
    for (ending, count) in &outcome.endings {
        writeln!(out, "  {count:>8}  {}", ending.name())?;
    }
    if !outcome.measured.refusals.is_empty() {
        writeln!(out, "\nRefused, and without an answer")?;
        for (code, count) in &outcome.measured.refusals {
            writeln!(out, "  {count:>8}  {code}")?;
        }
    }
    if let Some(in_line) = &outcome.measured.in_line {
        let [p50, p90, p99] = quantiles(in_line);
        writeln!(
            out,
            "\nTime in line: p50 {:.1} s, p90 {:.1} s, p99 {:.1} s, longest {:.1} s ({} reached the head)",
            seconds(p50),
            seconds(p90),
            seconds(p99),
            seconds(in_line.max()),
            in_line.len()
        )?;
    }
    writeln!(out, "\nLatency in ms from the moment a buyer meant to ask; the last column from the sending")?;
    writeln!(
        out,
        "  {:<10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "call", "count", "p50", "p90", "p99", "max", "p99 sent"
    )?;
    for (call, Latencies { response, service }) in &outcome.measured.calls {
        let [p50, p90, p99] = quantiles(response);
        writeln!(
            out,
            "  {call:<10} {:>9} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1}",
            response.len(),
            millis(p50),
            millis(p90),
            millis(p99),
            millis(response.max()),
            millis(service.value_at_quantile(0.99))
        )?;
    }
    write_audit(out, outcome)
}

fn write_audit(out: &mut String, outcome: &CrowdResult) -> std::fmt::Result {
    writeln!(out, "\nWhat came up")?;
    for (name, count) in &outcome.exercised {
        writeln!(out, "  {count:>8}  {}", name.replace('_', " "))?;
    }
    writeln!(out, "\nAudit")?;
    for (rule, sentence) in RULES {
        let looked = outcome.verdict.looked.get(rule).copied().unwrap_or(0);
        let broken = outcome.verdict.breaches.iter().filter(|breach| breach.rule == rule).count();
        let word = match (looked, broken) {
            (_, 1..) => "BROKEN",
            (0, _) => "not seen",
            _ => "kept",
        };
        writeln!(out, "  {word:<8} {looked:>8} ×  {sentence}")?;
    }
    let mut shown = std::collections::BTreeMap::<&str, usize>::new();
    for breach in &outcome.verdict.breaches {
        let count = shown.entry(breach.rule).or_default();
        *count += 1;
        if *count <= BREACHES_SHOWN {
            writeln!(out, "  BREACH {}: {}", breach.rule, breach.what)?;
        }
    }
    for (rule, count) in shown.iter().filter(|(_, count)| **count > BREACHES_SHOWN) {
        writeln!(out, "  BREACH {rule}: {} more", count - BREACHES_SHOWN)?;
    }
    if let Some(check) = &outcome.check {
        let status =
            check.status.map_or_else(|| "ended by a signal".to_owned(), |status| format!("exit status {status}"));
        writeln!(out, "\n{}: {status}\n{}", check.command, check.output.trim_end())?;
    }
    for warning in &outcome.warnings {
        writeln!(out, "Warning: {warning}")?;
    }
    let breaches = outcome.verdict.breaches.len();
    let end = if is_clean(outcome) {
        "Every promise that was put to the test was kept.".to_owned()
    } else if breaches == 0 {
        "The command after the sale failed.".to_owned()
    } else {
        format!("{breaches} breaches.")
    };
    writeln!(out, "\n{end}")
}

/// The median and the 90th and 99th percentile.
pub(crate) fn quantiles(histogram: &Histogram<u64>) -> [u64; 3] {
    [0.5, 0.9, 0.99].map(|quantile| histogram.value_at_quantile(quantile))
}

/// A histogram as JSON, in microseconds.
pub(crate) fn histogram_json(histogram: &Histogram<u64>) -> Value {
    let [p50, p90, p99] = quantiles(histogram);
    json!({
        "count": histogram.len(), "p50_us": p50, "p90_us": p90, "p99_us": p99,
        "p999_us": histogram.value_at_quantile(0.999), "max_us": histogram.max(),
    })
}

pub(crate) fn json(outcome: &CrowdResult) -> Value {
    let options = &outcome.options;
    let calls: serde_json::Map<String, Value> = outcome
        .measured
        .calls
        .iter()
        .map(|(call, latencies)| {
            let both = json!({
                "from_intended_start": histogram_json(&latencies.response),
                "from_sending": histogram_json(&latencies.service),
            });
            ((*call).to_owned(), both)
        })
        .collect();
    let endings: serde_json::Map<String, Value> =
        outcome.endings.iter().map(|(ending, count)| (ending.name().replace(' ', "_"), json!(count))).collect();
    let breaches: Vec<Value> =
        outcome.verdict.breaches.iter().map(|breach| json!({ "rule": breach.rule, "what": breach.what })).collect();
    json!({
        "concert_id": outcome.concert.0,
        "title": outcome.concert.1,
        "options": {
            "buyers": options.buyers, "arrivals": options.arrivals.to_string(), "seed": options.seed,
            "duration_s": options.duration, "sold_out": options.sold_out, "abandon": options.abandon,
            "lapse": options.lapse, "cancel": options.cancel, "refund": options.refund,
            "duplicate": options.duplicate, "best": options.best, "seats_each": [options.seats_each.start(), options.seats_each.end()],
            "signed_in": options.signed_in, "think_ms": options.think, "connections": options.connections,
        },
        "took_ms": u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
        "seats": outcome.seats,
        "visits": endings,
        "refusals": outcome.measured.refusals,
        "time_in_line": outcome.measured.in_line.as_ref().map(histogram_json),
        "latency": calls,
        "seconds": outcome.measured.seconds,
        "samples": outcome.measured.samples,
        "exercised": outcome.exercised,
        "audit": { "looked": outcome.verdict.looked, "breaches": breaches },
        "check": outcome.check.as_ref().map(|check| json!({
            "command": check.command, "status": check.status, "output": check.output,
        })),
        "warnings": outcome.warnings,
        "clean": is_clean(outcome),
    })
}
