//! The rows that a batch of commands sees, and the changes that its commands made.

use crate::{
    command::{Idempotency, IdempotencyRecord, PasswordHash},
    concert::Concert,
    id::{
        AuditId, ConcertId, DebtId, HistoryId, PaymentId, PointId, Position, ReservationId, RoomId, SeatId, TokenId,
        UserId,
    },
    outage::Outages,
    payment::Payment,
    points::{Debt, Point, PointEntry, PointKind},
    policy::Policy,
    queue::{Room, Token, TokenStatus, next_position},
    reservation::Reservation,
    seat::{Seat, SeatPlace},
    time::Time,
    user::{NewUser, ResetLink, Session, User},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    hash::Hash,
};

/// Whether a row must be written, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Loaded,
    Updated,
    Inserted,
}

/// Rows of one kind, with a mark on those that changed.
#[derive(Debug, Clone)]
pub struct Table<K, V> {
    rows: HashMap<K, (V, Mark)>,
    /// How many times a row was put here or changed.
    edits: usize,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: HashMap::new(), edits: 0 }
    }
}

impl<K: Copy + Ord + Hash, V: PartialEq> Table<K, V> {
    /// Puts a row from the store here. A row that is here already stays as it is.
    pub fn load(&mut self, key: K, row: V) {
        self.rows.entry(key).or_insert((row, Mark::Loaded));
    }

    /// Whether the row is loaded.
    #[must_use]
    pub fn contains(&self, key: K) -> bool {
        self.rows.contains_key(&key)
    }

    /// The row, if it is loaded.
    #[must_use]
    pub fn get(&self, key: K) -> Option<&V> {
        self.rows.get(&key).map(|(row, _)| row)
    }

    /// Replaces a loaded row whose change is saved by other means.
    fn amend(&mut self, key: K, row: V) {
        if let Some((old, _)) = self.rows.get_mut(&key) {
            *old = row;
        }
    }

    /// Puts a new or changed row here.
    pub fn put(&mut self, key: K, row: V) {
        let Some((old, mark)) = self.rows.get_mut(&key) else {
            self.edits = self.edits.saturating_add(1);
            self.rows.insert(key, (row, Mark::Inserted));
            return;
        };
        if *old != row {
            self.edits = self.edits.saturating_add(1);
            *old = row;
            if *mark == Mark::Loaded {
                *mark = Mark::Updated;
            }
        }
    }

    /// Removes a row. Returns whether the store has it.
    fn remove(&mut self, key: K) -> bool {
        self.edits = self.edits.saturating_add(1);
        self.rows.remove(&key).is_some_and(|(_, mark)| mark != Mark::Inserted)
    }

    /// All loaded rows, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &V> {
        self.rows.values().map(|(row, _)| row)
    }

    fn into_saves(self) -> Saves<V> {
        let mut dirty: Vec<_> = self.rows.into_iter().filter(|(_, (_, mark))| *mark != Mark::Loaded).collect();
        dirty.sort_unstable_by_key(|(key, _)| *key);
        let mut saves = Saves::default();
        for (_, (row, mark)) in dirty {
            match mark {
                Mark::Inserted => saves.inserted.push(row),
                Mark::Updated | Mark::Loaded => saves.updated.push(row),
            }
        }
        saves
    }
}

/// Rows to write, each kind in the order of its key.
#[derive(Debug, Clone)]
pub struct Saves<V> {
    /// Rows that the store has. They must be written before the new ones: an old reservation of a seat ends before a
    /// new one begins.
    pub updated: Vec<V>,
    /// New rows.
    pub inserted: Vec<V>,
}

impl<V> Default for Saves<V> {
    fn default() -> Self {
        Self { updated: Vec::new(), inserted: Vec::new() }
    }
}

impl<V> Saves<V> {
    /// Every row, the updated ones first.
    pub fn iter(&self) -> impl Iterator<Item = &V> {
        self.updated.iter().chain(&self.inserted)
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.updated.is_empty() && self.inserted.is_empty()
    }
}

/// How many tokens of a room have the statuses that its cap counts. A token past its deadline counts until its status
/// changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoomCounts {
    /// Active tokens.
    pub active: i64,
    /// Offered turns.
    pub offered: i64,
}

impl RoomCounts {
    /// The counts of one token.
    #[must_use]
    pub fn of(token: &Token) -> Self {
        Self {
            active: i64::from(token.status() == TokenStatus::Active),
            offered: i64::from(token.status() == TokenStatus::Offered),
        }
    }

    /// Both counts raised by those of `other`.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { active: self.active.saturating_add(other.active), offered: self.offered.saturating_add(other.offered) }
    }

    /// Both counts lowered by those of `other`.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self { active: self.active.saturating_sub(other.active), offered: self.offered.saturating_sub(other.offered) }
    }
}

/// The counts of a room whose row the batch has locked.
#[derive(Debug, Clone, Copy)]
struct Counted {
    /// The counts in the row.
    in_row: RoomCounts,
    now: RoomCounts,
}

/// Numbers for new rows, in the order of use: counted up by a store with one writer, reserved beforehand by a store
/// with many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers {
    reserved: VecDeque<i64>,
    then: i64,
}

impl Numbers {
    /// All numbers from `first` on.
    #[must_use]
    pub const fn counted_from(first: i64) -> Self {
        Self { reserved: VecDeque::new(), then: first }
    }

    /// These numbers, at least as many as [`Demand`](crate::command::Demand) asks for.
    #[must_use]
    pub fn reserved(numbers: Vec<i64>) -> Self {
        // Past the reserved numbers comes the largest: a row with it breaks a constraint and is not saved.
        Self { reserved: numbers.into(), then: i64::MAX }
    }

    /// The next number, without taking it.
    #[must_use]
    pub fn peek(&self) -> i64 {
        self.reserved.front().copied().unwrap_or(self.then)
    }

    fn take(&mut self) -> i64 {
        self.reserved.pop_front().unwrap_or_else(|| {
            let number = self.then;
            self.then = number.saturating_add(1);
            number
        })
    }
}

impl Default for Numbers {
    fn default() -> Self {
        Self::counted_from(1)
    }
}

/// The ids of the next rows. A store hands them out; gaps are allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NextIds {
    /// The next concert's id.
    pub concert: Numbers,
    /// The next seats' ids: without gaps, since a block of seats is named by its first.
    pub seat: Numbers,
    /// The next reservation's id.
    pub reservation: Numbers,
    /// The next payment's id.
    pub payment: Numbers,
    /// The next point account's id.
    pub point: Numbers,
    /// The next history entry's id.
    pub history: Numbers,
    /// The next audit line's id.
    pub audit: Numbers,
    /// The next debt's id.
    pub debt: Numbers,
}

/// The end of all sessions of a user, except one at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionsEnd {
    /// The user.
    pub user_id: UserId,
    /// SHA-256 of the secret of the session that goes on.
    pub kept: Option<[u8; 32]>,
}

/// One thing that an operator did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEntry {
    /// Which line.
    pub audit_id: AuditId,
    /// Which operator; none for the command line and the service key.
    pub actor: Option<UserId>,
    /// What they did, such as `room.set`.
    #[cfg_attr(feature = "openapi", schema(example = "room.set"))]
    pub action: String,
    /// To what, such as `room 3`.
    #[cfg_attr(feature = "openapi", schema(example = "room 3"))]
    pub object: String,
    /// The particulars, as JSON.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub detail: serde_json::Value,
    /// When.
    pub created_at: Time,
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
    /// Reset links by user, of the users in the footprint.
    pub reset_links: Table<UserId, ResetLink>,
    /// Users by e-mail address.
    pub emails: HashMap<String, UserId>,
    /// Concerts.
    pub concerts: Table<ConcertId, Concert>,
    /// Seats.
    pub seats: Table<SeatId, Seat>,
    /// Seat numbers that exist, of those in the footprint.
    pub seat_numbers: HashSet<(ConcertId, i32)>,
    /// Places of seats that exist, of those in the footprint.
    pub seat_places: HashMap<ConcertId, HashSet<SeatPlace>>,
    /// The highest seat number of each concert that gets seats; absent without a seat.
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
    /// Active tokens past their deadline, of rooms whose counts are loaded: ending them frees their places.
    pub overdue: HashMap<RoomId, Vec<TokenId>>,
    /// Tokens past their deadline, of rooms that advance.
    pub due: HashMap<RoomId, Vec<TokenId>>,
    /// The waiting tokens at the head of the line, in order, of rooms that advance.
    pub head: HashMap<RoomId, Vec<TokenId>>,
    /// The live token of a user in a room.
    pub places: HashMap<(UserId, RoomId), TokenId>,
    tokens: Table<TokenId, Token>,
    counted: HashMap<RoomId, Counted>,
    departed: BTreeMap<RoomId, RoomCounts>,
    new_users: Vec<NewUser>,
    sign_ins: Vec<UserId>,
    new_passwords: Vec<(UserId, PasswordHash)>,
    new_sessions: Vec<Session>,
    closed_sessions: Vec<[u8; 32]>,
    ended_sessions: Vec<SessionsEnd>,
    changed_seats: BTreeSet<SeatId>,
    removed_seats: Vec<Seat>,
    history: Vec<PointEntry>,
    audit: Vec<AuditEntry>,
    changed_caps: Vec<(RoomId, i64)>,
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
        self.counted.entry(room_id).or_insert(Counted { in_row, now: in_row.plus(since) });
    }

    /// The counts of a room, if they are loaded.
    #[must_use]
    pub fn counts(&self, room_id: RoomId) -> Option<RoomCounts> {
        self.counted.get(&room_id).map(|counted| counted.now)
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
        let place = (token.user_id, token.id.room_id);
        if crate::queue::is_live_token(&token) {
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

    /// The next concert's id.
    pub fn take_concert_id(&mut self) -> ConcertId {
        ConcertId::new(self.next_ids.concert.take())
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
        self.users.load(user.user_id, user);
        self.new_users.push(secrets);
    }

    /// Records a sign-in of the user now.
    pub fn note_sign_in(&mut self, user: User) {
        self.sign_ins.push(user.user_id);
        self.users.amend(user.user_id, User { signed_in_at: self.now, ..user });
    }

    /// Adds a session.
    pub fn add_session(&mut self, session: Session) {
        self.new_sessions.push(session);
    }

    /// Removes a session.
    pub fn close_session(&mut self, secret_hash: [u8; 32]) {
        self.new_sessions.retain(|session| session.secret_hash != secret_hash);
        self.closed_sessions.push(secret_hash);
    }

    /// Ends all sessions of a user except `kept`. Earlier proofs of identity become invalid.
    pub fn end_sessions(&mut self, user: &mut User, kept: Option<[u8; 32]>) {
        user.sign_in_epoch = user.sign_in_epoch.saturating_add(1);
        self.new_sessions.retain(|session| session.user_id != user.user_id || Some(session.secret_hash) == kept);
        self.ended_sessions.push(SessionsEnd { user_id: user.user_id, kept });
    }

    /// Replaces the password of a user.
    pub fn set_password(&mut self, user: UserId, hash: PasswordHash) {
        self.new_passwords.push((user, hash));
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

    /// Adds a line to the audit log.
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
            self.new_sessions.len(),
            self.closed_sessions.len(),
            self.concerts.edits,
            self.seats.edits,
            self.reservations.edits,
            self.payments.edits,
            self.points.edits,
            self.debts.edits,
            self.history.len(),
            self.rooms.edits,
            self.changed_caps.len(),
            self.tokens.edits,
            self.audit.len(),
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
            unused: unused.collect(),
            kept: self.kept.into_saves().inserted,
            new_users: users,
            users: self.users.into_saves().updated,
            sign_ins: self.sign_ins,
            new_passwords: self.new_passwords,
            reset_links: self.reset_links.into_saves().iter().copied().collect(),
            new_sessions: self.new_sessions,
            closed_sessions: self.closed_sessions,
            ended_sessions: self.ended_sessions,
            concerts: self.concerts.into_saves(),
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
            tokens: self.tokens.into_saves(),
            counts: counted.map(|(room_id, counted)| (room_id, counted.now)).collect(),
            departed,
            audit: self.audit,
        }
    }
}

/// The changes of a batch. Save updates before inserts, and reservations before the rows that refer to them.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// The time of the decisions.
    pub now: Time,
    /// The ids of the next rows.
    pub next_ids: NextIds,
    /// The highest position given in each room that issued tokens.
    pub highest: BTreeMap<RoomId, Position>,
    /// Reserved positions that no token got, in order; none ever will. Nothing to save.
    pub unused: Vec<TokenId>,
    /// New stored answers.
    pub kept: Vec<IdempotencyRecord>,
    /// New users, with their password hashes.
    pub new_users: Vec<NewUser>,
    /// Users that changed: role, status, name, address, sign-in epoch.
    pub users: Vec<User>,
    /// Users who signed in, each once. To be saved after `users`, which leave the sign-in alone.
    pub sign_ins: Vec<UserId>,
    /// New passwords of existing users, in order: a user's last one counts.
    pub new_passwords: Vec<(UserId, PasswordHash)>,
    /// New reset links, one for a user. Each replaces the user's old one.
    pub reset_links: Vec<ResetLink>,
    /// New sessions. To be saved after the ended ones are removed.
    pub new_sessions: Vec<Session>,
    /// Sessions that ended.
    pub closed_sessions: Vec<[u8; 32]>,
    /// Users whose sessions all ended. Each of them is among `users` too.
    pub ended_sessions: Vec<SessionsEnd>,
    /// Concerts.
    pub concerts: Saves<Concert>,
    /// Seats.
    pub seats: Saves<Seat>,
    /// Seats whose price or label changed, by id. Existing ones are among the updated `seats` too, but writing those
    /// leaves these columns alone: save these after them.
    pub changed_seats: Vec<Seat>,
    /// Removed seats. To be saved before the new ones, which may take their places.
    pub removed_seats: Vec<Seat>,
    /// Reservations.
    pub reservations: Saves<Reservation>,
    /// Payments.
    pub payments: Saves<Payment>,
    /// Point accounts.
    pub points: Saves<Point>,
    /// New history entries.
    pub history: Vec<PointEntry>,
    /// Debts.
    pub debts: Saves<Debt>,
    /// Rooms.
    pub rooms: Saves<Room>,
    /// Caps that hold from now on, in order. The check of the books compares the active tokens with them.
    pub caps: Vec<(RoomId, i64)>,
    /// Tokens.
    pub tokens: Saves<Token>,
    /// The new counts of rooms whose row is locked, if they changed.
    pub counts: BTreeMap<RoomId, RoomCounts>,
    /// The differences in the counts of other rooms. Such a batch need not wait for the room's row.
    pub departed: BTreeMap<RoomId, RoomCounts>,
    /// New lines of the audit log.
    pub audit: Vec<AuditEntry>,
}

impl Changes {
    /// Whether nothing changed, so that nothing need be committed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
            && self.new_users.is_empty()
            && self.users.is_empty()
            && self.sign_ins.is_empty()
            && self.new_passwords.is_empty()
            && self.reset_links.is_empty()
            && self.new_sessions.is_empty()
            && self.closed_sessions.is_empty()
            && self.ended_sessions.is_empty()
            && self.concerts.is_empty()
            && self.seats.is_empty()
            && self.removed_seats.is_empty()
            && self.reservations.is_empty()
            && self.payments.is_empty()
            && self.points.is_empty()
            && self.history.is_empty()
            && self.debts.is_empty()
            && self.rooms.is_empty()
            && self.caps.is_empty()
            && self.tokens.is_empty()
            && self.counts.is_empty()
            && self.departed.is_empty()
            && self.audit.is_empty()
    }
}
