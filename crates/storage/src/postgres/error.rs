//! What an error of `PostgreSQL` means for the caller.

use crate::StoreError;
use deadpool_postgres::PoolError;
use std::error::Error as _;
use tokio_postgres::{Error, error::Severity};

/// What went wrong, by what helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The connection is gone or of no use: its server stops, starts, or is no longer the primary. Another connection
    /// helps, at once or in a moment.
    Lost,
    /// Other transactions were in the way: a deadlock, a serialization failure, a lock that took too long. The same
    /// transaction may pass when it is tried again.
    Contended,
    /// Another transaction was faster with the same key. Loading and deciding again helps.
    Taken,
    /// A constraint was broken, or a value cannot be stored: the same again fails again.
    Refused,
    /// The server lacks something: disk, memory, connections, rights. It may work later.
    Unavailable,
    /// The tables or their content are nothing that this program wrote.
    Corrupt,
}

/// Sorts an error by what helps.
pub(super) fn cause(error: &Error) -> Cause {
    let Some(db) = error.as_db_error() else {
        return if is_decoding(error) { Cause::Corrupt } else { Cause::Lost };
    };
    let code = db.code().code();
    match (code.get(..2).unwrap_or_default(), code) {
        // Shutting down, crashed, starting up, the database dropped; the old primary after a fail-over is read-only.
        (_, "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25006" | "25P03" | "25P04") | ("08", _) => Cause::Lost,
        // Cancelled: a statement that ran into its time-out.
        (_, "40001" | "40P01" | "55P03" | "57014") => Cause::Contended,
        (_, "23505") => Cause::Taken,
        ("22" | "23" | "54" | "P0", _) => Cause::Refused,
        // A prepared statement that the pooler or a fail-over took away, or whose table has changed since. Too many
        // connections: some end soon.
        (_, "26000" | "42P05" | "0A000" | "53300") => Cause::Lost,
        // No such user, password or database; no room on the disk.
        ("28" | "3D" | "53", _) => Cause::Unavailable,
        ("42", _) if code != "42501" => Cause::Corrupt,
        ("XX", "XX001" | "XX002") => Cause::Corrupt,
        _ if matches!(db.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) => Cause::Lost,
        _ => Cause::Unavailable,
    }
}

/// Whether the error is the program's reading of a row, not the server's answer.
fn is_decoding(error: &Error) -> bool {
    // The driver keeps its kinds to itself; these are the ones whose text says which column.
    let text = error.to_string();
    ["error deserializing", "error serializing", "invalid column", "query returned", "expected "]
        .iter()
        .any(|start| text.starts_with(start))
}

/// Whether the same transaction may pass when it is loaded, decided and saved again.
pub(super) fn is_retryable(error: &Error) -> bool {
    matches!(cause(error), Cause::Lost | Cause::Contended | Cause::Taken)
}

/// Whether it is the server's own answer to a statement. What a pooler says when it has lost the server (class 08) tells
/// nothing of how far the server came.
pub(super) fn is_the_servers(error: &Error) -> bool {
    error.as_db_error().is_some_and(|db| !db.code().code().starts_with("08"))
}

/// Of anything before the commit was sent: nothing was saved.
pub(super) fn of_work(error: &Error) -> StoreError {
    let text = text(error);
    match cause(error) {
        Cause::Lost | Cause::Unavailable => StoreError::Unavailable(text),
        Cause::Contended => StoreError::Contended(text),
        Cause::Taken | Cause::Refused => StoreError::Conflict(text),
        Cause::Corrupt => StoreError::Corrupt(text),
    }
}

/// Of the commit itself. Only an answer of the server that it refuses is definite: a connection that broke, and a
/// server that stopped, may have committed before.
pub(super) fn of_commit(error: &Error) -> StoreError {
    let refused = error.as_db_error().is_some_and(|db| {
        db.parsed_severity() == Some(Severity::Error) && !matches!(db.code().code(), "40003" | "08007")
    });
    if refused { of_work(error) } else { StoreError::Unknown(text(error)) }
}

/// Of the wait for a connection, or of making one: nothing was sent.
pub(super) fn of_pool(error: &PoolError) -> StoreError {
    match error {
        PoolError::Backend(error) => of_work(error),
        PoolError::Timeout(_) => StoreError::Unavailable("the database did not answer in time".to_owned()),
        other => StoreError::Unavailable(other.to_string()),
    }
}

/// Everything that the error says, without the values of rows: those may be personal.
pub(super) fn text(error: &Error) -> String {
    if let Some(db) = error.as_db_error() {
        let constraint = db.constraint().map(|name| format!(", constraint {name}")).unwrap_or_default();
        let hint = match db.code().code() {
            "26000" | "42P05" => ": a pooler that shares connections by transaction needs unnamed statements",
            _ => "",
        };
        return format!("{} (SQLSTATE {}{constraint}){hint}", db.message(), db.code().code());
    }
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
