//! Keeps joins from waiting for a checker that does not answer.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// After how many failures in a row the checker is left alone.
const FAILURES_MAX: u32 = 5;
/// For how long. Then one join tries it again.
const REST: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct BreakerState {
    failures: u32,
    rests_until: Option<Instant>,
    /// Whether a join tries the checker after a rest.
    is_tried: bool,
}

/// Whether the checker is asked.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<BreakerState>);

/// A question to the checker. Dropped without an end it says nothing: its client went away.
#[derive(Debug)]
pub(super) struct BreakerTry<'a>(&'a Breaker);

impl Breaker {
    fn lock(&self) -> MutexGuard<'_, BreakerState> {
        // Every update leaves the state consistent, so a panic while it was locked does no harm.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the checker may be asked now; none while it rests, or while another join tries it after a rest.
    pub(super) fn begin(&self, now: Instant) -> Option<BreakerTry<'_>> {
        let mut state = self.lock();
        if let Some(until) = state.rests_until {
            if now < until || state.is_tried {
                return None;
            }
            state.is_tried = true;
        }
        Some(BreakerTry(self))
    }

    /// Whether the checker is left alone.
    pub(super) fn rests(&self) -> bool {
        self.lock().rests_until.is_some()
    }
}

impl BreakerTry<'_> {
    /// The checker has answered.
    pub(super) fn answered(self) {
        *self.0.lock() = BreakerState::default();
    }

    /// It has not.
    pub(super) fn failed(self, now: Instant) {
        let mut state = self.0.lock();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES_MAX {
            state.rests_until = Some(now + REST);
        }
    }
}

impl Drop for BreakerTry<'_> {
    fn drop(&mut self) {
        self.0.lock().is_tried = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(breaker: &Breaker, times: u32, now: Instant) {
        for _ in 0..times {
            breaker.begin(now).unwrap().failed(now);
        }
    }

    #[test]
    fn a_checker_that_fails_rests_and_one_join_tries_it_again() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        failing(&breaker, FAILURES_MAX - 1, start);
        assert!(!breaker.rests());
        failing(&breaker, 1, start);
        assert!(breaker.rests());
        assert!(breaker.begin(start + REST / 2).is_none());
        let later = start + REST;
        let tried = breaker.begin(later).unwrap();
        assert!(breaker.begin(later).is_none(), "one tries, the others go on without it");
        tried.failed(later);
        assert!(breaker.begin(later).is_none());
        breaker.begin(later + REST).unwrap().answered();
        assert!(!breaker.rests());
        failing(&breaker, FAILURES_MAX - 1, later + REST);
        assert!(!breaker.rests(), "failures are counted anew");
    }

    #[test]
    fn an_answer_between_failures_ends_their_row() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..3 {
            failing(&breaker, FAILURES_MAX - 1, now);
            breaker.begin(now).unwrap().answered();
        }
        assert!(!breaker.rests());
    }

    #[test]
    fn a_try_whose_client_went_away_lets_the_next_one_try() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        failing(&breaker, FAILURES_MAX, start);
        drop(breaker.begin(start + REST).unwrap());
        assert!(breaker.begin(start + REST).is_some());
    }
}
