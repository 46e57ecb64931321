//! Caches what buyers read of concerts beside their rows: details, posters' tags, prices by grade.

use super::{
    guarded::{Guarded, Meanwhile},
    read_failure::ReadFailure,
};
use async_trait::async_trait;
use frontrow_domain::{changes::Changes, id::ConcertId};
use frontrow_storage::{ConcertProfile, Store, StoreError};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// How long a profile is cached. Changes of this instance drop it at once, those of others by a message; what neither
/// tells, such as a blocked seat that was the only one of its grade, may be so old.
const CACHE_TTL: Duration = Duration::from_secs(30);
/// How many profiles are cached: with 5,000 characters of three bytes each they take 15 MiB.
const KEPT_MAX: usize = 1_000;
/// How long after a failed read the store is asked again, if there are old profiles to show.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The cached profiles.
#[derive(Debug, Default)]
pub(crate) struct Profiles {
    known: Guarded<HashMap<ConcertId, CachedProfile>>,
    /// Locked while profiles are read, so that concurrent requests cost one query.
    reading: Mutex<ReadFailure>,
}

#[derive(Debug, Clone)]
struct CachedProfile {
    profile: Arc<ConcertProfile>,
    since: Instant,
}

/// The store's side of the cache.
#[async_trait]
trait ProfileReads: Sync {
    async fn profiles(&self, concerts: &[ConcertId]) -> Result<Vec<ConcertProfile>, StoreError>;
}

#[async_trait]
impl ProfileReads for &dyn Store {
    async fn profiles(&self, concerts: &[ConcertId]) -> Result<Vec<ConcertProfile>, StoreError> {
        Store::profiles(*self, concerts).await
    }
}

type ProfilesById = HashMap<ConcertId, Arc<ConcertProfile>>;

/// The profiles of these concerts, in their order, if all are there.
fn in_order(found: &ProfilesById, concerts: &[ConcertId]) -> Option<Vec<Arc<ConcertProfile>>> {
    concerts.iter().map(|id| found.get(id).cloned()).collect()
}

impl Profiles {
    /// The profiles of these concerts, which exist, in their order. If they cannot be read, the last ones.
    ///
    /// # Errors
    /// The store could not be read, and some of the concerts were not read before.
    pub(crate) async fn get(
        &self,
        store: &dyn Store,
        concerts: &[ConcertId],
    ) -> Result<Vec<Arc<ConcertProfile>>, StoreError> {
        self.get_from(&store, concerts).await
    }

    async fn get_from(
        &self,
        store: &impl ProfileReads,
        concerts: &[ConcertId],
    ) -> Result<Vec<Arc<ConcertProfile>>, StoreError> {
        let asked = Instant::now();
        let (old, stale) = self.look(concerts);
        let old = match in_order(&old, concerts) {
            Some(fresh) if stale.is_empty() => return Ok(fresh),
            old => old,
        };
        let again_after = if old.is_some() { AGAIN_AFTER } else { Duration::ZERO };
        match (self.bring_up_to_date(store, concerts, asked, again_after).await, old) {
            (Ok(found), _) => {
                let missing = || StoreError::Corrupt("a profile was not among those that were read".to_owned());
                in_order(&found, concerts).ok_or_else(missing)
            }
            (Err(error), Some(old)) => {
                tracing::debug!(%error, "old details of concerts are shown");
                Ok(old)
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn bring_up_to_date(
        &self,
        store: &impl ProfileReads,
        concerts: &[ConcertId],
        asked: Instant,
        again_after: Duration,
    ) -> Result<ProfilesById, StoreError> {
        let mut failed = self.reading.lock().await;
        let (mut found, stale) = self.look(concerts);
        if stale.is_empty() {
            return Ok(found);
        }
        failed.check(asked, again_after)?;
        let (since, begun) = (Instant::now(), self.known.begin_read());
        let read = store.profiles(&stale).await;
        failed.note(since, &read);
        let read: Vec<_> = read?.into_iter().map(Arc::new).collect();
        self.known.end_read(begun, |known, meanwhile| {
            // After a change meanwhile the profiles may be older than it: they answer this request alone.
            if meanwhile == Meanwhile::Changed {
                return;
            }
            if known.len() + read.len() > KEPT_MAX {
                known.clear();
            }
            for profile in &read {
                known.insert(profile.details.concert_id, CachedProfile { profile: Arc::clone(profile), since });
            }
        });
        found.extend(read.into_iter().map(|profile| (profile.details.concert_id, profile)));
        Ok(found)
    }

    /// The cached profiles, old ones too, and the concerts whose profiles are old or missing.
    fn look(&self, concerts: &[ConcertId]) -> (ProfilesById, Vec<ConcertId>) {
        self.known.look(|known| {
            let is_stale = |id: &&ConcertId| known.get(id).is_none_or(|known| known.since.elapsed() >= CACHE_TTL);
            let stale = concerts.iter().filter(is_stale).copied().collect();
            (concerts.iter().filter_map(|id| Some((*id, Arc::clone(&known.get(id)?.profile)))).collect(), stale)
        })
    }

    /// Applies a committed batch.
    pub(crate) fn publish(&self, changes: &Changes) {
        let added = changes.seats.inserted.iter().chain(&changes.changed_seats).chain(&changes.removed_seats);
        let seats = added.map(|seat| seat.concert_id);
        let stale: BTreeSet<_> = changes.concerts.iter().map(|row| row.concert_id).chain(seats).collect();
        if !stale.is_empty() {
            self.known.change(|known| known.retain(|id, _| !stale.contains(id)));
        }
    }

    /// Drops the profile of a concert that another instance has changed.
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
    use frontrow_domain::sale::ConcertDetails;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A store that counts its reads, and fails while it is told to.
    #[derive(Default)]
    struct Counting {
        reads: AtomicUsize,
        fails: AtomicUsize,
    }

    #[async_trait]
    impl ProfileReads for Counting {
        async fn profiles(&self, concerts: &[ConcertId]) -> Result<Vec<ConcertProfile>, StoreError> {
            self.reads.fetch_add(1, Ordering::SeqCst);
            if self.fails.load(Ordering::SeqCst) > 0 {
                return Err(StoreError::Unavailable("away".to_owned()));
            }
            let none = |id: &ConcertId| ConcertProfile {
                details: ConcertDetails::none(*id),
                poster: None,
                grades: Vec::new(),
            };
            Ok(concerts.iter().map(none).collect())
        }
    }

    const ALL: [ConcertId; 3] = [ConcertId::new(1), ConcertId::new(2), ConcertId::new(3)];

    fn grow_old(profiles: &Profiles) {
        profiles.known.change(|known| {
            for one in known.values_mut() {
                one.since = one.since.checked_sub(CACHE_TTL).unwrap();
            }
        });
    }

    #[tokio::test]
    async fn a_profile_is_read_once_until_it_changes() {
        let (profiles, store) = (Profiles::default(), Counting::default());
        for ids in [&ALL[..2], &ALL[..2], &ALL, &ALL[1..]] {
            let found = profiles.get_from(&store, ids).await.unwrap();
            assert!(found.iter().map(|one| one.details.concert_id).eq(ids.iter().copied()));
        }
        assert_eq!(store.reads.load(Ordering::SeqCst), 2, "the third concert by itself");
        profiles.drop_one(ALL[0]);
        profiles.get_from(&store, &ALL).await.unwrap();
        assert_eq!(store.reads.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn old_profiles_are_shown_while_the_store_is_away() {
        let (profiles, store) = (Profiles::default(), Counting::default());
        store.fails.store(1, Ordering::SeqCst);
        assert!(profiles.get_from(&store, &ALL).await.is_err());
        store.fails.store(0, Ordering::SeqCst);
        profiles.get_from(&store, &ALL).await.unwrap();
        store.fails.store(1, Ordering::SeqCst);
        grow_old(&profiles);
        for _ in 0..3 {
            assert_eq!(profiles.get_from(&store, &ALL).await.unwrap().len(), 3);
        }
        assert_eq!(store.reads.load(Ordering::SeqCst), 3, "the store is asked again a second later");
    }
}
