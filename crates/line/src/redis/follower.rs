//! Rebuilds lines from their rows after events were missed, and refreshes busy lines every few seconds, which heals any
//! loss.

use super::{Follower, Notice, Settings, client::RedisClient};
use crate::{
    lines::Rebuild,
    replicas::{Reconciled, Source},
    view::{Delta, deltas},
};
use frontrow_domain::{
    id::{Position, RoomId, TokenId},
    time::Time,
};
use frontrow_storage::{COMMIT_VISIBILITY_MAX, Life, Line, Standing, StoreError, trouble::Trouble};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task::JoinSet};

/// Pause after a failed rebuild.
const RETRY: Duration = Duration::from_millis(300);
/// Pause after a successful rebuild.
const PAUSE: Duration = Duration::from_secs(1);
/// Follower read from the store at a time.
const LINES_AT_ONCE_MAX: usize = 4;
/// Up to this many requested lines are all read whole; of more, only those of busy rooms.
const WHOLE_READS_MAX: usize = 8;
/// Positions looked up in one query.
const POSITIONS_PER_QUERY_MAX: i64 = 100_000;

/// Every position of a line up to `to` has a row or is known to be unassigned.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResolvedUpTo {
    to: Position,
    /// The next bound, and since when it is known: due once no batch in flight can bring a position up to it.
    next: Option<(Position, Instant)>,
}

/// A room that is busy by its view and quiet by its rows, or the other way round. A change in flight looks like that
/// for a moment. If the room stays so, it is rebuilt: a refresh does not repair everything.
#[derive(Debug, Clone, Copy)]
struct Odd {
    /// How many deltas the view had applied.
    deltas: u64,
    since: Instant,
}

/// Follower to rebuild.
#[derive(Debug, Default)]
pub(super) struct PendingRebuilds {
    all: bool,
    rooms: BTreeSet<RoomId>,
}

impl PendingRebuilds {
    fn add(&mut self, more: Self) {
        self.all |= more.all;
        self.rooms.extend(more.rooms);
    }
}

impl Follower {
    /// Requests a rebuild of every line, and tells caches that they may be stale.
    pub(super) fn request_rebuild_of_all(&self) {
        if !std::mem::replace(&mut super::lock(&self.requested).all, true) {
            self.notify(Notice::Missed);
        }
        self.rebuild_news.notify_one();
    }

    pub(super) fn request_rebuild(&self, rooms: impl IntoIterator<Item = RoomId>) {
        super::lock(&self.requested).rooms.extend(rooms);
        self.rebuild_news.notify_one();
    }

    /// Has the token verified with the store; if too many wait for that, its line is rebuilt.
    pub(super) fn verify_later(&self, token: TokenId, now: Time) {
        if self.unverified_tokens.try_send((token, now)).is_err() {
            self.request_rebuild([token.room_id]);
        }
    }

    pub(super) async fn run_rebuilds(self: Arc<Self>) {
        let trouble = Trouble::new("the lines cannot be read from the database");
        let of_rooms = Trouble::new("some lines cannot be read from the database");
        loop {
            self.rebuild_news.notified().await;
            loop {
                let requested = std::mem::take(&mut *super::lock(&self.requested));
                if requested.rooms.is_empty() && !requested.all {
                    break;
                }
                let failed = match trouble.noted(self.load_quiet_requested(&requested).await) {
                    Some(rooms) => self.rebuild_rooms(rooms, &of_rooms).await,
                    None => requested,
                };
                if failed.all || !failed.rooms.is_empty() {
                    super::lock(&self.requested).add(failed);
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Of many requested rooms, loads the quiet ones after one query. Returns those to be read whole.
    async fn load_quiet_requested(&self, requested: &PendingRebuilds) -> Result<BTreeSet<RoomId>, StoreError> {
        if !requested.all && requested.rooms.len() <= WHOLE_READS_MAX {
            return Ok(requested.rooms.clone());
        }
        let is_wanted = |room: RoomId| requested.all || requested.rooms.contains(&room);
        let standings = self.store.standings().await?.into_iter().filter(|one| is_wanted(one.room.room_id));
        let (quiet, busy): (Vec<_>, Vec<_>) = standings.partition(|one| one.life == Life::Empty);
        let mut rooms: BTreeSet<_> = busy.iter().map(|one| one.room.room_id).collect();
        let quiet: Vec<_> = quiet.into_iter().map(Standing::empty_line).collect();
        rooms.extend(self.load_quiet_rooms(&quiet));
        Ok(rooms)
    }

    /// Loads quiet rooms. Returns those whose views disagree with the rows: they must be read whole. A new room that a
    /// recent event concerns is rebuilt, too.
    pub(super) fn load_quiet_rooms(&self, lines: &[Line]) -> Vec<RoomId> {
        let Some(now) = lines.iter().map(|line| line.now).min() else { return Vec::new() };
        for line in lines {
            self.note_rebuilt(line, Rebuild::IfMissing);
        }
        let rooms = lines.iter().map(|line| line.room.room_id);
        let rooms: BTreeSet<_> = rooms.filter(|room| self.lines().view(*room).is_none()).collect();
        let others = self.replicas.load_quiet_rooms(lines);
        // After the rooms are loaded: events from now on are applied to them.
        for changes in self.recent.decided_since(now.minus(COMMIT_VISIBILITY_MAX)) {
            self.request_rebuild(deltas(&changes).into_keys().filter(|room| rooms.contains(room)));
        }
        others
    }

    /// Rebuilds these lines, some at a time. Returns those that failed.
    async fn rebuild_rooms(self: &Arc<Self>, rooms: BTreeSet<RoomId>, trouble: &Trouble) -> PendingRebuilds {
        let mut failed = PendingRebuilds::default();
        let mut laying = JoinSet::new();
        let mut rooms = rooms.into_iter();
        loop {
            while laying.len() < LINES_AT_ONCE_MAX
                && let Some(room) = rooms.next()
            {
                let follower = Arc::clone(self);
                laying.spawn(async move { (room, follower.rebuild_room(room).await) });
            }
            match laying.join_next().await {
                Some(Ok((room, Err(error)))) => {
                    trouble.came(&error);
                    failed.rooms.insert(room);
                }
                Some(_) => {}
                None => {
                    if failed.rooms.is_empty() {
                        trouble.is_over();
                    }
                    return failed;
                }
            }
        }
    }

    async fn rebuild_room(self: &Arc<Self>, room: RoomId) -> Result<(), StoreError> {
        let begun = self.recent.count();
        if let Some(line) = self.store.line(room).await? {
            self.rebuilds.fetch_add(1, Ordering::Relaxed);
            // The rows may not show changes this recent, nor that a position is unassigned.
            let from = line.now.minus(COMMIT_VISIBILITY_MAX);
            for (token, now) in
                self.replicas.rebuild(&line, Rebuild::Replace, || self.recent.received_since(begun, from))
            {
                self.verify_later(token, now);
            }
            self.note_rebuilt(&line, Rebuild::Replace);
            tracing::info!(room = room.get(), "line rebuilt from the database");
        }
        Ok(())
    }

    /// Notes up to where the positions of a rebuilt line are resolved: one without a row that is not in flight counts
    /// as unassigned.
    pub(super) fn note_rebuilt(&self, line: &Line, rebuild: Rebuild) {
        let to = line.in_flight.first().map_or(line.highest, |first| Position(first.0 - 1));
        let resolved = ResolvedUpTo { to, next: (line.highest > to).then(|| (line.highest, Instant::now())) };
        let mut all = super::lock(&self.resolved);
        match rebuild {
            Rebuild::Replace => _ = all.insert(line.room.room_id, resolved),
            Rebuild::IfMissing => _ = all.entry(line.room.room_id).or_insert(resolved),
        }
    }

    /// The resolved bound and the next one, once no batch in flight can bring a position up to that.
    fn due_to_resolve(&self, room: RoomId) -> Option<(Position, Position)> {
        let mut all = super::lock(&self.resolved);
        // A line that was never loaded from rows began here, empty.
        let resolved = all.entry(room).or_insert(ResolvedUpTo { to: Position(0), next: None });
        let (next, since) = resolved.next?;
        (since.elapsed() >= self.gap_grace).then_some((resolved.to, next))
    }

    /// Removes unassigned positions from the view, also those of an instance that died after drawing them, which no
    /// event reports. `now` is the store's clock.
    async fn resolve_gaps(&self, room: RoomId, now: Time) -> Result<(), StoreError> {
        // An unanswered commit may bring positions later than any other.
        if self.store.has_unanswered_commits() {
            return Ok(());
        }
        if let Some((from, to)) = self.due_to_resolve(room) {
            let mut after = from;
            while after < to {
                let until = Position(after.0.saturating_add(POSITIONS_PER_QUERY_MAX)).min(to);
                let unused = self.store.unassigned_positions(room, after, until).await?;
                self.drop_gaps(room, unused, now);
                after = until;
            }
            // A line that was rebuilt meanwhile is newer.
            let mut all = super::lock(&self.resolved);
            if let Some(resolved) = all.get_mut(&room).filter(|resolved| resolved.to == from) {
                *resolved = ResolvedUpTo { to, next: None };
            }
        }
        let Some(view) = self.lines().view(room) else { return Ok(()) };
        let tail = view.tail();
        if let Some(resolved) = super::lock(&self.resolved).get_mut(&room)
            && resolved.next.is_none()
            && tail > resolved.to
        {
            resolved.next = Some((tail, Instant::now()));
        }
        Ok(())
    }

    fn drop_gaps(&self, room: RoomId, mut unused: Vec<Position>, now: Time) {
        let Some(view) = self.lines().view(room) else { return };
        unused.retain(|position| *position > view.cursor() && !view.has_departed(*position));
        if unused.is_empty() {
            return;
        }
        tracing::debug!(room = room.get(), numbers = unused.len(), "unassigned positions were removed from a line");
        let unused: Vec<_> = unused.into_iter().map(|position| TokenId { room_id: room, position }).collect();
        self.replicas.apply(room, &Delta { unused: &unused, ..Delta::none(now) }, Source::Local);
    }

    pub(super) async fn verify_tokens(self: Arc<Self>, mut unverified_tokens: mpsc::Receiver<(TokenId, Time)>) {
        while let Some((id, now)) = unverified_tokens.recv().await {
            match self.store.token(id).await {
                Ok(Some(token)) if frontrow_domain::queue::is_live_token(&token) => {
                    self.replicas.apply_row(&token, now);
                }
                Ok(_) => {}
                Err(_) => self.request_rebuild([id.room_id]),
            }
        }
    }

    /// Refreshes the busy lines now and then, more often while Redis is down.
    pub(super) async fn refresh_loop(self: Arc<Self>, client: Arc<RedisClient>, settings: Settings) {
        let mut odd = HashMap::new();
        let mut last = Instant::now();
        loop {
            tokio::time::sleep(settings.refresh_down_every.min(settings.refresh_every)).await;
            if client.is_up() && last.elapsed() < settings.refresh_every {
                continue;
            }
            last = Instant::now();
            odd = self.refresh_round(odd).await;
        }
    }

    /// Refreshes the lines that are busy by their views or by their rows, and the requested ones. `odd` are the rooms
    /// on which view and rows disagreed after the last round: see [`Odd`].
    async fn refresh_round(self: &Arc<Self>, odd: HashMap<RoomId, Odd>) -> HashMap<RoomId, Odd> {
        let by_rows: Option<BTreeSet<_>> = match self.store.busy_rooms().await {
            Ok(rooms) => Some(rooms.into_iter().collect()),
            Err(error) => {
                tracing::debug!(%error, "the busy rooms cannot be read");
                None
            }
        };
        let mut rooms: BTreeSet<_> = self.lines().busy_rooms().into_iter().collect();
        rooms.extend(by_rows.iter().flatten());
        rooms.append(&mut super::lock(&self.refresh_requests));
        let mut looks = JoinSet::new();
        for room in &rooms {
            // A room that another process made is loaded at the first request for it.
            let Some(begun) = self.replicas.deltas_of(*room) else { continue };
            if looks.len() >= LINES_AT_ONCE_MAX {
                // A refresh that fails has logged it.
                let _ = looks.join_next().await;
            }
            let (follower, room) = (Arc::clone(self), *room);
            looks.spawn(async move { follower.refresh_room(room, begun).await });
        }
        while looks.join_next().await.is_some() {}
        let Some(by_rows) = by_rows else { return odd };
        let mut still_odd = HashMap::new();
        for room in rooms {
            let (Some(view), Some(deltas)) = (self.lines().view(room), self.replicas.deltas_of(room)) else { continue };
            if view.is_quiet() != by_rows.contains(&room) {
                continue;
            }
            let before = odd.get(&room).filter(|odd| odd.deltas == deltas);
            let now = before.copied().unwrap_or(Odd { deltas, since: Instant::now() });
            // Positions that are not resolved yet count as waiting.
            let patience = if view.is_quiet() { Duration::ZERO } else { self.gap_grace + PAUSE };
            if before.is_some() && now.since.elapsed() > patience {
                self.request_rebuild([room]);
            } else {
                still_odd.insert(room, now);
            }
        }
        still_odd
    }

    async fn refresh_room(&self, room: RoomId, begun: u64) {
        let at = self.clock.now();
        match self.store.live_line(room).await {
            Ok(Some(line)) => {
                if self.replicas.reconcile(&line, begun, at) == Reconciled::MustRebuild {
                    self.request_rebuild([room]);
                } else if let Err(error) = self.resolve_gaps(room, line.now).await {
                    tracing::debug!(%error, room = room.get(), "unassigned positions cannot be looked up");
                }
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, room = room.get(), "a line cannot be refreshed"),
        }
    }
}
