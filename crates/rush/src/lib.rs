//! The crowd: drives a running box office over HTTP as buyers would, measures it from the outside, and audits the sale.
//!
//! Read `crowd.rs` for the course of a sale, `buyer.rs` for what one buyer does, `audit.rs` for what is checked. The
//! program is [`run`]; tests that need a crowd beside other things call [`sale`], and a rehearsal calls [`rehearse`].

mod api;
mod arrivals;
mod audit;
mod bench;
mod books;
mod buyer;
mod client;
mod clock;
mod concerts;
mod crowd;
mod ending;
mod history;
mod meter;
mod operator;
mod options;
mod outcome;
mod page;
mod parallel;
mod progress;
mod rehearsal;
mod report;
mod retry;
mod setup;
mod simulation;
mod target;

pub use crowd::{CrowdMoment, CrowdNews, Onlooker};
pub use outcome::{Acknowledged, IssuedPlace, Sold};
pub use rehearsal::{CrowdFigures, CrowdSecond, Quantiles, RehearsalCrowd, RehearsedBuyer, rehearse};
pub use simulation::{FreshnessProbe, InstanceChoice, LineCrowd, LineFigures, LinePlan, ViewDelays};

use anyhow::{Context, Result};
use clap::Parser;
use options::{Bench, LineOptions, Mode, RushCli, SaleOptions};
use std::process::ExitCode;

const BREACH: u8 = 1;
/// The run could not be made.
const UNUSABLE: u8 = 2;

/// The program: does what the command line says, and prints what came of it.
#[must_use]
pub fn run() -> ExitCode {
    let cli = RushCli::parse();
    match start(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("frontrow-rush: {error:#}");
            ExitCode::from(UNUSABLE)
        }
    }
}

/// Runs one sale and audits it, in the runtime of the caller. `args` are those of the command line, without the
/// program's name. Nothing is printed but how it goes, and no files are written.
///
/// # Errors
/// The arguments are wrong, the sale cannot be set up, or its books cannot be read.
pub async fn sale(args: &[&str]) -> Result<Sold> {
    let cli = RushCli::try_parse_from(std::iter::once("frontrow-rush").chain(args.iter().copied()))?;
    let outcome = crowd::run(cli.sale).await?;
    Ok(outcome::sold(&outcome))
}

fn start(cli: RushCli) -> Result<ExitCode> {
    match cli.mode {
        None => on_threads(cli.sale.server.threads)?.block_on(run_sale(cli.sale)),
        Some(Mode::Bench(bench)) => {
            let threads = match &bench.what {
                Bench::Get { load, .. }
                | Bench::Positions { load, .. }
                | Bench::Seatmap { load, .. }
                | Bench::Holds { load, .. } => load.server.threads,
            };
            on_threads(threads)?.block_on(bench::run(&bench.what))?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Mode::Line(options)) => on_threads(options.server.threads)?.block_on(run_line(&options)),
        Some(Mode::Simulate(options)) => {
            for line in simulation::simulate(&options)? {
                println!("{line}");
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn on_threads(threads: u16) -> Result<tokio::runtime::Runtime> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(usize::from(threads)).enable_all().build().context("no threads")
}

async fn run_sale(options: SaleOptions) -> Result<ExitCode> {
    let outcome = crowd::run(options).await?;
    let text = report::text(&outcome);
    println!("{text}");
    let options = &outcome.options;
    if let Some(path) = &options.text {
        write(path, &text)?;
    }
    if let Some(path) = &options.server.json {
        write(path, &format!("{:#}\n", report::json(&outcome)))?;
    }
    if let Some(path) = &options.html {
        write(path, &page::html(&outcome))?;
    }
    Ok(if report::is_clean(&outcome) { ExitCode::SUCCESS } else { ExitCode::from(BREACH) })
}

async fn run_line(options: &LineOptions) -> Result<ExitCode> {
    let outcome = simulation::run_line(options).await?;
    println!("{}", outcome.text());
    if let Some(path) = &options.server.json {
        write(path, &format!("{:#}\n", outcome.json()))?;
    }
    Ok(if outcome.figures.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(BREACH) })
}

fn write(path: &std::path::Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}
