//! The budget of the house, the weights of rooms, and lanes.

use frontrow_testkit::{Server, eventually};
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
