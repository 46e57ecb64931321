//! `second_factor`: what operators and viewers sign in with besides the password.

use super::{find as find_row, find_by, micros};
use crate::{
    factor_columns::{FactorColumns, hashes},
    sqlite::columns::Columns,
};
use frontrow_domain::{changes::Changes, id::UserId, user::SecondFactor, world::World};
use rusqlite::{Connection, Result, params};

fn read(row: &mut Columns<'_>) -> Result<SecondFactor> {
    let columns = FactorColumns {
        user_id: row.user_id()?,
        secret: row.value()?,
        confirmed_at: row.time_or_none()?,
        last_step: row.value()?,
        recovery: hashes(&row.value::<Vec<u8>>()?),
        wrong_codes: row.value()?,
        wrong_at: row.time_or_none()?,
        updated_at: row.time()?,
    };
    Ok(columns.into())
}

const FIND: &str = "SELECT user_id, secret, confirmed_at, last_step, recovery, wrong_codes, wrong_at, updated_at
     FROM second_factor WHERE user_id = ?1";

pub(crate) fn find(conn: &Connection, user: UserId) -> Result<Option<SecondFactor>> {
    find_row(conn, FIND, (user.0,), read)
}

pub(crate) fn load(conn: &Connection, world: &mut World, keys: &[UserId]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut select = conn.prepare_cached(FIND)?;
    for user in keys {
        if let Some(factor) = find_by(&mut select, (user.0,), read)? {
            world.factors.load(*user, factor);
        }
    }
    Ok(())
}

const UPSERT: &str = "INSERT INTO second_factor
         (user_id, secret, confirmed_at, last_step, recovery, wrong_codes, wrong_at, updated_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
     ON CONFLICT (user_id) DO UPDATE
     SET secret = excluded.secret, confirmed_at = excluded.confirmed_at, last_step = excluded.last_step,
         recovery = excluded.recovery, wrong_codes = excluded.wrong_codes, wrong_at = excluded.wrong_at,
         updated_at = excluded.updated_at";

pub(crate) fn save(conn: &Connection, changes: &Changes) -> Result<()> {
    for user in &changes.removed_factors {
        conn.prepare_cached("DELETE FROM second_factor WHERE user_id = ?1")?.execute((user.0,))?;
    }
    for factor in &changes.factors {
        let row = FactorColumns::from(factor);
        conn.prepare_cached(UPSERT)?.execute(params![
            row.user_id.0,
            row.secret,
            micros(row.confirmed_at),
            row.last_step,
            row.recovery.concat(),
            row.wrong_codes,
            micros(row.wrong_at),
            row.updated_at.micros()
        ])?;
    }
    Ok(())
}
