//! Builds the world that a batch is decided in from the loaded rows.

use super::{
    batch::{Found, Load},
    columns::{self as rows, Hash, time, user_id},
    load_plan::LoadPlan,
    unanswered_commit::Transaction,
};
use frontrow_domain::{
    command::{Idempotency, IdempotencyRecord},
    id::{ConcertId, Position, ReservationId, RoomId, SeatId, TokenId, UserId},
    policy::Policy,
    queue::{Token, TokenStatus, first_due, is_live_token},
    time::Time,
    world::{NextIds, Numbers, RoomCounts, World},
};
use std::collections::{HashMap, HashSet};
use tokio_postgres::{Error, Row};

/// A world, and the context needed to save it.
pub(super) struct LoadedWorld {
    pub(super) world: World,
    /// Tokens that were active before the batch.
    pub(super) active: HashSet<TokenId>,
    /// Active tokens that were checked as possibly overdue and are not: they are checked again once they may be.
    pub(super) alive: Vec<TokenId>,
    /// The transaction that loaded it.
    pub(super) transaction: Transaction,
}

type Loaded = (Token, Found);

/// The counts in the row of a locked room, and how much they have changed since.
type Counts = HashMap<RoomId, (RoomCounts, RoomCounts)>;

/// Builds the world from `loads`.
pub(super) fn build_world(loads: &[(Load, Vec<Row>)], wanted: &LoadPlan, policy: Policy) -> Result<LoadedWorld, Error> {
    let mut world = World::new(Time::default(), policy, NextIds::default());
    let mut tokens: Vec<Loaded> = Vec::new();
    let mut transaction = Transaction::default();
    let mut counts = Counts::new();
    for (kind, rows) in loads {
        for row in rows {
            match kind {
                Load::Tokens => {
                    let token = rows::token(row)?;
                    tokens.push((token, Found::of(row.try_get(11)?)));
                }
                Load::Departed => {
                    counts.entry(RoomId::new(row.try_get(0)?)).or_default().1 = room_counts(row)?;
                }
                Load::Clock => {
                    set_clock(&mut world, row)?;
                    transaction = Transaction::of_row(row, 8)?;
                }
                Load::Rooms => {
                    let room = rows::room(row)?;
                    counts.entry(room.room_id).or_default().0 = room_counts(row)?;
                    world.rooms.load(room.room_id, room);
                }
                _ => put(&mut world, *kind, row)?,
            }
        }
    }
    let mut active = HashSet::new();
    for (token, _) in &tokens {
        if token.status() == TokenStatus::Active {
            active.insert(token.id);
        }
        world.load_token(*token);
    }
    for room in wanted.counted.iter().map(|room| RoomId::new(*room)) {
        let (in_row, since) = counts.get(&room).copied().unwrap_or_default();
        world.load_counts(room, in_row, since);
    }
    fill_places(&mut world, &tokens, wanted);
    fill_lines(&mut world, &tokens, wanted);
    fill_holdings(&mut world, wanted);
    let is_alive = |(token, found): &&Loaded| {
        *found == Found::MayBeOverdue && token.status() == TokenStatus::Active && !token.is_overdue(world.now)
    };
    let alive = tokens.iter().filter(is_alive).map(|(token, _)| token.id).collect();
    Ok(LoadedWorld { world, active, alive, transaction })
}

fn put(world: &mut World, kind: Load, row: &Row) -> Result<(), Error> {
    match kind {
        Load::Users => {
            let user = rows::user(row)?;
            world.users.load(user.user_id, user);
        }
        Load::Joined => {
            let room = rows::room(row)?;
            let positions: Vec<i64> = row.try_get(14)?;
            world.positions.insert(room.room_id, positions.into_iter().map(Position).collect());
            world.rooms.load(room.room_id, room);
        }
        Load::Points => {
            let point = rows::point(row)?;
            world.points.load(point.user_id, point);
        }
        Load::Seats => {
            let seat = rows::seat(row)?;
            world.seats.load(seat.seat_id, seat);
        }
        Load::Concerts => {
            let concert = rows::concert(row)?;
            world.concerts.load(concert.concert_id, concert);
        }
        Load::Reservations => {
            let reservation = rows::reservation(row)?;
            world.reservations.load(reservation.reservation_id, reservation);
        }
        Load::Payments => {
            let payment = rows::payment(row)?;
            world.payments.load(payment.payment_id, payment);
        }
        Load::Kept => {
            let [key, fingerprint] = [row.try_get::<_, Hash>(0)?.0, row.try_get::<_, Hash>(1)?.0];
            let idempotency = Idempotency { key, fingerprint };
            world.kept.load(key, IdempotencyRecord { idempotency, answer: row.try_get(2)?, created_at: time(row, 3)? });
        }
        Load::ResetLinks => {
            let link = rows::reset_link(row)?;
            world.reset_links.load(link.user_id, link);
        }
        Load::Emails => {
            world.emails.insert(row.try_get(0)?, user_id(row, 1)?);
        }
        Load::References => {
            world.references.insert(row.try_get(0)?);
        }
        Load::Adjustments => {
            world.adjustments.insert((user_id(row, 0)?, row.try_get(1)?));
        }
        Load::Debts => {
            let debt = rows::debt(row)?;
            world.debts.load(debt.debt_id, debt);
        }
        Load::SeatNumbers => {
            world.seat_numbers.insert((ConcertId::new(row.try_get(0)?), row.try_get(1)?));
        }
        Load::SeatPlaces => {
            let concert = ConcertId::new(row.try_get(3)?);
            world.seat_places.entry(concert).or_default().insert(rows::seat_place(row)?);
        }
        Load::HighestSeats => {
            world.highest_seats.insert(ConcertId::new(row.try_get(0)?), row.try_get(1)?);
        }
        Load::SeatIds => world.next_ids.seat = Numbers::counted_from(row.try_get(0)?),
        Load::Begin | Load::Tokens | Load::Rooms | Load::Departed | Load::Clock => {}
    }
    Ok(())
}

fn room_counts(row: &Row) -> Result<RoomCounts, Error> {
    Ok(RoomCounts { active: row.try_get("active")?, offered: row.try_get("offered")? })
}

fn set_clock(world: &mut World, row: &Row) -> Result<(), Error> {
    world.now = time(row, 0)?;
    let ids = |column: usize| row.try_get(column).map(Numbers::reserved);
    world.next_ids.reservation = ids(1)?;
    world.next_ids.payment = ids(2)?;
    world.next_ids.history = ids(3)?;
    world.next_ids.point = ids(4)?;
    world.next_ids.audit = ids(5)?;
    world.next_ids.concert = ids(6)?;
    world.next_ids.debt = ids(7)?;
    Ok(())
}

fn fill_places(world: &mut World, tokens: &[Loaded], wanted: &LoadPlan) {
    if wanted.place_users.is_empty() {
        return;
    }
    let places = wanted.places();
    for (token, _) in tokens {
        let place = (token.user_id, token.id.room_id);
        // It may have ended between the lookup and the lock.
        if is_live_token(token) && places.contains(&place) {
            world.places.insert(place, token.id);
        }
    }
}

fn fill_lines(world: &mut World, tokens: &[Loaded], wanted: &LoadPlan) {
    for room in wanted.counted.iter().map(|room| RoomId::new(*room)) {
        let now = world.now;
        let is_overdue =
            |token: &Token| token.id.room_id == room && token.status() == TokenStatus::Active && token.is_overdue(now);
        let overdue = tokens.iter().filter(|(token, _)| is_overdue(token)).map(|(token, _)| token.id);
        world.overdue.insert(room, overdue.collect());
    }
    for room in &wanted.advanced {
        let room = RoomId::new(*room);
        let of_room = || tokens.iter().filter(|(token, _)| token.id.room_id == room);
        let due = first_due(of_room().map(|(token, _)| *token).filter(|token| token.is_overdue(world.now)).collect());
        // A token that left the head while the batch waited for its lock is skipped.
        let mut head: Vec<TokenId> = of_room()
            .filter(|(token, found)| *found == Found::Head && token.status() == TokenStatus::Waiting)
            .map(|(token, _)| token.id)
            .collect();
        head.sort_unstable();
        world.due.insert(room, due.iter().map(|token| token.id).collect());
        world.head.insert(room, head);
    }
}

fn fill_holdings(world: &mut World, wanted: &LoadPlan) {
    if wanted.holders.is_empty() {
        return;
    }
    let mut live: HashMap<(UserId, ConcertId), Vec<ReservationId>> = HashMap::new();
    for (user, seat) in &wanted.keys.holdings {
        if let Some(concert) = world.seats.get(SeatId::new(seat.get())).map(|seat| seat.concert_id) {
            live.entry((*user, concert)).or_default();
        }
    }
    for reservation in world.reservations.iter().filter(|row| row.is_live(world.now)) {
        if let Some(ids) = live.get_mut(&(reservation.user_id, reservation.concert_id)) {
            ids.push(reservation.reservation_id);
        }
    }
    for ids in live.values_mut() {
        ids.sort_unstable();
    }
    world.holdings = live;
}
