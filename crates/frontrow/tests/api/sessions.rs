//! Sessions over HTTP.

use frontrow_testkit::Server;
use serde_json::json;

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_get_the_same_answer() {
    let server = Server::start().await;
    let anonymous = server.anonymous();
    let form = json!({ "name": "Kim", "email": "kim@example.com", "password": "correct horse" });
    anonymous.post("/users", &form).await.expect(201);
    let mut bodies = Vec::new();
    for (email, password) in [("kim@example.com", "wrong horse"), ("unknown@example.com", "wrong horse")] {
        let answer = anonymous.post("/sessions", &json!({ "email": email, "password": password })).await;
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
    let anonymous = server.anonymous();
    let form = json!({ "name": "Kim", "email": "kim@example.com", "password": "correct horse" });
    anonymous.post("/users", &form).await.expect(201);
    let credentials = json!({ "email": "kim@example.com", "password": "correct horse" });
    let mut clients = Vec::new();
    for _ in 0..2 {
        let session = anonymous.post("/sessions", &credentials).await.expect(201);
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
    let anonymous = server.anonymous();
    let form = json!({ "name": "Kim", "email": "kim@example.com", "password": "correct horse" });
    anonymous.post("/users", &form).await.expect(201);
    let credentials = json!({ "email": "kim@example.com", "password": "correct horse" });
    let session = anonymous.post("/sessions", &credentials).await.expect(201);
    assert_eq!(session["expires_at"], "2027-01-15T09:00:00.000000Z");
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
            server.anonymous().call(reqwest::Method::GET, "/users/me").header("authorization", value).send().await;
        answer.problem(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let answer = server.anonymous().call(reqwest::Method::GET, "/users/me");
    answer.header("authorization", &format!("bearer {}", buyer.secret())).send().await.expect(200);
    server.close().await;
}

#[tokio::test]
async fn a_session_a_place_and_a_hold_outlive_a_restart_and_a_maps_tag_does_not() {
    let server = Server::start().await;
    let hall = server.hall(2).await;
    let buyer = server.buyer_with("buyer", 1_000_000).await;
    let token = buyer.enter(None).await;
    let held = buyer.hold(&token, hall.seats[0]).await.expect(201);
    let map = buyer.get(&format!("{}/seats", hall.path())).await;
    let (config, clock) = (server.config.clone(), server.clock.clone());
    let server = Server::over(server.stop().await, config, clock).await;

    let buyer = buyer.at(server.address);
    assert_eq!(buyer.get("/reservations").await.expect(200)["items"], json!([held]));
    let again = buyer.get(&format!("{}/seats", hall.path())).await;
    assert_eq!(again.expect(200)["seats"], map.expect(200)["seats"]);
    assert_ne!(again.header("etag"), map.header("etag"), "its version counts from the start of the process");
    buyer.pay(&token, held["reservation_id"].as_i64().unwrap()).await.expect(201);
    server.close().await;
}
