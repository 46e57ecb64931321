//! Sessions over HTTP.

use frontrow_testkit::{START, Server, items};
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
async fn a_user_sees_the_own_sessions_and_ends_one() {
    let server = Server::start().await;
    let anonymous = server.anonymous();
    let mut users = Vec::new();
    for (email, agent) in [
        ("kim@example.com", "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36"),
        ("kim@example.com", "<b>nothing known</b>"),
        ("lee@example.com", "curl/8.14.1"),
    ] {
        let form = json!({ "name": "Kim", "email": email, "password": "correct horse" });
        anonymous.post("/users", &form).await;
        let credentials = json!({ "email": email, "password": "correct horse" });
        let call = anonymous.call(reqwest::Method::POST, "/sessions").header("user-agent", agent).json(&credentials);
        let session = call.send().await.expect(201);
        users.push(server.with_secret(session["session_token"].as_str().unwrap()));
        server.advance(60);
    }
    let [phone, other, lee] = &users[..] else { panic!() };
    let list = phone.get("/sessions").await.expect(200);
    assert_eq!(list["next_cursor"], json!(null));
    let shown: Vec<_> = items(&list)
        .iter()
        .map(|row| (row["client"].clone(), row["created_at"].clone(), row["is_current"] == true))
        .collect();
    let at = |minute: i64| json!(START.plus(frontrow_domain::time::Span::from_secs(60 * minute)));
    assert_eq!(shown, [(json!(null), at(1), false), (json!("Chrome · Android"), at(0), true)]);
    assert!(!list.to_string().contains(phone.secret()), "no secret is shown again");
    let path = |row: usize| format!("/sessions/{}", items(&list)[row]["session_id"].as_str().unwrap());
    lee.delete(&path(0)).await.problem(404, "not_found");
    phone.delete("/sessions/01a224ba-0608-73a0-8efc-5d8f19f76856").await.problem(404, "not_found");
    phone.delete("/sessions/x").await.problem_at(400, "invalid_field", "session_id");
    other.get("/users/me").await.expect(200);
    phone.delete(&path(0)).await.expect(204);
    phone.delete(&path(0)).await.problem(404, "not_found");
    other.get("/users/me").await.problem(401, "unauthorized");
    assert_eq!(items(&phone.get("/sessions").await.expect(200)).len(), 1);
    phone.delete(&path(1)).await.expect(204);
    phone.get("/users/me").await.problem(401, "unauthorized");
    lee.get("/users/me").await.expect(200);
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
