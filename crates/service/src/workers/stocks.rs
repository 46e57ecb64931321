//! Keeps what is left of the seats behind each line up to date.

use crate::office::BoxOffice;
use frontrow_storage::trouble::Trouble;
use std::{sync::Arc, time::Duration};

/// How often: everybody in a line whose seats are sold learns it within two seconds.
const TICK: Duration = Duration::from_secs(1);

pub(super) async fn look_at_stocks(office: Arc<BoxOffice>) {
    let trouble = Trouble::new("cannot count the seats left behind the lines");
    loop {
        tokio::time::sleep(TICK).await;
        trouble.noted(office.look_at_stocks().await);
    }
}
