//! The client of Redis: commands answer or fail within a set time, and fail at once while Redis is down. A Redis that
//! answers and takes no writes, because its memory is full, counts as down: events would be lost, and instances that
//! only read would never know.

pub use super::address::ClientSettings;

use super::address::{self, RedisServers, limited};
use crate::peers::PeersError;
use arc_swap::ArcSwapOption;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisFuture, ServerErrorKind, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, watch};

/// Pause between two attempts to connect.
const RETRY: Duration = Duration::from_millis(250);
/// How often a write is probed. Views that follow events are wrongly called fresh for this long at most, and for as
/// long as the answer takes.
const PROBE_EVERY: Duration = Duration::from_millis(250);
/// How much longer than its own time-out a blocking read may take.
const BLOCKING_MORE: Duration = Duration::from_millis(500);

/// A connection, to one server or to a cluster.
#[derive(Clone)]
enum RedisConnection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for RedisConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

/// A connection that is in use.
struct LiveConnection {
    connection: RedisConnection,
    generation: u64,
}

/// Whether Redis is up and takes writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// It is, over the connection with this number; each new one has a higher number.
    Up(u64),
    /// It is not, for this reason.
    Down(String),
}

struct ClientState {
    server: RedisServers,
    settings: ClientSettings,
    live: ArcSwapOption<LiveConnection>,
    reach: watch::Sender<Reach>,
    /// The connection was lost, or is to be probed.
    probe_requested: Notify,
    generations: AtomicU64,
}

/// The connections of an instance to Redis. A call fails within the response time-out, and at once while Redis is down;
/// one task reconnects.
pub struct RedisClient {
    shared: Arc<ClientState>,
    keeper: tokio::task::AbortHandle,
}

impl std::fmt::Debug for RedisClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisClient").field("reach", &*self.shared.reach.borrow()).finish_non_exhaustive()
    }
}

impl Drop for RedisClient {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl RedisClient {
    /// Connects. A server that is down now is tried again later.
    ///
    /// # Errors
    /// The settings are wrong, or the server refuses what they say: a password, a database number.
    pub async fn open(settings: ClientSettings) -> Result<Self, PeersError> {
        let server = address::parse(&settings)?;
        let (reach, _) = watch::channel(Reach::Down("not connected yet".into()));
        let shared = Arc::new(ClientState {
            server,
            settings,
            live: ArcSwapOption::empty(),
            reach,
            probe_requested: Notify::new(),
            generations: AtomicU64::new(0),
        });
        if let Err(error) = shared.connect().await {
            if is_permanent(&error) {
                return Err(error.into());
            }
            shared.reach.send_replace(Reach::Down(error.to_string()));
        }
        let keeper = tokio::spawn(reconnect_loop(Arc::clone(&shared))).abort_handle();
        Ok(Self { shared, keeper })
    }

    /// Whether Redis is up, with news of each change.
    #[must_use]
    pub fn reach(&self) -> watch::Receiver<Reach> {
        self.shared.reach.subscribe()
    }

    /// Whether Redis was up at the last call or probe.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.shared.live.load().is_some()
    }

    /// The handle that commands are sent over.
    #[must_use]
    pub fn handle(&self) -> RedisHandle {
        RedisHandle(Arc::clone(&self.shared))
    }

    /// A connection of its own for commands that wait in the server, at most `longest`.
    ///
    /// # Errors
    /// Redis is down.
    pub async fn blocking(&self, longest: Duration) -> Result<Blocking, PeersError> {
        let generation = self.shared.live()?.generation;
        let within = longest + BLOCKING_MORE;
        match self.shared.make(within).await {
            Ok(connection) => Ok(Blocking { connection, shared: Arc::clone(&self.shared), generation, within }),
            Err(error) => {
                self.shared.mark_lost(generation, &error);
                Err(error.into())
            }
        }
    }

    /// Requests a write probe now: a write was refused.
    pub fn probe_now(&self) {
        self.shared.probe_requested.notify_one();
    }

    /// Gives the server up as lost, because it is not the one that it should be.
    pub fn disconnect(&self, why: &str) {
        if let Some(live) = self.shared.live.load_full() {
            self.shared.mark_lost(live.generation, &RedisError::from((ErrorKind::Io, "disconnected", why.to_owned())));
        }
    }
}

/// Sends each command over the connection that is in use, within the time-out; fails at once while Redis is down.
/// Clones share it.
#[derive(Clone)]
pub struct RedisHandle(Arc<ClientState>);

impl std::fmt::Debug for RedisHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RedisHandle").field(&*self.0.reach.borrow()).finish()
    }
}

impl ConnectionLike for RedisHandle {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let live = self.0.live()?;
            let mut connection = live.connection.clone();
            let answer = limited(self.0.settings.response_timeout, connection.req_packed_command(cmd)).await;
            let answer = self.0.noted(live.generation, answer)?;
            if let Value::ServerError(error) = &answer {
                self.0.note(live.generation, &RedisError::from(error.clone()));
            }
            Ok(answer)
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let live = self.0.live()?;
            let mut connection = live.connection.clone();
            let answers = connection.req_packed_commands(pipeline, offset, count);
            let answers = limited(self.0.settings.response_timeout, answers).await;
            let answers = self.0.noted(live.generation, answers)?;
            for answer in &answers {
                if let Value::ServerError(error) = answer {
                    self.0.note(live.generation, &RedisError::from(error.clone()));
                }
            }
            Ok(answers)
        })
    }

    fn get_db(&self) -> i64 {
        self.0.live.load().as_ref().map_or(0, |live| live.connection.get_db())
    }
}

/// A connection for the blocking reads of one task.
pub struct Blocking {
    connection: RedisConnection,
    shared: Arc<ClientState>,
    generation: u64,
    within: Duration,
}

impl Blocking {
    /// One command.
    ///
    /// # Errors
    /// Redis is down or refused the command. The connection is of no use any more.
    pub async fn run<T: FromRedisValue>(&mut self, cmd: &Cmd) -> Result<T, PeersError> {
        match limited(self.within, cmd.query_async(&mut self.connection)).await {
            Ok(value) => Ok(value),
            Err(error) => {
                self.shared.note(self.generation, &error);
                Err(error.into())
            }
        }
    }
}

impl Blocking {
    /// Whether the client still uses the server that this connection was made to.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.shared.live.load().as_ref().is_some_and(|live| live.generation == self.generation)
    }
}

/// Reconnects whenever the connection is lost, and gives up a connection that takes no writes.
async fn reconnect_loop(shared: Arc<ClientState>) {
    loop {
        if shared.live.load().is_some() {
            // Without a request it is time for the next probe.
            let _ = tokio::time::timeout(PROBE_EVERY, shared.probe_requested.notified()).await;
            if let Some(live) = shared.live.load_full()
                && let Err(error) = shared.probe(&mut live.connection.clone()).await
            {
                shared.mark_lost(live.generation, &error);
            }
            continue;
        }
        match shared.connect().await {
            Ok(()) => tracing::info!("connected to Redis"),
            Err(error) => {
                tracing::debug!(%error, "cannot reach Redis");
                shared.reach.send_replace(Reach::Down(error.to_string()));
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

impl ClientState {
    fn live(&self) -> Result<Arc<LiveConnection>, RedisError> {
        self.live.load_full().ok_or_else(|| {
            let why = match &*self.reach.borrow() {
                Reach::Down(why) => why.clone(),
                Reach::Up(_) => "lost just now".into(),
            };
            RedisError::from((ErrorKind::Io, "Redis is down", why))
        })
    }

    /// The answer, after noting what its error says about the server.
    fn noted<T>(&self, generation: u64, answer: Result<T, RedisError>) -> Result<T, RedisError> {
        answer.inspect_err(|error| self.note(generation, error))
    }

    fn note(&self, generation: u64, error: &RedisError) {
        if is_down(error) {
            self.mark_lost(generation, error);
        }
    }

    /// Marks the connection as lost, unless a newer one took its place.
    fn mark_lost(&self, generation: u64, error: &RedisError) {
        let lost = self.live.rcu(|live| match live {
            Some(live) if live.generation == generation => None,
            other => other.clone(),
        });
        if lost.is_some_and(|live| live.generation == generation) {
            tracing::warn!(%error, "lost the connection to Redis: connecting again");
            // A task that has reconnected meanwhile has said so, or is about to.
            self.reach.send_if_modified(|reach| {
                let is_lost = self.live.load().is_none();
                if is_lost {
                    *reach = Reach::Down(error.to_string());
                }
                is_lost
            });
            self.probe_requested.notify_one();
        }
    }

    async fn connect(&self) -> Result<(), RedisError> {
        let mut connection = self.make(self.settings.response_timeout).await?;
        self.probe(&mut connection).await?;
        let generation = self.generations.fetch_add(1, Ordering::Relaxed) + 1;
        self.live.store(Some(Arc::new(LiveConnection { connection, generation })));
        self.reach.send_replace(Reach::Up(generation));
        Ok(())
    }

    /// Probes whether the server takes writes. The error says why it does not.
    async fn probe(&self, connection: &mut RedisConnection) -> Result<(), RedisError> {
        // Refused like any write that may need memory, and leaves nothing behind.
        let mut write = redis::cmd("SETRANGE");
        write.arg(&self.settings.probe).arg(0).arg("");
        limited(self.settings.response_timeout, write.query_async(connection)).await
    }

    async fn make(&self, response_timeout: Duration) -> Result<RedisConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.settings.connect_timeout))
            .set_response_timeout(Some(response_timeout));
        // A limit for a handshake that never ends: the driver's own limit is on parts of it.
        let longest = self.settings.connect_timeout + self.settings.response_timeout;
        match &self.server {
            RedisServers::One(client) => {
                let connection = client.get_multiplexed_async_connection_with_config(&config);
                Ok(RedisConnection::One(limited(longest, connection).await?))
            }
            RedisServers::Sentinel(sentinels) => {
                let client = sentinels.master(&config, longest).await?;
                let connection = client.get_multiplexed_async_connection_with_config(&config);
                Ok(RedisConnection::One(limited(longest, connection).await?))
            }
            RedisServers::Cluster(nodes) => {
                let builder = ClusterClient::builder(nodes.addresses.iter().cloned())
                    .connection_timeout(self.settings.connect_timeout)
                    .response_timeout(response_timeout)
                    .retries(2);
                let builder = match &nodes.certificates {
                    Some(certificates) => builder.certs(certificates.clone()),
                    None => builder,
                };
                let client = builder.build()?;
                Ok(RedisConnection::Cluster(limited(longest, client.get_async_connection()).await?))
            }
        }
    }
}

/// Whether the error says that the server, rather than the command, is in trouble.
pub(super) fn is_down(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io
        | ErrorKind::Parse
        | ErrorKind::AuthenticationFailed
        | ErrorKind::ClusterConnectionNotFound
        | ErrorKind::MasterNameNotFoundBySentinel => true,
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::ClusterDown
        ),
        _ => false,
    }
}

/// Whether waiting will not cure it.
fn is_permanent(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::InvalidClientConfig
            | ErrorKind::AuthenticationFailed
            | ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::ResponseError)
    )
}

/// No such text has a password.
impl From<RedisError> for PeersError {
    fn from(error: RedisError) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_send<T: Send>(_: &T) {}

    #[tokio::test]
    async fn an_address_that_is_none_is_refused_and_a_server_that_is_down_is_not() {
        let wrong = RedisClient::open(ClientSettings::new(vec!["postgres://localhost".into()])).await;
        assert!(wrong.is_err());
        let unnamed = RedisClient::open(ClientSettings::new(vec!["redis+sentinel://localhost:26379/0".into()])).await;
        assert!(unnamed.unwrap_err().0.contains("?master="));
        let down = RedisClient::open(ClientSettings::new(vec!["redis://127.0.0.1:1/".into()])).await.unwrap();
        assert!(!down.is_up());
        let ping = redis::cmd("PING");
        let mut handle = down.handle();
        let call = ping.query_async::<String>(&mut handle);
        is_send(&call);
        assert!(call.await.unwrap_err().to_string().contains("down"));
    }
}
