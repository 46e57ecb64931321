//! HTTP/2 without TLS: the same limits as HTTP/1.1 has.

use super::{SHORT, Server, limits};
use crate::raw::RawClient;
use frontrow_testkit::PATIENCE;
use frontrow_web::edge::listener::{HEAD_LEN_MAX, Limits};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200` in the table of HPACK.
const OK: u8 = 0x88;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The fields of `GET path`.
fn get(path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend_from_slice(path.as_bytes());
    block.extend_from_slice(&[0x01, 1, b'x']);
    block
}

/// A field that is in no table.
fn field(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0x00, u8::try_from(name.len()).unwrap()];
    field.extend_from_slice(name.as_bytes());
    // The length of a value of 127 bytes or more goes on in the next bytes, seven bits in each.
    let mut rest = value.len();
    if rest < 127 {
        field.push(u8::try_from(rest).unwrap());
    } else {
        field.push(127);
        rest -= 127;
        while rest >= 128 {
            field.push(u8::try_from(rest % 128).unwrap() | 128);
            rest /= 128;
        }
        field.push(u8::try_from(rest).unwrap());
    }
    field.extend_from_slice(value.as_bytes());
    field
}

struct Http2Client(RawClient);

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Http2Client {
    async fn to(server: &Server) -> Self {
        let mut client = Self(server.connect().await);
        client.0.send([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await;
        client
    }

    async fn ask(&mut self, stream: u32, path: &str) {
        self.0.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, &get(path))).await;
    }

    /// The next frame; none when the connection is closed.
    async fn frame(&mut self) -> Option<Frame> {
        let socket: &mut TcpStream = &mut self.0.0;
        let read = async {
            let mut head = [0; 9];
            socket.read_exact(&mut head).await.ok()?;
            let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(len).unwrap()];
            socket.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            Some(Frame { kind: head[3], flags: head[4], stream, payload })
        };
        timeout(PATIENCE, read).await.unwrap()
    }

    /// The next frame of this kind.
    async fn until(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.frame().await.expect("the connection is open");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// Whether the request is answered 200.
    async fn is_ok(&mut self, stream: u32) -> bool {
        loop {
            let frame = self.until(HEADERS).await;
            if frame.stream == stream {
                return frame.payload[0] == OK;
            }
        }
    }

    async fn until_closed(&mut self) {
        while self.frame().await.is_some() {}
    }
}

#[tokio::test]
async fn both_versions_are_served_on_one_port() {
    let server = Server::start();
    let mut client = Http2Client::to(&server).await;
    client.ask(1, "/peer").await;
    assert!(client.is_ok(1).await);
    let body = client.until(DATA).await;
    assert!(body.payload.starts_with(b"127.0.0.1:") && body.stream == 1, "{body:?}");
    client.ask(3, "/nothing").await;
    assert!(!client.is_ok(3).await);
    assert_eq!(server.get("/seats").await.status, 200);

    // The first bytes may come one by one, whatever they are.
    let mut slow = Http2Client(server.connect().await);
    for byte in PREFACE.iter().chain(&frame(SETTINGS, 0, 0, &[])) {
        slow.0.send([*byte]).await;
    }
    slow.ask(1, "/seats").await;
    assert!(slow.is_ok(1).await);
    let mut slow = server.connect().await;
    for byte in b"PUT /seats HTTP/1.1\r\nhost: x\r\n\r\n" {
        slow.send([*byte]).await;
    }
    slow.answer().await.assert_problem(405, "method_not_allowed");
    let mut neither = server.connect().await;
    neither.send("PRINT /seats HTTP/1.1\r\nhost: x\r\n\r\n").await;
    neither.rest().await;
}

#[tokio::test]
async fn a_request_has_one_host_in_http_2_too() {
    let server = Server::start();
    let mut client = Http2Client::to(&server).await;
    for (stream, host, is_ok) in [(1, "x", true), (3, "y", false)] {
        let block = [get("/seats"), field("host", host)].concat();
        client.0.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)).await;
        assert_eq!(client.is_ok(stream).await, is_ok, "{host}");
    }
    let block = [get("/seats"), field("x-request-id", "a"), field("x-request-id", "b")].concat();
    client.0.send(frame(HEADERS, END_HEADERS | END_STREAM, 5, &block)).await;
    assert!(!client.is_ok(5).await);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_and_the_connection_goes_on() {
    let server = Server::start();
    let mut client = Http2Client::to(&server).await;
    let block = [get("/seats"), field("x-large", &"a".repeat(HEAD_LEN_MAX))].concat();
    let (first, rest) = block.split_at(10_000);
    client.0.send(frame(HEADERS, END_STREAM, 1, first)).await;
    client.0.send(frame(CONTINUATION, END_HEADERS, 1, rest)).await;
    client.ask(3, "/seats").await;
    loop {
        let frame = client.frame().await.expect("the connection goes on");
        assert!(!(frame.kind == HEADERS && frame.stream == 1 && frame.payload[0] == OK), "{frame:?}");
        if frame.kind == HEADERS && frame.stream == 3 {
            assert_eq!(frame.payload[0], OK);
            break;
        }
    }
}

#[tokio::test]
async fn requests_of_http_2_have_places_as_connections_have() {
    let two = Limits { max_per_address: Some(2), ..limits(100, PATIENCE, PATIENCE, PATIENCE) };
    for server in [Server::with(limits(2, PATIENCE, PATIENCE, PATIENCE)), Server::with(two)] {
        let mut client = Http2Client::to(&server).await;
        client.ask(1, "/wait").await;
        server.waiting.notified().await;
        // The connection and the request that waits take both places.
        client.ask(3, "/seats").await;
        assert!(!client.is_ok(3).await);
        server.get("/seats").await.assert_problem(503, "overloaded");
        server.release.notify_one();
        assert!(client.is_ok(1).await);
        for stream in (5..).step_by(2) {
            client.ask(stream, "/seats").await;
            if client.is_ok(stream).await {
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_idle_connection_of_http_2_is_closed_and_one_with_a_request_is_not() {
    let server = Server::with(limits(10, PATIENCE, SHORT, PATIENCE));
    let mut waiting = Http2Client::to(&server).await;
    waiting.ask(1, "/wait").await;
    server.waiting.notified().await;
    let mut idle = Http2Client::to(&server).await;
    idle.ask(1, "/seats").await;
    assert!(idle.is_ok(1).await);
    idle.until(GOAWAY).await;
    idle.until_closed().await;
    // The first connection has been silent for longer than that.
    server.release.notify_one();
    assert!(waiting.is_ok(1).await);

    let server = Server::with(limits(10, SHORT, PATIENCE, PATIENCE));
    let mut silent = Http2Client::to(&server).await;
    silent.until_closed().await;
    let mut half = server.connect().await;
    half.send(&PREFACE[..10]).await;
    half.rest().await;
}

#[tokio::test]
async fn a_client_that_takes_its_requests_back_again_and_again_is_closed() {
    let server = Server::start();
    let mut client = Http2Client::to(&server).await;
    let mut flood = Vec::new();
    for number in 0..2_000 {
        let stream = 2 * number + 1;
        flood.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &get("/wait")));
        flood.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    client.0.send(flood).await;
    client.until_closed().await;
    assert_eq!(server.get("/seats").await.status, 200);
}

#[tokio::test]
async fn a_client_that_does_not_read_one_stream_loses_it_and_keeps_the_others() {
    let server = Server::start();
    let mut client = Http2Client::to(&server).await;
    // The connection may be sent much, and each stream what it may be sent by default.
    client.0.send(frame(WINDOW_UPDATE, 0, 0, &0x0100_0000_u32.to_be_bytes())).await;
    client.ask(1, "/flood").await;
    client.ask(3, "/wait").await;
    let reset = client.until(RST_STREAM).await;
    assert_eq!(reset.stream, 1);
    assert_eq!(server.metrics.streams_dropped.get(), 1);
    server.has_no_streams().await;
    server.release.notify_one();
    assert!(client.is_ok(3).await);
}

#[tokio::test]
async fn requests_of_http_2_that_are_in_progress_at_a_stop_are_finished() {
    let server = Server::start();
    let mut client = Http2Client::to(&server).await;
    client.ask(1, "/wait").await;
    server.waiting.notified().await;
    server.stop.send(true).unwrap();
    let goaway = client.until(GOAWAY).await;
    assert_eq!((goaway.stream, goaway.flags), (0, 0));
    server.release.notify_one();
    assert!(client.is_ok(1).await);
    client.until_closed().await;
    timeout(PATIENCE, server.done).await.unwrap().unwrap().unwrap();
}
