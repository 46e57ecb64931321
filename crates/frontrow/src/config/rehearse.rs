//! The options of a rehearsal.

use clap::Args;
use frontrow_domain::sale::{RehearsalField, RehearsalSetup};
use std::path::PathBuf;

/// Where the plan comes from, what differs from it, and where the report goes.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct RehearseOptions {
    /// The concert's number in the configured database, which is only read
    #[arg(long, value_name = "ID", conflicts_with = "plan", required_unless_present = "plan")]
    pub concert: Option<i64>,
    /// A plan that `rehearsal-plan.json` of a concert's page in the cockpit is; - for standard input
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// How many people come [default: two for each free seat]
    #[arg(long, value_name = "COUNT")]
    pub people: Option<u32>,
    /// Within how many minutes they come, most of them at the beginning; 0 for a rush
    #[arg(long, value_name = "MINUTES")]
    pub arrive_minutes: Option<u32>,
    /// How many seconds a visit takes on average, from the turn to the payment
    #[arg(long, value_name = "SECONDS")]
    pub visit_seconds: Option<u32>,
    /// How many of a hundred give up in line
    #[arg(long, value_name = "PERCENT")]
    pub give_up_percent: Option<u32>,
    /// How many seats one buys at most
    #[arg(long, value_name = "SEATS")]
    pub seats_each: Option<u32>,
    /// After how many minutes it ends, sold out or not
    #[arg(long, value_name = "MINUTES")]
    pub minutes: Option<u32>,
    /// Write the report as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Folder of the scratch box office, made and removed; if it is there, it must be empty [default: rehearsal in the data folder]
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// Write the news as JSON lines, and end when standard input does
    #[arg(long, hide = true, requires = "scratch")]
    pub news: bool,
}

impl RehearseOptions {
    /// The setup with the values that were given.
    #[must_use]
    pub fn applied_to(&self, setup: RehearsalSetup) -> RehearsalSetup {
        RehearsalField::ALL.into_iter().fold(setup, |setup, field| {
            let given = match field {
                RehearsalField::People => self.people,
                RehearsalField::ArriveMinutes => self.arrive_minutes,
                RehearsalField::VisitSeconds => self.visit_seconds,
                RehearsalField::GiveUpPercent => self.give_up_percent,
                RehearsalField::SeatsEach => self.seats_each,
                RehearsalField::Minutes => self.minutes,
            };
            given.map_or(setup, |value| setup.with(field, value))
        })
    }
}
