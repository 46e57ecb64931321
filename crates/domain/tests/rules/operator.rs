//! Operators' rights, their limits, and the audit trail.

use crate::support::{
    BOSS, CLOCK, CLOSES, DAY, HOUSE, JUNHO, MIN, MINJI, OWN, S, SHOW, START, SaleModel, VIEWER, add_seats, at, block,
    cancel, create_concert, free, hold, issue, new_concert, pay, reason, refund, register, remove_poster, set_cap,
    set_poster, set_room, top_up, update_concert, user,
};
use frontrow_domain::{
    command::{Command, ConcertChange, Issue, Outcome, RoomChange},
    id::{ConcertId, RoomId, SeatId, UserId},
    line::Gate,
    money::Money,
    policy::{ADMIT_PER_MINUTE_MAX, AUDIT_RANGES_MAX, MAX_ACTIVE_MAX},
    refusal::Refusal,
    sale::{Concert, ConcertStatus, NewSeat, SeatLabel},
    user::{Caller, NewUser, Role, Session},
};
use serde_json::json;
use uuid::Uuid;

/// A box office whose first concert has a poster.
fn with_poster() -> SaleModel {
    let mut office = SaleModel::new();
    office.ask(BOSS, set_poster(1, 1)).unwrap();
    office
}

/// Every command of operators, in a form that is granted.
fn commands() -> Vec<Command> {
    vec![
        create_concert(None),
        update_concert(1, ConcertChange::default()),
        set_poster(1, 7),
        remove_poster(1),
        add_seats(1, 50..=51),
        block(&[1]),
        free(&[1]),
        set_cap(HOUSE, 5),
    ]
}

#[test]
fn running_the_sale_takes_the_role() {
    for command in commands() {
        let mut office = with_poster();
        for caller in [MINJI, VIEWER, Caller::Service, Caller::Anonymous] {
            office.expect(caller, command.clone(), "forbidden");
        }
        for caller in [BOSS, CLOCK] {
            office.clone().ask(caller, command.clone()).unwrap();
        }
    }
}

#[test]
fn a_viewer_changes_its_own_rows_as_a_buyer_does_and_no_others() {
    assert!(VIEWER.may_see_sale() && BOSS.may_see_sale() && CLOCK.may_see_sale());
    assert!(![MINJI, Caller::Service, Caller::Anonymous].into_iter().any(Caller::may_see_sale));
    assert!(!VIEWER.is_operator());
    let mut office = SaleModel::new();
    office.run([(0, CLOCK, register(VIEWER), "registered"), (0, VIEWER, issue(HOUSE), "new")]);
    assert_eq!(office.model.audit.last().unwrap().action, "viewer.add");
    office.ask(MINJI, top_up(MINJI, 10_000, None)).unwrap();
    let before = office.model.clone();
    for command in [
        Command::LockUser { user_id: user(MINJI), reason: reason() },
        Command::RefundConcert { concert_id: ConcertId::new(1), basis: None },
        Command::CancelConcert { concert_id: ConcertId::new(1), reason: "Rain".to_owned(), basis: None },
        Command::SetRole { user_id: user(VIEWER), role: Role::Operator },
    ] {
        office.expect(VIEWER, command, "forbidden");
    }
    assert!(office.model == before);
}

#[test]
fn everything_an_operator_does_is_one_line_in_the_audit_log() {
    let actions = [
        "concert.create",
        "concert.update",
        "concert.poster.set",
        "concert.poster.remove",
        "seats.add",
        "seats.block",
        "seats.free",
        "room.set",
    ];
    for (command, action) in commands().into_iter().zip(actions) {
        let mut office = with_poster();
        let before = office.model.audit.len();
        office.at(S);
        office.ask(BOSS, command).unwrap();
        let lines = &office.model.audit[before..];
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].action.as_str(), lines[0].actor, lines[0].created_at), (action, BOSS.user_id(), at(S)));
    }
}

#[test]
fn the_audit_log_distinguishes_a_lifted_limit_from_one_left_alone() {
    let rate = |per_minute| RoomChange { admit_per_minute: Some(per_minute), ..RoomChange::default() };
    let message = |text: Option<&str>| RoomChange { message: Some(text.map(str::to_owned)), ..RoomChange::default() };
    let mut office = SaleModel::new();
    for (change, detail) in [
        (rate(Some(60)), json!({ "admit_per_minute": { "from": null, "to": 60 } })),
        (rate(Some(60)), json!({})),
        (rate(None), json!({ "admit_per_minute": { "from": 60, "to": null } })),
        (message(Some("Soon.")), json!({ "message": { "from": null, "to": "Soon." } })),
        (message(None), json!({ "message": { "from": "Soon.", "to": null } })),
        (RoomChange::default(), json!({})),
        (
            RoomChange { max_active: Some(5), gate: Some(Gate::Paused), ..RoomChange::default() },
            json!({ "max_active": { "from": 3, "to": 5 }, "gate": { "from": "open", "to": "paused" } }),
        ),
    ] {
        let command = |reason| Command::SetRoom { room_id: HOUSE, change: change.clone(), basis: None, reason };
        office.ask(CLOCK, command(None)).unwrap();
        assert_eq!(office.model.audit.last().unwrap().detail, detail);
    }
    office.ask(BOSS, set_cap(HOUSE, 4)).unwrap();
    let detail = json!({ "max_active": { "from": 5, "to": 4 }, "reason": reason() });
    assert_eq!(office.model.audit.last().unwrap().detail, detail);
}

#[test]
fn what_operators_do_to_users_is_audited_and_what_users_do_is_not() {
    let audited = |caller: Caller| {
        let (mut office, token) = SaleModel::with_hold(MINJI, &[1, 2]);
        let before = office.model.audit.len();
        office.run([
            (0, caller, cancel(1), "cancelled"),
            (0, MINJI, pay(token, &[2]), "paid"),
            (0, caller, refund(1), "refunded"),
        ]);
        let reference = if caller == MINJI { None } else { Some("receipt 1") };
        office.run([(0, caller, top_up(MINJI, 1_000, reference), "topped_up")]);
        office.model.audit[before..].iter().map(|line| line.action.clone()).collect::<Vec<_>>()
    };
    assert_eq!(audited(BOSS), ["reservation.cancel", "payment.refund", "points.top_up"]);
    assert_eq!(audited(CLOCK), ["reservation.cancel", "payment.refund", "points.top_up"]);
    assert_eq!(audited(MINJI), Vec::<String>::new());
}

#[test]
fn what_operators_get_that_buyers_do_not_is_audited_even_for_themselves() {
    let (mut office, token) = SaleModel::with_hold(BOSS, &[1]);
    office.run([(0, BOSS, pay(token, &[1]), "paid")]);
    let before = office.model.audit.len();
    office.run([(SHOW - DAY, BOSS, refund(1), "refunded")]);
    assert_eq!(office.model.audit[before..].len(), 1);
}

#[test]
fn an_operator_buys_like_any_user() {
    let mut office = SaleModel::new();
    let (mut holding, theirs) = SaleModel::with_hold(MINJI, &[1]);
    holding.run([(0, BOSS, hold(theirs, &[2]), "token_invalid"), (0, BOSS, pay(theirs, &[1]), "not_found")]);
    let token = office.active(BOSS, HOUSE);
    office.top_up(BOSS, 10_000);
    office.run([(0, BOSS, hold(token, &[1]), "held"), (0, BOSS, pay(token, &[1]), "paid")]);
}

#[test]
fn a_concert_has_sensible_times_prices_and_caps() {
    let mut office = SaleModel::new();
    let with = |change: fn(&mut _)| {
        let mut concert = new_concert(None);
        change(&mut concert);
        Command::CreateConcert(concert)
    };
    office.run([
        (0, BOSS, with(|new| new.closes_at = new.opens_at), "malformed"),
        (0, BOSS, with(|new| new.base_price = Money::new(-1)), "malformed"),
        (0, BOSS, create_concert(Some(-1)), "malformed"),
        (0, BOSS, create_concert(Some(1_000_001)), "malformed"),
        (0, BOSS, create_concert(Some(0)), "concert"),
    ]);
    let rooms: Vec<_> = office.model.rooms.keys().copied().collect();
    assert_eq!(rooms, [HOUSE, OWN, RoomId::new(3)], "refused concerts take no number");
}

#[test]
fn changing_a_concert_changes_what_is_named_only() {
    let mut office = SaleModel::new();
    let before = office.model.concerts[&frontrow_domain::id::ConcertId::new(1)].clone();
    let change = |change| update_concert(1, change);
    let backwards = ConcertChange { opens_at: Some(at(9)), closes_at: Some(Some(at(9))), ..ConcertChange::default() };
    let past_the_end = ConcertChange { opens_at: Some(before.closes_at), ..ConcertChange::default() };
    office.run([
        (S, BOSS, update_concert(99, ConcertChange::default()), "not_found"),
        (S, BOSS, change(backwards), "malformed"),
        (S, BOSS, change(past_the_end), "malformed"),
    ]);
    let named = ConcertChange {
        title: Some("The Second Night".to_owned()),
        status: Some(ConcertStatus::Closed),
        ..ConcertChange::default()
    };
    let Ok(Outcome::Concert(after)) = office.ask(BOSS, change(named)) else { panic!() };
    let expected = frontrow_domain::sale::Concert {
        title: "The Second Night".to_owned(),
        status: ConcertStatus::Closed,
        // Its sale was open.
        opened_at: Some(before.opens_at),
        updated_at: at(S),
        ..before
    };
    assert_eq!(after, expected);
}

#[test]
fn a_concerts_own_room_knows_when_the_sale_opens_and_is_over() {
    let mut office = SaleModel::new();
    let window = |office: &SaleModel, room| (office.room(room).opens_at, office.room(room).closes_at);
    assert_eq!(window(&office, HOUSE), (None, None));
    assert_eq!(window(&office, OWN), (Some(START), Some(at(CLOSES))));

    let moved = ConcertChange {
        opens_at: Some(at(DAY)),
        closes_at: Some(Some(at(2 * DAY))),
        status: Some(ConcertStatus::Scheduled),
        ..ConcertChange::default()
    };
    let closed = ConcertChange { status: Some(ConcertStatus::Closed), ..ConcertChange::default() };
    let renamed = ConcertChange { title: Some("The Second Night".to_owned()), ..ConcertChange::default() };
    office.run([(S, BOSS, update_concert(2, moved.clone()), "concert")]);
    assert_eq!(window(&office, OWN), (Some(at(DAY)), Some(at(2 * DAY))));
    assert_eq!(office.room(OWN).updated_at, at(S));
    office.run([
        (2 * S, BOSS, update_concert(2, closed.clone()), "concert"),
        (3 * S, BOSS, update_concert(2, renamed.clone()), "concert"),
    ]);
    assert_eq!(window(&office, OWN), (Some(at(DAY)), Some(at(2 * S))), "a closed concert's sale is over");
    office.run([
        (4 * S, BOSS, update_concert(2, moved.clone()), "concert"),
        (3 * DAY, BOSS, update_concert(2, closed), "concert"),
    ]);
    assert_eq!(window(&office, OWN), (Some(at(DAY)), Some(at(2 * DAY))), "it was over before it was closed");

    let before = office.room(OWN).clone();
    office.run([
        (3 * DAY, BOSS, update_concert(2, renamed), "concert"),
        (3 * DAY, BOSS, update_concert(1, moved), "concert"),
    ]);
    assert_eq!(*office.room(OWN), before);
    assert_eq!(window(&office, HOUSE), (None, None), "the house room leads to any concert");
}

#[test]
fn seats_of_one_row_have_different_numbers_and_cost_nothing_or_more() {
    let mut office = SaleModel::new();
    let one = |seat_number, price| Command::AddSeats {
        concert_id: frontrow_domain::id::ConcertId::new(1),
        seats: vec![NewSeat {
            seat_number: Some(seat_number),
            price: Some(Money::new(price)),
            label: SeatLabel::default(),
        }],
    };
    office.run([
        (0, BOSS, add_seats(1, [7, 8, 6]), "seat_number_taken"),
        (0, BOSS, add_seats(1, [7, 8, 7]), "seat_number_taken"),
        (0, BOSS, add_seats(1, []), "malformed"),
        (0, BOSS, add_seats(1, 7..=100_007), "malformed"),
        (0, BOSS, add_seats(99, [1]), "not_found"),
        (0, BOSS, one(0, 1_000), "malformed"),
        (0, BOSS, one(7, -1), "malformed"),
        (0, BOSS, one(7, 0), "seats_added"),
        (0, BOSS, add_seats(2, [7]), "seats_added"),
    ]);
    let answers = office.batch(&[(BOSS, add_seats(1, [20])), (BOSS, add_seats(1, [20]))]);
    assert_eq!(answers, ["seats_added", "seat_number_taken"]);
    let Ok(Outcome::SeatsAdded { first_seat_id, count }) = office.ask(BOSS, add_seats(1, 30..=34)) else { panic!() };
    let numbers = (0..5).map(|more| office.model.seats[&SeatId::new(first_seat_id.get() + more)].seat_number);
    assert_eq!((count, numbers.collect::<Vec<_>>()), (5, vec![30, 31, 32, 33, 34]));
}

#[test]
fn a_concert_is_moved_and_repriced_but_its_seats_and_its_closing_stay() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[1]);
    // Two days before the sale closes.
    let moved = ConcertChange {
        time_zone: Some("Asia/Tokyo".to_owned()),
        concert_date: Some(jiff::civil::date(2027, 1, 23)),
        start_time: Some(jiff::civil::time(17, 0, 0, 0)),
        ..ConcertChange::default()
    };
    let repriced = |won| ConcertChange {
        end_time: Some(jiff::civil::time(21, 0, 0, 0)),
        base_price: Some(Money::new(won)),
        ..ConcertChange::default()
    };
    let prices = |office: &SaleModel| office.model.seats.values().map(|seat| seat.price).collect::<Vec<_>>();
    let (before, seats) = (office.model.concerts[&ConcertId::new(1)].clone(), prices(&office));
    office.run([
        (0, MINJI, pay(token, &[1]), "paid"),
        (0, BOSS, update_concert(1, repriced(-1)), "malformed"),
        (S, BOSS, update_concert(1, repriced(0)), "concert"),
        (S, BOSS, update_concert(1, moved), "concert"),
    ]);
    let detail = &office.model.audit.last().unwrap().detail;
    assert_eq!(detail["concert_date"], json!({ "from": before.concert_date, "to": "2027-01-23" }));
    assert_eq!(detail["starts_at"], json!({ "from": before.starts_at, "to": at(8 * DAY) }), "what follows from it too");
    assert!(detail["base_price"].is_null() && detail["updated_at"].is_null());
    assert_eq!(detail["reason"], json!(reason()));
    let expected = Concert {
        time_zone: "Asia/Tokyo".to_owned(),
        concert_date: jiff::civil::date(2027, 1, 23),
        start_time: jiff::civil::time(17, 0, 0, 0),
        end_time: jiff::civil::time(21, 0, 0, 0),
        starts_at: at(8 * DAY),
        ends_at: at(8 * DAY + 240 * MIN),
        base_price: Money::ZERO,
        // Its second change in the same moment.
        updated_at: at(S + 1),
        ..before
    };
    assert_eq!(office.model.concerts[&ConcertId::new(1)], expected);
    assert_eq!(prices(&office), seats);
    // Refunds end with the new start.
    office.run([(7 * DAY, MINJI, refund(1), "refund_too_late")]);
}

#[test]
fn an_entry_about_blocked_seats_names_their_concert() {
    let mut office = SaleModel::new();
    let Ok(Outcome::SeatsAdded { first_seat_id, .. }) = office.ask(BOSS, add_seats(2, [7])) else { panic!() };
    let other = first_seat_id.get();
    for (command, object) in [
        (block(&[1, 2]), "concert 1"),
        (free(&[1, 2]), "concert 1"),
        (block(&[other]), "concert 2"),
        (block(&[1, other]), "2 seats"),
    ] {
        office.ask(BOSS, command).unwrap();
        assert_eq!(office.model.audit.last().unwrap().object, object);
    }
}

#[test]
fn seats_are_blocked_all_or_nothing_and_once_each() {
    let (mut office, token) = SaleModel::with_hold(MINJI, &[3]);
    office.run([
        (0, BOSS, block(&[1, 99]), "not_found"),
        (0, BOSS, block(&[1, 3]), "seat_in_use"),
        (0, BOSS, block(&[1, 2, 1]), "malformed"),
        (0, BOSS, block(&[]), "malformed"),
        (0, BOSS, block(&[1, 2]), "seats_set"),
        (0, BOSS, block(&[2]), "seats_set"),
        (0, BOSS, free(&[2]), "seats_set"),
        (0, MINJI, pay(token, &[1]), "paid"),
        (0, BOSS, block(&[3]), "seat_in_use"),
        (0, BOSS, free(&[3]), "seat_in_use"),
    ]);
    assert_eq!([1, 2, 3].map(|seat| office.letter(seat)), ['B', 'A', 'S']);
    let seat = &office.model.seats[&SeatId::new(1)];
    assert_eq!(seat.blocked_reason(), Some("camera"));
}

#[test]
fn the_log_names_seats_by_ranges_and_says_where_it_is_cut() {
    let mut office = SaleModel::new();
    office.run([(0, BOSS, block(&[5, 1, 2, 3]), "seats_set")]);
    let expected = serde_json::json!({ "count": 4, "seat_id_ranges": [[1, 3], [5, 5]], "reason": "camera" });
    assert_eq!(office.model.audit.last().unwrap().detail, expected);

    let every_other = AUDIT_RANGES_MAX + 2;
    let last = i32::try_from(2 * every_other).unwrap();
    office.run([(0, BOSS, add_seats(1, 1_001..=1_000 + last), "seats_added")]);
    let first = office.model.seats.values().find(|seat| seat.seat_number == 1_001).unwrap().seat_id.get();
    let seats: Vec<_> = (0..every_other).map(|at| first + 2 * i64::try_from(at).unwrap()).collect();
    office.run([(0, BOSS, free(&seats), "seats_set")]);
    let detail = &office.model.audit.last().unwrap().detail;
    assert_eq!(detail["count"], every_other);
    assert_eq!(detail["seat_id_ranges"].as_array().unwrap().len(), AUDIT_RANGES_MAX);
    assert_eq!(detail["note"], "2 more ranges are left out");
}

#[test]
fn a_rooms_settings_have_bounds_and_change_alone() {
    let mut office = SaleModel::new();
    let rate = |rate| set_room(HOUSE, RoomChange { admit_per_minute: Some(rate), ..RoomChange::default() });
    let say = |message| set_room(HOUSE, RoomChange { message: Some(message), ..RoomChange::default() });
    office.run([
        (0, BOSS, set_cap(HOUSE, -1), "malformed"),
        (0, BOSS, set_cap(HOUSE, MAX_ACTIVE_MAX + 1), "malformed"),
        (0, BOSS, set_cap(HOUSE, 0), "room"),
        (0, BOSS, set_cap(HOUSE, MAX_ACTIVE_MAX), "room"),
        (0, BOSS, set_cap(RoomId::new(77), 1), "not_found"),
        (0, BOSS, rate(Some(0)), "malformed"),
        (0, BOSS, rate(Some(ADMIT_PER_MINUTE_MAX + 1)), "malformed"),
        (0, BOSS, rate(Some(600)), "room"),
        (0, BOSS, say(Some("Soon.".to_owned())), "room"),
    ]);
    let room = office.room(HOUSE).clone();
    assert_eq!((room.max_active, room.admit_per_minute, room.gate), (MAX_ACTIVE_MAX, Some(600), Gate::Open));
    assert_eq!(room.message.as_deref(), Some("Soon."));
    let Err(Refusal::Malformed { reason }) = office.ask(BOSS, set_cap(HOUSE, MAX_ACTIVE_MAX + 1)) else { panic!() };
    assert_eq!(reason, format!("max_active is from 0 to {MAX_ACTIVE_MAX}."));
    office.run([(S, BOSS, say(None), "room"), (S, BOSS, rate(None), "room")]);
    assert_eq!((office.room(HOUSE).message.clone(), office.room(HOUSE).admit_per_minute), (None, None));
    let before = office.room(HOUSE).updated_at;
    office.run([(-MIN, BOSS, say(Some("Again.".to_owned())), "room")]);
    assert!(office.room(HOUSE).updated_at > before, "the later version stays the later one though the clock went back");
    let caps: Vec<_> = office.model.caps.iter().filter(|(_, room, _)| *room == HOUSE).map(|(_, _, cap)| *cap).collect();
    assert_eq!(caps, [3, 0, MAX_ACTIVE_MAX], "every cap is noted for the auditor");
}

#[test]
fn an_address_has_one_account_and_only_the_box_office_makes_operators() {
    let new = |number: u128, email: &str, role| {
        Command::Register(NewUser {
            user_id: frontrow_domain::id::UserId(uuid::Uuid::from_u128(number)),
            name: "A user".to_owned(),
            email: email.to_owned(),
            password_hash: String::new(),
            role,
        })
    };
    let mut office = SaleModel::new();
    office.run([
        (0, Caller::Anonymous, new(20, "new@frontrow.example", Role::Buyer), "registered"),
        (0, Caller::Anonymous, new(21, "new@frontrow.example", Role::Buyer), "email_taken"),
        (0, Caller::Anonymous, new(20, "other@frontrow.example", Role::Buyer), "email_taken"),
        (0, Caller::Anonymous, new(22, "chief@frontrow.example", Role::Operator), "forbidden"),
        (0, BOSS, new(22, "chief@frontrow.example", Role::Operator), "forbidden"),
        (0, BOSS, new(22, "chief@frontrow.example", Role::Viewer), "forbidden"),
        (0, Caller::Anonymous, new(22, "chief@frontrow.example", Role::Viewer), "forbidden"),
        (0, CLOCK, new(22, "chief@frontrow.example", Role::Operator), "registered"),
        (0, CLOCK, register(MINJI), "email_taken"),
    ]);
    assert_eq!(office.model.audit.last().unwrap().action, "operator.add");
    let answers = office.batch(&[
        (Caller::Anonymous, new(30, "twin@frontrow.example", Role::Buyer)),
        (Caller::Anonymous, new(31, "twin@frontrow.example", Role::Buyer)),
    ]);
    assert_eq!(answers, ["registered", "email_taken"]);
}

#[test]
fn a_session_has_the_role_of_its_user_whatever_it_asks_for() {
    let mut office = SaleModel::new();
    let session = |user_id| Session {
        secret_hash: [7; 32],
        user_id,
        role: Role::Operator,
        expires_at: at(DAY),
        created_at: at(0),
        client: None,
    };
    let open = |caller| Command::OpenSession { session: session(user(caller)), epoch: 0 };
    office.run([(0, Caller::Anonymous, open(JUNHO), "signed_in")]);
    assert_eq!(office.model.sessions[&[7; 32]].role, Role::Buyer);
    let stranger = Command::OpenSession { session: session(UserId(Uuid::from_u128(77))), epoch: 0 };
    office.run([
        (0, Caller::Anonymous, stranger, "not_found"),
        (0, JUNHO, Command::CloseSession { secret_hash: [7; 32] }, "done"),
        (0, JUNHO, Command::CloseSession { secret_hash: [7; 32] }, "done"),
    ]);
    assert!(office.model.sessions.is_empty());
}

#[test]
fn a_role_is_given_by_the_box_office_alone_and_sessions_end() {
    let mut office = SaleModel::new();
    let user_id = user(MINJI);
    let session = Session {
        secret_hash: [1; 32],
        user_id,
        role: Role::Buyer,
        expires_at: at(DAY),
        created_at: at(0),
        client: None,
    };
    office.ask(Caller::Anonymous, Command::OpenSession { session, epoch: 0 }).unwrap();
    let promote = Command::SetRole { user_id, role: Role::Operator };
    for caller in [MINJI, BOSS, Caller::Service, Caller::Anonymous] {
        office.expect(caller, promote.clone(), "forbidden");
    }
    let unknown = Command::SetRole { user_id: UserId(Uuid::from_u128(1_000)), role: Role::Operator };
    office.expect(CLOCK, unknown, "not_found");
    let before = office.model.audit.len();
    for _ in 0..2 {
        let Ok(Outcome::User(user)) = office.ask(CLOCK, promote.clone()) else { panic!("it is granted") };
        assert_eq!(user.role, Role::Operator);
    }
    assert_eq!(office.model.users[&user_id].role, Role::Operator);
    assert!(office.model.sessions.is_empty(), "who signs in again has the new role");
    assert_eq!(office.model.audit[before..].len(), 1, "the second time there is nothing to do");
}

#[test]
fn a_line_is_renewed_by_the_box_office_alone_and_places_stay() {
    let mut office = SaleModel::new();
    let join = Command::IssueToken { room_id: HOUSE, concert_id: None };
    let Ok(Outcome::Joined { token, .. }) = office.ask(MINJI, join.clone()) else { panic!("Minji joins") };
    let renew = Command::RenewLine { room_id: HOUSE };
    for caller in [MINJI, BOSS, Caller::Service, Caller::Anonymous] {
        office.expect(caller, renew.clone(), "forbidden");
    }
    office.expect(CLOCK, Command::RenewLine { room_id: RoomId::new(1_000) }, "not_found");
    let (epoch, audited) = (office.model.rooms[&HOUSE].epoch, office.model.audit.len());
    office.ask(CLOCK, renew).unwrap();
    assert_eq!(office.model.rooms[&HOUSE].epoch, epoch + 1);
    assert_eq!(
        office.model.audit[audited..].iter().map(|line| line.action.as_str()).collect::<Vec<_>>(),
        ["line.renew"]
    );
    assert_eq!(office.ask(MINJI, join), Ok(Outcome::Joined { token, issue: Issue::Existing }));
}
