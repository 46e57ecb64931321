//! The tokens that are neither in line beyond the cursor nor ended, by position.

use frontrow_domain::{
    id::Position,
    line::{HeadWeight, TokenState, TokenStatus, TurnAge},
    time::Time,
};
use std::sync::Arc;

/// Shards of the map: a change copies one of them.
const SHARDS: usize = 256;
/// Neighbours share a shard, since turns are offered to neighbours: so many positions in a row.
const RUN: i64 = 32;

/// A token as far as a view knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) position: Position,
    pub(super) state: TokenState,
    /// When it was offered its turn, or came back to wait, as far as this view knows; [`Time::MAX`] for one that came back
    /// at an unknown time.
    pub(super) since: Time,
    /// How many turns it let pass; 0 while it waits.
    pub(super) turns_passed: u32,
    /// Its weight as a head, by how long it had waited when its turn first came.
    pub(super) weight: HeadWeight,
}

/// A turn that is offered.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutstandingTurn {
    /// When it was offered, as far as this view knows.
    pub(super) since: Time,
    /// When it was claimed while the room was full.
    claimed_at: Option<Time>,
    /// That of its token.
    pub(super) weight: HeadWeight,
}

impl OutstandingTurn {
    /// Its age at `now`.
    pub(super) fn age(&self, now: Time) -> TurnAge {
        match self.claimed_at {
            Some(at) => TurnAge::Claimed(at.since(self.since)),
            None => TurnAge::Unclaimed(now.since(self.since)),
        }
    }
}

/// A map whose clone shares all shards; changing a token copies its shard alone. Before the first token it has no
/// shards: most rooms of a box office are empty.
#[derive(Debug, Clone, Default)]
pub(super) struct Live {
    shards: Vec<Arc<Vec<Entry>>>,
    len: usize,
}

fn shard(position: Position) -> usize {
    usize::try_from(position.0 / RUN).unwrap_or(0) % SHARDS
}

impl Live {
    pub(super) fn get(&self, position: Position) -> Option<&Entry> {
        let shard = self.shards.get(shard(position))?;
        let at = shard.binary_search_by_key(&position, |entry| entry.position).ok()?;
        Some(&shard[at])
    }

    /// Puts a token, in place of its entry from before.
    pub(super) fn put(&mut self, entry: Entry) {
        if self.shards.is_empty() {
            self.shards.resize(SHARDS, Arc::default());
        }
        let shard = Arc::make_mut(&mut self.shards[shard(entry.position)]);
        match shard.binary_search_by_key(&entry.position, |entry| entry.position) {
            Ok(at) => shard[at] = entry,
            Err(at) => {
                shard.insert(at, entry);
                self.len += 1;
            }
        }
    }

    /// Takes over what is not in the rows: the weights, when turns were offered that were out before, and when tokens
    /// came back that waited before.
    pub(super) fn keep_since(&mut self, before: &Self) {
        for entry in self.shards.iter_mut().flat_map(|shard| Arc::make_mut(shard).iter_mut()) {
            let status = entry.state.status();
            let earlier = before.get(entry.position);
            entry.weight = earlier.map_or(entry.weight, |earlier| earlier.weight);
            let earlier = earlier.filter(|earlier| earlier.state.status() == status);
            match (status, earlier) {
                (TokenStatus::Offered | TokenStatus::Waiting, Some(earlier)) => entry.since = earlier.since,
                (TokenStatus::Waiting, None) => entry.since = Time::MAX,
                _ => {}
            }
        }
    }

    /// When the tokens came back that wait although the cursor has passed them, ascending.
    pub(super) fn returns(&self) -> Vec<Time> {
        let entries = self.shards.iter().flat_map(|shard| shard.iter());
        let waiting = entries.filter(|entry| entry.state.status() == TokenStatus::Waiting);
        let mut returns: Vec<_> = waiting.map(|entry| entry.since).collect();
        returns.sort_unstable();
        returns
    }

    /// Since when tokens are in this state, by position, in no order; without those of which it is not known.
    pub(super) fn known_since(&self, status: TokenStatus) -> impl Iterator<Item = (Position, Time)> {
        let entries = self.shards.iter().flat_map(|shard| shard.iter());
        let known = entries.filter(move |entry| entry.state.status() == status && entry.since < Time::MAX);
        known.map(|entry| (entry.position, entry.since))
    }

    /// Sets since when a token is in this state, if it still is in it.
    pub(super) fn set_since(&mut self, position: Position, status: TokenStatus, since: Time) {
        if let Some(entry) = self.get(position).copied().filter(|entry| entry.state.status() == status) {
            self.put(Entry { since, ..entry });
        }
    }

    /// Removes a token that is in it.
    pub(super) fn remove(&mut self, position: Position) {
        let Some(shard) = self.shards.get_mut(shard(position)) else { return };
        if let Ok(at) = shard.binary_search_by_key(&position, |entry| entry.position) {
            self.len -= 1;
            Arc::make_mut(shard).remove(at);
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The turns that are offered, in no order.
    pub(super) fn turns(&self) -> impl Iterator<Item = OutstandingTurn> {
        self.shards.iter().flat_map(|shard| shard.iter()).filter_map(|entry| match entry.state {
            TokenState::Offered { claimed_at, .. } => {
                Some(OutstandingTurn { since: entry.since, claimed_at, weight: entry.weight })
            }
            _ => None,
        })
    }

    /// When each active token was activated, in no order.
    pub(super) fn active_since(&self) -> impl Iterator<Item = Time> {
        self.shards.iter().flat_map(|shard| shard.iter()).filter_map(|entry| entry.state.active_since())
    }

    /// The positions, in no order.
    pub(super) fn positions(&self) -> impl Iterator<Item = Position> {
        self.shards.iter().flat_map(|shard| shard.iter()).map(|entry| entry.position)
    }

    /// The state of each, in no order.
    pub(super) fn statuses(&self) -> impl Iterator<Item = TokenStatus> {
        self.shards.iter().flat_map(|shard| shard.iter()).map(|entry| entry.state.status())
    }

    /// The first deadline of all.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.shards.iter().flat_map(|shard| shard.iter()).filter_map(|entry| entry.state.deadline()).min()
    }
}
