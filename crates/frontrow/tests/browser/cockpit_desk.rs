//! The screen of a sale in a browser: an operator moves a crowd of real buyers, two operators share a room, a viewer
//! looks on.

use crate::{
    accessibility::assert_accessible,
    shop::{CONCERT, OPERATOR, Shop, sign_in},
    window::{Browser, Screen, Scripts, Wishes},
};
use frontrow_testkit::{eventually, wait_until};
use regex::Regex;
use serde_json::{Value, json};
use thirtyfour::prelude::*;

const APPLY: &str = "#room button.wide[value=apply]";
const CONFIRM: &str = "main form button.wide";

/// The path of the screen.
fn path() -> String {
    format!("/operator/concerts/{CONCERT}/sale")
}

/// A browser with the screen of the sale.
async fn at_the_desk(shop: &Shop, wishes: Wishes, email: &str) -> Browser {
    let browser = shop.browser(wishes).await;
    sign_in(&browser, email).await;
    browser.goto(&path()).await;
    browser.element("[data-fill=waiting]").await;
    browser
}

/// Waits until a number of the strip is as it should be.
async fn shows(browser: &Browser, name: &str, is_so: impl Fn(i64) -> bool) {
    wait_until(&format!("{name} is as it should be"), async || {
        let script = format!("return document.querySelector('[data-fill={name}]').textContent");
        let text = browser.run(&script).await.as_str().unwrap_or_default().replace(',', "");
        text.parse().is_ok_and(&is_so)
    })
    .await;
}

/// Takes a picture, if somebody wants to look.
async fn picture(browser: &Browser, name: &str) {
    if let Some(folder) = std::env::var_os("FRONTROW_DESK_PICTURES") {
        let path = std::path::Path::new(&folder).join(format!("{name}.png"));
        browser.driver.screenshot(&path).await.unwrap();
    }
}

/// Presses a button that applies a change at once. The page before may be one of a change that was applied, too.
async fn applies(browser: &Browser, css: &str) {
    browser.leaves(async || browser.click(css).await).await;
    browser.arrive(&format!("{}?applied", path())).await;
}

/// The same by the Enter key, where the focus is.
async fn enter_applies(browser: &Browser) {
    browser.leaves(async || browser.press(Key::Enter).await).await;
    browser.arrive(&format!("{}?applied", path())).await;
}

/// Whether a preview says when the seats are sold out, or why that is not known: how many visits have ended by then is the
/// crowd's affair.
fn is_forecast(preview: &str) -> bool {
    let unknown = r"매진 시각은 아직 알 수 없습니다: 최근 2분에 끝난 입장이 30건이 안 됩니다\.";
    let known = [
        r"매진 예상이 \d\d:\d\d에서 \d\d:\d\d로 바뀝니다\.",
        r"매진 예상은 (그대로 )?\d\d:\d\d입니다\.",
        r"이대로면 오늘 안에 매진되지 않습니다\.",
    ]
    .join("|");
    let of_line = r"( 줄은 \d\d:\d\d에 빕니다\.)?";
    Regex::new(&format!("^({unknown}|({known}){of_line})$")).unwrap().is_match(preview)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_moves_a_crowd_of_buyers_by_cap_rate_message_and_pause() {
    // Given a crowd in a line that lets three in at once.
    let shop = Shop::open();
    let operator = shop.operator().await;
    let room = async || operator.get("/operator/rooms/0").await.expect(200);
    let few = json!({ "max_active": 3, "reason": "a small lobby" });
    operator.patch("/operator/rooms/0", &few).await.expect(200);
    let url = format!("http://{}", shop.address());
    let crowd = tokio::spawn(async move {
        let concert = CONCERT.to_string();
        let args = ["--url", &url, "--concert", &concert, "--buyers", "40", "--signed-in", "--arrivals", "spike:2"];
        frontrow_rush::sale(&[&args[..], &["--duration", "120", "--think", "1500"]].concat()).await
    });
    let browser = at_the_desk(&shop, Wishes::default(), OPERATOR).await;
    shows(&browser, "waiting", |waiting| waiting >= 10).await;
    shows(&browser, "cap", |cap| cap == 3).await;
    browser.contains("[data-part=contact]", "실시간").await;

    // A cap: its preview says how many may come in, and they do.
    browser.fill("#max_active", "12").await;
    browser.contains("[data-part=preview]", "더 들어올 수 있습니다").await;
    picture(&browser, "cap").await;
    applies(&browser, APPLY).await;
    shows(&browser, "cap", |cap| cap == 12).await;
    shows(&browser, "active", |active| active > 3).await;
    browser.contains("[data-part=entries]", "동시 입장: 3 → 12").await;

    // A message, as those in line see it.
    browser.fill("#message", "1인 4매까지 <예매>할 수 있습니다").await;
    browser.contains("[data-part=message] .notice", "1인 4매까지 <예매>할 수 있습니다").await;
    applies(&browser, APPLY).await;
    assert_eq!(room().await["message"], "1인 4매까지 <예매>할 수 있습니다");

    // A rate takes something from buyers: a reason is asked for.
    browser.fill("#admit_per_minute", "30").await;
    let preview = eventually("the preview speaks", async || {
        let said = browser.run("return document.querySelector('[data-part=preview]').textContent").await;
        said.as_str().filter(|said| !said.is_empty()).map(str::to_owned)
    })
    .await;
    assert!(is_forecast(&preview), "{preview}");
    browser.click(APPLY).await;
    browser.contains("h1", "사유를 적어 주세요").await;
    assert_accessible(&browser).await;
    picture(&browser, "reason").await;
    browser.fill("#reason", "현장 요청").await;
    applies(&browser, CONFIRM).await;
    assert_eq!(room().await["admit_per_minute"], 30);

    // A pause says what will happen, and happens.
    browser.click("#room button.gate").await;
    browser.contains("h1", "줄을 멈출까요?").await;
    browser.contains("main", "새 차례가 나가지 않습니다").await;
    picture(&browser, "pause").await;
    browser.fill("#reason", "음향 점검").await;
    applies(&browser, CONFIRM).await;
    browser.element("[data-part=paused]").await;
    assert_eq!(room().await["gate"], "paused");
    browser.contains("[data-part=entries]", "음향 점검").await;
    picture(&browser, "paused").await;
    applies(&browser, "#room button.gate[value=open]").await;
    assert_eq!(room().await["gate"], "open");

    // The charts: curves, marks of what was changed, a cursor by the keyboard, a table.
    wait_until("the curves are drawn", async || {
        let script = "return [...document.querySelectorAll('#charts .curve')].some(path => (path.getAttribute('d') ?? '').length > 40)
            && document.querySelector('#charts .mark').getAttribute('d').includes('V')";
        browser.run(script).await == Value::Bool(true)
    })
    .await;
    let moment = async || browser.run("return document.querySelector('.chart-moment output').textContent").await;
    browser.run("document.querySelector('.chart-moment input').focus()").await;
    let before = moment().await;
    for _ in 0..3 {
        browser.press(Key::Left).await;
    }
    assert_ne!(moment().await, before);
    browser.click(".chart-table summary").await;
    browser.element(".chart-table tbody tr").await;
    browser.assert_fits().await;
    assert_accessible(&browser).await;
    picture(&browser, "charts").await;
    browser.assert_quiet().await;
    browser.close().await;
    crowd.abort();
}

#[tokio::test]
async fn an_operator_pauses_the_line_sets_a_message_and_a_cap_by_the_keyboard_alone() {
    let shop = Shop::open();
    let operator = shop.operator().await;
    let room = async || operator.get("/operator/rooms/0").await.expect(200);
    let browser = at_the_desk(&shop, Wishes::default(), OPERATOR).await;

    // A pause: the page asks why.
    browser.tab_to("#room button.gate[value=pause]").await;
    browser.leaves(async || browser.press(Key::Enter).await).await;
    browser.contains("h1", "줄을 멈출까요?").await;
    browser.tab_to("#reason").await;
    browser.type_keys("음향 점검").await;
    browser.tab_to(CONFIRM).await;
    enter_applies(&browser).await;
    browser.element("[data-part=paused]").await;
    browser.contains("[data-part=entries]", "음향 점검").await;
    assert_eq!(room().await["gate"], "paused");

    // A message, which the button applies.
    browser.tab_to("#message").await;
    browser.type_keys("곧 다시 엽니다").await;
    browser.contains("[data-part=message] .notice", "곧 다시 엽니다").await;
    browser.tab_to(APPLY).await;
    enter_applies(&browser).await;
    assert_eq!(room().await["message"], "곧 다시 엽니다");

    // A cap, which the Enter key applies in its field: what the field had is chosen there, and is typed over.
    browser.tab_to("#max_active").await;
    browser.type_keys("300").await;
    browser.contains("[data-part=preview]", "새 차례가 나가지 않습니다.").await;
    enter_applies(&browser).await;
    let room = room().await;
    assert_eq!((&room["max_active"], &room["gate"]), (&json!(300), &json!("paused")));
    browser.contains("[data-part=entries]", "→ 300").await;
    browser.assert_quiet().await;
    browser.close().await;
}

#[tokio::test]
async fn two_operators_see_each_others_acts_and_overwrite_nothing() {
    let shop = Shop::open();
    let first = at_the_desk(&shop, Wishes::default(), OPERATOR).await;
    let second = at_the_desk(&shop, Wishes { language: "en-US", ..Wishes::default() }, OPERATOR).await;
    // What one sets is in the other's form, without a reload, though something else is typed there.
    first.run("window.isOld = true").await;
    first.fill("#message", "곧 엽니다").await;
    second.fill("#max_active", "150").await;
    applies(&second, APPLY).await;
    let value = async |name: &str| first.run(&format!("return document.getElementById('{name}').value")).await;
    wait_until("the cap is in the other form", async || value("max_active").await == "150").await;
    first.contains("[data-part=entries]", "→ 150").await;
    assert_eq!((value("message").await, first.run("return window.isOld").await), (json!("곧 엽니다"), json!(true)));
    // Both set the message: the one who types is told, and asked again by the server.
    second.fill("#message", "Doors at eight").await;
    applies(&second, APPLY).await;
    first.contains("[data-clash=message]", "Doors at eight").await;
    assert_eq!(value("message").await, "곧 엽니다");
    first.click(APPLY).await;
    first.contains("#refused", "그사이 설정이 바뀌었습니다").await;
    first.contains("#refused", "Doors at eight").await;
    assert_eq!(value("message").await, "곧 엽니다");
    assert_accessible(&first).await;
    applies(&first, APPLY).await;
    second.contains("[data-part=message] .notice", "곧 엽니다").await;
    first.assert_fits().await;
    first.close().await;
    second.close().await;
}

#[tokio::test]
async fn a_viewer_looks_on_and_the_screen_fits_a_hand_and_works_without_a_script() {
    let shop = Shop::open();
    shop.add_viewer("viewer@frontrow.example");
    let viewer = at_the_desk(&shop, Wishes::default(), "viewer@frontrow.example").await;
    assert!(!viewer.has("#room").await && !viewer.has(".thumb").await);
    viewer.contains("[data-part=contact]", "실시간").await;
    assert_accessible(&viewer).await;
    viewer.close().await;
    for (screen, language) in [(Screen::Phone, "ko-KR"), (Screen::Narrow, "en-US")] {
        let browser = at_the_desk(&shop, Wishes { screen, language, ..Wishes::default() }, OPERATOR).await;
        browser.assert_fits().await;
        assert_accessible(&browser).await;
        // Pause and message are within reach of the thumb, wherever the page is.
        for scrolled in ["0", "document.body.scrollHeight / 2"] {
            browser.run(&format!("window.scrollTo(0, {scrolled})")).await;
            let script = "return [...document.querySelectorAll('.thumb > *')].every(one => {
                const { top, bottom, height } = one.getBoundingClientRect();
                return top > innerHeight / 2 && bottom <= innerHeight && height >= 48; })";
            assert_eq!(browser.run(script).await, Value::Bool(true), "{scrolled}");
        }
        browser.click(".thumb button").await;
        browser.element("#reason").await;
        browser.assert_fits().await;
        assert_accessible(&browser).await;
        browser.close().await;
    }
    let plain = at_the_desk(&shop, Wishes { scripts: Scripts::Off, ..Wishes::default() }, OPERATOR).await;
    plain.fill("#max_active", "300").await;
    plain.click("#room button[value=preview]").await;
    plain.contains(".preview", "매진 시각은 아직 알 수 없습니다").await;
    applies(&plain, APPLY).await;
    plain.contains("[data-part=entries]", "→ 300").await;
    plain.close().await;
}
