//! Broken, wrong and oversized requests: a problem that names the place, and nothing changed.

use frontrow_testkit::{PRICE, Server, id, items};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn a_broken_request_is_a_problem_that_names_its_place_and_changes_nothing() {
    let server = Server::start().await;
    let hall = server.hall(2).await;
    let buyer = server.buyer_with("buyer", PRICE).await;
    let token = buyer.enter(None).await;
    let seat = hall.seats[0];
    let send = async |path: &str, body: &str| buyer.call(Method::POST, path).token(&token).text(body).send().await;

    for path in ["/reservations", "/payments", "/points/top-ups", "/queue/tokens"] {
        for body in
            ["{", "nonsense", "{\"seat_id\": }", "{} {}", "\u{feff}{}", "{\"a\": \"\\x\"}", "[1,", "\"\\ud800\""]
        {
            let answer = send(path, body).await;
            assert!([400, 422].contains(&answer.status), "{path} {body}: {}", answer.text());
            let code = answer.json()["code"].as_str().unwrap().to_owned();
            answer.problem(answer.status, &code);
            assert!(["malformed_json", "invalid_field"].contains(&&*code), "{path} {body}: {code}");
        }
        for body in ["[]", "[1]", "7", "\"text\"", "true", "null"] {
            // Optional fields may be null.
            if (path, body) != ("/queue/tokens", "null") {
                send(path, body).await.problem(422, "invalid_field");
            }
        }
        let deep = format!("{}{}", "[".repeat(4_000), "]".repeat(4_000));
        assert!([400, 422].contains(&send(path, &deep).await.status), "{path}");
        let plain = buyer.call(Method::POST, path).token(&token).header("content-type", "text/plain");
        plain.json(&json!({})).send().await.problem(415, "unsupported_media_type");
    }
    for (path, body, field) in [
        ("/reservations", json!({ "seat_id": "1" }), "seat_id"),
        ("/reservations", json!({ "seat_id": 1.5 }), "seat_id"),
        ("/reservations", json!({ "seat_id": 0 }), "seat_id"),
        ("/reservations", json!({ "seat_id": -1 }), "seat_id"),
        ("/reservations", json!({ "seat_id": 9_007_199_254_740_992_i64 }), "seat_id"),
        ("/reservations", json!({ "seat_id": 1e300 }), "seat_id"),
        ("/reservations", json!({ "seat_id": true }), "seat_id"),
        ("/reservations", json!({ "seat_id": null }), "seat_id"),
        ("/reservations", json!({ "seat_ids": [seat, "x"] }), "seat_ids[1]"),
        ("/reservations", json!({ "seat_ids": seat }), "seat_ids"),
        ("/reservations", json!({ "seat_id": seat, "price": 1 }), "price"),
        ("/payments", json!({ "reservation_id": "1" }), "reservation_id"),
        ("/payments", json!({ "reservation_id": 0 }), "reservation_id"),
        ("/payments", json!({ "reservation_ids": [1, -2] }), "reservation_ids[1]"),
        ("/payments", json!({}), "reservation_id"),
        ("/payments", json!({ "reservation_id": 1, "amount": 1 }), "amount"),
        ("/points/top-ups", json!({}), "amount"),
        ("/points/top-ups", json!({ "amount": 1, "user_id": 7 }), "user_id"),
        ("/points/top-ups", json!({ "amount": 1, "user_id": "me" }), "user_id"),
        ("/points/top-ups", json!({ "amount": 1, "balance": 7 }), "balance"),
        ("/queue/tokens", json!({ "concert_id": "1" }), "concert_id"),
        ("/queue/tokens", json!({ "concert_id": -7 }), "concert_id"),
        ("/queue/tokens", json!({ "position": 1 }), "position"),
    ] {
        send(path, &body.to_string()).await.problem_at(422, "invalid_field", field);
    }
    let twice = format!("{{\"seat_id\": {seat}, \"seat_id\": {seat}}}");
    send("/reservations", &twice).await.problem_at(422, "invalid_field", "seat_id");
    for (method, path, field) in [
        (Method::GET, "/reservations/0", "reservation_id"),
        (Method::GET, "/reservations/-1", "reservation_id"),
        (Method::GET, "/reservations/one", "reservation_id"),
        (Method::GET, "/reservations/9007199254740992", "reservation_id"),
        (Method::DELETE, "/reservations/99999999999999999999", "reservation_id"),
        (Method::GET, "/payments/01", "payment_id"),
        (Method::POST, "/payments/%00/refund", "payment_id"),
        (Method::GET, "/reservations?limit=-1", "limit"),
        (Method::GET, "/payments?cursor=AAAA", "cursor"),
        (Method::GET, "/points/history?page=2", "page"),
    ] {
        buyer.call(method, path).send().await.problem_at(400, "invalid_field", field);
    }

    assert_eq!(items(&buyer.get("/reservations").await.expect(200)).len(), 0);
    assert_eq!(items(&buyer.get("/points/history").await.expect(200)).len(), 1);
    assert_eq!(buyer.balance().await, PRICE);
    server.close().await;
}

#[tokio::test]
async fn a_body_over_64_kib_is_413_but_for_lists_of_seats() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let buyer = server.buyer("buyer").await;
    let token = buyer.enter(None).await;
    let padding = " ".repeat(64 * 1_024);
    for path in ["/reservations", "/payments", "/points/top-ups", "/queue/tokens"] {
        let answer = buyer.call(Method::POST, path).token(&token).text(format!("{{}}{padding}")).send().await;
        answer.problem(413, "payload_too_large");
    }
    for path in ["/users", "/sessions"] {
        server
            .anonymous()
            .call(Method::POST, path)
            .text(padding.clone() + "{}")
            .send()
            .await
            .problem(413, "payload_too_large");
    }
    let operator = server.operator().await;
    let title = operator.call(Method::PATCH, &format!("/operator{}", hall.path()));
    title.text(format!("{{}}{padding}")).send().await.problem(413, "payload_too_large");
    let seats: Vec<Value> = (2..5_000).map(|number| json!({ "seat_number": number, "section": "Balcony" })).collect();
    let body = json!({ "seats": seats });
    assert!(body.to_string().len() > 128 * 1_024);
    operator.post(&format!("/operator{}/seats", hall.path()), &body).await.expect(201);
    server.close().await;
}

/// Writes bytes on a connection of their own and reads what comes until it is closed.
async fn raw(server: &Server, request: &[u8]) -> String {
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let _ = socket.write_all(request).await;
    let mut answer = Vec::new();
    let reading = socket.read_to_end(&mut answer);
    let _ = tokio::time::timeout(std::time::Duration::from_secs(10), reading).await.expect("the connection is closed");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn floods_of_headers_slow_bodies_and_too_many_connections_leave_the_others_alone() {
    let flags = [("--body-timeout-seconds", "1"), ("--header-timeout-seconds", "1"), ("--max-connections", "4")];
    let server = Server::with(&flags).await;
    let buyer = server.buyer("buyer").await;
    buyer.get("/users/me").await.expect(200);

    let flood = format!("GET /api/v1/concerts HTTP/1.1\r\nhost: x\r\n{}\r\n", "x-a: b\r\n".repeat(20_000));
    let answer = raw(&server, flood.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    let slow =
        "POST /api/v1/sessions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{";
    let answer = raw(&server, slow.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("request_timeout"), "{answer}");
    buyer.get("/users/me").await.expect(200);

    // The buyer's connection is one of four. Three more are let in, and the next is refused.
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(TcpStream::connect(server.address).await.unwrap());
    }
    let mut refused = String::new();
    for _ in 0..50 {
        refused = raw(&server, b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        if refused.starts_with("HTTP/1.1 503") {
            break;
        }
        held.push(TcpStream::connect(server.address).await.unwrap());
    }
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.to_lowercase().contains("retry-after"), "{refused}");
    buyer.get("/users/me").await.expect(200);
    drop(held);
    server.close().await;
}

#[tokio::test]
async fn every_problem_that_a_sale_meets_is_explained_under_its_type() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let buyer = server.buyer("buyer").await;
    let token = buyer.enter(None).await;
    let reservation = id(&buyer.hold(&token, hall.seats[0]).await.expect(201), "reservation_id");
    let problems = [
        server.anonymous().get("/users/me").await,
        buyer.hold(&token, hall.seats[0]).await,
        buyer.pay(&token, reservation).await,
        buyer.get("/reservations/999").await,
        buyer.get("/nothing/here").await,
        buyer.call(Method::PUT, "/reservations").send().await,
        buyer.get("/operator/audit").await,
    ];
    for answer in problems {
        let body = answer.json();
        let explained =
            server.anonymous().call_at(Method::GET, body["type"].as_str().unwrap()).send().await.expect(200);
        for member in ["code", "status", "title"] {
            assert_eq!(explained[member], body[member]);
        }
    }
    let put = buyer.call(Method::PUT, "/reservations").send().await;
    put.problem(405, "method_not_allowed");
    assert!(put.header("allow").is_some_and(|allowed| allowed.contains("POST")));
    server.close().await;
}

#[tokio::test]
async fn a_path_that_is_not_utf_8_is_a_problem() {
    let server = Server::start().await;
    let buyer = server.buyer("buyer").await;
    for (method, path) in [
        (Method::GET, "/api/v1/queue/tokens/%ff"),
        (Method::GET, "/api/v1/queue/tokens/%ff/position"),
        (Method::PATCH, "/api/v1/queue/tokens/%ff/activate"),
        (Method::DELETE, "/api/v1/queue/tokens/%ff"),
        (Method::GET, "/api/v1/concerts/%ff"),
        (Method::GET, "/problems/%ff"),
    ] {
        buyer.call_at(method, path).send().await.problem_at(400, "invalid_field", "path");
    }
    buyer.call_at(Method::GET, "/problems/no_such_code").send().await.problem(404, "not_found");
}
