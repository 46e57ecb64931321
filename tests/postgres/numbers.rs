//! Numbers that were drawn and have no row: a batch that has not committed yet, or nobody's for ever.

use crate::crowd::Two;
use frontrow::queue::{
    Queue,
    redis::{RedisQueue, Settings},
};
use frontrow_domain::id::{Position, RoomId};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Two in line, and a number drawn between them.
async fn two_and_a_gap() -> Two {
    let office = Two::open().await;
    let users = [office.one.register().await, office.one.register().await];
    office.one.join(users[0], RoomId::HOUSE).await;
    assert_eq!(office.number("SELECT nextval('room_position_0')").await, 2);
    assert_eq!(office.other.join(users[1], RoomId::HOUSE).await.id.position, Position(3));
    office
}

#[tokio::test]
async fn a_number_without_a_row_is_unsettled_as_long_as_a_batch_may_bring_it() {
    let office = two_and_a_gap().await;
    let unsettled = async || office.one.store.line(RoomId::HOUSE).await.unwrap().unwrap().unsettled;
    assert_eq!(unsettled().await, [Position(2)]);
    office.one.advance(9);
    assert_eq!(unsettled().await, [Position(2)]);
    office.one.advance(2);
    assert_eq!(unsettled().await, []);
    assert_eq!(office.one.store.glance(RoomId::HOUSE).await.unwrap().unwrap().unsettled, []);
}

#[tokio::test]
async fn no_place_rises_when_the_row_of_a_drawn_number_comes_after_the_laying() {
    let office = two_and_a_gap().await;
    let mut settings = Settings::new(vec![std::env::var("FRONTROW_TEST_REDIS").unwrap()]);
    settings.unsettled_for = Duration::from_millis(100);
    let (notices, _heard) = mpsc::channel(8);
    let store = Arc::clone(&office.one.store);
    let instance = Uuid::from_u128(1);
    let queue = RedisQueue::start(
        settings,
        store,
        office.one.store.office().await.unwrap(),
        instance,
        office.one.clock.clone(),
        notices,
    )
    .await
    .unwrap();
    queue.lay(office.one.store.line(RoomId::HOUSE).await.unwrap().unwrap()).await.unwrap();
    let ahead = || queue.view(RoomId::HOUSE).unwrap().place(Position(3)).ahead;
    assert_eq!(ahead(), 2, "who may still come is in front");
    for _ in 0..100 {
        if ahead() == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the number is nobody's, and still counts");
}
