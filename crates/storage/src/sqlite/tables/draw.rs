//! `draw`: the draws of lobbies.

use super::{find as find_row, find_by, micros};
use crate::{draw_columns::DrawColumns, sqlite::columns::Columns};
use frontrow_domain::{changes::Changes, id::RoomId, line::Draw, world::World};
use rusqlite::{Connection, Result, params};

fn read(row: &mut Columns<'_>) -> Result<Draw> {
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

const FIND: &str = "SELECT room_id, secret, begun_at, chain_hash, chain_key, chain_genesis, chain_period, patience,
         sealed_at, entered, root, round, drawn_at, signature, seed
     FROM draw WHERE room_id = ?1";

pub(crate) fn find(conn: &Connection, room: RoomId) -> Result<Option<Draw>> {
    find_row(conn, FIND, (room.get(),), read)
}

pub(crate) fn load(conn: &Connection, world: &mut World, rooms: &[RoomId]) -> Result<()> {
    if rooms.is_empty() {
        return Ok(());
    }
    let mut select = conn.prepare_cached(FIND)?;
    for room in rooms {
        if let Some(draw) = find_by(&mut select, (room.get(),), read)? {
            world.draws.load(*room, draw);
        }
    }
    Ok(())
}

/// What a draw was begun with stays.
const UPSERT: &str = "INSERT INTO draw (room_id, secret, begun_at, chain_hash, chain_key, chain_genesis, chain_period,
         patience, sealed_at, entered, root, round, drawn_at, signature, seed)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
     ON CONFLICT (room_id) DO UPDATE
     SET sealed_at = excluded.sealed_at, entered = excluded.entered, root = excluded.root, round = excluded.round,
         drawn_at = excluded.drawn_at, signature = excluded.signature, seed = excluded.seed";

pub(crate) fn save(conn: &Connection, changes: &Changes) -> Result<()> {
    for draw in changes.draws.iter() {
        let row = DrawColumns::from(draw);
        conn.prepare_cached(UPSERT)?.execute(params![
            row.room_id.get(),
            row.secret,
            row.begun_at.micros(),
            row.chain_hash,
            row.chain_key,
            row.chain_genesis,
            row.chain_period,
            row.patience,
            micros(row.sealed_at),
            row.entered,
            row.root,
            row.round,
            micros(row.drawn_at),
            row.signature,
            row.seed
        ])?;
    }
    Ok(())
}
