//! `seat`.

use super::{FLAGS, ID, IDS, NUMBER, Rows, SMALL, SMALLS, TEXTS, TIME, TIMES, UUIDS};
use crate::{
    GradePrices, Remnant, SeatCounts, StoreError,
    enum_text::EnumText,
    postgres::{
        clock::{Times, now},
        columns::{Columns, micros},
        connect::{Params, Statement},
        load_plan::{LoadPlan, SeatPlaces},
        loads::{Loaded, Loads},
        read_pool::{Read, ReadPool, Snapshot, no_row, read_all},
        saves::SavePipeline,
    },
};
use frontrow_domain::{
    changes::Changes,
    id::{ConcertId, PaymentId, ReservationId, SeatId},
    sale::{Concert, LetGo, Seat, SeatLabel, SeatPlace, SeatState},
    time::Time,
    world::Numbers,
};
use std::sync::Arc;
use tokio_postgres::{Error, types::Type};

macro_rules! columns {
    () => {
        "seat_id, concert_id, seat_number, price, status, reservation_id, blocked_reason, updated_at, let_go_by, \
         let_go_at, was_held, section, \"row\", number, grade"
    };
}

fn read(row: &mut Columns<'_>) -> Result<Seat, Error> {
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
pub(crate) fn read_label(row: &mut Columns<'_>) -> Result<SeatLabel, Error> {
    Ok(SeatLabel { section: row.value()?, row: row.value()?, number: row.value()?, grade: row.value()? })
}

/// Columns: section, row, number.
pub(crate) fn read_place(row: &mut Columns<'_>) -> Result<SeatPlace, Error> {
    Ok(SeatPlace { section: row.value()?, row: row.value()?, number: row.value()? })
}

const LOCK: Statement = Statement {
    sql: concat!("SELECT ", columns!(), " FROM seat WHERE seat_id = ANY($1) ORDER BY seat_id FOR NO KEY UPDATE"),
    types: &[IDS],
};
/// Includes the seats of reservations and of payments' reservations: a reservation's seat never changes.
const LOCK_OF_RESERVATIONS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM seat WHERE seat_id = ANY (ARRAY(
             SELECT unnest($1)
             UNION SELECT r.seat_id FROM unnest($2) AS k (id), LATERAL (
                 SELECT seat_id FROM reservation WHERE reservation_id = k.id OFFSET 0) AS r
             UNION SELECT r.seat_id FROM unnest($3) AS k (id), LATERAL (
                 SELECT reservation_id FROM payment WHERE payment_id = k.id OFFSET 0) AS p, LATERAL (
                 SELECT seat_id FROM reservation WHERE reservation_id = p.reservation_id OFFSET 0) AS r
         )) ORDER BY seat_id FOR NO KEY UPDATE"
    ),
    types: &[IDS, IDS, IDS],
};

pub(crate) fn lock<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    let LoadPlan { seats, reservations, payments, .. } = plan;
    if !(reservations.is_empty() && payments.is_empty()) {
        loads.add(&LOCK_OF_RESERVATIONS, [seats, reservations, payments], take);
    } else if !seats.is_empty() {
        loads.add(&LOCK, [seats], take);
    }
}

fn take(loaded: &mut Loaded, row: &mut Columns<'_>) -> Result<(), Error> {
    let seat = read(row)?;
    loaded.world.seats.load(seat.seat_id, seat);
    Ok(())
}

const NUMBERS: Statement = Statement {
    sql: "SELECT s.concert_id, s.seat_number FROM unnest($1, $2) AS k (concert_id, seat_number), LATERAL (
              SELECT concert_id, seat_number FROM seat
              WHERE concert_id = k.concert_id AND seat_number = k.seat_number OFFSET 0) AS s",
    types: &[IDS, SMALLS],
};
const HIGHEST: Statement = Statement {
    sql: "SELECT s.* FROM unnest($1) AS k (concert_id), LATERAL (
              SELECT concert_id, seat_number FROM seat WHERE concert_id = k.concert_id
              ORDER BY seat_number DESC LIMIT 1) AS s",
    types: &[IDS],
};
const PLACES: Statement = Statement {
    sql: "SELECT s.* FROM unnest($1, $2, $3, $4) AS k (concert_id, section, \"row\", number), LATERAL (
              SELECT section, \"row\", number, concert_id FROM seat WHERE concert_id = k.concert_id
                  AND section = k.section AND \"row\" = k.\"row\" AND number = k.number OFFSET 0) AS s",
    types: &[IDS, TEXTS, TEXTS, TEXTS],
};
/// The places that seat changes may use; a part that is null matches any.
const PLACES_OF_MOVES: Statement = Statement {
    sql: "SELECT s.* FROM unnest($1, $2, $3, $4) AS k (concert_id, section, \"row\", number), LATERAL (
              SELECT section, \"row\", number, concert_id FROM seat WHERE concert_id = k.concert_id
                  AND (k.section IS NULL OR section = k.section) AND (k.\"row\" IS NULL OR \"row\" = k.\"row\")
                  AND (k.number IS NULL OR number = k.number) OFFSET 0) AS s",
    types: &[IDS, TEXTS, TEXTS, TEXTS],
};

/// Loads the numbers and places that new and moved seats must not take.
pub(crate) fn load_places<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.seat_numbers.is_empty() {
        loads.add(&NUMBERS, [&plan.numbered_concerts, &plan.seat_numbers], |loaded, row| {
            loaded.world.seat_numbers.insert((row.id(ConcertId::new)?, row.value()?));
            Ok(())
        });
    }
    if !plan.growing_concerts.is_empty() {
        loads.add(&HIGHEST, [&plan.growing_concerts], |loaded, row| {
            loaded.world.highest_seats.insert(row.id(ConcertId::new)?, row.value()?);
            Ok(())
        });
    }
    let SeatPlaces { concerts, sections, rows, numbers } = &plan.new_places;
    if !concerts.is_empty() {
        loads.add(&PLACES, [concerts, sections, rows, numbers], take_place);
    }
    let SeatPlaces { concerts, sections, rows, numbers } = &plan.moved_places;
    if !concerts.is_empty() {
        loads.add(&PLACES_OF_MOVES, [concerts, sections, rows, numbers], take_place);
    }
}

fn take_place(loaded: &mut Loaded, row: &mut Columns<'_>) -> Result<(), Error> {
    let place = read_place(row)?;
    loaded.world.seat_places.entry(row.id(ConcertId::new)?).or_default().insert(place);
    Ok(())
}

/// The first of `$1` consecutive seat ids. The advisory lock keeps them consecutive.
const IDS_OF_NEW: Statement = Statement {
    sql: "SELECT setval('seat_ids', nextval('seat_ids') + $1 - 1) - $1 + 1
          FROM (SELECT pg_advisory_xact_lock('seat_ids'::regclass::oid::bigint) OFFSET 0) AS locked",
    types: &[NUMBER],
};

/// Draws the ids of new seats.
pub(crate) fn draw_ids(loads: &mut Loads<'_>, plan: &LoadPlan) {
    let count = i64::try_from(plan.keys.demand.seats).unwrap_or(i64::MAX);
    if count > 0 {
        let session = loads.session();
        let take = |loaded: &mut Loaded, row: &mut Columns<'_>| {
            loaded.world.next_ids.seat = Numbers::counted_from(row.value()?);
            Ok(())
        };
        loads.add_query(&IDS_OF_NEW, take, async move { session.query(&IDS_OF_NEW, &[&count]).await });
    }
}

const DELETE: Statement = Statement {
    sql: "WITH done AS (DELETE FROM seat WHERE seat_id = ANY($1) RETURNING 1) SELECT all_found(count(*), $2) FROM done",
    types: &[IDS, NUMBER],
};

const INSERT: Statement = Statement {
    sql: "INSERT INTO seat (seat_id, concert_id, seat_number, price, status, reservation_id, blocked_reason, section,
              \"row\", number, grade, let_go_by, let_go_at, was_held, created_at, updated_at)
          SELECT k.*, k.created_at FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) AS k
              (seat_id, concert_id, seat_number, price, status, reservation_id, blocked_reason, section, \"row\", number,
              grade, let_go_by, let_go_at, was_held, created_at)",
    types: &[IDS, IDS, SMALLS, IDS, TEXTS, IDS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, UUIDS, TIMES, FLAGS, TIMES],
};

/// Removes seats, then adds the new ones, which may take their places.
pub(crate) fn replace<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&DELETE, &changes.removed_seats, |rows| rows.column(|row| row.seat_id.get()).count());
    saves.add(&INSERT, &changes.seats.inserted, |rows| {
        let rows = rows
            .column(|row| row.seat_id.get())
            .column(|row| row.concert_id.get())
            .column(|row| row.seat_number)
            .column(|row| row.price.get());
        let rows = bind_label(bind_state(rows));
        bind_let_go(rows).column(|row| row.updated_at.micros())
    });
}

/// Status, reservation, reason.
fn bind_state(rows: Rows<'_, Seat>) -> Rows<'_, Seat> {
    rows.column(|row| row.status().word())
        .column(|row| row.reservation_id().map(ReservationId::get))
        .column(|row| row.blocked_reason())
}

/// Section, row, number, grade.
fn bind_label(rows: Rows<'_, Seat>) -> Rows<'_, Seat> {
    rows.column(|row| row.label.section.as_str())
        .column(|row| row.label.row.as_str())
        .column(|row| row.label.number.as_str())
        .column(|row| row.label.grade.as_str())
}

/// The user who gave it up and when, and whether it was ever held.
fn bind_let_go(rows: Rows<'_, Seat>) -> Rows<'_, Seat> {
    rows.column(|row| row.let_go().map(|let_go| let_go.user_id.0))
        .column(|row| micros(row.let_go().map(|let_go| let_go.at)))
        .column(|row| row.was_held)
}

const UPDATE: Statement = Statement {
    sql: "WITH done AS (
              UPDATE seat AS s SET status = k.status, reservation_id = k.reservation_id,
                  blocked_reason = k.blocked_reason, updated_at = k.updated_at, let_go_by = k.let_go_by,
                  let_go_at = k.let_go_at, was_held = k.was_held
              FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) AS k (id, status, reservation_id, blocked_reason,
                  updated_at, let_go_by, let_go_at, was_held)
              WHERE s.seat_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $9) FROM done",
    types: &[IDS, TEXTS, IDS, TEXTS, TIMES, UUIDS, TIMES, FLAGS, NUMBER],
};

/// Changes of seats by operators. Only this update sets the label, which is indexed.
const CHANGE: Statement = Statement {
    sql: "WITH done AS (
              UPDATE seat AS s SET price = k.price, section = k.section, \"row\" = k.\"row\", number = k.number,
                  grade = k.grade
              FROM unnest($1, $2, $3, $4, $5, $6) AS k (id, price, section, \"row\", number, grade)
              WHERE s.seat_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $7) FROM done",
    types: &[IDS, IDS, TEXTS, TEXTS, TEXTS, TEXTS, NUMBER],
};

pub(crate) fn update<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&UPDATE, &changes.seats.updated, |rows| {
        let rows = bind_state(rows.column(|row| row.seat_id.get())).column(|row| row.updated_at.micros());
        bind_let_go(rows).count()
    });
    saves.add(&CHANGE, &changes.changed_seats, |rows| {
        bind_label(rows.column(|row| row.seat_id.get()).column(|row| row.price.get())).count()
    });
}

const OF_CONCERT: Statement = Statement {
    sql: concat!("SELECT ", columns!(), " FROM seat WHERE concert_id = $1 ORDER BY seat_number"),
    types: &[ID],
};

pub(crate) async fn of_concert(reads: &ReadPool, concert: ConcertId) -> Result<Vec<Seat>, StoreError> {
    reads.list(&OF_CONCERT, &[&concert.get()], read).await
}

const AT: Statement = Statement {
    sql: concat!("SELECT ", columns!(), " FROM seat WHERE concert_id = $1 AND seat_number = $2"),
    types: &[ID, SMALL],
};

pub(crate) async fn at(reads: &ReadPool, concert: ConcertId, seat_number: i32) -> Result<Option<Seat>, StoreError> {
    reads.find(&AT, &[&concert.get(), &seat_number], read).await
}

const NOW: Statement = Statement { sql: concat!("SELECT ", now!("$1")), types: &[TIME] };

const CHANGED: Statement = Statement {
    sql: concat!("SELECT ", columns!(), " FROM seat WHERE concert_id = $1 AND updated_at >= $2 ORDER BY seat_number"),
    types: &[ID, TIME],
};

pub(crate) async fn changed(
    reads: &ReadPool,
    times: &Times,
    concert: ConcertId,
    since: Time,
) -> Result<(Vec<Seat>, Time), StoreError> {
    // The time is read first: a change in between is returned now, and again by the next call.
    let (given, concert, since) = (times.given(), concert.get(), since.micros());
    let keys: [(&Statement, Params<'_>); 2] = [(&NOW, &[&given]), (&CHANGED, &[&concert, &since])];
    let mut results = reads.lists(&keys, Snapshot::Each).await?.into_iter();
    let (now, seats) = (results.next().unwrap_or_default(), results.next().unwrap_or_default());
    let now = read_all(&now, |row| row.id(Time::from_micros))?.pop().ok_or_else(no_row)?;
    Ok((read_all(&seats, read)?, now))
}

const COUNTS: Statement = Statement {
    sql: "SELECT concert_id, status, count(*) FROM seat WHERE concert_id = ANY($1) GROUP BY concert_id, status",
    types: &[IDS],
};

/// What the seats of each grade cost.
pub(crate) const GRADES: Statement = Statement {
    sql: "SELECT concert_id, grade, min(price), max(price) FROM seat
          WHERE concert_id = ANY($1) AND status <> 'blocked' GROUP BY concert_id, grade",
    types: &[IDS],
};

pub(crate) fn read_grade(row: &mut Columns<'_>) -> Result<(ConcertId, GradePrices), Error> {
    let concert_id = row.id(ConcertId::new)?;
    Ok((concert_id, GradePrices { grade: row.value()?, lowest: row.money()?, highest: row.money()? }))
}

pub(crate) async fn counts(
    reads: &ReadPool,
    concerts: &[ConcertId],
) -> Result<Vec<(ConcertId, SeatCounts)>, StoreError> {
    let ids: Vec<i64> = concerts.iter().map(|id| id.get()).collect();
    let counts = reads.list(&COUNTS, &[&ids], |row| Ok((row.id(ConcertId::new)?, row.word()?, row.value()?))).await?;
    Ok(SeatCounts::of(counts))
}

/// The seats of a concert that remain to be wound up: unpaid ones, and with $3 the sold ones too.
const REMNANTS: Statement = Statement {
    sql: "SELECT s.seat_number, s.seat_id, CASE WHEN s.status = 'sold' THEN (
              SELECT p.payment_id FROM payment AS p WHERE p.reservation_id = s.reservation_id) END
          FROM seat AS s WHERE s.concert_id = $1 AND s.seat_number > $2
              AND (s.status IN ('available', 'held') OR ($3 AND s.status = 'sold'))
          ORDER BY s.seat_number LIMIT $4",
    types: &[ID, SMALL, Type::BOOL, NUMBER],
};

pub(crate) async fn remnants(
    reads: &ReadPool,
    concert: &Concert,
    after: i32,
    limit: u32,
) -> Result<Vec<Remnant>, StoreError> {
    let (id, with_sold) = (concert.concert_id.get(), concert.refund_all_at.is_some());
    let read: Read<_> = |row| {
        Ok(Remnant {
            seat_number: row.value()?,
            seat_id: row.id(SeatId::new)?,
            payment_id: row.id_or_none(PaymentId::new)?,
        })
    };
    reads.list(&REMNANTS, &[&id, &after, &with_sold, &i64::from(limit)], read).await
}
