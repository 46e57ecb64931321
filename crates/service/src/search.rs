//! The search of operators: one text finds anything of the box office.

mod wanted;

use crate::{
    office::{BoxOffice, ServiceError},
    operators::RoomOverview,
    sale::{Receipt, SeatingOrder, Ticket},
};
use frontrow_domain::{
    changes::AuditEntry,
    id::{AuditId, ConcertId, DebtId, EventId, PaymentId, ReservationId, TokenId, UserId},
    line::Token,
    outbox::OutboxEvent,
    points::{Debt, PointEntry},
    refusal::Refusal,
    sale::{Concert, Seat, SeatLabel},
    text::folded,
    user::{Caller, User},
};
use frontrow_storage::{ConcertFilter, Page};
pub use wanted::logged_object;
use wanted::{SeatWanted, WantedKind, WantedThing};

/// How many things of each kind are found at most.
pub const FOUND_MAX: u32 = 20;
/// How many characters of a text are looked for at most: a signed queue token has fewer.
pub const SEARCH_LEN_MAX: usize = 200;
/// How many of the newest accounts are searched for a part inside of the name or the address. The others are found by
/// the start of the address, of the name, or of the part by which people are called.
pub const NEWEST_SEARCHED: u32 = 5_000;

/// What a text stands for, at most [`FOUND_MAX`] of each kind.
#[derive(Debug, Clone, Default)]
pub struct FoundThings {
    pub users: Vec<User>,
    pub reservations: Vec<Ticket>,
    pub payments: Vec<Receipt>,
    pub concerts: Vec<Concert>,
    pub seats: Vec<FoundSeat>,
    /// Top-ups and corrections with the text as their reference.
    pub bookings: Vec<PointEntry>,
    /// Debts with the text as their number or reference.
    pub debts: Vec<Debt>,
    /// Events of the outbox that are not delivered.
    pub events: Vec<OutboxEvent>,
    pub rooms: Vec<RoomOverview>,
    pub audit: Vec<AuditEntry>,
    /// Places in a line.
    pub tokens: Vec<Token>,
}

/// A seat of a concert, and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSeat {
    pub seat: Seat,
    /// The reservation that holds or has bought it.
    pub reservation: Option<ReservationId>,
}

impl FoundThings {
    /// Whether the text stands for nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// How many things were found.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.users.len()
            + self.reservations.len()
            + self.payments.len()
            + self.concerts.len()
            + self.seats.len()
            + self.bookings.len()
            + self.debts.len()
            + self.events.len()
            + self.rooms.len()
            + self.audit.len()
            + self.tokens.len()
    }
}

/// None instead of the refusal that says that there is no such thing.
fn known<T>(found: Result<T, ServiceError>) -> Result<Option<T>, ServiceError> {
    match found {
        Err(ServiceError::Refused(Refusal::NotFound { .. })) => Ok(None),
        found => found.map(Some),
    }
}

fn list_of<T>(one: Option<T>) -> Vec<T> {
    one.into_iter().collect()
}

/// For operators.
impl BoxOffice {
    /// Everything that a text may stand for: a user's id, address or name; the number of a reservation, a payment, a
    /// concert, a room, a debt, an undelivered event or an entry of the audit log; a concert's title or artist; a seat of
    /// a concert; the reference of a top-up or a correction; a queue token. Every look-up goes by an index or has a bound, so the cost does not grow with what was
    /// sold.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn find(&self, text: &str) -> Result<FoundThings, ServiceError> {
        let Some(wanted) = WantedThing::of(text) else { return Ok(FoundThings::default()) };
        let (users, tickets, receipts, concerts, seats, rest) = tokio::try_join!(
            self.users_wanted(&wanted),
            self.ticket_wanted(&wanted),
            self.receipt_wanted(&wanted),
            self.concerts_wanted(&wanted),
            self.seats_wanted(&wanted),
            async {
                tokio::try_join!(
                    self.bookings_wanted(&wanted),
                    self.debts_wanted(&wanted),
                    self.event_wanted(&wanted),
                    self.room_wanted(&wanted),
                    self.entry_wanted(&wanted),
                    self.token_wanted(&wanted),
                )
            },
        )?;
        let (bookings, debts, events, rooms, audit, tokens) = rest;
        // A seat that there is not is not found by its concert.
        let is_there = wanted.seat.is_none() || !seats.is_empty();
        let concerts = if is_there { concerts } else { Vec::new() };
        Ok(FoundThings {
            users,
            reservations: tickets,
            payments: receipts,
            concerts,
            seats,
            bookings,
            debts,
            events,
            rooms,
            audit,
            tokens,
        })
    }

    async fn users_wanted(&self, wanted: &WantedThing) -> Result<Vec<User>, ServiceError> {
        if !wanted.may_be(WantedKind::User) {
            return Ok(Vec::new());
        }
        if let Some(id) = wanted.user {
            return Ok(list_of(self.store.user(id).await?));
        }
        let mut users = self.store.users_starting_with(&wanted.text, FOUND_MAX).await?;
        if users.len() < as_len(FOUND_MAX) {
            let part = folded(&wanted.text);
            let newest = self.store.users(None, Page { after: None::<UserId>, limit: NEWEST_SEARCHED }).await?;
            let has_part = |user: &User| folded(&user.name).contains(&part) || folded(&user.email).contains(&part);
            let known: std::collections::HashSet<UserId> = users.iter().map(|user| user.user_id).collect();
            users.extend(newest.into_iter().filter(|user| !known.contains(&user.user_id) && has_part(user)));
            users.truncate(as_len(FOUND_MAX));
        }
        Ok(users)
    }

    async fn ticket_wanted(&self, wanted: &WantedThing) -> Result<Vec<Ticket>, ServiceError> {
        let Some(id) = wanted.number_of(WantedKind::Reservation, ReservationId::try_from) else {
            return Ok(Vec::new());
        };
        Ok(list_of(known(self.reservation(Caller::System, id).await)?))
    }

    async fn receipt_wanted(&self, wanted: &WantedThing) -> Result<Vec<Receipt>, ServiceError> {
        let Some(id) = wanted.number_of(WantedKind::Payment, PaymentId::try_from) else { return Ok(Vec::new()) };
        Ok(list_of(known(self.payment(Caller::System, id).await)?))
    }

    async fn concerts_wanted(&self, wanted: &WantedThing) -> Result<Vec<Concert>, ServiceError> {
        if !wanted.may_be(WantedKind::Concert) {
            return Ok(Vec::new());
        }
        let mut concerts = Vec::new();
        if let Some(id) = wanted.number_of(WantedKind::Concert, ConcertId::try_from)
            && let Some(concert) = known(self.concert(id).await)?
        {
            concerts.push(concert.seen_at(self.now()));
        }
        if wanted.named.is_none() {
            let filter = ConcertFilter { text: Some(wanted.text.clone()), now: self.now(), ..ConcertFilter::default() };
            let with_text = self.store.concerts(&filter, Page { after: None, limit: FOUND_MAX }).await?;
            let first = concerts.first().map(|concert| concert.concert_id);
            concerts.extend(with_text.into_iter().filter(|concert| Some(concert.concert_id) != first));
            concerts.truncate(as_len(FOUND_MAX));
        }
        Ok(concerts)
    }

    async fn seats_wanted(&self, wanted: &WantedThing) -> Result<Vec<FoundSeat>, ServiceError> {
        let Some(SeatWanted { concert_id, name }) = &wanted.seat else { return Ok(Vec::new()) };
        let mut numbers = match name.as_slice() {
            [number] => number.parse::<i32>().into_iter().collect(),
            _ => Vec::new(),
        };
        if let Some(snapshot) = known(self.hall(*concert_id).await)? {
            numbers.extend(named_seats(&snapshot.order, name));
        }
        numbers.truncate(as_len(FOUND_MAX));
        let mut seats: Vec<FoundSeat> = Vec::new();
        for number in numbers {
            if let Some(seat) = self.store.seat_at(*concert_id, number).await?
                && seats.iter().all(|found| found.seat.seat_id != seat.seat_id)
            {
                seats.push(FoundSeat { reservation: seat.reservation_id(), seat });
            }
        }
        Ok(seats)
    }

    async fn bookings_wanted(&self, wanted: &WantedThing) -> Result<Vec<PointEntry>, ServiceError> {
        let is_named = wanted.named.is_some();
        Ok(if is_named { Vec::new() } else { self.store.bookings_of_reference(&wanted.text, FOUND_MAX).await? })
    }

    async fn debts_wanted(&self, wanted: &WantedThing) -> Result<Vec<Debt>, ServiceError> {
        let mut debts = Vec::new();
        if let Some(id) = wanted.number_of(WantedKind::Debt, DebtId::try_from) {
            debts.extend(self.store.debt(id).await?);
        }
        if wanted.named.is_none() {
            let first = debts.first().map(|debt| debt.debt_id);
            let of_reference = self.store.debts_of_reference(&wanted.text, FOUND_MAX).await?;
            debts.extend(of_reference.into_iter().filter(|debt| Some(debt.debt_id) != first));
            debts.truncate(as_len(FOUND_MAX));
        }
        Ok(debts)
    }

    async fn event_wanted(&self, wanted: &WantedThing) -> Result<Vec<OutboxEvent>, ServiceError> {
        let Some(id) = wanted.number_of(WantedKind::Event, EventId::try_from) else { return Ok(Vec::new()) };
        Ok(list_of(known(self.event(id).await)?))
    }

    async fn room_wanted(&self, wanted: &WantedThing) -> Result<Vec<RoomOverview>, ServiceError> {
        let Some(id) = wanted.number_of(WantedKind::Room, wanted::room_of) else { return Ok(Vec::new()) };
        Ok(list_of(known(self.room(id).await)?))
    }

    async fn entry_wanted(&self, wanted: &WantedThing) -> Result<Vec<AuditEntry>, ServiceError> {
        let Some(id) = wanted.number_of(WantedKind::Audit, AuditId::try_from) else { return Ok(Vec::new()) };
        Ok(list_of(self.audit_entry(id).await?))
    }

    async fn token_wanted(&self, wanted: &WantedThing) -> Result<Vec<Token>, ServiceError> {
        let id: TokenId = match (wanted.place, self.keyring.verify(&wanted.text)) {
            (Some(place), _) => place,
            (None, Ok(signed)) => signed.id,
            (None, Err(_)) => return Ok(Vec::new()),
        };
        Ok(list_of(self.store.token(id).await?))
    }

    /// An entry of the audit log.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn audit_entry(&self, id: AuditId) -> Result<Option<AuditEntry>, ServiceError> {
        let after = Some(AuditId::new(id.get().saturating_add(1)));
        let newest = self.store.audit(Page { after, limit: 1 }).await?.pop();
        Ok(newest.filter(|entry| entry.audit_id == id))
    }
}

fn as_len(rows: u32) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

/// The numbers of the seats whose printed name ends with these words: a number, a row and a number, or all three.
fn named_seats<'a>(order: &'a SeatingOrder, name: &'a [String]) -> impl Iterator<Item = i32> + 'a {
    let seats = order.sections.iter().flat_map(|section| &section.rows).flat_map(|row| &row.seats);
    seats.filter(|seat| is_named(&seat.label, name)).map(|seat| seat.seat_number)
}

fn is_named(label: &SeatLabel, name: &[String]) -> bool {
    let printed = [&label.section, &label.row, &label.number];
    let words: Vec<String> = printed.iter().flat_map(|part| wanted::words(part)).collect();
    !name.is_empty() && words.ends_with(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_named_by_the_end_of_what_is_printed() {
        let label = |section: &str, row: &str, number: &str| SeatLabel {
            section: section.to_owned(),
            row: row.to_owned(),
            number: number.to_owned(),
            grade: "R".to_owned(),
        };
        for (name, section, row, number) in [
            ("12", "Floor", "A", "12"),
            ("a 12", "Floor", "A", "12"),
            ("FLOOR A-12", "Floor", "A", "12"),
            ("1층 가 12", "1층", "가", "12"),
            ("left floor a 12", "Left Floor", "A", "12"),
        ] {
            assert!(is_named(&label(section, row, number), &wanted::words(name)), "{name}");
        }
        for name in ["", "1", "2", "b 12", "a", "floor 12", "x floor a 12"] {
            assert!(!is_named(&label("Floor", "A", "12"), &wanted::words(name)), "{name}");
        }
    }
}
