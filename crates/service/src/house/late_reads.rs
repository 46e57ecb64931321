//! The reads for the screens that take longer than a moment may wait.

use frontrow_domain::id::ConcertId;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::task::JoinHandle;

/// What is read for a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ScreenPart {
    Concert(ConcertId),
    /// All seats of a concert.
    Hall(ConcertId),
    /// The entries of the log about a sale.
    Entries(ConcertId),
    /// The names of operators.
    Names,
    /// What the database has left undone.
    Undone,
}

/// The parts whose reads are late and go on.
#[derive(Debug, Default)]
pub(super) struct LateReads(Arc<Mutex<HashSet<ScreenPart>>>);

fn lock(parts: &Mutex<HashSet<ScreenPart>>) -> MutexGuard<'_, HashSet<ScreenPart>> {
    parts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LateReads {
    /// Whether a read of the part is late and has not ended.
    pub(super) fn has(&self, part: ScreenPart) -> bool {
        lock(&self.0).contains(&part)
    }

    /// Notes a late read, until it has ended.
    pub(super) fn keep<T: Send + 'static>(&self, part: ScreenPart, reading: JoinHandle<T>) {
        if lock(&self.0).insert(part) {
            let parts = Arc::clone(&self.0);
            tokio::spawn(async move {
                let _ = reading.await;
                lock(&parts).remove(&part);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn a_late_read_goes_on_and_is_not_begun_again_until_it_has_ended() {
        let (late, (end, ended)) = (LateReads::default(), oneshot::channel::<()>());
        let part = ScreenPart::Hall(ConcertId::new(1));
        late.keep(part, tokio::spawn(ended));
        assert!(late.has(part) && !late.has(ScreenPart::Hall(ConcertId::new(2))));
        end.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(5), async {
            while late.has(part) {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }
}
