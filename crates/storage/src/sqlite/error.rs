//! The meaning of a `SQLite` error for the caller.

use crate::{Damage, StoreError};
use rusqlite::{Error, ErrorCode};

/// For a failure before the commit: nothing was saved.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(super) fn of_work(error: Error) -> StoreError {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig) => StoreError::Conflict(text),
        // Unknown: the statement does not compile, so the tables are not of this program's schema. None: the program
        // did not write this row's content.
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown | ErrorCode::TypeMismatch)
        | None => StoreError::Corrupt(text),
        Some(_) => StoreError::Unavailable(text),
    }
}

/// For a failure of the commit: after a disk error the commit may be there when the file is read again.
pub(super) fn of_commit(error: Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::SystemIoFailure) => StoreError::Unknown(error.to_string()),
        _ => of_work(error),
    }
}

/// Whether `SQLite` itself reports damage. A row that cannot be decoded does not count: one request must not be able to
/// stop all others.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Why the writer failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Before the commit.
    Work(Error),
    /// In the commit.
    Commit(Error),
    /// The files must not be written.
    Damage(Damage),
    /// Not an error of `SQLite`.
    Other(StoreError),
}

impl Failure {
    /// Whether `SQLite` reported damage.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Work(error) | Self::Commit(error) if is_damage(error))
    }

    /// Whether the connection is useless afterwards: it may have been opened while the file was read-only, or does not
    /// know how much of its commit is on the disk.
    pub(super) fn invalidates_connection(&self) -> bool {
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
