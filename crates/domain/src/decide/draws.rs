//! The draw of a lobby, step by step: the secret is committed to, the lobby is sealed, its entries are counted, the
//! order is drawn, and the entries get their places.

use super::operators::{check_system, later, malformed};
use crate::{
    command::{Decision, DrawStep, Outcome},
    id::{Position, RoomId, TokenId},
    line::{
        BeaconWait, Draw, DrawPhase, DrawResult, ENTRIES_PER_PLACING_MAX, EndReason, EntrySet, Fence, Room,
        SealedEntries, Token, TokenState, drawn_token,
    },
    refusal::{EntityKind, Refusal},
    time::Span,
    user::Caller,
    world::World,
};
use frontrow_draw::{BeaconSignature, Digest, DrawSecret, seed};
use serde_json::json;

pub(super) fn step(world: &mut World, caller: Caller, room_id: RoomId, step: &DrawStep) -> Decision {
    match step {
        DrawStep::Begin { secret, beacon } => begin(world, caller, room_id, secret, *beacon),
        DrawStep::Seal { fence } => seal(world, caller, room_id, *fence),
        DrawStep::Count { fence, entered, tree } => count(world, caller, (room_id, *fence), entered, *tree),
        DrawStep::HandIn { signature } => hand_in(world, caller, room_id, signature),
        DrawStep::GiveUp { fence } => give_up_beacon(world, caller, room_id, *fence),
        DrawStep::Place { fence, entries } => place(world, caller, (room_id, *fence), entries),
    }
}

fn find_room(world: &World, id: RoomId) -> Result<Room, Refusal> {
    world.rooms.get(id).cloned().ok_or(Refusal::NotFound { what: EntityKind::Room })
}

fn find_draw(world: &World, id: RoomId) -> Result<Draw, Refusal> {
    world.draws.get(id).cloned().ok_or(Refusal::NotFound { what: EntityKind::Draw })
}

/// The room, for its leader alone; the outcome that says so if a later leader has moved it since.
fn led_room(world: &World, caller: Caller, id: RoomId, fence: Fence) -> Result<Result<Room, Outcome>, Refusal> {
    check_system(caller)?;
    let room = find_room(world, id)?;
    if fence < room.fence {
        return Ok(Err(Outcome::Superseded { fence: room.fence.0 }));
    }
    Ok(Ok(Room { fence, ..room }))
}

fn put_room(world: &mut World, mut room: Room, draw: DrawPhase) -> Outcome {
    room.draw = draw;
    if let DrawPhase::Placed { last, .. } = draw {
        // Nobody waits at the positions of the entries any more.
        room.cursor = room.cursor.max(last);
    }
    room.updated_at = later(room.updated_at, world.now);
    world.rooms.put(room.room_id, room.clone());
    Outcome::Room(room)
}

fn begin(world: &mut World, caller: Caller, room_id: RoomId, secret: &DrawSecret, beacon: BeaconWait) -> Decision {
    check_system(caller)?;
    let room = find_room(world, room_id)?;
    if room.draw == DrawPhase::Lobby && !world.draws.contains(room_id) {
        let secret_hash = secret.hash().to_string();
        let draw = Draw { room_id, secret: *secret, begun_at: world.now, beacon, sealed: None, result: None };
        world.draws.put(room_id, draw);
        world.add_audit(None, "draw.begin", format!("room {room_id}"), json!({ "secret_hash": secret_hash }));
    }
    Ok(Outcome::Room(room))
}

fn seal(world: &mut World, caller: Caller, room_id: RoomId, fence: Fence) -> Decision {
    let room = match led_room(world, caller, room_id, fence)? {
        Ok(room) => room,
        Err(superseded) => return Ok(superseded),
    };
    find_draw(world, room_id)?;
    if !room.may_seal(world.now) {
        return Ok(Outcome::Room(room));
    }
    let last = world.reserve_behind_entries(room_id);
    world.add_audit(None, "draw.seal", format!("room {room_id}"), json!({ "last_entry": last }));
    Ok(put_room(world, room, DrawPhase::Sealed { last }))
}

fn count(
    world: &mut World,
    caller: Caller,
    (room_id, fence): (RoomId, Fence),
    entered: &EntrySet,
    tree: Digest,
) -> Decision {
    let room = match led_room(world, caller, room_id, fence)? {
        Ok(room) => room,
        Err(superseded) => return Ok(superseded),
    };
    let mut draw = find_draw(world, room_id)?;
    let (DrawPhase::Sealed { last }, None) = (room.draw, &draw.sealed) else { return Ok(Outcome::Room(room)) };
    if entered.iter().last().is_some_and(|highest| highest > last) {
        return Err(malformed("An entry came after the lobby was sealed."));
    }
    // The round comes after the entries are fixed, so its value cannot be known when they are.
    let round = draw.round_after(world.now);
    draw.sealed = Some(SealedEntries { sealed_at: world.now, entered: entered.clone(), root: tree, round });
    let detail = json!({ "entries": entered.len(), "root": tree.to_string(), "round": round });
    world.add_audit(None, "draw.count", format!("room {room_id}"), detail);
    if draw.beacon.patience == Span::ZERO || entered.is_empty() {
        return Ok(decide(world, room, draw, None));
    }
    world.draws.put(room_id, draw);
    Ok(put_room(world, room, DrawPhase::Sealed { last }))
}

/// Draws the order, which follows from what is committed to and the beacon's value, if there is one.
fn decide(world: &mut World, room: Room, mut draw: Draw, beacon: Option<(BeaconSignature, Digest)>) -> Outcome {
    let (DrawPhase::Sealed { last }, Some(sealed)) = (room.draw, &draw.sealed) else { return Outcome::Room(room) };
    let entries = sealed.entered.len();
    let (signature, randomness) = beacon.unzip();
    let seed = seed(&draw.secret, sealed.root, randomness);
    let decided_by = if signature.is_some() { "beacon" } else { "secret_alone" };
    draw.result = Some(DrawResult { drawn_at: world.now, signature, seed });
    let room_id = room.room_id;
    world.draws.put(room_id, draw);
    let detail = json!({ "entries": entries, "decided_by": decided_by, "seed": seed.to_string() });
    world.add_audit(None, "draw.decide", format!("room {room_id}"), detail);
    let phase = match entries {
        0 => DrawPhase::Placed { last, entries },
        _ => DrawPhase::Placing { last, entries, placed: 0, placed_entry: Position(0) },
    };
    put_room(world, room, phase)
}

/// The round's signature is handed in, by anybody who is signed in.
fn hand_in(world: &mut World, caller: Caller, room_id: RoomId, signature: &BeaconSignature) -> Decision {
    if caller.user_id().is_none() && caller != Caller::Service {
        return Err(Refusal::Forbidden);
    }
    let room = find_room(world, room_id)?;
    let draw = find_draw(world, room_id)?;
    if draw.result.is_some() {
        return Ok(Outcome::Room(room));
    }
    let Some(round) = draw.sealed.as_ref().map(|sealed| sealed.round) else { return Err(Refusal::DrawNotWaiting) };
    if draw.deadline().is_some_and(|deadline| world.now >= deadline) {
        return Err(Refusal::DrawNotWaiting);
    }
    let randomness = draw.beacon.chain.verify(round, signature.bytes());
    let randomness = randomness.map_err(|_| Refusal::BeaconInvalid { round: round.0 })?;
    Ok(decide(world, room, draw, Some((*signature, randomness))))
}

/// The beacon did not come in time: the secret alone decides.
fn give_up_beacon(world: &mut World, caller: Caller, room_id: RoomId, fence: Fence) -> Decision {
    let room = match led_room(world, caller, room_id, fence)? {
        Ok(room) => room,
        Err(superseded) => return Ok(superseded),
    };
    let draw = find_draw(world, room_id)?;
    let is_late = draw.deadline().is_some_and(|deadline| world.now >= deadline);
    if draw.result.is_some() || !is_late {
        return Ok(Outcome::Room(room));
    }
    Ok(decide(world, room, draw, None))
}

fn place(world: &mut World, caller: Caller, (room_id, fence): (RoomId, Fence), entries: &[Position]) -> Decision {
    let room = match led_room(world, caller, room_id, fence)? {
        Ok(room) => room,
        Err(superseded) => return Ok(superseded),
    };
    let draw = find_draw(world, room_id)?;
    let DrawPhase::Placing { last, entries: all, placed, placed_entry } = room.draw else {
        return Ok(Outcome::Room(room));
    };
    let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
    let placed_after = placed.saturating_add(count);
    if entries.len() > ENTRIES_PER_PLACING_MAX || placed_after > all || !draw.are_next(placed_entry, entries) {
        return Err(malformed("These entries are not the next in the drawn order."));
    }
    let mut rank = placed;
    for entry in entries {
        rank = rank.saturating_add(1);
        let drawn = drawn_token(room_id, last, rank);
        let old = world.token(TokenId { room_id, position: *entry });
        if let Some(old) = old.filter(|token| token.state == TokenState::Waiting) {
            world.put_token(old.ended(world.now, EndReason::Drawn)?);
            world.put_token(Token::issued(drawn, old.user_id, old.issued_at));
        } else {
            world.skip_position(drawn);
        }
    }
    let phase = if placed_after == all {
        DrawPhase::Placed { last, entries: all }
    } else {
        let placed_entry = entries.last().copied().unwrap_or(placed_entry);
        DrawPhase::Placing { last, entries: all, placed: placed_after, placed_entry }
    };
    Ok(put_room(world, room, phase))
}
