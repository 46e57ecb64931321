//! The crowd of a rehearsal: its buyers have accounts, sessions and points before it begins, and what it measured goes
//! to a program.

use crate::{
    arrivals::Arrivals,
    buyer::Login,
    clock::{Mono, micros},
    crowd::{self, AfterSale, CrowdResult, Onlooker, PreparedSale},
    ending::VisitEnding,
    history::History,
    meter::{Sample, Second, histogram},
    operator::SignedInClient,
    options::{RushCli, SaleOptions, TopUpBy},
    report,
    setup::{self, Ready},
};
use anyhow::{Context, Result};
use clap::Parser;
use hdrhistogram::Histogram;
use std::{net::SocketAddr, ops::RangeInclusive, time::Duration};

/// Bound on what is read before the buyers come.
const SETTING_UP_MAX: Duration = Duration::from_mins(1);
/// All who rush to the opening come within this time.
const RUSH: Duration = Duration::from_secs(10);
/// Breaches beyond these are only counted.
const BREACHES_SHOWN: usize = 10;

/// A crowd that is ready to come.
#[derive(Debug)]
pub struct RehearsalCrowd {
    /// The server: of this machine.
    pub address: SocketAddr,
    /// The secret of an operator's session.
    pub operator_session: String,
    pub concert_id: i64,
    pub buyers: Vec<RehearsedBuyer>,
    /// Within this time all come, most of them at its beginning; they rush if it is shorter than a few seconds.
    pub arrive_within: Duration,
    /// How long a visit takes on average, from the turn to the payment.
    pub visit: Duration,
    /// The share that gives up in line.
    pub give_up: f64,
    /// How many seats a buyer wants.
    pub seats_each: RangeInclusive<usize>,
    /// The end, whatever has happened by then.
    pub lasts: Duration,
    /// A token that becomes dormant sooner than this after a sign of life is a breach.
    pub dormant_after: Duration,
}

/// A buyer with an account and a session.
#[derive(Debug, Clone)]
pub struct RehearsedBuyer {
    pub user_id: String,
    /// The session's secret.
    pub session: String,
    /// Points, in won: one top-up, the first entry of the history.
    pub balance: i64,
}

/// What a crowd measured.
#[derive(Debug, Clone, Default)]
pub struct CrowdFigures {
    /// How long it lasted, in microseconds.
    pub took: u64,
    /// How many buyers came.
    pub came: u64,
    /// How many of them bought seats.
    pub bought: u64,
    /// Microseconds from the beginning until no seat was free or held; none if that never was.
    pub sold_out_after: Option<u64>,
    /// Seats at the end.
    pub available: u64,
    pub held: u64,
    pub sold: u64,
    /// How long those who got a turn had waited for it, in microseconds.
    pub waits: Quantiles,
    /// Latencies of all requests from the moment they were meant to be sent, in microseconds.
    pub latency: Quantiles,
    /// Requests without a definite answer, and answers of the kind 5xx.
    pub errors: u64,
    /// One for each second.
    pub seconds: Vec<CrowdSecond>,
    /// How many promises were broken.
    pub breaches: u64,
    /// The first of them.
    pub breaches_shown: Vec<String>,
}

/// The spread of a measured time, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// How many were measured.
    pub count: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub longest: u64,
}

impl Quantiles {
    fn of(histogram: &Histogram<u64>) -> Self {
        let [p50, p90, p99] = report::quantiles(histogram);
        Self { count: histogram.len(), p50, p90, p99, longest: histogram.max() }
    }
}

/// One second of a rehearsal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CrowdSecond {
    pub requests: u64,
    /// Buyers whose turn began.
    pub admitted: u64,
    /// Seats that were paid.
    pub sold: u64,
    /// Tokens that wait, at the end of the second.
    pub waiting: i64,
    /// Tokens that are active, at the end of the second.
    pub active: i64,
}

/// Lets a crowd come now and measures the sale until it is over or `stop` is there. Then its books are audited.
///
/// # Errors
/// The server does not answer, or its books cannot be read.
pub async fn rehearse(
    crowd: RehearsalCrowd,
    onlooker: Onlooker,
    stop: impl Future<Output = ()>,
) -> Result<CrowdFigures> {
    let options = options(&crowd)?;
    let target = crowd::target(&options).await?;
    let (mono, run) = (Mono::start(), crowd::run_number());
    let desk = crowd::desk(&options, target.clone(), mono, run, SETTING_UP_MAX);
    let operator = SignedInClient::new(&desk, Some(crowd.operator_session.clone()));
    let concert: crate::api::Concert = operator.get(&format!("/concerts/{}", crowd.concert_id)).await?;
    let room = operator.room(concert.room_id).await?;
    let before = setup::newest(&operator).await?;
    let logins = crowd.buyers.into_iter().map(login).collect();
    let ready = Ready { concert, room, operator: crowd.operator_session, logins, before, rooms_set: 0 };
    let (history, after) = (History::default(), AfterSale::BuyersAlone);
    let prepared = PreparedSale { options, target, mono, run, ready, history, after };
    let result = crowd::play(prepared, stop, Some(onlooker)).await?;
    Ok(figures(&result))
}

/// The options of a sale, with the defaults of the command line for the rest.
fn options(crowd: &RehearsalCrowd) -> Result<SaleOptions> {
    let defaults = RushCli::try_parse_from(["frontrow-rush"]).context("the defaults are wrong")?.sale;
    let mut server = defaults.server.clone();
    server.url = format!("http://{}", crowd.address);
    let count = |number: u128| u32::try_from(number).unwrap_or(u32::MAX);
    Ok(SaleOptions {
        server,
        buyers: u32::try_from(crowd.buyers.len())?,
        arrivals: Arrivals::Spike(crowd.arrive_within.max(RUSH).as_secs_f64()),
        duration: count(crowd.lasts.as_secs().into()),
        sold_out: true,
        abandon: crowd.give_up,
        seats_each: crowd.seats_each.clone(),
        // A visit has two pauses: before the choice of seats and before the payment.
        think: count(crowd.visit.as_millis() / 2),
        points: 0,
        top_up_by: TopUpBy::Operator,
        signed_in: true,
        dormant_after: count(crowd.dormant_after.as_secs().into()),
        ..defaults
    })
}

fn login(buyer: RehearsedBuyer) -> Login {
    let RehearsedBuyer { user_id, session, balance } = buyer;
    Login { email: String::new(), password: String::new(), user_id, session: Some(session), before: (1, balance) }
}

fn figures(result: &CrowdResult) -> CrowdFigures {
    let measured = &result.measured;
    let is_sold_out = |sample: &&Sample| sample.seats.available + sample.seats.held == 0 && sample.seats.sold > 0;
    let mut latency = histogram();
    for call in measured.calls.values() {
        // All have the same bounds.
        let _ = latency.add(&call.response);
    }
    let is_error = |what: &str| what.starts_with('5') || !what.starts_with(|first: char| first.is_ascii_digit());
    let errors = measured.refusals.iter().filter(|(what, _)| is_error(what)).map(|(_, count)| count).sum();
    let breaches = &result.verdict.breaches;
    CrowdFigures {
        took: micros(result.took),
        came: result.came,
        bought: result.endings.get(&VisitEnding::Bought).copied().unwrap_or(0),
        sold_out_after: measured.samples.iter().find(is_sold_out).map(|sample| sample.at),
        available: result.seats.available,
        held: result.seats.held,
        sold: result.seats.sold,
        waits: measured.in_line.as_ref().map(Quantiles::of).unwrap_or_default(),
        latency: Quantiles::of(&latency),
        errors,
        seconds: seconds(&measured.seconds, &measured.samples),
        breaches: u64::try_from(breaches.len()).unwrap_or(u64::MAX),
        breaches_shown: breaches.iter().take(BREACHES_SHOWN).map(|breach| breach.what.clone()).collect(),
    }
}

/// What was counted in each second, with the last look at the room in it.
fn seconds(counted: &[Second], samples: &[Sample]) -> Vec<CrowdSecond> {
    let mut samples = samples.iter().peekable();
    let mut last = Sample::default();
    let one = |(at, second): (u64, &Second)| {
        while let Some(sample) = samples.next_if(|sample| sample.at / 1_000_000 <= at) {
            last = *sample;
        }
        CrowdSecond {
            requests: second.requests,
            admitted: second.admitted,
            sold: second.sold,
            waiting: last.waiting,
            active: last.active,
        }
    };
    (0..).zip(counted).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd() -> RehearsalCrowd {
        RehearsalCrowd {
            address: "127.0.0.1:8080".parse().unwrap(),
            operator_session: "secret".to_owned(),
            concert_id: 7,
            buyers: vec![RehearsedBuyer { user_id: "u".to_owned(), session: "s".to_owned(), balance: 5 }],
            arrive_within: Duration::ZERO,
            visit: Duration::from_secs(90),
            give_up: 0.1,
            seats_each: 1..=2,
            lasts: Duration::from_mins(5),
            dormant_after: Duration::from_secs(90),
        }
    }

    #[test]
    fn a_crowd_is_a_sale_on_this_machine_with_pauses_of_half_a_visit() {
        let options = options(&crowd()).unwrap();
        assert_eq!(options.server.url, "http://127.0.0.1:8080");
        assert!(!options.server.i_own_this_server);
        assert_eq!((options.think, options.duration, options.buyers), (45_000, 300, 1));
        assert_eq!(options.arrivals, Arrivals::Spike(10.0));
        let slowly = RehearsalCrowd { arrive_within: Duration::from_mins(3), ..crowd() };
        assert_eq!(super::options(&slowly).unwrap().arrivals, Arrivals::Spike(180.0));
    }

    #[test]
    fn a_second_has_the_last_look_at_the_room_in_it() {
        let counted = [1, 2, 3].map(|requests| Second { requests, ..Second::default() });
        let look = |at, waiting| Sample { at, waiting, ..Sample::default() };
        let looks = [look(100_000, 5), look(600_000, 7), look(2_100_000, 4)];
        let found: Vec<_> = seconds(&counted, &looks).iter().map(|second| (second.requests, second.waiting)).collect();
        assert_eq!(found, [(1, 7), (2, 7), (3, 4)]);
    }
}
