//! The box office on `PostgreSQL` and Redis beside the usual way, over HTTP; and how it grows.
//!
//! `cargo bench --bench cluster` runs everything; a name runs that part alone: `holds`, `positions`, `crowd`,
//! `growth`, `rooms`, `quiet`, `million`,
//! `sweep`. Every server runs in a process of its own, on the same processors as the client.

mod crowd;
mod growth;
mod http;
mod million;
mod quiet;
mod rooms;

#[expect(clippy::unwrap_used, reason = "a client that cannot go on stops")]
#[path = "../http/client.rs"]
mod client;
#[path = "../usual/figures.rs"]
mod figures;
#[expect(dead_code, reason = "other benchmarks use the rest")]
#[path = "../usual/hall.rs"]
mod hall;
#[expect(dead_code, reason = "other benchmarks use the rest")]
#[path = "../engine_postgres/ours.rs"]
mod ours;
#[path = "../usual/server.rs"]
mod server;
#[expect(dead_code, reason = "other benchmarks use the rest")]
#[path = "../usual/way.rs"]
mod way;

use anyhow::Result;
use hall::{Postgres, Redis};
use std::time::Duration;

/// The server's own allocator, for every side.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The best pool of the usual way, by the sweep.
const CONNECTIONS: usize = 16;

/// Operations a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    pub(crate) holds: f64,
    pub(crate) payments: f64,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.split_first() {
            Some((first, rest)) if first == "usual-server" => http::usual_server(rest).await,
            Some((first, rest)) if first == "bare-server" => http::bare_server(rest).await,
            Some((first, rest)) if first == growth::CHILD => growth::child(rest).await,
            _ => parts(&args).await,
        }
    })
}

async fn parts(args: &[String]) -> Result<()> {
    let wanted = |name: &str| (args.is_empty() && name != "sweep") || args.iter().any(|arg| arg == name);
    if ["holds", "positions", "sweep"].into_iter().any(wanted) {
        let (server, redis) = (Postgres::start(None, &[])?, Redis::start()?);
        let keyring = http::prepare(&server, http::PLAN, http::WAITING).await?;
        if wanted("sweep") {
            http::sweep(&server, &redis, &keyring).await?;
        }
        if wanted("holds") {
            http::holds(&server, &redis, &keyring, CONNECTIONS).await?;
        }
        if wanted("positions") {
            http::positions(&server, &redis, &keyring, CONNECTIONS).await?;
        }
    }
    if wanted("crowd") {
        crowd::run(CONNECTIONS).await?;
    }
    if wanted("growth") {
        growth::run().await?;
    }
    if wanted("rooms") {
        rooms::run().await?;
    }
    if wanted("quiet") {
        quiet::run().await?;
    }
    if wanted("million") {
        million::run().await?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
pub(crate) fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
