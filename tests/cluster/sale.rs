//! Four concerts are sold out at once while everything that may break does.

use crate::{
    books::{everything_told_is_there, order_was_kept},
    instance::{Instance, PROGRAM, Proxy, wait_for},
    servers::{postgres, redis::RedisServer},
};
use frontrow_rush::Sold;
use reqwest::Method;
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

const OPERATOR: &str = "operator@frontrow.example";
const PASSWORD: &str = "front-row-cluster";
/// Seats of each concert.
const SEATS: u32 = 150;
/// Buyers of each concert: more than there are seats for.
const BUYERS: u32 = 130;
/// So many payments more show that the sale goes on.
const GOES_ON: i64 = 6;

/// Everything that a sale over several instances needs.
struct Office {
    postgres: postgres::Server,
    redis: RedisServer,
    instances: Vec<Instance>,
    proxy: Proxy,
}

impl Office {
    async fn open() -> Self {
        let postgres = postgres::Server::start().await;
        let redis = RedisServer::start();
        let flags = flags(&postgres, &redis);
        operator_add(&flags);
        let mut instances = Vec::new();
        for _ in 0..3 {
            instances.push(Instance::start(&flags).await);
        }
        let proxy = Proxy::start(&instances).await;
        Self { postgres, redis, instances, proxy }
    }

    /// How many payments there are.
    async fn sold(&self) -> Option<i64> {
        let client = self.client().await?;
        client.query_one("SELECT count(*) FROM payment", &[]).await.ok().map(|row| row.get(0))
    }

    async fn client(&self) -> Option<Client> {
        let (client, connection) =
            tokio_postgres::connect(&self.postgres.url("postgres"), tokio_postgres::NoTls).await.ok()?;
        tokio::spawn(connection);
        Some(client)
    }

    /// Waits until some more is sold: whatever was done to the office, the sale goes on.
    async fn goes_on(&self, after: &str) {
        let before = self.sold().await.unwrap();
        let until = before + GOES_ON;
        wait_for(&format!("payments after: {after}"), async || self.sold().await.is_some_and(|sold| sold >= until))
            .await;
    }
}

fn flags(postgres: &postgres::Server, redis: &RedisServer) -> Vec<String> {
    let (database, redis) = (postgres.url("postgres"), redis.url());
    let flags = [
        ("--database-url", &*database),
        ("--redis-url", &redis),
        ("--max-active", "16"),
        ("--trusted-proxies", "127.0.0.1"),
        ("--hold-seconds", "15"),
        ("--claim-window-seconds", "10"),
        ("--dormant-after-seconds", "10"),
        ("--idle-seconds", "30"),
        ("--active-limit-seconds", "60"),
        ("--drain-seconds", "10"),
        ("--login-per-minute-per-address", "100000"),
    ];
    flags.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]).collect()
}

fn operator_add(flags: &[String]) {
    let mut add = Command::new(PROGRAM);
    let folder = crate::servers::folder();
    let password = folder.path().join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    add.args(["operator", "add", "--email", OPERATOR, "--name", "Ops", "--data"]).arg(folder.path());
    crate::servers::run(add.arg("--password-file").arg(&password).args(flags).stdin(Stdio::null()));
}

/// A concert in the house room, made over HTTP.
async fn concert_in_the_house_room(url: &str) -> i64 {
    let http = reqwest::Client::new();
    let mut session = None::<String>;
    let mut ask = async |path: &str, body: Value| {
        let mut request = http.request(Method::POST, format!("{url}/api/v1{path}")).json(&body);
        if let Some(session) = &session {
            request = request.bearer_auth(session).header("Idempotency-Key", path);
        }
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
        let answer: Value = answer.json().await.unwrap();
        if session.is_none() {
            session = Some(answer["session_token"].as_str().unwrap().to_owned());
        }
        answer
    };
    ask("/sessions", json!({ "email": OPERATOR, "password": PASSWORD })).await;
    let concert = json!({
        "title": "In the house room", "artist": "The Crowd", "venue": "Nowhere", "time_zone": "Asia/Seoul",
        "concert_date": "2999-12-31", "start_time": "20:00:00", "end_time": "22:00:00", "base_price": 1_000,
        "opens_at": "2026-01-01T00:00:00Z",
    });
    let concert = ask("/operator/concerts", concert).await["concert_id"].as_i64().unwrap();
    let seats = json!({ "range": { "from": 1, "to": SEATS } });
    ask(&format!("/operator/concerts/{concert}/seats"), seats).await;
    concert
}

/// Lets a crowd loose on a concert: this one of the house room, or a new one with a room of its own.
fn crowd(url: &str, seed: u32, house: Option<i64>) -> JoinHandle<Sold> {
    let (url, seed, seats, buyers) = (url.to_owned(), seed.to_string(), SEATS.to_string(), BUYERS.to_string());
    let house = house.map(|id| id.to_string());
    tokio::spawn(async move {
        let mut args = vec!["--url", &url, "--operator-email", OPERATOR, "--operator-password", PASSWORD];
        args.extend(["--buyers", &buyers, "--seed", &seed, "--seats-each", "1..2", "--signed-in", "--sold-out"]);
        args.extend(["--arrivals", "spike:10", "--duration", "100", "--timeout", "5000", "--think", "400"]);
        args.extend(["--lapse", "0.03", "--cancel", "0.05", "--refund", "0.05", "--abandon", "0.05"]);
        args.extend(["--connections", "128", "--duplicate", "0.05"]);
        match &house {
            Some(id) => args.extend(["--concert", id]),
            None => args.extend(["--new-concert", &seats, "--max-active", "12"]),
        }
        frontrow_rush::sale(&args).await.unwrap()
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_over_three_instances_keeps_its_promises_while_everything_breaks() {
    let mut office = Office::open().await;
    let url = office.proxy.url();
    let mut house = Vec::new();
    for _ in 0..2 {
        house.push(concert_in_the_house_room(&url).await);
    }
    let crowds: Vec<_> =
        [Some(house[0]), Some(house[1]), None, None].into_iter().zip(1..).map(|(one, n)| crowd(&url, n, one)).collect();

    break_things(&mut office).await;
    let unfinished = crowds.iter().filter(|crowd| !crowd.is_finished()).count();
    assert!(unfinished > 0, "the sale was over before everything had broken");

    let mut sales = Vec::new();
    for crowd in crowds {
        sales.push(crowd.await.unwrap());
    }
    for sold in &sales {
        eprintln!("{}", sold.report);
    }
    for sold in &sales {
        assert!(sold.is_clean, "{}", sold.report);
        assert_eq!((sold.seats_sold, sold.seats_left), (u64::from(SEATS), 0), "concert {}", sold.concert_id);
        assert!(sold.given_up.is_empty(), "no definite answer to {:?}", sold.given_up);
        for ending in ["got no answer", "ran out of time", "was refused"] {
            assert_eq!(sold.endings.get(ending), None, "{}", sold.report);
        }
    }
    let client = office.client().await.unwrap();
    everything_told_is_there(&client, &sales).await;
    let compared = order_was_kept(&sales);
    assert!(compared >= 4 * BUYERS as usize / 2, "{compared} places are too few to tell anything");
    check(&office);
}

async fn break_things(office: &mut Office) {
    wait_for("the first payments", async || office.sold().await.is_some_and(|sold| sold >= GOES_ON)).await;

    office.instances[0].kill();
    office.goes_on("an instance was killed").await;
    office.instances[0].start_again().await;
    let status = office.instances[1].stop().await;
    assert_eq!(status.code(), Some(0), "an instance that is told to stop ends in good order");
    office.instances[1].start_again().await;
    office.goes_on("an instance was restarted").await;

    office.postgres.stop();
    office.postgres.start_again().await;
    office.goes_on("PostgreSQL was restarted").await;

    office.redis.kill();
    office.goes_on("Redis is gone").await;
    office.redis.restart_empty();
    office.goes_on("Redis is back, and empty").await;

    office.postgres.kill();
    office.postgres.start_again().await;
    office.goes_on("PostgreSQL was killed").await;

    office.redis.pause();
    office.goes_on("Redis is silent").await;
    office.redis.resume();
    office.goes_on("Redis speaks again").await;
}

/// The books are in order, the journal of the rooms' caps included.
fn check(office: &Office) {
    let folder = crate::servers::folder();
    let output = Command::new(PROGRAM)
        .args(["check", "--database-url", &office.postgres.url("postgres"), "--data"])
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("no more tokens were ever active in a room than its cap at the time"), "{said}");
}
