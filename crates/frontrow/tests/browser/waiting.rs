//! The waiting page through everything that happens while a buyer waits.

use crate::{
    shop::{BUYER, CLAIM, CONCERT, Shop, fan, join, sign_in},
    window::{Browser, Screen, Wishes},
};
use frontrow_domain::time::Time;
use frontrow_testkit::Client;
use serde_json::json;

/// A shop whose house room is full, and the one inside.
async fn full_shop() -> (Shop, Client, String) {
    let shop = Shop::open_with(&["--max-active", "1"]);
    let inside = shop.client(&fan(1)).await;
    let token = inside.enter(Some(CONCERT)).await;
    (shop, inside, token)
}

async fn waits(shop: &Shop, wishes: Wishes) -> Browser {
    let browser = shop.browser(wishes).await;
    sign_in(&browser, BUYER).await;
    join(&browser, CONCERT).await;
    browser.element("[data-scene=waiting]").await;
    browser
}

#[tokio::test]
async fn the_turn_comes_to_a_tab_that_is_hidden() {
    let (shop, inside, token) = full_shop().await;
    let browser = waits(&shop, Wishes::default()).await;
    let tab = browser.driver.window().await.unwrap();
    browser.driver.new_tab().await.unwrap();
    let other = browser.driver.windows().await.unwrap().into_iter().find(|window| *window != tab).unwrap();
    browser.driver.switch_to_window(other).await.unwrap();
    inside.delete(&format!("/queue/tokens/{token}")).await.expect(204);
    // What the hidden tab says in its title is all that its visitor sees of it.
    frontrow_testkit::wait_until("the title says that the turn has come", async || {
        browser.titles().await.iter().any(|title| title.contains("차례입니다! · "))
    })
    .await;
    browser.driver.switch_to_window(tab).await.unwrap();
    browser.click(CLAIM).await;
    browser.arrive(&format!("/concerts/{CONCERT}/seats")).await;
    browser.assert_quiet().await;
    browser.close().await;
}

#[tokio::test]
async fn the_place_is_kept_over_a_restart_of_the_server() {
    let (mut shop, inside, token) = full_shop().await;
    let browser = waits(&shop, Wishes::default()).await;
    let path = browser.path().await;
    shop.kill();
    browser.element("[data-part=seen]:not([data-contact=live])").await;
    shop.start_again();
    browser.element("[data-part=seen][data-contact=live], [data-part=seen]:not([data-contact])").await;
    assert_eq!(browser.path().await, path, "the page was not lost");
    inside.delete(&format!("/queue/tokens/{token}")).await.expect(204);
    browser.click(CLAIM).await;
    browser.arrive(&format!("/concerts/{CONCERT}/seats")).await;
    browser.close().await;
}

#[tokio::test]
async fn an_operator_says_something_pauses_the_line_and_raises_the_cap() {
    let (shop, _inside, _token) = full_shop().await;
    let operator = shop.operator().await;
    let browser = waits(&shop, Wishes { screen: Screen::Phone, ..Wishes::default() }).await;
    let set = async |change: serde_json::Value| {
        operator.patch("/operator/rooms/0", &change).await.expect(200);
    };
    set(json!({ "message": "잠시만 기다려 주세요 <b>" })).await;
    browser.contains("[data-part=message]", "잠시만 기다려 주세요 <b>").await;
    set(json!({ "gate": "paused", "reason": "The hall asks for it." })).await;
    browser.contains("[data-fill=wait]", "입장을 잠시 멈췄습니다").await;
    set(json!({ "max_active": 2, "reason": "The hall asks for it." })).await;
    set(json!({ "gate": "open", "message": null })).await;
    browser.click(CLAIM).await;
    browser.arrive(&format!("/concerts/{CONCERT}/seats")).await;
    browser.assert_quiet().await;
    browser.close().await;
}

#[tokio::test]
async fn two_browsers_of_one_buyer_show_one_place() {
    let (shop, _inside, _token) = full_shop().await;
    let browser = waits(&shop, Wishes::default()).await;
    let first = browser.path().await;
    let other = waits(&shop, Wishes { language: "en-US", ..Wishes::default() }).await;
    assert_eq!(other.path().await.split('?').next(), first.split('?').next());
    // Leaving at one ends it at the other.
    browser.click("a[href$='/leave'], a[href*='/leave?']").await;
    browser.arrive("/line/").await;
    browser.click("form[action*='/leave'] button").await;
    other.element("[data-scene^=ended]").await;
    browser.close().await;
    other.close().await;
}

/// The end of a token's state, as its row says.
async fn deadline(client: &Client, token: &str) -> Time {
    let row = client.get(&format!("/queue/tokens/{token}")).await.expect(200);
    serde_json::from_value(row["deadline"].clone()).unwrap()
}

#[tokio::test]
async fn a_turn_is_as_it_was_after_a_reload_and_about_to_end_after_its_page_was_closed() {
    let shop = Shop::open_with(&["--max-active", "1"]);
    let browser = shop.browser(Wishes::default()).await;
    sign_in(&browser, BUYER).await;
    join(&browser, CONCERT).await;
    browser.click(CLAIM).await;
    browser.arrive(&format!("/concerts/{CONCERT}/seats")).await;
    browser.element("#seats").await;
    let buyer = shop.client(BUYER).await;
    let tokens = buyer.get("/queue/tokens").await.expect(200);
    let token = tokens["items"][0]["token"].as_str().unwrap().to_owned();
    let before = deadline(&buyer, &token).await;
    browser.driver.refresh().await.unwrap();
    browser.element("#seats").await;
    frontrow_testkit::wait_until("the turn is as it was", async || deadline(&buyer, &token).await >= before).await;
    // The other tab keeps the browser open.
    let tab = browser.driver.window().await.unwrap();
    browser.driver.new_tab().await.unwrap();
    let other = browser.driver.windows().await.unwrap().into_iter().find(|window| *window != tab).unwrap();
    let before = deadline(&buyer, &token).await;
    browser.driver.close_window().await.unwrap();
    browser.driver.switch_to_window(other).await.unwrap();
    // Nothing else brings the end of a turn nearer.
    frontrow_testkit::wait_until("the turn ends sooner", async || deadline(&buyer, &token).await < before).await;
    browser.close().await;
}

/// How many streams the server has open, and how often one was opened.
async fn streams(shop: &Shop) -> (u64, u64) {
    let text = reqwest::get(format!("http://{}/metrics", shop.address())).await.unwrap().text().await.unwrap();
    let value = |start: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(start));
        line.map_or(0, |value| value.trim().parse().unwrap())
    };
    let route = "/api/v1/queue/tokens/{token}/events";
    let opened = format!("frontrow_http_requests_total{{method=\"GET\",route=\"{route}\",status=\"200\"}}");
    (value("frontrow_event_streams "), value(&opened))
}

async fn has_streams(shop: &Shop, open: u64, opened: u64) {
    frontrow_testkit::wait_until(&format!("{open} of {opened} streams are open"), async || {
        streams(shop).await == (open, opened)
    })
    .await;
}

#[tokio::test]
async fn two_windows_of_one_browser_share_a_stream_and_one_goes_on_without_the_other() {
    // Given a buyer who waits in two windows of one browser.
    let (shop, _inside, _token) = full_shop().await;
    let operator = shop.operator().await;
    let say = async |message: &str| {
        operator.patch("/operator/rooms/0", &json!({ "message": message })).await.expect(200);
    };
    let browser = waits(&shop, Wishes::default()).await;
    let (path, first) = (browser.path().await, browser.driver.window().await.unwrap());
    has_streams(&shop, 1, 1).await;
    let second = browser.driver.new_window().await.unwrap();
    browser.driver.switch_to_window(second.clone()).await.unwrap();
    browser.goto(&path).await;
    browser.element("[data-scene=waiting]").await;
    let waiting = "return navigator.locks.query().then(locks => locks.pending.length)";
    frontrow_testkit::wait_until("the second window waits for the stream", async || browser.run(waiting).await == 1)
        .await;
    // When there is news, then both have it by one stream.
    say("첫 안내").await;
    browser.contains("[data-part=message]", "첫 안내").await;
    browser.driver.switch_to_window(first.clone()).await.unwrap();
    browser.contains("[data-part=message]", "첫 안내").await;
    assert_eq!(streams(&shop).await, (1, 1));
    // When the window with the stream is closed, then the other opens one and goes on.
    browser.driver.close_window().await.unwrap();
    browser.driver.switch_to_window(second).await.unwrap();
    has_streams(&shop, 1, 2).await;
    say("둘째 안내").await;
    browser.contains("[data-part=message]", "둘째 안내").await;
    browser.assert_quiet().await;
    browser.close().await;
}

#[tokio::test]
async fn the_sale_is_shown_as_it_is_without_loading_the_page_again() {
    // Given a page that waits while seats are on sale.
    let (shop, _inside, _token) = full_shop().await;
    let operator = shop.operator().await;
    let browser = waits(&shop, Wishes::default()).await;
    browser.run("window.isOld = true").await;
    assert!(!browser.has("[data-part=warning] .notice").await);
    // When the concert is postponed and the line paused, which the stream says.
    let postponed = json!({ "status": "postponed", "status_reason": "출연자가 <아픕니다>." });
    operator.patch(&format!("/operator/concerts/{CONCERT}"), &postponed).await.expect(200);
    operator
        .patch("/operator/rooms/0", &json!({ "gate": "paused", "reason": "The hall asks for it." }))
        .await
        .expect(200);
    // Then the page says both.
    browser.contains("[data-fill=wait]", "입장을 잠시 멈췄습니다").await;
    browser.contains("[data-part=warning]", "공연이 연기되었습니다").await;
    browser.contains("[data-part=warning]", "출연자가 <아픕니다>. 새 날짜가").await;
    browser.contains("[data-fill=seats]", "판매 중단").await;
    assert_eq!(browser.run("return window.isOld").await, true);
    browser.assert_quiet().await;
    browser.close().await;
}

#[tokio::test]
async fn a_claim_that_found_the_room_full_is_not_repeated_by_a_reload() {
    // Given a turn that was claimed while the room was full.
    let (shop, inside, token) = full_shop().await;
    let operator = shop.operator().await;
    let set = async |max_active: i64| {
        operator
            .patch("/operator/rooms/0", &json!({ "max_active": max_active, "reason": "The hall asks for it." }))
            .await
            .expect(200);
    };
    let browser = waits(&shop, Wishes::default()).await;
    inside.delete(&format!("/queue/tokens/{token}")).await.expect(204);
    browser.element(CLAIM).await;
    set(0).await;
    browser.click(CLAIM).await;
    browser.element("[data-again]").await;
    // When the page is loaded again.
    frontrow_testkit::wait_until("the address does not claim", async || !browser.path().await.contains("claim")).await;
    browser.driver.refresh().await.unwrap();
    // Then the turn is there, and waits for its buyer; the first claim still has its order, and is served by itself.
    browser.element(CLAIM).await;
    assert!(!browser.has("[data-again]").await);
    set(1).await;
    browser.element("[data-scene=active]").await;
    browser.click(&format!("[data-scene=active] a[href^='/concerts/{CONCERT}/seats']")).await;
    browser.arrive(&format!("/concerts/{CONCERT}/seats")).await;
    browser.assert_quiet().await;
    browser.close().await;
}
