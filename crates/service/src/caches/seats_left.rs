//! Caches how many seats concerts have left, for lists: one query counts for all concerts of a page, and none while no
//! count can have changed.

use super::{
    guarded::{Guarded, Meanwhile},
    read_failure::ReadFailure,
};
use async_trait::async_trait;
use frontrow_domain::{changes::Changes, id::ConcertId, seen::REFUSAL_TTL};
use frontrow_storage::{SeatCounts, Sharing, Store, StoreError};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Up to this age a count is always fresh: as a seat map is.
const AGE_MAX: Duration = Duration::from_micros(REFUSAL_TTL.micros().unsigned_abs());
/// A count is cached for this many times as long as it took: so counting takes a fiftieth of a reader at most, however
/// large the halls are.
const COST_FACTOR: u32 = 50;
/// The longest that a count is cached: one that took long may have waited for a reader or for a hung database.
const BELIEVED_MAX: Duration = Duration::from_secs(30);
/// How many concerts are cached.
const CONCERTS_MAX: usize = 10_000;
/// How long a list waits for a new count if it can show an old one.
const WAITS_MAX: Duration = Duration::from_millis(250);
/// How long after a failed count the store is asked again, if there is an old count to show.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

type CountsByConcert = HashMap<ConcertId, SeatCounts>;

/// The counts of concerts that were listed a short while ago.
#[derive(Debug)]
pub(crate) struct SeatsLeft {
    sharing: Sharing,
    kept: Arc<CountsCache>,
    /// Locked while seats are counted, so that concurrent lists cost one query.
    counting: Arc<tokio::sync::Mutex<ReadFailure>>,
}

/// The cached counts.
type CountsCache = Guarded<HashMap<ConcertId, CachedCounts>>;

#[derive(Debug)]
struct CachedCounts {
    counts: SeatCounts,
    counted: Instant,
    good_for: Duration,
    /// Whether a commit of this process has changed a seat since.
    is_touched: bool,
}

/// The store's side of the cache.
#[async_trait]
pub(crate) trait CountReads: Clone + Send + Sync + 'static {
    /// The seats of each of these concerts by state: see [`Store::seat_counts_of`].
    ///
    /// # Errors
    /// The store could not be read.
    async fn seat_counts_of(&self, concerts: &[ConcertId]) -> Result<Vec<(ConcertId, SeatCounts)>, StoreError>;
}

#[async_trait]
impl CountReads for Arc<dyn Store> {
    async fn seat_counts_of(&self, concerts: &[ConcertId]) -> Result<Vec<(ConcertId, SeatCounts)>, StoreError> {
        Store::seat_counts_of(&**self, concerts).await
    }
}

/// How long a count that took this long is cached.
fn good_for(took: Duration) -> Duration {
    took.saturating_mul(COST_FACTOR).clamp(AGE_MAX, BELIEVED_MAX)
}

/// Counts the seats of these concerts, and caches the counts.
async fn count(kept: &CountsCache, store: &impl CountReads, ids: &[ConcertId]) -> Result<CountsByConcert, StoreError> {
    let (counted, read) = (Instant::now(), kept.begin_read());
    let found: CountsByConcert = store.seat_counts_of(ids).await?.into_iter().collect();
    // A concert without seats is not among those found.
    let counts: CountsByConcert = ids.iter().map(|id| (*id, found.get(id).copied().unwrap_or_default())).collect();
    let good_for = good_for(counted.elapsed());
    kept.end_read(read, |known, meanwhile| {
        if known.len() + ids.len() > CONCERTS_MAX {
            known.clear();
        }
        // A count that may lack a commit is good for its time all the same, as any count is while seats are sold.
        let is_touched = meanwhile == Meanwhile::Changed;
        for (id, counts) in &counts {
            known.insert(*id, CachedCounts { counts: *counts, counted, good_for, is_touched });
        }
    });
    Ok(counts)
}

impl SeatsLeft {
    /// An empty cache. `sharing` says whether other instances change seats too.
    #[must_use]
    pub(crate) fn new(sharing: Sharing) -> Self {
        Self { sharing, kept: Arc::default(), counting: Arc::default() }
    }

    fn is_good(&self, known: &CachedCounts, asked: Instant) -> bool {
        let is_untouched = self.sharing == Sharing::Alone && !known.is_touched;
        is_untouched || asked.saturating_duration_since(known.counted) < known.good_for
    }

    /// The cached counts of these concerts, fresh or stale, and the concerts whose counts are stale or missing.
    fn look(&self, ids: &[ConcertId], asked: Instant) -> (CountsByConcert, Vec<ConcertId>) {
        self.kept.look(|known| {
            let is_stale = |id: &&ConcertId| known.get(id).is_none_or(|known| !self.is_good(known, asked));
            let stale = ids.iter().filter(is_stale).copied().collect();
            (ids.iter().filter_map(|id| Some((*id, known.get(id)?.counts))).collect(), stale)
        })
    }

    /// The seats of each of these concerts by state. If counting fails or takes long, the last counts: a list does not
    /// wait for a number that is a little old anyway.
    ///
    /// # Errors
    /// The store could not be read, and some of the concerts were not counted before.
    pub(crate) async fn get(&self, store: &impl CountReads, ids: &[ConcertId]) -> Result<CountsByConcert, StoreError> {
        let asked = Instant::now();
        let (old, stale) = self.look(ids, asked);
        if stale.is_empty() {
            return Ok(old);
        }
        if stale.iter().any(|id| !old.contains_key(id)) {
            return self.bring_up_to_date(store, ids, asked, Duration::ZERO).await;
        }
        match tokio::time::timeout(WAITS_MAX, self.bring_up_to_date(store, ids, asked, AGAIN_AFTER)).await {
            Ok(Ok(counts)) => Ok(counts),
            Ok(Err(error)) => {
                tracing::debug!(%error, "old counts of seats are shown");
                Ok(old)
            }
            Err(_) => Ok(old),
        }
    }

    /// The seats of a concert by state, without a wait for a new count: the last one, however old, while one request
    /// counts again in the background. Only a concert that was never counted is waited for.
    ///
    /// # Errors
    /// The store could not be read, and the concert was not counted before.
    pub(crate) async fn glance(&self, store: &impl CountReads, id: ConcertId) -> Result<SeatCounts, StoreError> {
        let asked = Instant::now();
        let (old, stale) = self.look(&[id], asked);
        let Some(counts) = old.get(&id) else {
            return Ok(self.get(store, &[id]).await?.remove(&id).unwrap_or_default());
        };
        if !stale.is_empty()
            && let Ok(mut failed) = Arc::clone(&self.counting).try_lock_owned()
            && failed.check(asked, AGAIN_AFTER).is_ok()
        {
            let (kept, store) = (Arc::clone(&self.kept), store.clone());
            tokio::spawn(async move { failed.note(asked, &count(&kept, &store, &stale).await) });
        }
        Ok(*counts)
    }

    /// Counts the seats of concerts whose counts are stale, unless another request does so first. A failure less than
    /// `again_after` ago is returned again.
    async fn bring_up_to_date(
        &self,
        store: &impl CountReads,
        ids: &[ConcertId],
        asked: Instant,
        again_after: Duration,
    ) -> Result<CountsByConcert, StoreError> {
        let mut failed = Arc::clone(&self.counting).lock_owned().await;
        let (mut counts, stale) = self.look(ids, asked);
        if stale.is_empty() {
            return Ok(counts);
        }
        failed.check(asked, again_after)?;
        let (kept, store, began) = (Arc::clone(&self.kept), store.clone(), Instant::now());
        // The task goes on if this request stops waiting: the next request finds the counts.
        let count = tokio::spawn(async move {
            let counted = count(&kept, &store, &stale).await;
            failed.note(began, &counted);
            counted
        });
        match count.await {
            Ok(counted) => counts.extend(counted?),
            Err(error) => return Err(StoreError::Unavailable(error.to_string())),
        }
        Ok(counts)
    }

    /// Applies a committed batch: counts of concerts whose seats it changed become stale.
    pub(crate) fn publish(&self, changes: &Changes) {
        let seats = || changes.seats.iter().chain(&changes.removed_seats);
        if seats().next().is_none() {
            return;
        }
        self.kept.change(|known| {
            let mut last = None;
            for seat in seats().filter(|seat| last.replace(seat.concert_id) != Some(seat.concert_id)) {
                if let Some(known) = known.get_mut(&seat.concert_id) {
                    known.is_touched = true;
                }
            }
        });
    }

    /// Empties the cache.
    pub(crate) fn forget(&self) {
        self.kept.clear();
    }
}

#[cfg(test)]
mod tests;
