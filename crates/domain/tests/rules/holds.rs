//! Seats and holds, rule by rule.

use crate::support::{
    BOSS, CLOCK, CLOSES, HOUSE, JUNHO, MIN, MINJI, OWN, S, SORA, SaleModel, at, block, cancel, free, hold, leave, pay,
    refund, sweep, token_id, update_concert, wake,
};
use frontrow_domain::{
    command::{ConcertChange, Outcome},
    id::{ReservationId, SeatId, TokenId},
    line::TokenState,
    money::Money,
    refusal::Refusal,
    sale::{ConcertStatus, ReservationStatus},
    seen::{REFUSAL_TTL, SeenTaken},
    time::Span,
    user::Caller,
};

/// The hold's end, for holds made at the start.
const END: i64 = 5 * MIN;

#[test]
fn a_seat_has_one_holder_and_the_refusal_says_until_when() {
    let (mut office, mine) = SaleModel::with_hold(MINJI, &[1]);
    let theirs = office.active(JUNHO, HOUSE);
    office.run([
        (0, JUNHO, hold(theirs, &[1]), "seat_held"),
        (0, MINJI, hold(mine, &[1]), "seat_held_by_you"),
        (0, JUNHO, hold(theirs, &[2]), "held"),
    ]);
    let refusal = office.ask(JUNHO, hold(theirs, &[3, 1])).unwrap_err();
    assert_eq!(refusal, Refusal::SeatHeld { seat_id: SeatId::new(1), held_until: at(END), holder: MINJI.user_id() });
    assert_eq!(office.letter(3), 'A', "all or nothing");
    assert_eq!([1, 2].map(|seat| office.letter(seat)), ['H', 'H']);
}

#[test]
fn of_one_batch_the_first_gets_the_seat() {
    let mut office = SaleModel::new();
    let (minji, junho) = (office.active(MINJI, HOUSE), office.active(JUNHO, HOUSE));
    let answers = office.batch(&[
        (JUNHO, hold(junho, &[2, 1])),
        (MINJI, hold(minji, &[1])),
        (MINJI, cancel(2)),
        (JUNHO, cancel(2)),
        (MINJI, hold(minji, &[1])),
    ]);
    assert_eq!(answers, ["held", "seat_held", "not_found", "cancelled", "held"]);
    assert_eq!(office.model.reservations[&ReservationId::new(3)].seat_id, SeatId::new(1));
}

#[test]
fn a_hold_ends_by_itself_swept_or_not() {
    let rows = [(END - 1, false, "seat_held"), (END, false, "held"), (END, true, "held")];
    for (micros, sweeps, expected) in rows {
        let (mut office, _) = SaleModel::with_hold(MINJI, &[1]);
        office.at(micros);
        if sweeps {
            office.expect(CLOCK, sweep(&[1]), "swept 1");
            assert_eq!(office.letter(1), 'A');
        }
        let theirs = office.active(JUNHO, HOUSE);
        office.expect(JUNHO, hold(theirs, &[1]), expected);
        let first = &office.model.reservations[&ReservationId::new(1)];
        if expected == "held" {
            assert_eq!((first.status(), first.closed_at()), (ReservationStatus::Expired, Some(at(END))));
        }
    }
}

#[test]
fn sweeping_takes_what_is_due_once_and_nothing_else() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1, 2]);
    office.run([
        (S, MINJI, hold(token, &[3]), "held"),
        (S, MINJI, cancel(2), "cancelled"),
        (END - 1, CLOCK, sweep(&[1, 2, 3]), "swept 0"),
        (END, MINJI, sweep(&[1]), "forbidden"),
        (END, BOSS, sweep(&[1]), "forbidden"),
        (END, CLOCK, sweep(&[1, 1, 2, 3, 99]), "swept 1"),
        (END, CLOCK, sweep(&[1, 2, 3]), "swept 0"),
        (END + S, MINJI, pay(token, &[3]), "hold_expired"),
        (END + S, CLOCK, sweep(&[3]), "swept 1"),
    ]);
    assert_eq!([1, 2, 3].map(|seat| office.letter(seat)), ['A', 'A', 'A']);
}

#[test]
fn a_late_sweep_leaves_the_next_holder_alone() {
    let (mut office, _) = SaleModel::with_hold(MINJI, &[1]);
    office.at(END);
    let theirs = office.active(JUNHO, HOUSE);
    office.run([(END, JUNHO, hold(theirs, &[1]), "held"), (END, CLOCK, sweep(&[1]), "swept 0")]);
    assert_eq!(office.letter(1), 'H');
}

#[test]
fn a_user_has_so_many_seats_in_a_concert_held_or_bought() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1, 2]);
    office.run([
        (0, MINJI, hold(token, &[3, 4, 5]), "too_many_seats"),
        (0, MINJI, hold(token, &[3, 4]), "held"),
        (0, MINJI, hold(token, &[5]), "too_many_seats"),
        (0, MINJI, cancel(4), "cancelled"),
        (0, MINJI, hold(token, &[5]), "held"),
        (S, MINJI, pay(token, &[1, 2]), "paid"),
    ]);
    // Bought seats count for ever, lapsed ones no more, those of another concert never did.
    let later = END + MIN;
    office.at(later);
    let token = office.active(MINJI, HOUSE);
    let own = office.active(MINJI, OWN);
    office.run([
        (later, MINJI, hold(own, &[7, 8, 9]), "held"),
        (later, MINJI, hold(token, &[3, 4, 5]), "too_many_seats"),
        (later, MINJI, hold(token, &[4, 5]), "held"),
        (later, MINJI, hold(token, &[3]), "too_many_seats"),
        (later, MINJI, refund(1), "refunded"),
        (later, MINJI, hold(token, &[3]), "held"),
    ]);
    let token = office.active(SORA, HOUSE);
    office.run([(later, SORA, hold(token, &[1, 6]), "held")]);
}

#[test]
fn a_seat_that_its_user_let_go_is_for_others_first() {
    let ways: [(i64, Caller, frontrow_domain::command::Command, &str); 3] = [
        (S, MINJI, cancel(1), "cancelled"),
        (END, CLOCK, sweep(&[1]), "swept 1"),
        // Nothing has swept the hold yet.
        (END, CLOCK, sweep(&[]), "swept 0"),
    ];
    for (ends, by, command, done) in ways {
        let (mut office, _) = SaleModel::with_hold(MINJI, &[1]);
        office.run([(ends, by, command, done)]);
        let mine = office.active(MINJI, HOUSE);
        let theirs = office.active(JUNHO, HOUSE);
        let refusal = office.ask(MINJI, hold(mine, &[2, 1])).unwrap_err();
        assert_eq!(refusal, Refusal::SeatCoolingDown { seat_id: SeatId::new(1), until: at(ends + MIN) });
        office.run([
            (ends + 20 * S, MINJI, wake(mine), "active"),
            (ends + 20 * S, JUNHO, wake(theirs), "active"),
            (ends + MIN - 1, MINJI, hold(mine, &[1]), "seat_cooling_down"),
            (ends + MIN - 1, JUNHO, hold(theirs, &[1]), "held"),
            // The last holder counts, and no longer than that.
            (ends + MIN - 1, JUNHO, cancel(2), "cancelled"),
            (ends + MIN - 1, JUNHO, hold(theirs, &[1]), "seat_cooling_down"),
            (ends + MIN - 1, MINJI, hold(mine, &[1]), "held"),
        ]);
    }
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
    office.policy.seat_cooldown = Span::ZERO;
    office.run([(S, MINJI, cancel(1), "cancelled"), (S, MINJI, hold(token, &[1]), "held")]);
}

#[test]
fn a_seat_that_was_refunded_cools_down_too_and_one_that_an_operator_takes_away_does_not() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1, 2]);
    office.run([(0, MINJI, pay(token, &[1, 2]), "paid")]);
    let token = office.active(MINJI, HOUSE);
    office.run([
        (S, MINJI, refund(1), "refunded"),
        (S, BOSS, refund(2), "refunded"),
        (S, MINJI, hold(token, &[1]), "seat_cooling_down"),
        (S, MINJI, hold(token, &[2, 3]), "held"),
        (S, BOSS, cancel(4), "cancelled"),
        (S, MINJI, hold(token, &[3]), "held"),
        (S, MINJI, cancel(5), "cancelled"),
        (S, MINJI, hold(token, &[3]), "seat_cooling_down"),
        // An operator who frees a seat frees it for everybody.
        (S, BOSS, free(&[3]), "seats_set"),
        (S, MINJI, hold(token, &[3]), "held"),
    ]);
}

#[test]
fn no_user_keeps_a_seat_by_holding_it_again_and_again() {
    let mut office = SaleModel::new();
    let (mine, theirs) = (office.active(MINJI, HOUSE), office.active(JUNHO, HOUSE));
    office.run([(0, MINJI, hold(mine, &[1]), "held")]);
    for round in 1..=10 {
        office.at(round * S);
        office.run([
            (round * S, MINJI, cancel(1), if round == 1 { "cancelled" } else { "reservation_not_pending" }),
            (round * S, MINJI, hold(mine, &[1]), "seat_cooling_down"),
        ]);
    }
    office.run([(10 * S, JUNHO, hold(theirs, &[1]), "held")]);
}

#[test]
fn one_turn_holds_so_often_and_no_more() {
    let mut office = SaleModel::new();
    office.policy.holds_per_turn = 3;
    let token = office.active(MINJI, HOUSE);
    office.run([
        (0, MINJI, hold(token, &[1, 2]), "held"),
        (0, MINJI, hold(token, &[3]), "held"),
        (0, MINJI, hold(token, &[3]), "seat_held_by_you"),
        (0, MINJI, cancel(3), "cancelled"),
        (0, MINJI, hold(token, &[4]), "held"),
        (0, MINJI, cancel(4), "cancelled"),
        (0, MINJI, hold(token, &[5]), "too_many_holds"),
        (0, MINJI, hold(token, &[1]), "seat_held_by_you"),
        (0, MINJI, leave(token), "ended"),
    ]);
    let token = office.active(MINJI, HOUSE);
    office.run([(0, MINJI, hold(token, &[5]), "held")]);
}

#[test]
fn the_limit_binds_inside_one_batch() {
    let mut office = SaleModel::new();
    let token = office.active(MINJI, HOUSE);
    let answers = office.batch(&[
        (MINJI, hold(token, &[1, 2, 3])),
        (MINJI, hold(token, &[4, 5])),
        (MINJI, hold(token, &[4])),
        (MINJI, hold(token, &[5])),
    ]);
    assert_eq!(answers, ["held", "too_many_seats", "held", "too_many_seats"]);
}

#[test]
fn one_hold_names_one_to_twenty_seats_of_one_concert_once_each() {
    let mut office = SaleModel::new();
    let token = office.active(MINJI, HOUSE);
    let many: Vec<i64> = (1..=21).collect();
    office.run([
        (0, MINJI, hold(token, &[]), "malformed"),
        (0, MINJI, hold(token, &many), "malformed"),
        (0, MINJI, hold(token, &[1, 2, 1]), "malformed"),
        (0, MINJI, hold(token, &[1, 99]), "not_found"),
        (0, MINJI, hold(token, &[1, 7]), "several_concerts"),
        (0, Caller::Anonymous, hold(token, &[1]), "forbidden"),
        (0, Caller::Service, hold(token, &[1]), "forbidden"),
        (0, CLOCK, hold(token, &[1]), "forbidden"),
        (0, BOSS, hold(token, &[1]), "token_invalid"),
        (0, JUNHO, hold(token, &[1]), "token_invalid"),
    ]);
}

#[test]
fn seats_are_held_while_the_sale_is_open_only() {
    let opens = ConcertChange { opens_at: Some(at(MIN)), ..ConcertChange::default() };
    let closed = ConcertChange { status: Some(ConcertStatus::Closed), ..ConcertChange::default() };
    let reopened = ConcertChange { status: Some(ConcertStatus::Scheduled), ..ConcertChange::default() };
    let mut office = SaleModel::new();
    let token = office.active(MINJI, HOUSE);
    office.run([
        (0, BOSS, update_concert(1, opens), "concert"),
        (MIN - 1, MINJI, hold(token, &[1]), "sale_not_open"),
        (MIN, MINJI, hold(token, &[1]), "held"),
        (MIN, BOSS, update_concert(1, closed), "concert"),
        (MIN, MINJI, hold(token, &[2]), "sale_closed"),
        (MIN, BOSS, update_concert(1, reopened), "concert"),
        (MIN, MINJI, hold(token, &[2]), "held"),
    ]);
    office.at(CLOSES - 1);
    let token = office.active(MINJI, HOUSE);
    office.run([(CLOSES - 1, MINJI, hold(token, &[3]), "held"), (CLOSES, MINJI, hold(token, &[4]), "sale_closed")]);
}

#[test]
fn a_blocked_seat_is_not_for_sale_until_it_is_freed() {
    let mut office = SaleModel::new();
    let token = office.active(MINJI, HOUSE);
    office.run([
        (0, BOSS, block(&[1, 2]), "seats_set"),
        (0, MINJI, hold(token, &[1]), "seat_blocked"),
        (0, MINJI, hold(token, &[3, 2]), "seat_blocked"),
        (0, BOSS, free(&[1]), "seats_set"),
        (0, MINJI, hold(token, &[1]), "held"),
        (0, BOSS, block(&[1]), "seat_in_use"),
        (0, BOSS, free(&[1]), "seat_in_use"),
        (0, BOSS, block(&[3, 1]), "seat_in_use"),
    ]);
    assert_eq!([1, 2, 3].map(|seat| office.letter(seat)), ['H', 'B', 'A']);
}

#[test]
fn a_hold_that_is_over_does_not_keep_an_operator_from_its_seat() {
    for (command, letter) in [(block(&[1]), 'B'), (free(&[1]), 'A')] {
        let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
        office.run([
            (END - 1, BOSS, command.clone(), "seat_in_use"),
            (END, BOSS, command, "seats_set"),
            (END, MINJI, pay(token, &[1]), "hold_expired"),
            (END, CLOCK, sweep(&[1]), "swept 0"),
        ]);
        assert_eq!(office.letter(1), letter);
    }
}

#[test]
fn the_price_cannot_change_under_a_hold() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[2]);
    office.model.seats.get_mut(&SeatId::new(2)).unwrap().price = Money::new(999_000);
    let Ok(Outcome::Paid(payments)) = office.ask(MINJI, pay(token, &[1])) else { panic!() };
    assert_eq!(payments[0].amount, Money::new(20_000));
    assert_eq!(office.balance(MINJI), 480_000);
}

#[test]
fn a_hold_is_given_up_by_its_user_or_an_operator_while_it_lasts() {
    let rows = [
        (0, MINJI, "cancelled"),
        (0, BOSS, "cancelled"),
        (0, CLOCK, "cancelled"),
        (0, JUNHO, "not_found"),
        (0, Caller::Anonymous, "not_found"),
        (0, Caller::Service, "not_found"),
        (END - 1, MINJI, "cancelled"),
        (END, MINJI, "hold_expired"),
    ];
    for (micros, caller, expected) in rows {
        let (mut office, _) = SaleModel::with_hold(MINJI, &[1]);
        office.run([(micros, caller, cancel(1), expected)]);
        assert_eq!(office.letter(1), if expected == "cancelled" { 'A' } else { 'H' });
    }
}

#[test]
fn a_reservation_is_cancelled_once_and_never_when_paid_or_expired() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1, 2, 3]);
    office.run([
        (0, MINJI, cancel(1), "cancelled"),
        (0, MINJI, cancel(1), "reservation_not_pending"),
        (0, MINJI, cancel(99), "not_found"),
        (0, MINJI, pay(token, &[2]), "paid"),
        (0, MINJI, cancel(2), "reservation_not_pending"),
        (END, MINJI, cancel(3), "hold_expired"),
        (END, CLOCK, sweep(&[3]), "swept 1"),
        (END, MINJI, cancel(3), "hold_expired"),
    ]);
}

#[test]
fn a_hold_outlives_the_token_that_made_it() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
    office.run([(S, MINJI, leave(token), "ended"), (S, MINJI, pay(token, &[1]), "token_ended")]);
    assert_eq!(office.letter(1), 'H');
    // Back in line in time, the user may still pay.
    let again = office.active(MINJI, HOUSE);
    assert_eq!(again, token_id(HOUSE, 2));
    office.run([(2 * S, MINJI, wake(again), "active"), (END - 1, MINJI, wake(again), "ended")]);
    let third = office.active(MINJI, HOUSE);
    office.run([(END - 1, MINJI, pay(third, &[1]), "paid")]);
}

/// Keeps tokens alive until now, as polling does.
fn wake_all(office: &mut SaleModel, tokens: &[(Caller, TokenId)]) {
    for (_, id) in tokens {
        let Some(token) = office.model.tokens.get_mut(id) else { panic!("there is no {id:?}") };
        let TokenState::Active { since, .. } = token.state else { panic!("{token:?} is not active") };
        token.state = TokenState::Active { since, back_until: None, until: office.now.plus(Span::from_secs(60)) };
    }
}

/// The refusal from memory for a seat that another caller was refused `age` before.
fn cached_refusal(
    office: &SaleModel,
    seen: &SeenTaken,
    (caller, token): (Caller, TokenId),
    age: Span,
) -> Option<Refusal> {
    seen.refuses(caller, &office.model.tokens[&token], age, office.now, &office.policy)
}

#[test]
fn a_cached_refusal_equals_a_fresh_one() {
    let (mut office, _) = SaleModel::with_hold(MINJI, &[1]);
    let (junho, sora) = (office.active(JUNHO, HOUSE), office.active(SORA, HOUSE));
    for micros in [0, END - 1, END] {
        office.at(micros);
        wake_all(&mut office, &[(JUNHO, junho), (SORA, sora)]);
        let refusal = office.ask(JUNHO, hold(junho, &[1])).err();
        let Some(seen) = refusal.and_then(|refusal| SeenTaken::of(&refusal, junho)) else {
            assert_eq!(micros, END, "the hold is over");
            return;
        };
        assert_eq!(seen.seat_id(), SeatId::new(1));
        let cached = cached_refusal(&office, &seen, (SORA, sora), Span::ZERO);
        assert_eq!(cached, office.ask(SORA, hold(sora, &[1])).err(), "{micros}");
        assert!(cached.is_some());
    }
}

#[test]
fn a_refusal_is_good_for_others_for_a_moment_and_until_the_hold_ends() {
    let (mut office, _) = SaleModel::with_hold(MINJI, &[1]);
    let (junho, sora) = (office.active(JUNHO, HOUSE), office.active(SORA, HOUSE));
    let refusal = office.ask(JUNHO, hold(junho, &[1])).unwrap_err();
    let seen = SeenTaken::of(&refusal, junho).unwrap();
    let just = Span::from_micros(REFUSAL_TTL.micros() - 1);
    for (age, is_good) in [(Span::ZERO, true), (just, true), (REFUSAL_TTL, false)] {
        assert_eq!(cached_refusal(&office, &seen, (SORA, sora), age).is_some(), is_good, "{age:?}");
    }
    office.at(END);
    wake_all(&mut office, &[(SORA, sora)]);
    assert_eq!(cached_refusal(&office, &seen, (SORA, sora), Span::ZERO), None, "the hold is over");
}

#[test]
fn a_caller_who_may_not_hold_gets_no_refusal_from_memory() {
    let (mut office, _) = SaleModel::with_hold(MINJI, &[1]);
    let (junho, sora) = (office.active(JUNHO, HOUSE), office.active(SORA, OWN));
    let refusal = office.ask(JUNHO, hold(junho, &[1])).unwrap_err();
    let seen = SeenTaken::of(&refusal, junho).unwrap();
    assert_eq!(cached_refusal(&office, &seen, (SORA, junho), Span::ZERO), None, "another's token");
    assert_eq!(cached_refusal(&office, &seen, (BOSS, junho), Span::ZERO), None, "an operator with a buyer's token");
    assert_eq!(cached_refusal(&office, &seen, (SORA, sora), Span::ZERO), None, "a token of another room");
    assert!(cached_refusal(&office, &seen, (JUNHO, junho), Span::ZERO).is_some());
    let over = frontrow_domain::policy::Policy { active_limit: Span::ZERO, ..office.policy };
    let cached = seen.refuses(JUNHO, &office.model.tokens[&junho], Span::ZERO, office.now, &over);
    assert_eq!(cached, None, "a turn whose time is over");
    office.ask(JUNHO, leave(junho)).unwrap();
    assert_eq!(cached_refusal(&office, &seen, (JUNHO, junho), Span::ZERO), None, "a token that has ended");
}

#[test]
fn only_what_became_of_a_seat_is_good_for_others() {
    let mut office = SaleModel::new();
    let token = office.active(MINJI, HOUSE);
    for (command, is_good) in [(hold(token, &[99]), false), (hold(token, &[1, 1]), false), (hold(token, &[2]), true)] {
        office.ask(BOSS, block(&[2])).unwrap();
        let refusal = office.ask(MINJI, command).unwrap_err();
        assert_eq!(SeenTaken::of(&refusal, token).is_some(), is_good, "{refusal}");
    }
}

#[test]
fn holds_and_signs_of_life_stretch_a_turn_to_one_hold_beyond_its_limit_and_no_further() {
    let mut office = SaleModel::new();
    let limit = office.policy.active_limit.micros();
    let end_max = limit + office.policy.hold.micros() + office.policy.pay_grace.micros();
    let token = office.active(MINJI, HOUSE);
    let began = office.micros();
    let (mut reservation, mut seat) = (0, 0);
    // The user holds, gives up and asks again and again, to the last moment at which a hold is granted.
    for step in 0..200 {
        office.at(began + step * 30 * S);
        let _ = office.ask(MINJI, wake(token));
        seat = seat % 4 + 1;
        match office.ask(MINJI, hold(token, &[seat])) {
            Ok(_) => {
                reservation += 1;
                let _ = office.ask(MINJI, cancel(reservation));
            }
            Err(refusal) => assert!(
                ["turn_time_over", "too_many_holds", "seat_cooling_down", "token_ended"].contains(&refusal.code()),
                "{refusal:?}"
            ),
        }
        if let Some(until) = office.token(token).deadline() {
            assert!(until <= at(began + end_max), "step {step}");
        }
    }
    assert!(reservation > 1);
    let refused = office.ask(MINJI, hold(token, &[1])).unwrap_err();
    assert_eq!(refused.code(), "token_ended");
}
