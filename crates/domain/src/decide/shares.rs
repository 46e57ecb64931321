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
    let mut lines = Vec::new();
    for id in world.sharing.keys().copied().filter(|id| is_of(*id)) {
        if let (Some(room), Some(counts)) = (world.rooms.get(id), world.counts_to_share(id)) {
            lines.push(SharedLine::of(room, counts, waiting.get(&id).copied().unwrap_or(0)));
        }
    }
    // Beyond these, not all that take places were loaded.
    let takes_part = |line: &&SharedLine| line.active > 0 || line.offered > 0 || line.allotment.is_some_and(|n| n > 0);
    if u32::try_from(lines.iter().filter(takes_part).count()).is_ok_and(|count| count > ROOMS_SHARED_MAX) {
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
    if is_any_new
        && scope == ShareScope::House
        && let Some(mut house) = world.rooms.get(RoomId::HOUSE).cloned()
    {
        // Says which budget the shares are of.
        house.allotted_at = house.allotted_at.max(world.now);
        world.rooms.put(RoomId::HOUSE, house);
    }
    Ok(Outcome::Done)
}
