//! The drawn orders of rooms, computed once from the draw's row and kept: every poll of an entry's token asks for its
//! place.

use crate::office::ServiceError;
use frontrow_domain::{
    id::{Position, RoomId},
    line::{DrawPhase, drawn_position},
    refusal::{EntityKind, Refusal},
    time::Time,
};
use frontrow_draw::MerkleTree;
use frontrow_storage::Store;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many entries the kept orders may have together: eight bytes each.
const KEPT_ENTRIES_MAX: usize = 8_000_000;

/// What a draw gave one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DrawnEntry {
    /// The entry.
    pub(crate) entry: Position,
    /// Its rank, from 1.
    pub(crate) rank: i64,
    /// How many entries were drawn.
    pub(crate) entries: i64,
}

/// The order of the entries of a draw.
#[derive(Debug)]
pub struct DrawnOrder {
    /// The highest position that was given before the lobby was sealed.
    last: Position,
    /// Numbers of entries in the drawn order.
    order: Vec<u32>,
    /// The rank of each number, from 1; 0 of a number that was no entry.
    ranks: Vec<u32>,
}

impl DrawnOrder {
    fn of(last: Position, order: &[Position]) -> Self {
        let mut ranks = vec![0; usize::try_from(last.0).unwrap_or(0) + 1];
        let mut numbers = Vec::with_capacity(order.len());
        for (rank, entry) in (1..).zip(order) {
            let number = u32::try_from(entry.0).unwrap_or(0);
            numbers.push(number);
            if let Some(place) = ranks.get_mut(number as usize) {
                *place = rank;
            }
        }
        Self { last, order: numbers, ranks }
    }

    /// The rank of an entry, from 1; none if the number was no entry.
    #[must_use]
    pub fn rank_of(&self, entry: Position) -> Option<i64> {
        let rank = self.ranks.get(usize::try_from(entry.0).ok()?)?;
        (*rank > 0).then_some(i64::from(*rank))
    }

    /// How many entries have a lower number.
    #[must_use]
    pub fn index_of(&self, entry: Position) -> usize {
        let below = usize::try_from(entry.0).unwrap_or(0);
        self.ranks.iter().take(below).filter(|rank| **rank > 0).count()
    }

    /// The position that an entry got.
    #[must_use]
    pub fn position_of(&self, entry: Position) -> Option<Position> {
        self.rank_of(entry).map(|rank| drawn_position(self.last, rank))
    }

    /// The entry that got a position.
    #[must_use]
    pub fn entry_at(&self, position: Position) -> Option<Position> {
        let index = usize::try_from(position.0.checked_sub(self.last.0)?.checked_sub(1)?).ok()?;
        self.order.get(index).map(|number| Position(i64::from(*number)))
    }

    /// The entries behind the first `placed` in the drawn order, at most `limit`.
    pub(crate) fn next_entries(&self, placed: i64, limit: usize) -> Vec<Position> {
        let placed = usize::try_from(placed).unwrap_or(usize::MAX);
        self.order.iter().skip(placed).take(limit).map(|number| Position(i64::from(*number))).collect()
    }

    fn len(&self) -> usize {
        self.order.len()
    }

    /// How many entries were drawn.
    pub(crate) fn entries(&self) -> i64 {
        i64::try_from(self.len()).unwrap_or(i64::MAX)
    }
}

/// The orders of the latest draws, and what this instance knows of those that are not drawn.
#[derive(Debug, Default)]
pub(crate) struct DrawnOrders {
    rooms: Mutex<Rooms>,
    /// Locked while an order is computed, so that it is computed once.
    computing: tokio::sync::Mutex<()>,
    /// The trees of the entries of draws, the latest last: 64 bytes an entry.
    trees: Mutex<Vec<(RoomId, Arc<MerkleTree>)>>,
    /// Locked while all entries of a draw are read.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Rooms {
    /// The latest last.
    orders: Vec<(RoomId, Arc<DrawnOrder>)>,
    /// Rooms whose secret is committed to.
    begun: HashSet<RoomId>,
    /// Until when draws wait for their beacon.
    waits: HashMap<RoomId, Time>,
}

impl DrawnOrders {
    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, room: RoomId) -> Option<Arc<DrawnOrder>> {
        self.rooms().orders.iter().find(|(id, _)| *id == room).map(|(_, order)| Arc::clone(order))
    }

    /// The order of a room's entries: from memory, else from the draw's row.
    pub(crate) async fn get(&self, store: &dyn Store, room: RoomId) -> Result<Arc<DrawnOrder>, ServiceError> {
        if let Some(order) = self.known(room) {
            return Ok(order);
        }
        let _computing = self.computing.lock().await;
        if let Some(order) = self.known(room) {
            return Ok(order);
        }
        let missing = Refusal::NotFound { what: EntityKind::Draw };
        let draw = store.draw(room).await?.ok_or_else(|| missing.clone())?;
        let summary = store.live_line(room).await?.ok_or_else(|| missing.clone())?;
        let (DrawPhase::Placing { last, .. } | DrawPhase::Placed { last, .. }) = summary.room.draw else {
            return Err(missing.into());
        };
        let computed = tokio::task::spawn_blocking(move || Some(DrawnOrder::of(last, &draw.order()?))).await;
        let order = computed.map_err(|_| ServiceError::Internal("a drawn order could not be computed"))?;
        let order = Arc::new(order.ok_or(missing)?);
        let mut rooms = self.rooms();
        rooms.orders.push((room, Arc::clone(&order)));
        while rooms.orders.len() > 1
            && rooms.orders.iter().map(|(_, order)| order.len()).sum::<usize>() > KEPT_ENTRIES_MAX
        {
            rooms.orders.remove(0);
        }
        rooms.waits.remove(&room);
        rooms.begun.remove(&room);
        Ok(order)
    }

    /// Waits until no other call reads all entries of a draw.
    pub(crate) async fn lock_leaves(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.reading.lock().await
    }

    /// The tree of a room's entries, if it is kept.
    pub(crate) fn tree(&self, room: RoomId) -> Option<Arc<MerkleTree>> {
        let trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        trees.iter().find(|(id, _)| *id == room).map(|(_, tree)| Arc::clone(tree))
    }

    pub(crate) fn keep_tree(&self, room: RoomId, tree: MerkleTree) -> Arc<MerkleTree> {
        let tree = Arc::new(tree);
        let mut trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        trees.retain(|(id, _)| *id != room);
        trees.push((room, Arc::clone(&tree)));
        while trees.len() > 1 && trees.iter().map(|(_, tree)| tree.leaves().len()).sum::<usize>() > KEPT_ENTRIES_MAX {
            trees.remove(0);
        }
        tree
    }

    pub(crate) fn is_begun(&self, room: RoomId) -> bool {
        self.rooms().begun.contains(&room)
    }

    pub(crate) fn note_begun(&self, room: RoomId) {
        self.rooms().begun.insert(room);
    }

    /// Until when the draw of a room waits for its beacon, as far as this instance knows.
    pub(crate) fn waits_until(&self, room: RoomId) -> Option<Time> {
        self.rooms().waits.get(&room).copied()
    }

    pub(crate) fn note_wait(&self, room: RoomId, deadline: Option<Time>) {
        let mut rooms = self.rooms();
        match deadline {
            Some(deadline) => rooms.waits.insert(room, deadline),
            None => rooms.waits.remove(&room),
        };
    }
}
