//! An instance that starts goes on with what the leader of a line has measured.

use super::instance;
use frontrow_domain::{
    command::{Command, RoomChange},
    id::RoomId,
};
use frontrow_service::testing;
use frontrow_testkit::{Client, Server, eventually, servers::postgres::TestDatabase};
use serde_json::Value;

const HOUSE: RoomId = RoomId::HOUSE;

async fn told(buyer: &Client, token: &str) -> Value {
    buyer.position(token).await["estimated_wait"].clone()
}

/// Keeps the lines that an instance leads, as it does every ten seconds.
async fn keep(server: &Server) -> usize {
    let office = &server.app().office;
    let record = testing::peers(office).line_record(HOUSE, office.now(), office.policy());
    let records: Vec<_> = record.into_iter().collect();
    let count = records.len();
    testing::store(office).keep_line_records(records).await.unwrap();
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_instance_knows_the_pace_of_a_line_that_others_have_measured() {
    // Given a room of one place in which a visit has ended, and another goes on.
    let database = TestDatabase::new().await;
    let one = instance(&database).await;
    let change = RoomChange { max_active: Some(1), ..RoomChange::default() };
    one.command(Command::SetRoom { room_id: HOUSE, change, basis: None, reason: None }).await;
    let (first, second, third) = (one.buyer("first").await, one.buyer("second").await, one.buyer("third").await);
    let visited = first.enter(None).await;
    second.join(None).await;
    let token = third.join(None).await["token"].as_str().unwrap().to_owned();
    assert_eq!(told(&third, &token).await["reason"], "measuring");
    assert_eq!(first.delete(&format!("/queue/tokens/{visited}")).await.status, 204);
    second.enter(None).await;
    let known = told(&third, &token).await;
    assert_eq!(known["known"], true, "{known}");
    eventually("the leader keeps the line", async || (keep(&one).await == 1).then_some(())).await;
    // When another instance starts beside it, then it tells a wait at once.
    let two = instance(&database).await;
    let beside = told(&third.at(two.address), &token).await;
    assert_eq!(beside["known"], true, "{beside}");
    // When both stop and another starts, then so does that one: the last leader has kept the line.
    database.client().await.batch_execute("DELETE FROM line_record").await.unwrap();
    two.stop().await;
    one.stop().await;
    let three = instance(&database).await;
    let later = told(&third.at(three.address), &token).await;
    assert_eq!(later["known"], true, "{later}");
    three.stop().await;
}
