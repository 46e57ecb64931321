//! Letters: asked for, delivered through the outbox, and what their links do.

use frontrow_domain::user::{LetterLanguage, LinkKind};
use frontrow_service::letters::Letter;
use frontrow_testkit::{Client, Server, eventually};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse";
const OTHER: &str = "another horse";

async fn register(server: &Server, email: &str) -> Client {
    let form = json!({ "name": "Kim", "email": email, "password": PASSWORD });
    server.anonymous().post("/users", &form).await.expect(201);
    sign_in(server, email, PASSWORD).await
}

async fn sign_in(server: &Server, email: &str, password: &str) -> Client {
    let session = server.anonymous().post("/sessions", &json!({ "email": email, "password": password })).await;
    server.with_secret(session.expect(201)["session_token"].as_str().unwrap())
}

async fn ask(server: &Server, email: &str) -> Value {
    server.anonymous().post("/password-reset-requests", &json!({ "email": email })).await.expect(202)
}

/// The letters of a kind, newest first, once there are so many.
async fn letters(server: &Server, kind: LinkKind, count: usize) -> Vec<Letter> {
    eventually("the letters are written", async || {
        let mut letters = server.app().office.demo_letters().unwrap();
        letters.retain(|letter| letter.kind == kind);
        (letters.len() >= count).then_some(letters)
    })
    .await
}

fn secret(letter: &Letter) -> &str {
    letter.path.rsplit('/').next().unwrap()
}

#[tokio::test]
async fn a_forgotten_password_is_reset_by_the_link_of_the_newest_letter_once() {
    let server = Server::demo().await;
    let kim = register(&server, "kim@example.com").await;
    for _ in 0..2 {
        assert_eq!(ask(&server, "Kim@Example.com").await, json!({ "delivery": "letter" }));
    }
    let letters = letters(&server, LinkKind::PasswordReset, 2).await;
    assert_eq!((letters[0].address.as_str(), letters[0].language), ("kim@example.com", LetterLanguage::Korean));
    assert!(letters[0].path.starts_with("/reset/"));
    let reset = async |secret: &str, password: &str| {
        let form = json!({ "secret": secret, "new_password": password });
        server.anonymous().post("/password-resets", &form).await
    };
    reset(secret(&letters[1]), OTHER).await.problem(403, "reset_link_invalid");
    kim.get("/users/me").await.expect(200);
    reset(secret(&letters[0]), OTHER).await.expect(204);
    reset(secret(&letters[0]), PASSWORD).await.problem(403, "reset_link_invalid");
    kim.get("/users/me").await.problem(401, "unauthorized");
    sign_in(&server, "kim@example.com", OTHER).await;
    server.close().await;
}

#[tokio::test]
async fn a_reset_link_of_a_letter_is_over_after_half_an_hour() {
    let server = Server::demo().await;
    register(&server, "kim@example.com").await;
    ask(&server, "kim@example.com").await;
    let letters = letters(&server, LinkKind::PasswordReset, 1).await;
    let form = json!({ "secret": secret(&letters[0]), "new_password": OTHER });
    server.advance(30 * 60);
    server.anonymous().post("/password-resets", &form).await.problem(403, "reset_link_invalid");
    sign_in(&server, "kim@example.com", PASSWORD).await;
    server.close().await;
}

#[tokio::test]
async fn an_address_without_an_account_gets_the_same_answer_and_no_letter() {
    let server = Server::demo().await;
    let kim = register(&server, "kim@example.com").await;
    server.operator_with_password(PASSWORD).await;
    let locked = register(&server, "lee@example.com").await;
    let user = locked.get("/users/me").await.expect(200)["user_id"].as_str().unwrap().to_owned();
    server
        .operator()
        .await
        .post(&format!("/operator/users/{user}/lock"), &json!({ "reason": "It was stolen." }))
        .await
        .expect(200);
    for email in ["unknown@example.com", "boss@example.com", "lee@example.com", "kim@example.com"] {
        assert_eq!(ask(&server, email).await, json!({ "delivery": "letter" }), "{email}");
    }
    assert_eq!(letters(&server, LinkKind::PasswordReset, 1).await[0].address, "kim@example.com");
    server.anonymous().post("/password-reset-requests", &json!({ "email": "x" })).await.problem_at(
        422,
        "invalid_field",
        "email",
    );
    kim.get("/users/me").await.expect(200);
    server.close().await;
}

#[tokio::test]
async fn an_address_is_sent_five_letters_an_hour_at_most() {
    let server = Server::demo().await;
    for _ in 0..5 {
        ask(&server, "kim@example.com").await;
    }
    let answer = server.anonymous().post("/password-reset-requests", &json!({ "email": "KIM@example.com" })).await;
    answer.problem(429, "rate_limited");
    assert!(answer.retry_after().unwrap() > 60);
    ask(&server, "lee@example.com").await;
    server.close().await;
}

#[tokio::test]
async fn an_address_is_confirmed_by_the_letter_of_the_registration_or_a_later_one() {
    let server = Server::demo().await;
    let form = json!({ "name": "Kim", "email": "kim@example.com", "password": PASSWORD });
    let call = server.anonymous().call(reqwest::Method::POST, "/users").header("accept-language", "en-GB");
    assert_eq!(call.json(&form).send().await.expect(201)["email_confirmed_at"], json!(null));
    let first = letters(&server, LinkKind::EmailConfirmation, 1).await;
    assert_eq!((first[0].language, first[0].path.starts_with("/confirm/")), (LetterLanguage::English, true));
    let confirm =
        async |secret: &str| server.anonymous().post("/email-confirmations", &json!({ "secret": secret })).await;
    server.advance(86_400);
    confirm(secret(&first[0])).await.problem(403, "confirmation_link_invalid");
    let kim = sign_in(&server, "kim@example.com", PASSWORD).await;
    let asked = kim.post("/users/me/email-confirmation", &json!({})).await;
    assert_eq!(asked.expect(202), json!({ "delivery": "letter" }));
    let second = letters(&server, LinkKind::EmailConfirmation, 2).await;
    confirm(secret(&first[0])).await.problem(403, "confirmation_link_invalid");
    for bad in ["nonsense", &"x".repeat(5_000), &format!("{}AA", secret(&second[0]))] {
        confirm(bad).await.problem(403, "confirmation_link_invalid");
    }
    for _ in 0..2 {
        confirm(secret(&second[0])).await.expect(204);
    }
    let me = kim.get("/users/me").await.expect(200);
    assert_eq!(me["email_confirmed_at"], me["updated_at"]);
    kim.post("/users/me/email-confirmation", &json!({})).await.expect(202);
    ask(&server, "kim@example.com").await;
    letters(&server, LinkKind::PasswordReset, 1).await;
    assert_eq!(letters(&server, LinkKind::EmailConfirmation, 2).await.len(), 2, "a confirmed address needs no letter");
    server.close().await;
}

#[tokio::test]
async fn a_letter_is_in_the_language_of_the_pages() {
    let server = Server::demo().await;
    for (at, (accept, language)) in [
        ("ko;q=0.3, en;q=0.9", LetterLanguage::English),
        ("ko;q=0", LetterLanguage::English),
        ("fr", LetterLanguage::English),
        ("en;q=0.5, ko", LetterLanguage::Korean),
    ]
    .into_iter()
    .enumerate()
    {
        let form = json!({ "name": "Kim", "email": format!("kim{at}@example.com"), "password": PASSWORD });
        let call = server.anonymous().call(reqwest::Method::POST, "/users").header("accept-language", accept);
        call.json(&form).send().await.expect(201);
        assert_eq!(letters(&server, LinkKind::EmailConfirmation, at + 1).await[0].language, language, "{accept}");
    }
    server.close().await;
}

#[tokio::test]
async fn without_letters_nothing_is_promised_and_no_event_is_emitted() {
    let server = Server::start().await;
    let kim = register(&server, "kim@example.com").await;
    assert_eq!(ask(&server, "kim@example.com").await, json!({ "delivery": "no_letters" }));
    let asked = kim.post("/users/me/email-confirmation", &json!({})).await;
    assert_eq!(asked.expect(202), json!({ "delivery": "no_letters" }));
    server.anonymous().post("/users/me/email-confirmation", &json!({})).await.problem(401, "unauthorized");
    assert!(server.app().office.demo_letters().is_none());
    let outbox = server.operator().await.get("/operator/outbox").await.expect(200);
    assert!(!outbox.to_string().contains("letter"), "{outbox}");
    server.close().await;
}
