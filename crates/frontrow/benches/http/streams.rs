//! Thousands of open streams: what one takes, how fast news reach all, what they cost others, and what one waiter costs
//! beside one that polls.
//!
//! The server is a process of its own. Each stream takes a file descriptor in both processes: where `ulimit -n` allows
//! fewer, there are fewer streams, and the output says so.

use crate::{
    Child, Holds, POSITION_CONNECTIONS, SEATS_PER_BUYER, Same, get, median,
    world::{self, Buyer, Server, buyers, concert},
};
use frontrow_testkit::bench::load::{LoadConnection, Requests, UNLIMITED, load_at};
use hdrhistogram::Histogram;
use sha2::{Digest as _, Sha256};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

const STREAMS: usize = 20_000;
/// File descriptors for everything else.
const OTHERS: usize = 400;
const BUYERS: usize = 40_000;
const HOLD_CONNECTIONS: usize = 64;
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(2);
const OPERATOR: &str = "an operator of the benchmark, signed in";
/// How long the cost of waiters is measured.
const WAITING: Duration = Duration::from_secs(30);

/// What all streams have received.
#[derive(Default)]
struct Received {
    events: AtomicUsize,
    /// Those that have received the message with this number.
    message: AtomicUsize,
    with_message: AtomicUsize,
}

fn descriptors() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(3).unwrap().parse().unwrap()
}

pub(crate) fn run() {
    let count = STREAMS.min(descriptors().saturating_sub(OTHERS));
    if count < STREAMS {
        println!("`ulimit -n` is {}: {count} streams instead of {STREAMS}", descriptors());
    }
    let folder = tempfile::tempdir_in(".").unwrap();
    let sale = seed(folder.path());
    let flags = ["--max-streams-per-address", "0", "--active-limit-seconds", "36000", "--idle-seconds", "36000"];
    let flags: Vec<&str> = UNLIMITED.iter().chain(&flags).copied().collect();
    let server = Child::start_with(folder.path(), &flags);
    let keyring = server.keyring();
    let tokens: Vec<String> =
        (1..=count).map(|position| keyring.sign(&world::token_at(i64::try_from(position).unwrap()), 1)).collect();
    let clients = tokio::runtime::Runtime::new().unwrap();

    // The server's memory grows by what the others do too: they go first.
    others(&server, &sale, &tokens);
    let before = server.resident_kb();
    let received = Arc::new(Received::default());
    let started = Instant::now();
    let streams = clients.block_on(open(server.address, &tokens, &received));
    println!("{count} streams open in {:.1} s", started.elapsed().as_secs_f64());
    clients.block_on(async {
        while received.events.load(Ordering::Relaxed) < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let taken = server.resident_kb() - before;
    println!("resident: {before} KiB before, {:.1} KiB a stream", per(taken, count));
    for number in 1..=5 {
        news(&clients, &server, &received, count, number);
    }

    let (mut positions, mut holds) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    let mut streams = Some(streams);
    for round in 0..2 * ROUNDS {
        let with = round % 2;
        if with == 0 {
            drop(streams.take());
            std::thread::sleep(Duration::from_secs(2));
        } else if streams.is_none() {
            streams = Some(clients.block_on(open(server.address, &tokens, &received)));
            std::thread::sleep(Duration::from_secs(2));
        }
        let (position, hold) = others(&server, &sale, &tokens);
        positions[with].push(position);
        holds[with].push(hold);
    }
    for (name, [without, with]) in [("positions", positions), ("holds", holds)] {
        let ratio = median(with.clone()) / median(without.clone());
        println!("{name:<12} {:>8.0}/s without, {:>8.0}/s with the streams: {ratio:.2}", median(without), median(with));
    }
    waiters(&server, &clients, &received, &tokens, streams);
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people to read")]
fn per(whole: u64, parts: usize) -> f64 {
    whole as f64 / parts as f64
}

/// A sale beside the streams.
struct Sale {
    buyers: Arc<Vec<Buyer>>,
    first_seat: i64,
    next: Arc<AtomicUsize>,
}

/// Fills the folder: a line in the house room, buyers with turns in a concert's own room, and an operator.
fn seed(folder: &std::path::Path) -> Sale {
    let flags = ["--max-active", "1", "--hold-seconds", "36000", "--active-limit-seconds", "36000"];
    let flags: Vec<&str> = flags.iter().chain(&["--idle-seconds", "36000"]).copied().collect();
    let server = Server::real(folder, &flags);
    server.run(world::join(server.office(), 1..=u64::try_from(STREAMS).unwrap(), None));
    let seats = i32::try_from(BUYERS * SEATS_PER_BUYER).unwrap();
    let (_, room, first) = server.run(concert(server.office(), seats, Some(1_000_000)));
    let first_buyer = u64::try_from(STREAMS).unwrap() + 1;
    let admitted = server.run(buyers(server.office(), first_buyer, u64::try_from(BUYERS).unwrap(), room));
    server.run(world::operator(server.office(), &bearer()));
    Sale { buyers: Arc::new(admitted), first_seat: first.get(), next: Arc::default() }
}

pub(crate) fn bearer() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(OPERATOR))
}

/// Positions and holds a second.
fn others(server: &Child, sale: &Sale, tokens: &[String]) -> (f64, f64) {
    let token = &tokens[tokens.len() / 2];
    let request = get(&format!("/api/v1/queue/tokens/{token}/position"));
    let sources = (0..POSITION_CONNECTIONS).map(|_| Box::new(Same(request.clone())) as Box<dyn Requests>);
    let positions = crate::run(server.address, sources.collect(), ROUND);
    assert_eq!(positions.by_class[2], positions.latency.len(), "not all answers are 2xx: {:?}", positions.by_class);
    let sources = (0..HOLD_CONNECTIONS).map(|_| {
        let (buyers, next) = (Arc::clone(&sale.buyers), Arc::clone(&sale.next));
        Box::new(Holds { buyers, next, first_seat: sale.first_seat }) as Box<dyn Requests>
    });
    let holds = crate::run(server.address, sources.collect(), Duration::from_millis(700));
    assert_eq!(holds.by_class[2], holds.latency.len(), "not all answers are 2xx: {:?}", holds.by_class);
    assert!(sale.next.load(Ordering::Relaxed) < BUYERS * SEATS_PER_BUYER, "there are too few seats for so many holds");
    (positions.rate, holds.rate)
}

/// Opens a stream for each token, some at a time, and reads them.
async fn open(address: SocketAddr, tokens: &[String], received: &Arc<Received>) -> JoinSet<()> {
    let opening = Arc::new(Semaphore::new(64));
    let mut streams = JoinSet::new();
    for (number, token) in tokens.iter().enumerate() {
        let permit = Arc::clone(&opening).acquire_owned().await.unwrap();
        let (request, received) = (get(&format!("/api/v1/queue/tokens/{token}/events")), Arc::clone(received));
        streams.spawn(async move {
            let mut stream = connect(address, number).await;
            stream.write_all(&request).await.unwrap();
            let mut buffer = [0; 2_048];
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(buffer[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..read]));
            drop(permit);
            let mut part = &buffer[..read];
            let mut rest = [0; 2_048];
            loop {
                note(part, &received);
                let read = stream.read(&mut rest).await.unwrap();
                if read == 0 {
                    return;
                }
                part = &rest[..read];
            }
        });
    }
    streams
}

/// Each address of this machine has its own ports.
pub(crate) async fn connect(address: SocketAddr, number: usize) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let third = u8::try_from(number / 5_000 + 1).unwrap();
    socket.bind(SocketAddr::from(([127, 0, third, 1], 0))).unwrap();
    socket.connect(address).await.unwrap()
}

fn note(part: &[u8], received: &Received) {
    let has = |text: &[u8]| part.windows(text.len()).any(|window| window == text);
    if has(b"\ndata: ") {
        received.events.fetch_add(1, Ordering::Relaxed);
        let number = received.message.load(Ordering::Relaxed);
        if number > 0 && has(format!("\"news {number}\"").as_bytes()) {
            received.with_message.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Changes the message, and waits until every stream has it.
fn news(clients: &tokio::runtime::Runtime, server: &Child, received: &Received, count: usize, number: usize) {
    let spent = server.processor_time();
    received.message.store(number, Ordering::Relaxed);
    received.with_message.store(0, Ordering::Relaxed);
    let started = Instant::now();
    let answered = clients.block_on(set_room(server.address, &format!("{{\"message\":\"news {number}\"}}")));
    let (mut half, mut most) = (None, None);
    while started.elapsed() < Duration::from_secs(30) && most.is_none() {
        std::thread::sleep(Duration::from_millis(2));
        let have = received.with_message.load(Ordering::Relaxed);
        half = half.or((have * 2 >= count).then(|| started.elapsed()));
        most = (have >= count).then(|| started.elapsed());
    }
    let spent = server.processor_time().saturating_sub(spent);
    println!(
        "a message: answered after {answered:.0?}, at half of the streams after {half:.0?}, at all after {most:.0?}; \
         {:.1} us of the server for each stream",
        spent.as_secs_f64() * 1e6 / f64::from(u32::try_from(count).unwrap()),
    );
    std::thread::sleep(Duration::from_millis(500));
}

async fn set_room(address: SocketAddr, body: &str) -> Duration {
    let request = format!(
        "PATCH /api/v1/operator/rooms/0 HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         authorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
        bearer(),
        body.len()
    );
    let started = Instant::now();
    let status = LoadConnection::open(address).await.unwrap().ask(request.as_bytes()).await.unwrap();
    assert_eq!(status, 200);
    started.elapsed()
}

/// The processor time of the server for one waiter and second, while the line moves by ten a second.
fn waiters(
    server: &Child,
    clients: &tokio::runtime::Runtime,
    received: &Arc<Received>,
    tokens: &[String],
    streams: Option<JoinSet<()>>,
) {
    let streams = streams.unwrap_or_else(|| clients.block_on(open(server.address, tokens, received)));
    let count = tokens.len();
    let idle = cost(server, || std::thread::sleep(WAITING));
    clients
        .block_on(set_room(server.address, r#"{"max_active":1000000,"admit_per_minute":600,"reason":"To measure."}"#));
    let events = received.events.load(Ordering::Relaxed);
    let moving = cost(server, || std::thread::sleep(WAITING));
    let events = received.events.load(Ordering::Relaxed) - events;
    drop(streams);
    std::thread::sleep(Duration::from_secs(2));
    let alone = cost(server, || std::thread::sleep(WAITING));
    // As many polls as such a line would send: nearly all waiters ask every 30 seconds.
    let (connections, every) = (64_u32, Duration::from_secs(30));
    let interval = every * connections / u32::try_from(count).unwrap();
    let mut latency = Histogram::<u64>::new(3).unwrap();
    let polling = cost(server, || {
        let sources = (0..connections).map(|number| {
            let token = &tokens[usize::try_from(number).unwrap() * (count / 64)];
            Box::new(Same(get(&format!("/api/v1/queue/tokens/{token}/position")))) as Box<dyn Requests>
        });
        let load = clients.block_on(load_at(server.address, sources.collect(), WAITING, Some(interval)));
        latency.add(&load.latency).unwrap();
    });
    let waiters = f64::from(u32::try_from(count).unwrap());
    let each = |cost: Duration| cost.saturating_sub(alone).as_secs_f64() * 1e6 / WAITING.as_secs_f64() / waiters;
    println!(
        "one waiter's second: {:.2} us by a stream in a line that rests, {:.2} us in one that moves ({:.2} events), \
         {:.2} us by polls ({:.3} polls); the server alone {:.0} ms a second",
        each(idle),
        each(moving),
        per(u64::try_from(events).unwrap(), count) / WAITING.as_secs_f64(),
        each(polling),
        per(latency.len(), count) / WAITING.as_secs_f64(),
        alone.as_secs_f64() * 1e3 / WAITING.as_secs_f64(),
    );
}

pub(crate) fn cost(server: &Child, work: impl FnOnce()) -> Duration {
    let before = server.processor_time();
    work();
    server.processor_time().saturating_sub(before)
}
