//! Ten thousand buyers, each on a connection of their own, ask for one of the same fifty seats at once.

use crate::{
    http::{self, Buyer},
    serving::{Serving, Side},
};
use anyhow::{Result, ensure};
use frontrow_testkit::{
    bench::{
        load::LoadConnection,
        median,
        office::{Plan, Postgres},
        spread,
    },
    servers::redis::RedisServer,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout},
};

const BUYERS: i64 = 10_000;
const SEATS: usize = 50;
const PLAN: Plan = Plan { concerts: 1, buyers: BUYERS, seats: 50 };
const ROUNDS: usize = 5;
/// Longer than any server here lets a request take.
const ANSWER_MAX: Duration = Duration::from_mins(1);

/// How a crowd is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Served {
    /// By us, each request with an idempotency key: its refusal is kept.
    Keyed,
    /// By us, without keys: who asks for a seat that was just seen taken is refused from memory.
    Keyless,
    /// The usual way, with keys.
    Usual,
}

impl Served {
    const ALL: [Self; 3] = [Self::Keyed, Self::Keyless, Self::Usual];

    const fn side(self) -> Side {
        match self {
            Self::Keyed | Self::Keyless => Side::Ours,
            Self::Usual => Side::Usual,
        }
    }
}

/// The milestones of a crowd, in milliseconds from the start.
struct CrowdTimes {
    /// When the last seat was held.
    sold_out: f64,
    /// When all but one in a hundred had their answer.
    p99: f64,
    /// When all had an answer.
    all: f64,
    /// Answers that were neither a hold nor a refusal.
    troubled: usize,
}

/// Each way in turn.
///
/// # Errors
/// A server is gone, or a seat was held twice.
pub(crate) async fn run(connections: usize) -> Result<()> {
    let (server, redis) = (Postgres::start(env!("CARGO_TARGET_TMPDIR"), None, &[])?, RedisServer::start());
    let keyring = http::prepare(&server, PLAN, 1).await?;
    let buyers = http::buyers(&keyring, PLAN);
    let mut all: [Vec<CrowdTimes>; 3] = Default::default();
    for round in 0..ROUNDS {
        for turn in 0..Served::ALL.len() {
            let index = (turn + round) % Served::ALL.len();
            let way = Served::ALL[index];
            let database = server.copy("round").await?;
            let serving = Serving::start(way.side(), &database, &redis.url(), connections)?;
            let outcome = rush(&serving, &buyers, way, u64::try_from(round)?).await?;
            eprintln!(
                "{way:?}: sold out after {:.0} ms, p99 {:.0} ms, all answered after {:.0} ms, {} answers of other kinds",
                outcome.sold_out, outcome.p99, outcome.all, outcome.troubled
            );
            all[index].push(outcome);
        }
    }
    for (name, pick) in [
        ("sold out", (|outcome| outcome.sold_out) as fn(&CrowdTimes) -> f64),
        ("p99 of the answers", |outcome| outcome.p99),
        ("all answered", |outcome| outcome.all),
    ] {
        let [keyed, keyless, usual] = all.each_ref().map(|outcomes| outcomes.iter().map(pick).collect::<Vec<f64>>());
        let of_usual = |own: &[f64]| spread(own.iter().zip(&usual).map(|(own, its)| own / its));
        println!(
            "{name:<20} ours {:>6.0} ms {}   without keys {:>6.0} ms {}   the usual way {:>6.0} ms",
            median(keyed.clone()),
            of_usual(&keyed),
            median(keyless.clone()),
            of_usual(&keyless),
            median(usual.clone()),
        );
    }
    let troubled = all.each_ref().map(|outcomes| outcomes.iter().map(|outcome| outcome.troubled).sum::<usize>());
    println!("answers of other kinds, in the same order: {troubled:?}");
    Ok(())
}

async fn rush(serving: &Serving, buyers: &Arc<Vec<Buyer>>, way: Served, round: u64) -> Result<CrowdTimes> {
    let mut rng = StdRng::seed_from_u64(round);
    let (go, went) = watch::channel(None::<Instant>);
    let mut tasks = JoinSet::new();
    for number in 0..buyers.len() {
        // The sessions are looked up before the rush, as in a sale whose buyers wait in line first.
        let mut connection = LoadConnection::open(serving.address).await?;
        let (buyers, seat, mut went) = (Arc::clone(buyers), rng.random_range(1..=SEATS), went.clone());
        tasks.spawn(async move {
            let mut request = Vec::new();
            let key = (way != Served::Keyless).then_some(number);
            http::hold_request(&mut request, &buyers[number], key, seat);
            let started = went.wait_for(Option::is_some).await?.unwrap_or_else(Instant::now);
            let status = timeout(ANSWER_MAX, connection.ask(&request)).await??;
            anyhow::Ok((status, started.elapsed()))
        });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    go.send(Some(Instant::now()))?;
    let (mut held, mut answered, mut troubled) = (Vec::new(), Vec::new(), 0);
    while let Some(answer) = tasks.join_next().await {
        let Ok((status, took)) = answer? else {
            troubled += 1;
            continue;
        };
        answered.push(took.as_secs_f64() * 1e3);
        match status {
            201 => held.push(took.as_secs_f64() * 1e3),
            409 => {}
            _ => troubled += 1,
        }
    }
    ensure!(held.len() <= SEATS, "{} seats were held of {SEATS}", held.len());
    ensure!(troubled > 0 || held.len() == SEATS, "only {} seats were held", held.len());
    held.sort_by(f64::total_cmp);
    answered.sort_by(f64::total_cmp);
    let last = |times: &[f64]| times.last().copied().unwrap_or_default();
    let p99 = answered.get(answered.len() * 99 / 100).copied().unwrap_or_default();
    Ok(CrowdTimes { sold_out: last(&held), p99, all: last(&answered), troubled })
}
