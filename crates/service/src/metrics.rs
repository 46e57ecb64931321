//! The server's metrics, for Prometheus.

mod labels;
mod latency;
mod process;
mod text;
mod told;
mod totals;

pub use labels::{CheckOutcome, DeliveryOutcome, Leads, Resting, RoomFigures, Up};
pub use text::MetricsFormat;
pub(crate) use totals::{RequestTotals, percentile};

use arc_swap::ArcSwap;
use frontrow_domain::{
    id::RoomId,
    line::Gate,
    outbox::Consumer,
    retention::Leftover,
    time::{Span, Time},
};
use frontrow_line::{PeerStatus, view::ToldTally};
use frontrow_storage::{EventCounts, StoreError};
use labels::{
    BuildLabels, CodeLabel, ConsumerLabel, DeliveryLabels, EventLabels, KindLabel, OutcomeLabel, RequestLabels,
    RoomLabel, RoomLabels, RouteLabels, ServerLabel,
};
use latency::Latency;
use prometheus_client::{
    encoding::text::{encode_eof, encode_registry},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use told::ToldMetrics;

const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const BATCH_LENS: [f64; 11] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 300.0, 400.0, 500.0];
/// The methods that are counted by name.
const METHODS: [&str; 6] = ["GET", "POST", "PATCH", "DELETE", "PUT", "other"];
/// The statuses with a counter of their own; the last stands for all others.
const STATUSES: [u16; 25] = [
    200, 201, 202, 204, 304, 400, 401, 402, 403, 404, 405, 408, 409, 413, 415, 422, 429, 431, 500, 501, 502, 503, 504,
    505, 0,
];

/// The states of tokens with a count by room.
const COUNTED: [&str; 5] = ["waiting", "offered", "active", "dormant", "missed"];

/// All metrics of the server. Owned by the application, so that two servers fit in one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Metrics of the process, whose names have no prefix.
    process: Registry,
    requests: Family<RequestLabels, Counter>,
    latency: Family<RouteLabels, Latency>,
    routes: ArcSwap<HashMap<String, Arc<RouteMetrics>>>,
    /// Locked while a route or a code gets its metrics.
    adding: Mutex<()>,
    refusals: Family<CodeLabel, Counter>,
    /// The counters of `refusals`, found without a lock.
    codes: ArcSwap<HashMap<&'static str, Counter>>,
    store_errors: Family<KindLabel, Counter>,
    /// How many store errors were reads of a damaged page.
    corrupt_reads: AtomicU64,
    rows_removed: Family<KindLabel, Counter>,
    outbox_events: Family<EventLabels, Gauge>,
    outbox_due: Family<ConsumerLabel, Gauge>,
    deliveries: Family<DeliveryLabels, Counter>,
    join_checks: Family<OutcomeLabel, Counter>,
    rooms: Family<RoomLabels, Gauge>,
    /// The rooms with gauges.
    rooms_shown: Mutex<BTreeSet<RoomId>>,
    resting: Family<RoomLabel, Gauge>,
    caps: Family<RoomLabel, Gauge>,
    gates_open: Family<RoomLabel, Gauge>,
    told: ToldMetrics,
    build: Family<BuildLabels, Gauge>,
    leaders: Family<RoomLabel, Gauge>,
    servers_up: Family<ServerLabel, Gauge>,
    event_lag: Family<ServerLabel, Gauge<f64, AtomicU64>>,
    rebuilds: Family<ServerLabel, Gauge>,
    clock_skew: Family<ServerLabel, Gauge<f64, AtomicU64>>,
    /// Open client connections.
    pub connections: Gauge,
    /// Connections refused because there were too many.
    pub connections_refused: Counter,
    /// Open streams of events.
    pub streams: Gauge,
    /// Events sent on them.
    pub stream_events: Counter,
    /// Streams refused because there were too many.
    pub streams_refused: Counter,
    /// Streams dropped because their clients did not read.
    pub streams_dropped: Counter,
    /// Requests that wait for the engine or the database.
    pub in_flight: Gauge,
    /// How many bytes of memory request bodies take while they are read.
    pub bodies: Gauge,
    /// Commands in one engine batch.
    pub batch_len: Histogram,
    /// Seconds one batch's transaction took.
    pub commit_seconds: Histogram,
    /// Seats held.
    pub holds: Counter,
    /// Seats sold.
    pub sales: Counter,
    /// Payments refunded.
    pub refunds: Counter,
    /// Points topped up, in the currency's minor unit.
    pub points_topped_up: Counter,
    /// Sign-ins that succeeded.
    pub sign_ins_ok: Counter,
    /// Sign-ins with a wrong address or password.
    pub sign_ins_failed: Counter,
    /// Commands refused because the engine's queue was full.
    pub overloads: Counter,
    /// Holds refused from the cache, for a seat that was refused a moment before.
    pub refused_from_memory: Counter,
    /// Spans that a collector of traces has taken.
    pub spans_sent: Counter,
    /// Spans that were dropped: too many waited, or the collector did not take them.
    pub spans_dropped: Counter,
}

/// The metrics of one route, resolved once so that a request finds them without building labels.
#[derive(Debug)]
struct RouteMetrics {
    route: String,
    methods: [OnceLock<MethodMetrics>; METHODS.len()],
}

#[derive(Debug)]
struct MethodMetrics {
    latency: Latency,
    statuses: [OnceLock<Counter>; STATUSES.len()],
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("frontrow"),
            process: Registry::default(),
            requests: Family::default(),
            latency: Family::default(),
            routes: ArcSwap::default(),
            adding: Mutex::new(()),
            refusals: Family::default(),
            codes: ArcSwap::default(),
            store_errors: Family::default(),
            corrupt_reads: AtomicU64::new(0),
            rows_removed: Family::default(),
            outbox_events: Family::default(),
            outbox_due: Family::default(),
            deliveries: Family::default(),
            join_checks: Family::default(),
            rooms: Family::default(),
            rooms_shown: Mutex::default(),
            resting: Family::default(),
            caps: Family::default(),
            gates_open: Family::default(),
            told: ToldMetrics::default(),
            build: Family::default(),
            leaders: Family::default(),
            servers_up: Family::default(),
            event_lag: Family::default(),
            rebuilds: Family::default(),
            clock_skew: Family::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            streams: Gauge::default(),
            stream_events: Counter::default(),
            streams_refused: Counter::default(),
            streams_dropped: Counter::default(),
            in_flight: Gauge::default(),
            bodies: Gauge::default(),
            batch_len: Histogram::new(BATCH_LENS),
            commit_seconds: Histogram::new(SECONDS),
            holds: Counter::default(),
            sales: Counter::default(),
            refunds: Counter::default(),
            points_topped_up: Counter::default(),
            sign_ins_ok: Counter::default(),
            sign_ins_failed: Counter::default(),
            overloads: Counter::default(),
            refused_from_memory: Counter::default(),
            spans_sent: Counter::default(),
            spans_dropped: Counter::default(),
        };
        metrics.register();
        for what in Leftover::ALL {
            metrics.removed(what, 0);
        }
        metrics.erased_accounts(0);
        // Present from the start, so that a rate sees the first failure.
        for kind in StoreError::KINDS {
            metrics.store_errors.get_or_create(&KindLabel { kind }).inc_by(0);
        }
        for outcome in CheckOutcome::ALL {
            metrics.join_checks.get_or_create(&outcome.label()).inc_by(0);
        }
        for consumer in Consumer::ALL {
            metrics.event_counts(consumer, Some(EventCounts::default()));
            metrics.first_event_due_at(consumer, None);
            for outcome in DeliveryOutcome::ALL {
                metrics.deliveries.get_or_create(&DeliveryLabels::of(consumer, outcome)).inc_by(0);
            }
        }
        let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
        metrics.build.get_or_create(&BuildLabels { version: env!("CARGO_PKG_VERSION"), profile }).set(1);
        metrics
    }

    fn register(&mut self) {
        self.process.register_collector(Box::new(process::ProcessMetrics));
        let registry = &mut self.registry;
        registry.register("build_info", "1, with the version of the program", self.build.clone());
        registry.register("http_requests", "Requests by method, route and status", self.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time to the head of the answer",
            Unit::Seconds,
            self.latency.clone(),
        );
        registry.register("problems", "Answers that are problems, by code", self.refusals.clone());
        registry.register("store_errors", "Failures of the database, by kind", self.store_errors.clone());
        registry.register(
            "rows_removed",
            "Rows removed because they were over, and idle accounts erased, by kind",
            self.rows_removed.clone(),
        );
        registry.register(
            "outbox_events",
            "Events that are not delivered: pending ones, and dead letters, which wait for an operator. Each is counted \
             to 10000",
            self.outbox_events.clone(),
        );
        registry.register_with_unit(
            "outbox_due_timestamp",
            "When the first pending event is due, or was; while the outbox cannot be read, the last read at the latest; \
             0 if none is pending",
            Unit::Seconds,
            self.outbox_due.clone(),
        );
        registry.register(
            "join_checks",
            "New places in line that another program was asked about",
            self.join_checks.clone(),
        );
        registry.register("outbox_deliveries", "Deliveries of events by this instance", self.deliveries.clone());
        registry.register("room_tokens", "Living tokens by room and status", self.rooms.clone());
        registry.register(
            "room_resting",
            "1 while a room's line rests because the sale has not opened, 2 while it rests because the sale is over, \
             closed, postponed or cancelled, else 0",
            self.resting.clone(),
        );
        registry.register("room_cap", "How many tokens of a room may be active at once", self.caps.clone());
        registry.register(
            "room_gate_open",
            "1 while a room's gate is open, 0 while it is paused",
            self.gates_open.clone(),
        );
        registry.register(
            "room_leader",
            "1 if this instance moves the line of a room with live tokens",
            self.leaders.clone(),
        );
        registry.register(
            "server_up",
            "1 while this instance can use the server: it is reached, and takes writes",
            self.servers_up.clone(),
        );
        registry.register_with_unit(
            "event_lag",
            "How long ago this instance last received the changes of the others",
            Unit::Seconds,
            self.event_lag.clone(),
        );
        registry.register("line_rebuilds", "How often the lines were read again from the rows", self.rebuilds.clone());
        registry.register_with_unit(
            "clock_skew",
            "How far the clock is ahead: the database's of this machine's, or the system's of the time that is gone by",
            Unit::Seconds,
            self.clock_skew.clone(),
        );
        registry.register("connections", "Open client connections", self.connections.clone());
        registry.register("connections_refused", "Connections over the limit", self.connections_refused.clone());
        registry.register_with_unit(
            "bodies_in_flight",
            "Memory of requests' bodies that are being read",
            Unit::Bytes,
            self.bodies.clone(),
        );
        registry.register(
            "http_requests_in_flight",
            "Requests that wait for the engine or the database",
            self.in_flight.clone(),
        );
        registry.register("batch_len", "Commands in one batch", self.batch_len.clone());
        registry.register_with_unit("commit", "One batch's transaction", Unit::Seconds, self.commit_seconds.clone());
        registry.register("holds", "Seats held", self.holds.clone());
        registry.register("sales", "Seats sold", self.sales.clone());
        registry.register("refunds", "Payments refunded", self.refunds.clone());
        registry.register("points_topped_up", "Points topped up, in minor units", self.points_topped_up.clone());
        registry.register("sign_ins_ok", "Sign-ins that succeeded", self.sign_ins_ok.clone());
        registry.register("sign_ins_failed", "Sign-ins that failed", self.sign_ins_failed.clone());
        registry.register("overloads", "Commands turned away, the queue being full", self.overloads.clone());
        let refused = self.refused_from_memory.clone();
        registry.register("holds_refused_from_memory", "Holds refused without asking the store", refused);
        registry.register("spans_sent", "Spans that a collector of traces has taken", self.spans_sent.clone());
        registry.register("spans_dropped", "Spans that were dropped", self.spans_dropped.clone());
        self.told.register(registry);
        self.register_streams();
    }

    fn register_streams(&mut self) {
        let registry = &mut self.registry;
        registry.register("event_streams", "Open streams of events", self.streams.clone());
        registry.register("events_sent", "Events sent on streams", self.stream_events.clone());
        registry.register("event_streams_refused", "Streams over the limit", self.streams_refused.clone());
        registry.register(
            "event_streams_dropped",
            "Streams whose clients did not read, and were dropped",
            self.streams_dropped.clone(),
        );
    }

    /// Counts one request. `route` is the template, never a client's path. After a route's first request this takes no
    /// lock.
    pub fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        match self.routes.load().get(route) {
            Some(metrics) => self.count(metrics, method, status, took),
            None => self.count(&self.add_route(route), method, status, took),
        }
    }

    fn count(&self, metrics: &RouteMetrics, method: &str, status: u16, took: Duration) {
        let method_slot = method_slot(method);
        let by_method = metrics.methods[method_slot].get_or_init(|| {
            let labels = RouteLabels { method: METHODS[method_slot], route: metrics.route.clone() };
            MethodMetrics { latency: self.latency.get_or_create_owned(&labels), statuses: Default::default() }
        });
        by_method.latency.observe(took);
        let status_slot = status_slot(status);
        by_method.statuses[status_slot]
            .get_or_init(|| {
                self.requests.get_or_create_owned(&RequestLabels {
                    method: METHODS[method_slot],
                    route: metrics.route.clone(),
                    status: STATUSES[status_slot],
                })
            })
            .inc();
    }

    fn add_route(&self, route: &str) -> Arc<RouteMetrics> {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = self.routes.load().get(route) {
            return Arc::clone(found);
        }
        let added = Arc::new(RouteMetrics { route: route.to_owned(), methods: Default::default() });
        let mut routes = HashMap::clone(&self.routes.load());
        routes.insert(route.to_owned(), Arc::clone(&added));
        self.routes.store(Arc::new(routes));
        added
    }

    /// Counts an answer that is a problem. After a code's first answer this takes no lock.
    pub fn refusal(&self, code: &'static str) {
        match self.codes.load().get(code) {
            Some(counter) => _ = counter.inc(),
            None => _ = self.add_code(code).inc(),
        }
    }

    fn add_code(&self, code: &'static str) -> Counter {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = self.refusals.get_or_create_owned(&CodeLabel { code });
        let mut codes = HashMap::clone(&self.codes.load());
        codes.insert(code, counter.clone());
        self.codes.store(Arc::new(codes));
        counter
    }

    /// Counts a failure of the database.
    pub fn store_error(&self, error: &StoreError) {
        self.store_errors.get_or_create(&KindLabel { kind: error.kind() }).inc();
    }

    /// Sets how many reads have met a damaged page since the start.
    pub fn corrupt_reads(&self, reads: u64) {
        let counted = self.corrupt_reads.fetch_max(reads, Ordering::Relaxed);
        if reads > counted {
            self.store_errors.get_or_create(&KindLabel { kind: "corrupt" }).inc_by(reads - counted);
        }
    }

    /// Counts old rows that were removed.
    pub fn removed(&self, what: Leftover, rows: u64) {
        let kind = match what {
            Leftover::Answer => "answer",
            Leftover::Session => "session",
            Leftover::Link => "link",
            Leftover::Block => "block",
            Leftover::LineRecord => "line_record",
            Leftover::Guest => "guest",
            Leftover::Token => "token",
            Leftover::Reservation => "reservation",
        };
        self.rows_removed.get_or_create(&KindLabel { kind }).inc_by(rows);
    }

    /// Counts idle accounts that were erased.
    pub fn erased_accounts(&self, accounts: u64) {
        self.rows_removed.get_or_create(&KindLabel { kind: "account" }).inc_by(accounts);
    }

    /// Sets how many events the outbox has for a consumer; none removes the gauges.
    pub fn event_counts(&self, consumer: Consumer, counts: Option<EventCounts>) {
        let consumer = consumer.name();
        let EventCounts { pending, dead } = counts.unwrap_or_default();
        for (state, count) in [("pending", pending), ("dead", dead)] {
            let labels = EventLabels { consumer, state };
            match counts {
                Some(_) => _ = self.outbox_events.get_or_create(&labels).set(count),
                None => _ = self.outbox_events.remove(&labels),
            }
        }
    }

    /// Sets when a consumer's first pending event is due, or was; none if none is pending.
    pub fn first_event_due_at(&self, consumer: Consumer, due_at: Option<Time>) {
        let labels = ConsumerLabel { consumer: consumer.name() };
        self.outbox_due.get_or_create(&labels).set(due_at.map_or(0, |due_at| due_at.micros() / 1_000_000));
    }

    /// Counts a question to the checker of joins.
    pub fn join_check(&self, outcome: CheckOutcome) {
        self.join_checks.get_or_create(&outcome.label()).inc();
    }

    /// Counts a delivery of an event.
    pub fn delivery(&self, consumer: Consumer, outcome: DeliveryOutcome) {
        self.deliveries.get_or_create(&DeliveryLabels::of(consumer, outcome)).inc();
    }

    /// Sets the gauges of these rooms, and removes those of all others.
    pub fn rooms(&self, rooms: impl IntoIterator<Item = RoomFigures>) {
        let mut shown = self.rooms_shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *shown);
        for figures in rooms {
            let RoomFigures { room, waiting, offered, active, dormant, missed, cap, gate, resting } = figures;
            for (status, count) in COUNTED.into_iter().zip([waiting, offered, active, dormant, missed]) {
                self.rooms.get_or_create(&RoomLabels { room: room.get(), status }).set(count);
            }
            let resting = match resting {
                Resting::No => 0,
                Resting::UntilOpening => 1,
                Resting::SaleOver => 2,
            };
            let label = RoomLabel { room: room.get() };
            self.resting.get_or_create(&label).set(resting);
            self.caps.get_or_create(&label).set(cap);
            self.gates_open.get_or_create(&label).set(i64::from(gate == Gate::Open));
            before.remove(&room);
            shown.insert(room);
        }
        for room in before {
            for status in COUNTED {
                self.rooms.remove(&RoomLabels { room: room.get(), status });
            }
            let label = RoomLabel { room: room.get() };
            for gauges in [&self.resting, &self.caps, &self.gates_open] {
                gauges.remove(&label);
            }
        }
    }

    /// Sets how near the told waits of all rooms were to those that came.
    pub fn told_waits(&self, tallies: impl IntoIterator<Item = ToldTally>) {
        self.told.set(tallies);
    }

    /// Sets whether this instance moves a room's line; none removes the gauge of a room that need not be moved.
    pub fn leader(&self, room: RoomId, leads: Option<Leads>) {
        let label = RoomLabel { room: room.get() };
        match leads {
            Some(leads) => _ = self.leaders.get_or_create(&label).set(i64::from(leads == Leads::Yes)),
            None => _ = self.leaders.remove(&label),
        }
    }

    /// Sets whether a server can be used.
    pub fn server(&self, server: &'static str, up: Up) {
        self.servers_up.get_or_create(&ServerLabel { server }).set(i64::from(up == Up::Yes));
    }

    /// Sets the gauges of the shared queue.
    pub fn peer_status(&self, peer_status: &PeerStatus) {
        self.server("redis", if peer_status.down.is_none() { Up::Yes } else { Up::No });
        let redis = ServerLabel { server: "redis" };
        self.event_lag.get_or_create(&redis).set(peer_status.event_lag.as_secs_f64());
        self.rebuilds.get_or_create(&redis).set(i64::try_from(peer_status.rebuilds).unwrap_or(i64::MAX));
    }

    /// Sets how far a clock is ahead: the `database`'s of this machine's, or the `system`'s (this machine's) of the box
    /// office's.
    pub fn clock_skew(&self, server: &'static str, ahead: Span) {
        self.clock_skew.get_or_create(&ServerLabel { server }).set(seconds(ahead));
    }

    /// Everything in the `OpenMetrics` text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(16 * 1_024);
        // Writing to a string cannot fail.
        let _ = encode_registry(&mut text, &self.registry);
        let _ = encode_registry(&mut text, &self.process);
        let _ = encode_eof(&mut text);
        text
    }

    /// Everything in one of the two text formats.
    #[must_use]
    pub fn render_as(&self, format: MetricsFormat) -> String {
        match format {
            MetricsFormat::OpenMetrics => self.render(),
            MetricsFormat::Prometheus => text::as_prometheus(&self.render()),
        }
    }
}

/// A span in seconds, as a gauge shows it: within some weeks.
fn seconds(span: Span) -> f64 {
    let most = i64::from(i32::MAX);
    f64::from(i32::try_from(span.millis().clamp(-most, most)).unwrap_or(i32::MAX)) / 1_000.0
}

/// The slot of a method; the last stands for all others.
fn method_slot(method: &str) -> usize {
    METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1)
}

fn status_slot(status: u16) -> usize {
    STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len() - 1)
}

#[cfg(test)]
mod tests;
