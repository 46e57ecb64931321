//! The lines of one instance of many: they apply the changes of all instances, in whatever order these come, and are
//! reconciled with the rows.

mod order;
#[cfg(test)]
mod tests;

use crate::{
    lines::{LastSeen, Lines, Rebuild, RoomCell},
    lock::lock,
    view::{Confirmed, Delta, RoomView, deltas},
};
use frontrow_domain::{
    changes::Changes,
    id::{RoomId, TokenId},
    line::{Room, Token},
    time::Time,
};
use frontrow_storage::Line;
use order::ChangeOrder;
pub(crate) use order::ChangeOrigin;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, atomic::AtomicI64},
};

/// The lines, and for each what puts its changes in order. A room is here before its view is in the lines.
#[derive(Debug)]
pub(crate) struct Replicas {
    lines: Arc<Lines>,
    /// When all lines were last known to be current, in microseconds since the epoch.
    confirmed: Arc<AtomicI64>,
    rooms: Mutex<HashMap<RoomId, Arc<Mutex<Replica>>>>,
}

/// One line. Locked while its view changes.
#[derive(Debug)]
struct Replica {
    order: ChangeOrder,
    confirmed: Confirmed,
}

/// The result of applying a change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It was applied, but for these tokens: see [`News::unverified`](order::News::unverified).
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

impl Replicas {
    /// No lines yet. `confirmed` holds when they were all last known to be current, in microseconds since the epoch.
    pub(crate) fn new(confirmed: Arc<AtomicI64>) -> Self {
        Self { lines: Arc::default(), confirmed, rooms: Mutex::default() }
    }

    pub(crate) const fn lines(&self) -> &Arc<Lines> {
        &self.lines
    }

    fn replica(&self, room: RoomId) -> Option<Arc<Mutex<Replica>>> {
        lock(&self.rooms).get(&room).map(Arc::clone)
    }

    /// The room's replica, made for rows read at `now` if there is none.
    fn replica_or_new(&self, room: RoomId, now: Time) -> Arc<Mutex<Replica>> {
        let new = || {
            let confirmed = Confirmed::with(Arc::clone(&self.confirmed));
            Arc::new(Mutex::new(Replica { order: ChangeOrder::starting_at(now), confirmed }))
        };
        Arc::clone(lock(&self.rooms).entry(room).or_insert_with(new))
    }

    /// Rebuilds a line. `since` gives the changes since its rows were read, in the order in which they came. With
    /// [`Rebuild::IfMissing`] a loaded line stays as it is. Returns the unverified tokens, with the moments of their
    /// changes.
    pub(crate) fn rebuild(
        &self,
        line: &Line,
        rebuild: Rebuild,
        since: impl FnOnce() -> Vec<Changes>,
    ) -> Vec<(TokenId, Time)> {
        let room = line.room.room_id;
        let before = self.lines.view(room);
        // Takes long for a long line: done before the changes of the room must wait.
        let view = match &before {
            Some(_) if rebuild == Rebuild::IfMissing => return Vec::new(),
            Some(before) => RoomView::rebuilt_from(line, before),
            None => RoomView::from_rows(line),
        };
        let last_seen = LastSeen::seen_at(&line.waiting, line.now);
        let replica = self.replica_or_new(room, line.now);
        let mut replica = lock(&replica);
        let view = match (self.lines.view(room), before) {
            (Some(_), None) if rebuild == Rebuild::IfMissing => return Vec::new(),
            (Some(built), None) => RoomView::rebuilt_from(line, &built).with_measurements_of(&built),
            (Some(present), Some(_)) => view.with_measurements_of(&present),
            (None, _) => view,
        };
        let cell = RoomCell::new(view.confirmed_by(replica.confirmed.clone()), last_seen);
        self.lines.hand_unpublished_to(room, &cell, line.now);
        let from_rows = cell.view();
        let mut all = Vec::new();
        for changes in since() {
            if let Some(delta) = deltas(&changes).get(&room) {
                let unverified =
                    replica.apply(&cell.view(), &from_rows, delta, ChangeOrigin::Remote, |news| _ = cell.apply(news));
                all.extend(unverified.into_iter().map(|id| (id, changes.now)));
            }
        }
        self.lines.put(&cell, rebuild);
        all
    }

    /// Adds quiet rooms that are missing. Returns those whose views disagree with the rows. The caller has to find the
    /// changes since the rows were read.
    pub(crate) fn load_quiet_rooms(&self, lines: &[Line]) -> Vec<RoomId> {
        self.lines.put_quiet(lines, |line| self.replica_of(RoomView::from_rows(line), line.now))
    }

    /// Adds a new room, which starts empty.
    pub(crate) fn put_new(&self, room: &Room, now: Time) {
        let view = self.replica_of(RoomView::empty(room), now);
        self.lines.put(&RoomCell::empty(view), Rebuild::IfMissing);
    }

    fn replica_of(&self, view: RoomView, now: Time) -> RoomView {
        let replica = self.replica_or_new(view.room().room_id, now);
        let confirmed = lock(&replica).confirmed.clone();
        view.confirmed_by(confirmed)
    }

    /// Applies a change of one room.
    pub(crate) fn apply(&self, room: RoomId, delta: &Delta<'_>, source: ChangeOrigin) -> Applied {
        let Some(replica) = self.replica(room) else { return Applied::Unknown };
        let mut replica = lock(&replica);
        let Some(view) = self.lines.view(room) else { return Applied::Unknown };
        Applied::Done(replica.apply(&view, &view, delta, source, |news| self.lines.apply(room, news)))
    }

    /// How many deltas have come for the room: to be asked before a refresh reads its rows. None for a room not loaded.
    pub(crate) fn deltas_of(&self, room: RoomId) -> Option<u64> {
        self.replica(room).map(|replica| lock(&replica).order.deltas())
    }

    /// Reconciles a line with the rows of a refresh that began at `at`, by this instance's clock, after `begun` deltas.
    pub(crate) fn reconcile(&self, line: &Line, begun: u64, at: Time) -> Reconciled {
        let room_id = line.room.room_id;
        let Some(replica) = self.replica(room_id) else { return Reconciled::MustRebuild };
        let mut replica = lock(&replica);
        let Some(view) = self.lines.view(room_id).filter(|view| view.epoch() == line.room.epoch) else {
            return Reconciled::MustRebuild;
        };
        replica.confirmed.note(at);
        let (room, updated) = replica.order.compare(&view, line, begun);
        if room.is_some() || !updated.is_empty() || line.highest > view.tail() {
            let delta = Delta { room, updated: &updated, highest: line.highest, ..Delta::none(line.now) };
            self.lines.apply(room_id, &delta);
        }
        Reconciled::InStep
    }

    /// Applies a token's row from the store, which was changed at `now` or later.
    pub(crate) fn apply_row(&self, token: &Token, now: Time) {
        let token = std::slice::from_ref(token);
        self.apply(token[0].id.room_id, &Delta { inserted: token, ..Delta::none(now) }, ChangeOrigin::Local);
    }
}

impl Replica {
    /// Applies what is news in a change with `apply`. `known` is the view that is sure which tokens have ended. Returns
    /// the unverified tokens.
    fn apply(
        &mut self,
        view: &RoomView,
        known: &RoomView,
        delta: &Delta<'_>,
        source: ChangeOrigin,
        apply: impl FnOnce(&Delta<'_>),
    ) -> Vec<TokenId> {
        let news = self.order.admit(view, known, delta, source);
        apply(&Delta {
            now: delta.now,
            room: news.room,
            updated: &news.updated,
            inserted: &news.inserted,
            unused: news.unused,
            highest: news.highest,
        });
        news.unverified
    }
}
