//! Several instances over one `PostgreSQL` and one Redis: what they share, how they start, how a box office gets there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod books;
mod idle;
mod instances;
mod moving;
mod outage;
mod places;
mod sharing;
mod starting;
mod tools;

#[expect(dead_code, reason = "the tests of the program use the rest")]
#[path = "../program/mod.rs"]
mod program;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../servers/mod.rs"]
mod servers;
#[expect(dead_code, reason = "the tests of the API use the rest")]
#[path = "../api/support.rs"]
mod support;

use frontrow::{app, config::Config};
use frontrow_clock::Clock;
use frontrow_domain::time::Time;
use servers::postgres::Database;
use support::{Hall, Server, settings};

/// The Redis that the run shares. Each database has names of its own in it.
fn redis() -> String {
    std::env::var("FRONTROW_TEST_REDIS").expect("FRONTROW_TEST_REDIS names the Redis of the run")
}

/// An instance over this database, in this process.
async fn instance(database: &Database) -> Server {
    instance_at(database.url(), Clock::System).await
}

/// The same by a URL of one's own, with a clock of one's own.
async fn instance_at(url: String, clock: Clock) -> Server {
    instance_over(url, redis(), clock).await
}

/// The same with a Redis of one's own.
async fn instance_over(url: String, redis: String, clock: Clock) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let flags = [("--database-url", url), ("--redis-url", redis)];
    let flags = flags.each_ref().map(|(name, value)| (*name, value.as_str()));
    let config = settings(folder.path(), &flags);
    Server::over(folder, config, clock).await
}

/// A concert that is on sale by the real clock.
async fn hall(server: &Server, seats: i32) -> Hall {
    server.hall_like(seats, |draft| draft.opens_at = Time::default()).await
}

async fn assert_books_in_order(config: &Config) {
    let report = app::check_books(config).await.unwrap();
    assert!(report.is_clean(), "{report}");
}
