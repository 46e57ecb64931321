//! Collects commands into batches, one transaction each.
//!
//! A batch never waits to fill: it takes the commands that arrived while the last transaction was in flight. An idle
//! command costs one transaction; under load the batches grow by themselves.

mod berths;
mod health;
mod lane;
pub mod notes;

pub(crate) use health::Health;

use crate::metrics::Metrics;
use async_trait::async_trait;
use berths::{Berth, Berths};
use frontrow_domain::{
    changes::Changes,
    command::{Answer, Request},
};
use frontrow_storage::{Store, StoreError};
use health::SharedHealth;
use lane::Lane;
use notes::QueuedNotes;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// How long a command may stand in the queue. An older one is refused undone: its client has given up.
const QUEUED_MAX: Duration = Duration::from_secs(5);

/// Receives each commit, to keep caches up to date.
#[async_trait]
pub trait CommitObserver: Send + Sync + 'static {
    /// Called with the changes of each committed batch before its commands are answered: in commit order if there is
    /// one lane, in any order between several lanes.
    fn committed(&self, changes: &Changes);

    /// Called if a commit may have passed unobserved: the caches must be read again from the rows.
    ///
    /// # Errors
    /// The store could not be read; the lane calls again before its next batch, and within about a second.
    async fn catch_up(&self) -> anyhow::Result<()>;
}

/// Why a command was not decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Too many commands wait already, or other transactions held the rows for too long. Nothing was done.
    #[error("the engine is overloaded")]
    Overloaded,
    /// The database is unavailable. Nothing was done.
    #[error("the database is unavailable")]
    Unavailable,
    /// The command may be committed or not; a retry with the same idempotency key finds out.
    #[error("the outcome is unknown")]
    OutcomeUnknown,
    /// A bug: the command cannot be saved. Nothing was done.
    #[error("the command could not be saved")]
    Internal,
}

/// The limits of queue and batches.
#[derive(Debug, Clone, Copy)]
pub struct EngineLimits {
    /// Commands that may wait in each lane before new ones are refused.
    pub queue_len: usize,
    /// Commands in one transaction.
    pub batch_max: usize,
    /// Batches in progress at once: one if the store has a single writer.
    pub lanes: usize,
}

/// Every change of the store goes through the engine.
#[derive(Debug)]
pub struct Engine {
    lanes: Vec<mpsc::Sender<Job>>,
    berths: Arc<Berths>,
    health: Arc<SharedHealth>,
    batches: Arc<AtomicUsize>,
    /// How often the store has failed.
    failures: Arc<AtomicU64>,
    /// How many times another process committed changes that the caches must load.
    cache_resets: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Job {
    request: Request,
    queued_at: Instant,
    reply: Waiter,
}

impl Engine {
    /// Starts one thread for each lane. They end when the engine is dropped and all queued commands are done.
    ///
    /// # Errors
    /// A thread could not be started.
    pub fn start(
        store: &Arc<dyn Store>,
        limits: EngineLimits,
        metrics: Arc<Metrics>,
        follower: &Arc<dyn CommitObserver>,
    ) -> io::Result<(Self, Vec<JoinHandle<()>>)> {
        let (health, batches) = (Arc::new(SharedHealth::default()), Arc::new(AtomicUsize::new(0)));
        let (failures, cache_resets) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let troubles = Arc::default();
        let (mut lanes, mut threads) = (Vec::new(), Vec::new());
        for _ in 0..limits.lanes.max(1) {
            let (jobs, queue) = mpsc::channel(limits.queue_len);
            let lane = Lane {
                store: Arc::clone(store),
                metrics: Arc::clone(&metrics),
                follower: Arc::clone(follower),
                health: Arc::clone(&health),
                batches: Arc::clone(&batches),
                failures: Arc::clone(&failures),
                cache_resets: Arc::clone(&cache_resets),
                batch_max: limits.batch_max,
                troubles: Arc::clone(&troubles),
            };
            let runtime = tokio::runtime::Handle::current();
            let thread = std::thread::Builder::new().name("engine".to_owned());
            threads.push(thread.spawn(move || lane.run(queue, &runtime))?);
            lanes.push(jobs);
        }
        let berths = Berths::new(lanes.len());
        Ok((Self { lanes, berths, health, batches, failures, cache_resets, metrics }, threads))
    }

    /// Has a command decided and saved. Once it is queued, it goes on even if the caller stops waiting.
    ///
    /// # Errors
    /// A [`EngineError`]; refusals are answers.
    pub async fn run(&self, request: Request) -> Result<Answer, EngineError> {
        let (to, answer) = oneshot::channel();
        if self.send(request, to).is_err() {
            self.metrics.overloads.inc();
            return Err(EngineError::Overloaded);
        }
        answer.await.unwrap_or(Err(EngineError::OutcomeUnknown))
    }

    /// Has a command decided without waiting for the answer; drops it if the queue is full.
    pub fn run_unwatched(&self, request: Request) {
        let (to, _) = oneshot::channel();
        if self.send(request, to).is_err() {
            tracing::debug!("an unwatched command was dropped: the engine's queue is full");
        }
    }

    fn send(&self, request: Request, to: oneshot::Sender<Result<Answer, EngineError>>) -> Result<(), EngineError> {
        let berth = self.berths.take(&request);
        let jobs = self.lanes.get(berth.lane).ok_or(EngineError::Internal)?;
        let job =
            Job { request, queued_at: Instant::now(), reply: Waiter { to, _berth: berth, notes: notes::of_queued() } };
        jobs.try_send(job).map_err(|_| EngineError::Overloaded)
    }

    /// Makes every lane read the caches again before its next command: another process has committed changes.
    pub fn mark_caches_stale(&self) {
        self.cache_resets.fetch_add(1, Ordering::Relaxed);
    }

    /// How many batches are in progress.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.batches.load(Ordering::Relaxed)
    }

    /// Whether no command is being decided or waits, as far as unsynchronised reads can say.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.batches() == 0 && self.lanes.iter().all(|lane| lane.capacity() == lane.max_capacity())
    }

    /// The store's health by the last transaction or probe.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.get()
    }

    /// Records the result of a probe of the store.
    pub fn note_probe(&self, probe: &Result<(), StoreError>) {
        if probe.is_err() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        self.health.note(probe.as_ref());
    }
}

/// The channel of a command's answer. Its place in the lane is free once it is answered.
#[derive(Debug)]
struct Waiter {
    to: oneshot::Sender<Result<Answer, EngineError>>,
    _berth: Berth,
    /// For a command of a request that is traced.
    notes: Option<QueuedNotes>,
}

impl Waiter {
    /// Answers. If the caller has stopped waiting, the answer is dropped.
    fn send(self, answer: Result<Answer, EngineError>) {
        let _ = self.to.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_clock::Clock;
    use frontrow_domain::{
        command::Command,
        id::RoomId,
        policy::Policy,
        time::Time,
        user::{Caller, NewUser, Role},
    };
    use frontrow_storage::memory::MemoryStore;
    use std::sync::atomic::AtomicU32;

    /// Panics at its first commit and at its first attempt to catch up.
    #[derive(Default)]
    struct Stumbling {
        published: AtomicU32,
        caught_up: AtomicU32,
        /// Notified when it has caught up.
        ready: tokio::sync::Notify,
    }

    #[async_trait]
    impl CommitObserver for Stumbling {
        fn committed(&self, _: &Changes) {
            assert!(self.published.fetch_add(1, Ordering::SeqCst) > 0, "the first commit is too much");
        }

        async fn catch_up(&self) -> anyhow::Result<()> {
            assert!(self.caught_up.fetch_add(1, Ordering::SeqCst) > 0, "the first time is too much");
            self.ready.notify_one();
            Ok(())
        }
    }

    fn join(number: u128) -> [Request; 2] {
        let user_id = frontrow_domain::id::UserId(uuid::Uuid::from_u128(number));
        let user = NewUser {
            user_id,
            name: "Minji".to_owned(),
            email: format!("{number}@example.com"),
            password_hash: "-".to_owned(),
            role: Role::Buyer,
        };
        let join = Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None };
        [(Caller::Anonymous, Command::Register(user)), (Caller::Buyer(user_id), join)]
            .map(|(caller, command)| Request { caller, command, idempotency: None })
    }

    #[tokio::test]
    async fn a_stale_lane_catches_up_without_commands() {
        let store: Arc<dyn Store> =
            Arc::new(MemoryStore::new(Clock::manual(Time::from_micros(1)), Policy::default(), 10));
        let follower = Arc::new(Stumbling::default());
        let limits = EngineLimits { queue_len: 8, batch_max: 8, lanes: 1 };
        let (engine, threads) =
            Engine::start(&store, limits, Arc::new(Metrics::new()), &(Arc::clone(&follower) as _)).unwrap();
        let [register, _] = join(1);
        assert_eq!(engine.run(register).await.unwrap_err(), EngineError::OutcomeUnknown);
        let patience = Duration::from_secs(20);
        tokio::time::timeout(patience, follower.ready.notified()).await.expect("it tries until it has caught up");
        assert_eq!(follower.caught_up.load(Ordering::SeqCst), 2);
        drop(engine);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(follower.caught_up.load(Ordering::SeqCst), 2, "then no more");
    }

    #[tokio::test]
    async fn after_a_panic_the_outcome_is_unknown_memory_catches_up_and_the_engine_goes_on() {
        let store: Arc<dyn Store> =
            Arc::new(MemoryStore::new(Clock::manual(Time::from_micros(1)), Policy::default(), 10));
        let follower = Arc::new(Stumbling::default());
        let limits = EngineLimits { queue_len: 8, batch_max: 8, lanes: 1 };
        let metrics = Arc::new(Metrics::new());
        let (engine, threads) = Engine::start(&store, limits, metrics, &(Arc::clone(&follower) as _)).unwrap();
        let [register, first_join] = join(1);
        assert_eq!(engine.run(register).await.unwrap_err(), EngineError::OutcomeUnknown);
        assert!(engine.run(first_join).await.unwrap().decision.is_ok());
        for request in join(2) {
            assert!(engine.run(request).await.unwrap().decision.is_ok());
        }
        assert_eq!(follower.caught_up.load(Ordering::SeqCst), 2, "once more after the time that failed, then no more");
        drop(engine);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
