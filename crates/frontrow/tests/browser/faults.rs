//! Buyers in each other's way, and in their own.

use crate::{
    shop::{BUYER, CONCERT, FREE_SEAT, HELD, HOLD, Shop, fan, go_in, hold_a_seat, open_section},
    window::{Browser, Wishes},
};
use thirtyfour::By;

#[tokio::test]
async fn of_two_buyers_who_want_one_seat_one_has_it_and_the_other_is_offered_the_next() {
    let shop = Shop::open();
    let (one, other) = (shop.browser(Wishes::default()).await, shop.browser(Wishes::default()).await);
    for (browser, email) in [(&one, BUYER.to_owned()), (&other, fan(1))] {
        go_in(browser, &email, CONCERT).await;
        open_section(browser).await;
    }
    let seat = one.element(FREE_SEAT).await.find(By::Css("input")).await.unwrap().value().await.unwrap().unwrap();
    let label = format!("#seats label:has(input[value='{seat}'])");
    for browser in [&one, &other] {
        browser.click(&label).await;
    }
    one.click(HOLD).await;
    one.element(HELD).await;
    // The live map may have shown by now that the seat is gone.
    other.hold_as_before(&seat).await;
    let said = other.element("#refused").await.text().await.unwrap();
    assert!(!other.has(HELD).await);
    assert!(other.has("#refused form button").await, "no other seats are offered: {said}");
    other.click("#refused form button").await;
    other.element(HELD).await;
    assert_eq!(shop.reservations("pending").await.len(), 1);
    one.close().await;
    other.close().await;
}

/// A browser with a turn, at the hall.
async fn at_the_hall(shop: &Shop) -> Browser {
    let browser = shop.browser(Wishes::default()).await;
    go_in(&browser, BUYER, CONCERT).await;
    browser
}

/// The number of a free seat of the list.
async fn free_seat(browser: &Browser) -> String {
    let label = browser.element(FREE_SEAT).await;
    label.find(By::Css("input")).await.unwrap().value().await.unwrap().unwrap()
}

#[tokio::test]
async fn a_hold_in_one_tab_is_the_buyers_own_in_the_other_which_keeps_its_choice() {
    let shop = Shop::open();
    let browser = at_the_hall(&shop).await;
    browser.element("#hall.live").await;
    let chosen = free_seat(&browser).await;
    browser.click(FREE_SEAT).await;
    browser.element(&format!("#seats label:has(input[value='{chosen}']:checked)")).await;
    let (first, second) = (browser.driver.window().await.unwrap(), browser.driver.new_tab().await.unwrap());
    browser.driver.switch_to_window(second).await.unwrap();
    browser.goto(&format!("/concerts/{CONCERT}/seats")).await;
    browser.element("#hall.live").await;
    let other = format!("{FREE_SEAT}:not(:has(input[value='{chosen}']))");
    browser.click(&other).await;
    browser.click(HOLD).await;
    browser.element(HELD).await;
    browser.driver.switch_to_window(first).await.unwrap();
    browser.element(HELD).await;
    browser.element(&format!("#seats label:has(input[value='{chosen}']:checked)")).await;
    browser.assert_quiet().await;
    browser.close().await;
}

#[tokio::test]
async fn a_seat_that_is_taken_under_the_focus_keeps_it() {
    let shop = Shop::open();
    let browser = at_the_hall(&shop).await;
    browser.element("#hall.live").await;
    let seat = free_seat(&browser).await;
    let box_of_it = format!("#seats input[value='{seat}']");
    browser.run(&format!("document.querySelector(\"{box_of_it}\").focus()")).await;
    let fan = shop.client(&fan(1)).await;
    let token = fan.enter(None).await;
    fan.hold(&token, seat.parse().unwrap()).await.expect(201);
    browser.element(&format!("#seats label[data-state=held]:has(input[value='{seat}'])")).await;
    assert!(browser.focused(&box_of_it).await, "the focus was lost");
    browser.press(thirtyfour::Key::Space).await;
    browser.contains("#news", &taken_words(&browser).await).await;
    assert!(!browser.focused(&format!("{box_of_it}:checked")).await);
    browser.assert_quiet().await;
    browser.close().await;
}

/// What the page says of a seat that cannot be chosen, without its name.
async fn taken_words(browser: &Browser) -> String {
    let said = browser.run("return JSON.parse(document.getElementById('hall').dataset.hall).words.taken").await;
    said.as_str().unwrap().replace("{place}", "").trim().to_owned()
}

#[tokio::test]
async fn a_hold_runs_out_in_front_of_the_buyer_who_can_choose_again() {
    let shop = Shop::open_with(&["--hold-seconds", "12", "--seat-cooldown-seconds", "0"]);
    let browser = shop.browser(Wishes { language: "en-US", ..Wishes::default() }).await;
    go_in(&browser, BUYER, CONCERT).await;
    hold_a_seat(&browser).await;
    browser.gone(HELD).await;
    browser.arrive(&format!("/concerts/{CONCERT}/seats")).await;
    browser.assert_quiet().await;
    browser.close().await;
}

#[tokio::test]
async fn forms_come_back_with_what_was_typed_and_the_field_that_is_wrong() {
    let shop = Shop::open();
    let browser = shop.browser(Wishes::default()).await;
    browser.goto("/register").await;
    browser.run("document.querySelector('form[action^=\"/register\"]').noValidate = true").await;
    browser.fill("input[name=name]", "김민지").await;
    browser.fill("input[name=email]", "not an address").await;
    browser.fill("input[name=password]", "correct horse battery").await;
    browser.submit("input[name=password]").await;
    browser.element("input[name=email][aria-invalid=true]").await;
    let name = browser.element("input[name=name]").await.value().await.unwrap();
    assert_eq!(name.as_deref(), Some("김민지"));
    assert_eq!(browser.element("input[name=password]").await.value().await.unwrap().unwrap_or_default(), "");
    browser.close().await;
}
