//! Small sales of each scenario.

mod goals;
mod lobby;

use super::*;

fn report(scenario: &Scenario, seed: u64) -> SimulationReport {
    SimulatedSale::open(scenario.clone(), seed).unwrap().run().unwrap()
}

fn of(name: &str) -> Scenario {
    Scenario::all().into_iter().find(|scenario| scenario.name == name).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_sale() {
    let sale = |seed| format!("{:?}", report(&Scenario::life(), seed));
    assert_eq!(sale(7), sale(7));
    assert_ne!(sale(7), sale(8));
}

#[test]
fn order_and_cap_hold_in_a_small_sale_of_each_scenario() {
    for scenario in Scenario::all().into_iter().chain([Scenario::million()]) {
        let people = scenario.people.min(200);
        let turnouts = scenario.turnouts.last().map_or(0, |(at, _)| at.micros());
        let lobby = scenario.lobby.map_or(0, Span::micros);
        let lasts = Span::from_micros(turnouts + lobby + 150_000_000);
        let small = Scenario { people, lasts, max_active: scenario.max_active.min(20), ..scenario };
        let SimulationReport { scenario, counts, .. } = report(&small, 3);
        assert!(counts.activated > 0, "{scenario}: {counts:?}");
        let never = (counts.overtaken, counts.inversions, counts.overshoot, counts.ahead_rises);
        assert_eq!(never, (0, 0, 0, 0), "{scenario}: {counts:?}");
        assert_eq!(counts.missed_present, 0, "{scenario}: who asks and claims misses no turn");
        assert_eq!(counts.passed_present, 0, "{scenario}: who asks is not passed over");
    }
}

#[test]
fn a_restart_wakes_few_ghosts_and_raises_no_told_wait_if_the_line_is_recorded() {
    let (kept, without) = (Scenario::restart(), Scenario { keeping: Keeping::Nothing, ..Scenario::restart() });
    let (kept, without) = (report(&kept, 2), report(&without, 2));
    assert!(kept.rises_percent <= 2.0 && without.rises_percent > 10.0, "{kept:?} {without:?}");
    let (few, many) = (kept.counts.ghosts_woken, without.counts.ghosts_woken);
    assert!(10 * few < 8 * many, "{few} of {many}");
    assert!(kept.wait.error_percent <= report(&Scenario::life(), 2).wait.error_percent + 2.0, "{kept:?}");
}

#[test]
fn accounts_that_never_claim_keep_hardly_anybody_out() {
    let with = Scenario { hoarders: scenario::Hoarders::NeverClaim(30), ..Scenario::life() };
    let (with, without) = (report(&with, 1).served, report(&Scenario::life(), 1).served);
    assert!(with >= without * 0.95, "{with} of {without}");
}

#[test]
fn instances_that_die_or_stand_still_lose_no_place_and_lead_under_old_fences_in_vain() {
    let small = |name: &str| Scenario { people: 200, max_active: 20, lasts: Span::from_secs(420), ..of(name) };
    let down = report(&small("cluster_down"), 5);
    assert!(down.counts.superseded > 0, "the one that stood still: {:?}", down.counts);
    assert_eq!((down.counts.passed_present, down.counts.missed_present), (0, 0), "{:?}", down.counts);
    // Views are behind, and say so before they are a second behind.
    let views = down.views.unwrap();
    assert!(views.behind_percent > 0.0 && views.most_ms > 0, "{views:?}");
    let quiet = report(&small("cluster"), 5);
    assert_eq!((quiet.counts.superseded, quiet.views.map(|views| views.unaware)), (0, Some(0)), "{quiet:?}");
    assert!(report(&small("life"), 5).views.is_none());
}

#[test]
fn no_told_wait_rises_because_another_instance_is_asked() {
    for name in ["cluster", "cluster_down"] {
        let asked = report(&of(name), 2);
        assert!(asked.rises_percent <= 2.0, "{asked:?}");
    }
}
