//! The HTTP edge over real sockets: what happens to requests that are slow, large, broken or too many.

mod connections;
mod event_streams;
mod http2;
mod requests;

use crate::raw::{RawAnswer, RawClient};
use axum::{
    Json, Router,
    extract::ConnectInfo,
    routing::{get, post},
};
use frontrow_clock::Clock;
use frontrow_domain::{
    id::{RoomId, SeatId},
    money::Money,
    refusal::Refusal,
    time::{Span, Time},
};
use frontrow_service::metrics::Metrics;
use frontrow_testkit::PATIENCE;
use frontrow_web::{
    api::docs,
    edge::{
        events::{self, EventSource, NextEvent, StreamLimits, Streams},
        extract::{Cursor, JsonBody, Limit, OptionalJsonBody, PathId, QueryParams},
        idempotency::IdempotencyKey,
        listener::{self, Limits},
        observe::{self, RequestContext},
        problem::{self, HttpResult, Problem},
    },
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::timeout,
};

const SHORT: Duration = Duration::from_millis(300);
const NOW: Time = Time::from_micros(1_700_000_000_000_000);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    seat_id: SeatId,
    amount: Money,
    buyer: Option<Buyer>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Buyer {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor<SeatId>>,
}

async fn order(JsonBody(order): JsonBody<Order>) -> Json<Value> {
    let name = order.buyer.map(|buyer| buyer.name);
    Json(json!({ "seat_id": order.seat_id, "amount": order.amount, "name": name }))
}

async fn maybe(OptionalJsonBody(order): OptionalJsonBody<Order>) -> Json<Value> {
    Json(json!({ "seat_id": order.map(|order| order.seat_id) }))
}

async fn list(QueryParams(query): QueryParams<ListQuery>) -> Json<Value> {
    Json(json!({ "limit": query.limit.get(), "next_cursor": query.cursor }))
}

async fn held() -> HttpResult<()> {
    let held_until = NOW.plus(Span::from_millis(41_001));
    Err(Refusal::SeatHeld { seat_id: SeatId::new(7), held_until, holder: None }.into())
}

async fn panics() -> HttpResult<()> {
    panic!("the secret is 12345")
}

/// A stream with one event: the last.
struct Quiet(Arc<Notify>);

impl EventSource for Quiet {
    async fn next(&mut self) -> NextEvent {
        self.0.notified().await;
        NextEvent::Last(events::event("last", None, b"{}"))
    }
}

/// A stream with as many events as the client reads.
struct Flood;

impl EventSource for Flood {
    async fn next(&mut self) -> NextEvent {
        NextEvent::Event(events::event("flood", None, &[b'7'; 8 * 1_024]))
    }
}

fn limits(max_connections: usize, header_timeout: Duration, idle_timeout: Duration, drain: Duration) -> Limits {
    Limits {
        max_connections,
        max_per_address: None,
        trusted_proxies: Vec::new(),
        header_timeout,
        body_timeout: PATIENCE,
        idle_timeout,
        event_timeout: SHORT,
        drain,
    }
}

struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    done: JoinHandle<std::io::Result<()>>,
    metrics: Arc<Metrics>,
    /// Lets the handler of `/wait` answer, and the stream of `/quiet` end.
    release: Arc<Notify>,
    /// Notified when the handler of `/wait` is at work.
    waiting: Arc<Notify>,
}

impl Server {
    fn start() -> Self {
        Self::with(limits(100, PATIENCE, PATIENCE, PATIENCE))
    }

    fn with(limits: Limits) -> Self {
        Self::with_bodies(limits, 1_024 * 1_024, SHORT)
    }

    /// A server whose requests' bodies may take so many bytes together, and so long each.
    fn with_bodies(limits: Limits, bodies_in_flight: usize, body_timeout: Duration) -> Self {
        let (release, waiting) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let metrics = Arc::new(Metrics::new());
        let streams = StreamLimits { max_streams: 100, max_per_address: None, keep_alive: PATIENCE };
        let streams = Arc::new(Streams::new(streams, Arc::clone(&metrics)));
        let place = move || streams.enter(IpAddr::from([127, 0, 0, 1]));
        let (flood_place, until) = (place.clone(), Arc::clone(&release));
        let quiet = move || async move { Ok::<_, Problem>(events::answer(place()?, Quiet(until))) };
        let flood = move || async move { Ok::<_, Problem>(events::answer(flood_place()?, Flood)) };
        let (released, at_work) = (Arc::clone(&release), Arc::clone(&waiting));
        let wait = move || async move {
            at_work.notify_one();
            released.notified().await;
            "done"
        };
        let router = Router::new()
            .route("/orders", post(order))
            .route("/maybe", post(maybe))
            .route("/seats", get(list))
            .route("/seats/{seat_id}", get(|PathId(seat): PathId<SeatId>| async move { Json(seat) }))
            .route("/rooms/{room_id}", get(|PathId(room): PathId<RoomId>| async move { Json(room) }))
            .route("/key", post(|_: IdempotencyKey| async { "ok" }))
            .route("/held", get(held))
            .route("/panic", get(panics))
            .route("/unauthorized", get(|| async { Problem::unauthorized() }))
            .route("/peer", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }))
            .route("/wait", get(wait))
            .route("/quiet", get(quiet))
            .route("/flood", get(flood))
            .route("/large", get(|| async { "x".repeat(64 * 1_024) }))
            .merge(docs::routes())
            .fallback(problem::not_found)
            .method_not_allowed_fallback(problem::method_not_allowed);
        let edge = RequestContext::new(Arc::clone(&metrics), Clock::manual(NOW), body_timeout, PATIENCE)
            .with_bodies_in_flight(bodies_in_flight);
        let app = observe::instrument(router, Arc::new(edge), None, None);
        let listener = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let limits = Limits { body_timeout, ..limits };
        let done = tokio::spawn(listener::serve(listener, app, limits, stopped, Arc::clone(&metrics)));
        Self { address, stop, done, metrics, release, waiting }
    }

    /// Waits until the server has taken at least so many bytes for bodies that are not whole yet.
    async fn buffers(&self, bytes: usize) {
        let buffered = async {
            while self.metrics.bodies.get() < i64::try_from(bytes).unwrap() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, buffered).await.unwrap();
    }

    /// Waits until no stream of events is open.
    async fn has_no_streams(&self) {
        let closed = async {
            while self.metrics.streams.get() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, closed).await.unwrap();
    }

    async fn connect(&self) -> RawClient {
        RawClient::to(self.address).await
    }

    /// Sends bytes on a connection of their own and reads the answer.
    async fn ask(&self, request: impl AsRef<[u8]>) -> RawAnswer {
        let mut client = self.connect().await;
        client.send(request).await;
        client.answer().await
    }

    async fn get(&self, target: &str) -> RawAnswer {
        self.ask(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n")).await
    }

    async fn post(&self, target: &str, body: &str) -> RawAnswer {
        self.ask(format!(
            "POST {target} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await
    }
}
