//! Outages: the database notes when the box office last worked; after an outage, deadlines are lengthened.

use super::columns::time;
use frontrow_domain::{
    outage::{OUTAGES_MAX, Outage, Outages},
    time::{Span, Time},
};
use rusqlite::{Connection, Result};

/// The last note of a server that it works.
pub(super) fn alive_at(conn: &Connection) -> Result<Option<Time>> {
    let micros: Option<i64> = conn.query_row("SELECT alive_at FROM clock WHERE id = 1", (), |row| row.get(0))?;
    Ok(micros.map(Time::from_micros))
}

pub(super) fn latest(conn: &Connection) -> Result<Outages> {
    let mut query = conn.prepare("SELECT from_at, to_at, grace FROM outage ORDER BY from_at DESC LIMIT ?1")?;
    let outages = query
        .query_map((OUTAGES_MAX,), |row| {
            Ok(Outage { from: time(row, 0)?, to: time(row, 1)?, grace: Span::from_micros(row.get(2)?) })
        })?
        .collect::<Result<_>>()?;
    Ok(Outages::new(outages))
}

/// Lengthens all tokens and holds as the domain's `Outage::extended_token` and `Outage::extended_hold` do, in one
/// statement for each kind, and records the outage.
pub(super) fn lengthen(conn: &Connection, outage: &Outage) -> Result<()> {
    let (from, grace) = (outage.from.micros(), outage.grace.micros());
    conn.execute("UPDATE waiting_token SET deadline = deadline + ?2 WHERE deadline > ?1", (from, grace))?;
    conn.execute(
        "UPDATE reservation SET expires_at = expires_at + ?2 WHERE status = 'pending' AND expires_at > ?1",
        (from, grace),
    )?;
    conn.execute("INSERT INTO outage (from_at, to_at, grace) VALUES (?1, ?2, ?3)", (from, outage.to.micros(), grace))?;
    Ok(())
}
