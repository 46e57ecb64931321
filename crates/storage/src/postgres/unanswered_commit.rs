//! Commits that the server does not answer.
//!
//! A commit that waits for a standby or a hanging disk ignores time-outs and the end of its connection: the server
//! keeps its process and its locks until it is done. If each lane went on with another connection, none would be left
//! soon. So the slot of such a commit stays taken until the server has ended it.

use super::{
    columns::Columns,
    connect::{Pool, Statement},
    read_pool::rows_of,
};
use crate::StoreError;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tokio_postgres::{Error, types::Type};

/// How often to ask the server whether the transaction has ended.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long the server may be silent before the transaction counts as ended: a silent server makes no new connections
/// either.
const SILENCE_MAX: Duration = Duration::from_mins(10);

/// Process and start of the transaction: behind a pooler the process goes on with other transactions.
const IS_RUNNING: Statement = Statement {
    sql: "SELECT FROM pg_stat_activity
          WHERE pid = $1 AND (extract(epoch FROM xact_start) * 1000000)::bigint = $2",
    types: &[Type::INT4, Type::INT8],
};

/// Identifies a transaction on the server.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Transaction {
    process: i32,
    /// By the server's clock, in microseconds since 1970.
    began_at: i64,
}

impl Transaction {
    /// Reads two columns: `pg_backend_pid()`, and `now()` in microseconds.
    pub(super) fn read(row: &mut Columns<'_>) -> Result<Self, Error> {
        Ok(Self { process: row.value()?, began_at: row.value()? })
    }

    /// Waits until the server has ended the transaction. `watch` is a pool that no commit can exhaust.
    pub(super) async fn wait_until_ended(self, watch: &Pool) {
        let mut is_logged = false;
        let mut last_answer = Instant::now();
        loop {
            match self.is_running(watch).await {
                Ok(true) => {
                    last_answer = Instant::now();
                    if !std::mem::replace(&mut is_logged, true) {
                        let process = self.process;
                        tracing::warn!(
                            process,
                            "the database does not answer a commit: its connection stays in use until it does"
                        );
                    }
                }
                Ok(false) => break,
                Err(error) if last_answer.elapsed() >= SILENCE_MAX => {
                    tracing::warn!(%error, process = self.process, "the outcome of a commit stays unknown");
                    return;
                }
                Err(_) => {}
            }
            sleep(ASK_EVERY).await;
        }
        if is_logged {
            tracing::info!(process = self.process, "the database has ended a commit that it did not answer");
        }
    }

    async fn is_running(self, watch: &Pool) -> Result<bool, StoreError> {
        Ok(!rows_of(watch, &IS_RUNNING, &[&self.process, &self.began_at]).await?.is_empty())
    }
}
