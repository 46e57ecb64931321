//! `session`: who is signed in.

use super::find as find_row;
use crate::{enum_text::EnumText, sqlite::columns::Columns};
use frontrow_domain::{changes::Changes, user::Session};
use rusqlite::{Connection, Result};

fn read(row: &mut Columns<'_>) -> Result<Session> {
    Ok(Session { secret_hash: row.value()?, user_id: row.user_id()?, role: row.word()?, expires_at: row.time()? })
}

const FIND: &str = "SELECT secret_hash, user_id, role, expires_at FROM session WHERE secret_hash = ?1";

pub(crate) fn find(conn: &Connection, secret_hash: [u8; 32]) -> Result<Option<Session>> {
    find_row(conn, FIND, (secret_hash,), read)
}

const UPSERT: &str = "INSERT INTO session (secret_hash, user_id, role, expires_at) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (secret_hash) DO UPDATE
     SET user_id = excluded.user_id, role = excluded.role, expires_at = excluded.expires_at";

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
            ))?;
        }
    }
    Ok(())
}
