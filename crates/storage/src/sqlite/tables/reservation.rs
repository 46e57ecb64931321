//! Reads outside a batch: each function sees one consistent snapshot of the database.

use crate::sqlite::columns::{
    self as rows, EnumText, concert_columns, debt_columns, history_columns, payment_columns, point_columns,
    reservation_columns, room_columns, seat_columns, time, token_columns, user_columns,
};
use crate::{
    ConcertFilter, ConcertPlace, DebtFilter, DoorLine, Life, Line, Page, PaymentFilter, Remnant, ReservationFilter,
    SeatCounts, Standing, TicketPlace, filter,
};
use frontrow_clock::JUMP_MIN;
use frontrow_domain::{
    concert::Concert,
    id::{AuditId, ConcertId, DebtId, HistoryId, PaymentId, Position, ReservationId, RoomId, TokenId, UserId},
    payment::{Payment, PaymentStatus},
    points::{Debt, DebtStatus, Point, PointEntry},
    queue::{Room, Token},
    reservation::{Reservation, ReservationStatus},
    seat::Seat,
    time::Time,
    user::{Session, User},
    world::AuditEntry,
};
use rusqlite::{Connection, OptionalExtension, Params, Result, Row};
use std::collections::HashSet;
use uuid::Uuid;

/// The tables, each with the first column of its key.
const TABLES: [(&str, &str); 13] = [
    ("user", "user_id"),
    ("session", "secret_hash"),
    ("room", "room_id"),
    ("waiting_token", "room_id"),
    ("concert", "concert_id"),
    ("seat", "seat_id"),
    ("reservation", "reservation_id"),
    ("payment", "payment_id"),
    ("point", "point_id"),
    ("point_history", "history_id"),
    ("debt", "debt_id"),
    ("idempotency", "id"),
    ("audit_log", "audit_id"),
];

/// Reads the first and last row of every table, and so the index pages on the way to them.
pub(crate) fn look(conn: &Connection) -> Result<()> {
    for (table, key) in TABLES {
        for order in ["ASC", "DESC"] {
            let mut select = conn.prepare(&format!("SELECT * FROM \"{table}\" ORDER BY {key} {order} LIMIT 1"))?;
            select.query(())?.next()?;
        }
    }
    Ok(())
}

fn find<T>(conn: &Connection, sql: &str, key: impl Params, read: fn(&Row<'_>) -> Result<T>) -> Result<Option<T>> {
    conn.prepare_cached(sql)?.query_row(key, read).optional()
}

fn list<T>(conn: &Connection, sql: &str, keys: impl Params, read: fn(&Row<'_>) -> Result<T>) -> Result<Vec<T>> {
    conn.prepare_cached(sql)?.query_map(keys, read)?.collect()
}

/// The time of a snapshot: not before its rows, unless another program wrote those with a clock far ahead.
fn moment(snapshot: &Connection, now: Time) -> Result<Time> {
    let mark = Time::from_micros(high_water(snapshot)?);
    Ok(if mark.since(now) > JUMP_MIN { now } else { now.max(mark) })
}

pub(crate) fn high_water(conn: &Connection) -> Result<i64> {
    conn.prepare_cached("SELECT high_water FROM clock WHERE id = 1")?.query_row((), |row| row.get(0))
}

pub(crate) fn credentials(conn: &Connection, email: &str) -> Result<Option<(User, String)>> {
    find(conn, concat!("SELECT ", user_columns!(), ", password_hash FROM \"user\" WHERE email = ?1"), (email,), |row| {
        Ok((rows::user(row)?, row.get(9)?))
    })
}

pub(crate) fn session(conn: &Connection, secret_hash: [u8; 32]) -> Result<Option<Session>> {
    find(
        conn,
        "SELECT secret_hash, user_id, role, expires_at FROM session WHERE secret_hash = ?1",
        (secret_hash,),
        rows::session,
    )
}

pub(crate) fn user(conn: &Connection, id: UserId) -> Result<Option<User>> {
    find(conn, concat!("SELECT ", user_columns!(), " FROM \"user\" WHERE user_id = ?1"), (id.0,), rows::user)
}

pub(crate) fn users(conn: &Connection, text: Option<&str>, page: Page<UserId>) -> Result<Vec<User>> {
    // Searched here and not in SQL, whose lower() knows ASCII only.
    let wanted = text.map(frontrow_domain::text::folded);
    let mut select = conn.prepare_cached(concat!(
        "SELECT ",
        user_columns!(),
        " FROM \"user\" WHERE user_id < ?1 ORDER BY user_id DESC"
    ))?;
    let mut found = Vec::new();
    // The highest possible id is never a user's: it has no UUID version.
    let mut rows = select.query((page.after.map_or(Uuid::max(), |after| after.0),))?;
    while found.len() < limit(page.limit)
        && let Some(row) = rows.next()?
    {
        let (name, email) = (row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?);
        if wanted.as_ref().is_none_or(|text| filter::contains(name, text) || filter::contains(email, text)) {
            found.push(rows::user(row)?);
        }
    }
    Ok(found)
}

fn limit(rows: u32) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

pub(crate) fn rooms(conn: &Connection) -> Result<Vec<Room>> {
    list(conn, concat!("SELECT ", room_columns!(), " FROM room ORDER BY room_id"), (), rows::room)
}

pub(crate) fn some_rooms(conn: &Connection, page: Page<RoomId>) -> Result<Vec<Room>> {
    let sql = concat!("SELECT ", room_columns!(), " FROM room WHERE room_id > ?1 ORDER BY room_id LIMIT ?2");
    list(conn, sql, (page.after.map_or(i64::MIN, RoomId::get), page.limit), rows::room)
}

pub(crate) fn standings(conn: &Connection, now: impl FnOnce() -> Time) -> Result<Vec<Standing>> {
    let snapshot = conn.unchecked_transaction()?;
    let rooms = list(
        &snapshot,
        concat!(
            "SELECT ",
            room_columns!(),
            ", last_position AS highest,
             EXISTS (SELECT 1 FROM waiting_token AS w INDEXED BY token_in_line
                 WHERE w.room_id = room.room_id AND w.status = 'waiting')
             OR EXISTS (SELECT 1 FROM waiting_token AS w INDEXED BY token_by_deadline
                 WHERE w.room_id = room.room_id AND w.deadline IS NOT NULL) AS is_busy
             FROM room ORDER BY room_id"
        ),
        (),
        |row| {
            let life = if row.get("is_busy")? { Life::Busy } else { Life::Quiet };
            Ok((rows::room(row)?, Position(row.get("highest")?), life))
        },
    )?;
    let now = moment(&snapshot, now())?;
    Ok(rooms.into_iter().map(|(room, highest, life)| Standing { room, highest, life, now }).collect())
}

pub(crate) fn token(conn: &Connection, id: TokenId) -> Result<Option<Token>> {
    find(
        conn,
        concat!("SELECT ", token_columns!(), " FROM waiting_token WHERE room_id = ?1 AND position = ?2"),
        (id.room_id.get(), id.position.0),
        rows::token,
    )
}

pub(crate) fn live_tokens(conn: &Connection, user: UserId) -> Result<Vec<Token>> {
    list(
        conn,
        concat!(
            "SELECT ",
            token_columns!(),
            " FROM waiting_token INDEXED BY one_live_token_per_user_and_room",
            " WHERE user_id = ?1 AND status <> 'ended' ORDER BY room_id"
        ),
        (user.0,),
        rows::token,
    )
}

pub(crate) fn waiting_tokens(conn: &Connection, room: RoomId, page: Page<Position>) -> Result<Vec<Token>> {
    list(
        conn,
        concat!(
            "SELECT ",
            token_columns!(),
            " FROM waiting_token INDEXED BY token_in_line WHERE room_id = ?1 AND status = 'waiting' AND position > ?2",
            " ORDER BY position LIMIT ?3"
        ),
        (room.get(), page.after.map_or(0, |after| after.0), page.limit),
        rows::token,
    )
}

pub(crate) fn unassigned_positions(
    conn: &Connection,
    room: RoomId,
    after: Position,
    to: Position,
) -> Result<Vec<Position>> {
    let used: HashSet<i64> = list(
        conn,
        "SELECT position FROM waiting_token WHERE room_id = ?1 AND position > ?2 AND position <= ?3",
        (room.get(), after.0, to.0),
        |row| row.get(0),
    )?
    .into_iter()
    .collect();
    Ok((after.0 + 1..=to.0).filter(|position| !used.contains(position)).map(Position).collect())
}

pub(crate) fn line(conn: &Connection, id: RoomId, now: impl FnOnce() -> Time) -> Result<Option<Line>> {
    // One snapshot: either all or none of a batch's changes to the line are visible.
    let snapshot = conn.unchecked_transaction()?;
    let Some((room, highest)) = find(
        &snapshot,
        concat!("SELECT ", room_columns!(), ", last_position FROM room WHERE room_id = ?1"),
        (id.get(),),
        |row| Ok((rows::room(row)?, Position(row.get(14)?))),
    )?
    else {
        return Ok(None);
    };
    let waiting = list(
        &snapshot,
        "SELECT position FROM waiting_token INDEXED BY token_in_line WHERE room_id = ?1 AND status = 'waiting'
         ORDER BY position",
        (id.get(),),
        |row| row.get(0).map(Position),
    )?;
    let others = list(
        &snapshot,
        concat!(
            "SELECT ",
            token_columns!(),
            " FROM waiting_token INDEXED BY token_by_deadline WHERE room_id = ?1 AND deadline IS NOT NULL",
            " ORDER BY position"
        ),
        (id.get(),),
        rows::token,
    )?;
    let now = moment(&snapshot, now())?;
    Ok(Some(Line { room, highest, waiting, in_flight: Vec::new(), others, now }))
}

pub(crate) fn concerts(conn: &Connection, filter: &ConcertFilter, page: Page<ConcertPlace>) -> Result<Vec<Concert>> {
    let mut select = conn.prepare_cached(concat!(
        "SELECT ",
        concert_columns!(),
        " FROM concert INDEXED BY concert_by_start WHERE (starts_at, concert_id) > (?1, ?2)",
        " ORDER BY starts_at, concert_id"
    ))?;
    let mut found = Vec::new();
    let wanted = filter.folded();
    let after = page.after.map_or((i64::MIN, i64::MIN), |after| (after.starts_at.micros(), after.concert_id.get()));
    let mut rows = select.query(after)?;
    while found.len() < limit(page.limit)
        && let Some(row) = rows.next()?
    {
        let concert = rows::concert(row)?;
        if wanted.matches(&concert) {
            found.push(concert);
        }
    }
    Ok(found)
}

pub(crate) fn concert(conn: &Connection, id: ConcertId) -> Result<Option<Concert>> {
    find(
        conn,
        concat!("SELECT ", concert_columns!(), " FROM concert WHERE concert_id = ?1"),
        (id.get(),),
        rows::concert,
    )
}

pub(crate) fn seats(conn: &Connection, concert: ConcertId) -> Result<Vec<Seat>> {
    list(
        conn,
        concat!("SELECT ", seat_columns!(), " FROM seat WHERE concert_id = ?1 ORDER BY seat_number"),
        (concert.get(),),
        rows::seat,
    )
}

pub(crate) fn seat_counts(conn: &Connection, concerts: &[ConcertId]) -> Result<Vec<(ConcertId, SeatCounts)>> {
    let mut all = Vec::new();
    let mut select = conn.prepare_cached(
        "SELECT concert_id, status, count(*) FROM seat WHERE concert_id = ?1 GROUP BY concert_id, status",
    )?;
    for concert in concerts {
        for row in select.query_map((concert.get(),), rows::seats_of_status)? {
            all.push(row?);
        }
    }
    Ok(SeatCounts::of(all))
}

pub(crate) fn tickets(conn: &Connection, reservations: &[ReservationId]) -> Result<Vec<TicketPlace>> {
    // CROSS JOIN fixes this order whatever the statistics say: each step is one lookup by key.
    let mut select = conn.prepare_cached(
        "SELECT r.reservation_id, r.concert_id, c.title, r.seat_id, s.seat_number, s.section, s.\"row\", s.number
         FROM reservation AS r CROSS JOIN seat AS s CROSS JOIN concert AS c
         WHERE r.reservation_id = ?1 AND s.seat_id = r.seat_id AND c.concert_id = r.concert_id",
    )?;
    let mut found = Vec::with_capacity(reservations.len());
    for id in reservations {
        found.extend(select.query_row((id.get(),), rows::ticket_place).optional()?);
    }
    Ok(found)
}

pub(crate) fn door_list(conn: &Connection, concert: ConcertId, after: i32, limit: u32) -> Result<Vec<DoorLine>> {
    list(
        conn,
        "SELECT s.seat_number, s.section, s.\"row\", s.number, s.grade, u.name, r.reservation_id, p.payment_id, p.paid_at
         FROM seat AS s CROSS JOIN reservation AS r CROSS JOIN payment AS p CROSS JOIN \"user\" AS u
         WHERE s.concert_id = ?1 AND s.seat_number > ?2 AND s.status = 'sold' AND r.reservation_id = s.reservation_id
           AND p.reservation_id = r.reservation_id AND u.user_id = r.user_id
         ORDER BY s.seat_number LIMIT ?3",
        (concert.get(), after, limit),
        rows::door_line,
    )
}

pub(crate) fn debt(conn: &Connection, id: DebtId) -> Result<Option<Debt>> {
    find(conn, concat!("SELECT ", debt_columns!(), " FROM debt WHERE debt_id = ?1"), (id.get(),), rows::debt)
}

pub(crate) fn debts(conn: &Connection, filter: &DebtFilter, page: Page<DebtId>) -> Result<Vec<Debt>> {
    // Open debts are few, and so are those of one user.
    let by = match filter {
        DebtFilter { user: Some(_), .. } => " INDEXED BY debt_of_user WHERE user_id = ?1 AND debt_id < ?3",
        DebtFilter { user: None, status: Some(DebtStatus::Open) } => {
            " INDEXED BY debt_open WHERE status = 'open' AND debt_id < ?3"
        }
        DebtFilter { user: None, .. } => " WHERE debt_id < ?3",
    };
    let mut sql = concat!("SELECT ", debt_columns!(), " FROM debt").to_owned();
    sql.push_str(by);
    sql.push_str(" AND (?2 IS NULL OR status = ?2) ORDER BY debt_id DESC LIMIT ?4");
    let keys = (
        filter.user.map(|user| user.0),
        filter.status.map(EnumText::word),
        page.after.map_or(i64::MAX, DebtId::get),
        page.limit,
    );
    list(conn, &sql, keys, rows::debt)
}

pub(crate) fn concerts_to_wind_up(conn: &Connection, page: Page<ConcertId>) -> Result<Vec<Concert>> {
    list(
        conn,
        concat!(
            "SELECT ",
            concert_columns!(),
            " FROM concert INDEXED BY concert_to_wind_up WHERE status = 'cancelled' AND wound_up_at IS NULL",
            " AND concert_id > ?1 ORDER BY concert_id LIMIT ?2"
        ),
        (page.after.map_or(0, ConcertId::get), page.limit),
        rows::concert,
    )
}

pub(crate) fn remnants(
    conn: &Connection,
    concert: ConcertId,
    with_sold: bool,
    after: i32,
    limit: u32,
) -> Result<Vec<Remnant>> {
    list(
        conn,
        "SELECT seat_number, seat_id, CASE WHEN status = 'sold' THEN (
             SELECT payment_id FROM payment WHERE payment.reservation_id = seat.reservation_id) END
         FROM seat WHERE concert_id = ?1 AND seat_number > ?2
           AND (status = 'available' OR status = 'held' OR (status = 'sold' AND ?3))
         ORDER BY seat_number LIMIT ?4",
        (concert.get(), after, with_sold, limit),
        rows::remnant,
    )
}

pub(crate) fn reservation(conn: &Connection, id: ReservationId) -> Result<Option<Reservation>> {
    find(
        conn,
        concat!("SELECT ", reservation_columns!(), " FROM reservation WHERE reservation_id = ?1"),
        (id.get(),),
        rows::reservation,
    )
}

/// The most rows of all concerts that a page of one concert may walk over before it reads seat by seat.
const WALK_MAX: usize = 1_000;

/// The ids of a page of one concert, by a walk from the newest row. A concert with many of the rows fills a page soon,
/// however large its hall. None if the walk is too long. `sql` yields each row's id and its concert.
///
/// With an index by concert the cost would be one page, but each hold would have to write to the index.
fn walk(conn: &Connection, sql: &str, concert: ConcertId, after: i64, rows: u32) -> Result<Option<Vec<i64>>> {
    let mut select = conn.prepare_cached(sql)?;
    let mut walked = select.query((after,))?;
    let mut found = Vec::new();
    for _ in 0..WALK_MAX {
        let Some(row) = walked.next()? else { return Ok(Some(found)) };
        if row.get::<_, Option<i64>>(1)? == Some(concert.get()) {
            found.push(row.get(0)?);
        }
        if found.len() == limit(rows) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Seat by seat: reads the rows of this concert only.
const RESERVATIONS_OF_CONCERT: &str = concat!(
    "SELECT ",
    reservation_columns!(),
    " FROM (SELECT r.reservation_id AS id FROM seat AS s
         CROSS JOIN reservation AS r INDEXED BY one_live_reservation_per_seat
         WHERE s.concert_id = ?1 AND r.seat_id = s.seat_id AND r.reservation_id < ?3 AND (?2 IS NULL OR r.status = ?2)
         ORDER BY r.reservation_id DESC LIMIT ?4) AS page
     CROSS JOIN reservation WHERE reservation_id = page.id ORDER BY reservation_id DESC"
);

fn reservations_of_concert(
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
        return ids.into_iter().filter_map(|id| reservation(&snapshot, ReservationId::new(id)).transpose()).collect();
    }
    let keys = (concert.get(), status.map(EnumText::word), after, page.limit);
    list(&snapshot, RESERVATIONS_OF_CONCERT, keys, rows::reservation)
}

/// The same for payments. A reservation has at most one payment.
const PAYMENTS_OF_CONCERT: &str = concat!(
    "SELECT ",
    payment_columns!(),
    " FROM (SELECT p.payment_id AS id FROM seat AS s
         CROSS JOIN reservation AS r INDEXED BY one_live_reservation_per_seat CROSS JOIN payment AS p
         WHERE s.concert_id = ?1 AND r.seat_id = s.seat_id AND p.reservation_id = r.reservation_id AND p.payment_id < ?3
             AND (?2 IS NULL OR p.status = ?2)
         ORDER BY p.payment_id DESC LIMIT ?4) AS page
     CROSS JOIN payment WHERE payment_id = page.id ORDER BY payment_id DESC"
);

fn payments_of_concert(
    conn: &Connection,
    concert: ConcertId,
    status: Option<PaymentStatus>,
    page: Page<PaymentId>,
) -> Result<Vec<Payment>> {
    let by_id = match status {
        None => {
            "SELECT p.payment_id, r.concert_id FROM payment AS p CROSS JOIN reservation AS r
             WHERE p.payment_id < ?1 AND r.reservation_id = p.reservation_id ORDER BY p.payment_id DESC"
        }
        Some(PaymentStatus::Completed) => {
            "SELECT p.payment_id, CASE p.status WHEN 'completed' THEN r.concert_id END
             FROM payment AS p CROSS JOIN reservation AS r
             WHERE p.payment_id < ?1 AND r.reservation_id = p.reservation_id ORDER BY p.payment_id DESC"
        }
        Some(PaymentStatus::Refunded) => {
            "SELECT p.payment_id, r.concert_id FROM payment AS p INDEXED BY payment_refunded CROSS JOIN reservation AS r
             WHERE p.status = 'refunded' AND p.payment_id < ?1 AND r.reservation_id = p.reservation_id
             ORDER BY p.payment_id DESC"
        }
    };
    let after = page.after.map_or(i64::MAX, PaymentId::get);
    let snapshot = conn.unchecked_transaction()?;
    if let Some(ids) = walk(&snapshot, by_id, concert, after, page.limit)? {
        return ids.into_iter().filter_map(|id| payment(&snapshot, PaymentId::new(id)).transpose()).collect();
    }
    let keys = (concert.get(), status.map(EnumText::word), after, page.limit);
    list(&snapshot, PAYMENTS_OF_CONCERT, keys, rows::payment)
}

pub(crate) fn reservations(
    conn: &Connection,
    filter: &ReservationFilter,
    page: Page<ReservationId>,
) -> Result<Vec<Reservation>> {
    if let ReservationFilter { user: None, concert: Some(concert), status } = *filter
        && status != Some(ReservationStatus::Pending)
    {
        return reservations_of_concert(conn, concert, status, page);
    }
    let by = |index: &str, condition: &str| reservations_by(filter, index, condition);
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
    list(conn, &sql, keys, rows::reservation)
}

/// Selects a page of reservations by an index, or by id.
fn reservations_by(filter: &ReservationFilter, index: &str, condition: &str) -> String {
    let mut sql = concat!("SELECT ", reservation_columns!(), " FROM reservation").to_owned();
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

pub(crate) fn next_expiries(conn: &Connection, until: Time, limit: u32) -> Result<Vec<(Time, ReservationId)>> {
    list(
        conn,
        "SELECT expires_at, reservation_id FROM reservation INDEXED BY reservation_by_expiry
         WHERE status = 'pending' AND expires_at <= ?1
         ORDER BY expires_at, reservation_id LIMIT ?2",
        (until.micros(), limit),
        |row| Ok((time(row, 0)?, ReservationId::new(row.get(1)?))),
    )
}

pub(crate) fn payment(conn: &Connection, id: PaymentId) -> Result<Option<Payment>> {
    find(
        conn,
        concat!("SELECT ", payment_columns!(), " FROM payment WHERE payment_id = ?1"),
        (id.get(),),
        rows::payment,
    )
}

pub(crate) fn payments(conn: &Connection, filter: &PaymentFilter, page: Page<PaymentId>) -> Result<Vec<Payment>> {
    if let PaymentFilter { user: None, reservation: None, concert: Some(concert), status } = *filter {
        return payments_of_concert(conn, concert, status, page);
    }
    let keys = (
        filter.user.map(|user| user.0),
        filter.reservation.map(ReservationId::get),
        filter.status.map(EnumText::word),
        page.after.map_or(i64::MAX, PaymentId::get),
        filter.concert.map(ConcertId::get),
        page.limit,
    );
    list(conn, &payments_by(filter), keys, rows::payment)
}

/// Selects a page of payments by user, by reservation, or by id.
fn payments_by(filter: &PaymentFilter) -> String {
    let mut sql = concat!("SELECT ", payment_columns!(), " FROM payment").to_owned();
    // Indexes are named, since old statistics may mislead. The index for a reservation's one payment is always found.
    sql.push_str(match filter {
        PaymentFilter { user: None, reservation: None, status: Some(PaymentStatus::Refunded), .. } => {
            " INDEXED BY payment_refunded WHERE status = 'refunded' AND payment_id < ?4"
        }
        PaymentFilter { user: Some(_), reservation: None, .. } => " INDEXED BY payment_by_user WHERE payment_id < ?4",
        _ => " WHERE payment_id < ?4",
    });
    if filter.user.is_some() {
        sql.push_str(" AND user_id = ?1");
    }
    if filter.reservation.is_some() {
        sql.push_str(" AND reservation_id = ?2");
    }
    if filter.status.is_some() {
        sql.push_str(" AND status = ?3");
    }
    if filter.concert.is_some() {
        sql.push_str(
            " AND (SELECT concert_id FROM reservation WHERE reservation.reservation_id = payment.reservation_id) = ?5",
        );
    }
    sql.push_str(" ORDER BY payment_id DESC LIMIT ?6");
    sql
}

pub(crate) fn point(conn: &Connection, user: UserId) -> Result<Option<Point>> {
    find(conn, concat!("SELECT ", point_columns!(), " FROM point WHERE user_id = ?1"), (user.0,), rows::point)
}

pub(crate) fn history(conn: &Connection, user: UserId, page: Page<HistoryId>) -> Result<Vec<PointEntry>> {
    // A user's versions rise with the ids, and the index is on the versions.
    list(
        conn,
        concat!(
            "SELECT ",
            history_columns!(),
            " FROM point_history WHERE user_id = ?1 AND +history_id < ?2 AND version <= coalesce(",
            "(SELECT version FROM point_history WHERE history_id = ?2 AND user_id = ?1), 9223372036854775807)",
            " ORDER BY version DESC LIMIT ?3"
        ),
        (user.0, page.after.map_or(i64::MAX, HistoryId::get), page.limit),
        rows::history,
    )
}

pub(crate) fn audit(conn: &Connection, page: Page<AuditId>) -> Result<Vec<AuditEntry>> {
    list(
        conn,
        "SELECT audit_id, actor, action, object, detail, created_at FROM audit_log WHERE audit_id < ?1
         ORDER BY audit_id DESC LIMIT ?2",
        (page.after.map_or(i64::MAX, AuditId::get), page.limit),
        rows::audit,
    )
}
