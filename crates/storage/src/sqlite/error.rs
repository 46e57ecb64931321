//! What an error of `SQLite` means for the caller.

use crate::{Damage, StoreError};
use rusqlite::{Error, ErrorCode};

/// Of anything before the commit: nothing was saved.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(super) fn of_work(error: Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig) => StoreError::Conflict(text),
        // Unknown is a statement that does not compile: the tables are not those of this program's schema. None is a
        // row whose content is nothing that this program writes.
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown | ErrorCode::TypeMismatch)
        | None => StoreError::Corrupt(text),
        Some(_) => StoreError::Unavailable(text),
    }
}

/// Of the commit itself: after an error of the disk the commit may still be there when the file is read again.
pub(super) fn of_commit(error: Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure) => StoreError::Unknown(error.to_string()),
        _ => of_work(error),
    }
}

/// Whether it is `SQLite`'s own word that the file is damaged. A row that cannot be understood is no such word: what one
/// request brings about must not stop all of them.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Why the writer could not do its work.
#[derive(Debug)]
pub(super) enum Failure {
    /// Before the commit.
    Work(Error),
    /// In the commit.
    Commit(Error),
    /// The files are not to be written.
    Damage(Damage),
    /// For a reason that is no error of `SQLite`.
    Other(StoreError),
}

impl Failure {
    /// Whether `SQLite` found the file damaged.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Work(error) | Self::Commit(error) if is_damage(error))
    }

    /// Whether the connection is of no use afterwards: it may have been opened while the file could only be read, or
    /// it does not know what of its commit is on the disk.
    pub(super) fn spoils_the_connection(&self) -> bool {
        match self {
            Self::Work(error) => error.sqlite_error_code() == Some(ErrorCode::ReadOnly),
            Self::Commit(error) => {
                matches!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly | ErrorCode::SystemIoFailure))
            }
            Self::Damage(_) | Self::Other(_) => false,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Work(error)
    }
}

impl From<Damage> for Failure {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Work(error) => of_work(error),
            Failure::Commit(error) => of_commit(error),
            Failure::Damage(damage) => damage.into(),
            Failure::Other(error) => error,
        }
    }
}
