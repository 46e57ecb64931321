//! The rooms of one process: the view of each, when its tokens were last seen, which rooms have live tokens,
//! which lines may be able to move, and the clients that wait for news.

mod last_seen;
mod watchers;

use crate::{
    lock::lock,
    positions::Positions,
    record::{BesideRows, LineRecord, RecordTerms},
    view::{Delta, Effects, POLL_GIVEN_MS, RECORDED_POSITIONS, RoomView, ShownTo},
};
use arc_swap::ArcSwap;
use frontrow_domain::{
    id::{Position, RoomId, TokenId},
    line::{SilentToken, TokenStatus},
    outage::Outages,
    policy::TOKENS_PER_ADVANCE_MAX,
    time::{Span, Time},
};
use frontrow_storage::{Line, SavedLineRecord};
pub use last_seen::{CarriedSign, HeardSince};
pub(crate) use last_seen::{LastSeen, Sighting};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Notify;
use watchers::Watchers;
pub use watchers::{TokenWatch, WatcherKey};

/// Tokens at the head that show whether the clients of a line are heard of at all.
const HEAD_SAMPLE: usize = 20;

/// The lines in the memory of one process. Reading takes no lock; changes of one room wait for each other.
#[derive(Debug, Default)]
pub struct Lines {
    rooms: ArcSwap<HashMap<RoomId, Arc<RoomCell>>>,
    /// The rooms with live tokens; quiet ones may be among them until they are asked for.
    busy: Mutex<BTreeSet<RoomId>>,
    /// The rooms whose lines may be able to move.
    moved: Mutex<BTreeSet<RoomId>>,
    moved_news: Notify,
    watchers: Arc<Watchers>,
}

/// A heartbeat is published no later than this, which is more than the longest time between two polls: the last poll of
/// a token that comes near the head is published, and an earlier one is not taken for a new one.
pub(crate) const PUBLISHED_WITHIN: Span = Span::from_millis(*POLL_GIVEN_MS.end() + 9_000);

/// A room's line.
#[derive(Debug)]
pub(crate) struct RoomCell {
    /// The view that readers see.
    view: ArcSwap<RoomView>,
    last_seen: LastSeen,
    /// The view that the next change is applied to.
    next: Mutex<RoomView>,
}

/// Whether a rebuild replaces a line that is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebuild {
    /// It does.
    Replace,
    /// It does not: the line has applied the commits since, and the rows may be older.
    IfMissing,
}

/// The view of a line that is taken up from its rows, with what was recorded of it.
pub(crate) fn view_of(line: &Line, beside: &BesideRows) -> RoomView {
    let view = RoomView::from_rows(line).with_outages(beside.outages.clone());
    let Some(record) = &beside.record else { return view };
    match view.clone().with_record(&record.view, record.at, record.age, line.now) {
        Ok(view) => view,
        Err(error) => {
            let room = line.room.room_id.get();
            tracing::warn!(room, %error, "what is kept of the line cannot be true: its pace is measured anew");
            view
        }
    }
}

/// When the tokens of a line were last seen that is taken up from its rows: just now, but for those that were silent.
pub(crate) fn last_seen_of(line: &Line, beside: &BesideRows) -> LastSeen {
    let last_seen = LastSeen::seen_at(&line.waiting, line.now);
    if let Some(record) = &beside.record {
        last_seen.silence(&record.silent);
    }
    last_seen
}

impl RoomCell {
    pub(crate) fn new(view: RoomView, last_seen: LastSeen) -> Arc<Self> {
        Arc::new(Self { view: ArcSwap::from_pointee(view.clone()), last_seen, next: Mutex::new(view) })
    }

    /// The empty line of a new room.
    pub(crate) fn empty(view: RoomView) -> Arc<Self> {
        Self::new(view, LastSeen::default())
    }

    /// A line as its rows have it, with what was recorded of it: every token in it counts as just seen, but for those that
    /// were silent then.
    pub(crate) fn taken_up(line: &Line, beside: &BesideRows) -> Arc<Self> {
        Self::new(view_of(line, beside), last_seen_of(line, beside))
    }

    /// The same line as its rows have it now, with what these lack: how it was measured to move.
    pub(crate) fn read_again(&self, line: &Line, beside: &BesideRows) -> Arc<Self> {
        let view = view_of(line, beside).with_measurements_of(&self.view(), line.now);
        Self::new(view, LastSeen::seen_at(&line.waiting, line.now))
    }

    /// Takes over when the tokens that waited in the line before it was read again were last seen.
    pub(crate) fn keep_signs_of(&self, before: &Self, outages: &Outages) {
        let view = before.view();
        let draw = view.room().draw;
        let waited = view.waiting_from_head(usize::MAX).filter(|position| !draw.awaits_token(*position));
        self.last_seen.keep(&before.last_seen, waited, outages);
    }

    pub(crate) fn view(&self) -> Arc<RoomView> {
        self.view.load_full()
    }

    /// Takes over from the line that it replaces since when its tokens are in their states.
    pub(crate) fn keep_since_of(&self, before: &RoomView) {
        let mut next = lock(&self.next);
        next.keep_since_of(before);
        self.view.store(Arc::new(next.clone()));
    }

    /// Applies a change.
    pub(crate) fn apply(&self, delta: &Delta<'_>) -> Effects {
        let mut next = lock(&self.next);
        for token in delta.updated.iter().chain(delta.inserted) {
            if token.status() == TokenStatus::Waiting {
                self.last_seen.cover(token.id.position, delta.now);
            }
        }
        let passed = next.cursor();
        let effects = next.apply(delta);
        if effects.must_publish {
            self.last_seen.drop_passed(passed, next.cursor(), next.returned());
            self.view.store(Arc::new(next.clone()));
        }
        effects
    }
}

impl Lines {
    /// The present view of the room, from memory: no lock. None for a room not loaded.
    #[must_use]
    pub fn view(&self, room: RoomId) -> Option<Arc<RoomView>> {
        self.rooms.load().get(&room).map(|cell| cell.view())
    }

    /// The loaded rooms, by number.
    #[must_use]
    pub fn rooms(&self) -> Vec<RoomId> {
        let mut rooms: Vec<_> = self.rooms.load().keys().copied().collect();
        rooms.sort_unstable();
        rooms
    }

    /// The rooms with live tokens, as far as this instance knows, by number: the only ones that cost anything while
    /// nothing happens.
    #[must_use]
    pub fn busy_rooms(&self) -> Vec<RoomId> {
        let mut busy = lock(&self.busy);
        // Read under the lock: a room that becomes busy meanwhile is noted after it.
        let rooms = self.rooms.load();
        busy.retain(|room| rooms.get(room).is_some_and(|cell| !cell.view.load().is_quiet()));
        busy.iter().copied().collect()
    }

    /// Waits until lines may be able to move, at most `longest`; returns their rooms.
    ///
    /// Made for one caller: a move wakes one of several, and is kept for the next if none waits.
    pub async fn moved(&self, longest: Duration) -> Vec<RoomId> {
        // Woken or timed out, the caller takes what there is.
        let _ = tokio::time::timeout(longest, self.moved_news.notified()).await;
        std::mem::take(&mut *lock(&self.moved)).into_iter().collect()
    }

    /// Watches a token: see [`TokenWatch::changed`].
    #[must_use]
    pub fn watch(&self, token: TokenId) -> TokenWatch {
        Watchers::add(&self.watchers, token)
    }

    /// Has all watchers of a room look at it: what its tokens are shown has changed without a commit of the line.
    pub fn stir(&self, room: RoomId) {
        self.watchers.stir(room);
    }

    /// Waits until rooms have news for all of their watchers; returns the rooms.
    ///
    /// Made for one caller, as [`Lines::moved`] is.
    pub async fn stirred(&self) -> Vec<RoomId> {
        self.watchers.stirred().await
    }

    /// Wakes the next `limit` watchers of a room behind `after`, from the head of the line on. Returns the last; none
    /// at the end.
    #[must_use]
    pub fn wake_watchers(&self, room: RoomId, after: Option<WatcherKey>, limit: usize) -> Option<WatcherKey> {
        self.watchers.wake_next(room, after, limit)
    }

    /// Records that the token's client polled this instance. No lock.
    pub fn record_heartbeat(&self, token: TokenId, now: Time) {
        if let Some(cell) = self.rooms.load().get(&token.room_id) {
            cell.last_seen.note(token.position, now);
        }
    }

    /// What is known of the clients of these tokens, each with the position where the token goes on: for
    /// [`Lines::carry_over`]. A draw gives entries other positions.
    pub(crate) fn signs_of_life(
        &self,
        room: RoomId,
        moves: impl Iterator<Item = (Position, Position)>,
    ) -> Vec<CarriedSign> {
        self.rooms.load().get(&room).map(|cell| cell.last_seen.signs(moves)).unwrap_or_default()
    }

    /// Notes at their new positions what was known of tokens, unless their clients have polled this instance there. A sign
    /// of life that another instance saw there meanwhile is lost: it is later by a poll at most.
    pub fn carry_over(&self, room: RoomId, signs: &[CarriedSign]) {
        if let Some(cell) = self.rooms.load().get(&room) {
            cell.last_seen.carry_over(signs);
        }
    }

    /// Records that the clients of these tokens polled another instance at `at`, which may be before the last time
    /// here.
    pub(crate) fn record_remote_heartbeats(&self, room: RoomId, positions: impl Iterator<Item = Position>, at: Time) {
        if let Some(cell) = self.rooms.load().get(&room) {
            cell.last_seen.record_known(positions, at);
        }
    }

    /// The tokens whose clients polled this instance since `since`, if that is not published: of those that wait though
    /// the cursor has passed them, and of the next `reach` positions.
    pub(crate) fn unpublished_heartbeats(&self, room: RoomId, reach: i64, since: Time) -> Vec<Sighting> {
        let Some(cell) = self.cell(room) else { return Vec::new() };
        let view = cell.view();
        let beyond = view.cursor().0 + 1..=view.tail().0.min(view.cursor().0.saturating_add(reach));
        cell.last_seen.unpublished(view.returned().iter().copied().chain(beyond.map(Position)), since)
    }

    /// Notes that these heartbeats were published.
    pub(crate) fn mark_published(&self, room: RoomId, published: &[Sighting]) {
        if let Some(cell) = self.rooms.load().get(&room) {
            cell.last_seen.mark_published(published);
        }
    }

    /// The cell of a room that is loaded.
    pub(crate) fn cell(&self, room: RoomId) -> Option<Arc<RoomCell>> {
        self.rooms.load().get(&room).map(Arc::clone)
    }

    /// Takes over which heartbeats of a room at `now` are not published, into the line that is to replace it.
    pub(crate) fn hand_unpublished_to(&self, room: RoomId, rebuilt: &RoomCell, now: Time) {
        if let Some(cell) = self.rooms.load().get(&room) {
            rebuilt.last_seen.keep_unpublished_of(&cell.last_seen, now.minus(PUBLISHED_WITHIN));
        }
    }

    /// What is to be kept of a line over a restart, in bytes.
    pub(crate) fn record(&self, room: RoomId, terms: &RecordTerms) -> Option<SavedLineRecord> {
        let cell = self.cell(room)?;
        let view = cell.view();
        let heard = cell.last_seen.reader(terms.heard_since);
        let recorded = view.record(terms.now, |position| heard.silence(position).is_none());
        let silent = terms.silent_since.map(|since| {
            let last_seen = cell.last_seen.reader(since);
            let waiting = view.waiting_from_head(RECORDED_POSITIONS);
            Positions::of(waiting.filter(|position| last_seen.silence(*position).is_some()))
        });
        let record = LineRecord::new(recorded, silent.unwrap_or_default(), terms).to_bytes()?;
        Some(SavedLineRecord { room_id: room, epoch: view.epoch(), saved_at: terms.now, record })
    }

    /// Whether at least a quarter of the tokens at the head were seen since `since`, or none waits.
    #[must_use]
    pub(crate) fn is_head_heard(&self, room: RoomId, since: Time) -> bool {
        let Some(cell) = self.cell(room) else { return true };
        let last_seen = cell.last_seen.reader(HeardSince::any(since));
        let (mut head, mut seen) = (0_usize, 0_usize);
        for position in cell.view().waiting_from_head(HEAD_SAMPLE * HEAD_SAMPLE).take(HEAD_SAMPLE) {
            head += 1;
            seen += usize::from(last_seen.silence(position).is_none());
        }
        4 * seen >= head
    }

    /// Records that the token's client told this instance that it goes away. No lock.
    pub fn record_parting(&self, token: TokenId, now: Time) {
        if let Some(cell) = self.rooms.load().get(&token.room_id) {
            cell.last_seen.note_parting(token.position, now);
        }
    }

    /// Records that the clients of these tokens told another instance at `at` that they go away; a later sign of life
    /// stands.
    pub(crate) fn record_remote_partings(&self, room: RoomId, positions: impl Iterator<Item = Position>, at: Time) {
        if let Some(cell) = self.rooms.load().get(&room) {
            cell.last_seen.record_known_partings(positions, at);
        }
    }

    /// The unresponsive tokens from the head on, in order: those that wait and were not seen since `since`. The search
    /// ends with `limit` responsive tokens, and looks no further than one advance does: at
    /// [`TOKENS_PER_ADVANCE_MAX`] positions.
    #[must_use]
    pub fn unresponsive(&self, room: RoomId, limit: u32, since: HeardSince) -> Vec<SilentToken> {
        let Some(cell) = self.cell(room) else { return Vec::new() };
        let view = cell.view();
        let last_seen = cell.last_seen.reader(since);
        let mut unresponsive = Vec::new();
        let mut responsive = 0;
        for position in view.waiting_from_head(TOKENS_PER_ADVANCE_MAX as usize) {
            if responsive >= limit {
                break;
            }
            match last_seen.silence(position) {
                None => responsive += 1,
                Some(silence) => unresponsive.push(SilentToken { position, silence }),
            }
        }
        unresponsive
    }

    /// Puts a room's line.
    pub(crate) fn put(&self, cell: &Arc<RoomCell>, rebuild: Rebuild) {
        let view = cell.view();
        let room = view.room().room_id;
        self.rooms.rcu(|rooms| {
            let mut rooms = HashMap::clone(rooms);
            match rebuild {
                Rebuild::Replace => _ = rooms.insert(room, Arc::clone(cell)),
                Rebuild::IfMissing => _ = rooms.entry(room).or_insert_with(|| Arc::clone(cell)),
            }
            rooms
        });
        self.note_life(room, &view);
        self.wake(room);
        if room.is_lane() { self.stir_beside(room) } else { self.watchers.stir(room) }
    }

    fn stir_beside(&self, lane: RoomId) {
        lane.with_lanes().into_iter().for_each(|line| self.watchers.stir(line));
    }

    /// Adds quiet rooms that are missing, each with the view of its rows. Returns those whose views disagree with the
    /// rows.
    pub(crate) fn put_quiet(&self, lines: &[Line], view_of: impl Fn(&Line) -> RoomView) -> Vec<RoomId> {
        let mut cells = Vec::new();
        let mut others = Vec::new();
        let rooms = self.rooms.load();
        for line in lines {
            let room = line.room.room_id;
            match rooms.get(&room).map(|cell| cell.view.load()) {
                None => cells.push((room, RoomCell::new(view_of(line), LastSeen::default()))),
                Some(view) if view.is_quiet() && *view.room() == line.room && view.tail() >= line.highest => {}
                Some(_) => others.push(room),
            }
        }
        drop(rooms);
        if !cells.is_empty() {
            self.rooms.rcu(|rooms| {
                let mut rooms = HashMap::clone(rooms);
                for (room, cell) in &cells {
                    rooms.entry(*room).or_insert_with(|| Arc::clone(cell));
                }
                rooms
            });
        }
        others
    }

    /// Applies a change of one room; nothing for a room not loaded.
    pub(crate) fn apply(&self, room: RoomId, delta: &Delta<'_>) {
        if let Some(cell) = self.rooms.load().get(&room) {
            let effects = cell.apply(delta);
            self.note_life(room, &cell.view.load());
            if effects.may_move {
                self.wake(room);
            }
            if self.watchers.is_any() {
                self.watchers.wake_tokens(room, delta.updated);
                match effects.shown_to {
                    ShownTo::Changed => {}
                    ShownTo::Line => self.watchers.stir(room),
                    ShownTo::LinesBeside => self.stir_beside(room),
                }
            }
        }
    }

    /// Notes that the room may be busy now: to be called after the view has changed.
    fn note_life(&self, room: RoomId, view: &RoomView) {
        if !view.is_quiet() {
            lock(&self.busy).insert(room);
        }
    }

    fn wake(&self, room: RoomId) {
        lock(&self.moved).insert(room);
        self.moved_news.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::{
        line::{LaneEntry, LaneKind, LaneOf, LaneShare, Room},
        time::Span,
    };

    const START: Time = Time::from_micros(1_900_000_000_000_000);

    #[test]
    fn heartbeats_near_the_head_are_published_and_others_are_not() {
        let mut line = Line {
            room: Room { cursor: Position(50_000), ..Room::new(RoomId::HOUSE, 3, START) },
            highest: Position(60_000),
            waiting: [Position(3), Position(40_000)].into_iter().chain((50_001..=60_000).map(Position)).collect(),
            in_flight: Vec::new(),
            others: Vec::new(),
            now: START,
        };
        line.waiting.sort_unstable();
        let lines = Lines::default();
        lines.put(&RoomCell::taken_up(&line, &BesideRows::default()), Rebuild::Replace);
        let sightings = || lines.unpublished_heartbeats(RoomId::HOUSE, 1_000, START);
        let unpublished = || sightings().iter().map(|seen| seen.position).collect::<Vec<_>>();
        assert_eq!(unpublished(), [], "all instances know that they wait");
        for position in [3, 30_000, 40_000, 50_001, 51_000, 51_001] {
            let token = TokenId { room_id: RoomId::HOUSE, position: Position(position) };
            lines.record_heartbeat(token, START.plus(Span::from_secs(1)));
        }
        let published = unpublished();
        assert_eq!(published, [3, 40_000, 50_001, 51_000].map(Position));
        lines.mark_published(RoomId::HOUSE, &sightings());
        assert_eq!(unpublished(), []);
    }

    #[tokio::test]
    async fn a_lane_that_is_opened_or_changed_is_shown_at_once_to_the_line_and_the_lanes_beside_it() {
        let lines = Lines::default();
        let general = RoomId::HOUSE;
        let [lane, other] = [LaneKind::Invitation, LaneKind::Accessibility].map(|kind| general.lane(kind));
        for room in [general, other] {
            lines.put(&RoomCell::empty(RoomView::empty(&Room::new(room, 3, START))), Rebuild::Replace);
        }
        let _watch = lines.watch(TokenId { room_id: general, position: Position(1) });
        let shares = [20, 30].map(|share| LaneShare::try_from(share).unwrap());
        let opened = |share| Room {
            lane: Some(LaneOf { room: general, kind: LaneKind::Invitation, share, entry: LaneEntry::Open }),
            ..Room::new(lane, 3, START)
        };
        let all = [general, lane, other];
        lines.put(&RoomCell::empty(RoomView::empty(&opened(shares[0]))), Rebuild::IfMissing);
        assert_eq!(lines.stirred().await, all, "opened");
        let change = |room: &Room| lines.apply(lane, &Delta { room: Some(room), ..Delta::none(START) });
        change(&opened(shares[1]));
        assert_eq!(lines.stirred().await, all, "another share");
        change(&Room { message: Some("Soon.".to_owned()), ..opened(shares[1]) });
        assert_eq!(lines.stirred().await, [lane], "what only its own tokens are shown");
    }
}
