//! The cached seats of one concert.

use super::{
    MapForm, SeatMap, Versions,
    forms::{Heading, Row, compact, full},
    news::{HallMark, HallNews, SeatStates},
    overview::HallOverview,
    seats::Seats,
    snapshot::SeatSnapshot,
};
use crate::caches::read_failure::ReadFailure;
use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use bytes::Bytes;
use frontrow_domain::{
    id::{ConcertId, SeatId},
    sale::Seat,
    seen::REFUSAL_TTL,
    time::Time,
};
use frontrow_storage::{COMMIT_VISIBILITY_MAX, Sharing, Store, StoreError};
use sha2::{Digest, Sha256};
use std::{
    collections::HashSet,
    fmt::Write as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// A map that takes longer than this to render may be served a little old.
const RENDER_CHEAP: Duration = Duration::from_millis(1);
/// A hall with so many seats or fewer is always shown as it is: if it took long to render, the machine had other work.
const SMALL: usize = 1_000;
/// The greatest age of a map: that of a refusal from the cache.
const AGE_MAX: Duration = Duration::from_micros(REFUSAL_TTL.micros().unsigned_abs());

/// How often every seat is read again if other instances change seats too.
const WHOLE_EVERY: Duration = Duration::from_secs(30);

/// How many changed seats a client is told of when it comes back: for more, the packed map is smaller.
const CAUGHT_UP_MAX: usize = 2_000;

#[derive(Debug)]
pub(super) struct CachedHall {
    concert_id: ConcertId,
    boot: u64,
    sharing: Sharing,
    /// The source of the next version.
    versions: Arc<Versions>,
    /// The version of the present rows. Changed under the lock of the seats, so that a rendering sees both together.
    version: AtomicU64,
    seats: Mutex<Seats>,
    /// How many seats there are, readable without the lock.
    seat_count: AtomicUsize,
    /// When the map was last asked for, in milliseconds since the maps were made.
    looked_at: AtomicU64,
    full: ArcSwapOption<Rendered<SeatMap>>,
    compact: ArcSwapOption<Rendered<SeatMap>>,
    snapshot: ArcSwapOption<Rendered<SeatSnapshot>>,
    overview: ArcSwapOption<Rendered<HallOverview>>,
    born: Instant,
    /// When the last successful read began, in microseconds since `born` plus one; 0 before the first.
    read_at: AtomicU64,
    /// Locked by the request that reads the store.
    reading: tokio::sync::Mutex<LastReads>,
}

/// The last reads of the store.
#[derive(Debug, Default)]
struct LastReads {
    /// The store's clock at the last successful read.
    since: Option<Time>,
    /// When the last successful read of every seat began.
    whole: Option<Instant>,
    failed: ReadFailure,
}

#[derive(Debug)]
struct Rendered<T> {
    value: Arc<T>,
    version: u64,
    /// The moment that it shows.
    as_of: Instant,
    cost: Duration,
}

/// The store's side of a hall.
#[async_trait]
pub(super) trait SeatReads: Sync {
    async fn now(&self) -> Result<Time, StoreError>;
    async fn seats(&self, concert: ConcertId) -> Result<Vec<Seat>, StoreError>;
    async fn changed_seats(&self, concert: ConcertId, since: Time) -> Result<(Vec<Seat>, Time), StoreError>;
}

#[async_trait]
impl SeatReads for &dyn Store {
    async fn now(&self) -> Result<Time, StoreError> {
        Store::now(*self).await
    }

    async fn seats(&self, concert: ConcertId) -> Result<Vec<Seat>, StoreError> {
        Store::seats(*self, concert).await
    }

    async fn changed_seats(&self, concert: ConcertId, since: Time) -> Result<(Vec<Seat>, Time), StoreError> {
        Store::changed_seats(*self, concert, since).await
    }
}

/// Which rows a read returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadScope {
    /// Every seat: one that is not among them was removed.
    All,
    Changed,
}

impl CachedHall {
    pub(super) fn new(concert_id: ConcertId, boot: u64, sharing: Sharing, versions: Arc<Versions>) -> Self {
        let version = AtomicU64::new(versions.next());
        Self {
            concert_id,
            boot,
            sharing,
            versions,
            version,
            seats: Mutex::default(),
            seat_count: AtomicUsize::new(0),
            looked_at: AtomicU64::new(0),
            full: ArcSwapOption::empty(),
            compact: ArcSwapOption::empty(),
            snapshot: ArcSwapOption::empty(),
            overview: ArcSwapOption::empty(),
            born: Instant::now(),
            read_at: AtomicU64::new(0),
            reading: tokio::sync::Mutex::default(),
        }
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seat_count(&self) -> usize {
        self.seat_count.load(Ordering::Relaxed)
    }

    pub(super) fn note_look(&self, at: u64) {
        self.looked_at.fetch_max(at, Ordering::Relaxed);
    }

    pub(super) fn looked_at(&self) -> u64 {
        self.looked_at.load(Ordering::Relaxed)
    }

    /// Applies seats of this concert that a commit of this process changed.
    pub(super) fn publish(&self, changed: &[Seat]) {
        let mut seats = self.seats();
        let version = self.versions.next();
        self.version.store(version, Ordering::Release);
        for seat in changed {
            seats.put(seat, version);
        }
        self.seat_count.store(seats.rows.len(), Ordering::Relaxed);
    }

    /// Removes a seat that a commit of this process removed.
    pub(super) fn remove(&self, seat: &Seat) {
        let mut seats = self.seats();
        seats.remove(seat.seat_id, seat.updated_at);
        self.version.store(self.versions.next(), Ordering::Release);
    }

    /// When the last successful read began.
    fn read_at(&self) -> Option<Instant> {
        let micros = self.read_at.load(Ordering::Acquire).checked_sub(1)?;
        self.born.checked_add(Duration::from_micros(micros))
    }

    fn is_good_at(&self, asked: Instant) -> bool {
        self.read_at().is_some_and(|read_at| match self.sharing {
            Sharing::Alone => true,
            Sharing::Shared => asked.saturating_duration_since(read_at) < AGE_MAX,
        })
    }

    /// Reads the store, unless the rows are fresh enough or a concurrent request makes them so.
    pub(super) async fn bring_up_to_date(&self, store: &impl SeatReads) -> Result<(), StoreError> {
        let asked = Instant::now();
        if self.is_good_at(asked) {
            return Ok(());
        }
        let mut last = self.reading.lock().await;
        if self.is_good_at(asked) {
            return Ok(());
        }
        last.failed.check(asked, Duration::ZERO)?;
        let began = Instant::now();
        // A commit that took longer than allowed is not among the changes: so every seat is read from time to time.
        let whole = last.whole.filter(|whole| whole.elapsed() < WHOLE_EVERY);
        let read = match last.since.filter(|_| whole.is_some()) {
            Some(since) => self.read_changed(store, since).await,
            None => self.read_all(store).await,
        };
        last.failed.note(began, &read);
        (last.since, last.whole) = (Some(read?), whole.or(Some(began)));
        let micros = began.saturating_duration_since(self.born).as_micros();
        self.read_at.store(u64::try_from(micros).unwrap_or(u64::MAX - 1) + 1, Ordering::Release);
        Ok(())
    }

    /// Reads every seat. Returns the store's clock before the read.
    async fn read_all(&self, store: &impl SeatReads) -> Result<Time, StoreError> {
        let now = match self.sharing {
            Sharing::Alone => Time::default(),
            Sharing::Shared => store.now().await?,
        };
        let (began, seen) = (Instant::now(), self.version.load(Ordering::Acquire));
        let rows = store.seats(self.concert_id).await?;
        self.take(rows, ReadScope::All, seen);
        self.seats().forget_removed(began);
        Ok(now)
    }

    /// Reads the seats that may have changed unseen since a read at `since`. Returns the store's clock.
    async fn read_changed(&self, store: &impl SeatReads, since: Time) -> Result<Time, StoreError> {
        let seen = self.version.load(Ordering::Acquire);
        let (rows, now) = store.changed_seats(self.concert_id, since.minus(COMMIT_VISIBILITY_MAX)).await?;
        self.take(rows, ReadScope::Changed, seen);
        // If the store's clock went back, as it may after a fail-over, `updated_at` does not tell which row is newer.
        if now < since {
            return self.read_all(store).await;
        }
        Ok(now)
    }

    fn take(&self, rows: Vec<Seat>, part: ReadScope, seen: u64) {
        let there: HashSet<_> = match part {
            ReadScope::All => rows.iter().map(|seat| seat.seat_id).collect(),
            ReadScope::Changed => HashSet::new(),
        };
        let mut seats = self.seats();
        let mut changed = false;
        for seat in rows {
            changed |= seats.take(seat, seen);
        }
        if part == ReadScope::All {
            let gone = seats.rows.iter().filter(|row| row.touched <= seen && !there.contains(&row.seat.seat_id));
            let gone: Vec<_> = gone.map(|row| (row.seat.seat_id, row.seat.updated_at)).collect();
            changed |= !gone.is_empty();
            for (seat, last) in gone {
                seats.remove(seat, last);
            }
        }
        seats.sort();
        self.seat_count.store(seats.rows.len(), Ordering::Relaxed);
        if changed {
            self.version.store(self.versions.next(), Ordering::Release);
        }
    }

    /// The mark of the hall now.
    pub(super) fn mark(&self) -> HallMark {
        self.seats().mark()
    }

    /// Begins to note changes for streams, if that has not begun.
    pub(super) fn watch(&self) {
        self.seats().unsent.get_or_insert_default();
    }

    /// Ends it.
    pub(super) fn unwatch(&self) {
        self.seats().unsent = None;
    }

    /// What changed since this was last asked, and the mark of the hall now; none if nothing did.
    pub(super) fn take_news(&self) -> Option<(HallNews, HallMark)> {
        let mut seats = self.seats();
        let unsent = std::mem::take(seats.unsent.as_mut()?);
        if unsent.has_new_layout {
            return Some((HallNews::outdated(), seats.mark()));
        }
        if unsent.seats.is_empty() {
            return None;
        }
        let mark = seats.mark();
        let state = |id| Some((id, seats.rows.get(*seats.index.get(&id)?)?.seat.status()));
        Some((HallNews::Seats(SeatStates::of(mark, unsent.seats.into_iter().filter_map(state))), mark))
    }

    /// What may have changed since the hall had this mark, and its mark now.
    pub(super) fn news_since(&self, known: HallMark) -> (HallNews, HallMark) {
        let mut seats = self.seats();
        let mark = seats.mark();
        // Of several instances one may show a change before an earlier one.
        let since = match self.sharing {
            Sharing::Alone => known.last,
            Sharing::Shared => known.last.minus(COMMIT_VISIBILITY_MAX),
        };
        let mut changed = Vec::new();
        if known != mark {
            let rows = seats.rows.iter().filter(|row| row.seat.updated_at >= since);
            changed.extend(rows.map(|row| (row.seat.seat_id, row.seat.status())).take(CAUGHT_UP_MAX + 1));
        }
        if mark.layout != known.layout || changed.len() > CAUGHT_UP_MAX {
            return (HallNews::outdated(), mark);
        }
        (HallNews::Seats(SeatStates::of(mark, changed.into_iter())), mark)
    }

    pub(super) fn map(&self, form: MapForm) -> Arc<SeatMap> {
        let slot = match form {
            MapForm::Full => &self.full,
            MapForm::Compact => &self.compact,
        };
        self.rendered(slot, |version, seats| {
            let mark = seats.mark();
            self.render(form, version, mark, &seats.rows)
        })
    }

    /// The rows of these seats; unknown ids are omitted.
    pub(super) fn rows(&self, wanted: &[SeatId]) -> Vec<Seat> {
        let seats = self.seats();
        let row = |id: &SeatId| Some(seats.rows.get(*seats.index.get(id)?)?.seat.clone());
        wanted.iter().filter_map(row).collect()
    }

    pub(super) fn snapshot(&self) -> Arc<SeatSnapshot> {
        self.rendered(&self.snapshot, |_, seats| seats.snapshot())
    }

    pub(super) fn overview(&self) -> Arc<HallOverview> {
        self.rendered(&self.overview, |_, seats| seats.overview())
    }

    /// What is made of the present rows, once for all who ask.
    fn rendered<T>(&self, slot: &ArcSwapOption<Rendered<T>>, render: impl FnOnce(u64, &mut Seats) -> T) -> Arc<T> {
        let fresh_enough = |known: &Rendered<T>| {
            known.version == self.version.load(Ordering::Relaxed)
                || (known.cost > RENDER_CHEAP && self.seat_count() > SMALL && known.as_of.elapsed() < AGE_MAX)
        };
        if let Some(known) = &*slot.load()
            && fresh_enough(known)
        {
            return Arc::clone(&known.value);
        }
        let mut seats = self.seats();
        if let Some(known) = slot.load_full()
            && fresh_enough(&known)
        {
            return Arc::clone(&known.value);
        }
        seats.sort();
        let started = Instant::now();
        let version = self.version.load(Ordering::Relaxed);
        let as_of = match self.sharing {
            Sharing::Alone => started,
            Sharing::Shared => self.read_at().unwrap_or(started),
        };
        let value = Arc::new(render(version, &mut seats));
        slot.store(Some(Arc::new(Rendered { value: Arc::clone(&value), version, as_of, cost: started.elapsed() })));
        value
    }

    fn render(&self, form: MapForm, version: u64, mark: HallMark, rows: &[Row]) -> SeatMap {
        // All instances must render the same rows the same, tag and all: a client may reach any of them.
        let shown = match self.sharing {
            Sharing::Alone => version,
            Sharing::Shared => u64::try_from(mark.last.micros()).unwrap_or(0),
        };
        let heading = Heading { concert_id: self.concert_id, version: shown, mark: mark.to_string() };
        let body = match form {
            MapForm::Full => serde_json::to_vec(&full(heading, rows)),
            MapForm::Compact => serde_json::to_vec(&compact(heading, rows)),
        };
        let body = body.unwrap_or_default();
        let id = self.concert_id;
        let etag = match self.sharing {
            Sharing::Alone => format!("\"{id}-{:x}-{version}-{form:?}\"", self.boot),
            Sharing::Shared => {
                let hash = Sha256::digest(&body);
                let mut tag = format!("\"{id}-");
                for byte in &hash[..12] {
                    // Writing to a string cannot fail.
                    let _ = write!(tag, "{byte:02x}");
                }
                tag.push('"');
                tag
            }
        };
        SeatMap::new(Bytes::from(body), etag)
    }
}

#[cfg(test)]
mod tests;
