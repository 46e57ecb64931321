//! Reads outside a batch: each sees one consistent snapshot of the database.

use super::{
    columns::Columns,
    connect::{Params, Pool, PooledConnection, Statement},
    error::{self, Cause},
    pipeline::Pipeline,
    settings::PostgresSettings,
};
use crate::{StoreError, trouble::Trouble};
use tokio_postgres::{Error, Row};

/// How often a read is tried if its connection is broken: after a restart of the server, every pooled one may be.
pub(super) const TRIES: usize = 3;
/// How many rows a search reads at a time: the server's prefilter is coarse, so not every row matches.
pub(super) const SEARCH_ROWS: u32 = 1_000;

/// Turns a row into a value.
pub(super) type Read<T> = fn(&mut Columns<'_>) -> Result<T, Error>;

/// The read connections.
#[derive(Debug)]
pub(super) struct ReadPool {
    primary: Pool,
    replica: Option<Pool>,
    replica_trouble: Trouble,
}

/// Whether several statements share one snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Snapshot {
    One,
    Each,
}

impl ReadPool {
    /// Connections are made on demand.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the settings cannot be used.
    pub(super) fn open(settings: &PostgresSettings) -> Result<Self, StoreError> {
        Ok(Self {
            primary: settings.reader_pool()?,
            replica: settings.replica_pool()?,
            replica_trouble: Trouble::new("the replica does not answer: the primary does"),
        })
    }

    /// Connections that read their own writes.
    pub(super) const fn primary(&self) -> &Pool {
        &self.primary
    }

    /// Closes idle connections and makes no more.
    pub(super) fn close(&self) {
        self.primary.close();
        if let Some(replica) = &self.replica {
            replica.close();
        }
    }

    pub(super) async fn find<T>(
        &self,
        statement: &Statement,
        key: Params<'_>,
        read: Read<T>,
    ) -> Result<Option<T>, StoreError> {
        let rows = rows_of(&self.primary, statement, key).await?;
        rows.first().map(|row| read(&mut Columns::of(row))).transpose().map_err(|failure| error::of_work(&failure))
    }

    /// The value of a statement that always gives one row.
    pub(super) async fn get<T>(&self, statement: &Statement, keys: Params<'_>, read: Read<T>) -> Result<T, StoreError> {
        self.find(statement, keys, read).await?.ok_or_else(no_row)
    }

    pub(super) async fn list<T>(
        &self,
        statement: &Statement,
        keys: Params<'_>,
        read: Read<T>,
    ) -> Result<Vec<T>, StoreError> {
        read_all(&rows_of(&self.primary, statement, keys).await?, read)
    }

    /// Reads from the replica, if there is one, for lists that may be a little behind. If it is down, the primary
    /// answers.
    pub(super) async fn list_from_replica<T>(
        &self,
        statement: &Statement,
        keys: Params<'_>,
        read: Read<T>,
    ) -> Result<Vec<T>, StoreError> {
        if let Some(replica) = &self.replica
            && let Some(rows) = self.replica_trouble.noted(rows_of(replica, statement, keys).await)
        {
            return read_all(&rows, read);
        }
        self.list(statement, keys, read).await
    }

    /// The rows of several statements, which are sent in one round trip.
    pub(super) async fn lists(
        &self,
        statements: &[(&Statement, Params<'_>)],
        snapshot: Snapshot,
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        lists(&self.primary, statements, snapshot).await
    }
}

/// The rows of one statement.
pub(super) async fn rows_of(pool: &Pool, statement: &Statement, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
    Ok(lists(pool, &[(statement, params)], Snapshot::Each).await?.pop().unwrap_or_default())
}

/// Runs statements in one round trip; on another connection if the first is broken.
async fn lists(
    pool: &Pool,
    statements: &[(&Statement, Params<'_>)],
    snapshot: Snapshot,
) -> Result<Vec<Vec<Row>>, StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let session = pool.get().await?;
        let answer = tokio::time::timeout(pool.answer_timeout(), pipelined(&session, statements, snapshot)).await;
        match answer {
            Ok(Ok(results)) => {
                session.finish();
                return Ok(results);
            }
            Ok(Err(failure)) if error::cause(&failure) == Cause::Lost && tries < TRIES => {}
            Ok(Err(failure)) => return Err(error::of_work(&failure)),
            Err(_) => return Err(no_answer(pool)),
        }
    }
}

async fn pipelined(
    session: &PooledConnection<'_>,
    statements: &[(&Statement, Params<'_>)],
    snapshot: Snapshot,
) -> Result<Vec<Vec<Row>>, Error> {
    let mut pipeline = Pipeline::new();
    if snapshot == Snapshot::One {
        pipeline.add_text(async { session.begin_snapshot().await.map(|()| Vec::new()) });
    }
    for (statement, params) in statements {
        pipeline.add(statement, session.query(statement, params));
    }
    if snapshot == Snapshot::One {
        pipeline.add_text(async { session.commit().await.map(|()| Vec::new()) });
    }
    let results = pipeline.run(session).await?.into_iter().collect::<Result<Vec<_>, _>>()?;
    let first = usize::from(snapshot == Snapshot::One);
    Ok(results.into_iter().skip(first).take(statements.len()).collect())
}

pub(super) fn read_all<T>(rows: &[Row], read: Read<T>) -> Result<Vec<T>, StoreError> {
    let values = rows.iter().map(|row| read(&mut Columns::of(row)));
    values.collect::<Result<_, _>>().map_err(|failure| error::of_work(&failure))
}

/// Bounds the wait for an answer: a frozen server keeps its connections open and says nothing.
///
/// # Errors
/// [`StoreError::Unavailable`] if no answer came; else the server's error.
pub(super) async fn in_time<T>(pool: &Pool, answer: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
    match tokio::time::timeout(pool.answer_timeout(), answer).await {
        Ok(result) => result.map_err(|failure| error::of_work(&failure)),
        Err(_) => Err(no_answer(pool)),
    }
}

pub(super) fn no_row() -> StoreError {
    StoreError::Corrupt("a statement that always gives a row gave none".to_owned())
}

pub(super) fn no_answer(pool: &Pool) -> StoreError {
    StoreError::Unavailable(format!("{}: no answer in time", pool.name()))
}

/// How many rows a search asks for: no more than the page if the server's filter is exact.
pub(super) fn rows_at_once(limit: u32, exact: bool) -> u32 {
    if exact { limit } else { limit.max(SEARCH_ROWS) }
}

pub(super) fn size(rows: u32) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

/// Cuts off what is beyond a page; whether the page is full.
pub(super) fn is_enough<T>(found: &mut Vec<T>, limit: u32) -> bool {
    found.truncate(size(limit));
    found.len() == size(limit)
}
