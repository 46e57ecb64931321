//! When a store that serves last noted that the box office works.

use crate::StoreError;
use frontrow_clock::Clock;
use frontrow_domain::{
    outage::OUTAGE_MIN,
    time::{Span, Time},
};

/// A note that the box office works. Time that passes without the next one is an outage, though nothing failed: a disk
/// kept a commit waiting, or the process or its machine stood still.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noted {
    at: Time,
    /// What [`Clock::worked`] said then.
    worked: Span,
}

impl Noted {
    /// At `at`, when `worked` had been read from the clock just before.
    pub(super) const fn new(at: Time, worked: Span) -> Self {
        Self { at, worked }
    }

    /// When it was noted.
    pub(super) const fn at(self) -> Time {
        self.at
    }

    /// Since when nothing has been decided, if that is an outage at `now`.
    pub(super) fn silent_since(self, now: Time, clock: &Clock) -> Option<Time> {
        let worked = clock.worked().micros().saturating_sub(self.worked.micros());
        let since = self.at.plus(Span::from_micros(worked));
        (now.since(since) >= OUTAGE_MIN).then_some(since)
    }
}

/// What a batch is told that comes first after such a silence.
pub(super) fn silent_too_long() -> StoreError {
    StoreError::Unavailable("nothing could be decided for a while: deadlines are put off first".to_owned())
}
