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

#[tokio::test]
async fn an_operator_opens_a_line_for_a_site_and_closes_it_in_the_cockpit() {
    let server = Server::with(&[("--max-active", "1")]).await;
    let operator = browser(&server, &server.operator().await);
    let viewer = browser(&server, &server.viewer().await);
    says(&operator.open("/operator/rooms").await, &["다른 사이트의 대기열 열기"], &[]);
    says(&viewer.open("/operator/rooms").await, &[], &["다른 사이트의 대기열 열기"]);
    viewer.open("/operator/rooms/new").await.shows(403, &[]);
    let form = operator.open("/operator/rooms/new").await;
    let fields = |url: &'static str| [("name", "우리 상점"), ("turn_url", url), ("max_active", "1")];
    let new = key(&form);
    let unsafe_one = [&[("key", new.as_str())][..], &fields("http://a.example")].concat();
    let bad = operator.send("/operator/rooms/new", &unsafe_one).await;
    bad.shows(422, &["우리 상점", "https 주소를 입력해 주세요"]);
    let sent = [&[("key", new.as_str())][..], &fields("https://a.example/in")].concat();
    let page = operator.send("/operator/rooms/new", &sent).await.leads_to().to_owned();
    assert_eq!(operator.send("/operator/rooms/new", &sent).await.leads_to(), page, "a double click");
    says(&operator.open(&page).await, &["우리 상점", "https://a.example/in", "대기열 닫기"], &[]);
    says(&operator.open("/operator/rooms").await, &["우리 상점"], &[]);
    let room = page.rsplit('/').next().unwrap().to_owned();

    // A visitor joins on its page, and the turn leads to the site with a pass.
    let (buyer, other) = (server.buyer("buyer").await, server.buyer("other").await);
    let (visitor, second) = (browser(&server, &buyer), browser(&server, &other));
    let line = format!("/line/{room}");
    let front = visitor.open(&line).await;
    says(&front, &["우리 상점", "줄 서기"], &[]);
    let place = visitor.send(&line, &[("key", &key(&front))]).await.leads_to().to_owned();
    let token = place.trim_start_matches("/line/").to_owned();
    buyer.wait_for(&token, "offered").await;
    let turn = visitor.open(&place).await;
    says(&turn, &["우리 상점", "입장하기"], &["좌석 고르기"]);
    let policy = turn.header("content-security-policy").unwrap();
    assert!(policy.contains("form-action 'self' https://a.example;"), "{policy}");
    let entered = visitor.send(&format!("/line/{token}/claim"), &[("key", &key(&turn))]).await;
    assert_eq!(entered.leads_to(), format!("{line}/pass"));
    let led = visitor.open(&format!("{line}/pass")).await.leads_to().to_owned();
    assert!(led.starts_with("https://a.example/in?frontrow_pass="), "{led}");
    says(&visitor.open("/mine").await, &["우리 상점"], &[]);
    let front = second.open(&line).await;
    let behind = second.send(&line, &[("key", &key(&front))]).await.leads_to().to_owned();

    // Closed: the page of a waiting token says so, and the room issues no more tokens.
    let close = format!("{page}/close");
    let asked = operator.open(&close).await;
    operator.send(&close, &[("key", &key(&asked)), ("reason", "")]).await.shows(422, &[]);
    let done = operator.send(&close, &[("key", &key(&asked)), ("reason", "판매가 끝났습니다.")]).await;
    assert_eq!(done.leads_to(), page);
    says(&operator.open(&page).await, &["닫힘"], &[&format!("{page}/close")]);
    other.wait_for(behind.trim_start_matches("/line/"), "ended").await;
    let told = second.open(&behind).await;
    assert_eq!(scene(&told), "ended-room_closed");
    says(&told, &["이 줄은 닫혔습니다"], &["다시 줄 서기"]);
    says(&second.open(&line).await, &["우리 상점", "이 줄은 닫혔습니다"], &["줄 서기</button>"]);
    assert_eq!(second.send(&line, &[("key", &new_key(&server))]).await.leads_to(), line);
    visitor.open("/line/1000009999").await.shows(404, &[]);
    visitor.open("/line/7").await.shows(404, &[]);
    server.close().await;
}
