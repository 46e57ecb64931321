//! A whole box office in the test's process: on a free port, over a folder of its own, with a clock that stands still.

use crate::{PATIENCE, START, client::Client, hall::Hall};
use frontrow::{
    app::{self, RunningApp},
    config::{Cli, Config},
};
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    command::{Command, Outcome, Request},
    id::UserId,
    money::Money,
    time::Span,
    user::{Caller, NewUser, Role, Session},
};
use frontrow_line::SoleInstance;
use frontrow_service::{
    concert_import,
    drafts::{ConcertDraft, SeatRange, SeatsDraft},
    testing,
    validate::{Email, Password},
};
use frontrow_signing::Keyring;
use frontrow_storage::{check, sqlite::SqliteStore};
use frontrow_web::edge::state::AppState;
use sha2::{Digest, Sha256};
use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// The price of a seat unless a test sets another.
pub const PRICE: i64 = 100_000;

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    pub clock: Clock,
    pub ids: Ids,
    pub config: Config,
    folder: TempDir,
    app: Weak<AppState>,
    stop: watch::Sender<bool>,
    done: JoinHandle<anyhow::Result<()>>,
    http: reqwest::Client,
}

/// Settings for tests: rate limits are out of the way, the rest are the defaults.
const SETTINGS: [(&str, &str); 12] = [
    ("--listen", "127.0.0.1:0"),
    ("--top-up-policy", "open"),
    ("--requests-per-second-per-user", "100000"),
    ("--request-burst-per-user", "100000"),
    ("--changes-per-hour-per-user", "1000000"),
    ("--holds-per-hour-per-user", "1000000"),
    ("--reads-per-second-per-user", "100000"),
    ("--polls-per-second-per-token", "100000"),
    ("--joins-per-address", "0"),
    ("--joins-per-network", "0"),
    ("--login-per-minute-per-account", "100000"),
    ("--login-per-minute-per-address", "100000"),
];

/// The settings for tests, but for those that a test sets itself.
pub fn settings(folder: &Path, flags: &[(&str, &str)]) -> Config {
    let others = SETTINGS.iter().filter(|(name, _)| !flags.iter().any(|(flag, _)| flag == name));
    let args = others.chain(flags).flat_map(|(name, value)| [OsString::from(name), OsString::from(value)]);
    let data = [OsString::from("frontrow"), "serve".into(), "--data".into(), folder.into()];
    Cli::load(data.into_iter().chain(args)).unwrap().config
}

impl Server {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// A server with these flags on its command line.
    pub async fn with(flags: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path(), flags);
        Self::over(folder, config, Clock::manual(START)).await
    }

    /// A server that keeps its letters, as a demo does; without the demo's season.
    pub async fn demo() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { demo: true, ..settings(folder.path(), &[]) };
        Self::over(folder, config, Clock::manual(START)).await
    }

    /// A server over a folder that may have been used before.
    pub async fn over(folder: TempDir, config: Config, clock: Clock) -> Self {
        let ids = Ids::from_os();
        let opened = app::open(&config, clock.clone(), ids.clone()).await.unwrap();
        Self::run(folder, config, clock, ids, opened).await
    }

    /// A server whose store the test has at hand.
    pub async fn with_store(flags: &[(&str, &str)]) -> (Self, Arc<SqliteStore>) {
        let folder = tempfile::tempdir().unwrap();
        let config = settings(folder.path(), flags);
        let (clock, ids) = (Clock::manual(START), Ids::from_os());
        let path = config.database_path();
        let store = SqliteStore::open(&path, clock.clone(), config.policy(), i64::from(config.max_active)).unwrap();
        let store = Arc::new(store);
        let keyring = Keyring::load_or_create(&config.key_path(), &ids).unwrap();
        let peers = Arc::new(SoleInstance::new(Arc::clone(&store) as _));
        let (shared, used_clock) = (Arc::clone(&store), clock.clone());
        let opened = app::assemble(&config, shared, peers, keyring, used_clock, ids.clone()).await.unwrap();
        (Self::run(folder, config, clock, ids, opened).await, store)
    }

    async fn run(folder: TempDir, config: Config, clock: Clock, ids: Ids, opened: RunningApp) -> Self {
        let app = Arc::downgrade(&opened.app);
        let socket = TcpListener::bind(config.listen).await.unwrap();
        let address = socket.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let served = config.clone();
        let done = tokio::spawn(async move { app::serve(opened, &served, socket, stopped).await });
        Self { address, clock, ids, config, folder, app, stop, done, http: reqwest::Client::new() }
    }

    /// The state of the handlers. To be dropped at once: the server ends only when nothing else holds it.
    pub fn app(&self) -> Arc<AppState> {
        self.app.upgrade().unwrap()
    }

    pub fn database(&self) -> PathBuf {
        self.config.database_path()
    }

    pub fn advance(&self, seconds: i64) {
        self.clock.advance(Span::from_secs(seconds));
    }

    /// Stops the server in good order and hands its folder back.
    pub async fn stop(self) -> TempDir {
        self.stop.send(true).unwrap();
        tokio::time::timeout(PATIENCE, self.done).await.expect("the server stops").unwrap().unwrap();
        self.folder
    }

    /// Ends the server as if its process were killed: it says farewell to no other instance.
    pub async fn kill(self) {
        self.done.abort();
        // An error says that it was aborted.
        let _ = self.done.await;
    }

    /// The end of a test that sold something: the books are in order, before the server stops and after.
    pub async fn close(self) {
        self.check_books().await;
        let database = self.database();
        let _folder = self.stop().await;
        let report = check::sqlite::run(&database).await.unwrap();
        assert!(report.is_clean(), "{report}");
    }

    pub async fn check_books(&self) {
        let report = check::sqlite::run(&self.database()).await.unwrap();
        assert!(report.is_clean(), "{report}");
    }

    /// A client that has not signed in.
    pub fn anonymous(&self) -> Client {
        Client::anonymous(self.http.clone(), self.address)
    }

    /// A client with this secret.
    pub fn with_secret(&self, secret: &str) -> Client {
        self.anonymous().with_secret(secret)
    }

    /// A signed-in buyer, made without the cost of a password.
    pub async fn buyer(&self, name: &str) -> Client {
        self.user(name, Role::Buyer).await
    }

    /// A signed-in buyer with points.
    pub async fn buyer_with(&self, name: &str, points: i64) -> Client {
        let client = self.buyer(name).await;
        client.top_up(points).await;
        client
    }

    /// A signed-in operator.
    pub async fn operator(&self) -> Client {
        self.operator_named("operator").await
    }

    /// The same with a name of its own: there may be several.
    pub async fn operator_named(&self, name: &str) -> Client {
        self.user(name, Role::Operator).await
    }

    /// A signed-in viewer.
    pub async fn viewer(&self) -> Client {
        self.user("viewer", Role::Viewer).await
    }

    /// An operator's account at boss@example.com who has not signed in.
    pub async fn operator_with_password(&self, password: &str) -> UserId {
        let email = Email::parse("boss@example.com").unwrap();
        let password = Password::parse(password.to_owned()).unwrap();
        self.app().office.register("Boss".to_owned(), email, password, Role::Operator).await.unwrap().user_id
    }

    async fn user(&self, name: &str, role: Role) -> Client {
        let user_id = UserId(self.ids.uuid(self.clock.now()));
        let secret = format!("{:?}", self.ids.uuid(self.clock.now()));
        let user = NewUser {
            user_id,
            name: name.to_owned(),
            email: format!("{name}@example.com"),
            password_hash: "no password has this hash".to_owned(),
            role,
        };
        let session = Session {
            secret_hash: Sha256::digest(&secret).into(),
            user_id,
            role,
            expires_at: self.clock.now().plus(Span::from_secs(12 * 3_600)),
            created_at: self.clock.now(),
            client: None,
        };
        self.command(Command::Register(user)).await;
        self.command(Command::OpenSession { session, epoch: 0 }).await;
        self.with_secret(&secret).of_user(user_id)
    }

    /// Gives the engine a command of the box office itself.
    pub async fn command(&self, command: Command) -> Outcome {
        let app = self.app();
        let request = Request { caller: Caller::System, command, idempotency: None };
        testing::run(&app.office, request).await.unwrap().decision.unwrap()
    }

    /// A concert on sale with this many seats, in the house room.
    pub async fn hall(&self, seats: i32) -> Hall {
        self.hall_like(seats, |_| {}).await
    }

    /// The same, with changes to its draft.
    pub async fn hall_like(&self, seats: i32, change: impl FnOnce(&mut ConcertDraft)) -> Hall {
        let mut draft = draft();
        change(&mut draft);
        let (concert, _) = concert_import::create(&self.app().office, &draft, &[range(1, seats)]).await.unwrap();
        let rows = testing::store(&self.app().office).seats(concert.concert_id).await.unwrap();
        Hall { concert, seats: rows.iter().map(|seat| seat.seat_id.get()).collect() }
    }
}

/// A concert two months away, on sale since yesterday.
pub fn draft() -> ConcertDraft {
    ConcertDraft {
        title: "Midnight Tide: The First Night".to_owned(),
        artist: "Midnight Tide".to_owned(),
        venue: "Hangang Hall, Seoul".to_owned(),
        time_zone: "Asia/Seoul".to_owned(),
        concert_date: jiff::civil::date(2027, 3, 15),
        start_time: jiff::civil::time(20, 0, 0, 0),
        end_time: jiff::civil::time(22, 30, 0, 0),
        fold: None,
        base_price: Money::new(PRICE),
        opens_at: START.minus(Span::from_secs(86_400)),
        closes_at: None,
        own_room_max_active: None,
        details: None,
    }
}

/// Seats in one row at the base price.
pub fn range(from: i32, to: i32) -> SeatsDraft {
    SeatsDraft::Range(SeatRange {
        from,
        to,
        section: "Floor".to_owned(),
        row: "A".to_owned(),
        grade: "R".to_owned(),
        price: None,
    })
}
