//! The unassigned positions of each line, also those of an instance that died after drawing them, which no event
//! reports.

use crate::{lines::Rebuild, lock::lock, view::RoomView};
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
    grace: Duration,
    resolved: Mutex<HashMap<RoomId, ResolvedUpTo>>,
}

/// Every position of a line up to `to` has a row or is known to be unassigned.
#[derive(Debug, Clone, Copy)]
struct ResolvedUpTo {
    to: Position,
    /// The next bound, and since when it is known: due once no batch in flight can bring a position up to it.
    next: Option<(Position, Instant)>,
}

impl Gaps {
    pub(super) fn new(grace: Duration) -> Self {
        Self { grace, resolved: Mutex::default() }
    }

    /// Notes the position up to which those of a rebuilt line are resolved: one without a row that is not in flight
    /// counts as unassigned.
    pub(super) fn note_rebuilt(&self, line: &Line, rebuild: Rebuild) {
        let to = line.in_flight.first().map_or(line.highest, |first| Position(first.0 - 1));
        let resolved = ResolvedUpTo { to, next: (line.highest > to).then(|| (line.highest, Instant::now())) };
        let mut all = lock(&self.resolved);
        match rebuild {
            Rebuild::Replace => _ = all.insert(line.room.room_id, resolved),
            Rebuild::IfMissing => _ = all.entry(line.room.room_id).or_insert(resolved),
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
        let Some((from, to)) = self.due(room, view.tail()) else { return Ok(Vec::new()) };
        let (mut after, mut unassigned) = (from, Vec::new());
        while after < to {
            let until = Position(after.0.saturating_add(POSITIONS_PER_QUERY_MAX)).min(to);
            unassigned.extend(store.unassigned_positions(room, after, until).await?);
            after = until;
        }
        // A line that was rebuilt meanwhile is newer.
        if let Some(resolved) = lock(&self.resolved).get_mut(&room).filter(|resolved| resolved.to == from) {
            let tail = view.tail();
            *resolved = ResolvedUpTo { to, next: (tail > to).then(|| (tail, Instant::now())) };
        }
        unassigned.retain(|position| *position > view.cursor() && !view.has_departed(*position));
        Ok(unassigned)
    }

    /// The resolved bound and the next one, once no batch in flight can bring a position up to that.
    fn due(&self, room: RoomId, tail: Position) -> Option<(Position, Position)> {
        let mut all = lock(&self.resolved);
        // A line that was never loaded from rows began here, empty.
        let resolved = all.entry(room).or_insert(ResolvedUpTo { to: Position(0), next: None });
        if resolved.next.is_none() && tail > resolved.to {
            resolved.next = Some((tail, Instant::now()));
        }
        let (next, since) = resolved.next?;
        (since.elapsed() >= self.grace).then_some((resolved.to, next))
    }
}
