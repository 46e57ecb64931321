//! Whether an instance can use the servers that it leans on.

use super::{instance, scrape};
use frontrow_testkit::{
    Server, eventually,
    servers::{postgres, redis::RedisServer},
};

/// Waits until the metrics say so of a server.
async fn says(server: &Server, name: &str, up: u8) {
    let line = format!("frontrow_server_up{{server=\"{name}\"}} {up}");
    eventually(&line, async || scrape(server).await.lines().any(|found| found == line).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_instance_reports_that_a_server_is_down_and_up_again() {
    let (mut postgres, mut redis) = (postgres::PostgresServer::start().await, RedisServer::start());
    let server = instance(&postgres.url("postgres"), &redis.url(), &[]).await;
    says(&server, "postgresql", 1).await;
    says(&server, "redis", 1).await;
    postgres.kill();
    says(&server, "postgresql", 0).await;
    says(&server, "redis", 1).await;
    redis.kill();
    says(&server, "redis", 0).await;
    postgres.start_again().await;
    redis.restart_empty();
    says(&server, "postgresql", 1).await;
    says(&server, "redis", 1).await;
    server.stop().await;
}
