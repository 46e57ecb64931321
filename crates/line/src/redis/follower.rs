//! Follows the other instances: applies their events to the lines, and reads the rows. Busy lines are refreshed every
//! few seconds, which heals the loss of an event; lines whose events were missed are rebuilt.

use super::{
    RedisInstance,
    events::{BatchChanges, CacheValidity, Event, EventBody, Gap},
    gaps::Gaps,
    notices::{Notice, Notices},
};
use crate::{
    lines::{Lines, Rebuild},
    lock::lock,
    replicas::{ChangeOrigin, LineReading, Replicas},
    view::{Delta, deltas},
};
use frontrow_clock::Clock;
use frontrow_domain::{
    id::{RoomId, TokenId},
    time::Time,
};
use frontrow_storage::{Life, RoomSummary, Store, StoreError, trouble::Trouble};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::Notify, task::JoinSet};

/// Pause after requested readings.
const PAUSE: Duration = Duration::from_secs(1);
/// Lines read from the store at a time.
const LINES_AT_ONCE_MAX: usize = 4;
/// A gap that names more rooms than this has all lines rebuilt: quiet ones are read by one query then.
const ROOMS_OF_GAP_MAX: usize = 8;

/// The lines of this instance, kept up to date.
#[derive(Debug)]
pub(super) struct Follower {
    replicas: Replicas,
    store: Arc<dyn Store>,
    clock: Clock,
    gaps: Gaps,
    notices: Notices,
    /// When all lines were last known to be current, in microseconds since the epoch.
    confirmed: Arc<AtomicI64>,
    /// How many times a line was rebuilt from its rows.
    rebuilds: AtomicU64,
    requested: Mutex<RequestedReadings>,
    request_news: Notify,
}

/// Lines to read.
#[derive(Debug, Default)]
struct RequestedReadings {
    /// Every line is to be rebuilt.
    all: bool,
    /// The busy lines are to be refreshed.
    busy: bool,
    rooms: BTreeMap<RoomId, LineReading>,
}

impl RequestedReadings {
    fn add(&mut self, room: RoomId, reading: LineReading) {
        let wanted = self.rooms.entry(room).or_insert(reading);
        *wanted = reading.max(*wanted);
    }

    fn merge(&mut self, other: Self) {
        self.all |= other.all;
        other.rooms.into_iter().for_each(|(room, reading)| self.add(room, reading));
    }
}

impl Follower {
    pub(super) fn new(store: Arc<dyn Store>, clock: Clock, notices: Notices, gap_grace: Duration) -> Self {
        let confirmed = Arc::new(AtomicI64::new(0));
        Self {
            replicas: Replicas::new(Arc::clone(&confirmed)),
            store,
            clock,
            gaps: Gaps::new(gap_grace),
            notices,
            confirmed,
            rebuilds: AtomicU64::new(0),
            requested: Mutex::default(),
            request_news: Notify::new(),
        }
    }

    pub(super) const fn replicas(&self) -> &Replicas {
        &self.replicas
    }

    pub(super) const fn lines(&self) -> &Arc<Lines> {
        self.replicas.lines()
    }

    /// This instance's time.
    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Notes that all events were read: no older one is to come.
    pub(super) fn confirm(&self) {
        self.confirmed.fetch_max(self.now().micros(), Ordering::Relaxed);
    }

    /// How long ago this instance last had all events of the others.
    pub(super) fn lag(&self) -> Duration {
        let lag = self.now().micros().saturating_sub(self.confirmed.load(Ordering::Relaxed));
        Duration::from_micros(u64::try_from(lag).unwrap_or(0))
    }

    /// How many times a line was rebuilt from its rows.
    pub(super) fn rebuilds(&self) -> u64 {
        self.rebuilds.load(Ordering::Relaxed)
    }

    /// Applies an event of another instance.
    pub(super) fn apply_event(&self, event: Event) {
        match event.body {
            EventBody::Gap(Gap { rooms, .. }) if rooms.len() > ROOMS_OF_GAP_MAX => self.request_rebuild_of_all(),
            EventBody::Gap(Gap { rooms, caches }) => {
                self.request(rooms, LineReading::Rebuild);
                if caches == CacheValidity::Stale {
                    self.notices.send(Notice::Missed);
                }
            }
            EventBody::Changes(batch) => self.apply_batch(*batch),
        }
    }

    fn apply_batch(&self, BatchChanges { changes, roles, concerts }: BatchChanges) {
        for room in &changes.rooms.inserted {
            self.replicas.put_new(room, changes.now);
        }
        for (room, delta) in deltas(&changes) {
            if let Some(reading) = self.replicas.apply(room, &delta, ChangeOrigin::Remote) {
                self.request([room], reading);
            }
        }
        let sessions = changes.closed_sessions.into_iter().map(Notice::SessionClosed);
        let others = roles.into_iter().map(Notice::RoleSet).chain(concerts.into_iter().map(Notice::ConcertChanged));
        sessions.chain(others).for_each(|notice| self.notices.send(notice));
    }

    /// Requests a rebuild of every line, and tells caches that they may be stale.
    pub(super) fn request_rebuild_of_all(&self) {
        if !std::mem::replace(&mut lock(&self.requested).all, true) {
            self.notices.send(Notice::Missed);
        }
        self.request_news.notify_one();
    }

    /// Requests that the rows of these lines are read.
    pub(super) fn request(&self, rooms: impl IntoIterator<Item = RoomId>, reading: LineReading) {
        let mut requested = lock(&self.requested);
        rooms.into_iter().for_each(|room| requested.add(room, reading));
        self.request_news.notify_one();
    }

    /// Reads rows for ever: the requested ones, and those of busy lines `every` so often, or `down_every` while Redis is
    /// down.
    pub(super) async fn run(self: Arc<Self>, instance: Arc<RedisInstance>, every: Duration, down_every: Duration) {
        let trouble = Trouble::new("some lines cannot be read from the database");
        let mut refreshed_at = Instant::now();
        loop {
            // Woken or not, it takes what there is.
            let _ = tokio::time::timeout(down_every.min(every), self.request_news.notified()).await;
            let mut wanted = std::mem::take(&mut *lock(&self.requested));
            let has_requests = wanted.all || !wanted.rooms.is_empty();
            if refreshed_at.elapsed() >= if instance.client.is_up() { every } else { down_every } {
                refreshed_at = Instant::now();
                wanted.busy = true;
            }
            let failed = match self.rooms_of(&wanted).await {
                Ok(rooms) => self.read(rooms, &trouble).await,
                Err(error) => {
                    trouble.came(&error);
                    wanted
                }
            };
            if failed.rooms.is_empty() && !failed.all && !failed.busy {
                trouble.is_over();
            }
            lock(&self.requested).merge(failed);
            if has_requests {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// The lines to read.
    async fn rooms_of(&self, wanted: &RequestedReadings) -> Result<BTreeMap<RoomId, LineReading>, StoreError> {
        let mut rooms = wanted.rooms.clone();
        if wanted.busy {
            let by_rows: BTreeSet<_> = self.store.busy_rooms().await?.into_iter().collect();
            let by_views: BTreeSet<_> = self.lines().busy_rooms().into_iter().collect();
            // A room that another process made is loaded at the first request for it.
            for room in by_rows.union(&by_views).filter(|room| self.lines().view(**room).is_some()) {
                // A change on its way looks like that for a moment. If it is lost, a refresh does not repair everything.
                let is_odd = by_rows.contains(room) != by_views.contains(room);
                rooms.entry(*room).or_insert(if is_odd { LineReading::Rebuild } else { LineReading::Refresh });
            }
        }
        if wanted.all {
            // Quiet lines are loaded after one query, except for those whose views disagree with the rows.
            let standings = self.store.standings().await?;
            let (quiet, busy): (Vec<_>, Vec<_>) = standings.into_iter().partition(|one| one.life == Life::Empty);
            let quiet: Vec<_> = quiet.into_iter().map(RoomSummary::empty_line).collect();
            let busy = busy.iter().map(|one| one.room.room_id);
            rooms.extend(busy.chain(self.replicas.load_quiet_rooms(&quiet)).map(|room| (room, LineReading::Rebuild)));
        }
        Ok(rooms)
    }

    /// Reads these lines, some at a time. Returns those that failed.
    async fn read(self: &Arc<Self>, rooms: BTreeMap<RoomId, LineReading>, trouble: &Trouble) -> RequestedReadings {
        let (mut failed, mut tasks, mut rooms) = (RequestedReadings::default(), JoinSet::new(), rooms.into_iter());
        loop {
            while tasks.len() < LINES_AT_ONCE_MAX
                && let Some((room, reading)) = rooms.next()
            {
                let follower = Arc::clone(self);
                tasks.spawn(async move { (room, reading, follower.read_line(room, reading).await) });
            }
            match tasks.join_next().await {
                Some(Ok((room, reading, Err(error)))) => {
                    trouble.came(&error);
                    failed.add(room, reading);
                }
                Some(_) => {}
                None => return failed,
            }
        }
    }

    async fn read_line(&self, room: RoomId, reading: LineReading) -> Result<(), StoreError> {
        if reading == LineReading::Rebuild || self.refresh(room).await? == Some(LineReading::Rebuild) {
            let begun = self.replicas.deltas_of(room);
            if let Some(line) = self.store.line(room).await? {
                self.rebuilds.fetch_add(1, Ordering::Relaxed);
                self.replicas.rebuild(&line, Rebuild::Replace, Some(begun));
                tracing::info!(room = room.get(), "line rebuilt from the database");
            }
        }
        Ok(())
    }

    /// Reconciles a line with its rows, and removes its unassigned positions. Returns [`LineReading::Rebuild`] if these rows
    /// do not suffice.
    async fn refresh(&self, room: RoomId) -> Result<Option<LineReading>, StoreError> {
        let (begun, at) = (self.replicas.deltas_of(room), self.now());
        let Some(line) = self.store.live_line(room).await? else { return Ok(None) };
        if let Some(reading) = self.replicas.reconcile(&line, begun, at) {
            return Ok(Some(reading));
        }
        let Some(view) = self.lines().view(room) else { return Ok(None) };
        let unused = self.gaps.resolve(&*self.store, &view).await?;
        if !unused.is_empty() {
            tracing::debug!(room = room.get(), positions = unused.len(), "unassigned positions leave a line");
            let unused: Vec<_> = unused.into_iter().map(|position| TokenId { room_id: room, position }).collect();
            self.replicas.apply(room, &Delta { unused: &unused, ..Delta::none(line.now) }, ChangeOrigin::Local);
        }
        Ok(None)
    }
}
