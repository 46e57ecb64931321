use super::{
    holds,
    operators::{check_has_reason, check_reason, check_system, with_reason},
    second_factor,
};
use crate::{
    command::{Decision, Erasure, NewPassword, Outcome, PasswordHash, Proof, Worth},
    id::{ReservationId, UserId},
    line::{EndReason, is_live_token},
    points::DebtStatus,
    refusal::{EntityKind, Refusal},
    sale::ReservationStatus,
    user::{
        AccountLink, Caller, LetterLanguage, LinkKind, NewUser, OperatorPresence, ProofKind, Role, Session, User,
        UserStatus,
    },
    world::World,
};
use serde_json::{Map, json};

pub(super) fn register(world: &mut World, caller: Caller, new: &NewUser) -> Decision {
    if new.role.sees_sale() {
        check_system(caller)?;
    }
    if world.emails.contains_key(&new.email) || world.users.contains(new.user_id) {
        return Err(Refusal::EmailTaken);
    }
    let user = User::registered(new, world.now);
    world.add_user(user.clone(), new.clone());
    if new.role.sees_sale() {
        let action = if new.role == Role::Operator { "operator.add" } else { "viewer.add" };
        world.add_audit(None, action, format!("user {}", new.user_id), serde_json::json!({}));
    }
    Ok(Outcome::Registered(user))
}

pub(super) fn register_first(world: &mut World, caller: Caller, new: &NewUser) -> Decision {
    check_system(caller)?;
    match (world.operators, new.role) {
        (OperatorPresence::Present | OperatorPresence::Gone, _) => Err(Refusal::OperatorExists),
        (OperatorPresence::Never, Role::Operator) => register(world, caller, new),
        (OperatorPresence::Never, Role::Buyer | Role::Viewer) => Err(Refusal::Forbidden),
    }
}

/// The user with this id. An erased one counts as unknown.
pub(super) fn existing(world: &World, id: UserId) -> Result<User, Refusal> {
    let user = world.users.get(id).filter(|user| user.status != UserStatus::Erased).cloned();
    user.ok_or(Refusal::NotFound { what: EntityKind::User })
}

/// The user, if the caller may lock, unlock or reset the account. The box office itself may for every account.
fn subordinate(world: &World, caller: Caller, id: UserId) -> Result<User, Refusal> {
    if !caller.is_operator() {
        return Err(Refusal::Forbidden);
    }
    let user = existing(world, id)?;
    if caller != Caller::System {
        user.check_is_for_operators()?;
    }
    Ok(user)
}

/// The caller's own account, or any account for the box office itself.
pub(super) fn own(world: &World, caller: Caller, id: UserId) -> Result<User, Refusal> {
    if caller == Caller::System || caller.user_id() == Some(id) {
        existing(world, id)
    } else {
        Err(Refusal::NotFound { what: EntityKind::User })
    }
}

/// Refuses unless the caller's proof is still that of the account.
pub(super) fn still_proved(user: &User, caller: Caller, proof: Proof) -> Result<(), Refusal> {
    match proof {
        Proof::Unneeded if caller == Caller::System => Ok(()),
        Proof::Unneeded => Err(Refusal::Forbidden),
        Proof::Password(epoch) if epoch != user.sign_in_epoch => Err(Refusal::AccountChanged),
        Proof::Password(_) if user.status == UserStatus::Locked => Err(Refusal::AccountLocked),
        Proof::Password(_) => Ok(()),
    }
}

pub(super) fn put(world: &mut World, mut user: User) -> User {
    user.updated_at = world.now;
    world.users.put(user.user_id, user.clone());
    user
}

/// Writes a line of the audit log for an operator, a viewer or the box office. Buyers' changes of their own accounts get none:
/// they may make any number of them, and the log is kept for ever.
pub(super) fn note(world: &mut World, caller: Caller, action: &str, id: UserId, detail: serde_json::Value) {
    if caller.may_see_sale() {
        world.add_audit(caller.user_id(), action, format!("user {id}"), detail);
    }
}

pub(super) fn set_role(world: &mut World, caller: Caller, id: UserId, role: Role) -> Decision {
    check_system(caller)?;
    let mut user = existing(world, id)?;
    if user.role != role {
        user.role = role;
        if !role.sees_sale() {
            world.remove_factor(id);
        }
        world.end_sessions(&mut user, None);
        user = put(world, user);
        note(world, caller, "user.role", id, serde_json::json!({ "role": role }));
    }
    Ok(Outcome::User(user))
}

pub(super) fn rename(world: &mut World, caller: Caller, id: UserId, name: &str) -> Decision {
    check_system(caller)?;
    let mut user = existing(world, id)?;
    if user.name != name {
        name.clone_into(&mut user.name);
        user = put(world, user);
        // Names are erased with the account, but the log stays: it contains no names.
        note(world, caller, "user.rename", id, serde_json::json!({}));
    }
    Ok(Outcome::User(user))
}

/// The user, if a password that was checked at this epoch may still open a session.
pub(super) fn may_sign_in(world: &World, id: UserId, epoch: i64) -> Result<User, Refusal> {
    let user = existing(world, id)?;
    if user.status == UserStatus::Locked {
        return Err(Refusal::AccountLocked);
    }
    if user.sign_in_epoch != epoch {
        return Err(Refusal::AccountChanged);
    }
    Ok(user)
}

pub(super) fn open_session(world: &mut World, session: Session, epoch: i64) -> Decision {
    let user = may_sign_in(world, session.user_id, epoch)?;
    if second_factor::in_force(world, user.user_id).is_some() {
        return Err(Refusal::SecondFactorNeeded);
    }
    Ok(admit(world, user, session))
}

/// Opens the session of a user who has proved enough.
pub(super) fn admit(world: &mut World, user: User, session: Session) -> Outcome {
    // The session has the role that the account had when the password was checked; if that has changed, the epoch
    // differs.
    let is_noted = user.role.sees_sale() && session.role == user.role;
    let session = Session { role: user.role, ..session };
    if is_noted {
        let action = if user.role == Role::Operator { "operator.sign_in" } else { "viewer.sign_in" };
        world.add_audit(Some(user.user_id), action, format!("user {}", user.user_id), serde_json::json!({}));
    }
    if user.has_old_sign_in(world.now) {
        world.note_sign_in(user);
    }
    world.add_session(session);
    Outcome::SignedIn { expires_at: session.expires_at, role: session.role }
}

pub(super) fn note_failed_proofs(world: &mut World, caller: Caller, id: UserId, of: ProofKind, count: u32) -> Decision {
    check_system(caller)?;
    let action = match (of, existing(world, id)?.role) {
        (_, Role::Buyer) => return Ok(Outcome::Done),
        (ProofKind::SignIn, Role::Operator) => "operator.sign_in_failed",
        (ProofKind::SignIn, Role::Viewer) => "viewer.sign_in_failed",
        (ProofKind::SecondFactor, Role::Operator | Role::Viewer) => "user.second_factor_failed",
    };
    note(world, caller, action, id, serde_json::json!({ "count": count }));
    Ok(Outcome::Done)
}

pub(super) fn close_session(world: &mut World, secret_hash: [u8; 32]) -> Outcome {
    world.close_session(secret_hash);
    Outcome::Done
}

/// Ends a session of the caller's own. Another user's counts as unknown, and so does one that has ended.
pub(super) fn end_session(world: &mut World, caller: Caller, secret_hash: [u8; 32]) -> Decision {
    let session = world.sessions.get(&secret_hash).filter(|session| world.now < session.expires_at);
    if session.is_none_or(|session| caller.user_id() != Some(session.user_id)) {
        return Err(Refusal::NotFound { what: EntityKind::Session });
    }
    world.close_session(secret_hash);
    Ok(Outcome::Done)
}

pub(super) fn close_sessions(world: &mut World, caller: Caller, id: UserId) -> Decision {
    let mut user = own(world, caller, id)?;
    world.end_sessions(&mut user, None);
    put(world, user);
    note(world, caller, "user.sign_out", id, serde_json::json!({}));
    Ok(Outcome::Done)
}

pub(super) fn set_password(world: &mut World, caller: Caller, new: &NewPassword) -> Decision {
    let mut user = own(world, caller, new.user_id)?;
    still_proved(&user, caller, new.proof)?;
    world.set_password(new.user_id, new.password_hash.clone());
    world.end_sessions(&mut user, new.kept_session);
    let user = put(world, user);
    note(world, caller, "user.password", new.user_id, serde_json::json!({}));
    Ok(Outcome::User(user))
}

/// Locks an account; its sessions end.
pub(super) fn lock(world: &mut World, caller: Caller, id: UserId, reason: Option<&str>) -> Decision {
    let mut user = subordinate(world, caller, id)?;
    reason.map_or(Ok(()), check_reason)?;
    check_has_reason(caller, reason)?;
    if user.status != UserStatus::Locked {
        let change = json!({ "from": user.status, "to": UserStatus::Locked });
        user.status = UserStatus::Locked;
        world.end_sessions(&mut user, None);
        put(world, user);
        let detail = with_reason(Map::from_iter([("status".to_owned(), change)]), reason);
        note(world, caller, "user.lock", id, detail);
    }
    Ok(Outcome::Done)
}

/// Unlocks an account.
pub(super) fn unlock(world: &mut World, caller: Caller, id: UserId) -> Decision {
    let mut user = subordinate(world, caller, id)?;
    if user.status != UserStatus::Active {
        let change = json!({ "from": user.status, "to": UserStatus::Active });
        user.status = UserStatus::Active;
        put(world, user);
        note(world, caller, "user.unlock", id, json!({ "status": change }));
    }
    // The answer may be stored under an idempotency key, which erasure does not reach: it names no person.
    Ok(Outcome::Done)
}

pub(super) fn issue_reset_link(world: &mut World, caller: Caller, id: UserId, secret_hash: [u8; 32]) -> Decision {
    let user = subordinate(world, caller, id)?;
    if user.status == UserStatus::Locked {
        return Err(Refusal::AccountLocked);
    }
    note(world, caller, "user.reset_link", id, serde_json::json!({}));
    Ok(put_link(world, &user, LinkKind::PasswordReset, secret_hash))
}

/// Replaces the user's link of this kind.
fn put_link(world: &mut World, user: &User, kind: LinkKind, secret_hash: [u8; 32]) -> Outcome {
    let expires_at = world.now.plus(kind.valid());
    let link = AccountLink { user_id: user.user_id, kind, secret_hash, epoch: user.sign_in_epoch, expires_at };
    world.links.put((user.user_id, kind), link);
    Outcome::LinkIssued { expires_at }
}

/// The user, if a letter of this kind may be sent to them.
fn addressee(world: &World, id: UserId, letter: LinkKind) -> Result<User, Refusal> {
    let user = existing(world, id)?;
    match (letter, user.status, user.role) {
        (_, UserStatus::Locked, _) => Err(Refusal::AccountLocked),
        // The mailbox of an operator must not be enough to run the sale, nor that of a viewer to see it.
        (LinkKind::PasswordReset, _, role) if role.sees_sale() => Err(Refusal::OperatorAccount),
        _ => Ok(user),
    }
}

pub(super) fn request_letter(
    world: &mut World,
    caller: Caller,
    id: UserId,
    letter: LinkKind,
    language: LetterLanguage,
) -> Decision {
    if letter == LinkKind::EmailConfirmation {
        own(world, caller, id)?;
    }
    let user = addressee(world, id, letter)?;
    if letter == LinkKind::PasswordReset || user.email_confirmed_at.is_none() {
        world.request_letter(id, letter, language);
    }
    Ok(Outcome::Done)
}

pub(super) fn issue_letter_link(
    world: &mut World,
    caller: Caller,
    id: UserId,
    letter: LinkKind,
    secret_hash: [u8; 32],
) -> Decision {
    if caller != Caller::System {
        return Err(Refusal::Forbidden);
    }
    let user = addressee(world, id, letter)?;
    // No line in the audit log: anybody may ask for any number of letters, and the log is kept for ever.
    Ok(put_link(world, &user, letter, secret_hash))
}

/// The user, if this is the secret of a link of theirs that can be used now.
fn user_of_link(world: &World, id: UserId, kind: LinkKind, secret_hash: &[u8; 32]) -> Option<User> {
    let (link, user) = (world.links.get((id, kind))?, existing(world, id).ok()?);
    link.is_usable(secret_hash, &user, world.now).then_some(user)
}

/// Confirms the address. The same link may be used again: it changes nothing.
pub(super) fn confirm_email(world: &mut World, id: UserId, secret_hash: &[u8; 32]) -> Decision {
    let user = user_of_link(world, id, LinkKind::EmailConfirmation, secret_hash);
    let user = user.ok_or(Refusal::ConfirmationLinkInvalid)?;
    if user.email_confirmed_at.is_none() {
        let email_confirmed_at = Some(world.now);
        put(world, User { email_confirmed_at, ..user });
    }
    Ok(Outcome::Done)
}

pub(super) fn redeem_reset_link(
    world: &mut World,
    id: UserId,
    secret_hash: &[u8; 32],
    password_hash: &PasswordHash,
) -> Decision {
    let user = user_of_link(world, id, LinkKind::PasswordReset, secret_hash);
    let mut user = user.ok_or(Refusal::ResetLinkInvalid)?;
    world.set_password(id, password_hash.clone());
    world.end_sessions(&mut user, None);
    let whose = user.role.caller(id);
    put(world, user);
    note(world, whose, "user.reset", id, serde_json::json!({}));
    Ok(Outcome::Done)
}

pub(super) fn erase(world: &mut World, caller: Caller, erasure: &Erasure) -> Decision {
    let id = erasure.user_id;
    let mut user = own(world, caller, id)?;
    still_proved(&user, caller, erasure.proof)?;
    if caller != Caller::System && (user.role.sees_sale() || erasure.worth == Worth::Abandoned) {
        return Err(Refusal::OperatorAccount);
    }
    if erasure.idle_since.is_some_and(|before| !user.is_idle_since(before)) {
        return Err(Refusal::AccountChanged);
    }
    owes_nothing(world, id)?;
    if erasure.worth == Worth::Kept {
        keeps_nothing_of_worth(world, id, &erasure.reservations)?;
    }
    for reservation_id in &erasure.reservations {
        // An overdue hold is swept, or taken by the next buyer, like any other.
        let _ = holds::cancel(world, Caller::Buyer(id), *reservation_id, None);
    }
    for token_id in &erasure.tokens {
        let token = world.token(*token_id).filter(|token| token.user_id == id);
        if let Some(token) = token.map(|token| token.after_deadline(world.now, &world.policy)).filter(is_live_token) {
            world.put_token(token.ended(world.now, EndReason::Left)?);
        }
    }
    "erased".clone_into(&mut user.name);
    user.email = User::erased_email(id);
    user.email_confirmed_at = None;
    user.role = Role::Buyer;
    user.status = UserStatus::Erased;
    world.remove_factor(id);
    world.erase_blocks(id);
    world.set_password(id, PasswordHash(String::new()));
    world.end_sessions(&mut user, None);
    let user = put(world, user);
    let abandoned = erasure.worth == Worth::Abandoned;
    let detail = serde_json::json!({ "worth_abandoned": abandoned, "idle": erasure.idle_since.is_some() });
    // Buyers get a line too: an erasure happens only once, and other processes learn of it by this line.
    world.add_audit(caller.user_id(), "user.erase", format!("user {id}"), detail);
    Ok(Outcome::User(user))
}

/// Refuses if the user has an open debt, which could not be settled with an account without a name.
fn owes_nothing(world: &World, id: UserId) -> Result<(), Refusal> {
    let open = world.debts.iter().filter(|debt| debt.user_id == id && debt.status == DebtStatus::Open);
    match open.min_by_key(|debt| debt.debt_id) {
        Some(debt) => Err(Refusal::DebtLeft { debt_id: debt.debt_id, amount: debt.amount }),
        None => Ok(()),
    }
}

/// Refuses if the user has points, or tickets of worth.
fn keeps_nothing_of_worth(world: &World, id: UserId, reservations: &[ReservationId]) -> Result<(), Refusal> {
    if let Some(point) = world.points.get(id).filter(|point| point.amount.get() > 0) {
        return Err(Refusal::BalanceLeft { balance: point.amount });
    }
    let is_ticket = |id: &ReservationId| {
        let row = world.reservations.get(*id).filter(|row| row.status() == ReservationStatus::Confirmed)?;
        let concert = world.concerts.get(row.concert_id)?;
        concert.has_tickets_of_worth(world.now).then_some(row)
    };
    match reservations.iter().filter_map(is_ticket).find(|row| row.user_id == id) {
        Some(ticket) => Err(Refusal::TicketsLeft { reservation_id: ticket.reservation_id }),
        None => Ok(()),
    }
}
