//! A good sale that passes, and bad ones that must each be caught: a checker that never fails proves nothing.

use super::*;
use crate::history::{Ended, Fault, Op, PlaceSeen, Stood};
use jiff::Timestamp;

const HOLD_MICROS: i64 = 300_000_000;
/// The price of every seat.
const PRICE: i64 = 100;

fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(1_800_000_000_000_000 + micros).unwrap()
}

fn user(buyer: usize) -> String {
    format!("user-{buyer}")
}

fn reservation(id: i64, buyer: usize, seat_id: i64, created: i64, status: &str) -> Reservation {
    Reservation {
        reservation_id: id,
        user_id: user(buyer),
        concert_id: 1,
        seat_id,
        price: PRICE,
        status: status.to_owned(),
        created_at: time(created),
        expires_at: time(created + HOLD_MICROS),
    }
}

fn payment(id: i64, buyer: usize, reservation_id: i64, status: &str) -> Payment {
    Payment { payment_id: id, user_id: user(buyer), reservation_id, amount: PRICE, status: status.to_owned() }
}

fn entry(id: i64, kind: &str, amount: i64, after: i64, version: i64, payment_id: Option<i64>) -> PointEntry {
    PointEntry { history_id: id, amount, kind: kind.to_owned(), balance_after: after, version, payment_id }
}

fn op(buyer: usize, sent: u64, asked: Asked, effect: Effect) -> Op {
    Op { buyer, asked, sent, received: sent + 10, outcome: RequestOutcome::Ok(effect) }
}

fn account(buyer: usize, balance: i64, entries: Vec<PointEntry>) -> AuditedAccount {
    AuditedAccount { buyer, user_id: user(buyer), balance, version_before: 0, balance_before: 0, entries }
}

fn token(buyer: usize) -> String {
    format!("token-{buyer}")
}

fn joins(buyer: usize, sent: u64, position: i64) -> Op {
    op(buyer, sent, Asked::Join, Effect::Joined { token: token(buyer), position, fresh: true })
}

fn activates(buyer: usize, sent: u64) -> Op {
    op(buyer, sent, Asked::Activate { token: token(buyer) }, Effect::Activated { lasts: 90_000_000 })
}

fn holds(buyer: usize, sent: u64, id: i64, seat_id: i64) -> Op {
    let created = i64::try_from(sent).unwrap() + 5;
    let held = vec![reservation(id, buyer, seat_id, created, "pending")];
    op(buyer, sent, Asked::Hold { token: token(buyer), seats: vec![seat_id] }, Effect::Held(held))
}

fn pays(buyer: usize, sent: u64, id: i64, reservation_id: i64) -> Op {
    let asked = Asked::Pay { token: token(buyer), reservations: vec![reservation_id] };
    op(buyer, sent, asked, Effect::Paid(vec![payment(id, buyer, reservation_id, "completed")]))
}

fn top_ups(buyer: usize, sent: u64, id: i64) -> Op {
    op(buyer, sent, Asked::TopUp { amount: 500 }, Effect::ToppedUp(entry(id, "top_up", 500, 500, 1, None)))
}

fn fails(buyer: usize, sent: u64, asked: Asked, status: u16, code: &str) -> Op {
    Op { buyer, asked, sent, received: sent + 10, outcome: RequestOutcome::Fail { status, code: code.to_owned() } }
}

/// Indexes into the good sale's operations.
const PAY_0: usize = 7;
const REFUND_0: usize = 8;
const HOLD_1: usize = 10;
const PAY_1: usize = 11;
const HOLD_2: usize = 12;

/// Buyer 0 buys seat 1 and returns it; buyer 1 is refused it at first and then buys it; buyer 2 holds seat 2, and
/// gives it up.
fn good() -> (History, Books) {
    let ops = vec![
        top_ups(0, 0, 1),
        top_ups(1, 20, 2),
        joins(0, 100, 1),
        joins(1, 200, 2),
        activates(0, 300),
        activates(1, 2_000),
        holds(0, 1_000, 1, 1),
        pays(0, 1_100, 1, 1),
        op(0, 1_500, Asked::Refund { payment: 1 }, Effect::Refunded(payment(1, 0, 1, "refunded"))),
        fails(1, 1_400, Asked::Hold { token: token(1), seats: vec![1] }, 409, "seat_sold"),
        holds(1, 2_100, 2, 1),
        pays(1, 2_200, 2, 2),
        holds(2, 3_000, 3, 2),
        op(2, 3_100, Asked::Cancel { reservation: 3 }, Effect::Cancelled(reservation(3, 2, 2, 3_005, "cancelled"))),
        joins(2, 2_300, 3),
        op(0, 3_500, Asked::Join, Effect::Joined { token: "token-0-again".to_owned(), position: 4, fresh: true }),
        activates(2, 2_400),
    ];
    let sightings = [2, 1, 1]
        .into_iter()
        .zip(2_310..)
        .map(|(ahead, received)| PlaceSeen {
            token: token(2),
            buyer: 2,
            stood: Stood::InLine,
            sent: received - 1,
            received,
            position: 3,
            ahead,
            as_of: 0,
        })
        .collect();
    let ended = vec![Ended { token: token(0), buyer: 0, received: 3_400 }];
    let history = History { ops, sightings, ended, ..History::default() };
    let seat = |seat_id, status: &str| SeatRow { seat_id, status: status.to_owned() };
    let books = Books {
        seats: vec![seat(1, "sold"), seat(2, "available")],
        reservations: vec![
            reservation(1, 0, 1, 1_005, "refunded"),
            reservation(2, 1, 1, 2_105, "confirmed"),
            reservation(3, 2, 2, 3_005, "cancelled"),
        ],
        payments: vec![payment(1, 0, 1, "refunded"), payment(2, 1, 2, "completed")],
        accounts: vec![
            account(
                0,
                500,
                vec![
                    entry(1, "top_up", 500, 500, 1, None),
                    entry(3, "use", -PRICE, 400, 2, Some(1)),
                    entry(4, "refund", PRICE, 500, 3, Some(1)),
                ],
            ),
            account(1, 400, vec![entry(2, "top_up", 500, 500, 1, None), entry(5, "use", -PRICE, 400, 2, Some(2))]),
            account(2, 0, Vec::new()),
        ],
        tokens: vec![TokenRow { token: token(1), position: 2, status: "ended".to_owned() }],
        max_active: 2,
        dormant_after: 60_000_000,
        ..Books::default()
    };
    (history, books)
}

#[test]
fn a_good_sale_passes_and_puts_every_promise_to_the_test() {
    let (mut history, mut books) = good();
    history.replays.push(KeyReuse { buyer: 0, name: "pay", first: (201, vec![]), second: (201, vec![]), marked: true });
    books.operator_acts.insert("points.top_up", 0);
    let verdict = audit(&history, &books);
    assert_eq!(verdict.breaches, []);
    for (rule, _) in RULES {
        assert!(verdict.looked.contains_key(rule), "{rule} was not looked at");
    }
    assert_eq!(exercised(&history, &books)["refunds"], 1);
    assert_eq!(exercised(&history, &books)["conflicts"], 1);
}

/// Spoils the good sale and asks that the rule is found broken.
fn caught(rule: &str, spoil: impl FnOnce(&mut History, &mut Books)) {
    let (mut history, mut books) = good();
    spoil(&mut history, &mut books);
    let verdict = audit(&history, &books);
    assert!(verdict.breaches.iter().any(|breach| breach.rule == rule), "{rule}: {:?}", verdict.breaches);
}

#[test]
fn a_seat_sold_again_before_its_refund_is_caught() {
    caught("seat_sold_once", |history, _| history.ops[REFUND_0].sent = 5_000);
}

#[test]
fn two_confirmed_reservations_of_a_seat_in_the_books_are_caught() {
    caught("seat_sold_once", |_, books| books.reservations[0].status = "confirmed".to_owned());
}

#[test]
fn a_seat_held_by_two_at_once_is_caught() {
    caught("seat_held_once", |history, _| {
        history.ops.truncate(HOLD_1 + 1);
        history.ops.remove(REFUND_0);
        history.ops.remove(PAY_0);
    });
}

#[test]
fn a_hold_refused_as_expired_before_its_time_is_caught() {
    caught("hold_lasts", |history, _| {
        history.ops[PAY_1].outcome = RequestOutcome::Fail { status: 409, code: "hold_expired".to_owned() };
    });
}

#[test]
fn an_ended_hold_that_was_paid_is_caught() {
    caught("hold_ends", |history, _| {
        history.ops[PAY_1].sent += 301_000_000;
        history.ops[PAY_1].received += 301_000_000;
    });
}

#[test]
fn half_an_order_is_caught() {
    caught("all_or_nothing", |history, _| {
        history.ops[HOLD_2].asked = Asked::Hold { token: token(2), seats: vec![2, 3] };
    });
}

#[test]
fn half_an_order_of_unknown_outcome_is_caught() {
    caught("all_or_nothing", |history, books| {
        let asked = Asked::Hold { token: token(2), seats: vec![4, 5] };
        let unknown = Op { buyer: 2, asked, sent: 4_000, received: u64::MAX, outcome: RequestOutcome::Unknown };
        history.ops.push(unknown);
        books.reservations.push(reservation(9, 2, 4, 4_005, "pending"));
    });
}

#[test]
fn a_seat_whose_state_its_reservations_do_not_explain_is_caught() {
    caught("seats_add_up", |_, books| books.seats[0].status = "available".to_owned());
    caught("seats_add_up", |_, books| books.seats[1].status = "sold".to_owned());
    caught("seats_add_up", |_, books| books.seats[1].status = "held".to_owned());
}

#[test]
fn a_reservation_in_a_state_without_a_request_for_it_is_caught() {
    caught("states_follow", |_, books| books.reservations[1].status = "cancelled".to_owned());
    caught("states_follow", |_, books| books.reservations[2].status = "expired".to_owned());
}

#[test]
fn a_negative_balance_is_caught() {
    caught("balance_never_negative", |_, books| books.accounts[1].entries[1].balance_after = -1);
}

#[test]
fn a_lost_won_is_caught() {
    caught("money_adds_up", |_, books| books.accounts[1].balance -= 1);
}

#[test]
fn a_refund_credited_twice_is_caught() {
    caught("money_adds_up", |_, books| {
        books.accounts[0].balance += PRICE;
        books.accounts[0].entries.push(entry(9, "refund", PRICE, 500 + PRICE, 4, Some(1)));
    });
    caught("payments_match", |_, books| {
        books.accounts[0].balance += PRICE;
        books.accounts[0].entries.push(entry(9, "refund", PRICE, 500 + PRICE, 4, Some(1)));
    });
}

#[test]
fn a_gap_in_a_point_history_is_caught() {
    caught("versions_without_gaps", |_, books| books.accounts[0].entries[2].version = 4);
}

#[test]
fn a_reservation_paid_twice_is_caught() {
    caught("payments_match", |_, books| books.payments.push(payment(3, 1, 2, "completed")));
}

#[test]
fn a_confirmed_reservation_without_a_payment_is_caught() {
    caught("payments_match", |_, books| {
        books.payments.pop();
    });
}

#[test]
fn an_acknowledged_write_that_is_gone_is_caught() {
    caught("acknowledged_present", |_, books| {
        books.reservations.remove(1);
    });
    caught("acknowledged_present", |_, books| {
        books.payments.remove(0);
    });
    caught("acknowledged_present", |_, books| {
        books.accounts[1].entries.remove(0);
    });
}

#[test]
fn an_acknowledged_write_with_other_content_is_caught() {
    caught("acknowledged_present", |_, books| books.reservations[1].price += 1);
    caught("acknowledged_present", |_, books| books.reservations[1].user_id = user(0));
}

#[test]
fn what_was_refused_and_is_there_all_the_same_is_caught() {
    caught("refused_absent", |_, books| books.reservations.push(reservation(8, 1, 1, 1_405, "expired")));
    caught("refused_absent", |_, books| books.payments.push(payment(8, 1, 8, "completed")));
    caught("refused_absent", |_, books| {
        books.accounts[1].entries.push(entry(9, "top_up", 500, 900, 3, None));
    });
}

#[test]
fn an_unknown_outcome_may_be_there_or_not() {
    let (mut history, mut books) = good();
    let asked = Asked::Hold { token: token(2), seats: vec![2] };
    history.ops.push(Op { buyer: 2, asked, sent: 4_000, received: u64::MAX, outcome: RequestOutcome::Unknown });
    let asked = Asked::TopUp { amount: 70 };
    history.ops.push(Op { buyer: 2, asked, sent: 5_000, received: u64::MAX, outcome: RequestOutcome::Unknown });
    assert_eq!(audit(&history, &books).breaches, []);
    books.seats[1].status = "held".to_owned();
    books.reservations.push(reservation(4, 2, 2, 4_005, "pending"));
    books.accounts[2].balance = 70;
    books.accounts[2].entries.push(entry(9, "top_up", 70, 70, 1, None));
    assert_eq!(audit(&history, &books).breaches, []);
    books.accounts[2].balance = 140;
    books.accounts[2].entries.push(entry(10, "top_up", 70, 140, 2, None));
    assert!(audit(&history, &books).breaches.iter().any(|breach| breach.rule == "money_adds_up"));
}

#[test]
fn another_answer_to_the_same_key_is_caught() {
    caught("replays_identical", |history, _| {
        let (first, second) = ((201, b"1".to_vec()), (201, b"2".to_vec()));
        history.replays.push(KeyReuse { buyer: 0, name: "hold", first, second, marked: false });
    });
}

#[test]
fn an_answer_whose_tickets_could_not_be_read_is_the_same_answer() {
    let paid = |id: i64, title: &str, seat: serde_json::Value| {
        let body = serde_json::json!({ "items": [
            { "payment_id": id, "amount": 70, "title": title, "row": "A", "seat_id": seat, "seat_number": seat },
        ] });
        (201, body.to_string().into_bytes())
    };
    let replays = |first: &(u16, Vec<u8>), second: &(u16, Vec<u8>)| {
        let (mut history, books) = good();
        let (first, second) = (first.clone(), second.clone());
        history.replays.push(KeyReuse { buyer: 0, name: "pay", first, second, marked: true });
        audit(&history, &books).breaches.len()
    };
    let whole = paid(1, "Midnight Tide", 7.into());
    let unread = paid(1, "", serde_json::Value::Null);
    assert_eq!(replays(&whole, &unread), 0);
    assert_eq!(replays(&unread, &whole), 0);
    assert_eq!(replays(&whole, &paid(2, "", serde_json::Value::Null)), 1, "another payment");
    assert_eq!(replays(&whole, &paid(1, "Midnight Tide", 8.into())), 1, "another seat");
    assert_eq!(replays(&whole, &(200, unread.1.clone())), 1, "another status");
}

#[test]
fn more_active_tokens_than_the_cap_are_caught() {
    caught("room_cap", |history, books| {
        books.max_active = 1;
        history.ops[5].sent = 400;
        history.ops[5].received = 410;
    });
}

#[test]
fn a_later_comer_with_a_lower_number_is_caught() {
    caught("order_kept", |history, _| {
        history.ops[2] = joins(0, 100, 7);
    });
}

#[test]
fn a_buyer_who_moves_back_is_caught() {
    caught("ahead_never_rises", |history, _| history.sightings[2].ahead = 4);
    caught("ahead_never_rises", |history, _| history.sightings[2].position = 4);
}

#[test]
fn answers_of_several_instances_may_be_apart_by_so_much_and_no_more() {
    let (mut history, mut books) = good();
    books.view_lag = 1_000;
    history.sightings[2].ahead = 2;
    history.sightings[1].as_of = 5_000;
    history.sightings[2].as_of = 5_999;
    assert_eq!(audit(&history, &books).breaches, []);
    caught("ahead_never_rises", |history, books| {
        books.view_lag = 1_000;
        history.sightings[2].ahead = 2;
        history.sightings[1].as_of = 5_000;
        history.sightings[2].as_of = 6_000;
    });
}

#[test]
fn a_second_place_for_one_buyer_is_caught() {
    caught("one_place", |history, _| {
        let effect = Effect::Joined { token: "token-x".to_owned(), position: 9, fresh: false };
        history.ops.push(op(2, 2_350, Asked::Join, effect));
    });
    caught("one_place", |history, _| history.ops[14] = joins(2, 2_300, 2));
    caught("one_place", |_, books| books.tokens[0].status = "active".to_owned());
}

#[test]
fn a_live_place_that_is_reported_as_gone_is_caught() {
    caught("end_is_true", |history, _| {
        history.ended.push(Ended { token: token(2), buyer: 2, received: 2_340 });
        let effect = Effect::Joined { token: token(2), position: 3, fresh: false };
        history.ops.push(op(2, 2_350, Asked::Join, effect));
    });
}

#[test]
fn a_place_that_is_put_aside_right_after_it_was_given_or_asked_for_is_caught() {
    caught("responsive_tokens_are_not_dormant", |history, _| history.sightings[0].stood = Stood::Aside);
    caught("responsive_tokens_are_not_dormant", |history, _| history.sightings[2].stood = Stood::Aside);
}

#[test]
fn a_silent_buyers_token_may_be_dormant_and_may_be_shown_so_after_one_poll() {
    let (mut history, books) = good();
    for (sighting, at) in history.sightings.iter_mut().skip(1).zip([70_000_000, 70_001_000]) {
        (sighting.stood, sighting.sent, sighting.received) = (Stood::Aside, at, at + 10);
    }
    assert_eq!(audit(&history, &books).breaches, []);
}

#[test]
fn a_hold_without_a_turn_is_caught() {
    caught("turn_needed", |history, _| {
        history.ops.pop();
    });
}

#[test]
fn an_operators_act_that_is_not_in_the_log_is_caught() {
    caught("operator_acts_logged", |_, books| {
        books.operator_acts.insert("points.top_up", 1);
    });
}

#[test]
fn an_answer_that_no_refusal_explains_is_caught() {
    caught("no_server_error", |history, _| {
        history.faults.push(Fault { what: "hold".to_owned(), status: 500, body: "boom".to_owned() });
    });
}
