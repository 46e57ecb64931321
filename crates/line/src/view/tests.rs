use super::*;
use frontrow_domain::{
    changes::Changes,
    command::{Command, Request, RoomChange},
    id::{RoomId, TokenId, UserId},
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
            let unresponsive = unresponsive.iter().copied().map(Position).collect();
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

fn apply(view: &mut RoomView, changes: &Changes) {
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
fn full_room(waiting: i64) -> (Model, RoomView) {
    room_of(0, waiting)
}

/// A room of so many places with so many in line, who came long ago.
fn room_of(places: i64, waiting: i64) -> (Model, RoomView) {
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

/// Lets the room fill and move on for so many seconds: in each the oldest visit ends, and those who are next come in,
/// but for those who are silent. Returns the moment after it.
fn move_on(model: &mut Model, view: &mut RoomView, seconds: i64, is_silent: impl Fn(Position) -> bool) -> Time {
    let ask = |model: &mut Model, view: &mut RoomView, now: Time, requests: Vec<(Caller, Command)>| {
        let requests: Vec<_> =
            requests.into_iter().map(|(caller, command)| Request { caller, command, idempotency: None }).collect();
        let (_, changes) = model.transact(now, Policy::default(), &requests);
        apply(view, &changes);
    };
    let tokens = |model: &Model, status: TokenStatus| -> Vec<Token> {
        model.tokens.values().filter(|token| token.status() == status).copied().collect()
    };
    let mut now = START;
    for second in 1..=seconds {
        now = START.plus(Span::from_secs(second));
        let oldest = tokens(model, TokenStatus::Active).into_iter().min_by_key(Token::activated_at);
        let leaves = oldest.map(|token| (Caller::Buyer(token.user_id), Command::LeaveQueue { token: token.id }));
        ask(model, view, now, leaves.into_iter().collect());
        let head = tokens(model, TokenStatus::Waiting).into_iter().map(|token| token.id.position).take(40);
        let silent = LineEvent::Advance(head.filter(|at| is_silent(*at)).map(|at| at.0).collect());
        let Request { caller, command, .. } = request(model, &silent).unwrap();
        ask(model, view, now, vec![(caller, command)]);
        let claims = tokens(model, TokenStatus::Offered).into_iter();
        let claims = claims.map(|token| (Caller::Buyer(token.user_id), Command::ActivateToken { token: token.id }));
        ask(model, view, now, claims.collect());
    }
    now
}

/// The estimated wait with so many ahead, in seconds.
fn wait_of(view: &RoomView, ahead: i64, now: Time) -> (i64, i64) {
    let Estimate::Known { p50, p90 } = view.estimated_wait(ahead, None, now) else { panic!("nothing is known") };
    (p50.millis() / 1_000, p90.millis() / 1_000)
}

#[test]
fn the_wait_is_unknown_until_visits_have_ended_and_while_paused() {
    let (mut model, mut view) = room_of(10, 400);
    let full = move_on(&mut model, &mut view, 1, |_| false);
    assert_eq!(view.estimated_wait(9, None, full), Estimate::Unknown(WaitUnknown::Measuring));
    // Given a room in which one of ten visits ends each second.
    let now = move_on(&mut model, &mut view, 200, |_| false);
    let (p50, p90) = wait_of(&view, 99, now);
    assert!((90..=110).contains(&p50) && p90 > p50, "{p50}, {p90}");
    // A cap of twice as many counts at once, and so does a rate.
    let wider = Room { max_active: 20, ..view.room().clone() };
    view.apply(&Delta { room: Some(&wider), ..Delta::none(now) });
    let (twice, _) = wait_of(&view, 99, now);
    assert!((40..=55).contains(&twice), "{twice}");
    let slower = Room { admit_per_minute: Some(10), ..wider };
    view.apply(&Delta { room: Some(&slower), ..Delta::none(now) });
    let (by_rate, _) = wait_of(&view, 99, now);
    assert!((560..=600).contains(&by_rate), "{by_rate}");
    let pause = request(&model, &LineEvent::Pause(true)).unwrap();
    let (_, changes) = model.transact(now, Policy::default(), &[pause]);
    apply(&mut view, &changes);
    assert_eq!(view.estimated_wait(9, None, now), Estimate::Unknown(WaitUnknown::Paused));
}

#[test]
fn a_told_wait_rises_by_half_a_minute_at_most_until_the_settings_change() {
    // Given a token that was told its wait in a room of which one visit ends each second.
    let (mut model, mut view) = room_of(10, 400);
    let now = move_on(&mut model, &mut view, 200, |_| false);
    let position = Position(view.cursor().0 + 100);
    let tell = |view: &RoomView, position: Position, at: Time| {
        let told = view.told_wait(position, &view.place(position), None, at);
        let Estimate::Known { p50, p90 } = told else { panic!("nothing is known") };
        view.note_told(position, ToldWait { p50, p90 }, at);
        (p50.millis() / 1_000, p90.millis() / 1_000)
    };
    let (first, _) = tell(&view, position, now);
    // When no visit ends for ten minutes, then it is told half a minute more, and how long the wait may be.
    let later = now.plus(Span::from_secs(600));
    let estimate = wait_of(&view, view.ahead(position), later);
    assert!(estimate.0 > first + 60, "{estimate:?} after {first}");
    assert_eq!(tell(&view, position, later), (first + 30, estimate.1));
    assert_eq!(tell(&view, position, later), (first + 30, estimate.1), "it does not creep up");
    let other = Position(position.0 + 1);
    assert!(tell(&view, other, later).0 > first + 60, "another token was told nothing yet");
    let passed = view.cursor();
    assert_eq!(tell(&view, passed, later).0, wait_of(&view, 0, later).0, "a token that came back is told the estimate");
    // A view that is rebuilt from the rows knows what was told.
    let rebuilt = RoomView::from_rows(&line(&model, later)).with_measurements_of(&view, later);
    assert_eq!(tell(&rebuilt, position, later).0, first + 30);
    // When the cap is lowered, then it is told all of the wait.
    let narrow = Room { max_active: 5, ..view.room().clone() };
    view.apply(&Delta { room: Some(&narrow), ..Delta::none(later) });
    assert_eq!(tell(&view, position, later), wait_of(&view, view.ahead(position), later));
}

#[test]
fn those_in_front_who_will_not_come_are_not_waited_for() {
    let (mut model, mut view) = room_of(10, 800);
    let now = move_on(&mut model, &mut view, 200, |position| position.0 % 2 == 0);
    let (p50, _) = wait_of(&view, 99, now);
    assert!((43..=57).contains(&p50), "{p50}");
}

#[test]
fn the_wait_grows_while_no_visit_ends() {
    let (mut model, mut view) = room_of(10, 400);
    let now = move_on(&mut model, &mut view, 200, |_| false);
    let later = now.plus(Span::from_secs(120));
    assert!(wait_of(&view, 99, later).0 > wait_of(&view, 99, now).0 * 5 / 4);
}

#[test]
fn no_token_waits_for_a_free_place() {
    let model = Model::new(5, START);
    let view = RoomView::from_rows(&line(&model, START));
    assert_eq!(view.estimated_wait(4, None, START), Estimate::Known { p50: Span::ZERO, p90: Span::ZERO });
    assert_eq!(view.estimated_wait(6, None, START), Estimate::Unknown(WaitUnknown::Measuring));
}

#[test]
fn a_line_that_rests_until_the_sale_opens_has_no_estimate_and_is_asked_for_at_its_end() {
    let mut model = Model::new(5, START);
    model.rooms.get_mut(&RoomId::HOUSE).unwrap().opens_at = Some(START.plus(Span::from_secs(600)));
    let view = RoomView::from_rows(&line(&model, START));
    let lead = Span::from_secs(5);
    let at = |seconds| START.plus(Span::from_secs(seconds));
    assert_eq!(view.rest(START, lead), Some(Rest::For(Span::from_secs(595))));
    assert_eq!(view.rest(at(595), lead), None);
    assert_eq!(view.estimated_wait(0, view.rest(START, lead), START), Estimate::Unknown(WaitUnknown::SaleNotOpen));
    let place = view.place(Position(1));
    let even = |seconds| {
        let rest = view.rest(at(seconds), lead);
        (0..1_000).map(|seed| view.poll_after_ms(&place, seed, rest, START)).sum::<i64>() / 1_000
    };
    assert!((29_500..=30_500).contains(&even(0)), "{}", even(0));
    assert!((9_800..=10_200).contains(&even(585)), "{}", even(585));
    assert!((380..=420).contains(&even(595)), "a place is free: {}", even(595));
}

#[test]
fn no_poll_comes_long_after_the_opening_and_those_of_a_long_line_are_spread_evenly() {
    for (waiting, spread) in [(3, 500), (2_000, 500), (50_000, 2_000), (100_000, 4_000), (400_000, 4_000)] {
        let mut line = line(&Model::new(5, START), START);
        line.highest = Position(waiting);
        line.waiting = (1..=waiting).map(Position).collect();
        let view = RoomView::from_rows(&line);
        let people = || (1..=waiting).step_by(usize::try_from(waiting / 10_000 + 1).unwrap());
        for span in [3, 900, 9_999, 20_000, 27_500, 31_000, 33_900, 36_000, 90_000] {
            let rest = Some(Rest::For(Span::from_millis(span)));
            let mut late = Vec::new();
            for position in people() {
                for seed in 0..5_u64 {
                    let seed = seed.wrapping_mul(977).wrapping_add(position.unsigned_abs().wrapping_mul(0x9e37_79b9));
                    let after = view.poll_after_ms(&view.place(Position(position)), seed, rest, START);
                    assert!(POLL_GIVEN_MS.contains(&after), "{after}");
                    let is_late = after > span;
                    assert!(!is_late || after <= span + 1 + spread.max(320), "{waiting} {span}: {after}");
                    late.extend(is_late.then_some(after - span));
                }
            }
            // All who come after the opening, when they are many: no tenth of the time gets twice its share.
            if late.len() < 20_000 || !(320..=24_000).contains(&span) {
                continue;
            }
            for tenth in 0..10 {
                let (from, to) = (spread * tenth / 10, spread * (tenth + 1) / 10);
                let part = late.iter().filter(|after| (from..to).contains(&(**after - 1))).count();
                assert!(part * 10 <= late.len() * 5 / 4, "{waiting} {span}: {part} of {} in {tenth}", late.len());
            }
        }
    }
}

#[test]
fn those_in_front_learn_of_the_opening_first() {
    let (_, view) = full_room(5_000);
    let rest = Some(Rest::For(Span::from_secs(8)));
    let even = |position| {
        let place = view.place(Position(position));
        (0..1_000).map(|seed| view.poll_after_ms(&place, seed, rest, START)).sum::<i64>() / 1_000
    };
    let asked = [1, 1_250, 2_500, 5_000].map(even);
    assert!(asked.is_sorted() && asked[0] < 8_060 && asked[3] > 8_400, "{asked:?}");
}

#[test]
fn a_line_whose_sale_is_over_says_so_and_is_asked_for_seldom_until_the_sale_goes_on() {
    let mut model = Model::new(5, START);
    let at = |seconds| START.plus(Span::from_secs(seconds));
    let row = model.rooms.get_mut(&RoomId::HOUSE).unwrap();
    (row.opens_at, row.closes_at) = (Some(at(300)), Some(at(600)));
    let mut view = RoomView::from_rows(&line(&model, START));
    let lead = Span::from_secs(5);
    let free = Estimate::Known { p50: Span::ZERO, p90: Span::ZERO };
    assert_eq!(view.estimated_wait(0, view.rest(at(599), lead), at(599)), free);
    let rest = view.rest(at(600), lead);
    assert_eq!(
        (rest, view.estimated_wait(0, rest, START)),
        (Some(Rest::SaleClosed), Estimate::Unknown(WaitUnknown::SaleClosed))
    );
    let place = view.place(Position(1));
    assert!((0..100).all(|seed| view.poll_after_ms(&place, seed, rest, START) >= 24_000));
    // Closed before it opened, the sale is not said to open.
    let stopped = Room { closes_at: Some(at(10)), ..view.room().clone() };
    view.apply(&Delta { room: Some(&stopped), ..Delta::none(at(10)) });
    assert_eq!(view.rest(at(10), lead), Some(Rest::SaleClosed));
    let goes_on = Room { closes_at: Some(at(900)), ..stopped };
    let effects = view.apply(&Delta { room: Some(&goes_on), ..Delta::none(at(700)) });
    assert!(effects.may_move, "the line is looked at when the sale goes on");
    assert_eq!(view.estimated_wait(0, view.rest(at(700), lead), at(700)), free);
}

#[test]
fn clients_ask_often_at_the_head_and_seldom_at_the_back() {
    let (_, view) = full_room(2_000);
    let even = |position| {
        let place = view.place(Position(position));
        (0..1_000).map(|seed| view.poll_after_ms(&place, seed, None, START)).sum::<i64>() / 1_000
    };
    assert!((1_450..=1_550).contains(&even(1)), "{}", even(1));
    assert!((29_500..=30_500).contains(&even(2_000)), "{}", even(2_000));
    let place = view.place(Position(2_000));
    let spread: Vec<_> = (0..1_000).map(|seed| view.poll_after_ms(&place, seed, None, START)).collect();
    assert!(spread.iter().all(|ms| (24_000..=36_000).contains(ms)));
    assert!(*spread.iter().max().unwrap() - *spread.iter().min().unwrap() > 10_000);
    assert_eq!(view.poll_after_ms(&place, 7, None, START), view.poll_after_ms(&place, 7, None, START));
    let offered = Place {
        state: Some(TokenState::Offered { until: START, claimed_at: None }),
        ahead: 0,
        returned: 0,
        turns_passed: 0,
    };
    assert!((0..1_000).all(|seed| view.poll_after_ms(&offered, seed, None, START) <= 1_500));
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

#[test]
fn what_tokens_were_told_is_compared_with_their_turns_as_the_line_moves() {
    // Given a room of ten places in which one visit ends each second, and 400 tokens that are told now.
    let (mut model, mut view) = room_of(10, 400);
    let now = move_on(&mut model, &mut view, 100, |_| false);
    let told_of = |view: &RoomView, position: i64, now| {
        let (p50, p90) = wait_of(view, view.place(Position(position)).ahead, now);
        view.note_told(Position(position), ToldWait { p50: Span::from_secs(p50), p90: Span::from_secs(p90) }, now);
    };
    let first = view.cursor().0 + 1;
    (first..=400).for_each(|position| told_of(&view, position, now));
    assert_eq!(view.told_waits()[0].judged, 0);
    // When the line moves on for a minute, in which every fourth token is not heard of.
    for second in 1..=60 {
        let at = now.plus(Span::from_secs(second));
        let visits: Vec<_> =
            model.tokens.values().filter(|token| token.status() == TokenStatus::Active).copied().collect();
        let oldest = visits.iter().min_by_key(|token| token.activated_at()).unwrap();
        let leave = (Caller::Buyer(oldest.user_id), Command::LeaveQueue { token: oldest.id });
        let silent = LineEvent::Advance((first..400).filter(|at| at % 4 == 0).collect());
        let advance = request(&model, &silent).unwrap();
        let mut requests = vec![Request { caller: leave.0, command: leave.1, idempotency: None }, advance];
        for token in model.tokens.values().filter(|token| token.status() == TokenStatus::Offered) {
            let command = Command::ActivateToken { token: token.id };
            requests.push(Request { caller: Caller::Buyer(token.user_id), command, idempotency: None });
        }
        let (_, changes) = model.transact(at, Policy::default(), &requests);
        apply(&mut view, &changes);
    }
    // Then those who had their turns are judged, and not the others.
    let passed = (first..=view.cursor().0).filter(|at| at % 4 != 0).count();
    let tally = view.told_waits()[0];
    let short = 8;
    assert!(tally.judged > 40 && tally.judged + short >= u64::try_from(passed).unwrap(), "{tally:?} of {passed}");
    assert!(tally.judged <= u64::try_from(passed).unwrap());
    // A quarter did not come: the waits were told too long.
    assert!(tally.error_percent.is_some_and(|error| (10..=50).contains(&error)), "{tally:?}");
    // And nothing is judged that was told before the cap was changed.
    let wider = Room { max_active: 20, ..view.room().clone() };
    let judged = view.told_waits()[0].judged;
    view.apply(&Delta { room: Some(&wider), ..Delta::none(now.plus(Span::from_secs(61))) });
    model.rooms.insert(RoomId::HOUSE, wider);
    let advance = request(&model, &LineEvent::Advance(Vec::new())).unwrap();
    let (_, changes) = model.transact(now.plus(Span::from_secs(62)), Policy::default(), &[advance]);
    apply(&mut view, &changes);
    assert!(view.offered() > 0);
    assert_eq!(view.told_waits()[0].judged, judged);
}
