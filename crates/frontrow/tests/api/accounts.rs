//! An account over its life: password, sign out everywhere, lock, reset link, erasure.

use frontrow_testkit::{ApiAnswer, Client, Server};
use reqwest::Method;
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse";
const OTHER: &str = "another horse";

async fn register(server: &Server, email: &str) -> Value {
    let form = json!({ "name": "Kim", "email": email, "password": PASSWORD });
    server.anonymous().post("/users", &form).await.expect(201)
}

async fn try_sign_in(server: &Server, email: &str, password: &str) -> ApiAnswer {
    server.anonymous().post("/sessions", &json!({ "email": email, "password": password })).await
}

async fn sign_in(server: &Server, email: &str, password: &str) -> Client {
    let session = try_sign_in(server, email, password).await.expect(201);
    server.with_secret(session["session_token"].as_str().unwrap())
}

#[tokio::test]
async fn a_user_changes_the_password_with_the_old_one_and_other_sessions_end() {
    let server = Server::start().await;
    register(&server, "kim@example.com").await;
    let (here, elsewhere) =
        (sign_in(&server, "kim@example.com", PASSWORD).await, sign_in(&server, "kim@example.com", PASSWORD).await);
    let change = |old: &str, new: &str| json!({ "old_password": old, "new_password": new });
    here.put("/users/me/password", &change("wrong horse", OTHER)).await.problem(403, "wrong_password");
    here.put("/users/me/password", &change(PASSWORD, "short")).await.problem_at(422, "invalid_field", "new_password");
    elsewhere.get("/users/me").await.expect(200);
    here.put("/users/me/password", &change(PASSWORD, OTHER)).await.expect(204);
    here.get("/users/me").await.expect(200);
    elsewhere.get("/users/me").await.problem(401, "unauthorized");
    try_sign_in(&server, "kim@example.com", PASSWORD).await.problem(401, "unauthorized");
    sign_in(&server, "kim@example.com", OTHER).await;
    server.close().await;
}

#[tokio::test]
async fn signing_out_everywhere_ends_every_session_of_the_user_and_no_other() {
    let server = Server::start().await;
    register(&server, "kim@example.com").await;
    register(&server, "lee@example.com").await;
    let lee = sign_in(&server, "lee@example.com", PASSWORD).await;
    let (here, elsewhere) =
        (sign_in(&server, "kim@example.com", PASSWORD).await, sign_in(&server, "kim@example.com", PASSWORD).await);
    here.delete("/sessions").await.expect(204);
    for ended in [here, elsewhere] {
        ended.get("/users/me").await.problem(401, "unauthorized");
    }
    lee.get("/users/me").await.expect(200);
    sign_in(&server, "kim@example.com", PASSWORD).await;
    server.close().await;
}

#[tokio::test]
async fn a_locked_account_is_signed_out_at_once_and_says_so_only_to_the_right_password() {
    let server = Server::start().await;
    let user = register(&server, "kim@example.com").await;
    let (kim, operator) = (sign_in(&server, "kim@example.com", PASSWORD).await, server.operator().await);
    let path = |what: &str| format!("/operator/users/{}/{what}", user["user_id"].as_str().unwrap());
    let why = json!({ "reason": "The account was reported as stolen." });
    kim.post(&path("lock"), &why).await.problem(403, "forbidden");
    operator.call(Method::POST, &path("lock")).send().await.problem(422, "reason_needed");
    operator.post(&path("lock"), &json!({})).await.problem_at(422, "invalid_field", "reason");
    operator.post(&path("lock"), &json!({ "reason": " " })).await.problem_at(422, "invalid_field", "reason");
    let locked = operator.post(&path("lock"), &why).await.expect(200);
    assert_eq!(locked["status"], "locked");
    kim.get("/users/me").await.problem(401, "unauthorized");
    try_sign_in(&server, "kim@example.com", "wrong horse").await.problem(401, "unauthorized");
    try_sign_in(&server, "kim@example.com", PASSWORD).await.problem(403, "account_locked");
    operator.post(&path("reset-links"), &json!({})).await.problem(403, "account_locked");
    assert_eq!(operator.post(&path("unlock"), &json!({})).await.expect(200)["status"], "active");
    sign_in(&server, "kim@example.com", PASSWORD).await;
    let own = format!("/operator/users/{}/lock", operator.user.0);
    operator.post(&own, &why).await.problem(403, "operator_account");
    let unknown = "/operator/users/01a224ba-0608-73a0-8efc-5d8f19f76856/lock";
    operator.post(unknown, &why).await.problem(404, "not_found");
    server.close().await;
}

#[tokio::test]
async fn a_reset_link_sets_a_password_once_and_says_nothing_about_why_it_is_no_good() {
    let server = Server::start().await;
    let user = register(&server, "kim@example.com").await;
    let (kim, operator) = (sign_in(&server, "kim@example.com", PASSWORD).await, server.operator().await);
    let path = format!("/operator/users/{}/reset-links", user["user_id"].as_str().unwrap());
    let link = operator.post(&path, &json!({})).await.expect(201);
    assert_eq!(link["expires_at"], "2027-01-15T08:30:00.000000Z");
    let reset = async |secret: &str| {
        server.anonymous().post("/password-resets", &json!({ "secret": secret, "new_password": OTHER })).await
    };
    let secret = link["secret"].as_str().unwrap();
    reset(secret).await.expect(204);
    kim.get("/users/me").await.problem(401, "unauthorized");
    sign_in(&server, "kim@example.com", OTHER).await;
    let late = operator.post(&path, &json!({})).await.expect(201);
    server.advance(30 * 60);
    let mut answers = Vec::new();
    let unknown = format!("{}AAAA", &secret[..secret.len() - 4]);
    for bad in [secret, late["secret"].as_str().unwrap(), &unknown, "", "nonsense", "ä"] {
        let mut problem = reset(bad).await.problem(403, "reset_link_invalid");
        problem["request_id"].take();
        answers.push(problem);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    server.close().await;
}

#[tokio::test]
async fn a_reset_is_limited_by_address() {
    let server = Server::with(&[("--login-per-minute-per-address", "2")]).await;
    let form = json!({ "secret": "x", "new_password": OTHER });
    for _ in 0..2 {
        server.anonymous().post("/password-resets", &form).await.problem(403, "reset_link_invalid");
    }
    server.anonymous().post("/password-resets", &form).await.problem(429, "rate_limited");
    server.close().await;
}

#[tokio::test]
async fn a_user_erases_the_account_and_the_books_stay() {
    let server = Server::start().await;
    let hall = server.hall(2).await;
    let user = register(&server, "kim@example.com").await;
    let kim = sign_in(&server, "kim@example.com", PASSWORD).await;
    kim.top_up(100_000).await;
    let token = kim.enter(None).await;
    let held = kim.hold(&token, hall.seats[0]).await.expect(201)["reservation_id"].as_i64().unwrap();
    let erase = async |password: &str| {
        kim.call(reqwest::Method::DELETE, "/users/me").json(&json!({ "password": password })).send().await
    };
    erase("wrong horse").await.problem(403, "wrong_password");
    erase(PASSWORD).await.problem(409, "balance_left");
    kim.pay(&token, held).await.expect(201);
    assert_eq!(erase(PASSWORD).await.problem(409, "tickets_left")["reservation_id"], held);
    kim.get("/users/me").await.expect(200);

    // The concert is in March.
    server.advance(70 * 86_400);
    let kim = sign_in(&server, "kim@example.com", PASSWORD).await;
    let operator = server.operator().await;
    let id = user["user_id"].as_str().unwrap();
    let chargeback = json!({ "amount": -700, "reason": "A chargeback", "reference": "bank-7" });
    let booked = operator.post(&format!("/operator/users/{id}/adjustments"), &chargeback).await.expect(201);
    let debt = &booked["debt"]["debt_id"];
    let owing = kim.call(reqwest::Method::DELETE, "/users/me").json(&json!({ "password": PASSWORD })).send().await;
    let refused = owing.problem(409, "debt_left");
    assert_eq!((&refused["debt_id"], &refused["amount"]), (debt, &json!(700)));
    let settled = json!({ "how": "waive", "reason": "Paid at the desk" });
    operator.post(&format!("/operator/debts/{debt}/settle"), &settled).await.expect(200);
    let gone = kim.call(reqwest::Method::DELETE, "/users/me").json(&json!({ "password": PASSWORD })).send().await;
    gone.expect(204);
    kim.get("/users/me").await.problem(401, "unauthorized");
    try_sign_in(&server, "kim@example.com", PASSWORD).await.problem(401, "unauthorized");
    let again = register(&server, "kim@example.com").await;
    assert_ne!(again["user_id"], user["user_id"]);
    let payments = operator.get(&format!("/operator/payments?user_id={id}")).await.expect(200);
    assert_eq!(payments["items"].as_array().unwrap().len(), 1);
    let found = operator.get("/operator/users?text=erased").await.expect(200);
    assert_eq!(
        (&found["items"][0]["user_id"], &found["items"][0]["name"], &found["items"][0]["status"]),
        (&user["user_id"], &json!("erased"), &json!("erased"))
    );
    server.close().await;
}

#[tokio::test]
async fn erasing_an_account_gives_its_held_seats_and_its_place_back() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    register(&server, "kim@example.com").await;
    let kim = sign_in(&server, "kim@example.com", PASSWORD).await;
    let token = kim.enter(None).await;
    kim.hold(&token, hall.seats[0]).await.expect(201);
    kim.call(reqwest::Method::DELETE, "/users/me").json(&json!({ "password": PASSWORD })).send().await.expect(204);
    let other = server.buyer("other").await;
    let token = other.enter(None).await;
    other.hold(&token, hall.seats[0]).await.expect(201);
    server.close().await;
}

#[tokio::test]
async fn a_sign_in_with_the_demos_published_password_is_refused_without_the_demo() {
    let server = Server::with(&[]).await;
    let form =
        json!({ "name": "Fan", "email": frontrow_service::demo::BUYER, "password": frontrow_service::demo::PASSWORD });
    server.anonymous().post("/users", &form).await.expect(201);
    try_sign_in(&server, frontrow_service::demo::BUYER, frontrow_service::demo::PASSWORD)
        .await
        .problem(403, "demo_account");
    try_sign_in(&server, frontrow_service::demo::BUYER, "wrong horse").await.problem(401, "unauthorized");
    register(&server, "kim@example.com").await;
    let form = json!({ "name": "Kim", "email": "lee@example.com", "password": frontrow_service::demo::PASSWORD });
    server.anonymous().post("/users", &form).await.expect(201);
    sign_in(&server, "lee@example.com", frontrow_service::demo::PASSWORD).await;
    server.close().await;
}
