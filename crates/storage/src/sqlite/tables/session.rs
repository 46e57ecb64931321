//! `session`: who is signed in.

use super::{find as find_row, find_by, list};
use crate::{enum_text::EnumText, sqlite::columns::Columns};
use frontrow_domain::{
    changes::Changes,
    id::UserId,
    user::{ClientLabel, Session},
    world::World,
};
use rusqlite::{Connection, Result};

macro_rules! columns {
    () => {
        "secret_hash, user_id, role, expires_at, created_at, client"
    };
}

fn read(row: &mut Columns<'_>) -> Result<Session> {
    Ok(Session {
        secret_hash: row.value()?,
        user_id: row.user_id()?,
        role: row.word()?,
        expires_at: row.time()?,
        created_at: row.time()?,
        // A newer version may know more programs.
        client: row.value::<Option<String>>()?.and_then(|label| label.parse().ok()),
    })
}

const FIND: &str = concat!("SELECT ", columns!(), " FROM session WHERE secret_hash = ?1");

pub(crate) fn find(conn: &Connection, secret_hash: [u8; 32]) -> Result<Option<Session>> {
    find_row(conn, FIND, (secret_hash,), read)
}

pub(crate) fn load(conn: &Connection, world: &mut World, keys: &[[u8; 32]]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut select = conn.prepare_cached(FIND)?;
    for secret_hash in keys {
        if let Some(session) = find_by(&mut select, (secret_hash,), read)? {
            world.sessions.insert(*secret_hash, session);
        }
    }
    Ok(())
}

const OF_USER: &str =
    concat!("SELECT ", columns!(), " FROM session WHERE user_id = ?1 ORDER BY created_at DESC LIMIT ?2");

pub(crate) fn of_user(conn: &Connection, user: UserId, limit: u32) -> Result<Vec<Session>> {
    list(conn, OF_USER, (user.0, limit), read)
}

const UPSERT: &str = concat!(
    "INSERT INTO session (",
    columns!(),
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6)
     ON CONFLICT (secret_hash) DO UPDATE
     SET user_id = excluded.user_id, role = excluded.role, expires_at = excluded.expires_at,
         created_at = excluded.created_at, client = excluded.client"
);

pub(crate) fn save(conn: &Connection, changes: &Changes) -> Result<()> {
    for ended in &changes.ended_sessions {
        conn.prepare_cached("DELETE FROM session WHERE user_id = ?1 AND secret_hash IS NOT ?2")?
            .execute((ended.user_id.0, ended.kept))?;
    }
    if !changes.closed_sessions.is_empty() {
        let mut delete = conn.prepare_cached("DELETE FROM session WHERE secret_hash = ?1")?;
        for secret_hash in &changes.closed_sessions {
            delete.execute((secret_hash,))?;
        }
    }
    if !changes.new_sessions.is_empty() {
        let mut upsert = conn.prepare_cached(UPSERT)?;
        for session in &changes.new_sessions {
            upsert.execute((
                session.secret_hash,
                session.user_id.0,
                session.role.word(),
                session.expires_at.micros(),
                session.created_at.micros(),
                session.client.map(|label: ClientLabel| label.to_string()),
            ))?;
        }
    }
    Ok(())
}
