//! A concert that is being made: closed, and without an opening until an operator says when its sale opens.

use super::{Concert, ConcertStatus};
use crate::time::{Span, Time};

impl Concert {
    /// The opening in the row of a concert that has none yet: a microsecond before it starts. It is not to be shown.
    #[must_use]
    pub const fn unknown_opening(starts_at: Time) -> Time {
        starts_at.minus(Span::from_micros(1))
    }

    /// Whether no operator has said yet when the sale opens. Such a concert is not on sale.
    #[must_use]
    pub fn has_no_opening(&self) -> bool {
        self.status != ConcertStatus::Scheduled && self.opens_at == Self::unknown_opening(self.starts_at)
    }

    /// Whether the concert is still being made: it is closed without a reason for the buyers, and its sale was never
    /// open. It goes on sale once it is scheduled, at any time.
    #[must_use]
    pub fn is_being_made(&self, now: Time) -> bool {
        self.status_at(now) == ConcertStatus::Closed && self.status_reason.is_none() && self.opened_at.is_none()
    }
}
