//! Finds and removes rows that are over.

use super::columns::Columns;
use frontrow_domain::{retention::Leftover, time::Time};
use rusqlite::{Connection, OptionalExtension, Result};

/// Rows to remove, by their keys.
#[derive(Debug)]
pub(super) enum Old {
    /// All answers up to this id, and their number: ids are in the order of time.
    Answers {
        up_to: i64,
        count: usize,
    },
    Sessions(Vec<[u8; 32]>),
    /// By user and kind.
    Links(Vec<(uuid::Uuid, String)>),
    /// By user and room.
    Blocks(Vec<(uuid::Uuid, i64)>),
    /// Those that were saved before a time, by room: one that was saved since stays.
    Records {
        rooms: Vec<i64>,
        before: i64,
    },
    /// By user and lane.
    Guests(Vec<(uuid::Uuid, i64)>),
    /// By room and position.
    Tokens(Vec<(i64, i64)>),
    Reservations(Vec<i64>),
}

impl Old {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Answers { count, .. } => *count == 0,
            Self::Sessions(keys) => keys.is_empty(),
            Self::Links(keys) => keys.is_empty(),
            Self::Blocks(keys) | Self::Guests(keys) => keys.is_empty(),
            Self::Records { rooms, .. } => rooms.is_empty(),
            Self::Tokens(keys) => keys.is_empty(),
            Self::Reservations(keys) => keys.is_empty(),
        }
    }
}

/// The oldest rows that were over before `before`, as [`frontrow_domain::retention`] defines. Each walk stops where the
/// younger rows begin, so its cost does not grow with the table.
pub(super) fn find(conn: &Connection, what: Leftover, before: Time, limit: u32) -> Result<Old> {
    match what {
        Leftover::Answer => answers(conn, before, limit),
        Leftover::Session => sessions(conn, before, limit).map(Old::Sessions),
        Leftover::Link => links(conn, before, limit).map(Old::Links),
        Leftover::Block => blocks(conn, before, limit).map(Old::Blocks),
        Leftover::LineRecord => {
            records(conn, before, limit).map(|rooms| Old::Records { rooms, before: before.micros() })
        }
        Leftover::Guest => guests(conn, before, limit).map(Old::Guests),
        Leftover::Token => tokens(conn, before, limit).map(Old::Tokens),
        Leftover::Reservation => reservations(conn, before, limit).map(Old::Reservations),
    }
}

const ANSWERS: &str = "SELECT id, created_at FROM idempotency ORDER BY id LIMIT ?1";

fn answers(conn: &Connection, before: Time, limit: u32) -> Result<Old> {
    let (mut up_to, mut count) = (0, 0);
    let mut oldest = conn.prepare_cached(ANSWERS)?;
    let mut rows = oldest.query((limit,))?;
    while let Some(row) = rows.next()? {
        let mut row = Columns::of(row);
        let (id, created_at) = (row.value()?, row.time()?);
        if created_at >= before {
            break;
        }
        (up_to, count) = (id, count + 1);
    }
    Ok(Old::Answers { up_to, count })
}

const SESSIONS: &str = "SELECT secret_hash FROM session WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2";

fn sessions(conn: &Connection, before: Time, limit: u32) -> Result<Vec<[u8; 32]>> {
    conn.prepare_cached(SESSIONS)?.query_map((before.micros(), limit), |row| row.get(0))?.collect()
}

const LINKS: &str = "SELECT user_id, kind FROM account_link WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2";

fn links(conn: &Connection, before: Time, limit: u32) -> Result<Vec<(uuid::Uuid, String)>> {
    let mut select = conn.prepare_cached(LINKS)?;
    select.query_map((before.micros(), limit), |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

const BLOCKS: &str = "SELECT user_id, room_id FROM line_block WHERE until < ?1 ORDER BY until LIMIT ?2";

fn blocks(conn: &Connection, before: Time, limit: u32) -> Result<Vec<(uuid::Uuid, i64)>> {
    let mut select = conn.prepare_cached(BLOCKS)?;
    select.query_map((before.micros(), limit), |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

const RECORDS: &str = "SELECT room_id FROM line_record WHERE saved_at < ?1 ORDER BY saved_at LIMIT ?2";

fn records(conn: &Connection, before: Time, limit: u32) -> Result<Vec<i64>> {
    conn.prepare_cached(RECORDS)?.query_map((before.micros(), limit), |row| row.get(0))?.collect()
}

const GUESTS: &str = "SELECT g.user_id, g.room_id FROM room AS r CROSS JOIN lane_guest AS g
    WHERE r.room_id > 2000000000 AND r.closes_at < ?1 AND g.room_id = r.room_id LIMIT ?2";

fn guests(conn: &Connection, before: Time, limit: u32) -> Result<Vec<(uuid::Uuid, i64)>> {
    let mut select = conn.prepare_cached(GUESTS)?;
    select.query_map((before.micros(), limit), |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

const ROOMS: &str = "SELECT room_id, cursor FROM room ORDER BY room_id";
const HIGHEST: &str = "SELECT max(position) FROM waiting_token WHERE room_id = ?1";
/// The tokens below it are live: no more than the room has turns.
const FIRST_ENDED: &str = "SELECT position, expired_at FROM waiting_token
    WHERE room_id = ?1 AND position <= ?2 AND status = 'ended' ORDER BY position LIMIT 1";
const ENDED: &str = "SELECT position FROM waiting_token
    WHERE room_id = ?1 AND position >= ?2 AND position <= ?3 AND status = 'ended' AND expired_at < ?4 ORDER BY position";

fn tokens(conn: &Connection, before: Time, limit: u32) -> Result<Vec<(i64, i64)>> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    let rooms: Vec<(i64, i64)> =
        conn.prepare_cached(ROOMS)?.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_>>()?;
    for (room, cursor) in rooms {
        let highest: Option<i64> = conn.prepare_cached(HIGHEST)?.query_row((room,), |row| row.get(0))?;
        let first = conn
            .prepare_cached(FIRST_ENDED)?
            .query_row((room, cursor), |row| {
                let mut row = Columns::of(row);
                Ok((row.value::<i64>()?, row.time()?))
            })
            .optional()?;
        let (Some(highest), Some((first, _))) = (highest, first.filter(|(_, ended)| *ended < before)) else { continue };
        let last = cursor.min(highest.saturating_sub(1)).min(first.saturating_add(limit.into()).saturating_sub(1));
        let mut ended = conn.prepare_cached(ENDED)?;
        let positions = ended.query_map((room, first, last, before.micros()), |row| row.get(0))?;
        for position in positions.take(most.saturating_sub(found.len())) {
            found.push((room, position?));
        }
        if found.len() >= most {
            break;
        }
    }
    Ok(found)
}

/// The highest id stays, since the next one is counted from it.
const RESERVATIONS: &str = "SELECT reservation_id, closed_at FROM reservation INDEXED BY reservation_ended
    WHERE status = ?1 AND closed_at IS NOT NULL
        AND reservation_id < (SELECT max(reservation_id) FROM reservation)
    ORDER BY reservation_id LIMIT ?2";

fn reservations(conn: &Connection, before: Time, limit: u32) -> Result<Vec<i64>> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    for status in ["expired", "cancelled"] {
        let mut select = conn.prepare_cached(RESERVATIONS)?;
        let mut rows = select.query((status, limit))?;
        while found.len() < most
            && let Some(row) = rows.next()?
        {
            // Reservations end almost in the order of their ids.
            let mut row = Columns::of(row);
            let (id, closed_at) = (row.value()?, row.time()?);
            if closed_at >= before {
                break;
            }
            found.push(id);
        }
    }
    Ok(found)
}

/// Removes the rows; returns how many.
pub(super) fn remove(conn: &Connection, old: &Old) -> Result<usize> {
    let mut removed = 0;
    match old {
        Old::Answers { up_to, .. } => {
            removed = conn.prepare_cached("DELETE FROM idempotency WHERE id <= ?1")?.execute((up_to,))?;
        }
        Old::Sessions(hashes) => {
            let mut delete = conn.prepare_cached("DELETE FROM session WHERE secret_hash = ?1")?;
            for hash in hashes {
                removed += delete.execute((hash,))?;
            }
        }
        Old::Links(keys) => {
            let mut delete = conn.prepare_cached("DELETE FROM account_link WHERE user_id = ?1 AND kind = ?2")?;
            for (user, kind) in keys {
                removed += delete.execute((user, kind))?;
            }
        }
        Old::Blocks(keys) => {
            let mut delete = conn.prepare_cached("DELETE FROM line_block WHERE user_id = ?1 AND room_id = ?2")?;
            for key in keys {
                removed += delete.execute(*key)?;
            }
        }
        Old::Records { rooms, before } => {
            let mut delete = conn.prepare_cached("DELETE FROM line_record WHERE room_id = ?1 AND saved_at < ?2")?;
            for room in rooms {
                removed += delete.execute((room, before))?;
            }
        }
        Old::Guests(keys) => {
            let mut delete = conn.prepare_cached("DELETE FROM lane_guest WHERE user_id = ?1 AND room_id = ?2")?;
            for key in keys {
                removed += delete.execute(*key)?;
            }
        }
        Old::Tokens(ids) => {
            let mut delete = conn.prepare_cached(
                "DELETE FROM waiting_token WHERE room_id = ?1 AND position = ?2 AND status = 'ended'",
            )?;
            for id in ids {
                removed += delete.execute(*id)?;
            }
        }
        Old::Reservations(ids) => {
            let mut delete = conn.prepare_cached(
                "DELETE FROM reservation WHERE reservation_id = ?1 AND (status = 'expired' OR status = 'cancelled')",
            )?;
            for id in ids {
                removed += delete.execute((id,))?;
            }
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::{ANSWERS, BLOCKS, ENDED, FIRST_ENDED, HIGHEST, LINKS, RECORDS, RESERVATIONS, SESSIONS};
    use crate::sqlite::schema;
    use frontrow_domain::time::Time;
    use std::time::Duration;

    #[test]
    fn prune_finds_old_rows_without_a_scan() {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = schema::open_writer(&folder.path().join("frontrow.db"), Duration::from_secs(1)).unwrap();
        schema::prepare(&mut conn, Time::default(), 1).unwrap();
        for statistics in ["", "ANALYZE"] {
            conn.execute_batch(statistics).unwrap();
            for sql in [SESSIONS, LINKS, BLOCKS, RECORDS, HIGHEST, FIRST_ENDED, ENDED, RESERVATIONS] {
                let mut explain = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
                for number in 1..=explain.parameter_count() {
                    explain.raw_bind_parameter(number, 1).unwrap();
                }
                let mut rows = explain.raw_query();
                while let Some(row) = rows.next().unwrap() {
                    let step: String = row.get(3).unwrap();
                    assert!(!step.contains("SCAN ") && !step.contains("TEMP B-TREE"), "{sql}: {step}");
                }
            }
            // A walk in the order of the key, ended by the limit.
            let mut explain = conn.prepare(&format!("EXPLAIN QUERY PLAN {ANSWERS}")).unwrap();
            let step: String = explain.query_row((1,), |row| row.get(3)).unwrap();
            assert_eq!(step, "SCAN idempotency");
        }
    }
}
