use crate::{
    command::{Decision, Outcome},
    decide::{
        operators::{check_has_reason, check_named_once, check_reason, check_system, with_reason},
        tokens::check_service,
    },
    id::{ReservationId, SeatId, TokenId, UserId},
    refusal::{EntityKind, Refusal},
    sale::{Concert, LetGo, Reservation, ReservationState, Seat, SeatAction, SeatState},
    user::Caller,
    world::World,
};
use serde_json::{Map, json};

pub(super) fn hold(world: &mut World, caller: Caller, token_id: TokenId, seat_ids: &[SeatId]) -> Decision {
    let Some(user_id) = caller.user_id() else { return Err(Refusal::Forbidden) };
    let (now, policy) = (world.now, world.policy);
    let seats = wanted_seats(world, seat_ids)?;
    let concert = one_concert(world, &seats)?;
    let token = check_service(world, caller, token_id, concert.room_id)?;
    concert.check_on_sale(now)?;
    token.check_time_to_hold(now, &policy, &world.outages)?;
    for seat in &seats {
        check_free(world, seat, user_id)?;
    }
    // Refusals for the state of a seat come before those for the caller's history: the former may be answered from
    // memory (`seen`), which knows neither the last holder of the seat nor the token's holds.
    for seat in &seats {
        if let Some(let_go) = last_holder(world, seat) {
            let_go.check_cooled(seat.seat_id, user_id, now, policy.seat_cooldown)?;
        }
    }
    let concert_id = concert.concert_id;
    let held = live_seats(world, user_id, &concert);
    if held.saturating_add(seats.len()) > usize::try_from(policy.max_seats_per_user).unwrap_or(usize::MAX) {
        return Err(Refusal::TooManySeats { limit: policy.max_seats_per_user });
    }
    if token.holds >= policy.holds_per_turn {
        return Err(Refusal::TooManyHolds { limit: policy.holds_per_turn });
    }

    let expires_at = now.plus(policy.hold);
    let token = token.renewed(now, &policy, &world.outages)?.extended_for_hold(expires_at, &policy)?;
    let mut held = Vec::with_capacity(seats.len());
    for seat in seats {
        let overdue = seat.reservation_id();
        let free = if overdue.is_some() { seat.set(&SeatAction::FREE, None, now) } else { seat };
        let reservation_id = world.take_reservation_id();
        held.push((overdue, reservation_id, free.held(reservation_id, now)?));
    }

    let mut reservations = Vec::with_capacity(held.len());
    for (overdue, reservation_id, seat) in held {
        if let Some(overdue) = overdue {
            expire_overdue(world, overdue);
        }
        let reservation = Reservation {
            reservation_id,
            user_id,
            concert_id,
            seat_id: seat.seat_id,
            seat_number: seat.seat_number,
            price: seat.price,
            state: ReservationState::Pending,
            created_at: now,
            expires_at,
        };
        world.seats.put(seat.seat_id, seat);
        world.holdings.entry((user_id, concert_id)).or_default().push(reservation.reservation_id);
        world.reservations.put(reservation.reservation_id, reservation.clone());
        reservations.push(reservation);
    }
    world.put_token(token);
    Ok(Outcome::Held(reservations))
}

fn wanted_seats(world: &World, seat_ids: &[SeatId]) -> Result<Vec<Seat>, Refusal> {
    check_named_once(seat_ids, "A seat")?;
    seat_ids
        .iter()
        .map(|id| world.seats.get(*id).cloned().ok_or(Refusal::NotFound { what: EntityKind::Seat }))
        .collect()
}

fn one_concert(world: &World, seats: &[Seat]) -> Result<Concert, Refusal> {
    let Some(first) = seats.first() else { return Err(Refusal::NotFound { what: EntityKind::Seat }) };
    if seats.iter().any(|seat| seat.concert_id != first.concert_id) {
        return Err(Refusal::SeveralConcerts);
    }
    world.concerts.get(first.concert_id).cloned().ok_or(Refusal::NotFound { what: EntityKind::Concert })
}

/// The last holder of a free seat. An overdue hold counts, swept or not.
fn last_holder(world: &World, seat: &Seat) -> Option<LetGo> {
    let reservation = seat.reservation_id().and_then(|id| world.reservations.get(id));
    let overdue = reservation.filter(|row| row.is_overdue(world.now));
    overdue.map(|row| LetGo { user_id: row.user_id, at: row.expires_at }).or(seat.let_go())
}

/// A seat is free if it is available, or if its hold is overdue, swept or not.
fn check_free(world: &World, seat: &Seat, user_id: UserId) -> Result<(), Refusal> {
    let seat_id = seat.seat_id;
    match seat.state {
        SeatState::Available { .. } => Ok(()),
        SeatState::Sold { .. } => Err(Refusal::SeatSold { seat_id }),
        SeatState::Blocked { .. } => Err(Refusal::SeatBlocked { seat_id }),
        SeatState::Held { reservation_id } => match world.reservations.get(reservation_id) {
            Some(reservation) if reservation.is_overdue(world.now) => Ok(()),
            Some(reservation) if reservation.user_id == user_id => Err(Refusal::SeatHeldByYou {
                seat_id,
                reservation_id: reservation.reservation_id,
                held_until: reservation.expires_at,
            }),
            Some(reservation) => Err(Refusal::SeatHeld {
                seat_id,
                held_until: reservation.expires_at,
                holder: Some(reservation.user_id),
            }),
            None => Err(Refusal::SeatHeld { seat_id, held_until: world.now, holder: None }),
        },
    }
}

fn live_seats(world: &World, user_id: UserId, concert: &Concert) -> usize {
    world.holdings.get(&(user_id, concert.concert_id)).map_or(0, |ids| {
        ids.iter()
            .filter_map(|id| world.reservations.get(*id))
            .filter(|reservation| reservation.is_live(world.now))
            .count()
    })
}

/// Expires a reservation whose hold is overdue; any other stays. The caller updates the seat.
pub(super) fn expire_overdue(world: &mut World, id: ReservationId) -> Option<Reservation> {
    let expired = world.reservations.get(id)?.clone().expired(world.now)?;
    world.reservations.put(id, expired.clone());
    Some(expired)
}

/// Takes the seat from a reservation that has just been closed, if the seat still belongs to it. `by` is the caller
/// that ended the reservation: only if that is its own user does the cool-down apply.
pub(super) fn give_up_seat(world: &mut World, closed: &Reservation, action: &SeatAction, by: Caller) {
    let Some(seat) = world.seats.get(closed.seat_id).cloned() else { return };
    if seat.reservation_id() != Some(closed.reservation_id) {
        return;
    }
    let is_own = by.user_id() == Some(closed.user_id);
    let let_go = closed.closed_at().filter(|_| is_own).map(|at| LetGo { user_id: closed.user_id, at });
    world.seats.put(seat.seat_id, seat.set(action, let_go, world.now));
}

/// Takes the seat from a reservation that ended unpaid.
pub(super) fn give_up_unpaid(world: &mut World, ended: &Reservation, by: Caller) {
    let action = world.concerts.get(ended.concert_id).map_or(SeatAction::FREE, Concert::unpaid_seat);
    give_up_seat(world, ended, &action, by);
}

pub(super) fn cancel(world: &mut World, caller: Caller, id: ReservationId, reason: Option<&str>) -> Decision {
    let Some(reservation) = world.reservations.get(id).filter(|row| caller.may_act_for(row.user_id)).cloned() else {
        return Err(Refusal::NotFound { what: EntityKind::Reservation });
    };
    let before = reservation.status();
    let cancelled = reservation.cancelled(world.now)?;
    reason.map_or(Ok(()), check_reason)?;
    if caller.user_id() != Some(cancelled.user_id) {
        check_has_reason(caller, reason)?;
    }
    world.reservations.put(id, cancelled.clone());
    give_up_unpaid(world, &cancelled, caller);
    if caller.is_operator() {
        let detail = Map::from_iter([
            ("user_id".to_owned(), json!(cancelled.user_id)),
            ("seat_id".to_owned(), json!(cancelled.seat_id)),
            ("status".to_owned(), json!({ "from": before, "to": cancelled.status() })),
        ]);
        let detail = with_reason(detail, reason);
        world.add_audit(caller.user_id(), "reservation.cancel", format!("reservation {id}"), detail);
    }
    Ok(Outcome::Cancelled(cancelled))
}

pub(super) fn expire(world: &mut World, caller: Caller, ids: &[ReservationId]) -> Decision {
    check_system(caller)?;
    let mut swept = 0_u32;
    for id in ids {
        let Some(expired) = expire_overdue(world, *id) else { continue };
        give_up_unpaid(world, &expired, Caller::Buyer(expired.user_id));
        swept = swept.saturating_add(1);
    }
    Ok(Outcome::HoldsExpired(swept))
}
