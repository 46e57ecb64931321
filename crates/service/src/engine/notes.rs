//! Records the batches in which a traced request's commands were decided.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// How many batches of one request are recorded. A retried command has several.
pub const BATCHES_MAX: usize = 16;

tokio::task_local! {
    static CURRENT: Arc<Notes>;
}

/// The batches recorded for one request.
#[derive(Debug, Default)]
pub struct Notes(Mutex<Vec<BatchNote>>);

/// One batch that a command of a request was in.
#[derive(Debug, Clone, Copy)]
pub struct BatchNote {
    /// When the command was queued.
    pub queued: Instant,
    /// When its transaction began.
    pub began: Instant,
    /// When its transaction ended.
    pub ended: Instant,
    /// How many commands were in the batch.
    pub len: usize,
    /// The kind of failure that it ended with.
    pub fault: Option<&'static str>,
}

/// A command of a traced request, on its way through the engine.
#[derive(Debug)]
pub struct QueuedNotes {
    notes: Arc<Notes>,
    queued: Instant,
}

/// The notes of the request whose command is queued now; none unless the task serves a traced request.
#[must_use]
pub fn of_queued() -> Option<QueuedNotes> {
    CURRENT.try_with(|notes| QueuedNotes { notes: Arc::clone(notes), queued: Instant::now() }).ok()
}

impl QueuedNotes {
    /// Records that the command was in a batch of `len` commands whose transaction ends now, and the kind of its
    /// failure.
    pub fn note(&self, began: Instant, len: usize, fault: Option<&'static str>) {
        let mut notes = self.notes.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < BATCHES_MAX {
            notes.push(BatchNote { queued: self.queued, began, ended: Instant::now(), len, fault });
        }
    }
}

impl Notes {
    /// The batches recorded so far.
    #[must_use]
    pub fn batches(&self) -> Vec<BatchNote> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs `work`, recording the batches of its commands in `notes`.
pub fn watch<F: Future>(notes: Arc<Notes>, work: F) -> impl Future<Output = F::Output> + use<F> {
    CURRENT.scope(notes, work)
}
