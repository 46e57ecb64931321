//! The rows of one table that a batch sees, with a mark on those that changed.

use std::{collections::HashMap, hash::Hash};

use crate::changes::Saves;

/// Whether a row must be written, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Loaded,
    Updated,
    Inserted,
}

/// Rows of one kind, with a mark on those that changed.
#[derive(Debug, Clone)]
pub struct Table<K, V> {
    rows: HashMap<K, (V, Mark)>,
    /// How many times a row was put here or changed.
    pub(super) edits: usize,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: HashMap::new(), edits: 0 }
    }
}

impl<K: Copy + Ord + Hash, V: PartialEq> Table<K, V> {
    /// Puts a row from the store here. A row that is here already stays as it is.
    pub fn load(&mut self, key: K, row: V) {
        self.rows.entry(key).or_insert((row, Mark::Loaded));
    }

    /// Whether the row is loaded.
    #[must_use]
    pub fn contains(&self, key: K) -> bool {
        self.rows.contains_key(&key)
    }

    /// The row, if it is loaded.
    #[must_use]
    pub fn get(&self, key: K) -> Option<&V> {
        self.rows.get(&key).map(|(row, _)| row)
    }

    /// Replaces a loaded row whose change is saved by other means.
    pub(super) fn amend(&mut self, key: K, row: V) {
        if let Some((old, _)) = self.rows.get_mut(&key) {
            *old = row;
        }
    }

    /// Puts a new or changed row here.
    pub fn put(&mut self, key: K, row: V) {
        let Some((old, mark)) = self.rows.get_mut(&key) else {
            self.edits = self.edits.saturating_add(1);
            self.rows.insert(key, (row, Mark::Inserted));
            return;
        };
        if *old != row {
            self.edits = self.edits.saturating_add(1);
            *old = row;
            if *mark == Mark::Loaded {
                *mark = Mark::Updated;
            }
        }
    }

    /// Removes a row. Returns whether the store has it.
    pub(super) fn remove(&mut self, key: K) -> bool {
        self.edits = self.edits.saturating_add(1);
        self.rows.remove(&key).is_some_and(|(_, mark)| mark != Mark::Inserted)
    }

    /// All loaded rows, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &V> {
        self.rows.values().map(|(row, _)| row)
    }

    pub(super) fn into_saves(self) -> Saves<V> {
        let mut dirty: Vec<_> = self.rows.into_iter().filter(|(_, (_, mark))| *mark != Mark::Loaded).collect();
        dirty.sort_unstable_by_key(|(key, _)| *key);
        let mut saves = Saves::default();
        for (_, (row, mark)) in dirty {
            match mark {
                Mark::Inserted => saves.inserted.push(row),
                Mark::Updated | Mark::Loaded => saves.updated.push(row),
            }
        }
        saves
    }
}
