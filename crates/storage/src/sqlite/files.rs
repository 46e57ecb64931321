//! Watches that the open database files are still in place and sound.
//!
//! An open file can be written after its name is gone, and `SQLite` appends to a log with a hole without checking what
//! was there: the next start loses such commits. So the files are checked before every batch, and damage stays until
//! the program is restarted.

use super::error;
use crate::{Damage, StoreError};
use rusqlite::Error;
use std::{
    fs::Metadata,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Bytes of the log's header, and of the header of each of its pages.
const LOG_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

/// The log's length compared with the last check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Log {
    /// Nothing was cut off.
    Whole,
    /// Emptied in order, or cut short: the connections know which.
    Shorter,
}

/// The files of one open database.
#[derive(Debug)]
pub(super) struct Files {
    database: Watched,
    log: Watched,
    /// In bytes, at the last check.
    log_len: AtomicU64,
    lock: Watched,
    damage: OnceLock<Damage>,
    corrupt_reads: AtomicU64,
}

impl Files {
    /// Records the identity of the files. A connection must be open and have read something, so that the log exists.
    pub(super) fn of(database: &Path) -> Self {
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        Self {
            database: Watched::new(database.to_owned()),
            log: Watched::new(log.into()),
            log_len: AtomicU64::new(0),
            lock: Watched::new(crate::lock::path(database)),
            damage: OnceLock::new(),
            corrupt_reads: AtomicU64::new(0),
        }
    }

    /// The first damage found, if any.
    pub(super) fn damage(&self) -> Option<Damage> {
        self.damage.get().copied()
    }

    /// The number of reads that met a damaged page.
    pub(super) fn corrupt_reads(&self) -> u64 {
        self.corrupt_reads.load(Ordering::Relaxed)
    }

    /// Checks the names of the files: three system calls.
    ///
    /// # Errors
    /// The damage found now or before.
    pub(super) fn check(&self) -> Result<Log, Damage> {
        if let Some(damage) = self.damage() {
            return Err(damage);
        }
        if self.database.state() == FileState::Another {
            return Err(self.condemn(Damage::FileMoved));
        }
        let log = match self.log.state() {
            FileState::Another => return Err(self.condemn(Damage::LogLost)),
            FileState::Same { len } if len == 0 || len < self.log_len.swap(len, Ordering::Relaxed) => Log::Shorter,
            FileState::Same { .. } | FileState::Unknown => Log::Whole,
        };
        if self.lock.state() == FileState::Another {
            return Err(self.condemn(Damage::LockLost));
        }
        Ok(log)
    }

    /// Checks that a new connection opened the same database file.
    ///
    /// # Errors
    /// It opened another one.
    pub(super) fn check_database(&self) -> Result<(), Damage> {
        if self.database.state() == FileState::Another { Err(self.condemn(Damage::FileMoved)) } else { Ok(()) }
    }

    /// Whether the log is long enough for this number of pages. Missing bytes read as zeros.
    pub(super) fn holds(&self, pages: u64, page_size: u64) -> bool {
        let needed = match pages {
            0 => 0,
            pages => pages.saturating_mul(page_size.saturating_add(FRAME_HEADER)).saturating_add(LOG_HEADER),
        };
        match std::fs::metadata(&self.log.path) {
            Ok(found) => found.len() >= needed,
            // A disk that does not answer proves nothing about the log.
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }

    /// Records damage that a read has met.
    pub(super) fn note_read(&self, error: &Error) {
        if error::is_damage(error) {
            self.corrupt_reads.fetch_add(1, Ordering::Relaxed);
            self.condemn(Damage::Corrupt);
        }
    }

    /// Records damage. The first finding stays.
    pub(super) fn condemn(&self, damage: Damage) -> Damage {
        if self.damage.set(damage).is_ok() {
            let path = self.database.path.display();
            tracing::error!(%damage, %path, "writes stopped until the server is restarted");
        }
        damage
    }
}

/// A file name and the identity of its file.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    /// None if there was no file, or the system does not identify files.
    opened: Option<FileId>,
}

impl Watched {
    fn new(path: PathBuf) -> Self {
        let opened = std::fs::metadata(&path).ok().and_then(|found| file_id(&found));
        Self { path, opened }
    }

    fn state(&self) -> FileState {
        let Some(opened) = self.opened else { return FileState::Unknown };
        match std::fs::metadata(&self.path) {
            Ok(found) if file_id(&found) == Some(opened) => FileState::Same { len: found.len() },
            Ok(_) => FileState::Another,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => FileState::Another,
            Err(_) => FileState::Unknown,
        }
    }
}

/// The file that a name refers to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileState {
    /// The original file.
    Same {
        /// In bytes.
        len: u64,
    },
    /// Another file, or none.
    Another,
    /// The disk does not answer, or the file did not exist at the start.
    Unknown,
}

/// The device, and the file's number on it.
type FileId = (u64, u64);

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems cannot say")]
fn file_id(of: &Metadata) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    Some((of.dev(), of.ino()))
}

#[cfg(not(unix))]
fn file_id(_: &Metadata) -> Option<FileId> {
    None
}

impl From<Damage> for StoreError {
    fn from(damage: Damage) -> Self {
        match damage {
            Damage::Corrupt => Self::Corrupt("a page was found that nothing can be read from".to_owned()),
            Damage::FileMoved | Damage::LogLost | Damage::LockLost => Self::Unavailable(damage.to_string()),
        }
    }
}
