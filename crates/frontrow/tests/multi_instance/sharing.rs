//! A buyer meets another instance with every request and does not notice.

use super::{assert_books_in_order, hall, instance, instance_at};
use frontrow_clock::Clock;
use frontrow_domain::time::Span;
use frontrow_service::testing;
use frontrow_testkit::{PRICE, Server, StreamEvent, eventually, id, servers::postgres::TestDatabase};
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_buyer_may_meet_another_instance_with_every_request() {
    let database = TestDatabase::new().await;
    let (one, two) = (instance(&database).await, instance(&database).await);
    let hall = hall(&one, 3).await;
    let at_one = one.buyer_with("buyer", PRICE).await;
    let at_two = at_one.at(two.address);
    at_two.sees(&hall, hall.seats[0], "available").await;

    let token = at_one.enter(None).await;
    assert_eq!(at_two.wait_for(&token, "active").await["status"], "active");
    assert_eq!(at_two.get(&format!("/queue/tokens/{token}")).await.expect(200)["status"], "active");
    assert_eq!(at_two.join(None).await["token"], json!(token), "one place, and one token for it");
    let reservation = id(&at_two.hold(&token, hall.seats[0]).await.expect(201), "reservation_id");
    for buyer in [&at_one, &at_two] {
        eventually("the map shows the hold", async || {
            let map = buyer.get(&format!("{}/seats", hall.path())).await.expect(200);
            (map["seats"][0]["status"] == "held").then_some(())
        })
        .await;
    }
    at_one.hold(&token, hall.seats[0]).await.problem(409, "seat_held_by_you");
    at_one.pay(&token, reservation).await.expect(201);
    assert_eq!(at_two.balance().await, 0);
    eventually("the map shows the sale", async || {
        let maps =
            [at_one.get(&format!("{}/seats", hall.path())).await, at_two.get(&format!("{}/seats", hall.path())).await];
        let [first, second] = maps.each_ref().map(|map| (map.text(), map.header("etag").map(str::to_owned)));
        (first == second && first.0.contains("\"sold\"")).then_some(())
    })
    .await;
    assert_books_in_order(&one.config).await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_at_one_instance_is_known_at_the_others() {
    let database = TestDatabase::new().await;
    let (one, two) = (instance(&database).await, instance(&database).await);
    let hall = hall(&one, 1).await;
    let (operator, buyer) = (one.operator().await, one.buyer("buyer").await);
    let elsewhere = buyer.at(two.address);
    assert_eq!(elsewhere.get(&hall.path()).await.expect(200)["title"], hall.concert.title);
    let path = format!("/operator/concerts/{}", hall.id());
    operator.patch(&path, &json!({ "title": "Midnight Tide: Another Night" })).await.expect(200);
    eventually("the other instance knows the new title", async || {
        let concert = elsewhere.get(&hall.path()).await.expect(200);
        (concert["title"] == "Midnight Tide: Another Night").then_some(())
    })
    .await;
    elsewhere.get("/users/me").await.expect(200);
    buyer.delete("/sessions/current").await;
    eventually("the other instance refuses the session", async || {
        (elsewhere.get("/users/me").await.status == 401).then_some(())
    })
    .await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_at_one_instance_shows_on_the_streams_of_another() {
    let database = TestDatabase::new().await;
    let (one, two) = (instance(&database).await, instance(&database).await);
    let hall = hall(&one, 2).await;
    let at_one = one.buyer_with("buyer", PRICE).await;
    let at_two = at_one.at(two.address);
    at_two.sees(&hall, hall.seats[0], "available").await;
    let token = at_one.join(None).await["token"].as_str().unwrap().to_owned();
    let mut line = at_two.line_events(&token).await;
    let map = at_one.get(&format!("{}/seats", hall.path())).await.expect(200);
    let events = format!("{}/seats/events?since={}", hall.path(), map["mark"].as_str().unwrap());
    let mut seats = at_two.call(Method::GET, &events).events().await;
    assert_eq!(seats.expect("seats").await.data, json!([]), "a mark of one instance is known at another");

    line.until("the turn has come", |event| event.name == "turn").await;
    at_one.activate(&token).await.expect(200);
    line.until("it was claimed at the other instance", |event| event.name == "claimed").await;
    at_one.hold(&token, hall.seats[1]).await.expect(201);
    // A hall that is read again meanwhile has news, too, without a seat.
    let has_seats = |event: &StreamEvent| event.name == "seats" && event.data != json!([]);
    let held = seats.until("the hold shows", has_seats).await;
    assert_eq!(held.data, json!([[hall.seats[1], "H"]]));
    at_one.delete(&format!("/queue/tokens/{token}")).await.expect(204);
    let ended = line.until("it has left at the other instance", |event| event.name == "ended").await;
    assert_eq!(ended.data["end_reason"], "left");
    assert_books_in_order(&one.config).await;
    one.stop().await;
    two.stop().await;
}

/// Whether the instance moves the line of the house room.
async fn leads(server: &Server) -> bool {
    let text = server.anonymous().call_at(Method::GET, "/metrics").send().await.text();
    text.contains("frontrow_room_leader{room=\"0\"} 1\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_has_lost_its_database_leaves_the_line_to_another() {
    let database = TestDatabase::new().await;
    let admin = database.client().await;
    let role = format!("cut_{}", database.name());
    admin.batch_execute(&format!("CREATE ROLE {role} LOGIN SUPERUSER")).await.unwrap();
    let one = instance_at(database.url().replace("postgres@", &format!("{role}@")), Clock::System).await;
    // A room without a live token has no leader.
    one.buyer("early").await.enter(None).await;
    eventually("the first one leads", async || leads(&one).await.then_some(())).await;
    let two = instance(&database).await;
    let cut = format!(
        "ALTER ROLE {role} NOLOGIN; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'"
    );
    admin.batch_execute(&cut).await.unwrap();
    let buyer = two.buyer("buyer").await;
    buyer.enter(None).await;
    let has_moved = async || (!leads(&one).await && leads(&two).await).then_some(());
    eventually("the second one leads, and the first one knows", has_moved).await;
    one.stop().await;
    two.stop().await;
    admin.batch_execute(&format!("REASSIGN OWNED BY {role} TO postgres; DROP ROLE {role}")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_has_one_leader_and_another_one_when_that_stops() {
    let database = TestDatabase::new().await;
    let (one, two) = (instance(&database).await, instance(&database).await);
    // A room without a live token has no leader.
    one.buyer("early").await.enter(None).await;
    let first_leads = eventually("one of them leads", async || match (leads(&one).await, leads(&two).await) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => None,
    })
    .await;
    let (leader, other) = if first_leads { (one, two) } else { (two, one) };
    leader.stop().await;
    eventually("the other one leads", async || leads(&other).await.then_some(())).await;
    let buyer = other.buyer("buyer").await;
    buyer.enter(None).await;
    other.stop().await;
}

/// Batches are decided by `clock_micros()` of the database.
async fn set_database_ahead(database: &TestDatabase, seconds: i64) {
    let sql = format!(
        "CREATE OR REPLACE FUNCTION clock_micros() RETURNS bigint LANGUAGE sql VOLATILE
         RETURN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + {seconds} * 1000000"
    );
    database.client().await.batch_execute(&sql).await.unwrap();
}

#[tokio::test]
async fn a_buyer_who_asks_at_an_instance_whose_clock_is_behind_stays_active() {
    let database = TestDatabase::new().await;
    drop(instance(&database).await.stop().await);
    set_database_ahead(&database, 10).await;
    let server = instance(&database).await;
    let office_time = || server.app().office.now();
    let behind = testing::store(&server.app().office).now().await.unwrap().since(office_time());
    assert!(behind < Span::from_secs(5), "{behind:?}");
    let buyer = server.buyer("buyer").await;
    let token = buyer.enter(None).await;
    let deadline = async || buyer.position(&token).await["deadline"].clone();
    let before = deadline().await;
    // As if 15 seconds had passed: enough for a sign of life to lengthen the turn. This machine's clock has not moved.
    set_database_ahead(&database, 25).await;
    server.app().office.compare_clocks().await;
    eventually("the sign of life has lengthened the turn", async || (deadline().await != before).then_some(())).await;
    server.stop().await;
}
