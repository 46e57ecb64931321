//! HTTP/2 without TLS, by prior knowledge. A request has a place of its own as a connection has, so that the limits of
//! both versions are the same.

use super::{
    BUFFER_LEN_MAX, ConnectionPlace, HEAD_LEN_MAX, LINGER, ListenerState,
    progress::{AnswerProgress, Tasks},
    stream::Stream,
};
use crate::edge::{events::IsEventStream, problem::Problem};
use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::ConnectInfo,
    http::{HeaderValue, Request, Uri, header, uri::PathAndQuery},
    response::{IntoResponse, Response},
};
use hyper::{
    body::{Frame, Incoming, SizeHint},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tower::Service;

/// How many requests of one connection may be in progress.
const REQUESTS_MAX: u32 = 256;
/// How many bytes of one request's body are read ahead, and of all of a connection: the least that HTTP/2 allows.
const BODY_WINDOW_LEN: u32 = 32 * 1_024;
const CONNECTION_WINDOW_LEN: u32 = 65_535;
/// How many requests a client may take back before they were looked at, and how many the server may refuse, until the
/// connection is closed.
const TAKEN_BACK_MAX: usize = 20;
const REFUSED_MAX: usize = 100;
/// How often the client is asked for a sign of life, and how long it has to answer.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_ANSWER_MAX: Duration = Duration::from_secs(20);

/// Serves a connection whose first bytes are those of HTTP/2.
pub(super) async fn serve(
    server: Arc<ListenerState>,
    stream: Stream,
    peer: SocketAddr,
    app: Router,
    mut closing: watch::Receiver<bool>,
) {
    let limits = &server.limits;
    let tasks = Tasks::new(limits.idle_timeout, limits.event_timeout);
    let mut builder = http2::Builder::new(tasks.clone());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(REQUESTS_MAX)
        .max_header_list_size(u32::try_from(HEAD_LEN_MAX).unwrap_or(u32::MAX))
        .initial_stream_window_size(BODY_WINDOW_LEN)
        .initial_connection_window_size(CONNECTION_WINDOW_LEN)
        .max_send_buf_size(BUFFER_LEN_MAX)
        .max_pending_accept_reset_streams(TAKEN_BACK_MAX)
        .max_local_error_reset_streams(REFUSED_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_ANSWER_MAX);
    let for_service = (Arc::clone(&server), tasks.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (server, tasks) = &for_service;
        let place = server.enter(peer.ip());
        let progress = tasks.begin();
        let answer = place.map(|place| {
            make_plain(&mut request);
            request.extensions_mut().insert(ConnectInfo(peer));
            (place, app.clone().call(request.map(Body::new)))
        });
        if answer.is_none() {
            server.metrics.connections_refused.inc();
        }
        let server = Arc::clone(server);
        async move {
            let Some((place, answer)) = answer else {
                return Ok(Problem::overloaded().into_response().map(|body| Placed { body, progress, _place: None }));
            };
            let Ok(answer) = answer.await;
            Ok::<_, Infallible>(placed(answer, place, progress, &server))
        }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut look = pin!(sleep_until(Instant::now() + limits.header_timeout.min(limits.idle_timeout)));
    let mut is_ending = false;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = closing.wait_for(|closing| *closing), if !is_ending => {
                is_ending = true;
                connection.as_mut().graceful_shutdown();
            }
            () = look.as_mut() => {
                let now = Instant::now();
                let idle_since = tasks.idle_since();
                // A new connection has to send a request as soon as one of HTTP/1.1.
                let bound = if tasks.has_begun() { limits.idle_timeout } else { limits.header_timeout };
                let end = idle_since.map_or(now, |since| since) + bound;
                if end > now {
                    look.as_mut().reset(end);
                } else if is_ending {
                    return;
                } else {
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                    // The last answer may still be on its way.
                    look.as_mut().reset(now + if tasks.has_begun() { limits.idle_timeout } else { LINGER });
                }
            }
        }
    }
}

/// Gives a request the form that one of HTTP/1.1 has: with `Host`, a target without it, and one line of cookies.
fn make_plain(request: &mut Request<Incoming>) {
    let uri = request.uri();
    let authority = uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    let target = uri.path_and_query().map(PathAndQuery::as_str).and_then(|target| target.parse::<Uri>().ok());
    let headers = request.headers_mut();
    if let Some(authority) = authority
        && headers.get(header::HOST) != Some(&authority)
    {
        // If there is another `Host`, there are two now, and the request is refused.
        headers.append(header::HOST, authority);
    }
    if headers.get_all(header::COOKIE).iter().nth(1).is_some() {
        let parts: Vec<_> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
        if let Ok(line) = HeaderValue::from_bytes(&parts.join(&b"; "[..])) {
            headers.insert(header::COOKIE, line);
        }
    }
    if let Some(target) = target {
        *request.uri_mut() = target;
    }
}

/// An answer that keeps the place of its request until it is sent. A stream of events has another place.
fn placed(
    answer: Response,
    place: ConnectionPlace,
    progress: Arc<AnswerProgress>,
    server: &ListenerState,
) -> Response<Placed> {
    let is_stream = answer.extensions().get::<IsEventStream>().is_some();
    if is_stream {
        progress.is_of_stream(server.limits.event_timeout, &server.metrics);
    }
    answer.map(|body| Placed { body, progress, _place: (!is_stream).then_some(place) })
}

/// The body of an answer.
struct Placed {
    body: Body,
    progress: Arc<AnswerProgress>,
    _place: Option<ConnectionPlace>,
}

impl HttpBody for Placed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.progress.taken();
        let poll = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(poll, Poll::Ready(Some(Ok(_)))) {
            self.progress.handed_over();
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
