//! `audit_feed`: the order in which readers of the feed get the entries of the audit log.

use super::{audit_log, find, list};
use crate::{Page, sqlite::columns::Columns};
use frontrow_domain::{
    changes::{AuditEntry, Changes},
    id::{AuditId, FeedNumber},
    world::World,
};
use rusqlite::{Connection, Result};

const LAST: &str = "SELECT coalesce(max(feed_number), 0) FROM audit_feed";

const PLACE: &str = "SELECT (SELECT f.feed_number FROM audit_feed AS f WHERE f.audit_id = a.audit_id)
     FROM audit_log AS a WHERE a.audit_id = ?1";

pub(crate) fn load(conn: &Connection, world: &mut World, fed: &[AuditId]) -> Result<()> {
    if fed.is_empty() {
        return Ok(());
    }
    world.last_fed = conn.prepare_cached(LAST)?.query_row((), |row| row.get(0))?;
    for id in fed {
        if let Some(place) = find(conn, PLACE, (id.get(),), |row| row.id_or_none(FeedNumber::new))? {
            world.audited.insert(*id, place);
        }
    }
    Ok(())
}

const INSERT: &str = "INSERT INTO audit_feed (feed_number, audit_id) VALUES (?1, ?2)";

pub(crate) fn insert(conn: &Connection, changes: &Changes) -> Result<()> {
    for place in &changes.feed {
        conn.prepare_cached(INSERT)?.execute((place.feed_number.get(), place.audit_id.get()))?;
    }
    Ok(())
}

fn read(row: &mut Columns<'_>) -> Result<(FeedNumber, AuditEntry)> {
    Ok((row.id(FeedNumber::new)?, audit_log::read(row)?))
}

const PAGE: &str = "SELECT feed_number, audit_id, actor, action, object, detail, created_at
     FROM audit_feed JOIN audit_log USING (audit_id) WHERE feed_number > ?1 ORDER BY feed_number LIMIT ?2";

pub(crate) fn page(conn: &Connection, page: Page<FeedNumber>) -> Result<Vec<(FeedNumber, AuditEntry)>> {
    list(conn, PAGE, (page.after.map_or(0, FeedNumber::get), page.limit), read)
}
