//! The rows that a batch of commands sees and changes.

mod numbers;
mod table;

pub use numbers::{NextIds, Numbers};
pub use table::Table;

use crate::{
    changes::{AuditEntry, Changes, RoomCounts, SessionsEnd},
    command::{Idempotency, IdempotencyRecord, PasswordHash},
    id::{
        AuditId, ConcertId, DebtId, EventId, FeedNumber, HistoryId, PaymentId, PointId, Position, ReservationId,
        RoomId, SeatId, TokenId, UserId,
    },
    line::{Draw, LaneGuest, LineBlock, Room, Token, next_position},
    outage::Outages,
    outbox::{Consumer, EventPayload, FeedPlace, OutboxEvent, OutboxLease},
    points::{Debt, Point, PointEntry, PointKind},
    policy::Policy,
    sale::{Concert, ConcertDetails, Payment, Poster, PosterMark, Reservation, Seat, SeatPlace},
    time::Time,
    user::{AccountLink, LetterLanguage, LinkKind, NewUser, OperatorPresence, Role, SecondFactor, Session, User},
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

/// The counts of a room whose row the batch has locked.
#[derive(Debug, Clone, Copy)]
struct LockedCounts {
    /// The counts in the row.
    in_row: RoomCounts,
    now: RoomCounts,
}

/// The state that a batch sees and changes: the time, the rows that it named, and its changes.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// The store's clock, read after the rows were locked.
    pub now: Time,
    /// The settings of the rules.
    pub policy: Policy,
    /// The outages that may have extended a token of this batch.
    pub outages: Outages,
    /// The ids of new rows.
    pub next_ids: NextIds,
    /// The highest position given in each room that issues tokens (최대순서조회).
    pub highest: BTreeMap<RoomId, Position>,
    /// Positions reserved for this batch, ascending, from a store with many writers. They are used instead of the
    /// highest plus one.
    pub positions: BTreeMap<RoomId, VecDeque<Position>>,
    /// Answers stored under idempotency keys.
    pub kept: Table<[u8; 32], IdempotencyRecord>,
    /// Users by id.
    pub users: Table<UserId, User>,
    /// Links by user and kind, of those in the footprint.
    pub links: Table<(UserId, LinkKind), AccountLink>,
    /// Second factors by user, of those in the footprint.
    pub factors: Table<UserId, SecondFactor>,
    /// Whether there is or was an operator, if the footprint asks.
    pub operators: OperatorPresence,
    /// Sessions by the SHA-256 of their secret, of those in the footprint.
    pub sessions: HashMap<[u8; 32], Session>,
    /// Users by e-mail address.
    pub emails: HashMap<String, UserId>,
    /// Concerts.
    pub concerts: Table<ConcertId, Concert>,
    /// Details of concerts, of those in the footprint.
    pub details: Table<ConcertId, ConcertDetails>,
    /// What posters concerts have, of those in the footprint.
    pub posters: HashMap<ConcertId, PosterMark>,
    /// Seats.
    pub seats: Table<SeatId, Seat>,
    /// Seat numbers that exist, of those in the footprint.
    pub seat_numbers: HashSet<(ConcertId, i32)>,
    /// Places of seats that exist, of those in the footprint.
    pub seat_places: HashMap<ConcertId, HashSet<SeatPlace>>,
    /// The highest seat number of each concert that gets seats or goes on sale; absent without a seat.
    pub highest_seats: HashMap<ConcertId, i32>,
    /// Reservations.
    pub reservations: Table<ReservationId, Reservation>,
    /// The live reservations of a user in a concert.
    pub holdings: HashMap<(UserId, ConcertId), Vec<ReservationId>>,
    /// Payments.
    pub payments: Table<PaymentId, Payment>,
    /// Point accounts by user.
    pub points: Table<UserId, Point>,
    /// References of top-ups that were used, of those in the footprint.
    pub references: HashSet<String>,
    /// References of adjustments that were used, of those in the footprint.
    pub adjustments: HashSet<(UserId, String)>,
    /// Debts.
    pub debts: Table<DebtId, Debt>,
    /// Rooms.
    pub rooms: Table<RoomId, Room>,
    /// Draws of rooms, of those in the footprint.
    pub draws: Table<RoomId, Draw>,
    /// The highest position given before as many were reserved behind it, of rooms whose lobby is sealed, from a store
    /// with many writers.
    pub sealed: BTreeMap<RoomId, Position>,
    /// Blocks from lines by user and room, of the places in the footprint.
    pub blocks: Table<(UserId, RoomId), LineBlock>,
    /// Guests of lanes by user and lane, as far as the footprint names them.
    pub guests: Table<(UserId, RoomId), LaneGuest>,
    /// The house's budget, if tokens are offered or claim turns or a lane is opened, and the row of the house room is not among `rooms`.
    pub budget: Option<i64>,
    /// The counts of rooms that share something, as they were loaded.
    pub sharing: BTreeMap<RoomId, RoomCounts>,
    /// Active tokens past their deadline, of rooms whose counts are loaded: ending them frees their places.
    pub overdue: HashMap<RoomId, Vec<TokenId>>,
    /// Tokens whose claims found the room full, in the order of the claims, for each counted room.
    pub claimed: HashMap<RoomId, Vec<TokenId>>,
    /// Tokens past their deadline, of rooms that advance.
    pub due: HashMap<RoomId, Vec<TokenId>>,
    /// The waiting tokens at the head of the line, in order, of rooms that advance.
    pub head: HashMap<RoomId, Vec<TokenId>>,
    /// Events of the outbox: those that are named, and those that are due.
    pub outbox: Table<EventId, OutboxEvent>,
    /// The due events of consumers that claim, at most [`CLAIM_MAX`](crate::outbox::CLAIM_MAX) of each, those first that
    /// are due longest.
    pub due_events: HashMap<Consumer, Vec<EventId>>,
    /// The leases of consumers; absent before the first claim.
    pub leases: Table<Consumer, OutboxLease>,
    /// Entries of the audit log that are fed, and the place of each in the feed.
    pub audited: HashMap<AuditId, Option<FeedNumber>>,
    /// The highest number of the feed, if entries are fed; 0 before the first.
    pub last_fed: i64,
    /// The live token of a user in a general line or one of its lanes, by the general line.
    pub places: HashMap<(UserId, RoomId), TokenId>,
    tokens: Table<TokenId, Token>,
    counted: HashMap<RoomId, LockedCounts>,
    departed: BTreeMap<RoomId, RoomCounts>,
    new_users: Vec<NewUser>,
    sign_ins: Vec<UserId>,
    new_passwords: Vec<(UserId, PasswordHash)>,
    removed_factors: Vec<UserId>,
    lifted_blocks: Vec<(UserId, RoomId)>,
    erased_blocks: Vec<UserId>,
    removed_guests: Vec<(UserId, RoomId)>,
    new_sessions: Vec<Session>,
    closed_sessions: Vec<[u8; 32]>,
    ended_sessions: Vec<SessionsEnd>,
    changed_posters: BTreeMap<ConcertId, Option<Poster>>,
    changed_seats: BTreeSet<SeatId>,
    removed_seats: Vec<Seat>,
    history: Vec<PointEntry>,
    audit: Vec<AuditEntry>,
    delivered: Vec<EventId>,
    feed: Vec<FeedPlace>,
    changed_caps: Vec<(RoomId, i64)>,
    /// Positions that no token will get, beside the reserved ones that are left.
    skipped: Vec<TokenId>,
}

impl World {
    /// A world at `now` without any rows.
    #[must_use]
    pub fn new(now: Time, policy: Policy, next_ids: NextIds) -> Self {
        Self { now, policy, next_ids, ..Self::default() }
    }

    /// Puts a token from the store here.
    pub fn load_token(&mut self, token: Token) {
        self.tokens.load(token.id, token);
    }

    /// The token, if it is loaded.
    #[must_use]
    pub fn token(&self, id: TokenId) -> Option<Token> {
        self.tokens.get(id).copied()
    }

    /// Sets a room's counts: those in its row, and the change since the row was written.
    pub fn load_counts(&mut self, room_id: RoomId, in_row: RoomCounts, since: RoomCounts) {
        self.counted.entry(room_id).or_insert(LockedCounts { in_row, now: in_row.plus(since) });
    }

    /// The counts of a room, if they are loaded.
    #[must_use]
    pub fn counts(&self, room_id: RoomId) -> Option<RoomCounts> {
        self.counted.get(&room_id).map(|counted| counted.now)
    }

    /// The counts of a room that shares something, if they are loaded.
    #[must_use]
    pub fn counts_to_share(&self, room_id: RoomId) -> Option<RoomCounts> {
        let change = self.departed.get(&room_id).copied().unwrap_or_default();
        self.counts(room_id).or_else(|| self.sharing.get(&room_id).map(|counts| counts.plus(change)))
    }

    /// How many tokens may be active in all rooms together, if it is loaded; none for no limit.
    #[must_use]
    pub fn house_budget(&self) -> Option<i64> {
        self.rooms.get(RoomId::HOUSE).map_or(self.budget, |house| house.house_budget)
    }

    /// Saves a token and updates the room's counts and the user's place.
    pub fn put_token(&mut self, token: Token) {
        let before = self.tokens.get(token.id).map(RoomCounts::of).unwrap_or_default();
        let change = RoomCounts::of(&token).minus(before);
        if let Some(counted) = self.counted.get_mut(&token.id.room_id) {
            counted.now = counted.now.plus(change);
        } else if change != RoomCounts::default() {
            let departed = self.departed.entry(token.id.room_id).or_default();
            *departed = departed.plus(change);
        }
        let place = (token.user_id, token.id.room_id.general());
        if crate::line::is_live_token(&token) {
            self.places.insert(place, token.id);
        } else if self.places.get(&place) == Some(&token.id) {
            self.places.remove(&place);
        }
        self.tokens.put(token.id, token);
    }

    /// The next position of a room: the first of the reserved ones, or the highest so far plus one.
    pub fn take_position(&mut self, room_id: RoomId) -> Position {
        let reserved = self.positions.get_mut(&room_id).and_then(VecDeque::pop_front);
        let highest = self.highest.entry(room_id).or_insert(Position(0));
        let position = reserved.unwrap_or_else(|| next_position(*highest));
        *highest = position.max(*highest);
        position
    }

    /// Reserves as many positions as the room has given, behind them. Returns the highest position given before.
    pub fn reserve_behind_entries(&mut self, room_id: RoomId) -> Position {
        let highest = self.highest.entry(room_id).or_insert(Position(0));
        let last = self.sealed.get(&room_id).copied().unwrap_or(*highest);
        *highest = Position(last.0.saturating_add(last.0)).max(*highest);
        last
    }

    /// Notes that no token will get this position.
    pub fn skip_position(&mut self, id: TokenId) {
        self.skipped.push(id);
    }

    /// The next concert's id.
    pub fn take_concert_id(&mut self) -> ConcertId {
        ConcertId::new(self.next_ids.concert.take())
    }

    /// The id of the next room without a concert.
    pub fn take_room_id(&mut self) -> RoomId {
        RoomId::of_site(self.next_ids.room.take())
    }

    /// The next seat's id.
    pub fn take_seat_id(&mut self) -> SeatId {
        SeatId::new(self.next_ids.seat.take())
    }

    /// The next reservation's id.
    pub fn take_reservation_id(&mut self) -> ReservationId {
        ReservationId::new(self.next_ids.reservation.take())
    }

    /// The next payment's id.
    pub fn take_payment_id(&mut self) -> PaymentId {
        PaymentId::new(self.next_ids.payment.take())
    }

    /// The next point account's id.
    pub fn take_point_id(&mut self) -> PointId {
        PointId::new(self.next_ids.point.take())
    }

    /// The next history entry's id.
    pub fn take_history_id(&mut self) -> HistoryId {
        HistoryId::new(self.next_ids.history.take())
    }

    /// The next debt's id.
    pub fn take_debt_id(&mut self) -> DebtId {
        DebtId::new(self.next_ids.debt.take())
    }

    /// Adds a user.
    pub fn add_user(&mut self, user: User, secrets: NewUser) {
        self.emails.insert(user.email.clone(), user.user_id);
        if user.role == Role::Operator {
            self.operators = OperatorPresence::Present;
        }
        self.users.load(user.user_id, user);
        self.new_users.push(secrets);
    }

    /// Records a sign-in of the user now.
    pub fn note_sign_in(&mut self, user: User) {
        self.sign_ins.push(user.user_id);
        self.users.amend(user.user_id, User { signed_in_at: self.now, ..user });
    }

    /// Removes the second factor of a user.
    pub fn remove_factor(&mut self, id: UserId) {
        if self.factors.contains(id) && self.factors.remove(id) {
            self.removed_factors.push(id);
        }
    }

    /// Lifts a user's block from a line.
    pub fn remove_block(&mut self, user: UserId, room: RoomId) {
        if self.blocks.remove((user, room)) {
            self.lifted_blocks.push((user, room));
        }
    }

    /// Takes a user off the list of a lane.
    pub fn remove_guest(&mut self, user: UserId, lane: RoomId) {
        if self.guests.remove((user, lane)) {
            self.removed_guests.push((user, lane));
        }
    }

    /// Removes all blocks of a user, loaded or not, and takes the user off all lists of lanes.
    pub fn erase_blocks(&mut self, user: UserId) {
        let of_user: Vec<_> = self.blocks.iter().filter(|row| row.user_id == user).map(|row| row.room_id).collect();
        for room in of_user {
            self.blocks.remove((user, room));
        }
        let of_user: Vec<_> = self.guests.iter().filter(|row| row.user_id == user).map(|row| row.room_id).collect();
        for lane in of_user {
            self.guests.remove((user, lane));
        }
        self.erased_blocks.push(user);
    }

    /// Adds a session.
    pub fn add_session(&mut self, session: Session) {
        self.sessions.insert(session.secret_hash, session);
        self.new_sessions.push(session);
    }

    /// Removes a session.
    pub fn close_session(&mut self, secret_hash: [u8; 32]) {
        self.sessions.remove(&secret_hash);
        self.new_sessions.retain(|session| session.secret_hash != secret_hash);
        self.closed_sessions.push(secret_hash);
    }

    /// Ends all sessions of a user except `kept`. Earlier proofs of identity become invalid.
    pub fn end_sessions(&mut self, user: &mut User, kept: Option<[u8; 32]>) {
        user.sign_in_epoch = user.sign_in_epoch.saturating_add(1);
        let goes_on = |session: &Session| session.user_id != user.user_id || Some(session.secret_hash) == kept;
        self.sessions.retain(|_, session| goes_on(session));
        self.new_sessions.retain(goes_on);
        self.ended_sessions.push(SessionsEnd { user_id: user.user_id, kept });
    }

    /// Replaces the password of a user.
    pub fn set_password(&mut self, user: UserId, hash: PasswordHash) {
        self.new_passwords.push((user, hash));
    }

    /// Gives a concert a poster, in place of the one that it has.
    pub fn set_poster(&mut self, poster: Poster) {
        self.posters.insert(poster.concert_id, poster.mark);
        self.changed_posters.insert(poster.concert_id, Some(poster));
    }

    /// Removes the poster of a concert.
    pub fn remove_poster(&mut self, id: ConcertId) {
        self.posters.remove(&id);
        self.changed_posters.insert(id, None);
    }

    /// Adds a seat.
    pub fn add_seat(&mut self, seat: Seat) {
        self.seat_numbers.insert((seat.concert_id, seat.seat_number));
        self.seat_places.entry(seat.concert_id).or_default().insert(seat.label.place());
        let highest = self.highest_seats.entry(seat.concert_id).or_default();
        *highest = seat.seat_number.max(*highest);
        self.seats.put(seat.seat_id, seat);
    }

    /// Saves a seat whose price or label an operator has changed.
    pub fn change_seat(&mut self, seat: Seat) {
        let Some(before) = self.seats.get(seat.seat_id) else { return };
        let places = self.seat_places.entry(seat.concert_id).or_default();
        places.remove(&before.label.place());
        places.insert(seat.label.place());
        self.changed_seats.insert(seat.seat_id);
        self.seats.put(seat.seat_id, seat);
    }

    /// Removes a seat that no reservation names.
    pub fn remove_seat(&mut self, id: SeatId) {
        let Some(seat) = self.seats.get(id).cloned() else { return };
        self.seat_numbers.remove(&(seat.concert_id, seat.seat_number));
        if let Some(places) = self.seat_places.get_mut(&seat.concert_id) {
            places.remove(&seat.label.place());
        }
        if self.seats.remove(id) {
            self.removed_seats.push(seat);
        }
    }

    /// Adds an entry to a user's point history.
    pub fn add_history(&mut self, entry: PointEntry) {
        if entry.kind == PointKind::TopUp {
            self.references.extend(entry.reference.clone());
        }
        self.history.push(entry);
    }

    /// Adds a line to the audit log, and the event that brings it into the feed.
    pub fn add_audit(&mut self, actor: Option<UserId>, action: &str, object: String, detail: serde_json::Value) {
        let audit_id = AuditId::new(self.next_ids.audit.take());
        self.audit.push(AuditEntry {
            audit_id,
            actor,
            action: action.to_owned(),
            object,
            detail,
            created_at: self.now,
        });
        self.emit(Consumer::AuditFeed, EventPayload::AuditRecorded { audit_id });
    }

    /// Has a letter sent to a user.
    pub fn request_letter(&mut self, user_id: UserId, letter: LinkKind, language: LetterLanguage) {
        self.emit(Consumer::Letters, EventPayload::LetterRequested { user_id, letter, language });
    }

    /// Adds an event to the outbox, due at once.
    fn emit(&mut self, consumer: Consumer, payload: EventPayload) {
        let event_id = EventId::new(self.next_ids.event.take());
        self.outbox.put(event_id, OutboxEvent::emitted(event_id, consumer, payload, self.now));
    }

    /// Removes an event that was delivered.
    pub fn remove_event(&mut self, id: EventId) {
        if self.outbox.remove(id) {
            self.delivered.push(id);
        }
    }

    /// The place in the feed of an entry of the audit log, if it has one; none if there is no such entry.
    #[must_use]
    pub fn feed_place(&self, id: AuditId) -> Option<Option<FeedNumber>> {
        let is_new = || self.audit.iter().any(|entry| entry.audit_id == id);
        self.audited.get(&id).copied().or_else(|| is_new().then_some(None))
    }

    /// Adds an entry of the audit log to the feed.
    pub fn add_to_feed(&mut self, place: FeedPlace) {
        self.last_fed = place.feed_number.get();
        self.audited.insert(place.audit_id, Some(place.feed_number));
        self.feed.push(place);
    }

    /// Records that a room's cap is `max_active` from now on.
    pub fn note_cap(&mut self, room_id: RoomId, max_active: i64) {
        self.changed_caps.push((room_id, max_active));
    }

    /// Counts the changes, stored answers aside: a command that leaves it as it was has changed nothing.
    #[must_use]
    pub fn edits(&self) -> usize {
        [
            self.new_users.len(),
            self.users.edits,
            self.links.edits,
            self.factors.edits,
            self.new_sessions.len(),
            self.closed_sessions.len(),
            self.concerts.edits,
            self.details.edits,
            self.seats.edits,
            self.reservations.edits,
            self.payments.edits,
            self.points.edits,
            self.debts.edits,
            self.history.len(),
            self.rooms.edits,
            self.blocks.edits,
            self.guests.edits,
            self.changed_caps.len(),
            self.tokens.edits,
            self.draws.edits,
            self.skipped.len(),
            self.audit.len(),
            self.feed.len(),
            self.outbox.edits,
            self.leases.edits,
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    /// Stores an answer under its idempotency key.
    pub fn store_answer(&mut self, idempotency: Idempotency, answer: String) {
        let created_at = self.now;
        self.kept.put(idempotency.key, IdempotencyRecord { idempotency, answer, created_at });
    }

    /// The changes to save.
    #[must_use]
    pub fn into_changes(self) -> Changes {
        let now = self.now;
        let mut users = self.new_users;
        users.sort_by_key(|user| user.user_id);
        let unused = self
            .positions
            .into_iter()
            .flat_map(|(room_id, positions)| positions.into_iter().map(move |position| TokenId { room_id, position }));
        let counted = self.counted.into_iter().filter(|(_, counted)| counted.now != counted.in_row);
        let mut departed = self.departed;
        departed.retain(|_, change| *change != RoomCounts::default());
        Changes {
            now,
            next_ids: self.next_ids,
            highest: self.highest,
            unused: {
                let mut unused: Vec<_> = unused.chain(self.skipped).collect();
                unused.sort_unstable();
                unused
            },
            kept: self.kept.into_saves().inserted,
            new_users: users,
            users: self.users.into_saves().updated,
            sign_ins: self.sign_ins,
            new_passwords: self.new_passwords,
            links: self.links.into_saves().iter().copied().collect(),
            factors: self.factors.into_saves().iter().cloned().collect(),
            removed_factors: self.removed_factors,
            new_sessions: self.new_sessions,
            closed_sessions: self.closed_sessions,
            ended_sessions: self.ended_sessions,
            concerts: self.concerts.into_saves(),
            details: self.details.into_saves().iter().cloned().collect(),
            posters: self.changed_posters.into_iter().collect(),
            changed_seats: self.changed_seats.iter().filter_map(|id| self.seats.get(*id).cloned()).collect(),
            removed_seats: self.removed_seats,
            seats: self.seats.into_saves(),
            reservations: self.reservations.into_saves(),
            payments: self.payments.into_saves(),
            points: self.points.into_saves(),
            history: self.history,
            debts: self.debts.into_saves(),
            rooms: self.rooms.into_saves(),
            caps: self.changed_caps,
            blocks: self.blocks.into_saves().iter().cloned().collect(),
            lifted_blocks: self.lifted_blocks,
            erased_blocks: self.erased_blocks,
            guests: self.guests.into_saves().iter().copied().collect(),
            removed_guests: self.removed_guests,
            tokens: self.tokens.into_saves(),
            draws: self.draws.into_saves(),
            counts: counted.map(|(room_id, counted)| (room_id, counted.now)).collect(),
            departed,
            audit: self.audit,
            feed: self.feed,
            events: self.outbox.into_saves(),
            delivered: self.delivered,
            leases: self.leases.into_saves(),
        }
    }
}
