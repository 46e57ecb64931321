//! The columns of a row.

use crate::{columns::column_readers, enum_text::EnumText};
use frontrow_domain::{id::UserId, line::ContradictoryColumns, money::Money, outbox::DeliveryError, time::Time};
use rusqlite::{
    Error, Result, Row,
    types::{FromSql, FromSqlError, FromSqlResult, ValueRef},
};
use std::{error::Error as StdError, str::FromStr};
use uuid::Uuid;

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

impl<T: FromStr<Err: StdError + Send + Sync + 'static>> FromSql for Text<T> {
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

/// The columns of a row, to be read in the order of the SELECT.
pub(super) struct Columns<'a> {
    row: &'a Row<'a>,
    next: usize,
}

impl<'a> Columns<'a> {
    pub(super) const fn of(row: &'a Row<'a>) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn value<T: FromSql>(&mut self) -> Result<T> {
        let at = self.next;
        self.next += 1;
        self.row.get(at)
    }

    column_readers!(Error);
}
