use crate::{
    command::{Decision, Issue, Outcome},
    id::{ConcertId, Position, RoomId, TokenId},
    queue::{
        EndReason, Fence, Room, Token, TokenStatus, Turn, can_expire, check_may_use, is_valid_position, may_activate,
    },
    refusal::{Refusal, Thing},
    rules::TOKENS_PER_ADVANCE_MAX,
    user::Caller,
    world::World,
};
use std::collections::HashSet;

pub(super) fn issue(world: &mut World, caller: Caller, room_id: RoomId, concert_id: Option<ConcertId>) -> Decision {
    let Some(user_id) = caller.user_id() else { return Err(Refusal::Forbidden) };
    if !world.rooms.contains(room_id) {
        return Err(Refusal::NotFound { what: Thing::Room });
    }
    if let Some(concert_id) = concert_id {
        let concert = world.concerts.get(concert_id).filter(|concert| concert.room_id == room_id);
        concert.ok_or(Refusal::NotFound { what: Thing::Concert })?.check_not_over(world.now)?;
    }
    let old = world.places.get(&(user_id, room_id)).and_then(|id| world.token(*id));
    if let Some(old) = old.filter(can_expire) {
        let mut token = old.lapsed(world.now, &world.rules);
        if can_expire(&token) {
            // Whoever asks again is there again.
            if token.status == TokenStatus::Dormant {
                token = token.waiting_again();
                world.put_token(token);
            }
            return Ok(Outcome::Joined { token, issue: Issue::Existing });
        }
        world.put_token(token);
    }
    let id = TokenId { room_id, position: world.take_position(room_id) };
    let token = Token::issued(id, user_id, world.now);
    world.put_token(token);
    Ok(Outcome::Joined { token, issue: Issue::New })
}

/// The caller's own token; another user's cannot be told from one that does not exist.
fn own(world: &World, caller: Caller, id: TokenId) -> Result<Token, Refusal> {
    world
        .token(id)
        .filter(|token| is_valid_position(id.position) && Some(token.user_id) == caller.user_id())
        .ok_or(Refusal::NotFound { what: Thing::Token })
}

pub(super) fn activate(world: &mut World, caller: Caller, id: TokenId) -> Decision {
    let (now, rules) = (world.now, world.rules);
    let token = own(world, caller, id)?.lapsed(now, &rules);
    match token.status {
        TokenStatus::Active => Ok(Outcome::Token(token)),
        TokenStatus::Offered => {
            let Some(mut room) = world.rooms.get(id.room_id).cloned() else {
                return Err(Refusal::NotFound { what: Thing::Room });
            };
            end_overdue(world, id.room_id);
            let active = world.counts(id.room_id).map_or(i64::MAX, |counts| counts.active);
            if !may_activate(&token, active, room.max_active_tokens(), now) {
                let kept = token.offered(now, &rules);
                world.put_token(kept);
                return Ok(Outcome::TurnPending(kept));
            }
            room.note_turn(Turn::Claimed);
            world.rooms.put(id.room_id, room);
            let token = token.activated(now, &rules);
            world.put_token(token);
            Ok(Outcome::Token(token))
        }
        TokenStatus::Missed | TokenStatus::Dormant => {
            let token = token.waiting_again();
            world.put_token(token);
            Ok(Outcome::TurnPending(token))
        }
        TokenStatus::Waiting => Err(Refusal::TurnNotYet),
        TokenStatus::Ended => Err(Refusal::TokenEnded),
    }
}

/// Ends the active tokens of a room whose time is over, as far as they were loaded. Until then they count.
fn end_overdue(world: &mut World, room_id: RoomId) {
    let (now, rules) = (world.now, world.rules);
    for id in world.overdue.remove(&room_id).unwrap_or_default() {
        if let Some(token) = world.token(id).filter(|token| token.is_overdue(now)) {
            world.put_token(token.lapsed(now, &rules));
        }
    }
}

pub(super) fn leave(world: &mut World, caller: Caller, id: TokenId) -> Decision {
    let now = world.now;
    let token = own(world, caller, id)?.lapsed(now, &world.rules);
    if !can_expire(&token) {
        return Ok(Outcome::Token(token));
    }
    let token = token.ended(now, EndReason::Left);
    world.put_token(token);
    Ok(Outcome::Token(token))
}

pub(super) fn wake(world: &mut World, caller: Caller, id: TokenId) -> Decision {
    let (now, rules) = (world.now, world.rules);
    let token = own(world, caller, id)?.lapsed(now, &rules);
    let token = match token.status {
        TokenStatus::Active => token.renewed(now, &rules, &world.outages),
        TokenStatus::Dormant => token.waiting_again(),
        TokenStatus::Waiting | TokenStatus::Offered | TokenStatus::Missed | TokenStatus::Ended => {
            return Ok(Outcome::Token(token));
        }
    };
    world.put_token(token);
    Ok(Outcome::Token(token))
}

pub(super) fn advance(
    world: &mut World,
    caller: Caller,
    room_id: RoomId,
    fence: Fence,
    limit: u32,
    asleep: &[Position],
) -> Decision {
    if caller != Caller::System {
        return Err(Refusal::Forbidden);
    }
    let (now, rules) = (world.now, world.rules);
    let Some(mut room) = world.rooms.get(room_id).cloned() else {
        return Err(Refusal::NotFound { what: Thing::Room });
    };
    if fence < room.fence {
        return Ok(Outcome::Superseded { fence: room.fence.0 });
    }
    room.fence = fence;
    let mut lapsed = 0_u32;
    for id in world.due.remove(&room_id).unwrap_or_default() {
        let Some(token) = world.token(id).filter(|token| token.is_overdue(now)) else { continue };
        if token.status == TokenStatus::Offered {
            room.note_turn(Turn::Unclaimed);
        }
        world.put_token(token.lapsed(now, &rules));
        lapsed = lapsed.saturating_add(1);
    }
    let counts = world.counts(room_id).unwrap_or_default();
    let turns = room
        .turns_to_offer(counts.active, counts.offered, now, rules.offer_lead)
        .min(i64::from(limit.min(TOKENS_PER_ADVANCE_MAX)));
    let asleep: HashSet<Position> = asleep.iter().copied().collect();
    let (mut offered, mut put_aside) = (0_u32, 0_u32);
    for id in world.head.remove(&room_id).unwrap_or_default() {
        if i64::from(offered) >= turns {
            break;
        }
        let Some(token) = world.token(id).filter(|token| token.status == TokenStatus::Waiting) else { continue };
        room.cursor = room.cursor.max(id.position);
        // The leader that names the silent may not have heard yet of a token's issue, which is a sign of life too.
        if asleep.contains(&id.position) && now.since(token.issued_at) >= rules.dormant_after {
            world.put_token(token.put_aside(now, &rules));
            put_aside = put_aside.saturating_add(1);
        } else {
            world.put_token(token.offered(now, &rules));
            offered = offered.saturating_add(1);
        }
    }
    room.spend_credit(i64::from(offered));
    // Credit alone changes with every look at the clock; it is saved with the turns it paid for.
    let is_other = |old: &Room| old.cursor != room.cursor || old.fence != room.fence;
    if offered > 0 || lapsed > 0 || world.rooms.get(room_id).is_some_and(is_other) {
        world.rooms.put(room_id, room);
    }
    Ok(Outcome::Advanced { offered, put_aside, lapsed })
}

/// The caller's active token, good for `room_id`, or why it is not.
pub(super) fn check_service(world: &World, caller: Caller, id: TokenId, room_id: RoomId) -> Result<Token, Refusal> {
    let token = world.token(id).filter(|_| is_valid_position(id.position)).ok_or(Refusal::TokenInvalid)?;
    check_may_use(&token, caller, room_id, world.now, &world.rules)?;
    Ok(token)
}
