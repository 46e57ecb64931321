//! The filters of lists, and how a store that matches rows in the program applies them.

use frontrow_domain::{
    id::{ConcertId, ReservationId, UserId},
    outbox::OutboxEvent,
    points::{Debt, DebtStatus},
    sale::{Concert, ConcertStatus, Payment, PaymentStatus, Reservation, ReservationStatus},
    text::{folded, nfc},
    time::Time,
    user::User,
};
use std::collections::HashSet;

/// Selects debts; a field that is none matches all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DebtFilter {
    /// The debtor.
    pub user: Option<UserId>,
    /// The debt's status.
    pub status: Option<DebtStatus>,
}

/// Selects concerts; a field that is none matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConcertFilter {
    /// Part of the artist's name or of the title, in any case.
    pub text: Option<String>,
    /// Part of the venue's name, in any case.
    pub venue: Option<String>,
    /// On or after this date.
    pub from: Option<jiff::civil::Date>,
    /// On or before this date.
    pub to: Option<jiff::civil::Date>,
    /// The status at `now`.
    pub status: Option<ConcertStatus>,
    /// The time for `status`.
    pub now: Time,
}

/// Selects events of the outbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EventFilter {
    /// All that are not delivered.
    #[default]
    All,
    /// Those that will be delivered by themselves.
    Pending,
    /// Dead letters.
    Dead,
}

/// Selects reservations; a field that is none matches all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReservationFilter {
    /// The user.
    pub user: Option<UserId>,
    /// The concert.
    pub concert: Option<ConcertId>,
    /// The reservation's status.
    pub status: Option<ReservationStatus>,
}

/// Selects payments; a field that is none matches all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// The user.
    pub user: Option<UserId>,
    /// The concert of the payment's reservation.
    pub concert: Option<ConcertId>,
    /// The reservation.
    pub reservation: Option<ReservationId>,
    /// The payment's status.
    pub status: Option<PaymentStatus>,
}

/// Whether `text` contains `wanted`, which is [`folded`], in any case and any equivalent Unicode form.
pub(super) fn contains(text: &str, wanted: &str) -> bool {
    folded(text).contains(wanted)
}

/// The text in the form in which starts of texts are compared: ASCII letters in lower case.
pub(super) fn start_key(text: &str) -> String {
    nfc(text).to_ascii_lowercase()
}

/// The end of the texts that start with `start`: every one of them is before it.
pub(super) fn after_start(start: &str) -> String {
    format!("{start}{}", char::MAX)
}

/// The part of a name by which people are called: what follows the first blank or, in a name without blanks, the first
/// character, which is the family name in most Korean names.
#[must_use]
pub fn later_name(name: &str) -> &str {
    let mut rest = name.chars();
    name.split_once(' ').map_or_else(
        || {
            rest.next();
            rest.as_str()
        },
        |(_, later)| later,
    )
}

/// Keeps the first of the users that come more than once, at most `limit`.
pub(super) fn each_once(found: Vec<User>, limit: u32) -> Vec<User> {
    let mut seen = HashSet::new();
    let mut users: Vec<User> = found.into_iter().filter(|user| seen.insert(user.user_id)).collect();
    users.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    users
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

impl EventFilter {
    pub(super) const fn matches(self, row: &OutboxEvent) -> bool {
        match self {
            Self::All => true,
            Self::Pending => row.state.dead_at().is_none(),
            Self::Dead => row.state.dead_at().is_some(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_called_by_the_later_part_of_their_names() {
        for (name, later) in [
            ("김민지", "민지"),
            ("Kim Minji", "Minji"),
            ("Ana de la Cruz", "de la Cruz"),
            ("Cher", "her"),
            ("김", ""),
            ("", ""),
        ] {
            assert_eq!(later_name(name), later);
        }
    }
}
