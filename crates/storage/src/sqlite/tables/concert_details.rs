//! `concert_details`: what buyers read of a concert.

use super::{find as find_row, find_by};
use crate::{enum_text::EnumText, sqlite::columns::Columns};
use frontrow_domain::{changes::Changes, id::ConcertId, sale::ConcertDetails, world::World};
use rusqlite::{Connection, Result};

fn read(row: &mut Columns<'_>) -> Result<ConcertDetails> {
    Ok(ConcertDetails {
        concert_id: row.id(ConcertId::new)?,
        description: row.value()?,
        age_rating: row.word_or_none()?,
        running_minutes: row.value()?,
        doors_minutes: row.value()?,
        address: row.value()?,
        organiser: row.value()?,
        organiser_contact: row.value()?,
    })
}

const FIND: &str = "SELECT concert_id, description, age_rating, running_minutes, doors_minutes, address, organiser,
         organiser_contact
     FROM concert_details WHERE concert_id = ?1";

pub(crate) fn find(conn: &Connection, id: ConcertId) -> Result<Option<ConcertDetails>> {
    find_row(conn, FIND, (id.get(),), read)
}

pub(crate) fn load(conn: &Connection, world: &mut World, ids: &[ConcertId]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut select = conn.prepare_cached(FIND)?;
    for id in ids {
        if let Some(details) = find_by(&mut select, (id.get(),), read)? {
            world.details.load(*id, details);
        }
    }
    Ok(())
}

const UPSERT: &str = "INSERT INTO concert_details (concert_id, description, age_rating, running_minutes, doors_minutes,
         address, organiser, organiser_contact) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
     ON CONFLICT (concert_id) DO UPDATE
     SET description = excluded.description, age_rating = excluded.age_rating,
         running_minutes = excluded.running_minutes, doors_minutes = excluded.doors_minutes,
         address = excluded.address, organiser = excluded.organiser,
         organiser_contact = excluded.organiser_contact";

pub(crate) fn upsert(conn: &Connection, changes: &Changes) -> Result<()> {
    for details in &changes.details {
        conn.prepare_cached(UPSERT)?.execute((
            details.concert_id.get(),
            &details.description,
            details.age_rating.map(EnumText::word),
            details.running_minutes,
            details.doors_minutes,
            &details.address,
            &details.organiser,
            &details.organiser_contact,
        ))?;
    }
    Ok(())
}
