//! The knowledge of instances over one database about each other before any has published anything.

use super::{PROGRAM, instance};
use frontrow_clock::Clock;
use frontrow_testkit::{Server, eventually, servers::postgres::TestDatabase, settings};
use reqwest::Method;

/// An instance over this database that has no Redis.
async fn lone(database: &TestDatabase) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let config = settings(folder.path(), &[("--database-url", &database.url())]);
    Server::over(folder, config, Clock::System).await
}

async fn said(server: &Server) -> (u16, String) {
    let answer = server.anonymous().call_at(Method::GET, "/readyz").send().await;
    (answer.status, answer.text())
}

fn ready() -> (u16, String) {
    (200, "ready\n".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_without_redis_beside_others_is_not_ready_and_says_why() {
    let database = TestDatabase::new().await;
    let one = instance(&database).await;
    let without = lone(&database).await;
    let (status, reason) = said(&without).await;
    assert_eq!(status, 503);
    assert!(
        reason.contains("no redis_url") && reason.ends_with("the others over its database: 1 (no_redis_url)\n"),
        "{reason}"
    );
    assert_eq!(said(&one).await, ready(), "those that exchange events go on");
    one.stop().await;
    eventually("it is alone and ready", async || (said(&without).await == ready()).then_some(())).await;
    without.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_instances_without_redis_the_older_serves_and_the_other_takes_its_place() {
    let database = TestDatabase::new().await;
    let older = lone(&database).await;
    assert_eq!(said(&older).await, ready());
    let younger = lone(&database).await;
    assert_eq!(said(&younger).await.0, 503);
    older.app().office.check_instances().await;
    assert_eq!(said(&older).await, ready());
    older.stop().await;
    eventually("the younger is ready", async || (said(&younger).await == ready()).then_some(())).await;
    younger.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_beside_the_instances_counts_for_none_and_warns_of_nothing() {
    let database = TestDatabase::new().await;
    let one = instance(&database).await;
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "a-long-enough-password").unwrap();
    let mut add = PROGRAM.command(folder.path(), "operator add");
    add.args(["--email", "ops@example.com", "--name", "Ops", "--database-url", &database.url()]);
    let output = add.arg("--password-file").arg(&password).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !log.contains("WARN"), "{log}");
    one.app().office.check_instances().await;
    assert_eq!(said(&one).await, ready());
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_may_ask_for_more_connections_than_the_database_has_say_so() {
    let database = TestDatabase::new().await;
    let limit = format!("ALTER DATABASE {} CONNECTION LIMIT 30", database.name());
    database.client().await.batch_execute(&limit).await.unwrap();
    let one = instance(&database).await;
    assert_eq!(said(&one).await, ready(), "18 connections fit");
    let two = instance(&database).await;
    one.app().office.check_instances().await;
    for server in [&one, &two] {
        let (status, text) = said(server).await;
        assert_eq!(status, 200, "nothing is wrong yet");
        assert!(text.contains("36 connections") && text.contains("has 30") && text.contains("(too_few_connections)"));
    }
    one.stop().await;
    two.stop().await;
}
