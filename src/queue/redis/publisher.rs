//! Tells the others what this instance committed, from a task of its own: whoever publishes never waits. What could
//! not be told is remembered as a gap and announced when Redis is back, so that the others look at the rows.

use super::{
    frames,
    holds::{self, HoldChanges},
    keys::Keys,
    link::Link,
    recent::Recent,
    tokens::{self, TokenChanges},
};
use crate::queue::QueueError;
use frontrow_domain::{
    id::{ReservationId, RoomId},
    queue::Token,
    time::Time,
    world::Changes,
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
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
/// How many tokens and deadlines wait for Redis to come back; of more, what Redis has is laid anew.
const OWED_MAX: usize = 100_000;
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

#[derive(Default)]
struct Batch {
    frame: Option<Arc<[u8]>>,
    rooms: BTreeSet<RoomId>,
    tokens: Vec<Token>,
    now: Time,
    holds: HoldChanges,
}

/// What was changed and not told.
#[derive(Debug, Default)]
struct Untold {
    is_gap: bool,
    rooms: BTreeSet<RoomId>,
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
        let mut batch = Batch { frame: None, rooms, tokens, now: changes.now, holds };
        let mut number = lock(&self.number);
        if let Some(mut frame) = frame {
            *number += 1;
            frames::put_number(&mut frame, *number);
            let frame: Arc<[u8]> = frame.into();
            self.recent.push(Arc::clone(&frame));
            batch.frame = Some(frame);
        }
        let sent = self.parcels.try_send(Parcel::Batch(batch));
        drop(number);
        if let Err(full) = sent
            && let Parcel::Batch(batch) = full.into_inner()
        {
            self.note_untold(std::slice::from_ref(&batch));
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

    /// Has it told that frames of these rooms are missing.
    pub(super) fn announce_gap(&self, rooms: impl IntoIterator<Item = RoomId>) {
        {
            let mut untold = lock(&self.untold);
            untold.is_gap = true;
            untold.rooms.extend(rooms);
        }
        self.untold_news.notify_one();
    }

    fn note_untold(&self, batches: &[Batch]) {
        let mut untold = lock(&self.untold);
        for batch in batches {
            if batch.frame.is_some() {
                untold.is_gap = true;
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
            untold.rooms.extend(&batch.rooms);
        }
    }

    fn gap_frame(&self, rooms: &BTreeSet<RoomId>) -> Vec<u8> {
        let rooms: Vec<_> = rooms.iter().copied().collect();
        let mut frame = frames::of_gap(self.instance, &rooms);
        let mut number = lock(&self.number);
        *number += 1;
        frames::put_number(&mut frame, *number);
        frame
    }
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
    count: usize,
}

impl Owed {
    fn take_in(&mut self, batches: Vec<Batch>) {
        for batch in batches {
            self.count += batch.tokens.len() + batch.holds.due.len() + batch.holds.over.len();
            for token in &batch.tokens {
                self.tokens.follow(token, batch.now);
            }
            self.holds.due.extend(batch.holds.due);
            self.holds.over.extend(batch.holds.over);
        }
    }
}

impl Telling {
    /// Tells until the publisher is gone.
    pub(super) async fn run(self, Parcels(mut inbox): Parcels) {
        let mut reach = self.link.reach();
        let mut owed = Owed::default();
        let mut parcels = Vec::new();
        loop {
            let is_behind = owed.count > 0 || lock(&self.publisher.untold).is_gap;
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
            self.tell_frames(&batches).await;
            owed.take_in(batches);
            if self.link.is_up() {
                self.pay(&mut owed).await;
            } else if owed.count > OWED_MAX {
                owed = Owed::default();
                self.spoilt.notify_one();
            }
            for done in flushes {
                // Whoever has stopped waiting needs no answer.
                let _ = done.send(());
            }
        }
    }

    /// Announces what was not told, then tells the frames.
    async fn tell_frames(&self, batches: &[Batch]) {
        let untold = std::mem::take(&mut *lock(&self.publisher.untold));
        let frames: Vec<_> = batches.iter().filter_map(|batch| batch.frame.clone()).collect();
        let mut rest = frames.into_iter().peekable();
        if !untold.is_gap && rest.peek().is_none() {
            return;
        }
        let mut told = self.link.is_up();
        let mut pipeline = redis::Pipeline::new();
        if untold.is_gap && told {
            let frame = self.publisher.gap_frame(&untold.rooms);
            self.add(&mut pipeline, &frame);
        }
        let mut bytes = 0;
        while told && (rest.peek().is_some() || !pipeline.is_empty()) {
            if let Some(frame) = rest.next_if(|_| bytes < BYTES_AT_ONCE) {
                bytes += frame.len();
                self.add(&mut pipeline, &frame);
            } else {
                told = self.send(&pipeline).await.is_ok();
                pipeline = redis::Pipeline::new();
                bytes = 0;
            }
        }
        if !told {
            if untold.is_gap {
                let mut now = lock(&self.publisher.untold);
                now.is_gap = true;
                now.rooms.extend(untold.rooms);
            }
            self.publisher.note_untold(batches);
        }
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
        if owed.count == 0 {
            return;
        }
        let way = self.link.way();
        let paid = async {
            if !owed.holds.is_empty() {
                holds::publish(&mut way.clone(), &self.keys, &owed.holds).await?;
                owed.holds = HoldChanges::default();
            }
            tokens::publish(&way, &self.keys, owed.tokens.clone()).await
        };
        match paid.await {
            Ok(()) => *owed = Owed::default(),
            Err(error) => tracing::debug!(%error, "tokens and deadlines were not told"),
        }
    }
}
