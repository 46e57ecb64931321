//! The server over HTTP, beside bare handlers and bare commits on the same machine in the same run.
//!
//! `cargo bench --bench http` runs everything; a name such as `holds` runs that part alone, and the word `alone` leaves
//! the bare side away, for a profiler.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]

mod cockpit;
mod refusals;
mod streams;
mod world;

use frontrow_service::metrics::MetricsFormat;
use frontrow_testkit::bench::load::{Load, LoadConnection, Requests, load};
use hdrhistogram::Histogram;
use rusqlite::Connection;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use world::{Buyer, Server, buyers, concert};

/// The server's own allocator, for both sides of every comparison.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const POSITION_CONNECTIONS: usize = 64;
const HOLD_CONNECTIONS: usize = 256;
const SEATS_PER_BUYER: usize = 4;

fn main() {
    let only: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let parts = only.iter().filter(|part| *part != "alone").count();
    let wanted = |name: &str| parts == 0 || only.iter().any(|part| part == name);
    if wanted("positions") {
        positions();
    }
    if wanted("holds") {
        holds();
    }
    if wanted("refusals") {
        refusals::run();
    }
    if wanted("seatmap") {
        seat_map();
    }
    if wanted("pages") {
        pages();
    }
    if wanted("idle") {
        idle();
    }
    if wanted("pruning") {
        pruning();
    }
    if wanted("million") {
        million();
    }
    if wanted("streams") {
        streams::run();
    }
    if wanted("cockpit") {
        cockpit::run();
    }
}

/// The same request over and over.
struct Same(Vec<u8>);

impl Requests for Same {
    fn next(&mut self, request: &mut Vec<u8>) -> bool {
        request.extend_from_slice(&self.0);
        true
    }
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

fn same(request: &[u8], connections: usize) -> Vec<Box<dyn Requests>> {
    (0..connections).map(|_| Box::new(Same(request.to_vec())) as Box<dyn Requests>).collect()
}

fn run(address: SocketAddr, sources: Vec<Box<dyn Requests>>, length: Duration) -> Load {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(load(address, sources, length))
}

/// The body of one answer, for ever: a bare handler serves the same bytes.
fn body_of(address: SocketAddr, path: &str) -> &'static [u8] {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let body = runtime
        .block_on(async { reqwest::get(format!("http://{address}{path}")).await.unwrap().bytes().await.unwrap() });
    Box::leak(body.to_vec().into_boxed_slice())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs the real and the bare load in turn and prints the rates, their ratio and the latencies.
fn compare(name: &str, mut real: impl FnMut() -> Load, mut bare: impl FnMut() -> Load) {
    let (mut ratios, mut rates, mut bare_rates) = (Vec::new(), Vec::new(), Vec::new());
    let mut latency = Histogram::<u64>::new(3).unwrap();
    if std::env::args().any(|arg| arg == "alone") {
        for _ in 0..ROUNDS {
            println!("{name:<28} {:>9.0}/s", real().rate);
        }
        return;
    }
    for _ in 0..ROUNDS {
        let (measured, beside) = (real(), bare());
        assert_eq!(measured.by_class[2], measured.latency.len(), "not all answers are 2xx: {:?}", measured.by_class);
        assert_eq!(beside.by_class[2], beside.latency.len(), "not all bare answers are 2xx: {:?}", beside.by_class);
        ratios.push(measured.rate / beside.rate);
        rates.push(measured.rate);
        bare_rates.push(beside.rate);
        latency.add(&measured.latency).unwrap();
    }
    let spread = (ratios.iter().copied().fold(f64::MAX, f64::min), ratios.iter().copied().fold(0.0, f64::max));
    println!(
        "{name:<28} {:>9.0}/s   bare {:>9.0}/s   ratio {:.2} ({:.2} to {:.2})   p50 {} us, p99 {} us",
        median(rates),
        median(bare_rates),
        median(ratios),
        spread.0,
        spread.1,
        latency.value_at_quantile(0.5),
        latency.value_at_quantile(0.99),
    );
}

fn positions() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let server = Server::real(folder.path(), &["--max-active", "1"]);
    let first = server.run(buyers(server.office(), 1, 1, frontrow_domain::id::RoomId::HOUSE)).remove(0);
    drop(first);
    let token = server.run(async {
        let office = server.office();
        let command = frontrow_domain::command::Command::Register(world::new_user(2));
        world::command(office, frontrow_domain::user::Caller::System, command).await;
        let caller = frontrow_domain::user::Caller::Buyer(world::user_id(2));
        office.issue_token(caller, None, None).await.unwrap().value.0.signed
    });
    let path = format!("/api/v1/queue/tokens/{token}/position");
    let bare = Server::bare(body_of(server.address, &path));
    let request = get(&path);
    compare(
        "position",
        || run(server.address, same(&request, POSITION_CONNECTIONS), ROUND),
        || run(bare.address, same(&request, POSITION_CONNECTIONS), ROUND),
    );
}

fn seat_map() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let server = Server::real(folder.path(), &[]);
    let (concert_id, ..) = server.run(concert(server.office(), 50_000, None));
    for form in ["compact", "full"] {
        let path = format!("/api/v1/concerts/{concert_id}/seats?form={form}");
        let body = body_of(server.address, &path);
        let bare = Server::bare(body);
        let request = get(&path);
        compare(
            &format!("seat map {form}, {} KB", body.len() / 1_000),
            || run(server.address, same(&request, 16), ROUND),
            || run(bare.address, same(&request, 16), ROUND),
        );
    }
}

/// The front page with as many concerts as it shows, and the page of one, which are made anew each second.
fn pages() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let server = Server::real(folder.path(), &[]);
    let concert_id = server.run(async {
        let mut last = None;
        for _ in 0..24 {
            last = Some(concert(server.office(), 1_000, None).await.0);
        }
        last.unwrap()
    });
    for (name, path) in [("season", "/".to_owned()), ("concert", format!("/concerts/{concert_id}"))] {
        let body = body_of(server.address, &path);
        let bare = Server::bare(body);
        let request = get(&path);
        compare(
            &format!("{name}, {} KB", body.len() / 1_000),
            || run(server.address, same(&request, 64), ROUND),
            || run(bare.address, same(&request, 64), ROUND),
        );
    }
}

/// Holds a fresh seat with each request: four for each buyer, then the next buyer.
struct Holds {
    buyers: Arc<Vec<Buyer>>,
    next: Arc<AtomicUsize>,
    first_seat: i64,
}

impl Requests for Holds {
    fn next(&mut self, request: &mut Vec<u8>) -> bool {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(buyer) = self.buyers.get(number / SEATS_PER_BUYER) else { return false };
        let seat = self.first_seat + i64::try_from(number).unwrap();
        hold_request(request, buyer, seat);
        true
    }
}

fn hold_request(request: &mut Vec<u8>, buyer: &Buyer, seat: i64) {
    use std::io::Write as _;
    let body = format!("{{\"seat_id\":{seat}}}");
    write!(
        request,
        "POST /api/v1/reservations HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         authorization: Bearer {}\r\nqueue-token: {}\r\nidempotency-key: benchmark-{seat:020}\r\n\
         content-length: {}\r\n\r\n{body}",
        buyer.bearer,
        buyer.token,
        body.len()
    )
    .unwrap();
}

fn holds() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let buyers_count = 60_000;
    let active = (buyers_count + 1).to_string();
    let server = Server::real(
        folder.path(),
        &["--max-active", &active, "--hold-seconds", "36000", "--active-limit-seconds", "36000"],
    );
    let seats = i32::try_from(buyers_count * SEATS_PER_BUYER).unwrap();
    let (_, room, first) = server.run(concert(server.office(), seats, Some(1_000_000)));
    let started = Instant::now();
    let admitted = server.run(buyers(server.office(), 1, u64::try_from(buyers_count).unwrap(), room));
    eprintln!("admitted {buyers_count} buyers in {:.1} s", started.elapsed().as_secs_f64());
    let buyers = Arc::new(admitted);
    let next = Arc::new(AtomicUsize::new(0));
    let sample = br#"{"reservation_id":13,"user_id":"01a20505-08cf-7f24-b341-a35ec6ddf0e9","concert_id":1,"seat_id":17,"seat_number":17,"price":120000,"status":"pending","created_at":"2026-11-22T20:49:23.281342Z","expires_at":"2026-11-22T20:54:23.281342Z","confirmed_at":null,"closed_at":null}"#;
    let bare = Server::bare(sample);
    let mut posted = Vec::new();
    hold_request(&mut posted, &buyers[0], 17);
    let posted = String::from_utf8(posted).unwrap().replace("POST /api/v1/reservations ", "POST / ").into_bytes();
    compare(
        "holds, 256 connections",
        || {
            let sources = (0..HOLD_CONNECTIONS).map(|_| {
                let (buyers, next) = (Arc::clone(&buyers), Arc::clone(&next));
                Box::new(Holds { buyers, next, first_seat: first.get() }) as Box<dyn Requests>
            });
            run(server.address, sources.collect(), Duration::from_millis(1_200))
        },
        || run(bare.address, same(&posted, HOLD_CONNECTIONS), Duration::from_millis(1_200)),
    );
    batches(&server);
}

/// The sizes of the batches and the durations of their transactions, in all.
fn batches(server: &Server) {
    let text = server.office().metrics(MetricsFormat::OpenMetrics);
    let read = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0.0)
    };
    let (batches, commands) = (read("frontrow_batch_len_count"), read("frontrow_batch_len_sum"));
    let seconds = read("frontrow_commit_seconds_sum");
    println!(
        "    {batches:.0} batches of {:.0} commands on average, {:.2} ms each, {:.1} us a command",
        commands / batches,
        seconds / batches * 1e3,
        seconds / commands * 1e6
    );
}

/// One client, one hold after the other, beside one-row commits to a file on the same disk.
fn idle() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let server = Server::real(
        folder.path(),
        &["--max-active", "2000", "--hold-seconds", "36000", "--active-limit-seconds", "36000"],
    );
    let count = 500;
    let seats = i32::try_from(count * SEATS_PER_BUYER).unwrap();
    let (_, room, first) = server.run(concert(server.office(), seats, Some(2_000)));
    let buyers = server.run(buyers(server.office(), 1, u64::try_from(count).unwrap(), room));
    let conn = Connection::open(folder.path().join("bare.db")).unwrap();
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE row (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;",
    )
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut holds, mut commits) = (Histogram::<u64>::new(3).unwrap(), Histogram::<u64>::new(3).unwrap());
    let mut connection = runtime.block_on(LoadConnection::open(server.address)).unwrap();
    for number in 0..count * SEATS_PER_BUYER {
        let mut request = Vec::new();
        hold_request(&mut request, &buyers[number / SEATS_PER_BUYER], first.get() + i64::try_from(number).unwrap());
        let sent = Instant::now();
        assert_eq!(runtime.block_on(connection.ask(&request)).unwrap(), 201);
        holds.record(u64::try_from(sent.elapsed().as_micros()).unwrap()).unwrap();
        let started = Instant::now();
        conn.execute("INSERT INTO row (text) VALUES (?1)", ("a row of about the same length as a reservation",))
            .unwrap();
        commits.record(u64::try_from(started.elapsed().as_micros()).unwrap()).unwrap();
    }
    for quantile in [0.5, 0.99] {
        let (hold, commit) = (holds.value_at_quantile(quantile), commits.value_at_quantile(quantile));
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people to read")]
        let ratio = hold as f64 / commit as f64;
        println!("idle hold, p{:<3} {hold} us   one-row commit {commit} us   ratio {ratio:.2}", quantile * 100.0);
    }
}

/// One client, one hold after the other, in a file without old rows and in one with 600,000 answers whose time is over,
/// while they are removed.
fn pruning() {
    let count = 500;
    for old in [0_i64, 600_000] {
        let folder = tempfile::tempdir_in(".").unwrap();
        drop(Server::real(folder.path(), &[]));
        let file = Connection::open(folder.path().join("frontrow.db")).unwrap();
        file.execute(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
             INSERT INTO idempotency (created_at, key, fingerprint, answer)
             SELECT n, CAST(printf('%032d', n) AS BLOB), x'00', '{}' FROM n WHERE n <= ?1",
            (old,),
        )
        .unwrap();
        let server = Server::real(
            folder.path(),
            &["--max-active", "2000", "--hold-seconds", "36000", "--active-limit-seconds", "36000"],
        );
        let seats = i32::try_from(count * SEATS_PER_BUYER).unwrap();
        let (_, room, first) = server.run(concert(server.office(), seats, Some(2_000)));
        let admitted = server.run(buyers(server.office(), 1, u64::try_from(count).unwrap(), room));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut connection = runtime.block_on(LoadConnection::open(server.address)).unwrap();
        let left =
            || file.query_row("SELECT count(*) FROM idempotency WHERE created_at <= ?1", (old,), |row| row.get(0));
        let (started, before): (_, i64) = (Instant::now(), left().unwrap());
        let mut holds = Histogram::<u64>::new(3).unwrap();
        for number in 0..count * SEATS_PER_BUYER {
            let mut request = Vec::new();
            let next = first.get() + i64::try_from(number).unwrap();
            hold_request(&mut request, &admitted[number / SEATS_PER_BUYER], next);
            let sent = Instant::now();
            assert_eq!(runtime.block_on(connection.ask(&request)).unwrap(), 201);
            holds.record(u64::try_from(sent.elapsed().as_micros()).unwrap()).unwrap();
            std::thread::sleep(Duration::from_millis(4));
        }
        let after: i64 = left().unwrap();
        println!(
            "holds beside {old} old rows: p50 {} us, p99 {} us, {} us at most; {} rows removed meanwhile, in {:.0} s",
            holds.value_at_quantile(0.5),
            holds.value_at_quantile(0.99),
            holds.max(),
            before - after,
            started.elapsed().as_secs_f64()
        );
    }
}

/// A million waiting tokens: what they cost in memory, at a start, and to the answers.
fn million() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let waiting = 1_000_000_u64;
    let empty = Child::start(folder.path());
    let few = empty.positions(1);
    println!(
        "no one waiting               {} MB resident, position p50 {} us, p99 {} us",
        empty.resident_mb(),
        few.0,
        few.1
    );
    drop(empty);
    {
        let server = Server::real(folder.path(), &[]);
        let started = Instant::now();
        server.run(world::join(server.office(), 1..=waiting, None));
        eprintln!("{waiting} joined in {:.1} s", started.elapsed().as_secs_f64());
    }
    let full = Child::start(folder.path());
    println!("a million waiting            ready {:.2} s after the start", full.ready_after.as_secs_f64());
    let many = full.positions(waiting);
    println!(
        "                             {} MB resident, position p50 {} us, p99 {} us",
        full.resident_mb(),
        many.0,
        many.1
    );
}

/// The real binary with its default settings, but for a house room that lets no token in.
struct Child {
    process: std::process::Child,
    address: SocketAddr,
    ready_after: Duration,
    folder: std::path::PathBuf,
}

impl Child {
    fn start(folder: &std::path::Path) -> Self {
        Self::start_with(folder, &[])
    }

    fn start_with(folder: &std::path::Path, more: &[&str]) -> Self {
        use std::io::BufRead as _;
        let started = Instant::now();
        let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_frontrow"))
            .args(["serve", "--listen", "127.0.0.1:0", "--max-active", "1", "--data", folder.to_str().unwrap()])
            .args(["--log-format", "text"])
            .args(more)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        // Read to the end, or the child would write into a pipe without a reader.
        std::thread::spawn(move || lines.count());
        let address = line.rsplit("http://").next().unwrap().trim().parse().unwrap();
        // It prints its address when it listens, and it listens when all lines are built.
        let ready_after = started.elapsed();
        Self { process, address, ready_after, folder: folder.to_owned() }
    }

    fn resident_mb(&self) -> u64 {
        self.resident_kb() / 1_024
    }

    fn resident_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// The processor time that the server has used.
    fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        // Behind the name, which may have blanks; in hundredths of a second.
        let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks: u64 = [11, 12].iter().map(|at| fields[*at].parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }

    fn keyring(&self) -> frontrow_signing::Keyring {
        let ids = frontrow_clock::Ids::from_seed(2);
        frontrow_signing::Keyring::load_or_create(&self.folder.join("keys.toml"), &ids).unwrap()
    }

    /// The median and the 99th percentile of position reads all along the line, in microseconds.
    fn positions(&self, waiting: u64) -> (u64, u64) {
        let keyring = self.keyring();
        let sources = (0..16_u64).map(|number| {
            let step = (waiting / 16).max(1);
            let position = i64::try_from(1 + number * step).unwrap();
            let token = keyring.sign(&world::token_at(position), 1);
            Box::new(Same(get(&format!("/api/v1/queue/tokens/{token}/position")))) as Box<dyn Requests>
        });
        let load = run(self.address, sources.collect(), ROUND);
        assert_eq!(load.by_class[2], load.latency.len(), "not all answers are 2xx: {:?}", load.by_class);
        (load.latency.value_at_quantile(0.5), load.latency.value_at_quantile(0.99))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
