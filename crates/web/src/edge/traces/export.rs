//! Gathers spans and sends them to a collector: the `OpenTelemetry` SDK does both, in a thread of its own.

use super::Tracer;
use anyhow::Context as _;
use async_trait::async_trait;
use axum::http::Uri;
use frontrow_clock::{Clock, Ids};
use frontrow_service::{metrics::Metrics, net::AddressRange};
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response, hyper::HyperClient};
use opentelemetry_otlp::{Protocol, RetryPolicy, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter},
};
use std::{
    collections::HashMap,
    fmt,
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::runtime::Handle;

/// How many spans may wait to be sent, or for the collector's answer. Each takes about a kilobyte.
pub(super) const WAITING_MAX: usize = 4_096;
/// How many spans one message has at most.
const SPANS_PER_MESSAGE_MAX: usize = 512;
/// How long the first span of a message waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How long sending one message may take, with its answer.
const SEND_MAX: Duration = Duration::from_secs(5);

/// The address of a collector of traces by OTLP over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// The host with its port.
    authority: String,
    path: String,
}

/// The text names no collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be http://HOST:PORT of a collector, such as http://127.0.0.1:4318")]
pub struct NoCollector;

impl FromStr for Collector {
    type Err = NoCollector;

    fn from_str(text: &str) -> Result<Self, NoCollector> {
        let uri: Uri = text.trim().parse().map_err(|_| NoCollector)?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or(NoCollector)?;
        if uri.scheme_str() != Some("http") || uri.query().is_some() || authority.host().is_empty() {
            return Err(NoCollector);
        }
        let authority = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
        Ok(Self { authority, path: format!("{}/v1/traces", uri.path().trim_end_matches('/')) })
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// The choice of traced requests.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// One of so many requests is traced, beside the slow and the failed ones.
    pub one_in: u32,
    /// The proxies whose `traceparent` is trusted.
    pub trusted_proxies: Vec<AddressRange>,
}

/// A tracer that sends its spans to this collector. Call it on the runtime that is to send them.
///
/// # Errors
/// There is no runtime, or the exporter cannot be made.
pub fn start(
    collector: Collector,
    choice: Sampling,
    ids: Ids,
    clock: Clock,
    metrics: Arc<Metrics>,
) -> anyhow::Result<Arc<Tracer>> {
    let instance = ids.uuid(clock.now()).to_string();
    let cause = LastFailure::default();
    let client = OnRuntime::new(Handle::try_current()?, SEND_MAX, Arc::clone(&cause));
    let mut exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(collector.to_string())
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(SEND_MAX)
        .with_http_client(client)
        // With one message a second, a kept connection could be closed just as the next one starts.
        .with_headers(HashMap::from([("connection".to_owned(), "close".to_owned())]))
        // Later spans would wait behind a retry, and a stop as well.
        .with_retry_policy(RetryPolicy::default().with_max_retries(0))
        .build()
        .context("cannot send traces")?;
    exporter.set_resource(
        &Resource::builder_empty()
            .with_service_name("frontrow")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("service.instance.id", instance))
            .build(),
    );
    let waiting = Arc::default();
    let counted = CountingExporter {
        exporter,
        collector,
        waiting: Arc::clone(&waiting),
        metrics: Arc::clone(&metrics),
        lost: AtomicU64::new(0),
        cause,
    };
    Ok(Arc::new(Tracer { spans: gathered(counted), waiting, choice, ids, clock, metrics }))
}

/// Hands spans to the exporter, many at a time.
pub(super) fn gathered<E: SpanExporter + 'static>(exporter: E) -> BatchSpanProcessor {
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(WAITING_MAX)
        .with_max_export_batch_size(SPANS_PER_MESSAGE_MAX)
        .with_scheduled_delay(GATHER);
    BatchSpanProcessor::builder(exporter).with_batch_config(config.build()).build()
}

/// Why the last message was not sent: the library reports only a network error.
type LastFailure = Arc<Mutex<Option<String>>>;

/// Counts the exporter's spans, and logs the beginning and the end of its failures.
#[derive(Debug)]
struct CountingExporter<E> {
    exporter: E,
    collector: Collector,
    waiting: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
    /// How many spans were dropped since the last success.
    lost: AtomicU64,
    cause: LastFailure,
}

impl<E: SpanExporter> SpanExporter for CountingExporter<E> {
    async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        let len = spans.len();
        let count = u64::try_from(len).unwrap_or(u64::MAX);
        let sent = self.exporter.export(spans).await;
        self.waiting.fetch_sub(len, Ordering::Relaxed);
        let collector = &self.collector;
        match &sent {
            Ok(()) => {
                self.metrics.spans_sent.inc_by(count);
                let lost = self.lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tracing::info!(%collector, lost, "traces are sent again");
                }
            }
            Err(error) => {
                self.metrics.spans_dropped.inc_by(count);
                let cause = self.cause.lock().unwrap_or_else(PoisonError::into_inner).take();
                if self.lost.fetch_add(count, Ordering::Relaxed) == 0 {
                    let error = cause.unwrap_or_else(|| error.to_string());
                    tracing::warn!(%collector, error, "traces cannot be sent, and are dropped");
                }
            }
        }
        sent
    }
}

/// A client that runs on the runtime: the SDK's thread, which calls it, is not one of the runtime's.
#[derive(Debug)]
struct OnRuntime {
    runtime: Handle,
    client: HyperClient,
    cause: LastFailure,
}

impl OnRuntime {
    /// A client that abandons a request unless it is fully answered within this time: the SDK's thread waits without a
    /// limit of its own.
    fn new(runtime: Handle, within: Duration, cause: LastFailure) -> Self {
        Self { runtime, client: HyperClient::with_default_connector(within, None), cause }
    }
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let answer = self.runtime.spawn(async move { client.send_bytes(request).await }).await;
        answer.unwrap_or_else(|ended| Err(ended.into())).map_err(|error| {
            let cause = format!("{:#}", anyhow::Error::from_boxed(error));
            *self.cause.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause.clone());
            cause.into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[test]
    fn a_collector_is_named_by_its_address() {
        for (text, shown) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://collector/", "http://collector:80/v1/traces"),
            (" http://[::1]:4318/otlp/ ", "http://[::1]:4318/otlp/v1/traces"),
        ] {
            assert_eq!(text.parse::<Collector>().unwrap().to_string(), shown);
        }
        for bad in
            ["", "collector:4318", "https://collector", "http://a:b@collector", "http://collector/?x=1", "/v1/traces"]
        {
            assert_eq!(bad.parse::<Collector>(), Err(NoCollector), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_message_that_could_not_be_sent_has_a_cause() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = OnRuntime::new(Handle::current(), SEND_MAX, LastFailure::default());
        let request = Request::post(format!("http://{free}/v1/traces")).body(Bytes::new()).unwrap();
        let said = client.send_bytes(request).await.unwrap_err().to_string();
        assert!(said.contains("refused"), "{said}");
        assert_eq!(client.cause.lock().unwrap().as_deref(), Some(&*said));
    }

    #[tokio::test]
    async fn a_collector_that_begins_an_answer_and_stalls_is_given_up() {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/traces", socket.local_addr().unwrap());
        let collector = tokio::spawn(async move {
            let (mut stream, _) = socket.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4_096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n").await;
            std::future::pending::<()>().await;
        });
        let client = OnRuntime::new(Handle::current(), Duration::from_millis(250), LastFailure::default());
        let request = Request::post(url).body(Bytes::from_static(b"spans")).unwrap();
        client.send_bytes(request).await.unwrap_err();
        assert!(client.cause.lock().unwrap().is_some());
        collector.abort();
    }
}
