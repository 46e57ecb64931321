//! The streams of halls: what changed is written once, by one task for each hall that has any, and shared by all of its
//! streams.

use super::{
    SeatMaps,
    hall::CachedHall,
    news::{HallMark, HallNews},
};
use frontrow_domain::id::ConcertId;
use frontrow_storage::{Store, StoreError};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::broadcast;

/// The shortest time between two news of a hall: four a second.
const NEWS_EVERY: Duration = Duration::from_millis(250);
/// How much longer it is for each stream of the hall, so that all of them together get 10,000 news a second at most.
const NEWS_LATER_PER_STREAM: Duration = Duration::from_micros(100);
/// The clients of all streams of a hall fetch the map within this time, and more if there are more than ten for each
/// millisecond.
const MAP_WITHIN_MIN_MS: u64 = 500;
const MAPS_PER_MS: u64 = 10;
/// How many news a stream may be behind the others.
const BEHIND_MAX: usize = 8;

/// The halls with streams.
#[derive(Debug, Default)]
pub(super) struct HallStreams(Mutex<HashMap<ConcertId, broadcast::Sender<Arc<HallNews>>>>);

impl HallStreams {
    fn lock(&self) -> MutexGuard<'_, HashMap<ConcertId, broadcast::Sender<Arc<HallNews>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The changes of a hall.
#[derive(Debug)]
pub struct SeatStream {
    first: Option<Arc<HallNews>>,
    news: broadcast::Receiver<Arc<HallNews>>,
}

/// A hall that a task follows, and its mark when its streams were last sent something.
#[derive(Debug)]
pub(crate) struct FollowedHall {
    hall: Arc<CachedHall>,
    mark: HallMark,
}

impl SeatStream {
    /// Waits for the next news; the first come at once. None if the stream is too far behind, or the server stops.
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<Arc<HallNews>> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        // The stream is behind, or the server stops.
        self.news.recv().await.ok()
    }
}

impl SeatMaps {
    /// A stream of the changes of a hall, beginning with what may have changed since it had the mark `since`. If there
    /// was none before, also what the caller has to follow from now on by [`SeatMaps::send_news`].
    ///
    /// # Errors
    /// The seats could not be read.
    pub(crate) async fn stream(
        &self,
        store: &dyn Store,
        id: ConcertId,
        since: Option<&str>,
    ) -> Result<(SeatStream, Option<FollowedHall>), StoreError> {
        let hall = self.hall(store, id, self.born.elapsed()).await?;
        let (news, is_first) = {
            let mut halls = self.streams.lock();
            if let Some(sender) = halls.get(&id) {
                (sender.subscribe(), false)
            } else {
                let (sender, news) = broadcast::channel(BEHIND_MAX);
                halls.insert(id, sender);
                (news, true)
            }
        };
        // Changes after this are in the stream's news; those before it are in the first.
        hall.watch();
        let (first, mark) = match since.and_then(|mark| mark.parse().ok()) {
            Some(mark) => hall.news_since(mark),
            None => (HallNews::outdated(), hall.mark()),
        };
        let stream = SeatStream { first: Some(Arc::new(first)), news };
        Ok((stream, is_first.then_some(FollowedHall { hall, mark })))
    }

    /// Sends the news of a hall to its streams. Returns how long to wait before the next; none if there are no streams
    /// any more.
    pub(crate) async fn send_news(
        &self,
        store: &dyn Store,
        id: ConcertId,
        followed: &mut FollowedHall,
    ) -> Option<Duration> {
        let streams = {
            let mut halls = self.streams.lock();
            let streams = halls.get(&id)?.receiver_count();
            if streams == 0 {
                halls.remove(&id);
                followed.hall.unwatch();
                return None;
            }
            u32::try_from(streams).unwrap_or(u32::MAX)
        };
        // While the store is away nothing is known.
        if let Ok(hall) = self.hall(store, id, self.born.elapsed()).await
            && let Some(mut news) = followed.news_of(hall)
            && let Some(sender) = self.streams.lock().get(&id)
        {
            if let HallNews::MapOutdated { within_ms } = &mut news {
                *within_ms = MAP_WITHIN_MIN_MS + u64::from(streams) / MAPS_PER_MS;
            }
            // An error says that there is no stream.
            let _ = sender.send(Arc::new(news));
        }
        Some(NEWS_EVERY.max(NEWS_LATER_PER_STREAM.saturating_mul(streams)))
    }
}

impl FollowedHall {
    fn news_of(&mut self, hall: Arc<CachedHall>) -> Option<HallNews> {
        let (news, mark) = if Arc::ptr_eq(&self.hall, &hall) {
            hall.take_news()?
        } else {
            // The hall was dropped and read again meanwhile.
            hall.watch();
            hall.news_since(self.mark)
        };
        *self = Self { hall, mark };
        Some(news)
    }
}
