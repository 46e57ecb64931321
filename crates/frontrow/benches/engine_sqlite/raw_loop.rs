//! The same row changes in a plain loop: what `SQLite` can do on this machine.

use crate::{BATCH, BUYERS, Buyer, START, per_second};
use anyhow::Result;
use frontrow_clock::Ids;
use rusqlite::{CachedStatement, Connection, params};
use std::{path::Path, time::Instant};

/// As long as the answers that the store keeps.
const HELD: &str = r#"{"Ok":{"outcome":"held","value":[{"reservation_id":12345,"user_id":"0193f3c4-5a6b-7c8d-9e0f-112233445566","concert_id":1,"seat_id":12345,"seat_number":12345,"price":120000,"status":"pending","created_at":"2027-01-15T08:00:00Z","expires_at":"2027-01-15T08:05:00Z","confirmed_at":null,"closed_at":null}]}}"#;
const PAID: &str = r#"{"Ok":{"outcome":"paid","value":[{"payment_id":12345,"user_id":"0193f3c4-5a6b-7c8d-9e0f-112233445566","reservation_id":12345,"amount":120000,"status":"completed","paid_at":"2027-01-15T08:00:00Z","refunded_at":null,"created_at":"2027-01-15T08:00:00Z"}]}}"#;

/// Holds and payments per second.
pub(crate) fn run(path: &Path, buyers: &[Buyer]) -> Result<(f64, f64)> {
    let conn = Connection::open(path)?;
    // The settings of the store.
    conn.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY;",
    )?;
    conn.query_row("PRAGMA wal_autocheckpoint = 16000", (), |_| Ok(()))?;
    conn.set_prepared_statement_cache_capacity(64);
    let ids = Ids::from_seed(3);
    let keys: Vec<_> = buyers.iter().map(|_| (ids.secret(), ids.secret())).collect();
    Ok((holds(&conn, buyers, &keys)?, payments(&conn, buyers, &ids)?))
}

struct Common<'conn> {
    keep: CachedStatement<'conn>,
    tick: CachedStatement<'conn>,
    begin: CachedStatement<'conn>,
    commit: CachedStatement<'conn>,
}

impl<'conn> Common<'conn> {
    fn new(conn: &'conn Connection) -> Result<Self> {
        Ok(Self {
            keep: conn.prepare_cached(
                "INSERT INTO idempotency (created_at, key, fingerprint, answer) VALUES (?1, ?2, ?3, ?4)",
            )?,
            tick: conn.prepare_cached("UPDATE clock SET high_water = ?1 WHERE id = 1")?,
            begin: conn.prepare_cached("BEGIN IMMEDIATE")?,
            commit: conn.prepare_cached("COMMIT")?,
        })
    }
}

fn holds(conn: &Connection, buyers: &[Buyer], keys: &[([u8; 32], [u8; 32])]) -> Result<f64> {
    let mut common = Common::new(conn)?;
    let mut reservation = conn.prepare_cached(
        "INSERT INTO reservation (reservation_id, user_id, concert_id, seat_id, seat_number, price, status, created_at,
             expires_at) VALUES (?1, ?2, 1, ?3, ?3, 120000, 'pending', ?4, ?5)",
    )?;
    let mut seat = conn
        .prepare_cached("UPDATE seat SET status = 'held', reservation_id = ?2, updated_at = ?3 WHERE seat_id = ?1")?;
    let mut token =
        conn.prepare_cached("UPDATE waiting_token SET deadline = ?2 WHERE room_id = 0 AND position = ?1")?;
    let start = Instant::now();
    let mut id = 0_i64;
    for (buyers, keys) in buyers.chunks(BATCH).zip(keys.chunks(BATCH)) {
        common.begin.execute(())?;
        for (buyer, (key, fingerprint)) in buyers.iter().zip(keys) {
            id += 1;
            reservation.execute(params![id, buyer.user.0, buyer.number, START, START + 300_000_000])?;
            seat.execute(params![buyer.number, id, START])?;
            token.execute(params![buyer.number, START + 330_000_000])?;
            common.keep.execute(params![START, key, fingerprint, HELD])?;
        }
        common.tick.execute((START,))?;
        common.commit.execute(())?;
    }
    Ok(per_second(buyers.len(), start.elapsed()))
}

fn payments(conn: &Connection, buyers: &[Buyer], ids: &Ids) -> Result<f64> {
    let mut common = Common::new(conn)?;
    let keys: Vec<_> = buyers.iter().map(|_| (ids.secret(), ids.secret())).collect();
    let mut reservation = conn
        .prepare_cached("UPDATE reservation SET status = 'confirmed', confirmed_at = ?2 WHERE reservation_id = ?1")?;
    let mut seat = conn.prepare_cached("UPDATE seat SET status = 'sold', updated_at = ?2 WHERE seat_id = ?1")?;
    let mut point =
        conn.prepare_cached("UPDATE point SET amount = 880000, version = 2, last_updated = ?2 WHERE point_id = ?1")?;
    let mut payment = conn.prepare_cached(
        "INSERT INTO payment (payment_id, user_id, reservation_id, amount, status, paid_at, created_at)
         VALUES (?1, ?2, ?1, 120000, 'completed', ?3, ?3)",
    )?;
    let mut history = conn.prepare_cached(
        "INSERT INTO point_history (history_id, user_id, amount, type, description, balance_after, version, payment_id,
             created_at) VALUES (?1, ?2, -120000, 'use', 'seat 12345, reservation 12345', 880000, 2, ?3, ?4)",
    )?;
    let mut token = conn.prepare_cached(
        "UPDATE waiting_token SET status = 'ended', deadline = NULL, expired_at = ?2, end_reason = 'paid'
         WHERE room_id = 0 AND position = ?1",
    )?;
    let start = Instant::now();
    let mut id = 0_i64;
    for (buyers, keys) in buyers.chunks(BATCH).zip(keys.chunks(BATCH)) {
        common.begin.execute(())?;
        for (buyer, (key, fingerprint)) in buyers.iter().zip(keys) {
            id += 1;
            reservation.execute(params![id, START])?;
            seat.execute(params![buyer.number, START])?;
            point.execute(params![buyer.number, START])?;
            payment.execute(params![id, buyer.user.0, START])?;
            history.execute(params![BUYERS + id, buyer.user.0, id, START])?;
            token.execute(params![buyer.number, START])?;
            common.keep.execute(params![START, key, fingerprint, PAID])?;
        }
        common.tick.execute((START,))?;
        common.commit.execute(())?;
    }
    Ok(per_second(buyers.len(), start.elapsed()))
}
