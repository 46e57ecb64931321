use super::*;
use crate::workers::testing::{START, TestFolder, ask, open, policy};
use frontrow_clock::Clock;
use frontrow_domain::{
    command::{Command, RoomChange},
    id::{EventId, RoomId},
    outbox::{ATTEMPTS_MAX, EventPayload, EventState, LEASE},
    user::Caller,
};
use frontrow_storage::{EventFilter, Page, memory::MemoryStore, sqlite::SqliteStore};
use std::{
    collections::HashMap,
    future::pending,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};
use tempfile::TempDir;

const FEED: Consumer = Consumer::AuditFeed;

/// The consumer's behaviour for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Succeeds,
    Fails,
    Hangs,
    Panics,
}

/// A consumer that follows its settings, and counts.
#[derive(Debug, Clone, Default)]
struct TestConsumer(Arc<Mutex<Record>>);

#[derive(Debug, Default)]
struct Record {
    behaviours: HashMap<EventId, Behaviour>,
    deliveries: HashMap<EventId, usize>,
}

impl TestConsumer {
    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, event: EventId, behaviour: Behaviour) {
        self.record().behaviours.insert(event, behaviour);
    }

    fn deliveries(&self, event: EventId) -> usize {
        self.record().deliveries.get(&event).copied().unwrap_or(0)
    }
}

#[async_trait]
impl Deliver for TestConsumer {
    async fn deliver(&self, event: &OutboxEvent) -> Result<(), DeliveryError> {
        let behaviour = {
            let mut record = self.record();
            *record.deliveries.entry(event.event_id).or_default() += 1;
            record.behaviours.get(&event.event_id).copied().unwrap_or(Behaviour::Succeeds)
        };
        match behaviour {
            Behaviour::Succeeds => Ok(()),
            Behaviour::Fails => Err(DeliveryError::new("the other side is away")),
            Behaviour::Hangs => pending().await,
            Behaviour::Panics => panic!("a bug in the consumer"),
        }
    }
}

/// A box office with so many events, by id.
async fn with_events(count: i64) -> (TempDir, Clock, Arc<BoxOffice>, Vec<EventId>) {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::manual(START);
    let store = Arc::new(MemoryStore::new(clock.clone(), policy(), 10));
    let office = open(&TestFolder::in_folder(folder.path()), store, clock.clone()).await;
    emit(&office, count).await;
    let events = ids(&office, EventFilter::All).await;
    (folder, clock, office, events)
}

/// A box office on `SQLite`, and its database.
async fn on_sqlite() -> (TempDir, PathBuf, Clock, Arc<BoxOffice>) {
    let folder = tempfile::tempdir().unwrap();
    let place = TestFolder::in_folder(folder.path());
    let (path, clock) = (place.database(), Clock::manual(START));
    let store = Arc::new(SqliteStore::open(&path, clock.clone(), policy(), 10).unwrap());
    let office = open(&place, store, clock.clone()).await;
    (folder, path, clock, office)
}

async fn emit(office: &BoxOffice, count: i64) {
    for max_active in 1..=count {
        let change = RoomChange { max_active: Some(max_active), ..RoomChange::default() };
        ask(office, Caller::System, Command::SetRoom { room_id: RoomId::HOUSE, change, basis: None, reason: None })
            .await;
    }
}

async fn all(office: &BoxOffice, filter: EventFilter) -> Vec<OutboxEvent> {
    let mut events = office.store.outbox(filter, Page { after: None, limit: 1_000 }).await.unwrap();
    events.reverse();
    events
}

async fn ids(office: &BoxOffice, filter: EventFilter) -> Vec<EventId> {
    all(office, filter).await.iter().map(|event| event.event_id).collect()
}

/// Of a server that does not stop.
fn running() -> watch::Receiver<bool> {
    watch::channel(false).1
}

/// A worker of another process than any other.
fn worker<D: Deliver>(office: &BoxOffice, number: u128, deliver: D) -> OutboxWorker<'_, D> {
    let holder = LeaseHolder(uuid::Uuid::from_u128(number));
    let delivery_max = Duration::from_millis(50);
    OutboxWorker { holder, delivery_max, ..OutboxWorker::new(office, FEED, deliver, running()) }
}

#[tokio::test]
async fn every_event_is_delivered_once_if_nothing_fails() {
    let (_folder, _, office, events) = with_events(250).await;
    let consumer = TestConsumer::default();
    worker(&office, 1, consumer.clone()).deliver_all().await;
    assert_eq!(events.iter().map(|id| consumer.deliveries(*id)).collect::<Vec<_>>(), vec![1; 250]);
    assert_eq!(ids(&office, EventFilter::All).await, []);
    let text = office.metrics.render();
    assert!(text.contains(r#"frontrow_outbox_deliveries_total{consumer="audit_feed",outcome="delivered"} 250"#));
}

#[tokio::test]
async fn a_crash_between_delivery_and_settlement_delivers_again() {
    let (_folder, clock, office, events) = with_events(2).await;
    let consumer = TestConsumer::default();
    let dying = worker(&office, 1, consumer.clone());
    let Ok(ClaimedEvents(Some(claimed))) = office.claim_events(FEED, dying.holder).await else { panic!() };
    assert!(dying.deliver_each(&claimed).await.iter().all(Result::is_ok));
    drop(dying);

    let mut heir = worker(&office, 2, consumer.clone());
    heir.deliver_all().await;
    assert_eq!(consumer.deliveries(events[0]), 1, "the lease of the dead process is not over");
    clock.advance(LEASE);
    heir.deliver_all().await;
    assert_eq!(events.iter().map(|id| consumer.deliveries(*id)).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(ids(&office, EventFilter::All).await, []);
}

#[tokio::test]
async fn a_settlement_that_comes_after_the_lease_has_passed_on_changes_nothing() {
    let (_folder, clock, office, events) = with_events(1).await;
    let consumer = TestConsumer::default();
    let mut slow = worker(&office, 1, consumer.clone());
    let Ok(ClaimedEvents(Some(claimed))) = office.claim_events(FEED, slow.holder).await else { panic!() };
    clock.advance(LEASE);
    let other = LeaseHolder(uuid::Uuid::from_u128(2));
    assert_eq!(office.claim_events(FEED, other).await.unwrap(), ClaimedEvents(Some(claimed.clone())));
    assert_eq!(slow.deliver_claimed(&claimed).await, Round::LeaseTaken, "the other process settles");
    assert_eq!(ids(&office, EventFilter::All).await, events);
}

#[tokio::test]
async fn what_fails_is_tried_again_ever_later_and_is_a_dead_letter_in_the_end_while_others_go_on() {
    let (_folder, clock, office, events) = with_events(3).await;
    let consumer = TestConsumer::default();
    consumer.set(events[1], Behaviour::Fails);
    let mut worker = worker(&office, 1, consumer.clone());
    let mut waits = Vec::new();
    loop {
        worker.deliver_all().await;
        let left = all(&office, EventFilter::All).await;
        assert_eq!(left.iter().map(|event| event.event_id).collect::<Vec<_>>(), [events[1]]);
        match left[0].state {
            EventState::Pending { due_at } => {
                waits.push(due_at.since(clock.now()));
                clock.advance(due_at.since(clock.now()));
            }
            EventState::DeadLetter { since } => break assert_eq!(since, clock.now()),
        }
    }
    assert!(waits.is_sorted() && waits[0] < waits[8]);
    assert_eq!(consumer.deliveries(events[1]), usize::try_from(ATTEMPTS_MAX).unwrap());
    let dead = all(&office, EventFilter::Dead).await;
    assert_eq!(dead[0].error_text(), Some("the other side is away"));
    emit(&office, 1).await;
    worker.deliver_all().await;
    assert_eq!(ids(&office, EventFilter::All).await, [events[1]], "others are delivered beside it");

    consumer.set(events[1], Behaviour::Succeeds);
    worker.count_events().await;
    assert!(office.metrics.render().contains(r#"frontrow_outbox_events{consumer="audit_feed",state="dead"} 1"#));
    office.retry_event(Caller::System, events[1], None).await.unwrap();
    worker.deliver_all().await;
    assert_eq!(ids(&office, EventFilter::All).await, []);
    worker.count_events().await;
    assert!(office.metrics.render().contains(r#"frontrow_outbox_events{consumer="audit_feed",state="dead"} 0"#));
}

#[tokio::test]
async fn a_delivery_that_hangs_or_panics_has_failed_and_no_other_with_it() {
    let (_folder, _, office, events) = with_events(4).await;
    let consumer = TestConsumer::default();
    consumer.set(events[0], Behaviour::Hangs);
    consumer.set(events[2], Behaviour::Panics);
    worker(&office, 1, consumer.clone()).deliver_all().await;
    let left = all(&office, EventFilter::Pending).await;
    let errors: Vec<_> = left.iter().map(|event| (event.event_id, event.error_text().unwrap())).collect();
    assert_eq!(errors, [(events[0], "no answer within 50 ms"), (events[2], "the delivery panicked")]);
    assert!(left.iter().all(|event| event.attempts == 1));
    let text = office.metrics.render();
    for (outcome, count) in [("delivered", 2), ("failed", 1), ("timed_out", 1)] {
        let line = format!("frontrow_outbox_deliveries_total{{consumer=\"audit_feed\",outcome=\"{outcome}\"}} {count}");
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_delivery_may_not_take_as_long_as_the_lease() {
    assert!(2 * DELIVERY_MAX.as_micros() < u128::from(LEASE.micros().unsigned_abs()));
}

#[tokio::test]
async fn deliveries_start_in_the_order_of_the_events() {
    let (_folder, _, office, events) = with_events(120).await;
    worker(&office, 1, AuditFeed(Arc::clone(&office))).deliver_all().await;
    let fed = office.store.audit_feed(Page { after: None, limit: 1_000 }).await.unwrap();
    let entries: Vec<_> = fed.iter().map(|(_, entry)| entry.audit_id.get()).collect();
    assert_eq!(entries.len(), events.len());
    assert!(entries.is_sorted());
}

#[tokio::test]
async fn an_event_is_delivered_at_once_after_the_commit_that_emitted_it() {
    let (_folder, _, office, _) = with_events(0).await;
    let working = tokio::spawn(deliver_events(Arc::clone(&office), FEED, AuditFeed(Arc::clone(&office)), running()));
    tokio::time::sleep(Duration::from_millis(20)).await;
    emit(&office, 1).await;
    for _ in 0..200 {
        if !office.store.audit_feed(Page { after: None, limit: 10 }).await.unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Within a second, where a look without news would come after about four.
    assert_eq!(office.store.audit_feed(Page { after: None, limit: 10 }).await.unwrap().len(), 1);
    working.abort();
}

#[tokio::test]
async fn without_a_due_event_nothing_is_claimed_and_nothing_is_written() {
    let (_folder, clock, office, events) = with_events(1).await;
    let consumer = TestConsumer::default();
    consumer.set(events[0], Behaviour::Fails);
    let mut worker = worker(&office, 1, consumer.clone());
    assert!(worker.has_due_events().await);
    worker.deliver_all().await;
    let batches = || {
        let text = office.metrics.render();
        text.lines().find(|line| line.starts_with("frontrow_batch_len_count")).map(str::to_owned)
    };
    let before = batches();
    assert!(!worker.has_due_events().await, "it is due in ten seconds");
    assert!(before.is_some() && batches() == before);
    clock.advance(Span::from_secs(9));
    assert!(worker.has_due_events().await, "the database's clock may be ahead");
}

#[tokio::test]
async fn an_event_that_was_emitted_before_a_restart_is_delivered_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = TestFolder::in_folder(folder.path());
    let (path, clock) = (place.database(), Clock::manual(START));
    let opened = || Arc::new(SqliteStore::open(&path, clock.clone(), policy(), 10).unwrap());
    let office = open(&place, opened(), clock.clone()).await;
    emit(&office, 2).await;
    let EventPayload::AuditRecorded { audit_id } = all(&office, EventFilter::All).await[0].payload else {
        panic!("it is of another kind")
    };
    office.feed_audit(audit_id).await.unwrap();
    drop(office);

    let office = open(&place, opened(), clock.clone()).await;
    worker(&office, 2, AuditFeed(Arc::clone(&office))).deliver_all().await;
    let fed = office.store.audit_feed(Page { after: None, limit: 10 }).await.unwrap();
    let numbers: Vec<_> = fed.iter().map(|(number, entry)| (number.get(), entry.audit_id.get())).collect();
    assert_eq!(numbers, [(1, 1), (2, 2)], "what was fed before is fed once");
}

/// A consumer during whose first delivery another instance emits an event and cannot claim it.
struct Interrupted {
    office: Arc<BoxOffice>,
    consumer: TestConsumer,
    other: Mutex<Option<Round>>,
}

#[async_trait]
impl Deliver for &Interrupted {
    async fn deliver(&self, event: &OutboxEvent) -> Result<(), DeliveryError> {
        if self.other.lock().unwrap().is_none() {
            emit(&self.office, 1).await;
            let round = worker(&self.office, 2, self.consumer.clone()).deliver_all().await;
            *self.other.lock().unwrap() = Some(round);
        }
        self.consumer.deliver(event).await
    }
}

#[tokio::test]
async fn an_event_that_another_instance_could_not_claim_is_delivered_without_a_tick() {
    let (_folder, _, office, events) = with_events(1).await;
    let consumer = TestConsumer::default();
    let interrupted = Interrupted { office: Arc::clone(&office), consumer: consumer.clone(), other: Mutex::new(None) };
    let mut first = OutboxWorker { delivery_max: DELIVERY_MAX, ..worker(&office, 1, &interrupted) };
    assert_eq!(first.deliver_all().await, Round::Settled);
    assert_eq!(*interrupted.other.lock().unwrap(), Some(Round::LeaseTaken));
    assert_eq!(ids(&office, EventFilter::All).await, []);
    assert_eq!(consumer.record().deliveries.len(), events.len() + 1);
}

/// A consumer that delivers once it may.
#[derive(Clone)]
struct Waits {
    began: Arc<tokio::sync::Notify>,
    may_end: Arc<tokio::sync::Notify>,
}

#[async_trait]
impl Deliver for Waits {
    async fn deliver(&self, _: &OutboxEvent) -> Result<(), DeliveryError> {
        self.began.notify_one();
        self.may_end.notified().await;
        Ok(())
    }
}

#[tokio::test]
async fn a_worker_that_is_stopped_settles_what_it_has_claimed() {
    let (_folder, _, office, _) = with_events(0).await;
    let waits = Waits { began: Arc::default(), may_end: Arc::default() };
    let (stop, stopped) = watch::channel(false);
    let working = tokio::spawn({
        let (office, waits) = (Arc::clone(&office), waits.clone());
        async move { deliver_events(office, FEED, waits, stopped).await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    emit(&office, 1).await;
    waits.began.notified().await;
    stop.send(true).unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!working.is_finished(), "it has claimed an event");
    // This one comes too late for it.
    emit(&office, 1).await;
    waits.may_end.notify_one();
    working.await.unwrap();
    let left = ids(&office, EventFilter::All).await;
    assert_eq!(left.len(), 1);
    let consumer = TestConsumer::default();
    assert_eq!(worker(&office, 2, consumer.clone()).deliver_all().await, Round::Settled, "the lease is free");
    assert_eq!(consumer.deliveries(left[0]), 1);
}

#[tokio::test]
async fn an_event_of_an_unknown_kind_fails_and_stops_no_other() {
    let (_folder, path, _, office) = on_sqlite().await;
    emit(&office, 1).await;
    let newer = "INSERT INTO outbox (event_id, consumer, payload, created_at, due_at, attempts)
         VALUES (0, 'audit_feed', '{\"kind\":\"of_tomorrow\",\"seat_id\":4}', 1, 1, 0)";
    rusqlite::Connection::open(&path).unwrap().execute(newer, ()).unwrap();
    worker(&office, 1, AuditFeed(Arc::clone(&office))).deliver_all().await;
    let left = all(&office, EventFilter::Pending).await;
    assert_eq!((left.len(), left[0].event_id, left[0].attempts), (1, EventId::new(0), 1));
    let text = r#"this version of the program cannot read {"kind":"of_tomorrow","seat_id":4}"#;
    assert_eq!(left[0].error_text(), Some(text));
    assert_eq!(office.store.audit_feed(Page { after: None, limit: 10 }).await.unwrap().len(), 1);
}

#[tokio::test]
async fn gauges_of_an_outbox_that_cannot_be_read_show_that() {
    let (_folder, path, clock, office) = on_sqlite().await;
    let due = || {
        let text = office.metrics.render();
        let value = |line: &str| {
            line.strip_prefix(r#"frontrow_outbox_due_timestamp_seconds{consumer="audit_feed"} "#)?.parse().ok()
        };
        (text.lines().find_map(value), text.contains(r#"frontrow_outbox_events{consumer="audit_feed""#))
    };
    let mut worker = worker(&office, 1, TestConsumer::default());
    worker.look().await;
    assert_eq!(due(), (Some(0), true));
    clock.advance(Span::from_secs(100));
    rusqlite::Connection::open(&path).unwrap().execute("ALTER TABLE outbox RENAME TO away", ()).unwrap();
    worker.counted_at = None;
    worker.look().await;
    assert_eq!(due(), (Some(START.micros() / 1_000_000), false), "nothing is known since the last read");
    rusqlite::Connection::open(&path).unwrap().execute("ALTER TABLE away RENAME TO outbox", ()).unwrap();
    worker.look().await;
    assert_eq!(due(), (Some(0), true));
}

/// Whether a failure has been logged and is not over.
fn lasts(trouble: &Trouble) -> bool {
    format!("{trouble:?}").contains("Lasting")
}

#[tokio::test]
async fn a_lease_of_another_process_is_a_failure_only_if_events_stay_due() {
    let (_folder, clock, office, _) = with_events(1).await;
    let stuck = worker(&office, 1, TestConsumer::default());
    let mut waiting = worker(&office, 2, TestConsumer::default());
    let mut seen = Vec::new();
    for _ in 0..2 {
        clock.advance(Span::from_secs(20));
        office.claim_events(FEED, stuck.holder).await.unwrap();
        waiting.look().await;
        assert_eq!(waiting.deliver_all().await, Round::LeaseTaken);
        seen.push(lasts(&waiting.decisions));
    }
    assert_eq!(seen, [false, true], "an event has been due for 20 seconds, then 40");
    clock.advance(LEASE);
    waiting.look().await;
    assert!(!lasts(&waiting.decisions));
    assert_eq!(ids(&office, EventFilter::All).await, []);
}

#[tokio::test]
async fn a_claim_that_is_not_decided_is_logged() {
    let (_folder, path, _, office) = on_sqlite().await;
    emit(&office, 1).await;
    rusqlite::Connection::open(&path).unwrap().execute("ALTER TABLE outbox_lease RENAME TO away", ()).unwrap();
    let mut worker = worker(&office, 1, TestConsumer::default());
    assert_eq!(worker.deliver_all().await, Round::Undecided);
    assert!(lasts(&worker.decisions) && !lasts(&worker.reads));
}
