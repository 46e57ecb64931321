//! The client of Redis: commands answer or fail within a set time, and fail at once while Redis is down. A Redis that
//! answers and takes no writes, because its memory is full, counts as down: events would be lost, and instances that
//! only read would never know.

pub use super::address::ClientSettings;

use super::address::{self, RedisServers, limited};
use crate::peers::PeersError;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisFuture, RedisResult,
    ServerErrorKind, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Notify, watch};

/// Pause between two attempts to connect.
const RETRY: Duration = Duration::from_millis(250);
/// How often a write is probed. Views that follow events are wrongly called fresh for this long at most, and for as
/// long as the answer takes.
const PROBE_EVERY: Duration = Duration::from_millis(250);
/// How much longer than its own time-out a blocking read may take.
const BLOCKING_MORE: Duration = Duration::from_millis(500);

/// How long the sentinels are asked at least: the driver asks one after the other, each with limits of its own, so that
/// one that is gone takes its time.
const SENTINELS_ASKED: Duration = Duration::from_secs(3);

/// A connection, to one server or to a cluster.
#[derive(Clone)]
pub(super) enum RedisConnection {
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

/// Whether Redis is up and takes writes.
#[derive(Clone)]
pub(super) enum Reach {
    /// It is, over this connection.
    Up(Arc<RedisConnection>),
    /// It is not, for this reason.
    Down(String),
}

impl Reach {
    /// Whether this is the connection in use.
    fn is_over(&self, other: &Arc<RedisConnection>) -> bool {
        matches!(self, Self::Up(connection) if Arc::ptr_eq(connection, other))
    }
}

struct ClientState {
    server: RedisServers,
    settings: ClientSettings,
    reach: watch::Sender<Reach>,
    /// The connection was lost, or is to be probed.
    probe_requested: Notify,
}

impl std::fmt::Debug for ClientState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &*self.reach.borrow() {
            Reach::Up(_) => f.write_str("up"),
            Reach::Down(why) => f.write_str(why),
        }
    }
}

/// The connections of an instance to Redis. A call fails within the response time-out, and at once while Redis is down;
/// one task reconnects.
#[derive(Debug)]
pub struct RedisClient {
    shared: Arc<ClientState>,
    keeper: tokio::task::AbortHandle,
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
        let reach = watch::Sender::new(Reach::Down("not connected yet".into()));
        let shared = Arc::new(ClientState { server, settings, reach, probe_requested: Notify::new() });
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
    pub(super) fn reach(&self) -> watch::Receiver<Reach> {
        self.shared.reach.subscribe()
    }

    /// Whether Redis was up at the last call or probe.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.why_down().is_none()
    }

    /// Why Redis is down; none while it is up.
    #[must_use]
    pub fn why_down(&self) -> Option<String> {
        match &*self.shared.reach.borrow() {
            Reach::Up(_) => None,
            Reach::Down(why) => Some(why.clone()),
        }
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
    pub async fn blocking(&self, longest: Duration) -> RedisResult<Blocking> {
        let (shared, within) = (Arc::clone(&self.shared), longest + BLOCKING_MORE);
        let live = shared.live()?;
        let connection = shared.noted(&live, shared.make(within).await)?;
        Ok(Blocking { connection, shared, live, within })
    }

    /// Requests a write probe now: a write was refused.
    pub fn probe_now(&self) {
        self.shared.probe_requested.notify_one();
    }
}

/// Sends each command over the connection that is in use, within the time-out; fails at once while Redis is down.
/// Clones share it.
#[derive(Debug, Clone)]
pub struct RedisHandle(Arc<ClientState>);

impl ConnectionLike for RedisHandle {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let live = self.0.live()?;
            let mut connection = RedisConnection::clone(&live);
            let answer = limited(self.0.settings.response_timeout, connection.req_packed_command(cmd)).await;
            let answer = self.0.noted(&live, answer)?;
            self.0.note_refusals(&live, std::slice::from_ref(&answer));
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
            let mut connection = RedisConnection::clone(&live);
            let answers = connection.req_packed_commands(pipeline, offset, count);
            let answers = limited(self.0.settings.response_timeout, answers).await;
            let answers = self.0.noted(&live, answers)?;
            self.0.note_refusals(&live, &answers);
            Ok(answers)
        })
    }

    fn get_db(&self) -> i64 {
        self.0.live().map_or(0, |live| live.get_db())
    }
}

/// A connection for the blocking reads of one task.
pub struct Blocking {
    connection: RedisConnection,
    shared: Arc<ClientState>,
    /// The connection that was in use when this one was made.
    live: Arc<RedisConnection>,
    within: Duration,
}

impl Blocking {
    /// One command.
    ///
    /// # Errors
    /// Redis is down or refused the command. The connection is of no use any more.
    pub async fn run<T: FromRedisValue>(&mut self, cmd: &Cmd) -> RedisResult<T> {
        let answer = limited(self.within, cmd.query_async(&mut self.connection)).await;
        self.shared.noted(&self.live, answer)
    }

    /// Whether the client still uses the server that this connection was made to.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.shared.reach.borrow().is_over(&self.live)
    }
}

/// Reconnects whenever the connection is lost, and gives up a connection that takes no writes.
async fn reconnect_loop(shared: Arc<ClientState>) {
    loop {
        if shared.live().is_ok() {
            // Without a request it is time for the next probe.
            let _ = tokio::time::timeout(PROBE_EVERY, shared.probe_requested.notified()).await;
            if let Ok(live) = shared.live()
                && let Err(error) = shared.probe(&mut RedisConnection::clone(&live)).await
            {
                shared.mark_lost(&live, &error);
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
    fn live(&self) -> RedisResult<Arc<RedisConnection>> {
        match &*self.reach.borrow() {
            Reach::Up(live) => Ok(Arc::clone(live)),
            Reach::Down(why) => Err((ErrorKind::Io, "Redis is down", why.clone()).into()),
        }
    }

    /// The answer, after noting what its error says about the server.
    fn noted<T>(&self, live: &Arc<RedisConnection>, answer: RedisResult<T>) -> RedisResult<T> {
        answer.inspect_err(|error| {
            if is_down(error) {
                self.mark_lost(live, error);
            }
        })
    }

    /// Notes what these answers say about the server.
    fn note_refusals(&self, live: &Arc<RedisConnection>, answers: &[Value]) {
        for answer in answers {
            if let Value::ServerError(error) = answer {
                // The error goes to the caller with the answers.
                let _ = self.noted::<()>(live, Err(error.clone().into()));
            }
        }
    }

    /// Marks the connection as lost, unless a newer one took its place.
    fn mark_lost(&self, live: &Arc<RedisConnection>, error: &RedisError) {
        let was_in_use = self.reach.send_if_modified(|reach| {
            let is_in_use = reach.is_over(live);
            if is_in_use {
                *reach = Reach::Down(error.to_string());
            }
            is_in_use
        });
        if was_in_use {
            tracing::warn!(%error, "lost the connection to Redis: connecting again");
            self.probe_requested.notify_one();
        }
    }

    async fn connect(&self) -> RedisResult<()> {
        let mut connection = self.make(self.settings.response_timeout).await?;
        self.probe(&mut connection).await?;
        self.reach.send_replace(Reach::Up(Arc::new(connection)));
        Ok(())
    }

    /// Probes whether the server takes writes. The error says why it does not.
    async fn probe(&self, connection: &mut RedisConnection) -> RedisResult<()> {
        // Refused like any write that may need memory, and leaves nothing behind.
        let mut write = redis::cmd("SETRANGE");
        write.arg(&self.settings.probe).arg(0).arg("");
        limited(self.settings.response_timeout, write.query_async(connection)).await
    }

    async fn make(&self, response_timeout: Duration) -> RedisResult<RedisConnection> {
        let connect_timeout = self.settings.connect_timeout;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(connect_timeout))
            .set_response_timeout(Some(response_timeout));
        // A limit for a handshake that never ends: the driver's own limit is on parts of it.
        let longest = connect_timeout + self.settings.response_timeout;
        let client = match &self.server {
            RedisServers::One(client) => client.clone(),
            RedisServers::Sentinel(sentinels) => {
                // Boxed: the driver nests its futures deeply.
                let mut sentinels = sentinels.lock().await;
                limited(longest.max(SENTINELS_ASKED), Box::pin(sentinels.async_get_client())).await?
            }
            RedisServers::Cluster(nodes, certificates) => {
                let mut builder = ClusterClient::builder(nodes.iter().cloned())
                    .connection_timeout(connect_timeout)
                    .response_timeout(response_timeout)
                    .retries(2);
                if let Some(certificates) = certificates {
                    builder = builder.certs(certificates.clone());
                }
                let client = builder.build()?;
                return Ok(RedisConnection::Cluster(limited(longest, client.get_async_connection()).await?));
            }
        };
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        Ok(RedisConnection::One(limited(longest, connection).await?))
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
        if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) {
            let grant = "grant it +@scripting, +time and the commands that the scripts call";
            return Self(format!("the Redis user may not run scripts, or what they call; {grant}: {error}"));
        }
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
