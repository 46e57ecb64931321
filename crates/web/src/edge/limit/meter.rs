//! Evenly refilling budgets: one for each key, or one for each of so many cells that keys seldom share one.

use super::{at_least_one, try_again_after};
use crate::edge::problem::HttpResult;
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// How many keys a limiter may hold before it drops those whose budgets are full.
const KEYS_MAX: usize = 100_000;
/// How many checks pass between two counts of the keys.
const CHECKS_PER_LOOK: u32 = 4_096;

/// A budget for each key.
#[derive(Debug)]
pub(super) struct Limiter<K: Hash + Eq + Clone> {
    inner: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
    burst: u32,
    checks: AtomicU32,
    /// The number of keys that starts a sweep: twice as many as the last one left.
    sweep_at: AtomicUsize,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    pub(super) fn new(quota: Quota) -> Self {
        Self {
            inner: RateLimiter::keyed(quota),
            clock: DefaultClock::default(),
            burst: quota.burst_size().get(),
            checks: AtomicU32::new(0),
            sweep_at: AtomicUsize::new(KEYS_MAX),
        }
    }

    /// Spends one.
    pub(super) fn check(&self, key: &K) -> HttpResult<()> {
        self.look();
        self.inner.check_key(key).map_err(|until| try_again_after(until.wait_time_from(self.clock.now())))
    }

    /// Spends several, or the whole budget if that is less.
    pub(super) fn check_many(&self, key: &K, count: u32) -> HttpResult<()> {
        self.look();
        match self.inner.check_key_n(key, at_least_one(count.min(self.burst))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(try_again_after(until.wait_time_from(self.clock.now()))),
            // Never too much for the budget: `count` is at most its burst.
            Err(_) => Err(try_again_after(Duration::ZERO)),
        }
    }

    fn look(&self) {
        let checks = self.checks.fetch_add(1, Relaxed);
        if checks.is_multiple_of(CHECKS_PER_LOOK) && self.inner.len() > self.sweep_at.load(Relaxed) {
            self.sweep();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.inner.len()
    }

    pub(super) fn sweep(&self) {
        self.inner.retain_recent();
        self.inner.shrink_to_fit();
        self.sweep_at.store(KEYS_MAX.max(2 * self.inner.len()), Relaxed);
    }
}

/// How many cells there are: two megabytes, whatever the number of keys.
const CELLS: usize = 1 << 18;

/// A budget for each cell. Each key has one cell, which several keys share if there are very many. Nothing is ever
/// dropped, so a check costs the same with one key and with a million.
#[derive(Debug)]
pub(super) struct Cells {
    start: Instant,
    /// When each cell's budget is full again, in microseconds after the start.
    full_at: Box<[AtomicU64]>,
    interval_us: u64,
    holds_us: u64,
    /// Keeps the cells of keys unpredictable.
    hasher: RandomState,
}

impl Cells {
    /// Budgets of `burst` that refill evenly, by `per_second`.
    pub(super) fn per_second(per_second: u32, burst: u32) -> Self {
        let interval_us = (1_000_000 / u64::from(at_least_one(per_second).get())).max(1);
        Self {
            start: Instant::now(),
            full_at: (0..CELLS).map(|_| AtomicU64::new(0)).collect(),
            interval_us,
            holds_us: interval_us * u64::from(at_least_one(burst).get()),
            hasher: RandomState::new(),
        }
    }

    /// Spends one.
    pub(super) fn check(&self, key: impl Hash) -> HttpResult<()> {
        let hash = usize::try_from(self.hasher.hash_one(key) % (CELLS as u64)).unwrap_or(0);
        let Some(cell) = self.full_at.get(hash) else { return Ok(()) };
        let now = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let spend = |full_at: u64| {
            let full_at = full_at.max(now) + self.interval_us;
            (full_at - now <= self.holds_us).then_some(full_at)
        };
        cell.fetch_update(Relaxed, Relaxed, spend)
            .map(|_| ())
            .map_err(|full_at| try_again_after(Duration::from_micros((full_at - now).saturating_sub(self.holds_us))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn a_burst_over_the_limit_has_to_wait_and_others_do_not() {
        let limiter = Limiter::new(Quota::per_hour(NonZeroU32::new(3).unwrap()));
        for _ in 0..3 {
            limiter.check(&"a").unwrap();
        }
        assert_eq!(limiter.check(&"a").unwrap_err().code(), "rate_limited");
        limiter.check(&"b").unwrap();
    }

    #[test]
    fn a_cost_above_the_burst_spends_the_whole_budget() {
        let limiter = Limiter::new(Quota::per_hour(NonZeroU32::new(3).unwrap()));
        limiter.check_many(&"a", 10).unwrap();
        assert_eq!(limiter.check(&"a").unwrap_err().code(), "rate_limited");
        limiter.check_many(&"b", 2).unwrap();
        assert_eq!(limiter.check_many(&"b", 2).unwrap_err().code(), "rate_limited");
        limiter.check(&"b").unwrap();
    }

    #[test]
    fn a_cell_that_is_asked_too_often_says_so_and_the_others_go_on() {
        // On a slow machine the budget may refill between two checks.
        let cells = Cells::per_second(1, 2);
        let refused = (0..10_000).filter(|_| cells.check(7).is_err()).count();
        assert!(refused > 0);
        let served = (0..100).filter(|key| cells.check((*key, "another")).is_ok()).count();
        assert!(served >= 98, "{served}");
    }
}
