//! The monitoring of a box office, and the files in `deploy/` for it.

mod dashboard;
mod proxies;
mod server_alerts;
mod traces;

use frontrow_clock::Clock;
use frontrow_testkit::{Server, settings};
use reqwest::Method;
use std::path::PathBuf;

/// The shipped deployment files.
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

/// The metrics of an instance.
async fn scrape(server: &Server) -> String {
    server.anonymous().call_at(Method::GET, "/metrics").send().await.text()
}
