//! The store's work with each table: its columns, its statements, and how a row is read and bound.

pub(super) mod account_link;
pub(super) mod audit_feed;
pub(super) mod audit_log;
pub(super) mod clock;
pub(super) mod concert;
pub(super) mod concert_details;
pub(super) mod debt;
pub(super) mod draw;
pub(super) mod idempotency;
pub(super) mod lane_guest;
pub(super) mod line_block;
pub(super) mod line_record;
pub(super) mod outbox;
pub(super) mod outbox_lease;
pub(super) mod payment;
pub(super) mod point;
pub(super) mod point_history;
pub(super) mod poster;
pub(super) mod reservation;
pub(super) mod room;
pub(super) mod seat;
pub(super) mod second_factor;
pub(super) mod session;
pub(super) mod token;
pub(super) mod user;

use super::columns::Columns;
use frontrow_domain::time::Time;
use rusqlite::{Connection, Error, OptionalExtension, Params, Result, Statement};

/// Turns a row into a value.
type Read<T> = fn(&mut Columns<'_>) -> Result<T>;

/// The row that a statement finds.
fn find<T>(conn: &Connection, sql: &str, key: impl Params, read: Read<T>) -> Result<Option<T>> {
    find_by(&mut *conn.prepare_cached(sql)?, key, read)
}

fn find_by<T>(select: &mut Statement<'_>, key: impl Params, read: Read<T>) -> Result<Option<T>> {
    select.query_row(key, |row| read(&mut Columns::of(row))).optional()
}

/// All rows that a statement finds.
fn list<T>(conn: &Connection, sql: &str, keys: impl Params, read: Read<T>) -> Result<Vec<T>> {
    conn.prepare_cached(sql)?.query_map(keys, |row| read(&mut Columns::of(row)))?.collect()
}

/// An update must change exactly one row.
fn one(rows: usize) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(Error::StatementChangedRows(rows)) }
}

/// A time in the database.
fn micros(time: Option<Time>) -> Option<i64> {
    time.map(Time::micros)
}

fn size(rows: u32) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

/// The tables, each with the first column of its key.
const TABLES: [(&str, &str); 24] = [
    ("user", "user_id"),
    ("session", "secret_hash"),
    ("account_link", "user_id"),
    ("second_factor", "user_id"),
    ("room", "room_id"),
    ("draw", "room_id"),
    ("line_block", "user_id"),
    ("line_record", "room_id"),
    ("lane_guest", "user_id"),
    ("waiting_token", "room_id"),
    ("concert", "concert_id"),
    ("concert_details", "concert_id"),
    ("poster", "concert_id"),
    ("seat", "seat_id"),
    ("reservation", "reservation_id"),
    ("payment", "payment_id"),
    ("point", "point_id"),
    ("point_history", "history_id"),
    ("debt", "debt_id"),
    ("idempotency", "id"),
    ("audit_log", "audit_id"),
    ("audit_feed", "feed_number"),
    ("outbox", "event_id"),
    ("outbox_lease", "consumer"),
];

/// Reads the first and last row of every table, and so the index pages on the way to them.
pub(super) fn probe(conn: &Connection) -> Result<()> {
    for (table, key) in TABLES {
        for order in ["ASC", "DESC"] {
            let mut select = conn.prepare(&format!("SELECT * FROM \"{table}\" ORDER BY {key} {order} LIMIT 1"))?;
            select.query(())?.next()?;
        }
    }
    Ok(())
}
