//! The answer of the caches to one race: a value that was read before a change must not be cached after it.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// Cached values that count their changes.
///
/// A request calls [`begin_read`](Self::begin_read), reads the store, and gives the result to
/// [`end_read`](Self::end_read), which says whether a change came meanwhile: the result may lack it. The change is
/// counted and the result cached under one lock, so no change falls between the check and the caching.
#[derive(Debug, Default)]
pub(crate) struct Guarded<T>(RwLock<Versioned<T>>);

#[derive(Debug, Default)]
struct Versioned<T> {
    values: T,
    changes: u64,
}

/// A read of the store that has begun.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub(crate) struct ReadBegun {
    changes: u64,
}

/// Whether the cached values changed during a read of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    Unchanged,
    /// They changed: the result of the read may be older than the change.
    Changed,
}

impl<T> Guarded<T> {
    fn reading(&self) -> RwLockReadGuard<'_, Versioned<T>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> RwLockWriteGuard<'_, Versioned<T>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the values.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.reading().values)
    }

    /// To be called before the store is read.
    pub(crate) fn begin_read(&self) -> ReadBegun {
        ReadBegun { changes: self.reading().changes }
    }

    /// To be called with the result of a read: `cache` gets to know whether the result may be older than a change.
    pub(crate) fn end_read<R>(&self, read: ReadBegun, cache: impl FnOnce(&mut T, Meanwhile) -> R) -> R {
        let mut counted = self.writing();
        let meanwhile = if counted.changes == read.changes { Meanwhile::Unchanged } else { Meanwhile::Changed };
        cache(&mut counted.values, meanwhile)
    }

    /// Applies a change. A read that has begun before may not have seen it.
    pub(crate) fn change(&self, change: impl FnOnce(&mut T)) {
        let mut counted = self.writing();
        counted.changes += 1;
        change(&mut counted.values);
    }

    /// Adds values that the store has only just got: no read that has begun before can contradict them.
    pub(crate) fn add(&self, add: impl FnOnce(&mut T)) {
        add(&mut self.writing().values);
    }
}

impl<K: Eq + Hash, V> Guarded<HashMap<K, V>> {
    /// Drops the value of a key that was changed.
    pub(crate) fn remove(&self, key: &K) {
        self.change(|values| {
            values.remove(key);
        });
    }

    /// Drops all values.
    pub(crate) fn clear(&self) {
        self.change(HashMap::clear);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI32, Ordering};

    fn cached(values: &Guarded<Vec<i32>>) -> Vec<i32> {
        values.look(Vec::clone)
    }

    /// Ends a read with this result, as a cache does that keeps only what is certain.
    fn end(values: &Guarded<Vec<i32>>, read: ReadBegun, result: i32) -> Meanwhile {
        values.end_read(read, |values, meanwhile| {
            if meanwhile == Meanwhile::Unchanged {
                values.push(result);
            }
            meanwhile
        })
    }

    #[test]
    fn a_read_that_no_change_overtakes_is_cached() {
        let values = Guarded::default();
        values.change(|values: &mut Vec<i32>| values.push(1));
        let read = values.begin_read();
        assert_eq!(end(&values, read, 2), Meanwhile::Unchanged);
        assert_eq!(cached(&values), [1, 2]);
    }

    #[test]
    fn a_read_that_began_before_a_change_is_not_cached_after_it() {
        let values = Guarded::default();
        let (first, second) = (values.begin_read(), values.begin_read());
        values.change(Vec::clear);
        assert_eq!(end(&values, first, 1), Meanwhile::Changed);
        let third = values.begin_read();
        assert_eq!(end(&values, second, 2), Meanwhile::Changed);
        assert_eq!(end(&values, third, 3), Meanwhile::Unchanged, "a read that was dropped is no change");
        assert_eq!(cached(&values), [3]);
    }

    #[test]
    fn what_is_added_overtakes_no_read() {
        let values = Guarded::default();
        let read = values.begin_read();
        values.add(|values: &mut Vec<i32>| values.push(1));
        assert_eq!(end(&values, read, 2), Meanwhile::Unchanged);
        assert_eq!(cached(&values), [1, 2]);
    }

    #[test]
    fn of_reads_and_changes_at_once_none_leaves_an_old_value() {
        // The store's value, which each change sets before it drops the cached one.
        let (store, values) = (AtomicI32::new(0), Guarded::<Option<i32>>::default());
        let read = || {
            let begun = values.begin_read();
            let found = store.load(Ordering::SeqCst);
            values.end_read(begun, |value, meanwhile| {
                if meanwhile == Meanwhile::Unchanged {
                    *value = Some(found);
                }
            });
        };
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..10_000).for_each(|_| read()));
            }
            scope.spawn(|| {
                for now in 1..=10_000 {
                    store.store(now, Ordering::SeqCst);
                    values.change(|value| *value = None);
                    for _ in 0..3 {
                        let cached = values.look(|value| *value);
                        assert!(cached.is_none_or(|value| value >= now), "{cached:?} after {now}");
                        std::thread::yield_now();
                    }
                }
            });
        });
    }
}
