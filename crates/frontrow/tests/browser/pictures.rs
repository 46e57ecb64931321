//! The pictures of the README: `scripts/make-screenshots.sh`.

use crate::{
    shop::{BUYER, CONCERT, HELD, PAY, Shop, enter, fan, hold_a_seat, join, sign_in},
    window::{Browser, Screen, Wishes},
};
use std::path::{Path, PathBuf};

async fn take(browser: &Browser, folder: &Path, name: &str) {
    // Pictures and fonts are there once nothing is loading; the map draws on the next frame.
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    browser.driver.screenshot(&folder.join(format!("{name}.png"))).await.unwrap();
}

#[tokio::test]
#[ignore = "it makes the pictures of the README and checks nothing"]
async fn pictures_of_a_sale() {
    let folder = PathBuf::from(std::env::var_os("FRONTROW_PICTURES").unwrap());
    for (screen, suffix) in [(Screen::Desktop, "wide"), (Screen::Phone, "phone")] {
        for (language, tag) in [("ko-KR", "ko"), ("en-US", "en")] {
            let shop = Shop::open_with(&["--max-active", "1"]);
            let browser = shop.browser(Wishes { screen, language, ..Wishes::default() }).await;
            let name = |page: &str| format!("{page}-{tag}-{suffix}");
            browser.goto("/").await;
            take(&browser, &folder, &name("season")).await;
            browser.goto(&format!("/concerts/{CONCERT}")).await;
            take(&browser, &folder, &name("concert")).await;
            let inside = shop.client(&fan(1)).await;
            let token = inside.enter(Some(CONCERT)).await;
            let ahead = shop.client(&fan(2)).await;
            let next = ahead.join(Some(CONCERT)).await["token"].as_str().unwrap().to_owned();
            sign_in(&browser, BUYER).await;
            join(&browser, CONCERT).await;
            browser.element("[data-scene=waiting]").await;
            take(&browser, &folder, &name("waiting")).await;
            for (client, token) in [(&ahead, &next), (&inside, &token)] {
                client.delete(&format!("/queue/tokens/{token}")).await.expect(204);
            }
            browser.element("[data-scene=offered]").await;
            take(&browser, &folder, &name("turn")).await;
            enter(&browser, CONCERT).await;
            hold_a_seat(&browser).await;
            browser.element(HELD).await;
            take(&browser, &folder, &name("hall")).await;
            browser.goto(&format!("/concerts/{CONCERT}/pay")).await;
            take(&browser, &folder, &name("pay")).await;
            browser.click(PAY).await;
            browser.arrive(&format!("/concerts/{CONCERT}/tickets")).await;
            take(&browser, &folder, &name("tickets")).await;
            browser.goto("/mine").await;
            take(&browser, &folder, &name("mine")).await;
            browser.close().await;
        }
    }
}
