//! Users whom operators remove from a line or keep out of it.

use crate::support::{
    BOSS, CLOCK, HOUSE, JUNHO, MIN, MINJI, OWN, S, SORA, SaleModel, VIEWER, activate, advance, at, hold, issue, pay,
    set_cap, token_id, user, wake,
};
use frontrow_domain::{
    command::{Command, Erasure, NewBlock, Proof, Worth},
    id::RoomId,
    line::{EndReason, TokenStatus},
    policy::STATUS_REASON_LEN_MAX,
    refusal::Refusal,
    retention::Leftover,
    user::Caller,
};

fn remove(whose: Caller, room_id: RoomId) -> Command {
    Command::RemoveFromLine { room_id, user_id: user(whose), reason: "A program joined.".to_owned() }
}

/// A block until so many microseconds after the start; none for until it is lifted.
fn keep_out(whose: Caller, room_id: RoomId, until: Option<i64>) -> Command {
    let reason = "A program joined.".to_owned();
    Command::BlockFromLine(NewBlock { room_id, user_id: user(whose), reason, until: until.map(at) })
}

fn lift(whose: Caller, room_id: RoomId) -> Command {
    Command::UnblockFromLine { room_id, user_id: user(whose) }
}

fn acts(office: &SaleModel) -> Vec<&str> {
    office.model.audit.iter().map(|entry| entry.action.as_str()).filter(|act| act.starts_with("line.")).collect()
}

#[test]
fn keeping_users_out_takes_the_role_a_room_a_user_and_a_reason() {
    let acts = [remove(MINJI, HOUSE), keep_out(MINJI, HOUSE, None), lift(MINJI, HOUSE)];
    let mut office = SaleModel::new();
    for command in &acts {
        for caller in [MINJI, JUNHO, VIEWER, Caller::Service, Caller::Anonymous] {
            office.expect(caller, command.clone(), "forbidden");
        }
    }
    for room in [RoomId::new(1), RoomId::new(99)] {
        for command in [remove(MINJI, room), keep_out(MINJI, room, None), lift(MINJI, room)] {
            office.expect(BOSS, command, "not_found");
        }
    }
    let stranger = Caller::Buyer(frontrow_domain::id::UserId(uuid::Uuid::from_u128(99)));
    for command in [remove(stranger, HOUSE), keep_out(stranger, HOUSE, None), lift(stranger, HOUSE)] {
        office.expect(BOSS, command, "not_found");
    }
    for reason in [String::new(), "x".repeat(STATUS_REASON_LEN_MAX + 1)] {
        let (room_id, user_id) = (HOUSE, user(MINJI));
        office.expect(BOSS, Command::RemoveFromLine { room_id, user_id, reason: reason.clone() }, "malformed");
        let new = NewBlock { room_id, user_id, reason, until: None };
        office.expect(BOSS, Command::BlockFromLine(new), "malformed");
    }
    office.run([(S, BOSS, keep_out(MINJI, HOUSE, Some(S)), "malformed"), (S, MINJI, issue(HOUSE), "new")]);
}

#[test]
fn a_removed_user_loses_the_place_once_and_may_join_at_the_end() {
    let mut office = SaleModel::new();
    office.run([
        (0, MINJI, issue(HOUSE), "new"),
        (0, MINJI, issue(OWN), "new"),
        (0, JUNHO, issue(HOUSE), "new"),
        (S, BOSS, remove(MINJI, HOUSE), "done"),
        (2 * S, BOSS, remove(MINJI, HOUSE), "done"),
        (2 * S, MINJI, issue(HOUSE), "new"),
    ]);
    let removed = office.token(token_id(HOUSE, 1));
    assert_eq!((removed.end_reason(), removed.expired_at()), (Some(EndReason::Removed), Some(at(S))));
    assert_eq!(office.status(token_id(HOUSE, 3)), TokenStatus::Waiting, "at the end of the line");
    assert_eq!(office.status(token_id(OWN, 1)), TokenStatus::Waiting, "another room is another line");
    assert_eq!(acts(&office), ["line.remove"], "a repeat changes nothing");
    let entry = office.model.audit.iter().find(|entry| entry.action == "line.remove").unwrap();
    assert_eq!(entry.detail["reason"], "A program joined.");
    assert_eq!((&entry.detail["room_id"], &entry.detail["token"]), (&serde_json::json!(0), &serde_json::json!("0-1")));
}

#[test]
fn a_removed_user_who_was_in_can_hold_and_pay_no_more_and_the_place_is_free() {
    let mut office = SaleModel::new();
    office.run([
        (0, BOSS, set_cap(HOUSE, 1), "room"),
        (0, MINJI, issue(HOUSE), "new"),
        (0, JUNHO, issue(HOUSE), "new"),
        (0, CLOCK, advance(HOUSE), "offered 1, lapsed 0"),
        (0, MINJI, activate(token_id(HOUSE, 1)), "active"),
        (S, MINJI, hold(token_id(HOUSE, 1), &[1]), "held"),
        (2 * S, BOSS, remove(MINJI, HOUSE), "done"),
        (2 * S, MINJI, hold(token_id(HOUSE, 1), &[2]), "token_ended"),
        (2 * S, MINJI, pay(token_id(HOUSE, 1), &[1]), "token_ended"),
        (2 * S, MINJI, wake(token_id(HOUSE, 1)), "ended"),
        (2 * S, CLOCK, advance(HOUSE), "offered 1, lapsed 0"),
        (2 * S, JUNHO, activate(token_id(HOUSE, 2)), "active"),
    ]);
}

#[test]
fn a_blocked_user_is_refused_until_the_end_of_the_block() {
    let mut office = SaleModel::new();
    office.run([
        (0, MINJI, issue(HOUSE), "new"),
        (S, BOSS, keep_out(MINJI, HOUSE, Some(MIN)), "done"),
        (S, BOSS, keep_out(MINJI, HOUSE, Some(MIN)), "done"),
        (S, MINJI, issue(HOUSE), "line_blocked"),
        (S, MINJI, issue(OWN), "new"),
        (S, JUNHO, issue(HOUSE), "new"),
        (MIN - 1, MINJI, issue(HOUSE), "line_blocked"),
        (MIN, MINJI, issue(HOUSE), "new"),
    ]);
    assert_eq!(office.token(token_id(HOUSE, 1)).end_reason(), Some(EndReason::Removed));
    assert_eq!(acts(&office), ["line.block"], "a repeat changes nothing");
    office.at(MIN + S);
    office.expect(BOSS, keep_out(MINJI, HOUSE, None), "done");
    assert_eq!(office.ask(MINJI, issue(HOUSE)), Err(Refusal::LineBlocked { until: None }), "the reason is not said");
    assert_eq!(acts(&office).len(), 2);
}

#[test]
fn a_lifted_block_lets_its_user_join_and_a_new_one_replaces_the_old() {
    let mut office = SaleModel::new();
    office.run([
        (0, BOSS, keep_out(SORA, HOUSE, None), "done"),
        (0, BOSS, keep_out(SORA, HOUSE, Some(MIN)), "done"),
        (S, SORA, issue(HOUSE), "line_blocked"),
        (S, BOSS, lift(SORA, HOUSE), "done"),
        (S, BOSS, lift(SORA, HOUSE), "done"),
        (S, SORA, issue(HOUSE), "new"),
    ]);
    assert_eq!(acts(&office), ["line.block", "line.block", "line.unblock"]);
    assert!(office.model.blocks.is_empty());
    // In one batch, each act sees the one before.
    let batch = [
        (BOSS, keep_out(SORA, HOUSE, None)),
        (SORA, issue(HOUSE)),
        (BOSS, lift(SORA, HOUSE)),
        (SORA, issue(HOUSE)),
        (BOSS, keep_out(SORA, HOUSE, None)),
    ];
    assert_eq!(office.batch(&batch), ["done", "line_blocked", "done", "new", "done"]);
    assert_eq!(office.model.blocks.len(), 1);
}

#[test]
fn blocks_go_with_the_account_and_some_time_after_their_end() {
    let mut office = SaleModel::new();
    office.run([
        (0, BOSS, keep_out(MINJI, HOUSE, Some(MIN)), "done"),
        (0, BOSS, keep_out(JUNHO, OWN, None), "done"),
        (0, BOSS, keep_out(JUNHO, HOUSE, None), "done"),
    ]);
    assert_eq!(office.model.forget(Leftover::Block, at(MIN), 10), 0);
    assert_eq!(office.model.forget(Leftover::Block, at(MIN + 1), 10), 1);
    let erasure = Erasure {
        user_id: user(JUNHO),
        proof: Proof::Unneeded,
        idle_since: None,
        worth: Worth::Abandoned,
        tokens: Vec::new(),
        reservations: Vec::new(),
    };
    office.ask(CLOCK, Command::EraseUser(erasure)).unwrap();
    assert!(office.model.blocks.is_empty(), "{:?}", office.model.blocks);
    office.expect(BOSS, keep_out(JUNHO, HOUSE, None), "not_found");
}
