//! The rules of every command: its effect on the world, or the reason for its refusal.
//!
//! [`decide`] is pure. It checks everything before it changes anything, so a refusal leaves the world as it was.

mod blocks;
mod concerts;
mod conditions;
mod draws;
mod holds;
mod lanes;
mod operators;
mod outbox;
mod payments;
mod points;
mod rehearsals;
mod rooms;
mod seats;
mod second_factor;
mod shares;
mod tokens;
mod users;

use crate::{
    command::{Answer, Command, Decision, Outcome, Replay, Request, stored},
    refusal::Refusal,
    world::World,
};

/// Decides a batch in order; each command sees the changes of the earlier ones.
#[must_use]
pub fn decide_all(world: &mut World, batch: &[Request]) -> Vec<Answer> {
    batch.iter().map(|request| decide(world, request)).collect()
}

/// Decides one command. With an idempotency key the first answer that changed something is stored, and later requests
/// with the key get it. An answer that changed nothing is not stored, unless it is a refusal that must be repeated
/// ([`Refusal::is_stored`]): the next request is then decided like a first one.
#[must_use]
pub fn decide(world: &mut World, request: &Request) -> Answer {
    let Some(idempotency) = request.idempotency else {
        return Answer { decision: checked(world, request), replay: Replay::Fresh };
    };
    if let Some(kept) = world.kept.get(idempotency.key) {
        if kept.idempotency.fingerprint != idempotency.fingerprint {
            return Answer { decision: Err(Refusal::IdempotencyKeyReused), replay: Replay::Fresh };
        }
        // If the stored answer cannot be read, the request must still not be carried out twice.
        let unreadable = || {
            Err(Refusal::Malformed { reason: "The answer stored for this Idempotency-Key cannot be read.".to_owned() })
        };
        let decision = stored::read(&kept.answer).unwrap_or_else(unreadable);
        return Answer { decision, replay: Replay::Replayed };
    }
    let before = world.edits();
    let decision = checked(world, request);
    let keep = match &decision {
        // A later request with the same key must get past "ask again at once". Names and e-mail addresses are not
        // stored, since erasure does not reach stored answers.
        Ok(Outcome::TurnPending(_) | Outcome::Registered(_) | Outcome::User(_)) => false,
        Ok(_) => world.edits() != before,
        Err(refusal) => refusal.is_stored(),
    };
    if keep && let Some(answer) = stored::write(&decision) {
        world.store_answer(idempotency, answer);
    }
    Answer { decision, replay: Replay::Fresh }
}

/// Applies a command, and checks what must be true after it.
fn checked(world: &mut World, request: &Request) -> Decision {
    let edits = world.edits();
    let decision = request.command.check_bounds().and_then(|()| apply(world, request));
    conditions::check(world, edits, &decision);
    decision
}

fn apply(world: &mut World, request: &Request) -> Decision {
    let caller = request.caller;
    match &request.command {
        Command::Register(user) => users::register(world, caller, user),
        Command::RegisterFirst(user) => users::register_first(world, caller, user),
        Command::SetRole { user_id, role } => users::set_role(world, caller, *user_id, *role),
        Command::RenameUser { user_id, name } => users::rename(world, caller, *user_id, name),
        Command::OpenSession { session, epoch } => users::open_session(world, *session, *epoch),
        Command::OpenSessionWithFactor { session, epoch, proof } => {
            second_factor::open_session(world, *session, *epoch, *proof)
        }
        Command::ChangeFactor { user_id, step } => second_factor::change(world, caller, *user_id, step),
        Command::CloseSessions { user_id } => users::close_sessions(world, caller, *user_id),
        Command::SetPassword(new) => users::set_password(world, caller, new),
        Command::LockUser { user_id, reason } => users::lock(world, caller, *user_id, reason.as_deref()),
        Command::UnlockUser { user_id } => users::unlock(world, caller, *user_id),
        Command::IssueResetLink { user_id, secret_hash } => {
            users::issue_reset_link(world, caller, *user_id, *secret_hash)
        }
        Command::RedeemResetLink { user_id, secret_hash, password_hash } => {
            users::redeem_reset_link(world, *user_id, secret_hash, password_hash)
        }
        Command::RequestLetter { user_id, letter, language } => {
            users::request_letter(world, caller, *user_id, *letter, *language)
        }
        Command::IssueLetterLink { user_id, letter, secret_hash } => {
            users::issue_letter_link(world, caller, *user_id, *letter, *secret_hash)
        }
        Command::ConfirmEmail { user_id, secret_hash } => users::confirm_email(world, *user_id, secret_hash),
        Command::EraseUser(erasure) => users::erase(world, caller, erasure),
        Command::CloseSession { secret_hash } => Ok(users::close_session(world, *secret_hash)),
        Command::EndSession { secret_hash } => users::end_session(world, caller, *secret_hash),
        Command::IssueToken { room_id, concert_id } => tokens::issue(world, caller, *room_id, *concert_id),
        Command::ActivateToken { token } => tokens::activate(world, caller, *token),
        Command::LeaveQueue { token } => tokens::leave(world, caller, *token),
        Command::GoAway { token, holds, holds_made } => tokens::go_away(world, caller, *token, (holds, *holds_made)),
        Command::WakeToken { token } => tokens::wake(world, caller, *token),
        Command::RemoveFromLine { .. } | Command::BlockFromLine(_) | Command::UnblockFromLine { .. } => {
            blocks::apply(world, caller, &request.command)
        }
        Command::IssuePass { token } => tokens::issue_pass(world, caller, *token),
        Command::AdvanceRoom { room_id, fence, limit, unresponsive, outlook } => {
            tokens::advance(world, caller, *room_id, (*fence, *limit), unresponsive, outlook.as_ref())
        }
        Command::StepDraw { room_id, step } => draws::step(world, caller, *room_id, step),
        Command::StepLane { room_id, step } => lanes::step(world, caller, *room_id, step),
        Command::EndLine { room_id, .. } => concerts::end_line(world, caller, *room_id),
        Command::Hold { token, seat_ids } => holds::hold(world, caller, *token, seat_ids),
        Command::CancelReservation { reservation_id, reason } => {
            holds::cancel(world, caller, *reservation_id, reason.as_deref())
        }
        Command::ExpireHolds { reservation_ids } => holds::expire(world, caller, reservation_ids),
        Command::Pay { token, reservation_ids } => payments::pay(world, caller, *token, reservation_ids),
        Command::Refund { payment_id, reason } => payments::refund(world, caller, *payment_id, reason.as_deref()),
        Command::TopUp { user_id, amount, reference } => {
            points::top_up(world, caller, *user_id, *amount, reference.as_deref())
        }
        Command::Adjust(adjustment) => points::adjust(world, caller, adjustment),
        Command::SettleDebt { user_id, debt_id, how, reason } => {
            points::settle(world, caller, *user_id, *debt_id, *how, reason)
        }
        Command::NoteFailedProofs { user_id, of, count } => {
            users::note_failed_proofs(world, caller, *user_id, *of, *count)
        }
        Command::CreateRoom(room) => rooms::create(world, caller, room),
        Command::CloseRoom { room_id, basis, reason } => rooms::close(world, caller, *room_id, *basis, reason),
        Command::EndClosedLine { room_id, .. } => rooms::end_line(world, caller, *room_id),
        Command::CreateConcert(concert) => concerts::create(world, caller, concert),
        Command::UpdateConcert { concert_id, change, basis, reason } => {
            concerts::update(world, caller, *concert_id, change, *basis, reason.as_deref())
        }
        Command::CancelConcert { concert_id, reason, basis } => {
            concerts::cancel(world, caller, *concert_id, reason, *basis)
        }
        Command::RefundConcert { concert_id, basis } => concerts::refund_all(world, caller, *concert_id, *basis),
        Command::WindUp { concert_id, seat_ids, payment_ids } => {
            concerts::wind_up(world, caller, *concert_id, seat_ids, payment_ids)
        }
        Command::SettleConcert { concert_id, seen } => concerts::settle(world, caller, *concert_id, *seen),
        Command::SetPoster { poster, basis } => concerts::set_poster(world, caller, poster, *basis),
        Command::RemovePoster { concert_id, basis } => concerts::remove_poster(world, caller, *concert_id, *basis),
        Command::AddSeats { concert_id, seats } => seats::add(world, caller, *concert_id, seats),
        Command::SetSeats { within, seat_ids, action } => seats::set(world, caller, *within, seat_ids, action),
        Command::ChangeSeats { concert_id, seat_ids, change, reason } => {
            seats::change(world, caller, (*concert_id, seat_ids), change, reason.as_deref())
        }
        Command::RemoveSeats { concert_id, seat_ids, reason } => {
            seats::remove(world, caller, (*concert_id, seat_ids), reason.as_deref())
        }
        Command::BeginRehearsal { concert_id, setup } => rehearsals::begin(world, caller, *concert_id, setup),
        Command::StopRehearsal { concert_id } => rehearsals::stop(world, caller, *concert_id),
        Command::SetRoom { room_id, change, basis, reason } => {
            operators::set_room(world, caller, *room_id, change, *basis, reason.as_deref())
        }
        Command::Share { scope, waiting } => shares::share(world, caller, *scope, waiting),
        Command::RenewLine { room_id } => operators::renew_line(world, caller, *room_id),
        Command::ClaimEvents { consumer, holder } => outbox::claim(world, caller, *consumer, *holder),
        Command::SettleEvents(settled) => outbox::settle(world, caller, settled),
        Command::RetryEvent { event_id } => outbox::retry(world, caller, *event_id),
        Command::FeedAudit { audit_id } => outbox::feed(world, caller, *audit_id),
    }
}
