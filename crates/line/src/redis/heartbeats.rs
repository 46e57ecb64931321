//! Exchanges heartbeats. A client polls a different instance each time, so the heartbeats at one instance say little
//! about which tokens are unresponsive. Near the head of each line, where that decides, every instance appends the
//! positions that it saw to one stream, and reads those that the others saw together with their events. A heartbeat
//! counts as of the moment when it is read: no two clocks are compared.
//!
//! Every instance reads, not just the leader, so that one that takes over knows which tokens are responsive.

use super::{
    client::{RedisClient, RedisHandle},
    keys::RedisKeys,
    lease::Leases,
    positions::{POSITIONS_MAX, Positions},
};
use crate::{
    lines::{Lines, PUBLISHED_WITHIN, Sighting},
    lock::lock,
};
use frontrow_clock::Clock;
use frontrow_domain::{id::RoomId, time::Time};
use redis::RedisResult;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// How many positions beyond the cursor are exchanged: a token that polls as it was asked to is among them before its
/// turn comes, even if 3,600 turns are offered in a second.
const NEAR_HEAD: i64 = 131_072;
/// How often instances exchange heartbeats.
const EXCHANGE_EVERY: Duration = Duration::from_secs(2);
/// An exchange this long ago does not tell which tokens are unresponsive now.
const EXCHANGE_TTL: Duration = Duration::from_secs(8);
/// About how many publications the stream keeps for readers that are behind.
const STREAM_LEN: usize = 1_024;
/// The format of a publication.
const VERSION: u8 = 1;

/// The key of the stream of heartbeats.
pub(super) fn stream(keys: &RedisKeys) -> String {
    keys.installation_part("heartbeats")
}

/// The heartbeats that an instance publishes at once.
#[derive(Serialize, Deserialize)]
struct Publication {
    version: u8,
    instance: Uuid,
    rooms: Vec<(i64, Positions)>,
}

/// How far the exchange of heartbeats has come.
#[derive(Debug)]
pub(super) struct Heartbeats {
    instance: Uuid,
    /// No token is called unresponsive before the other instances had this long to publish their heartbeats.
    warm_up: Duration,
    /// For each room, since when the exchange has worked without a break, and when it last did.
    exchanged: Mutex<HashMap<RoomId, Exchanged>>,
    /// When the stream was last read to its end.
    read: Mutex<Option<Instant>>,
}

#[derive(Debug, Clone, Copy)]
struct Exchanged {
    began: Instant,
    last: Instant,
}

impl Heartbeats {
    /// No exchange yet.
    pub(super) fn new(instance: Uuid, warm_up: Duration) -> Self {
        Self { instance, warm_up, exchanged: Mutex::default(), read: Mutex::default() }
    }

    /// Whether enough is known of `room` to call a token unresponsive: the exchange has worked for a while, so that the
    /// others had time to publish.
    pub(super) fn can_judge(&self, room: RoomId) -> bool {
        let exchanged = lock(&self.exchanged).get(&room).copied();
        exchanged.is_some_and(|exchanged| {
            exchanged.last.duration_since(exchanged.began) >= self.warm_up && exchanged.last.elapsed() <= EXCHANGE_TTL
        }) && lock(&self.read).is_some_and(|read| read.elapsed() <= EXCHANGE_TTL)
    }

    /// Begins the exchange anew: heartbeats of others may be missing.
    pub(super) fn forget(&self) {
        lock(&self.exchanged).clear();
    }

    /// Notes that the stream was read to its end.
    pub(super) fn note_read(&self) {
        *lock(&self.read) = Some(Instant::now());
    }

    /// Records the heartbeats of another instance at `now`, this instance's time.
    pub(super) fn receive(&self, publication: &[u8], lines: &Lines, now: Time) {
        let Ok(Publication { version: VERSION, instance, rooms }) = postcard::from_bytes(publication) else {
            tracing::debug!("another version of the program publishes heartbeats that this one cannot read");
            return self.forget();
        };
        if instance == self.instance {
            return;
        }
        let mut budget = POSITIONS_MAX;
        for (room, positions) in rooms {
            let positions = positions.read(&mut budget).into_iter().flatten();
            lines.record_remote_heartbeats(RoomId::new(room), positions, now);
        }
    }

    /// Publishes this instance's heartbeats in these rooms since the last time, in one call; in none if there are none.
    /// Those of rooms that do not fit in one publication are published with the next one.
    async fn publish(
        &self,
        handle: &mut RedisHandle,
        keys: &RedisKeys,
        lines: &Lines,
        rooms: impl Iterator<Item = RoomId>,
        now: Time,
    ) -> RedisResult<()> {
        let since = now.minus(PUBLISHED_WITHIN);
        let found = rooms.map(|room| (room, lines.unpublished_heartbeats(room, NEAR_HEAD, since)));
        let mut budget = usize::try_from(POSITIONS_MAX).unwrap_or(usize::MAX);
        let fits = |(_, seen): &(RoomId, Vec<Sighting>)| match budget.checked_sub(seen.len()) {
            Some(rest) => {
                budget = rest;
                !seen.is_empty()
            }
            None => false,
        };
        let found: Vec<_> = found.filter(fits).collect();
        if found.is_empty() {
            return Ok(());
        }
        let positions = |seen: &[Sighting]| Positions::of(seen.iter().map(|seen| seen.position));
        let rooms = found.iter().map(|(room, seen)| (room.get(), positions(seen)));
        let publication = Publication { version: VERSION, instance: self.instance, rooms: rooms.collect() };
        let publication = postcard::to_allocvec(&publication).unwrap_or_default();
        let mut add = redis::cmd("XADD");
        add.arg(stream(keys)).arg("MAXLEN").arg("~").arg(STREAM_LEN).arg("*").arg("f").arg(publication);
        add.query_async::<()>(handle).await?;
        for (room, seen) in &found {
            lines.mark_published(*room, seen);
        }
        Ok(())
    }

    /// Notes that an exchange worked in these rooms, ascending, in which every instance exchanges heartbeats; in no other
    /// one.
    fn note_exchange(&self, rooms: &[RoomId]) {
        let now = Instant::now();
        let mut exchanged = lock(&self.exchanged);
        exchanged.retain(|room, _| rooms.binary_search(room).is_ok());
        for room in rooms {
            exchanged.entry(*room).or_insert(Exchanged { began: now, last: now }).last = now;
        }
    }
}

/// The task that exchanges heartbeats.
pub(super) struct ExchangeTask {
    pub(super) lines: Arc<Lines>,
    pub(super) heartbeats: Arc<Heartbeats>,
    pub(super) leases: Arc<Leases>,
    pub(super) client: Arc<RedisClient>,
    pub(super) keys: RedisKeys,
    pub(super) clock: Clock,
    /// How often heartbeats are published for a room that needs no leader.
    pub(super) at_rest_every: Duration,
}

impl ExchangeTask {
    pub(super) async fn run(self) {
        let rounds = self.at_rest_every.as_millis() / EXCHANGE_EVERY.as_millis();
        let rounds = i64::try_from(rounds).unwrap_or(i64::MAX).max(1);
        for number in (0..rounds).cycle() {
            tokio::time::sleep(EXCHANGE_EVERY).await;
            self.exchange(|room| room.get().wrapping_add(number).rem_euclid(rounds) == 0).await;
        }
    }

    /// One exchange for all busy rooms. In one that needs no leader no token is made dormant, but its sale may go on:
    /// its heartbeats are published when it `is_due`, which is seldom.
    async fn exchange(&self, is_due: impl Fn(RoomId) -> bool) {
        let now = self.clock.now();
        let busy = self.lines.busy_rooms().into_iter().filter(|room| self.lines.view(*room).is_some());
        let needs_leader = |room: &RoomId| self.lines.view(*room).is_some_and(|view| view.needs_leader(now));
        let (moving, resting): (Vec<_>, Vec<_>) = busy.partition(needs_leader);
        self.leases.keep_only(&moving);
        let rooms = moving.iter().copied().chain(resting.into_iter().filter(|room| is_due(*room)));
        if !self.client.is_up() {
            return self.heartbeats.forget();
        }
        match self.heartbeats.publish(&mut self.client.handle(), &self.keys, &self.lines, rooms, now).await {
            Ok(()) => self.heartbeats.note_exchange(&moving),
            Err(error) => {
                tracing::debug!(%error, "heartbeats cannot be exchanged");
                self.heartbeats.forget();
            }
        }
    }
}
