//! The whole service in maps: the oracle of the tests, and a store without a disk.

use crate::{
    changes::{AuditEntry, Changes, RoomCounts},
    command::{Answer, IdempotencyRecord, Request},
    decide::decide_all,
    footprint::Footprint,
    id::{ConcertId, DebtId, EventId, PaymentId, Position, ReservationId, RoomId, SeatId, TokenId, UserId},
    line::{
        Draw, LaneGuest, LineBlock, ROOMS_SHARED_MAX, Room, Token, TokenStatus, first_claimed, first_due, is_live_token,
    },
    outage::{Outage, Outages},
    outbox::{CLAIM_MAX, Consumer, FeedPlace, OutboxEvent, OutboxLease},
    points::{Debt, DebtStatus, Point, PointEntry, PointKind},
    policy::Policy,
    retention::{Leftover, is_reservation_over, is_token_over},
    sale::{Concert, ConcertDetails, Payment, Poster, Reservation, Seat},
    time::Time,
    user::{AccountLink, LinkKind, OperatorPresence, Role, SecondFactor, Session, User},
    world::{NextIds, World},
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Every row of a box office.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model {
    /// The ids for the next rows.
    pub next_ids: NextIds,
    /// The highest position given in each room.
    pub highest: BTreeMap<RoomId, Position>,
    /// Stored answers.
    pub kept: HashMap<[u8; 32], IdempotencyRecord>,
    /// Users.
    pub users: BTreeMap<UserId, User>,
    /// Password hashes.
    pub passwords: HashMap<UserId, String>,
    /// Users by e-mail address.
    pub emails: HashMap<String, UserId>,
    /// Links to accounts.
    pub links: BTreeMap<(UserId, LinkKind), AccountLink>,
    /// Second factors.
    pub factors: BTreeMap<UserId, SecondFactor>,
    /// Sessions.
    pub sessions: HashMap<[u8; 32], Session>,
    /// Concerts.
    pub concerts: BTreeMap<ConcertId, Concert>,
    /// Details of concerts.
    pub details: BTreeMap<ConcertId, ConcertDetails>,
    /// Posters of concerts.
    pub posters: BTreeMap<ConcertId, Poster>,
    /// Seats.
    pub seats: BTreeMap<SeatId, Seat>,
    /// Reservations.
    pub reservations: BTreeMap<ReservationId, Reservation>,
    /// Payments.
    pub payments: BTreeMap<PaymentId, Payment>,
    /// Point accounts.
    pub points: BTreeMap<UserId, Point>,
    /// Point histories, oldest first.
    pub history: Vec<PointEntry>,
    /// Debts of users.
    pub debts: BTreeMap<DebtId, Debt>,
    /// Rooms.
    pub rooms: BTreeMap<RoomId, Room>,
    /// The caps of rooms, each with the time from which it holds.
    pub caps: Vec<(Time, RoomId, i64)>,
    /// Blocks from lines.
    pub blocks: BTreeMap<(UserId, RoomId), LineBlock>,
    /// Guests of lanes.
    pub guests: BTreeMap<(UserId, RoomId), LaneGuest>,
    /// Tokens.
    pub tokens: BTreeMap<TokenId, Token>,
    /// The counts of each room.
    pub counts: BTreeMap<RoomId, RoomCounts>,
    /// Draws.
    pub draws: BTreeMap<RoomId, Draw>,
    /// The audit log, oldest first.
    pub audit: Vec<AuditEntry>,
    /// The feed of the audit log, in order.
    pub feed: Vec<FeedPlace>,
    /// The outbox.
    pub outbox: BTreeMap<EventId, OutboxEvent>,
    /// The leases of consumers.
    pub leases: BTreeMap<Consumer, OutboxLease>,
    /// The outages so far.
    pub outages: Outages,
}

impl Model {
    /// A box office that has only the house room.
    #[must_use]
    pub fn new(house_max_active: i64, now: Time) -> Self {
        let room = Room::new(RoomId::HOUSE, house_max_active, now);
        Self {
            rooms: BTreeMap::from([(RoomId::HOUSE, room)]),
            caps: vec![(now, RoomId::HOUSE, house_max_active)],
            ..Self::default()
        }
    }

    /// Loads, decides and saves one batch.
    pub fn transact(&mut self, now: Time, policy: Policy, batch: &[Request]) -> (Vec<Answer>, Changes) {
        let mut world = self.load(now, policy, &Footprint::of(batch));
        let answers = decide_all(&mut world, batch);
        let changes = world.into_changes();
        self.save(&changes);
        (answers, changes)
    }

    /// Whether there is or was an operator.
    #[must_use]
    pub fn operators(&self) -> OperatorPresence {
        let makes_one = |entry: &AuditEntry| match entry.action.as_str() {
            "operator.add" => true,
            "user.role" => entry.detail.get("role") == Some(&serde_json::json!(Role::Operator)),
            _ => false,
        };
        if self.users.values().any(|user| user.role == Role::Operator) {
            OperatorPresence::Present
        } else if self.audit.iter().any(makes_one) {
            OperatorPresence::Gone
        } else {
            OperatorPresence::Never
        }
    }

    /// The rows that `keys` name and the rows that depend on them.
    #[must_use]
    pub fn load(&self, now: Time, policy: Policy, keys: &Footprint) -> World {
        let mut world = World::new(now, policy, self.next_ids.clone());
        world.outages = self.outages.clone();
        for idempotency in &keys.idempotency {
            if let Some(kept) = self.kept.get(&idempotency.key) {
                world.kept.load(idempotency.key, kept.clone());
            }
        }
        for email in &keys.emails {
            if let Some(user) = self.emails.get(email) {
                world.emails.insert(email.clone(), *user);
            }
        }
        for id in &keys.users {
            if let Some(user) = self.users.get(id) {
                world.users.load(*id, user.clone());
            }
        }
        for key in &keys.links {
            if let Some(link) = self.links.get(key) {
                world.links.load(*key, *link);
            }
        }
        for id in &keys.factors {
            if let Some(factor) = self.factors.get(id) {
                world.factors.load(*id, factor.clone());
            }
        }
        if keys.first_operator {
            world.operators = self.operators();
        }
        for secret_hash in &keys.sessions {
            if let Some(session) = self.sessions.get(secret_hash) {
                world.sessions.insert(*secret_hash, *session);
            }
        }
        for reference in &keys.references {
            let uses =
                |entry: &PointEntry| entry.kind == PointKind::TopUp && entry.reference.as_ref() == Some(reference);
            if self.history.iter().any(uses) {
                world.references.insert(reference.clone());
            }
        }
        for (user, reference) in &keys.adjustments {
            let adjusts = |entry: &PointEntry| {
                entry.kind == PointKind::Adjustment
                    && entry.user_id == *user
                    && entry.reference.as_ref() == Some(reference)
            };
            let owes = |debt: &Debt| debt.user_id == *user && debt.reference == *reference;
            if self.history.iter().any(adjusts) || self.debts.values().any(owes) {
                world.adjustments.insert((*user, reference.clone()));
            }
        }
        for id in &keys.debts {
            if let Some(debt) = self.debts.get(id) {
                world.debts.load(*id, debt.clone());
            }
        }
        let of_debtors = |debt: &&Debt| debt.status == DebtStatus::Open && keys.debtors.contains(&debt.user_id);
        for debt in self.debts.values().filter(of_debtors) {
            world.debts.load(debt.debt_id, debt.clone());
        }
        self.load_queue(&mut world, keys);
        self.load_sale(&mut world, keys);
        self.load_outbox(&mut world, keys);
        world
    }

    fn load_outbox(&self, world: &mut World, keys: &Footprint) {
        for consumer in &keys.leases {
            if let Some(lease) = self.leases.get(consumer) {
                world.leases.load(*consumer, *lease);
            }
        }
        for consumer in &keys.due_events {
            let is_due = |event: &&OutboxEvent| event.consumer == *consumer && event.is_due(world.now);
            let mut due: Vec<_> = self.outbox.values().filter(is_due).collect();
            due.sort_by_key(|event| event.state.due_at());
            due.truncate(CLAIM_MAX);
            world.due_events.insert(*consumer, due.iter().map(|event| event.event_id).collect());
            for event in due {
                world.outbox.load(event.event_id, event.clone());
            }
        }
        for id in &keys.events {
            if let Some(event) = self.outbox.get(id) {
                world.outbox.load(*id, event.clone());
            }
        }
        if !keys.fed.is_empty() {
            world.last_fed = self.feed.last().map_or(0, |place| place.feed_number.get());
        }
        for id in &keys.fed {
            if self.audit.iter().any(|entry| entry.audit_id == *id) {
                let place = self.feed.iter().find(|place| place.audit_id == *id);
                world.audited.insert(*id, place.map(|place| place.feed_number));
            }
        }
    }

    fn load_queue(&self, world: &mut World, keys: &Footprint) {
        for id in &keys.rooms {
            if let Some(room) = self.rooms.get(id) {
                world.rooms.load(*id, room.clone());
                world.highest.insert(*id, self.highest.get(id).copied().unwrap_or(Position(0)));
            }
        }
        for id in &keys.draws {
            if let Some(draw) = self.draws.get(id) {
                world.draws.load(*id, draw.clone());
            }
        }
        for id in &keys.tokens {
            if let Some(token) = self.tokens.get(id) {
                world.load_token(*token);
            }
        }
        for (user, room) in &keys.places {
            if let Some(block) = self.blocks.get(&(*user, *room)) {
                world.blocks.load((*user, *room), block.clone());
            }
            let place = self
                .tokens
                .values()
                .find(|token| token.user_id == *user && token.id.room_id.general() == *room && is_live_token(token));
            if let Some(token) = place {
                world.load_token(*token);
                world.places.insert((*user, *room), token.id);
            }
        }
        for key in &keys.guests {
            if let Some(guest) = self.guests.get(key) {
                world.guests.load(*key, *guest);
            }
        }
        for room in &keys.counted {
            world.load_counts(*room, self.counts.get(room).copied().unwrap_or_default(), RoomCounts::default());
            let of_room = self.tokens.values().filter(|token| token.id.room_id == *room);
            let overdue = of_room.filter(|token| token.status() == TokenStatus::Active && token.is_overdue(world.now));
            let overdue = first_due(overdue.copied().collect());
            world.overdue.insert(*room, overdue.iter().map(|token| token.id).collect());
            for token in overdue {
                world.load_token(token);
            }
            let claimed = first_claimed(self.tokens.values().filter(|token| token.id.room_id == *room).copied());
            world.claimed.insert(*room, claimed.iter().map(|token| token.id).collect());
            for token in claimed {
                world.load_token(token);
            }
        }
        if keys.reads_budget() {
            world.budget = self.rooms.get(&RoomId::HOUSE).and_then(|house| house.house_budget);
        }
        self.load_sharing(world, keys);
        for (room, limit) in &keys.advanced {
            let tokens = || self.tokens.values().filter(|token| token.id.room_id == *room);
            let due = first_due(tokens().filter(|token| token.is_overdue(world.now)).copied().collect());
            let waiting = tokens().filter(|token| token.status() == TokenStatus::Waiting);
            let head: Vec<_> = waiting.take(usize::try_from(*limit).unwrap_or(usize::MAX)).copied().collect();
            world.due.insert(*room, due.iter().map(|token| token.id).collect());
            world.head.insert(*room, head.iter().map(|token| token.id).collect());
            for token in due.into_iter().chain(head) {
                world.load_token(token);
            }
        }
    }

    fn load_sharing(&self, world: &mut World, keys: &Footprint) {
        let counts = |id: RoomId| self.counts.get(&id).copied().unwrap_or_default();
        let takes_part =
            |room: &&Room| counts(room.room_id).takes_places() || room.allotment.is_some_and(|places| places > 0);
        let found = self.rooms.values().filter(takes_part).map(|room| room.room_id).filter(|_| keys.shares_house);
        let most = usize::try_from(ROOMS_SHARED_MAX).unwrap_or(usize::MAX).saturating_add(1);
        for id in keys.sharing.iter().copied().chain(found.take(most)) {
            if let Some(room) = self.rooms.get(&id) {
                world.rooms.load(id, room.clone());
                world.sharing.insert(id, counts(id));
            }
        }
    }

    fn load_sale(&self, world: &mut World, keys: &Footprint) {
        for id in &keys.payments {
            if let Some(payment) = self.payments.get(id) {
                world.payments.load(*id, payment.clone());
                self.load_reservation(world, payment.reservation_id);
                self.load_point(world, payment.user_id);
            }
        }
        for id in &keys.reservations {
            self.load_reservation(world, *id);
        }
        for id in &keys.seats {
            self.load_seat(world, *id);
        }
        for (user, seat) in &keys.holdings {
            let Some(concert) = self.seats.get(seat).map(|seat| seat.concert_id) else { continue };
            let live: Vec<_> = self
                .reservations
                .values()
                .filter(|row| row.user_id == *user && row.concert_id == concert && row.is_live(world.now))
                .cloned()
                .collect();
            world.holdings.insert((*user, concert), live.iter().map(|row| row.reservation_id).collect());
            for row in live {
                world.reservations.load(row.reservation_id, row);
            }
        }
        for id in &keys.concerts {
            self.load_concert(world, *id);
        }
        for id in &keys.details {
            if let Some(details) = self.details.get(id) {
                world.details.load(*id, details.clone());
            }
        }
        for id in &keys.posters {
            if let Some(poster) = self.posters.get(id) {
                world.posters.insert(*id, poster.mark);
            }
        }
        for user in &keys.points {
            self.load_point(world, *user);
        }
        let of = |concert: ConcertId| self.seats.values().filter(move |seat| seat.concert_id == concert);
        for (concert, numbers, places) in &keys.new_seats {
            let (numbers, places): (HashSet<_>, HashSet<_>) = (numbers.iter().collect(), places.iter().collect());
            for seat in of(*concert) {
                if numbers.contains(&seat.seat_number) {
                    world.seat_numbers.insert((*concert, seat.seat_number));
                }
                let place = seat.label.place();
                if places.contains(&place) {
                    world.seat_places.entry(*concert).or_default().insert(place);
                }
            }
            if let Some(highest) = of(*concert).map(|seat| seat.seat_number).max() {
                world.highest_seats.insert(*concert, highest);
            }
        }
        for (concert, change) in &keys.moved_seats {
            let places = of(*concert).map(|seat| seat.label.place()).filter(|place| change.may_make(place));
            world.seat_places.entry(*concert).or_default().extend(places);
        }
    }

    fn load_reservation(&self, world: &mut World, id: ReservationId) {
        if let Some(reservation) = self.reservations.get(&id) {
            world.reservations.load(id, reservation.clone());
            self.load_seat(world, reservation.seat_id);
        }
    }

    fn load_seat(&self, world: &mut World, id: SeatId) {
        if let Some(seat) = self.seats.get(&id) {
            world.seats.load(id, seat.clone());
            self.load_concert(world, seat.concert_id);
            if let Some(reservation) = seat.reservation_id().and_then(|id| self.reservations.get(&id)) {
                world.reservations.load(reservation.reservation_id, reservation.clone());
            }
        }
    }

    fn load_concert(&self, world: &mut World, id: ConcertId) {
        if let Some(concert) = self.concerts.get(&id) {
            world.concerts.load(id, concert.clone());
        }
    }

    fn load_point(&self, world: &mut World, user: UserId) {
        if let Some(point) = self.points.get(&user) {
            world.points.load(user, *point);
        }
    }

    /// Extends the deadlines that were live when an outage began, and stores the outage.
    pub fn lengthen(&mut self, outage: Outage) {
        for token in self.tokens.values_mut() {
            *token = token.extended_by(&outage).unwrap_or(*token);
        }
        for reservation in self.reservations.values_mut() {
            if let Some(longer) = reservation.clone().extended_by(&outage) {
                *reservation = longer;
            }
        }
        self.outages = Outages::new(self.outages.iter().copied().chain([outage]).collect());
    }

    /// Applies the changes of a batch.
    pub fn save(&mut self, changes: &Changes) {
        self.next_ids = changes.next_ids.clone();
        self.highest.extend(&changes.highest);
        self.kept.extend(changes.kept.iter().map(|kept| (kept.idempotency.key, kept.clone())));
        for new in &changes.new_users {
            let user = User::registered(new, changes.now);
            self.emails.insert(user.email.clone(), user.user_id);
            self.passwords.insert(user.user_id, new.password_hash.clone());
            self.users.insert(user.user_id, user);
        }
        for user in &changes.users {
            if let Some(before) = self.users.insert(user.user_id, user.clone())
                && before.email != user.email
            {
                self.emails.remove(&before.email);
                self.emails.insert(user.email.clone(), user.user_id);
            }
        }
        for id in &changes.sign_ins {
            if let Some(user) = self.users.get_mut(id) {
                user.signed_in_at = changes.now;
            }
        }
        self.passwords.extend(changes.new_passwords.iter().map(|(user, hash)| (*user, hash.0.clone())));
        self.links.extend(changes.links.iter().map(|link| ((link.user_id, link.kind), *link)));
        for id in &changes.removed_factors {
            self.factors.remove(id);
        }
        self.factors.extend(changes.factors.iter().map(|factor| (factor.user_id, factor.clone())));
        for ended in &changes.ended_sessions {
            self.sessions.retain(|secret, session| session.user_id != ended.user_id || Some(*secret) == ended.kept);
        }
        for closed in &changes.closed_sessions {
            self.sessions.remove(closed);
        }
        self.sessions.extend(changes.new_sessions.iter().map(|session| (session.secret_hash, *session)));
        self.concerts.extend(changes.concerts.iter().map(|row| (row.concert_id, row.clone())));
        self.details.extend(changes.details.iter().map(|row| (row.concert_id, row.clone())));
        for (concert, poster) in &changes.posters {
            match poster {
                Some(poster) => self.posters.insert(*concert, poster.clone()),
                None => self.posters.remove(concert),
            };
        }
        for removed in &changes.removed_seats {
            self.seats.remove(&removed.seat_id);
        }
        self.seats.extend(changes.seats.iter().map(|row| (row.seat_id, row.clone())));
        self.reservations.extend(changes.reservations.iter().map(|row| (row.reservation_id, row.clone())));
        self.payments.extend(changes.payments.iter().map(|row| (row.payment_id, row.clone())));
        self.points.extend(changes.points.iter().map(|row| (row.user_id, *row)));
        self.history.extend(changes.history.iter().cloned());
        self.debts.extend(changes.debts.iter().map(|row| (row.debt_id, row.clone())));
        self.rooms.extend(changes.rooms.iter().map(|row| (row.room_id, row.clone())));
        self.caps.extend(changes.caps.iter().map(|(room, cap)| (changes.now, *room, *cap)));
        self.blocks
            .retain(|key, row| !changes.lifted_blocks.contains(key) && !changes.erased_blocks.contains(&row.user_id));
        self.blocks.extend(changes.blocks.iter().map(|row| ((row.user_id, row.room_id), row.clone())));
        self.guests
            .retain(|key, row| !changes.removed_guests.contains(key) && !changes.erased_blocks.contains(&row.user_id));
        self.guests.extend(changes.guests.iter().map(|row| ((row.user_id, row.room_id), *row)));
        self.tokens.extend(changes.tokens.iter().map(|row| (row.id, *row)));
        self.counts.extend(&changes.counts);
        for (room, change) in &changes.departed {
            let counts = self.counts.entry(*room).or_default();
            *counts = counts.plus(*change);
        }
        // A room with no counts must equal one that never had any.
        self.counts.retain(|_, counts| *counts != RoomCounts::default());
        self.draws.extend(changes.draws.iter().map(|row| (row.room_id, row.clone())));
        self.audit.extend(changes.audit.iter().cloned());
        self.feed.extend(&changes.feed);
        for delivered in &changes.delivered {
            self.outbox.remove(delivered);
        }
        self.outbox.extend(changes.events.iter().map(|row| (row.event_id, row.clone())));
        self.leases.extend(changes.leases.iter().map(|row| (row.consumer, *row)));
    }

    /// Removes at most `limit` rows that were over before `before`. Returns how many.
    pub fn forget(&mut self, what: Leftover, before: Time, limit: usize) -> usize {
        match what {
            Leftover::Answer => {
                let old = self.kept.iter().filter(|(_, kept)| kept.created_at < before);
                let old: Vec<_> = old.map(|(key, _)| *key).take(limit).collect();
                old.iter().filter(|key| self.kept.remove(*key).is_some()).count()
            }
            Leftover::Session => {
                let old = self.sessions.iter().filter(|(_, session)| session.expires_at < before);
                let old: Vec<_> = old.map(|(hash, _)| *hash).take(limit).collect();
                old.iter().filter(|hash| self.sessions.remove(*hash).is_some()).count()
            }
            Leftover::Link => {
                let old = self.links.iter().filter(|(_, link)| link.expires_at < before);
                let old: Vec<_> = old.map(|(key, _)| *key).take(limit).collect();
                old.iter().filter(|key| self.links.remove(*key).is_some()).count()
            }
            Leftover::Block => {
                let old = self.blocks.iter().filter(|(_, block)| block.until.is_some_and(|until| until < before));
                let old: Vec<_> = old.map(|(key, _)| *key).take(limit).collect();
                old.iter().filter(|key| self.blocks.remove(*key).is_some()).count()
            }
            // No rule reads them: the store keeps them beside these rows.
            Leftover::LineRecord => 0,
            Leftover::Guest => {
                let is_over = |lane: RoomId| {
                    let closes_at = self.rooms.get(&lane).and_then(|room| room.closes_at);
                    closes_at.is_some_and(|closes_at| closes_at < before)
                };
                let old: Vec<_> = self.guests.keys().filter(|(_, lane)| is_over(*lane)).copied().take(limit).collect();
                old.iter().filter(|key| self.guests.remove(*key).is_some()).count()
            }
            Leftover::Token => {
                let mut highest = BTreeMap::new();
                for id in self.tokens.keys() {
                    highest.insert(id.room_id, id.position);
                }
                let is_over = |token: &Token| {
                    let room = self.rooms.get(&token.id.room_id).zip(highest.get(&token.id.room_id));
                    room.is_some_and(|(room, highest)| is_token_over(token, room, *highest, before))
                };
                let old: Vec<_> = self.tokens.values().filter(|token| is_over(token)).map(|token| token.id).collect();
                old.iter().take(limit).filter(|id| self.tokens.remove(*id).is_some()).count()
            }
            Leftover::Reservation => {
                let old = self.reservations.values().filter(|row| is_reservation_over(row, before));
                let old: Vec<_> = old.map(|row| row.reservation_id).take(limit).collect();
                old.iter().filter(|id| self.reservations.remove(*id).is_some()).count()
            }
        }
    }
}
