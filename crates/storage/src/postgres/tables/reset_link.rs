//! `reset_link`: links by which users set a new password, one for a user.

use super::{HASHES, IDS, TIMES, UUIDS};
use crate::postgres::{columns::Columns, connect::Statement, load_plan::LoadPlan, loads::Loads, saves::SavePipeline};
use frontrow_domain::{changes::Changes, user::ResetLink};
use tokio_postgres::Error;

fn read(row: &mut Columns<'_>) -> Result<ResetLink, Error> {
    Ok(ResetLink { user_id: row.user_id()?, secret_hash: row.hash()?, epoch: row.value()?, expires_at: row.time()? })
}

/// Not locked: a link changes only under the lock on its user, which is held.
const OF_USERS: Statement = Statement {
    sql: "SELECT user_id, secret_hash, epoch, expires_at FROM reset_link WHERE user_id = ANY($1)",
    types: &[UUIDS],
};

pub(crate) fn load<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.reset_links.is_empty() {
        loads.add(&OF_USERS, [&plan.reset_links], |loaded, row| {
            let link = read(row)?;
            loaded.world.reset_links.load(link.user_id, link);
            Ok(())
        });
    }
}

const UPSERT: Statement = Statement {
    sql: "INSERT INTO reset_link (user_id, secret_hash, epoch, expires_at) SELECT * FROM unnest($1, $2, $3, $4)
          ON CONFLICT (user_id) DO UPDATE
          SET secret_hash = excluded.secret_hash, epoch = excluded.epoch, expires_at = excluded.expires_at",
    types: &[UUIDS, HASHES, IDS, TIMES],
};

pub(crate) fn upsert<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&UPSERT, &changes.reset_links, |rows| {
        rows.column(|row| row.user_id.0)
            .column(|row| row.secret_hash.as_slice())
            .column(|row| row.epoch)
            .column(|row| row.expires_at.micros())
    });
}
