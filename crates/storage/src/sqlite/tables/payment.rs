//! `payment`.

use super::{find as find_row, find_by, list, micros, one, reservation::walk};
use crate::{Page, PaymentFilter, enum_text::EnumText, sqlite::columns::Columns};
use frontrow_domain::{
    changes::Changes,
    id::{ConcertId, PaymentId, ReservationId},
    sale::{Payment, PaymentStatus},
    world::World,
};
use rusqlite::{Connection, Result};

macro_rules! columns {
    () => {
        "payment_id, user_id, reservation_id, amount, status, paid_at, refunded_at, created_at"
    };
}

fn read(row: &mut Columns<'_>) -> Result<Payment> {
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

const FIND: &str = concat!("SELECT ", columns!(), " FROM payment WHERE payment_id = ?1");

pub(crate) fn find(conn: &Connection, id: PaymentId) -> Result<Option<Payment>> {
    find_row(conn, FIND, (id.get(),), read)
}

pub(crate) fn load(conn: &Connection, world: &mut World, ids: &[PaymentId]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut select = conn.prepare_cached(FIND)?;
    for id in ids {
        if let Some(payment) = find_by(&mut select, (id.get(),), read)? {
            world.payments.load(*id, payment);
        }
    }
    Ok(())
}

const UPDATE: &str = "UPDATE payment SET status = ?2, refunded_at = ?3 WHERE payment_id = ?1";

const INSERT: &str = concat!("INSERT INTO payment (", columns!(), ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");

pub(crate) fn save(conn: &Connection, changes: &Changes) -> Result<()> {
    if !changes.payments.updated.is_empty() {
        let mut update = conn.prepare_cached(UPDATE)?;
        for payment in &changes.payments.updated {
            update
                .execute((payment.payment_id.get(), payment.status.word(), micros(payment.refunded_at)))
                .and_then(one)?;
        }
    }
    if !changes.payments.inserted.is_empty() {
        let mut insert = conn.prepare_cached(INSERT)?;
        for payment in &changes.payments.inserted {
            insert.execute((
                payment.payment_id.get(),
                payment.user_id.0,
                payment.reservation_id.get(),
                payment.amount.get(),
                payment.status.word(),
                payment.paid_at.micros(),
                micros(payment.refunded_at),
                payment.created_at.micros(),
            ))?;
        }
    }
    Ok(())
}

pub(crate) fn page(conn: &Connection, filter: &PaymentFilter, page: Page<PaymentId>) -> Result<Vec<Payment>> {
    if let PaymentFilter { user: None, reservation: None, concert: Some(concert), status } = *filter {
        return page_of_concert(conn, concert, status, page);
    }
    let keys = (
        filter.user.map(|user| user.0),
        filter.reservation.map(ReservationId::get),
        filter.status.map(EnumText::word),
        page.after.map_or(i64::MAX, PaymentId::get),
        filter.concert.map(ConcertId::get),
        page.limit,
    );
    list(conn, &select_page(filter), keys, read)
}

/// Selects a page of payments by user, by reservation, or by id.
fn select_page(filter: &PaymentFilter) -> String {
    let mut sql = concat!("SELECT ", columns!(), " FROM payment").to_owned();
    // Indexes are named, since old statistics may mislead. The index for a reservation's one payment is always found.
    sql.push_str(match filter {
        PaymentFilter { user: None, reservation: None, status: Some(PaymentStatus::Refunded), .. } => {
            " INDEXED BY payment_refunded WHERE status = 'refunded' AND payment_id < ?4"
        }
        PaymentFilter { user: Some(_), reservation: None, .. } => " INDEXED BY payment_by_user WHERE payment_id < ?4",
        _ => " WHERE payment_id < ?4",
    });
    if filter.user.is_some() {
        sql.push_str(" AND user_id = ?1");
    }
    if filter.reservation.is_some() {
        sql.push_str(" AND reservation_id = ?2");
    }
    if filter.status.is_some() {
        sql.push_str(" AND status = ?3");
    }
    if filter.concert.is_some() {
        sql.push_str(
            " AND (SELECT concert_id FROM reservation WHERE reservation.reservation_id = payment.reservation_id) = ?5",
        );
    }
    sql.push_str(" ORDER BY payment_id DESC LIMIT ?6");
    sql
}

/// Seat by seat: reads the payments of this concert only. A reservation has at most one payment.
const PAGE_OF_CONCERT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM (SELECT p.payment_id AS id FROM seat AS s
         CROSS JOIN reservation AS r INDEXED BY one_live_reservation_per_seat CROSS JOIN payment AS p
         WHERE s.concert_id = ?1 AND r.seat_id = s.seat_id AND p.reservation_id = r.reservation_id AND p.payment_id < ?3
             AND (?2 IS NULL OR p.status = ?2)
         ORDER BY p.payment_id DESC LIMIT ?4) AS page
     CROSS JOIN payment WHERE payment_id = page.id ORDER BY payment_id DESC"
);

fn page_of_concert(
    conn: &Connection,
    concert: ConcertId,
    status: Option<PaymentStatus>,
    page: Page<PaymentId>,
) -> Result<Vec<Payment>> {
    let by_id = match status {
        None => {
            "SELECT p.payment_id, r.concert_id FROM payment AS p CROSS JOIN reservation AS r
             WHERE p.payment_id < ?1 AND r.reservation_id = p.reservation_id ORDER BY p.payment_id DESC"
        }
        Some(PaymentStatus::Completed) => {
            "SELECT p.payment_id, CASE p.status WHEN 'completed' THEN r.concert_id END
             FROM payment AS p CROSS JOIN reservation AS r
             WHERE p.payment_id < ?1 AND r.reservation_id = p.reservation_id ORDER BY p.payment_id DESC"
        }
        Some(PaymentStatus::Refunded) => {
            "SELECT p.payment_id, r.concert_id FROM payment AS p INDEXED BY payment_refunded CROSS JOIN reservation AS r
             WHERE p.status = 'refunded' AND p.payment_id < ?1 AND r.reservation_id = p.reservation_id
             ORDER BY p.payment_id DESC"
        }
    };
    let after = page.after.map_or(i64::MAX, PaymentId::get);
    let snapshot = conn.unchecked_transaction()?;
    if let Some(ids) = walk(&snapshot, by_id, concert, after, page.limit)? {
        return ids.into_iter().filter_map(|id| find(&snapshot, PaymentId::new(id)).transpose()).collect();
    }
    let keys = (concert.get(), status.map(EnumText::word), after, page.limit);
    list(&snapshot, PAGE_OF_CONCERT, keys, read)
}
