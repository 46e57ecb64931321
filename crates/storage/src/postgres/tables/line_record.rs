//! `line_record`: what is kept of lines beside their rows. Written apart from batches.

use super::{HASHES, ID, IDS, TIMES};
use crate::{
    SavedLineRecord, StoreError,
    postgres::{
        columns::Columns,
        connect::Statement,
        read_pool::{ReadPool, in_time},
    },
};
use frontrow_domain::id::RoomId;
use tokio_postgres::Error;

fn read(row: &mut Columns<'_>) -> Result<SavedLineRecord, Error> {
    Ok(SavedLineRecord {
        room_id: row.id(RoomId::new)?,
        epoch: row.value()?,
        saved_at: row.time()?,
        record: row.value()?,
    })
}

const FIND: Statement =
    Statement { sql: "SELECT room_id, epoch, saved_at, record FROM line_record WHERE room_id = $1", types: &[ID] };

pub(crate) async fn find(reads: &ReadPool, room: RoomId) -> Result<Option<SavedLineRecord>, StoreError> {
    reads.find(&FIND, &[&room.get()], read).await
}

/// In the order of the rooms, so that two instances that keep the same ones cannot deadlock.
const UPSERT: Statement = Statement {
    sql: "INSERT INTO line_record (room_id, epoch, saved_at, record)
          SELECT * FROM unnest($1, $2, $3, $4) AS r (room_id, epoch, saved_at, record) ORDER BY room_id
          ON CONFLICT (room_id) DO UPDATE
          SET epoch = excluded.epoch, saved_at = excluded.saved_at, record = excluded.record
          WHERE line_record.epoch < excluded.epoch
              OR (line_record.epoch = excluded.epoch AND line_record.saved_at < excluded.saved_at)",
    types: &[IDS, IDS, TIMES, HASHES],
};

pub(crate) async fn keep(reads: &ReadPool, records: &[SavedLineRecord]) -> Result<(), StoreError> {
    let rooms: Vec<_> = records.iter().map(|record| record.room_id.get()).collect();
    let epochs: Vec<_> = records.iter().map(|record| record.epoch).collect();
    let times: Vec<_> = records.iter().map(|record| record.saved_at.micros()).collect();
    let bytes: Vec<_> = records.iter().map(|record| record.record.as_slice()).collect();
    let pool = reads.primary();
    let session = pool.get().await?;
    in_time(pool, session.execute(&UPSERT, &[&rooms, &epochs, &times, &bytes])).await?;
    session.finish();
    Ok(())
}
