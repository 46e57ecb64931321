//! The port to the database: loads rows, saves rows and reads the clock. It contains no business rules.

#![warn(missing_docs)]

pub mod check;
mod columns;
mod enum_text;
mod filter;
pub mod lock;
pub mod memory;
pub mod migrate;
mod noted;
pub mod postgres;
pub mod sqlite;
pub mod sqlite_to_postgres;
pub mod trouble;

use async_trait::async_trait;
use frontrow_domain::{
    command::{Answer, Request},
    concert::{Concert, ConcertStatus},
    id::{AuditId, ConcertId, DebtId, HistoryId, PaymentId, Position, ReservationId, RoomId, SeatId, TokenId, UserId},
    outage::{Outage, Outages},
    payment::{Payment, PaymentStatus},
    points::{Debt, DebtStatus, Point, PointEntry},
    queue::{Room, Token},
    reservation::{Reservation, ReservationStatus},
    retention::Leftover,
    seat::{Seat, SeatLabel, SeatPlace, SeatStatus},
    time::{Span, Time},
    user::{Session, User},
    world::{AuditEntry, Changes, World},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// A database that holds a box office.
///
/// Every store passes the conformance suite in `tests/conformance`.
#[async_trait]
pub trait Store: std::fmt::Debug + Send + Sync + 'static {
    /// Loads the rows that the batch names, lets `decide` change them, saves the changes and commits, in one
    /// transaction. The answers are durable when this returns. The rows are locked before the clock is read. If the
    /// transaction is retried, `decide` runs again on the rows as they are then.
    ///
    /// May block its thread for a disk write: the engine calls it on a dedicated thread.
    ///
    /// # Errors
    /// Nothing was saved, except that after [`StoreError::Unknown`] all of the batch may have been. The first batch
    /// after a silence that counts as an outage is [`StoreError::Unavailable`], so that [`Store::resume`] comes first.
    async fn transact(&self, batch: Arc<[Request]>, decide: Decide) -> Result<Committed, StoreError>;

    /// The store's clock.
    async fn now(&self) -> Result<Time, StoreError>;

    /// Whether the store can save now. Leaves no lasting change.
    async fn check_writable(&self) -> Result<(), StoreError>;

    /// The damage, if any was found, for which the store commits nothing until a restart. Does not access the database.
    fn damage(&self) -> Option<Damage> {
        None
    }

    /// The number of reads since the start that met a damaged page.
    fn corrupt_reads(&self) -> u64 {
        0
    }

    /// The user with this e-mail address (in lower case), and their password hash.
    async fn credentials(&self, email: &str) -> Result<Option<(User, String)>, StoreError>;

    /// A session by the SHA-256 of its secret, ended or not.
    async fn session(&self, secret_hash: [u8; 32]) -> Result<Option<Session>, StoreError>;

    /// A user.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// Users whose e-mail address or name contains `text`, newest id first.
    async fn users(&self, text: Option<&str>, page: Page<UserId>) -> Result<Vec<User>, StoreError>;

    /// Every room, by number.
    async fn rooms(&self) -> Result<Vec<Room>, StoreError>;

    /// A page of the rooms, by number. Its cost depends neither on the rooms before it nor on those after it.
    async fn some_rooms(&self, page: Page<RoomId>) -> Result<Vec<Room>, StoreError>;

    /// Every room with its highest position and whether it has a live token, by number: one query, whose cost does not
    /// depend on the number of tokens.
    async fn standings(&self) -> Result<Vec<Standing>, StoreError>;

    /// The rooms with a live token, by number. If instances share the database, the cost depends on the number of those
    /// rooms alone.
    async fn busy_rooms(&self) -> Result<Vec<RoomId>, StoreError> {
        let standings = self.standings().await?;
        Ok(standings.iter().filter(|one| one.life == Life::Busy).map(|one| one.room.room_id).collect())
    }

    /// A token.
    async fn token(&self, id: TokenId) -> Result<Option<Token>, StoreError>;

    /// The live tokens of a user, by room.
    async fn live_tokens(&self, user: UserId) -> Result<Vec<Token>, StoreError>;

    /// The waiting tokens of a room, by position.
    async fn waiting_tokens(&self, room: RoomId, page: Page<Position>) -> Result<Vec<Token>, StoreError>;

    /// The positions above `after` and up to `to` that no token of the room has, ascending. If several instances share
    /// the database, a position drawn within the last [`COMMIT_VISIBILITY_MAX`] may still get its token.
    async fn unassigned_positions(
        &self,
        room: RoomId,
        after: Position,
        to: Position,
    ) -> Result<Vec<Position>, StoreError>;

    /// Everything that a room's view is built from.
    async fn line(&self, room: RoomId) -> Result<Option<Line>, StoreError>;

    /// A room's line without the waiting tokens beyond its cursor: quick to read.
    async fn live_line(&self, room: RoomId) -> Result<Option<Line>, StoreError> {
        let line = self.line(room).await?;
        Ok(line.map(|mut line| {
            line.waiting.retain(|position| *position <= line.room.cursor);
            line
        }))
    }

    /// Concerts that match, by start.
    async fn concerts(&self, filter: &ConcertFilter, page: Page<ConcertPlace>) -> Result<Vec<Concert>, StoreError>;

    /// A concert.
    async fn concert(&self, id: ConcertId) -> Result<Option<Concert>, StoreError>;

    /// The seats of a concert, by seat number.
    async fn seats(&self, concert: ConcertId) -> Result<Vec<Seat>, StoreError>;

    /// The seats of a concert that changed at `since` or later, and the store's clock. If several instances share the
    /// database, a change may become visible up to [`COMMIT_VISIBILITY_MAX`] after its timestamp.
    async fn changed_seats(&self, concert: ConcertId, since: Time) -> Result<(Vec<Seat>, Time), StoreError> {
        let now = self.now().await?;
        let mut seats = self.seats(concert).await?;
        seats.retain(|seat| seat.updated_at >= since);
        Ok((seats, now))
    }

    /// Seat counts by status for each of these concerts, in one query; concerts without seats are omitted.
    async fn seat_counts_of(&self, concerts: &[ConcertId]) -> Result<Vec<(ConcertId, SeatCounts)>, StoreError>;

    /// Seat counts of a concert by status.
    async fn seat_counts(&self, concert: ConcertId) -> Result<SeatCounts, StoreError> {
        Ok(self.seat_counts_of(&[concert]).await?.pop().map_or_else(SeatCounts::default, |(_, counts)| counts))
    }

    /// Cancelled concerts that are not wound up yet, by number.
    async fn concerts_to_wind_up(&self, page: Page<ConcertId>) -> Result<Vec<Concert>, StoreError>;

    /// The seats of a cancelled concert that remain to be wound up, at most `limit`, by seat number above `after`:
    /// those for sale or held, and sold ones if an operator asked for all payments to be refunded.
    async fn remnants(&self, concert: &Concert, after: i32, limit: u32) -> Result<Vec<Remnant>, StoreError>;

    /// A reservation.
    async fn reservation(&self, id: ReservationId) -> Result<Option<Reservation>, StoreError>;

    /// Reservations that match, newest first.
    async fn reservations(
        &self,
        filter: &ReservationFilter,
        page: Page<ReservationId>,
    ) -> Result<Vec<Reservation>, StoreError>;

    /// The pending reservations that end first, at `until` or before: at most `limit`.
    async fn next_expiries(&self, until: Time, limit: u32) -> Result<Vec<(Time, ReservationId)>, StoreError>;

    /// The seats and concerts of these reservations, in one query; unknown ids are omitted.
    async fn tickets(&self, reservations: &[ReservationId]) -> Result<Vec<TicketPlace>, StoreError>;

    /// The sold seats of a concert and their buyers, at most `limit`, by seat number above `after`.
    async fn door_list(&self, concert: ConcertId, after: i32, limit: u32) -> Result<Vec<DoorLine>, StoreError>;

    /// A payment.
    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError>;

    /// Payments that match, newest first.
    async fn payments(&self, filter: &PaymentFilter, page: Page<PaymentId>) -> Result<Vec<Payment>, StoreError>;

    /// A user's balance; none before the first movement.
    async fn point(&self, user: UserId) -> Result<Option<Point>, StoreError>;

    /// A user's point history, newest first.
    async fn history(&self, user: UserId, page: Page<HistoryId>) -> Result<Vec<PointEntry>, StoreError>;

    /// A debt.
    async fn debt(&self, id: DebtId) -> Result<Option<Debt>, StoreError>;

    /// Debts that match, newest first.
    async fn debts(&self, filter: &DebtFilter, page: Page<DebtId>) -> Result<Vec<Debt>, StoreError>;

    /// The operators' audit log, newest first.
    async fn audit(&self, page: Page<AuditId>) -> Result<Vec<AuditEntry>, StoreError>;

    /// Whether other instances change this database too, so that caches must be checked against it.
    fn sharing(&self) -> Sharing {
        Sharing::Alone
    }

    /// A number that changes when another process, such as the command line, changes rows that this one may cache. It
    /// stays constant if [`Store::sharing`] requires checks anyway.
    async fn changes_elsewhere(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    /// The instances that serve over this database, as its server knows them by their connections. None if the database
    /// is not shared, and for a command that serves no requests.
    ///
    /// # Errors
    /// The server gave no answer.
    async fn instances(&self) -> Result<Option<Instances>, StoreError> {
        Ok(None)
    }

    /// Identifies the installation: the same for all instances that share the database, and unique to it.
    async fn installation_id(&self) -> Result<uuid::Uuid, StoreError> {
        Ok(uuid::Uuid::nil())
    }

    /// Removes rows of a kind that were over before `before`, oldest first, at most `limit`, in one transaction.
    /// Returns how many were removed; zero if there are no more.
    ///
    /// # Errors
    /// Nothing was removed, except that after [`StoreError::Unknown`] all of it may have been.
    async fn prune(&self, what: Leftover, before: Time, limit: u32) -> Result<u64, StoreError>;

    /// Begins to serve, or goes on after a failure. If the box office did not work for so long that it is an
    /// [`Outage`], the deadlines that were live when it last worked are lengthened by that time, before any batch is
    /// decided. An outage lengthens once, however often and by however many instances this is called. From the first
    /// call on, the store notes that the box office works.
    ///
    /// Returns the outage if this call lengthened deadlines: caches of deadlines must then be rebuilt.
    ///
    /// # Errors
    /// Nothing was lengthened, except that after [`StoreError::Unknown`] all may have been. Call again before the next
    /// batch.
    async fn resume(&self) -> Result<Option<Outage>, StoreError>;

    /// The latest outages that this store knows, from memory.
    fn outages(&self) -> Outages;

    /// Whether commits that this process gave up waiting for still run: they may become visible at any time.
    fn has_unanswered_commits(&self) -> bool {
        false
    }

    /// Writes everything to the places that a backup copies. The last call before the server stops.
    ///
    /// # Errors
    /// Nothing is lost; the next start reads it.
    async fn shutdown(&self) -> Result<(), StoreError>;
}

/// How long after its timestamp a change may become visible to other instances: no transaction lives longer, except one
/// whose commit the server does not answer ([`Store::has_unanswered_commits`]).
pub const COMMIT_VISIBILITY_MAX: Span = Span::from_secs(10);

/// The age at which a position without a token counts as unassigned: a little above [`COMMIT_VISIBILITY_MAX`].
pub const GAP_GRACE: Duration = Duration::from_micros(COMMIT_VISIBILITY_MAX.micros().unsigned_abs() + 1_000_000);

/// Which processes change a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// This process, and sometimes the command line.
    Alone,
    /// Any number of instances.
    Shared,
}

/// An instance that serves over a database that others may share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instance {
    /// Unique number. An older instance has a lower one, as far as their machines' clocks agree.
    pub id: u64,
    /// Whether it receives the commits of other instances.
    pub hearing: Sharing,
    /// The maximum of its connections to the database.
    pub connections: u32,
}

/// The instances over one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instances {
    /// This instance.
    pub own: Instance,
    /// The other instances that used a connection within the last half a minute.
    pub others: Vec<Instance>,
    /// The server's limit of connections for all of them. None behind a pooler, which shares connections.
    pub connections_max: Option<u32>,
}

impl Instances {
    /// The number of other instances that this one must not serve beside, because it does not receive their commits:
    /// all that receive each other's commits, and older ones that do not. Of several that receive no commits, the
    /// oldest serves.
    #[must_use]
    pub fn unheard(&self) -> usize {
        let is_unheard = |other: &&Instance| other.hearing == Sharing::Shared || other.id < self.own.id;
        match self.own.hearing {
            Sharing::Shared => 0,
            Sharing::Alone => self.others.iter().filter(is_unheard).count(),
        }
    }

    /// The number of others that receive no commits, if this instance does.
    #[must_use]
    pub fn deaf(&self) -> usize {
        match self.own.hearing {
            Sharing::Shared => self.others.iter().filter(|other| other.hearing == Sharing::Alone).count(),
            Sharing::Alone => 0,
        }
    }

    /// The sum of the connections that all instances may use, and the server's limit, if the limit is lower.
    #[must_use]
    pub fn lacking_connections(&self) -> Option<(u32, u32)> {
        let all = std::iter::once(&self.own).chain(&self.others);
        let wanted = all.fold(0_u32, |sum, one| sum.saturating_add(one.connections));
        self.connections_max.filter(|there| wanted > *there).map(|there| (wanted, there))
    }
}

/// Decides a batch: changes the loaded rows and answers each request, in order. Pure: see
/// [`frontrow_domain::decide::decide_all`].
pub type Decide = fn(&mut World, &[Request]) -> Vec<Answer>;

/// A batch that is on disk.
#[derive(Debug)]
pub struct Committed {
    /// An answer for each request, in order.
    pub answers: Vec<Answer>,
    /// The changes of the batch.
    pub changes: Changes,
}

/// The rows that a room's view is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The room.
    pub room: Room,
    /// The highest position.
    pub highest: Position,
    /// The positions of all waiting tokens, ascending.
    pub waiting: Vec<Position>,
    /// Positions below the highest without a row, ascending, whose batch may still commit: drawn within the last
    /// [`COMMIT_VISIBILITY_MAX`], judging by their neighbours. They count as waiting, so that `ahead` cannot rise when
    /// their rows appear.
    pub in_flight: Vec<Position>,
    /// The tokens that are neither waiting nor ended.
    pub others: Vec<Token>,
    /// The store's clock when the rows were read.
    pub now: Time,
}

/// A room's summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The room.
    pub room: Room,
    /// The highest position.
    pub highest: Position,
    /// Whether it has a live token.
    pub life: Life,
    /// The store's clock when the rows were read.
    pub now: Time,
}

impl Standing {
    /// The line of a room without live tokens.
    #[must_use]
    pub fn quiet_line(self) -> Line {
        let Self { room, highest, now, .. } = self;
        Line { room, highest, waiting: Vec::new(), in_flight: Vec::new(), others: Vec::new(), now }
    }
}

/// Whether a room has a live token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It has a live token. If several instances share the database, also if a token was issued within the last
    /// [`COMMIT_VISIBILITY_MAX`]: an earlier position may still get its row.
    Busy,
    /// All its tokens have ended.
    Quiet,
}

/// A page of a list: rows after `after` in the list's order, at most `limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<K> {
    /// The last key of the previous page.
    pub after: Option<K>,
    /// The maximum number of rows.
    pub limit: u32,
}

/// A concert's place in the list: by start, then by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConcertPlace {
    /// When it starts.
    pub starts_at: Time,
    /// The concert's number.
    pub concert_id: ConcertId,
}

/// Format: start in microseconds, a dot, the number.
impl std::fmt::Display for ConcertPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.starts_at.micros(), self.concert_id)
    }
}

impl ConcertPlace {
    /// The place of this concert.
    #[must_use]
    pub const fn of(concert: &Concert) -> Self {
        Self { starts_at: concert.starts_at, concert_id: concert.concert_id }
    }
}

/// The seat of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketPlace {
    /// The reservation.
    pub reservation_id: ReservationId,
    /// Its concert.
    pub concert_id: ConcertId,
    /// The concert's title.
    pub title: String,
    /// Its seat.
    pub seat_id: SeatId,
    /// The seat's place in the order of the concert's seats.
    pub seat_number: i32,
    /// The seat's location in the hall.
    pub place: SeatPlace,
}

/// A sold seat and its buyer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorLine {
    /// The seat's place in the order of the concert's seats.
    pub seat_number: i32,
    /// The seat's label.
    pub label: SeatLabel,
    /// The buyer's name.
    pub name: String,
    /// The reservation.
    pub reservation_id: ReservationId,
    /// The payment.
    pub payment_id: PaymentId,
    /// When it was paid.
    pub paid_at: Time,
}

/// Selects debts; a field that is none matches all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DebtFilter {
    /// The debtor.
    pub user: Option<UserId>,
    /// The debt's status.
    pub status: Option<DebtStatus>,
}

/// Selects concerts; a field that is none matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConcertFilter {
    /// Part of the artist's name or of the title, in any case.
    pub text: Option<String>,
    /// Part of the venue's name, in any case.
    pub venue: Option<String>,
    /// On or after this date.
    pub from: Option<jiff::civil::Date>,
    /// On or before this date.
    pub to: Option<jiff::civil::Date>,
    /// The status at `now`.
    pub status: Option<ConcertStatus>,
    /// The time for `status`.
    pub now: Time,
}

/// Selects reservations; a field that is none matches all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReservationFilter {
    /// The user.
    pub user: Option<UserId>,
    /// The concert.
    pub concert: Option<ConcertId>,
    /// The reservation's status.
    pub status: Option<ReservationStatus>,
}

/// Selects payments; a field that is none matches all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// The user.
    pub user: Option<UserId>,
    /// The concert of the payment's reservation.
    pub concert: Option<ConcertId>,
    /// The reservation.
    pub reservation: Option<ReservationId>,
    /// The payment's status.
    pub status: Option<PaymentStatus>,
}

/// Lasting damage: a store that has found it commits nothing until the program is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Commits would go to a file that the next start does not find.
    #[error("the database file was moved, removed or replaced while the server runs")]
    FileMoved,
    /// The latest commits are lost, and further ones would be.
    #[error("the database's log (-wal) was removed, replaced or cut short while the server runs")]
    LogLost,
    /// Another server could open the folder.
    #[error("serve.lock was removed or replaced while the server runs: another server may run over the folder")]
    LockLost,
    /// A page does not have the content that was written.
    #[error("the database is damaged")]
    Corrupt,
}

/// A seat of a cancelled concert that remains to be wound up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remnant {
    /// The seat's number in the concert.
    pub seat_number: i32,
    /// The seat.
    pub seat_id: SeatId,
    /// The payment to refund, if the seat is sold.
    pub payment_id: Option<PaymentId>,
}

/// How many seats of a concert are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct SeatCounts {
    /// Free to hold.
    #[schema(example = 4_000)]
    pub available: i64,
    /// Held.
    #[schema(example = 20)]
    pub held: i64,
    /// Sold: so many payments have not been given back.
    #[schema(example = 900)]
    pub sold: i64,
    /// Off sale.
    #[schema(example = 80)]
    pub blocked: i64,
}

impl SeatCounts {
    /// Groups counts of rows by concert and status.
    pub(crate) fn of(rows: impl IntoIterator<Item = (ConcertId, SeatStatus, i64)>) -> Vec<(ConcertId, Self)> {
        let mut all: BTreeMap<ConcertId, Self> = BTreeMap::new();
        for (concert, status, count) in rows {
            let counts = all.entry(concert).or_default();
            *match status {
                SeatStatus::Available => &mut counts.available,
                SeatStatus::Held => &mut counts.held,
                SeatStatus::Sold => &mut counts.sold,
                SeatStatus::Blocked => &mut counts.blocked,
            } += count;
        }
        all.into_iter().collect()
    }
}

/// The store failed. The text is for the log, never for a client.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Nothing was saved: the database is locked, full, read-only or down. It may work again later.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Nothing was saved: other transactions held the rows for longer than a batch waits. The database works.
    #[error("other transactions were in the way: {0}")]
    Contended(String),
    /// Nothing was saved: a row of the batch broke a constraint. Smaller batches may find out which.
    #[error("a constraint of the database was broken: {0}")]
    Conflict(String),
    /// The commit failed, and may or may not have happened.
    #[error("the outcome of a commit is unknown: {0}")]
    Unknown(String),
    /// The database is damaged.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// The database is sound, but its tables are of another version or belong to another program.
    #[error("this program cannot use the database: {0}")]
    Misfit(String),
}

impl StoreError {
    /// Every value of [`StoreError::kind`].
    pub const KINDS: [&str; 5] = ["unavailable", "contended", "conflict", "unknown", "corrupt"];

    /// The kind as a label for metrics and traces.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Contended(_) => "contended",
            Self::Conflict(_) => "conflict",
            Self::Unknown(_) => "unknown",
            Self::Corrupt(_) | Self::Misfit(_) => "corrupt",
        }
    }
}
