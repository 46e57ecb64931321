//! `outbox`: events that are not delivered yet.

use super::{ID, IDS, NUMBER, SMALLS, TEXT, TEXTS, TIME, TIMES};
use crate::{
    EVENTS_COUNTED_MAX, EventCounts, EventFilter, Page, StoreError,
    enum_text::EnumText,
    postgres::{
        columns::{Columns, micros, number},
        connect::Statement,
        load_plan::LoadPlan,
        loads::{Loaded, Loads},
        read_pool::ReadPool,
        saves::SavePipeline,
    },
};
use frontrow_domain::{
    changes::Changes,
    id::EventId,
    outbox::{CLAIM_MAX, Consumer, EventState, OutboxEvent},
    time::Time,
};
use std::sync::LazyLock;
use tokio_postgres::Error;

/// Reading `payload` as text saves a dependency.
macro_rules! columns {
    () => {
        "event_id, consumer, payload::text, created_at, due_at, dead_at, attempts, last_error"
    };
}

fn read(row: &mut Columns<'_>) -> Result<OutboxEvent, Error> {
    Ok(OutboxEvent {
        event_id: row.id(EventId::new)?,
        consumer: row.word()?,
        payload: row.parsed()?,
        created_at: row.time()?,
        state: {
            let (due_at, dead_at) = (row.time_or_none()?, row.time_or_none()?);
            row.consistent(EventState::of_columns(due_at, dead_at))?
        },
        attempts: row.count()?,
        last_error: row.delivery_error_or_none()?,
    })
}

fn take(loaded: &mut Loaded, row: &mut Columns<'_>) -> Result<(), Error> {
    let event = read(row)?;
    loaded.world.outbox.load(event.event_id, event);
    Ok(())
}

const LOCK: Statement = Statement {
    sql: concat!(
        "SELECT e.* FROM unnest($1) AS k (id), LATERAL (SELECT ",
        columns!(),
        " FROM outbox AS o WHERE o.event_id = k.id AND o.consumer = ANY($2) FOR UPDATE) AS e"
    ),
    types: &[IDS, TEXTS],
};

pub(crate) fn lock<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.events.is_empty() {
        loads.add(&LOCK, [&plan.events, &*KNOWN], take);
    }
}

/// Not locked: due events change only under the lock on their consumer's lease, which is held.
const DUE: Statement = Statement {
    sql: concat!(
        "WITH clock AS MATERIALIZED (SELECT coalesce($2, clock_micros()) AS now)
         SELECT e.* FROM clock, unnest($1) AS k (consumer), LATERAL (SELECT ",
        columns!(),
        " FROM outbox AS o WHERE o.consumer = k.consumer AND o.due_at <= clock.now
             ORDER BY o.due_at, o.event_id + 0 LIMIT $3
         ) AS e"
    ),
    types: &[TEXTS, TIME, NUMBER],
};

/// Loads the due events of consumers. `given` is the test's time, if a test gives one.
pub(crate) fn load(loads: &mut Loads<'_>, plan: &LoadPlan, given: Option<i64>) {
    if plan.claimed.is_empty() {
        return;
    }
    let (session, claimed) = (loads.session(), plan.claimed.clone());
    let limit = i64::try_from(CLAIM_MAX).unwrap_or(i64::MAX);
    let take_due = |loaded: &mut Loaded, row: &mut Columns<'_>| {
        let event = read(row)?;
        loaded.world.due_events.entry(event.consumer).or_default().push(event.event_id);
        loaded.world.outbox.load(event.event_id, event);
        Ok(())
    };
    loads.add_query(&DUE, take_due, async move { session.query(&DUE, &[&claimed, &given, &limit]).await });
}

const IDS_OF_NEW: Statement =
    Statement { sql: "SELECT nextval('event_ids') FROM generate_series(1, $1)", types: &[NUMBER] };

/// Draws the ids of new events.
pub(crate) fn draw_ids(loads: &mut Loads<'_>, plan: &LoadPlan) {
    let count = i64::try_from(plan.keys.demand.events).unwrap_or(i64::MAX);
    if count > 0 {
        let session = loads.session();
        let take = |loaded: &mut Loaded, row: &mut Columns<'_>| {
            loaded.event_ids.push(row.value()?);
            Ok(())
        };
        loads.add_query(&IDS_OF_NEW, take, async move { session.query(&IDS_OF_NEW, &[&count]).await });
    }
}

const DELETE: Statement = Statement {
    sql: "WITH done AS (DELETE FROM outbox WHERE event_id = ANY($1) RETURNING 1)
          SELECT all_found(count(*), $2) FROM done",
    types: &[IDS, NUMBER],
};

const UPDATE: Statement = Statement {
    sql: "WITH done AS (
              UPDATE outbox AS o SET due_at = k.due_at, dead_at = k.dead_at, attempts = k.attempts,
                  last_error = k.last_error
              FROM unnest($1, $2, $3, $4, $5) AS k (id, due_at, dead_at, attempts, last_error)
              WHERE o.event_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $6) FROM done",
    types: &[IDS, TIMES, TIMES, SMALLS, TEXTS, NUMBER],
};

const INSERT: Statement = Statement {
    sql: "INSERT INTO outbox (event_id, consumer, payload, created_at, due_at, dead_at, attempts, last_error)
          SELECT k.id, k.consumer, k.payload::jsonb, k.created_at, k.due_at, k.dead_at, k.attempts, k.last_error
          FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)
              AS k (id, consumer, payload, created_at, due_at, dead_at, attempts, last_error)",
    types: &[IDS, TEXTS, TEXTS, TIMES, TIMES, TIMES, SMALLS, TEXTS],
};

pub(crate) fn save<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&DELETE, &changes.delivered, |rows: super::Rows<'_, EventId>| rows.column(|id| id.get()).count());
    saves.add(&UPDATE, &changes.events.updated, |rows| {
        rows.column(|row| row.event_id.get())
            .column(|row| micros(row.state.due_at()))
            .column(|row| micros(row.state.dead_at()))
            .column(|row| number(row.attempts))
            .column(|row| row.error_text())
            .count()
    });
    saves.add(&INSERT, &changes.events.inserted, |rows| {
        rows.column(|row| row.event_id.get())
            .column(|row| row.consumer.word())
            .column(|row| row.payload.to_string())
            .column(|row| row.created_at.micros())
            .column(|row| micros(row.state.due_at()))
            .column(|row| micros(row.state.dead_at()))
            .column(|row| number(row.attempts))
            .column(|row| row.error_text())
    });
}

const FIRST_DUE_AT: Statement = Statement {
    sql: "SELECT due_at FROM outbox WHERE consumer = $1 AND due_at IS NOT NULL ORDER BY due_at LIMIT 1",
    types: &[TEXT],
};

pub(crate) async fn first_due_at(reads: &ReadPool, consumer: Consumer) -> Result<Option<Time>, StoreError> {
    reads.find(&FIRST_DUE_AT, &[&consumer.word()], |row: &mut Columns<'_>| row.time()).await
}

/// In the order of an index, and with a limit that the planner does not know, so that it reads no more of the index.
const COUNTS: Statement = Statement {
    sql: "SELECT (SELECT count(*) FROM (
              SELECT FROM outbox WHERE consumer = $1 AND due_at IS NOT NULL ORDER BY due_at LIMIT (SELECT $2)
          ) AS pending),
          (SELECT count(*) FROM (
              SELECT FROM outbox WHERE consumer = $1 AND dead_at IS NOT NULL ORDER BY event_id + 0 LIMIT (SELECT $2)
          ) AS dead)",
    types: &[TEXT, NUMBER],
};

pub(crate) async fn counts(reads: &ReadPool, consumer: Consumer) -> Result<EventCounts, StoreError> {
    let read = |row: &mut Columns<'_>| Ok(EventCounts { pending: row.value()?, dead: row.value()? });
    let found = reads.find(&COUNTS, &[&consumer.word(), &i64::from(EVENTS_COUNTED_MAX)], read).await?;
    Ok(found.unwrap_or_default())
}

/// The consumers that this version knows. A newer version may have left events for others in the table.
static KNOWN: LazyLock<Vec<&str>> = LazyLock::new(|| Consumer::ALL.map(EnumText::word).to_vec());

const PAGE: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM outbox WHERE event_id < $1 AND (NOT $2 OR due_at IS NOT NULL) AND consumer || '' = ANY($4)
             ORDER BY event_id DESC LIMIT $3"
    ),
    types: &[ID, super::FLAG, NUMBER, TEXTS],
};

const PAGE_OF_DEAD: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM outbox WHERE event_id + 0 < $1 AND dead_at IS NOT NULL AND consumer || '' = ANY($3)
             ORDER BY event_id + 0 DESC LIMIT $2"
    ),
    types: &[ID, NUMBER, TEXTS],
};

pub(crate) async fn page(
    reads: &ReadPool,
    filter: EventFilter,
    page: Page<EventId>,
) -> Result<Vec<OutboxEvent>, StoreError> {
    let (after, limit) = (page.after.map_or(i64::MAX, EventId::get), i64::from(page.limit));
    match filter {
        EventFilter::Dead => reads.list(&PAGE_OF_DEAD, &[&after, &limit, &*KNOWN], read).await,
        EventFilter::All => reads.list(&PAGE, &[&after, &false, &limit, &*KNOWN], read).await,
        EventFilter::Pending => reads.list(&PAGE, &[&after, &true, &limit, &*KNOWN], read).await,
    }
}
