//! Four concerts are sold out at once while everything that may break does.

use crate::{
    books::{everything_told_is_there, order_was_kept},
    instance::{Instance, PROGRAM, Proxy, wait_for},
    
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
async fn smoke() {
    let flags: Vec<String> = ["--max-active","16","--trusted-proxies","127.0.0.1","--hold-seconds","15","--claim-window-seconds","10","--dormant-after-seconds","10","--idle-seconds","30","--active-limit-seconds","60","--login-per-minute-per-address","100000"].iter().map(|s|s.to_string()).collect();
    let mut instance = Instance::start(&flags).await;
    let folder = instance.folder();
    std::fs::write(folder.join("password"), PASSWORD).unwrap();
    crate::servers::run(Command::new(PROGRAM).args(["operator","add","--email",OPERATOR,"--name","Ops","--data"]).arg(&folder).arg("--password-file").arg(folder.join("password")));
    let all = [instance];
    let proxy = Proxy::start(&all).await;
    let [mut instance] = all;
    let url = proxy.url();
    let mut house = Vec::new();
    for _ in 0..2 {
        house.push(concert_in_the_house_room(&url).await);
    }
    let t = std::time::Instant::now();
    let crowds: Vec<_> =
        [Some(house[0]), Some(house[1]), None, None].into_iter().zip(1..).map(|(one, n)| crowd(&url, n, one)).collect();
    tokio::time::sleep(std::time::Duration::from_secs(25)).await;
    instance.kill();
    instance.start_again().await;
    eprintln!("restarted {:?}", t.elapsed());
    let mut sales = Vec::new();
    for crowd in crowds { sales.push(crowd.await.unwrap()); }
    eprintln!("done {:?}", t.elapsed());
    for sold in &sales { eprintln!("{}", sold.report); }
    println!("{}", order_was_kept(&sales));
    for sold in &sales { assert!(sold.is_clean && sold.given_up.is_empty()); }
}
