//! `/operator`: who is let in, and what it lists.

use crate::support::{browser, says};
use frontrow_domain::time::Span;
use frontrow_testkit::{Browser, Hall, Server};

#[tokio::test]
async fn operators_are_let_in_and_others_learn_nothing() {
    let server = Server::start().await;
    server.hall(3).await;
    let operator = browser(&server, &server.operator().await);
    says(&operator.open("/operator").await, &["Midnight Tide", "공연"], &["보기만 하는"]);
    let buyer = browser(&server, &server.buyer("buyer").await).open("/operator").await;
    assert_eq!(buyer.status, 403);
    assert!(!buyer.html.contains("Midnight Tide"), "{}", buyer.html);
    let stranger = Browser::at(&server).open("/operator").await;
    assert_eq!(stranger.leads_to(), "/sign-in?next=%2Foperator");
    server.close().await;
}

#[tokio::test]
async fn the_account_of_an_operator_leads_to_the_cockpit_and_to_the_second_factor() {
    let server = Server::start().await;
    let links = ["href=\"/operator\"", "href=\"/operator/second-factor\""];
    for client in [server.operator().await, server.viewer().await] {
        says(&browser(&server, &client).open("/account").await, &links, &[]);
    }
    says(&browser(&server, &server.buyer("buyer").await).open("/account").await, &[], &links);
    server.close().await;
}

#[tokio::test]
async fn a_box_office_whose_concerts_are_over_says_so_and_offers_to_make_one() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let operator = browser(&server, &server.operator().await);
    let start = "href=\"/operator/start\"";
    says(&operator.open("/operator").await, &["Midnight Tide"], &["예정된 공연이 없습니다", start]);
    let starts_at = hall.concert.starts_at;
    server.clock.advance(starts_at.plus(Span::from_secs(24 * 3_600)).since(server.clock.now()));
    let (operator, viewer) = (server.operator_named("later").await, server.viewer().await);
    says(&browser(&server, &operator).open("/operator").await, &["예정된 공연이 없습니다", start], &["Midnight Tide"]);
    says(&browser(&server, &viewer).open("/operator").await, &["예정된 공연이 없습니다"], &[start]);
    server.close().await;
}

#[tokio::test]
async fn the_page_of_a_thing_leads_to_its_log_and_the_house_room_to_its_concerts() {
    let server = Server::start().await;
    let (house, own) = (server.hall(1).await, server.hall_like(1, |draft| draft.own_room_max_active = Some(5)).await);
    let buyer = server.buyer_with("buyer", 300_000).await;
    let (reservation, payment) = buyer.buy(house.seats[0]).await;
    let user = buyer.get("/users/me").await.expect(200)["user_id"].as_str().unwrap().to_owned();
    let operator = browser(&server, &server.operator().await);
    for (path, object) in [
        (format!("payments/{payment}"), format!("payment+{payment}")),
        (format!("reservations/{reservation}"), format!("reservation+{reservation}")),
        (format!("users/{user}"), format!("user+{user}")),
        (format!("concerts/{}", house.id()), format!("concert+{}", house.id())),
        ("rooms/0".to_owned(), "room+0".to_owned()),
    ] {
        let log = format!("/operator/audit?object={object}");
        says(&operator.open(&format!("/operator/{path}")).await, &[&format!("href=\"{log}\"")], &[]);
        assert_eq!(operator.open(&log).await.status, 200, "{log}");
    }
    let sale = |hall: &Hall| format!("href=\"/operator/concerts/{}/sale\"", hall.id());
    says(&operator.open("/operator/rooms/0").await, &[&sale(&house)], &[&sale(&own)]);
    let room = own.concert.room_id;
    says(&operator.open(&format!("/operator/rooms/{room}")).await, &[&sale(&own)], &[&sale(&house)]);
    server.close().await;
}

#[tokio::test]
async fn an_operator_who_looks_as_a_buyer_finds_the_way_back() {
    let server = Server::start().await;
    let hall = server.hall(1).await;
    let operator = browser(&server, &server.operator().await);
    let concert = format!("/operator/concerts/{}", hall.id());
    let as_buyer = format!("/concerts/{}?for=operators", hall.id());
    says(&operator.open(&concert).await, &[&format!("href=\"{as_buyer}\"")], &[]);
    let back = format!("href=\"{concert}\"");
    says(&operator.open(&as_buyer).await, &[&back], &[]);
    // A page of buyers has no such line, whatever stands in its address.
    for path in [&format!("/concerts/{}", hall.id()), &format!("{as_buyer}&x=1")] {
        says(&operator.open(path).await, &[], &[&back]);
    }
    says(&Browser::at(&server).open(&as_buyer).await, &[], &[&back]);
    server.close().await;
}
