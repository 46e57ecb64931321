use super::users::existing;
use crate::{
    command::{Decision, Outcome},
    id::{PaymentId, UserId},
    money::Money,
    points::{Point, PointEntry, PointKind, charged},
    refusal::Refusal,
    rules::ChargePolicy,
    user::Caller,
    world::World,
};

pub(super) fn charge(
    world: &mut World,
    caller: Caller,
    user_id: UserId,
    amount: Money,
    reference: Option<&str>,
) -> Decision {
    let trusted = caller.runs_the_sale() || caller == Caller::Service;
    let own = caller.user_id() == Some(user_id) && world.rules.charge_policy == ChargePolicy::Open;
    if !trusted && !own {
        return Err(Refusal::ChargeNotAllowed);
    }
    // References are used once for ever: a buyer who could name one could stand in the way of the provider's charge.
    if !trusted && reference.is_some() {
        return Err(Refusal::Malformed {
            reason: "A reference is the payment provider's: leave it out when you charge your own account.".to_owned(),
        });
    }
    if !own && reference.is_none() {
        return Err(Refusal::Malformed {
            reason: "A charge for a user needs the payment provider's reference.".to_owned(),
        });
    }
    existing(world, user_id)?;
    if reference.is_some_and(|reference| world.references.contains(reference)) {
        return Err(Refusal::ReferenceUsed);
    }
    let balance = world.points.get(user_id).map_or(Money::ZERO, |point| point.amount);
    charged(balance, amount, &world.rules)?;
    let entry = post(
        world,
        user_id,
        &Movement {
            kind: PointKind::Charge,
            amount,
            description: "charge".to_owned(),
            payment_id: None,
            reference: reference.map(str::to_owned),
        },
    );
    if !own {
        let detail = serde_json::json!({ "amount": amount, "reference": reference });
        world.add_audit(caller.user_id(), "points.charge", format!("user {user_id}"), detail);
    }
    Ok(Outcome::Charged(entry))
}

/// Points that move into or out of an account.
pub(super) struct Movement {
    pub(super) kind: PointKind,
    pub(super) amount: Money,
    pub(super) description: String,
    pub(super) payment_id: Option<PaymentId>,
    pub(super) reference: Option<String>,
}

/// Writes a movement that has been checked: the balance and the history change together.
pub(super) fn post(world: &mut World, user_id: UserId, movement: &Movement) -> PointEntry {
    let now = world.now;
    let mut point = world.points.get(user_id).copied().unwrap_or_else(|| Point {
        point_id: world.take_point_id(),
        user_id,
        amount: Money::ZERO,
        version: 0,
        last_updated: now,
        created_at: now,
    });
    // A refund may lift a balance above the charging limit: the money is the user's. Money::new is exact here
    // because both are within Money::MAX.
    point.amount = Money::new(point.amount.get().saturating_add(movement.amount.get()));
    point.version = point.version.saturating_add(1);
    point.last_updated = now;
    world.points.put(user_id, point);
    let entry = PointEntry {
        history_id: world.take_history_id(),
        user_id,
        amount: movement.amount,
        kind: movement.kind,
        description: movement.description.clone(),
        balance_after: point.amount,
        version: point.version,
        payment_id: movement.payment_id,
        reference: movement.reference.clone(),
        created_at: now,
    };
    world.add_history(entry.clone());
    entry
}
