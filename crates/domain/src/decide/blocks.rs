//! Operators keep users out of a line and its lanes: they end a user's place, and block the user from joining again.

use super::{
    operators::{check_operator, check_reason, malformed},
    users::existing,
};
use crate::{
    command::{Command, Decision, NewBlock, Outcome},
    id::{RoomId, UserId},
    line::{EndReason, LineBlock, Token, is_live_token},
    refusal::{EntityKind, Refusal},
    user::Caller,
    world::World,
};
use serde_json::json;

/// Decides a command that keeps a user out of a line, or lets the user in again.
pub(super) fn apply(world: &mut World, caller: Caller, command: &Command) -> Decision {
    match command {
        Command::BlockFromLine(new) => block(world, caller, new),
        Command::UnblockFromLine { room_id, user_id } => unblock(world, caller, *room_id, *user_id),
        Command::RemoveFromLine { room_id, user_id, reason } => remove(world, caller, *room_id, *user_id, reason),
        _ => Err(malformed("This command is about no place in a line.")),
    }
}

/// Ends the user's place in the line. A user without one stays without.
fn remove(world: &mut World, caller: Caller, room_id: RoomId, user_id: UserId, reason: &str) -> Decision {
    let room_id = room_id.general();
    check(world, caller, room_id, user_id)?;
    check_reason(reason)?;
    if let Some(token) = end_place(world, room_id, user_id)? {
        let detail = json!({ "token": token.id.to_string(), "reason": reason });
        note(world, caller, "line.remove", room_id, user_id, detail);
    }
    Ok(Outcome::Done)
}

/// Keeps the user out of the line from now on, and ends the user's place there. The block that is in force already
/// stays as it is.
fn block(world: &mut World, caller: Caller, new: &NewBlock) -> Decision {
    let NewBlock { room_id, user_id, reason, until } = new;
    let room_id = &room_id.general();
    check(world, caller, *room_id, *user_id)?;
    check_reason(reason)?;
    if until.is_some_and(|until| until <= world.now) {
        return Err(malformed("A block ends in the future."));
    }
    let ended = end_place(world, *room_id, *user_id)?;
    let key = (*user_id, *room_id);
    let is_same = |old: &LineBlock| old.is_in_force(world.now) && old.reason == *reason && old.until == *until;
    if ended.is_none() && world.blocks.get(key).is_some_and(is_same) {
        return Ok(Outcome::Done);
    }
    let row = LineBlock {
        user_id: *user_id,
        room_id: *room_id,
        reason: reason.clone(),
        blocked_by: caller.user_id(),
        since: world.now,
        until: *until,
    };
    world.blocks.put(key, row);
    let detail = json!({ "token": ended.map(|token| token.id.to_string()), "until": until, "reason": reason });
    note(world, caller, "line.block", *room_id, *user_id, detail);
    Ok(Outcome::Done)
}

/// Lets the user join the line again. The place from before does not come back.
fn unblock(world: &mut World, caller: Caller, room_id: RoomId, user_id: UserId) -> Decision {
    let room_id = room_id.general();
    check(world, caller, room_id, user_id)?;
    if world.blocks.contains((user_id, room_id)) {
        world.remove_block(user_id, room_id);
        note(world, caller, "line.unblock", room_id, user_id, json!({}));
    }
    Ok(Outcome::Done)
}

/// Refuses a user who is kept out of the line now.
pub(super) fn check_not_blocked(world: &World, room_id: RoomId, user_id: UserId) -> Result<(), Refusal> {
    match world.blocks.get((user_id, room_id)) {
        Some(block) if block.is_in_force(world.now) => Err(Refusal::LineBlocked { until: block.until }),
        _ => Ok(()),
    }
}

fn check(world: &World, caller: Caller, room_id: RoomId, user_id: UserId) -> Result<(), Refusal> {
    check_operator(caller)?;
    if !world.rooms.contains(room_id) {
        return Err(Refusal::NotFound { what: EntityKind::Room });
    }
    existing(world, user_id).map(|_| ())
}

/// Ends the user's live token in the room. Returns it, unless there is none or its time had run out.
fn end_place(world: &mut World, room_id: RoomId, user_id: UserId) -> Result<Option<Token>, Refusal> {
    let found = world.places.get(&(user_id, room_id)).and_then(|id| world.token(*id));
    let Some(token) = found.map(|token| token.after_deadline(world.now, &world.policy)) else { return Ok(None) };
    if !is_live_token(&token) {
        return Ok(None);
    }
    let ended = token.ended(world.now, EndReason::Removed)?;
    world.put_token(ended);
    Ok(Some(ended))
}

/// Writes a line of the audit log about the user, which names the room.
fn note(
    world: &mut World,
    caller: Caller,
    action: &str,
    room_id: RoomId,
    user_id: UserId,
    mut detail: serde_json::Value,
) {
    if let Some(fields) = detail.as_object_mut() {
        fields.insert("room_id".to_owned(), json!(room_id));
    }
    world.add_audit(caller.user_id(), action, format!("user {user_id}"), detail);
}
