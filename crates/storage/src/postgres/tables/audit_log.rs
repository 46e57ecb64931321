//! `audit_log`: what operators did.

use super::{ID, IDS, NUMBER, Rows, TEXT, TEXTS, TIMES, UUIDS};
use crate::{
    Page, StoreError,
    postgres::{columns::Columns, connect::Statement, read_pool::ReadPool, saves::SavePipeline},
};
use frontrow_domain::{
    changes::{AuditEntry, Changes},
    id::AuditId,
};
use tokio_postgres::Error;

/// Reading `detail` as text saves a dependency.
macro_rules! columns {
    () => {
        "audit_id, actor, action, object, detail::text, created_at"
    };
}

pub(super) fn read(row: &mut Columns<'_>) -> Result<AuditEntry, Error> {
    Ok(AuditEntry {
        audit_id: row.id(AuditId::new)?,
        actor: row.user_id_or_none()?,
        action: row.value()?,
        object: row.value()?,
        detail: row.parsed()?,
        created_at: row.time()?,
    })
}

const INSERT: Statement = Statement {
    sql: "INSERT INTO audit_log (audit_id, actor, action, object, detail, created_at)
          SELECT k.id, k.actor, k.action, k.object, k.detail::jsonb, k.created_at
          FROM unnest($1, $2, $3, $4, $5, $6) AS k (id, actor, action, object, detail, created_at)",
    types: &[IDS, UUIDS, TEXTS, TEXTS, TEXTS, TIMES],
};

fn bind(rows: Rows<'_, AuditEntry>) -> Rows<'_, AuditEntry> {
    rows.column(|row| row.audit_id.get())
        .column(|row| row.actor.map(|user| user.0))
        .column(|row| row.action.as_str())
        .column(|row| row.object.as_str())
        .column(|row| row.detail.to_string())
        .column(|row| row.created_at.micros())
}

pub(crate) fn insert<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&INSERT, &changes.audit, bind);
}

const PAGE: Statement = Statement {
    sql: concat!("SELECT ", columns!(), " FROM audit_log WHERE audit_id < $1 ORDER BY audit_id DESC LIMIT $2"),
    types: &[ID, NUMBER],
};

pub(crate) async fn page(reads: &ReadPool, page: Page<AuditId>) -> Result<Vec<AuditEntry>, StoreError> {
    let after = page.after.map_or(i64::MAX, AuditId::get);
    reads.list_from_replica(&PAGE, &[&after, &i64::from(page.limit)], read).await
}

const PAGE_OF_OBJECT: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM audit_log WHERE object = $1 AND audit_id + 0 < $2 ORDER BY audit_id + 0 DESC LIMIT $3"
    ),
    types: &[TEXT, ID, NUMBER],
};

/// From the primary: who looks at an object after an act must see the act.
pub(crate) async fn page_of(
    reads: &ReadPool,
    object: &str,
    page: Page<AuditId>,
) -> Result<Vec<AuditEntry>, StoreError> {
    let after = page.after.map_or(i64::MAX, AuditId::get);
    reads.list(&PAGE_OF_OBJECT, &[&object, &after, &i64::from(page.limit)], read).await
}
