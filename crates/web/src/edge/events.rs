//! Streams of events (`text/event-stream`): how many may be open, how an event is written, and how a stream ends.
//!
//! A stream is a body that is made event by event, when the client has taken the one before: a client that reads slowly
//! gets the newest state when it reads again, and nothing waits for it but one event.

mod body;

use crate::edge::{
    by_address::{AddressSlot, ByAddress},
    observe,
    problem::{HttpResult, Problem, codes},
};
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};
use body::EventStreamBody;
use frontrow_domain::time::Time;
use frontrow_service::metrics::Metrics;
use std::{
    future::Future,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// [`StreamLimits::keep_alive`], unless a test sets another: proxies give a silent connection up after 30 seconds or more.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a client may take to read one event before it is dropped, unless a test sets another time.
pub const EVENT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long clients wait before they open a stream again: at least this, and a part of the spread.
const RETRY_MIN_MS: u64 = 1_000;
const RETRY_SPREAD_MS: u64 = 5_000;
/// The header by which a client says which event was its last.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How many streams may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// Of all clients.
    pub max_streams: usize,
    /// Of one address, or one /64 network of IPv6; none for no such limit.
    pub max_per_address: Option<usize>,
    /// After how much silence a comment is sent: proxies keep the connection, and a client that takes it lives.
    pub keep_alive: Duration,
}

/// The open streams of a server.
#[derive(Debug)]
pub struct Streams {
    places: Arc<Semaphore>,
    by_address: Arc<ByAddress>,
    keep_alive: Duration,
    closing: watch::Sender<bool>,
    opened: AtomicU64,
    metrics: Arc<Metrics>,
}

/// The place of one stream, released on drop.
#[derive(Debug)]
pub struct StreamPlace {
    _place: OwnedSemaphorePermit,
    _slot: AddressSlot,
    keep_alive: Duration,
    closing: watch::Receiver<bool>,
    retry_ms: u64,
    metrics: Arc<Metrics>,
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.metrics.streams.dec();
    }
}

impl Streams {
    /// No streams yet.
    #[must_use]
    pub fn new(limits: StreamLimits, metrics: Arc<Metrics>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limits.max_streams.min(Semaphore::MAX_PERMITS))),
            // The client's address is known here, behind proxies too: none is exempt.
            by_address: Arc::new(ByAddress::new("max_streams_per_address", limits.max_per_address, Vec::new())),
            keep_alive: limits.keep_alive,
            closing: watch::channel(false).0,
            opened: AtomicU64::new(0),
            metrics,
        }
    }

    /// A place for one more stream of this client.
    ///
    /// # Errors
    /// 503 `too_many_streams`: there are as many as there may be, of all clients or of this address.
    pub fn enter(&self, client: IpAddr) -> HttpResult<StreamPlace> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok();
        let Some((place, slot)) = place.zip(ByAddress::enter(&self.by_address, client)) else {
            self.metrics.streams_refused.inc();
            return Err(Problem::new(&codes::TOO_MANY_STREAMS));
        };
        self.metrics.streams.inc();
        Ok(StreamPlace {
            _place: place,
            _slot: slot,
            keep_alive: self.keep_alive,
            closing: self.closing.subscribe(),
            retry_ms: spread(self.opened.fetch_add(1, Ordering::Relaxed)),
            metrics: Arc::clone(&self.metrics),
        })
    }

    /// Ends all streams in good order: each client is told when to come back. Those that are opened later end at once.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }
}

/// When the client of this stream comes back: spread evenly, whatever the number of streams.
fn spread(number: u64) -> u64 {
    // The golden ratio's part of each number: neighbours are far apart, and any run of them covers the whole evenly.
    let part = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    RETRY_MIN_MS + ((part * RETRY_SPREAD_MS) >> 32)
}

/// What a source sends next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextEvent {
    /// An event, and others after it.
    Event(Bytes),
    /// An event that the client has already: nothing is sent.
    Known,
    /// The last event.
    Last(Bytes),
    /// Nothing: the stream ends.
    End,
}

/// Where the events of a stream come from.
pub trait EventSource: Send + Unpin + 'static {
    /// Waits for the next event. Nothing may be lost if the future is dropped.
    fn next(&mut self) -> impl Future<Output = NextEvent> + Send;

    /// Notes that the client has taken what was sent last.
    fn note_taken(&mut self) {}
}

/// An event as it is written. Neither the name nor the data may have a line break.
#[must_use]
pub fn event(name: &str, id: Option<&str>, data: &[u8]) -> Bytes {
    let mut text = Vec::with_capacity(name.len() + id.map_or(0, str::len) + data.len() + 24);
    text.extend_from_slice(b"event: ");
    text.extend_from_slice(name.as_bytes());
    if let Some(id) = id {
        text.extend_from_slice(b"\nid: ");
        text.extend_from_slice(id.as_bytes());
    }
    text.extend_from_slice(b"\ndata: ");
    text.extend_from_slice(data);
    text.extend_from_slice(b"\n\n");
    text.into()
}

/// The id of the last event that the client has; none if it sends none.
#[must_use]
pub fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    headers.get(LAST_EVENT_ID)?.to_str().ok().filter(|id| !id.is_empty())
}

/// Marks an answer whose body is a stream of events.
#[derive(Debug, Clone, Copy)]
pub(super) struct IsEventStream;

/// The answer that is the stream of this source.
pub fn answer<S: EventSource>(place: StreamPlace, source: S) -> Response {
    let mut response = Response::new(Body::new(EventStreamBody::new(place, source)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // nginx would collect events before it sends them.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    if let Some(date) = observe::now().and_then(http_date) {
        headers.insert(header::DATE, date);
    }
    response.extensions_mut().insert(IsEventStream);
    response
}

fn http_date(now: Time) -> Option<HeaderValue> {
    let now = jiff::Timestamp::from_microsecond(now.micros()).ok()?;
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok()?;
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_as_browsers_read_it() {
        assert_eq!(event("turn", Some("7"), b"{\"a\":1}"), "event: turn\nid: 7\ndata: {\"a\":1}\n\n");
        assert_eq!(event("reload", None, b"{}"), "event: reload\ndata: {}\n\n");
    }

    #[test]
    fn a_date_is_written_as_http_has_it() {
        let date = http_date(Time::from_micros(784_111_777_000_000)).unwrap();
        assert_eq!(date, "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn clients_come_back_spread_over_seconds() {
        let mut retries: Vec<_> = (0..1_000).map(spread).collect();
        assert!(retries.iter().all(|retry| (1_000..6_000).contains(retry)));
        retries.sort_unstable();
        let widest = retries.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(widest <= 20, "no gap of the 5 seconds is wide: {widest}");
    }

    #[tokio::test]
    async fn there_are_as_many_streams_as_there_may_be_of_all_and_of_one_address() {
        let metrics = Arc::new(Metrics::new());
        let limits = StreamLimits { max_streams: 3, max_per_address: Some(2), keep_alive: KEEP_ALIVE };
        let streams = Streams::new(limits, Arc::clone(&metrics));
        let enter = |address: &str| streams.enter(address.parse().unwrap());
        let first = enter("192.0.2.1").unwrap();
        let second = enter("192.0.2.1").unwrap();
        assert_eq!(enter("192.0.2.1").unwrap_err().code(), "too_many_streams");
        let other = enter("192.0.2.2").unwrap();
        assert_eq!(enter("192.0.2.3").unwrap_err().code(), "too_many_streams");
        assert_eq!((metrics.streams.get(), metrics.streams_refused.get()), (3, 2));
        drop((first, other));
        let again = enter("192.0.2.1").unwrap();
        drop((second, again));
        assert_eq!(metrics.streams.get(), 0);
    }
}
