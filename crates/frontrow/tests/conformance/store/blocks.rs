//! Blocks from lines, as every store keeps them.

use frontrow_domain::{
    command::{Command, Erasure, NewBlock, Proof, Worth},
    id::{RoomId, UserId},
    line::{EndReason, LineBlock},
    refusal::Refusal,
    retention::Leftover,
    time::{Span, Time},
    user::{Caller, Role},
};
use frontrow_testkit::{
    START,
    fixture::{Fixture, after, first},
};

const HOUSE: RoomId = RoomId::HOUSE;

fn join() -> Command {
    Command::IssueToken { room_id: HOUSE, concert_id: None }
}

async fn operator(office: &Fixture) -> UserId {
    let user_id = office.register().await;
    office.ask(Caller::System, Command::SetRole { user_id, role: Role::Operator }).await.unwrap();
    user_id
}

fn block(user_id: UserId, until: Option<Time>) -> NewBlock {
    NewBlock { room_id: HOUSE, user_id, reason: "A program joined.".to_owned(), until }
}

pub(super) async fn a_block_is_read_back_ends_the_place_and_refuses_another(office: &Fixture) {
    let (boss, user) = (operator(office).await, office.register().await);
    let token = office.join(user, HOUSE).await;
    assert_eq!(office.store.line_block(user, HOUSE).await.unwrap(), None);
    let until = START.plus(Span::from_secs(60));
    office.ask(Caller::Operator(boss), Command::BlockFromLine(block(user, Some(until)))).await.unwrap();
    let mut expected = LineBlock {
        user_id: user,
        room_id: HOUSE,
        reason: "A program joined.".to_owned(),
        blocked_by: Some(boss),
        since: START,
        until: Some(until),
    };
    assert_eq!(office.store.line_block(user, HOUSE).await.unwrap(), Some(expected.clone()));
    let ended = office.store.token(token.id).await.unwrap().unwrap();
    assert_eq!(ended.end_reason(), Some(EndReason::Removed));
    let refused = Err(Refusal::LineBlocked { until: Some(until) });
    assert_eq!(office.ask(Caller::Buyer(user), join()).await, refused);
    // The next block replaces it.
    office.advance(1);
    office.ask(Caller::System, Command::BlockFromLine(block(user, None))).await.unwrap();
    expected = LineBlock { blocked_by: None, since: START.plus(Span::from_secs(1)), until: None, ..expected };
    assert_eq!(office.store.line_blocks_of(user, 10).await.unwrap(), [expected]);
    assert_eq!(office.ask(Caller::Buyer(user), join()).await, Err(Refusal::LineBlocked { until: None }));
    let lift = Command::UnblockFromLine { room_id: HOUSE, user_id: user };
    office.ask(Caller::Operator(boss), lift).await.unwrap();
    assert_eq!(office.store.line_blocks_of(user, 10).await.unwrap(), []);
    let removed = office.join(user, HOUSE).await;
    let reason = "Asked for it.".to_owned();
    let removal = Command::RemoveFromLine { room_id: HOUSE, user_id: user, reason };
    office.ask(Caller::Operator(boss), removal).await.unwrap();
    assert_eq!(office.store.token(removed.id).await.unwrap().unwrap().end_reason(), Some(EndReason::Removed));
    office.join(user, HOUSE).await;
}

pub(super) async fn the_blocks_of_a_room_come_in_pages_and_go_after_their_end_and_with_their_users(office: &Fixture) {
    let mut users = Vec::new();
    for seconds in [10, 20, 30] {
        let user = office.register().await;
        let until = START.plus(Span::from_secs(seconds));
        office.ask(Caller::System, Command::BlockFromLine(block(user, Some(until)))).await.unwrap();
        users.push(user);
    }
    users.sort_unstable();
    let page = async |page| {
        let blocks = office.store.line_blocks(HOUSE, page).await.unwrap();
        blocks.iter().map(|block| block.user_id).collect::<Vec<_>>()
    };
    assert_eq!(page(first(2)).await, users[..2]);
    assert_eq!(page(after(users[1], 2)).await, users[2..]);
    assert_eq!(office.store.line_blocks(RoomId::new(77), first(2)).await.unwrap(), []);
    let ended = START.plus(Span::from_secs(10));
    assert_eq!(office.store.prune(Leftover::Block, ended, 10).await.unwrap(), 0);
    assert_eq!(office.store.prune(Leftover::Block, ended.plus(Span::from_micros(1)), 10).await.unwrap(), 1);
    let left = page(first(10)).await;
    assert_eq!(left.len(), 2);
    let erasure = Erasure {
        user_id: left[0],
        proof: Proof::Unneeded,
        idle_since: None,
        worth: Worth::Abandoned,
        tokens: Vec::new(),
        reservations: Vec::new(),
    };
    office.ask(Caller::System, Command::EraseUser(erasure)).await.unwrap();
    assert_eq!(page(first(10)).await, left[1..]);
}
