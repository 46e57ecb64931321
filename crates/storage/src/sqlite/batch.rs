//! The statements of a batch, in their order.

use super::tables::{
    account_link, audit_feed, audit_log, concert, concert_details, debt, draw, idempotency, lane_guest, line_block,
    outbox, outbox_lease, payment, point, point_history, poster, reservation, room, seat, second_factor, session,
    token, user,
};
use frontrow_domain::{
    changes::Changes,
    footprint::Footprint,
    id::{Position, RoomId, TokenId},
    sale::Seat,
    world::{NextIds, Numbers, World},
};
use rusqlite::{Connection, Result};
use std::collections::{BTreeMap, HashSet};

/// Loads the rows that `keys` name into `world`, and the rows that depend on them: the same rows as `Model::load` of the
/// domain. `highest` are the highest positions in the database. Returns the tokens that were active before the batch.
pub(super) fn load(
    conn: &Connection,
    world: &mut World,
    keys: &Footprint,
    highest: &BTreeMap<RoomId, Position>,
) -> Result<HashSet<TokenId>> {
    idempotency::load(conn, world, &keys.idempotency)?;
    user::load(conn, world, keys)?;
    account_link::load(conn, world, &keys.links)?;
    second_factor::load(conn, world, &keys.factors)?;
    session::load(conn, world, &keys.sessions)?;
    point_history::load(conn, world, keys)?;
    debt::load(conn, world, keys)?;
    room::load(conn, world, &keys.rooms, highest)?;
    draw::load(conn, world, &keys.draws)?;
    line_block::load(conn, world, &keys.places)?;
    lane_guest::load(conn, world, &keys.guests)?;
    let mut active = HashSet::with_capacity(keys.tokens.len());
    token::load(conn, world, keys, &mut active)?;
    room::load_sharing(conn, world, keys, highest)?;
    if keys.reads_budget() {
        room::load_budget(conn, world)?;
    }
    for room in &keys.counted {
        if world.counts(*room).is_none() {
            room::load_counts(conn, world, *room)?;
            token::load_overdue(conn, world, *room, &mut active)?;
            token::load_claimed(conn, world, *room)?;
        }
    }
    for (room, limit) in &keys.advanced {
        token::load_line(conn, world, *room, *limit)?;
    }
    load_sale(conn, world, keys)?;
    concert_details::load(conn, world, &keys.details)?;
    poster::load(conn, world, &keys.posters)?;
    seat::load_places(conn, world, keys)?;
    outbox_lease::load(conn, world, &keys.leases)?;
    outbox::load(conn, world, keys)?;
    audit_feed::load(conn, world, &keys.fed)?;
    Ok(active)
}

/// A payment brings its reservation and its user's points, a reservation its seat, and a seat its concert and the
/// reservation that has it.
fn load_sale(conn: &Connection, world: &mut World, keys: &Footprint) -> Result<()> {
    payment::load(conn, world, &keys.payments)?;
    let payments = || keys.payments.iter().filter_map(|id| world.payments.get(*id));
    let mut reservations: Vec<_> = payments().map(|payment| payment.reservation_id).collect();
    let mut points: Vec<_> = payments().map(|payment| payment.user_id).collect();
    reservations.extend(&keys.reservations);
    points.extend(&keys.points);

    reservation::load(conn, world, &reservations)?;
    let seats_of = reservations.iter().filter_map(|id| world.reservations.get(*id)).map(|row| row.seat_id);
    let seats: Vec<_> = seats_of.chain(keys.seats.iter().copied()).collect();

    seat::load(conn, world, &seats)?;
    let reserved: Vec<_> = world.seats.iter().filter_map(Seat::reservation_id).collect();
    reservation::load(conn, world, &reserved)?;
    let concerts_of = world.seats.iter().map(|seat| seat.concert_id);
    let concerts: Vec<_> = concerts_of.chain(keys.concerts.iter().copied()).collect();

    concert::load(conn, world, &concerts)?;
    reservation::load_holdings(conn, world, &keys.holdings)?;
    point::load(conn, world, &points)
}

/// The ids of the next rows.
pub(super) fn next_ids(conn: &Connection) -> Result<NextIds> {
    let from = |sql: &str| conn.prepare_cached(sql)?.query_row((), |row| row.get(0)).map(Numbers::counted_from);
    Ok(NextIds {
        concert: from("SELECT coalesce(max(concert_id), 0) + 1 FROM concert")?,
        // Between the numbers of concerts and those of lanes: `CONCERTS_MAX` and `SITES_MAX` of the domain.
        room: from(
            "SELECT coalesce(max(room_id) - 1000000000, 0) + 1 FROM room
              WHERE room_id BETWEEN 1000000001 AND 2000000000",
        )?,
        seat: from("SELECT max(highest, (SELECT coalesce(max(seat_id), 0) FROM seat)) + 1 FROM seat_ids")?,
        reservation: from("SELECT coalesce(max(reservation_id), 0) + 1 FROM reservation")?,
        payment: from("SELECT coalesce(max(payment_id), 0) + 1 FROM payment")?,
        point: from("SELECT coalesce(max(point_id), 0) + 1 FROM point")?,
        history: from("SELECT coalesce(max(history_id), 0) + 1 FROM point_history")?,
        audit: from("SELECT coalesce(max(audit_id), 0) + 1 FROM audit_log")?,
        debt: from("SELECT coalesce(max(debt_id), 0) + 1 FROM debt")?,
        // The rows of delivered events are gone.
        event: from("SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'outbox'")?,
    })
}

/// Writes all of `changes`. `highest` are the highest positions in the database, `active` the tokens that were active
/// before the batch.
///
/// Each row comes before those that refer to it. In each table the updates come before the inserts: an old reservation
/// of a seat ends before a new one begins.
pub(super) fn save(
    conn: &Connection,
    changes: &Changes,
    highest: &BTreeMap<RoomId, Position>,
    active: &HashSet<TokenId>,
) -> Result<()> {
    user::save(conn, changes)?;
    account_link::upsert(conn, changes)?;
    second_factor::save(conn, changes)?;
    session::save(conn, changes)?;
    room::save(conn, changes, highest)?;
    draw::save(conn, changes)?;
    concert::save(conn, changes)?;
    concert_details::upsert(conn, changes)?;
    poster::save(conn, changes)?;
    seat::save(conn, changes)?;
    reservation::save(conn, changes)?;
    payment::save(conn, changes)?;
    point::save(conn, changes)?;
    point_history::insert(conn, changes)?;
    debt::save(conn, changes)?;
    line_block::save(conn, changes)?;
    lane_guest::save(conn, changes)?;
    token::save(conn, changes, active)?;
    audit_log::insert(conn, changes)?;
    audit_feed::insert(conn, changes)?;
    outbox::save(conn, changes)?;
    outbox_lease::save(conn, changes)?;
    idempotency::insert(conn, changes)
}
