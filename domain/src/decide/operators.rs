use crate::{
    command::{Decision, Outcome, RoomChange},
    decide::holds::expire_overdue,
    id::{ConcertId, RoomId, SeatId},
    money::Money,
    refusal::{Refusal, Thing},
    rules::{ADMIT_PER_MINUTE_MAX, AUDIT_RANGES_MAX, MAX_ACTIVE_MAX},
    seat::{NewSeat, Seat, SeatAction, SeatStatus},
    time::{Span, Time},
    user::Caller,
    world::World,
};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

pub(super) fn check_operator(caller: Caller) -> Result<(), Refusal> {
    if caller.runs_the_sale() { Ok(()) } else { Err(Refusal::Forbidden) }
}

pub(super) fn malformed(reason: impl Into<String>) -> Refusal {
    Refusal::Malformed { reason: reason.into() }
}

pub(super) fn add_seats(world: &mut World, caller: Caller, id: ConcertId, seats: &[NewSeat]) -> Decision {
    check_operator(caller)?;
    world.concerts.get(id).ok_or(Refusal::NotFound { what: Thing::Concert })?.check_takes_place()?;
    let mut numbers = HashSet::with_capacity(seats.len());
    for seat in seats {
        if seat.seat_number < 1 || seat.price <= Money::ZERO {
            return Err(malformed("A seat has a number of at least 1 and a price above zero."));
        }
        if !numbers.insert(seat.seat_number) || world.seat_numbers.contains(&(id, seat.seat_number)) {
            return Err(Refusal::SeatNumberTaken { seat_number: seat.seat_number });
        }
    }
    let first_seat_id = SeatId::new(world.next_ids.seat.peek());
    for new in seats {
        let seat = Seat {
            seat_id: world.take_seat_id(),
            concert_id: id,
            seat_number: new.seat_number,
            price: new.price,
            status: SeatStatus::Available,
            reservation_id: None,
            blocked_reason: None,
            updated_at: world.now,
            let_go: None,
        };
        world.add_seat(seat, new.label.clone());
    }
    let count = u32::try_from(seats.len()).unwrap_or(u32::MAX);
    let detail = json!({ "first_seat_id": first_seat_id, "count": count });
    world.add_audit(caller.user_id(), "seats.add", format!("concert {id}"), detail);
    Ok(Outcome::SeatsAdded { first_seat_id, count })
}

pub(super) fn set_seats(world: &mut World, caller: Caller, seat_ids: &[SeatId], action: &SeatAction) -> Decision {
    check_operator(caller)?;
    let mut named = HashSet::with_capacity(seat_ids.len());
    for id in seat_ids {
        if !named.insert(*id) {
            return Err(malformed("A seat is named twice."));
        }
        let Some(seat) = world.seats.get(*id) else { return Err(Refusal::NotFound { what: Thing::Seat }) };
        let overdue = seat
            .reservation_id
            .and_then(|reservation| world.reservations.get(reservation))
            .is_some_and(|reservation| reservation.is_overdue(world.now));
        if matches!(seat.status, SeatStatus::Held | SeatStatus::Sold) && !overdue {
            return Err(Refusal::SeatInUse { seat_id: *id });
        }
        if *action == SeatAction::Free
            && let Some(concert) = world.concerts.get(seat.concert_id)
        {
            concert.check_takes_place()?;
        }
    }
    for id in seat_ids {
        let Some(seat) = world.seats.get(*id).cloned() else { continue };
        if let Some(overdue) = seat.reservation_id {
            expire_overdue(world, overdue);
        }
        world.seats.put(*id, seat.set(action, world.now));
    }
    let count = u32::try_from(seat_ids.len()).unwrap_or(u32::MAX);
    let mut detail = seats_detail(seat_ids);
    let name = match action {
        SeatAction::Block { reason } => {
            detail.insert("reason".to_owned(), json!(reason));
            "seats.block"
        }
        SeatAction::Free => "seats.free",
    };
    world.add_audit(caller.user_id(), name, format!("{count} seats"), Value::Object(detail));
    Ok(Outcome::SeatsSet(count))
}

/// Seats for the audit log: how many, and their ids as ranges from the first to the last of neighbours.
fn seats_detail(seat_ids: &[SeatId]) -> Map<String, Value> {
    let mut ids: Vec<i64> = seat_ids.iter().map(|id| id.get()).collect();
    ids.sort_unstable();
    let mut ranges: Vec<[i64; 2]> = ids
        .chunk_by(|id, next| id.saturating_add(1) == *next)
        .filter_map(|run| Some([*run.first()?, *run.last()?]))
        .collect();
    let left_out = ranges.len().saturating_sub(AUDIT_RANGES_MAX);
    ranges.truncate(AUDIT_RANGES_MAX);
    let mut detail =
        Map::from_iter([("count".to_owned(), json!(ids.len())), ("seat_id_ranges".to_owned(), json!(ranges))]);
    if left_out > 0 {
        detail.insert("note".to_owned(), json!(format!("{left_out} more ranges are left out")));
    }
    detail
}

pub(super) fn check_max_active(max_active: i64) -> Result<(), Refusal> {
    if (0..=MAX_ACTIVE_MAX).contains(&max_active) {
        Ok(())
    } else {
        Err(malformed(format!("max_active is from 0 to {MAX_ACTIVE_MAX}.")))
    }
}

/// When a new version of a row was made. Of two versions the later is believed, so a database whose clock has gone back
/// must not make the new one the earlier.
pub(super) fn later(before: Time, now: Time) -> Time {
    now.max(before.plus(Span::from_micros(1)))
}

pub(super) fn set_room(world: &mut World, caller: Caller, id: RoomId, change: &RoomChange) -> Decision {
    check_operator(caller)?;
    let Some(mut room) = world.rooms.get(id).cloned() else {
        return Err(Refusal::NotFound { what: Thing::Room });
    };
    if let Some(max_active) = change.max_active {
        check_max_active(max_active)?;
    }
    if let Some(Some(per_minute)) = change.admit_per_minute
        && !(1..=ADMIT_PER_MINUTE_MAX).contains(&per_minute)
    {
        return Err(malformed(format!("admit_per_minute is from 1 to {ADMIT_PER_MINUTE_MAX}.")));
    }
    room.max_active = change.max_active.unwrap_or(room.max_active);
    room.admit_per_minute = change.admit_per_minute.unwrap_or(room.admit_per_minute);
    room.gate = change.gate.unwrap_or(room.gate);
    if let Some(message) = &change.message {
        room.message.clone_from(message);
    }
    room.updated_at = later(room.updated_at, world.now);
    if change.max_active.is_some() {
        world.note_cap(id, room.max_active);
    }
    world.rooms.put(id, room.clone());
    world.add_audit(caller.user_id(), "room.set", format!("room {id}"), json!(change));
    Ok(Outcome::Room(room))
}

pub(super) fn renew_line(world: &mut World, caller: Caller, id: RoomId) -> Decision {
    if caller != Caller::System {
        return Err(Refusal::Forbidden);
    }
    let Some(mut room) = world.rooms.get(id).cloned() else {
        return Err(Refusal::NotFound { what: Thing::Room });
    };
    room.epoch = room.epoch.saturating_add(1);
    room.updated_at = world.now;
    world.rooms.put(id, room.clone());
    world.add_audit(None, "line.renew", format!("room {id}"), json!({ "epoch": room.epoch }));
    Ok(Outcome::Room(room))
}
