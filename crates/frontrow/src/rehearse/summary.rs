//! The report of a rehearsal as text.

use frontrow_service::rehearsal::{
    plan::RehearsalPlan,
    report::{RehearsalReport, SellOut, TimeSpread},
};
use std::fmt::Write as _;

pub(super) fn of(plan: &RehearsalPlan, report: &RehearsalReport) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_text(&mut text, plan, report);
    text
}

fn write_text(out: &mut String, plan: &RehearsalPlan, report: &RehearsalReport) -> std::fmt::Result {
    writeln!(out, "A copy of concert {}, {}: {} seats for sale", plan.concert_id, plan.title, report.seats)?;
    writeln!(out, "{} of {} people came within {}", report.came, report.setup.people, minutes(report.took))?;
    match report.sold_out {
        SellOut::Measured { after } => writeln!(out, "Sold out after {}", minutes(after))?,
        SellOut::Forecast { after } => writeln!(out, "Would be sold out after about {}", minutes(after))?,
        SellOut::Never => writeln!(out, "Would not be sold out: too few come, or want seats")?,
        SellOut::TooShort => writeln!(out, "Too few visits ended to say when it would be sold out: let it run longer")?,
    }
    if let Some(ppm) = report.could_buy_ppm {
        writeln!(out, "{} of a hundred could buy", ppm / 10_000)?;
    }
    writeln!(out, "Seats: {} sold, {} held, {} free", report.sold, report.held, report.available)?;
    writeln!(out, "Wait: {}", spread(report.wait, |micros| format!("{} s", micros / 1_000_000)))?;
    if report.waiting > 0 {
        writeln!(out, "{} were still waiting", report.waiting)?;
    }
    writeln!(out, "Requests: {}, {} in the busiest second, {} failed", report.requests, report.busiest, report.errors)?;
    writeln!(
        out,
        "Answers: {}",
        spread(report.latency, |micros| format!("{}.{} ms", micros / 1_000, micros / 100 % 10))
    )?;
    let cores = |cpu: u64| cpu.saturating_mul(100) / report.took.max(1);
    writeln!(
        out,
        "Processor: {} % of a core for the server, {} % for the crowd",
        cores(report.server_cpu),
        cores(report.crowd_cpu)
    )?;
    if report.was_disturbed() {
        writeln!(
            out,
            "Other work took much of the machine: waits and answers are longer than they would be without it"
        )?;
    }
    if let Some(memory) = report.memory {
        writeln!(out, "Memory: {} MiB for both", memory >> 20)?;
    }
    for breach in &report.breaches_shown {
        writeln!(out, "BREACH {breach}")?;
    }
    match report.breaches {
        0 => writeln!(out, "Every promise that was put to the test was kept."),
        breaches => writeln!(out, "{breaches} breaches."),
    }?;
    write!(out, "The crowd shares the machine with the server: real buyers would leave more of it.")
}

fn minutes(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

fn spread(spread: TimeSpread, show: impl Fn(u64) -> String) -> String {
    let TimeSpread { count, p50, p90, p99, longest } = spread;
    let [p50, p90, p99, longest] = [p50, p90, p99, longest].map(show);
    format!("half within {p50}, nine in ten {p90}, 99 in a hundred {p99}, the longest {longest} ({count} measured)")
}
