//! Moves the lines: offers turns and ends late tokens. Each line moves by itself, so that none waits for another.

use super::granted;
use crate::{
    engine::EngineError,
    metrics::Leads,
    office::{BoxOffice, ServiceError},
    outcome::Advance,
};
use frontrow_domain::{id::RoomId, line::Fence, time::Span};
use frontrow_line::{Leadership, NextAdvance, may_advance, next_advance};
use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// How long a line rests at most.
const LINE_TICK: Duration = Duration::from_millis(100);
/// How long an instance may move a line before it must renew its lease.
pub(crate) const LEASE: Span = Span::from_secs(2);
/// How many times in a row a line is moved before the other lines get their turn.
const ADVANCES_MAX: u32 = 50;
/// How many lines are moved at once. The engine decides their commands in few transactions; a line whose row is locked
/// keeps one of these places.
const MOVES_AT_ONCE: usize = 64;
/// The first rest of a line that could not be moved, and the longest.
const REST_MIN: Duration = Duration::from_millis(250);
const REST_MAX: Duration = Duration::from_secs(4);

pub(super) async fn move_lines(office: Arc<BoxOffice>) {
    let mut lines = LineMoves::new(office);
    let mut next_round = Instant::now();
    loop {
        let rest = next_round.saturating_duration_since(Instant::now());
        tokio::select! {
            moved = lines.office.lines.moved(rest) => {
                if next_round <= Instant::now() {
                    next_round = Instant::now() + LINE_TICK;
                    lines.look_at_all().await;
                } else {
                    lines.look_at(&moved).await;
                }
            }
            Some(moved) = lines.moves.join_next() => match moved {
                Ok((room, moved)) => lines.finish(room, moved).await,
                Err(error) => lines.lose(&error),
            },
        }
    }
}

/// The lines that this instance moves: independently, and a limited number at once.
struct LineMoves {
    office: Arc<BoxOffice>,
    moves: JoinSet<(RoomId, Result<(), EngineError>)>,
    under_way: HashMap<RoomId, UnderWay>,
    /// Lines to be moved, in this order.
    next: VecDeque<(RoomId, Fence)>,
    /// The rooms of these lines.
    queued: HashSet<RoomId>,
    /// Lines that could not be moved, with the end of their rest.
    resting: HashMap<RoomId, Backoff>,
    /// Rooms with a gauge of their leader.
    shown: BTreeSet<RoomId>,
}

#[derive(Debug, Clone, Copy)]
struct UnderWay {
    task: tokio::task::Id,
    meanwhile: ChangedMeanwhile,
}

/// Whether a room changed while its line was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChangedMeanwhile {
    Nothing,
    Something,
}

#[derive(Debug, Clone, Copy)]
struct Backoff {
    until: Instant,
    /// The length of this rest; the next one in a row is longer.
    length: Duration,
}

impl LineMoves {
    fn new(office: Arc<BoxOffice>) -> Self {
        Self {
            office,
            moves: JoinSet::new(),
            under_way: HashMap::new(),
            next: VecDeque::new(),
            queued: HashSet::new(),
            resting: HashMap::new(),
            shown: BTreeSet::new(),
        }
    }

    /// Checks every line in which something can move; the others need no leader.
    async fn look_at_all(&mut self) {
        let now = self.office.now();
        let mut busy = self.office.lines.busy_rooms();
        busy.retain(|room| self.office.lines.view(*room).is_some_and(|view| view.needs_leader(now)));
        let now_busy: BTreeSet<_> = busy.iter().copied().collect();
        for quiet in self.shown.difference(&now_busy) {
            self.office.metrics.leader(*quiet, None);
        }
        self.shown.retain(|room| now_busy.contains(room));
        self.resting.retain(|room, _| now_busy.contains(room));
        self.look_at(&busy).await;
    }

    /// Checks which of these lines this instance leads and can move, and starts to move them.
    async fn look_at(&mut self, rooms: &[RoomId]) {
        let (now, store_time) = (Instant::now(), self.office.now());
        let mut wanted = Vec::with_capacity(rooms.len());
        for room in rooms {
            if let Some(under_way) = self.under_way.get_mut(room) {
                under_way.meanwhile = ChangedMeanwhile::Something;
            } else if self.resting.get(room).is_none_or(|rest| rest.until <= now)
                && let Some(view) = self.office.lines.view(*room)
                && view.needs_leader(store_time)
            {
                wanted.push((*room, view.room().fence));
            }
        }
        if wanted.is_empty() {
            return;
        }
        let standings = self.office.peers.lead(&wanted, LEASE).await;
        for ((room, _), standing) in wanted.into_iter().zip(standings) {
            self.shown.insert(room);
            match standing {
                Leadership::Leader(fence) => {
                    self.office.metrics.leader(room, Some(Leads::Yes));
                    if !self.queued.contains(&room) && may_move(&self.office, room) {
                        self.queued.insert(room);
                        self.next.push_back((room, fence));
                    }
                }
                Leadership::Follower => self.office.metrics.leader(room, Some(Leads::No)),
            }
        }
        self.begin();
    }

    /// Starts to move the next lines, up to the limit.
    fn begin(&mut self) {
        while self.under_way.len() < MOVES_AT_ONCE
            && let Some((room, fence)) = self.next.pop_front()
        {
            self.queued.remove(&room);
            let office = Arc::clone(&self.office);
            let task = self.moves.spawn(async move { (room, move_line(&office, room, fence).await) }).id();
            self.under_way.insert(room, UnderWay { task, meanwhile: ChangedMeanwhile::Nothing });
        }
    }

    async fn finish(&mut self, room: RoomId, moved: Result<(), EngineError>) {
        let meanwhile = self.under_way.remove(&room).map(|under_way| under_way.meanwhile);
        match moved {
            Ok(()) => {
                self.resting.remove(&room);
                if meanwhile == Some(ChangedMeanwhile::Something) {
                    self.look_at(&[room]).await;
                }
            }
            Err(fault) => self.rest(room, fault),
        }
        self.begin();
    }

    fn rest(&mut self, room: RoomId, fault: EngineError) {
        let before = self.resting.get(&room).map_or(Duration::ZERO, |rest| rest.length);
        let length = (before * 2).clamp(REST_MIN, REST_MAX);
        // A leader that cannot move the line would keep it from the instances that can. Overload, or a locked row, hits
        // the others as well.
        if fault != EngineError::Overloaded {
            self.office.peers.leave(room);
        }
        self.resting.insert(room, Backoff { until: Instant::now() + length, length });
    }

    /// A move panicked, which is a bug: its line must not count as in progress for ever.
    fn lose(&mut self, error: &tokio::task::JoinError) {
        tracing::error!(%error, "moving a line panicked");
        self.under_way.retain(|_, under_way| under_way.task != error.id());
        self.begin();
    }
}

/// Moves a line, one advance after another as long as they have an effect: each covers a limited number of tokens.
pub(super) async fn move_line(office: &BoxOffice, room: RoomId, fence: Fence) -> Result<(), EngineError> {
    for _ in 0..ADVANCES_MAX {
        if let Some(view) = office.lines.view(room).filter(|view| view.room().draw.is_pending()) {
            if !office.may_step_draw(&view) {
                break;
            }
            match office.step_draw(&view, fence).await {
                Ok(()) => continue,
                Err(ServiceError::EngineError(fault)) => return Err(fault),
                Err(error) => {
                    tracing::warn!(%error, %room, "the draw of a lobby cannot go on: it is tried again");
                    return Err(EngineError::Unavailable);
                }
            }
        }
        let Some(next) = next_move(office, room) else { break };
        let advance = granted(office.advance_room(room, fence, next).await)?;
        if advance.is_none_or(|advance| advance == Advance::default()) {
            break;
        }
    }
    Ok(())
}

fn may_move(office: &BoxOffice, room: RoomId) -> bool {
    office.lines.view(room).is_some_and(|view| {
        office.may_step_draw(&view) || may_advance(&*office.peers, &view, office.now(), &office.policy)
    })
}

fn next_move(office: &BoxOffice, room: RoomId) -> Option<NextAdvance> {
    next_advance(&*office.peers, room, office.now(), &office.policy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workers::testing::{START, TestFolder, add_five_seats, ask, join, join_in, open, own_room, policy};
    use frontrow_clock::Clock;
    use frontrow_domain::{
        command::{Command, ConcertChange, RoomChange},
        id::{ConcertId, Position, TokenId},
        policy::TOKENS_PER_ADVANCE_MAX,
        sale::ConcertStatus,
        user::Caller,
    };
    use frontrow_storage::memory::MemoryStore;

    #[tokio::test]
    async fn a_line_moves_on_until_there_is_no_more_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let place = TestFolder::in_folder(folder.path());
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::new(clock.clone(), policy(), 2_000));
        let office = open(&place, store, clock.clone()).await;
        let all = i64::from(2 * TOKENS_PER_ADVANCE_MAX + 10);
        for number in 1..=all {
            join(&office, number.unsigned_abs().into()).await;
        }
        // All but the last ten have been unresponsive for too long.
        clock.advance(policy().dormant_after);
        clock.advance(Span::from_secs(1));
        for position in all - 9..=all {
            let token = TokenId { room_id: RoomId::HOUSE, position: Position(position) };
            office.lines.record_heartbeat(token, clock.now());
        }
        move_line(&office, RoomId::HOUSE, Fence(0)).await.unwrap();
        let view = office.lines.view(RoomId::HOUSE).unwrap();
        assert_eq!((view.offered(), view.total_waiting()), (10, 0));
        clock.advance(policy().dormant_limit);
        move_line(&office, RoomId::HOUSE, Fence(0)).await.unwrap();
        let line = office.store.line(RoomId::HOUSE).await.unwrap().unwrap();
        assert_eq!(line.others, []);
    }

    #[tokio::test]
    async fn a_rate_that_has_earned_no_turn_costs_no_command() {
        let folder = tempfile::tempdir().unwrap();
        let place = TestFolder::in_folder(folder.path());
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::new(clock.clone(), policy(), 10));
        let office = open(&place, store, clock.clone()).await;
        let change = RoomChange { admit_per_minute: Some(Some(60)), ..RoomChange::default() };
        ask(&office, Caller::System, Command::SetRoom { room_id: RoomId::HOUSE, change, basis: None, reason: None })
            .await;
        for number in 1..=3 {
            join(&office, number).await;
        }
        let offered = || office.lines.view(RoomId::HOUSE).unwrap().offered();
        for turn in 0..3 {
            let can_move = || next_move(&office, RoomId::HOUSE).is_some();
            assert_eq!((offered(), can_move()), (turn, false));
            clock.advance(Span::from_millis(999));
            assert!(!can_move());
            clock.advance(Span::from_millis(1));
            assert!(can_move());
            move_line(&office, RoomId::HOUSE, Fence(0)).await.unwrap();
            assert_eq!(offered(), turn + 1);
        }
    }

    #[tokio::test]
    async fn many_lines_are_moved_at_a_time_and_none_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let place = TestFolder::in_folder(folder.path());
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::new(clock.clone(), policy(), 10));
        let office = open(&place, store, clock.clone()).await;
        let mut rooms = Vec::new();
        for number in 0..2 * MOVES_AT_ONCE + 10 {
            rooms.push(own_room(&office).await);
            join_in(&office, u128::try_from(number).unwrap(), rooms[number]).await;
        }
        let quiet = own_room(&office).await;
        let mut lines = LineMoves::new(Arc::clone(&office));
        lines.look_at_all().await;
        assert_eq!(lines.under_way.len(), MOVES_AT_ONCE);
        while let Some(moved) = lines.moves.join_next().await {
            let (room, moved) = moved.unwrap();
            lines.finish(room, moved).await;
        }
        let view = |room| office.lines.view(room).unwrap();
        assert!(rooms.iter().all(|room| view(*room).offered() == 1));
        assert!(lines.shown.iter().eq(&rooms), "the line of {quiet} needs no leader");
    }

    #[tokio::test]
    async fn a_line_whose_sale_is_over_needs_no_leader_while_all_in_it_wait() {
        let folder = tempfile::tempdir().unwrap();
        let place = TestFolder::in_folder(folder.path());
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::new(clock.clone(), policy(), 10));
        let office = open(&place, store, clock.clone()).await;
        let room = own_room(&office).await;
        let concert_id = ConcertId::new(room.get());
        add_five_seats(&office, concert_id).await;
        let (first, _) = (join_in(&office, 1, room).await, join_in(&office, 2, room).await);
        let set = async |status| {
            let change = ConcertChange { status: Some(status), ..ConcertChange::default() };
            ask(&office, Caller::System, Command::UpdateConcert { concert_id, change, basis: None, reason: None })
                .await;
        };
        let mut lines = LineMoves::new(Arc::clone(&office));
        let change = RoomChange { max_active: Some(1), ..RoomChange::default() };
        ask(&office, Caller::System, Command::SetRoom { room_id: room, change, basis: None, reason: None }).await;
        move_line(&office, room, Fence(0)).await.unwrap();
        set(ConcertStatus::Closed).await;
        lines.look_at_all().await;
        assert!(lines.shown.contains(&room), "a turn is offered, which lapses");
        let token = TokenId { room_id: room, position: Position(1) };
        ask(&office, first, Command::LeaveQueue { token }).await;
        lines.look_at_all().await;
        assert!(!lines.shown.contains(&room) && lines.under_way.is_empty());
        set(ConcertStatus::Scheduled).await;
        lines.look_at_all().await;
        assert!(lines.shown.contains(&room), "the sale goes on");
        let (_, moved) = lines.moves.join_next().await.unwrap().unwrap();
        moved.unwrap();
        assert_eq!(office.lines.view(room).unwrap().offered(), 1, "the place was kept");
    }

    #[tokio::test]
    async fn a_line_that_cannot_be_moved_rests_and_the_others_are_moved() {
        let folder = tempfile::tempdir().unwrap();
        let place = TestFolder::in_folder(folder.path());
        let clock = Clock::manual(START);
        let store = Arc::new(MemoryStore::new(clock.clone(), policy(), 10));
        let office = open(&place, store, clock.clone()).await;
        let (held, other) = (own_room(&office).await, own_room(&office).await);
        let mut lines = LineMoves::new(Arc::clone(&office));
        lines.finish(held, Err(EngineError::Overloaded)).await;
        lines.finish(held, Err(EngineError::Overloaded)).await;
        assert_eq!(lines.resting[&held].length, 2 * REST_MIN, "longer each time");
        for (number, room) in [held, other].into_iter().enumerate() {
            join_in(&office, u128::try_from(number).unwrap(), room).await;
        }
        lines.resting.get_mut(&held).unwrap().until = Instant::now() + LINE_TICK * 1_000;
        lines.look_at_all().await;
        assert!(lines.under_way.keys().eq([&other]));
        lines.resting.get_mut(&held).unwrap().until = Instant::now();
        lines.look_at_all().await;
        assert_eq!(lines.under_way.len(), 2);
    }
}
