//! The cost of a box office with many rooms: at the start and while nothing happens with thousands of finished ones,
//! and how long a turn takes in an empty room beside hundreds in which somebody waits for a rate.

use crate::serving::{Serving, Side};
use anyhow::{Context as _, Result, bail};
use frontrow::{app, config::Cli};
use frontrow_clock::{Clock, Ids};
use frontrow_domain::{
    command::{Command, Request},
    id::{RoomId, UserId},
    line::TokenStatus,
    user::{Caller, NewUser, Role},
};
use frontrow_service::{testing, workers};
use frontrow_testkit::{
    bench::{
        median,
        office::{self, Postgres},
    },
    servers::redis::RedisServer,
};
use redis::aio::MultiplexedConnection;
use std::{
    ffi::OsString,
    time::{Duration, Instant},
};
use tokio::sync::watch;
use tokio_postgres::Client;

/// How long is counted while nothing happens.
const IDLE: Duration = Duration::from_secs(20);
/// How many turns are timed.
const TURNS: u128 = 50;
/// A turn that takes longer never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Prints a line for each number of rooms.
///
/// # Errors
/// A server is gone.
pub(crate) async fn run() -> Result<()> {
    for rooms in [0, 5_000] {
        idle(rooms).await?;
    }
    for rooms in [0, 400] {
        turns(rooms).await?;
    }
    Ok(())
}

struct Servers {
    postgres: Postgres,
    redis: RedisServer,
    client: Client,
}

impl Servers {
    /// A box office with a house room and so many own rooms of concerts whose sales are over.
    async fn start(rooms: u32) -> Result<Self> {
        let (postgres, redis) = (Postgres::start(env!("CARGO_TARGET_TMPDIR"), None, &[])?, RedisServer::start());
        postgres.execute("postgres", &["CREATE DATABASE rooms"]).await?;
        let url = postgres.url("rooms");
        drop(Serving::start(Side::Ours, &url, &redis.url(), 0)?);
        let client = office::connect(&url).await?;
        client
            .batch_execute(&format!(
                "WITH ids AS MATERIALIZED (SELECT nextval('concert_ids') AS id FROM generate_series(1, {rooms})),
                 rooms AS (
                     INSERT INTO room (room_id, max_active, gate, cursor, epoch, no_show_ppm, credit_ppm, credit_at,
                         fence, opens_at, closes_at, updated_at)
                     SELECT id, 10, 'open', 0, 1, 0, 0, 0, 0, 1577000000000000, 1577880000000000, 0 FROM ids)
                 INSERT INTO room_cap SELECT id, 10, 0 FROM ids"
            ))
            .await?;
        Ok(Self { postgres, redis, client })
    }

    async fn asked(&self) -> Result<MultiplexedConnection> {
        Ok(redis::Client::open(self.redis.url())?.get_multiplexed_async_connection().await?)
    }

    /// Commands of Redis and transactions of the database so far.
    async fn counts(&self, asked: &mut MultiplexedConnection) -> Result<(i64, i64)> {
        let text: String = redis::cmd("INFO").arg("stats").query_async(asked).await?;
        let value = text.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
        let commands = value.context("INFO does not say")?.trim().parse()?;
        let sql = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'rooms'";
        Ok((commands, self.client.query_one(sql, &[]).await?.get(0)))
    }
}

async fn idle(rooms: u32) -> Result<()> {
    let servers = Servers::start(rooms).await?;
    let url = servers.postgres.url("rooms");
    let started = Instant::now();
    let one = Serving::start(Side::Ours, &url, &servers.redis.url(), 0)?;
    let took = started.elapsed();
    let other = Serving::start(Side::Ours, &url, &servers.redis.url(), 0)?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let mut asked = servers.asked().await?;
    let before = servers.counts(&mut asked).await?;
    tokio::time::sleep(IDLE).await;
    let after = servers.counts(&mut asked).await?;
    let seconds = i64::try_from(IDLE.as_secs())?;
    println!(
        "{rooms:>5} finished rooms: ready in {took:.2?}; two idle instances: {} commands/s of Redis, {} transactions/s",
        (after.0 - before.0) / seconds,
        (after.1 - before.1) / seconds,
    );
    drop((one, other));
    Ok(())
}

/// A token waits in each of these rooms, whose rates have earned no turn.
async fn let_wait(client: &Client, rooms: u32) -> Result<()> {
    client
        .batch_execute(&format!(
            "INSERT INTO \"user\" VALUES ('00000000-0000-7000-8000-00000000ffff', 'Waits', 'waits@frontrow.example', '-',
                 'buyer', 0, 0);
             INSERT INTO waiting_token (room_id, position, user_id, status, issued_at)
                 SELECT room_id, 1, '00000000-0000-7000-8000-00000000ffff', 'waiting', 0 FROM room
                 WHERE room_id BETWEEN 1 AND {rooms};
             SELECT setval('room_position_' || room_id, 1) FROM room WHERE room_id BETWEEN 1 AND {rooms};
             UPDATE room SET admit_per_minute = 1, opens_at = 0, closes_at = 9000000000000000,
                 credit_at = (extract(epoch FROM now()) * 1000000)::bigint WHERE room_id > 0"
        ))
        .await?;
    Ok(())
}

async fn turns(rooms: u32) -> Result<()> {
    let servers = Servers::start(rooms).await?;
    if rooms > 0 {
        let_wait(&servers.client, rooms).await?;
    }
    let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (database, redis) = (servers.postgres.url("rooms"), servers.redis.url());
    let words = ["frontrow", "serve", "--database-url", &database, "--redis-url", &redis, "--max-active", "1000"];
    let words = words.into_iter().map(OsString::from).chain(["--data".into(), data.path().into()]);
    let Ok(cli) = Cli::load(words) else { bail!("the settings are refused") };
    let opened = app::open(&cli.config, Clock::System, Ids::from_os()).await?;
    let (stop, stopped) = watch::channel(false);
    let mut workers = workers::start(&opened.app.office, cli.config.retention(), &stopped);
    let office = &opened.app.office;
    let mut took = Vec::new();
    for number in 1..=TURNS {
        let user_id = UserId(uuid::Uuid::from_u128(number));
        let (name, email) = ("Buyer".to_owned(), format!("{number}@frontrow.example"));
        let new = NewUser { user_id, name, email, password_hash: "-".to_owned(), role: Role::Buyer };
        let register = Request { caller: Caller::System, command: Command::Register(new), idempotency: None };
        testing::run(office, register).await?;
        let started = Instant::now();
        let joined = office.issue_token(Caller::Buyer(user_id), None, None).await?;
        let position = joined.value.0.token.id.position;
        loop {
            let view = testing::lines(office).view(RoomId::HOUSE).context("no house room")?;
            if view.place(position).status() == TokenStatus::Offered {
                break;
            }
            if started.elapsed() > PATIENCE {
                bail!("no turn came");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.push(started.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(37)).await;
    }
    let longest = took.iter().copied().fold(0.0, f64::max);
    println!(
        "{rooms:>5} rooms with somebody who waits for a rate: from join to turn in the house room {:.1} ms, {longest:.1} \
         at most",
        median(took),
    );
    let _ = stop.send(true);
    while workers.join_next().await.is_some() {}
    app::close(opened).await;
    Ok(())
}
