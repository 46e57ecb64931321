//! `account_link`: links by which users set a new password or confirm their address, one of each kind for a user.

use super::{find as find_row, find_by};
use crate::{enum_text::EnumText, sqlite::columns::Columns};
use frontrow_domain::{
    changes::Changes,
    id::UserId,
    user::{AccountLink, LinkKind},
    world::World,
};
use rusqlite::{Connection, Result};

fn read(row: &mut Columns<'_>) -> Result<AccountLink> {
    Ok(AccountLink {
        user_id: row.user_id()?,
        kind: row.word()?,
        secret_hash: row.value()?,
        epoch: row.value()?,
        expires_at: row.time()?,
    })
}

const FIND: &str =
    "SELECT user_id, kind, secret_hash, epoch, expires_at FROM account_link WHERE user_id = ?1 AND kind = ?2";

pub(crate) fn find(conn: &Connection, user: UserId, kind: LinkKind) -> Result<Option<AccountLink>> {
    find_row(conn, FIND, (user.0, kind.word()), read)
}

pub(crate) fn load(conn: &Connection, world: &mut World, keys: &[(UserId, LinkKind)]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut select = conn.prepare_cached(FIND)?;
    for (user, kind) in keys {
        if let Some(link) = find_by(&mut select, (user.0, kind.word()), read)? {
            world.links.load((*user, *kind), link);
        }
    }
    Ok(())
}

const UPSERT: &str =
    "INSERT INTO account_link (user_id, kind, secret_hash, epoch, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
     ON CONFLICT (user_id, kind) DO UPDATE
     SET secret_hash = excluded.secret_hash, epoch = excluded.epoch, expires_at = excluded.expires_at";

pub(crate) fn upsert(conn: &Connection, changes: &Changes) -> Result<()> {
    for link in &changes.links {
        conn.prepare_cached(UPSERT)?.execute((
            link.user_id.0,
            link.kind.word(),
            link.secret_hash,
            link.epoch,
            link.expires_at.micros(),
        ))?;
    }
    Ok(())
}
