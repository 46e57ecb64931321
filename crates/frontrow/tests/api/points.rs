//! Points over HTTP.

use frontrow_testkit::{PRICE, Server, id, items};
use reqwest::Method;
use serde_json::json;

const SERVICE_KEY: &str = "a-service-key-of-more-than-32-characters";

#[tokio::test]
async fn a_balance_starts_at_nothing_and_is_the_sum_of_its_history() {
    let server = Server::start().await;
    let hall = server.hall(2).await;
    let buyer = server.buyer("buyer").await;
    let empty = buyer.get("/points").await.expect(200);
    assert_eq!(
        (&empty["balance"], &empty["last_updated"], &empty["currency"]),
        (&json!(0), &json!(null), &json!("KRW"))
    );
    buyer.top_up(3 * PRICE).await;
    let (_, payment) = buyer.buy(hall.seats[0]).await;
    buyer.buy(hall.seats[1]).await;
    buyer.call(Method::POST, &format!("/payments/{payment}/refund")).send().await.expect(200);
    let mut history = Vec::new();
    let mut path = "/points/history?limit=3".to_owned();
    loop {
        let page = buyer.get(&path).await.expect(200);
        history.extend(items(&page).clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/points/history?limit=3&cursor={cursor}");
    }
    let kinds: Vec<_> = history.iter().map(|entry| entry["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["refund", "use", "use", "top_up"]);
    let versions: Vec<_> = history.iter().map(|entry| id(entry, "version")).collect();
    assert_eq!(versions, [4, 3, 2, 1]);
    assert_eq!(history.iter().map(|entry| id(entry, "amount")).sum::<i64>(), 2 * PRICE);
    assert_eq!(id(&history[0], "balance_after"), 2 * PRICE);
    assert_eq!(buyer.balance().await, 2 * PRICE);
    server.close().await;
}

#[tokio::test]
async fn with_the_open_policy_users_top_up_only_their_own_account() {
    let server = Server::start().await;
    let (buyer, other) = (server.buyer("buyer").await, server.buyer("other").await);
    let entry = buyer.top_up(500).await;
    assert_eq!((&entry["type"], &entry["balance_after"]), (&json!("top_up"), &json!(500)));
    let foreign = json!({ "amount": 1, "user_id": other.user, "reference": "r-1" });
    buyer.post("/points/top-ups", &foreign).await.problem(403, "top_up_not_allowed");
    assert_eq!(other.balance().await, 0);
    // A buyer who could use up a reference could stand in the way of the provider's top-up.
    buyer.post("/points/top-ups", &json!({ "amount": 1, "reference": "pg-1" })).await.problem(422, "malformed");
    assert_eq!(buyer.balance().await, 500);
    server.close().await;
}

#[tokio::test]
async fn with_the_operator_policy_only_operators_and_the_service_key_top_up() {
    let server = Server::with(&[("--top-up-policy", "operator"), ("--service-key", SERVICE_KEY)]).await;
    let (buyer, operator) = (server.buyer("buyer").await, server.operator().await);
    let service = server.with_secret(SERVICE_KEY);
    buyer.post("/points/top-ups", &json!({ "amount": 1 })).await.problem(403, "top_up_not_allowed");
    buyer.post("/points/top-ups", &json!({ "amount": 1, "reference": "r" })).await.problem(403, "top_up_not_allowed");
    let top_up = |reference: &str| json!({ "amount": 100, "user_id": buyer.user, "reference": reference });
    let entry = service.post("/points/top-ups", &top_up("pg-1")).await.expect(201);
    assert_eq!(entry["reference"], "pg-1");
    operator.post("/points/top-ups", &top_up("pg-2")).await.expect(201);
    assert_eq!(buyer.balance().await, 200);

    let mut anonymous = top_up("pg-3");
    anonymous["reference"].take();
    service.post("/points/top-ups", &anonymous).await.problem(422, "malformed");
    let nobodys = json!({ "amount": 1, "reference": "pg-4" });
    service.post("/points/top-ups", &nobodys).await.problem_at(422, "invalid_field", "user_id");
    let unknown = json!({ "amount": 1, "reference": "pg-5", "user_id": uuid::Uuid::nil() });
    service.post("/points/top-ups", &unknown).await.problem(404, "not_found");
    // The key opens this one door.
    service.get("/points").await.problem(403, "forbidden");
    service.post("/queue/tokens", &json!({})).await.problem(403, "forbidden");
    service.get("/operator/users").await.problem(403, "forbidden");
    let wrong = server.with_secret("a-service-key-of-more-than-32-characterz");
    wrong.post("/points/top-ups", &top_up("pg-6")).await.problem(401, "unauthorized");
    let log = operator.get("/operator/audit").await.expect(200);
    let actions: Vec<_> = items(&log).iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect();
    assert_eq!(actions.iter().filter(|action| *action == "points.top_up").count(), 2, "{actions:?}");
    server.close().await;
}

#[tokio::test]
async fn a_reference_tops_up_once_for_ever() {
    let server = Server::with(&[("--service-key", SERVICE_KEY)]).await;
    let (buyer, other) = (server.buyer("buyer").await, server.buyer("other").await);
    let service = server.with_secret(SERVICE_KEY);
    let top_up = |user: &frontrow_testkit::Client| json!({ "amount": 100, "user_id": user.user, "reference": "pg-1" });
    let calls: Vec<_> = (0..10)
        .map(|_| tokio::spawn(service.call(Method::POST, "/points/top-ups").json(&top_up(&buyer)).send()))
        .collect();
    let mut topped_up = 0;
    for call in calls {
        let answer = call.await.unwrap();
        if answer.status == 201 {
            topped_up += 1;
        } else {
            answer.problem(409, "reference_used");
        }
    }
    assert_eq!(topped_up, 1);
    service.post("/points/top-ups", &top_up(&other)).await.problem(409, "reference_used");
    assert_eq!((buyer.balance().await, other.balance().await), (100, 0));
    server.close().await;
}

#[tokio::test]
async fn amounts_and_balances_have_bounds() {
    let server = Server::with(&[("--top-up-min", "10"), ("--top-up-max", "1000"), ("--balance-max", "1500")]).await;
    let buyer = server.buyer("buyer").await;
    for amount in [-1_000_i64, 0, 9, 1_001, 1_000_000_000_000] {
        let refused = buyer.post("/points/top-ups", &json!({ "amount": amount })).await;
        let body = refused.problem(422, "amount_out_of_bounds");
        assert_eq!((&body["min"], &body["max"]), (&json!(10), &json!(1_000)));
    }
    for amount in [json!(1.5), json!("100"), json!(1_000_000_000_001_i64), json!(null), json!(1e300)] {
        let refused = buyer.post("/points/top-ups", &json!({ "amount": amount })).await;
        refused.problem_at(422, "invalid_field", "amount");
    }
    for reference in ["", "with space", &"x".repeat(101)] {
        let refused = buyer.post("/points/top-ups", &json!({ "amount": 10, "reference": reference })).await;
        refused.problem_at(422, "invalid_field", "reference");
    }
    buyer.top_up(1_000).await;
    buyer.post("/points/top-ups", &json!({ "amount": 501 })).await.problem(409, "balance_too_large");
    buyer.top_up(500).await;
    assert_eq!(buyer.balance().await, 1_500);
    server.close().await;
}

#[tokio::test]
async fn a_top_up_is_made_once_per_key() {
    let server = Server::start().await;
    let (buyer, other) = (server.buyer("buyer").await, server.buyer("other").await);
    let call = |client: &frontrow_testkit::Client, amount: i64| {
        client.call(Method::POST, "/points/top-ups").key("top-up-0123456789").json(&json!({ "amount": amount }))
    };
    let calls: Vec<_> = (0..10).map(|_| tokio::spawn(call(&buyer, 700).send())).collect();
    let mut fresh = 0;
    for answer in calls {
        let answer = answer.await.unwrap();
        answer.expect(201);
        fresh += usize::from(!answer.is_replay());
    }
    assert_eq!(fresh, 1);
    assert_eq!(buyer.balance().await, 700);
    call(&buyer, 701).send().await.problem(422, "idempotency_key_reused");
    // A key belongs to its user: another's is another key.
    assert!(!call(&other, 701).send().await.is_replay());
    assert_eq!(other.balance().await, 701);
    server.close().await;
}
