//! `account_link`: links by which users set a new password or confirm their address, one of each kind for a user.

use super::{HASHES, IDS, TEXT, TEXTS, TIMES, UUID, UUIDS};
use crate::{
    StoreError,
    enum_text::EnumText,
    postgres::{
        columns::Columns, connect::Statement, load_plan::LoadPlan, loads::Loads, read_pool::ReadPool,
        saves::SavePipeline,
    },
};
use frontrow_domain::{
    changes::Changes,
    id::UserId,
    user::{AccountLink, LinkKind},
};
use tokio_postgres::Error;

fn read(row: &mut Columns<'_>) -> Result<AccountLink, Error> {
    Ok(AccountLink {
        user_id: row.user_id()?,
        kind: row.word()?,
        secret_hash: row.hash()?,
        epoch: row.value()?,
        expires_at: row.time()?,
    })
}

const FIND: Statement = Statement {
    sql: "SELECT user_id, kind, secret_hash, epoch, expires_at FROM account_link WHERE user_id = $1 AND kind = $2",
    types: &[UUID, TEXT],
};

pub(crate) async fn find(reads: &ReadPool, user: UserId, kind: LinkKind) -> Result<Option<AccountLink>, StoreError> {
    reads.find(&FIND, &[&user.0, &kind.word()], read).await
}

/// Not locked: a link changes only under the lock on its user, which is held.
const OF_USERS: Statement = Statement {
    sql: "SELECT l.user_id, l.kind, l.secret_hash, l.epoch, l.expires_at
          FROM unnest($1, $2) AS k (id, kind) JOIN account_link AS l ON l.user_id = k.id AND l.kind = k.kind",
    types: &[UUIDS, TEXTS],
};

pub(crate) fn load<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.link_users.is_empty() {
        loads.add(&OF_USERS, [&plan.link_users, &plan.link_kinds], |loaded, row| {
            let link = read(row)?;
            loaded.world.links.load((link.user_id, link.kind), link);
            Ok(())
        });
    }
}

const UPSERT: Statement = Statement {
    sql: "INSERT INTO account_link (user_id, kind, secret_hash, epoch, expires_at)
          SELECT * FROM unnest($1, $2, $3, $4, $5)
          ON CONFLICT (user_id, kind) DO UPDATE
          SET secret_hash = excluded.secret_hash, epoch = excluded.epoch, expires_at = excluded.expires_at",
    types: &[UUIDS, TEXTS, HASHES, IDS, TIMES],
};

pub(crate) fn upsert<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&UPSERT, &changes.links, |rows| {
        rows.column(|row| row.user_id.0)
            .column(|row| row.kind.word())
            .column(|row| row.secret_hash.as_slice())
            .column(|row| row.epoch)
            .column(|row| row.expires_at.micros())
    });
}
