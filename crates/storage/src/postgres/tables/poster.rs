//! `poster`: the pictures of concerts, one for a concert.

use super::{ID, IDS, SMALLS, TEXTS};
use crate::{
    StoreError,
    postgres::{
        columns::Columns, connect::Statement, load_plan::LoadPlan, loads::Loads, read_pool::ReadPool,
        saves::SavePipeline,
    },
};
use frontrow_domain::{
    changes::Changes,
    id::ConcertId,
    sale::{Poster, PosterMark},
};
use std::sync::Arc;
use tokio_postgres::{Error, types::Type};

/// Columns: concert, tag, width, height.
pub(crate) fn read_mark(row: &mut Columns<'_>) -> Result<(ConcertId, PosterMark), Error> {
    let concert_id = row.id(ConcertId::new)?;
    Ok((concert_id, PosterMark { tag: row.parsed()?, width: row.value()?, height: row.value()? }))
}

/// Not locked: a poster changes only under the lock on its concert.
pub(crate) const MARKS: Statement =
    Statement { sql: "SELECT concert_id, tag, width, height FROM poster WHERE concert_id = ANY($1)", types: &[IDS] };

pub(crate) fn load<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.posters.is_empty() {
        loads.add(&MARKS, [&plan.posters], |loaded, row| {
            let (concert_id, mark) = read_mark(row)?;
            loaded.world.posters.insert(concert_id, mark);
            Ok(())
        });
    }
}

const FIND: Statement =
    Statement { sql: "SELECT concert_id, tag, width, height, jpeg FROM poster WHERE concert_id = $1", types: &[ID] };

pub(crate) async fn find(reads: &ReadPool, id: ConcertId) -> Result<Option<Poster>, StoreError> {
    reads
        .find(&FIND, &[&id.get()], |row| {
            let (concert_id, mark) = read_mark(row)?;
            Ok(Poster { concert_id, mark, jpeg: Arc::from(row.value::<&[u8]>()?) })
        })
        .await
}

const UPSERT: Statement = Statement {
    sql: "INSERT INTO poster (concert_id, tag, width, height, jpeg) SELECT * FROM unnest($1, $2, $3, $4, $5)
          ON CONFLICT (concert_id) DO UPDATE
          SET tag = excluded.tag, width = excluded.width, height = excluded.height, jpeg = excluded.jpeg",
    types: &[IDS, TEXTS, SMALLS, SMALLS, Type::BYTEA_ARRAY],
};

const DELETE: Statement = Statement { sql: "DELETE FROM poster WHERE concert_id = ANY($1)", types: &[IDS] };

pub(crate) fn save<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    let removed = changes.posters.iter().filter(|(_, poster)| poster.is_none());
    saves.add(&DELETE, removed, |rows| rows.column(|(concert, _)| concert.get()));
    let set = changes.posters.iter().filter_map(|(_, poster)| poster.as_ref());
    saves.add(&UPSERT, set, |rows| {
        rows.column(|poster| poster.concert_id.get())
            .column(|poster| poster.mark.tag.to_string())
            .column(|poster| poster.mark.width)
            .column(|poster| poster.mark.height)
            .column(|poster| &*poster.jpeg)
    });
}
