//! `audit_feed`: the order in which readers of the feed get the entries of the audit log.

use super::{ID, IDS, NUMBER, audit_log};
use crate::{
    Page, StoreError,
    postgres::{
        columns::Columns, connect::Statement, load_plan::LoadPlan, loads::Loads, read_pool::ReadPool,
        saves::SavePipeline,
    },
};
use frontrow_domain::{
    changes::{AuditEntry, Changes},
    id::{AuditId, FeedNumber},
};
use tokio_postgres::Error;

/// The places of entries, and the highest of all. Read under the lock on the lease, so that numbers are given one
/// transaction after the other and appear in their order.
const PLACES: Statement = Statement {
    sql: "SELECT k.id, (SELECT f.feed_number FROM audit_feed AS f WHERE f.audit_id = k.id),
              (SELECT true FROM audit_log AS a WHERE a.audit_id = k.id) IS NOT NULL,
              coalesce((SELECT max(feed_number) FROM audit_feed), 0)
          FROM unnest($1) AS k (id)",
    types: &[IDS],
};

pub(crate) fn load<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.fed.is_empty() {
        loads.add(&PLACES, [&plan.fed], |loaded, row| {
            let (id, place) = (row.id(AuditId::new)?, row.id_or_none(FeedNumber::new)?);
            if row.value()? {
                loaded.world.audited.insert(id, place);
            }
            loaded.world.last_fed = row.value()?;
            Ok(())
        });
    }
}

const INSERT: Statement = Statement {
    sql: "INSERT INTO audit_feed (feed_number, audit_id) SELECT * FROM unnest($1, $2)",
    types: &[IDS, IDS],
};

pub(crate) fn insert<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&INSERT, &changes.feed, |rows| rows.column(|row| row.feed_number.get()).column(|row| row.audit_id.get()));
}

fn read(row: &mut Columns<'_>) -> Result<(FeedNumber, AuditEntry), Error> {
    Ok((row.id(FeedNumber::new)?, audit_log::read(row)?))
}

const PAGE: Statement = Statement {
    sql: "SELECT f.feed_number, a.* FROM (
              SELECT feed_number, audit_id FROM audit_feed WHERE feed_number > $1 ORDER BY feed_number LIMIT $2
          ) AS f, LATERAL (
              SELECT audit_id, actor, action, object, detail::text, created_at FROM audit_log
              WHERE audit_id = f.audit_id OFFSET 0
          ) AS a ORDER BY f.feed_number",
    types: &[ID, NUMBER],
};

pub(crate) async fn page(
    reads: &ReadPool,
    page: Page<FeedNumber>,
) -> Result<Vec<(FeedNumber, AuditEntry)>, StoreError> {
    let after = page.after.map_or(0, FeedNumber::get);
    reads.list_from_replica(&PAGE, &[&after, &i64::from(page.limit)], read).await
}
