//! How near the `SQLite` store comes to a plain loop that writes the same rows and decides nothing.
//!
//! `cargo bench --bench engine_sqlite` prints holds and payments per second, both ways, in batches of 200, each batch
//! durable. `cargo bench --bench engine_sqlite -- line` prints how long a line of a million takes to read instead.
//! The files are made in `target/`, so that the disk is a real one.

mod raw_loop;

use anyhow::{Context, Result, bail};
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    command::{Command, Idempotency, Request},
    decide::decide_all,
    id::{Position, ReservationId, RoomId, SeatId, TokenId, UserId},
    policy::Policy,
    time::Time,
    user::Caller,
};
use frontrow_storage::{Store, sqlite::SqliteStore};
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use rusqlite::{Connection, params};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// How many buyers hold and then pay in a round.
const BUYERS: i64 = 20_000;
const BATCH: usize = 200;
const ROUNDS: usize = 7;
const WAITING: i64 = 1_000_000;
/// 2027-01-15T08:00:00Z.
const START: i64 = 1_800_000_000_000_000;

/// A buyer with an active token who wants one seat.
struct Buyer {
    user: UserId,
    number: i64,
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).context("a folder for the databases")?;
    if std::env::args().any(|arg| arg == "line") {
        line(&runtime, folder.path())
    } else {
        sale(&runtime, folder.path())
    }
}

fn open(path: &Path) -> Result<SqliteStore> {
    Ok(SqliteStore::open(path, Clock::manual(Time::from_micros(START)), Policy::default(), BUYERS)?)
}

fn sale(runtime: &Runtime, folder: &Path) -> Result<()> {
    let template = folder.join("template.db");
    let mut buyers = prepare(&template)?;
    let mut rng = StdRng::seed_from_u64(1);
    let (mut holds, mut payments) = (Rates::default(), Rates::default());
    for round in 0..ROUNDS {
        buyers.shuffle(&mut rng);
        for way in 0..2 {
            let path = folder.join(format!("round-{round}-{way}.db"));
            std::fs::copy(&template, &path)?;
            // The two take turns to go first, so that neither has the warmer machine.
            if (round + way) % 2 == 0 {
                let (hold, pay) = through_store(runtime, &path, &buyers)?;
                holds.store.push(hold);
                payments.store.push(pay);
            } else {
                let (hold, pay) = raw_loop::run(&path, &buyers)?;
                holds.plain.push(hold);
                payments.plain.push(pay);
            }
            remove(&path)?;
        }
    }
    holds.print("holds");
    payments.print("payments");
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    std::fs::remove_file(path)?;
    for suffix in ["-wal", "-shm"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        if PathBuf::from(&beside).exists() {
            std::fs::remove_file(beside)?;
        }
    }
    Ok(())
}

/// Operations per second of each round.
#[derive(Default)]
struct Rates {
    store: Vec<f64>,
    plain: Vec<f64>,
}

impl Rates {
    fn print(&mut self, name: &str) {
        let (store, plain) = (median(&mut self.store), median(&mut self.plain));
        println!("{name:8} store {store:8.0}/s   plain loop {plain:8.0}/s   ratio {:.2}", store / plain);
    }
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "a rate for the eye")]
fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn through_store(runtime: &Runtime, path: &Path, buyers: &[Buyer]) -> Result<(f64, f64)> {
    let store = open(path)?;
    let ids = Ids::from_seed(2);
    let token = |buyer: &Buyer| TokenId { room_id: RoomId::HOUSE, position: Position(buyer.number) };
    let hold = batches(buyers, &ids, |_, buyer| Command::Hold {
        token: token(buyer),
        seat_ids: vec![SeatId::new(buyer.number)],
    });
    // Reservations are numbered in the order of the holds.
    let pay = batches(buyers, &ids, |order, buyer| Command::Pay {
        token: token(buyer),
        reservation_ids: vec![ReservationId::new(order)],
    });
    Ok((run(runtime, &store, hold)?, run(runtime, &store, pay)?))
}

fn batches(buyers: &[Buyer], ids: &Ids, command: impl Fn(i64, &Buyer) -> Command) -> Vec<Arc<[Request]>> {
    let mut order = 0;
    let mut request = |buyer: &Buyer| {
        order += 1;
        let idempotency = Some(Idempotency { key: ids.secret(), fingerprint: ids.secret() });
        Request { caller: Caller::Buyer(buyer.user), command: command(order, buyer), idempotency }
    };
    buyers.chunks(BATCH).map(|chunk| chunk.iter().map(&mut request).collect()).collect()
}

fn run(runtime: &Runtime, store: &SqliteStore, batches: Vec<Arc<[Request]>>) -> Result<f64> {
    let count = batches.iter().map(|batch| batch.len()).sum();
    let start = Instant::now();
    for batch in batches {
        let committed = runtime.block_on(store.transact(batch, decide_all))?;
        if let Some(refused) = committed.answers.iter().find(|answer| answer.decision.is_err()) {
            bail!("refused: {refused:?}");
        }
    }
    Ok(per_second(count, start.elapsed()))
}

/// A database with a concert, a seat and an active token for every buyer, and points to pay with.
fn prepare(path: &Path) -> Result<Vec<Buyer>> {
    drop(open(path)?);
    let ids = Ids::from_seed(1);
    let mut conn = Connection::open(path)?;
    let tx = conn.transaction()?;
    tx.execute(
        "INSERT INTO concert (concert_id, title, artist, venue, time_zone, concert_date, start_time, end_time,
             starts_at, base_price, opens_at, closes_at, room_id, status, created_at, updated_at)
         VALUES (1, 'Midnight Tide: The First Night', 'Midnight Tide', 'Hangang Hall, Seoul', 'Asia/Seoul',
             '2027-03-01', '20:00:00', '22:30:00', ?2, 120000, ?1, ?2, 0, 'scheduled', ?1, ?1)",
        params![START, START + 3_888_000_000_000],
    )?;
    let mut buyers = Vec::new();
    for number in 1..=BUYERS {
        let user = UserId(ids.uuid(Time::from_micros(START + 1_000 * number)));
        insert_user(&tx, user, number)?;
        tx.prepare_cached(
            "INSERT INTO waiting_token (room_id, position, user_id, status, issued_at, activated_at, deadline)
             VALUES (0, ?1, ?2, 'active', ?3, ?3, ?4)",
        )?
        .execute(params![number, user.0, START, START + 90_000_000])?;
        tx.prepare_cached(
            "INSERT INTO seat (seat_id, concert_id, seat_number, price, status, section, \"row\", number, grade,
                 created_at, updated_at)
             VALUES (?1, 1, ?1, 120000, 'available', 'Floor', 'A', ?1, 'VIP', ?2, ?2)",
        )?
        .execute(params![number, START])?;
        tx.prepare_cached("INSERT INTO point VALUES (?1, ?2, 1000000, 1, ?3, ?3)")?
            .execute(params![number, user.0, START])?;
        tx.prepare_cached(
            "INSERT INTO point_history VALUES (?1, ?2, 1000000, 'top_up', '', 1000000, 1, NULL, NULL, ?3)",
        )?
        .execute(params![number, user.0, START])?;
        buyers.push(Buyer { user, number });
    }
    tx.execute("UPDATE room SET last_position = ?1, active = ?1", (BUYERS,))?;
    tx.commit()?;
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
    Ok(buyers)
}

fn insert_user(conn: &Connection, user: UserId, number: i64) -> Result<()> {
    conn.prepare_cached(
        "INSERT INTO \"user\" (user_id, name, email, password_hash, role, created_at, updated_at)
         VALUES (?1, 'Kim Minji', ?2, ?3, 'buyer', ?4, ?4)",
    )?
    .execute(params![
        user.0,
        format!("{number}@example.com"),
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$uWJ7cVkPcsFYzTjSjO3mIa0Vv1yXbX8JAkZ5u1Y4pRs",
        START
    ])?;
    Ok(())
}

fn line(runtime: &Runtime, folder: &Path) -> Result<()> {
    let path = folder.join("line.db");
    drop(open(&path)?);
    let ids = Ids::from_seed(1);
    let mut conn = Connection::open(&path)?;
    let tx = conn.transaction()?;
    for number in 1..=WAITING {
        let user = UserId(ids.uuid(Time::from_micros(START + 1_000 * number)));
        insert_user(&tx, user, number)?;
        tx.prepare_cached(
            "INSERT INTO waiting_token (room_id, position, user_id, status, issued_at)
             VALUES (0, ?1, ?2, 'waiting', ?3)",
        )?
        .execute(params![number, user.0, START])?;
    }
    tx.execute("UPDATE room SET last_position = ?1", (WAITING,))?;
    tx.commit()?;
    drop(conn);
    let start = Instant::now();
    let store = open(&path)?;
    println!("open with {WAITING} waiting: {:?}", start.elapsed());
    for _ in 0..3 {
        let start = Instant::now();
        let line = runtime.block_on(store.line(RoomId::HOUSE))?.context("no house room")?;
        println!("line of {}: {:?}", line.waiting.len(), start.elapsed());
    }
    let advance = Command::AdvanceRoom {
        room_id: RoomId::HOUSE,
        fence: frontrow_domain::line::Fence(0),
        limit: 500,
        unresponsive: Vec::new(),
        outlook: None,
    };
    for _ in 0..3 {
        let request = Request { caller: Caller::System, command: advance.clone(), idempotency: None };
        let start = Instant::now();
        runtime.block_on(store.transact(Arc::new([request]), decide_all))?;
        println!("advance by 500: {:?}", start.elapsed());
    }
    Ok(())
}
