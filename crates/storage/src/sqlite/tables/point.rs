//! `point`: users' balances.

use super::{find as find_row, find_by, one};
use crate::sqlite::columns::Columns;
use frontrow_domain::{
    changes::Changes,
    id::{PointId, UserId},
    points::Point,
    world::World,
};
use rusqlite::{Connection, Result};

macro_rules! columns {
    () => {
        "point_id, user_id, amount, version, last_updated, created_at"
    };
}

fn read(row: &mut Columns<'_>) -> Result<Point> {
    Ok(Point {
        point_id: row.id(PointId::new)?,
        user_id: row.user_id()?,
        amount: row.money()?,
        version: row.value()?,
        last_updated: row.time()?,
        created_at: row.time()?,
    })
}

const FIND: &str = concat!("SELECT ", columns!(), " FROM point WHERE user_id = ?1");

pub(crate) fn find(conn: &Connection, user: UserId) -> Result<Option<Point>> {
    find_row(conn, FIND, (user.0,), read)
}

pub(crate) fn load(conn: &Connection, world: &mut World, users: &[UserId]) -> Result<()> {
    if users.is_empty() {
        return Ok(());
    }
    let mut select = conn.prepare_cached(FIND)?;
    for user in users {
        if !world.points.contains(*user)
            && let Some(point) = find_by(&mut select, (user.0,), read)?
        {
            world.points.load(*user, point);
        }
    }
    Ok(())
}

const UPDATE: &str = "UPDATE point SET amount = ?2, version = ?3, last_updated = ?4 WHERE point_id = ?1";

const INSERT: &str = concat!("INSERT INTO point (", columns!(), ") VALUES (?1, ?2, ?3, ?4, ?5, ?6)");

pub(crate) fn save(conn: &Connection, changes: &Changes) -> Result<()> {
    if !changes.points.updated.is_empty() {
        let mut update = conn.prepare_cached(UPDATE)?;
        for point in &changes.points.updated {
            update
                .execute((point.point_id.get(), point.amount.get(), point.version, point.last_updated.micros()))
                .and_then(one)?;
        }
    }
    if !changes.points.inserted.is_empty() {
        let mut insert = conn.prepare_cached(INSERT)?;
        for point in &changes.points.inserted {
            insert.execute((
                point.point_id.get(),
                point.user_id.0,
                point.amount.get(),
                point.version,
                point.last_updated.micros(),
                point.created_at.micros(),
            ))?;
        }
    }
    Ok(())
}
