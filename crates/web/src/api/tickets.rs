//! Adds the printed data of tickets to reservations and payments.

use crate::edge::state::SharedState;
use frontrow_domain::{
    id::{ConcertId, ReservationId, SeatId},
    payment::Payment,
    reservation::Reservation,
    seat::SeatPlace,
};
use frontrow_service::{caches::tickets::Tickets, office::ServiceError};
use frontrow_storage::TicketPlace;
use serde::Serialize;
use utoipa::ToSchema;

/// A reservation with what stands on the ticket.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ticket {
    /// The reservation.
    #[serde(flatten)]
    reservation: Reservation,
    /// What the concert is called.
    #[schema(example = "Midnight Tide: The First Night")]
    title: String,
    /// The block of the hall.
    section: String,
    /// The row in the section.
    row: String,
    /// The seat's number in the row, as it is printed.
    number: String,
}

impl Ticket {
    /// Which reservation.
    pub(super) const fn id(&self) -> ReservationId {
        self.reservation.reservation_id
    }
}

/// A payment with what stands on the ticket.
#[derive(Debug, Serialize, ToSchema)]
pub struct Receipt {
    /// The payment.
    #[serde(flatten)]
    payment: Payment,
    /// For which concert.
    concert_id: Option<ConcertId>,
    /// What the concert is called.
    #[schema(example = "Midnight Tide: The First Night")]
    title: String,
    /// For which seat.
    seat_id: Option<SeatId>,
    /// The seat's place in the order of the concert's seats.
    seat_number: Option<i32>,
    /// The block of the hall.
    section: String,
    /// The row in the section.
    row: String,
    /// The seat's number in the row, as it is printed.
    number: String,
}

impl Receipt {
    /// Which payment.
    pub(super) const fn id(&self) -> frontrow_domain::id::PaymentId {
        self.payment.payment_id
    }
}

/// Whether the rows were just committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    /// By the command that is being answered.
    Now,
    /// Earlier.
    Before,
}

async fn places(app: &SharedState, ids: &[ReservationId], made: Made) -> Result<Tickets, ServiceError> {
    match made {
        Made::Now => Ok(app.office.new_tickets(ids).await),
        Made::Before => app.office.tickets(ids).await,
    }
}

/// The printed data of a ticket: the concert's title and the seat. A stored answer may outlive the row that it names.
fn words(place: Option<TicketPlace>, number: impl FnOnce() -> String) -> (String, SeatPlace) {
    place.map_or_else(
        || (String::new(), SeatPlace { section: String::new(), row: String::new(), number: number() }),
        |TicketPlace { title, place, .. }| (title, place),
    )
}

/// Reservations with the printed data of their tickets.
pub(super) async fn tickets(
    app: &SharedState,
    rows: Vec<Reservation>,
    made: Made,
) -> Result<Vec<Ticket>, ServiceError> {
    let ids: Vec<_> = rows.iter().map(|row| row.reservation_id).collect();
    let mut places = places(app, &ids, made).await?;
    let ticket = |reservation: Reservation| {
        let place = places.remove(&reservation.reservation_id);
        let (title, place) = words(place, || reservation.seat_number.to_string());
        let SeatPlace { section, row, number } = place;
        Ticket { reservation, title, section, row, number }
    };
    Ok(rows.into_iter().map(ticket).collect())
}

/// The same of one.
pub(super) async fn ticket(app: &SharedState, row: Reservation, made: Made) -> Result<Ticket, ServiceError> {
    tickets(app, vec![row], made).await?.pop().ok_or(frontrow_service::office::UNEXPECTED)
}

/// Payments with the printed data of their tickets.
pub(super) async fn receipts(app: &SharedState, rows: Vec<Payment>, made: Made) -> Result<Vec<Receipt>, ServiceError> {
    let ids: Vec<_> = rows.iter().map(|row| row.reservation_id).collect();
    let mut places = places(app, &ids, made).await?;
    let receipt = |payment: Payment| {
        let place = places.remove(&payment.reservation_id);
        let concert_id = place.as_ref().map(|place| place.concert_id);
        let (seat_id, seat_number) = place.as_ref().map(|place| (place.seat_id, place.seat_number)).unzip();
        let (title, SeatPlace { section, row, number }) = words(place, String::new);
        Receipt { payment, concert_id, title, seat_id, seat_number, section, row, number }
    };
    Ok(rows.into_iter().map(receipt).collect())
}

/// The same of one.
pub(super) async fn receipt(app: &SharedState, row: Payment, made: Made) -> Result<Receipt, ServiceError> {
    receipts(app, vec![row], made).await?.pop().ok_or(frontrow_service::office::UNEXPECTED)
}
