//! `point`: users' balances.

use super::{IDS, NUMBER, TIMES, UUID, UUIDS};
use crate::{
    StoreError,
    postgres::{
        columns::Columns,
        connect::Statement,
        load_plan::LoadPlan,
        loads::{Loaded, Loads},
        read_pool::ReadPool,
        saves::SavePipeline,
    },
};
use frontrow_domain::{
    changes::Changes,
    id::{PointId, UserId},
    points::Point,
};
use tokio_postgres::Error;

macro_rules! columns {
    () => {
        "point_id, user_id, amount, version, last_updated, created_at"
    };
}

fn read(row: &mut Columns<'_>) -> Result<Point, Error> {
    Ok(Point {
        point_id: row.id(PointId::new)?,
        user_id: row.user_id()?,
        amount: row.money()?,
        version: row.value()?,
        last_updated: row.time()?,
        created_at: row.time()?,
    })
}

const LOCK: Statement = Statement {
    sql: concat!("SELECT ", columns!(), " FROM point WHERE user_id = ANY($1) ORDER BY user_id FOR NO KEY UPDATE"),
    types: &[UUIDS],
};
/// Includes the accounts that made the payments.
const LOCK_OF_PAYMENTS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM point WHERE user_id = ANY (ARRAY(
             SELECT unnest($1) UNION SELECT p.user_id FROM payment AS p WHERE p.payment_id = ANY($2)
         )) ORDER BY user_id FOR NO KEY UPDATE"
    ),
    types: &[UUIDS, IDS],
};

fn take(loaded: &mut Loaded, row: &mut Columns<'_>) -> Result<(), Error> {
    let point = read(row)?;
    loaded.world.points.load(point.user_id, point);
    Ok(())
}

pub(crate) fn lock<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.payments.is_empty() {
        loads.add(&LOCK_OF_PAYMENTS, [&plan.points, &plan.payments], take);
    } else if !plan.points.is_empty() {
        loads.add(&LOCK, [&plan.points], take);
    }
}

const INSERT: Statement = Statement {
    sql: "INSERT INTO point (point_id, user_id, amount, version, last_updated, created_at)
          SELECT * FROM unnest($1, $2, $3, $4, $5, $6)",
    types: &[IDS, UUIDS, IDS, IDS, TIMES, TIMES],
};

pub(crate) fn insert<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&INSERT, &changes.points.inserted, |rows| {
        rows.column(|row| row.point_id.get())
            .column(|row| row.user_id.0)
            .column(|row| row.amount.get())
            .column(|row| row.version)
            .column(|row| row.last_updated.micros())
            .column(|row| row.created_at.micros())
    });
}

const UPDATE: Statement = Statement {
    sql: "WITH done AS (
              UPDATE point AS p SET amount = k.amount, version = k.version, last_updated = k.last_updated
              FROM unnest($1, $2, $3, $4) AS k (id, amount, version, last_updated)
              WHERE p.point_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $5) FROM done",
    types: &[IDS, IDS, IDS, TIMES, NUMBER],
};

pub(crate) fn update<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&UPDATE, &changes.points.updated, |rows| {
        rows.column(|row| row.point_id.get())
            .column(|row| row.amount.get())
            .column(|row| row.version)
            .column(|row| row.last_updated.micros())
            .count()
    });
}

const FIND: Statement =
    Statement { sql: concat!("SELECT ", columns!(), " FROM point WHERE user_id = $1"), types: &[UUID] };

pub(crate) async fn find(reads: &ReadPool, user: UserId) -> Result<Option<Point>, StoreError> {
    reads.find(&FIND, &[&user.0], read).await
}
