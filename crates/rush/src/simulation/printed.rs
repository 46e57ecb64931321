//! What `frontrow-rush simulate` prints: one sale, the medians of several, or the same crowd before other waiting rooms.

use super::{
    SimulatedSale,
    draws::{DRAWS, draw_many},
    floor::floor_line,
    measure::{Accuracy, SimulationReport},
    people::Fate,
    plots,
    rivals::{RivalKind, RivalReport, run_rival},
    scenario::Scenario,
};
use crate::options::SimulateOptions;
use anyhow::{Result, bail};

/// Simulates the scenario with this name, the rivals, or all scenarios; with a folder, the pictures are drawn there.
///
/// # Errors
/// There is no such scenario, the rules refused what they must not refuse, or a picture cannot be written.
pub(crate) fn simulate(options: &SimulateOptions) -> Result<Vec<String>> {
    let seeds: Vec<u64> = (options.seed..options.seed + u64::from(options.seeds)).collect();
    if let Some(folder) = &options.plots {
        return plots::draw(folder, options.seed);
    }
    match options.scenario.as_deref() {
        Some("rivals") => return compare(&seeds),
        Some("draws") => return seeds.into_iter().map(|seed| Ok(draw_many(DRAWS, seed)?.to_string())).collect(),
        Some("floor") => {
            let told = ["life", "base", "plain_free", "ghosts_free", "real"];
            let scenarios = Scenario::all().into_iter().filter(|scenario| told.contains(&scenario.name));
            return scenarios.map(|scenario| floor_line(&scenario, options.seed)).collect();
        }
        Some("million") => return run_all(vec![Scenario::million()], &seeds),
        _ => {}
    }
    let name = options.scenario.as_deref();
    let scenarios: Vec<_> =
        Scenario::all().into_iter().filter(|scenario| name.is_none_or(|name| name == scenario.name)).collect();
    if scenarios.is_empty() {
        let names: Vec<_> = Scenario::all().iter().map(|scenario| scenario.name).collect();
        bail!("there is no such scenario; there are {}, million, floor, rivals and draws", names.join(", "));
    }
    run_all(scenarios, &seeds)
}

fn run_all(scenarios: Vec<Scenario>, seeds: &[u64]) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for scenario in scenarios {
        let runs = seeds.iter().map(|seed| SimulatedSale::open(scenario.clone(), *seed)?.run());
        let reports = runs.collect::<Result<Vec<_>>>()?;
        match reports.as_slice() {
            [report] => lines.push(line_of(report)),
            _ => lines.push(medians_of(&reports)),
        }
    }
    Ok(lines)
}

/// The medians over several seeds, and the worst of what must not happen.
fn medians_of(reports: &[SimulationReport]) -> String {
    let median = |of: fn(&SimulationReport) -> f64| middle(reports.iter().map(of).collect());
    let never = |of: fn(&SimulationReport) -> u64| reports.iter().map(of).sum::<u64>();
    format!(
        "{:<14} {} seeds  idle {:>5.1} % ({:>4.1} % once full)  known {:>5.1} %  wait {:>5.1} % off ({:>+5.1} %, by time {:>+5.1} %), p90 {:>5.1} %  \
         undisturbed {:>5.1} % off, p90 {:>5.1} %  {}rises {:>5.1} %  {}  ghosts offered {} ({} after a restart, {} of a lobby)  inversions {} overtaken {} beyond the cap {} passed over {} missed {} rises of ahead {}{}",
        reports.first().map_or("", |report| report.scenario.as_str()),
        reports.len(),
        median(|report| report.idle_percent),
        median(|report| report.idle_once_full_percent),
        median(|report| report.known_percent),
        median(|report| report.wait.error_percent),
        median(|report| report.wait.bias_percent),
        median(|report| report.by_time),
        median(|report| report.wait.covered_percent),
        median(|report| report.undisturbed.error_percent),
        median(|report| report.undisturbed.covered_percent),
        settled_of(reports),
        median(|report| report.rises_percent),
        served_of(reports),
        median(|report| count(report.counts.offered_to_ghosts)),
        median(|report| count(report.counts.ghosts_woken)),
        median(|report| count(report.counts.ghosts_of_lobby)),
        never(|report| report.counts.inversions),
        never(|report| report.counts.overtaken),
        never(|report| report.counts.overshoot.unsigned_abs()),
        never(|report| report.counts.passed_present),
        never(|report| report.counts.missed_present),
        never(|report| report.counts.ahead_rises),
        views_of(reports),
    )
}

/// How many came in, and which part of them after a claim that had found the room full: medians.
fn served_of(reports: &[SimulationReport]) -> String {
    let median = |of: fn(&SimulationReport) -> f64| middle(reports.iter().map(of).collect());
    format!(
        "served by 600 s {} ({} in all)  {:.0} % after a full room ({:.1} s, p90 {:.1} s)",
        median(|report| report.served),
        median(|report| report.served_in_all),
        median(|report| report.awaited.percent),
        median(|report| seconds_of(report.awaited.p50_ms)),
        median(|report| seconds_of(report.awaited.p90_ms)),
    )
}

/// The waits that were told a minute or more after a change of the settings of the room: medians, if there are any.
fn settled_of(reports: &[SimulationReport]) -> String {
    let settled: Vec<_> = reports.iter().map(|report| report.settled).filter(|settled| settled.told > 0).collect();
    if settled.is_empty() {
        return String::new();
    }
    let median = |of: fn(&Accuracy) -> f64| middle(settled.iter().map(of).collect());
    format!(
        "settled {:>5.1} % off ({:>+5.1} %), p90 {:>5.1} %  ",
        median(|settled| settled.error_percent),
        median(|settled| settled.bias_percent),
        median(|settled| settled.covered_percent),
    )
}

/// How old the views of several instances were: medians, and the oldest.
fn views_of(reports: &[SimulationReport]) -> String {
    let views: Vec<_> = reports.iter().filter_map(|report| report.views).collect();
    if views.is_empty() {
        return String::new();
    }
    let sum = |of: fn(&SimulationReport) -> u64| reports.iter().map(of).sum::<u64>();
    let across = sum(|report| report.counts.ahead_rises_across);
    let polls = sum(|report| report.polls);
    format!(
        "\n    between instances: ahead rises in {across} of {polls} answers  behind {:.1} %  p99 {:.0} ms  at most {} ms  \
         say stale {:.2} %  old unawares {}  moves refused {}",
        middle(views.iter().map(|view| view.behind_percent).collect()),
        middle(views.iter().map(|view| seconds_of(view.p99_ms) * 1_000.0).collect()),
        views.iter().map(|view| view.most_ms).max().unwrap_or(0),
        middle(views.iter().map(|view| view.stale_percent).collect()),
        views.iter().map(|view| view.unaware).sum::<u64>(),
        sum(|report| report.counts.superseded),
    )
}

#[expect(clippy::cast_precision_loss, reason = "turns of a sale")]
fn count(turns: u64) -> f64 {
    turns as f64
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Frontrow and the rivals with the crowd of a scenario.
pub(super) fn rivals_of(scenario: &Scenario, seed: u64) -> Result<Vec<RivalReport>> {
    let mut sale = SimulatedSale::open(scenario.clone(), seed)?;
    let takers =
        sale.record.people.iter().filter(|one| one.is_always_there() && !matches!(one.fate, Fate::NoShow)).count();
    let report = sale.go_on()?;
    let own = RivalReport {
        name: "Frontrow",
        idle_percent: report.idle_percent,
        overshoot: report.counts.overshoot,
        stale_ms: report.stale_ms,
        error_percent: report.wait.error_percent,
        most_in: sale.record.meters.entered_by((takers * 95).div_ceil(100)),
    };
    let rivals = RivalKind::ALL.into_iter().map(|kind| run_rival(kind, scenario, seed));
    Ok(std::iter::once(own).chain(rivals).collect())
}

fn compare(seeds: &[u64]) -> Result<Vec<String>> {
    let runs = seeds.iter().map(|seed| rivals_of(&Scenario::life(), *seed)).collect::<Result<Vec<_>>>()?;
    let names = runs.first().map(Vec::as_slice).unwrap_or_default();
    let lines = names.iter().enumerate().map(|(at, rival)| {
        let all = || runs.iter().filter_map(|run| run.get(at));
        let most_in: Option<Vec<i64>> = all().map(|report| report.most_in).collect();
        let most_in = most_in.map_or("never".to_owned(), |mut seconds| {
            seconds.sort_unstable();
            format!("{} s", seconds.get(seconds.len() / 2).copied().unwrap_or(0))
        });
        format!(
            "{:<15} idle {:>5.1} %  beyond the cap {:>3}  number {:>5.1} s old  told wait {:>5.1} % off  95 % in by {most_in}",
            rival.name,
            middle(all().map(|report| report.idle_percent).collect()),
            all().map(|report| report.overshoot).max().unwrap_or(0).max(0),
            middle(all().map(|report| seconds_of(report.stale_ms)).collect()),
            middle(all().map(|report| report.error_percent).collect()),
        )
    });
    Ok(lines.collect())
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a poll interval")]
fn seconds_of(millis: i64) -> f64 {
    millis as f64 / 1_000.0
}

fn line_of(report: &SimulationReport) -> String {
    let SimulationReport { scenario, seconds, counts, known_percent, wait, undisturbed, rises_percent, .. } = report;
    let (idle, once_full) = (report.idle_percent, report.idle_once_full_percent);
    let horizons = report.by_horizon.iter().map(|near| {
        let (horizon, told) = (near.horizon.unwrap_or_default(), near.told);
        let (bias, error, covered) = (near.bias_percent, near.error_percent, near.covered_percent);
        format!("    {horizon:>4} s before  {told:>6} told  {error:>7.2} % off ({bias:>+7.2} %)  p90 {covered:>6.2} %")
    });
    let head = format!(
        "{scenario:<13} {seconds:>6} s  idle {idle:>6.2} % ({once_full:>5.2} % once full)  known {known_percent:>6.2} %  wait {:>7.2} % off \
         ({:>+7.2} %), p90 {:>6.2} %  undisturbed {:>5.1} % off, p90 {:>5.1} %  {}rises {rises_percent:>6.2} %  {}  {counts:?}",
        wait.error_percent,
        wait.bias_percent,
        wait.covered_percent,
        undisturbed.error_percent,
        undisturbed.covered_percent,
        settled_of(std::slice::from_ref(report)),
        served_of(std::slice::from_ref(report)),
    );
    std::iter::once(head).chain(horizons).collect::<Vec<_>>().join("\n") + &views_of(std::slice::from_ref(report))
}
