//! Publishes this instance's commits from its own task; publishing never blocks. Commits that could not be sent become
//! a gap, announced once Redis is back, so that other instances read the rows.
//!
//! Events are sent in the order of their numbers, and a gap stands for those that are not. An instance that misses a
//! number knows that events were lost on their way.

use super::{
    client::RedisClient,
    events::{self, CacheValidity, Gap},
    holds::{self, HoldChanges},
    keys::RedisKeys,
    tokens::{self, TokenChanges},
};
use crate::lock::lock;
use frontrow_domain::{
    changes::Changes,
    id::{ReservationId, RoomId},
    line::Token,
    time::Time,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::sync::{Notify, mpsc, oneshot};
use uuid::Uuid;

/// Batches that may wait to be published.
const WAITING_MAX: usize = 4_096;
/// Batches published in one round trip, and bytes of their events.
const BATCH_MAX: usize = 256;
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

enum QueueItem {
    Batch(Batch),
    Flush(oneshot::Sender<()>),
}

/// An event with its number.
#[derive(Clone)]
struct Numbered {
    number: u64,
    bytes: Arc<[u8]>,
    /// The validity of caches at an instance that misses the event.
    caches: CacheValidity,
}

#[derive(Default)]
struct Batch {
    event: Option<Numbered>,
    rooms: BTreeSet<RoomId>,
    tokens: Vec<Token>,
    now: Time,
    holds: HoldChanges,
}

/// Changes neither published nor announced as a gap yet: the numbers of their events, which begin at 1.
#[derive(Debug, Default)]
struct Unpublished {
    /// The highest number of all.
    last: u64,
    /// The highest that concerns caches.
    caches: u64,
    /// The highest of each room.
    rooms: BTreeMap<RoomId, u64>,
}

impl Unpublished {
    /// Adds an event that was not published.
    fn note(&mut self, number: u64, caches: CacheValidity, rooms: impl IntoIterator<Item = RoomId>) {
        self.last = self.last.max(number);
        if caches == CacheValidity::Stale {
            self.caches = self.caches.max(number);
        }
        for room in rooms {
            let last = self.rooms.entry(room).or_default();
            *last = number.max(*last);
        }
    }

    /// The gap of unpublished events from `first` on.
    fn gap(&self, first: u64) -> Gap {
        let rooms = self.rooms.iter().filter(|(_, last)| **last >= first).map(|(room, _)| *room).collect();
        Gap { rooms, caches: if self.caches >= first { CacheValidity::Stale } else { CacheValidity::Consistent } }
    }
}

/// The publishing side of an instance.
pub(super) struct Publisher {
    instance: Uuid,
    /// Held while an event gets its number and its place in the channel.
    number: Mutex<u64>,
    items: mpsc::Sender<QueueItem>,
    unpublished: Mutex<Unpublished>,
    unpublished_news: Notify,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("instance", &self.instance).finish_non_exhaustive()
    }
}

/// The task's end of the channel.
pub(super) struct QueueItems(mpsc::Receiver<QueueItem>);

impl Publisher {
    pub(super) fn new(instance: Uuid) -> (Self, QueueItems) {
        let (items, inbox) = mpsc::channel(WAITING_MAX);
        let publisher = Self {
            instance,
            number: Mutex::default(),
            items,
            unpublished: Mutex::default(),
            unpublished_news: Notify::new(),
        };
        (publisher, QueueItems(inbox))
    }

    /// Queues the changes of a batch. Never waits: an event that does not fit becomes a gap.
    pub(super) fn publish(&self, changes: &Changes) {
        let mut holds = HoldChanges::default();
        for row in changes.reservations.iter() {
            holds.apply(row);
        }
        let body = events::of_changes(changes);
        if body.is_none() && holds.is_empty() {
            return;
        }
        let tokens: Vec<_> = changes.tokens.iter().copied().collect();
        let mut rooms: BTreeSet<_> = changes.rooms.iter().map(|room| room.room_id).collect();
        rooms.extend(tokens.iter().map(|token| token.id.room_id));
        rooms.extend(changes.unused.iter().map(|unused| unused.room_id));
        let is_for_lines =
            changes.closed_sessions.is_empty() && changes.users.is_empty() && changes.concerts.is_empty();
        let caches = if is_for_lines { CacheValidity::Consistent } else { CacheValidity::Stale };
        let mut batch = Batch { event: None, rooms, tokens, now: changes.now, holds };
        let mut number = lock(&self.number);
        if let Some(body) = body {
            *number += 1;
            let bytes: Arc<[u8]> = events::event(self.instance, *number, *number, &body).into();
            batch.event = Some(Numbered { number: *number, bytes, caches });
        }
        if let Err(full) = self.items.try_send(QueueItem::Batch(batch))
            && let QueueItem::Batch(batch) = full.into_inner()
        {
            // Before the next number is given: the gap before that event must name these rooms.
            self.note_unpublished(&batch);
            self.unpublished_news.notify_one();
        }
    }

    /// Queues hold deadlines.
    pub(super) fn add_holds(&self, due: &[(Time, ReservationId)]) {
        let holds = HoldChanges { due: due.to_vec(), over: Vec::new() };
        // A deadline that does not fit is found in the store.
        let _ = self.items.try_send(QueueItem::Batch(Batch { holds, ..Batch::default() }));
    }

    /// Waits until earlier changes are published, or a moment.
    pub(super) async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.items.try_send(QueueItem::Flush(done)).is_ok() {
            let _ = tokio::time::timeout(FLUSH_TIMEOUT, wait).await;
        }
    }

    /// Has a gap announced: rows of these rooms, and maybe cached ones, changed without an event.
    pub(super) fn announce_gap(&self, rooms: impl IntoIterator<Item = RoomId>) {
        {
            let mut number = lock(&self.number);
            *number += 1;
            lock(&self.unpublished).note(*number, CacheValidity::Stale, rooms);
        }
        self.unpublished_news.notify_one();
    }

    fn note_unpublished(&self, batch: &Batch) {
        if let Some(event) = &batch.event {
            lock(&self.unpublished).note(event.number, event.caches, batch.rooms.iter().copied());
        }
    }

    /// The events to send after the number `published_up_to`, with gaps for the numbers missing between them; after
    /// them too, if `rest` says that no more events wait.
    fn pieces(
        &self,
        published_up_to: u64,
        events: impl Iterator<Item = Numbered>,
        rest: impl FnOnce() -> Remaining,
    ) -> Vec<Numbered> {
        let unpublished = lock(&self.unpublished);
        let mut next = published_up_to + 1;
        let mut pieces = Vec::new();
        let gap = |first, last| {
            let gap = unpublished.gap(first);
            Numbered {
                number: last,
                bytes: events::event(self.instance, first, last, &events::of_gap(&gap)).into(),
                caches: gap.caches,
            }
        };
        for event in events {
            if event.number > next {
                pieces.push(gap(next, event.number - 1));
            }
            next = next.max(event.number + 1);
            pieces.push(event);
        }
        // Asked for now: all events before one that did not fit by now are in the channel by now.
        if unpublished.last >= next && rest() == Remaining::None {
            pieces.push(gap(next, unpublished.last));
        }
        pieces
    }

    /// Forgets the unpublished changes up to `published_up_to`: they were announced.
    fn announced(&self, published_up_to: u64) {
        lock(&self.unpublished).rooms.retain(|_, last| *last > published_up_to);
    }

    /// Whether a change after `published_up_to` is neither published nor announced.
    fn is_behind(&self, published_up_to: u64) -> bool {
        lock(&self.unpublished).last > published_up_to
    }
}

/// Whether more events wait to be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remaining {
    None,
    Some,
}

pub(super) struct PublishTask {
    pub(super) publisher: Arc<Publisher>,
    pub(super) client: Arc<RedisClient>,
    pub(super) keys: RedisKeys,
    /// Notified if the tokens and deadlines in Redis are wrong beyond repair: it must be seeded again.
    pub(super) invalidated: Arc<Notify>,
}

/// Tokens and deadlines that are still to be sent to Redis.
#[derive(Default)]
struct Pending {
    tokens: TokenChanges,
    holds: HoldChanges,
    /// Rooms whose tokens were refused, and when.
    refused: BTreeMap<RoomId, Instant>,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.holds.is_empty()
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

    fn has_many_tokens(&self) -> bool {
        self.tokens.len() > PENDING_MAX
    }

    fn has_many_holds(&self) -> bool {
        self.holds.due.len() + self.holds.over.len() > PENDING_MAX
    }

    /// Drops what a Redis that is up refuses. The row decides, not the copy of a token; an unpublished deadline is
    /// found in the store.
    fn drop_refused(&mut self) {
        if self.has_many_tokens() {
            tracing::warn!(rooms = self.refused.len(), "Redis refuses token copies of some rooms: they are dropped");
            self.tokens = TokenChanges::default();
        }
        if self.has_many_holds() {
            tracing::warn!("Redis refuses hold deadlines: they are dropped, and holds end by the database alone");
            self.holds = HoldChanges::default();
        }
    }
}

impl PublishTask {
    /// Publishes until the publisher is dropped.
    pub(super) async fn run(self, QueueItems(mut inbox): QueueItems) {
        let mut reach = self.client.reach();
        let mut pending = Pending::default();
        let mut items = Vec::new();
        // All events up to this number were published or announced as a gap.
        let mut published_up_to = 0;
        loop {
            let is_behind = !pending.is_empty() || self.publisher.is_behind(published_up_to);
            tokio::select! {
                biased;
                count = inbox.recv_many(&mut items, BATCH_MAX) => if count == 0 { return },
                () = self.publisher.unpublished_news.notified() => {}
                changed = reach.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(RETRY), if is_behind && self.client.is_up() => {}
            }
            let (mut batches, mut flushes) = (Vec::new(), Vec::new());
            for item in items.drain(..) {
                match item {
                    QueueItem::Batch(batch) => batches.push(batch),
                    QueueItem::Flush(done) => flushes.push(done),
                }
            }
            published_up_to = self
                .publish_events(published_up_to, &batches, || {
                    if inbox.is_empty() { Remaining::None } else { Remaining::Some }
                })
                .await;
            pending.apply(batches);
            if self.client.is_up() {
                self.flush_pending(&mut pending).await;
            }
            if self.client.is_up() {
                pending.drop_refused();
            } else if pending.has_many_tokens() || pending.has_many_holds() {
                pending = Pending::default();
                self.invalidated.notify_one();
            }
            for done in flushes {
                // A caller that has stopped waiting needs no answer.
                let _ = done.send(());
            }
        }
    }

    /// Sends the events, and announces those that were not sent. Returns the number up to which this is done, which is
    /// `published_up_to` or more.
    async fn publish_events(
        &self,
        mut published_up_to: u64,
        batches: &[Batch],
        rest: impl FnOnce() -> Remaining,
    ) -> u64 {
        let events = batches.iter().filter_map(|batch| batch.event.clone());
        let mut is_published = self.client.is_up();
        let pieces = if is_published { self.publisher.pieces(published_up_to, events, rest) } else { Vec::new() };
        let mut pieces = pieces.into_iter().peekable();
        while is_published && pieces.peek().is_some() {
            let (mut pipeline, mut bytes, mut last) = (redis::Pipeline::new(), 0, published_up_to);
            while let Some(piece) = pieces.next_if(|_| bytes < BYTES_AT_ONCE) {
                bytes += piece.bytes.len();
                last = piece.number;
                self.add(&mut pipeline, &piece.bytes);
            }
            let sent = pipeline.query_async::<()>(&mut self.client.handle()).await;
            is_published = sent.inspect_err(|error| tracing::debug!(%error, "publishing events failed")).is_ok();
            if is_published {
                published_up_to = last;
            } else {
                self.client.probe_now();
            }
        }
        if is_published {
            self.publisher.announced(published_up_to);
        } else {
            let is_left = |batch: &&Batch| batch.event.as_ref().is_some_and(|event| event.number > published_up_to);
            batches.iter().filter(is_left).for_each(|batch| self.publisher.note_unpublished(batch));
        }
        published_up_to
    }

    fn add(&self, pipeline: &mut redis::Pipeline, event: &[u8]) {
        pipeline
            .cmd("XADD")
            .arg(stream(&self.keys))
            .arg("MAXLEN")
            .arg("~")
            .arg(STREAM_LEN)
            .arg("*")
            .arg("f")
            .arg(event);
        pipeline.ignore();
    }

    /// Sends the pending deadlines and tokens. Failures stay pending: sending twice does no harm.
    async fn flush_pending(&self, pending: &mut Pending) {
        let handle = self.client.handle();
        if !pending.holds.is_empty() {
            match holds::publish(&mut handle.clone(), &self.keys, &pending.holds).await {
                Ok(()) => pending.holds = HoldChanges::default(),
                Err(error) => tracing::debug!(%error, "publishing hold deadlines failed"),
            }
        }
        pending.refused.retain(|_, at| at.elapsed() < REFUSED_REST);
        let refused = &pending.refused;
        for (room, error) in
            tokens::publish(&handle, &self.keys, &mut pending.tokens, |room| !refused.contains_key(&room)).await
        {
            tracing::debug!(%error, room = room.get(), "publishing token copies failed");
            pending.refused.insert(room, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::events::EventBody, *};
    use crate::view::tests::START;
    use frontrow_domain::id::{Position, TokenId, UserId};

    const INSTANCE: Uuid = Uuid::from_u128(1);

    fn issue(publisher: &Publisher, room: i64, position: i64) {
        let id = TokenId { room_id: RoomId::new(room), position: Position(position) };
        let mut changes = Changes { now: START, ..Changes::default() };
        changes.tokens.inserted = vec![Token::issued(id, UserId(Uuid::nil()), START)];
        publisher.publish(&changes);
    }

    fn close_session(publisher: &Publisher) {
        publisher.publish(&Changes { now: START, closed_sessions: vec![[3; 32]], ..Changes::default() });
    }

    /// Takes the events of at most `limit` items from the channel, as the task does.
    fn taken(QueueItems(inbox): &mut QueueItems, limit: usize) -> Vec<Numbered> {
        let items = std::iter::from_fn(|| inbox.try_recv().ok()).take(limit);
        items.filter_map(|item| if let QueueItem::Batch(batch) = item { batch.event } else { None }).collect()
    }

    /// The first and last numbers of each piece, and of a gap its rooms and the validity of caches.
    type Piece = (u64, u64, Option<(Vec<i64>, CacheValidity)>);

    fn pieces(publisher: &Publisher, published_up_to: u64, events: Vec<Numbered>, rest: Remaining) -> Vec<Piece> {
        let pieces = publisher.pieces(published_up_to, events.into_iter(), || rest);
        pieces
            .iter()
            .map(|piece| {
                let event = events::read(&piece.bytes).unwrap();
                assert_eq!(event.number, piece.number);
                let gap = match event.body {
                    EventBody::Gap(gap) => Some((gap.rooms.iter().map(|room| room.get()).collect(), gap.caches)),
                    EventBody::Changes(_) => None,
                };
                (event.first, event.number, gap)
            })
            .collect()
    }

    #[test]
    fn unpublished_events_become_gaps_in_order() {
        let (publisher, mut items) = Publisher::new(INSTANCE);
        let most = i64::try_from(WAITING_MAX).unwrap();
        let most_number = u64::try_from(WAITING_MAX).unwrap();
        (1..=most).for_each(|at| issue(&publisher, 0, at));
        issue(&publisher, 7, 1);
        close_session(&publisher);
        let early = taken(&mut items, 2);
        issue(&publisher, 0, most + 1);
        issue(&publisher, 0, most + 2);
        issue(&publisher, 9, 1);
        assert_eq!(pieces(&publisher, 0, early, Remaining::Some), [(1, 1, None), (2, 2, None)], "its place is later");
        let late = taken(&mut items, usize::MAX);
        let late = pieces(&publisher, 2, late, Remaining::None);
        assert_eq!(late[WAITING_MAX - 3], (most_number, most_number, None));
        let gap = |first, last, rooms: &[i64], caches| (first, last, Some((rooms.to_vec(), caches)));
        let expected = [
            gap(most_number + 1, most_number + 2, &[7, 9], CacheValidity::Stale),
            (most_number + 3, most_number + 3, None),
            (most_number + 4, most_number + 4, None),
            gap(most_number + 5, most_number + 5, &[9], CacheValidity::Consistent),
        ];
        assert_eq!(late[WAITING_MAX - 2..], expected);
        assert!(publisher.is_behind(most_number + 4));
        publisher.announced(most_number + 5);
        assert!(!publisher.is_behind(most_number + 5));
        assert_eq!(pieces(&publisher, most_number + 5, Vec::new(), Remaining::None), []);
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
        pending.drop_refused();
        assert_eq!((pending.tokens.len(), pending.holds.due.len()), (PENDING_MAX, 1));
        pending.apply(vec![Batch { tokens: vec![token(most + 1)], ..Batch::default() }]);
        pending.drop_refused();
        assert_eq!((pending.tokens.len(), pending.holds.due.len()), (0, 1));
        let over = (1..=most).map(ReservationId::new).collect();
        pending.apply(vec![Batch { holds: HoldChanges { due: Vec::new(), over }, ..Batch::default() }]);
        pending.drop_refused();
        assert!(pending.is_empty());
    }
}
