//! Rooms without a concert, in front of other sites: create them, close them.

use super::lanes::{check_is_general, follow};
use super::operators::{
    check_basis, check_has_reason, check_max_active, check_operator, check_rate, check_reason, check_system, later,
    malformed, with_reason,
};
use crate::{
    command::{Decision, NewRoom, Outcome},
    id::RoomId,
    line::{EndReason, Room, RoomSite, TokenStatus},
    policy::ROOM_NAME_LEN_MAX,
    refusal::{EntityKind, Refusal},
    time::Time,
    user::Caller,
    world::World,
};
use serde_json::{Map, json};

/// Refuses a name that is empty or too long. The address has been checked by its type.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.chars().count() > ROOM_NAME_LEN_MAX {
        return Err(malformed(format!("A room's name has 1 to {ROOM_NAME_LEN_MAX} characters.")));
    }
    Ok(())
}

pub(super) fn create(world: &mut World, caller: Caller, new: &NewRoom) -> Decision {
    check_operator(caller)?;
    let NewRoom { site, max_active, admit_per_minute, opens_at } = new;
    check_name(&site.name)?;
    check_max_active(*max_active)?;
    check_rate(*admit_per_minute)?;
    let room_id = world.take_room_id();
    let room = Room {
        admit_per_minute: *admit_per_minute,
        opens_at: *opens_at,
        site: Some(site.clone()),
        ..Room::new(room_id, *max_active, world.now)
    };
    world.rooms.put(room_id, room.clone());
    world.note_cap(room_id, *max_active);
    let RoomSite { name, turn_url } = site;
    let detail = json!({
        "name": name,
        "turn_url": turn_url,
        "max_active": max_active,
        "admit_per_minute": admit_per_minute,
        "opens_at": opens_at,
    });
    world.add_audit(caller.user_id(), "room.create", format!("room {room_id}"), detail);
    Ok(Outcome::Room(room))
}

/// Closes a room for good: it issues no more tokens, and waiting tokens end. Active tokens stay to their end. A room that
/// is closed stays as it is.
pub(super) fn close(world: &mut World, caller: Caller, id: RoomId, basis: Option<Time>, reason: &str) -> Decision {
    check_operator(caller)?;
    let Some(mut room) = world.rooms.get(id).cloned() else {
        return Err(Refusal::NotFound { what: EntityKind::Room });
    };
    if room.site.is_none() {
        return Err(malformed("Only a room without a concert is closed: close the sale of the concert."));
    }
    check_is_general(id)?;
    check_reason(reason)?;
    check_has_reason(caller, Some(reason))?;
    if room.is_closed_for_good(world.now) {
        return Ok(Outcome::Room(room));
    }
    check_basis(basis, room.updated_at)?;
    room.closes_at = Some(world.now);
    room.updated_at = later(room.updated_at, world.now);
    world.rooms.put(id, room.clone());
    follow(world, &room);
    world.add_audit(caller.user_id(), "room.close", format!("room {id}"), with_reason(Map::new(), Some(reason)));
    Ok(Outcome::Room(room))
}

/// Ends the waiting tokens at the head of a closed room's line, as many as were loaded. Tokens with a deadline end by it.
pub(super) fn end_line(world: &mut World, caller: Caller, id: RoomId) -> Decision {
    check_system(caller)?;
    let room = world.rooms.get(id).cloned().ok_or(Refusal::NotFound { what: EntityKind::Room })?;
    let mut ended = 0_u32;
    if room.is_closed_for_good(world.now) {
        ended = end_head(world, room, EndReason::RoomClosed)?;
    }
    Ok(Outcome::Advanced { activated: 0, offered: 0, made_dormant: 0, overdue: ended })
}

/// Ends the loaded waiting tokens of a line. Returns how many.
pub(super) fn end_head(world: &mut World, mut room: Room, reason: EndReason) -> Result<u32, Refusal> {
    let mut ended = 0_u32;
    for token_id in world.head.remove(&room.room_id).unwrap_or_default() {
        let token = world.token(token_id).filter(|token| token.status() == TokenStatus::Waiting);
        let Some(token) = token else { continue };
        room.cursor = room.cursor.max(token_id.position);
        world.put_token(token.ended(world.now, reason)?);
        ended = ended.saturating_add(1);
    }
    if ended > 0 {
        world.rooms.put(room.room_id, room);
    }
    Ok(ended)
}
