//! The waiting line in front of another shop.

use crate::support::{browser, key, new_key, says, scene};
use frontrow_testkit::Server;

const SHOP: &str = "https://shop.example.com";

async fn shop() -> Server {
    Server::with(&[("--turn-url", "https://shop.example.com/enter?token={token}"), ("--max-active", "1")]).await
}

#[tokio::test]
async fn a_turn_of_the_house_room_leads_to_the_other_shop_with_its_token() {
    let server = shop().await;
    let first = server.buyer("first").await;
    let inside = first.enter(None).await;
    let buyer = server.buyer("buyer").await;
    let browser = browser(&server, &buyer);
    let front = browser.open("/line").await;
    says(&front, &["앞줄 입장 대기", "줄 서기"], &[]);
    let policy = front.header("content-security-policy").unwrap();
    assert!(policy.contains(&format!("form-action 'self' {SHOP};")), "{policy}");
    let same_key = key(&front);
    let joined = browser.send("/line", &[("key", &same_key)]).await;
    let place = joined.leads_to().to_owned();
    assert_eq!(browser.send("/line", &[("key", &same_key)]).await.leads_to(), place, "a double click");
    let token = place.trim_start_matches("/line/").split('?').next().unwrap().to_owned();
    assert_eq!(scene(&browser.open(&place).await), "waiting");

    first.delete(&format!("/queue/tokens/{inside}")).await.expect(204);
    buyer.wait_for(&token, "offered").await;
    let turn = browser.open(&place).await;
    says(&turn, &["입장하기"], &["좌석 고르기"]);
    let claim = format!("/line/{token}/claim");
    let entered = browser.send(&claim, &[("key", &key(&turn))]).await;
    let address = format!("{SHOP}/enter?token={token}");
    assert_eq!(entered.leads_to(), address);
    let active = browser.open(&place).await;
    assert_eq!(scene(&active), "active");
    says(&active, &[&format!("href=\"{address}\""), "이용할 수 있는 시간"], &["좌석을 고를 수 있는 시간"]);
    // What the other shop asks before it lets a visitor in.
    assert_eq!(server.anonymous().position(&token).await["status"], "active");

    buyer.delete(&format!("/queue/tokens/{token}")).await.expect(204);
    assert_eq!(server.anonymous().position(&token).await["status"], "ended");
    says(&browser.open(&place).await, &["action=\"/line\""], &[SHOP]);
    server.close().await;
}

#[tokio::test]
async fn a_concert_of_ones_own_still_leads_to_its_hall() {
    let server = shop().await;
    let hall = server.hall(1).await;
    let buyer = server.buyer("buyer").await;
    buyer.enter(Some(hall.id())).await;
    let browser = browser(&server, &buyer);
    let place = browser.open(&format!("{}/line", hall.path())).await.leads_to().to_owned();
    says(&browser.open(&place).await, &[&format!("{}/seats", hall.path())], &[SHOP]);
    server.close().await;
}

#[tokio::test]
async fn without_another_shop_there_is_no_line_in_front_of_it() {
    let server = Server::start().await;
    let buyer = server.buyer("buyer").await;
    let browser = browser(&server, &buyer);
    browser.open("/line").await.shows(404, &[]);
    browser.send("/line", &[("key", &new_key(&server))]).await.shows(404, &[]);
    buyer.get("/queue/tokens").await.expect(200);
    let policy = browser.open("/").await.header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("form-action 'self';"), "{policy}");
    server.close().await;
}
