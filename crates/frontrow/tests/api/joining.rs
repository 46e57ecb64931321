//! What a new place in line asks for, beside what the rules decide.

use frontrow_testkit::{ApiAnswer, Client, Server};
use reqwest::Method;
use serde_json::json;

/// A server behind a proxy of this machine, so that a test says where a client comes from.
async fn behind_proxy(flags: &[(&str, &str)]) -> Server {
    Server::with(&[&[("--max-active", "0"), ("--trusted-proxies", "127.0.0.1")], flags].concat()).await
}

async fn join_from(client: &Client, address: &str) -> ApiAnswer {
    client.call(Method::POST, "/queue/tokens").header("x-forwarded-for", address).send().await
}

#[tokio::test]
async fn an_address_takes_so_many_new_places_and_joining_again_is_no_new_one() {
    let server = behind_proxy(&[("--joins-per-address", "2"), ("--joins-window-seconds", "86400")]).await;
    let buyers = [server.buyer("a").await, server.buyer("b").await, server.buyer("c").await];
    for _ in 0..3 {
        join_from(&buyers[0], "203.0.113.7").await;
    }
    join_from(&buyers[1], "203.0.113.7").await.expect(201);
    let refused = join_from(&buyers[2], "203.0.113.7").await;
    refused.problem(429, "too_many_joins");
    assert!(refused.retry_after().is_some_and(|seconds| (1..=86_400).contains(&seconds)));
    // Who has a place gets it from there as before, and the refused one its own from elsewhere.
    join_from(&buyers[0], "203.0.113.7").await.expect(200);
    join_from(&buyers[2], "198.51.100.7").await.expect(201);
    server.close().await;
}

#[tokio::test]
async fn a_network_takes_so_many_new_places_from_all_its_addresses() {
    let server = behind_proxy(&[("--joins-per-network", "2"), ("--joins-window-seconds", "86400")]).await;
    for (name, address, status) in [
        ("a", "203.0.113.7", 201),
        ("b", "203.0.113.200", 201),
        ("c", "203.0.113.9", 429),
        ("d", "203.0.114.9", 201),
        ("e", "2001:db8:7:1::1", 201),
        ("f", "2001:db8:7:2::1", 201),
        ("g", "2001:db8:7:3::1", 429),
        ("h", "2001:db8:8::1", 201),
    ] {
        let answer = join_from(&server.buyer(name).await, address).await;
        assert_eq!(answer.status, status, "{address}: {}", answer.text());
    }
    server.close().await;
}

#[tokio::test]
async fn a_join_that_gave_no_new_place_is_not_counted() {
    let server = behind_proxy(&[("--joins-per-address", "1"), ("--joins-window-seconds", "86400")]).await;
    let (buyer, other) = (server.buyer("buyer").await, server.buyer("other").await);
    let from = |client: &Client, body| {
        client.call(Method::POST, "/queue/tokens").header("x-forwarded-for", "203.0.113.7").json(&body).send()
    };
    for _ in 0..3 {
        from(&buyer, json!({ "concert_id": 999 })).await.problem(404, "not_found");
    }
    from(&buyer, json!({})).await.expect(201);
    from(&other, json!({})).await.problem(429, "too_many_joins");
    server.close().await;
}

#[tokio::test]
async fn a_replay_of_a_join_is_answered_though_its_address_has_spent_its_joins() {
    let server = behind_proxy(&[("--joins-per-address", "1"), ("--joins-window-seconds", "86400")]).await;
    let buyer = server.buyer("buyer").await;
    let join = || {
        let call = buyer.call(Method::POST, "/queue/tokens").header("x-forwarded-for", "203.0.113.7");
        call.key("0123456789abcdef0123").send()
    };
    let first = join().await.expect(201);
    let again = join().await;
    assert!(again.is_replay());
    assert_eq!(again.expect(201)["token"], first["token"]);
    server.close().await;
}

#[tokio::test]
async fn accounts_that_join_at_once_take_no_more_places_than_their_address_may() {
    let server = behind_proxy(&[("--joins-per-address", "5"), ("--joins-window-seconds", "86400")]).await;
    let mut joins = tokio::task::JoinSet::new();
    for number in 0..30 {
        let buyer = server.buyer(&format!("buyer{number}")).await;
        joins.spawn(async move { join_from(&buyer, "203.0.113.7").await.status });
    }
    let answered = joins.join_all().await;
    let of = |status| answered.iter().filter(|found| **found == status).count();
    assert_eq!((of(201), of(429)), (5, 25), "{answered:?}");
    server.close().await;
}
