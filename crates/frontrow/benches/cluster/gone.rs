//! How long the screen of a sale takes to say that an instance, Redis or the database is gone.

use anyhow::{Result, bail, ensure};
use frontrow_clock::Clock;
use frontrow_service::house::{AttentionKind, RedisTrouble, SaleMoment, SaleWatch, SignsOfLife};
use frontrow_testkit::{
    Server,
    bench::office,
    house::graded_hall,
    servers::{postgres::PostgresServer, redis::RedisServer},
    settings,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How often each trouble is made.
const ROUNDS: u32 = 9;
/// So soon every trouble is to be shown, in seconds.
const SHOWN_WITHIN: f64 = 5.0;
/// Troubles begin at different moments of the second in which instances look at each other.
const PHASE: Duration = Duration::from_millis(111);
/// A trouble that is not shown by then never is.
const PATIENCE: Duration = Duration::from_mins(1);

/// The screens of two instances.
struct Screens([SaleWatch; 2]);

async fn until(watch: &mut SaleWatch, what: &str, is_so: impl Fn(&SaleMoment) -> bool) -> Result<()> {
    let looks = async {
        while let Some(news) = watch.next().await {
            if is_so(&news.moment) {
                return Ok(());
            }
        }
        bail!("the box office was closed before its screen said: {what}")
    };
    match tokio::time::timeout(PATIENCE, looks).await {
        Ok(found) => found,
        Err(_) => bail!("the screen never says: {what}"),
    }
}

impl Screens {
    /// Waits until both say so; how long the later one took, in seconds.
    async fn say(&mut self, what: &str, is_so: impl Fn(&SaleMoment) -> bool) -> Result<f64> {
        let (from, [one, two]) = (Instant::now(), &mut self.0);
        let both = tokio::join!(until(one, what, &is_so), until(two, what, &is_so));
        both.0.and(both.1)?;
        Ok(from.elapsed().as_secs_f64())
    }

    async fn say_nothing_of(&mut self, is_it: impl Fn(&AttentionKind) -> bool) -> Result<f64> {
        self.say("it is over", |moment| !moment.screen.attention.iter().any(|one| is_it(&one.kind))).await
    }

    async fn say_that(&mut self, what: &str, is_it: impl Fn(&AttentionKind) -> bool) -> Result<f64> {
        self.say(what, |moment| moment.screen.attention.iter().any(|one| is_it(&one.kind))).await
    }
}

const fn is_database(kind: &AttentionKind) -> bool {
    matches!(kind, AttentionKind::DatabaseAway { .. })
}

const fn is_redis(kind: &AttentionKind) -> bool {
    matches!(kind, AttentionKind::RedisAway { trouble: RedisTrouble::Unreachable, .. })
}

/// How many instances are present, and how many are silent.
fn present_and_silent(moment: &SaleMoment) -> (usize, usize) {
    let count = |signs| moment.screen.instances.iter().filter(|one| one.signs == signs).count();
    (count(SignsOfLife::Present), count(SignsOfLife::Silent))
}

fn report(what: &str, mut seconds: Vec<f64>) -> Result<()> {
    seconds.sort_by(f64::total_cmp);
    let (least, most) = (seconds.first().copied().unwrap_or(0.0), seconds.last().copied().unwrap_or(0.0));
    let half = seconds.get(seconds.len() / 2).copied().unwrap_or(0.0);
    println!("{what:<28} shown after {half:.1} s ({least:.1} to {most:.1}, {} times)", seconds.len());
    ensure!(most <= SHOWN_WITHIN, "{what} was shown after {most:.1} s, and not within {SHOWN_WITHIN} s");
    Ok(())
}

async fn instance(postgres: &PostgresServer, redis: &RedisServer) -> Result<Server> {
    let (database, redis) = (postgres.url("postgres"), redis.url());
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let config = settings(folder.path(), &[("--database-url", &database), ("--redis-url", &redis)]);
    Ok(Server::over(folder, config, Clock::System).await)
}

/// Prints a line for each trouble. Between two, everything is there again.
///
/// # Errors
/// A trouble is not shown, or too late.
pub(crate) async fn run() -> Result<()> {
    let mut postgres = PostgresServer::start_with(&office::binaries()?, "").await;
    let mut redis = RedisServer::start();
    let (one, two) = (instance(&postgres, &redis).await?, instance(&postgres, &redis).await?);
    let concert = graded_hall(&one, 2, 1).await.concert.concert_id;
    let watch = async |server: &Server| Arc::clone(&server.app().office).watch_sale(concert).await;
    let mut screens = Screens([watch(&one).await?, watch(&two).await?]);

    let mut took = Vec::new();
    for round in 0..ROUNDS {
        let third = instance(&postgres, &redis).await?;
        // It has the name of the one before, and so takes its place.
        screens.say("a new instance is there", |moment| present_and_silent(moment) == (3, 0)).await?;
        tokio::time::sleep(PHASE * round).await;
        third.kill().await;
        took.push(screens.say("an instance is silent", |moment| present_and_silent(moment) == (2, 1)).await?);
    }
    report("an instance that is killed", took)?;

    let mut took = Vec::new();
    for round in 0..ROUNDS {
        tokio::time::sleep(PHASE * round).await;
        redis.kill();
        took.push(screens.say_that("Redis is away", is_redis).await?);
        redis.restart_empty();
        screens.say_nothing_of(is_redis).await?;
    }
    report("a Redis that is gone", took)?;

    let (mut gone, mut silent) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        tokio::time::sleep(PHASE * round).await;
        postgres.stop();
        gone.push(screens.say_that("the database is away", is_database).await?);
        postgres.start_again().await;
        screens.say_nothing_of(is_database).await?;
        tokio::time::sleep(PHASE * round).await;
        postgres.pause();
        silent.push(screens.say_that("the database is silent", is_database).await?);
        postgres.resume();
        screens.say_nothing_of(is_database).await?;
    }
    report("a PostgreSQL that is gone", gone)?;
    report("a PostgreSQL that is silent", silent)?;
    one.stop().await;
    two.stop().await;
    Ok(())
}
