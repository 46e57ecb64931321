//! The people of the simulation before three instances over one `PostgreSQL` and one Redis: order, cap, idle places and
//! told waits over HTTP, in real time, and how soon an instance shows what another one has committed.

use crate::{http::bearer, serving::Serving};
use anyhow::{Context as _, Result, bail, ensure};
use frontrow_rush::{FreshnessProbe, InstanceChoice, LineCrowd, LinePlan};
use frontrow_testkit::{
    bench::office::{self, Postgres},
    servers::redis::RedisServer,
};
use sha2::{Digest as _, Sha256};
use std::{net::SocketAddr, time::Duration};

const INSTANCES: usize = 3;
const DATABASE: &str = "line";
/// Users who join and leave another line, for the freshness.
const PROBES: i64 = 2;
/// Unless `--people` says otherwise: a run of some minutes.
const PEOPLE: u32 = 600;
const SECONDS_MAX: u64 = 3_600;
const PEOPLE_MAX: u32 = 20_000;

/// Prints the figures of one sale.
///
/// # Errors
/// An option is wrong, or a server is gone, or order or cap were not kept.
pub(crate) async fn run(args: &[String]) -> Result<()> {
    let plan = plan(args)?;
    let (postgres, redis) = (Postgres::start(env!("CARGO_TARGET_TMPDIR"), None, &[])?, RedisServer::start());
    postgres.execute("postgres", &[&format!("CREATE DATABASE {DATABASE}")]).await?;
    let url = postgres.url(DATABASE);
    let servings: Vec<_> = (0..INSTANCES).map(|_| Serving::of_several(&url, &redis.url())).collect::<Result<_>>()?;
    let instances: Vec<SocketAddr> = servings.iter().map(|serving| serving.address).collect();
    let people = i64::from(plan.people);
    let operator_session = accounts(&url, people + PROBES).await?;
    let sessions = |from: i64, to: i64| (from..=to).map(bearer).collect::<Vec<_>>();
    let probe = FreshnessProbe {
        instances: instances.clone(),
        operator_session: operator_session.clone(),
        sessions: sessions(people + 1, people + PROBES),
    };
    let same = plan.clone();
    let simulated = tokio::task::spawn_blocking(move || same.simulated()).await??;
    println!("in virtual time:\n{}", simulated.text());
    let crowd = LineCrowd { instances, operator_session, sessions: sessions(1, people), plan };
    let (figures, freshness) = Box::pin(probe.beside(crowd.come())).await?;
    let figures = figures?;
    println!("over HTTP:\n{}\n{}", figures.text(), freshness.text());
    ensure!(figures.is_clean(), "order or cap were not kept");
    Ok(())
}

/// Makes users with sessions, and an operator: its session is returned.
async fn accounts(url: &str, count: i64) -> Result<String> {
    let client = office::connect(url).await?;
    let numbers: Vec<i64> = (0..=count).collect();
    for part in numbers.chunks(10_000) {
        let hashes: Vec<Vec<u8>> = part.iter().map(|number| Sha256::digest(bearer(*number)).to_vec()).collect();
        let users: Vec<_> = part.iter().map(|number| office::user_id(*number).0).collect();
        let roles: Vec<_> = part.iter().map(|number| if *number == 0 { "operator" } else { "buyer" }).collect();
        client
            .execute(
                "INSERT INTO \"user\" (user_id, name, email, password_hash, role, created_at, updated_at)
                 SELECT id, 'Kim Minji', id || '@line.example', '-', role, 0, 0
                 FROM unnest($1::uuid[], $2::text[]) AS u (id, role)",
                &[&users, &roles],
            )
            .await?;
        client
            .execute(
                "INSERT INTO session (secret_hash, user_id, role, expires_at, created_at)
                 SELECT *, 9000000000000000, 0 FROM unnest($1::bytea[], $2::uuid[], $3::text[])",
                &[&hashes, &users, &roles],
            )
            .await?;
    }
    client.batch_execute("VACUUM ANALYZE").await?;
    Ok(bearer(0))
}

/// What the options after `line` say.
fn plan(args: &[String]) -> Result<LinePlan> {
    let mut people = PEOPLE;
    let mut words = args.iter().filter(|arg| *arg != "line");
    let mut given = Vec::new();
    while let Some(name) = words.next() {
        let value = words.next().with_context(|| format!("{name} needs a value"))?;
        if name == "--people" {
            people = value.parse().ok().filter(|people| (1..=PEOPLE_MAX).contains(people)).context("--people")?;
        } else {
            given.push((name.as_str(), value.as_str()));
        }
    }
    let mut plan = LinePlan::of(people);
    for (name, value) in given {
        let seconds = || {
            let seconds = value.parse().ok().filter(|seconds| (1..=SECONDS_MAX).contains(seconds));
            Ok::<_, anyhow::Error>(Duration::from_secs(seconds.with_context(|| name.to_owned())?))
        };
        match name {
            "--choice" => {
                plan.choice = match value {
                    "any" => InstanceChoice::Any,
                    "sticky" => InstanceChoice::Sticky,
                    _ => bail!("--choice is any or sticky"),
                };
            }
            "--max-active" => plan.max_active = value.parse()?,
            "--rate" => plan.admit_per_minute = Some(value.parse()?),
            "--visit" => plan.visit = seconds()?,
            "--spread" => plan.spread = seconds()?,
            "--seconds" => plan.lasts = seconds()?,
            "--seed" => plan.seed = value.parse()?,
            _ => bail!(
                "{name}: line takes --people, --choice, --max-active, --rate, --visit, --spread, --seconds, --seed"
            ),
        }
    }
    Ok(plan)
}
