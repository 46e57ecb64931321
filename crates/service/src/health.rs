//! Checks whether an instance can serve.

use crate::{
    engine::Health,
    metrics::{MetricsFormat, Resting, RoomFigures, Up},
    office::{BoxOffice, InstanceFaults},
};
use frontrow_clock::{Clock, ClocksApart, Held, SKEW_MAX, check_skew, skew};
use frontrow_domain::{line::TokenStatus, time::Span};
use frontrow_line::{Down, redis::Notice, view::Rest};
use frontrow_storage::{Damage, Sharing, Store, StoreError};
use std::sync::{Arc, PoisonError, atomic::Ordering};
use tokio::sync::mpsc;

/// Why an instance should get no requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// Lasts until the program is restarted.
    #[error("{0}: nothing is saved until the server is started again")]
    Damage(Damage),
    /// The last transaction failed, and no probe has worked since.
    #[error("the database cannot be written")]
    Unwritable,
    /// The outcome of the last transaction is unknown, and no probe has worked since.
    #[error("the database did not answer a commit")]
    Unanswered,
    /// The last transaction read rows that this program did not write.
    #[error("the database is damaged, or its tables are those of another program")]
    Damaged,
    /// The clocks disagree.
    #[error(transparent)]
    Clock(#[from] ClocksApart),
    /// So many other instances commit changes that this one does not receive.
    #[error("this instance has no redis_url, so it does not receive the changes of the others over its database: {0}")]
    Conflicting(usize),
}

impl NotReady {
    /// Its stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Damage(Damage::FileMoved) => "database_file_moved",
            Self::Damage(Damage::LogLost) => "database_log_lost",
            Self::Damage(Damage::LockLost) => "lock_lost",
            Self::Damage(Damage::Corrupt) | Self::Damaged => "database_damaged",
            Self::Unwritable => "database_unwritable",
            Self::Unanswered => "database_unanswered",
            Self::Clock(_) => "clocks_apart",
            Self::Conflicting(_) => "no_redis_url",
        }
    }
}

/// A warning for operators about an instance that can serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Caution {
    /// Redis is out of reach or full.
    #[error("without Redis: {0}")]
    Redis(Down),
    /// The box office's clock is held against the machine's.
    #[error("{0}")]
    Clock(Held),
    /// The instances may together open more connections than the database has for them.
    #[error("all instances together may ask for {wanted} connections to the database, which has {there} for them")]
    Connections {
        /// How many all instances may open.
        wanted: u32,
        /// How many the database has for them.
        there: u32,
    },
}

impl Caution {
    /// Its stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Redis(Down::Unreachable) => "redis_away",
            Self::Redis(Down::Full) => "redis_full",
            Self::Clock(_) => "clock_held",
            Self::Connections { .. } => "too_few_connections",
        }
    }
}

impl BoxOffice {
    /// Whether this instance can serve.
    ///
    /// # Errors
    /// The reason why not.
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
        check_skew(Span::from_micros(self.clock_skew.load(Ordering::Relaxed)), SKEW_MAX)?;
        match self.instance_faults().conflicting {
            0 => Ok(()),
            others => Err(NotReady::Conflicting(others)),
        }
    }

    fn instance_faults(&self) -> InstanceFaults {
        *self.instance_faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks the other instances over the database, and logs new faults.
    pub async fn check_instances(&self) {
        let now = match self.store.instances().await {
            Ok(Some(instances)) => InstanceFaults {
                conflicting: instances.conflicting_instances(),
                deaf: instances.isolated_instances(),
                lacking: instances.connection_shortage(),
            },
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%error, "the instances over the database cannot be looked for");
                return;
            }
        };
        let before = std::mem::replace(&mut *self.instance_faults.lock().unwrap_or_else(PoisonError::into_inner), now);
        match now.conflicting {
            others if others == before.conflicting => {}
            0 => tracing::info!("ready again: no other instance serves over this database"),
            others => tracing::error!(reason = %NotReady::Conflicting(others), "not ready"),
        }
        if now.deaf > before.deaf {
            tracing::error!(
                instances = now.deaf,
                "an instance without redis_url runs over this database: stop it, or give it the redis_url of the others"
            );
        }
        if let Some((wanted, there)) = now.lacking.filter(|_| now.lacking != before.lacking) {
            tracing::warn!(
                wanted,
                there,
                "the instances may ask for more connections than the database has for them: raise its max_connections, \
                 run fewer instances, or lower database_lanes and database_readers"
            );
        }
    }

    /// Every metric as text. Those that are read only when asked for are brought up to date first.
    #[must_use]
    pub fn metrics(&self, format: MetricsFormat) -> String {
        self.count_rooms();
        self.metrics.corrupt_reads(self.store.corrupt_reads());
        if self.store.sharing() == Sharing::Alone {
            self.metrics.clock_skew("system", self.clock.held().map_or(Span::ZERO, |held| held.ahead));
        }
        if let Some(peer_status) = self.peers.status() {
            self.metrics.peer_status(&peer_status);
        }
        self.metrics.render_as(format)
    }

    /// Updates the gauges of the rooms and of the database. A room whose sale is over has none once it has no live
    /// tokens.
    fn count_rooms(&self) {
        let now = self.now();
        let counted = self.lines.rooms().into_iter().filter_map(|room| {
            let view = self.lines.view(room)?;
            let is_over = view.room().closes_at.is_some_and(|closes_at| closes_at <= now);
            (!is_over || !view.is_quiet()).then(|| RoomFigures {
                room,
                waiting: view.total_waiting(),
                offered: view.offered(),
                active: view.active(),
                dormant: view.live_in(TokenStatus::Dormant),
                missed: view.live_in(TokenStatus::Missed),
                cap: view.room().max_active_tokens(),
                gate: view.room().gate,
                resting: match view.rest(now, self.policy.offer_lead) {
                    Some(Rest::For(_) | Rest::InLobby(_)) => Resting::UntilOpening,
                    Some(Rest::SaleClosed) => Resting::SaleOver,
                    Some(Rest::Drawing) | None => Resting::No,
                },
            })
        });
        self.metrics.rooms(counted);
        let views = self.lines.rooms().into_iter().filter_map(|room| self.lines.view(room));
        self.metrics.told_waits(views.flat_map(|view| view.told_waits()));
        let database = match self.store.sharing() {
            Sharing::Alone => "sqlite",
            Sharing::Shared => "postgresql",
        };
        let is_usable = self.store.damage().is_none() && self.engine.health() == Health::Sound;
        self.metrics.server(database, if is_usable { Up::Yes } else { Up::No });
    }

    /// Applies other instances' notices about sessions, roles and concerts as they arrive. The task may outlive the box
    /// office.
    pub fn follow_notices(&self, mut notices: mpsc::Receiver<Notice>) -> impl Future<Output = ()> + Send + use<> {
        let caches = Arc::clone(&self.caches);
        async move {
            while let Some(notice) = notices.recv().await {
                caches.apply(notice);
            }
        }
    }

    /// Warnings for operators about an instance that can serve.
    #[must_use]
    pub fn cautions(&self) -> Vec<Caution> {
        let away = self.peers.status().and_then(|peer_status| peer_status.down);
        let is_far = |held: &Held| held.ahead.micros().unsigned_abs() > SKEW_MAX.micros().unsigned_abs();
        let held = self.clock.held().filter(is_far);
        let lacking = self.instance_faults().lacking.map(|(wanted, there)| Caution::Connections { wanted, there });
        let cautions = [away.map(Caution::Redis), held.map(Caution::Clock), lacking];
        cautions.into_iter().flatten().collect()
    }

    /// Reads the database's clock, records how far it is ahead of this machine's, and follows it from then on.
    pub async fn compare_clocks(&self) {
        let Ok(skew) = follow_store(&self.clock, &*self.store).await else { return };
        let was = Span::from_micros(self.clock_skew.swap(skew.micros(), Ordering::Relaxed));
        self.metrics.clock_skew("database", skew);
        if let (Ok(()), Err(reason)) = (check_skew(was, SKEW_MAX), check_skew(skew, SKEW_MAX)) {
            tracing::error!(%reason, "not ready");
        }
    }
}

/// Lets `clock` follow the store's. Returns how far the store's is ahead of this machine's.
///
/// # Errors
/// The store's clock could not be read.
pub async fn follow_store(clock: &Clock, store: &dyn Store) -> Result<Span, StoreError> {
    let (before, wall_before) = (clock.now(), clock.wall());
    let there = store.now().await?;
    let (after, wall_after) = (clock.now(), clock.wall());
    clock.follow(skew(there, before, after));
    Ok(skew(there, wall_before, wall_after))
}
