//! Wakes the streams of a room that has news for all of them: a part at a time, so that other requests are served between
//! the parts.

use crate::{line::STATE_EVERY, office::BoxOffice};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// How many streams are woken at once.
const PART: usize = 500;
/// The time between two parts: 20,000 streams are woken in a quarter of a second.
const BETWEEN_PARTS: Duration = Duration::from_millis(6);

pub(super) async fn wake_streams(office: Arc<BoxOffice>) {
    loop {
        for room in office.lines.stirred().await {
            let mut woken = office.lines.wake_watchers(room, None, PART);
            while woken.is_some() {
                sleep(BETWEEN_PARTS).await;
                woken = office.lines.wake_watchers(room, woken, PART);
            }
        }
        // News that come meanwhile are shown together.
        sleep(STATE_EVERY).await;
    }
}
