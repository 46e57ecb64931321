//! The read connections.

use super::{error, files::Files, schema, tables};
use crate::{Damage, StoreError};
use rusqlite::Connection;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// More would only compete for the same disk and two or four cores.
const READERS_MAX: usize = 4;
/// How many reads may wait for a connection before further ones are refused.
const WAITING_MAX: usize = 512;

/// A pool of read-only connections.
#[derive(Debug)]
pub(super) struct ReadPool {
    files: Arc<Files>,
    path: PathBuf,
    busy: Duration,
    idle: Mutex<Vec<Connection>>,
    turns: Arc<Semaphore>,
    waiting: Semaphore,
}

impl ReadPool {
    /// Opens the first connection; the others are opened on demand.
    pub(super) fn open(path: PathBuf, busy: Duration, files: Arc<Files>) -> Result<Self, StoreError> {
        let first = schema::open_reader(&path, busy)?;
        schema::check_current(&first)?;
        Ok(Self {
            files,
            path,
            busy,
            idle: Mutex::new(vec![first]),
            turns: Arc::new(Semaphore::new(READERS_MAX)),
            waiting: Semaphore::new(WAITING_MAX),
        })
    }

    /// Runs `work` with a connection, on a thread that may block. Fails at once if too many reads wait.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = self.turn().await?;
        let readers = Arc::clone(self);
        // The permit stays with the work: a client that hangs up does not free it before the read ends.
        let read = tokio::task::spawn_blocking(move || {
            let result = readers.read_now(work);
            drop(turn);
            result
        });
        read.await.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let turns = Arc::clone(&self.turns);
        if let Ok(turn) = Arc::clone(&turns).try_acquire_owned() {
            return Ok(turn);
        }
        let Ok(_waiting) = self.waiting.try_acquire() else {
            return Err(StoreError::Unavailable("too many reads wait".to_owned()));
        };
        turns.acquire_owned().await.map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    /// Closes idle connections; the next read opens a new one.
    pub(super) fn close_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn read_now<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let conn = match idle {
            Some(conn) => conn,
            None => self.open_another()?,
        };
        let result = work(&conn);
        // A connection that met an error is dropped.
        if result.is_ok() && conn.is_autocommit() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        }
        result.map_err(|error| {
            self.files.note_read(&error);
            error::of_work(error)
        })
    }

    fn open_another(&self) -> Result<Connection, StoreError> {
        let opened = schema::open_reader(&self.path, self.busy);
        let conn = opened.inspect_err(|error| {
            if matches!(error, StoreError::Corrupt(_)) {
                self.files.condemn(Damage::Corrupt);
            }
        })?;
        self.files.check_database()?;
        Ok(conn)
    }

    /// Reads some rows of every table with an empty page cache. Damage is recorded; other errors are left to the reads
    /// that need an answer.
    pub(super) fn probe(&self) {
        if let Ok(conn) = self.open_another()
            && let Err(error) = tables::probe(&conn)
        {
            self.files.note_read(&error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::time::Time;
    use std::{sync::mpsc, task::Poll};

    fn readers(folder: &tempfile::TempDir) -> Arc<ReadPool> {
        let path = folder.path().join("frontrow.db");
        let busy = Duration::from_secs(1);
        let mut writer = schema::open_writer(&path, busy).unwrap();
        schema::prepare(&mut writer, Time::default(), 1).unwrap();
        let files = Arc::new(Files::of(&path));
        Arc::new(ReadPool::open(path, busy, files).unwrap())
    }

    /// Starts a read that runs until its sender is dropped. Returns when the read has begun.
    async fn long_read(readers: &Arc<ReadPool>) -> (tokio::task::JoinHandle<Result<(), StoreError>>, mpsc::Sender<()>) {
        let (end, ended) = mpsc::channel::<()>();
        let (begin, reads) = tokio::sync::oneshot::channel();
        let readers = Arc::clone(readers);
        let reading = tokio::spawn(async move {
            let work = move |_: &Connection| {
                let _ = begin.send(());
                let _ = ended.recv();
                Ok(())
            };
            readers.read(work).await
        });
        reads.await.unwrap();
        (reading, end)
    }

    #[tokio::test]
    async fn an_abandoned_read_keeps_its_permit_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder);
        let mut ends = Vec::new();
        for _ in 0..READERS_MAX {
            let (reading, end) = long_read(&readers).await;
            reading.abort();
            assert!(reading.await.unwrap_err().is_cancelled());
            ends.push(end);
        }
        assert_eq!(readers.turns.available_permits(), 0, "the reads go on");
        ends.pop();
        assert_eq!(readers.read(|conn| conn.query_row("SELECT 7", (), |row| row.get::<_, i64>(0))).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn more_reads_than_may_wait_are_turned_away_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let readers = readers(&folder);
        let mut running = Vec::new();
        for _ in 0..READERS_MAX {
            running.push(long_read(&readers).await);
        }
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(readers.read(|_| Ok(())))).collect();
        for read in &mut waiting {
            assert!(matches!(poll_once(read.as_mut()).await, Poll::Pending));
        }
        let refused = readers.read(|_| Ok(())).await;
        assert!(matches!(&refused, Err(StoreError::Unavailable(text)) if text == "too many reads wait"), "{refused:?}");
        // A cancelled read frees its place.
        waiting.pop();
        let mut next = Box::pin(readers.read(|_| Ok(())));
        assert!(matches!(poll_once(next.as_mut()).await, Poll::Pending));
        for (reading, end) in running {
            drop(end);
            reading.await.unwrap().unwrap();
        }
        for read in waiting {
            read.await.unwrap();
        }
        next.await.unwrap();
    }

    /// Polls the future once.
    async fn poll_once<F: Future + Unpin>(mut future: F) -> Poll<F::Output> {
        std::future::poll_fn(|context| Poll::Ready(std::pin::Pin::new(&mut future).poll(context))).await
    }
}
