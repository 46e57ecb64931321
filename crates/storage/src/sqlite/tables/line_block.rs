//! `line_block`: users whom operators keep out of a line.

use super::{find as find_row, find_by, list, micros};
use crate::{Page, sqlite::columns::Columns};
use frontrow_domain::{
    changes::Changes,
    id::{RoomId, UserId},
    line::LineBlock,
    world::World,
};
use rusqlite::{Connection, Result};

macro_rules! columns {
    () => {
        "user_id, room_id, reason, blocked_by, since, until"
    };
}

fn read(row: &mut Columns<'_>) -> Result<LineBlock> {
    Ok(LineBlock {
        user_id: row.user_id()?,
        room_id: row.id(RoomId::new)?,
        reason: row.value()?,
        blocked_by: row.user_id_or_none()?,
        since: row.time()?,
        until: row.time_or_none()?,
    })
}

const FIND: &str = concat!("SELECT ", columns!(), " FROM line_block WHERE user_id = ?1 AND room_id = ?2");

pub(crate) fn find(conn: &Connection, user: UserId, room: RoomId) -> Result<Option<LineBlock>> {
    find_row(conn, FIND, (user.0, room.get()), read)
}

pub(crate) fn load(conn: &Connection, world: &mut World, places: &[(UserId, RoomId)]) -> Result<()> {
    if places.is_empty() {
        return Ok(());
    }
    let mut select = conn.prepare_cached(FIND)?;
    for (user, room) in places {
        if let Some(block) = find_by(&mut select, (user.0, room.get()), read)? {
            world.blocks.load((*user, *room), block);
        }
    }
    Ok(())
}

const OF_ROOM: &str =
    concat!("SELECT ", columns!(), " FROM line_block WHERE room_id = ?1 AND user_id > ?2 ORDER BY user_id LIMIT ?3");

pub(crate) fn of_room(conn: &Connection, room: RoomId, page: Page<UserId>) -> Result<Vec<LineBlock>> {
    let after = page.after.map_or_else(uuid::Uuid::nil, |user| user.0);
    list(conn, OF_ROOM, (room.get(), after, page.limit), read)
}

const OF_USER: &str = concat!("SELECT ", columns!(), " FROM line_block WHERE user_id = ?1 ORDER BY room_id LIMIT ?2");

pub(crate) fn of_user(conn: &Connection, user: UserId, limit: u32) -> Result<Vec<LineBlock>> {
    list(conn, OF_USER, (user.0, limit), read)
}

const UPSERT: &str = concat!(
    "INSERT INTO line_block (",
    columns!(),
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6)
     ON CONFLICT (user_id, room_id) DO UPDATE
     SET reason = excluded.reason, blocked_by = excluded.blocked_by, since = excluded.since, until = excluded.until"
);

pub(crate) fn save(conn: &Connection, changes: &Changes) -> Result<()> {
    for (user, room) in &changes.lifted_blocks {
        conn.prepare_cached("DELETE FROM line_block WHERE user_id = ?1 AND room_id = ?2")?
            .execute((user.0, room.get()))?;
    }
    for user in &changes.erased_blocks {
        conn.prepare_cached("DELETE FROM line_block WHERE user_id = ?1")?.execute((user.0,))?;
    }
    for row in &changes.blocks {
        conn.prepare_cached(UPSERT)?.execute((
            row.user_id.0,
            row.room_id.get(),
            row.reason.as_str(),
            row.blocked_by.map(|user| user.0),
            row.since.micros(),
            micros(row.until),
        ))?;
    }
    Ok(())
}
