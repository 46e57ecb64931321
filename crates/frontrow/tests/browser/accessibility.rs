//! Every page by the rules of axe-core, in both languages and at two widths.

use crate::{
    shop::{BUYER, OPERATOR, Shop, sign_in},
    window::{Browser, Screen, Wishes},
};
use serde_json::{Value, json};

/// axe-core comes from npm (scripts/check-pages.sh); without it nothing is checked, and the test command says so.
fn axe() -> Option<String> {
    let path = std::env::var_os("FRONTROW_AXE")?;
    Some(std::fs::read_to_string(path).unwrap())
}

/// Runs in the page: the rules of WCAG 2.2 AA and axe's own best practices.
const RUN: &str = "const done = arguments[arguments.length - 1];
    axe.run(document, { resultTypes: ['violations'] }).then(found => done(found.violations.map(violation =>
        `${violation.id}: ${violation.help}: ${violation.nodes.map(node => node.html).slice(0, 3).join(' ')}`)));";

/// Checks that axe-core finds no fault in the page that is shown.
pub(crate) async fn assert_accessible(browser: &Browser) {
    let Some(axe) = axe() else { return };
    browser.driver.execute(axe, Vec::new()).await.unwrap();
    let found = browser.driver.execute_async(RUN, Vec::new()).await.unwrap().json().clone();
    assert_eq!(found, Value::Array(Vec::new()), "at {}", browser.path().await);
}

/// The pages that need no account.
const PUBLIC: [&str; 9] = [
    "/",
    "/?q=nothing-like-this",
    "/concerts/1",
    "/concerts/2/seats",
    "/concerts/7/draw",
    "/sign-in",
    "/register",
    "/forgot",
    "/no-such-page",
];
/// Those of a buyer.
const PRIVATE: [&str; 6] =
    ["/mine", "/mine/points", "/mine/payments", "/account", "/concerts/2/pay", "/concerts/2/seats"];
/// Those of operators, but for pages whose own tests check them (`cockpit_*.rs`, `factor.rs`).
const OPERATORS: [&str; 11] = [
    "/operator",
    "/operator/second-factor",
    "/operator/concerts/new",
    "/operator/rooms/0",
    "/operator/rooms/new",
    "/operator/rooms/0/budget",
    "/operator/rooms/0/lanes",
    "/operator/concerts/2/edit",
    "/operator/concerts/2/poster",
    "/operator/concerts/2/act/cancel",
    "/concerts/2?for=operators",
];

/// The page of the report of a room that was opened and closed.
async fn closed_room(shop: &Shop) -> String {
    let operator = shop.operator().await;
    let draft = json!({ "name": "Shop", "turn_url": "https://shop.example.com/tickets", "max_active": 1 });
    let room = operator.post("/operator/rooms", &draft).await.expect(201)["room_id"].clone();
    operator.post(&format!("/operator/rooms/{room}/close"), &json!({ "reason": "It is over." })).await.expect(200);
    format!("/line/{room}/report")
}

#[tokio::test]
async fn no_page_has_a_fault_that_axe_finds_in_either_language_and_at_two_widths() {
    let shop = Shop::open();
    let report = closed_room(&shop).await;
    for language in ["ko-KR", "en-US"] {
        for screen in [Screen::Desktop, Screen::Narrow] {
            let browser = shop.browser(Wishes { screen, language, ..Wishes::default() }).await;
            for path in PUBLIC.into_iter().chain([report.as_str()]) {
                browser.goto(path).await;
                assert_eq!(browser.lang().await, language[..2]);
                browser.assert_fits().await;
                assert_accessible(&browser).await;
            }
            sign_in(&browser, BUYER).await;
            for path in PRIVATE {
                browser.goto(path).await;
                browser.assert_fits().await;
                assert_accessible(&browser).await;
            }
            browser.close().await;
            let browser = shop.browser(Wishes { screen, language, ..Wishes::default() }).await;
            sign_in(&browser, OPERATOR).await;
            for path in OPERATORS {
                browser.goto(path).await;
                browser.assert_fits().await;
                assert_accessible(&browser).await;
            }
            browser.close().await;
        }
    }
}
