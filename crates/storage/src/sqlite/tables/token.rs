//! `waiting_token`: the lines, and the turns that they lead to.

use super::{clock::snapshot_time, find as find_row, find_by, list, micros, one, room};
use crate::{Line, Page, enum_text::EnumText, sqlite::columns::Columns};
use frontrow_domain::{
    changes::Changes,
    footprint::Footprint,
    id::{Position, RoomId, TokenId, UserId},
    line::{DEADLINE_ORDER, Token, TokenColumns, TokenStatus},
    policy::TOKENS_PER_ADVANCE_MAX,
    time::Time,
    world::World,
};
use rusqlite::{Connection, Result};
use std::collections::HashSet;

macro_rules! columns {
    () => {
        "room_id, position, user_id, status, issued_at, activated_at, deadline, claimed_at, back_until, \
         expired_at, end_reason, turns_passed, holds"
    };
}

fn read(row: &mut Columns<'_>) -> Result<Token> {
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

const FIND: &str = concat!("SELECT ", columns!(), " FROM waiting_token WHERE room_id = ?1 AND position = ?2");

pub(crate) fn find(conn: &Connection, id: TokenId) -> Result<Option<Token>> {
    find_row(conn, FIND, (id.room_id.get(), id.position.0), read)
}

/// In the general line of a room or in one of its lanes.
const LIVE_OF_USER_IN_ROOM: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM waiting_token INDEXED BY one_live_token_per_user_and_room",
    " WHERE user_id = ?1 AND room_id IN (?2, ?3, ?4) AND status <> 'ended'"
);

/// Loads the tokens that are named, and the live ones of users in rooms. Adds the active ones to `active`.
pub(crate) fn load(
    conn: &Connection,
    world: &mut World,
    keys: &Footprint,
    active: &mut HashSet<TokenId>,
) -> Result<()> {
    let mut load = |world: &mut World, token: Token| {
        if token.status() == TokenStatus::Active {
            active.insert(token.id);
        }
        world.load_token(token);
    };
    if !keys.tokens.is_empty() {
        let mut select = conn.prepare_cached(FIND)?;
        for id in &keys.tokens {
            if let Some(token) = find_by(&mut select, (id.room_id.get(), id.position.0), read)? {
                load(world, token);
            }
        }
    }
    if !keys.places.is_empty() {
        let mut select = conn.prepare_cached(LIVE_OF_USER_IN_ROOM)?;
        for (user, room) in &keys.places {
            let [general, one, other] = room.with_lanes();
            if let Some(token) = find_by(&mut select, (user.0, general.get(), one.get(), other.get()), read)? {
                load(world, token);
                world.places.insert((*user, general), token.id);
            }
        }
    }
    Ok(())
}

/// Loads the overdue active tokens of a room whose counts are loaded, and adds them to `active`.
pub(crate) fn load_overdue(
    conn: &Connection,
    world: &mut World,
    room: RoomId,
    active: &mut HashSet<TokenId>,
) -> Result<()> {
    let mut overdue = Vec::new();
    load_due(conn, world, room, TokenStatus::Active, &mut overdue)?;
    active.extend(&overdue);
    world.overdue.insert(room, overdue);
    Ok(())
}

const CLAIMED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM waiting_token INDEXED BY token_claimed WHERE room_id = ?1 AND claimed_at IS NOT NULL",
    " ORDER BY claimed_at, position LIMIT ?2"
);

/// Loads the tokens of a room whose claims found it full.
pub(crate) fn load_claimed(conn: &Connection, world: &mut World, room: RoomId) -> Result<()> {
    let claimed = list(conn, CLAIMED, (room.get(), TOKENS_PER_ADVANCE_MAX), read)?;
    world.claimed.insert(room, claimed.iter().map(|token| token.id).collect());
    for token in claimed {
        world.load_token(token);
    }
    Ok(())
}

const HEAD: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM waiting_token INDEXED BY token_in_line WHERE room_id = ?1 AND status = 'waiting'",
    " ORDER BY position LIMIT ?2"
);

/// Loads the due tokens of a room that advances, and the first waiting ones, at most `limit`.
pub(crate) fn load_line(conn: &Connection, world: &mut World, room: RoomId, limit: u32) -> Result<()> {
    let mut due = Vec::new();
    for status in DEADLINE_ORDER {
        load_due(conn, world, room, status, &mut due)?;
    }
    // In the order of the line, since the order decides how the room's no-show share moves.
    due.sort_unstable();
    world.due.insert(room, due);
    let head = list(conn, HEAD, (room.get(), limit), read)?;
    world.head.insert(room, head.iter().map(|token| token.id).collect());
    for token in head {
        world.load_token(token);
    }
    Ok(())
}

const DUE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM waiting_token INDEXED BY token_by_deadline WHERE room_id = ?1 AND status = ?2",
    " AND deadline <= ?3 ORDER BY deadline, position LIMIT ?4"
);

/// Adds the first tokens of a room in this status whose deadline has passed; at most as many as one advance reads in
/// all.
fn load_due(
    conn: &Connection,
    world: &mut World,
    room: RoomId,
    status: TokenStatus,
    due: &mut Vec<TokenId>,
) -> Result<()> {
    let left = i64::from(TOKENS_PER_ADVANCE_MAX) - i64::try_from(due.len()).unwrap_or(i64::MAX);
    let keys = (room.get(), status.word(), world.now.micros(), left.max(0));
    for token in list(conn, DUE, keys, read)? {
        due.push(token.id);
        world.load_token(token);
    }
    Ok(())
}

/// If a token stays active, only its deadlines and its number of holds can change. This update leaves the indexes on the
/// status alone.
const RENEW: &str =
    "UPDATE waiting_token SET deadline = ?3, back_until = ?4, holds = ?5 WHERE room_id = ?1 AND position = ?2";

const UPDATE: &str = "UPDATE waiting_token
     SET status = ?3, activated_at = ?4, deadline = ?5, claimed_at = ?6, back_until = ?7, expired_at = ?8,
         end_reason = ?9, turns_passed = ?10, holds = ?11
     WHERE room_id = ?1 AND position = ?2";

const INSERT: &str = concat!(
    "INSERT INTO waiting_token (",
    columns!(),
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
);

/// `active` are the tokens that were active before the batch.
pub(crate) fn save(conn: &Connection, changes: &Changes, active: &HashSet<TokenId>) -> Result<()> {
    if !changes.tokens.updated.is_empty() {
        let (mut renew, mut update) = (conn.prepare_cached(RENEW)?, conn.prepare_cached(UPDATE)?);
        for token in &changes.tokens.updated {
            let (room, position) = (token.id.room_id.get(), token.id.position.0);
            if token.status() == TokenStatus::Active && active.contains(&token.id) {
                let back_until = micros(token.state.back_until());
                renew.execute((room, position, micros(token.deadline()), back_until, token.holds)).and_then(one)?;
            } else {
                update
                    .execute((
                        room,
                        position,
                        token.status().word(),
                        micros(token.activated_at()),
                        micros(token.deadline()),
                        micros(token.state.claimed_at()),
                        micros(token.state.back_until()),
                        micros(token.expired_at()),
                        token.end_reason().map(EnumText::word),
                        token.turns_passed,
                        token.holds,
                    ))
                    .and_then(one)?;
            }
        }
    }
    if !changes.tokens.inserted.is_empty() {
        let mut insert = conn.prepare_cached(INSERT)?;
        for token in &changes.tokens.inserted {
            insert.execute((
                token.id.room_id.get(),
                token.id.position.0,
                token.user_id.0,
                token.status().word(),
                token.issued_at.micros(),
                micros(token.activated_at()),
                micros(token.deadline()),
                micros(token.state.claimed_at()),
                micros(token.state.back_until()),
                micros(token.expired_at()),
                token.end_reason().map(EnumText::word),
                token.turns_passed,
                token.holds,
            ))?;
        }
    }
    Ok(())
}

const LIVE_OF_USER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM waiting_token INDEXED BY one_live_token_per_user_and_room",
    " WHERE user_id = ?1 AND status <> 'ended' ORDER BY room_id"
);

pub(crate) fn live_of_user(conn: &Connection, user: UserId) -> Result<Vec<Token>> {
    list(conn, LIVE_OF_USER, (user.0,), read)
}

const PAGE_OF_WAITING: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM waiting_token INDEXED BY token_in_line WHERE room_id = ?1 AND status = 'waiting' AND position > ?2",
    " ORDER BY position LIMIT ?3"
);

pub(crate) fn page_of_waiting(conn: &Connection, room: RoomId, page: Page<Position>) -> Result<Vec<Token>> {
    list(conn, PAGE_OF_WAITING, (room.get(), page.after.map_or(0, |after| after.0), page.limit), read)
}

const PAGE_UP_TO: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM waiting_token WHERE room_id = ?1 AND position > ?2 AND position <= ?3 ORDER BY position LIMIT ?4"
);

pub(crate) fn page_up_to(conn: &Connection, room: RoomId, to: Position, page: Page<Position>) -> Result<Vec<Token>> {
    list(conn, PAGE_UP_TO, (room.get(), page.after.map_or(0, |after| after.0), to.0, page.limit), read)
}

const POSITIONS: &str = "SELECT position FROM waiting_token WHERE room_id = ?1 AND position > ?2 AND position <= ?3";

pub(crate) fn unassigned_positions(
    conn: &Connection,
    room: RoomId,
    after: Position,
    to: Position,
) -> Result<Vec<Position>> {
    let assigned = list(conn, POSITIONS, (room.get(), after.0, to.0), |row| row.id(Position))?;
    let assigned: HashSet<Position> = assigned.into_iter().collect();
    Ok((after.0 + 1..=to.0).map(Position).filter(|position| !assigned.contains(position)).collect())
}

const WAITING: &str =
    "SELECT position FROM waiting_token INDEXED BY token_in_line WHERE room_id = ?1 AND status = 'waiting'
     ORDER BY position";

const NEITHER_WAITING_NOR_ENDED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM waiting_token INDEXED BY token_by_deadline WHERE room_id = ?1 AND deadline IS NOT NULL",
    " ORDER BY position"
);

pub(crate) fn line(conn: &Connection, id: RoomId, now: impl FnOnce() -> Time) -> Result<Option<Line>> {
    // One snapshot: either all or none of a batch's changes to the line are visible.
    let snapshot = conn.unchecked_transaction()?;
    let Some((room, highest)) = room::standing(&snapshot, id)? else { return Ok(None) };
    let waiting = list(&snapshot, WAITING, (id.get(),), |row| row.id(Position))?;
    let others = list(&snapshot, NEITHER_WAITING_NOR_ENDED, (id.get(),), read)?;
    let now = snapshot_time(&snapshot, now())?;
    Ok(Some(Line { room, highest, waiting, in_flight: Vec::new(), others, now }))
}
