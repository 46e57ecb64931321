//! Servers to measure: the real one, and bare handlers beside it.

use axum::{Router, body::Bytes, routing::get};
use base64::Engine as _;
use frontrow::{
    app::{self, RunningApp},
    config::Cli,
};
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    command::{Command, NewConcert, Outcome, Request},
    id::{ConcertId, Position, RoomId, SeatId, TokenId, UserId},
    line::{Token, TokenStatus},
    money::Money,
    sale::{DetailsChange, NewSeat, SeatLabel},
    time::{Span, Time},
    user::{Caller, NewUser, Role, Session},
};
use frontrow_service::{office::BoxOffice, testing};
use frontrow_testkit::bench::load::UNLIMITED;
use sha2::{Digest as _, Sha256};
use std::{net::SocketAddr, ops::RangeInclusive, path::Path, sync::Arc};
use tokio::{net::TcpListener, runtime::Runtime, sync::watch};
use uuid::Uuid;

/// A server on its own runtime, so that the client's tasks and its own are never in one queue.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) office: Option<Arc<BoxOffice>>,
    stop: watch::Sender<bool>,
    runtime: Option<Runtime>,
    done: Option<tokio::task::JoinHandle<()>>,
}

impl Server {
    /// The real server over the data in `folder`.
    pub(crate) fn real(folder: &Path, more: &[&str]) -> Self {
        let runtime = Runtime::new().unwrap();
        let data = folder.to_str().unwrap();
        let args = ["frontrow", "serve", "--data", data];
        let args = args.iter().chain(&UNLIMITED).chain(more);
        let config = Cli::load(args.map(|arg| (*arg).into())).unwrap().config;
        let (stop, stopped) = watch::channel(false);
        let (address, office, done) = runtime.block_on(async {
            let opened: RunningApp = app::open(&config, Clock::System, Ids::from_seed(1)).await.unwrap();
            let office = Arc::clone(&opened.app.office);
            let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = socket.local_addr().unwrap();
            let done = tokio::spawn(async move {
                app::serve(opened, &config, socket, stopped).await.unwrap();
            });
            (address, office, done)
        });
        Self { address, office: Some(office), stop, runtime: Some(runtime), done: Some(done) }
    }

    /// A bare axum server that answers every GET of `/` and every POST to it with `body`.
    pub(crate) fn bare(body: &'static [u8]) -> Self {
        let runtime = Runtime::new().unwrap();
        let (stop, mut stopped) = watch::channel(false);
        let (address, done) = runtime.block_on(async move {
            let answer = move || async move { ([("content-type", "application/json")], Bytes::from_static(body)) };
            let take = move |taken: axum::Json<serde_json::Value>| async move {
                drop(taken);
                ([("content-type", "application/json")], Bytes::from_static(body))
            };
            let router = Router::new().route("/{*path}", get(answer)).route("/", get(answer).post(take));
            let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = socket.local_addr().unwrap();
            let stopped = async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            let done = tokio::spawn(async move {
                axum::serve(socket, router).with_graceful_shutdown(stopped).await.unwrap();
            });
            (address, done)
        });
        Self { address, office: None, stop, runtime: Some(runtime), done: Some(done) }
    }

    pub(crate) fn office(&self) -> &Arc<BoxOffice> {
        self.office.as_ref().unwrap()
    }

    /// Runs `work` on the server's runtime.
    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().unwrap().block_on(work)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        self.office = None;
        if let (Some(runtime), Some(done)) = (self.runtime.take(), self.done.take()) {
            let _ = runtime.block_on(done);
        }
    }
}

/// A buyer with a session and an active token.
pub(crate) struct Buyer {
    pub(crate) bearer: String,
    pub(crate) token: String,
}

pub(crate) fn user_id(number: u64) -> UserId {
    UserId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(number)))
}

pub(crate) fn new_user(number: u64) -> NewUser {
    NewUser {
        user_id: user_id(number),
        name: "Buyer".to_owned(),
        email: format!("buyer{number}@frontrow.example"),
        password_hash: "-".to_owned(),
        role: Role::Buyer,
    }
}

/// Registers buyers, signs them in and makes their tokens active, without the passwords' cost.
pub(crate) async fn buyers(office: &Arc<BoxOffice>, first: u64, count: u64, room_id: RoomId) -> Vec<Buyer> {
    let mut buyers = Vec::new();
    let numbers: Vec<u64> = (first..first + count).collect();
    for part in numbers.chunks(400) {
        let waiting = part.iter().map(|number| {
            let (office, number) = (Arc::clone(office), *number);
            tokio::spawn(async move { admit(&office, number, room_id).await })
        });
        let waiting: Vec<_> = waiting.collect();
        for task in waiting {
            buyers.push(task.await.unwrap());
        }
    }
    buyers
}

async fn admit(office: &BoxOffice, number: u64, room_id: RoomId) -> Buyer {
    let user_id = user_id(number);
    command(office, Caller::System, Command::Register(new_user(number))).await;
    let bearer = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(number.to_le_bytes()));
    let session = Session {
        secret_hash: Sha256::digest(&bearer).into(),
        user_id,
        role: Role::Buyer,
        expires_at: office.now().plus(Span::from_secs(86_400)),
        created_at: office.now(),
        client: None,
    };
    command(office, Caller::Anonymous, Command::OpenSession { session, epoch: 0 }).await;
    let caller = Caller::Buyer(user_id);
    let place = office.issue_token(caller, room_id.concert(), None).await.unwrap().value.0;
    // The line moves by itself, and an activation that comes too early is simply repeated.
    Buyer { bearer, token: activate(office, caller, &place.signed).await }
}

/// Registers an operator and signs it in with this secret.
pub(crate) async fn operator(office: &BoxOffice, secret: &str) {
    let user_id = user_id(u64::MAX);
    let user = NewUser { user_id, role: Role::Operator, ..new_user(u64::MAX) };
    command(office, Caller::System, Command::Register(user)).await;
    let expires_at = office.now().plus(Span::from_secs(86_400));
    let secret_hash = Sha256::digest(secret).into();
    let (created_at, client) = (office.now(), None);
    let session = Session { secret_hash, user_id, role: Role::Operator, expires_at, created_at, client };
    command(office, Caller::Anonymous, Command::OpenSession { session, epoch: 0 }).await;
}

pub(crate) async fn command(office: &BoxOffice, caller: Caller, command: Command) -> Outcome {
    testing::run(office, Request { caller, command, idempotency: None }).await.unwrap().decision.unwrap()
}

/// The active token as its client sends it.
async fn activate(office: &BoxOffice, caller: Caller, token: &str) -> String {
    for _ in 0..5_000 {
        if let Ok(done) = office.activate_token(caller, token, None).await
            && done.value.token.status() == TokenStatus::Active
        {
            return done.value.signed;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("a token was not activated");
}

/// A concert on sale with so many seats. Returns it with the first seat; the others' ids follow.
pub(crate) async fn concert(
    office: &BoxOffice,
    seats: i32,
    own_room_max_active: Option<i64>,
) -> (ConcertId, RoomId, SeatId) {
    let now: Time = office.now();
    let draft = NewConcert {
        title: "Benchmark".to_owned(),
        artist: "Benchmark".to_owned(),
        venue: "Loopback".to_owned(),
        time_zone: "UTC".to_owned(),
        concert_date: jiff::civil::date(2099, 1, 1),
        start_time: jiff::civil::time(20, 0, 0, 0),
        end_time: jiff::civil::time(22, 0, 0, 0),
        starts_at: now.plus(Span::from_secs(90 * 86_400)),
        ends_at: now.plus(Span::from_secs(91 * 86_400)),
        base_price: Money::new(1_000),
        opens_at: Some(now.minus(Span::from_secs(60))),
        closes_at: Some(now.plus(Span::from_secs(80 * 86_400))),
        own_room_max_active,
        details: DetailsChange::default(),
    };
    let concert = office.create_concert(Caller::System, draft, None).await.unwrap().value;
    let mut first = None;
    for from in (1..=seats).step_by(50_000) {
        let part = (from..=seats.min(from + 49_999)).map(|seat_number| NewSeat {
            seat_number: Some(seat_number),
            price: Some(Money::new(1_000)),
            label: SeatLabel {
                section: format!("S{}", seat_number / 5_000),
                row: format!("{}", seat_number / 50),
                number: seat_number.to_string(),
                grade: "R".to_owned(),
            },
        });
        let added = office.add_seats(Caller::System, concert.concert_id, part.collect(), None).await.unwrap().value;
        first.get_or_insert(added.first_seat_id);
    }
    (concert.concert_id, concert.room_id, first.unwrap())
}

/// A token of the house room as its row stands.
pub(crate) fn token_at(position: i64) -> Token {
    let id = TokenId { room_id: RoomId::HOUSE, position: Position(position) };
    Token::issued(id, user_id(u64::try_from(position).unwrap()), Time::from_micros(1_800_000_000_000_000))
}

/// Lets new users with these numbers join the line of the house room, or that of a concert's own room.
pub(crate) async fn join(office: &Arc<BoxOffice>, numbers: RangeInclusive<u64>, concert: Option<ConcertId>) {
    let numbers: Vec<u64> = numbers.collect();
    for part in numbers.chunks(2_000) {
        let joining: Vec<_> = part
            .iter()
            .map(|number| {
                let (office, number) = (Arc::clone(office), *number);
                tokio::spawn(async move {
                    command(&office, Caller::System, Command::Register(new_user(number))).await;
                    office.issue_token(Caller::Buyer(user_id(number)), concert, None).await.unwrap();
                })
            })
            .collect();
        for task in joining {
            task.await.unwrap();
        }
    }
}
