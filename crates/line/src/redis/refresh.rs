//! Refreshes busy lines from their rows every few seconds, which heals the loss of any event.

use super::{
    client::RedisClient,
    follower::{Follower, LINES_AT_ONCE_MAX, PAUSE},
};
use crate::lock::lock;
use frontrow_domain::id::RoomId;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// A room that is busy by its view and quiet by its rows, or the other way round. A change in flight looks like that
/// for a moment. If the room stays so, it is rebuilt: a refresh does not repair everything.
#[derive(Debug, Clone, Copy)]
struct Odd {
    /// How many deltas the view had applied.
    deltas: u64,
    since: Instant,
}

/// Refreshes the lines that are busy by their views or by their rows, and the requested ones.
#[derive(Debug)]
pub(super) struct Refresher {
    follower: Arc<Follower>,
    /// How often, and how often while Redis is down.
    every: Duration,
    down_every: Duration,
    /// After how long an unassigned position is resolved.
    gap_grace: Duration,
    /// Rooms to refresh in the next round, even if they seem quiet.
    requested: Mutex<BTreeSet<RoomId>>,
}

impl Refresher {
    pub(super) fn new(follower: Arc<Follower>, every: Duration, down_every: Duration, gap_grace: Duration) -> Self {
        Self { follower, every, down_every, gap_grace, requested: Mutex::default() }
    }

    pub(super) fn request(&self, rooms: Vec<RoomId>) {
        lock(&self.requested).extend(rooms);
    }

    pub(super) async fn run(self: Arc<Self>, client: Arc<RedisClient>) {
        let (mut odd, mut last) = (HashMap::new(), Instant::now());
        loop {
            tokio::time::sleep(self.down_every.min(self.every)).await;
            if client.is_up() && last.elapsed() < self.every {
                continue;
            }
            last = Instant::now();
            odd = self.refresh_round(odd).await;
        }
    }

    /// `odd` are the rooms on which view and rows disagreed after the last round.
    async fn refresh_round(&self, odd: HashMap<RoomId, Odd>) -> HashMap<RoomId, Odd> {
        let (follower, lines) = (&self.follower, self.follower.lines());
        let by_rows = follower.busy_rooms_by_rows().await;
        let mut rooms: BTreeSet<_> = lines.busy_rooms().into_iter().collect();
        rooms.extend(by_rows.iter().flatten());
        rooms.append(&mut lock(&self.requested));
        let mut refreshes = JoinSet::new();
        for room in &rooms {
            // A room that another process made is loaded at the first request for it.
            let Some(begun) = follower.replicas().deltas_of(*room) else { continue };
            if refreshes.len() >= LINES_AT_ONCE_MAX {
                // A refresh that fails has logged it.
                let _ = refreshes.join_next().await;
            }
            let (follower, room) = (Arc::clone(follower), *room);
            refreshes.spawn(async move { follower.refresh_room(room, begun).await });
        }
        while refreshes.join_next().await.is_some() {}
        let Some(by_rows) = by_rows else { return odd };
        let mut still_odd = HashMap::new();
        for room in rooms {
            let (Some(view), Some(deltas)) = (lines.view(room), follower.replicas().deltas_of(room)) else { continue };
            if view.is_quiet() != by_rows.contains(&room) {
                continue;
            }
            let before = odd.get(&room).filter(|odd| odd.deltas == deltas);
            let now = before.copied().unwrap_or(Odd { deltas, since: Instant::now() });
            // Positions that are not resolved yet count as waiting.
            let patience = if view.is_quiet() { Duration::ZERO } else { self.gap_grace + PAUSE };
            if before.is_some() && now.since.elapsed() > patience {
                follower.request_rebuild([room]);
            } else {
                still_odd.insert(room, now);
            }
        }
        still_odd
    }
}
