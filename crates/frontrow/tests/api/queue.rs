//! The waiting line over HTTP.

use frontrow_domain::{
    id::{Position, RoomId, TokenId},
    line::Token,
    time::Span,
};
use frontrow_signing::Keyring;
use frontrow_testkit::{PRICE, START, Server, eventually, id, items};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_line_is_joined_with_an_empty_body_too_and_asking_again_returns_the_same_place() {
    let server = Server::with(&[("--max-active", "0")]).await;
    let buyer = server.buyer("buyer").await;
    let first = buyer.call(Method::POST, "/queue/tokens").send().await.expect(201);
    assert_eq!(
        (&first["room_id"], &first["concert_id"], &first["status"]),
        (&json!(0), &json!(null), &json!("waiting"))
    );
    let other_device = server.with_secret(buyer.secret());
    let again = other_device.post("/queue/tokens", &json!({})).await.expect(200);
    assert_eq!(again["token"], first["token"]);
    assert_eq!(again["position"], first["position"]);
    let own = buyer.get("/queue/tokens").await.expect(200);
    assert_eq!(items(&own).len(), 1);
    assert_eq!(items(&own)[0]["token"], first["token"]);
    server.close().await;
}

#[tokio::test]
async fn a_concert_with_a_room_of_its_own_has_its_own_line() {
    let server = Server::start().await;
    let own = server.hall_like(2, |draft| draft.own_room_max_active = Some(5)).await;
    let house = server.hall(2).await;
    let buyer = server.buyer_with("buyer", 1_000_000).await;
    let in_own = buyer.join(Some(own.id())).await;
    assert_eq!((&in_own["room_id"], &in_own["concert_id"]), (&json!(own.id()), &json!(own.id())));
    let in_house = buyer.join(Some(house.id())).await;
    assert_eq!(in_house["room_id"], 0);
    assert_eq!(in_house["position"], 1, "each line counts for itself");

    let own_token = buyer.enter(Some(own.id())).await;
    let house_token = buyer.enter(None).await;
    buyer.hold(&own_token, house.seats[0]).await.problem(403, "token_of_another_room");
    buyer.hold(&house_token, own.seats[0]).await.problem(403, "token_of_another_room");
    let held = buyer.hold(&own_token, own.seats[0]).await.expect(201)["reservation_id"].as_i64().unwrap();
    buyer.pay(&house_token, held).await.problem(403, "token_of_another_room");
    buyer.pay(&own_token, held).await.expect(201);
    server.close().await;
}

#[tokio::test]
async fn a_line_is_not_joined_for_a_concert_that_is_unknown_closed_or_over() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let (buyer, operator) = (server.buyer("buyer").await, server.operator().await);
    buyer.post("/queue/tokens", &json!({ "concert_id": 999 })).await.problem(404, "not_found");
    operator
        .patch(&format!("/operator{}", hall.path()), &json!({ "status": "closed", "reason": "The hall asks for it." }))
        .await
        .expect(200);
    buyer.post("/queue/tokens", &json!({ "concert_id": hall.id() })).await.problem(409, "sale_closed");
    let early = server.hall_like(1, |draft| draft.closes_at = Some(START)).await;
    buyer.post("/queue/tokens", &json!({ "concert_id": early.id() })).await.problem(409, "sale_closed");
    assert_eq!(items(&buyer.get("/queue/tokens").await.expect(200)).len(), 0, "nothing was joined");
    server.close().await;
}

#[tokio::test]
async fn ahead_counts_the_living_in_front_and_never_rises() {
    let server = Server::with(&[("--max-active", "0")]).await;
    let mut clients = Vec::new();
    for number in 1..=5 {
        let client = server.buyer(&format!("buyer{number}")).await;
        let token = client.join(None).await;
        assert_eq!(token["position"], number);
        assert_eq!(token["queue"]["ahead"], number - 1);
        clients.push((client, token["token"].as_str().unwrap().to_owned()));
    }
    let (last, token) = clients.last().unwrap();
    let place = last.position(token).await;
    assert_eq!((&place["ahead"], &place["total_waiting"]), (&json!(4), &json!(5)));
    let (leaver, left) = &clients[1];
    leaver.delete(&format!("/queue/tokens/{left}")).await.expect(204);
    let place = last.position(token).await;
    assert_eq!((&place["ahead"], &place["total_waiting"]), (&json!(3), &json!(4)));
    assert_eq!(clients[0].0.position(&clients[0].1).await["ahead"], 0, "who stands in front of the leaver stays");
    assert_eq!(place["stale"], false);
    assert_eq!(place["as_of"], "2027-01-15T08:00:00.000000Z");
    // Leaving twice is the same as leaving once; coming back is a new place at the end.
    leaver.delete(&format!("/queue/tokens/{left}")).await.expect(204);
    assert_eq!(leaver.join(None).await["position"], 6);
    server.close().await;
}

#[tokio::test]
async fn a_position_is_read_without_a_session_and_shows_no_user() {
    let server = Server::with(&[("--max-active", "0")]).await;
    let buyer = server.buyer("buyer").await;
    let token = buyer.join(None).await["token"].as_str().unwrap().to_owned();
    let place = server.anonymous().position(&token).await;
    assert_eq!(place["status"], "waiting");
    let mut members: Vec<_> = place.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    let expected = [
        "ahead",
        "ahead_at_start",
        "as_of",
        "deadline",
        "end_reason",
        "estimated_wait",
        "hold_until",
        "lane",
        "lanes",
        "last_turn",
        "message",
        "outlook",
        "poll_after_ms",
        "position",
        "stale",
        "status",
        "total_waiting",
    ];
    assert_eq!(members, expected);
    server.close().await;
}

#[tokio::test]
async fn forged_altered_and_foreign_tokens_are_nothing() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let (owner, other) = (server.buyer("owner").await, server.buyer("other").await);
    let token = owner.enter(None).await;
    let mut altered = token.clone().into_bytes();
    altered[20] ^= 1;
    let stranger = Keyring::from_secrets(&[(1, [7; 32])], 1).unwrap();
    let id = TokenId { room_id: RoomId::HOUSE, position: Position(1) };
    let forged = stranger.sign(&Token::issued(id, owner.user, START), 1);
    // A key that the server has no more, or never had.
    let retired = Keyring::from_secrets(&[(9, [7; 32])], 9).unwrap();
    let retired = retired.sign(&Token::issued(id, owner.user, START), 1);
    for bad in [String::from_utf8(altered).unwrap(), forged, retired, "x".to_owned(), "x".repeat(5_000)] {
        let path = format!("/queue/tokens/{bad}");
        owner.get(&format!("{path}/position")).await.problem(404, "not_found");
        owner.get(&path).await.problem(404, "not_found");
        owner.activate(&bad).await.problem(404, "not_found");
        owner.delete(&path).await.problem(404, "not_found");
        owner.hold(&bad, hall.seats[0]).await.problem(403, "token_invalid");
        owner.pay(&bad, 1).await.problem(403, "token_invalid");
    }
    // A real token in the wrong hands: for its thief it does not exist, and its owner keeps it.
    let path = format!("/queue/tokens/{token}");
    other.get(&path).await.problem(404, "not_found");
    other.activate(&token).await.problem(404, "not_found");
    other.delete(&path).await.problem(404, "not_found");
    other.hold(&token, hall.seats[0]).await.problem(403, "token_invalid");
    assert_eq!(owner.get(&path).await.expect(200)["status"], "active");
    server.close().await;
}

#[tokio::test]
async fn what_a_token_lacks_is_said_for_its_own_user() {
    let server = Server::with(&[("--max-active", "1")]).await;
    let hall = server.hall(2).await;
    let (first, second) = (server.buyer_with("first", 1_000_000).await, server.buyer("second").await);
    first
        .call(Method::POST, "/reservations")
        .json(&json!({ "seat_id": hall.seats[0] }))
        .send()
        .await
        .problem(403, "token_invalid");
    let token = first.join(None).await["token"].as_str().unwrap().to_owned();
    let behind = second.join(None).await["token"].as_str().unwrap().to_owned();
    first.wait_for(&token, "offered").await;
    first.hold(&token, hall.seats[0]).await.problem(403, "token_not_activated");
    second.hold(&behind, hall.seats[0]).await.problem(403, "token_waiting");
    first.activate(&token).await.expect(200);
    let held = first.hold(&token, hall.seats[0]).await.expect(201)["reservation_id"].as_i64().unwrap();
    first.pay(&token, held).await.expect(201);
    first.hold(&token, hall.seats[1]).await.problem(403, "token_ended");
    first.pay(&token, held).await.problem(409, "reservation_not_pending");
    first.activate(&token).await.problem(403, "token_ended");
    // The second's turn comes and is missed: it may be recalled to the head of the line.
    second.wait_for(&behind, "offered").await;
    server.advance(60);
    second.hold(&behind, hall.seats[1]).await.problem(403, "token_missed");
    let recalled = second.activate(&behind).await;
    assert!([200, 202].contains(&recalled.status), "{}", recalled.text());
    assert_eq!(recalled.retry_after(), Some(1));
    second.wait_for(&behind, "offered").await;
    second.activate(&behind).await.expect(200);
    assert_eq!(second.get(&format!("/queue/tokens/{behind}")).await.expect(200)["position"], 2);
    server.close().await;
}

#[tokio::test]
async fn the_line_of_a_concert_waits_for_its_sale() {
    let server = Server::with(&[("--opening-order", "first-come")]).await;
    let hall = server
        .hall_like(1, |draft| {
            draft.opens_at = START.plus(Span::from_secs(600));
            draft.own_room_max_active = Some(1);
        })
        .await;
    let buyer = server.buyer("early").await;
    let joined = buyer.join(Some(hall.id())).await;
    let token = joined["token"].as_str().unwrap().to_owned();
    let wait = &joined["queue"]["estimated_wait"];
    assert_eq!((&wait["known"], &wait["reason"]), (&json!(false), &json!("sale_not_open")));
    assert_eq!(buyer.position(&token).await["status"], "waiting");
    for _ in 0..10 {
        server.advance(59);
        assert_eq!(buyer.position(&token).await["status"], "waiting");
    }
    server.advance(6);
    buyer.wait_for(&token, "offered").await;
    buyer.activate(&token).await.expect(200);
    buyer.hold(&token, hall.seats[0]).await.problem(409, "sale_not_open");
    server.advance(4);
    buyer.hold(&token, hall.seats[0]).await.expect(201);
    server.close().await;
}

#[tokio::test]
async fn an_unresponsive_token_is_passed_over_and_waits_again_at_its_next_poll() {
    let server = Server::with(&[("--max-active", "1")]).await;
    let clients = [server.buyer("first").await, server.buyer("silent").await, server.buyer("third").await];
    let first = clients[0].enter(None).await;
    let silent = clients[1].join(None).await["token"].as_str().unwrap().to_owned();
    let third = clients[2].join(None).await["token"].as_str().unwrap().to_owned();
    server.advance(60);
    clients[2].position(&third).await;
    clients[0].position(&first).await;
    server.advance(60);
    clients[2].position(&third).await;
    clients[0].delete(&format!("/queue/tokens/{first}")).await.expect(204);
    clients[2].wait_for(&third, "offered").await;
    let row = clients[1].get(&format!("/queue/tokens/{silent}")).await.expect(200);
    assert_eq!(row["status"], "dormant");
    clients[2].activate(&third).await.expect(200);
    clients[1].wait_for(&silent, "waiting").await;
    clients[2].delete(&format!("/queue/tokens/{third}")).await.expect(204);
    clients[1].wait_for(&silent, "offered").await;
    server.close().await;
}

#[tokio::test]
async fn an_active_token_ends_when_it_is_idle_and_lives_on_while_its_user_asks() {
    let server = Server::start().await;
    let buyer = server.buyer("buyer").await;
    let token = buyer.enter(None).await;
    for _ in 0..3 {
        server.advance(80);
        let was = buyer.position(&token).await["deadline"].clone();
        eventually("the deadline has moved", async || (buyer.position(&token).await["deadline"] != was).then_some(()))
            .await;
    }
    assert_eq!(buyer.position(&token).await["status"], "active");
    server.advance(100);
    eventually("the token has ended by itself", async || {
        let row = buyer.get(&format!("/queue/tokens/{token}")).await.expect(200);
        (row["status"] == "ended" && row["end_reason"] == "expired").then_some(())
    })
    .await;
    assert_eq!(server.anonymous().position(&token).await["status"], "ended");
    buyer.activate(&token).await.problem(403, "token_ended");
    server.close().await;
}

#[tokio::test]
async fn an_active_token_is_renewed_by_its_owner_and_the_service_key_and_not_by_the_token_alone() {
    let key = "a-service-key-of-at-least-32-characters";
    let server = Server::with(&[("--service-key", key)]).await;
    let (buyer, other) = (server.buyer("buyer").await, server.buyer("other").await);
    let (service, anonymous) = (server.with_secret(key), server.anonymous());
    let token = buyer.enter(None).await;
    let deadline = async || buyer.get(&format!("/queue/tokens/{token}")).await.expect(200)["deadline"].clone();
    let first = deadline().await;
    server.advance(50);
    // Asking with the token alone, with another's session and with one that is none is answered, and renews nothing.
    for client in [&anonymous, &other, &server.operator().await, &server.with_secret("of-no-session-at-all")] {
        assert_eq!(client.position(&token).await["status"], "active");
    }
    let mut stream = anonymous.line_events(&token).await;
    stream.expect("claimed").await;
    // What is asked now is decided after all of these.
    let joined = other.join(None).await;
    assert_eq!((joined["status"] == "ended", deadline().await), (false, first.clone()));
    assert_eq!(service.position(&token).await["status"], "active");
    eventually("the service key has renewed it", async || (deadline().await != first).then_some(())).await;
    let second = deadline().await;
    server.advance(50);
    assert_eq!(buyer.position(&token).await["status"], "active");
    eventually("its owner has renewed it", async || (deadline().await != second).then_some(())).await;
    // However often the token alone asks, the turn ends after its owner's last sign.
    for _ in 0..4 {
        server.advance(30);
        anonymous.position(&token).await;
    }
    eventually("the token has ended", async || {
        let row = buyer.get(&format!("/queue/tokens/{token}")).await.expect(200);
        (row["end_reason"] == "expired").then_some(())
    })
    .await;
    server.close().await;
}

#[tokio::test]
async fn a_token_that_is_cut_altered_or_of_another_room_or_key_changes_nothing() {
    let server = Server::start().await;
    let hall = server.hall_like(1, |draft| draft.own_room_max_active = Some(5)).await;
    let buyer = server.buyer("buyer").await;
    let token = buyer.enter(None).await;
    let before = buyer.get(&format!("/queue/tokens/{token}")).await.expect(200);
    let mut bad: Vec<String> =
        (0..token.len()).map(|len| token[..len].to_owned()).filter(|cut| !cut.is_empty()).collect();
    for at in 0..token.len() {
        let mut altered = token.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        bad.push(String::from_utf8(altered).unwrap());
    }
    bad.retain(|one| *one != token);
    bad.extend([format!("{token}A"), format!("{token}="), token.to_lowercase(), format!("{token}{token}")]);
    let anonymous = server.anonymous();
    for one in &bad {
        let path = format!("/queue/tokens/{one}");
        anonymous.get(&format!("{path}/position")).await.problem(404, "not_found");
        anonymous.delete(&path).await.problem(401, "unauthorized");
    }
    for one in bad.iter().step_by(7) {
        let path = format!("/queue/tokens/{one}");
        buyer.get(&path).await.problem(404, "not_found");
        buyer.activate(one).await.problem(404, "not_found");
        buyer.delete(&path).await.problem(404, "not_found");
        buyer.hold(one, hall.seats[0]).await.problem(403, "token_invalid");
    }
    // The house room's token is of another room than the concert's.
    buyer.hold(&token, hall.seats[0]).await.problem(403, "token_of_another_room");
    let after = buyer.get(&format!("/queue/tokens/{token}")).await.expect(200);
    let timeless = |mut token: Value| {
        token["queue"] = json!(null);
        token
    };
    assert_eq!(timeless(after), timeless(before));
    server.close().await;
}

#[tokio::test]
async fn a_place_says_which_turn_is_its_last_and_until_when_seats_may_be_held() {
    let server = Server::start().await;
    let buyer = server.buyer("buyer").await;
    let token = buyer.join(None).await["token"].as_str().unwrap().to_owned();
    buyer.wait_for(&token, "offered").await;
    let turn = buyer.position(&token).await;
    assert_eq!((&turn["last_turn"], &turn["hold_until"]), (&json!(false), &json!(null)));
    server.advance(61);
    buyer.wait_for(&token, "missed").await;
    assert_eq!(buyer.position(&token).await["last_turn"], false, "no turn is offered");
    buyer.activate(&token).await.expect(202);
    buyer.wait_for(&token, "offered").await;
    assert_eq!(buyer.position(&token).await["last_turn"], true);
    let row = buyer.get(&format!("/queue/tokens/{token}")).await.expect(200);
    assert_eq!(row["queue"]["last_turn"], true);
    let queue = buyer.activate(&token).await.expect(200)["queue"].clone();
    assert_eq!((&queue["last_turn"], &queue["hold_until"]), (&json!(false), &json!("2027-01-15T08:11:01.000000Z")));
    server.advance(60);
    let place = buyer.position(&token).await;
    assert_eq!(place["hold_until"], queue["hold_until"], "a sign of life does not move it");
    assert_ne!(place["hold_until"], place["deadline"]);
    server.close().await;
}

#[tokio::test]
async fn a_place_of_a_cancelled_concert_ends_with_its_concert() {
    let server = Server::start().await;
    let hall = server.hall_like(1, |draft| draft.own_room_max_active = Some(0)).await;
    let (buyer, operator) = (server.buyer("buyer").await, server.operator().await);
    let token = buyer.join(Some(hall.id())).await["token"].as_str().unwrap().to_owned();
    let cancel = json!({ "reason": "The singer is ill." });
    operator.post(&format!("/operator{}/cancel", hall.path()), &cancel).await.expect(200);
    eventually("the place has ended", async || {
        let place = buyer.position(&token).await;
        (place["end_reason"] == "concert_over").then_some(())
    })
    .await;
    let row = buyer.get(&format!("/queue/tokens/{token}")).await.expect(200);
    assert_eq!((&row["end_reason"], &row["activated_at"]), (&json!("concert_over"), &json!(null)));
    server.close().await;
}

#[tokio::test]
async fn a_place_that_is_gone_says_why() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let (leaver, payer) = (server.buyer("leaver").await, server.buyer_with("payer", PRICE).await);
    let (left, paid) = (leaver.enter(None).await, payer.enter(None).await);
    assert_eq!(leaver.position(&left).await["end_reason"], json!(null));
    leaver.delete(&format!("/queue/tokens/{left}")).await.expect(204);
    let reservation = id(&payer.hold(&paid, hall.seats[0]).await.expect(201), "reservation_id");
    payer.pay(&paid, reservation).await.expect(201);
    for (token, reason) in [(&left, "left"), (&paid, "paid")] {
        let place = server.anonymous().position(token).await;
        assert_eq!((&place["status"], &place["end_reason"]), (&json!("ended"), &json!(reason)));
        assert_eq!(place["stale"], false);
    }
    server.close().await;
}

#[tokio::test]
async fn a_claim_that_finds_the_room_full_keeps_its_turn() {
    let server = Server::with(&[("--max-active", "1")]).await;
    let (first, second) = (server.buyer("first").await, server.buyer("second").await);
    let operator = server.operator().await;
    let a = first.join(None).await["token"].as_str().unwrap().to_owned();
    first.wait_for(&a, "offered").await;
    operator
        .patch("/operator/rooms/0", &json!({ "max_active": 2, "reason": "The hall asks for it." }))
        .await
        .expect(200);
    let b = second.join(None).await["token"].as_str().unwrap().to_owned();
    second.wait_for(&b, "offered").await;
    operator
        .patch("/operator/rooms/0", &json!({ "max_active": 1, "reason": "The hall asks for it." }))
        .await
        .expect(200);
    first.activate(&a).await.expect(200);
    let claim = || second.call(Method::PATCH, &format!("/queue/tokens/{b}/activate")).key("the-same-key-twice");
    let full = claim().send().await;
    assert_eq!(full.expect(202)["status"], "offered");
    assert_eq!(full.retry_after(), Some(1));
    first.delete(&format!("/queue/tokens/{a}")).await.expect(204);
    // "Not yet" is not kept under a key: the same request works as soon as there is a place.
    let now = claim().send().await;
    assert_eq!(now.expect(200)["status"], "active");
    assert!(!now.is_replay());
    server.close().await;
}

#[tokio::test]
async fn a_claim_that_found_the_room_full_keeps_its_turn_for_as_long_as_it_is_polled() {
    let server = Server::with(&[("--max-active", "2")]).await;
    let (first, second) = (server.buyer("first").await, server.buyer("second").await);
    let inside = first.enter(None).await;
    let claimed = second.join(None).await["token"].as_str().unwrap().to_owned();
    second.wait_for(&claimed, "offered").await;
    let fewer = json!({ "max_active": 1, "reason": "The payment provider is slow." });
    server.operator().await.patch("/operator/rooms/0", &fewer).await.expect(200);
    second.activate(&claimed).await.expect(202);
    // Given that it polls for two minutes, with its token alone, while the window is one.
    for _ in 0..3 {
        let before = second.position(&claimed).await["deadline"].clone();
        server.advance(40);
        eventually("the turn is kept", async || {
            first.position(&inside).await;
            let place = server.anonymous().position(&claimed).await;
            (place["status"] == "offered" && place["deadline"] != before).then_some(())
        })
        .await;
    }
    first.delete(&format!("/queue/tokens/{inside}")).await.expect(204);
    second.wait_for(&claimed, "active").await;
    server.close().await;
}
