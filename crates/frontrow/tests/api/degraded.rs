//! When the database is locked, full or overrun: a clear answer, nothing that was answered is lost, and it goes on by
//! itself when the cause is gone.

mod disk;
mod reads;

use frontrow_testkit::{Client, PRICE, Server, eventually, items};
use reqwest::Method;
use rusqlite::Connection;
use serde_json::json;
use tokio::task::JoinSet;

/// Another program that has the write lock until it is dropped.
fn lock(server: &Server) -> Connection {
    let conn = Connection::open(server.database()).unwrap();
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    conn
}

async fn readiness(client: &Client) -> u16 {
    client.call_at(Method::GET, "/readyz").send().await.status
}

async fn until_ready(client: &Client, status: u16) {
    eventually("readiness has changed", async || (readiness(client).await == status).then_some(())).await;
}

#[tokio::test]
async fn a_locked_database_is_503_until_it_is_free_and_reads_go_on() {
    let (server, store) = Server::with_store(&[]).await;
    store.set_busy_timeout(std::time::Duration::from_millis(100)).unwrap();
    let hall = server.hall(2).await;
    let buyer = server.buyer_with("buyer", PRICE).await;
    let token = buyer.enter(None).await;
    let held = buyer.hold(&token, hall.seats[0]).await.expect(201);
    let key = "during-the-lock-0123456789";

    let locked = lock(&server);
    let answer = buyer.hold_call(&token, hall.seats[1]).key(key).send().await;
    answer.problem(503, "unavailable");
    assert!(answer.retry_after().is_some());
    until_ready(&buyer, 503).await;
    assert_eq!(buyer.call_at(Method::GET, "/healthz").send().await.status, 200, "it lives all the same");
    buyer.sees(&hall, hall.seats[0], "held").await;
    assert_eq!(items(&buyer.get("/reservations").await.expect(200)), std::slice::from_ref(&held));
    assert_eq!(buyer.position(&token).await["status"], "active");

    drop(locked);
    until_ready(&buyer, 200).await;
    // Nothing was kept of the refusal: the same key works now.
    let retried = buyer.hold_call(&token, hall.seats[1]).key(key).send().await;
    retried.expect(201);
    assert!(!retried.is_replay());
    assert_eq!(items(&buyer.get("/reservations").await.expect(200)).len(), 2);
    server.close().await;
}

#[tokio::test]
async fn holds_that_were_not_carried_out_are_not_counted_against_the_buyer() {
    let (server, store) = Server::with_store(&[("--holds-per-hour-per-user", "2")]).await;
    store.set_busy_timeout(std::time::Duration::from_millis(10)).unwrap();
    let hall = server.hall(3).await;
    let buyer = server.buyer("buyer").await;
    let token = buyer.enter(None).await;
    let key = "repeated-in-the-outage-01";
    let locked = lock(&server);
    for _ in 0..5 {
        buyer.hold_call(&token, hall.seats[0]).key(key).send().await.problem(503, "unavailable");
    }
    drop(locked);
    until_ready(&buyer, 200).await;
    for _ in 0..5 {
        buyer
            .call(Method::POST, "/reservations")
            .token(&token)
            .json(&json!({}))
            .send()
            .await
            .problem(422, "invalid_field");
        buyer.hold("no token", hall.seats[0]).await.problem(403, "token_invalid");
    }
    buyer.hold_call(&token, hall.seats[0]).key(key).send().await.expect(201);
    buyer.hold(&token, hall.seats[1]).await.expect(201);
    buyer.hold(&token, hall.seats[2]).await.problem(429, "rate_limited");
    server.close().await;
}

#[tokio::test]
async fn changes_that_were_not_carried_out_are_not_counted_against_the_buyer() {
    let (server, store) = Server::with_store(&[("--changes-per-hour-per-user", "2")]).await;
    store.set_busy_timeout(std::time::Duration::from_millis(10)).unwrap();
    let buyer = server.buyer("buyer").await;
    let top_up = async || buyer.post("/points/top-ups", &json!({ "amount": 1 })).await;
    let locked = lock(&server);
    for _ in 0..5 {
        top_up().await.problem(503, "unavailable");
    }
    drop(locked);
    until_ready(&buyer, 200).await;
    top_up().await.expect(201);
    // The client's own errors count.
    buyer.post("/points/top-ups", &json!({ "amount": 0 })).await.problem(422, "amount_out_of_bounds");
    top_up().await.problem(429, "rate_limited");
    assert_eq!(buyer.balance().await, 1);
    server.close().await;
}

#[tokio::test]
async fn while_the_database_cannot_be_written_no_turn_and_no_hold_is_lost() {
    let (server, store) = Server::with_store(&[]).await;
    store.set_busy_timeout(std::time::Duration::from_millis(100)).unwrap();
    let hall = server.hall(2).await;
    let buyer = server.buyer_with("buyer", 2 * PRICE).await;
    let token = buyer.enter(None).await;
    let held = buyer.hold(&token, hall.seats[0]).await.expect(201);
    let locked = lock(&server);
    buyer.hold_call(&token, hall.seats[1]).send().await.problem(503, "unavailable");
    server.advance(400);
    drop(locked);
    buyer.hold(&token, hall.seats[1]).await.expect(201);
    assert_eq!(buyer.position(&token).await["status"], "active");
    buyer.pay(&token, held["reservation_id"].as_i64().unwrap()).await.expect(201);
    server.close().await;
}

#[tokio::test]
async fn a_server_that_was_frozen_for_a_while_costs_no_turn_and_no_hold() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let buyer = server.buyer_with("buyer", PRICE).await;
    let token = buyer.enter(None).await;
    let held = buyer.hold(&token, hall.seats[0]).await.expect(201);
    let reservation = held["reservation_id"].as_i64().unwrap();
    server.clock.stall(frontrow_domain::time::Span::from_secs(400));
    // Nothing has failed: the buyer finds out first, or the server itself.
    let pay = async || {
        let answer = buyer.pay_call(&token, reservation).key("after-the-pause-0123456789").send().await;
        (answer.status != 503).then_some(answer)
    };
    eventually("the box office has gone on", pay).await.expect(201);
    server.close().await;
}

#[tokio::test]
async fn a_token_that_was_silent_before_an_outage_is_silent_after_it() {
    let server = Server::with(&[("--max-active", "1")]).await;
    let (first, ghost, last) = (server.buyer("first").await, server.buyer("ghost").await, server.buyer("last").await);
    let inside = first.enter(None).await;
    let gone = ghost.join(None).await["token"].as_str().unwrap().to_owned();
    let waits = last.join(None).await["token"].as_str().unwrap().to_owned();
    for _ in 0..10 {
        server.advance(10);
        first.position(&inside).await;
        last.position(&waits).await;
    }
    server.clock.stall(frontrow_domain::time::Span::from_secs(100));
    let leave = async || (first.delete(&format!("/queue/tokens/{inside}")).await.status == 204).then_some(());
    eventually("the box office has gone on", leave).await;
    last.wait_for(&waits, "offered").await;
    let row = ghost.get(&format!("/queue/tokens/{gone}")).await.expect(200);
    assert_eq!(row["status"], "dormant");
    server.close().await;
}

#[tokio::test]
async fn a_server_that_was_stopped_for_a_while_costs_no_turn_and_no_hold() {
    let mut server = Server::with(&[("--max-active", "2")]).await;
    let hall = server.hall(2).await;
    let shopper = server.buyer_with("shopper", PRICE).await;
    let token = shopper.enter(None).await;
    let held = shopper.hold(&token, hall.seats[0]).await.expect(201);
    let mut idle = server.buyer("idle").await;
    let idle_token = idle.enter(None).await;
    let micros = |at: &serde_json::Value| at.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_microsecond();
    // A restart, and a long outage.
    for seconds in [3, 400] {
        let before = idle.position(&idle_token).await["deadline"].clone();
        let (config, clock) = (server.config.clone(), server.clock.clone());
        let folder = server.stop().await;
        clock.advance(frontrow_domain::time::Span::from_secs(seconds));
        server = Server::over(folder, config, clock).await;
        idle = server.with_secret(idle.secret());
        let after = idle.position(&idle_token).await;
        assert_eq!(after["status"], "active");
        let later = micros(&after["deadline"]) - micros(&before);
        assert_eq!(later, seconds * 1_000_000, "it has as long left as before");
    }
    let shopper = server.with_secret(shopper.secret());
    shopper.pay(&token, held["reservation_id"].as_i64().unwrap()).await.expect(201);
    // A token without a poll has no more time than before.
    server.advance(101);
    idle.wait_for(&idle_token, "ended").await;
    server.close().await;
}

#[tokio::test]
async fn with_no_grace_for_outages_a_stop_ends_turns_as_time_does() {
    let server = Server::with(&[("--outage-grace-seconds", "0")]).await;
    let buyer = server.buyer("buyer").await;
    let token = buyer.enter(None).await;
    let (config, clock) = (server.config.clone(), server.clock.clone());
    let folder = server.stop().await;
    clock.advance(frontrow_domain::time::Span::from_secs(400));
    let server = Server::over(folder, config, clock).await;
    server.with_secret(buyer.secret()).wait_for(&token, "ended").await;
    server.close().await;
}

/// Changes something until the database takes no more. Returns how many changes were answered with success.
async fn until_refused(buyer: &Client) -> i64 {
    for done in 0..5_000 {
        let answer = buyer.post("/points/top-ups", &json!({ "amount": 1 })).await;
        if answer.status == 503 {
            answer.problem(503, "unavailable");
            assert!(answer.retry_after().is_some());
            return done;
        }
        answer.expect(201);
    }
    panic!("the database never became full");
}

/// The same until the server is not ready either: a probe is smaller than a change, so one refused change does not mean
/// that the probe fails.
async fn until_refused_and_not_ready(buyer: &Client) -> i64 {
    let mut done = 0;
    for _ in 0..50 {
        done += until_refused(buyer).await;
        if readiness(buyer).await == 503 {
            return done;
        }
    }
    panic!("changes are refused, and the server says that it is ready")
}

#[tokio::test]
async fn a_full_database_is_503_until_there_is_room_and_loses_nothing() {
    let (server, store) = Server::with_store(&[]).await;
    let buyer = server.buyer("buyer").await;
    store.set_size_limit(Some(1)).unwrap();
    let topped_up = until_refused_and_not_ready(&buyer).await;
    assert_eq!(buyer.balance().await, topped_up, "what was answered is there, what was refused is not");
    store.set_size_limit(None).unwrap();
    until_ready(&buyer, 200).await;
    buyer.top_up(1).await;
    assert_eq!(buyer.balance().await, topped_up + 1);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_engine_cannot_take_is_turned_away_at_once_and_the_rest_is_done() {
    let server = Server::with(&[("--queue-len", "4"), ("--batch-max", "2"), ("--max-active", "0")]).await;
    let mut buyers = Vec::new();
    for number in 0..30 {
        buyers.push(server.buyer(&format!("buyer{number}")).await);
    }
    let locked = lock(&server);
    let mut sent: JoinSet<_> = buyers.iter().map(|buyer| buyer.call(Method::POST, "/queue/tokens").send()).collect();
    // One or two are in the transaction that waits for the lock and four behind it: the others are answered meanwhile.
    for _ in 0..24 {
        let answer = sent.join_next().await.unwrap().unwrap();
        answer.problem(503, "overloaded");
        assert!(answer.retry_after().is_some());
    }
    assert_eq!(buyers[0].call_at(Method::GET, "/healthz").send().await.status, 200);
    drop(locked);
    let answers = sent.join_all().await;
    let done = answers.iter().filter(|answer| answer.status == 201).count();
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.problem(503, "overloaded");
    }
    assert!((5..=6).contains(&done), "{done}");
    let mut joined = 0;
    for buyer in &buyers {
        joined += items(&buyer.get("/queue/tokens").await.expect(200)).len();
    }
    assert_eq!(joined, done);
    let metrics = buyers[0].call_at(Method::GET, "/metrics").send().await.text();
    assert!(metrics.contains(&format!("frontrow_overloads_total {}", 30 - done)), "{metrics}");
    for buyer in &buyers {
        buyer.join(None).await;
    }
    server.close().await;
}
