//! The page of a line that is over.

use crate::support::{browser, says};
use frontrow_testkit::{Browser, Server, eventually};
use serde_json::json;

#[tokio::test]
async fn what_became_of_a_concerts_line_is_shown_once_it_is_over_and_not_before() {
    let server = Server::start().await;
    let hall = server.hall_like(2, |draft| draft.own_room_max_active = Some(1)).await;
    let (operator, buyer) = (server.operator().await, server.buyer("minji").await);
    let token = buyer.enter(Some(hall.id())).await;
    let visitor = Browser::at(&server);
    let path = format!("{}/line/report", hall.path());
    visitor.open(&path).await.shows(409, &["The line isn’t over yet"]);
    buyer.delete(&format!("/queue/tokens/{token}")).await.expect(204);
    let cancel = format!("/operator/concerts/{}/cancel", hall.id());
    operator.post(&cancel, &json!({ "reason": "The singer is ill." })).await.expect(200);
    // Pages that all visitors share are a second old at most.
    let page = eventually("the line is over", async || {
        server.advance(2);
        let page = visitor.open(&path).await;
        (page.status == 200).then_some(page)
    })
    .await;
    let texts = [
        "What became of the line",
        "There were never more people inside than were allowed.",
        "<dt>Came in</dt><dd>1</dd>",
        "<dt>Left the line</dt><dd>1</dd>",
        "/.well-known/jwks.json",
        &format!("href=\"/api/v1/rooms/{}/line-report\"", hall.id()),
    ];
    says(&page, &texts, &[]);
    let korean = Browser::at(&server).speaking("ko").open(&path).await;
    says(&korean, &["대기열 결과 보고", "<dt>입장</dt><dd>1</dd>"], &["What became"]);
    let link = format!("href=\"{path}\"");
    server.advance(2);
    says(&visitor.open(&hall.path()).await, &[&link], &[]);
    let room = browser(&server, &operator).open(&format!("/operator/rooms/{}", hall.id())).await;
    says(&room, &[&link], &[]);
    server.close().await;
}

#[tokio::test]
async fn the_report_of_a_sites_line_has_a_page_of_its_own() {
    let server = Server::start().await;
    let operator = server.operator().await;
    let draft = json!({ "name": "Shop", "turn_url": "https://shop.example.com/tickets", "max_active": 1 });
    let room = operator.post("/operator/rooms", &draft).await.expect(201)["room_id"].clone();
    let visitor = Browser::at(&server);
    let path = format!("/line/{room}/report");
    visitor.open(&path).await.shows(409, &["The line isn’t over yet"]);
    operator.post(&format!("/operator/rooms/{room}/close"), &json!({ "reason": "It is over." })).await.expect(200);
    server.advance(2);
    says(&visitor.open(&path).await, &["Shop", "What became of the line"], &[]);
    assert_eq!(visitor.open("/line/0/report").await.status, 404);
    assert_eq!(visitor.open("/line/abc/report").await.status, 404);
    server.close().await;
}
