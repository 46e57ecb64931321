//! Rooms without a live token cost nothing. So a box office may have had any number of sales.

use crate::PROGRAM;
use frontrow_clock::Clock;
use frontrow_domain::time::Time;
use frontrow_service::{drafts::ConcertDraft, testing};
use frontrow_testkit::{
    Hall, Server, eventually, id,
    program::succeeds,
    servers::{
        postgres::{PostgresServer, TestDatabase, programs},
        redis::RedisServer,
    },
    settings,
};
use reqwest::Method;
use std::collections::BTreeMap;
use tokio_postgres::Client;

/// How often the instances listen for frames, which they do at a steady pace, while everything else is counted.
const LISTENS: u64 = 60;
/// The difference that a few rooms may make by chance: the start of a round, a check that fell due.
const CHANCE: u64 = 25;

/// Two instances over servers of their own, which count.
struct CountedPair {
    postgres: PostgresServer,
    redis: RedisServer,
    database: TestDatabase,
    counts: Client,
}

impl CountedPair {
    async fn open() -> Self {
        let settings = "shared_preload_libraries = 'pg_stat_statements'";
        let postgres = PostgresServer::start_with(&programs(), settings).await;
        let database = TestDatabase::on(&postgres.url("postgres")).await;
        let counts = postgres.client().await;
        counts.batch_execute("CREATE EXTENSION pg_stat_statements").await.unwrap();
        Self { postgres, redis: RedisServer::start(), database, counts }
    }

    async fn instance(&self) -> Server {
        self.instance_with(&[]).await
    }

    async fn instance_with(&self, flags: &[(&str, &str)]) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let (database, redis) = (self.database.url(), self.redis.url());
        let urls = [("--database-url", database.as_str()), ("--redis-url", redis.as_str())];
        let config = settings(folder.path(), &[&urls, flags].concat());
        Server::over(folder, config, Clock::System).await
    }

    /// Own rooms of concerts that are over, in each of which somebody still waits.
    async fn add_past_concerts(&self, count: u32) {
        let client = self.database.client().await;
        client
            .batch_execute(&format!(
                "WITH ids AS MATERIALIZED (SELECT nextval('concert_ids') AS id FROM generate_series(1, {count})),
                 rooms AS (
                     INSERT INTO room (room_id, max_active, gate, cursor, epoch, no_show_ppm, credit_ppm, credit_at,
                         fence, opens_at, closes_at, updated_at)
                     SELECT id, 10, 'open', 0, 1, 0, 0, 0, 0, 1577000000000000, 1577880000000000, 0 FROM ids),
                 concerts AS (
                     INSERT INTO concert (concert_id, title, artist, venue, time_zone, concert_date, start_time,
                         end_time, starts_at, ends_at, base_price, opens_at, closes_at, closing, room_id, status,
                         created_at, updated_at)
                     SELECT id, 'Past', 'Artist', 'Hall', 'Asia/Seoul', '2020-01-01', '20:00:00', '22:00:00',
                         1577880000000000, 1577887200000000, 1000, 1577000000000000, 1577880000000000, 'with_start',
                         id, 'scheduled', 0, 0 FROM ids)
                 INSERT INTO room_cap SELECT id, 10, 0 FROM ids;
                 WITH rooms AS MATERIALIZED (
                     SELECT room_id, nextval('room_position_' || room_id) AS position, gen_random_uuid() AS user_id
                     FROM room AS r WHERE room_id > 0 AND NOT EXISTS (
                         SELECT FROM waiting_token AS w WHERE w.room_id = r.room_id)),
                 users AS (
                     INSERT INTO \"user\" (user_id, name, email, password_hash, role, created_at, updated_at)
                     SELECT user_id, 'Late', 'late' || room_id || '@example.com', '', 'buyer', 0, 0 FROM rooms)
                 INSERT INTO waiting_token (room_id, position, user_id, status, issued_at)
                 SELECT room_id, position, user_id, 'waiting', 1577000000000000 FROM rooms"
            ))
            .await
            .unwrap();
    }

    /// How often each command was called, but for those with which this is asked.
    fn redis_calls(&self) -> BTreeMap<String, u64> {
        let text: String = self.redis.ask(&["INFO", "commandstats"]);
        let calls = text.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
        });
        calls.filter(|(name, _): &(String, u64)| name != "info").collect()
    }

    /// How many statements the database has run.
    async fn statements(&self) -> u64 {
        let sql = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements AS s
                   JOIN pg_database AS d ON d.oid = s.dbid WHERE d.datname = $1";
        let row = self.counts.query_one(sql, &[&self.database.name()]).await.unwrap();
        u64::try_from(row.get::<_, i64>(0)).unwrap()
    }

    /// The statement that ran most often since the counts were forgotten, and how often.
    async fn most_frequent(&self) -> (i64, String) {
        let sql = "SELECT s.calls, s.query FROM pg_stat_statements AS s
                   JOIN pg_database AS d ON d.oid = s.dbid WHERE d.datname = $1 ORDER BY s.calls DESC LIMIT 1";
        let row = self.counts.query_one(sql, &[&self.database.name()]).await.unwrap();
        (row.get(0), row.get(1))
    }

    /// How many rows one run of a statement has brought at most, on the average of its runs since the counts were
    /// forgotten.
    async fn widest(&self) -> i64 {
        let sql = "SELECT coalesce(max(s.rows / s.calls), 0)::bigint FROM pg_stat_statements AS s
                   JOIN pg_database AS d ON d.oid = s.dbid WHERE d.datname = $1 AND s.calls > 0";
        self.counts.query_one(sql, &[&self.database.name()]).await.unwrap().get(0)
    }

    async fn forget_counts(&self) {
        self.counts.batch_execute("SELECT pg_stat_statements_reset()").await.unwrap();
    }

    /// How often Redis was called and how many statements ran while the instances listened so many times.
    async fn cost(&self) -> (u64, u64) {
        let listens = |calls: &BTreeMap<String, u64>| calls.get("xread").copied().unwrap_or(0);
        let (before, statements) = (self.redis_calls(), self.statements().await);
        let after = eventually("the instances have listened", async || {
            let calls = self.redis_calls();
            (listens(&calls) >= listens(&before) + LISTENS).then_some(calls)
        })
        .await;
        (after.values().sum::<u64>() - before.values().sum::<u64>(), self.statements().await - statements)
    }
}

/// A concert on sale by the real clock that has a room of its own.
async fn own_room(server: &Server, seats: i32) -> Hall {
    let change = |draft: &mut ConcertDraft| (draft.opens_at, draft.own_room_max_active) = (Time::default(), Some(10));
    server.hall_like(seats, change).await
}

async fn metrics(server: &Server) -> String {
    server.anonymous().call_at(Method::GET, "/metrics").send().await.text()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finished_rooms_cost_idle_instances_nothing() {
    let office = CountedPair::open().await;
    // Somebody waits in each, until the instances have ended the lines.
    let retire = async || {
        let (one, two) = (office.instance().await, office.instance().await);
        for server in [&one, &two] {
            eventually("the past rooms are quiet", async || {
                testing::lines(&server.app().office).busy_rooms().is_empty().then_some(())
            })
            .await;
        }
        (one, two)
    };
    office.add_past_concerts(3).await;
    let (one, two) = retire().await;
    let few = office.cost().await;
    one.stop().await;
    two.stop().await;

    office.add_past_concerts(300).await;
    let (one, two) = retire().await;
    one.stop().await;
    two.stop().await;
    office.forget_counts().await;
    let (one, two) = (office.instance().await, office.instance().await);
    // However long the starts take: what runs by the clock meanwhile is a small part of that.
    let (calls, statement) = office.most_frequent().await;
    assert!(calls < 304, "{calls} times for two starts with 304 empty rooms: {statement}");
    assert_eq!(testing::lines(&one.app().office).rooms().len(), 304);
    office.forget_counts().await;
    let many = office.cost().await;
    for server in [&one, &two] {
        let mut after = None;
        for _ in 0..4 {
            after = server.app().office.find_rooms(after).await.unwrap();
        }
        assert_eq!(after, None, "304 rooms are looked through in parts");
    }
    assert!(office.widest().await <= 100, "a statement reads as many rows as there are rooms");
    assert!(many.0 <= 2 * few.0 + CHANCE, "calls of Redis, then statements: {many:?} for many rooms, {few:?} for few");
    assert!(many.1 <= 2 * few.1 + CHANCE, "calls of Redis, then statements: {many:?} for many rooms, {few:?} for few");
    let text = metrics(&one).await;
    assert!(text.contains("frontrow_room_tokens{room=\"0\""), "{text}");
    assert!(!text.contains("room=\"7\""), "a room of a sale that is over has no gauge: {text}");
    one.stop().await;
    two.stop().await;
    drop(office.postgres);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_room_moves_whichever_instance_a_user_joins_at() {
    let office = CountedPair::open().await;
    let (one, two) = (office.instance().await, office.instance().await);
    let hall = own_room(&one, 4).await;
    let room = hall.id().to_string();
    let leads =
        async |server: &Server| metrics(server).await.contains(&format!("frontrow_room_leader{{room=\"{room}\"}} 1\n"));
    let has_gauge =
        async |server: &Server| metrics(server).await.contains(&format!("frontrow_room_leader{{room=\"{room}\"}}"));
    for (number, (here, there)) in [(&one, &two), (&two, &one), (&one, &two)].into_iter().enumerate() {
        let buyer = here.buyer_with(&format!("buyer{number}"), 100_000).await;
        let token = buyer.enter(Some(hall.id())).await;
        buyer.at(there.address).wait_for(&token, "active").await;
        eventually("one of them leads", async || (leads(here).await || leads(there).await).then_some(())).await;
        let held = buyer.hold(&token, hall.seats[number]).await.expect(201);
        buyer.pay(&token, id(&held, "reservation_id")).await.expect(201);
        eventually("the room is quiet again", async || {
            (!has_gauge(here).await && !has_gauge(there).await).then_some(())
        })
        .await;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut check = PROGRAM.command(folder.path(), "check");
    check.args(["--database-url", &office.database.url(), "--redis-url", &office.redis.url()]);
    assert!(succeeds(&mut check).ends_with("The books are in order.\n"));
    one.stop().await;
    two.stop().await;
    drop(office.postgres);
}

/// How often the instance gave the wait for a row up.
async fn given_up(server: &Server) -> u64 {
    let text = metrics(server).await;
    let line = text.lines().find_map(|line| line.strip_prefix("frontrow_store_errors_total{kind=\"contended\"} "));
    line.map_or(0, |count| count.parse().unwrap())
}

/// The row of one room is held by somebody who is no instance, so that the transaction that would move its line waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_whose_row_is_held_keeps_no_other_room_waiting() {
    let office = CountedPair::open().await;
    let patient = [("--database-lock-timeout-ms", "5900"), ("--database-statement-timeout-ms", "6000")];
    let one = office.instance_with(&patient).await;
    let held = own_room(&one, 1).await;
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(own_room(&one, 1).await);
    }
    let client = office.database.client().await;
    client.batch_execute(&format!("BEGIN; SELECT FROM room WHERE room_id = {} FOR UPDATE", held.id())).await.unwrap();
    one.buyer("first").await.join(Some(held.id())).await;
    let mut is_independent = false;
    for attempt in 0..5 {
        let buyer = one.buyer(&format!("buyer{attempt}")).await;
        eventually("the line of the held room waits for its row", async || {
            let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = $1";
            let row = office.counts.query_one(waits, &[&office.database.name()]).await.unwrap();
            (row.get::<_, i64>(0) > 0).then_some(())
        })
        .await;
        let before = given_up(&one).await;
        let mut tokens = Vec::new();
        for hall in &others {
            tokens.push(buyer.join(Some(hall.id())).await["token"].as_str().unwrap().to_owned());
        }
        for token in &tokens {
            buyer.wait_for(token, "offered").await;
        }
        // While that one transaction waited. A machine that is busy elsewhere may take longer: then once more.
        is_independent = given_up(&one).await == before;
        if is_independent {
            break;
        }
    }
    assert!(is_independent, "the other rooms wait until the transaction of the held one is given up");
    client.batch_execute("ROLLBACK").await.unwrap();
    one.stop().await;
    drop(office.postgres);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_in_a_finished_room_works_at_any_instance() {
    let office = CountedPair::open().await;
    let (one, two) = (office.instance().await, office.instance().await);
    let hall = own_room(&one, 2).await;
    let buyer = one.buyer_with("buyer", 200_000).await;
    let token = buyer.enter(Some(hall.id())).await;
    let held = buyer.hold(&token, hall.seats[0]).await.expect(201);
    let paid = buyer.pay(&token, id(&held, "reservation_id")).await.expect(201);
    let payment = id(&paid, "payment_id");
    let operator = two.operator().await;
    operator
        .patch(
            &format!("/operator/concerts/{}", hall.id()),
            &serde_json::json!({ "status": "closed", "reason": "The hall asks for it." }),
        )
        .await
        .expect(200);
    eventually("the finished room has no gauge", async || {
        let gauge = format!("room=\"{}\"", hall.id());
        (!metrics(&one).await.contains(&gauge) && !metrics(&two).await.contains(&gauge)).then_some(())
    })
    .await;
    buyer.at(two.address).post(&format!("/payments/{payment}/refund"), &serde_json::json!({})).await.expect(200);
    assert_eq!(buyer.balance().await, 200_000);
    one.stop().await;
    two.stop().await;
    drop(office.postgres);
}
