//! What lines share: the budget of the house between its rooms, and the places of a room between its lines.

use super::operators::{check_system, malformed};
use crate::{
    command::{Decision, Outcome},
    id::RoomId,
    line::{ROOMS_SHARED_MAX, ShareScope, SharedLine, shares},
    refusal::{EntityKind, Refusal},
    user::Caller,
    world::World,
};
use std::collections::BTreeMap;

/// Sets the shares of the lines that were loaded. The lines of one room of a house with a budget are shared with the
/// whole house, and not apart.
pub(super) fn share(world: &mut World, caller: Caller, scope: ShareScope, waiting: &[(RoomId, i64)]) -> Decision {
    check_system(caller)?;
    let Some(house) = world.rooms.get(RoomId::HOUSE).cloned() else {
        return Err(Refusal::NotFound { what: EntityKind::Room });
    };
    let waiting: BTreeMap<RoomId, i64> = waiting.iter().copied().collect();
    let is_of = |room: RoomId| match scope {
        ShareScope::House => true,
        ShareScope::Line(of) => room.general() == of.general(),
    };
    if matches!(scope, ShareScope::Line(_)) && house.house_budget.is_some() {
        return Ok(Outcome::Done);
    }
    let at = (world.now, world.policy.offer_lead);
    let mut lines = Vec::new();
    for id in world.sharing.keys().copied().filter(|id| is_of(*id)) {
        if let (Some(room), Some(counts)) = (world.rooms.get(id), world.counts_to_share(id)) {
            lines.push(SharedLine::of(room, counts, waiting.get(&id).copied().unwrap_or(0), house.house_budget, at));
        }
    }
    // Beyond these, not all that take places were loaded.
    if u32::try_from(lines.iter().filter(|line| line.takes_part()).count()).is_ok_and(|count| count > ROOMS_SHARED_MAX)
    {
        return Err(malformed(format!("At most {ROOMS_SHARED_MAX} lines share the budget of a house.")));
    }
    let mut is_any_new = false;
    for share in shares(house.house_budget, &lines) {
        let Some(mut room) = world.rooms.get(share.room_id).cloned() else { continue };
        if room.give_share(share.allotment, share.rate_share, world.now) {
            is_any_new = true;
            world.rooms.put(share.room_id, room);
        }
    }
    if scope == ShareScope::House
        && let Some(mut house) = world.rooms.get(RoomId::HOUSE).cloned()
        && house.house_budget.is_some()
        && (is_any_new || house.shared_at < Some(house.updated_at))
    {
        house.shared_at = house.shared_at.max(Some(world.now.max(house.updated_at)));
        world.rooms.put(RoomId::HOUSE, house);
    }
    Ok(Outcome::Done)
}
