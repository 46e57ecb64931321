//! Numbers that were drawn and have no row: a batch that has not committed yet, or none ever.

use crate::crowd::Two;
use frontrow_domain::id::{Position, RoomId};
use frontrow_line::{
    Peers, Rebuild,
    redis::{RedisPeers, RedisSettings},
};
use frontrow_testkit::servers::shared_redis;
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
    let in_flight = async || office.one.store.line(RoomId::HOUSE).await.unwrap().unwrap().in_flight;
    assert_eq!(in_flight().await, [Position(2)]);
    office.one.advance(9);
    assert_eq!(in_flight().await, [Position(2)]);
    office.one.advance(2);
    assert_eq!(in_flight().await, []);
    assert_eq!(office.one.store.live_line(RoomId::HOUSE).await.unwrap().unwrap().in_flight, []);
}

/// An instance that looks often, and knows soon what no batch can bring any more.
async fn lines(office: &Two) -> Arc<RedisPeers> {
    let mut settings = RedisSettings::new(vec![shared_redis()]);
    settings.gap_grace = Duration::from_millis(300);
    settings.refresh_every = Duration::from_millis(50);
    settings.refresh_down_every = Duration::from_millis(50);
    let (notices, _) = mpsc::channel(8);
    let store = Arc::clone(&office.one.store);
    let id = store.installation_id().await.unwrap();
    let clock = office.one.clock.clone();
    RedisPeers::start(settings, store, id, Uuid::from_u128(1), clock, notices).await.unwrap()
}

/// Waits until so many are in front of a place.
async fn wait_for_ahead(queue: &RedisPeers, position: i64, ahead: i64) {
    for _ in 0..400 {
        if queue.lines().view(RoomId::HOUSE).unwrap().ahead(Position(position)) == ahead {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{:?}", queue.lines().view(RoomId::HOUSE).unwrap().ahead(Position(position)));
}

#[tokio::test]
async fn an_unassigned_position_is_ahead_only_as_long_as_a_batch_may_assign_it() {
    let office = two_and_a_gap().await;
    let queue = lines(&office).await;
    queue.rebuild(office.one.store.line(RoomId::HOUSE).await.unwrap().unwrap(), Rebuild::Replace).await;
    assert_eq!(queue.lines().view(RoomId::HOUSE).unwrap().ahead(Position(3)), 2, "who may still come is in front");
    // As when the time that a batch may take has passed: no row is young any more.
    office.one.advance(11);
    wait_for_ahead(&queue, 3, 1).await;
}

#[tokio::test]
async fn the_numbers_of_an_instance_that_died_with_them_are_taken_out_of_the_line() {
    let office = two_and_a_gap().await;
    let queue = lines(&office).await;
    office.one.advance(11);
    queue.rebuild(office.one.store.line(RoomId::HOUSE).await.unwrap().unwrap(), Rebuild::Replace).await;
    assert_eq!(queue.lines().view(RoomId::HOUSE).unwrap().ahead(Position(3)), 1);
    for number in 4..=6 {
        assert_eq!(office.number("SELECT nextval('room_position_0')").await, number);
    }
    let user = office.one.register().await;
    assert_eq!(office.other.join(user, RoomId::HOUSE).await.id.position, Position(7));
    wait_for_ahead(&queue, 7, 5).await;
    wait_for_ahead(&queue, 7, 2).await;
}
