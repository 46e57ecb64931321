//! When the database is locked, full or overrun: a clear answer, nothing that was answered is lost, and it goes on by
//! itself when the cause is gone.

use frontrow_service::testing;
use frontrow_storage::{StoreError, sqlite::SqliteStore};
use frontrow_testkit::{Client, PRICE, Server, eventually, id, items};
use reqwest::Method;
use rusqlite::Connection;
use serde_json::json;
use std::{
    pin::Pin,
    sync::{Arc, Mutex, mpsc},
    task::Poll,
};
use tokio::{sync::oneshot, task::JoinSet};

/// Another program that has the write lock until it is dropped.
fn lock(server: &Server) -> Connection {
    let conn = Connection::open(server.database()).unwrap();
    conn.execute_batch("BEGIN IMMEDIATE").unwrap();
    conn
}

async fn readiness(client: &Client) -> u16 {
    client.call_at(Method::GET, "/readyz").send().await.status
}

async fn until_ready(client: &Client, status: u16) {
    eventually("readiness has changed", async || (readiness(client).await == status).then_some(())).await;
}

#[tokio::test]
async fn a_locked_database_is_503_until_it_is_free_and_reads_go_on() {
    let (server, store) = Server::with_store(&[]).await;
    store.set_busy_timeout(std::time::Duration::from_millis(100)).unwrap();
    let hall = server.hall(2).await;
    let buyer = server.buyer_with("buyer", PRICE).await;
    let token = buyer.enter(None).await;
    let held = buyer.hold(&token, hall.seats[0]).await.expect(201);
    let key = "during-the-lock-0123456789";

    let locked = lock(&server);
    let answer = buyer.hold_call(&token, hall.seats[1]).key(key).send().await;
    answer.problem(503, "unavailable");
    assert!(answer.retry_after().is_some());
    until_ready(&buyer, 503).await;
    assert_eq!(buyer.call_at(Method::GET, "/healthz").send().await.status, 200, "it lives all the same");
    buyer.sees(&hall, hall.seats[0], "held").await;
    assert_eq!(items(&buyer.get("/reservations").await.expect(200)), std::slice::from_ref(&held));
    assert_eq!(buyer.position(&token).await["status"], "active");

    drop(locked);
    until_ready(&buyer, 200).await;
    // Nothing was kept of the refusal: the same key works now.
    let retried = buyer.hold_call(&token, hall.seats[1]).key(key).send().await;
    retried.expect(201);
    assert!(!retried.is_replay());
    assert_eq!(items(&buyer.get("/reservations").await.expect(200)).len(), 2);
    server.close().await;
}

#[tokio::test]
async fn holds_that_were_not_carried_out_are_not_counted_against_the_buyer() {
    let (server, store) = Server::with_store(&[("--holds-per-hour-per-user", "2")]).await;
    store.set_busy_timeout(std::time::Duration::from_millis(10)).unwrap();
    let hall = server.hall(3).await;
    let buyer = server.buyer("buyer").await;
    let token = buyer.enter(None).await;
    let key = "repeated-in-the-outage-01";
    let locked = lock(&server);
    for _ in 0..5 {
        buyer.hold_call(&token, hall.seats[0]).key(key).send().await.problem(503, "unavailable");
    }
    drop(locked);
    until_ready(&buyer, 200).await;
    for _ in 0..5 {
        buyer
            .call(Method::POST, "/reservations")
            .token(&token)
            .json(&json!({}))
            .send()
            .await
            .problem(422, "invalid_field");
        buyer.hold("no token", hall.seats[0]).await.problem(403, "token_invalid");
    }
    buyer.hold_call(&token, hall.seats[0]).key(key).send().await.expect(201);
    buyer.hold(&token, hall.seats[1]).await.expect(201);
    buyer.hold(&token, hall.seats[2]).await.problem(429, "rate_limited");
    server.close().await;
}

#[tokio::test]
async fn changes_that_were_not_carried_out_are_not_counted_against_the_buyer() {
    let (server, store) = Server::with_store(&[("--changes-per-hour-per-user", "2")]).await;
    store.set_busy_timeout(std::time::Duration::from_millis(10)).unwrap();
    let buyer = server.buyer("buyer").await;
    let top_up = async || buyer.post("/points/top-ups", &json!({ "amount": 1 })).await;
    let locked = lock(&server);
    for _ in 0..5 {
        top_up().await.problem(503, "unavailable");
    }
    drop(locked);
    until_ready(&buyer, 200).await;
    top_up().await.expect(201);
    // What the client did wrong counts.
    buyer.post("/points/top-ups", &json!({ "amount": 0 })).await.problem(422, "amount_out_of_bounds");
    top_up().await.problem(429, "rate_limited");
    assert_eq!(buyer.balance().await, 1);
    server.close().await;
}

#[tokio::test]
async fn while_the_database_cannot_be_written_no_turn_and_no_hold_is_lost() {
    let (server, store) = Server::with_store(&[]).await;
    store.set_busy_timeout(std::time::Duration::from_millis(100)).unwrap();
    let hall = server.hall(2).await;
    let buyer = server.buyer_with("buyer", 2 * PRICE).await;
    let token = buyer.enter(None).await;
    let held = buyer.hold(&token, hall.seats[0]).await.expect(201);
    let locked = lock(&server);
    buyer.hold_call(&token, hall.seats[1]).send().await.problem(503, "unavailable");
    server.advance(400);
    drop(locked);
    buyer.hold(&token, hall.seats[1]).await.expect(201);
    assert_eq!(buyer.position(&token).await["status"], "active");
    buyer.pay(&token, held["reservation_id"].as_i64().unwrap()).await.expect(201);
    server.close().await;
}

#[tokio::test]
async fn a_server_that_was_frozen_for_a_while_costs_no_turn_and_no_hold() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let buyer = server.buyer_with("buyer", PRICE).await;
    let token = buyer.enter(None).await;
    let held = buyer.hold(&token, hall.seats[0]).await.expect(201);
    let reservation = held["reservation_id"].as_i64().unwrap();
    server.clock.stall(frontrow_domain::time::Span::from_secs(400));
    // Nothing has failed: the buyer finds out first, or the server itself.
    let pay = async || {
        let answer = buyer.pay_call(&token, reservation).key("after-the-pause-0123456789").send().await;
        (answer.status != 503).then_some(answer)
    };
    eventually("the box office has gone on", pay).await.expect(201);
    server.close().await;
}

#[tokio::test]
async fn a_server_that_was_stopped_for_a_while_costs_no_turn_and_no_hold() {
    let server = Server::with(&[("--max-active", "2")]).await;
    let hall = server.hall(2).await;
    let shopper = server.buyer_with("shopper", PRICE).await;
    let token = shopper.enter(None).await;
    let held = shopper.hold(&token, hall.seats[0]).await.expect(201);
    let idle = server.buyer("idle").await;
    let idle_token = idle.enter(None).await;
    let before = idle.position(&idle_token).await["deadline"].clone();
    let (config, clock) = (server.config.clone(), server.clock.clone());
    let folder = server.stop().await;

    clock.advance(frontrow_domain::time::Span::from_secs(400));
    let server = Server::over(folder, config, clock).await;
    let idle = server.with_secret(idle.secret());
    let after = idle.position(&idle_token).await;
    assert_eq!(after["status"], "active");
    let micros = |at: &serde_json::Value| at.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_microsecond();
    assert_eq!(micros(&after["deadline"]) - micros(&before), 400_000_000, "it has as long left as before");
    let shopper = server.with_secret(shopper.secret());
    shopper.pay(&token, held["reservation_id"].as_i64().unwrap()).await.expect(201);
    // Who stands still has no more time than before.
    server.advance(101);
    idle.wait_for(&idle_token, "ended").await;
    server.close().await;
}

#[tokio::test]
async fn with_no_grace_for_outages_a_stop_ends_turns_as_time_does() {
    let server = Server::with(&[("--outage-grace-seconds", "0")]).await;
    let buyer = server.buyer("buyer").await;
    let token = buyer.enter(None).await;
    let (config, clock) = (server.config.clone(), server.clock.clone());
    let folder = server.stop().await;
    clock.advance(frontrow_domain::time::Span::from_secs(400));
    let server = Server::over(folder, config, clock).await;
    server.with_secret(buyer.secret()).wait_for(&token, "ended").await;
    server.close().await;
}

/// How many reads of the store run at once, and how many may wait for them.
const READS: usize = 4;
const READS_WAITING: usize = 512;

/// Reads that never end: all that the store allows, so that every other one is turned away until they are dropped.
///
/// They are complete only if the server has none of its own among them, whose end would let another one in.
async fn crowd_out_reads(store: &SqliteStore) -> (Vec<Read<'_>>, mpsc::Sender<()>) {
    for _ in 0..100 {
        let (end, ended) = mpsc::channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        let mut reads = Vec::new();
        for _ in 0..READS {
            let (mut read, begun) = endless_read(store, Arc::clone(&ended));
            tokio::select! {
                ended = &mut read => panic!("a read has ended: {ended:?}"),
                begun = begun => begun.unwrap(),
            }
            reads.push(read);
        }
        loop {
            let (mut read, _) = endless_read(store, Arc::clone(&ended));
            match std::future::poll_fn(|context| Poll::Ready(read.as_mut().poll(context))).await {
                Poll::Pending => reads.push(read),
                Poll::Ready(refused) => {
                    refused.unwrap_err();
                    break;
                }
            }
        }
        if reads.len() == READS + READS_WAITING {
            return (reads, end);
        }
    }
    panic!("the server always reads");
}

/// A read that goes on until the other end of `ended` is dropped, and the signal that it has begun.
fn endless_read(store: &SqliteStore, ended: Arc<Mutex<mpsc::Receiver<()>>>) -> (Read<'_>, oneshot::Receiver<()>) {
    let (signal, begun) = oneshot::channel();
    let read = store.read(move |_| {
        let _ = signal.send(());
        let _ = ended.lock().unwrap().recv();
        Ok(())
    });
    (Box::pin(read), begun)
}

type Read<'store> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'store>>;

#[tokio::test]
async fn a_hold_and_a_payment_that_were_committed_are_answered_though_nothing_can_be_read() {
    let (server, store) = Server::with_store(&[]).await;
    let hall = server.hall(2).await;
    let buyer = server.buyer_with("buyer", 2 * PRICE).await;
    let token = buyer.enter(None).await;
    let forget = || {
        let office = Arc::clone(&server.app().office);
        testing::forget_concerts(&office);
        testing::forget_tickets(&office);
    };

    let (reads, end) = crowd_out_reads(&store).await;
    forget();
    buyer.get("/reservations").await.problem(503, "unavailable");
    let held = buyer.hold_call(&token, hall.seats[0]).key("held-in-the-crowd-01").send().await.expect(201);
    assert_eq!((&held["status"], &held["title"]), (&json!("pending"), &json!("")));
    let reservation = id(&held, "reservation_id");
    forget();
    let paid = buyer.pay_call(&token, reservation).key("paid-in-the-crowd-01").send().await.expect(201);
    assert_eq!((&paid["status"], &paid["title"]), (&json!("completed"), &json!("")));
    // The answers of before too, whose seats are looked for in the database.
    forget();
    let again = buyer.hold_call(&token, hall.seats[0]).key("held-in-the-crowd-01").send().await;
    assert!(again.is_replay(), "{}", again.text());
    assert_eq!(id(&again.expect(201), "reservation_id"), reservation);
    let again = buyer.pay_call(&token, reservation).key("paid-in-the-crowd-01").send().await;
    assert_eq!(id(&again.expect(201), "payment_id"), id(&paid, "payment_id"));

    drop((reads, end));
    let mine = buyer.get("/reservations").await.expect(200);
    assert_eq!(
        (&items(&mine)[0]["status"], &items(&mine)[0]["title"]),
        (&json!("confirmed"), &json!(hall.concert.title))
    );
    server.close().await;
}

/// Takes every turn to read until the sender is dropped: what is to be read meanwhile waits.
async fn hang_reads(store: &SqliteStore) -> (Vec<Read<'_>>, mpsc::Sender<()>) {
    let (end, ended) = mpsc::channel::<()>();
    let ended = Arc::new(Mutex::new(ended));
    let mut reads: Vec<Read<'_>> = Vec::new();
    // More than there are turns. Turns are given in the order of asking.
    for _ in 0..16 {
        let (mut read, _) = endless_read(store, Arc::clone(&ended));
        let first = std::future::poll_fn(|context| Poll::Ready(read.as_mut().poll(context))).await;
        assert!(first.is_pending());
        reads.push(read);
    }
    (reads, end)
}

#[tokio::test]
async fn a_hold_and_a_payment_that_were_committed_are_answered_though_reads_hang() {
    let (server, store) = Server::with_store(&[]).await;
    let hall = server.hall(3).await;
    let buyer = server.buyer_with("buyer", 3 * PRICE).await;
    let token = buyer.enter(None).await;
    let post = |path: &str, key: &str, body: &serde_json::Value| {
        buyer.call(Method::POST, path).token(&token).key(key).json(body).send()
    };

    let (reads, end) = hang_reads(&store).await;
    testing::forget_concerts(&server.app().office);
    let wish = json!({ "seat_ids": hall.seats });
    let held = post("/reservations", "held-while-reads-hang-01", &wish).await.expect(201);
    let held = items(&held);
    assert_eq!(held.len(), 3);
    assert_eq!((&held[0]["status"], &held[0]["title"]), (&json!("pending"), &json!("")));
    let reservations: Vec<_> = held.iter().map(|held| id(held, "reservation_id")).collect();
    let order = json!({ "reservation_ids": reservations });
    let paid = post("/payments", "paid-while-reads-hang-01", &order).await.expect(201);
    let paid = items(&paid);
    assert_eq!((&paid[0]["status"], &paid[0]["title"]), (&json!("completed"), &json!("")));
    // The answers of before too, whose seats are looked for in the database.
    testing::forget_tickets(&server.app().office);
    let again = post("/payments", "paid-while-reads-hang-01", &order).await;
    assert!(again.is_replay(), "{}", again.text());
    assert_eq!(id(&items(&again.expect(201))[0], "payment_id"), id(&paid[0], "payment_id"));

    drop((reads, end));
    let mine = buyer.get("/reservations").await.expect(200);
    let mut mine = items(&mine).iter();
    assert!(mine.all(|row| row["status"] == "confirmed" && row["title"] == hall.concert.title));
    server.close().await;
}

/// Changes something until the database takes no more. Returns how many changes were answered with success.
async fn until_refused(buyer: &Client) -> i64 {
    for done in 0..5_000 {
        let answer = buyer.post("/points/top-ups", &json!({ "amount": 1 })).await;
        if answer.status == 503 {
            answer.problem(503, "unavailable");
            assert!(answer.retry_after().is_some());
            return done;
        }
        answer.expect(201);
    }
    panic!("the database never became full");
}

#[tokio::test]
async fn a_full_database_is_503_until_there_is_room_and_loses_nothing() {
    let (server, store) = Server::with_store(&[]).await;
    let buyer = server.buyer("buyer").await;
    store.set_size_limit(Some(1)).unwrap();
    let topped_up = until_refused(&buyer).await;
    assert_eq!(readiness(&buyer).await, 503);
    assert_eq!(buyer.balance().await, topped_up, "what was answered is there, what was refused is not");
    store.set_size_limit(None).unwrap();
    until_ready(&buyer, 200).await;
    buyer.top_up(1).await;
    assert_eq!(buyer.balance().await, topped_up + 1);
    server.close().await;
}

async fn said_of_readiness(client: &Client) -> (u16, String) {
    let answer = client.call_at(Method::GET, "/readyz").send().await;
    (answer.status, answer.text())
}

#[cfg(unix)]
#[tokio::test]
async fn money_is_refused_as_soon_as_the_data_folder_is_somewhere_else() {
    let server = Server::start().await;
    let buyer = server.buyer_with("buyer", 500).await;
    let folder = server.database().parent().unwrap().to_owned();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::rename(&folder, elsewhere.path().join("moved")).unwrap();
    buyer.post("/points/top-ups", &json!({ "amount": 1 })).await.problem(503, "unavailable");
    let (status, said) = said_of_readiness(&buyer).await;
    assert!(status == 503 && said.contains("moved") && said.contains("started again"), "{status} {said}");
    assert!(!said.contains('/'), "no path of the machine is said to everybody: {said}");
    // Back again: what was open is still open, but the server does not trust it.
    std::fs::rename(elsewhere.path().join("moved"), &folder).unwrap();
    buyer.post("/points/top-ups", &json!({ "amount": 1 })).await.problem(503, "unavailable");
    let config = server.config.clone();
    let folder = server.stop().await;
    let server = Server::over(folder, config, frontrow_clock::Clock::manual(frontrow_testkit::START)).await;
    let again = server.with_secret(buyer.secret());
    assert_eq!(again.balance().await, 500);
    again.top_up(1).await;
    server.close().await;
}

#[tokio::test]
async fn damage_that_one_reader_met_stops_the_sale_and_is_counted() {
    let server = Server::start().await;
    let buyer = server.buyer_with("buyer", 500).await;
    let log = server.database().with_file_name("frontrow.db-wal");
    let len = usize::try_from(std::fs::metadata(&log).unwrap().len()).unwrap();
    let mut file = std::fs::File::options().write(true).open(&log).unwrap();
    std::io::Write::write_all(&mut file, &vec![0xa5; len]).unwrap();
    buyer.get("/points").await.problem(503, "unavailable");
    let (status, said) = said_of_readiness(&buyer).await;
    assert!(status == 503 && said.contains("damaged"), "{status} {said}");
    buyer.post("/points/top-ups", &json!({ "amount": 1 })).await.problem(503, "unavailable");
    assert_eq!(said_of_readiness(&buyer).await.0, 503, "it does not heal by itself");
    let metrics = buyer.call_at(Method::GET, "/metrics").send().await.text();
    let counted = metrics.lines().find_map(|line| line.strip_prefix(r#"frontrow_store_errors_total{kind="corrupt"} "#));
    assert!(counted.is_some_and(|count| count.parse::<u64>().unwrap() >= 1), "{metrics}");
    server.stop().await;
}

/// Lets the file be changed again when the test ends, however it ends.
struct Immutable(std::path::PathBuf);

impl Immutable {
    /// None where this file system or this user cannot do it.
    fn new(path: std::path::PathBuf) -> Option<Self> {
        if chattr("+i", &path) {
            return Some(Self(path));
        }
        eprintln!("SKIPPED: a file that cannot be written for a moment needs chattr +i");
        None
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        chattr("-i", &self.0);
    }
}

fn chattr(change: &str, path: &std::path::Path) -> bool {
    let done = std::process::Command::new("chattr").arg(change).arg(path).output();
    done.is_ok_and(|output| output.status.success())
}

#[tokio::test]
async fn files_that_could_not_be_written_for_a_moment_are_written_again() {
    let server = Server::start().await;
    let buyer = server.buyer_with("buyer", 500).await;
    let Some(file) = Immutable::new(server.database()) else { return };
    let log = Immutable::new(server.database().with_file_name("frontrow.db-wal")).unwrap();
    let mut topped_up = 500;
    for _ in 0..3 {
        // The connection that was open may write all the same, depending on the file system.
        match buyer.post("/points/top-ups", &json!({ "amount": 1 })).await.status {
            201 => topped_up += 1,
            status => assert_eq!(status, 503),
        }
    }
    drop((file, log));
    until_ready(&buyer, 200).await;
    buyer.top_up(1).await;
    // What had no answer may have been saved.
    let balance = buyer.balance().await;
    assert!((topped_up + 1..=504).contains(&balance), "{balance}");
    server.close().await;
}

/// A small file system of its own; none where this user may not mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(folder.path())
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(folder)),
            _ => {
                eprintln!("SKIPPED: a full disk needs a file system of its own, and this user may not mount one");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_503_until_there_is_room_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount() else { return };
    let folder = tempfile::tempdir_in(disk.0.path()).unwrap();
    let config = frontrow_testkit::settings(folder.path(), &[]);
    let server = Server::over(folder, config, frontrow_clock::Clock::manual(frontrow_testkit::START)).await;
    let buyer = server.buyer("buyer").await;
    buyer.top_up(1).await;
    let filler = disk.0.path().join("filler");
    let mut chunk = 1 << 20;
    let mut file = std::fs::File::create(&filler).unwrap();
    while chunk > 0 {
        if std::io::Write::write_all(&mut file, &vec![0; chunk]).is_err() {
            chunk /= 2;
        }
    }
    let topped_up = 1 + until_refused(&buyer).await;
    assert_eq!(readiness(&buyer).await, 503);
    assert_eq!(buyer.balance().await, topped_up);
    std::fs::remove_file(&filler).unwrap();
    drop(file);
    until_ready(&buyer, 200).await;
    buyer.top_up(1).await;
    assert_eq!(buyer.balance().await, topped_up + 1);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_engine_cannot_take_is_turned_away_at_once_and_the_rest_is_done() {
    let server = Server::with(&[("--queue-len", "4"), ("--batch-max", "2"), ("--max-active", "0")]).await;
    let mut buyers = Vec::new();
    for number in 0..30 {
        buyers.push(server.buyer(&format!("buyer{number}")).await);
    }
    let locked = lock(&server);
    let mut sent: JoinSet<_> = buyers.iter().map(|buyer| buyer.call(Method::POST, "/queue/tokens").send()).collect();
    // One or two are in the transaction that waits for the lock and four behind it: the others are answered meanwhile.
    for _ in 0..24 {
        let answer = sent.join_next().await.unwrap().unwrap();
        answer.problem(503, "overloaded");
        assert!(answer.retry_after().is_some());
    }
    assert_eq!(buyers[0].call_at(Method::GET, "/healthz").send().await.status, 200);
    drop(locked);
    let answers = sent.join_all().await;
    let done = answers.iter().filter(|answer| answer.status == 201).count();
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.problem(503, "overloaded");
    }
    assert!((5..=6).contains(&done), "{done}");
    let mut joined = 0;
    for buyer in &buyers {
        joined += items(&buyer.get("/queue/tokens").await.expect(200)).len();
    }
    assert_eq!(joined, done);
    let metrics = buyers[0].call_at(Method::GET, "/metrics").send().await.text();
    assert!(metrics.contains(&format!("frontrow_overloads_total {}", 30 - done)), "{metrics}");
    for buyer in &buyers {
        buyer.join(None).await;
    }
    server.close().await;
}

#[tokio::test]
async fn a_disk_that_can_only_be_read_is_refused_at_the_start_with_a_reason() {
    let Some(disk) = SmallDisk::mount() else { return };
    let folder = tempfile::tempdir_in(disk.0.path()).unwrap();
    let config = frontrow_testkit::settings(folder.path(), &[]);
    let clock = frontrow_clock::Clock::manual(frontrow_testkit::START);
    let server = Server::over(folder, config.clone(), clock.clone()).await;
    server.buyer_with("buyer", 1).await;
    let _folder = server.stop().await;
    let remount = ["-o", "remount,ro"];
    let status = std::process::Command::new("mount").args(remount).arg(disk.0.path()).status().unwrap();
    assert!(status.success(), "nothing of a server that has stopped is left open");
    let refused = frontrow::app::open(&config, clock, frontrow_clock::Ids::from_seed(1)).await.unwrap_err();
    let said = format!("{refused:#}");
    assert!(said.contains("frontrow.db") && said.to_lowercase().contains("read"), "{said}");
}
