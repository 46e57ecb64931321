//! Updates an instance's caches and lines after each commit, and rebuilds them after a missed one.

use super::Caches;
use crate::{engine::CommitObserver, house::CommitTallies, metrics::Metrics};
use async_trait::async_trait;
use frontrow_domain::{changes::Changes, points::PointKind, time::Time};
use frontrow_line::{Peers, Rebuild};
use frontrow_storage::{Life, Line, RoomSummary, Sharing, Store, StoreError};
use std::{sync::Arc, time::Instant};
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
};

/// How many lines are read at once.
const LINES_AT_ONCE: usize = 4;

/// The observer of commits that updates lines, caches and metrics.
pub(crate) struct CacheUpdater {
    store: Arc<dyn Store>,
    peers: Arc<dyn Peers>,
    caches: Arc<Caches>,
    metrics: Arc<Metrics>,
    tallies: Arc<CommitTallies>,
    /// Wakes the workers of the outbox.
    emitted: watch::Sender<()>,
    /// When the last successful catch-up began. Locked by the lane that catches up.
    caught_up: Mutex<Option<Instant>>,
}

impl CacheUpdater {
    pub(crate) fn new(
        store: &Arc<dyn Store>,
        peers: &Arc<dyn Peers>,
        (caches, tallies): (&Arc<Caches>, &Arc<CommitTallies>),
        metrics: &Arc<Metrics>,
        emitted: watch::Sender<()>,
    ) -> Self {
        Self {
            store: Arc::clone(store),
            peers: Arc::clone(peers),
            caches: Arc::clone(caches),
            metrics: Arc::clone(metrics),
            tallies: Arc::clone(tallies),
            emitted,
            caught_up: Mutex::default(),
        }
    }

    /// Rebuilds the lines and loads the hold deadlines. One query reads all rooms without live tokens; the other rooms
    /// are read a few at a time.
    pub(crate) async fn rebuild(&self) -> anyhow::Result<()> {
        let standings = self.store.standings().await?;
        let (quiet, busy): (Vec<_>, Vec<_>) = standings.into_iter().partition(|one| one.life == Life::Empty);
        let mut rooms: Vec<_> = busy.iter().map(|one| one.room.room_id).collect();
        let quiet: Vec<_> = quiet.into_iter().map(RoomSummary::empty_line).collect();
        rooms.extend(self.peers.load_quiet_rooms(&quiet));
        let mut readings = JoinSet::new();
        for room in rooms {
            if readings.len() >= LINES_AT_ONCE
                && let Some(line) = readings.join_next().await
            {
                self.rebuild_line(line??).await;
            }
            let store = Arc::clone(&self.store);
            readings.spawn(async move { store.line(room).await });
        }
        while let Some(line) = readings.join_next().await {
            self.rebuild_line(line??).await;
        }
        let deadlines = load_deadlines(Arc::clone(&self.store), Arc::clone(&self.peers));
        match self.store.sharing() {
            Sharing::Alone => deadlines.await?,
            // These rows may be as many as all seats ever sold. Nothing needs to wait for them: a seat whose hold is
            // over is free whether its deadline is loaded or not.
            Sharing::Shared => {
                tokio::spawn(async move {
                    if let Err(error) = deadlines.await {
                        tracing::warn!(%error, "cannot load the hold deadlines");
                    }
                });
            }
        }
        Ok(())
    }

    async fn rebuild_line(&self, line: Option<Line>) {
        if let Some(line) = line {
            self.peers.rebuild(line, Rebuild::Replace).await;
        }
    }
}

async fn load_deadlines(store: Arc<dyn Store>, peers: Arc<dyn Peers>) -> Result<(), StoreError> {
    peers.add_hold_deadlines(&store.next_expiries(Time::MAX, u32::MAX).await?);
    Ok(())
}

#[async_trait]
impl CommitObserver for CacheUpdater {
    fn committed(&self, changes: &Changes) {
        self.tallies.count(changes, self.peers.lines());
        self.peers.publish(changes);
        self.caches.publish(changes);
        count(&self.metrics, changes);
        if !changes.events.inserted.is_empty() {
            self.emitted.send_replace(());
        }
    }

    /// After a fail-over every lane is stale: one of them reads for all that asked before it began.
    async fn catch_up(&self) -> anyhow::Result<()> {
        let asked = Instant::now();
        let mut caught_up = self.caught_up.lock().await;
        if caught_up.is_some_and(|began| began >= asked) {
            return Ok(());
        }
        let began = Instant::now();
        self.caches.forget();
        self.rebuild().await?;
        // Commits that this instance missed were not published either.
        self.peers.announce_gap();
        *caught_up = Some(began);
        Ok(())
    }
}

fn count(metrics: &Metrics, changes: &Changes) {
    let len = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
    metrics.holds.inc_by(len(changes.reservations.inserted.len()));
    metrics.sales.inc_by(len(changes.payments.inserted.len()));
    metrics.refunds.inc_by(len(changes.payments.updated.len()));
    for entry in changes.history.iter().filter(|entry| entry.kind == PointKind::TopUp) {
        metrics.points_topped_up.inc_by(entry.amount.get().unsigned_abs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_clock::Clock;
    use frontrow_domain::{
        command::{Command, Request},
        decide::decide_all,
        id::{RoomId, UserId},
        policy::Policy,
        user::Caller,
    };
    use frontrow_line::SoleInstance;
    use frontrow_storage::memory::MemoryStore;
    use std::time::Duration;

    #[tokio::test]
    async fn stale_lanes_share_one_cache_rebuild() {
        let store: Arc<dyn Store> =
            Arc::new(MemoryStore::new(Clock::manual(Time::from_micros(1)), Policy::default(), 10));
        let peers: Arc<dyn Peers> = Arc::new(SoleInstance::new(Arc::clone(&store)));
        let (caches, metrics) = (Arc::new(Caches::new(1, Sharing::Alone)), Arc::new(Metrics::new()));
        let memory = CacheUpdater::new(&store, &peers, (&caches, &Arc::default()), &metrics, watch::channel(()).0);
        let view = || peers.lines().view(RoomId::HOUSE).unwrap();
        // A line without live tokens is not read.
        let caller = Caller::Buyer(UserId(uuid::Uuid::from_u128(1)));
        let command = Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None };
        store.transact([Request { caller, command, idempotency: None }].into(), decide_all).await.unwrap();
        memory.catch_up().await.unwrap();
        let held = memory.caught_up.lock().await;
        let (mut first, mut second) = (Box::pin(memory.catch_up()), Box::pin(memory.catch_up()));
        for lane in [&mut first, &mut second] {
            let waits = tokio::time::timeout(Duration::ZERO, lane).await;
            assert!(waits.is_err(), "the lane has asked and waits");
        }
        let before = view();
        drop(held);
        first.await.unwrap();
        let rebuilt = view();
        assert!(!Arc::ptr_eq(&rebuilt, &before));
        second.await.unwrap();
        assert!(Arc::ptr_eq(&view(), &rebuilt), "the first has read for both");
        memory.catch_up().await.unwrap();
        assert!(!Arc::ptr_eq(&view(), &rebuilt), "a later request has it read again");
    }
}
