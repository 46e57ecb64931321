//! Whether an instance can do its work.

use super::BoxOffice;
use crate::{
    clock::{Clock, ClocksApart, Held, SKEW_MAX, check_skew, skew},
    engine::Health,
    queue::view::Rest,
    store::{Damage, Sharing, Store, StoreError},
    telemetry::{Resting, RoomFigures, Up},
};
use frontrow_domain::{
    queue::TokenStatus,
    time::{Span, Time},
};
use std::sync::atomic::Ordering;

/// Why an instance should get no requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// Found once, it lasts until the program is started again.
    #[error("{0}: nothing is saved until the server is started again")]
    Damage(Damage),
    /// The last transaction failed, and no probe has worked since.
    #[error("the database cannot be written")]
    Unwritable,
    /// Whether the last transaction is saved is not known, and no probe has worked since.
    #[error("the database did not answer a commit")]
    Unanswered,
    /// The last transaction met what this program did not write.
    #[error("the database is damaged, or its tables are those of another program")]
    Damaged,
    /// The clocks disagree.
    #[error(transparent)]
    Clock(#[from] ClocksApart),
}

impl BoxOffice {
    /// Whether this instance can do its work.
    ///
    /// # Errors
    /// Why not.
    pub fn check_ready(&self) -> Result<(), NotReady> {
        if let Some(damage) = self.store.damage() {
            return Err(NotReady::Damage(damage));
        }
        match self.engine.health() {
            Health::Sound => {}
            Health::Unwritable => return Err(NotReady::Unwritable),
            Health::Unanswered => return Err(NotReady::Unanswered),
            Health::Damaged => return Err(NotReady::Damaged),
        }
        Ok(check_skew(Span::from_micros(self.clock_skew.load(Ordering::Relaxed)), SKEW_MAX)?)
    }

    /// The store's clock, as well as this instance knows it: what the deadlines and credits of rows are compared with.
    #[must_use]
    pub fn store_time(&self) -> Time {
        self.clock.now()
    }

    /// Brings the gauges of the rooms and of the database up to date. A room of a sale that is over has none once nothing
    /// lives in it.
    pub fn count_rooms(&self) {
        let now = self.store_time();
        let counted = self.queue.rooms().into_iter().filter_map(|room| {
            let view = self.queue.view(room)?;
            let is_over = view.room().closes_at.is_some_and(|closes_at| closes_at <= now);
            (!is_over || !view.is_quiet()).then(|| RoomFigures {
                room,
                waiting: view.total_waiting(),
                offered: view.offered(),
                active: view.active(),
                dormant: view.live_in(TokenStatus::Dormant),
                missed: view.live_in(TokenStatus::Missed),
                cap: view.room().max_active,
                gate: view.room().gate,
                resting: match view.rest(now, self.rules.offer_lead) {
                    Some(Rest::For(_)) => Resting::UntilOpening,
                    Some(Rest::SaleClosed) => Resting::SaleOver,
                    None => Resting::No,
                },
            })
        });
        self.metrics.rooms(counted);
        let database = match self.store.sharing() {
            Sharing::Alone => "sqlite",
            Sharing::Shared => "postgresql",
        };
        let is_usable = self.store.damage().is_none() && self.engine.health() == Health::Sound;
        self.metrics.server(database, if is_usable { Up::Yes } else { Up::No });
    }

    /// What an operator should know although this instance can do its work.
    #[must_use]
    pub fn warning(&self) -> Option<Held> {
        self.clock.held().filter(|held| held.ahead.micros().unsigned_abs() > SKEW_MAX.micros().unsigned_abs())
    }

    /// Asks the database what time it is, notes how far that is from this machine's clock, and goes by it from then on.
    pub async fn compare_clocks(&self) {
        let Ok(skew) = follow_store(&self.clock, &*self.store).await else { return };
        let was = Span::from_micros(self.clock_skew.swap(skew.micros(), Ordering::Relaxed));
        self.metrics.clock_skew("database", skew);
        if let (Ok(()), Err(reason)) = (check_skew(was, SKEW_MAX), check_skew(skew, SKEW_MAX)) {
            tracing::error!(%reason, "not ready");
        }
    }
}

/// Lets `clock` go by the store's. How far that is ahead of this machine's.
///
/// # Errors
/// The store could not say what time it is.
pub(crate) async fn follow_store(clock: &Clock, store: &dyn Store) -> Result<Span, StoreError> {
    let (before, wall_before) = (clock.now(), clock.wall());
    let there = store.now().await?;
    let (after, wall_after) = (clock.now(), clock.wall());
    clock.follow(skew(there, before, after));
    Ok(skew(there, wall_before, wall_after))
}
