//! Events are saved with what they tell, claimed by one process at a time, and settled by that process alone.

use crate::support::{
    BOSS, CLOCK, HOUSE, MINJI, S, SaleModel, at, cancel, claim, feed, hold, issue, name, pay, refund, register, retry,
    set_cap, settle,
};
use frontrow_domain::{
    command::{Command, Outcome, Request, Settlements},
    footprint::Footprint,
    id::EventId,
    outbox::{
        ATTEMPTS_MAX, CLAIM_MAX, Consumer, DeliveryError, ERROR_LEN_MAX, EventPayload, EventState, LEASE, LeaseHolder,
        OutboxEvent, retry_after,
    },
    user::Caller,
};
use uuid::Uuid;

fn claimed(office: &mut SaleModel, worker: u128) -> Vec<OutboxEvent> {
    match office.ask(CLOCK, claim(worker)) {
        Ok(Outcome::Claimed(events)) => events,
        other => panic!("{other:?}"),
    }
}

fn ids(events: &[OutboxEvent]) -> Vec<EventId> {
    events.iter().map(|event| event.event_id).collect()
}

/// Delivers and settles all that there is.
fn drain(office: &mut SaleModel) {
    let events = claimed(office, 1);
    for event in &events {
        let EventPayload::AuditRecorded { audit_id } = event.payload else { panic!("it is of another kind") };
        office.expect(CLOCK, feed(audit_id.get()), "done");
    }
    office.expect(CLOCK, settle(1, &ids(&events), &[]), "settled");
}

#[test]
fn what_the_audit_log_gets_is_an_event_of_the_same_decision() {
    let mut office = SaleModel::new();
    assert_eq!(office.model.outbox.len(), office.model.audit.len());
    office.at(S);
    office.ask(BOSS, set_cap(HOUSE, 5)).unwrap();
    let (entry, event) = (office.model.audit.last().unwrap(), office.model.outbox.values().last().unwrap());
    assert_eq!(event.payload, EventPayload::AuditRecorded { audit_id: entry.audit_id });
    assert_eq!((event.consumer, event.created_at, event.state), (Consumer::AuditFeed, at(S), due(at(S))));
    let before = office.model.outbox.len();
    office.expect(MINJI, set_cap(HOUSE, 6), "forbidden");
    assert_eq!(office.model.outbox.len(), before);
}

const fn due(due_at: frontrow_domain::time::Time) -> EventState {
    EventState::Pending { due_at }
}

#[test]
fn a_sale_emits_no_event() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1, 2]);
    let before = office.model.outbox.len();
    office.run([
        (0, MINJI, cancel(1), "cancelled"),
        (0, MINJI, pay(token, &[2]), "paid"),
        (0, MINJI, refund(1), "refunded"),
        (0, MINJI, issue(HOUSE), "new"),
    ]);
    assert_eq!(office.model.outbox.len(), before);
}

#[test]
fn a_command_of_a_buyer_draws_no_id_of_an_event() {
    let (_, token) = SaleModel::with_hold(MINJI, &[1]);
    let drawn = |caller, command| {
        let keys = Footprint::of(&[Request { caller, command, idempotency: None }]);
        (keys.demand.audit, keys.demand.events)
    };
    for command in [hold(token, &[2]), pay(token, &[1]), cancel(1), refund(1), issue(HOUSE), register(MINJI)] {
        assert_eq!(drawn(MINJI, command), (0, 0));
    }
    assert_eq!(drawn(BOSS, cancel(1)), (1, 1));
    assert_eq!(drawn(CLOCK, register(BOSS)), (1, 1));
}

#[test]
fn one_process_at_a_time_claims_and_a_lease_that_ran_out_passes_on() {
    let mut office = SaleModel::new();
    let first = claimed(&mut office, 1);
    assert_eq!(first.len(), office.model.audit.len());
    office.expect(CLOCK, claim(2), "lease_taken");
    assert_eq!(claimed(&mut office, 1), first, "its own lease is renewed");
    office.at(LEASE.micros() - 1);
    office.expect(CLOCK, claim(2), "lease_taken");
    office.at(LEASE.micros());
    assert_eq!(claimed(&mut office, 2), first, "what was not settled is delivered again");
}

#[test]
fn a_lease_that_was_taken_before_the_clock_went_back_is_over() {
    let mut office = SaleModel::new();
    office.at(2 * LEASE.micros());
    let first = claimed(&mut office, 1);
    let lease = office.model.leases[&Consumer::AuditFeed];
    let until = lease.holding.unwrap().until;
    let other = LeaseHolder(Uuid::from_u128(2));
    assert_eq!(lease.taken_until(other, at(2 * LEASE.micros())), Some(until));
    assert_eq!(lease.taken_until(other, at(2 * LEASE.micros() - 1)), None);
    assert_eq!(lease.taken_until(other, until), None);
    assert!(!first.is_empty());
}

#[test]
fn only_the_process_that_has_the_lease_settles() {
    let mut office = SaleModel::new();
    let events = ids(&claimed(&mut office, 1));
    office.expect(CLOCK, settle(2, &events, &[]), "lease_taken");
    office.at(LEASE.micros());
    claimed(&mut office, 2);
    let before = office.model.clone();
    office.expect(CLOCK, settle(1, &events, &[]), "lease_taken");
    office.expect(CLOCK, settle(1, &[], &events), "lease_taken");
    assert!(office.model == before);
}

#[test]
fn a_process_whose_lease_ran_out_settles_if_no_other_has_claimed_since() {
    let mut office = SaleModel::new();
    let events = ids(&claimed(&mut office, 1));
    office.at(2 * LEASE.micros());
    office.expect(CLOCK, settle(1, &[], &events[..1]), "settled");
    assert_eq!(office.model.outbox[&events[0]].attempts, 1);
    office.expect(CLOCK, settle(1, &[], &events[..1]), "lease_taken");
}

#[test]
fn a_settlement_removes_what_was_delivered_puts_off_what_failed_and_leaves_the_lease() {
    let mut office = SaleModel::new();
    let events = claimed(&mut office, 1);
    let (delivered, failed) = (&events[..1], &events[1..]);
    let EventPayload::AuditRecorded { audit_id } = delivered[0].payload else { panic!("it is of another kind") };
    office.expect(CLOCK, feed(audit_id.get()), "done");
    let Ok(Outcome::Settled(put_off)) = office.ask(CLOCK, settle(1, &ids(delivered), &ids(failed))) else { panic!() };
    assert_eq!(office.model.outbox.values().cloned().collect::<Vec<_>>(), put_off);
    for event in &put_off {
        assert_eq!((event.attempts, event.state), (1, due(at(retry_after(1).micros()))));
        assert_eq!(event.last_error, Some(DeliveryError::new("away")));
    }
    assert_eq!(claimed(&mut office, 2), [], "nothing is due");
    office.at(retry_after(1).micros());
    assert_eq!(claimed(&mut office, 2), put_off);
}

#[test]
fn a_claim_without_due_events_takes_no_lease_and_changes_nothing() {
    let mut office = SaleModel::new();
    drain(&mut office);
    let before = office.model.clone();
    assert_eq!(claimed(&mut office, 1), []);
    assert!(office.model == before);
}

#[test]
fn an_event_that_fails_too_often_is_a_dead_letter_until_an_operator_retries_it() {
    let mut office = SaleModel::new();
    let all = ids(&claimed(&mut office, 1));
    let id = all[0];
    office.expect(CLOCK, settle(1, &[], &[id]), "settled");
    for _ in 1..ATTEMPTS_MAX {
        office.now = office.model.outbox[&id].state.due_at().unwrap();
        assert!(ids(&claimed(&mut office, 1)).contains(&id));
        office.expect(CLOCK, settle(1, &[], &[id]), "settled");
    }
    assert_eq!(office.model.outbox[&id].state, EventState::DeadLetter { since: office.now });
    assert_eq!(ids(&claimed(&mut office, 1)), all[1..], "the others go on");

    office.expect(MINJI, retry(id.get()), "forbidden");
    office.expect(BOSS, retry(9_999), "not_found");
    let before = office.model.audit.len();
    office.expect(BOSS, retry(id.get()), "event");
    office.expect(BOSS, retry(id.get()), "event");
    let audited: Vec<_> = office.model.audit[before..].iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(audited, ["outbox.retry"], "a pending event stays as it is");
    assert!(ids(&claimed(&mut office, 1)).contains(&id));
}

#[test]
fn an_entry_gets_one_number_in_the_order_of_delivery() {
    let mut office = SaleModel::new();
    let entries: Vec<_> = office.model.audit.iter().map(|entry| entry.audit_id.get()).collect();
    for id in [entries[1], entries[0], entries[1], entries[2]] {
        office.expect(CLOCK, feed(id), "done");
    }
    let fed: Vec<_> = office.model.feed.iter().map(|place| (place.feed_number.get(), place.audit_id.get())).collect();
    assert_eq!(fed, [(1, entries[1]), (2, entries[0]), (3, entries[2])]);
    office.expect(CLOCK, feed(9_999), "not_found");
}

#[test]
fn only_the_box_office_itself_delivers() {
    let mut office = SaleModel::new();
    for caller in [MINJI, BOSS, Caller::Service, Caller::Anonymous] {
        for command in [claim(1), settle(1, &[], &[]), feed(1)] {
            office.expect(caller, command, "forbidden");
        }
    }
}

#[test]
fn a_claim_and_a_settlement_are_bounded() {
    let mut office = SaleModel::new();
    for cap in 0..i64::try_from(CLAIM_MAX).unwrap() {
        office.ask(BOSS, set_cap(HOUSE, cap)).unwrap();
    }
    let events = ids(&claimed(&mut office, 1));
    assert_eq!(events.len(), CLAIM_MAX);
    assert!(events.is_sorted());
    let mut more = events.clone();
    more.push(EventId::new(9_999));
    office.expect(CLOCK, settle(1, &more, &[]), "malformed");
    office.expect(CLOCK, settle(1, &events[..60], &events[..60]), "malformed");
    let long = DeliveryError::new(&"\u{1f3ab}".repeat(5_000));
    assert_eq!(long.text().chars().count(), ERROR_LEN_MAX);
    let settled = Settlements {
        consumer: Consumer::AuditFeed,
        holder: LeaseHolder(Uuid::from_u128(1)),
        delivered: Vec::new(),
        failed: vec![(events[0], long)],
    };
    assert_eq!(name(&office.ask(CLOCK, Command::SettleEvents(settled))), "settled");
}

#[test]
fn an_event_that_is_claimed_settled_and_claimed_in_one_batch_is_not_handed_out_twice() {
    let mut office = SaleModel::new();
    let events = ids(&claimed(&mut office, 1));
    let outcomes = office.batch(&[(CLOCK, settle(1, &[], &events)), (CLOCK, claim(2)), (CLOCK, claim(3))]);
    assert_eq!(outcomes, ["settled", "claimed", "claimed"]);
    assert!(office.model.leases[&Consumer::AuditFeed].holding.is_none(), "nothing was due, so the lease is free");
}
