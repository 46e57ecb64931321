//! Payments and refunds, rule by rule.

use crate::support::{
    BOSS, CLOCK, CLOSES, DAY, HOUSE, JUNHO, MIN, MINJI, OWN, S, SHOW, SORA, SaleModel, at, cancel, free, hold, pay,
    refund, sweep, update_concert, user,
};
use frontrow_domain::{
    command::{ConcertChange, Outcome},
    id::{PaymentId, ReservationId, SeatId},
    line::EndReason,
    money::Money,
    points::PointKind,
    refusal::Refusal,
    sale::{ConcertStatus, PaymentStatus, REFUNDED_AFTER_SALE, ReservationStatus},
    user::Caller,
};

/// The hold's end, for holds made at the start.
const END: i64 = 5 * MIN;

fn closed() -> ConcertChange {
    ConcertChange { status: Some(ConcertStatus::Closed), ..ConcertChange::default() }
}

#[test]
fn a_payment_moves_everything_at_once() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[2]);
    office.at(S);
    let Ok(Outcome::Paid(payments)) = office.ask(MINJI, pay(token, &[1])) else { panic!() };
    let payment = &payments[0];
    assert_eq!(
        (payment.amount, payment.paid_at, payment.status),
        (Money::new(20_000), at(S), PaymentStatus::Completed)
    );
    assert_eq!(office.balance(MINJI), 480_000);
    assert_eq!(office.letter(2), 'S');
    let reservation = &office.model.reservations[&ReservationId::new(1)];
    assert_eq!((reservation.status(), reservation.confirmed_at()), (ReservationStatus::Confirmed, Some(at(S))));
    assert_eq!(office.token(token).end_reason(), Some(EndReason::Paid));
    let entry = office.model.history.last().unwrap();
    assert_eq!(
        (entry.kind, entry.amount, entry.payment_id),
        (PointKind::Use, Money::new(-20_000), Some(payment.payment_id))
    );
}

#[test]
fn a_hold_is_paid_until_a_microsecond_before_its_end() {
    let rows = [
        (END - 1, false, "paid"),
        (END, false, "hold_expired"),
        (END, true, "hold_expired"),
        (END + 20 * S, false, "hold_expired"),
    ];
    for (micros, sweeps, expected) in rows {
        let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
        office.at(micros);
        if sweeps {
            office.expect(CLOCK, sweep(&[1]), "swept 1");
        }
        office.expect(MINJI, pay(token, &[1]), expected);
        assert_eq!(office.balance(MINJI), if expected == "paid" { 490_000 } else { 500_000 });
    }
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
    office.at(END);
    let refusal = office.ask(MINJI, pay(token, &[1])).unwrap_err();
    assert_eq!(refusal, Refusal::HoldExpired { expired_at: at(END) });
}

#[test]
fn an_expired_hold_is_not_paid_when_the_seat_has_the_next_holder() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
    office.at(END);
    let theirs = office.active(JUNHO, HOUSE);
    office.top_up(JUNHO, 10_000);
    office.run([
        (END, JUNHO, hold(theirs, &[1]), "held"),
        (END, MINJI, pay(token, &[1]), "hold_expired"),
        (END, MINJI, pay(token, &[2]), "not_found"),
        (END, JUNHO, pay(theirs, &[2]), "paid"),
    ]);
}

#[test]
fn a_reservation_is_paid_once() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1, 2]);
    office.run([(0, MINJI, pay(token, &[1]), "paid"), (0, MINJI, pay(token, &[1]), "reservation_not_pending")]);
    let again = office.active(MINJI, HOUSE);
    office.run([
        (0, MINJI, pay(again, &[1]), "reservation_not_pending"),
        (0, MINJI, pay(again, &[2, 1]), "reservation_not_pending"),
        (0, MINJI, cancel(2), "cancelled"),
        (0, MINJI, pay(again, &[2]), "reservation_not_pending"),
    ]);
    assert_eq!(office.balance(MINJI), 490_000);
}

#[test]
fn the_second_payment_of_one_batch_finds_the_first() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1, 2]);
    let answers = office.batch(&[
        (MINJI, pay(token, &[1])),
        (MINJI, pay(token, &[1])),
        (MINJI, pay(token, &[2])),
        (MINJI, refund(1)),
        (MINJI, refund(1)),
    ]);
    // The refund names a payment that did not exist when the batch was loaded.
    assert_eq!(answers, ["paid", "reservation_not_pending", "token_ended", "refunded", "already_refunded"]);
    assert_eq!(office.balance(MINJI), 500_000);
}

#[test]
fn several_reservations_are_paid_all_or_nothing() {
    let mut office = SaleModel::new();
    let token = office.active(MINJI, HOUSE);
    office.top_up(MINJI, 89_999);
    office.run([
        (0, MINJI, hold(token, &[1, 2]), "held"),
        (S, MINJI, hold(token, &[6]), "held"),
        (S, MINJI, pay(token, &[1, 2, 3]), "insufficient_points"),
    ]);
    let refusal = office.ask(MINJI, pay(token, &[1, 2, 3])).unwrap_err();
    assert_eq!(refusal, Refusal::InsufficientPoints { balance: Money::new(89_999), price: Money::new(90_000) });
    office.top_up(MINJI, 1);
    office.run([(END, MINJI, pay(token, &[3, 1]), "hold_expired"), (END, MINJI, pay(token, &[3]), "paid")]);
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1, 2, 6]);
    office.run([(0, MINJI, pay(token, &[1, 2, 3]), "paid")]);
    assert_eq!((office.balance(MINJI), office.model.payments.len()), (410_000, 3));
}

#[test]
fn the_last_won_is_enough() {
    for (points, expected) in [(9_999, "insufficient_points"), (10_000, "paid")] {
        let mut office = SaleModel::new();
        let token = office.active(MINJI, HOUSE);
        office.top_up(MINJI, points);
        office.run([(0, MINJI, hold(token, &[1]), "held"), (0, MINJI, pay(token, &[1]), expected)]);
    }
    // An account that was never opened is empty.
    let mut office = SaleModel::new();
    let token = office.active(MINJI, HOUSE);
    office.run([(0, MINJI, hold(token, &[1]), "held"), (0, MINJI, pay(token, &[1]), "insufficient_points")]);
}

#[test]
fn a_payment_names_the_callers_own_reservations_of_one_concert_once_each() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1, 2]);
    let own = office.active(MINJI, OWN);
    let theirs = office.active(JUNHO, HOUSE);
    let many: Vec<i64> = (1..=21).collect();
    office.run([
        (0, MINJI, hold(own, &[7]), "held"),
        (0, MINJI, pay(token, &[]), "malformed"),
        (0, MINJI, pay(token, &many), "malformed"),
        (0, MINJI, pay(token, &[1, 1]), "malformed"),
        (0, MINJI, pay(token, &[1, 99]), "not_found"),
        (0, MINJI, pay(token, &[1, 3]), "several_concerts"),
        (0, MINJI, pay(token, &[3]), "token_of_another_room"),
        (0, MINJI, pay(own, &[1]), "token_of_another_room"),
        (0, MINJI, pay(theirs, &[1]), "token_invalid"),
        (0, JUNHO, pay(theirs, &[1]), "not_found"),
        (0, JUNHO, pay(token, &[1]), "not_found"),
        (0, BOSS, pay(token, &[1]), "not_found"),
        (0, Caller::Anonymous, pay(token, &[1]), "forbidden"),
        (0, Caller::Service, pay(token, &[1]), "forbidden"),
        (0, CLOCK, pay(token, &[1]), "forbidden"),
        (0, MINJI, pay(own, &[3]), "paid"),
    ]);
}

#[test]
fn a_hold_made_in_time_is_paid_after_the_closing_time_but_not_after_an_operator_closed() {
    let mut office = SaleModel::new();
    office.at(CLOSES - 1);
    let token = office.active(MINJI, HOUSE);
    office.top_up(MINJI, 500_000);
    office.run([(CLOSES - 1, MINJI, hold(token, &[1]), "held"), (CLOSES + S, MINJI, pay(token, &[1]), "paid")]);

    let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
    office.run([
        (S, BOSS, update_concert(1, closed()), "concert"),
        (S, MINJI, pay(token, &[1]), "sale_closed"),
        (S, MINJI, cancel(1), "cancelled"),
    ]);
}

#[test]
fn a_refund_gives_everything_back_once() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[2]);
    office.run([
        (0, MINJI, pay(token, &[1]), "paid"),
        (S, JUNHO, refund(1), "not_found"),
        (S, Caller::Anonymous, refund(1), "not_found"),
        (S, Caller::Service, refund(1), "not_found"),
        (S, MINJI, refund(2), "not_found"),
        (S, MINJI, refund(1), "refunded"),
        (S, MINJI, refund(1), "already_refunded"),
        (S, BOSS, refund(1), "already_refunded"),
    ]);
    assert_eq!((office.balance(MINJI), office.letter(2)), (500_000, 'A'));
    let reservation = &office.model.reservations[&ReservationId::new(1)];
    assert_eq!((reservation.status(), reservation.closed_at()), (ReservationStatus::Refunded, Some(at(S))));
    assert_eq!(office.model.payments[&PaymentId::new(1)].refunded_at, Some(at(S)));
    // The seat is sold again, and the old refund does not touch the new buyer.
    let theirs = office.active(SORA, HOUSE);
    office.top_up(SORA, 20_000);
    office.run([
        (2 * S, SORA, hold(theirs, &[2]), "held"),
        (2 * S, SORA, pay(theirs, &[2]), "paid"),
        (2 * S, MINJI, refund(1), "already_refunded"),
    ]);
    assert_eq!(office.letter(2), 'S');
}

#[test]
fn refunds_end_a_day_before_the_concert_but_for_operators() {
    let until = SHOW - DAY;
    for (micros, caller, expected) in [
        (until - 1, MINJI, "refunded"),
        (until, MINJI, "refund_too_late"),
        (until, BOSS, "refunded"),
        (until, CLOCK, "refunded"),
    ] {
        let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
        office.run([(0, MINJI, pay(token, &[1]), "paid"), (micros, caller, refund(1), expected)]);
    }
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
    office.run([(0, MINJI, pay(token, &[1]), "paid")]);
    office.at(until);
    assert_eq!(office.ask(MINJI, refund(1)), Err(Refusal::RefundTooLate { until: at(until) }));
}

#[test]
fn a_refund_after_the_sale_blocks_the_seat_until_an_operator_frees_it() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1, 2]);
    let later = ConcertChange { closes_at: Some(Some(at(CLOSES + DAY))), ..ConcertChange::default() };
    office.run([(0, MINJI, pay(token, &[1, 2]), "paid"), (CLOSES, MINJI, refund(1), "refunded")]);
    assert_eq!(office.letter(1), 'B');
    let seat = &office.model.seats[&SeatId::new(1)];
    assert_eq!((seat.blocked_reason(), seat.reservation_id()), (Some(REFUNDED_AFTER_SALE), None));
    office.run([(CLOSES, BOSS, update_concert(1, later), "concert")]);
    let theirs = office.active(JUNHO, HOUSE);
    office.run([
        (CLOSES, JUNHO, hold(theirs, &[1]), "seat_blocked"),
        (CLOSES, BOSS, free(&[1]), "seats_set"),
        (CLOSES, JUNHO, hold(theirs, &[1]), "held"),
        (CLOSES, BOSS, update_concert(1, closed()), "concert"),
        (CLOSES, MINJI, refund(2), "refunded"),
    ]);
    assert_eq!(office.letter(2), 'B');
}

#[test]
fn a_refund_in_the_last_moment_of_the_sale_frees_the_seat() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
    office.run([(0, MINJI, pay(token, &[1]), "paid"), (CLOSES - 1, MINJI, refund(1), "refunded")]);
    assert_eq!(office.letter(1), 'A');
}

#[test]
fn a_refund_may_lift_a_balance_above_the_top_up_limit_but_not_above_what_an_amount_may_be() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
    office.policy.balance_max = Money::new(500_000);
    office.run([(0, MINJI, pay(token, &[1]), "paid")]);
    office.top_up(MINJI, 10_000);
    office.run([(0, MINJI, refund(1), "refunded")]);
    assert_eq!(office.balance(MINJI), 510_000);

    let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
    office.policy.balance_max = Money::MAX;
    office.policy.top_up_max = Money::MAX;
    office.run([(0, MINJI, pay(token, &[1]), "paid")]);
    office.top_up(MINJI, Money::MAX.get() - 490_000);
    office.run([(0, MINJI, refund(1), "balance_too_large")]);
    assert_eq!(office.model.points[&user(MINJI)].amount, Money::MAX);
}
