//! What is done about a commit that the server does not answer.
//!
//! A commit that waits for a standby, or for a disk that hangs, heeds neither a time-out nor the end of its connection:
//! the server keeps its process and its locks until it is done. If each lane went on with another connection, there
//! would soon be no connection left. So the place of such a commit stays taken until the server has ended it.

use super::{
    connect::{Pool, Statement},
    queries::rows_of,
};
use crate::StoreError;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tokio_postgres::{Error, Row, types::Type};

/// How often the server is asked whether it has ended the transaction.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long the server may leave that open before the transaction counts as ended: no new connection comes from one
/// that answers nothing.
const SILENCE_MAX: Duration = Duration::from_mins(10);

/// The process, and when its transaction began: behind a pooler the process goes on with other transactions.
const STANDS: Statement = Statement {
    sql: "SELECT FROM pg_stat_activity
          WHERE pid = $1 AND (extract(epoch FROM xact_start) * 1000000)::bigint = $2",
    types: &[Type::INT4, Type::INT8],
};

/// A transaction, as the server tells it from others.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Transaction {
    process: i32,
    /// By the server's clock, in microseconds since 1970.
    began_at: i64,
}

impl Transaction {
    /// From two columns of a row: `pg_backend_pid()`, and `now()` in microseconds.
    ///
    /// # Errors
    /// The columns are others.
    pub(super) fn of_row(row: &Row, first: usize) -> Result<Self, Error> {
        Ok(Self { process: row.try_get(first)?, began_at: row.try_get(first + 1)? })
    }

    /// Waits until the server has ended it. `watch` is a pool that no commit can take up.
    pub(super) async fn wait_until_ended(self, watch: &Pool) {
        let mut is_told = false;
        let mut heard = Instant::now();
        loop {
            match self.is_running(watch).await {
                Ok(true) => {
                    heard = Instant::now();
                    if !std::mem::replace(&mut is_told, true) {
                        let process = self.process;
                        tracing::warn!(process, "the database does not answer a commit: its connection stays taken");
                    }
                }
                Ok(false) => break,
                Err(error) if heard.elapsed() >= SILENCE_MAX => {
                    tracing::warn!(%error, process = self.process, "nobody knows what became of a commit");
                    return;
                }
                Err(_) => {}
            }
            sleep(ASK_EVERY).await;
        }
        if is_told {
            tracing::info!(process = self.process, "the database has ended a commit that it did not answer");
        }
    }

    async fn is_running(self, watch: &Pool) -> Result<bool, StoreError> {
        Ok(!rows_of(watch, &STANDS, &[&self.process, &self.began_at]).await?.is_empty())
    }
}
