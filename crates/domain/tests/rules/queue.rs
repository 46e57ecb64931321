//! The waiting line, rule by rule: given a box office, when these commands come, then they are answered so.

use crate::support::{
    BOSS, CLOCK, CLOSES, HOUSE, JUNHO, MIN, MINJI, OWN, S, SORA, SaleModel, activate, advance, advance_as,
    advance_past, at, cancel, hold, issue, leave, pay, set_cap, set_room, token_id, update_concert, wake,
};
use frontrow_domain::{
    command::{Command, ConcertChange, Issue, Outcome, Request, RoomChange},
    decide::decide_all,
    footprint::Footprint,
    id::{ConcertId, Position, RoomId},
    line::{EndReason, Gate, TokenStatus},
    sale::ConcertStatus,
    time::Span,
    user::Caller,
};

#[test]
fn a_user_has_one_place_in_a_room_and_one_in_every_other() {
    let mut office = SaleModel::new();
    office.run([
        (0, MINJI, issue(HOUSE), "new"),
        (S, MINJI, issue(HOUSE), "existing"),
        (S, JUNHO, issue(HOUSE), "new"),
        (S, MINJI, issue(OWN), "new"),
        (S, MINJI, issue(OWN), "existing"),
        (S, MINJI, issue(RoomId::new(1)), "not_found"),
        (S, BOSS, issue(HOUSE), "new"),
        (S, Caller::Anonymous, issue(HOUSE), "forbidden"),
        (S, Caller::Service, issue(HOUSE), "forbidden"),
        (S, CLOCK, issue(HOUSE), "forbidden"),
    ]);
    let Ok(Outcome::Joined { token, issue: Issue::Existing }) = office.ask(MINJI, issue(HOUSE)) else { panic!() };
    assert_eq!((token.id, token.issued_at), (token_id(HOUSE, 1), at(0)), "asking again keeps the place");
}

#[test]
fn positions_rise_by_one_and_are_never_given_again() {
    let mut office = SaleModel::new();
    office.run([
        (0, MINJI, issue(HOUSE), "new"),
        (0, JUNHO, issue(HOUSE), "new"),
        (0, JUNHO, leave(token_id(HOUSE, 2)), "ended"),
        (0, JUNHO, issue(HOUSE), "new"),
    ]);
    let places: Vec<_> = office.model.tokens.keys().map(|id| id.position.0).collect();
    assert_eq!(places, [1, 2, 3]);
    assert_eq!(office.token(token_id(HOUSE, 2)).end_reason(), Some(EndReason::Left));
}

#[test]
fn a_leader_that_was_replaced_moves_the_line_no_more() {
    let mut office = SaleModel::new();
    office.run([
        (0, BOSS, set_cap(HOUSE, 1), "room"),
        (0, MINJI, issue(HOUSE), "new"),
        (0, JUNHO, issue(HOUSE), "new"),
        (S, CLOCK, advance_as(7, HOUSE), "offered 1, lapsed 0"),
        (S, MINJI, leave(token_id(HOUSE, 1)), "ended"),
        (S, CLOCK, advance_as(6, HOUSE), "superseded by 7"),
        (S, CLOCK, advance_as(7, HOUSE), "offered 1, lapsed 0"),
        // A leader takes the line over by moving it, even if nothing is to be moved.
        (2 * S, CLOCK, advance_as(8, HOUSE), "offered 0, lapsed 0"),
        (2 * S, JUNHO, leave(token_id(HOUSE, 2)), "ended"),
        (2 * S, SORA, issue(HOUSE), "new"),
        (2 * S, CLOCK, advance_as(7, HOUSE), "superseded by 8"),
    ]);
    assert_eq!(office.status(token_id(HOUSE, 3)), TokenStatus::Waiting);
}

#[test]
fn reserved_positions_are_given_in_order_and_what_is_left_of_them_is_named() {
    let office = SaleModel::new();
    let requests: Vec<_> = [MINJI, MINJI, JUNHO]
        .into_iter()
        .map(|caller| Request { caller, command: issue(HOUSE), idempotency: None })
        .collect();
    let mut world = office.model.load(at(0), office.policy, &Footprint::of(&requests));
    world.positions.insert(HOUSE, [5, 6, 9].map(Position).into());
    let answers = decide_all(&mut world, &requests);
    let given: Vec<_> = answers
        .iter()
        .map(|answer| match &answer.decision {
            Ok(Outcome::Joined { token, .. }) => token.id.position.0,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(given, [5, 5, 6]);
    assert_eq!(world.into_changes().unused, [token_id(HOUSE, 9)]);
}

#[test]
fn one_batch_gives_places_in_its_order_and_one_to_each_user() {
    let mut office = SaleModel::new();
    let answers = office.batch(&[
        (SORA, issue(HOUSE)),
        (MINJI, issue(HOUSE)),
        (SORA, issue(HOUSE)),
        (SORA, leave(token_id(HOUSE, 1))),
    ]);
    // The batch names a token that did not exist when it was loaded, and yet it is there by then.
    assert_eq!(answers, ["new", "new", "existing", "ended"]);
    assert_eq!(office.status(token_id(HOUSE, 2)), TokenStatus::Waiting);
}

#[test]
fn the_line_of_a_concert_may_be_joined_before_the_sale_but_not_after() {
    let mut office = SaleModel::new();
    let opens_later = ConcertChange { opens_at: Some(at(MIN)), ..ConcertChange::default() };
    let closed = ConcertChange { status: Some(ConcertStatus::Closed), ..ConcertChange::default() };
    let reopened = ConcertChange { status: Some(ConcertStatus::Scheduled), ..ConcertChange::default() };
    office.run([
        (0, BOSS, update_concert(2, opens_later), "concert"),
        (0, MINJI, issue(OWN), "new"),
        (S, BOSS, update_concert(2, closed), "concert"),
        (S, JUNHO, issue(OWN), "sale_closed"),
        (S, BOSS, update_concert(2, reopened), "concert"),
        (CLOSES - 1, JUNHO, issue(OWN), "new"),
        (CLOSES, SORA, issue(OWN), "sale_closed"),
        (CLOSES, SORA, issue(HOUSE), "new"),
    ]);
}

#[test]
fn a_line_joined_for_a_concert_is_the_one_that_leads_to_it() {
    let mut office = SaleModel::new();
    let join = |room_id, concert| Command::IssueToken { room_id, concert_id: Some(ConcertId::new(concert)) };
    office.run([
        (0, MINJI, join(HOUSE, 2), "not_found"),
        (0, MINJI, join(OWN, 1), "not_found"),
        (0, MINJI, join(HOUSE, 99), "not_found"),
        (0, MINJI, join(HOUSE, 1), "new"),
        (0, MINJI, join(OWN, 2), "new"),
        // The house room leads to other concerts too, so that only who names this one is refused.
        (CLOSES, JUNHO, join(HOUSE, 1), "sale_closed"),
        (CLOSES, JUNHO, issue(HOUSE), "new"),
    ]);
}

#[test]
fn a_token_is_activated_in_its_turn_and_by_its_user_only() {
    let mut office = SaleModel::new();
    let token = token_id(HOUSE, 1);
    office.run([
        (0, MINJI, issue(HOUSE), "new"),
        (0, MINJI, activate(token), "turn_not_yet"),
        (0, JUNHO, activate(token), "not_found"),
        (0, MINJI, activate(token_id(HOUSE, 7)), "not_found"),
        (0, MINJI, activate(token_id(HOUSE, 0)), "not_found"),
        (S, MINJI, advance(HOUSE), "forbidden"),
        (S, BOSS, advance(HOUSE), "forbidden"),
        (S, CLOCK, advance(RoomId::new(77)), "not_found"),
        (S, CLOCK, advance(HOUSE), "offered 1, lapsed 0"),
        (S, JUNHO, activate(token), "not_found"),
        (2 * S, MINJI, activate(token), "active"),
        (3 * S, MINJI, activate(token), "active"),
        (4 * S, MINJI, leave(token), "ended"),
        (4 * S, MINJI, leave(token), "ended"),
        (4 * S, MINJI, activate(token), "token_ended"),
        (4 * S, MINJI, wake(token), "ended"),
    ]);
    assert_eq!(office.token(token).activated_at(), Some(at(2 * S)));
    assert_eq!(office.token(token).expired_at(), Some(at(4 * S)));
}

#[test]
fn a_turn_may_be_claimed_until_a_microsecond_before_its_window_ends() {
    let rows = [(MIN - 1, "active", TokenStatus::Active), (MIN, "turn_pending", TokenStatus::Waiting)];
    for (micros, expected, status) in rows {
        let mut office = SaleModel::new();
        let token = token_id(HOUSE, 1);
        office.run([
            (0, MINJI, issue(HOUSE), "new"),
            (0, CLOCK, advance(HOUSE), "offered 1, lapsed 0"),
            (micros, MINJI, activate(token), expected),
        ]);
        assert_eq!(office.status(token), status);
    }
}

#[test]
fn a_missed_turn_is_recalled_to_the_head_until_its_window_ends() {
    let ends = MIN + 10 * MIN;
    // The line may have swept the turn or not: the answer is the same.
    for sweeps in [true, false] {
        for (micros, expected) in [(ends - 1, "turn_pending"), (ends, "token_ended")] {
            let mut office = SaleModel::new();
            office.run([
                (0, MINJI, issue(OWN), "new"),
                (0, JUNHO, issue(OWN), "new"),
                (0, CLOCK, advance(OWN), "offered 1, lapsed 0"),
            ]);
            if sweeps {
                office.run([(MIN, CLOCK, advance(OWN), "offered 1, lapsed 1")]);
                assert_eq!(office.status(token_id(OWN, 1)), TokenStatus::Missed);
            }
            office.run([(micros, MINJI, activate(token_id(OWN, 1)), expected)]);
            if expected == "turn_pending" {
                office.run([(
                    micros,
                    CLOCK,
                    advance(OWN),
                    if sweeps { "offered 1, lapsed 1" } else { "offered 1, lapsed 0" },
                )]);
                assert_eq!(
                    office.status(token_id(OWN, 1)),
                    TokenStatus::Offered,
                    "the head of the line is its own again"
                );
            }
        }
    }
}

#[test]
fn a_user_who_joins_again_sees_the_token_as_it_is_now() {
    let mut office = SaleModel::new();
    office.run([(0, MINJI, issue(HOUSE), "new"), (0, CLOCK, advance(HOUSE), "offered 1, lapsed 0")]);
    office.at(MIN);
    let Ok(Outcome::Joined { token, .. }) = office.ask(MINJI, issue(HOUSE)) else { panic!() };
    assert_eq!(token.status(), TokenStatus::Missed);
    // Past every window the place is gone, swept or not, and a new one is given.
    office
        .run([(11 * MIN, MINJI, issue(HOUSE), "new"), (11 * MIN, MINJI, activate(token_id(HOUSE, 1)), "token_ended")]);
    assert_eq!(office.token(token_id(HOUSE, 1)).expired_at(), Some(at(11 * MIN)));
}

#[test]
fn unresponsive_tokens_become_dormant_and_wait_again_after_a_poll() {
    let half_an_hour = 30 * MIN;
    let rows: [(i64, fn(_) -> _, &str); 5] = [
        (MIN, wake, "waiting"),
        (MIN, activate, "turn_pending"),
        (half_an_hour - 1, wake, "waiting"),
        (half_an_hour, wake, "ended"),
        (half_an_hour, activate, "token_ended"),
    ];
    for (micros, command, expected) in rows {
        let mut office = SaleModel::new();
        office.run([
            (0, MINJI, issue(OWN), "new"),
            (0, JUNHO, issue(OWN), "new"),
            (0, CLOCK, advance_past(OWN, &[1]), "offered 1, lapsed 0"),
        ]);
        assert_eq!(office.status(token_id(OWN, 1)), TokenStatus::Dormant);
        assert_eq!(office.status(token_id(OWN, 2)), TokenStatus::Offered, "a ghost does not block the line");
        office.run([(micros, MINJI, command(token_id(OWN, 1)), expected)]);
    }
}

#[test]
fn a_token_that_was_just_issued_counts_as_just_seen() {
    let mut office = SaleModel::new();
    let silence = 90 * S;
    office.policy.dormant_after = Span::from_secs(90);
    office.run([
        (0, MINJI, issue(HOUSE), "new"),
        (0, BOSS, set_room(HOUSE, RoomChange { gate: Some(Gate::Paused), ..RoomChange::default() }), "room"),
        (S, JUNHO, issue(HOUSE), "new"),
        (silence, SORA, issue(HOUSE), "new"),
        (silence, BOSS, set_room(HOUSE, RoomChange { gate: Some(Gate::Open), ..RoomChange::default() }), "room"),
        // As named by a leader that has seen none of the three.
        (silence, CLOCK, advance_past(HOUSE, &[1, 2, 3]), "offered 2, lapsed 0"),
    ]);
    let states = [1, 2, 3].map(|place| office.status(token_id(HOUSE, place)));
    assert_eq!(states, [TokenStatus::Dormant, TokenStatus::Offered, TokenStatus::Offered]);
}

#[test]
fn the_cursor_never_goes_back_and_tokens_behind_it_are_next() {
    let mut office = SaleModel::new();
    office.run([
        (0, MINJI, issue(OWN), "new"),
        (0, JUNHO, issue(OWN), "new"),
        (0, SORA, issue(OWN), "new"),
        (0, CLOCK, advance_past(OWN, &[1]), "offered 1, lapsed 0"),
        (S, MINJI, wake(token_id(OWN, 1)), "waiting"),
        (S, JUNHO, leave(token_id(OWN, 2)), "ended"),
        (S, CLOCK, advance(OWN), "offered 1, lapsed 0"),
    ]);
    assert_eq!(office.status(token_id(OWN, 1)), TokenStatus::Offered);
    assert_eq!(office.room(OWN).cursor, Position(2));
}

#[test]
fn no_sign_of_life_changes_a_turn() {
    let mut office = SaleModel::new();
    office.run([
        (0, MINJI, issue(HOUSE), "new"),
        (0, MINJI, wake(token_id(HOUSE, 1)), "waiting"),
        (0, JUNHO, wake(token_id(HOUSE, 1)), "not_found"),
        (0, CLOCK, advance(HOUSE), "offered 1, lapsed 0"),
        (MIN - 1, MINJI, wake(token_id(HOUSE, 1)), "offered"),
        (MIN, MINJI, wake(token_id(HOUSE, 1)), "missed"),
    ]);
}

#[test]
fn an_active_token_ends_when_idle_and_at_its_absolute_limit() {
    // Without a sign of life: 90 seconds, and the step by which it is lengthened.
    for (micros, expected) in [(100 * S - 1, "held"), (100 * S, "token_ended")] {
        let mut office = SaleModel::new();
        let token = office.active(MINJI, HOUSE);
        office.run([(micros, MINJI, hold(token, &[1]), expected)]);
    }
    // With one a minute: ten minutes.
    for (micros, expected) in [(10 * MIN - 1, "held"), (10 * MIN, "token_ended")] {
        let mut office = SaleModel::new();
        let token = office.active(MINJI, HOUSE);
        for minute in 1..10 {
            office.run([(minute * MIN, MINJI, wake(token), "active")]);
        }
        office.run([(micros, MINJI, hold(token, &[1]), expected)]);
    }
}

#[test]
fn a_hold_lifts_the_end_of_its_token_until_there_was_time_to_pay() {
    // Five minutes of the hold and half a minute of grace.
    for (micros, expected) in [(5 * MIN + 30 * S - 1, "active"), (5 * MIN + 30 * S, "ended")] {
        let mut office = SaleModel::new();
        let token = office.active(MINJI, HOUSE);
        office.run([(0, MINJI, hold(token, &[1]), "held"), (micros, MINJI, wake(token), expected)]);
    }
    // A hold in the last moment lifts it past the absolute limit, and no later hold lifts it again.
    let mut office = SaleModel::new();
    let token = office.active(MINJI, HOUSE);
    let last = 10 * MIN - 1;
    for minute in 1..10 {
        office.run([(minute * MIN, MINJI, wake(token), "active")]);
    }
    office.run([(last, MINJI, hold(token, &[1]), "held"), (15 * MIN - 2, MINJI, wake(token), "active")]);
    assert_eq!(office.token(token).deadline(), Some(at(last + 5 * MIN + 30 * S)));
}

#[test]
fn a_hold_that_is_cancelled_leaves_its_token_the_time_that_it_gave() {
    // Nothing says any more when the token would have ended without it.
    for (micros, expected) in [(5 * MIN + 30 * S - 1, "active"), (5 * MIN + 30 * S, "ended")] {
        let mut office = SaleModel::new();
        let token = office.active(MINJI, HOUSE);
        office.run([
            (0, MINJI, hold(token, &[1]), "held"),
            (S, MINJI, cancel(1), "cancelled"),
            (micros, MINJI, wake(token), expected),
        ]);
    }
}

#[test]
fn no_hold_outlasts_the_time_to_pay_for_it() {
    // Whenever it is held in a turn that was lengthened by a hold before: from the limit on it is refused, and before
    // that it can be paid to its end.
    for step in 0..=15 {
        let mut office = SaleModel::new();
        office.top_up(MINJI, 100_000);
        let token = office.active(MINJI, HOUSE);
        for minute in 1..10 {
            office.run([(minute * MIN, MINJI, wake(token), "active")]);
        }
        office.run([(10 * MIN - 1, MINJI, hold(token, &[1]), "held")]);
        let moment = 10 * MIN - 1 + step * 20 * S;
        office.at(moment);
        let answer = office.ask(MINJI, hold(token, &[2]));
        assert_eq!(answer.is_ok(), moment < 10 * MIN, "held {moment} microseconds after the turn began: {answer:?}");
        let Ok(Outcome::Held(held)) = answer else {
            let refusal = frontrow_domain::refusal::Refusal::TurnTimeOver { until: at(10 * MIN) };
            assert_eq!(office.ask(MINJI, hold(token, &[2])), Err(refusal));
            // Earlier holds can be paid until their end.
            office.run([(15 * MIN - 2, MINJI, pay(token, &[1]), "paid")]);
            continue;
        };
        let last = held[0].expires_at.since(at(0)).micros() - 1;
        office.run([(last, MINJI, pay(token, &[held[0].reservation_id.get()]), "paid")]);
    }
}
