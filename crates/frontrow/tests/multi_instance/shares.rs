//! The budget of the house holds over all instances.

use super::{assert_books_in_order, instance};
use frontrow_domain::{line::TokenStatus, time::Time};
use frontrow_service::testing;
use frontrow_testkit::{Client, Hall, PATIENCE, Server, eventually, servers::postgres::TestDatabase};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const BUDGET: i64 = 5;
const BUYERS: usize = 9;

async fn hot_hall(server: &Server) -> Hall {
    server
        .hall_like(BUYERS.try_into().unwrap(), |draft| {
            draft.opens_at = Time::default();
            draft.own_room_max_active = Some(50);
        })
        .await
}

/// How many tokens of each room the rows call active, read from one statement a room.
async fn active(server: &Server, halls: &[Hall]) -> BTreeMap<i64, i64> {
    let store = Arc::clone(testing::store(&server.app().office));
    let mut counts = BTreeMap::new();
    for hall in halls {
        let line = store.line(hall.concert.room_id).await.unwrap().unwrap();
        let active = line.others.iter().filter(|token| token.status() == TokenStatus::Active).count();
        counts.insert(hall.id(), i64::try_from(active).unwrap());
    }
    counts
}

/// Joins, claims whenever it may, stays for a moment, and leaves. Returns once it was in.
async fn visit(buyer: Client, concert: i64) {
    let token = buyer.join(Some(concert)).await["token"].as_str().unwrap().to_owned();
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < PATIENCE, "the buyer is still not in");
        let status = buyer.position(&token).await["status"].clone();
        if ["offered", "missed"].iter().any(|may| status == *may)
            && buyer.activate(&token).await.json()["status"] == "active"
        {
            break;
        }
        if status == "active" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    buyer.delete(&format!("/queue/tokens/{token}")).await.expect(204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hot_rooms_on_three_instances_never_exceed_the_budget() {
    let database = TestDatabase::new().await;
    let servers = [instance(&database).await, instance(&database).await, instance(&database).await];
    let halls = [hot_hall(&servers[0]).await, hot_hall(&servers[0]).await];
    let operator = servers[1].operator().await;
    let change = json!({ "house_budget": BUDGET, "reason": "The payment provider takes no more." });
    assert_eq!(operator.patch("/operator/rooms/0", &change).await.expect(200)["house_budget"], json!(BUDGET));
    let mut visits = JoinSet::new();
    for number in 0..2 * BUYERS {
        let server = &servers[number % servers.len()];
        let buyer = server.buyer(&format!("buyer-{number}")).await;
        visits.spawn(visit(buyer, halls[number % 2].id()));
    }
    // The rooms are read one after the other: a place that moves between them may be seen twice, and a place that both
    // have at once is seen by the rows of the shares, too.
    let is_over = AtomicBool::new(false);
    let watch = async {
        let (mut most, mut inside) = (0, BTreeMap::<i64, i64>::new());
        while !is_over.load(Ordering::Relaxed) {
            for (room, active) in active(&servers[2], &halls).await {
                inside.entry(room).and_modify(|most| *most = active.max(*most)).or_insert(active);
            }
            let store = Arc::clone(testing::store(&servers[2].app().office));
            let rooms = store.rooms().await.unwrap();
            most = most.max(rooms.iter().filter_map(|room| room.allotment).sum());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        (most, inside)
    };
    let all_in = async {
        while let Some(visit) = visits.join_next().await {
            visit.unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let ((most, inside), ()) = tokio::join!(watch, all_in);
    assert!((1..=BUDGET).contains(&most), "{most} were given");
    assert!(inside.values().all(|active| *active <= BUDGET), "{inside:?}");
    assert!(peak(&database).await <= BUDGET);
    let rooms = operator.get("/operator/rooms").await.expect(200);
    assert!(rooms["items"].as_array().unwrap().iter().all(|room| room["active"] == json!(0)), "{rooms}");
    assert_books_in_order(&servers[0].config).await;
    for server in servers {
        server.stop().await;
    }
}

/// The most tokens that were active at once in all rooms, by the times in the rows.
async fn peak(database: &TestDatabase) -> i64 {
    let rows = database
        .client()
        .await
        .query(
            "SELECT at, sum(sum(step)) OVER (ORDER BY at, min(step)) ::bigint AS active FROM (
                 SELECT activated_at AS at, 1 AS step FROM waiting_token WHERE activated_at IS NOT NULL
                 UNION ALL SELECT expired_at, -1 FROM waiting_token WHERE activated_at IS NOT NULL) AS steps
             GROUP BY at, step ORDER BY at, step",
            &[],
        )
        .await
        .unwrap();
    rows.iter().map(|row| row.get::<_, i64>("active")).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_that_is_set_at_one_instance_is_obeyed_and_taken_away_at_another() {
    let database = TestDatabase::new().await;
    let (one, two) = (instance(&database).await, instance(&database).await);
    let hall = hot_hall(&one).await;
    let (operator, buyer) = (one.operator().await, two.buyer("buyer").await);
    let change = json!({ "house_budget": 1, "reason": "A rehearsal." });
    operator.patch("/operator/rooms/0", &change).await.expect(200);
    let other = one.buyer("other").await;
    let inside = other.enter(Some(hall.id())).await;
    let token = buyer.join(Some(hall.id())).await["token"].as_str().unwrap().to_owned();
    let allotment = async |client: &Client| -> Value {
        client.get(&format!("/operator/rooms/{}", hall.id())).await.expect(200)["allotment"].clone()
    };
    assert_eq!(allotment(&operator.at(two.address)).await, json!(1));
    other.delete(&format!("/queue/tokens/{inside}")).await.expect(204);
    buyer.wait_for(&token, "offered").await;
    operator.at(two.address).patch("/operator/rooms/0", &json!({ "house_budget": null })).await.expect(200);
    eventually("the room has its cap again", async || allotment(&operator).await.is_null().then_some(())).await;
    one.stop().await;
    two.stop().await;
}
