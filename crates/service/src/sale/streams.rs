//! The changes of seats as streams.

use crate::{
    caches::seatmap::{FollowedHall, SeatStream},
    office::{BoxOffice, ServiceError},
};
use frontrow_domain::id::ConcertId;
use std::sync::{Arc, Weak};

impl BoxOffice {
    /// The changes of a concert's seats from now on. The first news are what may have changed since the map that has the
    /// mark `since`; without one, that the map is to be fetched.
    ///
    /// # Errors
    /// [`Refusal::NotFound`](frontrow_domain::refusal::Refusal::NotFound).
    pub async fn seat_stream(self: &Arc<Self>, id: ConcertId, since: Option<&str>) -> Result<SeatStream, ServiceError> {
        self.concert(id).await?;
        let (stream, new) = self.caches.seat_maps.stream(&*self.store, id, since).await?;
        if let Some(hall) = new {
            tokio::spawn(follow(Arc::downgrade(self), id, hall));
        }
        Ok(stream)
    }
}

/// Sends the news of a hall to its streams, as long as there are any and the box office is open.
async fn follow(office: Weak<BoxOffice>, id: ConcertId, mut hall: FollowedHall) {
    loop {
        let pause = {
            let Some(office) = office.upgrade() else { return };
            office.caches.seat_maps.send_news(&*office.store, id, &mut hall).await
        };
        match pause {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return,
        }
    }
}
