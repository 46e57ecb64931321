//! Reads the rows of a `SQLite` file, table by table and in parts.

use super::tables::{CopiedTable, TABLES};
use crate::{StoreError, sqlite::SqliteStore};
use rusqlite::Connection;
use std::sync::Arc;
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    task::JoinHandle,
};

/// Parts that may wait in the channel.
const WAITING: usize = 4;

/// Rows of one table, each with its values as text.
#[derive(Debug)]
pub(super) struct TablePart {
    pub(super) table: &'static CopiedTable,
    pub(super) rows: Vec<Vec<Option<String>>>,
}

/// All rows of all tables in one snapshot, part after part.
#[derive(Debug)]
pub(super) struct TableParts {
    parts: Receiver<TablePart>,
    reading: JoinHandle<Result<(), StoreError>>,
}

impl TableParts {
    /// Starts to read; `order` is the order of a table's rows.
    pub(super) fn start(source: &Arc<SqliteStore>, order: fn(&CopiedTable) -> &'static str) -> Self {
        let (sender, parts) = mpsc::channel(WAITING);
        let source = Arc::clone(source);
        let reading = tokio::spawn(async move { source.read(move |conn| pour(conn, order, &sender)).await });
        Self { parts, reading }
    }

    /// The next part; none at the end or after a failure.
    pub(super) async fn next(&mut self) -> Option<TablePart> {
        self.parts.recv().await
    }

    /// Waits for the end of the reading.
    ///
    /// # Errors
    /// The file could not be read completely.
    pub(super) async fn end(self) -> Result<(), StoreError> {
        drop(self.parts);
        self.reading.await.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }
}

fn pour(conn: &Connection, order: fn(&CopiedTable) -> &'static str, parts: &Sender<TablePart>) -> rusqlite::Result<()> {
    let moment = conn.unchecked_transaction()?;
    for table in TABLES {
        let columns: Vec<_> = table.columns.iter().map(super::tables::Column::in_sqlite).collect();
        let query = format!("SELECT {} FROM \"{}\" ORDER BY {}", columns.join(", "), table.name, order(table));
        let mut query = moment.prepare(&query)?;
        let mut found = query.query(())?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            rows.push((0..columns.len()).map(|at| row.get(at)).collect::<rusqlite::Result<_>>()?);
            if rows.len() == table.part
                && parts.blocking_send(TablePart { table, rows: std::mem::take(&mut rows) }).is_err()
            {
                return Ok(());
            }
        }
        if !rows.is_empty() && parts.blocking_send(TablePart { table, rows }).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
