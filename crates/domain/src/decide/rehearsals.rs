//! Rehearsals: who may begin and stop one, of what. They touch no row of a sale.

use super::operators::{check_operator, malformed};
use crate::{
    command::{Decision, Outcome},
    id::ConcertId,
    refusal::{EntityKind, Refusal},
    sale::RehearsalSetup,
    user::Caller,
    world::World,
};
use serde_json::json;

pub(super) fn begin(world: &mut World, caller: Caller, id: ConcertId, setup: &RehearsalSetup) -> Decision {
    check_operator(caller)?;
    let concert = world.concerts.get(id).ok_or(Refusal::NotFound { what: EntityKind::Concert })?;
    concert.check_may_be_rehearsed(world.now)?;
    if let Some(field) = setup.out_of_bounds(&world.policy) {
        return Err(malformed(format!("{} is out of its bounds.", field.name())));
    }
    world.add_audit(caller.user_id(), "rehearsal.begin", format!("concert {id}"), json!(setup));
    Ok(Outcome::Done)
}

pub(super) fn stop(world: &mut World, caller: Caller, id: ConcertId) -> Decision {
    check_operator(caller)?;
    if !world.concerts.contains(id) {
        return Err(Refusal::NotFound { what: EntityKind::Concert });
    }
    world.add_audit(caller.user_id(), "rehearsal.stop", format!("concert {id}"), json!({}));
    Ok(Outcome::Done)
}
