//! New places that another program is asked about: a real one, on a port of its own.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::HeaderMap,
    response::Response,
    routing::post,
};
use frontrow_testkit::{ApiAnswer, Browser, Client, Server};
use http_body_util::{BodyExt as _, Full};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, task::JoinHandle};

const SECRET: &str = "a secret of thirty-two characters";

/// What the checker answers.
#[derive(Clone)]
enum Says {
    Text(u16, String),
    /// Nothing, ever.
    Nothing,
    /// The head, and then nothing.
    HalfAnAnswer,
}

impl Says {
    fn decision(decision: &str) -> Self {
        Self::Text(200, json!({ "decision": decision, "reason": "as the test says", "score": 7 }).to_string())
    }
}

#[derive(Clone)]
struct Questions {
    says: Arc<Mutex<Says>>,
    asked: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

async fn answer(State(checker): State<Questions>, headers: HeaderMap, body: Bytes) -> Response {
    checker.asked.lock().unwrap().push((headers, body));
    let says = checker.says.lock().unwrap().clone();
    match says {
        Says::Text(status, text) => Response::builder().status(status).body(Body::from(text)).unwrap(),
        Says::Nothing => std::future::pending().await,
        Says::HalfAnAnswer => Response::new(half_a_body()),
    }
}

/// The beginning of a body whose end never comes.
fn half_a_body() -> Body {
    let never = std::future::pending::<Option<Result<HeaderMap, Infallible>>>();
    // A mapped body tells no length.
    Body::new(Full::new(Bytes::from_static(b"{")).with_trailers(never).map_frame(|frame| frame))
}

/// A checker that listens.
struct Checker {
    questions: Questions,
    address: SocketAddr,
    serves: JoinHandle<()>,
}

impl Checker {
    async fn saying(says: Says) -> Self {
        let questions = Questions { says: Arc::new(Mutex::new(says)), asked: Arc::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/joins", post(answer)).with_state(questions.clone());
        let serves = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { questions, address, serves }
    }

    /// A server that asks this checker.
    async fn server(&self, flags: &[(&str, &str)]) -> Server {
        asking(&format!("http://{}/joins", self.address), flags).await
    }

    fn say(&self, says: Says) {
        *self.questions.says.lock().unwrap() = says;
    }

    fn asked(&self) -> Vec<(HeaderMap, Bytes)> {
        self.questions.asked.lock().unwrap().clone()
    }
}

impl Drop for Checker {
    fn drop(&mut self) {
        self.serves.abort();
    }
}

async fn asking(url: &str, flags: &[(&str, &str)]) -> Server {
    let mut all = [&[("--max-active", "0"), ("--join-check-url", url)], flags].concat();
    if flags.iter().all(|(flag, _)| *flag != "--join-check-timeout-ms") {
        all.push(("--join-check-timeout-ms", "3000"));
    }
    Server::with(&all).await
}

async fn join(client: &Client) -> ApiAnswer {
    client.post("/queue/tokens", &json!({})).await
}

async fn checks(server: &Server, outcome: &str) -> u64 {
    let metrics = server.anonymous().call_at(Method::GET, "/metrics").send().await.text();
    let name = format!("frontrow_join_checks_total{{outcome=\"{outcome}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_else(|| panic!("no {name}"));
    line.parse().unwrap()
}

#[tokio::test]
async fn the_checker_is_told_of_a_new_place_and_lets_it_be_given() {
    let checker = Checker::saying(Says::decision("allow")).await;
    let flags = [("--join-check-secret", SECRET), ("--trusted-proxies", "127.0.0.1")];
    let server = checker.server(&flags).await;
    let buyer = server.buyer("buyer").await;
    let ask = || {
        let call = buyer.call(Method::POST, "/queue/tokens").header("x-forwarded-for", "203.0.113.77");
        call.header("user-agent", "A browser").json(&json!({ "proof": "what the shop's page found" })).send()
    };
    ask().await.expect(201);
    // A place that is there is given without a question.
    ask().await.expect(200);
    let asked = checker.asked();
    let [(headers, body)] = asked.as_slice() else { panic!("{} questions", asked.len()) };
    let question: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(question["room"], 0);
    assert_eq!(question["network"], "203.0.113.0/24");
    assert_eq!(question["user_agent"], "A browser");
    assert_eq!(question["proof"], "what the shop's page found");
    assert!(question["time"].is_string() && question["request_id"].is_string(), "{question}");
    let user = buyer.get("/users/me").await.expect(200)["user_id"].as_str().unwrap().to_owned();
    let account = Sha256::digest(format!("frontrow account {user}"));
    assert_eq!(question["account"], crate::join_work::hex(&account));
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["frontrow-signature"], format!("sha256={}", hmac(SECRET, body)));
    assert_eq!(checks(&server, "allowed").await, 1);
    server.close().await;
}

/// HMAC-SHA-256 as RFC 2104 has it, for a key of at most a block.
fn hmac(key: &str, body: &[u8]) -> String {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key.as_bytes());
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(body).finalize();
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize();
    crate::join_work::hex(&outer)
}

#[tokio::test]
async fn a_place_that_the_checker_denies_is_not_given_and_counts_against_nothing() {
    let checker = Checker::saying(Says::decision("deny")).await;
    let server = checker.server(&[("--joins-per-address", "1"), ("--joins-window-seconds", "86400")]).await;
    let buyer = server.buyer("buyer").await;
    for _ in 0..3 {
        let denied = join(&buyer).await.problem(403, "join_denied");
        assert!(!denied.to_string().contains("as the test says"), "the reason is for the log: {denied}");
    }
    assert_eq!(checks(&server, "denied").await, 3);
    checker.say(Says::decision("allow"));
    join(&buyer).await.expect(201);
    server.close().await;
}

#[tokio::test]
async fn the_checker_may_ask_for_work_though_no_setting_does() {
    let checker = Checker::saying(Says::decision("challenge")).await;
    let server = checker.server(&[]).await;
    let buyer = server.buyer("buyer").await;
    join(&buyer).await.problem(403, "join_work_needed");
    let work = crate::join_work::work(&buyer).await;
    buyer.post("/queue/tokens", &json!({ "altcha": work })).await.expect(201);
    assert_eq!(checks(&server, "challenged").await, 2);
    server.close().await;
}

#[tokio::test]
async fn without_an_answer_joins_go_on_or_are_refused_as_the_setting_says() {
    let too_large = json!({ "decision": "deny", "reason": "x".repeat(5_000) }).to_string();
    for (says, outcome) in [
        (Says::Text(200, "no JSON".to_owned()), "malformed"),
        (Says::Text(200, json!({ "decision": "perhaps" }).to_string()), "malformed"),
        (Says::Text(200, too_large), "malformed"),
        (Says::Text(500, json!({ "decision": "deny" }).to_string()), "malformed"),
        (Says::Text(302, String::new()), "malformed"),
        (Says::Nothing, "timed_out"),
        (Says::HalfAnAnswer, "timed_out"),
    ] {
        let checker = Checker::saying(says).await;
        for (fails, status) in [("open", 201), ("closed", 503)] {
            let server = checker.server(&[("--join-check-fails", fails), ("--join-check-timeout-ms", "250")]).await;
            let answer = join(&server.buyer("buyer").await).await;
            assert_eq!(answer.status, status, "{outcome}, fails {fails}: {}", answer.text());
            if status == 503 {
                answer.problem(503, "join_check_unavailable");
                assert!(answer.retry_after().is_some());
            }
            assert_eq!(checks(&server, outcome).await, 1, "{outcome}");
            server.close().await;
        }
    }
}

#[tokio::test]
async fn a_checker_that_is_gone_is_asked_five_times_and_costs_the_others_nothing() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (fails, status) in [("open", 201), ("closed", 503)] {
        let server = asking(&format!("http://{gone}/joins"), &[("--join-check-fails", fails)]).await;
        for number in 0..8 {
            let answer = join(&server.buyer(&format!("buyer{number}")).await).await;
            assert_eq!(answer.status, status, "{}", answer.text());
        }
        assert_eq!((checks(&server, "failed").await, checks(&server, "resting").await), (5, 3));
        let said = match fails {
            "open" => "New places are given without it.",
            _ => "New places are refused until it does.",
        };
        let browser = Browser::at(&server).speaking("en");
        browser.set_cookie("frontrow-session", server.operator().await.secret());
        let checklist = format!("/operator/concerts/{}/ready", server.hall(1).await.id());
        browser.open(&checklist).await.shows(200, &["Check of new places", &gone.to_string(), said]);
        server.close().await;
    }
}

#[tokio::test]
async fn no_more_joins_wait_for_the_checker_than_have_room() {
    let checker = Checker::saying(Says::Nothing).await;
    let server = checker.server(&[("--join-check-timeout-ms", "1000")]).await;
    let mut joins = tokio::task::JoinSet::new();
    for number in 0..80 {
        let buyer = server.buyer(&format!("buyer{number}")).await;
        joins.spawn(async move { join(&buyer).await.status });
    }
    let answered = joins.join_all().await;
    assert!(answered.iter().all(|status| *status == 201), "{answered:?}");
    assert!(checker.asked().len() <= 64 + 5, "{} asked", checker.asked().len());
    server.close().await;
}
