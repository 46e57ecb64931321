//! How a store fails.

/// The store failed. The text is for the log, never for a client.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Nothing was saved: the database is locked, full, read-only or down. It may work again later.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Nothing was saved: other transactions held the rows for longer than a batch waits. The database works.
    #[error("other transactions were in the way: {0}")]
    Contended(String),
    /// Nothing was saved: a row of the batch broke a constraint. Smaller batches may find out which.
    #[error("a constraint of the database was broken: {0}")]
    Conflict(String),
    /// The commit failed, and may or may not have happened.
    #[error("the outcome of a commit is unknown: {0}")]
    Unknown(String),
    /// The database is damaged.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// The database is sound, but its tables are of another version or belong to another program.
    #[error("this program cannot use the database: {0}")]
    Misfit(String),
}

impl StoreError {
    /// Every value of [`StoreError::kind`].
    pub const KINDS: [&str; 5] = ["unavailable", "contended", "conflict", "unknown", "corrupt"];

    /// The kind as a label for metrics and traces.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Contended(_) => "contended",
            Self::Conflict(_) => "conflict",
            Self::Unknown(_) => "unknown",
            Self::Corrupt(_) | Self::Misfit(_) => "corrupt",
        }
    }
}

/// Lasting damage: a store that has found it commits nothing until the program is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Commits would go to a file that the next start does not find.
    #[error("the database file was moved, removed or replaced while the server runs")]
    FileMoved,
    /// The latest commits are lost, and further ones would be.
    #[error("the database's log (-wal) was removed, replaced or cut short while the server runs")]
    LogLost,
    /// Another server could open the folder.
    #[error("serve.lock was removed or replaced while the server runs: another server may run over the folder")]
    LockLost,
    /// A page does not have the content that was written.
    #[error("the database is damaged")]
    Corrupt,
}
