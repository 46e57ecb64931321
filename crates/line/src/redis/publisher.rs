//! Tells the others what this instance committed, from a task of its own: whoever publishes never waits. What could
//! not be told is remembered as a gap and announced when Redis is back, so that the others look at the rows.
//!
//! Frames are told in the order of their numbers, and a gap takes the place of those that are not. So whoever misses a
//! number knows that something was lost on its way.

use super::{
    frames::{self, Caches, Gap},
    holds::{self, HoldChanges},
    keys::Keys,
    link::Link,
    recent::Recent,
    tokens::{self, TokenChanges},
};
use crate::QueueError;
use frontrow_domain::{
    id::{ReservationId, RoomId},
    queue::Token,
    time::Time,
    world::Changes,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Notify, mpsc, oneshot};
use uuid::Uuid;

/// How many batches may wait to be told.
const WAITING_MAX: usize = 4_096;
/// How many batches are told in one round trip, and how many bytes of them.
const AT_ONCE: usize = 256;
const BYTES_AT_ONCE: usize = 1 << 20;
/// About how many frames the stream keeps for readers that are behind.
const STREAM_LEN: usize = 16_384;
/// How many tokens, and how many deadlines, wait until Redis takes them. Of more, what Redis has is laid anew when it is
/// back; where it is there and refuses them, as a full node of a cluster does, they are let go.
const OWED_MAX: usize = 100_000;
/// How long a room whose tokens were refused is left alone. They are copies: nobody waits for them.
const REFUSED: Duration = Duration::from_secs(1);
/// How long after a failure of a server that answers the next try begins.
const RETRY: Duration = Duration::from_millis(250);
/// How long a caller waits until what it published before has been told.
const FLUSH: Duration = Duration::from_secs(1);

/// The key of the stream of frames.
pub(super) fn stream(keys: &Keys) -> String {
    keys.office("frames")
}

enum Parcel {
    Batch(Batch),
    Flush(oneshot::Sender<()>),
}

/// A frame with its number.
#[derive(Clone)]
struct Numbered {
    number: u64,
    bytes: Arc<[u8]>,
    /// What caches know of what it tells, for whoever does not hear it.
    caches: Caches,
}

#[derive(Default)]
struct Batch {
    frame: Option<Numbered>,
    rooms: BTreeSet<RoomId>,
    tokens: Vec<Token>,
    now: Time,
    holds: HoldChanges,
}

/// What was changed, not told, and not announced as a gap yet: the numbers of the frames, which begin at 1.
#[derive(Debug, Default)]
struct Untold {
    /// The last of all.
    last: u64,
    /// The last that concerns caches.
    caches: u64,
    /// The last of each room.
    rooms: BTreeMap<RoomId, u64>,
}

impl Untold {
    /// Takes in a frame that was not told.
    fn note(&mut self, number: u64, caches: Caches, rooms: impl IntoIterator<Item = RoomId>) {
        self.last = self.last.max(number);
        if caches == Caches::Doubtful {
            self.caches = self.caches.max(number);
        }
        for room in rooms {
            let last = self.rooms.entry(room).or_default();
            *last = number.max(*last);
        }
    }

    /// What was not told in the frames from `first` on.
    fn gap(&self, first: u64) -> Gap {
        let rooms = self.rooms.iter().filter(|(_, last)| **last >= first).map(|(room, _)| *room).collect();
        Gap { rooms, caches: if self.caches >= first { Caches::Doubtful } else { Caches::Sure } }
    }
}

/// The publishing side of an instance.
pub(super) struct Publisher {
    instance: Uuid,
    /// Held while a frame gets its number and its place in line.
    number: Mutex<u64>,
    parcels: mpsc::Sender<Parcel>,
    untold: Mutex<Untold>,
    untold_news: Notify,
    recent: Arc<Recent>,
    /// How many batches were not told because too many waited or Redis was away.
    pub(super) dropped: AtomicU64,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("instance", &self.instance).finish_non_exhaustive()
    }
}

/// The task's side.
pub(super) struct Parcels(mpsc::Receiver<Parcel>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Publisher {
    pub(super) fn new(instance: Uuid, recent: Arc<Recent>) -> (Self, Parcels) {
        let (parcels, inbox) = mpsc::channel(WAITING_MAX);
        let publisher = Self {
            instance,
            number: Mutex::default(),
            parcels,
            untold: Mutex::default(),
            untold_news: Notify::new(),
            recent,
            dropped: AtomicU64::new(0),
        };
        (publisher, Parcels(inbox))
    }

    /// Takes in what a batch changed. Never waits: what finds no room is a gap.
    pub(super) fn publish(&self, changes: &Changes) {
        let mut holds = HoldChanges::default();
        for row in changes.reservations.iter() {
            holds.follow(row);
        }
        let frame = frames::of_changes(self.instance, changes);
        if frame.is_none() && holds.is_empty() {
            return;
        }
        let tokens: Vec<_> = changes.tokens.iter().copied().collect();
        let mut rooms: BTreeSet<_> = changes.rooms.iter().map(|room| room.room_id).collect();
        rooms.extend(tokens.iter().map(|token| token.id.room_id));
        rooms.extend(changes.unused.iter().map(|unused| unused.room_id));
        let is_for_lines =
            changes.closed_sessions.is_empty() && changes.users.is_empty() && changes.concerts.is_empty();
        let caches = if is_for_lines { Caches::Sure } else { Caches::Doubtful };
        let mut batch = Batch { frame: None, rooms, tokens, now: changes.now, holds };
        let mut number = lock(&self.number);
        if let Some(mut frame) = frame {
            *number += 1;
            frames::put_number(&mut frame, *number);
            let bytes: Arc<[u8]> = frame.into();
            self.recent.push(Arc::clone(&bytes));
            batch.frame = Some(Numbered { number: *number, bytes, caches });
        }
        if let Err(full) = self.parcels.try_send(Parcel::Batch(batch))
            && let Parcel::Batch(batch) = full.into_inner()
        {
            // Before the next number is given: whoever gets that one must find this one here.
            self.note_untold(&batch);
            self.untold_news.notify_one();
        }
    }

    /// Puts hold deadlines where they will be told.
    pub(super) fn add_holds(&self, due: &[(Time, ReservationId)]) {
        let holds = HoldChanges { due: due.to_vec(), over: Vec::new() };
        // One that finds no room is found in the store.
        let _ = self.parcels.try_send(Parcel::Batch(Batch { holds, ..Batch::default() }));
    }

    /// Waits until what was published before has been told, or a moment.
    pub(super) async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.parcels.try_send(Parcel::Flush(done)).is_ok() {
            let _ = tokio::time::timeout(FLUSH, wait).await;
        }
    }

    /// Has it told that something was changed in these rooms, and maybe in what caches know, that no frame tells of.
    pub(super) fn announce_gap(&self, rooms: impl IntoIterator<Item = RoomId>) {
        {
            let mut number = lock(&self.number);
            *number += 1;
            lock(&self.untold).note(*number, Caches::Doubtful, rooms);
        }
        self.untold_news.notify_one();
    }

    fn note_untold(&self, batch: &Batch) {
        if let Some(frame) = &batch.frame {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            lock(&self.untold).note(frame.number, frame.caches, batch.rooms.iter().copied());
        }
    }

    /// What is to be told after the frame with the number `told_to`: these frames, with gaps for those that are missing
    /// between them; after them too, where `rest` says that no more frames wait.
    fn pieces(
        &self,
        told_to: u64,
        frames: impl Iterator<Item = Numbered>,
        rest: impl FnOnce() -> Rest,
    ) -> Vec<Numbered> {
        let untold = lock(&self.untold);
        let mut next = told_to + 1;
        let mut pieces = Vec::new();
        let gap = |first, last| {
            let gap = untold.gap(first);
            Numbered {
                number: last,
                bytes: frames::of_gap(self.instance, first, last, &gap).into(),
                caches: gap.caches,
            }
        };
        for frame in frames {
            if frame.number > next {
                pieces.push(gap(next, frame.number - 1));
            }
            next = next.max(frame.number + 1);
            pieces.push(frame);
        }
        // Asked for now: what had found no room by now has only frames before it that are in line by now.
        if untold.last >= next && rest() == Rest::None {
            pieces.push(gap(next, untold.last));
        }
        pieces
    }

    /// Forgets what was not told up to `told_to`: it was announced.
    fn announced(&self, told_to: u64) {
        lock(&self.untold).rooms.retain(|_, last| *last > told_to);
    }

    /// Whether something after `told_to` was neither told nor announced.
    fn is_behind(&self, told_to: u64) -> bool {
        lock(&self.untold).last > told_to
    }
}

/// Whether more frames wait to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    None,
    Some,
}

/// What the publishing task needs.
pub(super) struct Telling {
    pub(super) publisher: Arc<Publisher>,
    pub(super) link: Arc<Link>,
    pub(super) keys: Keys,
    /// Called where what Redis has of tokens and deadlines is wrong beyond repair and must be laid anew.
    pub(super) spoilt: Arc<Notify>,
}

/// Tokens and deadlines that Redis has not got yet.
#[derive(Default)]
struct Owed {
    tokens: TokenChanges,
    holds: HoldChanges,
    /// Rooms whose tokens were refused, and when.
    refused: BTreeMap<RoomId, Instant>,
}

impl Owed {
    fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.holds.is_empty()
    }

    fn take_in(&mut self, batches: Vec<Batch>) {
        for batch in batches {
            for token in &batch.tokens {
                self.tokens.follow(token, batch.now);
            }
            self.holds.due.extend(batch.holds.due);
            self.holds.over.extend(batch.holds.over);
        }
    }

    fn has_many_tokens(&self) -> bool {
        self.tokens.len() > OWED_MAX
    }

    fn has_many_holds(&self) -> bool {
        self.holds.due.len() + self.holds.over.len() > OWED_MAX
    }

    /// Lets go what a Redis that is there does not take. The row decides, not the copy of a token; a deadline that
    /// nobody was told of is found in the store.
    fn let_go(&mut self) {
        if self.has_many_tokens() {
            tracing::warn!(rooms = self.refused.len(), "copies of tokens are let go: Redis does not take them");
            self.tokens = TokenChanges::default();
        }
        if self.has_many_holds() {
            tracing::warn!("deadlines of holds are let go: Redis does not take them");
            self.holds = HoldChanges::default();
        }
    }
}

impl Telling {
    /// Tells until the publisher is gone.
    pub(super) async fn run(self, Parcels(mut inbox): Parcels) {
        let mut reach = self.link.reach();
        let mut owed = Owed::default();
        let mut parcels = Vec::new();
        // All frames up to this number were told or announced as a gap.
        let mut told_to = 0;
        loop {
            let is_behind = !owed.is_empty() || self.publisher.is_behind(told_to);
            tokio::select! {
                biased;
                count = inbox.recv_many(&mut parcels, AT_ONCE) => if count == 0 { return },
                () = self.publisher.untold_news.notified() => {}
                changed = reach.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(RETRY), if is_behind && self.link.is_up() => {}
            }
            let (mut batches, mut flushes) = (Vec::new(), Vec::new());
            for parcel in parcels.drain(..) {
                match parcel {
                    Parcel::Batch(batch) => batches.push(batch),
                    Parcel::Flush(done) => flushes.push(done),
                }
            }
            told_to =
                self.tell_frames(told_to, &batches, || if inbox.is_empty() { Rest::None } else { Rest::Some }).await;
            owed.take_in(batches);
            if self.link.is_up() {
                self.pay(&mut owed).await;
            }
            if self.link.is_up() {
                owed.let_go();
            } else if owed.has_many_tokens() || owed.has_many_holds() {
                owed = Owed::default();
                self.spoilt.notify_one();
            }
            for done in flushes {
                // Whoever has stopped waiting needs no answer.
                let _ = done.send(());
            }
        }
    }

    /// Tells the frames, and announces those that were not told. The number up to which this is done, which is `told_to`
    /// or more.
    async fn tell_frames(&self, mut told_to: u64, batches: &[Batch], rest: impl FnOnce() -> Rest) -> u64 {
        let frames = batches.iter().filter_map(|batch| batch.frame.clone());
        let mut is_told = self.link.is_up();
        let pieces = if is_told { self.publisher.pieces(told_to, frames, rest) } else { Vec::new() };
        let mut pieces = pieces.into_iter().peekable();
        while is_told && pieces.peek().is_some() {
            let (mut pipeline, mut bytes, mut last) = (redis::Pipeline::new(), 0, told_to);
            while let Some(piece) = pieces.next_if(|_| bytes < BYTES_AT_ONCE) {
                bytes += piece.bytes.len();
                last = piece.number;
                self.add(&mut pipeline, &piece.bytes);
            }
            is_told = self.send(&pipeline).await.is_ok();
            if is_told {
                told_to = last;
            }
        }
        if is_told {
            self.publisher.announced(told_to);
        } else {
            let is_left = |batch: &&Batch| batch.frame.as_ref().is_some_and(|frame| frame.number > told_to);
            batches.iter().filter(is_left).for_each(|batch| self.publisher.note_untold(batch));
        }
        told_to
    }

    fn add(&self, pipeline: &mut redis::Pipeline, frame: &[u8]) {
        pipeline
            .cmd("XADD")
            .arg(stream(&self.keys))
            .arg("MAXLEN")
            .arg("~")
            .arg(STREAM_LEN)
            .arg("*")
            .arg("f")
            .arg(frame);
        pipeline.ignore();
    }

    async fn send(&self, pipeline: &redis::Pipeline) -> Result<(), QueueError> {
        self.link.run_pipeline::<()>(pipeline).await.inspect_err(|error| {
            tracing::debug!(%error, "frames were not told");
            self.link.doubt();
        })
    }

    /// Brings Redis's tokens and deadlines up to date. What fails is tried again: telling it twice does no harm.
    async fn pay(&self, owed: &mut Owed) {
        let way = self.link.way();
        if !owed.holds.is_empty() {
            match holds::publish(&mut way.clone(), &self.keys, &owed.holds).await {
                Ok(()) => owed.holds = HoldChanges::default(),
                Err(error) => tracing::debug!(%error, "deadlines were not told"),
            }
        }
        owed.refused.retain(|_, at| at.elapsed() < REFUSED);
        let refused = &owed.refused;
        for (room, error) in tokens::tell(&way, &self.keys, &mut owed.tokens, |room| !refused.contains_key(&room)).await
        {
            tracing::debug!(%error, room = room.get(), "tokens were not told");
            owed.refused.insert(room, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::frames::Body, *};
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

    /// How the task takes what is in line, at most `limit` batches.
    fn taken(Parcels(inbox): &mut Parcels, limit: usize) -> Vec<Numbered> {
        let parcels = std::iter::from_fn(|| inbox.try_recv().ok()).take(limit);
        parcels.filter_map(|parcel| if let Parcel::Batch(batch) = parcel { batch.frame } else { None }).collect()
    }

    /// The first and last numbers of each piece, and of a gap its rooms and what becomes of caches.
    type Piece = (u64, u64, Option<(Vec<i64>, Caches)>);

    fn pieces(publisher: &Publisher, told_to: u64, frames: Vec<Numbered>, rest: Rest) -> Vec<Piece> {
        let pieces = publisher.pieces(told_to, frames.into_iter(), || rest);
        pieces
            .iter()
            .map(|piece| {
                let frame = frames::read(&piece.bytes).unwrap();
                assert_eq!(frame.number, piece.number);
                let gap = match frame.body {
                    Body::Gap(gap) => Some((gap.rooms.iter().map(|room| room.get()).collect(), gap.caches)),
                    Body::Told(_) => None,
                };
                (frame.first, frame.number, gap)
            })
            .collect()
    }

    #[test]
    fn what_finds_no_room_is_announced_in_its_place_among_the_frames() {
        let (publisher, mut parcels) = Publisher::new(INSTANCE, Arc::default());
        let most = i64::try_from(WAITING_MAX).unwrap();
        let most_number = u64::try_from(WAITING_MAX).unwrap();
        (1..=most).for_each(|at| issue(&publisher, 0, at));
        issue(&publisher, 7, 1);
        close_session(&publisher);
        let early = taken(&mut parcels, 2);
        issue(&publisher, 0, most + 1);
        issue(&publisher, 0, most + 2);
        issue(&publisher, 9, 1);
        assert_eq!(pieces(&publisher, 0, early, Rest::Some), [(1, 1, None), (2, 2, None)], "its place is later");
        let late = taken(&mut parcels, usize::MAX);
        let told = pieces(&publisher, 2, late, Rest::None);
        assert_eq!(told[WAITING_MAX - 3], (most_number, most_number, None));
        let gap = |first, last, rooms: &[i64], caches| (first, last, Some((rooms.to_vec(), caches)));
        let expected = [
            gap(most_number + 1, most_number + 2, &[7, 9], Caches::Doubtful),
            (most_number + 3, most_number + 3, None),
            (most_number + 4, most_number + 4, None),
            gap(most_number + 5, most_number + 5, &[9], Caches::Sure),
        ];
        assert_eq!(told[WAITING_MAX - 2..], expected);
        assert!(publisher.is_behind(most_number + 4));
        publisher.announced(most_number + 5);
        assert!(!publisher.is_behind(most_number + 5));
        assert_eq!(pieces(&publisher, most_number + 5, Vec::new(), Rest::None), []);
    }

    #[test]
    fn what_redis_does_not_take_is_let_go_and_a_few_deadlines_are_kept() {
        let mut owed = Owed::default();
        let token = |at| {
            let id = TokenId { room_id: RoomId::HOUSE, position: Position(at) };
            Token::issued(id, UserId(Uuid::nil()), START)
        };
        let most = i64::try_from(OWED_MAX).unwrap();
        let due = vec![(START, ReservationId::new(1))];
        let holds = HoldChanges { due, over: Vec::new() };
        owed.take_in(vec![Batch { tokens: (1..=most).map(token).collect(), holds, ..Batch::default() }]);
        // Once more: a token is owed once.
        owed.take_in(vec![Batch { tokens: (1..=most).map(token).collect(), ..Batch::default() }]);
        owed.let_go();
        assert_eq!((owed.tokens.len(), owed.holds.due.len()), (OWED_MAX, 1));
        owed.take_in(vec![Batch { tokens: vec![token(most + 1)], ..Batch::default() }]);
        owed.let_go();
        assert_eq!((owed.tokens.len(), owed.holds.due.len()), (0, 1));
        let over = (1..=most).map(ReservationId::new).collect();
        owed.take_in(vec![Batch { holds: HoldChanges { due: Vec::new(), over }, ..Batch::default() }]);
        owed.let_go();
        assert!(owed.is_empty());
    }
}
