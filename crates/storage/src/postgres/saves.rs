//! The second round trip of a batch: its statements and the commit.
//!
//! The commit is sent with the changes. After a failed change the server rolls back, so a commit means that all changes
//! succeeded.

use super::{
    columns::Arrays,
    connect::{PooledConnection, Statement},
    pipeline::Pipeline,
};
use tokio_postgres::Error;

/// Statements that save, in the order in which the server runs them.
pub(super) struct SavePipeline<'a> {
    session: &'a PooledConnection<'a>,
    pipeline: Pipeline<'a, u64>,
}

/// The server's answers to a save.
pub(super) struct Saved {
    /// One for each change.
    pub(super) changes: Vec<Result<u64, Error>>,
    /// For the commit.
    pub(super) commit: Result<u64, Error>,
}

impl<'a> SavePipeline<'a> {
    pub(super) const fn new(session: &'a PooledConnection<'a>) -> Self {
        Self { session, pipeline: Pipeline::new() }
    }

    /// Adds a statement for `rows`, if there are any. `bind` adds its parameters, when it is sent.
    pub(super) fn add<R: Copy + Send + 'a>(
        &mut self,
        statement: &'static Statement,
        rows: impl IntoIterator<Item = R>,
        bind: impl FnOnce(Arrays<'a, R>) -> Arrays<'a, R> + Send + 'a,
    ) {
        let rows: Vec<R> = rows.into_iter().collect();
        if !rows.is_empty() {
            let session = self.session;
            let send = async move { bind(Arrays::of(rows)).execute(session, statement).await };
            self.pipeline.add(statement, send);
        }
    }

    /// Sends the statements and the commit, and waits for their answers.
    ///
    /// # Errors
    /// The statements could not be prepared: nothing was sent.
    pub(super) async fn commit(mut self) -> Result<Saved, Error> {
        let session = self.session;
        self.pipeline.add_text(async { session.commit().await.map(|()| 0) });
        let mut changes = self.pipeline.run(session).await?;
        let commit = changes.pop().unwrap_or(Ok(0));
        Ok(Saved { changes, commit })
    }
}
