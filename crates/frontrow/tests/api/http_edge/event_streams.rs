//! Streams of events at the edge: what keeps one, and what ends it.

use super::{SHORT, Server, limits};
use frontrow_testkit::PATIENCE;
use tokio::{io::AsyncReadExt, time::timeout};

#[tokio::test]
async fn a_client_that_does_not_read_its_events_is_dropped() {
    let server = Server::start();
    let mut client = server.connect().await;
    client.send("GET /flood HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let dropped = async {
        while server.metrics.streams_dropped.get() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, dropped).await.unwrap();
    server.has_no_streams().await;
    // It gets what the system had taken for it, and the end.
    let _ = timeout(PATIENCE, client.0.read_to_end(&mut Vec::new())).await.unwrap();
}

#[tokio::test]
async fn a_stream_has_no_place_among_the_connections_and_lasts_longer_than_they_may_be_idle() {
    let server = Server::with(limits(1, PATIENCE, SHORT, PATIENCE));
    let mut stream = server.connect().await;
    stream.send("GET /quiet HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let head = stream.head().await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("connection: close\r\n"), "{head}");
    assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
    // The one connection that there may be is used, becomes idle and is closed; the stream stays.
    let mut other = server.connect().await;
    other.send("GET /seats HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(other.answer().await.status, 200);
    assert_eq!(other.closed().await, b"");
    server.release.notify_one();
    let rest = stream.rest().await;
    assert!(rest.contains("event: last\ndata: {}\n\n"), "{rest}");
    server.has_no_streams().await;
}

#[tokio::test]
async fn a_stream_ends_when_its_client_goes_or_says_too_much() {
    let server = Server::start();
    let mut stream = server.connect().await;
    stream.send("GET /quiet HTTP/1.1\r\nhost: x\r\n\r\n").await;
    stream.head().await;
    drop(stream);
    server.has_no_streams().await;
    let mut stream = server.connect().await;
    stream.send("GET /quiet HTTP/1.1\r\nhost: x\r\n\r\n").await;
    stream.head().await;
    stream.send(vec![b'x'; 64 * 1_024]).await;
    stream.rest().await;
    server.has_no_streams().await;
}

#[tokio::test]
async fn answers_before_a_stream_are_sent_before_it() {
    let server = Server::start();
    let mut client = server.connect().await;
    // The answers fill the system's buffers while the client does not read.
    let large = "GET /large HTTP/1.1\r\nhost: x\r\n\r\n".repeat(20);
    client.send(format!("{large}GET /quiet HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    for _ in 0..20 {
        assert_eq!(client.next_body().await, 64 * 1_024);
    }
    assert!(client.head().await.contains("text/event-stream"));
    server.release.notify_one();
    assert!(client.rest().await.contains("event: last"));
}
