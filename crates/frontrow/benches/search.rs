//! The search of operators over a grown box office in `SQLite`: `cargo bench --bench search`, or with a number of
//! orders: `cargo bench --bench search -- 50000`.
//!
//! As many users, reservations and payments, and five entries of the audit log for every hundred. Each text is looked
//! for some times; the ratio is to one read of a user by the key, which knows nothing of searching.

#![expect(clippy::unwrap_used, reason = "a benchmark may stop where it cannot go on")]

use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    id::UserId,
    line::BeaconWait,
    policy::Policy,
    time::{Span, Time},
};
use frontrow_draw::Chain;
use frontrow_line::SoleInstance;
use frontrow_service::{
    house::HouseFolders,
    office::{self, BoxOffice, DemoAccounts, Loading, OfficeParts, OfficeSettings},
};
use frontrow_signing::Keyring;
use frontrow_storage::{Store, sqlite::SqliteStore};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

const START: Time = Time::from_micros(1_900_000_000_000_000);
const ORDERS: i64 = 1_000_000;
const SEATS_OF_A_CONCERT: i64 = 10_000;
const ROUNDS: usize = 50;
/// What an answer may take.
const TARGET: Duration = Duration::from_millis(100);

/// The rows, by number. `SOMEONE` is the user's id.
const FILL: [&str; 9] = [
    "INSERT INTO \"user\" (user_id, name, email, password_hash, role, created_at, updated_at)
     SELECT SOMEONE, CASE n % 3 WHEN 0 THEN '김민' || n WHEN 1 THEN 'Kim Minji ' || n ELSE 'Park ' || n END,
         'buyer' || n || '@example.com', '', 'buyer', T0, T0 FROM each",
    "INSERT INTO concert (concert_id, title, artist, venue, time_zone, concert_date, start_time, end_time, starts_at,
         base_price, opens_at, closes_at, room_id, status, created_at, updated_at, ends_at, closing)
     SELECT n / CONCERT, 'Midnight Tide ' || n, 'The Waves', 'Hall', 'Asia/Seoul', '2030-03-01', '20:00:00', '22:00:00',
         T0 + 9000000000, 1, T0, T0 + 9000000000, 0, 'scheduled', T0, T0, T0 + 9900000000, 'with_start'
     FROM each WHERE n % CONCERT = 0",
    "INSERT INTO seat (seat_id, concert_id, seat_number, price, status, reservation_id, blocked_reason, section, \"row\",
         number, grade, created_at, updated_at)
     SELECT n, (n - 1) / CONCERT + 1, (n - 1) % CONCERT + 1, 1000, 'sold', n, NULL, 'Floor', 'R' || ((n - 1) % CONCERT / 50),
         (n - 1) % 50 + 1, 'VIP', T0, T0 FROM each",
    "INSERT INTO reservation (reservation_id, user_id, concert_id, seat_id, seat_number, price, status, created_at,
         expires_at, confirmed_at, closed_at)
     SELECT n, SOMEONE, (n - 1) / CONCERT + 1, n, (n - 1) % CONCERT + 1, 1000, 'confirmed', T0, T0, T0, NULL FROM each",
    "INSERT INTO payment (payment_id, user_id, reservation_id, amount, status, paid_at, refunded_at, created_at)
     SELECT n, SOMEONE, n, 1000, 'completed', T0, NULL, T0 FROM each",
    "INSERT INTO point (point_id, user_id, amount, version, last_updated, created_at)
     SELECT n, SOMEONE, 5000, 2, T0, T0 FROM each",
    "INSERT INTO point_history (history_id, user_id, amount, type, description, balance_after, version, payment_id,
         reference, created_at)
     SELECT 2 * n - 1, SOMEONE, 6000, 'top_up', 'top-up', 6000, 1, NULL, 'pg-' || n, T0 FROM each
     UNION ALL SELECT 2 * n, SOMEONE, -1000, 'use', 'payment', 5000, 2, n, NULL, T0 FROM each
     UNION ALL SELECT 3000000 + 2 * n, SOMEONE, -1, 'adjustment', 'x', 4999, 3, NULL, iif(n % 20, 'cc-' || n, 'batch'), T0
     FROM each WHERE n % 10 = 0",
    "INSERT INTO debt (debt_id, user_id, amount, reason, reference, status, created_at, settled_at)
     SELECT n, SOMEONE, 10, 'x', iif(n % 20, 'cc-' || n, 'batch'), 'waived', T0, T0 FROM each WHERE n % 10 = 0",
    "INSERT INTO audit_log (audit_id, actor, action, object, detail, created_at)
     SELECT n, NULL, 'payment.refund', 'payment ' || n % 1000, '{}', T0 FROM each WHERE n % 20 = 0",
];

fn fill(path: &Path, orders: i64) {
    let conn = rusqlite::Connection::open(path).unwrap();
    conn.execute_batch("PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; BEGIN").unwrap();
    for sql in FILL {
        let sql = sql
            .replace("SOMEONE", "unhex(printf('%032x', n))")
            .replace("T0", &START.micros().to_string())
            .replace("CONCERT", &SEATS_OF_A_CONCERT.min(orders).to_string());
        let each =
            format!("WITH RECURSIVE each (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM each WHERE n < {orders}) {sql}");
        conn.execute(&each, ()).unwrap();
    }
    conn.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

async fn opened(path: &Path) -> (Arc<BoxOffice>, Arc<dyn Store>) {
    let clock = Clock::manual(START.plus(Span::from_secs(1)));
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(path, clock.clone(), Policy::default(), 100).unwrap());
    let parts = OfficeParts {
        store: Arc::clone(&store),
        peers: Arc::new(SoleInstance::new(Arc::clone(&store))),
        keyring: Keyring::from_secrets(&[(1, [7; 32])], 1).unwrap(),
        clock,
        ids: Ids::from_seed(7),
    };
    let settings = OfficeSettings {
        policy: Policy::default(),
        queue_len: 16,
        batch_max: 16,
        lanes: 1,
        demo_accounts: DemoAccounts::Refused,
        session_length: Span::from_secs(3_600),
        beacon: BeaconWait { chain: Chain::quicknet(), patience: Span::ZERO },
        instance_name: "bench".to_owned(),
        folders: HouseFolders::default(),
    };
    let opened = office::open(parts, settings, Loading::WhenAsked).await.unwrap();
    (opened.office, store)
}

/// The median and the longest of some runs.
async fn times(mut run: impl AsyncFnMut(usize)) -> (Duration, Duration) {
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let start = Instant::now();
        run(round).await;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    (times.get(ROUNDS / 2).copied().unwrap(), times.last().copied().unwrap())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn main() {
    let orders = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(ORDERS);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frontrow.db");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    drop(SqliteStore::open(&path, Clock::manual(START), Policy::default(), 100).unwrap());
    let start = Instant::now();
    fill(&path, orders);
    let size = std::fs::metadata(&path).unwrap().len() / 1_000_000;
    println!("{orders} orders in {size} MB, written in {:.0} s", start.elapsed().as_secs_f64());
    runtime.block_on(measure(&path, orders));
}

async fn measure(path: &Path, orders: i64) {
    let (office, store) = opened(path).await;
    let middle = orders / 2;
    let by_key = times(async |round| {
        let user = UserId(Uuid::from_u128(u128::try_from(round + 1).unwrap()));
        store.user(user).await.unwrap().unwrap();
    })
    .await
    .0;
    println!("a read by key: {:.3} ms\n", millis(by_key));
    println!("{:<34} {:>6} {:>9} {:>9} {:>8}", "text", "found", "median ms", "worst ms", "ratio");
    let mut worst_of_all = Duration::ZERO;
    for text in [
        middle.to_string(),
        format!("payment {middle}"),
        format!("buyer{middle}@example.com"),
        "buyer".to_owned(),
        "김민".to_owned(),
        "민".to_owned(),
        "minji".to_owned(),
        format!("park {middle}"),
        "example.com".to_owned(),
        "nothing like it".to_owned(),
        "tide".to_owned(),
        format!("pg-{middle}"),
        format!("cc-{}", middle + 10),
        "batch".to_owned(),
        format!("debt {middle}"),
        Uuid::from_u128(u128::try_from(middle).unwrap()).to_string(),
        "concert 1 seat 12".to_owned(),
        "concert 1 R7 12".to_owned(),
    ] {
        let mut found = 0;
        let (median, worst) = times(async |_| found = office.find(&text).await.unwrap().count()).await;
        worst_of_all = worst_of_all.max(worst);
        let ratio = median.as_secs_f64() / by_key.as_secs_f64();
        println!("{text:<34} {found:>6} {:>9.2} {:>9.2} {ratio:>8.0}", millis(median), millis(worst));
    }
    let verdict = if worst_of_all <= TARGET { "within" } else { "ABOVE" };
    println!("\nworst {:.1} ms: {verdict} {:.0} ms", millis(worst_of_all), millis(TARGET));
}
