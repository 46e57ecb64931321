//! Reservations and payments with what is printed on the ticket. A row has the number of its seat; the concert's title
//! and the seat's name are joined when it is read.

use crate::{
    caches::tickets::KnownSeat,
    office::{BoxOffice, ServiceError},
};
use frontrow_domain::{
    id::{ConcertId, ReservationId, SeatId},
    sale::{Concert, Payment, Reservation, SeatPlace},
};
use frontrow_storage::TicketPlace;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

/// How long an answer waits for names that must be read. While reads hang, a committed command must be answered before
/// the request times out, or its answer would say that the outcome is unknown.
const WAITS_MAX: Duration = Duration::from_millis(250);

/// A reservation with what is printed on its ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub reservation: Reservation,
    /// The concert's title; empty if it could not be read.
    pub title: String,
    pub place: SeatPlace,
}

/// A payment with what is printed on its ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub payment: Payment,
    /// None, as the other fields of the ticket, if it could not be read.
    pub concert_id: Option<ConcertId>,
    pub title: String,
    pub seat_id: Option<SeatId>,
    pub seat_number: Option<i32>,
    pub place: SeatPlace,
}

/// Seats by reservation.
type PlacesByReservation = HashMap<ReservationId, TicketPlace>;

/// The text of a ticket. A stored answer may outlive the row that it names.
fn words(place: Option<TicketPlace>, number: impl FnOnce() -> String) -> (String, SeatPlace) {
    place.map_or_else(
        || (String::new(), SeatPlace { section: String::new(), row: String::new(), number: number() }),
        |TicketPlace { title, place, .. }| (title, place),
    )
}

fn ticket_of(reservation: Reservation, places: &mut PlacesByReservation) -> Ticket {
    let place = places.remove(&reservation.reservation_id);
    let (title, place) = words(place, || reservation.seat_number.to_string());
    Ticket { reservation, title, place }
}

fn receipt_of(payment: Payment, places: &mut PlacesByReservation) -> Receipt {
    let place = places.remove(&payment.reservation_id);
    let concert_id = place.as_ref().map(|place| place.concert_id);
    let (seat_id, seat_number) = place.as_ref().map(|place| (place.seat_id, place.seat_number)).unzip();
    let (title, place) = words(place, String::new);
    Receipt { payment, concert_id, title, seat_id, seat_number, place }
}

impl BoxOffice {
    pub(super) async fn tickets(&self, rows: Vec<Reservation>) -> Result<Vec<Ticket>, ServiceError> {
        let ids: Vec<_> = rows.iter().map(|row| row.reservation_id).collect();
        let mut places = self.places(&ids).await?;
        Ok(rows.into_iter().map(|row| ticket_of(row, &mut places)).collect())
    }

    pub(super) async fn ticket(&self, row: Reservation) -> Result<Ticket, ServiceError> {
        let mut places = self.places(&[row.reservation_id]).await?;
        Ok(ticket_of(row, &mut places))
    }

    pub(super) async fn receipts(&self, rows: Vec<Payment>) -> Result<Vec<Receipt>, ServiceError> {
        let ids: Vec<_> = rows.iter().map(|row| row.reservation_id).collect();
        let mut places = self.places(&ids).await?;
        Ok(rows.into_iter().map(|row| receipt_of(row, &mut places)).collect())
    }

    pub(super) async fn receipt(&self, row: Payment) -> Result<Receipt, ServiceError> {
        let mut places = self.places(&[row.reservation_id]).await?;
        Ok(receipt_of(row, &mut places))
    }

    /// The tickets of a command that is being answered: see [`BoxOffice::new_places`].
    pub(super) async fn new_tickets(&self, rows: Vec<Reservation>) -> Vec<Ticket> {
        let ids: Vec<_> = rows.iter().map(|row| row.reservation_id).collect();
        let mut places = self.new_places(&ids).await;
        rows.into_iter().map(|row| ticket_of(row, &mut places)).collect()
    }

    pub(super) async fn new_ticket(&self, row: Reservation) -> Ticket {
        let mut places = self.new_places(&[row.reservation_id]).await;
        ticket_of(row, &mut places)
    }

    pub(super) async fn new_receipts(&self, rows: Vec<Payment>) -> Vec<Receipt> {
        let ids: Vec<_> = rows.iter().map(|row| row.reservation_id).collect();
        let mut places = self.new_places(&ids).await;
        rows.into_iter().map(|row| receipt_of(row, &mut places)).collect()
    }

    pub(super) async fn new_receipt(&self, row: Payment) -> Receipt {
        let mut places = self.new_places(&[row.reservation_id]).await;
        receipt_of(row, &mut places)
    }

    /// The seats of reservations as stored now, by one query.
    async fn places(&self, reservations: &[ReservationId]) -> Result<PlacesByReservation, ServiceError> {
        if reservations.is_empty() {
            return Ok(PlacesByReservation::new());
        }
        let rows = self.store.tickets(reservations).await?;
        Ok(rows.into_iter().map(|row| (row.reservation_id, row)).collect())
    }

    /// The seats of reservations that a command has just answered with: from the cache if it was committed here.
    ///
    /// Seats that cannot be read in time are left out: a committed command must be answered as done.
    async fn new_places(&self, reservations: &[ReservationId]) -> PlacesByReservation {
        let mut places = PlacesByReservation::with_capacity(reservations.len());
        if tokio::time::timeout(WAITS_MAX, self.find_new_places(reservations, &mut places)).await.is_err() {
            tracing::debug!("an answer does not name its seats: reads take too long");
        }
        places
    }

    async fn find_new_places(&self, reservations: &[ReservationId], places: &mut PlacesByReservation) {
        let mut others = Vec::new();
        // A concert that could not be read is not read again.
        let mut concerts: HashMap<ConcertId, Option<Arc<Concert>>> = HashMap::new();
        for id in reservations {
            let Some(KnownSeat { concert_id, seat_id, seat_number, label }) = self.caches.tickets.get(*id) else {
                others.push(*id);
                continue;
            };
            let concert = match concerts.entry(concert_id) {
                Entry::Occupied(read) => read.into_mut(),
                Entry::Vacant(unread) => unread.insert(self.concert(concert_id).await.ok()),
            };
            let Some(concert) = concert else { continue };
            let (title, place) = (concert.title.clone(), label.place());
            places.insert(*id, TicketPlace { reservation_id: *id, concert_id, title, seat_id, seat_number, place });
        }
        match self.places(&others).await {
            Ok(found) => places.extend(found),
            Err(stop) => tracing::debug!(?stop, "an answer does not name its seats"),
        }
    }
}
