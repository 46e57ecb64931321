//! A box office whose every change goes to a queue.

use frontrow_domain::{
    command::{Command, Decision, NewConcert, Outcome, Request, RoomChange},
    id::{ConcertId, Position, ReservationId, RoomId, SeatId, TokenId, UserId},
    line::{Fence, Room, SilentToken, Token, TokenStatus},
    model::Model,
    money::Money,
    policy::Policy,
    sale::{DetailsChange, NewSeat, SeatLabel},
    time::{Span, Time},
    user::Caller,
};
use frontrow_line::{Peers, Rebuild, view::RoomView};
use frontrow_storage::Line;
use frontrow_testkit::fixture::policy;
use std::sync::Arc;
use uuid::Uuid;

pub(super) const START: Time = Time::from_micros(1_900_000_000_000_000);
pub(super) const HOUSE: RoomId = RoomId::HOUSE;

/// A box office whose every change goes to the queue, as the engine would send it.
pub(super) struct QueueFixture<'a> {
    pub(super) queue: &'a dyn Peers,
    pub(super) model: Model,
    pub(super) policy: Policy,
    pub(super) now: Time,
}

impl<'a> QueueFixture<'a> {
    /// One with an open house room for `max_active` and its line.
    pub(super) async fn open(queue: &'a dyn Peers, max_active: i64) -> Self {
        let office = Self { queue, model: Model::new(max_active, START), policy: policy(), now: START };
        queue.rebuild(office.line(), Rebuild::Replace).await;
        office
    }

    pub(super) fn run(&mut self, batch: Vec<(Caller, Command)>) -> Vec<Decision> {
        let requests: Vec<_> =
            batch.into_iter().map(|(caller, command)| Request { caller, command, idempotency: None }).collect();
        let (answers, changes) = self.model.transact(self.now, self.policy, &requests);
        self.queue.publish(&changes);
        answers.into_iter().map(|answer| answer.decision).collect()
    }

    pub(super) fn one(&mut self, caller: Caller, command: Command) -> Outcome {
        self.run(vec![(caller, command)]).remove(0).unwrap()
    }

    pub(super) fn join(&mut self, users: std::ops::RangeInclusive<i64>) {
        self.run(users.map(|user| (buyer(user), Command::IssueToken { room_id: HOUSE, concert_id: None })).collect());
    }

    pub(super) fn leave(&mut self, user: i64) {
        self.one(buyer(user), Command::LeaveQueue { token: at(user) });
    }

    pub(super) fn activate(&mut self, user: i64) -> Outcome {
        self.one(buyer(user), Command::ActivateToken { token: at(user) })
    }

    pub(super) fn advance(&mut self, unresponsive: &[i64]) {
        let unresponsive = unresponsive.iter().copied().map(Position).map(SilentToken::unheard).collect();
        self.one(
            Caller::System,
            Command::AdvanceRoom { room_id: HOUSE, fence: Fence(0), limit: 500, unresponsive, outlook: None },
        );
    }

    pub(super) fn set_room(&mut self, change: RoomChange) {
        self.one(Caller::System, Command::SetRoom { room_id: HOUSE, change, basis: None, reason: None });
    }

    pub(super) fn later(&mut self, by: Span) {
        self.now = self.now.plus(by);
    }

    pub(super) fn view(&self) -> Arc<RoomView> {
        self.queue.lines().view(HOUSE).unwrap()
    }

    pub(super) fn status(&self, position: i64) -> TokenStatus {
        self.view().place(Position(position)).status()
    }

    pub(super) fn ahead(&self, position: i64) -> i64 {
        self.view().place(Position(position)).ahead
    }

    pub(super) fn line(&self) -> Line {
        let tokens = || self.model.tokens.values().filter(|token| token.id.room_id == HOUSE);
        Line {
            room: self.model.rooms[&HOUSE].clone(),
            highest: self.model.highest.get(&HOUSE).copied().unwrap_or(Position(0)),
            waiting: tokens().filter(|token| is_waiting(token)).map(|token| token.id.position).collect(),
            in_flight: Vec::new(),
            others: tokens()
                .filter(|token| !is_waiting(token) && token.status() != TokenStatus::Ended)
                .copied()
                .collect(),
            now: self.now,
        }
    }

    /// A concert with two seats, the first user active, and both seats held by them.
    pub(super) fn hold_two_seats(&mut self) -> [ReservationId; 2] {
        let concert = NewConcert {
            title: "Title".into(),
            artist: "Artist".into(),
            venue: "Venue".into(),
            time_zone: "Asia/Seoul".into(),
            concert_date: jiff::civil::date(2035, 1, 1),
            start_time: jiff::civil::time(19, 0, 0, 0),
            end_time: jiff::civil::time(21, 0, 0, 0),
            starts_at: self.now.plus(Span::from_secs(30 * 86_400)),
            ends_at: self.now.plus(Span::from_secs(31 * 86_400)),
            base_price: Money::new(1_000),
            opens_at: Some(self.now),
            closes_at: Some(self.now.plus(Span::from_secs(20 * 86_400))),
            own_room_max_active: None,
            details: DetailsChange::default(),
        };
        self.one(Caller::System, Command::CreateConcert(concert));
        let seats = (1..=2).map(new_seat).collect();
        self.one(Caller::System, Command::AddSeats { concert_id: ConcertId::new(1), seats });
        self.join(1..=1);
        self.advance(&[]);
        self.activate(1);
        let seat_ids = vec![SeatId::new(1), SeatId::new(2)];
        let Outcome::Held(held) = self.one(buyer(1), Command::Hold { token: at(1), seat_ids }) else {
            panic!("both seats are free")
        };
        [held[0].reservation_id, held[1].reservation_id]
    }
}

pub(super) fn is_waiting(token: &Token) -> bool {
    token.status() == TokenStatus::Waiting
}

pub(super) fn buyer(user: i64) -> Caller {
    Caller::Buyer(user_id(user))
}

pub(super) fn user_id(user: i64) -> UserId {
    UserId(Uuid::from_u128(u128::from(user.unsigned_abs())))
}

pub(super) fn at(position: i64) -> TokenId {
    TokenId { room_id: HOUSE, position: Position(position) }
}

pub(super) fn empty_line() -> Line {
    let room = Room::new(HOUSE, 1, START);
    let (waiting, in_flight, others) = (Vec::new(), Vec::new(), Vec::new());
    Line { room, highest: Position(0), waiting, in_flight, others, now: START }
}

pub(super) fn new_seat(seat_number: i32) -> NewSeat {
    let label = SeatLabel { section: "Floor".into(), row: "A".into(), number: String::new(), grade: "R".into() };
    NewSeat { seat_number: Some(seat_number), price: Some(Money::new(1_000)), label }
}
