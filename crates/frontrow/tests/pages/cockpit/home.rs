//! `/operator`: who is let in, and what it lists.

use crate::support::{browser, says};
use frontrow_testkit::{Browser, Server};

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
