//! Counts failed sign-ins to operators' accounts. A worker writes one audit line a minute and account: guessing
//! passwords cannot fill the log, and no answer takes longer for an operator's account.

use frontrow_domain::id::UserId;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Failures by account since they were last written. Only operators' accounts are counted.
#[derive(Debug, Default)]
pub(crate) struct FailedSignIns(Mutex<BTreeMap<UserId, u32>>);

impl FailedSignIns {
    /// Adds `count` failures of an account.
    pub(crate) fn note(&self, user: UserId, count: u32) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = counts.entry(user).or_default();
        *failed = failed.saturating_add(count);
    }

    pub(crate) fn take(&self) -> BTreeMap<UserId, u32> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
