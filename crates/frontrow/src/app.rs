//! Assembles a box office from its settings, serves it, and shuts it down.

mod open;

pub use open::{KEYS_TICK, open, open_for_tool, postgres_settings};

use crate::config::{Config, Database};
use anyhow::Context as _;
use axum::Router;
use frontrow_clock::{Clock, Ids};
use frontrow_domain::time::Span;
use frontrow_line::Peers;
use frontrow_service::{
    house::HouseFolders,
    metrics::Metrics,
    office::{self, DemoAccounts, Loading, OfficeParts, OfficeSettings, OpenedOffice},
    workers,
};
use frontrow_signing::Keyring;
use frontrow_storage::{
    Store,
    check::{self, Report},
    lock::FolderLock,
    sqlite::SqliteStore,
};
use frontrow_web::{
    self, MetricsAt,
    edge::{
        cors,
        events::Streams,
        join::JoinGate,
        kept::Document,
        limit::RateLimits,
        listener, observe,
        state::{AppState, SharedState},
        traces,
    },
    html::{PageAddresses, PageKit, Theme},
};
use std::{io, sync::Arc, thread::JoinHandle, time::Duration};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

/// How long the last traces may take to be sent when the server stops.
const TRACES_SETTLE_MAX: Duration = Duration::from_secs(2);

/// How often the rate limits drop full budgets.
const LIMITS_TICK: Duration = Duration::from_mins(1);

/// A box office that is ready to serve.
#[derive(Debug)]
pub struct RunningApp {
    /// The state that the handlers share.
    pub app: SharedState,
    store: Arc<dyn Store>,
    peers: Arc<dyn Peers>,
    ids: Ids,
    engine: Vec<JoinHandle<()>>,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// Tasks that run as long as the box office is open.
    tasks: JoinSet<()>,
}

/// Assembles a box office from its parts, and loads the lines from their rows.
///
/// # Errors
/// The rows cannot be read, or the engine cannot be started.
pub async fn assemble(
    config: &Config,
    store: Arc<dyn Store>,
    peers: Arc<dyn Peers>,
    keyring: Keyring,
    clock: Clock,
    ids: Ids,
) -> anyhow::Result<RunningApp> {
    let limits = RateLimits::new(&config.rate_limits());
    let parts = OfficeParts { store, peers, keyring, clock, ids };
    assemble_with(config, parts, limits, Loading::AtOnce).await
}

async fn assemble_with(
    config: &Config,
    parts: OfficeParts,
    limits: RateLimits,
    loading: Loading,
) -> anyhow::Result<RunningApp> {
    let demo_accounts = if config.demo { DemoAccounts::Open } else { DemoAccounts::Refused };
    let settings = OfficeSettings {
        policy: config.policy(),
        queue_len: usize::try_from(config.queue_len)?,
        batch_max: usize::try_from(config.batch_max)?,
        lanes: usize::try_from(config.servers.database_lanes)?,
        demo_accounts,
        session_length: Span::from_secs(i64::from(config.session_hours) * 3_600),
        beacon: config.beacon(),
        instance_name: instance_name(config),
        folders: HouseFolders {
            data: match config.database() {
                Database::Sqlite(_) => Some(config.data.clone()),
                Database::Postgres(_) => None,
            },
            backups: config.backup_folder.clone(),
        },
    };
    let (store, peers, ids) = (Arc::clone(&parts.store), Arc::clone(&parts.peers), parts.ids.clone());
    let OpenedOffice { office, engine, metrics, clock } = office::open(parts, settings, loading).await?;
    let app = Arc::new(AppState {
        office,
        limits,
        joins: JoinGate::new(config.join_settings(), &metrics)?,
        streams: Streams::new(config.stream_limits(), Arc::clone(&metrics)),
        service_key: config.load_service_key()?,
        document: Document::new("application/json", serde_json::to_vec(&frontrow_web::api::document(demo_accounts))?),
        pages: PageKit::new(
            config.theme.as_deref().map(Theme::read).transpose()?.unwrap_or_default(),
            PageAddresses {
                public_url: config.public_url.as_ref().map(|url| url.as_str().into()),
                turn_url: config.turn_url.clone(),
            },
        )?,
    });
    Ok(RunningApp { app, store, peers, ids, engine, metrics, clock, tasks: JoinSet::new() })
}

/// The name of this instance for operators: its machine, and the port that it listens on.
fn instance_name(config: &Config) -> String {
    let machine = rustix::system::uname();
    format!("{}:{}", machine.nodename().to_string_lossy(), config.listen.port())
}

/// Locks the data folder, so that only one server uses it. A database shared by instances needs no lock.
///
/// # Errors
/// A server uses the folder, or the folder cannot be used.
pub fn take_folder(config: &Config) -> anyhow::Result<Option<FolderLock>> {
    match config.database() {
        Database::Sqlite(database) => FolderLock::take(&database).map(Some),
        Database::Postgres(_) => Ok(None),
    }
}

/// Checks that a command may open the database beside a running server. Instances over a shared database may have
/// different versions.
///
/// # Errors
/// A server is running, and the schema is older than this program.
pub fn check_beside(config: &Config) -> anyhow::Result<()> {
    match config.database() {
        Database::Sqlite(database) => SqliteStore::check_beside(&database),
        Database::Postgres(_) => Ok(()),
    }
}

/// Checks the books of the configured database, which may be in use. Changes nothing.
///
/// # Errors
/// The database cannot be read.
pub async fn check_books(config: &Config) -> anyhow::Result<Report> {
    match config.database() {
        Database::Sqlite(path) => check::sqlite::run(&path).await,
        Database::Postgres(url) => check::postgres::run(&postgres_settings(config, &url)).await,
    }
}

/// Every route of a box office, with the layers around each request.
#[must_use = "a router serves nothing by itself"]
pub fn router(app: SharedState, config: &Config, metrics: &Arc<Metrics>, clock: Clock) -> Router {
    let edge = Arc::new(edge_of(config, metrics, clock));
    public_router(app, config, edge)
}

fn edge_of(config: &Config, metrics: &Arc<Metrics>, clock: Clock) -> observe::RequestContext {
    observe::RequestContext::new(Arc::clone(metrics), clock, config.body_timeout(), config.request_timeout())
        .with_bodies_in_flight(config.bodies_in_flight())
        .with_queries(frontrow_web::api::query_fields())
}

fn public_router(app: SharedState, config: &Config, edge: Arc<observe::RequestContext>) -> Router {
    let metrics_at = if config.metrics_listen.is_some() { MetricsAt::Apart } else { MetricsAt::Here };
    let routes = frontrow_web::router(SharedState::clone(&app), metrics_at);
    observe::instrument(routes, edge, cors::layer(&config.allowed_origins), Some(app))
}

/// How many connections the metrics listener may have open.
const METRICS_CONNECTIONS_MAX: usize = 32;

/// Serves the metrics on their own listener, if one is set, until `stop` turns true.
async fn serve_metrics(
    app: SharedState,
    config: &Config,
    socket: Option<TcpListener>,
    stop: watch::Receiver<bool>,
    edge: Arc<observe::RequestContext>,
) -> io::Result<()> {
    let Some(socket) = socket else { return Ok(()) };
    let metrics = Arc::clone(&edge.metrics);
    let routes = observe::instrument(frontrow_web::metrics_router(app), edge, None, None);
    let limits = listener::Limits { max_connections: METRICS_CONNECTIONS_MAX, ..config.listener_limits() };
    listener::serve(socket, routes, limits, stop, metrics).await
}

/// Ends the streams of events when `stop` turns true, so that the server does not wait for their clients.
async fn end_streams(app: SharedState, mut stop: watch::Receiver<bool>) {
    // An error says that nothing can stop the server any more but the end of its process.
    let _ = stop.wait_for(|stop| *stop).await;
    app.streams.close();
}

/// Serves until `stop` turns true, then drains: no new requests, requests in progress finish, queued commands are
/// committed.
///
/// # Errors
/// The socket failed, or the drain took longer than the settings allow.
pub async fn serve(
    opened: RunningApp,
    config: &Config,
    socket: TcpListener,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let RunningApp { app, store, peers, ids, engine, metrics, clock, tasks } = opened;
    let bind = |address| listener::bind(address).with_context(|| format!("cannot listen on {address} for the metrics"));
    let metrics_socket = config.metrics_listen.map(bind).transpose()?;
    let (stop_workers, workers_stop) = watch::channel(false);
    let mut workers = workers::start(&app.office, config.retention(), &workers_stop);
    let limited = Arc::clone(&app);
    workers
        .spawn(workers::until(workers_stop.clone(), async move { limited.limits.sweep_for_ever(LIMITS_TICK).await }));
    let tracer = config.otlp_endpoint.clone().map(|collector| {
        let choice = traces::Sampling { one_in: config.otlp_one_in, trusted_proxies: config.trusted_proxies.clone() };
        traces::start(collector, choice, ids, clock.clone(), Arc::clone(&metrics))
    });
    let tracer = tracer.transpose()?;
    let edge = Arc::new(edge_of(config, &metrics, clock).traced_by(tracer.clone()));
    let apart = serve_metrics(Arc::clone(&app), config, metrics_socket, stop.clone(), Arc::clone(&edge));
    let ended = end_streams(Arc::clone(&app), stop.clone());
    let router = public_router(app, config, edge);
    let limits = config.listener_limits();
    let (served, served_apart, ()) = tokio::join!(listener::serve(socket, router, limits, stop, metrics), apart, ended);
    // The engine ends when every queued command is committed and its last user is dropped.
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
    peers.shutdown().await;
    if let Err(error) = store.shutdown().await {
        tracing::warn!(%error, "the database's log was not written back into its file: keep the two together");
    }
    served.and(served_apart).context("the server failed")
}

/// Closes a box office that served no requests: its commands are committed, and the database is closed.
pub async fn close(opened: RunningApp) {
    let RunningApp { app, peers, engine, tasks, .. } = opened;
    drop(tasks);
    drop(app);
    let _ = tokio::task::spawn_blocking(move || join(engine)).await;
    peers.shutdown().await;
}

/// Waits for the lanes to end. A panic has been logged by its thread.
fn join(lanes: Vec<JoinHandle<()>>) {
    for lane in lanes {
        let _ = lane.join();
    }
}
