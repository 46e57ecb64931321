//! `outbox_lease`: which instance delivers the events of a consumer.

use super::{NUMBER, TEXTS, TIMES, UUIDS};
use crate::{
    enum_text::EnumText,
    postgres::{
        columns::{Columns, micros},
        connect::Statement,
        load_plan::LoadPlan,
        loads::Loads,
        saves::SavePipeline,
    },
};
use frontrow_domain::{
    changes::Changes,
    outbox::{Holding, LeaseHolder, OutboxLease},
};
use tokio_postgres::Error;
use uuid::Uuid;

fn read(row: &mut Columns<'_>) -> Result<OutboxLease, Error> {
    let consumer = row.word()?;
    let (holder, until): (Option<Uuid>, _) = (row.value()?, row.time_or_none()?);
    let holding = holder.zip(until).map(|(holder, until)| Holding { holder: LeaseHolder(holder), until });
    Ok(OutboxLease { consumer, holding })
}

/// The lock puts the instances that claim, settle and feed one after the other. Before the first claim there is no row:
/// of two instances that claim then, one inserts it and the other is run again.
const LOCK: Statement = Statement {
    sql: "SELECT l.* FROM unnest($1) AS k (consumer), LATERAL (
              SELECT consumer, holder, until FROM outbox_lease AS o WHERE o.consumer = k.consumer FOR UPDATE
          ) AS l",
    types: &[TEXTS],
};

pub(crate) fn lock<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.leases.is_empty() {
        loads.add(&LOCK, [&plan.leases], |loaded, row| {
            let lease = read(row)?;
            loaded.world.leases.load(lease.consumer, lease);
            Ok(())
        });
    }
}

const UPDATE: Statement = Statement {
    sql: "WITH done AS (
              UPDATE outbox_lease AS l SET holder = k.holder, until = k.until
              FROM unnest($1, $2, $3) AS k (consumer, holder, until) WHERE l.consumer = k.consumer RETURNING 1
          ) SELECT all_found(count(*), $4) FROM done",
    types: &[TEXTS, UUIDS, TIMES, NUMBER],
};

const INSERT: Statement = Statement {
    sql: "INSERT INTO outbox_lease (consumer, holder, until) SELECT * FROM unnest($1, $2, $3)",
    types: &[TEXTS, UUIDS, TIMES],
};

fn bind(rows: super::Rows<'_, OutboxLease>) -> super::Rows<'_, OutboxLease> {
    rows.column(|row| row.consumer.word())
        .column(|row| row.holding.map(|holding| holding.holder.0))
        .column(|row| micros(row.holding.map(|holding| holding.until)))
}

pub(crate) fn save<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&UPDATE, &changes.leases.updated, |rows| bind(rows).count());
    saves.add(&INSERT, &changes.leases.inserted, bind);
}
