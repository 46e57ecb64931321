//! Publishes this instance's commits from its own task; publishing never blocks. Commits that could not be sent become
//! a gap, announced once Redis is back, so that other instances read the rows.
//!
//! Events and gaps are numbered as they are sent, and no number is used twice. An instance that misses a number which no
//! gap stands for knows that events were lost on their way.

use super::{
    RedisInstance,
    events::{self, CacheValidity, Gap},
    holds::{self, HoldChanges},
    keys::RedisKeys,
    tokens::{self, TokenChanges},
    watch::incarnation_key,
};
use crate::lock::lock;
use frontrow_domain::{
    changes::Changes,
    id::{ReservationId, RoomId},
    line::Token,
    time::Time,
};
use redis::{Pipeline, RedisResult};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::sync::{Notify, oneshot};

/// Batches that may wait to be published.
const WAITING_MAX: usize = 4_096;
/// Bytes of events published in one round trip.
const BYTES_AT_ONCE: usize = 1 << 20;
/// About how many events the stream keeps for readers that are behind.
const STREAM_LEN: usize = 16_384;
/// How many tokens, and how many deadlines, may be pending. Beyond, they are dropped: a Redis that is down is seeded
/// again when it is back; one that is up and refuses them, as a full node of a cluster does, does without.
const PENDING_MAX: usize = 100_000;
/// How long a room whose tokens were refused is left alone. They are copies: no request waits for them.
const REFUSED_REST: Duration = Duration::from_secs(1);
/// Pause after a failure of a server that is up.
const RETRY: Duration = Duration::from_millis(250);
/// How long a caller waits for its earlier changes to be published.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The key of the event stream.
pub(super) fn stream(keys: &RedisKeys) -> String {
    keys.installation_part("events")
}

/// The changes of a batch.
#[derive(Debug, Default)]
struct Batch {
    /// The body of its event, if another instance needs it.
    body: Option<Vec<u8>>,
    /// The gap if the event is not published.
    gap: Gap,
    tokens: Vec<Token>,
    now: Time,
    holds: HoldChanges,
}

/// What waits for the task.
#[derive(Debug, Default)]
struct PublishQueue {
    batches: Vec<Batch>,
    /// Changes without an event.
    gap: Gap,
    /// Callers that wait until all this is published.
    flushes: Vec<oneshot::Sender<()>>,
}

/// The publishing side of an instance.
#[derive(Debug, Default)]
pub(super) struct Publisher {
    queue: Mutex<PublishQueue>,
    news: Notify,
}

impl Publisher {
    /// Queues the changes of a batch. Never waits: an event that does not fit becomes a gap.
    pub(super) fn publish(&self, changes: &Changes) {
        let mut holds = HoldChanges::default();
        for row in changes.reservations.iter() {
            holds.apply(row);
        }
        let gap = Gap::of(changes);
        let body = (!gap.is_empty()).then(|| events::of_changes(changes));
        if body.is_none() && holds.is_empty() {
            return;
        }
        let tokens: Vec<_> = changes.tokens.iter().copied().collect();
        self.push(Batch { body, gap, tokens, now: changes.now, holds });
    }

    /// Queues hold deadlines. One that does not fit is found in the store.
    pub(super) fn add_holds(&self, due: &[(Time, ReservationId)]) {
        let holds = HoldChanges { due: due.to_vec(), over: Vec::new() };
        self.push(Batch { holds, ..Batch::default() });
    }

    fn push(&self, batch: Batch) {
        let mut queue = lock(&self.queue);
        if queue.batches.len() < WAITING_MAX {
            queue.batches.push(batch);
        } else {
            queue.gap.merge(batch.gap);
        }
        self.news.notify_one();
    }

    /// Waits until earlier changes are published, or a moment.
    pub(super) async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        lock(&self.queue).flushes.push(done);
        self.news.notify_one();
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, wait).await;
    }

    /// Has a gap announced: rows of these rooms, and maybe cached ones, changed without an event.
    pub(super) fn announce_gap(&self, rooms: impl IntoIterator<Item = RoomId>) {
        lock(&self.queue).gap.merge(Gap {
            rooms: rooms.into_iter().collect(),
            caches: CacheValidity::Stale,
            numbers: 0,
        });
        self.news.notify_one();
    }
}

/// The task that publishes.
pub(super) struct PublishTask {
    instance: Arc<RedisInstance>,
    /// The number of the last event that was sent.
    number: u64,
    /// Changes whose events were not sent.
    gap: Gap,
    pending: Pending,
}

/// Tokens and deadlines that are still to be sent to Redis.
#[derive(Default)]
struct Pending {
    tokens: TokenChanges,
    holds: HoldChanges,
    /// Rooms whose tokens were refused, and when.
    refused: BTreeMap<RoomId, Instant>,
    /// The tokens and deadlines in Redis are wrong beyond repair: it must be seeded again.
    must_seed: bool,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.holds.is_empty() && !self.must_seed
    }

    fn apply(&mut self, batches: Vec<Batch>) {
        for batch in batches {
            for token in &batch.tokens {
                self.tokens.apply(token, batch.now);
            }
            self.holds.due.extend(batch.holds.due);
            self.holds.over.extend(batch.holds.over);
        }
    }

    /// Drops what is too much. The row decides, not the copy of a token; an unpublished deadline is found in the store.
    /// Returns whether something was dropped.
    fn drop_excess(&mut self) -> bool {
        let (tokens, holds) = (self.tokens.len(), self.holds.due.len() + self.holds.over.len());
        if tokens > PENDING_MAX {
            self.tokens = TokenChanges::default();
        }
        if holds > PENDING_MAX {
            self.holds = HoldChanges::default();
        }
        let is_excess = tokens.max(holds) > PENDING_MAX;
        if is_excess {
            tracing::warn!(tokens, holds, "Redis takes no token copies or hold deadlines: they are dropped");
        }
        is_excess
    }
}

impl PublishTask {
    pub(super) fn new(instance: Arc<RedisInstance>) -> Self {
        Self { instance, number: 0, gap: Gap::default(), pending: Pending::default() }
    }

    /// Publishes until the client is dropped.
    pub(super) async fn run(mut self) {
        let mut reach = self.instance.client.reach();
        loop {
            let is_behind = !self.pending.is_empty() || !self.gap.is_empty();
            tokio::select! {
                biased;
                () = self.instance.publisher.news.notified() => {}
                changed = reach.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(RETRY), if is_behind && self.instance.client.is_up() => {}
            }
            let PublishQueue { mut batches, gap, flushes } = std::mem::take(&mut *lock(&self.instance.publisher.queue));
            self.gap.merge(gap);
            self.publish_events(&mut batches).await;
            self.pending.apply(batches);
            if self.instance.client.is_up() {
                self.publish_pending().await;
            }
            if self.pending.drop_excess() && !self.instance.client.is_up() {
                self.pending.must_seed = true;
            }
            for done in flushes {
                // A caller that has stopped waiting needs no answer.
                let _ = done.send(());
            }
        }
    }

    /// Sends the gap, which stands for the numbers before its own, and the events of these batches. What is not sent is
    /// in the gap then.
    async fn publish_events(&mut self, batches: &mut [Batch]) {
        let mut events = Vec::new();
        if !self.gap.is_empty() {
            events.push((events::of_gap(&self.gap), std::mem::take(&mut self.gap)));
        }
        let with_gap = |batch: &mut Batch| Some((batch.body.take()?, std::mem::take(&mut batch.gap)));
        events.extend(batches.iter_mut().filter_map(with_gap));
        let mut events = events.into_iter().peekable();
        while self.instance.client.is_up() && events.peek().is_some() {
            let (mut pipeline, mut bytes, mut number) = (Pipeline::new(), 0, self.number);
            let mut gap = Gap::default();
            while let Some((body, unsent)) = events.next_if(|_| bytes < BYTES_AT_ONCE) {
                bytes += body.len();
                number += 1;
                gap.merge(unsent);
                let event = events::event(self.instance.id, number, &body);
                let add = pipeline.cmd("XADD").arg(stream(&self.instance.keys));
                add.arg("MAXLEN").arg("~").arg(STREAM_LEN).arg("*").arg("f").arg(event).ignore();
            }
            // Also if it fails: some of these events may come.
            let numbers = number - std::mem::replace(&mut self.number, number);
            if let Err(error) = pipeline.query_async::<()>(&mut self.instance.client.handle()).await {
                tracing::debug!(%error, "publishing events failed");
                self.instance.client.probe_now();
                self.gap.merge(gap);
                self.gap.merge(Gap { numbers, ..Gap::default() });
                break;
            }
        }
        events.for_each(|(_, unsent)| self.gap.merge(unsent));
    }

    /// Sends the pending deadlines and tokens. Failures stay pending: sending twice does no harm.
    async fn publish_pending(&mut self) {
        let (handle, pending) = (self.instance.client.handle(), &mut self.pending);
        if pending.must_seed {
            let deleted: RedisResult<()> =
                redis::cmd("DEL").arg(incarnation_key(&self.instance.keys)).query_async(&mut handle.clone()).await;
            pending.must_seed = deleted.is_err();
        }
        if !pending.holds.is_empty() {
            match holds::publish(&mut handle.clone(), &self.instance.keys, &pending.holds).await {
                Ok(()) => pending.holds = HoldChanges::default(),
                Err(error) => tracing::debug!(%error, "publishing hold deadlines failed"),
            }
        }
        pending.refused.retain(|_, at| at.elapsed() < REFUSED_REST);
        let is_wanted = |room| !pending.refused.contains_key(&room);
        for (room, error) in tokens::publish(&handle, &self.instance.keys, &mut pending.tokens, is_wanted).await {
            tracing::debug!(%error, room = room.get(), "publishing token copies failed");
            pending.refused.insert(room, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::RedisSettings, *};
    use crate::view::tests::START;
    use frontrow_clock::Clock;
    use frontrow_domain::{
        id::{Position, TokenId, UserId},
        policy::Policy,
    };
    use frontrow_storage::memory::MemoryStore;
    use uuid::Uuid;

    fn issue(publisher: &Publisher, room: i64, position: i64) {
        let id = TokenId { room_id: RoomId::new(room), position: Position(position) };
        let mut changes = Changes { now: START, ..Changes::default() };
        changes.tokens.inserted = vec![Token::issued(id, UserId(Uuid::nil()), START)];
        publisher.publish(&changes);
    }

    fn close_session(publisher: &Publisher) {
        publisher.publish(&Changes { now: START, closed_sessions: vec![[3; 32]], ..Changes::default() });
    }

    fn gap(rooms: &[i64], caches: CacheValidity) -> Gap {
        Gap { rooms: rooms.iter().copied().map(RoomId::new).collect(), caches, numbers: 0 }
    }

    #[test]
    fn an_event_that_does_not_fit_becomes_a_gap_and_the_next_one_is_queued_again() {
        let publisher = Publisher::default();
        let most = i64::try_from(WAITING_MAX).unwrap();
        (1..=most).for_each(|at| issue(&publisher, 0, at));
        issue(&publisher, 7, 1);
        issue(&publisher, 9, 1);
        let PublishQueue { batches, gap: lines, .. } = std::mem::take(&mut *lock(&publisher.queue));
        assert_eq!((batches.len(), lines), (WAITING_MAX, gap(&[7, 9], CacheValidity::Consistent)));
        issue(&publisher, 0, most + 1);
        publisher.announce_gap([RoomId::new(3)]);
        let PublishQueue { batches, gap: announced, .. } = std::mem::take(&mut *lock(&publisher.queue));
        assert_eq!((batches.len(), announced), (1, gap(&[3], CacheValidity::Stale)));
        assert_eq!(batches[0].gap, gap(&[0], CacheValidity::Consistent));
    }

    #[tokio::test]
    async fn unpublished_events_become_one_gap() {
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::new(clock.clone(), Policy::default(), 1));
        let (settings, notices) =
            (RedisSettings::new(vec!["redis://127.0.0.1:1/".into()]), tokio::sync::mpsc::channel(1).0);
        let down = RedisInstance::connect(settings, store, Uuid::nil(), Uuid::nil(), clock, notices).await.unwrap();
        let mut task = PublishTask::new(Arc::new(down));
        let instance = Arc::clone(&task.instance);
        let publisher = &instance.publisher;
        issue(publisher, 0, 1);
        issue(publisher, 7, 1);
        let mut batches = std::mem::take(&mut lock(&publisher.queue).batches);
        task.publish_events(&mut batches).await;
        assert_eq!(task.gap, gap(&[0, 7], CacheValidity::Consistent), "caches need not be dropped");
        close_session(publisher);
        let mut batches = std::mem::take(&mut lock(&publisher.queue).batches);
        task.publish_events(&mut batches).await;
        assert_eq!((task.gap, task.number), (gap(&[0, 7], CacheValidity::Stale), 0));
    }

    #[test]
    fn refused_copies_are_dropped_and_few_deadlines_stay() {
        let mut pending = Pending::default();
        let token = |at| {
            let id = TokenId { room_id: RoomId::HOUSE, position: Position(at) };
            Token::issued(id, UserId(Uuid::nil()), START)
        };
        let most = i64::try_from(PENDING_MAX).unwrap();
        let due = vec![(START, ReservationId::new(1))];
        let holds = HoldChanges { due, over: Vec::new() };
        pending.apply(vec![Batch { tokens: (1..=most).map(token).collect(), holds, ..Batch::default() }]);
        // Once more: a token is pending once.
        pending.apply(vec![Batch { tokens: (1..=most).map(token).collect(), ..Batch::default() }]);
        pending.drop_excess();
        assert_eq!((pending.tokens.len(), pending.holds.due.len()), (PENDING_MAX, 1));
        pending.apply(vec![Batch { tokens: vec![token(most + 1)], ..Batch::default() }]);
        pending.drop_excess();
        assert_eq!((pending.tokens.len(), pending.holds.due.len()), (0, 1));
        let over = (1..=most).map(ReservationId::new).collect();
        pending.apply(vec![Batch { holds: HoldChanges { due: Vec::new(), over }, ..Batch::default() }]);
        pending.drop_excess();
        assert!(pending.is_empty());
    }
}
