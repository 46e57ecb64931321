//! The last note of a serving store that the box office works.

use crate::StoreError;
use frontrow_clock::Clock;
use frontrow_domain::{
    outage::PAUSE_MIN,
    time::{Span, Time},
};

/// A note that the box office works. A long time without the next note is an outage even if nothing failed: a disk kept
/// a commit waiting, or the process or its machine stood still.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noted {
    at: Time,
    /// [`Clock::worked`] at that time.
    worked: Span,
}

impl Noted {
    /// A note at `at`; `worked` was read from the clock just before.
    pub(super) const fn new(at: Time, worked: Span) -> Self {
        Self { at, worked }
    }

    /// The time of the note.
    pub(super) const fn at(self) -> Time {
        self.at
    }

    /// The beginning of the silence, if it is long enough at `now` for an outage.
    pub(super) fn silent_since(self, now: Time, clock: &Clock) -> Option<Time> {
        let worked = clock.worked().micros().saturating_sub(self.worked.micros());
        let since = self.at.plus(Span::from_micros(worked));
        (now.since(since) >= PAUSE_MIN).then_some(since)
    }
}

/// The error of the first batch after such a silence.
pub(super) fn outage_pending() -> StoreError {
    StoreError::Unavailable("nothing could be decided for a while: deadlines are put off first".to_owned())
}
