//! `line_record`: what is kept of lines beside their rows.

use super::find as find_row;
use crate::{SavedLineRecord, sqlite::columns::Columns};
use frontrow_domain::id::RoomId;
use rusqlite::{Connection, Result};

fn read(row: &mut Columns<'_>) -> Result<SavedLineRecord> {
    Ok(SavedLineRecord {
        room_id: row.id(RoomId::new)?,
        epoch: row.value()?,
        saved_at: row.time()?,
        record: row.value()?,
    })
}

const FIND: &str = "SELECT room_id, epoch, saved_at, record FROM line_record WHERE room_id = ?1";

pub(crate) fn find(conn: &Connection, room: RoomId) -> Result<Option<SavedLineRecord>> {
    find_row(conn, FIND, (room.get(),), read)
}

const UPSERT: &str = "INSERT INTO line_record (room_id, epoch, saved_at, record) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (room_id) DO UPDATE SET epoch = excluded.epoch, saved_at = excluded.saved_at, record = excluded.record
     WHERE line_record.epoch < excluded.epoch
         OR (line_record.epoch = excluded.epoch AND line_record.saved_at < excluded.saved_at)";

pub(crate) fn keep(conn: &Connection, records: &[SavedLineRecord]) -> Result<()> {
    let mut upsert = conn.prepare_cached(UPSERT)?;
    for SavedLineRecord { room_id, epoch, saved_at, record } in records {
        upsert.execute((room_id.get(), epoch, saved_at.micros(), record))?;
    }
    Ok(())
}
