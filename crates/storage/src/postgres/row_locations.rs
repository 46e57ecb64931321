//! Physical locations of a batch's rows, so that its updates need no second index lookup.
//!
//! A loaded row stays where it is until the batch is saved: it is locked, or changes only under a lock that is held. So
//! an update names it by its tuple id (`ctid`). It compares the key too, and passes `all_found` how many rows it must
//! find: a row that has moved since fails the batch.

use bytes::{Buf as _, BufMut as _, BytesMut};
use frontrow_domain::id::{ReservationId, SeatId, TokenId, UserId};
use std::{collections::HashMap, error::Error as StdError, hash::Hash};
use tokio_postgres::{
    Error, Row,
    types::{FromSql, IsNull, ToSql, Type, to_sql_checked},
};

/// A tuple id: the page, and the line on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowLocation {
    page: u32,
    line: u16,
}

impl<'a> FromSql<'a> for RowLocation {
    fn from_sql(_: &Type, mut raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        if raw.len() != 6 {
            return Err("a tuple id has six bytes".into());
        }
        Ok(Self { page: raw.get_u32(), line: raw.get_u16() })
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::TID
    }
}

impl ToSql for RowLocation {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        out.put_u32(self.page);
        out.put_u16(self.line);
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::TID
    }

    to_sql_checked!();
}

/// Locations of the loaded rows that a batch may change. A row that is missing here was not loaded: an update of it
/// finds nothing.
#[derive(Debug, Default)]
pub(super) struct RowLocations {
    pub(super) tokens: Table<TokenId>,
    pub(super) points: Table<UserId>,
    pub(super) seats: Table<SeatId>,
    pub(super) reservations: Table<ReservationId>,
}

/// Locations of one table's rows.
#[derive(Debug)]
pub(super) struct Table<K>(HashMap<K, RowLocation>);

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Table<K> {
    /// Notes the location in column `column`.
    pub(super) fn note(&mut self, key: K, row: &Row, column: usize) -> Result<(), Error> {
        self.0.insert(key, row.try_get(column)?);
        Ok(())
    }

    pub(super) fn get(&self, key: &K) -> Option<RowLocation> {
        self.0.get(key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tuple_id_is_written_as_it_is_read() {
        let tuple = RowLocation { page: 70_000, line: 513 };
        let mut written = BytesMut::new();
        tuple.to_sql(&Type::TID, &mut written).unwrap();
        assert_eq!(RowLocation::from_sql(&Type::TID, &written).unwrap(), tuple);
        assert!(RowLocation::from_sql(&Type::TID, &written[..5]).is_err());
    }
}
