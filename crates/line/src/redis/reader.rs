//! Reads the events of other instances: a blocking read of the stream over a connection of its own. If events were
//! missed, the lines are rebuilt.

use super::{
    Follower, Notice,
    client::{Blocking, Reach, RedisClient},
    events::{self, BatchChanges, Body, CacheValidity, Event, Gap},
    publisher::stream,
};
use crate::{
    peers::PeersError,
    replicas::{Applied, Source},
    view::deltas,
};
use redis::streams::{StreamId, StreamRangeReply, StreamReadReply};
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// How long a read waits for an event. Each answer confirms the views, so it is well below what makes them stale.
const BLOCK_MS: u64 = 200;
const BLOCK: Duration = Duration::from_millis(BLOCK_MS);
/// Events in one read at most.
const READ_MAX: usize = 256;
/// How often all lines are rebuilt while another version publishes events that this one cannot read.
const UNREAD_EVERY: Duration = Duration::from_secs(5);
/// Pause after a failure.
const RETRY: Duration = Duration::from_millis(100);

/// A request that the reader skip to the present end of the stream; answered when it has.
pub(super) type FromEnd = oneshot::Sender<()>;

/// The reading side of an instance.
pub(super) struct Reader {
    pub(super) follower: Arc<Follower>,
    pub(super) client: Arc<RedisClient>,
    /// The last entry that was read; none before the stream's end was asked for.
    pub(super) last: Option<String>,
    pub(super) numbers: HashMap<Uuid, u64>,
    /// Events could not be read since the last rebuild for that reason.
    pub(super) has_unread: bool,
    pub(super) rebuilt_for_unread: Option<Instant>,
}

impl Reader {
    /// Skips to the stream's end, before any line is loaded.
    pub(super) async fn begin(&mut self) -> Result<(), PeersError> {
        let mut connection = self.client.blocking(BLOCK).await?;
        let key = stream(&self.follower.keys);
        self.skip_to_end(&mut connection, &key).await
    }

    pub(super) async fn run(mut self, mut wishes: mpsc::Receiver<FromEnd>) {
        let mut reach = self.client.reach();
        loop {
            if reach.wait_for(|reach| matches!(reach, Reach::Up(_))).await.is_err() {
                return;
            }
            if let Ok(connection) = self.client.blocking(BLOCK).await
                && let Err(error) = self.read(connection, &mut wishes).await
            {
                tracing::debug!(%error, "the event stream cannot be read");
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Reads until the connection is lost, or no longer the one in use.
    async fn read(&mut self, mut connection: Blocking, wishes: &mut mpsc::Receiver<FromEnd>) -> Result<(), PeersError> {
        let key = stream(&self.follower.keys);
        match self.last.clone() {
            None => self.skip_to_end(&mut connection, &key).await?,
            Some(last) => {
                let first: StreamRangeReply =
                    connection.run(redis::cmd("XRANGE").arg(&key).arg("-").arg("+").arg("COUNT").arg(1)).await?;
                if first.ids.first().is_some_and(|first| is_after(&first.id, &last)) && last != BEGINNING {
                    tracing::warn!("events were dropped before they were read");
                    self.skip_to_end(&mut connection, &key).await?;
                    self.follower.request_rebuild_of_all();
                }
            }
        }
        while connection.is_current() {
            while let Ok(wish) = wishes.try_recv() {
                self.skip_to_end(&mut connection, &key).await?;
                // A caller that has stopped waiting asks again.
                let _ = wish.send(());
            }
            let last = self.last.clone().unwrap_or_else(|| BEGINNING.into());
            let mut read = redis::cmd("XREAD");
            read.arg("COUNT").arg(READ_MAX).arg("BLOCK").arg(BLOCK_MS);
            read.arg("STREAMS").arg(&key).arg(last);
            let news: Option<StreamReadReply> = connection.run(&read).await?;
            let entries = news.into_iter().flat_map(|news| news.keys).flat_map(|key| key.ids);
            let mut count = 0;
            for entry in entries {
                count += 1;
                self.apply_entry(&entry);
                self.last = Some(entry.id);
            }
            if self.has_unread && self.rebuilt_for_unread.is_none_or(|at| at.elapsed() > UNREAD_EVERY) {
                tracing::warn!("another version of the program publishes events that this one cannot read");
                (self.has_unread, self.rebuilt_for_unread) = (false, Some(Instant::now()));
                self.follower.request_rebuild_of_all();
            }
            if count < READ_MAX {
                // The stream was read to its end: no older event is to come.
                self.follower.confirmed.fetch_max(self.follower.clock.now().micros(), Ordering::Relaxed);
            }
        }
        Ok(())
    }

    async fn skip_to_end(&mut self, connection: &mut Blocking, key: &str) -> Result<(), PeersError> {
        let last: StreamRangeReply =
            connection.run(redis::cmd("XREVRANGE").arg(key).arg("+").arg("-").arg("COUNT").arg(1)).await?;
        self.last = Some(last.ids.into_iter().next().map_or_else(|| BEGINNING.into(), |last| last.id));
        Ok(())
    }

    fn apply_entry(&mut self, entry: &StreamId) {
        let Some(bytes) = entry.get::<Vec<u8>>("f") else { return };
        match events::read(&bytes) {
            Ok(event) if event.instance == self.follower.instance => {}
            Ok(event) => {
                let last = self.numbers.entry(event.instance).or_insert(event.number);
                if event.first > last.saturating_add(1) {
                    tracing::warn!(instance = %event.instance, "events are missing");
                    self.follower.request_rebuild_of_all();
                }
                *last = event.number.max(*last);
                self.follower.recent.push(bytes.into());
                self.follower.apply_event(event);
            }
            Err(error) => {
                tracing::debug!(%error, "an event cannot be read");
                self.has_unread = true;
            }
        }
    }
}

/// The id before any entry.
const BEGINNING: &str = "0-0";

fn parts(id: &str) -> (u64, u64) {
    let (millis, number) = id.split_once('-').unwrap_or((id, "0"));
    (millis.parse().unwrap_or(0), number.parse().unwrap_or(0))
}

fn is_after(one: &str, other: &str) -> bool {
    parts(one) > parts(other)
}

impl Follower {
    pub(super) fn apply_event(&self, event: Event) {
        match event.body {
            Body::Gap(Gap { rooms, caches }) => {
                self.request_rebuild(rooms);
                if caches == CacheValidity::Stale {
                    self.notify(Notice::Missed);
                }
            }
            Body::Changes(told) => self.apply_changes(*told),
        }
    }

    fn apply_changes(&self, told: BatchChanges) {
        let changes = &told.changes;
        for room in &changes.rooms.inserted {
            self.replicas.put_new(room, changes.now);
        }
        for (room, delta) in deltas(changes) {
            match self.replicas.apply(room, &delta, Source::Remote) {
                Applied::Unknown => self.request_rebuild([room]),
                Applied::Done(unverified) => {
                    for token in unverified {
                        self.verify_later(token, changes.now);
                    }
                }
            }
        }
        for session in &changes.closed_sessions {
            self.notify(Notice::SessionClosed(*session));
        }
        for user in told.roles {
            self.notify(Notice::RoleSet(user));
        }
        for concert in told.concerts {
            self.notify(Notice::ConcertChanged(concert));
        }
    }
}
