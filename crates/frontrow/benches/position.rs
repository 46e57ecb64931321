//! The cost of a position, by the length of the line: `cargo bench --bench position`.
//!
//! A tenth of each line has left. Times are means over many runs; memory is what the process grew by.

#![expect(clippy::unwrap_used, reason = "a benchmark may stop where it cannot go on")]

use frontrow_clock::Clock;
use frontrow_domain::{
    changes::Changes,
    id::{Position, RoomId, TokenId, UserId},
    line::{EndReason, Room, Token},
    policy::Policy,
    time::{Span, Time},
};
use frontrow_line::{Peers, Rebuild, SoleInstance};
use frontrow_signing::Keyring;
use frontrow_storage::{Line, memory::MemoryStore};
use std::{hint::black_box, sync::Arc, time::Instant};
use uuid::Uuid;

const START: Time = Time::from_micros(1_900_000_000_000_000);
const BATCH: i64 = 500;
const READS: usize = 1_000_000;
const PUBLISHES: i64 = 200;

fn token(position: i64) -> Token {
    let id = TokenId { room_id: RoomId::HOUSE, position: Position(position) };
    Token::issued(id, UserId(Uuid::from_u128(u128::from(position.unsigned_abs()))), START)
}

fn resident_bytes() -> i64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap() * 4_096
}

/// Mean nanoseconds of one of `count` runs.
fn nanos_each(count: usize, mut run: impl FnMut(usize)) -> u128 {
    let start = Instant::now();
    for index in 0..count {
        run(index);
    }
    start.elapsed().as_nanos() / u128::try_from(count).unwrap()
}

fn changes(updated: Vec<Token>, inserted: Vec<Token>, room: Option<Room>) -> Changes {
    let mut changes = Changes { now: START, ..Changes::default() };
    changes.tokens.updated = updated;
    changes.tokens.inserted = inserted;
    changes.rooms.updated.extend(room);
    changes
}

fn main() {
    let ring = Keyring::from_secrets(&[(1, [7; 32]), (2, [8; 32])], 2).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    println!(
        "     waiting  verify  place  verify+place  publish: issue 500  leave 1  leave 500  offer 500    build  B/waiter"
    );
    println!("                  ns     ns            ns                 us       us         us         us       ms");
    for waiting in [1_000, 100_000, 1_000_000, 10_000_000] {
        measure(waiting, &ring, &runtime);
    }
}

fn measure(waiting: i64, ring: &Keyring, runtime: &tokio::runtime::Runtime) {
    let highest = waiting * 10 / 9;
    let mut room = Room::new(RoomId::HOUSE, 1_000, START);
    let present: Vec<_> = (1..=highest).filter(|at| at % 10 != 3).map(Position).collect();
    let line = Line {
        room: room.clone(),
        highest: Position(highest),
        waiting: present,
        in_flight: Vec::new(),
        others: Vec::new(),
        now: START,
    };
    let store = MemoryStore::new(Clock::manual(START), Policy::default(), 0);
    let queue = SoleInstance::new(Arc::new(store));
    let before = resident_bytes();
    let room_loading = Instant::now();
    runtime.block_on(queue.rebuild(line, Rebuild::Replace));
    let lay_ms = room_loading.elapsed().as_millis();
    // The list of those waiting is freed by now: it was resident before, so it is added back.
    let grown = resident_bytes() - before + waiting * 8;

    let places: Vec<_> = (0..4_096_i64).map(|step| step * 7_919 % highest + 1).collect();
    let texts: Vec<_> = places.iter().map(|at| ring.sign(&token(*at), room.epoch)).collect();
    let verify = nanos_each(READS, |run| {
        black_box(ring.verify(black_box(&texts[run % texts.len()])).unwrap());
    });
    let place = nanos_each(READS, |run| {
        let view = queue.lines().view(RoomId::HOUSE).unwrap();
        black_box(view.place(Position(black_box(places[run % places.len()]))));
    });
    let both = nanos_each(READS, |run| {
        let signed = ring.verify(black_box(&texts[run % texts.len()])).unwrap();
        let view = queue.lines().view(signed.id.room_id).unwrap();
        queue.lines().record_heartbeat(signed.id, START);
        black_box(view.place(signed.id.position));
    });

    let issues: Vec<_> = (0..PUBLISHES)
        .map(|batch| {
            let first = highest + 1 + batch * BATCH;
            changes(Vec::new(), (first..first + BATCH).map(token).collect(), None)
        })
        .collect();
    let runs = usize::try_from(PUBLISHES).unwrap();
    let issue = nanos_each(runs, |run| queue.publish(&issues[run]));
    let tail = highest + PUBLISHES * BATCH;
    let leaving = |count: i64, salt: i64| -> Vec<_> {
        (0..PUBLISHES)
            .map(|batch| {
                let mut gone: Vec<_> = (0..count)
                    .map(|step| tail - (batch * count + step) * 7_919 % (tail / 2) - salt)
                    .map(|at| token(at).ended(START, EndReason::Left).unwrap())
                    .collect();
                gone.sort_unstable_by_key(|token| token.id);
                gone.dedup_by_key(|token| token.id);
                changes(gone, Vec::new(), None)
            })
            .collect()
    };
    let (ones, many) = (leaving(1, 1), leaving(BATCH, 2));
    let leave_one = nanos_each(runs, |run| queue.publish(&ones[run]));
    let leave_many = nanos_each(runs, |run| queue.publish(&many[run]));

    let offer_runs = (highest / BATCH / 2).clamp(1, 10);
    let offers: Vec<_> = (0..offer_runs)
        .map(|batch| {
            let first = batch * BATCH + 1;
            room.cursor = Position(first + BATCH - 1);
            let offered =
                (first..first + BATCH).map(|at| token(at).offered(START, &Policy::default()).unwrap()).collect();
            let mut changes = changes(offered, Vec::new(), Some(room.clone()));
            changes.now = START.plus(Span::from_secs(batch));
            changes
        })
        .collect();
    let offer = nanos_each(offers.len(), |run| queue.publish(&offers[run]));
    println!(
        "{waiting:>12}  {verify:>6}  {place:>5}  {both:>12}  {:>18}  {:>7}  {:>9}  {:>9}  {lay_ms:>7}  {:>8}",
        issue / 1_000,
        leave_one / 1_000,
        leave_many / 1_000,
        offer / 1_000,
        grown / waiting
    );
}
