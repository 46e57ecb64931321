//! Connections: how they are made and set up, and how statements are sent over them.

use super::{error, instances, tls};
use crate::{Instance, StoreError};
use deadpool_postgres::{Connect, Manager, ManagerConfig, Object, RecyclingMethod, Runtime, Timeouts};
use std::{
    fmt::Write as _,
    future::poll_fn,
    path::PathBuf,
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
    config::{Host, SslMode, TargetSessionAttrs},
    error::{DbError, Severity},
    tls::MakeTlsConnect,
    types::{ToSql, Type},
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Where the database is and how to connect to it.
#[derive(Clone)]
pub struct Settings {
    /// `postgres://user:password@host:port/database`, with `sslmode` and the driver's other options behind a `?`.
    /// If it names several hosts, the writable one is used.
    pub url: String,
    /// The certificate authorities to trust, as PEM. If given, every encrypted connection is checked as with
    /// `sslmode=verify-full`, except with `verify-ca`. None means the system's store, for the modes that check.
    pub ca_file: Option<PathBuf>,
    /// Connections that decide batches: one for each lane of the engine.
    pub lanes: usize,
    /// Connections that read.
    pub readers: usize,
    /// Time limit for one statement.
    pub statement_timeout: Duration,
    /// Time limit for one statement's wait for a lock. Less than `statement_timeout`.
    pub lock_timeout: Duration,
    /// Time limit for making a connection, and for a read's wait for a free one.
    pub connect_timeout: Duration,
    /// Time limit for lengthening the deadlines that an outage has cut short, including the wait for another instance
    /// that does so. A line of a hundred thousand tokens takes some seconds.
    pub resume_timeout: Duration,
    /// Whether statements are prepared once a connection or sent whole each time.
    pub statements: Statements,
    /// A replica of the database, for the operators' lists. It may lag behind.
    pub replica_url: Option<String>,
    /// The instance that the connections belong to; none for a command that serves no requests.
    pub instance: Option<Instance>,
}

/// How statements are sent to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Statements {
    /// Prepared once a connection: the fastest. Needs connections that no pooler shares.
    #[default]
    Named,
    /// Parsed each time, leaving nothing on the connection: for a pooler that gives each transaction another
    /// connection, such as `PgBouncer` in transaction mode.
    Unnamed,
}

/// The server ends a transaction whose client has been silent this long: the client is gone.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(3);
/// Time limit for a transaction, if the server supports it (from version 17): below [`crate::COMMIT_VISIBILITY_MAX`].
const TRANSACTION: Duration = Duration::from_secs(9);
/// How often the server checks that the client of a running statement is still connected.
const CLIENT_CHECK: Duration = Duration::from_secs(1);
/// Lanes use generic plans, since each of their statements names its rows.
const LANE_PLANS: &str = "SET plan_cache_mode = force_generic_plan; ";
/// How long the network may be silent before a connection counts as lost.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How long to wait for the server's answer after `statement_timeout`.
const ANSWER_GRACE: Duration = Duration::from_secs(2);
/// Planner settings. Every statement finds few rows among many by an index; a server with poor statistics, as while the
/// tables grow, would at times scan them instead. That also holds for foreign keys.
const PLANNING: [(&str, &str); 4] =
    [("jit", "off"), ("enable_seqscan", "off"), ("enable_hashjoin", "off"), ("enable_mergejoin", "off")];
/// A connection discards its plans after this many transactions, and whenever their number has doubled: the tables may
/// have grown, and a plan for an empty table is bad for a full one.
const PLANS_KEPT: usize = 256;
/// The port of a URL that names none.
const PORT_DEFAULT: u16 = 5432;

impl Settings {
    /// Defaults for a dedicated server that instances share: eight lanes, eight readers, named statements.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            ca_file: None,
            lanes: 8,
            readers: 8,
            statement_timeout: Duration::from_secs(4),
            lock_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(5),
            resume_timeout: Duration::from_mins(5),
            statements: Statements::Named,
            replica_url: None,
            instance: None,
        }
    }

    /// Checks the settings without connecting to the server.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with the fault; never with the password.
    pub fn check(&self) -> Result<(), StoreError> {
        let wrong = |text: &str| Err(StoreError::Unavailable(text.to_owned()));
        if self.lanes == 0 || self.readers == 0 {
            return wrong("at least one lane and one reader are needed");
        }
        if self.lock_timeout.is_zero() || self.lock_timeout >= self.statement_timeout {
            return wrong("the lock time-out must be above zero and shorter than the statement time-out");
        }
        if self.statement_timeout > TRANSACTION.saturating_sub(IDLE_IN_TRANSACTION) {
            return wrong("the statement time-out is at most 6 seconds: a change must not become visible later");
        }
        self.target(&self.url)?;
        if let Some(url) = &self.replica_url {
            self.target(url)?;
        }
        Ok(())
    }

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

    fn target(&self, url: &str) -> Result<Target, StoreError> {
        let mut target = Target::parse(url)?;
        if self.ca_file.is_some() && target.check == tls::Check::Nothing {
            target.check = tls::Check::AuthorityAndName;
        }
        target.config.connect_timeout(self.connect_timeout);
        target.config.tcp_user_timeout(SILENCE_MAX);
        target.config.keepalives_idle(SILENCE_MAX / 2);
        target.config.keepalives_interval(SILENCE_MAX / 4);
        target.config.keepalives_retries(2);
        let name = instances::name_of(self.instance, target.config.get_application_name());
        target.config.application_name(name);
        Ok(target)
    }

    /// The bounds of every transaction, as settings of the server.
    fn bounds(&self) -> [(&'static str, Duration); 3] {
        [
            ("statement_timeout", self.statement_timeout),
            ("lock_timeout", self.lock_timeout),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
        ]
    }

    /// The session's setup; none on a connection that a pooler shares.
    fn named_session(&self) -> Option<String> {
        (self.statements == Statements::Named).then(|| self.session())
    }

    /// SQL that sets up a connection once.
    fn session(&self) -> String {
        let mut sql: String = self
            .bounds()
            .iter()
            .map(|(name, bound)| format!("SET {name} = {}; ", bound.as_millis()))
            .chain(PLANNING.map(|(name, value)| format!("SET {name} = {value}; ")))
            .collect();
        // Not every version or platform has these settings.
        for (name, value) in [("transaction_timeout", TRANSACTION), ("client_connection_check_interval", CLIENT_CHECK)]
        {
            let value = value.as_millis();
            let _ = write!(sql, "SELECT set_config(name, '{value}', false) FROM pg_settings WHERE name = '{name}'; ");
        }
        sql
    }

    /// SQL that begins a transaction in `mode`. On a connection that a pooler shares it sets the bounds too.
    fn begin(&self, mode: &str) -> String {
        let mut sql = format!("BEGIN {mode}");
        if self.statements == Statements::Unnamed {
            for (name, bound) in self.bounds() {
                let _ = write!(sql, "; SET LOCAL {name} = {}", bound.as_millis());
            }
            for (name, value) in PLANNING {
                let _ = write!(sql, "; SET LOCAL {name} = {value}");
            }
        }
        sql
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |url: &String| Target::parse(url).map_or("not a URL".to_owned(), |target| target.name());
        f.debug_struct("Settings")
            .field("server", &name(&self.url))
            .field("replica", &self.replica_url.as_ref().map(name))
            .field("lanes", &self.lanes)
            .field("readers", &self.readers)
            .field("statements", &self.statements)
            .finish_non_exhaustive()
    }
}

/// A parsed URL.
struct Target {
    config: Config,
    check: tls::Check,
    ca_file: Option<PathBuf>,
}

impl Target {
    /// Parses a URL. `sslrootcert` and three of the six values of `sslmode` are handled here, because the driver does
    /// not know them.
    fn parse(url: &str) -> Result<Self, StoreError> {
        let wrong = |text: String| StoreError::Unavailable(format!("the database's URL: {text}"));
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(wrong("it must begin with postgres://".to_owned()));
        }
        let (base, options) = url.split_once('?').unwrap_or((url, ""));
        let mut target = Self { config: Config::new(), check: tls::Check::Nothing, ca_file: None };
        let mut ssl_mode = None;
        let mut kept = Vec::new();
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("sslmode", word)) => {
                    let known = tls::mode(word).ok_or_else(|| {
                        wrong("sslmode is one of disable, prefer, require, verify-ca, verify-full".to_owned())
                    })?;
                    ssl_mode = Some(known.0);
                    target.check = known.1;
                }
                Some(("sslrootcert", path)) => target.ca_file = Some(PathBuf::from(path)),
                _ => kept.push(option),
            }
        }
        target.config = format!("{base}?{}", kept.join("&")).parse().map_err(|error| wrong(error::text(&error)))?;
        target.config.ssl_mode(ssl_mode.unwrap_or(SslMode::Prefer));
        if target.ca_file.is_some() && target.check == tls::Check::Nothing {
            target.check = tls::Check::AuthorityAndName;
        }
        if target.config.get_hosts().is_empty() {
            return Err(wrong("it names no host".to_owned()));
        }
        Ok(target)
    }

    /// Server and database for logs and errors, without the password.
    fn name(&self) -> String {
        let ports = self.config.get_ports();
        let hosts = self.config.get_hosts().iter().enumerate().map(|(number, host)| {
            let port = ports.get(number).or(ports.first()).copied().unwrap_or(PORT_DEFAULT);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                Host::Unix(path) => format!("{}:{port}", path.display()),
            }
        });
        let hosts: Vec<_> = hosts.collect();
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        format!("{}/{database} as {}", hosts.join(","), self.config.get_user().unwrap_or("the system's user"))
    }

    fn is_encrypted(&self) -> bool {
        let remote = self.config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(_)));
        remote && self.config.get_ssl_mode() != SslMode::Disable
    }
}

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

impl Pool {
    /// Sets up a pool of at most `size` connections, which are made on demand.
    fn open(
        settings: &Settings,
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
    pub(super) async fn get(&self) -> Result<Session<'_>, StoreError> {
        let slot = self.slot().await?.ok_or_else(|| StoreError::Unavailable(self.busy()))?;
        self.connect(slot).await
    }

    /// The same for work that can wait: a full pool says nothing about the server.
    ///
    /// # Errors
    /// As [`Pool::get`], but [`StoreError::Contended`] if no connection becomes free in time.
    pub(super) async fn get_if_free(&self) -> Result<Session<'_>, StoreError> {
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

    async fn connect(&self, slot: OwnedSemaphorePermit) -> Result<Session<'_>, StoreError> {
        match self.connections.get().await {
            Ok(connection) => Ok(Session { connection: Some(connection), slot: Some(slot), pool: self }),
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
        tracing::warn!(said, code, "a warning of the database");
    } else {
        tracing::debug!(said, code, "a notice of the database");
    }
}

/// A connection in use. Dropping it closes it, unless [`Session::finish`] says that nothing is left open on it.
/// Dropping it also frees its slot in the pool, except after [`Session::close_after`].
pub(super) struct Session<'a> {
    connection: Option<Object>,
    slot: Option<OwnedSemaphorePermit>,
    pool: &'a Pool,
}

impl Session<'_> {
    /// Runs a statement and returns its rows. Sent when first polled: futures polled together are sent together.
    ///
    /// A statement that is not prepared on this connection yet waits for that, and others overtake it: see
    /// [`Session::prepare`].
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

impl Drop for Session<'_> {
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
