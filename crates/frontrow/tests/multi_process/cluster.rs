//! A box office of several instances over one `PostgreSQL` and one Redis, behind `HAProxy`.

use crate::instance::{HaProxy, Instance, PROGRAM};
use frontrow_clock::Ids;
use frontrow_domain::time::Time;
use frontrow_rush::Sold;
use frontrow_testkit::{
    ApiCall, PATIENCE,
    servers::{self, postgres, redis::RedisServer},
    wait_until,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    path::Path,
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

const OPERATOR: &str = "operator@frontrow.example";
const PASSWORD: &str = "front-row-cluster";
/// The database that `PostgreSQL` has from the beginning.
pub(crate) const DATABASE: &str = "postgres";
const LOOK: Duration = Duration::from_millis(50);
/// So many payments more show that the sale goes on.
const GOES_ON: i64 = 20;

/// Everything that a sale over several instances needs.
pub(crate) struct Cluster {
    // Dropped before the servers that they lean on.
    pub(crate) proxy: HaProxy,
    pub(crate) instances: Vec<Instance>,
    pub(crate) postgres: postgres::PostgresServer,
    pub(crate) redis: RedisServer,
}

impl Cluster {
    /// So many instances over new servers, with an operator.
    pub(crate) async fn open(count: usize) -> Self {
        Self::open_with(Path::new(PROGRAM), count).await
    }

    /// The same with another build of the program.
    pub(crate) async fn open_with(program: &Path, count: usize) -> Self {
        Self::open_over(postgres::PostgresServer::start().await, program, count).await
    }

    /// The same over this `PostgreSQL`.
    pub(crate) async fn open_over(postgres: postgres::PostgresServer, program: &Path, count: usize) -> Self {
        let redis = RedisServer::start();
        let flags = flags(&postgres.url(DATABASE), &redis.url());
        operator_add(&flags);
        let mut instances = Vec::new();
        for _ in 0..count {
            instances.push(Instance::start_program(program, &flags).await);
        }
        let proxy = HaProxy::start(&instances).await;
        Self { proxy, instances, postgres, redis }
    }

    /// A connection of the test's own.
    pub(crate) async fn client(&self) -> Option<Client> {
        let url = self.postgres.url(DATABASE);
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.ok()?;
        tokio::spawn(connection);
        Some(client)
    }

    /// How many payments there are; none while the database is away.
    pub(crate) async fn sold(&self) -> Option<i64> {
        let client = self.client().await?;
        client.query_one("SELECT count(*) FROM payment", &[]).await.ok().map(|row| row.get(0))
    }

    /// Waits for the first payments. The buyers are registered first, which takes two password hashes for each.
    pub(crate) async fn begins(&self) {
        let begun = async || self.sold().await.is_some_and(|sold| sold >= GOES_ON);
        wait_until("the first payments", begun).await;
    }

    /// Waits until some more is sold: whatever was done to the office, the sale goes on.
    pub(crate) async fn goes_on(&self, after: &str) {
        let before = self.sold().await.unwrap();
        let (until, started) = (before + GOES_ON, Instant::now());
        wait_until(&format!("payments after: {after}"), async || self.sold().await.is_some_and(|sold| sold >= until))
            .await;
        eprintln!("{after}: {GOES_ON} more payments within {:?}", started.elapsed());
    }

    /// Which instance moves the line of the house room, but for this one.
    pub(crate) async fn leader(&self, but: Option<usize>) -> usize {
        let started = Instant::now();
        loop {
            for (number, instance) in self.instances.iter().enumerate().filter(|(number, _)| Some(*number) != but) {
                if metrics(instance).await.is_some_and(|text| text.contains("frontrow_room_leader{room=\"0\"} 1\n")) {
                    return number;
                }
            }
            assert!(started.elapsed() < PATIENCE, "no instance moves the line of the house room");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The books are in order, the journal of the rooms' caps included.
    pub(crate) fn check(&self) {
        check(&self.postgres.url(DATABASE));
    }
}

/// A concert in the house room, made over HTTP.
async fn concert_in_the_house_room(url: &str, seats: u32) -> i64 {
    let address = url.strip_prefix("http://").unwrap().parse().unwrap();
    let anonymous = frontrow_testkit::Client::anonymous(reqwest::Client::new(), address);
    let sign_in = json!({ "email": OPERATOR, "password": PASSWORD });
    let session = answered("a session", || anonymous.call(Method::POST, "/sessions").json(&sign_in)).await;
    let operator = anonymous.with_secret(session["session_token"].as_str().unwrap());
    let concert = json!({
        "title": "In the house room", "artist": "The Crowd", "venue": "Nowhere", "time_zone": "Asia/Seoul",
        "concert_date": "2999-12-31", "start_time": "20:00:00", "end_time": "22:00:00", "base_price": 1_000,
        "opens_at": "2026-01-01T00:00:00Z",
    });
    let key = || Ids::from_os().uuid(Time::default()).to_string();
    let first = key();
    let created =
        answered("a concert", || operator.call(Method::POST, "/operator/concerts").key(&first).json(&concert));
    let concert = created.await["concert_id"].as_i64().unwrap();
    let seats = json!({ "range": { "from": 1, "to": seats } });
    let (path, second) = (format!("/operator/concerts/{concert}/seats"), key());
    answered("seats", || operator.call(Method::POST, &path).key(&second).json(&seats)).await;
    concert
}

/// The body of a positive answer. While something is broken, the call is sent again with the same key.
async fn answered(what: &str, call: impl Fn() -> ApiCall) -> Value {
    let started = Instant::now();
    loop {
        let answer = call().try_send().await;
        match &answer {
            Ok(answer) if (200..300).contains(&answer.status) => return answer.json(),
            _ => assert!(started.elapsed() < PATIENCE, "{what}: {answer:?}"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The health that an instance reports; none without an answer.
async fn metrics(instance: &Instance) -> Option<String> {
    let answer = reqwest::Client::new().get(instance.address("/metrics")).timeout(Duration::from_millis(500)).send();
    answer.await.ok()?.text().await.ok()
}

/// The flags of every instance.
pub(crate) fn flags(database: &str, redis: &str) -> Vec<String> {
    let flags = [
        ("--database-url", database),
        ("--redis-url", redis),
        ("--max-active", "16"),
        ("--trusted-proxies", "127.0.0.1"),
        ("--hold-seconds", "10"),
        // The last seats of a sale are those that were given back.
        ("--seat-cooldown-seconds", "1"),
        ("--claim-window-seconds", "20"),
        ("--dormant-after-seconds", "40"),
        ("--idle-seconds", "40"),
        ("--active-limit-seconds", "40"),
        ("--drain-seconds", "10"),
        ("--log", "warn,frontrow_web=error"),
        ("--login-per-minute-per-address", "100000"),
        ("--joins-per-address", "0"),
        ("--joins-per-network", "0"),
        ("--holds-per-hour-per-user", "100000"),
    ];
    flags.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]).collect()
}

/// A command of the program that ends by itself, in a folder of its own. Its name may be of several words.
pub(crate) fn run(name: &str, args: &[&str]) -> Output {
    let folder = servers::folder();
    let mut command = Command::new(PROGRAM);
    command.args(name.split(' ')).args(args).arg("--data").arg(folder.path());
    command.stdin(Stdio::null()).output().unwrap()
}

/// The same, and it must succeed. Gives what it said.
#[track_caller]
pub(crate) fn succeeds(name: &str, args: &[&str]) -> String {
    let output = run(name, args);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{name}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn operator_add(flags: &[String]) {
    let folder = servers::folder();
    let password = folder.path().join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    let mut args = vec!["--email", OPERATOR, "--name", "Ops", "--password-file", password.to_str().unwrap()];
    args.extend(flags.iter().map(String::as_str));
    succeeds("operator add", &args);
}

/// The books in this database are in order, the journal of the rooms' caps included.
#[track_caller]
pub(crate) fn check(database: &str) {
    let said = succeeds("check", &["--database-url", database]);
    assert!(said.contains("no more tokens were ever active in a room than its cap at the time"), "{said}");
}

/// For whom a crowd comes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CrowdConcert {
    /// This one, which is there.
    Known(i64),
    /// A new one with so many seats and a room of its own.
    New(u32),
}

/// In which room the buyers of a season wait.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SeasonRoom {
    /// In the house room, for all concerts that use it.
    House,
    /// In a room of the concert's own.
    Own,
}

/// How many concerts a season has at most: one is sold out in some seconds, a test ends within minutes.
const CONCERTS_MAX: u32 = 100;

/// Concert after concert is sold out, until the test has seen enough: however slow the machine is and however long a
/// test takes to break something, there is a sale for it to happen in.
pub(crate) struct Season {
    enough: Arc<AtomicBool>,
    sales: JoinHandle<Vec<Sold>>,
}

impl Season {
    /// Begins a season of concerts with so many seats, for each of which so many buyers come.
    pub(crate) fn begin(url: String, number: u32, seats: u32, buyers: u32, line: SeasonRoom, manners: Manners) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&enough);
        let sales = tokio::spawn(async move {
            let mut sales = Vec::new();
            for concert in 0..CONCERTS_MAX {
                let seed = number * CONCERTS_MAX + concert;
                let concert = match line {
                    SeasonRoom::House => CrowdConcert::Known(concert_in_the_house_room(&url, seats).await),
                    SeasonRoom::Own => CrowdConcert::New(seats),
                };
                let sold = crowd(url.clone(), seed, buyers, concert, manners).await.unwrap();
                eprintln!("{}", sold.report);
                assert_kept(&sold, seats);
                sales.push(sold);
                if is_over.load(Ordering::SeqCst) {
                    break;
                }
            }
            sales
        });
        Self { enough, sales }
    }

    /// Waits until the concert that is on sale is sold out, and ends the season with it. The sold seats, each concert
    /// with all promises kept.
    pub(crate) async fn end(self) -> Vec<Sold> {
        assert!(!self.sales.is_finished(), "the season was over before the test had seen enough");
        self.enough.store(true, Ordering::SeqCst);
        self.sales.await.unwrap()
    }
}

/// How a crowd behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Manners {
    /// They do everything that buyers do: change their minds, give up, go silent, come too late. For a sale during
    /// which Redis is away.
    All,
    /// They come to buy.
    Plain,
}

/// Lets a crowd loose, until the concert is sold out.
pub(crate) fn crowd(url: String, seed: u32, buyers: u32, concert: CrowdConcert, manners: Manners) -> JoinHandle<Sold> {
    let (seed, buyers) = (seed.to_string(), buyers.to_string());
    let manners: &[&str] = match manners {
        // Redis is away for some seconds, and who left the line meanwhile is known everywhere five seconds after that.
        Manners::All => {
            &["--lapse", "0.03", "--cancel", "0.05", "--refund", "0.05", "--abandon", "0.05", "--view-lag", "10000"]
        }
        Manners::Plain => &["--view-lag", "2000"],
    };
    let concert = match concert {
        CrowdConcert::Known(id) => ["--concert".to_owned(), id.to_string()].to_vec(),
        CrowdConcert::New(seats) => {
            ["--new-concert", &seats.to_string(), "--max-active", "12"].map(str::to_owned).to_vec()
        }
    };
    tokio::spawn(async move {
        let mut args = vec!["--url", &url, "--operator-email", OPERATOR, "--operator-password", PASSWORD];
        args.extend(["--buyers", &buyers, "--seed", &seed, "--seats-each", "1..2", "--signed-in", "--sold-out"]);
        args.extend(["--arrivals", "spike:10", "--duration", "300", "--timeout", "5000", "--think", "400"]);
        args.extend(manners);
        // An instance that is killed takes the last heartbeats with it that it has not published.
        args.extend(["--connections", "128", "--duplicate", "0.05", "--dormant-after", "2"]);
        args.extend(concert.iter().map(String::as_str));
        frontrow_rush::sale(&args).await.unwrap()
    })
}

/// The sale kept its promises, was sold out, and left no request without a definite answer.
#[track_caller]
pub(crate) fn assert_kept(sold: &Sold, seats: u32) {
    assert!(sold.is_clean, "{}", sold.report);
    assert_eq!((sold.seats_sold, sold.seats_left), (u64::from(seats), 0), "{}", sold.report);
    assert!(sold.given_up.is_empty(), "no definite answer to {:?}", sold.given_up);
    for ending in ["got no answer", "ran out of time", "was refused"] {
        assert_eq!(sold.endings.get(ending), None, "{}", sold.report);
    }
}
