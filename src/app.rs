//! Puts a box office together from its settings, serves it, and takes it apart again.

mod memory;
mod open;

pub use open::{open, open_for_tool, postgres_settings};

use crate::{
    clock::{Clock, Ids},
    config::Config,
    engine::{Engine, EngineLimits},
    flow::{BoxOffice, DemoAccounts, Followers, endings::Endings},
    http::{self, App, MetricsAt, Shared, cors, kept::Document, limit::RateLimits, listener, observe},
    passwords::Passwords,
    queue::{Queue, token::Keyring},
    store::{Page, Sharing, Store},
    telemetry::{Metrics, traces},
    workers,
};
use anyhow::Context as _;
use axum::Router;
use frontrow_domain::{id::AuditId, time::Span};
use memory::Memory;
use std::{
    io,
    sync::{Arc, Mutex, atomic::AtomicI64},
    thread::JoinHandle,
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

/// How long the last traces may take to be sent when the server stops.
const TRACES_SETTLE_MAX: Duration = Duration::from_secs(2);

/// A box office that is ready to serve.
#[derive(Debug)]
pub struct Opened {
    /// What the handlers share.
    pub app: Shared,
    engine: Vec<JoinHandle<()>>,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// What goes on as long as the box office is open.
    tasks: JoinSet<()>,
}

/// Puts a box office together from its parts, and lays the lines from their rows.
///
/// # Errors
/// The rows cannot be read, or the engine cannot be started.
pub async fn assemble(
    config: &Config,
    store: Arc<dyn Store>,
    queue: Arc<dyn Queue>,
    keyring: Keyring,
    clock: Clock,
    ids: Ids,
) -> anyhow::Result<Opened> {
    let limits = RateLimits::new(config);
    assemble_with(config, Parts { store, queue, keyring, clock, ids, limits, laying: Laying::AtOnce }).await
}

/// What a box office is put together from.
struct Parts {
    store: Arc<dyn Store>,
    queue: Arc<dyn Queue>,
    keyring: Keyring,
    clock: Clock,
    ids: Ids,
    limits: RateLimits,
    laying: Laying,
}

/// When the lines are laid from their rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Laying {
    /// Before anything else.
    AtOnce,
    /// Each when somebody asks for it.
    WhenAsked,
}

async fn assemble_with(config: &Config, parts: Parts) -> anyhow::Result<Opened> {
    let Parts { store, queue, keyring, clock, ids, limits, laying } = parts;
    let clock = clock.steady();
    let metrics = Arc::new(Metrics::new());
    let followers = Arc::new(Followers::new(u64::from_le_bytes(first_eight(ids.secret())), store.sharing()));
    let memory = Memory::new(&store, &queue, &followers, &metrics);
    let audited = store.audit(Page { after: None, limit: 1 }).await?;
    let audited = audited.first().map_or(AuditId::new(0), |line| line.audit_id);
    if laying == Laying::AtOnce {
        if let Some(outage) = store.resume().await? {
            let (seconds, grace) = (outage.to.since(outage.from).millis() / 1_000, outage.grace.millis() / 1_000);
            tracing::info!(seconds, grace, "the box office was closed: turns and holds last longer by that time");
        }
        memory.lay().await?;
    }
    let engine_limits = EngineLimits {
        queue_len: usize::try_from(config.queue_len)?,
        batch_max: usize::try_from(config.batch_max)?,
        // Several lanes tell their commits in any order: that is for a queue that can put them right.
        lanes: match (store.sharing(), queue.sharing()) {
            (Sharing::Shared, Sharing::Shared) => usize::try_from(config.servers.database_lanes)?,
            _ => 1,
        },
    };
    let (engine, threads) = Engine::start(&store, engine_limits, Arc::clone(&metrics), &(Arc::new(memory) as _))?;
    let demo_accounts = if config.demo { DemoAccounts::Open } else { DemoAccounts::Refused };
    let office = Arc::new(BoxOffice {
        store,
        queue,
        engine,
        keyring,
        followers,
        passwords: Passwords::new()?,
        clock: clock.clone(),
        ids,
        rules: config.rules(),
        demo_accounts,
        session_length: Span::from_secs(i64::from(config.session_hours) * 3_600),
        metrics: Arc::clone(&metrics),
        clock_skew: AtomicI64::new(0),
        company_faults: Mutex::default(),
        endings: Endings::default(),
        laying: tokio::sync::Mutex::default(),
        audited,
    });
    let app = Arc::new(App {
        office,
        limits,
        service_key: config.load_service_key()?,
        document: Document::new("application/json", serde_json::to_vec(&http::api_document(demo_accounts))?),
    });
    Ok(Opened { app, engine: threads, metrics, clock, tasks: JoinSet::new() })
}

fn first_eight(secret: [u8; 32]) -> [u8; 8] {
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(secret) {
        *to = from;
    }
    first
}

/// Every route of a box office, with what surrounds each request.
#[must_use = "a router serves nothing by itself"]
pub fn router(app: Shared, config: &Config, metrics: &Arc<Metrics>, clock: Clock) -> Router {
    let edge = Arc::new(edge_of(config, metrics, clock));
    public_router(app, config, edge)
}

fn edge_of(config: &Config, metrics: &Arc<Metrics>, clock: Clock) -> observe::Edge {
    observe::Edge::new(Arc::clone(metrics), clock, config.body_timeout(), config.request_timeout())
        .with_bodies_in_flight(config.bodies_in_flight())
        .with_queries(http::query_fields())
}

fn public_router(app: Shared, config: &Config, edge: Arc<observe::Edge>) -> Router {
    let routes = http::router(app, MetricsAt::of(config));
    observe::observe(routes, edge, cors::layer(&config.allowed_origins))
}

/// How many connections those who read the metrics may have open.
const METRICS_CONNECTIONS_MAX: usize = 32;

/// Serves the metrics on a listener of their own, if one is set, until `stop` says true.
async fn serve_metrics(
    app: Shared,
    config: &Config,
    socket: Option<TcpListener>,
    stop: watch::Receiver<bool>,
    edge: Arc<observe::Edge>,
) -> io::Result<()> {
    let Some(socket) = socket else { return Ok(()) };
    let metrics = Arc::clone(&edge.metrics);
    let routes = observe::observe(http::metrics_router(app), edge, None);
    let limits = listener::Limits { max_connections: METRICS_CONNECTIONS_MAX, ..listener::Limits::new(config) };
    listener::serve(socket, routes, limits, stop, metrics).await
}

/// Serves until `stop` says true, then drains: no new requests, those in flight finish, what waits is committed.
///
/// # Errors
/// The socket failed, or the drain took longer than the settings allow.
pub async fn serve(
    opened: Opened,
    config: &Config,
    socket: TcpListener,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let Opened { app, engine, metrics, clock, tasks } = opened;
    let bind = |address| listener::bind(address).with_context(|| format!("cannot listen on {address} for the metrics"));
    let metrics_socket = config.metrics_listen.map(bind).transpose()?;
    let (stop_workers, workers_stop) = watch::channel(false);
    let mut workers = workers::start(&app, config.retention(), &workers_stop);
    let (store, queue) = (Arc::clone(&app.office.store), Arc::clone(&app.office.queue));
    let tracer = config.otlp_endpoint.clone().map(|collector| {
        let choice = traces::Choice { one_in: config.otlp_one_in, trusted_proxies: config.trusted_proxies.clone() };
        traces::start(collector, choice, app.office.ids.clone(), clock.clone(), Arc::clone(&metrics))
    });
    let tracer = tracer.transpose()?;
    let edge = Arc::new(edge_of(config, &metrics, clock).traced_by(tracer.clone()));
    let apart = serve_metrics(Arc::clone(&app), config, metrics_socket, stop.clone(), Arc::clone(&edge));
    let router = public_router(app, config, edge);
    let limits = listener::Limits::new(config);
    let (served, served_apart) = tokio::join!(listener::serve(socket, router, limits, stop, metrics), apart);
    // The engine goes on until every command that was taken is committed and its last user is gone.
    let _ = stop_workers.send(true);
    while workers.join_next().await.is_some() {}
    let ended = tokio::task::spawn_blocking(move || join(engine));
    let bound = Duration::from_secs(u64::from(config.drain_seconds));
    tokio::time::timeout(bound, ended).await.context("the last batches took too long")??;
    drop(tasks);
    if let Some(tracer) = tracer {
        // The traces of the last requests, if the collector takes them.
        let _ = tokio::task::spawn_blocking(move || tracer.finish(TRACES_SETTLE_MAX)).await;
    }
    queue.settle().await;
    if let Err(error) = store.settle().await {
        tracing::warn!(%error, "the database's log was not emptied: keep it with the file");
    }
    served.and(served_apart).context("the server failed")
}

/// Takes a box office apart that served nobody: what was asked of it is committed, and the database is closed.
pub async fn close(opened: Opened) {
    let Opened { app, engine, tasks, .. } = opened;
    let queue = Arc::clone(&app.office.queue);
    drop(tasks);
    drop(app);
    let _ = tokio::task::spawn_blocking(move || join(engine)).await;
    queue.settle().await;
}

/// Waits for the lanes to end. A panic of one has been reported where it happened.
fn join(lanes: Vec<JoinHandle<()>>) {
    for lane in lanes {
        let _ = lane.join();
    }
}
