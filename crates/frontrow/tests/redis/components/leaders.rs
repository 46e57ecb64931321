//! Two instances that both believe to lead one line over one store.

use super::{HOUSE, Pair, START, eventually, instance, keys, user};
use frontrow_clock::Clock;
use frontrow_domain::{
    command::{Command, Outcome, Request},
    decide::decide_all,
    id::{Position, TokenId},
    line::{Fence, Token, TokenStatus},
    policy::Policy,
    time::Span,
    user::Caller,
};
use frontrow_line::{Leadership, redis::lease::Leases};
use frontrow_storage::{Store, memory::MemoryStore};
use frontrow_testkit::PATIENCE;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};
use tokio::sync::Mutex;

const MAX_ACTIVE: i64 = 7;

/// One store, and all that was ever changed about its tokens, in the order of the commits.
struct LeaderFixture {
    store: MemoryStore,
    journal: Mutex<Vec<Token>>,
    superseded: AtomicU32,
}

impl LeaderFixture {
    fn open() -> Arc<Self> {
        let store = MemoryStore::new(Clock::manual(START), Policy::default(), MAX_ACTIVE);
        Arc::new(Self { store, journal: Mutex::default(), superseded: AtomicU32::new(0) })
    }

    async fn run(&self, caller: Caller, command: Command) -> Option<Outcome> {
        let request = Request { caller, command, idempotency: None };
        let mut journal = self.journal.lock().await;
        let mut done = self.store.transact([request].into(), decide_all).await.unwrap();
        journal.extend(done.changes.tokens.iter().copied());
        done.answers.remove(0).decision.ok()
    }

    async fn join(&self, users: i64) {
        for number in 1..=users {
            let issue = Command::IssueToken { room_id: HOUSE, concert_id: None };
            self.run(Caller::Buyer(user(number)), issue).await.unwrap();
        }
    }

    async fn advance(&self, fence: Fence) -> Outcome {
        let advance = Command::AdvanceRoom { room_id: HOUSE, fence, limit: 3, unresponsive: Vec::new(), outlook: None };
        self.run(Caller::System, advance).await.unwrap()
    }

    async fn cursor(&self) -> i64 {
        self.store.rooms().await.unwrap()[0].cursor.0
    }

    async fn fence(&self) -> Fence {
        self.store.rooms().await.unwrap()[0].fence
    }
}

async fn lead(
    leases: &Leases,
    way: &frontrow_line::redis::client::RedisHandle,
    office: &LeaderFixture,
    term: Span,
) -> Fence {
    eventually("the line to be led", async || {
        match leases.lead(way, HOUSE, office.fence().await, term).await.unwrap() {
            Leadership::Leader(fence) => Some(fence),
            Leadership::Follower => None,
        }
    })
    .await
}

#[tokio::test]
async fn a_leader_that_was_paused_cannot_move_the_line_any_more() {
    let pair = Pair::start().await;
    let office = LeaderFixture::open();
    office.join(30).await;
    let (one, other) = (Leases::new(keys(), instance(1)), Leases::new(keys(), instance(2)));

    let paused = lead(&one, &pair.one.handle(), &office, Span::from_millis(50)).await;
    assert!(matches!(office.advance(paused).await, Outcome::Advanced { offered: 3, .. }));
    // The first holds its breath here; its term ends, and the second takes over.
    let next = lead(&other, &pair.other.handle(), &office, Span::from_secs(60)).await;
    assert!(matches!(office.advance(next).await, Outcome::Advanced { offered: 3, .. }));
    assert_eq!(office.advance(paused).await, Outcome::Superseded { fence: next.0 });
    let stands = one.lead(&pair.one.handle(), HOUSE, office.fence().await, Span::from_secs(60)).await.unwrap();
    assert_eq!(stands, Leadership::Follower);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_believe_to_lead_offer_no_turn_twice_and_keep_the_cap() {
    let pair = Pair::start().await;
    let office = LeaderFixture::open();
    let users = 120;
    office.join(users).await;
    let mut leaders = tokio::task::JoinSet::new();
    for (number, way) in [(1, pair.one.handle()), (2, pair.other.handle())] {
        let office = Arc::clone(&office);
        leaders.spawn(async move {
            let leases = Leases::new(keys(), instance(number));
            let mut fence = Fence(0);
            let from = Instant::now();
            while office.cursor().await < users || office.superseded.load(Ordering::Relaxed) == 0 {
                assert!(from.elapsed() < PATIENCE, "no old leader was ever refused, or the line stands still");
                // The terms are so short that both believe to lead most of the time, and go on with an old number.
                if let Ok(Leadership::Leader(new)) =
                    leases.lead(&way, HOUSE, office.fence().await, Span::from_millis(2)).await
                {
                    fence = new;
                }
                for _ in 0..3 {
                    if matches!(office.advance(fence).await, Outcome::Superseded { .. }) {
                        office.superseded.fetch_add(1, Ordering::Relaxed);
                    }
                    tokio::task::yield_now().await;
                }
            }
        });
    }
    let buyers = {
        let office = Arc::clone(&office);
        tokio::spawn(async move {
            let mut done = BTreeSet::new();
            while i64::try_from(done.len()).unwrap() < users {
                for number in (1..=users).filter(|number| !done.contains(number)).collect::<Vec<_>>() {
                    let token = TokenId { room_id: HOUSE, position: Position(number) };
                    let caller = Caller::Buyer(user(number));
                    let activated = office.run(caller, Command::ActivateToken { token }).await;
                    if matches!(activated, Some(Outcome::Token(_))) {
                        // A few stay, so that the cap binds.
                        if number % 25 != 0 {
                            office.run(caller, Command::LeaveQueue { token }).await.unwrap();
                        }
                        done.insert(number);
                    }
                    tokio::task::yield_now().await;
                }
            }
        })
    };
    leaders.join_all().await;
    buyers.await.unwrap();

    let mut now: BTreeMap<TokenId, TokenStatus> = BTreeMap::new();
    let mut offers: BTreeMap<TokenId, u32> = BTreeMap::new();
    for token in office.journal.lock().await.iter() {
        now.insert(token.id, token.status());
        *offers.entry(token.id).or_default() += u32::from(token.status() == TokenStatus::Offered);
        let active = now.values().filter(|status| **status == TokenStatus::Active).count();
        assert!(active <= usize::try_from(MAX_ACTIVE).unwrap());
    }
    assert_eq!(i64::try_from(offers.len()).unwrap(), users);
    assert!(offers.values().all(|times| *times == 1), "{offers:?}");
}
