//! Whether an instance can do its work.

use super::BoxOffice;
use frontrow_domain::time::Span;
use std::sync::atomic::Ordering;

/// A clock that is further off than this must not sell: what users are told about time comes from both clocks.
const SKEW_MAX: Span = Span::from_secs(30);

/// Why an instance should get no requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// The last transaction failed, and no probe has worked since.
    #[error("the database cannot be written")]
    Database,
    /// The clocks disagree.
    #[error("the database's clock is {0} seconds {1} this machine's: both need a time service")]
    Clock(i64, &'static str),
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
        check_skew(Span::from_micros(self.clock_skew.load(Ordering::Relaxed)))
    }

    /// Asks the database what time it is, and notes how far that is from this machine's clock.
    pub async fn compare_clocks(&self) {
        let before = self.clock.now();
        let Ok(there) = self.store.now().await else { return };
        let after = self.clock.now();
        // The moment that the server saw lies between the two; within them it agrees.
        let skew = if there > after {
            there.micros().saturating_sub(after.micros())
        } else if there < before {
            there.micros().saturating_sub(before.micros())
        } else {
            0
        };
        let was = check_skew(Span::from_micros(self.clock_skew.swap(skew, Ordering::Relaxed)));
        self.metrics.clock_skew(Span::from_micros(skew));
        if let (Ok(()), Err(reason)) = (was, check_skew(Span::from_micros(skew))) {
            tracing::error!(%reason, "not ready");
        }
    }
}

fn check_skew(skew: Span) -> Result<(), NotReady> {
    if skew.micros().unsigned_abs() <= SKEW_MAX.micros().unsigned_abs() {
        return Ok(());
    }
    let word = if skew.micros() > 0 { "ahead of" } else { "behind" };
    Err(NotReady::Clock(skew.millis().abs() / 1_000, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_may_be_half_a_minute_off() {
        for (seconds, expected) in [
            (0, Ok(())),
            (30, Ok(())),
            (-30, Ok(())),
            (31, Err(NotReady::Clock(31, "ahead of"))),
            (-90, Err(NotReady::Clock(90, "behind"))),
        ] {
            assert_eq!(check_skew(Span::from_secs(seconds)), expected);
        }
    }
}
