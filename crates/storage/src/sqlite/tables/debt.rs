//! `debt`: what users owe after an adjustment.

use super::{find as find_row, list, micros, one};
use crate::{DebtFilter, Page, enum_text::EnumText, sqlite::columns::Columns};
use frontrow_domain::{
    changes::Changes,
    footprint::Footprint,
    id::DebtId,
    points::{Debt, DebtStatus},
    world::World,
};
use rusqlite::{Connection, Result};

macro_rules! columns {
    () => {
        "debt_id, user_id, amount, reason, reference, status, created_at, settled_at"
    };
}

fn read(row: &mut Columns<'_>) -> Result<Debt> {
    Ok(Debt {
        debt_id: row.id(DebtId::new)?,
        user_id: row.user_id()?,
        amount: row.money()?,
        reason: row.value()?,
        reference: row.value()?,
        status: row.word()?,
        created_at: row.time()?,
        settled_at: row.time_or_none()?,
    })
}

const FIND: &str = concat!("SELECT ", columns!(), " FROM debt WHERE debt_id = ?1");

pub(crate) fn find(conn: &Connection, id: DebtId) -> Result<Option<Debt>> {
    find_row(conn, FIND, (id.get(),), read)
}

const OPEN_OF_USER: &str =
    concat!("SELECT ", columns!(), " FROM debt INDEXED BY debt_of_user WHERE user_id = ?1 AND status = 'open'");

pub(crate) fn load(conn: &Connection, world: &mut World, keys: &Footprint) -> Result<()> {
    for id in &keys.debts {
        if let Some(debt) = find(conn, *id)? {
            world.debts.load(*id, debt);
        }
    }
    for user in &keys.debtors {
        for debt in list(conn, OPEN_OF_USER, (user.0,), read)? {
            world.debts.load(debt.debt_id, debt);
        }
    }
    Ok(())
}

const UPDATE: &str = "UPDATE debt SET status = ?2, settled_at = ?3 WHERE debt_id = ?1";

const INSERT: &str = concat!("INSERT INTO debt (", columns!(), ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");

pub(crate) fn save(conn: &Connection, changes: &Changes) -> Result<()> {
    for debt in &changes.debts.updated {
        conn.prepare_cached(UPDATE)?
            .execute((debt.debt_id.get(), debt.status.word(), micros(debt.settled_at)))
            .and_then(one)?;
    }
    for debt in &changes.debts.inserted {
        conn.prepare_cached(INSERT)?.execute((
            debt.debt_id.get(),
            debt.user_id.0,
            debt.amount.get(),
            &debt.reason,
            &debt.reference,
            debt.status.word(),
            debt.created_at.micros(),
            micros(debt.settled_at),
        ))?;
    }
    Ok(())
}

const OF_REFERENCE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM debt INDEXED BY debt_of_reference WHERE reference = ?1 ORDER BY user_id LIMIT ?2"
);

pub(crate) fn debts_of_reference(conn: &Connection, reference: &str, limit: u32) -> Result<Vec<Debt>> {
    list(conn, OF_REFERENCE, (reference, limit), read)
}

pub(crate) fn page(conn: &Connection, filter: &DebtFilter, page: Page<DebtId>) -> Result<Vec<Debt>> {
    // Open debts are few, and so are those of one user.
    let by = match filter {
        DebtFilter { user: Some(_), .. } => " INDEXED BY debt_of_user WHERE user_id = ?1 AND debt_id < ?3",
        DebtFilter { user: None, status: Some(DebtStatus::Open) } => {
            " INDEXED BY debt_open WHERE status = 'open' AND debt_id < ?3"
        }
        DebtFilter { user: None, .. } => " WHERE debt_id < ?3",
    };
    let mut sql = concat!("SELECT ", columns!(), " FROM debt").to_owned();
    sql.push_str(by);
    sql.push_str(" AND (?2 IS NULL OR status = ?2) ORDER BY debt_id DESC LIMIT ?4");
    let keys = (
        filter.user.map(|user| user.0),
        filter.status.map(EnumText::word),
        page.after.map_or(i64::MAX, DebtId::get),
        page.limit,
    );
    list(conn, &sql, keys, read)
}
