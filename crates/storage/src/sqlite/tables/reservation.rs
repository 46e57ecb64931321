//! `reservation`.

use super::{
    find as find_row, find_by, list, micros, one,
    seat::{read_label, read_place},
    size,
};
use crate::{DoorLine, Page, ReservationFilter, TicketPlace, enum_text::EnumText, sqlite::columns::Columns};
use frontrow_domain::{
    changes::Changes,
    id::{ConcertId, PaymentId, ReservationId, SeatId, UserId},
    sale::{Reservation, ReservationColumns, ReservationStatus},
    time::Time,
    world::World,
};
use rusqlite::{Connection, Result};

macro_rules! columns {
    () => {
        "reservation_id, user_id, concert_id, seat_id, seat_number, price, status, created_at, expires_at, \
         confirmed_at, closed_at"
    };
}

fn read(row: &mut Columns<'_>) -> Result<Reservation> {
    let columns = ReservationColumns {
        reservation_id: row.id(ReservationId::new)?,
        user_id: row.user_id()?,
        concert_id: row.id(ConcertId::new)?,
        seat_id: row.id(SeatId::new)?,
        seat_number: row.value()?,
        price: row.money()?,
        status: row.word()?,
        created_at: row.time()?,
        expires_at: row.time()?,
        confirmed_at: row.time_or_none()?,
        closed_at: row.time_or_none()?,
    };
    row.consistent(columns.try_into())
}

const FIND: &str = concat!("SELECT ", columns!(), " FROM reservation WHERE reservation_id = ?1");

pub(crate) fn find(conn: &Connection, id: ReservationId) -> Result<Option<Reservation>> {
    find_row(conn, FIND, (id.get(),), read)
}

pub(crate) fn load(conn: &Connection, world: &mut World, ids: &[ReservationId]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut select = conn.prepare_cached(FIND)?;
    for id in ids {
        if !world.reservations.contains(*id)
            && let Some(reservation) = find_by(&mut select, (id.get(),), read)?
        {
            world.reservations.load(*id, reservation);
        }
    }
    Ok(())
}

const LIVE_OF_USER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM reservation INDEXED BY reservation_live_of_user WHERE user_id = ?1 AND closed_at IS NULL",
    " ORDER BY reservation_id"
);

/// Loads the live reservations of users in the concerts of these seats, which are loaded.
pub(crate) fn load_holdings(conn: &Connection, world: &mut World, holdings: &[(UserId, SeatId)]) -> Result<()> {
    for (user, seat) in holdings {
        let Some(concert) = world.seats.get(*seat).map(|seat| seat.concert_id) else { continue };
        if world.holdings.contains_key(&(*user, concert)) {
            continue;
        }
        let mut live = Vec::new();
        for row in list(conn, LIVE_OF_USER, (user.0,), read)? {
            if row.concert_id == concert && row.is_live(world.now) {
                live.push(row.reservation_id);
                world.reservations.load(row.reservation_id, row);
            }
        }
        world.holdings.insert((*user, concert), live);
    }
    Ok(())
}

// Two statements, so that a payment does not touch the indexes on `closed_at`.
const CONFIRM: &str = "UPDATE reservation SET status = 'confirmed', confirmed_at = ?2 WHERE reservation_id = ?1";
const CLOSE: &str = "UPDATE reservation SET status = ?2, confirmed_at = ?3, closed_at = ?4 WHERE reservation_id = ?1";

const INSERT: &str =
    concat!("INSERT INTO reservation (", columns!(), ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)");

pub(crate) fn save(conn: &Connection, changes: &Changes) -> Result<()> {
    if !changes.reservations.updated.is_empty() {
        let (mut confirm, mut close) = (conn.prepare_cached(CONFIRM)?, conn.prepare_cached(CLOSE)?);
        for row in &changes.reservations.updated {
            let (id, confirmed_at) = (row.reservation_id.get(), micros(row.confirmed_at()));
            if row.status() == ReservationStatus::Confirmed {
                confirm.execute((id, confirmed_at)).and_then(one)?;
            } else {
                close.execute((id, row.status().word(), confirmed_at, micros(row.closed_at()))).and_then(one)?;
            }
        }
    }
    if !changes.reservations.inserted.is_empty() {
        let mut insert = conn.prepare_cached(INSERT)?;
        for row in &changes.reservations.inserted {
            insert.execute((
                row.reservation_id.get(),
                row.user_id.0,
                row.concert_id.get(),
                row.seat_id.get(),
                row.seat_number,
                row.price.get(),
                row.status().word(),
                row.created_at.micros(),
                row.expires_at.micros(),
                micros(row.confirmed_at()),
                micros(row.closed_at()),
            ))?;
        }
    }
    Ok(())
}

pub(crate) fn page(
    conn: &Connection,
    filter: &ReservationFilter,
    page: Page<ReservationId>,
) -> Result<Vec<Reservation>> {
    if let ReservationFilter { user: None, concert: Some(concert), status } = *filter
        && status != Some(ReservationStatus::Pending)
    {
        return page_of_concert(conn, concert, status, page);
    }
    let by = |index: &str, condition: &str| select_page(filter, index, condition);
    // Names the index and the condition that it needs. Sorting a few rows is faster than a walk through all users' rows
    // by id, which a database without statistics would prefer.
    let sql = match (filter.user, filter.status) {
        // The newest of a page of live ones and a page of ended ones.
        (Some(_), None) => format!(
            "SELECT * FROM ({}) UNION ALL SELECT * FROM ({}) ORDER BY reservation_id DESC LIMIT ?5",
            by(" INDEXED BY reservation_live_of_user", " AND closed_at IS NULL"),
            by(" INDEXED BY reservation_ended_of_user", " AND closed_at IS NOT NULL")
        ),
        (Some(_), Some(status)) if status.has_ended() => {
            by(" INDEXED BY reservation_ended_of_user", " AND closed_at IS NOT NULL AND status = ?3")
        }
        (Some(_), Some(_)) => by(" INDEXED BY reservation_live_of_user", " AND closed_at IS NULL AND status = ?3"),
        (None, None) => by("", ""),
        (None, Some(ReservationStatus::Confirmed)) => by("", " AND status = ?3"),
        (None, Some(ReservationStatus::Pending)) => by(" INDEXED BY reservation_by_expiry", " AND status = 'pending'"),
        (None, Some(ReservationStatus::Cancelled | ReservationStatus::Expired | ReservationStatus::Refunded)) => {
            by(" INDEXED BY reservation_ended", " AND status = ?3 AND closed_at IS NOT NULL")
        }
    };
    let keys = (
        filter.user.map(|user| user.0),
        filter.concert.map(ConcertId::get),
        filter.status.map(EnumText::word),
        page.after.map_or(i64::MAX, ReservationId::get),
        page.limit,
    );
    list(conn, &sql, keys, read)
}

/// Selects a page of reservations by an index, or by id.
fn select_page(filter: &ReservationFilter, index: &str, condition: &str) -> String {
    let mut sql = concat!("SELECT ", columns!(), " FROM reservation").to_owned();
    sql.push_str(index);
    sql.push_str(" WHERE reservation_id < ?4");
    if filter.user.is_some() {
        sql.push_str(" AND user_id = ?1");
    }
    if filter.concert.is_some() {
        sql.push_str(" AND concert_id = ?2");
    }
    sql.push_str(condition);
    sql.push_str(" ORDER BY reservation_id DESC LIMIT ?5");
    sql
}

/// Seat by seat: reads the rows of this concert only.
const PAGE_OF_CONCERT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM (SELECT r.reservation_id AS id FROM seat AS s
         CROSS JOIN reservation AS r INDEXED BY one_live_reservation_per_seat
         WHERE s.concert_id = ?1 AND r.seat_id = s.seat_id AND r.reservation_id < ?3 AND (?2 IS NULL OR r.status = ?2)
         ORDER BY r.reservation_id DESC LIMIT ?4) AS page
     CROSS JOIN reservation WHERE reservation_id = page.id ORDER BY reservation_id DESC"
);

fn page_of_concert(
    conn: &Connection,
    concert: ConcertId,
    status: Option<ReservationStatus>,
    page: Page<ReservationId>,
) -> Result<Vec<Reservation>> {
    let (of, among) = match status {
        None => ("concert_id".to_owned(), "WHERE".to_owned()),
        Some(status) if status.has_ended() => (
            "concert_id".to_owned(),
            format!("INDEXED BY reservation_ended WHERE status = '{}' AND closed_at IS NOT NULL AND", status.word()),
        ),
        // No index has them, so the walk counts rows of other statuses too.
        Some(status) => (format!("CASE status WHEN '{}' THEN concert_id END", status.word()), "WHERE".to_owned()),
    };
    let by_id = format!(
        "SELECT reservation_id, {of} FROM reservation {among} reservation_id < ?1 ORDER BY reservation_id DESC"
    );
    let after = page.after.map_or(i64::MAX, ReservationId::get);
    let snapshot = conn.unchecked_transaction()?;
    if let Some(ids) = walk(&snapshot, &by_id, concert, after, page.limit)? {
        return ids.into_iter().filter_map(|id| find(&snapshot, ReservationId::new(id)).transpose()).collect();
    }
    let keys = (concert.get(), status.map(EnumText::word), after, page.limit);
    list(&snapshot, PAGE_OF_CONCERT, keys, read)
}

/// The most rows of all concerts that a page of one concert may walk over before it reads seat by seat.
const WALK_MAX: usize = 1_000;

/// The ids of a page of one concert, by a walk from the newest row. A concert with many of the rows fills a page soon,
/// however large its hall. None if the walk is too long. `sql` yields each row's id and its concert.
///
/// With an index by concert the cost would be one page, but each hold would have to write to the index.
pub(crate) fn walk(
    conn: &Connection,
    sql: &str,
    concert: ConcertId,
    after: i64,
    limit: u32,
) -> Result<Option<Vec<i64>>> {
    let mut select = conn.prepare_cached(sql)?;
    let mut walked = select.query((after,))?;
    let mut found = Vec::new();
    for _ in 0..WALK_MAX {
        let Some(row) = walked.next()? else { return Ok(Some(found)) };
        let mut row = Columns::of(row);
        let (id, of) = (row.value()?, row.id_or_none(ConcertId::new)?);
        if of == Some(concert) {
            found.push(id);
        }
        if found.len() == size(limit) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

const NEXT_EXPIRIES: &str = "SELECT expires_at, reservation_id FROM reservation INDEXED BY reservation_by_expiry
     WHERE status = 'pending' AND expires_at <= ?1
     ORDER BY expires_at, reservation_id LIMIT ?2";

pub(crate) fn next_expiries(conn: &Connection, until: Time, limit: u32) -> Result<Vec<(Time, ReservationId)>> {
    list(conn, NEXT_EXPIRIES, (until.micros(), limit), |row| Ok((row.time()?, row.id(ReservationId::new)?)))
}

/// CROSS JOIN fixes this order whatever the statistics say: each step is one lookup by key.
const TICKET: &str =
    "SELECT r.reservation_id, r.concert_id, c.title, r.seat_id, s.seat_number, s.section, s.\"row\", s.number
     FROM reservation AS r CROSS JOIN seat AS s CROSS JOIN concert AS c
     WHERE r.reservation_id = ?1 AND s.seat_id = r.seat_id AND c.concert_id = r.concert_id";

fn read_ticket(row: &mut Columns<'_>) -> Result<TicketPlace> {
    Ok(TicketPlace {
        reservation_id: row.id(ReservationId::new)?,
        concert_id: row.id(ConcertId::new)?,
        title: row.value()?,
        seat_id: row.id(SeatId::new)?,
        seat_number: row.value()?,
        place: read_place(row)?,
    })
}

pub(crate) fn tickets(conn: &Connection, reservations: &[ReservationId]) -> Result<Vec<TicketPlace>> {
    let mut select = conn.prepare_cached(TICKET)?;
    let mut found = Vec::with_capacity(reservations.len());
    for id in reservations {
        found.extend(find_by(&mut select, (id.get(),), read_ticket)?);
    }
    Ok(found)
}

const DOOR_LIST: &str =
    "SELECT s.seat_number, s.section, s.\"row\", s.number, s.grade, u.name, r.reservation_id, p.payment_id, p.paid_at
     FROM seat AS s CROSS JOIN reservation AS r CROSS JOIN payment AS p CROSS JOIN \"user\" AS u
     WHERE s.concert_id = ?1 AND s.seat_number > ?2 AND s.status = 'sold' AND r.reservation_id = s.reservation_id
       AND p.reservation_id = r.reservation_id AND u.user_id = r.user_id
     ORDER BY s.seat_number LIMIT ?3";

fn read_door_line(row: &mut Columns<'_>) -> Result<DoorLine> {
    Ok(DoorLine {
        seat_number: row.value()?,
        label: read_label(row)?,
        name: row.value()?,
        reservation_id: row.id(ReservationId::new)?,
        payment_id: row.id(PaymentId::new)?,
        paid_at: row.time()?,
    })
}

pub(crate) fn door_list(conn: &Connection, concert: ConcertId, after: i32, limit: u32) -> Result<Vec<DoorLine>> {
    list(conn, DOOR_LIST, (concert.get(), after, limit), read_door_line)
}
