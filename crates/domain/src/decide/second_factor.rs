//! Second factors: set up, used, removed.

use super::{
    operators::check_system,
    users::{admit, existing, may_sign_in, note, own, put, still_proved},
};
use crate::{
    command::{Decision, FactorConfirmation, FactorStep, Outcome},
    id::UserId,
    refusal::{EntityKind, Refusal},
    user::{
        CODE_STEPS_APART, Caller, ConfirmedFactor, FactorProof, FactorSecret, FactorState, SecondFactor, Session, User,
        code_step,
    },
    world::World,
};
use serde_json::json;

/// The factor of a user, if it is in force.
pub(super) fn in_force(world: &World, id: UserId) -> Option<&ConfirmedFactor> {
    world.factors.get(id)?.confirmed()
}

/// The account, if the caller may set up a second factor of it: its own, if its role is worth one.
fn settable(world: &World, caller: Caller, id: UserId) -> Result<User, Refusal> {
    let user = own(world, caller, id)?;
    if user.role.sees_sale() { Ok(user) } else { Err(Refusal::Forbidden) }
}

/// The same, if no factor is in force.
fn unset(world: &World, caller: Caller, id: UserId) -> Result<User, Refusal> {
    let user = settable(world, caller, id)?;
    if in_force(world, id).is_some() { Err(Refusal::SecondFactorActive) } else { Ok(user) }
}

fn set(world: &mut World, id: UserId, state: FactorState) {
    let updated_at = world.now;
    world.factors.put(id, SecondFactor { user_id: id, state, updated_at });
}

fn log(world: &mut World, caller: Caller, id: UserId, what: &str) {
    note(world, caller, "user.second_factor", id, json!({ "set": what }));
}

pub(super) fn change(world: &mut World, caller: Caller, id: UserId, step: &FactorStep) -> Decision {
    match step {
        FactorStep::Enrol { secret } => enrol(world, caller, id, *secret),
        FactorStep::Confirm(confirmed) => confirm(world, caller, id, confirmed),
        FactorStep::Decline => decline(world, caller, id),
        FactorStep::RenewCodes { proof, recovery } => renew_recovery(world, caller, id, *proof, recovery),
        FactorStep::Remove { proof } => remove(world, caller, id, *proof),
        FactorStep::Reset => reset(world, caller, id),
        FactorStep::NoteWrongCode => note_wrong_code(world, caller, id),
    }
}

fn enrol(world: &mut World, caller: Caller, id: UserId, secret: FactorSecret) -> Decision {
    unset(world, caller, id)?;
    set(world, id, FactorState::Pending { secret });
    Ok(Outcome::Done)
}

fn decline(world: &mut World, caller: Caller, id: UserId) -> Decision {
    unset(world, caller, id)?;
    set(world, id, FactorState::Declined);
    Ok(Outcome::Done)
}

fn confirm(world: &mut World, caller: Caller, id: UserId, confirmed: &FactorConfirmation) -> Decision {
    let mut user = unset(world, caller, id)?;
    still_proved(&user, caller, confirmed.proof)?;
    let pending = FactorState::Pending { secret: confirmed.secret };
    if world.factors.get(id).is_none_or(|factor| factor.state != pending) {
        return Err(Refusal::AccountChanged);
    }
    if confirmed.step.saturating_sub(code_step(world.now)).saturating_abs() > CODE_STEPS_APART {
        return Err(Refusal::SecondFactorWrong);
    }
    let factor = ConfirmedFactor {
        secret: confirmed.secret,
        confirmed_at: world.now,
        last_step: confirmed.step,
        recovery: confirmed.recovery.clone(),
        wrong_codes: 0,
        wrong_at: None,
    };
    set(world, id, FactorState::Confirmed(factor));
    // Sessions that were opened by the password alone end.
    world.end_sessions(&mut user, Some(confirmed.kept_session));
    put(world, user);
    log(world, caller, id, "on");
    Ok(Outcome::Done)
}

/// The factor in force of the caller's own account, after a proof was used.
fn proved(world: &World, caller: Caller, id: UserId, proof: FactorProof) -> Result<ConfirmedFactor, Refusal> {
    own(world, caller, id)?;
    let factor = in_force(world, id).cloned().ok_or(Refusal::NotFound { what: EntityKind::SecondFactor })?;
    factor.used(proof, world.now)
}

fn renew_recovery(
    world: &mut World,
    caller: Caller,
    id: UserId,
    proof: FactorProof,
    recovery: &[[u8; 32]],
) -> Decision {
    let factor = proved(world, caller, id, proof)?;
    set(world, id, FactorState::Confirmed(ConfirmedFactor { recovery: recovery.to_vec(), ..factor }));
    log(world, caller, id, "recovery_codes");
    Ok(Outcome::Done)
}

fn remove(world: &mut World, caller: Caller, id: UserId, proof: FactorProof) -> Decision {
    proved(world, caller, id, proof)?;
    world.remove_factor(id);
    log(world, caller, id, "off");
    Ok(Outcome::Done)
}

/// Removes the factor for an owner who has neither the app nor a recovery code. All sessions end: somebody else
/// may have the app.
fn reset(world: &mut World, caller: Caller, id: UserId) -> Decision {
    check_system(caller)?;
    let mut user = existing(world, id)?;
    if in_force(world, id).is_none() {
        return Err(Refusal::NotFound { what: EntityKind::SecondFactor });
    }
    world.remove_factor(id);
    world.end_sessions(&mut user, None);
    put(world, user);
    log(world, caller, id, "reset");
    Ok(Outcome::Done)
}

fn note_wrong_code(world: &mut World, caller: Caller, id: UserId) -> Decision {
    check_system(caller)?;
    existing(world, id)?;
    if let Some(factor) = in_force(world, id).cloned() {
        let factor = factor.guessed(world.now)?;
        set(world, id, FactorState::Confirmed(factor));
    }
    Ok(Outcome::Done)
}

pub(super) fn open_session(world: &mut World, session: Session, epoch: i64, proof: FactorProof) -> Decision {
    let user = may_sign_in(world, session.user_id, epoch)?;
    // If the factor was removed since the caller was asked for a code, the password alone is enough.
    if let Some(factor) = in_force(world, user.user_id).cloned() {
        let factor = factor.used(proof, world.now)?;
        set(world, user.user_id, FactorState::Confirmed(factor));
    }
    Ok(admit(world, user, session))
}
