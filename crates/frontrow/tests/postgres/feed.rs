//! The feed of the audit log while two instances write at once.

use crate::crowd::{Two, answer, give};
use frontrow_domain::{
    command::{Command, Outcome, RoomChange, Settlements},
    id::{AuditId, EventId, FeedNumber, RoomId},
    outbox::{Consumer, DeliveryError, EventPayload, LeaseHolder},
    user::Caller,
};
use frontrow_storage::{EventCounts, EventFilter, Store, check, postgres::PostgresSettings};
use frontrow_testkit::fixture::{Fixture, after, first, keyed, request};
use std::collections::BTreeSet;
use uuid::Uuid;

fn set_cap(max_active: i64) -> Command {
    let change = RoomChange { max_active: Some(max_active), ..RoomChange::default() };
    Command::SetRoom { room_id: RoomId::HOUSE, change, basis: None, reason: None }
}

/// What the worker of an instance does once.
async fn deliver(office: &Fixture, worker: u128) {
    let (consumer, holder) = (Consumer::AuditFeed, LeaseHolder(Uuid::from_u128(worker)));
    let claimed = office.ask(Caller::System, Command::ClaimEvents { consumer, holder }).await;
    let Ok(Outcome::Claimed(events)) = claimed else { return };
    let feed = |payload: &EventPayload| {
        let EventPayload::AuditRecorded { audit_id } = payload else { panic!("it is of another kind") };
        request(Caller::System, Command::FeedAudit { audit_id: *audit_id })
    };
    let (answers, _) = office.batch(events.iter().map(|event| feed(&event.payload)).collect()).await;
    assert!(answers.iter().all(|answer| answer.decision == Ok(Outcome::Done)), "{answers:?}");
    let delivered = events.iter().map(|event| event.event_id).collect();
    let settled = Settlements { consumer, holder, delivered, failed: Vec::new() };
    office.ask(Caller::System, Command::SettleEvents(settled)).await.unwrap();
}

/// A reader that remembers the highest number.
#[derive(Default)]
struct Reader {
    last: Option<FeedNumber>,
    read: Vec<AuditId>,
}

impl Reader {
    async fn read(&mut self, store: &dyn Store) {
        let page = self.last.map_or_else(|| first(100), |last| after(last, 100));
        for (number, entry) in store.audit_feed(page).await.unwrap() {
            self.last = Some(number);
            self.read.push(entry.audit_id);
        }
    }
}

#[tokio::test]
async fn a_reader_of_the_feed_misses_no_entry_that_commits_late() {
    let office = Two::open().await;
    let mut reader = Reader::default();
    // The last thing that a batch saves is its answers: one with a key has drawn its ids and waits there.
    let obstacle = office.stand_in_the_way("LOCK TABLE idempotency IN SHARE MODE").await;
    let concert = Command::CreateConcert(frontrow_testkit::fixture::new_concert());
    let late = give(&office.one, vec![keyed(Caller::System, concert, 1, 1)]);
    office.wait_for_waiters(1).await;
    office.other.ask(Caller::System, set_cap(5)).await.unwrap();
    deliver(&office.other, 2).await;
    reader.read(&*office.other.store).await;
    assert_eq!(reader.read.len(), 1, "the late entry is not there yet");

    obstacle.step_aside().await;
    answer(late).await.decision.unwrap();
    deliver(&office.one, 1).await;
    reader.read(&*office.other.store).await;
    let mut entries: Vec<_> = office.one.store.audit(first(10)).await.unwrap();
    entries.reverse();
    assert_eq!(entries.len(), 2);
    assert_eq!(reader.read, [entries[1].audit_id, entries[0].audit_id], "the entry with the lower id came later");
}

#[tokio::test]
async fn two_instances_that_write_and_deliver_at_once_leave_no_gap_and_feed_no_entry_twice() {
    let office = Two::open().await;
    let mut reader = Reader::default();
    for round in 1..=15 {
        let sets = |from: i64| (from..from + 4).map(|cap| request(Caller::System, set_cap(cap))).collect::<Vec<_>>();
        let (one, other) = (give(&office.one, sets(round)), give(&office.other, sets(round)));
        tokio::join!(deliver(&office.one, 1), deliver(&office.other, 2), reader.read(&*office.one.store));
        one.await.unwrap().unwrap();
        other.await.unwrap().unwrap();
    }
    // A claim whose process found nothing more to deliver has been settled, so either may deliver the rest.
    for _ in 0..3 {
        deliver(&office.one, 1).await;
    }
    reader.read(&*office.other.store).await;
    reader.read(&*office.other.store).await;
    let entries = office.one.store.audit(first(1_000)).await.unwrap();
    assert_eq!(entries.len(), 15 * 8);
    assert_eq!(reader.read.len(), entries.len());
    assert_eq!(reader.read.iter().collect::<BTreeSet<_>>().len(), entries.len());
    assert_eq!(reader.last, Some(FeedNumber::new(15 * 8)));
}

#[tokio::test]
async fn of_two_instances_that_claim_for_the_first_time_one_gets_the_lease() {
    let office = Two::open().await;
    office.one.ask(Caller::System, set_cap(5)).await.unwrap();
    let claim = |worker| {
        let holder = LeaseHolder(Uuid::from_u128(worker));
        vec![request(Caller::System, Command::ClaimEvents { consumer: Consumer::AuditFeed, holder })]
    };
    // Both have looked for the lease, which is not there, before either inserts it.
    let obstacle = office.stand_in_the_way("LOCK TABLE outbox_lease IN SHARE MODE").await;
    let (one, other) = (give(&office.one, claim(1)), give(&office.other, claim(2)));
    office.wait_for_waiters(2).await;
    obstacle.step_aside().await;
    let outcomes = [answer(one).await.decision.unwrap(), answer(other).await.decision.unwrap()];
    let claimed = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Claimed(events) if events.len() == 1));
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::LeaseTaken { .. }));
    assert_eq!((claimed.count(), refused.count()), (1, 1), "{outcomes:?}");
}

#[tokio::test]
async fn events_of_a_newer_version_stop_no_others() {
    let office = Two::open().await;
    office.one.ask(Caller::System, set_cap(5)).await.unwrap();
    let newer = "INSERT INTO outbox (event_id, consumer, payload, created_at, due_at, attempts) VALUES
        (-1, 'audit_feed', '{\"kind\": \"of_tomorrow\", \"seat_id\": 4}', 1, 1, 0),
        (-2, 'of_tomorrow', '{\"kind\": \"audit_recorded\", \"audit_id\": 1}', 1, 1, 0)";
    office.admin.batch_execute(newer).await.unwrap();
    let (consumer, holder) = (Consumer::AuditFeed, LeaseHolder(Uuid::from_u128(1)));
    let store = &office.one.store;
    let events = store.outbox(EventFilter::All, first(10)).await.unwrap();
    assert_eq!(store.event_counts(consumer).await.unwrap(), EventCounts { pending: 2, dead: 0 });
    let Ok(Outcome::Claimed(claimed)) = office.one.ask(Caller::System, Command::ClaimEvents { consumer, holder }).await
    else {
        panic!("both are claimed")
    };
    assert_eq!(claimed.iter().rev().cloned().collect::<Vec<_>>(), events);
    let EventPayload::Unknown(payload) = &claimed[0].payload else { panic!("{claimed:?}") };
    assert_eq!(payload["seat_id"], 4);
    let failed = vec![(claimed[0].event_id, DeliveryError::unreadable(&claimed[0].payload))];
    let settled = Settlements { consumer, holder, delivered: Vec::new(), failed };
    office.one.ask(Caller::System, Command::SettleEvents(settled)).await.unwrap();
    let kept = "SELECT count(*) FROM outbox WHERE payload = '{\"kind\": \"of_tomorrow\", \"seat_id\": 4}'
                AND attempts = 1";
    assert_eq!(office.number(kept).await, 1);
    let event_id = EventId::new(-2);
    let unknown = office.one.ask(Caller::System, Command::RetryEvent { event_id }).await;
    assert_eq!(unknown.unwrap_err().code(), "not_found");
    let report = check::postgres::run(&PostgresSettings::new(&office.database.url())).await.unwrap();
    assert!(report.is_clean(), "{report}");
}
