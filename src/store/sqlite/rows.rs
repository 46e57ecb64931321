//! Rows and the domain's values: one function a table to read, one word an enum value to write.

pub(super) use crate::store::words::Word;
use frontrow_domain::{
    concert::Concert,
    id::{AuditId, ConcertId, HistoryId, PaymentId, PointId, Position, ReservationId, RoomId, SeatId, TokenId, UserId},
    money::Money,
    payment::Payment,
    points::{Point, PointEntry},
    queue::{EndReason, Fence, Room, Token},
    reservation::Reservation,
    seat::{Seat, SeatLabel},
    time::Time,
    user::{Session, User},
    world::AuditEntry,
};
use rusqlite::{
    Result, Row,
    types::{FromSql, FromSqlError, FromSqlResult, ValueRef},
};
use std::str::FromStr;

/// A column that holds the word of a `T`.
struct Of<T>(T);

impl<T: Word> FromSql for Of<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = value.as_str()?;
        T::of_word(word).map(Self).ok_or_else(|| FromSqlError::Other(format!("{word:?} is not a known word").into()))
    }
}

/// A column that holds a `T` as its text.
struct Text<T>(T);

impl<T: FromStr<Err: std::error::Error + Send + Sync + 'static>> FromSql for Text<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Self).map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

fn word<T: Word>(row: &Row<'_>, column: usize) -> Result<T> {
    row.get::<_, Of<T>>(column).map(|Of(value)| value)
}

pub(super) fn time(row: &Row<'_>, column: usize) -> Result<Time> {
    row.get(column).map(Time::from_micros)
}

fn time_or_none(row: &Row<'_>, column: usize) -> Result<Option<Time>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Time::from_micros))
}

fn money(row: &Row<'_>, column: usize) -> Result<Money> {
    row.get(column).map(Money::new)
}

fn user_id(row: &Row<'_>, column: usize) -> Result<UserId> {
    row.get(column).map(UserId)
}

macro_rules! user_columns {
    () => {
        "user_id, name, email, role, created_at, updated_at"
    };
}

pub(super) fn user(row: &Row<'_>) -> Result<User> {
    Ok(User {
        user_id: user_id(row, 0)?,
        name: row.get(1)?,
        email: row.get(2)?,
        role: word(row, 3)?,
        created_at: time(row, 4)?,
        updated_at: time(row, 5)?,
    })
}

pub(super) fn session(row: &Row<'_>) -> Result<Session> {
    Ok(Session { secret_hash: row.get(0)?, user_id: user_id(row, 1)?, role: word(row, 2)?, expires_at: time(row, 3)? })
}

macro_rules! room_columns {
    () => {
        "room_id, max_active, admit_per_minute, gate, message, cursor, epoch, no_show_ppm, credit_ppm, credit_at, \
         updated_at, fence"
    };
}

pub(super) fn room(row: &Row<'_>) -> Result<Room> {
    Ok(Room {
        room_id: RoomId::new(row.get(0)?),
        max_active: row.get(1)?,
        admit_per_minute: row.get(2)?,
        gate: word(row, 3)?,
        message: row.get(4)?,
        cursor: Position(row.get(5)?),
        epoch: row.get(6)?,
        no_show_ppm: row.get(7)?,
        credit_ppm: row.get(8)?,
        credit_at: time(row, 9)?,
        updated_at: time(row, 10)?,
        fence: Fence(row.get(11)?),
    })
}

macro_rules! token_columns {
    () => {
        "room_id, position, user_id, status, issued_at, activated_at, deadline, expired_at, end_reason"
    };
}

pub(super) fn token(row: &Row<'_>) -> Result<Token> {
    Ok(Token {
        id: TokenId { room_id: RoomId::new(row.get(0)?), position: Position(row.get(1)?) },
        user_id: user_id(row, 2)?,
        status: word(row, 3)?,
        issued_at: time(row, 4)?,
        activated_at: time_or_none(row, 5)?,
        deadline: time_or_none(row, 6)?,
        expired_at: time_or_none(row, 7)?,
        end_reason: row.get::<_, Option<Of<EndReason>>>(8)?.map(|Of(reason)| reason),
    })
}

macro_rules! concert_columns {
    () => {
        "concert_id, title, artist, venue, time_zone, concert_date, start_time, end_time, starts_at, base_price, \
         opens_at, closes_at, room_id, status, created_at, updated_at"
    };
}

pub(super) fn concert(row: &Row<'_>) -> Result<Concert> {
    Ok(Concert {
        concert_id: ConcertId::new(row.get(0)?),
        title: row.get(1)?,
        artist: row.get(2)?,
        venue: row.get(3)?,
        time_zone: row.get(4)?,
        concert_date: row.get::<_, Text<_>>(5)?.0,
        start_time: row.get::<_, Text<_>>(6)?.0,
        end_time: row.get::<_, Text<_>>(7)?.0,
        starts_at: time(row, 8)?,
        base_price: money(row, 9)?,
        opens_at: time(row, 10)?,
        closes_at: time(row, 11)?,
        room_id: RoomId::new(row.get(12)?),
        status: word(row, 13)?,
        created_at: time(row, 14)?,
        updated_at: time(row, 15)?,
    })
}

macro_rules! seat_columns {
    () => {
        "seat_id, concert_id, seat_number, price, status, reservation_id, blocked_reason, updated_at"
    };
}

pub(super) fn seat(row: &Row<'_>) -> Result<Seat> {
    Ok(Seat {
        seat_id: SeatId::new(row.get(0)?),
        concert_id: ConcertId::new(row.get(1)?),
        seat_number: row.get(2)?,
        price: money(row, 3)?,
        status: word(row, 4)?,
        reservation_id: row.get::<_, Option<i64>>(5)?.map(ReservationId::new),
        blocked_reason: row.get(6)?,
        updated_at: time(row, 7)?,
    })
}

/// A row of `seat_columns!()` followed by section, row and grade.
pub(super) fn labelled_seat(row: &Row<'_>) -> Result<(Seat, SeatLabel)> {
    Ok((seat(row)?, SeatLabel { section: row.get(8)?, row: row.get(9)?, grade: row.get(10)? }))
}

macro_rules! reservation_columns {
    () => {
        "reservation_id, user_id, concert_id, seat_id, seat_number, price, status, created_at, expires_at, \
         confirmed_at, closed_at"
    };
}

pub(super) fn reservation(row: &Row<'_>) -> Result<Reservation> {
    Ok(Reservation {
        reservation_id: ReservationId::new(row.get(0)?),
        user_id: user_id(row, 1)?,
        concert_id: ConcertId::new(row.get(2)?),
        seat_id: SeatId::new(row.get(3)?),
        seat_number: row.get(4)?,
        price: money(row, 5)?,
        status: word(row, 6)?,
        created_at: time(row, 7)?,
        expires_at: time(row, 8)?,
        confirmed_at: time_or_none(row, 9)?,
        closed_at: time_or_none(row, 10)?,
    })
}

macro_rules! payment_columns {
    () => {
        "payment_id, user_id, reservation_id, amount, status, paid_at, refunded_at, created_at"
    };
}

pub(super) fn payment(row: &Row<'_>) -> Result<Payment> {
    Ok(Payment {
        payment_id: PaymentId::new(row.get(0)?),
        user_id: user_id(row, 1)?,
        reservation_id: ReservationId::new(row.get(2)?),
        amount: money(row, 3)?,
        status: word(row, 4)?,
        paid_at: time(row, 5)?,
        refunded_at: time_or_none(row, 6)?,
        created_at: time(row, 7)?,
    })
}

macro_rules! point_columns {
    () => {
        "point_id, user_id, amount, version, last_updated, created_at"
    };
}

pub(super) fn point(row: &Row<'_>) -> Result<Point> {
    Ok(Point {
        point_id: PointId::new(row.get(0)?),
        user_id: user_id(row, 1)?,
        amount: money(row, 2)?,
        version: row.get(3)?,
        last_updated: time(row, 4)?,
        created_at: time(row, 5)?,
    })
}

macro_rules! history_columns {
    () => {
        "history_id, user_id, amount, type, description, balance_after, version, payment_id, reference, created_at"
    };
}

pub(super) fn history(row: &Row<'_>) -> Result<PointEntry> {
    Ok(PointEntry {
        history_id: HistoryId::new(row.get(0)?),
        user_id: user_id(row, 1)?,
        amount: money(row, 2)?,
        kind: word(row, 3)?,
        description: row.get(4)?,
        balance_after: money(row, 5)?,
        version: row.get(6)?,
        payment_id: row.get::<_, Option<i64>>(7)?.map(PaymentId::new),
        reference: row.get(8)?,
        created_at: time(row, 9)?,
    })
}

pub(super) fn audit(row: &Row<'_>) -> Result<AuditEntry> {
    Ok(AuditEntry {
        audit_id: AuditId::new(row.get(0)?),
        actor: row.get::<_, Option<uuid::Uuid>>(1)?.map(UserId),
        action: row.get(2)?,
        object: row.get(3)?,
        detail: row.get::<_, Text<serde_json::Value>>(4)?.0,
        created_at: time(row, 5)?,
    })
}

pub(super) use {
    concert_columns, history_columns, payment_columns, point_columns, reservation_columns, room_columns, seat_columns,
    token_columns, user_columns,
};
