//! Users over HTTP.

use argon2::{Argon2, PasswordHasher as _};
use frontrow_domain::{
    command::Command,
    id::{RoomId, UserId},
    user::{NewUser, Role},
};
use frontrow_line::HeardSince;
use frontrow_service::testing;
use frontrow_testkit::{ApiAnswer, Server};
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn a_user_registers_signs_in_and_reads_who_they_are() {
    let server = Server::start().await;
    let anonymous = server.anonymous();
    let form = json!({ "name": " Kim Minji ", "email": "Minji@Example.com", "password": "correct horse" });
    let user = anonymous.post("/users", &form).await.expect(201);
    assert_eq!(
        (&user["name"], &user["email"], &user["role"]),
        (&json!("Kim Minji"), &json!("minji@example.com"), &json!("buyer"))
    );
    assert_eq!(user["created_at"], "2027-01-15T08:00:00.000000Z");
    assert!(user.get("password").is_none() && user.get("password_hash").is_none());

    let credentials = json!({ "email": "MINJI@example.com", "password": "correct horse" });
    let session = anonymous.post("/sessions", &credentials).await.expect(201);
    assert_eq!(session["user"], user);
    let client = server.with_secret(session["session_token"].as_str().unwrap());
    assert_eq!(client.get("/users/me").await.expect(200), user);
    // The first buyer of an address keeps it, in whatever case it is written.
    anonymous
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
        server.anonymous().post("/users", &form).await.problem_at(422, "invalid_field", field);
    }
    for field in ["name", "email", "password"] {
        let mut form = good.clone();
        form.as_object_mut().unwrap().remove(field);
        server.anonymous().post("/users", &form).await.problem_at(422, "invalid_field", field);
    }
    let operator = server.operator().await;
    let users = operator.get("/operator/users?text=kim").await.expect(200);
    assert_eq!(users["items"], json!([]), "no user was registered");
    server.close().await;
}

#[tokio::test]
async fn sign_ins_and_registrations_are_limited_by_account_and_by_address() {
    let flags = [("--login-per-minute-per-account", "2"), ("--login-per-minute-per-address", "5")];
    let server = Server::with(&flags).await;
    let anonymous = server.anonymous();
    let sign_in =
        async |email: &str| anonymous.post("/sessions", &json!({ "email": email, "password": "wrong wrong" })).await;
    sign_in("a@example.com").await.problem(401, "unauthorized");
    sign_in("A@example.com").await.problem(401, "unauthorized");
    let limited = sign_in("a@example.com").await;
    limited.problem(429, "rate_limited");
    assert!(limited.retry_after().is_some_and(|seconds| (1..=60).contains(&seconds)));
    sign_in("b@example.com").await.problem(401, "unauthorized");
    sign_in("c@example.com").await.problem(401, "unauthorized");
    sign_in("d@example.com").await.problem(429, "rate_limited");
    let form = json!({ "name": "E", "email": "e@example.com", "password": "correct horse" });
    anonymous.post("/users", &form).await.problem(429, "rate_limited");
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

/// How many of so many requests are answered 429; each of those must say when to come again.
async fn limited(asked: u32, ask: impl AsyncFn() -> ApiAnswer) -> u32 {
    let mut limited = 0;
    for _ in 0..asked {
        let answer = ask().await;
        if answer.status == 429 {
            answer.problem(429, "rate_limited");
            assert!(answer.retry_after().is_some_and(|seconds| (1..=3_600).contains(&seconds)));
            limited += 1;
        }
    }
    limited
}

#[tokio::test]
async fn a_users_reads_have_a_limit_of_their_own_and_so_have_those_of_an_address_and_of_a_token() {
    let flags = [
        ("--reads-per-second-per-user", "1"),
        ("--reads-per-second-per-address", "1"),
        ("--polls-per-second-per-token", "1"),
    ];
    let server = Server::with(&flags).await;
    let (reader, other) = (server.buyer("reader").await, server.buyer("other").await);
    assert!(limited(30, async || reader.get("/points").await).await > 0);
    other.get("/points").await.expect(200);
    reader.post("/queue/tokens", &json!({})).await.expect(201);
    let joined = other.post("/queue/tokens", &json!({})).await.expect(201);

    let anonymous = server.anonymous();
    assert!(limited(30, async || anonymous.get("/concerts").await).await > 0);
    let poll = format!("/queue/tokens/{}/position", joined["token"].as_str().unwrap());
    assert!(limited(30, async || anonymous.get(&poll).await).await > 0);
    assert_eq!(anonymous.call_at(Method::GET, "/readyz").send().await.status, 200);
    server.close().await;
}

#[tokio::test]
async fn a_poll_over_its_limit_is_no_sign_of_life() {
    let server = Server::with(&[("--polls-per-second-per-token", "1")]).await;
    let operator = server.operator().await;
    operator
        .patch("/operator/rooms/0", &json!({ "gate": "paused", "reason": "The hall asks for it." }))
        .await
        .expect(200);
    let joined = server.buyer("buyer").await.post("/queue/tokens", &json!({})).await.expect(201);
    let poll = format!("/queue/tokens/{}/position", joined["token"].as_str().unwrap());
    let unresponsive = || {
        let now = server.clock.now();
        !testing::peers(&server.app().office).unresponsive(RoomId::HOUSE, 1, HeardSince::any(now)).is_empty()
    };
    let mut refused = 0;
    for _ in 0..100 {
        server.advance(1);
        assert!(unresponsive(), "a second has passed since the last sign");
        let is_served = server.anonymous().get(&poll).await.status == 200;
        assert_eq!(unresponsive(), !is_served);
        refused += u32::from(!is_served);
    }
    assert!(refused > 0);
    server.close().await;
}

#[tokio::test]
async fn the_database_is_asked_for_no_more_sessions_than_an_address_may_read() {
    let server = Server::with(&[("--reads-per-second-per-address", "1")]).await;
    let buyer = server.buyer("buyer").await;
    let made_up = server.with_secret("made-up");
    let mut refused = 0;
    for _ in 0..30 {
        let answer = made_up.get("/points").await;
        if answer.status == 429 {
            answer.problem(429, "rate_limited");
            refused += 1;
        } else {
            answer.problem(401, "unauthorized");
        }
        buyer.get("/points").await.expect(200);
    }
    assert!(refused > 0);
    server.close().await;
}

#[tokio::test]
async fn a_head_counts_as_a_read() {
    let flags = [("--requests-per-second-per-user", "1"), ("--request-burst-per-user", "1")];
    let server = Server::with(&flags).await;
    let buyer = server.buyer("buyer").await;
    for _ in 0..20 {
        assert_eq!(buyer.call(Method::HEAD, "/users/me").send().await.status, 200);
    }
    server.close().await;
}

#[tokio::test]
async fn a_buyers_changes_and_holds_are_bounded_by_the_hour() {
    let flags = [("--changes-per-hour-per-user", "6"), ("--holds-per-hour-per-user", "2")];
    let server = Server::with(&flags).await;
    let hall = server.hall(3).await;
    let buyer = server.buyer("buyer").await;
    let token = buyer.enter(None).await;
    buyer.hold(&token, hall.seats[0]).await.expect(201);
    buyer.hold(&token, hall.seats[1]).await.expect(201);
    let refused = buyer.hold(&token, hall.seats[2]).await;
    refused.problem(429, "rate_limited");
    assert!(refused.retry_after().is_some_and(|seconds| seconds > 60), "it is a matter of the hour");
    assert!(limited(6, async || buyer.post("/queue/tokens", &json!({})).await).await > 0);
    buyer.get("/reservations").await.expect(200);
    // Operators are not buyers: what they do by the hundred is theirs to do.
    let operator = server.operator().await;
    let release = json!({ "seat_ids": [hall.seats[2]] });
    assert_eq!(limited(20, async || operator.post("/operator/seats/free", &release).await).await, 0);
    server.close().await;
}

#[tokio::test]
async fn a_password_and_an_address_are_the_same_in_whatever_bytes_they_are_written() {
    let server = Server::start().await;
    let anonymous = server.anonymous();
    let form =
        json!({ "name": "Moto\u{308}", "email": "Jose\u{301}@Bücher.example", "password": "Mot\u{f6}rhead1980" });
    let user = anonymous.post("/users", &form).await.expect(201);
    assert_eq!((&user["name"], &user["email"]), (&json!("Mot\u{f6}"), &json!("jos\u{e9}@xn--bcher-kva.example")));
    for (email, password) in [
        ("jos\u{e9}@xn--bcher-kva.example", "Moto\u{308}rhead1980"),
        ("JOSE\u{301}@bu\u{308}cher.example", "Mot\u{f6}rhead1980"),
    ] {
        anonymous.post("/sessions", &json!({ "email": email, "password": password })).await.expect(201);
    }
    let again = json!({ "name": "B", "email": "jos\u{e9}@BÜCHER.example", "password": "another horse" });
    anonymous.post("/users", &again).await.problem(409, "email_taken");
    let operator = server.operator().await;
    for text in ["mot%C3%B6", "moto%CC%88", "jos%C3%A9", "jose%CC%81"] {
        let found = operator.get(&format!("/operator/users?text={text}")).await.expect(200);
        assert_eq!(found["items"], json!([user]), "{text}");
    }
    server.close().await;
}

#[tokio::test]
async fn a_stranger_who_guesses_does_not_keep_the_owner_out() {
    let server = Server::with(&[("--login-per-minute-per-account", "3"), ("--trusted-proxies", "127.0.0.1")]).await;
    let anonymous = server.anonymous();
    let form = json!({ "name": "Kim", "email": "kim@example.com", "password": "correct horse" });
    anonymous.post("/users", &form).await.expect(201);
    let sign_in = async |password: &str, from: &str| {
        let call = anonymous.call(Method::POST, "/sessions").header("x-forwarded-for", from);
        call.json(&json!({ "email": "kim@example.com", "password": password })).send().await
    };
    for _ in 0..3 {
        sign_in("wrong horse", "203.0.113.200").await.problem(401, "unauthorized");
    }
    sign_in("wrong horse", "203.0.113.200:4711").await.problem(429, "rate_limited");
    sign_in("correct horse", "203.0.113.200").await.problem(429, "rate_limited");
    // The owner's network is unknown at first, and then known.
    for _ in 0..5 {
        sign_in("correct horse", "198.51.100.7").await.expect(201);
    }
    for _ in 0..3 {
        sign_in("wrong horse", "198.51.100.7").await.problem(401, "unauthorized");
    }
    sign_in("correct horse", "198.51.100.7").await.expect(201);
    server.close().await;
}

#[tokio::test]
async fn an_address_pays_for_a_sign_in_before_its_body_is_read() {
    let server = Server::with(&[("--login-per-minute-per-address", "1")]).await;
    let credentials = json!({ "email": "kim@example.com", "password": "wrong horse" });
    server.anonymous().post("/sessions", &credentials).await.problem(401, "unauthorized");
    for path in ["sessions", "users"] {
        // The body that is announced never comes: it would be waited for and answered 408.
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        let head = format!("POST /api/v1/{path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n");
        socket.write_all(format!("{head}content-length: 100\r\n\r\n").as_bytes()).await.unwrap();
        let mut status = [0; 12];
        socket.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 429", "{path}");
    }
    server.close().await;
}

#[tokio::test]
async fn an_account_from_before_texts_were_normalised_is_still_found_and_signed_in_to() {
    let server = Server::start().await;
    let (name, email, typed) = ("Moto\u{308}", "jose\u{301}@b\u{fc}cher.example", "Moto\u{308}rhead1980");
    let hash = Argon2::default().hash_password(typed.as_bytes()).unwrap();
    let user = NewUser {
        user_id: UserId(server.ids.uuid(server.clock.now())),
        name: name.to_owned(),
        email: email.to_owned(),
        password_hash: hash.to_string(),
        role: Role::Buyer,
    };
    server.command(Command::Register(user)).await;
    let anonymous = server.anonymous();
    anonymous
        .post("/sessions", &json!({ "email": "Jos\u{e9}@B\u{fc}cher.example", "password": typed }))
        .await
        .expect(201);
    let form = json!({ "name": "B", "email": "jos\u{e9}@xn--bcher-kva.example", "password": "another horse" });
    anonymous.post("/users", &form).await.problem(409, "email_taken");
    let operator = server.operator().await;
    let found = operator.get("/operator/users?text=mot%C3%B6").await.expect(200);
    assert_eq!(found["items"][0]["email"], email);
    server.close().await;
}

#[tokio::test]
async fn an_account_whose_address_is_too_odd_today_is_still_signed_in_to() {
    let server = Server::start().await;
    let (email, password) = ("abc..def@docomo.ne.jp", "correct horse");
    let hash = Argon2::default().hash_password(password.as_bytes()).unwrap();
    let user = NewUser {
        user_id: UserId(server.ids.uuid(server.clock.now())),
        name: "Kim".to_owned(),
        email: email.to_owned(),
        password_hash: hash.to_string(),
        role: Role::Buyer,
    };
    server.command(Command::Register(user)).await;
    let anonymous = server.anonymous();
    let sign_in = async |email: &str, password: &str| {
        anonymous.post("/sessions", &json!({ "email": email, "password": password })).await
    };
    assert_eq!(sign_in(" ABC..def@docomo.ne.jp", password).await.expect(201)["user"]["email"], email);
    sign_in(email, "wrong horse").await.problem(401, "unauthorized");
    sign_in("kim@my_host.example", password).await.problem(401, "unauthorized");
    sign_in("kim", password).await.problem_at(422, "invalid_field", "email");
    let form = json!({ "name": "B", "email": email, "password": "another horse" });
    anonymous.post("/users", &form).await.problem_at(422, "invalid_field", "email");
    server.close().await;
}

#[tokio::test]
async fn names_and_addresses_that_cannot_be_seen_or_turn_the_text_around_are_refused() {
    let server = Server::start().await;
    let good = json!({ "name": "Kim", "email": "kim@example.com", "password": "correct horse" });
    for (field, value) in [
        ("name", "\u{200b}"),
        ("name", "\u{2060}\u{2060}"),
        ("name", "\u{202e}evil"),
        ("name", "\u{3164}"),
        ("name", "\u{feff}Kim"),
        ("email", "a\u{202e}@x.example"),
        ("email", "ab\u{200b}@example.com"),
        ("email", "a@x..example"),
        ("email", "a..b@example.com"),
        ("email", "<script>@x.example"),
    ] {
        let mut form = good.clone();
        form[field] = json!(value);
        server.anonymous().post("/users", &form).await.problem_at(422, "invalid_field", field);
    }
    let mut family = good.clone();
    family["name"] = json!("👩\u{200d}👧 Kim");
    server.anonymous().post("/users", &family).await.expect(201);
    server.close().await;
}
