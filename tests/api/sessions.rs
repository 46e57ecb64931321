//! Sessions over HTTP.

use crate::support::Server;
use serde_json::json;

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_get_the_same_answer() {
    let server = Server::start().await;
    let nobody = server.nobody();
    let form = json!({ "name": "Kim", "email": "kim@example.com", "password": "correct horse" });
    nobody.post("/users", &form).await.expect(201);
    let mut bodies = Vec::new();
    for (email, password) in [("kim@example.com", "wrong horse"), ("nobody@example.com", "wrong horse")] {
        let answer = nobody.post("/sessions", &json!({ "email": email, "password": password })).await;
        let mut body = answer.problem(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        body["request_id"].take();
        bodies.push(body);
    }
    assert_eq!(bodies[0], bodies[1]);
    server.close().await;
}

#[tokio::test]
async fn a_session_ends_when_its_user_signs_out_and_others_go_on() {
    let server = Server::start().await;
    let nobody = server.nobody();
    let form = json!({ "name": "Kim", "email": "kim@example.com", "password": "correct horse" });
    nobody.post("/users", &form).await.expect(201);
    let credentials = json!({ "email": "kim@example.com", "password": "correct horse" });
    let mut clients = Vec::new();
    for _ in 0..2 {
        let session = nobody.post("/sessions", &credentials).await.expect(201);
        clients.push(server.with_secret(session["session_token"].as_str().unwrap()));
    }
    clients[0].get("/users/me").await.expect(200);
    clients[0].delete("/sessions/current").await.expect(204);
    clients[0].get("/users/me").await.problem(401, "unauthorized");
    clients[0].delete("/sessions/current").await.problem(401, "unauthorized");
    clients[1].get("/users/me").await.expect(200);
    server.close().await;
}

#[tokio::test]
async fn a_session_ends_when_its_hours_are_over() {
    let server = Server::with(&[("--session-hours", "1")]).await;
    let nobody = server.nobody();
    let form = json!({ "name": "Kim", "email": "kim@example.com", "password": "correct horse" });
    nobody.post("/users", &form).await.expect(201);
    let credentials = json!({ "email": "kim@example.com", "password": "correct horse" });
    let session = nobody.post("/sessions", &credentials).await.expect(201);
    assert_eq!(session["expires_at"], "2027-01-15T09:00:00Z");
    let client = server.with_secret(session["session_token"].as_str().unwrap());
    server.advance(3_599);
    client.get("/users/me").await.expect(200);
    server.advance(1);
    client.get("/users/me").await.problem(401, "unauthorized");
    server.close().await;
}

#[tokio::test]
async fn what_is_no_session_is_401_however_it_is_written() {
    let server = Server::start().await;
    let buyer = server.buyer("buyer").await;
    let long = format!("Bearer {}", "x".repeat(8_000));
    let basic = format!("Basic {}", buyer.secret());
    let half = format!("Bearer {}", &buyer.secret()[..20]);
    for value in ["", "Bearer", "Bearer ", "Bearer x", &long, &basic, &half, buyer.secret()] {
        let answer =
            server.nobody().call(reqwest::Method::GET, "/users/me").header("authorization", value).send().await;
        answer.problem(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let answer = server.nobody().call(reqwest::Method::GET, "/users/me");
    answer.header("authorization", &format!("bearer {}", buyer.secret())).send().await.expect(200);
    server.close().await;
}
