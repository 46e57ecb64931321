//! Two instances behind a sentinel: their queues go on with the replica that was promoted.

use super::{HOUSE, START, eventually, peers_over, user};
use frontrow_clock::Clock;
use frontrow_domain::{
    command::{Command, Outcome, Request},
    decide::decide_all,
    id::ReservationId,
    line::Fence,
    policy::Policy,
    time::Span,
    user::Caller,
};
use frontrow_line::{
    Leadership, Peers,
    redis::{RedisPeers, RedisSettings},
};
use frontrow_storage::{Store, memory::MemoryStore};
use frontrow_testkit::servers::redis::RedisSentinel;
use std::{sync::Arc, time::Duration};

const TERM: Span = Span::from_secs(2);

/// Two instances over one store.
struct PromotedPair {
    store: Arc<dyn Store>,
    queues: [Arc<RedisPeers>; 2],
}

impl PromotedPair {
    async fn open(url: String) -> Self {
        let clock = Clock::manual(START);
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(clock.clone(), Policy::default(), 5));
        let mut settings = RedisSettings::new(vec![url]);
        // The changes of one instance reach the other through Redis, not through the rows.
        settings.refresh_every = Duration::from_hours(1);
        settings.refresh_down_every = Duration::from_hours(1);
        let start = |number| peers_over(&store, &settings, &clock, number);
        let queues = [start(1).await, start(2).await];
        Self { store, queues }
    }

    /// A command that the instance with this index decides and publishes.
    async fn run(&self, index: usize, caller: Caller, command: Command) -> Outcome {
        let request = Request { caller, command, idempotency: None };
        let mut done = self.store.transact([request].into(), decide_all).await.unwrap();
        self.queues[index].publish(&done.changes);
        done.answers.remove(0).decision.unwrap()
    }

    async fn join(&self, index: usize, users: std::ops::RangeInclusive<i64>) {
        for number in users {
            let issue = Command::IssueToken { room_id: HOUSE, concert_id: None };
            self.run(index, Caller::Buyer(user(number)), issue).await;
        }
    }

    /// Waits until both see so many waiting and so many turns offered.
    async fn both_see(&self, waiting: i64, offered: i64) {
        eventually("both to see the line as it is", async || {
            let is_so = |queue: &Arc<RedisPeers>| {
                queue
                    .lines()
                    .view(HOUSE)
                    .is_some_and(|view| (view.total_waiting(), view.offered()) == (waiting, offered))
            };
            self.queues.iter().all(is_so).then_some(())
        })
        .await;
    }

    /// Waits until one leads: which one, and under which number.
    async fn leader(&self) -> (usize, Fence) {
        eventually("one to lead", async || {
            for (index, queue) in self.queues.iter().enumerate() {
                let fence = queue.lines().view(HOUSE)?.room().fence;
                if let Leadership::Leader(fence) = queue.lead(&[(HOUSE, fence)], TERM).await[0] {
                    return Some((index, fence));
                }
            }
            None
        })
        .await
    }

    async fn advance(&self) -> Fence {
        let (index, fence) = self.leader().await;
        let advance = Command::AdvanceRoom { room_id: HOUSE, fence, limit: 2, unresponsive: Vec::new(), outlook: None };
        let outcome = self.run(index, Caller::System, advance).await;
        assert!(matches!(outcome, Outcome::Advanced { offered: 2, .. }), "{outcome:?}");
        fence
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_goes_on_with_a_promoted_replica() {
    let mut group = RedisSentinel::start();
    let office = PromotedPair::open(group.url()).await;
    office.join(0, 1..=10).await;
    office.both_see(10, 0).await;
    let before = office.advance().await;
    office.both_see(8, 2).await;

    group.primary.kill();
    // Buyers join meanwhile, at both; the rows have what the replica missed.
    office.join(0, 11..=15).await;
    office.join(1, 16..=20).await;
    group.wait_promoted();
    eventually("both to be back", async || office.queues.iter().all(|queue| queue.check().is_ok()).then_some(())).await;
    office.both_see(18, 2).await;
    let after = office.advance().await;
    assert!(after >= before, "{after:?} comes after {before:?}");
    office.both_see(16, 4).await;
    office.join(1, 21..=21).await;
    office.both_see(17, 4).await;

    let due = [(START, ReservationId::new(5))];
    office.queues[0].add_hold_deadlines(&due);
    eventually("the other to take the deadline", async || {
        let taken = office.queues[1].take_due_holds(START, 10).await.ok()?;
        taken.contains(&ReservationId::new(5)).then_some(())
    })
    .await;
}
