//! The lines of one instance of many: they apply the changes of other instances, in whatever order these come, and are
//! reconciled with the rows.

use super::{
    LastSeen, MemoryQueue, Next, RoomCell, lock,
    order::{ChangeOrder, Source},
};
use crate::{
    Queue,
    view::{Confirmed, Delta, RoomView, deltas},
};
use frontrow_domain::{
    id::{RoomId, TokenId},
    queue::{Room, Token},
    time::Time,
    world::Changes,
};
use frontrow_storage::Line;
use std::sync::{Arc, Mutex, MutexGuard, atomic::AtomicI64};

/// The result of applying a change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It was applied, but for these tokens: see [`News::unverified`](super::order::News::unverified).
    Done(Vec<TokenId>),
    /// The room is not loaded.
    Unknown,
}

/// The result of reconciling a line with its rows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reconciled {
    /// The view agrees with the rows now.
    InStep,
    /// The line must be rebuilt.
    MustRebuild,
}

impl Next {
    fn replica(view: RoomView, order: ChangeOrder, confirmed: Confirmed) -> Self {
        Self { view, order: Some(order), confirmed: Some(confirmed), is_replaced: false }
    }
}

impl MemoryQueue {
    /// The lines of one instance of many. `confirmed` holds when they were all last known to be current, in
    /// microseconds since the epoch.
    pub(crate) fn replica(confirmed: Arc<AtomicI64>) -> Self {
        Self { confirmed: Some(confirmed), ..Self::default() }
    }

    fn confirmed(&self) -> Confirmed {
        Confirmed::with(self.confirmed.clone().unwrap_or_default())
    }

    fn replica_cell(view: RoomView, last_seen: LastSeen, order: ChangeOrder, confirmed: Confirmed) -> RoomCell {
        let mut cell = RoomCell::with(view.confirmed_by(confirmed.clone()), last_seen);
        let view = RoomView::clone(&cell.view.load());
        cell.next = Mutex::new(Next::replica(view, order, confirmed));
        cell
    }

    /// Rebuilds a line. `since` gives the changes since its rows were read, in the order in which they came. With
    /// [`Rebuild::IfMissing`] a loaded line stays as it is. Returns the unverified tokens, with the moments of their
    /// changes.
    pub(crate) fn rebuild_room(
        &self,
        line: &Line,
        rebuild: Rebuild,
        since: impl FnOnce() -> Vec<Changes>,
    ) -> Vec<(TokenId, Time)> {
        let room = line.room.room_id;
        let Some(old) = self.cell(room) else { return self.build_room(line, since) };
        if rebuild == Rebuild::IfMissing {
            return Vec::new();
        }
        // Takes long for a long line: done before the commits of the room must wait.
        let view = RoomView::rebuilt_from(line, &old.view.load());
        let last_seen = LastSeen::seen_at(&line.waiting, line.now);
        let unverified = loop {
            let Some(old) = self.cell(room) else { return self.build_room(line, since) };
            let mut next = lock(&old.next);
            if next.is_replaced {
                continue;
            }
            let order = next.order.take().unwrap_or_else(|| ChangeOrder::starting_at(line.now));
            let confirmed = next.confirmed.clone().unwrap_or_else(|| self.confirmed());
            let cell = Arc::new(Self::replica_cell(view.with_measurements_of(&next.view), last_seen, order, confirmed));
            let unverified = apply_since(&cell, &mut lock(&cell.next), room, &since());
            next.is_replaced = true;
            self.put_room(room, &cell);
            self.note_life(room, &cell.view.load());
            break unverified;
        };
        self.wake(room);
        unverified
    }

    fn build_room(&self, line: &Line, since: impl FnOnce() -> Vec<Changes>) -> Vec<(TokenId, Time)> {
        let room = line.room.room_id;
        let order = ChangeOrder::starting_at(line.now);
        let last_seen = LastSeen::seen_at(&line.waiting, line.now);
        let cell = Arc::new(Self::replica_cell(RoomView::from_rows(line), last_seen, order, self.confirmed()));
        // Changes from now on wait until the earlier ones are applied.
        let mut next = lock(&cell.next);
        self.put_missing_room(room, &cell);
        let unverified = apply_since(&cell, &mut next, room, &since());
        drop(next);
        self.note_life(room, &cell.view.load());
        self.wake(room);
        unverified
    }

    /// Adds quiet rooms that are missing. Returns those whose views disagree with the rows. The caller has to find the
    /// changes since the rows were read.
    pub(crate) fn load_quiet_replicas(&self, lines: &[Line]) -> Vec<RoomId> {
        self.load_missing_quiet(lines, |line| {
            let last_seen = LastSeen::seen_at(&[], line.now);
            Self::replica_cell(
                RoomView::from_rows(line),
                last_seen,
                ChangeOrder::starting_at(line.now),
                self.confirmed(),
            )
        })
    }

    /// Adds a new room, which starts empty.
    pub(crate) fn put_new(&self, room: &Room, now: Time) {
        let order = ChangeOrder::starting_at(now);
        let cell = Self::replica_cell(RoomView::empty(room), LastSeen::seen_at(&[], now), order, self.confirmed());
        self.put_missing_room(room.room_id, &Arc::new(cell));
    }

    /// Calls `change` with the room's cell and its writer's state; none for a room not loaded.
    fn with_next<T>(
        &self,
        room: RoomId,
        mut change: impl FnMut(&RoomCell, &mut MutexGuard<'_, Next>) -> T,
    ) -> Option<T> {
        loop {
            let cell = self.cell(room)?;
            let mut next = lock(&cell.next);
            if !next.is_replaced {
                return Some(change(&cell, &mut next));
            }
        }
    }

    /// Applies a change of one room.
    pub(crate) fn apply(&self, room: RoomId, delta: &Delta<'_>, source: Source) -> Applied {
        let taken = self.with_next(room, |cell, next| {
            let taken = apply_delta(cell, next, None, delta, source);
            self.note_life(room, &cell.view.load());
            taken
        });
        match taken {
            None => Applied::Unknown,
            Some((may_move, unverified)) => {
                if may_move {
                    self.wake(room);
                }
                Applied::Done(unverified)
            }
        }
    }

    /// How many deltas have come for the room: to be asked before a refresh reads its rows.
    pub(crate) fn deltas_of(&self, room: RoomId) -> Option<u64> {
        self.with_next(room, |_, next| next.order.as_ref().map_or(0, ChangeOrder::deltas))
    }

    /// Reconciles a line with the rows of a refresh that began at `at`, by this instance's clock, after `begun` deltas.
    pub(crate) fn reconcile(&self, line: &Line, begun: u64, at: Time) -> Reconciled {
        let looked = self.with_next(line.room.room_id, |cell, next| {
            if line.room.epoch != next.view.epoch() {
                return (Reconciled::MustRebuild, false);
            }
            if let Some(confirmed) = &next.confirmed {
                confirmed.note(at);
            }
            let Next { view, order: Some(order), .. } = &mut **next else { return (Reconciled::InStep, false) };
            let (room, updated) = order.compare(view, line, begun);
            if room.is_none() && updated.is_empty() && line.highest <= view.tail() {
                return (Reconciled::InStep, false);
            }
            let delta = Delta { room, updated: &updated, highest: line.highest, ..Delta::none(line.now) };
            let may_move = cell.apply_in(view, &delta);
            self.note_life(line.room.room_id, &cell.view.load());
            (Reconciled::InStep, may_move)
        });
        match looked {
            None => Reconciled::MustRebuild,
            Some((looked, may_move)) => {
                if may_move {
                    self.wake(line.room.room_id);
                }
                looked
            }
        }
    }

    /// Applies a token's row from the store, which was changed at `now` or later.
    pub(crate) fn apply_row(&self, token: &Token, now: Time) {
        let token = std::slice::from_ref(token);
        self.apply(token[0].id.room_id, &Delta { inserted: token, ..Delta::none(now) }, Source::Local);
    }

    /// The loaded rooms, by number.
    pub(crate) fn room_ids(&self) -> Vec<RoomId> {
        self.rooms()
    }

    /// Records a heartbeat of another instance at `at`, which may be before the last one here.
    pub(crate) fn record_remote_heartbeat(&self, token: TokenId, at: Time) {
        if let Some(cell) = self.cell(token.room_id) {
            cell.last_seen.record_at(token.position, at);
        }
    }
}

/// Whether a rebuild replaces a line that is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rebuild {
    /// It does.
    Replace,
    /// It does not.
    IfMissing,
}

/// Applies the changes of a line since its rows were read. Returns the unverified tokens, with the moments of their
/// changes.
fn apply_since(
    cell: &RoomCell,
    next: &mut MutexGuard<'_, Next>,
    room: RoomId,
    since: &[Changes],
) -> Vec<(TokenId, Time)> {
    let rebuilt = next.view.clone();
    let mut all = Vec::new();
    for changes in since {
        if let Some(delta) = deltas(changes).get(&room) {
            let (_, unverified) = apply_delta(cell, next, Some(&rebuilt), delta, Source::Remote);
            all.extend(unverified.into_iter().map(|id| (id, changes.now)));
        }
    }
    all
}

/// Applies a change. Returns whether the line may move, and the unverified tokens.
fn apply_delta(
    cell: &RoomCell,
    next: &mut MutexGuard<'_, Next>,
    rebuilt: Option<&RoomView>,
    delta: &Delta<'_>,
    source: Source,
) -> (bool, Vec<TokenId>) {
    let Next { view, order, .. } = &mut **next;
    let Some(order) = order else { return (cell.apply_in(view, delta), Vec::new()) };
    let news = order.admit(view, rebuilt.unwrap_or(view), delta, source);
    let delta = Delta {
        now: delta.now,
        room: news.room,
        updated: &news.updated,
        inserted: &news.inserted,
        unused: news.unused,
        highest: news.highest,
    };
    (cell.apply_in(view, &delta), news.unverified)
}

#[cfg(test)]
mod tests;
