//! The budget of the house, the weights of rooms, and lanes.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use frontrow_testkit::{Hall, PRICE, Server, eventually, id};
use serde_json::{Value, json};

const REASON: &str = "The payment provider takes no more.";

#[tokio::test]
async fn operators_set_the_budget_of_the_house_and_absurd_ones_are_refused_with_a_reason() {
    let server = Server::start().await;
    let (operator, buyer) = (server.operator().await, server.buyer("buyer").await);
    let hall = server.hall_like(1, |draft| draft.own_room_max_active = Some(9)).await;
    let own = format!("/operator/rooms/{}", hall.id());
    buyer.patch("/operator/rooms/0", &json!({ "house_budget": 5, "reason": REASON })).await.problem(403, "forbidden");
    for absurd in [0, -3, 1_000_001] {
        let refused = operator.patch("/operator/rooms/0", &json!({ "house_budget": absurd, "reason": REASON })).await;
        let problem = refused.problem(422, "malformed");
        assert!(problem["detail"].as_str().unwrap().contains("house_budget is from 1 to 1000000"), "{problem}");
    }
    operator.patch(&own, &json!({ "house_budget": 5, "reason": REASON })).await.problem(422, "malformed");
    operator.patch("/operator/rooms/0", &json!({ "house_budget": 5 })).await.problem(422, "reason_needed");
    let house = operator.patch("/operator/rooms/0", &json!({ "house_budget": 5, "reason": REASON })).await.expect(200);
    assert_eq!((&house["house_budget"], &house["weight"]), (&json!(5), &json!(1)));
    for absurd in [0, 101] {
        operator.patch(&own, &json!({ "weight": absurd })).await.problem_at(422, "invalid_field", "weight");
    }
    assert_eq!(operator.patch(&own, &json!({ "weight": 3 })).await.expect(200)["weight"], json!(3));
    let log = operator.get("/operator/audit?limit=2").await.expect(200);
    let set = log["items"].as_array().unwrap().iter().find(|entry| entry["object"] == "room 0").unwrap();
    assert_eq!(set["detail"]["house_budget"], json!({ "from": null, "to": 5 }));
    assert_eq!(set["detail"]["reason"], json!(REASON));
    server.close().await;
}

#[tokio::test]
async fn a_room_whose_share_is_used_leaves_the_next_free_place_to_another_and_its_etag_stays() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let hot = server.hall_like(2, |draft| draft.own_room_max_active = Some(9)).await;
    let small = server.hall_like(1, |draft| draft.own_room_max_active = Some(9)).await;
    operator.patch("/operator/rooms/0", &json!({ "house_budget": 2, "reason": REASON })).await.expect(200);
    let (first, second) = (server.buyer("first").await, server.buyer("second").await);
    let inside = first.enter(Some(hot.id())).await;
    second.enter(Some(hot.id())).await;
    let path = format!("/operator/rooms/{}", hot.id());
    let tag = operator.get(&path).await.header("etag").unwrap().to_owned();
    let late = server.buyer("late").await;
    let token = late.join(Some(small.id())).await["token"].as_str().unwrap().to_owned();
    eventually("the hot room has half", async || {
        (operator.get(&path).await.expect(200)["allotment"] == json!(1)).then_some(())
    })
    .await;
    assert_eq!(late.position(&token).await["status"], "waiting");
    first.delete(&format!("/queue/tokens/{inside}")).await.expect(204);
    late.wait_for(&token, "offered").await;
    assert_eq!(operator.get(&path).await.header("etag"), Some(tag.as_str()), "a share is no setting");
    let rooms = operator.get("/operator/rooms").await.expect(200);
    let sum: i64 =
        rooms["items"].as_array().unwrap().iter().filter_map(|room: &Value| room["allotment"].as_i64()).sum();
    assert_eq!(sum, 2);
    server.close().await;
}

/// A concert with a room of its own, and the number of a lane for invited guests beside its line.
async fn with_lane(server: &Server, max_active: i64) -> (Hall, i64) {
    let hall = server.hall_like(3, |draft| draft.own_room_max_active = Some(max_active)).await;
    let operator = server.operator().await;
    let lane = json!({ "kind": "invitation", "share_percent": 20, "reason": REASON });
    let made = operator.post(&format!("/operator/rooms/{}/lanes", hall.id()), &lane).await.expect(201);
    let expected = json!({ "room_id": hall.id(), "kind": "invitation", "share_percent": 20, "entry": "open" });
    assert_eq!(made["lane"], expected);
    (hall, id(&made, "room_id"))
}

#[tokio::test]
async fn a_guest_joins_the_lane_and_buys_and_all_are_shown_the_lane() {
    let server = Server::start().await;
    let (hall, lane) = with_lane(&server, 1).await;
    let operator = server.operator_named("desk").await;
    let (guest, buyer) = (server.buyer_with("guest", PRICE).await, server.buyer("buyer").await);
    let guests = format!("/operator/rooms/{lane}/guests");
    operator.post(&guests, &json!({ "user_id": guest.user })).await.expect(204);
    operator.post(&guests, &json!({ "user_id": guest.user })).await.expect(204);
    let listed = operator.get(&guests).await.expect(200);
    assert_eq!((&listed["items"][0]["user_id"], &listed["items"][1]), (&json!(guest.user), &Value::Null));
    let email = listed["items"][0]["email"].as_str().unwrap().to_owned();
    assert_eq!(listed["items"][0]["name"], json!("guest"));

    let shown = json!([{
        "kind": "invitation", "share_percent": 20, "entry": "open", "unused_places": "go_to_the_other_lines",
    }]);
    assert_eq!(server.anonymous().get(&hall.path()).await.expect(200)["lanes"], shown, "everybody is shown it");
    let place = guest.join(Some(hall.id())).await;
    assert_eq!((&place["lane"], &place["room_id"]), (&json!("invitation"), &json!(hall.id())));
    assert_eq!((&place["concert_id"], &place["queue"]["lanes"]), (&json!(hall.id()), &shown));
    let token = place["token"].as_str().unwrap();
    let other = buyer.join(Some(hall.id())).await;
    assert_eq!((&other["lane"], &other["queue"]["lanes"]), (&Value::Null, &shown), "in the general line, too");
    assert_eq!((&place["position"], &other["position"]), (&json!(1), &json!(1)), "each line counts by itself");
    // One place for one visitor: whichever comes first has it.
    let general = other["token"].as_str().unwrap();
    let offered = eventually("one of them has the turn", async || {
        let at = [guest.position(token).await, buyer.position(general).await];
        let offered = at.map(|at| at["status"] == "offered");
        offered.contains(&true).then_some(offered)
    })
    .await;
    if offered == [false, true] {
        buyer.delete(&format!("/queue/tokens/{general}")).await.expect(204);
        guest.wait_for(token, "offered").await;
    }
    eventually("the guest is in", async || (guest.activate(token).await.json()["status"] == "active").then_some(()))
        .await;
    let receipt = guest.get(&format!("/queue/tokens/{token}/receipt")).await.expect(200);
    assert_eq!((&receipt["lane"], &receipt["room_id"]), (&json!("invitation"), &json!(hall.id())));
    let reservation = id(&guest.hold(token, hall.seats[0]).await.expect(201), "reservation_id");
    guest.pay(token, reservation).await.expect(201);

    operator.post(&format!("{guests}/removals"), &json!({ "email": email })).await.expect(204);
    assert_eq!(operator.get(&guests).await.expect(200)["items"], json!([]));
    assert_eq!(guest.join(Some(hall.id())).await["lane"], Value::Null, "no guest any more");
    server.close().await;
}

#[tokio::test]
async fn lanes_are_opened_changed_and_ended_by_operators_within_bounds() {
    let server = Server::start().await;
    let (hall, lane) = with_lane(&server, 5).await;
    let operator = server.operator_named("desk").await;
    let (guest, buyer) = (server.buyer("guest").await, server.buyer("buyer").await);
    let lanes = format!("/operator/rooms/{}/lanes", hall.id());
    let draft = |kind: &str, share: i64| json!({ "kind": kind, "share_percent": share, "reason": REASON });
    buyer.post(&lanes, &draft("accessibility", 10)).await.problem(403, "forbidden");
    for share in [0, 51] {
        operator.post(&lanes, &draft("accessibility", share)).await.problem_at(422, "invalid_field", "share_percent");
    }
    operator.post(&lanes, &draft("press", 10)).await.problem_at(422, "invalid_field", "kind");
    operator.post(&lanes, &draft("accessibility", 31)).await.problem(422, "malformed");
    operator.post("/operator/rooms/999/lanes", &draft("invitation", 10)).await.problem(404, "not_found");
    let bare = json!({ "kind": "accessibility", "share_percent": 10 });
    operator.post(&lanes, &bare).await.problem(422, "reason_needed");
    let path = format!("/operator/rooms/{lane}");
    let settings = format!("{path}/lane");
    for bare in [json!({ "share_percent": 30 }), json!({ "share_percent": 10 }), json!({ "entry": "ended" })] {
        operator.patch(&settings, &bare).await.problem(422, "reason_needed");
    }
    for absurd in [" ".to_owned(), "a".repeat(501)] {
        let refused = operator.patch(&settings, &json!({ "share_percent": 30, "reason": absurd })).await;
        refused.problem_at(422, "invalid_field", "reason");
    }
    let changed = operator.patch(&settings, &json!({ "share_percent": 30, "reason": REASON })).await.expect(200);
    assert_eq!(changed["lane"]["share_percent"], json!(30));
    let log = operator.get("/operator/audit?limit=1").await.expect(200);
    assert_eq!(
        (&log["items"][0]["action"], &log["items"][0]["detail"]["reason"]),
        (&json!("lane.set"), &json!(REASON))
    );
    operator.patch(&format!("/operator/rooms/{}/lane", hall.id()), &json!({})).await.problem(404, "not_found");
    operator.patch(&path, &json!({ "gate": "paused", "reason": REASON })).await.problem(422, "malformed");
    let guests = format!("{path}/guests");
    operator.post(&guests, &json!({ "email": "nobody@frontrow.example" })).await.problem(404, "not_found");
    operator.post(&guests, &json!({})).await.problem_at(422, "invalid_field", "email");
    operator.post(&guests, &json!({ "user_id": guest.user })).await.expect(204);
    buyer.post("/queue/tokens", &json!({ "room_id": lane })).await.problem(403, "forbidden");
    // A lane that takes no new tokens and has none is not shown, and its guests join the general line.
    let ended = operator.patch(&settings, &json!({ "entry": "ended", "reason": REASON })).await.expect(200);
    assert_eq!(ended["lane"]["entry"], json!("ended"));
    let place = guest.join(Some(hall.id())).await;
    assert_eq!((&place["lane"], &place["queue"]["lanes"]), (&Value::Null, &json!([])));
    let reopened = operator.patch(&settings, &json!({ "entry": "open" })).await.expect(200);
    assert_eq!(reopened["lane"]["entry"], json!("open"), "it takes nothing from anyone who waits: it needs no reason");
    let log = operator.get("/operator/audit?limit=20").await.expect(200);
    let actions: Vec<_> = log["items"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    for action in ["lane.set", "lane.guest.add"] {
        assert!(actions.contains(&json!(action)), "{actions:?}");
    }
    server.close().await;
}

#[tokio::test]
async fn a_pass_of_a_lane_names_the_room_of_the_site_and_ends_the_place_in_the_lane() {
    let server = Server::start().await;
    let (operator, guest) = (server.operator().await, server.buyer("guest").await);
    let draft = json!({ "name": "Shop", "turn_url": "https://shop.example.com/tickets", "max_active": 1 });
    let site = id(&operator.post("/operator/rooms", &draft).await.expect(201), "room_id");
    let lane = json!({ "kind": "accessibility", "share_percent": 10, "reason": REASON });
    let lane = id(&operator.post(&format!("/operator/rooms/{site}/lanes"), &lane).await.expect(201), "room_id");
    operator.post(&format!("/operator/rooms/{lane}/guests"), &json!({ "user_id": guest.user })).await.expect(204);
    let place = guest.post("/queue/tokens", &json!({ "room_id": site })).await.expect(201);
    assert_eq!((&place["lane"], &place["room_id"]), (&json!("accessibility"), &json!(site)));
    let token = place["token"].as_str().unwrap();
    guest.wait_for(token, "offered").await;
    guest.activate(token).await.expect(200);
    let pass = guest.get(&format!("/queue/tokens/{token}/pass")).await.expect(200);
    assert_eq!(pass["room_id"], json!(site));
    let said = pass["pass"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    let said: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(said).unwrap()).unwrap();
    assert_eq!((&said["aud"], &said["room"]), (&json!(format!("room:{site}")), &json!(site)));
    assert_eq!(said["lane"], json!("accessibility"));
    server.anonymous().post("/queue/passes/done", &json!({ "pass": pass["pass"] })).await.expect(204);
    assert_eq!(guest.position(token).await["end_reason"], "left");
    server.close().await;
}
