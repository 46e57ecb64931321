//! The port.

use crate::{
    ConcertFilter, ConcertPlace, ConcertProfile, Damage, DebtFilter, DoorLine, EventCounts, EventFilter, Instances,
    Life, Line, Page, PaymentFilter, Remnant, ReservationFilter, RoomSummary, RoomTally, SavedLineRecord, SeatCounts,
    Sharing, StoreError, TicketPlace,
};
use async_trait::async_trait;
use frontrow_domain::{
    changes::{AuditEntry, Changes},
    command::{Answer, Request},
    id::{
        AuditId, ConcertId, DebtId, EventId, FeedNumber, HistoryId, PaymentId, Position, ReservationId, RoomId,
        TokenId, UserId,
    },
    line::{Draw, LaneGuest, LineBlock, Room, Token},
    outage::{Outage, Outages},
    outbox::{Consumer, OutboxEvent},
    points::{Debt, Point, PointEntry},
    retention::Leftover,
    sale::{Concert, Payment, Poster, Reservation, Seat},
    time::{Span, Time},
    user::{AccountLink, LinkKind, OperatorPresence, SecondFactor, Session, User},
    world::World,
};
use std::{sync::Arc, time::Duration};

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

    /// Whether the database answers. Of a shared one it is asked over a connection for which no read and no batch waits:
    /// a box office with much to do is not taken for a database that is away.
    async fn check_answers(&self) -> Result<(), StoreError> {
        self.now().await.map(|_| ())
    }

    /// Whether the store can save now, and read what it has. Leaves no lasting change but [`Self::note_works`].
    async fn check_writable(&self) -> Result<(), StoreError>;

    /// Notes that the box office works, as each batch does. The less time passes between two notes, the better it is known
    /// when an outage began.
    ///
    /// # Errors
    /// Why the store cannot save, or that [`Store::resume`] comes first.
    async fn note_works(&self) -> Result<(), StoreError> {
        self.check_writable().await
    }

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

    /// The sessions of a user, ended or not, newest first, at most `limit`.
    async fn sessions(&self, user: UserId, limit: u32) -> Result<Vec<Session>, StoreError>;

    /// A user.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The link of this kind of a user, over or not.
    async fn account_link(&self, user: UserId, kind: LinkKind) -> Result<Option<AccountLink>, StoreError>;

    /// The second factor of a user, in whatever state it is.
    async fn second_factor(&self, user: UserId) -> Result<Option<SecondFactor>, StoreError>;

    /// The block of a user from the line of a room, in force or over.
    async fn line_block(&self, user: UserId, room: RoomId) -> Result<Option<LineBlock>, StoreError>;

    /// The blocks from the line of a room, in force or over, by user.
    async fn line_blocks(&self, room: RoomId, page: Page<UserId>) -> Result<Vec<LineBlock>, StoreError>;

    /// The blocks of a user from lines, in force or over, by room, at most `limit`.
    async fn line_blocks_of(&self, user: UserId, limit: u32) -> Result<Vec<LineBlock>, StoreError>;

    /// The lanes beside the line of a room on whose lists a user is, at most one of each kind.
    async fn lanes_of_guest(&self, user: UserId, room: RoomId) -> Result<Vec<LaneGuest>, StoreError>;

    /// The accounts on the list of a lane, by user.
    async fn lane_guests(&self, lane: RoomId, page: Page<UserId>) -> Result<Vec<LaneGuest>, StoreError>;

    /// Whether there is an operator, or was one by the audit log.
    async fn operators(&self) -> Result<OperatorPresence, StoreError>;

    /// Users whose e-mail address or name contains `text`, newest id first.
    async fn users(&self, text: Option<&str>, page: Page<UserId>) -> Result<Vec<User>, StoreError>;

    /// Users by the start of a text, at most `limit`: those whose e-mail address starts with it, then those whose name
    /// does, then those whose [`later_name`](crate::later_name) does. The case of ASCII letters does not matter. The
    /// cost depends neither on the number of users nor on how many of them match.
    async fn users_starting_with(&self, start: &str, limit: u32) -> Result<Vec<User>, StoreError>;

    /// Every room, by number.
    async fn rooms(&self) -> Result<Vec<Room>, StoreError>;

    /// A page of the rooms, by number. Its cost depends neither on the rooms before it nor on those after it.
    async fn some_rooms(&self, page: Page<RoomId>) -> Result<Vec<Room>, StoreError>;

    /// Every room with its highest position and whether it has a live token, by number: one query, whose cost does not
    /// depend on the number of tokens.
    async fn standings(&self) -> Result<Vec<RoomSummary>, StoreError>;

    /// A room with what became of its tokens.
    async fn room_tally(&self, room: RoomId) -> Result<Option<RoomTally>, StoreError>;

    /// The rooms with a live token, by number. If instances share the database, the cost depends on the number of those
    /// rooms alone.
    async fn busy_rooms(&self) -> Result<Vec<RoomId>, StoreError> {
        let standings = self.standings().await?;
        Ok(standings.iter().filter(|one| one.life == Life::Live).map(|one| one.room.room_id).collect())
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

    /// The tokens of a room up to `to`, whatever their state, by position.
    async fn tokens_up_to(&self, room: RoomId, to: Position, page: Page<Position>) -> Result<Vec<Token>, StoreError>;

    /// The draw of a room; none before its secret was committed to.
    async fn draw(&self, room: RoomId) -> Result<Option<Draw>, StoreError>;

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

    /// The details, posters (without the pictures) and grades of these concerts, each once: one for each, in their
    /// order. The cost depends on the number of their seats.
    async fn profiles(&self, concerts: &[ConcertId]) -> Result<Vec<ConcertProfile>, StoreError>;

    /// The poster of a concert.
    async fn poster(&self, concert: ConcertId) -> Result<Option<Poster>, StoreError>;

    /// The seats of a concert, by seat number.
    async fn seats(&self, concert: ConcertId) -> Result<Vec<Seat>, StoreError>;

    /// The seat of a concert with this seat number.
    async fn seat_at(&self, concert: ConcertId, seat_number: i32) -> Result<Option<Seat>, StoreError>;

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

    /// What was booked with this reference: the payment provider's top-up, then the corrections by their users' ids.
    async fn bookings_of_reference(&self, reference: &str, limit: u32) -> Result<Vec<PointEntry>, StoreError>;

    /// The entries of all point histories that belong to a payment, oldest first: its use and its refund.
    async fn entries_of(&self, payment: PaymentId) -> Result<Vec<PointEntry>, StoreError>;

    /// A debt.
    async fn debt(&self, id: DebtId) -> Result<Option<Debt>, StoreError>;

    /// What was left to be owed of corrections with this reference, by the debtors' ids.
    async fn debts_of_reference(&self, reference: &str, limit: u32) -> Result<Vec<Debt>, StoreError>;

    /// Debts that match, newest first.
    async fn debts(&self, filter: &DebtFilter, page: Page<DebtId>) -> Result<Vec<Debt>, StoreError>;

    /// The operators' audit log, newest first.
    async fn audit(&self, page: Page<AuditId>) -> Result<Vec<AuditEntry>, StoreError>;

    /// The entries of the audit log about one object, such as `payment 9`, newest first.
    async fn audit_of(&self, object: &str, page: Page<AuditId>) -> Result<Vec<AuditEntry>, StoreError>;

    /// The feed of the audit log, oldest first, after the number `page.after`. Entries that are not delivered yet are
    /// missing, and come after all that are there.
    async fn audit_feed(&self, page: Page<FeedNumber>) -> Result<Vec<(FeedNumber, AuditEntry)>, StoreError>;

    /// Events of the outbox, newest first, of the consumers that this version knows.
    async fn outbox(&self, filter: EventFilter, page: Page<EventId>) -> Result<Vec<OutboxEvent>, StoreError>;

    /// When the first pending event of a consumer is due, or was; none if there is none.
    async fn first_event_due_at(&self, consumer: Consumer) -> Result<Option<Time>, StoreError>;

    /// How many events the outbox has for a consumer.
    async fn event_counts(&self, consumer: Consumer) -> Result<EventCounts, StoreError>;

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

    /// What was kept last of a room's line beside its rows. Advisory: see [`SavedLineRecord`].
    async fn line_record(&self, room: RoomId) -> Result<Option<SavedLineRecord>, StoreError>;

    /// Keeps what was measured and told in these lines, apart from all batches, in one transaction. Of each room the
    /// record of the highest epoch stays, and of one epoch the latest: a leader that was replaced and does not know it
    /// takes nothing back.
    ///
    /// # Errors
    /// Nothing was kept, except that after [`StoreError::Unknown`] all of it may have been. No batch fails by it.
    async fn keep_line_records(&self, records: Vec<SavedLineRecord>) -> Result<(), StoreError>;

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
