//! The waits that a view estimates and tells, as the line moves.

use super::tests::{LineEvent, START, apply, line, request, room_of};
use super::*;
use frontrow_domain::{
    command::{Command, Request},
    id::{RoomId, UserId},
    model::Model,
    outage::Outage,
    policy::Policy,
    user::Caller,
};

/// Lets the room fill and move on for so many seconds: in each the oldest visit ends, and the next tokens come in,
/// but for the silent ones. Returns the moment after it.
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
fn tokens_in_front_that_will_not_come_are_not_waited_for() {
    let (mut model, mut view) = room_of(10, 800);
    let now = move_on(&mut model, &mut view, 200, |position| position.0 % 2 == 0);
    let (p50, _) = wait_of(&view, 99, now);
    assert!((43..=57).contains(&p50), "{p50}");
}

#[test]
fn turns_that_come_at_once_say_nothing_of_those_that_wait_even_if_the_rows_are_read_again() {
    // Given tokens that are offered their turns as they join.
    let mut model = Model::new(10, START);
    let mut view = RoomView::from_rows(&line(&model, START));
    let buyers: Vec<_> = (1..=10).map(|user| Caller::Buyer(UserId(uuid::Uuid::from_u128(user)))).collect();
    let join = Command::IssueToken { room_id: RoomId::HOUSE, concert_id: None };
    let joins = buyers.iter().map(|caller| Request { caller: *caller, command: join.clone(), idempotency: None });
    let ask = |model: &mut Model, view: &mut RoomView, now: Time, requests: Vec<Request>| {
        let (_, changes) = model.transact(now, Policy::default(), &requests);
        apply(view, &changes);
    };
    ask(&mut model, &mut view, START, joins.collect());
    let advance = request(&model, &LineEvent::Advance(Vec::new())).unwrap();
    ask(&mut model, &mut view, START, vec![advance]);
    assert_eq!((view.offered(), view.heads), (10, HeadRecord::default()));
    // When the rows are read again after half a minute, and they come in.
    let later = START.plus(Span::from_secs(30));
    let mut view = RoomView::from_rows(&line(&model, later)).with_measurements_of(&view, later);
    let claims = model.tokens.values().map(|token| {
        let command = Command::ActivateToken { token: token.id };
        Request { caller: Caller::Buyer(token.user_id), command, idempotency: None }
    });
    let claims = claims.collect();
    ask(&mut model, &mut view, later, claims);
    assert_eq!((view.active(), view.heads), (10, HeadRecord::default()));
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
    // Then the told waits of tokens that had their turns are judged, and no others.
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

#[test]
fn a_visit_does_not_last_longer_for_the_time_in_which_the_box_office_was_down() {
    let visited = |outages: Vec<Outage>, seconds| {
        let (mut model, view) = room_of(1, 2);
        let (mut view, began) = (view.with_outages(Outages::new(outages)), START.plus(Span::from_secs(1)));
        for (event, after) in
            [(LineEvent::Advance(Vec::new()), 0), (LineEvent::Activate(0), 0), (LineEvent::Leave(0), seconds)]
        {
            let event = request(&model, &event).unwrap();
            let (_, changes) = model.transact(began.plus(Span::from_secs(after)), Policy::default(), &[event]);
            apply(&mut view, &changes);
        }
        *view.visits.table()
    };
    let at = |seconds| START.plus(Span::from_secs(seconds));
    let outage = Outage::between(at(11), at(41), &Policy::default()).unwrap();
    assert_eq!(visited(vec![outage], 50), visited(Vec::new(), 20));
    assert_ne!(visited(Vec::new(), 50), visited(Vec::new(), 20));
}
