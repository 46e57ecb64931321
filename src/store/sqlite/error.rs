//! What an error of `SQLite` means for the caller.

use crate::store::StoreError;
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
