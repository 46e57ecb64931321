//! The page that stands before a new place while work is asked for.

use crate::support::{browser, hidden, new_key};
use frontrow_testkit::{Browser, Hall, LoadedPage, Server};

const ASKS: &[(&str, &str)] = &[("--max-active", "0"), ("--proof-of-work", "always")];

async fn send(browser: &Browser, hall: &Hall, fields: &[(&str, &str)]) -> LoadedPage {
    browser.send(&format!("{}/line", hall.path()), fields).await
}

fn wait_of(page: &LoadedPage) -> String {
    hidden(page, "wait").remove(0)
}

#[tokio::test]
async fn a_visitor_without_a_script_waits_instead_of_working() {
    let server = Server::with(ASKS).await;
    let hall = server.hall(1).await;
    let browser = browser(&server, &server.buyer("buyer").await);
    let key = new_key(&server);
    let page = send(&browser, &hall, &[("key", &key)]).await;
    page.shows(200, &["잠시만 기다려 주세요", "30초 뒤에 버튼을 눌러", "줄 서기", "data-work="]);
    assert_eq!(hidden(&page, "key").remove(0), key);
    let wait = wait_of(&page);
    // The wait goes on, however often the button is pressed.
    server.advance(10);
    let early = send(&browser, &hall, &[("key", &key), ("altcha", ""), ("wait", &wait)]).await;
    early.shows(200, &["20초 뒤에"]);
    assert_eq!(wait_of(&early), wait);
    server.advance(20);
    let place = send(&browser, &hall, &[("key", &key), ("altcha", ""), ("wait", &wait)]).await;
    assert!(place.leads_to().starts_with("/line/"));
    server.close().await;
}

#[tokio::test]
async fn a_wait_is_for_one_account_and_one_line_and_lets_one_place_in() {
    let server = Server::with(ASKS).await;
    let hall = server.hall(1).await;
    let other_hall = server.hall_like(1, |draft| draft.own_room_max_active = Some(0)).await;
    let buyer = server.buyer("buyer").await;
    let (own, other) = (browser(&server, &buyer), browser(&server, &server.buyer("other").await));
    let wait = wait_of(&send(&own, &hall, &[]).await);
    server.advance(30);
    for (browser, hall) in [(&other, &hall), (&own, &other_hall)] {
        let page = send(browser, hall, &[("wait", &wait)]).await;
        page.shows(200, &["30초 뒤에"]);
        assert_ne!(wait_of(&page), wait);
    }
    let place = send(&own, &hall, &[("wait", &wait)]).await.leads_to().to_owned();
    let token = place.trim_start_matches("/line/").split('?').next().unwrap();
    buyer.delete(&format!("/queue/tokens/{token}")).await.expect(204);
    send(&own, &hall, &[("wait", &wait)]).await.shows(200, &["버튼을 눌러"]);
    // A wait that is long over is begun again.
    let late = wait_of(&send(&own, &hall, &[]).await);
    server.advance(30 + 121);
    send(&own, &hall, &[("wait", &late)]).await.shows(200, &["30초 뒤에"]);
    server.close().await;
}

#[tokio::test]
async fn work_that_was_not_good_is_asked_for_again_in_the_visitors_language() {
    let server = Server::with(ASKS).await;
    let hall = server.hall(1).await;
    let buyer = server.buyer("buyer").await;
    let browser = Browser::at(&server).speaking("en");
    browser.set_cookie("frontrow-session", buyer.secret());
    let page = send(&browser, &hall, &[("altcha", "nonsense"), ("wait", "nonsense")]).await;
    page.shows(200, &["One moment, please", "Press the button after 30 seconds"]);
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.contains("script-src 'self'")));
    server.close().await;
}
