//! The requests to the box office, and its answers.

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

/// A command with its caller and the key that makes it safe to repeat.
#[derive(Debug, Clone)]
pub struct Request {
    /// The caller.
    pub caller: Caller,
    /// The command.
    pub command: Command,
    /// The key under which the answer is stored.
    pub idempotency: Option<Idempotency>,
}

impl Request {
    /// Whether the command may be run again if it is unknown whether it was done: a second run returns the answer
    /// stored under its key, or the command asks for a state and not for a step.
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

/// An answer stored under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// The request it belongs to.
    pub idempotency: Idempotency,
    /// The answer as JSON.
    pub answer: String,
    /// When it was given.
    pub created_at: Time,
}

/// Every command that can change something.
#[derive(Debug, Clone)]
pub enum Command {
    /// A user registers.
    Register(NewUser),
    /// A user gets a role, by the box office alone. Their sessions end.
    SetRole {
        /// The user.
        user_id: UserId,
        /// The new role.
        role: Role,
    },
    /// A user gets a name, by the box office alone.
    RenameUser {
        /// The user.
        user_id: UserId,
        /// The new name.
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
        /// The user.
        user_id: UserId,
    },
    /// A user sets their password, or the box office sets it. All other sessions end.
    SetPassword(NewPassword),
    /// An operator or the box office locks an account. Its sessions end.
    LockUser {
        /// The user.
        user_id: UserId,
    },
    /// An operator or the box office unlocks an account.
    UnlockUser {
        /// The user.
        user_id: UserId,
    },
    /// An operator or the box office makes a link that sets a new password, once.
    IssueResetLink {
        /// The user.
        user_id: UserId,
        /// SHA-256 of the link's secret.
        secret_hash: [u8; 32],
    },
    /// A reset link's secret sets a new password. All sessions end.
    RedeemResetLink {
        /// The user.
        user_id: UserId,
        /// SHA-256 of the link's secret.
        secret_hash: [u8; 32],
        /// The PHC string of the new password's hash.
        password_hash: PasswordHash,
    },
    /// A user's account is erased, by the user or the box office: name, address and password are removed, the books
    /// stay.
    EraseUser(Erasure),
    /// A user signs out.
    CloseSession {
        /// SHA-256 of the session's secret.
        secret_hash: [u8; 32],
    },
    /// The caller joins a line (대기토큰발급).
    IssueToken {
        /// The room.
        room_id: RoomId,
        /// The concert for which the user joins, if the room is the concert's own.
        concert_id: Option<ConcertId>,
    },
    /// The caller claims their turn (사용자활성화).
    ActivateToken {
        /// The token.
        token: TokenId,
    },
    /// The caller leaves the line (토큰만료).
    LeaveQueue {
        /// The token.
        token: TokenId,
    },
    /// A heartbeat of the caller: an active token is renewed, a dormant one waits again.
    WakeToken {
        /// The token.
        token: TokenId,
    },
    /// The line advances: deadlines take effect, and the next tokens are offered a turn.
    AdvanceRoom {
        /// The room.
        room_id: RoomId,
        /// The leader's fence.
        fence: Fence,
        /// How many tokens at the head to handle; never more than [`TOKENS_PER_ADVANCE_MAX`].
        limit: u32,
        /// The unresponsive ones among them.
        unresponsive: Vec<Position>,
    },
    /// The places at the head of a concert's own line end, by the box office alone, once the concert is cancelled or
    /// [has been over for a while](Concert::is_line_over).
    EndLine {
        /// The concert.
        concert_id: ConcertId,
        /// How many tokens, at most; never more than [`TOKENS_PER_ADVANCE_MAX`].
        limit: u32,
    },
    /// The caller holds seats (예약생성), all or nothing.
    Hold {
        /// The caller's active token.
        token: TokenId,
        /// The seats, all of one concert.
        seat_ids: Vec<SeatId>,
    },
    /// The caller gives a held seat up (예약취소).
    CancelReservation {
        /// The reservation.
        reservation_id: ReservationId,
    },
    /// Overdue holds are swept, so that their rows say that they have ended.
    ExpireHolds {
        /// Reservations whose hold may be overdue.
        reservation_ids: Vec<ReservationId>,
    },
    /// The caller pays (결제처리), all or nothing.
    Pay {
        /// The caller's active token.
        token: TokenId,
        /// The reservations, all of one concert.
        reservation_ids: Vec<ReservationId>,
    },
    /// A payment is refunded (결제환불). The seat becomes available if the sale is open, and blocked if it is over.
    Refund {
        /// The payment.
        payment_id: PaymentId,
    },
    /// Points are topped up (잔액충전).
    TopUp {
        /// The account's user.
        user_id: UserId,
        /// The amount.
        amount: Money,
        /// The payment provider's reference, used only once. Only operators, the service key and the box office itself
        /// may pass one.
        reference: Option<String>,
    },
    /// The box office corrects a balance. Points that the balance lacks become a debt.
    Adjust(NewAdjustment),
    /// The box office settles a debt.
    SettleDebt {
        /// The user.
        user_id: UserId,
        /// The debt.
        debt_id: DebtId,
        /// Whether it is collected or waived.
        how: Settlement,
        /// The reason, for the audit log.
        reason: String,
    },
    /// The box office reports failed sign-ins to an operator's account.
    NoteFailedSignIns {
        /// The user.
        user_id: UserId,
        /// How many, since the last report.
        count: u32,
    },
    /// An operator creates a concert.
    CreateConcert(NewConcert),
    /// An operator changes a concert.
    UpdateConcert {
        /// The concert.
        concert_id: ConcertId,
        /// The changes.
        change: ConcertChange,
    },
    /// An operator cancels a concert, for good: its seats can no longer be held or paid for, and its buyers may have
    /// refunds at any time.
    CancelConcert {
        /// The concert.
        concert_id: ConcertId,
        /// The reason, for the buyers.
        reason: String,
    },
    /// An operator requests the refund of every payment of a cancelled concert.
    RefundConcert {
        /// The concert.
        concert_id: ConcertId,
    },
    /// A part of a cancelled concert is wound up, by the box office alone: its holds end, its seats are blocked, and
    /// its payments are refunded if an operator asked for that. Finished seats and payments are skipped.
    WindUp {
        /// The concert.
        concert_id: ConcertId,
        /// Unpaid seats, at most [`WIND_UP_MAX`](crate::policy::WIND_UP_MAX).
        seat_ids: Vec<SeatId>,
        /// Payments, at most [`WIND_UP_MAX`](crate::policy::WIND_UP_MAX).
        payment_ids: Vec<PaymentId>,
    },
    /// The box office found nothing left to wind up of a cancelled concert.
    SettleConcert {
        /// The concert.
        concert_id: ConcertId,
        /// The concert's `updated_at` before the search: after a later change there may be more to do.
        seen: Time,
    },
    /// An operator adds seats to a concert.
    AddSeats {
        /// The concert.
        concert_id: ConcertId,
        /// The seats.
        seats: Vec<NewSeat>,
    },
    /// An operator blocks or frees seats.
    SetSeats {
        /// The seats.
        seat_ids: Vec<SeatId>,
        /// Whether they are blocked or freed.
        action: SeatAction,
    },
    /// An operator changes seats that are neither held nor sold.
    ChangeSeats {
        /// The concert.
        concert_id: ConcertId,
        /// The seats.
        seat_ids: Vec<SeatId>,
        /// The changes of each seat.
        change: SeatChange,
    },
    /// An operator removes seats that were never held.
    RemoveSeats {
        /// The concert.
        concert_id: ConcertId,
        /// The seats.
        seat_ids: Vec<SeatId>,
    },
    /// An operator changes a room's settings.
    SetRoom {
        /// The room.
        room_id: RoomId,
        /// The changes.
        change: RoomChange,
    },
    /// A line gets a new epoch, by the box office alone: tokens signed before are refused. Places stay: a user who
    /// joins again gets the same place, with a token of the new epoch.
    RenewLine {
        /// The room.
        room_id: RoomId,
    },
}

/// A correction of a balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAdjustment {
    /// The user.
    pub user_id: UserId,
    /// The points to give, or to take if negative.
    pub amount: Money,
    /// The reason, for the user's statement and the audit log.
    pub reason: String,
    /// The reference of the booking, used only once for each user.
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

/// How the caller of an account change has proved to be its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// By the password, which was checked at this [`sign_in_epoch`](crate::user::User::sign_in_epoch).
    Password(i64),
    /// Not at all: the caller is the box office itself.
    Unneeded,
}

/// A new password for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPassword {
    /// The user.
    pub user_id: UserId,
    /// The new password's hash.
    pub password_hash: PasswordHash,
    /// The proof of the old password.
    pub proof: Proof,
    /// SHA-256 of the secret of the session to keep; none to end all.
    pub kept_session: Option<[u8; 32]>,
}

/// Whether an erasure may abandon points and tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// No: it is refused while there are points or tickets.
    Kept,
    /// Yes: they stay under the erased id, where they cannot be used.
    Abandoned,
}

/// An account to erase, with its live tokens and reservations. The command names them, so that a store locks them; any
/// that are newer end by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// The user.
    pub user_id: UserId,
    /// How the caller has proved to be the owner.
    pub proof: Proof,
    /// Refuses the erasure unless the account [has been idle](crate::user::User::is_idle_since) since then. None checks
    /// no idleness.
    pub idle_since: Option<Time>,
    /// Whether points and tickets may be abandoned.
    pub worth: Worth,
    /// The user's live tokens.
    pub tokens: Vec<TokenId>,
    /// The user's live reservations.
    pub reservations: Vec<ReservationId>,
}

/// A concert that an operator creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConcert {
    /// The title.
    pub title: String,
    /// The artist.
    pub artist: String,
    /// The venue.
    pub venue: String,
    /// The venue's time zone.
    pub time_zone: String,
    /// The date at the venue.
    pub concert_date: civil::Date,
    /// The start, in the venue's local time.
    pub start_time: civil::Time,
    /// The end, in the venue's local time.
    pub end_time: civil::Time,
    /// The moment of the start.
    pub starts_at: Time,
    /// The moment of the end.
    pub ends_at: Time,
    /// The price of a seat unless its grade has another.
    pub base_price: Money,
    /// When the sale opens.
    pub opens_at: Time,
    /// When the sale closes; none for the start of the concert, also if that moves.
    pub closes_at: Option<Time>,
    /// The cap of the concert's own room; none to use the house room.
    pub own_room_max_active: Option<i64>,
}

/// An operator's changes of a concert; none leaves a field. Values that depend on several fields are computed from the
/// row, so that of two concurrent changes neither is lost.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ConcertChange {
    /// The title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The artist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artist: Option<String>,
    /// The venue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue: Option<String>,
    /// The venue's time zone, by its IANA name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The date at the venue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concert_date: Option<civil::Date>,
    /// The start, in the venue's local time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<civil::Time>,
    /// The end, in the venue's local time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<civil::Time>,
    /// Which moment is meant if the venue's clock shows the start or the end twice. It is not stored: a later change of
    /// such hours must repeat it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<Fold>,
    /// The price of a new seat unless its grade has another. Existing seats keep their price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_price: Option<Money>,
    /// When the sale opens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Time>,
    /// When the sale closes; `Some(None)` for the start of the concert, also if that moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes_at: Option<Option<Time>>,
    /// The new status: scheduled, closed or postponed. It removes the old reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ConcertStatus>,
    /// The reason, for the buyers; `Some(None)` removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<Option<String>>,
    /// Gives the concert a room of its own with this cap; possible only before its sale has ever opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_room_max_active: Option<i64>,
}

/// An operator's changes of a room; none leaves a field.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct RoomChange {
    /// The cap on active tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_active: Option<i64>,
    /// The rate, in turns a minute; `Some(None)` removes the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admit_per_minute: Option<Option<i64>>,
    /// Whether the line moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// The message to all clients in line; `Some(None)` removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Option<String>>,
}

/// The result of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "value", rename_all = "snake_case")]
pub enum Outcome {
    /// The user who registered.
    Registered(User),
    /// The user as they now are.
    User(User),
    /// The session is open.
    SignedIn {
        /// When it ends.
        expires_at: Time,
        /// The user's role.
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
    /// The token has its turn, but the room is full at the moment: the client repeats at once and loses nothing.
    TurnPending(Token),
    /// The line moved.
    Advanced {
        /// How many turns were offered.
        offered: u32,
        /// How many unresponsive tokens became dormant.
        made_dormant: u32,
        /// How many tokens changed state by their deadline, or ended with their line.
        overdue: u32,
    },
    /// The line did not move: a later leader has moved it since.
    Superseded {
        /// That leader's fence.
        fence: i64,
    },
    /// The seats are held.
    Held(Vec<Reservation>),
    /// The reservation is cancelled.
    Cancelled(Reservation),
    /// This many holds were swept.
    HoldsExpired(u32),
    /// The reservations are paid.
    Paid(Vec<Payment>),
    /// The payment was refunded.
    Refunded(Payment),
    /// The points were topped up.
    ToppedUp(PointEntry),
    /// The balance was corrected.
    Adjusted {
        /// The new entry in the history; none if no points could be taken.
        entry: Option<PointEntry>,
        /// The debt, if not all could be taken.
        debt: Option<Debt>,
    },
    /// The debt as it now is.
    Debt(Debt),
    /// The concert as it now is.
    Concert(Concert),
    /// A part of a cancelled concert was wound up.
    WoundUp {
        /// How many unpaid seats were blocked.
        seats: u32,
        /// How many payments were refunded.
        refunds: u32,
    },
    /// Seats were added.
    SeatsAdded {
        /// The first seat's id; the others follow without gaps.
        first_seat_id: SeatId,
        /// How many seats.
        count: u32,
    },
    /// The reset link was issued.
    ResetLinkIssued {
        /// When it ends.
        expires_at: Time,
    },
    /// This many seats were blocked, freed, changed or removed.
    SeatsSet(u32),
    /// The room as it now is.
    Room(Room),
    /// Done, with nothing to report.
    Done,
}

/// Whether a request for a token made a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Issue {
    /// A new place at the end of the line.
    New,
    /// The user's existing place.
    Existing,
}

/// The outcome of a command, or the refusal.
pub type Decision = Result<Outcome, Refusal>;

/// An answer, and whether it was given before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The decision.
    pub decision: Decision,
    /// Whether it was decided now.
    pub replay: Replay,
}

/// Whether an answer was decided now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// Decided now.
    Fresh,
    /// Stored under the idempotency key by an earlier request.
    Replayed,
}

/// The rows that a batch of commands must see. A store loads these and the rows that depend on them: with a seat its
/// concert and its live reservation, with a reservation its seat, with a payment its reservation, with a pair of user
/// and concert the live reservations.
#[derive(Debug, Clone, Default)]
pub struct Footprint {
    /// Keys of stored answers.
    pub idempotency: Vec<Idempotency>,
    /// E-mail addresses that may be taken.
    pub emails: Vec<String>,
    /// Users by id.
    pub users: Vec<UserId>,
    /// Users whose reset link is used.
    pub reset_links: Vec<UserId>,
    /// Sessions to close.
    pub sessions: Vec<[u8; 32]>,
    /// The batch's rooms. Their rows are locked only if `counted` names them or their settings change.
    pub rooms: Vec<RoomId>,
    /// Rooms in which turns are offered or claimed: loads their counts, and the overdue active tokens, at most
    /// [`TOKENS_PER_ADVANCE_MAX`] by deadline and position.
    pub counted: Vec<RoomId>,
    /// Rooms that advance: loads so many tokens at the head, and at most [`TOKENS_PER_ADVANCE_MAX`] overdue ones, by
    /// status (active, offered, missed, dormant) and in each by deadline and position.
    pub advanced: Vec<(RoomId, u32)>,
    /// Tokens by id.
    pub tokens: Vec<TokenId>,
    /// Pairs of user and room, each for the user's live token there.
    pub places: Vec<(UserId, RoomId)>,
    /// Concerts by id.
    pub concerts: Vec<ConcertId>,
    /// Seats by id.
    pub seats: Vec<SeatId>,
    /// Users with a seat that they request: their live reservations in the seat's concert.
    pub holdings: Vec<(UserId, SeatId)>,
    /// Reservations by id.
    pub reservations: Vec<ReservationId>,
    /// Payments by id.
    pub payments: Vec<PaymentId>,
    /// Accounts by user; also those of the payments' users.
    pub points: Vec<UserId>,
    /// External references of top-ups that may have been used.
    pub references: Vec<String>,
    /// References of adjustments of users that may have been used.
    pub adjustments: Vec<(UserId, String)>,
    /// Debts by id.
    pub debts: Vec<DebtId>,
    /// Users whose open debts are all needed.
    pub debtors: Vec<UserId>,
    /// Concerts that get seats: which of these numbers and places exist, and the highest number.
    pub new_seats: Vec<(ConcertId, Vec<i32>, Vec<SeatPlace>)>,
    /// Concerts whose seats move: the places there that the change may lead to.
    pub moved_seats: Vec<(ConcertId, SeatChange)>,
    /// The most new rows that the batch may add.
    pub demand: Demand,
}

/// The most numbers that a batch takes: a store with many writers reserves them beforehand.
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
    /// The footprint of a whole batch.
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
        // It is refused whatever the rows say: it locks no row and reserves no number.
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
            Command::TopUp { .. } | Command::Adjust(_) | Command::SettleDebt { .. } => {
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
            Command::TopUp { user_id, reference, .. } => {
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
