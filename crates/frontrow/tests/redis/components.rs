//! The parts of the Redis queue against real servers.

mod figures;
mod heartbeats;
mod holds;
mod leaders;
mod lease;
mod limits;
mod places;
mod promoted;
mod records;
mod tokens;

use frontrow_clock::Clock;
use frontrow_domain::{
    id::{Position, RoomId, TokenId, UserId},
    time::Time,
};
use frontrow_line::{
    Peers as _, Rebuild,
    redis::{
        RedisPeers, RedisSettings,
        client::{ClientSettings, RedisClient},
        keys::RedisKeys,
    },
};
use frontrow_storage::Store;
use frontrow_testkit::{eventually, servers::redis::RedisServer};
use std::sync::Arc;
use uuid::Uuid;

const START: Time = Time::from_micros(1_900_000_000_000_000);
const HOUSE: RoomId = RoomId::HOUSE;

/// A server of the test's own, and two instances' ways to it.
struct Pair {
    server: RedisServer,
    one: RedisClient,
    other: RedisClient,
}

impl Pair {
    async fn start() -> Self {
        let server = RedisServer::start();
        let urls = vec![server.url()];
        Self { one: link(urls.clone()).await, other: link(urls).await, server }
    }

    /// How often this command was called, as the server counts it.
    fn calls(&self, command: &str) -> u64 {
        let text: String = self.server.ask(&["INFO", "commandstats"]);
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
    }
}

async fn link(urls: Vec<String>) -> RedisClient {
    let link = RedisClient::open(ClientSettings::new(urls)).await.unwrap();
    assert!(link.is_up(), "{link:?}");
    link
}

fn keys() -> RedisKeys {
    RedisKeys::new(Uuid::from_u128(0xf00d))
}

fn instance(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn user(number: i64) -> UserId {
    UserId(Uuid::from_u128(number.unsigned_abs().into()))
}

fn at(position: i64) -> TokenId {
    TokenId { room_id: HOUSE, position: Position(position) }
}

/// An instance over this store, with the house room loaded.
async fn peers_over(store: &Arc<dyn Store>, settings: &RedisSettings, clock: &Clock, number: u128) -> Arc<RedisPeers> {
    let notices = tokio::sync::mpsc::channel(1).0;
    let (office, own) = (instance(9), instance(number));
    let queue =
        RedisPeers::start(settings.clone(), Arc::clone(store), office, own, clock.clone(), notices).await.unwrap();
    queue.rebuild(store.line(HOUSE).await.unwrap().unwrap(), Rebuild::IfMissing).await;
    queue
}
