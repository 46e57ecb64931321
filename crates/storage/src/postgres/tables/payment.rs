//! `payment`.

use super::{ID, IDS, NUMBER, TEXT, TEXTS, TIMES, UUID, UUIDS};
use crate::{
    Page, PaymentFilter, StoreError,
    enum_text::EnumText,
    postgres::{
        columns::{Columns, micros},
        connect::{Params, Statement},
        load_plan::LoadPlan,
        loads::Loads,
        read_pool::ReadPool,
        saves::SavePipeline,
    },
};
use frontrow_domain::{
    changes::Changes,
    id::{ConcertId, PaymentId, ReservationId},
    sale::{Payment, PaymentStatus},
};
use tokio_postgres::Error;
use uuid::Uuid;

macro_rules! columns {
    () => {
        "payment_id, user_id, reservation_id, amount, status, paid_at, refunded_at, created_at"
    };
}

fn read(row: &mut Columns<'_>) -> Result<Payment, Error> {
    Ok(Payment {
        payment_id: row.id(PaymentId::new)?,
        user_id: row.user_id()?,
        reservation_id: row.id(ReservationId::new)?,
        amount: row.money()?,
        status: row.word()?,
        paid_at: row.time()?,
        refunded_at: row.time_or_none()?,
        created_at: row.time()?,
    })
}

/// Not locked: a payment changes only under the lock on its reservation's seat, which is held.
const FIND_ALL: Statement =
    Statement { sql: concat!("SELECT ", columns!(), " FROM payment WHERE payment_id = ANY($1)"), types: &[IDS] };

pub(crate) fn load<'a>(loads: &mut Loads<'a>, plan: &'a LoadPlan) {
    if !plan.payments.is_empty() {
        loads.add(&FIND_ALL, [&plan.payments], |loaded, row| {
            let payment = read(row)?;
            loaded.world.payments.load(payment.payment_id, payment);
            Ok(())
        });
    }
}

const UPDATE: Statement = Statement {
    sql: "WITH done AS (
              UPDATE payment AS p SET status = k.status, refunded_at = k.refunded_at
              FROM unnest($1, $2, $3) AS k (id, status, refunded_at) WHERE p.payment_id = k.id RETURNING 1
          ) SELECT all_found(count(*), $4) FROM done",
    types: &[IDS, TEXTS, TIMES, NUMBER],
};

const INSERT: Statement = Statement {
    sql: "INSERT INTO payment (payment_id, user_id, reservation_id, amount, status, paid_at, refunded_at, created_at)
          SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)",
    types: &[IDS, UUIDS, IDS, IDS, TEXTS, TIMES, TIMES, TIMES],
};

pub(crate) fn save<'a>(saves: &mut SavePipeline<'a>, changes: &'a Changes) {
    saves.add(&UPDATE, &changes.payments.updated, |rows| {
        rows.column(|row| row.payment_id.get())
            .column(|row| row.status.word())
            .column(|row| micros(row.refunded_at))
            .count()
    });
    saves.add(&INSERT, &changes.payments.inserted, |rows| {
        rows.column(|row| row.payment_id.get())
            .column(|row| row.user_id.0)
            .column(|row| row.reservation_id.get())
            .column(|row| row.amount.get())
            .column(|row| row.status.word())
            .column(|row| row.paid_at.micros())
            .column(|row| micros(row.refunded_at))
            .column(|row| row.created_at.micros())
    });
}

const FIND: Statement =
    Statement { sql: concat!("SELECT ", columns!(), " FROM payment WHERE payment_id = $1"), types: &[ID] };

pub(crate) async fn find(reads: &ReadPool, id: PaymentId) -> Result<Option<Payment>, StoreError> {
    reads.find(&FIND, &[&id.get()], read).await
}

const PAGE: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM payment WHERE payment_id < $1 AND ($2::text IS NULL OR status = $2)",
        " ORDER BY payment_id DESC LIMIT $3"
    ),
    types: &[ID, TEXT, NUMBER],
};

const PAGE_OF_REFUNDED: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM payment WHERE status = 'refunded' AND payment_id + 0 < $1 ORDER BY payment_id + 0 DESC LIMIT $2"
    ),
    types: &[ID, NUMBER],
};

const PAGE_OF_USER: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM payment WHERE user_id = $4 AND payment_id + 0 < $1 AND ($2::text IS NULL OR status = $2)",
        " ORDER BY payment_id + 0 DESC LIMIT $3"
    ),
    types: &[ID, TEXT, NUMBER, UUID],
};

/// A reservation has at most one payment: there is nothing to sort, and no other index to try.
const PAGE_OF_RESERVATION: Statement = Statement {
    sql: concat!(
        "WITH its AS MATERIALIZED (SELECT * FROM payment WHERE reservation_id = $4) SELECT ",
        columns!(),
        " FROM its WHERE payment_id < $1 AND ($2::text IS NULL OR status = $2)",
        " AND ($5::uuid IS NULL OR user_id = $5) ORDER BY payment_id DESC LIMIT $3"
    ),
    types: &[ID, TEXT, NUMBER, ID, UUID],
};

/// Looks up each reservation of the concert on its own, and sorts all that were paid.
const PAGE_OF_CONCERT: Statement = Statement {
    sql: concat!(
        "SELECT ",
        columns!(),
        " FROM (SELECT reservation_id AS id FROM reservation WHERE concert_id = $4",
        " AND ($6::bigint IS NULL OR reservation_id = $6)) AS its, LATERAL (SELECT * FROM payment",
        " WHERE reservation_id = its.id OFFSET 0) AS p WHERE payment_id < $1 AND ($2::text IS NULL OR status = $2)",
        " AND ($5::uuid IS NULL OR user_id = $5) ORDER BY payment_id DESC LIMIT $3"
    ),
    types: &[ID, TEXT, NUMBER, ID, UUID, ID],
};

/// A user's own payments and that of a reservation come from the primary.
pub(crate) async fn page(
    reads: &ReadPool,
    filter: &PaymentFilter,
    page: Page<PaymentId>,
) -> Result<Vec<Payment>, StoreError> {
    let after = page.after.map_or(i64::MAX, PaymentId::get);
    let (status, limit) = (filter.status.map(EnumText::word), i64::from(page.limit));
    let user: Option<Uuid> = filter.user.map(|user| user.0);
    if let Some(concert) = filter.concert.map(ConcertId::get) {
        let reservation = filter.reservation.map(ReservationId::get);
        let keys: Params<'_> = &[&after, &status, &limit, &concert, &user, &reservation];
        return reads.list(&PAGE_OF_CONCERT, keys, read).await;
    }
    match (filter.reservation, user) {
        (Some(reservation), _) => {
            let keys: Params<'_> = &[&after, &status, &limit, &reservation.get(), &user];
            reads.list(&PAGE_OF_RESERVATION, keys, read).await
        }
        (None, Some(user)) => reads.list(&PAGE_OF_USER, &[&after, &status, &limit, &user], read).await,
        (None, None) if filter.status == Some(PaymentStatus::Refunded) => {
            reads.list_from_replica(&PAGE_OF_REFUNDED, &[&after, &limit], read).await
        }
        (None, None) => reads.list_from_replica(&PAGE, &[&after, &status, &limit], read).await,
    }
}
