//! Lanes beside a line.

use crate::support::{
    BOSS, CLOCK, DAY, HOUSE, JUNHO, MIN, MINJI, OWN, S, SORA, SaleModel, activate, advance, at, hold, issue, leave,
    reason, set_cap, set_room, token_id, update_concert, user,
};
use frontrow_domain::{
    command::{Command, ConcertChange, Erasure, LaneStep, NewBlock, NewRoom, Outcome, Proof, RoomChange, Worth},
    id::RoomId,
    line::{EndReason, Gate, LaneEntry, LaneKind, LaneShare, RoomSite, ShareScope, TokenStatus},
    user::Caller,
};

const INVITED: RoomId = OWN.lane(LaneKind::Invitation);
const ACCESS: RoomId = OWN.lane(LaneKind::Accessibility);

fn percent(percent: i64) -> LaneShare {
    LaneShare::try_from(percent).unwrap()
}

fn open(room_id: RoomId, share: i64) -> Command {
    Command::StepLane { room_id, step: LaneStep::Open { share: percent(share), reason: reason() } }
}

fn set_entry(room_id: RoomId, entry: LaneEntry) -> Command {
    Command::StepLane { room_id, step: LaneStep::Set { share: None, entry: Some(entry), reason: reason() } }
}

fn add(room_id: RoomId, guest: Caller) -> Command {
    Command::StepLane { room_id, step: LaneStep::AddGuest { user_id: user(guest) } }
}

fn remove(room_id: RoomId, guest: Caller) -> Command {
    Command::StepLane { room_id, step: LaneStep::RemoveGuest { user_id: user(guest) } }
}

fn share(waiting: &[(RoomId, i64)]) -> Command {
    Command::Share { scope: ShareScope::Line(OWN), waiting: waiting.to_vec() }
}

/// A lane for invited guests beside the line of concert 2, with Minji on its list.
fn with_lane() -> SaleModel {
    let mut office = SaleModel::new();
    office.run([
        (0, BOSS, set_cap(OWN, 10), "room"),
        (0, BOSS, open(INVITED, 20), "room"),
        (0, BOSS, add(INVITED, MINJI), "done"),
    ]);
    office
}

#[test]
fn operators_open_lanes_beside_a_line_and_leave_it_half_at_least() {
    let mut office = SaleModel::new();
    office.run([
        (0, MINJI, open(INVITED, 20), "forbidden"),
        (0, BOSS, open(OWN, 20), "not_found"),
        (0, BOSS, open(RoomId::new(77).lane(LaneKind::Invitation), 20), "not_found"),
        (0, BOSS, set_entry(INVITED, LaneEntry::Ended), "not_found"),
        (0, BOSS, add(INVITED, MINJI), "not_found"),
        (0, BOSS, open(INVITED, 20), "room"),
        (0, BOSS, open(ACCESS, 31), "malformed"),
        (0, BOSS, open(ACCESS, 30), "room"),
        (0, BOSS, open(INVITED, 21), "malformed"),
        (0, BOSS, open(INVITED, 5), "room"),
        (0, BOSS, add(INVITED, Caller::Buyer(frontrow_domain::id::UserId(uuid::Uuid::from_u128(77)))), "not_found"),
    ]);
    let lane = office.room(INVITED).lane.unwrap();
    assert_eq!(
        (lane.room, lane.kind, lane.share, lane.entry),
        (OWN, LaneKind::Invitation, percent(5), LaneEntry::Open)
    );
    let entry = office.model.audit.iter().rfind(|entry| entry.action == "lane.set").unwrap();
    assert_eq!(entry.object, "room 2");
    assert_eq!(entry.detail["share_percent"], serde_json::json!({ "from": 20, "to": 5 }));
}

#[test]
fn a_step_of_a_lane_that_takes_something_from_buyers_needs_a_reason() {
    let open =
        |share, reason: Option<&str>| LaneStep::Open { share: percent(share), reason: reason.map(str::to_owned) };
    let set = |share: Option<i64>, entry, reason: Option<&str>| LaneStep::Set {
        share: share.map(percent),
        entry,
        reason: reason.map(str::to_owned),
    };
    let (ended, reopened) = (Some(LaneEntry::Ended), Some(LaneEntry::Open));
    let reason = "The sponsor’s guests come.";
    let why = Some(reason);
    let ask = |office: &mut SaleModel, step: LaneStep, expected: &str| {
        office.expect(BOSS, Command::StepLane { room_id: INVITED, step }, expected);
    };
    let mut office = SaleModel::new();
    // Each step without a reason first, and then with one.
    for (bare, told) in [
        (open(20, None), open(20, why)),
        (open(21, None), open(21, why)),
        (open(20, None), open(20, why)),
        (set(Some(22), None, None), set(Some(22), None, why)),
        (set(Some(5), None, None), set(Some(5), None, why)),
        (set(None, ended, None), set(None, ended, why)),
        (open(6, None), open(6, why)),
        (set(Some(7), ended, None), set(Some(7), ended, why)),
    ] {
        let before = office.model.clone();
        ask(&mut office, bare, "reason_needed");
        let rows = |model: &frontrow_domain::model::Model| (model.rooms.clone(), model.audit.clone());
        assert_eq!(rows(&office.model), rows(&before), "nothing has changed");
        ask(&mut office, told, "room");
        let entry = office.model.audit.iter().rfind(|entry| entry.action == "lane.set").unwrap();
        assert_eq!(entry.detail["reason"], reason);
    }
    // What gives back, or changes nothing, needs none.
    for step in [
        set(Some(7), ended, None),
        set(None, reopened, None),
        set(None, reopened, None),
        set(Some(7), None, None),
        set(None, None, None),
        open(7, None),
    ] {
        ask(&mut office, step, "room");
    }
    ask(&mut office, set(None, ended, why), "room");
    ask(&mut office, open(7, None), "room");
    for absurd in [String::new(), "a".repeat(501)] {
        ask(&mut office, set(None, ended, Some(&absurd)), "malformed");
    }
    let by_itself = Command::StepLane { room_id: ACCESS, step: open(10, None) };
    office.expect(CLOCK, by_itself, "room");
}

#[test]
fn only_a_guest_enters_a_lane_and_has_one_place_in_it_and_its_line_together() {
    let mut office = with_lane();
    office.run([
        (0, JUNHO, issue(INVITED), "forbidden"),
        (0, MINJI, issue(INVITED), "new"),
        (0, MINJI, issue(INVITED), "existing"),
        (0, MINJI, issue(OWN), "existing"),
        (0, JUNHO, issue(OWN), "new"),
        (0, BOSS, add(INVITED, JUNHO), "done"),
        (0, BOSS, add(INVITED, JUNHO), "done"),
        (0, JUNHO, issue(INVITED), "existing"),
    ]);
    assert_eq!(office.status(token_id(OWN, 1)), TokenStatus::Waiting, "the place in the general line stays");
    office.run([
        (S, JUNHO, leave(token_id(OWN, 1)), "ended"),
        (S, JUNHO, issue(INVITED), "new"),
        (S, BOSS, remove(INVITED, JUNHO), "done"),
        (S, BOSS, remove(INVITED, JUNHO), "done"),
        (S, JUNHO, issue(INVITED), "existing"),
        (S, JUNHO, leave(token_id(INVITED, 2)), "ended"),
        (S, JUNHO, issue(INVITED), "forbidden"),
        (S, MINJI, issue(RoomId::new(1).lane(LaneKind::Invitation)), "not_found"),
    ]);
}

#[test]
fn a_token_of_a_lane_is_good_for_its_lines_concert_and_for_no_other() {
    let mut office = with_lane();
    office.run([
        (0, MINJI, issue(INVITED), "new"),
        (0, CLOCK, advance(INVITED), "offered 0, lapsed 0"),
        (0, CLOCK, share(&[(INVITED, 1)]), "done"),
        (0, CLOCK, advance(INVITED), "offered 1, lapsed 0"),
        (S, MINJI, activate(token_id(INVITED, 1)), "active"),
        (S, MINJI, hold(token_id(INVITED, 1), &[1]), "token_of_another_room"),
        (S, MINJI, hold(token_id(INVITED, 1), &[7]), "held"),
    ]);
    // A lane beside another line does not open this one.
    office.run([
        (S, BOSS, open(HOUSE.lane(LaneKind::Invitation), 50), "room"),
        (S, BOSS, add(HOUSE.lane(LaneKind::Invitation), SORA), "done"),
        (S, SORA, issue(HOUSE.lane(LaneKind::Invitation)), "new"),
        (
            S,
            CLOCK,
            Command::Share { scope: ShareScope::House, waiting: vec![(HOUSE.lane(LaneKind::Invitation), 1)] },
            "done",
        ),
        (S, CLOCK, advance(HOUSE.lane(LaneKind::Invitation)), "offered 1, lapsed 0"),
        (2 * S, SORA, activate(token_id(HOUSE.lane(LaneKind::Invitation), 1)), "active"),
        (2 * S, SORA, hold(token_id(HOUSE.lane(LaneKind::Invitation), 1), &[8]), "token_of_another_room"),
        (2 * S, SORA, hold(token_id(HOUSE.lane(LaneKind::Invitation), 1), &[1]), "held"),
    ]);
}

#[test]
fn a_lane_and_its_line_share_the_cap_and_are_never_above_it() {
    let mut office = with_lane();
    office.expect(BOSS, set_cap(OWN, 2), "room");
    assert!(office.room(OWN).allotment.unwrap() + office.room(INVITED).allotment.unwrap() <= 2);
    office.run([
        (0, JUNHO, issue(OWN), "new"),
        (0, SORA, issue(OWN), "new"),
        (0, CLOCK, share(&[(OWN, 2)]), "done"),
        (0, CLOCK, advance(OWN), "offered 2, lapsed 0"),
        (S, JUNHO, activate(token_id(OWN, 1)), "active"),
        (S, SORA, activate(token_id(OWN, 2)), "active"),
        (S, MINJI, issue(INVITED), "new"),
        (S, CLOCK, share(&[(INVITED, 1)]), "done"),
        (S, CLOCK, advance(INVITED), "offered 0, lapsed 0"),
        (2 * S, SORA, leave(token_id(OWN, 2)), "ended"),
        (2 * S, CLOCK, share(&[(INVITED, 1)]), "done"),
        (2 * S, CLOCK, advance(INVITED), "offered 1, lapsed 0"),
        (3 * S, MINJI, activate(token_id(INVITED, 1)), "active"),
    ]);
    assert_eq!((office.room(OWN).allotment, office.room(INVITED).allotment), (Some(1), Some(1)));
}

#[test]
fn a_lane_follows_its_line_and_has_no_settings_of_its_own() {
    let mut office = with_lane();
    let paused = RoomChange {
        gate: Some(Gate::Paused),
        admit_per_minute: Some(Some(60)),
        message: Some(Some("Soon.".to_owned())),
        weight: 7.try_into().ok(),
        ..RoomChange::default()
    };
    office.expect(BOSS, set_room(INVITED, paused.clone()), "malformed");
    office.expect(BOSS, set_room(OWN, paused), "room");
    let opens_at = at(DAY);
    let later =
        ConcertChange { opens_at: Some(opens_at), closes_at: Some(Some(at(2 * DAY))), ..ConcertChange::default() };
    office.expect(BOSS, update_concert(2, later), "concert");
    let (general, lane) = (office.room(OWN).clone(), office.room(INVITED).clone());
    assert_eq!((lane.gate, lane.admit_per_minute, lane.message.as_deref()), (Gate::Paused, Some(60), Some("Soon.")));
    assert_eq!((lane.opens_at, lane.closes_at, lane.weight), (Some(opens_at), Some(at(2 * DAY)), general.weight));
    let cancel = Command::CancelConcert { concert_id: 2.try_into().unwrap(), reason: "Ill.".to_owned(), basis: None };
    office.expect(MINJI, issue(INVITED), "new");
    office.run([
        (MIN, BOSS, cancel, "concert"),
        (MIN, MINJI, issue(INVITED), "concert_cancelled"),
        (MIN, CLOCK, Command::EndLine { room_id: INVITED, limit: 10 }, "offered 0, lapsed 1"),
    ]);
    assert_eq!(office.room(INVITED).closes_at, Some(at(MIN)));
    assert_eq!(office.token(token_id(INVITED, 1)).end_reason(), Some(EndReason::ConcertOver));
}

#[test]
fn a_lane_beside_the_line_of_a_site_closes_with_it() {
    let (site, lane) = (RoomId::of_site(1), RoomId::of_site(1).lane(LaneKind::Accessibility));
    let shop = RoomSite { name: "Shop".to_owned(), turn_url: "https://shop.example.com/".parse().unwrap() };
    let new = NewRoom { site: shop.clone(), max_active: 4, admit_per_minute: None, opens_at: None };
    let close = |room_id| Command::CloseRoom { room_id, basis: None, reason: reason().unwrap() };
    let mut office = SaleModel::new();
    office.run([
        (0, BOSS, Command::CreateRoom(new), "room"),
        (0, BOSS, open(lane, 25), "room"),
        (0, BOSS, add(lane, MINJI), "done"),
        (0, MINJI, issue(lane), "new"),
        (0, BOSS, add(lane, JUNHO), "done"),
        (0, JUNHO, issue(lane), "new"),
        (0, CLOCK, Command::Share { scope: ShareScope::Line(site), waiting: vec![(lane, 2)] }, "done"),
        (0, CLOCK, advance(lane), "offered 2, lapsed 0"),
        (S, MINJI, activate(token_id(lane, 1)), "active"),
        (S, MINJI, Command::IssuePass { token: token_id(lane, 1) }, "pass"),
        (S, BOSS, close(lane), "malformed"),
        (S, BOSS, close(site), "room"),
        (S, SORA, issue(lane), "room_closed"),
        (S, BOSS, open(site.lane(LaneKind::Invitation), 10), "room_closed"),
    ]);
    assert_eq!(office.room(lane).site, Some(shop));
    assert!(office.room(lane).is_closed_for_good(office.now));
}

#[test]
fn a_lane_that_has_ended_for_new_places_keeps_those_in_it() {
    let mut office = with_lane();
    office.run([
        (0, MINJI, issue(INVITED), "new"),
        (0, BOSS, add(INVITED, SORA), "done"),
        (S, BOSS, set_entry(INVITED, LaneEntry::Ended), "room"),
        (S, SORA, issue(INVITED), "room_closed"),
        (S, MINJI, issue(INVITED), "existing"),
        (S, CLOCK, share(&[(INVITED, 1)]), "done"),
        (S, CLOCK, advance(INVITED), "offered 1, lapsed 0"),
        (2 * S, BOSS, set_entry(INVITED, LaneEntry::Open), "room"),
        (2 * S, SORA, issue(INVITED), "new"),
    ]);
}

#[test]
fn a_block_from_a_line_is_one_from_its_lanes() {
    let mut office = with_lane();
    let block = |room_id| {
        Command::BlockFromLine(NewBlock { room_id, user_id: user(MINJI), reason: "A program.".to_owned(), until: None })
    };
    let unblock = |room_id| Command::UnblockFromLine { room_id, user_id: user(MINJI) };
    office.run([
        (0, MINJI, issue(INVITED), "new"),
        (0, BOSS, block(OWN), "done"),
        (0, MINJI, issue(INVITED), "line_blocked"),
        (0, MINJI, issue(OWN), "line_blocked"),
        (0, BOSS, unblock(INVITED), "done"),
        (0, MINJI, issue(INVITED), "new"),
        (0, BOSS, block(INVITED), "done"),
        (0, MINJI, issue(OWN), "line_blocked"),
    ]);
    assert_eq!(office.token(token_id(INVITED, 1)).end_reason(), Some(EndReason::Removed));
    assert_eq!(office.model.blocks.keys().map(|(_, room)| *room).collect::<Vec<_>>(), [OWN]);
    let removal = Command::RemoveFromLine { room_id: OWN, user_id: user(MINJI), reason: "Asked for it.".to_owned() };
    office.run([(S, BOSS, unblock(OWN), "done"), (S, MINJI, issue(INVITED), "new"), (S, BOSS, removal, "done")]);
    assert_eq!(office.token(token_id(INVITED, 3)).end_reason(), Some(EndReason::Removed));
}

#[test]
fn an_erased_account_is_on_no_list() {
    let mut office = with_lane();
    let erasure = Erasure {
        user_id: user(MINJI),
        proof: Proof::Unneeded,
        idle_since: None,
        worth: Worth::Kept,
        tokens: Vec::new(),
        reservations: Vec::new(),
    };
    office.expect(CLOCK, Command::EraseUser(erasure), "user");
    assert!(office.model.guests.is_empty());
    office.expect(BOSS, add(INVITED, MINJI), "not_found");
}

#[test]
fn a_lane_of_a_room_under_a_budget_has_its_part_of_the_rooms_share() {
    let mut office = with_lane();
    let budget = RoomChange { house_budget: Some(Some(5)), ..RoomChange::default() };
    office.expect(BOSS, set_room(HOUSE, budget), "room");
    office.run([
        (0, MINJI, issue(INVITED), "new"),
        (0, JUNHO, issue(OWN), "new"),
        (0, CLOCK, share(&[(INVITED, 1)]), "done"),
    ]);
    assert_eq!(office.room(INVITED).allotment, Some(0), "with a budget all rooms share together");
    let waiting = vec![(INVITED, 9), (OWN, 9)];
    office.expect(CLOCK, Command::Share { scope: ShareScope::House, waiting }, "done");
    assert_eq!((office.room(OWN).allotment, office.room(INVITED).allotment), (Some(4), Some(1)));
    let Ok(Outcome::Room(lane)) = office.ask(BOSS, open(ACCESS, 10)) else { panic!("it is opened") };
    assert_eq!(lane.allotment, Some(0));
}
