//! `outbox`: events that are not delivered yet.

use super::{find_by, list, micros, one};
use crate::{EVENTS_COUNTED_MAX, EventCounts, EventFilter, Page, enum_text::EnumText, sqlite::columns::Columns};
use frontrow_domain::{
    changes::Changes,
    footprint::Footprint,
    id::EventId,
    outbox::{CLAIM_MAX, Consumer, EventState, OutboxEvent},
    time::Time,
    world::World,
};
use rusqlite::{Connection, Result};

/// The consumers that this version knows, as a list in SQL. A newer version may have left events for others in the
/// table.
macro_rules! known {
    () => {
        "('audit_feed', 'letters')"
    };
}

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

const FIND: &str = concat!("SELECT ", columns!(), " FROM outbox WHERE event_id = ?1 AND consumer IN ", known!());

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

/// Dead letters are due at no time, and `min` passes over them.
const FIRST_DUE_AT: &str = "SELECT min(due_at) FROM outbox INDEXED BY outbox_due WHERE consumer = ?1";

pub(crate) fn first_due_at(conn: &Connection, consumer: Consumer) -> Result<Option<Time>> {
    conn.prepare_cached(FIRST_DUE_AT)?.query_row((consumer.word(),), |row| Columns::of(row).time_or_none())
}

const COUNTS: &str = "SELECT
    (SELECT count(*) FROM (
        SELECT 1 FROM outbox INDEXED BY outbox_due WHERE consumer = ?1 AND due_at <= ?2 LIMIT ?3)),
    (SELECT count(*) FROM (
        SELECT 1 FROM outbox INDEXED BY outbox_dead WHERE consumer = ?1 AND dead_at IS NOT NULL LIMIT ?3))";

pub(crate) fn counts(conn: &Connection, consumer: Consumer) -> Result<EventCounts> {
    conn.prepare_cached(COUNTS)?.query_row((consumer.word(), i64::MAX, EVENTS_COUNTED_MAX), |row| {
        let mut row = Columns::of(row);
        Ok(EventCounts { pending: row.value()?, dead: row.value()? })
    })
}

const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM outbox WHERE event_id < ?1 AND (?2 IS NULL OR (dead_at IS NOT NULL) = ?2) AND +consumer IN ",
    known!(),
    " ORDER BY event_id DESC LIMIT ?3"
);
const PAGE_OF_DEAD: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM outbox INDEXED BY outbox_dead WHERE event_id < ?1 AND dead_at IS NOT NULL AND consumer IN ",
    known!(),
    " ORDER BY event_id DESC LIMIT ?2"
);

pub(crate) fn page(conn: &Connection, filter: EventFilter, page: Page<EventId>) -> Result<Vec<OutboxEvent>> {
    let after = page.after.map_or(i64::MAX, EventId::get);
    match filter {
        EventFilter::All => list(conn, PAGE, (after, None::<bool>, page.limit), read),
        EventFilter::Pending => list(conn, PAGE, (after, Some(false), page.limit), read),
        EventFilter::Dead => list(conn, PAGE_OF_DEAD, (after, page.limit), read),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate;
    use rusqlite::StatementStatus;

    /// Of 30,000 events 20,000 are pending, and as many of those of another consumer.
    const FILL: &str = "
        WITH RECURSIVE each (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM each WHERE n < 60000)
        INSERT INTO outbox (event_id, consumer, payload, created_at, due_at, dead_at, attempts)
        SELECT n, iif(n % 2, 'audit_feed', 'of_tomorrow'), '{}', 1, iif(n % 3, n, NULL), iif(n % 3, NULL, 1), 0 FROM each";

    fn filled() -> Connection {
        let conn = Connection::open_in_memory().unwrap();
        for step in migrate::SQLITE {
            conn.execute_batch(step.sql).unwrap();
        }
        conn.execute_batch(FILL).unwrap();
        conn
    }

    #[test]
    fn the_look_for_events_is_one_read_of_an_index_and_counts_are_capped() {
        let conn = filled();
        assert_eq!(first_due_at(&conn, Consumer::AuditFeed).unwrap(), Some(Time::from_micros(1)));
        let look = conn.prepare_cached(FIRST_DUE_AT).unwrap();
        assert!(look.get_status(StatementStatus::VmStep) < 50, "{}", look.get_status(StatementStatus::VmStep));
        let counts = |conn: &Connection| counts(conn, Consumer::AuditFeed).unwrap();
        assert_eq!(counts(&conn), EventCounts { pending: i64::from(EVENTS_COUNTED_MAX), dead: 10_000 });
        conn.execute_batch("DELETE FROM outbox WHERE event_id > 60").unwrap();
        assert_eq!(counts(&conn), EventCounts { pending: 20, dead: 10 });
    }

    #[test]
    fn events_for_unknown_consumers_are_passed_over() {
        let conn = filled();
        for filter in [EventFilter::All, EventFilter::Pending, EventFilter::Dead] {
            let found = page(&conn, filter, Page { after: None, limit: 50 }).unwrap();
            assert!(found.len() == 50 && found.iter().all(|event| filter.matches(event)), "{filter:?}");
        }
        let find = |id: i64| find_by(&mut conn.prepare_cached(FIND).unwrap(), (id,), read).unwrap();
        assert_eq!((find(1).is_some(), find(2)), (true, None));
    }

    #[test]
    fn the_list_of_known_consumers_is_complete() {
        let words = Consumer::ALL.map(|consumer| format!("'{}'", consumer.word()));
        assert_eq!(known!(), format!("({})", words.join(", ")));
    }
}
