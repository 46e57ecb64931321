//! The requests of one connection of HTTP/2: how many are in progress, and which of their clients take their answers.

use frontrow_service::metrics::Metrics;
use hyper::rt::Executor;
use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::{Instant, timeout};

/// How often it is looked at whether a client takes its answer, at most.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Runs the requests of one connection.
#[derive(Debug, Clone)]
pub(super) struct Tasks(Arc<OpenRequests>);

#[derive(Debug)]
struct OpenRequests {
    start: Instant,
    /// How long a client may take to read a part of an answer.
    stall_max: Duration,
    look_every: Duration,
    in_progress: AtomicUsize,
    begun: AtomicUsize,
    /// When the last request ended.
    idle_since: Mutex<Instant>,
    /// That of the request whose task comes next: hyper calls the service, and gives its task to the executor at once.
    next: Mutex<Option<Arc<AnswerProgress>>>,
}

/// The progress of one answer.
#[derive(Debug)]
pub(super) struct AnswerProgress {
    start: Instant,
    /// When the part was handed over that the client has not taken, in microseconds since the start plus one; 0 if it has
    /// taken all.
    waits_since: AtomicU64,
    stall_max_us: AtomicU64,
    /// Where a stream of events that is dropped is counted.
    dropped_in: OnceLock<Arc<Metrics>>,
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl AnswerProgress {
    fn new(start: Instant, stall_max: Duration) -> Self {
        Self {
            start,
            waits_since: AtomicU64::new(0),
            stall_max_us: AtomicU64::new(micros(stall_max)),
            dropped_in: OnceLock::new(),
        }
    }

    /// Notes that a part was handed over.
    pub(super) fn handed_over(&self) {
        self.waits_since.store(micros(self.start.elapsed()).saturating_add(1), Relaxed);
    }

    /// Notes that the client has taken it.
    pub(super) fn taken(&self) {
        self.waits_since.store(0, Relaxed);
    }

    /// Notes that the answer is a stream of events: its client has less time for a part, and is counted if it is dropped.
    pub(super) fn is_of_stream(&self, stall_max: Duration, metrics: &Arc<Metrics>) {
        self.stall_max_us.store(micros(stall_max), Relaxed);
        let _ = self.dropped_in.set(Arc::clone(metrics));
    }

    fn is_stalled(&self) -> bool {
        let since = self.waits_since.load(Relaxed);
        since > 0 && micros(self.start.elapsed()).saturating_sub(since) > self.stall_max_us.load(Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tasks {
    /// No requests yet. A client may take `stall_max` to read a part of an answer, and `event_timeout` for an event.
    pub(super) fn new(stall_max: Duration, event_timeout: Duration) -> Self {
        let start = Instant::now();
        Self(Arc::new(OpenRequests {
            start,
            stall_max,
            look_every: LOOK_EVERY.min(event_timeout).min(stall_max),
            in_progress: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            idle_since: Mutex::new(start),
            next: Mutex::default(),
        }))
    }

    /// A request begins.
    pub(super) fn begin(&self) -> Arc<AnswerProgress> {
        let progress = Arc::new(AnswerProgress::new(self.0.start, self.0.stall_max));
        self.0.begun.fetch_add(1, Relaxed);
        *lock(&self.0.next) = Some(Arc::clone(&progress));
        progress
    }

    /// Whether there was any request.
    pub(super) fn has_begun(&self) -> bool {
        self.0.begun.load(Relaxed) > 0
    }

    /// Since when no request is in progress; none if one is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.0.in_progress.load(Relaxed) == 0).then(|| *lock(&self.0.idle_since))
    }
}

/// Counts a request in progress.
struct InProgress(Arc<OpenRequests>);

impl Drop for InProgress {
    fn drop(&mut self) {
        *lock(&self.0.idle_since) = Instant::now();
        self.0.in_progress.fetch_sub(1, Relaxed);
    }
}

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, request: F) {
        let progress = lock(&self.0.next).take();
        self.0.in_progress.fetch_add(1, Relaxed);
        let look_every = self.0.look_every;
        let counted = InProgress(Arc::clone(&self.0));
        tokio::spawn(async move {
            let _counted = counted;
            until_stalled(request, progress, look_every).await;
        });
    }
}

/// Runs a request to its end, or until its client has not read for too long: then its stream is reset, and the others
/// of the connection go on.
async fn until_stalled(request: impl Future<Output = ()>, progress: Option<Arc<AnswerProgress>>, look_every: Duration) {
    let mut request = pin!(request);
    while timeout(look_every, request.as_mut()).await.is_err() {
        if let Some(progress) = progress.as_ref().filter(|progress| progress.is_stalled()) {
            if let Some(metrics) = progress.dropped_in.get() {
                metrics.streams_dropped.inc();
            }
            return;
        }
    }
}
