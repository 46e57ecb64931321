//! One answer to a failing store: it is asked once for all requests that wait for the same read.

use frontrow_storage::StoreError;
use std::time::{Duration, Instant};

/// How the last read of the store failed, if it did. It stands behind the lock that a reading request holds.
#[derive(Debug, Default)]
pub(crate) struct ReadFailure(Option<Failed>);

#[derive(Debug)]
struct Failed {
    began: Instant,
    ended: Instant,
    error: StoreError,
}

impl ReadFailure {
    /// Fails as the last read did, if that began after `asked`, when the request could only wait for it, or ended less
    /// than `again_after` ago.
    ///
    /// # Errors
    /// The error of the last read.
    pub(crate) fn check(&self, asked: Instant, again_after: Duration) -> Result<(), StoreError> {
        match &self.0 {
            Some(last) if last.began >= asked || last.ended.elapsed() < again_after => Err(last.error.clone()),
            _ => Ok(()),
        }
    }

    /// Notes the result of a read.
    pub(crate) fn note<T>(&mut self, began: Instant, read: &Result<T, StoreError>) {
        self.0 = read.as_ref().err().map(|error| Failed { began, ended: Instant::now(), error: error.clone() });
    }
}
