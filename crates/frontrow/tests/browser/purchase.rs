//! A whole purchase, in every way that a buyer may have.

use crate::{
    accessibility::assert_accessible,
    shop::{
        BUYER, CLAIM, CONCERT, FREE_SEAT, HELD, HOLD, PASSWORD, PAY, Shop, enter, has_reservations, hold_a_seat, join,
        open_section, pay, sign_in,
    },
    window::{Browser, Screen, Scripts, Wishes},
};

/// A purchase from the season to the ticket, with axe-core at each step, and the refund.
async fn buys(wishes: Wishes) {
    let shop = Shop::open();
    let browser = shop.browser(wishes).await;
    browser.goto("/").await;
    assert_eq!(browser.lang().await, wishes.language[..2]);
    browser.assert_fits().await;
    browser.click(&format!("a[href='/concerts/{CONCERT}']")).await;
    browser.arrive(&format!("/concerts/{CONCERT}")).await;
    browser.click(&format!("form[action='/concerts/{CONCERT}/line'] button")).await;
    // The line needs an account: the way leads over the sign-in and back to the concert.
    browser.arrive("/sign-in").await;
    browser.fill("input[name=email]", BUYER).await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.submit("input[name=password]").await;
    browser.arrive(&format!("/concerts/{CONCERT}")).await;
    browser.click(&format!("form[action='/concerts/{CONCERT}/line'] button")).await;
    browser.arrive("/line/").await;
    if wishes.scripts == Scripts::On {
        assert_accessible(&browser).await;
    }
    browser.assert_fits().await;
    enter(&browser, CONCERT).await;
    browser.assert_fits().await;
    hold_a_seat(&browser).await;
    if wishes.scripts == Scripts::On {
        assert_accessible(&browser).await;
    }
    browser.assert_fits().await;
    pay(&browser, CONCERT).await;
    if wishes.scripts == Scripts::On {
        assert_accessible(&browser).await;
    }
    browser.assert_fits().await;
    assert_eq!(shop.reservations("confirmed").await.len(), 1);
    // And the money back.
    browser.click("a[href^='/payments/'][href$='/refund']").await;
    browser.arrive("/payments/").await;
    browser.assert_fits().await;
    browser.click("form[action$='/refund'] button").await;
    has_reservations(&shop, "confirmed", 0).await;
    browser.goto("/mine").await;
    browser.element("h1").await;
    browser.assert_fits().await;
    browser.assert_quiet().await;
    browser.close().await;
}

#[tokio::test]
async fn a_buyer_buys_and_gets_the_money_back_in_korean() {
    buys(Wishes::default()).await;
}

#[tokio::test]
async fn a_buyer_buys_and_gets_the_money_back_in_english() {
    buys(Wishes { language: "en-US", ..Wishes::default() }).await;
}

#[tokio::test]
async fn a_buyer_buys_on_a_telephone() {
    buys(Wishes { screen: Screen::Phone, ..Wishes::default() }).await;
}

#[tokio::test]
async fn a_buyer_buys_on_the_narrowest_screen() {
    buys(Wishes { screen: Screen::Narrow, language: "en-US", ..Wishes::default() }).await;
}

#[tokio::test]
async fn a_buyer_buys_without_scripts() {
    buys(Wishes { scripts: Scripts::Off, ..Wishes::default() }).await;
}

/// Moves the focus with the tabulator until it is on an element.
async fn tab_to(browser: &Browser, css: &str) {
    for _ in 0..300 {
        if browser.focused(css).await {
            assert!(browser.is_focus_shown().await, "the focus on {css} cannot be seen");
            return;
        }
        browser.press(thirtyfour::Key::Tab).await;
    }
    panic!("the focus never came to {css} at {}", browser.path().await);
}

#[tokio::test]
async fn a_buyer_buys_by_the_keyboard_alone() {
    use thirtyfour::Key;
    let shop = Shop::open();
    let browser = shop.browser(Wishes::default()).await;
    browser.goto("/sign-in").await;
    tab_to(&browser, "input[name=email]").await;
    browser.type_keys(BUYER).await;
    tab_to(&browser, "input[name=password]").await;
    browser.type_keys(PASSWORD).await;
    browser.press(Key::Enter).await;
    browser.arrive_elsewhere("/sign-in").await;
    browser.goto(&format!("/concerts/{CONCERT}")).await;
    tab_to(&browser, &format!("form[action='/concerts/{CONCERT}/line'] button")).await;
    browser.press(Key::Enter).await;
    browser.arrive("/line/").await;
    browser.element(CLAIM).await;
    tab_to(&browser, CLAIM).await;
    browser.press(Key::Enter).await;
    browser.arrive(&format!("/concerts/{CONCERT}/seats")).await;
    if !browser.has(FREE_SEAT).await {
        tab_to(&browser, "#seats a.section").await;
        browser.press(Key::Enter).await;
        browser.element(FREE_SEAT).await;
    }
    // The seats of a section are one stop of the tabulator, and the arrows move between them.
    browser.element("#hall.live").await;
    tab_to(&browser, "#seats input[name=seat]:not([aria-disabled=true])").await;
    browser.press(Key::End).await;
    browser.press(Key::Home).await;
    browser.press(Key::Right).await;
    browser.press(Key::Left).await;
    assert!(browser.focused("#seats fieldset input[name=seat]").await);
    for _ in 0..100 {
        if browser.focused("#seats input[name=seat]:not([aria-disabled=true])").await {
            break;
        }
        browser.press(Key::Right).await;
    }
    browser.press(Key::Space).await;
    tab_to(&browser, HOLD).await;
    browser.press(Key::Enter).await;
    browser.element(HELD).await;
    tab_to(&browser, "#tray a.button").await;
    browser.press(Key::Enter).await;
    browser.arrive(&format!("/concerts/{CONCERT}/pay")).await;
    tab_to(&browser, PAY).await;
    browser.press(Key::Enter).await;
    browser.arrive(&format!("/concerts/{CONCERT}/tickets")).await;
    assert_eq!(shop.reservations("confirmed").await.len(), 1);
    browser.assert_quiet().await;
    browser.close().await;
}

#[tokio::test]
async fn nothing_is_done_twice_by_a_double_click_a_reload_or_the_back_button() {
    let shop = Shop::open();
    let browser = shop.browser(Wishes::default()).await;
    sign_in(&browser, BUYER).await;
    join(&browser, CONCERT).await;
    let line = browser.path().await;
    browser.driver.refresh().await.unwrap();
    assert_eq!(browser.arrive("/line/").await, line);
    // A second tab shows the same place.
    browser.goto(&format!("/concerts/{CONCERT}")).await;
    browser.double_click(&format!("form[action='/concerts/{CONCERT}/line'] button")).await;
    let again = browser.arrive("/line/").await;
    assert_eq!(again.split('?').next(), line.split('?').next(), "the same place, by the same token");
    browser.double_click(CLAIM).await;
    browser.arrive(&format!("/concerts/{CONCERT}/seats")).await;
    open_section(&browser).await;
    browser.click(FREE_SEAT).await;
    browser.double_click(HOLD).await;
    browser.element(HELD).await;
    browser.driver.refresh().await.unwrap();
    browser.element(HELD).await;
    browser.driver.back().await.unwrap();
    browser.driver.forward().await.unwrap();
    browser.element(HELD).await;
    assert_eq!(shop.reservations("pending").await.len(), 1);
    browser.click("#tray a.button").await;
    browser.arrive(&format!("/concerts/{CONCERT}/pay")).await;
    browser.double_click(PAY).await;
    browser.arrive(&format!("/concerts/{CONCERT}/tickets")).await;
    assert_eq!(shop.reservations("confirmed").await.len(), 1);
    // Back to the form, which says that there is nothing left to pay, or is sent again to no effect.
    browser.driver.back().await.unwrap();
    if browser.has(PAY).await {
        browser.click(PAY).await;
        browser.arrive("/concerts/").await;
    }
    let buyer = shop.client(BUYER).await;
    let payments = buyer.get("/payments").await.expect(200);
    assert_eq!(payments["items"].as_array().unwrap().len(), 1);
    assert_eq!(shop.reservations("confirmed").await.len(), 1);
    browser.close().await;
}
