//! `point_history`: the movements of users' points.

use super::{find as find_row, list};
use crate::{Page, enum_text::EnumText, sqlite::columns::Columns};
use frontrow_domain::{
    changes::Changes,
    footprint::Footprint,
    id::{HistoryId, PaymentId, UserId},
    points::PointEntry,
    world::World,
};
use rusqlite::{Connection, Result};

macro_rules! columns {
    () => {
        "history_id, user_id, amount, type, description, balance_after, version, payment_id, reference, created_at"
    };
}

fn read(row: &mut Columns<'_>) -> Result<PointEntry> {
    Ok(PointEntry {
        history_id: row.id(HistoryId::new)?,
        user_id: row.user_id()?,
        amount: row.money()?,
        kind: row.word()?,
        description: row.value()?,
        balance_after: row.money()?,
        version: row.value()?,
        payment_id: row.id_or_none(PaymentId::new)?,
        reference: row.value()?,
        created_at: row.time()?,
    })
}

const IS_USED_REFERENCE: &str = "SELECT 1 FROM point_history WHERE reference = ?1 AND type = 'top_up'";

/// Of adjustments and of debts.
const IS_USED_BY_ADJUSTMENT: &str =
    "SELECT 1 FROM point_history WHERE user_id = ?1 AND reference = ?2 AND type = 'adjustment'
     UNION ALL SELECT 1 FROM debt WHERE user_id = ?1 AND reference = ?2";

/// Loads which references are used.
pub(crate) fn load(conn: &Connection, world: &mut World, keys: &Footprint) -> Result<()> {
    for reference in &keys.references {
        if conn.prepare_cached(IS_USED_REFERENCE)?.exists((reference,))? {
            world.references.insert(reference.clone());
        }
    }
    for (user, reference) in &keys.adjustments {
        if conn.prepare_cached(IS_USED_BY_ADJUSTMENT)?.exists((user.0, reference))? {
            world.adjustments.insert((*user, reference.clone()));
        }
    }
    Ok(())
}

const INSERT: &str =
    concat!("INSERT INTO point_history (", columns!(), ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");

pub(crate) fn insert(conn: &Connection, changes: &Changes) -> Result<()> {
    if changes.history.is_empty() {
        return Ok(());
    }
    let mut insert = conn.prepare_cached(INSERT)?;
    for entry in &changes.history {
        insert.execute((
            entry.history_id.get(),
            entry.user_id.0,
            entry.amount.get(),
            entry.kind.word(),
            &entry.description,
            entry.balance_after.get(),
            entry.version,
            entry.payment_id.map(PaymentId::get),
            &entry.reference,
            entry.created_at.micros(),
        ))?;
    }
    Ok(())
}

/// A user's versions rise with the ids, and the index is on the versions.
const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM point_history WHERE user_id = ?1 AND +history_id < ?2 AND version <= coalesce(",
    "(SELECT version FROM point_history WHERE history_id = ?2 AND user_id = ?1), 9223372036854775807)",
    " ORDER BY version DESC LIMIT ?3"
);

pub(crate) fn page(conn: &Connection, user: UserId, page: Page<HistoryId>) -> Result<Vec<PointEntry>> {
    list(conn, PAGE, (user.0, page.after.map_or(i64::MAX, HistoryId::get), page.limit), read)
}

const TOP_UP: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM point_history WHERE reference = ?1 AND reference IS NOT NULL AND type = 'top_up'"
);

const ADJUSTMENTS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM point_history INDEXED BY one_adjustment_per_reference WHERE reference = ?1 AND reference IS NOT NULL",
    " AND type = 'adjustment' ORDER BY user_id LIMIT ?2"
);

pub(crate) fn bookings_of_reference(conn: &Connection, reference: &str, limit: u32) -> Result<Vec<PointEntry>> {
    let mut entries: Vec<_> = find_row(conn, TOP_UP, (reference,), read)?.into_iter().collect();
    entries.extend(list(conn, ADJUSTMENTS, (reference, limit), read)?);
    entries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(entries)
}

const OF_PAYMENT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM point_history INDEXED BY one_entry_per_payment_and_type WHERE payment_id = ?1 AND payment_id IS NOT NULL",
    " ORDER BY history_id"
);

pub(crate) fn of_payment(conn: &Connection, payment: PaymentId) -> Result<Vec<PointEntry>> {
    list(conn, OF_PAYMENT, (payment.get(),), read)
}
