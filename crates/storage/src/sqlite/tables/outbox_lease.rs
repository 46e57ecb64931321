//! `outbox_lease`: which process delivers the events of a consumer.

use super::{find, micros, one};
use crate::{enum_text::EnumText, sqlite::columns::Columns};
use frontrow_domain::{
    changes::Changes,
    outbox::{Consumer, Holding, LeaseHolder, OutboxLease},
    world::World,
};
use rusqlite::{Connection, Result};
use uuid::Uuid;

fn read(row: &mut Columns<'_>) -> Result<OutboxLease> {
    let consumer = row.word()?;
    let (holder, until): (Option<Uuid>, _) = (row.value()?, row.time_or_none()?);
    let holding = holder.zip(until).map(|(holder, until)| Holding { holder: LeaseHolder(holder), until });
    Ok(OutboxLease { consumer, holding })
}

const FIND: &str = "SELECT consumer, holder, until FROM outbox_lease WHERE consumer = ?1";

pub(crate) fn load(conn: &Connection, world: &mut World, consumers: &[Consumer]) -> Result<()> {
    for consumer in consumers {
        if let Some(lease) = find(conn, FIND, (consumer.word(),), read)? {
            world.leases.load(*consumer, lease);
        }
    }
    Ok(())
}

const UPDATE: &str = "UPDATE outbox_lease SET holder = ?2, until = ?3 WHERE consumer = ?1";

const INSERT: &str = "INSERT INTO outbox_lease (consumer, holder, until) VALUES (?1, ?2, ?3)";

pub(crate) fn save(conn: &Connection, changes: &Changes) -> Result<()> {
    let parts = |lease: &OutboxLease| {
        let (holder, until) = (lease.holding.map(|held| held.holder.0), lease.holding.map(|held| held.until));
        (lease.consumer.word(), holder, micros(until))
    };
    for lease in &changes.leases.updated {
        conn.prepare_cached(UPDATE)?.execute(parts(lease)).and_then(one)?;
    }
    for lease in &changes.leases.inserted {
        conn.prepare_cached(INSERT)?.execute(parts(lease))?;
    }
    Ok(())
}
