//! A million waiting in one line: how long an instance takes to start beside it, and what it takes of memory.

use crate::{
    hall::{Postgres, Redis, TEMPLATE},
    http::{self, Serving, Side},
};
use anyhow::{Context as _, Result};
use std::time::Instant;

/// Prints a line for each length of the line.
///
/// # Errors
/// A server is gone.
pub(crate) async fn run() -> Result<()> {
    for waiting in [1_000, 100_000, 1_000_000] {
        let (server, redis) = (Postgres::start(None, &[])?, Redis::start()?);
        let keyring = http::prepare(&server, crate::hall::Plan { concerts: 1, buyers: 1, seats: 1 }, waiting).await?;
        let started = Instant::now();
        let serving = Serving::start(Side::Ours, &server.url(TEMPLATE), &redis.url(), 1)?;
        let ready = started.elapsed();
        let bytes = http::answer_len(serving.address, &keyring, waiting).await?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", serving.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no resident size")?;
        let resident: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        println!(
            "{waiting:>9} waiting: ready after {:.2} s, {} MB resident; a position is {bytes} B on the wire",
            ready.as_secs_f64(),
            resident / 1_024
        );
    }
    Ok(())
}
