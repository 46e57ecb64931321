//! Takes the figures of the house, once a second.

use crate::office::BoxOffice;
use std::{sync::Arc, time::Duration};
use tokio::time::MissedTickBehavior;

/// How long after the end of a second it is taken: its last commits are counted by then.
const LATE: Duration = Duration::from_millis(5);
/// How often the database is asked whether it is there.
const PROBE_TICK: Duration = Duration::from_secs(1);

pub(super) async fn sample_house(office: Arc<BoxOffice>) {
    loop {
        tokio::time::sleep(until_next_second(&office)).await;
        office.sample_house().await;
    }
}

pub(super) async fn probe_database(office: Arc<BoxOffice>) {
    let mut ticks = tokio::time::interval(PROBE_TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        office.probe_house_database().await;
    }
}

/// The instances take the same seconds, by the clock that they share. A clock that a test moves may stand still.
fn until_next_second(office: &BoxOffice) -> Duration {
    let into = office.now().micros().rem_euclid(1_000_000);
    if office.clock.is_manual() {
        return Duration::from_secs(1);
    }
    Duration::from_micros(u64::try_from(1_000_000 - into).unwrap_or(1_000_000)) + LATE
}
