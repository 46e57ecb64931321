//! One effect for one key: what a repeated request is answered with.

use crate::support::{
    self, BOSS, CLOCK, HOUSE, JUNHO, MIN, MINJI, OWN, S, SORA, SaleModel, activate, add_seats, advance, at, cancel,
    create_concert, hold, idempotency, issue, leave, name, pay, refund, set_cap, top_up, update_concert, user,
};
use frontrow_domain::{
    command::{Answer, Command, ConcertChange, Outcome, Replay, Request},
    refusal::Refusal,
    user::Caller,
};

/// An answer as a client sees it.
fn seen(answer: &Answer) -> serde_json::Value {
    serde_json::to_value(&answer.decision).expect("an answer is JSON")
}

/// Asks twice under one key: the second time nothing changes, and the answer is the first.
#[track_caller]
fn ask_twice(office: &mut SaleModel, key: u8, caller: Caller, command: &Command) -> Answer {
    let first = office.ask_with_key(key, 0, caller, command.clone());
    assert_eq!(first.replay, Replay::Fresh);
    let before = office.model.clone();
    office.at(office.micros() + 1);
    let second = office.ask_with_key(key, 0, caller, command.clone());
    assert_eq!((second.replay, seen(&second)), (Replay::Replayed, seen(&first)), "{command:?}");
    let mut after = office.model.clone();
    after.highest.clone_from(&before.highest);
    assert_eq!(after, before, "the replay of {command:?} changed something");
    first
}

#[test]
fn every_command_has_one_effect_for_one_key() {
    let mut office = SaleModel::new();
    let mut key = 0;
    let mut twice = |office: &mut SaleModel, caller, command: &Command, expected: &str| {
        key += 1;
        let answer = ask_twice(office, key, caller, command);
        assert_eq!(name(&answer.decision), expected);
        answer
    };
    let answer = twice(&mut office, MINJI, &issue(HOUSE), "new");
    let Ok(Outcome::Joined { token, .. }) = answer.decision else { panic!() };
    office.ask(CLOCK, advance(HOUSE)).unwrap();
    twice(&mut office, MINJI, &activate(token.id), "active");
    twice(&mut office, MINJI, &top_up(MINJI, 100_000, None), "topped_up");
    twice(&mut office, MINJI, &hold(token.id, &[1, 2, 3]), "held");
    twice(&mut office, MINJI, &cancel(3), "cancelled");
    twice(&mut office, MINJI, &pay(token.id, &[1, 2]), "paid");
    twice(&mut office, MINJI, &refund(1), "refunded");
    twice(&mut office, BOSS, &create_concert(Some(5)), "concert");
    twice(&mut office, BOSS, &update_concert(1, ConcertChange::default()), "concert");
    twice(&mut office, BOSS, &add_seats(1, 20..=29), "seats_added");
    twice(&mut office, BOSS, &set_cap(HOUSE, 9), "room");
    twice(&mut office, BOSS, &Command::LockUser { user_id: user(SORA), reason: crate::support::reason() }, "done");
    let answer = twice(&mut office, JUNHO, &issue(HOUSE), "new");
    let Ok(Outcome::Joined { token, .. }) = answer.decision else { panic!() };
    twice(&mut office, JUNHO, &leave(token.id), "ended");
    assert_eq!(office.balance(MINJI), 80_000);
}

#[test]
fn the_same_key_with_another_body_is_refused_and_the_first_answer_stays() {
    let mut office = SaleModel::new();
    office.ask_with_key(1, 1, MINJI, top_up(MINJI, 1_000, None)).decision.unwrap();
    let other = office.ask_with_key(1, 2, MINJI, top_up(MINJI, 2_000, None));
    assert_eq!(other.decision, Err(Refusal::IdempotencyKeyReused));
    let again = office.ask_with_key(1, 1, MINJI, top_up(MINJI, 1_000, None));
    assert_eq!((name(&again.decision).as_str(), again.replay), ("topped_up", Replay::Replayed));
    assert_eq!(office.balance(MINJI), 1_000);
}

#[test]
fn two_keys_are_two_effects() {
    let mut office = SaleModel::new();
    for key in 1..=3 {
        office.ask_with_key(key, 0, MINJI, top_up(MINJI, 1_000, None)).decision.unwrap();
    }
    assert_eq!(office.balance(MINJI), 3_000);
}

#[test]
fn a_key_is_good_for_a_request_that_comes_twice_in_one_batch() {
    let mut office = SaleModel::new();
    let request =
        |body| Request { caller: MINJI, command: top_up(MINJI, 1_000, None), idempotency: Some(idempotency(1, body)) };
    let (answers, _) = office.model.transact(office.now, office.policy, &[request(0), request(0), request(9)]);
    let replay: Vec<_> = answers.iter().map(|answer| answer.replay).collect();
    assert_eq!(replay, [Replay::Fresh, Replay::Replayed, Replay::Fresh]);
    assert_eq!(answers[0].decision, answers[1].decision);
    assert_eq!(answers[2].decision, Err(Refusal::IdempotencyKeyReused));
    assert_eq!(office.balance(MINJI), 1_000);
}

#[test]
fn a_refusal_over_seats_holds_or_money_is_repeated_whatever_changed() {
    let mut office = SaleModel::new();
    let token = office.active(MINJI, HOUSE);
    let theirs = office.active(JUNHO, HOUSE);
    office.run([(0, MINJI, hold(token, &[1]), "held")]);
    let broke = ask_twice(&mut office, 1, MINJI, &pay(token, &[1]));
    assert_eq!(name(&broke.decision), "insufficient_points");
    let occupied = ask_twice(&mut office, 2, JUNHO, &hold(theirs, &[1]));
    assert_eq!(name(&occupied.decision), "seat_held");

    office.top_up(MINJI, 10_000);
    let still_broke = office.ask_with_key(1, 0, MINJI, pay(token, &[1]));
    assert_eq!((still_broke.decision, still_broke.replay), (broke.decision, Replay::Replayed));
    office.run([(S, MINJI, cancel(1), "cancelled")]);
    let still_occupied = office.ask_with_key(2, 0, JUNHO, hold(theirs, &[1]));
    // The answer does not say who holds the seat, and is not stored.
    assert_eq!((seen(&still_occupied), still_occupied.replay), (seen(&occupied), Replay::Replayed));
    // Under new keys both go through.
    office.ask_with_key(3, 0, JUNHO, hold(theirs, &[1])).decision.unwrap();
    office.run([(S, MINJI, hold(token, &[2]), "held")]);
    office.top_up(MINJI, 10_000);
    office.ask_with_key(4, 0, MINJI, pay(token, &[3])).decision.unwrap();
}

#[test]
fn a_refusal_that_came_from_the_request_or_the_caller_is_not_stored() {
    let mut office = SaleModel::new();
    let token = office.active(MINJI, HOUSE);
    let other = office.active(MINJI, OWN);
    office.run([(0, JUNHO, issue(HOUSE), "new")]);
    let waiting = support::token_id(HOUSE, 2);
    let rows = [
        (MINJI, hold(token, &[]), "malformed"),
        (MINJI, hold(token, &[99]), "not_found"),
        (MINJI, hold(token, &[1, 7]), "several_concerts"),
        (MINJI, hold(other, &[1]), "token_of_another_room"),
        (JUNHO, hold(token, &[1]), "token_invalid"),
        (JUNHO, hold(waiting, &[1]), "token_waiting"),
        (JUNHO, activate(waiting), "turn_not_yet"),
        (MINJI, create_concert(None), "forbidden"),
        (MINJI, top_up(MINJI, 0, None), "amount_out_of_bounds"),
        (MINJI, top_up(JUNHO, 1_000, None), "top_up_not_allowed"),
    ];
    for (caller, command, expected) in rows {
        let answer = office.ask_with_key(1, 0, caller, command.clone());
        assert_eq!((name(&answer.decision).as_str(), answer.replay), (expected, Replay::Fresh));
        assert!(office.model.kept.is_empty(), "{expected} was kept");
    }
    // So the very same key works once the cause is gone.
    office.run([(S, CLOCK, advance(HOUSE), "offered 1, lapsed 0")]);
    let answer = office.ask_with_key(1, 0, JUNHO, activate(waiting));
    assert_eq!((name(&answer.decision).as_str(), answer.replay), ("active", Replay::Fresh));
}

#[test]
fn an_answer_that_changed_nothing_is_not_stored() {
    let mut office = SaleModel::new();
    let token = office.active(MINJI, HOUSE);
    let unkept = |office: &mut SaleModel, key, caller, command: Command, expected: &str| {
        let before = office.model.kept.len();
        for _ in 0..2 {
            let answer = office.ask_with_key(key, 0, caller, command.clone());
            assert_eq!((name(&answer.decision).as_str(), answer.replay), (expected, Replay::Fresh));
            assert_eq!(office.model.kept.len(), before, "{expected} was kept");
        }
    };
    unkept(&mut office, 1, MINJI, issue(HOUSE), "existing");
    unkept(&mut office, 2, MINJI, activate(token), "active");
    office.top_up(MINJI, 100_000);
    office.run([(0, MINJI, hold(token, &[1, 2]), "held"), (0, MINJI, cancel(2), "cancelled")]);
    unkept(&mut office, 3, MINJI, cancel(2), "reservation_not_pending");
    unkept(&mut office, 4, MINJI, hold(token, &[2]), "seat_cooling_down");
    office.run([(0, MINJI, pay(token, &[1]), "paid")]);
    unkept(&mut office, 5, MINJI, pay(token, &[1]), "reservation_not_pending");
    unkept(&mut office, 6, MINJI, leave(token), "ended");
    office.run([(0, MINJI, refund(1), "refunded")]);
    unkept(&mut office, 7, MINJI, refund(1), "already_refunded");
    unkept(&mut office, 8, Caller::Service, top_up(MINJI, 1_000, Some("seed 0")), "reference_used");
    // The very same key works once there is something to do.
    let again = ask_twice(&mut office, 1, MINJI, &issue(HOUSE));
    assert_eq!(name(&again.decision), "new");
}

#[test]
fn a_hold_that_came_too_early_is_granted_with_its_key_once_the_sale_is_open() {
    let mut office = SaleModel::new();
    let opens = ConcertChange { opens_at: Some(at(MIN)), ..ConcertChange::default() };
    office.run([(0, BOSS, update_concert(1, opens), "concert")]);
    let token = office.active(MINJI, HOUSE);
    let early = office.ask_with_key(1, 0, MINJI, hold(token, &[1]));
    assert_eq!(name(&early.decision), "sale_not_open");
    office.at(MIN);
    let held = ask_twice(&mut office, 1, MINJI, &hold(token, &[1]));
    assert_eq!(name(&held.decision), "held");
}

#[test]
fn every_token_refusal_lets_the_key_be_used_again() {
    let mut office = SaleModel::new();
    office.run([(0, MINJI, issue(HOUSE), "new"), (0, CLOCK, advance(HOUSE), "offered 1, lapsed 0")]);
    let token = support::token_id(HOUSE, 1);
    for (micros, expected) in [(0, "token_not_activated"), (MIN, "token_missed"), (11 * MIN, "token_ended")] {
        office.at(micros);
        let answer = office.ask_with_key(1, 0, MINJI, hold(token, &[1]));
        assert_eq!(name(&answer.decision), expected);
        assert!(office.model.kept.is_empty(), "{expected} was kept");
    }
}

#[test]
fn a_turn_that_waits_for_a_place_may_be_claimed_again_with_the_same_key() {
    let mut office = SaleModel::new();
    office.run([
        (0, BOSS, set_cap(OWN, 2), "room"),
        (0, MINJI, issue(OWN), "new"),
        (0, JUNHO, issue(OWN), "new"),
        (0, CLOCK, advance(OWN), "offered 2, lapsed 0"),
        (0, BOSS, set_cap(OWN, 1), "room"),
        (0, MINJI, activate(support::token_id(OWN, 1)), "active"),
    ]);
    let second = support::token_id(OWN, 2);
    let full = office.ask_with_key(1, 0, JUNHO, activate(second));
    assert_eq!(name(&full.decision), "turn_pending");
    office.run([(S, MINJI, leave(support::token_id(OWN, 1)), "ended")]);
    let claimed = ask_twice(&mut office, 1, JUNHO, &activate(second));
    assert_eq!(name(&claimed.decision), "active");
}

#[test]
fn a_request_whose_stored_answer_cannot_be_read_does_not_happen_twice() {
    let mut office = SaleModel::new();
    office.ask_with_key(1, 0, MINJI, top_up(MINJI, 1_000, None)).decision.unwrap();
    for kept in office.model.kept.values_mut() {
        kept.answer = "{\"Ok\":{\"outcome\":\"of another version\"}}".to_owned();
    }
    let again = office.ask_with_key(1, 0, MINJI, top_up(MINJI, 1_000, None));
    assert_eq!((name(&again.decision).as_str(), again.replay), ("malformed", Replay::Replayed));
    assert_eq!(office.balance(MINJI), 1_000);
}

#[test]
fn a_crash_before_the_commit_costs_nothing_and_the_retry_has_one_effect() {
    let mut office = SaleModel::new();
    let token = office.active(MINJI, HOUSE);
    office.top_up(MINJI, 50_000);
    office.run([(0, MINJI, hold(token, &[1]), "held")]);
    let before_the_crash = office.model.clone();
    office.ask_with_key(1, 0, MINJI, pay(token, &[1])).decision.unwrap();
    // Nothing of it reached the disk.
    office.model = before_the_crash;
    office.at(S);
    let retried = ask_twice(&mut office, 1, MINJI, &pay(token, &[1]));
    let Ok(Outcome::Paid(payments)) = retried.decision else { panic!() };
    assert_eq!(payments[0].paid_at, at(S));
    assert_eq!(office.balance(MINJI), 40_000);
}
