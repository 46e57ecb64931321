//! Properties of every request: its head, its query, its method.

use super::raw::RawClient;
use frontrow_testkit::{PRICE, Server};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn a_request_has_one_host_and_none_of_our_headers_twice() {
    let server = Server::start().await;
    let ask = async |version: &str, headers: &str| {
        let mut link = RawClient::to(server.address).await;
        link.send(&format!("GET /api/v1/concerts {version}\r\n{headers}connection: close\r\n\r\n")).await;
        link.rest().await
    };
    for headers in
        ["", "Host:\r\n", "Host: a b\r\n", "Host: c@d\r\n", "Host: x\r\nHost: x\r\n", "Host: x\r\nhost: y\r\n"]
    {
        let answer = ask("HTTP/1.1", headers).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("\"malformed_request\""), "{headers}: {answer}");
        assert!(answer.contains("x-request-id: "), "{headers}: {answer}");
    }
    for (version, headers) in [("HTTP/1.1", "Host: x:80\r\n"), ("HTTP/1.1", "Host: [::1]:8080\r\n"), ("HTTP/1.0", "")] {
        let answer = ask(version, headers).await;
        assert_eq!(answer.get(8..12), Some(" 200"), "{version} {headers}: {answer}");
    }
    for name in ["Authorization", "Content-Type", "Idempotency-Key", "Queue-Token", "X-Request-Id"] {
        let answer = ask("HTTP/1.1", &format!("Host: x\r\n{name}: a\r\n{name}: a\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("\"invalid_field\""), "{name}: {answer}");
        assert!(answer.contains(&format!("\"field\":\"{name}\"")), "{name}: {answer}");
    }
    // Lists may come in several lines.
    let lists = "Host: x\r\nAccept: a/b\r\nAccept: */*\r\nIf-None-Match: \"a\"\r\nIf-None-Match: \"b\"\r\n";
    assert!(ask("HTTP/1.1", lists).await.starts_with("HTTP/1.1 200"));
    server.close().await;
}

#[tokio::test]
async fn http_2_is_spoken_from_the_first_byte_and_an_upgrade_to_it_is_not_taken() {
    let server = Server::start().await;
    let answer = server.anonymous().over_http_2().get("/concerts").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("x-request-id").is_some() && answer.header("connection").is_none(), "{answer:?}");
    // An offer to go over to it is not taken up.
    let mut link = RawClient::to(server.address).await;
    link.send("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n").await;
    assert!(link.head().await.starts_with("HTTP/1.1 200"));
    server.close().await;
}

#[tokio::test]
async fn a_query_may_say_nothing_but_not_whose_data_is_meant() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let buyer = server.buyer_with("buyer", PRICE).await;
    for path in [
        "/concerts?_=1700000000000".to_owned(),
        "/concerts?from=&to=&status=&limit=&cursor=&text=".to_owned(),
        format!("{}?_=17", hall.path()),
        format!("{}/seats?_=17&form=", hall.path()),
        "/points/history?_=1&cursor=".to_owned(),
        "/reservations?limit=&_t=1".to_owned(),
        "/points?_=1".to_owned(),
    ] {
        buyer.get(&path).await.expect(200);
    }
    for (path, field) in [
        ("/concerts?from=2027-02-30&_=1", "from"),
        ("/concerts?from=2027-02-03T10:00:00", "from"),
        ("/concerts?status=soon", "status"),
        ("/concerts?limit=0", "limit"),
        ("/concerts?form=2027-01-01", "form"),
        ("/points/history?page=2", "page"),
    ] {
        buyer.get(path).await.problem_at(400, "invalid_field", field);
    }
    for path in ["/points", "/points/history", "/reservations", "/payments", "/queue/tokens", "/users/me"] {
        for field in ["userId", "user_id", "userid", "USER-ID", "user"] {
            buyer.get(&format!("{path}?{field}=7")).await.problem_at(400, "invalid_field", field);
        }
    }
    let top_up = buyer.post("/points/top-ups?user_id=7", &json!({ "amount": 1 })).await;
    top_up.problem_at(400, "invalid_field", "user_id");
    assert_eq!(buyer.balance().await, PRICE);
    server.close().await;
}

#[tokio::test]
async fn no_call_ignores_a_misspelt_field_of_its_query() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let document = operator.call_at(Method::GET, "/openapi.json").send().await.expect(200);
    let mut calls = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let parts = path.split('/').map(|part| if part.starts_with('{') { "1" } else { part });
        let target = parts.collect::<Vec<_>>().join("/");
        for method in item.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            for query in ["misspelt=1", "_=1&misspelt=1", "utm_source=x&missp%65lt=%26"] {
                let answer =
                    operator.call_at(method.clone(), &format!("{target}?{query}")).json(&json!({})).send().await;
                assert_eq!(answer.status, 400, "{method} {path}?{query}: {}", answer.text());
                answer.problem_at(400, "invalid_field", "misspelt");
            }
            calls += 1;
        }
    }
    assert!(calls > 50, "{calls}");
    let head = operator.call(Method::HEAD, "/points?misspelt=1").send().await;
    assert_eq!(head.status, 400);
    // Meaningless fields are ignored by every method.
    operator.post("/operator/concerts/1/cancel?_=1&cursor=", &json!({ "reason": "x" })).await.problem(404, "not_found");
    server.close().await;
}

#[tokio::test]
async fn a_head_changes_nothing_and_counts_as_a_read() {
    let flags = [
        ("--requests-per-second-per-user", "1"),
        ("--request-burst-per-user", "1"),
        ("--changes-per-hour-per-user", "1"),
    ];
    let server = Server::with(&flags).await;
    let buyer = server.buyer("buyer").await;
    for path in ["/users/me", "/points", "/reservations", "/concerts"] {
        for _ in 0..5 {
            let answer = buyer.call(Method::HEAD, path).key("0123456789abcdef").send().await;
            assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
            assert!(!answer.is_replay(), "{path}");
        }
    }
    buyer.top_up(5).await;
    server.close().await;
}

#[tokio::test]
async fn the_address_itself_is_the_season_and_the_docs_have_one_address() {
    let server = Server::start().await;
    let mut link = RawClient::to(server.address).await;
    link.send("GET /docs/ HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let answer = link.head().await;
    assert!(answer.starts_with("HTTP/1.1 307") && answer.contains("location: /docs\r\n"), "{answer}");
    let landed = server.anonymous().call_at(Method::GET, "/").send().await;
    assert!(landed.header("content-type").unwrap().starts_with("text/html"), "{landed:?}");
    server.close().await;
}
