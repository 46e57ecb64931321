//! Signing in with a second factor, as programs do.

use frontrow_domain::{id::UserId, user::Caller};
use frontrow_service::{
    second_factor::{FactorStanding, RecoveryCodes, key_text},
    validate::Password,
};
use frontrow_testkit::{ApiAnswer, Server, app_code, items};
use serde_json::{Value, json};

const EMAIL: &str = "boss@example.com";
const PASSWORD: &str = "correct horse battery";

async fn sign_in(server: &Server, password: &str, code: Option<&str>) -> ApiAnswer {
    let mut form = json!({ "email": EMAIL, "password": password });
    if let Some(code) = code {
        form["code"] = json!(code);
    }
    server.anonymous().post("/sessions", &form).await
}

/// An operator at [`EMAIL`] with a second factor: its key, and the recovery codes.
async fn with_factor(server: &Server) -> (UserId, String, Vec<String>) {
    let user_id = server.operator_with_password(PASSWORD).await;
    let caller = Caller::Operator(user_id);
    let office = &server.app().office;
    office.enrol_factor(caller, user_id).await.unwrap();
    let FactorStanding::Pending { secret } = office.factor_standing(user_id).await.unwrap() else { panic!("it waits") };
    let key = key_text(secret);
    let password = Password::parse(PASSWORD.to_owned()).unwrap();
    let code = app_code(&key, server.clock.now());
    let made = office.confirm_factor(caller, user_id, &password, &code, "no session").await.unwrap();
    let RecoveryCodes(codes) = made;
    (user_id, key, codes)
}

#[tokio::test]
async fn an_account_with_a_second_factor_is_signed_in_to_by_a_code_that_works_once() {
    let server = Server::start().await;
    let (_, key, recovery) = with_factor(&server).await;
    let code = || app_code(&key, server.clock.now());
    let needed = sign_in(&server, PASSWORD, None).await;
    needed.problem(401, "second_factor_needed");
    assert_eq!(needed.header("www-authenticate"), Some("Bearer"));
    // A wrong password learns nothing of it, with a right code too.
    server.advance(30);
    sign_in(&server, "wrong horse battery", None).await.problem(401, "unauthorized");
    sign_in(&server, "wrong horse battery", Some(&code())).await.problem(401, "unauthorized");
    let opened = sign_in(&server, PASSWORD, Some(&code())).await.expect(201);
    assert_eq!(opened["user"]["role"], "operator");
    sign_in(&server, PASSWORD, Some(&code())).await.problem(401, "second_factor_wrong");
    sign_in(&server, PASSWORD, Some("000000")).await.problem(401, "second_factor_wrong");
    sign_in(&server, PASSWORD, Some("a code")).await.problem(401, "second_factor_wrong");

    assert_eq!(recovery.len(), 10);
    let typed = recovery[0].to_lowercase().replace('-', " ");
    sign_in(&server, PASSWORD, Some(&typed)).await.expect(201);
    sign_in(&server, PASSWORD, Some(&recovery[0])).await.problem(401, "second_factor_wrong");
    let old = code();
    server.advance(90);
    sign_in(&server, PASSWORD, Some(&old)).await.problem(401, "second_factor_wrong");
    sign_in(&server, PASSWORD, Some(&code())).await.expect(201);
    server.close().await;
}

#[tokio::test]
async fn too_many_wrong_codes_stop_codes_for_an_hour_and_are_in_the_log() {
    let server = Server::start().await;
    let (_, key, recovery) = with_factor(&server).await;
    server.advance(30);
    for _ in 0..10 {
        sign_in(&server, PASSWORD, Some("000000")).await.problem(401, "second_factor_wrong");
    }
    let resting = sign_in(&server, PASSWORD, Some(&app_code(&key, server.clock.now()))).await;
    let body: Value = resting.problem(429, "second_factor_resting");
    assert_eq!((body["until"].as_str(), resting.retry_after()), (Some("2027-01-15T09:00:30.000000Z"), Some(3_600)));
    let opened = sign_in(&server, PASSWORD, Some(&recovery[3])).await.expect(201);
    server.app().office.write_failed_proofs().await.unwrap();
    let boss = server.with_secret(opened["session_token"].as_str().unwrap());
    let log = boss.get("/operator/audit?limit=5").await.expect(200);
    let failed: Vec<_> = items(&log).iter().filter(|line| line["action"] == "operator.sign_in_failed").collect();
    assert_eq!(failed[0]["detail"]["count"], 11);
    server.close().await;
}

#[tokio::test]
async fn wrong_codes_and_passwords_of_a_session_are_in_the_log_and_too_many_stop_codes() {
    // Given an operator that is signed in, with a second factor.
    let server = Server::start().await;
    let (_, key, recovery) = with_factor(&server).await;
    server.advance(30);
    let opened = sign_in(&server, PASSWORD, Some(&recovery[0])).await.expect(201);
    let secret = opened["session_token"].as_str().unwrap();
    let office = server.app().office.clone();
    let caller = office.authenticate(secret).await.unwrap();
    let user_id = caller.user_id().unwrap();
    // When wrong codes come to remove it, and for new recovery codes.
    for _ in 0..5 {
        assert!(office.remove_factor(caller, user_id, "000000").await.is_err());
        assert!(office.renew_recovery_codes(caller, user_id, "000000").await.is_err());
    }
    assert!(office.remove_factor(caller, user_id, "ABCD-EFGH-2345-6777").await.is_err());
    // Then codes rest, and the log has all of them in one line, apart from failed sign-ins.
    let code = app_code(&key, server.clock.now());
    assert!(office.remove_factor(caller, user_id, &code).await.is_err(), "codes rest");
    office.write_failed_proofs().await.unwrap();
    let boss = server.with_secret(secret);
    let log = boss.get("/operator/audit?limit=1").await.expect(200);
    let line = &items(&log)[0];
    assert_eq!((&line["action"], &line["detail"]["count"]), (&json!("user.second_factor_failed"), &json!(12)));
    drop(office);
    server.close().await;
}

#[tokio::test]
async fn wrong_codes_spend_the_budget_of_wrong_passwords() {
    let server = Server::with(&[("--login-per-minute-per-account", "3")]).await;
    let (_, key, _) = with_factor(&server).await;
    for _ in 0..3 {
        sign_in(&server, PASSWORD, Some("000000")).await.problem(401, "second_factor_wrong");
    }
    sign_in(&server, PASSWORD, None).await.problem(429, "rate_limited");
    server.advance(30);
    sign_in(&server, PASSWORD, Some(&app_code(&key, server.clock.now()))).await.problem(429, "rate_limited");
    server.close().await;
}

#[tokio::test]
async fn the_box_office_removes_a_lost_factor_and_a_code_is_ignored_where_there_is_none() {
    let server = Server::start().await;
    let (user_id, ..) = with_factor(&server).await;
    server.app().office.reset_factor(user_id).await.unwrap();
    sign_in(&server, PASSWORD, None).await.expect(201);
    let opened = sign_in(&server, PASSWORD, Some("123456")).await.expect(201);
    let boss = server.with_secret(opened["session_token"].as_str().unwrap());
    let log = boss.get("/operator/audit?limit=9").await.expect(200);
    let of_factor = |line: &&Value| line["action"] == "user.second_factor";
    let set: Vec<_> = items(&log).iter().filter(of_factor).map(|line| line["detail"]["set"].clone()).collect();
    assert_eq!(set, ["reset", "on"]);
    server.close().await;
}
