//! The outbox: claiming, settling and retrying events, and the feed of the audit log.

use super::operators::{check_operator, check_system};
use crate::{
    command::{Decision, Outcome, Settlements},
    id::{AuditId, EventId, FeedNumber},
    outbox::{Consumer, FeedPlace, Holding, LEASE, LeaseHolder, OutboxEvent, OutboxLease},
    refusal::{EntityKind, Refusal},
    user::Caller,
    world::World,
};
use serde_json::json;

fn lease_of(world: &World, consumer: Consumer) -> OutboxLease {
    world.leases.get(consumer).copied().unwrap_or(OutboxLease { consumer, holding: None })
}

fn event_of(world: &World, consumer: Consumer, id: EventId) -> Option<&OutboxEvent> {
    world.outbox.get(id).filter(|event| event.consumer == consumer)
}

pub(super) fn claim(world: &mut World, caller: Caller, consumer: Consumer, holder: LeaseHolder) -> Decision {
    check_system(caller)?;
    if let Some(until) = lease_of(world, consumer).taken_until(holder, world.now) {
        return Ok(Outcome::LeaseTaken { until: Some(until) });
    }
    let ids = world.due_events.get(&consumer).into_iter().flatten();
    let mut events: Vec<_> = ids.filter_map(|id| world.outbox.get(*id)).cloned().collect();
    // An earlier command of the batch may have put one off.
    events.retain(|event| event.is_due(world.now));
    events.sort_unstable_by_key(|event| event.event_id);
    if !events.is_empty() {
        let holding = Some(Holding { holder, until: world.now.plus(LEASE) });
        world.leases.put(consumer, OutboxLease { consumer, holding });
    }
    Ok(Outcome::Claimed(events))
}

/// Removes what was delivered and puts off what failed, if no other process has claimed the events since.
pub(super) fn settle(world: &mut World, caller: Caller, settled: &Settlements) -> Decision {
    check_system(caller)?;
    let Settlements { consumer, holder, delivered, failed } = settled;
    let lease = lease_of(world, *consumer);
    if !lease.is_of(*holder) {
        return Ok(Outcome::LeaseTaken { until: lease.holding.map(|holding| holding.until) });
    }
    for id in delivered {
        if event_of(world, *consumer, *id).is_some() {
            world.remove_event(*id);
        }
    }
    let mut put_off = Vec::new();
    for (id, error) in failed {
        let Some(event) = event_of(world, *consumer, *id).cloned() else { continue };
        let event = event.failed(error.clone(), world.now);
        world.outbox.put(*id, event.clone());
        put_off.push(event);
    }
    world.leases.put(*consumer, OutboxLease { consumer: *consumer, holding: None });
    Ok(Outcome::Settled(put_off))
}

pub(super) fn retry(world: &mut World, caller: Caller, id: EventId) -> Decision {
    check_operator(caller)?;
    let Some(event) = world.outbox.get(id).cloned() else {
        return Err(Refusal::NotFound { what: EntityKind::Event });
    };
    if event.state.dead_at().is_none() {
        return Ok(Outcome::Event(event));
    }
    let retried = event.retried(world.now);
    world.outbox.put(id, retried.clone());
    world.add_audit(caller.user_id(), "outbox.retry", format!("event {id}"), json!({}));
    Ok(Outcome::Event(retried))
}

/// Gives an entry of the audit log the next number of the feed, once.
pub(super) fn feed(world: &mut World, caller: Caller, audit_id: AuditId) -> Decision {
    check_system(caller)?;
    let Some(place) = world.feed_place(audit_id) else {
        return Err(Refusal::NotFound { what: EntityKind::AuditEntry });
    };
    if place.is_none() {
        let feed_number = FeedNumber::new(world.last_fed.saturating_add(1));
        world.add_to_feed(FeedPlace { feed_number, audit_id });
    }
    Ok(Outcome::Done)
}
