//! Counts wrong passwords and codes for the accounts of operators and viewers. A worker writes one audit line a minute,
//! account and kind: guessing cannot fill the log, and no answer takes longer for an operator's account.

use frontrow_domain::{id::UserId, user::ProofKind};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Failures by account and kind since they were last written. Only accounts of operators and viewers are counted.
#[derive(Debug, Default)]
pub(crate) struct FailedProofs(Mutex<BTreeMap<(UserId, ProofKind), u32>>);

impl FailedProofs {
    /// Adds `count` failures of an account.
    pub(crate) fn note(&self, user: UserId, of: ProofKind, count: u32) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = counts.entry((user, of)).or_default();
        *failed = failed.saturating_add(count);
    }

    pub(crate) fn take(&self) -> BTreeMap<(UserId, ProofKind), u32> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
