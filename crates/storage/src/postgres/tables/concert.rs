//! `concert`.

use super::{ID, IDS, NUMBER, Rows, TEXT, TEXTS, TIME, TIMES};
use crate::{
    ConcertFilter, ConcertPlace, Page, StoreError,
    enum_text::EnumText,
    postgres::{
        columns::{Columns, micros},
        connect::{Params, Statement},
        load_plan::LoadPlan,
        loads::{Loaded, Loads},
        read_pool::{ReadPool, is_enough, rows_at_once, size},
        saves::SavePipeline,
        search::{certain_part, may_contain},
    },
};
use frontrow_domain::{
    changes::Changes,
    id::{ConcertId, RoomId},
    sale::Concert,
};
use tokio_postgres::Error;

macro_rules! columns {
    () => {
        "concert_id, title, artist, venue, time_zone, concert_date, start_time, end_time, starts_at, base_price, \
         opens_at, closes_at, room_id, status, created_at, updated_at, ends_at, closing, status_reason, \
         refund_all_at, wound_up_at, opened_at"
    };
}

fn read(row: &mut Columns<'_>) -> Result<Concert, Error> {
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

const LOCK: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM concert WHERE concert_id = ANY($1) ORDER BY concert_id FOR NO KEY UPDATE"
    ),
    types: &[IDS],
};
const FIND_ALL: Statement =
    Statement { sql: concat!("SELECT ", columns!(), " FROM concert WHERE concert_id = ANY($1)"), types: &[IDS] };
/// Includes the concerts of seats, of reservations, and of payments' reservations. Each is looked up on its own.
const FIND_ALL_OF_SEATS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM concert WHERE concert_id = ANY (ARRAY(
             SELECT unnest($1)
             UNION SELECT s.concert_id FROM unnest($2) AS k (id), LATERAL (
                 SELECT concert_id FROM seat WHERE seat_id = k.id OFFSET 0) AS s
             UNION SELECT r.concert_id FROM unnest($3) AS k (id), LATERAL (
                 SELECT concert_id FROM reservation WHERE reservation_id = k.id OFFSET 0) AS r
             UNION SELECT r.concert_id FROM unnest($4) AS k (id), LATERAL (
                 SELECT reservation_id FROM payment WHERE payment_id = k.id OFFSET 0) AS p, LATERAL (
                 SELECT concert_id FROM reservation WHERE reservation_id = p.reservation_id OFFSET 0) AS r
         ))"
    ),
    types: &[IDS, IDS, IDS, IDS],
};

fn take(loaded: &mut Loaded, row: &mut Columns<'_>) -> Result<(), Error> {
    let concert = read(row)?;
    loaded.world.concerts.load(concert.concert_id, concert);
    Ok(())
}

pub(crate) fn lock<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.locked_concerts.is_empty() {
        loads.add(&LOCK, [&plan.locked_concerts], take);
    }
}

pub(crate) fn load<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if plan.has_seats() {
        let LoadPlan { concerts, seats, reservations, payments, .. } = plan;
        loads.add(&FIND_ALL_OF_SEATS, [concerts, seats, reservations, payments], take);
    } else if !plan.concerts.is_empty() {
        loads.add(&FIND_ALL, [&plan.concerts], take);
    }
}

const UPDATE: Statement = Statement {
    sql: "WITH done AS (
              UPDATE concert AS c SET title = k.title, artist = k.artist, venue = k.venue, time_zone = k.time_zone,
                  concert_date = k.concert_date, start_time = k.start_time, end_time = k.end_time,
                  starts_at = k.starts_at, base_price = k.base_price, opens_at = k.opens_at, closes_at = k.closes_at,
                  status = k.status, updated_at = k.updated_at, ends_at = k.ends_at, closing = k.closing,
                  status_reason = k.status_reason, refund_all_at = k.refund_all_at, wound_up_at = k.wound_up_at,
                  room_id = k.room_id, opened_at = k.opened_at
              FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
                  $21, $22) AS k (id, title, artist, venue, time_zone, concert_date, start_time, end_time, starts_at,
                  base_price, opens_at, closes_at, room_id, status, created_at, updated_at, ends_at, closing,
                  status_reason, refund_all_at, wound_up_at, opened_at)
              WHERE c.concert_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $23) FROM done",
    types: &[
        IDS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TIMES, IDS, TIMES, TIMES, IDS, TEXTS, TIMES, TIMES,
        TIMES, TEXTS, TEXTS, TIMES, TIMES, TIMES, NUMBER,
    ],
};

const INSERT: Statement = Statement {
    sql: "INSERT INTO concert (concert_id, title, artist, venue, time_zone, concert_date, start_time, end_time,
              starts_at, base_price, opens_at, closes_at, room_id, status, created_at, updated_at, ends_at, closing,
              status_reason, refund_all_at, wound_up_at, opened_at)
          SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
              $20, $21, $22)",
    types: &[
        IDS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TIMES, IDS, TIMES, TIMES, IDS, TEXTS, TIMES, TIMES,
        TIMES, TEXTS, TEXTS, TIMES, TIMES, TIMES,
    ],
};

fn bind(rows: Rows<'_, Concert>) -> Rows<'_, Concert> {
    rows.column(|row| row.concert_id.get())
        .column(|row| row.title.as_str())
        .column(|row| row.artist.as_str())
        .column(|row| row.venue.as_str())
        .column(|row| row.time_zone.as_str())
        .column(|row| row.concert_date.to_string())
        .column(|row| row.start_time.to_string())
        .column(|row| row.end_time.to_string())
        .column(|row| row.starts_at.micros())
        .column(|row| row.base_price.get())
        .column(|row| row.opens_at.micros())
        .column(|row| row.closes_at.micros())
        .column(|row| row.room_id.get())
        .column(|row| row.status.word())
        .column(|row| row.created_at.micros())
        .column(|row| row.updated_at.micros())
        .column(|row| row.ends_at.micros())
        .column(|row| row.closing.word())
        .column(|row| row.status_reason.as_deref())
        .column(|row| micros(row.refund_all_at))
        .column(|row| micros(row.wound_up_at))
        .column(|row| micros(row.opened_at))
}

pub(crate) fn save<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&UPDATE, &changes.concerts.updated, |rows| bind(rows).count());
    saves.add(&INSERT, &changes.concerts.inserted, bind);
}

const FIND: Statement =
    Statement { sql: concat!("SELECT ", columns!(), " FROM concert WHERE concert_id = $1"), types: &[ID] };

pub(crate) async fn find(reads: &ReadPool, id: ConcertId) -> Result<Option<Concert>, StoreError> {
    reads.find(&FIND, &[&id.get()], read).await
}

const TO_WIND_UP: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM concert WHERE status = 'cancelled' AND wound_up_at IS NULL AND concert_id > $1",
        " ORDER BY concert_id LIMIT $2"
    ),
    types: &[ID, NUMBER],
};

pub(crate) async fn to_wind_up(reads: &ReadPool, page: Page<ConcertId>) -> Result<Vec<Concert>, StoreError> {
    let after = page.after.map_or(0, ConcertId::get);
    reads.list(&TO_WIND_UP, &[&after, &i64::from(page.limit)], read).await
}

const PAGE: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM concert WHERE (starts_at, concert_id) > ($1, $9) AND (",
        may_contain!("artist", "$2"),
        " OR ",
        may_contain!("title", "$2"),
        ") AND ",
        may_contain!("venue", "$3"),
        " AND ($4::text IS NULL OR concert_date >= $4) AND ($5::text IS NULL OR concert_date <= $5)",
        " AND ($6::text IS NULL OR $6 = CASE WHEN status IN ('scheduled', 'closed') AND ends_at <= $8",
        " THEN 'over' ELSE status END) ORDER BY starts_at, concert_id LIMIT $7"
    ),
    types: &[TIME, TEXT, TEXT, TEXT, TEXT, TEXT, NUMBER, TIME, ID],
};

pub(crate) async fn page(
    reads: &ReadPool,
    filter: &ConcertFilter,
    page: Page<ConcertPlace>,
) -> Result<Vec<Concert>, StoreError> {
    let wanted = filter.folded();
    let (text, venue) = (wanted.text.as_deref().unwrap_or_default(), wanted.venue.as_deref().unwrap_or_default());
    let (text_part, venue_part) = (certain_part(text), certain_part(venue));
    let (from, to) = (wanted.from.map(|date| date.to_string()), wanted.to.map(|date| date.to_string()));
    let (status, now) = (wanted.status.map(EnumText::word), wanted.now.micros());
    let rows = rows_at_once(page.limit, text == text_part && venue == venue_part);
    let limit = i64::from(rows);
    let place = |place: ConcertPlace| (place.starts_at.micros(), place.concert_id.get());
    let mut after = page.after.map_or((i64::MIN, i64::MIN), place);
    let mut found = Vec::new();
    loop {
        let keys: Params<'_> = &[&after.0, &text_part, &venue_part, &from, &to, &status, &limit, &now, &after.1];
        let more = reads.list_from_replica(&PAGE, keys, read).await?;
        let count = more.len();
        after = more.last().map_or(after, |concert| place(ConcertPlace::of(concert)));
        found.extend(more.into_iter().filter(|concert| wanted.matches(concert)));
        if is_enough(&mut found, page.limit) || count < size(rows) {
            return Ok(found);
        }
    }
}
