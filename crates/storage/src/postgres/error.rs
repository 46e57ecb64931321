//! The meaning of a `PostgreSQL` error for the caller.

use crate::StoreError;
use deadpool_postgres::PoolError;
use std::error::Error as _;
use tokio_postgres::{Error, error::Severity};

/// Classifies errors by the remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The connection is lost or useless: its server stops, starts, or is no longer the primary. Another connection
    /// helps, now or soon.
    Lost,
    /// Other transactions were in the way: a deadlock, a serialization failure, a lock that took too long. A retry may
    /// pass.
    Contended,
    /// Another transaction used the same key first. Loading and deciding again helps.
    Taken,
    /// A constraint was broken, or a value cannot be stored: a retry fails too.
    Refused,
    /// The server lacks something: disk, memory, connections, rights. It may work later.
    Unavailable,
    /// This program did not write these tables or their content.
    Corrupt,
}

pub(super) fn cause(error: &Error) -> Cause {
    let Some(db) = error.as_db_error() else {
        return if is_decoding(error) { Cause::Corrupt } else { Cause::Lost };
    };
    let code = db.code().code();
    match (code.get(..2).unwrap_or_default(), code) {
        // Shutting down, crashed, starting up, database dropped; after a fail-over the old primary is read-only.
        (_, "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25006" | "25P03" | "25P04") | ("08", _) => Cause::Lost,
        // Cancelled: a statement ran into its time-out.
        (_, "40001" | "40P01" | "55P03" | "57014") => Cause::Contended,
        (_, "23505") => Cause::Taken,
        ("22" | "23" | "54" | "P0", _) => Cause::Refused,
        // The pooler or a fail-over lost a prepared statement, or its table has changed since. Too many connections:
        // some end soon.
        (_, "26000" | "42P05" | "0A000" | "53300") => Cause::Lost,
        // No such user, password or database; no space on the disk.
        ("28" | "3D" | "53", _) => Cause::Unavailable,
        ("42", _) if code != "42501" => Cause::Corrupt,
        ("XX", "XX001" | "XX002") => Cause::Corrupt,
        _ if matches!(db.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) => Cause::Lost,
        _ => Cause::Unavailable,
    }
}

/// Whether the driver failed to decode a row, rather than the server to answer.
fn is_decoding(error: &Error) -> bool {
    // The driver does not expose its error kinds; these texts are the ones that concern decoding.
    let text = error.to_string();
    ["error deserializing", "error serializing", "invalid column", "query returned", "expected "]
        .iter()
        .any(|start| text.starts_with(start))
}

/// Whether the transaction may pass if it is loaded, decided and saved again.
pub(super) fn is_retryable(error: &Error) -> bool {
    matches!(cause(error), Cause::Lost | Cause::Contended | Cause::Taken)
}

/// Whether it is the server's own answer to a statement. A pooler that has lost the server (class 08) does not know how
/// far the server came.
pub(super) fn is_the_servers(error: &Error) -> bool {
    error.as_db_error().is_some_and(|db| !db.code().code().starts_with("08"))
}

/// For a failure before the commit was sent: nothing was saved.
pub(super) fn of_work(error: &Error) -> StoreError {
    let text = text(error);
    match cause(error) {
        Cause::Lost | Cause::Unavailable => StoreError::Unavailable(text),
        Cause::Contended => StoreError::Contended(text),
        Cause::Taken | Cause::Refused => StoreError::Conflict(text),
        Cause::Corrupt => StoreError::Corrupt(text),
    }
}

/// For a failure of the commit. Only the server's refusal is definite: if the connection broke or the server stopped,
/// the commit may have happened.
pub(super) fn of_commit(error: &Error) -> StoreError {
    let refused = error.as_db_error().is_some_and(|db| {
        db.parsed_severity() == Some(Severity::Error) && !matches!(db.code().code(), "40003" | "08007")
    });
    if refused { of_work(error) } else { StoreError::Unknown(text(error)) }
}

/// For a failure to get or make a connection: nothing was sent.
pub(super) fn of_pool(error: &PoolError) -> StoreError {
    match error {
        PoolError::Backend(error) => of_work(error),
        PoolError::Timeout(_) => StoreError::Unavailable("the database did not answer in time".to_owned()),
        other => StoreError::Unavailable(other.to_string()),
    }
}

/// The error's whole text, without values of rows: those may be personal.
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
