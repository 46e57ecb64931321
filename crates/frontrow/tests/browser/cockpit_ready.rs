//! The checklist before the opening in a browser: it looks again by itself, in both languages and in one hand.

use crate::{
    accessibility::assert_accessible,
    shop::{CONCERT, OPERATOR, Shop, sign_in},
    window::{Screen, Scripts, Wishes},
};
use serde_json::json;

#[tokio::test]
async fn the_checklist_looks_again_by_itself_and_fits_every_screen() {
    let shop = Shop::open();
    let path = format!("/operator/concerts/{CONCERT}/ready");
    for (screen, language) in [(Screen::Phone, "ko-KR"), (Screen::Narrow, "en-US"), (Screen::Desktop, "ko-KR")] {
        let browser = shop.browser(Wishes { screen, language, ..Wishes::default() }).await;
        sign_in(&browser, OPERATOR).await;
        browser.goto(&path).await;
        browser.element(".ready-check").await;
        browser.assert_fits().await;
        assert_accessible(&browser).await;
        if let Some(folder) = std::env::var_os("FRONTROW_DESK_PICTURES") {
            let picture = std::path::Path::new(&folder).join(format!("ready-{screen:?}-{language}.png"));
            browser.driver.screenshot(&picture).await.unwrap();
        }
        browser.assert_quiet().await;
        browser.close().await;
    }
    // What changes is shown without a reload.
    let browser = shop.browser(Wishes { language: "en-US", ..Wishes::default() }).await;
    sign_in(&browser, OPERATOR).await;
    browser.goto(&path).await;
    browser.contains("#ready", "People in line see no message.").await;
    browser.run("window.isOld = true").await;
    let operator = shop.operator().await;
    operator.patch("/operator/rooms/0", &json!({ "message": "곧 엽니다" })).await.expect(200);
    browser.contains("#ready", "곧 엽니다").await;
    assert_eq!(browser.run("return window.isOld").await, json!(true));
    browser.click("#ready form button").await;
    browser.contains("#ready", "You said that there’s a backup.").await;
    browser.close().await;
    let plain = shop.browser(Wishes { scripts: Scripts::Off, language: "en-US", ..Wishes::default() }).await;
    sign_in(&plain, OPERATOR).await;
    plain.goto(&path).await;
    plain.contains("#ready", "곧 엽니다").await;
    plain.close().await;
}
