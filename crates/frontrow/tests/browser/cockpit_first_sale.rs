//! From an empty box office to the first sold ticket, by the screen alone.

use crate::{
    PROGRAM,
    accessibility::assert_accessible,
    shop::{CLAIM, HELD, HOLD, PAY, join, open_section},
    window::{Browser, Screen, Wishes},
};
use frontrow_clock::Clock;
use frontrow_domain::time::{Span, Time};
use frontrow_testkit::program::Process;
use std::path::Path;

const PASSWORD: &str = "correct horse battery";
const SUBMIT: &str = "main form[method=post] button[type=submit]";

/// A moment by the clock of Seoul, as a field of a date with an hour has it.
fn in_seoul(at: Time) -> String {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(9));
    let at = jiff::Timestamp::from_microsecond(at.micros()).unwrap().to_zoned(zone);
    at.strftime("%Y-%m-%dT%H:%M").to_string()
}

/// Sets fields, those with a picker too: what a browser lets one type depends on its language.
async fn fill(browser: &Browser, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        let field = browser.element(&format!("[name={name}]")).await;
        let kind = field.attr("type").await.unwrap().unwrap_or_default();
        if ["date", "time", "datetime-local"].contains(&kind.as_str()) {
            let script = "arguments[0].value = arguments[1];";
            let arguments = vec![field.to_json().unwrap(), serde_json::json!(value)];
            browser.driver.execute(script, arguments).await.unwrap();
        } else {
            field.clear().await.unwrap();
            field.send_keys(*value).await.unwrap();
        }
    }
}

/// Fills the form of a step and sends it.
async fn step(browser: &Browser, fields: &[(&str, &str)]) {
    fill(browser, fields).await;
    browser.assert_fits().await;
    assert_accessible(browser).await;
    browser.click(SUBMIT).await;
}

fn open(folder: &Path) -> (Process, String) {
    let mut process = PROGRAM.start_with(folder, &[]);
    let link = process.next_line_with("First operator:");
    let path = format!("/operator/setup/{}", link.split_once("/operator/setup/").unwrap().1.trim());
    (process, path)
}

async fn sets_up(process: &Process, link: &str, wishes: Wishes) -> Browser {
    let browser = Browser::open(process.address, wishes).await;
    browser.goto(link).await;
    fill(&browser, &[("name", "Kim Minji"), ("email", "boss@example.com"), ("password", PASSWORD)]).await;
    browser.click("#first-operator button[type=submit]").await;
    browser.arrive("/operator/second-factor").await;
    browser.goto("/operator").await;
    browser.assert_fits().await;
    assert_accessible(&browser).await;
    browser.click("a[href='/operator/start']").await;
    browser.arrive("/operator/start").await;
    browser
}

async fn buys(process: &Process) {
    let browser = Browser::open(process.address, Wishes { language: "en-US", ..Wishes::default() }).await;
    browser.goto("/register").await;
    fill(&browser, &[("name", "Park Junho"), ("email", "junho@example.com"), ("password", PASSWORD)]).await;
    browser.click("form[action^='/register'] button[type=submit]").await;
    browser.arrive_elsewhere("/register").await;
    browser.goto("/mine/points").await;
    fill(&browser, &[("amount", "180000")]).await;
    browser.click("main form[method=post] button").await;
    browser.contains("main", "180,000").await;
    join(&browser, 1).await;
    browser.click(CLAIM).await;
    browser.arrive("/concerts/1/seats").await;
    open_section(&browser).await;
    browser.click("#seats label:has(input[name=seat]:not(:disabled))").await;
    browser.click(HOLD).await;
    browser.element(HELD).await;
    browser.click("#tray a.button").await;
    browser.arrive("/concerts/1/pay").await;
    browser.click(PAY).await;
    browser.arrive("/concerts/1/tickets").await;
    browser.assert_quiet().await;
    browser.close().await;
}

/// The whole way with these wishes of the operator.
async fn first_sale(wishes: Wishes) {
    let folder = tempfile::tempdir().unwrap();
    let (process, link) = open(folder.path());
    let browser = sets_up(&process, &link, wishes).await;
    let now = Clock::System.now();
    let show = in_seoul(now.plus(Span::from_secs(30 * 86_400)));
    let (date, _) = show.split_once('T').unwrap();
    step(
        &browser,
        &[
            ("title", "Midnight Tide"),
            ("artist", "Midnight Tide"),
            ("venue", "Hangang Hall"),
            ("concert_date", date),
            ("start_time", "20:00"),
            ("end_time", "22:30"),
            ("base_price", "120000"),
        ],
    )
    .await;
    browser.arrive("/operator/start/1/seats").await;
    step(
        &browser,
        &[("section", "Floor"), ("rows", "A-B"), ("numbers", "1-10"), ("grade", "VIP"), ("price", "180000")],
    )
    .await;
    browser.contains("main", "20").await;
    browser.click("main a.button[href='/operator/start/1/room']").await;
    browser.arrive("/operator/start/1/room").await;
    step(&browser, &[("own_room_max_active", "30")]).await;
    browser.arrive("/operator/start/1/opening").await;
    // It opens at once.
    step(&browser, &[("opens_at", &in_seoul(Clock::System.now()))]).await;
    browser.arrive("/operator/start/1/look").await;
    browser.assert_fits().await;
    assert_accessible(&browser).await;
    browser.click("main a[href^='/concerts/1']").await;
    browser.arrive("/concerts/1").await;
    browser.contains("main", "Hangang Hall").await;
    browser.click("main a[href='/operator/concerts/1']").await;
    browser.click("main a[href='/operator/start/1']").await;
    browser.arrive("/operator/start/1/look").await;
    browser.click(SUBMIT).await;
    browser.arrive("/operator/concerts/1").await;
    assert_accessible(&browser).await;
    browser.assert_fits().await;
    buys(&process).await;
    browser.goto("/operator/concerts/1").await;
    browser.contains("main", "1").await;
    for path in ["/operator", "/operator/concerts", "/operator/concerts/1/edit", "/operator/concerts/1/act/close"] {
        browser.goto(path).await;
        browser.element("h1").await;
        browser.assert_fits().await;
        assert_accessible(&browser).await;
    }
    browser.assert_quiet().await;
    browser.close().await;
    process.kill();
}

#[tokio::test]
async fn the_first_ticket_of_a_new_box_office_is_sold_by_the_screen_alone() {
    first_sale(Wishes::default()).await;
}

#[tokio::test]
async fn the_first_concert_is_made_on_a_telephone_in_english() {
    first_sale(Wishes { language: "en-US", screen: Screen::Phone, ..Wishes::default() }).await;
}
