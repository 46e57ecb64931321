//! Shares the places of the house's budget between the rooms, and those of a room between its lines.

use crate::office::BoxOffice;
use frontrow_storage::trouble::Trouble;
use std::{sync::Arc, time::Duration};

/// How often: a room whose first tokens come waits no longer for its share.
const TICK: Duration = Duration::from_secs(1);

pub(super) async fn share_places(office: Arc<BoxOffice>) {
    let trouble = Trouble::new("cannot share the places between the lines");
    loop {
        tokio::time::sleep(TICK).await;
        trouble.noted(office.share_places().await);
    }
}
