//! The `PostgreSQL` store beside the usual way of one transaction a request, and beside a plain pipelined loop that
//! makes the same row changes and decides nothing.
//!
//! `cargo bench --bench engine_postgres` runs them in turn and prints the ratios. `-- builds` runs only the engine and
//! the usual way, to compare two builds of the program; `-- claims` what a claim costs with many active tokens; `-- sweep` finds the best pool of the usual way; `-- lanes`,
//! `-- plan` and `-- profile` are for finding out why.

mod baseline;
mod claims;
mod plan;
mod raw_loop;

use anyhow::Result;
use baseline::Setup;
use frontrow_testkit::bench::{
    Rates,
    baseline::SendMode,
    engine, median,
    office::{self, Plan, Postgres, TEMPLATE},
    spread,
};
use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

/// The server's own allocator, for every way.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many buyers there are: as many hold and pay in a round, fewer if that would take too long.
const BUYERS: i64 = 40_000;
/// How many of them go the usual way in a round.
const USUAL_BUYERS: usize = 8_000;
const PLAN: Plan = Plan { concerts: 1, buyers: BUYERS, seats: BUYERS };
/// How many rounds are run, each way in turn.
const ROUNDS: usize = 5;
/// Callers at once.
const CALLERS: usize = 256;
/// The lanes of an instance.
const LANES: usize = 8;
/// The best pools of the usual way, by the sweep.
const CONNECTIONS: usize = 16;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let asked = |name: &str| std::env::args().any(|arg| arg == name);
    runtime.block_on(async {
        let server = Postgres::start(env!("CARGO_TARGET_TMPDIR"), None, &[])?;
        prepare(&server).await?;
        if asked("sweep") {
            sweep(&server).await
        } else if asked("plan") {
            plan::run(&server).await
        } else if asked("claims") {
            claims::run(&server).await
        } else if asked("lanes") {
            lanes(&server).await
        } else if asked("builds") {
            builds(&server).await
        } else if asked("profile") {
            profile(&server).await
        } else {
            compare(&server).await
        }
    })
}

async fn prepare(server: &Postgres) -> Result<()> {
    server.execute("postgres", &[&format!("CREATE DATABASE {TEMPLATE}")]).await?;
    let url = server.url(TEMPLATE);
    drop(engine::open(&url, 1).await?);
    office::fill(&url, PLAN).await
}

/// A way to sell, by name.
#[derive(Clone, Copy)]
enum Way {
    Usual(SendMode),
    /// One by one, with the foreign keys declared.
    UsualDeclared,
    Plain,
    Batches(usize),
    Engine(usize),
}

impl Way {
    const ALL: [Self; 9] = [
        Self::Plain,
        Self::Batches(20),
        Self::Batches(200),
        Self::Batches(500),
        Self::Engine(CALLERS),
        Self::Engine(4 * CALLERS),
        Self::Usual(SendMode::OneByOne),
        Self::UsualDeclared,
        Self::Usual(SendMode::Pipelined),
    ];

    fn name(self) -> String {
        match self {
            Self::Usual(SendMode::OneByOne) => format!("the usual way, {CALLERS} callers, {CONNECTIONS} connections"),
            Self::Usual(SendMode::Pipelined) => "the same, statements pipelined".to_owned(),
            Self::UsualDeclared => "the same, foreign keys declared".to_owned(),
            Self::Plain => "a plain loop, batches of 200".to_owned(),
            Self::Batches(batch) => format!("the store, batches of {batch}"),
            Self::Engine(callers) => format!("the engine, {callers} callers, {LANES} lanes"),
        }
    }

    async fn run(self, url: &str, buyers: &[i64]) -> Result<Rates> {
        match self {
            Self::Usual(_) | Self::UsualDeclared => {
                let pace = if let Self::Usual(pace) = self { pace } else { SendMode::OneByOne };
                if matches!(self, Self::UsualDeclared) {
                    office::connect(url).await?.batch_execute(office::DECLARED).await?;
                }
                let setup = Setup { connections: CONNECTIONS, callers: CALLERS, pace };
                baseline::run(url, PLAN, buyers.get(..USUAL_BUYERS).unwrap_or(buyers), setup).await
            }
            Self::Plain => raw_loop::run(url, buyers, 200).await,
            Self::Batches(batch) => engine::batches(url, PLAN, buyers, batch).await,
            Self::Engine(callers) => {
                let instance = engine::EngineInstance::open(url, LANES).await?;
                let rates = instance.sell(PLAN, buyers, callers).await?;
                instance.close().await?;
                Ok(rates)
            }
        }
    }
}

/// Every way in turn, each in a fresh copy of the same box office, and what each is of the others in its round.
async fn compare(server: &Postgres) -> Result<()> {
    let mut all: Vec<Vec<Rates>> = vec![Vec::new(); Way::ALL.len()];
    for round in 0..ROUNDS {
        let buyers = shuffled(u64::try_from(round)?);
        for turn in 0..Way::ALL.len() {
            // Each round begins with another, so that none always follows the same one.
            let index = (turn + round * 3) % Way::ALL.len();
            let url = server.copy("round").await?;
            let rates = Way::ALL[index].run(&url, &buyers).await?;
            eprintln!("{:<48} {:>8.0} holds/s {:>8.0} payments/s", Way::ALL[index].name(), rates.holds, rates.payments);
            all[index].push(rates);
        }
    }
    let (plain, usual) = (0, 6);
    println!("{:<48} {:^42} {:^42}", "", "holds", "payments");
    for (index, way) in Way::ALL.iter().enumerate() {
        print!("{:<48}", way.name());
        for pick in [|rates: &Rates| rates.holds, |rates: &Rates| rates.payments] {
            let rates: Vec<f64> = all[index].iter().map(pick).collect();
            let of = |other: usize| spread(all[index].iter().zip(&all[other]).map(|(own, its)| pick(own) / pick(its)));
            print!(" {:>8.0}/s {} of plain {} of usual", median(rates), of(plain), of(usual));
        }
        println!();
    }
    Ok(())
}

/// The engine with more and fewer lanes: one hot sale.
async fn lanes(server: &Postgres) -> Result<()> {
    for callers in [CALLERS, 4 * CALLERS] {
        for lanes in [1, 2, 4, 8, 16] {
            let url = server.copy("round").await?;
            let instance = engine::EngineInstance::open(&url, lanes).await?;
            let rates = instance.sell(PLAN, &shuffled(1), callers).await?;
            instance.close().await?;
            println!(
                "{lanes:>2} lanes, {callers} callers: {:.0} holds/s, {:.0} payments/s",
                rates.holds, rates.payments
            );
        }
    }
    Ok(())
}

/// The engine and the usual way alone, in turn, over and over: to compare two builds.
async fn builds(server: &Postgres) -> Result<()> {
    let ways = [Way::Engine(CALLERS), Way::Engine(4 * CALLERS), Way::Usual(SendMode::OneByOne)];
    for round in 0..ROUNDS {
        for way in ways {
            let url = server.copy("round").await?;
            let rates = way.run(&url, &shuffled(u64::try_from(round)?)).await?;
            println!("{:<48} {:.0} holds/s, {:.0} payments/s", way.name(), rates.holds, rates.payments);
        }
    }
    Ok(())
}

/// Some ways once, and the database's time by statement, to find causes. Wants `pg_stat_statements` in
/// `PG_SETTINGS`.
async fn profile(server: &Postgres) -> Result<()> {
    for way in [Way::Plain, Way::Batches(200), Way::Engine(CALLERS), Way::Engine(4 * CALLERS)] {
        let url = server.copy("round").await?;
        let rates = way.run(&url, &shuffled(1)).await?;
        println!("{:<48} {:.0} holds/s, {:.0} payments/s", way.name(), rates.holds, rates.payments);
        statements(&url).await?;
    }
    Ok(())
}

fn shuffled(round: u64) -> Vec<i64> {
    let mut buyers: Vec<i64> = (1..=BUYERS).collect();
    buyers.shuffle(&mut StdRng::seed_from_u64(round));
    buyers
}

async fn sweep(server: &Postgres) -> Result<()> {
    for (references, changes) in [("triggers", ""), ("foreign keys", office::DECLARED)] {
        for pace in [SendMode::OneByOne, SendMode::Pipelined] {
            for connections in [8, 16, 32, 64] {
                let url = server.copy("round").await?;
                server.execute("round", &[changes, "CHECKPOINT"]).await?;
                let setup = Setup { connections, callers: CALLERS, pace };
                let rates = baseline::run(&url, PLAN, &shuffled(1)[..USUAL_BUYERS], setup).await?;
                println!(
                    "{references}, {pace:?}, {connections} connections: {:.0} holds/s, {:.0} payments/s",
                    rates.holds, rates.payments
                );
            }
        }
    }
    Ok(())
}

/// The database's time by statement: those of foreign keys too.
async fn statements(url: &str) -> Result<()> {
    let client = office::connect(url).await?;
    client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").await?;
    let query = "SELECT toplevel, calls, rows, total_exec_time, 1000 * total_exec_time / greatest(rows, 1),
            wal_bytes::int8, left(regexp_replace(query, '\\s+', ' ', 'g'), 110)
        FROM pg_stat_statements WHERE total_exec_time > 5 ORDER BY total_exec_time DESC LIMIT 24";
    for row in client.query(query, &[]).await? {
        let (top, calls, rows, millis): (bool, i64, i64, f64) = (row.get(0), row.get(1), row.get(2), row.get(3));
        let (each, log, text): (f64, i64, &str) = (row.get(4), row.get(5), row.get(6));
        let mark = if top { ' ' } else { '+' };
        println!(
            "{mark} {calls:>7} calls {rows:>7} rows {millis:>8.1} ms {each:>6.1} us/row {log:>10} B of log  {text}"
        );
    }
    client.batch_execute("SELECT pg_stat_statements_reset()").await?;
    Ok(())
}
