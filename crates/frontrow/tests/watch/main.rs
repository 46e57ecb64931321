//! What those who watch a box office see, and the files in `deploy/` that they watch it with.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod dashboard;
mod proxies;
mod servers_up;
mod traces;

#[expect(dead_code, reason = "the tests of the program use the rest")]
#[path = "../program/mod.rs"]
mod program;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../servers/mod.rs"]
mod servers;
#[expect(dead_code, reason = "the tests of the API use the rest")]
#[path = "../api/support.rs"]
mod support;

use frontrow_clock::Clock;
use reqwest::Method;
use std::path::PathBuf;
use support::{Server, settings};

/// What is shipped to run the program with.
fn deploy(file: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("deploy").join(file)
}

/// An instance over these servers, in this process, with more flags.
async fn instance(database: &str, redis: &str, flags: &[(&str, &str)]) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let flags = [&[("--database-url", database), ("--redis-url", redis)], flags].concat();
    let config = settings(folder.path(), &flags);
    Server::over(folder, config, Clock::System).await
}

/// What an instance tells Prometheus.
async fn scrape(server: &Server) -> String {
    server.nobody().call_at(Method::GET, "/metrics").send().await.text()
}
