//! One instance at a time delivers the events of all.

use super::instance;
use frontrow_domain::{
    command::{Command, Outcome},
    outbox::{Consumer, LeaseHolder},
};
use frontrow_testkit::{eventually, items, servers::postgres::TestDatabase};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_both_instances_are_fed_in_one_order_and_read_at_either() {
    let database = TestDatabase::new().await;
    let (one, two) = (instance(&database).await, instance(&database).await);
    let operator = one.operator().await;
    for max_active in 1..=10 {
        let at = if max_active % 2 == 0 { one.address } else { two.address };
        operator
            .at(at)
            .patch("/operator/rooms/0", &json!({ "max_active": max_active, "reason": "The hall asks for it." }))
            .await
            .expect(200);
    }
    for server in [&one, &two] {
        let reader = operator.at(server.address);
        eventually("all entries are in the feed", async || {
            let page = reader.get("/operator/audit/feed").await.expect(200);
            let numbers: Vec<_> = items(&page).iter().map(|item| item["feed_number"].as_i64().unwrap()).collect();
            (numbers == (1..=12).collect::<Vec<_>>()).then_some(())
        })
        .await;
    }
    let report = frontrow::app::check_books(&one.config).await.unwrap();
    assert!(report.is_clean(), "{report}");
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_process_had_claimed_another_delivers_once_the_lease_is_over() {
    let database = TestDatabase::new().await;
    let one = instance(&database).await;
    let operator = one.operator().await;
    let fed = async |count: usize| {
        let page = operator.get("/operator/audit/feed").await.expect(200);
        (items(&page).len() == count).then_some(())
    };
    eventually("all entries are in the feed", async || fed(2).await).await;
    // A process that has claimed and died.
    let client = database.client().await;
    let lease = "UPDATE outbox_lease SET holder = gen_random_uuid(), until = clock_micros() + 29000000";
    client.batch_execute(lease).await.unwrap();
    operator
        .patch("/operator/rooms/0", &json!({ "max_active": 7, "reason": "The hall asks for it." }))
        .await
        .expect(200);
    let claim =
        Command::ClaimEvents { consumer: Consumer::AuditFeed, holder: LeaseHolder(one.ids.uuid(one.clock.now())) };
    assert!(matches!(one.command(claim).await, Outcome::LeaseTaken { until: Some(_) }));
    let two = instance(&database).await;
    assert_eq!(fed(3).await, None, "the lease is another's");
    client.batch_execute("UPDATE outbox_lease SET until = clock_micros()").await.unwrap();
    eventually("the entry is fed once the lease is over", async || fed(3).await).await;
    one.stop().await;
    two.stop().await;
}
