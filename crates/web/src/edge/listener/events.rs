//! A stream of events on a connection of HTTP/1.1 that has left hyper: without hyper's buffers thousands of them fit into
//! memory. The answer has no length; it ends with its connection.

use super::ListenerState;
use axum::{body::Body, response::Response};
use http_body_util::BodyExt;
use std::{io, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::watch, time::sleep};

/// How long a client that does not acknowledge what it was sent is kept: one that vanished without a word is gone then,
/// and counts as a sign of life no longer.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(20);
/// How long an event may take when the server stops.
const FAREWELL_MAX: Duration = Duration::from_secs(1);
/// How many bytes a client may send on such a connection; it has nothing to say there.
const RECEIVED_LEN_MAX: usize = 4 * 1_024;

/// Sends the answer, and its events until they end, the client goes, or it does not read.
pub(super) async fn serve(
    mut socket: TcpStream,
    answer: Response,
    mut closing: watch::Receiver<bool>,
    server: &ListenerState,
) {
    give_up_vanished(&socket);
    let head = head(&answer);
    let mut body = answer.into_body();
    if write(&mut socket, &head, &mut closing, server).await.is_err() {
        return;
    }
    let mut received = 0;
    while let Some(part) = next(&mut body, &socket, &mut received).await {
        if write(&mut socket, &part, &mut closing, server).await.is_err() {
            return;
        }
    }
    // The client may have gone.
    let _ = socket.shutdown().await;
}

/// The kernel takes what is sent to a client that has vanished for a quarter of an hour, unless it is told otherwise.
fn give_up_vanished(socket: &TcpStream) {
    #[cfg(target_os = "linux")]
    if let Err(error) = socket2::SockRef::from(socket).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX)) {
        tracing::debug!(%error, "a client that vanishes is noticed late");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = socket;
}

fn head(answer: &Response) -> Vec<u8> {
    let mut head = Vec::with_capacity(512);
    head.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    for (name, value) in answer.headers() {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"connection: close\r\n\r\n");
    head
}

/// The next part; none at the end, or when the client has gone.
async fn next(body: &mut Body, socket: &TcpStream, received: &mut usize) -> Option<bytes::Bytes> {
    tokio::select! {
        biased;
        part = body.frame() => part?.ok()?.into_data().ok(),
        () = gone(socket, received) => None,
    }
}

/// Waits until the client has closed the connection, or says too much.
async fn gone(socket: &TcpStream, received: &mut usize) {
    loop {
        if socket.readable().await.is_err() {
            return;
        }
        match socket.try_read(&mut [0; 256]) {
            Ok(0) => return,
            Ok(len) => *received += len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
        if *received > RECEIVED_LEN_MAX {
            return;
        }
    }
}

/// Writes a part. A client that does not take it in time is dropped.
async fn write(
    socket: &mut TcpStream,
    part: &[u8],
    closing: &mut watch::Receiver<bool>,
    server: &ListenerState,
) -> io::Result<()> {
    let stopped = async {
        // An error says that the server is gone.
        let _ = closing.wait_for(|closing| *closing).await;
        sleep(FAREWELL_MAX).await;
    };
    tokio::select! {
        biased;
        written = socket.write_all(part) => return written,
        () = stopped => {}
        () = sleep(server.limits.event_timeout) => {}
    }
    server.metrics.streams_dropped.inc();
    Err(io::ErrorKind::TimedOut.into())
}
