//! `concert`.

use super::{find as find_row, find_by, list, micros, one, size};
use crate::{ConcertFilter, ConcertPlace, Page, enum_text::EnumText, sqlite::columns::Columns};
use frontrow_domain::{
    changes::Changes,
    id::{ConcertId, RoomId},
    sale::Concert,
    world::World,
};
use rusqlite::{Connection, Result, Statement, params};

macro_rules! columns {
    () => {
        "concert_id, title, artist, venue, time_zone, concert_date, start_time, end_time, starts_at, base_price, \
         opens_at, closes_at, room_id, status, created_at, updated_at, ends_at, closing, status_reason, \
         refund_all_at, wound_up_at, opened_at"
    };
}

fn read(row: &mut Columns<'_>) -> Result<Concert> {
    Ok(Concert {
        concert_id: row.id(ConcertId::new)?,
        title: row.value()?,
        artist: row.value()?,
        venue: row.value()?,
        time_zone: row.value()?,
        concert_date: row.parsed()?,
        start_time: row.parsed()?,
        end_time: row.parsed()?,
        starts_at: row.time()?,
        base_price: row.money()?,
        opens_at: row.time()?,
        closes_at: row.time()?,
        room_id: row.id(RoomId::new)?,
        status: row.word()?,
        created_at: row.time()?,
        updated_at: row.time()?,
        ends_at: row.time()?,
        closing: row.word()?,
        status_reason: row.value()?,
        refund_all_at: row.time_or_none()?,
        wound_up_at: row.time_or_none()?,
        opened_at: row.time_or_none()?,
    })
}

/// Executes a statement whose parameters are all columns, in their order.
fn execute(statement: &mut Statement<'_>, concert: &Concert) -> Result<usize> {
    statement.execute(params![
        concert.concert_id.get(),
        concert.title,
        concert.artist,
        concert.venue,
        concert.time_zone,
        concert.concert_date.to_string(),
        concert.start_time.to_string(),
        concert.end_time.to_string(),
        concert.starts_at.micros(),
        concert.base_price.get(),
        concert.opens_at.micros(),
        concert.closes_at.micros(),
        concert.room_id.get(),
        concert.status.word(),
        concert.created_at.micros(),
        concert.updated_at.micros(),
        concert.ends_at.micros(),
        concert.closing.word(),
        concert.status_reason,
        micros(concert.refund_all_at),
        micros(concert.wound_up_at),
        micros(concert.opened_at)
    ])
}

const FIND: &str = concat!("SELECT ", columns!(), " FROM concert WHERE concert_id = ?1");

pub(crate) fn find(conn: &Connection, id: ConcertId) -> Result<Option<Concert>> {
    find_row(conn, FIND, (id.get(),), read)
}

pub(crate) fn load(conn: &Connection, world: &mut World, ids: &[ConcertId]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut select = conn.prepare_cached(FIND)?;
    for id in ids {
        if !world.concerts.contains(*id)
            && let Some(concert) = find_by(&mut select, (id.get(),), read)?
        {
            world.concerts.load(*id, concert);
        }
    }
    Ok(())
}

/// All columns but `created_at`, ?15.
const UPDATE: &str = "UPDATE concert SET title = ?2, artist = ?3, venue = ?4, time_zone = ?5, concert_date = ?6,
         start_time = ?7, end_time = ?8, starts_at = ?9, base_price = ?10, opens_at = ?11, closes_at = ?12,
         room_id = ?13, status = ?14, updated_at = ?16, ends_at = ?17, closing = ?18,
         status_reason = ?19, refund_all_at = ?20, wound_up_at = ?21, opened_at = ?22
     WHERE concert_id = ?1";

const INSERT: &str = concat!(
    "INSERT INTO concert (",
    columns!(),
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)"
);

pub(crate) fn save(conn: &Connection, changes: &Changes) -> Result<()> {
    for concert in &changes.concerts.updated {
        execute(&mut *conn.prepare_cached(UPDATE)?, concert).and_then(one)?;
    }
    for concert in &changes.concerts.inserted {
        execute(&mut *conn.prepare_cached(INSERT)?, concert)?;
    }
    Ok(())
}

const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM concert INDEXED BY concert_by_start WHERE (starts_at, concert_id) > (?1, ?2)",
    " ORDER BY starts_at, concert_id"
);

pub(crate) fn page(conn: &Connection, filter: &ConcertFilter, page: Page<ConcertPlace>) -> Result<Vec<Concert>> {
    let mut select = conn.prepare_cached(PAGE)?;
    let mut found = Vec::new();
    let wanted = filter.folded();
    let after = page.after.map_or((i64::MIN, i64::MIN), |after| (after.starts_at.micros(), after.concert_id.get()));
    let mut rows = select.query(after)?;
    while found.len() < size(page.limit)
        && let Some(row) = rows.next()?
    {
        let concert = read(&mut Columns::of(row))?;
        if wanted.matches(&concert) {
            found.push(concert);
        }
    }
    Ok(found)
}

const TO_WIND_UP: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM concert INDEXED BY concert_to_wind_up WHERE status = 'cancelled' AND wound_up_at IS NULL",
    " AND concert_id > ?1 ORDER BY concert_id LIMIT ?2"
);

pub(crate) fn to_wind_up(conn: &Connection, page: Page<ConcertId>) -> Result<Vec<Concert>> {
    list(conn, TO_WIND_UP, (page.after.map_or(0, ConcertId::get), page.limit), read)
}
