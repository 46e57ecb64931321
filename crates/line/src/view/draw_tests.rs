//! The view of a line through the draw of its lobby.

use super::tests::{START, line};
use super::*;
use frontrow_domain::{
    command::{Command, DrawStep, Request},
    id::{RoomId, TokenId, UserId},
    line::{BeaconWait, Draw, EntrySet, Fence, drawn_position},
    model::Model,
    policy::Policy,
    user::Caller,
};
use frontrow_draw::{Chain, DrawSecret, merkle_root};
use proptest::prelude::*;
use std::collections::BTreeMap;
use uuid::Uuid;

const ROOM: RoomId = RoomId::HOUSE;

/// A line with a lobby, and the view that follows it.
struct DrawnLine {
    model: Model,
    view: RoomView,
    now: Time,
    /// The fewest that were ahead of each token so far.
    least: BTreeMap<UserId, i64>,
}

impl DrawnLine {
    fn new(secret: u8) -> Self {
        let now = START;
        let mut model = Model::new(5, now);
        let room = model.rooms.get_mut(&ROOM).unwrap();
        (room.draw, room.opens_at) = (DrawPhase::Lobby, Some(now));
        let view = RoomView::from_rows(&line(&model, now));
        let mut this = Self { model, view, now, least: BTreeMap::new() };
        let beacon = BeaconWait { chain: Chain::quicknet(), patience: Span::ZERO };
        let secret = DrawSecret::from_bytes([secret; 32]);
        this.ask(Caller::System, Command::StepDraw { room_id: ROOM, step: DrawStep::Begin { secret, beacon } });
        this
    }

    fn ask(&mut self, caller: Caller, command: Command) {
        self.now = self.now.plus(Span::from_millis(10));
        let request = Request { caller, command, idempotency: None };
        let (_, changes) = self.model.transact(self.now, Policy::default(), &[request]);
        for (_, delta) in deltas(&changes) {
            self.view.apply(&delta);
        }
        self.check();
    }

    fn token_of(&self, user: UserId) -> Option<Token> {
        self.model.tokens.values().find(|token| token.user_id == user && token.status() != TokenStatus::Ended).copied()
    }

    /// Where an instance looks for a token: an entry's place is known once its order is drawn.
    fn position_of(&self, token: &Token) -> Position {
        let draw = self.model.draws.get(&ROOM);
        let last = self.model.rooms[&ROOM].draw.last_entry().unwrap_or_default();
        match draw.and_then(Draw::order) {
            Some(order) if token.id.position <= last => {
                let rank = (1..).zip(order).find(|(_, entry)| *entry == token.id.position).unwrap().0;
                drawn_position(last, rank)
            }
            _ => token.id.position,
        }
    }

    /// Every live token waits, nobody's number ahead rises, and a view of the rows says the same.
    fn check(&mut self) {
        let rebuilt = RoomView::from_rows(&line(&self.model, self.now));
        let phase = self.model.rooms[&ROOM].draw;
        let live: Vec<_> =
            self.model.tokens.values().filter(|token| token.status() == TokenStatus::Waiting).copied().collect();
        for token in live {
            let position = self.position_of(&token);
            let place = self.view.place(position);
            assert_eq!(place.status(), TokenStatus::Waiting, "{position:?} in {phase:?}");
            if phase.is_undrawn(token.id.position) {
                assert_eq!(place.ahead, 0, "no order is known of an entry");
                continue;
            }
            assert_eq!(place, rebuilt.place(position), "{position:?} in {phase:?}");
            let least = self.least.entry(token.user_id).or_insert(place.ahead);
            assert!(place.ahead <= *least, "{position:?} in {phase:?}: {} rose to {}", least, place.ahead);
            *least = place.ahead;
        }
        assert_eq!(self.view.total_waiting(), rebuilt.total_waiting(), "{phase:?}");
    }

    fn join_or_leave(&mut self, user: u8) {
        let user_id = UserId(Uuid::from_u128(u128::from(user) + 1));
        let caller = Caller::Buyer(user_id);
        match self.token_of(user_id) {
            None => self.ask(caller, Command::IssueToken { room_id: ROOM, concert_id: None }),
            Some(token) => {
                self.least.remove(&user_id);
                self.ask(caller, Command::LeaveQueue { token: token.id });
            }
        }
    }

    fn step(&mut self) {
        let (room_id, fence) = (ROOM, Fence(0));
        let command = match self.model.rooms[&ROOM].draw {
            DrawPhase::Lobby => Command::StepDraw { room_id, step: DrawStep::Seal { fence } },
            DrawPhase::Sealed { last } => {
                let is_entry = |token: &&Token| token.status() == TokenStatus::Waiting && token.id.position <= last;
                let entered: EntrySet = self.model.tokens.values().filter(is_entry).map(|t| t.id.position).collect();
                Command::StepDraw { room_id, step: DrawStep::Count { fence, entered, tree: merkle_root(&[]) } }
            }
            DrawPhase::Placing { placed, .. } => {
                let order = self.model.draws[&ROOM].order().unwrap();
                let next = order.into_iter().skip(usize::try_from(placed).unwrap()).take(3).collect();
                Command::StepDraw { room_id, step: DrawStep::Place { fence, entries: next } }
            }
            DrawPhase::None | DrawPhase::Placed { .. } => {
                Command::AdvanceRoom { room_id, fence, limit: 3, unresponsive: Vec::new(), outlook: None }
            }
        };
        self.ask(Caller::System, command);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn everybody_waits_through_a_draw_and_no_number_ahead_rises(
        secret in any::<u8>(),
        early in prop::collection::vec(0..40_u8, 0..60),
        later in prop::collection::vec(prop::collection::vec(0..60_u8, 0..5), 0..30),
    ) {
        let mut drawn = DrawnLine::new(secret);
        for user in early {
            drawn.join_or_leave(user);
        }
        for users in later {
            drawn.step();
            for user in users {
                drawn.join_or_leave(user);
            }
        }
        for _ in 0..40 {
            drawn.step();
        }
        let is_placed = matches!(drawn.model.rooms[&ROOM].draw, DrawPhase::Placed { .. });
        prop_assert!(is_placed);
        let entries_wait = drawn.model.tokens.values().any(|token| {
            let last = drawn.model.rooms[&ROOM].draw.last_entry().unwrap_or_default();
            token.id.position <= last && token.status() != TokenStatus::Ended
        });
        prop_assert!(!entries_wait, "each entry has its place");
    }
}

#[test]
fn neither_a_draw_nor_leaving_the_lobby_says_that_fewer_tokens_will_come() {
    let mut drawn = DrawnLine::new(7);
    for user in (0..60).chain(0..20) {
        drawn.join_or_leave(user);
    }
    let before = drawn.view.heads;
    // When the order is drawn and the places are given in many batches.
    while !matches!(drawn.model.rooms[&ROOM].draw, DrawPhase::Placed { .. }) {
        drawn.step();
    }
    assert_eq!(drawn.view.heads, before);
    // A token that leaves the line once that moves, and has waited for a while, is counted.
    drawn.now = drawn.now.plus(Span::from_secs(30));
    drawn.join_or_leave(40);
    assert_ne!(drawn.view.heads, before);
}

#[test]
fn an_empty_lobby_needs_its_leader_at_the_opening_and_not_before() {
    let mut room = Room::new(RoomId::new(7), 1, START);
    (room.draw, room.opens_at) = (DrawPhase::Lobby, Some(START.plus(Span::from_secs(60))));
    let view = RoomView::empty(&room);
    assert!(!view.is_quiet() && !view.needs_leader(START));
    assert!(view.needs_leader(START.plus(Span::from_secs(60))));
    let rest = |seconds| view.rest(START.plus(Span::from_secs(seconds)), Span::from_secs(5));
    assert_eq!(rest(58), Some(Rest::InLobby(Span::from_secs(2))), "no turn is offered ahead of the draw");
    assert_eq!(rest(60), Some(Rest::Drawing));
    let token = TokenId { room_id: RoomId::new(7), position: Position(1) };
    assert_eq!(view.place(token.position).ahead, 0);
}
