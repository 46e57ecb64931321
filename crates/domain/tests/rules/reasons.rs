//! Changes of operators: what they are based on, and which need a reason.

use crate::support::{
    BOSS, CLOCK, CLOSES, DAY, HOUSE, JUNHO, MIN, MINJI, S, SHOW, SaleModel, at, pay, refund, set_room, token_id,
    update_concert, user,
};
use frontrow_domain::{
    command::{Command, ConcertChange, Outcome, Replay, RoomChange},
    id::{ConcertId, PaymentId, ReservationId, RoomId},
    line::{Gate, Room},
    refusal::Refusal,
    sale::{Concert, ConcertStatus, Harm, Stops},
    time::Time,
    user::Caller,
};
use proptest::prelude::*;

fn room_change(basis: Option<Time>, reason: Option<&str>, change: RoomChange) -> Command {
    Command::SetRoom { room_id: HOUSE, change, basis, reason: reason.map(str::to_owned) }
}

fn concert_change(basis: Option<Time>, reason: Option<&str>, change: ConcertChange) -> Command {
    Command::UpdateConcert { concert_id: ConcertId::new(1), change, basis, reason: reason.map(str::to_owned) }
}

fn cap(max_active: i64) -> RoomChange {
    RoomChange { max_active: Some(max_active), ..RoomChange::default() }
}

fn rate(per_minute: Option<i64>) -> RoomChange {
    RoomChange { admit_per_minute: Some(per_minute), ..RoomChange::default() }
}

fn gate(gate: Gate) -> RoomChange {
    RoomChange { gate: Some(gate), ..RoomChange::default() }
}

fn titled(title: &str) -> ConcertChange {
    ConcertChange { title: Some(title.to_owned()), ..ConcertChange::default() }
}

fn status(status: ConcertStatus) -> ConcertChange {
    ConcertChange { status: Some(status), ..ConcertChange::default() }
}

fn opens(opens_at: i64) -> ConcertChange {
    ConcertChange { opens_at: Some(at(opens_at)), ..ConcertChange::default() }
}

fn closes(closes_at: i64) -> ConcertChange {
    ConcertChange { closes_at: Some(Some(at(closes_at))), ..ConcertChange::default() }
}

#[test]
fn a_change_that_is_based_on_another_version_is_refused() {
    let mut office = SaleModel::new();
    let version = |office: &SaleModel| office.model.rooms[&HOUSE].updated_at;
    let seen = version(&office);
    office.at(S);
    office.expect(BOSS, room_change(Some(seen), None, cap(5)), "room");
    // Another operator, who saw the version before.
    office.expect(BOSS, room_change(Some(seen), None, cap(9)), "changed_meanwhile");
    office.expect(CLOCK, room_change(Some(seen), None, cap(9)), "changed_meanwhile");
    assert_eq!(office.model.rooms[&HOUSE].max_active, 5);
    let now = version(&office);
    assert!(now > seen);
    office.expect(BOSS, room_change(Some(now), None, cap(9)), "room");
    // In the same moment, and it is a version of its own all the same.
    office.expect(BOSS, room_change(Some(now), None, cap(10)), "changed_meanwhile");
    office.expect(BOSS, room_change(None, None, cap(10)), "room");

    let version = |office: &SaleModel| office.model.concerts[&ConcertId::new(1)].updated_at;
    let seen = version(&office);
    office.expect(BOSS, concert_change(Some(seen), None, titled("Tide")), "concert");
    office.expect(BOSS, concert_change(Some(seen), None, titled("Ebb")), "changed_meanwhile");
    let now = version(&office);
    office.expect(BOSS, concert_change(Some(now), None, titled("Ebb")), "concert");
}

#[test]
fn a_replay_is_answered_as_before_although_the_row_has_changed() {
    let mut office = SaleModel::new();
    let seen = office.model.rooms[&HOUSE].updated_at;
    let command = room_change(Some(seen), None, cap(5));
    let first = office.ask_with_key(1, 1, BOSS, command.clone());
    assert!(matches!(first.decision, Ok(Outcome::Room(_))), "{first:?}");
    office.at(S);
    office.expect(BOSS, room_change(None, None, cap(6)), "room");
    let replay = office.ask_with_key(1, 1, BOSS, command.clone());
    let Ok(Outcome::Room(room)) = replay.decision else { panic!("{replay:?}") };
    assert_eq!((room.max_active, replay.replay), (5, Replay::Replayed));
    assert_eq!(office.ask_with_key(2, 1, BOSS, command).decision, Err(Refusal::Changed));
}

#[test]
fn what_takes_something_from_those_in_line_needs_a_reason() {
    // The room before, the change, whether it hurts and how it stops the line.
    let open = Room { admit_per_minute: Some(60), ..Room::new(HOUSE, 10, at(0)) };
    let free = Room { admit_per_minute: None, ..open.clone() };
    let paused = Room { gate: Gate::Paused, ..open.clone() };
    let none = Room { max_active: 0, ..open.clone() };
    let shares_none = Room { allotment: Some(0), ..open.clone() };
    let both = RoomChange { max_active: Some(20), ..gate(Gate::Paused) };
    let message = RoomChange { message: Some(Some("Soon.".to_owned())), ..RoomChange::default() };
    for (room, change, hurts, stops) in [
        (&open, gate(Gate::Paused), true, Some(Stops::Paused)),
        (&open, both, true, Some(Stops::Paused)),
        (&open, cap(9), true, None),
        (&open, cap(0), true, Some(Stops::NoPlaces)),
        (&open, rate(Some(59)), true, None),
        (&free, rate(Some(1_000_000)), true, None),
        (&open, cap(10), false, None),
        (&open, cap(11), false, None),
        (&open, rate(Some(60)), false, None),
        (&open, rate(Some(61)), false, None),
        (&open, rate(None), false, None),
        (&paused, gate(Gate::Paused), false, None),
        (&paused, gate(Gate::Open), false, None),
        (&none, cap(0), false, None),
        (&none, cap(1), false, None),
        // No place of what rooms share is the room's just now: what its operator sets is the cap.
        (&shares_none, cap(0), true, Some(Stops::NoPlaces)),
        (&shares_none, cap(9), true, None),
        (&shares_none, cap(11), false, None),
        (&open, message, false, None),
        (&open, RoomChange::default(), false, None),
    ] {
        assert_eq!((change.hurts(room), change.stops(room)), (hurts, stops), "{change:?} of {room:?}");
        let ask = |caller: Caller, reason: Option<&str>| {
            let mut office = SaleModel::new();
            office.model.rooms.insert(HOUSE, room.clone());
            office.ask(caller, room_change(None, reason, change.clone()))
        };
        assert_eq!(ask(BOSS, None) == Err(Refusal::ReasonNeeded), hurts, "{change:?} of {room:?}");
        assert!(ask(BOSS, Some("The hall is full.")).is_ok() && ask(CLOCK, None).is_ok(), "{change:?}");
        assert!(matches!(ask(BOSS, Some("")), Err(Refusal::Malformed { .. })), "an empty reason is none");
    }
}

#[test]
fn what_stops_a_sale_needs_a_reason() {
    let mut office = SaleModel::new();
    let concert: Concert = office.model.concerts[&ConcertId::new(1)].clone();
    let not_open = Concert { opens_at: at(MIN), ..concert.clone() };
    let closed = Concert { status: ConcertStatus::Closed, ..concert.clone() };
    // The concert before, when, the change, and how it stops the sale.
    for (before, now, change, stops) in [
        (&concert, S, status(ConcertStatus::Closed), Some(Stops::Closed)),
        (&concert, S, status(ConcertStatus::Postponed), Some(Stops::Postponed)),
        (&closed, S, status(ConcertStatus::Postponed), Some(Stops::Postponed)),
        (&not_open, S, status(ConcertStatus::Closed), Some(Stops::Closed)),
        (&concert, MIN, closes(MIN), Some(Stops::PastClosing)),
        (&concert, MIN, closes(S), Some(Stops::PastClosing)),
        (&closed, MIN, closes(S), Some(Stops::PastClosing)),
        (&concert, MIN, opens(DAY), Some(Stops::PutOff)),
        (&concert, MIN, closes(MIN + 1), None),
        (&not_open, S, opens(DAY), None),
        (&concert, MIN, opens(S), None),
        (&closed, S, status(ConcertStatus::Closed), None),
        (&closed, S, status(ConcertStatus::Scheduled), None),
        (&concert, CLOSES, closes(CLOSES - 1), None),
        (&concert, S, closes(SHOW), None),
        (&concert, S, titled("Ebb"), None),
        // Refused anyway.
        (&concert, S, status(ConcertStatus::Cancelled), None),
        (&concert, S, closes(-S), None),
    ] {
        assert_eq!(change.stops(before, at(now)), stops, "{change:?}");
        let hurts = change.hurts(before, at(now));
        assert!(hurts || stops.is_none());
        office.at(now);
        office.model.concerts.insert(ConcertId::new(1), before.clone());
        let ask = |caller, reason, change: &ConcertChange| {
            office.clone().ask(caller, concert_change(None, reason, change.clone()))
        };
        assert_eq!(ask(BOSS, None, &change) == Err(Refusal::ReasonNeeded), hurts, "{change:?}");
        if hurts {
            assert!(ask(BOSS, Some("A storm."), &change).is_ok() && ask(CLOCK, None, &change).is_ok());
            assert!(matches!(ask(BOSS, Some(""), &change), Err(Refusal::Malformed { .. })));
            // What the buyers are told is a reason too.
            let explained = ConcertChange { status_reason: Some(Some("A storm.".to_owned())), ..change.clone() };
            assert!(ask(BOSS, None, &explained).is_ok());
            let unexplained = ConcertChange { status_reason: Some(None), ..change.clone() };
            assert_eq!(ask(BOSS, None, &unexplained), Err(Refusal::ReasonNeeded));
        }
    }
}

#[test]
fn another_hour_or_place_and_an_earlier_close_need_a_reason_once_the_sale_has_been_open() {
    let concert: Concert = SaleModel::new().model.concerts[&ConcertId::new(1)].clone();
    let not_open = Concert { opens_at: at(60 * MIN), ..concert.clone() };
    let was_open = Concert { opened_at: Some(at(0)), ..not_open.clone() };
    let of = |status| Concert { status, ..concert.clone() };
    let (closed, postponed) = (of(ConcertStatus::Closed), of(ConcertStatus::Postponed));
    let venue = || ConcertChange { venue: Some("Another hall".to_owned()), ..ConcertChange::default() };
    let same = || ConcertChange { venue: Some(concert.venue.clone()), ..ConcertChange::default() };
    let day = || ConcertChange { concert_date: concert.concert_date.tomorrow().ok(), ..ConcertChange::default() };
    for (before, change, harm) in [
        (&concert, venue(), Some(Harm::Moved)),
        (&concert, day(), Some(Harm::Moved)),
        (&closed, day(), Some(Harm::Moved)),
        (&was_open, day(), Some(Harm::Moved)),
        (&concert, closes(CLOSES - 1), Some(Harm::ClosesEarlier)),
        (&concert, closes(MIN), Some(Harm::Stopped(Stops::PastClosing))),
        (&concert, same(), None),
        (&concert, titled("Ebb"), None),
        (&concert, closes(CLOSES + 1), None),
        (&closed, closes(CLOSES - 1), None),
        (&not_open, day(), None),
        (&not_open, closes(CLOSES - 1), None),
        // Buyers were told that there will be another day.
        (&postponed, day(), None),
    ] {
        assert_eq!(change.harm(before, at(MIN)), harm, "{change:?} of {before:?}");
        let mut office = SaleModel::new();
        office.at(MIN);
        office.model.concerts.insert(ConcertId::new(1), before.clone());
        let asked = |caller, reason| office.clone().ask(caller, concert_change(None, reason, change.clone()));
        assert_eq!(asked(BOSS, None) == Err(Refusal::ReasonNeeded), harm.is_some(), "{change:?} of {before:?}");
        assert!(asked(BOSS, Some("A storm.")).is_ok() && asked(CLOCK, None).is_ok());
    }
}

#[test]
fn a_refund_for_another_user_needs_a_reason_and_ones_own_does_not() {
    let (mut sale, token) = SaleModel::with_hold(MINJI, &[1]);
    sale.run([(0, MINJI, pay(token, &[1]), "paid")]);
    let without = Command::Refund { payment_id: PaymentId::new(1), reason: None };
    let empty = Command::Refund { payment_id: PaymentId::new(1), reason: Some(String::new()) };
    sale.run([
        (0, BOSS, without.clone(), "reason_needed"),
        (0, BOSS, empty, "malformed"),
        (0, JUNHO, without.clone(), "not_found"),
    ]);
    for (caller, command) in [(BOSS, refund(1)), (CLOCK, without.clone()), (MINJI, without.clone())] {
        sale.clone().expect(caller, command, "refunded");
    }
    sale.expect(BOSS, refund(1), "refunded");
    let detail = &sale.model.audit.last().unwrap().detail;
    assert_eq!(detail["status"], serde_json::json!({ "from": "completed", "to": "refunded" }));
    assert_eq!((detail["user_id"].clone(), detail["reason"].is_string()), (serde_json::json!(user(MINJI)), true));

    let (mut own, token) = SaleModel::with_hold(BOSS, &[1]);
    own.run([(0, BOSS, pay(token, &[1]), "paid"), (0, BOSS, without, "refunded")]);
    assert_eq!(token, token_id(HOUSE, 1));
}

#[test]
fn a_refused_change_is_refused_for_its_fault_before_its_reason() {
    let mut office = SaleModel::new();
    office.run([
        (0, MINJI, room_change(None, None, gate(Gate::Paused)), "forbidden"),
        (
            0,
            BOSS,
            Command::SetRoom { room_id: RoomId::new(99), change: cap(0), basis: None, reason: None },
            "not_found",
        ),
        (0, BOSS, room_change(None, None, cap(-1)), "malformed"),
        (0, BOSS, room_change(Some(at(-1)), None, cap(-1)), "changed_meanwhile"),
        (0, BOSS, set_room(HOUSE, cap(2)), "room"),
        (0, BOSS, update_concert(1, status(ConcertStatus::Closed)), "concert"),
    ]);
}

proptest! {
    #[test]
    fn a_change_and_its_way_back_hurt_once_unless_nothing_changes(
        before in (0..20_i64, proptest::option::of(1..20_i64), any::<bool>()),
        after in (0..20_i64, proptest::option::of(1..20_i64), any::<bool>()),
    ) {
        let gate_of = |open| if open { Gate::Open } else { Gate::Paused };
        let room = |(max_active, admit_per_minute, open)| {
            Room { admit_per_minute, gate: gate_of(open), ..Room::new(HOUSE, max_active, at(0)) }
        };
        let to = |(max_active, admit_per_minute, open)| RoomChange {
            max_active: Some(max_active),
            admit_per_minute: Some(admit_per_minute),
            gate: Some(gate_of(open)),
            message: None,
            ..RoomChange::default()
        };
        let (there, back) = (to(after).hurts(&room(before)), to(before).hurts(&room(after)));
        prop_assert_eq!(there || back, before != after);
        prop_assert!(to(after).stops(&room(before)).is_none() || there, "what stops a line hurts");
        prop_assert_eq!(to(after).applied(&room(before)), room(after));
    }
}

#[test]
fn an_operator_says_why_a_hold_is_cancelled_and_an_account_is_locked() {
    let (mut office, _) = SaleModel::with_hold(MINJI, &[1, 2]);
    let cancel = |id, reason: Option<&str>| Command::CancelReservation {
        reservation_id: ReservationId::new(id),
        reason: reason.map(str::to_owned),
    };
    let lock = |reason: Option<&str>| Command::LockUser { user_id: user(MINJI), reason: reason.map(str::to_owned) };
    let before = office.model.clone();
    for command in [cancel(1, None), lock(None)] {
        office.expect(BOSS, command, "reason_needed");
    }
    for command in [cancel(1, Some("")), lock(Some("")), cancel(1, Some(&"x".repeat(501)))] {
        office.expect(BOSS, command, "malformed");
    }
    assert_eq!(office.model.reservations, before.reservations);
    office.expect(BOSS, cancel(1, Some("The hall asks for it.")), "cancelled");
    let entry = office.model.audit.last().unwrap();
    assert_eq!(entry.detail["reason"], "The hall asks for it.");
    assert_eq!(entry.detail["status"], serde_json::json!({ "from": "pending", "to": "cancelled" }));
    office.expect(MINJI, cancel(2, None), "cancelled");
    office.expect(BOSS, lock(Some("Stolen.")), "done");
    let entry = office.model.audit.last().unwrap();
    assert_eq!(
        entry.detail,
        serde_json::json!({ "status": { "from": "active", "to": "locked" }, "reason": "Stolen." })
    );
    office.expect(CLOCK, Command::LockUser { user_id: user(JUNHO), reason: None }, "done");
}
