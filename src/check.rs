//! `frontrow check`: reads the books in one snapshot and says what is wrong with them.

use crate::{config::Config, store::sqlite::SqliteStore};
use anyhow::Context as _;
use rusqlite::Connection;
use std::{collections::BTreeMap, fmt};

/// How many rows that break an invariant are named.
const NAMED_MAX: usize = 10;

/// What a check of the books found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    findings: Vec<Finding>,
    counts: Vec<(&'static str, i64)>,
}

/// An invariant with the rows that break it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    invariant: &'static str,
    breaches: Vec<String>,
}

impl Report {
    /// Whether every invariant holds.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(|finding| finding.breaches.is_empty())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { invariant, breaches } in &self.findings {
            if breaches.is_empty() {
                writeln!(f, "ok      {invariant}")?;
                continue;
            }
            writeln!(f, "BROKEN  {invariant}")?;
            for breach in breaches.iter().take(NAMED_MAX) {
                writeln!(f, "        {breach}")?;
            }
            if breaches.len() > NAMED_MAX {
                writeln!(f, "        and {} more", breaches.len() - NAMED_MAX)?;
            }
        }
        let counts: Vec<_> = self.counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
        writeln!(f, "{}", counts.join(", "))?;
        f.write_str(if self.is_clean() { "The books are in order.\n" } else { "The books are NOT in order.\n" })
    }
}

/// Each query names the rows that break its invariant.
const INVARIANTS: &[(&str, &str)] = &[
    (
        "a seat has at most one live reservation",
        "SELECT 'seat ' || seat_id || ' has ' || count(*) || ' live reservations' FROM reservation
         WHERE status IN ('pending', 'confirmed') GROUP BY seat_id HAVING count(*) > 1",
    ),
    (
        "a seat was never sold to two at the same time",
        "SELECT 'seat ' || a.seat_id || ': reservations ' || a.reservation_id || ' and ' || b.reservation_id
         FROM reservation a JOIN reservation b ON a.seat_id = b.seat_id AND a.reservation_id < b.reservation_id
         WHERE a.confirmed_at IS NOT NULL AND b.confirmed_at IS NOT NULL
           AND b.confirmed_at < coalesce(a.closed_at, 9223372036854775807)
           AND a.confirmed_at < coalesce(b.closed_at, 9223372036854775807)",
    ),
    (
        "no two holds of a seat overlap",
        "SELECT 'seat ' || seat_id || ': reservation ' || reservation_id || ' began before the one in front ended'
         FROM (SELECT seat_id, reservation_id, created_at,
                   lag(coalesce(closed_at, 9223372036854775807)) OVER (PARTITION BY seat_id ORDER BY reservation_id)
                       AS freed_at
               FROM reservation)
         WHERE freed_at > created_at",
    ),
    (
        "a held or sold seat belongs to the reservation it names, and no other seat to any",
        "SELECT 'seat ' || s.seat_id || ' is ' || s.status || ', its reservation ' || coalesce(r.status, 'missing')
         FROM seat s LEFT JOIN reservation r ON r.reservation_id = s.reservation_id AND r.seat_id = s.seat_id
         WHERE (s.status = 'held' AND r.status IS NOT 'pending') OR (s.status = 'sold' AND r.status IS NOT 'confirmed')
            OR (s.status IN ('available', 'blocked') AND s.reservation_id IS NOT NULL)
         UNION ALL
         SELECT 'reservation ' || r.reservation_id || ' is ' || r.status || ' without its seat'
         FROM reservation r JOIN seat s USING (seat_id)
         WHERE r.status IN ('pending', 'confirmed') AND s.reservation_id IS NOT r.reservation_id",
    ),
    (
        "every confirmed or refunded reservation has one payment of its price, and every payment such a reservation",
        "SELECT 'reservation ' || r.reservation_id || ' is ' || r.status || ', its payment '
             || coalesce(p.status || ' of ' || p.amount, 'missing')
         FROM reservation r LEFT JOIN payment p USING (reservation_id)
         WHERE r.status IN ('confirmed', 'refunded')
           AND (p.payment_id IS NULL OR p.amount <> r.price OR p.user_id <> r.user_id
                OR (r.status = 'confirmed') <> (p.status = 'completed'))
         UNION ALL
         SELECT 'payment ' || p.payment_id || ' is for a reservation that is ' || coalesce(r.status, 'missing')
         FROM payment p LEFT JOIN reservation r USING (reservation_id)
         WHERE r.status IS NULL OR r.status NOT IN ('confirmed', 'refunded')",
    ),
    (
        "no reservation was paid after its hold ended",
        "SELECT 'reservation ' || reservation_id || ' ended at ' || expires_at || ' and was paid at ' || confirmed_at
         FROM reservation WHERE confirmed_at >= expires_at",
    ),
    (
        "a balance is the sum of its history and not negative",
        "SELECT 'user ' || hex(user_id) || ' has ' || balance || ', the history says ' || total
         FROM (SELECT user_id, max(amount) AS balance, sum(entry) AS total FROM (
                   SELECT user_id, amount, 0 AS entry FROM point
                   UNION ALL SELECT user_id, NULL, amount FROM point_history) GROUP BY user_id)
         WHERE balance IS NOT total OR balance < 0",
    ),
    (
        "a history counts its entries without gaps, each with the balance after it",
        "SELECT 'user ' || hex(user_id) || ', entry ' || history_id
         FROM (SELECT user_id, history_id, version, balance_after,
                   sum(amount) OVER line AS total, row_number() OVER line AS place
               FROM point_history WINDOW line AS (PARTITION BY user_id ORDER BY version))
         WHERE version <> place OR balance_after <> total",
    ),
    (
        "every payment has one use of its amount, every refunded one a refund, and nothing else has any",
        "SELECT 'payment ' || payment_id || ' of ' || amount || ' is ' || status || ': used ' || used || ', refunded ' || refunded
         FROM (SELECT p.payment_id, p.amount, p.status,
                   coalesce(-sum(CASE WHEN h.type = 'use' AND h.user_id = p.user_id THEN h.amount END), 0) AS used,
                   coalesce(sum(CASE WHEN h.type = 'refund' AND h.user_id = p.user_id THEN h.amount END), 0) AS refunded
               FROM payment p LEFT JOIN point_history h USING (payment_id) GROUP BY p.payment_id)
         WHERE used <> amount OR refunded <> (CASE WHEN status = 'refunded' THEN amount ELSE 0 END)",
    ),
    (
        "all points together are charges minus payments plus refunds",
        "SELECT 'balances ' || balances || ', movements ' || movements
         FROM (SELECT (SELECT coalesce(sum(amount), 0) FROM point) AS balances,
                   (SELECT coalesce(sum(amount), 0) FROM point_history WHERE type = 'charge')
                   - (SELECT coalesce(sum(amount), 0) FROM payment)
                   + (SELECT coalesce(sum(amount), 0) FROM payment WHERE status = 'refunded') AS movements)
         WHERE balances <> movements",
    ),
    (
        "a user has at most one live token in a room",
        "SELECT 'user ' || hex(user_id) || ' in room ' || room_id FROM waiting_token WHERE status <> 'ended'
         GROUP BY user_id, room_id HAVING count(*) > 1",
    ),
    (
        "positions are in the order of issue, and none is above the highest given",
        "SELECT 'room ' || room_id || ', position ' || position || ' was issued before the one in front of it'
         FROM (SELECT room_id, position, issued_at, lag(issued_at) OVER (PARTITION BY room_id ORDER BY position) AS front
               FROM waiting_token)
         WHERE issued_at < front
         UNION ALL
         SELECT 'room ' || r.room_id || ' has given ' || r.last_position || ' and has position ' || max(t.position)
         FROM room r JOIN waiting_token t USING (room_id) GROUP BY r.room_id HAVING max(t.position) > r.last_position",
    ),
    (
        "a token was issued, activated and ended in this order",
        "SELECT 'token ' || token FROM waiting_token
         WHERE activated_at < issued_at OR expired_at < activated_at OR expired_at < issued_at
            OR (status = 'active' AND activated_at IS NULL) OR (end_reason = 'paid' AND activated_at IS NULL)",
    ),
];

const COUNTS: &[(&str, &str)] = &[
    ("users", "SELECT count(*) FROM \"user\""),
    ("seats", "SELECT count(*) FROM seat"),
    ("sold", "SELECT count(*) FROM seat WHERE status = 'sold'"),
    ("held", "SELECT count(*) FROM seat WHERE status = 'held'"),
    ("reservations", "SELECT count(*) FROM reservation"),
    ("payments", "SELECT count(*) FROM payment"),
    ("refunds", "SELECT count(*) FROM payment WHERE status = 'refunded'"),
    ("tokens", "SELECT count(*) FROM waiting_token"),
    ("history entries", "SELECT count(*) FROM point_history"),
];

/// Checks the books that the settings name, which may be in use. Changes nothing.
///
/// # Errors
/// The database cannot be read.
pub async fn run(config: &Config) -> anyhow::Result<Report> {
    let path = &config.database_path();
    let store =
        SqliteStore::open_read_only(path).with_context(|| format!("cannot read the books in {}", path.display()))?;
    Ok(store.read(check).await?)
}

fn check(conn: &Connection) -> rusqlite::Result<Report> {
    // One snapshot for all: what is sold while the check runs must not look like a breach.
    let snapshot = conn.unchecked_transaction()?;
    let mut findings = vec![Finding { invariant: "the file is not damaged", breaches: damage(&snapshot)? }];
    for (invariant, query) in INVARIANTS {
        let mut query = snapshot.prepare(query)?;
        let breaches = query.query_map((), |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        findings.push(Finding { invariant, breaches });
    }
    findings.push(Finding {
        invariant: "no more tokens were ever active in a room than its cap at the time",
        breaches: crowded(&snapshot)?,
    });
    let count = |(what, query): &(&'static str, &str)| Ok((*what, snapshot.query_row(query, (), |row| row.get(0))?));
    let counts = COUNTS.iter().map(count).collect::<rusqlite::Result<_>>()?;
    Ok(Report { findings, counts })
}

/// The cap that bound an activation at `at`. A change of the same moment may have come before it or after it in its
/// batch, so the widest of those counts.
fn cap_at(caps: &[(i64, i64)], at: i64) -> i64 {
    let before = caps.iter().rev().find(|(since, _)| *since < at).map_or(0, |(_, cap)| *cap);
    caps.iter().filter(|(since, _)| *since == at).map(|(_, cap)| *cap).fold(before, i64::max)
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

/// Follows each room through its journal: who became active when, who stopped, and what the cap was.
fn crowded(conn: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut caps: BTreeMap<i64, Vec<(i64, i64)>> = BTreeMap::new();
    let mut query = conn.prepare("SELECT room_id, since, max_active FROM room_cap ORDER BY room_id, since, rowid")?;
    let mut rows = query.query(())?;
    while let Some(row) = rows.next()? {
        caps.entry(row.get(0)?).or_default().push((row.get(1)?, row.get(2)?));
    }
    // An end comes before a beginning of the same moment: an overdue token counts no more at its deadline.
    let mut query = conn.prepare(
        "SELECT room_id, at, change FROM (
             SELECT room_id, activated_at AS at, 1 AS change FROM waiting_token WHERE activated_at IS NOT NULL
             UNION ALL
             SELECT room_id, coalesce(expired_at, deadline), -1 FROM waiting_token WHERE activated_at IS NOT NULL)
         ORDER BY room_id, at, change",
    )?;
    let mut rows = query.query(())?;
    let mut breaches = Vec::new();
    let (mut current, mut active) = (None, 0_i64);
    while let Some(row) = rows.next()? {
        let (room, at, change): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if current != Some(room) {
            (current, active) = (Some(room), 0);
        }
        active += change;
        let cap = caps.get(&room).map_or(0, |caps| cap_at(caps, at));
        if change > 0 && active > cap {
            breaches.push(format!("room {room} had {active} active at {at}, its cap was {cap}"));
        }
    }
    Ok(breaches)
}
