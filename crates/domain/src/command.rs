//! The requests to the box office, and its answers.

mod drafts;
mod outcome;
pub(crate) mod stored;

pub use drafts::{
    ConcertChange, DrawStep, Erasure, FactorConfirmation, FactorStep, LaneStep, NewAdjustment, NewBlock, NewConcert,
    NewPassword, NewRoom, OwnRoom, PasswordHash, Proof, RoomChange, Settlements, Worth,
};
pub use outcome::{Issue, Outcome};

use crate::{
    id::{AuditId, ConcertId, DebtId, EventId, PaymentId, ReservationId, RoomId, SeatId, TokenId, UserId},
    line::{Fence, ShareScope, SilentToken, TurnOutlook},
    money::Money,
    outbox::{Consumer, LeaseHolder},
    points::Settlement,
    refusal::Refusal,
    sale::{NewSeat, Poster, RehearsalSetup, SeatAction, SeatChange},
    time::Time,
    user::{Caller, FactorProof, LetterLanguage, LinkKind, NewUser, ProofKind, Role, Session},
};

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
                    | Command::ChangeFactor { step: FactorStep::Enrol { .. } | FactorStep::Decline, .. }
                    | Command::RenameUser { .. }
                    | Command::LockUser { .. }
                    | Command::UnlockUser { .. }
                    | Command::IssueResetLink { .. }
                    | Command::IssueLetterLink { .. }
                    | Command::ConfirmEmail { .. }
                    | Command::IssueToken { .. }
                    | Command::ActivateToken { .. }
                    | Command::LeaveQueue { .. }
                    | Command::GoAway { .. }
                    | Command::WakeToken { .. }
                    | Command::RemoveFromLine { .. }
                    | Command::BlockFromLine(_)
                    | Command::UnblockFromLine { .. }
                    | Command::IssuePass { .. }
                    | Command::AdvanceRoom { .. }
                    | Command::Share { .. }
                    | Command::StepLane { .. }
                    | Command::EndLine { .. }
                    | Command::EndClosedLine { .. }
                    | Command::ExpireHolds { .. }
                    | Command::SetRole { .. }
                    // Of a version that it has changed itself, a second run would be refused.
                    | Command::CancelConcert { basis: None, .. }
                    | Command::RefundConcert { basis: None, .. }
                    | Command::WindUp { .. }
                    | Command::SettleConcert { .. }
                    | Command::SetPoster { .. }
                    | Command::RemovePoster { .. }
                    | Command::ClaimEvents { .. }
                    | Command::SettleEvents(_)
                    | Command::RetryEvent { .. }
                    | Command::FeedAudit { .. }
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
    /// The answer as text, in a format with a version.
    pub answer: String,
    /// When it was given.
    pub created_at: Time,
}

/// Every command that can change something.
#[derive(Debug, Clone)]
pub enum Command {
    /// A user registers.
    Register(NewUser),
    /// The first operator registers, by the box office alone, if there never was an operator.
    RegisterFirst(NewUser),
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
    /// A user signs in; the password was checked before. Refused if the account has a second factor.
    OpenSession {
        /// The session.
        session: Session,
        /// The user's [`sign_in_epoch`](crate::user::User::sign_in_epoch) when the password was checked.
        epoch: i64,
    },
    /// A user signs in with a second factor; the password was checked before.
    OpenSessionWithFactor {
        /// The session.
        session: Session,
        /// The user's [`sign_in_epoch`](crate::user::User::sign_in_epoch) when the password was checked.
        epoch: i64,
        /// The second factor.
        proof: FactorProof,
    },
    /// A step in the life of a user's second factor.
    ChangeFactor {
        /// The user.
        user_id: UserId,
        /// The step.
        step: FactorStep,
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
        /// The reason, for the audit log; an operator gives one.
        reason: Option<String>,
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
    /// A user is to get a letter with a link: one that resets the password, for anybody who knows the address, or one
    /// that confirms the address, for the user.
    RequestLetter {
        /// The user.
        user_id: UserId,
        /// The use of the link.
        letter: LinkKind,
        /// The letter's language.
        language: LetterLanguage,
    },
    /// The box office makes the link of a letter that it is about to send.
    IssueLetterLink {
        /// The user.
        user_id: UserId,
        /// The use of the link.
        letter: LinkKind,
        /// SHA-256 of the link's secret.
        secret_hash: [u8; 32],
    },
    /// A confirmation link's secret confirms the user's e-mail address.
    ConfirmEmail {
        /// The user.
        user_id: UserId,
        /// SHA-256 of the link's secret.
        secret_hash: [u8; 32],
    },
    /// A user's account is erased, by the user or the box office: name, address and password are removed, the books
    /// stay.
    EraseUser(Erasure),
    /// A user signs out.
    CloseSession {
        /// SHA-256 of the session's secret.
        secret_hash: [u8; 32],
    },
    /// A user ends a session of theirs.
    EndSession {
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
    /// The caller's client goes away, such as a page that was closed: an offered or active token has
    /// [a grace](crate::policy::AWAY_GRACE) left, unless seats are held with it. It is given only if that
    /// [changes the token](crate::line::Parting).
    GoAway {
        /// The token.
        token: TokenId,
        /// The caller's reservations that may hold seats.
        holds: Vec<ReservationId>,
        /// How many times seats had been held with the token before these were read.
        holds_made: u32,
    },
    /// A heartbeat of the caller: an active token is renewed, a dormant one waits again, an offered or active one whose
    /// client had gone away has its time again, and one whose claim found the room full has the whole window again. It is given only if [it is due](crate::line::is_wake_due).
    WakeToken {
        /// The token.
        token: TokenId,
    },
    /// An operator ends the place of a user in a line.
    RemoveFromLine {
        /// The room.
        room_id: RoomId,
        /// The user.
        user_id: UserId,
        /// The reason, for the audit log.
        reason: String,
    },
    /// An operator keeps a user out of a line, and ends the user's place there.
    BlockFromLine(NewBlock),
    /// An operator lets a blocked user join the line again.
    UnblockFromLine {
        /// The room.
        room_id: RoomId,
        /// The user.
        user_id: UserId,
    },
    /// A pass for the caller's active token, for the edge of another site.
    IssuePass {
        /// The token.
        token: TokenId,
    },
    /// The line advances: deadlines take effect, and the next tokens are offered a turn.
    AdvanceRoom {
        /// The room.
        room_id: RoomId,
        /// The leader's fence.
        fence: Fence,
        /// How many tokens at the head to handle; never more than [`TOKENS_PER_ADVANCE_MAX`](crate::policy::TOKENS_PER_ADVANCE_MAX).
        limit: u32,
        /// The unresponsive ones among them.
        unresponsive: Vec<SilentToken>,
        /// What the leader expects of the turns; none if it measured nothing.
        outlook: Option<TurnOutlook>,
    },
    /// A step in the draw of a room's lobby.
    StepDraw {
        /// The room.
        room_id: RoomId,
        /// The step.
        step: DrawStep,
    },
    /// A step in the life of a lane beside the line of a room.
    StepLane {
        /// The lane's room.
        room_id: RoomId,
        /// The step.
        step: LaneStep,
    },
    /// The places at the head of a concert's own line, or of a lane beside it, end, by the box office alone, once the concert is cancelled or
    /// [has been over for a while](crate::sale::Concert::is_line_over).
    EndLine {
        /// The room of the line.
        room_id: RoomId,
        /// How many tokens, at most; never more than [`TOKENS_PER_ADVANCE_MAX`](crate::policy::TOKENS_PER_ADVANCE_MAX).
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
        /// The reason, for the audit log; an operator gives one for another user's reservation.
        reason: Option<String>,
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
        /// The reason, for the audit log; an operator gives one for another user's payment.
        reason: Option<String>,
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
    /// The box office reports wrong passwords and codes for an operator's or a viewer's account.
    NoteFailedProofs {
        /// The user.
        user_id: UserId,
        /// What they were to prove.
        of: ProofKind,
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
        /// The concert's `updated_at` that the caller saw: refused if the row has another. None changes any version.
        basis: Option<Time>,
        /// The reason, for the audit log; an operator gives one for a change that
        /// [hurts buyers](ConcertChange::hurts), here or to the buyers.
        reason: Option<String>,
    },
    /// An operator cancels a concert, for good: its seats can no longer be held or paid for, and its buyers may have
    /// refunds at any time.
    CancelConcert {
        /// The concert.
        concert_id: ConcertId,
        /// The reason, for the buyers.
        reason: String,
        /// As of [`Command::UpdateConcert`].
        basis: Option<Time>,
    },
    /// An operator requests the refund of every payment of a cancelled concert.
    RefundConcert {
        /// The concert.
        concert_id: ConcertId,
        /// As of [`Command::UpdateConcert`].
        basis: Option<Time>,
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
    /// An operator gives a concert a poster, in place of the one that it has.
    SetPoster {
        /// The poster.
        poster: Poster,
        /// As of [`Command::UpdateConcert`]. The poster that a concert has may be set again on any version.
        basis: Option<Time>,
    },
    /// An operator removes the poster of a concert.
    RemovePoster {
        /// The concert.
        concert_id: ConcertId,
        /// As of [`Command::UpdateConcert`]. A concert without a poster stays as it is, whatever its version.
        basis: Option<Time>,
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
        /// The concert that all of the seats are of; none for seats of any concerts.
        within: Option<ConcertId>,
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
        /// The reason, for the audit log; an operator gives one for a change that
        /// [hurts buyers](SeatChange::hurts).
        reason: Option<String>,
    },
    /// An operator removes seats that were never held.
    RemoveSeats {
        /// The concert.
        concert_id: ConcertId,
        /// The seats.
        seat_ids: Vec<SeatId>,
        /// The reason, for the audit log; an operator gives one if the seats
        /// [are on sale](crate::sale::Concert::has_on_sale).
        reason: Option<String>,
    },
    /// An operator begins a rehearsal of a concert, in a box office of its own.
    BeginRehearsal {
        /// The concert.
        concert_id: ConcertId,
        /// The crowd.
        setup: RehearsalSetup,
    },
    /// An operator stops the rehearsal of a concert.
    StopRehearsal {
        /// The concert.
        concert_id: ConcertId,
    },
    /// An operator opens a room without a concert, in front of another site.
    CreateRoom(NewRoom),
    /// An operator closes a room without a concert, for good.
    CloseRoom {
        /// The room.
        room_id: RoomId,
        /// The room's `updated_at` that the caller saw: refused if the row has another. None closes any version.
        basis: Option<Time>,
        /// Why, for the audit log.
        reason: String,
    },
    /// The places at the head of a closed room's line end, by the box office alone.
    EndClosedLine {
        /// The room.
        room_id: RoomId,
        /// How many tokens, at most; never more than [`TOKENS_PER_ADVANCE_MAX`](crate::policy::TOKENS_PER_ADVANCE_MAX).
        limit: u32,
    },
    /// An operator changes a room's settings.
    SetRoom {
        /// The room.
        room_id: RoomId,
        /// The changes.
        change: RoomChange,
        /// The room's `updated_at` that the caller saw: refused if the row has another. None changes any version.
        basis: Option<Time>,
        /// The reason, for the audit log; an operator gives one for a change that [hurts buyers](RoomChange::hurts).
        reason: Option<String>,
    },
    /// What lines share is shared anew, by the box office alone.
    Share {
        /// Whose shares are set.
        scope: ShareScope,
        /// How many tokens wait in these rooms; in any other none. At most
        /// [`ROOMS_SHARED_MAX`](crate::line::ROOMS_SHARED_MAX) rooms.
        waiting: Vec<(RoomId, i64)>,
    },
    /// A line gets a new epoch, by the box office alone: tokens signed before are refused. Places stay: a user who
    /// joins again gets the same place, with a token of the new epoch.
    RenewLine {
        /// The room.
        room_id: RoomId,
    },
    /// The box office claims the due events of a consumer, to deliver them.
    ClaimEvents {
        /// The consumer.
        consumer: Consumer,
        /// The process that delivers.
        holder: LeaseHolder,
    },
    /// The box office has tried to deliver what it claimed.
    SettleEvents(Settlements),
    /// An operator has a dead letter delivered again.
    RetryEvent {
        /// The event.
        event_id: EventId,
    },
    /// The box office delivers an entry of the audit log to the feed: it gets the next number, once.
    FeedAudit {
        /// The entry.
        audit_id: AuditId,
    },
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
