//! The real program, killed and stopped at any moment: what was answered is there, and nothing is there by half.

use crate::PROGRAM;
use frontrow_clock::Clock;
use frontrow_domain::time::Span;
use frontrow_testkit::{
    ApiAnswer, ApiCall, Client, Hall, PRICE, Server, eventually, id, items, program::refused, settings,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// More than a buyer here can spend.
const PLENTY: i64 = 10_000_000;

/// A box office with a concert and buyers who have plenty of points, closed again.
async fn prepared(seats: i32, buyers: usize, flags: &[(&str, &str)]) -> (TempDir, Hall, Vec<Client>) {
    let folder = tempfile::tempdir().unwrap();
    let config = settings(folder.path(), flags);
    let server = Server::over(folder, config, Clock::System).await;
    let now = server.clock.now();
    let hall = server.hall_like(seats, |draft| {
        draft.concert_date = jiff::civil::date(2999, 12, 31);
        draft.opens_at = now.minus(Span::from_secs(60));
    });
    let hall = hall.await;
    let mut clients = Vec::new();
    for number in 0..buyers {
        clients.push(server.buyer_with(&format!("buyer{number}"), PLENTY).await);
    }
    (server.stop().await, hall, clients)
}

/// A write that a buyer asked for.
#[derive(Debug, Clone)]
enum BuyerWrite {
    Join,
    Activate { token: String },
    Hold { token: String, seat: i64 },
    Pay { token: String, reservation: i64 },
}

/// One that was sent, and what came back before the server was gone.
#[derive(Debug, Clone)]
struct Sent {
    buyer: usize,
    key: String,
    ask: BuyerWrite,
    answer: Option<ApiAnswer>,
}

impl Sent {
    fn call(&self, client: &Client) -> ApiCall {
        let call = match &self.ask {
            BuyerWrite::Join => client.call(Method::POST, "/queue/tokens").json(&json!({})),
            BuyerWrite::Activate { token } => client.call(Method::PATCH, &format!("/queue/tokens/{token}/activate")),
            BuyerWrite::Hold { token, seat } => client.hold_call(token, *seat),
            BuyerWrite::Pay { token, reservation } => client.pay_call(token, *reservation),
        };
        call.key(&self.key)
    }

    /// The part of an answer that must never change: a place in line moves, the rest does not.
    fn lasting(&self, answer: &ApiAnswer) -> (u16, Value) {
        let mut body = answer.json();
        match self.ask {
            BuyerWrite::Join | BuyerWrite::Activate { .. } => {
                body = json!([body["token"], body["position"], body["issued_at"], body["activated_at"]]);
            }
            BuyerWrite::Hold { .. } | BuyerWrite::Pay { .. } => {
                body.as_object_mut().unwrap().remove("request_id");
            }
        }
        (answer.status, body)
    }
}

type Log = Arc<Mutex<Vec<Sent>>>;

/// One buyer who buys and buys until the server is gone.
struct Shopper {
    buyer: usize,
    client: Client,
    seats: Vec<i64>,
    random: StdRng,
    log: Log,
}

impl Shopper {
    /// Sends a write and notes it; none if no answer came.
    async fn ask(&mut self, ask: BuyerWrite) -> Option<ApiAnswer> {
        let key = format!("{:016x}{:016x}", self.random.random::<u64>(), self.random.random::<u64>());
        let sent = Sent { buyer: self.buyer, key, ask, answer: None };
        let call = sent.call(&self.client);
        let at = {
            let mut log = self.log.lock().unwrap();
            log.push(sent);
            log.len() - 1
        };
        let answer = call.try_send().await.ok()?;
        self.log.lock().unwrap()[at].answer = Some(answer.clone());
        Some(answer)
    }

    async fn status(&self, token: &str) -> Option<String> {
        let answer = self.client.call(Method::GET, &format!("/queue/tokens/{token}/position")).try_send().await.ok()?;
        Some(answer.expect(200)["status"].as_str().unwrap().to_owned())
    }

    /// Returns as soon as a request stays without an answer.
    async fn shop(mut self) -> Option<()> {
        loop {
            let token = self.ask(BuyerWrite::Join).await?.json()["token"].as_str().unwrap().to_owned();
            loop {
                match &*self.status(&token).await? {
                    "active" => break,
                    "offered" => {
                        self.ask(BuyerWrite::Activate { token: token.clone() }).await?;
                    }
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
            let seat = self.seats[self.random.random_range(0..self.seats.len())];
            let held = self.ask(BuyerWrite::Hold { token: token.clone(), seat }).await?;
            if held.status == 201 {
                let reservation = id(&held.json(), "reservation_id");
                self.ask(BuyerWrite::Pay { token, reservation }).await?.expect(201);
            }
        }
    }
}

/// Everything of a list, page by page.
async fn everything(client: &Client, path: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("{path}?limit=100{cursor}")).await.expect(200);
        rows.extend(items(&page).clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}

/// The refusals that are kept under a key: they come from seats and money, and time alone does not change them.
const KEPT: [&str; 5] = ["seat_held", "seat_held_by_you", "seat_sold", "too_many_seats", "insufficient_points"];

/// Whether an answer is one that is kept under its key: it had an effect, or it is a refusal of [`KEPT`]. A join
/// that found the place that the buyer had changed nothing.
fn is_stored(ask: &BuyerWrite, answer: &ApiAnswer) -> bool {
    match (ask, answer.status) {
        (_, 201) => true,
        (_, 402 | 409) => answer.json()["code"].as_str().is_some_and(|code| KEPT.contains(&code)),
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_at_any_moment_every_answer_is_true_and_every_retry_has_one_effect() {
    let flags = [("--max-active", "4"), ("--max-seats-per-user", "1000")];
    let (folder, hall, clients) = prepared(3_000, 6, &flags).await;
    let log = Log::default();
    let mut random = StdRng::seed_from_u64(20_270_301);
    let mut unanswered = 0;
    for _round in 0..4 {
        let process = PROGRAM.start(folder.path(), &flags);
        let mut shoppers = JoinSet::new();
        for (buyer, client) in clients.iter().enumerate() {
            let (client, random) = (client.at(process.address), StdRng::seed_from_u64(random.random()));
            let shopper = Shopper { buyer, client, seats: hall.seats.clone(), random, log: Arc::clone(&log) };
            shoppers.spawn(shopper.shop());
        }
        tokio::time::sleep(Duration::from_micros(random.random_range(150_000..600_000))).await;
        process.kill();
        shoppers.join_all().await;
        PROGRAM.assert_books_in_order(folder.path());

        let process = PROGRAM.start(folder.path(), &flags);
        let mut sent = log.lock().unwrap().clone();
        for one in &mut sent {
            let client = clients[one.buyer].at(process.address);
            let again = one.call(&client).send().await;
            if let Some(first) = &one.answer {
                // Whether an activation was the first is not in its answer.
                let is_replay = matches!(one.ask, BuyerWrite::Activate { .. }) && again.is_replay();
                if is_replay || is_stored(&one.ask, first) {
                    assert_eq!(one.lasting(&again), one.lasting(first), "{one:?}");
                    assert!(again.is_replay(), "{one:?}");
                }
            } else {
                unanswered += 1;
                assert!(matches!(again.status, 200..=202 | 403 | 409), "{one:?}: {}", again.text());
                if is_stored(&one.ask, &again) {
                    let third = one.call(&client).send().await;
                    assert_eq!(one.lasting(&third), one.lasting(&again), "{one:?}");
                }
                one.answer = Some(again);
            }
        }
        log.lock().unwrap().clone_from(&sent);
        effects_match(&sent, &clients, process.address).await;
        PROGRAM.assert_books_in_order(folder.path());
        process.kill();
    }
    let log = log.lock().unwrap();
    let paid = log.iter().filter(|one| matches!(one.ask, BuyerWrite::Pay { .. })).count();
    assert!(paid >= 8, "{paid} payments are too few to tell anything");
    assert!(unanswered >= 4, "the kills came when nothing was in flight");
}

/// Each buyer finds exactly the answered rows: not less, not more, not twice.
async fn effects_match(sent: &[Sent], clients: &[Client], address: SocketAddr) {
    for (number, client) in clients.iter().enumerate() {
        let client = client.at(address);
        let answered = |of: fn(&BuyerWrite) -> bool, field: &str| {
            let answers = sent.iter().filter(|one| one.buyer == number && of(&one.ask));
            let success = answers.filter_map(|one| one.answer.as_ref()).filter(|answer| answer.status == 201);
            let mut ids: Vec<_> = success.map(|answer| id(&answer.json(), field)).collect();
            ids.sort_unstable();
            ids
        };
        let found = async |path: &str, field: &str| {
            let mut ids: Vec<_> = everything(&client, path).await.iter().map(|row| id(row, field)).collect();
            ids.sort_unstable();
            ids
        };
        let reservations = answered(|ask| matches!(ask, BuyerWrite::Hold { .. }), "reservation_id");
        assert_eq!(found("/reservations", "reservation_id").await, reservations);
        let payments = answered(|ask| matches!(ask, BuyerWrite::Pay { .. }), "payment_id");
        assert_eq!(found("/payments", "payment_id").await, payments);
        let cost = PRICE * i64::try_from(payments.len()).unwrap();
        assert_eq!(client.balance().await, PLENTY - cost);
    }
}

fn micros(time: &Value) -> Option<i64> {
    Some(time.as_str()?.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_costs_no_place_no_turn_and_no_hold() {
    let flags = [("--max-active", "3")];
    let (folder, hall, clients) = prepared(10, 7, &flags).await;
    let process = PROGRAM.start(folder.path(), &flags);
    let at = |address| clients.iter().map(move |client| client.at(address)).collect::<Vec<_>>();
    let before = at(process.address);
    let mut tokens = vec![before[0].enter(None).await, before[1].enter(None).await];
    for client in &before[2..] {
        tokens.push(client.join(None).await["token"].as_str().unwrap().to_owned());
    }
    before[2].wait_for(&tokens[2], "offered").await;
    let reservation = before[0].hold(&tokens[0], hall.seats[0]).await.expect(201);
    let reservation_path = format!("/reservations/{}", id(&reservation, "reservation_id"));
    before[4].delete(&format!("/queue/tokens/{}", tokens[4])).await.expect(204);
    // Rows, and the times at which their turns and holds end: none if they have no such time.
    let look = async |clients: &[Client]| {
        let mut rows = vec![clients[0].get(&reservation_path).await.expect(200)];
        let mut ends = vec![micros(&rows[0]["expires_at"].take())];
        for (client, token) in clients.iter().zip(&tokens) {
            let mut row = client.get(&format!("/queue/tokens/{token}")).await.expect(200);
            let queue = row["queue"].take();
            ends.push(micros(&queue["deadline"]));
            row["queue"] = json!([queue["status"], queue["ahead"], queue["total_waiting"]]);
            rows.push(row);
        }
        (rows, ends)
    };
    let looked = Instant::now();
    let (rows, ends) = look(&before).await;
    let statuses: Vec<_> = rows[1..].iter().map(|row| row["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["active", "active", "offered", "waiting", "ended", "waiting", "waiting"]);
    let in_front: Vec<_> = [4, 6, 7].iter().map(|at: &usize| rows[*at]["queue"][1].as_i64().unwrap()).collect();
    assert_eq!(in_front, [0, 1, 2]);
    process.kill();

    let process = PROGRAM.start(folder.path(), &flags);
    let after = at(process.address);
    let (rows_after, ends_after) = look(&after).await;
    assert_eq!(rows_after, rows, "the hold, places, turns and their order");
    // If the program is away for two seconds or more, turns and holds last longer by that time, and by no more than the
    // two seconds since its last note.
    let later: Vec<_> = ends.iter().zip(&ends_after).map(|(end, after)| after.zip(*end).map(|(a, b)| a - b)).collect();
    let has_end: Vec<_> = later.iter().map(Option::is_some).collect();
    assert_eq!(has_end, [true, true, true, true, false, false, false, false], "{ends:?} {ends_after:?}");
    let most = i64::try_from(looked.elapsed().as_micros()).unwrap() + 3_000_000;
    assert!((Some(0)..=Some(most)).contains(&later[0]), "{later:?} of {most}");
    assert!(later[1..4].iter().all(|one| *one == later[0]), "remaining times: {later:?}");
    after[0].sees(&hall, hall.seats[0], "held").await;
    // The line goes on from where it was.
    after[2].activate(&tokens[2]).await.expect(200);
    after[0].pay(&tokens[0], id(&reservation, "reservation_id")).await.expect(201);
    after[3].wait_for(&tokens[3], "offered").await;
    assert_eq!(after[5].position(&tokens[5]).await["ahead"], 0);
    process.kill();
    PROGRAM.assert_books_in_order(folder.path());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_what_is_in_flight_and_exits_with_0() {
    let (folder, hall, clients) = prepared(10, 4, &[]).await;
    let mut process = PROGRAM.start(folder.path(), &[]);
    let mut holds = Vec::new();
    for (client, seat) in clients.iter().zip(&hall.seats) {
        let client = client.at(process.address);
        let token = client.enter(None).await;
        holds.push(client.hold_call(&token, *seat));
    }
    // Another program has the database, so that the requests stay in flight until it lets go.
    let locked = Connection::open(folder.path().join("frontrow.db")).unwrap();
    locked.execute_batch("BEGIN IMMEDIATE").unwrap();
    let in_flight: JoinSet<_> = holds.into_iter().map(ApiCall::send).collect();
    let watcher = clients[0].at(process.address);
    eventually("all four are in flight", async || {
        let metrics = watcher.call_at(Method::GET, "/metrics").send().await.text();
        metrics.contains("frontrow_http_requests_in_flight 4").then_some(())
    })
    .await;
    process.terminate();
    eventually("no new connection is taken", async || {
        std::net::TcpStream::connect(process.address).is_err().then_some(())
    })
    .await;
    drop(locked);
    let answers = in_flight.join_all().await;
    let held: Vec<_> = answers.iter().map(|answer| id(&answer.expect(201), "reservation_id")).collect();
    assert_eq!(process.ended().await.code(), Some(0));
    PROGRAM.assert_books_in_order(folder.path());

    let process = PROGRAM.start(folder.path(), &[]);
    let mut found = Vec::new();
    for client in &clients {
        let rows = everything(&client.at(process.address), "/reservations").await;
        found.extend(rows.iter().map(|row| id(row, "reservation_id")));
    }
    let sorted = |mut ids: Vec<i64>| {
        ids.sort_unstable();
        ids
    };
    assert_eq!(sorted(found), sorted(held));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_or_foreign_database_is_refused_at_the_start_with_a_reason() {
    let (folder, _, _) = prepared(10, 1, &[]).await;
    let database = folder.path().join("frontrow.db");
    // Everything into the file itself: from its log it could be read whole, whatever happens to the file.
    let conn = Connection::open(&database).unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(())).unwrap();
    drop(conn);
    let whole = std::fs::read(&database).unwrap();
    let foreign = tempfile::tempdir().unwrap();
    Connection::open(foreign.path().join("x.db")).unwrap().execute_batch("CREATE TABLE bookmark (url TEXT)").unwrap();
    let foreign = std::fs::read(foreign.path().join("x.db")).unwrap();
    let mut no_header = whole.clone();
    no_header[..100].fill(0x5a);
    let mut torn = whole.clone();
    torn.truncate(whole.len() / 2);
    for (what, bytes) in
        [("its header is overwritten", no_header), ("it is another's", foreign), ("it is cut short", torn)]
    {
        std::fs::write(&database, bytes).unwrap();
        for name in ["serve", "check"] {
            let (status, said) = refused(PROGRAM.command(folder.path(), name).args(["--listen", "127.0.0.1:0"])).await;
            assert!(!status.success(), "{name}: {what}");
            assert!(said.contains("frontrow.db") || said.contains("NOT in order"), "{name}: {what}: {said}");
        }
    }
    std::fs::write(&database, whole).unwrap();
    PROGRAM.assert_books_in_order(folder.path());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refunds_of_a_whole_concert_go_on_after_kills_and_each_is_made_once() {
    let flags = [("--max-active", "10"), ("--max-seats-per-user", "1000")];
    let (folder, hall, clients) = prepared(500, 5, &flags).await;
    let config = settings(folder.path(), &flags);
    let server = Server::over(folder, config, Clock::System).await;
    let operator = server.operator().await.at(server.address);
    for (client, seats) in clients.iter().zip(hall.seats.chunks(100)) {
        let client = client.at(server.address);
        for seats in seats.chunks(20) {
            let token = client.enter(None).await;
            let wish = client.call(Method::POST, "/reservations").token(&token).json(&json!({ "seat_ids": seats }));
            let held = wish.send().await.expect(201);
            let ids: Vec<_> = items(&held).iter().map(|row| id(row, "reservation_id")).collect();
            let pay = client.call(Method::POST, "/payments").token(&token).json(&json!({ "reservation_ids": ids }));
            pay.send().await.expect(201);
        }
        assert_eq!(client.balance().await, 0);
    }
    let path = format!("/operator{}", hall.path());
    operator.post(&format!("{path}/cancel"), &json!({ "reason": "The singer is ill." })).await.expect(200);
    operator.call(Method::POST, &format!("{path}/refund-all")).send().await.expect(202);
    let folder = server.stop().await;

    // Each process gives some payments back and is killed; the last one finds nothing left.
    let mut sold = 501;
    while sold > 0 {
        let process = PROGRAM.start(folder.path(), &flags);
        let operator = operator.at(process.address);
        sold = eventually("some are given back", async || {
            let left = operator.get(&path).await.expect(200)["seats"]["sold"].as_i64().unwrap();
            (left < sold).then_some(left)
        })
        .await;
        process.kill();
        PROGRAM.assert_books_in_order(folder.path());
    }
    let process = PROGRAM.start(folder.path(), &flags);
    for client in &clients {
        assert_eq!(client.at(process.address).balance().await, PLENTY);
    }
}
