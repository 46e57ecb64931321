//! A million waiting in one line: how long an instance takes to start beside it, what it takes of memory, and how soon
//! Redis has everything again after it was emptied.

use crate::{
    http,
    serving::{Serving, Side},
};
use anyhow::{Context as _, Result, ensure};
use frontrow_testkit::{
    bench::office::{Plan, Postgres, TEMPLATE},
    servers::redis::RedisServer,
};
use redis::aio::MultiplexedConnection;
use std::time::{Duration, Instant};

/// How long it may take until Redis is filled.
const PATIENCE: Duration = Duration::from_mins(2);

/// Prints a line for each length of the line.
///
/// # Errors
/// A server is gone.
pub(crate) async fn run() -> Result<()> {
    for waiting in [1_000, 100_000, 1_000_000] {
        let (server, redis) = (Postgres::start(env!("CARGO_TARGET_TMPDIR"), None, &[])?, RedisServer::start());
        let keyring = http::prepare(&server, Plan { concerts: 1, buyers: 1, seats: 1 }, waiting).await?;
        let started = Instant::now();
        let serving = Serving::start(Side::Ours, &server.url(TEMPLATE), &redis.url(), 1)?;
        let ready = started.elapsed();
        let bytes = http::answer_len(serving.address, &keyring, waiting).await?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", serving.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no resident size")?;
        let resident: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        let mut asked = redis::Client::open(redis.url())?.get_multiplexed_async_connection().await?;
        let all = seeded(&mut asked).await?;
        let emptied = Instant::now();
        redis::cmd("FLUSHALL").query_async::<()>(&mut asked).await?;
        let again = seeded(&mut asked).await?;
        let anew = emptied.elapsed();
        ensure!(again >= all, "{again} hashes of {all} are there again");
        println!(
            "{waiting:>9} waiting: ready after {:.2} s, {} MB resident; a position is {bytes} B on the wire; Redis \
             emptied, all filled anew after {:.2} s",
            ready.as_secs_f64(),
            resident / 1_024,
            anew.as_secs_f64(),
        );
    }
    Ok(())
}

/// Waits until Redis is seeded. How many hashes of copies there are then.
async fn seeded(redis: &mut MultiplexedConnection) -> Result<usize> {
    let started = Instant::now();
    loop {
        let found: Vec<String> = redis::cmd("KEYS").arg("*:incarnation").query_async(redis).await?;
        if let Some(incarnation) = found.first() {
            let asked = redis::cmd("HMGET").arg(incarnation).arg(&["nonce", "seeded"]).query_async(redis).await?;
            let (nonce, seeded): (Option<String>, Option<String>) = asked;
            if seeded.is_some() && seeded == nonce {
                let copies: Vec<String> = redis::cmd("KEYS").arg("*:t3:*").query_async(redis).await?;
                return Ok(copies.len());
            }
        }
        ensure!(started.elapsed() < PATIENCE, "Redis is not seeded");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
