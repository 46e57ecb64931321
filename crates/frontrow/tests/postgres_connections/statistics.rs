//! The cost of statements when the server's statistics are of another day: no batch, and no read that is asked often,
//! looks at more of a line the longer it is.

use crate::{
    plans::{looks, pages, sell},
    sale::{START, activate, ask, buyers, concert, hold, open},
};
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    command::{Command, Outcome},
    id::{Position, RoomId, TokenId},
    line::{Fence, TokenStatus},
    sale::ReservationStatus,
    user::Caller,
};
use frontrow_storage::{
    Page, ReservationFilter, Store,
    postgres::{PostgresSettings, Statements},
};
use frontrow_testkit::servers::postgres::{PostgresServer, TestDatabase, programs};
use std::fmt::Write as _;
use tokio_postgres::Client;

/// How long the line is.
const LINE: i64 = 12_000;
/// How many rows, and how many pages, one statement of a small batch may look at, when some hundred tokens are moved.
/// Far fewer than the line has.
const LOOKS_MAX: u64 = 2_500;

const SETTINGS: &str = "
autovacuum = off
shared_buffers = 256MB
max_wal_size = 4GB
session_preload_libraries = 'auto_explain'
auto_explain.log_min_duration = 0
auto_explain.log_analyze = on
auto_explain.log_buffers = on
auto_explain.log_timing = off
auto_explain.log_nested_statements = on
log_min_messages = warning
";

/// The rows of a day of the sale, except the line.
const REST: &str = "
INSERT INTO \"user\" SELECT someone(n), 'Kim ' || n, n || '@example.com', '$argon2id$', 'buyer', T0, T0
    FROM generate_series(1, 2 * LINE) AS n;
INSERT INTO session SELECT sha256(n::text::bytea), someone(n), 'buyer', T0 + 60000000 + n, T0, NULL
    FROM generate_series(1, LINE) AS n;
INSERT INTO concert (concert_id, title, artist, venue, time_zone, concert_date, start_time, end_time, starts_at,
        ends_at, base_price, opens_at, closes_at, closing, room_id, status, created_at, updated_at)
    SELECT n, 'Concert ' || n, 'Artist ' || n, 'Hall', 'Asia/Seoul', '2027-03-01', '20:00:00', '22:00:00',
        T0 + 3000000000000, T0 + 3007200000000, 1000, T0, T0 + 2000000000000, 'apart', 0, 'scheduled', T0, T0
    FROM generate_series(1, 2) AS n;
INSERT INTO seat SELECT n, n % 2 + 1, n, 1000, 'sold', n, NULL, 'Floor', 'A', n::text, 'VIP', T0, T0
    FROM generate_series(1, LINE) AS n;
INSERT INTO reservation SELECT n, someone(n), n % 2 + 1, n, n, 1000, 'confirmed', T0 - 60000000, T0 - 60000000,
        T0 - 60000000, NULL
    FROM generate_series(1, LINE) AS n;
INSERT INTO payment SELECT n, someone(n), n, 1000, 'completed', T0, NULL, T0 FROM generate_series(1, LINE) AS n;
INSERT INTO point SELECT n, someone(n), 5000, 2, T0, T0 FROM generate_series(1, LINE) AS n;
INSERT INTO point_history SELECT 2 * n - 1, someone(n), 6000, 'top_up', 'x', 6000, 1, NULL, 'ref ' || n, T0
    FROM generate_series(1, LINE) AS n;
INSERT INTO point_history SELECT 2 * n, someone(n), -1000, 'use', 'x', 5000, 2, n, NULL, T0
    FROM generate_series(1, LINE) AS n;
INSERT INTO idempotency (key, fingerprint, answer, created_at)
    SELECT sha256(n::text::bytea), sha256('x'), '{}', T0 - 3600000000 + n FROM generate_series(1, LINE) AS n;
SELECT setval('concert_ids', LINE), setval('seat_ids', LINE), setval('reservation_ids', LINE),
    setval('payment_ids', LINE), setval('point_ids', LINE), setval('history_ids', 2 * LINE), setval('audit_ids', LINE);
";

/// Tokens of the house room, from the first position to the last: those that have paid, those that are active, those
/// that wait.
fn tokens(first: i64, paid: i64, active: i64, waiting: i64) -> String {
    let ended = "'ended', T0 - 60000000, T0, NULL, NULL, T0, 'paid', NULL";
    let active_now = "'active', T0 - 60000000, T0, NULL, T0 + 600000000, NULL, NULL, T0 + 600000000";
    let waits = "'waiting', T0 - 60000000, NULL, NULL, NULL, NULL, NULL, NULL";
    let mut from = first;
    let mut sql = String::new();
    for (count, values) in [(paid, ended), (active, active_now), (waiting, waits)] {
        let to = from + count;
        write!(
            sql,
            "INSERT INTO waiting_token (room_id, position, user_id, status, issued_at, activated_at, deadline,
                 active_until, expired_at, end_reason, due_from)
             SELECT 0, n, someone(n), {values} FROM generate_series({from}, {to} - 1) AS n;"
        )
        .unwrap();
        from = to;
    }
    sql
}

/// The day that the statistics are of.
#[derive(Debug, Clone, Copy)]
enum Day {
    /// Before any token was issued, as after a migration.
    Empty,
    /// When all tokens waited and none had been let in.
    Full,
    /// After a sale: every token has ended.
    Ended,
}

async fn run(client: &Client, sql: &str) {
    let sql = sql.replace("LINE", &LINE.to_string()).replace("T0", &START.micros().to_string());
    let sql = format!("SET session_replication_role = replica; SET auto_explain.log_min_duration = -1; {sql}");
    client.batch_execute(&sql).await.unwrap();
}

/// A box office whose statistics are of `day` while half of its line has paid, some are active and the rest waits. The
/// first position that waits.
async fn sale(client: &Client, day: Day) -> i64 {
    let (paid, active, half) = (LINE / 2, 400, LINE / 2);
    let someone = "CREATE FUNCTION someone(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
        RETURN ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid";
    run(client, someone).await;
    let first = match day {
        Day::Empty => {
            client.batch_execute("VACUUM ANALYZE").await.unwrap();
            run(client, REST).await;
            run(client, &tokens(1, paid, active, half)).await;
            paid + active + 1
        }
        Day::Full => {
            run(client, REST).await;
            run(client, &tokens(1, 0, 0, LINE)).await;
            client.batch_execute("VACUUM ANALYZE").await.unwrap();
            let moved = "UPDATE waiting_token SET status = 'ended', expired_at = T0, end_reason = 'paid'
                     WHERE position <= LINE / 2;
                 UPDATE waiting_token SET status = 'active', activated_at = T0, active_until = T0 + 600000000,
                         due_from = T0 + 600000000
                     WHERE position > LINE / 2 AND position <= LINE / 2 + 400;";
            run(client, moved).await;
            paid + active + 1
        }
        Day::Ended => {
            run(client, REST).await;
            run(client, &tokens(1, LINE, 0, 0)).await;
            client.batch_execute("VACUUM ANALYZE").await.unwrap();
            run(client, &tokens(LINE + 1, 0, active, half)).await;
            LINE + active + 1
        }
    };
    let rest = format!(
        "SELECT setval('room_position_0', (SELECT max(position) FROM waiting_token));
         UPDATE room SET cursor = {first} - 1,
             active = (SELECT count(*) FROM waiting_token AS t WHERE t.room_id = room.room_id AND t.status = 'active');"
    );
    run(client, &rest).await;
    first
}

fn house(position: i64) -> TokenId {
    TokenId { room_id: RoomId::HOUSE, position: Position(position) }
}

/// The turns at the head are claimed, and some of those leave again. Reads that are asked often.
async fn claim(store: &dyn Store, first: i64) {
    let advance = Command::AdvanceRoom {
        room_id: RoomId::HOUSE,
        fence: Fence(0),
        limit: 20,
        unresponsive: Vec::new(),
        outlook: None,
    };
    ask(store, vec![(Caller::System, advance)]).await;
    let mut offered = Vec::new();
    for position in first.. {
        let token = store.token(house(position)).await.unwrap().unwrap();
        match token.status() {
            TokenStatus::Offered => offered.push(token),
            TokenStatus::Waiting => break,
            _ => {}
        }
    }
    assert!(!offered.is_empty());
    let claims = offered.iter().map(|token| (Caller::Buyer(token.user_id), Command::ActivateToken { token: token.id }));
    let active = ask(store, claims.collect()).await;
    assert!(
        active.iter().all(|outcome| matches!(outcome, Outcome::Token(token) if token.status() == TokenStatus::Active))
    );
    let leave = offered.iter().map(|token| (Caller::Buyer(token.user_id), Command::LeaveQueue { token: token.id }));
    ask(store, leave.collect()).await;
    let behind = store.token(house(first + 1_000)).await.unwrap().unwrap();
    assert_eq!(store.live_tokens(behind.user_id).await.unwrap(), [behind]);
    let page = Page { after: Some(Position(first + 1_000)), limit: 100 };
    assert_eq!(store.waiting_tokens(RoomId::HOUSE, page).await.unwrap().len(), 100);
    let unused =
        store.unassigned_positions(RoomId::HOUSE, Position(first + 1_000), Position(first + 1_100)).await.unwrap();
    assert_eq!(unused, []);
}

async fn assert_cheap(day: Day) {
    let server = PostgresServer::start_with(&programs(), SETTINGS).await;
    let database = TestDatabase::on(&server.url("postgres")).await;
    let (clock, ids) = (Clock::manual(START), Ids::from_seed(7));
    drop(open(&PostgresSettings::new(&database.url()), &clock).await);
    let first = sale(&database.client().await, day).await;
    let before = server.log().len();
    for statements in [Statements::Named, Statements::Unnamed] {
        let store = open(
            &PostgresSettings { lanes: 1, readers: 1, statements, ..PostgresSettings::new(&database.url()) },
            &clock,
        )
        .await;
        for _ in 0..2 {
            sell(&store, &ids).await;
            claim(&store, first).await;
        }
    }
    let log = server.log().split_off(before);
    let plans: Vec<&str> = log.split("LOG:  duration: ").skip(1).collect();
    assert!(plans.len() > 100, "{} plans", plans.len());
    let mut faults: Vec<String> = Vec::new();
    for plan in plans {
        let (rows, read) = (looks(plan), pages(plan));
        let query = plan.lines().nth(1).unwrap_or_default();
        if (rows > LOOKS_MAX || read > LOOKS_MAX) && !faults.iter().any(|fault| fault.contains(query)) {
            faults.push(format!("{rows} rows and {read} pages: {plan}\n"));
        }
    }
    assert!(faults.is_empty(), "with the statistics of {day:?}, {}: {}", faults.len(), faults.concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_costs_more_with_the_line_where_the_statistics_are_of_an_empty_one() {
    assert_cheap(Day::Empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_costs_more_with_the_line_where_the_statistics_are_of_a_full_one() {
    assert_cheap(Day::Full).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_costs_more_with_the_line_where_the_statistics_are_of_an_ended_sale() {
    assert_cheap(Day::Ended).await;
}

/// The most rows and the most pages that a statement looks at, from an offer to claims and departures, in a room where
/// so many are active.
async fn claims_among(active: i64, server: &PostgresServer) -> (u64, u64) {
    let database = TestDatabase::on(&server.url("postgres")).await;
    let clock = Clock::manual(START);
    drop(open(&PostgresSettings::new(&database.url()), &clock).await);
    let client = database.client().await;
    let someone = "CREATE FUNCTION someone(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
        RETURN ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid";
    run(&client, someone).await;
    run(&client, REST).await;
    run(&client, &tokens(1, 0, active, LINE - active)).await;
    let counted = format!(
        "SELECT setval('room_position_0', LINE);
         UPDATE room SET cursor = {active}, active = {active}, max_active = {active} + 1000"
    );
    run(&client, &counted).await;
    client.batch_execute("VACUUM ANALYZE").await.unwrap();
    let before = server.log().len();
    let store =
        open(&PostgresSettings { lanes: 1, readers: 1, ..PostgresSettings::new(&database.url()) }, &clock).await;
    for _ in 0..3 {
        claim(&store, active + 1).await;
    }
    let log = server.log().split_off(before);
    let plans: Vec<&str> = log.split("LOG:  duration: ").skip(1).collect();
    let most = |cost: fn(&str) -> u64| plans.iter().map(|plan| cost(plan)).max().unwrap();
    (most(looks), most(pages))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_looks_at_no_more_where_ten_thousand_are_active_than_where_ten_are() {
    let server = PostgresServer::start_with(&programs(), SETTINGS).await;
    let (few, many) = (claims_among(10, &server).await, claims_among(10_000, &server).await);
    // An index that is larger may be a step deeper.
    assert!(many.0 <= few.0 + 10 && many.1 <= 2 * few.1, "ten: {few:?}, ten thousand: {many:?} rows and pages");
}

/// How many reservations of one user have ended, in a box office in which a buyer holds much and gives it up again.
const HISTORY: i64 = 5_000;

/// Reservations of others, so many that the statistics are of them.
fn others(status: &str, closed_at: &str) -> String {
    format!(
        "INSERT INTO reservation (reservation_id, user_id, concert_id, seat_id, seat_number, price, status, created_at,
             expires_at, confirmed_at, closed_at)
         SELECT 1000000 + n, someone(n), 1, 1000000 + n, n, 1000, '{status}', T0 - 60000000, T0 + 60000000, NULL,
             {closed_at} FROM generate_series(1, LINE) AS n;"
    )
}

/// The most rows and the most pages that a statement of two holds looks at, and a statement of the first page of each
/// list of the user's reservations, of which so many have ended.
async fn holds_after(history: i64, day: Day, server: &PostgresServer) -> [(u64, u64); 2] {
    let database = TestDatabase::on(&server.url("postgres")).await;
    let (clock, ids) = (Clock::manual(START), Ids::from_seed(7));
    let store = open(&PostgresSettings::new(&database.url()), &clock).await;
    let (concert_id, seats) = concert(&store, 4).await;
    let users = buyers(&store, &ids, 1).await;
    let tokens = activate(&store, concert_id, &users).await;
    drop(store);
    let client = database.client().await;
    run(
        &client,
        "CREATE FUNCTION someone(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
             RETURN ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid",
    )
    .await;
    let ended = format!(
        "INSERT INTO reservation (reservation_id, user_id, concert_id, seat_id, seat_number, price, status, created_at,
             expires_at, confirmed_at, closed_at)
         SELECT 2000000 + n, '{}', 1, 2000000 + n, n, 1000, 'cancelled', T0 - 60000000, T0, NULL, T0
         FROM generate_series(1, {history}) AS n;",
        users[0]
    );
    match day {
        Day::Empty => {
            client.batch_execute("VACUUM ANALYZE").await.unwrap();
            run(&client, &(others("cancelled", "T0") + &ended)).await;
        }
        Day::Full => {
            run(&client, &others("pending", "NULL")).await;
            client.batch_execute("VACUUM ANALYZE").await.unwrap();
            run(&client, &ended).await;
        }
        Day::Ended => {
            run(&client, &(others("cancelled", "T0") + &ended)).await;
            client.batch_execute("VACUUM ANALYZE").await.unwrap();
        }
    }
    let most = |log: &str, part: &str| {
        let plans = || log.split("LOG:  duration: ").skip(1).filter(|plan| plan.contains(part));
        assert!(plans().count() > 1, "{part}: {log}");
        (plans().map(looks).max().unwrap(), plans().map(pages).max().unwrap())
    };
    let mut costs = [(0, 0); 2];
    for (number, statements) in [Statements::Named, Statements::Unnamed].into_iter().enumerate() {
        let settings = PostgresSettings { lanes: 1, readers: 1, statements, ..PostgresSettings::new(&database.url()) };
        let store = open(&settings, &clock).await;
        let before = server.log().len();
        for seat in &seats[2 * number..2 * number + 2] {
            hold(&store, &users, &tokens, &[*seat]).await;
        }
        let of_holds = server.log().split_off(before);
        // A server considers one plan for all values after five times.
        for _ in 0..6 {
            for status in [None, Some(ReservationStatus::Pending), Some(ReservationStatus::Cancelled)] {
                let filter = ReservationFilter { user: Some(users[0]), status, ..Default::default() };
                let page = store.reservations(&filter, Page { after: None, limit: 50 }).await.unwrap();
                assert!(page.iter().all(|row| row.user_id == users[0] && status.is_none_or(|is| row.status() == is)));
            }
        }
        let of_lists = server.log().split_off(before);
        let found = [most(&of_holds, "FROM reservation"), most(&of_lists, "FROM reservation WHERE user_id = $4")];
        costs = [0, 1].map(|of| (costs[of].0.max(found[of].0), costs[of].1.max(found[of].1)));
    }
    costs
}

async fn assert_a_history_costs_nothing(day: Day) {
    let server = PostgresServer::start_with(&programs(), SETTINGS).await;
    let [none, _] = holds_after(0, day, &server).await;
    let [some, lists] = holds_after(HISTORY, day, &server).await;
    // An index that is larger may be a step deeper.
    assert!(
        some.0 <= none.0 && some.1 <= 2 * none.1,
        "with the statistics of {day:?}, a hold of a user without a history: {none:?}, with one: {some:?} rows and pages"
    );
    // A page of each kind, found, joined and sorted. A server that takes the table for empty may rather sort them all.
    let is_page = lists.0 <= 10 * 50 && lists.1 <= 10 * 50;
    assert!(is_page || matches!(day, Day::Empty), "with the statistics of {day:?}, a list: {lists:?} rows and pages");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_ended_reservations_cost_a_hold_nothing_where_the_statistics_are_of_an_empty_box_office() {
    assert_a_history_costs_nothing(Day::Empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_ended_reservations_cost_a_hold_nothing_where_the_statistics_are_of_a_full_sale() {
    assert_a_history_costs_nothing(Day::Full).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_ended_reservations_cost_a_hold_nothing_where_the_statistics_are_of_an_ended_sale() {
    assert_a_history_costs_nothing(Day::Ended).await;
}
