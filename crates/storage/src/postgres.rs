//! The store in `PostgreSQL`: any number of instances share one database.

pub mod admin;
mod batch;
mod columns;
mod connect;
mod error;
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
mod tables;
mod tls;
mod transact;
mod unanswered_commit;

pub use connect::{Settings, Statements};

use crate::{
    Committed, ConcertFilter, ConcertPlace, DebtFilter, Decide, DoorLine, Instance, Instances, Line, Page,
    PaymentFilter, Remnant, ReservationFilter, SeatCounts, Sharing, Standing, Store, StoreError, TicketPlace,
    migrate::{self, Migration},
    postgres::{
        instances::Route,
        outage::Pulse,
        read_pool::{Late, Queries},
        transact::Transactor,
    },
};
use async_trait::async_trait;
use frontrow_clock::Clock;
use frontrow_domain::{
    command::Request,
    concert::Concert,
    id::{AuditId, ConcertId, DebtId, HistoryId, PaymentId, Position, ReservationId, RoomId, TokenId, UserId},
    outage::{Outage, Outages},
    payment::Payment,
    points::{Debt, Point, PointEntry},
    policy::Policy,
    queue::{Room, Token},
    reservation::Reservation,
    retention::Leftover,
    seat::Seat,
    time::Time,
    user::{Session, User},
    world::AuditEntry,
};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};
use uuid::Uuid;

/// Brings the tables of a database up to date.
///
/// # Errors
/// [`StoreError::Misfit`] if the database is newer than this program or belongs to another one;
/// [`StoreError::Unavailable`] if the server cannot be reached or another instance takes too long.
pub async fn migrate(settings: &Settings) -> Result<(), StoreError> {
    migrate_to(settings, migrate::POSTGRES).await
}

/// Migrates with `steps` in place of this version's own: tests run this version beside the schema of a later one.
///
/// # Errors
/// As for [`migrate()`].
pub async fn migrate_to(settings: &Settings, steps: &[Migration]) -> Result<(), StoreError> {
    settings.check()?;
    schema::migrate(&settings.reader_pool()?, steps).await
}

/// The clock that all instances share: the database's, or one that a test moves.
#[derive(Debug, Clone)]
struct Times {
    clock: Clock,
    /// A test's clock never runs backwards for a store.
    high_water: Arc<AtomicI64>,
}

impl Times {
    fn new(clock: Clock) -> Self {
        Self { clock: clock.steady(), high_water: Arc::new(AtomicI64::new(i64::MIN)) }
    }

    /// The test's time in microseconds; none if the database's clock decides.
    fn given(&self) -> Option<i64> {
        self.clock.is_manual().then(|| {
            let now = self.clock.now().micros();
            self.high_water.fetch_max(now, Ordering::SeqCst).max(now)
        })
    }
}

/// A box office in a `PostgreSQL` database that any number of instances share.
///
/// An answer returned to a client is on the server's disk, and on that of its synchronous standbys.
#[derive(Debug)]
pub struct PostgresStore {
    transactor: Transactor,
    reads: Queries,
    times: Times,
    office: Uuid,
    pulse: Pulse,
    instance: Option<Instance>,
    way: Route,
}

impl PostgresStore {
    /// Opens the box office and brings its schema up to date. A new one gets a house room with `house_max_active`
    /// active tokens; an existing one keeps its own. The database's clock decides, unless a test moves `clock`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the server cannot be reached, is not safe for a sale, or the settings cannot be
    /// used; [`StoreError::Misfit`] if the database is newer than this program or belongs to another one.
    pub async fn open(
        settings: &Settings,
        clock: Clock,
        policy: Policy,
        house_max_active: i64,
    ) -> Result<Self, StoreError> {
        settings.check()?;
        let times = Times::new(clock.clone());
        let reads = Queries::open(settings, times.clone())?;
        schema::check(reads.primary(), &clock).await?;
        schema::migrate(reads.primary(), migrate::POSTGRES).await?;
        let office = schema::seed(reads.primary(), reads.now().await?, house_max_active).await?;
        let transactor = Transactor::new(settings.lane_pool()?, settings.watch_pool()?, policy);
        let pulse = Pulse::new(reads.outages().await?, settings.resume_timeout);
        let way = match settings.statements {
            Statements::Named => Route::Direct,
            Statements::Unnamed => Route::Pooled,
        };
        Ok(Self { transactor, reads, times, office, pulse, instance: settings.instance, way })
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn transact(&self, batch: Arc<[Request]>, decide: Decide) -> Result<Committed, StoreError> {
        self.pulse.after(self.transactor.transact(&batch, decide, &self.pulse, || self.times.given()).await)
    }

    async fn now(&self) -> Result<Time, StoreError> {
        self.reads.now().await
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        self.pulse.after(self.transactor.check_writable(&self.pulse, self.times.given()).await)
    }

    async fn credentials(&self, email: &str) -> Result<Option<(User, String)>, StoreError> {
        self.reads.credentials(email).await
    }

    async fn session(&self, secret_hash: [u8; 32]) -> Result<Option<Session>, StoreError> {
        self.reads.session(secret_hash).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.reads.user(id).await
    }

    async fn users(&self, text: Option<&str>, page: Page<UserId>) -> Result<Vec<User>, StoreError> {
        self.reads.users(text, page).await
    }

    async fn rooms(&self) -> Result<Vec<Room>, StoreError> {
        self.reads.rooms().await
    }

    async fn some_rooms(&self, page: Page<RoomId>) -> Result<Vec<Room>, StoreError> {
        self.reads.some_rooms(page).await
    }

    async fn standings(&self) -> Result<Vec<Standing>, StoreError> {
        self.reads.standings().await
    }

    async fn busy_rooms(&self) -> Result<Vec<RoomId>, StoreError> {
        self.reads.busy_rooms().await
    }

    async fn token(&self, id: TokenId) -> Result<Option<Token>, StoreError> {
        self.reads.token(id).await
    }

    async fn live_tokens(&self, user: UserId) -> Result<Vec<Token>, StoreError> {
        self.reads.live_tokens(user).await
    }

    async fn waiting_tokens(&self, room: RoomId, page: Page<Position>) -> Result<Vec<Token>, StoreError> {
        self.reads.waiting_tokens(room, page).await
    }

    async fn unassigned_positions(
        &self,
        room: RoomId,
        after: Position,
        to: Position,
    ) -> Result<Vec<Position>, StoreError> {
        self.reads.unassigned_positions(room, after, to).await
    }

    async fn line(&self, room: RoomId) -> Result<Option<Line>, StoreError> {
        self.reads.line(room).await
    }

    async fn live_line(&self, room: RoomId) -> Result<Option<Line>, StoreError> {
        self.reads.live_line(room).await
    }

    async fn concerts(&self, filter: &ConcertFilter, page: Page<ConcertPlace>) -> Result<Vec<Concert>, StoreError> {
        self.reads.concerts(filter, page).await
    }

    async fn concert(&self, id: ConcertId) -> Result<Option<Concert>, StoreError> {
        self.reads.concert(id).await
    }

    async fn seats(&self, concert: ConcertId) -> Result<Vec<Seat>, StoreError> {
        self.reads.seats(concert).await
    }

    async fn changed_seats(&self, concert: ConcertId, since: Time) -> Result<(Vec<Seat>, Time), StoreError> {
        self.reads.changed_seats(concert, since).await
    }

    async fn seat_counts_of(&self, concerts: &[ConcertId]) -> Result<Vec<(ConcertId, SeatCounts)>, StoreError> {
        self.reads.seat_counts(concerts).await
    }

    async fn concerts_to_wind_up(&self, page: Page<ConcertId>) -> Result<Vec<Concert>, StoreError> {
        self.reads.concerts_to_wind_up(page).await
    }

    async fn remnants(&self, concert: &Concert, after: i32, limit: u32) -> Result<Vec<Remnant>, StoreError> {
        self.reads.remnants(concert, after, limit).await
    }

    async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>, StoreError> {
        self.reads.reservation(id).await
    }

    async fn reservations(
        &self,
        filter: &ReservationFilter,
        page: Page<ReservationId>,
    ) -> Result<Vec<Reservation>, StoreError> {
        self.reads.reservations(filter, page).await
    }

    async fn next_expiries(&self, until: Time, limit: u32) -> Result<Vec<(Time, ReservationId)>, StoreError> {
        let late = if self.has_unanswered_commits() { Late::Possible } else { Late::Never };
        self.reads.next_expiries(until, limit, late).await
    }

    async fn tickets(&self, reservations: &[ReservationId]) -> Result<Vec<TicketPlace>, StoreError> {
        self.reads.tickets(reservations).await
    }

    async fn door_list(&self, concert: ConcertId, after: i32, limit: u32) -> Result<Vec<DoorLine>, StoreError> {
        self.reads.door_list(concert, after, limit).await
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        self.reads.payment(id).await
    }

    async fn payments(&self, filter: &PaymentFilter, page: Page<PaymentId>) -> Result<Vec<Payment>, StoreError> {
        self.reads.payments(filter, page).await
    }

    async fn point(&self, user: UserId) -> Result<Option<Point>, StoreError> {
        self.reads.point(user).await
    }

    async fn history(&self, user: UserId, page: Page<HistoryId>) -> Result<Vec<PointEntry>, StoreError> {
        self.reads.history(user, page).await
    }

    async fn debt(&self, id: DebtId) -> Result<Option<Debt>, StoreError> {
        self.reads.debt(id).await
    }

    async fn debts(&self, filter: &DebtFilter, page: Page<DebtId>) -> Result<Vec<Debt>, StoreError> {
        self.reads.debts(filter, page).await
    }

    async fn audit(&self, page: Page<AuditId>) -> Result<Vec<AuditEntry>, StoreError> {
        self.reads.audit(page).await
    }

    fn sharing(&self) -> Sharing {
        Sharing::Shared
    }

    async fn instances(&self) -> Result<Option<Instances>, StoreError> {
        match self.instance {
            Some(own) => instances::look(self.reads.primary(), own, self.way).await.map(Some),
            None => Ok(None),
        }
    }

    async fn installation_id(&self) -> Result<Uuid, StoreError> {
        Ok(self.office)
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
