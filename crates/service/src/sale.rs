//! The sale: concerts and their seats, holds, reservations, payments, refunds.

mod alternatives;
mod season;
mod state;
mod streams;
mod tickets;

pub use crate::caches::seatmap::{
    CompactMap, ConcertGrade, FullMap, GradeBooks, HallNews, HallOverview, HallSection, MapForm, PlacedSeat, SeatGrade,
    SeatMap, SeatMoney, SeatRow, SeatSection, SeatSnapshot, SeatSpot, SeatStates, SeatStream, SeatingOrder,
    SectionGrade, natural,
};
pub use alternatives::{Alternatives, OFFERS_MAX, SeatOffer};
pub use season::{ConcertView, FoundPoster, HallView, Season, ShownConcert};
pub(crate) use season::{LastSeason, LastViews};
pub use state::{SaleState, SaleStateName};
pub use tickets::{Receipt, Ticket};

use crate::{
    office::{BoxOffice, Reply, ServiceError},
    outcome::{Swept, WoundUp},
};
use frontrow_domain::{
    command::{Command, Idempotency},
    id::{ConcertId, PaymentId, ReservationId, SeatId, TokenId},
    refusal::{EntityKind, Refusal},
    sale::{Concert, Payment, Reservation},
    time::Time,
    user::Caller,
};
use frontrow_signing::SignedToken;
use frontrow_storage::{ConcertFilter, ConcertPlace, Page, PaymentFilter, ReservationFilter, SeatCounts};
use std::{sync::Arc, time::Instant};

/// A concert as buyers see it now, and what is left of its seats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConcertOnSale {
    pub concert: Concert,
    /// Seats that are free to hold: a little old, or older while the database cannot count.
    pub seats_left: i64,
    /// Its seats by their state, as old as `seats_left`.
    pub seats: SeatCounts,
    /// Whether it has seats, and none of them is free or held.
    pub sold_out: bool,
    /// What a buyer can do with it.
    pub state: SaleState,
}

impl ConcertOnSale {
    fn of(concert: Concert, seats: SeatCounts, now: Time) -> Self {
        let is_left = seats.available > 0 || seats.held > 0;
        let state = SaleState::of(&concert, seats, now);
        Self { concert, seats_left: seats.available, seats, sold_out: !is_left && seats.sold > 0, state }
    }
}

impl BoxOffice {
    /// Concerts that match, in the order of their starts. Their seats are counted by one query at most.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn concerts(
        &self,
        filter: ConcertFilter,
        page: Page<ConcertPlace>,
    ) -> Result<Vec<ConcertOnSale>, ServiceError> {
        let now = self.now();
        let concerts = self.store.concerts(&ConcertFilter { now, ..filter }, page).await?;
        let ids: Vec<_> = concerts.iter().map(|concert| concert.concert_id).collect();
        let seats = self.caches.seats_left.get(&self.store, &ids).await?;
        let counts = |id: ConcertId| seats.get(&id).copied().unwrap_or_default();
        Ok(concerts.iter().map(|row| ConcertOnSale::of(row.seen_at(now), counts(row.concert_id), now)).collect())
    }

    /// A concert with what is left of its seats.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn concert_on_sale(&self, id: ConcertId) -> Result<ConcertOnSale, ServiceError> {
        let concert = self.concert(id).await?;
        let seats = self.caches.seats_left.get(&self.store, &[id]).await?.remove(&id).unwrap_or_default();
        let now = self.now();
        Ok(ConcertOnSale::of(concert.seen_at(now), seats, now))
    }

    /// A concert with what is left of its seats as last counted: for pages that many open at once, it waits for no count.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn concert_at_a_glance(&self, id: ConcertId) -> Result<ConcertOnSale, ServiceError> {
        let concert = self.concert(id).await?;
        let seats = self.caches.seats_left.glance(&self.store, id).await?;
        let now = self.now();
        Ok(ConcertOnSale::of(concert.seen_at(now), seats, now))
    }

    /// A concert's row, from the cache after the first time.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn concert(&self, id: ConcertId) -> Result<Arc<Concert>, ServiceError> {
        let found = self.caches.concerts.get(&*self.store, id).await?;
        Ok(found.ok_or(Refusal::NotFound { what: EntityKind::Concert })?)
    }

    /// The seat map of a concert.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn seat_map(&self, id: ConcertId, form: MapForm) -> Result<Arc<SeatMap>, ServiceError> {
        self.concert(id).await?;
        Ok(self.caches.seat_maps.get(&*self.store, id, form).await?)
    }

    /// Holds seats (예약생성), all or nothing.
    ///
    /// A hold of one seat that was refused a moment ago is refused from the cache, unless it has an idempotency key:
    /// that key may have a stored answer, and its answer must be stored.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn hold(
        &self,
        caller: Caller,
        token: &SignedToken,
        seat_ids: Vec<SeatId>,
        key: Option<Idempotency>,
    ) -> Result<Reply<Vec<Ticket>>, ServiceError> {
        let asked = Instant::now();
        if key.is_none()
            && let Some(refusal) = self.cached_refusal(caller, token, &seat_ids, asked)
        {
            self.metrics.refused_from_memory.inc();
            return Err(refusal.into());
        }
        let held = self.ask(caller, Command::Hold { token: token.id, seat_ids }, key).await;
        if let Err(ServiceError::Refused(refusal)) = &held {
            self.caches.seen.learn(refusal, token.id, asked);
        }
        let Reply { value, replay } = held?;
        Ok(Reply { value: self.new_tickets(value).await, replay })
    }

    /// The cached refusal of a hold of these seats, if there is one.
    fn cached_refusal(&self, caller: Caller, token: &SignedToken, seats: &[SeatId], asked: Instant) -> Option<Refusal> {
        // Of several seats, one that is not cached may be refused first, for another reason.
        let [seat] = seats else { return None };
        let token = self.token_in_view(token)?;
        self.caches.seen.refusal(caller, &token, *seat, (asked, self.now()), &self.policy)
    }

    /// A reservation (예약조회), for its user or an operator.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if it is not the caller's.
    pub async fn reservation(&self, caller: Caller, id: ReservationId) -> Result<Ticket, ServiceError> {
        let row = self.store.reservation(id).await?.filter(|row| caller.may_act_for(row.user_id));
        let row = row.ok_or(Refusal::NotFound { what: EntityKind::Reservation })?;
        self.ticket(row).await
    }

    /// Reservations that match, newest first.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn reservations(
        &self,
        filter: &ReservationFilter,
        page: Page<ReservationId>,
    ) -> Result<Vec<Ticket>, ServiceError> {
        let rows = self.store.reservations(filter, page).await?;
        self.tickets(rows).await
    }

    /// Gives a held seat up (예약취소). An operator gives a reason for another user's.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn cancel_reservation(
        &self,
        caller: Caller,
        reservation_id: ReservationId,
        reason: Option<String>,
        key: Option<Idempotency>,
    ) -> Result<Reply<Ticket>, ServiceError> {
        let command = Command::CancelReservation { reservation_id, reason };
        let done: Reply<Reservation> = self.ask(caller, command, key).await?;
        Ok(Reply { value: self.new_ticket(done.value).await, replay: done.replay })
    }

    /// Pays for reservations (결제처리), all or nothing. The reservations are confirmed (예약확정) and the token ends
    /// with it.
    ///
    /// # Errors
    /// The refusal that says why not; nothing was charged.
    pub async fn pay(
        &self,
        caller: Caller,
        token: TokenId,
        reservation_ids: Vec<ReservationId>,
        key: Option<Idempotency>,
    ) -> Result<Reply<Vec<Receipt>>, ServiceError> {
        let Reply { value, replay } = self.ask(caller, Command::Pay { token, reservation_ids }, key).await?;
        Ok(Reply { value: self.new_receipts(value).await, replay })
    }

    /// A payment, for its user or an operator.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] if it is not the caller's.
    pub async fn payment(&self, caller: Caller, id: PaymentId) -> Result<Receipt, ServiceError> {
        let row = self.store.payment(id).await?.filter(|row| caller.may_act_for(row.user_id));
        let row = row.ok_or(Refusal::NotFound { what: EntityKind::Payment })?;
        self.receipt(row).await
    }

    /// Payments that match, newest first (결제내역조회).
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn payments(&self, filter: &PaymentFilter, page: Page<PaymentId>) -> Result<Vec<Receipt>, ServiceError> {
        let rows = self.store.payments(filter, page).await?;
        self.receipts(rows).await
    }

    /// Gives a payment back (결제환불). An operator gives a reason for another user's.
    ///
    /// # Errors
    /// The refusal that says why not.
    pub async fn refund(
        &self,
        caller: Caller,
        payment_id: PaymentId,
        reason: Option<String>,
        key: Option<Idempotency>,
    ) -> Result<Reply<Receipt>, ServiceError> {
        let done: Reply<Payment> = self.ask(caller, Command::Refund { payment_id, reason }, key).await?;
        Ok(Reply { value: self.new_receipt(done.value).await, replay: done.replay })
    }

    /// Sweeps holds that are over.
    pub(crate) async fn expire_holds(&self, reservation_ids: Vec<ReservationId>) -> Result<Swept, ServiceError> {
        self.run(Caller::System, Command::ExpireHolds { reservation_ids }).await
    }

    /// Winds a part of a cancelled concert up.
    pub(crate) async fn wind_up(
        &self,
        concert_id: ConcertId,
        seat_ids: Vec<SeatId>,
        payment_ids: Vec<PaymentId>,
    ) -> Result<WoundUp, ServiceError> {
        self.run(Caller::System, Command::WindUp { concert_id, seat_ids, payment_ids }).await
    }

    /// Notes that nothing is left to wind up of a cancelled concert, unless it was changed after `seen`.
    pub(crate) async fn settle_concert(&self, concert_id: ConcertId, seen: Time) -> Result<(), ServiceError> {
        self.run(Caller::System, Command::SettleConcert { concert_id, seen }).await
    }
}
