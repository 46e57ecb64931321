//! The work that a new place in line may ask for.

use base64::{Engine, engine::general_purpose::STANDARD};
use frontrow_testkit::{Client, Server};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A server that asks for work when it says, with room for no active token.
async fn asking(when: &str) -> Server {
    Server::with(&[("--max-active", "0"), ("--proof-of-work", when)]).await
}

async fn challenge(buyer: &Client) -> Value {
    buyer.get("/queue/challenge").await.expect(200)
}

/// The SHA-256 of a text, in hexadecimal.
fn hash(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

/// The number of a challenge, as ALTCHA's widget finds it.
fn solved(challenge: &Value) -> u64 {
    let salt = challenge["salt"].as_str().unwrap();
    let last = challenge["maxnumber"].as_u64().unwrap();
    (0..=last).find(|number| challenge["challenge"] == hash(&format!("{salt}{number}"))).unwrap()
}

/// What ALTCHA's widget sends.
fn altcha(challenge: &Value, number: u64) -> String {
    let mut answer = challenge.clone();
    answer.as_object_mut().unwrap().remove("maxnumber");
    answer["number"] = json!(number);
    answer["took"] = json!(217);
    STANDARD.encode(answer.to_string())
}

pub(crate) async fn work(buyer: &Client) -> String {
    let challenge = challenge(buyer).await;
    altcha(&challenge, solved(&challenge))
}

#[tokio::test]
async fn a_new_place_asks_for_work_and_an_account_that_has_its_place_gets_it_without() {
    let server = asking("always").await;
    let buyer = server.buyer("buyer").await;
    buyer.post("/queue/tokens", &json!({})).await.problem(403, "join_work_needed");
    let challenge = challenge(&buyer).await;
    assert_eq!((&challenge["algorithm"], &challenge["maxnumber"]), (&json!("SHA-256"), &json!(30_000)));
    assert!(challenge["salt"].as_str().unwrap().ends_with('&'));
    let answer = altcha(&challenge, solved(&challenge));
    let joined = buyer.post("/queue/tokens", &json!({ "altcha": answer })).await.expect(201);
    let again = buyer.post("/queue/tokens", &json!({})).await.expect(200);
    assert_eq!(again["token"], joined["token"]);
    server.close().await;
}

#[tokio::test]
async fn work_is_used_once() {
    let server = asking("always").await;
    let buyer = server.buyer("buyer").await;
    let answer = json!({ "altcha": work(&buyer).await });
    let token = buyer.post("/queue/tokens", &answer).await.expect(201)["token"].clone();
    // Its place is its own however often it asks with the same work.
    buyer.post("/queue/tokens", &answer).await.expect(200);
    buyer.delete(&format!("/queue/tokens/{}", token.as_str().unwrap())).await.expect(204);
    buyer.post("/queue/tokens", &answer).await.problem(403, "join_work_invalid");
    server.close().await;
}

#[tokio::test]
async fn work_that_gave_no_place_is_not_used() {
    let server = asking("always").await;
    let closed = server.hall_like(1, |draft| draft.closes_at = Some(frontrow_testkit::START)).await;
    let buyer = server.buyer("buyer").await;
    let path = format!("/queue/challenge?concert_id={}", closed.id());
    let challenge = buyer.get(&path).await.expect(200);
    let answer = json!({ "concert_id": closed.id(), "altcha": altcha(&challenge, solved(&challenge)) });
    for _ in 0..2 {
        buyer.post("/queue/tokens", &answer).await.problem(409, "sale_closed");
    }
    server.close().await;
}

#[tokio::test]
async fn work_that_is_wrong_over_or_of_another_account_or_line_lets_no_one_in() {
    let server = asking("always").await;
    let own = server.hall_like(1, |draft| draft.own_room_max_active = Some(0)).await;
    let (buyer, other) = (server.buyer("buyer").await, server.buyer("other").await);
    let refused = async |client: &Client, body: Value| {
        client.post("/queue/tokens", &body).await.problem(403, "join_work_invalid");
    };
    let challenge = challenge(&buyer).await;
    let (number, answer) = (solved(&challenge), work(&buyer).await);
    refused(&other, json!({ "altcha": answer })).await;
    refused(&buyer, json!({ "altcha": answer, "concert_id": own.id() })).await;
    refused(&buyer, json!({ "altcha": altcha(&challenge, number + 1) })).await;
    refused(&buyer, json!({ "altcha": "bm8gSlNPTg==" })).await;
    refused(&buyer, json!({ "altcha": "" })).await;
    for (field, value) in [
        ("algorithm", json!("SHA-1")),
        ("signature", json!("00".repeat(32))),
        ("challenge", json!("00".repeat(32))),
        ("salt", json!(challenge["salt"].as_str().unwrap().replace("?expires=", "?expires=9"))),
        ("salt", json!(format!("{}x=1&", challenge["salt"].as_str().unwrap()))),
    ] {
        let mut altered = challenge.clone();
        altered[field] = value;
        refused(&buyer, json!({ "altcha": altcha(&altered, number) })).await;
    }
    buyer.post("/queue/tokens", &json!({ "altcha": "x".repeat(1_025) })).await.problem_at(
        422,
        "invalid_field",
        "altcha",
    );
    server.advance(121);
    refused(&buyer, json!({ "altcha": answer })).await;
    server.close().await;
}

#[tokio::test]
async fn the_digits_of_a_number_cannot_be_moved_into_the_salt() {
    let server = asking("always").await;
    let buyer = server.buyer("buyer").await;
    let (challenge, number) = loop {
        let challenge = challenge(&buyer).await;
        let number = solved(&challenge).to_string();
        // What is left is to be a number in JSON, which begins with no zero.
        if number.len() > 1 && !number[1..].starts_with('0') {
            break (challenge, number);
        }
    };
    let mut moved = challenge;
    moved["salt"] = json!(format!("{}{}", moved["salt"].as_str().unwrap(), &number[..1]));
    let answer = altcha(&moved, number[1..].parse().unwrap());
    buyer.post("/queue/tokens", &json!({ "altcha": answer })).await.problem(403, "join_work_invalid");
    server.close().await;
}

#[tokio::test]
async fn work_is_asked_for_while_many_join_and_costs_more_the_more_do() {
    let server = asking("auto").await;
    let mut asked_after = None;
    for number in 0..60 {
        let buyer = server.buyer(&format!("buyer{number}")).await;
        let answer = buyer.post("/queue/tokens", &json!({})).await;
        if answer.status == 403 && asked_after.is_none() {
            answer.problem(403, "join_work_needed");
            asked_after = Some(number);
        }
    }
    assert_eq!(asked_after, Some(50), "300 a minute are 50 in ten seconds");
    let late = server.buyer("late").await;
    assert_eq!(challenge(&late).await["maxnumber"], 30_000);
    for _ in 0..150 {
        late.post("/queue/tokens", &json!({})).await.problem(403, "join_work_needed");
    }
    assert_eq!(challenge(&late).await["maxnumber"], 100_000);
    // A room of its own has its own price.
    let own = server.hall_like(1, |draft| draft.own_room_max_active = Some(0)).await;
    late.post("/queue/tokens", &json!({ "concert_id": own.id() })).await.expect(201);
    server.advance(20);
    late.post("/queue/tokens", &json!({})).await.expect(201);
    server.close().await;
}

#[tokio::test]
async fn without_work_in_the_settings_none_is_needed_and_what_is_sent_is_no_matter() {
    let server = asking("off").await;
    let buyer = server.buyer("buyer").await;
    buyer.post("/queue/tokens", &json!({ "altcha": "nonsense" })).await.expect(201);
    server.anonymous().get("/queue/challenge").await.problem(401, "unauthorized");
    buyer.get("/queue/challenge?concert_id=999").await.problem(404, "not_found");
    server.close().await;
}

#[tokio::test]
async fn another_answer_to_another_challenge_is_the_same_request_under_its_key() {
    let server = asking("always").await;
    let buyer = server.buyer("buyer").await;
    let join = |body: Value| buyer.call(Method::POST, "/queue/tokens").key("0123456789abcdef0123").json(&body).send();
    join(json!({})).await.problem(403, "join_work_needed");
    let first = join(json!({ "altcha": work(&buyer).await })).await.expect(201);
    let again = join(json!({ "altcha": work(&buyer).await })).await;
    assert!(again.is_replay());
    assert_eq!(again.expect(201)["token"], first["token"]);
    server.close().await;
}
