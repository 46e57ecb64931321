//! How many seats concerts have left, for lists that many look at: counted by one query for all concerts of a page, and
//! not again while nothing can have changed.

use crate::store::{SeatCounts, Sharing, Store, StoreError};
use frontrow_domain::{id::ConcertId, seen::GOOD_FOR, world::Changes};
use std::{
    collections::HashMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How old a count may be at least: as old as a seat map.
const AGE_MAX: Duration = Duration::from_micros(GOOD_FOR.micros().unsigned_abs());
/// How many times as long as it took a count is believed: so counting takes a fiftieth of a reader at most, however
/// large the halls are.
const COST_FACTOR: u32 = 50;
/// How many concerts are remembered.
const CONCERTS_MAX: usize = 10_000;

/// The counts of concerts that somebody has listed of late.
#[derive(Debug)]
pub struct SeatsLeft {
    sharing: Sharing,
    known: RwLock<HashMap<ConcertId, Known>>,
    /// Held by whoever counts, so that many who look at once cost one query.
    counting: tokio::sync::Mutex<()>,
    /// Rises with every commit that changes seats: a count that was under way meanwhile may lack it.
    commits: AtomicU64,
}

#[derive(Debug)]
struct Known {
    counts: SeatCounts,
    counted: Instant,
    good_for: Duration,
    /// Whether a commit of this process has changed a seat since.
    is_touched: AtomicBool,
}

impl SeatsLeft {
    /// Knows none yet. `sharing` says who changes seats.
    #[must_use]
    pub fn new(sharing: Sharing) -> Self {
        let commits = AtomicU64::new(0);
        Self { sharing, known: RwLock::default(), counting: tokio::sync::Mutex::default(), commits }
    }

    fn is_good(&self, known: &Known, asked: Instant) -> bool {
        let is_untouched = self.sharing == Sharing::Alone && !known.is_touched.load(Ordering::Relaxed);
        is_untouched || asked.saturating_duration_since(known.counted) < known.good_for
    }

    fn stale(&self, ids: &[ConcertId], asked: Instant) -> Vec<ConcertId> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let is_stale = |id: &&ConcertId| known.get(id).is_none_or(|known| !self.is_good(known, asked));
        ids.iter().filter(is_stale).copied().collect()
    }

    /// The seats of these concerts by state.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn get(
        &self,
        store: &dyn Store,
        ids: &[ConcertId],
    ) -> Result<HashMap<ConcertId, SeatCounts>, StoreError> {
        let asked = Instant::now();
        if !self.stale(ids, asked).is_empty() {
            let counting = self.counting.lock().await;
            let stale = self.stale(ids, asked);
            if !stale.is_empty() {
                self.count(store, &stale).await?;
            }
            drop(counting);
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        Ok(ids.iter().filter_map(|id| Some((*id, known.get(id)?.counts))).collect())
    }

    async fn count(&self, store: &dyn Store, ids: &[ConcertId]) -> Result<(), StoreError> {
        let (counted, commits) = (Instant::now(), self.commits.load(Ordering::Acquire));
        let mut counts: HashMap<_, _> = store.seat_counts_of(ids).await?.into_iter().collect();
        let good_for = AGE_MAX.max(counted.elapsed() * COST_FACTOR);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() + ids.len() > CONCERTS_MAX {
            known.clear();
        }
        let is_touched = self.commits.load(Ordering::Acquire) != commits;
        for id in ids {
            let counts = counts.remove(id).unwrap_or_default();
            known.insert(*id, Known { counts, counted, good_for, is_touched: AtomicBool::new(is_touched) });
        }
        Ok(())
    }

    /// Takes in that a committed batch changed seats.
    pub fn publish(&self, changes: &Changes) {
        let seats = || changes.seats.iter().chain(&changes.removed_seats);
        if seats().next().is_none() {
            return;
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        self.commits.fetch_add(1, Ordering::AcqRel);
        let mut last = None;
        for seat in seats().filter(|seat| last.replace(seat.concert_id) != Some(seat.concert_id)) {
            if let Some(known) = known.get(&seat.concert_id) {
                known.is_touched.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Forgets every count.
    pub fn forget(&self) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        self.commits.fetch_add(1, Ordering::AcqRel);
        known.clear();
    }
}
