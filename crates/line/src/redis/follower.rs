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
    record::BesideRows,
    replicas::{ChangeOrigin, LineReading, Replicas},
    view::{Delta, deltas},
};
use frontrow_clock::Clock;
use frontrow_domain::{
    id::{RoomId, TokenId},
    time::Time,
};
use frontrow_storage::{Life, Line, RoomSummary, Store, StoreError, trouble::Trouble};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, Semaphore},
    task::{AbortHandle, JoinSet},
};

/// Pause after requested readings.
const PAUSE: Duration = Duration::from_secs(1);
/// Lines read from the store at a time.
const LINES_AT_ONCE_MAX: usize = 4;
/// Up to this many requested lines are all read whole. Of more, the quiet ones are loaded by one query.
const WHOLE_READS_MAX: usize = 8;
/// Over how long the rounds of several instances are spread, so that they do not read the same rows at once.
const SPREAD_MS: u128 = 100;

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

/// Rooms that are busy by their views and quiet by their rows: how many deltas each view had applied when that was
/// noticed, and when it was.
type OddRooms = BTreeMap<RoomId, (u64, Instant)>;

/// The readings under way, at most one of a line.
struct LineReadings {
    tasks: JoinSet<LineRead>,
    under_way: BTreeMap<RoomId, AbortHandle>,
    /// Refreshes do not wait for rebuilds, which may take long.
    refreshes: Arc<Semaphore>,
    rebuilds: Arc<Semaphore>,
    /// The lines whose last reading failed.
    failed: BTreeSet<RoomId>,
    trouble: Trouble,
}

/// A reading that has ended.
type LineRead = (RoomId, LineReading, Result<(), StoreError>);

impl Default for LineReadings {
    fn default() -> Self {
        let permits = || Arc::new(Semaphore::new(LINES_AT_ONCE_MAX));
        Self {
            tasks: JoinSet::new(),
            under_way: BTreeMap::new(),
            refreshes: permits(),
            rebuilds: permits(),
            failed: BTreeSet::new(),
            trouble: Trouble::new("some lines cannot be read from the database"),
        }
    }
}

impl LineReadings {
    /// Begins to read a line. Returns false if a reading of it is under way.
    fn begin(&mut self, follower: &Arc<Follower>, room: RoomId, reading: LineReading) -> bool {
        if self.under_way.contains_key(&room) {
            return false;
        }
        let follower = Arc::clone(follower);
        let permits = Arc::clone(match reading {
            LineReading::Refresh => &self.refreshes,
            LineReading::Rebuild => &self.rebuilds,
        });
        let task = self.tasks.spawn(async move {
            // The semaphore is never closed.
            let _permit = permits.acquire().await;
            (room, reading, follower.read_line(room, reading).await)
        });
        self.under_way.insert(room, task);
        true
    }

    /// Notes which readings have ended. Returns those that failed: they are to be repeated.
    fn collect(&mut self) -> RequestedReadings {
        let mut failed = RequestedReadings::default();
        while let Some(read) = self.tasks.try_join_next() {
            match read {
                Ok((room, reading, Err(error))) => {
                    self.trouble.came(&error);
                    self.failed.insert(room);
                    failed.add(room, reading);
                }
                Ok((room, ..)) => _ = self.failed.remove(&room),
                Err(error) => tracing::error!(%error, "reading a line panicked"),
            }
        }
        self.under_way.retain(|_, task| !task.is_finished());
        failed
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
            EventBody::Gap(Gap { rooms, caches, .. }) => {
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
        lock(&self.requested).all = true;
        self.notices.send(Notice::Missed);
        self.request_news.notify_one();
    }

    /// Requests that the rows of these lines are read.
    pub(super) fn request(&self, rooms: impl IntoIterator<Item = RoomId>, reading: LineReading) {
        let mut requested = lock(&self.requested);
        rooms.into_iter().for_each(|room| requested.add(room, reading));
        self.request_news.notify_one();
    }

    /// Notes the rows of a line, and builds its view from them. `begun` is as in [`Replicas::rebuild`].
    pub(super) async fn rebuild(&self, line: &Line, rebuild: Rebuild, begun: Option<u64>) {
        let is_missing = self.lines().view(line.room.room_id).is_none();
        if rebuild == Rebuild::Replace || is_missing {
            self.gaps.note_rows(line);
        }
        let beside =
            if is_missing { BesideRows::taken_up(&*self.store, line).await } else { BesideRows::loaded(&*self.store) };
        self.replicas.rebuild(line, &beside, rebuild, begun);
    }

    /// Adds quiet rooms that are missing. Returns those whose views disagree with the rows.
    pub(super) fn load_quiet_rooms(&self, lines: &[Line]) -> Vec<RoomId> {
        let missing = lines.iter().filter(|line| self.lines().view(line.room.room_id).is_none());
        missing.for_each(|line| self.gaps.note_rows(line));
        self.replicas.load_quiet_rooms(lines)
    }

    /// Reads rows for ever: the requested ones, and those of busy lines `every` so often, or `down_every` while Redis is
    /// down. No line waits until another one is read.
    pub(super) async fn run(self: Arc<Self>, instance: Arc<RedisInstance>, every: Duration, down_every: Duration) {
        let spread = Duration::from_millis(u64::try_from(instance.id.as_u128() % SPREAD_MS).unwrap_or(0));
        let (mut readings, mut odd, mut refreshed_at) = (LineReadings::default(), OddRooms::new(), Instant::now());
        let refresh_every = || if instance.client.is_up() { every } else { down_every };
        loop {
            let rest = refresh_every().saturating_sub(refreshed_at.elapsed()).min(down_every);
            if tokio::time::timeout(rest, self.request_news.notified()).await.is_ok() {
                tokio::time::sleep(spread).await;
            }
            let failed = readings.collect();
            let mut wanted = std::mem::take(&mut *lock(&self.requested));
            wanted.merge(failed);
            let has_requests = wanted.all || !wanted.rooms.is_empty();
            if refreshed_at.elapsed() >= refresh_every() {
                refreshed_at = Instant::now();
                wanted.busy = true;
            }
            match self.rooms_of(&wanted, &mut odd).await {
                Ok(rooms) => {
                    if readings.failed.is_empty() {
                        readings.trouble.is_over();
                    }
                    for (room, reading) in rooms {
                        let is_requested = reading == LineReading::Rebuild || wanted.rooms.contains_key(&room);
                        if !readings.begin(&self, room, reading) && is_requested {
                            // The reading under way may have missed what it was requested for.
                            lock(&self.requested).add(room, reading);
                        }
                    }
                }
                Err(error) => {
                    readings.trouble.came(&error);
                    lock(&self.requested).merge(wanted);
                }
            }
            if has_requests {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// The lines to read.
    async fn rooms_of(
        &self,
        wanted: &RequestedReadings,
        odd: &mut OddRooms,
    ) -> Result<BTreeMap<RoomId, LineReading>, StoreError> {
        let mut rooms = wanted.rooms.clone();
        let is_whole = |reading: &LineReading| *reading == LineReading::Rebuild;
        if wanted.all || rooms.values().filter(|reading| is_whole(reading)).count() > WHOLE_READS_MAX {
            // Quiet lines are loaded after one query, except for those whose views disagree with the rows.
            let standings = self.store.standings().await?.into_iter();
            let standings = standings.filter(|one| wanted.all || rooms.get(&one.room.room_id).is_some_and(is_whole));
            let (quiet, busy): (Vec<_>, Vec<_>) = standings.partition(|one| one.life == Life::Empty);
            let quiet: Vec<_> = quiet.into_iter().map(RoomSummary::empty_line).collect();
            let busy = busy.iter().map(|one| one.room.room_id);
            rooms.retain(|_, reading| !is_whole(reading));
            rooms.extend(busy.chain(self.load_quiet_rooms(&quiet)).map(|room| (room, LineReading::Rebuild)));
        }
        if wanted.busy {
            let by_rows: BTreeSet<_> = self.store.busy_rooms().await?.into_iter().collect();
            let by_views: BTreeSet<_> = self.lines().busy_rooms().into_iter().collect();
            let known = std::mem::take(odd);
            // A room that another process made is loaded at the first request for it.
            for room in by_rows.union(&by_views).filter(|room| self.lines().view(**room).is_some()) {
                // A change on its way looks odd for a moment. If it is lost, a refresh does not repair everything.
                let reading = match (by_views.contains(room), by_rows.contains(room)) {
                    (false, _) => LineReading::Rebuild,
                    (true, true) => LineReading::Refresh,
                    (true, false) => {
                        let deltas = self.replicas.deltas_of(*room);
                        match known.get(room).filter(|(then, _)| *then == deltas) {
                            Some((_, since)) if since.elapsed() > self.gaps.grace => LineReading::Rebuild,
                            since => {
                                odd.insert(*room, since.copied().unwrap_or((deltas, Instant::now())));
                                LineReading::Refresh
                            }
                        }
                    }
                };
                rooms.entry(*room).or_insert(reading);
            }
        }
        Ok(rooms)
    }

    async fn read_line(&self, room: RoomId, reading: LineReading) -> Result<(), StoreError> {
        match reading {
            LineReading::Refresh => {
                if let Some(reading) = self.refresh(room).await? {
                    self.request([room], reading);
                }
            }
            LineReading::Rebuild => {
                let begun = self.replicas.deltas_of(room);
                if let Some(line) = self.store.line(room).await? {
                    self.rebuilds.fetch_add(1, Ordering::Relaxed);
                    self.rebuild(&line, Rebuild::Replace, Some(begun)).await;
                    tracing::info!(room = room.get(), "line rebuilt from the database");
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::tests::START;
    use frontrow_domain::{
        changes::Changes,
        id::{Position, UserId},
        line::{Room, Token},
        policy::Policy,
    };
    use frontrow_storage::memory::MemoryStore;
    use tokio::sync::mpsc;
    use uuid::Uuid;

    /// A follower over a store with an empty house room, and the notices that it sends.
    fn follower() -> (Arc<Follower>, mpsc::Receiver<Notice>) {
        let (clock, (notices, received)) = (Clock::manual(START), mpsc::channel(10));
        let store = Arc::new(MemoryStore::new(clock.clone(), Policy::default(), 1));
        (Arc::new(Follower::new(store, clock, Notices::new(notices), Duration::ZERO)), received)
    }

    /// A gap of nine rooms, more than are all read whole.
    fn gap(caches: CacheValidity) -> Event {
        let gap = Gap { rooms: (0..9).map(RoomId::new).collect(), caches, numbers: 0 };
        Event { instance: Uuid::nil(), number: 1, body: EventBody::Gap(gap) }
    }

    async fn rooms_to_read(follower: &Follower, odd: &mut OddRooms) -> Vec<(RoomId, LineReading)> {
        let wanted = std::mem::take(&mut *lock(&follower.requested));
        follower.rooms_of(&wanted, odd).await.unwrap().into_iter().collect()
    }

    #[tokio::test]
    async fn a_gap_of_many_rooms_that_leaves_the_caches_alone_has_its_rooms_read() {
        let (follower, mut notices) = follower();
        for room in [0, 20].map(RoomId::new) {
            follower.replicas().put_new(&Room { max_active: 7, ..Room::new(room, 1, START) }, START);
        }
        follower.apply_event(gap(CacheValidity::Consistent));
        assert!(!lock(&follower.requested).all && notices.try_recv().is_err());
        let rooms = rooms_to_read(&follower, &mut OddRooms::new()).await;
        assert_eq!(rooms, [(RoomId::HOUSE, LineReading::Rebuild)], "the one that disagrees with its rows");
    }

    #[tokio::test]
    async fn each_gap_of_many_rooms_that_makes_caches_stale_empties_them() {
        let (follower, mut notices) = follower();
        follower.request_rebuild_of_all();
        assert_eq!(notices.try_recv(), Ok(Notice::Missed));
        for _ in 0..2 {
            follower.apply_event(gap(CacheValidity::Stale));
            assert_eq!(notices.try_recv(), Ok(Notice::Missed), "the rebuild of all lines is pending");
        }
    }

    #[tokio::test]
    async fn a_line_that_is_busy_by_its_view_alone_is_refreshed_and_rebuilt_if_it_stays_so() {
        let (follower, _notices) = follower();
        let join = |position| {
            let id = TokenId { room_id: RoomId::HOUSE, position: Position(position) };
            let mut changes = Changes { now: START, ..Changes::default() };
            changes.tokens.inserted = vec![Token::issued(id, UserId(Uuid::nil()), START)];
            follower.apply_batch(BatchChanges { changes, ..BatchChanges::default() });
        };
        follower.replicas().put_new(&Room::new(RoomId::HOUSE, 1, START), START);
        let mut odd = OddRooms::new();
        let mut reading = async || {
            lock(&follower.requested).busy = true;
            rooms_to_read(&follower, &mut odd).await
        };
        let read = |reading| [(RoomId::HOUSE, reading)];
        join(1);
        assert_eq!(reading().await, read(LineReading::Refresh));
        join(2);
        assert_eq!(reading().await, read(LineReading::Refresh), "it has changed since");
        assert_eq!(reading().await, read(LineReading::Rebuild));
        assert_eq!(reading().await, read(LineReading::Refresh), "patience begins anew");
    }

    #[tokio::test]
    async fn a_line_is_read_once_at_a_time_and_refreshes_do_not_wait_for_rebuilds() {
        let (follower, _notices) = follower();
        let (mut readings, busy) = (LineReadings::default(), RoomId::new(5));
        let long = Arc::clone(&readings.rebuilds).acquire_many_owned(4).await.unwrap();
        assert!(readings.begin(&follower, busy, LineReading::Rebuild));
        assert!(!readings.begin(&follower, busy, LineReading::Refresh));
        assert!(readings.begin(&follower, RoomId::HOUSE, LineReading::Refresh));
        let mut others_end = async |under_way: &[RoomId]| {
            for _ in 0..10_000 {
                assert!(readings.collect().rooms.is_empty());
                if readings.under_way.keys().eq(under_way) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            panic!("under way: {:?}", readings.under_way);
        };
        others_end(&[busy]).await;
        drop(long);
        others_end(&[]).await;
    }
}
