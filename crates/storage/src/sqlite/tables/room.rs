//! `room`, with `room_cap`.

use super::{clock::snapshot_time, find_by, list, micros, one};
use crate::{Life, Page, RoomSummary, RoomTally, enum_text::EnumText, sqlite::columns::Columns};
use frontrow_domain::{
    changes::{Changes, RoomCounts},
    footprint::Footprint,
    id::{Position, RoomId},
    line::{
        ContradictoryColumns, DrawPhase, Fence, LaneOf, LinePeaks, ROOMS_SHARED_MAX, Room, RoomSite, RoomWeight,
        TALLY_LEN, TokenTally,
    },
    time::Time,
    world::World,
};
use rusqlite::{Connection, Result, Statement, params};
use std::collections::BTreeMap;

macro_rules! columns {
    () => {
        "room_id, max_active, admit_per_minute, gate, message, cursor, epoch, no_show_ppm, credit_ppm, credit_at, \
         updated_at, fence, opens_at, closes_at, site_name, turn_url, draw_phase, draw_last, draw_entries, draw_placed, \
         draw_placed_entry, weight, house_budget, allotment, rate_share, allotted_at, lane_share, lane_entry, \
         peak_passed_over, peak_active, peak_cap, peak_overshoot, counted_from, shared_at"
    };
}

fn read(row: &mut Columns<'_>) -> Result<Room> {
    let room_id = row.id(RoomId::new)?;
    Ok(Room {
        room_id,
        max_active: row.value()?,
        admit_per_minute: row.value()?,
        gate: row.word()?,
        message: row.value()?,
        cursor: row.id(Position)?,
        epoch: row.value()?,
        no_show_ppm: row.value()?,
        credit_ppm: row.value()?,
        credit_at: row.time()?,
        updated_at: row.time()?,
        fence: row.id(Fence)?,
        opens_at: row.time_or_none()?,
        closes_at: row.time_or_none()?,
        site: {
            let (name, turn_url) = (row.value()?, row.value::<Option<String>>()?);
            row.consistent(RoomSite::of_columns(name, turn_url.as_deref()))?
        },
        draw: DrawPhase::of(row.word()?, row.id(Position)?, row.value()?, row.value()?, row.id(Position)?),
        weight: {
            let weight = RoomWeight::try_from(row.value::<i64>()?);
            row.consistent(weight.map_err(|_| ContradictoryColumns { table: "room" }))?
        },
        house_budget: row.value()?,
        allotment: row.value()?,
        rate_share: row.value()?,
        allotted_at: row.time()?,
        lane: {
            let (share, entry) = (row.value()?, row.word_or_none()?);
            row.consistent(LaneOf::of_columns(room_id, share, entry))?
        },
        peaks: LinePeaks {
            passed_over: row.value()?,
            active: row.value()?,
            cap: row.value()?,
            overshoot: row.value()?,
            counted_from: row.word()?,
        },
        shared_at: row.time_or_none()?,
    })
}

fn read_tally(row: &mut Columns<'_>) -> Result<TokenTally> {
    let mut numbers = [0; TALLY_LEN];
    for number in &mut numbers {
        *number = row.value()?;
    }
    Ok(TokenTally::of_numbers(numbers))
}

/// Executes a statement whose parameters are all columns, in their order.
fn execute(statement: &mut Statement<'_>, room: &Room) -> Result<usize> {
    let phase = room.draw;
    statement.execute(params![
        room.room_id.get(),
        room.max_active,
        room.admit_per_minute,
        room.gate.word(),
        &room.message,
        room.cursor.0,
        room.epoch,
        room.no_show_ppm,
        room.credit_ppm,
        room.credit_at.micros(),
        room.updated_at.micros(),
        room.fence.0,
        micros(room.opens_at),
        micros(room.closes_at),
        room.site.as_ref().map(|site| &site.name),
        room.site.as_ref().map(|site| site.turn_url.as_str()),
        phase.status().word(),
        phase.last_entry().unwrap_or_default().0,
        phase.entries(),
        phase.placed(),
        phase.placed_entry().0,
        room.weight.get(),
        room.house_budget,
        room.allotment,
        room.rate_share,
        room.allotted_at.micros(),
        room.lane.map(|lane| lane.share.percent()),
        room.lane.map(|lane| lane.entry.word()),
        room.peaks.passed_over,
        room.peaks.active,
        room.peaks.cap,
        room.peaks.overshoot,
        room.peaks.counted_from.word(),
        micros(room.shared_at),
    ])
}

const FIND: &str = concat!("SELECT ", columns!(), " FROM room WHERE room_id = ?1");

/// `highest` are the highest positions in the database.
pub(crate) fn load(
    conn: &Connection,
    world: &mut World,
    ids: &[RoomId],
    highest: &BTreeMap<RoomId, Position>,
) -> Result<()> {
    let mut select = conn.prepare_cached(FIND)?;
    for id in ids {
        if !world.rooms.contains(*id)
            && let Some(room) = find_by(&mut select, (id.get(),), read)?
        {
            world.rooms.load(*id, room);
            world.highest.insert(*id, highest.get(id).copied().unwrap_or(Position(0)));
        }
    }
    Ok(())
}

macro_rules! counts {
    () => {
        "active, offered, count_admitted, count_turns_passed, count_paid, count_left, count_expired, count_missed_out, \
         count_drawn, count_removed, count_closed"
    };
}

const COUNTS: &str = concat!("SELECT ", counts!(), " FROM room WHERE room_id = ?1");

const SET_COUNTS: &str =
    concat!("UPDATE room SET (", counts!(), ") = (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) WHERE room_id = ?1");

const RAISE_COUNTS: &str =
    "UPDATE room SET active = active + ?2, offered = offered + ?3, count_admitted = count_admitted + ?4,
         count_turns_passed = count_turns_passed + ?5, count_paid = count_paid + ?6, count_left = count_left + ?7,
         count_expired = count_expired + ?8, count_missed_out = count_missed_out + ?9, count_drawn = count_drawn + ?10,
         count_removed = count_removed + ?11, count_closed = count_closed + ?12
     WHERE room_id = ?1";

/// Executes a statement whose parameters are a room and its counts.
fn execute_counts(statement: &mut Statement<'_>, room: RoomId, counts: &RoomCounts) -> Result<usize> {
    let [admitted, turns_passed, paid, left, expired, missed_out, drawn, removed, closed] = counts.tally.numbers();
    statement.execute(params![
        room.get(),
        counts.active,
        counts.offered,
        admitted,
        turns_passed,
        paid,
        left,
        expired,
        missed_out,
        drawn,
        removed,
        closed,
    ])
}

fn read_counts(row: &mut Columns<'_>) -> Result<RoomCounts> {
    Ok(RoomCounts { active: row.value()?, offered: row.value()?, tally: read_tally(row)? })
}

pub(crate) fn tally(conn: &Connection, room: RoomId) -> Result<Option<RoomTally>> {
    let Some(counts) = super::find(conn, COUNTS, (room.get(),), read_counts)? else { return Ok(None) };
    Ok(find_by(&mut *conn.prepare_cached(FIND)?, (room.get(),), read)?.map(|room| RoomTally { room, counts }))
}

const SHARING: &str = "SELECT room_id FROM room WHERE active > 0 OR offered > 0 OR allotment > 0
     ORDER BY room_id LIMIT ?1";

/// Loads the rooms that share something with their counts.
pub(crate) fn load_sharing(
    conn: &Connection,
    world: &mut World,
    keys: &Footprint,
    highest: &BTreeMap<RoomId, Position>,
) -> Result<()> {
    let mut rooms = keys.sharing.clone();
    if keys.shares_house {
        rooms.extend(list(conn, SHARING, (ROOMS_SHARED_MAX + 1,), |row| row.id(RoomId::new))?);
    }
    load(conn, world, &rooms, highest)?;
    for room in rooms {
        if world.rooms.contains(room) {
            world.sharing.insert(room, counts(conn, room)?);
        }
    }
    Ok(())
}

/// Loads the house's budget.
pub(crate) fn load_budget(conn: &Connection, world: &mut World) -> Result<()> {
    let house = RoomId::HOUSE.get();
    let find = "SELECT house_budget FROM room WHERE room_id = ?1";
    let read = |row: &mut Columns<'_>| {
        let budget: Option<i64> = row.value()?;
        Ok(budget)
    };
    world.budget = super::find(conn, find, (house,), read)?.flatten();
    Ok(())
}

fn counts(conn: &Connection, room: RoomId) -> Result<RoomCounts> {
    Ok(super::find(conn, COUNTS, (room.get(),), read_counts)?.unwrap_or_default())
}

pub(crate) fn load_counts(conn: &Connection, world: &mut World, room: RoomId) -> Result<()> {
    world.load_counts(room, counts(conn, room)?, RoomCounts::default());
    Ok(())
}

const UPDATE: &str =
    "UPDATE room SET max_active = ?2, admit_per_minute = ?3, gate = ?4, message = ?5, cursor = ?6, epoch = ?7,
         no_show_ppm = ?8, credit_ppm = ?9, credit_at = ?10, updated_at = ?11, fence = ?12, opens_at = ?13,
         closes_at = ?14, site_name = ?15, turn_url = ?16, draw_phase = ?17, draw_last = ?18, draw_entries = ?19,
         draw_placed = ?20, draw_placed_entry = ?21, weight = ?22, house_budget = ?23, allotment = ?24, rate_share = ?25,
         allotted_at = ?26, lane_share = ?27, lane_entry = ?28, peak_passed_over = ?29, peak_active = ?30,
         peak_cap = ?31, peak_overshoot = ?32, counted_from = ?33, shared_at = ?34
     WHERE room_id = ?1";

const INSERT: &str = concat!(
    "INSERT INTO room (",
    columns!(),
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
     ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34)"
);

/// `highest` are the highest positions in the database.
pub(crate) fn save(conn: &Connection, changes: &Changes, highest: &BTreeMap<RoomId, Position>) -> Result<()> {
    for room in &changes.rooms.updated {
        execute(&mut *conn.prepare_cached(UPDATE)?, room).and_then(one)?;
    }
    for room in &changes.rooms.inserted {
        insert(conn, room)?;
    }
    for (room, cap) in &changes.caps {
        conn.prepare_cached("INSERT INTO room_cap (room_id, max_active, since) VALUES (?1, ?2, ?3)")?.execute((
            room.get(),
            cap,
            changes.now.micros(),
        ))?;
    }
    for (room, counts) in &changes.counts {
        execute_counts(&mut *conn.prepare_cached(SET_COUNTS)?, *room, counts).and_then(one)?;
    }
    for (room, change) in &changes.departed {
        execute_counts(&mut *conn.prepare_cached(RAISE_COUNTS)?, *room, change).and_then(one)?;
    }
    for (room, position) in &changes.highest {
        if highest.get(room).copied().unwrap_or(Position(0)) != *position {
            conn.prepare_cached("UPDATE room SET last_position = ?2 WHERE room_id = ?1")?
                .execute((room.get(), position.0))
                .and_then(one)?;
        }
    }
    Ok(())
}

pub(crate) fn insert(conn: &Connection, room: &Room) -> Result<()> {
    execute(&mut *conn.prepare_cached(INSERT)?, room).map(|_| ())
}

/// The highest position given in each room.
pub(crate) fn highest_positions(conn: &Connection) -> Result<BTreeMap<RoomId, Position>> {
    let rooms =
        list(conn, "SELECT room_id, last_position FROM room", (), |row| Ok((row.id(RoomId::new)?, row.id(Position)?)))?;
    Ok(rooms.into_iter().collect())
}

const ALL: &str = concat!("SELECT ", columns!(), " FROM room ORDER BY room_id");

pub(crate) fn all(conn: &Connection) -> Result<Vec<Room>> {
    list(conn, ALL, (), read)
}

const PAGE: &str = concat!("SELECT ", columns!(), " FROM room WHERE room_id > ?1 ORDER BY room_id LIMIT ?2");

pub(crate) fn page(conn: &Connection, page: Page<RoomId>) -> Result<Vec<Room>> {
    list(conn, PAGE, (page.after.map_or(i64::MIN, RoomId::get), page.limit), read)
}

const STANDINGS: &str = concat!(
    "SELECT ",
    columns!(),
    ", last_position AS highest,
     EXISTS (SELECT 1 FROM waiting_token AS w INDEXED BY token_in_line
         WHERE w.room_id = room.room_id AND w.status = 'waiting')
     OR EXISTS (SELECT 1 FROM waiting_token AS w INDEXED BY token_by_deadline
         WHERE w.room_id = room.room_id AND w.deadline IS NOT NULL) AS is_busy
     FROM room ORDER BY room_id"
);

pub(crate) fn standings(conn: &Connection, now: impl FnOnce() -> Time) -> Result<Vec<RoomSummary>> {
    let snapshot = conn.unchecked_transaction()?;
    let rooms = list(&snapshot, STANDINGS, (), |row| {
        let (room, highest) = read_standing(row)?;
        Ok((room, highest, if row.value()? { Life::Live } else { Life::Empty }))
    })?;
    let now = snapshot_time(&snapshot, now())?;
    Ok(rooms.into_iter().map(|(room, highest, life)| RoomSummary { room, highest, life, now }).collect())
}

const STANDING: &str = concat!("SELECT ", columns!(), ", last_position FROM room WHERE room_id = ?1");

/// A room and its highest position.
pub(crate) fn standing(conn: &Connection, id: RoomId) -> Result<Option<(Room, Position)>> {
    super::find(conn, STANDING, (id.get(),), read_standing)
}

/// Columns: those of the room, the highest position.
fn read_standing(row: &mut Columns<'_>) -> Result<(Room, Position)> {
    Ok((read(row)?, row.id(Position)?))
}
