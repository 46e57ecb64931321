//! The only connection that writes.

#[cfg(test)]
mod plans;

use super::{
    batch,
    error::{self, Failure},
    files::{Files, Log},
    outage,
    prune::{self, Old},
    schema,
    tables::{clock, line_record, room, seat},
};
use crate::{
    Committed, Damage, Decide, SavedLineRecord, StoreError,
    noted::{Noted, outage_pending},
};
use arc_swap::ArcSwap;
use frontrow_clock::{Clock, JUMP_MIN};
use frontrow_domain::{
    command::Request,
    footprint::Footprint,
    id::{Position, RoomId},
    outage::{Outage, Outages},
    policy::Policy,
    time::Time,
    world::{NextIds, World},
};
use rusqlite::{Connection, Result, config::DbConfig};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// Decides and saves batches, one at a time.
pub(super) struct Writer {
    conn: Connection,
    files: Arc<Files>,
    path: PathBuf,
    busy: Duration,
    clock: Clock,
    policy: Policy,
    next_ids: NextIds,
    highest: BTreeMap<RoomId, Position>,
    high_water: Arc<AtomicI64>,
    /// `PRAGMA data_version`, which counts commits of other connections; none if the counters above must be read again.
    data_version: Option<i64>,
    /// The last `data_version` that `changes_elsewhere` saw, and how often it had changed.
    elsewhere: (Option<i64>, u64),
    /// Shared with the store, which reads it without the writer.
    outages: Arc<ArcSwap<Outages>>,
    purpose: WriterPurpose,
    /// The last note that the box office works; none in an administrative command.
    alive: Option<Noted>,
    /// When commits began to fail; none while they work, or once the box office has resumed.
    failed_at: Option<Time>,
    /// Whether the connection must be replaced.
    health: ConnectionHealth,
    /// In bytes; fixed when the file is created.
    page_size: u64,
}

/// The purpose of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriterPurpose {
    /// An administrative command: its commits do not show that the box office works.
    Admin,
    Serves,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionHealth {
    Sound,
    MustReopen,
}

impl Writer {
    pub(super) fn open(
        path: PathBuf,
        busy: Duration,
        clock: Clock,
        policy: Policy,
        house_max_active: i64,
        high_water: Arc<AtomicI64>,
    ) -> Result<Self, StoreError> {
        let mut conn = schema::open_writer(&path, busy)?;
        schema::prepare(&mut conn, clock.now(), house_max_active)?;
        let page_size = schema::page_size(&conn)?;
        let mut writer = Self {
            conn,
            files: Arc::new(Files::of(&path)),
            page_size,
            path,
            busy,
            clock,
            policy,
            next_ids: NextIds::default(),
            highest: BTreeMap::new(),
            high_water,
            data_version: None,
            elsewhere: (None, 0),
            outages: Arc::default(),
            purpose: WriterPurpose::Admin,
            alive: None,
            failed_at: None,
            health: ConnectionHealth::Sound,
        };
        writer.read_counters().map_err(error::of_work)?;
        writer.outages.store(Arc::new(outage::latest(&writer.conn).map_err(error::of_work)?));
        Ok(writer)
    }

    pub(super) fn files(&self) -> &Arc<Files> {
        &self.files
    }

    pub(super) fn outages(&self) -> Arc<ArcSwap<Outages>> {
        Arc::clone(&self.outages)
    }

    /// Lengthens what was live when the box office last worked, if that is long ago, and notes that it works now, in
    /// one transaction. A process that already serves counts from the first failure that it saw, or from before the
    /// silence that it noticed.
    pub(super) fn resume(&mut self) -> Result<Option<Outage>, StoreError> {
        let failed_at = self.failed_at;
        let outages = self.guarded(|writer| {
            let now = writer.begin()?;
            let alive_at = clock::alive_at(&writer.conn)?;
            let from = match writer.purpose {
                WriterPurpose::Admin => alive_at,
                WriterPurpose::Serves => failed_at.max(alive_at.filter(|_| failed_at.is_some())),
            };
            let outage = from.and_then(|from| Outage::between(from, now, &writer.policy));
            if let Some(outage) = &outage {
                outage::lengthen(&writer.conn, outage)?;
            }
            // Noted after the lengthening, so that the time it took does not count as another outage.
            let now = writer.now();
            clock::update(&writer.conn, now, Some(now))?;
            let outages = outage::latest(&writer.conn)?;
            writer.run("COMMIT").map_err(Failure::Commit)?;
            Ok(outages)
        })?;
        (self.purpose, self.failed_at) = (WriterPurpose::Serves, None);
        let worked = self.clock.worked();
        self.alive = Some(Noted::new(self.now(), worked));
        let newest = outages.iter().max_by_key(|outage| outage.to).copied();
        let before = self.outages.swap(Arc::new(outages));
        // An earlier commit whose outcome was unknown may have lengthened already.
        Ok(newest.filter(|newest| before.iter().all(|known| known != newest)))
    }

    /// The note that a commit at `now` takes; none for an administrative command, or between a failure and the resume.
    fn alive_at(&self, now: Time) -> Option<Time> {
        (self.purpose == WriterPurpose::Serves && self.failed_at.is_none()).then_some(now)
    }

    pub(super) fn set_busy_timeout(&mut self, busy: Duration) -> Result<(), StoreError> {
        self.busy = busy;
        self.conn.busy_timeout(busy).map_err(error::of_work)
    }

    pub(super) fn set_size_limit(&mut self, pages: Option<u32>) -> Result<(), StoreError> {
        // SQLite answers with the limit that it set: never below the file's size, at most its own maximum.
        let pages = pages.unwrap_or(u32::MAX - 1);
        self.conn
            .query_row(&format!("PRAGMA max_page_count = {pages}"), (), |row| row.get::<_, i64>(0))
            .map(|_| ())
            .map_err(error::of_work)
    }

    /// Loads, decides, saves and commits a batch.
    pub(super) fn transact(&mut self, batch: &[Request], decide: Decide) -> Result<Committed, StoreError> {
        let result = self.guarded(|writer| {
            let begun = writer.begin_to_decide()?;
            let mut world = World::new(begun.at(), writer.policy, writer.next_ids.clone());
            world.outages = Outages::clone(&writer.outages.load());
            let active = batch::load(&writer.conn, &mut world, &Footprint::of(batch), &writer.highest)?;
            let answers = decide(&mut world, batch);
            let changes = world.into_changes();
            if changes.is_empty() {
                writer.run("ROLLBACK")?;
                return Ok(Committed { answers, changes });
            }
            batch::save(&writer.conn, &changes, &writer.highest, &active)?;
            if changes.next_ids.seat != writer.next_ids.seat {
                seat::save_ids(&writer.conn, &changes.next_ids.seat)?;
            }
            writer.commit(begun)?;
            writer.next_ids.clone_from(&changes.next_ids);
            writer.highest.extend(&changes.highest);
            Ok(Committed { answers, changes })
        });
        self.noted(result)
    }

    /// Commits the clock: only a real commit shows a full disk or a locked file.
    pub(super) fn check_writable(&mut self) -> Result<(), StoreError> {
        let result = self.guarded(|writer| {
            let begun = writer.begin_to_decide()?;
            writer.commit(begun)
        });
        self.noted(result)
    }

    /// Commits a decided batch and the note that the box office works.
    fn commit(&mut self, begun: Noted) -> Result<(), Failure> {
        let alive_at = self.alive_at(begun.at());
        clock::update(&self.conn, begun.at(), alive_at)?;
        self.run("COMMIT").map_err(Failure::Commit)?;
        if alive_at.is_some() {
            self.alive = Some(begun);
        }
        Ok(())
    }

    /// Notes when commits began to fail. Only for failures that the engine sees: it then resumes the box office.
    fn noted<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result
            && !matches!(error, StoreError::Conflict(_) | StoreError::Contended(_))
        {
            self.failed_at.get_or_insert(self.clock.now());
        }
        result
    }

    /// Removes old rows.
    pub(super) fn remove(&mut self, old: &Old) -> Result<u64, StoreError> {
        self.guarded(|writer| {
            writer.begin()?;
            let removed = prune::remove(&writer.conn, old)?;
            writer.run("COMMIT").map_err(Failure::Commit)?;
            Ok(u64::try_from(removed).unwrap_or(u64::MAX))
        })
    }

    /// Keeps what was measured in lines.
    pub(super) fn keep(&mut self, records: &[SavedLineRecord]) -> Result<(), StoreError> {
        self.guarded(|writer| {
            writer.begin()?;
            line_record::keep(&writer.conn, records)?;
            writer.run("COMMIT").map_err(Failure::Commit)
        })
    }

    /// Copies the whole log into the file and empties it, so that the file alone is the database.
    pub(super) fn empty_log(&mut self) -> Result<(), StoreError> {
        self.guarded(|writer| {
            let busy: bool = writer.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))?;
            if busy {
                let text = "another program reads the database".to_owned();
                return Err(Failure::Other(StoreError::Unavailable(text)));
            }
            Ok(())
        })
    }

    /// Runs `work`; if it fails, rolls back, so that the next batch starts clean.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, StoreError> {
        let log = self.files.check()?;
        if !self.conn.is_autocommit() && self.conn.execute_batch("ROLLBACK").is_err() {
            self.health = ConnectionHealth::MustReopen;
        }
        if self.health == ConnectionHealth::MustReopen {
            self.reopen()?;
        }
        let checked = if log == Log::Shorter { self.check_log() } else { Ok(()) };
        let result = checked.and_then(|()| work(self));
        result.map_err(|failure| {
            self.data_version = None;
            if failure.is_damage() {
                self.files.condemn(Damage::Corrupt);
            }
            let rolled_back = self.conn.is_autocommit() || self.conn.execute_batch("ROLLBACK").is_ok();
            if !rolled_back || failure.invalidates_connection() {
                self.health = ConnectionHealth::MustReopen;
            }
            failure.into()
        })
    }

    /// Opens the same file again. Fails while the file is read-only.
    fn reopen(&mut self) -> Result<(), StoreError> {
        let opened = schema::reopen_writer(&self.path, self.busy);
        let conn = opened.inspect_err(|error| {
            if matches!(error, StoreError::Corrupt(_)) {
                self.files.condemn(Damage::Corrupt);
            }
        })?;
        self.files.check()?;
        self.conn = conn;
        self.data_version = None;
        self.health = ConnectionHealth::Sound;
        Ok(())
    }

    /// Whether the log holds all that it should. `SQLite` would append to a log that was cut short.
    fn check_log(&self) -> Result<(), Failure> {
        let pages = self.pages_in_log()?;
        // Counted again: another program may have emptied the log in order, so that none of its pages are needed.
        if !self.files.holds(pages, self.page_size) {
            let pages = pages.min(self.pages_in_log()?);
            if !self.files.holds(pages, self.page_size) {
                return Err(self.files.condemn(Damage::LogLost).into());
            }
        }
        Ok(())
    }

    /// The number of log pages that the connections expect.
    fn pages_in_log(&self) -> Result<u64> {
        // NOOP copies nothing. -1 means that the file has no log.
        let pages: i64 = self.conn.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?.query_row((), |row| row.get(1))?;
        Ok(u64::try_from(pages).unwrap_or(0))
    }

    /// Takes the write lock before it reads the clock.
    fn begin(&mut self) -> Result<Time> {
        self.run("BEGIN IMMEDIATE")?;
        let version = self.read_data_version()?;
        if self.data_version != Some(version) {
            self.read_counters()?;
            self.data_version = Some(version);
        }
        Ok(self.now())
    }

    /// The same for a batch; fails after a silence that is an outage, so that the deadlines of that time are lengthened
    /// before it is decided.
    fn begin_to_decide(&mut self) -> Result<Noted, Failure> {
        let worked = self.clock.worked();
        let now = self.begin()?;
        if self.failed_at.is_none() {
            self.failed_at = self.alive.and_then(|alive| alive.silent_since(now, &self.clock));
            if self.failed_at.is_some() {
                return Err(Failure::Other(outage_pending()));
            }
        }
        Ok(Noted::new(now, worked))
    }

    /// The current time; it never goes back.
    fn now(&self) -> Time {
        let now = self.clock.now().micros();
        let before = self.high_water.fetch_max(now, Ordering::SeqCst);
        Time::from_micros(now.max(before))
    }

    fn read_data_version(&self) -> Result<i64> {
        self.conn.prepare_cached("PRAGMA data_version")?.query_row((), |row| row.get(0))
    }

    /// A number that has changed if another process changed the file since the last call; it also changes when the
    /// connection was opened again.
    pub(super) fn changes_elsewhere(&mut self) -> Result<u64, StoreError> {
        let version = self.read_data_version().map_err(error::of_work)?;
        let (seen, count) = self.elsewhere;
        if seen != Some(version) {
            self.elsewhere = (Some(version), count.saturating_add(1));
        }
        Ok(self.elsewhere.1)
    }

    fn run(&self, sql: &str) -> Result<()> {
        self.conn.prepare_cached(sql)?.execute(()).map(|_| ())
    }

    fn read_counters(&mut self) -> Result<()> {
        let conn = &self.conn;
        self.next_ids = batch::next_ids(conn)?;
        let mark = clock::high_water(conn)?;
        let ahead = mark.since(self.clock.now());
        // While this process serves, it ignores a far later time of another process, as it does a jump of the machine's
        // clock.
        if self.purpose == WriterPurpose::Serves && ahead > JUMP_MIN {
            let seconds = ahead.millis() / 1_000;
            tracing::warn!(seconds, "another program wrote with a clock that is ahead: its time is ignored");
        } else {
            self.high_water.fetch_max(mark.micros(), Ordering::SeqCst);
            self.clock.raise_to(mark);
        }
        self.highest = room::highest_positions(conn)?;
        Ok(())
    }
}

impl Drop for Writer {
    /// The last connection to close copies the log into the file. A damaged log would corrupt the file too, and the old
    /// name may belong to the files of another database by now.
    fn drop(&mut self) {
        if self.files.damage().is_some()
            && let Err(error) = self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        {
            tracing::warn!(%error, "cannot keep the log of a damaged database apart: closing copies it into the file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use frontrow_domain::{
        command::Command,
        decide::decide_all,
        id::UserId,
        user::{Caller, NewUser, Role},
    };
    use rusqlite::OpenFlags;
    use std::path::Path;

    fn writer(path: &Path) -> Writer {
        let clock = Clock::manual(Time::from_micros(1_800_000_000_000_000));
        let high_water = Arc::new(AtomicI64::new(i64::MIN));
        Writer::open(path.to_owned(), Duration::from_secs(1), clock, Policy::default(), 1, high_water).unwrap()
    }

    fn register(number: u128) -> [Request; 1] {
        let user = NewUser {
            user_id: UserId(uuid::Uuid::from_u128(number)),
            name: "Kim Minji".to_owned(),
            email: format!("{number}@example.com"),
            password_hash: String::new(),
            role: Role::Buyer,
        };
        [Request { caller: Caller::Anonymous, command: Command::Register(user), idempotency: None }]
    }

    #[test]
    fn a_connection_that_can_only_read_is_replaced_as_soon_as_the_file_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frontrow.db");
        let mut writer = writer(&path);
        // The mode of a connection to a read-only file; opened before the other connection closes.
        let reader = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        reader.query_row("SELECT high_water FROM clock", (), |_| Ok(())).unwrap();
        writer.conn = reader;
        let refused = writer.transact(&register(1), decide_all);
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert!(writer.transact(&register(1), decide_all).unwrap().answers[0].decision.is_ok());
        assert_eq!(writer.files.damage(), None);
    }

    #[test]
    fn a_file_that_was_replaced_is_not_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frontrow.db");
        let mut writer = writer(&path);
        std::fs::rename(&path, folder.path().join("elsewhere.db")).unwrap();
        writer.health = ConnectionHealth::MustReopen;
        let refused = writer.transact(&register(1), decide_all);
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert!(!path.exists(), "no new box office is made under the old name");
    }
}
