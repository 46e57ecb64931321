//! `concert_details`: what buyers read of a concert.

use super::{IDS, SMALLS, TEXTS};
use crate::{
    enum_text::EnumText,
    postgres::{columns::Columns, connect::Statement, load_plan::LoadPlan, loads::Loads, saves::SavePipeline},
};
use frontrow_domain::{changes::Changes, id::ConcertId, sale::ConcertDetails};
use tokio_postgres::Error;

pub(crate) fn read(row: &mut Columns<'_>) -> Result<ConcertDetails, Error> {
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

/// Not locked: details change only under the lock on their concert.
pub(crate) const OF_CONCERTS: Statement = Statement {
    sql: "SELECT concert_id, description, age_rating, running_minutes, doors_minutes, address, organiser,
              organiser_contact
          FROM concert_details WHERE concert_id = ANY($1)",
    types: &[IDS],
};

pub(crate) fn load<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.details.is_empty() {
        loads.add(&OF_CONCERTS, [&plan.details], |loaded, row| {
            let details = read(row)?;
            loaded.world.details.load(details.concert_id, details);
            Ok(())
        });
    }
}

const UPSERT: Statement = Statement {
    sql: "INSERT INTO concert_details (concert_id, description, age_rating, running_minutes, doors_minutes, address,
              organiser, organiser_contact) SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)
          ON CONFLICT (concert_id) DO UPDATE
          SET description = excluded.description, age_rating = excluded.age_rating,
              running_minutes = excluded.running_minutes, doors_minutes = excluded.doors_minutes,
              address = excluded.address, organiser = excluded.organiser,
              organiser_contact = excluded.organiser_contact",
    types: &[IDS, TEXTS, TEXTS, SMALLS, SMALLS, TEXTS, TEXTS, TEXTS],
};

pub(crate) fn upsert<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&UPSERT, &changes.details, |rows| {
        rows.column(|row| row.concert_id.get())
            .column(|row| row.description.as_deref())
            .column(|row| row.age_rating.map(EnumText::word))
            .column(|row| row.running_minutes)
            .column(|row| row.doors_minutes)
            .column(|row| row.address.as_deref())
            .column(|row| row.organiser.as_deref())
            .column(|row| row.organiser_contact.as_deref())
    });
}
