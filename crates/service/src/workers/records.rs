//! Keeps what the lines that this instance leads have measured and told, so that a restart goes on with it. Apart from all
//! batches, and preferably while the engine is idle: no batch waits for more than one small transaction.

use super::{rest, retention::has_leisure};
use crate::office::BoxOffice;
use frontrow_domain::{
    id::RoomId,
    time::{Span, Time},
};
use frontrow_storage::{SavedLineRecord, trouble::Trouble};
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};
use tokio::sync::watch;

/// How often the lines are recorded.
const KEEP_TICK: Duration = Duration::from_secs(10);
/// A record that has not changed is kept again after this, so that its age does not speak against it.
const KEPT_AGAIN_AFTER: Span = Span::from_secs(60);
/// How long the records wait for an idle engine.
const LEISURE_WAIT_MAX: Duration = Duration::from_secs(2);
/// How many bytes of records one transaction takes, or one record.
const BYTES_AT_ONCE: usize = 512 * 1_024;

/// Whether the server goes on after this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeepRound {
    Usual,
    /// It stops: the engine has nothing more to do.
    Last,
}

/// The records that this instance kept last.
pub(super) struct RecordKeeper {
    office: Arc<BoxOffice>,
    kept: HashMap<RoomId, KeptNote>,
    trouble: Trouble,
}

/// What was kept of a line.
#[derive(Debug, Clone, Copy)]
struct KeptNote {
    hash: u64,
    at: Time,
}

fn hash_of(record: &SavedLineRecord) -> u64 {
    let mut hasher = DefaultHasher::new();
    (record.epoch, &record.record).hash(&mut hasher);
    hasher.finish()
}

/// Keeps the records of lines every ten seconds, and when the server stops.
pub(super) async fn keep_line_records(office: Arc<BoxOffice>, mut stop: watch::Receiver<bool>) {
    let mut keeper = RecordKeeper::new(office);
    loop {
        let round = tokio::select! {
            () = rest(&keeper.office, KEEP_TICK) => KeepRound::Usual,
            _ = stop.changed() => KeepRound::Last,
        };
        keeper.keep(round).await;
        if round == KeepRound::Last {
            return;
        }
    }
}

impl RecordKeeper {
    pub(super) fn new(office: Arc<BoxOffice>) -> Self {
        Self { office, kept: HashMap::new(), trouble: Trouble::new("cannot keep how the lines move for a restart") }
    }

    async fn keep(&mut self, round: KeepRound) {
        let may_keep = match round {
            KeepRound::Usual => tokio::time::timeout(LEISURE_WAIT_MAX, has_leisure(&self.office)).await.unwrap_or(true),
            KeepRound::Last => self.office.check_ready().is_ok(),
        };
        if may_keep {
            self.keep_now().await;
        }
    }

    /// Records the lines that this instance leads, and keeps what has changed.
    pub(super) async fn keep_now(&mut self) {
        let now = self.office.now();
        let mut rooms = self.office.lines.busy_rooms();
        rooms.retain(|room| self.office.lines.view(*room).is_some_and(|view| view.needs_leader(now)));
        self.kept.retain(|room, _| rooms.contains(room));
        let (mut part, mut bytes) = (Vec::new(), 0);
        for room in rooms {
            // A long line takes a millisecond: requests come first.
            tokio::task::yield_now().await;
            let now = self.office.now();
            let Some(record) = self.office.peers.line_record(room, now, &self.office.policy) else { continue };
            let hash = hash_of(&record);
            let is_known = |note: &KeptNote| note.hash == hash && now.since(note.at) < KEPT_AGAIN_AFTER;
            if self.kept.get(&room).is_some_and(is_known) {
                continue;
            }
            bytes += record.record.len();
            part.push((record, KeptNote { hash, at: now }));
            if bytes >= BYTES_AT_ONCE {
                self.save(std::mem::take(&mut part)).await;
                bytes = 0;
            }
        }
        self.save(part).await;
    }

    async fn save(&mut self, part: Vec<(SavedLineRecord, KeptNote)>) {
        if part.is_empty() {
            return;
        }
        let notes: Vec<_> = part.iter().map(|(record, note)| (record.room_id, *note)).collect();
        let records = part.into_iter().map(|(record, _)| record).collect();
        if self.trouble.noted(self.office.store.keep_line_records(records).await).is_some() {
            self.kept.extend(notes);
        }
    }
}

#[cfg(test)]
mod tests;
