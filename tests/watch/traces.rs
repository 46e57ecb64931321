//! Traces, as a collector gets them.

use crate::support::{START, Server};
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

/// A field of a message: a number, or bytes.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(number) => panic!("{number} is no message"),
        }
    }

    fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Bytes(bytes) => panic!("{bytes:?} is no number"),
        }
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes().to_vec()).unwrap()
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return number;
        }
    }
}

/// The fields of a message in the encoding of Protocol Buffers, in their order.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes)),
            1 => {
                let (number, rest) = bytes.split_first_chunk().unwrap();
                bytes = rest;
                Value::Number(u64::from_le_bytes(*number))
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)).unwrap();
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Value::Bytes(value)
            }
            kind => panic!("there are no values of kind {kind}"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

fn all(message: &[u8], number: u64) -> impl Iterator<Item = Value<'_>> {
    fields(message).into_iter().filter(move |(field, _)| *field == number).map(|(_, value)| value)
}

fn one(message: &[u8], number: u64) -> Option<Value<'_>> {
    all(message, number).next()
}

#[derive(Debug, Clone)]
struct Span {
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    name: String,
    kind: u64,
    began: u64,
    ended: u64,
    attributes: BTreeMap<String, String>,
    has_failed: bool,
}

fn attributes(message: &[u8], number: u64) -> BTreeMap<String, String> {
    let pair = |pair: Value<'_>| {
        let value = one(pair.bytes(), 2).unwrap();
        let value = match one(value.bytes(), 1) {
            Some(text) => text.text(),
            None => one(value.bytes(), 3).unwrap().number().to_string(),
        };
        (one(pair.bytes(), 1).unwrap().text(), value)
    };
    all(message, number).map(pair).collect()
}

fn spans(message: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource_spans in all(message, 1) {
        let resource = attributes(one(resource_spans.bytes(), 1).unwrap().bytes(), 1);
        assert_eq!(resource["service.name"], "frontrow");
        assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
        for scope_spans in all(resource_spans.bytes(), 2) {
            spans.extend(all(scope_spans.bytes(), 2).map(|span| {
                let span = span.bytes();
                let bytes = |number| one(span, number).map_or(Vec::new(), |value| value.bytes().to_vec());
                Span {
                    trace: bytes(1),
                    id: bytes(2),
                    parent: bytes(4),
                    name: one(span, 5).unwrap().text(),
                    kind: one(span, 6).unwrap().number(),
                    began: one(span, 7).unwrap().number(),
                    ended: one(span, 8).unwrap().number(),
                    attributes: attributes(span, 9),
                    has_failed: one(span, 15).is_some(),
                }
            }));
        }
    }
    spans
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_gets_each_request_with_the_batch_that_its_command_was_in() {
    let collector = Collector::start().await;
    let server = Server::with(&[("--otlp-endpoint", &collector.url())]).await;
    let hall = server.hall(1).await;
    let buyer = server.buyer_with("buyer", 1_000_000).await;
    let token = buyer.enter(None).await;
    let parent = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let named = format!("00-{}-{}-00", parent.0, parent.1);
    let answer = buyer.hold_call(&token, hall.seats[0]).header("traceparent", &named).send().await;
    let id = answer.header("x-request-id").unwrap().to_owned();
    answer.expect(201);
    buyer.hold("x", hall.seats[0]).await.problem(403, "token_invalid");
    let metrics = crate::scrape(&server).await;
    assert!(metrics.contains("\nfrontrow_spans_dropped_total 0\n"), "{metrics}");
    // What was not sent yet is sent at the stop.
    server.close().await;

    let spans = collector.spans();
    let held = spans.iter().find(|span| span.attributes.get("frontrow.request_id") == Some(&id)).unwrap();
    assert_eq!((held.name.as_str(), held.kind, held.has_failed), ("POST /api/v1/reservations", 2, false));
    let hex = |digits: &str| u128::from_str_radix(digits, 16).unwrap().to_be_bytes();
    assert_eq!((&*held.trace, &*held.parent), (&hex(parent.0)[..], &hex(parent.1)[8..]));
    assert_eq!(held.attributes["http.request.method"], "POST");
    assert_eq!(held.attributes["http.route"], "/api/v1/reservations");
    assert_eq!(held.attributes["http.response.status_code"], "201");
    let batches: Vec<_> = spans.iter().filter(|span| span.parent == held.id).collect();
    assert_eq!(batches.len(), 1);
    let batch = batches[0];
    assert_eq!((batch.name.as_str(), batch.kind, &batch.trace), ("batch", 1, &held.trace));
    assert_eq!(batch.attributes["frontrow.batch.commands"], "1");
    assert!(batch.attributes.contains_key("frontrow.batch.waited_us"));
    assert!(held.began <= batch.began && batch.began <= batch.ended && batch.ended <= held.ended);
    let start = u64::try_from(START.micros() * 1_000).unwrap();
    assert!((start..start + 3_600_000_000_000).contains(&held.began), "the time is the clock's: {}", held.began);

    let refused = spans.iter().find(|span| span.attributes.contains_key("frontrow.code")).unwrap();
    assert_eq!(refused.attributes["frontrow.code"], "token_invalid");
    assert!(!refused.has_failed, "a refusal is no failure");
    assert!(spans.iter().all(|span| span.name == "batch" || span.name.contains(" /api/v1/")), "no probe, no scrape");
    let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| span.id.clone()).collect();
    assert_eq!(ids.len(), spans.len(), "every span has a number of its own");
    let said = String::from_utf8_lossy(&collector.messages.lock().unwrap().concat()).into_owned();
    assert!(!said.contains(&token) && !said.contains(buyer.secret()), "no secret is in a trace");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_costs_spans_and_nothing_else() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let server = Server::with(&[("--otlp-endpoint", &format!("http://{address}"))]).await;
    let hall = server.hall(1).await;
    server.buyer_with("buyer", 1_000_000).await.buy(hall.seats[0]).await;
    crate::support::eventually("the spans are counted as dropped", async || {
        let text = crate::scrape(&server).await;
        let dropped = text.lines().find_map(|line| line.strip_prefix("frontrow_spans_dropped_total ")).unwrap();
        (dropped != "0").then_some(())
    })
    .await;
    server.close().await;
}
