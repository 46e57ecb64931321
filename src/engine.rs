//! Collects commands into batches, one transaction each.
//!
//! A batch never waits to fill: it takes whatever has arrived while the last transaction was in flight. An idle
//! command costs one transaction; under load the batches grow by themselves.

use crate::{
    store::{Committed, Store, StoreError},
    telemetry::Metrics,
};
use async_trait::async_trait;
use frontrow_domain::{
    command::{Answer, Request},
    world::Changes,
};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// How long a command may stand in the queue. What waited longer is turned away undone: its client has given up.
const QUEUED_MAX: Duration = Duration::from_secs(5);

/// What is kept in memory beside the store and follows the commits.
#[async_trait]
pub trait Follower: Send + Sync + 'static {
    /// Told what each committed batch changed, in the order of the commits and before anybody has an answer.
    fn committed(&self, changes: &Changes);

    /// Told that something may have been committed unseen: what is kept in memory must be read again.
    ///
    /// # Errors
    /// The store could not be read; it is asked again before the next batch.
    async fn catch_up(&self) -> anyhow::Result<()>;
}

/// Why a command was not decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Too much waits already. Nothing was done.
    #[error("the engine is overloaded")]
    Overloaded,
    /// The database is away. Nothing was done.
    #[error("the database is unavailable")]
    Unavailable,
    /// It may be done or not; the same idempotency key tells which.
    #[error("the outcome is unknown")]
    OutcomeUnknown,
    /// A bug: the command cannot be saved. Nothing was done.
    #[error("the command could not be saved")]
    Internal,
}

/// How large queue and batches may grow.
#[derive(Debug, Clone, Copy)]
pub struct EngineLimits {
    /// Commands that may wait before new ones are turned away.
    pub queue_len: usize,
    /// Commands in one transaction.
    pub batch_max: usize,
}

/// The way to a store that changes something.
#[derive(Debug)]
pub struct Engine {
    jobs: mpsc::Sender<Job>,
    healthy: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
}

type Reply = oneshot::Sender<Result<Answer, Fault>>;

#[derive(Debug)]
struct Job {
    request: Request,
    queued_at: Instant,
    reply: Reply,
}

impl Engine {
    /// Starts the thread that runs the batches. It ends when the engine is dropped and all that waits is done.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn start(
        store: Arc<dyn Store>,
        limits: EngineLimits,
        metrics: Arc<Metrics>,
        follower: Arc<dyn Follower>,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (jobs, queue) = mpsc::channel(limits.queue_len);
        let healthy = Arc::new(AtomicBool::new(true));
        let lane = Lane {
            store,
            metrics: Arc::clone(&metrics),
            follower,
            healthy: Arc::clone(&healthy),
            batch_max: limits.batch_max,
        };
        let runtime = tokio::runtime::Handle::current();
        let thread = std::thread::Builder::new().name("engine".to_owned()).spawn(move || lane.run(queue, &runtime))?;
        Ok((Self { jobs, healthy, metrics }, thread))
    }

    /// Has a command decided and saved. Once it is queued, nothing that happens to the caller undoes it.
    ///
    /// # Errors
    /// A [`Fault`]; refusals are answers.
    pub async fn run(&self, request: Request) -> Result<Answer, Fault> {
        let (reply, answer) = oneshot::channel();
        let job = Job { request, queued_at: Instant::now(), reply };
        if self.jobs.try_send(job).is_err() {
            self.metrics.overloads.inc();
            return Err(Fault::Overloaded);
        }
        answer.await.unwrap_or(Err(Fault::OutcomeUnknown))
    }

    /// Has a command decided without waiting for the answer; dropped when too much waits already.
    pub fn run_unwatched(&self, request: Request) {
        let (reply, _) = oneshot::channel();
        if self.jobs.try_send(Job { request, queued_at: Instant::now(), reply }).is_err() {
            tracing::debug!("an unwatched command was dropped: the engine's queue is full");
        }
    }

    /// Whether the last transaction worked.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Notes what a probe of the store found.
    pub fn note_health(&self, probe: &Result<(), StoreError>) {
        self.healthy.store(probe.is_ok(), Ordering::Relaxed);
    }
}

/// Whether what is kept in memory has seen every commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Footing {
    Sure,
    InDoubt,
}

struct Lane {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    follower: Arc<dyn Follower>,
    healthy: Arc<AtomicBool>,
    batch_max: usize,
}

impl Lane {
    fn run(&self, mut queue: mpsc::Receiver<Job>, runtime: &tokio::runtime::Handle) {
        let mut jobs = Vec::with_capacity(self.batch_max);
        let mut footing = Footing::Sure;
        while queue.blocking_recv_many(&mut jobs, self.batch_max) > 0 {
            if footing == Footing::InDoubt {
                footing = self.catch_up(runtime);
            }
            let (requests, replies) = self.admit(&mut jobs);
            if requests.is_empty() {
                continue;
            }
            // A panic is a bug in what is decided or saved. Its batch learns that the outcome is unknown, since every
            // reply is dropped; the engine goes on, once memory and store agree again.
            let settled = catch_unwind(AssertUnwindSafe(|| runtime.block_on(self.settle(requests.into(), replies))));
            match settled {
                Ok(Footing::Sure) => {}
                Ok(Footing::InDoubt) => footing = Footing::InDoubt,
                Err(_) => {
                    tracing::error!("the engine panicked in a batch");
                    footing = Footing::InDoubt;
                }
            }
        }
    }

    fn catch_up(&self, runtime: &tokio::runtime::Handle) -> Footing {
        match runtime.block_on(self.follower.catch_up()) {
            Ok(()) => {
                tracing::info!("memory was read anew from the store");
                Footing::Sure
            }
            Err(error) => {
                tracing::error!(%error, "memory cannot be read anew from the store");
                Footing::InDoubt
            }
        }
    }

    fn admit(&self, jobs: &mut Vec<Job>) -> (Vec<Request>, Vec<Reply>) {
        let mut requests = Vec::with_capacity(jobs.len());
        let mut replies = Vec::with_capacity(jobs.len());
        for job in jobs.drain(..) {
            if job.queued_at.elapsed() > QUEUED_MAX {
                self.metrics.overloads.inc();
                let _ = job.reply.send(Err(Fault::Overloaded));
            } else {
                requests.push(job.request);
                replies.push(job.reply);
            }
        }
        (requests, replies)
    }

    /// Runs a batch. Where a row of it breaks a constraint it is halved until only the command at fault fails.
    async fn settle(&self, batch: Arc<[Request]>, replies: Vec<Reply>) -> Footing {
        let mut footing = Footing::Sure;
        let mut parts = vec![(batch, replies)];
        while let Some((batch, mut replies)) = parts.pop() {
            let started = Instant::now();
            match self.store.transact(Arc::clone(&batch)).await {
                Ok(Committed { answers, changes }) => {
                    self.metrics.batch_len.observe(f64::from(u32::try_from(batch.len()).unwrap_or(u32::MAX)));
                    self.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
                    self.healthy.store(true, Ordering::Relaxed);
                    self.follower.committed(&changes);
                    Self::answer(replies.into_iter().zip(answers));
                }
                Err(StoreError::Conflict(_)) if batch.len() > 1 => {
                    let (front, back) = batch.split_at(batch.len() / 2);
                    let back_replies = replies.split_off(front.len());
                    parts.push((back.into(), back_replies));
                    parts.push((front.into(), replies));
                }
                Err(error) => {
                    let fault = self.note_error(&error);
                    if fault == Fault::OutcomeUnknown {
                        footing = Footing::InDoubt;
                    }
                    for reply in replies {
                        let _ = reply.send(Err(fault));
                    }
                }
            }
        }
        footing
    }

    /// Answers from a task of the runtime: a wake-up there costs a push to a queue, from this thread it would cost a
    /// call to the kernel for each of them.
    fn answer(mut answers: impl ExactSizeIterator<Item = (Reply, Answer)> + Send + 'static) {
        if answers.len() <= 1 {
            if let Some((reply, answer)) = answers.next() {
                let _ = reply.send(Ok(answer));
            }
            return;
        }
        tokio::spawn(async move {
            for (reply, answer) in answers {
                let _ = reply.send(Ok(answer));
            }
        });
    }

    fn note_error(&self, error: &StoreError) -> Fault {
        let fault = match error {
            StoreError::Unavailable(_) | StoreError::Corrupt(_) => Fault::Unavailable,
            StoreError::Unknown(_) => Fault::OutcomeUnknown,
            StoreError::Conflict(_) => Fault::Internal,
        };
        self.metrics.store_error(error);
        if fault != Fault::Internal {
            self.healthy.store(false, Ordering::Relaxed);
        }
        tracing::error!(%error, "a batch was not saved");
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Clock, store::memory::MemoryStore};
    use frontrow_domain::{
        command::Command,
        id::RoomId,
        rules::Rules,
        time::Time,
        user::{Caller, NewUser, Role},
    };
    use std::sync::atomic::AtomicU32;

    /// Panics at the first commit it is told of.
    #[derive(Default)]
    struct Stumbling {
        told: AtomicU32,
        caught_up: AtomicU32,
    }

    #[async_trait]
    impl Follower for Stumbling {
        fn committed(&self, _: &Changes) {
            assert!(self.told.fetch_add(1, Ordering::SeqCst) > 0, "the first commit is too much");
        }

        async fn catch_up(&self) -> anyhow::Result<()> {
            self.caught_up.fetch_add(1, Ordering::SeqCst);
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
        [(Caller::Nobody, Command::Register(user)), (Caller::Buyer(user_id), join)].map(|(caller, command)| Request {
            caller,
            command,
            idempotency: None,
        })
    }

    #[tokio::test]
    async fn after_a_panic_the_outcome_is_unknown_memory_catches_up_and_the_engine_goes_on() {
        let store = Arc::new(MemoryStore::new(Clock::manual(Time::from_micros(1)), Rules::default(), 10));
        let follower = Arc::new(Stumbling::default());
        let limits = EngineLimits { queue_len: 8, batch_max: 8 };
        let metrics = Arc::new(Metrics::new());
        let (engine, thread) = Engine::start(store, limits, metrics, Arc::clone(&follower) as _).unwrap();
        let [register, join] = join(1);
        assert_eq!(engine.run(register).await.unwrap_err(), Fault::OutcomeUnknown);
        assert!(engine.run(join).await.unwrap().decision.is_ok());
        assert_eq!(follower.caught_up.load(Ordering::SeqCst), 1);
        drop(engine);
        thread.join().unwrap();
    }
}
