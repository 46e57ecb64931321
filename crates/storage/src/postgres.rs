//! The store in `PostgreSQL`: any number of instances share one database.

pub mod admin;
mod batch;
mod clock;
mod columns;
mod connect;
mod error;
mod instance_name;
mod instances;
pub mod keys;
mod load_plan;
mod loads;
mod maintenance;
mod outage;
mod pipeline;
mod read_pool;
mod saves;
mod schema;
mod search;
mod settings;
mod tables;
mod tls;
mod transact;
mod unanswered_commit;

pub use settings::{PostgresSettings, Statements};

use crate::{
    Committed, ConcertFilter, ConcertPlace, ConcertProfile, DebtFilter, Decide, DoorLine, EventCounts, EventFilter,
    Instance, Instances, Line, Page, PaymentFilter, Remnant, ReservationFilter, RoomSummary, RoomTally,
    SavedLineRecord, SeatCounts, Sharing, Store, StoreError, TicketPlace,
    filter::start_key,
    migrate::{self, Migration},
    postgres::{
        clock::Times,
        connect::{Params, Statement},
        instances::Route,
        outage::Pulse,
        read_pool::{ReadPool, Snapshot, read_all},
        tables::{
            account_link, audit_feed, audit_log, concert, concert_details, debt, draw, lane_guest, line_block,
            line_record, outbox, payment, point, point_history, poster,
            reservation::{self, Expiries, Late},
            room, seat, second_factor, session, token, user,
        },
        transact::Transactor,
    },
};
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
use std::sync::Arc;
use uuid::Uuid;

/// Brings the tables of a database up to date.
///
/// # Errors
/// [`StoreError::Misfit`] if the database is newer than this program or belongs to another one;
/// [`StoreError::Unavailable`] if the server cannot be reached or another instance takes too long.
pub async fn migrate(settings: &PostgresSettings) -> Result<(), StoreError> {
    migrate_to(settings, migrate::POSTGRES).await
}

/// Migrates with `steps` in place of this version's own: tests run this version beside the schema of a later one.
///
/// # Errors
/// As for [`migrate()`].
pub async fn migrate_to(settings: &PostgresSettings, steps: &[Migration]) -> Result<(), StoreError> {
    settings.check()?;
    schema::migrate(&settings.reader_pool()?, steps).await
}

/// A box office in a `PostgreSQL` database that any number of instances share.
///
/// An answer returned to a client is on the server's disk, and on that of its synchronous standbys.
#[derive(Debug)]
pub struct PostgresStore {
    transactor: Transactor,
    reads: ReadPool,
    times: Times,
    expiries: Expiries,
    installation_id: Uuid,
    pulse: Pulse,
    instance: Option<Instance>,
    route: Route,
}

impl PostgresStore {
    /// Opens the box office and brings its schema up to date. A new one gets a house room with `house_max_active`
    /// active tokens; an existing one keeps its own. The database's clock decides, unless a test moves `clock`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the server cannot be reached, is not safe for a sale, or the settings cannot be
    /// used; [`StoreError::Misfit`] if the database is newer than this program or belongs to another one.
    pub async fn open(
        settings: &PostgresSettings,
        clock: Clock,
        policy: Policy,
        house_max_active: i64,
    ) -> Result<Self, StoreError> {
        settings.check()?;
        let times = Times::new(clock.clone());
        let reads = ReadPool::open(settings)?;
        schema::check(reads.primary(), &clock).await?;
        schema::migrate(reads.primary(), migrate::POSTGRES).await?;
        let installation_id = schema::seed(reads.primary(), times.now(&reads).await?, house_max_active).await?;
        let transactor = Transactor::new(settings.lane_pool()?, settings.watch_pool()?, policy);
        let pulse = Pulse::new(outage::read_latest(reads.primary()).await?, settings.resume_timeout);
        let route = match settings.statements {
            Statements::Named => Route::Direct,
            Statements::Unnamed => Route::Pooled,
        };
        Ok(Self {
            transactor,
            reads,
            times,
            expiries: Expiries::default(),
            installation_id,
            pulse,
            instance: settings.instance,
            route,
        })
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn transact(&self, batch: Arc<[Request]>, decide: Decide) -> Result<Committed, StoreError> {
        self.pulse.after(self.transactor.transact(&batch, decide, &self.pulse, || self.times.given()).await)
    }

    async fn now(&self) -> Result<Time, StoreError> {
        self.times.now(&self.reads).await
    }

    async fn check_answers(&self) -> Result<(), StoreError> {
        self.transactor.check_answers().await
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.pulse.after(self.transactor.check_writable(&self.pulse, self.times.given()).await)
    }

    async fn credentials(&self, email: &str) -> Result<Option<(User, String)>, StoreError> {
        user::credentials(&self.reads, email).await
    }

    async fn session(&self, secret_hash: [u8; 32]) -> Result<Option<Session>, StoreError> {
        session::find(&self.reads, secret_hash).await
    }

    async fn sessions(&self, user: UserId, limit: u32) -> Result<Vec<Session>, StoreError> {
        session::of_user(&self.reads, user, limit).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        user::find(&self.reads, id).await
    }

    async fn account_link(&self, user: UserId, kind: LinkKind) -> Result<Option<AccountLink>, StoreError> {
        account_link::find(&self.reads, user, kind).await
    }

    async fn second_factor(&self, user: UserId) -> Result<Option<SecondFactor>, StoreError> {
        second_factor::find(&self.reads, user).await
    }

    async fn line_block(&self, user: UserId, room: RoomId) -> Result<Option<LineBlock>, StoreError> {
        line_block::find(&self.reads, user, room).await
    }

    async fn line_blocks(&self, room: RoomId, page: Page<UserId>) -> Result<Vec<LineBlock>, StoreError> {
        line_block::of_room(&self.reads, room, page).await
    }

    async fn line_blocks_of(&self, user: UserId, limit: u32) -> Result<Vec<LineBlock>, StoreError> {
        line_block::of_user(&self.reads, user, limit).await
    }

    async fn lanes_of_guest(&self, user: UserId, room: RoomId) -> Result<Vec<LaneGuest>, StoreError> {
        lane_guest::of_user(&self.reads, user, room).await
    }

    async fn lane_guests(&self, lane: RoomId, page: Page<UserId>) -> Result<Vec<LaneGuest>, StoreError> {
        lane_guest::of_lane(&self.reads, lane, page).await
    }

    async fn operators(&self) -> Result<OperatorPresence, StoreError> {
        user::operators(&self.reads).await
    }

    async fn users(&self, text: Option<&str>, page: Page<UserId>) -> Result<Vec<User>, StoreError> {
        user::page(&self.reads, text, page).await
    }

    async fn users_starting_with(&self, start: &str, limit: u32) -> Result<Vec<User>, StoreError> {
        user::starting_with(&self.reads, &start_key(start), limit).await
    }

    async fn rooms(&self) -> Result<Vec<Room>, StoreError> {
        room::all(&self.reads).await
    }

    async fn some_rooms(&self, page: Page<RoomId>) -> Result<Vec<Room>, StoreError> {
        room::page(&self.reads, page).await
    }

    async fn standings(&self) -> Result<Vec<RoomSummary>, StoreError> {
        room::standings(&self.reads, &self.times).await
    }

    async fn room_tally(&self, room: RoomId) -> Result<Option<RoomTally>, StoreError> {
        room::tally(&self.reads, room).await
    }

    async fn busy_rooms(&self) -> Result<Vec<RoomId>, StoreError> {
        room::busy(&self.reads).await
    }

    async fn token(&self, id: TokenId) -> Result<Option<Token>, StoreError> {
        token::find(&self.reads, id).await
    }

    async fn live_tokens(&self, user: UserId) -> Result<Vec<Token>, StoreError> {
        token::live_of_user(&self.reads, user).await
    }

    async fn waiting_tokens(&self, room: RoomId, page: Page<Position>) -> Result<Vec<Token>, StoreError> {
        token::page_of_waiting(&self.reads, room, page).await
    }

    async fn unassigned_positions(
        &self,
        room: RoomId,
        after: Position,
        to: Position,
    ) -> Result<Vec<Position>, StoreError> {
        token::unassigned_positions(&self.reads, room, after, to).await
    }

    async fn tokens_up_to(&self, room: RoomId, to: Position, page: Page<Position>) -> Result<Vec<Token>, StoreError> {
        token::page_up_to(&self.reads, room, to, page).await
    }

    async fn draw(&self, room: RoomId) -> Result<Option<Draw>, StoreError> {
        draw::find(&self.reads, room).await
    }

    async fn line(&self, room: RoomId) -> Result<Option<Line>, StoreError> {
        token::line(&self.reads, &self.times, room).await
    }

    async fn live_line(&self, room: RoomId) -> Result<Option<Line>, StoreError> {
        token::live_line(&self.reads, &self.times, room).await
    }

    async fn concerts(&self, filter: &ConcertFilter, page: Page<ConcertPlace>) -> Result<Vec<Concert>, StoreError> {
        concert::page(&self.reads, filter, page).await
    }

    async fn concert(&self, id: ConcertId) -> Result<Option<Concert>, StoreError> {
        concert::find(&self.reads, id).await
    }

    async fn profiles(&self, concerts: &[ConcertId]) -> Result<Vec<ConcertProfile>, StoreError> {
        let ids: Vec<i64> = concerts.iter().map(|id| id.get()).collect();
        let keys: [(&Statement, Params<'_>); 3] =
            [(&concert_details::OF_CONCERTS, &[&ids]), (&poster::MARKS, &[&ids]), (&seat::GRADES, &[&ids])];
        let mut results = self.reads.lists(&keys, Snapshot::Each).await?.into_iter();
        let details = read_all(&results.next().unwrap_or_default(), concert_details::read)?;
        let posters = read_all(&results.next().unwrap_or_default(), poster::read_mark)?;
        let grades = read_all(&results.next().unwrap_or_default(), seat::read_grade)?;
        Ok(ConcertProfile::of(concerts, details, posters, grades))
    }

    async fn poster(&self, concert: ConcertId) -> Result<Option<Poster>, StoreError> {
        poster::find(&self.reads, concert).await
    }

    async fn seats(&self, concert: ConcertId) -> Result<Vec<Seat>, StoreError> {
        seat::of_concert(&self.reads, concert).await
    }

    async fn changed_seats(&self, concert: ConcertId, since: Time) -> Result<(Vec<Seat>, Time), StoreError> {
        seat::changed(&self.reads, &self.times, concert, since).await
    }

    async fn seat_at(&self, concert: ConcertId, seat_number: i32) -> Result<Option<Seat>, StoreError> {
        seat::at(&self.reads, concert, seat_number).await
    }

    async fn seat_counts_of(&self, concerts: &[ConcertId]) -> Result<Vec<(ConcertId, SeatCounts)>, StoreError> {
        seat::counts(&self.reads, concerts).await
    }

    async fn concerts_to_wind_up(&self, page: Page<ConcertId>) -> Result<Vec<Concert>, StoreError> {
        concert::to_wind_up(&self.reads, page).await
    }

    async fn remnants(&self, concert: &Concert, after: i32, limit: u32) -> Result<Vec<Remnant>, StoreError> {
        seat::remnants(&self.reads, concert, after, limit).await
    }

    async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>, StoreError> {
        reservation::find(&self.reads, id).await
    }

    async fn reservations(
        &self,
        filter: &ReservationFilter,
        page: Page<ReservationId>,
    ) -> Result<Vec<Reservation>, StoreError> {
        reservation::page(&self.reads, &self.expiries, &self.times, filter, page).await
    }

    async fn next_expiries(&self, until: Time, limit: u32) -> Result<Vec<(Time, ReservationId)>, StoreError> {
        let late = if self.has_unanswered_commits() { Late::Possible } else { Late::Never };
        self.expiries.next(&self.reads, &self.times, until, limit, late).await
    }

    async fn tickets(&self, reservations: &[ReservationId]) -> Result<Vec<TicketPlace>, StoreError> {
        reservation::tickets(&self.reads, reservations).await
    }

    async fn door_list(&self, concert: ConcertId, after: i32, limit: u32) -> Result<Vec<DoorLine>, StoreError> {
        reservation::door_list(&self.reads, concert, after, limit).await
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        payment::find(&self.reads, id).await
    }

    async fn payments(&self, filter: &PaymentFilter, page: Page<PaymentId>) -> Result<Vec<Payment>, StoreError> {
        payment::page(&self.reads, filter, page).await
    }

    async fn point(&self, user: UserId) -> Result<Option<Point>, StoreError> {
        point::find(&self.reads, user).await
    }

    async fn history(&self, user: UserId, page: Page<HistoryId>) -> Result<Vec<PointEntry>, StoreError> {
        point_history::page(&self.reads, user, page).await
    }

    async fn bookings_of_reference(&self, reference: &str, limit: u32) -> Result<Vec<PointEntry>, StoreError> {
        point_history::bookings_of_reference(&self.reads, reference, limit).await
    }

    async fn entries_of(&self, payment: PaymentId) -> Result<Vec<PointEntry>, StoreError> {
        point_history::of_payment(&self.reads, payment).await
    }

    async fn debt(&self, id: DebtId) -> Result<Option<Debt>, StoreError> {
        debt::find(&self.reads, id).await
    }

    async fn debts_of_reference(&self, reference: &str, limit: u32) -> Result<Vec<Debt>, StoreError> {
        debt::debts_of_reference(&self.reads, reference, limit).await
    }

    async fn debts(&self, filter: &DebtFilter, page: Page<DebtId>) -> Result<Vec<Debt>, StoreError> {
        debt::page(&self.reads, filter, page).await
    }

    async fn audit(&self, page: Page<AuditId>) -> Result<Vec<AuditEntry>, StoreError> {
        audit_log::page(&self.reads, page).await
    }

    async fn audit_of(&self, object: &str, page: Page<AuditId>) -> Result<Vec<AuditEntry>, StoreError> {
        audit_log::page_of(&self.reads, object, page).await
    }

    async fn audit_feed(&self, page: Page<FeedNumber>) -> Result<Vec<(FeedNumber, AuditEntry)>, StoreError> {
        audit_feed::page(&self.reads, page).await
    }

    async fn outbox(&self, filter: EventFilter, page: Page<EventId>) -> Result<Vec<OutboxEvent>, StoreError> {
        outbox::page(&self.reads, filter, page).await
    }

    async fn first_event_due_at(&self, consumer: Consumer) -> Result<Option<Time>, StoreError> {
        outbox::first_due_at(&self.reads, consumer).await
    }

    async fn event_counts(&self, consumer: Consumer) -> Result<EventCounts, StoreError> {
        outbox::counts(&self.reads, consumer).await
    }

    fn sharing(&self) -> Sharing {
        Sharing::Shared
    }

    async fn instances(&self) -> Result<Option<Instances>, StoreError> {
        match self.instance {
            Some(own) => instances::list(self.reads.primary(), own, self.route).await.map(Some),
            None => Ok(None),
        }
    }

    async fn installation_id(&self) -> Result<Uuid, StoreError> {
        Ok(self.installation_id)
    }

    async fn line_record(&self, room: RoomId) -> Result<Option<SavedLineRecord>, StoreError> {
        line_record::find(&self.reads, room).await
    }

    async fn keep_line_records(&self, records: Vec<SavedLineRecord>) -> Result<(), StoreError> {
        line_record::keep(&self.reads, &records).await
    }

    async fn prune(&self, what: Leftover, before: Time, limit: u32) -> Result<u64, StoreError> {
        maintenance::prune(self.reads.primary(), what, before, limit).await
    }

    async fn resume(&self) -> Result<Option<Outage>, StoreError> {
        self.transactor.resume(&self.pulse, self.times.given()).await
    }

    fn outages(&self) -> Outages {
        self.pulse.outages()
    }

    fn has_unanswered_commits(&self) -> bool {
        self.transactor.has_unanswered_commits()
    }

    async fn shutdown(&self) -> Result<(), StoreError> {
        self.transactor.close();
        self.reads.close();
        Ok(())
    }
}
