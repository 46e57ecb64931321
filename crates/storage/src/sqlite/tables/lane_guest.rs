//! `lane_guest`: accounts that may join a lane.

use super::{find_by, list};
use crate::{Page, sqlite::columns::Columns};
use frontrow_domain::{
    changes::Changes,
    id::{RoomId, UserId},
    line::{LaneGuest, LaneKind},
    world::World,
};
use rusqlite::{Connection, Result};

macro_rules! columns {
    () => {
        "user_id, room_id, added_by, added_at"
    };
}

fn read(row: &mut Columns<'_>) -> Result<LaneGuest> {
    Ok(LaneGuest {
        user_id: row.user_id()?,
        room_id: row.id(RoomId::new)?,
        added_by: row.user_id_or_none()?,
        added_at: row.time()?,
    })
}

const FIND: &str = concat!("SELECT ", columns!(), " FROM lane_guest WHERE user_id = ?1 AND room_id = ?2");

pub(crate) fn load(conn: &Connection, world: &mut World, guests: &[(UserId, RoomId)]) -> Result<()> {
    if guests.is_empty() {
        return Ok(());
    }
    let mut select = conn.prepare_cached(FIND)?;
    for (user, lane) in guests {
        if let Some(guest) = find_by(&mut select, (user.0, lane.get()), read)? {
            world.guests.load((*user, *lane), guest);
        }
    }
    Ok(())
}

/// The lanes beside the line of a room on whose lists a user is.
pub(crate) fn of_user(conn: &Connection, user: UserId, room: RoomId) -> Result<Vec<LaneGuest>> {
    let mut select = conn.prepare_cached(FIND)?;
    let mut found = Vec::new();
    for kind in LaneKind::ALL {
        found.extend(find_by(&mut select, (user.0, room.lane(kind).get()), read)?);
    }
    Ok(found)
}

const OF_LANE: &str =
    concat!("SELECT ", columns!(), " FROM lane_guest WHERE room_id = ?1 AND user_id > ?2 ORDER BY user_id LIMIT ?3");

pub(crate) fn of_lane(conn: &Connection, lane: RoomId, page: Page<UserId>) -> Result<Vec<LaneGuest>> {
    let after = page.after.map_or_else(uuid::Uuid::nil, |user| user.0);
    list(conn, OF_LANE, (lane.get(), after, page.limit), read)
}

const UPSERT: &str = concat!(
    "INSERT INTO lane_guest (",
    columns!(),
    ") VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (user_id, room_id) DO UPDATE SET added_by = excluded.added_by, added_at = excluded.added_at"
);

pub(crate) fn save(conn: &Connection, changes: &Changes) -> Result<()> {
    for (user, lane) in &changes.removed_guests {
        conn.prepare_cached("DELETE FROM lane_guest WHERE user_id = ?1 AND room_id = ?2")?
            .execute((user.0, lane.get()))?;
    }
    for user in &changes.erased_blocks {
        conn.prepare_cached("DELETE FROM lane_guest WHERE user_id = ?1")?.execute((user.0,))?;
    }
    for row in &changes.guests {
        conn.prepare_cached(UPSERT)?.execute((
            row.user_id.0,
            row.room_id.get(),
            row.added_by.map(|user| user.0),
            row.added_at.micros(),
        ))?;
    }
    Ok(())
}
