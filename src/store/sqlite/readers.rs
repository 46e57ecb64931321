//! The connections that read.

use super::{error, schema};
use crate::store::StoreError;
use rusqlite::Connection;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Semaphore;

/// More would wait for the same disk and the same two or four cores.
const READERS_MAX: usize = 4;

/// Some read-only connections that take turns.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    busy: Duration,
    idle: Mutex<Vec<Connection>>,
    turns: Semaphore,
}

impl Readers {
    /// Opens the first connection; the others follow when they are needed.
    pub(super) fn open(path: PathBuf, busy: Duration) -> Result<Self, StoreError> {
        let first = schema::open_reader(&path, busy)?;
        schema::check_current(&first)?;
        Ok(Self { path, busy, idle: Mutex::new(vec![first]), turns: Semaphore::new(READERS_MAX) })
    }

    /// Runs `work` with a connection, on a thread that may block.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.turns.acquire().await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let readers = Arc::clone(self);
        let result = tokio::task::spawn_blocking(move || readers.read_now(work)).await;
        drop(turn);
        result.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }

    /// Closes the connections that nobody uses; the next read opens a new one.
    pub(super) fn close_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn read_now<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let conn = match idle {
            Some(conn) => conn,
            None => schema::open_reader(&self.path, self.busy)?,
        };
        let result = work(&conn).map_err(error::of_work);
        // A connection that met an error is not used again: the next read starts with a new one.
        if result.is_ok() && conn.is_autocommit() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        }
        result
    }
}
