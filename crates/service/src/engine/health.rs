//! Whether the store takes commits.

use frontrow_storage::StoreError;
use std::sync::{Mutex, PoisonError};

/// The store's health by the last commit or probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    /// It takes commits.
    #[default]
    Sound,
    /// It is unreachable, full, locked, or read-only.
    Unwritable,
    /// A commit had no answer.
    Unanswered,
    /// Its rows cannot be read as this program writes them.
    Damaged,
}

/// Whether the state has just changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HealthChange {
    /// The state is the same.
    None,
    /// The state has changed.
    Changed,
}

/// The state that all lanes and the probe share. Each change is logged once.
#[derive(Debug, Default)]
pub(super) struct SharedHealth(Mutex<Health>);

impl SharedHealth {
    pub(super) fn get(&self) -> Health {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the result of a transaction or a probe.
    pub(super) fn note(&self, result: Result<&(), &StoreError>) -> HealthChange {
        let Some(health) = Health::after(result) else { return HealthChange::None };
        let before = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), health);
        match result {
            _ if before == health => return HealthChange::None,
            Ok(&()) => tracing::info!("ready again: the database takes commits"),
            Err(error) => tracing::error!(%error, "not ready: the database takes no commits"),
        }
        HealthChange::Changed
    }
}

impl Health {
    /// None if the result says nothing about the store itself.
    const fn after(result: Result<&(), &StoreError>) -> Option<Self> {
        match result {
            Ok(&()) => Some(Self::Sound),
            Err(StoreError::Unavailable(_)) => Some(Self::Unwritable),
            Err(StoreError::Unknown(_)) => Some(Self::Unanswered),
            Err(StoreError::Corrupt(_) | StoreError::Misfit(_)) => Some(Self::Damaged),
            // A bug in one command, or rows locked by others: the database itself works.
            Err(StoreError::Conflict(_) | StoreError::Contended(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Health, HealthChange, SharedHealth};
    use frontrow_storage::StoreError;

    #[test]
    fn an_outage_is_news_once_and_so_is_its_end() {
        let health = SharedHealth::default();
        let away = StoreError::Unavailable("away".to_owned());
        assert_eq!((health.note(Ok(&())), health.get()), (HealthChange::None, Health::Sound));
        assert_eq!((health.note(Err(&away)), health.get()), (HealthChange::Changed, Health::Unwritable));
        assert_eq!((health.note(Err(&away)), health.get()), (HealthChange::None, Health::Unwritable));
        let damaged = StoreError::Corrupt("a page".to_owned());
        assert_eq!((health.note(Err(&damaged)), health.get()), (HealthChange::Changed, Health::Damaged));
        assert_eq!((health.note(Ok(&())), health.get()), (HealthChange::Changed, Health::Sound));
    }

    #[test]
    fn what_says_nothing_of_the_database_changes_nothing() {
        let health = SharedHealth::default();
        let away = StoreError::Unavailable("away".to_owned());
        for harmless in [StoreError::Conflict("a row".to_owned()), StoreError::Contended("a lock".to_owned())] {
            assert_eq!((health.note(Err(&harmless)), health.get()), (HealthChange::None, Health::Sound));
            health.note(Err(&away));
            assert_eq!((health.note(Err(&harmless)), health.get()), (HealthChange::None, Health::Unwritable));
            health.note(Ok(&()));
        }
    }
}
