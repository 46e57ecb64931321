use super::*;
use frontrow_domain::{
    changes::Changes,
    command::{Command, Request, RoomChange},
    id::{RoomId, TokenId, UserId},
    line::SilentToken,
    model::Model,
    policy::Policy,
    user::Caller,
};
use frontrow_storage::Line;
use proptest::prelude::*;
use std::collections::BTreeMap;
use uuid::Uuid;

pub(crate) const START: Time = Time::from_micros(1_900_000_000_000_000);

/// The events of a line. Numbers pick a user.
#[derive(Debug, Clone)]
pub(crate) enum LineEvent {
    Join(u8),
    Leave(u8),
    Activate(u8),
    Wake(u8),
    Advance(Vec<i64>),
    SetCap(i64),
    Pause(bool),
    Later(i64),
}

pub(crate) fn event() -> impl Strategy<Value = LineEvent> {
    prop_oneof![
        6 => any::<u8>().prop_map(LineEvent::Join),
        2 => any::<u8>().prop_map(LineEvent::Leave),
        3 => any::<u8>().prop_map(LineEvent::Activate),
        2 => any::<u8>().prop_map(LineEvent::Wake),
        3 => prop::collection::vec(1..120_i64, 0..20).prop_map(LineEvent::Advance),
        1 => (0..20_i64).prop_map(LineEvent::SetCap),
        1 => any::<bool>().prop_map(LineEvent::Pause),
        2 => (0..900_i64).prop_map(LineEvent::Later),
    ]
}

fn caller(user: u8) -> Caller {
    Caller::Buyer(UserId(Uuid::from_u128(u128::from(user % 64) + 1)))
}

pub(crate) fn request(model: &Model, event: &LineEvent) -> Option<Request> {
    let own = |user: u8| {
        let user_id = caller(user).user_id();
        model.tokens.values().rev().find(|token| Some(token.user_id) == user_id).map(|token| token.id)
    };
    let (caller, command) = match event {
        LineEvent::Join(user) => (caller(*user), Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None }),
        LineEvent::Leave(user) => (caller(*user), Command::LeaveQueue { token: own(*user)? }),
        LineEvent::Activate(user) => (caller(*user), Command::ActivateToken { token: own(*user)? }),
        LineEvent::Wake(user) => (caller(*user), Command::WakeToken { token: own(*user)? }),
        LineEvent::Advance(unresponsive) => {
            let unresponsive = unresponsive.iter().copied().map(Position).map(SilentToken::unheard).collect();
            (
                Caller::System,
                Command::AdvanceRoom {
                    room_id: RoomId::HOUSE,
                    fence: frontrow_domain::line::Fence(0),
                    limit: 10,
                    unresponsive,
                    outlook: None,
                },
            )
        }
        LineEvent::SetCap(cap) => (Caller::System, set(RoomChange { max_active: Some(*cap), ..RoomChange::default() })),
        LineEvent::Pause(closed) => {
            let gate = if *closed { Gate::Paused } else { Gate::Open };
            (Caller::System, set(RoomChange { gate: Some(gate), ..RoomChange::default() }))
        }
        LineEvent::Later(_) => return None,
    };
    Some(Request { caller, command, idempotency: None })
}

const fn set(change: RoomChange) -> Command {
    Command::SetRoom { room_id: RoomId::HOUSE, change, basis: None, reason: None }
}

pub(crate) fn line(model: &Model, now: Time) -> Line {
    Line {
        room: model.rooms[&RoomId::HOUSE].clone(),
        highest: model.highest.get(&RoomId::HOUSE).copied().unwrap_or(Position(0)),
        waiting: model
            .tokens
            .values()
            .filter(|token| token.status() == TokenStatus::Waiting)
            .map(|token| token.id.position)
            .collect(),
        in_flight: Vec::new(),
        others: model
            .tokens
            .values()
            .filter(|token| !matches!(token.status(), TokenStatus::Waiting | TokenStatus::Ended))
            .copied()
            .collect(),
        now,
    }
}

pub(super) fn apply(view: &mut RoomView, changes: &Changes) {
    for (room, delta) in deltas(changes) {
        assert_eq!(room, RoomId::HOUSE);
        view.apply(&delta);
    }
}

fn assert_exact(view: &RoomView, model: &Model) {
    let cursor = model.rooms[&RoomId::HOUSE].cursor;
    let tokens = || model.tokens.values();
    let count = |status| i64::try_from(tokens().filter(|token| token.status() == status).count()).unwrap();
    assert_eq!(view.total_waiting(), count(TokenStatus::Waiting));
    assert_eq!((view.active(), view.offered()), (count(TokenStatus::Active), count(TokenStatus::Offered)));
    let mut in_front = 0;
    for token in tokens() {
        let place = view.place(token.id.position);
        assert_eq!((place.status(), place.deadline()), (token.status(), token.deadline()), "{:?}", token.id);
        if token.deadline().is_some() {
            assert_eq!(place.turns_passed, token.turns_passed, "{:?}", token.id);
        }
        if token.status() == TokenStatus::Waiting && token.id.position > cursor {
            assert_eq!(place.ahead, in_front, "{:?}", token.id);
            in_front += 1;
        } else {
            assert_eq!(place.ahead, 0);
        }
    }
    let waiting: Vec<_> = view.waiting_from_head(usize::MAX).collect();
    let expected: Vec<_> =
        tokens().filter(|token| token.status() == TokenStatus::Waiting).map(|token| token.id.position).collect();
    assert_eq!(waiting, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_followed_view_is_the_model_and_no_place_ever_rises(
        batches in prop::collection::vec(prop::collection::vec(event(), 1..8), 1..60),
    ) {
        let mut model = Model::new(3, START);
        let mut view = RoomView::from_rows(&line(&model, START));
        let mut now = START;
        let mut before: BTreeMap<Position, i64> = BTreeMap::new();
        let mut returns: BTreeMap<Position, Time> = BTreeMap::new();
        for batch in batches {
            for event in &batch {
                if let LineEvent::Later(seconds) = event {
                    now = now.plus(Span::from_secs(*seconds));
                }
            }
            let requests: Vec<_> = batch.iter().filter_map(|event| request(&model, event)).collect();
            let (_, changes) = model.transact(now, Policy { dormant_after: Span::ZERO, ..Policy::default() }, &requests);
            apply(&mut view, &changes);
            assert_exact(&view, &model);
            let from_rows = RoomView::from_rows(&line(&model, now));
            assert_exact(&from_rows, &model);
            let refreshed = from_rows.clone().with_measurements_of(&view, now);
            // A token that comes back leaves the line for a turn before it may come back again.
            let came_back: Vec<_> = changes.tokens.updated.iter().map(|token| token.id.position).collect();
            returns.retain(|position, _| view.returned().contains(position) && !came_back.contains(position));
            for position in view.returned() {
                returns.entry(*position).or_insert(now);
            }
            for position in view.waiting_from_head(usize::MAX).filter(|position| *position > view.cursor()) {
                let issued_at = model.tokens[&TokenId { room_id: RoomId::HOUSE, position }].issued_at;
                let place = view.place_of(position, issued_at);
                let counted = returns.values().filter(|at| at.plus(RETURN_KNOWN_AFTER) < issued_at).count();
                prop_assert_eq!(place.returned, i64::try_from(counted).unwrap(), "{}", position);
                prop_assert_eq!(place.ahead_in_line(), view.place(position).ahead);
                if let Some(old) = before.insert(position, place.ahead) {
                    prop_assert!(place.ahead <= old, "{position} rose from {old} to {}", place.ahead);
                }
                // After a refresh an instance counts the same, and after a restart no more.
                prop_assert_eq!(refreshed.place_of(position, issued_at), place);
                prop_assert_eq!(from_rows.place_of(position, issued_at).returned, 0);
            }
        }
    }
}

/// A room without a place, with so many in line.
pub(super) fn full_room(waiting: i64) -> (Model, RoomView) {
    room_of(0, waiting)
}

/// A room of so many places with so many in line, who came long ago.
pub(crate) fn room_of(places: i64, waiting: i64) -> (Model, RoomView) {
    let mut model = Model::new(places, START);
    let joins: Vec<_> = (0..waiting)
        .map(|user| Request {
            caller: Caller::Buyer(UserId(Uuid::from_u128(u128::from(user.unsigned_abs()) + 1))),
            command: Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None },
            idempotency: None,
        })
        .collect();
    let long_ago = START.minus(Span::from_secs(1_000));
    model.transact(long_ago, Policy::default(), &joins);
    let view = RoomView::from_rows(&line(&model, START));
    (model, view)
}

#[test]
fn a_token_behind_more_returned_ones_than_places_are_free_does_not_ask_at_once() {
    // Given three free places, three turns, eight tokens that were asleep when theirs came and have come back, and one
    // token behind them.
    let (mut model, _) = room_of(0, 12);
    let asleep = Policy { dormant_after: Span::ZERO, ..Policy::default() };
    let mut view = RoomView::from_rows(&line(&model, START));
    let steps = [LineEvent::SetCap(3), LineEvent::Advance((1..=8).collect()), LineEvent::SetCap(0)];
    let wakes = (0..8).map(LineEvent::Wake);
    for step in steps.into_iter().chain(wakes).chain([LineEvent::SetCap(6)]) {
        let (_, changes) = model.transact(START, asleep, &[request(&model, &step).unwrap()]);
        apply(&mut view, &changes);
    }
    assert_eq!(view.returned().len(), 8);
    let even = |view: &RoomView, position| {
        let place = view.place(Position(position));
        (0..1_000).map(|seed| view.poll_after_ms(&place, seed, None, START)).sum::<i64>() / 1_000
    };
    assert!(even(&view, 12) >= 1_400, "{}", even(&view, 12));
    // When there are places for all of them, then it does.
    let places = request(&model, &LineEvent::SetCap(20)).unwrap();
    let (_, changes) = model.transact(START, asleep, &[places]);
    apply(&mut view, &changes);
    assert!((380..=420).contains(&even(&view, 12)), "{}", even(&view, 12));
}

#[test]
fn those_who_had_come_back_before_a_token_was_issued_are_ahead_of_it_until_their_turn() {
    // Given a line of three, of which the first two were asleep when their turns came.
    let (mut model, _) = room_of(0, 3);
    let asleep = Policy { dormant_after: Span::ZERO, ..Policy::default() };
    let mut view = RoomView::from_rows(&line(&model, START));
    let mut step = |view: &mut RoomView, seconds: i64, event: LineEvent| {
        let now = START.plus(Span::from_secs(seconds));
        let (_, changes) = model.transact(now, asleep, &[request(&model, &event).unwrap()]);
        apply(view, &changes);
    };
    for event in [LineEvent::SetCap(1), LineEvent::Advance(vec![1, 2]), LineEvent::SetCap(0)] {
        step(&mut view, 0, event);
    }
    // When one comes back, then a token is issued, then the other comes back.
    step(&mut view, 10, LineEvent::Wake(0));
    step(&mut view, 20, LineEvent::Join(10));
    step(&mut view, 30, LineEvent::Wake(1));
    let issued_at = |seconds| START.plus(Span::from_secs(seconds));
    let ahead = |view: &RoomView, seconds| {
        let place = view.place_of(Position(4), issued_at(seconds));
        (place.ahead, place.returned)
    };
    assert_eq!(view.returned(), [Position(1), Position(2)]);
    assert_eq!(view.cursor(), Position(3), "the third has its turn");
    // Then the token counts the first alone; one that was issued within a second of the return would count none.
    assert_eq!(ahead(&view, 20), (1, 1));
    assert_eq!([ahead(&view, 11), ahead(&view, 12), ahead(&view, 40)], [(0, 0), (1, 1), (2, 2)]);
    assert_eq!(view.place_of(Position(1), issued_at(0)).ahead, 0);
    // And it moves up when that one has its turn.
    step(&mut view, 50, LineEvent::SetCap(2));
    step(&mut view, 50, LineEvent::Advance(vec![2]));
    assert_eq!(ahead(&view, 20), (0, 0), "{:?}", view.returned());
}

#[test]
fn an_unseen_position_waits_behind_all_others() {
    let (_, view) = full_room(10);
    assert_eq!(
        view.place(Position(15)),
        Place { state: Some(TokenState::Waiting), ahead: 14, returned: 0, turns_passed: 0 }
    );
}

#[test]
fn what_was_never_a_place_has_ended() {
    let (_, view) = full_room(10);
    for position in [Position(0), Position(-5), Position(i64::MIN)] {
        assert_eq!(view.place(position).status(), TokenStatus::Ended);
    }
}

#[test]
fn a_position_missing_when_the_line_was_built_may_still_come() {
    let (mut model, _) = full_room(10);
    let id = TokenId { room_id: RoomId::HOUSE, position: Position(4) };
    let late = model.tokens.remove(&id).unwrap();
    let mut view = RoomView::from_rows(&line(&model, START));
    assert_eq!(view.place(Position(5)).ahead, 3);
    view.apply(&Delta { inserted: &[late], ..Delta::none(START) });
    assert_eq!(view.place(Position(4)).status(), TokenStatus::Waiting);
    assert_eq!(view.place(Position(5)).ahead, 4);
    assert_eq!(view.total_waiting(), 10);
}

#[test]
fn an_unassigned_position_is_not_in_line() {
    let (model, mut view) = full_room(10);
    let id = |position| TokenId { room_id: RoomId::HOUSE, position: Position(position) };
    let next = frontrow_domain::line::Token { id: id(13), ..model.tokens[&id(10)] };
    view.apply(&Delta {
        now: START,
        room: None,
        updated: &[],
        inserted: &[next],
        unused: &[id(11), id(12), id(14)],
        highest: Position(0),
    });
    assert_eq!((view.place(Position(13)).ahead, view.total_waiting()), (10, 11));
    assert_eq!(view.place(Position(15)).ahead, 11);
}

#[test]
fn a_view_is_stale_a_second_after_its_last_refresh() {
    let (_, view) = full_room(1);
    assert!(!view.is_stale(START.plus(Span::from_secs(60))));
    let all = Arc::new(AtomicI64::new(0));
    let confirmed = Confirmed::with(Arc::clone(&all));
    let view = view.confirmed_by(confirmed.clone());
    assert!(view.is_stale(START));
    all.store(START.micros(), Ordering::Relaxed);
    assert!(!view.is_stale(START.plus(Span::from_millis(1_000))));
    assert!(view.is_stale(START.plus(Span::from_millis(1_001))));
    assert_eq!(view.as_of(START.plus(Span::from_secs(2))), START);
    confirmed.note(START.plus(Span::from_secs(2)));
    assert!(!view.is_stale(START.plus(Span::from_secs(3))));
}
