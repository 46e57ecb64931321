//! One instance over HTTP beside the usual way: holds, positions, and a crowd that wants the same few seats.

use crate::{
    client::{Load, Requests, load},
    figures::{median, spread},
    hall::{self, Plan, Postgres, Redis, TEMPLATE},
    server,
};
use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use frontrow::{
    clock::{Clock, Ids},
    queue::token::Keyring,
    store::postgres::{PostgresStore, Settings, keys::TokenKeys},
};
use frontrow_domain::{
    id::{Position, RoomId, TokenId},
    queue::Token,
    rules::Rules,
    time::Time,
};
use sha2::{Digest as _, Sha256};
use std::{
    io::BufRead as _,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;

const CONNECTIONS: usize = 256;
const SEATS_PER_BUYER: usize = 4;
pub(crate) const PLAN: Plan = Plan { concerts: 1, buyers: 30_000, seats: 120_000 };
/// How many wait in the house room while positions are read.
pub(crate) const WAITING: i64 = 100_000;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
/// What both servers are started with: nobody is turned away, and nobody's time runs out while it is measured.
const FLAGS: [&str; 14] = [
    "--requests-per-second-per-user",
    "1000000",
    "--request-burst-per-user",
    "1000000",
    "--active-limit-seconds",
    "86400",
    "--idle-seconds",
    "86400",
    "--queue-len",
    "20000",
    "--max-connections",
    "20000",
    "--log",
    "error",
];

/// Which server is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Usual,
}

/// A server in a process of its own.
pub(crate) struct Serving {
    process: Child,
    pub(crate) address: SocketAddr,
    _data: TempDir,
}

impl Serving {
    /// Starts one. `connections` are those of the usual way's pool.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(side: Side, database: &str, redis: &str, connections: usize) -> Result<Self> {
        let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let folder = data.path().to_str().context("a folder's name")?;
        let mut command = match side {
            Side::Ours => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_frontrow"));
                command.args(["serve", "--listen", "127.0.0.1:0", "--data", folder, "--database-url", database]);
                command.args(["--redis-url", redis]).args(FLAGS);
                command
            }
            Side::Usual => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["usual-server", database, redis, folder, &connections.to_string()]);
                command
            }
        };
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let output = process.stdout.take().context("no output")?;
        let mut lines = std::io::BufReader::new(output).lines();
        let line = lines.next().context("the server did not start")??;
        // Read to the end, or the child would write into a pipe that nobody reads.
        std::thread::spawn(move || lines.count());
        let address = line.rsplit("http://").next().context("no address")?.trim().parse()?;
        Ok(Self { process, address, _data: data })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The usual way's server, in the process that [`Serving::start`] made.
///
/// # Errors
/// The arguments are not what that gives, or a server is gone.
pub(crate) async fn usual_server(args: &[String]) -> Result<()> {
    let [database, redis, data, connections] = args else { anyhow::bail!("four arguments are needed") };
    let places = server::Places { database, redis, data, connections: connections.parse()? };
    server::serve(&places, &FLAGS).await
}

fn bearer(number: i64) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(number.to_le_bytes()))
}

/// Makes the template: buyers with sessions and active tokens, and a line in the house room.
///
/// # Errors
/// The database is gone.
pub(crate) async fn prepare(server: &Postgres, plan: Plan, waiting: i64) -> Result<Keyring> {
    server.execute("postgres", &[&format!("CREATE DATABASE {TEMPLATE}")]).await?;
    let url = server.url(TEMPLATE);
    let settings = Settings::new(&url);
    drop(PostgresStore::open(&settings, Clock::System, Rules::default(), 0).await?);
    let keyring = TokenKeys::new(&settings)?.load_or_create(&Ids::from_os()).await?;
    hall::fill(&url, plan).await?;
    hall::fill_line(&url, plan.concerts * plan.buyers, waiting).await?;
    let client = hall::connect(&url).await?;
    let numbers: Vec<i64> = (1..=plan.concerts * plan.buyers).collect();
    for part in numbers.chunks(10_000) {
        let hashes: Vec<Vec<u8>> = part.iter().map(|number| Sha256::digest(bearer(*number)).to_vec()).collect();
        let users: Vec<_> = part.iter().map(|number| hall::user_id(*number).0).collect();
        client
            .execute(
                "INSERT INTO session SELECT *, 'buyer', 9000000000000000 FROM unnest($1::bytea[], $2::uuid[])",
                &[&hashes, &users],
            )
            .await?;
    }
    client.batch_execute("VACUUM ANALYZE").await?;
    Ok(keyring)
}

fn signed(keyring: &Keyring, id: TokenId, user: i64) -> String {
    // The time of issue is only carried along.
    keyring.sign(&Token::issued(id, hall::user_id(user), Time::from_micros(1_800_000_000_000_000)), 1)
}

/// Somebody who may hold.
pub(crate) struct Buyer {
    bearer: String,
    token: String,
}

pub(crate) fn buyers(keyring: &Keyring, plan: Plan) -> Arc<Vec<Buyer>> {
    let buyers = (1..=plan.concerts * plan.buyers)
        .map(|number| Buyer { bearer: bearer(number), token: signed(keyring, hall::token_id(plan, number), number) });
    Arc::new(buyers.collect())
}

pub(crate) fn hold_request(request: &mut Vec<u8>, buyer: &Buyer, number: usize, seat: usize) {
    use std::io::Write as _;
    let body = format!("{{\"seat_id\":{seat}}}");
    // Writing into memory does not fail.
    let _ = write!(
        request,
        "POST /api/v1/reservations HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         authorization: Bearer {}\r\nqueue-token: {}\r\nidempotency-key: benchmark-{number:020}\r\n\
         content-length: {}\r\n\r\n{body}",
        buyer.bearer,
        buyer.token,
        body.len()
    );
}

/// Holds a fresh seat with each request: four for each buyer, by turns, so that neighbours are other people's.
struct Holds {
    buyers: Arc<Vec<Buyer>>,
    next: Arc<AtomicUsize>,
}

impl Requests for Holds {
    fn next(&mut self, request: &mut Vec<u8>) -> bool {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.buyers.len() * SEATS_PER_BUYER {
            return false;
        }
        let Some(buyer) = self.buyers.get(number % self.buyers.len()) else { return false };
        hold_request(request, buyer, number, number + 1);
        true
    }
}

/// Reads positions all along the line, one after the other.
struct Positions {
    paths: Arc<Vec<Vec<u8>>>,
    next: usize,
}

impl Requests for Positions {
    fn next(&mut self, request: &mut Vec<u8>) -> bool {
        self.next = (self.next + 7_919) % self.paths.len();
        request.extend_from_slice(&self.paths[self.next]);
        true
    }
}

/// What the rounds of one side came to.
#[derive(Default)]
struct Sides {
    rates: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Sides {
    fn add(&mut self, load: &Load) {
        let millis =
            |quantile: f64| f64::from(u32::try_from(load.latency.value_at_quantile(quantile)).unwrap_or(0)) / 1e3;
        self.rates.push(load.rate);
        self.p50.push(millis(0.5));
        self.p99.push(millis(0.99));
    }
}

fn print(what: &str, ours: &Sides, usual: &Sides) {
    for (name, side) in [("ours", ours), ("the usual way", usual)] {
        println!(
            "{what:<12} {name:<14} {:>9.0}/s   p50 {:>7.2} ms   p99 {:>7.2} ms",
            median(side.rates.clone()),
            median(side.p50.clone()),
            median(side.p99.clone())
        );
    }
    let ratio = |pick: fn(&Sides) -> &Vec<f64>| spread(pick(ours).iter().zip(pick(usual)).map(|(own, its)| own / its));
    println!("{what:<12} ratio of rates {}, of p99 {}", ratio(|side| &side.rates), ratio(|side| &side.p99));
}

fn all_done(load: &Load) -> Result<()> {
    ensure!(load.by_class[2] == load.latency.len(), "not all answers are 2xx: {:?}", load.by_class);
    Ok(())
}

/// Holds over 256 connections, in turn.
///
/// # Errors
/// A server is gone, or an answer is not what it should be.
pub(crate) async fn holds(server: &Postgres, redis: &Redis, keyring: &Keyring, connections: usize) -> Result<()> {
    let buyers = buyers(keyring, PLAN);
    let (mut ours, mut usual) = (Sides::default(), Sides::default());
    for round in 0..ROUNDS {
        for turn in 0..2 {
            let side = if (round + turn) % 2 == 0 { Side::Ours } else { Side::Usual };
            let load = hold_round(server, redis, &buyers, side, connections).await?;
            if side == Side::Ours { ours.add(&load) } else { usual.add(&load) }
        }
    }
    print("holds", &ours, &usual);
    Ok(())
}

async fn hold_round(
    server: &Postgres,
    redis: &Redis,
    buyers: &Arc<Vec<Buyer>>,
    side: Side,
    connections: usize,
) -> Result<Load> {
    let database = server.copy("round").await?;
    let serving = Serving::start(side, &database, &redis.url(), connections)?;
    let next = Arc::new(AtomicUsize::new(0));
    let sources = || {
        let source = |_| Box::new(Holds { buyers: Arc::clone(buyers), next: Arc::clone(&next) }) as Box<dyn Requests>;
        (0..CONNECTIONS).map(source).collect()
    };
    // Connections, prepared statements and sessions are there before it counts.
    all_done(&load(serving.address, sources(), ROUND / 4).await)?;
    let measured = load(serving.address, sources(), ROUND).await;
    all_done(&measured)?;
    eprintln!(
        "{side:?}: {:.0} holds/s, p50 {} us, p99 {} us",
        measured.rate,
        measured.latency.value_at_quantile(0.5),
        measured.latency.value_at_quantile(0.99)
    );
    Ok(measured)
}

/// The best pool of the usual way over HTTP.
///
/// # Errors
/// A server is gone.
pub(crate) async fn sweep(server: &Postgres, redis: &Redis, keyring: &Keyring) -> Result<()> {
    let buyers = buyers(keyring, PLAN);
    for connections in [4, 8, 16, 32, 64, 128] {
        let load = hold_round(server, redis, &buyers, Side::Usual, connections).await?;
        let p99 = load.latency.value_at_quantile(0.99);
        println!("{connections:>4} connections to the database: {:.0} holds/s, p99 {p99} us", load.rate);
    }
    Ok(())
}

/// Seconds of processor that Redis has used.
pub(crate) async fn cpu(redis: &mut redis::aio::MultiplexedConnection) -> Result<f64> {
    let text: String = redis::cmd("INFO").arg("cpu").query_async(redis).await?;
    let mut sum = 0.0;
    for name in ["used_cpu_sys:", "used_cpu_user:"] {
        let value = text.lines().find_map(|line| line.strip_prefix(name)).context("INFO does not say")?;
        sum += value.trim().parse::<f64>()?;
    }
    Ok(sum)
}

/// How many bytes go over the wire for one position, both ways, without what TCP adds.
///
/// # Errors
/// The server is gone.
pub(crate) async fn answer_len(address: SocketAddr, keyring: &Keyring, place: i64) -> Result<usize> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let id = TokenId { room_id: RoomId::HOUSE, position: Position(place) };
    let token = signed(keyring, id, 1 + place);
    let request =
        format!("GET /api/v1/queue/tokens/{token}/position HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    Ok(request.len() + answer.len())
}

/// Position reads over 256 connections, in turn.
///
/// # Errors
/// A server is gone, or an answer is not what it should be.
pub(crate) async fn positions(server: &Postgres, redis: &Redis, keyring: &Keyring, connections: usize) -> Result<()> {
    let first = PLAN.concerts * PLAN.buyers;
    let path = |place: i64| {
        let token = signed(keyring, TokenId { room_id: RoomId::HOUSE, position: Position(place) }, first + place);
        format!("GET /api/v1/queue/tokens/{token}/position HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
    };
    let paths: Arc<Vec<Vec<u8>>> = Arc::new((1..=WAITING).step_by(10).map(path).collect());
    let mut line = redis::Client::open(redis.url())?.get_multiplexed_async_connection().await?;
    let places: Vec<i64> = (1..=WAITING).collect();
    for part in places.chunks(1_000) {
        let mut add = redis::cmd("ZADD");
        add.arg(server::line_key(RoomId::HOUSE));
        for place in part {
            add.arg(*place).arg(*place);
        }
        add.query_async::<()>(&mut line).await?;
    }
    let database = server.copy("positions").await?;
    let sides = [Side::Ours, Side::Usual];
    let serving = sides.map(|side| Serving::start(side, &database, &redis.url(), connections));
    let [ours_serving, usual_serving] = serving;
    let (ours_serving, usual_serving) = (ours_serving?, usual_serving?);
    let (mut ours, mut usual) = (Sides::default(), Sides::default());
    for round in 0..ROUNDS {
        for turn in 0..2 {
            let side = if (round + turn) % 2 == 0 { Side::Ours } else { Side::Usual };
            let address = if side == Side::Ours { ours_serving.address } else { usual_serving.address };
            let sources = (0..CONNECTIONS).map(|number| {
                Box::new(Positions { paths: Arc::clone(&paths), next: number * 31 }) as Box<dyn Requests>
            });
            let busy = cpu(&mut line).await?;
            let load = load(address, sources.collect(), ROUND).await;
            all_done(&load)?;
            let busy = (cpu(&mut line).await? - busy) / ROUND.as_secs_f64();
            eprintln!("{side:?}: {:.0} positions/s, Redis busy {:.0}% of a processor", load.rate, busy * 100.0);
            if side == Side::Ours { ours.add(&load) } else { usual.add(&load) }
        }
    }
    print("positions", &ours, &usual);
    Ok(())
}
