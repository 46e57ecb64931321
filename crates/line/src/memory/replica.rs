//! The lines of one instance of many: they take in what other instances tell, in whatever order it comes, and what a
//! look at the rows shows.

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

/// What came of a change that another instance told of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It was taken in, but for these tokens: see [`News::unverified`](super::order::News::doubtful).
    Done(Vec<TokenId>),
    /// The room has not been laid.
    Unknown,
}

/// What came of a look at the rows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reconciled {
    /// The view agrees with it now.
    InStep,
    /// The line must be laid anew.
    MustRebuild,
}

impl Next {
    fn replica(view: RoomView, order: ChangeOrder, confirmed: Confirmed) -> Self {
        Self { view, order: Some(order), confirmed: Some(confirmed), is_replaced: false }
    }
}

impl MemoryQueue {
    /// The lines of one instance of many. `confirmed` holds when they were all known to be the newest, in microseconds
    /// since the epoch.
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

    /// Lays a line. What was told of it since its rows were read is in `since`, in the order in which it came. With
    /// [`Rebuild::IfMissing`] a line that is there stays as it is.
    /// Returns the tokens in doubt, with the moment of what was told of them.
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
        // What takes long in a long line, before the commits of the room must wait.
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
            let cell = Arc::new(Self::replica_cell(view.going_on_from(&next.view), last_seen, order, confirmed));
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
        // What is told from now on waits until the rest has been taken in.
        let mut next = lock(&cell.next);
        self.put_missing_room(room, &cell);
        let unverified = apply_since(&cell, &mut next, room, &since());
        drop(next);
        self.note_life(room, &cell.view.load());
        self.wake(room);
        unverified
    }

    /// Puts rooms here in which nothing lives. Returns those of which something else is known. What was told of one since
    /// its rows were read, the caller has to find out afterwards.
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

    /// Puts a room here that is new, so that all that is in it comes with it.
    pub(crate) fn put_new(&self, room: &Room, now: Time) {
        let order = ChangeOrder::starting_at(now);
        let cell = Self::replica_cell(RoomView::empty(room), LastSeen::seen_at(&[], now), order, self.confirmed());
        self.put_missing_room(room.room_id, &Arc::new(cell));
    }

    /// Calls `change` with the writer's side of the room's cell; none for a room not laid.
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

    /// Takes in a change of one room.
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

    /// How many deltas the room has taken in: to be asked before a look at its rows begins.
    pub(crate) fn deltas_of(&self, room: RoomId) -> Option<u64> {
        self.with_next(room, |_, next| next.order.as_ref().map_or(0, ChangeOrder::deltas))
    }

    /// Takes in a look at the rows that began at `at`, by this instance's clock, when `begun` deltas had been taken in.
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

    /// Takes in a token's row as the store has it, which was changed at `now` or later.
    pub(crate) fn apply_row(&self, token: &Token, now: Time) {
        let token = std::slice::from_ref(token);
        self.apply(token[0].id.room_id, &Delta { inserted: token, ..Delta::none(now) }, Source::Local);
    }

    /// The rooms that have been laid, by number.
    pub(crate) fn room_ids(&self) -> Vec<RoomId> {
        self.rooms()
    }

    /// Notes that another instance heard of a token's user at `at`, which may be before this one did.
    pub(crate) fn record_remote_heartbeat(&self, token: TokenId, at: Time) {
        if let Some(cell) = self.cell(token.room_id) {
            cell.last_seen.record_at(token.position, at);
        }
    }
}

/// Whether laying takes the place of a line that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rebuild {
    /// It does.
    Replace,
    /// It does not.
    IfMissing,
}

/// Takes in what was told of a line since its rows were read. Returns the tokens in doubt.
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

/// Takes in a change: whether the line may move, and the tokens in doubt.
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
