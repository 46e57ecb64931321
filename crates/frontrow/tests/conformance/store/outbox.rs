use frontrow_domain::{
    command::{Command, Outcome, RoomChange, Settlements},
    decide::decide_all,
    id::{EventId, FeedNumber, RoomId},
    outbox::{ATTEMPTS_MAX, Consumer, DeliveryError, EventPayload, EventState, LEASE, LeaseHolder, OutboxEvent},
    time::{Span, Time},
    user::Caller,
};
use frontrow_storage::{EventCounts, EventFilter};
use frontrow_testkit::{
    START,
    fixture::{Fixture, after, first, request},
};
use uuid::Uuid;

const FEED: Consumer = Consumer::AuditFeed;

fn claim(worker: u128) -> Command {
    Command::ClaimEvents { consumer: FEED, holder: LeaseHolder(Uuid::from_u128(worker)) }
}

fn settle(worker: u128, delivered: &[OutboxEvent], failed: &[OutboxEvent]) -> Command {
    Command::SettleEvents(Settlements {
        consumer: FEED,
        holder: LeaseHolder(Uuid::from_u128(worker)),
        delivered: delivered.iter().map(|event| event.event_id).collect(),
        failed: failed.iter().map(|event| (event.event_id, DeliveryError::new("the wall\0is thick"))).collect(),
    })
}

async fn claimed(office: &Fixture, worker: u128) -> Vec<OutboxEvent> {
    match office.ask(Caller::System, claim(worker)).await {
        Ok(Outcome::Claimed(events)) => events,
        other => panic!("{other:?}"),
    }
}

/// So many entries of the audit log.
async fn audited(office: &Fixture, count: i64) {
    for max_active in 1..=count {
        let change = RoomChange { max_active: Some(max_active), ..Default::default() };
        office
            .ask(Caller::System, Command::SetRoom { room_id: RoomId::HOUSE, change, basis: None, reason: None })
            .await
            .unwrap();
    }
}

async fn feed(office: &Fixture, events: &[OutboxEvent]) {
    for event in events {
        let EventPayload::AuditRecorded { audit_id } = event.payload else { panic!("it is of another kind") };
        assert_eq!(office.ask(Caller::System, Command::FeedAudit { audit_id }).await, Ok(Outcome::Done));
    }
}

async fn all(office: &Fixture, filter: EventFilter) -> Vec<OutboxEvent> {
    let mut all = office.store.outbox(filter, first(100)).await.unwrap();
    all.reverse();
    all
}

/// When the first event is due, and how many there are.
async fn totals(office: &Fixture) -> (Option<Time>, EventCounts) {
    let store = &office.store;
    (store.first_event_due_at(FEED).await.unwrap(), store.event_counts(FEED).await.unwrap())
}

pub(super) async fn an_event_is_saved_with_its_entry_of_the_audit_log(office: &Fixture) {
    audited(office, 2).await;
    let mut entries = office.store.audit(first(10)).await.unwrap();
    entries.reverse();
    let events = all(office, EventFilter::All).await;
    assert_eq!(events.len(), entries.len());
    for (event, entry) in events.iter().zip(&entries) {
        let payload = EventPayload::AuditRecorded { audit_id: entry.audit_id };
        assert_eq!(*event, OutboxEvent::emitted(event.event_id, FEED, payload, START));
    }
    assert_eq!(totals(office).await, (Some(START), EventCounts { pending: 2, dead: 0 }));
}

pub(super) async fn a_lease_keeps_other_processes_out_until_it_is_settled_or_over(office: &Fixture) {
    audited(office, 3).await;
    let events = claimed(office, 1).await;
    assert_eq!(events, all(office, EventFilter::All).await);
    let elsewhere = office.reopened().await;
    let ask = async |worker| {
        let committed = elsewhere.transact([request(Caller::System, claim(worker))].into(), decide_all).await.unwrap();
        committed.answers[0].decision.clone().unwrap()
    };
    let until = START.plus(LEASE);
    assert_eq!(ask(2).await, Outcome::LeaseTaken { until: Some(until) });
    assert_eq!(ask(1).await, Outcome::Claimed(events.clone()), "the same process may claim again");
    office.clock.advance(LEASE);
    assert_eq!(ask(2).await, Outcome::Claimed(events.clone()));
    let late = office.ask(Caller::System, settle(1, &events, &[])).await;
    assert_eq!(late, Ok(Outcome::LeaseTaken { until: Some(until.plus(LEASE)) }));
    feed(office, &events).await;
    assert_eq!(office.ask(Caller::System, settle(2, &events, &[])).await, Ok(Outcome::Settled(Vec::new())));
    assert_eq!(all(office, EventFilter::All).await, []);
    assert_eq!(totals(office).await, (None, EventCounts::default()));
    assert_eq!(claimed(office, 3).await, []);
}

pub(super) async fn what_failed_comes_again_and_is_a_dead_letter_in_the_end(office: &Fixture) {
    audited(office, 3).await;
    let events = claimed(office, 1).await;
    feed(office, &events[1..]).await;
    let settled = office.ask(Caller::System, settle(1, &events[1..], &events[..1])).await;
    let put_off = all(office, EventFilter::Pending).await;
    assert_eq!(settled, Ok(Outcome::Settled(put_off.clone())));
    assert_eq!(put_off[0].last_error, Some(DeliveryError::new("the wall is thick")));
    for attempt in 1..ATTEMPTS_MAX {
        let due_at = totals(office).await.0.unwrap();
        office.clock.advance(due_at.since(office.clock.now()));
        let again = claimed(office, 1).await;
        assert_eq!((again.len(), again[0].attempts), (1, attempt));
        office.ask(Caller::System, settle(1, &[], &again)).await.unwrap();
    }
    let now = office.clock.now();
    let dead = all(office, EventFilter::Dead).await;
    assert_eq!((dead.len(), dead[0].state), (1, EventState::DeadLetter { since: now }));
    assert_eq!(all(office, EventFilter::Pending).await, []);
    assert_eq!(totals(office).await, (None, EventCounts { pending: 0, dead: 1 }));

    let event_id = dead[0].event_id;
    let retried = office.ask(Caller::System, Command::RetryEvent { event_id }).await;
    let pending = all(office, EventFilter::Pending).await;
    assert_eq!(retried, Ok(Outcome::Event(pending[0].clone())));
    assert_eq!((pending[0].attempts, pending[0].state), (0, EventState::Pending { due_at: now }));
}

pub(super) async fn the_feed_is_in_the_order_of_delivery_and_is_paged(office: &Fixture) {
    audited(office, 4).await;
    let events = claimed(office, 1).await;
    let order = [2, 0, 0, 3, 1].map(|at: usize| events[at].clone());
    feed(office, &order).await;
    let entries = office.store.audit(first(10)).await.unwrap();
    let fed = office.store.audit_feed(first(10)).await.unwrap();
    let numbers: Vec<_> = fed.iter().map(|(number, _)| number.get()).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    for ((_, entry), event) in fed.iter().zip([2, 0, 3, 1].map(|at: usize| &events[at])) {
        assert_eq!(event.payload, EventPayload::AuditRecorded { audit_id: entry.audit_id });
        assert!(entries.contains(entry));
    }
    assert_eq!(office.store.audit_feed(first(2)).await.unwrap(), fed[..2]);
    assert_eq!(office.store.audit_feed(after(FeedNumber::new(2), 10)).await.unwrap(), fed[2..]);
    assert_eq!(office.store.audit_feed(after(FeedNumber::new(4), 10)).await.unwrap(), []);
}

pub(super) async fn the_outbox_is_paged_newest_first(office: &Fixture) {
    audited(office, 4).await;
    let all = office.store.outbox(EventFilter::All, first(10)).await.unwrap();
    assert!(all.iter().map(|event| event.event_id).is_sorted_by(|a, b| a > b));
    assert_eq!(office.store.outbox(EventFilter::All, first(2)).await.unwrap(), all[..2]);
    assert_eq!(office.store.outbox(EventFilter::Pending, after(all[1].event_id, 10)).await.unwrap(), all[2..]);
    assert_eq!(office.store.outbox(EventFilter::Dead, first(10)).await.unwrap(), []);
}

pub(super) async fn the_id_of_a_delivered_event_is_never_given_again(office: &Fixture) {
    audited(office, 3).await;
    let events = claimed(office, 1).await;
    feed(office, &events).await;
    office.ask(Caller::System, settle(1, &events, &[])).await.unwrap();
    let highest = events.iter().map(|event| event.event_id).max().unwrap();
    let reopened = office.reopened().await;
    let change = RoomChange { max_active: Some(9), ..Default::default() };
    let set = Command::SetRoom { room_id: RoomId::HOUSE, change, basis: None, reason: None };
    reopened.transact([request(Caller::System, set)].into(), decide_all).await.unwrap();
    let new = office.store.outbox(EventFilter::All, first(10)).await.unwrap();
    assert!(new.len() == 1 && new[0].event_id > highest, "{new:?}");
}

pub(super) async fn a_claim_that_finds_nothing_changes_nothing(office: &Fixture) {
    let (_, changes) = office.batch(vec![request(Caller::System, claim(1))]).await;
    assert!(changes.is_empty());
    audited(office, 1).await;
    let events = claimed(office, 1).await;
    office.ask(Caller::System, settle(1, &[], &events)).await.unwrap();
    office.clock.advance(Span::from_secs(1));
    let (answers, changes) = office.batch(vec![request(Caller::System, claim(2))]).await;
    assert_eq!(answers[0].decision, Ok(Outcome::Claimed(Vec::new())));
    assert!(changes.is_empty());
    let unknown = Command::RetryEvent { event_id: EventId::new(9_999) };
    assert_eq!(office.ask(Caller::System, unknown).await.unwrap_err().code(), "not_found");
}
