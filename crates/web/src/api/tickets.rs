//! Reservations and payments with what is printed on the ticket.

use super::shapes::{PaymentShape, ReservationShape};
use frontrow_domain::{
    id::{ConcertId, ReservationId, SeatId},
    sale::SeatPlace,
};
use frontrow_service::sale;
use serde::Serialize;
use utoipa::ToSchema;

/// A reservation with what stands on the ticket.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ticket)]
pub struct TicketShape {
    /// The reservation.
    #[serde(flatten)]
    reservation: ReservationShape,
    /// The concert's title.
    #[schema(example = "Midnight Tide: The First Night")]
    title: String,
    /// The block of the hall.
    section: String,
    /// The row in the section.
    row: String,
    /// The seat's number in the row, as it is printed.
    number: String,
}

impl TicketShape {
    /// The reservation's id.
    pub(super) const fn id(&self) -> ReservationId {
        self.reservation.reservation_id
    }
}

/// A payment with what stands on the ticket.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Receipt)]
pub struct ReceiptShape {
    /// The payment.
    #[serde(flatten)]
    payment: PaymentShape,
    /// The concert.
    concert_id: Option<ConcertId>,
    /// The concert's title.
    #[schema(example = "Midnight Tide: The First Night")]
    title: String,
    /// The seat.
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

impl ReceiptShape {
    /// The payment's id.
    pub(super) const fn id(&self) -> frontrow_domain::id::PaymentId {
        self.payment.payment_id
    }
}

impl From<sale::Ticket> for TicketShape {
    fn from(sale::Ticket { reservation, title, place }: sale::Ticket) -> Self {
        let SeatPlace { section, row, number } = place;
        Self { reservation: reservation.into(), title, section, row, number }
    }
}

impl From<sale::Receipt> for ReceiptShape {
    fn from(receipt: sale::Receipt) -> Self {
        let sale::Receipt { payment, concert_id, title, seat_id, seat_number, place } = receipt;
        let SeatPlace { section, row, number } = place;
        Self { payment: payment.into(), concert_id, title, seat_id, seat_number, section, row, number }
    }
}
