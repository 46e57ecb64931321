//! How the rate grows with the number of instances: each is a process of its own with callers inside, all over one
//! database.

use anyhow::{Context as _, Result, ensure};
use frontrow_testkit::bench::{
    engine::{self, EngineInstance},
    median,
    office::{self, Plan, Postgres, TEMPLATE},
};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdout, Command, Stdio},
};

/// The first argument of an instance's process.
pub(crate) const CHILD: &str = "growth-instance";
const CONCERTS: i64 = 4;
const BUYERS: i64 = 40_000;
const PLAN: Plan = Plan { concerts: CONCERTS, buyers: BUYERS / CONCERTS, seats: BUYERS / CONCERTS };
const CALLERS: usize = 256;
const LANES: usize = 8;
const ROUNDS: usize = 3;

/// The placement of processes.
#[derive(Debug, Clone, Copy)]
enum Placement {
    /// The database on the first processor, all instances on the second.
    Apart,
    /// Anywhere.
    Together,
}

/// Prints the rates of 1, 2 and 4 instances.
///
/// # Errors
/// The server or an instance is gone.
pub(crate) async fn run() -> Result<()> {
    for places in [Placement::Apart, Placement::Together] {
        let pinned = match places {
            Placement::Apart => Some("0"),
            Placement::Together => None,
        };
        let server = Postgres::start(env!("CARGO_TARGET_TMPDIR"), pinned, &[])?;
        server.execute("postgres", &[&format!("CREATE DATABASE {TEMPLATE}")]).await?;
        drop(engine::open(&server.url(TEMPLATE), 1).await?);
        office::fill(&server.url(TEMPLATE), PLAN).await?;
        let mut rates = [const { (Vec::new(), Vec::new()) }; 3];
        for _ in 0..ROUNDS {
            for (instances, rates) in [1, 2, 4].into_iter().zip(&mut rates) {
                let (holds, payments) = round(&server, places, instances).await?;
                rates.0.push(holds);
                rates.1.push(payments);
            }
        }
        for (instances, (holds, payments)) in [1, 2, 4].into_iter().zip(rates) {
            println!(
                "{places:?}, {instances} instances: {:.0} holds/s, {:.0} payments/s",
                median(holds),
                median(payments)
            );
        }
    }
    Ok(())
}

async fn round(server: &Postgres, places: Placement, instances: i64) -> Result<(f64, f64)> {
    let url = server.copy("round").await?;
    let share = BUYERS / instances;
    let mut running = Vec::new();
    for instance in 0..instances {
        running.push(Running::start(&url, places, instance * share + 1, (instance + 1) * share)?);
    }
    running.iter_mut().try_for_each(Running::go)?;
    let (mut held, mut paid) = (0.0_f64, 0.0_f64);
    for mut instance in running {
        let (holds, payments) = instance.rates()?;
        held += holds;
        paid += payments;
    }
    Ok((held, paid))
}

/// An instance's process.
struct Running {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(url: &str, places: Placement, first: i64, last: i64) -> Result<Self> {
        let own = std::env::current_exe()?;
        let mut command = match places {
            Placement::Apart => {
                let mut command = Command::new("taskset");
                command.args(["-c", "1"]).arg(own);
                command
            }
            Placement::Together => Command::new(own),
        };
        command.args([CHILD, url, &first.to_string(), &last.to_string()]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut output = BufReader::new(process.stdout.take().context("no output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        ensure!(line.trim() == "ready", "an instance did not start: {line}");
        Ok(Self { process, output })
    }

    fn go(&mut self) -> Result<()> {
        Ok(self.process.stdin.as_mut().context("no input")?.write_all(b"go\n")?)
    }

    fn rates(&mut self) -> Result<(f64, f64)> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let (holds, payments) = line.trim().split_once(' ').context("an instance said nothing")?;
        self.process.wait()?;
        Ok((holds.parse()?, payments.parse()?))
    }
}

/// An instance: opens, waits for the word, sells, and says how fast.
///
/// # Errors
/// The arguments are not what [`Running::start`] gives, or the server is gone.
pub(crate) async fn child(args: &[String]) -> Result<()> {
    let [url, first, last] = args else { anyhow::bail!("three arguments are needed") };
    let instance = EngineInstance::open(url, LANES).await?;
    println!("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let buyers: Vec<i64> = (first.parse()?..=last.parse()?).collect();
    let rates = instance.sell(PLAN, &buyers, CALLERS).await?;
    println!("{} {}", rates.holds, rates.payments);
    instance.close().await
}
