use super::{JoinLimitSettings, RateLimitSettings, RateLimits, SignInEnd};
use frontrow_domain::id::UserId;
use frontrow_service::net::AddressRange;
use std::{net::IpAddr, time::Duration};

#[test]
fn ranges_hold_what_their_prefix_says() {
    let holds = |range: &str, address: &str| range.parse::<AddressRange>().unwrap().contains(address.parse().unwrap());
    assert!(holds("10.0.0.0/8", "10.255.0.1"));
    assert!(!holds("10.0.0.0/8", "11.0.0.1"));
    assert!(holds("0.0.0.0/0", "8.8.8.8"));
    assert!(!holds("0.0.0.0/0", "::1"));
    assert!(holds("2001:db8::/32", "2001:db8:1::1"));
    assert!(!holds("2001:db8::/128", "2001:db8::1"));
    for bad in ["", "10.0.0.0/33", "10.0.0/8", "localhost", "::/129", "10.0.0.0/x"] {
        assert!(bad.parse::<AddressRange>().is_err(), "{bad}");
    }
}

/// The default limits, but for the number of wrong passwords that an account may get in a minute.
fn limits(login_per_minute_per_account: u32) -> RateLimits {
    limits_with(login_per_minute_per_account, 600)
}

fn limits_with(login_per_minute_per_account: u32, login_per_minute_per_address: u32) -> RateLimits {
    RateLimits::new(&RateLimitSettings {
        requests_per_second_per_user: 50,
        request_burst_per_user: 100,
        changes_per_hour_per_user: 1_200,
        holds_per_hour_per_user: 120,
        reads_per_second_per_user: 100,
        reads_per_second_per_address: 5_000,
        polls_per_second_per_token: 10,
        poll_burst_per_token: 20,
        joins: JoinLimitSettings { per_address: None, per_network: None, window: Duration::from_mins(1) },
        login_per_minute_per_account,
        login_per_minute_per_address,
        trusted_proxies: Vec::new(),
    })
}

#[tokio::test]
async fn idle_clients_are_forgotten() {
    let limits = limits(10);
    for user in 1..=100 {
        limits.check_user(UserId(uuid::Uuid::from_u128(user))).unwrap();
    }
    assert!(limits.remembered() > 0);
    tokio::select! {
        () = limits.sweep_for_ever(Duration::from_millis(1)) => {}
        () = async { while limits.remembered() > 0 { tokio::task::yield_now().await } } => {}
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const OWNER: &str = "owner@example.com";

async fn tries(limits: &RateLimits, from: &str, end: SignInEnd) -> bool {
    match limits.begin_sign_in(OWNER, 0, ip(from)).await {
        Ok(tried) => {
            limits.end_sign_in(tried, end).await;
            true
        }
        Err(refused) => {
            assert_eq!(refused.code(), "rate_limited");
            false
        }
    }
}

#[tokio::test]
async fn hundreds_behind_one_address_sign_in_in_a_minute_and_fewer_while_many_wait() {
    let limits = limits(10);
    for _ in 0..600 {
        limits.check_address(ip("192.0.2.1"), 0).await.unwrap();
    }
    assert!(limits.check_address(ip("192.0.2.1"), 100).await.is_err());
    let mut in_a_rush = 0;
    while in_a_rush < 600 && limits.check_address(ip("192.0.2.2"), 100).await.is_ok() {
        in_a_rush += 1;
    }
    assert!((31..100).contains(&in_a_rush), "{in_a_rush}");
    limits.check_address(ip("192.0.2.3"), 100).await.unwrap();
}

#[tokio::test]
async fn wrong_passwords_of_strangers_do_not_keep_the_owner_out() {
    let limits = limits(2);
    assert!(tries(&limits, "198.51.100.7", SignInEnd::Right).await);
    // Each unknown network has its two attempts, and all of them twenty.
    let mut guesses = 0;
    for network in 1..=30 {
        let from = format!("203.0.113.{network}");
        guesses += u32::from(tries(&limits, &from, SignInEnd::Wrong).await);
        guesses += u32::from(tries(&limits, &from, SignInEnd::Wrong).await);
        if network == 1 {
            assert!(!tries(&limits, &from, SignInEnd::Wrong).await, "one network has its two tries");
        }
    }
    assert!((20..30).contains(&guesses), "{guesses}");
    assert!(!tries(&limits, "192.0.2.1", SignInEnd::Right).await, "a network that is not known");
    for _ in 0..10 {
        assert!(tries(&limits, "198.51.100.7", SignInEnd::Right).await, "the owner's network");
    }
    assert!(limits.begin_sign_in("another@example.com", 0, ip("203.0.113.1")).await.is_ok(), "another account");
}

#[tokio::test]
async fn right_passwords_spend_nothing_and_tries_that_were_not_looked_at_neither() {
    let limits = limits(1);
    for end in [SignInEnd::Undecided, SignInEnd::Right] {
        for _ in 0..20 {
            assert!(tries(&limits, "198.51.100.7", end).await);
        }
    }
}

#[tokio::test]
async fn a_network_is_known_no_longer_if_the_accounts_epoch_is_another() {
    let limits = limits(2);
    assert!(tries(&limits, "198.51.100.7", SignInEnd::Right).await);
    for _ in 0..2 {
        assert!(tries(&limits, "198.51.100.7", SignInEnd::Wrong).await);
    }
    assert!(limits.begin_sign_in(OWNER, 0, ip("198.51.100.7")).await.is_ok(), "the network is known");
    let refused = limits.begin_sign_in(OWNER, 1, ip("198.51.100.7")).await.unwrap_err();
    assert_eq!(refused.code(), "rate_limited");
}

#[tokio::test]
async fn a_known_network_is_let_through_after_wrong_passwords_as_long_as_its_address_pays_more() {
    let limits = limits_with(2, 50);
    assert!(tries(&limits, "198.51.100.7", SignInEnd::Right).await);
    for _ in 0..6 {
        assert!(tries(&limits, "198.51.100.7", SignInEnd::Wrong).await);
    }
    let mut more = 0;
    while more < 10 && tries(&limits, "198.51.100.7", SignInEnd::Wrong).await {
        more += 1;
    }
    assert!(more < 5, "guesses from the owner's own network go on: {more}");
}
