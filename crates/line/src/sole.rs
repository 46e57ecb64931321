//! The only instance over its database: nothing crosses processes.

use crate::{
    lines::{CarriedSign, HeardSince, Lines, Rebuild, RoomCell},
    lock::lock,
    peers::{Leadership, PeerFigures, PeerStatus, Peers, PeersError},
    record::{BesideRows, KnownHeartbeats, RecordTerms},
    view::{Delta, RoomView, deltas},
};
use async_trait::async_trait;
use frontrow_domain::{
    changes::Changes,
    id::{Position, ReservationId, RoomId, TokenId},
    line::{Fence, SilentToken, Token},
    policy::Policy,
    sale::ReservationStatus,
    time::{Span, Time},
};
use frontrow_storage::{GAP_GRACE, Line, SavedLineRecord, Sharing, Store};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};
use uuid::Uuid;

/// The only instance: it has the deadlines of holds in memory, and leads every line.
#[derive(Debug)]
pub struct SoleInstance {
    lines: Arc<Lines>,
    store: Arc<dyn Store>,
    holds: Mutex<BTreeSet<(Time, ReservationId)>>,
}

impl SoleInstance {
    /// The only instance over `store`, without rooms.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { lines: Arc::default(), store, holds: Mutex::default() }
    }

    /// Removes the unassigned positions that an earlier process drew and never used, once its last batch cannot commit
    /// any more.
    fn drop_gaps_later(&self, line: &Line) {
        let (Some(first), room, to) = (line.in_flight.first(), line.room.room_id, line.highest) else { return };
        let after = Position(first.0 - 1);
        let (store, lines) = (Arc::downgrade(&self.store), Arc::downgrade(&self.lines));
        tokio::spawn(async move {
            tokio::time::sleep(GAP_GRACE).await;
            let (Some(store), Some(lines)) = (store.upgrade(), lines.upgrade()) else { return };
            // Such a commit may assign them even later; the line is rebuilt after it.
            if store.has_unanswered_commits() {
                return;
            }
            // Positions that a draw has reserved get their tokens later: as the draw was before the rows are read, since
            // an entry may be placed meanwhile.
            let draw = lines.view(room).map(|view| view.room().draw);
            match (store.now().await, store.unassigned_positions(room, after, to).await) {
                (Ok(now), Ok(mut unused)) => {
                    unused.retain(|position| !draw.is_some_and(|draw| draw.awaits_token(*position)));
                    let unused: Vec<_> =
                        unused.into_iter().map(|position| TokenId { room_id: room, position }).collect();
                    lines.apply(room, &Delta { unused: &unused, ..Delta::none(now) });
                }
                (Err(error), _) | (_, Err(error)) => {
                    tracing::warn!(%error, "unassigned positions count as waiting until a restart");
                }
            }
        });
    }
}

#[async_trait]
impl Peers for SoleInstance {
    fn lines(&self) -> &Arc<Lines> {
        &self.lines
    }

    fn sharing(&self) -> Sharing {
        Sharing::Alone
    }

    async fn rebuild(&self, line: Line, rebuild: Rebuild) {
        self.drop_gaps_later(&line);
        let Some(before) = self.lines.cell(line.room.room_id) else {
            let cell = RoomCell::taken_up(&line, &BesideRows::taken_up(&*self.store, &line).await);
            return self.lines.put(&cell, rebuild);
        };
        let beside = BesideRows::loaded(&*self.store);
        let cell = before.read_again(&line, &beside);
        self.lines.put(&cell, rebuild);
        // Afterwards: a sign of life that comes meanwhile is noted in one of the two.
        cell.keep_signs_of(&before, &beside.outages);
    }

    fn load_quiet_rooms(&self, lines: &[Line]) -> Vec<RoomId> {
        self.lines.put_quiet(lines, RoomView::from_rows)
    }

    /// A new room starts empty: its rows need not be read.
    fn publish(&self, changes: &Changes) {
        for room in &changes.rooms.inserted {
            self.lines.put(&RoomCell::empty(RoomView::empty(room)), Rebuild::IfMissing);
        }
        for (room, delta) in deltas(changes) {
            self.lines.apply(room, &delta);
        }
        if !changes.reservations.is_empty() {
            let mut holds = lock(&self.holds);
            for row in changes.reservations.iter() {
                let deadline = (row.expires_at, row.reservation_id);
                match row.status() {
                    ReservationStatus::Pending => holds.insert(deadline),
                    ReservationStatus::Confirmed
                    | ReservationStatus::Cancelled
                    | ReservationStatus::Expired
                    | ReservationStatus::Refunded => holds.remove(&deadline),
                };
            }
        }
    }

    fn announce_gap(&self) {}

    /// Every commit is applied here: no view is old.
    fn request_refresh(&self, _rooms: Vec<RoomId>) {}

    fn unresponsive(&self, room: RoomId, limit: u32, since: HeardSince) -> Vec<SilentToken> {
        self.lines.unresponsive(room, limit, since)
    }

    fn signs_of_life(&self, room: RoomId, moves: &[(Position, Position)]) -> Vec<CarriedSign> {
        self.lines.signs_of_life(room, moves.iter().copied())
    }

    fn line_record(&self, room: RoomId, now: Time, policy: &Policy) -> Option<SavedLineRecord> {
        self.lines.record(room, &RecordTerms::new(now, policy, KnownHeartbeats::All))
    }

    async fn take_due_holds(&self, now: Time, limit: u32) -> Result<Vec<ReservationId>, PeersError> {
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

    fn add_hold_deadlines(&self, due: &[(Time, ReservationId)]) {
        lock(&self.holds).extend(due);
    }

    async fn lead(&self, rooms: &[(RoomId, Fence)], _term: Span) -> Vec<Leadership> {
        rooms.iter().map(|(_, fence)| Leadership::Leader(*fence)).collect()
    }

    /// No other instance could move it.
    fn leave(&self, _room: RoomId) {}

    async fn token(&self, _id: TokenId) -> Result<Option<Token>, PeersError> {
        Ok(None)
    }

    /// There is no other instance.
    async fn exchange_figures(&self, _own: &[u8], _gone: &[Uuid]) -> Result<Vec<PeerFigures>, PeersError> {
        Ok(Vec::new())
    }

    fn status(&self) -> Option<PeerStatus> {
        None
    }

    async fn shutdown(&self) {}
}
