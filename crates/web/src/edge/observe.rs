//! Wraps every request: its id, its time, its metrics, its log line, the headers of every answer, the catching of
//! panics, and the page that a person gets for a problem.
//!
//! Answers below 500 are logged at debug, 500 and slow requests at warn. During an outage there may be thousands of 503
//! a second: each is logged at debug, and their number at warn.

use crate::{
    edge::{
        auth,
        cookies::{FORWARDED_PROTO, Scheme},
        head,
        limit::Outlay,
        problem::{HttpResult, Problem, ProblemCause, ProblemCode, codes},
        query::QueryFields,
        state::SharedState,
        traces::{RequestSpan, Tracer},
    },
    html::PageVisit,
};
use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use frontrow_clock::Clock;
use frontrow_domain::time::Time;
use frontrow_service::metrics::Metrics;
use frontrow_storage::trouble::Trouble;
use std::{
    any::Any,
    cell::RefCell,
    convert::Infallible,
    future::poll_fn,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Layer, Service, service_fn};
use tower_http::cors::CorsLayer;
use uuid::Uuid;

/// The header that carries the request id, in and out.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// How long a client's request id may be, in bytes.
pub const REQUEST_ID_LEN_MAX: usize = 64;
/// The route that unmatched requests are counted under.
const UNMATCHED: &str = "unmatched";
const YEAR_OF_TLS: &str = "max-age=31536000";

tokio::task_local! {
    static CURRENT: Current;
}

struct Current {
    id: RequestId,
    edge: Arc<RequestContext>,
    transport: Transport,
    spent: RefCell<Vec<Outlay>>,
}

/// Whether the client's connection is known to be over TLS, which ends at a trusted proxy.
#[derive(Clone, Copy)]
enum Transport {
    Tls,
    Other,
}

impl Transport {
    fn of(request: &Request, app: Option<&SharedState>) -> Self {
        // Most requests come without the header.
        let app = app.filter(|_| request.headers().contains_key(FORWARDED_PROTO));
        let scheme = app.map(|app| auth::scheme_of(request.headers(), request.extensions(), app));
        if matches!(scheme, Some(Ok(Scheme::Https))) { Self::Tls } else { Self::Other }
    }
}

/// The part of the edge that every request uses.
#[derive(Debug)]
pub struct RequestContext {
    /// The metrics of requests.
    pub metrics: Arc<Metrics>,
    /// The clock for `Retry-After`.
    pub clock: Clock,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// How long a request may take in all before it is answered 503.
    pub request_timeout: Duration,
    /// From this duration on a request is logged as slow.
    pub slow: Duration,
    /// Traces requests, if a collector is configured.
    tracer: Option<Arc<Tracer>>,
    queries: QueryFields,
    /// The bytes that request bodies may still take, over all connections.
    bodies: Arc<Semaphore>,
    unserved: Trouble,
}

/// How many bytes of bodies may be in memory at once by default ([`RequestContext::with_bodies_in_flight`]).
const BODIES_IN_FLIGHT_LEN: usize = 64 * 1_024 * 1_024;

impl RequestContext {
    /// A context without tracing, which takes any query.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, clock: Clock, body_timeout: Duration, request_timeout: Duration) -> Self {
        let slow = Duration::from_secs(1);
        let bodies = Arc::new(Semaphore::new(BODIES_IN_FLIGHT_LEN));
        Self {
            metrics,
            clock,
            body_timeout,
            request_timeout,
            slow,
            tracer: None,
            queries: QueryFields::default(),
            bodies,
            unserved: Trouble::new("requests are answered 503"),
        }
    }

    /// The same context, with tracing.
    #[must_use]
    pub fn traced_by(mut self, tracer: Option<Arc<Tracer>>) -> Self {
        self.tracer = tracer;
        self
    }

    /// The same context, refusing queries with fields that are not among these.
    #[must_use]
    pub fn with_queries(mut self, queries: QueryFields) -> Self {
        self.queries = queries;
        self
    }

    /// The same context, with so many bytes of memory for request bodies.
    #[must_use]
    pub fn with_bodies_in_flight(mut self, len: usize) -> Self {
        self.bodies = Arc::new(Semaphore::new(len.min(Semaphore::MAX_PERMITS)));
        self
    }
}

fn is_request_id(bytes: &[u8]) -> bool {
    (1..=REQUEST_ID_LEN_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

/// The id of one request: visible ASCII, at most [`REQUEST_ID_LEN_MAX`] bytes.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The client's own if it is a good one, else a new one.
    fn of(headers: &HeaderMap) -> Self {
        match headers.get(REQUEST_ID_HEADER) {
            Some(value) if is_request_id(value.as_bytes()) => Self(value.clone()),
            _ => Self::generated(),
        }
    }

    fn generated() -> Self {
        let mut text = Uuid::encode_buffer();
        let text = frontrow_clock::log_id().hyphenated().encode_lower(&mut text);
        Self(HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("unknown")))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or("unknown")
    }
}

/// The id of the request that this task serves; none outside of a request.
#[must_use]
pub fn request_id() -> Option<RequestId> {
    CURRENT.try_with(|current| current.id.clone()).ok()
}

/// The time by the context's clock; none outside of a request.
#[must_use]
pub(crate) fn now() -> Option<Time> {
    CURRENT.try_with(|current| current.edge.clock.now()).ok()
}

/// Records a spending of the current request, to be undone if the server fails to answer it.
pub(super) fn note_outlay(outlay: Outlay) {
    // Outside of a request there is no answer that could fail.
    let _ = CURRENT.try_with(|current| current.spent.borrow_mut().push(outlay));
}

/// How long the current request's body may take; ten seconds outside of a request.
pub(crate) fn body_timeout() -> Duration {
    CURRENT.try_with(|current| current.edge.body_timeout).unwrap_or(Duration::from_secs(10))
}

/// The share of one body in the bytes that all bodies share. It is released on drop.
pub(crate) struct BodyRoom {
    /// None outside of a request: no bytes are shared there.
    edge: Option<Arc<RequestContext>>,
    taken: Option<OwnedSemaphorePermit>,
}

/// Room for the current request's body; nothing is taken yet.
pub(crate) fn body_room() -> BodyRoom {
    BodyRoom { edge: CURRENT.try_with(|current| Arc::clone(&current.edge)).ok(), taken: None }
}

impl BodyRoom {
    /// Reserves `len` more bytes.
    ///
    /// # Errors
    /// 503 `overloaded`: the bodies of other requests have reserved the rest.
    pub(crate) fn take(&mut self, len: usize) -> HttpResult<()> {
        let Some(edge) = &self.edge else { return Ok(()) };
        let len = u32::try_from(len).map_err(Problem::internal)?;
        let permit = Arc::clone(&edge.bodies).try_acquire_many_owned(len).map_err(|_| {
            Problem::overloaded().cause("the bodies of requests in flight take all of bodies_in_flight_mib")
        })?;
        edge.metrics.bodies.inc_by(i64::from(len));
        match &mut self.taken {
            Some(taken) => taken.merge(permit),
            none => *none = Some(permit),
        }
        Ok(())
    }
}

impl Drop for BodyRoom {
    fn drop(&mut self) {
        if let (Some(edge), Some(taken)) = (&self.edge, &self.taken) {
            edge.metrics.bodies.dec_by(i64::try_from(taken.num_permits()).unwrap_or(i64::MAX));
        }
    }
}

/// Wraps every route and fallback of `routes`. Call it last: layers added later are not observed. `cors` applies to
/// refusals too, and its own answers get the headers of every answer. With `app`, a person sees problems as pages.
pub fn instrument(
    routes: Router,
    edge: Arc<RequestContext>,
    cors: Option<CorsLayer>,
    app: Option<SharedState>,
) -> Router {
    routes.layer(ObserveLayer { edge, cors: cors.map(Arc::new), app })
}

#[derive(Clone)]
struct ObserveLayer {
    edge: Arc<RequestContext>,
    cors: Option<Arc<CorsLayer>>,
    app: Option<SharedState>,
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Observe<S> {
        Observe { inner, layer: self.clone() }
    }
}

#[derive(Clone)]
struct Observe<S> {
    inner: S,
    layer: ObserveLayer,
}

impl<S> Service<Request> for Observe<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let app = self.layer.app.as_ref();
        let seen = Seen::of(&request, &self.layer.edge, Transport::of(&request, app));
        let (request, mut visit) = visit_of(request, app);
        let method = request.method().clone();
        let mut checked = head::check(request.version(), request.headers())
            .and_then(|()| self.layer.edge.queries.check(&method, seen.route(), request.uri()));
        // A preflight answered before the routes must have a valid head as well.
        let cors = self.layer.cors.as_ref().filter(|_| checked.is_ok() || method != Method::OPTIONS);
        let mut handle = |request| {
            let handler = mem::replace(&mut checked, Ok(())).map(|()| self.inner.call(request));
            answered(handler, method.clone(), visit.take())
        };
        match cors {
            None => seen.serve(handle(request)),
            Some(cors) => seen.serve(cors.layer(service_fn(handle)).call(request)),
        }
    }
}

/// A request as known before it is served.
struct Seen {
    start: Instant,
    current: Current,
    method: Method,
    route: Option<MatchedPath>,
    span: Option<RequestSpan>,
}

impl Seen {
    fn of(request: &Request, edge: &Arc<RequestContext>, transport: Transport) -> Self {
        let route = request.extensions().get::<MatchedPath>().cloned();
        let tracer = edge.tracer.as_ref();
        Self {
            start: Instant::now(),
            current: Current {
                id: RequestId::of(request.headers()),
                edge: Arc::clone(edge),
                transport,
                spent: RefCell::default(),
            },
            method: request.method().clone(),
            span: tracer.and_then(|tracer| tracer.begin(request, route.as_ref().map(MatchedPath::as_str))),
            route,
        }
    }

    fn route(&self) -> Option<&str> {
        self.route.as_ref().map(MatchedPath::as_str)
    }

    /// Serves the request and completes its answer.
    fn serve<F>(self, handler: F) -> Pin<Box<dyn Future<Output = F::Output> + Send>>
    where
        F: Future<Output = Result<Response, Infallible>> + Send + 'static,
    {
        let Self { start, current, method, route, span } = self;
        let serve = CURRENT.scope(current, async move {
            let Ok(mut response) = handler.await;
            CURRENT.with(|current| {
                finish(current, &mut response, &method, route.as_ref(), start.elapsed());
            });
            Ok(response)
        });
        match span {
            None => Box::pin(serve),
            Some(span) => Box::pin(traced(span, serve)),
        }
    }
}

/// What turns the answer of this request into a page, if it may be one.
fn visit_of(request: Request, app: Option<&SharedState>) -> (Request, Option<PageVisit>) {
    let Some(app) = app.filter(|_| !request.uri().path().starts_with("/api/")) else { return (request, None) };
    let (parts, body) = request.into_parts();
    let visit = PageVisit::of(&parts, app);
    (Request::from_parts(parts, body), visit)
}

/// Answers a request, with a page if that is due. Nothing that a handler does is outside of it: a person sees pages only.
async fn answered<F>(handler: HttpResult<F>, method: Method, visit: Option<PageVisit>) -> Result<Response, Infallible>
where
    F: Future<Output = Result<Response, Infallible>>,
{
    let response = match handler {
        Ok(handler) => guarded(handler, method).await,
        Err(problem) => problem.into_response(),
    };
    Ok(match visit {
        Some(visit) => visit.shown(response),
        None => response,
    })
}

/// Runs a handler within the request's time limit, so that a panic ends only this request.
async fn guarded<F>(handler: F, method: Method) -> Response
where
    F: Future<Output = Result<Response, Infallible>>,
{
    let mut handler = pin!(catch_panic(handler));
    // Most handlers finish at once and need no timer.
    if let Poll::Ready(response) = poll_fn(|cx| Poll::Ready(handler.as_mut().poll(cx))).await {
        return response;
    }
    let edge = CURRENT.with(|current| Arc::clone(&current.edge));
    let _in_flight = InFlight::start(Arc::clone(&edge.metrics));
    let answered = tokio::time::timeout(edge.request_timeout, handler).await;
    answered.unwrap_or_else(|_| too_slow(&method).into_response())
}

/// Serves a traced request, and records the answer in its trace.
async fn traced<F>(mut span: RequestSpan, serve: F) -> Result<Response, Infallible>
where
    F: Future<Output = Result<Response, Infallible>>,
{
    let answer = span.around(serve).await;
    if let Ok(response) = &answer {
        let code = response.extensions().get::<ProblemCode>().map(|code| code.0);
        let id = response.headers().get(REQUEST_ID_HEADER).and_then(|id| id.to_str().ok()).unwrap_or_default();
        span.answered(response.status(), code, id.to_owned());
    }
    answer
}

/// Counts a pending request, even if its client goes away.
struct InFlight(Arc<Metrics>);

impl InFlight {
    fn start(metrics: Arc<Metrics>) -> Self {
        metrics.in_flight.inc();
        Self(metrics)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

/// The answer to a request over the time limit: a read did nothing, any other may have been committed.
fn too_slow(method: &Method) -> Problem {
    let definition = if method.is_safe() { &codes::OVERLOADED } else { &codes::OUTCOME_UNKNOWN };
    Problem::new(definition).cause("the request took longer than request_timeout_seconds")
}

/// Runs a handler so that a panic becomes a 500 and ends only this request.
async fn catch_panic<F: Future<Output = Result<Response, Infallible>>>(handler: F) -> Response {
    let mut handler = pin!(handler);
    let guarded = poll_fn(move |cx| match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx))) {
        Ok(poll) => poll.map(|Ok(response)| Ok(response)),
        Err(panic) => Poll::Ready(Err(panic)),
    });
    match guarded.await {
        Ok(response) => response,
        Err(panic) => Problem::internal(format_args!("a handler panicked: {}", text_of(&*panic))).into_response(),
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("?")
}

macro_rules! log_request {
    ($level:expr, $id:ident, $method:ident, $route:ident, $status:ident, $code:ident, $took:ident) => {
        tracing::event!(
            $level,
            request.id = $id.as_str(),
            method = $method.as_str(),
            route = $route,
            status = $status.as_u16(),
            code = $code,
            duration_us = u64::try_from($took.as_micros()).unwrap_or(u64::MAX),
            "request"
        )
    };
}

fn finish(
    Current { id, edge, transport, spent }: &Current,
    response: &mut Response,
    method: &Method,
    route: Option<&MatchedPath>,
    took: Duration,
) {
    let route = route.map_or(UNMATCHED, MatchedPath::as_str);
    let status = response.status();
    if status.is_server_error() {
        spent.take().into_iter().for_each(Outlay::give_back);
    }
    edge.metrics.request(method.as_str(), route, status.as_u16(), took);
    let code = response.extensions().get::<ProblemCode>().map(|code| code.0);
    if let Some(code) = code {
        edge.metrics.refusal(code);
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID_HEADER, id.0.clone());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if matches!(transport, Transport::Tls) {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(YEAR_OF_TLS));
    }
    // An answer for one caller, or for one moment, must not be cached unless its route says otherwise.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let is_unserved = status == StatusCode::SERVICE_UNAVAILABLE;
    if is_unserved {
        let cause = response.extensions().get::<ProblemCause>().map(|cause| cause.0.as_str());
        edge.unserved.came(&cause.or(code).unwrap_or(route));
    }
    if (status.is_server_error() && !is_unserved) || took >= edge.slow {
        log_request!(tracing::Level::WARN, id, method, route, status, code, took);
    } else {
        log_request!(tracing::Level::DEBUG, id, method, route, status, code, took);
    }
}

#[cfg(test)]
mod tests {
    use super::{RequestId, is_request_id};

    #[test]
    fn a_generated_id_is_one_and_is_not_repeated() {
        let (first, second) = (RequestId::generated(), RequestId::generated());
        assert!(is_request_id(first.as_str().as_bytes()) && first.as_str() != "unknown");
        assert_ne!(first.as_str(), second.as_str());
    }

    #[test]
    fn only_short_visible_ascii_is_taken_as_an_id() {
        assert!(is_request_id(b"req-1"));
        assert!(is_request_id(&[b'a'; 64]));
        for bad in [&b""[..], b"a b", b"a\tb", &[b'a'; 65], "é".as_bytes()] {
            assert!(!is_request_id(bad), "{bad:?}");
        }
    }
}
