//! `point_history`: the movements of users' points.

use super::{ID, IDS, NUMBER, TEXT, TEXTS, TIMES, UUID, UUIDS};
use crate::{
    Page, StoreError,
    enum_text::EnumText,
    postgres::{
        columns::Columns, connect::Statement, load_plan::LoadPlan, loads::Loads, read_pool::ReadPool,
        saves::SavePipeline,
    },
};
use frontrow_domain::{
    changes::Changes,
    id::{HistoryId, PaymentId, UserId},
    points::PointEntry,
};
use tokio_postgres::Error;

macro_rules! columns {
    () => {
        "history_id, user_id, amount, type, description, balance_after, version, payment_id, reference, created_at"
    };
}

fn read(row: &mut Columns<'_>) -> Result<PointEntry, Error> {
    Ok(PointEntry {
        history_id: row.id(HistoryId::new)?,
        user_id: row.user_id()?,
        amount: row.money()?,
        kind: row.word()?,
        description: row.value()?,
        balance_after: row.money()?,
        version: row.value()?,
        payment_id: row.id_or_none(PaymentId::new)?,
        reference: row.value()?,
        created_at: row.time()?,
    })
}

const USED_REFERENCES: Statement = Statement {
    sql: "SELECT reference FROM point_history WHERE reference = ANY($1) AND type = 'top_up'",
    types: &[TEXTS],
};
/// References of users' adjustments and debts.
const USED_BY_ADJUSTMENTS: Statement = Statement {
    sql: "SELECT k.user_id, k.reference FROM unnest($1, $2) AS k (user_id, reference)
          WHERE (SELECT true FROM point_history AS h WHERE h.user_id = k.user_id AND h.reference = k.reference
                     AND h.type = 'adjustment') IS NOT NULL
             OR (SELECT true FROM debt AS d WHERE d.user_id = k.user_id AND d.reference = k.reference) IS NOT NULL",
    types: &[UUIDS, TEXTS],
};

/// Loads which references are used.
pub(crate) fn load<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.references.is_empty() {
        loads.add(&USED_REFERENCES, [&plan.references], |loaded, row| {
            loaded.world.references.insert(row.value()?);
            Ok(())
        });
    }
    if !plan.adjusted_users.is_empty() {
        loads.add(&USED_BY_ADJUSTMENTS, [&plan.adjusted_users, &plan.adjustments], |loaded, row| {
            loaded.world.adjustments.insert((row.user_id()?, row.value()?));
            Ok(())
        });
    }
}

const INSERT: Statement = Statement {
    sql: "INSERT INTO point_history (history_id, user_id, amount, type, description, balance_after, version,
              payment_id, reference, created_at)
          SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    types: &[IDS, UUIDS, IDS, TEXTS, TEXTS, IDS, IDS, IDS, TEXTS, TIMES],
};

pub(crate) fn insert<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    let mut entries: Vec<_> = changes.history.iter().collect();
    entries.sort_by(|a, b| a.reference.cmp(&b.reference));
    saves.add(&INSERT, entries, |rows| {
        rows.column(|row| row.history_id.get())
            .column(|row| row.user_id.0)
            .column(|row| row.amount.get())
            .column(|row| row.kind.word())
            .column(|row| row.description.as_str())
            .column(|row| row.balance_after.get())
            .column(|row| row.version)
            .column(|row| row.payment_id.map(PaymentId::get))
            .column(|row| row.reference.as_deref())
            .column(|row| row.created_at.micros())
    });
}

/// A user's versions rise with the ids, and the index is on the versions. A key that belongs to another user still
/// marks a place.
const PAGE: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM point_history WHERE user_id = $1 AND history_id < $2 AND version <= coalesce(",
        "(SELECT last.version FROM point_history AS last WHERE last.history_id = $2 AND last.user_id = $1), ",
        "9223372036854775807) ORDER BY version DESC LIMIT $3"
    ),
    types: &[UUID, ID, NUMBER],
};

pub(crate) async fn page(reads: &ReadPool, user: UserId, page: Page<HistoryId>) -> Result<Vec<PointEntry>, StoreError> {
    let after = page.after.map_or(i64::MAX, HistoryId::get);
    reads.list(&PAGE, &[&user.0, &after, &i64::from(page.limit)], read).await
}

const TOP_UP: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM point_history WHERE type = 'top_up' AND reference = $1 AND reference IS NOT NULL"
    ),
    types: &[TEXT],
};

/// The reference as a range: the order is then that of one index alone.
const ADJUSTMENTS: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM point_history WHERE type = 'adjustment' AND reference BETWEEN $1 AND $1 AND reference IS NOT NULL",
        " ORDER BY reference, user_id LIMIT $2"
    ),
    types: &[TEXT, NUMBER],
};

pub(crate) async fn bookings_of_reference(
    reads: &ReadPool,
    reference: &str,
    limit: u32,
) -> Result<Vec<PointEntry>, StoreError> {
    let mut entries: Vec<_> = reads.find(&TOP_UP, &[&reference], read).await?.into_iter().collect();
    entries.extend(reads.list(&ADJUSTMENTS, &[&reference, &i64::from(limit)], read).await?);
    entries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(entries)
}

/// Two at most: there is nothing to sort, and no other index to try.
const OF_PAYMENT: Statement = Statement {
    sql: concat!(
        "WITH its AS MATERIALIZED (SELECT * FROM point_history WHERE payment_id = $1 AND payment_id IS NOT NULL) SELECT ",
        columns!(),
        " FROM its ORDER BY history_id"
    ),
    types: &[ID],
};

pub(crate) async fn of_payment(reads: &ReadPool, payment: PaymentId) -> Result<Vec<PointEntry>, StoreError> {
    reads.list(&OF_PAYMENT, &[&payment.get()], read).await
}
