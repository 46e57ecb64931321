//! The connections: how they are made, what is set on each, and how statements are sent through them.

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

/// Where the database is and how it is spoken to.
#[derive(Clone)]
pub struct Settings {
    /// `postgres://user:password@host:port/database`, with `sslmode` and the driver's other options behind a `?`.
    /// Several hosts may be named: the one that can be written to is taken.
    pub url: String,
    /// The certificate authorities to trust, as PEM. Where it is named, every encrypted connection is checked as with
    /// `sslmode=verify-full`, but for `verify-ca`. None is the system's store, for the modes that check.
    pub ca_file: Option<PathBuf>,
    /// How many connections decide batches: one a lane of the engine.
    pub lanes: usize,
    /// How many connections read.
    pub readers: usize,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// How long one statement may wait for a lock. Less than `statement_timeout`.
    pub lock_timeout: Duration,
    /// How long making a connection may take, and how long a read waits for a free one.
    pub connect_timeout: Duration,
    /// How long what an outage has cut short may take to be lengthened, another instance that does so included. A line of
    /// a hundred thousand takes some seconds.
    pub resume_timeout: Duration,
    /// Whether statements are prepared once a connection or sent whole each time.
    pub statements: Statements,
    /// Another server with a copy of the database, for the operators' lists. It may be some time behind.
    pub replica_url: Option<String>,
    /// The instance that the connections belong to; none for a command that serves nobody.
    pub instance: Option<Instance>,
}

/// How statements get to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Statements {
    /// Prepared once a connection: the quickest. Needs a connection that is the program's own.
    #[default]
    Named,
    /// Parsed anew each time, with nothing left behind on the connection: for a pooler that gives each transaction
    /// another connection, such as `PgBouncer` in transaction mode.
    Unnamed,
}

/// A transaction that waits for its client this long is ended by the server: the client is gone.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(3);
/// A whole transaction, where the server can tell (from version 17 on): below [`crate::COMMIT_VISIBILITY_MAX`].
const TRANSACTION: Duration = Duration::from_secs(9);
/// How often the server looks whether the client of a running statement is still there.
const CLIENT_CHECK: Duration = Duration::from_secs(1);
/// How the lanes' statements are planned: once for all values, since each names its rows.
const LANE_PLANS: &str = "SET plan_cache_mode = force_generic_plan; ";
/// What the network may keep silent before a connection counts as lost.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How long after its `statement_timeout` the server's answer is still waited for.
const ANSWER_GRACE: Duration = Duration::from_secs(2);
/// How the server plans. Every statement finds some rows among many by an index, row by row; a server that knows
/// little of the tables, as while they grow, would at times rather read them from end to end. That holds for foreign
/// keys too.
const PLANNING: [(&str, &str); 4] =
    [("jit", "off"), ("enable_seqscan", "off"), ("enable_hashjoin", "off"), ("enable_mergejoin", "off")];
/// A connection makes its plans anew after this many transactions, and whenever their number has doubled: the tables
/// may have grown, and a plan for an empty one is a bad plan for a full one.
const PLANS_KEPT: usize = 256;
/// Where a URL names no port.
const PORT_DEFAULT: u16 = 5432;

impl Settings {
    /// What fits a server of its own that instances share: eight lanes, eight readers, named statements.
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

    /// Whether these can be used at all, without calling the server.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with what is wrong; never with the password.
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

    /// Connections for the lanes.
    pub(super) fn lane_pool(&self) -> Result<Pool, StoreError> {
        let session = (self.statements == Statements::Named).then(|| format!("{}{LANE_PLANS}", self.session()));
        Pool::open(self, &self.url, self.lanes, TargetSessionAttrs::ReadWrite, session)
    }

    /// Connections for reads that must see what has just been written.
    pub(super) fn reader_pool(&self) -> Result<Pool, StoreError> {
        Pool::open(self, &self.url, self.readers, TargetSessionAttrs::ReadWrite, self.named_session())
    }

    /// A connection to look after those of the lanes with. Made only when it is needed.
    pub(super) fn watch_pool(&self) -> Result<Pool, StoreError> {
        Pool::open(self, &self.url, 1, TargetSessionAttrs::ReadWrite, self.named_session())
    }

    /// Connections to the copy, where there is one.
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

    /// What bounds every transaction, as settings of the server.
    fn bounds(&self) -> [(&'static str, Duration); 3] {
        [
            ("statement_timeout", self.statement_timeout),
            ("lock_timeout", self.lock_timeout),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
        ]
    }

    /// What is set once on a connection, where it is the program's own.
    fn named_session(&self) -> Option<String> {
        (self.statements == Statements::Named).then(|| self.session())
    }

    /// What is set once on a connection that is the program's own.
    fn session(&self) -> String {
        let mut sql: String = self
            .bounds()
            .iter()
            .map(|(name, bound)| format!("SET {name} = {}; ", bound.as_millis()))
            .chain(PLANNING.map(|(name, value)| format!("SET {name} = {value}; ")))
            .collect();
        // Settings that not every version or platform has.
        for (name, value) in [("transaction_timeout", TRANSACTION), ("client_connection_check_interval", CLIENT_CHECK)]
        {
            let value = value.as_millis();
            let _ = write!(sql, "SELECT set_config(name, '{value}', false) FROM pg_settings WHERE name = '{name}'; ");
        }
        sql
    }

    /// What begins a transaction in `mode`. On a shared connection it brings the bounds along.
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

/// A URL, understood.
struct Target {
    config: Config,
    check: tls::Check,
    ca_file: Option<PathBuf>,
}

impl Target {
    /// Reads a URL. The driver knows three of the six words of `sslmode`, and no `sslrootcert`: they are taken out.
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

    /// The server and the database, for a human and without the password.
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

/// A statement of the program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statement {
    /// Its text.
    pub(super) sql: &'static str,
    /// The types of its parameters, in order.
    pub(super) types: &'static [Type],
}

/// Parameters of a statement.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Connections of one kind.
pub(super) struct Pool {
    connections: deadpool_postgres::Pool,
    size: usize,
    /// One for each connection that the server may have of this pool: also for one that was closed here while the
    /// server goes on with its commit.
    slots: Arc<Semaphore>,
    /// How many of the slots are taken by such commits.
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
    /// Prepares the making of at most `size` connections; the first is made when it is needed.
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

    /// A connection that is in no other use.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the text names the server, never the password.
    pub(super) async fn get(&self) -> Result<Session<'_>, StoreError> {
        let slot = self.slot().await?.ok_or_else(|| StoreError::Unavailable(self.busy()))?;
        self.connect(slot).await
    }

    /// The same for work that can wait for another time: that every connection is busy says nothing of the server.
    ///
    /// # Errors
    /// As [`Pool::get`], but [`StoreError::Contended`] if no connection comes free in time.
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

    /// How many connections belong to a commit that the server does not answer.
    pub(super) fn stalled(&self) -> usize {
        self.stalled.load(Ordering::Relaxed)
    }

    /// Whether every connection that there may be does.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled() >= self.size
    }

    /// Closes every connection that is not in use and makes no more.
    pub(super) fn close(&self) {
        self.slots.close();
        self.connections.close();
    }

    /// The server and the database, for a human.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How long an answer is waited for before its connection is given up.
    pub(super) const fn answer_timeout(&self) -> Duration {
        self.answer_timeout
    }
}

/// Makes connections.
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

/// Logs what the server says beside its answers. A warning may be for the operator; the rest is talk.
fn note(notice: &DbError) {
    let (said, code) = (notice.message(), notice.code().code());
    if notice.parsed_severity() == Some(Severity::Warning) {
        tracing::warn!(said, code, "a warning of the database");
    } else {
        tracing::debug!(said, code, "a notice of the database");
    }
}

/// A connection in use. Closed when it is dropped, unless [`Session::finish`] says that nothing is left open on it. Its
/// slot in the pool is free then, but for [`Session::close_after`].
pub(super) struct Session<'a> {
    connection: Option<Object>,
    slot: Option<OwnedSemaphorePermit>,
    pool: &'a Pool,
}

impl Session<'_> {
    /// Runs a statement, for its rows. Sent when it is first polled: what is polled together goes together.
    ///
    /// A statement that is not yet prepared on this connection waits for that first and is overtaken by others: see
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

    /// The row that there is, or none.
    pub(super) async fn query_opt(&self, statement: &Statement, params: Params<'_>) -> Result<Option<Row>, Error> {
        Ok(self.query(statement, params).await?.into_iter().next())
    }

    /// Runs a statement, for the number of rows that it touched. Sent as by [`Session::query`].
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

    /// Prepares what this connection has not prepared yet, so that a pipeline keeps its order.
    pub(super) async fn prepare(&self, statements: &[Statement]) -> Result<(), Error> {
        if self.pool.statements == Statements::Named {
            for statement in statements {
                self.connection().prepare_typed_cached(statement.sql, statement.types).await?;
            }
        }
        Ok(())
    }

    /// Runs statements of plain text, separated by semicolons. Sent when it is first polled.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), Error> {
        self.connection().batch_execute(sql).await
    }

    /// Begins a transaction that writes, bounded in time. Sent when it is first polled.
    pub(super) async fn begin(&self) -> Result<(), Error> {
        let transactions = Object::metrics(self.connection()).recycle_count;
        if transactions.is_power_of_two() || transactions.is_multiple_of(PLANS_KEPT) {
            return self.batch(&format!("DISCARD PLANS; {}", self.pool.begin)).await;
        }
        self.batch(&self.pool.begin).await
    }

    /// Begins a transaction that sees one moment of the database. Sent when it is first polled.
    pub(super) async fn begin_snapshot(&self) -> Result<(), Error> {
        self.batch(&self.pool.snapshot).await
    }

    /// Commits. After an earlier error in the transaction this rolls back and still succeeds.
    pub(super) async fn commit(&self) -> Result<(), Error> {
        self.batch("COMMIT").await
    }

    /// Gives the connection back: no transaction is open on it and no answer is outstanding.
    pub(super) fn finish(mut self) {
        drop(self.connection.take());
    }

    /// Closes the connection, as dropping it does, and gives its place in the pool to no other before `is_over`: the
    /// server may be in the middle of a commit, and then does not see that its client is gone.
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

    /// The driver's own client, for what no statement of the program can say.
    pub(super) fn client(&self) -> &Client {
        self.connection()
    }

    fn connection(&self) -> &Object {
        self.connection.as_ref().unwrap_or_else(|| unreachable!("a session has its connection until it ends"))
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // Whatever is half done on it ends with the connection: the server rolls back.
        if let Some(connection) = self.connection.take() {
            drop(Object::take(connection));
        }
    }
}

fn typed<'a>(statement: &Statement, params: Params<'a>) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    params.iter().copied().zip(statement.types.iter().cloned()).collect()
}
