//! A rehearsal in a browser: begun, watched to its end, and read.

use crate::{
    PROGRAM,
    accessibility::assert_accessible,
    window::{Browser, Screen, Wishes},
};
use frontrow_testkit::program::{Process, succeeds};
use std::{io::Write as _, process::Stdio};
use tempfile::TempDir;

/// A concert with 30 seats whose sale opens in years.
const CONCERT: &str = r#"[{
    "concert": {
        "title": "Midnight Tide in Busan", "artist": "Midnight Tide", "venue": "Dalmaji Theatre, Busan",
        "time_zone": "Asia/Seoul", "concert_date": "2999-12-31", "start_time": "20:00:00", "end_time": "22:00:00",
        "base_price": 100000, "opens_at": "2999-01-01T11:00:00Z", "own_room_max_active": 10
    },
    "seats": [{ "range": { "from": 1, "to": 30, "row": "A", "grade": "R" } }]
}]"#;
const EMAIL: &str = "ops@example.com";
const PASSWORD: &str = "a password for a test";

/// The real program over a folder with the concert and an operator.
fn house() -> (TempDir, Process) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("concert.json");
    std::fs::write(&file, CONCERT).unwrap();
    succeeds(PROGRAM.command(folder.path(), "concert import").arg(&file));
    let mut add = PROGRAM.command(folder.path(), "operator add");
    let mut add =
        add.args(["--email", EMAIL, "--name", "Ops"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    writeln!(add.stdin.take().unwrap(), "{PASSWORD}").unwrap();
    assert!(add.wait().unwrap().success());
    let process = PROGRAM.start(folder.path(), &[]);
    (folder, process)
}

async fn sign_in(browser: &Browser) {
    browser.goto("/sign-in").await;
    browser.fill("form[action='/sign-in'] input[name=email]", EMAIL).await;
    browser.fill("form[action='/sign-in'] input[name=password]", PASSWORD).await;
    browser.submit("form[action='/sign-in'] input[name=password]").await;
    browser.arrive_elsewhere("/sign-in").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_rehearses_a_sale_and_reads_when_it_would_be_sold_out() {
    let (_folder, process) = house();
    for (screen, language, sold_out) in [(Screen::Desktop, "en-US", "Sold out at"), (Screen::Narrow, "ko-KR", "매진")]
    {
        let browser = Browser::open(process.address, Wishes { screen, language, ..Wishes::default() }).await;
        sign_in(&browser).await;
        browser.goto("/operator/concerts/1/rehearsal").await;
        browser.assert_fits().await;
        assert_accessible(&browser).await;
        for (field, value) in [("#people", "50"), ("#visit_seconds", "1"), ("#minutes", "1")] {
            browser.fill(field, value).await;
        }
        browser.click("main form button").await;
        browser.element("#rehearsal-running").await;
        browser.assert_fits().await;
        assert_accessible(&browser).await;
        // The page goes on by itself: its numbers, and then its end.
        browser.gone("#rehearsal-running").await;
        browser.element("#rehearsal-charts svg.plot").await;
        browser.contains("#rehearsal-result", sold_out).await;
        browser.assert_fits().await;
        assert_accessible(&browser).await;
        browser.assert_quiet().await;
        if let Some(folder) = std::env::var_os("SHOTS") {
            for at in ["#rehearsal-result", "#rehearsal-charts", "details", "#rehearsal-crowd"] {
                browser.run(&format!("document.querySelector('{at}').scrollIntoView()")).await;
                let file =
                    std::path::Path::new(&folder).join(format!("rehearsal-{language}-{}.png", at.replace('#', "")));
                browser.driver.screenshot(&file).await.unwrap();
            }
        }
        browser.close().await;
    }
    process.kill();
}
