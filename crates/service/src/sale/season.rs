//! The season as buyers see it: the concerts to come, each with what is left of it.

use super::{ConcertOnSale, HallOverview, SeatSnapshot};
use crate::{
    caches::read_failure::ReadFailure,
    office::{BoxOffice, ServiceError},
};
use frontrow_domain::{
    id::ConcertId,
    sale::{Concert, PosterTag, RefundTime},
    text::folded,
    time::{Span, Time},
};
use frontrow_storage::{ConcertFilter, ConcertPlace, ConcertProfile, Page, StoreError};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How many concerts the season shows. More are found by the API alone.
const CONCERTS_MAX: usize = 1_000;
/// How many concerts one query reads.
const PAGE: u32 = 100;
/// How long a concert stays in the season after its start: those who come home from it may still look it up.
const SHOWN_AFTER_START: Span = Span::from_secs(12 * 3_600);
/// How long a season, and what the page of a concert shows, is shown without a look at the database.
const FRESH: Span = Span::from_secs(1);
/// How many concerts' views are kept.
const VIEWS_MAX: usize = 1_000;

/// A concert as its page and the season show it.
#[derive(Debug, Clone)]
pub struct ShownConcert {
    /// Its row, its state and what is left of it.
    pub on_sale: ConcertOnSale,
    /// Its details, its poster's tag and its prices.
    pub profile: Arc<ConcertProfile>,
    /// Title, artist and venue as a search compares them.
    searched: String,
}

impl ShownConcert {
    fn of(on_sale: ConcertOnSale, profile: Arc<ConcertProfile>) -> Self {
        let Concert { title, artist, venue, .. } = &on_sale.concert;
        let searched = folded(&format!("{title}\n{artist}\n{venue}"));
        Self { on_sale, profile, searched }
    }

    /// Whether title, artist or venue contains each word of this [folded](folded) text.
    #[must_use]
    pub fn matches(&self, folded: &str) -> bool {
        folded.split_whitespace().all(|word| self.searched.contains(word))
    }
}

/// The concerts to come, by start; those that have ended today come last.
#[derive(Debug, Default)]
pub struct Season {
    /// The concerts.
    pub concerts: Vec<ShownConcert>,
}

/// The season of this second.
#[derive(Debug, Default)]
pub(crate) struct LastSeason(tokio::sync::Mutex<LastRead>);

/// The last read of the season.
#[derive(Debug, Default)]
struct LastRead {
    /// The season, and when it was read.
    made: Option<(Time, Arc<Season>)>,
    failed: ReadFailure,
}

/// What the pages of concerts showed in this second: visitors of other languages see the same.
#[derive(Debug, Default)]
pub(crate) struct LastViews(Mutex<HashMap<ConcertId, Arc<ConcertView>>>);

impl LastViews {
    fn find(&self, id: ConcertId, now: Time) -> Option<Arc<ConcertView>> {
        let views = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        views.get(&id).filter(|view| (view.now..view.now.plus(FRESH)).contains(&now)).cloned()
    }

    fn keep(&self, id: ConcertId, view: &Arc<ConcertView>) {
        let mut views = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if views.len() >= VIEWS_MAX {
            views.clear();
        }
        views.insert(id, Arc::clone(view));
    }
}

/// A hall with all that its page shows of the sale.
#[derive(Debug, Clone)]
pub struct HallView {
    /// The concert, and what a buyer can do with it. It counts the same seats as the hall below.
    pub on_sale: ConcertOnSale,
    /// The seats with their states.
    pub seats: Arc<SeatSnapshot>,
    /// The same in numbers.
    pub overview: Arc<HallOverview>,
    /// When the view was made, by the clock of the box office.
    pub now: Time,
}

/// A concert with all that its page shows.
#[derive(Debug)]
pub struct ConcertView {
    /// The concert.
    pub shown: ShownConcert,
    /// Its hall in numbers.
    pub hall: Arc<HallOverview>,
    /// How long a payment may be refunded.
    pub refund_time: RefundTime,
    /// How many seats a user may have.
    pub seats_max: u32,
    /// How long a hold lasts.
    pub hold: Span,
    /// When the view was made, by the clock of the box office.
    pub now: Time,
}

/// A poster as its address finds it.
#[derive(Debug, Clone)]
pub enum FoundPoster {
    /// The picture.
    Jpeg(Arc<[u8]>),
    /// The concert has another one by now.
    Moved(PosterTag),
}

impl BoxOffice {
    /// The season. The database is read once a second at most, however many ask.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn season(&self) -> Result<Arc<Season>, ServiceError> {
        let asked = Instant::now();
        let mut last = self.last_season.0.lock().await;
        let LastRead { made, failed } = &mut *last;
        let now = self.now();
        if let Some((made_at, season)) = made
            && (*made_at..made_at.plus(FRESH)).contains(&now)
        {
            return Ok(Arc::clone(season));
        }
        // Requests that waited for a read that failed fail with it.
        failed.check(asked, Duration::ZERO)?;
        let began = Instant::now();
        let read = self.read_season(now).await;
        failed.note(began, &read);
        let season = Arc::new(read?);
        *made = Some((now, Arc::clone(&season)));
        Ok(season)
    }

    async fn read_season(&self, now: Time) -> Result<Season, StoreError> {
        let filter = ConcertFilter { now, ..ConcertFilter::default() };
        let first = ConcertPlace { starts_at: now.minus(SHOWN_AFTER_START), concert_id: ConcertId::new(0) };
        let (mut after, mut rows) = (first, Vec::new());
        while rows.len() < CONCERTS_MAX {
            let page = self.store.concerts(&filter, Page { after: Some(after), limit: PAGE }).await?;
            let is_last = u32::try_from(page.len()).is_ok_and(|len| len < PAGE);
            after = page.last().map_or(after, ConcertPlace::of);
            rows.extend(page);
            if is_last {
                break;
            }
        }
        rows.sort_by_key(|row| now >= row.ends_at);
        let concerts = self.shown(rows, now).await?;
        Ok(Season { concerts })
    }

    async fn shown(&self, rows: Vec<Concert>, now: Time) -> Result<Vec<ShownConcert>, StoreError> {
        let ids: Vec<_> = rows.iter().map(|row| row.concert_id).collect();
        let seats = self.caches.seats_left.get(&self.store, &ids).await?;
        let profiles = self.caches.profiles.get(&*self.store, &ids).await?;
        let shown = rows.into_iter().zip(profiles).map(|(row, profile)| {
            let counts = seats.get(&row.concert_id).copied().unwrap_or_default();
            ShownConcert::of(ConcertOnSale::of(row.seen_at(now), counts, now), profile)
        });
        Ok(shown.collect())
    }

    /// A concert with all that its page shows: the same for all who ask within a second. Its state and its grades count
    /// the same seats.
    ///
    /// # Errors
    /// [`Refusal::NotFound`](frontrow_domain::refusal::Refusal::NotFound).
    pub async fn concert_view(&self, id: ConcertId) -> Result<Arc<ConcertView>, ServiceError> {
        if let Some(view) = self.last_views.find(id, self.now()) {
            return Ok(view);
        }
        let row = self.concert(id).await?;
        let profile = self.profile(id).await?;
        let hall = self.caches.seat_maps.overview(&*self.store, id).await?;
        let now = self.now();
        let on_sale = ConcertOnSale::of(row.seen_at(now), hall.counts, now);
        let view = Arc::new(ConcertView {
            refund_time: on_sale.concert.refund_time(self.policy.refund_cutoff, now),
            shown: ShownConcert::of(on_sale, profile),
            hall,
            seats_max: self.policy.max_seats_per_user,
            hold: self.policy.hold,
            now,
        });
        self.last_views.keep(id, &view);
        Ok(view)
    }

    /// A hall with all that its page shows of the sale, as fresh as the seat map.
    ///
    /// # Errors
    /// [`Refusal::NotFound`](frontrow_domain::refusal::Refusal::NotFound).
    pub async fn hall_view(&self, id: ConcertId) -> Result<HallView, ServiceError> {
        let row = self.concert(id).await?;
        let (seats, overview) = self.caches.seat_maps.snapshot_and_overview(&*self.store, id).await?;
        let now = self.now();
        let on_sale = ConcertOnSale::of(row.seen_at(now), overview.counts, now);
        Ok(HallView { on_sale, seats, overview, now })
    }

    /// The details, the poster's tag and the prices of a concert that exists.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn profile(&self, id: ConcertId) -> Result<Arc<ConcertProfile>, ServiceError> {
        let found = self.caches.profiles.get(&*self.store, &[id]).await?.pop();
        found.ok_or(ServiceError::Internal("a concert has no profile"))
    }

    /// The poster of a concert with this tag; none if the concert has none.
    ///
    /// # Errors
    /// [`Refusal::NotFound`](frontrow_domain::refusal::Refusal::NotFound) of the concert.
    pub async fn poster(&self, id: ConcertId, tag: PosterTag) -> Result<Option<FoundPoster>, ServiceError> {
        self.concert(id).await?;
        let Some(mark) = self.profile(id).await?.poster else { return Ok(None) };
        if mark.tag != tag {
            return Ok(Some(FoundPoster::Moved(mark.tag)));
        }
        Ok(self.caches.posters.get(&*self.store, id, tag).await?.map(FoundPoster::Jpeg))
    }
}
