//! `reset_link`: links by which users set a new password, one for a user.

use super::find_by;
use crate::sqlite::columns::Columns;
use frontrow_domain::{changes::Changes, id::UserId, user::ResetLink, world::World};
use rusqlite::{Connection, Result};

fn read(row: &mut Columns<'_>) -> Result<ResetLink> {
    Ok(ResetLink { user_id: row.user_id()?, secret_hash: row.value()?, epoch: row.value()?, expires_at: row.time()? })
}

const FIND: &str = "SELECT user_id, secret_hash, epoch, expires_at FROM reset_link WHERE user_id = ?1";

pub(crate) fn load(conn: &Connection, world: &mut World, users: &[UserId]) -> Result<()> {
    if users.is_empty() {
        return Ok(());
    }
    let mut select = conn.prepare_cached(FIND)?;
    for user in users {
        if let Some(link) = find_by(&mut select, (user.0,), read)? {
            world.reset_links.load(*user, link);
        }
    }
    Ok(())
}

const UPSERT: &str = "INSERT INTO reset_link (user_id, secret_hash, epoch, expires_at) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (user_id) DO UPDATE
     SET secret_hash = excluded.secret_hash, epoch = excluded.epoch, expires_at = excluded.expires_at";

pub(crate) fn upsert(conn: &Connection, changes: &Changes) -> Result<()> {
    for link in &changes.reset_links {
        conn.prepare_cached(UPSERT)?.execute((
            link.user_id.0,
            link.secret_hash,
            link.epoch,
            link.expires_at.micros(),
        ))?;
    }
    Ok(())
}
