//! Counts failed sign-ins to operators' accounts. A worker writes one audit line a minute and account: guessing
//! passwords cannot fill the log, and no answer takes longer for an operator's account.

use crate::office::{BoxOffice, ServiceError};
use frontrow_domain::{command::Command, id::UserId, user::Caller};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Failures by account since they were last written. Only operators' accounts are counted.
#[derive(Debug, Default)]
pub struct FailedSignIns(Mutex<BTreeMap<UserId, u32>>);

impl FailedSignIns {
    /// Adds `count` failures of an account.
    pub fn note(&self, user: UserId, count: u32) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = counts.entry(user).or_default();
        *failed = failed.saturating_add(count);
    }

    fn take(&self) -> BTreeMap<UserId, u32> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl BoxOffice {
    /// Writes the failures since the last call into the audit log. A line that cannot be written is tried again by the
    /// next call.
    ///
    /// # Errors
    /// The engine did not decide.
    pub async fn write_failed_sign_ins(&self) -> Result<(), ServiceError> {
        let mut result = Ok(());
        for (user_id, count) in self.caches.failed_sign_ins.take() {
            let command = Command::NoteFailedSignIns { user_id, count };
            if let Err(stop) = self.operate(Caller::System, command, None).await {
                // A removed account needs no line.
                if !matches!(stop, ServiceError::Refused(_)) {
                    self.caches.failed_sign_ins.note(user_id, count);
                    result = Err(stop);
                }
            }
        }
        result
    }
}
