//! Traces, as a collector gets them.

use axum::{
    body::Body,
    extract::{ConnectInfo, Request},
    http::StatusCode,
};
use frontrow_clock::{Clock, Ids};
use frontrow_service::metrics::Metrics;
use frontrow_testkit::{PATIENCE, START, Server, eventually, servers::port::Port};
use frontrow_web::edge::traces::{self, Sampling};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1 as proto,
};
use prost::Message as _;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// A collector on the loopback address: it keeps the body of each message.
struct Collector {
    address: SocketAddr,
    messages: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Collector {
    async fn start() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, messages) = (socket.local_addr().unwrap(), Arc::<Mutex<Vec<_>>>::default());
        let kept = Arc::clone(&messages);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = socket.accept().await {
                let (mut read, mut buffer) = (Vec::new(), [0; 4_096]);
                let (head, length) = loop {
                    let count = stream.read(&mut buffer).await.unwrap();
                    read.extend(&buffer[..count]);
                    assert!(count > 0, "a message ends early: {}", String::from_utf8_lossy(&read));
                    if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                        let head = String::from_utf8(read[..end].to_vec()).unwrap().to_lowercase();
                        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                        let length: usize = length.parse().unwrap();
                        if read.len() >= end + 4 + length {
                            read.drain(..end + 4);
                            break (head, length);
                        }
                    }
                };
                assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
                assert!(head.contains("content-type: application/x-protobuf"), "{head}");
                assert_eq!(read.len(), length);
                kept.lock().unwrap().push(read);
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            }
        });
        Self { address, messages }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every span that it has got.
    fn spans(&self) -> Vec<Span> {
        let messages = self.messages.lock().unwrap();
        messages.iter().flat_map(|message| spans(message)).collect()
    }
}

/// A span with its attributes by name.
#[derive(Debug, Clone)]
struct Span {
    of: proto::Span,
    attributes: BTreeMap<String, Value>,
}

impl Span {
    fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(Value::StringValue(text)) => Some(text),
            _ => None,
        }
    }

    fn number(&self, name: &str) -> Option<i64> {
        match self.attributes.get(name) {
            Some(Value::IntValue(number)) => Some(*number),
            _ => None,
        }
    }

    fn has_failed(&self) -> bool {
        self.of.status.as_ref().is_some_and(|status| status.code() == proto::status::StatusCode::Error)
    }
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, Value> {
    pairs.into_iter().map(|pair| (pair.key, pair.value.unwrap().value.unwrap())).collect()
}

fn spans(message: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    for of_resource in ExportTraceServiceRequest::decode(message).unwrap().resource_spans {
        let resource = attributes(of_resource.resource.unwrap().attributes);
        assert_eq!(resource["service.name"], Value::StringValue("frontrow".to_owned()));
        assert_eq!(resource["service.version"], Value::StringValue(env!("CARGO_PKG_VERSION").to_owned()));
        assert!(resource.contains_key("service.instance.id"));
        for mut span in of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans) {
            let attributes = attributes(std::mem::take(&mut span.attributes));
            spans.push(Span { of: span, attributes });
        }
    }
    spans
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_gets_each_request_with_the_batch_that_its_command_was_in() {
    let collector = Collector::start().await;
    let server = Server::with(&[("--otlp-endpoint", &collector.url()), ("--trusted-proxies", "127.0.0.1")]).await;
    let hall = server.hall(1).await;
    let buyer = server.buyer_with("buyer", 1_000_000).await;
    let token = buyer.enter(None).await;
    let parent = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let named = format!("00-{}-{}-00", parent.0, parent.1);
    let answer = buyer.hold_call(&token, hall.seats[0]).header("traceparent", &named).send().await;
    let id = answer.header("x-request-id").unwrap().to_owned();
    answer.expect(201);
    buyer.hold("x", hall.seats[0]).await.problem(403, "token_invalid");

    let refusal = |span: &Span| span.text("frontrow.code").is_some();
    let spans = eventually("the spans are with the collector", async || {
        let spans = collector.spans();
        spans.iter().any(refusal).then_some(spans)
    })
    .await;
    let metrics = super::scrape(&server).await;
    assert!(metrics.contains("\nfrontrow_spans_dropped_total 0\n"), "{metrics}");
    server.close().await;

    let held = spans.iter().find(|span| span.text("frontrow.request_id") == Some(&id)).unwrap();
    assert_eq!((&*held.of.name, held.of.kind()), ("POST /api/v1/reservations", proto::span::SpanKind::Server));
    assert!(!held.has_failed());
    let hex = |digits: &str| u128::from_str_radix(digits, 16).unwrap().to_be_bytes();
    assert_eq!((&*held.of.trace_id, &*held.of.parent_span_id), (&hex(parent.0)[..], &hex(parent.1)[8..]));
    assert_eq!(held.text("http.request.method"), Some("POST"));
    assert_eq!(held.text("http.route"), Some("/api/v1/reservations"));
    assert_eq!(held.number("http.response.status_code"), Some(201));
    let batches: Vec<_> = spans.iter().filter(|span| span.of.parent_span_id == held.of.span_id).collect();
    assert_eq!(batches.len(), 1);
    let batch = batches[0];
    assert_eq!((&*batch.of.name, batch.of.kind()), ("batch", proto::span::SpanKind::Internal));
    assert_eq!(batch.of.trace_id, held.of.trace_id);
    assert_eq!(batch.number("frontrow.batch.commands"), Some(1));
    assert!(batch.number("frontrow.batch.waited_us").is_some());
    let times = [&held.of, &batch.of].map(|span| (span.start_time_unix_nano, span.end_time_unix_nano));
    let [(began, ended), (batch_began, batch_ended)] = times;
    assert!(began <= batch_began && batch_began <= batch_ended && batch_ended <= ended, "{times:?}");
    let start = u64::try_from(START.micros() * 1_000).unwrap();
    assert!((start..start + 3_600_000_000_000).contains(&began), "the time is the clock's: {began}");

    let refused = spans.iter().find(|span| refusal(span)).unwrap();
    assert_eq!(refused.text("frontrow.code"), Some("token_invalid"));
    assert!(!refused.has_failed(), "a refusal is no failure");
    let is_ours = |span: &Span| span.of.name == "batch" || span.of.name.contains(" /api/v1/");
    assert!(spans.iter().all(is_ours), "no probe, no scrape");
    let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| span.of.span_id.clone()).collect();
    assert_eq!(ids.len(), spans.len(), "every span has a number of its own");
    let said = String::from_utf8_lossy(&collector.messages.lock().unwrap().concat()).into_owned();
    assert!(!said.contains(&token) && !said.contains(buyer.secret()), "no secret is in a trace");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_trace_is_not_continued() {
    let collector = Collector::start().await;
    // No peer is a proxy that is trusted. The id is one that is always exported.
    let server = Server::with(&[("--otlp-endpoint", &collector.url()), ("--otlp-one-in", "2")]).await;
    let buyer = server.buyer("buyer").await;
    let (trace, span) = (format!("{:032x}", 2), "b7ad6b7169203331");
    let spans = eventually("some requests are exported", async || {
        let call = buyer.call(reqwest::Method::GET, "/points").header("traceparent", &format!("00-{trace}-{span}-01"));
        call.send().await.expect(200);
        let mut spans = collector.spans();
        spans.retain(|span| span.of.name == "GET /api/v1/points");
        (spans.len() >= 3).then_some(spans)
    })
    .await;
    server.close().await;
    for span in &spans {
        assert_eq!(span.of.parent_span_id, [0_u8; 0], "{span:?}");
        assert_ne!(span.of.trace_id, 2_u128.to_be_bytes(), "{span:?}");
    }
    let traces: std::collections::BTreeSet<_> = spans.iter().map(|span| span.of.trace_id.clone()).collect();
    assert_eq!(traces.len(), spans.len(), "each is a trace of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_sent_yet_is_sent_at_the_end() {
    let collector = Collector::start().await;
    let choice = Sampling { one_in: 1, trusted_proxies: Vec::new() };
    let (ids, metrics) = (Ids::from_seed(1), Arc::new(Metrics::new()));
    let clock = Clock::manual(START);
    let tracer = traces::start(collector.url().parse().unwrap(), choice, ids, clock, Arc::clone(&metrics)).unwrap();
    for _ in 0..700 {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(ConnectInfo::<SocketAddr>(collector.address));
        let mut span = tracer.begin(&request, Some("/api/v1/points")).unwrap();
        span.answered(StatusCode::OK, None, "1".to_owned());
    }
    // More than one message takes, and before the time at which it would be sent.
    let patience = PATIENCE;
    tokio::task::spawn_blocking(move || tracer.finish(patience)).await.unwrap().unwrap();
    assert_eq!(collector.spans().len(), 700);
    assert_eq!((metrics.spans_sent.get(), metrics.spans_dropped.get()), (700, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_costs_spans_and_nothing_else() {
    let nothing_listens_there = Port::take();
    let endpoint = format!("http://127.0.0.1:{}", nothing_listens_there.number());
    let server = Server::with(&[("--otlp-endpoint", &endpoint)]).await;
    let hall = server.hall(1).await;
    server.buyer_with("buyer", 1_000_000).await.buy(hall.seats[0]).await;
    eventually("the spans are counted as dropped", async || {
        let text = super::scrape(&server).await;
        let dropped = text.lines().find_map(|line| line.strip_prefix("frontrow_spans_dropped_total ")).unwrap();
        (dropped != "0").then_some(())
    })
    .await;
    server.close().await;
}
