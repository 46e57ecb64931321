//! Requests that are broken, and what every answer has.

use super::Server;
use serde_json::{Value, json};

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let server = Server::start();
    server.get("/nothing").await.assert_problem(404, "not_found");
    let answer = server.post("/seats", "{}").await;
    answer.assert_problem(405, "method_not_allowed");
    assert!(answer.header("allow").unwrap().contains("GET"), "{answer:?}");
    let answer = server.get("/unauthorized").await;
    answer.assert_problem(401, "unauthorized");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
}

#[tokio::test]
async fn a_panic_ends_one_request_and_shows_nothing() {
    let server = Server::start();
    let mut client = server.connect().await;
    client.send("GET /panic HTTP/1.1\r\nhost: x\r\nx-request-id: my-request\r\n\r\n").await;
    let answer = client.answer().await;
    let body = answer.assert_problem(500, "internal");
    assert_eq!(body["request_id"], "my-request");
    assert!(!answer.body.contains("12345"), "{body}");
    client.send("GET /seats HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test]
async fn every_answer_carries_a_request_id_and_a_good_one_is_kept() {
    let server = Server::start();
    let first = server.get("/seats").await;
    let second = server.get("/nothing").await;
    let (first_id, second_id) = (first.header("x-request-id").unwrap(), second.header("x-request-id").unwrap());
    assert_ne!(first_id, second_id);
    assert_eq!(second.json()["request_id"], second_id);
    for (sent, kept) in [("abc-1", true), ("a b", false), (&*"x".repeat(65), false)] {
        let answer = server.ask(format!("GET /seats HTTP/1.1\r\nhost: x\r\nx-request-id: {sent}\r\n\r\n")).await;
        assert_eq!(answer.header("x-request-id") == Some(sent), kept, "{sent}");
    }
}

#[tokio::test]
async fn a_held_seat_says_when_to_come_back() {
    let server = Server::start();
    let answer = server.get("/held").await;
    let body = answer.assert_problem(409, "seat_held");
    assert_eq!(body["seat_id"], 7);
    assert_eq!(body["held_until"], "2023-11-14T22:14:01.001000Z");
    assert_eq!(answer.header("retry-after"), Some("42"));
}

#[tokio::test]
async fn mistakes_in_a_body_are_named() {
    let server = Server::start();
    for (body, status, code, field) in [
        (r#"{"seat_id": 1, "amount": 5}"#, 200, "", None),
        ("", 400, "malformed_json", None),
        ("{", 400, "malformed_json", None),
        (r#"{"seat_id": 1, "amount": 5} x"#, 400, "malformed_json", None),
        ("not json", 400, "malformed_json", None),
        (r#"{"seat_id": 1,}"#, 400, "malformed_json", None),
        ("[]", 422, "invalid_field", None),
        (r#"{"amount": 5}"#, 422, "invalid_field", Some("seat_id")),
        (r#"{"seat_id": "1", "amount": 5}"#, 422, "invalid_field", Some("seat_id")),
        (r#"{"seat_id": 0, "amount": 5}"#, 422, "invalid_field", Some("seat_id")),
        (r#"{"seat_id": 1, "amount": 5.5}"#, 422, "invalid_field", Some("amount")),
        (r#"{"seat_id": 1, "amount": 5, "price": 1}"#, 422, "invalid_field", Some("price")),
        (r#"{"seat_id": 1, "seat_id": 2, "amount": 5}"#, 422, "invalid_field", Some("seat_id")),
        (r#"{"seat_id": 1, "amount": 5, "buyer": {"name": 5}}"#, 422, "invalid_field", Some("buyer.name")),
        (r#"{"seat_id": 1, "amount": 5, "buyer": {}}"#, 422, "invalid_field", Some("buyer.name")),
        (r#"{"seat_id": 1, "amount": 5, "buyer": {"name": "a", "x": 1}}"#, 422, "invalid_field", Some("buyer.x")),
    ] {
        let answer = server.post("/orders", body).await;
        if status == 200 {
            assert_eq!(answer.status, 200, "{answer:?}");
            continue;
        }
        let problem = answer.assert_problem(status, code);
        assert_eq!(problem.get("field").and_then(Value::as_str), field, "{body}: {problem}");
    }
    let long = format!(r#"{{"seat_id": "{}", "amount": 5}}"#, "a".repeat(5_000));
    let problem = server.post("/orders", &long).await.assert_problem(422, "invalid_field");
    assert!(problem["detail"].as_str().unwrap().chars().count() <= 201, "{problem}");
}

#[tokio::test]
async fn a_body_must_be_json_by_its_type_unless_there_is_none() {
    let server = Server::start();
    let body = r#"{"seat_id": 1, "amount": 5}"#;
    for (path, media_type, body, status) in [
        ("/orders", "application/json", body, 200),
        ("/orders", "Application/JSON; charset=utf-8", body, 200),
        ("/orders", "text/plain", body, 415),
        ("/orders", "application/jsonp", body, 415),
        ("/orders", "application/json; charset=utf-16", body, 415),
        ("/maybe", "application/json", " null ", 200),
        ("/maybe", "application/json", body, 200),
        ("/maybe", "text/plain", body, 415),
        ("/maybe", "text/plain", "", 200),
        ("/maybe", "application/json", "{", 400),
    ] {
        let len = body.len();
        let answer = server
            .ask(format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {media_type}\r\ncontent-length: {len}\r\n\r\n{body}"
            ))
            .await;
        assert_eq!(answer.status, status, "{path} {media_type} {body}: {answer:?}");
    }
    server
        .ask("POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        .await
        .assert_problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn mistakes_in_paths_queries_and_keys_are_named() {
    let server = Server::start();
    for (target, field) in [
        ("/seats/0", "seat_id"),
        ("/seats/x", "seat_id"),
        ("/seats/-1", "seat_id"),
        ("/seats/9007199254740992", "seat_id"),
        ("/rooms/x", "room_id"),
        ("/seats?limit=0", "limit"),
        ("/seats?limit=101", "limit"),
        ("/seats?limit=x", "limit"),
        ("/seats?cursor=x", "cursor"),
        ("/seats?order=up", "order"),
        ("/seats?limit=1&limit=2", "limit"),
    ] {
        let problem = server.get(target).await.assert_problem(400, "invalid_field");
        assert_eq!(problem["field"], field, "{target}: {problem}");
    }
    assert_eq!(server.get("/seats/42").await.body, "42");
    assert_eq!(server.get("/rooms/0").await.body, "0");
    // Fields that do not concern the list are ignored: empty ones, and those that bypass caches.
    for target in ["/seats?_=1700000000000", "/seats?cursor=&limit=", "/seats?cursor&_ts=x&utm_source=mail"] {
        assert_eq!(server.get(target).await.json(), json!({ "limit": 50, "next_cursor": null }), "{target}");
    }
    server.get("/seats?_=1&limit=0").await.assert_problem(400, "invalid_field");
    let page = server.get("/seats?limit=7&_=2&cursor=NDI").await.json();
    assert_eq!(page, json!({ "limit": 7, "next_cursor": "NDI" }));

    for (keys, status) in [
        ("", 200),
        ("idempotency-key: 0123456789abcdef\r\n", 200),
        ("idempotency-key: \"0123456789abcdef\"\r\n", 200),
        ("idempotency-key: short\r\n", 400),
        ("idempotency-key: 0123456789abcdef\r\nidempotency-key: 0123456789abcdef\r\n", 400),
    ] {
        let answer = server.ask(format!("POST /key HTTP/1.1\r\nhost: x\r\n{keys}content-length: 0\r\n\r\n")).await;
        assert_eq!(answer.status, status, "{keys}");
        if status == 400 {
            assert_eq!(answer.assert_problem(400, "invalid_field")["field"], "Idempotency-Key");
        }
    }
}

#[tokio::test]
async fn handlers_see_who_is_connected_and_metrics_see_the_route() {
    let server = Server::start();
    assert!(server.get("/peer").await.body.starts_with("127.0.0.1:"));
    server.get("/seats/1").await;
    server.get("/seats/2").await;
    server.get("/nothing").await;
    let text = server.metrics.render();
    for line in [
        r#"frontrow_http_requests_total{method="GET",route="/seats/{seat_id}",status="200"} 2"#,
        r#"frontrow_http_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        r#"frontrow_problems_total{code="not_found"} 1"#,
        "frontrow_http_requests_in_flight 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn the_docs_load_nothing_from_elsewhere() {
    let server = Server::start();
    for (path, media_type) in
        [("/docs", "text/html"), ("/docs/docs.js", "text/javascript"), ("/docs/docs.css", "text/css")]
    {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").unwrap().starts_with(media_type), "{path}");
        assert!(answer.header("content-security-policy").unwrap().starts_with("default-src 'none'"), "{path}");
        assert!(!answer.body.contains("http://") && !answer.body.contains("https://"), "{path}");
    }
    assert_eq!(server.get("/problems/seat_held").await.json()["status"], 409);
    server.get("/problems/nothing").await.assert_problem(404, "not_found");
}
