//! Seats: added, blocked and freed, changed, removed.

use super::{
    holds::expire_overdue,
    operators::{
        check_has_reason, check_named_once, check_operator, check_price, check_reason, later, malformed, with_reason,
    },
};
use crate::{
    command::{Decision, Outcome},
    id::{ConcertId, SeatId},
    policy::{AUDIT_RANGES_MAX, AUDIT_VALUES_MAX},
    refusal::{EntityKind, Refusal},
    sale::{Concert, NewSeat, Seat, SeatAction, SeatChange, SeatLabel, SeatPlace, SeatState},
    user::Caller,
    world::World,
};
use serde_json::{Map, Value, json};
use std::{collections::HashSet, sync::Arc};

fn existing_concert(world: &World, id: ConcertId) -> Result<&Concert, Refusal> {
    let concert = world.concerts.get(id).ok_or(Refusal::NotFound { what: EntityKind::Concert })?;
    concert.check_takes_place()?;
    Ok(concert)
}

pub(super) fn add(world: &mut World, caller: Caller, id: ConcertId, seats: &[NewSeat]) -> Decision {
    check_operator(caller)?;
    let base_price = existing_concert(world, id)?.base_price;
    let mut labels = Vec::with_capacity(seats.len());
    let mut places = HashSet::with_capacity(seats.len());
    for seat in seats {
        if seat.seat_number.is_some_and(|number| number < 1) {
            return Err(malformed("A seat has a number of at least 1."));
        }
        seat.price.map_or(Ok(()), check_price)?;
        let label = seat.printed().ok_or_else(|| malformed("A seat has a seat_number, a number or both."))?;
        let place = label.place();
        if is_taken(world, id, &place) || !places.insert(place) {
            return Err(taken(&label));
        }
        labels.push(label);
    }
    let numbers = numbers(world, id, seats)?;
    let first_seat_id = SeatId::new(world.next_ids.seat.peek());
    for ((new, label), seat_number) in seats.iter().zip(labels).zip(numbers) {
        let seat = Seat {
            seat_id: world.take_seat_id(),
            concert_id: id,
            seat_number,
            label: Arc::new(label),
            price: new.price.unwrap_or(base_price),
            state: SeatState::FREE,
            updated_at: world.now,
            was_held: false,
        };
        world.add_seat(seat);
    }
    let count = wide(seats.len());
    let detail = json!({ "first_seat_id": first_seat_id, "count": count });
    world.add_audit(caller.user_id(), "seats.add", format!("concert {id}"), detail);
    Ok(Outcome::SeatsAdded { first_seat_id, count })
}

fn wide(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn is_taken(world: &World, concert: ConcertId, place: &SeatPlace) -> bool {
    world.seat_places.get(&concert).is_some_and(|places| places.contains(place))
}

fn taken(SeatLabel { section, row, number, .. }: &SeatLabel) -> Refusal {
    Refusal::SeatNumberTaken { section: section.clone(), row: row.clone(), number: number.clone() }
}

/// The numbers of new seats: the requested ones if each seat has one and all are free. Else all are numbered on from
/// the concert's highest, so that the list's order is the seats' order.
fn numbers(world: &World, id: ConcertId, seats: &[NewSeat]) -> Result<Vec<i32>, Refusal> {
    let mut named = HashSet::with_capacity(seats.len());
    let free = |number: &i32| !world.seat_numbers.contains(&(id, *number));
    let named: Option<Vec<i32>> =
        seats.iter().map(|seat| seat.seat_number.filter(|number| free(number) && named.insert(*number))).collect();
    if let Some(named) = named {
        return Ok(named);
    }
    let highest = world.highest_seats.get(&id).copied().unwrap_or(0);
    let last = i32::try_from(seats.len()).ok().and_then(|count| highest.checked_add(count));
    let last = last.ok_or_else(|| malformed("The concert's seats would be numbered too high."))?;
    Ok((highest.saturating_add(1)..=last).collect())
}

/// The named seats, none twice and none held or sold. An overdue hold does not count, swept or not.
fn unused(world: &World, seat_ids: &[SeatId]) -> Result<Vec<Seat>, Refusal> {
    check_named_once(seat_ids, "A seat")?;
    let mut seats = Vec::with_capacity(seat_ids.len());
    for id in seat_ids {
        let Some(seat) = world.seats.get(*id) else { return Err(Refusal::NotFound { what: EntityKind::Seat }) };
        let overdue = seat
            .reservation_id()
            .and_then(|reservation| world.reservations.get(reservation))
            .is_some_and(|reservation| reservation.is_overdue(world.now));
        if seat.reservation_id().is_some() && !overdue {
            return Err(Refusal::SeatInUse { seat_id: *id });
        }
        seats.push(seat.clone());
    }
    Ok(seats)
}

fn all_of(seats: &[Seat], concert: ConcertId) -> Result<(), Refusal> {
    let is_elsewhere = seats.iter().any(|seat| seat.concert_id != concert);
    if is_elsewhere { Err(Refusal::NotFound { what: EntityKind::Seat }) } else { Ok(()) }
}

/// The seat after its overdue hold, if any, is swept.
fn swept(world: &mut World, seat: Seat) -> Seat {
    match seat.reservation_id().and_then(|overdue| expire_overdue(world, overdue)) {
        Some(_) => seat.set(&SeatAction::FREE, None, world.now),
        None => seat,
    }
}

pub(super) fn set(
    world: &mut World,
    caller: Caller,
    within: Option<ConcertId>,
    seat_ids: &[SeatId],
    action: &SeatAction,
) -> Decision {
    check_operator(caller)?;
    let (name, reason) = match action {
        SeatAction::Block { reason } => ("seats.block", Some(reason.as_str())),
        SeatAction::Free { reason } => ("seats.free", reason.as_deref()),
    };
    reason.map_or(Ok(()), check_reason)?;
    let seats = unused(world, seat_ids)?;
    within.map_or(Ok(()), |concert| all_of(&seats, concert))?;
    if matches!(action, SeatAction::Free { .. }) {
        for seat in &seats {
            world.concerts.get(seat.concert_id).map_or(Ok(()), Concert::check_takes_place)?;
        }
    }
    let object = object_of(&seats);
    for seat in seats {
        let seat = swept(world, seat).set(action, None, world.now);
        world.seats.put(seat.seat_id, seat);
    }
    let count = wide(seat_ids.len());
    world.add_audit(caller.user_id(), name, object, with_reason(detail(seat_ids), reason));
    Ok(Outcome::SeatsSet(count))
}

/// What an entry of the audit log names: the concert of the seats, if they are of one.
fn object_of(seats: &[Seat]) -> String {
    match seats {
        [first, rest @ ..] if rest.iter().all(|seat| seat.concert_id == first.concert_id) => {
            format!("concert {}", first.concert_id)
        }
        _ => format!("{} seats", seats.len()),
    }
}

pub(super) fn change(
    world: &mut World,
    caller: Caller,
    (id, seat_ids): (ConcertId, &[SeatId]),
    change: &SeatChange,
    reason: Option<&str>,
) -> Decision {
    check_operator(caller)?;
    let concert = existing_concert(world, id)?.clone();
    if *change == SeatChange::default() {
        return Err(malformed("Name at least one thing to change."));
    }
    change.price.map_or(Ok(()), check_price)?;
    if change.number.as_ref().is_some_and(String::is_empty) {
        return Err(malformed("A printed number is not empty."));
    }
    let seats = unused(world, seat_ids)?;
    all_of(&seats, id)?;
    let mut places = HashSet::new();
    for seat in seats.iter().filter(|_| change.moves()) {
        let label = change.label_of(&seat.label);
        let (before, after) = (seat.label.place(), label.place());
        if (before != after && is_taken(world, id, &after)) || !places.insert(after) {
            return Err(taken(&label));
        }
    }
    reason.map_or(Ok(()), check_reason)?;
    if change.hurts(&concert, &seats, world.now) {
        check_has_reason(caller, reason)?;
    }
    let detail = changed_fields(&seats, change);
    for seat in seats {
        let seat = swept(world, seat).changed(change, world.now);
        world.change_seat(seat);
    }
    note_change(world, caller, (id, seat_ids), "seats.change", (detail, reason));
    Ok(Outcome::SeatsSet(wide(seat_ids.len())))
}

pub(super) fn remove(
    world: &mut World,
    caller: Caller,
    (id, seat_ids): (ConcertId, &[SeatId]),
    reason: Option<&str>,
) -> Decision {
    check_operator(caller)?;
    let mut concert = existing_concert(world, id)?.clone();
    let seats = unused(world, seat_ids)?;
    all_of(&seats, id)?;
    if let Some(seat) = seats.iter().find(|seat| seat.was_held) {
        return Err(Refusal::SeatHasHistory { seat_id: seat.seat_id });
    }
    reason.map_or(Ok(()), check_reason)?;
    if concert.has_on_sale(&seats, world.now) {
        check_has_reason(caller, reason)?;
    }
    for seat in seats {
        world.remove_seat(seat.seat_id);
    }
    // Instances see that the concert has changed, and read its seats again.
    concert.updated_at = later(concert.updated_at, world.now);
    world.concerts.put(id, concert);
    note_change(world, caller, (id, seat_ids), "seats.remove", (Map::new(), reason));
    Ok(Outcome::SeatsSet(wide(seat_ids.len())))
}

/// `from` and `to` of each field that is set. If the seats differed, `from` is a list of the first values.
fn changed_fields(before: &[Seat], change: &SeatChange) -> Map<String, Value> {
    let value = |seat: &Seat, field: &str| match field {
        "section" => json!(seat.label.section),
        "row" => json!(seat.label.row),
        "number" => json!(seat.label.number),
        "grade" => json!(seat.label.grade),
        _ => json!(seat.price),
    };
    let Value::Object(change) = json!(change) else { return Map::new() };
    let from_to = |(field, to): (String, Value)| {
        let mut from: Vec<Value> = Vec::new();
        for value in before.iter().map(|seat| value(seat, &field)) {
            if from.len() < AUDIT_VALUES_MAX && !from.contains(&value) {
                from.push(value);
            }
        }
        let from = if from.len() == 1 { from.swap_remove(0) } else { Value::Array(from) };
        (field, json!({ "from": from, "to": to }))
    };
    change.into_iter().map(from_to).collect()
}

fn note_change(
    world: &mut World,
    caller: Caller,
    (id, seat_ids): (ConcertId, &[SeatId]),
    name: &str,
    (change, reason): (Map<String, Value>, Option<&str>),
) {
    let mut detail = detail(seat_ids);
    detail.extend(change);
    world.add_audit(caller.user_id(), name, format!("concert {id}"), with_reason(detail, reason));
}

/// Seats for the audit log: how many, and their ids as ranges from the first to the last of neighbours.
fn detail(seat_ids: &[SeatId]) -> Map<String, Value> {
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
