//! Rows and the domain's values: one function a table to read.

use crate::store::words::Word;
use frontrow_domain::{
    concert::Concert,
    id::{AuditId, ConcertId, HistoryId, PaymentId, PointId, Position, ReservationId, RoomId, SeatId, TokenId, UserId},
    money::Money,
    payment::Payment,
    points::{Point, PointEntry},
    queue::{Fence, Room, Token},
    reservation::Reservation,
    seat::{Seat, SeatLabel},
    time::Time,
    user::{Session, User},
    world::AuditEntry,
};
use std::{error::Error as StdError, str::FromStr};
use tokio_postgres::{
    Error, Row,
    types::{FromSql, Type},
};

type Decoded<T> = Result<T, Box<dyn StdError + Sync + Send>>;

/// A column that holds the word of a `T`.
pub(super) struct Of<T>(pub(super) T);

impl<'a, T: Word> FromSql<'a> for Of<T> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Decoded<Self> {
        let word = <&str>::from_sql(kind, raw)?;
        T::of_word(word).map(Self).ok_or_else(|| format!("{word:?} is not a known word").into())
    }

    fn accepts(kind: &Type) -> bool {
        <&str as FromSql>::accepts(kind)
    }
}

/// A column that holds a `T` as its text.
pub(super) struct Text<T>(pub(super) T);

impl<'a, T: FromStr<Err: StdError + Send + Sync + 'static>> FromSql<'a> for Text<T> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Decoded<Self> {
        Ok(Self(<&str>::from_sql(kind, raw)?.parse()?))
    }

    fn accepts(kind: &Type) -> bool {
        <&str as FromSql>::accepts(kind)
    }
}

/// A column that holds a SHA-256.
pub(super) struct Hash(pub(super) [u8; 32]);

impl<'a> FromSql<'a> for Hash {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Decoded<Self> {
        Ok(Self(<&[u8]>::from_sql(kind, raw)?.try_into()?))
    }

    fn accepts(kind: &Type) -> bool {
        <&[u8] as FromSql>::accepts(kind)
    }
}

fn word<T: Word>(row: &Row, column: usize) -> Result<T, Error> {
    row.try_get::<_, Of<T>>(column).map(|Of(value)| value)
}

pub(super) fn time(row: &Row, column: usize) -> Result<Time, Error> {
    row.try_get(column).map(Time::from_micros)
}

fn time_or_none(row: &Row, column: usize) -> Result<Option<Time>, Error> {
    Ok(row.try_get::<_, Option<i64>>(column)?.map(Time::from_micros))
}

fn money(row: &Row, column: usize) -> Result<Money, Error> {
    row.try_get(column).map(Money::new)
}

pub(super) fn user_id(row: &Row, column: usize) -> Result<UserId, Error> {
    row.try_get(column).map(UserId)
}

macro_rules! user_columns {
    () => {
        "user_id, name, email, role, created_at, updated_at"
    };
}

pub(super) fn user(row: &Row) -> Result<User, Error> {
    Ok(User {
        user_id: user_id(row, 0)?,
        name: row.try_get(1)?,
        email: row.try_get(2)?,
        role: word(row, 3)?,
        created_at: time(row, 4)?,
        updated_at: time(row, 5)?,
    })
}

/// A row of `secret_hash, user_id, role, expires_at`.
pub(super) fn session(row: &Row) -> Result<Session, Error> {
    Ok(Session {
        secret_hash: row.try_get::<_, Hash>(0)?.0,
        user_id: user_id(row, 1)?,
        role: word(row, 2)?,
        expires_at: time(row, 3)?,
    })
}

macro_rules! room_columns {
    () => {
        "room_id, max_active, admit_per_minute, gate, message, cursor, epoch, no_show_ppm, credit_ppm, credit_at, \
         updated_at, fence"
    };
}

pub(super) fn room(row: &Row) -> Result<Room, Error> {
    Ok(Room {
        room_id: RoomId::new(row.try_get(0)?),
        max_active: row.try_get(1)?,
        admit_per_minute: row.try_get(2)?,
        gate: word(row, 3)?,
        message: row.try_get(4)?,
        cursor: Position(row.try_get(5)?),
        epoch: row.try_get(6)?,
        no_show_ppm: row.try_get(7)?,
        credit_ppm: row.try_get(8)?,
        credit_at: time(row, 9)?,
        updated_at: time(row, 10)?,
        fence: Fence(row.try_get(11)?),
    })
}

/// Of the table under the name `w`. The deadline stands in one column for the active tokens and in another for the
/// rest.
macro_rules! token_columns {
    () => {
        "w.room_id, w.position, w.user_id, w.status, w.issued_at, w.activated_at, \
         coalesce(w.active_until, w.deadline), w.expired_at, w.end_reason"
    };
}

pub(super) fn token(row: &Row) -> Result<Token, Error> {
    Ok(Token {
        id: TokenId { room_id: RoomId::new(row.try_get(0)?), position: Position(row.try_get(1)?) },
        user_id: user_id(row, 2)?,
        status: word(row, 3)?,
        issued_at: time(row, 4)?,
        activated_at: time_or_none(row, 5)?,
        deadline: time_or_none(row, 6)?,
        expired_at: time_or_none(row, 7)?,
        end_reason: row.try_get::<_, Option<Of<_>>>(8)?.map(|Of(reason)| reason),
    })
}

macro_rules! concert_columns {
    () => {
        "concert_id, title, artist, venue, time_zone, concert_date, start_time, end_time, starts_at, base_price, \
         opens_at, closes_at, room_id, status, created_at, updated_at"
    };
}

pub(super) fn concert(row: &Row) -> Result<Concert, Error> {
    Ok(Concert {
        concert_id: ConcertId::new(row.try_get(0)?),
        title: row.try_get(1)?,
        artist: row.try_get(2)?,
        venue: row.try_get(3)?,
        time_zone: row.try_get(4)?,
        concert_date: row.try_get::<_, Text<_>>(5)?.0,
        start_time: row.try_get::<_, Text<_>>(6)?.0,
        end_time: row.try_get::<_, Text<_>>(7)?.0,
        starts_at: time(row, 8)?,
        base_price: money(row, 9)?,
        opens_at: time(row, 10)?,
        closes_at: time(row, 11)?,
        room_id: RoomId::new(row.try_get(12)?),
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

pub(super) fn seat(row: &Row) -> Result<Seat, Error> {
    Ok(Seat {
        seat_id: SeatId::new(row.try_get(0)?),
        concert_id: ConcertId::new(row.try_get(1)?),
        seat_number: row.try_get(2)?,
        price: money(row, 3)?,
        status: word(row, 4)?,
        reservation_id: row.try_get::<_, Option<i64>>(5)?.map(ReservationId::new),
        blocked_reason: row.try_get(6)?,
        updated_at: time(row, 7)?,
    })
}

/// A row of `seat_columns!()` followed by section, row and grade.
pub(super) fn labelled_seat(row: &Row) -> Result<(Seat, SeatLabel), Error> {
    Ok((seat(row)?, SeatLabel { section: row.try_get(8)?, row: row.try_get(9)?, grade: row.try_get(10)? }))
}

macro_rules! reservation_columns {
    () => {
        "reservation_id, user_id, concert_id, seat_id, seat_number, price, status, created_at, expires_at, \
         confirmed_at, closed_at"
    };
}

pub(super) fn reservation(row: &Row) -> Result<Reservation, Error> {
    Ok(Reservation {
        reservation_id: ReservationId::new(row.try_get(0)?),
        user_id: user_id(row, 1)?,
        concert_id: ConcertId::new(row.try_get(2)?),
        seat_id: SeatId::new(row.try_get(3)?),
        seat_number: row.try_get(4)?,
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

pub(super) fn payment(row: &Row) -> Result<Payment, Error> {
    Ok(Payment {
        payment_id: PaymentId::new(row.try_get(0)?),
        user_id: user_id(row, 1)?,
        reservation_id: ReservationId::new(row.try_get(2)?),
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

pub(super) fn point(row: &Row) -> Result<Point, Error> {
    Ok(Point {
        point_id: PointId::new(row.try_get(0)?),
        user_id: user_id(row, 1)?,
        amount: money(row, 2)?,
        version: row.try_get(3)?,
        last_updated: time(row, 4)?,
        created_at: time(row, 5)?,
    })
}

macro_rules! history_columns {
    () => {
        "history_id, user_id, amount, type, description, balance_after, version, payment_id, reference, created_at"
    };
}

pub(super) fn history(row: &Row) -> Result<PointEntry, Error> {
    Ok(PointEntry {
        history_id: HistoryId::new(row.try_get(0)?),
        user_id: user_id(row, 1)?,
        amount: money(row, 2)?,
        kind: word(row, 3)?,
        description: row.try_get(4)?,
        balance_after: money(row, 5)?,
        version: row.try_get(6)?,
        payment_id: row.try_get::<_, Option<i64>>(7)?.map(PaymentId::new),
        reference: row.try_get(8)?,
        created_at: time(row, 9)?,
    })
}

/// The columns of the audit log. The particulars come as text: the driver reads that without another dependency.
macro_rules! audit_columns {
    () => {
        "audit_id, actor, action, object, detail::text, created_at"
    };
}

pub(super) fn audit(row: &Row) -> Result<AuditEntry, Error> {
    Ok(AuditEntry {
        audit_id: AuditId::new(row.try_get(0)?),
        actor: row.try_get::<_, Option<uuid::Uuid>>(1)?.map(UserId),
        action: row.try_get(2)?,
        object: row.try_get(3)?,
        detail: row.try_get::<_, Text<serde_json::Value>>(4)?.0,
        created_at: time(row, 5)?,
    })
}

pub(super) use {
    audit_columns, concert_columns, history_columns, payment_columns, point_columns, reservation_columns, room_columns,
    seat_columns, token_columns, user_columns,
};
