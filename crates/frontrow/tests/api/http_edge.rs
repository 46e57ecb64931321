//! The HTTP edge over real sockets: what happens to requests that are slow, large, broken or too many.

use axum::{
    Json, Router,
    extract::ConnectInfo,
    routing::{get, post},
};
use frontrow_clock::Clock;
use frontrow_domain::{
    id::{RoomId, SeatId},
    money::Money,
    refusal::Refusal,
    time::{Span, Time},
};
use frontrow_service::metrics::Metrics;
use frontrow_testkit::PATIENCE;
use frontrow_web::{
    api::docs,
    edge::{
        extract::{Cursor, JsonBody, Limit, OptionalJsonBody, PathId, QueryParams},
        idempotency::IdempotencyKey,
        listener::{self, Limits},
        observe::{self, RequestContext},
        problem::{self, HttpResult, Problem},
    },
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::{Notify, watch},
    task::JoinHandle,
    time::timeout,
};

const SHORT: Duration = Duration::from_millis(300);
const NOW: Time = Time::from_micros(1_700_000_000_000_000);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    seat_id: SeatId,
    amount: Money,
    buyer: Option<Buyer>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Buyer {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor<SeatId>>,
}

async fn order(JsonBody(order): JsonBody<Order>) -> Json<Value> {
    let name = order.buyer.map(|buyer| buyer.name);
    Json(json!({ "seat_id": order.seat_id, "amount": order.amount, "name": name }))
}

async fn maybe(OptionalJsonBody(order): OptionalJsonBody<Order>) -> Json<Value> {
    Json(json!({ "seat_id": order.map(|order| order.seat_id) }))
}

async fn list(QueryParams(query): QueryParams<ListQuery>) -> Json<Value> {
    Json(json!({ "limit": query.limit.get(), "next_cursor": query.cursor }))
}

async fn held() -> HttpResult<()> {
    let held_until = NOW.plus(Span::from_millis(41_001));
    Err(Refusal::SeatHeld { seat_id: SeatId::new(7), held_until, holder: None }.into())
}

async fn panics() -> HttpResult<()> {
    panic!("the secret is 12345")
}

fn limits(max_connections: usize, header_timeout: Duration, idle_timeout: Duration, drain: Duration) -> Limits {
    let (max_per_address, trusted_proxies, body_timeout) = (None, Vec::new(), PATIENCE);
    Limits { max_connections, max_per_address, trusted_proxies, header_timeout, body_timeout, idle_timeout, drain }
}

struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    done: JoinHandle<std::io::Result<()>>,
    metrics: Arc<Metrics>,
    /// Lets the handler of `/wait` answer.
    release: Arc<Notify>,
    /// Told when the handler of `/wait` is at work.
    waiting: Arc<Notify>,
}

impl Server {
    fn start() -> Self {
        Self::with(limits(100, PATIENCE, PATIENCE, PATIENCE))
    }

    fn with(limits: Limits) -> Self {
        Self::with_bodies(limits, 1_024 * 1_024, SHORT)
    }

    /// A server whose requests' bodies may take so many bytes together, and so long each.
    fn with_bodies(limits: Limits, bodies_in_flight: usize, body_timeout: Duration) -> Self {
        let (release, waiting) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (released, at_work) = (Arc::clone(&release), Arc::clone(&waiting));
        let wait = move || async move {
            at_work.notify_one();
            released.notified().await;
            "done"
        };
        let router = Router::new()
            .route("/orders", post(order))
            .route("/maybe", post(maybe))
            .route("/seats", get(list))
            .route("/seats/{seat_id}", get(|PathId(seat): PathId<SeatId>| async move { Json(seat) }))
            .route("/rooms/{room_id}", get(|PathId(room): PathId<RoomId>| async move { Json(room) }))
            .route("/key", post(|_: IdempotencyKey| async { "ok" }))
            .route("/held", get(held))
            .route("/panic", get(panics))
            .route("/unauthorized", get(|| async { Problem::unauthorized() }))
            .route("/peer", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }))
            .route("/wait", get(wait))
            .route("/large", get(|| async { "x".repeat(64 * 1_024) }))
            .merge(docs::routes())
            .fallback(problem::not_found)
            .method_not_allowed_fallback(problem::method_not_allowed);
        let metrics = Arc::new(Metrics::new());
        let edge = RequestContext::new(Arc::clone(&metrics), Clock::manual(NOW), body_timeout, PATIENCE)
            .with_bodies_in_flight(bodies_in_flight);
        let app = observe::instrument(router, Arc::new(edge), None);
        let listener = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let limits = Limits { body_timeout, ..limits };
        let done = tokio::spawn(listener::serve(listener, app, limits, stopped, Arc::clone(&metrics)));
        Self { address, stop, done, metrics, release, waiting }
    }

    /// Waits until the server has taken at least so many bytes for bodies that are not whole yet.
    async fn buffers(&self, bytes: usize) {
        let buffered = async {
            while self.metrics.bodies.get() < i64::try_from(bytes).unwrap() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, buffered).await.unwrap();
    }

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// Sends bytes on a connection of their own and reads the answer.
    async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut client = self.connect().await;
        client.send(request).await;
        client.answer().await
    }

    async fn get(&self, target: &str) -> Answer {
        self.ask(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n")).await
    }

    async fn post(&self, target: &str, body: &str) -> Answer {
        self.ask(format!(
            "POST {target} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The server may have answered and closed before everything was sent.
        let _ = timeout(PATIENCE, self.0.write_all(bytes.as_ref())).await.unwrap();
    }

    async fn answer(&mut self) -> Answer {
        let mut bytes = Vec::new();
        timeout(PATIENCE, async {
            loop {
                let mut chunk = [0; 4_096];
                let read = self.0.read(&mut chunk).await.unwrap();
                bytes.extend_from_slice(&chunk[..read]);
                let Some(answer) = Answer::parse(&bytes) else {
                    assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&bytes));
                    continue;
                };
                return answer;
            }
        })
        .await
        .unwrap()
    }

    /// Reads one answer to its end, byte by byte up to its body; how long that is.
    async fn next_body(&mut self) -> usize {
        let mut head = Vec::new();
        timeout(PATIENCE, async {
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.0.read_u8().await.unwrap());
            }
            let head = std::str::from_utf8(&head).unwrap();
            let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
            self.0.read_exact(&mut vec![0; len]).await.unwrap()
        })
        .await
        .unwrap()
    }

    /// Waits until the server has closed; returns what it still sent.
    async fn closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.unwrap().unwrap();
        rest
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut answer =
            Self { status: head.get(9..12)?.parse().unwrap(), head: head.to_owned(), body: body.to_owned() };
        let len: usize = answer.header("content-length")?.parse().unwrap();
        answer.body.truncate(len);
        (answer.body.len() == len).then_some(answer)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that this is a problem in its full shape.
    #[track_caller]
    fn assert_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status, "{body}");
        assert_eq!(body["type"], format!("/problems/{code}"), "{body}");
        assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
        body
    }
}

#[tokio::test]
async fn a_request_whose_headers_come_too_slowly_is_cut() {
    let server = Server::with(limits(10, SHORT, PATIENCE, PATIENCE));
    let mut first = server.connect().await;
    first.send("GET /seats HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    first.answer().await.assert_problem(408, "request_timeout");
    assert_eq!(first.closed().await, b"");

    // The same on a connection that has served a request, where the longer idle time was running.
    let mut second = server.connect().await;
    second.send("GET /seats HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(second.answer().await.status, 200);
    second.send("GET /seats HT").await;
    second.answer().await.assert_problem(408, "request_timeout");

    let mut silent = server.connect().await;
    assert_eq!(silent.closed().await, b"", "a client that sends nothing gets nothing");
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_one_that_waits_for_its_answer_is_not() {
    let server = Server::with(limits(10, PATIENCE, SHORT, PATIENCE));
    let mut waiting = server.connect().await;
    waiting.send("GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await;
    server.waiting.notified().await;
    let mut idle = server.connect().await;
    idle.send("GET /seats HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(idle.answer().await.status, 200);
    assert_eq!(idle.closed().await, b"");
    // The first connection has been silent for longer than that.
    server.release.notify_one();
    assert_eq!(waiting.answer().await.body, "done");
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_answered_408() {
    let server = Server::start();
    let request =
        "POST /orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{\"seat";
    let body = server.ask(request).await.assert_problem(408, "request_timeout");
    assert!(body["request_id"].is_string(), "{body}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_answered_413_however_it_is_sent() {
    let server = Server::start();
    let large = format!("{{\"seat_id\": \"{}\"}}", "7".repeat(8 * 1_024));
    server.post("/orders", &large).await.assert_problem(413, "payload_too_large");
    let head =
        "POST /orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", large.len(), large);
    server.ask(format!("{head}{chunk}")).await.assert_problem(413, "payload_too_large");
    // The client reads its answer even while it is still sending far more.
    server.post("/orders", &"7".repeat(700_000)).await.assert_problem(413, "payload_too_large");
}

#[tokio::test]
async fn too_many_or_too_large_headers_are_answered_431() {
    let server = Server::start();
    let many = "x-one-of-many: 1\r\n".repeat(101);
    let large = format!("x-large: {}\r\n", "a".repeat(listener::HEAD_LEN_MAX));
    for headers in [many, large] {
        let answer = server.ask(format!("GET /seats HTTP/1.1\r\n{headers}\r\n")).await;
        answer.assert_problem(431, "headers_too_large");
    }
    server.ask("GET /seats HTTP/1.1\r\nno colon\r\n\r\n").await.assert_problem(400, "malformed_request");
    assert_eq!(server.get("/seats").await.status, 200);
}

#[tokio::test]
async fn connections_over_the_cap_are_turned_away_and_the_others_are_served() {
    let server = Server::with(limits(2, PATIENCE, PATIENCE, PATIENCE));
    let mut kept = [server.connect().await, server.connect().await];
    for client in &mut kept {
        client.send("GET /seats HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 200);
    }
    let refused = server.get("/seats").await;
    refused.assert_problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), Some("1"));
    for client in &mut kept {
        client.send("GET /seats HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 200);
    }
    assert!(server.metrics.render().contains("frontrow_connections_refused_total 1\n"));

    let [first, _second] = kept;
    drop(first);
    // The place is free once the server has seen the other side close.
    timeout(PATIENCE, async { while server.get("/seats").await.status != 200 {} }).await.unwrap();
}

#[tokio::test]
async fn one_address_has_as_many_connections_as_it_may_and_a_trusted_proxy_has_more() {
    let two_an_address = Limits { max_per_address: Some(2), ..limits(10, PATIENCE, PATIENCE, PATIENCE) };
    let server = Server::with(two_an_address.clone());
    let mut kept = [server.connect().await, server.connect().await];
    for client in &mut kept {
        client.send("GET /seats HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 200);
    }
    server.get("/seats").await.assert_problem(503, "overloaded");
    let elsewhere = TcpSocket::new_v4().unwrap();
    elsewhere.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = Client(elsewhere.connect(server.address).await.unwrap());
    other.send("GET /seats HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(other.answer().await.status, 200, "another address has its own");
    drop(kept);
    timeout(PATIENCE, async { while server.get("/seats").await.status != 200 {} }).await.unwrap();

    let server = Server::with(Limits { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..two_an_address });
    let mut through_proxy = Vec::new();
    for _ in 0..5 {
        let mut client = server.connect().await;
        client.send("GET /seats HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(client.answer().await.status, 200);
        through_proxy.push(client);
    }
}

/// The head of an order with a body of `len` bytes, and `sent` bytes of it.
fn unfinished_order(len: usize, sent: usize) -> String {
    let head = "POST /orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json";
    format!("{head}\r\ncontent-length: {len}\r\n\r\n{{\"seat_id\": 1, \"amount\": 5{}", " ".repeat(sent - 26))
}

#[tokio::test]
async fn bodies_in_flight_take_no_more_than_they_may_and_what_is_not_a_body_is_served() {
    const LEN: usize = 8_000;
    // Room for three whole bodies and a bit. One client after the other begins one and does not finish it.
    let server = Server::with_bodies(limits(100, PATIENCE, PATIENCE, PATIENCE), 3 * 8_192 + 100, PATIENCE);
    let mut unfinished = Vec::new();
    for count in 1..=3 {
        let mut client = server.connect().await;
        client.send(unfinished_order(LEN, LEN - 1)).await;
        server.buffers(count * (LEN - 1)).await;
        unfinished.push(client);
    }
    let refused = server.post("/orders", &format!("{{\"seat_id\": 1, \"amount\": 5{}}}", " ".repeat(7_000))).await;
    refused.assert_problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(server.get("/seats").await.status, 200, "a request without a body is served");
    assert_eq!(server.post("/orders", r#"{"seat_id": 1, "amount": 5}"#).await.status, 200, "and one with a small body");
    // Announced bytes cost nothing: only those that were sent do.
    let mut announced = Vec::new();
    for _ in 0..20 {
        let mut client = server.connect().await;
        client
            .send("POST /orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 8000\r\n\r\n")
            .await;
        announced.push(client);
    }
    // The three are finished in good order, and their room is free again.
    for client in &mut unfinished {
        client.send("}").await;
        assert_eq!(client.answer().await.status, 200);
    }
    let whole = format!("{{\"seat_id\": 1, \"amount\": 5{}}}", " ".repeat(7_000));
    assert_eq!(server.post("/orders", &whole).await.status, 200);
    assert_eq!(server.metrics.bodies.get(), 0);
}

#[tokio::test]
async fn a_body_in_many_parts_is_read_to_its_end() {
    let server = Server::start();
    let mut client = server.connect().await;
    client
        .send(
            "POST /orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        )
        .await;
    for byte in r#"{"seat_id": 12, "amount": 5}"#.chars() {
        client.send(format!("1\r\n{byte}\r\n")).await;
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.answer().await.json()["seat_id"], 12);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_written_to_no_further_than_the_send_buffer() {
    const ASKED: usize = 60;
    let server = Server::start();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1_024).unwrap();
    let mut client = Client(socket.connect(server.address).await.unwrap());
    client.send("GET /large HTTP/1.1\r\nhost: x\r\n\r\n".repeat(ASKED)).await;
    // Another client has more answers than the first has asked for: had they been written, they would be by now.
    for _ in 0..4 * ASKED {
        assert_eq!(server.get("/seats").await.status, 200);
    }
    let text = server.metrics.render();
    let line = r#"frontrow_http_requests_total{method="GET",route="/large",status="200"} "#;
    let written = text.lines().find_map(|found| found.strip_prefix(line)).map_or(0, |count| count.parse().unwrap());
    assert!(written <= 12, "{written} answers of 64 KiB were made for a client that read none");
    // It is served to the end as soon as it reads.
    for _ in 0..ASKED {
        assert_eq!(client.next_body().await, 64 * 1_024);
    }
}

#[tokio::test]
async fn a_stop_finishes_what_is_in_flight_and_then_returns() {
    let server = Server::start();
    let mut idle = server.connect().await;
    idle.send("GET /seats HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(idle.answer().await.status, 200);
    let mut busy = server.connect().await;
    busy.send("GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await;
    server.waiting.notified().await;

    server.stop.send(true).unwrap();
    assert_eq!(idle.closed().await, b"");
    assert!(!server.done.is_finished());
    server.release.notify_one();
    let answer = busy.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "done"));
    assert_eq!(busy.closed().await, b"");
    timeout(PATIENCE, server.done).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_stop_waits_no_longer_than_it_may() {
    let server = Server::with(limits(9, PATIENCE, PATIENCE, SHORT));
    let mut busy = server.connect().await;
    busy.send("GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await;
    server.waiting.notified().await;
    server.stop.send(true).unwrap();
    timeout(PATIENCE, server.done).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn requests_sent_one_after_the_other_without_waiting_are_answered_in_order() {
    let server = Server::start();
    let mut client = server.connect().await;
    client
        .send("GET /seats/1 HTTP/1.1\r\nhost: x\r\n\r\nGET /seats/2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await;
    let both = String::from_utf8(client.closed().await).unwrap();
    let bodies: Vec<_> = both.split("\r\n\r\n").skip(1).map(|part| &part[..1]).collect();
    assert_eq!(bodies, ["1", "2"], "{both}");
}

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
    // What says nothing about the list is ignored: an empty field, and what keeps caches from answering.
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
