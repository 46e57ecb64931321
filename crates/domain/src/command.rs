//! What can be asked of the box office, and what it answers.

use crate::{
    concert::{Concert, ConcertStatus, Fold},
    id::{ConcertId, DebtId, PaymentId, Position, ReservationId, RoomId, SeatId, TokenId, UserId},
    money::Money,
    payment::Payment,
    points::{Debt, PointEntry, Settlement},
    policy::TOKENS_PER_ADVANCE_MAX,
    queue::{Fence, Gate, Room, Token},
    refusal::Refusal,
    reservation::Reservation,
    seat::{NewSeat, SeatAction, SeatChange, SeatPlace},
    time::Time,
    user::{Caller, NewUser, Role, Session, User},
};
use jiff::civil;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A command with who gives it and the key that makes it safe to repeat.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who asks.
    pub caller: Caller,
    /// For what.
    pub command: Command,
    /// The key under which the answer is kept.
    pub idempotency: Option<Idempotency>,
}

impl Request {
    /// Whether giving the command again does no harm where nobody knows whether it was done: its key makes the
    /// second time an answer from memory, or it asks for a state and not for a step.
    #[must_use]
    pub const fn is_repeatable(&self) -> bool {
        self.idempotency.is_some()
            || matches!(
                self.command,
                Command::CloseSession { .. }
                    | Command::OpenSession { .. }
                    | Command::CloseSessions { .. }
                    | Command::RenameUser { .. }
                    | Command::LockUser { .. }
                    | Command::UnlockUser { .. }
                    | Command::IssueResetLink { .. }
                    | Command::IssueToken { .. }
                    | Command::ActivateToken { .. }
                    | Command::LeaveQueue { .. }
                    | Command::WakeToken { .. }
                    | Command::AdvanceRoom { .. }
                    | Command::EndLine { .. }
                    | Command::ExpireHolds { .. }
                    | Command::SetRole { .. }
                    | Command::CancelConcert { .. }
                    | Command::RefundConcert { .. }
                    | Command::WindUp { .. }
                    | Command::SettleConcert { .. }
            )
    }
}

/// A hashed idempotency key with the fingerprint of the request that used it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Idempotency {
    /// SHA-256 of caller, method, route and key.
    pub key: [u8; 32],
    /// SHA-256 of the parsed request.
    pub fingerprint: [u8; 32],
}

/// An answer kept under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// The request it belongs to.
    pub idempotency: Idempotency,
    /// The answer as JSON.
    pub answer: String,
    /// When it was given.
    pub created_at: Time,
}

/// Everything that can change something.
#[derive(Debug, Clone)]
pub enum Command {
    /// A user registers.
    Register(NewUser),
    /// A user is given a role, by the box office alone. Their sessions end.
    SetRole {
        /// Who.
        user_id: UserId,
        /// What they may do from now on.
        role: Role,
    },
    /// A user is given a name, by the box office alone.
    RenameUser {
        /// Who.
        user_id: UserId,
        /// What they are called from now on.
        name: String,
    },
    /// A user signs in; the password was checked before.
    OpenSession {
        /// The session.
        session: Session,
        /// The user's [`sign_in_epoch`](crate::user::User::sign_in_epoch) when the password was checked.
        epoch: i64,
    },
    /// All sessions of a user end, by the user or the box office.
    CloseSessions {
        /// Whose.
        user_id: UserId,
    },
    /// A user sets their password, or the box office sets it. All other sessions end.
    SetPassword(NewPassword),
    /// An operator or the box office locks an account. Its sessions end.
    LockUser {
        /// Whose.
        user_id: UserId,
    },
    /// An operator or the box office unlocks an account.
    UnlockUser {
        /// Whose.
        user_id: UserId,
    },
    /// An operator or the box office makes a link that sets a new password, once.
    IssueResetLink {
        /// For whose account.
        user_id: UserId,
        /// SHA-256 of the link's secret.
        secret_hash: [u8; 32],
    },
    /// A reset link's secret sets a new password. All sessions end.
    RedeemResetLink {
        /// Whose account.
        user_id: UserId,
        /// SHA-256 of the link's secret.
        secret_hash: [u8; 32],
        /// The PHC string of the new password's hash.
        password_hash: PasswordHash,
    },
    /// A user has their account erased, or the box office erases it: name, address and password go, the books stay.
    EraseUser(Erasure),
    /// A user signs out.
    CloseSession {
        /// SHA-256 of the session's secret.
        secret_hash: [u8; 32],
    },
    /// The caller joins a line (대기토큰발급).
    IssueToken {
        /// Which line.
        room_id: RoomId,
        /// The concert it is joined for, whose room this is.
        concert_id: Option<ConcertId>,
    },
    /// The caller claims their turn (사용자활성화).
    ActivateToken {
        /// Which token.
        token: TokenId,
    },
    /// The caller leaves the line (토큰만료).
    LeaveQueue {
        /// Which token.
        token: TokenId,
    },
    /// The caller showed a sign of life: an active token is renewed, a dormant one waits again.
    WakeToken {
        /// Which token.
        token: TokenId,
    },
    /// The line moves: due tokens lapse and the next ones are offered a turn.
    AdvanceRoom {
        /// Which line.
        room_id: RoomId,
        /// Which leader says so.
        fence: Fence,
        /// How many tokens at the head to look at, at most; never more than
        /// [`TOKENS_PER_ADVANCE_MAX`].
        limit: u32,
        /// Those of them that nobody has been heard of.
        unresponsive: Vec<Position>,
    },
    /// The places at the head of a concert's own line end, by the box office alone, once the concert is cancelled or
    /// [has been over for a while](Concert::is_line_over).
    EndLine {
        /// Which concert.
        concert_id: ConcertId,
        /// How many tokens, at most; never more than [`TOKENS_PER_ADVANCE_MAX`].
        limit: u32,
    },
    /// The caller holds seats (예약생성), all or nothing.
    Hold {
        /// Their active token.
        token: TokenId,
        /// Which seats, of one concert.
        seat_ids: Vec<SeatId>,
    },
    /// The caller gives a held seat up (예약취소).
    CancelReservation {
        /// Which reservation.
        reservation_id: ReservationId,
    },
    /// Holds whose time is over are swept, so that the table says what has been true already.
    ExpireHolds {
        /// Which reservations may be due.
        reservation_ids: Vec<ReservationId>,
    },
    /// The caller pays (결제처리), all or nothing.
    Pay {
        /// Their active token.
        token: TokenId,
        /// For which reservations, of one concert.
        reservation_ids: Vec<ReservationId>,
    },
    /// A payment is given back (결제환불). The seat is available again while the sale is open, and blocked when it is
    /// over.
    Refund {
        /// Which payment.
        payment_id: PaymentId,
    },
    /// Points are charged (잔액충전).
    Charge {
        /// To whose account.
        user_id: UserId,
        /// How much.
        amount: Money,
        /// The payment provider's reference, used once for ever. Only operators, the service key and the box office
        /// itself may name one.
        reference: Option<String>,
    },
    /// The box office corrects a balance. What cannot be taken becomes a debt.
    Adjust(NewAdjustment),
    /// The box office settles a debt.
    SettleDebt {
        /// Whose.
        user_id: UserId,
        /// Which debt.
        debt_id: DebtId,
        /// How.
        how: Settlement,
        /// Why, for the audit log.
        reason: String,
    },
    /// Sign-ins to an operator's account failed, says the box office.
    NoteFailedSignIns {
        /// Whose account.
        user_id: UserId,
        /// How many, since they were noted last.
        count: u32,
    },
    /// An operator creates a concert.
    CreateConcert(NewConcert),
    /// An operator changes a concert.
    UpdateConcert {
        /// Which concert.
        concert_id: ConcertId,
        /// What changes.
        change: ConcertChange,
    },
    /// An operator cancels a concert, for good: nothing of it is held or paid any more, and its buyers may have their
    /// points back at any time.
    CancelConcert {
        /// Which concert.
        concert_id: ConcertId,
        /// Why, for the buyers.
        reason: String,
    },
    /// An operator asks for every payment of a cancelled concert to be given back.
    RefundConcert {
        /// Which concert.
        concert_id: ConcertId,
    },
    /// A part of a cancelled concert is wound up, by the box office alone: its holds end, its seats are blocked, and
    /// payments are given back if an operator asked for that. What is done already is left out.
    WindUp {
        /// Which concert.
        concert_id: ConcertId,
        /// Seats that are not paid, at most [`WIND_UP_MAX`](crate::policy::WIND_UP_MAX).
        seat_ids: Vec<SeatId>,
        /// Payments, at most [`WIND_UP_MAX`](crate::policy::WIND_UP_MAX).
        payment_ids: Vec<PaymentId>,
    },
    /// Nothing of a cancelled concert was found that is left to wind up, says the box office.
    SettleConcert {
        /// Which concert.
        concert_id: ConcertId,
        /// The concert's `updated_at` before the search: if it was changed since, there may be more to do.
        seen: Time,
    },
    /// An operator adds seats to a concert.
    AddSeats {
        /// Which concert.
        concert_id: ConcertId,
        /// The seats.
        seats: Vec<NewSeat>,
    },
    /// An operator blocks or frees seats.
    SetSeats {
        /// Which seats.
        seat_ids: Vec<SeatId>,
        /// What happens to them.
        action: SeatAction,
    },
    /// An operator changes seats that are neither held nor sold.
    ChangeSeats {
        /// Of which concert.
        concert_id: ConcertId,
        /// Which seats.
        seat_ids: Vec<SeatId>,
        /// What changes of each.
        change: SeatChange,
    },
    /// An operator removes seats that were never held.
    RemoveSeats {
        /// Of which concert.
        concert_id: ConcertId,
        /// Which seats.
        seat_ids: Vec<SeatId>,
    },
    /// An operator changes a room's settings.
    SetRoom {
        /// Which room.
        room_id: RoomId,
        /// What changes.
        change: RoomChange,
    },
    /// A line gets a new epoch, by the box office alone: tokens that were signed before are refused. Places stay, and
    /// whoever joins again gets the same one with a token of the new epoch.
    RenewLine {
        /// Which line.
        room_id: RoomId,
    },
}

/// A correction of a balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAdjustment {
    /// Whose balance.
    pub user_id: UserId,
    /// How much is given, or taken where it is negative.
    pub amount: Money,
    /// Why, for the user's statement and the audit log.
    pub reason: String,
    /// What it is booked under: used once for each user.
    pub reference: String,
}

/// The PHC string of a password's hash.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// How the one who asks for a change of an account has proved that it is theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// By its password, which was checked at this [`sign_in_epoch`](crate::user::User::sign_in_epoch).
    Password(i64),
    /// Not at all: the box office itself asks.
    Unneeded,
}

/// A new password for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPassword {
    /// Whose.
    pub user_id: UserId,
    /// The new password's hash.
    pub password_hash: PasswordHash,
    /// How the old one was proved.
    pub proof: Proof,
    /// SHA-256 of the secret of the session that goes on; none where all end.
    pub kept_session: Option<[u8; 32]>,
}

/// Whether an erasure takes away what has a worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// It is refused while there are points or tickets.
    Kept,
    /// Points and tickets stay under the erased id, where they cannot be used.
    Abandoned,
}

/// An account to erase, with what of it is live. The command names it, so that a store locks it; what comes after it
/// was read lapses by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Whose.
    pub user_id: UserId,
    /// How the caller has proved that it is theirs.
    pub proof: Proof,
    /// The erasure is refused unless the account [has been idle](crate::user::User::is_idle_since) since then. None
    /// asks for no idleness.
    pub idle_since: Option<Time>,
    /// What is to become of points and tickets.
    pub worth: Worth,
    /// The user's live tokens.
    pub tokens: Vec<TokenId>,
    /// The user's live reservations.
    pub reservations: Vec<ReservationId>,
}

/// A concert that an operator creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConcert {
    /// What it is called.
    pub title: String,
    /// Who plays.
    pub artist: String,
    /// Where.
    pub venue: String,
    /// The venue's time zone.
    pub time_zone: String,
    /// The date at the venue.
    pub concert_date: civil::Date,
    /// When it starts, at the venue.
    pub start_time: civil::Time,
    /// When it ends, at the venue.
    pub end_time: civil::Time,
    /// The moment it starts.
    pub starts_at: Time,
    /// The moment it ends.
    pub ends_at: Time,
    /// What a seat costs unless its grade says otherwise.
    pub base_price: Money,
    /// When the sale opens.
    pub opens_at: Time,
    /// When the sale closes; none for the start, whenever that is.
    pub closes_at: Option<Time>,
    /// How many may be active in its own room; none for the house room.
    pub own_room_max_active: Option<i64>,
}

/// What an operator changes of a concert; none leaves it. What depends on several fields is decided from the row, so
/// that of two changes at once neither is lost.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ConcertChange {
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Who plays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artist: Option<String>,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue: Option<String>,
    /// The venue's time zone, by its IANA name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The date at the venue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concert_date: Option<civil::Date>,
    /// When it starts, at the venue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<civil::Time>,
    /// When it ends, at the venue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<civil::Time>,
    /// Which moment is meant where the venue's clock shows the start or the end twice. It is not kept: a later change of
    /// such hours says it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<Fold>,
    /// What a new seat costs unless its grade says otherwise. Seats that are there keep their price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_price: Option<Money>,
    /// When the sale opens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Time>,
    /// When the sale closes; `Some(None)` for the start, whenever that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<Option<Time>>,
    /// What is to become of it: scheduled, closed or postponed. It takes the old reason away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ConcertStatus>,
    /// Why, for the buyers; `Some(None)` takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<Option<String>>,
    /// Gives it a room of its own with this cap, before its sale has ever opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_room_max_active: Option<i64>,
}

/// What an operator changes of a room; none leaves it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RoomChange {
    /// The cap on active tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_active: Option<i64>,
    /// The rate; `Some(None)` takes the limit away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admit_per_minute: Option<Option<i64>>,
    /// Whether the line moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// What everybody in line is told; `Some(None)` takes it away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Option<String>>,
}

/// What a command brought about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "value", rename_all = "snake_case")]
pub enum Outcome {
    /// The user who registered.
    Registered(User),
    /// The user as they now are.
    User(User),
    /// The session is open.
    SignedIn {
        /// Until when.
        expires_at: Time,
        /// What the user may do.
        role: Role,
    },
    /// The token that the caller has in the room, new or from before.
    Joined {
        /// The token.
        token: Token,
        /// Whether it is new.
        issue: Issue,
    },
    /// The token as it now is.
    Token(Token),
    /// The turn is the caller's, but the room is full for a moment: ask again at once, nothing is lost.
    TurnPending(Token),
    /// The line moved.
    Advanced {
        /// How many turns were offered.
        offered: u32,
        /// How many silent tokens were put aside.
        made_dormant: u32,
        /// How many tokens lapsed, or ended with their line.
        after_deadline: u32,
    },
    /// The line did not move: a later leader has moved it since.
    Superseded {
        /// That leader's number.
        fence: i64,
    },
    /// The seats are held.
    Held(Vec<Reservation>),
    /// The reservation is cancelled.
    Cancelled(Reservation),
    /// So many holds were swept.
    HoldsExpired(u32),
    /// The reservations are paid.
    Paid(Vec<Payment>),
    /// The payment was given back.
    Refunded(Payment),
    /// The points were charged.
    Charged(PointEntry),
    /// The balance was corrected.
    Adjusted {
        /// The history's new entry; none where nothing could be taken.
        entry: Option<PointEntry>,
        /// What is owed, if not all could be taken.
        debt: Option<Debt>,
    },
    /// The debt as it now is.
    Debt(Debt),
    /// The concert as it now is.
    Concert(Concert),
    /// So much of a cancelled concert was wound up.
    WoundUp {
        /// How many seats were blocked that were not paid.
        seats: u32,
        /// How many payments were given back.
        refunds: u32,
    },
    /// Seats were added.
    SeatsAdded {
        /// The first seat's id; the others follow without gaps.
        first_seat_id: SeatId,
        /// How many.
        count: u32,
    },
    /// The reset link is good.
    ResetLinkIssued {
        /// Until when.
        expires_at: Time,
    },
    /// So many seats were blocked, freed, changed or removed.
    SeatsSet(u32),
    /// The room as it now is.
    Room(Room),
    /// It is done, and there is nothing to say about it.
    Done,
}

/// Whether asking for a token made one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Issue {
    /// A new place at the end of the line.
    New,
    /// The place the user had.
    Existing,
}

/// What a command is answered with.
pub type Decision = Result<Outcome, Refusal>;

/// An answer, and whether it was given before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What was decided.
    pub decision: Decision,
    /// Whether it was decided now.
    pub replay: Replay,
}

/// Whether an answer is a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// Decided now.
    Fresh,
    /// Kept under the idempotency key from the first time.
    Replayed,
}

/// The rows that a batch of commands must see. A store loads these and what hangs on them:
/// of a seat its concert and its live reservation, of a reservation its seat, of a payment its reservation,
/// of a pair of user and concert the live reservations.
#[derive(Debug, Clone, Default)]
pub struct Footprint {
    /// Kept answers.
    pub idempotency: Vec<Idempotency>,
    /// E-mail addresses that may be taken.
    pub emails: Vec<String>,
    /// Users by id.
    pub users: Vec<UserId>,
    /// Users whose reset link is used.
    pub reset_links: Vec<UserId>,
    /// Sessions to close.
    pub sessions: Vec<[u8; 32]>,
    /// Rooms that take part. Their rows are locked only where `advanced` or `claimed` names them.
    pub rooms: Vec<RoomId>,
    /// Rooms in which turns are offered or claimed: their counts, and the active tokens that are overdue, at most
    /// [`TOKENS_PER_ADVANCE_MAX`] by deadline and position.
    pub counted: Vec<RoomId>,
    /// Rooms that move: so many at the head, and of the due tokens at most
    /// [`TOKENS_PER_ADVANCE_MAX`], by status (active, offered, missed, dormant)
    /// and in each by deadline and position.
    pub advanced: Vec<(RoomId, u32)>,
    /// Tokens by id.
    pub tokens: Vec<TokenId>,
    /// The live token of a user in a room.
    pub places: Vec<(UserId, RoomId)>,
    /// Concerts by id.
    pub concerts: Vec<ConcertId>,
    /// Seats by id.
    pub seats: Vec<SeatId>,
    /// Users who want seats: their live reservations in the concerts of these seats.
    pub holdings: Vec<(UserId, SeatId)>,
    /// Reservations by id.
    pub reservations: Vec<ReservationId>,
    /// Payments by id.
    pub payments: Vec<PaymentId>,
    /// Accounts by user; also those of the payments' users.
    pub points: Vec<UserId>,
    /// External references of charges that may have been used.
    pub references: Vec<String>,
    /// References of adjustments of users that may have been used.
    pub adjustments: Vec<(UserId, String)>,
    /// Debts by id.
    pub debts: Vec<DebtId>,
    /// Users all of whose open debts count.
    pub debtors: Vec<UserId>,
    /// Concerts that get seats: which of these numbers and places they have, and their highest number.
    pub new_seats: Vec<(ConcertId, Vec<i32>, Vec<SeatPlace>)>,
    /// Concerts whose seats move: the places in them that the change may make.
    pub moved_seats: Vec<(ConcertId, SeatChange)>,
    /// How many new rows there may be at most.
    pub demand: Demand,
}

/// How many numbers a batch takes at most: what a store with many writers reserves for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// Positions, by room.
    pub positions: BTreeMap<RoomId, usize>,
    /// Ids of concerts.
    pub concerts: usize,
    /// Ids of seats, without gaps.
    pub seats: usize,
    /// Ids of reservations.
    pub reservations: usize,
    /// Ids of payments.
    pub payments: usize,
    /// Ids of point accounts.
    pub points: usize,
    /// Ids of history entries.
    pub history: usize,
    /// Ids of audit lines.
    pub audit: usize,
    /// Ids of debts.
    pub debts: usize,
}

fn raise(count: &mut usize, by: usize) {
    *count = count.saturating_add(by);
}

impl Footprint {
    /// The keys of a whole batch.
    #[must_use]
    pub fn of(batch: &[Request]) -> Self {
        let mut keys = Self::default();
        for request in batch {
            keys.add(request);
        }
        keys
    }

    fn add(&mut self, request: &Request) {
        self.idempotency.extend(request.idempotency);
        // It is refused whatever the rows say: no row is locked for it, and no number is drawn.
        if request.command.check_bounds().is_err() {
            return;
        }
        let caller = request.caller.user_id();
        match &request.command {
            Command::Register(user) => {
                self.emails.push(user.email.clone());
                self.users.push(user.user_id);
                raise(&mut self.demand.audit, 1);
            }
            Command::SetRole { .. }
            | Command::RenameUser { .. }
            | Command::LockUser { .. }
            | Command::UnlockUser { .. }
            | Command::CloseSessions { .. }
            | Command::IssueResetLink { .. }
            | Command::SetPassword(_)
            | Command::RedeemResetLink { .. }
            | Command::EraseUser(_) => self.add_account(&request.command),
            Command::OpenSession { session, .. } => {
                self.users.push(session.user_id);
                raise(&mut self.demand.audit, usize::from(session.role == Role::Operator));
            }
            Command::NoteFailedSignIns { user_id, .. } => {
                self.users.push(*user_id);
                raise(&mut self.demand.audit, 1);
            }
            Command::Charge { .. } | Command::Adjust(_) | Command::SettleDebt { .. } => {
                self.add_points(&request.command);
            }
            Command::CloseSession { secret_hash } => self.sessions.push(*secret_hash),
            Command::IssueToken { room_id, concert_id } => {
                self.rooms.push(*room_id);
                self.concerts.extend(concert_id);
                self.places.extend(caller.map(|user| (user, *room_id)));
                raise(self.demand.positions.entry(*room_id).or_default(), 1);
            }
            Command::ActivateToken { token } => {
                self.rooms.push(token.room_id);
                self.counted.push(token.room_id);
                self.tokens.push(*token);
            }
            Command::LeaveQueue { token } | Command::WakeToken { token } => self.tokens.push(*token),
            Command::AdvanceRoom { room_id, limit, .. } => {
                self.rooms.push(*room_id);
                self.counted.push(*room_id);
                self.advanced.push((*room_id, (*limit).min(TOKENS_PER_ADVANCE_MAX)));
            }
            Command::EndLine { concert_id, limit } => {
                let room_id = RoomId::of_concert(*concert_id);
                self.concerts.push(*concert_id);
                self.rooms.push(room_id);
                self.counted.push(room_id);
                self.advanced.push((room_id, (*limit).min(TOKENS_PER_ADVANCE_MAX)));
            }
            Command::Hold { token, seat_ids } => {
                self.tokens.push(*token);
                self.seats.extend(seat_ids);
                self.holdings.extend(caller.zip(seat_ids.first().copied()));
                raise(&mut self.demand.reservations, seat_ids.len());
            }
            Command::CancelReservation { reservation_id } => {
                self.reservations.push(*reservation_id);
                raise(&mut self.demand.audit, 1);
            }
            Command::ExpireHolds { reservation_ids } => self.reservations.extend(reservation_ids),
            Command::Pay { token, reservation_ids } => {
                self.tokens.push(*token);
                self.reservations.extend(reservation_ids);
                self.points.extend(caller);
                raise(&mut self.demand.payments, reservation_ids.len());
                raise(&mut self.demand.history, reservation_ids.len());
            }
            Command::Refund { payment_id } => {
                self.payments.push(*payment_id);
                raise(&mut self.demand.history, 1);
                raise(&mut self.demand.audit, 1);
            }
            Command::CreateConcert(_)
            | Command::UpdateConcert { .. }
            | Command::CancelConcert { .. }
            | Command::RefundConcert { .. }
            | Command::SettleConcert { .. }
            | Command::WindUp { .. }
            | Command::AddSeats { .. }
            | Command::ChangeSeats { .. }
            | Command::RemoveSeats { .. } => self.add_concert(&request.command),
            Command::SetSeats { seat_ids, .. } => {
                self.seats.extend(seat_ids);
                raise(&mut self.demand.audit, 1);
            }
            Command::SetRoom { room_id, .. } | Command::RenewLine { room_id } => {
                self.rooms.push(*room_id);
                raise(&mut self.demand.audit, 1);
            }
        }
    }

    /// Points that the box office moves, and a line of the audit log.
    fn add_points(&mut self, command: &Command) {
        let user_id = match command {
            Command::Charge { user_id, reference, .. } => {
                self.references.extend(reference.clone());
                user_id
            }
            Command::Adjust(NewAdjustment { user_id, reference, .. }) => {
                self.adjustments.push((*user_id, reference.clone()));
                raise(&mut self.demand.debts, 1);
                user_id
            }
            Command::SettleDebt { user_id, debt_id, .. } => {
                self.debts.push(*debt_id);
                user_id
            }
            _ => return,
        };
        self.users.push(*user_id);
        self.points.push(*user_id);
        raise(&mut self.demand.points, 1);
        raise(&mut self.demand.history, 1);
        raise(&mut self.demand.audit, 1);
    }

    /// A change of an account that exists: the user, and a line of the audit log.
    fn add_account(&mut self, command: &Command) {
        match command {
            Command::SetRole { user_id, .. }
            | Command::RenameUser { user_id, .. }
            | Command::LockUser { user_id }
            | Command::UnlockUser { user_id }
            | Command::CloseSessions { user_id }
            | Command::IssueResetLink { user_id, .. }
            | Command::SetPassword(NewPassword { user_id, .. }) => self.users.push(*user_id),
            Command::RedeemResetLink { user_id, .. } => {
                self.users.push(*user_id);
                self.reset_links.push(*user_id);
            }
            Command::EraseUser(erasure) => {
                self.users.push(erasure.user_id);
                self.points.push(erasure.user_id);
                self.debtors.push(erasure.user_id);
                self.tokens.extend(&erasure.tokens);
                self.reservations.extend(&erasure.reservations);
            }
            _ => return,
        }
        raise(&mut self.demand.audit, 1);
    }

    /// A new concert or a change of one, and a line of the audit log.
    fn add_concert(&mut self, command: &Command) {
        match command {
            Command::CreateConcert(_) => raise(&mut self.demand.concerts, 1),
            Command::UpdateConcert { concert_id, .. }
            | Command::CancelConcert { concert_id, .. }
            | Command::RefundConcert { concert_id }
            | Command::SettleConcert { concert_id, .. } => {
                self.concerts.push(*concert_id);
                self.rooms.push(RoomId::of_concert(*concert_id));
            }
            Command::WindUp { concert_id, seat_ids, payment_ids } => {
                self.concerts.push(*concert_id);
                self.seats.extend(seat_ids);
                self.payments.extend(payment_ids);
                raise(&mut self.demand.history, payment_ids.len());
            }
            Command::AddSeats { concert_id, seats } => {
                self.concerts.push(*concert_id);
                let numbers = seats.iter().filter_map(|seat| seat.seat_number).collect();
                let places = seats.iter().filter_map(|seat| Some(seat.printed()?.place())).collect();
                self.new_seats.push((*concert_id, numbers, places));
                raise(&mut self.demand.seats, seats.len());
            }
            Command::ChangeSeats { concert_id, seat_ids, change } => {
                self.concerts.push(*concert_id);
                self.seats.extend(seat_ids);
                if change.moves() {
                    self.moved_seats.push((*concert_id, change.clone()));
                }
            }
            Command::RemoveSeats { concert_id, seat_ids } => {
                self.concerts.push(*concert_id);
                self.seats.extend(seat_ids);
            }
            _ => return,
        }
        raise(&mut self.demand.audit, 1);
    }
}
