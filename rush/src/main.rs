//! The crowd: drives a running box office over HTTP as buyers would, measures it from the outside, and audits the sale.
//!
//! Read [`crowd`] for the course of a sale, [`buyer`] for what one buyer does, [`audit`] for what is checked.

mod api;
mod arrivals;
mod ask;
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
mod parallel;
mod progress;
mod report;
mod setup;
mod svg;
mod target;

use anyhow::{Context, Result};
use clap::Parser;
use options::{Bench, Cli, Mode, SaleOptions};
use std::process::ExitCode;

/// A promise was broken.
const BREACH: u8 = 1;
/// The run could not be made.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("frontrow-rush: {error:#}");
            ExitCode::from(UNUSABLE)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let threads = match &cli.mode {
        None => cli.sale.server.threads,
        Some(Mode::Bench(bench)) => match &bench.what {
            Bench::Get { load, .. }
            | Bench::Positions { load, .. }
            | Bench::Seatmap { load, .. }
            | Bench::Holds { load, .. } => load.server.threads,
        },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(usize::from(threads))
        .enable_all()
        .build()
        .context("no threads")?;
    match cli.mode {
        None => runtime.block_on(sale(cli.sale)),
        Some(Mode::Bench(bench)) => {
            runtime.block_on(bench::run(&bench.what))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn sale(options: SaleOptions) -> Result<ExitCode> {
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
    if let Some(path) = &options.svg {
        write(path, &svg::draw(&svg::Picture::of(&outcome)))?;
    }
    Ok(if report::is_clean(&outcome) { ExitCode::SUCCESS } else { ExitCode::from(BREACH) })
}

fn write(path: &std::path::Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}
