//! The unassigned positions of each line, also those of an instance that died after drawing them, which no event
//! reports.

use crate::{lock::lock, view::RoomView};
use frontrow_domain::id::{Position, RoomId};
use frontrow_storage::{Line, Store, StoreError};
use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

/// Positions looked up in one query.
const POSITIONS_PER_QUERY_MAX: i64 = 100_000;

/// The position up to which each line's positions are resolved.
#[derive(Debug)]
pub(super) struct Gaps {
    /// After how long a position that was drawn and has no row counts as unassigned.
    pub(super) grace: Duration,
    resolved: Mutex<HashMap<RoomId, ResolvedUpTo>>,
}

/// Every position of a line up to `to` is passed, has a row, or is known to be unassigned.
#[derive(Debug, Clone, Copy)]
struct ResolvedUpTo {
    to: Position,
    /// The next bound, and since when it is known: due once no batch in flight can bring a position up to it.
    next: Position,
    since: Instant,
}

impl Gaps {
    pub(super) fn new(grace: Duration) -> Self {
        Self { grace, resolved: Mutex::default() }
    }

    /// Notes the rows that a view is built from: only positions in flight, and those drawn later, are to be resolved.
    pub(super) fn note_rows(&self, line: &Line) {
        let to = line.in_flight.first().map_or(line.highest, |first| Position(first.0 - 1));
        let resolved = ResolvedUpTo { to, next: line.highest, since: Instant::now() };
        let mut all = lock(&self.resolved);
        let known = all.entry(line.room.room_id).or_insert(resolved);
        if known.to > line.highest {
            // The database has lost commits: these positions are given again.
            *known = resolved;
        }
    }

    /// The unassigned positions of a line, once no batch in flight can bring them. The caller removes them from the
    /// view.
    pub(super) async fn resolve(&self, store: &dyn Store, view: &RoomView) -> Result<Vec<Position>, StoreError> {
        // An unanswered commit may bring positions later than any other.
        if store.has_unanswered_commits() {
            return Ok(Vec::new());
        }
        let room = view.room().room_id;
        let first = ResolvedUpTo { to: view.cursor(), next: view.tail(), since: Instant::now() };
        let ResolvedUpTo { to, next, since } = *lock(&self.resolved).entry(room).or_insert(first);
        if since.elapsed() < self.grace {
            return Ok(Vec::new());
        }
        let (mut after, mut unassigned) = (to.max(view.cursor()), Vec::new());
        while after < next {
            let until = Position(after.0.saturating_add(POSITIONS_PER_QUERY_MAX)).min(next);
            unassigned.extend(store.unassigned_positions(room, after, until).await?);
            after = until;
        }
        let resolved = ResolvedUpTo { to: next, next: view.tail(), since: Instant::now() };
        lock(&self.resolved).insert(room, resolved);
        // Those that a draw has reserved get their tokens later.
        let draw = view.room().draw;
        unassigned.retain(|position| !view.has_departed(*position) && !draw.awaits_token(*position));
        Ok(unassigned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::tests::START;
    use frontrow_clock::Clock;
    use frontrow_domain::{line::Room, policy::Policy};
    use frontrow_storage::memory::MemoryStore;

    /// The store has no token: all positions that it is asked for are unassigned.
    #[tokio::test]
    async fn only_positions_in_flight_are_looked_up_after_a_line_is_loaded() {
        let store = MemoryStore::new(Clock::manual(START), Policy::default(), 1);
        let unassigned = async |in_flight: &[i64]| {
            let in_flight: Vec<_> = in_flight.iter().copied().map(Position).collect();
            let waiting = (1..=9).map(Position).filter(|position| !in_flight.contains(position)).collect();
            let room = Room::new(RoomId::HOUSE, 0, START);
            let line = Line { room, highest: Position(9), waiting, in_flight, others: Vec::new(), now: START };
            let gaps = Gaps::new(Duration::ZERO);
            gaps.note_rows(&line);
            gaps.resolve(&store, &RoomView::from_rows(&line)).await.unwrap()
        };
        assert_eq!(unassigned(&[]).await, [], "nothing is asked for");
        assert_eq!(unassigned(&[7]).await, [7, 8, 9].map(Position));
    }
}
