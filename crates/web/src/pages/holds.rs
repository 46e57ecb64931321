//! The seats that a buyer holds, with the clock until the first hold ends: the same before the payment and among what is
//! the buyer's own.

use crate::html::{figures, seat_names::seat_name, shell::Shell};
use askama::Template;
use frontrow_domain::{id::ReservationId, money::Money, sale::ReservationStatus, time::Time};
use frontrow_service::sale::Ticket;

/// The seats that a buyer holds of one concert.
#[derive(Debug)]
pub(super) struct LiveHolds {
    pub(super) seats: Vec<HoldLine>,
    pub(super) total: Money,
    /// When the first hold ends.
    pub(super) ends_at: Time,
    /// When they were read.
    now: Time,
}

/// One held seat.
#[derive(Debug)]
pub(super) struct HoldLine {
    pub(super) reservation_id: ReservationId,
    place: String,
    price: Money,
}

/// The clock and the list of held seats.
#[derive(Template)]
#[template(path = "holds/tray.html")]
pub(super) struct HoldsTray<'a> {
    shell: &'a Shell,
    holds: &'a LiveHolds,
    title: String,
    until: String,
    /// The page that is opened when the time is up.
    page: &'a str,
}

impl LiveHolds {
    /// Those of these tickets that are held at `now`; none if none is.
    pub(super) fn of(shell: &Shell, tickets: &[Ticket], now: Time) -> Option<Self> {
        let is_held = |ticket: &&Ticket| {
            ticket.reservation.status() == ReservationStatus::Pending && ticket.reservation.is_live(now)
        };
        let mut held: Vec<_> = tickets.iter().filter(is_held).collect();
        held.sort_by_key(|ticket| ticket.reservation.seat_number);
        let ends_at = held.iter().map(|ticket| ticket.reservation.expires_at).min()?;
        let seat = |ticket: &&Ticket| HoldLine {
            reservation_id: ticket.reservation.reservation_id,
            place: seat_name(shell, &ticket.place),
            price: ticket.reservation.price,
        };
        let total = total(held.iter().map(|ticket| ticket.reservation.price));
        Some(Self { seats: held.iter().map(seat).collect(), total, ends_at, now })
    }

    /// The tray of these seats on the page `page`, by the clock of the venue's `zone`.
    pub(super) fn tray<'a>(&'a self, shell: &'a Shell, title: String, zone: &str, page: &'a str) -> HoldsTray<'a> {
        HoldsTray { shell, holds: self, title, until: shell.exact_hour(&self.ends_at, zone), page }
    }

    /// Until the first hold ends, in milliseconds.
    fn left_ms(&self) -> i64 {
        self.ends_at.since(self.now).millis().max(0)
    }

    fn clock(&self) -> String {
        figures::clock(self.ends_at.since(self.now))
    }
}

/// The sum of prices.
pub(super) fn total(prices: impl Iterator<Item = Money>) -> Money {
    prices.fold(Money::ZERO, |sum, price| sum.checked_add(price).unwrap_or(Money::MAX))
}
