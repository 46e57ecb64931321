//! A fault of a server is reported in one line at the start, without a password; what comes later makes an
//! instance not ready.

use super::{PROGRAM, instance};
use frontrow_testkit::{
    Client, eventually,
    program::refused,
    servers::{
        postgres::{self, TestDatabase},
        redis::RedisServer,
    },
};
use reqwest::Method;

const PASSWORD: &str = "s3cret-pass";

async fn assert_refused(flags: &[(&str, &str)], expected: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = PROGRAM.command(folder.path(), "serve");
    serve.args(["--listen", "127.0.0.1:0", "--log", "error"]);
    serve.args(flags.iter().flat_map(|(name, value)| [name, value]));
    let (status, said) = refused(&mut serve).await;
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains(expected), "{expected} is not in: {said}");
    assert!(!said.contains(PASSWORD), "a password is shown: {said}");
    assert!(said.trim_end().lines().count() <= 2, "{said}");
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    let url = |scheme: &str| format!("{scheme}://app:{PASSWORD}@127.0.0.1:1/frontrow");
    assert_refused(&[("--database-url", &url("mysql"))], "database_url must be").await;
    assert_refused(&[("--redis-url", &url("redis"))], "redis_url needs a database_url of PostgreSQL").await;
    let postgres = url("postgres");
    assert_refused(&[("--database-url", &postgres), ("--redis-url", &url("http"))], "redis_url must begin").await;
    assert_refused(&[("--database-url", &postgres), ("--database-lanes", "0")], "database_lanes must be").await;
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_refused() {
    let nowhere = format!("postgres://app:{PASSWORD}@127.0.0.1:1/frontrow");
    assert_refused(&[("--database-url", &nowhere)], "cannot open the database").await;
    let missing = format!("{}_missing", postgres::shared_url());
    assert_refused(&[("--database-url", &missing)], "does not exist").await;

    let newer = TestDatabase::new().await;
    let client = newer.client().await;
    client.batch_execute("INSERT INTO frontrow_schema (version, name) VALUES (999, 'later')").await.unwrap();
    assert_refused(&[("--database-url", &newer.url())], "version 999").await;
    let others = TestDatabase::empty().await;
    others.client().await.batch_execute("CREATE TABLE customers (id bigint)").await.unwrap();
    assert_refused(&[("--database-url", &others.url())], "another program's tables").await;
}

#[tokio::test]
async fn a_redis_that_cannot_be_used_is_refused_and_one_that_is_away_is_waited_for() {
    let database = TestDatabase::new().await;
    let mut redis = RedisServer::start();
    redis.add_user("plain", &["on", &format!(">{PASSWORD}"), "~*", "&*", "+@all", "-@scripting"]);
    let with = |user: &str| format!("redis://{user}@127.0.0.1:{}", redis.port());
    let url = database.url();
    let wrong = with(&format!("plain:{PASSWORD}-wrong"));
    assert_refused(&[("--database-url", &url), ("--redis-url", &wrong)], "cannot use Redis").await;
    let plain = with(&format!("plain:{PASSWORD}"));
    assert_refused(&[("--database-url", &url), ("--redis-url", &plain)], "cannot use Redis").await;

    let right = with("default:");
    redis.kill();
    let folder = tempfile::tempdir().unwrap();
    let process = PROGRAM.start(folder.path(), &[("--database-url", &url), ("--redis-url", &right)]);
    let anonymous = Client::anonymous(reqwest::Client::new(), process.address);
    let ready = anonymous.call_at(Method::GET, "/readyz").send().await;
    assert_eq!(ready.status, 200);
    assert_eq!(ready.text(), "ready, but without Redis: it cannot be reached (redis_away)\n");
    redis.restart();
    eventually("Redis is used", async || {
        let metrics = anonymous.call_at(Method::GET, "/metrics").send().await.text();
        metrics.contains("frontrow_server_up{server=\"redis\"} 1\n").then_some(())
    })
    .await;
    assert_eq!(anonymous.call_at(Method::GET, "/readyz").send().await.text(), "ready\n");
    process.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_whose_database_is_away_is_not_ready_until_it_is_back() {
    let mut server = postgres::PostgresServer::start().await;
    let database = TestDatabase::on(&server.url("postgres")).await;
    let one = instance(&database).await;
    let ready = async || one.anonymous().call_at(Method::GET, "/readyz").send().await;
    assert_eq!(ready().await.text(), "ready\n");
    server.kill();
    let buyer = one.anonymous();
    eventually("the instance is not ready", async || {
        let account = serde_json::json!({ "name": "Minji", "email": "m@example.com", "password": "a long password" });
        buyer.post("/users", &account).await;
        let ready = ready().await;
        (ready.status == 503)
            .then(|| assert_eq!(ready.text(), "not ready: the database cannot be written (database_unwritable)\n"))
    })
    .await;
    server.start_again().await;
    eventually("the instance is ready again", async || (ready().await.status == 200).then_some(())).await;
    let client = server.client().await;
    client.batch_execute(&format!("ALTER ROLE postgres PASSWORD '{PASSWORD}-right'")).await.unwrap();
    server.write("pg_hba.conf", "host all all 127.0.0.1/32 scram-sha-256\n");
    client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let url = database.url().replace("postgres@", &format!("postgres:{PASSWORD}@"));
    assert_refused(&[("--database-url", &url)], "password authentication failed").await;
    one.stop().await;
}
