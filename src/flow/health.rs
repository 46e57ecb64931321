//! Whether an instance can do its work.

use super::BoxOffice;
use crate::clock::{ClocksApart, SKEW_MAX, check_skew, skew};
use frontrow_domain::time::Span;
use std::sync::atomic::Ordering;

/// Why an instance should get no requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// The last transaction failed, and no probe has worked since.
    #[error("the database cannot be written")]
    Database,
    /// The clocks disagree.
    #[error(transparent)]
    Clock(#[from] ClocksApart),
}

impl BoxOffice {
    /// Whether this instance can do its work.
    ///
    /// # Errors
    /// Why not.
    pub fn check_ready(&self) -> Result<(), NotReady> {
        if !self.engine.is_healthy() {
            return Err(NotReady::Database);
        }
        Ok(check_skew(Span::from_micros(self.clock_skew.load(Ordering::Relaxed)), SKEW_MAX)?)
    }

    /// Asks the database what time it is, and notes how far that is from this machine's clock.
    pub async fn compare_clocks(&self) {
        let before = self.clock.now();
        let Ok(there) = self.store.now().await else { return };
        let skew = skew(there, before, self.clock.now());
        let was = Span::from_micros(self.clock_skew.swap(skew.micros(), Ordering::Relaxed));
        self.metrics.clock_skew(skew);
        if let (Ok(()), Err(reason)) = (check_skew(was, SKEW_MAX), check_skew(skew, SKEW_MAX)) {
            tracing::error!(%reason, "not ready");
        }
    }
}
