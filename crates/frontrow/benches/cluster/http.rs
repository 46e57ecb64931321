//! One instance over HTTP beside the usual way: holds, positions, and a crowd that wants the same few seats.

use crate::{
    baseline_server as server,
    serving::{FLAGS, Serving, Side},
};
use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    id::{Position, RoomId, TokenId},
    line::Token,
    policy::Policy,
    time::Time,
};
use frontrow_signing::Keyring;
use frontrow_storage::postgres::{PostgresSettings, PostgresStore, keys::SigningKeys};
use frontrow_testkit::{
    bench::{
        load::{Load, Requests, UNLIMITED, load, load_at},
        median,
        office::{self, Plan, Postgres, TEMPLATE},
        spread,
    },
    servers::redis::RedisServer,
};
use sha2::{Digest as _, Sha256};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const CONNECTIONS: usize = 256;
const SEATS_PER_BUYER: usize = 4;
pub(crate) const PLAN: Plan = Plan { concerts: 1, buyers: 30_000, seats: 120_000 };
/// How many wait in the house room while positions are read.
pub(crate) const WAITING: i64 = 100_000;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
/// The usual way's server, in the process that [`Serving::start`] made.
///
/// # Errors
/// The arguments are not what that gives, or a server is gone.
pub(crate) async fn usual_server(args: &[String]) -> Result<()> {
    let [database, redis, data, connections] = args else { anyhow::bail!("four arguments are needed") };
    let places = server::Addresses { database, redis, data, connections: connections.parse()? };
    server::serve(&places, &[UNLIMITED.as_slice(), FLAGS.as_slice()].concat()).await
}

/// The bare handler's server, in the process that [`Serving::start`] made.
///
/// # Errors
/// The server failed.
pub(crate) async fn bare_server(args: &[String]) -> Result<()> {
    server::serve_bare(args.first().context("the answer is missing")?).await
}

pub(crate) fn bearer(number: i64) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(number.to_le_bytes()))
}

/// Makes the template: buyers with sessions and active tokens, and a line in the house room.
///
/// # Errors
/// The database is gone.
pub(crate) async fn prepare(server: &Postgres, plan: Plan, waiting: i64) -> Result<Keyring> {
    server.execute("postgres", &[&format!("CREATE DATABASE {TEMPLATE}")]).await?;
    let url = server.url(TEMPLATE);
    let settings = PostgresSettings::new(&url);
    drop(PostgresStore::open(&settings, Clock::System, Policy::default(), 0).await?);
    let keyring = SigningKeys::new(&settings)?.load_or_create(&Ids::from_os()).await?;
    office::fill(&url, plan).await?;
    office::fill_line(&url, plan.concerts * plan.buyers, waiting).await?;
    let client = office::connect(&url).await?;
    let numbers: Vec<i64> = (1..=plan.concerts * plan.buyers).collect();
    for part in numbers.chunks(10_000) {
        let hashes: Vec<Vec<u8>> = part.iter().map(|number| Sha256::digest(bearer(*number)).to_vec()).collect();
        let users: Vec<_> = part.iter().map(|number| office::user_id(*number).0).collect();
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
    keyring.sign(&Token::issued(id, office::user_id(user), Time::from_micros(1_800_000_000_000_000)), 1)
}

/// A buyer who may hold.
pub(crate) struct Buyer {
    bearer: String,
    token: String,
}

pub(crate) fn buyers(keyring: &Keyring, plan: Plan) -> Arc<Vec<Buyer>> {
    let buyers = (1..=plan.concerts * plan.buyers)
        .map(|number| Buyer { bearer: bearer(number), token: signed(keyring, office::token_id(plan, number), number) });
    Arc::new(buyers.collect())
}

/// `key` makes the idempotency key, if there is to be one.
pub(crate) fn hold_request(request: &mut Vec<u8>, buyer: &Buyer, key: Option<usize>, seat: usize) {
    use std::io::Write as _;
    let body = format!("{{\"seat_id\":{seat}}}");
    let key = key.map_or_else(String::new, |number| format!("idempotency-key: benchmark-{number:020}\r\n"));
    // Writing into memory does not fail.
    let _ = write!(
        request,
        "POST /api/v1/reservations HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         authorization: Bearer {}\r\nqueue-token: {}\r\n{key}content-length: {}\r\n\r\n{body}",
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
        hold_request(request, buyer, Some(number), number + 1);
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

/// The results of the rounds of one side.
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
pub(crate) async fn holds(server: &Postgres, redis: &RedisServer, keyring: &Keyring, connections: usize) -> Result<()> {
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
    redis: &RedisServer,
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
pub(crate) async fn sweep(server: &Postgres, redis: &RedisServer, keyring: &Keyring) -> Result<()> {
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

/// Fills a line in Redis the usual way: a sorted set, and a hash for each token.
async fn fill_baseline_line(line: &mut redis::aio::MultiplexedConnection) -> Result<()> {
    let room = RoomId::HOUSE;
    let places: Vec<i64> = (1..=WAITING).collect();
    for part in places.chunks(1_000) {
        let mut rebuild = redis::pipe();
        for place in part {
            let user = office::user_id(*place).0.to_string();
            rebuild.cmd("ZADD").arg(server::line_key(room)).arg(*place).arg(*place).ignore();
            rebuild
                .cmd("HSET")
                .arg(server::token_key(room, *place))
                .arg("user_id")
                .arg(user)
                .arg("status")
                .arg("waiting");
        }
        rebuild.query_async::<redis::Value>(line).await?;
    }
    Ok(())
}

/// The server that answers positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Ours,
    /// `ZRANK` alone.
    Rank,
    /// The token, the rank and the number of the active.
    LookedUp,
    /// A handler that does nothing.
    Bare,
}

impl Reader {
    const ALL: [Self; 4] = [Self::Ours, Self::Rank, Self::LookedUp, Self::Bare];

    const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Rank => "ZRANK",
            Self::LookedUp => "token, ZRANK, active",
            Self::Bare => "a bare handler",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::LookedUp => "looked-up",
            Self::Ours | Self::Rank | Self::Bare => "tokens",
        }
    }
}

/// The requests of one reader, all along the line.
fn position_paths(keyring: &Keyring, reader: Reader) -> Arc<Vec<Vec<u8>>> {
    let first = PLAN.concerts * PLAN.buyers;
    let path = |place: i64| {
        let token = signed(keyring, TokenId { room_id: RoomId::HOUSE, position: Position(place) }, first + place);
        let folder = reader.path();
        format!("GET /api/v1/queue/{folder}/{token}/position HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
    };
    Arc::new((1..=WAITING).step_by(10).map(path).collect())
}

fn sources(paths: &Arc<Vec<Vec<u8>>>) -> Vec<Box<dyn Requests>> {
    let source = |number: usize| Box::new(Positions { paths: Arc::clone(paths), next: number * 31 });
    (0..CONNECTIONS).map(|number| source(number) as Box<dyn Requests>).collect()
}

/// Position reads over 256 connections, in turn: each reader at its own best rate, then ours at the rate that was the
/// best of `ZRANK`.
///
/// # Errors
/// A server is gone, or an answer is not what it should be.
pub(crate) async fn positions(
    server: &Postgres,
    redis: &RedisServer,
    keyring: &Keyring,
    connections: usize,
) -> Result<()> {
    let mut line = redis::Client::open(redis.url())?.get_multiplexed_async_connection().await?;
    fill_baseline_line(&mut line).await?;
    let database = server.copy("positions").await?;
    let [ours, usual, bare] =
        [Side::Ours, Side::Usual, Side::Bare].map(|side| Serving::start(side, &database, &redis.url(), connections));
    let (ours, usual, bare) = (ours?, usual?, bare?);
    let address = |reader| match reader {
        Reader::Ours => ours.address,
        Reader::Rank | Reader::LookedUp => usual.address,
        Reader::Bare => bare.address,
    };
    let paths = Reader::ALL.map(|reader| position_paths(keyring, reader));
    let mut sides: [Sides; 4] = std::array::from_fn(|_| Sides::default());
    let mut paced = Sides::default();
    for round in 0..ROUNDS {
        let mut best_rank = 0.0;
        for turn in 0..Reader::ALL.len() {
            let index = (round + turn) % Reader::ALL.len();
            let reader = Reader::ALL[index];
            let busy = cpu(&mut line).await?;
            let load = load(address(reader), sources(&paths[index]), ROUND).await;
            all_done(&load)?;
            let busy = (cpu(&mut line).await? - busy) / ROUND.as_secs_f64();
            let name = reader.name();
            eprintln!("{name}: {:.0} positions/s, Redis busy {:.0}% of a processor", load.rate, busy * 100.0);
            if reader == Reader::Rank {
                best_rank = load.rate;
            }
            sides[index].add(&load);
        }
        let interval = Duration::from_secs_f64(f64::from(u16::try_from(CONNECTIONS)?) / best_rank);
        let load = load_at(ours.address, sources(&paths[0]), ROUND, Some(interval)).await;
        all_done(&load)?;
        eprintln!("ours, no faster than ZRANK: {:.0} positions/s", load.rate);
        paced.add(&load);
    }
    let [ours, rank, looked_up, bare] = &sides;
    print("positions", ours, rank);
    print("token read", ours, looked_up);
    print("at its rate", &paced, rank);
    let ceiling = spread(bare.rates.iter().zip(&rank.rates).map(|(own, its)| own / its));
    println!("a bare handler {:.0}/s: {ceiling} of ZRANK's rate", median(bare.rates.clone()));
    Ok(())
}
