//! The seat maps: cached, updated with each commit, rendered once for all clients.
//!
//! If other instances sell from the same database, a request for a map also refreshes it from there: by one query at a
//! time, however many requests there are, and none without a request.
//!
//! A map that is not asked for is dropped, and so are the least recently used ones if there are too many: the next
//! request reads the rows again.

mod forms;
mod hall;
mod news;
pub(crate) mod order;
mod overview;
mod seats;
mod snapshot;
mod streams;

pub use forms::{CompactMap, FullMap, MapForm};
pub use news::{HallNews, SeatStates};
pub use order::{PlacedSeat, SeatGrade, SeatRow, SeatSection, SeatSpot, SeatingOrder, natural};
pub use overview::{ConcertGrade, GradeBooks, HallOverview, HallSection, SeatMoney, SectionGrade};
pub use snapshot::SeatSnapshot;
pub(crate) use streams::FollowedHall;
pub use streams::SeatStream;

use crate::gzip;
use bytes::Bytes;
use frontrow_domain::{
    changes::Changes,
    id::{ConcertId, SeatId},
    sale::Seat,
};
use frontrow_storage::{Sharing, Store, StoreError};
use hall::CachedHall;
use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use streams::HallStreams;
use tokio::{
    sync::OnceCell,
    task::{JoinError, spawn_blocking},
};

/// How long a map stays cached without a request.
const IDLE_MAX: Duration = Duration::from_mins(5);
/// How often unused maps are dropped, as long as any map is asked for.
const SWEEP_EVERY: Duration = Duration::from_mins(1);
/// The limits of the cache: a seat with its part of both renderings takes 435 bytes (measured for halls of 50,000), some
/// 130 more once pages show the hall or its concert, and a hall without seats less than a kilobyte.
const KEPT_MAX: Bounds = Bounds { halls: 1_000, seats: 1_000_000 };

/// How many halls are cached, and how many seats in all of them.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    halls: usize,
    seats: usize,
}

/// A rendered map.
#[derive(Debug)]
pub struct SeatMap {
    /// The JSON.
    pub body: Bytes,
    /// Changes whenever the body does.
    pub etag: String,
    packed: OnceCell<Bytes>,
}

impl SeatMap {
    fn new(body: Bytes, etag: String) -> Self {
        Self { body, etag, packed: OnceCell::new() }
    }

    /// The JSON compressed by gzip: once for all clients, and not on the threads that serve them.
    ///
    /// # Errors
    /// The process is ending.
    pub async fn packed(&self) -> Result<Bytes, JoinError> {
        let pack = || {
            let body = self.body.clone();
            spawn_blocking(move || gzip::quickly(&body))
        };
        self.packed.get_or_try_init(pack).await.cloned()
    }
}

/// The versions of all halls: none is used twice, so that the version of a hall that is read again never repeats with
/// other seats.
#[derive(Debug, Default)]
struct Versions(AtomicU64);

impl Versions {
    /// The next version: from 1, rising.
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// The seat maps asked for in the last minutes.
#[derive(Debug)]
pub(crate) struct SeatMaps {
    boot: u64,
    sharing: Sharing,
    versions: Arc<Versions>,
    halls: RwLock<HashMap<ConcertId, Arc<CachedHall>>>,
    kept_max: Bounds,
    streams: HallStreams,
    born: Instant,
    /// When halls were last dropped, in milliseconds since `born`.
    swept_at: AtomicU64,
}

impl SeatMaps {
    /// No maps yet. `boot` keeps this run's tags apart from those of the run before.
    #[must_use]
    pub(crate) fn new(boot: u64, sharing: Sharing) -> Self {
        Self {
            boot,
            sharing,
            versions: Arc::default(),
            halls: RwLock::default(),
            kept_max: KEPT_MAX,
            streams: HallStreams::default(),
            born: Instant::now(),
            swept_at: AtomicU64::new(0),
        }
    }

    /// Applies a committed batch.
    pub(crate) fn publish(&self, changes: &Changes) {
        if changes.seats.is_empty() && changes.removed_seats.is_empty() {
            return;
        }
        let halls = self.halls.read().unwrap_or_else(PoisonError::into_inner);
        for seat in &changes.removed_seats {
            if let Some(hall) = halls.get(&seat.concert_id) {
                hall.remove(seat);
            }
        }
        for seats in [&changes.seats.updated, &changes.seats.inserted] {
            for seats in seats.chunk_by(|one, other| one.concert_id == other.concert_id) {
                if let Some(hall) = seats.first().and_then(|seat| halls.get(&seat.concert_id)) {
                    hall.publish(seats);
                }
            }
        }
    }

    /// Drops every map, so that the next request reads the store.
    pub(crate) fn forget(&self) {
        self.halls.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Drops the map of a concert that another instance has changed, so that the next request reads the store.
    pub(crate) fn forget_one(&self, id: ConcertId) {
        self.halls.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// The map of a concert. If this process alone changes the store, the seats are read only if the map is not cached;
    /// if other instances do too, the map shows their commits up to a tenth of a second before this call.
    ///
    /// # Errors
    /// The seats could not be read.
    pub(crate) async fn get(
        &self,
        store: &dyn Store,
        id: ConcertId,
        form: MapForm,
    ) -> Result<Arc<SeatMap>, StoreError> {
        Ok(self.hall(store, id, self.born.elapsed()).await?.map(form))
    }

    /// The seats of a concert with their states, as fresh as its map.
    ///
    /// # Errors
    /// The seats could not be read.
    pub(crate) async fn snapshot(&self, store: &dyn Store, id: ConcertId) -> Result<Arc<SeatSnapshot>, StoreError> {
        Ok(self.hall(store, id, self.born.elapsed()).await?.snapshot())
    }

    /// The seats of a concert with their states, and the same in numbers.
    ///
    /// # Errors
    /// The seats could not be read.
    pub(crate) async fn snapshot_and_overview(
        &self,
        store: &dyn Store,
        id: ConcertId,
    ) -> Result<(Arc<SeatSnapshot>, Arc<HallOverview>), StoreError> {
        let hall = self.hall(store, id, self.born.elapsed()).await?;
        Ok((hall.snapshot(), hall.overview()))
    }

    /// The rows of these seats of a concert, in the order of the ids, as fresh as its map; unknown ids are omitted.
    ///
    /// # Errors
    /// The seats could not be read.
    pub(crate) async fn rows(
        &self,
        store: &dyn Store,
        id: ConcertId,
        seats: &[SeatId],
    ) -> Result<Vec<Seat>, StoreError> {
        Ok(self.hall(store, id, self.born.elapsed()).await?.rows(seats))
    }

    /// The hall of a concert in numbers, as old as its map.
    ///
    /// # Errors
    /// The seats could not be read.
    pub(crate) async fn overview(&self, store: &dyn Store, id: ConcertId) -> Result<Arc<HallOverview>, StoreError> {
        Ok(self.hall(store, id, self.born.elapsed()).await?.overview())
    }

    /// The hall of a concert, brought up to date, `now` after the maps were made.
    async fn hall(&self, store: &dyn Store, id: ConcertId, now: Duration) -> Result<Arc<CachedHall>, StoreError> {
        let known = self.halls.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let is_new = known.is_none();
        // The hall goes into the table before its rows are read, so that no commit in between is missed; commits bring
        // newer rows than the read. A hall that is dropped meanwhile still shows all commits before this request.
        let hall = known.unwrap_or_else(|| {
            let mut halls = self.halls.write().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(CachedHall::new(id, self.boot, self.sharing, Arc::clone(&self.versions)));
            Arc::clone(halls.entry(id).or_insert_with(new))
        });
        hall.note_look(millis(now));
        let read = hall.bring_up_to_date(&store).await;
        // The size of a new hall is known only now.
        if is_new || now >= Duration::from_millis(self.swept_at.load(Ordering::Relaxed)) + SWEEP_EVERY {
            self.sweep(now);
        }
        read?;
        Ok(hall)
    }

    /// Drops idle halls, and the least recently used ones beyond the limits.
    fn sweep(&self, now: Duration) {
        self.swept_at.fetch_max(millis(now), Ordering::Relaxed);
        let mut halls = self.halls.write().unwrap_or_else(PoisonError::into_inner);
        let mut looks: Vec<_> = halls.iter().map(|(id, hall)| (hall.looked_at(), *id, hall.seat_count())).collect();
        looks.sort_unstable_by_key(|(looked_at, ..)| Reverse(*looked_at));
        let (mut seats, mut dropped) = (0, Vec::new());
        for (place, (looked_at, id, seat_count)) in looks.into_iter().enumerate() {
            seats += seat_count;
            let is_idle = now.saturating_sub(Duration::from_millis(looked_at)) >= IDLE_MAX;
            // The most recently used hall stays, however large it is.
            let is_too_much = place > 0 && (place >= self.kept_max.halls || seats > self.kept_max.seats);
            if is_idle || is_too_much {
                dropped.extend(halls.remove(&id));
            }
        }
        // Freeing many seats takes a while, and commits need the table.
        drop(halls);
        drop(dropped);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
