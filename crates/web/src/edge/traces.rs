//! Traces by OTLP over HTTP: how long a request took, and the batches that its commands were decided in.
//!
//! Nothing runs unless a collector is configured. Spans are sent in the background: those that the queue has no room
//! for, or that the collector does not take, are dropped and counted. Traces help to find slow requests; correctness
//! never depends on them.

mod export;
mod spans;

pub use export::{Collector, Sampling, start};

use axum::{
    extract::{ConnectInfo, Request},
    http::{HeaderMap, HeaderName, Method, StatusCode},
};
use export::WAITING_MAX;
use frontrow_clock::{Clock, Ids};
use frontrow_domain::time::Time;
use frontrow_service::{
    metrics::Metrics,
    notes::{self, BatchNote, Notes},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{BatchSpanProcessor, SpanProcessor as _},
};
use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// The header by which a proxy names the trace of a request.
const PARENT_HEADER: HeaderName = HeaderName::from_static("traceparent");
/// Prefix of the traced routes: probes and scrapes are not worth a trace.
const TRACED: &str = "/api/";
/// Requests that take this long are always traced.
const SLOW: Duration = Duration::from_secs(1);
/// Traces requests.
#[derive(Debug)]
pub struct Tracer {
    /// Gathers finished spans and sends them.
    spans: BatchSpanProcessor,
    /// How many spans are not sent yet.
    waiting: Arc<AtomicUsize>,
    choice: Sampling,
    ids: Ids,
    clock: Clock,
    metrics: Arc<Metrics>,
}

impl Tracer {
    /// Begins the trace of a request, or continues the one that a trusted proxy names; none if the route is not traced.
    #[must_use]
    pub fn begin(self: &Arc<Self>, request: &Request, route: Option<&str>) -> Option<RequestSpan> {
        let route = route.filter(|route| route.starts_with(TRACED))?;
        let random = self.ids.secret();
        let (of_trace, rest) = random.split_first_chunk()?;
        let (own, rest) = rest.split_first_chunk()?;
        let (of_batches, _) = rest.split_first_chunk()?;
        let parent = if self.believes(request) { parent(request.headers()) } else { None };
        let trace = parent.map_or(u128::from_be_bytes(*of_trace), |(trace, _)| trace);
        Some(RequestSpan {
            tracer: Arc::clone(self),
            notes: Arc::default(),
            head: Some(Head {
                trace,
                span: u64::from_be_bytes(*own),
                parent: parent.map(|(_, span)| span),
                batches: u64::from_be_bytes(*of_batches),
                method: request.method().clone(),
                route: route.to_owned(),
                began_at: self.clock.wall(),
                began: Instant::now(),
            }),
            answer: None,
        })
    }

    /// Whether the request comes from a trusted proxy. Other clients could choose a trace that is always sampled, or
    /// add their requests to another client's trace.
    fn believes(&self, request: &Request) -> bool {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let proxies = &self.choice.trusted_proxies;
        peer.is_some_and(|ConnectInfo(peer)| proxies.iter().any(|proxy| proxy.contains(peer.ip())))
    }

    /// Whether an ordinary request is sampled. The same for all spans of a trace.
    fn chooses(&self, trace: u128) -> bool {
        trace.is_multiple_of(self.choice.one_in.max(1).into())
    }

    /// Queues the spans of a finished request if there is room for all of them.
    fn export(&self, head: &Head, answer: Option<Answered>, took: Duration, batches: &[BatchNote]) {
        let count = batches.len() + 1;
        let more = |waiting: usize| waiting.checked_add(count).filter(|waiting| *waiting <= WAITING_MAX);
        if self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            self.metrics.spans_dropped.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
            return;
        }
        for span in spans::spans(head, answer, took, batches) {
            self.spans.on_end(span);
        }
    }

    /// Sends the waiting spans, and ends. Blocks its thread for at most this long.
    ///
    /// # Errors
    /// Some spans were not sent within that time.
    pub fn finish(&self, within: Duration) -> OTelSdkResult {
        self.spans.shutdown_with_timeout(within)
    }
}

/// A request as known at its start.
#[derive(Debug)]
struct Head {
    trace: u128,
    span: u64,
    parent: Option<u64>,
    /// The span id of its first batch.
    batches: u64,
    method: Method,
    route: String,
    began_at: Time,
    began: Instant,
}

/// How a request was answered.
#[derive(Debug)]
struct Answered {
    status: StatusCode,
    code: Option<&'static str>,
    request_id: String,
}

/// A traced request. Its trace ends on drop.
#[derive(Debug)]
pub struct RequestSpan {
    tracer: Arc<Tracer>,
    notes: Arc<Notes>,
    head: Option<Head>,
    answer: Option<Answered>,
}

impl RequestSpan {
    /// Runs `serve` so that the engine records the request's batches.
    pub fn around<F: Future>(&self, serve: F) -> impl Future<Output = F::Output> + use<F> {
        notes::watch(Arc::clone(&self.notes), serve)
    }

    /// Records the answer, with the code of its problem if it is one.
    pub fn answered(&mut self, status: StatusCode, code: Option<&'static str>, request_id: String) {
        self.answer = Some(Answered { status, code, request_id });
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        let Some(head) = self.head.take() else { return };
        let (answer, took) = (self.answer.take(), head.began.elapsed());
        let has_failed = answer.as_ref().is_some_and(|answer| answer.status.is_server_error());
        if !has_failed && took < SLOW && !self.tracer.chooses(head.trace) {
            return;
        }
        self.tracer.export(&head, answer, took, &self.notes.batches());
    }
}

/// The trace and the span named by a request's `traceparent` (W3C Trace Context). An invalid header is no reason to
/// refuse the request: it begins a trace of its own. The sampled flag is ignored: buyers could have all their requests
/// traced.
fn parent(headers: &HeaderMap) -> Option<(u128, u64)> {
    let mut values = headers.get_all(PARENT_HEADER).iter();
    let (value, None) = (values.next()?.to_str().ok()?, values.next()) else { return None };
    let mut parts = value.split('-');
    let version = hex(parts.next()?, 2)?;
    let (trace, span, _) = (hex(parts.next()?, 32)?, hex(parts.next()?, 16)?, hex(parts.next()?, 2)?);
    // Later versions may have more parts.
    if version == 0xff || (version == 0 && parts.next().is_some()) || trace == 0 || span == 0 {
        return None;
    }
    Some((trace, u64::try_from(span).ok()?))
}

/// A number of so many hexadecimal digits in lower case.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == digits && text.bytes().all(is_hex)).then(|| u128::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{body::Body, http::HeaderValue};
    use frontrow_service::notes::{BATCHES_MAX, of_queued};
    use opentelemetry::{SpanId, TraceId, trace::Status};
    use opentelemetry_sdk::trace::{SpanData, SpanExporter};
    use std::sync::{Mutex, mpsc};

    /// An event that has not happened by then never will, however busy the machine is.
    const PATIENCE: Duration = Duration::from_mins(4);

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (PARENT_HEADER, HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_proxys_trace_is_gone_on_with_if_it_can_be_read() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        let known = Some((0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 0xb7ad_6b71_6920_3331));
        assert_eq!(parent(&headers(&[&format!("00-{trace}-{span}-01")])), known);
        assert_eq!(parent(&headers(&[&format!("00-{trace}-{span}-00")])), known);
        assert_eq!(parent(&headers(&[&format!("cc-{trace}-{span}-01-more")])), known);
        let zeros = "0".repeat(32);
        for bad in [
            format!("00-{trace}-{span}-01-more"),
            format!("ff-{trace}-{span}-01"),
            format!("00-{zeros}-{span}-01"),
            format!("00-{trace}-{}-01", &zeros[..16]),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{trace}-{span}"),
            format!("00-{trace}é-{span}-01"),
            String::new(),
        ] {
            assert_eq!(parent(&headers(&[&bad])), None, "{bad}");
        }
        let twice = format!("00-{trace}-{span}-01");
        assert_eq!(parent(&headers(&[&twice, &twice])), None);
        assert_eq!(parent(&HeaderMap::new()), None);
    }

    /// An exporter that keeps its spans. It waits at a gate first, if there is one.
    #[derive(Debug, Clone, Default)]
    struct Kept {
        spans: Arc<Mutex<Vec<SpanData>>>,
        gate: Option<Arc<Mutex<mpsc::Receiver<()>>>>,
    }

    impl SpanExporter for Kept {
        async fn export(&self, mut spans: Vec<SpanData>) -> OTelSdkResult {
            if let Some(gate) = &self.gate {
                let _ = gate.lock().unwrap().recv();
            }
            self.spans.lock().unwrap().append(&mut spans);
            Ok(())
        }
    }

    /// A tracer that trusts the proxy 10.0.0.1.
    fn tracer(one_in: u32, kept: &Kept) -> Arc<Tracer> {
        let (ids, clock) = (Ids::from_seed(1), Clock::manual(Time::from_micros(1)));
        let choice = Sampling { one_in, trusted_proxies: vec!["10.0.0.1".parse().unwrap()] };
        let spans = export::gathered(kept.clone());
        Arc::new(Tracer { spans, waiting: Arc::default(), choice, ids, clock, metrics: Arc::new(Metrics::new()) })
    }

    /// All spans that a tracer has exported.
    fn exported(tracer: &Tracer, kept: &Kept) -> Vec<SpanData> {
        tracer.finish(PATIENCE).unwrap();
        std::mem::take(&mut kept.spans.lock().unwrap())
    }

    fn request(peer: &str, parent: Option<&str>) -> Request {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        let parent = parent.map(|parent| HeaderValue::from_str(parent).unwrap());
        request.headers_mut().extend(parent.map(|parent| (PARENT_HEADER, parent)));
        request
    }

    fn serve(tracer: &Arc<Tracer>, route: &str, status: StatusCode) {
        if let Some(mut span) = tracer.begin(&request("192.0.2.1:1", None), Some(route)) {
            span.answered(status, None, "1".to_owned());
        }
    }

    #[test]
    fn of_many_requests_some_are_traced_and_of_the_failed_all() {
        let chosen = |fails: bool| {
            let kept = Kept::default();
            let tracer = tracer(10, &kept);
            (0..200).for_each(|_| serve(&tracer, "/api/v1/points", StatusCode::OK));
            if fails {
                serve(&tracer, "/api/v1/points", StatusCode::SERVICE_UNAVAILABLE);
            }
            serve(&tracer, "/readyz", StatusCode::SERVICE_UNAVAILABLE);
            assert!(tracer.begin(&request("192.0.2.1:1", None), None).is_none());
            exported(&tracer, &kept).len()
        };
        let (without, with) = (chosen(false), chosen(true));
        assert!((1..100).contains(&without), "{without} of 200");
        assert_eq!(with, without + 1, "a failed one is exported, a probe is not");
    }

    #[test]
    fn a_trace_is_continued_for_a_trusted_proxy_alone() {
        let kept = Kept::default();
        let tracer = tracer(10, &kept);
        let chosen = format!("00-{:032x}-{:016x}-01", 10, 7);
        for peer in ["10.0.0.1:1", "[::ffff:10.0.0.1]:1"] {
            drop(tracer.begin(&request(peer, Some(&chosen)), Some("/api/v1/points")));
        }
        // A `traceparent` of an untrusted client changes nothing.
        for _ in 0..200 {
            let stranger = tracer.begin(&request("10.0.0.2:1", Some(&chosen)), Some("/api/v1/points"));
            stranger.unwrap().answered(StatusCode::OK, None, "stranger".to_owned());
        }
        let exported = exported(&tracer, &kept);
        let continued = |span: &&SpanData| span.span_context.trace_id() == TraceId::from(10_u128);
        let proxied: Vec<_> = exported.iter().filter(continued).collect();
        assert_eq!(proxied.len(), 2, "of the proxy's both, of the stranger's none");
        assert!(proxied.iter().all(|span| span.parent_span_id == SpanId::from(7_u64)));
        assert_eq!(proxied[0].status, Status::error("the client went away"), "one whose client went away is exported");
        let strangers = &exported[2..];
        assert!((1..100).contains(&strangers.len()), "{} of 200", strangers.len());
        assert!(strangers.iter().all(|span| span.parent_span_id == SpanId::INVALID));
    }

    #[tokio::test]
    async fn spans_beyond_the_queue_are_dropped_and_counted() {
        let (open, gate) = mpsc::channel();
        let kept = Kept { gate: Some(Arc::new(Mutex::new(gate))), ..Kept::default() };
        let tracer = tracer(1, &kept);
        let with_batches = async || {
            let span = tracer.begin(&request("192.0.2.1:1", None), Some("/api/v1/points")).unwrap();
            span.around(async {
                let ticket = of_queued().unwrap();
                (0..BATCHES_MAX + 5).for_each(|_| ticket.note(Instant::now(), 3, None));
            })
            .await;
        };
        for _ in 0..WAITING_MAX / (BATCHES_MAX + 1) {
            with_batches().await;
        }
        assert!(of_queued().is_none(), "outside of a traced request there is nothing to note");
        assert_eq!(tracer.metrics.spans_dropped.get(), 0);
        with_batches().await;
        assert_eq!(tracer.metrics.spans_dropped.get(), 17);
        drop(open);
        let exported = tokio::task::spawn_blocking(move || exported(&tracer, &kept).len()).await.unwrap();
        assert_eq!(exported, WAITING_MAX / (BATCHES_MAX + 1) * (BATCHES_MAX + 1));
    }
}
