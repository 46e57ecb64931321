//! Decodes rows of `PostgreSQL`.

use crate::{DoorLine, Remnant, TicketPlace, columns::row_readers, enum_text::EnumText};
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
use std::{error::Error as StdError, str::FromStr};
use tokio_postgres::{
    Error, Row,
    types::{FromSql, Type},
};

type Decoded<T> = Result<T, Box<dyn StdError + Sync + Send>>;

/// A column with an [`EnumText`].
pub(super) struct Of<T>(pub(super) T);

impl<'a, T: EnumText> FromSql<'a> for Of<T> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Decoded<Self> {
        let word = <&str>::from_sql(kind, raw)?;
        T::from_text(word).map(Self).ok_or_else(|| format!("{word:?} is not a known word").into())
    }

    fn accepts(kind: &Type) -> bool {
        <&str as FromSql>::accepts(kind)
    }
}

/// A column with the text of a `T`.
pub(super) struct Text<T>(pub(super) T);

impl<'a, T: FromStr<Err: StdError + Send + Sync + 'static>> FromSql<'a> for Text<T> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Decoded<Self> {
        Ok(Self(<&str>::from_sql(kind, raw)?.parse()?))
    }

    fn accepts(kind: &Type) -> bool {
        <&str as FromSql>::accepts(kind)
    }
}

/// No value: to read a column as one is the error of a row whose columns contradict each other.
enum Contradiction {}

impl FromSql<'_> for Contradiction {
    fn from_sql(_: &Type, _: &[u8]) -> Decoded<Self> {
        Err("the columns of the row contradict each other".into())
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

pub(super) struct Hash(pub(super) [u8; 32]);

impl<'a> FromSql<'a> for Hash {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Decoded<Self> {
        Ok(Self(<&[u8]>::from_sql(kind, raw)?.try_into()?))
    }

    fn accepts(kind: &Type) -> bool {
        <&[u8] as FromSql>::accepts(kind)
    }
}

row_readers!(Row, Error, try_get);

/// Columns: `user_id, secret_hash, epoch, expires_at`.
pub(super) fn reset_link(row: &Row) -> Result<ResetLink, Error> {
    Ok(ResetLink {
        user_id: user_id(row, 0)?,
        secret_hash: row.try_get::<_, Hash>(1)?.0,
        epoch: row.try_get(2)?,
        expires_at: time(row, 3)?,
    })
}

/// Columns: `secret_hash, user_id, role, expires_at`.
pub(super) fn session(row: &Row) -> Result<Session, Error> {
    Ok(Session {
        secret_hash: row.try_get::<_, Hash>(0)?.0,
        user_id: user_id(row, 1)?,
        role: word(row, 2)?,
        expires_at: time(row, 3)?,
    })
}

/// Columns of the table under the name `w`. Active tokens have their deadline in another column than the rest.
macro_rules! token_columns {
    () => {
        "w.room_id, w.position, w.user_id, w.status, w.issued_at, w.activated_at, \
         coalesce(w.active_until, w.deadline), w.expired_at, w.end_reason, w.turns_passed, w.holds"
    };
}

/// Columns of the audit log. Reading `detail` as text saves a dependency.
macro_rules! audit_columns {
    () => {
        "audit_id, actor, action, object, detail::text, created_at"
    };
}

pub(super) use crate::columns::{
    concert_columns, debt_columns, history_columns, payment_columns, point_columns, reservation_columns, room_columns,
    seat_columns, user_columns,
};
pub(super) use audit_columns;
pub(super) use token_columns;
