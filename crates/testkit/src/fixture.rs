//! A box office to test, with the steps of a sale as short calls.

use crate::{START, servers::postgres::TestDatabase};
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    changes::Changes,
    command::{Answer, Command, Decision, Idempotency, NewConcert, Outcome, Request},
    decide::decide_all,
    id::{ConcertId, ReservationId, RoomId, SeatId, TokenId, UserId},
    line::{Fence, Token},
    money::Money,
    policy::Policy,
    sale::{Concert, DetailsChange, NewSeat, Payment, Reservation, SeatLabel},
    time::Span,
    user::{Caller, NewUser, Role},
};
use frontrow_storage::{
    Page, Store,
    postgres::{PostgresSettings, PostgresStore},
    sqlite::SqliteStore,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;

/// How many tokens may be active in the house room.
pub const HOUSE_MAX_ACTIVE: i64 = 100;

/// The usual policy, except that a token may become dormant at any age.
pub fn policy() -> Policy {
    Policy { dormant_after: Span::ZERO, ..Policy::default() }
}

/// A store with a clock that stands still, and what a test makes in it.
pub struct Fixture {
    /// The store under test.
    pub store: Arc<dyn Store>,
    /// Its clock.
    pub clock: Clock,
    /// Ids from a seed.
    pub ids: Ids,
    /// Keeps the store's folder until the test ends.
    pub folder: Option<TempDir>,
    /// Keeps the store's database until the test ends.
    pub database: Option<TestDatabase>,
}

impl Fixture {
    pub fn new(clock: Clock, store: Arc<dyn Store>, folder: Option<TempDir>) -> Self {
        Self { store, clock, ids: Ids::from_seed(7), folder, database: None }
    }

    /// A box office in a new `SQLite` file.
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(START);
        let store = open_sqlite(&folder.path().join("frontrow.db"), &clock);
        Self::new(clock, Arc::new(store), Some(folder))
    }

    /// A box office in a new `PostgreSQL` database.
    pub async fn postgres() -> Self {
        let database = TestDatabase::new().await;
        let clock = Clock::manual(START);
        let store = open_postgres(&database, &clock).await;
        Self { database: Some(database), ..Self::new(clock, Arc::new(store), None) }
    }

    /// The store as another process opens it. One that lives in memory is the same.
    pub async fn reopened(&self) -> Arc<dyn Store> {
        match (&self.database, &self.folder) {
            (Some(database), _) => Arc::new(open_postgres(database, &self.clock).await),
            (None, Some(_)) => Arc::new(open_sqlite(&self.path(), &self.clock)),
            (None, None) => Arc::clone(&self.store),
        }
    }

    /// The box office after a restart, over the folder or database of this one.
    pub async fn restarted(&self) -> Self {
        Self { ids: self.ids.clone(), ..Self::new(self.clock.clone(), self.reopened().await, None) }
    }

    /// Takes back the numbers that a store with many writers reserved and did not use, so that the next ones are
    /// those of a store with one writer. Does nothing to any other store. So many `letters` were asked for so far.
    pub async fn close_gaps(&self, letters: usize) {
        let Some(database) = &self.database else { return };
        let tables = [
            ("concert_ids", "concert_id", "concert"),
            ("seat_ids", "seat_id", "seat"),
            ("reservation_ids", "reservation_id", "reservation"),
            ("payment_ids", "payment_id", "payment"),
            ("point_ids", "point_id", "point"),
            ("history_ids", "history_id", "point_history"),
            ("audit_ids", "audit_id", "audit_log"),
            ("debt_ids", "debt_id", "debt"),
        ];
        let ids = tables.map(|(ids, id, table)| {
            format!("SELECT setval('{ids}', greatest(max({id}), 1), max({id}) IS NOT NULL) FROM {table}")
        });
        // Delivered events are gone, but each entry of the log and each letter had one.
        let events = format!(
            "SELECT setval('event_ids', greatest(n, 1), n > 0)
             FROM (SELECT {letters} + coalesce(max(audit_id), 0) AS n FROM audit_log) AS emitted"
        );
        let positions = "SELECT setval(('room_position_' || r.room_id)::regclass, greatest(max(w.position), 1),
                 max(w.position) IS NOT NULL)
             FROM room AS r LEFT JOIN waiting_token AS w USING (room_id) GROUP BY r.room_id";
        let sql = [&ids.join(";"), events.as_str(), positions].join(";");
        database.client().await.batch_execute(&sql).await.unwrap();
    }

    /// The path of its `SQLite` file.
    pub fn path(&self) -> PathBuf {
        self.folder.as_ref().unwrap().path().join("frontrow.db")
    }

    pub fn advance(&self, secs: i64) {
        self.clock.advance(Span::from_secs(secs));
    }

    /// One batch.
    pub async fn batch(&self, requests: Vec<Request>) -> (Vec<Answer>, Changes) {
        let committed = self.store.transact(requests.into(), decide_all).await.unwrap();
        (committed.answers, committed.changes)
    }

    /// One command in a batch of its own.
    pub async fn ask(&self, caller: Caller, command: Command) -> Decision {
        self.batch(vec![request(caller, command)]).await.0.remove(0).decision
    }

    pub async fn register(&self) -> UserId {
        let user_id = UserId(self.ids.uuid(self.clock.now()));
        self.register_as(user_id, "Kim Minji", &format!("{user_id}@example.com")).await;
        user_id
    }

    pub async fn register_as(&self, user_id: UserId, name: &str, email: &str) {
        let user = NewUser {
            user_id,
            name: name.to_owned(),
            email: email.to_owned(),
            password_hash: "$argon2id$".to_owned(),
            role: Role::Buyer,
        };
        self.ask(Caller::System, Command::Register(user)).await.unwrap();
    }

    pub async fn concert(&self) -> Concert {
        self.concert_like(new_concert()).await
    }

    pub async fn concert_like(&self, new: NewConcert) -> Concert {
        match self.ask(Caller::System, Command::CreateConcert(new)).await {
            Ok(Outcome::Concert(concert)) => concert,
            other => panic!("{other:?}"),
        }
    }

    /// Seats 1 to `count`.
    pub async fn seats(&self, concert_id: ConcertId, count: i32) -> Vec<SeatId> {
        let command = Command::AddSeats { concert_id, seats: (1..=count).map(new_seat).collect() };
        match self.ask(Caller::System, command).await {
            Ok(Outcome::SeatsAdded { first_seat_id, count }) => {
                (0..i64::from(count)).map(|step| SeatId::new(first_seat_id.get() + step)).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    pub async fn join(&self, user: UserId, room_id: RoomId) -> Token {
        match self.ask(Caller::Buyer(user), Command::IssueToken { room_id, concert_id: room_id.concert() }).await {
            Ok(Outcome::Joined { token, .. }) => token,
            other => panic!("{other:?}"),
        }
    }

    pub async fn advance_line(&self, room_id: RoomId, limit: u32) {
        self.ask(
            Caller::System,
            Command::AdvanceRoom { room_id, fence: Fence(0), limit, unresponsive: Vec::new(), outlook: None },
        )
        .await
        .unwrap();
    }

    /// An active token of the house room.
    pub async fn activate(&self, user: UserId) -> TokenId {
        let token = self.join(user, RoomId::HOUSE).await.id;
        self.advance_line(RoomId::HOUSE, 100).await;
        match self.ask(Caller::Buyer(user), Command::ActivateToken { token }).await {
            Ok(Outcome::Token(token)) => token.id,
            other => panic!("{other:?}"),
        }
    }

    pub async fn hold(&self, user: UserId, token: TokenId, seat: SeatId) -> Reservation {
        match self.ask(Caller::Buyer(user), Command::Hold { token, seat_ids: vec![seat] }).await {
            Ok(Outcome::Held(mut held)) => held.remove(0),
            other => panic!("{other:?}"),
        }
    }

    pub async fn top_up(&self, user_id: UserId, won: i64) {
        let command = Command::TopUp { user_id, amount: Money::new(won), reference: None };
        self.ask(Caller::Buyer(user_id), command).await.unwrap();
    }

    pub async fn pay(&self, user: UserId, token: TokenId, reservation: ReservationId) -> Payment {
        let command = Command::Pay { token, reservation_ids: vec![reservation] };
        match self.ask(Caller::Buyer(user), command).await {
            Ok(Outcome::Paid(mut payments)) => payments.remove(0),
            other => panic!("{other:?}"),
        }
    }

    /// A user with 1,000,000 won, an active token and a paid seat of a new concert.
    pub async fn sale(&self) -> Sale {
        let concert = self.concert().await;
        let seats = self.seats(concert.concert_id, 3).await;
        let user = self.register().await;
        self.top_up(user, 1_000_000).await;
        let token = self.activate(user).await;
        let reservation = self.hold(user, token, seats[0]).await;
        let payment = self.pay(user, token, reservation.reservation_id).await;
        Sale { seats, user, token, payment }
    }
}

/// What [`Fixture::sale`] made.
pub struct Sale {
    pub seats: Vec<SeatId>,
    pub user: UserId,
    pub token: TokenId,
    pub payment: Payment,
}

pub fn open_sqlite(path: &Path, clock: &Clock) -> SqliteStore {
    SqliteStore::open(path, clock.clone(), policy(), HOUSE_MAX_ACTIVE).unwrap()
}

pub async fn open_postgres(database: &TestDatabase, clock: &Clock) -> PostgresStore {
    let settings = PostgresSettings { lanes: 2, readers: 2, ..PostgresSettings::new(&database.url()) };
    PostgresStore::open(&settings, clock.clone(), policy(), HOUSE_MAX_ACTIVE).await.unwrap()
}

pub fn request(caller: Caller, command: Command) -> Request {
    Request { caller, command, idempotency: None }
}

/// A request with an idempotency key made of one byte.
pub fn keyed(caller: Caller, command: Command, key: u8, fingerprint: u8) -> Request {
    let idempotency = Idempotency { key: [key; 32], fingerprint: [fingerprint; 32] };
    Request { caller, command, idempotency: Some(idempotency) }
}

pub fn first<K>(limit: u32) -> Page<K> {
    Page { after: None, limit }
}

pub fn after<K>(after: K, limit: u32) -> Page<K> {
    Page { after: Some(after), limit }
}

pub fn new_concert() -> NewConcert {
    NewConcert {
        title: "Midnight Tide: The First Night".to_owned(),
        artist: "Midnight Tide".to_owned(),
        venue: "Hangang Hall, Seoul".to_owned(),
        time_zone: "Asia/Seoul".to_owned(),
        concert_date: jiff::civil::date(2027, 3, 1),
        start_time: jiff::civil::time(17, 0, 0, 0),
        end_time: jiff::civil::time(19, 30, 0, 0),
        starts_at: START.plus(Span::from_secs(45 * 86_400)),
        ends_at: START.plus(Span::from_secs(45 * 86_400 + 9_000)),
        base_price: Money::new(90_000),
        opens_at: Some(START),
        closes_at: Some(START.plus(Span::from_secs(44 * 86_400))),
        own_room_max_active: None,
        details: DetailsChange::default(),
    }
}

pub fn new_seat(seat_number: i32) -> NewSeat {
    let number = seat_number.to_string();
    let label = SeatLabel { section: "Floor".to_owned(), row: "A".to_owned(), number, grade: "VIP".to_owned() };
    NewSeat { seat_number: Some(seat_number), price: Some(Money::new(120_000)), label }
}
