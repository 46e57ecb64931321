//! Caches concerts, so that a request for a seat costs no query for its concert.

use super::{
    guarded::{Guarded, Meanwhile},
    read_failure::ReadFailure,
};
use async_trait::async_trait;
use frontrow_domain::{changes::Changes, id::ConcertId, sale::Concert};
use frontrow_storage::{Sharing, Store, StoreError};
use std::{
    collections::HashMap,
    sync::Arc,
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
    known: Guarded<HashMap<ConcertId, CachedConcert>>,
    /// Locked while a concert is read, so that concurrent requests cost one read.
    reading: [Mutex<ReadFailure>; READING],
}

#[derive(Debug, Clone)]
struct CachedConcert {
    concert: Arc<Concert>,
    since: Instant,
}

/// The store's side of the cache.
#[async_trait]
trait ConcertReads: Sync {
    async fn concert(&self, id: ConcertId) -> Result<Option<Concert>, StoreError>;
}

#[async_trait]
impl ConcertReads for &dyn Store {
    async fn concert(&self, id: ConcertId) -> Result<Option<Concert>, StoreError> {
        Store::concert(*self, id).await
    }
}

impl Concerts {
    /// An empty cache. `sharing` says whether other instances change concerts too.
    #[must_use]
    pub(crate) fn new(sharing: Sharing) -> Self {
        Self { sharing, known: Guarded::default(), reading: Default::default() }
    }

    fn known(&self, id: ConcertId) -> Option<Arc<Concert>> {
        let good = |known: &&CachedConcert| self.sharing == Sharing::Alone || known.since.elapsed() < CACHE_TTL;
        self.known.look(|known| known.get(&id).filter(good).map(|known| Arc::clone(&known.concert)))
    }

    /// A concert; none if it does not exist.
    ///
    /// # Errors
    /// The store could not be read.
    pub(crate) async fn get(&self, store: &dyn Store, id: ConcertId) -> Result<Option<Arc<Concert>>, StoreError> {
        self.get_from(&store, id).await
    }

    async fn get_from(&self, store: &impl ConcertReads, id: ConcertId) -> Result<Option<Arc<Concert>>, StoreError> {
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
        if let Some(failed) = failed.as_deref() {
            failed.check(asked, Duration::ZERO)?;
        }
        let (since, begun) = (Instant::now(), self.known.begin_read());
        let read = store.concert(id).await;
        if let Some(failed) = failed.as_deref_mut() {
            failed.note(since, &read);
        }
        let Some(read) = read?.map(Arc::new) else { return Ok(None) };
        Ok(Some(self.known.end_read(begun, |known, meanwhile| {
            if meanwhile == Meanwhile::Unchanged {
                known.insert(id, CachedConcert { concert: Arc::clone(&read), since });
                return read;
            }
            // A commit of this process may have brought a newer row.
            let came_in = |known: &&CachedConcert| known.since >= since && known.concert.updated_at > read.updated_at;
            known.get(&id).filter(came_in).map_or(read.clone(), |newer| Arc::clone(&newer.concert))
        })))
    }

    /// Applies a committed batch.
    pub(crate) fn publish(&self, changes: &Changes) {
        if changes.concerts.is_empty() {
            return;
        }
        self.known.change(|known| {
            for row in changes.concerts.iter() {
                if known.get(&row.concert_id).is_none_or(|known| known.concert.updated_at <= row.updated_at) {
                    known.insert(
                        row.concert_id,
                        CachedConcert { concert: Arc::new(row.clone()), since: Instant::now() },
                    );
                }
            }
        });
    }

    /// Drops a concert that another instance has changed.
    pub(crate) fn drop_one(&self, id: ConcertId) {
        self.known.remove(&id);
    }

    /// Empties the cache.
    pub(crate) fn forget(&self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_clock::Clock;
    use frontrow_domain::{
        command::{Command, Request},
        decide::decide_all,
        policy::Policy,
        time::Time,
        user::Caller,
    };
    use frontrow_storage::memory::MemoryStore;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// An unavailable store that counts its reads.
    #[derive(Default)]
    struct DownStore(AtomicUsize);

    #[async_trait]
    impl ConcertReads for DownStore {
        async fn concert(&self, _: ConcertId) -> Result<Option<Concert>, StoreError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Err(StoreError::Unavailable("away".to_owned()))
        }
    }

    #[tokio::test]
    async fn an_unavailable_store_is_read_once_for_all_who_wait_for_a_concert() {
        let (concerts, store) = (Arc::new(Concerts::new(Sharing::Alone)), Arc::new(DownStore::default()));
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

    async fn a_concert() -> Concert {
        let start = Time::from_micros(1_800_000_000_000_000);
        let store = MemoryStore::new(Clock::manual(start), Policy::default(), 10);
        let (draft, _) = crate::demo::season(start).remove(0);
        let command = Command::CreateConcert(draft.check().unwrap());
        let request = Request { caller: Caller::System, command, idempotency: None };
        store.transact(Arc::new([request]), decide_all).await.unwrap();
        Store::concert(&store, ConcertId::new(1)).await.unwrap().unwrap()
    }

    /// A store whose answer waits until it is let go.
    struct Slow {
        concert: Concert,
        begun: tokio::sync::Notify,
        answers: tokio::sync::Notify,
        reads: AtomicUsize,
    }

    #[async_trait]
    impl ConcertReads for Slow {
        async fn concert(&self, _: ConcertId) -> Result<Option<Concert>, StoreError> {
            self.reads.fetch_add(1, Ordering::SeqCst);
            self.begun.notify_one();
            self.answers.notified().await;
            Ok(Some(self.concert.clone()))
        }
    }

    #[tokio::test]
    async fn a_concert_read_before_it_was_changed_elsewhere_is_not_remembered_after() {
        let (concerts, id) = (Arc::new(Concerts::new(Sharing::Shared)), ConcertId::new(1));
        let store = Arc::new(Slow {
            concert: a_concert().await,
            begun: tokio::sync::Notify::new(),
            answers: tokio::sync::Notify::new(),
            reads: AtomicUsize::new(0),
        });
        for (changed, reads) in [(true, 1), (false, 2), (false, 2)] {
            let asked = {
                let (concerts, store) = (Arc::clone(&concerts), Arc::clone(&store));
                tokio::spawn(async move { concerts.get_from(&*store, id).await })
            };
            if concerts.known(id).is_none() {
                store.begun.notified().await;
            }
            if changed {
                concerts.drop_one(id);
            }
            store.answers.notify_one();
            assert!(asked.await.unwrap().unwrap().is_some());
            assert_eq!((store.reads.load(Ordering::SeqCst), concerts.known(id).is_some()), (reads, !changed));
        }
    }
}
