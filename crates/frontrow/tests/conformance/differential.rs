//! The same random commands on two stores: every answer and every read must agree.

mod random;

use frontrow_domain::{
    changes::{AuditEntry, Changes},
    command::NewConcert,
    id::{ConcertId, Position, RoomId, TokenId, UserId},
    outbox::Consumer,
};
use frontrow_storage::{ConcertFilter, DebtFilter, EventFilter, PaymentFilter, ReservationFilter, memory::MemoryStore};
use frontrow_testkit::fixture::{Fixture, HOUSE_MAX_ACTIVE, first, new_concert, policy};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use random::{factor, random_request, sharing};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use uuid::Uuid;

const USERS: u128 = 6;
const COMMANDS: usize = 300;
const SEEDS: u64 = 24;
/// A server takes longer for the same.
const SERVER_SEEDS: u64 = 8;
/// Outcomes that must occur, or agreement says little; few seeds need not come to the last five.
const REACHED: [&str; 15] = [
    "state: Confirmed",
    "state: Cancelled",
    "state: Expired",
    "state: Refunded",
    "state: Dormant",
    "state: Missed",
    "reason: Paid",
    "Blocked",
    "Claimed([OutboxEvent",
    "LeaseTaken",
    "Settled([OutboxEvent",
    "status: Locked",
    "status: Erased",
    "LinkIssued",
    "AccountChanged",
];

async fn prepare(office: &Fixture) {
    for number in 1..=USERS {
        let id = UserId(Uuid::from_u128(number));
        office.register_as(id, "Buyer", &format!("{number}@example.com")).await;
        office.top_up(id, 400_000).await;
        office.close_gaps(0).await;
    }
    office.concert().await;
    office.concert_like(NewConcert { own_room_max_active: Some(2), ..new_concert() }).await;
    office.seats(ConcertId::new(1), 6).await;
    office.seats(ConcertId::new(2), 6).await;
}

/// Everything that can be read, in one text.
async fn everything(office: &Fixture) -> String {
    use std::fmt::Write;
    let store = &office.store;
    let mut all = String::new();
    let users = store.users(None, first(100)).await.unwrap();
    for user in &users {
        let id = user.user_id;
        write!(
            all,
            "{user:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n",
            store.credentials(&user.email).await.unwrap(),
            store.second_factor(id).await.unwrap(),
            store.live_tokens(id).await.unwrap(),
            (store.line_blocks_of(id, 100).await.unwrap(), store.lanes_of_guest(id, RoomId::HOUSE).await.unwrap()),
            store.point(id).await.unwrap(),
            store.history(id, first(1_000)).await.unwrap(),
        )
        .unwrap();
    }
    for room in store.rooms().await.unwrap() {
        let line = store.line(room.room_id).await.unwrap();
        let tally = store.room_tally(room.room_id).await.unwrap();
        writeln!(all, "{room:?}\n{line:?}\n{tally:?}").unwrap();
        for position in 1..=line.unwrap().highest.0 {
            let id = TokenId { room_id: room.room_id, position: Position(position) };
            writeln!(all, "{:?}", store.token(id).await.unwrap()).unwrap();
        }
    }
    writeln!(all, "{:?}", store.debts(&DebtFilter::default(), first(1_000)).await.unwrap()).unwrap();
    for concert in store.concerts(&ConcertFilter::default(), first(1_000)).await.unwrap() {
        let id = concert.concert_id;
        let (seats, profile) = (store.seats(id).await.unwrap(), store.profiles(&[id]).await.unwrap());
        let jpeg = store.poster(id).await.unwrap().map(|poster| poster.jpeg);
        writeln!(all, "{concert:?}\n{seats:?}\n{profile:?}\n{jpeg:?}").unwrap();
    }
    for secret in 0..5 {
        writeln!(all, "{:?}", store.session([secret; 32]).await.unwrap()).unwrap();
    }
    let feed = store.audit_feed(first(1_000)).await.unwrap();
    writeln!(
        all,
        "{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
        store.reservations(&ReservationFilter::default(), first(1_000)).await.unwrap(),
        store.payments(&PaymentFilter::default(), first(1_000)).await.unwrap(),
        store.next_expiries(frontrow_domain::time::Time::MAX, 1_000).await.unwrap(),
        store.audit(first(1_000)).await.unwrap().into_iter().map(in_order).collect::<Vec<_>>(),
        feed.into_iter().map(|(number, entry)| (number, in_order(entry))).collect::<Vec<_>>(),
        store.outbox(EventFilter::All, first(1_000)).await.unwrap(),
    )
    .unwrap();
    all
}

/// The line with the fields of its detail in the order of their names: a store keeps no order of them.
fn in_order(entry: AuditEntry) -> AuditEntry {
    AuditEntry { detail: sorted(entry.detail), ..entry }
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// Whether a batch changed nothing but what a room's row says of its counts: a store where many write notes a departure
/// beside the row, and the next batch that counts adds it, refused or not.
fn changed_nothing(changes: &Changes) -> bool {
    Changes { counts: BTreeMap::new(), departed: BTreeMap::new(), ..changes.clone() }.is_empty()
}

/// The same on both stores. How many commands were accepted, and what of [`REACHED`] they came to.
async fn run(seed: u64, other: &Fixture) -> (usize, BTreeSet<&'static str>) {
    let clock = other.clock.clone();
    let memory = MemoryStore::new(clock.clone(), policy(), HOUSE_MAX_ACTIVE);
    let memory = Fixture::new(clock.clone(), Arc::new(memory), None);
    prepare(&memory).await;
    prepare(other).await;
    let mut rng = StdRng::seed_from_u64(seed);
    let mut factor_rng = StdRng::seed_from_u64(!seed);
    let mut share_rng = StdRng::seed_from_u64(seed ^ 0x5a5a);
    let (mut number, mut accepted, mut reached, mut letters) = (0, 0, BTreeSet::new(), 0);
    while number < COMMANDS {
        let len = rng.random_range(1..=6);
        let mut batch = Vec::new();
        for step in 0..len {
            batch.push(random_request(&mut rng, number + step, &memory).await);
        }
        if factor_rng.random_ratio(1, 4) {
            batch.push(factor(&mut factor_rng, &memory).await);
        }
        if share_rng.random_ratio(1, 3) {
            batch.push(sharing(&mut share_rng));
        }
        number += len;
        // The clock moves back now and then; a store's time does not.
        clock.advance(frontrow_domain::time::Span::from_secs(rng.random_range(-5..=40)));
        let (expected, changes) = memory.batch(batch.clone()).await;
        let (answers, other_changes) = other.batch(batch.clone()).await;
        assert_eq!(answers, expected, "seed {seed}, before {number}: {batch:?}");
        assert_eq!(
            changed_nothing(&changes),
            changed_nothing(&other_changes),
            "seed {seed}, before {number}: {batch:?}"
        );
        letters += changes.events.inserted.iter().filter(|event| event.consumer == Consumer::Letters).count();
        other.close_gaps(letters).await;
        accepted += answers.iter().filter(|answer| answer.decision.is_ok()).count();
        let text = format!("{answers:?} {changes:?}");
        reached.extend(REACHED.into_iter().filter(|state| text.contains(state)));
    }
    let (ours, theirs) = (everything(&memory).await, everything(other).await);
    for (ours, theirs) in ours.lines().zip(theirs.lines()) {
        assert_eq!(ours, theirs, "seed {seed}");
    }
    assert_eq!(ours.len(), theirs.len());
    (accepted, reached)
}

fn assert_reached(accepted: usize, seeds: u64, expected: &[&'static str], reached: &BTreeSet<&'static str>) {
    assert!(accepted > usize::try_from(seeds).unwrap() * COMMANDS / 3, "{accepted}");
    let missing: Vec<_> = expected.iter().filter(|state| !reached.contains(**state)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn sqlite_and_memory_agree_on_random_commands() {
    let (mut accepted, mut reached) = (0, BTreeSet::new());
    for seed in 0..SEEDS {
        let office = Fixture::sqlite();
        let (more, states) = run(seed, &office).await;
        accepted += more;
        reached.extend(states);
    }
    assert_reached(accepted, SEEDS, &REACHED, &reached);
}

/// The numbers that a batch reserved and did not use are taken back after it, since memory leaves no gaps: everything
/// else must be the same.
#[tokio::test]
async fn postgres_and_memory_agree_on_random_commands() {
    let (mut accepted, mut reached) = (0, BTreeSet::new());
    for seed in 0..SERVER_SEEDS {
        let office = Fixture::postgres().await;
        let (more, states) = run(seed, &office).await;
        accepted += more;
        reached.extend(states);
    }
    assert_reached(accepted, SERVER_SEEDS, &REACHED[..10], &reached);
}
