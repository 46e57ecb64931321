//! The cost of a batch: statements, as the server counts them, and round trips, as a relay in between sees them.

use crate::crowd::Two;
use frontrow_clock::Clock;
use frontrow_domain::{
    command::{Command, Outcome, Request},
    id::{SeatId, TokenId, UserId},
    policy::Policy,
    user::Caller,
};
use frontrow_storage::postgres::{PostgresSettings, PostgresStore};
use frontrow_testkit::{
    START,
    fixture::{Fixture, HOUSE_MAX_ACTIVE, keyed},
    servers::postgres::TestDatabase,
};
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// How many holds a batch has.
const BATCH: usize = 100;

/// The traffic through the relay.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Traffic {
    /// Requests that are not answered yet.
    open: u64,
    /// Requests.
    requests: u64,
    /// Requests that were sent when all before them were answered: each begins a round trip.
    round_trips: u64,
}

/// Passes connections on to a server and understands as much of them as it needs to count.
struct Relay {
    port: u16,
    traffic: Arc<Mutex<Traffic>>,
}

impl Relay {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Self { port: listener.local_addr().unwrap().port(), traffic: Arc::default() };
        let traffic = Arc::clone(&relay.traffic);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                tokio::spawn(pass(from_client, to_server, Side::Client, Arc::clone(&traffic)));
                tokio::spawn(pass(from_server, to_client, Side::Server, Arc::clone(&traffic)));
            }
        });
        relay
    }

    /// The traffic since the last call.
    fn take(&self) -> Traffic {
        let mut traffic = self.traffic.lock().unwrap();
        let taken = *traffic;
        *traffic = Traffic { open: taken.open, ..Traffic::default() };
        taken
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// Passes messages on, one by one. The client's first has no type.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    side: Side,
    traffic: Arc<Mutex<Traffic>>,
) -> std::io::Result<()> {
    let mut is_first = side == Side::Client;
    loop {
        let kind = if is_first { None } else { Some(from.read_u8().await?) };
        let len = from.read_u32().await?;
        let mut body = vec![0; usize::try_from(len).unwrap() - 4];
        from.read_exact(&mut body).await?;
        // A query of plain text, or the end of a prepared one, is a request; "ready for query" is its last answer.
        match (side, kind) {
            (Side::Client, Some(b'Q' | b'S')) => {
                let mut traffic = traffic.lock().unwrap();
                traffic.round_trips += u64::from(traffic.open == 0);
                traffic.open += 1;
                traffic.requests += 1;
            }
            (Side::Server, Some(b'Z')) => {
                let mut traffic = traffic.lock().unwrap();
                traffic.open = traffic.open.saturating_sub(1);
            }
            _ => {}
        }
        let mut message = Vec::with_capacity(body.len() + 5);
        message.extend(kind);
        message.extend(len.to_be_bytes());
        message.extend(body);
        to.write_all(&message).await?;
        is_first = false;
    }
}

/// Buyers with money and an active token, and a seat for each.
async fn buyers(office: &Fixture, count: usize) -> Vec<(UserId, TokenId, SeatId)> {
    let concert = office.concert().await;
    let seats = office.seats(concert.concert_id, i32::try_from(count).unwrap()).await;
    let mut buyers = Vec::new();
    for seat in seats {
        let user = office.register().await;
        office.top_up(user, 200_000).await;
        buyers.push((user, office.join(user, frontrow_domain::id::RoomId::HOUSE).await.id, seat));
    }
    office.advance_line(frontrow_domain::id::RoomId::HOUSE, 500).await;
    let claims = buyers.iter().map(|(user, token, _)| Request {
        caller: Caller::Buyer(*user),
        command: Command::ActivateToken { token: *token },
        idempotency: None,
    });
    office.batch(claims.collect()).await;
    buyers
}

fn key(number: usize) -> u8 {
    u8::try_from(number).unwrap()
}

#[tokio::test]
async fn a_batch_of_holds_or_payments_is_two_round_trips_and_a_few_statements() {
    let database = TestDatabase::new().await;
    let url = database.url();
    let (host, name) = url.rsplit_once('/').unwrap();
    let relay = Relay::to(host.rsplit_once(':').unwrap().1.parse().unwrap()).await;
    let url = format!("postgres://postgres@127.0.0.1:{}/{name}?sslmode=disable", relay.port);
    let clock = Clock::manual(START);
    let settings = PostgresSettings { lanes: 1, ..PostgresSettings::new(&url) };
    let store = PostgresStore::open(&settings, clock.clone(), Policy::default(), HOUSE_MAX_ACTIVE).await.unwrap();
    let office = Fixture::new(clock, Arc::new(store), None);
    let mut buyers = buyers(&office, BATCH).await;
    // The last one goes first: from then on the connection knows its statements.
    let warm = buyers.split_off(BATCH - 1);
    let holds = |buyers: &[(UserId, TokenId, SeatId)], first: usize| -> Vec<Request> {
        let hold = |(number, (user, token, seat)): (usize, &(UserId, TokenId, SeatId))| {
            let command = Command::Hold { token: *token, seat_ids: vec![*seat] };
            keyed(Caller::Buyer(*user), command, key(first + number), 1)
        };
        buyers.iter().enumerate().map(hold).collect()
    };
    let (first, _) = office.batch(holds(&warm, 0)).await;
    office.batch(holds(&buyers[..1], 1)).await;
    relay.take();
    let (held, _) = office.batch(holds(&buyers[1..], 2)).await;
    let cost = relay.take();
    assert_eq!(cost.round_trips, 2, "{cost:?}");
    assert!(cost.requests <= 13, "{cost:?}");

    let pay = |(number, answer): (usize, &frontrow_domain::command::Answer)| match &answer.decision {
        Ok(Outcome::Held(rows)) => {
            let row = &rows[0];
            let all = warm.iter().chain(&buyers);
            let token = all.clone().find(|(user, ..)| *user == row.user_id).unwrap().1;
            let command = Command::Pay { token, reservation_ids: vec![row.reservation_id] };
            keyed(Caller::Buyer(row.user_id), command, key(101 + number), 1)
        }
        other => panic!("{other:?}"),
    };
    let first: Vec<_> = first.iter().map(|answer| pay((BATCH + 10, answer))).collect();
    office.batch(first).await;
    relay.take();
    let (paid, _) = office.batch(held.iter().enumerate().map(pay).collect()).await;
    assert!(paid.iter().all(|answer| matches!(answer.decision, Ok(Outcome::Paid(_)))));
    let cost = relay.take();
    assert_eq!(cost.round_trips, 2, "{cost:?}");
    assert!(cost.requests <= 17, "{cost:?}");
}

/// The same number as the server counts it: nothing runs once a row.
#[tokio::test]
async fn the_server_counts_as_many_statements() {
    let office = Two::open().await;
    let extension = "CREATE EXTENSION IF NOT EXISTS pg_stat_statements";
    let loaded = office.number("SELECT count(*) FROM pg_settings WHERE name = 'pg_stat_statements.max'").await;
    if loaded == 0 {
        // A build of the server without the contributed modules cannot count.
        return;
    }
    office.admin.batch_execute(extension).await.unwrap();
    let buyers = buyers(&office.one, BATCH).await;
    let reset =
        "SELECT pg_stat_statements_reset(0, (SELECT oid FROM pg_database WHERE datname = current_database()), 0)";
    office.admin.batch_execute(reset).await.unwrap();
    let holds = buyers.iter().enumerate().map(|(number, (user, token, seat))| {
        let command = Command::Hold { token: *token, seat_ids: vec![*seat] };
        keyed(Caller::Buyer(*user), command, key(number), 1)
    });
    office.one.batch(holds.collect()).await;
    let counted = |what: &str| {
        format!(
            "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
             WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                 AND query NOT LIKE '%pg_stat%' AND {what}"
        )
    };
    let all = office.number(&counted("true")).await;
    assert!(all >= 10, "{all}");
    let most = "SELECT coalesce(max(calls), 0) FROM pg_stat_statements
                WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                    AND query NOT LIKE '%pg_stat%'";
    assert_eq!(office.number(most).await, 1);
    assert!(all <= 16, "{all}");
}

/// Updates of a table, and those among them that wrote no index.
async fn updates(office: &Two, table: &str) -> (i64, i64) {
    let of = |column: &str| format!("SELECT {column} FROM pg_stat_user_tables WHERE relname = '{table}'");
    (office.number(&of("n_tup_upd")).await, office.number(&of("n_tup_hot_upd")).await)
}

/// A payment changes a reservation and a balance, neither of which stands in an index by what changes.
#[tokio::test]
async fn a_payment_writes_no_index_for_what_it_updates() {
    let office = Two::open().await;
    let buyers = buyers(&office.one, BATCH).await;
    let holds = buyers.iter().enumerate().map(|(number, (user, token, seat))| {
        let command = Command::Hold { token: *token, seat_ids: vec![*seat] };
        keyed(Caller::Buyer(*user), command, key(number), 1)
    });
    let (held, _) = office.one.batch(holds.collect()).await;
    let pays =
        held.iter().zip(&buyers).enumerate().map(|(number, (answer, (user, token, _)))| match &answer.decision {
            Ok(Outcome::Held(rows)) => {
                let command = Command::Pay { token: *token, reservation_ids: vec![rows[0].reservation_id] };
                keyed(Caller::Buyer(*user), command, key(BATCH + number), 1)
            }
            other => panic!("{other:?}"),
        });
    let (paid, _) = office.one.batch(pays.collect()).await;
    assert!(paid.iter().all(|answer| matches!(answer.decision, Ok(Outcome::Paid(_)))));
    // A connection that ends hands in what it has counted.
    office.kill("true").await;
    let batch = i64::try_from(BATCH).unwrap();
    for (table, expected) in [("reservation", batch), ("point", batch)] {
        let mut seen = (0, 0);
        for _ in 0..200 {
            seen = updates(&office, table).await;
            if seen.0 >= expected {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        assert_eq!(seen, (expected, expected), "{table}");
    }
}
