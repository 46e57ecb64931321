//! A box office of some instances that share a database and a Redis, a crowd in its line, and someone who watches that
//! no place rises.

use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    changes::Changes,
    command::{Answer, Command, Request},
    decide::decide_all,
    id::{Position, RoomId, TokenId, UserId},
    line::{Fence, TokenStatus},
    policy::Policy,
    time::Span,
    user::Caller,
};
use frontrow_line::{
    Peers, Rebuild,
    redis::{Notice, RedisPeers, RedisSettings},
    view::RoomView,
};
use frontrow_storage::{Store, memory::MemoryStore};
use frontrow_testkit::{PATIENCE, servers::redis::RedisServer};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task::JoinHandle};
use uuid::Uuid;

pub(crate) const HOUSE: RoomId = RoomId::HOUSE;

/// One instance.
pub(crate) struct Instance {
    pub(crate) queue: Arc<RedisPeers>,
    pub(crate) notices: Mutex<mpsc::Receiver<Notice>>,
}

/// A box office.
pub(crate) struct RedisFixture {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: Clock,
    pub(crate) instances: Vec<Instance>,
    settings: RedisSettings,
    id: Uuid,
    ids: Ids,
    chance: u64,
    users: u128,
}

impl RedisFixture {
    /// An open house room for `max_active`, and `count` instances that have built its line.
    pub(crate) async fn open(urls: Vec<String>, count: usize, max_active: i64) -> Self {
        Self::open_with(RedisSettings::new(urls), count, max_active).await
    }

    /// The same with other settings of Redis.
    pub(crate) async fn open_with(mut settings: RedisSettings, count: usize, max_active: i64) -> Self {
        let clock = Clock::System;
        // Claims and idle times are long: what a test does not do does not happen.
        let policy =
            Policy { claim_window: Span::from_secs(600), idle_limit: Span::from_secs(3_600), ..Policy::default() };
        let store = Arc::new(MemoryStore::new(clock.clone(), policy, max_active));
        let ids = Ids::from_os();
        settings.warm_up = Duration::ZERO;
        let id = ids.uuid(clock.now());
        let instances = Vec::new();
        let mut office = Self { store, clock, instances, settings, id, ids, chance: 42, users: 0 };
        for _ in 0..count {
            office.start_instance().await;
        }
        office
    }

    /// One more instance, as after a start.
    pub(crate) async fn start_instance(&mut self) {
        let (sender, receiver) = mpsc::channel(1_000);
        let store: Arc<dyn Store> = Arc::clone(&self.store) as Arc<dyn Store>;
        let instance = self.ids.uuid(self.clock.now());
        let queue = RedisPeers::start(self.settings.clone(), store, self.id, instance, self.clock.clone(), sender);
        let queue = queue.await.unwrap();
        queue.rebuild(self.store.line(HOUSE).await.unwrap().unwrap(), Rebuild::Replace).await;
        self.instances.push(Instance { queue, notices: Mutex::new(receiver) });
    }

    pub(crate) fn view(&self, instance: usize) -> Arc<RoomView> {
        self.instances[instance].queue.lines().view(HOUSE).unwrap()
    }

    /// A batch that an instance commits and publishes.
    pub(crate) async fn commit(&self, instance: usize, batch: Vec<(Caller, Command)>) -> Vec<Answer> {
        let (answers, changes) = self.commit_unpublished(batch).await;
        self.instances[instance].queue.publish(&changes);
        answers
    }

    /// A batch whose changes are not published.
    pub(crate) async fn commit_unpublished(&self, batch: Vec<(Caller, Command)>) -> (Vec<Answer>, Changes) {
        let requests: Vec<_> =
            batch.into_iter().map(|(caller, command)| Request { caller, command, idempotency: None }).collect();
        let committed = self.store.transact(requests.into(), decide_all).await.unwrap();
        (committed.answers, committed.changes)
    }

    pub(crate) async fn join(&mut self, instance: usize, count: u128) {
        let first = self.users + 1;
        self.users += count;
        let join = Command::IssueToken { room_id: HOUSE, concert_id: None };
        self.commit(instance, (first..=self.users).map(|user| (buyer(user), join.clone())).collect()).await;
    }

    /// The user with the `place`-th token leaves.
    pub(crate) async fn leave(&self, instance: usize, place: i64) {
        let token = at(place);
        let user = self.store.token(token).await.unwrap().unwrap().user_id;
        self.commit(instance, vec![(Caller::Buyer(user), Command::LeaveQueue { token })]).await;
    }

    pub(crate) fn advance() -> (Caller, Command) {
        (
            Caller::System,
            Command::AdvanceRoom {
                room_id: HOUSE,
                fence: Fence(0),
                limit: 20,
                unresponsive: Vec::new(),
                outlook: None,
            },
        )
    }

    fn pick(&mut self, below: usize) -> usize {
        // Knuth's linear congruential generator: the same steps in every run.
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.chance >> 33).unwrap() % below
    }

    /// The commands of a crowd, `rounds` batches of them, each committed by another instance than the one before.
    pub(crate) async fn churn(&mut self, rounds: usize) {
        for round in 0..rounds {
            let instance = round % self.instances.len();
            let line = self.store.line(HOUSE).await.unwrap().unwrap();
            match self.pick(5) {
                0 => self.join(instance, 5).await,
                1 if line.waiting.len() > 20 => {
                    let place = line.waiting[self.pick(line.waiting.len())];
                    self.leave(instance, place.0).await;
                }
                2 | 3 => {
                    let mut batch = vec![Self::advance()];
                    let offered = line.others.iter().filter(|token| token.status() == TokenStatus::Offered).take(5);
                    batch.extend(
                        offered.map(|token| (Caller::Buyer(token.user_id), Command::ActivateToken { token: token.id })),
                    );
                    self.commit(instance, batch).await;
                }
                _ => {
                    let active = line.others.iter().filter(|token| token.status() == TokenStatus::Active).take(2);
                    let leave =
                        active.map(|token| (Caller::Buyer(token.user_id), Command::LeaveQueue { token: token.id }));
                    self.commit(instance, leave.collect()).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// How an instance's view differs from the rows.
    pub(crate) async fn difference(&self, instance: usize) -> Option<String> {
        let line = self.store.line(HOUSE).await.unwrap().unwrap();
        let (view, rows) = (self.view(instance), RoomView::from_rows(&line));
        let numbers =
            |view: &RoomView| (view.cursor(), view.tail(), view.active(), view.offered(), view.total_waiting());
        if numbers(&view) != numbers(&rows) {
            return Some(format!("{:?} instead of {:?}", numbers(&view), numbers(&rows)));
        }
        (1..=line.highest.0)
            .map(Position)
            .find(|at| view.place(*at) != rows.place(*at))
            .map(|position| format!("{position}: {:?} instead of {:?}", view.place(position), rows.place(position)))
    }

    /// Waits until the views of all instances are what the rows say.
    pub(crate) async fn agree(&self) {
        let from = Instant::now();
        for instance in 0..self.instances.len() {
            while let Some(difference) = self.difference(instance).await {
                assert!(from.elapsed() < PATIENCE, "instance {instance} after {PATIENCE:?}: {difference}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// Waits until every instance knows whether Redis can be reached.
    pub(crate) async fn wait_reach(&self, is_up: bool) {
        for instance in &self.instances {
            until("the instances to notice", || instance.queue.check().is_ok() == is_up).await;
        }
    }

    /// Watches the places of all instances from now on.
    pub(crate) fn watch(&self) -> LineWatch {
        let queues: Vec<_> = self.instances.iter().map(|instance| Arc::clone(&instance.queue)).collect();
        LineWatch(tokio::spawn(async move {
            let mut aheads: HashMap<(usize, i64), i64> = HashMap::new();
            loop {
                for (instance, queue) in queues.iter().enumerate() {
                    let view = queue.lines().view(HOUSE).unwrap();
                    for at in 1..=view.tail().0 {
                        let place = view.place(Position(at));
                        // An ended token counts as ahead of all others, for ever.
                        let ahead = if place.status() == TokenStatus::Ended { -1 } else { place.ahead };
                        if let Some(before) = aheads.insert((instance, at), ahead)
                            && ahead > before
                        {
                            return format!("{at} rose from {before} to {ahead} at instance {instance}: {place:?}");
                        }
                    }
                }
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        }))
    }
}

/// See [`RedisFixture::watch`].
pub(crate) struct LineWatch(JoinHandle<String>);

impl LineWatch {
    /// Ends the watch: no place has risen, and no ended token has come back.
    pub(crate) async fn end(self) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.0.abort();
        if let Ok(violation) = self.0.await {
            panic!("{violation}");
        }
    }
}

/// Waits until `is_so`, for a bounded time.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let from = Instant::now();
    while !is_so() {
        assert!(from.elapsed() < PATIENCE, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The key of the event stream, once it exists: an instance knows what it committed before the stream has it.
pub(crate) async fn events_key(server: &RedisServer) -> String {
    let keys = || server.ask::<Vec<String>>(&["KEYS", "*events"]);
    until("the first event to be published", || !keys().is_empty()).await;
    keys().remove(0)
}

pub(crate) fn buyer(user: u128) -> Caller {
    Caller::Buyer(UserId(Uuid::from_u128(user)))
}

pub(crate) fn at(position: i64) -> TokenId {
    TokenId { room_id: HOUSE, position: Position(position) }
}
