//! The address of the database and the settings of connections to it.

use super::{error, instance_name, tls};
use crate::{Instance, StoreError};
use std::{fmt::Write as _, path::PathBuf, time::Duration};
use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

/// The address of the database and the settings of connections to it.
#[derive(Clone)]
pub struct PostgresSettings {
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

/// The way in which statements are sent to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Statements {
    /// Prepared once a connection: the fastest. Needs connections that no pooler shares.
    #[default]
    Named,
    /// Parsed each time, leaving nothing on the connection: for a pooler that gives each transaction another
    /// connection, such as `PgBouncer` in transaction mode.
    Unnamed,
}

/// The server ends a transaction whose client has sent nothing for this long: the client is gone.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(3);
/// Time limit for a transaction, if the server supports it (from version 17): below [`crate::COMMIT_VISIBILITY_MAX`].
const TRANSACTION: Duration = Duration::from_secs(9);
/// How often the server checks that the client of a running statement is still connected.
const CLIENT_CHECK: Duration = Duration::from_secs(1);
/// How long a connection may carry nothing before it counts as lost.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Planner settings. Every statement finds few rows among many by an index; a server with poor statistics, as while the
/// tables grow, would at times scan them instead. That also holds for foreign keys.
const PLANNING: [(&str, &str); 4] =
    [("jit", "off"), ("enable_seqscan", "off"), ("enable_hashjoin", "off"), ("enable_mergejoin", "off")];
/// The port of a URL that names none.
const PORT_DEFAULT: u16 = 5432;

impl PostgresSettings {
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

    pub(super) fn target(&self, url: &str) -> Result<ParsedUrl, StoreError> {
        let mut target = ParsedUrl::parse(url)?;
        if self.ca_file.is_some() && target.check == tls::Check::Nothing {
            target.check = tls::Check::AuthorityAndName;
        }
        target.config.connect_timeout(self.connect_timeout);
        target.config.tcp_user_timeout(SILENCE_MAX);
        target.config.keepalives_idle(SILENCE_MAX / 2);
        target.config.keepalives_interval(SILENCE_MAX / 4);
        target.config.keepalives_retries(2);
        let name = instance_name::of(self.instance, target.config.get_application_name());
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
    pub(super) fn named_session(&self) -> Option<String> {
        (self.statements == Statements::Named).then(|| self.session())
    }

    /// SQL that sets up a connection once.
    pub(super) fn session(&self) -> String {
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
    pub(super) fn begin(&self, mode: &str) -> String {
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

impl std::fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |url: &String| ParsedUrl::parse(url).map_or("not a URL".to_owned(), |target| target.name());
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
pub(super) struct ParsedUrl {
    pub(super) config: Config,
    pub(super) check: tls::Check,
    pub(super) ca_file: Option<PathBuf>,
}

impl ParsedUrl {
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
    pub(super) fn name(&self) -> String {
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

    pub(super) fn is_encrypted(&self) -> bool {
        let remote = self.config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(_)));
        remote && self.config.get_ssl_mode() != SslMode::Disable
    }
}
