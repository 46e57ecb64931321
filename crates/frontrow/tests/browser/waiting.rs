//! The waiting page through everything that happens while a buyer waits.

use crate::{
    shop::{BUYER, CLAIM, CONCERT, Shop, fan, join, sign_in},
    window::{Browser, Screen, Wishes},
};
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
    let before = browser.driver.title().await.unwrap();
    let tab = browser.driver.window().await.unwrap();
    browser.driver.new_tab().await.unwrap();
    let other = browser.driver.windows().await.unwrap().into_iter().find(|window| *window != tab).unwrap();
    browser.driver.switch_to_window(other).await.unwrap();
    inside.delete(&format!("/queue/tokens/{token}")).await.expect(204);
    // What the hidden tab says in its title is all that its visitor sees of it.
    frontrow_testkit::wait_until("the title says that the turn has come", async || {
        let targets = browser.titles().await;
        !targets.contains(&before)
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
    set(json!({ "gate": "paused" })).await;
    browser.element("[data-scene=waiting]").await;
    set(json!({ "max_active": 2 })).await;
    set(json!({ "gate": "open", "message": null })).await;
    browser.click(CLAIM).await;
    browser.arrive(&format!("/concerts/{CONCERT}/seats")).await;
    browser.assert_quiet().await;
    browser.close().await;
}

#[tokio::test]
async fn two_tabs_of_one_buyer_show_one_place() {
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
