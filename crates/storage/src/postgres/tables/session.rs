//! `session`: who is signed in.

use super::{HASHES, NUMBER, TEXTS, TIMES, UUID, UUIDS};
use crate::{
    StoreError,
    enum_text::EnumText,
    postgres::{
        columns::Columns, connect::Statement, load_plan::LoadPlan, loads::Loads, read_pool::ReadPool,
        saves::SavePipeline,
    },
};
use frontrow_domain::{changes::Changes, id::UserId, user::Session};
use std::collections::BTreeMap;
use tokio_postgres::{Error, types::Type};

macro_rules! columns {
    () => {
        "secret_hash, user_id, role, expires_at, created_at, client"
    };
}

fn read(row: &mut Columns<'_>) -> Result<Session, Error> {
    Ok(Session {
        secret_hash: row.hash()?,
        user_id: row.user_id()?,
        role: row.word()?,
        expires_at: row.time()?,
        created_at: row.time()?,
        // A newer version may know more programs.
        client: row.value::<Option<&str>>()?.and_then(|label| label.parse().ok()),
    })
}

const FIND: Statement =
    Statement { sql: concat!("SELECT ", columns!(), " FROM session WHERE secret_hash = $1"), types: &[Type::BYTEA] };

/// Not locked: a session is opened and ended, and never changes.
const FIND_ALL: Statement =
    Statement { sql: concat!("SELECT ", columns!(), " FROM session WHERE secret_hash = ANY($1)"), types: &[HASHES] };

pub(crate) fn load<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if plan.sessions.is_empty() {
        return;
    }
    let session = loads.session();
    let query = async move {
        let keys: Vec<&[u8]> = plan.sessions.iter().map(<[u8; 32]>::as_slice).collect();
        session.query(&FIND_ALL, &[&keys]).await
    };
    loads.add_query(
        &FIND_ALL,
        |loaded, row| {
            let session = read(row)?;
            loaded.world.sessions.insert(session.secret_hash, session);
            Ok(())
        },
        query,
    );
}

const OF_USER: Statement = Statement {
    sql: concat!("SELECT ", columns!(), " FROM session WHERE user_id = $1 ORDER BY created_at DESC LIMIT $2"),
    types: &[UUID, NUMBER],
};

pub(crate) async fn of_user(reads: &ReadPool, user: UserId, limit: u32) -> Result<Vec<Session>, StoreError> {
    reads.list(&OF_USER, &[&user.0, &i64::from(limit)], read).await
}

pub(crate) async fn find(reads: &ReadPool, secret_hash: [u8; 32]) -> Result<Option<Session>, StoreError> {
    reads.find(&FIND, &[&secret_hash.as_slice()], read).await
}

/// Ends all sessions of users except the one that each keeps; an empty hash matches no session.
const END: Statement = Statement {
    sql: "DELETE FROM session AS s USING unnest($1, $2) AS k (id, kept)
          WHERE s.user_id = k.id AND s.secret_hash <> k.kept",
    types: &[UUIDS, HASHES],
};

const DELETE: Statement = Statement { sql: "DELETE FROM session WHERE secret_hash = ANY($1)", types: &[HASHES] };

const UPSERT: Statement = Statement {
    sql: concat!(
        "INSERT INTO session (",
        columns!(),
        ") SELECT * FROM unnest($1, $2, $3, $4, $5, $6)
          ON CONFLICT (secret_hash) DO UPDATE
          SET user_id = excluded.user_id, role = excluded.role, expires_at = excluded.expires_at,
              created_at = excluded.created_at, client = excluded.client"
    ),
    types: &[HASHES, UUIDS, TEXTS, TIMES, TIMES, TEXTS],
};

pub(crate) fn save<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&END, &changes.ended_sessions, |rows| {
        rows.column(|row| row.user_id.0).column(|row| row.kept.as_ref().map_or(&[][..], <[u8; 32]>::as_slice))
    });
    saves.add(&DELETE, &changes.closed_sessions, |rows| rows.column(<[u8; 32]>::as_slice));
    // If a batch opens a secret twice, the later session holds.
    let new: BTreeMap<_, _> = changes.new_sessions.iter().map(|row| (row.secret_hash, row)).collect();
    saves.add(&UPSERT, new.into_values(), |rows: super::Rows<'_, Session>| {
        rows.column(|row| row.secret_hash.as_slice())
            .column(|row| row.user_id.0)
            .column(|row| row.role.word())
            .column(|row| row.expires_at.micros())
            .column(|row| row.created_at.micros())
            .column(|row| row.client.map(|label| label.to_string()))
    });
}
