//! `line_block`: users whom operators keep out of a line.

use super::{FLAGS, ID, IDS, NUMBER, TEXTS, TIMES, UUID, UUIDS};
use crate::{
    Page, StoreError,
    postgres::{
        columns::{Columns, micros},
        connect::Statement,
        load_plan::LoadPlan,
        loads::Loads,
        read_pool::ReadPool,
        saves::SavePipeline,
    },
};
use frontrow_domain::{
    changes::Changes,
    id::{RoomId, UserId},
    line::LineBlock,
};
use tokio_postgres::Error;

/// Columns of the table under the name `b`.
macro_rules! columns {
    () => {
        "b.user_id, b.room_id, b.reason, b.blocked_by, b.since, b.until"
    };
}

fn read(row: &mut Columns<'_>) -> Result<LineBlock, Error> {
    Ok(LineBlock {
        user_id: row.user_id()?,
        room_id: row.id(RoomId::new)?,
        reason: row.value()?,
        blocked_by: row.user_id_or_none()?,
        since: row.time()?,
        until: row.time_or_none()?,
    })
}

/// A join and a block of the same room exclude each other: else a user could get a token by a join that did not see the
/// block yet, while the block did not see the token. Joins exclude no other join. The first number is apart from those
/// of other advisory locks.
const LOCK: Statement = Statement {
    sql: "SELECT CASE WHEN k.blocks
              THEN pg_advisory_xact_lock(1112297547, k.room) ELSE pg_advisory_xact_lock_shared(1112297547, k.room) END
          FROM (SELECT (room_id % 2147483647)::int AS room, blocks FROM unnest($1, $2) AS u (room_id, blocks)
                ORDER BY 1 OFFSET 0) AS k",
    types: &[IDS, FLAGS],
};

/// Comes before the tokens are searched.
pub(crate) fn lock<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.joined_or_blocked.is_empty() {
        loads.add(&LOCK, [&plan.joined_or_blocked, &plan.is_blocked], |_, _| Ok(()));
    }
}

/// Not locked: a block changes only under the lock on its user, and a join sees it under the lock of the room's joins.
const OF_PLACES: Statement = Statement {
    sql: concat!(
        "SELECT b.* FROM unnest($1, $2) AS k (user_id, room_id), LATERAL (
             SELECT ",
        columns!(),
        " FROM line_block AS b WHERE b.user_id = k.user_id AND b.room_id = k.room_id OFFSET 0) AS b"
    ),
    types: &[UUIDS, IDS],
};

pub(crate) fn load<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.place_users.is_empty() {
        loads.add(&OF_PLACES, [&plan.place_users, &plan.place_rooms], |loaded, row| {
            let block = read(row)?;
            loaded.world.blocks.load((block.user_id, block.room_id), block);
            Ok(())
        });
    }
}

const FIND: Statement = Statement {
    sql: concat!("SELECT ", columns!(), " FROM line_block AS b WHERE b.user_id = $1 AND b.room_id = $2"),
    types: &[UUID, ID],
};

pub(crate) async fn find(reads: &ReadPool, user: UserId, room: RoomId) -> Result<Option<LineBlock>, StoreError> {
    reads.find(&FIND, &[&user.0, &room.get()], read).await
}

const OF_ROOM: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM line_block AS b WHERE b.room_id + 0 = $1 AND b.user_id > $2 ORDER BY b.room_id + 0, b.user_id LIMIT $3"
    ),
    types: &[ID, UUID, NUMBER],
};

pub(crate) async fn of_room(reads: &ReadPool, room: RoomId, page: Page<UserId>) -> Result<Vec<LineBlock>, StoreError> {
    let after = page.after.map_or_else(uuid::Uuid::nil, |user| user.0);
    reads.list(&OF_ROOM, &[&room.get(), &after, &i64::from(page.limit)], read).await
}

const OF_USER: Statement = Statement {
    sql: concat!("SELECT ", columns!(), " FROM line_block AS b WHERE b.user_id = $1 ORDER BY b.room_id LIMIT $2"),
    types: &[UUID, NUMBER],
};

pub(crate) async fn of_user(reads: &ReadPool, user: UserId, limit: u32) -> Result<Vec<LineBlock>, StoreError> {
    reads.list(&OF_USER, &[&user.0, &i64::from(limit)], read).await
}

const LIFT: Statement = Statement {
    sql: "DELETE FROM line_block AS b USING unnest($1, $2) AS k (user_id, room_id)
          WHERE b.user_id = k.user_id AND b.room_id = k.room_id",
    types: &[UUIDS, IDS],
};

const ERASE: Statement = Statement { sql: "DELETE FROM line_block WHERE user_id = ANY($1)", types: &[UUIDS] };

const UPSERT: Statement = Statement {
    sql: "INSERT INTO line_block (user_id, room_id, reason, blocked_by, since, until)
          SELECT * FROM unnest($1, $2, $3, $4, $5, $6)
          ON CONFLICT (user_id, room_id) DO UPDATE
          SET reason = excluded.reason, blocked_by = excluded.blocked_by, since = excluded.since,
              until = excluded.until",
    types: &[UUIDS, IDS, TEXTS, UUIDS, TIMES, TIMES],
};

pub(crate) fn save<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&LIFT, &changes.lifted_blocks, |rows| rows.column(|(user, _)| user.0).column(|(_, room)| room.get()));
    saves.add(&ERASE, &changes.erased_blocks, |rows| rows.column(|user| user.0));
    saves.add(&UPSERT, &changes.blocks, |rows| {
        rows.column(|row| row.user_id.0)
            .column(|row| row.room_id.get())
            .column(|row| row.reason.as_str())
            .column(|row| row.blocked_by.map(|user| user.0))
            .column(|row| row.since.micros())
            .column(|row| micros(row.until))
    });
}
