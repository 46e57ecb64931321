//! How a rehearsal goes and what came of it, as the program that runs it writes it down.

use frontrow_domain::{
    line::{Forecast, ForecastUnknown},
    sale::RehearsalSetup,
    time::Time,
};
use serde::{Deserialize, Serialize};

/// A line of the news that a running rehearsal writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RehearsalNews {
    /// How it goes.
    Progress(RehearsalProgress),
    /// It is over.
    Done(Box<RehearsalReport>),
    /// It could not be made. For the log and the operator.
    Failed(String),
}

/// The part of a rehearsal that is under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RehearsalPhase {
    /// The copy and the crowd's accounts are made.
    #[default]
    Preparing,
    /// The sale is open.
    Selling,
    /// The books are read and compared with what buyers were answered.
    Auditing,
}

/// How a rehearsal goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsalProgress {
    pub phase: RehearsalPhase,
    /// Seconds since the copy's sale opened.
    pub seconds: u64,
    /// How many people have come.
    pub came: u64,
    pub waiting: i64,
    pub active: i64,
    /// Seats that are free.
    pub available: u64,
    pub held: u64,
    pub sold: u64,
    /// Requests in the last second.
    pub requests: u64,
}

/// What came of a rehearsal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RehearsalReport {
    pub setup: RehearsalSetup,
    pub finished_at: Time,
    /// How long the sale ran, in microseconds.
    pub took: u64,
    /// Seats that were for sale at the opening.
    pub seats: u64,
    /// Seats at the end.
    pub available: u64,
    pub held: u64,
    pub sold: u64,
    /// How many people came, and bought.
    pub came: u64,
    pub bought: u64,
    /// Tokens that waited at the end.
    pub waiting: i64,
    pub sold_out: SellOut,
    /// When the line will be empty, in microseconds after the opening, if it was not at the end.
    pub line_empty: Option<u64>,
    /// How many of those who came could buy, in millionths; none if that cannot be said.
    pub could_buy_ppm: Option<i64>,
    /// How long those who got a turn had waited for it.
    pub wait: TimeSpread,
    /// How long requests took.
    pub latency: TimeSpread,
    /// Requests in all, and in the busiest second.
    pub requests: u64,
    pub busiest: u64,
    /// Requests without an answer, and answers of the kind 5xx.
    pub errors: u64,
    /// Processor time of the box office while the sale ran, in microseconds, and that of the crowd.
    pub server_cpu: u64,
    pub crowd_cpu: u64,
    /// That of all other work on the machine; none where the system does not say.
    pub other_cpu: Option<u64>,
    /// How many cores it has.
    pub cores: u64,
    /// The most memory of both together, in bytes; none where the system does not say.
    pub memory: Option<u64>,
    /// How many promises were broken, and the first of them.
    pub breaches: u64,
    pub breaches_shown: Vec<String>,
    /// One for each second.
    pub seconds: Vec<RehearsedSecond>,
}

/// Other work may take so much of the machine, in hundredths, before a rehearsal shows that work more than itself.
const OTHER_WORK_MAX: u64 = 20;

impl RehearsalReport {
    /// Whether other work took so much of the machine that waits and latencies say little: a rehearsal comes after it.
    #[must_use]
    pub fn was_disturbed(&self) -> bool {
        let other = self.other_cpu.unwrap_or(0).saturating_mul(100);
        other > OTHER_WORK_MAX.saturating_mul(self.took).saturating_mul(self.cores)
    }
}

/// When a rehearsed sale is sold out, in microseconds after its opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum SellOut {
    /// It was.
    Measured { after: u64 },
    /// It will be if it goes on as measured.
    Forecast { after: u64 },
    /// It will not: too few come, or want seats.
    Never,
    /// It ended before enough visits did to forecast anything.
    TooShort,
}

/// The spread of a time, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeSpread {
    /// How many were measured.
    pub count: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub longest: u64,
}

/// One second of a rehearsed sale.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsedSecond {
    pub requests: u64,
    /// People whose turn began.
    pub admitted: u64,
    /// Seats that were paid.
    pub sold: u64,
    pub waiting: i64,
    pub active: i64,
}

/// What a rehearsal that ended before its sale was over says of the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaleRest {
    pub sold_out: SellOut,
    pub line_empty: Option<u64>,
    /// The share of those waiting that will find a seat, in millionths.
    pub reach_ppm: Option<i64>,
}

impl SaleRest {
    /// The rest of a sale that ran for `took`, by the forecast from its pace at the end.
    #[must_use]
    pub fn of(took: u64, forecast: Result<Forecast, ForecastUnknown>) -> Self {
        let after = |span: frontrow_domain::time::Span| took.saturating_add(u64::try_from(span.micros()).unwrap_or(0));
        match forecast {
            Ok(Forecast { sold_out_in, line_empty_in, reach_ppm }) => Self {
                sold_out: sold_out_in.map_or(SellOut::Never, |span| SellOut::Forecast { after: after(span) }),
                line_empty: line_empty_in.map(after),
                reach_ppm,
            },
            Err(_) => Self { sold_out: SellOut::TooShort, line_empty: None, reach_ppm: None },
        }
    }
}
