//! `clock`: the store's time, and the last note that the box office works. One row.

use super::{find, one};
use frontrow_clock::JUMP_MIN;
use frontrow_domain::time::Time;
use rusqlite::{Connection, Error, Result};

/// The latest time that the database knows.
pub(crate) fn high_water(conn: &Connection) -> Result<Time> {
    let time = find(conn, "SELECT high_water FROM clock WHERE id = 1", (), |row| row.id(Time::from_micros))?;
    time.ok_or(Error::QueryReturnedNoRows)
}

/// The time of a snapshot: not before its rows, unless another program wrote those with a clock far ahead.
pub(crate) fn snapshot_time(snapshot: &Connection, now: Time) -> Result<Time> {
    let mark = high_water(snapshot)?;
    Ok(if mark.since(now) > JUMP_MIN { now } else { now.max(mark) })
}

/// The last note of a server that it works.
pub(crate) fn alive_at(conn: &Connection) -> Result<Option<Time>> {
    Ok(find(conn, "SELECT alive_at FROM clock WHERE id = 1", (), |row| row.id_or_none(Time::from_micros))?.flatten())
}

/// Saves the time of the decision, and the note that the box office works, if there is one.
pub(crate) fn update(conn: &Connection, now: Time, alive_at: Option<Time>) -> Result<()> {
    conn.prepare_cached("UPDATE clock SET high_water = ?1, alive_at = coalesce(?2, alive_at) WHERE id = 1")?
        .execute((now.micros(), alive_at.map(Time::micros)))
        .and_then(one)
}
