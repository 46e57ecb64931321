//! Follows the other instances: applies their events to the lines, and rebuilds lines from their rows after events were
//! missed.

use super::{
    events::{BatchChanges, CacheValidity, Event, EventBody, Gap},
    gaps::Gaps,
    notices::{Notice, Notices},
    recent::Recent,
};
use crate::{
    lines::{Lines, Rebuild},
    lock::lock,
    replicas::{Applied, ChangeOrigin, Reconciled, Replicas},
    view::{Delta, deltas},
};
use frontrow_clock::Clock;
use frontrow_domain::{
    id::{RoomId, TokenId},
    time::Time,
};
use frontrow_storage::{COMMIT_VISIBILITY_MAX, Life, Line, RoomSummary, Store, StoreError, trouble::Trouble};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};

/// Pause after a failed rebuild.
const RETRY: Duration = Duration::from_millis(300);
/// Pause after a successful rebuild.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// Lines read from the store at a time.
pub(super) const LINES_AT_ONCE_MAX: usize = 4;
/// Up to this many requested lines are all read whole; of more, only those of busy rooms.
const WHOLE_READS_MAX: usize = 8;

/// How many tokens may be unverified at once; beyond, the whole line is rebuilt.
const UNVERIFIED_MAX: usize = 4_096;

/// The lines of this instance, kept up to date.
#[derive(Debug)]
pub(super) struct Follower {
    replicas: Replicas,
    store: Arc<dyn Store>,
    clock: Clock,
    recent: Arc<Recent>,
    gaps: Gaps,
    notices: Notices,
    /// When all lines were last known to be current, in microseconds since the epoch.
    confirmed: Arc<AtomicI64>,
    /// How many times a line was rebuilt from its rows.
    rebuilds: AtomicU64,
    requested: Mutex<PendingRebuilds>,
    rebuild_news: Notify,
    unverified: mpsc::Sender<(TokenId, Time)>,
}

/// Tokens to be verified with the store, with the moments of their changes.
pub(super) type Unverified = mpsc::Receiver<(TokenId, Time)>;

/// Lines to rebuild.
#[derive(Debug, Default)]
struct PendingRebuilds {
    all: bool,
    rooms: BTreeSet<RoomId>,
}

impl Follower {
    pub(super) fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        recent: Arc<Recent>,
        notices: Notices,
        gaps: Gaps,
    ) -> (Self, Unverified) {
        let confirmed = Arc::new(AtomicI64::new(0));
        let (unverified, inbox) = mpsc::channel(UNVERIFIED_MAX);
        let follower = Self {
            replicas: Replicas::new(Arc::clone(&confirmed)),
            store,
            clock,
            recent,
            gaps,
            notices,
            confirmed,
            rebuilds: AtomicU64::new(0),
            requested: Mutex::default(),
            rebuild_news: Notify::new(),
            unverified,
        };
        (follower, inbox)
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
            EventBody::Gap(Gap { rooms, caches }) => {
                self.request_rebuild(rooms);
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
            match self.replicas.apply(room, &delta, ChangeOrigin::Remote) {
                Applied::Unknown => self.request_rebuild([room]),
                Applied::Done(unverified) => {
                    for token in unverified {
                        self.verify_later(token, changes.now);
                    }
                }
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
        self.rebuild_news.notify_one();
    }

    pub(super) fn request_rebuild(&self, rooms: impl IntoIterator<Item = RoomId>) {
        lock(&self.requested).rooms.extend(rooms);
        self.rebuild_news.notify_one();
    }

    /// Has the token verified with the store; if too many wait for that, its line is rebuilt.
    fn verify_later(&self, token: TokenId, now: Time) {
        if self.unverified.try_send((token, now)).is_err() {
            self.request_rebuild([token.room_id]);
        }
    }

    pub(super) async fn verify_tokens(self: Arc<Self>, mut unverified: Unverified) {
        while let Some((id, now)) = unverified.recv().await {
            match self.store.token(id).await {
                Ok(Some(token)) if frontrow_domain::line::is_live_token(&token) => {
                    self.replicas.apply_row(&token, now);
                }
                Ok(_) => {}
                Err(_) => self.request_rebuild([id.room_id]),
            }
        }
    }

    pub(super) async fn run_rebuilds(self: Arc<Self>) {
        let trouble = Trouble::new("the lines cannot be read from the database");
        let of_rooms = Trouble::new("some lines cannot be read from the database");
        loop {
            self.rebuild_news.notified().await;
            loop {
                let requested = std::mem::take(&mut *lock(&self.requested));
                if requested.rooms.is_empty() && !requested.all {
                    break;
                }
                let failed = match trouble.noted(self.plan_rebuilds(&requested).await) {
                    Some(rooms) => PendingRebuilds { all: false, rooms: self.rebuild_rooms(rooms, &of_rooms).await },
                    None => requested,
                };
                let has_failed = failed.all || !failed.rooms.is_empty();
                {
                    let mut requested = lock(&self.requested);
                    requested.all |= failed.all;
                    requested.rooms.extend(failed.rooms);
                }
                tokio::time::sleep(if has_failed { RETRY } else { PAUSE }).await;
            }
        }
    }

    /// Of many requested rooms, loads the quiet ones after one query. Returns those to be read whole.
    async fn plan_rebuilds(&self, requested: &PendingRebuilds) -> Result<BTreeSet<RoomId>, StoreError> {
        if !requested.all && requested.rooms.len() <= WHOLE_READS_MAX {
            return Ok(requested.rooms.clone());
        }
        let is_wanted = |room: RoomId| requested.all || requested.rooms.contains(&room);
        let standings = self.store.standings().await?.into_iter().filter(|one| is_wanted(one.room.room_id));
        let (quiet, busy): (Vec<_>, Vec<_>) = standings.partition(|one| one.life == Life::Empty);
        let mut rooms: BTreeSet<_> = busy.iter().map(|one| one.room.room_id).collect();
        let quiet: Vec<_> = quiet.into_iter().map(RoomSummary::empty_line).collect();
        rooms.extend(self.load_quiet_rooms(&quiet));
        Ok(rooms)
    }

    /// Loads quiet rooms. Returns those whose views disagree with the rows: they must be read whole. A new room that a
    /// recent event concerns is rebuilt, too.
    pub(super) fn load_quiet_rooms(&self, lines: &[Line]) -> Vec<RoomId> {
        let Some(now) = lines.iter().map(|line| line.now).min() else { return Vec::new() };
        for line in lines {
            self.gaps.note_rebuilt(line, Rebuild::IfMissing);
        }
        let rooms = lines.iter().map(|line| line.room.room_id);
        let rooms: BTreeSet<_> = rooms.filter(|room| self.lines().view(*room).is_none()).collect();
        let others = self.replicas.load_quiet_rooms(lines);
        // After the rooms are loaded: events from now on are applied to them.
        for changes in self.recent.received_since(u64::MAX, now.minus(COMMIT_VISIBILITY_MAX)) {
            self.request_rebuild(deltas(&changes).into_keys().filter(|room| rooms.contains(room)));
        }
        others
    }

    /// Rebuilds these lines, some at a time. Returns those that failed.
    async fn rebuild_rooms(self: &Arc<Self>, rooms: BTreeSet<RoomId>, trouble: &Trouble) -> BTreeSet<RoomId> {
        let (mut failed, mut rebuilds, mut rooms) = (BTreeSet::new(), JoinSet::new(), rooms.into_iter());
        loop {
            while rebuilds.len() < LINES_AT_ONCE_MAX
                && let Some(room) = rooms.next()
            {
                let follower = Arc::clone(self);
                rebuilds.spawn(async move { (room, follower.rebuild_room(room).await) });
            }
            match rebuilds.join_next().await {
                Some(Ok((room, Err(error)))) => {
                    trouble.came(&error);
                    failed.insert(room);
                }
                Some(_) => {}
                None => break,
            }
        }
        if failed.is_empty() {
            trouble.is_over();
        }
        failed
    }

    async fn rebuild_room(&self, room: RoomId) -> Result<(), StoreError> {
        let begun = self.recent.count();
        if let Some(line) = self.store.line(room).await? {
            self.rebuild(&line, Rebuild::Replace, begun);
            tracing::info!(room = room.get(), "line rebuilt from the database");
        }
        Ok(())
    }

    /// Rebuilds a line from its rows, which were read after the first `begun` events of the recent ones.
    pub(super) fn rebuild(&self, line: &Line, rebuild: Rebuild, begun: u64) {
        self.rebuilds.fetch_add(1, Ordering::Relaxed);
        // The rows may not show changes this recent, nor that a position is unassigned.
        let from = line.now.minus(COMMIT_VISIBILITY_MAX);
        let unverified = self.replicas.rebuild(line, rebuild, || self.recent.received_since(begun, from));
        for (token, now) in unverified {
            self.verify_later(token, now);
        }
        self.gaps.note_rebuilt(line, rebuild);
    }

    /// The rooms that are busy by their rows; none if these cannot be read.
    pub(super) async fn busy_rooms_by_rows(&self) -> Option<BTreeSet<RoomId>> {
        let read = self.store.busy_rooms().await;
        let read = read.inspect_err(|error| tracing::debug!(%error, "the busy rooms cannot be read"));
        read.ok().map(|rooms| rooms.into_iter().collect())
    }

    /// Reconciles a line with its rows, which had applied `begun` deltas before, and removes its unassigned positions.
    pub(super) async fn refresh_room(&self, room: RoomId, begun: u64) {
        let at = self.now();
        let line = match self.store.live_line(room).await {
            Ok(Some(line)) => line,
            Ok(None) => return,
            Err(error) => return tracing::debug!(%error, room = room.get(), "a line cannot be refreshed"),
        };
        if self.replicas.reconcile(&line, begun, at) == Reconciled::MustRebuild {
            return self.request_rebuild([room]);
        }
        let Some(view) = self.lines().view(room) else { return };
        match self.gaps.resolve(&*self.store, &view).await {
            Ok(unused) if unused.is_empty() => {}
            Ok(unused) => {
                let positions = unused.len();
                tracing::debug!(room = room.get(), positions, "unassigned positions were removed from a line");
                let unused: Vec<_> = unused.into_iter().map(|position| TokenId { room_id: room, position }).collect();
                self.replicas.apply(room, &Delta { unused: &unused, ..Delta::none(line.now) }, ChangeOrigin::Local);
            }
            Err(error) => {
                tracing::debug!(%error, room = room.get(), "unassigned positions cannot be looked up");
            }
        }
    }
}
