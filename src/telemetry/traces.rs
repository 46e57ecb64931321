//! Traces by OTLP over HTTP: how long a request took, and the batches that its commands were decided in.
//!
//! Nothing of it runs unless a collector is named. Spans travel in the background: those that the queue has no room for,
//! or that the collector does not take, are dropped and counted. A trace helps to find what is slow; no book rests on it.

mod export;
mod wire;

pub use export::{Collector, start};

use super::Metrics;
use crate::clock::{Clock, Ids};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use frontrow_domain::time::Time;
use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// The header by which a proxy says which trace a request belongs to.
const PARENT_HEADER: HeaderName = HeaderName::from_static("traceparent");
/// The routes whose requests are traced begin like this: probes and scrapes are not worth a trace.
const TRACED: &str = "/api/";
/// Requests that take as long are traced whatever their number.
const SLOW: Duration = Duration::from_secs(1);
/// How many batches of one request are told. A command that is given again has several.
const BATCHES_MAX: usize = 16;

tokio::task_local! {
    static CURRENT: Arc<Notes>;
}

/// What the engine notes of a request's commands.
#[derive(Debug, Default)]
struct Notes(Mutex<Vec<BatchNote>>);

/// One batch that a command of a request was in.
#[derive(Debug, Clone, Copy)]
struct BatchNote {
    queued: Instant,
    began: Instant,
    ended: Instant,
    len: usize,
    fault: Option<&'static str>,
}

/// A command of a traced request, on its way through the engine.
#[derive(Debug)]
pub struct Ticket {
    notes: Arc<Notes>,
    queued: Instant,
}

/// A ticket for a command that is given now; none unless the task serves a traced request.
#[must_use]
pub fn ticket() -> Option<Ticket> {
    CURRENT.try_with(|notes| Ticket { notes: Arc::clone(notes), queued: Instant::now() }).ok()
}

impl Ticket {
    /// Notes that the command was in a batch of `len` commands, whose transaction ends now. `fault` is the kind of its
    /// failure.
    pub fn note(&self, began: Instant, len: usize, fault: Option<&'static str>) {
        let mut notes = self.notes.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < BATCHES_MAX {
            notes.push(BatchNote { queued: self.queued, began, ended: Instant::now(), len, fault });
        }
    }
}

/// Traces requests.
#[derive(Debug)]
pub struct Tracer {
    requests: mpsc::Sender<Finished>,
    /// Of so many requests one is traced, beside the slow and the failed.
    one_in: u32,
    ids: Ids,
    clock: Clock,
    metrics: Arc<Metrics>,
}

impl Tracer {
    /// Begins the trace of a request, or goes on with the one that a proxy names; none for a route that is not traced.
    #[must_use]
    pub fn begin(self: &Arc<Self>, method: &Method, route: Option<&str>, headers: &HeaderMap) -> Option<RequestSpan> {
        let route = route.filter(|route| route.starts_with(TRACED))?;
        let random = self.ids.secret();
        let (of_trace, rest) = random.split_first_chunk()?;
        let (own, rest) = rest.split_first_chunk()?;
        let (of_batches, _) = rest.split_first_chunk()?;
        let parent = parent(headers);
        let trace = parent.map_or(u128::from_be_bytes(*of_trace), |(trace, _)| trace);
        Some(RequestSpan {
            tracer: Arc::clone(self),
            notes: Arc::default(),
            head: Some(Head {
                trace,
                span: u64::from_be_bytes(*own),
                parent: parent.map(|(_, span)| span),
                batches: u64::from_be_bytes(*of_batches),
                name: format!("{method} {route}"),
                method: method.clone(),
                route: route.to_owned(),
                began_at: self.clock.wall(),
                began: Instant::now(),
            }),
            answer: None,
        })
    }

    /// Whether a request is among those that are traced though nothing is wrong with it. The same for all spans of a trace.
    fn chooses(&self, trace: u128) -> bool {
        trace.is_multiple_of(self.one_in.max(1).into())
    }
}

/// What is known of a request when it begins.
#[derive(Debug)]
struct Head {
    trace: u128,
    span: u64,
    parent: Option<u64>,
    /// The number of its first batch's span.
    batches: u64,
    name: String,
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

/// A request that is over.
#[derive(Debug)]
struct Finished {
    head: Head,
    /// None if its client went away before.
    answer: Option<Answered>,
    took: Duration,
    batches: Vec<BatchNote>,
}

/// A request that is traced. It is over when this is dropped.
#[derive(Debug)]
pub struct RequestSpan {
    tracer: Arc<Tracer>,
    notes: Arc<Notes>,
    head: Option<Head>,
    answer: Option<Answered>,
}

impl RequestSpan {
    /// Serves the request so that the engine knows that it is traced.
    pub fn around<F: Future>(&self, serve: F) -> impl Future<Output = F::Output> + use<F> {
        CURRENT.scope(Arc::clone(&self.notes), serve)
    }

    /// Notes the answer, with the code of the problem where it is one.
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
        let batches = std::mem::take(&mut *self.notes.0.lock().unwrap_or_else(PoisonError::into_inner));
        let spans = spans(&batches);
        if self.tracer.requests.try_send(Finished { head, answer, took, batches }).is_err() {
            self.tracer.metrics.spans_dropped.inc_by(spans);
        }
    }
}

/// How many spans a request has: its own, and one for each batch.
fn spans(batches: &[BatchNote]) -> u64 {
    u64::try_from(batches.len()).map_or(u64::MAX, |batches| batches.saturating_add(1))
}

/// The trace and the span that a request's `traceparent` names, as W3C's Trace Context has it. What cannot be read is no
/// reason to refuse the request: it begins a trace of its own. Whether the other side traces does not count: buyers could
/// have all their requests traced.
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
    use axum::http::HeaderValue;

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

    /// A tracer and what it hands over.
    fn tracer(one_in: u32, room: usize) -> (Arc<Tracer>, mpsc::Receiver<Finished>, Arc<Metrics>) {
        let (requests, finished) = mpsc::channel(room);
        let metrics = Arc::new(Metrics::new());
        let (ids, clock) = (Ids::from_seed(1), Clock::manual(Time::from_micros(1)));
        (Arc::new(Tracer { requests, one_in, ids, clock, metrics: Arc::clone(&metrics) }), finished, metrics)
    }

    fn serve(tracer: &Arc<Tracer>, route: &str, status: StatusCode) {
        if let Some(mut span) = tracer.begin(&Method::GET, Some(route), &HeaderMap::new()) {
            span.answered(status, None, "1".to_owned());
        }
    }

    #[test]
    fn of_many_requests_some_are_traced_and_of_the_failed_all() {
        let (tracer, mut finished, _) = tracer(10, 1_000);
        (0..200).for_each(|_| serve(&tracer, "/api/v1/points", StatusCode::OK));
        let chosen = finished.len();
        assert!((1..100).contains(&chosen), "{chosen} of 200");
        serve(&tracer, "/api/v1/points", StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(finished.len(), chosen + 1);
        serve(&tracer, "/readyz", StatusCode::SERVICE_UNAVAILABLE);
        assert!(tracer.begin(&Method::GET, None, &HeaderMap::new()).is_none());
        assert_eq!(finished.len(), chosen + 1, "probes are not traced");
        let gone = tracer.begin(
            &Method::GET,
            Some("/api/v1/points"),
            &headers(&[&format!("00-{}-{}-01", "0".repeat(31) + "a", "1".repeat(16))]),
        );
        drop(gone);
        let last = std::iter::from_fn(|| finished.try_recv().ok()).last().unwrap();
        assert_eq!((last.head.trace, last.answer.is_none()), (10, true), "one whose client went away is told as well");
    }

    #[tokio::test]
    async fn what_has_no_room_is_dropped_and_counted_with_its_batches() {
        let (tracer, finished, metrics) = tracer(1, 1);
        serve(&tracer, "/api/v1/points", StatusCode::OK);
        let span = tracer.begin(&Method::GET, Some("/api/v1/points"), &HeaderMap::new()).unwrap();
        span.around(async {
            let ticket = ticket().unwrap();
            (0..BATCHES_MAX + 5).for_each(|_| ticket.note(Instant::now(), 3, None));
        })
        .await;
        drop(span);
        assert!(ticket().is_none(), "outside of a traced request there is nothing to note");
        assert_eq!((finished.len(), metrics.spans_dropped.get()), (1, 17));
    }
}
