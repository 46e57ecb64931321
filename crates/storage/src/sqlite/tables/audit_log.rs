//! `audit_log`: what operators did.

use super::list;
use crate::{Page, sqlite::columns::Columns};
use frontrow_domain::{
    changes::{AuditEntry, Changes},
    id::AuditId,
};
use rusqlite::{Connection, Result};

macro_rules! columns {
    () => {
        "audit_id, actor, action, object, detail, created_at"
    };
}

pub(super) fn read(row: &mut Columns<'_>) -> Result<AuditEntry> {
    Ok(AuditEntry {
        audit_id: row.id(AuditId::new)?,
        actor: row.user_id_or_none()?,
        action: row.value()?,
        object: row.value()?,
        detail: row.parsed()?,
        created_at: row.time()?,
    })
}

const INSERT: &str = concat!("INSERT INTO audit_log (", columns!(), ") VALUES (?1, ?2, ?3, ?4, ?5, ?6)");

pub(crate) fn insert(conn: &Connection, changes: &Changes) -> Result<()> {
    for entry in &changes.audit {
        conn.prepare_cached(INSERT)?.execute((
            entry.audit_id.get(),
            entry.actor.map(|user| user.0),
            &entry.action,
            &entry.object,
            entry.detail.to_string(),
            entry.created_at.micros(),
        ))?;
    }
    Ok(())
}

const PAGE: &str =
    concat!("SELECT ", columns!(), " FROM audit_log WHERE audit_id < ?1 ORDER BY audit_id DESC LIMIT ?2");

const PAGE_OF_OBJECT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM audit_log INDEXED BY audit_by_object WHERE object = ?1 AND audit_id < ?2 ORDER BY audit_id DESC LIMIT ?3"
);

pub(crate) fn page_of(conn: &Connection, object: &str, page: Page<AuditId>) -> Result<Vec<AuditEntry>> {
    list(conn, PAGE_OF_OBJECT, (object, page.after.map_or(i64::MAX, AuditId::get), page.limit), read)
}

pub(crate) fn page(conn: &Connection, page: Page<AuditId>) -> Result<Vec<AuditEntry>> {
    list(conn, PAGE, (page.after.map_or(i64::MAX, AuditId::get), page.limit), read)
}
