//! The database is away for longer than a turn lasts.

use super::{assert_books_in_order, instance_at};
use frontrow_clock::Clock;
use frontrow_domain::time::Span;
use frontrow_testkit::{PRICE, START, eventually, id, servers::postgres};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_outage_of_minutes_costs_no_turn_and_no_hold() {
    let mut database = postgres::PostgresServer::start().await;
    let clock = Clock::manual(START);
    let one = instance_at(database.url("postgres"), clock.clone()).await;
    let two = instance_at(database.url("postgres"), clock.clone()).await;
    let hall = one.hall(2).await;
    let buyer = one.buyer_with("buyer", PRICE).await;
    let token = buyer.enter(None).await;
    let reservation = id(&buyer.hold(&token, hall.seats[0]).await.expect(201), "reservation_id");
    let at_two = buyer.at(two.address);
    at_two.wait_for(&token, "active").await;

    database.stop();
    for client in [&buyer, &at_two] {
        assert_eq!(client.hold(&token, hall.seats[1]).await.status, 503);
    }
    clock.advance(Span::from_secs(400));
    database.start_again().await;
    let pay = async || {
        let answer = at_two.pay_call(&token, reservation).key("after-the-outage-0123456789").send().await;
        (answer.status != 503).then_some(answer)
    };
    eventually("the database is there again", pay).await.expect(201);
    let config = one.config.clone();
    for server in [one, two] {
        server.stop().await;
    }
    assert_books_in_order(&config).await;
}
