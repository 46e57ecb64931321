//! Outages: the database notes when the box office last worked; after an outage, deadlines are lengthened.

use super::columns::Columns;
use frontrow_domain::{
    outage::{OUTAGES_MAX, Outage, Outages},
    time::Span,
};
use rusqlite::{Connection, Result};

pub(super) fn latest(conn: &Connection) -> Result<Outages> {
    let mut query = conn.prepare("SELECT from_at, to_at, grace FROM outage ORDER BY from_at DESC LIMIT ?1")?;
    let outages = query
        .query_map((OUTAGES_MAX,), |row| {
            let mut row = Columns::of(row);
            Ok(Outage { from: row.time()?, to: row.time()?, grace: Span::from_micros(row.value()?) })
        })?
        .collect::<Result<_>>()?;
    Ok(Outages::new(outages))
}

/// Lengthens all tokens and holds as the domain's `Token::extended_by` and `Reservation::extended_by` do, in one
/// statement for each kind, and records the outage.
pub(super) fn lengthen(conn: &Connection, outage: &Outage) -> Result<()> {
    let (from, grace) = (outage.from.micros(), outage.grace.micros());
    conn.execute(
        "UPDATE waiting_token SET deadline = deadline + ?2, back_until = back_until + ?2 WHERE deadline > ?1",
        (from, grace),
    )?;
    conn.execute(
        "UPDATE reservation SET expires_at = expires_at + ?2 WHERE status = 'pending' AND expires_at > ?1",
        (from, grace),
    )?;
    conn.execute("INSERT INTO outage (from_at, to_at, grace) VALUES (?1, ?2, ?3)", (from, outage.to.micros(), grace))?;
    Ok(())
}
