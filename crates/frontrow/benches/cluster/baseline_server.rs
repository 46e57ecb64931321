//! The usual way behind HTTP: the server's own listener, edge, sign-in and parsing, and another way to the database.
//! Positions are asked of Redis with `ZRANK`.

use anyhow::{Context as _, Result};
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Method, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use frontrow::{app, config::Cli};
use frontrow_clock::{Clock, Ids};
use frontrow_domain::id::{RoomId, SeatId};
use frontrow_service::metrics::Metrics;
use frontrow_testkit::bench::baseline::{Baseline, BaselineError, SendMode};
use frontrow_web::edge::{
    auth::{QueueToken, SignedIn},
    extract::{JsonBody, PathText},
    idempotency::IdempotencyKey,
    listener, observe,
    problem::{HttpResult, Problem},
    state::SharedState,
};
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::{net::TcpListener, sync::watch};

/// The sorted set that a room's line is.
pub(crate) fn line_key(room: RoomId) -> String {
    format!("usual:line:{}", room.get())
}

/// The stored part of a token: its user and its state.
pub(crate) fn token_key(room: RoomId, place: i64) -> String {
    format!("usual:token:{}:{place}", room.get())
}

/// The set of a room's active tokens.
pub(crate) fn active_key(room: RoomId) -> String {
    format!("usual:active:{}", room.get())
}

/// The state of the handlers.
#[derive(Clone)]
struct Desk {
    app: SharedState,
    way: Baseline,
    redis: Arc<[MultiplexedConnection]>,
    turn: Arc<AtomicUsize>,
}

impl axum::extract::FromRef<Desk> for SharedState {
    fn from_ref(desk: &Desk) -> Self {
        Self::clone(&desk.app)
    }
}

/// The addresses of the servers.
pub(crate) struct Addresses<'a> {
    pub(crate) database: &'a str,
    pub(crate) redis: &'a str,
    /// A folder for what the settings ask one for.
    pub(crate) data: &'a str,
    /// Connections to the database.
    pub(crate) connections: usize,
}

/// Serves until the process ends, and prints its address as the server does.
///
/// # Errors
/// A server is gone.
pub(crate) async fn serve(places: &Addresses<'_>, flags: &[&str]) -> Result<()> {
    let args = ["frontrow", "serve", "--data", places.data, "--database-url", places.database];
    let config = Cli::load(args.iter().chain(flags).map(|arg| (*arg).into()))?.config;
    // Sessions and signatures are checked as the server checks them, from its memory.
    let opened = app::open(&config, Clock::System, Ids::from_os()).await?;
    let client = redis::Client::open(places.redis)?;
    let mut redis = Vec::new();
    for _ in 0..4 {
        redis.push(client.get_multiplexed_async_connection().await?);
    }
    let desk = Desk {
        app: Arc::clone(&opened.app),
        way: Baseline::connect(places.database, places.connections, SendMode::OneByOne)?,
        redis: redis.into(),
        turn: Arc::new(AtomicUsize::new(0)),
    };
    let router = Router::new()
        .route("/api/v1/reservations", post(hold))
        .route("/api/v1/queue/tokens/{token}/position", get(position))
        .route("/api/v1/queue/looked-up/{token}/position", get(looked_up))
        .with_state(desk);
    let metrics = Arc::new(Metrics::new());
    let edge = observe::RequestContext::new(
        Arc::clone(&metrics),
        Clock::System,
        config.body_timeout(),
        config.request_timeout(),
    );
    let router = observe::instrument(router, Arc::new(edge), None, None);
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    println!("the usual way listens on http://{}", socket.local_addr()?);
    let (_never, stop) = watch::channel(false);
    listener::serve(socket, router, config.listener_limits(), stop, metrics).await.context("the server failed")
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HoldRequest {
    seat_id: SeatId,
}

async fn hold(
    State(desk): State<Desk>,
    SignedIn { caller, user_id }: SignedIn,
    QueueToken(token): QueueToken,
    key: IdempotencyKey,
    JsonBody(request): JsonBody<HoldRequest>,
) -> HttpResult<Response> {
    let key = key.bind(caller, &Method::POST, "/reservations", &[], &request)?;
    let key = key.ok_or_else(|| Problem::invalid_parameter("Idempotency-Key", "A hold needs a key here."))?;
    // A client that goes away must not leave half a transaction on a connection of the pool.
    let done = tokio::spawn(async move { desk.way.hold(user_id, token.id, request.seat_id, key).await }).await;
    Ok(match done.map_err(Problem::internal)? {
        Ok(body) => answer(StatusCode::CREATED, "application/json", body),
        Err(BaselineError::Refused(code)) => {
            let body = format!("{{\"status\":409,\"code\":\"{code}\"}}");
            answer(StatusCode::CONFLICT, "application/problem+json", body)
        }
        Err(BaselineError::Failed(text)) => return Err(Problem::internal(text)),
    })
}

#[derive(Serialize)]
struct PositionBody {
    status: &'static str,
    position: i64,
    ahead: i64,
    estimated_wait: WaitBody,
    deadline: Option<i64>,
    poll_after_ms: i64,
    message: Option<String>,
    as_of: frontrow_domain::time::Time,
    stale: bool,
}

#[derive(Serialize)]
struct WaitBody {
    known: bool,
    reason: &'static str,
}

/// One command: the rank. The signature tells the rest.
async fn position(State(desk): State<Desk>, PathText(token): PathText) -> HttpResult<Response> {
    let signed = desk.app.office.verify_token(&token).await.map_err(Problem::from)?;
    let rank: Option<i64> = redis::cmd("ZRANK")
        .arg(line_key(signed.id.room_id))
        .arg(signed.id.position.0)
        .query_async(&mut desk.connection()?)
        .await
        .map_err(Problem::internal)?;
    desk.answer(signed.id.position.0, rank)
}

/// As the brief describes it: the token is read from Redis, and the wait reckoned from the rank and from how many are
/// active. Three commands in one round trip.
async fn looked_up(State(desk): State<Desk>, PathText(token): PathText) -> HttpResult<Response> {
    let signed = desk.app.office.verify_token(&token).await.map_err(Problem::from)?;
    let (room, place) = (signed.id.room_id, signed.id.position.0);
    let (kept, rank, active): ((Option<String>, Option<String>), Option<i64>, i64) = redis::pipe()
        .cmd("HMGET")
        .arg(token_key(room, place))
        .arg("user_id")
        .arg("status")
        .cmd("ZRANK")
        .arg(line_key(room))
        .arg(place)
        .cmd("SCARD")
        .arg(active_key(room))
        .query_async(&mut desk.connection()?)
        .await
        .map_err(Problem::internal)?;
    if kept.1.as_deref() != Some("waiting") || active < 0 {
        return Err(Problem::internal("the token is not kept"));
    }
    desk.answer(place, rank)
}

impl Desk {
    fn connection(&self) -> HttpResult<MultiplexedConnection> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.redis.len();
        self.redis.get(turn).cloned().ok_or_else(|| Problem::internal("no connection"))
    }

    fn answer(&self, position: i64, rank: Option<i64>) -> HttpResult<Response> {
        let body = PositionBody {
            status: "waiting",
            position,
            ahead: rank.unwrap_or_default(),
            estimated_wait: WaitBody { known: false, reason: "measuring" },
            deadline: None,
            poll_after_ms: 30_000,
            message: None,
            as_of: self.app.office.now(),
            stale: false,
        };
        let body = serde_json::to_string(&body).map_err(Problem::internal)?;
        Ok(answer(StatusCode::OK, "application/json", body))
    }
}

/// A handler that does nothing, behind nothing: what HTTP and the client alone leave of the machine.
///
/// # Errors
/// The server failed.
pub(crate) async fn serve_bare(body: &str) -> Result<()> {
    let body: &'static str = body.to_owned().leak();
    let router: Router =
        Router::new().fallback(move || async move { ([(header::CONTENT_TYPE, "application/json")], body) });
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    println!("a bare handler listens on http://{}", socket.local_addr()?);
    Ok(axum::serve(socket, router).await?)
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, kind)], Body::from(body)).into_response()
}
