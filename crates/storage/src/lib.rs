//! The port to the database: it loads rows, saves rows and says what time it is. It knows no rule.

pub mod check;
mod enum_text;
mod filter;
pub mod lock;
pub mod memory;
pub mod migrate;
mod noted;
pub mod postgres;
mod rows;
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
    world::{AuditEntry, Changes},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// A database that keeps a box office.
///
/// Every store passes the conformance suite in `tests/conformance`.
#[async_trait]
pub trait Store: std::fmt::Debug + Send + Sync + 'static {
    /// Loads what the batch names, decides it with [`frontrow_domain::decide::decide_all`], saves, commits: one
    /// transaction. The answers are durable when this returns. The rows are locked before the clock is read.
    ///
    /// May block its thread for the length of a disk write: the engine calls it from a thread of its own.
    ///
    /// # Errors
    /// Nothing of the batch was saved, except after [`StoreError::Unknown`], when all of it or nothing was. The first
    /// batch after a silence that is an outage is [`StoreError::Unavailable`], so that [`Store::resume`] comes first.
    async fn transact(&self, batch: Arc<[Request]>) -> Result<Committed, StoreError>;

    /// The store's clock.
    async fn now(&self) -> Result<Time, StoreError>;

    /// Whether the store could save something now. Saves nothing that stays.
    async fn check_writable(&self) -> Result<(), StoreError>;

    /// Why nothing is committed any more until the program is started again, as far as it was found. Asks nothing of the
    /// database.
    fn damage(&self) -> Option<Damage> {
        None
    }

    /// How many reads met a damaged page since the start.
    fn corrupt_reads(&self) -> u64 {
        0
    }

    /// A user with their password's hash, by e-mail address in lower case.
    async fn credentials(&self, email: &str) -> Result<Option<(User, String)>, StoreError>;

    /// A session by the SHA-256 of its secret, ended or not.
    async fn session(&self, secret_hash: [u8; 32]) -> Result<Option<Session>, StoreError>;

    /// A user.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// Users whose e-mail address or name contains `text`, newest id first.
    async fn users(&self, text: Option<&str>, page: Page<UserId>) -> Result<Vec<User>, StoreError>;

    /// Every room, by number.
    async fn rooms(&self) -> Result<Vec<Room>, StoreError>;

    /// A part of the rooms, by number. The cost grows neither with the rooms before it nor with those behind it.
    async fn some_rooms(&self, page: Page<RoomId>) -> Result<Vec<Room>, StoreError>;

    /// Every room with the highest position given and whether something lives in it, by number: one query, whose cost
    /// does not depend on how many tokens there are.
    async fn standings(&self) -> Result<Vec<Standing>, StoreError>;

    /// The rooms in which a token lives, by number. Where instances share the database the cost grows with those rooms
    /// alone, neither with the other rooms nor with the tokens.
    async fn busy_rooms(&self) -> Result<Vec<RoomId>, StoreError> {
        let standings = self.standings().await?;
        Ok(standings.iter().filter(|one| one.life == Life::Busy).map(|one| one.room.room_id).collect())
    }

    /// A token.
    async fn token(&self, id: TokenId) -> Result<Option<Token>, StoreError>;

    /// The tokens of a user that have not ended, by room.
    async fn live_tokens(&self, user: UserId) -> Result<Vec<Token>, StoreError>;

    /// Those who wait in a room, by position.
    async fn waiting_tokens(&self, room: RoomId, page: Page<Position>) -> Result<Vec<Token>, StoreError>;

    /// The numbers behind `after` up to `to` that no token of the room has, ascending. Where several instances share the
    /// database, one that was drawn within the last [`COMMIT_VISIBILITY_MAX`] may still get its token.
    async fn unassigned_positions(
        &self,
        room: RoomId,
        after: Position,
        to: Position,
    ) -> Result<Vec<Position>, StoreError>;

    /// Everything of a room that its view is laid from.
    async fn line(&self, room: RoomId) -> Result<Option<Line>, StoreError>;

    /// Everything of a room but those who wait beyond its cursor: what tells in a moment how the line stands.
    async fn live_line(&self, room: RoomId) -> Result<Option<Line>, StoreError> {
        let line = self.line(room).await?;
        Ok(line.map(|mut line| {
            line.waiting.retain(|position| *position <= line.room.cursor);
            line
        }))
    }

    /// Concerts that match, those first that start first.
    async fn concerts(&self, filter: &ConcertFilter, page: Page<ConcertPlace>) -> Result<Vec<Concert>, StoreError>;

    /// A concert.
    async fn concert(&self, id: ConcertId) -> Result<Option<Concert>, StoreError>;

    /// The seats of a concert, by seat number.
    async fn seats(&self, concert: ConcertId) -> Result<Vec<Seat>, StoreError>;

    /// The seats of a concert that changed at `since` or after it, with the store's clock. Where several instances
    /// share the database, a change may become visible up to [`COMMIT_VISIBILITY_MAX`] after the moment it bears.
    async fn changed_seats(&self, concert: ConcertId, since: Time) -> Result<(Vec<Seat>, Time), StoreError> {
        let now = self.now().await?;
        let mut seats = self.seats(concert).await?;
        seats.retain(|seat| seat.updated_at >= since);
        Ok((seats, now))
    }

    /// How many seats of each of these concerts are in each state, in one query; those without a seat are left out.
    async fn seat_counts_of(&self, concerts: &[ConcertId]) -> Result<Vec<(ConcertId, SeatCounts)>, StoreError>;

    /// How many seats of a concert are in each state.
    async fn seat_counts(&self, concert: ConcertId) -> Result<SeatCounts, StoreError> {
        Ok(self.seat_counts_of(&[concert]).await?.pop().map_or_else(SeatCounts::default, |(_, counts)| counts))
    }

    /// Cancelled concerts that are not wound up, by number.
    async fn concerts_to_wind_up(&self, page: Page<ConcertId>) -> Result<Vec<Concert>, StoreError>;

    /// What is left to wind up of a cancelled concert, by seat number from behind `after` on: at most `limit` seats that
    /// are for sale or held, and those that are sold where an operator asked for all payments to be given back.
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

    /// Which seats of which concerts these reservations are of, in one query; those that are unknown are left out.
    async fn tickets(&self, reservations: &[ReservationId]) -> Result<Vec<TicketPlace>, StoreError>;

    /// Who sits where: the sold seats of a concert by seat number from behind `after` on, at most `limit`.
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

    /// Whether other instances change this database too, so that what is kept in memory must be looked up again.
    fn sharing(&self) -> Sharing {
        Sharing::Alone
    }

    /// A number that is another one after another process, such as the command line, has changed what this one may
    /// remember. Always the same in a store whose [`Store::sharing`] says that memory must be looked up again anyway.
    async fn changes_elsewhere(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    /// The instances that serve over this database, as its server knows them by their connections. None where there is
    /// one alone, and for a command that serves nobody.
    ///
    /// # Errors
    /// The server did not say.
    async fn company(&self) -> Result<Option<Company>, StoreError> {
        Ok(None)
    }

    /// Which box office this is: the same for all instances that share a database, and of no other.
    async fn installation_id(&self) -> Result<uuid::Uuid, StoreError> {
        Ok(uuid::Uuid::nil())
    }

    /// Removes rows of a kind that were over before `before`, the oldest first: at most `limit`, in one transaction.
    /// Returns how many went; none where there are no more.
    ///
    /// # Errors
    /// Nothing was removed, except after [`StoreError::Unknown`].
    async fn prune(&self, what: Leftover, before: Time, limit: u32) -> Result<u64, StoreError>;

    /// Begins to serve, or goes on after a failure: what was live when the box office last worked is lengthened by as
    /// long as it did not, if that was an [`Outage`], before anything is decided by the old deadlines. An outage
    /// lengthens once, however often and by however many instances this is called. From the first call on the store
    /// notes that the box office works.
    ///
    /// Returns the outage if this call was the one that lengthened: whatever shows deadlines must be read anew then.
    ///
    /// # Errors
    /// Nothing was lengthened, except after [`StoreError::Unknown`]. To be called again before the next batch.
    async fn resume(&self) -> Result<Option<Outage>, StoreError>;

    /// The outages that tokens may have met, as this store knows them. From memory.
    fn outages(&self) -> Outages;

    /// Whether commits of this process are under way that were given up here: they may become visible at any time.
    fn has_unanswered_commits(&self) -> bool {
        false
    }

    /// Leaves everything where a copy would look for it. To be called last, when the server stops.
    ///
    /// # Errors
    /// Nothing is lost; the next start finds it.
    async fn shutdown(&self) -> Result<(), StoreError>;
}

/// How much later than the moment it bears a change may become visible to other instances: no transaction lives
/// longer, but for one whose commit the server does not answer ([`Store::has_unanswered_commits`]).
pub const COMMIT_VISIBILITY_MAX: Span = Span::from_secs(10);

/// After how long a number that was drawn in a line and has no token is nobody's: a little after [`COMMIT_VISIBILITY_MAX`].
pub const GAP_GRACE: Duration = Duration::from_micros(COMMIT_VISIBILITY_MAX.micros().unsigned_abs() + 1_000_000);

/// Who changes a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// This process, and at times the command line.
    Alone,
    /// Any number of equal instances.
    Shared,
}

/// An instance that serves over a database that others may share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instance {
    /// Which one. Of two the older has the lower number, as far as their machines' clocks tell.
    pub id: u64,
    /// Whether it hears of what the others commit.
    pub hearing: Sharing,
    /// How many connections to the database it may have.
    pub connections: u32,
}

/// The instances over one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company {
    /// This one.
    pub own: Instance,
    /// Those that used a connection within the last half a minute, without this one.
    pub others: Vec<Instance>,
    /// How many connections the server has for all of them. None behind a pooler, which shares them.
    pub connections_max: Option<u32>,
}

impl Company {
    /// How many others there are beside which this instance must not serve, because it does not hear of what they
    /// commit: all that hear of each other, and those like it that were there before. Of several that hear of nobody the
    /// oldest serves.
    #[must_use]
    pub fn unheard(&self) -> usize {
        let is_unheard = |other: &&Instance| other.hearing == Sharing::Shared || other.id < self.own.id;
        match self.own.hearing {
            Sharing::Shared => 0,
            Sharing::Alone => self.others.iter().filter(is_unheard).count(),
        }
    }

    /// How many others hear of nobody, beside this one that does.
    #[must_use]
    pub fn deaf(&self) -> usize {
        match self.own.hearing {
            Sharing::Shared => self.others.iter().filter(|other| other.hearing == Sharing::Alone).count(),
            Sharing::Alone => 0,
        }
    }

    /// The connections that all instances may ask for, and those that the server has, where it has fewer.
    #[must_use]
    pub fn lacking_connections(&self) -> Option<(u32, u32)> {
        let all = std::iter::once(&self.own).chain(&self.others);
        let wanted = all.fold(0_u32, |sum, one| sum.saturating_add(one.connections));
        self.connections_max.filter(|there| wanted > *there).map(|there| (wanted, there))
    }
}

/// A batch that is on disk.
#[derive(Debug)]
pub struct Committed {
    /// An answer for each request, in order.
    pub answers: Vec<Answer>,
    /// What changed.
    pub changes: Changes,
}

/// What a room's view is laid from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The room.
    pub room: Room,
    /// The highest position given.
    pub highest: Position,
    /// The positions of all waiting tokens, ascending.
    pub waiting: Vec<Position>,
    /// Numbers below the highest that have no row, ascending, where a batch that drew one may still commit: given
    /// within the last [`COMMIT_VISIBILITY_MAX`], as far as their neighbours tell. They count as waiting, so that no place rises
    /// when they come.
    pub in_flight: Vec<Position>,
    /// The tokens that are neither waiting nor ended.
    pub others: Vec<Token>,
    /// The store's clock when the rows were read.
    pub now: Time,
}

/// A room at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The room.
    pub room: Room,
    /// The highest position given.
    pub highest: Position,
    /// Whether something lives in it.
    pub life: Life,
    /// The store's clock when the rows were read.
    pub now: Time,
}

impl Standing {
    /// The line of a room in which nothing lives.
    #[must_use]
    pub fn quiet_line(self) -> Line {
        let Self { room, highest, now, .. } = self;
        Line { room, highest, waiting: Vec::new(), in_flight: Vec::new(), others: Vec::new(), now }
    }
}

/// Whether something lives in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// A token that has not ended is there. Where several instances share the database also if one was issued within
    /// the last [`COMMIT_VISIBILITY_MAX`]: a number before it may still come.
    Busy,
    /// Nothing is there but tokens that have ended.
    Quiet,
}

/// A part of a list: rows beyond `after` in the list's order, at most `limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<K> {
    /// The last key of the page before.
    pub after: Option<K>,
    /// How many rows at most.
    pub limit: u32,
}

/// Where a concert stands in the list: those that start first come first, and of one moment that with the lower number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConcertPlace {
    /// When it starts.
    pub starts_at: Time,
    /// Which concert.
    pub concert_id: ConcertId,
}

/// The moment in microseconds, a dot, the number.
impl std::fmt::Display for ConcertPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.starts_at.micros(), self.concert_id)
    }
}

impl ConcertPlace {
    /// Where a concert stands.
    #[must_use]
    pub const fn of(concert: &Concert) -> Self {
        Self { starts_at: concert.starts_at, concert_id: concert.concert_id }
    }
}

/// The seat of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketPlace {
    /// Which reservation.
    pub reservation_id: ReservationId,
    /// Of which concert.
    pub concert_id: ConcertId,
    /// What that is called.
    pub title: String,
    /// Which seat.
    pub seat_id: SeatId,
    /// Its place in the order of the concert's seats.
    pub seat_number: i32,
    /// Where it is.
    pub place: SeatPlace,
}

/// A sold seat, and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorLine {
    /// The seat's place in the order of all.
    pub seat_number: i32,
    /// Where it is.
    pub label: SeatLabel,
    /// What its user is called.
    pub name: String,
    /// The reservation.
    pub reservation_id: ReservationId,
    /// The payment.
    pub payment_id: PaymentId,
    /// When it was paid.
    pub paid_at: Time,
}

/// Which debts; what is none matches all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DebtFilter {
    /// Whose.
    pub user: Option<UserId>,
    /// Standing where.
    pub status: Option<DebtStatus>,
}

/// Which concerts; what is none matches all.
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
    /// Of this status at `now`.
    pub status: Option<ConcertStatus>,
    /// The moment that `status` is of.
    pub now: Time,
}

/// Which reservations; what is none matches all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReservationFilter {
    /// Whose.
    pub user: Option<UserId>,
    /// Of which concert.
    pub concert: Option<ConcertId>,
    /// Standing where.
    pub status: Option<ReservationStatus>,
}

/// Which payments; what is none matches all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PaymentFilter {
    /// Whose.
    pub user: Option<UserId>,
    /// For a reservation in which concert.
    pub concert: Option<ConcertId>,
    /// For which reservation.
    pub reservation: Option<ReservationId>,
    /// Standing where.
    pub status: Option<PaymentStatus>,
}

/// What does not heal by itself: a store that has found it commits nothing until the program is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Commits would go into a file that the next start does not find.
    #[error("the database file was moved, removed or replaced while the server runs")]
    FileMoved,
    /// What was committed lately is gone, and so would be what is committed now.
    #[error("the database's log (-wal) was removed, replaced or cut short while the server runs")]
    LogLost,
    /// Nothing keeps another server away any more.
    #[error("serve.lock was removed or replaced while the server runs: another server may run over the folder")]
    LockLost,
    /// A page is not what was written.
    #[error("the database is damaged")]
    Corrupt,
}

/// A seat of a cancelled concert that is left to wind up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remnant {
    /// Its number in the concert.
    pub seat_number: i32,
    /// Which seat.
    pub seat_id: SeatId,
    /// The payment to give back, of a seat that is sold.
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
    /// Counts of rows by concert and status.
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

/// The store could not do its work. The text is for the log, never for a client.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Nothing was saved: the database is locked, full, read-only or away. It may work again later.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Nothing was saved: other transactions held the rows for longer than a batch waits. The database itself works.
    #[error("other transactions were in the way: {0}")]
    Contended(String),
    /// Nothing was saved, because a row of the batch broke a constraint. Smaller batches may find which.
    #[error("a constraint of the database was broken: {0}")]
    Conflict(String),
    /// The commit failed in a way that leaves open whether it happened.
    #[error("the outcome of a commit is unknown: {0}")]
    Unknown(String),
    /// The database is damaged.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// The database is sound, but not for this program: its tables are of another version, or another program's.
    #[error("this program cannot use the database: {0}")]
    Misfit(String),
}

impl StoreError {
    /// Every [`StoreError::kind`].
    pub const KINDS: [&str; 5] = ["unavailable", "contended", "conflict", "unknown", "corrupt"];

    /// The kind in a word, for metrics and traces.
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
