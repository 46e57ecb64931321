//! `draw`: the draws of lobbies.

use super::{HASHES, ID, IDS, TIMES};
use crate::{
    StoreError,
    draw_columns::DrawColumns,
    postgres::{
        columns::{Columns, micros},
        connect::Statement,
        load_plan::LoadPlan,
        loads::Loads,
        read_pool::ReadPool,
        saves::SavePipeline,
    },
};
use frontrow_domain::{changes::Changes, id::RoomId, line::Draw};
use tokio_postgres::Error;

macro_rules! columns {
    () => {
        "room_id, secret, begun_at, chain_hash, chain_key, chain_genesis, chain_period, patience, sealed_at, entered, \
         root, round, drawn_at, signature, seed"
    };
}

fn read(row: &mut Columns<'_>) -> Result<Draw, Error> {
    let columns = DrawColumns {
        room_id: row.id(RoomId::new)?,
        secret: row.value()?,
        begun_at: row.time()?,
        chain_hash: row.value()?,
        chain_key: row.value()?,
        chain_genesis: row.value()?,
        chain_period: row.value()?,
        patience: row.value()?,
        sealed_at: row.time_or_none()?,
        entered: row.value()?,
        root: row.value()?,
        round: row.value()?,
        drawn_at: row.time_or_none()?,
        signature: row.value()?,
        seed: row.value()?,
    };
    row.consistent(columns.try_into())
}

const FIND: Statement =
    Statement { sql: concat!("SELECT ", columns!(), " FROM draw WHERE room_id = $1"), types: &[ID] };

pub(crate) async fn find(reads: &ReadPool, room: RoomId) -> Result<Option<Draw>, StoreError> {
    reads.find(&FIND, &[&room.get()], read).await
}

/// Not locked: a draw changes only under the lock on its room, which is held.
const OF_ROOMS: Statement =
    Statement { sql: concat!("SELECT ", columns!(), " FROM draw WHERE room_id = ANY($1)"), types: &[IDS] };

pub(crate) fn load<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.draws.is_empty() {
        loads.add(&OF_ROOMS, [&plan.draws], |loaded, row| {
            let draw = read(row)?;
            loaded.world.draws.load(draw.room_id, draw);
            Ok(())
        });
    }
}

/// What a draw was begun with stays.
const UPSERT: Statement = Statement {
    sql: concat!(
        "INSERT INTO draw (",
        columns!(),
        ") SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
          ON CONFLICT (room_id) DO UPDATE
          SET sealed_at = excluded.sealed_at, entered = excluded.entered, root = excluded.root,
              round = excluded.round, drawn_at = excluded.drawn_at, signature = excluded.signature,
              seed = excluded.seed"
    ),
    types: &[IDS, HASHES, TIMES, HASHES, HASHES, IDS, IDS, IDS, TIMES, HASHES, HASHES, IDS, TIMES, HASHES, HASHES],
};

pub(crate) fn save<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&UPSERT, changes.draws.iter(), |rows| {
        rows.column(|row| row.room_id.get())
            .column(|row| DrawColumns::from(row).secret)
            .column(|row| row.begun_at.micros())
            .column(|row| DrawColumns::from(row).chain_hash)
            .column(|row| DrawColumns::from(row).chain_key)
            .column(|row| DrawColumns::from(row).chain_genesis)
            .column(|row| DrawColumns::from(row).chain_period)
            .column(|row| DrawColumns::from(row).patience)
            .column(|row| micros(DrawColumns::from(row).sealed_at))
            .column(|row| DrawColumns::from(row).entered)
            .column(|row| DrawColumns::from(row).root)
            .column(|row| DrawColumns::from(row).round)
            .column(|row| micros(DrawColumns::from(row).drawn_at))
            .column(|row| DrawColumns::from(row).signature)
            .column(|row| DrawColumns::from(row).seed)
    });
}
