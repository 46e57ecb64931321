//! A client that goes away, such as a page that is closed: its place is free after a grace, and its own again if it is
//! heard of before.

use frontrow_testkit::{ApiAnswer, Client, Server, eventually, id};
use reqwest::Method;
use serde_json::Value;

async fn ask_to_go(client: &Client, token: &str) -> ApiAnswer {
    client.call(Method::POST, &format!("/queue/tokens/{token}/away")).send().await
}

async fn go_away(client: &Client, token: &str) {
    ask_to_go(client, token).await.expect(204);
}

async fn deadline(client: &Client, token: &str) -> Value {
    client.get(&format!("/queue/tokens/{token}")).await.expect(200)["deadline"].clone()
}

#[tokio::test]
async fn the_place_of_a_page_that_was_closed_is_free_after_the_grace() {
    let server = Server::with(&[("--max-active", "1")]).await;
    let (first, second) = (server.buyer("first").await, server.buyer("second").await);
    let token = first.enter(None).await;
    let next = second.join(None).await["token"].as_str().unwrap().to_owned();
    go_away(&first, &token).await;
    server.advance(14);
    assert_eq!(second.position(&next).await["status"], "waiting");
    server.advance(1);
    second.wait_for(&next, "offered").await;
    let row = first.get(&format!("/queue/tokens/{token}")).await.expect(200);
    assert_eq!((&row["status"], &row["end_reason"]), (&"ended".into(), &"expired".into()));
    // A token that has ended has nothing to give back.
    go_away(&first, &token).await;
    server.close().await;
}

#[tokio::test]
async fn a_page_that_is_loaded_again_has_the_turn_as_it_was() {
    let server = Server::start().await;
    let (buyer, anonymous) = (server.buyer("buyer").await, server.anonymous());
    let token = buyer.enter(None).await;
    let before = deadline(&buyer, &token).await;
    server.advance(1);
    go_away(&buyer, &token).await;
    assert!(deadline(&buyer, &token).await.as_str() < before.as_str());
    // The token alone gives back no turn.
    anonymous.position(&token).await;
    // What is asked now is decided after that.
    server.buyer("other").await.join(None).await;
    assert!(deadline(&buyer, &token).await.as_str() < before.as_str());
    buyer.position(&token).await;
    eventually("the turn is as it was", async || {
        (deadline(&buyer, &token).await.as_str() >= before.as_str()).then_some(())
    })
    .await;
    server.close().await;
}

#[tokio::test]
async fn an_offered_turn_is_cut_to_the_grace_and_comes_back_with_a_poll() {
    let server = Server::start().await;
    let buyer = server.buyer("buyer").await;
    let token = buyer.join(None).await["token"].as_str().unwrap().to_owned();
    buyer.wait_for(&token, "offered").await;
    let before = deadline(&buyer, &token).await;
    go_away(&buyer, &token).await;
    assert!(deadline(&buyer, &token).await.as_str() < before.as_str());
    server.anonymous().position(&token).await;
    eventually("the turn is as it was", async || (deadline(&buyer, &token).await == before).then_some(())).await;
    server.close().await;
}

#[tokio::test]
async fn seats_that_are_held_keep_the_turn_as_it_is() {
    let server = Server::start().await;
    let (buyer, hall) = (server.buyer("buyer").await, server.hall(2).await);
    let token = buyer.enter(None).await;
    let reservation = id(&buyer.hold(&token, hall.seats[0]).await.expect(201), "reservation_id");
    let before = deadline(&buyer, &token).await;
    go_away(&buyer, &token).await;
    assert_eq!(deadline(&buyer, &token).await, before);
    buyer.delete(&format!("/reservations/{reservation}")).await.expect(200);
    go_away(&buyer, &token).await;
    assert!(deadline(&buyer, &token).await.as_str() < before.as_str());
    server.close().await;
}

#[tokio::test]
async fn a_waiting_token_whose_client_went_away_is_passed_over_and_keeps_its_place_if_it_comes_back() {
    let server = Server::with(&[("--max-active", "1")]).await;
    let clients = [server.buyer("first").await, server.buyer("gone").await, server.buyer("third").await];
    let inside = clients[0].enter(None).await;
    let mut tokens = Vec::new();
    for client in &clients[1..] {
        tokens.push(client.join(None).await["token"].as_str().unwrap().to_owned());
    }
    go_away(&clients[1], &tokens[0]).await;
    server.advance(17);
    clients[2].position(&tokens[1]).await;
    clients[0].delete(&format!("/queue/tokens/{inside}")).await.expect(204);
    clients[2].wait_for(&tokens[1], "offered").await;
    assert_eq!(clients[1].get(&format!("/queue/tokens/{}", tokens[0])).await.expect(200)["status"], "dormant");
    clients[2].delete(&format!("/queue/tokens/{}", tokens[1])).await.expect(204);
    clients[1].wait_for(&tokens[0], "offered").await;
    server.close().await;
}

#[tokio::test]
async fn a_waiting_token_that_is_heard_of_in_the_grace_is_offered_its_turn() {
    let server = Server::with(&[("--max-active", "1")]).await;
    let (first, back) = (server.buyer("first").await, server.buyer("back").await);
    let inside = first.enter(None).await;
    let token = back.join(None).await["token"].as_str().unwrap().to_owned();
    go_away(&back, &token).await;
    server.advance(5);
    server.anonymous().position(&token).await;
    server.advance(20);
    first.delete(&format!("/queue/tokens/{inside}")).await.expect(204);
    eventually("the turn is offered, and was not passed over", async || {
        let row = back.get(&format!("/queue/tokens/{token}")).await.expect(200);
        assert_ne!(row["status"], "dormant");
        (row["status"] == "offered").then_some(())
    })
    .await;
    server.close().await;
}

#[tokio::test]
async fn only_its_own_user_and_the_service_key_may_say_that_a_client_goes_away() {
    let key = "a-service-key-of-at-least-32-characters";
    let server = Server::with(&[("--service-key", key)]).await;
    let (buyer, other) = (server.buyer("buyer").await, server.buyer("other").await);
    let token = buyer.enter(None).await;
    let before = deadline(&buyer, &token).await;
    ask_to_go(&server.anonymous(), &token).await.problem(401, "unauthorized");
    ask_to_go(&other, &token).await.problem(404, "not_found");
    ask_to_go(&server.operator().await, &token).await.problem(404, "not_found");
    ask_to_go(&buyer, "AQEAAAAAAAAAAAAAAAEAAAAAAAAAKgGT88Rabnx9").await.problem(404, "not_found");
    assert_eq!(deadline(&buyer, &token).await, before);
    go_away(&server.with_secret(key), &token).await;
    assert_ne!(deadline(&buyer, &token).await, before);
    server.close().await;
}

#[tokio::test]
async fn a_beacon_goes_by_the_cookie_from_a_page_of_this_server_with_any_body_or_none() {
    let server = Server::start().await;
    let buyer = server.buyer("buyer").await;
    let token = buyer.enter(None).await;
    let before = deadline(&buyer, &token).await;
    let cookie = format!("frontrow-session={}", buyer.secret());
    let beacon = |site: &str| {
        let call = server.anonymous().call(Method::POST, &format!("/queue/tokens/{token}/away"));
        call.header("cookie", &cookie).header("sec-fetch-site", site)
    };
    for site in ["cross-site", "same-site"] {
        beacon(site).send().await.problem(403, "cross_site");
    }
    assert_eq!(deadline(&buyer, &token).await, before);
    beacon("same-origin").send().await.expect(204);
    assert_ne!(deadline(&buyer, &token).await, before);
    for (media_type, body) in [("text/plain;charset=UTF-8", "closed"), ("application/x-www-form-urlencoded", "a=1")] {
        beacon("same-origin").body(media_type, body).send().await.expect(204);
    }
    server.close().await;
}

#[tokio::test]
async fn going_away_is_bounded_as_the_polls_of_a_token_are() {
    let limits = [("--polls-per-second-per-token", "1"), ("--poll-burst-per-token", "2")];
    let server = Server::with(&limits).await;
    let buyer = server.buyer("buyer").await;
    let token = buyer.join(None).await["token"].as_str().unwrap().to_owned();
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(ask_to_go(&buyer, &token).await);
    }
    assert!(answers.iter().any(|answer| answer.status == 429), "{answers:?}");
    server.close().await;
}
