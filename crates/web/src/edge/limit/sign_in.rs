//! Budgets of wrong passwords: an account cannot be guessed, and a stranger's guesses do not lock its owner out.
//!
//! An attempt is paid for before its password is checked, or concurrent ones would be free; a right password gives it
//! back. Changes and holds are counted in the same way, and given back if the server could not answer.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How many keys a generation holds: of two generations at most one is dropped at once.
const GENERATION_LEN: usize = 50_000;

/// A bounded map that drops the keys written longest ago, many at a time.
#[derive(Debug)]
struct RecentKeys<V> {
    young: HashMap<u128, V>,
    old: HashMap<u128, V>,
}

impl<V> Default for RecentKeys<V> {
    fn default() -> Self {
        Self { young: HashMap::new(), old: HashMap::new() }
    }
}

impl<V: Copy> RecentKeys<V> {
    fn get(&self, key: u128) -> Option<V> {
        self.young.get(&key).or_else(|| self.old.get(&key)).copied()
    }

    fn put(&mut self, key: u128, value: V) {
        if self.young.len() >= GENERATION_LEN && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    fn remove(&mut self, key: u128) {
        self.young.remove(&key);
        self.old.remove(&key);
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every update leaves the value consistent, so a panic while it was locked does no harm.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Budgets that refill evenly within a minute or an hour, and can take a spending back.
#[derive(Debug)]
pub(super) struct Tries {
    start: Instant,
    interval_us: u64,
    holds_us: u64,
    /// When each budget is full again, in microseconds after the start.
    full_at: Mutex<RecentKeys<u64>>,
}

impl Tries {
    pub(super) fn per_minute(count: u32) -> Self {
        Self::within(60_000_000, count)
    }

    pub(super) fn per_hour(count: u32) -> Self {
        Self::within(3_600_000_000, count)
    }

    pub(super) fn within(period_us: u64, count: u32) -> Self {
        let count = u64::from(count.max(1));
        let interval_us = (period_us / count).max(1);
        Self { start: Instant::now(), interval_us, holds_us: interval_us * count, full_at: Mutex::default() }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Spends one.
    ///
    /// # Errors
    /// How long until one is available again.
    pub(super) fn take(&self, key: u128) -> Result<(), Duration> {
        let now = self.now();
        let mut all = lock(&self.full_at);
        let before = all.get(key).unwrap_or(0).max(now);
        let full_at = before + self.interval_us;
        let over = (full_at - now).saturating_sub(self.holds_us);
        if over > 0 {
            // A spent budget stays among the young: it must not be dropped while it is in use.
            all.put(key, before);
            return Err(Duration::from_micros(over));
        }
        all.put(key, full_at);
        Ok(())
    }

    pub(super) fn give_back(&self, key: u128) {
        let now = self.now();
        let mut all = lock(&self.full_at);
        match all.get(key).map(|full_at| full_at.saturating_sub(self.interval_us)) {
            Some(full_at) if full_at > now => all.put(key, full_at),
            _ => all.remove(key),
        }
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.full_at).len()
    }

    pub(super) fn sweep(&self) {
        let now = self.now();
        let mut all = lock(&self.full_at);
        all.young.retain(|_, full_at| *full_at > now);
        all.old.retain(|_, full_at| *full_at > now);
    }
}

/// The networks that accounts have recently signed in from, by the digest of both.
#[derive(Debug, Default)]
pub(super) struct KnownNetworks(Mutex<RecentKeys<()>>);

impl KnownNetworks {
    pub(super) fn contains(&self, key: u128) -> bool {
        lock(&self.0).get(key).is_some()
    }

    pub(super) fn add(&self, key: u128) {
        lock(&self.0).put(key, ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_try_that_is_given_back_was_never_spent() {
        let tries = Tries::per_minute(1);
        for _ in 0..100 {
            tries.take(7).unwrap();
            tries.give_back(7);
        }
        assert_eq!(tries.len(), 0);
        tries.take(7).unwrap();
        assert!(tries.take(7).unwrap_err() <= Duration::from_mins(1));
        tries.take(8).unwrap();
    }

    #[test]
    fn a_spent_budget_is_not_forgotten_while_it_is_asked_for() {
        let tries = Tries::per_hour(1);
        tries.take(0).unwrap();
        for key in 1..=4 * GENERATION_LEN as u128 {
            tries.take(key).unwrap();
            if key.is_multiple_of(1_000) {
                assert!(tries.take(0).is_err(), "{key} others have come");
            }
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_newest_stays() {
        let known = KnownNetworks::default();
        for key in 0..3 * GENERATION_LEN as u128 {
            known.add(key);
        }
        assert!(lock(&known.0).len() <= 2 * GENERATION_LEN);
        assert!(known.contains(3 * GENERATION_LEN as u128 - 1));
        assert!(!known.contains(0));
    }
}
