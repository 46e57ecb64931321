//! An instance of many that is driven from outside: its lines, the order of changes, what it reads of an event and its
//! heartbeats are those of an instance over Redis. What Redis does between the instances is done by the caller, message
//! by message and in the caller's time. For simulations.

use super::{
    events::{self, BatchChanges, Gap},
    heartbeats::{self, Heartbeats},
};
pub use crate::replicas::LineReading;
use crate::{
    lines::{CarriedSign, HeardSince, Lines, Rebuild},
    lock::lock,
    peers::{Leadership, PeerFigures, PeerStatus, Peers, PeersError},
    record::{BesideRows, KnownHeartbeats, RecordTerms, TakenUp},
    replicas::{ChangeOrigin, Replicas},
    view::deltas,
};
use async_trait::async_trait;
use frontrow_domain::{
    changes::Changes,
    id::{Position, ReservationId, RoomId, TokenId},
    line::{Fence, SilentToken, Token},
    outage::Outages,
    policy::Policy,
    time::{Span, Time},
};
use frontrow_storage::{Line, SavedLineRecord, Sharing};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Whether an instance can use Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisLink {
    /// It can.
    Up,
    /// It cannot: nothing is heard of the others.
    Lost,
}

/// One instance of many.
#[derive(Debug)]
pub struct DrivenInstance {
    replicas: Replicas,
    heartbeats: Heartbeats,
    /// When all lines were last known to be current, in microseconds since the epoch.
    confirmed: Arc<AtomicI64>,
    link: Mutex<RedisLink>,
    /// The caller's time, in microseconds since the epoch.
    now: AtomicI64,
    /// An instant, and the caller's time that it stands for.
    began: (Instant, Time),
}

impl DrivenInstance {
    /// An instance that starts at `now`, without lines. It calls no token unresponsive before the others had `warm_up` to
    /// publish their heartbeats.
    #[must_use]
    pub fn new(id: Uuid, warm_up: Duration, now: Time) -> Self {
        let confirmed = Arc::new(AtomicI64::new(now.micros()));
        Self {
            replicas: Replicas::new(Arc::clone(&confirmed)),
            heartbeats: Heartbeats::new(id, warm_up),
            confirmed,
            link: Mutex::new(RedisLink::Up),
            now: AtomicI64::new(now.micros()),
            began: (Instant::now(), now),
        }
    }

    /// Sets the time of the instance, which does not go back.
    pub fn set_time(&self, now: Time) {
        self.now.fetch_max(now.micros(), Ordering::Relaxed);
    }

    fn now(&self) -> Time {
        Time::from_micros(self.now.load(Ordering::Relaxed))
    }

    fn instant(&self) -> Instant {
        let since = self.now().since(self.began.1).micros();
        self.began.0 + Duration::from_micros(u64::try_from(since).unwrap_or(0))
    }

    fn known_heartbeats(&self, room: RoomId) -> KnownHeartbeats {
        let is_known = *lock(&self.link) == RedisLink::Up && self.heartbeats.can_judge(room, self.instant());
        if is_known { KnownHeartbeats::All } else { KnownHeartbeats::Some }
    }

    /// Takes a line up from its rows, as they are now, and from the record that was kept of it, as an instance that starts
    /// does.
    pub fn take_up(&self, line: &Line, record: Option<&SavedLineRecord>) {
        let outages = Outages::default();
        let record = record.and_then(|saved| TakenUp::from_saved(saved, line, &outages).ok());
        self.replicas.rebuild(line, &BesideRows { record, outages }, Rebuild::Replace, None);
    }

    /// Builds a line from its rows, as they are now. Changes that come later stay applied.
    pub fn rebuild_from(&self, line: &Line) {
        let begun = self.replicas.deltas_of(line.room.room_id);
        self.replicas.rebuild(line, &BesideRows::default(), Rebuild::Replace, Some(begun));
    }

    /// Reconciles a line with the rows of its live tokens, as they are now. Returns [`LineReading::Rebuild`] if these do not
    /// suffice.
    #[must_use]
    pub fn refresh_from(&self, line: &Line) -> Option<LineReading> {
        let begun = self.replicas.deltas_of(line.room.room_id);
        self.replicas.reconcile(line, begun, self.now())
    }

    /// Applies what it reads of the changes of a batch that another instance committed. Returns how the rows of a line are
    /// to be read, if its view cannot be true without them.
    #[must_use]
    pub fn receive(&self, changes: &Changes) -> Vec<(RoomId, LineReading)> {
        // As an instance does that meets an event that it cannot read.
        let Ok(BatchChanges { changes, .. }) = events::as_read(changes) else {
            return Gap::of(changes).rooms.into_iter().map(|room| (room, LineReading::Rebuild)).collect();
        };
        let deltas = deltas(&changes).into_iter();
        let readings = deltas.filter_map(|(room, delta)| {
            self.replicas.apply(room, &delta, ChangeOrigin::Remote).map(|reading| (room, reading))
        });
        readings.collect()
    }

    /// Notes that all that the others had published was read.
    pub fn confirm(&self) {
        self.confirmed.fetch_max(self.now().micros(), Ordering::Relaxed);
        self.heartbeats.note_read(self.instant());
    }

    /// The heartbeats that the others do not know of; none if there are none. They count as published.
    #[must_use]
    pub fn publish_heartbeats(&self) -> Option<Vec<u8>> {
        let (lines, now) = (self.replicas.lines(), self.now());
        let found = Heartbeats::unpublished(lines, now);
        let publication = self.heartbeats.publication(lines, &found, now);
        for (room, seen) in &found {
            lines.mark_published(*room, seen);
        }
        self.heartbeats.note_published(lines, now, self.instant());
        publication
    }

    /// Records the heartbeats that another instance published.
    pub fn hear(&self, publication: &[u8]) {
        self.heartbeats.receive(publication, self.replicas.lines(), self.now());
    }

    /// Sets whether Redis can be used. The exchange of heartbeats begins anew with each change.
    pub fn set_link(&self, link: RedisLink) {
        *lock(&self.link) = link;
        self.heartbeats.forget();
    }
}

#[async_trait]
impl Peers for DrivenInstance {
    fn lines(&self) -> &Arc<Lines> {
        self.replicas.lines()
    }

    fn sharing(&self) -> Sharing {
        Sharing::Shared
    }

    async fn rebuild(&self, line: Line, rebuild: Rebuild) {
        self.replicas.rebuild(&line, &BesideRows::default(), rebuild, None);
    }

    fn load_quiet_rooms(&self, lines: &[Line]) -> Vec<RoomId> {
        self.replicas.load_quiet_rooms(lines)
    }

    /// Applies the changes here: the caller takes them to the others.
    fn publish(&self, changes: &Changes) {
        for (room, delta) in deltas(changes) {
            self.replicas.apply(room, &delta, ChangeOrigin::Local);
        }
    }

    fn announce_gap(&self) {}

    fn request_refresh(&self, _: Vec<RoomId>) {}

    fn unresponsive(&self, room: RoomId, limit: u32, since: HeardSince) -> Vec<SilentToken> {
        match self.known_heartbeats(room) {
            KnownHeartbeats::All => self.lines().unresponsive(room, limit, since),
            KnownHeartbeats::Some => Vec::new(),
        }
    }

    fn signs_of_life(&self, room: RoomId, moves: &[(Position, Position)]) -> Vec<CarriedSign> {
        heartbeats::exchanged_signs(self.known_heartbeats(room), self.lines(), room, moves)
    }

    /// Of any line: who leads is the caller's affair.
    fn line_record(&self, room: RoomId, now: Time, policy: &Policy) -> Option<SavedLineRecord> {
        self.lines().record(room, &RecordTerms::new(now, policy, self.known_heartbeats(room)))
    }

    async fn take_due_holds(&self, _: Time, _: u32) -> Result<Vec<ReservationId>, PeersError> {
        Ok(Vec::new())
    }

    fn add_hold_deadlines(&self, _: &[(Time, ReservationId)]) {}

    async fn lead(&self, rooms: &[(RoomId, Fence)], _: Span) -> Vec<Leadership> {
        vec![Leadership::Follower; rooms.len()]
    }

    fn leave(&self, _: RoomId) {}

    async fn token(&self, _: TokenId) -> Result<Option<Token>, PeersError> {
        Ok(None)
    }

    async fn exchange_figures(&self, _: &[u8], _: &[Uuid]) -> Result<Vec<PeerFigures>, PeersError> {
        Ok(Vec::new())
    }

    fn status(&self) -> Option<PeerStatus> {
        None
    }

    async fn shutdown(&self) {}
}
