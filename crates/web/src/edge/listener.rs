//! The accept loop: bounds the number, the size and the duration of connections, of HTTP/1.1 and of HTTP/2.
//!
//! A request whose head arrives in one piece, as nearly every one does, sets no timer: a connection has one timer and
//! checks its state when that fires.

mod body;
mod events;
mod http2;
mod progress;
mod stream;

use crate::edge::{
    by_address::{AddressSlot, ByAddress},
    events::IsEventStream,
    problem::{
        MEDIA_TYPE,
        codes::{self, Definition},
    },
};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    http::{HeaderValue, Method, header},
    response::Response,
};
use body::{LentBody, Next};
use frontrow_service::{metrics::Metrics, net::AddressRange};
use hyper::{body::Body as _, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    future::{Future, poll_fn},
    io,
    net::{IpAddr, SocketAddr},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};
use stream::{Phase, State, Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use tower::Service;

/// How many bytes the first line and the headers of a request may have. There may be a hundred headers.
pub const HEAD_LEN_MAX: usize = 16 * 1_024;
/// How many bytes of a connection's requests are read ahead: a head, or the part of a body that the handler has not
/// read yet.
const BUFFER_LEN_MAX: usize = HEAD_LEN_MAX;
/// How many bytes of answers the kernel may buffer for a connection whose client does not read. Linux doubles it for
/// its own bookkeeping.
const SEND_BUFFER_LEN: u32 = 128 * 1_024;
/// How long to wait after an accept error such as too many open files: doubled each time, up to the maximum.
const BACK_OFF_MIN: Duration = Duration::from_millis(5);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);
/// The limits in time and bytes for reading the rest of a refused request: closing a socket over unread bytes resets
/// it, and the client would lose the answer.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_LEN_MAX: usize = 1_024 * 1_024;
/// How many connections may wait to be accepted. The system may allow fewer (`net.core.somaxconn`).
const BACKLOG_LEN: u32 = 4_096;
/// How many refused connections may linger at once.
const TURNED_AWAY_MAX: usize = 64;

/// The limits of connections.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How many may be open at once.
    pub max_connections: usize,
    /// How many of them may come from one address, or one /64 network of IPv6; none for no such limit.
    pub max_per_address: Option<usize>,
    /// Proxies carry the connections of many clients: they are exempt from the limit by address.
    pub trusted_proxies: Vec<AddressRange>,
    /// How long the head of a request may take to arrive, from its first byte; on a new connection from its start.
    pub header_timeout: Duration,
    /// How long the unread rest of a small body may take to arrive, from the end of its head.
    pub body_timeout: Duration,
    /// How long a connection may stay without a request, or without its client reading an answer.
    pub idle_timeout: Duration,
    /// How long the client of a stream of events may take to read one.
    pub event_timeout: Duration,
    /// How long requests in progress may take to finish after the stop signal.
    pub drain: Duration,
}

/// Listens at `address`, with a backlog for a crowd of connections.
///
/// # Errors
/// The address is taken, or not one of this machine's.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restarted server must not wait for the connections of the one before.
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit it. Without it the kernel lets the buffer of a client that reads nothing grow to
    // megabytes.
    socket.set_send_buffer_size(SEND_BUFFER_LEN)?;
    socket.bind(address)?;
    socket.listen(BACKLOG_LEN)
}

/// Serves `app` until `stop` turns true or its sender is dropped; then finishes the requests in progress within
/// [`Limits::drain`], and returns. Handlers find the client's address as [`ConnectInfo<SocketAddr>`].
///
/// A connection over a limit is answered 503 and closed.
///
/// # Errors
/// None at present: accept errors are logged and retried.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
    metrics: Arc<Metrics>,
) -> io::Result<()> {
    let drain = limits.drain;
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    let mut connections = JoinSet::new();
    let server = Arc::new(ListenerState {
        permits: Arc::new(Semaphore::new(limits.max_connections)),
        by_address: Arc::new(ByAddress::new(
            "max_connections_per_address",
            limits.max_per_address,
            limits.trusted_proxies.clone(),
        )),
        limits,
        metrics,
        http: builder(),
        closing: AtomicBool::new(false),
    });
    let mut back_off = BACK_OFF_MIN;
    let (close, closing) = watch::channel(false);
    let mut stopped = pin!(stop.wait_for(|stop| *stop));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => break,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                // Out of descriptors or memory: closing connections will free some.
                tracing::warn!(%error, back_off_ms = back_off.as_millis(), "accepting connections fails");
                tokio::select! { () = sleep(back_off) => {}, _ = &mut stopped => break }
                back_off = (back_off * 2).min(BACK_OFF_MAX);
                continue;
            }
        };
        back_off = BACK_OFF_MIN;
        let Some(place) = server.enter(peer.ip()) else {
            server.metrics.connections_refused.inc();
            // Beyond this many the socket is closed without an answer.
            if let Ok(permit) = Arc::clone(&turned_away).try_acquire_owned() {
                tokio::spawn(turn_away(socket, permit));
            }
            continue;
        };
        // Finished connections leave the set.
        while connections.try_join_next().is_some() {}
        connections.spawn(serve_connection(Arc::clone(&server), socket, peer, app.clone(), closing.clone(), place));
    }
    drop(listener);
    server.closing.store(true, Relaxed);
    // Without open connections there is no receiver.
    let _ = close.send(true);
    let all_done = async { while connections.join_next().await.is_some() {} };
    if timeout(drain, all_done).await.is_err() {
        tracing::warn!(drain_ms = drain.as_millis(), "stopping with requests in flight");
        connections.shutdown().await;
    }
    Ok(())
}

struct ListenerState {
    permits: Arc<Semaphore>,
    by_address: Arc<ByAddress>,
    limits: Limits,
    metrics: Arc<Metrics>,
    http: http1::Builder,
    /// Whether connections should close; set before they are woken.
    closing: AtomicBool,
}

/// The place of a connection, or of a request of HTTP/2. Released on drop.
struct ConnectionPlace {
    _permit: OwnedSemaphorePermit,
    _slot: AddressSlot,
}

impl ListenerState {
    /// A place for one more connection from this address; none over a limit.
    fn enter(&self, address: IpAddr) -> Option<ConnectionPlace> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        Some(ConnectionPlace { _permit: permit, _slot: ByAddress::enter(&self.by_address, address)? })
    }
}

fn builder() -> http1::Builder {
    let mut http = http1::Builder::new();
    // The limit of a hundred headers is hyper's default: setting one would cost an allocation for each request.
    http.max_header_size(HEAD_LEN_MAX).max_buf_size(BUFFER_LEN_MAX).header_read_timeout(None);
    http
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn turn_away(mut socket: TcpStream, _permit: OwnedSemaphorePermit) {
    refuse(&mut socket, &codes::OVERLOADED).await;
}

/// Why a connection ended.
enum End {
    /// hyper has finished it.
    Finished,
    /// The head of a request arrived too slowly.
    SlowHead,
    /// Nothing happened for too long.
    Idle,
    /// The client speaks HTTP/2.
    Http2,
    /// The answer is a stream of events.
    EventStream(Response),
}

/// What is left to do for a connection that has left hyper's HTTP/1.1.
enum Left {
    Nothing,
    Http2(Stream),
    EventStream(TcpStream, Response),
}

async fn serve_connection(
    server: Arc<ListenerState>,
    socket: TcpStream,
    peer: SocketAddr,
    app: Router,
    closing: watch::Receiver<bool>,
    place: ConnectionPlace,
) {
    // Boxed, so that a stream of events, which may last for hours, has no room of its own for the rest.
    match Box::pin(serve_http1(Arc::clone(&server), socket, peer, app.clone(), closing.clone())).await {
        Left::Nothing => {}
        Left::Http2(stream) => {
            let _open = OpenConnection::new(&server.metrics);
            Box::pin(http2::serve(Arc::clone(&server), stream, peer, app, closing)).await;
        }
        Left::EventStream(socket, answer) => {
            // It has a place among the streams.
            drop((place, app));
            events::serve(socket, answer, closing, &server).await;
        }
    }
}

async fn serve_http1(
    server: Arc<ListenerState>,
    socket: TcpStream,
    peer: SocketAddr,
    app: Router,
    mut closing: watch::Receiver<bool>,
) -> Left {
    let ListenerState { limits, metrics, http, .. } = &*server;
    // Answers are written whole: waiting to fill a packet only delays them.
    if socket.set_nodelay(true).is_err() {
        return Left::Nothing;
    }
    let _open = OpenConnection::new(metrics);
    let state = Arc::new(State::new());
    let for_service = Arc::clone(&state);
    let body_timeout = limits.body_timeout;
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let state = Arc::clone(&for_service);
        state.enter(Phase::Serving);
        let (request, unread) = prepare(request, &state, body_timeout, peer);
        let is_head = request.method() == Method::HEAD;
        let answer = app.clone().call(request);
        async move {
            let mut answer = answer.await;
            if let Ok(stream) = &mut answer
                && stream.extensions().get::<IsEventStream>().is_some()
                && !is_head
            {
                state.leave_with(std::mem::replace(stream, Response::new(Body::empty())));
                return std::future::pending().await;
            }
            if let (Some((expects_continue, deadline)), Ok(answer)) = (unread, &mut answer)
                && body::read_off(&state, expects_continue, deadline).await == Next::Impossible
            {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                state.set_unread(true);
            }
            state.enter(Phase::Idle);
            answer
        }
    });
    let mut connection = http.serve_connection(TokioIo::new(Stream::new(socket, Arc::clone(&state))), service);
    // A timer set for the longer limit would miss the end of a shorter one that begins meanwhile.
    let shorter = limits.header_timeout.min(limits.idle_timeout);
    let mut timer = pin!(sleep_until(state.since() + shorter));
    let mut close_signal = pin!(closing.wait_for(|closing| *closing));
    // This future is a whole task, whose waker never changes: polling the timer and the stop signal once registers them
    // until they fire, so that a request pays for neither.
    let mut registered = false;
    let mut waiting_to_close = false;
    let mut closed = false;
    let mut slow_head_watched = true;
    let end = poll_fn(|cx| {
        if Pin::new(&mut connection).poll(cx).is_ready() {
            return Poll::Ready(End::Finished);
        }
        if state.is_http_2() {
            return Poll::Ready(End::Http2);
        }
        let look = !waiting_to_close || server.closing.load(Relaxed);
        if look && !closed && close_signal.as_mut().poll(cx).is_ready() {
            closed = true;
            Pin::new(&mut connection).graceful_shutdown();
            if Pin::new(&mut connection).poll(cx).is_ready() {
                return Poll::Ready(End::Finished);
            }
        }
        waiting_to_close = true;
        let phase = state.phase();
        if phase == Phase::Leaving
            && let Some(answer) = state.left_with()
        {
            return Poll::Ready(End::EventStream(answer));
        }
        if phase == Phase::Head && !slow_head_watched {
            slow_head_watched = true;
            timer.as_mut().reset(state.since() + shorter);
            registered = false;
        } else if phase != Phase::Head {
            slow_head_watched = false;
        }
        while !registered || timer.is_elapsed() {
            registered = true;
            if timer.as_mut().poll(cx).is_pending() {
                break;
            }
            let (bound, end) = match state.phase() {
                Phase::Head => (limits.header_timeout, End::SlowHead),
                Phase::Idle | Phase::Leaving => (limits.idle_timeout, End::Idle),
                // The duration of a handler is bounded elsewhere.
                Phase::Serving => {
                    timer.as_mut().reset(Instant::now() + limits.idle_timeout);
                    continue;
                }
            };
            let (deadline, now) = (state.since() + bound, Instant::now());
            if deadline <= now {
                return Poll::Ready(end);
            }
            timer.as_mut().reset(deadline.min(now + limits.idle_timeout));
        }
        Poll::Pending
    })
    .await;
    let stream = connection.into_parts().io.into_inner();
    leave(end, stream, &state).await
}

/// A request as handlers get it. If it has a body: whether its client waits for `100 Continue`, and until when its unread
/// rest may arrive. Only such a request, which few are, pays for that.
fn prepare(
    request: hyper::Request<hyper::body::Incoming>,
    state: &Arc<State>,
    body_timeout: Duration,
    peer: SocketAddr,
) -> (Request, Option<(bool, Instant)>) {
    let unread = (!request.body().is_end_stream())
        .then(|| (request.headers().contains_key(header::EXPECT), Instant::now() + body_timeout));
    let mut request = match unread {
        Some(_) => request.map(|body| Body::new(LentBody::new(body, Arc::clone(state)))),
        None => request.map(|_| Body::empty()),
    };
    request.extensions_mut().insert(ConnectInfo(peer));
    (request, unread)
}

/// Ends a connection of HTTP/1.1, or says how it goes on.
async fn leave(end: End, stream: Stream, state: &State) -> Left {
    if matches!(end, End::Http2) {
        let state = Arc::new(State::new());
        // Its phases are tracked request by request.
        state.enter(Phase::Serving);
        return Left::Http2(stream.for_http_2(state));
    }
    let mut socket = stream.into_inner();
    match end {
        End::Finished if state.is_unread() => linger(&mut socket).await,
        End::Finished | End::Idle | End::Http2 => {}
        End::EventStream(answer) => return Left::EventStream(socket, answer),
        // A connection that never sent a byte has no request to answer.
        End::SlowHead if !state.has_read() => {}
        End::SlowHead => refuse(&mut socket, &codes::REQUEST_TIMEOUT).await,
    }
    Left::Nothing
}

/// Answers with the reason, and closes.
async fn refuse(socket: &mut TcpStream, definition: &Definition) {
    if timeout(LINGER, socket.write_all(&answer(definition))).await.is_ok() {
        linger(socket).await;
    }
}

/// Counts an open connection.
struct OpenConnection<'a>(&'a Metrics);

impl<'a> OpenConnection<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.connections.inc();
        Self(metrics)
    }
}

impl Drop for OpenConnection<'_> {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

/// Closes the sending side, and reads until the client has closed too, within bounds.
async fn linger(socket: &mut TcpStream) {
    let rest = async {
        socket.shutdown().await?;
        let mut buffer = [0; 4_096];
        let mut len = 0;
        while len < LINGER_LEN_MAX {
            match socket.read(&mut buffer).await? {
                0 => break,
                read => len += read,
            }
        }
        io::Result::Ok(())
    };
    // In either case the socket is closed now.
    let _ = timeout(LINGER, rest).await;
}

/// A complete answer with `connection: close`, for a request that never reached a handler.
fn answer(definition: &Definition) -> Vec<u8> {
    let Definition { code, status, title, explanation, .. } = definition;
    let body = serde_json::json!({
        "type": format!("/problems/{code}"), "title": title, "status": status, "code": code, "detail": explanation,
    })
    .to_string();
    let retry = if *status == 503 { "retry-after: 1\r\n" } else { "" };
    format!(
        "HTTP/1.1 {status} {title}\r\ncontent-type: {MEDIA_TYPE}\r\ncache-control: no-store\r\n\
         x-content-type-options: nosniff\r\n{retry}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
