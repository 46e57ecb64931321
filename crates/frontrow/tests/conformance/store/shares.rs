//! The budget of the house and the shares of rooms, as every store keeps them.

use frontrow_domain::{
    command::{Command, NewConcert, Outcome, RoomChange},
    id::{RoomId, TokenId, UserId},
    line::{RoomWeight, ShareScope, TokenStatus},
    user::Caller,
};
use frontrow_testkit::fixture::{Fixture, new_concert};

const HOUSE: RoomId = RoomId::HOUSE;

async fn set(office: &Fixture, room_id: RoomId, change: RoomChange) {
    office.ask(Caller::System, Command::SetRoom { room_id, change, basis: None, reason: None }).await.unwrap();
}

async fn set_budget(office: &Fixture, budget: Option<i64>) {
    set(office, HOUSE, RoomChange { house_budget: Some(budget), ..RoomChange::default() }).await;
}

async fn share(office: &Fixture, waiting: &[(RoomId, i64)]) {
    let command = Command::Share { scope: ShareScope::House, waiting: waiting.to_vec() };
    office.ask(Caller::System, command).await.unwrap();
}

async fn allotment(office: &Fixture, room: RoomId) -> Option<i64> {
    office.store.line(room).await.unwrap().unwrap().room.allotment
}

async fn own_room(office: &Fixture, max_active: i64) -> RoomId {
    office.concert_like(NewConcert { own_room_max_active: Some(max_active), ..new_concert() }).await.room_id
}

async fn join(office: &Fixture, room: RoomId, count: usize) -> Vec<(UserId, TokenId)> {
    let mut joined = Vec::new();
    for _ in 0..count {
        let user = office.register().await;
        joined.push((user, office.join(user, room).await.id));
    }
    joined
}

/// Claims the turns of these tokens. Returns how many are active.
async fn claim(office: &Fixture, tokens: &[(UserId, TokenId)]) -> usize {
    let mut active = 0;
    for (user, token) in tokens {
        let claimed = office.ask(Caller::Buyer(*user), Command::ActivateToken { token: *token }).await;
        let is_active = matches!(claimed, Ok(Outcome::Token(token)) if token.status() == TokenStatus::Active);
        active += usize::from(is_active);
    }
    active
}

pub(super) async fn a_budget_is_shared_between_the_rooms_and_each_obeys_its_own_row(office: &Fixture) {
    let (hot, small) = (own_room(office, 50).await, own_room(office, 50).await);
    let crowd = join(office, hot, 8).await;
    set_budget(office, Some(4)).await;
    office.advance_line(hot, 100).await;
    assert_eq!((allotment(office, hot).await, claim(office, &crowd).await), (Some(0), 0), "it has no share yet");
    share(office, &[(hot, 8)]).await;
    office.advance_line(hot, 100).await;
    assert_eq!((allotment(office, hot).await, claim(office, &crowd).await), (Some(4), 4));
    // Whoever is in stays, and the other room gets what becomes free.
    let guests = join(office, small, 3).await;
    share(office, &[(hot, 4), (small, 3)]).await;
    assert_eq!((allotment(office, hot).await, allotment(office, small).await), (Some(2), Some(0)));
    office.advance_line(small, 100).await;
    for (user, token) in &crowd[..3] {
        office.ask(Caller::Buyer(*user), Command::LeaveQueue { token: *token }).await.unwrap();
    }
    // Counts that a batch without the room's row has changed count, too. The instance that shares need not know of all.
    share(office, &[(small, 3)]).await;
    assert_eq!((allotment(office, hot).await, allotment(office, small).await), (Some(1), Some(3)));
    office.advance_line(small, 100).await;
    assert_eq!(claim(office, &guests).await, 3);
    // A budget that is gone leaves nothing.
    set_budget(office, None).await;
    share(office, &[(hot, 0), (small, 0)]).await;
    assert_eq!((allotment(office, hot).await, allotment(office, small).await), (None, None));
}

pub(super) async fn what_a_room_shares_is_read_back(office: &Fixture) {
    let weight = RoomWeight::try_from(7).unwrap();
    let room = own_room(office, 5).await;
    set(office, room, RoomChange { weight: Some(weight), ..RoomChange::default() }).await;
    set_budget(office, Some(3)).await;
    office.advance(5);
    share(office, &[(room, 1)]).await;
    let rows = office.store.rooms().await.unwrap();
    let own = rows.iter().find(|row| row.room_id == room).unwrap();
    assert_eq!((own.weight, own.allotment, own.max_active_tokens()), (weight, Some(3), 3));
    assert!(own.allotted_at > own.updated_at);
    assert_eq!(rows[0].house_budget, Some(3));
    // Nothing is written if nothing changes.
    let command = Command::Share { scope: ShareScope::House, waiting: vec![(room, 1)] };
    let (_, changes) = office.batch(vec![frontrow_testkit::fixture::request(Caller::System, command)]).await;
    assert!(changes.rooms.is_empty());
}
