//! What the screen of a sale costs while operators look at it: the processor time of the server with ten browsers open
//! beside that without any, in a sale that goes on.
//!
//! The server is a process of its own. A line waits, seats are held at a steady pace, and each browser is a stream that
//! reads what it is sent.

use crate::{
    Child, Holds, SEATS_PER_BUYER,
    streams::{bearer, connect, cost},
    world::{self, Server, buyers, concert},
};
use frontrow_domain::id::{ConcertId, SeatId};
use frontrow_testkit::bench::load::{Requests, UNLIMITED, load_at};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    runtime::Runtime,
    task::JoinSet,
};

const BROWSERS: usize = 10;
const SEATS: usize = 50_000;
/// Active buyers.
const BUYERS: usize = 5_000;
const WAITING: u64 = 20_000;
const ROUND: Duration = Duration::from_secs(20);
/// Between two holds of a connection: of ten together, 50 a second.
const PACE: Duration = Duration::from_millis(200);
const HOLD_CONNECTIONS: usize = 10;
const ROUNDS: usize = 3;

struct Sale {
    concert: ConcertId,
    first_seat: SeatId,
    buyers: Arc<Vec<world::Buyer>>,
}

pub(crate) fn run() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let sale = seed(folder.path());
    let server = Child::start_with(folder.path(), &UNLIMITED);
    let clients = Runtime::new().unwrap();
    let next = Arc::new(AtomicUsize::new(0));
    let going_on = || {
        let sources = (0..HOLD_CONNECTIONS).map(|_| {
            let (buyers, next) = (Arc::clone(&sale.buyers), Arc::clone(&next));
            Box::new(Holds { buyers, next, first_seat: sale.first_seat.get() }) as Box<dyn Requests>
        });
        let load = clients.block_on(load_at(server.address, sources.collect(), ROUND, Some(PACE)));
        assert_eq!(load.by_class[2], load.latency.len(), "not all answers are 2xx: {:?}", load.by_class);
    };
    let (mut shares, mut frames, mut bytes) = (Vec::new(), 0, 0);
    for round in 0..ROUNDS {
        let without = cost(&server, going_on);
        let received = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let screens = clients.block_on(open(&server, sale.concert, &received));
        std::thread::sleep(Duration::from_secs(2));
        let before = (received.0.load(Ordering::Relaxed), received.1.load(Ordering::Relaxed));
        let with = cost(&server, going_on);
        frames = received.0.load(Ordering::Relaxed) - before.0;
        bytes = received.1.load(Ordering::Relaxed) - before.1;
        drop(screens);
        std::thread::sleep(Duration::from_secs(2));
        let share = (with.as_secs_f64() - without.as_secs_f64()) / ROUND.as_secs_f64();
        println!(
            "round {round}: {without:.0?} without, {with:.0?} with {BROWSERS} browsers: {:.2} % of a core",
            100.0 * share
        );
        shares.push(share);
    }
    assert!(next.load(Ordering::Relaxed) < BUYERS * SEATS_PER_BUYER, "there are too few seats for so many holds");
    println!(
        "{BROWSERS} browsers: {:.2} % of a core (median of {ROUNDS}); {} events, {} bytes for each browser and second",
        100.0 * crate::median(shares),
        frames / BROWSERS / 20,
        bytes / BROWSERS / 20,
    );
}

/// Fills the folder: a hall, buyers with turns, a line behind them, and an operator.
fn seed(folder: &Path) -> Sale {
    let flags = ["--hold-seconds", "36000", "--active-limit-seconds", "36000", "--idle-seconds", "36000"];
    let server = Server::real(folder, &flags);
    let cap = i64::try_from(BUYERS).unwrap();
    let (concert, room, first_seat) = server.run(concert(server.office(), i32::try_from(SEATS).unwrap(), Some(cap)));
    let admitted = server.run(buyers(server.office(), 1, u64::try_from(BUYERS).unwrap(), room));
    let first = u64::try_from(BUYERS).unwrap() + 1;
    server.run(world::join(server.office(), first..=first + WAITING - 1, room.concert()));
    server.run(world::operator(server.office(), &bearer()));
    Sale { concert, first_seat, buyers: Arc::new(admitted) }
}

/// Opens the streams of the screens, and reads them.
async fn open(server: &Child, concert: ConcertId, received: &Arc<(AtomicUsize, AtomicUsize)>) -> JoinSet<()> {
    let mut screens = JoinSet::new();
    let request = format!(
        "GET /operator/concerts/{concert}/sale/events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\
         authorization: Bearer {}\r\n\r\n",
        bearer()
    );
    for number in 0..BROWSERS {
        let mut stream = connect(server.address, number).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut buffer = vec![0; 64 * 1_024];
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(buffer[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..read]));
        let received = Arc::clone(received);
        screens.spawn(async move {
            loop {
                let read = stream.read(&mut buffer).await.unwrap();
                if read == 0 {
                    return;
                }
                let events = buffer[..read].windows(7).filter(|part| part == b"\ndata: ").count();
                received.0.fetch_add(events, Ordering::Relaxed);
                received.1.fetch_add(read, Ordering::Relaxed);
            }
        });
    }
    screens
}
