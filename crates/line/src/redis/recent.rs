//! The events of the last seconds, this instance's own and the others': a line that is rebuilt applies them after its
//! rows.

use super::events::{self, EventBody};
use crate::lock::lock;
use frontrow_domain::{changes::Changes, time::Time};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Longer than it takes to read the rows of a line, and than a commit may be in flight.
const REMEMBERED_FOR: Duration = Duration::from_secs(20);
/// No more than this is stored: 64 MiB.
const BYTES_MAX: usize = 64 << 20;

/// Events in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Recent {
    kept: Mutex<RecentEvents>,
}

#[derive(Debug, Default)]
struct RecentEvents {
    events: VecDeque<(Instant, Arc<[u8]>)>,
    bytes: usize,
    /// How many came before the first that is stored.
    before: u64,
}

impl Recent {
    pub(super) fn push(&self, event: Arc<[u8]>) {
        let now = Instant::now();
        let mut kept = lock(&self.kept);
        kept.bytes += event.len();
        kept.events.push_back((now, event));
        while let Some((at, first)) = kept.events.front()
            && (now.duration_since(*at) > REMEMBERED_FOR || kept.bytes > BYTES_MAX)
        {
            let bytes = first.len();
            kept.events.pop_front();
            kept.bytes -= bytes;
            kept.before += 1;
        }
    }

    /// How many events have come.
    pub(super) fn count(&self) -> u64 {
        let kept = lock(&self.kept);
        kept.before + u64::try_from(kept.events.len()).unwrap_or(0)
    }

    /// The changes of events after the first `count`, and those decided at `from` or later.
    pub(super) fn received_since(&self, count: u64, from: Time) -> Vec<Changes> {
        let (events, before) = {
            let kept = lock(&self.kept);
            let events: Vec<_> = kept.events.iter().map(|(_, event)| Arc::clone(event)).collect();
            (events, kept.before)
        };
        let changes = events.iter().zip(before..).filter_map(|(event, number)| match events::read(event) {
            Ok(events::Event { body: EventBody::Changes(batch), .. })
                if number >= count || batch.changes.now >= from =>
            {
                Some(batch.changes)
            }
            Ok(_) | Err(_) => None,
        });
        changes.collect()
    }
}
