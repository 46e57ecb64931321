//! The cost of a request between the machines: round trips, statements, rows read, and commands to Redis.
//!
//! Counted by a proxy that seems far away, by the server's own `pg_stat_statements`, and by what Redis says of itself.

use crate::{proxy::Counts, sale};
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    changes::Changes,
    command::{Command, Idempotency, Outcome, Request},
    decide::decide_all,
    id::{Position, ReservationId, RoomId, SeatId, TokenId, UserId},
    policy::Policy,
    user::Caller,
};
use frontrow_line::{
    Peers, Rebuild,
    redis::{RedisPeers, RedisSettings},
};
use frontrow_storage::{
    Store,
    postgres::{PostgresSettings, PostgresStore},
};
use frontrow_testkit::servers::{
    postgres::{PostgresServer, TestDatabase, programs},
    redis::RedisServer,
};
use std::sync::Arc;
use tokio_postgres::Client;
use uuid::Uuid;

/// How many commands a batch has here.
const BATCH: usize = 100;
const SETTINGS: &str = "shared_preload_libraries = 'pg_stat_statements'\npg_stat_statements.track = top\n\
                        autovacuum = off\n";

/// A store behind the proxy, and those who count.
struct Counted {
    store: PostgresStore,
    counts: Arc<Counts>,
    /// Asks the server, without the proxy and from another database.
    observer: Client,
    database: TestDatabase,
    _server: PostgresServer,
}

impl Counted {
    async fn new() -> Self {
        let server = PostgresServer::start_with(&programs(), SETTINGS).await;
        let database = TestDatabase::on(&server.url("postgres")).await;
        let observer = server.client().await;
        observer.batch_execute("CREATE EXTENSION pg_stat_statements").await.unwrap();
        let (port, counts) = crate::proxy::start(server.port()).await;
        let url = format!("postgres://postgres@127.0.0.1:{port}/{}?sslmode=disable", database.name());
        let settings = PostgresSettings { lanes: 1, readers: 1, ..PostgresSettings::new(&url) };
        let store =
            PostgresStore::open(&settings, Clock::manual(sale::START), Policy::default(), 1_000_000).await.unwrap();
        Self { store, counts, observer, database, _server: server }
    }

    /// How many statements the server has run in the store's database.
    async fn statements(&self) -> u64 {
        let query = "SELECT coalesce(sum(calls), 0)::int8 FROM pg_stat_statements JOIN pg_database ON oid = dbid
            WHERE datname = $1";
        let calls: i64 = self.observer.query_one(query, &[&self.database.name()]).await.unwrap().get(0);
        calls.unsigned_abs()
    }

    /// Round trips and statements of some work, by the proxy. The server counts the same statements.
    async fn cost<T>(&self, work: impl Future<Output = T>) -> (T, u64, u64) {
        let (trips, statements) = self.counts.now();
        let known = self.statements().await;
        let done = work.await;
        let (trips_now, statements_now) = self.counts.now();
        let statements = statements_now - statements;
        assert_eq!(self.statements().await - known, statements, "the server and the proxy agree");
        (done, trips_now - trips, statements)
    }

    /// Gives a batch; all are done.
    async fn ask(&self, commands: Vec<(Caller, Command)>, ids: &Ids) -> (Vec<Outcome>, Changes) {
        let request = |(caller, command)| {
            let idempotency = Some(Idempotency { key: ids.secret(), fingerprint: ids.secret() });
            Request { caller, command, idempotency }
        };
        let batch: Arc<[Request]> = commands.into_iter().map(request).collect();
        let committed = self.store.transact(batch, decide_all).await.unwrap();
        (committed.answers.into_iter().map(|answer| answer.decision.unwrap()).collect(), committed.changes)
    }
}

fn joins(users: &[UserId]) -> Vec<(Caller, Command)> {
    let join = Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None };
    users.iter().map(|user| (Caller::Buyer(*user), join.clone())).collect()
}

fn holds(users: &[UserId], tokens: &[TokenId], seats: &[SeatId]) -> Vec<(Caller, Command)> {
    let hold = |((user, token), seat): ((&UserId, &TokenId), &SeatId)| {
        (Caller::Buyer(*user), Command::Hold { token: *token, seat_ids: vec![*seat] })
    };
    users.iter().zip(tokens).zip(seats).map(hold).collect()
}

fn payments(users: &[UserId], tokens: &[TokenId], held: &[Outcome]) -> Vec<(Caller, Command)> {
    let pay = |((user, token), held): ((&UserId, &TokenId), &Outcome)| {
        let Outcome::Held(reservations) = held else { panic!("{held:?}") };
        let reservation_ids: Vec<ReservationId> = reservations.iter().map(|row| row.reservation_id).collect();
        (Caller::Buyer(*user), Command::Pay { token: *token, reservation_ids })
    };
    users.iter().zip(tokens).zip(held).map(pay).collect()
}

/// On one thread: the driver then sends what was asked for together in one go. With several it may send the first
/// statement before the second is asked for, and the proxy takes an early answer for the end of a round trip.
#[tokio::test]
async fn a_batch_is_two_round_trips_and_a_fixed_number_of_statements() {
    let counted = Counted::new().await;
    let ids = Ids::from_seed(1);
    let (concert, seats) = sale::concert(&counted.store, 300).await;
    let users = sale::buyers(&counted.store, &ids, 201).await;
    let tokens = sale::activate(&counted.store, concert, &users).await;
    // Statements are prepared once a connection, at their first use: this buyer does everything first.
    let (first, users) = users.split_first().unwrap();
    let (their_token, tokens) = tokens.split_first().unwrap();
    let (their_seat, seats) = seats.split_first().unwrap();
    let held = counted.ask(holds(&[*first], &[*their_token], &[*their_seat]), &ids).await.0;
    counted.ask(payments(&[*first], &[*their_token], &held), &ids).await;
    counted.ask(joins(&[*first]), &ids).await;

    let (users, tokens) = (&users[..BATCH], &tokens[..BATCH]);
    let ((held, _), trips, statements) = counted.cost(counted.ask(holds(users, tokens, seats), &ids)).await;
    must_cost("hold", (trips, statements), 12);
    let (_, trips, statements) = counted.cost(counted.ask(payments(users, tokens, &held), &ids)).await;
    must_cost("payment", (trips, statements), 17);
    let (_, trips, statements) = counted.cost(counted.ask(joins(users), &ids)).await;
    // Two of them are for blocks: the lock that a block waits for, and the blocks of those who join.
    must_cost("token", (trips, statements), 10);
}

#[track_caller]
fn must_cost(what: &str, (trips, statements): (u64, u64), statements_max: u64) {
    let each = |count: u64| f64::from(u32::try_from(count).unwrap()) / 100.0;
    println!("a {what} in a batch of {BATCH}: {} round trips, {} statements", each(trips), each(statements));
    assert_eq!(trips, 2, "round trips of a batch of {what}s");
    assert!(each(trips) <= 0.05);
    assert!(statements <= statements_max, "{statements} statements of a batch of {what}s");
}

/// Plans made while the tables were empty must not run when they are full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_hold_and_a_payment_read_does_not_grow_with_the_tables() {
    let server = PostgresServer::start_with(&programs(), SETTINGS).await;
    let database = TestDatabase::on(&server.url("postgres")).await;
    let settings = PostgresSettings { lanes: 1, readers: 1, ..PostgresSettings::new(&database.url()) };
    let store = PostgresStore::open(&settings, Clock::manual(sale::START), Policy::default(), 1_000).await.unwrap();
    let ids = Ids::from_seed(2);
    let buyers = 4_000;
    let (concert, seats) = sale::concert(&store, buyers).await;
    let users = sale::buyers(&store, &ids, seats.len()).await;
    let mut tokens = Vec::new();
    for part in users.chunks(500) {
        tokens.extend(sale::activate(&store, concert, part).await);
    }
    // The server's statistics from now on: no user has a reservation.
    database.client().await.batch_execute("VACUUM ANALYZE").await.unwrap();
    let observer = server.client().await;
    observer.batch_execute("CREATE EXTENSION pg_stat_statements").await.unwrap();
    let mut looked_at = Vec::new();
    for ((users, tokens), seats) in users.chunks(20).zip(tokens.chunks(20)).zip(seats.chunks(20)) {
        let before = blocks(&observer, database.name()).await;
        let reservations = sale::hold(&store, users, tokens, seats).await;
        sale::pay(&store, users, tokens, &reservations).await;
        looked_at.push(blocks(&observer, database.name()).await - before);
    }
    // The fewest: what else goes on in the server does not count.
    let fewest = |batches: &[i64]| batches.iter().copied().min().unwrap();
    let (first, last) = (fewest(&looked_at[20..40]), fewest(&looked_at[looked_at.len() - 20..]));
    println!("blocks looked at by 20 holds and payments: {first} at the 30th batch, {last} at the 190th");
    assert!(last * 10 <= first * 11, "{looked_at:?}");
}

/// Blocks that the server has looked at in a database, those of foreign keys included.
async fn blocks(observer: &Client, database: &str) -> i64 {
    let query = "SELECT sum(shared_blks_hit + shared_blks_read)::int8 FROM pg_stat_statements
        JOIN pg_database ON oid = dbid WHERE datname = $1 AND toplevel";
    observer.query_one(query, &[&database]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_asks_neither_the_database_nor_redis() {
    let counted = Arc::new(Counted::new().await);
    let redis = RedisServer::start();
    let ids = Ids::from_seed(3);
    let users = sale::buyers(&counted.store, &ids, BATCH).await;
    let (_, changes) = counted.ask(joins(&users), &ids).await;
    let store: Arc<dyn Store> =
        Arc::new(frontrow_storage::memory::MemoryStore::new(Clock::manual(sale::START), Policy::default(), 1_000));
    let (notices, _heard) = tokio::sync::mpsc::channel(16);
    let clock = Clock::manual(sale::START);
    let settings = RedisSettings::new(vec![redis.url()]);
    let queue =
        RedisPeers::start(settings, store, Uuid::from_u128(1), Uuid::from_u128(2), clock, notices).await.unwrap();
    let line = counted.store.line(RoomId::HOUSE).await.unwrap().unwrap();
    queue.rebuild(line, Rebuild::Replace).await;
    let before = commands(&redis);
    queue.publish(&changes);
    frontrow_testkit::servers::redis::wait("the tokens are published", || commands(&redis).0 > before.0);

    let before = commands(&redis);
    let reads: i64 = 200_000;
    let ((), trips, statements) = counted
        .cost(async {
            for number in 0..reads {
                let token = TokenId { room_id: RoomId::HOUSE, position: Position(1 + number % 100) };
                queue.lines().record_heartbeat(token, sale::START);
                let view = queue.lines().view(RoomId::HOUSE).unwrap();
                assert_eq!(view.place(token.position).ahead, number % 100);
            }
        })
        .await;
    let after = commands(&redis);
    println!(
        "{reads} positions: {trips} round trips, {statements} statements, Redis was asked {} times",
        after.1 - before.1
    );
    assert_eq!((trips, statements), (0, 0));
    // The instance speaks with Redis all the time, for itself and for all heartbeats together: not for each poll.
    assert!(after.1 - before.1 < reads / 100, "{before:?} {after:?}");
}

/// How many events were published, and how many commands there were, without those of this test.
fn commands(redis: &RedisServer) -> (i64, i64) {
    let text: String = redis.ask(&["INFO", "commandstats"]);
    let calls = |line: &str| -> Option<(String, i64)> {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
    };
    let all: Vec<(String, i64)> = text.lines().filter_map(calls).collect();
    let sum = |wanted: &dyn Fn(&str) -> bool| all.iter().filter(|(name, _)| wanted(name)).map(|(_, calls)| calls).sum();
    (sum(&|name| name == "xadd"), sum(&|name| name != "info" && !name.starts_with("client") && name != "hello"))
}
