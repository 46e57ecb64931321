//! The box office on `PostgreSQL` and Redis beside the usual way, over HTTP; and how it grows.
//!
//! `cargo bench --bench cluster` runs everything; a name runs that part alone: `holds`, `positions`, `crowd`,
//! `growth`, `rooms`, `quiet`, `million`, `gone`, `line`, `sweep`. `line` alone takes options: `line --people 5000
//! --choice sticky`. Every server runs in a process of its own, on the same processors as the client.

mod baseline_server;
mod crowd;
mod gone;
mod http;
mod line;
mod million;
mod quiet;
mod rooms;
mod scaling;
mod serving;

use anyhow::Result;
use frontrow_testkit::{bench::office::Postgres, servers::redis::RedisServer};

/// The server's own allocator, for every side.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The best pool of the usual way, by the sweep.
const CONNECTIONS: usize = 16;

fn main() -> Result<()> {
    let all: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<String> = all.iter().filter(|arg| !arg.starts_with("--")).cloned().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.split_first() {
            Some((first, rest)) if first == "usual-server" => http::usual_server(rest).await,
            Some((first, rest)) if first == "bare-server" => http::bare_server(rest).await,
            Some((first, rest)) if first == scaling::CHILD => scaling::child(rest).await,
            Some((first, _)) if first == "line" => Box::pin(line::run(&all)).await,
            _ => Box::pin(parts(&args)).await,
        }
    })
}

async fn parts(args: &[String]) -> Result<()> {
    let wanted = |name: &str| (args.is_empty() && name != "sweep") || args.iter().any(|arg| arg == name);
    if ["holds", "positions", "sweep"].into_iter().any(wanted) {
        let (server, redis) = (Postgres::start(env!("CARGO_TARGET_TMPDIR"), None, &[])?, RedisServer::start());
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
        scaling::run().await?;
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
    if wanted("gone") {
        Box::pin(gone::run()).await?;
    }
    if wanted("line") {
        Box::pin(line::run(&[])).await?;
    }
    Ok(())
}
