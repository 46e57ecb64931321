//! What whole sales of a few seeds come to, beside the goals. A sale in virtual time is the same each time, so the
//! bounds are near what is measured: a change that makes a figure worse fails here.

use super::{Scenario, SimulationReport, Span, of, report};
use crate::simulation::measure::Accuracy;
use std::ops::RangeInclusive;

const SEEDS: RangeInclusive<u64> = 1..=5;
/// Of sales that take longer.
const FEW_SEEDS: RangeInclusive<u64> = 1..=3;
/// How often a wait should be no longer than the told p90, in per cent.
const COVERED_GOAL: RangeInclusive<f64> = 88.0..=96.0;
/// The least share of answers in which the wait should be known, in per cent.
const KNOWN_GOAL: f64 = 95.0;
/// The most people who should see their told wait rise, in per cent.
const RISES_GOAL: f64 = 2.0;
/// How many of the people without the accounts should be in beside accounts that never claim.
const SERVED_GOAL: f64 = 0.95;

/// What the medians over the seeds must keep to, all in per cent.
struct GoalBounds {
    /// The most that may be idle once the room was full.
    idle: f64,
    /// The most that told waits may be off by.
    off_by: f64,
    covered: RangeInclusive<f64>,
}

fn reports(name: &str, seeds: RangeInclusive<u64>) -> Vec<SimulationReport> {
    seeds.map(|seed| report(&of(name), seed)).collect()
}

fn median(reports: &[SimulationReport], figure: impl Fn(&SimulationReport) -> f64) -> f64 {
    let mut figures: Vec<_> = reports.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn check(name: &str, seeds: RangeInclusive<u64>, bounds: &GoalBounds) {
    let reports = reports(name, seeds.clone());
    for (seed, report) in seeds.zip(&reports) {
        assert!(report.known_percent >= KNOWN_GOAL, "{name}, seed {seed}: known {} %", report.known_percent);
        assert!(report.rises_percent <= RISES_GOAL, "{name}, seed {seed}: rises for {} %", report.rises_percent);
    }
    let idle = median(&reports, |report| report.idle_once_full_percent);
    assert!(idle <= bounds.idle, "{name}: {idle} % idle once full");
    check_told(name, &reports, |report| report.wait, bounds.off_by, &bounds.covered);
}

fn check_told(
    name: &str,
    reports: &[SimulationReport],
    of: fn(&SimulationReport) -> Accuracy,
    off_by_max: f64,
    covered_bounds: &RangeInclusive<f64>,
) {
    let off_by = median(reports, |report| of(report).error_percent);
    assert!(off_by <= off_by_max, "{name}: told waits are off by {off_by} %");
    let covered = median(reports, |report| of(report).covered_percent);
    assert!(covered_bounds.contains(&covered), "{name}: {covered} % of the waits were within the p90");
}

/// The goal of 2 % idle is reached, that of a tenth is not: no estimate comes nearer than 11 %.
#[test]
fn life_uses_the_room_and_tells_waits_as_near_as_before() {
    check("life", SEEDS, &GoalBounds { idle: 1.2, off_by: 16.0, covered: COVERED_GOAL });
}

/// Three instances tell what one does: each learns of the others' changes by what their events say of them.
#[test]
fn three_instances_use_the_room_and_tell_waits_as_near_as_one() {
    check("cluster", FEW_SEEDS, &GoalBounds { idle: 1.2, off_by: 18.0, covered: COVERED_GOAL });
}

/// The goal of 5 % idle is reached, that of a tenth is not.
#[test]
fn base_uses_the_room_and_tells_waits_as_near_as_before() {
    check("base", FEW_SEEDS, &GoalBounds { idle: 2.8, off_by: 17.0, covered: COVERED_GOAL });
}

/// The goals of 2 % idle and of the p90 are reached behind a draw, too.
#[test]
fn lobby_uses_the_room_and_tells_waits_as_near_as_before() {
    check("lobby", SEEDS, &GoalBounds { idle: 1.2, off_by: 17.0, covered: COVERED_GOAL });
}

#[test]
fn plain_free_reaches_every_goal() {
    check("plain_free", SEEDS, &GoalBounds { idle: 2.0, off_by: 10.0, covered: COVERED_GOAL });
}

/// The rate brings in hardly more people than leave, so a place that stood empty once is filled late.
#[test]
fn plain_rate_tells_waits_within_a_tenth() {
    check("plain_rate", SEEDS, &GoalBounds { idle: 5.0, off_by: 8.0, covered: 94.0..=98.5 });
}

#[test]
fn ghosts_free_uses_the_room_and_tells_waits_as_near_as_before() {
    check("ghosts_free", SEEDS, &GoalBounds { idle: 2.0, off_by: 16.0, covered: 94.0..=99.5 });
}

/// The first who come in have hardly waited, and those behind them come in less often: that is known before their turns
/// have passed.
#[test]
fn a_large_room_that_fills_at_once_is_used_from_the_beginning() {
    let reports = reports("crowd", FEW_SEEDS);
    check_told("crowd", &reports, |report| report.wait, 20.0, &COVERED_GOAL);
    let idle = median(&reports, |report| report.idle_percent);
    assert!(idle <= 5.0, "{idle} % idle in the whole sale");
}

/// A tenth is not reached: without any change of the cap (`base`) it is not either. Nor is the goal of the p90, by four.
#[test]
fn a_minute_after_a_change_of_the_cap_told_waits_are_off_by_little_more_than_without() {
    let reports = reports("caps", SEEDS);
    assert!(reports.iter().all(|report| report.settled.told > 1_000), "{reports:?}");
    check_told("caps", &reports, |report| report.settled, 22.0, &(83.0..=96.0));
}

#[test]
fn no_wait_is_settled_in_a_sale_whose_settings_do_not_change() {
    let undisturbed = report(&of("plain_free"), 1);
    assert!(undisturbed.undisturbed.told > 0);
    assert_eq!(undisturbed.settled.told, 0);
}

/// The small room for so many seconds.
fn small(name: &str, seconds: i64) -> Vec<SimulationReport> {
    FEW_SEEDS.map(|seed| report(&Scenario { lasts: Span::from_secs(seconds), ..of(name) }, seed)).collect()
}

/// How many people came in, in all seeds.
fn sum(reports: &[SimulationReport], of: fn(&SimulationReport) -> f64) -> f64 {
    reports.iter().map(of).sum()
}

#[test]
fn in_a_small_room_accounts_that_never_claim_keep_few_others_out() {
    let [with, without] = ["small_unclaimed", "small"].map(|name| sum(&small(name, 600), |report| report.served));
    assert!(with >= without * SERVED_GOAL, "{with} of {without} within ten minutes");
}

/// Their first turns cost half a minute of the rate, in which no other account comes in; as many come in at last.
#[test]
fn in_a_small_room_with_a_rate_accounts_that_never_claim_cost_time_alone() {
    let [with, without] = ["small_rate_unclaimed", "small_rate"].map(|name| small(name, 1_500));
    let served = [&with, &without].map(|reports| sum(reports, |report| report.served));
    assert!(served[0] >= served[1] * SERVED_GOAL, "{served:?} within ten minutes");
    let in_all = [&with, &without].map(|reports| sum(reports, |report| report.served_in_all));
    assert!(in_all[0] >= in_all[1], "{in_all:?} in all");
}
