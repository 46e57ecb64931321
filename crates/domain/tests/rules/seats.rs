//! Seats of real halls, and what operators correct of them.

use crate::support::*;
use frontrow_domain::{
    command::{Command, ConcertChange, NewConcert, Outcome, OwnRoom},
    id::{ConcertId, RoomId, SeatId},
    line::OpeningOrder,
    money::Money,
    policy::STATUS_REASON_LEN_MAX,
    refusal::Refusal,
    sale::{LATE_SALES, NewSeat, SeatAction, SeatChange, SeatLabel, SeatStatus},
    time::Span,
};

fn new_seat(row: &str, seat_number: Option<i32>, number: &str) -> NewSeat {
    let label = SeatLabel { section: "Stalls".into(), row: row.into(), number: number.into(), grade: "R".into() };
    NewSeat { seat_number, price: Some(Money::new(10_000)), label }
}

fn add(seats: Vec<NewSeat>) -> Command {
    Command::AddSeats { concert_id: ConcertId::new(2), seats }
}

fn ids(seats: &[i64]) -> Vec<SeatId> {
    seats.iter().copied().map(SeatId::new).collect()
}

fn change(seats: &[i64], change: SeatChange) -> Command {
    Command::ChangeSeats {
        concert_id: ConcertId::new(1),
        seat_ids: ids(seats),
        change,
        reason: Some("As agreed".to_owned()),
    }
}

fn remove(seats: &[i64]) -> Command {
    Command::RemoveSeats { concert_id: ConcertId::new(1), seat_ids: ids(seats), reason: Some("As agreed".to_owned()) }
}

fn price(won: i64) -> SeatChange {
    SeatChange { price: Some(Money::new(won)), ..SeatChange::default() }
}

fn number(number: &str) -> SeatChange {
    SeatChange { number: Some(number.to_owned()), ..SeatChange::default() }
}

/// Ordinal and printed number of the seats of concert 2, in their order.
fn numbers(office: &SaleModel) -> Vec<(i32, String)> {
    let seats = office.model.seats.values().filter(|seat| seat.concert_id == ConcertId::new(2));
    let mut all: Vec<_> = seats.map(|seat| (seat.seat_number, seat.label.number.clone())).collect();
    all.sort();
    all
}

#[test]
fn seats_of_another_concert_are_neither_blocked_nor_freed_with_those_of_one() {
    let mut office = SaleModel::new();
    office.expect(BOSS, add(vec![new_seat("A", None, "1")]), "seats_added");
    let foreign = office.model.seats.values().find(|seat| seat.concert_id == ConcertId::new(2)).unwrap().seat_id;
    let action = SeatAction::Block { reason: "camera".to_owned() };
    let set = |within, seats: &[SeatId], action: &SeatAction| Command::SetSeats {
        within,
        seat_ids: seats.to_vec(),
        action: action.clone(),
    };
    let (one, both) = (Some(ConcertId::new(1)), [SeatId::new(1), foreign]);
    for action in [&action, &SeatAction::FREE] {
        office.expect(BOSS, set(one, &both, action), "not_found");
        office.expect(BOSS, set(one, &[foreign], action), "not_found");
    }
    assert!(office.model.seats.values().all(|seat| seat.status() == SeatStatus::Available));
    office.expect(BOSS, set(one, &both[..1], &action), "seats_set");
    office.expect(BOSS, set(None, &both, &SeatAction::FREE), "seats_set");
}

#[test]
fn seats_are_freed_with_a_reason_for_the_log_or_without_one() {
    let mut office = SaleModel::new();
    let free = |reason: Option<&str>| Command::SetSeats {
        within: None,
        seat_ids: vec![SeatId::new(1)],
        action: SeatAction::Free { reason: reason.map(str::to_owned) },
    };
    let logged = |office: &SaleModel| office.model.audit.last().unwrap().detail["reason"].clone();
    office.expect(BOSS, free(Some("the camera moved")), "seats_set");
    assert_eq!(logged(&office), "the camera moved");
    office.expect(BOSS, free(None), "seats_set");
    assert!(logged(&office).is_null());
    let entries = office.model.audit.len();
    for bad in [String::new(), "x".repeat(STATUS_REASON_LEN_MAX + 1)] {
        office.expect(BOSS, free(Some(&bad)), "malformed");
    }
    assert_eq!(office.model.audit.len(), entries, "nothing was done");
}

#[test]
fn what_takes_seats_or_raises_prices_while_they_are_on_sale_needs_a_reason() {
    let mut office = SaleModel::new();
    let with = |command: Command, why: Option<&str>| match command {
        Command::ChangeSeats { concert_id, seat_ids, change, .. } => {
            Command::ChangeSeats { concert_id, seat_ids, change, reason: why.map(str::to_owned) }
        }
        Command::RemoveSeats { concert_id, seat_ids, .. } => {
            Command::RemoveSeats { concert_id, seat_ids, reason: why.map(str::to_owned) }
        }
        other => other,
    };
    let concert = office.model.concerts[&ConcertId::new(1)].clone();
    let seats: Vec<_> = ids(&[1, 2]).iter().map(|id| office.model.seats[id].clone()).collect();
    let now = seats[0].price.get();
    let (before, open) = (concert.opens_at.minus(Span::from_micros(1)), concert.opens_at);
    assert!(price(now + 1).hurts(&concert, &seats, open));
    for (what, change, at) in [
        ("the same price", price(now), open),
        ("a lower price", price(now - 1), open),
        ("another number", number("9"), open),
        ("before the sale", price(now + 1), before),
        ("after the sale", price(now + 1), concert.closes_at),
    ] {
        assert!(!change.hurts(&concert, &seats, at), "{what}");
    }
    assert!(concert.has_on_sale(&seats, open) && !concert.has_on_sale(&seats, before));
    assert!(!concert.has_on_sale(&[], open));

    let (dearer, cheaper) = (change(&[1], price(now + 1)), change(&[1], price(now)));
    office.expect(BOSS, with(dearer.clone(), None), "reason_needed");
    office.expect(BOSS, with(remove(&[1]), None), "reason_needed");
    office.expect(BOSS, with(dearer.clone(), Some("")), "malformed");
    office.expect(BOSS, with(dearer, Some("Printed wrong")), "seats_set");
    assert_eq!(office.model.audit.last().unwrap().detail["reason"], "Printed wrong");
    office.expect(BOSS, with(cheaper, None), "seats_set");
    office.expect(BOSS, with(remove(&[1]), Some("A larger stage")), "seats_set");
    assert_eq!(office.model.audit.last().unwrap().detail["reason"], "A larger stage");
    // Blocked seats are not on sale: their price may rise, and they may be removed.
    office.expect(BOSS, block(&[2, 3]), "seats_set");
    office.expect(BOSS, with(change(&[2], price(now + 1)), None), "seats_set");
    office.expect(BOSS, with(remove(&[2]), None), "seats_set");
}

#[test]
fn every_row_of_a_hall_is_numbered_from_one() {
    let mut office = SaleModel::new();
    let row = |row: &str| add((1..=2).map(|number| new_seat(row, Some(number), "")).collect());
    office.expect(BOSS, row("A"), "seats_added");
    office.expect(BOSS, row("B"), "seats_added");
    // The office has seats 1 to 3 without a row.
    let expected = [(1, "1"), (2, "2"), (3, "3"), (4, "1"), (5, "2"), (6, "1"), (7, "2")];
    assert_eq!(numbers(&office), expected.map(|(ordinal, number)| (ordinal, number.to_owned())));
    let refused = office.ask(BOSS, row("A")).unwrap_err();
    assert_eq!(
        refused,
        Refusal::SeatNumberTaken { section: "Stalls".to_owned(), row: "A".to_owned(), number: "1".to_owned() }
    );
}

#[test]
fn the_same_number_in_two_rows_of_one_call_is_two_seats() {
    let mut office = SaleModel::new();
    let both = vec![new_seat("A", Some(1), ""), new_seat("B", Some(1), "")];
    office.expect(BOSS, add(both), "seats_added");
    let twice = vec![new_seat("C", Some(1), ""), new_seat("C", Some(1), "")];
    office.expect(BOSS, add(twice), "seat_number_taken");
}

#[test]
fn a_printed_number_is_text_and_the_seats_keep_the_order_of_the_call() {
    let mut office = SaleModel::new();
    let printed = ["가-3", "12A", "12", "1"].map(|number| new_seat("A", None, number)).to_vec();
    office.expect(BOSS, add(printed), "seats_added");
    let expected = [(4, "가-3"), (5, "12A"), (6, "12"), (7, "1")];
    assert_eq!(numbers(&office)[3..], expected.map(|(ordinal, number)| (ordinal, number.to_owned())));
    office.expect(BOSS, add(vec![new_seat("A", None, "")]), "malformed");
    office.expect(BOSS, add(vec![new_seat("B", Some(i32::MAX), "")]), "seats_added");
    office.expect(BOSS, add(vec![new_seat("B", None, "2")]), "malformed");
}

#[test]
fn named_numbers_stay_where_all_of_them_are_free() {
    let mut office = SaleModel::new();
    office.expect(BOSS, add(vec![new_seat("A", Some(30), "x"), new_seat("A", Some(20), "y")]), "seats_added");
    let expected = [(20, "y"), (30, "x")];
    assert_eq!(numbers(&office)[3..], expected.map(|(ordinal, number)| (ordinal, number.to_owned())));
}

#[test]
fn the_buyer_reads_the_printed_number() {
    let mut office = SaleModel::new();
    office.expect(BOSS, change(&[2], SeatChange { row: Some("C".into()), ..number("12A") }), "seats_set");
    let token = office.active(MINJI, HOUSE);
    office.top_up(MINJI, 500_000);
    office.expect(MINJI, hold(token, &[2]), "held");
    office.expect(MINJI, pay(token, &[1]), "paid");
    assert_eq!(office.model.history.last().unwrap().description, "seat 12A, row C, reservation 1");
}

#[test]
fn a_new_seat_without_a_price_gets_the_base_price_of_its_concert() {
    let mut office = SaleModel::new();
    let base_price = Some(Money::new(70_000));
    office.expect(BOSS, update_concert(2, ConcertChange { base_price, ..ConcertChange::default() }), "concert");
    let free = NewSeat { price: Some(Money::ZERO), ..new_seat("A", None, "1") };
    let unpriced = NewSeat { price: None, ..new_seat("A", None, "2") };
    office.expect(BOSS, add(vec![free, unpriced]), "seats_added");
    let price = |number: &str| {
        let mut seats = office.model.seats.values();
        seats.find(|seat| seat.label.row == "A" && seat.label.number == number).map(|seat| seat.price)
    };
    assert_eq!((price("1"), price("2")), (Some(Money::ZERO), base_price));
}

#[test]
fn price_and_label_of_a_seat_without_a_holder_are_changed() {
    let (mut office, _) = SaleModel::with_hold(MINJI, &[1]);
    office.expect(BOSS, block(&[3]), "seats_set");
    office.expect(BOSS, change(&[2, 3], price(180_000)), "seats_set");
    let seat = |office: &SaleModel, id| office.model.seats[&SeatId::new(id)].clone();
    assert_eq!([2, 3].map(|id| seat(&office, id).price.get()), [180_000; 2]);
    assert_eq!(seat(&office, 3).status(), SeatStatus::Blocked);
    let last = office.model.audit.last().unwrap();
    assert_eq!((last.action.as_str(), last.object.as_str()), ("seats.change", "concert 1"));
    let prices = serde_json::json!({ "from": [20_000, 30_000], "to": 180_000 });
    assert_eq!((&last.detail["price"], &last.detail["count"]), (&prices, &2.into()));
    for (command, expected) in [
        (change(&[1], price(1)), "seat_in_use"),
        (change(&[2, 1], price(1)), "seat_in_use"),
        (change(&[2, 2], price(1)), "malformed"),
        (change(&[2], price(-1)), "malformed"),
        (change(&[2], SeatChange::default()), "malformed"),
        (change(&[2], number("")), "malformed"),
        (change(&[7], price(1)), "not_found"),
        (change(&[99], price(1)), "not_found"),
        (change(&[2], number("3")), "seat_number_taken"),
        (change(&[2, 3], number("9")), "seat_number_taken"),
        (change(&[2], number("2")), "seats_set"),
        (change(&[2], number("9")), "seats_set"),
        (change(&[3], number("2")), "seats_set"),
    ] {
        office.expect(BOSS, command, expected);
    }
    office.expect(MINJI, change(&[2], price(1)), "forbidden");
    assert_eq!(office.model.reservations[&frontrow_domain::id::ReservationId::new(1)].price, Money::new(10_000));
}

#[test]
fn a_seat_that_was_never_held_is_removed_and_one_that_was_stays() {
    let (mut office, _) = SaleModel::with_hold(MINJI, &[1]);
    office.expect(BOSS, remove(&[1]), "seat_in_use");
    office.expect(MINJI, cancel(1), "cancelled");
    let refused = office.ask(BOSS, remove(&[2, 1])).unwrap_err();
    assert_eq!(refused, Refusal::SeatHasHistory { seat_id: SeatId::new(1) });
    office.expect(BOSS, block(&[3]), "seats_set");
    office.expect(BOSS, remove(&[2, 3]), "seats_set");
    assert!(!office.model.seats.contains_key(&SeatId::new(2)));
    office.expect(BOSS, remove(&[2]), "not_found");
    office.expect(BOSS, remove(&[7]), "not_found");
    // Number and place are free again.
    office.expect(BOSS, add_seats(1, [2]), "seats_added");
    let answers = office.batch(&[(BOSS, add_seats(1, [30])), (BOSS, remove(&[11])), (BOSS, add_seats(1, [30]))]);
    assert_eq!(answers, ["seats_added", "seats_set", "seats_added"]);
}

#[test]
fn a_free_seat_is_held_paid_and_given_back_without_any_points() {
    let mut office = SaleModel::new();
    office.expect(BOSS, change(&[1, 2], price(0)), "seats_set");
    let token = office.active(MINJI, HOUSE);
    office.expect(MINJI, hold(token, &[1, 2]), "held");
    office.expect(MINJI, pay(token, &[1, 2]), "paid");
    assert_eq!((office.letter(1), office.letter(2)), ('S', 'S'));
    assert!(office.model.payments.values().all(|payment| payment.amount == Money::ZERO));
    office.expect(MINJI, refund(1), "refunded");
    office.expect(MINJI, refund(1), "already_refunded");
    assert_eq!((office.letter(1), office.balance(MINJI)), ('A', 0));
    assert!(office.model.history.is_empty(), "nothing moved");
}

#[test]
fn the_holder_of_a_seat_gets_another_refusal_than_other_users() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
    let refused = office.ask(MINJI, hold(token, &[2, 1])).unwrap_err();
    let Refusal::SeatHeldByYou { seat_id, reservation_id, .. } = refused else { panic!("{refused:?}") };
    assert_eq!((seat_id.get(), reservation_id.get()), (1, 1));
    let other = office.active(JUNHO, HOUSE);
    office.expect(JUNHO, hold(other, &[1]), "seat_held");
}

fn opening(micros: i64) -> ConcertChange {
    ConcertChange { opens_at: Some(at(micros)), ..ConcertChange::default() }
}

fn room(max_active: i64) -> ConcertChange {
    ConcertChange {
        own_room: Some(OwnRoom { max_active, admit_per_minute: None, opening: None }),
        ..ConcertChange::default()
    }
}

#[test]
fn a_concert_whose_sale_was_ever_open_stays_in_the_house_room_with_its_holds() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
    let opened = Refusal::SaleOpened { opened_at: at(0) };
    let refused =
        |office: &mut SaleModel, change| assert_eq!(office.ask(BOSS, update_concert(1, change)), Err(opened.clone()));
    refused(&mut office, room(5));
    refused(&mut office, ConcertChange { opens_at: Some(at(DAY)), ..room(5) });
    // Put off, and put off once more.
    for opens_at in [DAY, 2 * DAY] {
        office.expect(BOSS, update_concert(1, opening(opens_at)), "concert");
        refused(&mut office, room(5));
    }
    office.expect(MINJI, pay(token, &[1]), "paid");
    // Open anew, and not for the first time.
    office.at(2 * DAY);
    refused(&mut office, room(5));
}

#[test]
fn a_concert_gets_a_room_of_its_own_before_its_sale_opens() {
    let mut office = SaleModel::new();
    office.policy.opening = OpeningOrder::FirstCome;
    let later = NewConcert { opens_at: Some(at(DAY)), ..new_concert(None) };
    office.expect(BOSS, Command::CreateConcert(later), "concert");
    office.expect(BOSS, add_seats(3, [1]), "seats_added");
    office.expect(BOSS, update_concert(3, room(-1)), "malformed");
    // Moved before it came, the opening leaves no trace.
    office.expect(BOSS, update_concert(3, opening(DAY / 2)), "concert");
    office.expect(BOSS, update_concert(3, opening(DAY)), "concert");
    let Ok(Outcome::Concert(concert)) = office.ask(BOSS, update_concert(3, room(5))) else { panic!() };
    assert_eq!((concert.room_id, concert.opened_at), (RoomId::new(3), None));
    let own = office.room(concert.room_id);
    assert_eq!((own.max_active, own.opens_at, own.closes_at), (5, Some(at(DAY)), Some(at(CLOSES))));
    for concert in [2, 3] {
        office.expect(BOSS, update_concert(concert, room(9)), "malformed");
    }
    office.at(DAY);
    let token = office.active(MINJI, concert.room_id);
    office.expect(MINJI, hold(token, &[10]), "held");
}

#[test]
fn a_sale_counts_as_opened_when_a_change_may_be_saved_after_its_first_holds() {
    let mut office = SaleModel::new();
    for _ in 3..=6 {
        let later = NewConcert { opens_at: Some(at(DAY)), ..new_concert(None) };
        office.expect(BOSS, Command::CreateConcert(later), "concert");
    }
    let opened = Err(Refusal::SaleOpened { opened_at: at(DAY) });
    let early = DAY - LATE_SALES.micros() - 1;
    office.at(early);
    office.expect(BOSS, update_concert(3, room(5)), "concert");
    office.expect(BOSS, update_concert(4, opening(2 * DAY)), "concert");
    office.at(early + 1);
    assert_eq!(office.ask(BOSS, update_concert(5, room(5))), opened);
    office.expect(BOSS, update_concert(5, opening(2 * DAY)), "concert");
    assert_eq!(office.ask(BOSS, update_concert(5, room(5))), opened, "put off too late");
    let Ok(Outcome::Concert(earlier)) = office.ask(BOSS, update_concert(6, opening(DAY - 1))) else { panic!() };
    assert_eq!(earlier.opened_at, None, "it was not put off");
    office.expect(BOSS, update_concert(4, room(5)), "concert");
}
