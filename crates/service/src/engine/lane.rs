//! One lane: a thread that runs batches one after the other.

use super::{
    CommitObserver, EngineError, Job, QUEUED_MAX, Waiter,
    health::{HealthChange, SharedHealth},
};
use crate::metrics::Metrics;
use frontrow_domain::{
    command::{Answer, Request},
    decide::decide_all,
};
use frontrow_storage::{Committed, Store, StoreError, trouble::Trouble};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, sync::mpsc, time::timeout};

/// How often a batch is retried after a commit whose outcome is unknown.
const REPEATS_MAX: u32 = 2;
/// How long a lane without commands waits before it tries again to catch up: a buyer whose place is not shown sends no
/// command.
const CATCH_UP_EVERY: Duration = Duration::from_secs(1);

/// Whether the caches have seen every commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CacheState {
    Consistent,
    Stale,
    /// Rebuilt, but a commit that was given up may still land.
    AwaitingCommit,
}

pub(super) struct Lane {
    pub(super) store: Arc<dyn Store>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) follower: Arc<dyn CommitObserver>,
    pub(super) health: Arc<SharedHealth>,
    /// Batches in progress in all lanes.
    pub(super) batches: Arc<AtomicUsize>,
    pub(super) failures: Arc<AtomicU64>,
    /// How many times another process committed changes that the caches must load.
    pub(super) cache_resets: Arc<AtomicU64>,
    pub(super) batch_max: usize,
    /// Shared by all lanes, so that each trouble is logged once.
    pub(super) troubles: Arc<LaneFailures>,
}

/// Failures that can repeat with every batch.
#[derive(Debug)]
pub(super) struct LaneFailures {
    unread: Trouble,
    contended: Trouble,
}

impl Default for LaneFailures {
    fn default() -> Self {
        Self {
            unread: Trouble::new("the caches cannot be rebuilt from the store"),
            contended: Trouble::new("batches are not saved: other transactions lock their rows"),
        }
    }
}

/// A batch, or a part of one after a split or a retry.
struct BatchPart {
    batch: Arc<[Request]>,
    replies: Vec<Waiter>,
    /// How often it has been retried.
    repeats: u32,
}

/// The error of a batch that was retried: whatever the retry came to, the first attempt may have been committed.
const fn of_repeat(fault: EngineError, repeats: u32) -> EngineError {
    if repeats > 0 { EngineError::OutcomeUnknown } else { fault }
}

impl Lane {
    pub(super) fn run(&self, mut queue: mpsc::Receiver<Job>, runtime: &Handle) {
        let mut jobs = Vec::with_capacity(self.batch_max);
        let mut cache_state = CacheState::Consistent;
        let mut overcome = self.failures.load(Ordering::Relaxed);
        let mut resets_done = self.cache_resets.load(Ordering::Relaxed);
        loop {
            let taken = match cache_state {
                CacheState::Consistent => Some(queue.blocking_recv_many(&mut jobs, self.batch_max)),
                CacheState::Stale | CacheState::AwaitingCommit => {
                    let next = async { timeout(CATCH_UP_EVERY, queue.recv_many(&mut jobs, self.batch_max)).await.ok() };
                    runtime.block_on(next)
                }
            };
            if taken == Some(0) {
                return;
            }
            let cache_resets = self.cache_resets.load(Ordering::Relaxed);
            if cache_resets != resets_done {
                (cache_state, resets_done) = (CacheState::Stale, cache_resets);
            }
            let is_over = cache_state == CacheState::AwaitingCommit && !self.store.has_unanswered_commits();
            if cache_state == CacheState::Stale || is_over {
                cache_state = self.catch_up(runtime);
            }
            let (requests, replies) = self.admit(&mut jobs);
            if requests.is_empty() {
                continue;
            }
            let failures = self.failures.load(Ordering::Relaxed);
            if failures != overcome {
                match self.resume(runtime) {
                    Ok(resumed) => (cache_state, overcome) = (resumed.unwrap_or(cache_state), failures),
                    Err(fault) => {
                        for reply in replies {
                            reply.send(Err(fault));
                        }
                        continue;
                    }
                }
            }
            // A panic is a bug in a decision or in its saving. The replies are dropped, so the callers learn that the
            // outcome is unknown; the lane goes on once the caches agree with the store.
            self.batches.fetch_add(1, Ordering::Relaxed);
            let batch_run =
                catch_unwind(AssertUnwindSafe(|| runtime.block_on(self.run_batch(requests.into(), replies))));
            self.batches.fetch_sub(1, Ordering::Relaxed);
            match batch_run {
                Ok(CacheState::Consistent) => continue,
                Ok(CacheState::Stale | CacheState::AwaitingCommit) => {}
                Err(_) => tracing::error!("the engine panicked in a batch"),
            }
            // At once: the next command may be long in coming, and pollers would not see what was committed.
            cache_state = self.catch_up(runtime);
        }
    }

    /// After a failure, the store first checks whether there was an outage and extends the deadlines that it cut short.
    /// Returns the new cache state if the caches had to be read again.
    fn resume(&self, runtime: &Handle) -> Result<Option<CacheState>, EngineError> {
        match runtime.block_on(self.store.resume()) {
            Ok(None) => Ok(None),
            Ok(Some(outage)) => {
                let (seconds, grace) = (outage.to.since(outage.from).millis() / 1_000, outage.grace.millis() / 1_000);
                tracing::warn!(
                    seconds,
                    grace,
                    "the database was unavailable: turns and holds last longer by that time"
                );
                Ok(Some(self.catch_up(runtime)))
            }
            Err(error) => match self.note_error(&error) {
                // No command of the batch has been started.
                EngineError::OutcomeUnknown => Err(EngineError::Unavailable),
                fault => Err(fault),
            },
        }
    }

    fn catch_up(&self, runtime: &Handle) -> CacheState {
        // Checked before the rows are read: a commit that lands in between may be missing from them.
        let waits = self.store.has_unanswered_commits();
        // A panic here is the same kind of bug as one in a batch, and must not end the lane either.
        match catch_unwind(AssertUnwindSafe(|| runtime.block_on(self.follower.catch_up()))) {
            Ok(Ok(())) => {
                self.troubles.unread.is_over();
                tracing::info!("caches rebuilt from the database");
                return if waits { CacheState::AwaitingCommit } else { CacheState::Consistent };
            }
            Ok(Err(error)) => self.troubles.unread.came(&error),
            Err(_) => tracing::error!("the engine panicked while caches rebuilt from the database"),
        }
        CacheState::Stale
    }

    fn admit(&self, jobs: &mut Vec<Job>) -> (Vec<Request>, Vec<Waiter>) {
        let mut requests = Vec::with_capacity(jobs.len());
        let mut replies = Vec::with_capacity(jobs.len());
        for job in jobs.drain(..) {
            if job.queued_at.elapsed() > QUEUED_MAX {
                self.metrics.overloads.inc();
                job.reply.send(Err(EngineError::Overloaded));
            } else {
                requests.push(job.request);
                replies.push(job.reply);
            }
        }
        (requests, replies)
    }

    /// Runs a batch. If a row breaks a constraint, the batch is halved until only the command at fault fails. If the
    /// outcome of a commit is unknown, repeatable commands are retried: their idempotency key, or the state they ask
    /// for, makes them happen once.
    async fn run_batch(&self, batch: Arc<[Request]>, replies: Vec<Waiter>) -> CacheState {
        let mut cache_state = CacheState::Consistent;
        let mut parts = vec![BatchPart { batch, replies, repeats: 0 }];
        while let Some(BatchPart { batch, mut replies, repeats }) = parts.pop() {
            let started = Instant::now();
            // Load, decide, save.
            let transacted = self.store.transact(Arc::clone(&batch), decide_all).await;
            let failure = transacted.as_ref().err().map(StoreError::kind);
            for notes in replies.iter().filter_map(|reply| reply.notes.as_ref()) {
                notes.note(started, batch.len(), failure);
            }
            match transacted {
                Ok(Committed { answers, changes }) => {
                    self.metrics.batch_len.observe(f64::from(u32::try_from(batch.len()).unwrap_or(u32::MAX)));
                    self.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
                    self.health.note(Ok(&()));
                    self.follower.committed(&changes);
                    Self::answer(replies.into_iter().zip(answers));
                }
                Err(StoreError::Conflict(_)) if batch.len() > 1 => {
                    let (front, back) = batch.split_at(batch.len() / 2);
                    let back_replies = replies.split_off(front.len());
                    parts.push(BatchPart { batch: back.into(), replies: back_replies, repeats });
                    parts.push(BatchPart { batch: front.into(), replies, repeats });
                }
                Err(error) => {
                    let fault = of_repeat(self.note_error(&error), repeats);
                    if fault == EngineError::OutcomeUnknown {
                        cache_state = CacheState::Stale;
                        parts.extend(Self::to_repeat(&batch, &mut replies, repeats));
                    }
                    for reply in replies {
                        reply.send(Err(fault));
                    }
                }
            }
        }
        cache_state
    }

    /// The repeatable commands of a batch, with their replies.
    fn to_repeat(batch: &[Request], replies: &mut Vec<Waiter>, repeats: u32) -> Option<BatchPart> {
        if repeats >= REPEATS_MAX {
            return None;
        }
        let mut again = BatchPart { batch: Arc::new([]), replies: Vec::new(), repeats: repeats + 1 };
        let mut requests = Vec::with_capacity(batch.len());
        let mut lost = Vec::new();
        for (request, reply) in batch.iter().zip(replies.drain(..)) {
            if request.is_repeatable() {
                requests.push(request.clone());
                again.replies.push(reply);
            } else {
                lost.push(reply);
            }
        }
        *replies = lost;
        again.batch = requests.into();
        (!again.replies.is_empty()).then_some(again)
    }

    /// Answers from a task of the runtime: a wake-up there is a push to a queue; from this thread each would be a
    /// system call.
    fn answer(mut answers: impl ExactSizeIterator<Item = (Waiter, Answer)> + Send + 'static) {
        if answers.len() <= 1 {
            if let Some((reply, answer)) = answers.next() {
                reply.send(Ok(answer));
            }
            return;
        }
        tokio::spawn(async move {
            for (reply, answer) in answers {
                reply.send(Ok(answer));
            }
        });
    }

    fn note_error(&self, error: &StoreError) -> EngineError {
        self.metrics.store_error(error);
        let fault = match error {
            // The database works: other transactions held the rows. That says nothing about this instance's health.
            StoreError::Contended(_) => {
                self.troubles.contended.came(error);
                return EngineError::Overloaded;
            }
            StoreError::Unavailable(_) | StoreError::Corrupt(_) | StoreError::Misfit(_) => EngineError::Unavailable,
            StoreError::Unknown(_) => EngineError::OutcomeUnknown,
            StoreError::Conflict(_) => EngineError::Internal,
        };
        if fault != EngineError::Internal {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        // One line for an outage and one for its end, however many batches fail in between.
        match self.health.note(Err(error)) {
            HealthChange::None if fault == EngineError::Unavailable => tracing::debug!(%error, "a batch was not saved"),
            HealthChange::None | HealthChange::Changed => tracing::error!(%error, "a batch was not saved"),
        }
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{berths::Berths, health::Health},
        *,
    };
    use frontrow_domain::{
        command::{Command, Idempotency},
        id::{PaymentId, RoomId},
        user::Caller,
    };
    use tokio::sync::oneshot;

    fn refund(idempotency: Option<Idempotency>) -> Request {
        let command = Command::Refund { payment_id: PaymentId::new(1), reason: None };
        Request { caller: Caller::System, command, idempotency }
    }

    fn replies(count: usize) -> (Vec<Waiter>, Vec<oneshot::Receiver<Result<Answer, EngineError>>>) {
        let berths = Berths::new(1);
        let reply = |_| {
            let (to, answer) = oneshot::channel();
            (Waiter { to, _berth: berths.take(&refund(None)), notes: None }, answer)
        };
        (0..count).map(reply).unzip()
    }

    /// Without any cache.
    struct Nothing;

    #[async_trait::async_trait]
    impl CommitObserver for Nothing {
        fn committed(&self, _: &frontrow_domain::changes::Changes) {}

        async fn catch_up(&self) -> anyhow::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn contention_is_answered_as_overload_and_leaves_the_instance_healthy() {
        let (clock, policy) = (frontrow_clock::Clock::System, frontrow_domain::policy::Policy::default());
        let lane = Lane {
            store: Arc::new(frontrow_storage::memory::MemoryStore::new(clock, policy, 1)),
            metrics: Arc::new(Metrics::new()),
            follower: Arc::new(Nothing),
            health: Arc::new(SharedHealth::default()),
            batches: Arc::new(AtomicUsize::new(0)),
            failures: Arc::new(AtomicU64::new(0)),
            cache_resets: Arc::default(),
            batch_max: 1,
            troubles: Arc::default(),
        };
        assert_eq!(lane.note_error(&StoreError::Contended("lock time-out".to_owned())), EngineError::Overloaded);
        assert_eq!(lane.health.get(), Health::Sound);
        assert_eq!(lane.note_error(&StoreError::Unavailable("away".to_owned())), EngineError::Unavailable);
        assert_eq!(lane.health.get(), Health::Unwritable);
    }

    #[test]
    fn only_repeatable_commands_are_retried_after_an_unknown_commit() {
        let key = Idempotency { key: [1; 32], fingerprint: [2; 32] };
        let join = Request {
            caller: Caller::System,
            command: Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None },
            idempotency: None,
        };
        let batch = [refund(None), refund(Some(key)), join];
        let (mut replies, mut answers) = replies(3);
        let again = Lane::to_repeat(&batch, &mut replies, 0).unwrap();
        let keys: Vec<_> = again.batch.iter().map(|request| request.idempotency).collect();
        assert_eq!((keys, replies.len()), (vec![Some(key), None], 1));
        replies.remove(0).send(Err(EngineError::OutcomeUnknown));
        assert_eq!(answers[0].try_recv(), Ok(Err(EngineError::OutcomeUnknown)));
    }

    #[test]
    fn a_repetition_that_fails_leaves_the_outcome_unknown() {
        for fault in [EngineError::Unavailable, EngineError::Internal, EngineError::OutcomeUnknown] {
            assert_eq!(of_repeat(fault, 0), fault);
            assert_eq!(of_repeat(fault, 1), EngineError::OutcomeUnknown);
        }
    }

    #[test]
    fn a_batch_is_given_again_so_often_and_then_its_outcome_is_unknown() {
        let batch = [refund(Some(Idempotency { key: [1; 32], fingerprint: [2; 32] }))];
        let (mut replies, _answers) = replies(1);
        assert!(Lane::to_repeat(&batch, &mut replies, REPEATS_MAX).is_none());
        assert_eq!(replies.len(), 1);
    }
}
