//! `seat`, with `seat_ids`.

use super::{find as find_row, find_by, list, micros, one};
use crate::{GradePrices, Remnant, SeatCounts, enum_text::EnumText, sqlite::columns::Columns};
use frontrow_domain::{
    changes::Changes,
    footprint::Footprint,
    id::{ConcertId, PaymentId, ReservationId, SeatId},
    sale::{LetGo, Seat, SeatLabel, SeatPlace, SeatState},
    world::{Numbers, World},
};
use rusqlite::{Connection, Result, params};
use std::{collections::HashSet, sync::Arc};

macro_rules! columns {
    () => {
        "seat_id, concert_id, seat_number, price, status, reservation_id, blocked_reason, updated_at, let_go_by, \
         let_go_at, was_held, section, \"row\", number, grade"
    };
}

fn read(row: &mut Columns<'_>) -> Result<Seat> {
    let (seat_id, concert_id) = (row.id(SeatId::new)?, row.id(ConcertId::new)?);
    let (seat_number, price) = (row.value()?, row.money()?);
    let (status, reservation_id, blocked_reason) = (row.word()?, row.id_or_none(ReservationId::new)?, row.value()?);
    let updated_at = row.time()?;
    let let_go = row.user_id_or_none()?.zip(row.time_or_none()?).map(|(user_id, at)| LetGo { user_id, at });
    let (was_held, label) = (row.value()?, Arc::new(read_label(row)?));
    let state = row.consistent(SeatState::from_columns(status, reservation_id, blocked_reason, let_go))?;
    Ok(Seat { seat_id, concert_id, seat_number, price, state, updated_at, was_held, label })
}

/// Columns: section, row, number, grade.
pub(crate) fn read_label(row: &mut Columns<'_>) -> Result<SeatLabel> {
    Ok(SeatLabel { section: row.value()?, row: row.value()?, number: row.value()?, grade: row.value()? })
}

/// Columns: section, row, number.
pub(crate) fn read_place(row: &mut Columns<'_>) -> Result<SeatPlace> {
    Ok(SeatPlace { section: row.value()?, row: row.value()?, number: row.value()? })
}

const FIND: &str = concat!("SELECT ", columns!(), " FROM seat WHERE seat_id = ?1");

pub(crate) fn load(conn: &Connection, world: &mut World, ids: &[SeatId]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut select = conn.prepare_cached(FIND)?;
    for id in ids {
        if !world.seats.contains(*id)
            && let Some(seat) = find_by(&mut select, (id.get(),), read)?
        {
            world.seats.load(*id, seat);
        }
    }
    Ok(())
}

const HIGHEST: &str = "SELECT seat_number FROM seat WHERE concert_id = ?1 ORDER BY seat_number DESC LIMIT 1";
const PLACES: &str = "SELECT section, \"row\", number, seat_number FROM seat WHERE concert_id = ?1";

/// A part that is null matches any.
const PLACES_OF_MOVES: &str =
    "SELECT section, \"row\", number FROM seat WHERE concert_id = ?1 AND (?2 IS NULL OR section = ?2)
     AND (?3 IS NULL OR \"row\" = ?3) AND (?4 IS NULL OR number = ?4)";

fn read_number(row: &mut Columns<'_>) -> Result<i32> {
    row.value()
}

/// Loads the numbers and places that new and moved seats must not take.
pub(crate) fn load_places(conn: &Connection, world: &mut World, keys: &Footprint) -> Result<()> {
    for (concert, numbers, places) in &keys.new_seats {
        let highest = find_row(conn, HIGHEST, (concert.get(),), read_number)?;
        world.highest_seats.extend(highest.map(|highest| (*concert, highest)));
        if numbers.is_empty() && places.is_empty() {
            continue;
        }
        let (numbers, places): (HashSet<_>, HashSet<_>) = (numbers.iter().collect(), places.iter().collect());
        for (place, number) in list(conn, PLACES, (concert.get(),), |row| Ok((read_place(row)?, row.value()?)))? {
            if places.contains(&place) {
                world.seat_places.entry(*concert).or_default().insert(place);
            }
            if numbers.contains(&number) {
                world.seat_numbers.insert((*concert, number));
            }
        }
    }
    for (concert, change) in &keys.moved_seats {
        let keys = (concert.get(), &change.section, &change.row, &change.number);
        let places = list(conn, PLACES_OF_MOVES, keys, read_place)?;
        world.seat_places.entry(*concert).or_default().extend(places);
    }
    Ok(())
}

const DELETE: &str = "DELETE FROM seat WHERE seat_id = ?1";

const UPDATE: &str =
    "UPDATE seat SET status = ?2, reservation_id = ?3, blocked_reason = ?4, updated_at = ?5, let_go_by = ?6,
         let_go_at = ?7, was_held = ?8
     WHERE seat_id = ?1";

const INSERT: &str =
    "INSERT INTO seat (seat_id, concert_id, seat_number, price, status, reservation_id, blocked_reason, section,
         \"row\", number, grade, let_go_by, let_go_at, was_held, created_at, updated_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?15)";

/// Changes by operators. Only this update sets the label, which is indexed.
const CHANGE: &str =
    "UPDATE seat SET price = ?2, section = ?3, \"row\" = ?4, number = ?5, grade = ?6 WHERE seat_id = ?1";

pub(crate) fn save(conn: &Connection, changes: &Changes) -> Result<()> {
    for removed in &changes.removed_seats {
        conn.prepare_cached(DELETE)?.execute((removed.seat_id.get(),)).and_then(one)?;
    }
    if !changes.seats.updated.is_empty() {
        let mut update = conn.prepare_cached(UPDATE)?;
        for seat in &changes.seats.updated {
            update
                .execute((
                    seat.seat_id.get(),
                    seat.status().word(),
                    seat.reservation_id().map(ReservationId::get),
                    seat.blocked_reason(),
                    seat.updated_at.micros(),
                    seat.let_go().map(|let_go| let_go.user_id.0),
                    micros(seat.let_go().map(|let_go| let_go.at)),
                    seat.was_held,
                ))
                .and_then(one)?;
        }
    }
    insert(conn, &changes.seats.inserted)?;
    for seat in &changes.changed_seats {
        conn.prepare_cached(CHANGE)?
            .execute((
                seat.seat_id.get(),
                seat.price.get(),
                &seat.label.section,
                &seat.label.row,
                &seat.label.number,
                &seat.label.grade,
            ))
            .and_then(one)?;
    }
    Ok(())
}

fn insert(conn: &Connection, seats: &[Seat]) -> Result<()> {
    if seats.is_empty() {
        return Ok(());
    }
    let mut insert = conn.prepare_cached(INSERT)?;
    for seat in seats {
        insert.execute(params![
            seat.seat_id.get(),
            seat.concert_id.get(),
            seat.seat_number,
            seat.price.get(),
            seat.status().word(),
            seat.reservation_id().map(ReservationId::get),
            seat.blocked_reason(),
            seat.label.section,
            seat.label.row,
            seat.label.number,
            seat.label.grade,
            seat.let_go().map(|let_go| let_go.user_id.0),
            micros(seat.let_go().map(|let_go| let_go.at)),
            seat.was_held,
            seat.updated_at.micros()
        ])?;
    }
    Ok(())
}

/// Saves the highest seat id given.
pub(crate) fn save_ids(conn: &Connection, next: &Numbers) -> Result<()> {
    conn.prepare_cached("UPDATE seat_ids SET highest = ?1 WHERE id = 1")?
        .execute((next.peek().saturating_sub(1),))
        .and_then(one)
}

const OF_CONCERT: &str = concat!("SELECT ", columns!(), " FROM seat WHERE concert_id = ?1 ORDER BY seat_number");

pub(crate) fn of_concert(conn: &Connection, concert: ConcertId) -> Result<Vec<Seat>> {
    list(conn, OF_CONCERT, (concert.get(),), read)
}

const AT: &str = concat!("SELECT ", columns!(), " FROM seat WHERE concert_id = ?1 AND seat_number = ?2");

pub(crate) fn at(conn: &Connection, concert: ConcertId, seat_number: i32) -> Result<Option<Seat>> {
    find_row(conn, AT, (concert.get(), seat_number), read)
}

const COUNTS: &str = "SELECT concert_id, status, count(*) FROM seat WHERE concert_id = ?1 GROUP BY concert_id, status";

pub(crate) fn counts(conn: &Connection, concerts: &[ConcertId]) -> Result<Vec<(ConcertId, SeatCounts)>> {
    let mut all = Vec::new();
    for concert in concerts {
        let read = |row: &mut Columns<'_>| Ok((row.id(ConcertId::new)?, row.word()?, row.value()?));
        all.extend(list(conn, COUNTS, (concert.get(),), read)?);
    }
    Ok(SeatCounts::of(all))
}

const GRADES: &str =
    "SELECT grade, min(price), max(price) FROM seat WHERE concert_id = ?1 AND status <> 'blocked' GROUP BY grade";

pub(crate) fn grades(conn: &Connection, concert: ConcertId) -> Result<Vec<GradePrices>> {
    list(conn, GRADES, (concert.get(),), |row| {
        Ok(GradePrices { grade: row.value()?, lowest: row.money()?, highest: row.money()? })
    })
}

/// With ?3 the sold ones too.
const REMNANTS: &str = "SELECT seat_number, seat_id, CASE WHEN status = 'sold' THEN (
         SELECT payment_id FROM payment WHERE payment.reservation_id = seat.reservation_id) END
     FROM seat WHERE concert_id = ?1 AND seat_number > ?2
       AND (status = 'available' OR status = 'held' OR (status = 'sold' AND ?3))
     ORDER BY seat_number LIMIT ?4";

pub(crate) fn remnants(
    conn: &Connection,
    concert: ConcertId,
    with_sold: bool,
    after: i32,
    limit: u32,
) -> Result<Vec<Remnant>> {
    list(conn, REMNANTS, (concert.get(), after, with_sold, limit), |row| {
        Ok(Remnant {
            seat_number: row.value()?,
            seat_id: row.id(SeatId::new)?,
            payment_id: row.id_or_none(PaymentId::new)?,
        })
    })
}
