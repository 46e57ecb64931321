//! Reads the events and heartbeats of other instances: a blocking read of both streams over a connection of its own. If
//! events were missed, the lines are rebuilt.

use super::{
    client::{Blocking, Reach, RedisClient},
    events,
    follower::Follower,
    heartbeats::{self, Heartbeats},
    keys::RedisKeys,
    publisher,
};
use crate::peers::PeersError;
use redis::streams::{StreamRangeReply, StreamReadReply};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};
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

/// A request that the reader skip to the present end of the streams; answered when it has.
pub(super) type FromEnd = oneshot::Sender<()>;

/// The reading side of an instance.
pub(super) struct Reader {
    instance: Uuid,
    follower: Arc<Follower>,
    heartbeats: Arc<Heartbeats>,
    client: Arc<RedisClient>,
    /// The streams of events and of heartbeats.
    keys: [String; 2],
    /// The last entries that were read of them; none before the streams' ends were asked for.
    last: Option<[String; 2]>,
    numbers: HashMap<Uuid, u64>,
    unread: Unread,
}

/// Events of another version of the program.
#[derive(Debug, Default)]
struct Unread {
    /// There were some since the last rebuild for that reason.
    is_new: bool,
    rebuilt_at: Option<Instant>,
}

impl Reader {
    pub(super) fn new(
        instance: Uuid,
        follower: Arc<Follower>,
        heartbeats: Arc<Heartbeats>,
        client: Arc<RedisClient>,
        keys: &RedisKeys,
    ) -> Self {
        let keys = [publisher::stream(keys), heartbeats::stream(keys)];
        let (last, numbers, unread) = (None, HashMap::new(), Unread::default());
        Self { instance, follower, heartbeats, client, keys, last, numbers, unread }
    }

    /// Skips to the streams' ends, before any line is loaded.
    pub(super) async fn begin(&mut self) -> Result<(), PeersError> {
        let mut connection = self.client.blocking(BLOCK).await?;
        self.skip_to_end(&mut connection).await?;
        Ok(())
    }

    pub(super) async fn run(mut self, mut skip_requests: mpsc::Receiver<FromEnd>) {
        let mut reach = self.client.reach();
        loop {
            if reach.wait_for(|reach| matches!(reach, Reach::Up(_))).await.is_err() {
                return;
            }
            if let Ok(connection) = self.client.blocking(BLOCK).await
                && let Err(error) = self.read(connection, &mut skip_requests).await
            {
                tracing::debug!(%error, "the event stream cannot be read");
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Reads until the connection is lost, or no longer the one in use.
    async fn read(
        &mut self,
        mut connection: Blocking,
        skip_requests: &mut mpsc::Receiver<FromEnd>,
    ) -> Result<(), PeersError> {
        let mut last = match self.last.clone() {
            Some(last) if !self.has_missed(&mut connection, &last).await? => last,
            Some(_) => {
                tracing::warn!("Redis dropped events before this instance read them: rebuilding all lines");
                let last = self.skip_to_end(&mut connection).await?;
                self.follower.request_rebuild_of_all();
                last
            }
            None => self.skip_to_end(&mut connection).await?,
        };
        while connection.is_current() {
            while let Ok(request) = skip_requests.try_recv() {
                last = self.skip_to_end(&mut connection).await?;
                // A caller that has stopped waiting asks again.
                let _ = request.send(());
            }
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
                        Some(bytes) => self.heartbeats.receive(&bytes, self.follower.lines(), self.follower.now()),
                        None => {}
                    }
                    last[of] = entry.id;
                }
            }
            self.last = Some(last.clone());
            if self.unread.is_new && self.unread.rebuilt_at.is_none_or(|at| at.elapsed() > UNREAD_EVERY) {
                tracing::warn!("another version of the program publishes events that this one cannot read");
                self.unread = Unread { is_new: false, rebuilt_at: Some(Instant::now()) };
                self.follower.request_rebuild_of_all();
            }
            if is_end {
                self.follower.confirm();
                self.heartbeats.note_read();
            }
        }
        Ok(())
    }

    /// Whether entries behind the last that were read are not in their stream any more.
    async fn has_missed(&self, connection: &mut Blocking, last: &[String; 2]) -> Result<bool, PeersError> {
        for (key, last) in self.keys.iter().zip(last) {
            let first: StreamRangeReply =
                connection.run(redis::cmd("XRANGE").arg(key).arg("-").arg("+").arg("COUNT").arg(1)).await?;
            if last != BEGINNING && first.ids.first().is_some_and(|first| parts(&first.id) > parts(last)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn skip_to_end(&mut self, connection: &mut Blocking) -> Result<[String; 2], PeersError> {
        let mut ends = [BEGINNING.to_owned(), BEGINNING.to_owned()];
        for (key, end) in self.keys.iter().zip(&mut ends) {
            let last: StreamRangeReply =
                connection.run(redis::cmd("XREVRANGE").arg(key).arg("+").arg("-").arg("COUNT").arg(1)).await?;
            if let Some(last) = last.ids.into_iter().next() {
                *end = last.id;
            }
        }
        self.last = Some(ends.clone());
        Ok(ends)
    }

    fn apply_event(&mut self, bytes: &[u8]) {
        match events::read(bytes) {
            Ok(event) if event.instance == self.instance => {}
            Ok(event) => {
                let last = self.numbers.entry(event.instance).or_insert(event.number);
                if event.first > last.saturating_add(1) {
                    tracing::warn!(instance = %event.instance, "events are missing: rebuilding all lines");
                    self.follower.request_rebuild_of_all();
                }
                *last = event.number.max(*last);
                self.follower.apply_event(event);
            }
            Err(error) => {
                tracing::debug!(%error, "an event cannot be read");
                self.unread.is_new = true;
            }
        }
    }
}

fn parts(id: &str) -> (u64, u64) {
    let (millis, number) = id.split_once('-').unwrap_or((id, "0"));
    (millis.parse().unwrap_or(0), number.parse().unwrap_or(0))
}
