//! The price of a new place in line.

use frontrow_domain::{
    line::{JoinPace, WorkPolicy, WorkPrice},
    time::{Span, Time},
};

fn at(seconds: i64) -> Time {
    Time::from_micros(1_000_000_000_000_000).plus(Span::from_secs(seconds))
}

#[test]
fn a_place_costs_nothing_while_it_is_quiet_and_more_the_more_join() {
    let price = |policy, joins| WorkPrice::of(policy, joins).map(WorkPrice::max_number);
    for (joins, auto, always) in [
        (0, None, Some(30_000)),
        (299, None, Some(30_000)),
        (300, Some(30_000), Some(30_000)),
        (1_200, Some(100_000), Some(100_000)),
        (6_000, Some(300_000), Some(300_000)),
        (i64::MAX, Some(300_000), Some(300_000)),
    ] {
        assert_eq!(price(WorkPolicy::Off, joins), None, "{joins}");
        assert_eq!(price(WorkPolicy::Auto, joins), auto, "{joins}");
        assert_eq!(price(WorkPolicy::Always, joins), always, "{joins}");
    }
}

#[test]
fn the_pace_of_a_rush_is_seen_at_once_and_forgotten_within_twenty_seconds() {
    let mut pace = JoinPace::default();
    assert!(pace.is_over(at(0)));
    for _ in 0..100 {
        pace.count(at(0));
    }
    assert_eq!(pace.per_minute(at(0)), 600);
    assert_eq!(pace.per_minute(at(9)), 600);
    assert_eq!(pace.per_minute(at(15)), 300, "the window before counts for half of it");
    assert!(!pace.is_over(at(19)));
    assert!(pace.is_over(at(20)));
    assert_eq!(pace.per_minute(at(20)), 0);
}

#[test]
fn an_even_pace_is_told_evenly() {
    let mut pace = JoinPace::default();
    let mut told = Vec::new();
    for second in 0..60 {
        for _ in 0..10 {
            pace.count(at(second));
        }
        told.push(pace.per_minute(at(second)));
    }
    assert!(told[20..].iter().all(|told| (540..=660).contains(told)), "{told:?}");
}

#[test]
fn a_clock_that_goes_back_loses_nothing() {
    let mut pace = JoinPace::default();
    pace.count(at(30));
    pace.count(at(5));
    assert_eq!(pace.per_minute(at(30)), 12);
}
