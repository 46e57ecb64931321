//! How many free seats are sold beside a crowd that asks for taken ones.
//!
//! The crowd is refused from memory in one round, and in the other by the engine, which is asked for the same command
//! directly. No HTTP: both ways would pay the same for it.

use crate::{
    HOLD_CONNECTIONS, ROUNDS, SEATS_PER_BUYER, median,
    world::{Buyer, Server, buyers, concert, user_id},
};
use frontrow_domain::{
    command::{Command, Idempotency, Request},
    id::SeatId,
    refusal::Refusal,
    user::Caller,
};
use frontrow_service::{
    office::{BoxOffice, ServiceError},
    testing,
};
use frontrow_signing::SignedToken;
use hdrhistogram::Histogram;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::interval};

const ROUND: Duration = Duration::from_millis(450);
const CROWD: usize = 200;
const TAKEN: usize = 50;
const BUYERS: usize = 90_000;
/// How often one of the crowd asks: 20,000 a second together.
const ASKS_EVERY: Duration = Duration::from_millis(10);

/// The way in which the crowd is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// There is no crowd.
    None,
    FromMemory,
    ByTheEngine,
}

struct Hall {
    office: Arc<BoxOffice>,
    buyers: Vec<(Caller, SignedToken)>,
    first: i64,
    next: AtomicUsize,
}

impl Hall {
    const fn seat(&self, number: usize) -> SeatId {
        SeatId::new(self.first + number.cast_signed() as i64)
    }

    /// Holds the next free seat.
    async fn buy(&self) {
        let number = self.next.fetch_add(1, Relaxed);
        let (caller, token) = &self.buyers[number / SEATS_PER_BUYER];
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_le_bytes());
        let key = Some(Idempotency { key, fingerprint: key });
        self.office.hold(*caller, token, vec![self.seat(number)], key).await.unwrap();
    }

    /// Asks for a seat that is held by another.
    async fn ask(&self, number: usize, way: Refused) {
        let (caller, token) = &self.buyers[BUYERS - 1 - number % CROWD];
        let seat_ids = vec![self.seat(number % TAKEN)];
        let refused = if way == Refused::FromMemory {
            self.office.hold(*caller, token, seat_ids, None).await.err()
        } else {
            let command = Command::Hold { token: token.id, seat_ids };
            let request = Request { caller: *caller, command, idempotency: None };
            testing::run(&self.office, request).await.unwrap().decision.err().map(ServiceError::Refused)
        };
        assert!(matches!(refused, Some(ServiceError::Refused(Refusal::SeatHeld { .. }))), "{refused:?}");
    }
}

/// What a round brought: holds and refusals a second, and the median and the 99th percentile of a hold, in µs.
async fn round(hall: &Arc<Hall>, way: Refused) -> [f64; 4] {
    let (stop, refusals) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut crowd = JoinSet::new();
    for first in (0..CROWD).filter(|_| way != Refused::None) {
        let (hall, stop, refusals) = (Arc::clone(hall), Arc::clone(&stop), Arc::clone(&refusals));
        crowd.spawn(async move {
            let mut ticks = interval(ASKS_EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            for number in (first..).step_by(7) {
                ticks.tick().await;
                if stop.load(Relaxed) {
                    break;
                }
                hall.ask(number, way).await;
                refusals.fetch_add(1, Relaxed);
            }
        });
    }
    let started = Instant::now();
    let mut sale = JoinSet::new();
    for _ in 0..HOLD_CONNECTIONS {
        let hall = Arc::clone(hall);
        sale.spawn(async move {
            let mut took = Vec::new();
            while started.elapsed() < ROUND {
                let asked = Instant::now();
                hall.buy().await;
                took.push(asked.elapsed());
            }
            took
        });
    }
    let mut latency = Histogram::<u64>::new(3).unwrap();
    while let Some(took) = sale.join_next().await {
        for took in took.unwrap() {
            latency.record(u64::try_from(took.as_micros()).unwrap()).unwrap();
        }
    }
    let (seconds, refused) = (started.elapsed().as_secs_f64(), refusals.load(Relaxed));
    stop.store(true, Relaxed);
    crowd.join_all().await;
    #[expect(clippy::cast_precision_loss, reason = "rates for people to read")]
    [
        latency.len() as f64 / seconds,
        refused as f64 / seconds,
        latency.value_at_quantile(0.5) as f64,
        latency.value_at_quantile(0.99) as f64,
    ]
}

pub(crate) fn run() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let server = Server::real(
        folder.path(),
        &["--max-active", "100000", "--hold-seconds", "36000", "--active-limit-seconds", "36000"],
    );
    let seats = i32::try_from(BUYERS * SEATS_PER_BUYER).unwrap();
    let (_, room, first) = server.run(concert(server.office(), seats, Some(1_000_000)));
    let hall = server.run(async {
        let office = Arc::clone(server.office());
        let mut admitted = Vec::new();
        let count = u64::try_from(BUYERS).unwrap();
        for (number, Buyer { token, .. }) in (1..).zip(buyers(&office, 1, count, room).await) {
            admitted.push((Caller::Buyer(user_id(number)), office.verify_token(&token).await.unwrap()));
        }
        Arc::new(Hall { office, buyers: admitted, first: first.get(), next: AtomicUsize::new(0) })
    });
    server.run(async {
        for _ in 0..TAKEN.next_multiple_of(SEATS_PER_BUYER) {
            hall.buy().await;
        }
    });
    let ways = [Refused::None, Refused::FromMemory, Refused::ByTheEngine];
    let mut all: [Vec<[f64; 4]>; 3] = Default::default();
    for turn in 0..ROUNDS * ways.len() {
        let index = (turn + turn / ways.len()) % ways.len();
        all[index].push(server.run(round(&hall, ways[index])));
    }
    for (way, rounds) in ways.iter().zip(&all) {
        let [holds, refusals, p50, p99] = [0, 1, 2, 3].map(|at| median(rounds.iter().map(|one| one[at]).collect()));
        println!(
            "crowd refused {way:?}: {holds:.0} holds/s beside {refusals:.0} refusals/s, a hold p50 {p50:.0} us, p99 {p99:.0} us"
        );
    }
    let ratios = all[1].iter().zip(&all[2]).map(|(memory, engine)| memory[0] / engine[0]).collect();
    println!("holds, refused from memory of refused by the engine: {:.2}", median(ratios));
}
