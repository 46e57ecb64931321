//! Seat names of reservations, for answers. A row has the number of its seat; the name printed on the ticket is joined
//! when it is read.

use crate::office::{BoxOffice, ServiceError};
use frontrow_domain::{
    concert::Concert,
    id::{ConcertId, ReservationId, SeatId},
    seat::{Seat, SeatLabel},
    world::Changes,
};
use frontrow_storage::TicketPlace;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

/// How many reservations are cached.
const KNOWN_MAX: usize = 20_000;
/// How long an answer waits for names that must be read. While reads hang, a committed command must be answered before
/// the request times out, or its answer would say that the outcome is unknown.
const WAITS_MAX: Duration = Duration::from_millis(250);

/// The seats of reservations that this process has just committed, so that answering a hold or a payment reads nothing.
#[derive(Debug, Default)]
pub struct RecentTickets {
    known: RwLock<HashMap<ReservationId, Known>>,
}

#[derive(Debug, Clone)]
struct Known {
    concert_id: ConcertId,
    seat_id: SeatId,
    seat_number: i32,
    label: Arc<SeatLabel>,
}

impl RecentTickets {
    /// Applies a committed batch.
    pub fn publish(&self, changes: &Changes) {
        if changes.reservations.is_empty() {
            return;
        }
        let seats: HashMap<SeatId, &Seat> = changes.seats.iter().map(|seat| (seat.seat_id, seat)).collect();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() > KNOWN_MAX {
            known.clear();
        }
        for row in changes.reservations.iter() {
            if let Some(seat) = seats.get(&row.seat_id) {
                let label = Arc::clone(&seat.label);
                let Seat { concert_id, seat_id, seat_number, .. } = **seat;
                known.insert(row.reservation_id, Known { concert_id, seat_id, seat_number, label });
            }
        }
    }

    fn get(&self, id: ReservationId) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Empties the cache.
    pub fn forget(&self) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Seats by reservation.
pub type Tickets = HashMap<ReservationId, TicketPlace>;

impl BoxOffice {
    /// The seats of reservations as stored now, by one query.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn tickets(&self, reservations: &[ReservationId]) -> Result<Tickets, ServiceError> {
        if reservations.is_empty() {
            return Ok(Tickets::new());
        }
        let rows = self.store.tickets(reservations).await?;
        Ok(rows.into_iter().map(|row| (row.reservation_id, row)).collect())
    }

    /// The seats of reservations that a command has just answered with: from the cache if it was committed here.
    ///
    /// Seats that cannot be read in time are left out: a committed command must be answered as done.
    pub async fn new_tickets(&self, reservations: &[ReservationId]) -> Tickets {
        let mut tickets = Tickets::with_capacity(reservations.len());
        if tokio::time::timeout(WAITS_MAX, self.find_new_tickets(reservations, &mut tickets)).await.is_err() {
            tracing::debug!("an answer does not name its seats: reads take too long");
        }
        tickets
    }

    async fn find_new_tickets(&self, reservations: &[ReservationId], tickets: &mut Tickets) {
        let mut others = Vec::new();
        // A concert that could not be read is not read again.
        let mut concerts: HashMap<ConcertId, Option<Arc<Concert>>> = HashMap::new();
        for id in reservations {
            let Some(Known { concert_id, seat_id, seat_number, label }) = self.caches.tickets.get(*id) else {
                others.push(*id);
                continue;
            };
            let concert = match concerts.entry(concert_id) {
                Entry::Occupied(read) => read.into_mut(),
                Entry::Vacant(unread) => unread.insert(self.concert(concert_id).await.ok()),
            };
            let Some(concert) = concert else { continue };
            let (title, place) = (concert.title.clone(), label.place());
            tickets.insert(*id, TicketPlace { reservation_id: *id, concert_id, title, seat_id, seat_number, place });
        }
        match self.tickets(&others).await {
            Ok(found) => tickets.extend(found),
            Err(stop) => tracing::debug!(?stop, "an answer does not name its seats"),
        }
    }
}
