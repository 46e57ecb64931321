//! Operators at work on orders: search, refund, correction, the door list, and a cancelled concert whose payments are
//! given back although the program is killed in the middle.

use crate::{
    accessibility::assert_accessible,
    shop::{CONCERT, OPERATOR, Shop, fan, sign_in},
    window::{Browser, Screen, Scripts, Wishes},
};
use frontrow_testkit::{Client, eventually};
use serde_json::{Value, json};

async fn items(client: &Client, path: &str) -> Vec<Value> {
    let page = client.get(path).await.expect(200);
    page["items"].as_array().unwrap().clone()
}

/// The newest payment of a fan that has not been given back.
async fn payment_of(operator: &Client, user: &str) -> i64 {
    let paid = items(operator, &format!("/operator/payments?user_id={user}&status=completed")).await;
    paid[0]["payment_id"].as_i64().unwrap()
}

async fn balance_of(operator: &Client, user: &str) -> i64 {
    let books = operator.get(&format!("/operator/users/{user}")).await.expect(200);
    books["balance"]["balance"].as_i64().unwrap()
}

/// Searches a fan, refunds the newest payment with a reason, and corrects the balance.
async fn refunds(wishes: Wishes) {
    let shop = Shop::open();
    let operator = shop.operator().await;
    let user = items(&operator, &format!("/operator/users?text={}", fan(1))).await[0]["user_id"].clone();
    let user = user.as_str().unwrap();
    let payment = payment_of(&operator, user).await;
    let before = balance_of(&operator, user).await;
    let browser = shop.browser(wishes).await;
    sign_in(&browser, OPERATOR).await;
    browser.goto("/operator").await;
    let check = async |browser: &Browser| {
        browser.assert_fits().await;
        if wishes.scripts == Scripts::On {
            assert_accessible(browser).await;
        }
    };
    // One text, one person.
    browser.fill("#seek", &fan(1)).await;
    browser.submit("#seek").await;
    browser.arrive(&format!("/operator/users/{user}")).await;
    check(&browser).await;
    browser.click(&format!("a[href='/operator/payments?user={user}']")).await;
    browser.arrive("/operator/payments?").await;
    check(&browser).await;
    browser.click(&format!("a[href='/operator/payments/{payment}']")).await;
    browser.arrive(&format!("/operator/payments/{payment}")).await;
    check(&browser).await;
    browser.click(&format!("a[href='/operator/payments/{payment}/refund']")).await;
    browser.arrive(&format!("/operator/payments/{payment}/refund")).await;
    check(&browser).await;
    browser.fill("#reason", "현장 요청").await;
    browser.click("form[action$='/refund'] button").await;
    browser.contains("main", "현장 요청").await;
    browser.gone("a[href$='/refund']").await;
    check(&browser).await;
    assert_eq!(items(&operator, &format!("/operator/payments?user_id={user}&status=refunded")).await.len(), 1);
    let refunded = balance_of(&operator, user).await;
    assert!(refunded > before);
    // A correction says first what it will do.
    browser.goto(&format!("/operator/users/{user}/correction")).await;
    browser.fill("#amount", "-1,000").await;
    browser.fill("#reason", "카드 취소").await;
    browser.fill("#reference", "chargeback-1").await;
    browser.click("form[action$='/correction'] button").await;
    browser.element("input[name=sure], .effects").await;
    check(&browser).await;
    assert_eq!(balance_of(&operator, user).await, refunded, "it only asked");
    browser.click("form[action$='/correction'] button").await;
    browser.contains("main", "카드 취소").await;
    assert_eq!(balance_of(&operator, user).await, refunded - 1_000);
    // Both acts stand in the log, with who and why.
    browser.goto("/operator/audit").await;
    browser.contains("main", "현장 요청").await;
    browser.contains("main", "카드 취소").await;
    check(&browser).await;
    browser.assert_quiet().await;
    browser.close().await;
}

#[tokio::test]
async fn an_operator_finds_an_order_refunds_it_and_corrects_a_balance() {
    refunds(Wishes::default()).await;
}

#[tokio::test]
async fn an_operator_does_the_same_on_the_narrowest_screen_in_english() {
    refunds(Wishes { screen: Screen::Narrow, language: "en-US", ..Wishes::default() }).await;
}

#[tokio::test]
async fn an_operator_does_the_same_without_scripts() {
    refunds(Wishes { scripts: Scripts::Off, ..Wishes::default() }).await;
}

#[tokio::test]
async fn a_cancelled_concert_gives_every_payment_back_once_though_the_program_is_killed() {
    let mut shop = Shop::open();
    let operator = shop.operator().await;
    let paid = items(&operator, &format!("/operator/payments?concert_id={CONCERT}&status=completed&limit=100")).await;
    assert!(paid.len() > 1, "{}", paid.len());
    let browser = shop.browser(Wishes::default()).await;
    sign_in(&browser, OPERATOR).await;
    let concert = format!("/operator/concerts/{CONCERT}");
    let opens_act = async |name: &str| {
        let path = format!("{concert}/act/{name}");
        browser.click(&format!("main a[href='{path}']")).await;
        browser.arrive(&path).await;
        browser.contains("#effects", &format!("{}석이 결제되었습니다.", paid.len())).await;
        browser.assert_fits().await;
        assert_accessible(&browser).await;
        format!("form[action='{path}'] button")
    };
    browser.goto(&concert).await;
    let cancel = opens_act("cancel").await;
    browser.fill("#stage-status_reason", "가수가 아픕니다.").await;
    browser.leaves(async || browser.click(&cancel).await).await;
    assert_eq!(browser.path().await, concert);
    browser.contains("main", "가수가 아픕니다.").await;
    let refund_all = opens_act("refund-all").await;
    // When the program is killed as soon as it has taken that all is to be refunded, and started again.
    let asked = eventually("all payments are to be refunded", async || {
        let books = operator.get(&concert).await.expect(200);
        books["concert"]["refund_all_at"].is_string().then_some(())
    });
    tokio::join!(browser.click(&refund_all), async {
        asked.await;
        shop.kill();
    });
    shop.start_again();
    let payments = format!("/operator/payments?concert={CONCERT}");
    browser.goto(&payments).await;
    browser.element(".state").await;
    assert_accessible(&browser).await;
    let operator = shop.operator().await;
    let completed = format!("/operator/payments?concert_id={CONCERT}&status=completed");
    eventually("every payment is given back", async || items(&operator, &completed).await.is_empty().then_some(()))
        .await;
    browser.goto(&payments).await;
    browser.contains(".state", "모두 환불했습니다").await;
    browser.assert_fits().await;
    // Each once: the history of every buyer has one refund for each payment.
    for payment in &paid {
        let (user, id) = (payment["user_id"].as_str().unwrap(), payment["payment_id"].as_i64().unwrap());
        let history = items(&operator, &format!("/operator/users/{user}/points/history?limit=100")).await;
        let refunds = history.iter().filter(|entry| entry["type"] == "refund" && entry["payment_id"] == id);
        assert_eq!(refunds.count(), 1, "of payment {id}");
    }
    browser.goto(&format!("/operator/payments/{}", paid[0]["payment_id"])).await;
    browser.contains("main", "모두 환불 시작").await;
    browser.close().await;
    shop.kill();
    shop.assert_books_in_order();
}

/// Finds people at the door by name, by seat and by reservation, and looks at the one who was found.
async fn at_the_door(wishes: Wishes) {
    // Given a concert whose seats fans have bought.
    let shop = Shop::open();
    let operator = shop.operator().await;
    let tickets = items(&operator, &format!("/operator/reservations?concert_id={CONCERT}&status=confirmed")).await;
    let (ticket, other) = (&tickets[0], &tickets[tickets.len() - 1]);
    let number = ticket["reservation_id"].to_string();
    let browser = shop.browser(wishes).await;
    sign_in(&browser, OPERATOR).await;
    browser.goto(&format!("/operator/concerts/{CONCERT}")).await;
    browser.click(&format!("nav a[href='/operator/concerts/{CONCERT}/door-list']")).await;
    let row = |id: &str| format!("tbody a[href='/operator/reservations/{id}']");
    let other = row(&other["reservation_id"].to_string());
    let find = async |text: &str| {
        let send = async || {
            browser.fill("#door-q", text).await;
            browser.submit("#door-q").await;
        };
        browser.leaves(send).await;
        browser.arrive(&format!("/operator/concerts/{CONCERT}/door-list?")).await;
        let url = browser.driver.current_url().await.unwrap();
        assert_eq!(url.query_pairs().collect::<Vec<_>>(), [("q".into(), text.into())]);
        assert_eq!(browser.element("#door-q").await.value().await.unwrap().as_deref(), Some(text));
    };
    let has_only_the_ticket = async || {
        browser.element(&row(&number)).await;
        assert!(!browser.has(&other).await && !browser.has("tbody tr + tr").await);
    };
    browser.element(&row(&number)).await;
    browser.element(&other).await;
    // When the number of a reservation is typed, that ticket is there and no other.
    find(&number).await;
    has_only_the_ticket().await;
    browser.assert_fits().await;
    if wishes.scripts == Scripts::On {
        assert_accessible(&browser).await;
    }
    // When the seat that its row prints is typed, too.
    let seat =
        browser.element(&format!("tr:has(a[href='/operator/reservations/{number}']) td")).await.text().await.unwrap();
    find(&seat).await;
    has_only_the_ticket().await;
    // When somebody asks who has no ticket.
    find("nothing like this").await;
    assert!(!browser.has("tbody tr").await);
    browser.contains("main", "nothing like this").await;
    // Then the ticket that was found leads to its reservation.
    find(&number).await;
    browser.click(&row(&number)).await;
    browser.arrive(&format!("/operator/reservations/{number}")).await;
    browser.assert_quiet().await;
    browser.close().await;
}

#[tokio::test]
async fn the_door_list_is_searched_on_a_phone() {
    at_the_door(Wishes { screen: Screen::Narrow, ..Wishes::default() }).await;
}

#[tokio::test]
async fn the_door_list_is_searched_without_scripts() {
    at_the_door(Wishes { scripts: Scripts::Off, ..Wishes::default() }).await;
}

/// Moves the house room on its own page.
async fn moves_a_room(wishes: Wishes) {
    let shop = Shop::open();
    let operator = shop.operator().await;
    let room = async || operator.get("/operator/rooms/0").await.expect(200);
    let browser = shop.browser(wishes).await;
    sign_in(&browser, OPERATOR).await;
    browser.goto("/operator/rooms").await;
    browser.click("a[href='/operator/rooms/0']").await;
    let check = async || {
        browser.assert_fits().await;
        if wishes.scripts == Scripts::On {
            assert_accessible(&browser).await;
        }
    };
    browser.element("#room").await;
    check().await;
    // A preview changes nothing.
    let cap = room().await["max_active"].clone();
    browser.fill("#max_active", "7").await;
    browser.click("#room button[value=preview]").await;
    browser.contains(".preview", "아직 알 수 없습니다").await;
    check().await;
    assert_eq!(room().await["max_active"], cap);
    // A message and another cap, which takes something from buyers: the page asks why.
    browser.fill("#message", "곧 다시 엽니다").await;
    browser.click("#room button.wide[value=apply]").await;
    browser.contains("h1", "사유를 적어 주세요").await;
    check().await;
    browser.fill("#reason", "좁은 로비").await;
    browser.click("main form button.wide").await;
    browser.arrive("/operator/rooms/0?applied").await;
    browser.contains("main", "곧 다시 엽니다").await;
    assert_eq!((&room().await["max_active"], &room().await["message"]), (&json!(7), &json!("곧 다시 엽니다")));
    // A pause, and the way back.
    browser.click(".gates button[value=pause]").await;
    browser.contains("h1", "줄을 멈출까요?").await;
    browser.fill("#reason", "음향 점검").await;
    browser.click("main form button.wide").await;
    browser.element(".gates button[value=open]:enabled").await;
    assert_eq!(room().await["gate"], "paused");
    check().await;
    browser.click(".gates button[value=open]").await;
    browser.element(".gates button[value=pause]:enabled").await;
    assert_eq!(room().await["gate"], "open");
    browser.contains("main", "음향 점검").await;
    browser.assert_quiet().await;
    browser.close().await;
}

#[tokio::test]
async fn an_operator_moves_a_line_on_its_rooms_page_with_a_phone() {
    moves_a_room(Wishes { screen: Screen::Narrow, ..Wishes::default() }).await;
}

#[tokio::test]
async fn an_operator_moves_a_line_on_its_rooms_page_without_scripts() {
    moves_a_room(Wishes { scripts: Scripts::Off, ..Wishes::default() }).await;
}

/// The pages of this part, with what the demo has in them.
const PAGES: [&str; 17] = [
    "/operator/search",
    "/operator/search?q=1",
    "/operator/search?q=nothing-like-this",
    "/operator/payments",
    "/operator/payments?concert=x",
    "/operator/reservations?status=confirmed",
    "/operator/reservations/1",
    "/operator/users",
    "/operator/debts",
    "/operator/rooms",
    "/operator/rooms/0",
    "/operator/audit",
    "/operator/outbox",
    "/operator/outbox?state=dead",
    "/operator/payments/1",
    "/operator/payments/1/refund",
    "/operator/concerts/2/door-list",
];

/// The pages of a fan who owes something, and of the debt.
async fn pages_of_an_owing_fan(operator: &Client) -> Vec<String> {
    let fan = items(operator, &format!("/operator/users?text={}", fan(1))).await[0]["user_id"].clone();
    let fan = format!("/operator/users/{}", fan.as_str().unwrap());
    let chargeback = json!({ "amount": -2_000_000, "reason": "Chargeback", "reference": "chargeback-1" });
    let booked = operator.post(&format!("{fan}/adjustments"), &chargeback).await.expect(201);
    let acts = ["", "/top-up", "/correction", "/lock", "/reset-link"].map(|act| format!("{fan}{act}"));
    acts.into_iter().chain([format!("/operator/debts/{}", booked["debt"]["debt_id"])]).collect()
}

#[tokio::test]
async fn no_page_of_orders_has_a_fault_that_axe_finds_in_either_language_and_at_two_widths() {
    let shop = Shop::open();
    let of_fan = pages_of_an_owing_fan(&shop.operator().await).await;
    let pages: Vec<_> = PAGES.into_iter().chain(of_fan.iter().map(String::as_str)).collect();
    for language in ["ko-KR", "en-US"] {
        for screen in [Screen::Desktop, Screen::Narrow] {
            let browser = shop.browser(Wishes { screen, language, ..Wishes::default() }).await;
            sign_in(&browser, OPERATOR).await;
            for path in &pages {
                browser.goto(path).await;
                browser.element("h1").await;
                assert_eq!(browser.path().await, *path, "it shows itself and no other page");
                browser.assert_fits().await;
                assert_accessible(&browser).await;
            }
            browser.close().await;
        }
    }
}
