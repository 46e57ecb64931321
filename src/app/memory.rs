//! What an instance keeps in memory, and how it hears of changes.

use crate::{engine::Follower, flow::Followers, queue::Queue, store::Store, telemetry::Metrics};
use async_trait::async_trait;
use frontrow_domain::{points::PointKind, world::Changes};
use std::sync::Arc;

/// Everything in memory that follows the commits.
pub(super) struct Memory {
    pub(super) store: Arc<dyn Store>,
    pub(super) queue: Arc<dyn Queue>,
    pub(super) followers: Arc<Followers>,
    pub(super) metrics: Arc<Metrics>,
}

impl Memory {
    /// Lays the lines and the holds' deadlines from their rows.
    pub(super) async fn lay(&self) -> anyhow::Result<()> {
        for room in self.store.rooms().await? {
            if let Some(line) = self.store.line(room.room_id).await? {
                self.queue.lay(line).await?;
            }
        }
        self.queue.add_hold_deadlines(&self.store.next_expiries(u32::MAX).await?).await?;
        Ok(())
    }
}

#[async_trait]
impl Follower for Memory {
    fn committed(&self, changes: &Changes) {
        self.queue.publish(changes);
        self.followers.publish(changes);
        count(&self.metrics, changes);
    }

    async fn catch_up(&self) -> anyhow::Result<()> {
        self.followers.forget();
        self.lay().await
    }
}

fn count(metrics: &Metrics, changes: &Changes) {
    let len = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
    metrics.holds.inc_by(len(changes.reservations.inserted.len()));
    metrics.sales.inc_by(len(changes.payments.inserted.len()));
    metrics.refunds.inc_by(len(changes.payments.updated.len()));
    for entry in changes.history.iter().filter(|entry| entry.kind == PointKind::Charge) {
        metrics.points_charged.inc_by(entry.amount.get().unsigned_abs());
    }
}
