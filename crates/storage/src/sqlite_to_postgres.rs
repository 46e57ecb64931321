//! `frontrow migrate --from sqlite:… --to postgres://…`: moves a box office that has outgrown its machine, with its
//! whole history.
//!
//! Copies everything in one transaction and compares it row by row before the commit: either all of it arrives or no
//! row.

mod source;
mod tables;

use crate::{
    StoreError,
    lock::FolderLock,
    postgres::{
        PostgresSettings,
        admin::{AdminConnection, RowCursor, failure},
    },
    sqlite::SqliteStore,
};
use anyhow::{Context as _, bail, ensure};
use frontrow_signing::Keyring;
use source::{TablePart, TableParts};
use std::{fmt, path::Path, sync::Arc};
use tables::{Column, CopiedTable, HIGHEST_GIVEN, Kind, SEQUENCES, TABLES};
use tokio_postgres::{
    Client, Row,
    types::{ToSql, Type},
};

/// The result of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The number of rows in each table.
    pub rows: Vec<(&'static str, u64)>,
    /// The number of token signing keys.
    pub keys: usize,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (table, rows) in &self.rows {
            writeln!(f, "{rows:>12}  {table}")?;
        }
        writeln!(f, "{:>12}  token keys", self.keys)?;
        f.write_str("Every row was compared after it was copied.\n")
    }
}

/// Moves the box office in the `SQLite` file at `from`, with its token keys in the file at `keys`, into an empty
/// database. The file stays unchanged.
///
/// # Errors
/// A server runs over the file, one of the two has another version's tables, the target has rows, a token is live but
/// the keys are missing, or a row did not arrive unchanged. The target then has its tables, but no row.
pub async fn run(from: &Path, keys: &Path, to: &PostgresSettings) -> anyhow::Result<Moved> {
    ensure!(from.exists(), "there is no file {}", from.display());
    let _alone = FolderLock::take(from)?;
    let source = SqliteStore::open_read_only(from).with_context(|| format!("cannot read {}", from.display()))?;
    let source = Arc::new(source);
    let secrets = if keys.try_exists()? {
        Keyring::secrets(keys).with_context(|| format!("cannot read the token keys in {}", keys.display()))?
    } else {
        check_lines_are_empty(&source, keys).await?;
        Vec::new()
    };
    let tool = AdminConnection::new(to)?;
    tool.migrate().await?;
    let work = tool.begin("READ COMMITTED READ WRITE").await?;
    let client = work.client();
    check_empty(client).await.with_context(|| format!("cannot move into {}", tool.name()))?;
    check_clock(&source, client).await?;
    copy(&source, client).await?;
    set_sequences(&source, client).await?;
    copy_last_note(&source, client).await?;
    copy_keys(client, &secrets).await?;
    let rows = compare(&source, client).await?;
    // The first sale after the move must not run on plans for empty tables.
    said(client.batch_execute(&format!("ANALYZE {}", tables_of_a_sale())).await)?;
    work.commit().await?;
    Ok(Moved { rows, keys: secrets.len() })
}

/// All tables as a list for SQL. Without names, ANALYZE warns about tables of other owners.
fn tables_of_a_sale() -> String {
    TABLES.iter().map(|table| format!("\"{}\"", table.name)).collect::<Vec<_>>().join(", ")
}

fn said<T>(answer: Result<T, tokio_postgres::Error>) -> Result<T, StoreError> {
    answer.map_err(|error| failure(&error))
}

/// Without the keys, the server would refuse all live tokens after the move.
async fn check_lines_are_empty(source: &SqliteStore, keys: &Path) -> anyhow::Result<()> {
    let live: i64 = source
        .read(|conn| conn.query_row("SELECT count(*) FROM waiting_token WHERE status <> 'ended'", (), |row| row.get(0)))
        .await?;
    ensure!(
        live == 0,
        "there are no token keys in {}, and {live} tokens are in clients' hands, which would all be refused: name the \
         file with --key-file. If it is lost, start the old server once: it makes a new one, and a user that joins again gets \
         the same place",
        keys.display()
    );
    Ok(())
}

/// The locks keep all other rows out until this transaction ends.
async fn check_empty(client: &Client) -> anyhow::Result<()> {
    for name in TABLES.iter().map(|table| table.name).chain(["token_key", "office"]) {
        said(client.batch_execute(&format!("LOCK TABLE \"{name}\" IN SHARE ROW EXCLUSIVE MODE")).await)?;
        let rows = said(client.query_typed(&format!("SELECT FROM \"{name}\" LIMIT 1"), &[]).await)?;
        if !rows.is_empty() {
            bail!("the table \"{name}\" has rows already: move into a database that no server has opened");
        }
    }
    Ok(())
}

/// The move must not set time back.
async fn check_clock(source: &SqliteStore, client: &Client) -> anyhow::Result<()> {
    let high_water: i64 = source
        .read(|conn| conn.query_row("SELECT coalesce(max(high_water), 0) FROM clock", (), |row| row.get(0)))
        .await?;
    let rows = said(client.query_typed("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint", &[]).await)?;
    let now: i64 = rows.first().map_or(Ok(0), |row| said(row.try_get(0)))?;
    ensure!(
        now >= high_water,
        "the database's clock is {} seconds behind what was decided last: set it right first",
        (high_water - now) / 1_000_000 + 1
    );
    Ok(())
}

async fn copy(source: &Arc<SqliteStore>, client: &Client) -> anyhow::Result<()> {
    let mut parts = TableParts::start(source, |table| table.copied_by);
    while let Some(TablePart { table, rows }) = parts.next().await {
        let columns = table.columns.len();
        let mut values: Vec<Vec<Option<String>>> = (0..columns).map(|_| Vec::with_capacity(rows.len())).collect();
        for row in rows {
            for (column, value) in values.iter_mut().zip(row) {
                column.push(value);
            }
        }
        let params: Vec<(&(dyn ToSql + Sync), Type)> =
            values.iter().map(|column| (column as _, Type::TEXT_ARRAY)).collect();
        said(client.execute_typed(&insert(table), &params).await).with_context(|| format!("table {}", table.name))?;
    }
    Ok(parts.end().await?)
}

fn list(columns: &[Column], write: impl Fn(usize, &Column) -> String) -> String {
    columns.iter().enumerate().map(|(at, column)| write(at, column)).collect::<Vec<_>>().join(", ")
}

fn insert(CopiedTable { name, columns, .. }: &CopiedTable) -> String {
    let names = list(columns, |_, column| format!("\"{}\"", column.name));
    let values = list(columns, |at, column| column.value_of(&format!("c{at}")));
    let arrays = list(columns, |at, _| format!("${}::text[]", at + 1));
    let places = list(columns, |at, _| format!("c{at}"));
    format!("INSERT INTO \"{name}\" ({names}) SELECT {values} FROM unnest({arrays}) AS part ({places})")
}

/// No id and no position may be given twice.
async fn set_sequences(source: &SqliteStore, client: &Client) -> anyhow::Result<()> {
    for (sequence, table, id) in SEQUENCES {
        let set = format!("SELECT setval('{sequence}', max({id})) FROM {table} HAVING max({id}) IS NOT NULL");
        said(client.batch_execute(&set).await)?;
    }
    for (sequence, query) in HIGHEST_GIVEN {
        let highest: i64 = source.read(|conn| conn.query_row(query, (), |row| row.get(0))).await?;
        if highest > 0 {
            said(client.batch_execute(&format!("SELECT setval('{sequence}', {highest})")).await)?;
        }
    }
    let given: Vec<(i64, i64)> = source
        .read(|conn| {
            let mut rooms = conn.prepare("SELECT room_id, last_position FROM room WHERE last_position > 0")?;
            rooms.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
        .await?;
    for (room, highest) in given {
        said(client.batch_execute(&format!("SELECT setval('room_position_{room}', {highest})")).await)?;
    }
    Ok(())
}

/// The time of the move is an outage like any other: the first server after it lengthens deadlines.
async fn copy_last_note(source: &SqliteStore, client: &Client) -> anyhow::Result<()> {
    let alive_at: Option<i64> =
        source.read(|conn| conn.query_row("SELECT max(alive_at) FROM clock", (), |row| row.get(0))).await?;
    if let Some(alive_at) = alive_at {
        let insert = "INSERT INTO office (created_at, alive_at) VALUES (clock_micros(), $1)";
        said(client.execute_typed(insert, &[(&alive_at, Type::INT8)]).await)?;
    }
    Ok(())
}

/// Clients' tokens stay valid. The first key is the one that signs.
async fn copy_keys(client: &Client, secrets: &[(u8, [u8; 32])]) -> anyhow::Result<()> {
    let insert = "INSERT INTO token_key (key_id, secret, created_at, signs_from)
        SELECT $1::int8, $2::bytea, micros - $3::int8, micros - $3::int8
        FROM (SELECT (extract(epoch FROM now()) * 1000000)::bigint AS micros) AS clock";
    for (place, (id, secret)) in (0_i64..).zip(secrets) {
        let (id, secret) = (i64::from(*id), secret.as_slice());
        let params: [(&(dyn ToSql + Sync), Type); 3] =
            [(&id, Type::INT8), (&secret, Type::BYTEA), (&place, Type::INT8)];
        said(client.execute_typed(insert, &params).await)?;
    }
    Ok(())
}

/// Reads both databases in the order of the key and compares every value. Returns the row count of each table.
async fn compare(source: &Arc<SqliteStore>, client: &Client) -> anyhow::Result<Vec<(&'static str, u64)>> {
    let mut parts = TableParts::start(source, |table| table.key);
    let mut part = parts.next().await;
    let mut counts = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let columns = list(table.columns, |_, column| column.in_postgres());
        // Without the alias, ORDER BY would use the selected text.
        let key = table.key.split(", ").map(|column| format!("t.{column}")).collect::<Vec<_>>().join(", ");
        let query = format!("SELECT {columns} FROM \"{}\" AS t ORDER BY {key}", table.name);
        let mut cursor = said(RowCursor::open(client, &format!("all_of_{}", table.name), &query, table.part).await)?;
        let mut there: std::vec::IntoIter<Row> = Vec::new().into_iter();
        let mut count = 0_u64;
        while let Some(TablePart { table: of, rows }) = part.take_if(|part| part.table.name == table.name) {
            for row in rows {
                if there.as_slice().is_empty() {
                    there = said(cursor.next_part().await)?.into_iter();
                }
                let arrived = there.next();
                count += 1;
                let same = arrived.is_some_and(|arrived| is_same(of.columns, &row, &arrived));
                ensure!(same, "row {count} of the table {} is not in the copy as it was", of.name);
            }
            part = parts.next().await;
        }
        let more = there.next().is_some() || !said(cursor.next_part().await)?.is_empty();
        ensure!(!more, "the copy of the table {} has rows that were not there", table.name);
        counts.push((table.name, count));
    }
    parts.end().await?;
    Ok(counts)
}

fn is_same(columns: &[Column], row: &[Option<String>], arrived: &Row) -> bool {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    columns.iter().zip(row).enumerate().all(|(at, (column, value))| match arrived.try_get::<_, Option<&str>>(at) {
        Ok(there) if column.kind == Kind::Json => {
            value.as_deref().and_then(json) == there.and_then(json) && value.is_some() == there.is_some()
        }
        Ok(there) => value.as_deref() == there,
        Err(_) => false,
    })
}
