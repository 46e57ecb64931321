//! The store in one `SQLite` file: one connection writes, a few read.

mod batch;
mod columns;
mod error;
mod files;
mod outage;
mod prune;
mod read_pool;
mod schema;
mod tables;
mod writer;

use crate::{
    Committed, ConcertFilter, ConcertPlace, ConcertProfile, Damage, DebtFilter, Decide, DoorLine, EventCounts,
    EventFilter, Line, Page, PaymentFilter, Remnant, ReservationFilter, RoomSummary, RoomTally, SavedLineRecord,
    SeatCounts, Store, StoreError, TicketPlace,
    filter::start_key,
    lock,
    sqlite::{
        files::Files,
        read_pool::ReadPool,
        tables::{
            account_link, audit_feed, audit_log, clock, concert, concert_details, debt, draw, lane_guest, line_block,
            line_record, outbox, payment, point, point_history, poster, reservation, room, seat, second_factor,
            session, token, user,
        },
        writer::Writer,
    },
};
use anyhow::Context as _;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use frontrow_clock::Clock;
use frontrow_domain::{
    changes::AuditEntry,
    command::Request,
    id::{
        AuditId, ConcertId, DebtId, EventId, FeedNumber, HistoryId, PaymentId, Position, ReservationId, RoomId,
        TokenId, UserId,
    },
    line::{Draw, LaneGuest, LineBlock, Room, Token},
    outage::{Outage, Outages},
    outbox::{Consumer, OutboxEvent},
    points::{Debt, Point, PointEntry},
    policy::Policy,
    retention::Leftover,
    sale::{Concert, Payment, Poster, Reservation, Seat},
    time::Time,
    user::{AccountLink, LinkKind, OperatorPresence, SecondFactor, Session, User},
};
use rusqlite::Connection;
use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// How long a batch waits for another process that writes: the command line takes milliseconds.
const BUSY: Duration = Duration::from_secs(2);

/// A box office in one file.
///
/// Every commit flushes the write-ahead log to the disk (`synchronous=FULL`), so an answer survives a power cut.
pub struct SqliteStore {
    // Dropped before the writer: the last connection copies the log into the file, and a reader cannot.
    read_pool: Arc<ReadPool>,
    writer: Option<Arc<Mutex<Writer>>>,
    files: Arc<Files>,
    clock: Clock,
    high_water: Arc<AtomicI64>,
    outages: Arc<ArcSwap<Outages>>,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("readers", &self.read_pool).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Checks that a command may open the file at `database` beside a server: it must not migrate the schema under a
    /// running server.
    ///
    /// # Errors
    /// A server runs, and the schema is older than this program.
    pub fn check_beside(database: &Path) -> anyhow::Result<()> {
        if lock::is_served(database)? {
            Self::open_read_only(database).with_context(|| {
                format!("a server runs over {}: stop it to bring its database up to date", database.display())
            })?;
        }
        Ok(())
    }

    /// Opens the box office at `path`; creates the file and brings its schema up to date. A new one gets a house room
    /// with `house_max_active` active tokens; an existing one keeps its own.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the file is damaged, [`StoreError::Misfit`] if it belongs to another program or is
    /// newer than this one; [`StoreError::Unavailable`] if it cannot be opened or written.
    pub fn open(path: &Path, clock: Clock, policy: Policy, house_max_active: i64) -> Result<Self, StoreError> {
        let (clock, high_water) = (clock.steady(), Arc::new(AtomicI64::new(i64::MIN)));
        let writer =
            Writer::open(path.to_owned(), BUSY, clock.clone(), policy, house_max_active, Arc::clone(&high_water))?;
        let files = Arc::clone(writer.files());
        let read_pool = Arc::new(ReadPool::open(path.to_owned(), BUSY, Arc::clone(&files))?);
        let outages = writer.outages();
        Ok(Self { writer: Some(Arc::new(Mutex::new(writer))), read_pool, files, clock, high_water, outages })
    }

    /// Opens the box office at `path` for reading; writes are refused.
    ///
    /// # Errors
    /// As [`SqliteStore::open`]; also [`StoreError::Misfit`] if the schema is older than this program.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let conn = schema::open_reader(path, BUSY)?;
        schema::check_current(&conn)?;
        let high_water = clock::high_water(&conn).map_err(error::of_work)?;
        let files = Arc::new(Files::of(path));
        Ok(Self {
            writer: None,
            read_pool: Arc::new(ReadPool::open(path.to_owned(), BUSY, Arc::clone(&files))?),
            files,
            clock: Clock::System,
            high_water: Arc::new(AtomicI64::new(high_water.micros())),
            outages: Arc::default(),
        })
    }

    /// Sets how long a batch waits for another process that writes, before [`StoreError::Unavailable`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the store is read-only.
    pub fn set_busy_timeout(&self, busy: Duration) -> Result<(), StoreError> {
        self.with_writer(|writer| writer.set_busy_timeout(busy))
    }

    /// Limits the file to this number of 4 KiB pages, never below its present size; none removes the limit. Beyond it a
    /// batch is [`StoreError::Unavailable`], as on a full disk.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the store is read-only.
    pub fn set_size_limit(&self, pages: Option<u32>) -> Result<(), StoreError> {
        self.with_writer(|writer| writer.set_size_limit(pages))
    }

    /// Runs `work` with a read connection, on a thread that may block.
    ///
    /// # Errors
    /// The `SQLite` error as a [`StoreError`].
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read_pool.read(work).await
    }

    fn with_writer<T>(&self, work: impl FnOnce(&mut Writer) -> Result<T, StoreError>) -> Result<T, StoreError> {
        write_with(self.writer.as_deref(), work)
    }

    /// Runs `work` with the writer, on a thread that may block, since a batch may be using the writer.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let writer = self.writer.clone();
        tokio::task::spawn_blocking(move || write_with(writer.as_deref(), work))
            .await
            .map_err(|error| StoreError::Unavailable(error.to_string()))?
    }

    fn time(&self) -> Time {
        self.clock.now().max(Time::from_micros(self.high_water.load(Ordering::SeqCst)))
    }
}

fn write_with<T>(
    writer: Option<&Mutex<Writer>>,
    work: impl FnOnce(&mut Writer) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let writer = writer.ok_or_else(|| StoreError::Unavailable("the database was opened to read only".to_owned()))?;
    // A panic during a batch leaves an open transaction, which the next batch rolls back.
    work(&mut writer.lock().unwrap_or_else(PoisonError::into_inner))
}

#[async_trait]
impl Store for SqliteStore {
    async fn transact(&self, batch: Arc<[Request]>, decide: Decide) -> Result<Committed, StoreError> {
        self.with_writer(|writer| writer.transact(&batch, decide))
    }

    async fn now(&self) -> Result<Time, StoreError> {
        Ok(self.time())
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.write(Writer::check_writable).await?;
        // A commit reads few pages: it does not show whether the rest can be read.
        let read_pool = Arc::clone(&self.read_pool);
        let probed = tokio::task::spawn_blocking(move || read_pool.probe()).await;
        probed.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        self.files.check()?;
        Ok(())
    }

    async fn note_works(&self) -> Result<(), StoreError> {
        self.write(Writer::check_writable).await
    }

    fn damage(&self) -> Option<Damage> {
        self.files.damage()
    }

    fn corrupt_reads(&self) -> u64 {
        self.files.corrupt_reads()
    }

    async fn credentials(&self, email: &str) -> Result<Option<(User, String)>, StoreError> {
        let email = email.to_owned();
        self.read(move |conn| user::credentials(conn, &email)).await
    }

    async fn session(&self, secret_hash: [u8; 32]) -> Result<Option<Session>, StoreError> {
        self.read(move |conn| session::find(conn, secret_hash)).await
    }

    async fn sessions(&self, user: UserId, limit: u32) -> Result<Vec<Session>, StoreError> {
        self.read(move |conn| session::of_user(conn, user, limit)).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.read(move |conn| user::find(conn, id)).await
    }

    async fn account_link(&self, user: UserId, kind: LinkKind) -> Result<Option<AccountLink>, StoreError> {
        self.read(move |conn| account_link::find(conn, user, kind)).await
    }

    async fn second_factor(&self, user: UserId) -> Result<Option<SecondFactor>, StoreError> {
        self.read(move |conn| second_factor::find(conn, user)).await
    }

    async fn line_block(&self, user: UserId, room: RoomId) -> Result<Option<LineBlock>, StoreError> {
        self.read(move |conn| line_block::find(conn, user, room)).await
    }

    async fn line_blocks(&self, room: RoomId, page: Page<UserId>) -> Result<Vec<LineBlock>, StoreError> {
        self.read(move |conn| line_block::of_room(conn, room, page)).await
    }

    async fn line_blocks_of(&self, user: UserId, limit: u32) -> Result<Vec<LineBlock>, StoreError> {
        self.read(move |conn| line_block::of_user(conn, user, limit)).await
    }

    async fn lanes_of_guest(&self, user: UserId, room: RoomId) -> Result<Vec<LaneGuest>, StoreError> {
        self.read(move |conn| lane_guest::of_user(conn, user, room)).await
    }

    async fn lane_guests(&self, lane: RoomId, page: Page<UserId>) -> Result<Vec<LaneGuest>, StoreError> {
        self.read(move |conn| lane_guest::of_lane(conn, lane, page)).await
    }

    async fn operators(&self) -> Result<OperatorPresence, StoreError> {
        self.read(user::operators).await
    }

    async fn users(&self, text: Option<&str>, page: Page<UserId>) -> Result<Vec<User>, StoreError> {
        let text = text.map(str::to_owned);
        self.read(move |conn| user::page(conn, text.as_deref(), page)).await
    }

    async fn users_starting_with(&self, start: &str, limit: u32) -> Result<Vec<User>, StoreError> {
        let start = start_key(start);
        self.read(move |conn| user::starting_with(conn, &start, limit)).await
    }

    async fn rooms(&self) -> Result<Vec<Room>, StoreError> {
        self.read(room::all).await
    }

    async fn some_rooms(&self, page: Page<RoomId>) -> Result<Vec<Room>, StoreError> {
        self.read(move |conn| room::page(conn, page)).await
    }

    async fn standings(&self) -> Result<Vec<RoomSummary>, StoreError> {
        let clock = self.clock.clone();
        self.read(move |conn| room::standings(conn, || clock.now())).await
    }

    async fn room_tally(&self, room: RoomId) -> Result<Option<RoomTally>, StoreError> {
        self.read(move |conn| room::tally(conn, room)).await
    }

    async fn token(&self, id: TokenId) -> Result<Option<Token>, StoreError> {
        self.read(move |conn| token::find(conn, id)).await
    }

    async fn live_tokens(&self, user: UserId) -> Result<Vec<Token>, StoreError> {
        self.read(move |conn| token::live_of_user(conn, user)).await
    }

    async fn waiting_tokens(&self, room: RoomId, page: Page<Position>) -> Result<Vec<Token>, StoreError> {
        self.read(move |conn| token::page_of_waiting(conn, room, page)).await
    }

    async fn unassigned_positions(
        &self,
        room: RoomId,
        after: Position,
        to: Position,
    ) -> Result<Vec<Position>, StoreError> {
        self.read(move |conn| token::unassigned_positions(conn, room, after, to)).await
    }

    async fn tokens_up_to(&self, room: RoomId, to: Position, page: Page<Position>) -> Result<Vec<Token>, StoreError> {
        self.read(move |conn| token::page_up_to(conn, room, to, page)).await
    }

    async fn draw(&self, room: RoomId) -> Result<Option<Draw>, StoreError> {
        self.read(move |conn| draw::find(conn, room)).await
    }

    async fn line(&self, room: RoomId) -> Result<Option<Line>, StoreError> {
        let clock = self.clock.clone();
        self.read(move |conn| token::line(conn, room, || clock.now())).await
    }

    async fn concerts(&self, filter: &ConcertFilter, page: Page<ConcertPlace>) -> Result<Vec<Concert>, StoreError> {
        let filter = filter.clone();
        self.read(move |conn| concert::page(conn, &filter, page)).await
    }

    async fn concert(&self, id: ConcertId) -> Result<Option<Concert>, StoreError> {
        self.read(move |conn| concert::find(conn, id)).await
    }

    async fn profiles(&self, concerts: &[ConcertId]) -> Result<Vec<ConcertProfile>, StoreError> {
        let concerts = concerts.to_vec();
        self.read(move |conn| {
            let (mut details, mut posters, mut grades) = (Vec::new(), Vec::new(), Vec::new());
            for id in &concerts {
                details.extend(concert_details::find(conn, *id)?);
                posters.extend(poster::mark(conn, *id)?.map(|mark| (*id, mark)));
                grades.extend(seat::grades(conn, *id)?.into_iter().map(|prices| (*id, prices)));
            }
            Ok(ConcertProfile::of(&concerts, details, posters, grades))
        })
        .await
    }

    async fn poster(&self, concert: ConcertId) -> Result<Option<Poster>, StoreError> {
        self.read(move |conn| poster::find(conn, concert)).await
    }

    async fn seats(&self, concert: ConcertId) -> Result<Vec<Seat>, StoreError> {
        self.read(move |conn| seat::of_concert(conn, concert)).await
    }

    async fn seat_at(&self, concert: ConcertId, seat_number: i32) -> Result<Option<Seat>, StoreError> {
        self.read(move |conn| seat::at(conn, concert, seat_number)).await
    }

    async fn seat_counts_of(&self, concerts: &[ConcertId]) -> Result<Vec<(ConcertId, SeatCounts)>, StoreError> {
        let concerts = concerts.to_vec();
        self.read(move |conn| seat::counts(conn, &concerts)).await
    }

    async fn concerts_to_wind_up(&self, page: Page<ConcertId>) -> Result<Vec<Concert>, StoreError> {
        self.read(move |conn| concert::to_wind_up(conn, page)).await
    }

    async fn remnants(&self, concert: &Concert, after: i32, limit: u32) -> Result<Vec<Remnant>, StoreError> {
        let (id, with_sold) = (concert.concert_id, concert.refund_all_at.is_some());
        self.read(move |conn| seat::remnants(conn, id, with_sold, after, limit)).await
    }

    async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>, StoreError> {
        self.read(move |conn| reservation::find(conn, id)).await
    }

    async fn reservations(
        &self,
        filter: &ReservationFilter,
        page: Page<ReservationId>,
    ) -> Result<Vec<Reservation>, StoreError> {
        let filter = *filter;
        self.read(move |conn| reservation::page(conn, &filter, page)).await
    }

    async fn next_expiries(&self, until: Time, limit: u32) -> Result<Vec<(Time, ReservationId)>, StoreError> {
        self.read(move |conn| reservation::next_expiries(conn, until, limit)).await
    }

    async fn tickets(&self, reservations: &[ReservationId]) -> Result<Vec<TicketPlace>, StoreError> {
        let reservations = reservations.to_vec();
        self.read(move |conn| reservation::tickets(conn, &reservations)).await
    }

    async fn door_list(&self, concert: ConcertId, after: i32, limit: u32) -> Result<Vec<DoorLine>, StoreError> {
        self.read(move |conn| reservation::door_list(conn, concert, after, limit)).await
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        self.read(move |conn| payment::find(conn, id)).await
    }

    async fn payments(&self, filter: &PaymentFilter, page: Page<PaymentId>) -> Result<Vec<Payment>, StoreError> {
        let filter = *filter;
        self.read(move |conn| payment::page(conn, &filter, page)).await
    }

    async fn point(&self, user: UserId) -> Result<Option<Point>, StoreError> {
        self.read(move |conn| point::find(conn, user)).await
    }

    async fn history(&self, user: UserId, page: Page<HistoryId>) -> Result<Vec<PointEntry>, StoreError> {
        self.read(move |conn| point_history::page(conn, user, page)).await
    }

    async fn bookings_of_reference(&self, reference: &str, limit: u32) -> Result<Vec<PointEntry>, StoreError> {
        let reference = reference.to_owned();
        self.read(move |conn| point_history::bookings_of_reference(conn, &reference, limit)).await
    }

    async fn entries_of(&self, payment: PaymentId) -> Result<Vec<PointEntry>, StoreError> {
        self.read(move |conn| point_history::of_payment(conn, payment)).await
    }

    async fn debt(&self, id: DebtId) -> Result<Option<Debt>, StoreError> {
        self.read(move |conn| debt::find(conn, id)).await
    }

    async fn debts_of_reference(&self, reference: &str, limit: u32) -> Result<Vec<Debt>, StoreError> {
        let reference = reference.to_owned();
        self.read(move |conn| debt::debts_of_reference(conn, &reference, limit)).await
    }

    async fn debts(&self, filter: &DebtFilter, page: Page<DebtId>) -> Result<Vec<Debt>, StoreError> {
        let filter = *filter;
        self.read(move |conn| debt::page(conn, &filter, page)).await
    }

    async fn audit(&self, page: Page<AuditId>) -> Result<Vec<AuditEntry>, StoreError> {
        self.read(move |conn| audit_log::page(conn, page)).await
    }

    async fn audit_of(&self, object: &str, page: Page<AuditId>) -> Result<Vec<AuditEntry>, StoreError> {
        let object = object.to_owned();
        self.read(move |conn| audit_log::page_of(conn, &object, page)).await
    }

    async fn audit_feed(&self, page: Page<FeedNumber>) -> Result<Vec<(FeedNumber, AuditEntry)>, StoreError> {
        self.read(move |conn| audit_feed::page(conn, page)).await
    }

    async fn outbox(&self, filter: EventFilter, page: Page<EventId>) -> Result<Vec<OutboxEvent>, StoreError> {
        self.read(move |conn| outbox::page(conn, filter, page)).await
    }

    async fn first_event_due_at(&self, consumer: Consumer) -> Result<Option<Time>, StoreError> {
        self.read(move |conn| outbox::first_due_at(conn, consumer)).await
    }

    async fn event_counts(&self, consumer: Consumer) -> Result<EventCounts, StoreError> {
        self.read(move |conn| outbox::counts(conn, consumer)).await
    }

    async fn changes_elsewhere(&self) -> Result<u64, StoreError> {
        self.write(Writer::changes_elsewhere).await
    }

    async fn line_record(&self, room: RoomId) -> Result<Option<SavedLineRecord>, StoreError> {
        self.read(move |conn| line_record::find(conn, room)).await
    }

    async fn keep_line_records(&self, records: Vec<SavedLineRecord>) -> Result<(), StoreError> {
        self.write(move |writer| writer.keep(&records)).await
    }

    async fn prune(&self, what: Leftover, before: Time, limit: u32) -> Result<u64, StoreError> {
        // A read connection finds the rows, so that the writer spends time on the removal only. They stay over
        // meanwhile.
        let old = self.read(move |conn| prune::find(conn, what, before, limit)).await?;
        if old.is_empty() {
            return Ok(0);
        }
        self.write(move |writer| writer.remove(&old)).await
    }

    async fn resume(&self) -> Result<Option<Outage>, StoreError> {
        self.write(Writer::resume).await
    }

    fn outages(&self) -> Outages {
        Outages::clone(&self.outages.load())
    }

    async fn shutdown(&self) -> Result<(), StoreError> {
        self.read_pool.close_idle();
        // So that the next start knows exactly how long the box office was closed.
        if let Err(error) = self.write(Writer::check_writable).await {
            tracing::warn!(%error, "shutdown time not saved: the next start counts the outage from the last note");
        }
        self.write(Writer::empty_log).await
    }
}

#[cfg(test)]
mod tests {
    use super::SqliteStore;
    use crate::lock::FolderLock;

    #[test]
    fn an_old_schema_is_not_touched_beside_a_server() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("frontrow.db");
        let old = rusqlite::Connection::open(&database).unwrap();
        old.pragma_update(None, "application_id", 0x4652_4f57).unwrap();
        drop(old);
        SqliteStore::check_beside(&database).unwrap();
        let _server = FolderLock::take(&database).unwrap();
        let said = format!("{:#}", SqliteStore::check_beside(&database).unwrap_err());
        assert!(said.contains("stop it to bring"), "{said}");
    }
}
