//! Rights: every route without a session, with the wrong one, and for what is another user's.

use frontrow_testkit::{Client, PRICE, Server, id, items, wait_until};
use reqwest::Method;
use serde_json::{Value, json};

/// Every route of the API as the `OpenAPI` document lists it, so that a new one is not forgotten here.
async fn routes(server: &Server) -> Vec<(Method, String, Value)> {
    let document = server.anonymous().call_at(Method::GET, "/openapi.json").send().await.expect(200);
    let mut routes = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            routes.push((method, path.strip_prefix("/api/v1").unwrap().to_owned(), operation.clone()));
        }
    }
    assert!(routes.len() >= 38, "{}", routes.len());
    routes
}

/// The path with something well-formed in the place of each parameter.
fn filled(path: &str) -> String {
    let path = path.replace("{token}", "AQEAAAAAAAAABwAAAAAAAAADAAAAAAAAACo");
    let path = path.replace("{user_id}", "01a224ba-0608-73a0-8efc-5d8f19f76856");
    ["{concert_id}", "{reservation_id}", "{payment_id}", "{room_id}", "{event_id}"]
        .iter()
        .fold(path, |path, id| path.replace(id, "77"))
}

fn is_public(operation: &Value) -> bool {
    operation["security"] == json!([])
}

#[tokio::test]
async fn without_a_session_every_route_but_the_public_ones_is_401() {
    let server = Server::start().await;
    let wrong = server.with_secret("this-is-the-secret-of-no-session");
    let mut public = Vec::new();
    for (method, path, operation) in routes(&server).await {
        if is_public(&operation) {
            public.push(format!("{method} {path}"));
            continue;
        }
        for client in [&server.anonymous(), &wrong] {
            // Even a body that is no JSON is not looked at before its sender.
            let answer = client.call(method.clone(), &filled(&path)).text("{").send().await;
            assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text());
            answer.problem(401, "unauthorized");
        }
    }
    public.sort_unstable();
    let expected = [
        "GET /concerts",
        "GET /concerts/{concert_id}",
        "GET /concerts/{concert_id}/seats",
        "GET /concerts/{concert_id}/seats/alternatives",
        "GET /concerts/{concert_id}/seats/events",
        "GET /queue/tokens/{token}/events",
        "GET /queue/tokens/{token}/position",
        "GET /rooms/{room_id}/draw",
        "GET /rooms/{room_id}/draw/record",
        "GET /rooms/{room_id}/line-report",
        "POST /email-confirmations",
        "POST /password-reset-requests",
        "POST /password-resets",
        "POST /queue/passes/done",
        "POST /sessions",
        "POST /users",
    ];
    assert_eq!(public, expected);
    server.close().await;
}

#[tokio::test]
async fn a_buyer_on_an_operators_route_is_403_and_learns_nothing() {
    let server = Server::start().await;
    let hall = server.hall(2).await;
    let (seller, buyer) = (server.buyer_with("seller", PRICE).await, server.buyer("buyer").await);
    let (reservation, payment) = seller.buy(hall.seats[0]).await;
    let mut asked = 0;
    for (method, path, _) in routes(&server).await {
        if !path.starts_with("/operator/") {
            continue;
        }
        asked += 1;
        let existing = path
            .replace("{concert_id}", &hall.id().to_string())
            .replace("{reservation_id}", &reservation.to_string())
            .replace("{payment_id}", &payment.to_string())
            .replace("{event_id}", "1")
            .replace("{room_id}", "0");
        for path in [existing, filled(&path)] {
            let answer = buyer.call(method.clone(), &path).text("{}").send().await;
            assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text());
            answer.problem(403, "forbidden");
        }
    }
    assert!(asked >= 14, "{asked}");
    let operator = server.operator().await;
    let log = operator.get("/operator/audit").await.expect(200);
    let actions: Vec<_> = frontrow_testkit::items(&log).iter().map(|row| row["action"].clone()).collect();
    assert_eq!(
        actions,
        ["operator.sign_in", "operator.add", "seats.add", "concert.create"],
        "no refused try did anything"
    );
    server.close().await;
}

#[tokio::test]
async fn a_viewer_reads_every_operators_route_and_changes_nothing() {
    let server = Server::start().await;
    let hall = server.hall(2).await;
    let seller = server.buyer_with("seller", PRICE).await;
    let (reservation, payment) = seller.buy(hall.seats[0]).await;
    let (viewer, operator) = (server.viewer().await, server.operator().await);
    let (mut reads, mut changes) = (Vec::new(), Vec::new());
    for (method, path, _) in routes(&server).await {
        if path.starts_with("/operator/") {
            let existing = path
                .replace("{concert_id}", &hall.id().to_string())
                .replace("{reservation_id}", &reservation.to_string())
                .replace("{payment_id}", &payment.to_string())
                .replace("{user_id}", &seller.user.to_string())
                .replace("{room_id}", "0");
            if method == Method::GET { reads.push(existing) } else { changes.push((method, existing)) }
        }
    }
    assert!(reads.len() >= 13 && changes.len() >= 20, "{} and {}", reads.len(), changes.len());
    let is_fed = async || items(&operator.get("/operator/outbox").await.expect(200)).is_empty();
    wait_until("the feed has every entry", is_fed).await;
    let mut before = Vec::new();
    for path in &reads {
        let answer = viewer.call(Method::GET, path).send().await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        before.push(operator.call(Method::GET, path).send().await.body);
        assert_eq!(answer.body, before[before.len() - 1], "{path}: a viewer reads what an operator reads");
    }
    for (method, path) in changes {
        for path in [path.as_str(), &filled(&path)] {
            let answer = viewer.call(method.clone(), path).text("{}").send().await;
            assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text());
            answer.problem(403, "forbidden");
        }
    }
    for (path, before) in reads.iter().zip(before) {
        assert_eq!(operator.call(Method::GET, path).send().await.body, before, "{path} has changed");
    }
    assert_eq!(viewer.get("/users/me").await.expect(200)["role"], "viewer");
    assert!(viewer.join(None).await["token"].is_string(), "of its own a viewer may do what a buyer may");
    server.close().await;
}

/// Asks for what exists but is another user's, and for what does not exist: the answers must not differ.
async fn assert_indistinguishable(client: &Client, method: &Method, foreign: &str, missing: &str) {
    let mut bodies = Vec::new();
    for path in [foreign, missing] {
        let answer = client.call(method.clone(), path).send().await;
        let mut body = answer.problem(404, "not_found");
        assert!(body["request_id"].take().is_string());
        let mut headers: Vec<_> = answer.headers.keys().map(|name| name.as_str().to_owned()).collect();
        headers.sort_unstable();
        bodies.push((body, headers));
    }
    assert_eq!(bodies[0], bodies[1], "{method} {foreign}");
}

#[tokio::test]
async fn what_is_another_users_looks_like_what_does_not_exist() {
    let server = Server::start().await;
    let hall = server.hall(4).await;
    let (owner, thief) = (server.buyer_with("owner", 2 * PRICE).await, server.buyer_with("thief", PRICE).await);
    let (_, payment) = owner.buy(hall.seats[0]).await;
    let token = owner.enter(None).await;
    let held = owner.hold(&token, hall.seats[1]).await.expect(201);
    let reservation = id(&held, "reservation_id");
    let missing_token = "A".repeat(88);
    let (foreign, missing) = (format!("/reservations/{reservation}"), "/reservations/999".to_owned());
    for method in [Method::GET, Method::DELETE] {
        assert_indistinguishable(&thief, &method, &foreign, &missing).await;
    }
    let (foreign, missing) = (format!("/payments/{payment}"), "/payments/999".to_owned());
    assert_indistinguishable(&thief, &Method::GET, &foreign, &missing).await;
    let (foreign, missing) = (format!("{foreign}/refund"), format!("{missing}/refund"));
    assert_indistinguishable(&thief, &Method::POST, &foreign, &missing).await;
    let (foreign, missing) = (format!("/queue/tokens/{token}"), format!("/queue/tokens/{missing_token}"));
    for method in [Method::GET, Method::DELETE] {
        assert_indistinguishable(&thief, &method, &foreign, &missing).await;
    }
    let (foreign, missing) = (format!("{foreign}/activate"), format!("{missing}/activate"));
    assert_indistinguishable(&thief, &Method::PATCH, &foreign, &missing).await;

    // With an active token of their own, the thief can neither hold with the owner's token nor pay for its hold.
    let own = thief.enter(None).await;
    let mut answers = Vec::new();
    for number in [reservation, 999] {
        let mut body = thief.pay(&own, number).await.problem(404, "not_found");
        body["request_id"].take();
        answers.push(body);
    }
    assert_eq!(answers[0], answers[1]);
    let mut answers = Vec::new();
    for stolen in [&token, &missing_token] {
        let mut body = thief.hold(stolen, hall.seats[2]).await.problem(403, "token_invalid");
        body["request_id"].take();
        answers.push(body);
    }
    assert_eq!(answers[0], answers[1]);

    assert_eq!(owner.get(&format!("/reservations/{reservation}")).await.expect(200), held);
    assert_eq!(owner.get(&format!("/payments/{payment}")).await.expect(200)["status"], "completed");
    assert_eq!(owner.position(&token).await["status"], "active");
    assert_eq!((owner.balance().await, thief.balance().await), (PRICE, PRICE));
    server.close().await;
}

#[tokio::test]
async fn lists_show_only_what_is_the_callers() {
    let server = Server::start().await;
    let hall = server.hall(2).await;
    let (owner, other) = (server.buyer_with("owner", PRICE).await, server.buyer("other").await);
    owner.buy(hall.seats[0]).await;
    owner.join(None).await;
    for path in ["/reservations", "/payments", "/points/history", "/queue/tokens"] {
        assert!(!frontrow_testkit::items(&owner.get(path).await.expect(200)).is_empty(), "{path}");
        assert_eq!(other.get(path).await.expect(200)["items"], json!([]), "{path}");
    }
    server.close().await;
}
