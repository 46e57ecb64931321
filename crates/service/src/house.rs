//! The figures of the whole house: what operators watch during a sale.
//!
//! Each instance counts what it does, by the second, and gives its last seconds and its health to the others once a
//! second ([`frontrow_line::Peers::exchange_figures`]); each puts together the same house from them. Seats and money come
//! from the seats themselves, the line from its view. Nothing is decided by figures, and all that is lost with Redis is
//! the sum over several instances. Only that exchange goes on all the time; the rest is done while a sale is watched.

mod attention;
mod figures;
mod history;
mod late_reads;
mod readiness;
mod screen;
mod sharing;
mod watches;

pub use attention::{Attention, AttentionKind, AttentionLevel};
pub(crate) use figures::CommitTallies;
pub use history::{HousePace, HouseSecond};
pub use readiness::{BackupFound, InstancesFound, MissingDetail, OpeningFound, Readiness, ReadyCheck, ReadyState};
pub use screen::{GradeOnScreen, RoomOnScreen, RoomPreview, SaleScreen, SeatsOnScreen};
pub use sharing::{DiskSpace, InstanceHealth, InstanceSeen, RedisTrouble, SignsOfLife};
pub use watches::{SaleMoment, SaleNews, SaleWatch};

use crate::{
    engine::Health,
    health::NotReady,
    metrics::Metrics,
    office::{BoxOffice, ServiceError},
};
use attention::{AttentionBook, STUCK_AFTER, STUCK_MAX, SlowFacts};
use figures::{FiguresSampler, SALES_MAX};
use frontrow_domain::{
    id::{ConcertId, RoomId},
    line::SalePace,
    outbox::Consumer,
    time::Time,
};
use frontrow_line::Down;
use frontrow_storage::{Sharing, Store, StoreError};
use history::{HouseHistory, RoomLevel, second_of};
use late_reads::{LateReads, ScreenPart};
use sharing::{InstanceReport, PeerBook};
use std::{
    cmp::Reverse,
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, watch};
use watches::Watches;

/// How long the database may take to say what time it is: it is asked once a second.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// So many answers in a row must be missing before the database counts as away; a refused connection says so at once.
const MISSING_ANSWERS: u32 = 2;
/// How often the database is looked at for what it has left undone, while a sale is watched.
const SLOW_EVERY: Duration = Duration::from_secs(4);
/// How often the space on the disk is read, in seconds.
const DISK_EVERY: u64 = 4;
/// How long reading it may take.
const DISK_MAX: Duration = Duration::from_millis(200);

/// Of whom the figures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HouseCoverage {
    /// Of all instances.
    #[default]
    Whole,
    /// Of this instance alone: what instances share is out of reach.
    OwnOnly,
}

/// The folders that the box office looks at.
#[derive(Debug, Clone, Default)]
pub struct HouseFolders {
    /// The one whose disk must not become full, if the data are on this machine.
    pub data: Option<PathBuf>,
    /// The one that others write backups into, if it is known.
    pub backups: Option<PathBuf>,
}

/// The figures of the house, as this instance knows them.
#[derive(Debug)]
pub(crate) struct House {
    folders: HouseFolders,
    state: Mutex<HouseState>,
    /// Marked as changed each second, once the figures of the last one are there.
    sampled: watch::Sender<()>,
    watches: Watches,
    /// What the database has left undone, and when it was read.
    slow: tokio::sync::Mutex<(Option<Instant>, SlowFacts)>,
    late_reads: LateReads,
    /// One look at the folder of backups at a time: one that hangs keeps its thread.
    backup_looks: Arc<Semaphore>,
}

#[derive(Debug)]
struct HouseState {
    sampler: FiguresSampler,
    history: HouseHistory,
    peers: PeerBook,
    own: InstanceReport,
    coverage: HouseCoverage,
    attention: AttentionBook,
    /// Since when the database does not answer.
    database_away: Option<Time>,
    /// How many answers of it are missing since its last one.
    missing: u32,
    disk: Option<DiskSpace>,
}

impl House {
    pub(crate) fn new(
        name: String,
        folders: HouseFolders,
        (tallies, metrics): (&Arc<CommitTallies>, &Arc<Metrics>),
        now: Time,
    ) -> Self {
        let own = InstanceReport {
            name,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: now,
            at: now,
            beat: 0,
            health: InstanceHealth::default(),
            seconds: Vec::new(),
        };
        let state = HouseState {
            sampler: FiguresSampler::new(Arc::clone(tallies), Arc::clone(metrics)),
            history: HouseHistory::default(),
            peers: PeerBook::default(),
            own,
            coverage: HouseCoverage::default(),
            attention: AttentionBook::default(),
            database_away: None,
            missing: 0,
            disk: None,
        };
        Self {
            folders,
            state: Mutex::new(state),
            sampled: watch::channel(()).0,
            watches: Watches::default(),
            slow: tokio::sync::Mutex::default(),
            late_reads: LateReads::default(),
            backup_looks: Arc::new(Semaphore::new(1)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HouseState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was measured of a sale in the last quarter of an hour up to the second `last`: the visits that ended, and the
    /// seats that were sold meanwhile.
    pub(crate) fn visits_and_sales(&self, last: i64, concert: ConcertId, room: RoomId) -> SalePace {
        self.lock().history.measured_as_long_as_kept(last, (Some(concert), room))
    }

    /// Whether the database did not answer when it was last asked.
    pub(crate) fn is_database_away(&self) -> bool {
        self.lock().database_away.is_some()
    }
}

impl HouseState {
    /// The instances, this one first.
    fn instances(&self) -> Vec<InstanceSeen> {
        let mut others: Vec<_> = self.peers.others().collect();
        others.sort_by(|one, other| (&one.name, one.started_at).cmp(&(&other.name, other.started_at)));
        std::iter::once(InstanceSeen::of(&self.own, SignsOfLife::Present)).chain(others).collect()
    }

    /// Notes whether the database answered.
    fn note_database(&mut self, answer: Result<&(), &StoreError>, now: Time) {
        match answer {
            Ok(()) => (self.missing, self.database_away) = (0, None),
            Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => {
                let since = *self.database_away.get_or_insert(now);
                self.own.health.database_away.get_or_insert(since);
            }
            // The database answers.
            Err(
                StoreError::Contended(_) | StoreError::Conflict(_) | StoreError::Corrupt(_) | StoreError::Misfit(_),
            ) => {}
        }
    }

    /// Notes that the database did not answer in time.
    fn note_silence(&mut self, now: Time) {
        self.missing = self.missing.saturating_add(1);
        if self.missing >= MISSING_ANSWERS {
            let since = *self.database_away.get_or_insert(now);
            self.own.health.database_away.get_or_insert(since);
        }
    }
}

/// The last second that all instances have reported at `now`: they report a second within the next.
pub(crate) const fn last_second(sharing: Sharing, now: Time) -> i64 {
    match sharing {
        Sharing::Alone => second_of(now) - 1,
        Sharing::Shared => second_of(now) - 2,
    }
}

/// The house, taken once a second by a worker.
impl BoxOffice {
    /// Counts the last second, gives it to the other instances, and takes theirs.
    pub(crate) async fn sample_house(&self) {
        if self.house.lock().own.beat.is_multiple_of(DISK_EVERY) {
            self.read_disk().await;
        }
        let (health, levels, now) = (self.own_health(), self.room_levels(), self.now());
        let (report, gone) = {
            let mut house = self.house.lock();
            let figures = house.sampler.take(health.lag_ms);
            house.history.add_own(second_of(now) - 1, &figures);
            house.history.note_levels(second_of(now) - 1, levels);
            let at = Instant::now();
            house.own.beat += 1;
            (house.own.at, house.own.health) = (now, health);
            let report = InstanceReport { seconds: house.history.own_last(), ..house.own.clone() };
            let gone = house.peers.gone(&report, at);
            (report, gone)
        };
        // Figures always become JSON.
        let bytes = serde_json::to_vec(&report).unwrap_or_default();
        let found = self.peers.exchange_figures(&bytes, &gone).await;
        let mut house = self.house.lock();
        match found {
            Ok(found) => {
                house.coverage = HouseCoverage::Whole;
                house.peers.drop_all(&gone);
                for (instance, seconds) in house.peers.take(found, (Instant::now(), now)) {
                    house.history.put(instance, seconds);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the figures of the other instances cannot be read");
                house.coverage = HouseCoverage::OwnOnly;
                house.peers.wait(Instant::now());
            }
        }
        drop(house);
        self.house.sampled.send_replace(());
    }

    /// How full the busy rooms are; of very many, the fullest.
    fn room_levels(&self) -> BTreeMap<RoomId, RoomLevel> {
        let views = self.lines.busy_rooms().into_iter().filter_map(|room| Some((room, self.lines.view(room)?)));
        let mut levels: Vec<_> = views
            .map(|(room, view)| (room, RoomLevel { active: view.active(), waiting: view.total_waiting() }))
            .collect();
        if levels.len() > SALES_MAX {
            levels.sort_unstable_by_key(|(_, level)| Reverse((level.active, level.waiting)));
            levels.truncate(SALES_MAX);
        }
        levels.into_iter().collect()
    }

    /// Asks a shared database what time it is: the least that shows whether it answers, also in a box office in which
    /// nothing happens. The next moment of a screen shows what was found. Of a database of its own, this process learns
    /// from its commits.
    pub(crate) async fn probe_house_database(&self) {
        if self.store.sharing() == Sharing::Alone {
            return;
        }
        let answer = tokio::time::timeout(ANSWER_MAX, self.store.check_answers()).await;
        let (mut house, now) = (self.house.lock(), self.now());
        match answer {
            Ok(answer) => house.note_database(answer.as_ref(), now),
            Err(_) => house.note_silence(now),
        }
    }

    async fn read_disk(&self) {
        let Some(folder) = self.house.folders.data.clone() else { return };
        let read = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&folder));
        if let Ok(Ok(Ok(found))) = tokio::time::timeout(DISK_MAX, read).await {
            let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
            self.house.lock().disk = Some(DiskSpace { free: bytes(found.f_bavail), total: bytes(found.f_blocks) });
        }
    }

    fn own_health(&self) -> InstanceHealth {
        let peer_status = self.peers.status();
        let not_ready = self.check_ready().err();
        let (away, disk) = {
            let house = self.house.lock();
            (house.database_away, house.disk)
        };
        let takes_no_commits = matches!(self.engine.health(), Health::Unwritable | Health::Unanswered);
        let ahead = match self.store.sharing() {
            Sharing::Alone => self.clock.held().map_or(0, |held| -held.ahead.millis()),
            Sharing::Shared => self.clock_skew.load(Ordering::Relaxed) / 1_000,
        };
        let lag = peer_status.as_ref().map_or(Duration::ZERO, |status| status.event_lag);
        let down = peer_status.and_then(|status| status.down);
        let before = self.house.lock().own.health.database_away;
        InstanceHealth {
            not_ready: not_ready.as_ref().map(NotReady::code).map(str::to_owned),
            database_away: away.or_else(|| takes_no_commits.then(|| before.unwrap_or_else(|| self.now()))),
            redis: down.map(|down| match down {
                Down::Unreachable => RedisTrouble::Unreachable,
                Down::Full => RedisTrouble::Full,
            }),
            lag_ms: u64::try_from(lag.as_millis()).unwrap_or(u64::MAX),
            clock_ahead_ms: ahead,
            disk,
            cautions: self.cautions().iter().map(|caution| caution.code().to_owned()).collect(),
        }
    }

    /// What the database has left undone, as it was a few seconds ago at most; as last known while it does not answer.
    async fn slow_facts(&self) -> SlowFacts {
        let mut known = self.house.slow.lock().await;
        if known.0.is_none_or(|read_at| read_at.elapsed() >= SLOW_EVERY) {
            let read = read_slow_facts(Arc::clone(&self.store), self.now());
            if let Ok(facts) = self.read_for_screen(ScreenPart::Undone, read).await {
                known.1 = facts;
            }
            // One that failed, too: a slow database is not asked again by every watched sale.
            known.0 = Some(Instant::now());
        }
        known.1.clone()
    }
}

async fn read_slow_facts(store: Arc<dyn Store>, now: Time) -> Result<SlowFacts, ServiceError> {
    let stuck = store.next_expiries(now.minus(STUCK_AFTER), STUCK_MAX).await?;
    let mut facts = SlowFacts {
        stuck: stuck.first().map(|(first, _)| (u32::try_from(stuck.len()).unwrap_or(STUCK_MAX), *first)),
        ..SlowFacts::default()
    };
    for consumer in Consumer::ALL {
        facts.due.extend(store.first_event_due_at(consumer).await?.map(|due_at| (consumer, due_at)));
        facts.events.push((consumer, store.event_counts(consumer).await?));
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::time::Span;

    #[test]
    fn a_refused_connection_says_at_once_that_the_database_is_away_and_a_missing_answer_only_twice() {
        let start = Time::from_micros(1_800_000_000_000_000);
        let at = |seconds| start.plus(Span::from_secs(seconds));
        let house = House::new("one:80".to_owned(), HouseFolders::default(), (&Arc::default(), &Arc::default()), start);
        let away = StoreError::Unavailable("refused".to_owned());
        let busy = StoreError::Contended("every connection is busy".to_owned());
        let mut state = house.lock();
        state.note_database(Err(&busy), at(1));
        assert_eq!(state.database_away, None, "a full pool says nothing of the server");
        state.note_database(Err(&away), at(2));
        state.note_database(Err(&away), at(3));
        assert_eq!(state.database_away, Some(at(2)), "since the first");
        state.note_database(Ok(&()), at(4));
        state.note_silence(at(5));
        assert_eq!(state.database_away, None);
        state.note_silence(at(6));
        assert_eq!((state.database_away, state.own.health.database_away), (Some(at(6)), Some(at(2))), "shown at once");
        state.note_database(Ok(&()), at(7));
        state.note_silence(at(8));
        assert_eq!(state.database_away, None, "one answer in between");
    }

    #[test]
    fn a_second_is_shown_once_every_instance_had_time_to_report_it() {
        let now = Time::from_micros(100_900_000);
        assert_eq!((last_second(Sharing::Alone, now), last_second(Sharing::Shared, now)), (99, 98));
    }
}
