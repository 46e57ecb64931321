//! The checklist before a sale opens: what the box office can see by itself, each with its number. What it cannot see it
//! says.

use super::sharing::{DiskSpace, RedisTrouble, SignsOfLife};
use crate::{
    office::{BoxOffice, ServiceError},
    sale::{HallOverview, SaleState},
};
use frontrow_domain::{
    id::ConcertId,
    line::{Gate, Room},
    sale::{Concert, ConcertDetails, ConcertStatus},
    time::{Span, Time},
};
use frontrow_storage::{SeatCounts, Sharing};
use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// How far two clocks may differ before it is looked at.
const CLOCK_LOOK_MS: u64 = 1_000;
/// How long the database may take to show that it can be written before it is looked at, and before it counts as away.
const DATABASE_SLOW: Duration = Duration::from_millis(100);
const DATABASE_MAX: Duration = Duration::from_secs(2);
/// The free space that a sale may need at least.
const DISK_MIN: u64 = 1 << 30;
const DISK_BAD: u64 = 200 << 20;
/// A backup that is older than this is looked at.
const BACKUP_OLD: Span = Span::from_secs(24 * 3_600);
/// One that is further in the future tells nothing.
const BACKUP_AHEAD: Span = Span::from_secs(-300);
/// How long the folder of the backups may take to be read, and how many entries of it are looked at.
const BACKUPS_READ_MAX: Duration = Duration::from_secs(1);
const BACKUPS_MAX: usize = 10_000;
/// A sale that needs longer than this is looked at.
const SALE_LONG: Span = Span::from_secs(3_600);
/// Sign-ins that take longer than this, one after the other, are looked at.
const SIGN_INS_LONG: Duration = Duration::from_mins(5);

/// How ready a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadyState {
    /// It is as it should be.
    Good,
    /// It may be meant so: an operator should look at it.
    Look,
    /// The sale cannot work like that.
    Bad,
    /// It cannot be seen from here.
    Unknown,
}

/// What is checked, with what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadyCheck {
    /// When the sale opens.
    Opening(OpeningFound),
    /// The seats, and what they cost.
    Seats {
        /// By state.
        seats: SeatCounts,
        /// The names of grades with seats for sale that cost nothing.
        free_of_charge: Vec<String>,
    },
    /// The room's cap and gate.
    Cap {
        /// How many may be inside at once.
        cap: i64,
        /// Whether turns are offered.
        gate: Gate,
        /// Seats for sale.
        seats: i64,
    },
    /// How long the sale takes with the room's cap and rate.
    Speed {
        /// Turns a minute; none for as many as the cap allows.
        rate: Option<i64>,
        /// How long the rate alone needs for all seats, if every visit buys one; none without a rate.
        at_least: Option<Span>,
        /// How long it takes at most, if every visit buys one and lasts as long as it may; none with a cap of 0.
        at_most: Option<Span>,
    },
    /// The message to those in line.
    Message {
        /// The message; none if there is none.
        message: Option<String>,
    },
    /// What buyers read of the concert.
    Details {
        /// What is missing.
        missing: Vec<MissingDetail>,
    },
    /// Sign-ins at the opening.
    SignIns {
        /// How many passwords this instance can check in a minute.
        a_minute: i64,
        /// How many instances there are, each of which checks as many.
        instances: i64,
        /// How many may have to sign in: a buyer for each seat, less those who are in line already.
        people: i64,
        /// How long these take, one after the other; none if no instance can check a password.
        takes: Option<Span>,
        /// How long a session lasts.
        session: Span,
    },
    /// The clock that decides.
    Clock {
        /// Whose clock it is: one machine's, or the database's.
        sharing: Sharing,
        /// What it shows.
        now: Time,
        /// How far it is ahead of this machine's, in milliseconds.
        ahead_ms: i64,
    },
    /// The database.
    Database {
        /// One machine's or a server's.
        sharing: Sharing,
        /// How long it took to show that it can be written; none if it did not.
        answered_in: Option<Duration>,
    },
    /// Redis and the instances.
    Instances(InstancesFound),
    /// The disk of the data folder.
    Disk {
        /// The space; none if the data are not on this machine, or it cannot be read.
        space: Option<DiskSpace>,
        /// How many bytes the data folder has.
        data: u64,
    },
    /// The backup: the program makes none, and sees at most the folder that others write backups into.
    Backup(BackupFound),
}

/// What can be seen of the backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupFound {
    /// Nothing: no folder of backups is set.
    Unseen,
    /// The folder cannot be read.
    Unreadable,
    /// The folder is empty.
    Missing,
    /// The newest file.
    Made {
        /// When it was last written.
        at: Time,
        /// How long ago that is.
        age: Span,
    },
}

/// When a sale opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpeningFound {
    /// In the future.
    Opens {
        /// When.
        at: Time,
        /// In how long.
        within: Span,
    },
    /// It is open.
    IsOpen {
        /// Since when.
        since: Time,
    },
    /// No sale comes: it is over, or was stopped, postponed or cancelled.
    NoSale,
}

/// The instances, and what they share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstancesFound {
    /// One, which shares nothing.
    Alone,
    /// Several may be there, over Redis.
    Shared {
        /// How many there are.
        present: usize,
        /// How many stopped without a farewell.
        silent: usize,
        /// How many versions of the program run.
        versions: usize,
        /// Why Redis cannot be used.
        trouble: Option<RedisTrouble>,
    },
}

/// Something that buyers would like to read of a concert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingDetail {
    /// The poster.
    Poster,
    /// The description.
    Description,
    /// From which age on it may be attended.
    AgeRating,
    /// How long it lasts.
    RunningTime,
    /// How the organiser is reached.
    OrganiserContact,
}

impl ReadyCheck {
    /// How ready it is.
    #[must_use]
    pub fn state(&self) -> ReadyState {
        use ReadyState::{Bad, Good, Look, Unknown};
        match self {
            Self::Opening(OpeningFound::Opens { .. }) | Self::Instances(InstancesFound::Alone) => Good,
            Self::Opening(OpeningFound::IsOpen { .. }) | Self::Backup(BackupFound::Unreadable) => Look,
            Self::Opening(OpeningFound::NoSale)
            | Self::Cap { cap: ..=0, .. }
            | Self::Speed { at_most: None, .. }
            | Self::Database { answered_in: None, .. }
            | Self::Backup(BackupFound::Missing)
            | Self::Instances(
                InstancesFound::Shared { trouble: Some(_), .. } | InstancesFound::Shared { silent: 1.., .. },
            ) => Bad,
            Self::Seats { seats, .. } if seats.available + seats.held + seats.sold == 0 => Bad,
            Self::Seats { free_of_charge, .. } => look_if(!free_of_charge.is_empty()),
            Self::Cap { cap, gate, seats } => look_if(*gate == Gate::Paused || cap > seats),
            Self::Speed { at_least, .. } => look_if(at_least.is_some_and(|takes| takes > SALE_LONG)),
            Self::Message { message } => look_if(message.is_none()),
            Self::Details { missing } => look_if(!missing.is_empty()),
            Self::SignIns { takes, .. } => {
                look_if(takes.is_none_or(|takes| takes.micros().unsigned_abs() > micros(SIGN_INS_LONG)))
            }
            Self::Clock { ahead_ms, .. } => match ahead_ms.unsigned_abs() {
                ..=CLOCK_LOOK_MS => Good,
                ahead if Duration::from_millis(ahead) <= skew_max() => Look,
                _ => Bad,
            },
            Self::Database { answered_in: Some(took), .. } => look_if(*took > DATABASE_SLOW),
            Self::Instances(InstancesFound::Shared { versions, .. }) => look_if(*versions > 1),
            Self::Disk { space: None, .. } | Self::Backup(BackupFound::Unseen) => Unknown,
            Self::Backup(BackupFound::Made { age, .. }) => look_if(*age > BACKUP_OLD || *age < BACKUP_AHEAD),
            Self::Disk { space: Some(space), .. } if space.free < DISK_BAD => Bad,
            Self::Disk { space: Some(space), data } => {
                look_if(space.free < DISK_MIN || space.free < data.saturating_mul(2))
            }
        }
    }
}

fn look_if(is_odd: bool) -> ReadyState {
    if is_odd { ReadyState::Look } else { ReadyState::Good }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

const fn skew_max() -> Duration {
    Duration::from_micros(frontrow_clock::SKEW_MAX.micros().unsigned_abs())
}

/// The checklist of a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// The concert.
    pub concert: Arc<Concert>,
    /// What a buyer can do with it.
    pub state: SaleState,
    /// When this was found.
    pub at: Time,
    /// The checks, each once: the sale's own first.
    pub checks: Vec<ReadyCheck>,
}

impl BoxOffice {
    /// What is ready for the sale of a concert, looked at now.
    ///
    /// # Errors
    /// [`Refusal::NotFound`](frontrow_domain::refusal::Refusal::NotFound); the store could not be read.
    pub async fn readiness(&self, id: ConcertId) -> Result<Readiness, ServiceError> {
        let concert = self.concert(id).await?;
        let hall = self.caches.seat_maps.overview(&*self.store, id).await?;
        let profile = self.caches.profiles.get(&*self.store, &[id]).await?.pop();
        let view = self.view(concert.room_id).await?;
        let (database, disk, backup) = tokio::join!(self.database_check(), self.disk_check(), self.backup_check());
        let (health, now) = (self.own_health(), self.now());
        let for_sale = hall.counts.available + hall.counts.held + hall.counts.sold;
        let missing = profile.map_or_else(Vec::new, |profile| missing(&profile.details, profile.poster.is_some()));
        let (instances, found) = self.instances_check(health.redis);
        let in_line = view.total_waiting() + view.offered() + view.active();
        let people = (hall.counts.available - in_line).max(0);
        let checks = vec![
            ReadyCheck::Opening(opening(&concert, now)),
            seats(&hall),
            ReadyCheck::Cap { cap: view.room().max_active, gate: view.room().gate, seats: for_sale },
            speed(view.room(), hall.counts.available, self.policy.active_limit),
            ReadyCheck::Message { message: view.room().message.clone() },
            ReadyCheck::Details { missing },
            sign_ins(self.passwords.a_minute(), instances, people, self.session_length),
            ReadyCheck::Clock { sharing: self.store.sharing(), now, ahead_ms: health.clock_ahead_ms },
            database,
            ReadyCheck::Instances(found),
            disk,
            ReadyCheck::Backup(backup),
        ];
        let state = SaleState::of(&concert, hall.counts, now);
        Ok(Readiness { concert: Arc::new(concert.seen_at(now)), state, at: now, checks })
    }

    async fn database_check(&self) -> ReadyCheck {
        let began = Instant::now();
        let answer = tokio::time::timeout(DATABASE_MAX, self.store.check_writable()).await;
        let answered_in = matches!(answer, Ok(Ok(()))).then(|| began.elapsed());
        ReadyCheck::Database { sharing: self.store.sharing(), answered_in }
    }

    async fn disk_check(&self) -> ReadyCheck {
        let Some(folder) = self.house.folders.data.clone() else { return ReadyCheck::Disk { space: None, data: 0 } };
        let data = tokio::task::spawn_blocking(move || bytes_in(&folder)).await.unwrap_or(0);
        self.read_disk().await;
        ReadyCheck::Disk { space: self.house.lock().disk, data }
    }

    async fn backup_check(&self) -> BackupFound {
        let Some(folder) = self.house.folders.backups.clone() else { return BackupFound::Unseen };
        let Ok(look) = Arc::clone(&self.house.backup_looks).try_acquire_owned() else { return BackupFound::Unreadable };
        let read = tokio::task::spawn_blocking(move || {
            let found = newest_in(&folder);
            drop(look);
            found
        });
        match tokio::time::timeout(BACKUPS_READ_MAX, read).await {
            Ok(Ok(Ok(Some(at)))) => BackupFound::Made { at, age: self.now().since(at) },
            Ok(Ok(Ok(None))) => BackupFound::Missing,
            _ => BackupFound::Unreadable,
        }
    }

    /// How many instances there are, and what was found of them.
    fn instances_check(&self, trouble: Option<RedisTrouble>) -> (i64, InstancesFound) {
        if self.peers.sharing() == Sharing::Alone {
            return (1, InstancesFound::Alone);
        }
        let seen = self.house.lock().instances();
        let is_there = |signs: SignsOfLife| seen.iter().filter(|one| one.signs == signs).count();
        let (present, silent) = (is_there(SignsOfLife::Present), is_there(SignsOfLife::Silent));
        let mut versions: Vec<_> = seen.iter().map(|one| one.version.as_str()).collect();
        versions.sort_unstable();
        versions.dedup();
        let versions = versions.len();
        let found = InstancesFound::Shared { present, silent, versions, trouble };
        (i64::try_from(present).unwrap_or(i64::MAX), found)
    }
}

fn opening(concert: &Concert, now: Time) -> OpeningFound {
    match concert.status_at(now) {
        ConcertStatus::Scheduled if now >= concert.closes_at => OpeningFound::NoSale,
        ConcertStatus::Scheduled if now >= concert.opens_at => OpeningFound::IsOpen { since: concert.opens_at },
        ConcertStatus::Scheduled => OpeningFound::Opens { at: concert.opens_at, within: concert.opens_at.since(now) },
        ConcertStatus::Closed | ConcertStatus::Postponed | ConcertStatus::Cancelled | ConcertStatus::Over => {
            OpeningFound::NoSale
        }
    }
}

fn seats(hall: &HallOverview) -> ReadyCheck {
    let free_of_charge = hall.grades.iter().filter(|grade| grade.lowest.get() == 0).map(|grade| grade.name.clone());
    ReadyCheck::Seats { seats: hall.counts, free_of_charge: free_of_charge.collect() }
}

fn speed(room: &Room, seats: i64, visit_max: Span) -> ReadyCheck {
    let minute = Span::from_secs(60).micros();
    let at_least = room
        .admit_per_minute
        .map(|rate| Span::from_micros(seats.saturating_mul(minute).checked_div(rate).unwrap_or(i64::MAX)));
    let by_cap = (room.max_active > 0).then(|| {
        let rounds = (seats + room.max_active - 1) / room.max_active;
        Span::from_micros(rounds.saturating_mul(visit_max.micros()))
    });
    let at_most = by_cap.map(|by_cap| at_least.map_or(by_cap, |at_least| by_cap.max(at_least)));
    ReadyCheck::Speed { rate: room.admit_per_minute, at_least, at_most }
}

fn sign_ins(a_minute: i64, instances: i64, people: i64, session: Span) -> ReadyCheck {
    let micros = people.saturating_mul(Span::from_secs(60).micros()).checked_div(a_minute.saturating_mul(instances));
    ReadyCheck::SignIns { a_minute, instances, people, takes: micros.map(Span::from_micros), session }
}

fn missing(details: &ConcertDetails, has_poster: bool) -> Vec<MissingDetail> {
    let all = [
        (has_poster, MissingDetail::Poster),
        (details.description.is_some(), MissingDetail::Description),
        (details.age_rating.is_some(), MissingDetail::AgeRating),
        (details.running_minutes.is_some(), MissingDetail::RunningTime),
        (details.organiser_contact.is_some(), MissingDetail::OrganiserContact),
    ];
    all.into_iter().filter(|(is_there, _)| !is_there).map(|(_, what)| what).collect()
}

/// The bytes of the files in a folder, without those in folders of it.
fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let files = entries.filter_map(|entry| entry.ok()?.metadata().ok()).filter(std::fs::Metadata::is_file);
    files.map(|file| file.len()).sum()
}

/// When the newest entry of a folder was last written, of the first [`BACKUPS_MAX`]; none if it has none. Hidden entries
/// and the one that a file system makes itself do not count.
fn newest_in(folder: &Path) -> io::Result<Option<Time>> {
    let written = std::fs::read_dir(folder)?.take(BACKUPS_MAX).filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") || name == "lost+found" {
            return None;
        }
        let at = entry.metadata().ok()?.modified().ok()?;
        let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(Time::from_micros(i64::try_from(since.as_micros()).ok()?))
    });
    Ok(written.max())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_bad_and_what_is_odd_is_to_be_looked_at() {
        use ReadyState::{Bad, Good, Look, Unknown};
        let gate = Gate::Open;
        let seats = |available, blocked| SeatCounts { available, held: 0, sold: 0, blocked };
        let disk = |free| ReadyCheck::Disk { space: Some(DiskSpace { free, total: 1 << 40 }), data: 3 << 30 };
        let clock = |ahead_ms| ReadyCheck::Clock { sharing: Sharing::Alone, now: Time::default(), ahead_ms };
        let backup = |age| ReadyCheck::Backup(BackupFound::Made { at: Time::default(), age: Span::from_secs(age) });
        let shared = |silent, versions, trouble| {
            ReadyCheck::Instances(InstancesFound::Shared { present: 2, silent, versions, trouble })
        };
        for (check, expected) in [
            (ReadyCheck::Opening(OpeningFound::NoSale), Bad),
            (ReadyCheck::Seats { seats: seats(0, 5), free_of_charge: vec![] }, Bad),
            (ReadyCheck::Seats { seats: seats(5, 0), free_of_charge: vec!["R".to_owned()] }, Look),
            (ReadyCheck::Cap { cap: 0, gate, seats: 5 }, Bad),
            (ReadyCheck::Cap { cap: 6, gate, seats: 5 }, Look),
            (ReadyCheck::Cap { cap: 5, gate, seats: 5 }, Good),
            (ReadyCheck::Cap { cap: 5, gate: Gate::Paused, seats: 5 }, Look),
            (clock(-1_000), Good),
            (clock(-1_001), Look),
            (clock(30_001), Bad),
            (ReadyCheck::Database { sharing: Sharing::Alone, answered_in: None }, Bad),
            (ReadyCheck::Database { sharing: Sharing::Alone, answered_in: Some(Duration::from_secs(1)) }, Look),
            (shared(0, 1, None), Good),
            (shared(1, 1, None), Bad),
            (shared(0, 2, None), Look),
            (shared(0, 1, Some(RedisTrouble::Full)), Bad),
            (disk(7 << 30), Good),
            (disk(5 << 30), Look),
            (disk(100 << 20), Bad),
            (ReadyCheck::Disk { space: None, data: 0 }, Unknown),
            (ReadyCheck::Backup(BackupFound::Unseen), Unknown),
            (ReadyCheck::Backup(BackupFound::Unreadable), Look),
            (ReadyCheck::Backup(BackupFound::Missing), Bad),
            (backup(86_400), Good),
            (backup(86_401), Look),
            (backup(-301), Look),
        ] {
            assert_eq!(check.state(), expected, "{check:?}");
        }
    }

    #[test]
    fn a_sale_takes_as_long_as_its_rate_and_no_longer_than_its_visits() {
        let visit = Span::from_secs(600);
        let of = |cap, rate| {
            let mut room = Room::new(frontrow_domain::id::RoomId::HOUSE, cap, Time::default());
            room.admit_per_minute = rate;
            let check = speed(&room, 1_000, visit);
            let ReadyCheck::Speed { at_least, at_most, .. } = check else { panic!("{check:?}") };
            let seconds = |span: Option<Span>| span.map(|span| span.millis() / 1_000);
            (seconds(at_least), seconds(at_most), check.state())
        };
        assert_eq!(of(100, None), (None, Some(6_000), ReadyState::Good));
        assert_eq!(of(300, None), (None, Some(4 * 600), ReadyState::Good));
        assert_eq!(of(1_000, Some(10)), (Some(6_000), Some(6_000), ReadyState::Look));
        assert_eq!(of(0, Some(10)), (Some(6_000), None, ReadyState::Bad));
        assert_eq!(of(5, Some(0)).0, Some(i64::MAX / 1_000_000), "never");
    }

    #[test]
    fn sign_ins_wait_for_each_other() {
        let takes = |a_minute, people| {
            let check = sign_ins(a_minute, 2, people, Span::from_secs(3_600));
            let ReadyCheck::SignIns { takes, .. } = check else { panic!("{check:?}") };
            (takes.map(|takes| takes.millis() / 1_000), check.state())
        };
        assert_eq!(takes(1_000, 10_000), (Some(300), ReadyState::Good));
        assert_eq!(takes(1_000, 10_100), (Some(303), ReadyState::Look));
        assert_eq!(takes(0, 1), (None, ReadyState::Look));
    }

    #[test]
    fn the_newest_file_of_a_folder_is_its_newest_backup() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(newest_in(folder.path()).unwrap(), None);
        for (name, seconds) in [("old.db", 1_000), ("new.db", 3_000), ("older.db", 500), (".hidden", 9_000)] {
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        }
        assert_eq!(newest_in(folder.path()).unwrap(), Some(Time::from_micros(3_000_000_000)));
        assert!(newest_in(&folder.path().join("none")).is_err());
    }
}
