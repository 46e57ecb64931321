//! The sales that are watched. Each has one task in this instance, however many watch it; a sale that is not watched
//! costs nothing.

use super::screen::SaleScreen;
use crate::office::{BoxOffice, ServiceError};
use bytes::Bytes;
use frontrow_domain::{
    changes::AuditEntry,
    id::{AuditId, ConcertId},
};
use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::Duration,
};
use tokio::sync::watch;

/// How many sales may be watched at once.
const WATCHED_MAX: usize = 64;
/// How many of the newest entries of the audit log about its sale a moment has.
pub(super) const ENTRIES: u32 = 50;
/// A moment is made at least this often, also if the house takes no figures.
const MOMENT_MAX: Duration = Duration::from_millis(1_200);

/// One moment of a watched sale.
#[derive(Debug, Clone)]
pub struct SaleMoment {
    /// The screen.
    pub screen: SaleScreen,
    /// The newest entries of the audit log about the sale, newest first.
    pub audit: Arc<[AuditEntry]>,
    sent_as: OnceLock<Bytes>,
}

impl SaleMoment {
    pub(super) const fn new(screen: SaleScreen, audit: Arc<[AuditEntry]>) -> Self {
        Self { screen, audit, sent_as: OnceLock::new() }
    }

    /// The form in which it is sent: made by the first that asks, for all.
    pub fn sent_as(&self, make: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.sent_as.get_or_init(|| make(self)).clone()
    }
}

/// What is new in a watched sale.
#[derive(Debug, Clone)]
pub struct SaleNews {
    /// The present moment.
    pub moment: Arc<SaleMoment>,
    /// The entries of the audit log about the sale that this watch has not had yet, oldest first; at first the newest
    /// ones that there are.
    pub audit: Vec<AuditEntry>,
}

/// Watches a sale: a moment each second.
#[derive(Debug)]
pub struct SaleWatch {
    moments: watch::Receiver<Arc<SaleMoment>>,
    is_first: bool,
    /// The entries that the last moment had.
    seen: BTreeSet<AuditId>,
}

impl SaleWatch {
    fn new(moments: watch::Receiver<Arc<SaleMoment>>) -> Self {
        Self { moments, is_first: true, seen: BTreeSet::new() }
    }

    /// Waits for the next moment; the first comes at once. Moments that the caller was too slow for are left out. None
    /// if the server stops. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<SaleNews> {
        if !std::mem::take(&mut self.is_first) && self.moments.changed().await.is_err() {
            return None;
        }
        let moment = Arc::clone(&*self.moments.borrow_and_update());
        // An entry of another instance may become visible after a later one.
        let audit = moment.audit.iter().rev().filter(|entry| !self.seen.contains(&entry.audit_id)).cloned().collect();
        self.seen = moment.audit.iter().map(|entry| entry.audit_id).collect();
        Some(SaleNews { moment, audit })
    }
}

/// The watched sales.
#[derive(Debug, Default)]
pub(super) struct Watches(Mutex<HashMap<ConcertId, watch::Sender<Arc<SaleMoment>>>>);

impl Watches {
    fn lock(&self) -> MutexGuard<'_, HashMap<ConcertId, watch::Sender<Arc<SaleMoment>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches a sale that is watched already.
    fn join(&self, concert: ConcertId) -> Option<SaleWatch> {
        self.lock().get(&concert).map(|sender| SaleWatch::new(sender.subscribe()))
    }

    /// The last moment of a watched sale.
    pub(super) fn last(&self, concert: ConcertId) -> Option<Arc<SaleMoment>> {
        self.lock().get(&concert).map(|sender| Arc::clone(&sender.borrow()))
    }

    /// Shows a moment to all who watch. False if there is none any more: the sale is not watched then.
    fn show(&self, concert: ConcertId, moment: Option<SaleMoment>) -> bool {
        let mut watched = self.lock();
        let Some(sender) = watched.get(&concert) else { return false };
        if sender.receiver_count() == 0 {
            watched.remove(&concert);
            return false;
        }
        if let Some(moment) = moment {
            sender.send_replace(Arc::new(moment));
        }
        true
    }
}

impl BoxOffice {
    /// Watches the sale of a concert: from now on a moment each second, made once for all who watch it at this instance.
    ///
    /// # Errors
    /// [`Refusal::NotFound`](frontrow_domain::refusal::Refusal::NotFound); the store could not be read; too many sales
    /// are watched.
    pub async fn watch_sale(self: &Arc<Self>, concert: ConcertId) -> Result<SaleWatch, ServiceError> {
        let watches = &self.house.watches;
        if let Some(watch) = watches.join(concert) {
            return Ok(watch);
        }
        let first = Arc::new(self.sale_moment(concert, None).await?);
        let mut sales = watches.lock();
        if sales.len() >= WATCHED_MAX {
            return Err(crate::engine::EngineError::Overloaded.into());
        }
        let sender = match sales.entry(concert) {
            // Another caller was faster.
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                tokio::spawn(keep_watch(Arc::downgrade(self), concert, self.house.sampled.subscribe()));
                place.insert(watch::channel(first).0)
            }
        };
        Ok(SaleWatch::new(sender.subscribe()))
    }
}

/// Makes the moments of a sale, as long as it is watched and the box office is open.
async fn keep_watch(office: Weak<BoxOffice>, concert: ConcertId, mut sampled: watch::Receiver<()>) {
    loop {
        // The figures of a second are there once it is sampled. An error says that the box office is closed.
        let _ = tokio::time::timeout(MOMENT_MAX, sampled.changed()).await;
        let Some(office) = office.upgrade() else { return };
        if !office.house.watches.show(concert, None) {
            return;
        }
        let last = office.house.watches.last(concert);
        let made = office.sale_moment(concert, last.as_deref()).await;
        let moment = made.inspect_err(|error| tracing::debug!(%error, "a moment of a sale cannot be shown")).ok();
        if !office.house.watches.show(concert, moment) {
            return;
        }
    }
}
