//! Caches concerts, so that a request for a seat costs no query for its concert.

use async_trait::async_trait;
use frontrow_domain::{concert::Concert, id::ConcertId, world::Changes};
use frontrow_storage::{Sharing, Store, StoreError};
use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// How long a concert is cached if other instances change concerts too: their messages may be lost.
const CACHE_TTL: Duration = Duration::from_secs(5);
/// How many reads of the store may be in progress at once.
const READING: usize = 16;

/// The cached concerts.
#[derive(Debug)]
pub(crate) struct Concerts {
    sharing: Sharing,
    known: RwLock<HashMap<ConcertId, Known>>,
    /// Locked while a concert is read, so that concurrent requests cost one read. Holds how the last read failed, if it
    /// did.
    reading: [Mutex<Option<Failed>>; READING],
    /// How often concerts were dropped: a read that began before must not be cached after.
    forgotten: AtomicU64,
}

#[derive(Debug, Clone)]
struct Known {
    concert: Arc<Concert>,
    since: Instant,
}

/// A read that failed.
#[derive(Debug)]
struct Failed {
    began: Instant,
    error: StoreError,
}

/// The store's side of the cache.
#[async_trait]
trait Source: Sync {
    async fn concert(&self, id: ConcertId) -> Result<Option<Concert>, StoreError>;
}

#[async_trait]
impl Source for &dyn Store {
    async fn concert(&self, id: ConcertId) -> Result<Option<Concert>, StoreError> {
        Store::concert(*self, id).await
    }
}

impl Concerts {
    /// An empty cache. `sharing` says whether other instances change concerts too.
    #[must_use]
    pub(crate) fn new(sharing: Sharing) -> Self {
        Self { sharing, known: RwLock::default(), reading: Default::default(), forgotten: AtomicU64::new(0) }
    }

    fn known(&self, id: ConcertId) -> Option<Arc<Concert>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let good = |known: &&Known| self.sharing == Sharing::Alone || known.since.elapsed() < CACHE_TTL;
        known.get(&id).filter(good).map(|known| Arc::clone(&known.concert))
    }

    /// A concert; none if it does not exist.
    ///
    /// # Errors
    /// The store could not be read.
    pub(crate) async fn get(&self, store: &dyn Store, id: ConcertId) -> Result<Option<Arc<Concert>>, StoreError> {
        self.get_from(&store, id).await
    }

    async fn get_from(&self, store: &impl Source, id: ConcertId) -> Result<Option<Arc<Concert>>, StoreError> {
        let asked = Instant::now();
        if let Some(concert) = self.known(id) {
            return Ok(Some(concert));
        }
        let slot = usize::try_from(id.get().unsigned_abs()).unwrap_or(0) % READING;
        let mut failed = match self.reading.get(slot) {
            Some(reading) => Some(reading.lock().await),
            None => None,
        };
        if let Some(concert) = self.known(id) {
            return Ok(Some(concert));
        }
        // A request that waited for a failed read does not retry: a failing database is asked once.
        if let Some(Failed { began, error }) = failed.as_deref().and_then(Option::as_ref)
            && *began >= asked
        {
            return Err(error.clone());
        }
        let (since, forgotten) = (Instant::now(), self.forgotten.load(Ordering::Acquire));
        let read = store.concert(id).await;
        if let Some(failed) = failed.as_deref_mut() {
            *failed = read.as_ref().err().map(|error| Failed { began: since, error: error.clone() });
        }
        let Some(read) = read?.map(Arc::new) else { return Ok(None) };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // A commit of this process may have arrived while the row was being read.
        let came_in = |known: &&Known| known.since >= since && known.concert.updated_at > read.updated_at;
        if let Some(newer) = known.get(&id).filter(came_in) {
            return Ok(Some(Arc::clone(&newer.concert)));
        }
        if self.forgotten.load(Ordering::Acquire) == forgotten {
            known.insert(id, Known { concert: Arc::clone(&read), since });
        }
        Ok(Some(read))
    }

    /// Applies a committed batch.
    pub(crate) fn publish(&self, changes: &Changes) {
        if changes.concerts.is_empty() {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for row in changes.concerts.iter() {
            if known.get(&row.concert_id).is_none_or(|known| known.concert.updated_at <= row.updated_at) {
                known.insert(row.concert_id, Known { concert: Arc::new(row.clone()), since: Instant::now() });
            }
        }
    }

    /// Drops a concert that another instance has changed.
    pub(crate) fn drop_one(&self, id: ConcertId) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        self.forgotten.fetch_add(1, Ordering::Release);
        known.remove(&id);
    }

    /// Empties the cache.
    pub(crate) fn forget(&self) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        self.forgotten.fetch_add(1, Ordering::Release);
        known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// An unavailable store that counts its reads.
    #[derive(Default)]
    struct Down(AtomicUsize);

    #[async_trait]
    impl Source for Down {
        async fn concert(&self, _: ConcertId) -> Result<Option<Concert>, StoreError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Err(StoreError::Unavailable("away".to_owned()))
        }
    }

    #[tokio::test]
    async fn a_store_that_is_away_is_asked_once_by_all_who_wait_for_a_concert() {
        let (concerts, store) = (Arc::new(Concerts::new(Sharing::Alone)), Arc::new(Down::default()));
        let id = ConcertId::new(1);
        let held = concerts.reading[1].lock().await;
        let ask = |_| {
            let (concerts, store) = (Arc::clone(&concerts), Arc::clone(&store));
            tokio::spawn(async move { concerts.get_from(&*store, id).await })
        };
        let asked: Vec<_> = (0..100).map(ask).collect();
        tokio::task::yield_now().await;
        drop(held);
        for asked in asked {
            assert!(asked.await.unwrap().is_err());
        }
        assert_eq!(store.0.load(Ordering::SeqCst), 1);
        assert!(concerts.get_from(&*store, id).await.is_err());
        assert_eq!(store.0.load(Ordering::SeqCst), 2, "the next one asks again");
    }
}
