//! A concert that is being made: closed, and without an opening until an operator says when its sale opens.

use super::{Concert, ConcertStatus};
use crate::time::{Span, Time};

impl Concert {
    /// The opening in the row of a concert that has none yet: a microsecond before it starts, which no clock shows.
    #[must_use]
    pub const fn unknown_opening(starts_at: Time) -> Time {
        starts_at.minus(Span::from_micros(1))
    }

    /// Whether no operator has said yet when the sale opens. Such a concert is not on sale.
    #[must_use]
    pub fn has_no_opening(&self) -> bool {
        let is_stopped = matches!(self.status, ConcertStatus::Closed | ConcertStatus::Postponed);
        is_stopped && self.opens_at == Self::unknown_opening(self.starts_at)
    }
}
