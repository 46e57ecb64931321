use super::lanes::{check_is_general, follow};
use super::rooms::check_name;
use crate::{
    command::{Decision, Outcome, RoomChange},
    id::RoomId,
    line::HOUSE_BUDGET_MAX,
    money::Money,
    policy::{ADMIT_PER_MINUTE_MAX, MAX_ACTIVE_MAX, STATUS_REASON_LEN_MAX},
    refusal::{EntityKind, Refusal},
    time::{Span, Time},
    user::Caller,
    world::World,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

pub(super) fn check_operator(caller: Caller) -> Result<(), Refusal> {
    if caller.is_operator() { Ok(()) } else { Err(Refusal::Forbidden) }
}

pub(super) fn check_system(caller: Caller) -> Result<(), Refusal> {
    if caller == Caller::System { Ok(()) } else { Err(Refusal::Forbidden) }
}

/// Refuses unless the caller may move other users' points.
pub(super) fn check_trusted(caller: Caller) -> Result<(), Refusal> {
    let is_trusted = caller.is_operator() || caller == Caller::Service;
    if is_trusted { Ok(()) } else { Err(Refusal::Forbidden) }
}

pub(super) fn malformed(reason: impl Into<String>) -> Refusal {
    Refusal::Malformed { reason: reason.into() }
}

pub(super) fn check_max_active(max_active: i64) -> Result<(), Refusal> {
    if (0..=MAX_ACTIVE_MAX).contains(&max_active) {
        Ok(())
    } else {
        Err(malformed(format!("max_active is from 0 to {MAX_ACTIVE_MAX}.")))
    }
}

pub(super) fn check_rate(admit_per_minute: Option<i64>) -> Result<(), Refusal> {
    if admit_per_minute.is_none_or(|rate| (1..=ADMIT_PER_MINUTE_MAX).contains(&rate)) {
        Ok(())
    } else {
        Err(malformed(format!("admit_per_minute is from 1 to {ADMIT_PER_MINUTE_MAX}.")))
    }
}

/// Refuses a budget of a room that is not the house's, and one that leaves no place.
fn check_budget(id: RoomId, budget: Option<i64>) -> Result<(), Refusal> {
    if id != RoomId::HOUSE {
        return Err(malformed("The budget of the house is a setting of the house room, whose number is 0."));
    }
    if budget.is_none_or(|budget| (1..=HOUSE_BUDGET_MAX).contains(&budget)) {
        return Ok(());
    }
    Err(malformed(format!(
        "house_budget is from 1 to {HOUSE_BUDGET_MAX}. To let no one in, pause the gates of the rooms."
    )))
}

pub(super) fn check_reason(reason: &str) -> Result<(), Refusal> {
    if reason.is_empty() || reason.chars().count() > STATUS_REASON_LEN_MAX {
        return Err(malformed(format!("A reason has 1 to {STATUS_REASON_LEN_MAX} characters.")));
    }
    Ok(())
}

/// Refuses an act that hurts buyers unless a reason is given. The box office itself acts by its rules, which are the
/// reason.
pub(super) fn check_has_reason(caller: Caller, reason: Option<&str>) -> Result<(), Refusal> {
    if reason.is_none() && caller != Caller::System { Err(Refusal::ReasonNeeded) } else { Ok(()) }
}

/// Refuses if a change was based on another version of a row than the present one.
pub(super) fn check_basis(basis: Option<Time>, updated_at: Time) -> Result<(), Refusal> {
    if basis.is_some_and(|basis| basis != updated_at) { Err(Refusal::Changed) } else { Ok(()) }
}

pub(super) fn check_price(price: Money) -> Result<(), Refusal> {
    if price < Money::ZERO { Err(malformed("A price is not negative.")) } else { Ok(()) }
}

/// Refuses if an id comes twice; `what` begins the sentence that says so.
pub(super) fn check_named_once<T: Ord + Copy>(ids: &[T], what: &str) -> Result<(), Refusal> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() == ids.len() { Ok(()) } else { Err(malformed(format!("{what} is named twice."))) }
}

/// The time of a new version of a row. Of two versions the later wins, so the new one must be later even if the
/// database's clock has gone back.
pub(super) fn later(before: Time, now: Time) -> Time {
    now.max(before.plus(Span::from_micros(1)))
}

/// What differs between two versions of a row, for the audit log: `from` and `to` of each field, but for the time of the
/// change.
pub(super) fn differences(before: &impl Serialize, after: &impl Serialize) -> Map<String, Value> {
    let (Value::Object(mut before), Value::Object(after)) = (json!(before), json!(after)) else { return Map::new() };
    after
        .into_iter()
        .filter(|(field, _)| field != "updated_at")
        .filter_map(|(field, to)| {
            let from = before.remove(&field).unwrap_or(Value::Null);
            (from != to).then(|| (field, json!({ "from": from, "to": to })))
        })
        .collect()
}

/// The detail of an audit entry with the reason, if one was given.
pub(super) fn with_reason(mut detail: Map<String, Value>, reason: Option<&str>) -> Value {
    if let Some(reason) = reason {
        detail.insert("reason".to_owned(), json!(reason));
    }
    Value::Object(detail)
}

pub(super) fn set_room(
    world: &mut World,
    caller: Caller,
    id: RoomId,
    change: &RoomChange,
    basis: Option<Time>,
    reason: Option<&str>,
) -> Decision {
    check_operator(caller)?;
    let Some(before) = world.rooms.get(id).cloned() else {
        return Err(Refusal::NotFound { what: EntityKind::Room });
    };
    check_is_general(id)?;
    check_basis(basis, before.updated_at)?;
    if change.name.is_some() || change.turn_url.is_some() {
        before.site.as_ref().ok_or_else(|| malformed("Only a room without a concert has a name and an address."))?;
    }
    change.name.as_deref().map_or(Ok(()), check_name)?;
    if let Some(max_active) = change.max_active {
        check_max_active(max_active)?;
    }
    change.house_budget.map_or(Ok(()), |budget| check_budget(id, budget))?;
    check_rate(change.admit_per_minute.flatten())?;
    reason.map_or(Ok(()), check_reason)?;
    if change.hurts(&before) {
        check_has_reason(caller, reason)?;
    }
    if change.opening.is_some_and(|opening| opening != before.draw.opening_order()) && !before.may_reorder(world.now) {
        return Err(Refusal::SaleOpened { opened_at: before.opens_at.unwrap_or(before.updated_at) });
    }
    let mut room = change.applied(&before);
    room.updated_at = later(room.updated_at, world.now);
    if change.max_active.is_some() {
        world.note_cap(id, room.max_active);
    }
    world.rooms.put(id, room.clone());
    follow(world, &room);
    let room = world.rooms.get(id).cloned().unwrap_or(room);
    let detail = with_reason(differences(&before, &room), reason);
    world.add_audit(caller.user_id(), "room.set", format!("room {id}"), detail);
    Ok(Outcome::Room(room))
}

pub(super) fn renew_line(world: &mut World, caller: Caller, id: RoomId) -> Decision {
    check_system(caller)?;
    let Some(mut room) = world.rooms.get(id).cloned() else {
        return Err(Refusal::NotFound { what: EntityKind::Room });
    };
    room.epoch = room.epoch.saturating_add(1);
    room.updated_at = world.now;
    world.rooms.put(id, room.clone());
    world.add_audit(None, "line.renew", format!("room {id}"), json!({ "epoch": room.epoch }));
    Ok(Outcome::Room(room))
}
