//! Checks the books in a `SQLite` file.

use super::{
    Finding, Journal, Report,
    invariants::{COUNTS, INVARIANTS},
};
use crate::sqlite::SqliteStore;
use anyhow::Context as _;
use rusqlite::Connection;
use std::path::Path;

/// With one writer, positions are in the order of issue.
const SLACK: &str = "0";

const GIVEN: (&str, &str) = (
    "no position is above the highest given",
    "SELECT 'room ' || r.room_id || ' has given ' || r.last_position || ' and has position ' || max(t.position)
     FROM room r JOIN waiting_token t USING (room_id) GROUP BY r.room_id HAVING max(t.position) > r.last_position",
);

const COUNTED: (&str, &str) = (
    "a room counts the active and offered tokens that it has",
    "SELECT 'room ' || room_id || ' counts ' || sum(active) || ' active and ' || sum(offered) || ' offered, there are '
         || sum(actives) || ' and ' || sum(offers)
     FROM (SELECT room_id, active, offered, 0 AS actives, 0 AS offers FROM room
           UNION ALL SELECT room_id, 0, 0, status = 'active', status = 'offered' FROM waiting_token
                     WHERE status IN ('active', 'offered'))
     GROUP BY room_id HAVING sum(active) <> sum(actives) OR sum(offered) <> sum(offers)",
);

/// Rows are removed weeks after their tokens ended: more is counted than there are rows, and never less.
const TALLIED: (&str, &str) = (
    "a room has counted every activation, passed turn and end of its tokens, and none beyond its cap",
    "SELECT 'room ' || r.room_id || ' counts ' || r.count_admitted || ', ' || r.count_turns_passed || ' and ' || r.ended
         || ', there are ' || t.admitted || ', ' || t.passed || ' and ' || t.ended || ', beyond the cap ' || r.peak_overshoot
     FROM (SELECT *, count_paid + count_left + count_expired + count_missed_out + count_drawn + count_removed
               + count_closed AS ended FROM room) AS r
     LEFT JOIN (SELECT room_id, count(activated_at) AS admitted, sum(turns_passed) AS passed, count(expired_at) AS ended
                FROM waiting_token GROUP BY room_id) AS t ON t.room_id = r.room_id
     WHERE r.count_admitted < t.admitted OR r.count_turns_passed < t.passed OR r.ended < t.ended OR r.peak_overshoot > 0",
);

/// Checks the books, which may be in use, in the file at `path`. Changes nothing.
///
/// # Errors
/// The database cannot be read.
pub async fn run(path: &Path) -> anyhow::Result<Report> {
    let store =
        SqliteStore::open_read_only(path).with_context(|| format!("cannot read the books in {}", path.display()))?;
    Ok(store.read(check).await?)
}

fn check(conn: &Connection) -> rusqlite::Result<Report> {
    // One snapshot for all: sales during the check must not look like a breach.
    let snapshot = conn.unchecked_transaction()?;
    let mut findings = vec![Finding { invariant: "the file is not damaged", breaches: damage(&snapshot)? }];
    for (invariant, query) in INVARIANTS.iter().chain([&GIVEN, &COUNTED, &TALLIED]) {
        let query = query.replace("{user}", "hex(user_id)").replace("{slack}", SLACK);
        let mut query = snapshot.prepare(&query)?;
        let breaches = query.query_map((), |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        findings.push(Finding { invariant, breaches });
    }
    findings.push(crowded(&snapshot)?);
    let count = |(what, query): &(&'static str, &str)| Ok((*what, snapshot.query_row(query, (), |row| row.get(0))?));
    let counts = COUNTS.iter().map(count).collect::<rusqlite::Result<_>>()?;
    Ok(Report { findings, counts })
}

fn damage(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut pragma = conn.prepare("PRAGMA integrity_check(10)")?;
    let lines: Vec<String> = pragma.query_map((), |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut damage: Vec<String> = lines.into_iter().filter(|line| line != "ok").collect();
    let mut pragma = conn.prepare("PRAGMA foreign_key_check")?;
    let dangling = pragma.query_map((), |row| {
        let (table, to): (String, String) = (row.get(0)?, row.get(2)?);
        Ok(format!("a row of {table} refers to a row of {to} that is not there"))
    })?;
    damage.extend(dangling.collect::<rusqlite::Result<Vec<_>>>()?);
    Ok(damage)
}

fn crowded(conn: &Connection) -> rusqlite::Result<Finding> {
    let mut journal = Journal::default();
    let mut query = conn.prepare("SELECT room_id, since, max_active FROM room_cap ORDER BY room_id, since, rowid")?;
    let mut rows = query.query(())?;
    while let Some(row) = rows.next()? {
        journal.cap(row.get(0)?, row.get(1)?, row.get(2)?);
    }
    let mut query = conn.prepare(
        "SELECT room_id, at, change FROM (
             SELECT room_id, activated_at AS at, 1 AS change FROM waiting_token WHERE activated_at IS NOT NULL
             UNION ALL
             SELECT room_id, coalesce(expired_at, deadline), -1 FROM waiting_token WHERE activated_at IS NOT NULL)
         ORDER BY room_id, at, change",
    )?;
    let mut rows = query.query(())?;
    while let Some(row) = rows.next()? {
        journal.change(row.get(0)?, row.get(1)?, row.get(2)?);
    }
    Ok(journal.finding())
}
