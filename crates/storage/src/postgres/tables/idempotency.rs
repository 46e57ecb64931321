//! `idempotency`: answers by their idempotency keys.

use super::{HASHES, TEXTS, TIMES};
use crate::postgres::{connect::Statement, load_plan::LoadPlan, loads::Loads, saves::SavePipeline};
use frontrow_domain::{
    changes::Changes,
    command::{Idempotency, IdempotencyRecord},
};

const FIND: Statement = Statement {
    sql: "SELECT key, fingerprint, answer, created_at FROM idempotency WHERE key = ANY($1)",
    types: &[HASHES],
};

pub(crate) fn load<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if plan.answers.is_empty() {
        return;
    }
    let session = loads.session();
    let query = async move {
        let keys: Vec<&[u8]> = plan.answers.iter().map(<[u8; 32]>::as_slice).collect();
        session.query(&FIND, &[&keys]).await
    };
    loads.add_query(
        &FIND,
        |loaded, row| {
            let idempotency = Idempotency { key: row.hash()?, fingerprint: row.hash()? };
            let record = IdempotencyRecord { idempotency, answer: row.value()?, created_at: row.time()? };
            loaded.world.kept.load(idempotency.key, record);
            Ok(())
        },
        query,
    );
}

const INSERT: Statement = Statement {
    sql: "INSERT INTO idempotency (key, fingerprint, answer, created_at) SELECT * FROM unnest($1, $2, $3, $4)",
    types: &[HASHES, HASHES, TEXTS, TIMES],
};

pub(crate) fn insert<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    // Already in the order of their keys.
    saves.add(&INSERT, &changes.kept, |rows| {
        rows.column(|row| row.idempotency.key.as_slice())
            .column(|row| row.idempotency.fingerprint.as_slice())
            .column(|row| row.answer.as_str())
            .column(|row| row.created_at.micros())
    });
}
