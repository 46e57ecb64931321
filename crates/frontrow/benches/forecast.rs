//! The cost of a forecast, by the number of active tokens: `cargo bench --bench forecast`.
//!
//! A forecast is worked out once a second for each room that is asked about, by the first to ask; the others read it.
//! Three times as many as are inside wait, and a twentieth of those inside have left while the room was seen. Each
//! second a hundredth of the room ends its visit.

#![expect(clippy::unwrap_used, reason = "a benchmark may stop where it cannot go on")]

use frontrow_clock::Clock;
use frontrow_domain::{
    changes::Changes,
    id::{Position, RoomId, TokenId, UserId},
    line::{EndReason, Room, Token},
    policy::Policy,
    time::{Span, Time},
};
use frontrow_line::{Peers, Rebuild, SoleInstance, view::Estimate};
use frontrow_storage::{Line, memory::MemoryStore};
use frontrow_testkit::bench::median;
use std::{hint::black_box, sync::Arc, time::Instant};
use uuid::Uuid;

const START: Time = Time::from_micros(1_900_000_000_000_000);
/// Visits are up to so many seconds old at first.
const OLDEST: i64 = 200;
/// The seconds of which the room is asked about; visits end from the first second on.
const SECONDS: std::ops::RangeInclusive<i64> = 6..=95;
/// How often the forecast is read in each second.
const READS: u32 = 1_000;

fn main() {
    println!("     inside  worked out, ms (median, most)  read, ns");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for inside in [1_000, 20_000, 100_000] {
        measure(inside, &runtime);
    }
}

/// A token that came in so long before the start.
fn inside_since(position: i64, seconds: i64) -> Token {
    let since = START.minus(Span::from_secs(seconds));
    let id = TokenId { room_id: RoomId::HOUSE, position: Position(position) };
    let user = UserId(Uuid::from_u128(u128::from(position.unsigned_abs())));
    let policy = Policy::default();
    Token::issued(id, user, since).offered(since, &policy).unwrap().activated(since, &policy).unwrap()
}

fn measure(inside: i64, runtime: &tokio::runtime::Runtime) {
    let highest = inside * 4;
    let mut room = Room::new(RoomId::HOUSE, inside, START);
    room.cursor = Position(inside);
    let visits: Vec<_> = (1..=inside).map(|position| inside_since(position, position * 7_919 % OLDEST)).collect();
    let line = Line {
        room,
        highest: Position(highest),
        waiting: (inside + 1..=highest).map(Position).collect(),
        in_flight: Vec::new(),
        others: visits.clone(),
        now: START,
    };
    let peers = SoleInstance::new(Arc::new(MemoryStore::new(Clock::manual(START), Policy::default(), 0)));
    runtime.block_on(peers.rebuild(line, Rebuild::Replace));
    let part = usize::try_from(inside / 100).unwrap();
    let end_some = |second: i64| {
        let now = START.plus(Span::from_secs(second));
        let from = usize::try_from(second - 1).unwrap() * part;
        let mut changes = Changes { now, ..Changes::default() };
        let ended = visits.iter().skip(from).take(part).map(|token| token.ended(now, EndReason::Paid).unwrap());
        changes.tokens.updated = ended.collect();
        peers.publish(&changes);
        now
    };
    for second in 1..*SECONDS.start() {
        end_some(second);
    }
    let asked = Position(highest - inside);
    let (mut worked_out, mut read) = (Vec::new(), Vec::new());
    for second in SECONDS {
        let now = end_some(second);
        let view = peers.lines().view(RoomId::HOUSE).unwrap();
        let place = view.place(asked);
        let started = Instant::now();
        let estimate = black_box(view.told_wait(asked, &place, None, now));
        worked_out.push(started.elapsed().as_secs_f64() * 1e3);
        assert!(matches!(estimate, Estimate::Known { .. }), "{estimate:?}");
        let started = Instant::now();
        for _ in 0..READS {
            black_box(view.told_wait(asked, &place, None, now));
        }
        read.push(started.elapsed().as_secs_f64() * 1e9 / f64::from(READS));
    }
    let most = worked_out.iter().copied().fold(0.0, f64::max);
    println!("{inside:>11}  {:>14.3}  {most:>14.3}  {:>8.0}", median(worked_out), median(read));
}
