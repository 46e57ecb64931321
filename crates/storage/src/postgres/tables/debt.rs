//! `debt`: what users owe after an adjustment.

use super::{ID, IDS, NUMBER, TEXT, TEXTS, TIMES, UUID, UUIDS};
use crate::{
    DebtFilter, Page, StoreError,
    enum_text::EnumText,
    postgres::{
        columns::{Columns, micros},
        connect::Statement,
        load_plan::LoadPlan,
        loads::{Loaded, Loads},
        read_pool::ReadPool,
        saves::SavePipeline,
    },
};
use frontrow_domain::{changes::Changes, id::DebtId, points::Debt};
use tokio_postgres::Error;

macro_rules! columns {
    () => {
        "debt_id, user_id, amount, reason, reference, status, created_at, settled_at"
    };
}

fn read(row: &mut Columns<'_>) -> Result<Debt, Error> {
    Ok(Debt {
        debt_id: row.id(DebtId::new)?,
        user_id: row.user_id()?,
        amount: row.money()?,
        reason: row.value()?,
        reference: row.value()?,
        status: row.word()?,
        created_at: row.time()?,
        settled_at: row.time_or_none()?,
    })
}

/// Not locked: a debt changes only under the lock on its user, which is held.
const FIND_ALL: Statement =
    Statement { sql: concat!("SELECT ", columns!(), " FROM debt WHERE debt_id = ANY($1)"), types: &[IDS] };
/// Not locked: a debt is made and changed under the lock on its user, which is held.
const OPEN_OF_USERS: Statement = Statement {
    sql: concat!(
        "SELECT d.* FROM unnest($1) AS k (id), LATERAL (SELECT ",
        columns!(),
        " FROM debt WHERE user_id = k.id AND status = 'open' OFFSET 0) AS d"
    ),
    types: &[UUIDS],
};

fn take(loaded: &mut Loaded, row: &mut Columns<'_>) -> Result<(), Error> {
    let debt = read(row)?;
    loaded.world.debts.load(debt.debt_id, debt);
    Ok(())
}

pub(crate) fn load<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.debts.is_empty() {
        loads.add(&FIND_ALL, [&plan.debts], take);
    }
    if !plan.debtors.is_empty() {
        loads.add(&OPEN_OF_USERS, [&plan.debtors], take);
    }
}

const INSERT: Statement = Statement {
    sql: "INSERT INTO debt (debt_id, user_id, amount, reason, reference, status, created_at, settled_at)
          SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)",
    types: &[IDS, UUIDS, IDS, TEXTS, TEXTS, TEXTS, TIMES, TIMES],
};

const UPDATE: Statement = Statement {
    sql: "WITH done AS (
              UPDATE debt AS d SET status = k.status, settled_at = k.settled_at
              FROM unnest($1, $2, $3) AS k (id, status, settled_at) WHERE d.debt_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $4) FROM done",
    types: &[IDS, TEXTS, TIMES, NUMBER],
};

pub(crate) fn save<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&INSERT, &changes.debts.inserted, |rows| {
        rows.column(|row| row.debt_id.get())
            .column(|row| row.user_id.0)
            .column(|row| row.amount.get())
            .column(|row| row.reason.as_str())
            .column(|row| row.reference.as_str())
            .column(|row| row.status.word())
            .column(|row| row.created_at.micros())
            .column(|row| micros(row.settled_at))
    });
    saves.add(&UPDATE, &changes.debts.updated, |rows| {
        rows.column(|row| row.debt_id.get())
            .column(|row| row.status.word())
            .column(|row| micros(row.settled_at))
            .count()
    });
}

const FIND: Statement =
    Statement { sql: concat!("SELECT ", columns!(), " FROM debt WHERE debt_id = $1"), types: &[ID] };

pub(crate) async fn find(reads: &ReadPool, id: DebtId) -> Result<Option<Debt>, StoreError> {
    reads.find(&FIND, &[&id.get()], read).await
}

/// The reference as a range: the order is then that of one index alone.
const OF_REFERENCE: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM debt WHERE reference BETWEEN $1 AND $1 ORDER BY reference, user_id LIMIT $2"
    ),
    types: &[TEXT, NUMBER],
};

pub(crate) async fn debts_of_reference(reads: &ReadPool, reference: &str, limit: u32) -> Result<Vec<Debt>, StoreError> {
    reads.list(&OF_REFERENCE, &[&reference, &i64::from(limit)], read).await
}

const PAGE: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM debt WHERE debt_id < $1 AND ($2::text IS NULL OR status = $2) ORDER BY debt_id DESC LIMIT $3"
    ),
    types: &[ID, TEXT, NUMBER],
};

const PAGE_OF_USER: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM debt WHERE user_id = $4 AND debt_id + 0 < $1 AND ($2::text IS NULL OR status = $2)",
        " ORDER BY debt_id + 0 DESC LIMIT $3"
    ),
    types: &[ID, TEXT, NUMBER, UUID],
};

pub(crate) async fn page(reads: &ReadPool, filter: &DebtFilter, page: Page<DebtId>) -> Result<Vec<Debt>, StoreError> {
    let after = page.after.map_or(i64::MAX, DebtId::get);
    let (status, limit) = (filter.status.map(EnumText::word), i64::from(page.limit));
    match filter.user {
        Some(user) => reads.list(&PAGE_OF_USER, &[&after, &status, &limit, &user.0], read).await,
        None => reads.list(&PAGE, &[&after, &status, &limit], read).await,
    }
}
