//! The command line.

use crate::{arrivals::Arrivals, client::ConnectionChoice, simulation::InstanceChoice};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::{ops::RangeInclusive, path::PathBuf};

const EXAMPLES: &str = "\
Examples:
  frontrow-rush --buyers 200 --arrivals spike:10
      200 buyers rush the first concert on sale; a report and an audit follow.
  frontrow-rush --buyers 2000 --signed-in --sold-out --abandon 0.1 --lapse 0.05 --refund 0.1 \\
      --duration 300 --json sale.json --html sale.html --check 'frontrow check --data ./data'
      A whole sale with everything that buyers do, until the last seat is sold.
  frontrow-rush --new-concert 1000 --max-active 50 --buyers 1500 --signed-in --seats-each 1..2
      The same with a concert made for it.
  frontrow-rush bench holds --connections 256 --seconds 10 --users 256 --concerts 100
      How many seats a second can be held, with at most 4 seats of a concert to a buyer. The server's limits for one
      user are in the way: start it with --requests-per-second-per-user 100000 --request-burst-per-user 100000
      --changes-per-hour-per-user 100000 --holds-per-hour-per-user 100000.
  frontrow-rush line --people 600 --url http://127.0.0.1:8081 --instance http://127.0.0.1:8082
      The people of the simulation before two instances. The server's limits for one address are in the way, as above;
      --joins-per-address 0 --joins-per-network 0 take them away for new places.
  frontrow-rush bench get --path /healthz
      The ceiling of one address.

Exit status: 0 when every promise was kept, 1 when one was broken, 2 when the run could not be made.";

/// A crowd for Frontrow: drives a running server over HTTP as buyers would, measures it from the outside, and audits
/// the sale afterwards.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct RushCli {
    /// Something else than a sale.
    #[command(subcommand)]
    pub(crate) mode: Option<Mode>,
    /// The sale.
    #[command(flatten)]
    pub(crate) sale: SaleOptions,
}

/// Something else than a sale.
#[derive(Debug, Subcommand)]
pub(crate) enum Mode {
    /// Ceilings: so many connections ask as fast as they are answered.
    Bench(BenchOptions),
    /// Sales in virtual time, with the rules of the line and people who behave as people do: no server is needed.
    Simulate(SimulateOptions),
    /// The people of the simulation before real instances, in real time: order, cap, idle places and told waits over
    /// HTTP.
    Line(LineOptions),
}

/// The people of the simulation before real instances.
#[derive(Debug, Clone, Args)]
pub(crate) struct LineOptions {
    /// Which server, and who runs it.
    #[command(flatten)]
    pub(crate) server: ServerOptions,
    /// A further instance of the same box office. May be given several times.
    #[arg(long = "instance", value_name = "URL")]
    pub(crate) instances: Vec<String>,
    /// Which instance a person asks: another one with each request, by chance, or always the same.
    #[arg(long, value_enum, default_value_t = InstanceChoice::Any)]
    pub(crate) choice: InstanceChoice,
    /// How many people come. Each gets an account first, which costs the server two password hashes.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(crate) people: u32,
    /// The room; 0 is the house room. Its cap and its rate are set for the run.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) room: i64,
    /// How many may be inside at once. Without it, a tenth of the people.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    pub(crate) max_active: Option<i64>,
    /// How many turns are given a minute. Without it, no limit.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    pub(crate) admit_per_minute: Option<i64>,
    /// The median time inside, in seconds. Without it, 20.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub(crate) visit: Option<u32>,
    /// Half of the people rush in within 10 seconds, the others come within so many. Without it, 120.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub(crate) spread: Option<u32>,
    /// The end, whatever has happened by then, in seconds. Without it, 600.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=7_200))]
    pub(crate) duration: Option<u32>,
    /// The server's `claim_window_seconds`, if it is not the default.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(20..=3_600))]
    pub(crate) claim_window: Option<u32>,
    /// The seed of the people's choices.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Sales in virtual time.
#[derive(Debug, Args)]
pub(crate) struct SimulateOptions {
    /// One scenario, `million`, `floor`, `rivals`, or `draws`. Without it, all scenarios but those four.
    pub(crate) scenario: Option<String>,
    /// The seed of the people's choices. The same seed makes the same sale.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Run with so many seeds, from --seed on, and say the medians.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) seeds: u8,
    /// Draw the pictures of the guide into this folder, and nothing else.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) plots: Option<std::path::PathBuf>,
}

/// Which server, and who runs it.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerOptions {
    /// The server. Only addresses of this machine, unless --i-own-this-server is given.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,
    /// Allow a server on another machine. A crowd can take it down: it must be yours.
    #[arg(long)]
    pub(crate) i_own_this_server: bool,
    /// Sign in as this operator, for the audit and to top up points.
    #[arg(long, default_value = "operator@frontrow.example", value_name = "EMAIL")]
    pub(crate) operator_email: String,
    /// The operator's password.
    #[arg(long, default_value = "front-row-demo", env = "FRONTROW_RUSH_OPERATOR_PASSWORD", hide_env_values = true)]
    pub(crate) operator_password: String,
    /// Threads that the crowd may use. The server shares the machine.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: u16,
    /// Write the results as JSON to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// A sale.
#[derive(Debug, Clone, Args)]
pub(crate) struct SaleOptions {
    /// Which server, and who runs it.
    #[command(flatten)]
    pub(crate) server: ServerOptions,
    /// The concert. Without it, the first one on sale.
    #[arg(long, value_name = "ID")]
    pub(crate) concert: Option<i64>,
    /// Make a concert with so many seats for this sale. Its room admits --max-active at once, else 100.
    #[arg(long, value_name = "SEATS", conflicts_with = "concert", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) new_concert: Option<u32>,
    /// How many buyers come. Each is registered first, which costs the server a password hash.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) buyers: u32,
    /// When they come: spike:SECONDS, ramp:SECONDS, steady:SECONDS or poisson:RATE/s.
    #[arg(long, default_value = "spike:10")]
    pub(crate) arrivals: Arrivals,
    /// The seed of the buyers' choices. The same seed makes the same crowd.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The end, whatever has happened by then, in seconds after the opening.
    #[arg(long, default_value_t = 120, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) duration: u32,
    /// Buyers whose hold lapsed, who refunded or found no seat come back until the concert is sold out or time is up.
    #[arg(long)]
    pub(crate) sold_out: bool,
    /// The share that gives up in line: half of them say so, half just go silent.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub(crate) abandon: f64,
    /// The share that holds a seat and lets the hold lapse.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub(crate) lapse: f64,
    /// The share that cancels its first hold and chooses again.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub(crate) cancel: f64,
    /// The share of payments that are taken back.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub(crate) refund: f64,
    /// The share of requests that are sent twice with the same key, to compare the answers.
    #[arg(long, default_value_t = 0.02, value_parser = share)]
    pub(crate) duplicate: f64,
    /// The share of choices that go for the best free seat, which is where buyers get into each other's way.
    #[arg(long, default_value_t = 0.3, value_parser = share)]
    pub(crate) best: f64,
    /// How many seats a buyer wants: a number, or a range such as 1..4.
    #[arg(long, default_value = "1", value_parser = seats_each, value_name = "N|N..M")]
    pub(crate) seats_each: RangeInclusive<usize>,
    /// Points that each buyer gets before the sale, in won.
    #[arg(long, default_value_t = 1_000_000, value_name = "WON", value_parser = clap::value_parser!(i64).range(0..=10_000_000))]
    pub(crate) points: i64,
    /// Which caller tops up the points.
    #[arg(long, value_enum, default_value_t = TopUpBy::Operator)]
    pub(crate) top_up_by: TopUpBy,
    /// Buyers sign in before the sale, and not while it runs.
    #[arg(long)]
    pub(crate) signed_in: bool,
    /// Mean time that a buyer takes between two steps, in milliseconds.
    #[arg(long, default_value_t = 200, value_name = "MS")]
    pub(crate) think: u32,
    /// How often a buyer looks for another seat before going home.
    #[arg(long, default_value_t = 30)]
    pub(crate) tries: u32,
    /// How far answers of several instances about the line may be apart, in milliseconds: places are compared where one
    /// is newer by so much. 0 is for one instance, where no place moves back from one answer to the next.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    pub(crate) view_lag: u32,
    /// A token that became dormant sooner than this after a join or a poll is a fault, in seconds: the server's
    /// `dormant_after_seconds`, less the time that the last signs of life may lose if instances fail.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub(crate) dormant_after: u32,
    /// Set the room's cap on active tokens first.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) max_active: Option<i64>,
    /// Buyers sign in from one address. Without this each has a loopback address of its own, so that the server's limit
    /// on sign-ins from one address is not in the way.
    #[arg(long)]
    pub(crate) one_address: bool,
    /// Connections at most.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub(crate) connections: u32,
    /// A request without an answer for so long is given up and repeated with the same key, in milliseconds.
    #[arg(long, default_value_t = 10_000, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) timeout: u32,
    /// The beginning of the buyers' addresses. A name used before signs the same accounts in again.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) ids: Option<String>,
    /// Write a page of the sale to this file: charts and report. It needs nothing but a browser.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write the report as text to this file, besides printing it.
    #[arg(long, value_name = "FILE")]
    pub(crate) text: Option<PathBuf>,
    /// Run this command afterwards; its failure is a breach.
    #[arg(long, value_name = "CMD")]
    pub(crate) check: Option<String>,
}

impl SaleOptions {
    /// The address from which the buyer with this number signs in.
    pub(crate) const fn origin(&self, index: usize) -> ConnectionChoice {
        if self.one_address { ConnectionChoice::Shared } else { ConnectionChoice::Own(index) }
    }
}

/// The party that tops up points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TopUpBy {
    /// An operator, with a reference.
    Operator,
    /// Each buyer, if the server's top-up policy is open. They sign in for it.
    Buyer,
}

/// A ceiling.
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchOptions {
    /// The kind of request.
    #[command(subcommand)]
    pub(crate) what: Bench,
}

/// The kind of request.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Bench {
    /// Any address that needs no body.
    Get {
        /// The load.
        #[command(flatten)]
        load: LoadOptions,
        /// The address, such as /healthz or /api/v1/concerts.
        #[arg(long)]
        path: String,
    },
    /// Places in line: GET /queue/tokens/{token}/position, of many tokens.
    Positions {
        /// The load.
        #[command(flatten)]
        load: LoadOptions,
        /// How many users stand in line.
        #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        users: u32,
    },
    /// The compact seat map of a concert made for it.
    Seatmap {
        /// The load.
        #[command(flatten)]
        load: LoadOptions,
        /// How many seats it has.
        #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        seats: u32,
        /// Ask only whether it changed (If-None-Match).
        #[arg(long)]
        unchanged: bool,
    },
    /// Holds: POST /reservations, each of another seat of a concert made for it.
    Holds {
        /// The load.
        #[command(flatten)]
        load: LoadOptions,
        /// How many buyers hold, in turn. Each gets seats ÷ users ÷ concerts seats of a concert: within the server's
        /// limit for one user, or the limit must be raised. A hold looks at the seats that its buyer has already.
        #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        users: u32,
        /// Over how many concerts the seats are spread. More than one use the house room, whose cap is raised for it.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        concerts: u32,
        /// How many seats there are. The run ends when they are used up.
        #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        seats: u32,
    },
}

/// The load of a measurement of the ceiling.
#[derive(Debug, Clone, Args)]
pub(crate) struct LoadOptions {
    /// Which server, and who runs it.
    #[command(flatten)]
    pub(crate) server: ServerOptions,
    /// Connections that ask at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(crate) connections: u32,
    /// For how long.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub(crate) seconds: u32,
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "give a share from 0 to 1, such as 0.05")?;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err("a share is from 0 to 1".to_owned()) }
}

fn seats_each(text: &str) -> Result<RangeInclusive<usize>, String> {
    const FORMS: &str = "give a number from 1 to 20, or a range such as 1..4";
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let from: usize = from.parse().map_err(|_| FORMS)?;
    let to: usize = to.trim_start_matches('=').parse().map_err(|_| FORMS)?;
    if (1..=20).contains(&from) && (from..=20).contains(&to) { Ok(from..=to) } else { Err(FORMS.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        RushCli::command().debug_assert();
    }

    #[test]
    fn a_sale_needs_no_options_and_a_bench_has_its_own() {
        let sale = RushCli::try_parse_from(["frontrow-rush"]).unwrap();
        assert!(sale.mode.is_none());
        assert_eq!(sale.sale.seats_each, 1..=1);
        let bench = RushCli::try_parse_from(["frontrow-rush", "bench", "holds", "--connections", "256"]).unwrap();
        assert!(matches!(bench.mode, Some(Mode::Bench(BenchOptions { what: Bench::Holds { seats: 100_000, .. } }))));
    }

    #[test]
    fn shares_and_seats_outside_their_bounds_are_refused() {
        for wrong in [["--abandon", "1.1"], ["--lapse", "-1"], ["--seats-each", "0"], ["--seats-each", "4..1"]] {
            let line = ["frontrow-rush", wrong[0], wrong[1]];
            assert!(RushCli::try_parse_from(line).is_err(), "{wrong:?}");
        }
        let range = RushCli::try_parse_from(["frontrow-rush", "--seats-each", "1..4"]).unwrap();
        assert_eq!(range.sale.seats_each, 1..=4);
    }
}
