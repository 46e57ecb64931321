//! The lines of one instance of many: they apply the changes of all instances, in whatever order these come, and are
//! reconciled with the rows.

mod order;
#[cfg(test)]
mod tests;

use crate::{
    lines::{Lines, Rebuild, RoomCell, last_seen_of, view_of},
    lock::lock,
    record::BesideRows,
    view::{Confirmed, Delta, RoomView},
};
use frontrow_domain::{id::RoomId, line::Room, time::Time};
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

/// How the rows of a line are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LineReading {
    /// Those of its live tokens: the view is reconciled with them.
    Refresh,
    /// All of them: the line is rebuilt.
    Rebuild,
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

    /// Rebuilds a line from its rows, which were read after `begun` deltas: see [`Self::deltas_of`]. None if that is not
    /// known. Later changes stay applied. With [`Rebuild::IfMissing`] a loaded line stays as it is. A line that is not
    /// loaded goes on with what was recorded of it.
    pub(crate) fn rebuild(&self, line: &Line, beside: &BesideRows, rebuild: Rebuild, begun: Option<u64>) {
        let room = line.room.room_id;
        let stays = |present: Option<&Arc<RoomView>>| present.is_some() && rebuild == Rebuild::IfMissing;
        if stays(self.lines.view(room).as_ref()) {
            return;
        }
        // Takes long for a long line: done before the changes of the room must wait.
        let (view, last_seen) = (view_of(line, beside), last_seen_of(line, beside));
        let replica = self.replica_or_new(room, line.now);
        let replica = lock(&replica);
        let present = self.lines.view(room);
        if stays(present.as_ref()) {
            return;
        }
        let view = match &present {
            Some(present) => view.with_measurements_of(present, line.now),
            None => view,
        };
        let cell = RoomCell::new(view.confirmed_by(replica.confirmed.clone()), last_seen);
        self.lines.hand_unpublished_to(room, &cell, line.now);
        if let Some(present) = present.filter(|present| present.epoch() == line.room.epoch) {
            let later = replica.order.later_than(line, &cell.view(), &present, begun);
            cell.apply(&later.delta(line.now));
            cell.keep_since_of(&present);
        }
        self.lines.put(&cell, rebuild);
    }

    /// Adds quiet rooms that are missing. Returns those whose views disagree with the rows. A change that comes
    /// before its room is loaded has it rebuilt.
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

    /// Applies a change of one room. Returns how its rows are to be read, if the view cannot be true without them.
    pub(crate) fn apply(&self, room: RoomId, delta: &Delta<'_>, source: ChangeOrigin) -> Option<LineReading> {
        let Some(replica) = self.replica(room) else { return Some(LineReading::Rebuild) };
        let mut replica = lock(&replica);
        let Some(view) = self.lines.view(room) else { return Some(LineReading::Rebuild) };
        let news = replica.order.admit(&view, delta, source);
        self.lines.apply(room, &news.delta(delta.now));
        news.reading
    }

    /// How many deltas have come for the room: to be asked before its rows are read.
    pub(crate) fn deltas_of(&self, room: RoomId) -> u64 {
        self.replica(room).map_or(0, |replica| lock(&replica).order.deltas())
    }

    /// Reconciles a line with the rows of a refresh that began at `at`, by this instance's clock, after `begun` deltas.
    /// Returns [`LineReading::Rebuild`] if these rows do not suffice.
    pub(crate) fn reconcile(&self, line: &Line, begun: u64, at: Time) -> Option<LineReading> {
        let room_id = line.room.room_id;
        let Some(replica) = self.replica(room_id) else { return Some(LineReading::Rebuild) };
        let mut replica = lock(&replica);
        let Some(view) = self.lines.view(room_id).filter(|view| view.epoch() == line.room.epoch) else {
            return Some(LineReading::Rebuild);
        };
        replica.confirmed.note(at);
        let (room, updated) = replica.order.compare(&view, line, begun);
        if room.is_some() || !updated.is_empty() || line.highest > view.tail() {
            let delta = Delta { room, updated: &updated, highest: line.highest, ..Delta::none(line.now) };
            self.lines.apply(room_id, &delta);
        }
        None
    }
}
