//! The statements of a batch, in their order, which makes it correct.
//!
//! The server runs the statements of a round trip one after the other, and each sees the commits before its own start
//! (READ COMMITTED).

use super::{
    clock,
    connect::PooledConnection,
    load_plan::LoadPlan,
    loads::Loads,
    saves::SavePipeline,
    tables::{
        account_link, audit_feed, audit_log, concert, concert_details, debt, draw, idempotency, lane_guest, line_block,
        outbox, outbox_lease, payment, point, point_history, poster, reservation, room, seat, second_factor, session,
        token, user,
    },
};
use frontrow_domain::{changes::Changes, id::TokenId};
use std::collections::HashSet;

/// Loads the rows that a batch names, and the rows that depend on them: the same rows as `Model::load` of the domain.
/// `given` is the test's time, if a test gives one.
///
/// A cap holds because an active token counts until a batch has ended its row. A batch that offers or claims turns
/// locks the room's row, and ends an overdue token only under the lock on that token, for which it competes with a late
/// heartbeat. A batch that ends tokens without the room's row only frees capacity.
pub(super) fn load<'a>(session: &'a PooledConnection<'a>, plan: &'a LoadPlan, given: Option<i64>) -> Loads<'a> {
    let mut loads = Loads::begin(session);

    // Rows that may change are locked table by table in one order for all batches, and by ascending key in each table.
    // Two batches can wait for each other, but never in a circle.
    user::lock(&mut loads, plan);
    room::lock(&mut loads, plan);
    line_block::lock(&mut loads, plan);
    token::lock(&mut loads, plan, given);
    point::lock(&mut loads, plan);
    seat::lock(&mut loads, plan);
    concert::lock(&mut loads, plan);
    outbox_lease::lock(&mut loads, plan);
    outbox::lock(&mut loads, plan);

    // Then come the reads without a lock: a transaction that has released a lock has committed, so its rows are
    // visible. A reservation and a payment are covered by the lock on their seat, a user's live reservations by the
    // lock on their token, the counts of a room by the lock on the room, due events and the end of the feed by the lock
    // on the lease.
    draw::load(&mut loads, plan);
    concert::load(&mut loads, plan);
    concert_details::load(&mut loads, plan);
    poster::load(&mut loads, plan);
    reservation::load(&mut loads, plan);
    payment::load(&mut loads, plan);
    user::load(&mut loads, plan);
    account_link::load(&mut loads, plan);
    second_factor::load(&mut loads, plan);
    session::load(&mut loads, plan);
    line_block::load(&mut loads, plan);
    lane_guest::load(&mut loads, plan);
    point_history::load(&mut loads, plan);
    debt::load(&mut loads, plan);
    seat::load_places(&mut loads, plan);
    outbox::load(&mut loads, plan, given);
    audit_feed::load(&mut loads, plan);
    idempotency::load(&mut loads, plan);
    room::draw_positions(&mut loads, plan);
    room::reserve_behind_entries(&mut loads, plan);
    seat::draw_ids(&mut loads, plan);
    outbox::draw_ids(&mut loads, plan);
    // Before the departures of counted rooms are taken.
    room::load_sharing(&mut loads, plan);
    room::load_budget(&mut loads, plan);
    room::take_departures(&mut loads, plan);

    // The clock is read last, with the ids for new rows: whatever freed capacity by then did so before that time.
    clock::load(&mut loads, plan, given);
    loads
}

/// Saves the changes of a batch. `active` are the tokens that were active before it, `alive` those that were checked as
/// possibly overdue and are not.
///
/// Each row comes before those that refer to it. In each table the updates come before the inserts: an old reservation
/// of a seat ends before a new one begins. Points are the exception: their history refers to new accounts and is
/// checked more cheaply before the old ones change.
pub(super) fn save<'a>(
    session: &'a PooledConnection<'a>,
    changes: &'a Changes,
    active: &HashSet<TokenId>,
    alive: &[TokenId],
) -> SavePipeline<'a> {
    let mut saves = SavePipeline::new(session);
    user::save(&mut saves, changes);
    account_link::upsert(&mut saves, changes);
    second_factor::save(&mut saves, changes);
    session::save(&mut saves, changes);
    room::save(&mut saves, changes);
    draw::save(&mut saves, changes);
    concert::save(&mut saves, changes);
    concert_details::upsert(&mut saves, changes);
    poster::save(&mut saves, changes);
    seat::replace(&mut saves, changes);
    reservation::save(&mut saves, changes);
    payment::save(&mut saves, changes);
    point::insert(&mut saves, changes);
    point_history::insert(&mut saves, changes);
    point::update(&mut saves, changes);
    debt::save(&mut saves, changes);
    seat::update(&mut saves, changes);
    line_block::save(&mut saves, changes);
    lane_guest::save(&mut saves, changes);
    token::save(&mut saves, changes, active);
    token::put_off(&mut saves, changes, alive);
    room::save_counts(&mut saves, changes);
    audit_log::insert(&mut saves, changes);
    audit_feed::insert(&mut saves, changes);
    outbox::save(&mut saves, changes);
    outbox_lease::save(&mut saves, changes);
    idempotency::insert(&mut saves, changes);
    saves
}
