//! Several instances over one `PostgreSQL` and one Redis: what they share, how they start, how a box office gets there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod books;
mod cli;
mod crowd;
mod draws;
mod house;
mod idle;
mod instances;
mod keys;
mod moving;
mod outage;
mod outbox;
mod places;
mod records;
mod shares;
mod sharing;
mod starting;

use frontrow::{app, config::Config};
use frontrow_clock::Clock;
use frontrow_domain::time::Time;
use frontrow_testkit::{
    Hall, Server,
    program::Program,
    servers::{postgres::TestDatabase, shared_redis},
    settings,
};

const PROGRAM: Program = Program::at(env!("CARGO_BIN_EXE_frontrow"));

/// An instance over this database, in this process.
async fn instance(database: &TestDatabase) -> Server {
    instance_at(database.url(), Clock::System).await
}

/// The same by a URL of one's own, with a clock of one's own.
async fn instance_at(url: String, clock: Clock) -> Server {
    instance_over(url, shared_redis(), clock).await
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
