//! Columns: those of a row that is read, and the arrays of those that are saved.

use super::connect::{Params, PooledConnection, Statement};
use crate::{columns::column_readers, enum_text::EnumText};
use frontrow_domain::{id::UserId, line::ContradictoryColumns, money::Money, outbox::DeliveryError, time::Time};
use std::{error::Error as StdError, str::FromStr};
use tokio_postgres::{
    Error, Row,
    types::{FromSql, ToSql, Type},
};
use uuid::Uuid;

type Decoded<T> = Result<T, Box<dyn StdError + Sync + Send>>;

/// A column with an [`EnumText`].
struct Of<T>(T);

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
struct Text<T>(T);

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

struct HashColumn([u8; 32]);

impl<'a> FromSql<'a> for HashColumn {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Decoded<Self> {
        Ok(Self(<&[u8]>::from_sql(kind, raw)?.try_into()?))
    }

    fn accepts(kind: &Type) -> bool {
        <&[u8] as FromSql>::accepts(kind)
    }
}

/// The columns of a row, to be read in the order of its SELECT.
pub(super) struct Columns<'a> {
    row: &'a Row,
    next: usize,
}

impl<'a> Columns<'a> {
    pub(super) const fn of(row: &'a Row) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn value<T: FromSql<'a>>(&mut self) -> Result<T, Error> {
        let at = self.next;
        self.next += 1;
        self.row.try_get(at)
    }

    pub(super) fn hash(&mut self) -> Result<[u8; 32], Error> {
        self.value().map(|HashColumn(hash)| hash)
    }

    column_readers!(Error);
}

/// The rows that a statement saves, and its parameters: one array for each column, and values that are the same for all
/// rows, in the statement's order.
pub(super) struct Arrays<'a, R> {
    rows: Vec<R>,
    params: Vec<Box<dyn ToSql + Send + Sync + 'a>>,
}

impl<'a, R: Copy> Arrays<'a, R> {
    pub(super) const fn of(rows: Vec<R>) -> Self {
        Self { rows, params: Vec::new() }
    }

    /// Adds one value of each row.
    pub(super) fn column<T>(mut self, value: impl Fn(R) -> T) -> Self
    where
        Vec<T>: ToSql + Send + Sync + 'a,
    {
        let column: Vec<T> = self.rows.iter().map(|row| value(*row)).collect();
        self.params.push(Box::new(column));
        self
    }

    /// Adds a value for all rows.
    pub(super) fn value(mut self, value: impl ToSql + Send + Sync + 'a) -> Self {
        self.params.push(Box::new(value));
        self
    }

    /// Adds the number of rows, which the server's `all_found` compares with those that it has found.
    pub(super) fn count(self) -> Self {
        let count = i64::try_from(self.rows.len()).unwrap_or(i64::MAX);
        self.value(count)
    }

    pub(super) async fn execute(self, session: &PooledConnection<'_>, statement: &Statement) -> Result<u64, Error> {
        let params: Vec<&(dyn ToSql + Sync)> =
            self.params.iter().map(|param| &**param as &(dyn ToSql + Sync)).collect();
        let params: Params<'_> = &params;
        session.execute(statement, params).await
    }
}

/// A time in the database.
pub(super) fn micros(time: Option<Time>) -> Option<i64> {
    time.map(Time::micros)
}

/// A small count in the database.
pub(super) fn number(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
