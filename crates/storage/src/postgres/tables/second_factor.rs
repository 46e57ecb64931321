//! `second_factor`: what operators and viewers sign in with besides the password.

use super::{HASHES, IDS, TIMES, UUID, UUIDS};
use crate::{
    StoreError,
    factor_columns::{FactorColumns, hashes},
    postgres::{
        columns::{Columns, micros},
        connect::Statement,
        load_plan::LoadPlan,
        loads::Loads,
        read_pool::ReadPool,
        saves::SavePipeline,
    },
};
use frontrow_domain::{changes::Changes, id::UserId, user::SecondFactor};
use tokio_postgres::Error;

macro_rules! columns {
    () => {
        "user_id, secret, confirmed_at, last_step, recovery, wrong_codes, wrong_at, updated_at"
    };
}

fn read(row: &mut Columns<'_>) -> Result<SecondFactor, Error> {
    let columns = FactorColumns {
        user_id: row.user_id()?,
        secret: row.value::<Option<&[u8]>>()?.and_then(|bytes| bytes.try_into().ok()),
        confirmed_at: row.time_or_none()?,
        last_step: row.value()?,
        recovery: hashes(row.value()?),
        wrong_codes: row.value()?,
        wrong_at: row.time_or_none()?,
        updated_at: row.time()?,
    };
    Ok(columns.into())
}

const FIND: Statement =
    Statement { sql: concat!("SELECT ", columns!(), " FROM second_factor WHERE user_id = $1"), types: &[UUID] };

pub(crate) async fn find(reads: &ReadPool, user: UserId) -> Result<Option<SecondFactor>, StoreError> {
    reads.find(&FIND, &[&user.0], read).await
}

/// Not locked: a factor changes only under the lock on its user, which is held.
const OF_USERS: Statement =
    Statement { sql: concat!("SELECT ", columns!(), " FROM second_factor WHERE user_id = ANY($1)"), types: &[UUIDS] };

pub(crate) fn load<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.factors.is_empty() {
        loads.add(&OF_USERS, [&plan.factors], |loaded, row| {
            let factor = read(row)?;
            loaded.world.factors.load(factor.user_id, factor);
            Ok(())
        });
    }
}

const DELETE: Statement = Statement { sql: "DELETE FROM second_factor WHERE user_id = ANY($1)", types: &[UUIDS] };

const UPSERT: Statement = Statement {
    sql: concat!(
        "INSERT INTO second_factor (",
        columns!(),
        ") SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)
          ON CONFLICT (user_id) DO UPDATE
          SET secret = excluded.secret, confirmed_at = excluded.confirmed_at, last_step = excluded.last_step,
              recovery = excluded.recovery, wrong_codes = excluded.wrong_codes, wrong_at = excluded.wrong_at,
              updated_at = excluded.updated_at"
    ),
    types: &[UUIDS, HASHES, TIMES, IDS, HASHES, IDS, TIMES, TIMES],
};

pub(crate) fn save<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&DELETE, &changes.removed_factors, |rows| rows.column(|id| id.0));
    saves.add(&UPSERT, &changes.factors, |rows| {
        rows.column(|row| row.user_id.0)
            .column(|row| FactorColumns::from(row).secret.map(|secret| secret.to_vec()))
            .column(|row| micros(FactorColumns::from(row).confirmed_at))
            .column(|row| FactorColumns::from(row).last_step)
            .column(|row| FactorColumns::from(row).recovery.concat())
            .column(|row| FactorColumns::from(row).wrong_codes)
            .column(|row| micros(FactorColumns::from(row).wrong_at))
            .column(|row| row.updated_at.micros())
    });
}
