//! The rows that a batch of commands must see.

use crate::{
    command::{Command, DrawStep, Idempotency, LaneStep, NewAdjustment, NewBlock, NewPassword, Request, Settlements},
    id::{AuditId, ConcertId, DebtId, EventId, PaymentId, Position, ReservationId, RoomId, SeatId, TokenId, UserId},
    line::{ENTRIES_PER_PLACING_MAX, ShareScope},
    outbox::Consumer,
    policy::TOKENS_PER_ADVANCE_MAX,
    sale::{ConcertStatus, Poster, SeatChange, SeatPlace},
    user::LinkKind,
};
use std::collections::BTreeMap;

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
    /// Links that are used, by user and kind.
    pub links: Vec<(UserId, LinkKind)>,
    /// Users whose second factor counts.
    pub factors: Vec<UserId>,
    /// Whether there is or was an operator.
    pub first_operator: bool,
    /// Sessions whose user counts.
    pub sessions: Vec<[u8; 32]>,
    /// The batch's rooms. Their rows are locked only if `counted` names them or their settings change.
    pub rooms: Vec<RoomId>,
    /// Rooms in which turns are offered or claimed: loads their counts, the overdue active tokens by deadline and position,
    /// and those whose claims found the room full by claim and position, at most [`TOKENS_PER_ADVANCE_MAX`] of each.
    pub counted: Vec<RoomId>,
    /// Rooms that share something: loads their rows, locked, and their counts, but none of their tokens. The house room is
    /// locked before all others.
    pub sharing: Vec<RoomId>,
    /// Whether all rooms that have a share of the house's budget, or whose tokens take places, share too: at most
    /// [`ROOMS_SHARED_MAX`](crate::line::ROOMS_SHARED_MAX) of them and one more.
    pub shares_house: bool,
    /// Whether a lane may be opened.
    pub opens_lanes: bool,
    /// Rooms that advance: loads so many tokens at the head, and at most [`TOKENS_PER_ADVANCE_MAX`] overdue ones, by
    /// status (active, offered, missed, dormant) and in each by deadline and position.
    pub advanced: Vec<(RoomId, u32)>,
    /// Rooms whose draw is read or changed.
    pub draws: Vec<RoomId>,
    /// Rooms whose lobby is sealed: as many positions as were given are reserved behind them.
    pub sealed: Vec<RoomId>,
    /// Tokens by id.
    pub tokens: Vec<TokenId>,
    /// Pairs of user and general line, each for the user's live token in it or in one of its lanes, and the user's block.
    pub places: Vec<(UserId, RoomId)>,
    /// Pairs of user and lane, each for the user's place on the lane's list.
    pub guests: Vec<(UserId, RoomId)>,
    /// Concerts by id.
    pub concerts: Vec<ConcertId>,
    /// Concerts whose details change.
    pub details: Vec<ConcertId>,
    /// Concerts whose poster changes: which one they have.
    pub posters: Vec<ConcertId>,
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
    /// Concerts that get seats or go on sale: which of these numbers and places exist, and the highest number.
    pub new_seats: Vec<(ConcertId, Vec<i32>, Vec<SeatPlace>)>,
    /// Concerts whose seats move: the places there that the change may lead to.
    pub moved_seats: Vec<(ConcertId, SeatChange)>,
    /// Consumers whose lease is taken, checked or left, or whose order of deliveries counts: the leases, locked.
    pub leases: Vec<Consumer>,
    /// Consumers that claim: their due events, at most [`CLAIM_MAX`](crate::outbox::CLAIM_MAX) by due time and id.
    pub due_events: Vec<Consumer>,
    /// Events by id, locked.
    pub events: Vec<EventId>,
    /// Entries of the audit log that are fed: whether they exist, their places, and the highest place of all.
    pub fed: Vec<AuditId>,
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
    /// Numbers of rooms without a concert.
    pub rooms: usize,
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
    /// Ids of events.
    pub events: usize,
}

impl Demand {
    /// So many more audit lines, each with its event.
    fn raise_audit(&mut self, by: usize) {
        raise(&mut self.audit, by);
        raise(&mut self.events, by);
    }
}

fn raise(count: &mut usize, by: usize) {
    *count = count.saturating_add(by);
}

impl Footprint {
    /// Whether the house's budget is read, without a lock: turns are offered or claimed, or a lane is opened.
    #[must_use]
    pub fn reads_budget(&self) -> bool {
        self.opens_lanes || !self.counted.is_empty()
    }

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
            Command::Register(_)
            | Command::RegisterFirst(_)
            | Command::ChangeFactor { .. }
            | Command::SetRole { .. }
            | Command::RenameUser { .. }
            | Command::LockUser { .. }
            | Command::UnlockUser { .. }
            | Command::CloseSessions { .. }
            | Command::IssueResetLink { .. }
            | Command::NoteFailedProofs { .. }
            | Command::SetPassword(_)
            | Command::RedeemResetLink { .. }
            | Command::EraseUser(_) => self.add_account(&request.command),
            Command::OpenSession { .. }
            | Command::OpenSessionWithFactor { .. }
            | Command::CloseSession { .. }
            | Command::EndSession { .. }
            | Command::RequestLetter { .. }
            | Command::IssueLetterLink { .. }
            | Command::ConfirmEmail { .. } => self.add_session(&request.command),
            Command::TopUp { .. } | Command::Adjust(_) | Command::SettleDebt { .. } => {
                self.add_points(&request.command);
            }
            Command::IssueToken { .. }
            | Command::ActivateToken { .. }
            | Command::LeaveQueue { .. }
            | Command::GoAway { .. }
            | Command::WakeToken { .. }
            | Command::IssuePass { .. }
            | Command::RemoveFromLine { .. }
            | Command::BlockFromLine(_)
            | Command::UnblockFromLine { .. }
            | Command::AdvanceRoom { .. }
            | Command::StepLane { .. }
            | Command::EndClosedLine { .. }
            | Command::EndLine { .. } => self.add_line(&request.command, caller),
            Command::StepDraw { room_id, step } => self.add_draw(*room_id, step),
            Command::Share { scope, waiting } => self.add_sharing(*scope, waiting),
            Command::Hold { token, seat_ids } => {
                self.tokens.push(*token);
                self.seats.extend(seat_ids);
                self.holdings.extend(caller.zip(seat_ids.first().copied()));
                raise(&mut self.demand.reservations, seat_ids.len());
            }
            Command::CancelReservation { reservation_id, .. } => {
                self.reservations.push(*reservation_id);
                self.demand.raise_audit(usize::from(request.caller.is_operator()));
            }
            Command::ExpireHolds { reservation_ids } => self.reservations.extend(reservation_ids),
            Command::Pay { token, reservation_ids } => {
                self.tokens.push(*token);
                self.reservations.extend(reservation_ids);
                self.points.extend(caller);
                raise(&mut self.demand.payments, reservation_ids.len());
                raise(&mut self.demand.history, reservation_ids.len());
            }
            Command::Refund { payment_id, .. } => {
                self.payments.push(*payment_id);
                raise(&mut self.demand.history, 1);
                self.demand.raise_audit(usize::from(request.caller.is_operator()));
            }
            Command::CreateConcert(_)
            | Command::UpdateConcert { .. }
            | Command::CancelConcert { .. }
            | Command::RefundConcert { .. }
            | Command::SettleConcert { .. }
            | Command::WindUp { .. }
            | Command::SetPoster { .. }
            | Command::RemovePoster { .. }
            | Command::AddSeats { .. }
            | Command::ChangeSeats { .. }
            | Command::RemoveSeats { .. }
            | Command::SetSeats { .. }
            | Command::BeginRehearsal { .. }
            | Command::StopRehearsal { .. } => self.add_concert(&request.command),
            Command::CreateRoom(_)
            | Command::SetRoom { .. }
            | Command::CloseRoom { .. }
            | Command::RenewLine { .. } => self.add_room(&request.command),
            Command::ClaimEvents { .. }
            | Command::SettleEvents(_)
            | Command::RetryEvent { .. }
            | Command::FeedAudit { .. } => self.add_outbox(&request.command),
        }
    }

    /// A step of a draw: the room, the draw, and a line of the audit log but for the entries that get their places.
    fn add_draw(&mut self, room_id: RoomId, step: &DrawStep) {
        match step {
            DrawStep::Seal { .. } => self.sealed.push(room_id),
            DrawStep::Place { entries, .. } => {
                let of_room = |position: &Position| TokenId { room_id, position: *position };
                self.tokens.extend(entries.iter().take(ENTRIES_PER_PLACING_MAX).map(of_room));
            }
            DrawStep::Begin { .. } | DrawStep::Count { .. } | DrawStep::HandIn { .. } | DrawStep::GiveUp { .. } => {}
        }
        self.rooms.push(room_id);
        self.draws.push(room_id);
        // The entries are counted and drawn by one command if there is no beacon.
        self.demand.raise_audit(2);
    }

    /// A step of a line or of a token in it.
    fn add_line(&mut self, command: &Command, caller: Option<UserId>) {
        match command {
            Command::IssueToken { room_id, concert_id } => {
                self.rooms.push(*room_id);
                self.concerts.extend(concert_id);
                self.places.extend(caller.map(|user| (user, room_id.general())));
                self.guests.extend(caller.filter(|_| room_id.is_lane()).map(|user| (user, *room_id)));
                raise(self.demand.positions.entry(*room_id).or_default(), 1);
            }
            Command::ActivateToken { token } => {
                self.rooms.push(token.room_id);
                self.counted.push(token.room_id);
                self.tokens.push(*token);
            }
            Command::RemoveFromLine { room_id, user_id, .. }
            | Command::BlockFromLine(NewBlock { room_id, user_id, .. })
            | Command::UnblockFromLine { room_id, user_id } => {
                self.users.push(*user_id);
                self.rooms.push(room_id.general());
                self.places.push((*user_id, room_id.general()));
                self.demand.raise_audit(1);
            }
            Command::GoAway { token, holds, .. } => {
                self.tokens.push(*token);
                self.reservations.extend(holds);
            }
            Command::LeaveQueue { token } | Command::WakeToken { token } | Command::IssuePass { token } => {
                self.tokens.push(*token);
            }
            Command::AdvanceRoom { room_id, limit, .. } | Command::EndClosedLine { room_id, limit } => {
                self.add_advance(*room_id, *limit);
            }
            Command::EndLine { room_id, limit } => {
                self.concerts.extend(room_id.concert());
                self.add_advance(*room_id, *limit);
            }
            Command::StepLane { room_id, step } => {
                self.rooms.extend(room_id.with_lanes());
                self.opens_lanes = true;
                if let LaneStep::AddGuest { user_id } | LaneStep::RemoveGuest { user_id } = step {
                    self.users.push(*user_id);
                    self.guests.push((*user_id, *room_id));
                }
                self.demand.raise_audit(1);
            }
            _ => {}
        }
    }

    /// A line that moves or ends at its head.
    fn add_advance(&mut self, room_id: RoomId, limit: u32) {
        self.rooms.push(room_id);
        self.counted.push(room_id);
        self.advanced.push((room_id, limit.min(TOKENS_PER_ADVANCE_MAX)));
    }

    /// Lines that share something, and the house room, which has the budget.
    fn add_sharing(&mut self, scope: ShareScope, waiting: &[(RoomId, i64)]) {
        self.sharing.push(RoomId::HOUSE);
        match scope {
            ShareScope::House => {
                self.shares_house = true;
                self.sharing.extend(waiting.iter().map(|(room, _)| *room));
            }
            ShareScope::Line(room) => self.sharing.extend(room.with_lanes()),
        }
        self.rooms.extend(&self.sharing);
    }

    /// A new room or a change of one, and a line of the audit log.
    fn add_room(&mut self, command: &Command) {
        match command {
            Command::CreateRoom(_) => raise(&mut self.demand.rooms, 1),
            Command::SetRoom { room_id, .. } | Command::CloseRoom { room_id, .. } => {
                self.rooms.push(*room_id);
                self.rooms.extend(room_id.with_lanes());
            }
            Command::RenewLine { room_id } => self.rooms.push(*room_id),
            _ => return,
        }
        self.demand.raise_audit(1);
    }

    /// Events and leases of the outbox, and entries of the audit log that are fed.
    fn add_outbox(&mut self, command: &Command) {
        match command {
            Command::ClaimEvents { consumer, .. } => {
                self.leases.push(*consumer);
                self.due_events.push(*consumer);
            }
            Command::SettleEvents(Settlements { consumer, delivered, failed, .. }) => {
                self.leases.push(*consumer);
                self.events.extend(delivered);
                self.events.extend(failed.iter().map(|(id, _)| *id));
            }
            Command::RetryEvent { event_id } => {
                self.events.push(*event_id);
                self.demand.raise_audit(1);
            }
            Command::FeedAudit { audit_id } => {
                self.leases.push(Consumer::AuditFeed);
                self.fed.push(*audit_id);
            }
            _ => {}
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
        self.demand.raise_audit(1);
    }

    /// A session, or a letter and the link in it.
    fn add_session(&mut self, command: &Command) {
        match command {
            Command::OpenSession { session, .. } | Command::OpenSessionWithFactor { session, .. } => {
                self.users.push(session.user_id);
                self.factors.push(session.user_id);
                self.demand.raise_audit(usize::from(session.role.sees_sale()));
            }
            Command::EndSession { secret_hash } => self.sessions.push(*secret_hash),
            Command::RequestLetter { user_id, .. } => {
                self.users.push(*user_id);
                raise(&mut self.demand.events, 1);
            }
            Command::IssueLetterLink { user_id, .. } => self.users.push(*user_id),
            Command::ConfirmEmail { user_id, .. } => {
                self.users.push(*user_id);
                self.links.push((*user_id, LinkKind::EmailConfirmation));
            }
            _ => {}
        }
    }

    /// A new account or a change of one: the user, and a line of the audit log, except for new buyers.
    fn add_account(&mut self, command: &Command) {
        match command {
            Command::Register(user) => {
                self.emails.push(user.email.clone());
                self.users.push(user.user_id);
                self.demand.raise_audit(usize::from(user.role.sees_sale()));
                return;
            }
            Command::RegisterFirst(user) => {
                self.emails.push(user.email.clone());
                self.users.push(user.user_id);
                self.first_operator = true;
                self.rooms.push(RoomId::HOUSE);
            }
            Command::SetRole { user_id, .. } | Command::ChangeFactor { user_id, .. } => {
                self.users.push(*user_id);
                self.factors.push(*user_id);
            }
            Command::RenameUser { user_id, .. }
            | Command::LockUser { user_id, .. }
            | Command::UnlockUser { user_id }
            | Command::CloseSessions { user_id }
            | Command::IssueResetLink { user_id, .. }
            | Command::NoteFailedProofs { user_id, .. }
            | Command::SetPassword(NewPassword { user_id, .. }) => self.users.push(*user_id),
            Command::RedeemResetLink { user_id, .. } => {
                self.users.push(*user_id);
                self.links.push((*user_id, LinkKind::PasswordReset));
            }
            Command::EraseUser(erasure) => {
                self.users.push(erasure.user_id);
                self.factors.push(erasure.user_id);
                self.points.push(erasure.user_id);
                self.debtors.push(erasure.user_id);
                self.tokens.extend(&erasure.tokens);
                self.reservations.extend(&erasure.reservations);
            }
            _ => return,
        }
        self.demand.raise_audit(1);
    }

    /// A new concert or a change of one, and a line of the audit log.
    fn add_concert(&mut self, command: &Command) {
        match command {
            Command::CreateConcert(_) => raise(&mut self.demand.concerts, 1),
            Command::UpdateConcert { concert_id, change, .. } => {
                self.concerts.push(*concert_id);
                self.rooms.extend(RoomId::of_concert(*concert_id).with_lanes());
                if !change.details.is_empty() {
                    self.details.push(*concert_id);
                }
                if change.status == Some(ConcertStatus::Scheduled) {
                    self.new_seats.push((*concert_id, Vec::new(), Vec::new()));
                }
            }
            Command::SetPoster { poster: Poster { concert_id, .. }, .. } | Command::RemovePoster { concert_id, .. } => {
                self.concerts.push(*concert_id);
                self.posters.push(*concert_id);
            }
            Command::CancelConcert { concert_id, .. }
            | Command::RefundConcert { concert_id, .. }
            | Command::SettleConcert { concert_id, .. } => {
                self.concerts.push(*concert_id);
                self.rooms.extend(RoomId::of_concert(*concert_id).with_lanes());
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
            Command::ChangeSeats { concert_id, seat_ids, change, .. } => {
                self.concerts.push(*concert_id);
                self.seats.extend(seat_ids);
                if change.moves() {
                    self.moved_seats.push((*concert_id, change.clone()));
                }
            }
            Command::RemoveSeats { concert_id, seat_ids, .. } => {
                self.concerts.push(*concert_id);
                self.seats.extend(seat_ids);
            }
            Command::SetSeats { seat_ids, .. } => self.seats.extend(seat_ids),
            Command::BeginRehearsal { concert_id, .. } | Command::StopRehearsal { concert_id } => {
                self.concerts.push(*concert_id);
            }
            _ => return,
        }
        self.demand.raise_audit(1);
    }
}
