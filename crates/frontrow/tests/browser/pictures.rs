//! The pictures of the README: `scripts/make-screenshots.sh`.

use crate::{
    shop::{BUYER, CONCERT, OPERATOR, PASSWORD, PAY, Shop, enter, hold_a_seat, join, sign_in},
    window::{Browser, Screen, Wishes},
};
use frontrow_testkit::Client;
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// How many join the line before the buyer.
const AHEAD: usize = 400;
/// How many of them are inside at once.
const INSIDE: &str = "20";
/// How many have had their turn when the picture of the waiting page is taken.
const SERVED: usize = 150;

/// What stands in the pictures of a language.
struct Words {
    tag: &'static str,
    language: &'static str,
    /// Title, artist and venue of the demo's concerts, by id from 1.
    concerts: [(&'static str, &'static str, &'static str); 7],
    /// The description and the address of [`CONCERT`].
    about: &'static str,
    address: &'static str,
    /// The message to all in line.
    message: &'static str,
}

const WORDS: [Words; 2] = [
    Words {
        tag: "ko",
        language: "ko-KR",
        concerts: [
            ("미드나잇 타이드: 첫째 밤", "미드나잇 타이드", "한강홀, 서울"),
            ("미드나잇 타이드: 마지막 밤", "미드나잇 타이드", "한강홀, 서울"),
            ("종이등 어쿠스틱", "종이등", "달맞이극장, 부산"),
            ("글래스 오차드의 겨울", "글래스 오차드", "선비회관, 대구"),
            ("북쪽 릴레이", "릴레이 노스", "하버룸스, 인천"),
            ("작은 노래들의 저녁", "윤새벽 트리오", "마루 스튜디오, 전주"),
            ("코멧 퍼레이드: 첫 주", "코멧 퍼레이드", "한강홀, 서울"),
        ],
        about: "이틀 공연의 마지막 밤. 첫날과 다른 곡으로 채웁니다.",
        address: "서울 영등포구 여의서로 12",
        message: "한 사람이 4매까지 예매할 수 있습니다.",
    },
    Words {
        tag: "en",
        language: "en-US",
        concerts: [
            ("Midnight Tide: The First Night", "Midnight Tide", "Hangang Hall, Seoul"),
            ("Midnight Tide: The Last Night", "Midnight Tide", "Hangang Hall, Seoul"),
            ("Paper Lanterns Acoustic", "Paper Lanterns", "Dalmaji Theatre, Busan"),
            ("Glass Orchard in Winter", "Glass Orchard", "Seonbi Auditorium, Daegu"),
            ("Northern Relay", "Relay North", "Harbour Rooms, Incheon"),
            ("An Evening of Small Songs", "Yoon Saebyeok Trio", "Maru Studio, Jeonju"),
            ("Comet Parade: Opening Week", "Comet Parade", "Hangang Hall, Seoul"),
        ],
        about: "The last of two nights, with other songs than the first.",
        address: "12 Yeouiseo-ro, Yeongdeungpo-gu, Seoul",
        message: "Up to 4 tickets for one person.",
    },
];

async fn take(browser: &Browser, folder: &Path, name: &str) {
    // Pictures and fonts are there once nothing is loading; the map draws on the next frame.
    tokio::time::sleep(Duration::from_millis(700)).await;
    browser.driver.screenshot(&folder.join(format!("{name}.png"))).await.unwrap();
}

/// Gives the demo's concerts their names in a language.
async fn name_concerts(shop: &Shop, words: &Words) {
    let operator = shop.operator().await;
    for (id, (title, artist, venue)) in (1..).zip(words.concerts) {
        let names = json!({ "title": title, "artist": artist, "venue": venue });
        operator.patch(&format!("/operator/concerts/{id}"), &names).await.expect(200);
    }
    let details = json!({ "details": { "description": words.about, "address": words.address } });
    operator.patch(&format!("/operator/concerts/{CONCERT}"), &details).await.expect(200);
}

/// Has many join the line. Returns them with their tokens, in order.
async fn fill_line(shop: &Shop) -> Vec<(Client, String)> {
    let mut line = Vec::new();
    for number in 1..=AHEAD {
        let email = format!("visitor{number}@frontrow.example");
        let account = json!({ "name": format!("Visitor {number}"), "email": email, "password": PASSWORD });
        shop.anonymous().post("/users", &account).await.expect(201);
        let client = shop.client(&email).await;
        let token = client.join(Some(CONCERT)).await["token"].as_str().unwrap().to_owned();
        line.push((client, token));
    }
    line
}

/// Those at the head leave one after another, so that the line moves and its pace is known; then it is slowed to a pace
/// that a hall has.
async fn move_line(shop: &Shop, line: &[(Client, String)], message: &str) {
    for (client, token) in &line[..SERVED] {
        client.delete(&format!("/queue/tokens/{token}")).await.expect(204);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let room = json!({ "admit_per_minute": 40, "message": message, "reason": "The hall asks for it." });
    shop.operator().await.patch("/operator/rooms/0", &room).await.expect(200);
}

/// Lets all in.
async fn open_room(shop: &Shop) {
    let room = json!({ "max_active": 10_000, "admit_per_minute": null, "message": null });
    shop.operator().await.patch("/operator/rooms/0", &room).await.expect(200);
}

/// A browser, and what its pictures are called after.
type Camera = (Browser, String);

/// Takes a picture of what each browser shows.
async fn take_each(cameras: &[Camera], folder: &Path, page: &str) {
    for (browser, suffix) in cameras {
        take(browser, folder, &format!("{page}-{suffix}")).await;
    }
}

/// Opens a page in each browser, and takes its picture.
async fn visit_each(cameras: &[Camera], folder: &Path, path: &str, page: &str) {
    for (browser, _) in cameras {
        browser.goto(path).await;
    }
    take_each(cameras, folder, page).await;
}

/// Takes a picture of the screen of the sale, as an operator sees it.
async fn take_desk(shop: &Shop, folder: &Path, words: &Words) {
    let operator = shop.browser(Wishes { language: words.language, ..Wishes::default() }).await;
    sign_in(&operator, OPERATOR).await;
    operator.goto(&format!("/operator/concerts/{CONCERT}/sale")).await;
    operator.driver.set_window_rect(0, 0, 1_280, 1_100).await.unwrap();
    // The charts have what was before the page was opened a moment after it.
    tokio::time::sleep(Duration::from_secs(3)).await;
    take(&operator, folder, &format!("desk-{}-wide", words.tag)).await;
    operator.close().await;
}

#[tokio::test]
#[ignore = "it makes the pictures of the README and checks nothing"]
async fn pictures_of_a_sale() {
    let folder = PathBuf::from(std::env::var_os("FRONTROW_PICTURES").unwrap());
    let concert = format!("/concerts/{CONCERT}");
    for words in &WORDS {
        let shop = Shop::open_with(&["--max-active", INSIDE, "--login-per-minute-per-address", "100000"]);
        name_concerts(&shop, words).await;
        let mut cameras = Vec::new();
        for (screen, suffix) in [(Screen::Desktop, "wide"), (Screen::Phone, "phone")] {
            let browser = shop.browser(Wishes { screen, language: words.language, ..Wishes::default() }).await;
            cameras.push((browser, format!("{}-{suffix}", words.tag)));
        }
        visit_each(&cameras, &folder, "/", "season").await;
        visit_each(&cameras, &folder, &concert, "concert").await;
        let line = fill_line(&shop).await;
        for (browser, _) in &cameras {
            sign_in(browser, BUYER).await;
            join(browser, CONCERT).await;
            browser.element("[data-scene=waiting]").await;
        }
        move_line(&shop, &line, words.message).await;
        for (browser, _) in &cameras {
            browser.contains("[data-part=message]", words.message).await;
        }
        take_each(&cameras, &folder, "waiting").await;
        take_desk(&shop, &folder, words).await;
        open_room(&shop).await;
        for (browser, _) in &cameras {
            browser.element("[data-scene=offered]").await;
        }
        take_each(&cameras, &folder, "turn").await;
        // One of the two buys; the other shows the same.
        let (buyer, _) = &cameras[0];
        enter(buyer, CONCERT).await;
        hold_a_seat(buyer).await;
        visit_each(&cameras, &folder, &format!("{concert}/seats"), "hall").await;
        visit_each(&cameras, &folder, &format!("{concert}/pay"), "pay").await;
        buyer.click(PAY).await;
        buyer.arrive(&format!("{concert}/tickets")).await;
        visit_each(&cameras, &folder, &format!("{concert}/tickets?new=yes"), "tickets").await;
        visit_each(&cameras, &folder, "/mine", "mine").await;
        for (browser, _) in cameras {
            browser.close().await;
        }
    }
}
