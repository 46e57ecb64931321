//! Rooms without a concert, in front of other sites, and the passes of their visitors.

use crate::support::{
    BOSS, CLOCK, HOUSE, JUNHO, MIN, MINJI, OWN, S, SORA, SaleModel, activate, advance, at, hold, issue, leave, token_id,
};
use frontrow_domain::{
    command::{Command, NewRoom, Outcome, RoomChange},
    id::{CONCERTS_MAX, RoomId},
    line::{EndReason, PASS_LIFE, RoomSite, TokenStatus},
    policy::{ADMIT_PER_MINUTE_MAX, MAX_ACTIVE_MAX},
    refusal::Refusal,
    user::Caller,
};

const SITE: RoomId = RoomId::of_site(1);

fn new_room(name: &str, max_active: i64) -> NewRoom {
    let site = RoomSite { name: name.to_owned(), turn_url: "https://shop.example.com/".parse().unwrap() };
    NewRoom { site, max_active, admit_per_minute: None, opens_at: None }
}

fn create(new: NewRoom) -> Command {
    Command::CreateRoom(new)
}

fn close(room_id: RoomId) -> Command {
    Command::CloseRoom { room_id, basis: None, reason: "The sale is over.".to_owned() }
}

fn change(room_id: RoomId, change: RoomChange) -> Command {
    Command::SetRoom { room_id, change, basis: None, reason: None }
}

fn pass(room: RoomId, position: i64) -> Command {
    Command::IssuePass { token: token_id(room, position) }
}

#[test]
fn a_room_without_a_concert_has_a_number_that_no_concert_gets() {
    let mut office = SaleModel::new();
    office.expect(BOSS, create(new_room("Shop", 1)), "room");
    office.expect(BOSS, create(new_room("Other", 1)), "room");
    assert_eq!((SITE.get(), SITE.concert()), (CONCERTS_MAX + 1, None));
    assert_eq!(office.room(RoomId::of_site(2)).site.as_ref().unwrap().name, "Other");
    assert_eq!(office.model.audit.last().unwrap().action, "room.create");
    assert_eq!(RoomId::new(CONCERTS_MAX).concert().map(frontrow_domain::id::ConcertId::get), Some(CONCERTS_MAX));
}

#[test]
fn a_room_is_opened_and_closed_by_operators_within_bounds() {
    let mut office = SaleModel::new();
    office.expect(MINJI, create(new_room("Shop", 1)), "forbidden");
    let long = "a".repeat(101);
    for name in ["", &long] {
        office.expect(BOSS, create(new_room(name, 1)), "malformed");
    }
    for max_active in [-1, MAX_ACTIVE_MAX + 1] {
        office.expect(BOSS, create(new_room("Shop", max_active)), "malformed");
    }
    for rate in [0, ADMIT_PER_MINUTE_MAX + 1] {
        office.expect(BOSS, create(NewRoom { admit_per_minute: Some(rate), ..new_room("Shop", 1) }), "malformed");
    }
    office.expect(BOSS, create(new_room("Shop", 1)), "room");
    office.expect(MINJI, close(SITE), "forbidden");
    office.expect(BOSS, close(HOUSE), "malformed");
    office.expect(BOSS, close(OWN), "malformed");
    office.expect(BOSS, close(RoomId::of_site(9)), "not_found");
    let seen = Some(at(-1));
    let stale = Command::CloseRoom { room_id: SITE, basis: seen, reason: "The sale is over.".to_owned() };
    office.expect(BOSS, stale, "changed_meanwhile");
    let named = |name: &str| RoomChange { name: Some(name.to_owned()), ..RoomChange::default() };
    office.expect(BOSS, change(HOUSE, named("House")), "malformed");
    office.expect(BOSS, change(SITE, named("")), "malformed");
    office.expect(BOSS, change(SITE, named("Renamed")), "room");
    assert_eq!(office.room(SITE).site.as_ref().unwrap().name, "Renamed");
}

#[test]
fn a_closed_room_issues_no_token_and_ends_waiting_tokens_but_not_active_ones() {
    let end = || Command::EndClosedLine { room_id: SITE, limit: 10 };
    let mut office = SaleModel::new();
    office.run([
        (0, BOSS, create(new_room("Shop", 1)), "room"),
        (0, MINJI, issue(SITE), "new"),
        (0, JUNHO, issue(SITE), "new"),
        (0, CLOCK, advance(SITE), "offered 1, lapsed 0"),
        (S, MINJI, activate(token_id(SITE, 1)), "active"),
        (S, CLOCK, end(), "offered 0, lapsed 0"),
        (S, JUNHO, end(), "forbidden"),
        (2 * S, BOSS, close(SITE), "room"),
        (3 * S, BOSS, close(SITE), "room"),
        (3 * S, SORA, issue(SITE), "room_closed"),
        (3 * S, JUNHO, issue(SITE), "room_closed"),
        (3 * S, CLOCK, advance(SITE), "offered 0, lapsed 0"),
        (3 * S, CLOCK, end(), "offered 0, lapsed 1"),
        (3 * S, MINJI, pass(SITE, 1), "pass"),
        (3 * S, MINJI, leave(token_id(SITE, 1)), "ended"),
    ]);
    assert_eq!(office.token(token_id(SITE, 2)).end_reason(), Some(EndReason::RoomClosed));
    assert_eq!(office.room(SITE).closes_at, Some(at(2 * S)), "it is closed once");
}

#[test]
fn the_line_of_a_room_rests_until_it_opens() {
    let opens = 30 * MIN;
    let mut office = SaleModel::new();
    office.run([
        (0, BOSS, create(NewRoom { opens_at: Some(at(opens)), ..new_room("Shop", 1) }), "room"),
        (0, MINJI, issue(SITE), "new"),
        (opens - 6 * S, CLOCK, advance(SITE), "offered 0, lapsed 0"),
        (opens, CLOCK, advance(SITE), "offered 1, lapsed 0"),
    ]);
}

#[test]
fn only_the_user_of_an_active_token_gets_a_pass_and_the_token_lives_as_long() {
    let mut office = SaleModel::new();
    office.run([
        (0, MINJI, issue(HOUSE), "new"),
        (0, MINJI, pass(HOUSE, 1), "token_waiting"),
        (0, CLOCK, advance(HOUSE), "offered 1, lapsed 0"),
        (0, MINJI, pass(HOUSE, 1), "token_not_activated"),
        (S, MINJI, activate(token_id(HOUSE, 1)), "active"),
        (S, JUNHO, pass(HOUSE, 1), "not_found"),
        (S, Caller::Anonymous, pass(HOUSE, 1), "not_found"),
        (S, MINJI, pass(HOUSE, 2), "not_found"),
    ]);
    let decision = office.ask(MINJI, pass(HOUSE, 1));
    let Ok(Outcome::Pass(pass_now)) = decision else { panic!("{decision:?}") };
    assert_eq!((pass_now.issued_at, pass_now.until), (at(S), at(S).plus(PASS_LIFE)));
    assert_eq!(office.token(token_id(HOUSE, 1)).deadline(), Some(pass_now.until));
    // Longer than the token would live without a sign of its user.
    let late = S + PASS_LIFE.micros() - 1;
    office.run([
        (late, MINJI, pass(HOUSE, 1), "pass"),
        (late, MINJI, hold(token_id(HOUSE, 1), &[1]), "held"),
        (late, MINJI, leave(token_id(HOUSE, 1)), "ended"),
    ]);
    assert_eq!(office.ask(MINJI, pass(HOUSE, 1)), Err(Refusal::TokenEnded));
    assert_eq!(office.status(token_id(HOUSE, 1)), TokenStatus::Ended);
}
