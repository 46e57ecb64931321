//! The `PostgreSQL` store beside the usual way of one transaction a request, and beside a plain pipelined loop that
//! makes the same row changes and decides nothing.
//!
//! `cargo bench --bench engine_postgres` runs them in turn and prints the ratios; `-- sweep` finds the best pool of
//! the usual way.

mod plain;
mod usual_way;

#[path = "../usual/hall.rs"]
mod hall;
#[path = "../usual/way.rs"]
mod way;

use anyhow::Result;
use hall::{Plan, Postgres, TEMPLATE};
use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use std::time::Duration;
use usual_way::Setup;
use way::Pace;

/// The server's own allocator, for every way.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many buyers there are: as many hold and pay in a round, fewer where that would take too long.
const BUYERS: i64 = 40_000;
/// How many of them go the usual way in a round.
const USUAL_BUYERS: usize = 8_000;
const PLAN: Plan = Plan { concerts: 1, buyers: BUYERS, seats: BUYERS };

/// Operations a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    pub(crate) holds: f64,
    pub(crate) payments: f64,
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Postgres::start(None, &[])?;
        prepare(&server).await?;
        if std::env::args().any(|arg| arg == "parallel") { return parallel(&server).await; }
        if std::env::args().any(|arg| arg == "sweep") { sweep(&server).await } else { plain_only(&server).await }
    })
}

async fn prepare(server: &Postgres) -> Result<()> {
    server.execute("postgres", &[&format!("CREATE DATABASE {TEMPLATE}")]).await?;
    server.execute(TEMPLATE, &[include_str!("../../migrations/postgres/0001_box_office.sql")]).await?;
    hall::fill(&server.url(TEMPLATE), PLAN).await
}

fn shuffled(round: u64) -> Vec<i64> {
    let mut buyers: Vec<i64> = (1..=BUYERS).collect();
    buyers.shuffle(&mut StdRng::seed_from_u64(round));
    buyers
}

async fn sweep(server: &Postgres) -> Result<()> {
    for pace in [Pace::OneByOne, Pace::Pipelined] {
        for connections in [2, 4, 8, 16, 32, 64, 128] {
            let url = server.copy("round").await?;
            let setup = Setup { connections, callers: 256, pace };
            let rates = usual_way::run(&url, PLAN, &shuffled(1)[..USUAL_BUYERS], setup).await?;
            println!("{pace:?}, {connections} connections: {:.0} holds/s, {:.0} payments/s", rates.holds, rates.payments);
        }
    }
    Ok(())
}

async fn parallel(server: &Postgres) -> Result<()> {
    for ways in [1_usize, 2, 3, 4, 1, 2, 3, 4] {
        let url = server.copy("round").await?;
        let buyers = shuffled(1);
        let started = std::time::Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for part in buyers.chunks(buyers.len().div_ceil(ways)) {
            let (url, part) = (url.clone(), part.to_vec());
            tasks.spawn(async move { plain::run(&url, &part, 200).await });
        }
        let (mut holds, mut payments) = (0.0, 0.0);
        while let Some(done) = tasks.join_next().await {
            let rates = done??;
            holds += rates.holds;
            payments += rates.payments;
        }
        println!("{ways} connections: {holds:.0} {payments:.0} in {:?}", started.elapsed());
    }
    Ok(())
}

async fn plain_only(server: &Postgres) -> Result<()> {
    for batch in [20, 200, 500] {
        let url = server.copy("round").await?;
        let rates = plain::run(&url, &shuffled(1), batch).await?;
        println!("plain {batch}: {:.0} holds/s, {:.0} payments/s", rates.holds, rates.payments);
        if std::env::var("PG_SETTINGS").is_ok_and(|set| set.contains("pg_stat_statements")) {
            statements(&url).await?;
        }
    }
    Ok(())
}

/// Where the database's time went, by statement: those of foreign keys too.
async fn statements(url: &str) -> Result<()> {
    let client = hall::connect(url).await?;
    client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").await?;
    let rows = client
        .query(
            "SELECT toplevel, calls, rows, total_exec_time, wal_bytes::bigint, left(regexp_replace(query, '\\s+', ' ', 'g'), 110)
             FROM pg_stat_statements WHERE total_exec_time > 5 ORDER BY total_exec_time DESC LIMIT 24",
            &[],
        )
        .await?;
    for row in rows {
        let (top, calls, rows, time): (bool, i64, i64, f64) = (row.get(0), row.get(1), row.get(2), row.get(3));
        let (wal, text): (i64, &str) = (row.get(4), row.get(5));
        println!("{} {calls:>7} calls {rows:>7} rows {time:>8.1} ms {:>6.1} us/row {wal:>10} B  {text}", if top {' '} else {'+'}, time * 1000.0 / (rows.max(1) as f64));
    }
    client.batch_execute("SELECT pg_stat_statements_reset()").await?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
pub(crate) fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
