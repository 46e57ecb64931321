//! Budgets of accounts and addresses that two instances spend from.

use super::{Pair, eventually, keys};
use frontrow::config::Cli;
use frontrow_domain::time::Span;
use frontrow_line::redis::limits::{Allowance, Budget, KNOWN_MAX, KnownNetwork, SharedLimits};
use frontrow_service::join_work::WorkProof;
use frontrow_testkit::START;
use frontrow_web::edge::limit::{JoinEnd, RateLimits, SignInEnd, Use};
use std::net::IpAddr;

const ADDRESS: &str = "192.0.2.7";

fn limits(shared: Option<SharedLimits>) -> RateLimits {
    let args = [
        "frontrow",
        "serve",
        "--login-per-minute-per-account=3",
        "--login-per-minute-per-address=5",
        "--joins-per-address=2",
        "--joins-per-network=3",
        "--joins-window-seconds=86400",
    ];
    let limits = RateLimits::new(&Cli::load(args.map(Into::into)).unwrap().config.rate_limits());
    match shared {
        Some(shared) => limits.shared_by(shared),
        None => limits,
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn two_instances_spend_from_one_budget() {
    let pair = Pair::start().await;
    let one = limits(Some(SharedLimits::new(pair.one.handle(), keys())));
    let other = limits(Some(SharedLimits::new(pair.other.handle(), keys())));
    // An attempt whose end was not reported counts as wrong.
    let _ = one.begin_sign_in("Minji@example.com", 0, address(ADDRESS)).await.unwrap();
    let _ = other.begin_sign_in("minji@example.com", 0, address(ADDRESS)).await.unwrap();
    let _ = one.begin_sign_in("minji@EXAMPLE.com", 0, address(ADDRESS)).await.unwrap();
    let refused = other.begin_sign_in("minji@example.com", 0, address(ADDRESS)).await.unwrap_err();
    assert_eq!(refused.code(), "rate_limited");
    let _ = other.begin_sign_in("haerin@example.com", 0, address(ADDRESS)).await.unwrap();
    // A network of its own has tries of its own, and what was right is given back and remembered by both.
    let right = one.begin_sign_in("minji@example.com", 0, address("192.0.2.1")).await.unwrap();
    one.end_sign_in(right, SignInEnd::Right).await;
    for limits in [&one, &other, &one] {
        let _ = limits.begin_sign_in("minji@example.com", 0, address("192.0.2.1")).await.unwrap();
    }
    let known = other.begin_sign_in("minji@example.com", 0, address("192.0.2.1")).await;
    assert!(known.is_ok(), "a known network is let through by each instance");
    let changed = other.begin_sign_in("minji@example.com", 1, address("192.0.2.1")).await;
    assert!(changed.is_err(), "after a new password no network is known");

    for limits in [&one, &other, &one, &other, &one] {
        limits.check_address(address(ADDRESS), 0).await.unwrap();
    }
    assert!(other.check_address(address(ADDRESS), 0).await.is_err());
    // One household has many addresses of the newer kind.
    for (limits, host) in [(&one, 1), (&other, 2), (&one, 3), (&other, 4), (&one, 5)] {
        limits.check_address(address(&format!("2001:db8::{host}")), 0).await.unwrap();
    }
    assert!(other.check_address(address("2001:db8::6"), 0).await.is_err());
}

#[tokio::test]
async fn two_instances_count_new_places_together_and_what_was_none_is_given_back_to_both() {
    let pair = Pair::start().await;
    let one = limits(Some(SharedLimits::new(pair.one.handle(), keys())));
    let other = limits(Some(SharedLimits::new(pair.other.handle(), keys())));
    for limits in [&one, &other, &one, &other] {
        let outlay = limits.begin_join(address(ADDRESS)).await.unwrap();
        limits.end_join(outlay, JoinEnd::NoNewPlace).await;
    }
    for limits in [&one, &other] {
        let outlay = limits.begin_join(address(ADDRESS)).await.unwrap();
        limits.end_join(outlay, JoinEnd::NewPlace).await;
    }
    for limits in [&one, &other] {
        assert_eq!(limits.begin_join(address(ADDRESS)).await.unwrap_err().code(), "too_many_joins");
    }
    // The network has one left.
    let outlay = one.begin_join(address("192.0.2.8")).await.unwrap();
    one.end_join(outlay, JoinEnd::NewPlace).await;
    assert!(other.begin_join(address("192.0.2.9")).await.is_err());
}

#[tokio::test]
async fn a_proof_is_used_at_one_of_two_instances_and_once_more_when_it_is_given_back() {
    let mut pair = Pair::start().await;
    let one = limits(Some(SharedLimits::new(pair.one.handle(), keys())));
    let other = limits(Some(SharedLimits::new(pair.other.handle(), keys())));
    let proof = WorkProof { digest: 7, until: START.plus(Span::from_secs(120)) };
    assert_eq!(one.use_proof(proof, START).await, Use::First);
    assert_eq!(other.use_proof(proof, START).await, Use::Again);
    let names: Vec<String> = pair.server.ask(&["KEYS", "*"]);
    assert!((1..=120_000).contains(&pair.server.ask::<i64>(&["PTTL", &names[0]])));
    one.give_back_proof(proof).await;
    assert_eq!(pair.server.ask::<i64>(&["DBSIZE"]), 0);
    assert_eq!(one.use_proof(proof, START).await, Use::First);
    // While Redis is away each instance knows of its own uses.
    pair.server.kill();
    let next = WorkProof { digest: 8, ..proof };
    assert_eq!(one.use_proof(next, START).await, Use::First);
    assert_eq!(one.use_proof(next, START).await, Use::Again);
}

#[tokio::test]
async fn of_one_account_so_many_networks_are_remembered_and_the_latest_stay() {
    let pair = Pair::start().await;
    let shared = SharedLimits::new(pair.one.handle(), keys());
    let network = |number: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(0xc000_0200 + number));
    let known = |number, epoch| KnownNetwork { email: "minji@example.com", network: network(number), epoch };
    for number in 0..2 * KNOWN_MAX {
        shared.remember(known(number, 0)).await;
    }
    let names: Vec<String> = pair.server.ask(&["KEYS", "*"]);
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(pair.server.ask::<u32>(&["ZCARD", &names[0]]), KNOWN_MAX);
    assert!((1..=30 * 86_400).contains(&pair.server.ask::<i64>(&["TTL", &names[0]])));
    for number in 0..2 * KNOWN_MAX {
        assert_eq!(shared.is_known(known(number, 0)).await, number >= KNOWN_MAX, "{number}");
    }
    shared.remember(known(7, 1)).await;
    assert!(shared.is_known(known(7, 1)).await);
    assert!(!shared.is_known(known(7, 2)).await, "another epoch");
    // One whose month is over goes with the next.
    pair.server.ask::<i64>(&["ZADD", &names[0], "1", "long-ago"]);
    shared.remember(known(8, 1)).await;
    assert_eq!(pair.server.ask::<Option<String>>(&["ZSCORE", &names[0], "long-ago"]), None);
}

#[tokio::test]
async fn without_redis_each_instance_still_has_its_own_limit() {
    let mut pair = Pair::start().await;
    let one = limits(Some(SharedLimits::new(pair.one.handle(), keys())));
    pair.server.kill();
    for _ in 0..5 {
        one.check_address(address(ADDRESS), 0).await.unwrap();
    }
    assert!(one.check_address(address(ADDRESS), 0).await.is_err());
    pair.server.restart_empty();
    eventually("Redis to be back", async || pair.one.is_up().then_some(())).await;
    one.check_address(address("192.0.2.9"), 0).await.unwrap();
    assert_eq!(pair.server.ask::<i64>(&["DBSIZE"]), 1);
}

#[tokio::test]
async fn a_redis_that_does_not_answer_delays_no_call_for_long() {
    let pair = Pair::start().await;
    let one = limits(Some(SharedLimits::new(pair.one.handle(), keys())));
    pair.server.pause();
    // The first one waits for the time-out of the way to it; the rest know.
    for _ in 0..5 {
        one.check_address(address(ADDRESS), 0).await.unwrap();
    }
    assert!(one.check_address(address(ADDRESS), 0).await.is_err());
    assert!(pair.server.is_paused());
    pair.server.resume();
}

#[tokio::test]
async fn a_budget_refills_and_leaves_nothing_behind() {
    let pair = Pair::start().await;
    let shared = SharedLimits::new(pair.one.handle(), keys());
    let budget = Budget::Strangers { email: "minji@example.com" };
    let mut spent = 0_u32;
    while shared.spend(budget, Allowance::per_minute(60), 1).await.is_none() {
        spent += 1;
        assert!(spent < 10_000, "nothing is ever refused");
    }
    assert!(spent >= 60, "{spent}");
    let wait = shared.spend(budget, Allowance::per_minute(60), 1).await;
    assert!(wait.is_none_or(|wait| wait.as_micros() <= 1_000_000), "{wait:?}");
    let again = eventually("the budget to refill", async || {
        let refused = shared.spend(budget, Allowance::per_minute(60), 1).await;
        refused.is_none().then_some(())
    });
    again.await;
    let names: Vec<String> = pair.server.ask(&["KEYS", "*"]);
    assert!(names.iter().all(|name| !name.contains("minji")), "{names:?}");
    assert!((1..=60_000).contains(&pair.server.ask::<i64>(&["PTTL", &names[0]])));
}

#[tokio::test]
async fn one_machine_has_the_limits_that_it_always_had() {
    let alone = limits(None);
    for _ in 0..3 {
        let _ = alone.begin_sign_in("minji@example.com", 0, address(ADDRESS)).await.unwrap();
    }
    assert!(alone.begin_sign_in("minji@example.com", 0, address(ADDRESS)).await.is_err());
}
