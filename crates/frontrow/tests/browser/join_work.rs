//! The work that a new place may ask for, in a real browser.

use crate::{
    accessibility::assert_accessible,
    shop::{BUYER, CONCERT, Shop, join, sign_in},
    window::{Screen, Scripts, Wishes},
};

const ASKS: [&str; 4] = ["--max-active", "1", "--proof-of-work", "always"];
const JOIN: &str = "form[action='/concerts/2/line'] button";
/// Shows the page that works in place of the one that is open: what a test has changed in the window stays so.
const SHOW: &str = "fetch('/concerts/2/line', { method: 'POST', body: new URLSearchParams() })
    .then(answer => answer.text()).then(text => {
        const page = new DOMParser().parseFromString(text, 'text/html');
        const source = page.querySelector('script[type=module]').src;
        document.head.replaceWith(document.adoptNode(page.head));
        document.body.replaceWith(document.adoptNode(page.body));
        const script = document.createElement('script');
        Object.assign(script, { type: 'module', src: source });
        document.body.append(script);
    });";

#[tokio::test]
async fn a_browser_does_the_work_by_itself_and_joins() {
    let shop = Shop::open_with(&ASKS);
    for screen in [Screen::Desktop, Screen::Phone] {
        let browser = shop.browser(Wishes { screen, ..Wishes::default() }).await;
        sign_in(&browser, &crate::shop::fan(1 + usize::from(screen == Screen::Phone))).await;
        join(&browser, CONCERT).await;
        browser.element("[data-part=scene]").await;
        browser.assert_quiet().await;
        browser.close().await;
    }
}

#[tokio::test]
async fn the_page_that_works_has_no_fault_that_axe_finds() {
    let shop = Shop::open_with(&ASKS);
    for (language, done) in [("ko-KR", "계산이 끝났습니다"), ("en-US", "Done.")] {
        let browser = shop.browser(Wishes { screen: Screen::Narrow, language, ..Wishes::default() }).await;
        sign_in(&browser, BUYER).await;
        browser.goto(&format!("/concerts/{CONCERT}")).await;
        // The page stays: its form is not sent.
        browser.run(&format!("HTMLFormElement.prototype.submit = () => {{}}; {SHOW}")).await;
        browser.contains("#work [data-part=said]", done).await;
        browser.assert_fits().await;
        assert_accessible(&browser).await;
        browser.assert_quiet().await;
        browser.close().await;
    }
}

#[tokio::test]
async fn a_browser_without_scripts_shows_the_button_and_how_long_to_wait() {
    let shop = Shop::open_with(&ASKS);
    let browser = shop.browser(Wishes { scripts: Scripts::Off, ..Wishes::default() }).await;
    sign_in(&browser, BUYER).await;
    browser.goto(&format!("/concerts/{CONCERT}")).await;
    browser.click(JOIN).await;
    browser.contains("#work", "초 뒤에 버튼을 눌러").await;
    browser.click("#work button").await;
    browser.contains("#work", "초 뒤에 버튼을 눌러").await;
    browser.close().await;
}

#[tokio::test]
async fn a_browser_without_workers_works_beside_the_page() {
    let shop = Shop::open_with(&ASKS);
    let browser = shop.browser(Wishes::default()).await;
    sign_in(&browser, BUYER).await;
    browser.goto(&format!("/concerts/{CONCERT}")).await;
    let without = "window.Worker = class { constructor() { throw new Error('there are no workers'); } };";
    browser.run(&format!("{without} {SHOW}")).await;
    browser.arrive("/line/").await;
    browser.element("[data-part=scene]").await;
    browser.close().await;
}
