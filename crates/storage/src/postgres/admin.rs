//! A connection for the tools of the command line: they read or write everything in one transaction, for as long as
//! that takes.

use super::{
    connect::{Pool, Session, Settings},
    error, schema,
};
use crate::StoreError;
use tokio_postgres::{Client, Error, Row};

/// What keeps a sale moving would end a tool's work. Not every version has every setting.
const UNBOUNDED: &str = "SELECT set_config(name, '0', true) FROM pg_settings
    WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')";

/// Our connections are told how to plan for statements that find some rows by key. What reads or writes whole tables is
/// the server's to plan: row by row through indexes, or without one, it would take many times as long.
pub(super) const PLAN_FREELY: &str =
    "SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on";

/// A way to a database for work that is no part of a sale.
#[derive(Debug)]
pub struct AdminConnection {
    pool: Pool,
}

/// A transaction of a tool. Nothing of it stays unless it is committed.
pub struct AdminTransaction<'a> {
    session: Session<'a>,
}

impl std::fmt::Debug for AdminTransaction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Work")
    }
}

impl AdminConnection {
    /// Prepares the way. The server is called when it is needed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the settings cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, StoreError> {
        settings.check()?;
        Ok(Self { pool: Settings { lanes: 1, ..settings.clone() }.lane_pool()? })
    }

    /// Brings the tables up to date, and puts nothing in them.
    ///
    /// # Errors
    /// As for a store that is opened.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        schema::migrate(&self.pool, crate::migrate::POSTGRES).await
    }

    /// Checks that the database is one of ours, with the tables of this version.
    ///
    /// # Errors
    /// [`StoreError::Misfit`] where it is not.
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

    /// Begins a transaction of this kind, without bounds in time and planned for whole tables.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn begin(&self, kind: &str) -> Result<AdminTransaction<'_>, StoreError> {
        let session = self.pool.get().await?;
        let begun = session.batch(&format!("BEGIN ISOLATION LEVEL {kind}; {UNBOUNDED}; {PLAN_FREELY}")).await;
        begun.map_err(|failure| error::of_work(&failure))?;
        Ok(AdminTransaction { session })
    }

    /// The server and the database, for a human.
    #[must_use]
    pub fn name(&self) -> &str {
        self.pool.name()
    }
}

impl AdminTransaction<'_> {
    /// What the statements are sent with. They must leave nothing prepared behind: the connection may be a pooler's.
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

/// What a failure of a statement means, without anything that must not be shown.
#[must_use]
pub fn failure(error: &Error) -> StoreError {
    error::of_work(error)
}

/// How many rows are fetched at once.
const PART: usize = 10_000;

/// The rows of a query, part by part, however many there are. Lives in a transaction.
pub struct Cursor<'a> {
    client: &'a Client,
    fetch: String,
}

impl std::fmt::Debug for Cursor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor").field("fetch", &self.fetch).finish_non_exhaustive()
    }
}

impl<'a> Cursor<'a> {
    /// Runs a query under a name that no other cursor of the transaction has.
    ///
    /// # Errors
    /// The query is wrong, or the server is away.
    pub async fn open(client: &'a Client, name: &str, query: &str) -> Result<Self, Error> {
        client.batch_execute(&format!("DECLARE {name} NO SCROLL CURSOR FOR {query}")).await?;
        Ok(Self { client, fetch: format!("FETCH {PART} FROM {name}") })
    }

    /// The rows that come next; none at the end.
    ///
    /// # Errors
    /// The server is away.
    pub async fn next_part(&mut self) -> Result<Vec<Row>, Error> {
        self.client.query_typed(&self.fetch, &[]).await
    }
}
