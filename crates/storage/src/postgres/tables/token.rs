//! `waiting_token`: the lines, and the turns that they lead to.

use super::{ID, IDS, NUMBER, Rows, SMALLS, TEXTS, TIME, TIMES, UUID, UUIDS, room};
use crate::{
    COMMIT_VISIBILITY_MAX, Line, Page, StoreError,
    enum_text::EnumText,
    postgres::{
        clock::{Times, now},
        columns::{Columns, micros, number},
        connect::{Params, Statement},
        load_plan::LoadPlan,
        loads::{Found, Loaded, Loads},
        read_pool::{ReadPool, Snapshot, no_row, read_all},
        saves::SavePipeline,
    },
};
use frontrow_domain::{
    changes::Changes,
    id::{Position, RoomId, TokenId, UserId},
    line::{Token, TokenColumns, TokenStatus},
    policy::TOKENS_PER_ADVANCE_MAX,
};
use std::collections::HashSet;
use tokio_postgres::{Error, Row};

/// Columns of the table under the name `w`. Active tokens have their deadline in another column than the rest.
macro_rules! columns {
    () => {
        "w.room_id, w.position, w.user_id, w.status, w.issued_at, w.activated_at, \
         coalesce(w.active_until, w.deadline), w.claimed_at, w.back_until, w.expired_at, w.end_reason, \
         w.turns_passed, w.holds"
    };
}

fn read(row: &mut Columns<'_>) -> Result<Token, Error> {
    let columns = TokenColumns {
        id: TokenId { room_id: row.id(RoomId::new)?, position: row.id(Position)? },
        user_id: row.user_id()?,
        status: row.word()?,
        issued_at: row.time()?,
        activated_at: row.time_or_none()?,
        deadline: row.time_or_none()?,
        claimed_at: row.time_or_none()?,
        back_until: row.time_or_none()?,
        expired_at: row.time_or_none()?,
        end_reason: row.word_or_none()?,
        turns_passed: row.count()?,
        holds: row.count()?,
    };
    row.consistent(columns.try_into())
}

/// Locks the tokens that a query names as `k`, in its order, with how each was found: see [`Found`].
///
/// A lateral query for each token, so that the server cannot reorder the join: with the statistics of an empty line it
/// would scan the line instead.
macro_rules! locked_tokens {
    ($k:expr, $found:literal) => {
        concat!(
            "SELECT w.*, ",
            $found,
            " FROM ",
            $k,
            " AS k (room_id, position), LATERAL (SELECT ",
            columns!(),
            " FROM waiting_token AS w WHERE w.room_id = k.room_id AND w.position = k.position
                 FOR NO KEY UPDATE) AS w"
        )
    };
}

/// The live tokens of users in general lines and their lanes, each looked up on its own.
macro_rules! places {
    ($keys:literal) => {
        concat!(
            "SELECT t.room_id, t.position, 0 FROM unnest(",
            $keys,
            ") AS k (user_id, room_id), LATERAL (
                 SELECT p.room_id, p.position FROM waiting_token AS p
                 WHERE p.user_id = k.user_id AND CASE WHEN p.room_id > 2000000000
                     THEN (p.room_id - 2000000000) / 16 ELSE p.room_id END = k.room_id AND p.expired_at IS NULL OFFSET 0
             ) AS t"
        )
    };
}

/// Locks in the order of the arrays.
const LOCK: Statement = Statement { sql: locked_tokens!("unnest($1, $2)", "0"), types: &[IDS, IDS] };
const LOCK_OF_USERS: Statement = Statement {
    sql: locked_tokens!(concat!("(", places!("$1, $2"), " ORDER BY 1, 2 OFFSET 0)"), "0"),
    types: &[UUIDS, IDS],
};
/// All tokens that a batch touches, in one query so that they are locked in one order. If turns are offered or claimed,
/// the active ones that may be overdue and those whose claims found the room full, too; if the line moves, also the first due ones of each status, and the head.
const LOCK_LINES: Statement = Statement {
    sql: concat!(
        "WITH clock AS MATERIALIZED (SELECT coalesce($7, clock_micros()) AS now), wanted (room_id, position, found) AS (
             SELECT k.room_id, k.position, 0 FROM unnest($1, $2) AS k (room_id, position)
             UNION ALL ",
        places!("$3, $4"),
        "    UNION ALL
             SELECT t.room_id, t.position, 2 FROM clock, unnest($5) AS k (room_id), LATERAL (
                 SELECT a.room_id, a.position FROM waiting_token AS a
                 WHERE a.room_id + 0 = k.room_id AND a.status = 'active' AND a.due_from <= clock.now
                 ORDER BY a.due_from LIMIT $8
             ) AS t
             UNION ALL
             SELECT t.room_id, t.position, 0 FROM unnest($5) AS k (room_id), LATERAL (
                 SELECT c.room_id, c.position FROM waiting_token AS c
                 WHERE c.room_id + 0 = k.room_id AND c.claimed_at IS NOT NULL
                 ORDER BY c.claimed_at, c.position + 0 LIMIT $8
             ) AS t
             UNION ALL
             SELECT t.room_id, t.position, 0 FROM clock, unnest($6) AS k (room_id),
             unnest(ARRAY['offered', 'missed', 'dormant']) AS s (status), LATERAL (
                 SELECT d.room_id, d.position FROM waiting_token AS d
                 WHERE d.room_id + 0 = k.room_id AND d.status = s.status AND d.deadline <= clock.now
                 ORDER BY d.deadline, d.position LIMIT $8
             ) AS t
             UNION ALL
             SELECT t.room_id, t.position, 1 FROM unnest($6, $9) AS k (room_id, head), LATERAL (
                 SELECT h.room_id, h.position FROM waiting_token AS h
                 WHERE h.room_id + 0 = k.room_id AND h.status = 'waiting' ORDER BY h.position + 0 LIMIT k.head
             ) AS t
         ) ",
        locked_tokens!(
            "(SELECT room_id, position, max(found) FROM wanted GROUP BY 1, 2 ORDER BY 1, 2 OFFSET 0)",
            "k.max"
        )
    ),
    types: &[IDS, IDS, UUIDS, IDS, IDS, IDS, TIME, NUMBER, IDS],
};

/// How many due tokens of each status are read.
const DUE_MAX: i64 = TOKENS_PER_ADVANCE_MAX as i64;

/// `given` is the test's time, if a test gives one.
pub(crate) fn lock<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan, given: Option<i64>) {
    let (named, placed) = (!plan.token_rooms.is_empty(), !plan.place_users.is_empty());
    if !plan.counted.is_empty() || (named && placed) {
        let session = loads.session();
        let query = async move {
            let LoadPlan { token_rooms, token_positions, place_users, place_rooms, .. } = plan;
            let LoadPlan { counted, advanced, head_limits, .. } = plan;
            let params: Params<'_> = &[
                token_rooms,
                token_positions,
                place_users,
                place_rooms,
                counted,
                advanced,
                &given,
                &DUE_MAX,
                head_limits,
            ];
            session.query(&LOCK_LINES, params).await
        };
        loads.add_query(&LOCK_LINES, take, query);
    } else if named {
        loads.add(&LOCK, [&plan.token_rooms, &plan.token_positions], take);
    } else if placed {
        loads.add(&LOCK_OF_USERS, [&plan.place_users, &plan.place_rooms], take);
    }
}

fn take(loaded: &mut Loaded, row: &mut Columns<'_>) -> Result<(), Error> {
    loaded.tokens.push((read(row)?, Found::of(row.value()?)));
    Ok(())
}

const RENEW: Statement = Statement {
    sql: "WITH done AS (
              UPDATE waiting_token AS w SET active_until = k.active_until, back_until = k.back_until,
                  holds = k.holds
              FROM unnest($1, $2, $3, $4, $5) AS k (room_id, position, active_until, back_until, holds)
              WHERE w.room_id = k.room_id AND w.position = k.position RETURNING 1
          ) SELECT all_found(count(*), $6) FROM done",
    types: &[IDS, IDS, TIMES, TIMES, SMALLS, NUMBER],
};

const UPDATE: Statement = Statement {
    sql: "WITH done AS (
              UPDATE waiting_token AS w SET status = k.status, activated_at = k.activated_at, deadline = k.deadline,
                  active_until = k.active_until, due_from = k.active_until, claimed_at = k.claimed_at,
                  back_until = k.back_until, expired_at = k.expired_at, end_reason = k.end_reason,
                  turns_passed = k.turns_passed, holds = k.holds
              FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS k (room_id, position, status,
                  activated_at, deadline, active_until, claimed_at, back_until, expired_at, end_reason, turns_passed,
                  holds)
              WHERE w.room_id = k.room_id AND w.position = k.position RETURNING 1
          ) SELECT all_found(count(*), $13) FROM done",
    types: &[IDS, IDS, TEXTS, TIMES, TIMES, TIMES, TIMES, TIMES, TIMES, TEXTS, SMALLS, SMALLS, NUMBER],
};

const INSERT: Statement = Statement {
    sql: "INSERT INTO waiting_token (room_id, position, user_id, issued_at, status, activated_at, deadline,
              active_until, claimed_at, back_until, expired_at, end_reason, turns_passed, holds, due_from)
          SELECT k.*, k.active_until FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) AS k (
              room_id, position, user_id, issued_at, status, activated_at, deadline, active_until, claimed_at,
              back_until, expired_at, end_reason, turns_passed, holds)",
    types: &[IDS, IDS, UUIDS, TIMES, TEXTS, TIMES, TIMES, TIMES, TIMES, TIMES, TIMES, TEXTS, SMALLS, SMALLS],
};

/// `active` are the tokens that were active before the batch.
pub(crate) fn save<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes, active: &HashSet<TokenId>) {
    // If a token stays active, only its ends and its number of holds can change: that touches no index. One whose client
    // went away ends earlier, and is to be checked then.
    let stays = |row: &&Token| {
        row.status() == TokenStatus::Active && active.contains(&row.id) && row.state.back_until().is_none()
    };
    let (renewed, others): (Vec<&Token>, Vec<&Token>) = changes.tokens.updated.iter().partition(stays);
    saves.add(&RENEW, renewed, |rows| {
        bind_id(rows)
            .column(|row| micros(row.deadline()))
            .column(|row| micros(row.state.back_until()))
            .column(|row| number(row.holds))
            .count()
    });
    saves.add(&UPDATE, others, |rows| bind_state(bind_id(rows)).count());
    let mut new: Vec<&Token> = changes.tokens.inserted.iter().collect();
    new.sort_unstable_by_key(|row| (row.user_id, row.id));
    saves.add(&INSERT, new, |rows| {
        bind_state(bind_id(rows).column(|row| row.user_id.0).column(|row| row.issued_at.micros()))
    });
}

fn bind_id(rows: Rows<'_, Token>) -> Rows<'_, Token> {
    rows.column(|row| row.id.room_id.get()).column(|row| row.id.position.0)
}

/// Status, start, deadlines, claim, deadline after a return, end, passed turns, holds.
fn bind_state(rows: Rows<'_, Token>) -> Rows<'_, Token> {
    let is_active = |row: &Token| row.status() == TokenStatus::Active;
    rows.column(|row| row.status().word())
        .column(|row| micros(row.activated_at()))
        .column(|row| micros(row.deadline().filter(|_| !is_active(row))))
        .column(|row| micros(row.deadline().filter(|_| is_active(row))))
        .column(|row| micros(row.state.claimed_at()))
        .column(|row| micros(row.state.back_until()))
        .column(|row| micros(row.expired_at()))
        .column(|row| row.end_reason().map(EnumText::word))
        .column(|row| number(row.turns_passed))
        .column(|row| number(row.holds))
}

/// Active tokens that are not overdue are checked again once they may be.
const PUT_OFF: Statement = Statement {
    sql: "WITH done AS (
              UPDATE waiting_token AS w SET due_from = w.active_until FROM unnest($1, $2) AS k (room_id, position)
              WHERE w.room_id = k.room_id AND w.position = k.position RETURNING 1
          ) SELECT all_found(count(*), $3) FROM done",
    types: &[IDS, IDS, NUMBER],
};

/// The next search for overdue tokens skips those in `alive` until they may be overdue.
pub(crate) fn put_off<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes, alive: &[TokenId]) {
    // The next search checks those that the batch changes again.
    let is_changed = |id: &TokenId| changes.tokens.updated.binary_search_by_key(id, |row| row.id).is_ok();
    let alive = alive.iter().copied().filter(|id| !is_changed(id));
    saves.add(&PUT_OFF, alive, |ids| ids.column(|id| id.room_id.get()).column(|id| id.position.0).count());
}

const FIND: Statement = Statement {
    sql: concat!("SELECT ", columns!(), " FROM waiting_token AS w WHERE w.room_id = $1 AND w.position = $2"),
    types: &[ID, ID],
};

pub(crate) async fn find(reads: &ReadPool, id: TokenId) -> Result<Option<Token>, StoreError> {
    reads.find(&FIND, &[&id.room_id.get(), &id.position.0], read).await
}

const LIVE_OF_USER: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM waiting_token AS w WHERE w.user_id = $1 AND w.expired_at IS NULL ORDER BY w.room_id + 0"
    ),
    types: &[UUID],
};

pub(crate) async fn live_of_user(reads: &ReadPool, user: UserId) -> Result<Vec<Token>, StoreError> {
    reads.list(&LIVE_OF_USER, &[&user.0], read).await
}

const PAGE_OF_WAITING: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM waiting_token AS w WHERE w.room_id + 0 = $1 AND w.status = 'waiting' AND w.position + 0 > $2",
        " ORDER BY w.position + 0 LIMIT $3"
    ),
    types: &[ID, ID, NUMBER],
};

pub(crate) async fn page_of_waiting(
    reads: &ReadPool,
    room: RoomId,
    page: Page<Position>,
) -> Result<Vec<Token>, StoreError> {
    let after = page.after.map_or(0, |after| after.0);
    reads.list(&PAGE_OF_WAITING, &[&room.get(), &after, &i64::from(page.limit)], read).await
}

const PAGE_UP_TO: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM waiting_token AS w WHERE w.room_id = $1 AND w.position > $2 AND w.position <= $3",
        " ORDER BY w.position LIMIT $4"
    ),
    types: &[ID, ID, ID, NUMBER],
};

pub(crate) async fn page_up_to(
    reads: &ReadPool,
    room: RoomId,
    to: Position,
    page: Page<Position>,
) -> Result<Vec<Token>, StoreError> {
    let after = page.after.map_or(0, |after| after.0);
    reads.list(&PAGE_UP_TO, &[&room.get(), &after, &to.0, &i64::from(page.limit)], read).await
}

/// Probes each position on its own: if the server believes the line to be short, a join would scan the line once a
/// position.
const UNASSIGNED: Statement = Statement {
    sql: "SELECT coalesce(array_agg(number ORDER BY number), '{}') FROM generate_series($2 + 1, $3) AS number
          WHERE (SELECT true FROM waiting_token AS w WHERE w.room_id = $1 AND w.position = number) IS NULL",
    types: &[ID, ID, ID],
};

pub(crate) async fn unassigned_positions(
    reads: &ReadPool,
    room: RoomId,
    after: Position,
    to: Position,
) -> Result<Vec<Position>, StoreError> {
    reads.get(&UNASSIGNED, &[&room.get(), &after.0, &to.0], read_positions).await
}

/// One array value: a million rows would cost a million row headers.
const WAITING: Statement = Statement {
    sql: "SELECT coalesce(array_agg(line.position), '{}') FROM (
              SELECT w.position FROM waiting_token AS w WHERE w.room_id + 0 = $1 AND w.status = 'waiting'
              ORDER BY w.position + 0) AS line",
    types: &[ID],
};

const WAITING_BEHIND_THE_CURSOR: Statement = Statement {
    sql: "SELECT coalesce(array_agg(line.position), '{}') FROM (
              SELECT w.position FROM waiting_token AS w WHERE w.room_id + 0 = $1 AND w.status = 'waiting'
                  AND w.position + 0 <= (SELECT room.cursor FROM room WHERE room.room_id = $1)
              ORDER BY w.position + 0) AS line",
    types: &[ID],
};

const NEITHER_WAITING_NOR_ENDED: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM waiting_token AS w WHERE w.room_id + 0 = $1 AND w.status = 'active' UNION ALL SELECT ",
        columns!(),
        " FROM waiting_token AS w WHERE w.room_id + 0 = $1 AND w.deadline IS NOT NULL ORDER BY 2"
    ),
    types: &[ID],
};

/// Positions without a row, above that of the last token issued more than `$3` ago: they may still be in flight.
const POSITIONS_IN_FLIGHT: Statement = Statement {
    sql: concat!(
        "SELECT coalesce(array_agg(number ORDER BY number), '{}') FROM generate_series(
             coalesce((SELECT w.position FROM waiting_token AS w WHERE w.room_id = $1 AND w.issued_at < ",
        now!("$2"),
        " - $3 ORDER BY w.position DESC LIMIT 1), 0) + 1,
             coalesce((SELECT max(w.position) FROM waiting_token AS w WHERE w.room_id = $1), 0)) AS number
         WHERE (SELECT true FROM waiting_token AS w WHERE w.room_id = $1 AND w.position = number) IS NULL"
    ),
    types: &[ID, TIME, NUMBER],
};

/// A room's line with all its waiting tokens, and the positions in flight.
pub(crate) async fn line(reads: &ReadPool, times: &Times, room: RoomId) -> Result<Option<Line>, StoreError> {
    read_line(reads, times, room, &WAITING, InFlightPositions::Sought).await
}

/// A room's line without the waiting tokens beyond its cursor.
pub(crate) async fn live_line(reads: &ReadPool, times: &Times, room: RoomId) -> Result<Option<Line>, StoreError> {
    read_line(reads, times, room, &WAITING_BEHIND_THE_CURSOR, InFlightPositions::Left).await
}

/// Whether reading a line includes the positions in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InFlightPositions {
    Sought,
    Left,
}

/// A room, its waiting positions (as `waiting` selects them) and its other tokens in one snapshot, with the positions
/// in flight if they are sought.
async fn read_line(
    reads: &ReadPool,
    times: &Times,
    id: RoomId,
    waiting: &Statement,
    sought: InFlightPositions,
) -> Result<Option<Line>, StoreError> {
    let (given, id, late) = (times.given(), id.get(), COMMIT_VISIBILITY_MAX.micros());
    let keys: [(&Statement, Params<'_>); 4] = [
        (&room::STANDING, &[&id, &given]),
        (waiting, &[&id]),
        (&NEITHER_WAITING_NOR_ENDED, &[&id]),
        (&POSITIONS_IN_FLIGHT, &[&id, &given, &late]),
    ];
    let wanted = if sought == InFlightPositions::Sought { keys.as_slice() } else { &keys[..3] };
    let results = reads.lists(wanted, Snapshot::One).await?;
    let [standing, waiting, others, in_flight @ ..] = results.as_slice() else { return Err(no_row()) };
    let Some((room, highest, now)) = read_all(standing, room::read_standing)?.pop() else { return Ok(None) };
    let waiting = positions(waiting)?.ok_or_else(no_row)?;
    let in_flight = in_flight.first().map(|rows| positions(rows)).transpose()?.flatten().unwrap_or_default();
    Ok(Some(Line { room, highest, waiting, in_flight, others: read_all(others, read)?, now }))
}

/// Reads the single array of positions.
fn positions(rows: &[Row]) -> Result<Option<Vec<Position>>, StoreError> {
    Ok(read_all(rows, read_positions)?.pop())
}

fn read_positions(row: &mut Columns<'_>) -> Result<Vec<Position>, Error> {
    Ok(row.value::<Vec<i64>>()?.into_iter().map(Position).collect())
}
