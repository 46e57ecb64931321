//! Lanes beside a line: opened, changed, their guests, and how they follow their line.

use super::{
    operators::{check_has_reason, check_operator, check_reason, later, malformed, with_reason},
    users::existing,
};
use crate::{
    command::{Decision, LaneStep, Outcome},
    id::{RoomId, UserId},
    line::{LANE_SHARES_MAX, LaneEntry, LaneGuest, LaneKind, LaneOf, Room, ShareClaim, share_out},
    refusal::{EntityKind, Refusal},
    user::Caller,
    world::World,
};
use serde_json::{Map, json};

pub(super) fn step(world: &mut World, caller: Caller, id: RoomId, step: &LaneStep) -> Decision {
    check_operator(caller)?;
    let missing = Refusal::NotFound { what: EntityKind::Room };
    let Some(kind) = id.lane_kind() else { return Err(missing) };
    let general = world.rooms.get(id.general()).cloned().ok_or(missing)?;
    match step {
        LaneStep::Open { share, reason } => {
            if general.is_closed_for_good(world.now) {
                return Err(Refusal::RoomClosed);
            }
            let lane = LaneOf { room: general.room_id, kind, share: *share, entry: LaneEntry::Open };
            set(world, caller, (id, &general), lane, reason.as_deref())
        }
        LaneStep::Set { share, entry, reason } => {
            let before = of(world, id)?;
            let lane = LaneOf { share: share.unwrap_or(before.share), entry: entry.unwrap_or(before.entry), ..before };
            set(world, caller, (id, &general), lane, reason.as_deref())
        }
        &LaneStep::AddGuest { user_id } => {
            of(world, id)?;
            existing(world, user_id)?;
            if !world.guests.contains((user_id, id)) {
                let row = LaneGuest { room_id: id, user_id, added_by: caller.user_id(), added_at: world.now };
                world.guests.put((user_id, id), row);
                note_guest(world, caller, "lane.guest.add", (id, kind), user_id);
            }
            Ok(Outcome::Done)
        }
        &LaneStep::RemoveGuest { user_id } => {
            of(world, id)?;
            if world.guests.contains((user_id, id)) {
                world.remove_guest(user_id, id);
                note_guest(world, caller, "lane.guest.remove", (id, kind), user_id);
            }
            Ok(Outcome::Done)
        }
    }
}

/// The lane of a room, or the refusal that there is none.
fn of(world: &World, id: RoomId) -> Result<LaneOf, Refusal> {
    let lane = world.rooms.get(id).and_then(|room| room.lane);
    lane.ok_or(Refusal::NotFound { what: EntityKind::Room })
}

/// Whether a lane takes something from buyers: a new one, or one with a larger share, takes places from the general line;
/// one with a smaller share, or that has ended for new tokens, takes them from its guests.
fn hurts(before: Option<LaneOf>, after: LaneOf) -> bool {
    let has_ended = |before: LaneOf| before.entry == LaneEntry::Open && after.entry == LaneEntry::Ended;
    before.is_none_or(|before| before.share != after.share || has_ended(before))
}

/// Saves a lane that is new or has changed.
fn set(
    world: &mut World,
    caller: Caller,
    (id, general): (RoomId, &Room),
    lane: LaneOf,
    reason: Option<&str>,
) -> Decision {
    check_shares(world, id, lane)?;
    reason.map_or(Ok(()), check_reason)?;
    let before = world.rooms.get(id).cloned();
    let was = before.as_ref().and_then(|room| room.lane);
    if hurts(was, lane) {
        check_has_reason(caller, reason)?;
    }
    if let Some(room) = before.clone().filter(|room| room.lane == Some(lane)) {
        return Ok(Outcome::Room(room));
    }
    let mut room = before.clone().unwrap_or_else(|| Room {
        // It has no places until what it shares with its line is shared.
        allotment: Some(0),
        ..Room::new(id, general.max_active, world.now)
    });
    room.lane = Some(lane);
    room.updated_at = later(room.updated_at, world.now);
    world.rooms.put(id, followed(&room, general));
    if before.is_none() {
        world.note_cap(id, general.max_active);
        share_from_now_on(world, general);
    }
    let detail = Map::from_iter([
        ("lane".to_owned(), json!(lane.kind)),
        ("share_percent".to_owned(), json!({ "from": was.map(|lane| lane.share), "to": lane.share })),
        ("entry".to_owned(), json!({ "from": was.map(|lane| lane.entry), "to": lane.entry })),
    ]);
    let object = format!("room {}", general.room_id);
    world.add_audit(caller.user_id(), "lane.set", object, with_reason(detail, reason));
    world.rooms.get(id).cloned().map(Outcome::Room).ok_or(Refusal::NotFound { what: EntityKind::Room })
}

/// Refuses shares that leave the general line less than half.
fn check_shares(world: &World, id: RoomId, lane: LaneOf) -> Result<(), Refusal> {
    let others = id.with_lanes().into_iter().filter(|other| *other != id);
    let others = others.filter_map(|other| world.rooms.get(other)?.lane).map(|lane| lane.share.percent());
    let together = others.fold(lane.share.percent(), i64::saturating_add);
    if together <= LANE_SHARES_MAX {
        return Ok(());
    }
    Err(malformed(format!(
        "The lanes of a line have at most {LANE_SHARES_MAX} per cent of its places together: these would have {together}."
    )))
}

/// The general line has all places, of which the lane gets its part with the next sharing. With a budget of the house it
/// has its share already, or none yet.
fn share_from_now_on(world: &mut World, general: &Room) {
    if general.allotment.is_none() && world.house_budget().is_none() {
        let mut room = general.clone();
        room.give_share(Some(general.max_active), general.rate_share, world.now);
        world.rooms.put(room.room_id, room);
    }
}

/// Refuses a lane where only a general line will do.
pub(super) fn check_is_general(id: RoomId) -> Result<(), Refusal> {
    if id.is_lane() { Err(malformed("A lane follows the settings of its line: change those.")) } else { Ok(()) }
}

/// The lane with the settings of its line. It has no draw: its tokens stand in the order of their coming.
fn followed(lane: &Room, general: &Room) -> Room {
    Room {
        max_active: general.max_active,
        admit_per_minute: general.admit_per_minute,
        gate: general.gate,
        message: general.message.clone(),
        opens_at: general.opens_at,
        closes_at: general.closes_at,
        site: general.site.clone(),
        weight: general.weight,
        ..lane.clone()
    }
}

/// Has the lanes of a general line follow a change of its settings, and keeps what they have together within its cap.
pub(super) fn follow(world: &mut World, general: &Room) {
    let lanes = LaneKind::ALL.map(|kind| general.room_id.lane(kind));
    let lanes: Vec<Room> = lanes.into_iter().filter_map(|id| world.rooms.get(id).cloned()).collect();
    if lanes.is_empty() {
        return;
    }
    let mut family = vec![general.clone()];
    for lane in lanes {
        let mut after = followed(&lane, general);
        if after != lane {
            after.updated_at = later(lane.updated_at, world.now);
            if after.max_active != lane.max_active {
                world.note_cap(lane.room_id, after.max_active);
            }
            world.rooms.put(lane.room_id, after.clone());
        }
        family.push(after);
    }
    let claims: Vec<_> =
        family.iter().map(|room| ShareClaim { weight: 1, demand: room.allotment.unwrap_or(0) }).collect();
    if claims.iter().map(|claim| claim.demand).fold(0, i64::saturating_add) <= general.max_active {
        return;
    }
    for (mut room, places) in family.into_iter().zip(share_out(general.max_active, &claims)) {
        let rate_share = room.rate_share;
        if room.allotment.is_some() && room.give_share(Some(places), rate_share, world.now) {
            world.rooms.put(room.room_id, room);
        }
    }
}

/// Refuses a new place in a lane that has ended for new tokens, or on whose list the user is not.
pub(super) fn check_may_enter(world: &World, id: RoomId, user_id: UserId) -> Result<(), Refusal> {
    let Some(lane) = world.rooms.get(id).and_then(|room| room.lane) else { return Ok(()) };
    if !world.guests.contains((user_id, id)) {
        return Err(Refusal::Forbidden);
    }
    match lane.entry {
        LaneEntry::Open => Ok(()),
        LaneEntry::Ended => Err(Refusal::RoomClosed),
    }
}

/// Writes a line of the audit log about the user, which names the line and the kind of the lane.
fn note_guest(world: &mut World, caller: Caller, action: &str, (id, kind): (RoomId, LaneKind), user_id: UserId) {
    let detail = json!({ "room_id": id.general(), "lane": kind });
    world.add_audit(caller.user_id(), action, format!("user {user_id}"), detail);
}
