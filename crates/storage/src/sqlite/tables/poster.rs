//! `poster`: the pictures of concerts, one for a concert.

use super::{find as find_row, find_by};
use crate::sqlite::columns::Columns;
use frontrow_domain::{
    changes::Changes,
    id::ConcertId,
    sale::{Poster, PosterMark},
    world::World,
};
use rusqlite::{Connection, Result};
use std::sync::Arc;

/// Columns: tag, width, height.
fn read_mark(row: &mut Columns<'_>) -> Result<PosterMark> {
    Ok(PosterMark { tag: row.parsed()?, width: row.value()?, height: row.value()? })
}

const MARK: &str = "SELECT tag, width, height FROM poster WHERE concert_id = ?1";

pub(crate) fn mark(conn: &Connection, id: ConcertId) -> Result<Option<PosterMark>> {
    find_row(conn, MARK, (id.get(),), read_mark)
}

pub(crate) fn load(conn: &Connection, world: &mut World, ids: &[ConcertId]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut select = conn.prepare_cached(MARK)?;
    for id in ids {
        if let Some(mark) = find_by(&mut select, (id.get(),), read_mark)? {
            world.posters.insert(*id, mark);
        }
    }
    Ok(())
}

const FIND: &str = "SELECT concert_id, tag, width, height, jpeg FROM poster WHERE concert_id = ?1";

pub(crate) fn find(conn: &Connection, id: ConcertId) -> Result<Option<Poster>> {
    find_row(conn, FIND, (id.get(),), |row| {
        let (concert_id, mark) = (row.id(ConcertId::new)?, read_mark(row)?);
        Ok(Poster { concert_id, mark, jpeg: Arc::from(row.value::<Vec<u8>>()?) })
    })
}

const UPSERT: &str = "INSERT INTO poster (concert_id, tag, width, height, jpeg) VALUES (?1, ?2, ?3, ?4, ?5)
     ON CONFLICT (concert_id) DO UPDATE
     SET tag = excluded.tag, width = excluded.width, height = excluded.height, jpeg = excluded.jpeg";

const DELETE: &str = "DELETE FROM poster WHERE concert_id = ?1";

pub(crate) fn save(conn: &Connection, changes: &Changes) -> Result<()> {
    for (concert, poster) in &changes.posters {
        match poster {
            Some(Poster { mark, jpeg, .. }) => conn.prepare_cached(UPSERT)?.execute((
                concert.get(),
                mark.tag.to_string(),
                mark.width,
                mark.height,
                &**jpeg,
            ))?,
            None => conn.prepare_cached(DELETE)?.execute((concert.get(),))?,
        };
    }
    Ok(())
}
