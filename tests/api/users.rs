//! Users over HTTP.

use crate::support::Server;
use serde_json::json;

#[tokio::test]
async fn a_user_registers_signs_in_and_reads_who_they_are() {
    let server = Server::start().await;
    let nobody = server.nobody();
    let form = json!({ "name": " Kim Minji ", "email": "Minji@Example.com", "password": "correct horse" });
    let user = nobody.post("/users", &form).await.expect(201);
    assert_eq!(
        (&user["name"], &user["email"], &user["role"]),
        (&json!("Kim Minji"), &json!("minji@example.com"), &json!("buyer"))
    );
    assert_eq!(user["created_at"], "2027-01-15T08:00:00Z");
    assert!(user.get("password").is_none() && user.get("password_hash").is_none());

    let credentials = json!({ "email": "MINJI@example.com", "password": "correct horse" });
    let session = nobody.post("/sessions", &credentials).await.expect(201);
    assert_eq!(session["user"], user);
    let client = server.with_secret(session["session_token"].as_str().unwrap());
    assert_eq!(client.get("/users/me").await.expect(200), user);
    // The first buyer of an address keeps it, in whatever case it is written.
    nobody
        .post("/users", &json!({ "name": "B", "email": "mINJI@example.com", "password": "another horse" }))
        .await
        .problem(409, "email_taken");
    server.close().await;
}

#[tokio::test]
async fn a_registration_names_the_field_that_is_wrong() {
    let server = Server::start().await;
    let good = json!({ "name": "Kim", "email": "kim@example.com", "password": "correct horse" });
    let long = "x".repeat(101);
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("  ")),
        ("name", json!(long)),
        ("name", json!("a\u{0}b")),
        ("name", json!(7)),
        ("email", json!("kim")),
        ("email", json!("kim@example")),
        ("email", json!("@example.com")),
        ("email", json!("a@b@example.com")),
        ("email", json!("a b@example.com")),
        ("email", json!(null)),
        ("password", json!("too short")),
        ("password", json!("x".repeat(201))),
        ("password", json!(["correct horse"])),
        ("role", json!("operator")),
    ] {
        let mut form = good.clone();
        form[field] = value;
        server.nobody().post("/users", &form).await.problem_at(422, "invalid_field", field);
    }
    for field in ["name", "email", "password"] {
        let mut form = good.clone();
        form.as_object_mut().unwrap().remove(field);
        server.nobody().post("/users", &form).await.problem_at(422, "invalid_field", field);
    }
    let operator = server.operator().await;
    let users = operator.get("/operator/users?text=kim").await.expect(200);
    assert_eq!(users["items"], json!([]), "nobody was registered");
    server.close().await;
}

#[tokio::test]
async fn sign_ins_and_registrations_are_limited_by_account_and_by_address() {
    let flags = [("--login-per-minute-per-account", "2"), ("--login-per-minute-per-address", "5")];
    let server = Server::with(&flags).await;
    let nobody = server.nobody();
    let sign_in =
        async |email: &str| nobody.post("/sessions", &json!({ "email": email, "password": "wrong wrong" })).await;
    sign_in("a@example.com").await.problem(401, "unauthorized");
    sign_in("A@example.com").await.problem(401, "unauthorized");
    let limited = sign_in("a@example.com").await;
    limited.problem(429, "rate_limited");
    assert!(limited.retry_after().is_some_and(|seconds| (1..=60).contains(&seconds)));
    sign_in("b@example.com").await.problem(401, "unauthorized");
    sign_in("c@example.com").await.problem(401, "unauthorized");
    sign_in("d@example.com").await.problem(429, "rate_limited");
    let form = json!({ "name": "E", "email": "e@example.com", "password": "correct horse" });
    nobody.post("/users", &form).await.problem(429, "rate_limited");
    server.close().await;
}

#[tokio::test]
async fn one_users_flood_is_limited_and_the_others_are_served() {
    let flags = [("--requests-per-second-per-user", "1"), ("--request-burst-per-user", "3")];
    let server = Server::with(&flags).await;
    let (flooder, other) = (server.buyer("flooder").await, server.buyer("other").await);
    let mut limited = 0;
    for _ in 0..20 {
        let answer = flooder.post("/queue/tokens", &json!({})).await;
        if answer.status == 429 {
            answer.problem(429, "rate_limited");
            assert!(answer.retry_after().is_some());
            limited += 1;
        }
    }
    assert!(limited >= 1);
    other.post("/queue/tokens", &json!({})).await.expect(201);
    server.close().await;
}
