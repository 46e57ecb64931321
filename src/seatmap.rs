//! The seat maps: kept in memory, followed commit by commit, rendered once for all who look.
//!
//! Where other instances sell from the same database, a map is also brought up to date from there when somebody looks:
//! by one query at a time, however many look, and by none while nobody does.

mod forms;
mod hall;

pub use forms::{CompactMap, FullMap, MapBlock, MapForm, MapSeat};

use crate::store::{Sharing, Store, StoreError};
use bytes::Bytes;
use frontrow_domain::{id::ConcertId, world::Changes};
use hall::Hall;
use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// A rendered map.
#[derive(Debug)]
pub struct SeatMap {
    /// The JSON.
    pub body: Bytes,
    /// Changes whenever the body does.
    pub etag: String,
}

/// Numbers for the versions of all halls: none is given twice, so that a hall that is read anew never says of other
/// seats what it said before.
#[derive(Debug, Default)]
struct Versions(AtomicU64);

impl Versions {
    /// The next one: from 1, rising.
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Every seat map that somebody has looked at.
#[derive(Debug)]
pub struct SeatMaps {
    boot: u64,
    sharing: Sharing,
    versions: Arc<Versions>,
    halls: RwLock<HashMap<ConcertId, Arc<Hall>>>,
}

impl SeatMaps {
    /// No maps yet. `boot` keeps this run's tags apart from those of the run before.
    #[must_use]
    pub fn new(boot: u64, sharing: Sharing) -> Self {
        Self { boot, sharing, versions: Arc::default(), halls: RwLock::default() }
    }

    /// Takes in what a committed batch changed.
    pub fn publish(&self, changes: &Changes) {
        if changes.seats.is_empty() {
            return;
        }
        let halls = self.halls.read().unwrap_or_else(PoisonError::into_inner);
        for seats in [&changes.seats.updated, &changes.seats.inserted] {
            for seats in seats.chunk_by(|one, other| one.concert_id == other.concert_id) {
                if let Some(hall) = seats.first().and_then(|seat| halls.get(&seat.concert_id)) {
                    hall.publish(seats, &changes.new_labels);
                }
            }
        }
    }

    /// Forgets every map, so that the next look reads the store.
    pub fn forget(&self) {
        self.halls.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The map of a concert. Where this process alone changes the store, the seats are read the first time only;
    /// where others do too, what they changed up to a tenth of a second before this call is in it.
    ///
    /// # Errors
    /// The seats could not be read.
    pub async fn get(&self, store: &dyn Store, id: ConcertId, form: MapForm) -> Result<Arc<SeatMap>, StoreError> {
        let known = self.halls.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        // The hall goes into the table before its rows are read, so that no commit in between is missed; what the
        // commits bring is newer than what the read brings.
        let hall = known.unwrap_or_else(|| {
            let mut halls = self.halls.write().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Hall::new(id, self.boot, self.sharing, Arc::clone(&self.versions)));
            Arc::clone(halls.entry(id).or_insert_with(new))
        });
        hall.bring_up_to_date(&store).await?;
        Ok(hall.map(form))
    }
}

#[cfg(test)]
mod tests;
