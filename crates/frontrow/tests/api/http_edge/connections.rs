//! Requests that are slow, large or too many, and the stop of a server.

use super::{SHORT, Server, limits};
use crate::raw::RawClient;
use frontrow_testkit::PATIENCE;
use frontrow_web::edge::listener::{self, Limits};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};

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
    let mut other = RawClient(elsewhere.connect(server.address).await.unwrap());
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
    let mut client = RawClient(socket.connect(server.address).await.unwrap());
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
