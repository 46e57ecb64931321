//! A store without persistence: the domain's model behind a lock, for tests and trials.

use crate::{
    Committed, ConcertFilter, ConcertPlace, ConcertProfile, DebtFilter, Decide, DoorLine, EVENTS_COUNTED_MAX,
    EventCounts, EventFilter, GradePrices, Life, Line, Page, PaymentFilter, Remnant, ReservationFilter, RoomSummary,
    RoomTally, SavedLineRecord, SeatCounts, Store, StoreError, TicketPlace,
    filter::{contains, each_once, later_name, start_key},
    noted::{Noted, outage_pending},
};
use async_trait::async_trait;
use frontrow_clock::Clock;
use frontrow_domain::{
    changes::AuditEntry,
    command::Request,
    footprint::Footprint,
    id::{
        AuditId, ConcertId, DebtId, EventId, FeedNumber, HistoryId, PaymentId, Position, ReservationId, RoomId,
        TokenId, UserId,
    },
    line::{Draw, LaneGuest, LaneKind, LineBlock, Room, Token, TokenStatus, is_live_token},
    model::Model,
    outage::{Outage, Outages},
    outbox::{Consumer, OutboxEvent},
    points::{Debt, Point, PointEntry, PointKind},
    policy::Policy,
    retention::Leftover,
    sale::{Concert, ConcertStatus, Payment, Poster, Reservation, ReservationStatus, Seat, SeatStatus},
    time::Time,
    user::{AccountLink, LinkKind, OperatorPresence, SecondFactor, Session, User},
};
use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A box office that lives as long as its process.
#[derive(Debug)]
pub struct MemoryStore {
    clock: Clock,
    policy: Policy,
    state: Mutex<MemoryState>,
}

#[derive(Debug)]
struct MemoryState {
    model: Model,
    high_water: Time,
    /// The last note that the box office works; none before it has served.
    noted: Option<Noted>,
    line_records: BTreeMap<RoomId, SavedLineRecord>,
}

impl MemoryStore {
    /// Makes a box office with only a house room for `house_max_active` active tokens.
    #[must_use]
    pub fn new(clock: Clock, policy: Policy, house_max_active: i64) -> Self {
        let clock = clock.steady();
        let now = clock.now();
        let model = Model::new(house_max_active, now);
        let state = Mutex::new(MemoryState { model, high_water: now, noted: None, line_records: BTreeMap::new() });
        Self { clock, policy, state }
    }

    fn state(&self) -> MutexGuard<'_, MemoryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryState {
    fn now(&mut self, clock: &Clock) -> Time {
        self.high_water = self.high_water.max(clock.now());
        self.high_water
    }

    /// The time to decide a batch at. Fails after a silence that is an outage.
    fn begin(&mut self, clock: &Clock) -> Result<Noted, StoreError> {
        let worked = clock.worked();
        let now = self.now(clock);
        match self.noted.and_then(|noted| noted.silent_since(now, clock)) {
            Some(_) => Err(outage_pending()),
            None => Ok(Noted::new(now, worked)),
        }
    }

    fn forget_line_records(&mut self, before: Time, limit: usize) -> usize {
        let old = self.line_records.values().filter(|record| record.saved_at < before);
        let old: Vec<_> = old.map(|record| record.room_id).take(limit).collect();
        old.iter().filter(|room| self.line_records.remove(*room).is_some()).count()
    }

    fn note(&mut self, noted: Noted) {
        self.noted = self.noted.map(|_| noted);
    }
}

fn limit(rows: u32) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}

/// A page of a list that is newest first, from rows in ascending order.
fn newest<'a, K: Ord + Copy, V: Clone + 'a>(
    rows: impl DoubleEndedIterator<Item = &'a V>,
    key: impl Fn(&V) -> K,
    page: Page<K>,
    matches: impl Fn(&V) -> bool,
) -> Vec<V> {
    rows.rev()
        .filter(|row| page.after.is_none_or(|after| key(row) < after) && matches(row))
        .take(limit(page.limit))
        .cloned()
        .collect()
}

#[async_trait]
impl Store for MemoryStore {
    async fn transact(&self, batch: Arc<[Request]>, decide: Decide) -> Result<Committed, StoreError> {
        let mut state = self.state();
        let begun = state.begin(&self.clock)?;
        let mut world = state.model.load(begun.at(), self.policy, &Footprint::of(&batch));
        let answers = decide(&mut world, &batch);
        let changes = world.into_changes();
        if !changes.is_empty() {
            state.model.save(&changes);
            state.note(begun);
        }
        Ok(Committed { answers, changes })
    }

    async fn now(&self) -> Result<Time, StoreError> {
        Ok(self.state().now(&self.clock))
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        let begun = state.begin(&self.clock)?;
        state.note(begun);
        Ok(())
    }

    async fn credentials(&self, email: &str) -> Result<Option<(User, String)>, StoreError> {
        let model = &self.state().model;
        let user = model.emails.get(email).and_then(|id| model.users.get(id));
        Ok(user.and_then(|user| Some((user.clone(), model.passwords.get(&user.user_id)?.clone()))))
    }

    async fn session(&self, secret_hash: [u8; 32]) -> Result<Option<Session>, StoreError> {
        Ok(self.state().model.sessions.get(&secret_hash).copied())
    }

    async fn sessions(&self, user: UserId, limit: u32) -> Result<Vec<Session>, StoreError> {
        let state = self.state();
        let mut sessions: Vec<_> = state.model.sessions.values().filter(|row| row.user_id == user).copied().collect();
        sessions.sort_by_key(|session| std::cmp::Reverse(session.created_at));
        sessions.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(sessions)
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(self.state().model.users.get(&id).cloned())
    }

    async fn account_link(&self, user: UserId, kind: LinkKind) -> Result<Option<AccountLink>, StoreError> {
        Ok(self.state().model.links.get(&(user, kind)).copied())
    }

    async fn second_factor(&self, user: UserId) -> Result<Option<SecondFactor>, StoreError> {
        Ok(self.state().model.factors.get(&user).cloned())
    }

    async fn line_block(&self, user: UserId, room: RoomId) -> Result<Option<LineBlock>, StoreError> {
        Ok(self.state().model.blocks.get(&(user, room)).cloned())
    }

    async fn line_blocks(&self, room: RoomId, page: Page<UserId>) -> Result<Vec<LineBlock>, StoreError> {
        let is_wanted = |row: &&LineBlock| row.room_id == room && page.after.is_none_or(|after| row.user_id > after);
        Ok(self.state().model.blocks.values().filter(is_wanted).take(limit(page.limit)).cloned().collect())
    }

    async fn line_blocks_of(&self, user: UserId, most: u32) -> Result<Vec<LineBlock>, StoreError> {
        let blocks = &self.state().model.blocks;
        Ok(blocks.values().filter(|row| row.user_id == user).take(limit(most)).cloned().collect())
    }

    async fn lanes_of_guest(&self, user: UserId, room: RoomId) -> Result<Vec<LaneGuest>, StoreError> {
        let guests = &self.state().model.guests;
        Ok(LaneKind::ALL.iter().filter_map(|kind| guests.get(&(user, room.lane(*kind))).copied()).collect())
    }

    async fn lane_guests(&self, lane: RoomId, page: Page<UserId>) -> Result<Vec<LaneGuest>, StoreError> {
        let is_wanted = |row: &&LaneGuest| row.room_id == lane && page.after.is_none_or(|after| row.user_id > after);
        Ok(self.state().model.guests.values().filter(is_wanted).take(limit(page.limit)).copied().collect())
    }

    async fn operators(&self) -> Result<OperatorPresence, StoreError> {
        Ok(self.state().model.operators())
    }

    async fn users(&self, text: Option<&str>, page: Page<UserId>) -> Result<Vec<User>, StoreError> {
        let wanted = text.map(frontrow_domain::text::folded);
        Ok(newest(
            self.state().model.users.values(),
            |user| user.user_id,
            page,
            |user| wanted.as_ref().is_none_or(|text| contains(&user.name, text) || contains(&user.email, text)),
        ))
    }

    async fn users_starting_with(&self, start: &str, limit: u32) -> Result<Vec<User>, StoreError> {
        let start = start_key(start);
        let model = &self.state().model;
        let of = |part: for<'a> fn(&'a User) -> &'a str| {
            let keys = model.users.values().map(|user| (start_key(part(user)), user));
            let mut found: Vec<_> = keys.filter(|(key, _)| key.starts_with(&start)).collect();
            found.sort_by(|(one, first), (other, second)| (one, first.user_id).cmp(&(other, second.user_id)));
            found.into_iter().map(|(_, user)| user.clone()).collect::<Vec<_>>()
        };
        let parts = [of(|user| &user.email), of(|user| &user.name), of(|user| later_name(&user.name))];
        Ok(each_once(parts.concat(), limit))
    }

    async fn rooms(&self) -> Result<Vec<Room>, StoreError> {
        Ok(self.state().model.rooms.values().cloned().collect())
    }

    async fn some_rooms(&self, page: Page<RoomId>) -> Result<Vec<Room>, StoreError> {
        let model = &self.state().model;
        let rooms = model.rooms.values().filter(|room| page.after.is_none_or(|after| room.room_id > after));
        Ok(rooms.take(limit(page.limit)).cloned().collect())
    }

    async fn room_tally(&self, room: RoomId) -> Result<Option<RoomTally>, StoreError> {
        let state = self.state();
        let counts = state.model.counts.get(&room).copied().unwrap_or_default();
        Ok(state.model.rooms.get(&room).map(|room| RoomTally { room: room.clone(), counts }))
    }

    async fn token(&self, id: TokenId) -> Result<Option<Token>, StoreError> {
        Ok(self.state().model.tokens.get(&id).copied())
    }

    async fn live_tokens(&self, user: UserId) -> Result<Vec<Token>, StoreError> {
        let live = |token: &&Token| token.user_id == user && is_live_token(token);
        Ok(self.state().model.tokens.values().filter(live).copied().collect())
    }

    async fn waiting_tokens(&self, room: RoomId, page: Page<Position>) -> Result<Vec<Token>, StoreError> {
        let model = &self.state().model;
        let wanted = |token: &&Token| {
            token.id.room_id == room
                && token.status() == TokenStatus::Waiting
                && page.after.is_none_or(|after| token.id.position > after)
        };
        let mut waiting: Vec<_> = model.tokens.values().filter(wanted).copied().collect();
        waiting.sort_by_key(|token| token.id);
        waiting.truncate(limit(page.limit));
        Ok(waiting)
    }

    async fn unassigned_positions(
        &self,
        room: RoomId,
        after: Position,
        to: Position,
    ) -> Result<Vec<Position>, StoreError> {
        let tokens = &self.state().model.tokens;
        let is_unused = |position: &Position| !tokens.contains_key(&TokenId { room_id: room, position: *position });
        Ok((after.0 + 1..=to.0).map(Position).filter(is_unused).collect())
    }

    async fn tokens_up_to(&self, room: RoomId, to: Position, page: Page<Position>) -> Result<Vec<Token>, StoreError> {
        let id = |position| TokenId { room_id: room, position };
        let after = page.after.unwrap_or_default();
        if after >= to {
            return Ok(Vec::new());
        }
        let tokens = &self.state().model.tokens;
        let found = tokens.range(id(Position(after.0 + 1))..=id(to)).map(|(_, token)| *token);
        Ok(found.take(page.limit as usize).collect())
    }

    async fn draw(&self, room: RoomId) -> Result<Option<Draw>, StoreError> {
        Ok(self.state().model.draws.get(&room).cloned())
    }

    async fn line(&self, room: RoomId) -> Result<Option<Line>, StoreError> {
        let mut state = self.state();
        let now = state.now(&self.clock);
        let model = &state.model;
        let Some(row) = model.rooms.get(&room) else { return Ok(None) };
        let tokens = || model.tokens.values().filter(|token| token.id.room_id == room);
        let waiting = tokens().filter(|token| token.status() == TokenStatus::Waiting);
        let others = tokens().filter(|token| is_live_token(token) && token.status() != TokenStatus::Waiting);
        Ok(Some(Line {
            room: row.clone(),
            highest: model.highest.get(&room).copied().unwrap_or(Position(0)),
            waiting: waiting.map(|token| token.id.position).collect(),
            in_flight: Vec::new(),
            others: others.copied().collect(),
            now,
        }))
    }

    async fn standings(&self) -> Result<Vec<RoomSummary>, StoreError> {
        let mut state = self.state();
        let now = state.now(&self.clock);
        let model = &state.model;
        let busy: HashSet<RoomId> =
            model.tokens.values().filter(|token| is_live_token(token)).map(|token| token.id.room_id).collect();
        let standing = |room: &Room| RoomSummary {
            room: room.clone(),
            highest: model.highest.get(&room.room_id).copied().unwrap_or(Position(0)),
            life: if busy.contains(&room.room_id) { Life::Live } else { Life::Empty },
            now,
        };
        Ok(model.rooms.values().map(standing).collect())
    }

    async fn concerts(&self, filter: &ConcertFilter, page: Page<ConcertPlace>) -> Result<Vec<Concert>, StoreError> {
        let wanted = filter.folded();
        let beyond = |row: &&Concert| page.after.is_none_or(|after| ConcertPlace::of(row) > after);
        let model = &self.state().model;
        let rows = model.concerts.values().filter(beyond).filter(|row| wanted.matches(row));
        let mut rows: Vec<_> = rows.cloned().collect();
        rows.sort_by_key(ConcertPlace::of);
        rows.truncate(limit(page.limit));
        Ok(rows)
    }

    async fn concert(&self, id: ConcertId) -> Result<Option<Concert>, StoreError> {
        Ok(self.state().model.concerts.get(&id).cloned())
    }

    async fn profiles(&self, concerts: &[ConcertId]) -> Result<Vec<ConcertProfile>, StoreError> {
        let model = &self.state().model;
        let details = concerts.iter().filter_map(|id| model.details.get(id).cloned()).collect();
        let posters = concerts.iter().filter_map(|id| Some((*id, model.posters.get(id)?.mark))).collect();
        let mut grades: BTreeMap<(ConcertId, &str), GradePrices> = BTreeMap::new();
        let shown = |seat: &&Seat| concerts.contains(&seat.concert_id) && seat.status() != SeatStatus::Blocked;
        for seat in model.seats.values().filter(shown) {
            let grade = seat.label.grade.as_str();
            let new = || GradePrices { grade: grade.to_owned(), lowest: seat.price, highest: seat.price };
            let prices = grades.entry((seat.concert_id, grade)).or_insert_with(new);
            (prices.lowest, prices.highest) = (prices.lowest.min(seat.price), prices.highest.max(seat.price));
        }
        let grades = grades.into_iter().map(|((id, _), prices)| (id, prices)).collect();
        Ok(ConcertProfile::of(concerts, details, posters, grades))
    }

    async fn poster(&self, concert: ConcertId) -> Result<Option<Poster>, StoreError> {
        Ok(self.state().model.posters.get(&concert).cloned())
    }

    async fn seats(&self, concert: ConcertId) -> Result<Vec<Seat>, StoreError> {
        let model = &self.state().model;
        let mut seats: Vec<_> = model.seats.values().filter(|seat| seat.concert_id == concert).cloned().collect();
        seats.sort_by_key(|seat| seat.seat_number);
        Ok(seats)
    }

    async fn seat_at(&self, concert: ConcertId, seat_number: i32) -> Result<Option<Seat>, StoreError> {
        let model = &self.state().model;
        let is_it = |seat: &&Seat| seat.concert_id == concert && seat.seat_number == seat_number;
        Ok(model.seats.values().find(is_it).cloned())
    }

    async fn seat_counts_of(&self, concerts: &[ConcertId]) -> Result<Vec<(ConcertId, SeatCounts)>, StoreError> {
        let model = &self.state().model;
        let seats = model.seats.values().filter(|seat| concerts.contains(&seat.concert_id));
        Ok(SeatCounts::of(seats.map(|seat| (seat.concert_id, seat.status(), 1))))
    }

    async fn concerts_to_wind_up(&self, page: Page<ConcertId>) -> Result<Vec<Concert>, StoreError> {
        let model = &self.state().model;
        let is_left = |row: &&Concert| row.status == ConcertStatus::Cancelled && row.wound_up_at.is_none();
        let rows = model.concerts.values().filter(|row| Some(row.concert_id) > page.after);
        Ok(rows.filter(is_left).take(limit(page.limit)).cloned().collect())
    }

    async fn remnants(&self, concert: &Concert, after: i32, rows: u32) -> Result<Vec<Remnant>, StoreError> {
        let model = &self.state().model;
        let mut left: Vec<_> = model
            .seats
            .values()
            .filter(|seat| seat.concert_id == concert.concert_id && seat.seat_number > after)
            .filter(|seat| match seat.status() {
                SeatStatus::Available | SeatStatus::Held => true,
                SeatStatus::Sold => concert.refund_all_at.is_some(),
                SeatStatus::Blocked => false,
            })
            .collect();
        left.sort_by_key(|seat| seat.seat_number);
        left.truncate(limit(rows));
        let payment = |seat: &Seat| {
            let sold = seat.reservation_id().filter(|_| seat.status() == SeatStatus::Sold)?;
            model.payments.values().find(|payment| payment.reservation_id == sold).map(|payment| payment.payment_id)
        };
        let remnant =
            |seat: &Seat| Remnant { seat_number: seat.seat_number, seat_id: seat.seat_id, payment_id: payment(seat) };
        Ok(left.into_iter().map(remnant).collect())
    }

    async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>, StoreError> {
        Ok(self.state().model.reservations.get(&id).cloned())
    }

    async fn reservations(
        &self,
        filter: &ReservationFilter,
        page: Page<ReservationId>,
    ) -> Result<Vec<Reservation>, StoreError> {
        let rows = &self.state().model.reservations;
        Ok(newest(rows.values(), |row| row.reservation_id, page, |row| filter.matches(row)))
    }

    async fn next_expiries(&self, until: Time, rows: u32) -> Result<Vec<(Time, ReservationId)>, StoreError> {
        let model = &self.state().model;
        let pending = model.reservations.values().filter(|row| row.status() == ReservationStatus::Pending);
        let ends = pending.map(|row| (row.expires_at, row.reservation_id));
        let mut ends: Vec<_> = ends.filter(|(ends, _)| *ends <= until).collect();
        ends.sort_unstable();
        ends.truncate(limit(rows));
        Ok(ends)
    }

    async fn tickets(&self, reservations: &[ReservationId]) -> Result<Vec<TicketPlace>, StoreError> {
        let model = &self.state().model;
        let place = |id: &ReservationId| {
            let row = model.reservations.get(id)?;
            let (seat, concert) = (model.seats.get(&row.seat_id)?, model.concerts.get(&row.concert_id)?);
            Some(TicketPlace {
                reservation_id: *id,
                concert_id: row.concert_id,
                title: concert.title.clone(),
                seat_id: row.seat_id,
                seat_number: seat.seat_number,
                place: seat.label.place(),
            })
        };
        Ok(reservations.iter().filter_map(place).collect())
    }

    async fn door_list(&self, concert: ConcertId, after: i32, rows: u32) -> Result<Vec<DoorLine>, StoreError> {
        let model = &self.state().model;
        let is_wanted =
            |seat: &&Seat| seat.concert_id == concert && seat.seat_number > after && seat.status() == SeatStatus::Sold;
        let mut seats: Vec<_> = model.seats.values().filter(is_wanted).collect();
        seats.sort_by_key(|seat| seat.seat_number);
        seats.truncate(limit(rows));
        let line = |seat: &Seat| {
            let row = model.reservations.get(&seat.reservation_id()?)?;
            let payment = model.payments.values().find(|payment| payment.reservation_id == row.reservation_id)?;
            Some(DoorLine {
                seat_number: seat.seat_number,
                label: (*seat.label).clone(),
                name: model.users.get(&row.user_id)?.name.clone(),
                reservation_id: row.reservation_id,
                payment_id: payment.payment_id,
                paid_at: payment.paid_at,
            })
        };
        Ok(seats.into_iter().filter_map(line).collect())
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        Ok(self.state().model.payments.get(&id).cloned())
    }

    async fn payments(&self, filter: &PaymentFilter, page: Page<PaymentId>) -> Result<Vec<Payment>, StoreError> {
        let model = &self.state().model;
        let concert = |row: &Payment| model.reservations.get(&row.reservation_id).map(|row| row.concert_id);
        Ok(newest(model.payments.values(), |row| row.payment_id, page, |row| filter.matches(row, concert(row))))
    }

    async fn point(&self, user: UserId) -> Result<Option<Point>, StoreError> {
        Ok(self.state().model.points.get(&user).copied())
    }

    async fn history(&self, user: UserId, page: Page<HistoryId>) -> Result<Vec<PointEntry>, StoreError> {
        let rows = &self.state().model.history;
        Ok(newest(rows.iter(), |row| row.history_id, page, |row| row.user_id == user))
    }

    async fn bookings_of_reference(&self, reference: &str, limit: u32) -> Result<Vec<PointEntry>, StoreError> {
        let model = &self.state().model;
        let has_it = |row: &&PointEntry| row.reference.as_deref() == Some(reference);
        let mut rows: Vec<_> = model.history.iter().filter(has_it).cloned().collect();
        rows.sort_by_key(|row| (row.kind != PointKind::TopUp, row.user_id));
        rows.truncate(self::limit(limit));
        Ok(rows)
    }

    async fn entries_of(&self, payment: PaymentId) -> Result<Vec<PointEntry>, StoreError> {
        let model = &self.state().model;
        let mut rows: Vec<_> = model.history.iter().filter(|row| row.payment_id == Some(payment)).cloned().collect();
        rows.sort_by_key(|row| row.history_id);
        Ok(rows)
    }

    async fn debt(&self, id: DebtId) -> Result<Option<Debt>, StoreError> {
        Ok(self.state().model.debts.get(&id).cloned())
    }

    async fn debts_of_reference(&self, reference: &str, limit: u32) -> Result<Vec<Debt>, StoreError> {
        let model = &self.state().model;
        let mut rows: Vec<_> = model.debts.values().filter(|row| row.reference == reference).cloned().collect();
        rows.sort_by_key(|row| row.user_id);
        rows.truncate(self::limit(limit));
        Ok(rows)
    }

    async fn debts(&self, filter: &DebtFilter, page: Page<DebtId>) -> Result<Vec<Debt>, StoreError> {
        let rows = &self.state().model.debts;
        Ok(newest(rows.values(), |row| row.debt_id, page, |row| filter.matches(row)))
    }

    async fn audit(&self, page: Page<AuditId>) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = &self.state().model.audit;
        Ok(newest(rows.iter(), |row| row.audit_id, page, |_| true))
    }

    async fn audit_of(&self, object: &str, page: Page<AuditId>) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = &self.state().model.audit;
        Ok(newest(rows.iter(), |row| row.audit_id, page, |row| row.object == object))
    }

    async fn audit_feed(&self, page: Page<FeedNumber>) -> Result<Vec<(FeedNumber, AuditEntry)>, StoreError> {
        let model = &self.state().model;
        let after = model.feed.iter().filter(|place| page.after.is_none_or(|after| place.feed_number > after));
        let entry = |id: AuditId| model.audit.iter().find(|entry| entry.audit_id == id).cloned();
        let entries = after.take(limit(page.limit)).filter_map(|one| Some((one.feed_number, entry(one.audit_id)?)));
        Ok(entries.collect())
    }

    async fn outbox(&self, filter: EventFilter, page: Page<EventId>) -> Result<Vec<OutboxEvent>, StoreError> {
        let rows = &self.state().model.outbox;
        Ok(newest(rows.values(), |row| row.event_id, page, |row| filter.matches(row)))
    }

    async fn first_event_due_at(&self, consumer: Consumer) -> Result<Option<Time>, StoreError> {
        let events = &self.state().model.outbox;
        let of_consumer = events.values().filter(|event| event.consumer == consumer);
        Ok(of_consumer.filter_map(|event| event.state.due_at()).min())
    }

    async fn event_counts(&self, consumer: Consumer) -> Result<EventCounts, StoreError> {
        let events = &self.state().model.outbox;
        let count = |filter: EventFilter| {
            let found = events.values().filter(|event| event.consumer == consumer && filter.matches(event));
            i64::try_from(found.take(limit(EVENTS_COUNTED_MAX)).count()).unwrap_or(i64::MAX)
        };
        Ok(EventCounts { pending: count(EventFilter::Pending), dead: count(EventFilter::Dead) })
    }

    async fn line_record(&self, room: RoomId) -> Result<Option<SavedLineRecord>, StoreError> {
        Ok(self.state().line_records.get(&room).cloned())
    }

    async fn keep_line_records(&self, records: Vec<SavedLineRecord>) -> Result<(), StoreError> {
        let kept = &mut self.state().line_records;
        for record in records {
            let age = |one: &SavedLineRecord| (one.epoch, one.saved_at);
            if kept.get(&record.room_id).is_none_or(|before| age(before) < age(&record)) {
                kept.insert(record.room_id, record);
            }
        }
        Ok(())
    }

    async fn prune(&self, what: Leftover, before: Time, rows: u32) -> Result<u64, StoreError> {
        let mut state = self.state();
        let removed = match what {
            Leftover::LineRecord => state.forget_line_records(before, limit(rows)),
            _ => state.model.forget(what, before, limit(rows)),
        };
        Ok(u64::try_from(removed).unwrap_or(u64::MAX))
    }

    /// This store cannot fail, so it is resumed at a start alone: since the last note the box office was closed.
    async fn resume(&self) -> Result<Option<Outage>, StoreError> {
        let mut state = self.state();
        let worked = self.clock.worked();
        let now = state.now(&self.clock);
        let before = state.noted.replace(Noted::new(now, worked));
        let outage = before.and_then(|noted| Outage::between(noted.at(), now, &self.policy));
        if let Some(outage) = outage {
            state.model.lengthen(outage);
        }
        Ok(outage)
    }

    fn outages(&self) -> Outages {
        self.state().model.outages.clone()
    }

    async fn shutdown(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
