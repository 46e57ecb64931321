use super::{blocks::check_not_blocked, lanes::check_may_enter, operators::check_system};
use crate::{
    command::{Decision, Issue, Outcome},
    id::{ConcertId, Position, ReservationId, RoomId, TokenId},
    line::{
        EndReason, Fence, Room, Silence, SilentToken, Token, TokenState, TokenStatus, Turn, TurnOutlook, check_may_use,
        is_live_token, is_valid_position, may_activate,
    },
    policy::TOKENS_PER_ADVANCE_MAX,
    refusal::{EntityKind, Refusal},
    sale::Reservation,
    user::Caller,
    world::World,
};
use std::collections::HashMap;

pub(super) fn issue(world: &mut World, caller: Caller, room_id: RoomId, concert_id: Option<ConcertId>) -> Decision {
    let Some(user_id) = caller.user_id() else { return Err(Refusal::Forbidden) };
    match world.rooms.get(room_id) {
        None => return Err(Refusal::NotFound { what: EntityKind::Room }),
        Some(room) if room.is_closed_for_good(world.now) => return Err(Refusal::RoomClosed),
        Some(_) => {}
    }
    if let Some(concert_id) = concert_id {
        let concert = world.concerts.get(concert_id).filter(|concert| concert.room_id == room_id.general());
        concert.ok_or(Refusal::NotFound { what: EntityKind::Concert })?.check_not_over(world.now)?;
    }
    check_not_blocked(world, room_id.general(), user_id)?;
    // Of a general line and its lanes a user has one place.
    let old = world.places.get(&(user_id, room_id.general())).and_then(|id| world.token(*id)).filter(is_live_token);
    let is_kept = old.is_some_and(|old| is_live_token(&old.after_deadline(world.now, &world.policy)));
    if !is_kept {
        check_may_enter(world, room_id, user_id)?;
    }
    if let Some(old) = old {
        let mut token = old.after_deadline(world.now, &world.policy);
        if is_live_token(&token) {
            // A repeated request counts as a heartbeat.
            let heard = if token.status() == TokenStatus::Dormant { token.requeued()? } else { token.back() };
            if heard != token {
                token = heard;
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

/// The caller's own token; another user's is refused like one that does not exist.
fn own(world: &World, caller: Caller, id: TokenId) -> Result<Token, Refusal> {
    world
        .token(id)
        .filter(|token| is_valid_position(id.position) && Some(token.user_id) == caller.user_id())
        .ok_or(Refusal::NotFound { what: EntityKind::Token })
}

pub(super) fn activate(world: &mut World, caller: Caller, id: TokenId) -> Decision {
    let (now, policy) = (world.now, world.policy);
    let token = own(world, caller, id)?.after_deadline(now, &policy);
    match token.status() {
        TokenStatus::Active => {
            let heard = token.back();
            if heard != token {
                world.put_token(heard);
            }
            Ok(Outcome::Token(heard))
        }
        TokenStatus::Offered => {
            let Some(mut room) = world.rooms.get(id.room_id).cloned() else {
                return Err(Refusal::NotFound { what: EntityKind::Room });
            };
            keep_within_budget(world, &mut room);
            end_overdue(world, id.room_id);
            let heard = token.back();
            if heard != token {
                world.put_token(heard);
            }
            // Those who were told to wait come first; this one may be among them.
            activate_claimed(world, &mut room)?;
            let token = own(world, caller, id)?;
            let is_behind = world.claimed.get(&id.room_id).is_some_and(|claimed| !claimed.is_empty());
            let active = active_in(world, id.room_id);
            if token.status() == TokenStatus::Offered
                && (is_behind || !may_activate(&token, active, room.max_active_tokens(), now))
            {
                let kept = token.claimed(now, &policy)?;
                if token.state.claimed_at().is_none() {
                    world.claimed.entry(id.room_id).or_default().push(id);
                }
                world.put_token(kept);
                world.rooms.put(id.room_id, room);
                return Ok(Outcome::TurnPending(kept));
            }
            let token = if token.status() == TokenStatus::Offered {
                room.note_turn(Turn::Claimed);
                let token = token.activated(now, &policy)?;
                admit(world, &mut room, token);
                token
            } else {
                world.put_token(token);
                token
            };
            world.rooms.put(id.room_id, room);
            Ok(Outcome::Token(token))
        }
        TokenStatus::Missed | TokenStatus::Dormant => {
            let token = token.requeued()?;
            world.put_token(token);
            Ok(Outcome::TurnPending(token))
        }
        TokenStatus::Waiting => Err(Refusal::TurnNotYet),
        TokenStatus::Ended => Err(Refusal::TokenEnded),
    }
}

/// Saves a token that was activated, and measures what the cap counts then.
fn admit(world: &mut World, room: &mut Room, token: Token) {
    world.put_token(token);
    room.peaks.note_admission(active_in(world, room.room_id), room.max_active_tokens());
}

fn active_in(world: &World, room_id: RoomId) -> i64 {
    world.counts(room_id).map_or(i64::MAX, |counts| counts.active)
}

/// A room that has no share of the house's budget yet has no places until the next sharing: nothing that other rooms
/// have is taken.
fn keep_within_budget(world: &World, room: &mut Room) {
    if room.allotment.is_none() && world.house_budget().is_some() {
        let rate_share = room.rate_share;
        room.give_share(Some(0), rate_share, world.now);
    }
}

/// Activates the tokens whose claims found the room full, in the order of the claims, as far as there are places now.
/// Returns how many.
fn activate_claimed(world: &mut World, room: &mut Room) -> Result<u32, Refusal> {
    let (now, policy, room_id) = (world.now, world.policy, room.room_id);
    let (mut left, mut activated) = (Vec::new(), 0_u32);
    for id in world.claimed.remove(&room_id).unwrap_or_default() {
        let Some(token) = world.token(id).filter(|token| token.state.claimed_at().is_some()) else { continue };
        if !left.is_empty() {
            // Full: those behind keep their order.
            left.push(id);
        } else if may_activate(&token, active_in(world, room_id), room.max_active_tokens(), now) {
            let active = token.activated(now, &policy)?;
            let is_away = token.state.back_until().is_some();
            admit(world, room, if is_away { active.gone_away(now) } else { active });
            room.note_turn(Turn::Claimed);
            activated = activated.saturating_add(1);
        } else if token.is_offered(now) {
            left.push(id);
        }
    }
    world.claimed.insert(room_id, left);
    Ok(activated)
}

/// Ends the overdue active tokens of a room that were loaded. Until then they count.
fn end_overdue(world: &mut World, room_id: RoomId) {
    let (now, policy) = (world.now, world.policy);
    for id in world.overdue.remove(&room_id).unwrap_or_default() {
        if let Some(token) = world.token(id).filter(|token| token.is_overdue(now)) {
            world.put_token(token.after_deadline(now, &policy));
        }
    }
}

pub(super) fn leave(world: &mut World, caller: Caller, id: TokenId) -> Decision {
    let now = world.now;
    let token = own(world, caller, id)?.after_deadline(now, &world.policy);
    if !is_live_token(&token) {
        return Ok(Outcome::Token(token));
    }
    let token = token.ended(now, EndReason::Left)?;
    world.put_token(token);
    Ok(Outcome::Token(token))
}

pub(super) fn go_away(
    world: &mut World,
    caller: Caller,
    id: TokenId,
    (holds, holds_made): (&[ReservationId], u32),
) -> Decision {
    let now = world.now;
    let token = own(world, caller, id)?.after_deadline(now, &world.policy);
    let is_here = |row: &Reservation| id.room_id.concert().is_none_or(|concert| concert == row.concert_id);
    let is_held = |row: &Reservation| row.user_id == token.user_id && row.is_held(now) && is_here(row);
    let holds_seats = || holds.iter().filter_map(|id| world.reservations.get(*id)).any(is_held);
    // Seats that were held after these were read may be held still.
    if token.status() == TokenStatus::Active && (token.holds != holds_made || holds_seats()) {
        return Ok(Outcome::Token(token));
    }
    let away = token.gone_away(now);
    if away != token {
        world.put_token(away);
    }
    Ok(Outcome::Token(away))
}

pub(super) fn wake(world: &mut World, caller: Caller, id: TokenId) -> Decision {
    let (now, policy) = (world.now, world.policy);
    let token = own(world, caller, id)?.after_deadline(now, &policy);
    let token = match token.status() {
        TokenStatus::Active => token.renewed(now, &policy, &world.outages)?,
        TokenStatus::Dormant => token.requeued()?,
        // A turn whose claim found the room full is kept for as long as its client is heard of.
        TokenStatus::Offered if token.state.claimed_at().is_some() => token.claimed(now, &policy)?,
        TokenStatus::Offered if token.state.back_until().is_some() => token.back(),
        TokenStatus::Waiting | TokenStatus::Offered | TokenStatus::Missed | TokenStatus::Ended => {
            return Ok(Outcome::Token(token));
        }
    };
    world.put_token(token);
    Ok(Outcome::Token(token))
}

pub(super) fn issue_pass(world: &mut World, caller: Caller, id: TokenId) -> Decision {
    let (now, policy) = (world.now, world.policy);
    let before = own(world, caller, id)?;
    let token = before.after_deadline(now, &policy);
    check_may_use(&token, caller, id.room_id.general(), now, &policy)?;
    let token = token.extended_for_pass(now, &policy, &world.outages)?;
    if token != before {
        world.put_token(token);
    }
    token.pass(now).map(Outcome::Pass).ok_or(Refusal::TokenEnded)
}

pub(super) fn advance(
    world: &mut World,
    caller: Caller,
    room_id: RoomId,
    (fence, limit): (Fence, u32),
    unresponsive: &[SilentToken],
    outlook: Option<&TurnOutlook>,
) -> Decision {
    check_system(caller)?;
    let (now, policy) = (world.now, world.policy);
    let Some(mut room) = world.rooms.get(room_id).cloned() else {
        return Err(Refusal::NotFound { what: EntityKind::Room });
    };
    if fence < room.fence {
        return Ok(Outcome::Superseded { fence: room.fence.0 });
    }
    room.fence = fence;
    keep_within_budget(world, &mut room);
    let mut overdue = 0_u32;
    for id in world.due.remove(&room_id).unwrap_or_default() {
        let Some(token) = world.token(id).filter(|token| token.is_overdue(now)) else { continue };
        if matches!(token.state, TokenState::Offered { claimed_at: None, .. }) {
            room.note_turn(Turn::Unclaimed);
        }
        world.put_token(token.after_deadline(now, &policy));
        overdue = overdue.saturating_add(1);
    }
    let activated = activate_claimed(world, &mut room)?;
    let counts = world.counts(room_id).unwrap_or_default();
    let turns = room
        .turns_to_offer((counts.active, counts.offered), outlook, now, policy.offer_lead)
        .min(i64::from(limit.min(TOKENS_PER_ADVANCE_MAX)));
    let unresponsive: HashMap<Position, Silence> =
        unresponsive.iter().map(|token| (token.position, token.silence)).collect();
    let (mut offered, mut made_dormant) = (0_u32, 0_u32);
    for id in world.head.remove(&room_id).unwrap_or_default() {
        if i64::from(offered) >= turns {
            break;
        }
        let Some(token) = world.token(id).filter(|token| token.status() == TokenStatus::Waiting) else { continue };
        room.cursor = room.cursor.max(id.position);
        let is_silent = unresponsive.get(&id.position).is_some_and(|silence| match silence {
            Silence::Away => true,
            // The leader may not have received the token's issue yet, which counts as a heartbeat too.
            Silence::Unheard => now.since(token.issued_at) >= policy.dormant_after,
        });
        if is_silent {
            world.put_token(token.made_dormant(now, &policy)?);
            room.peaks.note_passed_over();
            made_dormant = made_dormant.saturating_add(1);
        } else {
            world.put_token(token.offered(now, &policy)?);
            offered = offered.saturating_add(1);
        }
    }
    room.spend_credit(i64::from(offered));
    // Credit alone changes with every reading of the clock; it is saved with the turns it paid for.
    let is_other = |old: &Room| old.cursor != room.cursor || old.fence != room.fence || old.allotment != room.allotment;
    if offered > 0 || made_dormant > 0 || overdue > 0 || activated > 0 || world.rooms.get(room_id).is_some_and(is_other)
    {
        world.rooms.put(room_id, room);
    }
    Ok(Outcome::Advanced { activated, offered, made_dormant, overdue })
}

/// The caller's active token, valid for `room_id`, or the refusal.
pub(super) fn check_service(world: &World, caller: Caller, id: TokenId, room_id: RoomId) -> Result<Token, Refusal> {
    let token = world.token(id).filter(|_| is_valid_position(id.position)).ok_or(Refusal::TokenInvalid)?;
    check_may_use(&token, caller, room_id, world.now, &world.policy)?;
    Ok(token)
}
