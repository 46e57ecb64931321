use super::{
    operators::{check_reason, check_trusted, malformed},
    users::existing,
};
use crate::{
    command::{Decision, NewAdjustment, Outcome},
    id::{DebtId, PaymentId, UserId},
    money::Money,
    points::{Adjustment, Debt, DebtStatus, Point, PointEntry, PointKind, Settlement, adjusted, topped_up},
    policy::TopUpPolicy,
    refusal::{EntityKind, Refusal},
    user::Caller,
    world::World,
};

pub(super) fn top_up(
    world: &mut World,
    caller: Caller,
    user_id: UserId,
    amount: Money,
    reference: Option<&str>,
) -> Decision {
    let trusted = check_trusted(caller).is_ok();
    let own = caller.user_id() == Some(user_id) && world.policy.top_up_policy == TopUpPolicy::Open;
    if !trusted && !own {
        return Err(Refusal::TopUpNotAllowed);
    }
    // A reference can be used only once: a buyer that may choose one could block the provider's top-up.
    if !trusted && reference.is_some() {
        return Err(Refusal::Malformed {
            reason: "A reference is the payment provider's: leave it out when you top up your own account.".to_owned(),
        });
    }
    if !own && reference.is_none() {
        return Err(Refusal::Malformed {
            reason: "A top-up for a user needs the payment provider's reference.".to_owned(),
        });
    }
    existing(world, user_id)?;
    if reference.is_some_and(|reference| world.references.contains(reference)) {
        return Err(Refusal::ReferenceUsed);
    }
    let balance = world.points.get(user_id).map_or(Money::ZERO, |point| point.amount);
    topped_up(balance, amount, &world.policy)?;
    let entry = post(
        world,
        user_id,
        &Movement {
            kind: PointKind::TopUp,
            amount,
            description: "top-up".to_owned(),
            payment_id: None,
            reference: reference.map(str::to_owned),
        },
    );
    if !own {
        let detail = serde_json::json!({ "amount": amount, "reference": reference });
        world.add_audit(caller.user_id(), "points.top_up", format!("user {user_id}"), detail);
    }
    Ok(Outcome::ToppedUp(entry))
}

pub(super) fn adjust(world: &mut World, caller: Caller, new: &NewAdjustment) -> Decision {
    let NewAdjustment { user_id, amount, reason, reference } = new;
    let user_id = *user_id;
    check_trusted(caller)?;
    check_reason(reason)?;
    if reference.is_empty() {
        return Err(malformed("An adjustment has a reference."));
    }
    existing(world, user_id)?;
    if world.adjustments.contains(&(user_id, reference.clone())) {
        return Err(Refusal::ReferenceUsed);
    }
    let balance = world.points.get(user_id).map_or(Money::ZERO, |point| point.amount);
    let Adjustment { moved, owed } = adjusted(balance, *amount, &world.policy)?;
    world.adjustments.insert((user_id, reference.clone()));
    let entry = (moved != Money::ZERO).then(|| {
        let movement = Movement {
            kind: PointKind::Adjustment,
            amount: moved,
            description: reason.clone(),
            payment_id: None,
            reference: Some(reference.clone()),
        };
        post(world, user_id, &movement)
    });
    let debt = (owed > Money::ZERO).then(|| Debt {
        debt_id: world.take_debt_id(),
        user_id,
        amount: owed,
        reason: reason.clone(),
        reference: reference.clone(),
        status: DebtStatus::Open,
        created_at: world.now,
        settled_at: None,
    });
    if let Some(debt) = &debt {
        world.debts.put(debt.debt_id, debt.clone());
    }
    let detail = serde_json::json!({
        "amount": amount, "moved": moved, "owed": owed, "reason": reason, "reference": reference,
    });
    world.add_audit(caller.user_id(), "points.adjust", format!("user {user_id}"), detail);
    Ok(Outcome::Adjusted { entry, debt })
}

pub(super) fn settle(
    world: &mut World,
    caller: Caller,
    user_id: UserId,
    debt_id: DebtId,
    how: Settlement,
    reason: &str,
) -> Decision {
    check_trusted(caller)?;
    check_reason(reason)?;
    let Some(mut debt) = world.debts.get(debt_id).filter(|debt| debt.user_id == user_id).cloned() else {
        return Err(Refusal::NotFound { what: EntityKind::Debt });
    };
    if debt.status != DebtStatus::Open {
        return Err(Refusal::DebtSettled);
    }
    debt.status = match how {
        Settlement::Waive => DebtStatus::Waived,
        Settlement::Collect => {
            let balance = world.points.get(user_id).map_or(Money::ZERO, |point| point.amount);
            if balance < debt.amount {
                return Err(Refusal::BalanceTooLow { balance, amount: debt.amount });
            }
            let movement = Movement {
                kind: PointKind::Adjustment,
                amount: debt.amount.negated(),
                description: format!("debt {debt_id}: {}", debt.reason),
                payment_id: None,
                reference: None,
            };
            post(world, user_id, &movement);
            DebtStatus::Collected
        }
    };
    debt.settled_at = Some(world.now);
    world.debts.put(debt_id, debt.clone());
    let detail =
        serde_json::json!({ "user_id": user_id, "amount": debt.amount, "status": debt.status, "reason": reason });
    world.add_audit(caller.user_id(), "debt.settle", format!("debt {debt_id}"), detail);
    Ok(Outcome::Debt(debt))
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
    // A refund may lift a balance above the top-up limit: the money is the user's. Money::new is exact here
    // because both are within Money::MAX.
    point.amount = Money::new(point.amount.get().saturating_add(movement.amount.get()));
    point.version = point.version.saturating_add(1);
    point.last_updated = now;
    debug_assert!(movement.amount != Money::ZERO, "a movement moves points");
    debug_assert!(point.amount >= Money::ZERO, "the caller has checked the balance");
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
