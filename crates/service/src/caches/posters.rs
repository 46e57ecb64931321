//! Caches posters: each is read once, as long as there is room.

use frontrow_domain::{
    id::ConcertId,
    sale::{Poster, PosterTag},
};
use frontrow_storage::{Store, StoreError};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex as SyncMutex, PoisonError},
};
use tokio::sync::Mutex;

/// How many bytes of posters are cached: some hundred posters.
const KEPT_LEN_MAX: usize = 64 * 1_024 * 1_024;

/// The cached posters. A tag belongs to the same bytes for ever, so none grows old; whether a concert still has the
/// poster is known by its profile.
#[derive(Debug, Default)]
pub(crate) struct Posters {
    kept: SyncMutex<KeptPosters>,
    /// Locked while a poster is read, so that concurrent requests cost one read.
    reading: Mutex<()>,
}

#[derive(Debug, Default)]
struct KeptPosters {
    by_tag: HashMap<PosterTag, Arc<[u8]>>,
    len: usize,
}

impl Posters {
    fn known(&self, tag: PosterTag) -> Option<Arc<[u8]>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).by_tag.get(&tag).cloned()
    }

    /// The picture with this tag; none if the concert has another one or none.
    ///
    /// # Errors
    /// The store could not be read.
    pub(crate) async fn get(
        &self,
        store: &dyn Store,
        concert: ConcertId,
        tag: PosterTag,
    ) -> Result<Option<Arc<[u8]>>, StoreError> {
        if let Some(jpeg) = self.known(tag) {
            return Ok(Some(jpeg));
        }
        let _reading = self.reading.lock().await;
        if let Some(jpeg) = self.known(tag) {
            return Ok(Some(jpeg));
        }
        let Some(Poster { mark, jpeg, .. }) = store.poster(concert).await? else { return Ok(None) };
        self.keep(mark.tag, &jpeg);
        Ok((mark.tag == tag).then_some(jpeg))
    }

    fn keep(&self, tag: PosterTag, jpeg: &Arc<[u8]>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.by_tag.contains_key(&tag) {
            return;
        }
        if kept.len + jpeg.len() > KEPT_LEN_MAX {
            *kept = KeptPosters::default();
        }
        kept.by_tag.insert(tag, Arc::clone(jpeg));
        kept.len += jpeg.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posters_take_no_more_room_than_they_may() {
        let posters = Posters::default();
        let jpeg: Arc<[u8]> = vec![0; KEPT_LEN_MAX / 3].into();
        let tag = |byte: u8| PosterTag::of([byte; 32]);
        for byte in 1..=3 {
            posters.keep(tag(byte), &jpeg);
            posters.keep(tag(byte), &jpeg);
        }
        assert!((1..=3).all(|byte| posters.known(tag(byte)).is_some()));
        posters.keep(tag(4), &jpeg);
        assert_eq!((1..=4).filter(|byte| posters.known(tag(*byte)).is_some()).count(), 1);
    }
}
