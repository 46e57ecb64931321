//! `idempotency`: answers by their idempotency keys.

use crate::sqlite::columns::Columns;
use frontrow_domain::{
    changes::Changes,
    command::{Idempotency, IdempotencyRecord},
    world::World,
};
use rusqlite::{Connection, OptionalExtension, Result};

const FIND: &str = "SELECT created_at, fingerprint, answer FROM idempotency WHERE key = ?1";

pub(crate) fn load(conn: &Connection, world: &mut World, keys: &[Idempotency]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut select = conn.prepare_cached(FIND)?;
    for Idempotency { key, .. } in keys {
        let read = |row: &mut Columns<'_>| {
            let created_at = row.time()?;
            let idempotency = Idempotency { key: *key, fingerprint: row.value()? };
            Ok(IdempotencyRecord { idempotency, answer: row.value()?, created_at })
        };
        if let Some(record) = select.query_row((key,), |row| read(&mut Columns::of(row))).optional()? {
            world.kept.load(*key, record);
        }
    }
    Ok(())
}

const INSERT: &str = "INSERT INTO idempotency (created_at, key, fingerprint, answer) VALUES (?1, ?2, ?3, ?4)";

pub(crate) fn insert(conn: &Connection, changes: &Changes) -> Result<()> {
    if changes.kept.is_empty() {
        return Ok(());
    }
    let mut insert = conn.prepare_cached(INSERT)?;
    for IdempotencyRecord { idempotency, answer, created_at } in &changes.kept {
        insert.execute((created_at.micros(), idempotency.key, idempotency.fingerprint, answer))?;
    }
    Ok(())
}
