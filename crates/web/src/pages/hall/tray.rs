//! The seats that a buyer holds, with the clock until the first of the holds ends.

use crate::html::{forms::fresh_key, hall_words::HallWords};
use frontrow_domain::{id::ReservationId, money::Money, sale::ReservationStatus, time::Time};
use frontrow_service::sale::{SeatingOrder, Ticket};

/// What a buyer holds here.
#[derive(Debug, Default)]
pub(super) struct Tray {
    pub(super) held: Vec<HeldSeat>,
    pub(super) total: Money,
    /// When the first of the holds ends.
    pub(super) ends_at: Option<Time>,
    /// Until then, in milliseconds.
    pub(super) left_ms: i64,
}

/// A held seat, with the key of the form that gives it up.
#[derive(Debug)]
pub(super) struct HeldSeat {
    pub(super) reservation_id: ReservationId,
    pub(super) place: String,
    pub(super) mark: String,
    pub(super) style: &'static str,
    pub(super) price: Money,
    pub(super) key: String,
}

impl Tray {
    /// The tray of a buyer with these tickets, of which the held ones are in it.
    pub(super) fn of(
        tickets: &[Ticket],
        order: &SeatingOrder,
        words: &HallWords,
        styles: &[&'static str],
        now: Time,
    ) -> Self {
        let held = tickets.iter().filter(|ticket| ticket.reservation.status() == ReservationStatus::Pending);
        let mut tray = Self::default();
        for ticket in held {
            let reservation = &ticket.reservation;
            let grade = order.seat_of(reservation.seat_id).map(|seat| seat.grade);
            let mark = grade.and_then(|grade| order.grades.get(grade)).map(|grade| grade.mark.clone());
            tray.total = tray.total.checked_add(reservation.price).unwrap_or(tray.total);
            tray.ends_at = Some(tray.ends_at.map_or(reservation.expires_at, |at| at.min(reservation.expires_at)));
            tray.held.push(HeldSeat {
                reservation_id: reservation.reservation_id,
                place: words.place_of(&ticket.place),
                mark: mark.unwrap_or_default(),
                style: grade.and_then(|grade| styles.get(grade)).copied().unwrap_or_default(),
                price: reservation.price,
                key: fresh_key(),
            });
        }
        tray.held.sort_by_key(|seat| seat.reservation_id);
        tray.left_ms = tray.ends_at.map_or(0, |at| at.since(now).millis().max(0));
        tray
    }
}
