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
