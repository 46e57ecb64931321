//! `lane_guest`: accounts that may join a lane.

use super::{ID, IDS, NUMBER, TIMES, UUID, UUIDS};
use crate::{
    Page, StoreError,
    postgres::{
        columns::Columns, connect::Statement, load_plan::LoadPlan, loads::Loads, read_pool::ReadPool,
        saves::SavePipeline,
    },
};
use frontrow_domain::{
    changes::Changes,
    id::{RoomId, UserId},
    line::LaneGuest,
};
use tokio_postgres::Error;

/// Columns of the table under the name `g`.
macro_rules! columns {
    () => {
        "g.user_id, g.room_id, g.added_by, g.added_at"
    };
}

fn read(row: &mut Columns<'_>) -> Result<LaneGuest, Error> {
    Ok(LaneGuest {
        user_id: row.user_id()?,
        room_id: row.id(RoomId::new)?,
        added_by: row.user_id_or_none()?,
        added_at: row.time()?,
    })
}

/// Not locked: a list changes only under the locks on the lane's room and on the user. A guest who joins while the
/// account is taken off the list keeps the place, as one who joined just before.
const LOAD: Statement = Statement {
    sql: concat!(
        "SELECT g.* FROM unnest($1, $2) AS k (user_id, room_id), LATERAL (
             SELECT ",
        columns!(),
        " FROM lane_guest AS g WHERE g.user_id = k.user_id AND g.room_id = k.room_id OFFSET 0) AS g"
    ),
    types: &[UUIDS, IDS],
};

pub(crate) fn load<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.guest_users.is_empty() {
        loads.add(&LOAD, [&plan.guest_users, &plan.guest_lanes], |loaded, row| {
            let guest = read(row)?;
            loaded.world.guests.load((guest.user_id, guest.room_id), guest);
            Ok(())
        });
    }
}

const OF_USER: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM lane_guest AS g WHERE g.user_id = $1 AND g.room_id = ANY($2) ORDER BY g.room_id DESC"
    ),
    types: &[UUID, IDS],
};

/// The lanes beside the line of a room on whose lists a user is.
pub(crate) async fn of_user(reads: &ReadPool, user: UserId, room: RoomId) -> Result<Vec<LaneGuest>, StoreError> {
    let lanes: Vec<i64> = room.with_lanes().into_iter().filter(|room| room.is_lane()).map(RoomId::get).collect();
    reads.list(&OF_USER, &[&user.0, &lanes], read).await
}

const OF_LANE: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM lane_guest AS g WHERE g.room_id + 0 = $1 AND g.user_id > $2 ORDER BY g.room_id + 0, g.user_id LIMIT $3"
    ),
    types: &[ID, UUID, NUMBER],
};

pub(crate) async fn of_lane(reads: &ReadPool, lane: RoomId, page: Page<UserId>) -> Result<Vec<LaneGuest>, StoreError> {
    let after = page.after.map_or_else(uuid::Uuid::nil, |user| user.0);
    reads.list(&OF_LANE, &[&lane.get(), &after, &i64::from(page.limit)], read).await
}

const REMOVE: Statement = Statement {
    sql: "DELETE FROM lane_guest AS g USING unnest($1, $2) AS k (user_id, room_id)
          WHERE g.user_id = k.user_id AND g.room_id = k.room_id",
    types: &[UUIDS, IDS],
};

const ERASE: Statement = Statement { sql: "DELETE FROM lane_guest WHERE user_id = ANY($1)", types: &[UUIDS] };

const UPSERT: Statement = Statement {
    sql: "INSERT INTO lane_guest (user_id, room_id, added_by, added_at)
          SELECT * FROM unnest($1, $2, $3, $4)
          ON CONFLICT (user_id, room_id) DO UPDATE SET added_by = excluded.added_by, added_at = excluded.added_at",
    types: &[UUIDS, IDS, UUIDS, TIMES],
};

pub(crate) fn save<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&REMOVE, &changes.removed_guests, |rows| rows.column(|(user, _)| user.0).column(|(_, lane)| lane.get()));
    saves.add(&ERASE, &changes.erased_blocks, |rows| rows.column(|user| user.0));
    saves.add(&UPSERT, &changes.guests, |rows| {
        rows.column(|row| row.user_id.0)
            .column(|row| row.room_id.get())
            .column(|row| row.added_by.map(|user| user.0))
            .column(|row| row.added_at.micros())
    });
}
