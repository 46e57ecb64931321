//! Decodes rows of `SQLite`.

pub(super) use crate::enum_text::EnumText;
use crate::{DoorLine, Remnant, TicketPlace, columns::row_readers};
use frontrow_domain::{
    concert::Concert,
    id::{
        AuditId, ConcertId, DebtId, HistoryId, PaymentId, PointId, Position, ReservationId, RoomId, SeatId, TokenId,
        UserId,
    },
    money::Money,
    payment::Payment,
    points::{Debt, Point, PointEntry},
    queue::{ContradictoryColumns, Fence, Room, Token, TokenColumns},
    reservation::{Reservation, ReservationColumns},
    seat::{LetGo, Seat, SeatLabel, SeatPlace, SeatState, SeatStatus},
    time::Time,
    user::{ResetLink, Session, User},
    world::AuditEntry,
};
use rusqlite::{
    Error, Result, Row,
    types::{FromSql, FromSqlError, FromSqlResult, ValueRef},
};
use std::str::FromStr;

/// A column with an [`EnumText`].
struct Of<T>(T);

impl<T: EnumText> FromSql for Of<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = value.as_str()?;
        T::from_text(word).map(Self).ok_or_else(|| FromSqlError::Other(format!("{word:?} is not a known word").into()))
    }
}

/// A column with the text of a `T`.
struct Text<T>(T);

impl<T: FromStr<Err: std::error::Error + Send + Sync + 'static>> FromSql for Text<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Self).map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

/// No value: to read a column as one is the error of a row whose columns contradict each other.
enum Contradiction {}

impl FromSql for Contradiction {
    fn column_result(_: ValueRef<'_>) -> FromSqlResult<Self> {
        Err(FromSqlError::Other("the columns of the row contradict each other".into()))
    }
}

row_readers!(Row<'_>, Error, get);

pub(super) fn session(row: &Row<'_>) -> Result<Session> {
    Ok(Session { secret_hash: row.get(0)?, user_id: user_id(row, 1)?, role: word(row, 2)?, expires_at: time(row, 3)? })
}

/// Columns: `user_id, secret_hash, epoch, expires_at`.
pub(super) fn reset_link(row: &Row<'_>) -> Result<ResetLink> {
    Ok(ResetLink { user_id: user_id(row, 0)?, secret_hash: row.get(1)?, epoch: row.get(2)?, expires_at: time(row, 3)? })
}

macro_rules! token_columns {
    () => {
        "room_id, position, user_id, status, issued_at, activated_at, deadline, expired_at, end_reason, turns_passed, \
         holds"
    };
}

pub(super) use crate::columns::{
    concert_columns, debt_columns, history_columns, payment_columns, point_columns, reservation_columns, room_columns,
    seat_columns, user_columns,
};
pub(super) use token_columns;
