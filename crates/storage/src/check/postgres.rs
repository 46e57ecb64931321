//! Checks the books in a `PostgreSQL` database.

use super::{
    Finding, Journal, Report,
    invariants::{COUNTS, INVARIANTS},
};
use crate::{
    COMMIT_VISIBILITY_MAX,
    migrate::POSTGRES_GUARDS,
    postgres::{
        PostgresSettings,
        admin::{AdminConnection, RowCursor, failure},
    },
};
use anyhow::Context as _;
use std::collections::BTreeSet;
use tokio_postgres::{Client, Error};

/// The name of the invariant of constraints, indexes and triggers.
const GUARDED: &str = "every constraint, index and trigger is in force";

/// The constraints, indexes and triggers in force, in the words of the list beside the migrations. From version 18 on
/// NOT NULL is a constraint of its own, and is left out.
const IN_FORCE: &str = "SELECT 'constraint ' || conname || ' of ' || relname
    FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
    WHERE convalidated AND contype IN ('c', 'f', 'p', 'u', 'x') AND connamespace = current_schema()::regnamespace
    UNION
    SELECT CASE WHEN indisunique THEN 'unique index ' ELSE 'index ' END || i.relname || ' of ' || t.relname
    FROM pg_index JOIN pg_class AS i ON i.oid = indexrelid JOIN pg_class AS t ON t.oid = indrelid
    WHERE indisvalid AND indisready AND i.relnamespace = current_schema()::regnamespace
    UNION
    SELECT 'trigger ' || tgname || ' of ' || relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
    WHERE NOT tgisinternal AND tgenabled IN ('O', 'A') AND relnamespace = current_schema()::regnamespace";

/// The server's internal triggers enforce foreign keys: a constraint does not show that they are off.
const FOREIGN_KEYS_OFF: &str =
    "SELECT 'constraint ' || conname || ' of ' || conrelid::regclass || ': a trigger of it is off'
    FROM pg_trigger JOIN pg_constraint ON pg_constraint.oid = tgconstraint
    WHERE tgisinternal AND tgenabled NOT IN ('O', 'A') AND connamespace = current_schema()::regnamespace";

/// Invariants of this database only.
const OWN: &[(&str, &str)] = &[
    (
        "no position is above the highest given",
        "SELECT 'room ' || room_id || ' has given ' || coalesce(last_value::text, 'none') || ' and has position ' || highest
         FROM (SELECT room_id, max(position) AS highest FROM waiting_token GROUP BY room_id) AS line
             LEFT JOIN pg_sequences ON sequencename = 'room_position_' || room_id AND schemaname = current_schema()
         WHERE highest > coalesce(last_value, 0)",
    ),
    (
        "a room counts the active and offered tokens that it has",
        "SELECT 'room ' || room_id || ' counts ' || active || ' active and ' || offered || ' offered, there are '
             || actives || ' and ' || offers
         FROM (SELECT room_id, sum(active) AS active, sum(offered) AS offered, sum(actives) AS actives,
                   sum(offers) AS offers
               FROM (SELECT room_id, active, offered, 0 AS actives, 0 AS offers FROM room
                     UNION ALL SELECT room_id, active, offered, 0, 0 FROM room_departure
                     UNION ALL SELECT room_id, 0, 0, (status = 'active')::int, (status = 'offered')::int
                               FROM waiting_token WHERE status IN ('active', 'offered')) AS parts
               GROUP BY room_id) AS rooms
         WHERE active <> actives OR offered <> offers",
    ),
    // Rows are removed weeks after their tokens ended: more is counted than there are rows, and never less.
    (
        "a room has counted every activation, passed turn and end of its tokens, and none beyond its cap",
        "SELECT 'room ' || r.room_id || ' counts ' || r.admitted || ', ' || r.passed || ' and ' || r.ended || ', there are '
             || t.admitted || ', ' || t.passed || ' and ' || t.ended || ', beyond the cap ' || r.overshoot
         FROM (SELECT room_id, sum(admitted) AS admitted, sum(passed) AS passed, sum(ended) AS ended,
                   sum(overshoot) AS overshoot
               FROM (SELECT room_id, count_admitted AS admitted, count_turns_passed AS passed,
                         count_paid + count_left + count_expired + count_missed_out + count_drawn + count_removed
                             + count_closed AS ended, peak_overshoot AS overshoot FROM room
                     UNION ALL
                     SELECT room_id, count_admitted, count_turns_passed, count_paid + count_left + count_expired
                         + count_missed_out + count_drawn + count_removed + count_closed, 0 FROM room_departure) AS parts
               GROUP BY room_id) AS r
         LEFT JOIN (SELECT room_id, count(activated_at) AS admitted, sum(turns_passed) AS passed,
                        count(expired_at) AS ended FROM waiting_token GROUP BY room_id) AS t ON t.room_id = r.room_id
         WHERE r.admitted < t.admitted OR r.passed < t.passed OR r.ended < t.ended OR r.overshoot > 0",
    ),
    (
        "no id is above the highest given",
        "SELECT kind || ' ' || highest || ' is there, given are ' || coalesce(last_value::text, 'none')
         FROM (SELECT 'concert' AS kind, max(concert_id) AS highest FROM concert
               UNION ALL SELECT 'seat', max(seat_id) FROM seat
               UNION ALL SELECT 'reservation', max(reservation_id) FROM reservation
               UNION ALL SELECT 'payment', max(payment_id) FROM payment
               UNION ALL SELECT 'point', max(point_id) FROM point
               UNION ALL SELECT 'history', max(history_id) FROM point_history
               UNION ALL SELECT 'audit', max(audit_id) FROM audit_log
               UNION ALL SELECT 'debt', max(debt_id) FROM debt
               UNION ALL SELECT 'room', max(room_id) - 1000000000 FROM room
                   WHERE room_id BETWEEN 1000000001 AND 2000000000) AS ids
             LEFT JOIN pg_sequences ON sequencename = kind || '_ids' AND schemaname = current_schema()
         WHERE highest > coalesce(last_value, 0)",
    ),
];

/// References that triggers check, since the tables are written all the time.
const WATCHED: &[(&str, &str)] = &[
    (
        "a token's user and room",
        "SELECT count(*) FROM waiting_token AS t WHERE NOT EXISTS (SELECT FROM \"user\" AS u WHERE u.user_id = t.user_id)
             OR NOT EXISTS (SELECT FROM room AS r WHERE r.room_id = t.room_id)",
    ),
    (
        "a reservation's user and seat",
        "SELECT count(*) FROM reservation AS r WHERE NOT EXISTS (SELECT FROM \"user\" AS u WHERE u.user_id = r.user_id)
             OR NOT EXISTS (SELECT FROM seat AS s WHERE s.seat_id = r.seat_id AND s.concert_id = r.concert_id)",
    ),
    (
        "a payment's reservation",
        "SELECT count(*) FROM payment AS p WHERE NOT EXISTS (
             SELECT FROM reservation AS r WHERE r.reservation_id = p.reservation_id AND r.user_id = p.user_id)",
    ),
    (
        "an entry's account and payment",
        "SELECT count(*) FROM point_history AS h WHERE NOT EXISTS (SELECT FROM point AS p WHERE p.user_id = h.user_id)
             OR h.payment_id IS NOT NULL
                AND NOT EXISTS (SELECT FROM payment AS p WHERE p.payment_id = h.payment_id AND p.user_id = h.user_id)",
    ),
];

/// For each foreign key the rows that refer to nothing, as after a restore with triggers off.
const FOREIGN_KEYS: &str = "SELECT conname::text, format(
        'SELECT count(*) FROM %s AS one WHERE %s AND NOT EXISTS (SELECT FROM %s AS other WHERE %s)',
        conrelid::regclass,
        (SELECT string_agg(format('one.%I IS NOT NULL', attname), ' AND ') FROM pg_attribute
         WHERE attrelid = conrelid AND attnum = ANY (conkey)),
        confrelid::regclass,
        (SELECT string_agg(format('one.%I = other.%I', a.attname, b.attname), ' AND ')
         FROM unnest(conkey, confkey) AS pair (from_key, to_key)
             JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = from_key
             JOIN pg_attribute b ON b.attrelid = confrelid AND b.attnum = to_key))
    FROM pg_constraint WHERE contype = 'f' AND connamespace = current_schema()::regnamespace ORDER BY conname";

/// Checks the books, which may be in use. Changes nothing.
///
/// # Errors
/// The database cannot be read.
pub async fn run(settings: &PostgresSettings) -> anyhow::Result<Report> {
    let tool = AdminConnection::new(settings)?;
    let context = || format!("cannot read the books in {}", tool.name());
    tool.check_current().await.with_context(context)?;
    // One snapshot for all: sales during the check must not look like a breach.
    let snapshot = tool.begin("REPEATABLE READ READ ONLY").await.with_context(context)?;
    let report = check(snapshot.client()).await.map_err(|error| failure(&error)).with_context(context)?;
    snapshot.commit().await?;
    Ok(report)
}

async fn check(client: &Client) -> Result<Report, Error> {
    // Concurrent batches draw positions before they read the clock: those may be out of order by as much as a batch
    // lasts.
    let slack = COMMIT_VISIBILITY_MAX.micros().to_string();
    let mut findings = vec![dangling(client).await?, unguarded(client).await?];
    for (invariant, query) in OWN.iter().chain(INVARIANTS) {
        let query = query.replace("{user}", "user_id::text").replace("{slack}", &slack);
        let rows = client.query_typed(&query, &[]).await?;
        let breaches = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        findings.push(Finding { invariant, breaches });
    }
    findings.push(crowded(client).await?);
    let mut counts = Vec::with_capacity(COUNTS.len());
    for (what, query) in COUNTS {
        counts.push((*what, client.query_typed(query, &[]).await?.first().map_or(Ok(0), |row| row.try_get(0))?));
    }
    Ok(Report { findings, counts })
}

/// The constraints, indexes and triggers in force, as named in [`POSTGRES_GUARDS`].
///
/// # Errors
/// The database cannot be read.
pub async fn in_force(client: &Client) -> Result<BTreeSet<String>, Error> {
    client.query_typed(IN_FORCE, &[]).await?.iter().map(|row| row.try_get(0)).collect()
}

/// Guards that are not in the list belong to the operator and are harmless.
async fn unguarded(client: &Client) -> Result<Finding, Error> {
    let there = in_force(client).await?;
    let missing = POSTGRES_GUARDS.lines().filter(|guard| !there.contains(*guard));
    let mut breaches: Vec<String> = missing.map(|guard| format!("{guard} is missing or not in force")).collect();
    for row in client.query_typed(FOREIGN_KEYS_OFF, &[]).await? {
        breaches.push(row.try_get(0)?);
    }
    Ok(Finding { invariant: GUARDED, breaches })
}

async fn dangling(client: &Client) -> Result<Finding, Error> {
    let mut breaches = Vec::new();
    let mut references: Vec<(String, String)> =
        WATCHED.iter().map(|(name, query)| ((*name).to_owned(), (*query).to_owned())).collect();
    for row in client.query_typed(FOREIGN_KEYS, &[]).await? {
        references.push((row.try_get(0)?, row.try_get(1)?));
    }
    for (name, query) in references {
        let count: i64 = client.query_typed(&query, &[]).await?.first().map_or(Ok(0), |row| row.try_get(0))?;
        if count > 0 {
            breaches.push(format!("{count} rows refer to rows that are not there ({name})"));
        }
    }
    Ok(Finding { invariant: "every row that another refers to is there", breaches })
}

async fn crowded(client: &Client) -> Result<Finding, Error> {
    let mut journal = Journal::default();
    let caps = "SELECT room_id, since, max_active FROM room_cap ORDER BY room_id, since, ctid";
    for row in client.query_typed(caps, &[]).await? {
        journal.cap(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    }
    let changes = "SELECT room_id, at, change FROM (
             SELECT room_id, activated_at AS at, 1::bigint AS change FROM waiting_token WHERE activated_at IS NOT NULL
             UNION ALL
             SELECT room_id, coalesce(expired_at, active_until), -1 FROM waiting_token WHERE activated_at IS NOT NULL
         ) AS journal ORDER BY room_id, at, change";
    // As many rows as there ever were tokens, so they are read in parts.
    let mut rows = RowCursor::open(client, "journal", changes, 10_000).await?;
    loop {
        let part = rows.next_part().await?;
        if part.is_empty() {
            return Ok(journal.finding());
        }
        for row in part {
            journal.change(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        }
    }
}
