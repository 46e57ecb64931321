//! Pools of connections, how a connection is made, and how statements are sent over it.

use super::{
    error,
    settings::{PostgresSettings, Statements},
    tls,
};
use crate::StoreError;
use deadpool_postgres::{Connect, Manager, ManagerConfig, Object, RecyclingMethod, Runtime, Timeouts};
use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
    time::timeout,
};
use tokio_postgres::{
    AsyncMessage, Client, Config, Error, NoTls, Row, Socket,
    config::TargetSessionAttrs,
    error::{DbError, Severity},
    tls::MakeTlsConnect,
    types::{ToSql, Type},
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How long to wait for the server's answer after `statement_timeout`.
const ANSWER_GRACE: Duration = Duration::from_secs(2);
/// A connection discards its plans after this many transactions, and whenever their number has doubled: the tables may
/// have grown, and a plan for an empty table is bad for a full one.
const PLANS_KEPT: usize = 256;
/// Lanes use generic plans, since each of their statements names its rows.
const LANE_PLANS: &str = "SET plan_cache_mode = force_generic_plan; ";

/// Sessions plan for statements that find few rows by key. With those settings, work on whole tables would take many
/// times as long, so the server chooses freely.
pub(super) const PLAN_FREELY: &str =
    "SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on";

/// A statement's text and the types of its parameters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statement {
    pub(super) sql: &'static str,
    /// In order.
    pub(super) types: &'static [Type],
}

pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A pool of connections of one kind.
pub(super) struct Pool {
    connections: deadpool_postgres::Pool,
    size: usize,
    /// One slot for each connection of this pool that the server may still hold, including one that was closed here
    /// while the server goes on with its commit.
    slots: Arc<Semaphore>,
    /// Slots taken by such commits.
    stalled: Arc<AtomicUsize>,
    wait_timeout: Duration,
    name: String,
    statements: Statements,
    begin: String,
    snapshot: String,
    answer_timeout: Duration,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PostgresSettings {
    /// Connections that decide batches.
    pub(super) fn lane_pool(&self) -> Result<Pool, StoreError> {
        let session = (self.statements == Statements::Named).then(|| format!("{}{LANE_PLANS}", self.session()));
        Pool::open(self, &self.url, self.lanes, TargetSessionAttrs::ReadWrite, session)
    }

    /// Connections for reads that must see the latest commits.
    pub(super) fn reader_pool(&self) -> Result<Pool, StoreError> {
        Pool::open(self, &self.url, self.readers, TargetSessionAttrs::ReadWrite, self.named_session())
    }

    /// A connection that watches those of the lanes; made on demand.
    pub(super) fn watch_pool(&self) -> Result<Pool, StoreError> {
        Pool::open(self, &self.url, 1, TargetSessionAttrs::ReadWrite, self.named_session())
    }

    /// Connections to the replica, if there is one.
    pub(super) fn replica_pool(&self) -> Result<Option<Pool>, StoreError> {
        let open = |url: &String| Pool::open(self, url, self.readers, TargetSessionAttrs::Any, self.named_session());
        self.replica_url.as_ref().map(open).transpose()
    }
}

impl Pool {
    /// Sets up a pool of at most `size` connections, which are made on demand.
    pub(super) fn open(
        settings: &PostgresSettings,
        url: &str,
        size: usize,
        wanted: TargetSessionAttrs,
        session: Option<String>,
    ) -> Result<Self, StoreError> {
        let mut target = settings.target(url)?;
        if target.config.get_target_session_attrs() == TargetSessionAttrs::Any {
            target.config.target_session_attrs(wanted);
        }
        let ca_file = settings.ca_file.as_deref().or(target.ca_file.as_deref());
        let maker =
            Maker { tls: target.is_encrypted().then(|| tls::connector(target.check, ca_file)).transpose()?, session };
        let name = target.name();
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(target.config, maker, recycling);
        let patience = Some(settings.connect_timeout);
        let connections = deadpool_postgres::Pool::builder(manager)
            .max_size(size)
            .timeouts(Timeouts { wait: patience, create: patience, recycle: patience })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self {
            connections,
            size,
            slots: Arc::new(Semaphore::new(size)),
            stalled: Arc::default(),
            wait_timeout: settings.connect_timeout,
            name,
            statements: settings.statements,
            begin: settings.begin("ISOLATION LEVEL READ COMMITTED READ WRITE"),
            snapshot: settings.begin("ISOLATION LEVEL REPEATABLE READ READ ONLY"),
            answer_timeout: settings.statement_timeout.saturating_add(ANSWER_GRACE),
        })
    }

    /// Takes a free connection.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the text names the server, never the password.
    pub(super) async fn get(&self) -> Result<PooledConnection<'_>, StoreError> {
        let slot = self.slot().await?.ok_or_else(|| StoreError::Unavailable(self.busy()))?;
        self.connect(slot).await
    }

    /// The same for work that can wait: a full pool says nothing about the server.
    ///
    /// # Errors
    /// As [`Pool::get`], but [`StoreError::Contended`] if no connection becomes free in time.
    pub(super) async fn get_if_free(&self) -> Result<PooledConnection<'_>, StoreError> {
        let slot = self.slot().await?.ok_or_else(|| StoreError::Contended(self.busy()))?;
        self.connect(slot).await
    }

    fn busy(&self) -> String {
        format!("{}: every connection to the database is busy", self.name)
    }

    async fn slot(&self) -> Result<Option<OwnedSemaphorePermit>, StoreError> {
        match timeout(self.wait_timeout, Arc::clone(&self.slots).acquire_owned()).await {
            Ok(Ok(slot)) => Ok(Some(slot)),
            Ok(Err(_)) => Err(StoreError::Unavailable(format!("{}: the connections were closed", self.name))),
            Err(_) => Ok(None),
        }
    }

    async fn connect(&self, slot: OwnedSemaphorePermit) -> Result<PooledConnection<'_>, StoreError> {
        match self.connections.get().await {
            Ok(connection) => Ok(PooledConnection { connection: Some(connection), slot: Some(slot), pool: self }),
            Err(failure) => Err(match error::of_pool(&failure) {
                StoreError::Unavailable(text) => StoreError::Unavailable(format!("{}: {text}", self.name)),
                other => other,
            }),
        }
    }

    /// Connections whose commit the server does not answer.
    pub(super) fn stalled(&self) -> usize {
        self.stalled.load(Ordering::Relaxed)
    }

    /// Whether every slot is taken by such a commit.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled() >= self.size
    }

    /// Closes idle connections and makes no more.
    pub(super) fn close(&self) {
        self.slots.close();
        self.connections.close();
    }

    /// Server and database for logs and errors.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How long to wait for an answer before giving up the connection.
    pub(super) const fn answer_timeout(&self) -> Duration {
        self.answer_timeout
    }
}

struct Maker {
    tls: Option<MakeRustlsConnect>,
    session: Option<String>,
}

type Made<'a> = Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + 'a>>;

impl Connect for Maker {
    fn connect(&self, config: &Config) -> Made<'_> {
        let config = config.clone();
        Box::pin(async move {
            let (client, task) = match &self.tls {
                Some(tls) => dial(&config, tls.clone()).await?,
                None => dial(&config, NoTls).await?,
            };
            if let Some(session) = &self.session {
                client.batch_execute(session).await?;
            }
            Ok((client, task))
        })
    }
}

async fn dial<T>(config: &Config, tls: T) -> Result<(Client, JoinHandle<()>), Error>
where
    T: MakeTlsConnect<Socket, Stream: Send + 'static>,
{
    let (client, mut connection) = config.connect(tls).await?;
    let task = tokio::spawn(async move {
        loop {
            match poll_fn(|cx| connection.poll_message(cx)).await {
                Some(Ok(AsyncMessage::Notice(notice))) => note(&notice),
                Some(Ok(_)) => {}
                Some(Err(failure)) => {
                    tracing::debug!(error = error::text(&failure), "a connection to the database broke");
                    break;
                }
                None => break,
            }
        }
    });
    Ok((client, task))
}

/// Logs the server's notices. A warning may concern the operator.
fn note(notice: &DbError) {
    let (said, code) = (notice.message(), notice.code().code());
    if notice.parsed_severity() == Some(Severity::Warning) {
        tracing::warn!(said, code, "the database sent a warning");
    } else {
        tracing::debug!(said, code, "a notice of the database");
    }
}

/// A connection in use. Dropping it closes it, unless [`PooledConnection::finish`] says that nothing is left open on
/// it. Dropping it also frees its slot in the pool, except after [`PooledConnection::close_after`].
pub(super) struct PooledConnection<'a> {
    connection: Option<Object>,
    slot: Option<OwnedSemaphorePermit>,
    pool: &'a Pool,
}

impl PooledConnection<'_> {
    /// Runs a statement and returns its rows. Sent when first polled: futures polled together are sent together.
    ///
    /// A statement that is not prepared on this connection yet waits for that, and others overtake it: see
    /// [`PooledConnection::prepare`].
    pub(super) async fn query(&self, statement: &Statement, params: Params<'_>) -> Result<Vec<Row>, Error> {
        let connection = self.connection();
        match self.pool.statements {
            Statements::Named => {
                let prepared = connection.prepare_typed_cached(statement.sql, statement.types).await?;
                connection.query(&prepared, params).await
            }
            Statements::Unnamed => connection.query_typed(statement.sql, &typed(statement, params)).await,
        }
    }

    /// The first row, if there is one.
    pub(super) async fn query_opt(&self, statement: &Statement, params: Params<'_>) -> Result<Option<Row>, Error> {
        Ok(self.query(statement, params).await?.into_iter().next())
    }

    /// Runs a statement and returns how many rows it touched. Sent when first polled.
    pub(super) async fn execute(&self, statement: &Statement, params: Params<'_>) -> Result<u64, Error> {
        let connection = self.connection();
        match self.pool.statements {
            Statements::Named => {
                let prepared = connection.prepare_typed_cached(statement.sql, statement.types).await?;
                connection.execute(&prepared, params).await
            }
            Statements::Unnamed => connection.execute_typed(statement.sql, &typed(statement, params)).await,
        }
    }

    /// Prepares the statements that this connection does not know yet, so that a pipeline keeps its order.
    pub(super) async fn prepare(&self, statements: &[Statement]) -> Result<(), Error> {
        if self.pool.statements == Statements::Named {
            for statement in statements {
                self.connection().prepare_typed_cached(statement.sql, statement.types).await?;
            }
        }
        Ok(())
    }

    /// Runs plain SQL, separated by semicolons. Sent when first polled.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), Error> {
        self.connection().batch_execute(sql).await
    }

    /// Begins a bounded transaction that writes. Sent when first polled.
    pub(super) async fn begin(&self) -> Result<(), Error> {
        let transactions = Object::metrics(self.connection()).recycle_count;
        if transactions.is_power_of_two() || transactions.is_multiple_of(PLANS_KEPT) {
            return self.batch(&format!("DISCARD PLANS; {}", self.pool.begin)).await;
        }
        self.batch(&self.pool.begin).await
    }

    /// Begins a transaction that reads one snapshot. Sent when first polled.
    pub(super) async fn begin_snapshot(&self) -> Result<(), Error> {
        self.batch(&self.pool.snapshot).await
    }

    /// Commits. After an error in the transaction this rolls back and still succeeds.
    pub(super) async fn commit(&self) -> Result<(), Error> {
        self.batch("COMMIT").await
    }

    /// Returns the connection to the pool: no transaction is open on it and no answer is outstanding.
    pub(super) fn finish(mut self) {
        drop(self.connection.take());
    }

    /// Closes the connection and keeps its slot until `is_over`: the server may be in the middle of a commit, and then
    /// does not notice that its client is gone.
    pub(super) fn close_after(mut self, is_over: impl Future<Output = ()> + Send + 'static) {
        let slot = self.slot.take();
        let stalled = Arc::clone(&self.pool.stalled);
        stalled.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            is_over.await;
            stalled.fetch_sub(1, Ordering::Relaxed);
            drop(slot);
        });
    }

    /// The driver's client, for statements that are not constants of this program.
    pub(super) fn client(&self) -> &Client {
        self.connection()
    }

    fn connection(&self) -> &Object {
        self.connection.as_ref().unwrap_or_else(|| unreachable!("a session has its connection until it ends"))
    }
}

impl Drop for PooledConnection<'_> {
    fn drop(&mut self) {
        // Closing the connection makes the server roll back unfinished work.
        if let Some(connection) = self.connection.take() {
            drop(Object::take(connection));
        }
    }
}

fn typed<'a>(statement: &Statement, params: Params<'a>) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    params.iter().copied().zip(statement.types.iter().cloned()).collect()
}
