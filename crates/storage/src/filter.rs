//! What the filters of the lists mean, for stores that look for text themselves.

use crate::{ConcertFilter, DebtFilter, PaymentFilter, ReservationFilter};
use frontrow_domain::{
    concert::Concert, id::ConcertId, payment::Payment, points::Debt, reservation::Reservation, text::folded,
};

/// Whether `text` contains `wanted`, which is [`folded`], in any case and in any of the forms that Unicode calls equal.
pub(super) fn contains(text: &str, wanted: &str) -> bool {
    folded(text).contains(wanted)
}

impl ConcertFilter {
    /// The same filter as [`ConcertFilter::matches`] needs it.
    #[must_use]
    pub(super) fn folded(&self) -> Self {
        Self { text: self.text.as_deref().map(folded), venue: self.venue.as_deref().map(folded), ..*self }
    }

    /// Whether the concert is one of those asked for. The filter is [`folded`](Self::folded).
    pub(super) fn matches(&self, concert: &Concert) -> bool {
        self.text.as_ref().is_none_or(|text| contains(&concert.artist, text) || contains(&concert.title, text))
            && self.venue.as_ref().is_none_or(|venue| contains(&concert.venue, venue))
            && self.from.is_none_or(|from| concert.concert_date >= from)
            && self.to.is_none_or(|to| concert.concert_date <= to)
            && self.status.is_none_or(|status| concert.status_at(self.now) == status)
    }
}

impl ReservationFilter {
    /// Whether the reservation is one of those asked for.
    pub(super) fn matches(&self, row: &Reservation) -> bool {
        self.user.is_none_or(|user| row.user_id == user)
            && self.concert.is_none_or(|concert| row.concert_id == concert)
            && self.status.is_none_or(|status| row.status == status)
    }
}

impl DebtFilter {
    /// Whether the debt is one of those asked for.
    pub(super) fn matches(&self, row: &Debt) -> bool {
        self.user.is_none_or(|user| row.user_id == user) && self.status.is_none_or(|status| row.status == status)
    }
}

impl PaymentFilter {
    /// Whether the payment, of a reservation in `concert`, is one of those asked for.
    pub(super) fn matches(&self, row: &Payment, concert: Option<ConcertId>) -> bool {
        self.concert.is_none_or(|wanted| concert == Some(wanted))
            && self.user.is_none_or(|user| row.user_id == user)
            && self.reservation.is_none_or(|reservation| row.reservation_id == reservation)
            && self.status.is_none_or(|status| row.status == status)
    }
}
