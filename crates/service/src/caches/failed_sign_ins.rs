//! Sign-ins to operators' accounts that failed. They are counted, and a worker writes one line a minute and account into
//! the audit log: guessing passwords is no way to fill it, and no answer takes longer for an operator's account.

use crate::office::{BoxOffice, ServiceError};
use frontrow_domain::{command::Command, id::UserId, user::Caller};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// How many have failed by account, since they were written last. Only accounts of operators stand here.
#[derive(Debug, Default)]
pub struct FailedSignIns(Mutex<BTreeMap<UserId, u32>>);

impl FailedSignIns {
    /// Counts so many.
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
    /// Writes the sign-ins to operators' accounts that failed since the last time into the audit log. What cannot be
    /// written now is tried the next time.
    ///
    /// # Errors
    /// What kept the engine from deciding.
    pub async fn write_failed_sign_ins(&self) -> Result<(), ServiceError> {
        let mut result = Ok(());
        for (user_id, count) in self.caches.failed_sign_ins.take() {
            let command = Command::NoteFailedSignIns { user_id, count };
            if let Err(stop) = self.operate(Caller::System, command, None).await {
                // An account that is not there any more needs no line.
                if !matches!(stop, ServiceError::Refused(_)) {
                    self.caches.failed_sign_ins.note(user_id, count);
                    result = Err(stop);
                }
            }
        }
        result
    }
}
