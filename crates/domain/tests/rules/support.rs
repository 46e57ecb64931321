//! A small box office to try rules on: two concerts, nine seats, three buyers, one operator.

pub(crate) mod action;
pub(crate) mod books;
pub(crate) mod oracle;

use frontrow_domain::{
    command::{
        Answer, Command, ConcertChange, Decision, Idempotency, Issue, NewConcert, Outcome, Replay, Request, RoomChange,
        Settlements,
    },
    id::{AuditId, ConcertId, EventId, PaymentId, Position, ReservationId, RoomId, SeatId, TokenId, UserId},
    line::{Fence, Room, SilentToken, Token, TokenStatus},
    model::Model,
    money::Money,
    outbox::{Consumer, DeliveryError, LeaseHolder},
    policy::Policy,
    sale::{DetailsChange, NewSeat, Poster, PosterMark, PosterTag, SeatAction, SeatLabel},
    time::{Span, Time},
    user::{Caller, NewUser, Role},
};
use uuid::Uuid;

/// When the box office opens and both sales with it.
pub(crate) const START: Time = Time::from_micros(1_800_000_000_000_000);
/// One second in microseconds.
pub(crate) const S: i64 = 1_000_000;
/// One minute in microseconds.
pub(crate) const MIN: i64 = 60 * S;
/// One day in microseconds.
pub(crate) const DAY: i64 = 24 * 60 * MIN;

pub(crate) const MINJI: Caller = Caller::Buyer(UserId(Uuid::from_u128(1)));
pub(crate) const JUNHO: Caller = Caller::Buyer(UserId(Uuid::from_u128(2)));
pub(crate) const SORA: Caller = Caller::Buyer(UserId(Uuid::from_u128(3)));
pub(crate) const BOSS: Caller = Caller::Operator(UserId(Uuid::from_u128(9)));
/// Not registered by [`SaleModel::new`].
pub(crate) const VIEWER: Caller = Caller::Viewer(UserId(Uuid::from_u128(8)));
pub(crate) const CLOCK: Caller = Caller::System;

/// The house room leads to concert 1 and its seats 1 to 6; at most 3 are active.
pub(crate) const HOUSE: RoomId = RoomId::HOUSE;
/// Concert 2's own room leads to its seats 7 to 9; at most 1 is active.
pub(crate) const OWN: RoomId = RoomId::new(2);
/// When both sales close.
pub(crate) const CLOSES: i64 = 10 * DAY;
/// When both concerts start.
pub(crate) const SHOW: i64 = 30 * DAY;
/// When the concerts end.
pub(crate) const ENDS: i64 = SHOW + 150 * MIN;

/// One line of a table: microseconds since the start, who, what, and how it is answered.
pub(crate) type Row = (i64, Caller, Command, &'static str);

/// A box office and its clock.
#[derive(Debug, Clone)]
pub(crate) struct SaleModel {
    pub(crate) model: Model,
    pub(crate) policy: Policy,
    pub(crate) now: Time,
}

impl SaleModel {
    pub(crate) fn new() -> Self {
        // Those whom a test names as silent are, however young their tokens.
        let policy = Policy { dormant_after: Span::ZERO, ..Policy::default() };
        let mut office = Self { model: Model::new(3, START), policy, now: START };
        for caller in [MINJI, JUNHO, SORA, BOSS] {
            office.expect(CLOCK, register(caller), "registered");
        }
        office.expect(CLOCK, create_concert(None), "concert");
        office.expect(CLOCK, add_seats(1, 1..=6), "seats_added");
        office.expect(CLOCK, create_concert(Some(1)), "concert");
        office.expect(CLOCK, add_seats(2, 1..=3), "seats_added");
        office
    }

    /// Puts the clock `micros` after the start.
    pub(crate) fn at(&mut self, micros: i64) {
        self.now = at(micros);
    }

    /// Asks once, with the checks that hold for every command: a refusal changes nothing, the books stay in order.
    pub(crate) fn ask(&mut self, caller: Caller, command: Command) -> Decision {
        self.send(Request { caller, command, idempotency: None }).decision
    }

    /// Asks once under an idempotency key. The request's fingerprint is `body`.
    pub(crate) fn ask_with_key(&mut self, key: u8, body: u8, caller: Caller, command: Command) -> Answer {
        self.send(Request { caller, command, idempotency: Some(idempotency(key, body)) })
    }

    fn send(&mut self, request: Request) -> Answer {
        let before = self.model.clone();
        let has_key = request.idempotency.is_some();
        let (mut answers, _) = self.model.transact(self.now, self.policy, &[request]);
        assert_eq!(answers.len(), 1);
        let answer = answers.remove(0);
        if has_key && answer.replay == Replay::Fresh {
            let must = match &answer.decision {
                Ok(Outcome::TurnPending(_) | Outcome::Registered(_) | Outcome::User(_)) => false,
                Ok(_) => !self.is_but_for_answers(&before),
                Err(refusal) => refusal.is_stored(),
            };
            assert_eq!(self.model.kept.len() > before.kept.len(), must, "whether {:?} is kept", answer.decision);
        }
        if answer.decision.is_err() {
            assert!(self.is_but_for_answers(&before), "the refusal {:?} changed something", answer.decision);
        }
        books::check(&self.model, self.now);
        books::check_step(&before, &self.model);
        answer
    }

    /// Whether nothing has changed since `before` but the kept answers.
    fn is_but_for_answers(&self, before: &Model) -> bool {
        let mut unkept = self.model.clone();
        unkept.kept.clone_from(&before.kept);
        // The rows that a store reads of a line are noted although none was taken from it.
        unkept.highest.clone_from(&before.highest);
        unkept == *before
    }

    /// Asks once and compares the answer's name.
    #[track_caller]
    pub(crate) fn expect(&mut self, caller: Caller, command: Command, expected: &str) {
        let asked = format!("{command:?}");
        let decision = self.ask(caller, command);
        assert_eq!(name(&decision), expected, "{asked} at {} µs: {decision:?}", self.micros());
    }

    /// Runs a table.
    #[track_caller]
    pub(crate) fn run<const N: usize>(&mut self, rows: [Row; N]) {
        for (micros, caller, command, expected) in rows {
            self.at(micros);
            self.expect(caller, command, expected);
        }
    }

    /// Sends several at once, in one transaction.
    pub(crate) fn batch(&mut self, batch: &[(Caller, Command)]) -> Vec<String> {
        let request = |(caller, command): &(Caller, Command)| Request {
            caller: *caller,
            command: command.clone(),
            idempotency: None,
        };
        let requests: Vec<_> = batch.iter().map(request).collect();
        let (answers, _) = self.model.transact(self.now, self.policy, &requests);
        books::check(&self.model, self.now);
        answers.iter().map(|answer| name(&answer.decision)).collect()
    }

    /// Takes the caller through the line of a room with no other token in front.
    #[track_caller]
    pub(crate) fn active(&mut self, caller: Caller, room: RoomId) -> TokenId {
        let Ok(Outcome::Joined { token, .. }) = self.ask(caller, issue(room)) else { panic!("no token") };
        self.ask(CLOCK, advance(room)).expect("the clock may move the line");
        self.expect(caller, activate(token.id), "active");
        token.id
    }

    /// Tops up points as the payment provider would.
    #[track_caller]
    pub(crate) fn top_up(&mut self, caller: Caller, amount: i64) {
        let reference = format!("seed {}", self.model.history.len());
        self.expect(Caller::Service, top_up(caller, amount, Some(&reference)), "topped_up");
    }

    /// An active token, a hold of the seats and the points to pay for them; reservations are numbered from 1.
    #[track_caller]
    pub(crate) fn with_hold(caller: Caller, seats: &[i64]) -> (Self, TokenId) {
        let mut office = Self::new();
        let token = office.active(caller, HOUSE);
        office.top_up(caller, 500_000);
        office.expect(caller, hold(token, seats), "held");
        (office, token)
    }

    pub(crate) fn micros(&self) -> i64 {
        self.now.micros() - START.micros()
    }

    pub(crate) fn token(&self, id: TokenId) -> Token {
        self.model.tokens[&id]
    }

    pub(crate) fn status(&self, id: TokenId) -> TokenStatus {
        self.token(id).status()
    }

    pub(crate) fn room(&self, room: RoomId) -> &Room {
        &self.model.rooms[&room]
    }

    pub(crate) fn balance(&self, caller: Caller) -> i64 {
        self.model.points.get(&user(caller)).map_or(0, |point| point.amount.get())
    }

    /// The seat's letter in the map.
    pub(crate) fn letter(&self, seat: i64) -> char {
        char::from(self.model.seats[&SeatId::new(seat)].status().letter())
    }
}

/// The name of an answer in the tables: a refusal's code, or the outcome with its distinguishing part.
pub(crate) fn name(decision: &Decision) -> String {
    match decision {
        Err(refusal) => refusal.code().to_owned(),
        Ok(Outcome::Joined { issue: Issue::New, .. }) => "new".to_owned(),
        Ok(Outcome::Joined { issue: Issue::Existing, .. }) => "existing".to_owned(),
        Ok(Outcome::Token(token)) => format!("{:?}", token.status()).to_lowercase(),
        Ok(Outcome::Superseded { fence }) => format!("superseded by {fence}"),
        Ok(Outcome::Advanced { offered, overdue, .. }) => {
            format!("offered {offered}, lapsed {overdue}")
        }
        Ok(Outcome::HoldsExpired(count)) => format!("swept {count}"),
        Ok(outcome) => {
            let json = serde_json::to_value(outcome).expect("an outcome is JSON");
            json["outcome"].as_str().expect("an outcome has a name").to_owned()
        }
    }
}

pub(crate) fn at(micros: i64) -> Time {
    START.plus(Span::from_micros(micros))
}

pub(crate) fn user(caller: Caller) -> UserId {
    caller.user_id().expect("the caller is a user")
}

pub(crate) fn idempotency(key: u8, body: u8) -> Idempotency {
    Idempotency { key: [key; 32], fingerprint: [body; 32] }
}

pub(crate) fn token_id(room: RoomId, position: i64) -> TokenId {
    TokenId { room_id: room, position: Position(position) }
}

fn seat_ids(seats: &[i64]) -> Vec<SeatId> {
    seats.iter().copied().map(SeatId::new).collect()
}

fn reservation_ids(ids: &[i64]) -> Vec<ReservationId> {
    ids.iter().copied().map(ReservationId::new).collect()
}

pub(crate) fn register(caller: Caller) -> Command {
    let user_id = user(caller);
    let role = match caller {
        Caller::Operator(_) => Role::Operator,
        Caller::Viewer(_) => Role::Viewer,
        _ => Role::Buyer,
    };
    let email = format!("{}@frontrow.example", user_id.0.as_u128());
    Command::Register(NewUser { user_id, name: "A user".to_owned(), email, password_hash: String::new(), role })
}

pub(crate) fn new_concert(own_room_max_active: Option<i64>) -> NewConcert {
    NewConcert {
        title: "Midnight Tide".to_owned(),
        artist: "Midnight Tide".to_owned(),
        venue: "Hangang Hall".to_owned(),
        time_zone: "Asia/Seoul".to_owned(),
        concert_date: jiff::civil::date(2027, 2, 14),
        start_time: jiff::civil::time(17, 0, 0, 0),
        end_time: jiff::civil::time(19, 30, 0, 0),
        starts_at: at(SHOW),
        ends_at: at(ENDS),
        base_price: Money::new(10_000),
        opens_at: Some(START),
        closes_at: Some(at(CLOSES)),
        own_room_max_active,
        details: DetailsChange::default(),
    }
}

pub(crate) fn create_concert(own_room_max_active: Option<i64>) -> Command {
    Command::CreateConcert(new_concert(own_room_max_active))
}

/// A reason for an act of an operator.
#[expect(clippy::unnecessary_wraps, reason = "the commands take an option")]
pub(crate) fn reason() -> Option<String> {
    Some("The hall asks for it.".to_owned())
}

pub(crate) fn update_concert(concert: i64, change: ConcertChange) -> Command {
    Command::UpdateConcert { concert_id: ConcertId::new(concert), change, basis: None, reason: reason() }
}

/// A poster whose bytes, size and tag are made of one number.
pub(crate) fn poster(concert: i64, number: u8) -> Poster {
    let (width, height) = (i32::from(number), 10 * i32::from(number));
    let mark = PosterMark { tag: PosterTag::of([number; 32]), width, height };
    Poster { concert_id: ConcertId::new(concert), mark, jpeg: vec![number; 100].into() }
}

pub(crate) fn set_poster(concert: i64, number: u8) -> Command {
    Command::SetPoster { poster: poster(concert, number), basis: None }
}

pub(crate) fn remove_poster(concert: i64) -> Command {
    Command::RemovePoster { concert_id: ConcertId::new(concert), basis: None }
}

/// Seats with these numbers, at 10 000 won times the number.
pub(crate) fn add_seats(concert: i64, numbers: impl IntoIterator<Item = i32>) -> Command {
    let seat = |seat_number: i32| NewSeat {
        seat_number: Some(seat_number),
        price: Some(Money::new(10_000 * i64::from(seat_number))),
        label: SeatLabel::default(),
    };
    Command::AddSeats { concert_id: ConcertId::new(concert), seats: numbers.into_iter().map(seat).collect() }
}

pub(crate) fn block(seats: &[i64]) -> Command {
    Command::SetSeats {
        within: None,
        seat_ids: seat_ids(seats),
        action: SeatAction::Block { reason: "camera".to_owned() },
    }
}

pub(crate) fn free(seats: &[i64]) -> Command {
    Command::SetSeats { within: None, seat_ids: seat_ids(seats), action: SeatAction::FREE }
}

pub(crate) fn set_room(room_id: RoomId, change: RoomChange) -> Command {
    Command::SetRoom { room_id, change, basis: None, reason: reason() }
}

pub(crate) fn set_cap(room_id: RoomId, max_active: i64) -> Command {
    set_room(room_id, RoomChange { max_active: Some(max_active), ..RoomChange::default() })
}

pub(crate) fn issue(room_id: RoomId) -> Command {
    Command::IssueToken { room_id, concert_id: room_id.concert() }
}

pub(crate) fn activate(token: TokenId) -> Command {
    Command::ActivateToken { token }
}

pub(crate) fn leave(token: TokenId) -> Command {
    Command::LeaveQueue { token }
}

/// The client of a token with which no seats were held goes away.
pub(crate) fn go_away(token: TokenId) -> Command {
    Command::GoAway { token, holds: Vec::new(), holds_made: 0 }
}

pub(crate) fn wake(token: TokenId) -> Command {
    Command::WakeToken { token }
}

pub(crate) fn advance(room_id: RoomId) -> Command {
    advance_past(room_id, &[])
}

pub(crate) fn advance_as(fence: i64, room_id: RoomId) -> Command {
    Command::AdvanceRoom { room_id, fence: Fence(fence), limit: 100, unresponsive: Vec::new(), outlook: None }
}

pub(crate) fn advance_past(room_id: RoomId, unresponsive: &[i64]) -> Command {
    Command::AdvanceRoom {
        room_id,
        fence: Fence(0),
        limit: 100,
        unresponsive: unresponsive.iter().copied().map(Position).map(SilentToken::unheard).collect(),
        outlook: None,
    }
}

pub(crate) fn hold(token: TokenId, seats: &[i64]) -> Command {
    Command::Hold { token, seat_ids: seat_ids(seats) }
}

pub(crate) fn cancel(id: i64) -> Command {
    Command::CancelReservation { reservation_id: ReservationId::new(id), reason: reason() }
}

pub(crate) fn sweep(ids: &[i64]) -> Command {
    Command::ExpireHolds { reservation_ids: reservation_ids(ids) }
}

pub(crate) fn pay(token: TokenId, ids: &[i64]) -> Command {
    Command::Pay { token, reservation_ids: reservation_ids(ids) }
}

pub(crate) fn refund(id: i64) -> Command {
    Command::Refund { payment_id: PaymentId::new(id), reason: reason() }
}

pub(crate) fn claim(worker: u128) -> Command {
    Command::ClaimEvents { consumer: Consumer::AuditFeed, holder: LeaseHolder(Uuid::from_u128(worker)) }
}

pub(crate) fn settle(worker: u128, delivered: &[EventId], failed: &[EventId]) -> Command {
    Command::SettleEvents(Settlements {
        consumer: Consumer::AuditFeed,
        holder: LeaseHolder(Uuid::from_u128(worker)),
        delivered: delivered.to_vec(),
        failed: failed.iter().map(|id| (*id, DeliveryError::new("away"))).collect(),
    })
}

pub(crate) fn feed(audit_id: i64) -> Command {
    Command::FeedAudit { audit_id: AuditId::new(audit_id) }
}

pub(crate) fn retry(event_id: i64) -> Command {
    Command::RetryEvent { event_id: EventId::new(event_id) }
}

pub(crate) fn top_up(caller: Caller, amount: i64, reference: Option<&str>) -> Command {
    Command::TopUp { user_id: user(caller), amount: Money::new(amount), reference: reference.map(str::to_owned) }
}
