//! `room`, with `room_cap` and `room_departure`.

use super::{ID, IDS, NUMBER, Rows, SMALLS, TEXTS, TIME, TIMES};
use crate::{
    COMMIT_VISIBILITY_MAX, Life, Page, RoomSummary, RoomTally, StoreError,
    enum_text::EnumText,
    postgres::{
        clock::{Times, now},
        columns::{Arrays, Columns, micros},
        connect::Statement,
        load_plan::LoadPlan,
        loads::{Loads, Take},
        read_pool::{Read, ReadPool},
        saves::SavePipeline,
    },
};
use frontrow_domain::{
    changes::{Changes, RoomCounts},
    id::{Position, RoomId},
    line::{
        ContradictoryColumns, DrawPhase, Fence, LaneOf, LinePeaks, ROOMS_SHARED_MAX, Room, RoomSite, RoomWeight,
        TALLY_LEN, TokenTally,
    },
    time::Time,
};
use tokio_postgres::Error;

macro_rules! columns {
    () => {
        "room_id, max_active, admit_per_minute, gate, message, cursor, epoch, no_show_ppm, credit_ppm, credit_at, \
         updated_at, fence, opens_at, closes_at, site_name, turn_url, draw_phase, draw_last, draw_entries, draw_placed, \
         draw_placed_entry, weight, house_budget, allotment, rate_share, allotted_at, lane_share, lane_entry, \
         peak_passed_over, peak_active, peak_cap, peak_overshoot, counted_from, shared_at"
    };
}

fn read(row: &mut Columns<'_>) -> Result<Room, Error> {
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

fn read_tally(row: &mut Columns<'_>) -> Result<TokenTally, Error> {
    let mut numbers = [0; TALLY_LEN];
    for number in &mut numbers {
        *number = row.value()?;
    }
    Ok(TokenTally::of_numbers(numbers))
}

fn read_counts(row: &mut Columns<'_>) -> Result<RoomCounts, Error> {
    Ok(RoomCounts { active: row.value()?, offered: row.value()?, tally: read_tally(row)? })
}

macro_rules! counts {
    () => {
        "active, offered, count_admitted, count_turns_passed, count_paid, count_left, count_expired, count_missed_out, \
         count_drawn, count_removed, count_closed"
    };
}

/// The sums of the counts of some records.
macro_rules! sums_of_counts {
    () => {
        "sum(active)::bigint, sum(offered)::bigint, sum(count_admitted)::bigint, sum(count_turns_passed)::bigint, \
         sum(count_paid)::bigint, sum(count_left)::bigint, sum(count_expired)::bigint, sum(count_missed_out)::bigint, \
         sum(count_drawn)::bigint, sum(count_removed)::bigint, sum(count_closed)::bigint"
    };
}

const LOCK: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        ", ",
        counts!(),
        " FROM room WHERE room_id = ANY($1) ORDER BY room_id FOR NO KEY UPDATE"
    ),
    types: &[IDS],
};

/// Of two batches that share something one waits here for the other, so that the next statement sees what it has saved.
const LOCK_HOUSE: Statement =
    Statement { sql: "SELECT room_id FROM room WHERE room_id = 0 FOR NO KEY UPDATE", types: &[] };

/// A batch that goes by all lanes beside a line waits here for one that opens a lane, so that the next statement sees the
/// lane: it would not see a row that came while it waited.
const LOCK_BEFORE_LANES: Statement = Statement {
    sql: "SELECT room_id FROM room WHERE room_id = ANY($1) ORDER BY room_id FOR NO KEY UPDATE",
    types: &[IDS],
};

/// The same rooms as [`LOCK_BEFORE_LANES`], and those of [`LOCK_SHARING`] that are no lanes (`RoomId::is_lane`): rows are locked by ascending
/// key in whatever statement.
const LOCK_SHARING_BEFORE_LANES: Statement = Statement {
    sql: "SELECT room_id FROM room WHERE room_id = ANY($1) OR (room_id <= 2000000000 AND room_id IN (
              SELECT room_id FROM room WHERE active > 0 OR offered > 0 OR allotment > 0 ORDER BY room_id LIMIT $2))
          ORDER BY room_id FOR NO KEY UPDATE",
    types: &[IDS, NUMBER],
};

/// The same rooms as [`LOCK`], and those that have a share of the house's budget or whose tokens take places: a room that
/// is not among them gets a place only by a batch that has locked the house room.
const LOCK_SHARING: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        ", ",
        counts!(),
        " FROM room WHERE room_id = ANY($1) OR room_id IN (
             SELECT room_id FROM room WHERE active > 0 OR offered > 0 OR allotment > 0 ORDER BY room_id LIMIT $2)
         ORDER BY room_id FOR NO KEY UPDATE"
    ),
    types: &[IDS, NUMBER],
};

/// How many of these rooms are read: one more than may share.
const SHARING_MAX: i64 = ROOMS_SHARED_MAX as i64 + 1;

pub(crate) fn lock<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    let take: Take = |loaded, row| {
        let (room, counts) = (read(row)?, read_counts(row)?);
        loaded.counts.entry(room.room_id).or_default().0 = counts;
        loaded.world.rooms.load(room.room_id, room);
        Ok(())
    };
    if !plan.sharing.is_empty() {
        loads.add(&LOCK_HOUSE, [], |_, _| Ok(()));
    }
    if !plan.locked_before_lanes.is_empty() {
        if plan.shares_house {
            loads.add(&LOCK_SHARING_BEFORE_LANES, [&plan.locked_before_lanes, &SHARING_MAX], |_, _| Ok(()));
        } else {
            loads.add(&LOCK_BEFORE_LANES, [&plan.locked_before_lanes], |_, _| Ok(()));
        }
    }
    if plan.shares_house {
        loads.add(&LOCK_SHARING, [&plan.locked_rooms, &SHARING_MAX], take);
    } else if !plan.locked_rooms.is_empty() {
        loads.add(&LOCK, [&plan.locked_rooms], take);
    }
}

/// How much the counts of rooms have changed since their rows were written. Nothing is written: only the batch that has
/// locked a room's line may.
const DEPARTURES: Statement = Statement {
    sql: concat!("SELECT room_id, ", sums_of_counts!(), " FROM room_departure GROUP BY room_id"),
    types: &[],
};

/// Reads the counts of the rooms that share something.
pub(crate) fn load_sharing<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.sharing.is_empty() {
        loads.add(&DEPARTURES, [], |loaded, row| {
            let (room_id, since) = (row.id(RoomId::new)?, read_counts(row)?);
            loaded.departures.insert(room_id, since);
            Ok(())
        });
    }
}

const BUDGET: Statement = Statement { sql: "SELECT house_budget FROM room WHERE room_id = 0", types: &[] };

/// Reads the house's budget, if the batch asks for it.
pub(crate) fn load_budget<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if plan.keys.reads_budget() {
        loads.add(&BUDGET, [], |loaded, row| {
            loaded.world.budget = row.value()?;
            Ok(())
        });
    }
}

/// Rooms with positions for new tokens. Nothing is locked: the positions come from the room's sequence.
const DRAW_POSITIONS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        ", ARRAY(SELECT nextval(r.positions) FROM generate_series(1, r.joins)) FROM (
             SELECT room.*, k.joins, ('room_position_' || room.room_id)::regclass AS positions
             FROM unnest($1, $2) AS k (id, joins) JOIN room ON room.room_id = k.id OFFSET 0
         ) AS r"
    ),
    types: &[IDS, SMALLS],
};

/// Loads the rooms that are joined, each with the positions that its new tokens may need.
pub(crate) fn draw_positions<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.joined_rooms.is_empty() {
        loads.add(&DRAW_POSITIONS, [&plan.joined_rooms, &plan.joins], |loaded, row| {
            let (room, positions) = (read(row)?, row.value::<Vec<i64>>()?);
            loaded.world.positions.insert(room.room_id, positions.into_iter().map(Position).collect());
            loaded.world.rooms.load(room.room_id, room);
            Ok(())
        });
    }
}

/// Reserves positions behind the entries of rooms whose lobby is sealed, and waits for the batches that have drawn
/// positions before: see `reserve_behind_entries` of the schema.
const RESERVE_BEHIND_ENTRIES: Statement = Statement {
    sql: "SELECT room_id, reserve_behind_entries(room_id) FROM room
          WHERE room_id = ANY($1) AND draw_phase = 'lobby' ORDER BY room_id",
    types: &[IDS],
};

pub(crate) fn reserve_behind_entries<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.sealed.is_empty() {
        loads.add(&RESERVE_BEHIND_ENTRIES, [&plan.sealed], |loaded, row| {
            let (room_id, last) = (row.id(RoomId::new)?, row.id(Position)?);
            loaded.world.sealed.insert(room_id, last);
            Ok(())
        });
    }
}

/// How much the counts of rooms have changed since their rows were written. The batch has locked the rooms' rows: it
/// deletes these records and writes the new counts into the rows.
const TAKE_DEPARTURES: Statement = Statement {
    sql: concat!(
        "WITH departed AS (DELETE FROM room_departure WHERE room_id = ANY($1) RETURNING *) SELECT room_id, ",
        sums_of_counts!(),
        " FROM departed GROUP BY room_id"
    ),
    types: &[IDS],
};

pub(crate) fn take_departures<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.counted.is_empty() {
        loads.add(&TAKE_DEPARTURES, [&plan.counted], |loaded, row| {
            let (room_id, since) = (row.id(RoomId::new)?, read_counts(row)?);
            loaded.counts.entry(room_id).or_default().1 = since;
            Ok(())
        });
    }
}

const UPDATE: Statement = Statement {
    sql: "WITH done AS (
              UPDATE room AS r SET max_active = k.max_active, admit_per_minute = k.admit_per_minute, gate = k.gate,
                  message = k.message, cursor = k.cursor, epoch = k.epoch, no_show_ppm = k.no_show_ppm,
                  credit_ppm = k.credit_ppm, credit_at = k.credit_at, fence = k.fence, opens_at = k.opens_at,
                  closes_at = k.closes_at, site_name = k.site_name, turn_url = k.turn_url, updated_at = k.updated_at,
                  draw_phase = k.draw_phase, draw_last = k.draw_last, draw_entries = k.draw_entries,
                  draw_placed = k.draw_placed, draw_placed_entry = k.draw_placed_entry, weight = k.weight,
                  house_budget = k.house_budget, allotment = k.allotment, rate_share = k.rate_share,
                  allotted_at = k.allotted_at, lane_share = k.lane_share, lane_entry = k.lane_entry,
                  peak_passed_over = k.peak_passed_over, peak_active = k.peak_active, peak_cap = k.peak_cap,
                  peak_overshoot = k.peak_overshoot, counted_from = k.counted_from, shared_at = k.shared_at
              FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
                  $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34) AS k (id, max_active, admit_per_minute, gate, message, cursor,
                  epoch, no_show_ppm, credit_ppm, credit_at, fence, opens_at, closes_at, site_name, turn_url, updated_at,
                  draw_phase, draw_last, draw_entries, draw_placed, draw_placed_entry, weight, house_budget, allotment,
                  rate_share, allotted_at, lane_share, lane_entry,
                  peak_passed_over, peak_active, peak_cap, peak_overshoot, counted_from, shared_at)
              WHERE r.room_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $35) FROM done",
    types: &[
        IDS, IDS, IDS, TEXTS, TEXTS, IDS, IDS, IDS, IDS, TIMES, IDS, TIMES, TIMES, TEXTS, TEXTS, TIMES, TEXTS, IDS,
        IDS, IDS, IDS, IDS, IDS, IDS, IDS, TIMES, IDS, TEXTS, IDS, IDS, IDS, IDS, TEXTS, TIMES,
        NUMBER,
    ],
};

const INSERT: Statement = Statement {
    sql: "INSERT INTO room (room_id, max_active, admit_per_minute, gate, message, cursor, epoch, no_show_ppm,
              credit_ppm, credit_at, fence, opens_at, closes_at, site_name, turn_url, updated_at, draw_phase, draw_last,
              draw_entries, draw_placed, draw_placed_entry, weight, house_budget, allotment, rate_share, allotted_at,
              lane_share, lane_entry, peak_passed_over, peak_active, peak_cap, peak_overshoot, counted_from,
              shared_at)
          SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
              $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34)",
    types: &[
        IDS, IDS, IDS, TEXTS, TEXTS, IDS, IDS, IDS, IDS, TIMES, IDS, TIMES, TIMES, TEXTS, TEXTS, TIMES, TEXTS, IDS,
        IDS, IDS, IDS, IDS, IDS, IDS, IDS, TIMES, IDS, TEXTS, IDS, IDS, IDS, IDS, TEXTS, TIMES,
    ],
};

fn bind(rows: Rows<'_, Room>) -> Rows<'_, Room> {
    rows.column(|row| row.room_id.get())
        .column(|row| row.max_active)
        .column(|row| row.admit_per_minute)
        .column(|row| row.gate.word())
        .column(|row| row.message.as_deref())
        .column(|row| row.cursor.0)
        .column(|row| row.epoch)
        .column(|row| row.no_show_ppm)
        .column(|row| row.credit_ppm)
        .column(|row| row.credit_at.micros())
        .column(|row| row.fence.0)
        .column(|row| micros(row.opens_at))
        .column(|row| micros(row.closes_at))
        .column(|row| row.site.as_ref().map(|site| site.name.as_str()))
        .column(|row| row.site.as_ref().map(|site| site.turn_url.as_str()))
        .column(|row| row.updated_at.micros())
        .column(|row| row.draw.status().word())
        .column(|row| row.draw.last_entry().unwrap_or_default().0)
        .column(|row| row.draw.entries())
        .column(|row| row.draw.placed())
        .column(|row| row.draw.placed_entry().0)
        .column(|row| row.weight.get())
        .column(|row| row.house_budget)
        .column(|row| row.allotment)
        .column(|row| row.rate_share)
        .column(|row| row.allotted_at.micros())
        .column(|row| row.lane.map(|lane| lane.share.percent()))
        .column(|row| row.lane.map(|lane| lane.entry.word()))
        .column(|row| row.peaks.passed_over)
        .column(|row| row.peaks.active)
        .column(|row| row.peaks.cap)
        .column(|row| row.peaks.overshoot)
        .column(|row| row.peaks.counted_from.word())
        .column(|row| micros(row.shared_at))
}

const SET_POSITION: Statement =
    Statement { sql: "SELECT setval(('room_position_' || $1)::regclass, $2)", types: &[ID, ID] };

const INSERT_CAPS: Statement = Statement {
    sql: "INSERT INTO room_cap (room_id, max_active, since) SELECT k.*, $3 FROM unnest($1, $2) AS k",
    types: &[IDS, IDS, TIME],
};

pub(crate) fn save<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&UPDATE, &changes.rooms.updated, |rows| bind(rows).count());
    saves.add(&INSERT, &changes.rooms.inserted, bind);
    // A new room's sequence begins after the tokens that joined in the batch that made the room.
    for room in &changes.rooms.inserted {
        if let Some(highest) = changes.highest.get(&room.room_id).filter(|highest| highest.0 > 0) {
            saves.add(&SET_POSITION, [highest], |row| row.value(room.room_id.get()).value(highest.0));
        }
    }
    let now = changes.now.micros();
    saves.add(&INSERT_CAPS, &changes.caps, move |rows| {
        rows.column(|(room, _)| room.get()).column(|(_, cap)| *cap).value(now)
    });
}

/// Counts of rooms whose rows are locked.
const UPDATE_COUNTS: Statement = Statement {
    sql: concat!(
        "WITH done AS (
              UPDATE room AS r SET active = k.active, offered = k.offered, count_admitted = k.count_admitted,
                  count_turns_passed = k.count_turns_passed, count_paid = k.count_paid, count_left = k.count_left,
                  count_expired = k.count_expired, count_missed_out = k.count_missed_out,
                  count_drawn = k.count_drawn, count_removed = k.count_removed, count_closed = k.count_closed
              FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS k (id, ",
        counts!(),
        ") WHERE r.room_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $13) FROM done"
    ),
    types: &[IDS, IDS, IDS, IDS, IDS, IDS, IDS, IDS, IDS, IDS, IDS, IDS, NUMBER],
};

/// Changes to the counts of rooms whose rows are not locked.
const INSERT_DEPARTURES: Statement = Statement {
    sql: concat!(
        "INSERT INTO room_departure (room_id, ",
        counts!(),
        ") SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
    ),
    types: &[IDS, IDS, IDS, IDS, IDS, IDS, IDS, IDS, IDS, IDS, IDS, IDS],
};

pub(crate) fn save_counts<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&UPDATE_COUNTS, &changes.counts, |rows| bind_counts(rows).count());
    saves.add(&INSERT_DEPARTURES, &changes.departed, bind_counts);
}

type CountRows<'a> = Arrays<'a, (&'a RoomId, &'a RoomCounts)>;

fn bind_counts(rows: CountRows<'_>) -> CountRows<'_> {
    rows.column(|(room, _)| room.get())
        .column(|(_, counts)| counts.active)
        .column(|(_, counts)| counts.offered)
        .column(|(_, counts)| counts.tally.admitted)
        .column(|(_, counts)| counts.tally.turns_passed)
        .column(|(_, counts)| counts.tally.paid)
        .column(|(_, counts)| counts.tally.left)
        .column(|(_, counts)| counts.tally.expired)
        .column(|(_, counts)| counts.tally.missed_out)
        .column(|(_, counts)| counts.tally.drawn)
        .column(|(_, counts)| counts.tally.removed)
        .column(|(_, counts)| counts.tally.closed)
}

/// A room with its counts, those included that are not in its row yet.
const TALLY: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        ", c.* FROM room, LATERAL (SELECT ",
        sums_of_counts!(),
        " FROM (SELECT ",
        counts!(),
        " FROM room AS r WHERE r.room_id = $1 UNION ALL SELECT ",
        counts!(),
        " FROM room_departure AS d WHERE d.room_id = $1) AS parts) AS c WHERE room.room_id = $1"
    ),
    types: &[ID],
};

pub(crate) async fn tally(reads: &ReadPool, room: RoomId) -> Result<Option<RoomTally>, StoreError> {
    reads.find(&TALLY, &[&room.get()], |row| Ok(RoomTally { room: read(row)?, counts: read_counts(row)? })).await
}

const ALL: Statement = Statement { sql: concat!("SELECT ", columns!(), " FROM room ORDER BY room_id"), types: &[] };

pub(crate) async fn all(reads: &ReadPool) -> Result<Vec<Room>, StoreError> {
    reads.list(&ALL, &[], read).await
}

const PAGE: Statement = Statement {
    sql: concat!("SELECT ", columns!(), " FROM room WHERE room_id > $1 ORDER BY room_id LIMIT $2"),
    types: &[ID, NUMBER],
};

pub(crate) async fn page(reads: &ReadPool, page: Page<RoomId>) -> Result<Vec<Room>, StoreError> {
    let after = page.after.map_or(i64::MIN, RoomId::get);
    reads.list(&PAGE, &[&after, &i64::from(page.limit)], read).await
}

/// Scalar subqueries, each one index lookup: an `EXISTS` may be planned as a scan of all tokens.
const STANDINGS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        ", coalesce(last.highest, 0) AS highest, ",
        now!("$1"),
        " AS now,
         (SELECT true FROM waiting_token AS w WHERE w.room_id + 0 = room.room_id AND w.status = 'waiting'
             ORDER BY w.room_id + 0, w.position + 0 LIMIT 1) IS NOT NULL
         OR (SELECT true FROM waiting_token AS w WHERE w.room_id + 0 = room.room_id AND w.status = 'active'
             ORDER BY w.room_id + 0, w.due_from LIMIT 1) IS NOT NULL
         OR (SELECT true FROM waiting_token AS w WHERE w.room_id + 0 = room.room_id AND w.deadline IS NOT NULL
             ORDER BY w.room_id + 0, w.status, w.deadline LIMIT 1) IS NOT NULL
         OR coalesce(last.given_at >= ",
        now!("$1"),
        " - $2, false) AS is_busy
         FROM room LEFT JOIN LATERAL (SELECT w.position AS highest, w.issued_at AS given_at FROM waiting_token AS w
             WHERE w.room_id = room.room_id ORDER BY w.position DESC LIMIT 1) AS last ON true
         ORDER BY room.room_id"
    ),
    types: &[TIME, NUMBER],
};

pub(crate) async fn standings(reads: &ReadPool, times: &Times) -> Result<Vec<RoomSummary>, StoreError> {
    let read: Read<RoomSummary> = |row| {
        let (room, highest, now) = read_standing(row)?;
        let life = if row.value()? { Life::Live } else { Life::Empty };
        Ok(RoomSummary { room, highest, life, now })
    };
    reads.list(&STANDINGS, &[&times.given(), &COMMIT_VISIBILITY_MAX.micros()], read).await
}

/// A room, its highest position and the time.
pub(crate) const STANDING: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        ", coalesce((SELECT max(w.position) FROM waiting_token AS w WHERE w.room_id = $1), 0), ",
        now!("$2"),
        " FROM room WHERE room_id = $1"
    ),
    types: &[ID, TIME],
};

/// Columns: those of the room, the highest position, the time.
pub(crate) fn read_standing(row: &mut Columns<'_>) -> Result<(Room, Position, Time), Error> {
    Ok((read(row)?, row.id(Position)?, row.time()?))
}

/// Steps from each room in an index to the next one: as many lookups as there are such rooms.
const BUSY: Statement = Statement {
    sql: "WITH RECURSIVE waiting (room_id) AS (
              (SELECT w.room_id + 0 FROM waiting_token AS w WHERE w.status = 'waiting'
                   ORDER BY w.room_id + 0, w.position + 0 LIMIT 1)
              UNION ALL
              SELECT (SELECT w.room_id + 0 FROM waiting_token AS w WHERE w.status = 'waiting' AND w.room_id + 0 > before.room_id
                   ORDER BY w.room_id + 0, w.position + 0 LIMIT 1) FROM waiting AS before WHERE before.room_id IS NOT NULL),
          active (room_id) AS (
              (SELECT w.room_id + 0 FROM waiting_token AS w WHERE w.status = 'active'
                   ORDER BY w.room_id + 0, w.due_from LIMIT 1)
              UNION ALL
              SELECT (SELECT w.room_id + 0 FROM waiting_token AS w WHERE w.status = 'active' AND w.room_id + 0 > before.room_id
                   ORDER BY w.room_id + 0, w.due_from LIMIT 1) FROM active AS before WHERE before.room_id IS NOT NULL),
          ending (room_id) AS (
              (SELECT w.room_id + 0 FROM waiting_token AS w WHERE w.deadline IS NOT NULL
                   ORDER BY w.room_id + 0, w.status, w.deadline LIMIT 1)
              UNION ALL
              SELECT (SELECT w.room_id + 0 FROM waiting_token AS w WHERE w.deadline IS NOT NULL
                   AND w.room_id + 0 > before.room_id ORDER BY w.room_id + 0, w.status, w.deadline LIMIT 1)
                   FROM ending AS before WHERE before.room_id IS NOT NULL)
          SELECT coalesce(array_agg(room_id ORDER BY room_id), '{}') FROM (
              SELECT room_id FROM waiting UNION SELECT room_id FROM active UNION SELECT room_id FROM ending) AS busy
          WHERE room_id IS NOT NULL",
    types: &[],
};

pub(crate) async fn busy(reads: &ReadPool) -> Result<Vec<RoomId>, StoreError> {
    reads.get(&BUSY, &[], |row| Ok(row.value::<Vec<i64>>()?.into_iter().map(RoomId::new).collect())).await
}
