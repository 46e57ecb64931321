//! `outbox`: events that are not delivered yet.

use super::{find_by, list, micros, one};
use crate::{EventFilter, OutboxTotals, Page, enum_text::EnumText, sqlite::columns::Columns};
use frontrow_domain::{
    changes::Changes,
    footprint::Footprint,
    id::EventId,
    outbox::{CLAIM_MAX, EventState, OutboxEvent},
    world::World,
};
use rusqlite::{Connection, Result};

macro_rules! columns {
    () => {
        "event_id, consumer, payload, created_at, due_at, dead_at, attempts, last_error"
    };
}

fn read(row: &mut Columns<'_>) -> Result<OutboxEvent> {
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

const FIND: &str = concat!("SELECT ", columns!(), " FROM outbox WHERE event_id = ?1");

const DUE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM outbox INDEXED BY outbox_due WHERE consumer = ?1 AND due_at <= ?2 ORDER BY due_at, event_id LIMIT ?3"
);

pub(crate) fn load(conn: &Connection, world: &mut World, keys: &Footprint) -> Result<()> {
    for consumer in &keys.due_events {
        let limit = i64::try_from(CLAIM_MAX).unwrap_or(i64::MAX);
        let due = list(conn, DUE, (consumer.word(), world.now.micros(), limit), read)?;
        world.due_events.insert(*consumer, due.iter().map(|event| event.event_id).collect());
        for event in due {
            world.outbox.load(event.event_id, event);
        }
    }
    if keys.events.is_empty() {
        return Ok(());
    }
    let mut select = conn.prepare_cached(FIND)?;
    for id in &keys.events {
        if let Some(event) = find_by(&mut select, (id.get(),), read)? {
            world.outbox.load(*id, event);
        }
    }
    Ok(())
}

const DELETE: &str = "DELETE FROM outbox WHERE event_id = ?1";

const UPDATE: &str = "UPDATE outbox SET due_at = ?2, dead_at = ?3, attempts = ?4, last_error = ?5 WHERE event_id = ?1";

const INSERT: &str = concat!("INSERT INTO outbox (", columns!(), ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");

pub(crate) fn save(conn: &Connection, changes: &Changes) -> Result<()> {
    for id in &changes.delivered {
        conn.prepare_cached(DELETE)?.execute((id.get(),)).and_then(one)?;
    }
    for event in &changes.events.updated {
        conn.prepare_cached(UPDATE)?
            .execute((
                event.event_id.get(),
                micros(event.state.due_at()),
                micros(event.state.dead_at()),
                event.attempts,
                event.error_text(),
            ))
            .and_then(one)?;
    }
    for event in &changes.events.inserted {
        conn.prepare_cached(INSERT)?.execute((
            event.event_id.get(),
            event.consumer.word(),
            event.payload.to_string(),
            event.created_at.micros(),
            micros(event.state.due_at()),
            micros(event.state.dead_at()),
            event.attempts,
            event.error_text(),
        ))?;
    }
    Ok(())
}

const TOTALS: &str = "SELECT consumer, count(due_at), count(dead_at), min(due_at) FROM outbox GROUP BY consumer";

pub(crate) fn totals(conn: &Connection) -> Result<Vec<OutboxTotals>> {
    list(conn, TOTALS, (), |row| {
        Ok(OutboxTotals {
            consumer: row.word()?,
            pending: row.value()?,
            dead: row.value()?,
            oldest_due_at: row.time_or_none()?,
        })
    })
}

const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM outbox WHERE event_id < ?1 AND (?2 IS NULL OR (dead_at IS NOT NULL) = ?2) ORDER BY event_id DESC LIMIT ?3"
);
const PAGE_OF_DEAD: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM outbox INDEXED BY outbox_dead WHERE event_id < ?1 AND dead_at IS NOT NULL ORDER BY event_id DESC LIMIT ?2"
);

pub(crate) fn page(conn: &Connection, filter: EventFilter, page: Page<EventId>) -> Result<Vec<OutboxEvent>> {
    let after = page.after.map_or(i64::MAX, EventId::get);
    match filter {
        EventFilter::All => list(conn, PAGE, (after, None::<bool>, page.limit), read),
        EventFilter::Pending => list(conn, PAGE, (after, Some(false), page.limit), read),
        EventFilter::Dead => list(conn, PAGE_OF_DEAD, (after, page.limit), read),
    }
}
