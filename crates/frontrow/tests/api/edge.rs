//! What holds for every request and every answer, whatever it is about.

use frontrow_service::metrics::MetricsFormat;
use frontrow_testkit::{Answer, Client, PATIENCE, PRICE, Server, draft, eventually, items, servers::port::Port};
use reqwest::Method;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// A connection whose bytes the test sends itself.
struct RawClient(TcpStream);

impl RawClient {
    async fn to(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    async fn send(&mut self, text: &str) {
        timeout(PATIENCE, self.0.write_all(text.as_bytes())).await.unwrap().unwrap();
    }

    /// The head of one answer; its body is read too.
    async fn head(&mut self) -> String {
        let mut head = Vec::new();
        timeout(PATIENCE, async {
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.0.read_u8().await.unwrap());
            }
            let text = String::from_utf8(head).unwrap();
            let len = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |len| len.parse().unwrap());
            self.0.read_exact(&mut vec![0; len]).await.unwrap();
            text
        })
        .await
        .unwrap()
    }

    /// What comes until the server closes.
    async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.expect("the server closes the connection");
        String::from_utf8_lossy(&rest).into_owned()
    }
}

fn problems(server: &Server) -> u64 {
    let text = server.app().office.metrics(MetricsFormat::OpenMetrics);
    let counts = text.lines().filter_map(|line| line.strip_prefix("frontrow_problems_total{")?.rsplit(' ').next());
    counts.map(|count| count.parse::<u64>().unwrap()).sum()
}

/// Requests that are answered before their body is read, each with the start of its answer.
fn early(operator: &Client, spent: &Client) -> Vec<(String, &'static str)> {
    let json = "Content-Type: application/json\r\n";
    let signed_in = format!("{json}Authorization: Bearer {}\r\n", operator.secret());
    let spent = format!("{json}Authorization: Bearer {}\r\n", spent.secret());
    [
        ("POST /api/v1/payments", json, "HTTP/1.1 401"),
        ("POST /api/v1/payments", &*signed_in, "HTTP/1.1 403"),
        ("POST /api/v1/nothing", &signed_in, "HTTP/1.1 404"),
        ("PUT /api/v1/concerts", &signed_in, "HTTP/1.1 405"),
        ("POST /api/v1/payments", &format!("{signed_in}Queue-Token: x\r\nIdempotency-Key: short\r\n"), "HTTP/1.1 403"),
        ("POST /api/v1/points/top-ups", &format!("{signed_in}Idempotency-Key: short\r\n"), "HTTP/1.1 400"),
        ("POST /api/v1/points/top-ups", &signed_in.replace("json", "xml"), "HTTP/1.1 415"),
        ("POST /api/v1/points/top-ups", &format!("{signed_in}Authorization: Bearer x\r\n"), "HTTP/1.1 400"),
        ("POST /api/v1/reservations", &spent, "HTTP/1.1 429"),
    ]
    .into_iter()
    .map(|(line, headers, status)| (format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}"), status))
    .collect()
}

/// A server, its operator, and a buyer who has changed as much as one may within the hour.
async fn server_operator_and_spent_buyer(body_timeout: &str) -> (Server, Client, Client) {
    let server = Server::with(&[("--changes-per-hour-per-user", "1"), ("--body-timeout-seconds", body_timeout)]).await;
    let (operator, buyer) = (server.operator().await, server.buyer("buyer").await);
    buyer.top_up(1).await;
    (server, operator, buyer)
}

#[tokio::test]
async fn a_small_body_that_comes_after_its_answer_was_decided_leaves_the_connection_good() {
    let (server, operator, buyer) = server_operator_and_spent_buyer("15").await;
    for (head, status) in early(&operator, &buyer) {
        let mut link = RawClient::to(server.address).await;
        let before = problems(&server);
        link.send(&format!("{head}Content-Length: 13\r\n\r\n")).await;
        eventually("the request is answered", async || (problems(&server) > before).then_some(())).await;
        link.send("{\"seat_id\":1}").await;
        let answer = link.head().await;
        assert!(answer.starts_with(status), "{head}: {answer}");
        assert!(!answer.contains("connection: close"), "{head}: {answer}");
        link.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let next = link.head().await;
        assert!(next.starts_with("HTTP/1.1 200"), "{head}: the next request: {next}");
    }
    server.close().await;
}

#[tokio::test]
async fn an_answer_whose_body_does_not_come_or_is_large_says_that_the_connection_closes() {
    let (server, operator, buyer) = server_operator_and_spent_buyer("1").await;
    let unfinished = "Content-Length: 13\r\n\r\n{\"seat";
    let large = format!("Content-Length: {}\r\n\r\n{{", 100 * 1_024);
    let asks_first = "Content-Length: 13\r\nExpect: 100-continue\r\n\r\n";
    for (head, status) in early(&operator, &buyer) {
        for body in [unfinished, &large, asks_first] {
            let mut link = RawClient::to(server.address).await;
            link.send(&format!("{head}{body}")).await;
            let answer = link.head().await;
            assert!(answer.starts_with(status), "{head}{body}: {answer}");
            assert!(answer.contains("connection: close\r\n"), "{head}{body}: {answer}");
            assert_eq!(link.rest().await, "", "{head}{body}");
        }
    }
    // A body that is read, but too slowly, or that is too large, ends the connection too.
    let top_up = format!(
        "POST /api/v1/points/top-ups HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {}\r\n",
        operator.secret()
    );
    for (body, status) in [(unfinished.to_owned(), "HTTP/1.1 408"), (large, "HTTP/1.1 413")] {
        let mut link = RawClient::to(server.address).await;
        link.send(&format!("{top_up}{body}")).await;
        let answer = link.head().await;
        assert!(answer.starts_with(status) && answer.contains("connection: close\r\n"), "{answer}");
    }
    // One that is a little too large is read off.
    let mut link = RawClient::to(server.address).await;
    link.send(&format!("{top_up}Content-Length: 20000\r\n\r\n{}", " ".repeat(20_000))).await;
    let answer = link.head().await;
    assert!(answer.starts_with("HTTP/1.1 413") && !answer.contains("connection: close"), "{answer}");
    link.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(link.head().await.starts_with("HTTP/1.1 200"));
    server.close().await;
}

/// Asserts the two headers that every answer has, and returns what it says about being kept.
fn kept(answer: &Answer) -> &str {
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer:?}");
    answer.header("cache-control").unwrap_or_else(|| panic!("nothing is said about being kept: {answer:?}"))
}

#[tokio::test]
async fn no_answer_may_be_kept_but_what_is_the_same_for_all() {
    let server = Server::start().await;
    let hall = server.hall(2).await;
    let buyer = server.buyer_with("buyer", PRICE).await;
    let (reservation, payment) = buyer.buy(hall.seats[0]).await;
    let token = buyer.enter(None).await;
    for path in [
        "/users/me".to_owned(),
        "/points".to_owned(),
        "/points/history".to_owned(),
        "/reservations".to_owned(),
        format!("/reservations/{reservation}"),
        "/payments".to_owned(),
        format!("/payments/{payment}"),
        "/queue/tokens".to_owned(),
        format!("/queue/tokens/{token}"),
        format!("/queue/tokens/{token}/position"),
    ] {
        let answer = buyer.get(&path).await;
        answer.expect(200);
        assert_eq!(kept(&answer), "no-store", "{path}");
    }
    let registration = json!({ "name": "Kim", "email": "kim@example.com", "password": "0123456789" });
    let registered = buyer.post("/users", &registration).await;
    assert_eq!((registered.status, kept(&registered)), (201, "no-store"));
    let signed_in = buyer.post("/sessions", &json!({ "email": "kim@example.com", "password": "0123456789" })).await;
    assert_eq!((signed_in.status, kept(&signed_in)), (201, "no-store"));
    for (method, path) in [
        (Method::GET, "/api/v1/nothing"),
        (Method::PUT, "/api/v1/concerts"),
        (Method::GET, "/api/v1/concerts/0"),
        (Method::GET, "/healthz"),
        (Method::GET, "/readyz"),
        (Method::GET, "/metrics"),
        (Method::GET, "/problems"),
        (Method::HEAD, "/api/v1/points"),
    ] {
        assert_eq!(kept(&buyer.call_at(method, path).send().await), "no-store", "{path}");
    }
    assert_eq!(kept(&buyer.get(&format!("{}/seats", hall.path())).await), "no-cache");
    assert_eq!(kept(&buyer.get("/concerts").await), "public, max-age=1");
    assert_eq!(kept(&buyer.get(&hall.path()).await), "public, max-age=1");
    for path in ["/docs", "/docs/docs.js", "/docs/docs.css", "/openapi.json"] {
        assert_eq!(kept(&buyer.call_at(Method::GET, path).send().await), "no-cache", "{path}");
    }
    server.close().await;
}

#[tokio::test]
async fn what_has_a_tag_is_sent_once_and_then_answered_304_until_it_changes() {
    let server = Server::start().await;
    let hall = server.hall(2).await;
    let (anonymous, operator) = (server.anonymous(), server.operator().await);
    let paths = [
        "/api/v1/concerts".to_owned(),
        format!("/api/v1{}", hall.path()),
        format!("/api/v1{}/seats", hall.path()),
        "/openapi.json".to_owned(),
        "/docs".to_owned(),
        "/docs/docs.js".to_owned(),
        "/docs/docs.css".to_owned(),
    ];
    for path in &paths {
        let first = anonymous.call_at(Method::GET, path).send().await;
        let etag = first.header("etag").unwrap_or_else(|| panic!("{path} has no tag"));
        assert_eq!(first.status, 200, "{path}");
        for known in [etag.to_owned(), format!("W/{etag}"), format!("\"other\", {etag}")] {
            let again = anonymous.call_at(Method::GET, path).header("if-none-match", &known).send().await;
            assert_eq!((again.status, again.body.len()), (304, 0), "{path} {known}");
            assert_eq!(again.header("etag"), Some(etag), "{path}");
            assert_eq!(again.header("cache-control"), first.header("cache-control"), "{path}");
        }
        let other = anonymous.call_at(Method::GET, path).header("if-none-match", "\"other\"").send().await;
        assert_eq!(other.status, 200, "{path}");
    }
    let tags = async || {
        let mut tags = Vec::new();
        for path in &paths[..2] {
            tags.push(anonymous.call_at(Method::GET, path).send().await.header("etag").unwrap().to_owned());
        }
        tags
    };
    let before = tags().await;
    operator.patch(&format!("/operator{}", hall.path()), &json!({ "title": "Another night" })).await.expect(200);
    for (before, after) in before.iter().zip(tags().await) {
        assert_ne!(*before, after);
    }
    server.close().await;
}

#[tokio::test]
async fn what_is_large_is_packed_for_who_takes_it_and_what_is_small_is_not() {
    let server = Server::start().await;
    let hall = server.hall(200).await;
    for _ in 0..10 {
        server.hall(1).await;
    }
    let anonymous = server.anonymous();
    let map = format!("/api/v1{}/seats", hall.path());
    for path in [&*map, "/api/v1/concerts", "/openapi.json", "/docs/docs.js", "/metrics"] {
        let plain = anonymous.call_at(Method::GET, path).send().await;
        assert_eq!(plain.header("content-encoding"), None, "{path}");
        assert!(plain.header("vary").unwrap().contains("accept-encoding"), "{path}");
        let packed = anonymous.call_at(Method::GET, path).header("accept-encoding", "br, gzip").send().await;
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
        assert_eq!(packed.header("content-type"), plain.header("content-type"), "{path}");
        assert_eq!(packed.body[..2], [0x1f, 0x8b], "{path}");
        assert!(3 * packed.body.len() < plain.body.len(), "{path}: {} of {}", packed.body.len(), plain.body.len());
        let refused = anonymous.call_at(Method::GET, path).header("accept-encoding", "gzip;q=0").send().await;
        assert_eq!(refused.header("content-encoding"), None, "{path}");
        if let Some(etag) = plain.header("etag") {
            assert_eq!(packed.header("etag"), Some(&*format!("W/{etag}")), "{path}");
        }
    }
    for path in [format!("/api/v1{}", hall.path()), "/healthz".to_owned(), "/api/v1/nothing".to_owned()] {
        let answer = anonymous.call_at(Method::GET, &path).header("accept-encoding", "gzip").send().await;
        assert_eq!(answer.header("content-encoding"), None, "{path}");
    }
    server.close().await;
}

#[tokio::test]
async fn a_page_of_a_listed_origin_may_call_the_api_and_read_what_it_needs() {
    let shop = "https://shop.example.com";
    let server = Server::with(&[("--allowed-origins", "https://shop.example.com,http://127.0.0.1:5173")]).await;
    let anonymous = server.anonymous();
    let preflight = async |origin: &str| {
        let call = anonymous.call(Method::OPTIONS, "/payments").header("origin", origin);
        let call = call.header("access-control-request-method", "POST");
        let headers = "authorization,content-type,idempotency-key,queue-token";
        call.header("access-control-request-headers", headers).header("x-request-id", "asks-first").send().await
    };
    for origin in [shop, "http://127.0.0.1:5173"] {
        let answer = preflight(origin).await;
        assert!([200, 204].contains(&answer.status), "{answer:?}");
        assert_eq!(kept(&answer), "no-store");
        assert_eq!(answer.header("x-request-id"), Some("asks-first"));
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-max-age"), Some("3600"));
        let methods = answer.header("access-control-allow-methods").unwrap();
        assert!(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].iter().all(|method| methods.contains(method)));
        let headers = answer.header("access-control-allow-headers").unwrap().to_lowercase();
        for name in ["authorization", "content-type", "idempotency-key", "queue-token", "if-none-match", "x-request-id"]
        {
            assert!(headers.contains(name), "{name}: {headers}");
        }
    }
    // Refusals can be read too.
    for path in ["/concerts", "/users/me", "/nothing"] {
        let answer = anonymous.call(Method::GET, path).header("origin", shop).send().await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(shop), "{path}");
        let exposed = answer.header("access-control-expose-headers").unwrap().to_lowercase();
        for name in ["retry-after", "etag", "date", "idempotent-replayed", "x-request-id"] {
            assert!(exposed.contains(name), "{path}: {name}: {exposed}");
        }
        let vary: Vec<_> = answer.headers.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
        assert!(vary.join(",").contains("origin"), "{path}: {vary:?}");
    }
    // So can those of a bad head, which no route has seen; before a call such a head is refused as well.
    let bad = async |method| {
        let call =
            anonymous.call(method, "/concerts").header("origin", shop).header("access-control-request-method", "GET");
        call.header("x-request-id", "one").header("x-request-id", "two").send().await
    };
    let refused = bad(Method::GET).await;
    refused.problem_at(400, "invalid_field", "X-Request-Id");
    assert_eq!(refused.header("access-control-allow-origin"), Some(shop));
    bad(Method::OPTIONS).await.problem_at(400, "invalid_field", "X-Request-Id");
    let counted = server.app().office.metrics(MetricsFormat::OpenMetrics);
    let count = "frontrow_http_requests_total{method=\"other\",route=\"/api/v1/payments\",status=\"200\"} 2";
    assert!(counted.contains(count), "{counted}");
    for origin in ["https://other.example.com", "https://shop.example.com.evil.example", "null"] {
        let answer = preflight(origin).await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
        assert_eq!((kept(&answer), answer.header("x-request-id")), ("no-store", Some("asks-first")), "{origin}");
        let answer = anonymous.call(Method::GET, "/concerts").header("origin", origin).send().await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
    }
    server.close().await;
}

#[tokio::test]
async fn without_a_listed_origin_there_is_nothing_for_other_origins() {
    let server = Server::start().await;
    let anonymous = server.anonymous();
    let call = anonymous.call(Method::OPTIONS, "/concerts").header("origin", "https://shop.example.com");
    call.header("access-control-request-method", "GET").send().await.problem(405, "method_not_allowed");
    let answer = anonymous.call(Method::GET, "/concerts").header("origin", "https://shop.example.com").send().await;
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{answer:?}");
    server.close().await;
}

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
async fn http_2_is_refused_and_an_upgrade_to_it_is_not_taken() {
    let server = Server::start().await;
    let mut link = RawClient::to(server.address).await;
    link.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    let answer = link.rest().await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("\"malformed_request\""), "{answer:?}");
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
    // What says nothing is ignored by every method.
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
async fn dates_and_hours_have_one_form_and_a_zone_one_name() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let create = async |changes: Value| {
        let mut body = json!({
            "title": "T", "artist": "A", "venue": "V", "time_zone": "Asia/Seoul", "concert_date": "2027-03-01",
            "start_time": "20:00", "end_time": "22:30:00", "base_price": 10_000, "opens_at": "2027-01-01T00:00:00Z",
        });
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        operator.post("/operator/concerts", &body).await
    };
    let made = create(json!({ "time_zone": "asia/seoul" })).await.expect(201);
    assert_eq!((&made["time_zone"], &made["start_time"]), (&json!("Asia/Seoul"), &json!("20:00:00")));
    let path = format!("/operator/concerts/{}", made["concert_id"]);
    for (field, value) in [
        ("start_time", "11:00:00+00:00"),
        ("start_time", "20:00:00-05:00"),
        ("start_time", "20:00:00[Asia/Tokyo]"),
        ("start_time", "2027-05-01T20:00:00"),
        ("start_time", "23:59:60"),
        ("start_time", "20"),
        ("end_time", "22:30:00Z"),
        ("end_time", "22:30:00.5"),
        ("concert_date", "2027-05-01T10:00:00"),
        ("concert_date", "2027-03-01T23:30:00+09:00"),
        ("concert_date", "2027-05-01[u-ca=hebrew]"),
        ("concert_date", "0001-01-01"),
        ("time_zone", "Factory"),
        ("time_zone", "KST"),
        ("opens_at", "2027-01-01T23:59:60Z"),
        ("opens_at", "2027-01-01T00:00:00+09:00[Asia/Seoul]"),
        ("opens_at", "2027-01-01"),
    ] {
        create(json!({ field: value })).await.problem_at(422, "invalid_field", field);
        operator.patch(&path, &json!({ field: value })).await.problem_at(422, "invalid_field", field);
    }
    assert_eq!(
        operator.patch(&path, &json!({ "time_zone": "europe/BERLIN" })).await.expect(200)["time_zone"],
        "Europe/Berlin"
    );
    assert_eq!(items(&operator.get("/concerts").await.expect(200)).len(), 1);
    server.close().await;
}

#[tokio::test]
async fn an_hour_that_does_not_exist_is_refused_and_one_that_comes_twice_needs_a_fold() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let create = async |date: &str, start: &str, fold: Option<u8>| {
        let mut body = json!({
            "title": "T", "artist": "A", "venue": "V", "time_zone": "America/New_York", "concert_date": date,
            "start_time": start, "end_time": "06:00", "base_price": 10_000, "opens_at": "2027-01-01T00:00:00Z",
        });
        if let Some(fold) = fold {
            body["fold"] = fold.into();
        }
        operator.post("/operator/concerts", &body).await
    };
    create("2027-03-14", "02:30", None).await.problem_at(422, "invalid_field", "start_time");
    create("2027-03-14", "02:30", Some(1)).await.problem_at(422, "invalid_field", "start_time");
    let twice = create("2027-11-07", "01:30", None).await;
    twice.problem_at(422, "invalid_field", "start_time");
    assert!(twice.text().contains("fold"), "{}", twice.text());
    create("2027-11-07", "01:30", Some(2)).await.problem_at(422, "invalid_field", "fold");
    assert_eq!(create("2027-11-07", "01:30", Some(0)).await.expect(201)["starts_at"], "2027-11-07T05:30:00.000000Z");
    let second = create("2027-11-07", "01:30", Some(1)).await.expect(201);
    assert_eq!(second["starts_at"], "2027-11-07T06:30:00.000000Z");

    let path = format!("/operator/concerts/{}", second["concert_id"]);
    let change = async |body: Value| operator.patch(&path, &body).await;
    // What does not touch the hours leaves the moment, whichever it is.
    assert_eq!(change(json!({ "title": "U" })).await.expect(200)["starts_at"], second["starts_at"]);
    change(json!({ "end_time": "05:00" })).await.problem(422, "malformed");
    change(json!({ "concert_date": "2028-03-12", "start_time": "02:30" })).await.problem(422, "malformed");
    assert_eq!(change(json!({ "fold": 0 })).await.expect(200)["starts_at"], "2027-11-07T05:30:00.000000Z");
    let moved = change(json!({ "end_time": "05:00", "fold": 1 })).await.expect(200);
    assert_eq!((&moved["starts_at"], &moved["end_time"]), (&second["starts_at"], &json!("05:00:00")));
    server.close().await;
}

/// Words of parsers and their types, none of which is a client's business.
const PARSERS_WORDS: [&str; 16] = [
    "expected",
    "invalid type",
    "invalid value",
    "unknown variant",
    "unknown field",
    "missing field",
    "duplicate field",
    "line 1 column",
    "jiff",
    "serde",
    "struct",
    "i64",
    "u32",
    "visitor",
    "UUID parsing",
    "in string",
];

#[tokio::test]
async fn a_refusal_says_what_is_wrong_in_the_apis_own_words() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let operator = server.operator().await;
    let concert = format!("/operator{}", hall.path());
    let mut answers = Vec::new();
    let wrong = [
        "",
        "{",
        "{\"",
        "nonsense",
        "[]",
        "7",
        "null",
        "{} {}",
        "{\"x\": 1}",
        "{\"amount\": 1e400}",
        "{\"amount\": \"5\"}",
        "{\"amount\": 5.5}",
        "{\"amount\": 5, \"amount\": 6}",
        "{\"amount\": 5, \"user_id\": \"me\"}",
        "{\"amount\": 5, \"user_id\": 7}",
        "{\"seat_id\": \"1\"}",
        "{\"seat_ids\": {}}",
        "{\"seat_ids\": [1, null]}",
        "{\"concert_id\": -1}",
        "{\"gate\": \"ajar\"}",
        "{\"gate\": 7}",
        "{\"max_active\": 1.5}",
        "{\"status\": \"soon\"}",
        "{\"opens_at\": \"soon\"}",
        "{\"opens_at\": 7}",
        "{\"start_time\": \"20:00:00Z\"}",
        "{\"concert_date\": 20270301}",
        "{\"fold\": true}",
        "{\"range\": {\"from\": 1}}",
        "{\"range\": [1, 2]}",
        "{\"range\": {\"from\": 1, \"to\": 2}, \"seats\": []}",
        "{\"seats\": [7]}",
        "{\"reason\": []}",
    ];
    for (method, path) in [
        (Method::POST, "/points/top-ups".to_owned()),
        (Method::POST, "/queue/tokens".to_owned()),
        (Method::POST, "/operator/concerts".to_owned()),
        (Method::PATCH, concert.clone()),
        (Method::POST, format!("{concert}/seats")),
        (Method::POST, format!("{concert}/cancel")),
        (Method::PATCH, "/operator/rooms/0".to_owned()),
        (Method::POST, "/operator/seats/block".to_owned()),
        (Method::POST, "/users".to_owned()),
    ] {
        for body in wrong {
            answers.push((format!("{path} {body}"), operator.call(method.clone(), &path).text(body).send().await));
        }
    }
    for query in [
        "limit=x",
        "limit=-1",
        "limit=99999999999",
        "cursor=%25",
        "user_id=me",
        "concert_id=x",
        "status=soon",
        "status=%ff",
        "x=1",
        "limit=1&limit=2",
    ] {
        for path in ["/operator/payments", "/operator/reservations", "/concerts", "/operator/users"] {
            answers.push((format!("{path}?{query}"), operator.get(&format!("{path}?{query}")).await));
        }
    }
    for (asked, answer) in answers.into_iter().filter(|(_, answer)| answer.status >= 400) {
        assert!([400, 422].contains(&answer.status), "{asked}: {}", answer.text());
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        let word = PARSERS_WORDS.iter().find(|word| detail.contains(*word));
        assert!(word.is_none(), "{asked}: {detail}");
    }
    let gate = operator.patch("/operator/rooms/0", &json!({ "gate": "ajar" })).await;
    assert!(gate.json()["detail"].as_str().unwrap().contains("open, paused"), "{}", gate.text());
    server.close().await;
}

#[tokio::test]
async fn metrics_come_in_the_format_that_is_asked_for_with_what_runs_and_what_it_takes() {
    let server = Server::start().await;
    let anonymous = server.anonymous();
    anonymous.get("/concerts").await.expect(200);
    let get = async |accept: &str| anonymous.call_at(Method::GET, "/metrics").header("accept", accept).send().await;
    let open = get("application/openmetrics-text; version=1.0.0, text/plain;q=0.5").await;
    assert_eq!(open.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(open.text().ends_with("# EOF\n"));
    assert!(open.text().contains("# TYPE frontrow_http_requests counter\n"));
    let old = get("text/plain; version=0.0.4").await;
    assert_eq!(old.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        "# TYPE frontrow_http_requests_total counter\n",
        "# HELP frontrow_sales_total ",
        "# TYPE frontrow_build_info gauge\n",
    ] {
        assert!(old.text().contains(line), "{line} is not in\n{}", old.text());
    }
    assert!(!old.text().contains("# EOF") && !old.text().contains("# UNIT"));
    let version = env!("CARGO_PKG_VERSION");
    for text in [open.text(), old.text()] {
        assert!(text.contains(&format!("frontrow_build_info{{version=\"{version}\"")), "{text}");
        for name in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_virtual_memory_bytes",
            "process_open_fds",
            "process_max_fds",
            "process_start_time_seconds",
            "process_threads",
        ] {
            let value = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
                .unwrap_or_else(|| panic!("{name}"));
            assert!(value.parse::<f64>().unwrap() >= 0.0, "{name} {value}");
        }
    }
    server.close().await;
}

#[tokio::test]
async fn metrics_on_a_listener_of_their_own_are_not_on_the_public_one() {
    let port = Port::take();
    let apart = SocketAddr::from(([127, 0, 0, 1], port.number()));
    let server = Server::with(&[("--metrics-listen", &apart.to_string())]).await;
    let anonymous = server.anonymous();
    anonymous.call_at(Method::GET, "/metrics").send().await.problem(404, "not_found");
    let metrics = anonymous.at(apart).call_at(Method::GET, "/metrics").send().await;
    assert!(metrics.text().contains("frontrow_http_requests_total"), "{}", metrics.text());
    assert_eq!(kept(&metrics), "no-store");
    for path in ["/api/v1/concerts", "/healthz", "/docs"] {
        anonymous.at(apart).call_at(Method::GET, path).send().await.problem(404, "not_found");
    }
    let _folder = server.stop().await;
    assert!(TcpStream::connect(apart).await.is_err(), "it stops with the server");
}

#[tokio::test]
async fn the_address_itself_leads_to_the_docs() {
    let server = Server::start().await;
    for path in ["/", "/docs/"] {
        let mut link = RawClient::to(server.address).await;
        link.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let answer = link.head().await;
        assert!(answer.starts_with("HTTP/1.1 307") && answer.contains("location: /docs\r\n"), "{path}: {answer}");
    }
    let landed = server.anonymous().call_at(Method::GET, "/").send().await;
    assert!(landed.header("content-type").unwrap().starts_with("text/html"), "{landed:?}");
    server.close().await;
}

#[tokio::test]
async fn every_instant_has_six_digits_of_fraction() {
    fn check(value: &Value, seen: &mut usize) {
        match value {
            Value::String(text) if text.len() > 19 && text.as_bytes()[10] == b'T' && text.ends_with('Z') => {
                assert_eq!(text.len(), "2027-03-01T11:00:00.000000Z".len(), "{text}");
                *seen += 1;
            }
            Value::Array(items) => items.iter().for_each(|item| check(item, seen)),
            Value::Object(members) => members.values().for_each(|member| check(member, seen)),
            _ => {}
        }
    }
    let server = Server::start().await;
    let hall = server.hall_like(2, |concert| *concert = draft()).await;
    let buyer = server.buyer_with("buyer", PRICE).await;
    let operator = server.operator().await;
    buyer.buy(hall.seats[0]).await;
    let mut seen = 0;
    for path in ["/concerts", "/users/me", "/points", "/points/history", "/reservations", "/payments"] {
        check(&buyer.get(path).await.expect(200), &mut seen);
    }
    for path in
        ["/operator/users", "/operator/reservations", "/operator/payments", "/operator/audit", "/operator/rooms"]
    {
        check(&operator.get(path).await.expect(200), &mut seen);
    }
    let document = server.anonymous().call_at(Method::GET, "/openapi.json").send().await.expect(200);
    check(&document, &mut seen);
    assert!(seen > 20, "{seen}");
    server.close().await;
}
