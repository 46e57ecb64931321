//! The filters of lists, for stores that match rows in the program.

use crate::{ConcertFilter, DebtFilter, PaymentFilter, ReservationFilter};
use frontrow_domain::{
    concert::Concert, id::ConcertId, payment::Payment, points::Debt, reservation::Reservation, text::folded,
};

/// Whether `text` contains `wanted`, which is [`folded`], in any case and any equivalent Unicode form.
pub(super) fn contains(text: &str, wanted: &str) -> bool {
    folded(text).contains(wanted)
}

impl ConcertFilter {
    /// Folds the texts, as [`ConcertFilter::matches`] needs.
    #[must_use]
    pub(super) fn folded(&self) -> Self {
        Self { text: self.text.as_deref().map(folded), venue: self.venue.as_deref().map(folded), ..*self }
    }

    /// Whether the concert matches. The filter must be [`folded`](Self::folded).
    pub(super) fn matches(&self, concert: &Concert) -> bool {
        self.text.as_ref().is_none_or(|text| contains(&concert.artist, text) || contains(&concert.title, text))
            && self.venue.as_ref().is_none_or(|venue| contains(&concert.venue, venue))
            && self.from.is_none_or(|from| concert.concert_date >= from)
            && self.to.is_none_or(|to| concert.concert_date <= to)
            && self.status.is_none_or(|status| concert.status_at(self.now) == status)
    }
}

impl ReservationFilter {
    pub(super) fn matches(&self, row: &Reservation) -> bool {
        self.user.is_none_or(|user| row.user_id == user)
            && self.concert.is_none_or(|concert| row.concert_id == concert)
            && self.status.is_none_or(|status| row.status() == status)
    }
}

impl DebtFilter {
    pub(super) fn matches(&self, row: &Debt) -> bool {
        self.user.is_none_or(|user| row.user_id == user) && self.status.is_none_or(|status| row.status == status)
    }
}

impl PaymentFilter {
    /// Whether the payment matches; its reservation is in `concert`.
    pub(super) fn matches(&self, row: &Payment, concert: Option<ConcertId>) -> bool {
        self.concert.is_none_or(|wanted| concert == Some(wanted))
            && self.user.is_none_or(|user| row.user_id == user)
            && self.reservation.is_none_or(|reservation| row.reservation_id == reservation)
            && self.status.is_none_or(|status| row.status == status)
    }
}
