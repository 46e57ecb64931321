//! A concert that is being made: it is not on sale before it has seats and an opening.

use crate::support::{
    BOSS, DAY, HOUSE, MINJI, OWN, S, SHOW, START, SaleModel, add_seats, at, create_concert, issue, new_concert,
    update_concert,
};
use frontrow_domain::{
    command::{Command, ConcertChange, NewConcert, Outcome, OwnRoom},
    id::{ConcertId, RoomId},
    line::OpeningOrder,
    sale::{Concert, ConcertStatus},
};

/// Makes concert 3, without an opening.
fn prepared() -> SaleModel {
    let mut office = SaleModel::new();
    let new = NewConcert { opens_at: None, closes_at: None, ..new_concert(None) };
    office.expect(BOSS, Command::CreateConcert(new), "concert");
    office
}

fn concert(office: &SaleModel) -> &Concert {
    &office.model.concerts[&ConcertId::new(3)]
}

fn to(status: ConcertStatus) -> Command {
    update_concert(3, ConcertChange { status: Some(status), ..ConcertChange::default() })
}

fn opening(micros: i64) -> ConcertChange {
    ConcertChange { opens_at: Some(at(micros)), ..ConcertChange::default() }
}

#[test]
fn a_concert_without_an_opening_is_made_closed_and_opens_at_no_time() {
    let mut office = prepared();
    assert_eq!((concert(&office).status, concert(&office).has_no_opening()), (ConcertStatus::Closed, true));
    office.expect(BOSS, add_seats(3, [1]), "seats_added");
    let join = Command::IssueToken { room_id: HOUSE, concert_id: Some(ConcertId::new(3)) };
    for micros in [0, SHOW - 1, SHOW] {
        office.run([(micros, MINJI, join.clone(), "sale_closed")]);
    }
}

#[test]
fn it_goes_on_sale_once_it_has_seats_and_an_opening() {
    let mut office = prepared();
    office.expect(BOSS, to(ConcertStatus::Scheduled), "no_seats");
    let whole = ConcertChange { status: Some(ConcertStatus::Scheduled), ..opening(DAY) };
    office.expect(BOSS, update_concert(3, whole.clone()), "no_seats");
    office.expect(BOSS, add_seats(3, [1]), "seats_added");
    office.expect(BOSS, to(ConcertStatus::Scheduled), "no_opening");
    // By way of another status, too.
    office.expect(BOSS, to(ConcertStatus::Postponed), "concert");
    office.expect(BOSS, to(ConcertStatus::Scheduled), "no_opening");
    let mut at_once = office.clone();
    at_once.expect(BOSS, update_concert(3, whole), "concert");
    office.expect(BOSS, update_concert(3, opening(DAY)), "concert");
    assert!(!concert(&office).has_no_opening());
    office.expect(BOSS, to(ConcertStatus::Scheduled), "concert");
    for office in [office, at_once] {
        let row = concert(&office);
        assert_eq!((row.status, row.opens_at, row.opened_at), (ConcertStatus::Scheduled, at(DAY), None));
    }
}

#[test]
fn seats_and_the_schedule_of_one_batch_are_seen_in_their_order() {
    let schedule = || (BOSS, to(ConcertStatus::Scheduled));
    let seats = || (BOSS, add_seats(3, [1]));
    assert_eq!(prepared().batch(&[seats(), schedule()]), ["seats_added", "no_opening"]);
    assert_eq!(prepared().batch(&[schedule(), seats()]), ["no_seats", "seats_added"]);
}

#[test]
fn a_new_concert_may_be_scheduled_before_its_seats_are_added_but_not_go_on_without_any() {
    let mut office = SaleModel::new();
    office.expect(BOSS, create_concert(None), "concert");
    assert_eq!(concert(&office).status, ConcertStatus::Scheduled);
    office.expect(BOSS, to(ConcertStatus::Scheduled), "concert");
    office.expect(BOSS, to(ConcertStatus::Closed), "concert");
    office.expect(BOSS, to(ConcertStatus::Scheduled), "no_seats");
    office.expect(BOSS, add_seats(3, [1]), "seats_added");
    office.expect(BOSS, to(ConcertStatus::Scheduled), "concert");
}

#[test]
fn a_concert_is_being_made_until_its_sale_was_open_or_was_closed_with_a_reason_for_buyers() {
    let mut office = prepared();
    let is_being_made = |office: &SaleModel| concert(office).is_being_made(at(office.micros()));
    assert!(is_being_made(&office));
    office.expect(BOSS, add_seats(3, [1]), "seats_added");
    // Its opening comes while it is closed: it was not open.
    office.expect(BOSS, update_concert(3, opening(DAY)), "concert");
    office.at(2 * DAY);
    assert!(is_being_made(&office));
    // It goes on sale, and is closed again with a reason for the log alone, before a seat was held.
    office.expect(BOSS, to(ConcertStatus::Scheduled), "concert");
    assert!(!is_being_made(&office));
    office.expect(BOSS, to(ConcertStatus::Closed), "concert");
    assert!(!is_being_made(&office));
    assert_eq!(concert(&office).opened_at, Some(at(DAY)));
    let mut office = prepared();
    let status_reason = Some(Some("A storm.".to_owned()));
    let with_reason = ConcertChange { status: Some(ConcertStatus::Closed), status_reason, ..ConcertChange::default() };
    office.expect(BOSS, update_concert(3, with_reason), "concert");
    assert!(!is_being_made(&office));
}

#[test]
fn the_log_names_no_opening_that_no_operator_has_set() {
    let mut office = prepared();
    let newest = |office: &SaleModel| office.model.audit.last().unwrap().detail.clone();
    assert_eq!(newest(&office)["opens_at"], serde_json::Value::Null);
    let later = ConcertChange { concert_date: Some(jiff::civil::date(2027, 3, 1)), ..ConcertChange::default() };
    office.expect(BOSS, update_concert(3, later), "concert");
    assert!(newest(&office).get("opens_at").is_none(), "{}", newest(&office));
    office.expect(BOSS, update_concert(3, opening(DAY)), "concert");
    assert_eq!(newest(&office)["opens_at"], serde_json::json!({ "from": null, "to": at(DAY) }));
}

#[test]
fn an_unknown_opening_moves_with_the_start_and_leaves_no_trace_when_it_has_passed() {
    let mut office = prepared();
    let later = |day| ConcertChange { concert_date: Some(jiff::civil::date(2027, 3, day)), ..ConcertChange::default() };
    office.run([(S, BOSS, update_concert(3, later(1)), "concert")]);
    assert!(concert(&office).has_no_opening() && concert(&office).starts_at > at(SHOW));
    // The start has come, and the date is corrected.
    office.at(concert(&office).starts_at.since(START).micros());
    office.expect(BOSS, update_concert(3, later(20)), "concert");
    assert!(concert(&office).has_no_opening());
    let opens_at = concert(&office).starts_at.since(START).micros() - DAY;
    office.expect(BOSS, update_concert(3, opening(opens_at)), "concert");
    assert_eq!(concert(&office).opened_at, None);
}

#[test]
fn a_room_of_its_own_begins_with_its_rate() {
    let mut office = prepared();
    let room = |admit_per_minute| {
        let own_room = Some(OwnRoom { max_active: 5, admit_per_minute, opening: None });
        update_concert(3, ConcertChange { own_room, ..ConcertChange::default() })
    };
    for bad in [0, -1, 1_000_001] {
        office.expect(BOSS, room(Some(bad)), "malformed");
    }
    let Ok(Outcome::Concert(moved)) = office.ask(BOSS, room(Some(60))) else { panic!("it may move") };
    assert_eq!(moved.room_id, RoomId::new(3));
    let own = office.room(moved.room_id);
    assert_eq!((own.max_active, own.admit_per_minute), (5, Some(60)));
    let detail = &office.model.audit.last().unwrap().detail;
    assert_eq!((&detail["own_room_max_active"]["to"], &detail["admit_per_minute"]["to"]), (&5.into(), &60.into()));
    office.expect(MINJI, issue(OWN), "new");
}

#[test]
fn the_order_of_the_opening_is_chosen_with_the_room_or_is_that_of_the_box_office() {
    for usual in [OpeningOrder::Draw, OpeningOrder::FirstCome] {
        for chosen in [None, Some(OpeningOrder::Draw), Some(OpeningOrder::FirstCome)] {
            let mut office = prepared();
            office.policy.opening = usual;
            let own_room = Some(OwnRoom { max_active: 5, admit_per_minute: None, opening: chosen });
            office.expect(BOSS, update_concert(3, ConcertChange { own_room, ..ConcertChange::default() }), "concert");
            let order = office.room(RoomId::new(3)).draw.opening_order();
            assert_eq!(order, chosen.unwrap_or(usual), "{usual:?}, {chosen:?}");
        }
    }
}
