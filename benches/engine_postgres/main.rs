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

async fn plain_only(server: &Postgres) -> Result<()> {
    for batch in [20, 200, 500] {
        let url = server.copy("round").await?;
        let rates = plain::run(&url, &shuffled(1), batch).await?;
        println!("plain {batch}: {:.0} holds/s, {:.0} payments/s", rates.holds, rates.payments);
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
pub(crate) fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
