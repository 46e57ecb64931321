//! Tells the caches of this instance what other instances changed.

use frontrow_domain::id::{ConcertId, UserId};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc;

/// A change at another instance that caches should know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The session with this hash ended.
    SessionClosed([u8; 32]),
    /// The user has another role: the store has the new one.
    RoleSet(UserId),
    /// The concert is new or has changed.
    ConcertChanged(ConcertId),
    /// Some of these may have been missed: any cached row may be stale.
    Missed,
}

/// The sending side.
#[derive(Debug)]
pub(super) struct Notices {
    sender: mpsc::Sender<Notice>,
    /// A notice did not fit: the next one says that some may have been missed.
    has_missed: AtomicBool,
}

impl Notices {
    pub(super) const fn new(sender: mpsc::Sender<Notice>) -> Self {
        Self { sender, has_missed: AtomicBool::new(false) }
    }

    /// Sends a notice. Never waits.
    pub(super) fn send(&self, notice: Notice) {
        let notice = if self.has_missed.swap(false, Ordering::Relaxed) { Notice::Missed } else { notice };
        if let Err(mpsc::error::TrySendError::Full(_)) = self.sender.try_send(notice) {
            self.has_missed.store(true, Ordering::Relaxed);
        }
    }
}
