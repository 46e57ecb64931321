//! `session`: who is signed in.

use super::{HASHES, TEXTS, TIMES, UUIDS};
use crate::{
    StoreError,
    enum_text::EnumText,
    postgres::{columns::Columns, connect::Statement, read_pool::ReadPool, saves::SavePipeline},
};
use frontrow_domain::{changes::Changes, user::Session};
use std::collections::BTreeMap;
use tokio_postgres::{Error, types::Type};

fn read(row: &mut Columns<'_>) -> Result<Session, Error> {
    Ok(Session { secret_hash: row.hash()?, user_id: row.user_id()?, role: row.word()?, expires_at: row.time()? })
}

const FIND: Statement = Statement {
    sql: "SELECT secret_hash, user_id, role, expires_at FROM session WHERE secret_hash = $1",
    types: &[Type::BYTEA],
};

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
    sql: "INSERT INTO session (secret_hash, user_id, role, expires_at) SELECT * FROM unnest($1, $2, $3, $4)
          ON CONFLICT (secret_hash) DO UPDATE
          SET user_id = excluded.user_id, role = excluded.role, expires_at = excluded.expires_at",
    types: &[HASHES, UUIDS, TEXTS, TIMES],
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
    });
}
