//! The cost of a line in Redis: memory a waiter, work a token, bytes of a frame, and how soon another instance knows.

use crate::http::cpu;
use anyhow::{Context as _, Result, ensure};
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    changes::Changes,
    id::{Position, RoomId, TokenId, UserId},
    line::Token,
    policy::Policy,
};
use frontrow_line::{
    Peers as _, Rebuild,
    redis::{RedisPeers, RedisSettings},
};
use frontrow_storage::{Store, memory::MemoryStore};
use frontrow_testkit::servers::redis::RedisServer;
use redis::{FromRedisValue, aio::MultiplexedConnection};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use uuid::Uuid;

/// The most that the engine decides at once.
const BATCH: i64 = 500;
/// How long the other instance may take until it knows everything.
const PATIENCE: Duration = Duration::from_mins(1);

/// Prints a line for each length.
///
/// # Errors
/// Redis is gone.
pub(crate) async fn run() -> Result<()> {
    for waiting in [1_000, 100_000, 1_000_000] {
        measure(waiting).await?;
    }
    Ok(())
}

async fn measure(waiting: i64) -> Result<()> {
    let redis = RedisServer::start();
    let mut asked = redis::Client::open(redis.url())?.get_multiplexed_async_connection().await?;
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Clock::System, Policy::default(), 0));
    let office = Uuid::from_u128(7);
    let (first, _first_notices) = instance(&redis, &store, office, 1).await?;
    let (other, _other_notices) = instance(&redis, &store, office, 2).await?;
    for queue in [&first, &other] {
        // Both begin with an empty line: what the other learns it learns from the frames.
        queue.rebuild(store.line(RoomId::HOUSE).await?.context("no house room")?, Rebuild::Replace).await;
    }
    let batches = joins(waiting);
    let (used, busy) = (info(&mut asked, "used_memory:").await?, cpu(&mut asked).await?);
    let started = Instant::now();
    for changes in &batches {
        first.publish(changes);
        // As an engine would: it does not publish faster than it commits.
        tokio::task::yield_now().await;
        while other_is_behind(&other, changes, 64 * BATCH) {
            tokio::time::sleep(Duration::from_micros(200)).await;
            ensure!(started.elapsed() < PATIENCE, "the other instance does not follow");
        }
    }
    while waits(&other) < waiting {
        tokio::time::sleep(Duration::from_micros(200)).await;
        ensure!(started.elapsed() < PATIENCE, "the other instance does not follow");
    }
    let took = started.elapsed();
    // Data still on its way to Redis beside the frames.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (used, busy) = (info(&mut asked, "used_memory:").await? - used, cpu(&mut asked).await? - busy);
    let stream: String = named(&mut asked, "*events*").await?;
    let frames: i64 = ask(&mut asked, &["XLEN", &stream]).await?;
    let stream_memory: i64 = ask(&mut asked, &["MEMORY", "USAGE", &stream, "SAMPLES", "0"]).await?;
    let bytes = payload(&mut asked, &stream).await?;
    let usual = usual_memory(&mut asked, waiting).await?;
    let each = |total: i64, count: i64| total / count.max(1);
    println!(
        "{waiting:>9} waiting: {:>4} B of Redis a waiter beside {:.1} MB of frames (a sorted set: {usual} B); {:.2} us of \
         Redis a token; {frames} frames of {} B ({:.2} B a token); published in {:.2} s, {:.1} us a token",
        each(used - stream_memory, waiting),
        float(stream_memory) / 1e6,
        busy * 1e6 / float(waiting),
        each(bytes, frames),
        float(bytes) / float(waiting),
        took.as_secs_f64(),
        took.as_secs_f64() * 1e6 / float(waiting),
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a number for people to read")]
fn float(number: i64) -> f64 {
    number as f64
}

fn waits(queue: &RedisPeers) -> i64 {
    queue.lines().view(RoomId::HOUSE).map_or(0, |view| view.total_waiting())
}

fn other_is_behind(other: &RedisPeers, changes: &Changes, by: i64) -> bool {
    let last = changes.tokens.inserted.last().map_or(0, |token| token.id.position.0);
    waits(other) + by < last
}

async fn instance(
    redis: &RedisServer,
    store: &Arc<dyn Store>,
    office: Uuid,
    number: u128,
) -> Result<(Arc<RedisPeers>, mpsc::Receiver<frontrow_line::redis::Notice>)> {
    let (notices, received) = mpsc::channel(1_024);
    // The store has none of these rows, so no refresh from the rows may heal what was lost.
    let settings = RedisSettings { refresh_every: PATIENCE * 60, ..RedisSettings::new(vec![redis.url()]) };
    let queue =
        RedisPeers::start(settings, Arc::clone(store), office, Uuid::from_u128(number), Clock::System, notices).await?;
    Ok((queue, received))
}

/// The changes of the batches by which so many users join the line.
fn joins(waiting: i64) -> Vec<Changes> {
    let ids = Ids::from_seed(1);
    let mut batches = Vec::new();
    for first in (1..=waiting).step_by(usize::try_from(BATCH).unwrap_or(1)) {
        let now = Clock::System.now();
        let token = |position| {
            let id = TokenId { room_id: RoomId::HOUSE, position: Position(position) };
            Token::issued(id, UserId(ids.uuid(now)), now)
        };
        let mut changes = Changes { now, ..Changes::default() };
        changes.tokens.inserted = (first..(first + BATCH).min(waiting + 1)).map(token).collect();
        batches.push(changes);
    }
    batches
}

async fn ask<T: FromRedisValue>(connection: &mut MultiplexedConnection, words: &[&str]) -> Result<T> {
    let (name, rest) = words.split_first().context("no command")?;
    Ok(redis::cmd(name).arg(rest).query_async(connection).await?)
}

async fn info(connection: &mut MultiplexedConnection, name: &str) -> Result<i64> {
    let text: String = ask(connection, &["INFO", "memory"]).await?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)).context("INFO does not say")?;
    Ok(value.trim().parse()?)
}

async fn named(connection: &mut MultiplexedConnection, pattern: &str) -> Result<String> {
    let found: Vec<String> = ask(connection, &["KEYS", pattern]).await?;
    found.into_iter().next().context("no such key")
}

/// A name and a value of an entry.
type Field = (Vec<u8>, Vec<u8>);

/// How many bytes the frames carry.
async fn payload(connection: &mut MultiplexedConnection, stream: &str) -> Result<i64> {
    let entries: Vec<(String, Vec<Field>)> = ask(connection, &["XRANGE", stream, "-", "+"]).await?;
    let bytes =
        entries.iter().flat_map(|(_, fields)| fields).map(|(name, value)| name.len() + value.len()).sum::<usize>();
    Ok(i64::try_from(bytes)?)
}

/// The memory of a waiting token in the baseline's sorted set.
async fn usual_memory(connection: &mut MultiplexedConnection, waiting: i64) -> Result<i64> {
    let places: Vec<i64> = (1..=waiting).collect();
    for part in places.chunks(1_000) {
        let mut add = redis::cmd("ZADD");
        add.arg("usual:line");
        for place in part {
            add.arg(*place).arg(*place);
        }
        add.query_async::<()>(connection).await?;
    }
    let used: i64 = ask(connection, &["MEMORY", "USAGE", "usual:line", "SAMPLES", "0"]).await?;
    Ok(used / waiting)
}
