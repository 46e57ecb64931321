//! Saves the changes of a batch. In each table the updates come before the inserts, and each row before those that
//! refer to it.

pub(super) mod reservation;

use super::columns::EnumText;
use frontrow_domain::{
    concert::Concert,
    id::{PaymentId, Position, ReservationId, RoomId, TokenId},
    payment::Payment,
    points::{Debt, Point, PointEntry},
    queue::{Room, Token, TokenStatus},
    reservation::{Reservation, ReservationStatus},
    seat::Seat,
    time::Time,
    world::{Changes, Numbers, Saves},
};
use rusqlite::{Connection, Error, Result, params};
use std::collections::{BTreeMap, HashSet};

/// Writes all of `changes`. `highest` are the highest positions in the database, `active` the tokens that were active
/// before the batch.
pub(super) fn save(
    conn: &Connection,
    changes: &Changes,
    highest: &BTreeMap<RoomId, Position>,
    active: &HashSet<TokenId>,
) -> Result<()> {
    save_users(conn, changes)?;
    save_rooms(conn, changes, highest)?;
    save_concerts(conn, &changes.concerts)?;
    save_seats(conn, changes)?;
    save_reservations(conn, &changes.reservations)?;
    save_payments(conn, &changes.payments)?;
    save_points(conn, &changes.points)?;
    save_history(conn, &changes.history)?;
    save_debts(conn, &changes.debts)?;
    save_tokens(conn, &changes.tokens, active)?;
    save_audit(conn, changes)?;
    save_answers(conn, changes)
}

/// Saves the time of the decision, and the note that the box office works, if there is one.
pub(super) fn clock(conn: &Connection, now: Time, alive_at: Option<Time>) -> Result<()> {
    conn.prepare_cached("UPDATE clock SET high_water = ?1, alive_at = coalesce(?2, alive_at) WHERE id = 1")?
        .execute((now.micros(), alive_at.map(Time::micros)))
        .and_then(one)
}

/// Saves the highest seat id given.
pub(super) fn seat_ids(conn: &Connection, next: &Numbers) -> Result<()> {
    conn.prepare_cached("UPDATE seat_ids SET highest = ?1 WHERE id = 1")?
        .execute((next.peek().saturating_sub(1),))
        .and_then(one)
}

/// An update must change exactly one row.
fn one(rows: usize) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(Error::StatementChangedRows(rows)) }
}

fn save_users(conn: &Connection, changes: &Changes) -> Result<()> {
    if !changes.new_users.is_empty() {
        let mut insert = conn.prepare_cached(
            "INSERT INTO \"user\" (user_id, name, email, password_hash, role, created_at, updated_at, signed_in_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?6)",
        )?;
        for user in &changes.new_users {
            insert.execute(params![
                user.user_id.0,
                user.name,
                user.email,
                user.password_hash,
                user.role.word(),
                changes.now.micros()
            ])?;
        }
    }
    for user in &changes.users {
        conn.prepare_cached(
            "UPDATE \"user\" SET name = ?2, email = ?3, role = ?4, status = ?5, sign_in_epoch = ?6, updated_at = ?7
             WHERE user_id = ?1",
        )?
        .execute(params![
            user.user_id.0,
            user.name,
            user.email,
            user.role.word(),
            user.status.word(),
            user.sign_in_epoch,
            user.updated_at.micros()
        ])
        .and_then(one)?;
    }
    for user in &changes.sign_ins {
        conn.prepare_cached("UPDATE \"user\" SET signed_in_at = ?2 WHERE user_id = ?1")?
            .execute((user.0, changes.now.micros()))
            .and_then(one)?;
    }
    for (user, hash) in &changes.new_passwords {
        conn.prepare_cached("UPDATE \"user\" SET password_hash = ?2 WHERE user_id = ?1")?
            .execute((user.0, &hash.0))
            .and_then(one)?;
    }
    for link in &changes.reset_links {
        conn.prepare_cached(
            "INSERT INTO reset_link (user_id, secret_hash, epoch, expires_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (user_id) DO UPDATE
             SET secret_hash = excluded.secret_hash, epoch = excluded.epoch, expires_at = excluded.expires_at",
        )?
        .execute(params![link.user_id.0, link.secret_hash, link.epoch, link.expires_at.micros()])?;
    }
    save_sessions(conn, changes)
}

fn save_sessions(conn: &Connection, changes: &Changes) -> Result<()> {
    for ended in &changes.ended_sessions {
        conn.prepare_cached("DELETE FROM session WHERE user_id = ?1 AND secret_hash IS NOT ?2")?
            .execute((ended.user_id.0, ended.kept))?;
    }
    if !changes.closed_sessions.is_empty() {
        let mut delete = conn.prepare_cached("DELETE FROM session WHERE secret_hash = ?1")?;
        for secret_hash in &changes.closed_sessions {
            delete.execute((secret_hash,))?;
        }
    }
    if !changes.new_sessions.is_empty() {
        let mut insert = conn.prepare_cached(
            "INSERT INTO session (secret_hash, user_id, role, expires_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (secret_hash) DO UPDATE
             SET user_id = excluded.user_id, role = excluded.role, expires_at = excluded.expires_at",
        )?;
        for session in &changes.new_sessions {
            insert.execute(params![
                session.secret_hash,
                session.user_id.0,
                session.role.word(),
                session.expires_at.micros()
            ])?;
        }
    }
    Ok(())
}

fn save_rooms(conn: &Connection, changes: &Changes, highest: &BTreeMap<RoomId, Position>) -> Result<()> {
    for room in &changes.rooms.updated {
        update_room(conn, room)?;
    }
    for room in &changes.rooms.inserted {
        insert_room(conn, room)?;
    }
    for (room, cap) in &changes.caps {
        conn.prepare_cached("INSERT INTO room_cap (room_id, max_active, since) VALUES (?1, ?2, ?3)")?.execute((
            room.get(),
            cap,
            changes.now.micros(),
        ))?;
    }
    for (room, counts) in &changes.counts {
        conn.prepare_cached("UPDATE room SET active = ?2, offered = ?3 WHERE room_id = ?1")?
            .execute((room.get(), counts.active, counts.offered))
            .and_then(one)?;
    }
    for (room, change) in &changes.departed {
        conn.prepare_cached("UPDATE room SET active = active + ?2, offered = offered + ?3 WHERE room_id = ?1")?
            .execute((room.get(), change.active, change.offered))
            .and_then(one)?;
    }
    for (room, position) in &changes.highest {
        if highest.get(room).copied().unwrap_or(Position(0)) != *position {
            conn.prepare_cached("UPDATE room SET last_position = ?2 WHERE room_id = ?1")?
                .execute((room.get(), position.0))
                .and_then(one)?;
        }
    }
    Ok(())
}

fn update_room(conn: &Connection, room: &Room) -> Result<()> {
    conn.prepare_cached(
        "UPDATE room SET max_active = ?2, admit_per_minute = ?3, gate = ?4, message = ?5, cursor = ?6, epoch = ?7,
             no_show_ppm = ?8, credit_ppm = ?9, credit_at = ?10, updated_at = ?11, fence = ?12, opens_at = ?13,
             closes_at = ?14
         WHERE room_id = ?1",
    )?
    .execute(params![
        room.room_id.get(),
        room.max_active,
        room.admit_per_minute,
        room.gate.word(),
        room.message,
        room.cursor.0,
        room.epoch,
        room.no_show_ppm,
        room.credit_ppm,
        room.credit_at.micros(),
        room.updated_at.micros(),
        room.fence.0,
        room.opens_at.map(Time::micros),
        room.closes_at.map(Time::micros)
    ])
    .and_then(one)
}

pub(super) fn insert_room(conn: &Connection, room: &Room) -> Result<()> {
    conn.prepare_cached(
        "INSERT INTO room (room_id, max_active, admit_per_minute, gate, message, cursor, epoch, no_show_ppm,
             credit_ppm, credit_at, updated_at, fence, opens_at, closes_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(params![
        room.room_id.get(),
        room.max_active,
        room.admit_per_minute,
        room.gate.word(),
        room.message,
        room.cursor.0,
        room.epoch,
        room.no_show_ppm,
        room.credit_ppm,
        room.credit_at.micros(),
        room.updated_at.micros(),
        room.fence.0,
        room.opens_at.map(Time::micros),
        room.closes_at.map(Time::micros)
    ])
    .and_then(one)
}

fn save_concerts(conn: &Connection, concerts: &Saves<Concert>) -> Result<()> {
    for concert in &concerts.updated {
        conn.prepare_cached(
            "UPDATE concert SET title = ?2, artist = ?3, venue = ?4, opens_at = ?5, closes_at = ?6, status = ?7,
                 updated_at = ?8, time_zone = ?9, concert_date = ?10, start_time = ?11, end_time = ?12,
                 starts_at = ?13, base_price = ?14, ends_at = ?15, closing = ?16, status_reason = ?17,
                 refund_all_at = ?18, wound_up_at = ?19, room_id = ?20,
                 opened_at = ?21
             WHERE concert_id = ?1",
        )?
        .execute(params![
            concert.concert_id.get(),
            concert.title,
            concert.artist,
            concert.venue,
            concert.opens_at.micros(),
            concert.closes_at.micros(),
            concert.status.word(),
            concert.updated_at.micros(),
            concert.time_zone,
            concert.concert_date.to_string(),
            concert.start_time.to_string(),
            concert.end_time.to_string(),
            concert.starts_at.micros(),
            concert.base_price.get(),
            concert.ends_at.micros(),
            concert.closing.word(),
            concert.status_reason,
            concert.refund_all_at.map(Time::micros),
            concert.wound_up_at.map(Time::micros),
            concert.room_id.get(),
            concert.opened_at.map(Time::micros)
        ])
        .and_then(one)?;
    }
    for concert in &concerts.inserted {
        conn.prepare_cached(
            "INSERT INTO concert (concert_id, title, artist, venue, time_zone, concert_date, start_time, end_time,
                 starts_at, base_price, opens_at, closes_at, room_id, status, created_at, updated_at, ends_at, closing,
                 status_reason, refund_all_at, wound_up_at, opened_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)",
        )?
        .execute(params![
            concert.concert_id.get(),
            concert.title,
            concert.artist,
            concert.venue,
            concert.time_zone,
            concert.concert_date.to_string(),
            concert.start_time.to_string(),
            concert.end_time.to_string(),
            concert.starts_at.micros(),
            concert.base_price.get(),
            concert.opens_at.micros(),
            concert.closes_at.micros(),
            concert.room_id.get(),
            concert.status.word(),
            concert.created_at.micros(),
            concert.updated_at.micros(),
            concert.ends_at.micros(),
            concert.closing.word(),
            concert.status_reason,
            concert.refund_all_at.map(Time::micros),
            concert.wound_up_at.map(Time::micros),
            concert.opened_at.map(Time::micros)
        ])?;
    }
    Ok(())
}

fn save_seats(conn: &Connection, changes: &Changes) -> Result<()> {
    for removed in &changes.removed_seats {
        conn.prepare_cached("DELETE FROM seat WHERE seat_id = ?1")?.execute((removed.seat_id.get(),)).and_then(one)?;
    }
    if !changes.seats.updated.is_empty() {
        let mut update = conn.prepare_cached(
            "UPDATE seat SET status = ?2, reservation_id = ?3, blocked_reason = ?4, updated_at = ?5, let_go_by = ?6,
                 let_go_at = ?7, was_held = ?8
             WHERE seat_id = ?1",
        )?;
        for seat in &changes.seats.updated {
            update
                .execute((
                    seat.seat_id.get(),
                    seat.status().word(),
                    seat.reservation_id().map(ReservationId::get),
                    &seat.blocked_reason(),
                    seat.updated_at.micros(),
                    seat.let_go().map(|let_go| let_go.user_id.0),
                    seat.let_go().map(|let_go| let_go.at.micros()),
                    seat.was_held,
                ))
                .and_then(one)?;
        }
    }
    insert_seats(conn, &changes.seats.inserted)?;
    for seat in &changes.changed_seats {
        conn.prepare_cached(
            "UPDATE seat SET price = ?2, section = ?3, \"row\" = ?4, number = ?5, grade = ?6 WHERE seat_id = ?1",
        )?
        .execute(params![
            seat.seat_id.get(),
            seat.price.get(),
            seat.label.section,
            seat.label.row,
            seat.label.number,
            seat.label.grade
        ])
        .and_then(one)?;
    }
    Ok(())
}

fn insert_seats(conn: &Connection, seats: &[Seat]) -> Result<()> {
    if seats.is_empty() {
        return Ok(());
    }
    let mut insert = conn.prepare_cached(
        "INSERT INTO seat (seat_id, concert_id, seat_number, price, status, reservation_id, blocked_reason, section,
             \"row\", number, grade, let_go_by, let_go_at, was_held, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?15)",
    )?;
    for seat in seats {
        insert.execute(params![
            seat.seat_id.get(),
            seat.concert_id.get(),
            seat.seat_number,
            seat.price.get(),
            seat.status().word(),
            seat.reservation_id().map(ReservationId::get),
            seat.blocked_reason(),
            seat.label.section,
            seat.label.row,
            seat.label.number,
            seat.label.grade,
            seat.let_go().map(|let_go| let_go.user_id.0),
            seat.let_go().map(|let_go| let_go.at.micros()),
            seat.was_held,
            seat.updated_at.micros()
        ])?;
    }
    Ok(())
}

fn save_reservations(conn: &Connection, reservations: &Saves<Reservation>) -> Result<()> {
    if !reservations.updated.is_empty() {
        // Two statements, so that a payment does not touch the indexes on `closed_at`.
        let mut confirm = conn.prepare_cached(
            "UPDATE reservation SET status = 'confirmed', confirmed_at = ?2 WHERE reservation_id = ?1",
        )?;
        let mut close = conn.prepare_cached(
            "UPDATE reservation SET status = ?2, confirmed_at = ?3, closed_at = ?4 WHERE reservation_id = ?1",
        )?;
        for row in &reservations.updated {
            let id = row.reservation_id.get();
            let confirmed_at = row.confirmed_at().map(Time::micros);
            if row.status() == ReservationStatus::Confirmed {
                confirm.execute((id, confirmed_at)).and_then(one)?;
            } else {
                let closed_at = row.closed_at().map(Time::micros);
                close.execute((id, row.status().word(), confirmed_at, closed_at)).and_then(one)?;
            }
        }
    }
    if !reservations.inserted.is_empty() {
        let mut insert = conn.prepare_cached(
            "INSERT INTO reservation (reservation_id, user_id, concert_id, seat_id, seat_number, price, status,
                 created_at, expires_at, confirmed_at, closed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?;
        for row in &reservations.inserted {
            insert.execute((
                row.reservation_id.get(),
                row.user_id.0,
                row.concert_id.get(),
                row.seat_id.get(),
                row.seat_number,
                row.price.get(),
                row.status().word(),
                row.created_at.micros(),
                row.expires_at.micros(),
                row.confirmed_at().map(Time::micros),
                row.closed_at().map(Time::micros),
            ))?;
        }
    }
    Ok(())
}

fn save_payments(conn: &Connection, payments: &Saves<Payment>) -> Result<()> {
    if !payments.updated.is_empty() {
        let mut update =
            conn.prepare_cached("UPDATE payment SET status = ?2, refunded_at = ?3 WHERE payment_id = ?1")?;
        for payment in &payments.updated {
            let refunded_at = payment.refunded_at.map(Time::micros);
            update.execute((payment.payment_id.get(), payment.status.word(), refunded_at)).and_then(one)?;
        }
    }
    if !payments.inserted.is_empty() {
        let mut insert = conn.prepare_cached(
            "INSERT INTO payment (payment_id, user_id, reservation_id, amount, status, paid_at, refunded_at, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        for payment in &payments.inserted {
            insert.execute((
                payment.payment_id.get(),
                payment.user_id.0,
                payment.reservation_id.get(),
                payment.amount.get(),
                payment.status.word(),
                payment.paid_at.micros(),
                payment.refunded_at.map(Time::micros),
                payment.created_at.micros(),
            ))?;
        }
    }
    Ok(())
}

fn save_points(conn: &Connection, points: &Saves<Point>) -> Result<()> {
    if !points.updated.is_empty() {
        let mut update =
            conn.prepare_cached("UPDATE point SET amount = ?2, version = ?3, last_updated = ?4 WHERE point_id = ?1")?;
        for point in &points.updated {
            update
                .execute((point.point_id.get(), point.amount.get(), point.version, point.last_updated.micros()))
                .and_then(one)?;
        }
    }
    if !points.inserted.is_empty() {
        let mut insert = conn.prepare_cached(
            "INSERT INTO point (point_id, user_id, amount, version, last_updated, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for point in &points.inserted {
            insert.execute((
                point.point_id.get(),
                point.user_id.0,
                point.amount.get(),
                point.version,
                point.last_updated.micros(),
                point.created_at.micros(),
            ))?;
        }
    }
    Ok(())
}

fn save_history(conn: &Connection, history: &[PointEntry]) -> Result<()> {
    if history.is_empty() {
        return Ok(());
    }
    let mut insert = conn.prepare_cached(
        "INSERT INTO point_history (history_id, user_id, amount, type, description, balance_after, version,
             payment_id, reference, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for entry in history {
        insert.execute((
            entry.history_id.get(),
            entry.user_id.0,
            entry.amount.get(),
            entry.kind.word(),
            &entry.description,
            entry.balance_after.get(),
            entry.version,
            entry.payment_id.map(PaymentId::get),
            &entry.reference,
            entry.created_at.micros(),
        ))?;
    }
    Ok(())
}

fn save_debts(conn: &Connection, debts: &Saves<Debt>) -> Result<()> {
    for debt in &debts.updated {
        conn.prepare_cached("UPDATE debt SET status = ?2, settled_at = ?3 WHERE debt_id = ?1")?
            .execute((debt.debt_id.get(), debt.status.word(), debt.settled_at.map(Time::micros)))
            .and_then(one)?;
    }
    for debt in &debts.inserted {
        conn.prepare_cached(
            "INSERT INTO debt (debt_id, user_id, amount, reason, reference, status, created_at, settled_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute((
            debt.debt_id.get(),
            debt.user_id.0,
            debt.amount.get(),
            &debt.reason,
            &debt.reference,
            debt.status.word(),
            debt.created_at.micros(),
            debt.settled_at.map(Time::micros),
        ))?;
    }
    Ok(())
}

fn save_tokens(conn: &Connection, tokens: &Saves<Token>, active: &HashSet<TokenId>) -> Result<()> {
    let micros = |time: Option<Time>| time.map(Time::micros);
    if !tokens.updated.is_empty() {
        // If a token stays active, only its deadline and its number of holds can change. This update leaves the indexes
        // on the status alone.
        let mut renew = conn.prepare_cached(
            "UPDATE waiting_token SET deadline = ?3, holds = ?4 WHERE room_id = ?1 AND position = ?2",
        )?;
        let mut update = conn.prepare_cached(
            "UPDATE waiting_token
             SET status = ?3, activated_at = ?4, deadline = ?5, expired_at = ?6, end_reason = ?7, turns_passed = ?8,
                 holds = ?9
             WHERE room_id = ?1 AND position = ?2",
        )?;
        for token in &tokens.updated {
            let (room, position) = (token.id.room_id.get(), token.id.position.0);
            if token.status() == TokenStatus::Active && active.contains(&token.id) {
                renew.execute((room, position, micros(token.deadline()), token.holds)).and_then(one)?;
            } else {
                update
                    .execute((
                        room,
                        position,
                        token.status().word(),
                        micros(token.activated_at()),
                        micros(token.deadline()),
                        micros(token.expired_at()),
                        token.end_reason().map(EnumText::word),
                        token.turns_passed,
                        token.holds,
                    ))
                    .and_then(one)?;
            }
        }
    }
    if !tokens.inserted.is_empty() {
        let mut insert = conn.prepare_cached(
            "INSERT INTO waiting_token (room_id, position, user_id, status, issued_at, activated_at, deadline,
                 expired_at, end_reason, turns_passed, holds)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?;
        for token in &tokens.inserted {
            insert.execute((
                token.id.room_id.get(),
                token.id.position.0,
                token.user_id.0,
                token.status().word(),
                token.issued_at.micros(),
                micros(token.activated_at()),
                micros(token.deadline()),
                micros(token.expired_at()),
                token.end_reason().map(EnumText::word),
                token.turns_passed,
                token.holds,
            ))?;
        }
    }
    Ok(())
}

fn save_audit(conn: &Connection, changes: &Changes) -> Result<()> {
    for entry in &changes.audit {
        conn.prepare_cached(
            "INSERT INTO audit_log (audit_id, actor, action, object, detail, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((
            entry.audit_id.get(),
            entry.actor.map(|user| user.0),
            &entry.action,
            &entry.object,
            entry.detail.to_string(),
            entry.created_at.micros(),
        ))?;
    }
    Ok(())
}

fn save_answers(conn: &Connection, changes: &Changes) -> Result<()> {
    if changes.kept.is_empty() {
        return Ok(());
    }
    let mut insert =
        conn.prepare_cached("INSERT INTO idempotency (created_at, key, fingerprint, answer) VALUES (?1, ?2, ?3, ?4)")?;
    for kept in &changes.kept {
        let idempotency = &kept.idempotency;
        insert.execute((kept.created_at.micros(), idempotency.key, idempotency.fingerprint, &kept.answer))?;
    }
    Ok(())
}
