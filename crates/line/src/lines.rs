//! The queue of a box office that is one process; and the lines of one instance of many, which applies the others'
//! changes too.

mod last_seen;
mod order;
mod replica;

use super::{
    Leadership, Queue, QueueError,
    view::{Confirmed, Delta, RoomView, deltas},
};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use frontrow_domain::{
    id::{Position, ReservationId, RoomId, TokenId},
    policy::TOKENS_PER_ADVANCE_MAX,
    queue::{Fence, Token, TokenStatus},
    reservation::ReservationStatus,
    time::{Span, Time},
    world::Changes,
};
use frontrow_storage::Line;
pub(super) use order::Source;
pub(super) use replica::{Applied, Rebuild, Reconciled};

use last_seen::LastSeen;
use order::ChangeOrder;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicI64},
};
use tokio::sync::Notify;

/// Positions sampled for the share of responsive tokens.
const RESPONSIVE_SAMPLE: i64 = 1_000;

/// The lines in the memory of one process, and the holds if it is the only one.
#[derive(Debug, Default)]
pub struct MemoryQueue {
    rooms: ArcSwap<HashMap<RoomId, Arc<RoomCell>>>,
    /// The rooms with live tokens; quiet ones may be among them until they are asked for.
    busy: Mutex<BTreeSet<RoomId>>,
    holds: Mutex<BTreeSet<(Time, ReservationId)>>,
    /// The rooms whose lines may be able to move.
    moved: Mutex<BTreeSet<RoomId>>,
    moved_news: Notify,
    /// When all lines were last known to be current, in microseconds since the epoch; none if no other instance changes
    /// them.
    confirmed: Option<Arc<AtomicI64>>,
}

/// A room: the view that readers see, and the writer's state.
#[derive(Debug)]
struct RoomCell {
    view: ArcSwap<RoomView>,
    last_seen: LastSeen,
    next: Mutex<Next>,
}

/// The writer's state of a room.
#[derive(Debug)]
struct Next {
    view: RoomView,
    /// Orders the changes of several instances; none in the only process.
    order: Option<ChangeOrder>,
    confirmed: Option<Confirmed>,
    /// Another cell has taken this one's place.
    is_replaced: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RoomCell {
    fn new(view: RoomView, waiting: &[Position], now: Time) -> Self {
        Self::with(view, LastSeen::seen_at(waiting, now))
    }

    fn with(view: RoomView, last_seen: LastSeen) -> Self {
        let next = Next { view: view.clone(), order: None, confirmed: None, is_replaced: false };
        Self { view: ArcSwap::from_pointee(view), last_seen, next: Mutex::new(next) }
    }

    /// Applies a change. Returns whether the line may be able to move.
    fn apply(&self, delta: &Delta<'_>) -> bool {
        self.apply_in(&mut lock(&self.next).view, delta)
    }

    fn apply_in(&self, next: &mut RoomView, delta: &Delta<'_>) -> bool {
        for token in delta.updated.iter().chain(delta.inserted) {
            if token.status == TokenStatus::Waiting {
                self.last_seen.cover(token.id.position, delta.now);
            }
        }
        let passed = next.cursor();
        let effects = next.apply(delta);
        if effects.must_publish {
            self.last_seen.drop_passed(passed, next.cursor(), next.returned());
            self.view.store(Arc::new(next.clone()));
        }
        effects.may_move
    }
}

impl From<&Line> for RoomCell {
    fn from(line: &Line) -> Self {
        Self::new(RoomView::from_rows(line), &line.waiting, line.now)
    }
}

impl MemoryQueue {
    /// A queue without rooms.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn put_room(&self, room: RoomId, cell: &Arc<RoomCell>) {
        self.rooms.rcu(|rooms| {
            let mut rooms = HashMap::clone(rooms);
            rooms.insert(room, Arc::clone(cell));
            rooms
        });
    }

    fn put_missing_rooms(&self, cells: &[(RoomId, Arc<RoomCell>)]) {
        self.rooms.rcu(|rooms| {
            let mut rooms = HashMap::clone(rooms);
            for (room, cell) in cells {
                rooms.entry(*room).or_insert_with(|| Arc::clone(cell));
            }
            rooms
        });
    }

    /// Adds quiet rooms that are missing. Returns those whose views disagree with the rows.
    fn load_missing_quiet(&self, lines: &[Line], cell_of: impl Fn(&Line) -> RoomCell) -> Vec<RoomId> {
        let mut cells = Vec::new();
        let mut others = Vec::new();
        let rooms = self.rooms.load();
        for line in lines {
            let room = line.room.room_id;
            match rooms.get(&room).map(|cell| cell.view.load()) {
                None => cells.push((room, Arc::new(cell_of(line)))),
                Some(view) if view.is_quiet() && *view.room() == line.room && view.tail() >= line.highest => {}
                Some(_) => others.push(room),
            }
        }
        drop(rooms);
        if !cells.is_empty() {
            self.put_missing_rooms(&cells);
        }
        others
    }

    /// Notes that the room may be busy now: to be called after the view has changed.
    fn note_life(&self, room: RoomId, view: &RoomView) {
        if !view.is_quiet() {
            lock(&self.busy).insert(room);
        }
    }

    fn put_missing_room(&self, room: RoomId, cell: &Arc<RoomCell>) {
        self.rooms.rcu(|rooms| {
            let mut rooms = HashMap::clone(rooms);
            rooms.entry(room).or_insert_with(|| Arc::clone(cell));
            rooms
        });
    }

    fn wake(&self, room: RoomId) {
        lock(&self.moved).insert(room);
        self.moved_news.notify_one();
    }

    fn cell(&self, room: RoomId) -> Option<Arc<RoomCell>> {
        self.rooms.load().get(&room).map(Arc::clone)
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn rebuild(&self, line: Line) -> Result<(), QueueError> {
        let (room, cell) = (line.room.room_id, Arc::new(RoomCell::from(&line)));
        self.put_room(room, &cell);
        self.note_life(room, &cell.view.load());
        self.wake(room);
        Ok(())
    }

    async fn load_missing_room(&self, line: Line) -> Result<(), QueueError> {
        let (room, cell) = (line.room.room_id, Arc::new(RoomCell::from(&line)));
        self.put_missing_room(room, &cell);
        self.note_life(room, &cell.view.load());
        self.wake(room);
        Ok(())
    }

    async fn load_quiet_rooms(&self, lines: Vec<Line>) -> Result<Vec<RoomId>, QueueError> {
        Ok(self.load_missing_quiet(&lines, |line| RoomCell::from(line)))
    }

    /// A new room starts empty: its rows need not be read.
    fn publish(&self, changes: &Changes) {
        for room in &changes.rooms.inserted {
            self.put_room(room.room_id, &Arc::new(RoomCell::new(RoomView::empty(room), &[], changes.now)));
        }
        for (room, delta) in deltas(changes) {
            if let Some(cell) = self.rooms.load().get(&room) {
                let may_move = cell.apply(&delta);
                self.note_life(room, &cell.view.load());
                if may_move {
                    self.wake(room);
                }
            }
        }
        if !changes.reservations.is_empty() {
            let mut holds = lock(&self.holds);
            for row in changes.reservations.iter() {
                let deadline = (row.expires_at, row.reservation_id);
                match row.status {
                    ReservationStatus::Pending => holds.insert(deadline),
                    ReservationStatus::Confirmed
                    | ReservationStatus::Cancelled
                    | ReservationStatus::Expired
                    | ReservationStatus::Refunded => holds.remove(&deadline),
                };
            }
        }
    }

    fn view(&self, room: RoomId) -> Option<Arc<RoomView>> {
        self.rooms.load().get(&room).map(|cell| cell.view.load_full())
    }

    fn rooms(&self) -> Vec<RoomId> {
        let mut rooms: Vec<_> = self.rooms.load().keys().copied().collect();
        rooms.sort_unstable();
        rooms
    }

    fn busy_rooms(&self) -> Vec<RoomId> {
        let mut busy = lock(&self.busy);
        // Read under the lock: a room that becomes busy meanwhile is noted after it.
        let rooms = self.rooms.load();
        busy.retain(|room| rooms.get(room).is_some_and(|cell| !cell.view.load().is_quiet()));
        busy.iter().copied().collect()
    }

    fn record_heartbeat(&self, token: TokenId, now: Time) {
        if let Some(cell) = self.rooms.load().get(&token.room_id) {
            cell.last_seen.note(token.position, now);
        }
    }

    /// Also measures the share of responsive tokens, for the estimates.
    fn unresponsive(&self, room: RoomId, limit: u32, since: Time) -> Vec<Position> {
        let Some(cell) = self.cell(room) else { return Vec::new() };
        let view = cell.view.load_full();
        let last_seen = cell.last_seen.reader(since);
        let beyond = view.tail().0 - view.cursor().0;
        let stride = usize::try_from(beyond / RESPONSIVE_SAMPLE).unwrap_or(usize::MAX).max(1);
        let (mut sampled, mut alive) = (0_i64, 0_i64);
        for position in view.waiting_by_stride(stride) {
            sampled += 1;
            alive += i64::from(last_seen.is_responsive(position));
        }
        if sampled > 0 {
            view.set_responsive_ppm(alive * 1_000_000 / sampled);
        }
        let mut unresponsive = Vec::new();
        let mut awake = 0;
        for position in view.waiting_from_head(TOKENS_PER_ADVANCE_MAX as usize) {
            if awake >= limit {
                break;
            }
            if last_seen.is_responsive(position) {
                awake += 1;
            } else {
                unresponsive.push(position);
            }
        }
        unresponsive
    }

    async fn take_due_holds(&self, now: Time, limit: u32) -> Result<Vec<ReservationId>, QueueError> {
        let mut holds = lock(&self.holds);
        let mut due = Vec::new();
        for _ in 0..limit {
            match holds.first() {
                Some((at, id)) if *at <= now => due.push(*id),
                Some(_) | None => break,
            }
            holds.pop_first();
        }
        Ok(due)
    }

    async fn add_hold_deadlines(&self, holds: &[(Time, ReservationId)]) -> Result<(), QueueError> {
        lock(&self.holds).extend(holds);
        Ok(())
    }

    async fn lead(&self, rooms: &[(RoomId, Fence)], _term: Span) -> Vec<Leadership> {
        rooms.iter().map(|(_, fence)| Leadership::Leader(*fence)).collect()
    }

    async fn token(&self, _id: TokenId) -> Result<Option<Token>, QueueError> {
        Ok(None)
    }

    fn check(&self) -> Result<(), QueueError> {
        Ok(())
    }

    /// Made for one caller: a move wakes one of several, and is kept for the next if none waits.
    async fn moved(&self, longest: std::time::Duration) -> Vec<RoomId> {
        // Woken or timed out, the caller takes what there is.
        let _ = tokio::time::timeout(longest, self.moved_news.notified()).await;
        std::mem::take(&mut *lock(&self.moved)).into_iter().collect()
    }
}
