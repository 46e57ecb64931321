//! The settings of the database and Redis.

use super::Config;
use clap::{Args, ValueEnum};
use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr, time::Duration};

/// A transaction lives as long as its statements, and must end within
/// [`COMMIT_VISIBILITY_MAX`](frontrow_storage::COMMIT_VISIBILITY_MAX).
const STATEMENT_TIMEOUT_MS_MAX: u32 = 6_000;

/// The settings of the servers that a box office leans on.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Servers {
    /// The database.
    #[arg(
        long,
        help = "The database: postgres://USER:PASSWORD@HOST/NAME, or sqlite:FILE [default: frontrow.db in the data folder]",
        env = "FRONTROW_DATABASE_URL",
        hide_env_values = true,
        hide_default_value = true,
        value_name = "URL",
        help_heading = "Servers"
    )]
    pub database_url: Option<ServerUrl>,
    /// File of the certificates that may sign `PostgreSQL`'s, in PEM [default: the system's]
    #[arg(long, env = "FRONTROW_DATABASE_CA_FILE", value_name = "FILE", help_heading = "Servers")]
    pub database_ca_file: Option<PathBuf>,
    /// A read replica of the database, for operators' lists, the list of concerts and searches, which may then be a
    /// moment old
    #[arg(
        long,
        env = "FRONTROW_DATABASE_REPLICA_URL",
        hide_env_values = true,
        hide_default_value = true,
        value_name = "URL",
        help_heading = "Servers"
    )]
    pub database_replica_url: Option<ServerUrl>,
    /// How many transactions one instance runs at once, each on its own connection
    #[arg(long, env = "FRONTROW_DATABASE_LANES", default_value_t = 8, value_name = "COUNT", help_heading = "Servers")]
    pub database_lanes: u32,
    /// How many connections one instance reads with
    #[arg(
        long,
        env = "FRONTROW_DATABASE_READERS",
        default_value_t = 8,
        value_name = "COUNT",
        help_heading = "Servers"
    )]
    pub database_readers: u32,
    /// After how long the database gives one statement up, in milliseconds
    #[arg(
        long,
        env = "FRONTROW_DATABASE_STATEMENT_TIMEOUT_MS",
        default_value_t = 4_000,
        value_name = "MILLISECONDS",
        help_heading = "Servers"
    )]
    pub database_statement_timeout_ms: u32,
    /// After how long the database gives the wait for a row up, in milliseconds; the batch is then tried again
    #[arg(
        long,
        env = "FRONTROW_DATABASE_LOCK_TIMEOUT_MS",
        default_value_t = 2_000,
        value_name = "MILLISECONDS",
        help_heading = "Servers"
    )]
    pub database_lock_timeout_ms: u32,
    /// Whether statements are prepared once a connection; off behind `PgBouncer` in transaction mode
    #[arg(
        long,
        env = "FRONTROW_DATABASE_PREPARED_STATEMENTS",
        default_value = "on",
        value_name = "SWITCH",
        help_heading = "Servers"
    )]
    pub database_prepared_statements: Switch,
    /// Redis, which several instances share.
    #[arg(
        long,
        help = "Redis, which several instances share: redis://HOST, redis+sentinel://HOST,HOST?master=NAME, or the nodes \
                of a cluster with commas; rediss for TLS",
        env = "FRONTROW_REDIS_URL",
        hide_env_values = true,
        hide_default_value = true,
        value_name = "URL",
        help_heading = "Servers"
    )]
    pub redis_url: Option<ServerUrl>,
    /// File of the certificates that may sign Redis's, in PEM [default: the system's]
    #[arg(long, env = "FRONTROW_REDIS_CA_FILE", value_name = "FILE", help_heading = "Servers")]
    pub redis_ca_file: Option<PathBuf>,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Yes
    On,
    /// No
    Off,
}

/// The database of a box office.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// `SQLite`, in this file.
    Sqlite(PathBuf),
    /// `PostgreSQL`, at this address.
    Postgres(ServerUrl),
}

/// The address of a server. Its `Debug` and `Display` mask the password.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl(String);

impl ServerUrl {
    /// The whole address, with its password.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The file, if it is `sqlite:FILE`.
    #[must_use]
    pub fn sqlite_file(&self) -> Option<PathBuf> {
        let path = self.0.strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        (!path.is_empty()).then(|| PathBuf::from(path))
    }

    /// The part before the colon.
    fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }

    /// Whether it names a `PostgreSQL` database.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        matches!(self.scheme(), "postgres" | "postgresql") && self.0.contains("://")
    }
}

impl FromStr for ServerUrl {
    // Validated later: clap's message about a wrong value would quote it.
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.trim().to_owned()))
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(&self.0))
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerUrl({self})")
    }
}

/// The mask of a secret.
pub(super) const MASK: &str = "********";

/// An address with every password in it masked. If a part cannot be identified, more is masked rather than less.
#[must_use]
pub(super) fn masked(url: &str) -> String {
    if url.starts_with("sqlite:") {
        return url.to_owned();
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return if url.is_empty() { String::new() } else { MASK.to_owned() };
    };
    // A password may have an unescaped @, / or comma: it ends at the last @, and the text before it is hidden unless it
    // is a plain name.
    let (user, rest) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, rest),
    };
    let user = user.map_or(String::new(), |user| match user.split_once(':') {
        Some((name, _)) => format!("{name}:{MASK}@"),
        None => format!("{user}@"),
    });
    let (place, query) = match rest.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (rest, None),
    };
    let query = query.map_or(String::new(), |query| {
        let parts = query.split('&').map(|part| match part.split_once('=') {
            Some((name, _)) if name.to_lowercase().contains("pass") => format!("{name}={MASK}"),
            _ => part.to_owned(),
        });
        format!("?{}", parts.collect::<Vec<_>>().join("&"))
    });
    format!("{scheme}://{user}{place}{query}")
}

impl Config {
    /// The configured database.
    #[must_use]
    pub fn database(&self) -> Database {
        match &self.servers.database_url {
            None => Database::Sqlite(self.data.join("frontrow.db")),
            Some(url) => match url.sqlite_file() {
                Some(path) => Database::Sqlite(path),
                None => Database::Postgres(url.clone()),
            },
        }
    }
}

impl Config {
    /// The file of the `SQLite` database: the configured one, or the one in the data folder.
    #[must_use]
    pub fn database_path(&self) -> PathBuf {
        match self.database() {
            Database::Sqlite(path) => path,
            Database::Postgres(_) => self.data.join("frontrow.db"),
        }
    }
}

/// The connections of an instance beside those of its lanes and readers: for the signing keys, and to watch stalled
/// commits.
const CONNECTIONS_BESIDE: u32 = 2;

impl Servers {
    /// How many connections to the database one instance has at most.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.database_lanes.saturating_add(self.database_readers).saturating_add(CONNECTIONS_BESIDE)
    }

    /// How long one statement may take.
    #[must_use]
    pub fn statement_timeout(&self) -> Duration {
        Duration::from_millis(self.database_statement_timeout_ms.into())
    }

    /// How long a wait for a row may take.
    #[must_use]
    pub fn lock_timeout(&self) -> Duration {
        Duration::from_millis(self.database_lock_timeout_ms.into())
    }

    /// All mistakes, a sentence each. None quotes an address.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                wrong.push(what.to_owned());
            }
        };
        let on_postgres = self.database_url.as_ref().is_some_and(ServerUrl::is_postgres);
        let file = self.database_url.as_ref().and_then(ServerUrl::sqlite_file);
        must(
            self.database_url.is_none() || on_postgres || file.is_some(),
            "database_url must be postgres://USER:PASSWORD@HOST/NAME or sqlite:FILE",
        );
        must(
            self.database_replica_url.as_ref().is_none_or(ServerUrl::is_postgres),
            "database_replica_url must be postgres://USER:PASSWORD@HOST/NAME",
        );
        must(
            on_postgres || self.database_replica_url.is_none(),
            "database_replica_url needs a database_url of PostgreSQL",
        );
        must(on_postgres || self.database_ca_file.is_none(), "database_ca_file needs a database_url of PostgreSQL");
        must(
            on_postgres || self.redis_url.is_none(),
            "redis_url needs a database_url of PostgreSQL: instances that share Redis must share the database too, \
             and a SQLite file has one server",
        );
        must(self.redis_url.is_some() || self.redis_ca_file.is_none(), "redis_ca_file needs a redis_url");
        let redis = ["redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis-cluster", "rediss-cluster"];
        must(
            self.redis_url.as_ref().is_none_or(|url| {
                url.0.split(',').next().is_some_and(|first| first.contains("://")) && redis.contains(&url.scheme())
            }),
            "redis_url must begin with redis://, redis+sentinel:// or redis-cluster://, or the same with rediss for TLS",
        );
        for (name, value) in [
            ("database_lanes", self.database_lanes),
            ("database_readers", self.database_readers),
            ("database_statement_timeout_ms", self.database_statement_timeout_ms),
            ("database_lock_timeout_ms", self.database_lock_timeout_ms),
        ] {
            must(value > 0, &format!("{name} must be at least 1"));
        }
        must(self.database_lanes <= 64, "database_lanes must be at most 64: more would wait for the same rows");
        must(self.database_readers <= 256, "database_readers must be at most 256");
        must(
            self.database_statement_timeout_ms <= STATEMENT_TIMEOUT_MS_MAX,
            "database_statement_timeout_ms must be at most 6000: a change must become visible within 10 seconds",
        );
        must(
            self.database_lock_timeout_ms < self.database_statement_timeout_ms,
            "database_lock_timeout_ms must be less than database_statement_timeout_ms",
        );
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn an_address_shows_no_password_however_it_is_written() {
        for (url, shown) in [
            ("postgres://app:s3cret@db:5432/frontrow", "postgres://app:********@db:5432/frontrow"),
            ("postgres://app:s3@c/r?et@db/frontrow", "postgres://app:********@db/frontrow"),
            ("postgres://app@db/frontrow?sslmode=require", "postgres://app@db/frontrow?sslmode=require"),
            ("postgres://db/x?user=app&password=s3cret&port=1", "postgres://db/x?user=app&password=********&port=1"),
            ("redis://:s3cret@cache", "redis://:********@cache"),
            ("redis://:s3cret@one,redis://:s3cret@two", "redis://:********@two"),
            ("sqlite:/var/lib/frontrow.db", "sqlite:/var/lib/frontrow.db"),
            ("host=db password=s3cret", "********"),
            ("", ""),
        ] {
            assert_eq!(masked(url), shown);
            assert!(!masked(url).contains("s3c"), "{url}");
        }
    }
}
