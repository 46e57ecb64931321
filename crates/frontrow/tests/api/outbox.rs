//! The feed of the audit log, and what operators see of the outbox.

use frontrow_testkit::{Server, eventually, items};
use serde_json::{Value, json};

/// The numbers and actions of a part of the feed.
fn fed(page: &Value) -> Vec<(i64, String)> {
    let entry =
        |item: &Value| (item["feed_number"].as_i64().unwrap(), item["entry"]["action"].as_str().unwrap().to_owned());
    items(page).iter().map(entry).collect()
}

#[tokio::test]
async fn the_audit_log_can_be_followed_by_its_feed() {
    let server = Server::start().await;
    let operator = server.operator().await;
    for max_active in 1..=3 {
        operator
            .patch("/operator/rooms/0", &json!({ "max_active": max_active, "reason": "The hall asks for it." }))
            .await
            .expect(200);
    }
    let whole = eventually("all entries are in the feed", async || {
        let page = operator.get("/operator/audit/feed").await.expect(200);
        (fed(&page).len() == 5).then_some(page)
    })
    .await;
    let actions = ["operator.add", "operator.sign_in", "room.set", "room.set", "room.set"];
    assert_eq!(fed(&whole), (1..).zip(actions.map(str::to_owned)).collect::<Vec<_>>());
    let log = operator.get("/operator/audit").await.expect(200);
    let newest = items(&log)[0].clone();
    assert_eq!(items(&whole)[4]["entry"], newest);

    let part = operator.get("/operator/audit/feed?after=1&limit=2").await.expect(200);
    assert_eq!(items(&part), &items(&whole)[1..3]);
    let last = operator.get("/operator/audit/feed?after=5").await.expect(200);
    assert_eq!(last, json!({ "items": [] }));
    for wrong in ["after=0", "after=-1", "after=x", "limit=101", "limit=0", "cursor=AAAA"] {
        operator.get(&format!("/operator/audit/feed?{wrong}")).await.expect(400);
    }
    server.close().await;
}

#[tokio::test]
async fn a_dead_letter_is_listed_with_its_error_and_comes_back_by_a_retry() {
    let server = Server::start().await;
    let operator = server.operator().await;
    eventually("the outbox is empty", async || {
        let page = operator.get("/operator/outbox").await.expect(200);
        items(&page).is_empty().then_some(())
    })
    .await;
    let dead = "INSERT INTO outbox (event_id, consumer, payload, created_at, due_at, dead_at, attempts, last_error)
         VALUES (77, 'audit_feed', '{\"kind\":\"audit_recorded\",\"audit_id\":1}', 1, NULL, 2, 10, 'the other side is away')";
    rusqlite::Connection::open(server.database()).unwrap().execute(dead, ()).unwrap();
    let list = operator.get("/operator/outbox?state=dead").await.expect(200);
    let event = &items(&list)[0];
    assert_eq!(event["event_id"], 77);
    assert_eq!((&event["state"], &event["attempts"]), (&json!("dead"), &json!(10)));
    assert_eq!((&event["last_error"], &event["due_at"]), (&json!("the other side is away"), &Value::Null));
    assert_eq!(event["payload"]["kind"], "audit_recorded");
    assert!(items(&operator.get("/operator/outbox?state=pending").await.expect(200)).is_empty());

    let retry = "/operator/outbox/77/retry";
    server.buyer("buyer").await.post(retry, &json!({})).await.problem(403, "forbidden");
    operator.post("/operator/outbox/9999/retry", &json!({})).await.problem(404, "not_found");
    let retried = operator.post(retry, &json!({})).await.expect(200);
    assert_eq!((&retried["state"], &retried["attempts"]), (&json!("pending"), &json!(0)));
    eventually("it is delivered", async || {
        let page = operator.get("/operator/outbox").await.expect(200);
        items(&page).is_empty().then_some(())
    })
    .await;
    operator.post(retry, &json!({})).await.problem(404, "not_found");
    let log = operator.get("/operator/audit?limit=1").await.expect(200);
    assert_eq!(items(&log)[0]["action"], "outbox.retry");
    server.close().await;
}
