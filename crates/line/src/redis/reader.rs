//! Reads the events and heartbeats of other instances: a blocking read of both streams over a connection of its own. If
//! events were missed, the lines are rebuilt.

use super::{
    RedisInstance,
    client::{Blocking, Reach},
    events, heartbeats, publisher,
};
use redis::{
    RedisResult,
    streams::{StreamRangeReply, StreamReadReply},
};
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// How long a read waits for an event. Each answer confirms the views, so it is well below what makes them stale.
const BLOCK_MS: u64 = 200;
const BLOCK: Duration = Duration::from_millis(BLOCK_MS);
/// Entries of a stream in one read at most.
const READ_MAX: usize = 256;
/// How often all lines are rebuilt while another version publishes events that this one cannot read.
const UNREAD_EVERY: Duration = Duration::from_secs(5);
/// Pause after a failure.
const RETRY: Duration = Duration::from_millis(100);
/// The id before any entry.
const BEGINNING: &str = "0-0";

/// The reading side of an instance.
pub(super) struct Reader {
    instance: Arc<RedisInstance>,
    /// The streams of events and of heartbeats.
    keys: [String; 2],
    /// The last entries that were read of them; none if reading begins at the streams' ends.
    last: Option<[String; 2]>,
    numbers: HashMap<Uuid, u64>,
    /// There were events of another version of the program since the last rebuild for that reason.
    has_unread: bool,
    unread_at: Option<Instant>,
}

impl Reader {
    pub(super) fn new(instance: Arc<RedisInstance>) -> Self {
        let keys = [publisher::stream(&instance.keys), heartbeats::stream(&instance.keys)];
        Self { instance, keys, last: None, numbers: HashMap::new(), has_unread: false, unread_at: None }
    }

    /// Skips to the streams' ends, before any line is loaded.
    pub(super) async fn begin(&mut self) -> RedisResult<()> {
        let mut connection = self.instance.client.blocking(BLOCK).await?;
        self.last = Some(self.entries(&mut connection, "XREVRANGE", ["+", "-"]).await?);
        Ok(())
    }

    pub(super) async fn run(mut self) {
        let mut reach = self.instance.client.reach();
        loop {
            if reach.wait_for(|reach| matches!(reach, Reach::Up(_))).await.is_err() {
                return;
            }
            if let Ok(connection) = self.instance.client.blocking(BLOCK).await
                && let Err(error) = self.read(connection).await
            {
                tracing::debug!(%error, "the event stream cannot be read");
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Reads until the connection is lost, or no longer the one in use.
    async fn read(&mut self, mut connection: Blocking) -> RedisResult<()> {
        if self.has_missed(&mut connection).await? {
            tracing::warn!("Redis dropped events before this instance read them: rebuilding all lines");
            self.last = None;
        }
        let follower = Arc::clone(&self.instance.follower);
        while connection.is_current() {
            if self.instance.is_other_redis.swap(false, Ordering::Relaxed) {
                self.last = None;
            }
            let Some(mut last) = self.last.clone() else {
                self.last = Some(self.entries(&mut connection, "XREVRANGE", ["+", "-"]).await?);
                // Later events are read; earlier changes are in the rows.
                follower.request_rebuild_of_all();
                continue;
            };
            let mut read = redis::cmd("XREAD");
            read.arg("COUNT").arg(READ_MAX).arg("BLOCK").arg(BLOCK_MS);
            read.arg("STREAMS").arg(&self.keys).arg(&last);
            let news: Option<StreamReadReply> = connection.run(&read).await?;
            let mut is_end = true;
            for stream in news.into_iter().flat_map(|news| news.keys) {
                is_end &= stream.ids.len() < READ_MAX;
                let of = usize::from(stream.key == self.keys[1]);
                for entry in stream.ids {
                    match entry.get::<Vec<u8>>("f") {
                        Some(bytes) if of == 0 => self.apply_event(&bytes),
                        Some(bytes) => self.instance.heartbeats.receive(&bytes, follower.lines(), follower.now()),
                        None => {}
                    }
                    last[of] = entry.id;
                }
            }
            self.last = Some(last);
            if self.has_unread && self.unread_at.is_none_or(|at| at.elapsed() > UNREAD_EVERY) {
                tracing::warn!("another version of the program publishes events that this one cannot read");
                (self.has_unread, self.unread_at) = (false, Some(Instant::now()));
                follower.request_rebuild_of_all();
            }
            if is_end {
                follower.confirm();
                self.instance.heartbeats.note_read(Instant::now());
            }
        }
        Ok(())
    }

    /// Whether entries behind the last that were read are not in their stream any more.
    async fn has_missed(&self, connection: &mut Blocking) -> RedisResult<bool> {
        let Some(last) = &self.last else { return Ok(false) };
        let first = self.entries(connection, "XRANGE", ["-", "+"]).await?;
        let has_missed = |(first, last): (&String, &String)| last != BEGINNING && parts(first) > parts(last);
        Ok(first.iter().zip(last).any(has_missed))
    }

    /// The first entries of both streams in a range.
    async fn entries(&self, connection: &mut Blocking, command: &str, range: [&str; 2]) -> RedisResult<[String; 2]> {
        let mut entries = [BEGINNING.to_owned(), BEGINNING.to_owned()];
        for (key, first) in self.keys.iter().zip(&mut entries) {
            let found: StreamRangeReply =
                connection.run(redis::cmd(command).arg(key).arg(&range).arg("COUNT").arg(1)).await?;
            if let Some(entry) = found.ids.into_iter().next() {
                *first = entry.id;
            }
        }
        Ok(entries)
    }

    fn apply_event(&mut self, bytes: &[u8]) {
        match events::read(bytes) {
            Ok(event) if event.instance == self.instance.id => {}
            Ok(event) => {
                let last = self.numbers.entry(event.instance).or_insert(event.number);
                if event.first() > last.saturating_add(1) {
                    tracing::warn!(instance = %event.instance, "events are missing: rebuilding all lines");
                    self.instance.follower.request_rebuild_of_all();
                }
                *last = event.number.max(*last);
                self.instance.follower.apply_event(event);
            }
            Err(error) => {
                tracing::debug!(%error, "an event cannot be read");
                self.has_unread = true;
            }
        }
    }
}

fn parts(id: &str) -> (u64, u64) {
    let (millis, number) = id.split_once('-').unwrap_or((id, "0"));
    (millis.parse().unwrap_or(0), number.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{RedisSettings, events::Gap, notices::Notice},
        *,
    };
    use crate::view::tests::START;
    use frontrow_clock::Clock;
    use frontrow_domain::policy::Policy;
    use frontrow_storage::memory::MemoryStore;

    #[tokio::test]
    async fn numbers_that_a_gap_stands_for_are_not_missed_and_others_are() {
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::new(clock.clone(), Policy::default(), 1));
        let (settings, (notices, mut received)) =
            (RedisSettings::new(vec!["redis://127.0.0.1:1/".into()]), tokio::sync::mpsc::channel(10));
        let down = RedisInstance::connect(settings, store, Uuid::nil(), Uuid::nil(), clock, notices).await.unwrap();
        let mut reader = Reader::new(Arc::new(down));
        let mut is_one_missed = |number, numbers| {
            let gap = Gap { numbers, ..Gap::default() };
            reader.apply_event(&events::event(Uuid::from_u128(7), number, &events::of_gap(&gap)));
            received.try_recv() == Ok(Notice::Missed)
        };
        assert!(!is_one_missed(3, 2), "the first that this instance reads");
        assert!(!is_one_missed(4, 0));
        assert!(!is_one_missed(7, 2), "the fifth and the sixth are in the gap");
        assert!(is_one_missed(10, 1), "the eighth is not");
        assert!(!is_one_missed(9, 0), "it comes late");
    }
}
