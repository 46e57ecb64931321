//! Whether the files of a database are still those that were opened, and sound.
//!
//! An open file can be written though its name is gone, and `SQLite` writes behind a hole in its log without a look at
//! what was there: such commits are lost at the next start. So the files are looked at before every batch, and what was
//! found once holds until the program is started again.

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

/// Bytes of the log's header, and of the header of each page in it.
const LOG_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

/// What the length of the log tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Log {
    /// Nothing was cut off.
    Whole,
    /// It was emptied in good order, or cut short: the connections know which.
    Shorter,
}

/// The files of one open database.
#[derive(Debug)]
pub(super) struct Files {
    database: Watched,
    log: Watched,
    /// In bytes, when it was looked at last.
    log_len: AtomicU64,
    lock: Watched,
    damage: OnceLock<Damage>,
    corrupt_reads: AtomicU64,
}

impl Files {
    /// Notes which files these are. A connection must be open that has read something, so that the log is there.
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

    /// What was found, if anything.
    pub(super) fn damage(&self) -> Option<Damage> {
        self.damage.get().copied()
    }

    /// How many reads met a damaged page.
    pub(super) fn corrupt_reads(&self) -> u64 {
        self.corrupt_reads.load(Ordering::Relaxed)
    }

    /// Looks at the names of the files: three calls to the kernel.
    ///
    /// # Errors
    /// What was found now or before.
    pub(super) fn check(&self) -> Result<Log, Damage> {
        if let Some(damage) = self.damage() {
            return Err(damage);
        }
        if self.database.look() == Look::Another {
            return Err(self.condemn(Damage::FileMoved));
        }
        let log = match self.log.look() {
            Look::Another => return Err(self.condemn(Damage::LogLost)),
            Look::Same { len } if len == 0 || len < self.log_len.swap(len, Ordering::Relaxed) => Log::Shorter,
            Look::Same { .. } | Look::Unknown => Log::Whole,
        };
        if self.lock.look() == Look::Another {
            return Err(self.condemn(Damage::LockLost));
        }
        Ok(log)
    }

    /// Looks at the name of the database alone: whether a connection that was just opened has the same file.
    ///
    /// # Errors
    /// It has another one.
    pub(super) fn check_database(&self) -> Result<(), Damage> {
        if self.database.look() == Look::Another { Err(self.condemn(Damage::FileMoved)) } else { Ok(()) }
    }

    /// Whether the log is long enough for so many pages. What is not there is read as zeros.
    pub(super) fn holds(&self, pages: u64, page_size: u64) -> bool {
        let needed = match pages {
            0 => 0,
            pages => pages.saturating_mul(page_size.saturating_add(FRAME_HEADER)).saturating_add(LOG_HEADER),
        };
        match std::fs::metadata(&self.log.path) {
            Ok(found) => found.len() >= needed,
            // A disk that does not answer says nothing of the log.
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }

    /// Notes what a read met.
    pub(super) fn note_read(&self, error: &Error) {
        if error::is_damage(error) {
            self.corrupt_reads.fetch_add(1, Ordering::Relaxed);
            self.condemn(Damage::Corrupt);
        }
    }

    /// Notes what was found. The first finding stays.
    pub(super) fn condemn(&self, damage: Damage) -> Damage {
        if self.damage.set(damage).is_ok() {
            let path = self.database.path.display();
            tracing::error!(%damage, %path, "the database is not written any more until the server is started again");
        }
        damage
    }
}

/// A file by its name, and which one it was.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    /// None where there was none, or where the system does not tell files apart.
    opened: Option<FileId>,
}

impl Watched {
    fn new(path: PathBuf) -> Self {
        let opened = std::fs::metadata(&path).ok().and_then(|found| file_id(&found));
        Self { path, opened }
    }

    fn look(&self) -> Look {
        let Some(opened) = self.opened else { return Look::Unknown };
        match std::fs::metadata(&self.path) {
            Ok(found) if file_id(&found) == Some(opened) => Look::Same { len: found.len() },
            Ok(_) => Look::Another,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Look::Another,
            Err(_) => Look::Unknown,
        }
    }
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// The file that it stood for.
    Same {
        /// In bytes.
        len: u64,
    },
    /// Another one, or none.
    Another,
    /// The disk does not answer, or the file was not there in the beginning.
    Unknown,
}

/// The device and the number of a file on it.
type FileId = (u64, u64);

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems tell nothing")]
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
