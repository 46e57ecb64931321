//! Operators work on the seats of a concert: by ranges and by a file, on the map with the mouse, in the list by the
//! keyboard, on a telephone and without scripts. A buyer's hall follows.

use crate::{
    accessibility::assert_accessible,
    shop::{CONCERT, OPERATOR, Shop, sign_in},
    window::{Browser, Screen, Scripts, Wishes},
};
use frontrow_testkit::{Client, wait_until};
use serde_json::Value;
use thirtyfour::prelude::*;

const BLOCK: &str = ".acts button[value=block]";
const FREE: &str = ".acts button[value=free]";
/// The button that does what was asked.
const CONFIRM: &str = "form[action$='/set'] button";

fn seats_path() -> String {
    format!("/operator/concerts/{CONCERT}/seats")
}

/// The seats of the concert by row and number, with their states.
async fn seats(client: &Client) -> Vec<Value> {
    let map = client.get(&format!("/concerts/{CONCERT}/seats")).await.expect(200);
    map["seats"].as_array().unwrap().clone()
}

async fn ids(client: &Client, section: &str, row: &str) -> Vec<i64> {
    let found = seats(client).await;
    let found = found.iter().filter(|seat| seat["section"] == section && seat["row"] == row);
    found.map(|seat| seat["seat_id"].as_i64().unwrap()).collect()
}

/// Opens the seats of the concert, with the map once scripts run.
async fn open_seats(browser: &Browser) {
    browser.goto(&seats_path()).await;
    browser.element("#hall.live").await;
}

/// Gives the reason that the page asks for, and goes on.
async fn confirm_block(browser: &Browser, reason: &str) {
    browser.arrive(&format!("{}/ask", seats_path())).await;
    browser.fill("#reason", reason).await;
    assert_accessible(browser).await;
    browser.click(CONFIRM).await;
    browser.arrive(&format!("{}?did=block", seats_path())).await;
}

async fn add(browser: &Browser, count: &str) {
    browser.click("button[value=look]").await;
    browser.contains("#preview", count).await;
    assert_accessible(browser).await;
    browser.click("button[value=add]").await;
    browser.arrive(&format!("{}?did=add", seats_path())).await;
    browser.contains("#did", count).await;
}

/// Draws an area over a part of the map, in parts of its width and height from its middle.
async fn draw(browser: &Browser, from: (f64, f64), to: (f64, f64)) {
    let canvas = browser.element(".plan canvas").await;
    canvas.scroll_into_view().await.unwrap();
    let (width, height) = canvas.rect().await.map(|rect| (rect.width, rect.height)).unwrap();
    #[expect(clippy::cast_possible_truncation, reason = "pixels of a window")]
    let at = |(x, y): (f64, f64)| ((x * width) as i64, (y * height) as i64);
    let (from, to) = (at(from), at(to));
    let chain = browser.driver.action_chain();
    let chain = chain.move_to_element_with_offset(&canvas, from.0, from.1).click_and_hold();
    let chain = chain.move_by_offset((to.0 - from.0) / 2, (to.1 - from.1) / 2);
    chain.move_to_element_with_offset(&canvas, to.0, to.1).release().perform().await.unwrap();
}

#[tokio::test]
async fn seats_are_added_and_blocked_on_the_map_and_a_buyers_hall_follows() {
    let shop = Shop::open();
    let operator = shop.operator().await;
    let browser = shop.browser(Wishes { language: "en-US", ..Wishes::default() }).await;
    sign_in(&browser, OPERATOR).await;
    open_seats(&browser).await;
    assert_accessible(&browser).await;
    let before = seats(&operator).await.len();
    browser.goto(&format!("{}/add", seats_path())).await;
    assert_accessible(&browser).await;
    browser.fill("#text", "Balcony, A-B, 1-10, S, 60000").await;
    add(&browser, "20 seats").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gallery.csv");
    std::fs::write(&file, "section,row,number,grade,price\nGallery,A,1,S,50000\nGallery,A,2,S,50000\n").unwrap();
    browser.goto(&format!("{}/add", seats_path())).await;
    browser.element("#file").await.send_keys(file.to_str().unwrap()).await.unwrap();
    add(&browser, "2 seats").await;
    assert_eq!(seats(&operator).await.len(), before + 22);

    // A buyer looks at the hall while seats are blocked.
    let buyer = shop.browser(Wishes::default()).await;
    buyer.goto(&format!("/concerts/{CONCERT}/seats?section=Balcony")).await;
    buyer.element("#hall.live").await;
    let balcony = ids(&operator, "Balcony", "A").await;
    let seen = |id: i64, state: &str| format!("#seats [data-state={state}]:has(input[value='{id}'])");
    buyer.element(&seen(balcony[0], "free")).await;

    // An area over the whole map holds every seat; over a part of it some.
    open_seats(&browser).await;
    browser.click("[data-pick=area]").await;
    draw(&browser, (-0.49, -0.49), (0.49, 0.49)).await;
    browser.contains("#sum", &format!("{} chosen", before + 22)).await;
    browser.click("[data-pick=none]").await;
    browser.contains("#sum", "No seats chosen").await;
    draw(&browser, (-0.49, -0.49), (0.0, 0.49)).await;
    wait_until("some seats are chosen", async || browser.has("#seats input:checked").await).await;
    let chosen = browser.run("return document.querySelectorAll('#seats input:checked').length").await;
    assert!((1..=i64::try_from(before).unwrap() + 21).contains(&chosen.as_i64().unwrap()), "{chosen}");
    browser.click("[data-pick=none]").await;

    // A seat of the list, then its whole row.
    let floor = ids(&operator, "Balcony", "A").await;
    browser
        .driver
        .execute("document.querySelectorAll('#seats details').forEach(one => one.open = true)", vec![])
        .await
        .unwrap();
    browser.click(&format!("#seats label:has(input[value='{}'])", floor[0])).await;
    browser.click("[data-pick=row]").await;
    browser.contains("#sum", "10 chosen (free 10): Balcony, row A (all 10)").await;
    browser.click(BLOCK).await;
    confirm_block(&browser, "Camera").await;
    buyer.element(&seen(balcony[0], "blocked")).await;
    let counts = ".counts dd[data-state=blocked]";
    browser.contains(counts, "10").await;

    // Why, by whom and since when.
    open_seats(&browser).await;
    browser
        .driver
        .execute("document.querySelectorAll('#seats details').forEach(one => one.open = true)", vec![])
        .await
        .unwrap();
    browser.click(&format!("#seats label:has(input[value='{}'])", floor[1])).await;
    browser.contains("#about", "Reason: Camera").await;
    browser.contains("#about", "Blocked by").await;
    assert_accessible(&browser).await;
    browser.click("[data-pick=row]").await;
    browser.click(FREE).await;
    browser.arrive(&format!("{}/ask", seats_path())).await;
    browser.fill("#reason", "The camera moved").await;
    browser.click(CONFIRM).await;
    browser.arrive(&format!("{}?did=free", seats_path())).await;
    buyer.element(&seen(balcony[0], "free")).await;
    browser.assert_quiet().await;
    buyer.assert_quiet().await;
    buyer.close().await;
    browser.close().await;
}

#[tokio::test]
async fn a_run_of_seats_is_blocked_by_the_keyboard_alone() {
    let shop = Shop::open();
    let operator = shop.operator().await;
    let browser = shop.browser(Wishes { language: "en-US", ..Wishes::default() }).await;
    sign_in(&browser, OPERATOR).await;
    open_seats(&browser).await;
    browser.tab_to("#seats input[name=seat]").await;
    browser.press(Key::Home).await;
    browser.type_keys(" ").await;
    for _ in 0..3 {
        browser.press(Key::Right).await;
    }
    let chain = browser.driver.action_chain();
    chain.key_down(Key::Shift).send_keys(" ").key_up(Key::Shift).perform().await.unwrap();
    browser.contains("#sum", "4 chosen").await;
    let wanted: Vec<_> = {
        let checked = "return [...document.querySelectorAll('#seats input:checked')].map(box => Number(box.value))";
        browser.run(checked).await.as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect()
    };
    browser.tab_to(BLOCK).await;
    browser.press(Key::Enter).await;
    browser.arrive(&format!("{}/ask", seats_path())).await;
    browser.tab_to("#reason").await;
    browser.type_keys("Camera").await;
    browser.press(Key::Enter).await;
    browser.arrive(&format!("{}?did=block", seats_path())).await;
    let blocked: Vec<_> = seats(&operator)
        .await
        .iter()
        .filter(|seat| seat["status"] == "blocked")
        .map(|seat| seat["seat_id"].as_i64().unwrap())
        .collect();
    // Seats that fans of the demo have bought are left out.
    assert!(!blocked.is_empty() && blocked.iter().all(|id| wanted.contains(id)), "{blocked:?} of {wanted:?}");
    browser.close().await;
}

#[tokio::test]
async fn seats_are_blocked_and_freed_without_scripts() {
    let shop = Shop::open();
    let operator = shop.operator().await;
    let browser = shop.browser(Wishes { scripts: Scripts::Off, ..Wishes::default() }).await;
    sign_in(&browser, OPERATOR).await;
    browser.goto(&seats_path()).await;
    let free = seats(&operator).await.iter().find(|seat| seat["status"] == "available").cloned().unwrap();
    let id = free["seat_id"].as_i64().unwrap();
    let state = async || {
        let found = seats(&operator).await;
        found.iter().find(|seat| seat["seat_id"] == id).unwrap()["status"].as_str().unwrap().to_owned()
    };
    browser.click(&format!("#seats label:has(input[name=seat][value='{id}'])")).await;
    browser.click(BLOCK).await;
    browser.arrive(&format!("{}/ask", seats_path())).await;
    browser.fill("#reason", "카메라").await;
    browser.click(CONFIRM).await;
    browser.arrive(&format!("{}?did=block", seats_path())).await;
    assert_eq!(state().await, "blocked");
    // By the box of its row: the others are free or sold, and left out.
    browser.click(&format!("#seats fieldset:has(input[value='{id}']) input[name=row]")).await;
    browser.click(FREE).await;
    browser.arrive(&format!("{}/ask", seats_path())).await;
    browser.click(CONFIRM).await;
    browser.arrive(&format!("{}?did=free&count=1", seats_path())).await;
    assert_eq!(state().await, "available");
    browser.close().await;
}

#[tokio::test]
async fn the_seats_fit_a_telephone_and_have_no_fault_that_axe_finds() {
    let shop = Shop::open();
    for (screen, language) in [(Screen::Phone, "ko-KR"), (Screen::Narrow, "en-US")] {
        let browser = shop.browser(Wishes { screen, language, ..Wishes::default() }).await;
        sign_in(&browser, OPERATOR).await;
        open_seats(&browser).await;
        browser.assert_fits().await;
        assert_accessible(&browser).await;
        browser.click("#seats label:has(input[name=seat])").await;
        browser.click(".acts button[value=change]").await;
        browser.arrive(&format!("{}/ask", seats_path())).await;
        browser.assert_fits().await;
        assert_accessible(&browser).await;
        browser.goto(&format!("{}/add", seats_path())).await;
        browser.assert_fits().await;
        assert_accessible(&browser).await;
        browser.assert_quiet().await;
        browser.close().await;
    }
}
