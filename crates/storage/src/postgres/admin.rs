//! Connections for administrative commands, which read or write everything in one transaction, however long it takes.

use super::{
    connect::{PLAN_FREELY, Pool, PooledConnection},
    error, schema,
    settings::PostgresSettings,
};
use crate::StoreError;
use tokio_postgres::{Client, Error, Row};

/// The bounds that keep a sale moving would end an administrative command. Not every version has every setting.
const UNBOUNDED: &str = "SELECT set_config(name, '0', true) FROM pg_settings
    WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')";

/// A connection to a database for administrative work.
#[derive(Debug)]
pub struct AdminConnection {
    pool: Pool,
}

/// A transaction of an administrative command. Dropped without a commit, it changes nothing.
pub struct AdminTransaction<'a> {
    session: PooledConnection<'a>,
}

impl std::fmt::Debug for AdminTransaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Work")
    }
}

impl AdminConnection {
    /// Connects on demand.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the settings cannot be used.
    pub fn new(settings: &PostgresSettings) -> Result<Self, StoreError> {
        settings.check()?;
        Ok(Self { pool: PostgresSettings { lanes: 1, ..settings.clone() }.lane_pool()? })
    }

    /// Brings the tables up to date without adding rows.
    ///
    /// # Errors
    /// As for opening the store.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        schema::migrate(&self.pool, crate::migrate::POSTGRES).await
    }

    /// Checks that the database belongs to this program and has the tables of this version.
    ///
    /// # Errors
    /// [`StoreError::Misfit`] if not.
    pub async fn check_current(&self) -> Result<(), StoreError> {
        let work = self.begin("REPEATABLE READ READ ONLY").await?;
        let known = "SELECT to_regclass('frontrow_schema') IS NOT NULL";
        let rows = work.client().query_typed(known, &[]).await.map_err(|failure| error::of_work(&failure))?;
        if !rows.first().is_some_and(|row| row.try_get(0).unwrap_or(false)) {
            return Err(StoreError::Misfit("there is no box office in it".to_owned()));
        }
        let version = "SELECT coalesce(max(version), 0) FROM frontrow_schema";
        let rows = work.client().query_typed(version, &[]).await.map_err(|failure| error::of_work(&failure))?;
        let version: i64 = rows.first().map_or(0, |row| row.try_get(0).unwrap_or(0));
        let steps = crate::migrate::POSTGRES;
        match crate::migrate::pending(steps, version)?.count() {
            0 => Ok(()),
            _ => Err(StoreError::Misfit(format!(
                "its schema has version {version}, this program needs {}: run `frontrow migrate`",
                crate::migrate::latest(steps)
            ))),
        }
    }

    /// Begins a transaction in the isolation mode `kind`, without time limits and planned for whole tables.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn begin(&self, kind: &str) -> Result<AdminTransaction<'_>, StoreError> {
        let session = self.pool.get().await?;
        let begun = session.batch(&format!("BEGIN ISOLATION LEVEL {kind}; {UNBOUNDED}; {PLAN_FREELY}")).await;
        begun.map_err(|failure| error::of_work(&failure))?;
        Ok(AdminTransaction { session })
    }

    /// Server and database for logs and errors.
    #[must_use]
    pub fn name(&self) -> &str {
        self.pool.name()
    }
}

impl AdminTransaction<'_> {
    /// The client for statements. They must not stay prepared: a pooler may share the connection.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.session.client()
    }

    /// Commits.
    ///
    /// # Errors
    /// The server refused, or its answer was lost.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.session.commit().await.map_err(|failure| error::of_work(&failure))?;
        self.session.finish();
        Ok(())
    }
}

/// The [`StoreError`] for a failed statement, without values of rows.
#[must_use]
pub fn failure(error: &Error) -> StoreError {
    error::of_work(error)
}

/// Fetches the rows of a query in parts, however many there are. Lives within a transaction.
pub struct RowCursor<'a> {
    client: &'a Client,
    fetch: String,
}

impl std::fmt::Debug for RowCursor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor").field("fetch", &self.fetch).finish_non_exhaustive()
    }
}

impl<'a> RowCursor<'a> {
    /// Opens a cursor under a name that no other one of the transaction has. It fetches `part` rows at once.
    ///
    /// # Errors
    /// The query is wrong, or the server is down.
    pub async fn open(client: &'a Client, name: &str, query: &str, part: usize) -> Result<Self, Error> {
        client.batch_execute(&format!("DECLARE {name} NO SCROLL CURSOR FOR {query}")).await?;
        Ok(Self { client, fetch: format!("FETCH {part} FROM {name}") })
    }

    /// The next rows; none at the end.
    ///
    /// # Errors
    /// The server is down.
    pub async fn next_part(&mut self) -> Result<Vec<Row>, Error> {
        self.client.query_typed(&self.fetch, &[]).await
    }
}
