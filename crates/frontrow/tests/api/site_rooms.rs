//! Rooms without a concert, in front of other sites, and their passes.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use frontrow_testkit::{Client, Server, eventually, id};
use serde_json::{Value, json};

fn draft() -> Value {
    json!({ "name": "상점", "turn_url": "https://shop.example.com/tickets", "max_active": 1 })
}

async fn join(client: &Client, room: i64) -> Value {
    let answer = client.post("/queue/tokens", &json!({ "room_id": room })).await;
    assert!([200, 201].contains(&answer.status), "{}", answer.text());
    answer.json()
}

fn claims(pass: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(pass.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_room_of_its_own_has_a_line_and_passes_of_its_own_until_it_is_closed() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let made = operator.post("/operator/rooms", &draft()).await.expect(201);
    let room = id(&made, "room_id");
    assert_eq!((&made["name"], &made["turn_url"]), (&json!("상점"), &json!("https://shop.example.com/tickets")));
    let hall = server.hall_like(1, |draft| draft.own_room_max_active = Some(1)).await;
    assert!(hall.id() < room);

    let (first, second) = (server.buyer("first").await, server.buyer("second").await);
    let place = join(&first, room).await;
    assert_eq!((&place["room_id"], &place["concert_id"], &place["position"]), (&json!(room), &json!(null), &json!(1)));
    let token = place["token"].as_str().unwrap();
    first.wait_for(token, "offered").await;
    first.get(&format!("/queue/tokens/{token}/pass")).await.problem(403, "token_not_activated");
    first.activate(token).await.expect(200);
    let pass = first.get(&format!("/queue/tokens/{token}/pass")).await.expect(200);
    let said = claims(pass["pass"].as_str().unwrap());
    assert_eq!((&said["aud"], &said["room"]), (&json!(format!("room:{room}")), &json!(room)));
    first.hold(token, hall.seats[0]).await.problem(403, "token_of_another_room");
    let behind = join(&second, room).await["token"].as_str().unwrap().to_owned();

    let closing = json!({ "reason": "The sale of the shop is over." });
    let close = format!("/operator/rooms/{room}/close");
    second.post(&close, &closing).await.problem(403, "forbidden");
    operator.post("/operator/rooms/0/close", &closing).await.problem(422, "malformed");
    let closed = operator.post(&close, &closing).await.expect(200);
    assert_eq!(operator.post(&close, &closing).await.expect(200)["closes_at"], closed["closes_at"]);
    eventually("the place has ended", async || {
        let place = second.position(&behind).await;
        (place["end_reason"] == "room_closed").then_some(())
    })
    .await;
    second.post("/queue/tokens", &json!({ "room_id": room })).await.problem(409, "room_closed");
    // Who is inside stays until the end of the turn, and is done when the site says so.
    let pass = first.get(&format!("/queue/tokens/{token}/pass")).await.expect(200);
    server.anonymous().post("/queue/passes/done", &json!({ "pass": pass["pass"] })).await.expect(204);
    assert_eq!(first.position(token).await["end_reason"], "left");
    server.close().await;
}

#[tokio::test]
async fn a_room_of_its_own_is_opened_by_operators_with_an_address_that_a_turn_may_open() {
    let server = Server::start().await;
    let (operator, buyer) = (server.operator().await, server.buyer("buyer").await);
    buyer.post("/operator/rooms", &draft()).await.problem(403, "forbidden");
    let with = |field: &str, value: Value| {
        let mut draft = draft();
        draft[field] = value;
        draft
    };
    for url in ["http://shop.example.com/", "https://kim@shop.example.com/", "javascript:alert(1)", "/tickets", ""] {
        let answer = operator.post("/operator/rooms", &with("turn_url", json!(url))).await;
        answer.problem_at(422, "invalid_field", "turn_url");
        let detail = answer.problem(422, "invalid_field")["detail"].to_string();
        assert!(detail.contains("must be an address over https"), "{url}: {detail}");
    }
    for name in ["", " ", &"a".repeat(101)] {
        operator.post("/operator/rooms", &with("name", json!(name))).await.problem_at(422, "invalid_field", "name");
    }
    for (field, value) in [("max_active", -1), ("max_active", 1_000_001), ("admit_per_minute", 0)] {
        operator.post("/operator/rooms", &with(field, json!(value))).await.problem(422, "malformed");
    }
    assert_eq!(operator.get("/operator/rooms").await.expect(200)["items"].as_array().unwrap().len(), 1);
    let room = id(&operator.post("/operator/rooms", &draft()).await.expect(201), "room_id");
    let change = json!({ "name": "Shop", "turn_url": "https://other.example.com/" });
    let changed = operator.patch(&format!("/operator/rooms/{room}"), &change).await.expect(200);
    assert_eq!((&changed["name"], &changed["turn_url"]), (&change["name"], &change["turn_url"]));
    operator.patch("/operator/rooms/0", &change).await.problem(422, "malformed");
    buyer.post("/queue/tokens", &json!({ "room_id": room, "concert_id": 1 })).await.problem(422, "malformed");
    buyer.post("/queue/tokens", &json!({ "room_id": room + 1 })).await.problem(404, "not_found");
    server.close().await;
}

#[tokio::test]
async fn the_line_of_a_room_of_its_own_rests_until_it_opens() {
    let server = Server::start().await;
    let (operator, buyer) = (server.operator().await, server.buyer("buyer").await);
    let mut draft = draft();
    draft["opens_at"] = json!(server.clock.now().plus(frontrow_domain::time::Span::from_secs(600)));
    let room = id(&operator.post("/operator/rooms", &draft).await.expect(201), "room_id");
    let token = join(&buyer, room).await["token"].as_str().unwrap().to_owned();
    assert_eq!(buyer.position(&token).await["estimated_wait"]["reason"], "sale_not_open");
    server.advance(600);
    buyer.wait_for(&token, "offered").await;
    server.close().await;
}

#[tokio::test]
async fn the_public_keys_of_passes_are_published_and_may_be_kept_for_a_minute() {
    let server = Server::start().await;
    let asked = server.anonymous().call_at(reqwest::Method::GET, "/.well-known/jwks.json").send().await;
    let keys = asked.expect(200);
    assert_eq!(asked.header("cache-control"), Some("public, max-age=60"));
    assert_eq!(asked.header("content-type"), Some("application/jwk-set+json"));
    let key = &keys["keys"][0];
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
        (&json!("EC"), &json!("P-256"), &json!("ES256"), &json!("sig"))
    );
    assert!(key.get("d").is_none(), "no private key");
    let again = server.anonymous().call_at(reqwest::Method::GET, "/.well-known/jwks.json");
    let again = again.header("if-none-match", asked.header("etag").unwrap()).send().await;
    assert_eq!(again.status, 304);
    server.close().await;
}
