//! The first operator of a new box office, and signing in with a second factor, from the printed link on.

use crate::{
    PROGRAM,
    accessibility::assert_accessible,
    window::{Browser, Screen, Wishes},
};
use frontrow_clock::Clock;
use frontrow_domain::time::Span;
use frontrow_testkit::app_code;

const EMAIL: &str = "boss@example.com";
const PASSWORD: &str = "correct horse battery";

async fn send(browser: &Browser, form: &str, fields: &[(&str, &str)]) {
    for (name, text) in fields {
        browser.fill(&format!("{form} [name={name}]"), text).await;
    }
    browser.click(&format!("{form} button[type=submit]")).await;
}

async fn sign_out(browser: &Browser) {
    browser.goto("/account").await;
    browser.click("form[action='/sign-out'] button").await;
    browser.arrive_elsewhere("/account").await;
}

async fn ask_for_code(browser: &Browser) {
    browser.goto("/sign-in?next=/operator").await;
    send(browser, "#sign-in", &[("email", EMAIL), ("password", PASSWORD)]).await;
    browser.element("#code [name=code]").await;
}

#[tokio::test]
async fn the_first_operator_sets_up_a_second_factor_and_signs_in_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = PROGRAM.start_with(folder.path(), &[]);
    let link = process.next_line_with("First operator:");
    let (_, path) = link.split_once("/operator/setup/").unwrap();
    let wishes = Wishes { language: "en-US", screen: Screen::Phone, ..Wishes::default() };
    let browser = Browser::open(process.address, wishes).await;
    browser.goto(&format!("/operator/setup/{}", path.trim())).await;
    browser.assert_fits().await;
    assert_accessible(&browser).await;
    send(&browser, "#first-operator", &[("name", "Kim Minji"), ("email", EMAIL), ("password", PASSWORD)]).await;

    browser.arrive("/operator/second-factor?next=%2Foperator").await;
    assert_accessible(&browser).await;
    browser.click("form[action$='/begin'] button").await;
    let key = browser.element("code.key").await.text().await.unwrap();
    assert!(browser.element("img.qr").await.prop("naturalWidth").await.unwrap().is_some_and(|width| width != "0"));
    browser.assert_fits().await;
    assert_accessible(&browser).await;
    // The next code is right already: the present one may be over before it is sent.
    let code = |steps: i64| app_code(&key, Clock::System.now().plus(Span::from_secs(30 * steps)));
    send(&browser, "#confirm", &[("code", &code(0)), ("password", PASSWORD)]).await;
    browser.element("#codes").await;
    browser.element("[data-act=copy]").await;
    browser.assert_fits().await;
    assert_accessible(&browser).await;
    let mut recovery = Vec::new();
    for code in browser.driver.find_all(thirtyfour::By::Css("#codes code")).await.unwrap() {
        recovery.push(code.text().await.unwrap());
    }
    assert_eq!(recovery.len(), 10);
    browser.click("a.button.wide").await;
    browser.arrive("/operator").await;
    sign_out(&browser).await;

    ask_for_code(&browser).await;
    browser.assert_fits().await;
    assert_accessible(&browser).await;
    send(&browser, "#code", &[("code", "000000")]).await;
    browser.contains("main", "The code isn’t right").await;
    assert_accessible(&browser).await;
    send(&browser, "#code", &[("code", &code(1))]).await;
    browser.arrive("/operator").await;
    sign_out(&browser).await;

    ask_for_code(&browser).await;
    send(&browser, "#code", &[("code", &recovery[0].to_lowercase())]).await;
    browser.arrive("/operator").await;
    sign_out(&browser).await;
    ask_for_code(&browser).await;
    send(&browser, "#code", &[("code", &recovery[0])]).await;
    browser.contains("main", "The code isn’t right").await;
    send(&browser, "#code", &[("code", &recovery[1])]).await;
    browser.arrive("/operator").await;
    browser.close().await;

    // The same pages in Korean, as narrow as can be.
    let browser = Browser::open(process.address, Wishes { screen: Screen::Narrow, ..Wishes::default() }).await;
    ask_for_code(&browser).await;
    browser.assert_fits().await;
    assert_accessible(&browser).await;
    send(&browser, "#code", &[("code", &recovery[2])]).await;
    browser.arrive("/operator").await;
    browser.goto("/operator/second-factor").await;
    browser.contains("main", "복구 코드가 7개").await;
    browser.assert_fits().await;
    assert_accessible(&browser).await;
    send(&browser, "#renew", &[("code", &recovery[3])]).await;
    browser.element("#codes").await;
    browser.assert_fits().await;
    browser.close().await;
    process.kill();
}
